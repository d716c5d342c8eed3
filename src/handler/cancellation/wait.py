"""Wait for devices: a cancellation without force lets executions that have started run on. Pure.

The function does not sleep: the event waits on its queue, and each redelivery polls the jobs, every 20 to 60 s.
"""

from collections.abc import Iterable
from dataclasses import replace
from math import ceil

from handler.cancellation.report import JobResult, Report, RunStatus, Wait, counted
from handler.cancellation.request import CancelRequest

MIN_POLL_SECONDS = 20
_MAX_POLLS = 50  # 50 minutes, the longest wait, make 50 polls of 60 s
_MAX_JOBS_IN_REASON = 5


def wait_for_devices(report: Report, request: CancelRequest, wait: Wait | None, now: float) -> Report:
    """Return the report of a run that waits: UNFINISHED while devices run a job, UNSETTLED when the time is over.

    `wait` is the wait that has begun, if one has; `report.wait` is the same after another selection. `now` is in
    seconds since the epoch. The run does not wait for devices that run a job which could not be canceled.
    """
    running = [result for result in report.jobs if result.has_running_executions]
    if report.status is RunStatus.UNFINISHED:
        return report
    if not request.wait_minutes or request.dry_run or not running:
        return replace(report, wait=None)
    wait_seconds = request.wait_minutes * 60
    remaining = wait_seconds - (now - wait.since if wait else 0.0)
    if remaining <= 0:
        reason = f"timed out after {request.wait_minutes} min: {_devices(running)}"
        return replace(report, status=RunStatus.UNSETTLED, reason=reason, wait=None)
    job_ids = [each.job_id for each in report.jobs if each.has_running_executions or not each.outcome.settled]
    if wait is None:
        wait = Wait(tuple(job_ids), now, report.force)
    elif report.wait and not wait.limit_checked:  # the first selection since the wait began has canceled more jobs
        wait = report.wait._replace(job_ids=tuple(dict.fromkeys([*wait.job_ids, *job_ids])))
    poll_seconds = min(max(MIN_POLL_SECONDS, ceil(wait_seconds / _MAX_POLLS)), ceil(remaining))
    return replace(
        report,
        status=RunStatus.UNFINISHED,
        reason=_devices(running),
        wait=wait._replace(poll_seconds=poll_seconds),
    )


def _devices(running: Iterable[JobResult]) -> str:
    jobs = [_devices_of_job(result) for result in running]
    rest = len(jobs) - _MAX_JOBS_IN_REASON
    more = f", and {counted(rest, 'more job')}" if rest > 0 else ""
    return f"{', '.join(jobs[:_MAX_JOBS_IN_REASON])}{more}"


def _devices_of_job(result: JobResult) -> str:
    number = result.executions_left_in_progress
    if not number:
        return f"job {result.job_id} is still being canceled"
    return f"{number} {'device still runs' if number == 1 else 'devices still run'} job {result.job_id}"
