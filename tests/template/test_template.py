"""Resources of template.yaml, compared with the handler."""

import json
import re
from typing import Any

import pytest
from moto.events.models import EventPattern

from handler.cancellation.criteria import parse_criteria
from handler.cancellation.request import MAX_WAIT_MINUTES
from handler.inbound.delivery import MAX_VISIBILITY_MARGIN_SECONDS, RETRY_SECONDS
from tests.support.template import ROOT, deployed_resources, holds, load_template, resolved

TEMPLATE = load_template()
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
PARAMETERS: dict[str, dict[str, Any]] = TEMPLATE["Parameters"]
FUNCTION: dict[str, Any] = RESOURCES["Function"]["Properties"]
RULES = sorted(name for name, resource in RESOURCES.items() if resource["Type"] == "AWS::Events::Rule")


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_is_described_and_constrained(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter["Description"].strip()
    assert parameter["ConstraintDescription"].startswith("must be ")
    assert {"AllowedPattern", "AllowedValues", "MinValue"} & parameter.keys()


def test_every_parameter_has_a_label_and_one_group() -> None:
    interface = TEMPLATE["Metadata"]["AWS::CloudFormation::Interface"]
    grouped = [name for group in interface["ParameterGroups"] for name in group["Parameters"]]
    assert sorted(grouped) == sorted(interface["ParameterLabels"]) == sorted(PARAMETERS)
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
        ("SweepSchedule", "rate(1 day)", True),
        ("SweepSchedule", "cron(0 3 * * ? *)", True),
        ("SweepSchedule", "at(2026-11-24T03:00:00)", True),
        ("SweepSchedule", "1 day", False),
        ("SweepSchedule", "rate()", False),
        ("SweepTimezone", "America/Argentina/Buenos_Aires", True),
        ("SweepTimezone", "Etc/GMT+5", True),
        ("SweepTimezone", "", False),
        ("SweepJobIdGlob", "", True),
        ("SweepJobIdGlob", "ota-*", True),
        ("SweepJobIdGlob", "ota-[ab]", False),
        ("SweepJobIdGlob", "ota.*", False),
        ("EventBusName", "default", True),
        ("EventBusName", "arn:aws:events:eu-central-1:123456789012:event-bus/x", False),
        ("RequestSources", "*", True),
        ("RequestSources", "", True),
        ("RequestSources", "fleet.console,aws.partner/example.com/1", True),
        ("RequestSources", "fleet.*", False),
        ("RequestSources", "a, b", False),
        ("RequestSources", "a,", False),
        ("AlarmNamePrefix", "", True),
        ("AlarmNamePrefix", "rollout-", True),
        ("AlarmNamePrefix", "roll*", False),
        ("ReservedConcurrency", "", True),
        ("ReservedConcurrency", "12", False),
        ("ReservedConcurrency", "13", True),
        ("ReservedConcurrency", "9999", True),
        ("ReservedConcurrency", "10000", False),
        ("KmsKeyArn", "", True),
        ("KmsKeyArn", "arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1234abcd", True),
        ("KmsKeyArn", "arn:aws:kms:eu-central-1:123456789012:alias/canceler", False),
        ("KmsKeyArn", "1234abcd-12ab-34cd-56ef-1234567890ab", False),
        ("RolePath", "/", True),
        ("RolePath", "/platform/iot-job-canceler/", True),
        ("RolePath", "platform/", False),
        ("RolePath", "/platform", False),
        ("RolePath", "/*/", False),
        ("PermissionsBoundaryArn", "", True),
        ("PermissionsBoundaryArn", "arn:aws:iam::123456789012:policy/boundary", True),
        ("PermissionsBoundaryArn", "arn:aws-us-gov:iam::aws:policy/PowerUserAccess", True),
        ("PermissionsBoundaryArn", "boundary", False),
        ("AlarmTopicArn", "", True),
        ("AlarmTopicArn", "arn:aws:sns:eu-central-1:123456789012:on-call", True),
        ("AlarmTopicArn", "arn:aws-us-gov:sns:us-gov-west-1:123456789012:on_call", True),
        ("AlarmTopicArn", "arn:aws:sns:eu-central-1:123456789012:on-call.fifo", False),
        ("AlarmTopicArn", "arn:aws:sqs:eu-central-1:123456789012:on-call", False),
        ("AlarmTopicArn", "on-call", False),
    ],
)
def test_parameter_patterns(name: str, value: str, allowed: bool) -> None:
    assert (re.fullmatch(PARAMETERS[name]["AllowedPattern"], value) is not None) is allowed


