"""A payload that is not an event is described in a few words, which are safe in a log line."""

import pytest

from handler.inbound.unknown import described, not_an_event


def records(*sources: object, key: str = "eventSource") -> dict[str, object]:
    return {"Records": [{key: source} for source in sources]}


@pytest.mark.parametrize(
    ("payload", "description"),
    [
        (None, "null"),
        (False, "a boolean"),
        (0, "a number"),
        (float("nan"), "a number"),
        ("", "an empty string"),
        ("<none>", "a string"),
        ([], "an empty list"),
        ([{}, {}], "a list of 2"),
        ({}, "an empty object"),
        ({"a": 1}, "an object with the key a"),
        ({"c": 1, "a": 2, "b": 3}, "an object with the keys a, b, c"),
        (dict.fromkeys("edcba"), "an object with the keys a, b, c, d, e"),
        (dict.fromkeys("gfedcba"), "an object with the keys a, b, c, d, e, 2 more"),
        ({"a b": 1, "\n\ud800": 2}, r"an object with the keys '\n\ud800', 'a b'"),
        ({"": 1}, "an object with the key ''"),
        ({"k" * 40: 1}, f"an object with the key {'k' * 40}"),
        ({"k" * 41: 1}, f"an object with the key '{'k' * 40}...'"),
        (records("aws:s3"), "records of aws:s3"),
        (records("aws:sns", key="EventSource"), "records of aws:sns"),
        (records("aws:s3", "aws:kinesis", "aws:s3"), "records of aws:kinesis, aws:s3"),
        (records(*"gfedcba"), "records of a, b, c, d, e, 2 more"),
        (records("\x1b[0m"), r"records of '\x1b[0m'"),
        (records(5), "records of an unknown service"),
        ({"Records": ["text"]}, "records of an unknown service"),
        ({"Records": [{"cf": {"request": {}}}]}, "records of CloudFront"),
        ({"Records": []}, "an object with the key Records"),
        ({"Records": "text"}, "an object with the key Records"),
        ({"requestContext": {"elb": {"targetGroupArn": "arn"}}}, "an Application Load Balancer event"),
        ({"requestContext": {"apiId": "abc"}, "body": "{}"}, "an API Gateway event"),
        ({"type": "TOKEN", "methodArn": "arn"}, "an API Gateway event"),
        ({"requestContext": {}}, "an object with the key requestContext"),
        ({"awslogs": {"data": ""}}, "an event of CloudWatch Logs"),
    ],
)
def test_a_payload_is_described(payload: object, description: str) -> None:
    assert described(payload) == description


def test_the_reason_says_what_is_accepted_and_what_arrived() -> None:
    assert not_an_event("a string") == (
        "event: must be a CloudFormation custom resource request, an EventBridge event, a CloudWatch alarm, an SNS "
        'notification with one of the last two, or {"cancel": {...}}; received a string'
    )
