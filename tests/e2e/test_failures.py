"""What can't be finished is delivered again, and ends in the failure queue."""

import json
from typing import Any

from tests.e2e.conftest import Canceler
from tools.polling import wait_for
from tools.simulators.faults import failing, throttled
from tools.simulators.iot_server import IotServer

REGION = "eu-central-1"
NOBODY = "http://127.0.0.1:9"  # the discard port: nothing listens


def request(job_id: str) -> dict[str, Any]:
    return {
        "version": "0",
        "id": f"event-on-{job_id}",
        "source": "fleet.operations",
        "detail-type": "IoT Job Cancellation Requested",
        "detail": {"cancel": {"jobId": job_id}},
    }


def test_an_event_that_can_not_be_finished_ends_in_the_failure_queue(canceler: Canceler) -> None:
    sqs = canceler.aws.client("sqs")
    with canceler.environment(AWS_ENDPOINT_URL_IOT=NOBODY), canceler.short_lived(20, receives=3):
        canceler.invoke_asynchronously(request("e2e-unreachable"))

        def failed_event() -> dict[str, Any] | None:
            answer = sqs.receive_message(QueueUrl=canceler.outputs["FailureQueueUrl"], WaitTimeSeconds=1)
            bodies = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
            return next((body for body in bodies if body == request("e2e-unreachable")), None)

        wait_for("the event in the failure queue", failed_event, seconds=90)
    reports = [r for r in canceler.log.reports() if any(j["jobId"] == "e2e-unreachable" for j in r["jobs"])]
    assert [(report["status"], report["counts"]) for report in reports] == [("UNFINISHED", {"DEFERRED": 1})] * 4


def test_an_event_that_fails_for_a_moment_is_finished_by_its_next_delivery(canceler: Canceler) -> None:
    with IotServer(REGION) as iot, canceler.environment(AWS_ENDPOINT_URL_IOT=iot.url):
        iot.backend.add_job("e2e-busy", executions={"device": "QUEUED"})
        # As many as the SDK's own attempts of the first delivery: the second delivery gets through.
        iot.backend.fault = failing("CancelJob", throttled, times=3)
        canceler.invoke_asynchronously(request("e2e-busy"))

        def finished() -> bool | None:
            return True if canceler.report_on("e2e-busy")["status"] == "SETTLED" else None

        wait_for("a settled run", finished, seconds=60)
        assert iot.backend.cancelled == ["e2e-busy"]


def test_an_invocation_that_fails_for_good_ends_in_the_failure_queue(canceler: Canceler) -> None:
    sqs = canceler.aws.client("sqs")
    with canceler.environment(AWS_ENDPOINT_URL_IOT="not an endpoint"):
        canceler.invoke_asynchronously(request("e2e-crash"))

        def record() -> dict[str, Any] | None:
            answer = sqs.receive_message(QueueUrl=canceler.outputs["FailureQueueUrl"], WaitTimeSeconds=1)
            bodies = [json.loads(message["Body"]) for message in answer.get("Messages", [])]
            return next((body for body in bodies if body.get("requestPayload") == request("e2e-crash")), None)

        assert wait_for("the record of the failure", record, seconds=60)["requestContext"]["condition"] == (
            "RetriesExhausted"
        )
