"""Events that do not request a cancellation in a known form are rejected and cancel nothing."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import Canceler

# tests/unit/inbound/test_event.py rejects small foreign events in memory. These need the deployed function.
FOREIGN: dict[str, Any] = {
    "a custom resource with a ResponseURL elsewhere": {
        "RequestType": "Delete",
        "ResponseURL": "https://collector.example.com/?token=secret",
        "RequestId": "r",
        "StackId": "arn:aws:cloudformation:eu-central-1:000000000000:stack/s/u",
        "LogicalResourceId": "Teardown",
        "PhysicalResourceId": "{job}",
        "ResourceProperties": {"JobId": "{job}"},
    },
    "a body of a megabyte": {"cancel": {"jobId": "{job}", "comment": "x" * 1024 * 1024}},
}


@pytest.fixture(scope="module")
def bystander(canceler: Canceler) -> str:
    """Create the job that each of these events names."""
    return canceler.job("bystander", queued=1, started=1)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_event_is_rejected_and_cancels_nothing(canceler: Canceler, bystander: str, name: str) -> None:
    before = len(list(canceler.log.lines()))
    report = canceler.invoke(json.loads(json.dumps(FOREIGN[name]).replace("{job}", bystander)))
    assert (report["status"], report["jobs"]) == ("REJECTED", [])
    assert canceler.fleet.state(bystander).executions == {"IN_PROGRESS": 1, "QUEUED": 1}
    lines = list(canceler.log.lines())[before:]
    assert sum('"message": "report"' in line for line in lines) == 1
    assert sum('"RunsRejected":[1.0]' in line for line in lines) == 1
    assert not any("secret" in line for line in lines)


def test_a_rejected_event_is_not_delivered_again(canceler: Canceler) -> None:
    event_id = canceler.put_event("fleet.operations", "IoT Job Cancellation Requested", {"cancel": {"jobId": "bad id"}})
    sentinel = canceler.job("sentinel", started=0, queued=1)
    canceler.put_event("fleet.operations", "IoT Job Cancellation Requested", {"cancel": {"jobId": sentinel}})
    canceler.report_on(sentinel)
    reports = [line for line in canceler.log.lines() if event_id in line and '"message": "report"' in line]
    assert len(reports) == 1
