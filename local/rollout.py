"""A roll-out whose stack is deleted while devices are at work: examples/firmware-rollout.yaml, played to its end."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from . import stacks
from .aws import LocalAws
from .fleet import Fleet
from .reports import FunctionLog
from .sam import ROOT

_TEMPLATE = ROOT / "examples" / "firmware-rollout.yaml"
_DURATION = re.compile(r"^REPORT .*\bDuration: ([0-9.]+) ms\tBilled")


@dataclass(frozen=True)
class Moment:
    """One line of a time line: when, who, and what became of it."""

    at: datetime
    who: str
    what: str


@dataclass
class RollOut:
    """One stack, its job of the same name and its devices."""

    aws: LocalAws
    name: str
    fleet: Fleet
    stack_id: str = ""
    bucket: str = ""
    group: str = ""
    devices: list[str] = field(default_factory=list)

    def create(self, parameters: Mapping[str, str]) -> None:
        """Create the stack, which creates the job. Raises StackFailed."""
        outputs = stacks.create(self.aws, self.name, _TEMPLATE.read_text(), {"JobId": self.name, **parameters})
        self.bucket, self.group = outputs["Firmware"], outputs["Devices"]
        self.stack_id = stacks.id_of(self.aws, self.name)

    def start_devices(self, number: int) -> None:
        """So many new devices of the stack's thing group take up the job."""
        for _ in range(number):
            device = f"{self.name}-device-{len(self.devices) + 1}"
            self.fleet.register(device)
            self.aws.client("iot").add_thing_to_thing_group(thingGroupName=self.group, thingName=device)
            self.fleet.start_next_job(device)
            self.devices.append(device)

    def begin_deletion(self) -> None:
        """Have CloudFormation delete the stack, and do not wait for it."""
        self.aws.client("cloudformation").delete_stack(StackName=self.stack_id)

    def end_of_deletion(self, *, seconds: float) -> None:
        """Wait for the end of the deletion. Raises StackFailed with CloudFormation's reasons, and TimedOut."""
        stacks.settle(self.aws, self.stack_id, "DELETE_COMPLETE", seconds=seconds)

    def has_bucket(self) -> bool:
        """True while the bucket of the stack exists."""
        return self.bucket in {bucket["Name"] for bucket in self.aws.client("s3").list_buckets()["Buckets"]}

    def succeed(self, device: str) -> bool:
        """The device reports SUCCEEDED."""
        return self.fleet.succeed(device, self.name)

    def time_line(self, log: FunctionLog) -> list[Moment]:
        """What the APIs tell of the deletion, in order; of moments at the same time, the cause comes first.

        Jobs tell whole seconds: in the second in which Teardown's deletion began, none is taken for earlier than that.
        """
        stack = list(self._of_stack())
        began = min(moment.at for moment in stack if moment.what == "DELETE_IN_PROGRESS")
        teardown = ("stack's Teardown", "DELETE_IN_PROGRESS")
        asked = next(moment.at for moment in stack if (moment.who, moment.what) == teardown)
        told = [*self._of_job(), *self._of_devices(), *self._of_canceler(log), *stack]
        known = [replace(each, at=asked) if each.at == asked.replace(microsecond=0) else each for each in told]
        since = [each for each in known if each.at >= began]
        return sorted(since, key=lambda moment: (moment.at, moment.what != "DELETE_IN_PROGRESS"))

    def _of_job(self) -> Iterator[Moment]:
        job = self.aws.client("iot").describe_job(jobId=self.name)["job"]
        yield Moment(job.get("completedAt", job["lastUpdatedAt"]), "job", job["status"])

    def _of_devices(self) -> Iterator[Moment]:
        for device in self.devices:
            execution = self.aws.client("iot").describe_job_execution(jobId=self.name, thingName=device)["execution"]
            yield Moment(execution["lastUpdatedAt"], device, execution["status"])

    def _of_canceler(self, log: FunctionLog) -> Iterator[Moment]:
        for at, report in log.timed_reports():
            for job in report["jobs"]:
                if job["jobId"] == self.name:
                    left = f"{job['executionsLeftInProgress']} left in progress"
                    yield Moment(at, "canceler", f"{report['status']}, job {job['outcome']}, {left}")

    def _of_stack(self) -> Iterator[Moment]:
        pages = self.aws.client("cloudformation").get_paginator("describe_stack_events")
        events = [event for page in pages.paginate(StackName=self.stack_id) for event in page["StackEvents"]]
        for event in reversed(events):
            is_stack = event.get("PhysicalResourceId") == self.stack_id
            who = "stack" if is_stack else f"stack's {event['LogicalResourceId']}"
            yield Moment(event["Timestamp"].astimezone(UTC), who, event["ResourceStatus"])


def durations_of(log: FunctionLog) -> list[float]:
    """Milliseconds that each invocation of the function took, as Lambda reports them, oldest first."""
    return [float(found[1]) for line in log.lines() if (found := _DURATION.match(line))]
