"""Amazon SQS in memory: the two queues of template.yaml and their dead-letter queue, called as boto3's client."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from botocore.exceptions import ClientError

from handler.aws.sqs import Queues
from tools.simulators.events import sqs_event

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

    from tests.support.fakes import FakeClock

_DEDUPLICATION_SECONDS = 300.0


@dataclass(eq=False)
class FakeMessage:
    """One message. Times are those of the clock. `group` and `deduplication_id` belong to the FIFO queue."""

    message_id: str
    body: str
    attributes: Mapping[str, Mapping[str, str]]
    sent_at: float
    visible_at: float
    receive_count: int = 0
    receipt_handle: str = ""
    group: str = ""
    deduplication_id: str = ""

    @property
    def event(self) -> Any:
        """The event in the body."""
        return json.loads(self.body)


class FakeSqs:
    """The two calls of boto3's client that the function makes, and the calls of Lambda's poller.

    The queue of teardowns is FIFO: it drops duplicates for five minutes, and hands out the messages of a group one by
    one.

    Attributes:
        messages: all on the two queues, those in flight too.
        dead_letters: messages that were received more often than `max_receive_count`.
        duplicates: number of messages that the FIFO queue dropped.
        receives: number of times that a message was received.
        fault: called with the name of an operation before it acts; `lost` after it acted. They may raise.
        checks_receipts: False to accept any receipt handle.
    """

    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Backlog-1ABC"
    arn = "arn:aws:sqs:eu-west-1:123456789012:canceler-Backlog-1ABC"
    teardown_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Teardowns-1ABC.fifo"
    teardown_arn = "arn:aws:sqs:eu-west-1:123456789012:canceler-Teardowns-1ABC.fifo"
    teardown_delay = 5.0
    visibility_timeout = 330.0
    max_receive_count = 100

    def __init__(self, clock: "FakeClock") -> None:
        self.messages: list[FakeMessage] = []
        self.dead_letters: list[FakeMessage] = []
        self.duplicates = 0
        self.receives = 0
        self.fault: Callable[[str], None] | None = None
        self.lost: Callable[[str], None] | None = None
        self.checks_receipts = True
        self._clock = clock
        self._numbers = count(1)
        self._sent_at: dict[str, float] = {}

    @property
    def client(self) -> "SQSClient":
        return cast("SQSClient", self)

    @property
    def port(self) -> Queues:
        """The handler's own adapter, over these queues."""
        return Queues(lambda: self.client, self.url, self.teardown_url)

    @property
    def events(self) -> list[Any]:
        """The bodies of the messages."""
        return [message.event for message in self.messages]

    # The client

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - boto3's names, here and below
        MessageBody: str,  # noqa: N803
        DelaySeconds: int = 0,  # noqa: N803
        MessageAttributes: Mapping[str, Mapping[str, str]] | None = None,  # noqa: N803
        MessageGroupId: str = "",  # noqa: N803
        MessageDeduplicationId: str = "",  # noqa: N803
    ) -> None:
        """SendMessage."""
        self._call(self.fault, "SendMessage", QueueUrl)
        is_fifo = QueueUrl == self.teardown_url
        assert is_fifo == bool(MessageGroupId) == bool(MessageDeduplicationId)
        assert len(MessageGroupId) <= 128
        assert len(MessageDeduplicationId) <= 128
        assert not (is_fifo and DelaySeconds)
        assert 1 <= len(MessageBody.encode()) <= 262_144
        assert 0 <= DelaySeconds <= 900
        for attribute in (MessageAttributes or {}).values():
            assert set(attribute) == {"DataType", "StringValue"}
            assert attribute["DataType"] in {"String", "Number"}
            assert attribute["StringValue"]
        now = self._clock()
        if (
            is_fifo
            and now < self._sent_at.get(MessageDeduplicationId, -_DEDUPLICATION_SECONDS) + _DEDUPLICATION_SECONDS
        ):
            self.duplicates += 1
        else:
            self._sent_at[MessageDeduplicationId] = now
            message = FakeMessage(
                f"message-{next(self._numbers)}",
                MessageBody,
                MessageAttributes or {},
                sent_at=now,
                visible_at=now + (self.teardown_delay if is_fifo else DelaySeconds),
                group=MessageGroupId,
                deduplication_id=MessageDeduplicationId,
            )
            self.messages.append(message)
        self._call(self.lost, "SendMessage", QueueUrl)

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        """ChangeMessageVisibility."""
        self._call(self.fault, "ChangeMessageVisibility", QueueUrl)
        assert 0 <= VisibilityTimeout <= 43_200
        in_flight = [message for message in self.messages if message.receipt_handle == ReceiptHandle]
        if in_flight and in_flight[0].visible_at >= self._clock():
            assert QueueUrl == (self.teardown_url if in_flight[0].group else self.url)
            in_flight[0].visible_at = self._clock() + VisibilityTimeout
        elif self.checks_receipts:
            error = {"Error": {"Code": "InvalidParameterValue", "Message": "The receipt handle has expired"}}
            raise ClientError(cast("Any", error), "ChangeMessageVisibility")
        self._call(self.lost, "ChangeMessageVisibility", QueueUrl)

    def _call(self, hook: Callable[[str], None] | None, operation: str, queue_url: str) -> None:
        assert queue_url in {self.url, self.teardown_url}
        if hook:
            hook(operation)

    # The poller

    def next_messages(self) -> list[FakeMessage]:
        """Find the messages that can be received once they are visible: of a group, the oldest."""
        oldest = {message.group: message for message in reversed(self.messages) if message.group}
        return [message for message in self.messages if not message.group or message is oldest[message.group]]

    def receive(self, message: FakeMessage) -> dict[str, Any] | None:
        """Hand out a message as Lambda gets it, or None: it was received too often, and is a dead letter now."""
        if message.receive_count == self.max_receive_count:
            self.messages.remove(message)
            self.dead_letters.append(message)
            return None
        self.receives += 1
        message.receive_count += 1
        message.receipt_handle = f"{message.message_id}/{message.receive_count}"
        message.visible_at = self._clock() + self.visibility_timeout
        attributes = {
            name: {
                "stringValue": attribute["StringValue"],
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": attribute["DataType"],
            }
            for name, attribute in message.attributes.items()
        }
        return sqs_event(
            self.teardown_arn if message.group else self.arn,
            message.body,
            messageId=message.message_id,
            receiptHandle=message.receipt_handle,
            attributes={
                "ApproximateReceiveCount": str(message.receive_count),
                "SentTimestamp": str(round(message.sent_at * 1000)),
                "SenderId": "AROAEXAMPLEEXAMPLEEX:canceler",
                "ApproximateFirstReceiveTimestamp": str(round(message.sent_at * 1000)),
            },
            messageAttributes=attributes,
            md5OfBody="e4e68fb7bd0e697a0ae8f1bb342846b3",
        )

    def delete(self, message: FakeMessage) -> None:
        """DeleteMessage, once the function has returned without a failure."""
        assert self._clock() <= message.visible_at, "the visibility timeout ended while the function worked"
        self.messages.remove(message)
