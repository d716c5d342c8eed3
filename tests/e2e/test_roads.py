"""The roads of an event to the function: rules, alarms with it as their action, SNS topics, IoT rules, other queues."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import Any

import pytest

from tests.e2e.conftest import ALARM_PREFIX, Canceler, unique
from tests.support.template import load_template, resolved
from tools.errors import NotDelivered
from tools.localaws import sam, stacks
from tools.localaws.reports import Report

EXAMPLES, EVENTS = sam.ROOT / "examples", sam.ROOT / "events"


def place_of(canceler: Canceler) -> tuple[str, str]:
    region, account = canceler.service_token.split(":")[3:5]
    return region, account


def alarm_file(canceler: Canceler, name: str, job_id: str, alarm: str) -> Any:
    """Return the payload of events/ for this job and alarm, in the account and Region of the canceler."""
    region, account = place_of(canceler)
    text = (EVENTS / name).read_text()
    for before in ("iot-job-failures-firmware-2026-11", "iot-job-failures-fleet"):
        text = text.replace(before, alarm)
    text = text.replace("firmware-2026-11", job_id)
    return json.loads(text.replace("eu-west-1", region).replace("123456789012", account))


def policy_of(canceler: Canceler) -> list[dict[str, Any]]:
    policy = canceler.aws.client("lambda").get_policy(FunctionName=canceler.function_name)["Policy"]
    statements: list[dict[str, Any]] = json.loads(policy)["Statement"]
    return statements


def conditions_of(statement: dict[str, Any]) -> dict[str, str]:
    """Return the keys of a statement's conditions, with either operator that Lambda documents for SourceArn."""
    return {key: value for keys in statement["Condition"].values() for key, value in keys.items()}


# Permissions


def test_exactly_the_rules_and_alarms_with_the_prefix_may_invoke_the_function(canceler: Canceler) -> None:
    region, account = place_of(canceler)
    invokers: dict[str, list[dict[str, str]]] = {
        "events.amazonaws.com": [],
        "lambda.alarms.cloudwatch.amazonaws.com": [],
    }
    for statement in policy_of(canceler):
        assert (statement["Effect"], statement["Action"]) == ("Allow", "lambda:InvokeFunction")
        invokers[statement["Principal"]["Service"]].append(conditions_of(statement))
    rules = canceler.aws.client("events").list_rule_names_by_target(TargetArn=canceler.service_token)["RuleNames"]
    arns = sorted(condition["AWS:SourceArn"] for condition in invokers["events.amazonaws.com"])
    assert arns == sorted(f"arn:aws:events:{region}:{account}:rule/{rule}" for rule in rules)
    assert len(rules) == 3
    (of_alarms,) = invokers["lambda.alarms.cloudwatch.amazonaws.com"]
    assert of_alarms == {
        "AWS:SourceArn": f"arn:aws:cloudwatch:{region}:{account}:alarm:{ALARM_PREFIX}*",
        "AWS:SourceAccount": account,
    }
    alarms = {
        f"{region}:{account}:alarm:{ALARM_PREFIX}": True,
        f"{region}:{account}:alarm:{ALARM_PREFIX}a b/c": True,
        f"{region}:{account}:alarm:other-{ALARM_PREFIX}": False,
        f"{region}:999999999999:alarm:{ALARM_PREFIX}a": False,
        f"ap-south-1:{account}:alarm:{ALARM_PREFIX}a": False,
    }
    allowed = {each: fnmatchcase(f"arn:aws:cloudwatch:{each}", of_alarms["AWS:SourceArn"]) for each in alarms}
    assert allowed == alarms


def test_without_a_prefix_no_alarm_may_invoke_the_function(forceful: Canceler) -> None:
    assert {statement["Principal"]["Service"] for statement in policy_of(forceful)} == {"events.amazonaws.com"}


# Alarms


@contextmanager
def topic(canceler: Canceler) -> Iterator[str]:
    """Create an SNS topic for the block, which sends its notifications to the function, as in docs/reference.md."""
    sns, function = canceler.aws.client("sns"), canceler.aws.client("lambda")
    name = unique("topic")
    arn = sns.create_topic(Name=name)["TopicArn"]
    function.add_permission(
        FunctionName=canceler.function_name,
        StatementId=name,
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=arn,
    )
    sns.subscribe(TopicArn=arn, Protocol="lambda", Endpoint=canceler.service_token)
    try:
        yield arn
    finally:
        sns.delete_topic(TopicArn=arn)
        function.remove_permission(FunctionName=canceler.function_name, StatementId=name)


def publish(canceler: Canceler, message: str, job_id: str) -> Report:
    """Publish a message to a topic of the function, and return the report on the job."""
    with topic(canceler) as arn:
        canceler.aws.client("sns").publish(TopicArn=arn, Message=message)
        return canceler.report_on(job_id)


