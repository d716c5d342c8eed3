"""The built bundle, deployed by the real SAM CLI to a MiniStack that enforces IAM. Nothing here is patched."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tools.fleet.devices import Fleet
from tools.fleet.triggers import Triggers, deliver
from tools.localaws import sam, stacks
from tools.localaws.aws import LocalAws
from tools.localaws.reports import FunctionLog, Report
from tools.polling import wait_for

PREFIX = "e2e-"
ALARM_PREFIX = "rollout-"
PATIENT = "patient"
_NUMBERS = count(1)


def unique(name: str) -> str:
    """Return the name behind a number that no other test gets.

    All files share one local AWS. A glob that begins with a unique name matches the jobs of its own test only.
    """
    return f"t{next(_NUMBERS)}-{name}"


@dataclass
class Canceler:
    """One deployed stack, and the operations of its users."""

    aws: LocalAws
    build_dir: Path
    outputs: Mapping[str, str]
    fleet: Fleet

    @property
    def function_name(self) -> str:
        return self.outputs["FunctionName"]

    @property
    def service_token(self) -> str:
        return self.outputs["ServiceToken"]

    @property
    def triggers(self) -> Triggers:
        return Triggers(self.aws, self.service_token, ALARM_PREFIX)

    @property
    def log(self) -> FunctionLog:
        return FunctionLog(self.aws, self.outputs["LogGroupName"])

    def job(
        self,
        name: str,
        *,
        queued: int = 0,
        started: int = 1,
        tags: Mapping[str, str] | None = None,
        prefix: str = PREFIX,
        batch: str | None = None,
    ) -> str:
        """Create a job with its own devices, some of which have started it, and return its id.

        The id begins with a unique name. Jobs that a test selects together have the unique name `batch` in common.
        """
        job_id = f"{prefix}{batch}-{name}" if batch else f"{prefix}{unique(name)}"
        devices = [f"{job_id}-device-{number}" for number in range(queued + started)]
        self.fleet.register(*devices)
        self.fleet.create_job(job_id, devices, tags)
        for device in devices[:started]:
            assert self.fleet.start_next_job(device) == job_id
        return job_id

    def invoke(self, event: object) -> Any:
        """Invoke synchronously, and return the result or the error that the function raised."""
        response = self.aws.client("lambda").invoke(FunctionName=self.function_name, Payload=json.dumps(event).encode())
        return json.loads(response["Payload"].read())

    def put_event(self, source: str, detail_type: str, detail: Mapping[str, object]) -> str:
        """Put one event on the default bus, and return its id."""
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
        response = self.aws.client("events").put_events(Entries=[entry])  # type: ignore[list-item] # a literal dict
        assert response["FailedEntryCount"] == 0
        return response["Entries"][0]["EventId"]

    def invoke_asynchronously(self, event: object) -> None:
        """Invoke as EventBridge and CloudFormation do on AWS: with retries, and then the failure queue.

        MiniStack's own EventBridge and CloudFormation invoke once, without either.
        """
        self.aws.client("lambda").invoke(
            FunctionName=self.function_name, InvocationType="Event", Payload=json.dumps(event).encode()
        )

    def deliver(self, event: Mapping[str, object]) -> None:
        """Deliver an event of AWS to the targets of the rules that match it, as EventBridge does."""
        deliver(self.aws, self.service_token, json.dumps(event))

    def report_on(self, job_id: str) -> Report:
        """Wait for the report of a run on the job, and return the last one."""

        def found() -> Report | None:
            reports = [r for r in self.log.reports() if any(job["jobId"] == job_id for job in r["jobs"])]
            return reports[-1] if reports else None

        return wait_for(f"a report on {job_id}", found, seconds=90)

    def described(self, job_id: str) -> Any:
        """Return the job from DescribeJob."""
        return self.aws.client("iot").describe_job(jobId=job_id)["job"]

    def statuses(self, *job_ids: str) -> list[str]:
        """Return the status of each job."""
        return [self.fleet.state(job_id).status for job_id in job_ids]

    @contextmanager
    def environment(self, **changed: str) -> Iterator[None]:
        """Run the block with other environment variables of the function."""
        client = self.aws.client("lambda")
        before = client.get_function_configuration(FunctionName=self.function_name)["Environment"]["Variables"]
        client.update_function_configuration(
            FunctionName=self.function_name, Environment={"Variables": {**before, **changed}}
        )
        try:
            yield
        finally:
            client.update_function_configuration(FunctionName=self.function_name, Environment={"Variables": before})

    @contextmanager
    def timeout(self, seconds: int) -> Iterator[None]:
        """Run the block with another timeout of the function."""
        client = self.aws.client("lambda")
        before = client.get_function_configuration(FunctionName=self.function_name)["Timeout"]
        client.update_function_configuration(FunctionName=self.function_name, Timeout=seconds)
        try:
            yield
        finally:
            client.update_function_configuration(FunctionName=self.function_name, Timeout=before)

    @contextmanager
    def short_lived(self, seconds: int, receives: int = 100) -> Iterator[None]:
        """Run the block with a short timeout, and a visibility timeout of the backlog that is just longer."""
        sqs, url = self.aws.client("sqs"), self.outputs["BacklogQueueUrl"]
        response = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout", "RedrivePolicy"])
        before = response["Attributes"]
        policy = json.loads(before["RedrivePolicy"]) | {"maxReceiveCount": receives}
        changed = {"VisibilityTimeout": str(seconds + 2), "RedrivePolicy": json.dumps(policy)}
        with self.timeout(seconds):
            sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)  # type: ignore[arg-type] # its keys are literals
            try:
                yield
            finally:
                sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sam.build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        yield running


@contextmanager
def running(aws: LocalAws, build_dir: Path, stack_name: str, **parameters: str) -> Iterator[Canceler]:
    """Deploy a stack that stays, and check its log at the end of the block."""
    outputs = sam.deploy(aws, parameters, build_dir=build_dir, stack_name=stack_name)
    canceler = Canceler(aws, build_dir, outputs, Fleet(aws))
    yield canceler
    leaks = [line for line in canceler.log.lines() if "/cfn-response/" in line]
    assert not leaks, "the log tells where to answer"


@contextmanager
def deployed(aws: LocalAws, build_dir: Path, stack_name: str, **parameters: str) -> Iterator[Canceler]:
    """Deploy a stack for the block, and delete it at its end, so that no later event reaches it."""
    try:
        with running(aws, build_dir, stack_name, **parameters) as canceler:
            yield canceler
    finally:
        stacks.delete(aws, stack_name)


@contextmanager
def own_bus(aws: LocalAws, name: str) -> Iterator[dict[str, str]]:
    """Create an event bus for the block, which gets the parameter that names it."""
    events = aws.client("events")
    events.create_event_bus(Name=name)
    try:
        yield {"EventBusName": name}
    finally:
        events.delete_event_bus(Name=name)


@pytest.fixture(scope="session")
def canceler(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """Force off, one prefix, alarms on. The only stack on the default bus that outlives a test file."""
    parameters = {
        "Force": "false",
        "JobIdPrefix": PREFIX,
        "AlarmNamePrefix": ALARM_PREFIX,
        "MaxJobsPerRun": "3",
        "CancelOnStackDelete": "true",
    }
    with running(aws, build_dir, sam.STACK_NAME, **parameters) as stack:
        yield stack


@pytest.fixture(scope="session")
def forceful(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """Force on, without alarms, on a bus of its own."""
    parameters = {"Force": "true", "JobIdPrefix": "forceful-"}
    with own_bus(aws, "forceful") as bus, running(aws, build_dir, "forceful", **parameters, **bus) as stack:
        yield stack


@pytest.fixture(scope="module")
def patient(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """Force off, on a bus of its own, for stacks whose deletion waits for devices. Each file begins with a new log."""
    with (
        own_bus(aws, PATIENT) as bus,
        deployed(aws, build_dir, PATIENT, Force="false", JobIdPrefix="rollout-", **bus) as stack,
    ):
        yield stack


@pytest.fixture(scope="module", autouse=True)
def _queues_and_rules_are_clean(aws: LocalAws) -> Iterator[None]:
    """Fail the file that leaves a message in a queue, or another stack's rule on the default bus.

    The message would be delivered, and the rule would start its function, in the middle of another file's test.
    """
    yield
    queues = aws.client("sqs").list_queues().get("QueueUrls", [])
    wait_for("empty queues", lambda: messages(aws, *queues) == 0 or None, seconds=60)
    rules = [rule["Name"] for rule in aws.client("events").list_rules()["Rules"]]
    assert [name for name in rules if not name.startswith(f"{sam.STACK_NAME}-")] == []


def messages(aws: LocalAws, *urls: str) -> int:
    """Count the messages in the queues, with those in flight and those delayed."""
    names: list[Any] = [f"ApproximateNumberOfMessages{kind}" for kind in ("", "NotVisible", "Delayed")]
    sqs = aws.client("sqs")
    counts = (sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"] for url in urls)
    return sum(int(number) for attributes in counts for number in attributes.values())
