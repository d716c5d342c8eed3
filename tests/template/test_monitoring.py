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

from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger
from tests.conftest import Function, Log
from tests.support.fakes import FakeJob
from tests.support.template import ROOT, load_template, resolved
from tools.simulators.events import STACK_ID

RESOURCES: dict[str, dict[str, Any]] = load_template()["Resources"]
TIMEOUT = RESOURCES["Function"]["Properties"]["Timeout"]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
OURS = "IoTJobCanceler"

# What the function emits, each with the dimensions service and trigger, and with service alone.
EMITTED = {
    "RunsSettled",
    "RunsUnsettled",
    "RunsUnfinished",
    "RunsRejected",
    "RunsIgnored",
    "JobsCanceled",
    "JobsAlreadyCanceled",
    "JobsAlreadyFinished",
    "JobsGone",
    "JobsWouldCancel",
    "JobsProtected",
    "JobsDeferred",
    "JobsFailed",
    "ExecutionsLeftInProgress",
    "TeardownsContinued",
    "TeardownsOutOfTime",
    "ResponsesUndelivered",
    "ReportsUnpublished",
    "UnexpectedErrors",
}
TRIGGERS = {"TEARDOWN", "SCHEDULE", "EVENT", "DIRECT"}
# What AWS provides, and its one dimension.
PROVIDED = {
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
# Name → namespace, metric, dimensions, statistic, threshold, how many of how many periods of 300 s.
ALARMS: dict[str, tuple[str, str, dict[str, str], str, int, int, int]] = {
    "JobsFailed": (OURS, "JobsFailed", SERVICE, "Sum", 0, 1, 1),
    "RunsRejected": (OURS, "RunsRejected", SERVICE, "Sum", 0, 1, 1),
    "BacklogAge": ("AWS/SQS", AGE, {"QueueName": "Backlog.QueueName"}, "Maximum", 3600, 1, 1),
    "TeardownsAge": ("AWS/SQS", AGE, {"QueueName": "Teardowns.QueueName"}, "Maximum", 3600, 1, 1),
    "FailureQueueNotEmpty": ("AWS/SQS", VISIBLE, {"QueueName": "FailureQueue.QueueName"}, "Maximum", 0, 1, 1),
    "TeardownFailuresNotEmpty": ("AWS/SQS", VISIBLE, {"QueueName": "TeardownFailures.QueueName"}, "Maximum", 0, 1, 1),
    "FunctionErrors": ("AWS/Lambda", "Errors", FUNCTION, "Sum", 0, 1, 1),
    "FunctionThrottles": ("AWS/Lambda", "Throttles", FUNCTION, "Sum", 0, 2, 3),
    "FunctionDuration": ("AWS/Lambda", "Duration", FUNCTION, "Maximum", 240_000, 12, 15),
}


def of_type(kind: str) -> dict[str, dict[str, Any]]:
    """Logical id → properties, resolved."""
    return {name: resolved(each["Properties"]) for name, each in RESOURCES.items() if each["Type"] == kind}


def alarms() -> dict[str, dict[str, Any]]:
    """Name without the stack's → properties."""
    return {each["AlarmName"].removeprefix("canceler/"): each for each in of_type("AWS::CloudWatch::Alarm").values()}


DASHBOARD: dict[str, Any] = json.loads(resolved(RESOURCES["Dashboard"]["Properties"]["DashboardBody"]))
CHARTS: list[dict[str, Any]] = [each["properties"] for each in DASHBOARD["widgets"] if each["type"] == "metric"]
QUERY: str = RESOURCES["WhoCancelled"]["Properties"]["QueryString"]


def rows(chart: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Namespace, name and dimensions of each metric. A "." is what stands there in the row before."""
    before: list[str] = []
    for row in chart["metrics"]:
        texts = [each for each in row if isinstance(each, str)]
        before = [before[place] if text == "." else text for place, text in enumerate(texts)]
        yield before[0], before[1], dict(zip(before[2::2], before[3::2], strict=True))


def metrics_that_are_watched() -> list[Any]:
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


def names_that_are_counted() -> set[str]:
    """Every name that is given to a method or function `count` or `_count` as it is written."""
    found = set()
    for path in (ROOT / "src" / "handler").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Attribute(attr="count" | "_count"), args=[ast.Constant(value=str(name))]):
                    found.add(name)
    return found


def test_what_the_function_emits_is_in_the_table_with_both_sets_of_dimensions(
    log: Log, capsys: pytest.CaptureFixture[str]
) -> None:
    for status in RunStatus:
        log.telemetry.report(Report(status, Trigger.EVENT))
    for outcome in Outcome:
        log.telemetry.report(Report(RunStatus.SETTLED, Trigger.EVENT, jobs=(JobResult("a", outcome),)))
    told = [json.loads(line)["_aws"]["CloudWatchMetrics"] for line in capsys.readouterr().out.splitlines()]
    directives = [directive for each in told for directive in each]
    reported = {metric["Name"] for directive in directives for metric in directive["Metrics"]}
    assert reported | names_that_are_counted() == EMITTED
    assert all(each["Namespace"] == OURS for each in directives)
    assert all(each["Dimensions"] == [["trigger", "service"], ["service"]] for each in directives)


def test_every_trigger_is_in_the_table() -> None:
    assert {trigger.value for trigger in Trigger} == TRIGGERS


@pytest.mark.parametrize(("namespace", "name", "dimensions"), metrics_that_are_watched())
def test_what_is_watched_is_emitted_by_the_function_or_provided_by_aws(
    namespace: str, name: str, dimensions: dict[str, str]
) -> None:
    if namespace == OURS:
        assert name in EMITTED
        assert dimensions["service"] == "canceler", "POWERTOOLS_SERVICE_NAME is the stack's name"
        assert dimensions.keys() <= {"service", "trigger"}
        assert dimensions.get("trigger", "EVENT") in TRIGGERS
    else:
        (dimension,) = dimensions
        assert PROVIDED[namespace, name] == dimension
        assert dimensions[dimension] in (OF_FUNCTION if dimension == "FunctionName" else OF_QUEUES)


def test_all_that_the_function_emits_is_on_the_dashboard() -> None:
    assert {name for chart in CHARTS for namespace, name, _ in rows(chart) if namespace == OURS} == EMITTED


def test_outcomes_are_shown_for_every_trigger() -> None:
    jobs = {name for name in EMITTED if name.startswith("Jobs")}
    shown = {(name, found["trigger"]) for chart in CHARTS for _, name, found in rows(chart) if "trigger" in found}
    assert {(name, trigger) for name in jobs for trigger in TRIGGERS} <= shown


def test_both_backlogs_and_both_failure_queues_are_shown() -> None:
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


# What CloudWatch's "Dashboard Body Structure and Syntax" allows, as far as this dashboard has need of it.
METRIC_PROPERTIES = exactly(
    {
        "title": TEXT,
        "region": {"const": "eu-west-1"},
        "stat": {"enum": ["SampleCount", "Average", "Sum", "Minimum", "Maximum"]},
        "period": {"const": 300},
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


SOURCE = exactly(
    {
        "widgets": {
            "type": "array",
            "maxItems": 500,
            "items": {"oneOf": [widget("metric", METRIC_PROPERTIES), widget("alarm", ALARM_PROPERTIES)]},
        }
    }
)


def test_the_dashboard_is_valid_source() -> None:
    jsonschema.Draft202012Validator.check_schema(SOURCE)
    jsonschema.validate(DASHBOARD, SOURCE)


def test_widgets_lie_within_the_grid_and_on_no_other() -> None:
    assert all(each["x"] + each["width"] <= 24 for each in DASHBOARD["widgets"])
    for one, other in combinations(DASHBOARD["widgets"], 2):
        beside = one["x"] + one["width"] <= other["x"] or other["x"] + other["width"] <= one["x"]
        above = one["y"] + one["height"] <= other["y"] or other["y"] + other["height"] <= one["y"]
        assert beside or above, f"{one['properties']['title']} and {other['properties']['title']}"


def test_a_row_of_a_chart_ends_with_how_it_is_shown_and_begins_with_texts() -> None:
    for chart in CHARTS:
        for *texts, shown in chart["metrics"]:
            assert all(isinstance(each, str) for each in texts)
            assert isinstance(shown, dict)


def test_every_alarm_is_on_the_dashboard() -> None:
    (shown,) = [each["properties"]["alarms"] for each in DASHBOARD["widgets"] if each["type"] == "alarm"]
    assert sorted(shown) == sorted(f"{name}.Arn" for name in of_type("AWS::CloudWatch::Alarm"))


def test_each_region_has_a_dashboard_of_its_own() -> None:
    """Dashboards are the account's: a stack of the same name in another Region would overwrite it."""
    assert RESOURCES["Dashboard"]["Properties"]["DashboardName"] == {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"}


def test_the_picture_shows_every_widget_and_alarm() -> None:
    picture = (ROOT / "docs" / "dashboard.svg").read_text()
    for name in [*(each["properties"]["title"] for each in DASHBOARD["widgets"]), *ALARMS]:
        assert f">{name}</text>" in picture, "make picture draws it anew"


# Alarms


def test_alarms_are_those_of_the_table() -> None:
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
def test_an_alarm_is_quiet_without_data_and_tells_the_topic_if_there_is_one(name: str) -> None:
    alarm = alarms()[name]
    assert (alarm["Period"], alarm["TreatMissingData"]) == (300, "notBreaching")
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert alarm["AlarmActions"] == {"Fn::If": ["HasAlarmTopic", ["AlarmTopicArn"], "AWS::NoValue"]}
    assert not alarm.keys() & {"OKActions", "InsufficientDataActions", "ActionsEnabled", "Condition"}
    assert alarm["AlarmDescription"].endswith(f"See docs/operations.md, {name}.")


def test_there_is_a_topic_if_it_is_named() -> None:
    condition = load_template()["Conditions"]["HasAlarmTopic"]
    assert condition == {"Fn::Not": [{"Fn::Equals": [{"Ref": "AlarmTopicArn"}, ""]}]}


def test_a_long_run_is_one_of_more_than_80_percent_of_the_timeout() -> None:
    assert alarms()["FunctionDuration"]["Threshold"] == 0.8 * TIMEOUT * 1000
    (limits,) = [
        chart["annotations"]["horizontal"] for chart in CHARTS if any(name == "Duration" for _, name, _ in rows(chart))
    ]
    assert [limit["value"] for limit in limits] == [0.8 * TIMEOUT * 1000, TIMEOUT * 1000]


def test_the_age_that_is_drawn_is_that_of_the_alarms() -> None:
    (limits,) = [
        chart["annotations"]["horizontal"] for chart in CHARTS if any(name == AGE for _, name, _ in rows(chart))
    ]
    assert [limit["value"] for limit in limits] == [3600]


def went_to_alarm(name: str) -> Any:
    """The event of an alarm that goes to ALARM."""
    event = json.loads((ROOT / "events" / "alarm-to-alarm.json").read_text())
    event["resources"] = [f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}"]
    event["detail"]["alarmName"] = name
    return event


def alarm_rule_matches(event: Any, prefix: str) -> bool:
    pattern = resolved(RESOURCES["AlarmRule"]["Properties"]["EventPattern"], AlarmNamePrefix=prefix)
    matches: bool = EventPattern.load(json.dumps(pattern)).matches_event(event)
    return matches


@pytest.mark.parametrize("name", ALARMS)
def test_no_prefix_makes_an_alarm_of_the_stack_lead_back_to_the_function(name: str) -> None:
    """It names no job, would be rejected, and so raise the next one."""
    full = f"canceler/{name}"
    for length in range(1, len(full) + 1):
        assert not alarm_rule_matches(went_to_alarm(full), full[:length])


@pytest.mark.parametrize("name", ["canceler-rollout", "canceler", "cancel", "cancelers/x"])
def test_the_alarms_of_others_lead_to_the_function_whatever_the_stack_is_called(name: str) -> None:
    assert alarm_rule_matches(went_to_alarm(name), "cancel")


# What to do


def sections(level: str) -> dict[str, str]:
    """Title → text, of each section of docs/operations.md of that level."""
    parts = re.split(rf"^{level} (.+)$", OPERATIONS, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_each_alarm_has_a_section_that_says_what_to_do() -> None:
    told = dict(re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", OPERATIONS, re.MULTILINE | re.DOTALL))
    assert told.keys() == ALARMS.keys()
    for name, text in told.items():
        assert re.findall(r"^- \*\*(.+?)\.\*\*", text, re.MULTILINE) == ["Means", "Check", "Do", "Noise"], name


def test_no_metric_is_explained_that_does_not_exist() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", sections("##")["Metrics without an alarm"], re.MULTILINE))
    assert explained <= EMITTED
    assert not explained & ALARMS.keys()


# The saved query


def test_the_saved_query_is_that_of_the_docs() -> None:
    (shown,) = re.findall(r"^```\n(filter .*?)^```$", OPERATIONS, re.MULTILINE | re.DOTALL)
    assert shown == QUERY


def test_the_saved_query_asks_for_the_job_in_this_stacks_log() -> None:
    query = RESOURCES["WhoCancelled"]["Properties"]
    assert query["LogGroupNames"] == [{"Ref": "LogGroup"}]
    assert {each["Name"] for each in query["Parameters"]} == set(re.findall(r"\{\{(.*?)\}\}", QUERY)) == {"jobId"}


def answer(job_id: str, lines: list[str]) -> list[dict[str, Any]]:
    """What the saved query displays of the lines, apart from the time: filter and parse are read from it."""
    query = QUERY.replace("{{jobId}}", job_id)
    (wanted,) = re.findall(r"^filter @message like /(.*)/$", query, re.MULTILINE)
    (parsed,) = re.findall(r"^\| parse @message /(.*)/$", query, re.MULTILINE)
    (displayed,) = re.findall(r"^\| display @timestamp, (.*)$", query, re.MULTILINE)
    found = []
    for line in filter(re.compile(wanted).search, lines):
        groups = re.search(parsed.replace("(?<", "(?P<"), line)
        fields = json.loads(line) | (groups.groupdict() if groups else {})
        found.append({name: fields.get(name) for name in displayed.split(", ")})
    return found


def asked(outcome: str, asked_by: str, reason_code: str, comment: str, trigger: str, correlation_id: str) -> Any:
    return {
        "outcome": outcome,
        "asked_by": asked_by,
        "reason_code": reason_code,
        "comment": comment,
        "detail": "",
        "trigger": trigger,
        "correlation_id": correlation_id,
    }


# File of events/ → what is known of firmware-2026-11 afterwards.
WHO = {
    "alarm-to-alarm.json": asked(
        "CANCELED",
        "Requested by alarm iot-job-failures-firmware-2026-11",
        "EVENT_REMEDIATION",
        "Requested by alarm iot-job-failures-firmware-2026-11",
        "EVENT",
        "e2f5d0c4-51b7-4f3e-8a9d-6c7b8a9f0e1d",
    ),
    "request-event.json": asked(
        "WOULD_CANCEL",
        "Requested by event 7bf73129-1428-4cd3-a780-95db273d1602 from fleet.console",
        "STALE_JOB",
        "ticket OPS-4711",
        "EVENT",
        "7bf73129-1428-4cd3-a780-95db273d1602",
    ),
    "custom-resource-delete.json": asked(
        "CANCELED",
        f"Teardown was deleted in {STACK_ID}",
        "STACK_TEARDOWN",
        "stack firmware-dev was deleted",
        "TEARDOWN",
        "c7e5a3f1-28d6-4e0b-a9c8-6b5a4d3e2f10",
    ),
    "bare-request.json": asked(
        "CANCELED",
        "Requested by a direct request",
        "STALE_JOB",
        "weekly clean-up",
        "DIRECT",
        "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11",
    ),
}


@pytest.mark.parametrize("name", WHO)
def test_the_saved_query_finds_who_cancelled_a_job_and_why(name: str, function: Function) -> None:
    event = json.loads((ROOT / "events" / name).read_text())
    if "ResponseURL" in event:
        event["ResponseURL"] = f"{function.server.url}/answer"
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function(event)
    assert answer("firmware-2026-11", function.log.text.splitlines()) == [WHO[name]]
    assert answer("firmware-2026", function.log.text.splitlines()) == []
