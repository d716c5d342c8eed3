"""Messages that release 0.1.0 sent are finished by the release that replaces it.

A message stays on a queue for up to four days, and for 14 more on a failure queue, so a deployment finds some. The
bodies, message attributes, groups and ARNs are literal. They were recorded from the function at commit 230ad36, at
12:00:00 on 2026-11-24 by its clock. The identifiers that SQS assigns are examples.
"""

import json
from typing import Any

import pytest

from tests.support.contract import Stack, job

BACKLOG = "arn:aws:sqs:eu-west-1:123456789012:canceler-Backlog-1ABC"
TEARDOWNS = "arn:aws:sqs:eu-west-1:123456789012:canceler-Teardowns-1ABC.fifo"
MESSAGE_ID = "2b7d1c5e-94a3-4f60-8e2b-1c0d9f8e7a6b"
# The one host in the messages that a test replaces, by its own server.
CLOUDFORMATION = "https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com"

DELETED: dict[str, Any] = {"batchItemFailures": []}
REDELIVERED = {"batchItemFailures": [{"itemIdentifier": "2b7d1c5e-94a3-4f60-8e2b-1c0d9f8e7a6b"}]}


def message(arn: str, body: str, attributes: dict[str, str], fifo: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the event of one message, as Lambda's event source mapping passes it to a function."""
    return {
        "Records": [
            {
                "messageId": MESSAGE_ID,
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a",
                "body": body,
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1795521601125",
                    "SenderId": "AROAEXAMPLEEXAMPLEEX:canceler-Function-k2Jc8sQf0aXb",
                    "ApproximateFirstReceiveTimestamp": "1795521606130",
                    **(fifo or {}),
                },
                "messageAttributes": {
                    name: {"stringValue": text, "stringListValues": [], "binaryListValues": [], "dataType": "String"}
                    for name, text in attributes.items()
                },
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": "eu-west-1",
            }
        ]
    }


# A sweep of three jobs. The cancel of two of them was throttled.
SWEEP = message(
    BACKLOG,
    '{"version": "0", "id": "27b1d9e6-3f0a-4c58-9d7e-8a6b5c4d3e2f", "detail-type": "Scheduled Event",'
    ' "source": "aws.scheduler", "account": "123456789012", "time": "2026-11-24T12:00:00Z", "region": "eu-west-1",'
    ' "resources": ["arn:aws:scheduler:eu-west-1:123456789012:schedule/default/canceler-Sweep-5YUQ"],'
    ' "detail": "{}"}',
    {"FirstSeenAt": "1795521600.000", "Admitted": "true"},
)

# A selection whose first listing was throttled: MaxJobsPerRun has not been checked yet.
UNLISTED = message(BACKLOG, '{"cancel": {"select": {"jobIdGlob": "firmware-*"}}}', {"FirstSeenAt": "1795521600.000"})

_WAIT = (
    '{"version": "0", "id": "7bf73129-1428-4cd3-a780-95db273d1602",'
    ' "detail-type": "IoT Job Cancellation Requested", "source": "fleet.console", "account": "123456789012",'
    ' "time": "2026-11-24T12:00:00Z", "region": "eu-west-1", "resources": [],'
    ' "detail": {"cancel": {"jobIds": ["firmware-1", "firmware-2"], "waitForExecutionsMinutes": 12}}}'
)
# Both jobs are canceled, and a device runs each of them.
WAIT = message(
    BACKLOG,
    _WAIT,
    {
        "FirstSeenAt": "1795521600.000",
        "Admitted": "true",
        "WaitsFor": "firmware-1,firmware-2",
        "WaitsSince": "1795521600.625",
    },
)
# The same on a stack with Force: AWS IoT was still canceling the executions of one job.
WAIT_WITH_FORCE = message(
    BACKLOG,
    _WAIT,
    {
        "FirstSeenAt": "1795521600.000",
        "Admitted": "true",
        "WaitsFor": "firmware-2",
        "WaitsSince": "1795521600.625",
        "WaitsWithForce": "true",
    },
)


