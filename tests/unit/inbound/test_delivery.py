"""How a payload was delivered, the progress that its message carries, and what follows a run."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from handler.cancellation.rate import Deadline
from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, Wait
from handler.inbound.delivery import Delivery, Message, Next, read_delivery
from tests.support.fakes import FakeClock
from tests.support.sqs import FakeSqs

URL, TEARDOWN_URL = FakeSqs.url, FakeSqs.teardown_url
QUEUES = (URL, TEARDOWN_URL)
EVENTS = Path(__file__).parents[3] / "events"
SENT_AT = 1795500751.0  # SentTimestamp of the file
NOW = SENT_AT + 30
WEEKLY = {"cancel": {"jobId": "firmware-2026-11", "reasonCode": "STALE_JOB", "comment": "weekly clean-up"}}
MESSAGE = Message(URL, "2b7d1c5e-94a3-4f60-8e2b-1c0d9f8e7a6b", "not-a-real-handle")


def message(**fields: Any) -> dict[str, Any]:
    """Return the payload of events/ with other values in its one record. A field with the value ... is removed."""
    event: dict[str, Any] = json.loads((EVENTS / "backlog-message.json").read_text())
    record = event["Records"][0] | fields
    event["Records"] = [{key: value for key, value in record.items() if value is not ...}]
    return event


def read(payload: object, now: float = NOW) -> Delivery:
    return read_delivery(payload, QUEUES, now)


# Messages of the function's own queues


def test_a_message_is_unwrapped() -> None:
    assert read(message()) == Delivery(
        payload=WEEKLY,
        now=NOW,
        first_seen_at=1795500750.512,
        limit_checked=True,
        wait=None,
        previous_attempts=2,
        message=MESSAGE,
    )


def test_a_message_of_a_teardown_has_its_wait() -> None:
    payload = json.loads((EVENTS / "teardown-message.json").read_text())
    delivery = read(payload, 1795521600.0)
    assert delivery.message is not None
    assert (delivery.message.queue_url, delivery.previous_attempts) == (TEARDOWN_URL, 3)
    assert (delivery.first_seen_at, delivery.limit_checked) == (1795521540.512, True)
    assert delivery.wait == Wait(("firmware-2026-11",), 1795521540.903)


@pytest.mark.parametrize(
    ("queue_urls", "arn", "queue_url"),
    [
        (QUEUES, FakeSqs.arn, URL),
        (QUEUES, FakeSqs.teardown_arn, TEARDOWN_URL),
        ((URL,), FakeSqs.teardown_arn, None),
        ((TEARDOWN_URL,), FakeSqs.arn, None),
        ((), FakeSqs.arn, None),
        (QUEUES, FakeSqs.teardown_arn.removesuffix(".fifo"), None),
    ],
)
def test_the_arn_names_the_queue_of_a_message(queue_urls: tuple[str, ...], arn: str, queue_url: str | None) -> None:
    found = read_delivery(message(eventSourceARN=arn), queue_urls, NOW).message
    assert (found and found.queue_url) == queue_url


TWO_RECORDS = message()
TWO_RECORDS["Records"] *= 2
EMPTY = message()
EMPTY["Records"] = []
NO_MESSAGES: list[Any] = [None, [], {}, "Records", {"Records": None}, {"Records": [None]}]
OTHER_PAYLOADS: list[Any] = [
    *(pytest.param(payload, id=repr(payload)) for payload in NO_MESSAGES),
    pytest.param(json.loads((EVENTS / "foreign" / "sqs-batch.json").read_text()), id="another queue"),
    pytest.param(
        message(eventSourceARN="arn:aws:sqs:eu-west-1:123456789012:canceler-Backlog-1AB"), id="a shorter name"
    ),
    pytest.param(
        message(eventSourceARN="arn:aws:sqs:eu-west-1:123456789012:x-canceler-Backlog-1ABC"), id="a longer name"
    ),
    pytest.param(message(eventSourceARN="canceler"), id="no ARN"),
    pytest.param(message(eventSourceARN=None), id="a null ARN"),
    pytest.param(message(eventSource="aws:sns"), id="another source"),
    pytest.param(TWO_RECORDS, id="two records"),
    pytest.param(EMPTY, id="no record"),
    *(
        pytest.param(message(**{key: value}), id=f"{key} {value}")
        for key in ("messageId", "receiptHandle", "body", "eventSource", "eventSourceARN")
        for value in (..., 5)
    ),
    pytest.param(json.loads((EVENTS / "foreign" / "sns-record.json").read_text()), id="a topic"),
    pytest.param(WEEKLY, id="a direct request"),
]


@pytest.mark.parametrize("payload", OTHER_PAYLOADS)
def test_any_other_payload_is_the_event_itself(payload: object) -> None:
    assert read(payload) == Delivery(payload, NOW, NOW)


def test_an_event_that_lambda_delivers_itself_has_no_progress() -> None:
    delivery = read(WEEKLY)
    assert (delivery.limit_checked, delivery.previous_attempts, delivery.wait) == (False, 0, None)


# The progress in the message attributes


def attribute(value: object) -> dict[str, object]:
    return {"stringValue": value, "stringListValues": [], "binaryListValues": [], "dataType": "String"}


@pytest.mark.parametrize(
    ("attributes", "first_seen_at", "limit_checked"),
    [
        ({"FirstSeenAt": attribute("1795500700.5"), "Admitted": attribute("true")}, 1795500700.5, True),
        ({"FirstSeenAt": attribute("1795500700.5")}, 1795500700.5, False),
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
        ({"FirstSeenAt": attribute(1795500700.5)}, SENT_AT, False),
        ({"FirstSeenAt": "1795500700.5", "Admitted": "true"}, SENT_AT, False),
        ({"FirstSeenAt": None, "Admitted": None}, SENT_AT, False),
        ({"firstSeenAt": attribute("1795500700.5"), "admitted": attribute("true")}, SENT_AT, False),
    ],
)
def test_a_message_without_readable_attributes_is_a_new_event(
    attributes: object, first_seen_at: float, limit_checked: bool
) -> None:
    """Such as one that an operator sent to the queue."""
    delivery = read(message(messageAttributes=attributes))
    assert (delivery.first_seen_at, delivery.limit_checked) == (first_seen_at, limit_checked)


@pytest.mark.parametrize("sent_at", [1795500751000, ["1795500751000"], "soon", "nan", "9" * 400, None])
def test_a_message_with_an_unreadable_time_was_first_seen_now(sent_at: object) -> None:
    attributes = {"ApproximateReceiveCount": "2", "SentTimestamp": sent_at}
    assert read(message(attributes=attributes, messageAttributes={})).first_seen_at == NOW


def test_a_message_without_a_time_was_first_seen_now() -> None:
    delivery = read(message(messageAttributes={}, attributes={"ApproximateReceiveCount": "1"}))
    assert (delivery.first_seen_at, delivery.limit_checked, delivery.wait) == (NOW, False, None)


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
def test_a_message_with_an_unreadable_wait_has_none(attributes: object, wait: Wait | None) -> None:
    delivery = read(message(messageAttributes=attributes))
    assert (delivery.first_seen_at, delivery.limit_checked, delivery.wait) == (SENT_AT, False, wait)


def test_a_wait_has_the_force_with_which_it_began() -> None:
    texts = {"WaitsFor": "a", "WaitsSince": "12.5", "WaitsWithForce": "true"}
    attributes = {name: attribute(text) for name, text in texts.items()}
    assert read(message(messageAttributes=attributes)).wait == Wait(("a",), 12.5, force=True)


@pytest.mark.parametrize(
    ("count", "previous_attempts"),
    [("1", 1), ("100", 100), ("", 1), ("x", 1), ("-1", 1), ("²", 1), ("9" * 9, 999_999_999), ("9" * 10, 1)],
)
def test_the_receive_count_is_the_number_of_attempts(count: str, previous_attempts: int) -> None:
    payload = message(attributes={"ApproximateReceiveCount": count})
    assert read(payload).previous_attempts == previous_attempts


HALF_A_DAY = 43_200.0
WAITS = {"WaitsFor": attribute("a,b"), "WaitsSince": attribute("12.5")}


@pytest.mark.parametrize(
    ("age", "is_redriven"), [(60, False), (HALF_A_DAY - 0.001, False), (HALF_A_DAY, True), (2 * HALF_A_DAY, True)]
)
def test_a_message_of_half_a_day_ago_was_redriven_and_begins_again(age: float, is_redriven: bool) -> None:
    attributes = {"FirstSeenAt": attribute("1795500000"), "Admitted": attribute("true"), **WAITS}
    attributes["Planned"] = attribute("a,b")
    delivery = read(message(messageAttributes=attributes), 1795500000 + age)
    assert (delivery.first_seen_at, delivery.previous_attempts) == (1795500000, 2)
    assert delivery.limit_checked is not is_redriven
    assert delivery.planned == (() if is_redriven else ("a", "b"))
    assert delivery.wait == (None if is_redriven else Wait(("a", "b"), 12.5))


@pytest.mark.parametrize(
    ("attributes", "is_unknown"),
    [
        ({}, False),
        (None, False),
        ({"Format": attribute("1")}, False),
        ({"Format": attribute("2")}, True),
        ({"Format": attribute("1.1")}, True),
        ({"Format": attribute("")}, True),
    ],
)
def test_a_message_with_another_format_is_unknown(attributes: object, is_unknown: bool) -> None:
    """Release 0.1.0 sends no format."""
    assert read(message(messageAttributes=attributes)).has_unknown_format is is_unknown


@pytest.mark.parametrize(
    ("text", "planned"),
    [("a", ("a",)), ("a,b", ("a", "b")), ("", ()), ("a,", ()), ("a,b c", ()), (["a"], ()), (None, ())],
)
def test_a_message_has_the_jobs_of_its_plan(text: object, planned: tuple[str, ...]) -> None:
    assert read(message(messageAttributes={"Planned": attribute(text)})).planned == planned


def test_the_jobs_of_a_plan_are_sent_with_each_new_message() -> None:
    first = replace(JOBS, planned=("a", "b"))
    following = next_of(Delivery(WEEKLY, NOW, NOW), first)
    attributes = {"FirstSeenAt": f"{NOW:.3f}", "Admitted": "true", "Planned": "a,b"}
    assert following.attributes == FORMAT_1 | attributes
    later = Delivery(WEEKLY, NOW, NOW, limit_checked=True, message=MESSAGE, planned=("a", "b"))
    assert later.attributes == following.attributes
    assert (next_of(later, WAIT).attributes or {})["Planned"] == "a,b"


# The body


@pytest.mark.parametrize(
    ("body", "payload"),
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
def test_the_body_is_the_event_and_text_if_it_is_not_json(body: str, payload: object) -> None:
    assert read(message(body=body)).payload == payload


def wrapped(**fields: object) -> dict[str, object]:
    """Return an event as Lambda sends it to the failure queue, after the last retry of an asynchronous invocation."""
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
    ("document", "payload"),
    [
        (wrapped(), WEEKLY),
        (wrapped(requestPayload=None), None),
        ({"requestPayload": WEEKLY}, {"requestPayload": WEEKLY}),
        ({"requestContext": "x", "requestPayload": WEEKLY}, {"requestContext": "x", "requestPayload": WEEKLY}),
    ],
)
def test_an_event_that_is_redriven_from_the_failure_queue_is_unwrapped(document: object, payload: object) -> None:
    delivery = read(message(body=json.dumps(document), messageAttributes={}))
    assert delivery == Delivery(payload, NOW, SENT_AT, previous_attempts=2, message=MESSAGE)


# The time of the next attempt

FIRST_SEEN_AT = NOW - 60
NEW = Delivery(WEEKLY, NOW, FIRST_SEEN_AT)
SENT = replace(NEW, previous_attempts=1, message=MESSAGE)
CHECKED = replace(SENT, limit_checked=True)
UNDER_WAY = Wait(("a", "b"), NOW - 30)
WAITING = replace(CHECKED, wait=UNDER_WAY)

NO_JOBS = Report(RunStatus.UNFINISHED, Trigger.EVENT)
JOBS = replace(NO_JOBS, jobs=(JobResult("a", Outcome.DEFERRED),))
WAIT = replace(NO_JOBS, jobs=(JobResult("a", Outcome.CANCELED, "", 1),), wait=Wait(("a",), NOW, poll_seconds=25))


def next_of(delivery: Delivery, report: Report, now: float = NOW) -> Next:
    following = delivery.next(report, now)
    assert following is not None
    return following


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(0, 5), (1, 5), (2, 10), (3, 15), (11, 55), (12, 60), (13, 60), (99, 60), (100, 60)]
)
def test_a_retry_comes_later_with_each_attempt(attempts: int, seconds: int) -> None:
    delivery = replace(SENT, previous_attempts=attempts)
    assert delivery.retry_seconds == seconds
    assert next_of(delivery, JOBS).seconds == seconds


PROGRESS = replace(NO_JOBS, jobs=(JobResult("a", Outcome.CANCELED), JobResult("b", Outcome.DEFERRED)))


@pytest.mark.parametrize(("attempts", "seconds"), [(0, 1), (1, 1), (20, 1), (21, 60)])
def test_a_run_that_canceled_jobs_continues_at_once_in_the_first_attempts(attempts: int, seconds: int) -> None:
    assert next_of(replace(SENT, previous_attempts=attempts), PROGRESS).seconds == seconds


def test_a_run_whose_wait_is_over_continues_as_any_other() -> None:
    polled = replace(JOBS, wait=UNDER_WAY._replace(poll_seconds=0))
    assert next_of(replace(WAITING, previous_attempts=3), polled).seconds == 15


@pytest.mark.parametrize("attempts", [0, 1, 50])
def test_a_run_that_waits_continues_at_its_next_poll(attempts: int) -> None:
    assert next_of(replace(SENT, previous_attempts=attempts), WAIT).seconds == 25
    assert next_of(replace(WAITING, previous_attempts=attempts), WAIT).seconds == 25


@pytest.mark.parametrize("status", ["SETTLED", "UNSETTLED", "REJECTED", "IGNORED"])
def test_nothing_follows_a_run_that_is_finished(status: str) -> None:
    assert NEW.next(replace(JOBS, status=RunStatus(status)), NOW) is None


@pytest.mark.parametrize(
    ("age", "seconds_left", "is_retried"),
    [
        # The second delivery comes a minute after the first, the third two minutes after the second.
        (0.0, 900.0, True),
        (60.0, 900.0, True),
        (149.9, 900.0, True),
        (150.0, 900.0, False),
        (180.0, 900.0, False),
        (None, 900.0, False),
        # These two minutes, and half a minute for the run, must remain until the response is due.
        (0.0, 150.0, True),
        (0.0, 149.9, False),
        (0.0, -1.0, False),
    ],
)
def test_lambda_retries_a_delivery_that_is_not_the_last_in_time(
    age: float | None, seconds_left: float, is_retried: bool
) -> None:
    requested_at = None if age is None else FIRST_SEEN_AT - age
    assert NEW.is_retried_by_lambda(requested_at, Deadline(seconds_left, FakeClock())) is is_retried


@pytest.mark.parametrize(
    ("delivery", "invocation_seconds", "seconds_left", "is_redelivered"),
    [
        # The visibility timeout is 30 s longer than the invocation, and the run needs 30 s.
        (SENT, 300.0, 360.0, True),
        (SENT, 300.0, 359.9, False),
        (SENT, 6.5, 66.5, True),
        (SENT, 6.5, 66.4, False),
        (NEW, 300.0, 3600.0, False),
    ],
)
def test_sqs_redelivers_a_message_after_its_visibility_timeout(
    delivery: Delivery, invocation_seconds: float, seconds_left: float, is_redelivered: bool
) -> None:
    clock = FakeClock()
    invocation, respond_by = Deadline(invocation_seconds, clock), Deadline(seconds_left, clock)
    assert delivery.is_redelivered_by_sqs(invocation, respond_by) is is_redelivered


# Whether a new message is sent, and its attributes


@pytest.mark.parametrize(
    ("delivery", "report", "is_sent"),
    [
        # An event without a message gets one.
        (NEW, NO_JOBS, True),
        (NEW, JOBS, True),
        (NEW, WAIT, True),
        # A message with the current progress stays.
        (SENT, NO_JOBS, False),
        (CHECKED, NO_JOBS, False),
        (CHECKED, JOBS, False),
        (WAITING, NO_JOBS, False),
        (WAITING, JOBS, False),
        (WAITING, WAIT, False),
        (replace(WAITING, previous_attempts=9), WAIT, False),
        # A message with less progress is replaced.
        (SENT, JOBS, True),
        (SENT, WAIT, True),
        (CHECKED, WAIT, True),
        (replace(CHECKED, previous_attempts=9), WAIT, True),
        (replace(WAITING, limit_checked=False), WAIT, True),
    ],
)
def test_a_new_message_is_sent_if_none_has_the_current_progress(
    delivery: Delivery, report: Report, is_sent: bool
) -> None:
    assert (next_of(delivery, report).attributes is not None) is is_sent


def test_a_redriven_event_is_sent_as_a_new_one() -> None:
    attributes = {"FirstSeenAt": attribute("1795500000"), "Admitted": attribute("true")}
    redriven = read(message(messageAttributes=attributes), 1795500000 + HALF_A_DAY)
    assert next_of(redriven, JOBS).attributes is not None
    assert next_of(redriven, NO_JOBS).attributes is None


FORMAT_1 = {"Format": "1"}
SEEN = FORMAT_1 | {"FirstSeenAt": "1795500721.000"}
ADMITTED = SEEN | {"Admitted": "true"}
WAITS_FOR_A = ADMITTED | {"WaitsFor": "a", "WaitsSince": "1795500781.000"}


@pytest.mark.parametrize(
    ("delivery", "report", "attributes"),
    [
        (NEW, NO_JOBS, SEEN),
        (NEW, JOBS, ADMITTED),
        (replace(NEW, limit_checked=True), NO_JOBS, ADMITTED),
        (SENT, JOBS, ADMITTED),
        (CHECKED, WAIT, WAITS_FOR_A),
        (CHECKED, replace(WAIT, wait=Wait(("a",), NOW, force=True)), WAITS_FOR_A | {"WaitsWithForce": "true"}),
        (
            replace(CHECKED, wait=WAIT.wait),
            replace(WAIT, wait=Wait(("a",), NOW, limit_checked=True)),
            WAITS_FOR_A | {"WaitsLimitChecked": "true"},
        ),
        (SENT, WAIT, WAITS_FOR_A),
        # A wait that is under way keeps its jobs and its beginning, unless the run has another one.
        (replace(WAITING, message=None), WAIT, WAITS_FOR_A),
        (replace(WAITING, message=None), JOBS, ADMITTED | {"WaitsFor": "a,b", "WaitsSince": "1795500751.000"}),
        (replace(WAITING, message=None), NO_JOBS, ADMITTED | {"WaitsFor": "a,b", "WaitsSince": "1795500751.000"}),
        (
            replace(NEW, wait=Wait(("a-1", "B_2", "c"), 13.0)),
            NO_JOBS,
            SEEN | {"WaitsFor": "a-1,B_2,c", "WaitsSince": "13.000"},
        ),
        (replace(NEW, first_seen_at=1795500750.5126), NO_JOBS, FORMAT_1 | {"FirstSeenAt": "1795500750.513"}),
    ],
)
def test_the_attributes_have_the_progress_of_the_run(
    delivery: Delivery, report: Report, attributes: dict[str, str]
) -> None:
    assert next_of(delivery, report).attributes == attributes


@pytest.mark.parametrize(
    ("age", "first_seen_at"),
    [(0.0, NOW), (43_199.0, NOW - 43_199), (HALF_A_DAY, NOW), (10 * HALF_A_DAY, NOW)],
)
def test_an_event_that_is_older_than_half_a_day_gets_a_new_age(age: float, first_seen_at: float) -> None:
    delivery = replace(NEW, first_seen_at=NOW - age, previous_attempts=1)
    attributes = FORMAT_1 | {"FirstSeenAt": f"{first_seen_at:.3f}", "Admitted": "true"}
    assert next_of(delivery, JOBS).attributes == attributes


@pytest.mark.parametrize(
    ("limit_checked", "wait"),
    [
        (False, None),
        (True, None),
        (False, Wait(("a",), 13.25)),
        (False, Wait(("a",), 13.25, force=True)),
        (True, Wait(("a",), 13.25, limit_checked=True)),
        (True, Wait(tuple(f"job-{each:060}" for each in range(1000)), 0.0)),
    ],
)
def test_the_attributes_are_read_back(limit_checked: bool, wait: Wait | None) -> None:
    following = next_of(replace(NEW, limit_checked=limit_checked, wait=wait), NO_JOBS)
    attributes = {name: attribute(text) for name, text in (following.attributes or {}).items()}
    delivery = read(message(messageAttributes=attributes))
    progress = (delivery.first_seen_at, delivery.limit_checked, delivery.wait)
    assert progress == (FIRST_SEEN_AT, limit_checked, wait)


@pytest.mark.parametrize("delivery", [NEW, SENT, CHECKED, WAITING])
def test_the_attributes_of_a_delivery_have_its_progress(delivery: Delivery) -> None:
    attributes = {name: attribute(text) for name, text in delivery.attributes.items()}
    read_back = read(message(messageAttributes=attributes))
    assert (read_back.first_seen_at, read_back.limit_checked, read_back.wait) == (
        delivery.first_seen_at,
        delivery.limit_checked,
        delivery.wait,
    )


def test_the_first_rejection_of_an_event_that_was_begun_is_noted_in_a_new_message() -> None:
    assert CHECKED.next_after_rejection() == Next(5, {**ADMITTED, "Rejected": "true"})
    noted = {name: attribute(text) for name, text in {**ADMITTED, "Rejected": "true"}.items()}
    rejected = read(message(messageAttributes=noted))
    assert (rejected.was_begun, rejected.was_rejected) == (True, True)
    assert rejected.next_after_rejection() == Next(10)
    assert next_of(rejected, WAIT).attributes == WAITS_FOR_A, "the cause is fixed"


@pytest.mark.parametrize(
    ("delivery", "was_begun"), [(NEW, False), (SENT, False), (CHECKED, True), (replace(SENT, wait=UNDER_WAY), True)]
)
def test_an_event_was_begun_if_a_delivery_has_reported_jobs(delivery: Delivery, was_begun: bool) -> None:
    assert delivery.was_begun is was_begun


def test_representation_has_no_response_url() -> None:
    payload = {"ResponseURL": "https://bucket.s3.amazonaws.com/path?X-Amz-Signature=secret"}
    assert "secret" not in repr(Delivery(payload, NOW, first_seen_at=NOW))
