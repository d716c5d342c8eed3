"""Cancel jobs, idempotently: what happens to a job depends on the job's state, not on how often it is asked.

CancelJob has no compare-and-set and answers no status, so every job is read back with DescribeJob, and the status that
is read decides. Two calls for an ordinary job. With force, what an earlier cancel without force has left is ended too.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from .errors import AccessDenied, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable, OutOfTime
from .executions import Executions, end_executions
from .job import ENDED, LIVE, Job, JobStatus
from .outcome import JobResult, Outcome
from .parallel import in_parallel
from .request import CancelRequest, Policy
from .timing import Deadline, Sleep, Turn

# Cancelling is eventually consistent: a job may read live for some seconds after an accepted cancel.
READ_BACK_WAITS = (0.5, 1.0, 2.0, 4.0)


type _Act = Callable[[str, CancelRequest], JobResult]


class Jobs(Executions, Protocol):
    """The part of the IoT Jobs API that cancels. Every method raises JobsError."""

    # The longest that one call can take, with the SDK's own attempts, in seconds.
    worst_call: float

    def cancel(self, job_id: str, *, force: bool, reason_code: str, comment: str) -> None:
        """CancelJob."""

    def describe(self, job_id: str) -> Job:
        """DescribeJob."""

    def tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource, all pages."""