def teardown(request_id: str, physical_id: str, properties: str) -> str:
    """Return the body of a request to delete a resource. `properties` is JSON."""
    return (
        '{"RequestType": "Delete",'
        ' "ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:canceler-Function-k2Jc8sQf0aXb",'
        ' "ResponseURL": "https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com/'
        "arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack/firmware-dev/"
        f"5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f%7CTeardown%7C{request_id}"
        "?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20261124T115958Z&X-Amz-SignedHeaders=host&X-Amz-Expires=7200"
        "&X-Amz-Credential=AKIAEXAMPLE%2F20261124%2Feu-west-1%2Fs3%2Faws4_request"
        '&X-Amz-Signature=0123456789abcdef",'
        ' "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/'
        '5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f",'
        f' "RequestId": "{request_id}", "LogicalResourceId": "Teardown",'
        f' "PhysicalResourceId": "{physical_id}", "ResourceType": "Custom::IoTJobCancellation",'
        ' "ResourceProperties":'
        ' {"ServiceToken": "arn:aws:lambda:eu-west-1:123456789012:function:canceler-Function-k2Jc8sQf0aXb",'
        f" {properties}}}}}"
    )


# A teardown of one job, which is canceled, and which a device runs.
_JOB_TEARDOWN = teardown(
    "c7e5a3f1-28d6-4e0b-a9c8-6b5a4d3e2f10", "firmware-1", '"JobId": "firmware-1", "WaitForExecutionsMinutes": "12"'
)
JOB_TEARDOWN = message(
    TEARDOWNS,
    _JOB_TEARDOWN,
    {
        "FirstSeenAt": "1795521600.000",
        "Admitted": "true",
        "WaitsFor": "firmware-1",
        "WaitsSince": "1795521600.500",
    },
    {
        "SequenceNumber": "18890512346912255488",
        "MessageGroupId": "1c06a8a60b295af2474c4acfd7ba1397aafa4b31f82379a7dedb68635f02d771",
        "MessageDeduplicationId": "c4786fed3c06a383b1f99ea946ba5acf2f68462ded0b63db789848bf3e75e27a",
    },
)

# A teardown of a selection of three jobs. The cancel of two of them was throttled.
SELECT_TEARDOWN = message(
    TEARDOWNS,
    teardown(
        "d8f6b4a2-39e7-4f1c-bad9-7c6b5e4f3a21",
        "select:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown",
        '"Select": {"JobIdGlob": "firmware-*", "OlderThanHours": "72", "Tags": {"env": "dev"}}',
    ),
    {"FirstSeenAt": "1795521600.000", "Admitted": "true"},
    {
        "SequenceNumber": "18890512346912255489",
        "MessageGroupId": "fab094b561660d23cd71bc9c7c9356aa02f20dbe39f33f320e502ba5dad8cd63",
        "MessageDeduplicationId": "9007b5a85be22168aa918b2c588013fab30296ced7d9f5cc221d05d432ab2627",
    },
)

# An asynchronous invocation that failed for good, as Lambda's failure destination wraps it. An operator has moved the
# message from the failure queue to the backlog, so it has no attributes.
_WRAPPED = (
    '{"version": "1.0", "timestamp": "2026-11-24T11:58:31.123Z",'
    ' "requestContext": {"requestId": "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11",'
    ' "functionArn": "arn:aws:lambda:eu-west-1:123456789012:function:canceler-Function-k2Jc8sQf0aXb:$LATEST",'
    ' "condition": "RetriesExhausted", "approximateInvokeCount": 3},'
    ' "requestPayload": %s,'
    ' "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},'
    ' "responsePayload": {"errorMessage": "no answer reached CloudFormation: HTTP 503",'
    ' "errorType": "ResponseUndelivered"}}'
)
WRAPPED_TEARDOWN = message(BACKLOG, _WRAPPED % _JOB_TEARDOWN, {})

# A message that an operator has sent.
WITHOUT_ATTRIBUTES = message(BACKLOG, '{"cancel": {"select": {"jobIdGlob": "firmware-*"}}}', {})

