"""`cancel-job` sends what its options say, and prints the result as `aws iot cancel-job` does."""

import json
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.utils import ArgumentGenerator

from tests.unit.command_line.conftest import FakeAws, Shell

JOB = ("cancel-job", "--job-id", "a")
REQUEST = {"cancel": {"jobId": "a"}}
CANCELED = {
    "jobId": "a",
    "jobArn": "arn:aws:iot:eu-west-1:123456789012:job/a",
    "description": "Größe",
    "outcome": "CANCELED",
    "detail": "",
    "executionsLeftInProgress": 2,
}
CANCEL_JOB: Any = botocore.session.get_session().get_service_model("iot").operation_model("CancelJob")


def report(status: str = "SETTLED", reason: str = "", *, dry_run: bool = False, **job: Any) -> dict[str, Any]:
    """Return a report of the job `a`."""
    jobs = [] if status == "REJECTED" else [{**CANCELED, **job}]
    return {"status": status, "dryRun": dry_run, "force": False, "reason": reason, "jobs": jobs}


# Output


def test_the_result_is_json_in_the_form_of_the_aws_cli(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    aws.returns(REQUEST, report())
    assert shell(*JOB) == (
        0,
        """\
{
    "jobArn": "arn:aws:iot:eu-west-1:123456789012:job/a",
    "jobId": "a",
    "description": "Größe",
    "outcome": "CANCELED",
    "detail": "",
    "executionsLeftInProgress": 2
}
""",
        "",
    )


def test_a_table_has_the_same_keys(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    aws.returns(REQUEST, report(description="[red]October[/]"))
    code, output, _ = shell(*JOB, "--output", "table")
    assert code == 0
    assert [line.split() for line in output.splitlines()[2:]] == [
        ["jobArn", "arn:aws:iot:eu-west-1:123456789012:job/a"],
        ["jobId", "a"],
        ["description", "[red]October[/]"],
        ["outcome", "CANCELED"],
        ["detail"],
        ["executionsLeftInProgress", "2"],
    ]


def test_a_key_that_the_report_does_not_have_is_omitted(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    gone = {"jobId": "a", "outcome": "GONE", "detail": "no such job", "executionsLeftInProgress": 0}
    aws.returns(REQUEST, report() | {"jobs": [gone]})
    code, output, errors = shell(*JOB)
    assert (code, json.loads(output)) == (0, gone)
    assert errors == "iot-job-canceler: job a: no such job; check the ID\n"


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (
            report("UNSETTLED", outcome="PROTECTED", detail="the job is tagged cancel-protection=true"),
            "job a is not settled: PROTECTED: the job is tagged cancel-protection=true",
        ),
        (report("UNSETTLED", outcome="FAILED", detail="E: no\nway"), "job a is not settled: FAILED: E: no way"),
        (
            report("UNFINISHED", "1 job is deferred", outcome="DEFERRED", detail="Throttled: slow"),
            (
                "job a is not settled: DEFERRED: Throttled: slow: 1 job is deferred; the function continues by itself: "
                "enter the command again to read the result"
            ),
        ),
    ],
)
def test_a_job_that_is_not_settled_is_printed_with_the_reason(
    aws: FakeAws, shell: Shell, result: dict[str, Any], message: str
) -> None:
    aws.has_stack()
    aws.returns(REQUEST, result)
    code, output, errors = shell(*JOB)
    assert (code, json.loads(output)["outcome"]) == (1, result["jobs"][0]["outcome"])
    assert errors == f"iot-job-canceler: {message}\n"


PLAN_ID = "0123456789abcdef" * 2


def test_a_dry_run_prints_its_plan_id_and_the_request_has_it(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    dry_run = {"cancel": {"jobId": "a", "dryRun": True}}
    aws.returns(dry_run, report(dry_run=True, outcome="WOULD_CANCEL") | {"planId": PLAN_ID})
    _, output, _ = shell(*JOB, "--dry-run")
    assert json.loads(output)["planId"] == PLAN_ID
    aws.has_stack()
    aws.returns({"cancel": {"jobId": "a", "planId": PLAN_ID}}, report("REJECTED", "planId: is not the plan"))
    assert shell(*JOB, "--plan-id", PLAN_ID) == (
        1,
        "",
        "iot-job-canceler: the function rejected the request: --plan-id: is not the plan\n",
    )


def test_an_invalid_plan_id_is_wrong_usage(aws: FakeAws, shell: Shell) -> None:
    code, output, errors = shell(*JOB, "--plan-id", "a")
    assert (code, output, aws.sessions) == (2, "", [])
    assert errors.startswith("iot-job-canceler: --plan-id: must be a string of 32 of the characters 0-9 a-f")


def test_an_unfinished_dry_run_does_not_continue(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    aws.returns(
        {"cancel": {"jobId": "a", "dryRun": True}},
        report("UNFINISHED", dry_run=True, outcome="DEFERRED", detail="slow"),
    )
    code, _, errors = shell(*JOB, "--dry-run")
    assert (code, errors) == (1, "iot-job-canceler: job a is not settled: DEFERRED: slow\n")


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("force: must be false or omitted", "the function rejected the request: --force: must be false or omitted"),
        ("jobId: must start with 'ota-'", "the function rejected the request: --job-id: must start with 'ota-'"),
        ("dryRun: must be true", "the function rejected the request: dryRun: must be true"),
    ],
)
def test_a_rejected_request_names_the_option(aws: FakeAws, shell: Shell, reason: str, message: str) -> None:
    aws.has_stack()
    aws.returns(REQUEST, report("REJECTED", reason))
    assert shell(*JOB) == (1, "", f"iot-job-canceler: {message}\n")


def test_a_stack_with_dry_run_cancels_nothing_and_says_so(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    aws.returns(REQUEST, report(dry_run=True, outcome="WOULD_CANCEL"))
    code, output, errors = shell(*JOB)
    assert (code, json.loads(output)["outcome"]) == (0, "WOULD_CANCEL")
    assert errors == "iot-job-canceler: nothing was canceled, because the stack's parameter DryRun is true\n"


# Input


@pytest.mark.parametrize(
    ("arguments", "cancel"),
    [
        ([], {"jobId": "a"}),
        (["--comment", "Jo: ticket 42"], {"jobId": "a", "comment": "Jo: ticket 42"}),
        (["--reason-code", "BAD_FIRMWARE"], {"jobId": "a", "reasonCode": "BAD_FIRMWARE"}),
        (["--force"], {"jobId": "a", "force": True}),
        (["--no-force"], {"jobId": "a", "force": False}),
        (["--cli-input-json", '{"jobId": "b", "force": true}'], {"jobId": "a", "force": True}),
        (["--cli-input-json", '{"jobId": "", "force": true}', "--no-force"], {"jobId": "a", "force": False}),
        (
            ["--cli-input-json", '{"reasonCode": "X", "comment": "b"}', "--comment", "c"],
            {"reasonCode": "X", "comment": "c", "jobId": "a"},
        ),
    ],
)
def test_options_become_the_request_and_override_the_input(
    aws: FakeAws, shell: Shell, arguments: list[str], cancel: dict[str, object]
) -> None:
    aws.has_stack()
    aws.returns({"cancel": cancel}, report())
    assert shell(*JOB, *arguments)[0] == 0


def test_dry_run_is_sent(aws: FakeAws, shell: Shell) -> None:
    aws.has_stack()
    aws.returns({"cancel": {"jobId": "a", "dryRun": True}}, report(dry_run=True, outcome="WOULD_CANCEL"))
    code, _, errors = shell(*JOB, "--dry-run")
    assert (code, errors) == (0, "")


def test_the_input_can_be_a_file(aws: FakeAws, shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"jobId": "a", "comment": "Größe"}')
    aws.has_stack()
    aws.returns({"cancel": {"jobId": "a", "comment": "Größe"}}, report())
    assert shell("cancel-job", "--cli-input-json", f"file://{tmp_path}/job.json")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--job-id is missing: set it, or jobId in --cli-input-json"),
        (["--cli-input-json", "{}"], "--job-id is missing: set it, or jobId in --cli-input-json"),
        (["--job-id", "a b"], "--job-id: must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -"),
        (["--job-id", ""], "--job-id: must not be empty: set a value, or omit it"),
        (["--job-id", "a", "--reason-code", "no"], "--reason-code: must be a string of 1 to 128 of the characters"),
        (["--job-id", "a", "--comment", "a\nb"], "--comment: must be a string of 1 to 2028 characters, none of them a"),
        (
            ["--cli-input-json", '{"jobId": "a b"}'],
            "--cli-input-json: jobId: must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -",
        ),
        (["--cli-input-json", '{"jobId": "a", "comment": null}'], "--cli-input-json: comment: must not be null"),
        (
            ["--cli-input-json", '{"jobId": "a", "force": "true"}'],
            "--cli-input-json: force: must be true or false, without quotes",
        ),
        (["--cli-input-json", '{"JobId": "a"}'], "--cli-input-json: unknown key 'JobId'; did you mean jobId"),
        (
            ["--job-id", "a", "--cli-input-json", '{"maxJobs": 1}'],
            "--cli-input-json: unknown key 'maxJobs'; the keys are jobId, reasonCode, comment, force",
        ),
        (
            ["--cli-input-json", "[]"],
            "--cli-input-json: must be an object with the keys jobId, reasonCode, comment, force",
        ),
        (
            ["--cli-input-json", "{"],
            "--cli-input-json: must be JSON, or file:// and the path of a JSON file: Expecting",
        ),
        (
            ["--cli-input-json", "file:///no/such/file"],
            "--cli-input-json: must be JSON, or file:// and the path of a JSON file: [Errno 2] No such file",
        ),
        (["--job-id"], "argument --job-id: expected one argument"),
        (["--job", "a"], "unrecognized arguments: --job a"),
        (["--job-id", "a", "--force", "--no-force"], "argument --no-force: not allowed with argument --force"),
        (["--job-id", "a", "--output", "text"], "argument --output: invalid choice: 'text' (choose from"),
        (
            ["--generate-cli-skeleton", "yaml-input"],
            "argument --generate-cli-skeleton: invalid choice: 'yaml-input' (c",
        ),
    ],
)
def test_wrong_usage_names_the_option_and_calls_nothing(
    aws: FakeAws, shell: Shell, arguments: list[str], message: str
) -> None:
    code, output, errors = shell("cancel-job", *arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith(f"iot-job-canceler: {message}")
    assert errors.rstrip().endswith("--help")
    assert aws.sessions == []


# Skeletons


@pytest.mark.parametrize("arguments", [[], ["input"]])
def test_the_skeleton_has_the_members_of_cancel_job_without_force(
    aws: FakeAws, shell: Shell, arguments: list[str]
) -> None:
    code, output, _ = shell("cancel-job", "--generate-cli-skeleton", *arguments)
    assert code == 0
    assert output == '{\n    "jobId": "",\n    "reasonCode": "",\n    "comment": "",\n    "force": false\n}\n'
    assert ArgumentGenerator().generate_skeleton(CANCEL_JOB.input_shape) == json.loads(output) | {"force": True}
    assert aws.sessions == []


def test_the_output_skeleton_begins_with_the_sample_of_the_aws_cli(aws: FakeAws, shell: Shell) -> None:
    code, output, _ = shell(*JOB, "--generate-cli-skeleton", "output")
    assert code == 0
    assert json.loads(output) == {
        "jobArn": "jobArn",
        "jobId": "jobId",
        "description": "description",
        "outcome": "CANCELED",
        "detail": "detail",
        "executionsLeftInProgress": 0,
        "executionsEnded": 0,
    }
    sample = ArgumentGenerator(use_member_names=True).generate_skeleton(CANCEL_JOB.output_shape)
    assert sample.items() <= json.loads(output).items()
    assert aws.sessions == []


@pytest.mark.parametrize("arguments", [[], ["--job-id", "a b"], ["--cli-input-json", '{"jobid": "a"}']])
def test_the_output_skeleton_validates_the_input(aws: FakeAws, shell: Shell, arguments: list[str]) -> None:
    code, output, _ = shell("cancel-job", "--generate-cli-skeleton", "output", *arguments)
    assert (code, output, aws.sessions) == (2, "", [])
