"""Stacks of other people, made and deleted with the API, to the end, and with the reasons if that is not a good one."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .aws import LocalAws
from .errors import StackFailed
from .polling import wait_for

if TYPE_CHECKING:
    from mypy_boto3_cloudformation.type_defs import StackTypeDef

_LONGEST = 120.0  # seconds
_STARTS = ("CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "DELETE_IN_PROGRESS")


def create(
    aws: LocalAws, name: str, template: str, parameters: Mapping[str, str], *, seconds: float = _LONGEST
) -> dict[str, str]:
    """Create a stack from the template's text, and give its outputs. Raises StackFailed and TimedOut."""
    created = aws.client("cloudformation").create_stack(
        StackName=name,
        TemplateBody=template,
        Capabilities=["CAPABILITY_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    settle(aws, created["StackId"], "CREATE_COMPLETE", seconds=seconds)
    return outputs(aws, name)


def update(
    aws: LocalAws, name: str, template: str, parameters: Mapping[str, str], *, seconds: float = _LONGEST
) -> dict[str, str]:
    """Update a stack to the template's text, and give its outputs. Raises StackFailed and TimedOut."""
    updated = aws.client("cloudformation").update_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
    )
    settle(aws, updated["StackId"], "UPDATE_COMPLETE", seconds=seconds)
    return outputs(aws, name)


def delete(aws: LocalAws, name: str, *, seconds: float = _LONGEST) -> None:
    """Delete a stack. Raises StackFailed and TimedOut."""
    stack_id = id_of(aws, name)
    aws.client("cloudformation").delete_stack(StackName=name)
    settle(aws, stack_id, "DELETE_COMPLETE", seconds=seconds)


def id_of(aws: LocalAws, name: str) -> str:
    """The ARN of the stack, by which it is still known when it is gone."""
    return _describe(aws, name)["StackId"]


def settle(aws: LocalAws, stack_id: str, wanted: str, *, seconds: float = _LONGEST) -> None:
    """Wait for the end of the running operation. Raises StackFailed unless it is `wanted`, and TimedOut."""

    def end_state() -> str | None:
        status = _describe(aws, stack_id)["StackStatus"]
        return None if status.endswith("_IN_PROGRESS") else status

    status = wait_for(f"stack {stack_id} in {wanted}", end_state, seconds=seconds)
    if status != wanted:
        reasons = "\n".join(failure_reasons(aws, stack_id))
        raise StackFailed(f"stack {stack_id} is in {status}, not in {wanted}:\n{reasons}")


def failure_reasons(aws: LocalAws, stack_id: str) -> list[str]:
    """What CloudFormation says of each step of the last operation that failed, the last one first."""
    reasons = []
    for event in aws.client("cloudformation").describe_stack_events(StackName=stack_id)["StackEvents"]:
        if event["ResourceStatus"].endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", "no reason given")
            reasons.append(f"{event['LogicalResourceId']} {event['ResourceStatus']}: {reason}")
        if event.get("PhysicalResourceId") == stack_id and event["ResourceStatus"] in _STARTS:
            break
    return reasons


def outputs(aws: LocalAws, name: str) -> dict[str, str]:
    """The stack's outputs by name."""
    return {output["OutputKey"]: output["OutputValue"] for output in _describe(aws, name).get("Outputs", [])}


def _describe(aws: LocalAws, name_or_id: str) -> "StackTypeDef":
    return aws.client("cloudformation").describe_stacks(StackName=name_or_id)["Stacks"][0]
