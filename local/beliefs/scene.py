"""Where a belief is held against an account: jobs of its own, devices that play their part, and our own code."""

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
from handler.cancellation.cancel import Canceler
from handler.cancellation.job import JobStatus, JobSummary
from handler.cancellation.rate import Deadline
from handler.cancellation.report import JobResult
from handler.cancellation.request import CancelRequest, StackLimits
from local.errors import LocalError
from local.polling import wait_for

from .makings import Makings

REASON, COMMENT = "BELIEF", "held against AWS IoT Jobs"
_ARRANGED_SECONDS = 60
_MOST_PAGES = 80  # of 250 jobs


class Devices(Protocol):
    """What others than the operator do. Refusals are ClientError."""

    def report(self, job_id: str, thing_name: str, status: Literal["IN_PROGRESS", "SUCCEEDED"]) -> object:
        """The device reports the status of its execution."""

    def begin_deletion(self, job_id: str) -> object:
        """Somebody deletes the job, which takes its time, where it can be had to."""


@dataclass
class Scene:
    """One account, and everything in it with names that begin with `prefix`. `patience` is for one reading, seconds."""

    iot: IoTClient
    devices: Devices
    prefix: str
    patience: float
    makings: Makings
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @property
    def jobs(self) -> IotJobs:
        """The code's own adapter."""
        return IotJobs(self.iot)

    # What there is

    def things(self, number: int) -> list[str]:
        """The first of the things, which are made when they are first needed. Their names hold a colon."""
        for made in range(len(self.makings.things), number):
            name = f"{self.prefix}fleet:thing:{made + 1}"
            self.makings.things.append(name)
            self.iot.create_thing(thingName=name)
        return self.makings.things[:number]

    def group(self) -> str:
        """A group with the first thing in it."""
        if not self.makings.groups:
            name = f"{self.prefix}group"
            self.makings.groups.append(name)
            self.iot.create_thing_group(thingGroupName=name)
            self.iot.add_thing_to_thing_group(thingGroupName=name, thingName=self.things(1)[0])
        return self.makings.groups[0]

    def job(self, things: int = 1, *targets: str, scheduled: bool = False, **settings: Any) -> str:
        """A new job for the first things or, instead, for the ARNs `targets`: when it has been rolled out to them."""
        job_id = f"{self.prefix}{next(self._numbers)}"
        arns = targets or [self.thing_arn(name) for name in self.things(things)]
        self.makings.jobs[job_id] = settings.get("namespaceId", "")
        if scheduled:
            settings["schedulingConfig"] = {"startTime": f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%dT%H:%M}"}
        self.iot.create_job(jobId=job_id, targets=arns, document='{"operation": "none"}', **settings)
        if not scheduled:
            self.wait(f"the roll-out of {job_id}", lambda: len(self._executions(job_id)) == things)
        return job_id

    def thing_arn(self, name: str) -> str:
        return self.iot.describe_thing(thingName=name)["thingArn"]

    # What happens

    def start(self, job_id: str, *things: str) -> None:
        """These devices take the job up."""
        for name in things:
            self.devices.report(job_id, name, "IN_PROGRESS")

    def succeed(self, job_id: str, *things: str) -> None:
        """These devices report that they are done."""
        for name in things:
            self.devices.report(job_id, name, "SUCCEEDED")

    def cancel(self, job_id: str, *, force: bool = False, reason: str = REASON, comment: str = COMMENT) -> object:
        """CancelJob, with nothing of ours between."""
        return self.iot.cancel_job(jobId=job_id, force=force, reasonCode=reason, comment=comment)

    def canceled_job(self, things: int = 1, *, started: int = 0) -> str:
        """A job that reads CANCELED, without force, some of whose executions run on."""
        job_id = self.job(things)
        self.start(job_id, *self.things(started))
        self.cancel(job_id)
        self.wait(f"the cancel of {job_id}", lambda: self.status(job_id) == "CANCELED")
        return job_id

    def completed_job(self) -> str:
        """A job that reads COMPLETED."""
        job_id = self.job()
        self.succeed(job_id, *self.things(1))
        self.wait(f"the end of {job_id}", lambda: self.status(job_id) == "COMPLETED")
        return job_id

    def settle(self, job_id: str, *, force: bool = False) -> JobResult:
        """What our code makes of the job."""
        canceler = Canceler(
            self.jobs,
            StackLimits(force, dry_run=False, max_jobs=1, job_id_prefix=self.prefix, protection_tag_key="cancel-protection"),
            Deadline(inf, time.monotonic),
            turn=lambda: None,
            sleep=time.sleep,
        )
        request = CancelRequest((job_id,), None, force, dry_run=False, max_jobs=1, reason_code=REASON, comment=COMMENT)
        return canceler.cancel_all(request.job_ids, request)[0]

    # What is seen

    def status(self, job_id: str) -> str:
        return self.iot.describe_job(jobId=job_id)["job"]["status"]

    def told(self, job_id: str) -> str:
        """As in `CANCELED: CANCELED, IN_PROGRESS`: the job, and its executions in the order of the things."""
        executions = self._executions(job_id)
        return f"{self.status(job_id)}: {', '.join(executions[name] for name in sorted(executions))}"

    def listed(self, status: JobStatus, namespace: str | None = None) -> dict[str, JobSummary]:
        """Our own jobs among those that our code lists."""
        found = self.jobs.list_jobs(status, self.turn(), namespace)
        return {each.job_id: each for each in found if each.job_id.startswith(self.prefix)}

    @staticmethod
    def turn() -> Turn:
        """For the code's listings; the calls are paced where they are sent. It gives up on an account full of jobs."""
        turns = iter(range(_MOST_PAGES))

        def take() -> None:
            if next(turns, None) is None:
                raise LocalError(f"there are more than {_MOST_PAGES * 250} jobs: too many to look through")

        return take

    def _executions(self, job_id: str) -> Mapping[str, str]:
        pages = self.iot.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
        return {
            each["thingArn"].partition(":thing/")[2]: each["jobExecutionSummary"]["status"]
            for page in pages
            for each in page["executionSummaries"]
        }

    @staticmethod
    def wait(what: str, is_so: Callable[[], bool]) -> None:
        """Let what has been arranged come about. Raises TimedOut."""
        wait_for(what, lambda: is_so() or None, seconds=_ARRANGED_SECONDS)


def refusal(call: Callable[[], object]) -> str:
    """The code with which the service refuses a call."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "accepted"
