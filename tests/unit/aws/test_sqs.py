"""The backlog: what is put on its two queues, how a message is leased, and that what is put comes back."""

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber
from handler.message import Message, Progress

from handler.aws.sqs import Queues, sqs_client
from handler.cancellation.wait import Wait
from handler.errors import EnqueueRefused, EnqueueUnavailable
from tests.support.fakes import FakeClock
from tests.support.sqs import FakeSqs

URL, TEARDOWN_URL = FakeSqs.url, FakeSqs.teardown_url
WEEKLY = {"cancel": {"jobId": "firmware-2026-11", "reasonCode": "STALE_JOB", "comment": "weekly clean-up"}}
IDENTITY = "arn:aws:cloudformation:eu-west-1:123456789012:stack/a/1/Teardown/r-1"
NEW = Progress(1795500750.5123)
ADMITTED = replace(NEW, admitted=True)
WAITS = replace(ADMITTED, wait=Wait(("a", "b"), 1795500751.0))
MESSAGE = Message(URL, "m-1", "r-1", {}, 1, Progress(None))


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
def real(client: Any) -> Backlog:
    return Queues(lambda: client, URL, TEARDOWN_URL)


def text(value: str) -> dict[str, str]:
    return {"DataType": "String", "StringValue": value}


TOLD: list[Any] = [
    (Progress(None), {}),
    (NEW, {"FirstSeenAt": text("1795500750.512")}),
    (ADMITTED, {"FirstSeenAt": text("1795500750.512"), "Admitted": text("true")}),
    (
        WAITS,
        {
            "FirstSeenAt": text("1795500750.512"),
            "Admitted": text("true"),
            "WaitsFor": text("a,b"),
            "WaitsSince": text("1795500751.000"),
        },
    ),
]


def test_the_client_is_made_once_and_when_it_is_needed(clock: FakeClock) -> None:
    made: list[Any] = []

    def connect() -> Any:
        made.append(FakeSqs(clock))
        return made[-1]

    backlog = Queues(connect, URL, TEARDOWN_URL)
    assert backlog.read(WEEKLY) is None
    assert made == []
    backlog.put(WEEKLY, NEW, 5)
    backlog.put_teardown(WEEKLY, NEW, IDENTITY)
    (queues,) = made
    assert queues.events == [WEEKLY, WEEKLY]


def test_a_call_ends_long_before_an_invocation_does(client: Any) -> None:
    """And before the timer answers for a teardown that is being put on its queue."""
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 1)
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}


# Putting


@pytest.mark.parametrize(("progress", "attributes"), TOLD)
def test_an_event_is_put_on_the_queue_as_it_came(
    progress: Progress, attributes: dict[str, Any], real: Backlog, stub: Stubber
) -> None:
    expected = {
        "QueueUrl": URL,
        "MessageBody": json.dumps(WEEKLY),
        "DelaySeconds": 5,
        "MessageAttributes": attributes,
    }
    stub.add_response("send_message", {}, expected)
    real.put(WEEKLY, progress, 5)


# SHA-256 of the identity, and of the body with the stage.
GROUP = "74c2f29211a1bba39b9413cd8f36d4489cb38a698b1454b4b2706e2d67f87b4c"
NEW_ID = "a471590541881e5f88b2eacafa8778303cd7e0ef7fbc7b3703636e1f02c67410"
ADMITTED_ID = "90fc84ba2157d185083b46f68ea630498d45af80534988fa47a5f8d46093830c"
WAITS_ID = "ae814e0c0bfe2ac8e69362820fd41697d4204f47ef930904633459613e6d4c9f"
WAITS_NEW_ID = "76cab78d8d1d046dc3233f82e2aa74fa5de9e3f9c0c41dcf3e02bb2aeacf2489"


