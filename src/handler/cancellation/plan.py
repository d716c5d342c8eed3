"""Plan, then apply: a dry run has a planId, and a request with this planId cancels the jobs of that dry run or none."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

from handler.cancellation.cancel import cancel_jobs
from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, counted, joined
from handler.cancellation.request import MAX_WAITED_JOBS, PLAN_ID_LENGTH, CancelRequest
from handler.cancellation.session import Session
from handler.errors import JobsUnavailable, RequestRejected

_FORCE_OF_TEARDOWNS = "with force, which the stack's parameter Force allows on teardowns only"


def plan_id_of(job_ids: Iterable[str], request: CancelRequest) -> str:
    """Return the digest of the jobs, and of how the request cancels them: with force, and with a wait.

    The order of the jobs does not count.
    """
    plan = {"force": request.force, "jobIds": sorted(job_ids), "waitForExecutionsMinutes": request.wait_minutes}
    return sha256(json.dumps(plan).encode()).hexdigest()[:PLAN_ID_LENGTH]


def jobs_of_plan(
    session: Session, job_ids: Sequence[str], request: CancelRequest
) -> tuple[Sequence[str], tuple[JobResult, ...]]:
    """Return the jobs to cancel, and the results of the others: with a planId, those of the request's own dry run.

    Call it once, before the first cancel. `with_plan_id` checks a request that is itself a dry run. Raises
    RequestRejected for another planId, and if a job cannot be read; JobsUnavailable if a later attempt may read it.
    """
    if not request.plan_id or request.dry_run:
        return job_ids, ()
    results, _ = cancel_jobs(session, job_ids, replace(request, dry_run=True))
    if any(result.outcome is Outcome.DEFERRED for result in results):
        raise JobsUnavailable(
            "PlanUnread", "some jobs could not be read, so planId was not checked and nothing was canceled"
        )
    for result in results:
        if result.is_unread:
            raise RequestRejected(
                "planId", f"cannot be compared, so nothing was canceled: job {result.job_id}: {result.detail}"
            )
    changed = _changed_jobs(results)
    _check_plan(request, changed)
    return changed, tuple(result for result in results if result.job_id not in changed)


def with_plan_id(report: Report, session: Session, request: CancelRequest, results: Iterable[JobResult]) -> Report:
    """Return the report, with a planId if it is a complete dry run and not a deletion. `results`: the jobs of the plan.

    Without a planId: a plan whose jobs could not all be read, or of more jobs than a request with a planId may match,
    or with force that only teardowns may have. Raises RequestRejected if the request has another planId.
    """
    is_plan = request.dry_run and not session.is_paused and report.trigger is not Trigger.TEARDOWN
    plan = tuple(results)
    if not is_plan or report.status is RunStatus.UNFINISHED or any(result.is_unread for result in plan):
        return report
    if request.force and not session.limits.force:
        return replace(report, reason=joined(report.reason, _FORCE_OF_TEARDOWNS))
    job_ids = _changed_jobs(plan)
    _check_plan(request, job_ids)
    return report if len(plan) > MAX_WAITED_JOBS else replace(report, plan_id=plan_id_of(job_ids, request))


def _changed_jobs(plan: Iterable[JobResult]) -> list[str]:
    """Return the jobs of a dry run that the same request would cancel, or whose executions it would end."""
    return [each.job_id for each in plan if each.outcome is Outcome.WOULD_CANCEL or each.executions_ended]


def _check_plan(request: CancelRequest, job_ids: Sequence[str]) -> None:
    """Raise RequestRejected if the planId of the request is not that of these jobs.

    A run that would change nothing matches any planId: a request may be delivered again when it is complete.
    """
    if job_ids and request.plan_id and plan_id_of(job_ids, request) != request.plan_id:
        raise RequestRejected(
            "planId",
            "is not the current plan of this request, so this run canceled nothing (an earlier delivery of it may "
            f"have): it would change {counted(len(job_ids), 'job')}, with force {str(request.force).lower()} and a "
            f"wait of {request.wait_minutes} min; start a dry run again, and use the planId of its report",
        )
