"""One run: select → cancel → report, for every trigger alike."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from .cancel import Canceler, Jobs
from .errors import JobsError, JobsUnavailable, OutOfTime, RequestRejected
from .left_behind import left_behind
from .outcome import Cause, JobResult, LeftOut, Outcome, Report, RunStatus, Trigger, status_of
from .request import CancelRequest, Policy, check_cap
from .selection import JobListing, Selecting
from .selector import Selector, can_match, check_prefix
from .timing import Deadline, Pace, Sleep
from .waiting import Wait, wait_for_devices

# A deleted stack's selection is listed again until nothing new is in it.
TEARDOWN_PASSES = 3


class JobsApi(Jobs, JobListing, Protocol):
    """The IoT Jobs API, as far as it is needed."""


@dataclass(frozen=True, slots=True)
class Run:
    """The means of one run.

    `admitted` says that the event was held against the cap before, when it first arrived; `delivery`, how often it was
    taken up before; `wait`, that it goes on only for the devices of these jobs, which a selection does not find again.
    """

    api: JobsApi
    policy: Policy
    pace: Pace
    deadline: Deadline
    sleep: Sleep
    utc_now: Callable[[], datetime]
    admitted: bool = False
    delivery: int = 0
    wait: Wait | None = None

    def carry_out(self, request: CancelRequest, trigger: Trigger, *, passes: int = 1) -> Report:
        """Raises RequestRejected, before anything was cancelled, if the selection is over the cap or can't be had."""
        if self.wait and not self.wait.force:
            request = replace(request, force=False)
        report = self._carry_out(request, trigger, passes)
        return wait_for_devices(report, request, self.utc_now().timestamp() - self.wait.since if self.wait else 0.0)

    def _carry_out(self, request: CancelRequest, trigger: Trigger, passes: int) -> Report:
        if self.wait is None:
            if request.selector is None:
                return _report(request, trigger, self._cancel_all(request.job_ids, request))
            return self._carry_out_selection(request, request.selector, trigger, passes, is_admitted=self.admitted)
        look = _report(request, trigger, self._cancel_all(self.wait.job_ids, request, looks_first=True))
        if trigger is not Trigger.TEARDOWN or request.selector is None or not _is_at_rest(look):
            return look
        # Another delivery may have cancelled more jobs meanwhile: of a deleted stack, the selection has the last word.
        if not can_match(request.selector, self.policy.job_id_prefix):
            return look
        try:
            again = self._carry_out_selection(request, request.selector, trigger, passes, is_admitted=False)
        except RequestRejected as rejection:  # of what has cancelled jobs before
            return replace(look, status=RunStatus.UNSETTLED, reason=str(rejection))
        return _with_results_of(look, again)

    def _cancel_all(
        self, job_ids: Sequence[str], request: CancelRequest, *, looks_first: bool = False
    ) -> tuple[JobResult, ...]:
        canceler = Canceler(self.api, self.policy, self.deadline, self._turn, self.sleep, looks_first)
        return canceler.cancel_all(rotated(job_ids, self.delivery), request)

    def _carry_out_selection(
        self, request: CancelRequest, selector: Selector, trigger: Trigger, passes: int, *, is_admitted: bool
    ) -> Report:
        """`is_admitted`: these jobs were held against the cap before."""
        check_prefix(selector, self.policy.job_id_prefix)
        results: dict[str, JobResult] = {}
        left_out: tuple[LeftOut, ...] = ()
        passes = 1 if request.dry_run else passes
        for number in range(passes):
            try:
                selection = self._selecting(selector, is_new=number == 0 and not self.admitted).select()
            except JobsError as error:
                if number == 0 and not isinstance(error, JobsUnavailable):
                    raise RequestRejected("select", f"could not be carried out: {error}") from error
                return _unfinished(request, trigger, results.values(), f"select: {error}")
            left_out = left_out or selection.left_out
            new = [job.job_id for job in selection.jobs if job.job_id not in results]
            try:
                check_cap("select", 0 if is_admitted else len(results) + len(new), request.max_jobs)
            except RequestRejected as rejection:
                if number == 0:
                    raise
                return replace(_report(request, trigger, results.values(), str(rejection)), status=RunStatus.UNSETTLED)
            results |= {result.job_id: result for result in self._cancel_all(new, request)}
            if not new or passes == 1 or _has_deferred(results.values()):
                break
        else:
            return _unfinished(request, trigger, results.values(), f"new jobs matched in each of {passes} passes")
        matched = f"{len(results)} live jobs matched"
        if not _has_deferred(results.values()) and _looks_back(request, trigger):
            try:
                before = left_behind(self._selecting(selector), request, results, self._affordable_turns())
            except JobsError as error:
                return _unfinished(request, trigger, results.values(), f"{matched}; those cancelled before: {error}")
            if before:
                matched = f"{matched}, {len(before)} were cancelled before and are still run by devices"
                results |= {result.job_id: result for result in self._cancel_all(before, request, looks_first=True)}
        report = _report(request, trigger, results.values(), matched)
        return replace(report, left_out=left_out) if request.dry_run else report

    def _selecting(self, selector: Selector, *, is_new: bool = False) -> Selecting:
        prefix, now = self.policy.job_id_prefix, self.utc_now()
        return Selecting(selector, self.api, prefix, now, self._turn, self._affordable_turns() if is_new else None)

    def _affordable_turns(self) -> int:
        """Half of the time at the most: each delivery asks anew, and has to come further than the one before."""
        return self.pace.turns(self.deadline.remaining / 2)

    def _turn(self) -> None:
        if not self.pace.take(self.deadline, self.api.worst_call):
            raise OutOfTime


def rotated[Item](items: Sequence[Item], delivery: int) -> Sequence[Item]:
    """`items` from another start in each delivery, so that a run that never gets to the end still gets to all of them.

    Steps by the golden ratio spread the starts evenly, however many there will be.
    """
    start = int(len(items) * (delivery * 0.618034 % 1))
    return [*items[start:], *items[:start]]


def _looks_back(request: CancelRequest, trigger: Trigger) -> bool:
    """True if devices matter that still run what an earlier delivery has cancelled.

    Not for a bare request: all of them give the same comment, so that nobody knows which one has cancelled a job.
    """
    if trigger is Trigger.TEARDOWN:
        return request.force or request.wait_minutes > 0
    return request.wait_minutes > 0 and trigger is Trigger.EVENT


def _has_deferred(results: Iterable[JobResult]) -> bool:
    return any(result.outcome is Outcome.DEFERRED for result in results)


def _is_at_rest(report: Report) -> bool:
    return report.status is not RunStatus.UNFINISHED and not any(each.is_at_work for each in report.jobs)


def _with_results_of(look: Report, report: Report) -> Report:
    """The report, with the jobs of a look that it lacks."""
    known = {each.job_id for each in report.jobs}
    jobs = (*(each for each in look.jobs if each.job_id not in known), *report.jobs)
    is_unfinished = report.status is RunStatus.UNFINISHED
    return replace(report, jobs=jobs, status=report.status if is_unfinished else status_of(jobs))


def _unfinished(request: CancelRequest, trigger: Trigger, results: Iterable[JobResult], reason: str) -> Report:
    return replace(_report(request, trigger, results, reason), status=RunStatus.UNFINISHED)


def _report(request: CancelRequest, trigger: Trigger, results: Iterable[JobResult], reason: str = "") -> Report:
    jobs = tuple(results)
    cause = Cause(request.asked_by, request.reason_code, request.comment)
    return Report(status_of(jobs), trigger, request.force, request.dry_run, reason, jobs, cause=cause)
