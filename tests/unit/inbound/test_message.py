"""Messages of the backlog: which events are one, what each holds, and that what is written can be read."""

import json
from pathlib import Path
from typing import Any

import pytest
from handler.message import Message, Progress, attributes_of, read_message

from handler.cancellation.wait import Wait
from tests.support.sqs import FakeSqs

URL, TEARDOWN_URL = FakeSqs.url, FakeSqs.teardown_url
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
    assert read_message(message(), URL, TEARDOWN_URL) == Message(
        queue_url=URL,
        message_id="2b7d1c5e-94a3-4f60-8e2b-1c0d9f8e7a6b",
        receipt_handle="not-a-real-handle",
        event=WEEKLY,
        receives=2,
        progress=Progress(1795500750.512, admitted=True),
    )


@pytest.mark.parametrize(
    ("queue_urls", "arn", "queue_url"),
    [
        ((URL, TEARDOWN_URL), FakeSqs.arn, URL),
        ((URL, TEARDOWN_URL), FakeSqs.teardown_arn, TEARDOWN_URL),
        ((URL,), FakeSqs.teardown_arn, None),
        ((TEARDOWN_URL,), FakeSqs.arn, None),
        ((), FakeSqs.arn, None),
        ((URL, TEARDOWN_URL), FakeSqs.teardown_arn.removesuffix(".fifo"), None),
    ],
)
def test_the_queue_that_a_message_came_from_is_known(
    queue_urls: tuple[str, ...], arn: str, queue_url: str | None
) -> None:
    read = read_message(message(eventSourceARN=arn), *queue_urls)
    assert (read and read.queue_url) == queue_url


def test_a_message_of_the_queue_of_teardowns_tells_what_it_waits_for() -> None:
    event = json.loads((EVENTS / "teardown-message.json").read_text())
    read = read_message(event, URL, TEARDOWN_URL)
    assert read is not None
    assert (read.queue_url, read.receives) == (TEARDOWN_URL, 3)
    assert read.progress == Progress(1795521540.512, True, Wait(("firmware-2026-11",), 1795521540.903))


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
    assert read_message(event, URL, TEARDOWN_URL) is None


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
    assert read.progress == Progress(first_seen_at, admitted)


@pytest.mark.parametrize("sent_at", [1795500751000, ["1795500751000"], "soon", "nan", "9" * 400, None])
def test_a_message_whose_time_of_sending_can_not_be_read_has_none(sent_at: object) -> None:
    attributes = {"ApproximateReceiveCount": "2", "SentTimestamp": sent_at}
    read = read_message(message(attributes=attributes, messageAttributes={}), URL)
    assert read is not None
    assert read.progress.first_seen_at is None


@pytest.mark.parametrize(
    ("attributes", "wait"),
    [
        ({"WaitsFor": attribute("a"), "WaitsSince": attribute("12.5")}, Wait(("a",), 12.5)),
        ({"WaitsFor": attribute("a,b"), "WaitsSince": attribute("12.5")}, Wait(("a", "b"), 12.5)),
        ({"WaitsFor": attribute("a"), "WaitsSince": attribute("0")}, Wait(("a",), 0.0)),
        ({"WaitsFor": attribute("a")}, None),
        ({"WaitsSince": attribute("12.5")}, None),
        ({"WaitsFor": attribute(""), "WaitsSince": attribute("12.5")}, None),
        ({"WaitsFor": attribute("a,"), "WaitsSince": attribute("12.5")}, None),
        ({"WaitsFor": attribute("a,b c"), "WaitsSince": attribute("12.5")}, None),
        ({"WaitsFor": attribute("a" * 65), "WaitsSince": attribute("12.5")}, None),
        ({"WaitsFor": attribute(["a"]), "WaitsSince": attribute("12.5")}, None),
        ({"WaitsFor": attribute("a"), "WaitsSince": attribute("soon")}, None),
        ({"WaitsFor": attribute("a"), "WaitsSince": attribute("")}, None),
        ({"WaitsFor": attribute("a"), "WaitsSince": attribute("nan")}, None),
        ({"WaitsFor": attribute("a"), "WaitsSince": attribute("inf")}, None),
        ({"WaitsFor": attribute("a"), "WaitsSince": attribute(12.5)}, None),
        ({"WaitsFor": "a", "WaitsSince": "12.5"}, None),
        ({"waitsFor": attribute("a"), "waitsSince": attribute("12.5")}, None),
        ({}, None),
        (None, None),
    ],
)
def test_a_message_whose_wait_can_not_be_read_does_not_wait(attributes: object, wait: Wait | None) -> None:
    read = read_message(message(messageAttributes=attributes), URL)
    assert read is not None
    assert read.progress == Progress(SENT_AT, False, wait)


@pytest.mark.parametrize(
    ("count", "receives"),
    [("1", 1), ("100", 100), ("", 1), ("x", 1), ("-1", 1), ("²", 1), ("9" * 9, 999_999_999), ("9" * 10, 1)],
)
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
    assert (read.event, read.progress) == (event, Progress(SENT_AT))


def test_a_message_without_any_time_is_new() -> None:
    event = message(messageAttributes={}, attributes={"ApproximateReceiveCount": "1"})
    read = read_message(event, URL)
    assert read is not None
    assert read.progress == Progress(None)


# Writing


WRITTEN: list[tuple[Progress, dict[str, str]]] = [
    (Progress(None), {}),
    (Progress(None, admitted=True), {"Admitted": "true"}),
    (Progress(12.0), {"FirstSeenAt": "12.000"}),
    (Progress(1795500750.5126), {"FirstSeenAt": "1795500750.513"}),
    (Progress(12.5, True), {"FirstSeenAt": "12.500", "Admitted": "true"}),
    (
        Progress(12.5, True, Wait(("a",), 13.25)),
        {"FirstSeenAt": "12.500", "Admitted": "true", "WaitsFor": "a", "WaitsSince": "13.250"},
    ),
    (
        Progress(12.5, True, Wait(("a",), 13.25, force=True)),
        {
            "FirstSeenAt": "12.500",
            "Admitted": "true",
            "WaitsFor": "a",
            "WaitsSince": "13.250",
            "WaitsWithForce": "true",
        },
    ),
    (
        Progress(12.5, False, Wait(("a-1", "B_2", "c"), 13.0)),
        {"FirstSeenAt": "12.500", "WaitsFor": "a-1,B_2,c", "WaitsSince": "13.000"},
    ),
]


@pytest.mark.parametrize(("progress", "attributes"), WRITTEN)
def test_how_far_an_event_is_is_written_to_the_millisecond(progress: Progress, attributes: dict[str, str]) -> None:
    assert attributes_of(progress) == attributes


@pytest.mark.parametrize(
    "progress",
    [
        Progress(12.5),
        Progress(1795500750.512, True),
        Progress(12.5, False, Wait(("a",), 13.25)),
        Progress(12.5, False, Wait(("a",), 13.25, force=True)),
        Progress(12.5, True, Wait(tuple(f"job-{each:060}" for each in range(1000)), 0.0)),
    ],
)
def test_what_is_written_is_read_again(progress: Progress) -> None:
    written = {name: attribute(text) for name, text in attributes_of(progress).items()}
    read = read_message(message(messageAttributes=written), URL)
    assert read is not None
    assert read.progress == progress
