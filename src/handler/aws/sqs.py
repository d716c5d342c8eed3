"""The queues on which unfinished events wait until the function receives them again. The only SQS client.

Cancellation converges, so running the event again is the continuation. Teardowns have a queue of their own, where
sweeps cannot delay them: a FIFO queue, so that no two messages of one request are in flight.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from hashlib import sha256
from math import ceil
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from handler.errors import CancelerError, EnqueueRefused, EnqueueUnavailable, MessageNotInFlight, VisibilityUnchanged
from handler.inbound.delivery import Message

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

MAX_CALL_SECONDS = 10.0  # two attempts of 2 s, and a wait of up to 6 s between them
_VISIBILITY_MARGIN_SECONDS = 10  # by which a message stays invisible after the invocation has ended
_NOT_IN_FLIGHT = frozenset({"InvalidParameterValue", "MessageNotInflight", "ReceiptHandleIsInvalid"})
# What only a person can change: the queue, its key, a permission, or the message itself. SQS spells the errors of its
# key KmsDisabled or KMS.DisabledException, of which _code() returns KmsDisabled or Disabled.
_REFUSALS = frozenset(
    {
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
)


def sqs_client() -> "SQSClient":
    """Return a client whose calls end within MAX_CALL_SECONDS. Retries are the SDK's."""
    return boto3.client(
        "sqs", config=Config(connect_timeout=1, read_timeout=1, retries={"mode": "standard", "total_max_attempts": 2})
    )


class Queues:
    """The queue Backlog at `backlog_url`, and the FIFO queue of teardowns at `teardown_url`.

    `connect` creates the client when it is first needed: most events never use a queue.
    """

    def __init__(self, connect: Callable[[], "SQSClient"], backlog_url: str, teardown_url: str) -> None:
        self._connect = connect
        self._backlog_url = backlog_url
        self._teardown_url = teardown_url

    @property
    def urls(self) -> tuple[str, str]:
        """The URLs of the two queues."""
        return self._backlog_url, self._teardown_url

    @cached_property
    def _client(self) -> "SQSClient":
        return self._connect()

    def enqueue(self, payload: object, attributes: Mapping[str, str], delay_seconds: int) -> None:
        """Send an event to the queue Backlog. Raises EnqueueRefused, EnqueueUnavailable."""
        body = json.dumps(payload)
        with _translated_errors(_REFUSALS, EnqueueRefused, EnqueueUnavailable):
            self._client.send_message(
                QueueUrl=self._backlog_url,
                MessageBody=body,
                DelaySeconds=delay_seconds,
                MessageAttributes=_typed(attributes),
            )

    def enqueue_teardown(
        self,
        payload: object,
        attributes: Mapping[str, str],
        request_identity: str,
        replaced: Message | None = None,
    ) -> None:
        """Send a custom resource request to its queue, which sets the delay. Raises EnqueueRefused, EnqueueUnavailable.

        SQS drops a message that is at the same stage as one of the last five minutes, and delivers the messages of one
        request one after the other, so that duplicates of a request do not run at the same time. A replacement for a
        message at the same stage has its own deduplication id; the caller's message is deleted.
        """
        body = json.dumps(payload)
        stage = f"admitted: {'Admitted' in attributes}, waits: {'WaitsFor' in attributes}"
        if "WaitsLimitChecked" in attributes:
            stage += ", limit checked after the wait"
        if replaced:
            stage += f", replaces: {replaced.message_id}"
        with _translated_errors(_REFUSALS, EnqueueRefused, EnqueueUnavailable):
            self._client.send_message(
                QueueUrl=self._teardown_url,
                MessageBody=body,
                MessageGroupId=_digest(request_identity),
                MessageDeduplicationId=_digest(f"{body}, {stage}"),
                MessageAttributes=_typed(attributes),
            )

    def extend_visibility_timeout(self, message: Message, invocation_seconds: float) -> bool:
        """Keep the message invisible for longer than the invocation lasts. Raises VisibilityUnchanged.

        Return False if the message is no longer in flight, so that another invocation has it or will have it.
        """
        try:
            self.change_visibility_timeout(message, ceil(invocation_seconds) + _VISIBILITY_MARGIN_SECONDS)
        except MessageNotInFlight:
            return False
        return True

    def change_visibility_timeout(self, message: Message, seconds: int) -> None:
        """Let SQS redeliver the message after `seconds`. Raises MessageNotInFlight, VisibilityUnchanged."""
        with _translated_errors(_NOT_IN_FLIGHT, MessageNotInFlight, VisibilityUnchanged):
            self._client.change_message_visibility(
                QueueUrl=message.queue_url, ReceiptHandle=message.receipt_handle, VisibilityTimeout=seconds
            )


@contextmanager
def _translated_errors(
    codes: frozenset[str], error_of_codes: type[CancelerError], other: type[CancelerError]
) -> Iterator[None]:
    """Raise `error_of_codes` for these codes of the service, and `other` for any other code or unusable response."""
    try:
        yield
    except ClientError as error:
        raise (error_of_codes if _code(error) in codes else other)(str(error)) from error
    except (BotoCoreError, ResponseParserError) as error:
        raise other(str(error)) from error
    except (AttributeError, LookupError, TypeError, ValueError) as error:  # of an unreadable body
        raise other(f"no usable response from SQS: {type(error).__name__}") from error


def _code(error: ClientError) -> str:
    """Return the error code without prefix and suffix, which depend on the protocol and the age of the client."""
    return error.response["Error"]["Code"].rpartition(".")[2].removesuffix("Exception")


def _typed(attributes: Mapping[str, str]) -> dict[str, "MessageAttributeValueTypeDef"]:
    return {name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()}


def _digest(text: str) -> str:
    """Return an id of a length and of characters that SQS accepts."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()
