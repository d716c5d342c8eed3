"""Packages that the simulators and the benchmark must not import."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported_by(folder: str) -> Iterator[str]:
    """Return the top-level packages that the modules of a folder import."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield str(node.module).partition(".")[0]


@pytest.mark.parametrize(("folder", "forbidden"), [("bench", {"tests"}), ("tools/simulators", {"handler", "tests"})])
def test_a_folder_does_not_import_forbidden_packages(folder: str, forbidden: set[str]) -> None:
    packages = set(imported_by(folder))
    assert "tools" in packages
    assert packages.isdisjoint(forbidden)
