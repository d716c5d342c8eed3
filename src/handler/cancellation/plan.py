"""Plan, then apply: a dry run has a planId, and a request with this planId cancels the jobs of that dry run or none."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from hashlib import sha256

from handler.cancellation.cancel import cancel_jobs
from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, counted
from handler.cancellation.request import MAX_WAITED_JOBS, PLAN_ID_LENGTH, CancelRequest
from handler.cancellation.session import Session
from handler.errors import JobsUnavailable, RequestRejected


def plan_id_of(job_ids: Iterable[str], request: CancelRequest) -> str:
    """Return the digest of the jobs, and of how the request cancels them: with force, and with a wait.

    The order of the jobs does not count.
    """
    plan = {"force": request.force, "jobIds": sorted(job_ids), "waitForExecutionsMinutes": request.wait_minutes}
    return sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()[:PLAN_ID_LENGTH]


def check_jobs_of_plan(session: Session, job_ids: Sequence[str], request: CancelRequest) -> Sequence[str]:
    """Return the jobs that a request covers: with a planId, those that a dry run of the request does not exclude.

    Call it once, before the first cancel. `with_plan_id` checks a request that is itself a dry run. Raises
    RequestRejected for another planId, and JobsUnavailable if a job could not be read.
    """
    if not request.plan_id or request.dry_run:
        return job_ids
    results, _ = cancel_jobs(session, job_ids, replace(request, dry_run=True))
    if any(result.outcome is Outcome.DEFERRED for result in results):
        raise JobsUnavailable(
            "PlanUnread", "some jobs could not be read, so planId was not checked and nothing was canceled"
        )
    _check_plan(request, _changed_jobs(results))
    return [result.job_id for result in results]


def with_plan_id(report: Report, session: Session, request: CancelRequest, results: Iterable[JobResult]) -> Report:
    """Return the report, with a planId if it is a complete dry run and not a deletion. `results`: the jobs of the plan.

    Raises RequestRejected if the request has another planId.
    """
    is_plan = request.dry_run and not session.is_paused and report.trigger is not Trigger.TEARDOWN
    if not is_plan or report.status is RunStatus.UNFINISHED:
        return report
    job_ids = _changed_jobs(results)
    _check_plan(request, job_ids)
    return report if len(job_ids) > MAX_WAITED_JOBS else replace(report, plan_id=plan_id_of(job_ids, request))


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
            f"is not the current plan of this request, so nothing was canceled: the run would change "
            f"{counted(len(job_ids), 'job')}, with force {str(request.force).lower()} and a wait of "
            f"{request.wait_minutes} min; start a dry run again, and use the planId of its report",
        )
