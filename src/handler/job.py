"""An IoT job as the API tells it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class JobStatus(StrEnum):
    """The documented statuses of a job. The service has been seen to answer others: `Job.status` is a plain string."""

    IN_PROGRESS = "IN_PROGRESS"
    SCHEDULED = "SCHEDULED"
    CANCELED = "CANCELED"
    COMPLETED = "COMPLETED"
    DELETION_IN_PROGRESS = "DELETION_IN_PROGRESS"


LIVE = frozenset({JobStatus.IN_PROGRESS, JobStatus.SCHEDULED})
ENDED = frozenset({JobStatus.CANCELED, JobStatus.COMPLETED, JobStatus.DELETION_IN_PROGRESS})


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job as ListJobs tells it: no tags, no targets, no namespace. Times are timezone-aware."""

    job_id: str
    arn: str
    target_selection: str
    created_at: datetime
    last_updated_at: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A job as DescribeJob tells it.

    `targets` are ARNs of things and thing groups; `namespace` is empty for most. `reason_code` and `comment` are
    those of its cancel. `is_draining`: the service has not come to the end of its executions that wait for devices.
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

    @property
    def cancelled_with(self) -> tuple[str, str]:
        """What tells whose cancel it was."""
        return self.reason_code, self.comment

    @property
    def is_at_work(self) -> bool:
        """True if devices run it, or may yet start an execution that the service has not come to."""
        return self.executions_in_progress > 0 or self.is_draining
