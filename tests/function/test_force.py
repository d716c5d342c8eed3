"""Force in the whole function: on which triggers, and for how many executions of a job."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import Function
from tests.support.fakes import LIMITS, FakeJob
from tools.simulators.events import STACK_ID, cancel_event, delete_request, eventbridge_event

TWO = {"thing-1": "IN_PROGRESS", "thing-2": "IN_PROGRESS"}
OF_STACK = {"iot-job-canceler:stack-id": STACK_ID}
DELETED = {"stack-id": STACK_ID, "status-details": {"status": "DELETE_COMPLETE"}}


def deletion(function: Function) -> dict[str, Any]:
    return delete_request("firmware", f"{function.server.url}/response", {"JobId": "firmware"}, request_id="r-1")


@pytest.mark.parametrize(
    ("event", "is_forced"),
    [
        (None, True),
        ({"cancel": {"jobId": "firmware"}, "tf": {"action": "delete", "prev_input": None}}, True),
        (cancel_event(jobId="firmware"), False),
        ({"cancel": {"jobId": "firmware"}}, False),
        (eventbridge_event("aws.scheduler", "Scheduled Event", "{}"), False),
        (eventbridge_event("aws.cloudformation", "CloudFormation Stack Status Change", DELETED), False),
    ],
    ids=["custom resource", "Terraform", "request", "direct request", "sweep", "deleted stack"],
)
def test_force_on_teardowns_ends_executions_of_no_other_trigger(
    event: dict[str, Any] | None, is_forced: bool, function: Function
) -> None:
    function.configure(limits=replace(LIMITS, forces_teardowns=True), sweep_job_id_glob="firmware")
    job = function.jobs.jobs["firmware"] = FakeJob(executions=dict(TWO), tags=OF_STACK)
    function(event or deletion(function))
    (report,) = function.reports
    assert (report["force"], report["counts"], report["executionsEnded"]) == (
        is_forced,
        {"CANCELED": 1},
        2 if is_forced else 0,
    )
    assert set(job.executions.values()) == {"CANCELED" if is_forced else "IN_PROGRESS"}


@pytest.mark.parametrize(
    ("status", "what"),
    [
        ("IN_PROGRESS", "force would end 2 running executions, but the stack's"),
        ("CANCELED", "2 executions of the canceled job still run, and force does not end them, since the stack's"),
    ],
)
def test_deletion_fails_if_force_would_end_too_many_executions(status: str, what: str, function: Function) -> None:
    function.configure(limits=replace(LIMITS, force=True, max_forced_executions=1))
    job = function.jobs.jobs["firmware"] = FakeJob(status, dict(TWO))
    function(deletion(function))
    (response,) = function.responses
    assert response["Status"] == "FAILED"
    assert response["Reason"].startswith(f"job firmware FAILED: TooManyExecutions: {what} MaxForcedExecutions is 1")
    assert (job.status, job.executions) == (status, TWO)
