"""`plan`, and `make plan`, list the jobs that an event would cancel, and cancel none."""

import json
import re
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from tests.e2e.conftest import PREFIX, Canceler, unique
from tools import plan
from tools.errors import NotPlanned
from tools.localaws import background, sam
from tools.localaws.aws import isolated_environment
from tools.screen import Screen
from tools.simulators.iot_server import IotServer

REQUESTED = "IoT Job Cancellation Requested"
NOW = datetime.now(UTC)


@pytest.fixture
def event_file(tmp_path: Path) -> Path:
    return tmp_path / "event.json"


def planned(canceler: Canceler, event_file: Path, event: object) -> tuple[int, str]:
    """Run the command against the local AWS, and return its exit code and output."""
    event_file.write_text(json.dumps(event))
    done = subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "iot_job_canceler", "plan", "--event", str(event_file), "--output", "table"],
        cwd=sam.ROOT,
        env=isolated_environment() | canceler.aws.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout


def rows(output: str) -> dict[str, str]:
    """Return job id → planned outcome, from the lines of the table."""
    _, _, table = output.partition("──\n")
    cells = (re.split(r"\s{2,}", line.strip()) for line in table.partition("\n\n")[0].splitlines())
    return {job_id: words for job_id, words, _ in cells}


def statuses(canceler: Canceler, batch: str) -> dict[str, tuple[str, int]]:
    """Return the status and the number of canceled executions of each job of the batch."""
    iot = canceler.aws.client("iot")
    pages = iot.get_paginator("list_jobs").paginate()
    ids = [job["jobId"] for page in pages for job in page["jobs"] if f"-{batch}-" in job["jobId"]]
    jobs = [iot.describe_job(jobId=job_id)["job"] for job_id in ids]
    return {job["jobId"]: (job["status"], job["jobProcessDetails"].get("numberOfCanceledThings", 0)) for job in jobs}


def test_the_plan_lists_the_jobs_that_the_run_cancels(canceler: Canceler, event_file: Path) -> None:
    batch = unique("planned")
    started = canceler.job("started", started=2, batch=batch)
    queued = canceler.job("queued", queued=1, started=0, batch=batch)
    protected = canceler.job("protected", tags={"cancel-protection": "true"}, batch=batch)
    elsewhere = canceler.job("elsewhere", prefix="e2e-not-", batch=batch)
    excluded = canceler.job("keep", batch=batch)
    continuous, greengrass = f"{PREFIX}{batch}-continuous", f"{PREFIX}{batch}-greengrass"
    target = canceler.described(started)["targets"]
    iot = canceler.aws.client("iot")
    iot.create_job(jobId=continuous, targets=target, document="{}", targetSelection="CONTINUOUS")
    iot.create_job(jobId=greengrass, targets=target, document="{}", namespaceId="aws-gg-deployment")
    request = {"cancel": {"select": {"jobIdGlob": f"{PREFIX}{batch}-*", "excludeJobIdGlobs": ["*-keep"]}}}
    event = {"version": "0", "id": "1", "source": "ops", "detail-type": REQUESTED, "detail": request}
    before = statuses(canceler, batch)

    code, output = planned(canceler, event_file, event)

    assert code == 0, output
    assert rows(output) == {
        started: "would be canceled",
        queued: "would be canceled",
        protected: "is protected",
        greengrass: "excluded",
    }
    assert "active; 2 devices have started it, and would continue" in output
    assert "active; no device has started it" in output
    assert "the job is tagged cancel-protection=true" in output
    assert "owned by AWS IoT Greengrass" in output
    assert "2 would be canceled, 1 is protected, 1 excluded. 3 active jobs matched" in output
    assert statuses(canceler, batch) == before

    canceler.put_event("ops", REQUESTED, request)
    report = canceler.log.wait_for_report(
        "the real run", lambda each: not each["dryRun"] and started in str(each["jobs"]), seconds=60
    )
    canceled = {job["jobId"] for job in report["jobs"] if job["outcome"] == "CANCELED"}
    assert canceled == {job_id for job_id, words in rows(output).items() if words == "would be canceled"}
    changed = {job_id for job_id, status in statuses(canceler, batch).items() if status != before[job_id]}
    assert changed == {started, queued}
    assert canceler.statuses(protected, elsewhere, excluded) == ["IN_PROGRESS"] * 3


def test_the_plan_of_a_deletion_sends_no_response(canceler: Canceler, event_file: Path) -> None:
    job_id = canceler.job("deleted")
    event = json.loads((sam.ROOT / "events" / "custom-resource-delete.json").read_text())
    event |= {"PhysicalResourceId": job_id, "ResponseURL": "http://127.0.0.1:1/nobody-may-answer-here"}
    event["ResourceProperties"] |= {"JobId": job_id}
    code, output = planned(canceler, event_file, event)
    assert (code, rows(output)) == (0, {job_id: "would be canceled"}), output
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]
    reports = [report for report in canceler.log.reports() if job_id in str(report["jobs"])]
    assert [(report["trigger"], report["dryRun"]) for report in reports] == [("DIRECT", True)]


