"""Executions that a cancellation without force left running are ended one by one."""

from collections.abc import Callable

import pytest

from handler.cancellation.executions import MAX_EXECUTIONS, EndedExecutions, end_executions
from handler.errors import (
    AccessDenied,
    ExecutionEnded,
    JobNotCancelable,
    JobNotFound,
    JobsError,
    JobsUnavailable,
    OutOfTime,
)
from tests.support.fakes import (
    FakeClock,
    FakeJob,
    FakeJobs,
    denied,
    failing,
    not_found,
    refused,
    session,
    throttled,
    unavailable,
)


def has_ended() -> JobsError:
    return ExecutionEnded("InvalidStateTransitionException", "the execution has ended")


def running(number: int) -> dict[str, str]:
    return {f"thing-{each:04}": "IN_PROGRESS" for each in range(number)}


def test_only_executions_in_progress_of_this_job_are_canceled(jobs: FakeJobs) -> None:
    executions = {
        "a": "IN_PROGRESS",
        "b": "QUEUED",
        "c": "SUCCEEDED",
        "d": "CANCELED",
        "e:f": "IN_PROGRESS",
        "g": "FAILED",
        "h": "TIMED_OUT",
        "i": "REJECTED",
        "j": "REMOVED",
    }
    jobs.jobs |= {"x": FakeJob("CANCELED", dict(executions)), "y": FakeJob("CANCELED", dict(executions))}
    assert end_executions(jobs.api, "x") == EndedExecutions(2, None)
    assert jobs.jobs["x"].executions == executions | {"a": "CANCELED", "e:f": "CANCELED"}
    assert jobs.jobs["y"].executions == executions
    assert jobs.executions_canceled == [("x", "a"), ("x", "e:f")]


@pytest.mark.parametrize(("number", "pages"), [(0, 1), (1, 1), (3, 1), (4, 2), (10, 4)])
def test_every_page_is_listed_before_the_first_execution_is_canceled(number: int, pages: int, jobs: FakeJobs) -> None:
    jobs.page_size = 3
    jobs.jobs["x"] = FakeJob("CANCELED", running(number))
    assert end_executions(jobs.api, "x") == EndedExecutions(number, None)
    operations = [operation for operation, _ in jobs.calls]
    assert operations == ["ListJobExecutionsForJob"] * pages + ["CancelJobExecution"] * number
    assert len(jobs.executions_canceled) == number


@pytest.mark.parametrize("error", [has_ended, not_found])
def test_execution_that_ended_in_between_counts_as_ended(error: Callable[[], JobsError], jobs: FakeJobs) -> None:
    jobs.jobs["x"] = FakeJob("CANCELED", running(3))
    jobs.fault = failing("CancelJobExecution", error, job_id="x/thing-0001")
    assert end_executions(jobs.api, "x") == EndedExecutions(3, None)
    assert jobs.executions_canceled == [("x", "thing-0000"), ("x", "thing-0002")]


@pytest.mark.parametrize(("error", "is_refusal"), [(throttled, False), (unavailable, False), (refused, True)])
def test_failed_execution_does_not_stop_the_others(
    error: Callable[[], JobsError], is_refusal: bool, jobs: FakeJobs
) -> None:
    """Only a refusal is returned: another error may not occur in the next attempt."""
    jobs.jobs["x"] = FakeJob("CANCELED", running(3))
    jobs.fault = failing("CancelJobExecution", error, job_id="x/thing-0001")
    executions = end_executions(jobs.api, "x")
    assert (executions.ended, str(executions.refusal)) == (2, str(error()) if is_refusal else "None")
    assert jobs.executions_canceled == [("x", "thing-0000"), ("x", "thing-0002")]


def test_first_refusal_is_returned(jobs: FakeJobs) -> None:
    jobs.jobs["x"] = FakeJob("CANCELED", running(4))
    errors = {"x/thing-0001": throttled(), "x/thing-0002": JobNotCancelable("A", "a"), "x/thing-0003": refused()}

    def fault(_operation: str, called_for: str) -> None:
        if called_for in errors:
            raise errors[called_for]

    jobs.fault = fault
    executions = end_executions(jobs.api, "x")
    assert (executions.ended, str(executions.refusal)) == (1, "A: a")


@pytest.mark.parametrize(
    ("operation", "error", "kind"),
    [
        ("CancelJobExecution", denied, AccessDenied),
        ("ListJobExecutionsForJob", throttled, JobsUnavailable),
        ("ListJobExecutionsForJob", denied, AccessDenied),
        ("ListJobExecutionsForJob", not_found, JobNotFound),
    ],
)
def test_any_other_error_is_raised(
    operation: str, error: Callable[[], JobsError], kind: type[JobsError], jobs: FakeJobs
) -> None:
    jobs.jobs["x"] = FakeJob("CANCELED", running(1))
    jobs.fault = failing(operation, error)
    with pytest.raises(kind):
        end_executions(jobs.api, "x")
    assert jobs.executions_canceled == []


# The page is listed at 0 s, and the executions are canceled at 0, 1, 2, … s. Each call may take up to 1 s.
@pytest.mark.parametrize(("seconds", "ended"), [(0.9, 0), (1.0, 1), (1.9, 1), (2.0, 2), (4.0, 4)])
def test_executions_without_time_are_not_canceled(seconds: float, ended: int, jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["x"] = FakeJob("CANCELED", running(20))
    api = session(jobs, clock, seconds, per_second=1).api
    if seconds < 1:
        with pytest.raises(OutOfTime):
            end_executions(api, "x")
    else:
        assert end_executions(api, "x") == EndedExecutions(ended, None)
    assert len(jobs.executions_canceled) == ended


@pytest.mark.parametrize(("number", "ended"), [(2999, 2999), (3000, 3000), (3001, 3000)])
def test_at_most_3000_executions_are_canceled_at_once(number: int, ended: int, jobs: FakeJobs) -> None:
    assert MAX_EXECUTIONS == 3000
    jobs.jobs["x"] = FakeJob("CANCELED", running(number))
    assert end_executions(jobs.api, "x") == EndedExecutions(ended, None)
    assert list(jobs.jobs["x"].executions.values()).count("IN_PROGRESS") == number - ended
