"""Each detail-type has one parser: an event requests a cancellation, is ignored, or is rejected."""

from typing import Any

import pytest

from handler.cancellation.request import CancelReason
from handler.errors import RequestRejected
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack
from handler.inbound.eventbridge import is_scheduled, parse_eventbridge_event
from tools.simulators.events import STACK_ID

NO_SWEEP = 'SweepJobIdGlob: must be set on the stack, or give the schedule an Input of {"cancel": {...}}'
NOT_EMPTY = "detail: must be empty in a Scheduled Event: a request goes into the schedule's Input"
UNKNOWN_TYPE = (
    "detail-type: must be one of AWS API Call via CloudTrail, CloudFormation Stack Status Change, "
    "CloudWatch Alarm Contributor State Change, CloudWatch Alarm State Change, IoT Job Cancellation Requested, "
    "sent by the matching source; received "
)


def parsed(
    event: dict[str, object], sweep_request: dict[str, object] | None = None
) -> CancelEvent | IgnoredEvent | str:
    """Return what the event parses to, or why it is rejected."""
    try:
        return parse_eventbridge_event(event, Stack("canceler", "123456789012", "eu-west-1", sweep_request))
    except RequestRejected as rejection:
        return str(rejection)


def envelope(detail_type: object, source: object, **fields: object) -> dict[str, object]:
    return {"id": "e-1", "detail-type": detail_type, "source": source, **fields}


def requested(detail: object) -> dict[str, object]:
    return envelope("IoT Job Cancellation Requested", "fleet.console", detail=detail)


def trail(**detail: object) -> dict[str, object]:
    return envelope("AWS API Call via CloudTrail", "aws.iot", detail=detail)


def stack(status: object, stack_id: object = STACK_ID) -> dict[str, object]:
    detail = {"stack-id": stack_id, "status-details": {"status": status, "status-reason": ""}}
    return envelope("CloudFormation Stack Status Change", "aws.cloudformation", detail=detail)


NO_STACK_STATUS = "detail.status-details.status: must be the status of a stack"
NO_STACK = "detail.stack-id: must be the ARN of a stack"
NO_CALL = "detail.eventName: must be the name of an API call"
NO_REQUEST = "detail: must be an object with the keys cancel, canceler"
NO_CANCELER = "detail.canceler: must be the name of an iot-job-canceler stack, or omitted"
NO_JOB_ID = "detail.requestParameters.jobId: must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -"
CREATED = "CreateJob in event e-1"

