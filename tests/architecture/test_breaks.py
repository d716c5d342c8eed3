"""Each break changes code that exists, names a test that exists, and is listed in docs/testing.md."""

import ast
from pathlib import Path

import pytest

from tests.breaks import BREAKS, Break

ROOT = Path(__file__).parents[2]
BREAK = pytest.mark.parametrize("each", BREAKS, ids=[each.what for each in BREAKS])


@BREAK
def test_the_code_has_the_place_once(each: Break) -> None:
    assert (ROOT / "src" / "handler" / f"{each.module}.py").read_text().count(each.text) == 1
    assert each.text != each.instead


@BREAK
def test_what_is_broken_is_still_python(each: Break) -> None:
    source = (ROOT / "src" / "handler" / f"{each.module}.py").read_text()
    ast.parse(source.replace(each.text, each.instead))


@BREAK
def test_the_test_is_there(each: Break) -> None:
    path, _, name = each.test.partition("::")
    tree = ast.parse((ROOT / path).read_text())
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@BREAK
def test_the_documentation_lists_it(each: Break) -> None:
    row = f"| {each.guarantee} | {each.what} | `{each.test.rpartition('::')[2]}` |"
    assert row in (ROOT / "docs" / "testing.md").read_text()


def test_every_guarantee_has_several_breaks() -> None:
    guarantees = [each.guarantee for each in BREAKS]
    assert {guarantee: guarantees.count(guarantee) > 1 for guarantee in guarantees} == dict.fromkeys(
        ["1 convergent", "2 only safer", "3 fails closed", "4 nothing lost", "5 always responds", "6 no secret"], True
    )
