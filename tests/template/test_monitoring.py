"""Dashboard, alarms and saved query: valid, of metrics that exist, and each alarm explained in docs/operations.md."""

import ast
import json
import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import jsonschema
import pytest
from moto.events.models import EventPattern

from bench import cost
from tests.support.template import ROOT, condition_holds, deployed_resources, load_template, resolved
from tests.template.test_public_contract import METRICS

RESOURCES: dict[str, dict[str, Any]] = load_template()["Resources"]
DEPLOYED: dict[str, dict[str, Any]] = deployed_resources(AlarmNamePrefix="rollout-", AlarmTopicArn="arn")
TIMEOUT = RESOURCES["Function"]["Properties"]["Timeout"]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
NAMESPACE = "IoTJobCanceler"

# Metrics of AWS, each with its only dimension.
AWS_METRICS = {
    ("AWS/Lambda", "Invocations"): "FunctionName",
    ("AWS/Lambda", "Errors"): "FunctionName",
    ("AWS/Lambda", "Throttles"): "FunctionName",
    ("AWS/Lambda", "Duration"): "FunctionName",
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): "QueueName",
    ("AWS/SQS", "ApproximateNumberOfMessagesNotVisible"): "QueueName",
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): "QueueName",
}
OF_FUNCTION = {"Function"}
OF_QUEUES = {f"{queue}.QueueName" for queue in ("Backlog", "Teardowns", "FailureQueue", "TeardownFailures")}

SERVICE = {"service": "canceler"}
FUNCTION = {"FunctionName": "Function"}
AGE, VISIBLE = "ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"
# Name → namespace, metric, dimensions, statistic, threshold (a number or a parameter), how many of how many periods.
ALARMS: dict[str, tuple[str, str, dict[str, str], str, int | str, int, int]] = {
    "JobsFailed": (NAMESPACE, "JobsFailed", SERVICE, "Sum", 0, 1, 1),
    "CancelsUnusual": (NAMESPACE, "JobsCanceled", SERVICE, "Sum", "MaxJobsPerRun", 1, 1),
    "RunsRejected": (NAMESPACE, "RunsRejected", SERVICE, "Sum", 0, 1, 1),
    "BacklogAge": ("AWS/SQS", AGE, {"QueueName": "Backlog.QueueName"}, "Maximum", 3600, 1, 1),
    "TeardownsAge": ("AWS/SQS", AGE, {"QueueName": "Teardowns.QueueName"}, "Maximum", 3600, 1, 1),
    "FailureQueueNotEmpty": ("AWS/SQS", VISIBLE, {"QueueName": "FailureQueue.QueueName"}, "Maximum", 0, 1, 1),
    "TeardownFailuresNotEmpty": ("AWS/SQS", VISIBLE, {"QueueName": "TeardownFailures.QueueName"}, "Maximum", 0, 1, 1),
    "FunctionErrors": ("AWS/Lambda", "Errors", FUNCTION, "Sum", 0, 1, 1),
    "FunctionThrottles": ("AWS/Lambda", "Throttles", FUNCTION, "Sum", 0, 2, 3),
}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id → properties, resolved."""
    return {name: resolved(each["Properties"]) for name, each in DEPLOYED.items() if each["Type"] == kind}


def alarms() -> dict[str, dict[str, Any]]:
    """Name without the stack's → properties."""
    return {each["AlarmName"].removeprefix("canceler/"): each for each in of_type("AWS::CloudWatch::Alarm").values()}


DASHBOARD: dict[str, Any] = json.loads(resolved(DEPLOYED["Dashboard"]["Properties"]["DashboardBody"]))
CHARTS: list[dict[str, Any]] = [each["properties"] for each in DASHBOARD["widgets"] if each["type"] == "metric"]
QUERY: str = RESOURCES["WhoCancelled"]["Properties"]["QueryString"]