@pytest.mark.parametrize(
    ("progress", "attributes", "content"),
    [(*told, content) for told, content in zip(TOLD, (NEW_ID, NEW_ID, ADMITTED_ID, WAITS_ID), strict=True)],
)
def test_a_teardown_is_put_on_its_own_queue_without_a_delay_of_its_own(
    progress: Progress, attributes: dict[str, Any], content: str, real: Backlog, stub: Stubber
) -> None:
    expected = {
        "QueueUrl": TEARDOWN_URL,
        "MessageBody": json.dumps(WEEKLY),
        "MessageGroupId": GROUP,
        "MessageDeduplicationId": content,
        "MessageAttributes": attributes,
    }
    stub.add_response("send_message", {}, expected)
    real.put_teardown(WEEKLY, progress, IDENTITY)


OTHER = {"cancel": {"jobId": "another"}}


@pytest.mark.parametrize(
    ("event", "progress", "is_another"),
    [
        # When it was seen, and which jobs it waits for since when, are no matter: a duplicate tells others.
        (WEEKLY, NEW, False),
        (WEEKLY, Progress(None), False),
        (WEEKLY, Progress(1.0), False),
        (OTHER, NEW, True),
        (WEEKLY, ADMITTED, True),
        (WEEKLY, WAITS, True),
        (WEEKLY, replace(WAITS, admitted=False), True),
    ],
)
def test_a_message_is_dropped_if_the_same_event_is_there_as_far_as_this_one(
    event: object, progress: Progress, is_another: bool, clock: FakeClock
) -> None:
    queue = FakeSqs(clock)
    queue.port.put_teardown(WEEKLY, NEW, IDENTITY)
    queue.port.put_teardown(event, progress, IDENTITY)
    assert (len(queue.messages), queue.duplicates) == ((2, 0) if is_another else (1, 1))


def test_every_stage_of_an_event_has_a_message_of_its_own(clock: FakeClock) -> None:
    queue = FakeSqs(clock)
    stages = [NEW, ADMITTED, WAITS, replace(WAITS, admitted=False)]
    for progress in stages:
        queue.port.put_teardown(WEEKLY, progress, IDENTITY)
    queue.port.put_teardown(WEEKLY, replace(WAITS, wait=Wait(("c",), 1.0)), IDENTITY)
    assert [message.deduplication_id for message in queue.messages] == [NEW_ID, ADMITTED_ID, WAITS_ID, WAITS_NEW_ID]


def test_the_messages_of_one_request_are_a_group_and_those_of_another_request_are_not(clock: FakeClock) -> None:
    queue = FakeSqs(clock)
    for event, progress, identity in (
        (WEEKLY, NEW, IDENTITY),
        (WEEKLY, WAITS, IDENTITY),
        (OTHER, NEW, IDENTITY),
        ([1], NEW, f"{IDENTITY}0"),
    ):
        queue.port.put_teardown(event, progress, identity)
    groups = [message.group for message in queue.messages]
    assert groups[:3] == [GROUP] * 3
    assert groups[3] != GROUP


@pytest.mark.parametrize("identity", ["", "ü", "x" * 5000, "a b\n"])
def test_any_identity_makes_a_group_that_sqs_takes(identity: str, clock: FakeClock) -> None:
    queue = FakeSqs(clock)
    queue.port.put_teardown(WEEKLY, NEW, identity)
    (message,) = queue.messages
    assert (len(message.group), set(message.group) <= set("0123456789abcdef")) == (64, True)


@pytest.mark.parametrize(
    "progress", [Progress(12.5), Progress(12.5, True), Progress(12.5, True, Wait(("a", "b"), 0.5))]
)
@pytest.mark.parametrize("event", [WEEKLY, {"ü": ["\u2028", None, 1.5]}, [], "text", None])
def test_what_is_put_on_a_queue_is_read_from_it(event: object, progress: Progress, clock: FakeClock) -> None:
    queue = FakeSqs(clock)
    queue.port.put(copy.deepcopy(event), progress, 5)
    queue.port.put_teardown(copy.deepcopy(event), progress, IDENTITY)
    read = []
    for sent in queue.messages:
        sent.receive_count = 2
        read.append(queue.port.read(queue.receive(sent)))
    assert read == [
        Message(URL, "message-1", "message-1/3", event, 3, progress),
        Message(TEARDOWN_URL, "message-2", "message-2/3", event, 3, progress),
    ]


def test_an_event_of_no_queue_of_ours_is_no_message(clock: FakeClock) -> None:
    assert FakeSqs(clock).port.read(WEEKLY) is None


