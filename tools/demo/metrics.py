"""Metrics that CloudWatch extracts from the function's log and a local AWS does not: EMF lines and invocations."""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import mean
from typing import Any, Final

from tools.localaws.reports import duration_in

_STATISTICS: Final[Mapping[str, Callable[[list[float]], float]]] = {"Sum": sum, "Maximum": max, "Average": mean}

type Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Metric:
    """A metric of CloudWatch. `dimensions` are pairs of name and value."""

    namespace: str
    name: str
    dimensions: frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Value:
    """One value of a metric."""

    metric: Metric
    at: datetime
    value: float


def values_in(lines: Iterable[tuple[datetime, str]], function_name: str) -> Iterator[Value]:
    """Yield the values in the function's log: in EMF lines, and in Lambda's REPORT of each invocation."""
    for at, line in lines:
        if line.startswith('{"_aws":'):
            yield from _emf(json.loads(line))
        elif duration := duration_in(line):
            yield from _invocation(at, duration, frozenset({("FunctionName", function_name)}))


def _emf(record: dict[str, Any]) -> Iterator[Value]:
    at = datetime.fromtimestamp(record["_aws"]["Timestamp"] / 1000, UTC)
    for directive in record["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = frozenset((name, record[name]) for name in names)
            for definition in directive["Metrics"]:
                metric = Metric(directive["Namespace"], definition["Name"], dimensions)
                yield from (Value(metric, at, value) for value in record[definition["Name"]])


def _invocation(ended_at: datetime, milliseconds: float, dimensions: frozenset[tuple[str, str]]) -> Iterator[Value]:
    began_at = ended_at - timedelta(milliseconds=milliseconds)
    yield Value(Metric("AWS/Lambda", "Invocations", dimensions), began_at, 1)
    yield Value(Metric("AWS/Lambda", "Duration", dimensions), began_at, milliseconds)


def points(values: Iterable[Value], metric: Metric, statistic: str, since: datetime, period: int) -> Points:
    """Return the statistic of each period with a value. The first period begins at `since`."""
    in_period: dict[float, list[float]] = defaultdict(list)
    for each in values:
        if each.metric == metric:
            in_period[(each.at - since).total_seconds() // period * period].append(each.value)
    return [(at, _STATISTICS[statistic](in_period[at])) for at in sorted(in_period)]
