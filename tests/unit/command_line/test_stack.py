"""The stack is found by its name, the function is invoked once, and every error is one line."""

import runpy
import sys
from typing import Any

import pytest
from botocore.exceptions import (
    ConnectTimeoutError,
    EndpointConnectionError,
    InvalidRegionError,
    NoCredentialsError,
    NoRegionError,
    ProfileNotFound,
    ReadTimeoutError,
)

from tests.unit.command_line.conftest import FakeAws, Shell

JOB = ("cancel-job", "--job-id", "a")
REQUEST = {"cancel": {"jobId": "a"}}
JOBS = [{"jobId": "a", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 0}]
REPORT = {"status": "SETTLED", "dryRun": False, "reason": "", "jobs": JOBS}


def test_the_defaults_are_those_of_the_sdk_and_a_long_timeout_without_retries(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    aws.returns(REQUEST, REPORT)
    assert shell(*JOB)[0] == 0
    assert aws.sessions == [{"profile_name": None, "region_name": None}]
    assert aws.clients["cloudformation"] == {"endpoint_url": None}
    config = aws.clients["lambda"].pop("config")
    assert (config.read_timeout, config.retries) == (310, {"total_max_attempts": 1})
    assert aws.clients["lambda"] == {"endpoint_url": None}


@pytest.mark.parametrize(
    ("variable", "arguments", "region"),
    [("", [], None), ("eu-north-1", [], "eu-north-1"), ("eu-north-1", ["--region", "eu-west-1"], "eu-west-1")],
)
def test_the_region_of_the_shell_is_that_of_the_aws_cli(
    aws: FakeAws, shell: Shell, monkeypatch: pytest.MonkeyPatch, variable: str, arguments: list[str], region: str | None
) -> None:
    monkeypatch.setenv("AWS_REGION", variable)
    aws.has_stack()
    aws.returns(REQUEST, REPORT)
    assert shell(*JOB, *arguments)[0] == 0
    assert aws.sessions[0]["region_name"] == region


def test_the_options_select_stack_profile_region_and_endpoint(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack("lab")
    aws.returns(REQUEST, REPORT)
    place = ("--profile", "p", "--region", "eu-west-1", "--endpoint-url", "http://localhost:1")
    assert shell(*JOB, "--stack-name", "lab", *place)[0] == 0
    assert aws.sessions == [{"profile_name": "p", "region_name": "eu-west-1"}]
    assert {each["endpoint_url"] for each in aws.clients.values()} == {"http://localhost:1"}


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (NoCredentialsError(), 1, "no AWS credentials: sign in, or select others with --profile"),
        (NoRegionError(), 1, "no Region is set: use --region, AWS_REGION, or a --profile that has one"),
        (ProfileNotFound(profile="p"), 1, "The config profile (p) could not be found"),
        (
            InvalidRegionError(region_name="x!"),
            2,
            "Provided region_name 'x!' doesn't match a supported format. See iot-job-canceler cancel-job --help",
        ),
        (ValueError("Invalid endpoint: x"), 2, "Invalid endpoint: x. See iot-job-canceler cancel-job --help"),
        (KeyboardInterrupt(), 130, "interrupted: a request that was sent is not withdrawn"),
    ],
)
def test_an_error_before_the_first_call_is_one_line(
    aws: FakeAws, shell: Shell, error: Exception, code: int, message: str
) -> None:
    aws.error = error
    assert shell(*JOB) == (code, "", f"iot-job-canceler: {message}\n")