# Leasing


@pytest.mark.parametrize("queue_url", [URL, TEARDOWN_URL])
def test_a_message_is_kept_for_some_seconds_on_the_queue_that_it_came_from(
    queue_url: str, real: Backlog, stub: Stubber
) -> None:
    expected = {"QueueUrl": queue_url, "ReceiptHandle": "r-1", "VisibilityTimeout": 5}
    stub.add_response("change_message_visibility", {}, expected)
    real.keep(replace(MESSAGE, queue_url=queue_url), 5)


@pytest.mark.parametrize(("seconds", "lease"), [(300.0, 310), (299.001, 310), (299.0, 309), (0.5, 11), (0.0, 10)])
@pytest.mark.parametrize("queue_url", [URL, TEARDOWN_URL])
def test_a_lease_is_renewed_for_ten_seconds_longer_than_the_invocation_has(
    seconds: float, lease: int, queue_url: str, real: Backlog, stub: Stubber
) -> None:
    expected = {"QueueUrl": queue_url, "ReceiptHandle": "r-1", "VisibilityTimeout": lease}
    stub.add_response("change_message_visibility", {}, expected)
    assert real.renew(replace(MESSAGE, queue_url=queue_url), seconds) is True


@pytest.mark.parametrize(
    "code",
    [
        *("InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid"),
        *("InvalidParameterValueException", "MessageNotInflightException", "ReceiptHandleIsInvalidException"),
        "AWS.SimpleQueueService.MessageNotInflight",
        "AWS.SimpleQueueService.ReceiptHandleIsInvalid",
    ],
)
def test_a_lease_that_has_ended_can_not_be_renewed(code: str, real: Backlog, stub: Stubber) -> None:
    stub.add_client_error("change_message_visibility", code, "The receipt handle has expired", 400)
    assert real.renew(MESSAGE, 300) is False


@pytest.mark.parametrize(
    "code",
    [
        *("AccessDenied", "AWS.SimpleQueueService.NonExistentQueue", "ThrottlingException", "InternalError"),
        *("InvalidParameter", "MessageNotInflightX", ""),
    ],
)
def test_any_other_error_of_a_renewal_is_raised(code: str, real: Backlog, stub: Stubber) -> None:
    stub.add_client_error("change_message_visibility", code, "no", 400)
    with pytest.raises(ClientError) as caught:
        real.renew(MESSAGE, 300)
    assert caught.value.response["Error"]["Code"] == code


@pytest.mark.parametrize("call", ["put", "keep"])
def test_an_error_of_any_other_call_is_raised(call: str, real: Backlog, stub: Stubber) -> None:
    operation = "change_message_visibility" if call == "keep" else "send_message"
    stub.add_client_error(operation, "MessageNotInflight", "no", 400)
    calls = {"put": lambda: real.put(WEEKLY, NEW, 5), "keep": lambda: real.keep(MESSAGE, 5)}
    with pytest.raises(ClientError):
        calls[call]()


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
def test_a_teardown_is_refused_for_good_only_if_a_later_call_would_be_too(
    code: str, status: int, raised: type[Exception], real: Backlog, stub: Stubber
) -> None:
    stub.add_client_error("send_message", code, "no", status)
    with pytest.raises(EnqueueRefused, match=re.escape(f"({code}) when calling the SendMessage operation: no")) as told:
        real.put_teardown(WEEKLY, NEW, IDENTITY)
    assert told.type is raised


@pytest.mark.parametrize(
    "error",
    [EndpointConnectionError(endpoint_url="sqs"), ResponseParserError("no JSON"), ReadTimeoutError(endpoint_url="sqs")],
)
def test_a_teardown_may_be_put_later_if_sqs_is_out_of_reach(error: Exception) -> None:
    class Unreachable:
        def send_message(self, **_: object) -> None:
            raise error

    with pytest.raises(EnqueueUnavailable, match=re.escape(str(error))):
        Queues(Unreachable, URL, TEARDOWN_URL).put_teardown(WEEKLY, NEW, IDENTITY)  # type: ignore[arg-type]
