"""What one invocation could not finish waits here: the same event, on a queue that leads back to the function.

Cancelling converges, so running the event again is the continuation. Teardowns have a queue of their own, where sweeps
can't hold them up: a FIFO queue, so that of one request no two messages are in flight. The only SQS client.
"""

import json
from collections.abc import Callable, Mapping
from functools import cached_property
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from .delivery import Message, Progress, attributes_of
from .errors import BacklogRefused, BacklogUnavailable

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

_LEASE_MARGIN = 10  # seconds that a lease outlasts the invocation
_LEASE_LOST = {"InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid"}
# What only a person can change: the queue, its key, a permission, or the message itself. SQS spells its key's troubles
# KmsDisabled or KMS.DisabledException, and _code() leaves KmsDisabled or Disabled of that.
_REFUSALS = {
    "AccessDenied",
    "Disabled",
    "InvalidAddress",
    "InvalidKeyUsage",
    "InvalidMessageContents",
    "InvalidParameterValue",
    "InvalidSecurity",
    "InvalidState",
    "KmsAccessDenied",
    "KmsDisabled",
    "KmsInvalidKeyUsage",
    "KmsInvalidState",
    "KmsNotFound",
    "KmsOptInRequired",
    "NonExistentQueue",
    "NotFound",
    "OptInRequired",
    "QueueDoesNotExist",
    "UnsupportedOperation",
}


def sqs_client() -> "SQSClient":
    """A client whose calls end within 5 s: all that a run leaves for them. Retries are the SDK's."""
    return boto3.client(
        "sqs", config=Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
    )


class Backlog:
    """The queue at `queue_url`, and the FIFO queue of teardowns at `teardown_queue_url`.

    `connect` makes the client, once there is something to put or to keep: most events are done with at once.
    """

    def __init__(self, connect: Callable[[], "SQSClient"], queue_url: str, teardown_queue_url: str) -> None:
        self._connect = connect
        self.queue_urls = queue_url, teardown_queue_url

    @cached_property
    def _client(self) -> "SQSClient":
        return self._connect()

    def put(self, event: object, progress: Progress, delay: int) -> None:
        """Have `event` delivered to the function after `delay` seconds. Raises botocore's errors."""
        self._client.send_message(
            QueueUrl=self.queue_urls[0],
            MessageBody=json.dumps(event),
            DelaySeconds=delay,
            MessageAttributes=_typed(attributes_of(progress)),
        )

    def put_teardown(self, event: object, progress: Progress, identity: str) -> None:
        """The same for a request of CloudFormation, known by its `identity`; the delay is the queue's.

        A message that tells the same as one of the last five minutes is dropped, and those of one request come one
        after the other: duplicates of a request make no second one in flight. Raises BacklogRefused, or
        BacklogUnavailable.
        """
        body = json.dumps(event)
        stage = "admitted: {}, waits: {}".format(*progress.stage)
        try:
            self._client.send_message(
                QueueUrl=self.queue_urls[1],
                MessageBody=body,
                MessageGroupId=_digest(identity),
                MessageDeduplicationId=_digest(f"{body}, {stage}"),
                MessageAttributes=_typed(attributes_of(progress)),
            )
        except ClientError as error:
            raise (BacklogRefused if _code(error) in _REFUSALS else BacklogUnavailable)(str(error)) from error
        except (BotoCoreError, ResponseParserError) as error:
            raise BacklogUnavailable(str(error)) from error

    def renew(self, message: Message, seconds: float) -> bool:
        """Lease the message anew, for longer than the `seconds` that the invocation has left.

        False if that is too late, and another run has the message or will have it. Raises botocore's errors.
        """
        try:
            self.keep(message, ceil(seconds) + _LEASE_MARGIN)
        except ClientError as error:
            if _code(error) in _LEASE_LOST:
                return False
            raise
        return True

    def keep(self, message: Message, delay: int) -> None:
        """Have the message delivered again after `delay` seconds, not when its lease ends. Raises botocore's errors."""
        self._client.change_message_visibility(
            QueueUrl=message.queue_url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=delay
        )


def _code(error: ClientError) -> str:
    """SQS has each in several spellings, by the protocol and the age of the client."""
    return error.response["Error"]["Code"].rpartition(".")[2].removesuffix("Exception")


def _typed(attributes: Mapping[str, str]) -> dict[str, "MessageAttributeValueTypeDef"]:
    return {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}


def _digest(text: str) -> str:
    """Of a length and of characters that SQS takes as an id."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()
