"""Work that cannot be completed is redelivered, and moves to the failure queue."""

import json
from collections.abc import Callable
from typing import Any

from tests.e2e.conftest import PREFIX, Canceler, unique
from tools.polling import wait_for

CLOSED_PORT = "http://127.0.0.1:9"  # the discard port: nothing listens


def request(job_id: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": f"event-on-{job_id}",
        "source": "fleet.operations",
        "detail-type": "IoT Job Cancellation Requested",
        "detail": {"cancel": {"jobId": job_id}},
    }


def receive_from_failure_queue(canceler: Canceler, is_expected: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait for the failed event that is expected, and delete its message."""
    sqs, url = canceler.aws.client("sqs"), canceler.outputs["FailureQueueUrl"]

    def found() -> dict[str, Any] | None:
        for message in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", []):
            body: dict[str, Any] = json.loads(message["Body"])
            if is_expected(body):
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                return body
        return None

    return wait_for("the event in the failure queue", found, seconds=90)


def test_an_unfinished_event_moves_to_the_failure_queue(canceler: Canceler) -> None:
    job_id = f"{PREFIX}{unique('unreachable')}"
    with canceler.environment(AWS_ENDPOINT_URL_IOT=CLOSED_PORT), canceler.short_lived(20, receives=3):
        canceler.invoke_asynchronously(request(job_id))
        receive_from_failure_queue(canceler, lambda body: body == request(job_id))
    reports = [r for r in canceler.log.reports() if any(j["jobId"] == job_id for j in r["jobs"])]
    assert [(report["status"], report["counts"]) for report in reports] == [("UNFINISHED", {"DEFERRED": 1})] * 4


def test_a_failed_invocation_moves_to_the_failure_queue(canceler: Canceler) -> None:
    event = request(f"{PREFIX}{unique('crash')}")
    with canceler.environment(AWS_ENDPOINT_URL_IOT="not an endpoint"):
        canceler.invoke_asynchronously(event)
        record = receive_from_failure_queue(canceler, lambda body: body.get("requestPayload") == event)
    assert record["requestContext"]["condition"] == "RetriesExhausted"
