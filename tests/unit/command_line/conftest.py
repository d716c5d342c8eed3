"""An AWS that returns prepared responses, and the command line that calls it."""

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from iot_job_canceler.commands import main

ARN = "arn:aws:cloudformation:eu-west-1:123456789012:stack/iot-job-canceler/5f3a"
OUTPUTS = {"FunctionName": "canceler-Function-1", "LogGroupName": "/aws/lambda/iot-job-canceler"}
SETTINGS: Any = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


@dataclass
class FakeAws:
    """`boto3.Session`, whose clients return the responses in the order in which the test added them.

    `sessions` has the arguments of each session, and `clients` those of each client.
    """

    cloudformation: Stubber
    functions: Stubber
    sessions: list[dict[str, Any]] = field(default_factory=list)
    clients: dict[str, dict[str, Any]] = field(default_factory=dict)
    error: Exception | None = None

    def __call__(self, **settings: Any) -> "FakeAws":
        self.sessions.append(settings)
        return self

    def client(self, service: str, **settings: Any) -> Any:
        if self.error:
            raise self.error
        self.clients[service] = settings
        return {"cloudformation": self.cloudformation.client, "lambda": self.functions.client}[service]

    def has_stack(self, name: str = "iot-job-canceler", outputs: dict[str, str] = OUTPUTS) -> None:
        """Respond to DescribeStacks for this name."""
        described = [{"OutputKey": key, "OutputValue": value} for key, value in outputs.items()]
        stack = {"StackName": name, "StackId": ARN, "StackStatus": "CREATE_COMPLETE", "Outputs": described}
        times = {"CreationTime": "2026-11-24T12:00:00Z"}
        self.cloudformation.add_response("describe_stacks", {"Stacks": [stack | times]}, {"StackName": name})

    def has_configuration(self, release: str, **variables: str) -> None:
        """Respond to GetFunctionConfiguration."""
        description = f"iot-job-canceler {release}, cancels AWS IoT jobs"
        configuration = {"Description": description, "Environment": {"Variables": variables}}
        self.functions.add_response(
            "get_function_configuration", configuration, {"FunctionName": "canceler-Function-1"}
        )

    def returns(self, request: object, result: object, **response: str) -> None:
        """Respond to Invoke with this request."""
        payload = result if isinstance(result, bytes) else json.dumps(result).encode()
        expected = {"FunctionName": "canceler-Function-1", "Payload": json.dumps(request).encode()}
        self.functions.add_response("invoke", {"Payload": io.BytesIO(payload), **response}, expected)


@pytest.fixture(scope="session")
def real_clients() -> tuple[Any, Any]:
    return boto3.client("cloudformation", **SETTINGS), boto3.client("lambda", **SETTINGS)


@pytest.fixture
def aws(real_clients: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAws]:
    cloudformation, functions = map(Stubber, real_clients)
    fake = FakeAws(cloudformation, functions)
    monkeypatch.setattr(boto3, "Session", fake)
    monkeypatch.delenv("AWS_REGION", raising=False)
    with cloudformation, functions:
        yield fake
        cloudformation.assert_no_pending_responses()
        functions.assert_no_pending_responses()


@dataclass(frozen=True)
class Shell:
    """Runs commands, and returns exit code, stdout and stderr."""

    capture: pytest.CaptureFixture[str]

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *self.capture.readouterr()


@pytest.fixture
def shell(capsys: pytest.CaptureFixture[str]) -> Shell:
    return Shell(capsys)
