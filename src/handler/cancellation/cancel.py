"""Cancel jobs idempotently: the result for a job depends on the job's state, not on how often events arrive.

CancelJob has no compare-and-set and returns no status, so every job is read back with DescribeJob, and the status that
is read decides. Two calls for an ordinary job. With force, executions that an earlier cancellation without force left
running are ended too.
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
        if request.dry_run:
            return _plan(session, job_id, request)
        if describe_first and (result := _result_without_cancel(session, job_id, request)):
            return result
        if request.criteria and request.criteria.older_than_hours:
            why = request.criteria.why_too_recent(session.api.describe(job_id).starts_at, session.utc_now())
            if why:
                return ExcludedJob(job_id, why)
        return _cancel(session, job_id, request)

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


def _plan(session: Session, job_id: str, request: CancelRequest) -> JobResult | ExcludedJob:
    job = session.api.describe(job_id)
    if job.status in TERMINAL_STATUSES:
        return _terminal(job, Outcome.ALREADY_CANCELED)
    why = request.criteria.why_too_recent(job.starts_at, session.utc_now()) if request.criteria else ""
    if why:
        return ExcludedJob(job_id, why)
    if not job_id.startswith(session.limits.job_id_prefix):
        return _denied(session, job, _outside_prefix(session))
    if _is_protected(session, job):
        return _protected(session, job)
    return _result(job, Outcome.WOULD_CANCEL)


def _result_without_cancel(session: Session, job_id: str, request: CancelRequest) -> JobResult | None:
    """Describe the job. Return its result if it is not to be canceled, else None."""
    job = session.api.describe(job_id)
    if job.status in TERMINAL_STATUSES:
        return _terminal(job, Outcome.ALREADY_CANCELED)
    if request.criteria is None:
        return None
    if job.status not in ACTIVE_STATUSES:
        return _result(job, Outcome.DEFERRED, f"the job has the unknown status {job.status}")
    # An earlier attempt selected and canceled this id, which may be another job's since.
    error = JobNotCancelable(
        "IsLive",
        "not canceled: an earlier attempt failed or had no effect, or the id was reused; see the earlier report",
    )
    return _denied(session, job, error)


def _cancel(session: Session, job_id: str, request: CancelRequest) -> JobResult:
    refusal = _call_cancel(session, job_id, request)
    try:
        job = _read_back(session, job_id, refusal)
    except JobsUnavailable as error:
        if refusal:
            raise
        detail = f"CancelJob was accepted, but the job could not be read back: {error}"
        return JobResult(job_id, Outcome.DEFERRED, detail)
    if job.status in TERMINAL_STATUSES:
        return _terminal(job, Outcome.ALREADY_CANCELED if refusal else Outcome.CANCELED)
    if refusal is None:
        return _result(job, Outcome.DEFERRED, f"CancelJob was accepted, but DescribeJob still returns {job.status}")
    if isinstance(refusal, AccessDenied):
        return _denied(session, job, refusal)
    # An undocumented status is a transition to another one. An active job that cannot be canceled is not.
    return _result(job, Outcome.FAILED if job.status in ACTIVE_STATUSES else Outcome.DEFERRED, str(refusal))


def _call_cancel(session: Session, job_id: str, request: CancelRequest) -> JobsError | None:
    """Return why the service refused, documented or not, or None if it accepted.

    Raises JobNotFound and JobsUnavailable.
    """
    if not job_id.startswith(session.limits.job_id_prefix):
        return _outside_prefix(session)  # IAM would refuse it too
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
    if _is_protected(session, job):
        return _result(job, Outcome.ALREADY_CANCELED, f"its executions still run: {session.limits.protection}")
    if request.dry_run:
        return _result(job, Outcome.ALREADY_CANCELED, "its executions that still run would be canceled")
    executions = end_executions(session.api, job_id)
    job = session.api.describe(job_id)
    detail = f"ended {counted(executions.ended, 'execution')} that an earlier cancel left running"
    if not job.executions_in_progress:
        return _result(job, Outcome.ALREADY_CANCELED, detail)
    if executions.refusal and not executions.ended:
        return _result(job, Outcome.FAILED, str(executions.refusal))
    return _result(job, Outcome.DEFERRED, f"{detail}; more are running")


def _denied(session: Session, job: Job, refusal: JobsError) -> JobResult:
    if _is_protected(session, job):
        return _protected(session, job)
    return _result(job, Outcome.FAILED, str(refusal))


def _is_protected(session: Session, job: Job) -> bool:
    return session.limits.protects(session.api.tags(job.arn))


def _protected(session: Session, job: Job) -> JobResult:
    return _result(job, Outcome.PROTECTED, session.limits.protection)


def _outside_prefix(session: Session) -> AccessDenied:
    prefix = session.limits.job_id_prefix
    return AccessDenied("OutsidePrefix", f"the job id does not start with JobIdPrefix {prefix!r}")


def _terminal(job: Job, if_canceled: Outcome) -> JobResult:
    if job.status == JobStatus.DELETION_IN_PROGRESS:
        return _result(job, Outcome.GONE, "the job is being deleted")
    return _result(job, if_canceled if job.status == JobStatus.CANCELED else Outcome.ALREADY_FINISHED)


def _result(job: Job, outcome: Outcome, detail: str = "") -> JobResult:
    is_draining = job.status == JobStatus.CANCELED and job.is_draining
    return JobResult(job.job_id, outcome, detail, job.executions_in_progress, is_draining)
