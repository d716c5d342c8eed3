"""The built bundle for many concurrent deletions, each with its own services, as in its own container on Lambda.

Then the messages in the queue of teardowns, ten at a time, as Lambda's poller receives them.
"""

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3

from bench.programs.context import Context
from handler.app import lambda_handler, wire

if TYPE_CHECKING:
    from mypy_boto3_sqs.literals import QueueAttributeNameType

POLLERS = 10  # the template's MaximumConcurrency
WAITING: Sequence["QueueAttributeNameType"] = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesDelayed",
    "ApproximateNumberOfMessagesNotVisible",
)
DELAY_SECONDS, VISIBILITY_SECONDS = 5, 330  # the queue's in the template
POLL_SECONDS = 0.1  # of an empty queue; Lambda's poller uses long polls

sqs = boto3.client("sqs")
url = os.environ["TEARDOWN_QUEUE_URL"]


def poll(services: Any) -> None:
    """Receive and process messages until the queue is empty."""
    while True:
        received = sqs.receive_message(
            QueueUrl=url,
            VisibilityTimeout=VISIBILITY_SECONDS,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        for message in received.get("Messages", []):
            result = lambda_handler({"Records": [record(message)]}, Context(), services)
            if result == {"batchItemFailures": []}:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        if not received.get("Messages"):
            counts = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=WAITING)["Attributes"]
            if not any(map(int, counts.values())):
                return
            time.sleep(POLL_SECONDS)


def record(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return the message as Lambda passes it to the function."""
    attributes = message.get("MessageAttributes", {})
    return {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "messageAttributes": {
            name: {"stringValue": each["StringValue"], "dataType": each["DataType"]}
            for name, each in attributes.items()
        },
        "eventSource": "aws:sqs",
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:123456789012:{url.rpartition('/')[2]}",
    }


sqs.create_queue(QueueName=url.rpartition("/")[2], Attributes={"FifoQueue": "true", "DelaySeconds": str(DELAY_SECONDS)})
events = json.load(sys.stdin)["events"]
containers = [wire.__wrapped__() for _ in events]
with ThreadPoolExecutor(len(events)) as pool:
    list(pool.map(lambda_handler, events, [Context() for _ in events], containers))
with ThreadPoolExecutor(POLLERS) as pool:
    list(pool.map(poll, containers[:POLLERS]))