EVENTS: list[Any] = [
    pytest.param(
        requested({"cancel": {"jobId": "a"}}),
        CancelEvent.from_event({"jobId": "a"}, "event e-1 from fleet.console"),
        id="a request",
    ),
    pytest.param(
        envelope("IoT Job Cancellation Requested", None, detail={"cancel": 1}),
        CancelEvent.from_event(1, "event e-1 from ?"),
        id="a source that is not text",
    ),
    pytest.param(requested({}), "detail: must have the key cancel", id="an empty detail"),
    pytest.param(requested(None), NO_REQUEST, id="no detail"),
    pytest.param(requested('{"cancel": {"jobId": "a"}}'), NO_REQUEST, id="a detail that is text"),
    pytest.param(
        requested({"cancel": {"jobId": "a"}, "force": False}),
        "detail: unknown key 'force'; the keys are cancel, canceler",
        id="a key beside cancel in the detail",
    ),
    pytest.param(requested({"cancel": None}), "detail.cancel: must not be null", id="a request that is null"),
    pytest.param(
        requested({"cancel": {"jobId": "a"}, "canceler": "canceler"}),
        CancelEvent.from_event({"jobId": "a"}, "event e-1 from fleet.console"),
        id="a request for this canceler",
    ),
    pytest.param(
        requested({"cancel": {"jobId": "a"}, "canceler": "lab"}),
        IgnoredEvent("the request is for the canceler 'lab', not for 'canceler'"),
        id="a request for another canceler",
    ),
    pytest.param(
        requested({"canceler": "lab", "cancel": 5}),
        IgnoredEvent("the request is for the canceler 'lab', not for 'canceler'"),
        id="an invalid request for another canceler",
    ),
    pytest.param(
        requested({"cancel": {"jobId": "a"}, "canceler": ""}),
        "detail.canceler: must not be empty: set a value, or omit it",
        id="a canceler without a name",
    ),
    pytest.param(
        requested({"cancel": {"jobId": "a"}, "canceler": ["canceler"]}),
        NO_CANCELER,
        id="a canceler that is not text",
    ),
    pytest.param(
        requested({"cancel": {"jobId": "a"}, "canceler": None}),
        "detail.canceler: must not be null",
        id="a canceler that is null",
    ),
    pytest.param(requested({"canceler": "canceler"}), "detail: must have the key cancel", id="a canceler alone"),
    pytest.param(
        envelope("Scheduled Event", "aws.events", detail={"cancel": {}}), NOT_EMPTY, id="a schedule with a detail"
    ),
    pytest.param(
        envelope("Scheduled Event", "fleet.console", detail={}),
        f"{UNKNOWN_TYPE}'Scheduled Event' from 'fleet.console'",
        id="a forged schedule",
    ),
    pytest.param(
        envelope("CloudWatch Alarm State Change", "fleet.console"),
        f"{UNKNOWN_TYPE}'CloudWatch Alarm State Change' from 'fleet.console'",
        id="a forged alarm",
    ),
    pytest.param(
        envelope("AWS API Call via CloudTrail", "aws.s3"),
        f"{UNKNOWN_TYPE}'AWS API Call via CloudTrail' from 'aws.s3'",
        id="a trail of another service",
    ),
    pytest.param(
        envelope("EC2 Instance State-change Notification", "aws.ec2"),
        f"{UNKNOWN_TYPE}'EC2 Instance State-change Notification' from 'aws.ec2'",
        id="an event of another service",
    ),
    pytest.param(envelope(None, "aws.iot"), f"{UNKNOWN_TYPE}'?' from 'aws.iot'", id="no detail-type"),
    pytest.param(
        envelope(["Scheduled Event"], ["aws.events"]),
        f"{UNKNOWN_TYPE}'?' from '?'",
        id="a detail-type that is not text",
    ),
    pytest.param(
        {"detail-type": "Scheduled Event", "cancel": {"jobId": "a"}},
        f"{UNKNOWN_TYPE}'Scheduled Event' from '?'",
        id="cancel in an envelope",
    ),
    pytest.param(
        trail(eventName="CreateJob", requestParameters={"jobId": "a"}),
        CancelEvent.from_event({"jobId": "a"}, CREATED),
        id="CreateJob",
    ),
    pytest.param(
        trail(eventName="CreateJob", requestParameters=None),
        NO_JOB_ID,
        id="no parameters",
    ),
    pytest.param(
        trail(eventName="CreateJob", requestParameters={"jobId": None}), NO_JOB_ID, id="a job id that is null"
    ),
    pytest.param(
        trail(eventName="CreateJob", errorCode="", requestParameters={"jobId": "a"}),
        IgnoredEvent("the CreateJob failed"),
        id="an empty error code",
    ),
    pytest.param(
        trail(eventName="CreateJobTemplate", requestParameters={"jobId": "a"}),
        IgnoredEvent("the API call is 'CreateJobTemplate', not CreateJob"),
        id="CreateJobTemplate",
    ),
    pytest.param(
        trail(eventName="DeleteJob", requestParameters={"jobId": "a"}),
        IgnoredEvent("the API call is 'DeleteJob', not CreateJob"),
        id="DeleteJob",
    ),
    pytest.param(
        trail(eventName=["CreateJob"], requestParameters={"jobId": "a"}), NO_CALL, id="a name that is not text"
    ),
    pytest.param(trail(), NO_CALL, id="no name"),
    pytest.param(
        stack("CREATE_COMPLETE"),
        IgnoredEvent("the stack is in 'CREATE_COMPLETE', not in DELETE_COMPLETE"),
        id="a new stack",
    ),
    pytest.param(
        stack("DELETE_FAILED"),
        IgnoredEvent("the stack is in 'DELETE_FAILED', not in DELETE_COMPLETE"),
        id="a failed deletion",
    ),
    pytest.param(
        stack("delete_complete"),
        IgnoredEvent("the stack is in 'delete_complete', not in DELETE_COMPLETE"),
        id="a status in lower case",
    ),
    pytest.param(stack(None), NO_STACK_STATUS, id="no status"),
    pytest.param(stack(["DELETE_COMPLETE"]), NO_STACK_STATUS, id="a status that is not text"),
    pytest.param(stack("DELETE_COMPLETE", None), NO_STACK, id="no stack"),
    pytest.param(stack("DELETE_COMPLETE", ""), NO_STACK, id="an empty stack id"),
    pytest.param(stack("DELETE_COMPLETE", "firmware-dev"), NO_STACK, id="the name of a stack"),
    pytest.param(stack("DELETE_COMPLETE", ["arn:x"]), NO_STACK, id="a stack id that is not text"),
    pytest.param(
        envelope("CloudFormation Stack Status Change", "fleet.console", detail={}),
        f"{UNKNOWN_TYPE}'CloudFormation Stack Status Change' from 'fleet.console'",
        id="a forged stack",
    ),
    pytest.param(
        envelope("IoT Job Cancellation Report", "anybody"),
        IgnoredEvent("the event is a report of an iot-job-canceler stack"),
        id="a report",
    ),
    pytest.param(
        stack("DELETE_COMPLETE"),
        CancelEvent.from_event(
            {
                "select": {
                    "tags": {"iot-job-canceler:stack-id": STACK_ID},
                    "targetSelection": ["SNAPSHOT", "CONTINUOUS"],
                }
            },
            f"the deletion of {STACK_ID}",
        ),
        id="a deleted stack",
    ),
    pytest.param(
        envelope(
            "CloudWatch Alarm State Change",
            "aws.cloudwatch",
            detail={"alarmName": "night", "state": {"value": "OK"}},
        ),
        IgnoredEvent("the alarm went to OK"),
        id="an alarm",
    ),
]


