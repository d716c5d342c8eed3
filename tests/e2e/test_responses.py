"""The response to CloudFormation, from the deployed function to a ResponseURL of the test.

AWS_ENDPOINT_URL is the test's server here, which allows its ResponseURL. AWS IoT is still MiniStack's.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.e2e.conftest import Canceler
from tests.support.response_url import ResponseServer, Step

SECRET = "X-Amz-Signature=5ec2e7"
STACK_ID = "arn:aws:cloudformation:eu-central-1:000000000000:stack/consumer/8f7e6d5c-0000-4000-8000-000000000000"


def request(url: str, request_type: str = "Delete", **fields: object) -> dict[str, Any]:
    event: dict[str, Any] = {
        "RequestType": request_type,
        "ResponseURL": f"{url}/response?{SECRET}",
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
def response_server(canceler: Canceler, *script: Step, **environment: str) -> Iterator[ResponseServer]:
    """Serve a ResponseURL that follows `script`, and check that no log line contains its query string."""
    before = len(list(canceler.log.lines()))
    iot = {"AWS_ENDPOINT_URL_IOT": canceler.aws.endpoint_url}
    with ResponseServer(script) as server, canceler.environment(**(iot | environment), AWS_ENDPOINT_URL=server.url):
        yield server
    assert not [line for line in list(canceler.log.lines())[before:] if SECRET in line or "5ec2e7" in line]


def responses(server: ResponseServer) -> list[dict[str, Any]]:
    return [json.loads(received.body) for received in server.received]


def test_a_response_is_delivered_once_and_is_complete(canceler: Canceler) -> None:
    job_id = canceler.job("responded")
    with response_server(canceler, 200) as server:
        report = canceler.invoke(delete(server.url, job_id))
    assert report["counts"] == {"CANCELED": 1}
    assert responses(server) == [
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
    assert (received.method, received.target) == ("PUT", f"/response?{SECRET}")


def test_a_response_to_another_host_is_not_sent(canceler: Canceler) -> None:
    job_id = canceler.job("elsewhere")
    with ResponseServer([200]) as stranger, response_server(canceler, 200):
        report = canceler.invoke(delete(stranger.url, job_id))
    assert (
        report["reason"] == "ResponseURL: must be an https URL under amazonaws.com, or on the host of AWS_ENDPOINT_URL"
    )
    assert stranger.received == []
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
