"""The deployed function as its users see it: environment and events in; reports, responses, metrics and messages out.

The contract tests touch the handler and the fakes only here, so that they outlive every change of the code behind it.
"""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from handler.config import Config
from tests.conftest import Function
from tests.support.fakes import NOW, FakeJob
from tests.support.sqs import FakeMessage
from tools.simulators.events import STACK_ID

SERVICE_TOKEN = "arn:aws:lambda:eu-west-1:123456789012:function:iot-job-canceler-Function-k2Jc8sQf0aXb"

# What template.yaml sets with its defaults, on a stack named canceler.
ENVIRONMENT = {
    "CANCELS_PER_SECOND": "8",
    "SWEEP_JOB_ID_GLOB": "",
    "SWEEP_OLDER_THAN_HOURS": "168",
    "ALARM_NAME_PREFIX": "",
    "BACKLOG_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Backlog-1ABC",
    "TEARDOWN_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Teardowns-1ABC.fifo",
    "EVENT_BUS_NAME": "operations",
    "FORCE": "false",
    "DRY_RUN": "false",
    "MAX_JOBS_PER_RUN": "100",
    "JOB_ID_PREFIX": "",
    "PROTECTION_TAG_KEY": "cancel-protection",
    "MAX_FORCED_EXECUTIONS": "1000",
    "REQUIRED_TAG": "",
    "URL_SUFFIX": "amazonaws.com",
    "LOG_GROUP": "/aws/lambda/canceler",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "POWERTOOLS_METRICS_NAMESPACE": "IoTJobCanceler",
    "POWERTOOLS_SERVICE_NAME": "canceler",
}


def job(
    status: str = "IN_PROGRESS",
    *,
    running: int = 0,
    queued: int = 0,
    created_hours_ago: float = 720,
    updated_hours_ago: float = 720,
    **fields: Any,
) -> FakeJob:
    """A job of the fake AWS IoT, with `running` and `queued` executions."""
    executions = {f"thing-{number}": "IN_PROGRESS" for number in range(running)}
    executions |= {f"waiting-{number}": "QUEUED" for number in range(queued)}
    fields["created_at"] = NOW - timedelta(hours=created_hours_ago)
    fields["last_updated_at"] = NOW - timedelta(hours=updated_hours_ago)
    return FakeJob(status, executions, **fields)


@dataclass
class Stack:
    """One deployed stack, and all that leaves it.

    `retry_after` is the number of seconds until SQS redelivers the message that was received last, if the function has
    not let SQS delete it.
    """

    function: Function
    capsys: pytest.CaptureFixture[str]
    retry_after: float = field(default=0.0, init=False)
    _stdout: str = field(default="", init=False)

    def deploy(self, **environment: str) -> None:
        """Change environment variables of the function. CloudFormation's ResponseURL is that of a local server."""
        endpoint = {"AWS_ENDPOINT_URL": self.function.server.url}
        config = Config.from_env(ENVIRONMENT | endpoint | environment)
        self.function.services = replace(self.function.services, config=config)

    def invoke(self, event: object, seconds: float = 300) -> dict[str, Any]:
        """Return what Lambda gets from an invocation with a timeout of `seconds`."""
        return self.function(event, seconds)

    def receive(self, message: Mapping[str, Any], seconds: float = 300) -> dict[str, Any]:
        """Deliver an SQS message that Lambda has just received, and return what Lambda gets."""
        (record,) = message["Records"]
        now = self.function.clock()
        held = FakeMessage(record["messageId"], record["body"], {}, sent_at=now, visible_at=now + 330)
        held.receipt_handle, held.group = record["receiptHandle"], record["attributes"].get("MessageGroupId", "")
        self.function.sqs.messages.append(held)
        returned = self.invoke(message, seconds)
        self.function.sqs.messages.remove(held)
        self.retry_after = held.visible_at - self.function.clock()
        return returned

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.function.clock.advance(seconds)

    def create(self, jobs: Mapping[str, FakeJob]) -> None:
        """Create copies of these jobs."""
        self.jobs.update(deepcopy(dict(jobs)))

    @property
    def jobs(self) -> dict[str, FakeJob]:
        """The jobs of the fake AWS IoT."""
        return self.function.jobs.jobs

    @property
    def canceled(self) -> list[str]:
        """Ids of the jobs that were really canceled."""
        return sorted(self.function.jobs.canceled)

    @property
    def executions_canceled(self) -> list[tuple[str, str]]:
        """(job id, thing) of each execution that was canceled by itself."""
        return self.function.jobs.executions_canceled

    def before_each_iot_call(self, act: Any) -> None:
        """Call `act` with the name of the operation and the job id before each call of AWS IoT."""
        self.function.jobs.fault = act

    def refuse_responses(self) -> None:
        """Let CloudFormation's ResponseURL return 403 for good."""
        self.function.server.script = [403]

    def fire_timer(self) -> None:
        """Let the timer of the response guard fire, unless it has."""
        if timer := self.function.process.timer:
            timer.fire()

    @property
    def responses(self) -> list[dict[str, Any]]:
        """What CloudFormation received."""
        return self.function.server.responses

    @property
    def response_url(self) -> str:
        return f"{self.function.server.url}/response?X-Amz-Signature=secret"

    @property
    def published(self) -> list[dict[str, str]]:
        """The entries of PutEvents."""
        return self.function.bus.entries

    @property
    def sent(self) -> list[FakeMessage]:
        """The messages of SendMessage: body and attributes in boto3's shape, and the group of a FIFO message."""
        return self.function.sqs.messages

    @property
    def log(self) -> list[str]:
        """The log lines."""
        return [line for line in self.function.log.text.split("\n") if line]

    @property
    def metrics(self) -> Iterator[dict[str, Any]]:
        """The EMF records."""
        self._stdout += self.capsys.readouterr().out
        return (json.loads(line) for line in self._stdout.splitlines() if line.startswith('{"_aws"'))

    def request(self, request_type: str, physical_id: str | None = None, **properties: object) -> dict[str, Any]:
        """A request of CloudFormation for a Custom::IoTJobCancellation."""
        known = {} if physical_id is None else {"PhysicalResourceId": physical_id}
        return {
            "RequestType": request_type,
            "ServiceToken": SERVICE_TOKEN,
            "ResponseURL": self.response_url,
            "StackId": STACK_ID,
            "RequestId": "c7e5a3f1-28d6-4e0b-a9c8-6b5a4d3e2f10",
            "LogicalResourceId": "Teardown",
            "ResourceType": "Custom::IoTJobCancellation",
            "ResourceProperties": {"ServiceToken": SERVICE_TOKEN, **properties},
            **known,
        }
