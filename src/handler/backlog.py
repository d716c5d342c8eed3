"""What one invocation could not finish waits here: the same event, on a queue that leads back to the function.

Cancelling converges, so running the event again is the continuation. The only SQS client.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

# Message attributes. Only put() sets them: an event that was redriven from elsewhere has none, and is taken for new.
_FIRST_SEEN_AT = "FirstSeenAt"
_ADMITTED = "Admitted"


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery from the backlog.

    `first_seen_at` is when the event was first taken up, or sent to the queue, in seconds since the epoch. `admitted`
    says that the event was held against the cap before.
    """

    message_id: str
    receipt_handle: str
    event: object
    first_seen_at: float | None
    admitted: bool
    receives: int


def read_message(event: object, queue_url: str) -> Message | None:
    """The one record of an event of our own queue (the batch size is 1), or None if this is no such event."""
    match event:
        case {
            "Records": [
                {
                    "eventSource": "aws:sqs",
                    "eventSourceARN": str(arn),
                    "messageId": str(message_id),
                    "receiptHandle": str(receipt_handle),
                    "body": str(body),
                    "attributes": {"ApproximateReceiveCount": str(receives), **times},
                    **rest,
                }
            ]
        } if arn.rpartition(":")[2] == queue_url.rpartition("/")[2]:
            attributes = _texts(rest.get("messageAttributes"))
            first_seen_at = _seconds(attributes.get(_FIRST_SEEN_AT)) or _sent_at(times)
            number = int(receives) if receives.isdecimal() else 1
            return Message(message_id, receipt_handle, _event_in(body), first_seen_at, _ADMITTED in attributes, number)
    return None


def _texts(attributes: object) -> Mapping[str, str]:
    match attributes:
        case {**named}:
            return {str(name): text for name, each in named.items() if (text := _text(each)) is not None}
    return {}


def _text(attribute: object) -> str | None:
    match attribute:
        case {"stringValue": str(text)}:
            return text
    return None


def _sent_at(times: Mapping[object, object]) -> float | None:
    """SQS gives milliseconds."""
    milliseconds = _seconds(str(times.get("SentTimestamp")))
    return None if milliseconds is None else milliseconds / 1000


def _seconds(text: str | None) -> float | None:
    """What can't be read counts as left out: somebody else has put the message there."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None


def _event_in(body: str) -> object:
    """The event, also where Lambda has wrapped it on its way to the failure queue."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return body  # an event that nothing recognises: rejected like any other
    match event:
        case {"requestContext": {}, "requestPayload": payload}:
            return payload
    return event


def sqs_client() -> "SQSClient":
    """Retries are the SDK's."""
    return boto3.client(
        "sqs", config=Config(connect_timeout=1, read_timeout=3, retries={"mode": "standard", "total_max_attempts": 3})
    )


class Backlog:
    """The queue at `queue_url`."""

    def __init__(self, client: "SQSClient", queue_url: str) -> None:
        self._client = client
        self._queue_url = queue_url

    def put(self, event: object, first_seen_at: float, delay: int, *, admitted: bool) -> None:
        """Have `event` delivered to the function after `delay` seconds. Raises botocore's errors."""
        attributes: dict[str, MessageAttributeValueTypeDef] = {
            _FIRST_SEEN_AT: {"DataType": "Number", "StringValue": f"{first_seen_at:.3f}"}
        }
        if admitted:
            attributes[_ADMITTED] = {"DataType": "String", "StringValue": "true"}
        self._client.send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps(event),
            DelaySeconds=delay,
            MessageAttributes=attributes,
        )

    def keep(self, message: Message, delay: int) -> None:
        """Have the message delivered again after `delay` seconds, not when its lease ends. Raises botocore's errors."""
        self._client.change_message_visibility(
            QueueUrl=self._queue_url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=delay
        )
