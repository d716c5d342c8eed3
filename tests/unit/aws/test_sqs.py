"""The two queues: sending events, changing a visibility timeout, and the error for each code of SQS."""

import copy
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from handler.aws.sqs import MAX_CALL_SECONDS, Queues, sqs_client
from handler.errors import EnqueueRefused, EnqueueUnavailable, MessageNotInFlight, VisibilityUnchanged
from handler.inbound.delivery import Message, read_delivery
from tests.support.fakes import FakeClock
from tests.support.sqs import FakeSqs

URL, TEARDOWN_URL = FakeSqs.url, FakeSqs.teardown_url
WEEKLY = {"cancel": {"jobId": "firmware-2026-11", "reasonCode": "STALE_JOB", "comment": "weekly clean-up"}}
IDENTITY = "arn:aws:cloudformation:eu-west-1:123456789012:stack/a/1/Teardown/r-1"
NEW = {"FirstSeenAt": "1795500750.512"}
ADMITTED = NEW | {"Admitted": "true"}
WAIT = {"WaitsFor": "a,b", "WaitsSince": "1795500751.000"}
WAITS = ADMITTED | WAIT
MESSAGE = Message(URL, "m-1", "r-1")


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


@pytest.fixture
def queues(client: Any) -> Queues:
    return Queues(lambda: client, URL, TEARDOWN_URL)


def typed(attributes: Mapping[str, str]) -> dict[str, dict[str, str]]:
    return {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}


def test_the_client_is_created_once_and_when_it_is_needed(clock: FakeClock) -> None:
    created: list[Any] = []

    def connect() -> Any:
        created.append(FakeSqs(clock))
        return created[-1]

    queues = Queues(connect, URL, TEARDOWN_URL)
    assert queues.urls == (URL, TEARDOWN_URL)
    assert created == []
    queues.enqueue(WEEKLY, NEW, 5)
    queues.enqueue_teardown(WEEKLY, NEW, IDENTITY)
    (backlog,) = created
    assert backlog.events == [WEEKLY, WEEKLY]


def test_a_call_ends_within_ten_seconds(client: Any) -> None:
    """Two attempts of at most 2 s, and a wait of at most 6 s between them."""
    assert MAX_CALL_SECONDS == 10.0
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 1)
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}


# Sending


@pytest.mark.parametrize("attributes", [{}, NEW, ADMITTED, WAITS])
def test_an_event_is_sent_as_it_arrived(attributes: dict[str, str], queues: Queues, stub: Stubber) -> None:
    expected = {
        "QueueUrl": URL,
        "MessageBody": json.dumps(WEEKLY),
        "DelaySeconds": 5,
        "MessageAttributes": typed(attributes),
    }
    stub.add_response("send_message", {}, expected)
    queues.enqueue(WEEKLY, attributes, 5)


# SHA-256 of the identity, and of the body with the stage: the same in every release, since messages are in flight.
GROUP = "74c2f29211a1bba39b9413cd8f36d4489cb38a698b1454b4b2706e2d67f87b4c"
NEW_ID = "a471590541881e5f88b2eacafa8778303cd7e0ef7fbc7b3703636e1f02c67410"
ADMITTED_ID = "90fc84ba2157d185083b46f68ea630498d45af80534988fa47a5f8d46093830c"
WAITS_ID = "ae814e0c0bfe2ac8e69362820fd41697d4204f47ef930904633459613e6d4c9f"
WAITS_NEW_ID = "76cab78d8d1d046dc3233f82e2aa74fa5de9e3f9c0c41dcf3e02bb2aeacf2489"


@pytest.mark.parametrize(
    ("attributes", "deduplication_id"), [({}, NEW_ID), (NEW, NEW_ID), (ADMITTED, ADMITTED_ID), (WAITS, WAITS_ID)]
)
def test_a_teardown_is_sent_to_its_own_queue_without_a_delay(
    attributes: dict[str, str], deduplication_id: str, queues: Queues, stub: Stubber
) -> None:
    expected = {
        "QueueUrl": TEARDOWN_URL,
        "MessageBody": json.dumps(WEEKLY),
        "MessageGroupId": GROUP,
        "MessageDeduplicationId": deduplication_id,
        "MessageAttributes": typed(attributes),
    }
    stub.add_response("send_message", {}, expected)
    queues.enqueue_teardown(WEEKLY, attributes, IDENTITY)


