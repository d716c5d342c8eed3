"""The command line is a small client: what it imports, what it shares with the function, and what an install needs."""

import ast
import subprocess
import sys
import tomllib

import pytest

from tests.architecture.test_imports import PURE
from tests.support.template import ROOT

PACKAGE = ROOT / "iot_job_canceler"
MODULES = {path.stem: ast.parse(path.read_text()) for path in sorted(PACKAGE.glob("*.py"))}
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

# Library → the only modules that may import it.
ONLY_IN: dict[str, set[str]] = {
    "boto3": {"stack"},
    "botocore": {"stack"},  # so that error codes are translated in one place
    "mypy_boto3_lambda": {"stack"},
    "rich": {"output"},
    "argparse": {"options"},
}


def imported(module: str) -> set[str]:
    """Return the dotted names of the modules that the module imports, without those of the package."""
    names = {alias.name for node in ast.walk(MODULES[module]) if isinstance(node, ast.Import) for alias in node.names}
    imports = [node for node in ast.walk(MODULES[module]) if isinstance(node, ast.ImportFrom)]
    return names | {str(node.module) for node in imports if node.level == 0}


def libraries(module: str) -> set[str]:
    return {name.partition(".")[0] for name in imported(module)} - {"handler"}


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    assert {module for module in MODULES if library in libraries(module)} == ONLY_IN[library]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_its_libraries_and_the_standard_library(module: str) -> None:
    assert libraries(module) - set(sys.stdlib_module_names) <= set(ONLY_IN)
    assert ast.get_docstring(MODULES[module])


@pytest.mark.parametrize("module", MODULES)
def test_of_the_function_only_pure_modules_are_imported(module: str) -> None:
    used = {name.removeprefix("handler.").replace(".", "/") for name in imported(module) if name.startswith("handler")}
    assert used <= set(PURE)


def test_the_dependencies_are_the_imported_libraries() -> None:
    """An install has botocore from boto3, and no type stubs."""
    assert PYPROJECT["project"]["dependencies"] == ["boto3", "rich"]
    typing_only = {"mypy_boto3_lambda"}
    used = set().union(*(libraries(module) for module in MODULES)) - set(sys.stdlib_module_names) - typing_only
    assert used == {"boto3", "botocore", "rich"}


def test_the_packages_of_the_function_are_not_loaded() -> None:
    others = {"aws_lambda_powertools", "crhelper", "mypy_boto3_lambda"}
    script = f"import sys, iot_job_canceler.commands; print(*sorted({others} & set(sys.modules)))"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    assert done.stdout.split() == []
