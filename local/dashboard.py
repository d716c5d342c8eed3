"""The source of a CloudWatch dashboard, as far as template.yaml's is written in it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .metrics import Metric


@dataclass(frozen=True)
class Line:
    """One metric of a widget, and how it is shown. `statistic` is Sum, Maximum or Average."""

    metric: Metric
    statistic: str
    label: str
    color: str


@dataclass(frozen=True)
class Widget:
    """One widget, at a place of the grid of 24 columns. A widget has `lines`, or names `alarms` by their ARNs."""

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
    """The widgets of a dashboard's source, in which every name is resolved."""
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
    """A row is namespace, name, and pairs of a dimension; "." stands for what the row before it has there."""
    before: list[str] = []
    for *written, shown in rows:
        told = [before[place] if text == "." else text for place, text in enumerate(written)]
        dimensions = frozenset(zip(told[2::2], told[3::2], strict=True))
        metric = Metric(told[0], told[1], dimensions)
        yield Line(metric, shown.get("stat", statistic), shown.get("label", metric.name), shown["color"])
        before = told
