"""Waiting for the devices: a cancel without force lets executions that have started run on. Pure.

Nothing sleeps here: the event waits on the backlog and looks again, every 20 to 60 s.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import ceil

from .outcome import JobResult, Report, RunStatus, Waiting
from .request import CancelRequest

SHORTEST_LOOK_SECONDS = 20  # also the delay of the teardowns' queue
_MOST_LOOKS = 50  # 50 minutes, the longest wait, are then looks at intervals of 60 s
_JOBS_TOLD = 5


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait under way: for these jobs, since so many seconds after the epoch.

    `force`: it began with force. One that began without it ends no execution, whatever the stack allows by now.
    """

    job_ids: tuple[str, ...]
    since: float
    force: bool = False


def wait_for_devices(report: Report, request: CancelRequest, waited: float) -> Report:
    """The report of a run that waits for `waited` seconds: unfinished while devices are at work, unsettled in the end.

    Devices that run a job which could not be cancelled are not waited for.
    """
    running = [result for result in report.jobs if result.is_at_work]
    if not request.wait_minutes or request.dry_run or not running or report.status is RunStatus.UNFINISHED:
        return report
    left = request.wait_minutes * 60 - waited
    if left <= 0:
        reason = f"after {request.wait_minutes} min, {_told(running)}"
        return replace(report, status=RunStatus.UNSETTLED, reason=reason)
    job_ids = tuple(each.job_id for each in report.jobs if each.is_at_work or not each.outcome.settled)
    interval = max(SHORTEST_LOOK_SECONDS, ceil(request.wait_minutes * 60 / _MOST_LOOKS))
    waiting = Waiting(job_ids, min(interval, ceil(left)))
    return replace(report, status=RunStatus.UNFINISHED, reason=_told(running), waiting=waiting)


def _told(running: Iterable[JobResult]) -> str:
    each = [_devices(result) for result in running]
    more = f", and devices still run {len(each) - _JOBS_TOLD} more jobs" if len(each) > _JOBS_TOLD else ""
    return f"{', '.join(each[:_JOBS_TOLD])}{more}"


def _devices(result: JobResult) -> str:
    number = result.executions_left_in_progress
    if not number:
        return f"job {result.job_id} is still being cancelled"
    return f"{number} {'device still runs' if number == 1 else 'devices still run'} job {result.job_id}"
