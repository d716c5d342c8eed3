"""template.yaml is code: it is held here against the contract and against the handler."""

import json
import re
from typing import Any

import pytest
from moto.events.models import EventPattern

from tests.support.template import ROOT, load_template

TEMPLATE = load_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]
FUNCTION: dict[str, Any] = RESOURCES["Function"]["Properties"]

DEFAULTS = {
    "Force": "false",
    "DryRun": "false",
    "MaxJobsPerRun": 100,
    "JobIdPrefix": "",
    "ProtectionTagKey": "cancel-protection",
    "EventBusName": "default",
    "AlarmNamePrefix": "",
    "LogLevel": "INFO",
    "LogRetentionDays": 30,
    "PermissionsBoundaryArn": "",
}


def test_parameters_are_those_of_the_contract_with_their_defaults() -> None:
    assert {name: parameter["Default"] for name, parameter in PARAMETERS.items()} == DEFAULTS


@pytest.mark.parametrize("name", DEFAULTS)
def test_every_parameter_is_described_and_constrained(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter["Description"].strip()
    assert parameter["ConstraintDescription"].startswith("must be ")
    assert {"AllowedPattern", "AllowedValues", "MinValue"} & parameter.keys()


def test_every_parameter_has_a_label_and_stands_in_one_group() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(DEFAULTS)
    assert sorted(interface["ParameterLabels"]) == sorted(DEFAULTS)
    assert all(label["default"] for label in interface["ParameterLabels"].values())


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("JobIdPrefix", "", True),
        ("JobIdPrefix", "fw-2026_", True),
        ("JobIdPrefix", "fw*", False),
        ("JobIdPrefix", "fw/", False),
        ("ProtectionTagKey", "cancel-protection", True),
        ("ProtectionTagKey", "team:keep", True),
        ("ProtectionTagKey", 'a"b', False),
        ("ProtectionTagKey", "${aws:x}", False),
        ("ProtectionTagKey", "a/b", False),
        ("EventBusName", "default", True),
        ("EventBusName", "arn:aws:events:eu-central-1:123456789012:event-bus/x", False),
        ("AlarmNamePrefix", "", True),
        ("AlarmNamePrefix", "rollout-", True),
        ("AlarmNamePrefix", "roll*", False),
        ("PermissionsBoundaryArn", "", True),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:policy/boundary", True),
        ("PermissionsBoundaryArn", "arn:aws-us-gov:iam::aws:policy/PowerUserAccess", True),
        ("PermissionsBoundaryArn", "boundary", False),
    ],
)
def test_parameter_patterns(name: str, value: str, allowed: bool) -> None:
    assert (re.fullmatch(PARAMETERS[name]["AllowedPattern"], value) is not None) is allowed


def test_the_function_gets_the_environment_that_the_handler_reads() -> None:
    assert FUNCTION["Environment"]["Variables"] == {
        "FORCE": {"Ref": "Force"},
        "DRY_RUN": {"Ref": "DryRun"},
        "MAX_JOBS_PER_RUN": {"Ref": "MaxJobsPerRun"},
        "JOB_ID_PREFIX": {"Ref": "JobIdPrefix"},
        "PROTECTION_TAG_KEY": {"Ref": "ProtectionTagKey"},
        "URL_SUFFIX": {"Ref": "AWS::URLSuffix"},
        "LOG_GROUP": {"Ref": "LogGroup"},
        "POWERTOOLS_LOG_LEVEL": {"Ref": "LogLevel"},
        "POWERTOOLS_METRICS_NAMESPACE": "IoTJobCanceler",
        "POWERTOOLS_SERVICE_NAME": {"Ref": "AWS::StackName"},
    }


def test_the_function_is_python_on_arm64_with_one_handler() -> None:
    assert FUNCTION["Runtime"] == "python3.13"
    assert FUNCTION["Architectures"] == ["arm64"]
    assert (FUNCTION["CodeUri"], FUNCTION["Handler"]) == ("src/", "handler.app.lambda_handler")


ALLOWED = {
    "iot:CancelJob": "arn:${AWS::Partition}:iot:${AWS::Region}:${AWS::AccountId}:job/${JobIdPrefix}*",
    "iot:DescribeJob": "arn:${AWS::Partition}:iot:${AWS::Region}:${AWS::AccountId}:job/*",
    "iot:ListTagsForResource": "arn:${AWS::Partition}:iot:${AWS::Region}:${AWS::AccountId}:job/*",
    "logs:CreateLogStream": ["LogGroup", "Arn"],
    "logs:PutLogEvents": ["LogGroup", "Arn"],
    "sqs:SendMessage": ["FailureQueue", "Arn"],
}


def _statements() -> list[dict[str, Any]]:
    documents = [policy["PolicyDocument"] for policy in RESOURCES["Role"]["Properties"]["Policies"]]
    read = [json.loads(document["Fn::Sub"]) if "Fn::Sub" in document else document for document in documents]
    return [statement for document in read for statement in document["Statement"]]