@pytest.mark.parametrize(
    ("state", "glob", "allowed"),
    [("ENABLED", "", False), ("ENABLED", "ota-*", True), ("DISABLED", "", True), ("DISABLED", "ota-*", True)],
)
def test_an_enabled_sweep_needs_a_glob(state: str, glob: str, allowed: bool) -> None:
    rule = TEMPLATE["Rules"]["SweepNeedsJobIdGlob"]
    (assertion,) = rule["Assertions"]
    given = {"SweepState": state, "SweepJobIdGlob": glob}
    assert (not holds(rule["RuleCondition"], **given) or holds(assertion["Assert"], **given)) is allowed
    assert {"SweepState", "SweepJobIdGlob"} <= set(re.findall(r"\w+", assertion["AssertDescription"]))


@pytest.mark.parametrize(
    ("name", "most"), [("MaxJobsPerRun", 25_000), ("SweepOlderThanHours", 99_999), ("CancelsPerSecond", 1000)]
)
def test_a_number_must_be_whole_and_within_its_limits(name: str, most: int) -> None:
    pattern = PARAMETERS[name]["AllowedPattern"]
    accepted = {number for number in range(110_000) if re.fullmatch(pattern, str(number))}
    assert accepted == set(range(1, most + 1))
    assert not any(re.fullmatch(pattern, text) for text in ("", "1.5", "01", "-1", "+1", "1e3", " 1", "1\n"))


def test_every_glob_and_age_of_the_sweep_is_a_valid_selection() -> None:
    longest = PARAMETERS["SweepJobIdGlob"]["MaxLength"]
    selector = parse_criteria({"jobIdGlob": "*" * longest, "olderThanHours": 99_999})
    assert (selector.job_id_glob, selector.older_than_hours) == ("*" * 64, 99_999)
    assert PARAMETERS["SweepState"]["AllowedValues"] == ["ENABLED", "DISABLED"]


def test_the_function_is_python_on_arm64_with_one_handler() -> None:
    assert FUNCTION["Runtime"] == "python3.13"
    assert FUNCTION["Architectures"] == ["arm64"]
    assert (FUNCTION["CodeUri"], FUNCTION["Handler"]) == ("src/", "handler.lambda_function.lambda_handler")


BACKLOG, TEARDOWNS = ["Backlog", "Arn"], ["Teardowns", "Arn"]


def test_the_log_group_belongs_to_the_stack_and_is_not_recreated() -> None:
    assert list(RESOURCES).index("LogGroup") < list(RESOURCES).index("Function")
    assert FUNCTION["LoggingConfig"]["LogGroup"] == {"Ref": "LogGroup"}
    assert RESOURCES["LogGroup"]["Properties"]["RetentionInDays"] == {"Ref": "LogRetentionDays"}
    assert "CreateLogGroup" not in json.dumps(TEMPLATE)


def test_failed_invocations_move_to_the_failure_queue() -> None:
    queue = {"Fn::GetAtt": ["FailureQueue", "Arn"]}
    assert FUNCTION["EventInvokeConfig"]["DestinationConfig"]["OnFailure"] == {"Type": "SQS", "Destination": queue}


@pytest.mark.parametrize(
    ("parameters", "rules"),
    [
        ({}, ["RequestRule"]),
        (
            {"AlarmNamePrefix": "rollout-", "CancelOnStackDelete": "true"},
            ["RequestRule", "AlarmRule", "StackRule"],
        ),
        ({"RequestSources": "", "AlarmNamePrefix": "rollout-"}, ["AlarmRule"]),
        ({"RequestSources": ""}, []),
    ],
    ids=["defaults", "all", "no requests", "none"],
)
def test_only_the_rules_of_the_stack_send_to_the_failure_queue(parameters: dict[str, str], rules: list[str]) -> None:
    resources = deployed_resources(**parameters)
    assert [name for name in RULES if name in resources] == sorted(rules)
    *allowed, deny = resources["FailureQueuePolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert [each["Principal"] for each in allowed] == [{"Service": "events.amazonaws.com"}] * bool(rules)
    sources = [each["Condition"]["ArnEquals"]["aws:SourceArn"] for each in allowed]
    assert sources == [[{"Fn::GetAtt": [rule, "Arn"]} for rule in rules]] * bool(rules)
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sqs:*")
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_the_function_as_its_target_and_a_dead_letter_queue(rule: str) -> None:
    (target,) = RESOURCES[rule]["Properties"]["Targets"]
    assert target["Arn"] == {"Fn::GetAtt": ["Function", "Arn"]}
    assert target.get("DeadLetterConfig") == {"Arn": {"Fn::GetAtt": ["FailureQueue", "Arn"]}}


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_has_its_own_permission_to_invoke_the_function(rule: str) -> None:
    permission = RESOURCES[f"{rule}Permission"]
    assert permission.get("Condition") == RESOURCES[rule].get("Condition")
    assert permission["Properties"] == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "Function"},
        "Principal": "events.amazonaws.com",
        "SourceArn": {"Fn::GetAtt": [rule, "Arn"]},
    }