def rows(chart: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Return namespace, name and dimensions of each metric. A "." repeats the value of the row before."""
    before: list[str] = []
    for row in chart["metrics"]:
        texts = [each for each in row if isinstance(each, str)]
        before = [before[place] if text == "." else text for place, text in enumerate(texts)]
        yield before[0], before[1], dict(zip(before[2::2], before[3::2], strict=True))


def watched_metrics() -> list[Any]:
    of_alarms = [
        pytest.param(
            each["Namespace"],
            each["MetricName"],
            {d["Name"]: d["Value"] for d in each["Dimensions"]},
            id=f"alarm {name}",
        )
        for name, each in alarms().items()
    ]
    of_charts = [pytest.param(*row, id=f"{chart['title']} {row[1]}") for chart in CHARTS for row in rows(chart)]
    return of_alarms + of_charts


# Metrics


def test_the_function_counts_no_other_metric() -> None:
    for path in (ROOT / "src" / "handler").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="count" | "_count"), args=[ast.Constant(value=str(name))]):
                    assert name in METRICS


@pytest.mark.parametrize(("namespace", "name", "dimensions"), watched_metrics())
def test_every_watched_metric_exists(namespace: str, name: str, dimensions: dict[str, str]) -> None:
    if namespace == NAMESPACE:
        assert name in METRICS
        assert dimensions["service"] == "canceler", "POWERTOOLS_SERVICE_NAME is the stack's name"
        assert dimensions.keys() == {"service"}
    else:
        (dimension,) = dimensions
        assert AWS_METRICS[namespace, name] == dimension
        assert dimensions[dimension] in (OF_FUNCTION if dimension == "FunctionName" else OF_QUEUES)


def test_the_dashboard_shows_every_metric_of_the_function() -> None:
    assert {name for chart in CHARTS for namespace, name, _ in rows(chart) if namespace == NAMESPACE} == METRICS


def test_one_panel_shows_every_outcome() -> None:
    """No panel repeats a metric of another one."""
    shown = [(namespace, name, *found.items()) for chart in CHARTS for namespace, name, found in rows(chart)]
    assert [each for each in shown if shown.count(each) > 1 and each[1] != "Duration"] == []
    (outcomes,) = [chart for chart in CHARTS if chart["title"] == "Jobs by outcome"]
    assert {name for _, name, _ in rows(outcomes)} == {name for name in METRICS if name.startswith("Jobs")}


def test_the_dashboard_shows_every_queue() -> None:
    shown = {(name, found["QueueName"]) for chart in CHARTS for _, name, found in rows(chart) if "QueueName" in found}
    assert {(VISIBLE, queue) for queue in OF_QUEUES} <= shown
    assert {(AGE, "Backlog.QueueName"), (AGE, "Teardowns.QueueName")} <= shown


# The dashboard

COLOR = {"type": "string", "pattern": "^#[0-9a-f]{6}$"}
TEXT = {"type": "string", "minLength": 1, "not": {"pattern": r"\$\{"}}


def exactly(required: dict[str, Any], **optional: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | optional,
        "required": list(required),
        "additionalProperties": False,
    }


# The part of CloudWatch's "Dashboard Body Structure and Syntax" that this dashboard uses.
METRIC_PROPERTIES = exactly(
    {
        "title": TEXT,
        "region": {"const": "eu-west-1"},
        "stat": {"enum": ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]},
        "yAxis": exactly({"left": exactly({"min": {"type": "number"}})}),
        "metrics": {
            "type": "array",
            "minItems": 1,
            "maxItems": 500,
            "items": {
                "type": "array",
                "minItems": 5,
                "items": {
                    "anyOf": [
                        TEXT,
                        exactly({"color": COLOR}, label=TEXT, stat={"enum": ["Average", "Sum", "Minimum", "Maximum"]}),
                    ]
                },
            },
        },
    },
    stacked={"type": "boolean"},
    annotations=exactly(
        {
            "horizontal": {
                "type": "array",
                "items": exactly({"value": {"type": "number"}, "label": TEXT, "color": COLOR}),
            }
        }
    ),
)
ALARM_PROPERTIES = exactly(
    {"title": TEXT, "alarms": {"type": "array", "minItems": 1, "maxItems": 100, "items": TEXT, "uniqueItems": True}}
)


def widget(kind: str, properties: dict[str, Any]) -> dict[str, Any]:
    return exactly(
        {
            "type": {"const": kind},
            "x": {"type": "integer", "minimum": 0, "maximum": 23},
            "y": {"type": "integer", "minimum": 0},
            "width": {"type": "integer", "minimum": 1, "maximum": 24},
            "height": {"type": "integer", "minimum": 1, "maximum": 1000},
            "properties": properties,
        }
    )


DASHBOARD_SCHEMA = exactly(
    {
        "widgets": {
            "type": "array",
            "maxItems": 500,
            "items": {"oneOf": [widget("metric", METRIC_PROPERTIES), widget("alarm", ALARM_PROPERTIES)]},
        }
    }
)


def test_the_dashboard_body_is_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(DASHBOARD_SCHEMA)
    jsonschema.validate(DASHBOARD, DASHBOARD_SCHEMA)


def test_widgets_do_not_overlap() -> None:
    assert all(each["x"] + each["width"] <= 24 for each in DASHBOARD["widgets"])
    for one, other in combinations(DASHBOARD["widgets"], 2):
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        above = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
        assert beside or above, f"{one['properties']['title']} and {other['properties']['title']}"


def test_a_row_of_a_chart_ends_with_its_rendering_properties() -> None:
    for chart in CHARTS:
        for *texts, shown in chart["metrics"]:
            assert all(isinstance(each, str) for each in texts)
            assert isinstance(shown, dict)


def test_the_dashboard_shows_every_alarm() -> None:
    (shown,) = [each["properties"]["alarms"] for each in DASHBOARD["widgets"] if each["type"] == "alarm"]
    assert sorted(shown) == sorted(f"{name}.Arn" for name in of_type("AWS::CloudWatch::Alarm"))


def test_each_region_has_a_dashboard_of_its_own() -> None:
    """Dashboards are global in an account: a stack of the same name in another Region would overwrite it."""
    assert resolved(DEPLOYED["Dashboard"]["Properties"]["DashboardName"]) == "canceler-eu-west-1"


def test_the_picture_shows_every_widget_and_alarm() -> None:
    picture = (ROOT / "docs" / "dashboard.svg").read_text()
    for name in [*(each["properties"]["title"] for each in DASHBOARD["widgets"]), *ALARMS]:
        assert f">{name}</text>" in picture, "run make picture"


# Monitoring and its cost


@pytest.mark.parametrize(
    ("monitoring", "alarms", "dashboards", "dollars"),
    [("FULL", 9, 1, 4.49), ("ALARMS", 9, 0, 1.60), ("NONE", 0, 0, 0.65)],
)
def test_monitoring_decides_on_alarms_and_dashboard(
    monitoring: str, alarms: int, dashboards: int, dollars: float
) -> None:
    kinds = [each["Type"] for each in deployed_resources(Monitoring=monitoring).values()]
    assert kinds.count("AWS::CloudWatch::Alarm") == alarms
    assert kinds.count("AWS::CloudWatch::Dashboard") == dashboards
    items = {item.what: item.number for item in cost.of_an_idle_month(monitoring)}
    assert (items.get("alarms", 0), items.get("dashboard", 0)) == (alarms, dashboards)
    assert cost.dollars_of_an_idle_month(monitoring) < dollars
    condition = load_template()["Outputs"]["DashboardUrl"]["Condition"]
    assert condition_holds(condition, Monitoring=monitoring) is (dashboards == 1)


# Alarms


def test_every_alarm_is_in_the_table() -> None:
    found = {
        name: (
            each["Namespace"],
            each["MetricName"],
            {dimension["Name"]: dimension["Value"] for dimension in each["Dimensions"]},
            each["Statistic"],
            each["Threshold"],
            each.get("DatapointsToAlarm", each["EvaluationPeriods"]),
            each["EvaluationPeriods"],
        )
        for name, each in alarms().items()
    }
    assert found == ALARMS


@pytest.mark.parametrize("name", ALARMS)
def test_an_alarm_ignores_missing_data_and_notifies_the_topic(name: str) -> None:
    alarm = alarms()[name]
    assert (alarm["Period"], alarm["TreatMissingData"]) == (300, "notBreaching")
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["AlarmActions"] == ["AlarmTopicArn"]
    assert not alarm.keys() & {"OKActions", "InsufficientDataActions", "ActionsEnabled"}
    assert alarm["AlarmDescription"].endswith(f"See docs/operations.md, {name}.")


def test_the_topic_is_optional() -> None:
    assert "AlarmActions" not in deployed_resources()["JobsFailedAlarm"]["Properties"]


def test_the_chart_of_the_duration_shows_the_timeout() -> None:
    (limits,) = [
        chart["annotations"]["horizontal"] for chart in CHARTS if any(name == "Duration" for _, name, _ in rows(chart))
    ]
    assert [limit["value"] for limit in limits] == [TIMEOUT * 1000]


def test_the_chart_shows_the_threshold_of_the_age_alarms() -> None:
    (limits,) = [
        chart["annotations"]["horizontal"] for chart in CHARTS if any(name == AGE for _, name, _ in rows(chart))
    ]
    assert [limit["value"] for limit in limits] == [3600]


def went_to_alarm(name: str) -> Any:
    """Return the event of an alarm that goes to ALARM."""
    event = json.loads((ROOT / "events" / "alarm-to-alarm.json").read_text())
    event["resources"] = [f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"]
    event["detail"]["alarmName"] = name
    return event


def alarm_rule_matches(event: Any, prefix: str) -> bool:
    pattern = resolved(DEPLOYED["AlarmRule"]["Properties"]["EventPattern"], AlarmNamePrefix=prefix)
    matches: bool = EventPattern.load(json.dumps(pattern)).matches_event(event)
    return matches


@pytest.mark.parametrize("name", ALARMS)
def test_no_prefix_matches_an_alarm_of_the_stack_itself(name: str) -> None:
    """The event names no job, so its rejection would raise the next alarm."""
    full = f"canceler/{name}"
    for length in range(1, len(full) + 1):
        assert not alarm_rule_matches(went_to_alarm(full), full[:length])


@pytest.mark.parametrize("name", ["canceler-rollout", "canceler", "cancel", "cancelers/x"])
def test_other_alarms_match_the_prefix_whatever_the_stack_is_called(name: str) -> None:
    assert alarm_rule_matches(went_to_alarm(name), "cancel")


# The runbook


def sections(level: str) -> dict[str, str]:
    """Title → text, of each section of docs/operations.md of that level."""
    parts = re.split(rf"^{level} (.+)$", OPERATIONS, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_alarm_has_a_runbook() -> None:
    runbooks = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", OPERATIONS, re.MULTILINE | re.DOTALL))
    assert runbooks.keys() == ALARMS.keys()
    for name, text in runbooks.items():
        assert re.findall(r"^- \*\*(.+?)\.\*\*", text, re.MULTILINE) == ["Means", "Check", "Do", "Noise"], name


def test_every_documented_metric_exists() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", sections("##")["Metrics without an alarm"], re.MULTILINE))
    assert explained <= METRICS
    assert not explained & ALARMS.keys()


# The saved query


def test_the_documentation_shows_the_saved_query() -> None:
    (shown,) = re.findall(r"^```\n(filter .*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert shown == QUERY
