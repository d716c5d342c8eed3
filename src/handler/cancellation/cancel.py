"""Cancel jobs idempotently: the result for a job depends on the job's state, not on how often events arrive.

CancelJob has no compare-and-set and returns no status, so every job is read back with DescribeJob, and the status that
is read decides. Two calls for an ordinary job. With force, the job is also described first, since the stack limits the
running executions of a job that force may cancel. Executions that an earlier cancellation without force left running
are ended too.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace

from handler.cancellation.executions import end_executions
from handler.cancellation.job import ACTIVE_STATUSES, TERMINAL_STATUSES, Job, JobStatus
from handler.cancellation.parallel import in_parallel
from handler.cancellation.report import ExcludedJob, JobResult, Outcome, counted
from handler.cancellation.request import CancelRequest
from handler.cancellation.session import Session
from handler.errors import AccessDenied, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable

# Cancellation is eventually consistent: a job may read active for some seconds after an accepted cancel.
READ_BACK_WAITS_SECONDS = (0.5, 1.0, 2.0, 4.0)


def cancel_jobs(
    session: Session, job_ids: Iterable[str], request: CancelRequest, *, describe_first: bool = False
) -> tuple[tuple[JobResult, ...], tuple[ExcludedJob, ...]]:
    """Return one result for each job, in order, and the jobs that are excluded after all.

    Jobs for which there is no time are DEFERRED. `describe_first` is for jobs that most likely have ended: then one
    call is enough. Of these, selected jobs that have not ended are left as they are. A selected job is excluded if its
    rollout has not begun as long ago as the criteria demand: only DescribeJob returns its scheduled start.
    """

    def act(job_id: str) -> JobResult | ExcludedJob:
        has_age = request.criteria is not None and request.criteria.older_than_hours > 0
        if not (request.dry_run or describe_first or has_age or request.force):
            return _cancel(session, job_id, request)
        job = session.api.describe(job_id)
        if describe_first and request.criteria and job.status not in TERMINAL_STATUSES:
            return _active_again(session, job)
        if result := _result_without_cancel(session, job, request):
            return result
        running = job.executions_in_progress if request.force else 0
        if request.dry_run:
            return _plan(session, job, running)
        return _cancel(session, job_id, request, running)

    all_results = in_parallel(lambda job_id: _settle(act, JobResult(job_id, Outcome.DEFERRED)), job_ids)
    results = tuple(result for result in all_results if isinstance(result, JobResult))
    excluded = tuple(result for result in all_results if isinstance(result, ExcludedJob))
    if not request.force:
        return results, excluded
    forced = (
        _settle(lambda job_id: _end_executions(session, job_id, request), result)
        if _has_executions_to_end(result, session)
        else result
        for result in results
    )
    return tuple(forced), excluded


def _settle[Result](act: Callable[[str], Result], before: JobResult) -> Result | JobResult:
    """Return the result of `act`, or the result known `before` with the error that `act` raised."""
    try:
        return act(before.job_id)
    except JobNotFound:
        return JobResult(before.job_id, Outcome.GONE, "no such job in this account and Region")
    except JobsUnavailable as error:
        return replace(before, outcome=Outcome.DEFERRED, detail=str(error))
    except JobsError as error:
        return replace(before, outcome=Outcome.FAILED, detail=str(error))


def _result_without_cancel(session: Session, job: Job, request: CancelRequest) -> JobResult | ExcludedJob | None:
    """Return the result of a described job that is not to be canceled, else None."""
    if job.status in TERMINAL_STATUSES:
        return _terminal(job, Outcome.ALREADY_CANCELED)
    why = request.criteria.why_too_recent(job.starts_at, session.utc_now()) if request.criteria else ""
    if why:
        return ExcludedJob(job.job_id, why)
    if refusal := _outside_prefix(session, job.job_id) or _too_many_executions(session, job, request):
        return _denied(session, job, refusal)
    return None


def _plan(session: Session, job: Job, running: int) -> JobResult:
    """Return the result of a dry run for an active job. `running`: how many executions force would end."""
    if why := _why_protected(session, job):
        return _result(job, Outcome.PROTECTED, why)
    return _result(job, Outcome.WOULD_CANCEL, ended=running)


def _too_many_executions(session: Session, job: Job, request: CancelRequest) -> JobsError | None:
    """Return an error if force may not cancel the job because more executions run than the stack allows, else None."""
    number, limit = job.executions_in_progress, session.limits.max_forced_executions
    if not request.force or number <= limit:
        return None
    return JobNotCancelable(
        "TooManyExecutions",
        f"force would end {number} running executions, but the stack's MaxForcedExecutions is {limit}, so nothing was "
        "canceled; set force to false, or raise MaxForcedExecutions",
    )


def _left_running(session: Session, job: Job) -> str:
    number, limit = counted(job.executions_in_progress, "execution"), session.limits.max_forced_executions
    return (
        f"TooManyExecutions: {number} of the canceled job still run, and force does not end them, since the stack's "
        f"MaxForcedExecutions is {limit}; set force to false, or raise MaxForcedExecutions"
    )


def _active_again(session: Session, job: Job) -> JobResult:
    """Return the result of a selected job that is active, although an earlier attempt canceled it."""
    if job.status not in ACTIVE_STATUSES:
        return _result(job, Outcome.DEFERRED, f"the job has the unknown status {job.status}")
    # An earlier attempt selected and canceled this id, which may be another job's since.
    error = JobNotCancelable(
        "IsLive",
        "not canceled: an earlier attempt failed or had no effect, or the id was reused; see the earlier report",
    )
    return _denied(session, job, error)


def _cancel(session: Session, job_id: str, request: CancelRequest, running: int = 0) -> JobResult:
    """Cancel the job, and read it back. `running`: how many executions force ends."""
    refusal = _call_cancel(session, job_id, request)
    try:
        job = _read_back(session, job_id, refusal)
    except JobsUnavailable as error:
        if refusal:
            raise
        detail = f"CancelJob was accepted, but the job could not be read back: {error}"
        return JobResult(job_id, Outcome.DEFERRED, detail, executions_ended=running)
    if job.status in TERMINAL_STATUSES:
        if refusal:
            return _terminal(job, Outcome.ALREADY_CANCELED)
        return _terminal(job, Outcome.CANCELED, ended=max(0, running - job.executions_in_progress))
    if refusal is None:
        detail = f"CancelJob was accepted, but DescribeJob still returns {job.status}"
        return _result(job, Outcome.DEFERRED, detail, ended=max(0, running - job.executions_in_progress))
    if isinstance(refusal, AccessDenied):
        return _denied(session, job, refusal)
    # An undocumented status is a transition to another one. An active job that cannot be canceled is not.
    return _result(job, Outcome.FAILED if job.status in ACTIVE_STATUSES else Outcome.DEFERRED, str(refusal))


def _call_cancel(session: Session, job_id: str, request: CancelRequest) -> JobsError | None:
    """Return why the service refused, documented or not, or None if it accepted.

    Raises JobNotFound and JobsUnavailable.
    """
    if refusal := _outside_prefix(session, job_id):
        return refusal  # IAM would refuse it too
    reason = request.reason
    try:
        session.api.cancel(job_id, force=request.force, reason_code=reason.reason_code, comment=reason.comment)
    except (JobNotFound, JobsUnavailable):
        raise
    except JobsError as error:
        return error
    return None


def _read_back(session: Session, job_id: str, refusal: JobsError | None) -> Job:
    """Return the job once it reads terminal, or as it reads after the last wait.

    Each repeated read takes the place of a cancel: else the reads of jobs that are slow to change would fall behind,
    and the run would end with canceled jobs that it had no time to read back.
    """
    job = session.api.describe(job_id)
    for seconds in () if isinstance(refusal, AccessDenied) else READ_BACK_WAITS_SECONDS:
        if job.status in TERMINAL_STATUSES or not session.gate.pause(seconds):
            break
        session.gate.acquire("CancelJob")
        job = session.api.describe(job_id)
    return job


def _has_executions_to_end(result: JobResult, session: Session) -> bool:
    """Return True if an earlier cancellation left executions running that this one may end."""
    has_executions = result.outcome is Outcome.ALREADY_CANCELED and result.executions_left_in_progress > 0
    return has_executions and result.job_id.startswith(session.limits.job_id_prefix)


def _end_executions(session: Session, job_id: str, request: CancelRequest) -> JobResult:
    """End the executions of a canceled job. The job's own count says whether all of them have ended.

    Those of a protected job run on, and so do those of a selected job that another principal canceled after it was
    selected. The tag is read first: CancelJobExecution concerns a job and a thing, and AWS does not document whose tags
    an IAM condition sees then.
    """
    job = session.api.describe(job_id)
    reason = request.reason
    if request.criteria and (job.reason_code, job.comment) != (reason.reason_code, reason.comment):
        return _result(job, Outcome.ALREADY_CANCELED, "its executions still run: another caller canceled the job")
    if why := _why_protected(session, job):
        return _result(job, Outcome.ALREADY_CANCELED, f"its executions still run: {why}")
    if _too_many_executions(session, job, request):
        return _result(job, Outcome.FAILED, _left_running(session, job))
    if request.dry_run:
        detail = "its executions that still run would be canceled"
        return _result(job, Outcome.ALREADY_CANCELED, detail, ended=job.executions_in_progress)
    return _end_one_by_one(session, job)


def _end_one_by_one(session: Session, job: Job) -> JobResult:
    executions = end_executions(session.api, job.job_id)
    detail = f"ended {counted(executions.ended, 'execution')} that an earlier cancel left running"
    try:
        job = session.api.describe(job.job_id)
    except JobsUnavailable as error:
        detail = f"{detail}; the job could not be read back: {error}"
        return _result(job, Outcome.DEFERRED, detail, ended=executions.ended)
    if not job.executions_in_progress:
        return _result(job, Outcome.ALREADY_CANCELED, detail, ended=executions.ended)
    if executions.refusal and not executions.ended:
        return _result(job, Outcome.FAILED, str(executions.refusal))
    return _result(job, Outcome.DEFERRED, f"{detail}; more are running", ended=executions.ended)


def _denied(session: Session, job: Job, refusal: JobsError) -> JobResult:
    if why := _why_protected(session, job):
        return _result(job, Outcome.PROTECTED, why)
    return _result(job, Outcome.FAILED, str(refusal))


def _why_protected(session: Session, job: Job) -> str:
    return session.limits.why_protected(session.api.tags(job.arn))


def _outside_prefix(session: Session, job_id: str) -> AccessDenied | None:
    prefix = session.limits.job_id_prefix
    if job_id.startswith(prefix):
        return None
    return AccessDenied("OutsidePrefix", f"the job id does not start with JobIdPrefix {prefix!r}")


def _terminal(job: Job, if_canceled: Outcome, *, ended: int = 0) -> JobResult:
    if job.status == JobStatus.DELETION_IN_PROGRESS:
        return _result(job, Outcome.GONE, "the job is being deleted", ended=ended)
    outcome = if_canceled if job.status == JobStatus.CANCELED else Outcome.ALREADY_FINISHED
    return _result(job, outcome, ended=ended)


def _result(job: Job, outcome: Outcome, detail: str = "", *, ended: int = 0) -> JobResult:
    is_draining = job.status == JobStatus.CANCELED and job.is_draining
    return JobResult(
        job.job_id,
        outcome,
        detail,
        job.executions_in_progress,
        is_draining,
        job.arn,
        job.description,
        ended,
    )