def test_only_rules_of_the_stack_and_alarms_may_invoke_the_function() -> None:
    permissions = [name for name, each in RESOURCES.items() if each["Type"] == "AWS::Lambda::Permission"]
    assert sorted(permissions) == sorted(["AlarmActionPermission", *(f"{rule}Permission" for rule in RULES)])


def test_an_alarm_with_the_prefix_may_invoke_the_function_as_its_action() -> None:
    permission = RESOURCES["AlarmActionPermission"]
    assert permission["Condition"] == RESOURCES["AlarmRule"]["Condition"] == "HasAlarms"
    assert permission["Properties"] == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": {"Ref": "Function"},
        "Principal": "lambda.alarms.cloudwatch.amazonaws.com",
        "SourceAccount": {"Ref": "AWS::AccountId"},
        "SourceArn": {
            "Fn::Sub": "arn:${AWS::Partition}:cloudwatch:${AWS::Region}:${AWS::AccountId}:alarm:${AlarmNamePrefix}*"
        },
    }


def event_file(name: str) -> Any:
    return json.loads((ROOT / "events" / name).read_text())


def matches(rule: str, event: Any, **parameters: str) -> bool:
    given = {"AlarmNamePrefix": "iot-job-failures-", "CancelOnStackDelete": "true"} | parameters
    pattern = resolved(deployed_resources(**given)[rule]["Properties"]["EventPattern"], **given)
    found: bool = EventPattern.load(json.dumps(pattern)).matches_event(event)
    return found


# The files of events/ that each rule matches. EventBridge delivers an envelope, which a request of another kind lacks.
EVENTS = {
    "RequestRule": ["request-event.json"],
    "AlarmRule": [
        *("alarm-muted.json", "alarm-of-contributor.json", "alarm-of-two-jobs.json", "alarm-to-alarm.json"),
        "alarm-with-contributors.json",
    ],
    "StackRule": ["stack-deleted.json"],
}
EVENTBRIDGE_FILES = [
    path.name for path in sorted((ROOT / "events").glob("*.json")) if "detail-type" in event_file(path.name)
]


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_matches_only_its_own_events(rule: str) -> None:
    assert [name for name in EVENTBRIDGE_FILES if matches(rule, event_file(name))] == EVENTS[rule]


def test_the_stack_rule_matches_only_delete_complete() -> None:
    event = event_file("stack-deleted.json")
    for status in ("DELETE_IN_PROGRESS", "DELETE_FAILED", "CREATE_COMPLETE", "ROLLBACK_COMPLETE"):
        event["detail"]["status-details"]["status"] = status
        assert not matches("StackRule", event)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_matches_no_event_of_another_account(rule: str) -> None:
    for name in EVENTS[rule]:
        assert not matches(rule, event_file(name) | {"account": "999999999999"})


@pytest.mark.parametrize("rule", RULES)
def test_only_a_request_is_matched_from_another_region(rule: str) -> None:
    """An event of an AWS service names a job or stack of its own Region. A request is for the canceler of the bus."""
    found = {matches(rule, event_file(name) | {"region": "us-east-1"}) for name in EVENTS[rule]}
    assert found == {rule == "RequestRule"}


@pytest.mark.parametrize(
    ("canceler", "is_matched"), [("canceler", True), ("lab", False), ("canceler-2", False), ("", False), (None, False)]
)
def test_a_request_that_names_another_canceler_is_not_matched(canceler: str | None, is_matched: bool) -> None:
    event = event_file("request-event.json")
    event["detail"]["canceler"] = canceler
    assert matches("RequestRule", event) is is_matched


