"""The deployed stack and its function: the only AWS calls of the command line, and the translation of their errors."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError, NoRegionError

from .errors import CommandFailed, WrongUsage

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

type Report = Mapping[str, Any]

# The function's own timeout is 300 s. The SDK must not invoke it a second time while the first invocation still runs.
_INVOKE_CONFIG = Config(read_timeout=310, retries={"total_max_attempts": 1})

_PERMISSIONS = {
    "DescribeStacks": "cloudformation:DescribeStacks",
    "GetFunctionConfiguration": "lambda:GetFunctionConfiguration",
    "Invoke": "lambda:InvokeFunction",
}
_DENIED = "access denied: the command needs the permission {permission}: {message}"
_EXPIRED = "AWS does not accept the credentials: sign in again, or select others with --profile: {message}"
_THROTTLED = "{call} is throttled, and nothing was canceled: enter the command again: {message}"
_NO_STACK = (
    "no stack {stack} in the Region {region} of this account: check --stack-name, --region and --profile: {message}"
)
_NO_FUNCTION = "the function of the stack {stack} does not exist: deploy the stack again: {message}"
_MESSAGES_BY_CODE = {
    "AccessDenied": _DENIED,
    "AccessDeniedException": _DENIED,
    "UnauthorizedOperation": _DENIED,
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidClientTokenId": _EXPIRED,
    "InvalidSignatureException": _EXPIRED,
    "RequestExpired": _EXPIRED,
    "SignatureDoesNotMatch": _EXPIRED,
    "UnrecognizedClientException": _EXPIRED,
    "RequestLimitExceeded": _THROTTLED,
    "Throttling": _THROTTLED,
    "ThrottlingException": _THROTTLED,
    "TooManyRequestsException": _THROTTLED,
    "ValidationError": _NO_STACK,  # of DescribeStacks, also for a name that no stack can have
    "ResourceNotFoundException": _NO_FUNCTION,
}


@dataclass(frozen=True)
class DeployedStack:
    """A stack that has the function `function_name`."""

    name: str
    arn: str
    function_name: str
    log_group: str
    functions: "LambdaClient"

    @property
    def place(self) -> str:
        """The account, the Region and the endpoint."""
        _, _, _, region, account, *_ = self.arn.split(":")
        return f"account {account}, Region {region}, {self.functions.meta.endpoint_url}"

    @cached_property
    def configuration(self) -> "FunctionConfigurationResponseTypeDef":
        """The configuration of the function. Raises CommandFailed."""
        with _translated_errors("GetFunctionConfiguration", self.name):
            return self.functions.get_function_configuration(FunctionName=self.function_name)

    def invoke(self, request: Mapping[str, Any]) -> Report:
        """Invoke the function, wait for it, and return its report. Raises CommandFailed."""
        with _translated_errors("Invoke", self.name):
            response = self.functions.invoke(FunctionName=self.function_name, Payload=json.dumps(request).encode())
            payload = response["Payload"].read()
        result = _parsed(payload)
        if response.get("FunctionError"):
            raise CommandFailed(f"the function failed: {_error_in(result)}: its log is {self.log_group}")
        if not isinstance(result, dict) or not {"status", "dryRun", "reason", "jobs"} <= result.keys():
            raise CommandFailed(f"the response is not a report of iot-job-canceler: {result}")
        is_dry_run = request["cancel"].get("dryRun") is True
        if is_dry_run and result["status"] != "REJECTED" and result["dryRun"] is not True:
            raise CommandFailed(f"the function did not treat the request as a dry run: {result}")
        return result


def connect(name: str, *, region: str | None, profile: str | None, endpoint_url: str | None) -> DeployedStack:
    """Return the stack, whose outputs name the function. Raises CommandFailed, WrongUsage.

    The credentials are those of `profile`, or else those that the SDK finds.
    """
    with _translated_errors("DescribeStacks", name):
        try:
            session = boto3.Session(profile_name=profile, region_name=region)
            cloudformation = session.client("cloudformation", endpoint_url=endpoint_url)
            functions = session.client("lambda", endpoint_url=endpoint_url, config=_INVOKE_CONFIG)
        except ValueError as error:  # an endpoint or a Region that cannot be one
            raise WrongUsage(str(error)) from error
    with _translated_errors("DescribeStacks", name, functions.meta.region_name):
        stack = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}
    if not {"FunctionName", "LogGroupName"} <= outputs.keys():
        raise CommandFailed(
            f"the stack {name} is {stack['StackStatus']} and has no output FunctionName: it is not an iot-job-canceler "
            "stack, or it is not deployed: check --stack-name"
        )
    return DeployedStack(name, stack["StackId"], outputs["FunctionName"], outputs["LogGroupName"], functions)


@contextmanager
def _translated_errors(call: str, stack: str, region: str = "") -> Iterator[None]:
    """Raise CommandFailed for an error of the SDK or of AWS."""
    try:
        yield
    except ClientError as error:
        code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        text = _MESSAGES_BY_CODE.get(code, "{call} failed: {code}: {message}")
        values = {"call": call, "code": code, "message": message, "permission": _PERMISSIONS[call]}
        raise CommandFailed(text.format(stack=stack, region=region, **values)) from error
    except BotoCoreError as error:
        raise CommandFailed(_explained(error, call)) from error


def _explained(error: BotoCoreError, call: str) -> str:
    match error:
        case NoCredentialsError():
            return "no AWS credentials: sign in, or select others with --profile"
        case NoRegionError():
            return "no Region is set: use --region, AWS_REGION, or a --profile that has one"
        case HTTPClientError() if call == "Invoke":
            return f"no response from the function, which may still run: it is safe to enter the command again: {error}"
    return str(error)


def _parsed(payload: bytes) -> object:
    try:
        return json.loads(payload)
    except ValueError:
        return payload


def _error_in(result: object) -> str:
    """Return the error that Lambda describes in the payload of a failed invocation."""
    match result:
        case {"errorType": kind, "errorMessage": message}:
            return f"{kind}: {message}"
    return str(result)
