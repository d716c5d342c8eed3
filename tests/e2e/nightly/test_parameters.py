"""Parameters for an organization, each with another value than its default, and the effect on the deployed stack.

MiniStack's CloudFormation drops the time zone of a schedule, the permissions boundary of a role, and the key and
reserved concurrency of a function: tests/template has these four.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from handler.version import VERSION
from tests.e2e.conftest import Canceler, deployed, own_bus, unique
from tests.support.stacks import template
from tools.localaws import stacks
from tools.localaws.aws import REGION, LocalAws
from tools.polling import wait_for

STACK, BUS, NAME = "organized", "organization", "fleet"
KEY = f"arn:aws:kms:{REGION}:000000000000:key/0a1b2c3d"
TOPIC = f"arn:aws:sns:{REGION}:000000000000:on-call"
QUEUES = ("BacklogQueueUrl", "FailureQueueUrl", "TeardownQueueUrl", "TeardownFailureQueueUrl")


@pytest.fixture(scope="module")
def organized(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """Deploy a stack on a bus of its own. Its ARN of a key names no key: MiniStack does not encrypt."""
    parameters = {
        "Name": NAME,
        "RequestSources": "fleet.console,fleet.cli",
        "Monitoring": "ALARMS",
        "AlarmTopicArn": TOPIC,
        "LogLevel": "ERROR",
        "LogRetentionDays": "7",
        "KmsKeyArn": KEY,
        "RolePath": "/platform/canceler/",
    }
    with own_bus(aws, BUS) as bus, deployed(aws, build_dir, STACK, **parameters, **bus) as stack:
        yield stack


def request(canceler: Canceler, source: str, job_id: str) -> None:
    """Put a request of the source on the bus of the stack."""
    detail = f'{{"canceler": "{NAME}", "cancel": {{"jobId": "{job_id}"}}}}'
    entry = {"Source": source, "DetailType": "IoT Job Cancellation Requested", "Detail": detail, "EventBusName": BUS}
    canceler.aws.client("events").put_events(Entries=[entry])  # type: ignore[list-item] # a literal dict


def test_a_request_from_a_source_that_is_not_listed_does_nothing(organized: Canceler) -> None:
    kept, canceled = organized.job("kept"), organized.job("canceled")
    request(organized, "fleet", kept)
    request(organized, "fleet.cli", canceled)
    wait_for("the cancellation", lambda: organized.statuses(canceled) == ["CANCELED"] or None, seconds=60)
    assert organized.report_on(canceled)["status"] == "SETTLED"
    assert organized.statuses(kept) == ["IN_PROGRESS"]
    assert not [each for report in organized.log.reports() for each in report["jobs"] if each["jobId"] == kept]


def test_the_name_is_that_of_log_group_parameter_and_export(organized: Canceler) -> None:
    assert organized.outputs["LogGroupName"] == f"/aws/lambda/{NAME}"
    token = organized.aws.client("ssm").get_parameter(Name=f"/iot-job-canceler/{NAME}/service-token")
    assert token["Parameter"]["Value"] == organized.service_token
    exports = organized.aws.client("cloudformation").list_exports()["Exports"]
    assert {each["Name"]: each["Value"] for each in exports}[f"{NAME}-ServiceToken"] == organized.service_token


def actions_of_alarms(canceler: Canceler, name: str) -> dict[str, list[str]]:
    alarms = canceler.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{name}/")["MetricAlarms"]
    return {alarm["AlarmName"]: alarm["AlarmActions"] for alarm in alarms}


def test_only_the_alarms_notify_the_topic_and_there_is_no_dashboard(organized: Canceler) -> None:
    assert actions_of_alarms(organized, NAME) == {
        "fleet/BacklogAge": [TOPIC],
        "fleet/CancelsUnusual": [TOPIC],
        "fleet/FailureQueueNotEmpty": [TOPIC],
        "fleet/FunctionErrors": [TOPIC],
        "fleet/FunctionThrottles": [TOPIC],
        "fleet/JobsFailed": [TOPIC],
        "fleet/RunsRejected": [TOPIC],
        "fleet/TeardownFailuresNotEmpty": [TOPIC],
        "fleet/TeardownsAge": [TOPIC],
    }
    dashboards = organized.aws.client("cloudwatch").list_dashboards(DashboardNamePrefix=f"{NAME}-")
    assert dashboards["DashboardEntries"] == []
    assert "DashboardUrl" not in organized.outputs


def test_a_higher_log_level_drops_the_warning_and_keeps_the_report(organized: Canceler) -> None:
    """tests/e2e/test_teardown.py has the same warning at the default level."""
    job_id, name = organized.job("guarded", tags={"cancel-protection": "true"}), unique("consumer")
    properties = {"JobId": job_id, "OnIncomplete": "CONTINUE"}
    stacks.create(organized.aws, name, template(organized.service_token, properties), {})
    stacks.delete(organized.aws, name)
    assert organized.report_on(job_id)["status"] == "UNSETTLED"
    lines = [json.loads(line) for line in organized.log.lines() if line.startswith("{")]
    assert {line["message"] for line in lines if "level" in line} == {"report"}


def test_the_function_is_tagged_with_the_version_and_its_role_has_the_path(organized: Canceler) -> None:
    function = organized.aws.client("lambda").get_function(FunctionName=organized.function_name)
    assert ":role/platform/canceler/" in function["Configuration"]["Role"]
    assert function["Tags"]["iot-job-canceler:version"] == organized.outputs["Version"] == VERSION


def queue_attributes(canceler: Canceler) -> list[tuple[str | None, str | None]]:
    """Return the key and the encryption by SQS itself of each queue."""
    sqs = canceler.aws.client("sqs")
    urls = [canceler.outputs[name] for name in QUEUES]
    found = [sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"] for url in urls]
    return [(each.get("KmsMasterKeyId"), each.get("SqsManagedSseEnabled")) for each in found]


def log_group(canceler: Canceler) -> tuple[int, str | None]:
    """Return the days of retention, and the key."""
    name = canceler.outputs["LogGroupName"]
    groups = canceler.aws.client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    (found,) = [group for group in groups if group["logGroupName"] == name]
    return found["retentionInDays"], found.get("kmsKeyId")


def test_the_queues_and_the_log_are_encrypted_with_the_key(organized: Canceler) -> None:
    assert queue_attributes(organized) == [(KEY, "false")] * 4
    assert log_group(organized) == (7, KEY)


def test_a_stack_with_the_defaults(canceler: Canceler) -> None:
    """Its fixture has other values for some of the parameters, but for none of these."""
    name = "iot-job-canceler"
    assert canceler.outputs["LogGroupName"] == f"/aws/lambda/{name}"
    assert queue_attributes(canceler) == [(None, "true")] * 4
    assert log_group(canceler) == (30, None)
    assert list(actions_of_alarms(canceler, name).values()) == [[]] * 9
    role = canceler.aws.client("lambda").get_function_configuration(FunctionName=canceler.function_name)["Role"]
    assert role.startswith(f"arn:aws:iam::000000000000:role/{name}-")
    scheduler = canceler.aws.client("scheduler")
    (found,) = [
        each for each in scheduler.list_schedules()["Schedules"] if each["Target"]["Arn"] == canceler.service_token
    ]
    sweep = scheduler.get_schedule(Name=found["Name"])
    assert (sweep["State"], sweep["ScheduleExpression"]) == ("DISABLED", "rate(1 day)")
