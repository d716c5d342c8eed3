"""`cancel-job` against the deployed stack: each option, the exit codes, and the output of `aws iot cancel-job`."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Canceler
from tools.localaws import sam
from tools.localaws.aws import isolated_environment

STACK = ("--stack-name", sam.STACK_NAME)
# What `aws iot cancel-job` prints, in its order; a job without a description has none. The others are the report's.
OF_CANCEL_JOB = ("jobArn", "jobId", "description")
OF_THE_REPORT = ("outcome", "detail", "executionsLeftInProgress")


def run(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Run the command, and return its exit code, output and errors."""
    command = [sys.executable, "-m", "iot_job_canceler", *arguments]
    settings = isolated_environment() | environment
    done = subprocess.run(command, cwd=sam.ROOT, env=settings, capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode, done.stdout, done.stderr


def cancel(canceler: Canceler, job_id: str, *arguments: str) -> tuple[int, dict[str, Any], str]:
    """Run `cancel-job` for a job, and return the exit code, the printed object and the errors."""
    code, output, errors = run(canceler.aws.environment, "cancel-job", "--job-id", job_id, *arguments)
    return code, json.loads(output or "{}"), errors


def test_a_job_is_canceled_with_reason_and_comment(canceler: Canceler) -> None:
    job_id = canceler.job("by-command", started=1, queued=1)
    code, printed, errors = cancel(canceler, job_id, "--reason-code", "BAD_FIRMWARE", "--comment", "Jo: ticket 42")
    assert (code, errors) == (0, "")
    assert {key: printed[key] for key in ("jobId", *OF_THE_REPORT)} == {
        "jobId": job_id,
        "outcome": "CANCELED",
        "detail": "",
        "executionsLeftInProgress": 1,
    }
    job = canceler.described(job_id)
    assert [job["status"], job["reasonCode"], job["comment"]] == ["CANCELED", "BAD_FIRMWARE", "Jo: ticket 42"]
    code, printed, errors = cancel(canceler, job_id)
    assert (code, printed["outcome"], errors) == (0, "ALREADY_CANCELED", "")


def test_the_output_has_the_keys_and_values_of_aws_iot_cancel_job(canceler: Canceler) -> None:
    """One of two equal jobs is canceled by the command, and the other one by CancelJob."""
    iot, job_id, twin = canceler.aws.client("iot"), "e2e-described-1", "e2e-described-2"
    targets = canceler.described(canceler.job("target"))["targets"]
    for each in (job_id, twin):
        iot.create_job(jobId=each, targets=targets, document="{}", description="October image")
    returned = iot.cancel_job(jobId=twin)
    expected = {key: str(value).replace(twin, job_id) for key, value in returned.items() if key != "ResponseMetadata"}
    code, printed, _ = cancel(canceler, job_id)
    of_cancel_job = [key for key in OF_CANCEL_JOB if key in expected]
    assert (code, list(printed)) == (0, [*of_cancel_job, *OF_THE_REPORT])
    assert {key: printed[key] for key in of_cancel_job} == expected


def test_a_dry_run_cancels_nothing(canceler: Canceler) -> None:
    job_id = canceler.job("dry")
    code, printed, _ = cancel(canceler, job_id, "--dry-run")
    assert (code, printed["outcome"]) == (0, "WOULD_CANCEL")
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]


def test_the_input_is_a_file_whose_values_the_options_override(canceler: Canceler, tmp_path: Path) -> None:
    job_id = canceler.job("by-file")
    skeleton = json.loads(run({}, "cancel-job", "--generate-cli-skeleton")[1])
    values = {"jobId": job_id, "reasonCode": "FROM_FILE", "comment": "from the file", "force": True}
    assert skeleton.keys() == values.keys()
    (tmp_path / "job.json").write_text(json.dumps(values))
    path = f"file://{tmp_path}/job.json"
    code, _, errors = run(
        canceler.aws.environment, "cancel-job", "--cli-input-json", path, "--no-force", "--comment", "from the option"
    )
    assert (code, errors) == (0, "")
    job = canceler.described(job_id)
    assert [job["status"], job["reasonCode"], job["comment"]] == ["CANCELED", "FROM_FILE", "from the option"]
    assert canceler.fleet.state(job_id).executions == {"IN_PROGRESS": 1}


def test_force_needs_the_parameter_of_the_stack(canceler: Canceler, forceful: Canceler) -> None:
    job_id = canceler.job("forced")
    code, printed, errors = cancel(canceler, job_id, "--force")
    assert (code, printed, canceler.statuses(job_id)) == (1, {}, ["IN_PROGRESS"])
    assert errors == (
        "iot-job-canceler: the function rejected the request: --force: must be false or omitted, since the stack's "
        "parameter Force is false\n"
    )
    for options, execution in ((["--no-force"], "IN_PROGRESS"), (["--force"], "CANCELED"), ([], "CANCELED")):
        job_id = forceful.job("forced", prefix="forceful-")
        code, _, errors = cancel(forceful, job_id, "--stack-name", "forceful", *options)
        assert (code, errors) == (0, "")
        assert forceful.fleet.state(job_id).executions == {execution: 1}


