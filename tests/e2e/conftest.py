"""The built bundle, deployed by the real SAM CLI to a MiniStack that enforces IAM. Nothing here is patched."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tools.fleet.devices import Fleet
from tools.fleet.triggers import Triggers, deliver
from tools.localaws import sam
from tools.localaws.aws import LocalAws
from tools.localaws.reports import FunctionLog, Report
from tools.polling import wait_for

PREFIX = "e2e-"
ALARM_PREFIX = "rollout-"


@dataclass
class Canceler:
    """One deployed stack, and what its users do with it."""

    aws: LocalAws
    build_dir: Path
    outputs: Mapping[str, str]
    fleet: Fleet
    _numbers: Iterator[int] = field(default_factory=lambda: count(1))

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
    ) -> str:
        """A new job of its own devices, some of which have started it."""
        job_id = f"{prefix}{name}-{self.function_name[-6:]}-{next(self._numbers)}"
        devices = [f"{job_id}-device-{number}" for number in range(queued + started)]
        self.fleet.register(*devices)
        self.fleet.create_job(job_id, devices, tags)
        for device in devices[:started]:
            assert self.fleet.start_next_job(device) == job_id
        return job_id

    def invoke(self, event: object) -> Any:
        """The function's return value for a synchronous invocation, or the error that it raised."""
        answer = self.aws.client("lambda").invoke(FunctionName=self.function_name, Payload=json.dumps(event).encode())
        return json.loads(answer["Payload"].read())

    def put_event(self, source: str, detail_type: str, detail: Mapping[str, object]) -> str:
        """Put one event on the default bus, and give its id."""
        entry = {"Source": source, "DetailType": detail_type, "Detail": json.dumps(detail)}
        answer = self.aws.client("events").put_events(Entries=[entry])  # type: ignore[list-item] # a literal dict
        assert answer["FailedEntryCount"] == 0
        return answer["Entries"][0]["EventId"]

    def invoke_asynchronously(self, event: object) -> None:
        """As EventBridge and CloudFormation invoke on AWS: with retries, and the failure queue at the end of them.

        MiniStack's own EventBridge and CloudFormation invoke once, without either.
        """
        self.aws.client("lambda").invoke(
            FunctionName=self.function_name, InvocationType="Event", Payload=json.dumps(event).encode()
        )

    def deliver(self, event: Mapping[str, object]) -> None:
        """What EventBridge does with an event of AWS's own: hold it against the rules, and hand it to their target."""
        deliver(self.aws, self.service_token, json.dumps(event))

    def report_on(self, job_id: str) -> Report:
        """The last run's report that speaks of the job."""

        def found() -> Report | None:
            told = [r for r in self.log.reports() if any(job["jobId"] == job_id for job in r["jobs"])]
            return told[-1] if told else None

        return wait_for(f"a report on {job_id}", found, seconds=90)

    def described(self, job_id: str) -> Any:
        """The job as DescribeJob has it."""
        return self.aws.client("iot").describe_job(jobId=job_id)["job"]

    def statuses(self, *job_ids: str) -> list[str]:
        """The status of each of the jobs."""
        return [self.fleet.state(job_id).status for job_id in job_ids]

    @contextmanager
    def environment(self, **changed: str) -> Iterator[None]:
        """The function with other environment variables, and with its own again afterwards."""
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
    def short_lived(self, seconds: int, receives: int = 100) -> Iterator[None]:
        """The function with a short time-out, and messages leased for just longer than that."""
        client, sqs = self.aws.client("lambda"), self.aws.client("sqs")
        url = self.outputs["BacklogQueueUrl"]
        answer = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout", "RedrivePolicy"])
        before = answer["Attributes"]
        policy = json.loads(before["RedrivePolicy"]) | {"maxReceiveCount": receives}
        changed = {"VisibilityTimeout": str(seconds + 2), "RedrivePolicy": json.dumps(policy)}
        client.update_function_configuration(FunctionName=self.function_name, Timeout=seconds)
        sqs.set_queue_attributes(QueueUrl=url, Attributes=changed)  # type: ignore[arg-type] # its keys are literals
        try:
            yield
        finally:
            client.update_function_configuration(FunctionName=self.function_name, Timeout=300)
            sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


@pytest.fixture(scope="session")
def build_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sam.build(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="session")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        yield running


def deployed(aws: LocalAws, build_dir: Path, stack_name: str, **parameters: str) -> Iterator[Canceler]:
    outputs = sam.deploy(aws, parameters, build_dir=build_dir, stack_name=stack_name)
    canceler = Canceler(aws, build_dir, outputs, Fleet(aws))
    yield canceler
    leaks = [line for line in canceler.log.lines() if "/cfn-response/" in line]
    assert not leaks, "the log tells where to answer"


@pytest.fixture(scope="session")
def canceler(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """Force off, one prefix, alarms on."""
    yield from deployed(
        aws,
        build_dir,
        sam.STACK_NAME,
        Force="false",
        JobIdPrefix=PREFIX,
        AlarmNamePrefix=ALARM_PREFIX,
        MaxJobsPerRun="3",
        CancelOnStackDelete="true",
    )


@pytest.fixture(scope="session")
def forceful(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """Force on, without alarms, on a bus of its own."""
    aws.client("events").create_event_bus(Name="forceful")
    yield from deployed(aws, build_dir, "forceful", Force="true", JobIdPrefix="forceful-", EventBusName="forceful")
