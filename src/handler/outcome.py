"""What became of each job, and of the run as a whole."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum


class Trigger(StrEnum):
    """What started a run."""

    TEARDOWN = "TEARDOWN"
    SCHEDULE = "SCHEDULE"
    EVENT = "EVENT"
    DIRECT = "DIRECT"


class Outcome(StrEnum):
    """Where one job ended in one run."""

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
        """True if nothing is left to do for the job."""
        return self not in {Outcome.PROTECTED, Outcome.DEFERRED, Outcome.FAILED}


class RunStatus(StrEnum):
    """How a run ended."""

    SETTLED = "SETTLED"
    UNSETTLED = "UNSETTLED"
    UNFINISHED = "UNFINISHED"
    REJECTED = "REJECTED"
    IGNORED = "IGNORED"


@dataclass(frozen=True, slots=True)
class JobResult:
    """One job's outcome. `detail` says why, where the outcome alone does not.

    `is_draining`: it is cancelled, and executions that wait for their devices are still being cancelled. Not told.
    """

    job_id: str
    outcome: Outcome
    detail: str = ""
    executions_left_in_progress: int = 0
    is_draining: bool = False

    @property
    def is_at_work(self) -> bool:
        """True while a device runs what has ended, or may yet start an execution that the service has not come to."""
        return self.outcome.settled and (self.executions_left_in_progress > 0 or self.is_draining)

    def as_dict(self) -> dict[str, object]:
        """The job in the published shape of the report."""
        return {
            "jobId": self.job_id,
            "outcome": self.outcome.value,
            "detail": self.detail,
            "executionsLeftInProgress": self.executions_left_in_progress,
        }


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A job that a person may miss among the selected ones, and why it is not there."""

    job_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A run that goes on for the devices: for these jobs, and after so many seconds."""

    job_ids: tuple[str, ...]
    seconds: int


@dataclass(frozen=True, slots=True)
class Cause:
    """Who asked for a run, and the reasonCode and comment that its jobs are cancelled with."""

    asked_by: str
    reason_code: str
    comment: str


@dataclass(frozen=True, slots=True)
class Report:
    """One run: the function's return value, a log line and an event.

    `waiting` is not told: the reason says it. `cause` is told beside the report, in the log line alone.
    """

    status: RunStatus
    trigger: Trigger
    force: bool = False
    dry_run: bool = False
    reason: str = ""
    jobs: tuple[JobResult, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    waiting: Waiting | None = None
    cause: Cause | None = None

    @property
    def counts(self) -> dict[str, int]:
        """How many jobs ended in each outcome; outcomes without a job are left out."""
        return dict(Counter(result.outcome.value for result in self.jobs))

    @property
    def executions_left_in_progress(self) -> int:
        """Executions that devices still run, over all jobs."""
        return sum(result.executions_left_in_progress for result in self.jobs)

    def as_dict(self) -> dict[str, object]:
        """The run in the published shape of the report."""
        report: dict[str, object] = {
            "status": self.status.value,
            "trigger": self.trigger.value,
            "force": self.force,
            "dryRun": self.dry_run,
            "reason": self.reason,
            "counts": self.counts,
            "executionsLeftInProgress": self.executions_left_in_progress,
            "jobs": [result.as_dict() for result in self.jobs],
        }
        if self.left_out:  # a dry run tells the plan, and who is not in it
            report["leftOut"] = [{"jobId": left.job_id, "why": left.why} for left in self.left_out]
        return report


def status_of(results: tuple[JobResult, ...]) -> RunStatus:
    """The run's status: what is left to do outweighs what can't be done."""
    outcomes = {result.outcome for result in results}
    if Outcome.DEFERRED in outcomes:
        return RunStatus.UNFINISHED
    if all(outcome.settled for outcome in outcomes):
        return RunStatus.SETTLED
    return RunStatus.UNSETTLED
