"""Cancel jobs idempotently: every error of a call and every status of a job has one outcome."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from handler.cancellation.cancel import cancel_jobs
from handler.cancellation.criteria import Criteria, parse_criteria
from handler.cancellation.report import ExcludedJob, JobResult
from handler.cancellation.request import CancelReason, CancelRequest, StackLimits
from handler.errors import JobsError
from tests.support.fakes import (
    LIMITS,
    FakeClock,
    FakeJob,
    FakeJobs,
    Hook,
    answer_lost,
    denied,
    failing,
    not_found,
    refused,
    session,
    throttled,
    unavailable,
)


def undocumented() -> JobsError:
    return JobsError("ConflictException", "busy")


REASON = CancelReason("someone", "STALE", "too old")
REQUEST = CancelRequest(("a",), None, force=False, dry_run=False, max_jobs=100, reason=REASON)
SELECTED = replace(REQUEST, job_ids=(), criteria=parse_criteria({"jobIdGlob": "*"}))
PREFIXED = replace(LIMITS, job_id_prefix="ota-")
PROTECTED = {"cancel-protection": "true"}
ONE_OF_EACH = {"thing-1": "QUEUED", "thing-2": "IN_PROGRESS", "thing-3": "SUCCEEDED"}
TWO_RUNNING = {**ONE_OF_EACH, "thing-4": "IN_PROGRESS", "thing-5": "FAILED"}
ENDED_ONE = "ended 1 execution that an earlier cancel left running"
ENDED_TWO = "ended 2 executions that an earlier cancel left running"
RUNNING_ON = "its executions still run: another caller canceled the job"
WOULD_END = "its executions that still run would be canceled"
TOO_MANY = (
    "TooManyExecutions: force would end 2 running executions, but the stack's MaxForcedExecutions is 1, so nothing was "
    "canceled; set force to false, or raise MaxForcedExecutions"
)
TOO_MANY_LEFT = (
    "TooManyExecutions: 2 executions of the canceled job still run, and force does not end them, since the stack's "
    "MaxForcedExecutions is 1; set force to false, or raise MaxForcedExecutions"
)
UNTAGGED = "the job is not tagged Team=fleet, the stack's RequiredTag"
AT_MOST_ONE, AT_MOST_TWO = replace(LIMITS, max_forced_executions=1), replace(LIMITS, max_forced_executions=2)
OF_THE_TEAM = replace(LIMITS, required_tag=("Team", "fleet"))
OUTSIDE = "OutsidePrefix: the job id does not start with JobIdPrefix 'ota-'"


@dataclass(frozen=True)
class Row:
    """A job, the faults of the API, and the expected result. `status` is None if the job does not exist."""

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
    limits: StackLimits = LIMITS
    ended: int = 0


def cancel(
    jobs: FakeJobs,
    clock: FakeClock,
    job_ids: Sequence[str] = ("a",),
    request: CancelRequest = REQUEST,
    *,
    seconds: float = 300.0,
    limits: StackLimits = LIMITS,
    describe_first: bool = False,
) -> tuple[JobResult, ...]:
    """Cancel jobs without a rate limit. A call takes up to 1 s."""
    run = session(jobs, clock, seconds, limits, per_second=math.inf)
    results, excluded = cancel_jobs(run, job_ids, request, describe_first=describe_first)
    assert excluded == ()
    return results


def cancel_row(row: Row, clock: FakeClock) -> tuple[tuple[JobResult, ...], FakeJobs]:
    """Cancel the job `a` of the row."""
    job = FakeJob(row.status or "", dict(row.executions), row.tags, description="October image")
    jobs = FakeJobs({} if row.status is None else {"a": job}, clock)
    jobs.fault, jobs.lost, jobs.lag = row.fault, row.lost, row.lag
    request = replace(REQUEST, force=row.force, dry_run=row.dry_run)
    return cancel(jobs, clock, request=request, limits=row.limits), jobs


def both(first: Hook, second: Hook) -> Hook:
    def fault(operation: str, job_id: str) -> None:
        first(operation, job_id)
        second(operation, job_id)

    return fault


def refused_because_it_became(status: str, jobs: Callable[[], FakeJobs]) -> Hook:
    """Return a hook that refuses CancelJob because another caller has changed the status first."""

    def fault(operation: str, job_id: str) -> None:
        if operation == "CancelJob":
            jobs().jobs[job_id].status = status
            raise refused()

    return fault


ROWS: dict[str, Row] = {
    # CancelJob accepts.
    "an accepted job is CANCELED": Row("CANCELED"),
    "without force, running executions continue and are counted": Row("CANCELED", executions=ONE_OF_EACH, left=1),
    "with force, no execution remains in progress": Row("CANCELED", executions=ONE_OF_EACH, force=True, ended=1),
    "a scheduled job is CANCELED": Row("CANCELED", status="SCHEDULED"),
    "a job that reads active at first is described until it reads CANCELED": Row("CANCELED", lag=4),
    "a job that reads active after every wait is DEFERRED": Row(
        "DEFERRED", "CancelJob was accepted, but DescribeJob still returns IN_PROGRESS", lag=5
    ),
    "a job deleted after the cancel is GONE": Row(
        "GONE", "no such job in this account and Region", fault=failing("DescribeJob", not_found)
    ),
    "an accepted job whose description is throttled is DEFERRED": Row(
        "DEFERRED",
        "CancelJob was accepted, but the job could not be read back: ThrottlingException: Rate exceeded",
        fault=failing("DescribeJob", throttled),
    ),
    "an accepted job whose description is denied is FAILED": Row(
        "FAILED", "AccessDeniedException: not authorized", fault=failing("DescribeJob", denied)
    ),
    # Not found.
    "a missing job is GONE": Row("GONE", "no such job in this account and Region", status=None),
    # CancelJob refuses, and the job is described.
    "a refused job that reads CANCELED is ALREADY_CANCELED": Row("ALREADY_CANCELED", status="CANCELED"),
    "a refused job that reads CANCELED may still have running executions": Row(
        "ALREADY_CANCELED", status="CANCELED", executions={"thing": "IN_PROGRESS"}, left=1
    ),
    "a refused job that reads COMPLETED is ALREADY_FINISHED": Row("ALREADY_FINISHED", status="COMPLETED"),
    "a refused job that is being deleted is GONE": Row(
        "GONE", "the job is being deleted", status="DELETION_IN_PROGRESS"
    ),
    "a refused job that reads IN_PROGRESS is FAILED with the message of the service": Row(
        "FAILED", "InvalidRequestException: cannot be canceled", fault=failing("CancelJob", refused)
    ),
    "a refused job that reads SCHEDULED is FAILED": Row(
        "FAILED",
        "InvalidRequestException: cannot be canceled",
        status="SCHEDULED",
        fault=failing("CancelJob", refused),
    ),
    "a refused job with an undocumented status is DEFERRED": Row(
        "DEFERRED", "InvalidRequestException: Job in status CANCELING cannot be canceled", status="CANCELING"
    ),
    "a refused job that is missing is GONE": Row(
        "GONE", "no such job in this account and Region", status=None, fault=failing("CancelJob", refused)
    ),
    "a refused job whose description is unavailable is DEFERRED": Row(
        "DEFERRED",
        "ServiceUnavailableException: Service unavailable",
        status="COMPLETED",
        fault=failing("DescribeJob", unavailable),
    ),
    # CancelJob is throttled or unavailable in each attempt.
    "a throttled cancel is DEFERRED": Row(
        "DEFERRED", "ThrottlingException: Rate exceeded", fault=failing("CancelJob", throttled)
    ),
    "an unavailable cancel is DEFERRED": Row(
        "DEFERRED", "ServiceUnavailableException: Service unavailable", fault=failing("CancelJob", unavailable)
    ),
    "a cancel whose response is lost is DEFERRED": Row(
        "DEFERRED",
        "ConnectionClosedError: no usable response from the service",
        lost=failing("CancelJob", answer_lost),
    ),
    # CancelJob is denied.
    "a denied job with the protection tag is PROTECTED": Row(
        "PROTECTED", "the job is tagged cancel-protection=true", tags=PROTECTED, fault=failing("CancelJob", denied)
    ),
    "the value of the protection tag is compared without case": Row(
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
    "a denied job whose protection tag is false is FAILED": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        tags={"cancel-protection": "false"},
        fault=failing("CancelJob", denied),
    ),
    "a denied job with another tag is FAILED": Row(
        "FAILED", "AccessDeniedException: not authorized", tags={"keep": "true"}, fault=failing("CancelJob", denied)
    ),
    "the protection tag is a parameter of the stack": Row(
        "PROTECTED",
        "the job is tagged keep=true",
        tags={"keep": "true"},
        fault=failing("CancelJob", denied),
        limits=replace(LIMITS, protection_tag_key="keep"),
    ),
    "a denied job that reads CANCELED is ALREADY_CANCELED": Row(
        "ALREADY_CANCELED", status="CANCELED", tags=PROTECTED, fault=failing("CancelJob", denied)
    ),
    "a denied job that reads COMPLETED is ALREADY_FINISHED": Row(
        "ALREADY_FINISHED", status="COMPLETED", fault=failing("CancelJob", denied)
    ),
    "a denied job that is missing is GONE": Row(
        "GONE", "no such job in this account and Region", status=None, fault=failing("CancelJob", denied)
    ),
    "a denied job whose tags are throttled is DEFERRED": Row(
        "DEFERRED",
        "ThrottlingException: Rate exceeded",
        fault=both(failing("CancelJob", denied), failing("ListTagsForResource", throttled)),
    ),
    "a denied job with an undocumented status is FAILED": Row(
        "FAILED", "AccessDeniedException: not authorized", status="CANCELING", fault=failing("CancelJob", denied)
    ),
    # Dry run.
    "a dry run would cancel a job in progress": Row(
        "WOULD_CANCEL", executions=ONE_OF_EACH, left=1, dry_run=True, force=True, ended=1
    ),
    "a dry run without force would cancel a job and end no execution": Row(
        "WOULD_CANCEL", executions=ONE_OF_EACH, left=1, dry_run=True
    ),
    "a dry run would cancel a scheduled job": Row("WOULD_CANCEL", status="SCHEDULED", dry_run=True),
    "a dry run would cancel a job with an undocumented status": Row("WOULD_CANCEL", status="CANCELING", dry_run=True),
    "a dry run reports a canceled job": Row("ALREADY_CANCELED", status="CANCELED", dry_run=True),
    "a dry run reports a completed job": Row("ALREADY_FINISHED", status="COMPLETED", dry_run=True),
    "a dry run reports a job that is being deleted": Row(
        "GONE", "the job is being deleted", status="DELETION_IN_PROGRESS", dry_run=True
    ),
    "a dry run reports a missing job": Row("GONE", "no such job in this account and Region", status=None, dry_run=True),
    "a dry run reports a protected job": Row(
        "PROTECTED", "the job is tagged cancel-protection=true", tags=PROTECTED, dry_run=True
    ),
    "a dry run whose description is throttled is DEFERRED": Row(
        "DEFERRED", "ThrottlingException: Rate exceeded", fault=failing("DescribeJob", throttled), dry_run=True
    ),
    "a dry run reports a job outside the prefix": Row("FAILED", OUTSIDE, dry_run=True, limits=PREFIXED),
    "a dry run reports a completed job outside the prefix": Row(
        "ALREADY_FINISHED", status="COMPLETED", dry_run=True, limits=PREFIXED
    ),
    "a dry run reports a protected job outside the prefix": Row(
        "PROTECTED", "the job is tagged cancel-protection=true", tags=PROTECTED, dry_run=True, limits=PREFIXED
    ),
    # A job outside the prefix, as in the Delete of a stack whose JobIdPrefix has changed.
    "an active job outside the prefix is FAILED": Row("FAILED", OUTSIDE, limits=PREFIXED),
    "a completed job outside the prefix is ALREADY_FINISHED": Row(
        "ALREADY_FINISHED", status="COMPLETED", limits=PREFIXED
    ),
    "a canceled job outside the prefix is ALREADY_CANCELED": Row(
        "ALREADY_CANCELED", status="CANCELED", limits=PREFIXED
    ),
    "a missing job outside the prefix is GONE": Row(
        "GONE", "no such job in this account and Region", status=None, limits=PREFIXED
    ),
    # With force, the executions that an earlier cancellation left running are ended.
    "with force, a running execution of a canceled job is ended": Row(
        "ALREADY_CANCELED", ENDED_ONE, status="CANCELED", executions=ONE_OF_EACH, force=True, ended=1
    ),
    "with force, all running executions of a canceled job are ended": Row(
        "ALREADY_CANCELED", ENDED_TWO, status="CANCELED", executions=TWO_RUNNING, force=True, ended=2
    ),
    "with force, a canceled job without running executions is unchanged": Row(
        "ALREADY_CANCELED", status="CANCELED", executions={"thing": "QUEUED"}, force=True
    ),
    "without force, executions of a canceled job continue and are counted": Row(
        "ALREADY_CANCELED", status="CANCELED", executions=TWO_RUNNING, left=2
    ),
    "with force, executions of a completed job continue": Row(
        "ALREADY_FINISHED", status="COMPLETED", executions=TWO_RUNNING, left=2, force=True
    ),
    "with force, executions of a job that is being deleted continue": Row(
        "GONE", "the job is being deleted", status="DELETION_IN_PROGRESS", executions=TWO_RUNNING, left=2, force=True
    ),
    "with force, executions of a job outside the prefix continue": Row(
        "ALREADY_CANCELED", status="CANCELED", executions=TWO_RUNNING, left=2, force=True, limits=PREFIXED
    ),
    "with force, executions of a protected job continue": Row(
        "ALREADY_CANCELED",
        "its executions still run: the job is tagged cancel-protection=true",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        tags={"Cancel-Protection": "True"},
        force=True,
    ),
    "with force, a denied execution fails the job": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        fault=failing("CancelJobExecution", denied),
    ),
    "with force, a denied listing of executions fails the job": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        fault=failing("ListJobExecutionsForJob", denied),
    ),
    "with force, denied tags fail the job and keep its count": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        fault=failing("ListTagsForResource", denied),
    ),
    "with force, throttled tags defer the job and keep its count": Row(
        "DEFERRED",
        "ThrottlingException: Rate exceeded",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        fault=failing("ListTagsForResource", throttled),
    ),
    "with force, an unavailable listing of executions defers the job": Row(
        "DEFERRED",
        "ServiceUnavailableException: Service unavailable",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        fault=failing("ListJobExecutionsForJob", unavailable),
    ),
    "with force, a throttled execution defers the job after the others are ended": Row(
        "DEFERRED",
        f"{ENDED_ONE}; more are running",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=1,
        ended=1,
        force=True,
        fault=failing("CancelJobExecution", throttled, job_id="a/thing-4"),
    ),
    "with force, the count of the job decides after lost responses": Row(
        "ALREADY_CANCELED",
        "ended 0 executions that an earlier cancel left running",
        status="CANCELED",
        executions=TWO_RUNNING,
        force=True,
        lost=failing("CancelJobExecution", answer_lost),
    ),
    "with force, a job deleted before its executions are listed is GONE": Row(
        "GONE",
        "no such job in this account and Region",
        status="CANCELED",
        executions=TWO_RUNNING,
        force=True,
        fault=failing("ListJobExecutionsForJob", not_found),
    ),
    "with force, throttled executions defer the job": Row(
        "DEFERRED",
        "ended 0 executions that an earlier cancel left running; more are running",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        fault=failing("CancelJobExecution", throttled),
    ),
    "with force, executions that all refuse fail the job": Row(
        "FAILED",
        "InvalidRequestException: cannot be canceled",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        fault=failing("CancelJobExecution", refused),
    ),
    "with force, one execution that refuses defers the job after the others are ended": Row(
        "DEFERRED",
        f"{ENDED_ONE}; more are running",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=1,
        ended=1,
        force=True,
        fault=failing("CancelJobExecution", refused, job_id="a/thing-4"),
    ),
    "after an undocumented error, a job that is being deleted is GONE": Row(
        "GONE", "the job is being deleted", status="DELETION_IN_PROGRESS", fault=failing("CancelJob", undocumented)
    ),
    "after an undocumented error, an active job is FAILED": Row(
        "FAILED", "ConflictException: busy", fault=failing("CancelJob", undocumented)
    ),
    "with force, executions of a canceled job are ended though the cancel is denied": Row(
        "ALREADY_CANCELED",
        ENDED_TWO,
        status="CANCELED",
        executions=TWO_RUNNING,
        ended=2,
        force=True,
        fault=failing("CancelJob", denied),
    ),
    "a dry run with force reports that it would end executions": Row(
        "ALREADY_CANCELED",
        WOULD_END,
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        ended=2,
        force=True,
        dry_run=True,
    ),
    "a dry run with force would end no execution of a protected job": Row(
        "ALREADY_CANCELED",
        "its executions still run: the job is tagged cancel-protection=true",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        tags=PROTECTED,
        force=True,
        dry_run=True,
    ),
    "a dry run without force would end no execution": Row(
        "ALREADY_CANCELED", status="CANCELED", executions=TWO_RUNNING, left=2, dry_run=True
    ),
    "a dry run with force of a job without executions": Row(
        "ALREADY_CANCELED", status="CANCELED", force=True, dry_run=True
    ),
    "a dry run with force would end no execution outside the prefix": Row(
        "ALREADY_CANCELED",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        dry_run=True,
        limits=PREFIXED,
    ),
    # The limit of executions that force ends.
    "with force, more running executions than the limit fail the job": Row(
        "FAILED", TOO_MANY, executions=TWO_RUNNING, left=2, force=True, limits=AT_MOST_ONE
    ),
    "with force, as many running executions as the limit are ended": Row(
        "CANCELED", executions=TWO_RUNNING, force=True, limits=AT_MOST_TWO, ended=2
    ),
    "without force, running executions are not limited": Row(
        "CANCELED", executions=TWO_RUNNING, left=2, limits=AT_MOST_ONE
    ),
    "with force, more running executions of a canceled job than the limit fail the job": Row(
        "FAILED", TOO_MANY_LEFT, status="CANCELED", executions=TWO_RUNNING, left=2, force=True, limits=AT_MOST_ONE
    ),
    "with force, running executions of a completed job are not limited": Row(
        "ALREADY_FINISHED", status="COMPLETED", executions=TWO_RUNNING, left=2, force=True, limits=AT_MOST_ONE
    ),
    "with force, a protected job is PROTECTED also above the limit": Row(
        "PROTECTED",
        "the job is tagged cancel-protection=true",
        executions=TWO_RUNNING,
        tags=PROTECTED,
        left=2,
        force=True,
        limits=AT_MOST_ONE,
    ),
    "with force, an active job outside the prefix is FAILED also above the limit": Row(
        "FAILED",
        OUTSIDE,
        executions=TWO_RUNNING,
        left=2,
        force=True,
        limits=replace(PREFIXED, max_forced_executions=1),
    ),
    "a dry run with force reports more running executions than the limit": Row(
        "FAILED", TOO_MANY, executions=TWO_RUNNING, left=2, force=True, dry_run=True, limits=AT_MOST_ONE
    ),
    "a dry run with force reports more running executions of a canceled job than the limit": Row(
        "FAILED",
        TOO_MANY_LEFT,
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        dry_run=True,
        limits=AT_MOST_ONE,
    ),
    "with force, executions count as ended if the job still reads active": Row(
        "DEFERRED",
        "CancelJob was accepted, but DescribeJob still returns IN_PROGRESS",
        executions=TWO_RUNNING,
        force=True,
        lag=9,
        ended=2,
    ),
    # The required tag.
    "a denied job without the required tag is PROTECTED": Row(
        "PROTECTED", UNTAGGED, tags={"Team": "Fleet"}, fault=failing("CancelJob", denied), limits=OF_THE_TEAM
    ),
    "a denied job with the required tag is FAILED": Row(
        "FAILED",
        "AccessDeniedException: not authorized",
        tags={"team": "fleet"},
        fault=failing("CancelJob", denied),
        limits=OF_THE_TEAM,
    ),
    "a dry run reports a job without the required tag": Row("PROTECTED", UNTAGGED, dry_run=True, limits=OF_THE_TEAM),
    "a dry run would cancel a job with the required tag": Row(
        "WOULD_CANCEL", tags={"Team": "fleet"}, dry_run=True, limits=OF_THE_TEAM
    ),
    "with force, executions of a job without the required tag continue": Row(
        "ALREADY_CANCELED",
        f"its executions still run: {UNTAGGED}",
        status="CANCELED",
        executions=TWO_RUNNING,
        left=2,
        force=True,
        limits=OF_THE_TEAM,
    ),
}


@pytest.mark.parametrize("row", [pytest.param(row, id=name) for name, row in ROWS.items()])
def test_job_has_the_expected_outcome(row: Row, clock: FakeClock) -> None:
    (result,), _ = cancel_row(row, clock)
    expected = {
        "jobId": "a",
        "outcome": row.outcome,
        "detail": row.detail,
        "executionsLeftInProgress": row.left,
    }
    assert result.as_dict(is_described=False) == expected | ({"executionsEnded": row.ended} if row.ended else {})


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.detail.startswith("TooManyExecutions")])
def test_nothing_is_canceled_above_the_limit_of_executions(name: str, clock: FakeClock) -> None:
    _, jobs = cancel_row(ROWS[name], clock)
    assert {operation for operation, _ in jobs.calls} <= {"DescribeJob", "ListTagsForResource"}


# The status of these jobs did not decide: they are gone, or a call failed first.
WITHOUT_ARN = {
    "a cancel whose response is lost is DEFERRED",
    "a denied job that is missing is GONE",
    "a denied job whose tags are throttled is DEFERRED",
    "a dry run reports a missing job",
    "a dry run whose description is throttled is DEFERRED",
    "a job deleted after the cancel is GONE",
    "a missing job is GONE",
    "a missing job outside the prefix is GONE",
    "a refused job that is missing is GONE",
    "a refused job whose description is unavailable is DEFERRED",
    "a throttled cancel is DEFERRED",
    "an accepted job whose description is denied is FAILED",
    "an accepted job whose description is throttled is DEFERRED",
    "an unavailable cancel is DEFERRED",
    "with force, a job deleted before its executions are listed is GONE",
}


@pytest.mark.parametrize("name", ROWS)
def test_a_job_whose_status_decides_has_its_arn_and_description(name: str, clock: FakeClock) -> None:
    (result,), _ = cancel_row(ROWS[name], clock)
    described = ("arn:aws:iot:eu-west-1:123456789012:job/a", "October image")
    assert (result.arn, result.description) == (("", "") if name in WITHOUT_ARN else described)


NEVER_CANCELED = [name for name, row in ROWS.items() if row.dry_run or row.limits is PREFIXED]


@pytest.mark.parametrize("name", NEVER_CANCELED)
def test_dry_run_and_prefix_prevent_cancel_job(name: str, clock: FakeClock) -> None:
    _, jobs = cancel_row(ROWS[name], clock)
    assert "CancelJob" not in {operation for operation, _ in jobs.calls}


EXECUTIONS_CONTINUE = [
    name
    for name, row in ROWS.items()
    if row.dry_run or row.limits is PREFIXED or row.status in {"COMPLETED", "DELETION_IN_PROGRESS"} or not row.force
]


@pytest.mark.parametrize("name", EXECUTIONS_CONTINUE)
def test_executions_are_ended_only_with_force_within_the_prefix_of_a_canceled_job(name: str, clock: FakeClock) -> None:
    _, jobs = cancel_row(ROWS[name], clock)
    assert {operation for operation, _ in jobs.calls}.isdisjoint({"CancelJobExecution", "ListJobExecutionsForJob"})
    assert jobs.executions_canceled == []


@pytest.mark.parametrize(
    ("status", "outcome"),
    [("CANCELED", "ALREADY_CANCELED"), ("COMPLETED", "ALREADY_FINISHED"), ("DELETION_IN_PROGRESS", "GONE")],
)
def test_status_decides_the_outcome_when_another_caller_was_first(status: str, outcome: str, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.fault = refused_because_it_became(status, lambda: jobs)
    (result,) = cancel(jobs, clock)
    assert result.outcome == outcome


def test_retry_settles_a_cancel_whose_response_was_lost(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.lost = failing("CancelJob", answer_lost, times=1)
    outcomes = [cancel(jobs, clock)[0].outcome for _ in range(2)]
    assert outcomes == ["DEFERRED", "ALREADY_CANCELED"]
    assert jobs.canceled == ["a"]


@pytest.mark.parametrize(
    ("lag", "waits"),
    [(0, []), (1, [0.5]), (2, [0.5, 1.0]), (3, [0.5, 1.0, 2.0]), (4, [0.5, 1.0, 2.0, 4.0]), (9, [0.5, 1.0, 2.0, 4.0])],
)
def test_read_back_waits_longer_each_time_and_ends(lag: int, waits: list[float], clock: FakeClock) -> None:
    cancel_row(Row("", lag=lag), clock)
    assert clock.slept == waits


def test_read_back_waits_while_the_status_is_undocumented(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)

    def canceling(operation: str, job_id: str) -> None:
        if operation == "DescribeJob":
            jobs.jobs[job_id].status = "CANCELING" if len(clock.slept) < 2 else "CANCELED"

    jobs.fault = canceling
    (result,) = cancel(jobs, clock)
    assert (result.outcome, clock.slept) == ("CANCELED", [0.5, 1.0])


def test_denied_job_is_read_back_once(clock: FakeClock) -> None:
    _, jobs = cancel_row(Row("", fault=failing("CancelJob", denied)), clock)
    assert clock.slept == []
    assert [operation for operation, _ in jobs.calls] == ["CancelJob", "DescribeJob", "ListTagsForResource"]


def test_ordinary_job_takes_two_calls(clock: FakeClock) -> None:
    _, jobs = cancel_row(Row(""), clock)
    assert jobs.calls == [("CancelJob", "a"), ("DescribeJob", "a")]


def test_job_is_canceled_with_reason_code_and_comment(clock: FakeClock) -> None:
    _, jobs = cancel_row(Row(""), clock)
    assert (jobs.jobs["a"].reason_code, jobs.jobs["a"].comment) == ("STALE", "too old")


def test_earlier_reason_is_kept(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", reason_code="BY_HAND", comment="on call")}, clock)
    cancel(jobs, clock)
    assert (jobs.jobs["a"].reason_code, jobs.jobs["a"].comment) == ("BY_HAND", "on call")


@pytest.mark.parametrize(("force", "left"), [(False, "IN_PROGRESS"), (True, "CANCELED")])
def test_force_is_passed_to_cancel_job(force: bool, left: str, clock: FakeClock) -> None:
    _, jobs = cancel_row(Row("", executions=ONE_OF_EACH, force=force), clock)
    assert jobs.jobs["a"].executions == {"thing-1": "CANCELED", "thing-2": left, "thing-3": "SUCCEEDED"}


def test_each_job_has_one_result_in_order(clock: FakeClock) -> None:
    jobs = FakeJobs({"c": FakeJob("COMPLETED"), "a": FakeJob(), "d": FakeJob()}, clock)
    jobs.fault = failing("CancelJob", throttled, job_id="d")
    results = cancel(jobs, clock, ["d", "c", "b", "a"])
    assert [(result.job_id, result.outcome.value) for result in results] == [
        ("d", "DEFERRED"),
        ("c", "ALREADY_FINISHED"),
        ("b", "GONE"),
        ("a", "CANCELED"),
    ]


# A call takes up to 1 s.
@pytest.mark.parametrize(
    ("seconds", "outcome"), [(1.0, "CANCELED"), (0.999, "DEFERRED"), (0.0, "DEFERRED"), (-5.0, "DEFERRED")]
)
def test_first_call_starts_only_if_it_can_end_in_time(seconds: float, outcome: str, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    (result,) = cancel(jobs, clock, seconds=seconds)
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
def test_each_call_starts_only_if_it_can_end_in_time(seconds: float, calls: list[str], clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.seconds_a_call, jobs.fault = 1.0, failing("CancelJob", denied)
    (result,) = cancel(jobs, clock, seconds=seconds)
    assert [operation for operation, _ in jobs.calls] == calls
    assert (result.outcome == "DEFERRED") is (len(calls) < 3)


def test_jobs_without_time_are_deferred_without_a_call(clock: FakeClock) -> None:
    names = [f"job-{number:02}" for number in range(25)]
    jobs = FakeJobs({job_id: FakeJob() for job_id in names}, clock)
    jobs.seconds_a_call = 1.0  # two calls a job, ten jobs at a time: the third ten would start after 4 s
    results = cancel(jobs, clock, names, seconds=4.5)
    assert [(result.job_id, result.outcome.value, result.detail) for result in results] == [
        *((name, "CANCELED", "") for name in names[:20]),
        *((name, "DEFERRED", "OutOfTime: no time left in this invocation") for name in names[20:]),
    ]
    assert {job_id for _, job_id in jobs.calls} == set(names[:20])
    assert clock.now == 1004.0


def test_ten_jobs_are_canceled_at_once(clock: FakeClock) -> None:
    names = [f"job-{number:02}" for number in range(30)]
    jobs = FakeJobs({job_id: FakeJob() for job_id in names}, clock)
    jobs.seconds_a_call = 1.0
    cancel(jobs, clock, names)
    assert clock.now == 1006.0


# The cancel takes no time. Then a wait and a call of up to 1 s must fit for each further read.
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
def test_read_back_waits_only_if_the_next_read_can_end_in_time(
    seconds: float, waits: list[float], clock: FakeClock
) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.lag = 99
    cancel(jobs, clock, seconds=seconds)
    assert clock.slept == waits


def test_unexpected_error_is_raised(clock: FakeClock) -> None:
    def broken(_operation: str, _job_id: str) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cancel_row(Row("", fault=broken), clock)


# Executions that an earlier cancellation left running


def test_only_running_executions_are_ended(clock: FakeClock) -> None:
    (result,), jobs = cancel_row(Row("", status="CANCELED", executions=TWO_RUNNING, force=True), clock)
    assert jobs.executions_canceled == [("a", "thing-2"), ("a", "thing-4")]
    assert jobs.jobs["a"].executions == TWO_RUNNING | {"thing-2": "CANCELED", "thing-4": "CANCELED"}
    assert (result.outcome, result.executions_left_in_progress) == ("ALREADY_CANCELED", 0)
    assert jobs.calls == [
        ("DescribeJob", "a"),
        ("DescribeJob", "a"),
        ("ListTagsForResource", "a"),
        ("ListJobExecutionsForJob", "a"),
        ("CancelJobExecution", "a/thing-2"),
        ("CancelJobExecution", "a/thing-4"),
        ("DescribeJob", "a"),
    ]


def test_reason_of_another_caller_is_kept_when_executions_are_ended(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUNNING), reason_code="BY_HAND", comment="on call")}, clock)
    cancel(jobs, clock, request=replace(REQUEST, force=True))
    assert (jobs.jobs["a"].reason_code, jobs.jobs["a"].comment) == ("BY_HAND", "on call")
    assert len(jobs.executions_canceled) == 2


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SCHEDULED"])
def test_selected_job_that_is_active_again_is_not_canceled(status: str, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob(status)}, clock)
    (result,) = cancel(jobs, clock, request=SELECTED, describe_first=True)
    detail = (
        "IsLive: not canceled: an earlier attempt failed or had no effect, or the id was reused; see the earlier report"
    )
    assert (result.outcome, result.detail, jobs.canceled) == ("FAILED", detail, [])


@pytest.mark.parametrize(
    ("fields", "ended", "detail"),
    [
        ({"reason_code": "STALE", "comment": "too old"}, 2, ENDED_TWO),
        ({"reason_code": "STALE", "comment": "by hand"}, 0, RUNNING_ON),
        ({"reason_code": "BY_HAND", "comment": "too old"}, 0, RUNNING_ON),
        ({}, 0, RUNNING_ON),
    ],
)
def test_executions_of_a_selected_job_are_ended_only_if_the_request_canceled_it(
    fields: dict[str, Any], ended: int, detail: str, clock: FakeClock
) -> None:
    """Another principal may have canceled the job after it was selected."""
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUNNING), **fields)}, clock)
    (result,) = cancel(jobs, clock, request=replace(SELECTED, force=True))
    assert (result.outcome, result.detail, len(jobs.executions_canceled)) == ("ALREADY_CANCELED", detail, ended)


@pytest.mark.parametrize(("lag", "outcome", "reads"), [(0, "CANCELED", 1), (9, "DEFERRED", 5)])
def test_executions_of_a_job_canceled_by_this_run_are_not_ended_one_by_one(
    lag: int, outcome: str, reads: int, clock: FakeClock
) -> None:
    """The job may read running executions for some time after the cancel. They do not count as ended."""
    jobs = FakeJobs({"a": FakeJob(executions=dict(TWO_RUNNING))}, clock)
    jobs.lag = lag

    def keeps_running(operation: str, job_id: str) -> None:
        if operation == "DescribeJob":
            jobs.jobs[job_id].executions["thing-2"] = "IN_PROGRESS"

    jobs.fault = keeps_running
    (result,) = cancel(jobs, clock, request=replace(REQUEST, force=True))
    assert (result.outcome, result.executions_left_in_progress, result.executions_ended) == (outcome, 1, 1)
    assert jobs.calls == [("DescribeJob", "a"), ("CancelJob", "a"), *[("DescribeJob", "a")] * reads]


def test_execution_that_ends_by_itself_settles_the_job(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUNNING))}, clock)

    def succeeds(operation: str, called_for: str) -> None:
        if (operation, called_for) == ("CancelJobExecution", "a/thing-2"):
            jobs.jobs["a"].executions["thing-2"] = "SUCCEEDED"

    jobs.fault = succeeds
    (result,) = cancel(jobs, clock, request=replace(REQUEST, force=True))
    assert (result.outcome, result.executions_left_in_progress) == ("ALREADY_CANCELED", 0)
    assert jobs.executions_canceled == [("a", "thing-4")]


def test_later_attempts_end_the_remaining_executions(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", {f"t-{each:04}": "IN_PROGRESS" for each in range(3001)})}, clock)
    limits = replace(LIMITS, max_forced_executions=3001)
    results = [cancel(jobs, clock, request=replace(REQUEST, force=True), limits=limits)[0] for _ in range(3)]
    assert [(each.outcome.value, each.detail, each.executions_left_in_progress) for each in results] == [
        ("DEFERRED", "ended 3000 executions that an earlier cancel left running; more are running", 1),
        ("ALREADY_CANCELED", ENDED_ONE, 0),
        ("ALREADY_CANCELED", "", 0),
    ]
    assert len(jobs.executions_canceled) == 3001


def test_results_keep_their_order_when_executions_are_ended(clock: FakeClock) -> None:
    left = {"t": "IN_PROGRESS"}
    jobs = FakeJobs({"d": FakeJob("CANCELED", dict(left)), "b": FakeJob(), "a": FakeJob("CANCELED", dict(left))}, clock)
    results = cancel(jobs, clock, ["d", "c", "b", "a"], replace(REQUEST, force=True))
    assert [(each.job_id, each.outcome.value, each.detail) for each in results] == [
        ("d", "ALREADY_CANCELED", ENDED_ONE),
        ("c", "GONE", "no such job in this account and Region"),
        ("b", "CANCELED", ""),
        ("a", "ALREADY_CANCELED", ENDED_ONE),
    ]
    assert jobs.executions_canceled == [("d", "t"), ("a", "t")]


def test_all_jobs_are_canceled_before_the_first_execution(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUNNING)), "b": FakeJob(), "c": FakeJob()}, clock)
    cancel(jobs, clock, ["a", "b", "c"], replace(REQUEST, force=True))
    operations = [operation for operation, _ in jobs.calls]
    assert "CancelJob" not in operations[operations.index("CancelJobExecution") :]


# DescribeJob; then DescribeJob, tags, a page, an execution and DescribeJob, each of 1 s.
@pytest.mark.parametrize(
    ("seconds", "ended", "outcome", "left"),
    [
        (0.9, 0, "DEFERRED", 0),
        (1.5, 0, "DEFERRED", 1),
        (2.5, 0, "DEFERRED", 1),
        (3.5, 0, "DEFERRED", 1),
        (4.5, 0, "DEFERRED", 1),
        (5.5, 1, "DEFERRED", 1),
        (6.0, 1, "ALREADY_CANCELED", 0),
    ],
)
def test_each_call_that_ends_executions_starts_only_if_it_can_end_in_time(
    seconds: float, ended: int, outcome: str, left: int, clock: FakeClock
) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", {"t": "IN_PROGRESS"})}, clock)
    jobs.seconds_a_call = 1.0
    (result,) = cancel(jobs, clock, request=replace(REQUEST, force=True), seconds=seconds)
    assert (result.outcome, result.executions_left_in_progress, result.executions_ended) == (outcome, left, ended)
    assert (len(jobs.executions_canceled), clock.now <= 1000 + seconds) == (ended, True)


def test_executions_count_as_ended_if_the_canceled_job_cannot_be_read_back(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob(executions=dict(TWO_RUNNING))}, clock)
    jobs.seconds_a_call = 1.0
    (result,) = cancel(jobs, clock, request=replace(REQUEST, force=True), seconds=2.5)
    assert (result.outcome, result.executions_ended, jobs.canceled) == ("DEFERRED", 2, ["a"])


def test_executions_count_as_ended_if_the_canceled_job_is_being_deleted(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob(executions=dict(TWO_RUNNING))}, clock)

    def deletes_afterward(operation: str, job_id: str) -> None:
        if operation == "CancelJob":
            jobs.jobs[job_id].status = "DELETION_IN_PROGRESS"

    jobs.lost = deletes_afterward
    (result,) = cancel(jobs, clock, request=replace(REQUEST, force=True))
    assert (result.outcome, result.executions_ended, jobs.canceled) == ("GONE", 2, ["a"])


def test_executions_of_a_canceled_job_count_as_ended_if_it_cannot_be_read_back(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUNNING))}, clock)

    def throttles_afterward(operation: str, _job_id: str) -> None:
        if operation == "DescribeJob" and jobs.executions_canceled:
            raise throttled()

    jobs.fault = throttles_afterward
    (result,) = cancel(jobs, clock, request=replace(REQUEST, force=True))
    assert (result.outcome, result.executions_ended, result.detail) == (
        "DEFERRED",
        2,
        f"{ENDED_TWO}; the job could not be read back: ThrottlingException: Rate exceeded",
    )


# Describe first


@pytest.mark.parametrize(
    ("status", "outcome", "left"),
    [
        ("CANCELED", "ALREADY_CANCELED", 1),
        ("COMPLETED", "ALREADY_FINISHED", 1),
        ("DELETION_IN_PROGRESS", "GONE", 1),
        (None, "GONE", 0),
    ],
)
def test_terminal_job_takes_one_call_if_described_first(
    status: str | None, outcome: str, left: int, clock: FakeClock
) -> None:
    jobs = FakeJobs({} if status is None else {"a": FakeJob(status, dict(ONE_OF_EACH))}, clock)
    (result,) = cancel(jobs, clock, describe_first=True)
    assert (result.outcome, result.executions_left_in_progress) == (outcome, left)
    assert jobs.calls == [("DescribeJob", "a")]


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SCHEDULED"])
def test_active_job_is_canceled_after_it_is_described(status: str, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob(status)}, clock)
    (result,) = cancel(jobs, clock, describe_first=True)
    assert (result.outcome, jobs.calls) == (
        "CANCELED",
        [("DescribeJob", "a"), ("CancelJob", "a"), ("DescribeJob", "a")],
    )


def test_executions_of_a_job_described_first_are_ended_with_force(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(TWO_RUNNING))}, clock)
    (result,) = cancel(jobs, clock, request=replace(REQUEST, force=True), describe_first=True)
    assert (result.outcome, result.detail) == ("ALREADY_CANCELED", ENDED_TWO)
    assert "CancelJob" not in {operation for operation, _ in jobs.calls}


def test_throttled_first_description_defers_the_job(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("CANCELED", dict(ONE_OF_EACH))}, clock)
    jobs.fault = failing("DescribeJob", throttled)
    (result,) = cancel(jobs, clock, describe_first=True)
    assert (result.outcome, jobs.calls) == ("DEFERRED", [("DescribeJob", "a")])


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
def test_canceled_job_with_queued_executions_is_draining(
    status: str, executions: dict[str, str], is_draining: bool, clock: FakeClock
) -> None:
    jobs = FakeJobs({"a": FakeJob(status, executions)}, clock)
    (result,) = cancel(jobs, clock)
    assert result.is_draining is is_draining
    assert "isDraining" not in result.as_dict()


def test_repeated_read_back_takes_the_place_of_a_cancel(clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob()}, clock)
    jobs.lag = 1
    run = session(jobs, clock, per_second=1)
    (result,), _ = cancel_jobs(run, ["a"], REQUEST)
    assert (result.outcome, clock.slept) == ("CANCELED", [0.5, 0.5])
    run.gate.acquire("CancelJob")
    assert clock.slept == [0.5, 0.5, 1.0]


@pytest.mark.parametrize("dry_run", [False, True])
def test_selected_job_whose_rollout_is_too_recent_is_excluded_with_the_reason(dry_run: bool, clock: FakeClock) -> None:
    jobs = FakeJobs({"a": FakeJob("SCHEDULED", starts_at="2026-11-25T12:00"), "b": FakeJob()}, clock)
    request = replace(REQUEST, criteria=Criteria(job_id_glob="*", older_than_hours=1), dry_run=dry_run)
    (result,), excluded = cancel_jobs(session(jobs, clock), ["a", "b"], request)
    assert result.job_id == "b"
    assert excluded == (ExcludedJob("a", "its rollout is scheduled to begin at 2026-11-25T12:00Z"),)
    assert jobs.canceled == ([] if dry_run else ["b"])
