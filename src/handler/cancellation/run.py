"""One run: select → cancel → report, in the same way for every trigger."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from handler.cancellation.cancel import cancel_jobs
from handler.cancellation.criteria import Criteria, can_match, check_owner, check_prefix
from handler.cancellation.plan import jobs_of_plan, with_plan_id
from handler.cancellation.report import (
    ExcludedJob,
    JobResult,
    Outcome,
    Report,
    RunStatus,
    Trigger,
    Wait,
    counted,
    joined,
    status_of,
)
from handler.cancellation.request import CancelRequest, check_job_limit
from handler.cancellation.selection import MAX_EXCLUDED, earlier_cancellations, select
from handler.cancellation.session import Session
from handler.cancellation.wait import wait_for_devices
from handler.errors import JobsError, JobsUnavailable, RequestRejected

# A teardown's selection is repeated until it finds nothing new, or this often.
MAX_TEARDOWN_ROUNDS = 3
_INCOMPLETE_SEARCH = (
    "this run could not search all canceled jobs of the account: devices may still run jobs that an earlier attempt of "
    "this request canceled, beside those in the report"
)
_PAUSED = (
    "the stack's parameter DryRun is true, so the run cancels nothing; it continues once DryRun is false, or is in the "
    "failure queue after 100 attempts"
)


def run(session: Session, request: CancelRequest, trigger: Trigger) -> Report:
    """Carry out the request. Raises RequestRejected, before anything is canceled, if the selection is not allowed."""
    if session.wait and not session.wait.force:
        request = replace(request, force=False)
    report = _run(session, request, trigger)
    if session.is_paused:
        if _has_remaining_work(report):
            return replace(report, status=RunStatus.UNFINISHED, reason=joined(report.reason, _PAUSED))
        request = replace(request, dry_run=False)  # so that the run waits for devices, unlike a dry run
    return wait_for_devices(report, request, session.wait, session.utc_now().timestamp())


def _has_remaining_work(plan: Report) -> bool:
    """Return True if the same run would cancel something without the dry run, or might: it would not read the tags."""
    return (
        Outcome.WOULD_CANCEL in plan.counts
        or plan.executions_ended > 0
        or any(result.is_unread for result in plan.jobs)
    )


def _run(session: Session, request: CancelRequest, trigger: Trigger) -> Report:
    if session.wait:
        return _poll(session, request, trigger, session.wait)
    if request.criteria and not session.planned:
        return _run_selection(session, request, request.criteria, trigger, limit_checked=session.limit_checked)
    job_ids: Sequence[str] = session.planned or request.job_ids
    others: tuple[JobResult, ...] = ()
    if not session.limit_checked:
        try:
            job_ids, others = jobs_of_plan(session, job_ids, request)
        except JobsUnavailable as error:
            return _unfinished(request, trigger, (), str(error))
    canceled, _ = _cancel(session, job_ids, request)
    results = (*canceled, *others)
    report = replace(_report(request, trigger, results), planned=tuple(job_ids) if request.plan_id else ())
    return with_plan_id(report, session, request, results)


def _poll(session: Session, request: CancelRequest, trigger: Trigger, wait: Wait) -> Report:
    """Read the jobs that the run waits for. A teardown's selection is repeated when no device runs them any more.

    Another delivery may have canceled more jobs. The selection decides which jobs belong to a deleted stack.
    """
    polled = _report(request, trigger, _cancel(session, wait.job_ids, request, describe_first=True)[0])
    if trigger is not Trigger.TEARDOWN or request.criteria is None or not _is_complete(polled):
        return polled
    if not can_match(request.criteria, session.limits.job_id_prefix):
        return polled
    try:
        selected = _run_selection(session, request, request.criteria, trigger, limit_checked=wait.limit_checked)
    except RequestRejected as rejection:  # earlier deliveries have canceled jobs, so the run is not REJECTED
        return replace(polled, status=RunStatus.UNSETTLED, reason=str(rejection.in_template_spelling()))
    selected_ids = {job.job_id for job in selected.jobs}
    jobs = (*(job for job in polled.jobs if job.job_id not in selected_ids), *selected.jobs)
    # A report lists jobs only after the selection was checked against the job limit. It is not checked again, unless it
    # was that of a dry run.
    limit_checked = wait.limit_checked or (bool(selected.jobs) and not session.is_paused)
    wait = wait._replace(limit_checked=limit_checked)
    return replace(selected, jobs=jobs, status=_worse_status(selected.status, jobs), wait=wait)


def _run_selection(
    session: Session, request: CancelRequest, criteria: Criteria, trigger: Trigger, *, limit_checked: bool
) -> Report:
    """`limit_checked`: the selection was checked against the job limit before.

    The limit is checked once, before the first cancel. Jobs that appear in a later round of a teardown are not checked:
    otherwise the result would depend on throttling, which moves a round to another delivery.
    """
    check_prefix(criteria, session.limits.job_id_prefix)
    check_owner(criteria)
    results: dict[str, JobResult] = {}
    excluded: dict[str, ExcludedJob] = {}
    planned: tuple[str, ...] = ()
    rounds = 1 if request.dry_run or trigger is not Trigger.TEARDOWN else MAX_TEARDOWN_ROUNDS
    for number in range(rounds):
        is_first = number == 0 and not limit_checked
        try:
            selection = select(session, criteria, request.max_jobs if is_first else None, known=results | excluded)
        except JobsError as error:
            if number == 0 and not isinstance(error, JobsUnavailable):
                raise RequestRejected("select", f"the selection failed: {error}") from error
            return _unfinished(request, trigger, results.values(), f"the selection failed: {error}")
        new = [job.job_id for job in selection.jobs]
        if is_first:
            check_job_limit(
                "select",
                len(new),
                request.max_jobs,
                key=request.job_limit_key,
                canceled="none of the new ones" if session.wait else "none of them",
            )
            try:
                to_cancel, others = jobs_of_plan(session, new, request)
            except JobsUnavailable as error:
                return _unfinished(request, trigger, (), str(error))
            new = [*to_cancel]
            planned = tuple(to_cancel) if request.plan_id else ()
            results |= {result.job_id: result for result in others}
        new_results, too_recent = _cancel(session, new, request)
        results |= {result.job_id: result for result in new_results}
        excluded |= {job.job_id: job for job in (*selection.excluded, *too_recent)}
        if not new or rounds == 1 or _has_deferred(results.values()):
            break
    else:
        return _unfinished(
            request, trigger, results.values(), f"new jobs matched in each of {rounds} rounds of selection"
        )
    matched = f"{counted(len(results), 'active job')} matched"
    warnings: tuple[str, ...] = ()
    selected = tuple(results.values())
    if not _has_deferred(results.values()) and _needs_earlier_cancellations(request, trigger):
        try:
            earlier, warnings = _add_earlier_cancellations(session, criteria, request, results)
        except JobsError as error:
            return _unfinished(
                request, trigger, results.values(), f"{matched}; the search for earlier canceled jobs failed: {error}"
            )
        matched = joined(matched, earlier)
    report = replace(_report(request, trigger, results.values(), matched), warnings=warnings, planned=planned)
    report = with_plan_id(report, session, request, selected)
    return replace(report, excluded=tuple(excluded.values())[:MAX_EXCLUDED]) if request.dry_run else report


def _add_earlier_cancellations(
    session: Session, criteria: Criteria, request: CancelRequest, results: dict[str, JobResult]
) -> tuple[str, tuple[str, ...]]:
    """Add the results of jobs that an earlier attempt canceled. Returns a reason, and warnings. Raises JobsError."""
    earlier = earlier_cancellations(session, criteria, request, results)
    reason = ""
    if earlier.job_ids:
        reason = f"devices still run {counted(len(earlier.job_ids), 'job')} that an earlier attempt canceled"
        canceled, _ = _cancel(session, earlier.job_ids, request, describe_first=True)
        results |= {result.job_id: result for result in canceled}
    return reason, () if earlier.is_complete else (_INCOMPLETE_SEARCH,)


def _cancel(
    session: Session, job_ids: Sequence[str], request: CancelRequest, *, describe_first: bool = False
) -> tuple[tuple[JobResult, ...], tuple[ExcludedJob, ...]]:
    rotated = rotate(job_ids, session.previous_attempts)
    return cancel_jobs(session, rotated, request, describe_first=describe_first)


def rotate[Item](items: Sequence[Item], previous_attempts: int) -> Sequence[Item]:
    """Return `items` from another start in each attempt, so that runs which never reach the end still reach all items.

    Steps by the golden ratio spread the starts evenly, for any number of attempts.
    """
    start = int(len(items) * (previous_attempts * 0.618034 % 1))
    return [*items[start:], *items[:start]]


def _needs_earlier_cancellations(request: CancelRequest, trigger: Trigger) -> bool:
    """Return True if devices matter that still run jobs which an earlier delivery has canceled.

    Not for a direct request: all of them have the same comment, so that a job does not show which one canceled it.
    """
    if request.plan_id:
        return False  # a plan covers the jobs that are active
    if trigger is Trigger.TEARDOWN:
        return request.force or request.wait_minutes > 0
    return request.wait_minutes > 0 and trigger is Trigger.EVENT


def _has_deferred(results: Iterable[JobResult]) -> bool:
    return any(result.outcome is Outcome.DEFERRED for result in results)


def _is_complete(report: Report) -> bool:
    return report.status is not RunStatus.UNFINISHED and not any(job.has_running_executions for job in report.jobs)


def _worse_status(status: RunStatus, jobs: tuple[JobResult, ...]) -> RunStatus:
    return status if status is RunStatus.UNFINISHED else status_of(jobs)


def _unfinished(request: CancelRequest, trigger: Trigger, results: Iterable[JobResult], reason: str) -> Report:
    return replace(_report(request, trigger, results, reason), status=RunStatus.UNFINISHED)


def _report(request: CancelRequest, trigger: Trigger, results: Iterable[JobResult], reason: str = "") -> Report:
    jobs = tuple(results)
    return Report(status_of(jobs), trigger, request.force, request.dry_run, reason, jobs, cancel_reason=request.reason)
