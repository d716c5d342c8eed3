"""examples/stacksets: local AWS emulators have no stack sets, so the tests deploy to another Region themselves."""

import json
import sys
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import Canceler
from tests.support.template import load_template, resolved
from tests.template.test_public_contract import METRICS
from tools.fleet.devices import Fleet
from tools.localaws import sam, stacks
from tools.localaws.aws import REGION, LocalAws, isolated_environment
from tools.processes import run

STACKSETS = sam.ROOT / "examples" / "stacksets"
ELSEWHERE = "us-east-1"
REGIONS = (REGION, ELSEWHERE)
STACK = "StackSet-iot-job-canceler-8c1a5b0e-4d2f-4f7a-9a3e-0b6d1c2e3f40"


def script(aws: LocalAws, name: str, *arguments: str) -> str:
    """Run a script of the example, and return its output."""
    command = [sys.executable, str(STACKSETS / name), *arguments]
    environment = isolated_environment() | aws.environment
    exit_code, output = run(command, environment=environment, cwd=STACKSETS, seconds=60)
    assert exit_code == 0, output
    return output.strip()


@pytest.fixture(scope="module")
def artifacts(canceler: Canceler) -> dict[str, str]:
    """Region → the bucket of artifacts.yaml."""
    template, parameters = (STACKSETS / "artifacts.yaml").read_text(), {"OrganizationId": "o-example1234"}
    deployed = {
        region: stacks.create(canceler.aws.in_region(region), "iot-job-canceler-artifacts", template, parameters)
        for region in REGIONS
    }
    return {region: outputs["Artifacts"] for region, outputs in deployed.items()}


@pytest.fixture(scope="module")
def published(canceler: Canceler, artifacts: dict[str, str]) -> str:
    """The template for the stack set."""
    url = urlsplit(script(canceler.aws, "publish.py", "--regions", *REGIONS))
    assert url.scheme == "https"
    assert url.netloc == f"{artifacts[REGION]}.s3.{REGION}.amazonaws.com"
    found = canceler.aws.client("s3").get_object(Bucket=artifacts[REGION], Key=url.path[1:])
    return found["Body"].read().decode()


def stack_set() -> dict[str, Any]:
    properties: dict[str, Any] = load_template(STACKSETS / "canceler.yaml")["Resources"]["Cancelers"]["Properties"]
    return properties


@pytest.fixture(scope="module")
def member(canceler: Canceler, published: str) -> Iterator[Canceler]:
    """Deploy a canceler to the other Region, as the stack set would."""
    aws = canceler.aws.in_region(ELSEWHERE)
    values = {"DryRun": "false", "JobIdPrefix": "e2e-", "MaxJobsPerRun": "2"}
    parameters = {
        each["ParameterKey"]: resolved(each["ParameterValue"], **values) for each in stack_set()["Parameters"]
    }
    outputs = stacks.create(aws, STACK, published, parameters)
    yield Canceler(aws, canceler.build_dir, outputs, Fleet(aws))
    stacks.delete(aws, STACK)


def test_a_stack_set_can_deploy_the_template(published: str) -> None:
    """A service-managed stack set accepts no transform, and has only CAPABILITY_IAM."""
    template = json.loads(published)
    assert stack_set()["PermissionModel"] == "SERVICE_MANAGED"
    assert stack_set()["Capabilities"] == ["CAPABILITY_IAM"]
    assert "Transform" not in template
    assert "Fn::Transform" not in published
    assert not [each for each in template["Resources"].values() if each["Type"].startswith("AWS::Serverless::")]
    named = {"RoleName", "ManagedPolicyName"}  # these would ask for CAPABILITY_NAMED_IAM
    assert not [each for each in template["Resources"].values() if named & each.get("Properties", {}).keys()]


def test_the_stack_set_passes_the_parameters_of_the_published_template(published: str) -> None:
    assert {each["ParameterKey"] for each in stack_set()["Parameters"]} == json.loads(published)["Parameters"].keys()


def test_the_code_is_in_the_bucket_of_the_region(member: Canceler, artifacts: dict[str, str]) -> None:
    assert member.service_token.split(":")[3] == ELSEWHERE
    template = member.aws.client("cloudformation").get_template(StackName=STACK)["TemplateBody"]
    code = json.loads(json.dumps(template))["Resources"]["Function"]["Properties"]["Code"]
    account = member.service_token.split(":")[4]
    assert code["S3Bucket"] == {"Fn::Sub": f"iot-job-canceler-{account}-${{AWS::Region}}"}
    for region, bucket in artifacts.items():
        assert bucket == f"iot-job-canceler-{account}-{region}"
        canceler_of_region = member.aws.in_region(region)
        assert canceler_of_region.client("s3").head_object(Bucket=bucket, Key=code["S3Key"])["ContentLength"] > 0


def test_a_canceler_of_the_stack_set_cancels_a_job_of_its_region(member: Canceler) -> None:
    """The export of its token has the name that the examples import, whatever the name of the stack."""
    job_id, other = member.job("regional"), member.job("other")
    template = (sam.ROOT / "examples" / "teardown.yaml").read_text()
    stacks.create(member.aws, "rollout", template, {"JobId": job_id})
    stacks.delete(member.aws, "rollout")
    assert member.statuses(job_id, other) == ["CANCELED", "IN_PROGRESS"]


def test_the_dashboard_shows_metrics_of_every_region(member: Canceler) -> None:
    script(member.aws, "dashboard.py", "--name", "all", "--regions", *REGIONS)
    body = json.loads(member.aws.client("cloudwatch").get_dashboard(DashboardName="all")["DashboardBody"])
    assert len(body["widgets"]) == 5
    searched = set()
    for widget in body["widgets"]:
        expressions = [line[0] for line in widget["properties"]["metrics"]]
        assert [expression["region"] for expression in expressions] == list(REGIONS)
        assert len({expression["id"] for expression in expressions}) == len(REGIONS)
        (search,) = {expression["expression"] for expression in expressions}
        assert search.startswith("SEARCH('{IoTJobCanceler,service,trigger} MetricName=(")
        searched |= set(search.split('"')[1::2])
    assert searched == {
        "ExecutionsLeftInProgress",
        "JobsCanceled",
        "JobsFailed",
        "JobsProtected",
        "ResponsesUndelivered",
        "RunsRejected",
        "RunsUnsettled",
        "TeardownsContinued",
        "TeardownsOutOfTime",
        "UnexpectedErrors",
    }
    assert searched <= METRICS
    namespace, dimensions = metrics_of_a_run(member)
    assert (namespace, *map(set, dimensions)) == ("IoTJobCanceler", {"service", "trigger"}, {"service"})


def metrics_of_a_run(canceler: Canceler) -> tuple[str, list[list[str]]]:
    """Return namespace and dimensions of the metrics of a run."""
    job_id = canceler.job("metrics")
    canceler.invoke({"cancel": {"jobId": job_id}})
    canceler.report_on(job_id)
    written = [json.loads(line) for line in canceler.log.lines() if '"_aws"' in line]
    (metrics,) = written[-1]["_aws"]["CloudWatchMetrics"]
    return metrics["Namespace"], [sorted(dimensions) for dimensions in metrics["Dimensions"]]
