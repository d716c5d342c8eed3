"""What one run works with."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from handler.cancellation.job import JobsApi
from handler.cancellation.rate import Gate
from handler.cancellation.report import Wait
from handler.cancellation.request import StackLimits


class Session(NamedTuple):
    """The means of one run, and what earlier deliveries of the same event have done.

    `utc_now` is timezone-aware. `limit_checked`: the selection was checked against the job limit. `wait`: the jobs are
    canceled, and the run waits for their devices; a selection no longer finds these jobs. `is_paused`: an earlier
    delivery was not a dry run, and the stack's DryRun was set since. `planned`: the jobs of the plan that an earlier
    delivery has checked, or none if the request has no plan.
    """

    api: JobsApi
    gate: Gate
    limits: StackLimits
    utc_now: Callable[[], datetime]
    limit_checked: bool = False
    previous_attempts: int = 0
    wait: Wait | None = None
    is_paused: bool = False
    planned: tuple[str, ...] = ()
