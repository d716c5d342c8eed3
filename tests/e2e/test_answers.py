"""The answer to CloudFormation, from the deployed function to a ResponseURL of ours.

The function takes our server for its AWS endpoint here, so that it may answer there; its IoT is still MiniStack's.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import PREFIX, Canceler, unique
from tests.support.response_url import ResponseServer, Step
from tools.simulators.iot_server import IotServer

SECRET = "X-Amz-Signature=5ec2e7"
STACK_ID = "arn:aws:cloudformation:eu-central-1:000000000000:stack/consumer/8f7e6d5c-0000-4000-8000-000000000000"
MARKER = "failed-create:8f7e6d5c-0000-4000-8000-000000000000/Teardown"
REGION = "eu-central-1"


def request(url: str, request_type: str = "Delete", **fields: object) -> dict[str, Any]:
    event: dict[str, Any] = {
        "RequestType": request_type,
        "ResponseURL": f"{url}/answer?{SECRET}",
        "RequestId": "4b1d0000-0000-4000-8000-000000000000",
        "StackId": STACK_ID,
        "LogicalResourceId": "Teardown",
        "ResourceType": "Custom::IoTJobCancellation",
        "ResourceProperties": {"ServiceToken": "arn"},
    }
    return event | fields


def delete(url: str, job_id: str, **properties: object) -> dict[str, Any]:
    return request(url, PhysicalResourceId=job_id, ResourceProperties={"JobId": job_id, **properties})


@contextmanager
def answering(canceler: Canceler, *script: Step, **environment: str) -> Iterator[ResponseServer]:
    """A ResponseURL that plays `script`; no line that is logged meanwhile may hold its query string."""
    before = len(list(canceler.log.lines()))
    iot = {"AWS_ENDPOINT_URL_IOT": canceler.aws.endpoint_url}
    with ResponseServer(script) as server, canceler.environment(**(iot | environment), AWS_ENDPOINT_URL=server.url):
        yield server
    assert not [line for line in list(canceler.log.lines())[before:] if SECRET in line or "5ec2e7" in line]


def answers(server: ResponseServer) -> list[dict[str, Any]]:
    return [json.loads(received.body) for received in server.received]


def test_an_answer_is_delivered_once_and_holds_what_cloudformation_asks_for(canceler: Canceler) -> None:
    job_id = canceler.job("answered")
    with answering(canceler, 200) as server:
        report = canceler.invoke(delete(server.url, job_id))
    assert report["counts"] == {"CANCELED": 1}
    assert answers(server) == [
        {
            "Status": "SUCCESS",
            "Reason": "",
            "PhysicalResourceId": job_id,
            "StackId": STACK_ID,
            "RequestId": "4b1d0000-0000-4000-8000-000000000000",
            "LogicalResourceId": "Teardown",
            "Data": {"JobId": job_id, "Force": "false"},
            "NoEcho": False,
        }
    ]
    (received,) = server.received
    assert (received.method, received.target) == ("PUT", f"/answer?{SECRET}")


def test_an_answer_that_meets_a_500_is_sent_again(canceler: Canceler) -> None:
    job_id = canceler.job("again", started=0, queued=1)
    with answering(canceler, 500, 200) as server:
        assert canceler.invoke(delete(server.url, job_id))["status"] == "SETTLED"
    first, second = answers(server)
    assert first == second


def test_the_same_delete_twice_gets_the_same_answer_twice_and_cancels_once(canceler: Canceler) -> None:
    job_id = canceler.job("twice")
    with answering(canceler, 200) as server:
        first = canceler.invoke(delete(server.url, job_id, ReasonCode="FIRST"))
        second = canceler.invoke(delete(server.url, job_id, ReasonCode="SECOND"))
    assert (first["counts"], second["counts"]) == ({"CANCELED": 1}, {"ALREADY_CANCELED": 1})
    assert answers(server)[0] == answers(server)[1]
    assert canceler.described(job_id)["reasonCode"] == "FIRST"


@pytest.mark.parametrize("status", ["CANCELED", "COMPLETED", "DELETION_IN_PROGRESS"])
def test_a_delete_succeeds_for_a_job_in_every_settled_state_and_changes_nothing(
    canceler: Canceler, status: str
) -> None:
    outcomes = {"CANCELED": "ALREADY_CANCELED", "COMPLETED": "ALREADY_FINISHED", "DELETION_IN_PROGRESS": "GONE"}
    job_id = f"{PREFIX}{unique('settled')}"
    with IotServer(REGION) as iot:
        job = iot.backend.add_job(job_id, status=status, reason_code="EARLIER")
        with answering(canceler, 200, AWS_ENDPOINT_URL_IOT=iot.url) as server:
            report = canceler.invoke(delete(server.url, job_id, ReasonCode="LATER"))
        assert report["counts"] == {outcomes[status]: 1}
        assert [answer["Status"] for answer in answers(server)] == ["SUCCESS"]
        assert iot.backend.canceled == []
        assert job.reason_code == "EARLIER"


def test_a_failed_create_answers_with_a_mark_and_the_delete_for_that_mark_touches_no_job(canceler: Canceler) -> None:
    job_id = canceler.job("marked")
    bad = {"JobId": job_id, "ReasonCode": "lower_case"}
    with answering(canceler, 200) as server:
        canceler.invoke(request(server.url, "Create", ResourceProperties=bad))
        canceler.invoke(request(server.url, PhysicalResourceId=MARKER, ResourceProperties=bad))
    created, deleted = answers(server)
    assert (created["Status"], created["PhysicalResourceId"]) == ("FAILED", MARKER)
    assert (deleted["Status"], deleted["PhysicalResourceId"]) == ("SUCCESS", MARKER)
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"


def test_a_delete_for_an_id_that_cloudformation_made_up_touches_no_job(canceler: Canceler) -> None:
    made_up = "consumer-Teardown-1ABCDEF2GHIJ"
    with IotServer(REGION) as iot:
        iot.backend.add_job(made_up)
        with answering(canceler, 200, AWS_ENDPOINT_URL_IOT=iot.url, JOB_ID_PREFIX="") as server:
            event = request(server.url, PhysicalResourceId=made_up, ResourceProperties={"JobId": "e2e-other"})
            report = canceler.invoke(event)
        assert (report["status"], report["jobs"]) == ("SETTLED", [])
        assert [answer["Status"] for answer in answers(server)] == ["SUCCESS"]
        assert iot.backend.calls == []


def test_a_delete_with_properties_of_no_known_release_still_cancels_its_job(canceler: Canceler) -> None:
    job_id = canceler.job("old-format")
    properties = {"jobIdentifier": job_id, "Force": ["yes"], "Comment": {"text": "x"}, "OnIncomplete": "PERHAPS"}
    with answering(canceler, 200) as server:
        event = request(server.url, PhysicalResourceId=job_id, ResourceProperties=properties)
        assert canceler.invoke(event)["counts"] == {"CANCELED": 1}
    assert [answer["Status"] for answer in answers(server)] == ["SUCCESS"]


def test_a_teardown_that_can_not_wait_longer_is_answered_failed_with_its_own_ids(canceler: Canceler) -> None:
    job_id = canceler.job("no-time")
    with canceler.timeout(10), answering(canceler, 200) as server:
        report = canceler.invoke(delete(server.url, job_id, ServiceTimeout="30"))
    assert report["counts"] == {"DEFERRED": 1}
    (answer,) = answers(server)
    assert (answer["Status"], answer["PhysicalResourceId"]) == ("FAILED", job_id)
    assert "no time left" in answer["Reason"]
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"


def test_an_answer_goes_nowhere_else(canceler: Canceler) -> None:
    job_id = canceler.job("elsewhere")
    with ResponseServer([200]) as stranger, answering(canceler, 200):
        report = canceler.invoke(delete(stranger.url, job_id))
    assert report["reason"] == "ResponseURL: must be an https URL under amazonaws.com"
    assert stranger.received == []
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
