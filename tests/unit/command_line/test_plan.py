"""`plan` prints a table or JSON, and its exit code says whether the plan is complete."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from handler.version import VERSION
from iot_job_canceler import plan
from tests.unit.command_line.conftest import FakeAws, Shell

EVENT = {"cancel": {"select": {"jobIdGlob": "ota-*"}, "dryRun": False}}
SENT = {"cancel": {"select": {"jobIdGlob": "ota-*"}, "dryRun": True}}


def job(job_id: str, outcome: str, detail: str = "", executions: int = 0) -> dict[str, Any]:
    return {"jobId": job_id, "outcome": outcome, "detail": detail, "executionsLeftInProgress": executions}


def report(*jobs: dict[str, Any], status: str = "SETTLED", reason: str = "", **more: Any) -> dict[str, Any]:
    return {"status": status, "dryRun": True, "force": False, "reason": reason, "jobs": list(jobs), **more}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "event.json"
    path.write_text(json.dumps(EVENT))
    return path


def test_a_table_has_a_row_for_each_job_and_a_summary(aws: FakeAws, shell: Shell, file: Path) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    jobs = [
        job("ota-1", "WOULD_CANCEL", executions=2),
        job("ota-2", "WOULD_CANCEL", executions=1),
        job("ota-3", "WOULD_CANCEL"),
        job("ota-4", "PROTECTED", "the job is tagged [cancel-protection=true]"),
        job("ota-5", "NEW_OUTCOME", "of a later release"),
    ]
    left_out = [{"jobId": "ota-6", "why": "not older than 72 h"}]
    aws.returns(SENT, report(*jobs, reason="5 active jobs matched", leftOut=left_out))
    code, output, errors = shell("plan", "--event", str(file), "--output", "table")
    assert (code, errors) == (0, "")
    first, _, _, _, *rows = output.splitlines()
    place = "account 123456789012, Region eu-west-1, https://lambda.eu-west-1.amazonaws.com"
    assert first == f"Plan of {file} on the stack iot-job-canceler, {place}. Nothing is canceled."
    assert [" ".join(row.split()) for row in rows] == [
        "ota-1 would be canceled active; 2 devices have started it, and would continue",
        "ota-2 would be canceled active; 1 device has started it, and would continue",
        "ota-3 would be canceled active; no device has started it",
        "ota-4 is protected the job is tagged [cancel-protection=true]",
        "ota-5 NEW_OUTCOME of a later release",
        "ota-6 excluded not older than 72 h",
        "",
        "3 would be canceled, 1 is protected, 1 NEW_OUTCOME, 1 excluded. 5 active jobs matched",
    ]


def test_with_force_devices_are_interrupted(aws: FakeAws, shell: Shell, file: Path) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    aws.returns(SENT, report(job("ota-1", "WOULD_CANCEL", executions=1)) | {"force": True})
    _, output, _ = shell("plan", "--event", str(file), "--output", "table")
    assert "active; 1 device has started it, and would be interrupted" in output


def test_no_job_is_a_complete_plan(aws: FakeAws, shell: Shell, file: Path) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    aws.returns(SENT, report(reason="0 active jobs matched"))
    code, output, _ = shell("plan", "--event", str(file), "--output", "table")
    assert (code, output.splitlines()[2:]) == (0, ["", "no jobs. 0 active jobs matched"])


@pytest.mark.parametrize(("is_terminal", "first"), [(True, "Plan of"), (False, "{")])
def test_the_default_is_a_table_on_a_terminal_and_json_in_a_pipe(
    aws: FakeAws, shell: Shell, file: Path, monkeypatch: pytest.MonkeyPatch, is_terminal: bool, first: str
) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    aws.returns(SENT, report(job("ota-1", "WOULD_CANCEL")))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    code, output, _ = shell("plan", "--event", str(file))
    assert (code, output.startswith(first)) == (0, True)


@pytest.mark.parametrize(("number", "executions"), [(1, "1 execution"), (3, "3 executions")])
def test_the_table_says_how_many_executions_force_would_end(
    aws: FakeAws, shell: Shell, file: Path, number: int, executions: str
) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    forced = report(job("ota-1", "WOULD_CANCEL", executions=number)) | {"force": True, "executionsEnded": number}
    aws.returns(SENT, forced)
    _, output, _ = shell("plan", "--event", str(file), "--output", "table")
    assert output.endswith(f"\n1 would be canceled.\nForce would end {executions}.\n")


def test_the_table_ends_with_the_plan_id(aws: FakeAws, shell: Shell, file: Path) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    aws.returns(SENT, report(job("ota-1", "WOULD_CANCEL"), planId="0123456789abcdef" * 2))
    _, output, _ = shell("plan", "--event", str(file), "--output", "table")
    assert output.endswith("\n1 would be canceled.\nplanId: 0123456789abcdef0123456789abcdef\n")


def test_json_is_the_report(aws: FakeAws, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    aws.returns(SENT, report(job("ota-1", "WOULD_CANCEL")))
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(EVENT)))
    code, output, _ = shell("plan", "--event", "-", "--output", "json")
    assert (code, json.loads(output)) == (
        0,
        {
            "status": "SETTLED",
            "dryRun": True,
            "force": False,
            "reason": "",
            "jobs": [{"jobId": "ota-1", "outcome": "WOULD_CANCEL", "detail": "", "executionsLeftInProgress": 0}],
        },
    )


IGNORED = "the event is a report of an iot-job-canceler stack"


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("table", f"Nothing would be canceled: {IGNORED}."),
        ("json", f'{{\n    "status": "IGNORED",\n    "dryRun": true,\n    "reason": "{IGNORED}",\n    "jobs": []\n}}'),
    ],
)
def test_an_ignored_event_is_not_sent(aws: FakeAws, shell: Shell, file: Path, output: str, expected: str) -> None:
    file.write_text(json.dumps({"detail-type": "IoT Job Cancellation Report"}))
    aws.has_stack()
    aws.has_configuration(VERSION)
    code, printed, errors = shell("plan", "--event", str(file), "--output", output)
    assert (code, errors) == (0, "")
    assert printed.endswith(f"{expected}\n")


def test_an_event_that_the_parsers_reject_is_not_sent(aws: FakeAws, shell: Shell, file: Path) -> None:
    file.write_text('{"cancel": {"jobid": "a"}}')
    aws.has_stack()
    aws.has_configuration(VERSION)
    assert shell("plan", "--event", str(file)) == (
        1,
        "",
        "iot-job-canceler: the request would be rejected: cancel: unknown key 'jobid'; did you mean jobId\n",
    )


def test_a_rejection_of_the_function_is_an_error(aws: FakeAws, shell: Shell, file: Path) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    aws.returns(SENT, report(status="REJECTED", reason="select: matches 101 jobs"))
    assert shell("plan", "--event", str(file)) == (
        1,
        "",
        "iot-job-canceler: the request would be rejected: select: matches 101 jobs\n",
    )


def test_an_incomplete_plan_is_printed_and_an_error(aws: FakeAws, shell: Shell, file: Path) -> None:
    aws.has_stack()
    aws.has_configuration(VERSION)
    aws.returns(SENT, report(job("ota-1", "DEFERRED", "throttled"), status="UNFINISHED"))
    code, output, errors = shell("plan", "--event", str(file))
    assert (code, json.loads(output)["status"]) == (1, "UNFINISHED")
    assert errors == "iot-job-canceler: the plan is incomplete: enter the command again, or narrow the selection\n"


def test_another_release_is_a_warning(aws: FakeAws, shell: Shell, file: Path) -> None:
    aws.has_stack()
    aws.has_configuration("9.9.9")
    aws.returns(SENT, report())
    code, _, errors = shell("plan", "--event", str(file))
    assert code == 0
    assert errors == (
        f"iot-job-canceler: warning: the stack runs release 9.9.9, and this command is release {VERSION}. "
        "The plan reads the event with the code of this command, so the real run can differ.\n"
    )


def test_a_function_of_another_kind_is_an_error(aws: FakeAws, shell: Shell, file: Path) -> None:
    file.write_text('{"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"}')
    aws.has_stack()
    aws.functions.add_response("get_function_configuration", {"Description": "hello world"})
    code, _, errors = shell("plan", "--event", str(file))
    warning, error = errors.splitlines()
    assert code == 1
    assert warning.startswith("iot-job-canceler: warning: the stack runs release unknown, and")
    assert error.startswith(
        "iot-job-canceler: the stack runs another release, or is not an iot-job-canceler stack: environment variable "
    )


def test_only_a_dry_run_is_sent(aws: FakeAws, shell: Shell, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "dry_run_of", lambda event, _: event)
    aws.has_stack()
    aws.has_configuration(VERSION)
    assert shell("plan", "--event", str(file)) == (
        1,
        "",
        "iot-job-canceler: the request is not a dry run, so nothing was sent\n",
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [("event.json", "Expecting value: line 1"), ("none.json", "[Errno 2] No such file or directory")],
)
def test_a_file_that_is_not_json_is_wrong_usage(
    aws: FakeAws, shell: Shell, file: Path, name: str, message: str
) -> None:
    file.write_text("")
    code, output, errors = shell("plan", "--event", str(file.with_name(name)))
    assert (code, output, aws.sessions) == (2, "", [])
    assert errors.startswith(f"iot-job-canceler: --event {file.with_name(name)}: can't be read as JSON: {message}")
