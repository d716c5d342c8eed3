"""Plan, then apply, in the whole function: also when the run continues from the queue."""

from typing import Any

import pytest

from tests.conftest import Function
from tests.support.fakes import FakeJob, failing, throttled
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
    assert report["reason"].startswith("planId: is not the current plan of this request, so nothing was canceled")


def test_another_delivery_of_a_request_with_a_plan_is_settled(function: Function) -> None:
    cancel = {"select": {"jobIdGlob": "job-*"}}
    event = cancel_event(**cancel, planId=plan(function, cancel))
    assert [function(event)["status"] for _ in range(2)] == ["SETTLED", "SETTLED"]
    assert len(function.jobs.canceled) == 3
