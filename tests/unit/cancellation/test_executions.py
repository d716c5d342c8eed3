"""Executions that a cancel without force has left: ended one by one, each in its turn."""

from collections.abc import Callable

import pytest

from handler.cancellation.executions import MOST, EndedExecutions, end_executions
from handler.errors import (
    AccessDenied,
    ExecutionEnded,
    JobNotCancelable,
    JobNotFound,
    JobsError,
    JobsUnavailable,
    OutOfTime,
)
from tests.support.fakes import FakeJob, FakeJobs, denied, failing, not_found, refused, throttled, unavailable


class Turns:
    """Counts turns; the one after the last of `most` is too late."""

    def __init__(self, most: int = 10_000) -> None:
        self.number = 0
        self.most = most

    def __call__(self) -> None:
        if self.number == self.most:
            raise OutOfTime
        self.number += 1


def has_ended() -> JobsError:
    return ExecutionEnded("InvalidStateTransitionException", "the execution has ended")


def running(number: int) -> dict[str, str]:
    return {f"thing-{each:04}": "IN_PROGRESS" for each in range(number)}


def test_only_what_is_in_progress_is_ended(jobs: FakeJobs) -> None:
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
    assert end_executions(jobs, "x", Turns()) == EndedExecutions(2, None)
    assert jobs.jobs["x"].executions == executions | {"a": "CANCELED", "e:f": "CANCELED"}
    assert jobs.jobs["y"].executions == executions
    assert jobs.executions_cancelled == [("x", "a"), ("x", "e:f")]


@pytest.mark.parametrize(("number", "pages"), [(0, 1), (1, 1), (3, 1), (4, 2), (10, 4)])
def test_each_page_and_each_execution_has_its_turn(number: int, pages: int, jobs: FakeJobs) -> None:
    jobs.page_size = 3
    jobs.jobs["x"] = FakeJob("CANCELED", running(number))
    turns = Turns()
    assert end_executions(jobs, "x", turns) == EndedExecutions(number, None)
    assert turns.number == pages + number
    assert len(jobs.executions_cancelled) == number


@pytest.mark.parametrize("error", [has_ended, not_found])
def test_an_execution_that_has_ended_meanwhile_is_as_it_should_be(
    error: Callable[[], JobsError], jobs: FakeJobs
) -> None:
    jobs.jobs["x"] = FakeJob("CANCELED", running(3))
    jobs.fault = failing("CancelJobExecution", error, job_id="x/thing-0001")
    assert end_executions(jobs, "x", Turns()) == EndedExecutions(3, None)
    assert jobs.executions_cancelled == [("x", "thing-0000"), ("x", "thing-0002")]


@pytest.mark.parametrize(("error", "told"), [(throttled, False), (unavailable, False), (refused, True)])
def test_an_execution_that_can_not_be_ended_now_does_not_hold_up_the_others(
    error: Callable[[], JobsError], told: bool, jobs: FakeJobs
) -> None:
    """And only a refusal is told: anything else may work the next time."""
    jobs.jobs["x"] = FakeJob("CANCELED", running(3))
    jobs.fault = failing("CancelJobExecution", error, job_id="x/thing-0001")
    ending = end_executions(jobs, "x", Turns())
    assert (ending.ended, str(ending.refusal)) == (2, str(error()) if told else "None")
    assert jobs.executions_cancelled == [("x", "thing-0000"), ("x", "thing-0002")]


def test_the_first_refusal_is_told(jobs: FakeJobs) -> None:
    jobs.jobs["x"] = FakeJob("CANCELED", running(4))
    errors = {"x/thing-0001": throttled(), "x/thing-0002": JobNotCancelable("A", "a"), "x/thing-0003": refused()}

    def fault(_operation: str, called_for: str) -> None:
        if called_for in errors:
            raise errors[called_for]

    jobs.fault = fault
    ending = end_executions(jobs, "x", Turns())
    assert (ending.ended, str(ending.refusal)) == (1, "A: a")


@pytest.mark.parametrize(
    ("operation", "error", "meaning"),
    [
        ("CancelJobExecution", denied, AccessDenied),
        ("CancelJobExecution", OutOfTime, OutOfTime),
        ("ListJobExecutionsForJob", throttled, JobsUnavailable),
        ("ListJobExecutionsForJob", denied, AccessDenied),
        ("ListJobExecutionsForJob", not_found, JobNotFound),
    ],
)
def test_any_other_error_is_raised(
    operation: str, error: Callable[[], JobsError], meaning: type[JobsError], jobs: FakeJobs
) -> None:
    jobs.jobs["x"] = FakeJob("CANCELED", running(1))
    jobs.fault = failing(operation, error)
    with pytest.raises(meaning):
        end_executions(jobs, "x", Turns())
    assert jobs.executions_cancelled == []


@pytest.mark.parametrize(("turns", "ended"), [(0, 0), (1, 0), (2, 1), (4, 3)])
def test_what_there_is_no_time_for_is_left(turns: int, ended: int, jobs: FakeJobs) -> None:
    jobs.jobs["x"] = FakeJob("CANCELED", running(20))
    with pytest.raises(OutOfTime):
        end_executions(jobs, "x", Turns(turns))
    assert len(jobs.executions_cancelled) == ended


@pytest.mark.parametrize(("number", "ended"), [(2999, 2999), (3000, 3000), (3001, 3000)])
def test_no_more_than_three_thousand_are_ended_at_a_time(number: int, ended: int, jobs: FakeJobs) -> None:
    assert MOST == 3000
    jobs.jobs["x"] = FakeJob("CANCELED", running(number))
    assert end_executions(jobs, "x", Turns()) == EndedExecutions(ended, None)
    assert list(jobs.jobs["x"].executions.values()).count("IN_PROGRESS") == number - ended
