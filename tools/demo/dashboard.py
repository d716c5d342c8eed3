"""The parts of a CloudWatch dashboard's source that the dashboard in template.yaml uses."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .metrics import Metric


@dataclass(frozen=True)
class Line:
    """One metric of a widget. `statistic` is Sum, Maximum or Average."""

    metric: Metric
    statistic: str
    label: str
    color: str


@dataclass(frozen=True)
class Widget:
    """A widget in a grid of 24 columns. It has `lines`, or the ARNs of `alarms`."""

    x: int
    y: int
    width: int
    height: int
    title: str
    lines: tuple[Line, ...]
    alarms: tuple[str, ...]
    is_stacked: bool
    limits: tuple[tuple[float, str], ...]


def read_source(source: str) -> list[Widget]:
    """Return the widgets of a deployed dashboard's source."""
    return [_widget(each) for each in json.loads(source)["widgets"]]


def _widget(source: Mapping[str, Any]) -> Widget:
    properties = source["properties"]
    horizontal = properties.get("annotations", {}).get("horizontal", [])
    return Widget(
        x=source["x"],
        y=source["y"],
        width=source["width"],
        height=source["height"],
        title=properties["title"],
        lines=tuple(_lines(properties.get("metrics", []), properties.get("stat", ""))),
        alarms=tuple(properties.get("alarms", [])),
        is_stacked=properties.get("stacked", False),
        limits=tuple((each["value"], each["label"]) for each in horizontal),
    )


def _lines(rows: Sequence[Sequence[Any]], statistic: str) -> Iterator[Line]:
    """Parse rows of namespace, name, and pairs of a dimension; "." repeats the cell of the previous row."""
    previous: list[str] = []
    for *texts, options in rows:
        cells = [previous[index] if text == "." else text for index, text in enumerate(texts)]
        dimensions = frozenset(zip(cells[2::2], cells[3::2], strict=True))
        metric = Metric(cells[0], cells[1], dimensions)
        yield Line(metric, options.get("stat", statistic), options.get("label", metric.name), options["color"])
        previous = cells
