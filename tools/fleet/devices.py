"""Things and their jobs, with the calls of the operator and of the devices."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from tools.localaws.aws import LocalAws


@dataclass(frozen=True)
class JobState:
    """The status of a job, and the number of its executions in each status."""

    status: str
    executions: Mapping[str, int]

    def __str__(self) -> str:
        """Return a line for the job and one for each status of its executions, as in `2 queued`."""
        by_number = sorted(self.executions.items(), key=lambda item: (-item[1], item[0]))
        return "\n".join(
            [self.status, *(f"{number} {status.lower().replace('_', ' ')}" for status, number in by_number)]
        )


class Fleet:
    """Sends the operator's calls to AWS IoT, and the devices' calls to its jobs data plane."""

    def __init__(self, aws: LocalAws) -> None:
        self._iot = aws.client("iot")
        self._devices = aws.client("iot-jobs-data")
        self._arns: dict[str, str] = {}

    def register(self, *things: str) -> None:
        """Create the things."""
        for thing in things:
            self._arns[thing] = self._iot.create_thing(thingName=thing)["thingArn"]

    def create_job(
        self,
        job_id: str,
        things: Sequence[str],
        tags: Mapping[str, str] | None = None,
        selection: Literal["SNAPSHOT", "CONTINUOUS"] = "SNAPSHOT",
    ) -> str:
        """Create a job for registered things, and return its ARN."""
        job = self._iot.create_job(
            jobId=job_id,
            targets=[self._arns[thing] for thing in things],
            document='{"operation": "firmware-update"}',
            targetSelection=selection,
            tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        )
        return job["jobArn"]

    def start_next_job(self, thing: str) -> str:
        """Let the device start its next job. Return the job id, or an empty text if no job is queued."""
        execution = self._devices.start_next_pending_job_execution(thingName=thing).get("execution", {})
        return execution.get("jobId", "")

    def succeed(self, thing: str, job_id: str) -> bool:
        """Let the device report SUCCEEDED. Return False if AWS IoT rejects it, because the execution has ended."""
        try:
            self._devices.update_job_execution(thingName=thing, jobId=job_id, status="SUCCEEDED")
        except self._devices.exceptions.InvalidStateTransitionException:
            return False
        return True

    def state(self, job_id: str) -> JobState:
        """Describe the job, and count its executions by status."""
        status = self._iot.describe_job(jobId=job_id)["job"]["status"]
        pages = self._iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
        statuses = (
            summary["jobExecutionSummary"]["status"] for page in pages for summary in page["executionSummaries"]
        )
        return JobState(status, Counter(statuses))