def test_the_role_allows_these_actions_on_these_resources_and_nothing_else() -> None:
    allowed: dict[str, object] = {}
    for statement in _statements():
        if statement["Effect"] == "Allow":
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            (resource,) = statement["Resource"].values()
            allowed.update(dict.fromkeys(actions, resource))
    assert allowed == ALLOWED
    assert "ManagedPolicyArns" not in RESOURCES["Role"]["Properties"]


def test_a_deny_protects_tagged_jobs_from_every_cancel() -> None:
    (deny,) = [statement for statement in _statements() if statement["Effect"] == "Deny"]
    assert deny == {
        "Sid": "ProtectTaggedJobs",
        "Effect": "Deny",
        "Action": "iot:CancelJob",
        "Resource": "*",
        "Condition": {"StringEqualsIgnoreCase": {"aws:ResourceTag/${ProtectionTagKey}": "true"}},
    }


def test_the_log_group_is_the_stacks_own_and_can_not_come_back_as_an_orphan() -> None:
    assert list(RESOURCES).index("LogGroup") < list(RESOURCES).index("Function")
    assert FUNCTION["LoggingConfig"]["LogGroup"] == {"Ref": "LogGroup"}
    assert RESOURCES["LogGroup"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert "CreateLogGroup" not in json.dumps(TEMPLATE)


def test_what_fails_for_good_ends_on_the_encrypted_failure_queue() -> None:
    queue = {"Fn::GetAtt": ["FailureQueue", "Arn"]}
    assert RESOURCES["FailureQueue"]["Properties"]["SqsManagedSseEnabled"] is True
    assert FUNCTION["EventInvokeConfig"]["DestinationConfig"]["OnFailure"] == {"Type": "SQS", "Destination": queue}
    rules = {name: rule for name, rule in RESOURCES.items() if rule["Type"] == "AWS::Events::Rule"}
    assert sorted(rules) == ["AlarmRule", "RequestRule"]
    for rule in rules.values():
        (target,) = rule["Properties"]["Targets"]
        assert target["DeadLetterConfig"] == {"Arn": queue}


def test_the_failure_queue_takes_from_our_rules_alone_and_only_over_tls() -> None:
    allow, deny = RESOURCES["FailureQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert allow["Principal"] == {"Service": "events.amazonaws.com"}
    assert allow["Condition"]["ArnEquals"]["aws:SourceArn"] == [
        {"Fn::GetAtt": ["RequestRule", "Arn"]},
        {"Fn::If": ["HasAlarms", {"Fn::GetAtt": ["AlarmRule", "Arn"]}, {"Ref": "AWS::NoValue"}]},
    ]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sqs:*")
    assert deny["Condition"] == {
        "Bool": {"aws:SecureTransport": "false"},
        "NotIpAddress": {"aws:SourceIp": "127.0.0.0/8"},
    }


@pytest.mark.parametrize("rule", ["RequestRule", "AlarmRule"])
def test_each_rule_may_invoke_the_function_and_no_other_rule_may(rule: str) -> None:
    permission = RESOURCES[f"{rule}Permission"]
    assert permission.get("Condition") == RESOURCES[rule].get("Condition")
    assert permission["Properties"]["SourceArn"] == {"Fn::GetAtt": [rule, "Arn"]}


@pytest.mark.parametrize(
    ("rule", "event_file", "matches"),
    [
        ("RequestRule", "request-event.json", True),
        ("RequestRule", "alarm-to-alarm.json", False),
        ("AlarmRule", "alarm-to-alarm.json", True),
        ("AlarmRule", "alarm-to-ok.json", False),
        ("AlarmRule", "request-event.json", False),
    ],
)
def test_rules_match_the_events_that_they_are_for(rule: str, event_file: str, matches: bool) -> None:
    pattern = json.dumps(RESOURCES[rule]["Properties"]["EventPattern"])
    pattern = pattern.replace('{"Ref": "AlarmNamePrefix"}', '"iot-job-failures-"')
    event = json.loads((ROOT / "events" / event_file).read_text())
    assert EventPattern.load(pattern).matches_event(event) is matches


def test_outputs_are_those_of_the_contract() -> None:
    outputs = TEMPLATE["Outputs"]
    assert {name: output["Value"] for name, output in outputs.items()} == {
        "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
        "FunctionName": {"Ref": "Function"},
        "FailureQueueUrl": {"Ref": "FailureQueue"},
        "LogGroupName": {"Ref": "LogGroup"},
    }
    assert outputs["ServiceToken"]["Export"]["Name"] == {"Fn::Sub": "${AWS::StackName}-ServiceToken"}
    assert RESOURCES["ServiceTokenParameter"]["Properties"]["Value"] == {"Fn::GetAtt": ["Function", "Arn"]}
