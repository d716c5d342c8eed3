"""Whatever arrives that is not for us is rejected, and nothing else happens."""

import json
from typing import Any

import pytest

from tests.e2e.conftest import Canceler
from tests.support.template import ROOT

FOREIGN: dict[str, Any] = {
    "empty": {},
    "list": [],
    "list of requests": [{"cancel": {"jobId": "{job}"}}],
    "string": "cancel {job}",
    "number": 7,
    "null": None,
    "nested garbage": json.loads('{"a":' * 200 + "1" + "}" * 200),
    "cancel is a string": {"cancel": "{job}"},
    "cancel is empty": {"cancel": {}},
    "a list in place of an id": {"cancel": {"jobId": ["{job}"]}},
    "an id in place of a list": {"cancel": {"jobIds": "{job}"}},
    "a selection without a scope": {"cancel": {"select": {"olderThanHours": 1}}},
    "a selection that nobody can read": {"cancel": {"select": {"jobIdGlob": "e2e-*", "tag": {"env": "dev"}}}},
    "force as text": {"cancel": {"jobId": "{job}", "force": "false"}},
    "a key beside cancel": {"cancel": {"jobId": "{job}"}, "dryRun": True},
    "an envelope without detail": {"detail-type": "IoT Job Cancellation Requested", "source": "x"},
    "an envelope with a text for a detail": {
        "detail-type": "IoT Job Cancellation Requested",
        "source": "x",
        "detail": '{"cancel": {"jobId": "{job}"}}',
    },
    "an envelope of an unknown kind": {"detail-type": "S3 Object Created", "source": "aws.s3", "detail": {}},
    "an alarm of somebody else's source": {
        "detail-type": "CloudWatch Alarm State Change",
        "source": "fleet.operations",
        "detail": {"state": {"value": "ALARM"}},
    },
    "a custom resource without an answer's address": {"RequestType": "Delete", "PhysicalResourceId": "{job}"},
    "a custom resource that would answer elsewhere": {
        "RequestType": "Delete",
        "ResponseURL": "https://collector.example.com/?token=secret",
        "RequestId": "r",
        "StackId": "arn:aws:cloudformation:eu-central-1:000000000000:stack/s/u",
        "LogicalResourceId": "Teardown",
        "PhysicalResourceId": "{job}",
        "ResourceProperties": {"JobId": "{job}"},
    },
    "a body of a megabyte": {"cancel": {"jobId": "{job}", "comment": "x" * 1024 * 1024}},
    **{path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "events" / "foreign").glob("*.json"))},
}


@pytest.fixture(scope="module")
def bystander(canceler: Canceler) -> str:
    """The job that every one of these events would like to see cancelled."""
    return canceler.job("bystander", queued=1, started=1)


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_event_is_rejected_and_cancels_nothing(canceler: Canceler, bystander: str, name: str) -> None:
    before = len(list(canceler.log.lines()))
    report = canceler.invoke(json.loads(json.dumps(FOREIGN[name]).replace("{job}", bystander)))
    assert (report["status"], report["jobs"]) == ("REJECTED", [])
    assert canceler.fleet.state(bystander).executions == {"IN_PROGRESS": 1, "QUEUED": 1}
    lines = list(canceler.log.lines())[before:]
    assert sum('"message": "report"' in line for line in lines) == 1
    assert sum('"RunsRejected":[1.0]' in line for line in lines) == 1
    assert not any("secret" in line for line in lines)


def test_a_rejected_event_is_not_delivered_again(canceler: Canceler) -> None:
    event_id = canceler.put_event("fleet.operations", "IoT Job Cancellation Requested", {"cancel": {"jobId": "bad id"}})
    sentinel = canceler.job("sentinel", started=0, queued=1)
    canceler.put_event("fleet.operations", "IoT Job Cancellation Requested", {"cancel": {"jobId": sentinel}})
    canceler.report_on(sentinel)
    about = [line for line in canceler.log.lines() if event_id in line and '"message": "report"' in line]
    assert len(about) == 1
