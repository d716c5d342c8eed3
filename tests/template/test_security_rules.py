"""Security rules for every resource of the templates."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.template import ROOT, deployed, load_template

EXAMPLES = {path.relative_to(ROOT / "examples").as_posix(): path for path in (ROOT / "examples").rglob("*.yaml")}
FILES = {"template.yaml": ROOT / "template.yaml", **EXAMPLES}
TEMPLATES = {name: load_template(path) for name, path in FILES.items()}
EACH = pytest.mark.parametrize("name", TEMPLATES)

# Principal of each policy, and the condition that restricts it: a service to this stack or account, another account to
# its requests.
PRINCIPALS = {
    "template.yaml": {
        ("FailureQueuePolicy", "events.amazonaws.com"): "ArnEquals aws:SourceArn",
        ("Role", "lambda.amazonaws.com"): None,  # Lambda sets no source for a role's trust
        ("SweepRole", "scheduler.amazonaws.com"): "StringEquals aws:SourceAccount",
    },
    "firmware-rollout.yaml": {
        ("ImageAccess", "iot.amazonaws.com"): None,
        ("JobMakerRole", "lambda.amazonaws.com"): None,
    },
    "teardown.yaml": {},
    "alarm.yaml": {},
    "alarm-action.yaml": {},
    "announced-sweep.yaml": {
        ("ScheduleRole", "scheduler.amazonaws.com"): "StringEquals aws:SourceAccount",
        ("TopicPolicy", "events.amazonaws.com"): None,  # AWS documents no condition for EventBridge and a topic
        ("UndeliveredPolicy", "events.amazonaws.com"): "ArnEquals aws:SourceArn",
    },
    "failed-executions.yaml": {},
    "fleet-alarm.yaml": {},
    "unapproved-jobs.yaml": {("UndeliveredPolicy", "events.amazonaws.com"): "ArnEquals aws:SourceArn"},
    "weekly-sweep.yaml": {("SweepRole", "scheduler.amazonaws.com"): "StringEquals aws:SourceAccount"},
    "many-accounts/center.yaml": {
        ("ReportsPolicy", "events.amazonaws.com"): "ArnEquals aws:SourceArn",
        ("UndeliveredPolicy", "events.amazonaws.com"): "ArnEquals aws:SourceArn",
    },
    "many-accounts/member.yaml": {
        ("Bus", "arn:${AWS::Partition}:iam::${CenterAccount}:root"): (
            "StringEquals events:source StringEquals events:detail-type"
        ),
        ("ReportRole", "events.amazonaws.com"): "StringEquals aws:SourceAccount",
        ("UndeliveredPolicy", "events.amazonaws.com"): "ArnEquals aws:SourceArn",
    },
    "sam/template.yaml": {},
    "stacksets/artifacts.yaml": {},
    "stacksets/canceler.yaml": {},
    "stacksets/sharing.yaml": {},
}
# Principal of each permission to invoke the function that is not for a rule of EventBridge.
OTHER_INVOKERS = {
    "template.yaml": {"AlarmActionPermission": "lambda.alarms.cloudwatch.amazonaws.com"},
    "failed-executions.yaml": {"RuleMayInvoke": "iot.amazonaws.com"},
}
# Actions that every principal of one organization may take.
FOR_AN_ORGANIZATION = {
    "many-accounts/center.yaml": ["events:PutEvents"],
    "stacksets/artifacts.yaml": ["s3:GetObject"],
    "stacksets/sharing.yaml": ["oam:CreateLink", "oam:UpdateLink"],
}
# What no template may contain.
SECRETS = re.compile(
    r"(A3T|AKIA|ASIA)[A-Z0-9]{16}|-----BEGIN|(password|secret|token|api_?key)\s*[:=]\s*['\"]?[A-Za-z0-9/+]{16,}|X-Amz-Signature",
    re.IGNORECASE,
)


def resources(name: str, kind: str) -> dict[str, dict[str, Any]]:
    """Return logical id → properties of every resource of the type."""
    found: dict[str, dict[str, Any]] = TEMPLATES[name]["Resources"]
    return {logical_id: each.get("Properties", {}) for logical_id, each in found.items() if each["Type"] == kind}


def objects(value: object) -> Iterator[dict[str, Any]]:
    """Return every object in `value`, including itself."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def statements(resource: object) -> list[dict[str, Any]]:
    return [each for each in objects(resource) if {"Effect", "Action"} <= each.keys()]


@EACH
def test_every_queue_is_encrypted_and_requires_tls(name: str) -> None:
    requiring_tls = {
        queue["Ref"]
        for policy in resources(name, "AWS::SQS::QueuePolicy").values()
        for queue in policy["Queues"]
        for each in statements(policy)
        if (each["Effect"], each["Principal"], each["Action"]) == ("Deny", "*", "sqs:*")
        and each["Resource"] == {"Fn::GetAtt": [queue["Ref"], "Arn"]}
        and each["Condition"]["Bool"] == {"aws:SecureTransport": "false"}
    }
    queues = resources(name, "AWS::SQS::Queue")
    assert requiring_tls == set(queues)
    assert all(deployed(queue["SqsManagedSseEnabled"]) is True for queue in queues.values())