@pytest.mark.parametrize(
    ("sources", "is_matched"),
    [("*", True), ("fleet.console", True), ("ci,fleet.console", True), ("fleet", False), ("ci", False)],
)
def test_a_request_is_matched_only_from_its_sources(sources: str, is_matched: bool) -> None:
    event = event_file("request-event.json") | {"source": "fleet.console"}
    assert matches("RequestRule", event, RequestSources=sources) is is_matched


def test_optional_rules_have_a_condition() -> None:
    assert RESOURCES["AlarmRule"]["Condition"] == "HasAlarms"
    assert RESOURCES["StackRule"]["Condition"] == "CancelsOnStackDelete"
    assert TEMPLATE["Conditions"]["CancelsOnStackDelete"] == {"Fn::Equals": [{"Ref": "CancelOnStackDelete"}, "true"]}
    assert RESOURCES["StackRule"]["Properties"].get("EventBusName") is None, "stack events are on the default bus"


# The backlog


@pytest.mark.parametrize("queue", ["Backlog", "Teardowns"])
def test_the_visibility_timeout_outlasts_an_invocation(queue: str) -> None:
    """The timeout is less than twice as long, so that the message of a killed invocation is redelivered soon."""
    visibility_timeout = RESOURCES[queue]["Properties"]["VisibilityTimeout"]
    assert FUNCTION["Timeout"] + 30 <= visibility_timeout < 2 * FUNCTION["Timeout"]
    assert visibility_timeout == FUNCTION["Timeout"] + MAX_VISIBILITY_MARGIN_SECONDS


@pytest.mark.parametrize("queue", ["Backlog", "Teardowns", "TeardownFailures"])
def test_each_queue_requires_tls(queue: str) -> None:
    assert RESOURCES[f"{queue}Policy"]["Properties"]["Queues"] == [{"Ref": queue}]
    (deny,) = RESOURCES[f"{queue}Policy"]["Properties"]["PolicyDocument"]["Statement"]
    assert (deny["Effect"], deny["Principal"], deny["Action"]) == ("Deny", "*", "sqs:*")
    assert deny["Resource"] == {"Fn::GetAtt": [queue, "Arn"]}
    assert deny["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


@pytest.mark.parametrize("key", ["", "arn:aws:kms:eu-west-1:123456789012:key/1"])
def test_a_key_encrypts_queues_log_group_and_function(key: str) -> None:
    """SQS refuses a queue with both kinds of encryption."""
    resources, own = deployed_resources(KmsKeyArn=key), {"Ref": "KmsKeyArn"} if key else None
    queues = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::SQS::Queue"]
    assert [(each["SqsManagedSseEnabled"], each.get("KmsMasterKeyId")) for each in queues] == [(not key, own)] * 4
    assert resources["LogGroup"]["Properties"].get("KmsKeyId") == own
    assert resources["Function"]["Properties"].get("KmsKeyArn") == own


def test_each_failure_queue_says_which_queues_may_use_it() -> None:
    for queue in ("FailureQueue", "TeardownFailures"):
        assert RESOURCES[queue]["Properties"]["RedriveAllowPolicy"] == {"redrivePermission": "allowAll"}


def test_only_the_teardown_queues_are_fifo() -> None:
    kinds = {
        name: (resource["Properties"].get("FifoQueue"), resource["Properties"].get("ContentBasedDeduplication"))
        for name, resource in RESOURCES.items()
        if resource["Type"] == "AWS::SQS::Queue"
    }
    assert kinds == {
        "Backlog": (None, None),
        "FailureQueue": (None, None),
        "Teardowns": (True, None),
        "TeardownFailures": (True, None),
    }


def test_a_teardown_is_delayed_like_any_other_event() -> None:
    """A message of a FIFO queue has no delay of its own."""
    assert RESOURCES["Teardowns"]["Properties"]["DelaySeconds"] == RETRY_SECONDS == 5


@pytest.mark.parametrize(("queue", "failure_queue"), [("Backlog", "FailureQueue"), ("Teardowns", "TeardownFailures")])
def test_a_message_moves_to_the_dead_letter_queue_before_it_expires(queue: str, failure_queue: str) -> None:
    backlog, failures = (RESOURCES[name]["Properties"] for name in (queue, failure_queue))
    assert backlog["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [failure_queue, "Arn"]},
        "maxReceiveCount": 100,
    }
    assert (backlog["MessageRetentionPeriod"], failures["MessageRetentionPeriod"]) == (4 * 86_400, 14 * 86_400)
    longest = 100 * backlog["VisibilityTimeout"]
    assert longest < backlog["MessageRetentionPeriod"], "or it would expire before it is a failure"


def test_both_queues_invoke_the_function_with_one_message_each() -> None:
    """Teardowns have their own concurrency, so sweeps do not delay them."""
    mappings = [
        {
            "Type": "SQS",
            "Properties": {
                "Queue": {"Fn::GetAtt": queue},
                "BatchSize": 1,
                "FunctionResponseTypes": ["ReportBatchItemFailures"],
                "ScalingConfig": {"MaximumConcurrency": workers},
            },
        }
        for queue, workers in ((BACKLOG, 2), (TEARDOWNS, 10))
    ]
    assert list(FUNCTION["Events"].values()) == mappings


def test_the_longest_wait_needs_fewer_receives_than_allowed() -> None:
    """A poll every 60 s for 50 minutes, and the retries before it."""
    assert RESOURCES["Teardowns"]["Properties"]["RedrivePolicy"]["maxReceiveCount"] >= 2 * MAX_WAIT_MINUTES


# The sweep


def test_the_sweep_is_a_schedule_without_an_input() -> None:
    sweep = RESOURCES["Sweep"]
    assert sweep["Type"] == "AWS::Scheduler::Schedule"
    assert sweep["Properties"]["State"] == {"Ref": "SweepState"}
    assert sweep["Properties"]["ScheduleExpression"] == {"Ref": "SweepSchedule"}
    assert sweep["Properties"]["ScheduleExpressionTimezone"] == {"Ref": "SweepTimezone"}
    assert sweep["Properties"]["FlexibleTimeWindow"] == {"Mode": "OFF"}
    target = sweep["Properties"]["Target"]
    assert target["Arn"] == {"Fn::GetAtt": ["Function", "Arn"]}
    assert target["RoleArn"] == {"Fn::GetAtt": ["SweepRole", "Arn"]}
    assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["FailureQueue", "Arn"]}}
    assert target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10}
    assert "Input" not in target


