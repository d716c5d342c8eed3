"""Plan, then apply, in the whole function: also when the run continues from the queue."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import Function
from tests.support.fakes import LIMITS, FakeJob, failing, throttled
from tools.simulators.events import cancel_event

SELECT = {"select": {"jobIdGlob": "job-*"}, "waitForExecutionsMinutes": 5}
NAMES = {"jobIds": ["job-1", "job-2", "job-3"], "waitForExecutionsMinutes": 5}


def plan(function: Function, cancel: dict[str, Any]) -> str:
    function.jobs.jobs |= {f"job-{number}": FakeJob() for number in (1, 2, 3)}
    function.jobs.jobs["job-3"].executions["thing"] = "IN_PROGRESS"
    report = function(cancel_event(**cancel, dryRun=True))
    plan_id: str = report["planId"]
    return plan_id


@pytest.mark.parametrize("cancel", [SELECT, NAMES], ids=["selection", "named jobs"])
def test_plan_that_continues_from_the_queue_cancels_exactly_its_jobs(
    cancel: dict[str, Any], function: Function
) -> None:
    plan_id = plan(function, cancel)
    function.jobs.fault = failing("CancelJob", throttled, job_id="job-2", times=1)
    function(cancel_event(**cancel, planId=plan_id))
    assert sorted(function.jobs.canceled) == ["job-1", "job-3"]
    function.jobs.jobs["job-4"] = FakeJob()
    function.poll()
    function.jobs.jobs["job-3"].executions["thing"] = "SUCCEEDED"
    reports = function.drain()
    assert {report["status"] for report in reports[:-1]} <= {"UNFINISHED"}
    assert reports[-1]["status"] == "SETTLED"
    assert sorted(function.jobs.canceled) == ["job-1", "job-2", "job-3"]


def test_plan_is_compared_when_a_throttled_run_first_knows_its_jobs(function: Function) -> None:
    plan_id = plan(function, SELECT)
    function.jobs.fault = failing("ListJobs", throttled, times=1)
    function(cancel_event(**SELECT, planId=plan_id))
    function.jobs.jobs["job-4"] = FakeJob()
    (report,) = function.drain()
    assert (report["status"], function.jobs.canceled) == ("REJECTED", [])
    assert report["reason"].startswith("planId: is not the current plan of this request, so this run canceled nothing")


def test_another_delivery_of_a_request_with_a_plan_is_settled(function: Function) -> None:
    cancel = {"select": {"jobIdGlob": "job-*"}}
    event = cancel_event(**cancel, planId=plan(function, cancel))
    assert [function(event)["status"] for _ in range(2)] == ["SETTLED", "SETTLED"]
    assert len(function.jobs.canceled) == 3


def test_jobs_that_the_plan_would_not_change_are_not_canceled_when_that_changes(function: Function) -> None:
    """The job b is above MaxForcedExecutions, and c does not exist."""
    function.configure(limits=replace(LIMITS, force=True, max_forced_executions=1))
    function.jobs.jobs |= {"a": FakeJob(), "b": FakeJob(executions={"t1": "IN_PROGRESS", "t2": "IN_PROGRESS"})}
    cancel = {"jobIds": ["a", "b", "c"]}
    dry_run = function(cancel_event(**cancel, dryRun=True))
    assert dry_run["counts"] == {"WOULD_CANCEL": 1, "FAILED": 1, "GONE": 1}
    function.jobs.fault = failing("CancelJob", throttled, job_id="a", times=1)
    first = function(cancel_event(**cancel, planId=dry_run["planId"]))
    assert first["counts"] == {"DEFERRED": 1, "FAILED": 1, "GONE": 1}
    function.jobs.jobs["b"].executions["t1"] = "SUCCEEDED"
    function.jobs.jobs["c"] = FakeJob()
    assert [report["counts"] for report in function.drain()] == [{"CANCELED": 1}]
    assert function.jobs.canceled == ["a"]


def test_a_dry_run_has_no_plan_if_more_than_500_jobs_match(function: Function) -> None:
    """A request with a planId would be rejected for them, although one of them is protected."""
    function.configure(limits=replace(LIMITS, max_jobs=1000), cancels_per_second=100_000)
    function.jobs.jobs |= {f"job-{number}": FakeJob() for number in range(500)}
    function.jobs.jobs["job-protected"] = FakeJob(tags={"cancel-protection": "true"})
    report = function(cancel_event(select={"jobIdGlob": "job-*"}, dryRun=True))
    assert (report["counts"], "planId" in report) == ({"WOULD_CANCEL": 500, "PROTECTED": 1}, False)
