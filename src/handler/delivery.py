"""How an event came to the function, and what follows from that for the next time. Pure."""

from dataclasses import dataclass
from typing import Self

from .message import Message, Progress
from .outcome import Report
from .timing import Deadline, LambdaContext
from .waiting import Wait

RETRY_SECONDS = 5  # until an unfinished event is taken up again; that much longer each time, up to
LONGEST_RETRY_SECONDS = 60
ADMISSION_SECONDS = 12 * 3600  # longer than an event can be on the backlog, unless it is redriven
# Lambda delivers an asynchronous event that failed twice more: a minute after the first failure, two after the second.
_LONGEST_LAMBDA_RETRY_SECONDS = 120
_LAST_TRY_SECONDS = 150  # what comes so late may be the third delivery
LEAST_RUN_SECONDS = 30.0  # a run that has less than this until it must answer is not worth waiting for


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of an event.

    `first_seen_at`: seconds since the epoch. `admitted`: held against the cap. `number`: how often it came before.
    `wait`: what is left is to wait for devices.
    """

    context: LambdaContext
    first_seen_at: float
    admitted: bool = False
    number: int = 0
    wait: Wait | None = None

    @classmethod
    def of_message(cls, message: Message, context: LambdaContext, now: float) -> Self:
        """A delivery from the backlog. What was put there long ago was redriven, and begins anew, with the cap."""
        known = message.progress
        first_seen_at = known.first_seen_at or now
        if now - first_seen_at >= ADMISSION_SECONDS:
            return cls(context, first_seen_at, number=message.receives)
        return cls(context, first_seen_at, known.admitted, message.receives, known.wait)

    def comes_again(self, asked_at: float | None, answer_by: Deadline) -> bool:
        """True if Lambda is sure to deliver the event again, and in time, should this delivery of it fail.

        `asked_at`: when it was made, in seconds since the epoch, or None if nobody knows.
        """
        is_last = asked_at is None or self.first_seen_at - asked_at >= _LAST_TRY_SECONDS
        return not is_last and answer_by.allows(_LONGEST_LAMBDA_RETRY_SECONDS + LEAST_RUN_SECONDS)

    @property
    def retry_seconds(self) -> int:
        """Until the next delivery of what failed or had no time. A hundred of them outlast any ServiceTimeout."""
        return min(RETRY_SECONDS * max(1, self.number), LONGEST_RETRY_SECONDS)

    def seconds_until_next(self, report: Report) -> int:
        """Until the next delivery, if this one ended in `report`."""
        return report.waiting.seconds if report.waiting else self.retry_seconds

    def is_to_be_put(self, report: Report) -> bool:
        """True if the event has no message yet, or none that tells how far it is now."""
        progress = self.progress(report, self.first_seen_at)
        return not self.number or (progress.admitted, progress.wait is None) != (self.admitted, self.wait is None)

    def progress(self, report: Report, now: float) -> Progress:
        """How far the event is after `report`; `now` in seconds since the epoch.

        Jobs are reported only once the selection was held against the cap: then it is not judged again.
        """
        wait = Wait(report.waiting.job_ids, now, report.force) if report.waiting else None
        is_old = now - self.first_seen_at >= ADMISSION_SECONDS
        first_seen_at = now if is_old else self.first_seen_at
        return Progress(first_seen_at, self.admitted or bool(report.jobs), self.wait or wait)
