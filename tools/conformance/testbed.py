"""The testbed in which an assumption is checked: jobs and devices in an account, and the handler's own code."""

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from math import inf
from typing import Any, Literal, Protocol

from botocore.exceptions import ClientError
from mypy_boto3_iot import IoTClient

from handler.aws.iot import IotJobs
from handler.cancellation.cancel import cancel_jobs
from handler.cancellation.job import JobsApi, JobStatus, JobSummary
from handler.cancellation.rate import Deadline, Gate, RateLimits
from handler.cancellation.report import JobResult
from handler.cancellation.request import CancelReason, CancelRequest, StackLimits
from handler.cancellation.session import Session
from tools.errors import ToolError
from tools.polling import wait_for

from .created_resources import CreatedResources

REASON, COMMENT = "ASSUMPTION", "checks assumptions about AWS IoT Jobs"
_PREPARATION_SECONDS = 60
_MAX_PAGES = 80  # of 250 jobs


class _PageLimit(Gate):
    """A gate that raises ToolError if an account has too many jobs to list."""

    _pages = 0

    def acquire(self, operation: str) -> None:
        self._pages += operation == "ListJobs"
        if self._pages > _MAX_PAGES:
            raise ToolError(f"there are more than {_MAX_PAGES * 250} jobs: too many to look through")
        super().acquire(operation)


class Devices(Protocol):
    """Calls of devices, and of other operators. Both raise ClientError."""

    def report(self, job_id: str, thing_name: str, status: Literal["IN_PROGRESS", "SUCCEEDED"]) -> object:
        """Report the status of an execution, as its device does."""

    def begin_deletion(self, job_id: str) -> object:
        """Delete the job, as another operator does. AWS deletes it asynchronously."""


@dataclass
class IotTestbed:
    """One account with the jobs and devices of a verification, whose names begin with `prefix`.

    `timeout_seconds` limits the wait for one observation.
    """

    iot: IoTClient
    devices: Devices
    prefix: str
    timeout_seconds: float
    created: CreatedResources
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    def session(self, *, force: bool = False) -> Session:
        """Return the handler's session with the account, without a deadline, and limited to the testbed's own jobs."""
        rate_limits = RateLimits(inf, time.monotonic, time.sleep)
        gate = _PageLimit(rate_limits, Deadline(inf, time.monotonic), random.uniform, call_seconds=0.0)
        limits = StackLimits(force, False, 1, self.prefix, "cancel-protection")  # noqa: FBT003 - dry run
        return Session(IotJobs(self.iot, gate), gate, limits, lambda: datetime.now(UTC))

    @property
    def jobs(self) -> JobsApi:
        """The handler's own adapter of AWS IoT."""
        return self.session().api

    # Create and read resources

    def things(self, number: int) -> list[str]:
        """Return the names of the first `number` things. Creates missing ones. The names contain colons."""
        for index in range(len(self.created.things), number):
            name = f"{self.prefix}fleet:thing:{index + 1}"
            self.created.things.append(name)
            self.iot.create_thing(thingName=name)
        return self.created.things[:number]

    def group(self) -> str:
        """Return the name of the thing group that contains the first thing. Creates it at the first call."""
        if not self.created.groups:
            name = f"{self.prefix}group"
            self.created.groups.append(name)
            self.iot.create_thing_group(thingGroupName=name)
            self.iot.add_thing_to_thing_group(thingGroupName=name, thingName=self.things(1)[0])
        return self.created.groups[0]

    def job(self, things: int = 1, *targets: str, scheduled: bool = False, **settings: Any) -> str:
        """Create a job for the first `things` things or for the ARNs `targets`, and wait for its executions."""
        job_id = f"{self.prefix}{next(self._numbers)}"
        arns = targets or [self.thing_arn(name) for name in self.things(things)]
        self.created.jobs[job_id] = settings.get("namespaceId", "")
        if scheduled:
            settings["schedulingConfig"] = {"startTime": f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M}"}
        self.iot.create_job(jobId=job_id, targets=arns, document='{"operation": "none"}', **settings)
        if not scheduled:
            self.wait_until(f"the rollout of {job_id}", lambda: len(self._executions(job_id)) == things)
        return job_id

    def thing_arn(self, name: str) -> str:
        return self.iot.describe_thing(thingName=name)["thingArn"]

    # Act on jobs

    def start(self, job_id: str, *things: str) -> None:
        """Let these devices start the job."""
        for name in things:
            self.devices.report(job_id, name, "IN_PROGRESS")

    def succeed(self, job_id: str, *things: str) -> None:
        """Let these devices report success."""
        for name in things:
            self.devices.report(job_id, name, "SUCCEEDED")

    def cancel(self, job_id: str, *, force: bool = False, reason: str = REASON, comment: str = COMMENT) -> object:
        """Call CancelJob directly, without the handler's code."""
        return self.iot.cancel_job(jobId=job_id, force=force, reasonCode=reason, comment=comment)

    def canceled_job(self, things: int = 1, *, started: int = 0) -> str:
        """Create a job, let `started` devices start it, cancel it without force, and wait for CANCELED."""
        job_id = self.job(things)
        self.start(job_id, *self.things(started))
        self.cancel(job_id)
        self.wait_until(f"the cancel of {job_id}", lambda: self.status(job_id) == "CANCELED")
        return job_id

    def completed_job(self) -> str:
        """Create a job, let its device succeed, and wait for COMPLETED."""
        job_id = self.job()
        self.succeed(job_id, *self.things(1))
        self.wait_until(f"the end of {job_id}", lambda: self.status(job_id) == "COMPLETED")
        return job_id

    def cancel_by_handler(self, job_id: str, *, force: bool = False) -> JobResult:
        """Cancel the job with the handler's code."""
        reason = CancelReason("", REASON, COMMENT)
        request = CancelRequest((job_id,), None, force, dry_run=False, max_jobs=1, reason=reason)
        (result,), _ = cancel_jobs(self.session(force=force), request.job_ids, request)
        return result

    # Observe jobs

    def status(self, job_id: str) -> str:
        return self.iot.describe_job(jobId=job_id)["job"]["status"]

    def statuses(self, job_id: str) -> str:
        """Return the status of the job and of its executions by thing, as in `CANCELED: CANCELED, IN_PROGRESS`."""
        executions = self._executions(job_id)
        return f"{self.status(job_id)}: {', '.join(executions[name] for name in sorted(executions))}"

    def list_own_jobs(self, status: JobStatus, namespace: str | None = None) -> dict[str, JobSummary]:
        """Return the testbed's own jobs in the handler's listing, by id."""
        found = self.jobs.list_jobs(status, namespace)
        return {each.job_id: each for each in found if each.job_id.startswith(self.prefix)}

    def _executions(self, job_id: str) -> Mapping[str, str]:
        pages = self.iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
        return {
            each["thingArn"].partition(":thing/")[2]: each["jobExecutionSummary"]["status"]
            for page in pages
            for each in page["executionSummaries"]
        }

    @staticmethod
    def wait_until(what: str, condition: Callable[[], bool]) -> None:
        """Wait for the result of an earlier call. Raises TimedOut."""
        wait_for(what, condition, seconds=_PREPARATION_SECONDS)


def error_code(call: Callable[[], object]) -> str:
    """Return the error code of the call, or "accepted" if it succeeds."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "accepted"