ALARM_FILES = ["alarm-to-alarm.json", "alarm-of-contributor.json", "alarm-action.json", "alarm-by-sns.json"]
EACH_ROAD = pytest.mark.parametrize("name", ALARM_FILES)


@EACH_ROAD
def test_an_alarm_cancels_its_job_on_every_road(canceler: Canceler, name: str) -> None:
    job_id, other = canceler.job("watched"), canceler.job("other")
    payload = alarm_file(canceler, name, job_id, f"{ALARM_PREFIX}{job_id}")
    if "Records" in payload:
        report = publish(canceler, payload["Records"][0]["Sns"]["Message"], job_id)
    elif "detail-type" in payload:
        canceler.deliver(payload)  # through the rule of the stack
        report = canceler.report_on(job_id)
    else:
        canceler.invoke_asynchronously(payload)  # as CloudWatch does, which the local one does not
        report = canceler.report_on(job_id)
    assert (report["trigger"], report["counts"]) == ("EVENT", {"CANCELED": 1})
    assert canceler.statuses(job_id, other) == ["CANCELED", "IN_PROGRESS"]
    assert canceler.described(job_id)["comment"] == f"Requested by alarm {ALARM_PREFIX}{job_id}"


MUTED = {"mutedByArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm-mute-rule:maintenance"}


def changed(payload: Any, case: str, other: str) -> Any:
    """Return the payload of an alarm that must not cancel its job."""
    if "Records" in payload:
        notification = payload["Records"][0]["Sns"]
        message = json.loads(notification["Message"])
        if case == "OK":
            message["NewStateValue"] = "OK"
        if case == "ambiguous":
            message["Trigger"]["Dimensions"].append({"name": "JobId", "value": other})
        notification["Message"] = json.dumps(message)
        return payload
    data = payload["detail"] if "detail" in payload else payload["alarmData"]
    if case == "OK":
        data["state"]["value"] = "OK"
    if case == "muted":
        data["muteDetail"] = MUTED
    if case == "ambiguous":
        metric = {"metricStat": {"metric": {"dimensions": {"JobId": other}}}, "returnData": False}
        data["configuration"]["metrics"].append(metric)
    return payload


CASES = {"OK": "IGNORED", "muted": "IGNORED", "ambiguous": "REJECTED"}
# CloudWatch sends no notification of a muted alarm.
OTHER_ALARMS = [
    (name, case) for name in ALARM_FILES for case in CASES if (name, case) != ("alarm-by-sns.json", "muted")
]


@pytest.mark.parametrize(("name", "case"), OTHER_ALARMS)
def test_a_muted_or_ambiguous_alarm_or_one_in_ok_cancels_nothing(canceler: Canceler, name: str, case: str) -> None:
    job_id, other = canceler.job("watched"), canceler.job("other")
    payload = alarm_file(canceler, name, job_id, f"{ALARM_PREFIX}{job_id}")
    report = canceler.invoke(changed(payload, case, other))
    assert (report["trigger"], report["status"]) == ("EVENT", CASES[case])
    assert canceler.statuses(job_id, other) == ["IN_PROGRESS", "IN_PROGRESS"]


@EACH_ROAD
def test_an_alarm_with_another_name_cancels_nothing(canceler: Canceler, name: str) -> None:
    job_id = canceler.job("watched")
    payload = alarm_file(canceler, name, job_id, f"other-{job_id}")
    if "detail-type" in payload:
        with pytest.raises(NotDelivered):
            canceler.deliver(payload)
    else:
        assert canceler.invoke(payload)["status"] == "IGNORED"
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]


# SNS and other queues


def test_a_request_by_sns_cancels_its_job(canceler: Canceler) -> None:
    job_id = canceler.job("notified")
    report = publish(canceler, json.dumps({"cancel": {"jobId": job_id}}), job_id)
    assert (report["trigger"], report["counts"]) == ("DIRECT", {"CANCELED": 1})


def test_messages_of_another_queue_stay_in_it(canceler: Canceler) -> None:
    job_id, sqs, function = canceler.job("queued"), canceler.aws.client("sqs"), canceler.aws.client("lambda")
    url = sqs.create_queue(QueueName=unique("requests"), Attributes={"VisibilityTimeout": "300"})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    mapping = function.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=canceler.function_name, FunctionResponseTypes=["ReportBatchItemFailures"]
    )["UUID"]
    try:
        sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"cancel": {"jobId": job_id}}))
        rejected = "records of aws:sqs from a queue that is not the stack's own"
        canceler.log.wait_for_report("the rejection", lambda report: rejected in report["reason"], seconds=60)
        function.delete_event_source_mapping(UUID=mapping)
        numbers = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        kept = int(numbers["ApproximateNumberOfMessages"]) + int(numbers["ApproximateNumberOfMessagesNotVisible"])
        assert (kept, canceler.statuses(job_id)) == (1, ["IN_PROGRESS"])
    finally:
        sqs.delete_queue(QueueUrl=url)


