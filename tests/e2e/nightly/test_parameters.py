"""Parameters for an organization, each with another value than its default, and the effect on the deployed stack.

MiniStack's CloudFormation drops the time zone of a schedule, and the key and reserved concurrency of a function:
tests/template has these three.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from handler.version import VERSION
from tests.e2e.conftest import Canceler, deployed, own_bus
from tools.localaws.aws import REGION, LocalAws
from tools.polling import wait_for

STACK, BUS, NAME = "organized", "organization", "fleet"
KEY = f"arn:aws:kms:{REGION}:000000000000:key/0a1b2c3d"


@pytest.fixture(scope="module")
def organized(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """Deploy a stack on a bus of its own. Its ARN of a key names no key: MiniStack does not encrypt."""
    parameters = {
        "Name": NAME,
        "RequestSources": "fleet.console,fleet.cli",
        "Monitoring": "NONE",
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


def test_no_monitoring_has_no_alarms_and_no_dashboard(organized: Canceler) -> None:
    cloudwatch = organized.aws.client("cloudwatch")
    assert cloudwatch.describe_alarms(AlarmNamePrefix=f"{NAME}/")["MetricAlarms"] == []
    assert cloudwatch.list_dashboards(DashboardNamePrefix=f"{NAME}-")["DashboardEntries"] == []
    assert "DashboardUrl" not in organized.outputs


def test_the_function_is_tagged_with_the_version_and_its_role_has_the_path(organized: Canceler) -> None:
    function = organized.aws.client("lambda").get_function(FunctionName=organized.function_name)
    assert ":role/platform/canceler/" in function["Configuration"]["Role"]
    assert function["Tags"]["iot-job-canceler:version"] == organized.outputs["Version"] == VERSION


def test_the_queues_are_encrypted_with_the_key(organized: Canceler) -> None:
    for name in ("BacklogQueueUrl", "FailureQueueUrl", "TeardownQueueUrl", "TeardownFailureQueueUrl"):
        found = organized.aws.client("sqs").get_queue_attributes(
            QueueUrl=organized.outputs[name], AttributeNames=["All"]
        )
        assert found["Attributes"]["KmsMasterKeyId"] == KEY
