"""Every payload is parsed once into a trigger, a correlation id and its content, or a reason why it is rejected."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handler.cancellation.report import Trigger
from handler.cancellation.request import CancelReason
from handler.cloudformation.request import CustomResourceRequest
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack
from handler.inbound.event import Event, RejectedEvent, parse_event
from handler.inbound.terraform import TerraformRequest
from tools.simulators.events import STACK_ID, delete_request

EVENTS = Path(__file__).parents[3] / "events"
STACK = Stack("canceler", "123456789012", "eu-west-1", alarm_name_prefix="iot-job-failures-")

NOT_AN_EVENT = (
    "event: must be a CloudFormation custom resource request, an EventBridge event, a CloudWatch alarm, an SNS "
    'notification with one of the last two, or {"cancel": {...}}; received '
)
FOREIGN_QUEUE = (
    f"{NOT_AN_EVENT}records of aws:sqs from a queue that is not the stack's own; the messages stay in that queue"
)
HALF_A_REQUEST = (
    f"{NOT_AN_EVENT}an object with the keys LogicalResourceId, PhysicalResourceId, RequestId, RequestType, "
    "ResourceProperties, 2 more"
)
NO_SWEEP = 'SweepJobIdGlob: must be set on the stack, or give the schedule an Input of {"cancel": {...}}'

TWO_JOBS = (
    "detail.configuration.metrics: must name one job in their JobId dimensions, but name 2; use one alarm for each "
    "job, or a rule of your own that sends the function a request for the right job"
)
CANARY = "Requested by event 7c6b5a49-3827-4165-9f4e-3d2c1b0a9f8e from aws.cloudwatch, alarm iot-job-failures-canary"


def load(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def direct(document: object) -> CancelEvent:
    reason = CancelReason("Requested by a direct request", "DIRECT_REQUEST", "Requested by a direct request")
    return CancelEvent(document, reason)


# File → trigger, and content: for a rejected event the reason, and None for a custom resource request.
EXPECTED: dict[str, tuple[str, CancelEvent | TerraformRequest | IgnoredEvent | str | None]] = {
    "custom-resource-create.json": ("TEARDOWN", None),
    "custom-resource-update.json": ("TEARDOWN", None),
    "custom-resource-delete.json": ("TEARDOWN", None),
    "request-event.json": (
        "EVENT",
        CancelEvent.from_event(
            load("request-event.json")["detail"]["cancel"],
            "event 7bf73129-1428-4cd3-a780-95db273d1602 from fleet.console",
        ),
    ),
    "alarm-to-alarm.json": (
        "EVENT",
        CancelEvent.from_event({"jobId": "firmware-2026-11"}, "alarm iot-job-failures-firmware-2026-11"),
    ),
    "alarm-action.json": (
        "EVENT",
        CancelEvent.from_event({"jobId": "firmware-2026-11"}, "alarm iot-job-failures-firmware-2026-11"),
    ),
    "alarm-by-sns.json": (
        "EVENT",
        CancelEvent.from_event({"jobId": "firmware-2026-11"}, "alarm iot-job-failures-firmware-2026-11"),
    ),
    "alarm-of-contributor.json": (
        "EVENT",
        CancelEvent.from_event({"jobId": "firmware-2026-11"}, "alarm iot-job-failures-fleet"),
    ),
    "alarm-with-contributors.json": (
        "EVENT",
        IgnoredEvent("the alarm has contributors, each of which sends its own event"),
    ),
    "alarm-muted.json": ("EVENT", IgnoredEvent("the alarm is muted by a mute rule")),
    "alarm-of-two-jobs.json": ("EVENT", TWO_JOBS),
    "alarm-to-ok.json": ("EVENT", IgnoredEvent("the alarm went to OK")),
    "canceler-report.json": ("EVENT", IgnoredEvent("the event is a report of an iot-job-canceler stack")),
    "cloudtrail-create-job.json": (
        "EVENT",
        CancelEvent.from_event(
            {"jobId": "firmware-2026-11"}, "CreateJob in event 3c4d5e6f-7a8b-4c9d-8e0f-1a2b3c4d5e6f"
        ),
    ),
    "cloudtrail-create-job-failed.json": ("EVENT", IgnoredEvent("the CreateJob failed")),
    "cloudtrail-cancel-job.json": ("EVENT", IgnoredEvent("the API call is 'CancelJob', not CreateJob")),
    "scheduled-rule.json": ("SCHEDULE", NO_SWEEP),
    "scheduled-scheduler.json": ("SCHEDULE", NO_SWEEP),
    "stack-deleted.json": (
        "EVENT",
        CancelEvent.from_event(
            {
                "select": {
                    "tags": {"iot-job-canceler:stack-id": STACK_ID},
                    "targetSelection": ["SNAPSHOT", "CONTINUOUS"],
                }
            },
            f"the deletion of {STACK_ID}",
        ),
    ),
    "select-request.json": (
        "DIRECT",
        direct(load("select-request.json")["cancel"]),
    ),
    "custom-resource-select-delete.json": ("TEARDOWN", None),
    # read_delivery unwraps the messages of the function's own queues first.
    "backlog-message.json": ("DIRECT", FOREIGN_QUEUE),
    "teardown-message.json": ("DIRECT", FOREIGN_QUEUE),
    "bare-request.json": (
        "DIRECT",
        direct(load("bare-request.json")["cancel"]),
    ),
    "terraform-delete.json": (
        "TEARDOWN",
        TerraformRequest("delete", {"jobId": "firmware-2026-11"}, {"jobId": "firmware-2026-11"}),
    ),
    "request-by-sns.json": ("DIRECT", direct({"jobId": "firmware-2026-11"})),
    "foreign/sns-record.json": ("DIRECT", f"{NOT_AN_EVENT}an SNS notification with a string"),
    "foreign/s3-object-created.json": ("DIRECT", f"{NOT_AN_EVENT}records of aws:s3"),
    "foreign/api-gateway-proxy.json": ("DIRECT", f"{NOT_AN_EVENT}an API Gateway event"),
    "foreign/sqs-batch.json": ("DIRECT", FOREIGN_QUEUE),
    "foreign/empty.json": ("DIRECT", f"{NOT_AN_EVENT}an empty object"),
    "foreign/request-type-without-response-url.json": (
        "DIRECT",
        HALF_A_REQUEST,
    ),
}


def parsed(
    payload: object, sweep_request: dict[str, object] | None = None
) -> tuple[str, CancelEvent | TerraformRequest | IgnoredEvent | str | None]:
    """Return the trigger and the content, in the form of EXPECTED."""
    event = parse_event(payload, replace(STACK, sweep_request=sweep_request))
    match event.content:
        case RejectedEvent(reason):
            return event.trigger.value, reason
        case CustomResourceRequest():
            return event.trigger.value, None
    return event.trigger.value, event.content


def test_every_file_of_events_is_expected() -> None:
    assert {str(path.relative_to(EVENTS)) for path in EVENTS.rglob("*.json")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_every_file_of_events_is_parsed(name: str) -> None:
    assert parsed(load(name)) == EXPECTED[name]


@pytest.mark.parametrize("name", EXPECTED)
def test_no_file_of_events_contains_a_valid_response_url(name: str) -> None:
    text = (EVENTS / name).read_text()
    assert ("ResponseURL" not in text) or ("/fake-path?X-Amz-Signature=not-a-real-signature" in text)
    assert "Expires" not in text


@pytest.mark.parametrize(
    ("payload", "received"),
    [
        (None, "null"),
        (True, "a boolean"),
        (0, "a number"),
        (1.5, "a number"),
        ("cancel", "a string"),
        ("", "an empty string"),
        ([], "an empty list"),
        ([{"cancel": {"jobId": "a"}}], "a list of 1"),
    ],
)
def test_a_payload_that_is_not_an_object_is_rejected(payload: object, received: str) -> None:
    event = parse_event(payload, STACK)
    assert (event.trigger, event.correlation_id, event.content) == (
        "DIRECT",
        "",
        RejectedEvent(f"{NOT_AN_EVENT}{received}"),
    )


# Direct requests


@pytest.mark.parametrize(
    ("payload", "content"),
    [
        pytest.param({"cancel": {}}, direct({}), id="an empty document, for the parser of requests"),
        pytest.param({"cancel": None}, "cancel: must not be null", id="null"),
        pytest.param(
            {"cancel": {"jobId": "a"}, "dryRun": True},
            "event: unknown key 'dryRun'; the keys are cancel",
            id="dryRun beside cancel",
        ),
        pytest.param({}, f"{NOT_AN_EVENT}an empty object", id="empty"),
    ],
)
def test_a_direct_request_has_the_single_key_cancel(payload: object, content: CancelEvent | str) -> None:
    assert parsed(payload) == ("DIRECT", content)


# Rejected events


@pytest.mark.parametrize(
    ("payload", "asked_by", "reason_code"),
    [
        (
            {"detail-type": "IoT Job Cancellation Requested", "source": "fleet.console", "id": "e-1"},
            "Requested by event e-1 from fleet.console",
            "EVENT_REMEDIATION",
        ),
        (load("alarm-of-two-jobs.json"), CANARY, "EVENT_REMEDIATION"),
        (
            load("alarm-of-two-jobs.json") | {"source": "x"},
            CANARY.replace("aws.cloudwatch, alarm iot-job-failures-canary", "x"),
            "EVENT_REMEDIATION",
        ),
        (
            {"detail-type": None, "detail": {"alarmName": 5}, "source": "aws.cloudwatch"},
            "Requested by event ? from aws.cloudwatch",
            "EVENT_REMEDIATION",
        ),
        (
            load("scheduled-rule.json") | {"id": "e-2"},
            "Requested by schedule event e-2",
            "SCHEDULED_CLEANUP",
        ),
        ({"cancel": {"jobId": "a"}, "dryRun": True}, "Requested by a direct request", "DIRECT_REQUEST"),
    ],
)
def test_a_rejected_event_names_its_sender(payload: object, asked_by: str, reason_code: str) -> None:
    content = parse_event(payload, STACK).content
    assert isinstance(content, RejectedEvent)
    assert content.sender == CancelReason(asked_by, reason_code, asked_by)


@pytest.mark.parametrize("payload", [{}, [], {"RequestType": "Delete", "ResponseURL": 5}])
def test_a_payload_without_an_envelope_has_no_sender(payload: object) -> None:
    content = parse_event(payload, STACK).content
    assert isinstance(content, RejectedEvent)
    assert content.sender is None


# Custom resource requests

REQUEST = delete_request("job-1", "https://x", {"JobId": "job-1"}, request_id="r-1")


def test_request_type_and_response_url_make_a_custom_resource_request() -> None:
    event = parse_event(REQUEST, STACK)
    properties = {"ServiceToken": "arn", "JobId": "job-1"}
    assert event.content == CustomResourceRequest(
        "Delete", "https://x", "r-1", STACK_ID, "Teardown", "job-1", properties
    )
    assert (event.trigger, event.correlation_id) == ("TEARDOWN", "r-1")


@pytest.mark.parametrize("others", [{"cancel": {"jobId": "a"}}, {"detail-type": "Scheduled Event"}, {"Records": []}])
def test_a_custom_resource_request_takes_precedence(others: dict[str, object]) -> None:
    assert parsed(REQUEST | others) == ("TEARDOWN", None)


@pytest.mark.parametrize("payload", [{"RequestType": "Delete"}, {"ResponseURL": "https://x"}])
def test_half_a_custom_resource_request_is_rejected(payload: dict[str, object]) -> None:
    assert parsed(payload) == ("DIRECT", f"{NOT_AN_EVENT}an object with the key {next(iter(payload))}")


def test_a_custom_resource_request_that_cannot_be_responded_to_is_rejected() -> None:
    payload = {"RequestType": 1, "ResponseURL": None, "cancel": {"jobId": "a"}, "detail-type": "Scheduled Event"}
    assert parsed(payload) == ("TEARDOWN", "ResponseURL: must be a string that is not empty")
    assert parsed(REQUEST | {"RequestType": "Read"}) == ("TEARDOWN", "RequestType: must be Create, Update or Delete")


# SNS notifications

BY_SNS = "ServiceToken: must be the ARN of the canceler's function, not of an SNS topic; no job was canceled"


def by_sns(message: object, source: str = "aws:sns", **fields: object) -> dict[str, Any]:
    text = message if isinstance(message, str) else json.dumps(message)
    notification = {"Type": "Notification", "MessageId": "n-1", "Message": text, **fields}
    return {"Records": [{"EventSource": source, "Sns": notification}]}


def message_of(name: str) -> Any:
    return json.loads(load(name)["Records"][0]["Sns"]["Message"])


def test_a_custom_resource_request_through_sns_is_refused() -> None:
    direct, event = parse_event(REQUEST, STACK), parse_event(by_sns(REQUEST), STACK)
    assert isinstance(direct.content, CustomResourceRequest)
    assert direct.content.refusal == ""
    assert event == direct._replace(content=replace(direct.content, refusal=BY_SNS))


def test_a_custom_resource_request_through_sns_that_cannot_be_responded_to_is_rejected() -> None:
    assert parsed(by_sns(REQUEST | {"StackId": ""})) == ("TEARDOWN", "StackId: must be a string that is not empty")


@pytest.mark.parametrize(
    "name", ["request-event.json", "alarm-to-alarm.json", "alarm-of-contributor.json", "bare-request.json"]
)
def test_a_message_is_parsed_like_the_event_in_it(name: str) -> None:
    event = load(name)
    expected = parse_event(event, STACK)
    assert isinstance(expected.content, CancelEvent)
    by_topic = parse_event(by_sns(event), STACK)
    assert by_topic == expected._replace(correlation_id=event.get("id", "n-1"))


def test_a_schedule_through_sns_requests_the_sweep_of_the_stack() -> None:
    sweep: dict[str, object] = {"select": {"jobIdGlob": "ota-*"}}
    trigger, content = parsed(by_sns(load("scheduled-scheduler.json")), sweep)
    assert isinstance(content, CancelEvent)
    assert (trigger, content.document) == ("SCHEDULE", sweep)


OUTSIDE = "the alarm's name 'night' does not start with AlarmNamePrefix 'iot-job-failures-'"


def test_an_alarm_through_sns_must_have_the_prefix() -> None:
    alarm, message = load("alarm-to-alarm.json"), message_of("alarm-by-sns.json") | {"AlarmName": "night"}
    alarm["detail"]["alarmName"] = "night"
    assert parsed(by_sns(message)) == ("EVENT", IgnoredEvent(OUTSIDE))
    assert parsed(by_sns(alarm)) == ("EVENT", IgnoredEvent(OUTSIDE))
    assert isinstance(parsed(alarm)[1], CancelEvent)


@pytest.mark.parametrize(
    ("payload", "received"),
    [
        pytest.param(by_sns("no JSON"), "an SNS notification with a string", id="text"),
        pytest.param(by_sns(""), "an SNS notification with an empty string", id="empty"),
        pytest.param(by_sns("[" * 200_000), "an SNS notification with a string", id="deep"),
        pytest.param(by_sns([REQUEST]), "an SNS notification with a list of 1", id="list"),
        pytest.param(by_sns({}), "an SNS notification with an empty object", id="empty object"),
        pytest.param(
            by_sns({"RequestType": "Delete"}), "an SNS notification with an object with the key RequestType", id="half"
        ),
        pytest.param(
            by_sns(by_sns({"cancel": {"jobId": "a"}})), "an SNS notification with records of aws:sns", id="twice"
        ),
        pytest.param(
            by_sns(load("foreign/sqs-batch.json")), "an SNS notification with records of aws:sqs", id="of a queue"
        ),
        pytest.param(by_sns(REQUEST, source="aws:sqs"), "records of aws:sqs", id="another source"),
        pytest.param({"Records": by_sns(REQUEST)["Records"] * 2}, "records of aws:sns", id="two"),
        pytest.param({"Records": [{"EventSource": "aws:sns", "Sns": {}}]}, "records of aws:sns", id="no message"),
        pytest.param(
            message_of("alarm-by-sns.json"),
            "an object with the keys AWSAccountId, AlarmActions, AlarmArn, AlarmConfigurationUpdatedTimestamp, "
            "AlarmDescription, 9 more",
            id="the message of an alarm, without its notification",
        ),
    ],
)
def test_any_other_notification_is_rejected(payload: object, received: str) -> None:
    assert parsed(payload) == ("DIRECT", f"{NOT_AN_EVENT}{received}")


def test_events_without_an_id_have_no_correlation_id() -> None:
    for payload in (load("terraform-delete.json"), [1]):
        assert parse_event(payload, STACK).correlation_id == ""


def test_a_rejected_alarm_names_its_sender() -> None:
    message, reason = (
        message_of("alarm-by-sns.json") | {"NewStateValue": "?"},
        "Requested by alarm iot-job-failures-fleet",
    )
    action = load("alarm-action.json")
    action["alarmData"] |= {"alarmName": "iot-job-failures-fleet", "state": {}}
    for payload in (by_sns(message | {"AlarmName": "iot-job-failures-fleet"}), action):
        content = parse_event(payload, STACK).content
        assert isinstance(content, RejectedEvent)
        assert content.sender == CancelReason(reason, "EVENT_REMEDIATION", reason)


@pytest.mark.parametrize(
    ("payload", "correlation_id"),
    [
        (load("alarm-by-sns.json"), "4c4e5f60-7182-4394-a5b6-c7d8e9f00112"),
        (by_sns({"cancel": {}}), "n-1"),
        (by_sns("no JSON"), "n-1"),
        (by_sns({"cancel": {}, "id": "e-1"}), "e-1"),
        (by_sns({"cancel": {}}, MessageId="x" * 129), ""),
        (by_sns({"cancel": {}}, MessageId=5), ""),
        (load("alarm-action.json"), ""),
    ],
)
def test_the_correlation_id_of_a_notification_is_its_message_id(payload: object, correlation_id: str) -> None:
    assert parse_event(payload, STACK).correlation_id == correlation_id


# Messages of other queues


def of_queue(*message_ids: object) -> dict[str, Any]:
    (record,) = load("foreign/sqs-batch.json")["Records"]
    return {"Records": [record | {"messageId": message_id} for message_id in message_ids]}


@pytest.mark.parametrize("message_ids", [("m-1",), ("m-1", "m-2", "m-3")])
def test_messages_of_another_queue_stay_in_it(message_ids: tuple[str, ...]) -> None:
    event = parse_event(of_queue(*message_ids), STACK)
    assert event == Event(Trigger.DIRECT, "", RejectedEvent(FOREIGN_QUEUE, kept_messages=message_ids))


@pytest.mark.parametrize(
    "payload",
    [
        of_queue("m-1", None),
        {"Records": [*of_queue("m-1")["Records"], {"eventSource": "aws:s3", "messageId": "m-2"}]},
        {"Records": [{"eventSource": "aws:sqs"}]},
        {"Records": ["aws:sqs"]},
        {"Records": []},
        {"Records": {"eventSource": "aws:sqs", "messageId": "m-1"}},
    ],
)
def test_other_records_are_not_messages(payload: object) -> None:
    content = parse_event(payload, STACK).content
    assert isinstance(content, RejectedEvent)
    assert content.kept_messages == ()


# The trigger


@pytest.mark.parametrize(
    ("payload", "trigger"),
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
def test_an_unreadable_event_has_a_trigger(payload: object, trigger: str) -> None:
    assert parse_event(payload, STACK).trigger == trigger


def test_a_schedule_requests_the_sweep_of_the_stack() -> None:
    sweep: dict[str, object] = {"select": {"jobIdGlob": "ota-*"}}
    trigger, content = parsed(load("scheduled-scheduler.json"), sweep)
    assert isinstance(content, CancelEvent)
    assert (trigger, content.document, content.default_reason.reason_code) == ("SCHEDULE", sweep, "SCHEDULED_CLEANUP")


# The correlation id


@pytest.mark.parametrize(
    ("payload", "correlation_id"),
    [
        ({"RequestId": "r-1"}, "r-1"),
        ({"id": "e-1"}, "e-1"),
        ({"RequestId": "r-1", "id": "e-1"}, "r-1"),
        ({"RequestId": "", "id": "e-1"}, "e-1"),
        ({"RequestId": None, "id": "e-1"}, "e-1"),
        ({"id": "x" * 128}, "x" * 128),
        ({"id": "x" * 129}, ""),
        ({"id": 5}, ""),
        ({"RequestId": ["r-1"], "id": "e-1"}, ""),
        ({"id": None}, ""),
        ({}, ""),
    ],
)
def test_the_correlation_id_is_the_request_id_or_the_id_of_the_event(payload: object, correlation_id: str) -> None:
    assert parse_event(payload, STACK).correlation_id == correlation_id
