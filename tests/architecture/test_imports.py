"""The house: imports run one way, I/O stays at the edges, and errors are not swallowed. Read from the syntax tree."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

HANDLER = Path(__file__).parents[2] / "src" / "handler"

# Module → the modules of the handler that it may import. Nothing may import what stands below it.
MAY_IMPORT: dict[str, set[str]] = {
    "__init__": set(),
    "errors": set(),
    "job": set(),
    "outcome": set(),
    "parallel": set(),
    "redaction": set(),
    "timing": set(),
    "version": set(),
    "fields": {"errors"},
    "selector": {"errors", "fields", "job"},
    "request": {"errors", "fields", "selector"},
    "properties": {"errors", "fields", "request"},
    "resource": {"errors", "properties"},
    "selection": {"errors", "job", "outcome", "parallel", "selector", "timing"},
    "executions": {"errors", "parallel", "timing"},
    "cancel": {"errors", "executions", "job", "outcome", "parallel", "request", "timing"},
    "left_behind": {"errors", "job", "parallel", "request", "selection"},
    "waiting": {"outcome", "request"},
    "run": {"cancel", "errors", "left_behind", "outcome", "request", "selection", "selector", "timing", "waiting"},
    "events": {"errors", "fields", "outcome", "request"},
    "teardown": {"errors", "fields", "outcome", "properties", "request", "resource"},
    "publish": {"events", "outcome", "redaction", "timing"},
    "respond": {"timing"},
    "iot": {"errors", "job", "timing"},
    "message": {"fields", "waiting"},
    "backlog": {"errors", "message"},
    "delivery": {"message", "outcome", "timing", "waiting"},
    "telemetry": {"outcome", "redaction", "version"},
    "custom_resource": {"resource", "respond", "teardown", "timing"},
    "config": {"errors", "request"},
    "pipeline": {
        "backlog",
        "config",
        "custom_resource",
        "delivery",
        "errors",
        "events",
        "outcome",
        "publish",
        "request",
        "resource",
        "respond",
        "run",
        "teardown",
        "telemetry",
        "timing",
        "waiting",
    },
    "app": {
        "backlog",
        "config",
        "delivery",
        "events",
        "iot",
        "message",
        "outcome",
        "pipeline",
        "publish",
        "respond",
        "telemetry",
        "timing",
    },
    "start": {"app"},
}

# Library → the only modules that may import it.
ONLY_IN: dict[str, set[str]] = {
    "boto3": {"iot", "backlog", "publish"},
    "botocore": {"iot", "backlog", "publish"},
    "mypy_boto3_iot": {"iot"},
    "mypy_boto3_events": {"publish"},
    "mypy_boto3_sqs": {"backlog"},
    "crhelper": {"custom_resource"},
    "aws_lambda_powertools": {"telemetry"},
    "urllib3": {"respond", "app"},
    "gc": {"start"},
    "os": {"app"},
    "time": {"app"},
    "random": {"app"},
    "threading": {"custom_resource", "timing"},
    "sys": {"custom_resource"},
    "concurrent": {"parallel"},
    "hashlib": {"backlog"},
    "logging": {"custom_resource", "respond"},  # to silence libraries; what is told goes through telemetry
}

# `timing` has a lock and `parallel` has threads; neither does I/O.
PURE = [
    *("errors", "job", "outcome", "fields", "selector", "request", "properties", "resource", "selection", "cancel"),
    *("executions", "left_behind", "waiting", "run", "events", "teardown", "message", "delivery", "config"),
    "version",
]
PURE_MAY_IMPORT = {
    *(
        "collections",
        "dataclasses",
        "datetime",
        "enum",
        "fnmatch",
        "heapq",
        "itertools",
        "json",
        "math",
        "re",
        "typing",
    ),
    "unicodedata",
}

MODULES = {path.stem: ast.parse(path.read_text()) for path in sorted(HANDLER.rglob("*.py"))}
ALL = pytest.mark.parametrize("module", MODULES)


def own_imports(module: str) -> set[str]:
    """The modules of the handler that the module imports."""
    names: set[str] = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            names |= {node.module} if node.module else {alias.name for alias in node.names}
    return names


def foreign_imports(module: str) -> set[str]:
    """The top-level packages that the module imports, its own left out."""
    names: set[str] = set()
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(str(node.module).partition(".")[0])
    return names


def attributes(module: str) -> Iterator[str]:
    """Every `name.attribute` that the module speaks of."""
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield f"{node.value.id}.{node.attr}"


def test_every_module_has_its_place() -> None:
    assert set(MODULES) == set(MAY_IMPORT)
    assert {path.parent for path in HANDLER.rglob("*.py")} == {HANDLER}


@ALL
def test_imports_run_one_way(module: str) -> None:
    assert own_imports(module) <= MAY_IMPORT[module]


def test_the_table_lets_nothing_import_in_a_circle() -> None:
    above: set[str] = set()
    for module, imported in MAY_IMPORT.items():
        assert imported <= above, module
        above.add(module)


def test_the_function_starts_without_crhelper() -> None:
    """Only a request of CloudFormation needs it, and every cold start would pay for it."""
    told = "import sys, handler.app; print(*sorted({'boto3', 'crhelper'} & set(sys.modules)))"
    command = [sys.executable, "-c", told]
    done = subprocess.run(command, cwd=HANDLER.parent, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["boto3"]


def test_the_table_allows_no_more_than_there_is() -> None:
    assert {module: own_imports(module) for module in MODULES} == MAY_IMPORT


@ALL
def test_no_module_imports_a_parent_package_or_the_handler_by_its_full_name(module: str) -> None:
    levels = {node.level for node in ast.walk(MODULES[module]) if isinstance(node, ast.ImportFrom)}
    assert levels <= {0, 1}
    assert "handler" not in foreign_imports(module)


@ALL
def test_a_library_is_imported_only_where_it_belongs(module: str) -> None:
    strayed = {library for library in foreign_imports(module) if module not in ONLY_IN.get(library, {module})}
    assert strayed == set()


@ALL
def test_every_library_that_is_not_pythons_own_has_a_place(module: str) -> None:
    assert {name for name in foreign_imports(module) if name not in sys.stdlib_module_names} <= set(ONLY_IN)


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_imports_nothing_that_does_io(module: str) -> None:
    assert foreign_imports(module) <= PURE_MAY_IMPORT


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_opens_and_prints_nothing(module: str) -> None:
    called = {
        node.func.id
        for node in ast.walk(MODULES[module])
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert called.isdisjoint({"open", "print", "input", "exec", "eval", "__import__", "breakpoint"})


@ALL
def test_only_the_entry_point_knows_the_clock_the_environment_and_chance(module: str) -> None:
    named = set(attributes(module))
    ambient = {"time.sleep", "time.time", "time.monotonic", "os.environ", "os.getenv", "random.uniform", "datetime.now"}
    assert module == "app" or named.isdisjoint(ambient)
    assert "time.sleep" not in {
        ast.unparse(node.func) for node in ast.walk(MODULES[module]) if isinstance(node, ast.Call)
    }


def broad_handlers(module: str) -> list[ast.ExceptHandler]:
    """Handlers that catch everything."""
    broad = {"None", "Exception", "BaseException"}
    found = []
    for node in ast.walk(MODULES[module]):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            if broad & {ast.unparse(kind) if kind else "None" for kind in kinds}:
                found.append(node)
    return found


def test_make_mutants_changes_what_decides_and_runs_its_tests() -> None:
    mutmut = tomllib.loads((HANDLER.parents[1] / "pyproject.toml").read_text())["tool"]["mutmut"]
    decides = {*PURE, "timing", "parallel"} - {"version"}
    assert set(mutmut["do_not_mutate"]) == {f"src/handler/{name}.py" for name in set(MODULES) - decides}
    assert set(mutmut["pytest_add_cli_args_test_selection"]) == {f"tests/unit/test_{name}.py" for name in decides}


def test_only_the_pipeline_catches_everything() -> None:
    assert {module: len(broad_handlers(module)) for module in MODULES if broad_handlers(module)} == {"pipeline": 1}


@ALL
def test_what_catches_everything_raises_it_again(module: str) -> None:
    for handler in broad_handlers(module):
        last = handler.body[-1]
        assert isinstance(last, ast.Raise)
        assert last.exc is None


@ALL
def test_no_handler_is_empty_and_nothing_is_suppressed(module: str) -> None:
    handlers = [node for node in ast.walk(MODULES[module]) if isinstance(node, ast.ExceptHandler)]
    assert not [handler for handler in handlers if isinstance(handler.body[0], ast.Pass)]
    assert "suppress" not in ast.unparse(MODULES[module])


@ALL
def test_a_module_can_be_read_in_one_sitting(module: str) -> None:
    assert len((HANDLER / f"{module}.py").read_text().splitlines()) < 200


@ALL
def test_a_module_says_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(MODULES[module])
    assert module not in {"utils", "helpers", "common", "manager", "base"}


@ALL
def test_no_line_is_excluded_from_coverage(module: str) -> None:
    assert "pragma" not in (HANDLER / f"{module}.py").read_text()