RESPONSE = {
    "Status": "SUCCESS",
    "Reason": "",
    "PhysicalResourceId": "firmware-1",
    "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f",
    "RequestId": "c7e5a3f1-28d6-4e0b-a9c8-6b5a4d3e2f10",
    "LogicalResourceId": "Teardown",
    "NoEcho": False,
    "Data": {"JobId": "firmware-1", "Force": "false"},
}
ENDED = job("CANCELED")
RUNNING = job("CANCELED", running=1)
DEV = {"env": "dev"}


def of_format(received: dict[str, Any], number: str) -> dict[str, Any]:
    """Return the message as another release would send it."""
    (record,) = received["Records"]
    attribute = {"stringValue": number, "stringListValues": [], "binaryListValues": [], "dataType": "String"}
    return {"Records": [record | {"messageAttributes": record["messageAttributes"] | {"Format": attribute}}]}


def receive(stack: Stack, received: dict[str, Any], seconds: float = 300) -> dict[str, Any]:
    """Deliver the message, with a ResponseURL that leads to the test's server."""
    (record,) = received["Records"]
    body = record["body"].replace(CLOUDFORMATION, stack.response_url.partition("/response")[0])
    return stack.receive({"Records": [record | {"body": body}]}, seconds)


def report_of(stack: Stack) -> tuple[str, str, dict[str, int]]:
    """Return trigger, status and counts of the last report."""
    report = json.loads(stack.published[-1]["Detail"])
    return report["trigger"], report["status"], report["counts"]


def half_done(stack: Stack) -> None:
    stack.create({"firmware-1": job("CANCELED", tags=DEV), "firmware-2": job(tags=DEV), "firmware-3": job(tags=DEV)})


def test_a_sweep_continues_without_a_second_limit_check(stack: Stack) -> None:
    stack.deploy(SWEEP_JOB_ID_GLOB="firmware-*", SWEEP_OLDER_THAN_HOURS="72", MAX_JOBS_PER_RUN="1")
    half_done(stack)
    stack.advance(5)
    assert receive(stack, SWEEP) == DELETED
    assert report_of(stack) == ("SCHEDULE", "SETTLED", {"CANCELED": 2})
    assert (stack.canceled, stack.sent) == (["firmware-2", "firmware-3"], [])


@pytest.mark.parametrize("received", [UNLISTED, WITHOUT_ATTRIBUTES], ids=["unlisted", "without attributes"])
@pytest.mark.parametrize(
    ("most", "status", "counts", "canceled"),
    [("2", "SETTLED", {"CANCELED": 2}, ["firmware-2", "firmware-3"]), ("1", "REJECTED", {}, [])],
)
def test_an_unchecked_message_is_checked_against_the_job_limit(
    most: str, status: str, counts: dict[str, int], canceled: list[str], received: dict[str, Any], stack: Stack
) -> None:
    stack.deploy(MAX_JOBS_PER_RUN=most)
    half_done(stack)
    assert receive(stack, received) == DELETED
    assert report_of(stack) == ("DIRECT", status, counts)
    assert (stack.canceled, stack.sent) == (canceled, [])


def test_a_wait_continues_until_the_last_device_has_finished(stack: Stack) -> None:
    stack.deploy(FORCE="true")  # since then: what waits without force ends no execution
    stack.create({"firmware-1": ENDED, "firmware-2": RUNNING})
    stack.advance(21)
    assert receive(stack, WAIT) == REDELIVERED
    assert report_of(stack) == ("EVENT", "UNFINISHED", {"ALREADY_CANCELED": 2})
    assert (stack.retry_after, stack.executions_canceled, stack.sent) == (20, [], [])
    stack.create({"firmware-2": ENDED})
    assert receive(stack, WAIT) == DELETED
    assert report_of(stack) == ("EVENT", "SETTLED", {"ALREADY_CANCELED": 2})


