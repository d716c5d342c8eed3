"""Figures for the summary, and the number of combinations over all tests and processes."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

_PROPERTY = "fault matrix"
FIGURES = "figures"  # the name of a property that is a line of the summary


class Tally:
    """The combinations of one test."""

    def __init__(self, record_property: Callable[[str, object], None]) -> None:
        self.number = 0
        self._record_property = record_property
        self._lost: dict[str, list[str]] = {}
        self._points: set[str] = set()
        self._triggers: set[str] = set()
        self._faults: set[str] = set()

    def add(self, trigger: str, point: str, fault: str, wrong: list[str]) -> None:
        """Add a combination, and what was wrong in it."""
        self.number += 1
        self._triggers.add(trigger)
        self._points.add(f"{trigger}, {point}")
        self._faults.add(fault)
        if wrong:
            self._lost[f"{trigger}, {point}, {fault}"] = wrong

    def assert_nothing_lost(self) -> None:
        """Record the figures for the summary, too."""
        figures = {
            "combinations": self.number,
            "triggers": sorted(self._triggers),
            "points": sorted(self._points),
            "faults": sorted(self._faults),
            "lost": len(self._lost),
        }
        self._record_property(_PROPERTY, json.dumps(figures))
        assert not self._lost, self._lost


def summary(stats: Mapping[str, Iterable[Any]]) -> str:
    """The lines over all reports of pytest, or nothing if no test left figures."""
    properties = [
        each
        for reports in stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for each in report.user_properties
    ]
    lines = [str(value) for name, value in properties if name == FIGURES]
    if figures := [json.loads(value) for name, value in properties if name == _PROPERTY]:
        lines.append(_matrix(figures))
    return "\n".join(lines)


def _matrix(figures: Sequence[Mapping[str, Any]]) -> str:
    triggers, points, faults = (
        {each for one in figures for each in one[key]} for key in ("triggers", "points", "faults")
    )
    lost = sum(one["lost"] for one in figures)
    return (
        f"fault matrix: {sum(one['combinations'] for one in figures):,} combinations of {len(triggers)} triggers, "
        f"{len(points):,} points of failure and {len(faults)} faults; "
        f"{f'something lost in {lost} of them' if lost else 'nothing lost in any'}"
    )
