"""`make picture`: log lines become the points of a metric."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from tools.demo.metrics import Metric, Value, points, values_in

BEGAN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
FAILED = Metric("IoTJobCanceler", "JobsFailed", frozenset({("service", "s"), ("trigger", "EVENT")}))
CANCELED = Metric("IoTJobCanceler", "JobsCanceled", frozenset({("service", "s")}))
DURATION = Metric("AWS/Lambda", "Duration", frozenset({("FunctionName", "f")}))
INVOCATIONS = Metric("AWS/Lambda", "Invocations", frozenset({("FunctionName", "f")}))


def after(seconds: float) -> datetime:
    return BEGAN + timedelta(seconds=seconds)


def test_an_emf_line_is_a_value_for_each_set_of_dimensions() -> None:
    directive = {
        "Namespace": "N",
        "Dimensions": [["trigger", "service"], ["service"]],
        "Metrics": [{"Name": "A", "Unit": "Count"}],
    }
    emf = {"_aws": {"Timestamp": BEGAN.timestamp() * 1000, "CloudWatchMetrics": [directive]}}
    line = json.dumps(emf | {"trigger": "EVENT", "service": "s", "A": [2.0]}, separators=(",", ":"))
    assert list(values_in([(after(9), line)], "f")) == [
        Value(Metric("N", "A", frozenset({("trigger", "EVENT"), ("service", "s")})), BEGAN, 2.0),
        Value(Metric("N", "A", frozenset({("service", "s")})), BEGAN, 2.0),
    ]


def test_a_report_line_is_an_invocation_with_its_duration() -> None:
    report = "REPORT RequestId: 1\tDuration: 1500.50 ms\tBilled Duration: 1501 ms\tMemory Size: 512 MB"
    assert list(values_in([(after(1.5005), report)], "f")) == [
        Value(INVOCATIONS, BEGAN, 1),
        Value(DURATION, BEGAN, 1500.5),
    ]


@pytest.mark.parametrize("line", ["START RequestId: 1", '{"level": "INFO", "message": "report"}', ""])
def test_any_other_line_has_no_value(line: str) -> None:
    assert not list(values_in([(BEGAN, line)], "f"))


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("Sum", [(0.0, 5.0), (10.0, 7.0)]),
        ("Maximum", [(0.0, 4.0), (10.0, 7.0)]),
        ("Average", [(0.0, 2.5), (10.0, 7.0)]),
    ],
)
def test_points_are_the_statistic_of_each_period(statistic: str, expected: list[tuple[float, float]]) -> None:
    values = [
        Value(FAILED, after(0), 1),
        Value(FAILED, after(4.9), 4),
        Value(FAILED, after(10), 7),
        Value(CANCELED, after(1), 100),
    ]
    assert points(values, FAILED, statistic, BEGAN, 5) == expected
