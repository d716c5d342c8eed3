"""bench/RESULTS.md as Markdown: the goals, then a section for each measurement."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

type Rows = Iterable[Sequence[str]]


@dataclass(frozen=True)
class Goal:
    """What was to be reached, what was reached, and the reason if the goal was missed."""

    what: str
    wanted: str
    found: str
    met: bool
    obstacle: str


@dataclass(frozen=True)
class Section:
    """One measurement: its paragraphs, and its goals."""

    title: str
    parts: Sequence[str]
    goals: Sequence[Goal] = ()


def text(introduction: str, sections: Sequence[Section]) -> str:
    """Return the whole page."""
    goals = [goal for section in sections for goal in section.goals]
    parts = ["# Measured", introduction, "## Goals", _goals(goals)]
    parts += [f"Not met: {goal.what}. In the way: {goal.obstacle}." for goal in goals if not goal.met]
    for section in sections:
        parts += [f"## {section.title}", *section.parts]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _goals(goals: Iterable[Goal]) -> str:
    rows = ((goal.what, goal.wanted, goal.found, "yes" if goal.met else "**no**") for goal in goals)
    return table(("goal", "wanted", "found", "met"), rows)


def table(head: Sequence[str], rows: Rows) -> str:
    """Return a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
