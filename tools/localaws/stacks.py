"""CloudFormation stacks, created, updated and deleted with the API, and the reasons of failures."""

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from tools.errors import StackFailed
from tools.polling import wait_for

from .aws import LocalAws

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

_TIMEOUT_SECONDS = 120.0
_START_STATUSES = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


def create(
    aws: LocalAws, name: str, template: str, parameters: Mapping[str, str], *, seconds: float = _TIMEOUT_SECONDS
) -> dict[str, str]:
    """Create a stack from the text of a template, and return its outputs. Raises StackFailed and TimedOut."""
    created = aws.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=template,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    wait_for_status(aws, created["StackId"], "CREATE_COMPLETE", seconds=seconds)
    return outputs(aws, name)


def update(
    aws: LocalAws, name: str, template: str, parameters: Mapping[str, str], *, seconds: float = _TIMEOUT_SECONDS
) -> dict[str, str]:
    """Update a stack to the text of a template, and return its outputs. Raises StackFailed and TimedOut."""
    updated = aws.client("cloudformation").update_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    wait_for_status(aws, updated["StackId"], "UPDATE_COMPLETE", seconds=seconds)
    return outputs(aws, name)


def delete(aws: LocalAws, name: str, *, seconds: float = _TIMEOUT_SECONDS) -> None:
    """Delete a stack. Raises StackFailed and TimedOut."""
    stack_id = id_of(aws, name)
    aws.client("cloudformation").delete_stack(StackName=name)
    wait_for_status(aws, stack_id, "DELETE_COMPLETE", seconds=seconds)


def id_of(aws: LocalAws, name: str) -> str:
    """Return the ARN of the stack, which also identifies a deleted stack."""
    return _describe(aws, name)["StackId"]


def wait_for_status(aws: LocalAws, stack_id: str, wanted: str, *, seconds: float = _TIMEOUT_SECONDS) -> None:
    """Wait for the end of the current operation. Raises StackFailed unless it ends in `wanted`, and TimedOut."""

    def end_status() -> str | None:
        status = _describe(aws, stack_id)["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else status

    status = wait_for(f"stack {stack_id} in {wanted}", end_status, seconds=seconds)
    if status != wanted:
        reasons = "\n".join(failure_reasons(aws, stack_id))
        raise StackFailed(f"stack {stack_id} is in {status}, not in {wanted}:\n{reasons}")


def failure_reasons(aws: LocalAws, stack_id: str) -> list[str]:
    """Return the reason of each failed step of the last operation, latest first."""
    reasons = []
    for event in aws.client("cloudformation").describe_stack_events(StackName=stack_id)["StackEvents"]:
        if event["ResourceStatus"].endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "no reason given")
            reasons.append(f"{event['LogicalResourceId']} {event['ResourceStatus']}: {reason}")
        if event.get("PhysicalResourceId") == stack_id and event["ResourceStatus"] in _START_STATUSES:
            break
    return reasons


def last_change(aws: LocalAws, name: str) -> datetime | None:
    """Return when the stack was created or last updated, or None if it does not exist."""
    try:
        stack = _describe(aws, name)
    except ClientError as error:
        if "does not exist" in str(error):  # the code is ValidationError, which has other causes too
            return None
        raise
    return stack.get("LastUpdatedTime", stack["CreationTime"])


def outputs(aws: LocalAws, name: str) -> dict[str, str]:
    """Return the stack's outputs by name."""
    return {output["OutputKey"]: output["OutputValue"] for output in _describe(aws, name).get("Outputs", [])}


def _describe(aws: LocalAws, name_or_id: str) -> "StackTypeDef":
    return aws.client("cloudformation").describe_stacks(StackName=name_or_id)["Stacks"][0]
