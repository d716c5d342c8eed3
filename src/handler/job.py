"""An IoT job as DescribeJob tells it."""

from dataclasses import dataclass
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
class Job:
    """What a decision needs to know of one job."""

    job_id: str
    arn: str
    status: str
    executions_in_progress: int