def test_the_plan_of_a_sweep_uses_the_parameters_of_the_stack(canceler: Canceler, event_file: Path) -> None:
    event = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}", "id": "1"}
    sweep = {"SWEEP_JOB_ID_GLOB": "e2e-stale-*", "SWEEP_OLDER_THAN_HOURS": "2"}
    with IotServer("eu-central-1") as iot, canceler.environment(AWS_ENDPOINT_URL_IOT=iot.url, **sweep):
        for job_id, hours in {"e2e-stale-old": 3, "e2e-stale-young": 1, "e2e-fresh-old": 3}.items():
            iot.backend.add_job(job_id, created_at=NOW - timedelta(hours=hours))
        code, output = planned(canceler, event_file, event)
        assert (code, rows(output)) == (0, {"e2e-stale-old": "would be canceled", "e2e-stale-young": "excluded"})
        assert "not older than 2 h" in output
        assert iot.backend.canceled == []
        assert canceler.invoke(event)["counts"] == {"CANCELED": 1}
        assert iot.backend.canceled == ["e2e-stale-old"]


# On the local AWS of `make up`


@pytest.fixture
def local_aws_of_make_up(canceler: Canceler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run the test as if `make up` had started the local AWS: with its state file, which is locked."""
    monkeypatch.setattr(background, "_DIRECTORY", tmp_path / "local")
    known = {"port": canceler.aws.port, "environment": canceler.aws.environment}
    with background._open_state() as state:
        assert background._lock(state)
        background._write(state, known)  # type: ignore[arg-type] # no other command reads it
        yield


def planned_locally(event_file: Path, capture: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Run `python -m tools plan` in this process, and return exit code, output and errors."""
    stream = StringIO()
    parser = ArgumentParser()
    plan.add_arguments(parser)
    code = plan.plan(Screen(Console(file=stream, width=120)), parser.parse_args([str(event_file)]))
    output, errors = capture.readouterr()
    return code, stream.getvalue() + output, errors


@pytest.mark.usefixtures("local_aws_of_make_up")
def test_the_default_stack_is_on_the_local_aws(
    canceler: Canceler, event_file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    job_id = canceler.job("of-make-up")
    event_file.write_text(json.dumps({"cancel": {"jobId": job_id, "dryRun": False}}))
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")  # another AWS
    monkeypatch.setenv("AWS_PROFILE", "nowhere")
    code, output, errors = planned_locally(event_file, capfd)
    assert (code, rows(output), errors) == (0, {job_id: "would be canceled"}, "")
    assert "on the stack iot-job-canceler, account " in output
    assert f", Region eu-central-1, {canceler.aws.endpoint_url}. Nothing is canceled." in output
    assert "Warning" not in output
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]


@pytest.mark.usefixtures("local_aws_of_make_up", "canceler")
def test_other_code_on_the_local_aws_is_a_warning(
    event_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    event_file.write_text(json.dumps({"cancel": {"jobId": "e2e-gone"}}))
    shutil.copytree(sam.ROOT / "src", tmp_path / "src")
    (tmp_path / "src" / "handler" / "new.py").touch()
    monkeypatch.setattr(plan, "_SOURCE", tmp_path / "src")
    code, output, _ = planned_locally(event_file, capfd)
    assert code == 0
    assert "Warning: the stack runs other code than this checkout, which `make up` deploys. The plan reads" in output


@pytest.mark.parametrize(
    ("event", "code", "text"),
    [
        ({"cancel": {"jobId": "other-prefix"}}, 1, "the request would be rejected: jobId: must start with 'e2e-'"),
        (
            {"cancel": {"jobId": "e2e-1", "force": True}},
            1,
            "the request would be rejected: force: must be false or omitted",
        ),
        ({"detail-type": "Something else"}, 1, "the request would be rejected: detail-type: must be one of"),
        (
            {"detail-type": "IoT Job Cancellation Report"},
            0,
            "Nothing would be canceled: the event is a report of an iot-job-canceler stack.",
        ),
        ({"cancel": {"jobId": "e2e-gone"}}, 0, "1 is gone."),
        ({"cancel": {"select": {"jobIdGlob": "e2e-none-*"}}}, 0, "no jobs. 0 active jobs matched"),
    ],
)
def test_a_plan_without_jobs_gives_the_reason(
    canceler: Canceler, event_file: Path, event: object, code: int, text: str
) -> None:
    exit_code, output = planned(canceler, event_file, event)
    assert (exit_code, text in output) == (code, True), output


def test_without_a_local_aws_the_error_says_how_to_have_one(
    event_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(background, "_DIRECTORY", tmp_path)
    with pytest.raises(NotPlanned, match="`make up` starts one, or STACK=… names a stack on AWS"):
        planned_locally(event_file, capfd)


@pytest.mark.parametrize(
    ("stack", "called"),
    [
        ("STACK=prod", "python -m iot_job_canceler plan --event events/x.json --stack-name prod --output table"),
        ("", "python -m tools plan events/x.json"),
    ],
)
def test_make_plan_passes_the_event_and_the_stack(stack: str, called: str) -> None:
    command = ["make", "--dry-run", "plan", "EVENT=events/x.json", *filter(None, [stack])]
    done = subprocess.run(command, cwd=sam.ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    assert called in done.stdout.splitlines()


def test_make_plan_without_an_event_prints_its_usage() -> None:
    command = ["make", "--dry-run", "plan"]
    done = subprocess.run(command, cwd=sam.ROOT, check=False, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 2
    assert "Usage: make plan EVENT=events/<file>.json [STACK=<stack>]" in done.stderr
