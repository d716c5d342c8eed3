"""What one invocation could not finish waits here: the same event, on a queue that leads back to the function.

Cancelling converges, so running the event again is the continuation. The only SQS client.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from .errors import RequestRejected

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

# When the event was first taken up (seconds since the epoch). Only put() sets it: an event that was redriven from
# somewhere else has none, and is held against the cap like any new event.
ADMITTED_AT = "AdmittedAt"


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery from the backlog. `admitted_at` is None for an event that did not come through `Backlog.put`."""

    message_id: str
    receipt_handle: str
    event: object
    admitted_at: float | None


def read_message(event: Mapping[str, object]) -> Message:
    """The one record of an SQS event: the batch size is 1. Raises RequestRejected."""
    match event:
        case {"Records": [{"messageId": str(message_id), "receiptHandle": str(receipt), "body": str(body), **rest}]}:
            return Message(message_id, receipt, _event_in(body), _admitted_at(rest.get("messageAttributes")))
    raise RequestRejected("Records", "must be one SQS message")


def _event_in(body: str) -> object:
    """The event, also where Lambda has wrapped it on its way to the failure queue."""
    try:
        event = json.loads(body)
    except ValueError:
        return body  # an event that nothing recognises: rejected like any other
    match event:
        case {"requestContext": {}, "requestPayload": payload}:
            return payload
    return event


def _admitted_at(attributes: object) -> float | None:
    match attributes:
        case {"AdmittedAt": {"stringValue": str(value)}}:
            return float(value)
    return None


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

    def put(self, event: object, admitted_at: float, delay: int) -> None:
        """Have `event` delivered to the function after `delay` seconds. Raises botocore's errors."""
        self._client.send_message(
            QueueUrl=self._queue_url,
            MessageBody=json.dumps(event),
            DelaySeconds=delay,
            MessageAttributes={ADMITTED_AT: {"DataType": "Number", "StringValue": f"{admitted_at:.3f}"}},
        )

    def keep(self, message: Message, delay: int) -> None:
        """Have the message delivered again after `delay` seconds, not when its lease ends. Raises botocore's errors."""
        self._client.change_message_visibility(
            QueueUrl=self._queue_url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=delay
        )
