"""The worst that SECURITY.md says of whoever may send, and no worse; and that each test that it names is there."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import Function
from tests.support.fakes import LIMITS, NOW, FakeJob
from tests.support.sqs import FakeSqs
from tests.support.template import ROOT
from tools.simulators.events import sqs_event

OTHERS_JOB = "other-1"
NEW = {"FirstSeenAt": {"DataType": "String", "StringValue": f"{NOW.timestamp()}"}}
ADMITTED = NEW | {"Admitted": {"DataType": "String", "StringValue": "true"}}
WAITS = NEW | {
    "WaitsFor": {"DataType": "String", "StringValue": f"ota-2,{OTHERS_JOB}"},
    "WaitsSince": {"DataType": "String", "StringValue": "1795521600.000"},
}


@pytest.fixture
def capped(function: Function) -> Function:
    """Held to one job a run and to the prefix ota-; four jobs are running, one of them somebody else's."""
    function.configure(limits=replace(LIMITS, max_jobs=1, job_id_prefix="ota-"))
    for job_id in ("ota-1", "ota-2", "ota-3", OTHERS_JOB):
        function.jobs.jobs[job_id] = FakeJob(executions={"thing": "IN_PROGRESS"})
    return function


def send(function: Function, event: object, attributes: Any) -> None:
    function.sqs.send_message(QueueUrl=FakeSqs.url, MessageBody=json.dumps(event), MessageAttributes=attributes)


def test_job_limit_applies_to_each_event_separately(capped: Function) -> None:
    for job_id in ("ota-1", "ota-2", "ota-3"):
        capped({"cancel": {"jobId": job_id}})
    assert capped.jobs.cancelled == ["ota-1", "ota-2", "ota-3"]


def test_sender_to_the_backlog_can_skip_the_job_limit_but_not_the_prefix(capped: Function) -> None:
    send(capped, {"cancel": {"select": {"jobIdGlob": "*"}}}, ADMITTED)
    capped.drain()
    assert sorted(capped.jobs.cancelled) == ["ota-1", "ota-2", "ota-3"]
    assert all(job.executions == {"thing": "IN_PROGRESS"} for job in capped.jobs.jobs.values())


def test_sender_to_the_backlog_can_name_other_jobs_within_the_prefix(capped: Function) -> None:
    send(capped, {"cancel": {"jobId": "ota-1"}}, WAITS)
    capped.drain()
    assert capped.jobs.cancelled == ["ota-2"]


def test_forged_message_starts_no_run(capped: Function) -> None:
    """Whoever may only invoke the function has no receipt, and comes round no cap in this way."""
    event = sqs_event(
        FakeSqs.arn,
        {"cancel": {"select": {"jobIdGlob": "*"}}},
        receiptHandle="made up",
        messageAttributes={"Admitted": {"stringValue": "true"}},
    )
    assert capped(event) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert capped.jobs.calls == []


# SECURITY.md

NAMED = re.findall(r"`(tests/[a-z_0-9/]+\.py)(?:::(test_[a-z_0-9]+))?`", (ROOT / "SECURITY.md").read_text())


def test_threat_model_names_tests() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_every_test_in_the_threat_model_exists(path: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / path).read_text() if test else (ROOT / path).is_file()


def test_threat_model_names_every_parameter() -> None:
    parameters = re.findall(
        r"^  ([A-Z][A-Za-z]+):$", (ROOT / "template.yaml").read_text().split("\nConditions:")[0], re.MULTILINE
    )
    told = (ROOT / "SECURITY.md").read_text()
    assert "Force" in parameters
    assert not [name for name in parameters if f"`{name}" not in told]
