"""A firmware rollout of examples/firmware-rollout.yaml, whose stack is deleted while devices run its job."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from tools.fleet.devices import Fleet
from tools.localaws import stacks
from tools.localaws.aws import LocalAws
from tools.localaws.reports import FunctionLog
from tools.localaws.sam import ROOT

_TEMPLATE = ROOT / "examples" / "firmware-rollout.yaml"


@dataclass(frozen=True)
class Moment:
    """One line of a timeline: the time, the actor, and its new status."""

    at: datetime
    who: str
    what: str


@dataclass
class Rollout:
    """A stack, its job of the same name, and its devices."""

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
        """Add new devices to the stack's thing group, and let them start the job."""
        for _ in range(number):
            device = f"{self.name}-device-{len(self.devices) + 1}"
            self.fleet.register(device)
            self.aws.client("iot").add_thing_to_thing_group(thingGroupName=self.group, thingName=device)
            self.fleet.start_next_job(device)
            self.devices.append(device)

    def begin_deletion(self) -> None:
        """Start the deletion of the stack."""
        self.aws.client("cloudformation").delete_stack(StackName=self.stack_id)

    def wait_for_deletion(self, *, seconds: float) -> None:
        """Wait until the stack is deleted. Raises StackFailed with CloudFormation's reasons, and TimedOut."""
        stacks.wait_for_status(self.aws, self.stack_id, "DELETE_COMPLETE", seconds=seconds)

    def has_bucket(self) -> bool:
        """Return True while the stack's bucket exists."""
        return self.bucket in {bucket["Name"] for bucket in self.aws.client("s3").list_buckets()["Buckets"]}

    def succeed(self, device: str) -> bool:
        """Let the device report SUCCEEDED. Return False if AWS IoT rejects the report."""
        return self.fleet.succeed(device, self.name)

    def timeline(self, log: FunctionLog) -> list[Moment]:
        """Return the events of the deletion by time. At the same time, the start of a deletion comes first.

        The times of jobs are whole seconds. A time in the second in which Teardown's deletion began is replaced by the
        time of that beginning, so that it does not precede its cause.
        """
        stack = list(self._of_stack())
        began = min(moment.at for moment in stack if moment.what == "DELETE_IN_PROGRESS")
        teardown = ("stack's Teardown", "DELETE_IN_PROGRESS")
        requested = next(moment.at for moment in stack if (moment.who, moment.what) == teardown)
        moments = [*self._of_job(), *self._of_devices(), *self._of_canceler(log), *stack]
        exact = [
            replace(each, at=requested) if each.at == requested.replace(microsecond=0) else each for each in moments
        ]
        return sorted(
            (each for each in exact if each.at >= began),
            key=lambda moment: (moment.at, moment.what != "DELETE_IN_PROGRESS"),
        )

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
