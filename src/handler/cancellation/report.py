"""The report of a run: the outcome of each job, and the status of the run as a whole."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from handler.cancellation.request import CancelReason

# A report of more jobs has neither their ARNs nor their descriptions, of up to 2,028 characters each: the return value
# of the function may have 6 MB, and a log line 1 MB.
MAX_DESCRIBED_JOBS = 100
_MAX_JOBS_IN_REASON = 5


class Trigger(StrEnum):
    """What started a run."""

    TEARDOWN = "TEARDOWN"
    SCHEDULE = "SCHEDULE"
    EVENT = "EVENT"
    DIRECT = "DIRECT"


class Outcome(StrEnum):
    """The outcome of one job in one run."""

    CANCELED = "CANCELED"
    ALREADY_CANCELED = "ALREADY_CANCELED"
    ALREADY_FINISHED = "ALREADY_FINISHED"
    GONE = "GONE"
    WOULD_CANCEL = "WOULD_CANCEL"
    PROTECTED = "PROTECTED"
    DEFERRED = "DEFERRED"
    FAILED = "FAILED"

    @property
    def settled(self) -> bool:
        """True if nothing remains to be done for the job."""
        return self not in {Outcome.PROTECTED, Outcome.DEFERRED, Outcome.FAILED}


class RunStatus(StrEnum):
    """The status of a run."""

    SETTLED = "SETTLED"
    UNSETTLED = "UNSETTLED"
    UNFINISHED = "UNFINISHED"
    REJECTED = "REJECTED"
    IGNORED = "IGNORED"


@dataclass(frozen=True, slots=True)
class JobResult:
    """One job's outcome. `detail` says why, where the outcome alone does not.

    `is_draining`: it is canceled, and queued executions are still being canceled. Not part of the published report.
    `arn` and `description` are those that DescribeJob returned, or empty. `executions_ended`: how many executions force
    has ended; in a dry run, would end.
    """

    job_id: str
    outcome: Outcome
    detail: str = ""
    executions_left_in_progress: int = 0
    is_draining: bool = False
    arn: str = ""
    description: str = ""
    executions_ended: int = 0

    @property
    def has_running_executions(self) -> bool:
        """True while a device runs the settled job, or may still start an execution that is not canceled yet."""
        return self.outcome.settled and (self.executions_left_in_progress > 0 or self.is_draining)

    @property
    def is_unread(self) -> bool:
        """True if the job, or its tags, could not be read: DescribeJob returns the ARN of each job."""
        return not self.arn and self.outcome in (Outcome.DEFERRED, Outcome.FAILED)

    def as_dict(self, *, is_described: bool = True, max_description_length: int | None = None) -> dict[str, object]:
        """Return the job in the published shape of the report.

        `is_described`: with ARN and description, if they are known. `max_description_length`: of the description, in
        characters; None keeps all. The other keys come first and keep their order, which the saved query in
        template.yaml parses.
        """
        job: dict[str, object] = {
            "jobId": self.job_id,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "executionsLeftInProgress": self.executions_left_in_progress,
        }
        if self.executions_ended:
            job["executionsEnded"] = self.executions_ended
        if is_described and self.arn:
            job["jobArn"] = self.arn
        if is_described and self.description:
            job["description"] = self.description[:max_description_length]
        return job


class ExcludedJob(NamedTuple):
    """A job that a user might expect to be selected, and why it is not."""

    job_id: str
    why: str


class Wait(NamedTuple):
    """A wait for the devices of these jobs that began at `since`, in seconds since the epoch.

    `force`: it began with force. One that began without it ends no execution, even if the stack allows that later.
    `poll_seconds`: the time until the jobs are polled next, or 0 once they are complete. Then a teardown's selection is
    repeated; `limit_checked`: that selection was checked against the job limit.
    """

    job_ids: tuple[str, ...]
    since: float
    force: bool = False
    poll_seconds: int = 0
    limit_checked: bool = False


@dataclass(frozen=True, slots=True)
class Report:
    """One run: the function's return value, a log line and an event.

    `wait` is not published: `reason` names the devices. `cancel_reason` is logged beside the report, and published: a
    rejected request has the default one, which says who sent it, or None. `warnings` are logged in lines of their own.
    `plan_id` is the digest of a complete dry run, or empty. `planned`: the jobs of a plan that was checked, to which
    later deliveries of the request are limited. It is not published.
    """

    status: RunStatus
    trigger: Trigger
    force: bool = False
    dry_run: bool = False
    reason: str = ""
    jobs: tuple[JobResult, ...] = ()
    excluded: tuple[ExcludedJob, ...] = ()
    wait: Wait | None = None
    cancel_reason: CancelReason | None = None
    warnings: tuple[str, ...] = ()
    plan_id: str = ""
    planned: tuple[str, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """The number of jobs with each outcome; outcomes without a job are omitted."""
        counts: dict[str, int] = {}
        for result in self.jobs:
            counts[result.outcome.value] = counts.get(result.outcome.value, 0) + 1
        return counts

    @property
    def executions_left_in_progress(self) -> int:
        """The number of executions that devices still run, over all jobs."""
        return sum(result.executions_left_in_progress for result in self.jobs)

    @property
    def executions_ended(self) -> int:
        """The number of executions that force has ended, over all jobs; in a dry run, would end."""
        return sum(result.executions_ended for result in self.jobs)

    def as_dict(self, *, max_description_length: int | None = None) -> dict[str, object]:
        """Return the run in the published shape of the report.

        `max_description_length`: of the description of each job, in characters; None keeps all.
        """
        is_described = len(self.jobs) <= MAX_DESCRIBED_JOBS
        report: dict[str, object] = {
            "status": self.status.value,
            "trigger": self.trigger.value,
            "force": self.force,
            "dryRun": self.dry_run,
            "reason": self.reason,
            "counts": self.counts,
            "executionsLeftInProgress": self.executions_left_in_progress,
            "executionsEnded": self.executions_ended,
            "jobs": [
                result.as_dict(is_described=is_described, max_description_length=max_description_length)
                for result in self.jobs
            ],
        }
        if self.excluded:  # only a dry run lists them
            report["leftOut"] = [{"jobId": job.job_id, "why": job.why} for job in self.excluded]
        if self.plan_id:
            report["planId"] = self.plan_id
        return report


def counted(number: int, noun: str) -> str:
    """Return the number and the noun, which has an s in the plural."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def joined(*reasons: str) -> str:
    """Return the reasons that are not empty as one."""
    return "; ".join(filter(None, reasons))


def unsettled_reason(report: Report) -> str:
    """Return the reason of the report, and the first jobs that are not settled, each with its detail."""
    unsettled = [result for result in report.jobs if not result.outcome.settled]
    jobs = [f"job {result.job_id} {result.outcome}: {result.detail}" for result in unsettled[:_MAX_JOBS_IN_REASON]]
    if len(unsettled) > _MAX_JOBS_IN_REASON:
        jobs.append(f"and {len(unsettled) - _MAX_JOBS_IN_REASON} more")
    return joined(report.reason, *jobs)


def status_of(results: tuple[JobResult, ...]) -> RunStatus:
    """Return the run's status: remaining work outweighs jobs that cannot be canceled."""
    outcomes = {result.outcome for result in results}
    if Outcome.DEFERRED in outcomes:
        return RunStatus.UNFINISHED
    if all(outcome.settled for outcome in outcomes):
        return RunStatus.SETTLED
    return RunStatus.UNSETTLED
