"""One run: select → cancel → report, for every trigger alike."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from .cancel import Canceler, Jobs
from .errors import JobsError, JobsUnavailable, OutOfTime, RequestRejected
from .outcome import JobResult, LeftOut, Outcome, Report, RunStatus, Trigger, status_of
from .request import CancelRequest, Policy, check_cap
from .selection import JobListing, Selecting, Selection
from .selector import Selector
from .timing import Deadline, Pace, Sleep

# A deleted stack's selection is listed again until nothing new is in it.
TEARDOWN_PASSES = 3


class JobsApi(Jobs, JobListing, Protocol):
    """The IoT Jobs API, as far as it is needed."""


@dataclass(frozen=True, slots=True)
class Run:
    """The means of one run.

    `admitted` says that the event was held against the cap before, when it first arrived; `delivery`, how often it was
    taken up before.
    """

    api: JobsApi
    policy: Policy
    pace: Pace
    deadline: Deadline
    sleep: Sleep
    utc_now: Callable[[], datetime]
    admitted: bool = False
    delivery: int = 0

    def carry_out(self, request: CancelRequest, trigger: Trigger, *, passes: int = 1) -> Report:
        """Raises RequestRejected, before anything was cancelled, if the selection is over the cap or can't be had."""
        if request.selector is None:
            results = self._canceler().cancel_all(rotated(request.job_ids, self.delivery), request)
            return _report(request, trigger, results)
        return self._carry_out_selection(request, request.selector, trigger, 1 if request.dry_run else passes)

    def _carry_out_selection(self, request: CancelRequest, selector: Selector, trigger: Trigger, passes: int) -> Report:
        results: dict[str, JobResult] = {}
        left_out: tuple[LeftOut, ...] = ()
        for number in range(passes):
            try:
                selection = self._select(selector, number)
            except JobsError as error:
                if number == 0 and not isinstance(error, JobsUnavailable):
                    raise RequestRejected("select", f"could not be carried out: {error}") from error
                report = _report(request, trigger, results.values(), f"select: {error}")
                return replace(report, status=RunStatus.UNFINISHED)
            if number == 0:
                left_out = selection.left_out
                self._check_cap(len(selection.jobs), request)
            new = rotated([job.job_id for job in selection.jobs if job.job_id not in results], self.delivery)
            results |= {result.job_id: result for result in self._canceler().cancel_all(new, request)}
            if not new or passes == 1 or any(result.outcome is Outcome.DEFERRED for result in results.values()):
                break
        else:
            report = _report(request, trigger, results.values(), f"new jobs matched in each of {passes} passes")
            return replace(report, status=RunStatus.UNFINISHED)
        report = _report(request, trigger, results.values(), f"{len(results)} live jobs matched")
        return replace(report, left_out=left_out) if request.dry_run else report

    def _check_cap(self, matches: int, request: CancelRequest) -> None:
        if not self.admitted:
            check_cap("select", matches, request.max_jobs)

    def _select(self, selector: Selector, number: int) -> Selection:
        prefix, now = self.policy.job_id_prefix, self.utc_now()
        # Half of the time at the most: each delivery selects anew, and has to come further than the one before.
        new = number == 0 and not self.admitted
        most_questions = self.pace.turns(self.deadline.remaining / 2) if new else None
        return Selecting(selector, self.api, prefix, now, self._turn, most_questions).select()

    def _canceler(self) -> Canceler:
        return Canceler(self.api, self.policy, self.deadline, self._turn, self.sleep)

    def _turn(self) -> None:
        if not self.pace.take(self.deadline, self.api.worst_call):
            raise OutOfTime


def rotated[Item](items: Sequence[Item], delivery: int) -> Sequence[Item]:
    """`items` from another start in each delivery, so that a run that never gets to the end still gets to all of them.

    Steps by the golden ratio spread the starts evenly, however many there will be.
    """
    start = int(len(items) * (delivery * 0.618034 % 1))
    return [*items[start:], *items[:start]]


def _report(request: CancelRequest, trigger: Trigger, results: Iterable[JobResult], reason: str = "") -> Report:
    jobs = tuple(results)
    return Report(status_of(jobs), trigger, request.force, request.dry_run, reason, jobs)
