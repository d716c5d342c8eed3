"""`make picture`: how log lines become points, a dashboard's source becomes widgets, and both become a picture."""

import json
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from tools.demo.dashboard import Line, Widget, read_source
from tools.demo.drawing import draw
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


def test_a_report_line_is_an_invocation_that_began_so_long_before() -> None:
    report = "REPORT RequestId: 1\tDuration: 1500.50 ms\tBilled Duration: 1501 ms\tMemory Size: 512 MB"
    assert list(values_in([(after(1.5005), report)], "f")) == [
        Value(INVOCATIONS, BEGAN, 1),
        Value(DURATION, BEGAN, 1500.5),
    ]


@pytest.mark.parametrize("line", ["START RequestId: 1", '{"level": "INFO", "message": "report"}', ""])
def test_any_other_line_tells_no_value(line: str) -> None:
    assert not list(values_in([(BEGAN, line)], "f"))


@pytest.mark.parametrize(
    ("statistic", "expected"),
    [
        ("Sum", [(0.0, 5.0), (10.0, 7.0)]),
        ("Maximum", [(0.0, 4.0), (10.0, 7.0)]),
        ("Average", [(0.0, 2.5), (10.0, 7.0)]),
    ],
)
def test_points_are_the_statistic_of_each_period_that_has_a_value(
    statistic: str, expected: list[tuple[float, float]]
) -> None:
    values = [
        Value(FAILED, after(0), 1),
        Value(FAILED, after(4.9), 4),
        Value(FAILED, after(10), 7),
        Value(CANCELED, after(1), 100),
    ]
    assert points(values, FAILED, statistic, BEGAN, 5) == expected


SOURCE = {
    "widgets": [
        {"type": "alarm", "x": 0, "y": 0, "width": 4, "height": 2, "properties": {"title": "A", "alarms": ["arn:s/X"]}},
        {
            "type": "metric",
            "x": 4,
            "y": 2,
            "width": 6,
            "height": 5,
            "properties": {
                "title": "J",
                "stat": "Sum",
                "stacked": True,
                "annotations": {"horizontal": [{"value": 3, "label": "limit", "color": "#000000"}]},
                "metrics": [
                    ["IoTJobCanceler", "JobsFailed", "service", "s", "trigger", "EVENT", {"color": "#ff0000"}],
                    [".", "JobsCanceled", ".", ".", {"color": "#00ff00", "label": "done", "stat": "Maximum"}],
                ],
            },
        },
    ]
}
RED = Line(FAILED, "Sum", "JobsFailed", "#ff0000")
GREEN = Line(CANCELED, "Maximum", "done", "#00ff00")
WIDGETS = [
    Widget(0, 0, 4, 2, "A", (), ("arn:s/X",), is_stacked=False, limits=()),
    Widget(4, 2, 6, 5, "J", (RED, GREEN), (), is_stacked=True, limits=((3, "limit"),)),
]


def test_the_source_of_a_dashboard_is_read() -> None:
    assert read_source(json.dumps(SOURCE)) == WIDGETS


def texts(picture: str) -> list[str]:
    root = ET.fromstring(picture)  # noqa: S314 - our own
    return [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]


def bars(picture: str, color: str) -> list[tuple[float, float]]:
    """Top and bottom of each bar, the eight pixels of the legend left out."""
    root = ET.fromstring(picture)  # noqa: S314 - our own
    found = [each for each in root.iter("{http://www.w3.org/2000/svg}rect") if each.get("fill") == color]
    places = [(float(each.get("y", "")), float(each.get("height", ""))) for each in found if each.get("height") != "8"]
    return [(y, y + height) for y, height in places]


def test_the_picture_has_titles_legends_limits_and_states() -> None:
    told = texts(draw(WIDGETS, {RED: [(0.0, 1.0)], GREEN: []}, {"arn:s/X": "ALARM"}, 10))
    assert {"A", "J", "X", "alarm", "JobsFailed", "done", "limit", "0 s", "5 s", "10 s"} <= set(told)
    assert "nothing of the kind happened" not in told


def test_bars_are_as_high_as_their_values_and_stand_on_each_other() -> None:
    picture = draw(WIDGETS, {RED: [(0.0, 1.0), (5.0, 2.0)], GREEN: [(5.0, 2.0)]}, {"arn:s/X": "OK"}, 10)
    (top_of_one, foot_of_one), (top_of_two, foot_of_two) = bars(picture, "#ff0000")
    ((top, foot),) = bars(picture, "#00ff00")
    assert (foot_of_one, foot_of_two) == pytest.approx((0, 0), abs=0.11)
    assert top_of_two == pytest.approx(2 * top_of_one, abs=0.11)
    assert (top, foot) == pytest.approx((2 * top_of_two, top_of_two), abs=0.11)


def test_a_chart_without_data_says_so() -> None:
    assert "nothing of the kind happened" in texts(draw(WIDGETS, {RED: [], GREEN: []}, {"arn:s/X": "OK"}, 10))
    depth = Line(Metric("AWS/SQS", "Depth", frozenset()), "Maximum", "depth", "#0000ff")
    queue = Widget(0, 0, 6, 6, "Q", (depth,), (), is_stacked=False, limits=())
    assert "no data here: not on a local AWS" in texts(draw([queue], {depth: []}, {}, 10))


def test_only_points_of_periods_that_follow_each_other_are_joined() -> None:
    line = Widget(0, 0, 6, 6, "L", (RED,), (), is_stacked=False, limits=())
    picture = draw([line], {RED: [(0.0, 1.0), (5.0, 2.0), (15.0, 1.0)]}, {}, 20)
    assert picture.count("<circle") == 3
    assert picture.count('stroke="#ff0000"') == 1


def test_a_label_is_text_and_no_markup() -> None:
    widget = Widget(0, 0, 6, 6, "<b>&", (RED,), (), is_stacked=False, limits=())
    assert "<b>&" in texts(draw([widget], {RED: []}, {}, 10))