OTHER = {"cancel": {"jobId": "another"}}


@pytest.mark.parametrize(
    ("event", "attributes", "is_another"),
    [
        # Duplicates of an event were first seen at other times.
        (WEEKLY, NEW, False),
        (WEEKLY, {}, False),
        (WEEKLY, {"FirstSeenAt": "1.000"}, False),
        (OTHER, NEW, True),
        (WEEKLY, ADMITTED, True),
        (WEEKLY, WAITS, True),
        (WEEKLY, NEW | WAIT, True),
        (WEEKLY, NEW | {"WaitsLimitChecked": "true"}, True),
    ],
)
def test_sqs_drops_a_duplicate_at_the_same_stage(
    event: object, attributes: dict[str, str], is_another: bool, clock: FakeClock
) -> None:
    queue = FakeSqs(clock)
    queue.port.enqueue_teardown(WEEKLY, NEW, IDENTITY)
    queue.port.enqueue_teardown(event, attributes, IDENTITY)
    assert (len(queue.messages), queue.duplicates) == ((2, 0) if is_another else (1, 1))


def test_each_stage_of_an_event_has_its_own_message(clock: FakeClock) -> None:
    queue = FakeSqs(clock)
    for attributes in (NEW, ADMITTED, WAITS, NEW | WAIT, WAITS | {"WaitsFor": "c", "WaitsSince": "1.000"}):
        queue.port.enqueue_teardown(WEEKLY, attributes, IDENTITY)
    assert [message.deduplication_id for message in queue.messages] == [NEW_ID, ADMITTED_ID, WAITS_ID, WAITS_NEW_ID]


def test_a_message_that_replaces_another_one_is_dropped_only_if_it_was_sent_twice(clock: FakeClock) -> None:
    """At the same stage, within five minutes, and also for a replacement of a replacement."""
    queue = FakeSqs(clock)
    for replaced in (None, "m-1", "m-1", "m-2"):
        message = replaced and Message(TEARDOWN_URL, replaced, "r-1")
        queue.port.enqueue_teardown(WEEKLY, WAITS, IDENTITY, message or None)
    assert (len(queue.messages), queue.duplicates) == (3, 1)
    assert {message.group for message in queue.messages} == {GROUP}
    assert queue.messages[0].deduplication_id == WAITS_ID


def test_the_messages_of_one_request_are_one_group(clock: FakeClock) -> None:
    queue = FakeSqs(clock)
    for event, attributes, identity in (
        (WEEKLY, NEW, IDENTITY),
        (WEEKLY, WAITS, IDENTITY),
        (OTHER, NEW, IDENTITY),
        ([1], NEW, f"{IDENTITY}0"),
    ):
        queue.port.enqueue_teardown(event, attributes, identity)
    groups = [message.group for message in queue.messages]
    assert groups[:3] == [GROUP] * 3
    assert groups[3] != GROUP


@pytest.mark.parametrize("identity", ["", "ü", "x" * 5000, "a b\n"])
def test_any_identity_becomes_a_valid_group_id(identity: str, clock: FakeClock) -> None:
    queue = FakeSqs(clock)
    queue.port.enqueue_teardown(WEEKLY, NEW, identity)
    (message,) = queue.messages
    assert (len(message.group), set(message.group) <= set("0123456789abcdef")) == (64, True)


