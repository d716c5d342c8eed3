"""Things, their jobs, and the devices' side of them."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from .aws import LocalAws


@dataclass(frozen=True)
class JobState:
    """What IoT says of a job: its status, and how many executions are in each status."""

    status: str
    executions: Mapping[str, int]

    def __str__(self) -> str:
        """Two lines, as in `IN_PROGRESS` and `2 queued 1 in progress`."""
        most_first = sorted(self.executions.items(), key=lambda item: (-item[1], item[0]))
        return "\n".join(
            [self.status, " ".join(f"{number} {status.lower().replace('_', ' ')}" for status, number in most_first)]
        )


class Fleet:
    """The operator's calls go to IoT, the devices' calls to its jobs data plane."""

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
        """Create a job for registered things, and give its ARN."""
        job = self._iot.create_job(
            jobId=job_id,
            targets=[self._arns[thing] for thing in things],
            document='{"operation": "firmware-update"}',
            targetSelection=selection,
            tags=[{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        )
        return job["jobArn"]

    def start_next_job(self, thing: str) -> str:
        """The device takes up its next job, whose id is returned: empty if none waits."""
        execution = self._devices.start_next_pending_job_execution(thingName=thing).get("execution", {})
        return execution.get("jobId", "")

    def succeed(self, thing: str, job_id: str) -> bool:
        """The device reports SUCCEEDED: False if it is refused, since its execution has ended already."""
        try:
            self._devices.update_job_execution(thingName=thing, jobId=job_id, status="SUCCEEDED")
        except self._devices.exceptions.InvalidStateTransitionException:
            return False
        return True

    def state(self, job_id: str) -> JobState:
        """Read the job and its executions back."""
        status = self._iot.describe_job(jobId=job_id)["job"]["status"]
        pages = self._iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
        found = (summary["jobExecutionSummary"]["status"] for page in pages for summary in page["executionSummaries"])
        return JobState(status, Counter(found))
