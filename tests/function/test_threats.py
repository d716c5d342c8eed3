"""The worst cases of docs/threat-model.md for senders of events and messages, and that each test it names exists."""

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

OTHER_JOB = "other-1"
NEW = {"FirstSeenAt": {"DataType": "String", "StringValue": f"{NOW.timestamp()}"}}
ADMITTED = NEW | {"Admitted": {"DataType": "String", "StringValue": "true"}}
WAITS = NEW | {
    "WaitsFor": {"DataType": "String", "StringValue": f"ota-2,{OTHER_JOB}"},
    "WaitsSince": {"DataType": "String", "StringValue": "1795521600.000"},
}


@pytest.fixture
def limited(function: Function) -> Function:
    """The function with a limit of one job and the prefix ota-. Of four active jobs, one is outside the prefix."""
    function.configure(limits=replace(LIMITS, max_jobs=1, job_id_prefix="ota-"))
    for job_id in ("ota-1", "ota-2", "ota-3", OTHER_JOB):
        function.jobs.jobs[job_id] = FakeJob(executions={"thing": "IN_PROGRESS"})
    return function


def send(function: Function, event: object, attributes: Any) -> None:
    function.sqs.send_message(QueueUrl=FakeSqs.url, MessageBody=json.dumps(event), MessageAttributes=attributes)


def test_job_limit_applies_to_each_event_separately(limited: Function) -> None:
    for job_id in ("ota-1", "ota-2", "ota-3"):
        limited({"cancel": {"jobId": job_id}})
    assert limited.jobs.canceled == ["ota-1", "ota-2", "ota-3"]


def test_sender_to_the_backlog_can_skip_the_job_limit_but_not_the_prefix(limited: Function) -> None:
    send(limited, {"cancel": {"select": {"jobIdGlob": "*"}}}, ADMITTED)
    limited.drain()
    assert sorted(limited.jobs.canceled) == ["ota-1", "ota-2", "ota-3"]
    assert all(job.executions == {"thing": "IN_PROGRESS"} for job in limited.jobs.jobs.values())


def test_sender_to_the_backlog_can_name_other_jobs_within_the_prefix(limited: Function) -> None:
    send(limited, {"cancel": {"jobId": "ota-1"}}, WAITS)
    limited.drain()
    assert limited.jobs.canceled == ["ota-2"]


def test_forged_message_starts_no_run(limited: Function) -> None:
    """A caller who may only invoke the function has no receipt handle, so the attributes cannot skip the job limit."""
    event = sqs_event(
        FakeSqs.arn,
        {"cancel": {"select": {"jobIdGlob": "*"}}},
        receiptHandle="forged",
        messageAttributes={"Admitted": {"stringValue": "true"}},
    )
    assert limited(event) == {"batchItemFailures": [{"itemIdentifier": "m-1"}]}
    assert limited.jobs.calls == []


# docs/threat-model.md

THREAT_MODEL = (ROOT / "docs" / "threat-model.md").read_text()
NAMED = re.findall(r"`(tests/[a-z_0-9/]+\.py)(?:::(test_[a-z_0-9]+))?`", THREAT_MODEL)


def test_threat_model_names_tests() -> None:
    assert len(NAMED) > 20


@pytest.mark.parametrize(("path", "test"), NAMED)
def test_every_test_in_the_threat_model_exists(path: str, test: str) -> None:
    assert f"def {test}(" in (ROOT / path).read_text() if test else (ROOT / path).is_file()


def test_threat_model_names_every_parameter() -> None:
    parameters = re.findall(
        r"^  ([A-Z][A-Za-z]+):$", (ROOT / "template.yaml").read_text().split("\nConditions:")[0], re.MULTILINE
    )
    assert "Force" in parameters
    assert not [name for name in parameters if f"`{name}`" not in THREAT_MODEL]
