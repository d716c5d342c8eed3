"""The services behind the sockets: AWS IoT, SQS, and S3, which receives the responses to CloudFormation."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from botocore.exceptions import ClientError
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel

from tests.faults.sockets import Request, response
from tests.support.bus import FakeBus
from tests.support.response_url import Received, ResponseUrl
from tests.support.sqs import FakeSqs
from tools.simulators.events import RESPONSE_HOST
from tools.simulators.faults import ServiceError
from tools.simulators.iot import IotSimulator

IOT, SQS = "iot.eu-west-1.amazonaws.com", "sqs.eu-west-1.amazonaws.com"
EVENTS, S3 = "events.eu-west-1.amazonaws.com", RESPONSE_HOST
PUT = "PUT"
_OPERATIONS = (
    *("CancelJob", "DescribeJob", "ListJobs", "ListTagsForResource"),
    *("ListJobExecutionsForJob", "CancelJobExecution"),
)

type Act = Callable[[], bytes]


def error(status: int, code: str, message: str) -> bytes:
    """Return an error response of IoT or SQS."""
    body = {"__type": code, "message": message}
    return response(status, json.dumps(body).encode(), headers={"x-amzn-ErrorType": code})


def iot(request: Request, backend: IotSimulator) -> tuple[str, Act]:
    """Return the requested operation, and the function that runs it."""
    operation, in_path = _operation(request)

    def act() -> bytes:
        try:
            result = backend.call(operation.name, _parameters(operation, request, in_path))
        except ServiceError as refusal:
            return error(refusal.status, refusal.code, refusal.message)
        return response(200, json.dumps(result, default=datetime.timestamp).encode())

    return operation.name, act


def sqs(request: Request, queues: FakeSqs) -> tuple[str, Act]:
    """The same for the two queues."""
    operation = request.headers["x-amz-target"].removeprefix("AmazonSQS.")

    def act() -> bytes:
        parameters = json.loads(request.body)
        try:
            if operation == "SendMessage":
                queues.send_message(**parameters)
            else:
                assert operation == "ChangeMessageVisibility"
                queues.change_message_visibility(**parameters)
        except ClientError as refusal:
            return error(400, f"com.amazonaws.sqs#{refusal.response['Error']['Code']}", "refused")
        return response(200, b"{}")

    return operation, act


def events(request: Request, bus: FakeBus) -> tuple[str, Act]:
    """The same for the event bus."""
    operation = request.headers["x-amz-target"].removeprefix("AWSEvents.")
    assert operation == "PutEvents"
    return operation, lambda: response(200, json.dumps(bus.put_events(**json.loads(request.body))).encode())


def s3(request: Request, response_url: ResponseUrl) -> tuple[str, Act]:
    """The same for the bucket behind ResponseURL."""

    def act() -> bytes:
        assert (request.method, request.headers["content-type"]) == ("PUT", "")
        status = response_url.take(Received(request.method, request.url.geturl(), request.headers, request.body))
        return response(cast("int", status))

    return PUT, act


@cache
def _routes() -> list[tuple[str, re.Pattern[str], OperationModel]]:
    model = ServiceModel(Loader().load_service_model("iot", "service-2"))
    operations = [model.operation_model(name) for name in _OPERATIONS]
    return [(each.http["method"], _pattern(each.http["requestUri"]), each) for each in operations]


def _pattern(uri: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", uri))


def _operation(request: Request) -> tuple[OperationModel, Mapping[str, str]]:
    found = [
        (operation, match.groupdict())
        for method, pattern, operation in _routes()
        if method == request.method and (match := pattern.fullmatch(request.url.path))
    ]
    assert len(found) == 1, f"{request.method} {request.url.path} is not a call that the function may make"
    return found[0]


def _parameters(operation: OperationModel, request: Request, in_path: Mapping[str, str]) -> dict[str, Any]:
    parameters = {name: unquote(value) for name, value in in_path.items()} | dict(parse_qsl(request.url.query))
    members: Any = operation.input_shape and operation.input_shape.members
    body: dict[str, Any] = json.loads(request.body or b"{}")
    return body | {name: _TYPES[members[name].type_name](value) for name, value in parameters.items()}


_TYPES: dict[str, Callable[[str], object]] = {"boolean": lambda text: text == "true", "integer": int, "string": str}