@pytest.mark.parametrize("attributes", [NEW, ADMITTED, WAITS])
@pytest.mark.parametrize("event", [WEEKLY, {"ü": ["\u2028", None, 1.5]}, [], "text", None])
def test_the_body_of_a_message_is_the_event(event: object, attributes: dict[str, str], clock: FakeClock) -> None:
    queue = FakeSqs(clock)
    queue.port.enqueue(copy.deepcopy(event), attributes, 5)
    queue.port.enqueue_teardown(copy.deepcopy(event), attributes, IDENTITY)
    for sent, queue_url in zip(queue.messages, (URL, TEARDOWN_URL), strict=True):
        sent.receive_count = 2
        delivery = read_delivery(queue.receive(sent), queue.port.urls, 1795500760.0)
        assert (delivery.payload, delivery.first_seen_at, delivery.previous_attempts) == (event, 1795500750.512, 3)
        assert (delivery.limit_checked, bool(delivery.wait)) == ("Admitted" in attributes, "WaitsFor" in attributes)
        assert delivery.message == Message(queue_url, sent.message_id, f"{sent.message_id}/3")


# Visibility timeouts


@pytest.mark.parametrize("queue_url", [URL, TEARDOWN_URL])
def test_the_visibility_timeout_is_changed_on_the_queue_of_the_message(
    queue_url: str, queues: Queues, stub: Stubber
) -> None:
    expected = {"QueueUrl": queue_url, "ReceiptHandle": "r-1", "VisibilityTimeout": 5}
    stub.add_response("change_message_visibility", {}, expected)
    queues.change_visibility_timeout(MESSAGE._replace(queue_url=queue_url), 5)


@pytest.mark.parametrize(
    ("seconds", "visibility_timeout"), [(300.0, 310), (299.001, 310), (299.0, 309), (0.5, 11), (0.0, 10)]
)
@pytest.mark.parametrize("queue_url", [URL, TEARDOWN_URL])
def test_the_visibility_timeout_outlasts_the_invocation_by_ten_seconds(
    seconds: float, visibility_timeout: int, queue_url: str, queues: Queues, stub: Stubber
) -> None:
    expected = {"QueueUrl": queue_url, "ReceiptHandle": "r-1", "VisibilityTimeout": visibility_timeout}
    stub.add_response("change_message_visibility", {}, expected)
    assert queues.extend_visibility_timeout(MESSAGE._replace(queue_url=queue_url), seconds) is True


@pytest.mark.parametrize(
    "code",
    [
        *("InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid"),
        *("InvalidParameterValueException", "MessageNotInflightException", "ReceiptHandleIsInvalidException"),
        "AWS.SimpleQueueService.MessageNotInflight",
        "AWS.SimpleQueueService.ReceiptHandleIsInvalid",
    ],
)
def test_a_message_that_is_no_longer_in_flight_is_reported(code: str, queues: Queues, stub: Stubber) -> None:
    stub.add_client_error("change_message_visibility", code, "The receipt handle has expired", 400)
    assert queues.extend_visibility_timeout(MESSAGE, 300) is False


@pytest.mark.parametrize(
    "code",
    [
        *("AccessDenied", "AWS.SimpleQueueService.NonExistentQueue", "ThrottlingException", "InternalError"),
        *("InvalidParameter", "MessageNotInflightX", ""),
    ],
)
def test_any_other_error_of_an_extension_is_translated(code: str, queues: Queues, stub: Stubber) -> None:
    stub.add_client_error("change_message_visibility", code, "no", 400)
    with pytest.raises(VisibilityUnchanged, match=re.escape(f"({code}) when calling the ChangeMessageVisibility")):
        queues.extend_visibility_timeout(MESSAGE, 300)


@pytest.mark.parametrize(
    ("code", "raised"), [("MessageNotInflight", MessageNotInFlight), ("ServiceUnavailable", VisibilityUnchanged)]
)
def test_an_error_of_a_change_is_translated(code: str, raised: type[Exception], queues: Queues, stub: Stubber) -> None:
    stub.add_client_error("change_message_visibility", code, "no", 400)
    with pytest.raises(VisibilityUnchanged, match=re.escape(f"({code})")) as caught:
        queues.change_visibility_timeout(MESSAGE, 5)
    assert caught.type is raised


