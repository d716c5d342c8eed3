"""Files, headings, make targets, parameters and outputs that the documents name exist. Pictures need no other host."""

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bench import cost
from handler.cancellation import criteria, request
from handler.cancellation.report import Outcome, RunStatus
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


def section(page: str, title: str) -> str:
    """The text under a heading of a page, up to the next heading."""
    _, found = re.split(rf"^##+ {title}\n", (ROOT / "docs" / page).read_text(), flags=re.MULTILINE)
    return re.split(r"^##", found, flags=re.MULTILINE)[0]


def names(title: str) -> list[str]:
    """The names in the first column of a table of docs/reference.md."""
    return [name for row in table(section("reference.md", title)) for name in re.findall(r"`(\w+)`", row[0])]


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


def test_the_reference_has_each_parameter_with_its_default_and_no_other() -> None:
    rows = table(section("reference.md", "Parameters"))
    documented = {row[0].strip("`"): "" if row[1] == "empty" else row[1].strip("`") for row in rows}
    assert documented == {name: str(parameter["Default"]) for name, parameter in TEMPLATE["Parameters"].items()}


NAMES: dict[str, Iterable[str]] = {
    "Outputs": TEMPLATE["Outputs"],
    "Custom resource properties": [
        *("ServiceToken", "ServiceTimeout", "OnIncomplete"),
        *(key[0].upper() + key[1:] for key in request.KEYS if key not in ("jobIds", "planId")),
    ],
    "Request": request.KEYS,
    "select": criteria.KEYS,
    "Statuses": RunStatus,
    "Outcomes": Outcome,
}


@pytest.mark.parametrize("title", NAMES)
def test_a_table_of_the_reference_has_each_name_once_and_no_other(title: str) -> None:
    assert sorted(names(title)) == sorted(NAMES[title])


def test_the_cost_is_that_of_the_benchmark() -> None:
    rows = dict(table(section("limits-and-cost.md", "Cost")))
    idle = {item.what: item.dollars for item in cost.of_an_idle_month()}
    full, alarms, none = (f"{cost.dollars_of_an_idle_month(setting):.2f}" for setting in ("FULL", "ALARMS", "NONE"))
    assert rows["an idle month, for each account and Region, with `Monitoring=FULL`"] == full
    assert rows["the same with `Monitoring=ALARMS`"] == alarms
    assert rows["the same with `Monitoring=NONE`"] == none
    assert rows["of that: the dashboard"] == f"{idle['dashboard']:.2f}"
    assert rows["nine alarms"] == f"{idle['alarms']:.2f}"


def test_the_runbook_retains_a_resource_before_it_is_taken_out_of_a_template() -> None:
    """A ServiceToken can't be updated. CloudFormation deletes a resource that is missing from a template."""
    _, retain, take_out, add = re.split(
        r"^\d\. ", section("operations.md", "Move stacks to another canceler"), flags=re.MULTILINE
    )
    assert "DeletionPolicy: Retain" in retain
    assert "Metadata:" in retain
    assert take_out.startswith("Take `Teardown` out of the template")
    assert "under another logical ID" in add
    _, find, *_ = re.split(r"^\d\. ", section("operations.md", "Uninstall"), flags=re.MULTILINE)
    assert "**Both cancel the jobs of the resource.**" in find
    assert "](#move-stacks-to-another-canceler)" in find
    assert "update the stack to" not in " ".join((ROOT / "docs" / "operations.md").read_text().split())


@pytest.mark.parametrize("picture", PICTURES, ids=named)
def test_a_picture_is_valid_svg_without_external_resources(picture: Path) -> None:
    text = picture.read_text()
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own file
    assert set(re.findall(r"\w+://[^\"'\s)]+", text)) == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("picture", PICTURES, ids=named)
def test_every_picture_is_shown_in_a_document(picture: Path) -> None:
    shown = {(each.parent / link).resolve() for each in DOCUMENTS for link in _LINK.findall(prose(each))}
    assert picture in shown
