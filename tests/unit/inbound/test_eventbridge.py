"""Every event of events/ and every oddity: what it is, and what it asks for."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.cancellation.report import Trigger
from handler.cancellation.request import CancelReason
from handler.errors import RequestRejected
from handler.inbound.eventbridge import (
    CancelEvent,
    IgnoredEvent,
    attribution,
    is_custom_resource,
    parse_eventbridge_event,
    trigger_of,
)

EVENTS = Path(__file__).parents[2] / "events"

NOT_OURS = 'event: must be a CloudFormation custom resource request, an EventBridge event or {"cancel": {...}}'
NO_SWEEP = 'SweepJobIdGlob: must be set on the stack, or give the schedule an Input of {"cancel": {...}}'
NOT_EMPTY = "detail: must be empty in a Scheduled Event: a request goes into the schedule's Input"
UNKNOWN_TYPE = (
    "detail-type: must be one of AWS API Call via CloudTrail, CloudFormation Stack Status Change, "
    "CloudWatch Alarm State Change, IoT Job Cancellation Requested, from its own source"
)
STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f"

# File → what it is counted under, and what it asks: CancelEvent, IgnoredEvent, the words of its rejection, or None for a custom
# resource, which is asked for before and never read as an event.
EXPECTED: dict[str, tuple[str, CancelEvent | IgnoredEvent | str | None]] = {
    "custom-resource-create.json": ("TEARDOWN", None),
    "custom-resource-update.json": ("TEARDOWN", None),
    "custom-resource-delete.json": ("TEARDOWN", None),
    "request-event.json": (
        "EVENT",
        CancelEvent(
            {
                "jobIds": ["firmware-2026-11", "firmware-2026-12"],
                "dryRun": True,
                "reasonCode": "STALE_JOB",
                "comment": "ticket OPS-4711",
            },
            "event 7bf73129-1428-4cd3-a780-95db273d1602 from fleet.console",
        ),
    ),
    "alarm-to-alarm.json": (
        "EVENT",
        CancelEvent({"jobIds": ["firmware-2026-11"]}, "alarm iot-job-failures-firmware-2026-11"),
    ),
    "alarm-to-ok.json": ("EVENT", IgnoredEvent("the alarm went to OK")),
    "canceler-report.json": ("EVENT", IgnoredEvent("it is a canceler's report")),
    "cloudtrail-create-job.json": (
        "EVENT",
        CancelEvent({"jobId": "firmware-2026-11"}, "CreateJob in event 3c4d5e6f-7a8b-4c9d-8e0f-1a2b3c4d5e6f"),
    ),
    "cloudtrail-create-job-failed.json": ("EVENT", IgnoredEvent("the CreateJob failed")),
    "cloudtrail-cancel-job.json": ("EVENT", IgnoredEvent("the API call is 'CancelJob', not CreateJob")),
    "scheduled-rule.json": ("SCHEDULE", NO_SWEEP),
    "scheduled-scheduler.json": ("SCHEDULE", NO_SWEEP),
    "stack-deleted.json": (
        "EVENT",
        CancelEvent(
            {"select": {"tags": {"iot-job-canceler:stack-id": STACK}, "targetSelection": ["SNAPSHOT", "CONTINUOUS"]}},
            f"the deletion of {STACK}",
        ),
    ),
    "select-request.json": (
        "DIRECT",
        CancelEvent(
            {
                "select": {
                    "jobIdGlob": "firmware-*",
                    "excludeJobIdGlobs": ["firmware-keep-*"],
                    "status": ["IN_PROGRESS", "SCHEDULED"],
                    "olderThanHours": 72,
                    "ageFrom": "createdAt",
                    "targetSelection": ["SNAPSHOT"],
                    "tags": {"env": "dev"},
                },
                "dryRun": True,
                "maxJobs": 20,
                "reasonCode": "STALE_JOB",
                "comment": "what would the weekly clean-up do?",
            },
            "a direct request",
        ),
    ),
    "custom-resource-select-delete.json": ("TEARDOWN", None),
    # A message of the backlog is unwrapped before anything here sees it.
    "backlog-message.json": ("DIRECT", NOT_OURS),
    "teardown-message.json": ("DIRECT", NOT_OURS),
    "bare-request.json": (
        "DIRECT",
        CancelEvent(
            {
                "jobId": "firmware-2026-11",
                "force": False,
                "maxJobs": 1,
                "reasonCode": "STALE_JOB",
                "comment": "weekly clean-up",
            },
            "a direct request",
        ),
    ),
    "foreign/sns-record.json": ("DIRECT", NOT_OURS),
    "foreign/s3-object-created.json": ("DIRECT", NOT_OURS),
    "foreign/api-gateway-proxy.json": ("DIRECT", NOT_OURS),
    "foreign/sqs-batch.json": ("DIRECT", NOT_OURS),
    "foreign/empty.json": ("DIRECT", NOT_OURS),
    "foreign/request-type-without-response-url.json": ("DIRECT", NOT_OURS),
}


def load(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def asked(event: object, sweep: dict[str, object] | None = None) -> CancelEvent | IgnoredEvent | str | None:
    """What the event asks, as EXPECTED writes it."""
    if is_custom_resource(event):
        return None
    try:
        return parse_eventbridge_event(event, sweep)
    except RequestRejected as rejection:
        return str(rejection)


def test_every_file_of_events_is_expected() -> None:
    assert {str(path.relative_to(EVENTS)) for path in EVENTS.rglob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_event_is_known_by_its_shape(name: str) -> None:
    event = load(name)
    assert (trigger_of(event), asked(event)) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_no_file_of_events_holds_a_response_url_that_works(name: str) -> None:
    text = (EVENTS / name).read_text()
    assert ("ResponseURL" not in text) or ("/fake-path?X-Amz-Signature=not-a-real-signature" in text)
    assert "Expires" not in text


@pytest.mark.parametrize("event", [None, True, 0, "cancel", "", [], [{"cancel": {"jobId": "a"}}], 1.5])
def test_what_is_no_object_is_rejected(event: object) -> None:
    assert (trigger_of(event), asked(event)) == ("DIRECT", NOT_OURS)


def envelope(detail_type: object, source: object, **fields: object) -> dict[str, object]:
    return {"id": "e-1", "detail-type": detail_type, "source": source, **fields}


def requested(detail: object) -> dict[str, object]:
    return envelope("IoT Job Cancellation Requested", "fleet.console", detail=detail)


def alarm(state: object, *metrics: object) -> dict[str, object]:
    detail = {"alarmName": "night", "state": {"value": state}, "configuration": {"metrics": list(metrics)}}
    return envelope("CloudWatch Alarm State Change", "aws.cloudwatch", detail=detail)


def metric(**dimensions: object) -> dict[str, object]:
    return {"id": "m1", "metricStat": {"metric": {"namespace": "AWS/IoT", "dimensions": dimensions}}}


def trail(**detail: object) -> dict[str, object]:
    return envelope("AWS API Call via CloudTrail", "aws.iot", detail=detail)


def stack(status: object, stack_id: object = STACK) -> dict[str, object]:
    detail = {"stack-id": stack_id, "status-details": {"status": status, "status-reason": ""}}
    return envelope("CloudFormation Stack Status Change", "aws.cloudformation", detail=detail)


NO_STACK_STATUS = "detail.status-details.status: must be the status of a stack"
NO_STACK = "detail.stack-id: must be the ARN of a stack"
NO_DIMENSION = "detail.configuration.metrics: must hold a metric with a JobId dimension"
NO_STATE = "detail.state.value: must be ALARM, OK or INSUFFICIENT_DATA"
NO_CALL = "detail.eventName: must be the name of an API call"
NO_REQUEST = "detail: must be an object with the keys cancel"
CREATED = "CreateJob in event e-1"

ODDITIES: list[Any] = [
    pytest.param({"cancel": {}}, CancelEvent({}, "a direct request"), id="an empty request is the parser's business"),
    pytest.param({"cancel": None}, "cancel: must not be null: leave it out", id="null"),
    pytest.param(
        {"cancel": {"jobId": "a"}, "dryRun": True},
        "event: unknown key 'dryRun'; the keys are cancel",
        id="a dryRun beside cancel is not overlooked",
    ),
    pytest.param(
        requested({"cancel": {"jobId": "a"}}), CancelEvent({"jobId": "a"}, "event e-1 from fleet.console"), id="ours"
    ),
    pytest.param(
        envelope("IoT Job Cancellation Requested", None, detail={"cancel": 1}),
        CancelEvent(1, "event e-1 from ?"),
        id="a source that is no text",
    ),
    pytest.param(requested({}), "detail: must have the key cancel", id="an empty detail"),
    pytest.param(requested(None), NO_REQUEST, id="no detail"),
    pytest.param(requested('{"cancel": {"jobId": "a"}}'), NO_REQUEST, id="a detail that is text"),
    pytest.param(
        requested({"cancel": {"jobId": "a"}, "force": False}),
        "detail: unknown key 'force'; the keys are cancel",
        id="a key beside cancel in the detail",
    ),
    pytest.param(envelope("Scheduled Event", "aws.events", detail={"cancel": {}}), NOT_EMPTY, id="schedule"),
    pytest.param(envelope("Scheduled Event", "fleet.console", detail={}), UNKNOWN_TYPE, id="a forged schedule"),
    pytest.param(envelope("CloudWatch Alarm State Change", "fleet.console"), UNKNOWN_TYPE, id="a forged alarm"),
    pytest.param(envelope("AWS API Call via CloudTrail", "aws.s3"), UNKNOWN_TYPE, id="a trail of another service"),
    pytest.param(envelope("EC2 Instance State-change Notification", "aws.ec2"), UNKNOWN_TYPE, id="another's event"),
    pytest.param(envelope(None, "aws.iot"), UNKNOWN_TYPE, id="no detail-type"),
    pytest.param(envelope(["Scheduled Event"], ["aws.events"]), UNKNOWN_TYPE, id="a detail-type that is no text"),
    pytest.param(
        {"detail-type": "Scheduled Event", "cancel": {"jobId": "a"}}, UNKNOWN_TYPE, id="cancel in an envelope"
    ),
    pytest.param(alarm("ALARM", metric(JobId="a")), CancelEvent({"jobIds": ["a"]}, "alarm night"), id="one metric"),
    pytest.param(
        alarm("ALARM", metric(JobId="a"), metric(Other="x"), {"expression": "m1+m2"}, metric(JobId="b")),
        CancelEvent({"jobIds": ["a", "b"]}, "alarm night"),
        id="metrics with and without a job",
    ),
    pytest.param(
        alarm("ALARM", metric(JobId=5)),
        CancelEvent({"jobIds": [5]}, "alarm night"),
        id="a bad id is the parser's business",
    ),
    pytest.param(alarm("OK", metric(JobId="a")), IgnoredEvent("the alarm went to OK"), id="OK"),
    pytest.param(
        alarm("INSUFFICIENT_DATA", metric(JobId="a")), IgnoredEvent("the alarm went to INSUFFICIENT_DATA"), id="no data"
    ),
    pytest.param(alarm("alarm", metric(JobId="a")), NO_STATE, id="a state in lower case"),
    pytest.param(alarm(None, metric(JobId="a")), NO_STATE, id="no state"),
    pytest.param(alarm(["ALARM"], metric(JobId="a")), NO_STATE, id="a state that is no text"),
    pytest.param(alarm("ALARM"), NO_DIMENSION, id="no metric"),
    pytest.param(alarm("ALARM", metric(ThingName="a")), NO_DIMENSION, id="no JobId dimension"),
    pytest.param(alarm("ALARM", None, "m", []), NO_DIMENSION, id="metrics that are none"),
    pytest.param(
        envelope(
            "CloudWatch Alarm State Change",
            "aws.cloudwatch",
            detail={"state": {"value": "ALARM"}, "configuration": {"metrics": {"JobId": "a"}}},
        ),
        NO_DIMENSION,
        id="metrics that are no list",
    ),
    pytest.param(
        envelope("CloudWatch Alarm State Change", "aws.cloudwatch", detail={"state": {"value": "ALARM"}}),
        NO_DIMENSION,
        id="no configuration",
    ),
    pytest.param(envelope("CloudWatch Alarm State Change", "aws.cloudwatch", detail="ALARM"), NO_STATE, id="no detail"),
    pytest.param(
        trail(eventName="CreateJob", requestParameters={"jobId": "a"}),
        CancelEvent({"jobId": "a"}, CREATED),
        id="created",
    ),
    pytest.param(
        trail(eventName="CreateJob", requestParameters=None), CancelEvent({"jobId": None}, CREATED), id="no parameters"
    ),
    pytest.param(
        trail(eventName="CreateJob", errorCode="", requestParameters={"jobId": "a"}),
        IgnoredEvent("the CreateJob failed"),
        id="an empty error code is still one",
    ),
    pytest.param(
        trail(eventName="CreateJobTemplate", requestParameters={"jobId": "a"}),
        IgnoredEvent("the API call is 'CreateJobTemplate', not CreateJob"),
        id="a call that begins like ours",
    ),
    pytest.param(
        trail(eventName="DeleteJob", requestParameters={"jobId": "a"}),
        IgnoredEvent("the API call is 'DeleteJob', not CreateJob"),
        id="somebody's DeleteJob",
    ),
    pytest.param(trail(eventName=["CreateJob"], requestParameters={"jobId": "a"}), NO_CALL, id="no text for a name"),
    pytest.param(trail(), NO_CALL, id="no name"),
    pytest.param(
        stack("CREATE_COMPLETE"), IgnoredEvent("the stack is in 'CREATE_COMPLETE', not in DELETE_COMPLETE"), id="new"
    ),
    pytest.param(
        stack("DELETE_FAILED"), IgnoredEvent("the stack is in 'DELETE_FAILED', not in DELETE_COMPLETE"), id="failed"
    ),
    pytest.param(
        stack("delete_complete"), IgnoredEvent("the stack is in 'delete_complete', not in DELETE_COMPLETE"), id="?"
    ),
    pytest.param(stack(None), NO_STACK_STATUS, id="no status"),
    pytest.param(stack(["DELETE_COMPLETE"]), NO_STACK_STATUS, id="a status that is no text"),
    pytest.param(stack("DELETE_COMPLETE", None), NO_STACK, id="no stack"),
    pytest.param(stack("DELETE_COMPLETE", ""), NO_STACK, id="an empty stack id would match every untagged thing"),
    pytest.param(stack("DELETE_COMPLETE", "firmware-dev"), NO_STACK, id="a stack's name"),
    pytest.param(stack("DELETE_COMPLETE", ["arn:x"]), NO_STACK, id="a stack id that is no text"),
    pytest.param(
        envelope("CloudFormation Stack Status Change", "fleet.console", detail={}), UNKNOWN_TYPE, id="a forged stack"
    ),
    pytest.param({"RequestType": "Delete"}, NOT_OURS, id="RequestType without ResponseURL"),
    pytest.param({"ResponseURL": "https://x"}, NOT_OURS, id="ResponseURL without RequestType"),
    pytest.param({"RequestType": "Delete", "ResponseURL": "https://x"}, None, id="both are a custom resource"),
    pytest.param(
        {"RequestType": 1, "ResponseURL": None, "cancel": {"jobId": "a"}, "detail-type": "Scheduled Event"},
        None,
        id="a custom resource is asked for before anything else",
    ),
]


@pytest.mark.parametrize(("event", "expected"), ODDITIES)
def test_an_oddity_is_read_or_rejected_and_never_guessed_at(
    event: object, expected: CancelEvent | IgnoredEvent | str | None
) -> None:
    assert asked(event) == expected


@pytest.mark.parametrize(
    ("event", "trigger"),
    [
        ({"RequestType": "Delete", "ResponseURL": "x", "detail-type": "Scheduled Event"}, "TEARDOWN"),
        ({"detail-type": "Scheduled Event", "source": "aws.events"}, "SCHEDULE"),
        ({"detail-type": "Scheduled Event", "source": "aws.scheduler"}, "SCHEDULE"),
        ({"detail-type": "Scheduled Event", "source": "anybody"}, "EVENT"),
        ({"detail-type": None}, "EVENT"),
        ({"cancel": {}}, "DIRECT"),
        ({}, "DIRECT"),
        ([], "DIRECT"),
    ],
)
def test_a_run_is_counted_under_its_trigger_even_if_the_event_cannot_be_read(event: object, trigger: str) -> None:
    assert trigger_of(event) == trigger


@pytest.mark.parametrize(
    ("trigger", "reason_code"),
    [("SCHEDULE", "SCHEDULED_CLEANUP"), ("EVENT", "EVENT_REMEDIATION"), ("DIRECT", "DIRECT_REQUEST")],
)
def test_a_jobs_history_tells_what_kind_of_run_cancelled_it_and_who_asked(trigger: str, reason_code: str) -> None:
    told = attribution(Trigger(trigger), CancelEvent({"jobId": "a"}, "event e-1 from fleet.console"))
    assert told == CancelReason.default(reason_code, "Requested by event e-1 from fleet.console")


# The default sweep

SWEEP: dict[str, object] = {"select": {"jobIdGlob": "ota-*", "olderThanHours": 168}}


@pytest.mark.parametrize("source", ["aws.events", "aws.scheduler"])
@pytest.mark.parametrize("detail", [{}, "{}"])
def test_a_schedule_without_an_input_asks_for_the_stacks_sweep(source: str, detail: object) -> None:
    event = envelope("Scheduled Event", source, detail=detail)
    assert asked(event, SWEEP) == CancelEvent(SWEEP, "schedule event e-1")
    assert asked(event, None) == NO_SWEEP


@pytest.mark.parametrize(
    "detail", [None, "", [], "null", '{"cancel": {}}', {"cancel": {"jobId": "a"}}, {"select": {}}, 0, False]
)
def test_a_schedule_with_anything_in_it_never_starts_the_sweep(detail: object) -> None:
    assert asked(envelope("Scheduled Event", "aws.scheduler", detail=detail), SWEEP) == NOT_EMPTY


def test_a_schedule_without_a_detail_never_starts_the_sweep() -> None:
    assert asked(envelope("Scheduled Event", "aws.scheduler"), SWEEP) == NOT_EMPTY


def test_a_forged_schedule_never_starts_the_sweep() -> None:
    assert asked(envelope("Scheduled Event", "fleet.console", detail={}), SWEEP) == UNKNOWN_TYPE