@dataclass(frozen=True, slots=True)
class Canceler:
    """The means to cancel: the API, what the policy protects, and the time there is.

    `turn` waits until the next job may begin; it raises OutOfTime if that is too late. `looks_first` is for jobs that
    most likely have ended: one call then. Selected ones that have not are left alone.
    """

    jobs: Jobs
    policy: Policy
    deadline: Deadline
    turn: Turn
    sleep: Sleep
    looks_first: bool = False

    def cancel_all(self, job_ids: Iterable[str], request: CancelRequest) -> tuple[JobResult, ...]:
        """One result for each job, in their order. Jobs that there is no time for are DEFERRED."""
        act = self._plan_one if request.dry_run else self._cancel_one
        results = in_parallel(lambda job_id: self._settle(act, JobResult(job_id, Outcome.DEFERRED), request), job_ids)
        if not request.force:
            return tuple(results)
        return tuple(self._settle(self._end_executions, r, request) if self._is_left_over(r) else r for r in results)

    def _settle(self, act: _Act, before: JobResult, request: CancelRequest) -> JobResult:
        """What `act` gives, or what was known `before` with the error that it ended in."""
        try:
            self.turn()
            return act(before.job_id, request)
        except JobNotFound:
            return JobResult(before.job_id, Outcome.GONE, "no such job")
        except JobsUnavailable as error:
            return replace(before, outcome=Outcome.DEFERRED, detail=str(error))
        except JobsError as error:
            return replace(before, outcome=Outcome.FAILED, detail=str(error))

    def _plan_one(self, job_id: str, _request: CancelRequest) -> JobResult:
        job = self._describe(job_id)
        if job.status in ENDED:
            return _ended(job, Outcome.ALREADY_CANCELED)
        if not job_id.startswith(self.policy.job_id_prefix):
            return self._denied(job, self._outside_prefix())
        if self._is_protected(job):
            return self._protected(job)
        return _result(job, Outcome.WOULD_CANCEL)

    def _cancel_one(self, job_id: str, request: CancelRequest) -> JobResult:
        if self.looks_first:
            job = self._describe(job_id)
            if job.status in ENDED:
                return _ended(job, Outcome.ALREADY_CANCELED)
            if request.selector:
                return self._left_alone(job)
            self.turn()
        refusal = self._ask_to_cancel(job_id, request)
        job = self._read_back(job_id, refusal)
        if job.status in ENDED:
            return _ended(job, Outcome.ALREADY_CANCELED if refusal else Outcome.CANCELED)
        if refusal is None:
            return _result(job, Outcome.DEFERRED, f"the cancel was accepted, but the job still reads {job.status}")
        if isinstance(refusal, AccessDenied):
            return self._denied(job, refusal)
        # A status that nobody documented is on its way to another one; a live job that can't be cancelled is not.
        return _result(job, Outcome.FAILED if job.status in LIVE else Outcome.DEFERRED, str(refusal))

    def _left_alone(self, job: Job) -> JobResult:
        """What was selected in an earlier delivery: by now its id may be another job's."""
        if job.status not in LIVE:
            return _result(job, Outcome.DEFERRED, f"the job reads {job.status}")
        return self._denied(job, JobNotCancelable("IsLive", "it was not cancelled, or another job has its id by now"))

    def _ask_to_cancel(self, job_id: str, request: CancelRequest) -> JobsError | None:
        """The service's refusal, be it for a reason that nobody documented, or None if it accepted.

        Raises JobNotFound and JobsUnavailable.
        """
        if not job_id.startswith(self.policy.job_id_prefix):
            return self._outside_prefix()  # IAM would refuse it too
        try:
            self.jobs.cancel(job_id, force=request.force, reason_code=request.reason_code, comment=request.comment)
        except (JobNotFound, JobsUnavailable):
            raise
        except JobsError as error:
            return error
        return None

    def _read_back(self, job_id: str, refusal: JobsError | None) -> Job:
        """The job as it reads once it has ended, or at the end of the patience for it."""
        job = self._describe(job_id)
        for wait in () if isinstance(refusal, AccessDenied) else READ_BACK_WAITS:
            if job.status in ENDED or not self.deadline.allows(wait + self.jobs.worst_call):
                break
            self.sleep(wait)
            self.turn()
            job = self._describe(job_id)
        return job

    def _is_left_over(self, result: JobResult) -> bool:
        """True if an earlier cancel has left executions that this one may end."""
        left = result.outcome is Outcome.ALREADY_CANCELED and result.executions_left_in_progress > 0
        return left and result.job_id.startswith(self.policy.job_id_prefix)

    def _end_executions(self, job_id: str, request: CancelRequest) -> JobResult:
        """The job's own count says whether all of them have ended. Those of a protected job run on.

        So do those of a selected job that somebody else cancelled after it was selected. The tag is asked for at first:
        this call concerns a job and a thing, and AWS does not say whose tags an IAM condition sees then.
        """
        job = self._describe(job_id)
        if request.selector and job.cancelled_with != request.cancels_with:
            return _result(job, Outcome.ALREADY_CANCELED, "its executions run on: somebody else has cancelled it")
        if self._is_protected(job):
            return _result(job, Outcome.ALREADY_CANCELED, f"its executions run on: {self.policy.protection}")
        if request.dry_run:
            return _result(job, Outcome.ALREADY_CANCELED, "the executions that it has left would be ended")
        ending = end_executions(self.jobs, job_id, self.turn)
        self.turn()
        job = self._describe(job_id)
        told = f"{ending.ended} executions that an earlier cancel had left were ended"
        if not job.executions_in_progress:
            return _result(job, Outcome.ALREADY_CANCELED, told)
        if ending.refusal and not ending.ended:
            return _result(job, Outcome.FAILED, str(ending.refusal))
        return _result(job, Outcome.DEFERRED, f"{told}, and there are more")

    def _describe(self, job_id: str) -> Job:
        self._check_time()
        return self.jobs.describe(job_id)

    def _check_time(self) -> None:
        if not self.deadline.allows(self.jobs.worst_call):
            raise OutOfTime

    def _denied(self, job: Job, refusal: JobsError) -> JobResult:
        if self._is_protected(job):
            return self._protected(job)
        return _result(job, Outcome.FAILED, str(refusal))

    def _is_protected(self, job: Job) -> bool:
        self._check_time()
        return self.policy.protects(self.jobs.tags(job.arn))

    def _protected(self, job: Job) -> JobResult:
        return _result(job, Outcome.PROTECTED, self.policy.protection)

    def _outside_prefix(self) -> AccessDenied:
        return AccessDenied("OutsidePrefix", f"the id does not start with JobIdPrefix {self.policy.job_id_prefix!r}")


def _ended(job: Job, if_canceled: Outcome) -> JobResult:
    if job.status == JobStatus.DELETION_IN_PROGRESS:
        return _result(job, Outcome.GONE, "the job is being deleted")
    return _result(job, if_canceled if job.status == JobStatus.CANCELED else Outcome.ALREADY_FINISHED)


def _result(job: Job, outcome: Outcome, detail: str = "") -> JobResult:
    is_draining = job.status == JobStatus.CANCELED and job.is_draining
    return JobResult(job.job_id, outcome, detail, job.executions_in_progress, is_draining)
