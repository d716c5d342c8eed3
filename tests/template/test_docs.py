"""Files, headings, make targets, parameters and outputs that the documents name exist. Pictures need no other host."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.support.template import ROOT, load_template

DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")])
PICTURES = sorted(ROOT.glob("docs/*.svg"))
TEMPLATE = load_template()

_BLOCK = re.compile(r"^ *```.*?^ *```$", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_MAKE = re.compile(r"(?:^ *|`)make ([a-z][a-z-]*)", re.MULTILINE)
_TARGET = re.compile(r"^([a-z][a-z-]*):", re.MULTILINE)


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(path: Path) -> str:
    """Return the document without its blocks of code, which contain brackets and # too."""
    return _BLOCK.sub("", path.read_text())


def anchors(path: Path) -> set[str]:
    """Return the anchors of the headings on GitHub."""
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in _HEADING.findall(prose(path))}


def table(text: str) -> list[list[str]]:
    """Return the cells of the first table."""
    rows = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert rows
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows[0].splitlines()[2:]]


def section(title: str) -> str:
    """Return the text under a heading of the README, up to the next one."""
    _, found = (ROOT / "README.md").read_text().split(f"\n## {title}\n")
    return found.split("\n## ")[0]


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_link_has_a_target(document: Path) -> None:
    for link in _LINK.findall(prose(document)):
        if not link.startswith("https://"):
            file, _, anchor = link.partition("#")
            target = document.parent / file if file else document
            assert target.exists(), link
            assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("document", DOCUMENTS, ids=named)
def test_every_make_target_exists(document: Path) -> None:
    assert set(_MAKE.findall(document.read_text())) <= set(_TARGET.findall((ROOT / "Makefile").read_text()))


def test_the_readme_lists_every_parameter_with_its_default() -> None:
    documented = {
        row[0].strip("`"): "" if row[1] == "empty" else row[1].strip("`") for row in table(section("Parameters"))
    }
    assert documented == {name: str(parameter["Default"]) for name, parameter in TEMPLATE["Parameters"].items()}


def test_the_readme_lists_every_output() -> None:
    documented = section("Parameters").split("Outputs: ")[1]
    assert set(re.findall(r"`([A-Za-z]+)`", documented)) == set(TEMPLATE["Outputs"])


@pytest.mark.parametrize("picture", PICTURES, ids=named)
def test_a_picture_is_valid_svg_without_external_resources(picture: Path) -> None:
    text = picture.read_text()
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own file
    assert set(re.findall(r"\w+://[^\"'\s)]+", text)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("picture", PICTURES, ids=named)
def test_every_picture_is_shown_in_a_document(picture: Path) -> None:
    shown = {(each.parent / link).resolve() for each in DOCUMENTS for link in _LINK.findall(prose(each))}
    assert picture in shown
