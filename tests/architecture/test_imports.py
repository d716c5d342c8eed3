"""The architecture: imports run one way, I/O stays at the edges, and the payload is read in one place."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HANDLER = ROOT / "src" / "handler"

# Package, or module beside the packages → what it imports of the others. A row may import only rows above it.
IMPORTS: dict[str, set[str]] = {
    "errors": set(),
    "redaction": set(),
    "version": set(),
    "cancellation": {"errors"},
    "cloudformation": {"cancellation", "errors"},
    "inbound": {"cancellation", "cloudformation", "errors"},
    "aws": {"cancellation", "errors", "inbound", "redaction", "version"},
    "config": {"cancellation", "errors"},
    "telemetry": {"cancellation", "redaction", "version"},
    "pipeline": {"aws", "cancellation", "cloudformation", "config", "errors", "inbound", "telemetry"},
    "misconfigured": {"cancellation", "cloudformation", "errors", "inbound", "pipeline", "telemetry"},
    "app": {
        *("aws", "cancellation", "cloudformation", "config", "errors", "inbound"),
        *("misconfigured", "pipeline", "telemetry"),
    },
    "lambda_function": {"app"},
}

# Library → the only modules that may import it.
ONLY_IN: dict[str, set[str]] = {
    "boto3": {"aws/iot", "aws/sqs", "aws/eventbridge"},
    "botocore": {"aws/iot", "aws/sqs", "aws/eventbridge"},
    "mypy_boto3_iot": {"aws/iot"},
    "mypy_boto3_sqs": {"aws/sqs"},
    "mypy_boto3_events": {"aws/eventbridge"},
    "crhelper": {"cloudformation/lifecycle"},
    "urllib3": {"cloudformation/response", "app"},  # app creates the pool
    "aws_lambda_powertools": {"telemetry"},
    "gc": {"lambda_function"},
    "os": {"app"},
    "time": {"app"},
    "random": {"app"},
    "sys": {"cloudformation/lifecycle"},
    "threading": {"cloudformation/lifecycle", "cancellation/rate"},
    "concurrent": {"cancellation/parallel"},
    "hashlib": {"aws/sqs", "cancellation/plan"},
    # To silence libraries, and to log reports at any level.
    "logging": {"cloudformation/lifecycle", "cloudformation/response", "telemetry"},
}

MODULES = {
    path.relative_to(HANDLER).with_suffix("").as_posix(): ast.parse(path.read_text())
    for path in sorted(HANDLER.rglob("*.py"))
}
EVERY_MODULE = pytest.mark.parametrize("module", MODULES)

PURE = [
    module
    for module in MODULES
    if module.startswith(("cancellation/", "inbound/"))
    or module in {"cloudformation/request", "cloudformation/properties", "cloudformation/teardown"}
    or module in {"config", "errors", "redaction", "version"}
]
EVERY_PURE_MODULE = pytest.mark.parametrize("module", PURE)
# `threading` for a lock, and `concurrent` for threads, each in one module (ONLY_IN): neither does I/O.
PURE_MAY_IMPORT = {
    *(
        "collections",
        "concurrent",
        "dataclasses",
        "datetime",
        "difflib",
        "enum",
        "fnmatch",
        "hashlib",
        "heapq",
        "itertools",
        "json",
    ),
    *("math", "re", "threading", "typing", "unicodedata"),
}

# The modules that read the payload, and the calls to which the others may pass it on.
READERS = [module for module in MODULES if module.startswith("inbound/") or module == "cloudformation/request"]
PASSED_TO = {"read_delivery", "parse_event", "handle_event", "enqueue", "enqueue_teardown", "dumps"}


def nodes[Node: ast.AST](tree: ast.AST, kind: type[Node]) -> Iterator[Node]:
    return (node for node in ast.walk(tree) if isinstance(node, kind))


def imported(module: str) -> set[str]:
    """Return the dotted names of the modules that the module imports."""
    tree = MODULES[module]
    names = {alias.name for node in nodes(tree, ast.Import) for alias in node.names}
    return names | {str(node.module) for node in nodes(tree, ast.ImportFrom)}


@cache
def libraries(module: str) -> set[str]:
    """Return the top-level packages that the module imports, without the handler."""
    return {name.partition(".")[0] for name in imported(module)} - {"handler"}


def package(module: str) -> str:
    return module.partition("/")[0]


def imported_packages(module: str) -> set[str]:
    """Return the rows of IMPORTS that the module imports, without its own."""
    own = {name.split(".")[1] for name in imported(module) if name.startswith("handler.")}
    return own - {package(module)}


def called(node: ast.Call) -> str:
    """Return the name of the called function or method."""
    return ast.unparse(node.func).rpartition(".")[2]


# Imports


def test_every_module_is_in_a_row() -> None:
    assert {package(module) for module in MODULES if not module.endswith("__init__")} == set(IMPORTS)


def test_a_row_imports_only_rows_above_it() -> None:
    above: set[str] = set()
    for row, imports in IMPORTS.items():
        assert imports <= above, row
        above.add(row)


@pytest.mark.parametrize("row", IMPORTS)
def test_a_package_imports_what_its_row_lists(row: str) -> None:
    assert set().union(*(imported_packages(module) for module in MODULES if package(module) == row)) == IMPORTS[row]


@EVERY_MODULE
def test_every_import_is_absolute_and_names_its_package(module: str) -> None:
    assert {node.level for node in nodes(MODULES[module], ast.ImportFrom)} <= {0}
    assert "handler" not in imported(module)


@EVERY_MODULE
def test_a_library_is_imported_only_where_it_belongs(module: str) -> None:
    assert {name for name in libraries(module) if module not in ONLY_IN.get(name, {module})} == set()


@EVERY_MODULE
def test_every_library_outside_the_standard_library_has_its_place(module: str) -> None:
    assert libraries(module) - sys.stdlib_module_names <= set(ONLY_IN)


def test_every_place_of_a_library_is_used() -> None:
    assert {name: {each for each in MODULES if name in libraries(each)} for name in ONLY_IN} == ONLY_IN


def test_importing_the_app_does_not_load_crhelper() -> None:
    """Only custom resource requests need it, and every cold start would pay for it."""
    script = "import sys, handler.app; print(*sorted({'boto3', 'crhelper'} & set(sys.modules)))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=HANDLER.parent, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == ["boto3"]


# Purity


@EVERY_PURE_MODULE
def test_a_pure_module_imports_no_io(module: str) -> None:
    assert libraries(module) <= PURE_MAY_IMPORT


@EVERY_PURE_MODULE
def test_a_pure_module_opens_and_prints_nothing(module: str) -> None:
    calls = {ast.unparse(node.func) for node in nodes(MODULES[module], ast.Call)}
    assert calls.isdisjoint({"open", "print", "input", "exec", "eval", "__import__", "breakpoint"})


@EVERY_MODULE
def test_only_the_app_knows_the_clock_the_environment_and_randomness(module: str) -> None:
    attributes = {ast.unparse(node) for node in nodes(MODULES[module], ast.Attribute)}
    ambient = {"time.sleep", "time.time", "time.monotonic", "os.environ", "os.getenv", "random.uniform", "datetime.now"}
    assert module == "app" or attributes.isdisjoint(ambient)
    assert "time.sleep" not in {ast.unparse(node.func) for node in nodes(MODULES[module], ast.Call)}


# The payload


def payload_reads(tree: ast.AST) -> list[str]:
    """Return the expressions that use a payload for anything but an argument of PASSED_TO."""
    passed = {arg for call in nodes(tree, ast.Call) if called(call) in PASSED_TO for arg in call.args}
    names = [node for node in nodes(tree, ast.Name) if node.id == "payload"]
    attributes = [node for node in nodes(tree, ast.Attribute) if node.attr == "payload"]
    texts = [node for node in nodes(tree, ast.Constant) if node.value == "payload"]  # as of getattr
    patterns = [node for node in nodes(tree, ast.MatchClass) if ast.unparse(node.cls) == "Delivery"]
    found: Iterable[ast.AST] = [*names, *attributes, *texts, *patterns]
    return [ast.unparse(node) for node in found if node not in passed]


@pytest.mark.parametrize("module", [module for module in MODULES if module not in READERS])
def test_only_the_inbound_package_reads_the_payload(module: str) -> None:
    assert payload_reads(MODULES[module]) == []


@pytest.mark.parametrize(
    "statement",
    [
        "delivery.payload['cancel']",
        "self.delivery.payload.get('cancel')",
        "request_type(delivery.payload)",
        "isinstance(payload, dict)",
        "'cancel' in payload",
        "event = payload",
        "queues.enqueue(payload['cancel'])",
        "queues.enqueue({**delivery.payload})",
        "getattr(delivery, 'payload')",
        "match delivery.payload:\n    case {'cancel': document}: pass",
        "match delivery:\n    case Delivery({'cancel': document}): pass",
    ],
)
def test_a_read_of_the_payload_is_found(statement: str) -> None:
    assert payload_reads(ast.parse(statement))


@pytest.mark.parametrize(
    ("function", "callers"),
    [
        ("read_delivery", ["app", "misconfigured"]),
        ("parse_event", ["app", "misconfigured"]),
        ("parse_custom_resource_request", ["inbound/event"]),
        ("parse_terraform_request", ["inbound/event"]),
        ("parse_eventbridge_event", ["inbound/event"]),
    ],
)
def test_a_payload_is_parsed_in_one_place(function: str, callers: list[str]) -> None:
    calls = [module for module, tree in MODULES.items() for call in nodes(tree, ast.Call) if called(call) == function]
    assert calls == callers


# Errors


def broad_handlers(module: str) -> list[ast.ExceptHandler]:
    """Return the handlers that catch every exception."""
    broad = {"None", "Exception", "BaseException"}
    found = []
    for handler in nodes(MODULES[module], ast.ExceptHandler):
        kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
        if broad & {ast.unparse(kind) if kind else "None" for kind in kinds}:
            found.append(handler)
    return found


def test_the_pipeline_has_the_only_broad_except_and_raises_again() -> None:
    broad = [(module, handler.body[-1]) for module in MODULES for handler in broad_handlers(module)]
    assert [(module, ast.unparse(last)) for module, last in broad] == [("pipeline", "raise")]


@EVERY_MODULE
def test_no_error_is_suppressed(module: str) -> None:
    handlers = nodes(MODULES[module], ast.ExceptHandler)
    assert not [handler for handler in handlers if isinstance(handler.body[0], ast.Pass)]
    assert "suppress" not in ast.unparse(MODULES[module])


# Modules and their tests


@EVERY_MODULE
def test_a_module_has_a_docstring_and_a_specific_name(module: str) -> None:
    assert ast.get_docstring(MODULES[module])
    assert module.rpartition("/")[2] not in {"utils", "helpers", "common", "manager", "base"}


@EVERY_MODULE
def test_no_line_is_excluded_from_coverage(module: str) -> None:
    assert "pragma" not in (HANDLER / f"{module}.py").read_text()


def test_make_mutants_mutates_the_pure_modules_and_runs_their_tests() -> None:
    """`session` only groups values, and redaction is tested with the log that it is for."""
    mutmut = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["mutmut"]
    decides = {each for each in PURE if not each.endswith("__init__")} - {
        "version",
        "redaction",
        "cancellation/session",
    }
    assert set(mutmut["do_not_mutate"]) == {f"src/handler/{name}.py" for name in set(MODULES) - decides}
    tests = {f"tests/unit/{'/'.join([*name.split('/')[:-1], ''])}test_{name.rpartition('/')[2]}.py" for name in decides}
    assert [path for path in sorted(tests) if not (ROOT / path).is_file()] == []
    selected = [ROOT / path for path in mutmut["pytest_add_cli_args_test_selection"]]
    assert tests <= {path.relative_to(ROOT).as_posix() for each in selected for path in (each, *each.glob("test_*.py"))}