def test_the_sweep_role_allows_only_its_two_actions() -> None:
    def allowed(**parameters: str) -> list[tuple[str, Any, Any]]:
        policies = deployed_resources(**parameters)["SweepRole"]["Properties"]["Policies"]
        statements = [statement for policy in policies for statement in policy["PolicyDocument"]["Statement"]]
        return [(each["Effect"], each["Action"], each["Resource"]) for each in statements]

    actions: list[tuple[str, Any, Any]] = [
        ("Allow", "lambda:InvokeFunction", {"Fn::GetAtt": ["Function", "Arn"]}),
        ("Allow", "sqs:SendMessage", {"Fn::GetAtt": ["FailureQueue", "Arn"]}),
    ]
    assert allowed() == actions
    key = ("Allow", ["kms:Decrypt", "kms:GenerateDataKey"], {"Ref": "KmsKeyArn"})
    assert allowed(KmsKeyArn="arn") == [*actions, key]
    assert "ManagedPolicyArns" not in RESOURCES["SweepRole"]["Properties"]


def test_only_the_scheduler_of_this_account_assumes_the_sweep_role() -> None:
    (trust,) = RESOURCES["SweepRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}


def test_every_role_has_the_path_and_the_optional_permissions_boundary() -> None:
    for role in (each["Properties"] for each in RESOURCES.values() if each["Type"] == "AWS::IAM::Role"):
        assert role["Path"] == {"Ref": "RolePath"}
        assert role["PermissionsBoundary"] == {
            "Fn::If": ["HasPermissionsBoundary", {"Ref": "PermissionsBoundaryArn"}, {"Ref": "AWS::NoValue"}]
        }


def test_the_reserved_concurrency_is_optional_and_enough_for_both_queues() -> None:
    """Otherwise Lambda would throttle its pollers, and SQS would move the messages to the failure queues."""
    assert "ReservedConcurrentExecutions" not in deployed_resources()["Function"]["Properties"]
    function = deployed_resources(ReservedConcurrency="13")["Function"]["Properties"]
    assert function["ReservedConcurrentExecutions"] == {"Ref": "ReservedConcurrency"}
    workers = [each["Properties"]["ScalingConfig"]["MaximumConcurrency"] for each in function["Events"].values()]
    assert sum(workers) == 12
