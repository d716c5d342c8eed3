"""An IoT job as the API describes it, and the part of the API that the core calls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol


class JobStatus(StrEnum):
    """The documented statuses of a job. The service has been seen to return others: `Job.status` is a plain string."""

    IN_PROGRESS = "IN_PROGRESS"
    SCHEDULED = "SCHEDULED"
    CANCELED = "CANCELED"
    COMPLETED = "COMPLETED"
    DELETION_IN_PROGRESS = "DELETION_IN_PROGRESS"


# SCHEDULED first: a job whose rollout begins between the two listings is seen in the second one.
ACTIVE_STATUSES = (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS)
TERMINAL_STATUSES = frozenset({JobStatus.CANCELED, JobStatus.COMPLETED, JobStatus.DELETION_IN_PROGRESS})


class JobSummary(NamedTuple):
    """A job as ListJobs returns it: no tags, no targets, no namespace. Times are timezone-aware."""

    job_id: str
    arn: str
    target_selection: str
    created_at: datetime
    last_updated_at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A job as DescribeJob returns it.

    `targets` are ARNs of things and thing groups; `namespace` is empty for most jobs. `reason_code` and `comment` are
    those of its cancellation. `is_draining`: the service has not canceled all of its queued executions yet. `starts_at`
    is the startTime of its schedule as the service returns it, or empty. `description` is what its creator gave it.
    """

    job_id: str
    arn: str
    status: str
    executions_in_progress: int
    targets: tuple[str, ...] = ()
    namespace: str = ""
    reason_code: str = ""
    comment: str = ""
    is_draining: bool = False
    starts_at: str = ""
    description: str = ""

    @property
    def has_running_executions(self) -> bool:
        """True if devices run the job, or may still start an execution that the service has not canceled yet."""
        return self.executions_in_progress > 0 or self.is_draining


class JobsApi(Protocol):
    """The IoT Jobs API, rate-limited and bounded by the deadline of one run. Every method raises JobsError."""

    def cancel(self, job_id: str, *, force: bool, reason_code: str, comment: str) -> None:
        """CancelJob."""

    def describe(self, job_id: str) -> Job:
        """DescribeJob."""

    def tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource, all pages."""

    def list_jobs(self, status: JobStatus, namespace: str | None = None) -> Iterator[JobSummary]:
        """ListJobs, all pages, requested one after the other."""

    def running_things(self, job_id: str) -> Iterator[str]:
        """ListJobExecutionsForJob, all pages: the names of the things whose executions are IN_PROGRESS."""

    def cancel_execution(self, job_id: str, thing_name: str) -> None:
        """CancelJobExecution, with force."""