def test_a_protected_job_is_not_settled(canceler: Canceler) -> None:
    job_id = canceler.job("guarded", tags={"cancel-protection": "true"})
    code, printed, errors = cancel(canceler, job_id)
    assert (code, printed["outcome"], canceler.statuses(job_id)) == (1, "PROTECTED", ["IN_PROGRESS"])
    assert errors == (
        f"iot-job-canceler: job {job_id} is not settled: PROTECTED: the job is tagged cancel-protection=true\n"
    )


def test_an_unknown_job_is_gone(canceler: Canceler) -> None:
    code, printed, errors = cancel(canceler, "e2e-unknown")
    assert (code, printed["outcome"]) == (0, "GONE")
    assert printed["detail"] == "no such job in this account and Region"
    assert errors == "iot-job-canceler: job e2e-unknown: no such job in this account and Region; check the ID\n"


def test_the_connection_is_that_of_the_options(canceler: Canceler, tmp_path: Path) -> None:
    """With a configuration file as the only other source, and no variable that points to the local AWS."""
    job_id = canceler.job("by-profile")
    (tmp_path / "credentials").write_text("[lab]\naws_access_key_id = test\naws_secret_access_key = test\n")
    environment = {"AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    place = ["--profile", "lab", "--region", canceler.aws.region, "--endpoint-url", canceler.aws.endpoint_url]
    code, output, errors = run(environment, "cancel-job", "--job-id", job_id, *STACK, *place, "--output", "table")
    assert (code, errors) == (0, "")
    assert ["outcome", "CANCELED"] in [line.split() for line in output.splitlines()]
    assert canceler.statuses(job_id) == ["CANCELED"]


@pytest.mark.parametrize(
    ("environment", "arguments", "message"),
    [
        ({"AWS_DEFAULT_REGION": ""}, [], "no Region is set: use --region"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, [], "no AWS credentials: sign in"),
        ({}, ["--stack-name", "no-such-stack"], "no stack no-such-stack in the Region eu-central-1 of this account: "),
        ({}, ["--endpoint-url", "http://127.0.0.1:1"], "Could not connect to the endpoint URL"),
    ],
)
def test_an_error_is_one_line(
    canceler: Canceler, environment: dict[str, str], arguments: list[str], message: str
) -> None:
    settings = {name: value for name, value in (canceler.aws.environment | environment).items() if value}
    code, output, errors = run(settings, "cancel-job", "--job-id", "e2e-1", *arguments)
    assert (code, output, errors.count("\n")) == (1, "", 1)
    assert errors.startswith(f"iot-job-canceler: {message}")


def test_an_error_of_the_function_is_one_line(canceler: Canceler) -> None:
    with canceler.environment(FORCE="perhaps"):
        code, _, errors = cancel(canceler, "e2e-1")
    assert (code, errors.count("\n")) == (1, 1)
    assert errors.startswith("iot-job-canceler: the function failed: ")
    assert errors.endswith(
        "environment variable FORCE: must be true, false or TEARDOWN: its log is /aws/lambda/iot-job-canceler\n"
    )


@contextmanager
def user(canceler: Canceler, *actions: str) -> Iterator[dict[str, str]]:
    """Create a user with these permissions for the block, and yield its environment."""
    iam = canceler.aws.client("iam")
    allow = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
    iam.create_user(UserName="on-call")
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_user_policy(UserName="on-call", PolicyName="OnCall", PolicyDocument=policy)
    key = iam.create_access_key(UserName="on-call")["AccessKey"]
    credentials = {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}
    try:
        yield canceler.aws.environment | credentials
    finally:
        iam.delete_access_key(UserName="on-call", AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName="on-call", PolicyName="OnCall")
        iam.delete_user(UserName="on-call")


def test_two_permissions_are_enough_and_a_missing_one_is_named(canceler: Canceler) -> None:
    job_id = canceler.job("permitted")
    needed = ["cloudformation:DescribeStacks", "lambda:InvokeFunction"]
    for missing in needed:
        with user(canceler, *(each for each in needed if each != missing), "iam:GetUser") as environment:
            code, _, errors = run(environment, "cancel-job", "--job-id", job_id)
        assert (code, errors.count("\n")) == (1, 1)
        assert errors.startswith(f"iot-job-canceler: access denied: the command needs the permission {missing}: ")
        assert canceler.statuses(job_id) == ["IN_PROGRESS"]
    with user(canceler, *needed) as environment:
        assert run(environment, "cancel-job", "--job-id", job_id)[::2] == (0, "")
    assert canceler.statuses(job_id) == ["CANCELED"]


@pytest.mark.parametrize("form", ["input", "output"])
def test_a_skeleton_needs_no_aws(form: str) -> None:
    code, output, errors = run({}, "cancel-job", "--job-id", "a", "--generate-cli-skeleton", form)
    assert (code, errors) == (0, "")
    assert "jobId" in json.loads(output)