@EACH
def test_no_statement_allows_every_principal_outside_an_organization(name: str) -> None:
    allowed = []
    for logical_id, resource in TEMPLATES[name]["Resources"].items():
        for each in statements(resource):
            has_every_principal = each.get("Principal") in ("*", {"AWS": "*"}, {"AWS": ["*"]}) or "NotPrincipal" in each
            if has_every_principal and each["Effect"] == "Allow":
                organization = each["Condition"]["StringEquals"]["aws:PrincipalOrgID"]
                assert organization == {"Ref": "OrganizationId"}, logical_id
                allowed += each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
    assert allowed == FOR_AN_ORGANIZATION.get(name, [])


@EACH
def test_every_principal_is_in_the_table_with_its_condition(name: str) -> None:
    found = {}
    for logical_id, resource in TEMPLATES[name]["Resources"].items():
        for each in statements(resource):
            if isinstance(each.get("Principal"), dict):
                conditions = [
                    f"{operator} {key}" for operator, keys in each.get("Condition", {}).items() for key in keys
                ]
                principal = each["Principal"].get("Service") or each["Principal"]["AWS"]["Fn::Sub"]
                found[logical_id, principal] = " ".join(conditions) or None
    assert found == PRINCIPALS[name]


@EACH
def test_every_permission_to_invoke_is_for_one_source(name: str) -> None:
    permissions = dict(resources(name, "AWS::Lambda::Permission"))
    # Those of another principal than EventBridge are compared as a whole, with the tests of their template.
    others = {
        logical_id: permissions.pop(logical_id)
        for logical_id, each in tuple(permissions.items())
        if each["Principal"] != "events.amazonaws.com"
    }
    assert {logical_id: each["Principal"] for logical_id, each in others.items()} == OTHER_INVOKERS.get(name, {})
    assert all(each["SourceAccount"] == {"Ref": "AWS::AccountId"} for each in others.values())
    sources = [each["SourceArn"]["Fn::GetAtt"] for each in permissions.values()]
    others_than_functions = [
        *({"Ref": topic} for topic in resources(name, "AWS::SNS::Topic")),
        *({"Fn::GetAtt": [queue, "Arn"]} for queue in resources(name, "AWS::SQS::Queue")),
        {"Ref": "CenterBusArn"},
    ]
    rules = {
        rule
        for rule, each in resources(name, "AWS::Events::Rule").items()
        if any(target["Arn"] not in others_than_functions for target in each["Targets"])
    }
    assert sorted(sources) == sorted([rule, "Arn"] for rule in rules)
    assert all("SourceArn" in each and "FunctionUrlAuthType" not in each for each in (permissions | others).values())
    assert not resources(name, "AWS::Lambda::Url")
    for function in resources(name, "AWS::Serverless::Function").values():
        assert "FunctionUrlConfig" not in function


@EACH
def test_no_action_is_allowed_by_a_wildcard(name: str) -> None:
    for resource in TEMPLATES[name]["Resources"].values():
        for each in statements(resource):
            actions = each["Action"] if isinstance(each["Action"], list) else [each["Action"]]
            assert each["Effect"] == "Deny" or not any("*" in action for action in actions)


@EACH
def test_every_log_group_has_a_retention_period(name: str) -> None:
    assert all("RetentionInDays" in group for group in resources(name, "AWS::Logs::LogGroup").values())


@EACH
def test_every_event_target_has_a_dead_letter_queue(name: str) -> None:
    for rule in resources(name, "AWS::Events::Rule").values():
        assert all("DeadLetterConfig" in target for target in rule["Targets"])
    for schedule in resources(name, "AWS::Scheduler::Schedule").values():
        assert "DeadLetterConfig" in schedule["Target"]


@EACH
def test_no_template_contains_a_secret(name: str) -> None:
    assert SECRETS.search(FILES[name].read_text()) is None


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE",
        "-----BEGIN RSA PRIVATE KEY-----",
        "Password: hunter2hunter2hunter2",
        "api_key = 'abcdefghijklmnop0'",
        "https://x/?X-Amz-Signature=1",
    ],
)
def test_a_secret_is_found(text: str) -> None:
    assert SECRETS.search(text)


def test_the_environment_of_the_function_contains_only_references() -> None:
    """Lambda shows the environment to every reader of the configuration."""
    (function,) = resources("template.yaml", "AWS::Serverless::Function").values()
    values = deployed(function["Environment"]["Variables"], Name="fleet").values()
    assert {value for value in values if isinstance(value, str)} == {"IoTJobCanceler"}
    assert all(value.keys() == {"Ref"} for value in values if isinstance(value, dict))


def test_no_parameter_is_a_secret() -> None:
    for template in TEMPLATES.values():
        assert not any("NoEcho" in parameter for parameter in template.get("Parameters", {}).values())