@pytest.mark.parametrize(
    ("code", "text", "message"),
    [
        (
            "AccessDenied",
            "User: u is not authorized",
            "access denied: the command needs the permission cloudformation:DescribeStacks: User: u is not authorized",
        ),
        (
            "ExpiredToken",
            "The token is expired",
            "AWS does not accept the credentials: sign in again, or select others with --profile: The token is expired",
        ),
        (
            "Throttling",
            "Rate exceeded",
            "DescribeStacks is throttled, and nothing was canceled: enter the command again: Rate exceeded",
        ),
        (
            "ValidationError",
            "Not here",
            (
                "no stack iot-job-canceler in the Region eu-west-1 of this account: "
                "check --stack-name, --region and --profile: Not here"
            ),
        ),
        ("Strange", "first\nsecond {line}", "DescribeStacks failed: Strange: first second {line}"),
    ],
)
def test_an_error_of_cloudformation_is_one_line(aws: FakeAws, shell: Shell, code: str, text: str, message: str) -> None:
    aws.cloudformation.add_client_error("describe_stacks", code, text)
    assert shell(*JOB) == (1, "", f"iot-job-canceler: {message}\n")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("AccessDeniedException", "access denied: the command needs the permission lambda:InvokeFunction: text"),
        (
            "TooManyRequestsException",
            "Invoke is throttled, and nothing was canceled: enter the command again: text",
        ),
        (
            "ResourceNotFoundException",
            "the function of the stack iot-job-canceler does not exist: deploy the stack again: text",
        ),
        (
            "UnrecognizedClientException",
            "AWS does not accept the credentials: sign in again, or select others with --profile: text",
        ),
        ("ServiceException", "Invoke failed: ServiceException: text"),
    ],
)
def test_an_error_of_lambda_is_one_line(aws: FakeAws, shell: Shell, code: str, message: str) -> None:
    aws.has_stack()
    aws.functions.add_client_error("invoke", code, "text")
    assert shell(*JOB) == (1, "", f"iot-job-canceler: {message}\n")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ReadTimeoutError(endpoint_url="https://x"),
            (
                "no response from the function, which may still run: it is safe to enter the command again: "
                'Read timeout on endpoint URL: "https://x"'
            ),
        ),
        (EndpointConnectionError(endpoint_url="https://x"), 'Could not connect to the endpoint URL: "https://x"'),
        (ConnectTimeoutError(endpoint_url="https://x"), 'Connect timeout on endpoint URL: "https://x"'),
    ],
)
def test_an_error_of_the_network_says_whether_the_function_may_run(
    aws: FakeAws, shell: Shell, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def fail(**_: object) -> None:
        raise error

    aws.has_stack()
    monkeypatch.setattr(aws.functions.client, "invoke", fail)
    assert shell(*JOB) == (1, "", f"iot-job-canceler: {message}\n")


@pytest.mark.parametrize("outputs", [{}, {"FunctionName": "f"}])
def test_a_stack_without_the_outputs_is_another_stack(aws: FakeAws, shell: Shell, outputs: dict[str, str]) -> None:
    aws.has_stack(outputs=outputs)
    assert shell(*JOB) == (
        1,
        "",
        (
            "iot-job-canceler: the stack iot-job-canceler is CREATE_COMPLETE and has no output FunctionName: it is not "
            "an iot-job-canceler stack, or it is not deployed: check --stack-name\n"
        ),
    )


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ({"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out"}, "Sandbox.Timedout: Task timed out"),
        ("no object", "no object"),
    ],
)
def test_an_error_of_the_function_names_its_log(aws: FakeAws, shell: Shell, result: object, message: str) -> None:
    aws.has_stack()
    aws.returns(REQUEST, result, FunctionError="Unhandled")
    assert shell(*JOB) == (
        1,
        "",
        f"iot-job-canceler: the function failed: {message}: its log is /aws/lambda/iot-job-canceler\n",
    )


@pytest.mark.parametrize(
    ("result", "message"),
    [
        ("hello", "the response is not a report of iot-job-canceler: hello"),
        ({"status": "SETTLED"}, "the response is not a report of iot-job-canceler: {'status': 'SETTLED'}"),
        (b"<html>", "the response is not a report of iot-job-canceler: b'<html>'"),
        (REPORT | {"jobs": [], "status": "IGNORED", "reason": "why"}, "the report has no job: IGNORED: why"),
    ],
)
def test_the_result_of_another_function_is_an_error(aws: FakeAws, shell: Shell, result: object, message: str) -> None:
    aws.has_stack()
    aws.returns(REQUEST, result)
    assert shell(*JOB) == (1, "", f"iot-job-canceler: {message}\n")


def test_a_function_that_ignores_dry_run_is_an_error(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    aws.returns({"cancel": {"jobId": "a", "dryRun": True}}, REPORT)
    code, output, errors = shell(*JOB, "--dry-run")
    assert (code, output) == (1, "")
    assert errors.startswith("iot-job-canceler: the function did not treat the request as a dry run: {'status'")


@pytest.mark.parametrize(("arguments", "code"), [(["--version"], 0), ([], 2)])
def test_the_module_is_a_command(
    arguments: list[str], code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["iot_job_canceler", *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("iot_job_canceler", run_name="__main__")
    assert ended.value.code == code
    printed: Any = capsys.readouterr()
    assert (printed.out or printed.err).startswith("iot-job-canceler")


@pytest.mark.parametrize("command", [[], ["cancel-job"], ["plan"]])
def test_help_lists_each_option(shell: Shell, command: list[str]) -> None:
    code, output, _ = shell(*command, "--help")
    assert code == 0
    options = {
        "": ["cancel-job", "plan", "--version"],
        "cancel-job": [
            *("--job-id", "--comment", "--reason-code", "--force", "--no-force", "--dry-run", "--cli-input-json"),
            *("--generate-cli-skeleton", "--stack-name", "--region", "--profile", "--endpoint-url", "--output"),
            *("examples:", "exit codes:"),
        ],
        "plan": ["--event", "--stack-name", "--region", "--profile", "--endpoint-url", "--output", "exit codes:"],
    }
    assert [each for each in options["".join(command)] if each not in output] == []
