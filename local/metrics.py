"""What CloudWatch makes metrics of, and a local AWS does not: the EMF lines of the function, and its invocations."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import mean
from typing import Any, Final

_REPORT = re.compile(r"^REPORT .*\bDuration: ([0-9.]+) ms\tBilled")
_STATISTICS: Final[Mapping[str, Callable[[list[float]], float]]] = {"Sum": sum, "Maximum": max, "Average": mean}

type Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Metric:
    """One metric of CloudWatch. `dimensions` are names and their values."""

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
    """Every value that the lines of the function's log tell: in EMF, or in Lambda's REPORT of an invocation."""
    for at, line in lines:
        if line.startswith('{"_aws":'):
            yield from _emf(json.loads(line))
        elif report := _REPORT.match(line):
            yield from _invocation(at, float(report[1]), frozenset({("FunctionName", function_name)}))


def _emf(record: dict[str, Any]) -> Iterator[Value]:
    at = datetime.fromtimestamp(record["_aws"]["Timestamp"] / 1000, UTC)
    for directive in record["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = frozenset((name, record[name]) for name in names)
            for told in directive["Metrics"]:
                metric = Metric(directive["Namespace"], told["Name"], dimensions)
                yield from (Value(metric, at, value) for value in record[told["Name"]])


def _invocation(ended_at: datetime, milliseconds: float, dimensions: frozenset[tuple[str, str]]) -> Iterator[Value]:
    began_at = ended_at - timedelta(milliseconds=milliseconds)
    yield Value(Metric("AWS/Lambda", "Invocations", dimensions), began_at, 1)
    yield Value(Metric("AWS/Lambda", "Duration", dimensions), began_at, milliseconds)


def points(values: Iterable[Value], metric: Metric, statistic: str, since: datetime, period: int) -> Points:
    """The metric's statistic in each period that has a value. Periods begin at whole multiples after `since`."""
    in_period: dict[float, list[float]] = defaultdict(list)
    for each in values:
        if each.metric == metric:
            in_period[(each.at - since).total_seconds() // period * period].append(each.value)
    return [(at, _STATISTICS[statistic](in_period[at])) for at in sorted(in_period)]
