"""Waiting for devices: for which jobs a run waits, how often they are polled, and what the report says."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, Wait
from handler.cancellation.request import CancelReason, CancelRequest
from handler.cancellation.wait import MIN_POLL_SECONDS, wait_for_devices

NOW = 1_764_000_000.0
REASON = CancelReason("someone", "R", "c")
REQUEST = CancelRequest(("a",), None, force=False, dry_run=False, max_jobs=100, reason=REASON, wait_minutes=10)


def result(job_id: str, outcome: str = "CANCELED", left: int = 0, *, is_draining: bool = False) -> JobResult:
    return JobResult(job_id, Outcome(outcome), "", left, is_draining)


def report(*jobs: JobResult, status: str = "SETTLED", reason: str = "", force: bool = False) -> Report:
    return Report(RunStatus(status), Trigger.EVENT, force=force, reason=reason, jobs=jobs)


def begun(seconds: float, *job_ids: str, force: bool = False, poll_seconds: int = 0) -> Wait:
    """Return a wait that began `seconds` ago."""
    return Wait(job_ids or ("a",), NOW - seconds, force, poll_seconds)


def test_shortest_poll_interval_is_20_seconds() -> None:
    assert MIN_POLL_SECONDS == 20


def test_run_is_unfinished_while_devices_run_a_job() -> None:
    before = report(result("a", left=2), result("b"), reason="2 active jobs matched")
    assert wait_for_devices(before, REQUEST, None, NOW) == replace(
        before,
        status=RunStatus.UNFINISHED,
        reason="2 devices still run job a",
        wait=Wait(("a",), NOW, False, 20),
    )


@pytest.mark.parametrize("force", [False, True])
def test_new_wait_begins_now_with_the_force_of_the_report(force: bool) -> None:
    waiting = wait_for_devices(report(result("a", left=1), force=force), REQUEST, None, NOW)
    assert waiting.wait == Wait(("a",), NOW, force, 20)


@pytest.mark.parametrize("force", [False, True])
def test_wait_in_progress_keeps_its_jobs_its_start_and_its_force(force: bool) -> None:
    wait = begun(590, "a", "b", force=force, poll_seconds=20)
    waiting = wait_for_devices(report(result("a", left=1), force=not force), REQUEST, wait, NOW)
    assert waiting.wait == Wait(("a", "b"), NOW - 590, force, 10)


@pytest.mark.parametrize(
    ("minutes", "elapsed", "poll_seconds"),
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
        # The remaining time, if it is shorter.
        (1, 40.0, 20),
        (1, 40.001, 20),
        (1, 41.0, 19),
        (1, 41.5, 19),
        (1, 59.0, 1),
        (1, 59.999, 1),
        (50, 2939.0, 60),
        (50, 2960.0, 40),
        # A clock that was set back delays no poll.
        (50, -3600.0, 60),
    ],
)
def test_poll_interval_is_a_fiftieth_of_the_wait_within_limits(minutes: int, elapsed: float, poll_seconds: int) -> None:
    request = replace(REQUEST, wait_minutes=minutes)
    waiting = wait_for_devices(report(result("a", left=1)), request, begun(elapsed), NOW)
    assert waiting.wait == begun(elapsed, poll_seconds=poll_seconds)


@pytest.mark.parametrize(("minutes", "elapsed"), [(1, 60.0), (1, 60.5), (10, 600.0), (50, 3000.0), (50, 99_999.0)])
def test_run_is_unsettled_when_the_wait_has_timed_out(minutes: int, elapsed: float) -> None:
    before = report(result("a", left=1), reason="1 active job matched")
    assert wait_for_devices(before, replace(REQUEST, wait_minutes=minutes), begun(elapsed), NOW) == replace(
        before, status=RunStatus.UNSETTLED, reason=f"timed out after {minutes} min: 1 device still runs job a"
    )


@pytest.mark.parametrize("elapsed", [None, 0.0, 30.0, 600.0, 6000.0])
@pytest.mark.parametrize(
    ("before", "request_"),
    [
        pytest.param(report(), REQUEST, id="no job"),
        pytest.param(report(result("a")), REQUEST, id="no running execution"),
        pytest.param(report(result("a", left=1)), replace(REQUEST, wait_minutes=0), id="no wait"),
        pytest.param(report(result("a", "WOULD_CANCEL", 1)), replace(REQUEST, dry_run=True), id="dry run"),
        pytest.param(
            report(result("a", "ALREADY_CANCELED", 1)), replace(REQUEST, dry_run=True), id="dry run, canceled job"
        ),
        pytest.param(report(result("a", "PROTECTED", 1), status="UNSETTLED"), REQUEST, id="protected job"),
        pytest.param(report(result("a", "FAILED", 1), status="UNSETTLED"), REQUEST, id="failed job"),
        pytest.param(
            report(result("a", left=1), result("b", "DEFERRED"), status="UNFINISHED", reason="x"),
            REQUEST,
            id="deferred job",
        ),
        pytest.param(
            report(result("a", left=1), status="UNFINISHED", reason="select: x"), REQUEST, id="failed listing"
        ),
    ],
)
def test_any_other_report_is_unchanged(before: Report, request_: CancelRequest, elapsed: float | None) -> None:
    wait = None if elapsed is None else begun(elapsed)
    assert wait_for_devices(before, request_, wait, NOW) == before


@pytest.mark.parametrize("outcome", ["CANCELED", "ALREADY_CANCELED", "ALREADY_FINISHED", "GONE"])
def test_run_waits_for_devices_of_every_settled_job(outcome: str) -> None:
    waiting = wait_for_devices(report(result("a", outcome, 1)), REQUEST, None, NOW)
    assert waiting.wait == Wait(("a",), NOW, False, 20)


def test_jobs_that_are_not_settled_are_polled_too() -> None:
    """Each poll tries to cancel them again, and the last report has their outcome."""
    before = report(
        result("kept", "PROTECTED", 3),
        result("done"),
        result("failed", "FAILED"),
        result("busy", "ALREADY_CANCELED", 1),
        result("gone", "GONE"),
        status="UNSETTLED",
    )
    waiting = wait_for_devices(before, REQUEST, None, NOW)
    assert (waiting.status, waiting.reason) == ("UNFINISHED", "1 device still runs job busy")
    assert waiting.wait == Wait(("kept", "failed", "busy"), NOW, False, 20)
    assert (
        wait_for_devices(before, REQUEST, begun(600), NOW).reason
        == "timed out after 10 min: 1 device still runs job busy"
    )


def test_run_waits_for_a_draining_job() -> None:
    """A device may still start an execution that the service has not canceled yet."""
    before = report(result("a", is_draining=True), result("b", left=2, is_draining=True), result("c"))
    waiting = wait_for_devices(before, REQUEST, None, NOW)
    reason = "job a is still being canceled, 2 devices still run job b"
    assert (waiting.status, waiting.reason) == ("UNFINISHED", reason)
    assert waiting.wait == Wait(("a", "b"), NOW, False, 20)
    assert wait_for_devices(before, REQUEST, begun(600), NOW).reason == f"timed out after 10 min: {reason}"


FIVE_JOBS = (
    "1 device still runs job a, 2 devices still run job b, 1 device still runs job c, 1 device still runs job d, "
    "10 devices still run job e"
)


@pytest.mark.parametrize(
    ("jobs", "reason"),
    [
        ([("a", 1)], "1 device still runs job a"),
        ([("a", 1), ("b", 2)], "1 device still runs job a, 2 devices still run job b"),
        ([("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 10)], FIVE_JOBS),
        (
            [("a", 1), ("b", 2), ("c", 1), ("d", 1), ("e", 10), ("f", 1)],
            f"{FIVE_JOBS}, and 1 more job",
        ),
        (
            [("a", 1), ("b", 2), ("x", 0), ("c", 1), ("d", 1), ("e", 10), *((f"f{each}", 1) for each in range(95))],
            f"{FIVE_JOBS}, and 95 more jobs",
        ),
    ],
)
def test_reason_names_five_jobs_and_counts_the_others(jobs: list[Any], reason: str) -> None:
    before = report(*(result(job_id, left=left) for job_id, left in jobs))
    assert wait_for_devices(before, REQUEST, None, NOW).reason == reason
    assert wait_for_devices(before, REQUEST, begun(600), NOW).reason == f"timed out after 10 min: {reason}"


def test_run_that_has_timed_out_after_another_selection_does_not_wait() -> None:
    before = replace(report(result("a", left=1)), wait=begun(60.0))
    after = wait_for_devices(before, replace(REQUEST, wait_minutes=1), begun(60.0), NOW)
    assert (after.status, after.wait) == ("UNSETTLED", None)
