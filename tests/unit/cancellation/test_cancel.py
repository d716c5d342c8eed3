"""One job, idempotently: every row of what may happen to it, and every status that it may be found in."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from handler.cancellation.criteria import parse_criteria
from handler.cancellation.job import ENDED, LIVE, JobStatus
from handler.cancellation.report import JobResult
from handler.cancellation.request import CancelRequest, StackLimits
from handler.errors import JobsError
from tests.support.fakes import (
    LIMITS,
    FakeClock,
    FakeJob,
    FakeJobs,
    Hook,
    answer_lost,
    canceler,
    denied,
    failing,
    not_found,
    refused,
    throttled,
    unavailable,
)


def undocumented() -> JobsError:
    return JobsError("ConflictException", "busy")


REQUEST = CancelRequest(("a",), None, force=False, dry_run=False, max_jobs=100, reason_code="STALE", comment="too old")
SELECTED = replace(REQUEST, job_ids=(), selector=parse_criteria({"jobIdGlob": "*"}))
PREFIXED = replace(LIMITS, job_id_prefix="ota-")
PROTECTED = {"cancel-protection": "true"}
ONE_OF_EACH = {"thing-1": "QUEUED", "thing-2": "IN_PROGRESS", "thing-3": "SUCCEEDED"}
TWO_RUN = {**ONE_OF_EACH, "thing-4": "IN_PROGRESS", "thing-5": "FAILED"}
ENDED_ONE = "1 executions that an earlier cancel had left were ended"
ENDED_TWO = "2 executions that an earlier cancel had left were ended"
RUN_ON = "its executions run on: somebody else has cancelled it"
WOULD_END = "the executions that it has left would be ended"
OUTSIDE = "OutsidePrefix: the id does not start with JobIdPrefix 'ota-'"


@dataclass(frozen=True)
class Row:
    """What is there, and what one cancel of it shall give. `status` None is no such job."""

    outcome: str
    detail: str = ""
    status: str | None = "IN_PROGRESS"
    left: int = 0
    executions: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    fault: Hook | None = None
    lost: Hook | None = None
    lag: int = 0
    force: bool = False
    dry_run: bool = False
    policy: StackLimits = LIMITS


def run(row: Row, clock: FakeClock) -> tuple[tuple[JobResult, ...], FakeJobs]:
    """Cancel the job `a` of the row, with time enough."""
    found = {} if row.status is None else {"a": FakeJob(row.status, dict(row.executions), row.tags)}
    jobs = FakeJobs(found, clock)
    jobs.fault, jobs.lost, jobs.lag = row.fault, row.lost, row.lag
    request = replace(REQUEST, force=row.force, dry_run=row.dry_run)
    return canceler(jobs, clock, policy=row.policy).cancel_all(["a"], request), jobs


def both(first: Hook, second: Hook) -> Hook:
    def fault(operation: str, job_id: str) -> None:
        first(operation, job_id)
        second(operation, job_id)

    return fault


def refused_as_it_becomes(status: str, jobs: Callable[[], FakeJobs]) -> Hook:
    """CancelJob is refused, for somebody else got there first."""

    def fault(operation: str, job_id: str) -> None:
        if operation == "CancelJob":
            jobs().jobs[job_id].status = status
            raise refused()

    return fault


ROWS: dict[str, Row] = {
    # Accepted.
    "a job that is accepted is CANCELED": Row("CANCELED"),
    "without force what devices have started runs on and is counted": Row("CANCELED", executions=ONE_OF_EACH, left=1),
    "with force nothing is left in progress": Row("CANCELED", executions=ONE_OF_EACH, force=True),
    "a job that waits for its start is CANCELED": Row("CANCELED", status="SCHEDULED"),
    "a job that reads live at first is read until it has ended": Row("CANCELED", lag=4),
    "a job that still reads live after an accepted cancel is DEFERRED": Row(
        "DEFERRED", "the cancel was accepted, but the job still reads IN_PROGRESS", lag=5
    ),
    "a job deleted between the cancel and the reading is GONE": Row(
        "GONE", "no such job", fault=failing("DescribeJob", not_found)
    ),
    "a job that cannot be read after an accepted cancel is DEFERRED": Row(
        "DEFERRED", "ThrottlingException: Rate exceeded", fault=failing("DescribeJob", throttled)
    ),
    "a job that may not be read after an accepted cancel is FAILED": Row(
        "FAILED", "AccessDeniedException: not authorized", fault=failing("DescribeJob", denied)
    ),
    # Not found.
    "a job that is not there is GONE": Row("GONE", "no such job", status=None),
    # Refused, and read again.
    "a refused job that reads CANCELED is ALREADY_CANCELED": Row("ALREADY_CANCELED", status="CANCELED"),
    "a refused job that reads CANCELED may still have running executions": Row(
        "ALREADY_CANCELED", status="CANCELED", executions={"thing": "IN_PROGRESS"}, left=1
    ),
    "a refused job that reads COMPLETED is ALREADY_FINISHED": Row("ALREADY_FINISHED", status="COMPLETED"),
    "a refused job that is being deleted is GONE": Row(
        "GONE", "the job is being deleted", status="DELETION_IN_PROGRESS"
    ),
    "a refused job that reads IN_PROGRESS is FAILED with the service's words": Row(
        "FAILED", "InvalidRequestException: cannot be canceled", fault=failing("CancelJob", refused)
    ),
    "a refused job that reads SCHEDULED is FAILED": Row(
        "FAILED",
        "InvalidRequestException: cannot be canceled",
        status="SCHEDULED",
        fault=failing("CancelJob", refused),
    ),
    "a refused job of a status that nobody documented is DEFERRED": Row(
        "DEFERRED", "InvalidRequestException: Job in status CANCELING cannot be canceled", status="CANCELING"
    ),
    "a refused job that is not there any more is GONE": Row(
        "GONE", "no such job", status=None, fault=failing("CancelJob", refused)
    ),
    "a refused job that cannot be read is DEFERRED": Row(
        "DEFERRED",
        "ServiceUnavailableException: Service unavailable",
        status="COMPLETED",
        fault=failing("DescribeJob", unavailable),
    ),
    # Throttled or unavailable after the SDK's attempts.
    "a throttled cancel is DEFERRED": Row(
        "DEFERRED", "ThrottlingException: Rate exceeded", fault=failing("CancelJob", throttled)
    ),
    "a cancel that meets an unavailable service is DEFERRED": Row(
        "DEFERRED", "ServiceUnavailableException: Service unavailable", fault=failing("CancelJob", unavailable)
    ),
    "a cancel whose answer is lost is DEFERRED": Row(
        "DEFERRED",
        "ConnectionClosedError: no usable answer from the service",
        lost=failing("CancelJob", answer_lost),
    ),
    # Denied.
    "a denied job with the protection tag is PROTECTED": Row(
        "PROTECTED", "the job is tagged cancel-protection=true", tags=PROTECTED, fault=failing("CancelJob", denied)
    ),
    "IAM compares the tag's value without case": Row(
        "PROTECTED",
        "the job is tagged cancel-protection=true",
        tags={"cancel-protection": "TRUE"},
        fault=failing("CancelJob", denied),
    ),
    "a denied job keeps its count of running executions": Row(
        "PROTECTED",
        "the job is tagged cancel-protection=true",
        executions=ONE_OF_EACH,
        left=1,
        tags=PROTECTED,
        fault=failing("CancelJob", denied),
    ),
    "a denied job without the tag is FAILED": Row(
        "FAILED", "AccessDeniedException: not authorized", fault=failing("CancelJob", denied)
    ),
    "a denied job whose tag says false is FAILED": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        tags={"cancel-protection": "false"},
        fault=failing("CancelJob", denied),
    ),
    "a denied job with another tag is FAILED": Row(
        "FAILED", "AccessDeniedException: not authorized", tags={"keep": "true"}, fault=failing("CancelJob", denied)
    ),
    "the protection tag is the one of the stack's parameter": Row(
        "PROTECTED",
        "the job is tagged keep=true",
        tags={"keep": "true"},
        fault=failing("CancelJob", denied),
        policy=replace(LIMITS, protection_tag_key="keep"),
    ),
    "a denied job that has been cancelled before is ALREADY_CANCELED": Row(
        "ALREADY_CANCELED", status="CANCELED", tags=PROTECTED, fault=failing("CancelJob", denied)
    ),
    "a denied job that has finished is ALREADY_FINISHED": Row(
        "ALREADY_FINISHED", status="COMPLETED", fault=failing("CancelJob", denied)
    ),
    "a denied job that is not there is GONE": Row(
        "GONE", "no such job", status=None, fault=failing("CancelJob", denied)
    ),
    "a denied job whose tags cannot be read now is DEFERRED": Row(
        "DEFERRED",
        "ThrottlingException: Rate exceeded",
        fault=both(failing("CancelJob", denied), failing("ListTagsForResource", throttled)),
    ),
    "a denied job of a status that nobody documented is FAILED": Row(
        "FAILED", "AccessDeniedException: not authorized", status="CANCELING", fault=failing("CancelJob", denied)
    ),
    # Dry run.
    "a dry run would cancel a job in progress": Row(
        "WOULD_CANCEL", executions=ONE_OF_EACH, left=1, dry_run=True, force=True
    ),
    "a dry run would cancel a scheduled job": Row("WOULD_CANCEL", status="SCHEDULED", dry_run=True),
    "a dry run would cancel a job of a status that nobody documented": Row(
        "WOULD_CANCEL", status="CANCELING", dry_run=True
    ),
    "a dry run finds a cancelled job": Row("ALREADY_CANCELED", status="CANCELED", dry_run=True),
    "a dry run finds a finished job": Row("ALREADY_FINISHED", status="COMPLETED", dry_run=True),
    "a dry run finds a job that is being deleted": Row(
        "GONE", "the job is being deleted", status="DELETION_IN_PROGRESS", dry_run=True
    ),
    "a dry run finds no job": Row("GONE", "no such job", status=None, dry_run=True),
    "a dry run finds a protected job": Row(
        "PROTECTED", "the job is tagged cancel-protection=true", tags=PROTECTED, dry_run=True
    ),
    "a dry run of a throttled reading is DEFERRED": Row(
        "DEFERRED", "ThrottlingException: Rate exceeded", fault=failing("DescribeJob", throttled), dry_run=True
    ),
    "a dry run finds a job outside the prefix": Row("FAILED", OUTSIDE, dry_run=True, policy=PREFIXED),
    "a dry run finds a finished job outside the prefix": Row(
        "ALREADY_FINISHED", status="COMPLETED", dry_run=True, policy=PREFIXED
    ),
    "a dry run finds a protected job outside the prefix": Row(
        "PROTECTED", "the job is tagged cancel-protection=true", tags=PROTECTED, dry_run=True, policy=PREFIXED
    ),
    # Outside the prefix, as on the Delete of a stack whose JobIdPrefix has changed.
    "a live job outside the prefix is FAILED": Row("FAILED", OUTSIDE, policy=PREFIXED),
    "a finished job outside the prefix is ALREADY_FINISHED": Row(
        "ALREADY_FINISHED", status="COMPLETED", policy=PREFIXED
    ),
    "a cancelled job outside the prefix is ALREADY_CANCELED": Row(
        "ALREADY_CANCELED", status="CANCELED", policy=PREFIXED
    ),
    "no job outside the prefix is GONE": Row("GONE", "no such job", status=None, policy=PREFIXED),
    # Force, and what an earlier cancel without it has left.
    "with force what an earlier cancel has left is ended": Row(
        "ALREADY_CANCELED", ENDED_ONE, status="CANCELED", executions=ONE_OF_EACH, force=True
    ),
    "with force all of it is ended": Row(
        "ALREADY_CANCELED", ENDED_TWO, status="CANCELED", executions=TWO_RUN, force=True
    ),
    "with force a cancelled job without a running execution is as it should be": Row(
        "ALREADY_CANCELED", status="CANCELED", executions={"thing": "QUEUED"}, force=True
    ),
    "without force what an earlier cancel has left runs on and is counted": Row(
        "ALREADY_CANCELED", status="CANCELED", executions=TWO_RUN, left=2
    ),
    "with force what runs of a finished job runs on": Row(
        "ALREADY_FINISHED", status="COMPLETED", executions=TWO_RUN, left=2, force=True
    ),
    "with force what runs of a job that is being deleted runs on": Row(
        "GONE", "the job is being deleted", status="DELETION_IN_PROGRESS", executions=TWO_RUN, left=2, force=True
    ),
    "with force what is left outside the prefix runs on": Row(
        "ALREADY_CANCELED", status="CANCELED", executions=TWO_RUN, left=2, force=True, policy=PREFIXED
    ),
    "with force what is left of a protected job runs on": Row(
        "ALREADY_CANCELED",
        "its executions run on: the job is tagged cancel-protection=true",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        tags={"Cancel-Protection": "True"},
        force=True,
    ),
    "with force an execution that may not be cancelled fails the job": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        force=True,
        fault=failing("CancelJobExecution", denied),
    ),
    "with force executions that may not be listed fail the job": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        force=True,
        fault=failing("ListJobExecutionsForJob", denied),
    ),
    "with force tags that may not be read fail the job, and its count is kept": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        force=True,
        fault=failing("ListTagsForResource", denied),
    ),
    "with force tags that can not be read now defer the job, and its count is kept": Row(
        "DEFERRED",
        "ThrottlingException: Rate exceeded",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        force=True,
        fault=failing("ListTagsForResource", throttled),
    ),
    "with force executions that can not be listed now defer the job": Row(
        "DEFERRED",
        "ServiceUnavailableException: Service unavailable",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        force=True,
        fault=failing("ListJobExecutionsForJob", unavailable),
    ),
    "with force an execution that is throttled defers the job, and the others are ended": Row(
        "DEFERRED",
        f"{ENDED_ONE}, and there are more",
        status="CANCELED",
        executions=TWO_RUN,
        left=1,
        force=True,
        fault=failing("CancelJobExecution", throttled, job_id="a/thing-4"),
    ),
    "with force the job's own count decides where answers are lost": Row(
        "ALREADY_CANCELED",
        "0 executions that an earlier cancel had left were ended",
        status="CANCELED",
        executions=TWO_RUN,
        force=True,
        lost=failing("CancelJobExecution", answer_lost),
    ),
    "with force a job that is deleted while its executions are ended is GONE": Row(
        "GONE",
        "no such job",
        status="CANCELED",
        executions=TWO_RUN,
        force=True,
        fault=failing("ListJobExecutionsForJob", not_found),
    ),
    "with force executions that are throttled, all of them, defer the job": Row(
        "DEFERRED",
        "0 executions that an earlier cancel had left were ended, and there are more",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        force=True,
        fault=failing("CancelJobExecution", throttled),
    ),
    "with force executions that refuse, all of them, and still run fail the job": Row(
        "FAILED",
        "InvalidRequestException: cannot be canceled",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        force=True,
        fault=failing("CancelJobExecution", refused),
    ),
    "with force an execution that refuses and still runs defers the job while others can be ended": Row(
        "DEFERRED",
        f"{ENDED_ONE}, and there are more",
        status="CANCELED",
        executions=TWO_RUN,
        left=1,
        force=True,
        fault=failing("CancelJobExecution", refused, job_id="a/thing-4"),
    ),
    "a refusal that nobody documented is judged by the status: a job that is being deleted is GONE": Row(
        "GONE", "the job is being deleted", status="DELETION_IN_PROGRESS", fault=failing("CancelJob", undocumented)
    ),
    "a refusal that nobody documented fails a job that lives on": Row(
        "FAILED", "ConflictException: busy", fault=failing("CancelJob", undocumented)
    ),
    "a denied job that was cancelled before has its executions ended": Row(
        "ALREADY_CANCELED",
        ENDED_TWO,
        status="CANCELED",
        executions=TWO_RUN,
        force=True,
        fault=failing("CancelJob", denied),
    ),
    "a dry run with force tells that it would end what is left": Row(
        "ALREADY_CANCELED", WOULD_END, status="CANCELED", executions=TWO_RUN, left=2, force=True, dry_run=True
    ),
    "a dry run with force would end nothing of a protected job": Row(
        "ALREADY_CANCELED",
        "its executions run on: the job is tagged cancel-protection=true",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        tags=PROTECTED,
        force=True,
        dry_run=True,
    ),
    "a dry run without force would end nothing": Row(
        "ALREADY_CANCELED", status="CANCELED", executions=TWO_RUN, left=2, dry_run=True
    ),
    "a dry run with force has nothing to end": Row("ALREADY_CANCELED", status="CANCELED", force=True, dry_run=True),
    "a dry run with force would end nothing outside the prefix": Row(
        "ALREADY_CANCELED",
        status="CANCELED",
        executions=TWO_RUN,
        left=2,
        force=True,
        dry_run=True,
        policy=PREFIXED,
    ),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_one_job_ends_in_one_outcome(row: Row, clock: FakeClock) -> None:
    (result,), _ = run(row, clock)
    assert result.as_dict() == {
        "jobId": "a",
        "outcome": row.outcome,
        "detail": row.detail,
        "executionsLeftInProgress": row.left,
    }


TOUCHES_NOTHING = [name for name, row in ROWS.items() if row.dry_run or row.policy is PREFIXED]


@pytest.mark.parametrize("name", TOUCHES_NOTHING)
def test_a_dry_run_and_a_job_outside_the_prefix_never_call_cancel_job(name: str, clock: FakeClock) -> None:
    _, jobs = run(ROWS[name], clock)
    assert "CancelJob" not in {operation for operation, _ in jobs.calls}


LEAVES_EXECUTIONS = [
    name
    for name, row in ROWS.items()
    if row.dry_run or row.policy is PREFIXED or row.status in {"COMPLETED", "DELETION_IN_PROGRESS"} or not row.force
]


@pytest.mark.parametrize("name", LEAVES_EXECUTIONS)
def test_no_execution_is_ended_but_with_force_within_the_prefix_and_of_a_cancelled_job(
    name: str, clock: FakeClock
) -> None:
    _, jobs = run(ROWS[name], clock)
    assert {operation for operation, _ in jobs.calls}.isdisjoint({"CancelJobExecution", "ListJobExecutionsForJob"})
    assert jobs.executions_cancelled == []


@pytest.mark.parametrize(
    ("becomes", "outcome"),
    [("CANCELED", "ALREADY_CANCELED"), ("COMPLETED", "ALREADY_FINISHED"), ("DELETION_IN_PROGRESS", "GONE")],
)
def test_the_status_decides_when_somebody_else_was_faster(becomes: str, outcome: str, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.fault = refused_as_it_becomes(becomes, lambda: jobs)
    (result,) = canceler(jobs, clock).cancel_all(["a"], REQUEST)
    assert result.outcome == outcome


def test_a_cancel_whose_answer_was_lost_is_settled_when_it_is_asked_again(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.lost = failing("CancelJob", answer_lost, times=1)
    outcomes = [canceler(jobs, clock).cancel_all(["a"], REQUEST)[0].outcome for _ in range(2)]
    assert outcomes == ["DEFERRED", "ALREADY_CANCELED"]
    assert jobs.cancelled == ["a"]


@pytest.mark.parametrize(
    ("lag", "waits"),
    [(0, []), (1, [0.5]), (2, [0.5, 1.0]), (3, [0.5, 1.0, 2.0]), (4, [0.5, 1.0, 2.0, 4.0]), (9, [0.5, 1.0, 2.0, 4.0])],
)
def test_the_reading_waits_longer_each_time_and_not_for_ever(lag: int, waits: list[float], clock: FakeClock) -> None:
    run(Row("", lag=lag), clock)
    assert clock.slept == waits


def test_a_job_that_passes_through_a_status_that_nobody_documented_is_waited_for(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)

    def canceling(operation: str, job_id: str) -> None:
        if operation == "DescribeJob":
            jobs.jobs[job_id].status = "CANCELING" if len(clock.slept) < 2 else "CANCELED"

    jobs.fault = canceling
    (result,) = canceler(jobs, clock).cancel_all(["a"], REQUEST)
    assert (result.outcome, clock.slept) == ("CANCELED", [0.5, 1.0])


def test_a_denied_job_is_not_waited_for(clock: FakeClock) -> None:
    _, jobs = run(Row("", fault=failing("CancelJob", denied)), clock)
    assert clock.slept == []
    assert [operation for operation, _ in jobs.calls] == ["CancelJob", "DescribeJob", "ListTagsForResource"]


def test_an_ordinary_job_takes_two_calls(clock: FakeClock) -> None:
    _, jobs = run(Row(""), clock)
    assert jobs.calls == [("CancelJob", "a"), ("DescribeJob", "a")]


def test_the_jobs_history_tells_the_reason_and_the_comment(clock: FakeClock) -> None:
    _, jobs = run(Row(""), clock)
    assert (jobs.jobs["a"].reason_code, jobs.jobs["a"].comment) == ("STALE", "too old")


def test_an_earlier_reason_is_left_as_it_is(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", reason_code="BY_HAND", comment="on call")}, clock)
    canceler(jobs, clock).cancel_all(["a"], REQUEST)
    assert (jobs.jobs["a"].reason_code, jobs.jobs["a"].comment) == ("BY_HAND", "on call")


@pytest.mark.parametrize(("force", "left"), [(False, "IN_PROGRESS"), (True, "CANCELED")])
def test_force_is_handed_on(force: bool, left: str, clock: FakeClock) -> None:
    _, jobs = run(Row("", executions=ONE_OF_EACH, force=force), clock)
    assert jobs.jobs["a"].executions == {"thing-1": "CANCELED", "thing-2": left, "thing-3": "SUCCEEDED"}


def test_every_job_of_the_request_has_one_result_in_its_order(clock: FakeClock) -> None:
    jobs = FakeJobs({"c": FakeJob("COMPLETED"), "a": FakeJob(), "d": FakeJob()}, clock)
    jobs.fault = failing("CancelJob", throttled, job_id="d")
    results = canceler(jobs, clock).cancel_all(["d", "c", "b", "a"], REQUEST)
    assert [(result.job_id, result.outcome.value) for result in results] == [
        ("d", "DEFERRED"),
        ("c", "ALREADY_FINISHED"),
        ("b", "GONE"),
        ("a", "CANCELED"),
    ]


# The fake's calls take 1 s at worst.
@pytest.mark.parametrize(
    ("seconds", "outcome"), [(1.0, "CANCELED"), (0.999, "DEFERRED"), (0.0, "DEFERRED"), (-5.0, "DEFERRED")]
)
def test_a_job_is_begun_only_if_a_call_can_end_in_time(seconds: float, outcome: str, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    (result,) = canceler(jobs, clock, seconds).cancel_all(["a"], REQUEST)
    assert result.outcome == outcome
    assert bool(jobs.calls) is (outcome == "CANCELED")


@pytest.mark.parametrize(
    ("seconds", "calls"),
    [
        (0.9, []),
        (1.9, ["CancelJob"]),
        (2.9, ["CancelJob", "DescribeJob"]),
        (3.0, ["CancelJob", "DescribeJob", "ListTagsForResource"]),
    ],
)
def test_no_call_begins_that_may_not_end_in_time(seconds: float, calls: list[str], clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.seconds_a_call, jobs.fault = 1.0, failing("CancelJob", denied)
    (result,) = canceler(jobs, clock, seconds).cancel_all(["a"], REQUEST)
    assert [operation for operation, _ in jobs.calls] == calls
    assert (result.outcome == "DEFERRED") is (len(calls) < 3)


def test_what_there_is_no_time_for_is_deferred_without_a_call(clock: FakeClock) -> None:
    names = [f"job-{number:02}" for number in range(25)]
    jobs = FakeJobs({job_id: FakeJob() for job_id in names}, clock)
    jobs.seconds_a_call = 1.0  # two calls a job, ten jobs at a time: the third ten would begin after 4 s
    results = canceler(jobs, clock, 4.5).cancel_all(names, REQUEST)
    assert [(result.job_id, result.outcome.value, result.detail) for result in results] == [
        *((name, "CANCELED", "") for name in names[:20]),
        *((name, "DEFERRED", "OutOfTime: no time left in this invocation") for name in names[20:]),
    ]
    assert {job_id for _, job_id in jobs.calls} == set(names[:20])
    assert clock.now == 1004.0


def test_ten_jobs_are_under_way_at_a_time(clock: FakeClock) -> None:
    names = [f"job-{number:02}" for number in range(30)]
    jobs = FakeJobs({job_id: FakeJob() for job_id in names}, clock)
    jobs.seconds_a_call = 1.0
    canceler(jobs, clock).cancel_all(names, REQUEST)
    assert clock.now == 1006.0


# After an accepted cancel that took no time, a wait and a call of 1 s at worst must fit for each further reading.
@pytest.mark.parametrize(
    ("seconds", "waits"),
    [
        (1.0, []),
        (1.5, [0.5]),
        (2.499, [0.5]),
        (2.5, [0.5, 1.0]),
        (4.499, [0.5, 1.0]),
        (4.5, [0.5, 1.0, 2.0]),
        (8.499, [0.5, 1.0, 2.0]),
        (8.5, [0.5, 1.0, 2.0, 4.0]),
    ],
)
def test_a_wait_is_taken_only_if_the_reading_after_it_can_end_in_time(
    seconds: float, waits: list[float], clock: FakeClock
) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.lag = 99
    canceler(jobs, clock, seconds).cancel_all(["a"], REQUEST)
    assert clock.slept == waits


def test_every_documented_status_is_either_live_or_ended() -> None:
    assert {"IN_PROGRESS", "SCHEDULED"} == LIVE
    assert {"CANCELED", "COMPLETED", "DELETION_IN_PROGRESS"} == ENDED
    assert set(JobStatus) == LIVE | ENDED


def test_an_error_that_is_not_the_services_is_not_swallowed(clock: FakeClock) -> None:
    def broken(_operation: str, _job_id: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(Row("", fault=broken), clock)


# Force converges


def test_what_is_left_is_ended_and_nothing_else_is_touched(clock: FakeClock) -> None:
    (result,), jobs = run(Row("", status="CANCELED", executions=TWO_RUN, force=True), clock)
    assert jobs.executions_cancelled == [("a", "thing-2"), ("a", "thing-4")]
    assert jobs.jobs["a"].executions == TWO_RUN | {"thing-2": "CANCELED", "thing-4": "CANCELED"}
    assert (result.outcome, result.executions_left_in_progress) == ("ALREADY_CANCELED", 0)
    assert jobs.calls == [
        ("CancelJob", "a"),
        ("DescribeJob", "a"),
        ("DescribeJob", "a"),
        ("ListTagsForResource", "a"),
        ("ListJobExecutionsForJob", "a"),
        ("CancelJobExecution", "a/thing-2"),
        ("CancelJobExecution", "a/thing-4"),
        ("DescribeJob", "a"),
    ]


def test_whoever_has_cancelled_the_job_its_history_stays_as_it_is(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUN), reason_code="BY_HAND", comment="on call")}, clock)
    canceler(jobs, clock).cancel_all(["a"], replace(REQUEST, force=True))
    assert (jobs.jobs["a"].reason_code, jobs.jobs["a"].comment) == ("BY_HAND", "on call")
    assert len(jobs.executions_cancelled) == 2


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SCHEDULED"])
def test_a_selected_job_that_should_have_ended_is_left_alone_if_it_lives(status: str, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob(status)}, clock)
    (result,) = replace(canceler(jobs, clock), looks_first=True).cancel_all(["a"], SELECTED)
    detail = "IsLive: it was not cancelled, or another job has its id by now"
    assert (result.outcome, result.detail, jobs.cancelled) == ("FAILED", detail, [])


@pytest.mark.parametrize(
    ("fields", "ended", "detail"),
    [
        ({"reason_code": "STALE", "comment": "too old"}, 2, ENDED_TWO),
        ({"reason_code": "STALE", "comment": "by hand"}, 0, RUN_ON),
        ({"reason_code": "BY_HAND", "comment": "too old"}, 0, RUN_ON),
        ({}, 0, RUN_ON),
    ],
)
def test_of_a_selected_job_only_what_this_request_has_left_is_ended(
    fields: dict[str, Any], ended: int, detail: str, clock: FakeClock
) -> None:
    """It was live when it was selected: a Greengrass deployment would look like any other job by now."""
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUN), **fields)}, clock)
    (result,) = canceler(jobs, clock).cancel_all(["a"], replace(SELECTED, force=True))
    assert (result.outcome, result.detail, len(jobs.executions_cancelled)) == ("ALREADY_CANCELED", detail, ended)


def test_a_job_that_this_run_has_cancelled_is_read_once_and_has_nothing_ended_one_by_one(clock: FakeClock) -> None:
    """It may read its executions as running for some time."""
    jobs = FakeJobs({"a": FakeJob(executions=dict(TWO_RUN))}, clock)

    def runs_on(operation: str, job_id: str) -> None:
        if operation == "DescribeJob":
            jobs.jobs[job_id].executions["thing-2"] = "IN_PROGRESS"

    jobs.fault = runs_on
    (result,) = canceler(jobs, clock).cancel_all(["a"], replace(REQUEST, force=True))
    assert (result.outcome, result.executions_left_in_progress) == ("CANCELED", 1)
    assert jobs.calls == [("CancelJob", "a"), ("DescribeJob", "a")]


def test_an_execution_that_ends_by_itself_is_as_it_should_be(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUN))}, clock)

    def reports(operation: str, called_for: str) -> None:
        if (operation, called_for) == ("CancelJobExecution", "a/thing-2"):
            jobs.jobs["a"].executions["thing-2"] = "SUCCEEDED"

    jobs.fault = reports
    (result,) = canceler(jobs, clock).cancel_all(["a"], replace(REQUEST, force=True))
    assert (result.outcome, result.executions_left_in_progress) == ("ALREADY_CANCELED", 0)
    assert jobs.executions_cancelled == [("a", "thing-4")]


def test_more_executions_than_are_ended_at_a_time_are_ended_by_the_next_deliveries(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", {f"t-{each:04}": "IN_PROGRESS" for each in range(3001)})}, clock)
    results = [canceler(jobs, clock).cancel_all(["a"], replace(REQUEST, force=True))[0] for _ in range(3)]
    assert [(each.outcome.value, each.detail, each.executions_left_in_progress) for each in results] == [
        ("DEFERRED", "3000 executions that an earlier cancel had left were ended, and there are more", 1),
        ("ALREADY_CANCELED", ENDED_ONE, 0),
        ("ALREADY_CANCELED", "", 0),
    ]
    assert len(jobs.executions_cancelled) == 3001


def test_results_keep_their_order_and_each_job_that_has_something_left_is_ended(clock: FakeClock) -> None:
    left = {"t": "IN_PROGRESS"}
    jobs = FakeJobs({"d": FakeJob("CANCELED", dict(left)), "b": FakeJob(), "a": FakeJob("CANCELED", dict(left))}, clock)
    results = canceler(jobs, clock).cancel_all(["d", "c", "b", "a"], replace(REQUEST, force=True))
    assert [(each.job_id, each.outcome.value, each.detail) for each in results] == [
        ("d", "ALREADY_CANCELED", ENDED_ONE),
        ("c", "GONE", "no such job"),
        ("b", "CANCELED", ""),
        ("a", "ALREADY_CANCELED", ENDED_ONE),
    ]
    assert jobs.executions_cancelled == [("d", "t"), ("a", "t")]


def test_every_job_is_cancelled_before_the_first_execution_is_ended(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUN)), "b": FakeJob(), "c": FakeJob()}, clock)
    canceler(jobs, clock).cancel_all(["a", "b", "c"], replace(REQUEST, force=True))
    operations = [operation for operation, _ in jobs.calls]
    assert "CancelJob" not in operations[operations.index("CancelJobExecution") :]


# Two calls for the ordinary path; then a reading, the tags, a page, an execution and another reading of 1 s each.
@pytest.mark.parametrize(
    ("seconds", "ended", "outcome", "left"),
    [
        (1.9, 0, "DEFERRED", 0),
        (2.5, 0, "DEFERRED", 1),
        (3.5, 0, "DEFERRED", 1),
        (4.5, 0, "DEFERRED", 1),
        (5.5, 0, "DEFERRED", 1),
        (6.5, 1, "DEFERRED", 1),
        (7.0, 1, "ALREADY_CANCELED", 0),
    ],
)
def test_no_call_of_the_ending_begins_that_may_not_end_in_time(
    seconds: float, ended: int, outcome: str, left: int, clock: FakeClock
) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", {"t": "IN_PROGRESS"})}, clock)
    jobs.seconds_a_call = 1.0
    (result,) = canceler(jobs, clock, seconds).cancel_all(["a"], replace(REQUEST, force=True))
    assert (result.outcome, result.executions_left_in_progress) == (outcome, left)
    assert (len(jobs.executions_cancelled), clock.now <= 1000 + seconds) == (ended, True)


# Looking first


@pytest.mark.parametrize(
    ("status", "outcome", "left"),
    [
        ("CANCELED", "ALREADY_CANCELED", 1),
        ("COMPLETED", "ALREADY_FINISHED", 1),
        ("DELETION_IN_PROGRESS", "GONE", 1),
        (None, "GONE", 0),
    ],
)
def test_a_job_that_has_ended_takes_one_call_if_it_is_looked_at_first(
    status: str | None, outcome: str, left: int, clock: FakeClock
) -> None:
    jobs = FakeJobs({} if status is None else {"a": FakeJob(status, dict(ONE_OF_EACH))}, clock)
    (result,) = replace(canceler(jobs, clock), looks_first=True).cancel_all(["a"], REQUEST)
    assert (result.outcome, result.executions_left_in_progress) == (outcome, left)
    assert jobs.calls == [("DescribeJob", "a")]


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SCHEDULED"])
def test_a_live_job_is_cancelled_though_it_is_looked_at_first(status: str, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob(status)}, clock)
    (result,) = replace(canceler(jobs, clock), looks_first=True).cancel_all(["a"], REQUEST)
    assert (result.outcome, jobs.calls) == (
        "CANCELED",
        [("DescribeJob", "a"), ("CancelJob", "a"), ("DescribeJob", "a")],
    )


def test_a_job_that_is_looked_at_first_has_its_executions_ended_with_force(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUN))}, clock)
    (result,) = replace(canceler(jobs, clock), looks_first=True).cancel_all(["a"], replace(REQUEST, force=True))
    assert (result.outcome, result.detail) == ("ALREADY_CANCELED", ENDED_TWO)
    assert "CancelJob" not in {operation for operation, _ in jobs.calls}


def test_a_look_that_is_throttled_defers_the_job(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(ONE_OF_EACH))}, clock)
    jobs.fault = failing("DescribeJob", throttled)
    (result,) = replace(canceler(jobs, clock), looks_first=True).cancel_all(["a"], REQUEST)
    assert (result.outcome, jobs.calls) == ("DEFERRED", [("DescribeJob", "a")])


def test_each_step_of_the_ending_has_its_turn(clock: FakeClock) -> None:
    """One to cancel; then one to begin, one for the page, one for each execution and one for the last reading."""
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUN)), "b": FakeJob()}, clock)
    turns: list[int] = []
    counting = replace(canceler(jobs, clock), turn=lambda: turns.append(1))
    counting.cancel_all(["a", "b"], replace(REQUEST, force=True))
    assert len(turns) == 2 + 1 + 1 + 2 + 1


@pytest.mark.parametrize(("looks_first", "turns"), [(False, 1), (True, 2)])
def test_a_look_before_a_cancel_has_a_turn_of_its_own(looks_first: bool, turns: int, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    taken: list[int] = []
    counting = replace(canceler(jobs, clock), turn=lambda: taken.append(1), looks_first=looks_first)
    counting.cancel_all(["a"], REQUEST)
    assert len(taken) == turns


@pytest.mark.parametrize(
    ("status", "executions", "is_draining"),
    [
        ("CANCELED", {"t": "QUEUED"}, True),
        ("CANCELED", {"t": "IN_PROGRESS"}, False),
        ("CANCELED", {}, False),
        ("COMPLETED", {"t": "QUEUED"}, False),
        ("DELETION_IN_PROGRESS", {"t": "QUEUED"}, False),
    ],
)
def test_a_cancelled_job_whose_executions_still_wait_for_devices_is_draining(
    status: str, executions: dict[str, str], is_draining: bool, clock: FakeClock
) -> None:
    jobs = FakeJobs({"a": FakeJob(status, executions)}, clock)
    (result,) = canceler(jobs, clock).cancel_all(["a"], REQUEST)
    assert result.is_draining is is_draining
    assert "isDraining" not in result.as_dict()
