"""Events as AWS sends them to the function, and the identifiers in them."""

import json
from collections.abc import Mapping
from typing import Any

STACK_UUID = "5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f"
STACK_ID = f"arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/{STACK_UUID}"
SELECTION_ID = f"select:{STACK_UUID}/Teardown"  # PhysicalResourceId of a resource with Select
FAILED_CREATE_ID = f"failed-create:{STACK_UUID}/Teardown"
RESPONSE_HOST = "cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com"


def custom_resource_request(
    request_type: str,
    physical_id: str | None,
    response_url: str,
    properties: Mapping[str, object],
    *,
    request_id: str = "request-1",
) -> dict[str, Any]:
    """Build a request of CloudFormation for a Custom::IoTJobCancellation. A Create has no `physical_id`."""
    request = {
        "RequestType": request_type,
        "RequestId": request_id,
        "ResponseURL": response_url,
        "StackId": STACK_ID,
        "LogicalResourceId": "Teardown",
        "ResourceType": "Custom::IoTJobCancellation",
        "ResourceProperties": {"ServiceToken": "arn", **properties},
    }
    return request if physical_id is None else request | {"PhysicalResourceId": physical_id}


def delete_request(
    physical_id: str, response_url: str, properties: Mapping[str, object], *, request_id: str = "request-1"
) -> dict[str, Any]:
    """Build the request to delete a resource."""
    return custom_resource_request("Delete", physical_id, response_url, properties, request_id=request_id)


def eventbridge_event(source: str, detail_type: str, detail: object) -> dict[str, Any]:
    """Build an event of EventBridge."""
    return {"id": "event-1", "source": source, "detail-type": detail_type, "detail": detail}


def cancel_event(**cancel: object) -> dict[str, Any]:
    """Build a cancel request that arrives by EventBridge."""
    return eventbridge_event("fleet.console", "IoT Job Cancellation Requested", {"cancel": cancel})


def sqs_event(queue_arn: str, body: object, **fields: object) -> dict[str, Any]:
    """Build the invocation with one SQS message. A body that is not text becomes JSON; `fields` are of the record."""
    record = {
        "messageId": "m-1",
        "receiptHandle": "r-1",
        "body": body if isinstance(body, str) else json.dumps(body),
        "attributes": {"ApproximateReceiveCount": "1"},
        "messageAttributes": {},
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": "eu-west-1",
    }
    return {"Records": [record | fields]}


def sns_event(message: object) -> dict[str, Any]:
    """Build the invocation with an SNS notification. A message that is not text becomes JSON."""
    text = message if isinstance(message, str) else json.dumps(message)
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"MessageId": "notification-1", "Message": text}}]}