@pytest.mark.parametrize(("event", "expected"), EVENTS)
def test_an_event_is_parsed_or_rejected(event: dict[str, object], expected: CancelEvent | IgnoredEvent | str) -> None:
    assert parsed(event) == expected


def test_the_default_reason_names_the_kind_of_run_and_the_event() -> None:
    event = parsed(requested({"cancel": {"jobId": "a"}}))
    reason = "Requested by event e-1 from fleet.console"
    assert event == CancelEvent({"jobId": "a"}, CancelReason(reason, "EVENT_REMEDIATION", reason))


# Events of other accounts and Regions

OWN: dict[str, dict[str, object]] = {
    "alarm": envelope(
        "CloudWatch Alarm State Change",
        "aws.cloudwatch",
        detail={
            "state": {"value": "ALARM"},
            "configuration": {"metrics": [{"metricStat": {"metric": {"dimensions": {"JobId": "a"}}}}]},
        },
    ),
    "CreateJob": trail(eventName="CreateJob", requestParameters={"jobId": "a"}),
    "stack": stack("DELETE_COMPLETE"),
}
ELSEWHERE: list[Any] = [
    ({"account": "999999999999", "region": "eu-west-1"}, "'999999999999' in 'eu-west-1'"),
    ({"account": "123456789012", "region": "us-east-1"}, "'123456789012' in 'us-east-1'"),
    ({"account": "999999999999"}, "'999999999999' in '?'"),
    ({"region": "us-east-1"}, "'?' in 'us-east-1'"),
    ({"account": ["123456789012"], "region": ""}, "'?' in ''"),
]


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(("place", "named"), ELSEWHERE)
def test_an_event_of_another_account_or_region_is_ignored(name: str, place: dict[str, object], named: str) -> None:
    reason = f"the event is from account {named}, not from 123456789012 in eu-west-1"
    assert parsed(OWN[name] | place) == IgnoredEvent(reason)


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize("place", [{"account": "123456789012", "region": "eu-west-1"}, {"account": None}, {}])
def test_an_event_of_this_or_no_account_and_region_is_parsed(name: str, place: dict[str, object]) -> None:
    assert isinstance(parsed(OWN[name] | place), CancelEvent)


@pytest.mark.parametrize("name", OWN)
def test_an_event_is_parsed_by_a_stack_of_unknown_account_and_region(name: str) -> None:
    event = OWN[name] | {"account": "999999999999", "region": "us-east-1"}
    assert isinstance(parse_eventbridge_event(event, Stack("canceler")), CancelEvent)


@pytest.mark.parametrize(
    "event", [requested({"cancel": {"jobId": "a"}}), envelope("Scheduled Event", "aws.events", detail={})]
)
def test_a_request_and_a_schedule_of_another_region_are_parsed(event: dict[str, object]) -> None:
    assert isinstance(parsed(event | {"account": "999999999999", "region": "us-east-1"}, SWEEP), CancelEvent)


# Schedules without an input of their own

SWEEP: dict[str, object] = {"select": {"jobIdGlob": "ota-*", "olderThanHours": 168}}


@pytest.mark.parametrize("source", ["aws.events", "aws.scheduler"])
@pytest.mark.parametrize("detail", [{}, "{}"])
def test_a_schedule_without_an_input_requests_the_sweep_of_the_stack(source: str, detail: object) -> None:
    event = envelope("Scheduled Event", source, detail=detail)
    reason = "Requested by schedule event e-1"
    assert is_scheduled(event)
    assert parsed(event, SWEEP) == CancelEvent(SWEEP, CancelReason(reason, "SCHEDULED_CLEANUP", reason))
    assert parsed(event, None) == NO_SWEEP


@pytest.mark.parametrize(
    "detail", [None, "", [], "null", '{"cancel": {}}', {"cancel": {"jobId": "a"}}, {"select": {}}, 0, False]
)
def test_a_schedule_with_a_detail_never_starts_the_sweep(detail: object) -> None:
    assert parsed(envelope("Scheduled Event", "aws.scheduler", detail=detail), SWEEP) == NOT_EMPTY


def test_a_schedule_without_the_key_detail_never_starts_the_sweep() -> None:
    assert parsed(envelope("Scheduled Event", "aws.scheduler"), SWEEP) == NOT_EMPTY


def test_a_forged_schedule_never_starts_the_sweep() -> None:
    event = envelope("Scheduled Event", "fleet.console", detail={})
    assert not is_scheduled(event)
    assert parsed(event, SWEEP) == f"{UNKNOWN_TYPE}'Scheduled Event' from 'fleet.console'"
