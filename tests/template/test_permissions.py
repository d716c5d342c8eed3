"""The function's role allows the calls that the code makes, and no other: the calls are read from the syntax tree."""

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.template import ROOT, deployed, load_template

TEMPLATE = load_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
ROLE: dict[str, Any] = RESOURCES["Role"]["Properties"]
HANDLER = ROOT / "src" / "handler"
MODULES = {
    path.relative_to(HANDLER).with_suffix("").as_posix(): ast.parse(path.read_text())
    for path in sorted(HANDLER.rglob("*.py"))
}

# Module → the method of its client → the action that IAM requires.
CALLS: dict[str, dict[str, str]] = {
    "aws/iot": {
        "cancel_job": "iot:CancelJob",
        "describe_job": "iot:DescribeJob",
        "list_jobs": "iot:ListJobs",
        "list_tags_for_resource": "iot:ListTagsForResource",
        "list_job_executions_for_job": "iot:ListJobExecutionsForJob",
        "cancel_job_execution": "iot:CancelJobExecution",
    },
    "aws/sqs": {
        "send_message": "sqs:SendMessage",
        "change_message_visibility": "sqs:ChangeMessageVisibility",
    },
    "aws/eventbridge": {"put_events": "events:PutEvents"},
}
# Actions of other services with the role → which service, and why.
CALLED_BY_OTHERS = {
    "sqs:ReceiveMessage": "Lambda's poller takes messages from the two queues",
    "sqs:DeleteMessage": "Lambda's poller deletes what the function has finished",
    "sqs:GetQueueAttributes": "Lambda's poller scales by the depth of the queue",
    "logs:CreateLogStream": "each container of Lambda begins a log stream",
    "logs:PutLogEvents": "Lambda writes the function's output to the log group",
    "kms:Decrypt": "SQS and Lambda decrypt messages and environment variables",
    "kms:GenerateDataKey": "SQS encrypts messages",
}

_ARN = "arn:${AWS::Partition}:%s:${AWS::Region}:${AWS::AccountId}:%s"
JOBS, CANCELABLE_JOBS = _ARN % ("iot", "job/*"), _ARN % ("iot", "job/${JobIdPrefix}*")
# Action → the resources of the statements that allow it. A resource of the template is its logical id.
ALLOWED = {
    "iot:CancelJob": [CANCELABLE_JOBS],
    "iot:DescribeJob": [JOBS],
    "iot:ListTagsForResource": [JOBS],
    "iot:ListJobs": ["*"],
    "events:PutEvents": [_ARN % ("events", "event-bus/${EventBusName}")],
    "logs:CreateLogStream": ["LogGroup"],
    "logs:PutLogEvents": ["LogGroup"],
    # Lambda sends failed asynchronous invocations to the failure queue.
    "sqs:SendMessage": ["Backlog", "Teardowns", "FailureQueue"],
    "sqs:ChangeMessageVisibility": ["Backlog", "Teardowns"],
    "sqs:ReceiveMessage": ["Backlog", "Teardowns"],
    "sqs:DeleteMessage": ["Backlog", "Teardowns"],
    "sqs:GetQueueAttributes": ["Backlog", "Teardowns"],
}
# Also allowed where the stack's Force is not false.
ALLOWED_WITH_FORCE = {
    "iot:ListJobExecutionsForJob": [CANCELABLE_JOBS],
    "iot:CancelJobExecution": [CANCELABLE_JOBS, _ARN % ("iot", "thing/*")],
}
# Also allowed where the stack has a key.
ALLOWED_WITH_KEY = {"kms:Decrypt": ["KmsKeyArn"], "kms:GenerateDataKey": ["KmsKeyArn"]}

# Parameters → what the role allows besides.
DEPLOYMENTS = pytest.mark.parametrize(
    ("parameters", "also"),
    [({}, {}), ({"Force": "true"}, ALLOWED_WITH_FORCE), ({"KmsKeyArn": "arn"}, ALLOWED_WITH_KEY)],
    ids=["defaults", "force", "key"],
)
DENIED = ["iot:CancelJob", "iot:CancelJobExecution"]


def attributes_of_the_client(tree: ast.AST) -> Iterator[str]:
    """Return every method of `self._client` that is used; a paginator counts as its operation."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(attr="get_paginator"), args=[ast.Constant(value=str(operation))]):
                yield operation
            case ast.Attribute(value=ast.Attribute(value=ast.Name("self"), attr="_client"), attr=method):
                if method != "get_paginator":
                    yield method


def clients_made(tree: ast.AST) -> Iterator[str]:
    """Return the service of every client or resource of boto3."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name("boto3")), args=[ast.Constant(value=str(service)), *_]):
                yield service


def statements(**parameters: str) -> list[dict[str, Any]]:
    """Return the statements of the role's policies in a stack with these parameters."""
    found: list[dict[str, Any]] = []
    for policy in deployed(ROLE["Policies"], **parameters):
        document = policy["PolicyDocument"]
        if "Fn::Sub" in document:
            document = json.loads(listed(document["Fn::Sub"])[0])
        found += document["Statement"]
    return found


def listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def named(resource: Any) -> str:
    """Return an ARN, or the logical id of a resource or parameter."""
    if isinstance(resource, str):
        return resource
    return str(resource.get("Fn::Sub") or resource.get("Ref") or resource["Fn::GetAtt"][0])


def allowed(**parameters: str) -> set[tuple[str, str]]:
    """(action, resource) of every statement that allows."""
    return {
        (action, named(resource))
        for statement in statements(**parameters)
        if statement["Effect"] == "Allow"
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }


@pytest.mark.parametrize("module", MODULES)
def test_every_sdk_call_is_in_the_table(module: str) -> None:
    assert set(attributes_of_the_client(MODULES[module])) == set(CALLS.get(module, {}))


def test_each_module_has_one_client_of_its_own_service() -> None:
    made = {module: list(clients_made(tree)) for module, tree in MODULES.items()}
    assert {module: services for module, services in made.items() if services} == {
        "aws/iot": ["iot"],
        "aws/sqs": ["sqs"],
        "aws/eventbridge": ["events"],
    }


def test_every_call_goes_through_the_client_attribute() -> None:
    """Not by getattr, and not by another name: `_client` is set once, and only its attributes are used."""
    for module in CALLS:
        source = (HANDLER / f"{module}.py").read_text()
        assert "getattr" not in source
        is_a_property = "    @cached_property\n    def _client(self)" in source
        elsewhere = source.count("self._client") - source.count("self._client.")
        assert elsewhere + is_a_property == 1, "the assignment in __init__, or the property"


def test_the_role_allows_exactly_the_actions_that_are_called() -> None:
    called = {action for methods in CALLS.values() for action in methods.values()}
    assert called | CALLED_BY_OTHERS.keys() == {*ALLOWED, *ALLOWED_WITH_FORCE, *ALLOWED_WITH_KEY}


@DEPLOYMENTS
def test_the_role_allows_each_action_on_its_resources_only(
    parameters: dict[str, str], also: dict[str, list[str]]
) -> None:
    table = ALLOWED | also
    assert allowed(**parameters) == {(action, resource) for action in table for resource in table[action]}
    for statement in statements(**parameters):
        assert statement.keys() <= {"Sid", "Effect", "Action", "Resource", "Condition"}, "no NotAction, no NotResource"
    assert TEMPLATE["Conditions"]["Forces"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "Force"}, "false"]}]}


@pytest.mark.parametrize("force", ["false", "true"])
def test_a_deny_protects_tagged_jobs_from_every_cancel(force: str) -> None:
    (deny,) = [statement for statement in statements(Force=force) if statement["Effect"] == "Deny"]
    assert deny == {
        "Sid": "ProtectTaggedJobs",
        "Effect": "Deny",
        "Action": DENIED,
        "Resource": "*",
        "Condition": {"StringEqualsIgnoreCase": {"aws:ResourceTag/${ProtectionTagKey}": "true"}},
    }


def test_a_second_deny_requires_a_tag_of_every_job() -> None:
    """A negated operator also matches a job that has no such tag. A thing, which CancelJobExecution names, has none."""
    _, deny = [
        statement for statement in statements(Force="true", RequiredTag="team=fleet") if statement["Effect"] == "Deny"
    ]
    assert deny == {
        "Sid": "RequireTag",
        "Effect": "Deny",
        "Action": DENIED,
        "Resource": JOBS,
        "Condition": {"StringNotEquals": {"aws:ResourceTag/${Key}": "${Value}"}},
    }
    assert TEMPLATE["Conditions"]["RequiresTag"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "RequiredTag"}, ""]}]}
    (parts,) = [
        policy["Fn::If"][1]["PolicyDocument"]["Fn::Sub"][1]
        for policy in ROLE["Policies"]
        if policy.get("Fn::If", [""])[0] == "RequiresTag"
    ]
    split = {"Fn::Split": ["=", {"Fn::Sub": "${RequiredTag}="}]}
    assert parts == {"Key": {"Fn::Select": [0, split]}, "Value": {"Fn::Select": [1, split]}}


@pytest.mark.parametrize(
    ("value", "is_valid"),
    [
        ("", True),
        ("team=fleet", True),
        ("iot:owner@x=a/b c", True),
        ("team", False),
        ("team=", False),
        ("=fleet", False),
        ("team=a=b", False),
        ('team="', False),
        ("team=${AWS::Region}", False),
    ],
)
def test_the_required_tag_has_one_key_and_one_value(value: str, is_valid: bool) -> None:
    """The value becomes part of a JSON text, and only the first two parts at "=" are used."""
    assert bool(re.search(TEMPLATE["Parameters"]["RequiredTag"]["AllowedPattern"], value)) is is_valid


def test_only_lambda_assumes_the_role_and_it_has_no_managed_policy() -> None:
    assert ROLE["AssumeRolePolicyDocument"]["Statement"] == [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ]
    assert "ManagedPolicyArns" not in ROLE


def test_the_role_has_no_other_policies() -> None:
    kinds = {resource["Type"] for resource in RESOURCES.values() if resource["Type"].startswith("AWS::IAM::")}
    assert kinds == {"AWS::IAM::Role"}
    assert not RESOURCES["Function"]["Properties"].keys() & {"Policies", "PermissionsBoundary"}
