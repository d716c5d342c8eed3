"""The backlog: what is put on it, which events come from it, and what each message holds."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.stub import Stubber

from handler.backlog import Backlog, Message, read_message, sqs_client
from tests.support.fakes import FakeBacklog, FakeClock

URL = FakeBacklog.url
EVENTS = Path(__file__).parents[2] / "events"
SENT_AT = 1795500751.0  # SentTimestamp of the file
WEEKLY = {"cancel": {"jobId": "firmware-2026-11", "reasonCode": "STALE_JOB", "comment": "weekly clean-up"}}


def message(**fields: Any) -> dict[str, Any]:
    """The file of events/, with other values in its one record. ... stands for a field that is not there."""
    event: dict[str, Any] = json.loads((EVENTS / "backlog-message.json").read_text())
    record = event["Records"][0] | fields
    event["Records"] = [{key: value for key, value in record.items() if value is not ...}]
    return event


# Reading


def test_a_message_of_the_own_queue_is_read() -> None:
    assert read_message(message(), URL) == Message(
        message_id="2b7d1c5e-94a3-4f60-8e2b-1c0d9f8e7a6b",
        receipt_handle="not-a-real-handle",
        event=WEEKLY,
        first_seen_at=1795500750.512,
        admitted=True,
        receives=2,
    )


TWICE = message()
TWICE["Records"] *= 2
NONE = message()
NONE["Records"] = []
NOTHING: list[Any] = [None, [], {}, "Records", {"Records": None}, {"Records": [None]}]
FOREIGN: list[Any] = [
    pytest.param(json.loads((EVENTS / "foreign" / "sqs-batch.json").read_text()), id="another queue"),
    pytest.param(message(eventSourceARN="arn:aws:sqs:eu-west-1:123456789012:canceler-Backlog-1AB"), id="a short name"),
    pytest.param(message(eventSourceARN="arn:aws:sqs:eu-west-1:123456789012:x-canceler-Backlog-1ABC"), id="a long one"),
    pytest.param(message(eventSourceARN="canceler"), id="no ARN"),
    pytest.param(message(eventSourceARN=None), id="null for an ARN"),
    pytest.param(message(eventSource="aws:sns"), id="another source"),
    pytest.param(TWICE, id="two records: the batch size is one"),
    pytest.param(NONE, id="no record"),
    *(
        pytest.param(message(**{key: value}), id=f"{key} {value}")
        for key in ("messageId", "receiptHandle", "body", "eventSource", "eventSourceARN")
        for value in (..., 5)
    ),
    pytest.param(json.loads((EVENTS / "foreign" / "sns-record.json").read_text()), id="a topic"),
    pytest.param(WEEKLY, id="a bare request"),
]


@pytest.mark.parametrize("event", FOREIGN)
def test_anything_else_is_no_message_of_ours(event: object) -> None:
    assert read_message(event, URL) is None


def attribute(value: object) -> dict[str, object]:
    return {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String"}


@pytest.mark.parametrize(
    ("attributes", "first_seen_at", "admitted"),
    [
        ({"FirstSeenAt": attribute("12.5"), "Admitted": attribute("true")}, 12.5, True),
        ({"FirstSeenAt": attribute("12.5")}, 12.5, False),
        ({"Admitted": attribute("true")}, SENT_AT, True),
        ({}, SENT_AT, False),
        (None, SENT_AT, False),
        (..., SENT_AT, False),
        ([], SENT_AT, False),
        ("FirstSeenAt", SENT_AT, False),
        ({"FirstSeenAt": attribute("soon")}, SENT_AT, False),
        ({"FirstSeenAt": attribute("")}, SENT_AT, False),
        ({"FirstSeenAt": attribute("nan")}, SENT_AT, False),
        ({"FirstSeenAt": attribute("inf")}, SENT_AT, False),
        ({"FirstSeenAt": attribute(12.5)}, SENT_AT, False),
        ({"FirstSeenAt": "12.5", "Admitted": "true"}, SENT_AT, False),
        ({"FirstSeenAt": None, "Admitted": None}, SENT_AT, False),
        ({"firstSeenAt": attribute("12.5"), "admitted": attribute("true")}, SENT_AT, False),
    ],
)
def test_a_message_without_readable_attributes_is_a_new_event(
    attributes: object, first_seen_at: float | None, admitted: bool
) -> None:
    """As an event that somebody has put on the queue by hand."""
    read = read_message(message(messageAttributes=attributes), URL)
    assert read is not None
    assert (read.first_seen_at, read.admitted) == (first_seen_at, admitted)


@pytest.mark.parametrize(("count", "receives"), [("1", 1), ("100", 100), ("", 1), ("x", 1), ("-1", 1), ("²", 1)])
def test_how_often_a_message_came_is_read(count: str, receives: int) -> None:
    read = read_message(message(attributes={"ApproximateReceiveCount": count}), URL)
    assert read is not None
    assert read.receives == receives


@pytest.mark.parametrize(
    ("body", "event"),
    [
        ('{"cancel": {"jobId": "a"}}', {"cancel": {"jobId": "a"}}),
        ("[1]", [1]),
        ("null", None),
        ("no JSON", "no JSON"),
        ("", ""),
        ("{", "{"),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_the_body_is_the_event_or_what_nobody_recognises(body: str, event: object) -> None:
    read = read_message(message(body=body), URL)
    assert read is not None
    assert read.event == event


def wrapped(**fields: object) -> dict[str, object]:
    """An event as Lambda puts it on the failure queue, when an asynchronous invocation failed for good."""
    return {
        "version": "1.0",
        "timestamp": "2026-11-24T06:20:31.123Z",
        "requestContext": {
            "requestId": "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11",
            "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:canceler:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": WEEKLY,
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": {"errorMessage": "no answer reached CloudFormation: HTTP 503"},
        **fields,
    }


@pytest.mark.parametrize(
    ("document", "event"),
    [
        (wrapped(), WEEKLY),
        (wrapped(requestPayload=None), None),
        ({"requestPayload": WEEKLY}, {"requestPayload": WEEKLY}),
        ({"requestContext": "x", "requestPayload": WEEKLY}, {"requestContext": "x", "requestPayload": WEEKLY}),
    ],
)
def test_an_event_that_is_redriven_from_the_failure_queue_is_unwrapped(document: object, event: object) -> None:
    read = read_message(message(body=json.dumps(document), messageAttributes={}), URL)
    assert read is not None
    assert (read.event, read.admitted, read.first_seen_at) == (event, False, SENT_AT)


# Writing


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        yield sqs_client()


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_call_ends_long_before_an_invocation_does(client: Any) -> None:
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 3)
    assert config.retries == {"mode": "standard", "total_max_attempts": 3}


@pytest.mark.parametrize("admitted", [False, True])
def test_an_event_is_put_on_the_queue_as_it_came(admitted: bool, client: Any, stub: Stubber) -> None:
    attributes = {"FirstSeenAt": {"DataType": "Number", "StringValue": "1795500750.512"}}
    if admitted:
        attributes["Admitted"] = {"DataType": "String", "StringValue": "true"}
    expected = {
        "QueueUrl": URL,
        "MessageBody": json.dumps(WEEKLY),
        "DelaySeconds": 5,
        "MessageAttributes": attributes,
    }
    stub.add_response("send_message", {}, expected)
    Backlog(client, URL).put(WEEKLY, 1795500750.5123, 5, admitted=admitted)


def test_a_message_is_kept_for_some_seconds(client: Any, stub: Stubber) -> None:
    expected = {"QueueUrl": URL, "ReceiptHandle": "r-1", "VisibilityTimeout": 5}
    stub.add_response("change_message_visibility", {}, expected)
    Backlog(client, URL).keep(Message("m-1", "r-1", {}, None, admitted=False, receives=1), 5)


@pytest.mark.parametrize("admitted", [False, True])
@pytest.mark.parametrize("event", [WEEKLY, {"ü": ["\u2028", None, 1.5]}, [], "text", None])
def test_what_is_put_on_the_queue_is_read_from_it(event: object, admitted: bool, clock: FakeClock) -> None:
    queue = FakeBacklog(clock)
    queue.port.put(copy.deepcopy(event), 1795500750.5, 5, admitted=admitted)
    (sent,) = queue.messages
    sent.receipt_handle, sent.receives = "r-1", 3
    expected = Message("message-1", "r-1", event, 1795500750.5, admitted, 3)
    assert read_message(queue.event_of(sent), URL) == expected


def test_a_message_without_any_time_is_new() -> None:
    event = message(messageAttributes={}, attributes={"ApproximateReceiveCount": "1"})
    read = read_message(event, URL)
    assert read is not None
    assert (read.first_seen_at, read.admitted) == (None, False)
