"""Waiting for devices: who is waited for, how often they are looked at, and what is told meanwhile and in the end."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, Waiting
from handler.cancellation.request import CancelRequest
from handler.cancellation.wait import MIN_POLL_SECONDS, Wait, wait_for_devices

REQUEST = CancelRequest(
    ("a",), None, force=False, dry_run=False, max_jobs=100, reason_code="R", comment="c", wait_minutes=10
)


def result(job_id: str, outcome: str = "CANCELED", left: int = 0, *, is_draining: bool = False) -> JobResult:
    return JobResult(job_id, Outcome(outcome), "", left, is_draining)


def report(*jobs: JobResult, status: str = "SETTLED", reason: str = "") -> Report:
    return Report(RunStatus(status), Trigger.EVENT, reason=reason, jobs=jobs)


def test_the_first_look_is_after_twenty_seconds() -> None:
    assert MIN_POLL_SECONDS == 20


def test_a_wait_has_no_force_unless_it_is_said() -> None:
    assert Wait(("a",), 12.5) == Wait(("a",), 12.5, False)


def test_a_run_whose_devices_are_at_work_is_unfinished_and_says_which() -> None:
    before = report(result("a", left=2), result("b"), reason="2 live jobs matched")
    assert wait_for_devices(before, REQUEST, 0) == replace(
        before,
        status=RunStatus.UNFINISHED,
        reason="2 devices still run job a",
        waiting=Waiting(("a",), 20),
    )


@pytest.mark.parametrize(
    ("minutes", "waited", "seconds"),
    [
        # A fiftieth of the wait, from 20 to 60 s.
        (1, 0.0, 20),
        (16, 0.0, 20),
        (17, 0.0, 21),
        (25, 0.0, 30),
        (26, 0.0, 32),
        (49, 0.0, 59),
        (50, 0.0, 60),
        (50, 2000.0, 60),
        # What is left, if that is less.
        (1, 40.0, 20),
        (1, 40.001, 20),
        (1, 41.0, 19),
        (1, 41.5, 19),
        (1, 59.0, 1),
        (1, 59.999, 1),
        (50, 2939.0, 60),
        (50, 2960.0, 40),
        # A clock that was set back makes no look late.
        (50, -3600.0, 60),
    ],
)
def test_the_devices_are_looked_at_again_after_so_many_seconds(minutes: int, waited: float, seconds: int) -> None:
    request = replace(REQUEST, wait_minutes=minutes)
    assert wait_for_devices(report(result("a", left=1)), request, waited).waiting == Waiting(("a",), seconds)


@pytest.mark.parametrize(("minutes", "waited"), [(1, 60.0), (1, 60.5), (10, 600.0), (50, 3000.0), (50, 99_999.0)])
def test_a_wait_whose_time_is_up_is_unsettled_and_waits_no_more(minutes: int, waited: float) -> None:
    before = report(result("a", left=1), reason="1 live jobs matched")
    assert wait_for_devices(before, replace(REQUEST, wait_minutes=minutes), waited) == replace(
        before, status=RunStatus.UNSETTLED, reason=f"after {minutes} min, 1 device still runs job a"
    )


@pytest.mark.parametrize("waited", [0.0, 30.0, 600.0, 6000.0])
@pytest.mark.parametrize(
    ("before", "request_"),
    [
        pytest.param(report(), REQUEST, id="no job"),
        pytest.param(report(result("a")), REQUEST, id="no device at work"),
        pytest.param(report(result("a", left=1)), replace(REQUEST, wait_minutes=0), id="no wait"),
        pytest.param(report(result("a", "WOULD_CANCEL", 1)), replace(REQUEST, dry_run=True), id="a dry run"),
        pytest.param(report(result("a", "ALREADY_CANCELED", 1)), replace(REQUEST, dry_run=True), id="a dry run again"),
        pytest.param(report(result("a", "PROTECTED", 1), status="UNSETTLED"), REQUEST, id="a protected job"),
        pytest.param(report(result("a", "FAILED", 1), status="UNSETTLED"), REQUEST, id="a job that failed"),
        pytest.param(
            report(result("a", left=1), result("b", "DEFERRED"), status="UNFINISHED", reason="x"),
            REQUEST,
            id="jobs that are still to be cancelled",
        ),
        pytest.param(report(result("a", left=1), status="UNFINISHED", reason="select: x"), REQUEST, id="a listing"),
    ],
)
def test_any_other_report_stays_as_it_is(before: Report, request_: CancelRequest, waited: float) -> None:
    assert wait_for_devices(before, request_, waited) == before


@pytest.mark.parametrize("outcome", ["CANCELED", "ALREADY_CANCELED", "ALREADY_FINISHED", "GONE"])
def test_whatever_has_ended_is_waited_for(outcome: str) -> None:
    waiting = wait_for_devices(report(result("a", outcome, 1)), REQUEST, 0).waiting
    assert waiting == Waiting(("a",), 20)


def test_jobs_that_could_not_be_cancelled_are_not_waited_for_but_carried_along() -> None:
    """They are tried again at each look, and told in the end."""
    before = report(
        result("kept", "PROTECTED", 3),
        result("done"),
        result("failed", "FAILED"),
        result("busy", "ALREADY_CANCELED", 1),
        result("gone", "GONE"),
        status="UNSETTLED",
    )
    waits = wait_for_devices(before, REQUEST, 0)
    assert (waits.status, waits.reason) == ("UNFINISHED", "1 device still runs job busy")
    assert waits.waiting == Waiting(("kept", "failed", "busy"), 20)
    assert wait_for_devices(before, REQUEST, 600).reason == "after 10 min, 1 device still runs job busy"


def test_a_job_that_the_service_is_still_cancelling_is_waited_for_too() -> None:
    """A device may yet start an execution that the service has not come to."""
    before = report(result("a", is_draining=True), result("b", left=2, is_draining=True), result("c"))
    waits = wait_for_devices(before, REQUEST, 0)
    told = "job a is still being cancelled, 2 devices still run job b"
    assert (waits.status, waits.reason, waits.waiting) == ("UNFINISHED", told, Waiting(("a", "b"), 20))
    assert wait_for_devices(before, REQUEST, 600).reason == f"after 10 min, {told}"


FIVE = (
    "1 device still runs job a, 2 devices still run job b, 1 device still runs job c, 1 device still runs job d, "
    "10 devices still run job e"
)


@pytest.mark.parametrize(
    ("jobs", "told"),
    [
        ([("a", 1)], "1 device still runs job a"),
        ([("a", 1), ("b", 2)], "1 device still runs job a, 2 devices still run job b"),
        ([("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 10)], FIVE),
        (
            [("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 10), ("f", 1)],
            f"{FIVE}, and devices still run 1 more jobs",
        ),
        (
            [("a", 1), ("b", 2), ("x", 0), ("c", 1), ("d", 1), ("e", 10), *((f"f{each}", 1) for each in range(95))],
            f"{FIVE}, and devices still run 95 more jobs",
        ),
    ],
)
def test_five_jobs_are_told_and_how_many_more(jobs: list[Any], told: str) -> None:
    before = report(*(result(job_id, left=left) for job_id, left in jobs))
    assert wait_for_devices(before, REQUEST, 0).reason == told
    assert wait_for_devices(before, REQUEST, 600).reason == f"after 10 min, {told}"