@pytest.mark.parametrize(
    ("code", "raised"), [("KmsDisabled", EnqueueRefused), ("ServiceUnavailable", EnqueueUnavailable)]
)
def test_an_error_of_the_backlog_is_translated(
    code: str, raised: type[Exception], queues: Queues, stub: Stubber
) -> None:
    stub.add_client_error("send_message", code, "no", 400)
    with pytest.raises(EnqueueRefused, match=re.escape(f"({code})")) as caught:
        queues.enqueue(WEEKLY, NEW, 5)
    assert caught.type is raised


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [
        ("AccessDeniedException", 400, EnqueueRefused),
        ("AWS.SimpleQueueService.NonExistentQueue", 400, EnqueueRefused),
        ("QueueDoesNotExist", 400, EnqueueRefused),
        ("KmsDisabled", 400, EnqueueRefused),
        *(
            (f"KMS.{code}Exception", 400, EnqueueRefused)
            for code in ("AccessDenied", "Disabled", "InvalidKeyUsage", "InvalidState", "NotFound", "OptInRequired")
        ),
        *(
            (f"{prefix}{code}", 400, EnqueueRefused)
            for prefix in ("", "AWS.SimpleQueueService.")
            for code in (
                *("InvalidAddress", "InvalidMessageContents", "InvalidParameterValue", "InvalidSecurity"),
                *("KmsAccessDenied", "KmsInvalidKeyUsage", "KmsInvalidState", "KmsNotFound", "KmsOptInRequired"),
                *("UnsupportedOperation", "AccessDenied"),
            )
        ),
        ("RequestThrottled", 400, EnqueueUnavailable),
        ("KmsThrottled", 400, EnqueueUnavailable),
        ("KMS.ThrottlingException", 400, EnqueueUnavailable),
        ("RequestTimeout", 408, EnqueueUnavailable),
        ("TooManyRequests", 429, EnqueueUnavailable),
        ("ExpiredToken", 403, EnqueueUnavailable),
        ("InvalidClientTokenId", 403, EnqueueUnavailable),
        ("NeverHeardOf", 400, EnqueueUnavailable),
        ("ServiceUnavailable", 500, EnqueueUnavailable),
        ("TemporaryRedirect", 307, EnqueueUnavailable),
    ],
)
def test_a_teardown_is_refused_only_if_a_later_call_would_fail_too(
    code: str, status: int, raised: type[Exception], queues: Queues, stub: Stubber
) -> None:
    stub.add_client_error("send_message", code, "no", status)
    with pytest.raises(
        EnqueueRefused, match=re.escape(f"({code}) when calling the SendMessage operation: no")
    ) as caught:
        queues.enqueue_teardown(WEEKLY, NEW, IDENTITY)
    assert caught.type is raised


@pytest.mark.parametrize(
    "error",
    [EndpointConnectionError(endpoint_url="sqs"), ResponseParserError("no JSON"), ReadTimeoutError(endpoint_url="sqs")],
)
def test_sqs_that_is_unreachable_is_unavailable(error: Exception) -> None:
    assert_unavailable(error, str(error))


@pytest.mark.parametrize("error", [AttributeError("get"), KeyError("x"), TypeError("x"), ValueError("x")])
def test_sqs_with_an_unreadable_response_is_unavailable(error: Exception) -> None:
    """What the SDK's parser raises for the body of another service."""
    assert_unavailable(error, f"no usable response from SQS: {type(error).__name__}")


def assert_unavailable(error: Exception, reason: str) -> None:
    class Unavailable:
        def send_message(self, **_: object) -> None:
            raise error

        def change_message_visibility(self, **_: object) -> None:
            raise error

    queues = Queues(Unavailable, URL, TEARDOWN_URL)  # type: ignore[arg-type]
    calls: list[tuple[Callable[[], object], type[Exception]]] = [
        (lambda: queues.enqueue(WEEKLY, NEW, 5), EnqueueUnavailable),
        (lambda: queues.enqueue_teardown(WEEKLY, NEW, IDENTITY), EnqueueUnavailable),
        (lambda: queues.change_visibility_timeout(MESSAGE, 5), VisibilityUnchanged),
        (lambda: queues.extend_visibility_timeout(MESSAGE, 300), VisibilityUnchanged),
    ]
    for call, raised in calls:
        with pytest.raises(raised, match=re.escape(reason)):
            call()