# Examples


def test_the_alarm_of_the_example_has_the_function_as_its_action(canceler: Canceler) -> None:
    job_id, name = canceler.job("watched"), unique("guard")
    parameters = {"JobId": job_id, "AlarmNamePrefix": ALARM_PREFIX}
    template = (EXAMPLES / "alarm-action.yaml").read_text()
    try:
        alarm_name = stacks.create(canceler.aws, name, template, parameters)["Alarm"]
        (alarm,) = canceler.aws.client("cloudwatch").describe_alarms(AlarmNames=[alarm_name])["MetricAlarms"]
    finally:
        stacks.delete(canceler.aws, name)
    assert alarm["AlarmActions"] == [canceler.service_token]
    assert (alarm["AlarmName"], alarm["Dimensions"]) == (
        f"{ALARM_PREFIX}{job_id}",
        [{"Name": "JobId", "Value": job_id}],
    )
    canceler.invoke_asynchronously(alarm_file(canceler, "alarm-action.json", job_id, alarm_name))
    assert canceler.report_on(job_id)["counts"] == {"CANCELED": 1}


def test_the_fleet_alarm_of_the_example_cancels_the_job_of_its_contributor(canceler: Canceler) -> None:
    """The local AWS has no alarms on queries: the alarm of fleet-alarm.yaml is put into the events of CloudWatch."""
    resources = resolved(load_template(EXAMPLES / "fleet-alarm.yaml")["Resources"], AlarmNamePrefix=ALARM_PREFIX)
    alarm = resources["Failures"]["Properties"]
    assert (alarm["AlarmName"], alarm["Metrics"][0]["Expression"]) == (
        "rollout-fleet",
        'SELECT MAX(FailedJobExecutionTotalCount) FROM SCHEMA("AWS/IoT", JobId) GROUP BY JobId ORDER BY MAX() DESC',
    )
    job_id, other = canceler.job("failing"), canceler.job("other")
    of_alarm, of_contributor = (
        alarm_file(canceler, f"{name}.json", job_id, alarm["AlarmName"])
        for name in ("alarm-with-contributors", "alarm-of-contributor")
    )
    for event in (of_alarm, of_contributor):
        event["detail"]["configuration"]["metrics"][0]["expression"] = alarm["Metrics"][0]["Expression"]
    assert canceler.invoke(of_alarm)["status"] == "IGNORED"
    canceler.deliver(of_contributor)
    assert canceler.report_on(job_id)["counts"] == {"CANCELED": 1}
    assert canceler.statuses(job_id, other) == ["CANCELED", "IN_PROGRESS"]


def test_the_iot_rule_of_the_example_requests_the_cancellation_of_a_failed_canary(canceler: Canceler) -> None:
    """The local AWS cannot evaluate the object in the rule's SQL: its result is what AWS documents for it."""
    job_id, name, iot = canceler.job("canary"), unique("canary-guard"), canceler.aws.client("iot")
    template = (EXAMPLES / "failed-executions.yaml").read_text()
    try:
        arn = stacks.create(canceler.aws, name, template, {"JobIdPrefix": "e2e-"})["Rule"]
        rule = iot.get_topic_rule(ruleName=arn.rpartition("/")[2])["rule"]
        (statement,) = [each for each in policy_of(canceler) if each["Principal"]["Service"] == "iot.amazonaws.com"]
    finally:
        stacks.delete(canceler.aws, name)
    assert rule["sql"] == (
        "SELECT {'jobId': topic(4), 'reasonCode': 'CANARY_FAILED', 'comment': 'A device failed to execute the job'} "
        "AS cancel FROM '$aws/events/jobExecution/+/failed' WHERE startswith(topic(4), 'e2e-')"
    )
    assert rule["actions"] == [{"lambda": {"functionArn": canceler.service_token}}]
    assert conditions_of(statement) == {"AWS:SourceArn": arn, "AWS:SourceAccount": place_of(canceler)[1]}
    reason = {"reasonCode": "CANARY_FAILED", "comment": "A device failed to execute the job"}
    canceler.invoke_asynchronously({"cancel": {"jobId": job_id, **reason}})
    assert canceler.report_on(job_id)["counts"] == {"CANCELED": 1}
    described = canceler.described(job_id)
    assert {key: described[key] for key in reason} == reason