# WaitsSince is 0.625 s after the time at which the clock of the test begins.
@pytest.mark.parametrize(
    ("seconds", "status", "returned"), [(720, "UNFINISHED", REDELIVERED), (721, "UNSETTLED", DELETED)]
)
def test_a_wait_ends_after_its_minutes(seconds: float, status: str, returned: dict[str, Any], stack: Stack) -> None:
    stack.create({"firmware-1": ENDED, "firmware-2": RUNNING})
    stack.advance(seconds)
    assert receive(stack, WAIT) == returned
    assert report_of(stack) == ("EVENT", status, {"ALREADY_CANCELED": 2})


def test_a_wait_with_force_cancels_the_remaining_executions(stack: Stack) -> None:
    stack.deploy(FORCE="true")
    stack.create({"firmware-1": RUNNING, "firmware-2": RUNNING})
    stack.advance(21)
    assert receive(stack, WAIT_WITH_FORCE) == DELETED
    assert report_of(stack) == ("EVENT", "SETTLED", {"ALREADY_CANCELED": 1})
    assert stack.executions_canceled == [("firmware-2", "thing-0")]


def test_a_teardown_responds_when_its_devices_have_finished(stack: Stack) -> None:
    stack.create({"firmware-1": RUNNING})
    stack.advance(21)
    assert receive(stack, JOB_TEARDOWN) == REDELIVERED
    assert report_of(stack) == ("TEARDOWN", "UNFINISHED", {"ALREADY_CANCELED": 1})
    assert (stack.retry_after, stack.responses, stack.sent) == (20, [], [])
    stack.create({"firmware-1": ENDED})
    assert receive(stack, JOB_TEARDOWN) == DELETED
    assert report_of(stack) == ("TEARDOWN", "SETTLED", {"ALREADY_CANCELED": 1})
    assert stack.responses == [RESPONSE]


def test_a_teardown_of_a_selection_continues_and_responds(stack: Stack) -> None:
    stack.deploy(MAX_JOBS_PER_RUN="1")
    half_done(stack)
    stack.advance(21)
    assert receive(stack, SELECT_TEARDOWN) == DELETED
    assert report_of(stack) == ("TEARDOWN", "SETTLED", {"CANCELED": 2})
    assert stack.canceled == ["firmware-2", "firmware-3"]
    assert stack.responses == [
        RESPONSE
        | {
            "PhysicalResourceId": "select:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown",
            "RequestId": "d8f6b4a2-39e7-4f1c-bad9-7c6b5e4f3a21",
            "Data": {"Force": "false"},
        }
    ]


def test_a_redriven_teardown_cancels_its_job_and_responds(stack: Stack) -> None:
    stack.create({"firmware-1": job()})
    assert receive(stack, WRAPPED_TEARDOWN) == DELETED
    assert report_of(stack) == ("TEARDOWN", "SETTLED", {"CANCELED": 1})
    assert stack.canceled == ["firmware-1"]
    assert stack.responses == [RESPONSE]


@pytest.mark.parametrize("received", [SWEEP, WAIT, JOB_TEARDOWN], ids=["sweep", "wait", "teardown"])
def test_a_message_of_a_later_format_stays_on_its_queue(received: dict[str, Any], stack: Stack) -> None:
    """After an update to a later release and back."""
    stack.deploy(SWEEP_JOB_ID_GLOB="firmware-*", SWEEP_OLDER_THAN_HOURS="72")
    half_done(stack)
    assert receive(stack, of_format(received, "2")) == REDELIVERED
    assert (stack.canceled, stack.responses, stack.sent, list(stack.published)) == ([], [], [], [])
    assert stack.retry_after == 330  # the visibility timeout of the queue
    (line,) = map(json.loads, stack.log)
    assert line["level"] == "WARNING"
    assert line["message"].startswith("skipped: a later release sent the message, in a format that this release")


def test_a_message_of_this_format_is_finished(stack: Stack) -> None:
    stack.deploy(SWEEP_JOB_ID_GLOB="firmware-*", SWEEP_OLDER_THAN_HOURS="72")
    half_done(stack)
    assert receive(stack, of_format(SWEEP, "1")) == DELETED
    assert stack.canceled == ["firmware-2", "firmware-3"]
