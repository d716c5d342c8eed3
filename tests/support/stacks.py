"""Templates of consuming stacks, and the reasons for which they fail."""

import json
from collections.abc import Mapping, Sequence

from tools.errors import StackFailed
from tools.localaws import stacks
from tools.localaws.aws import LocalAws


def template(
    service_token: str,
    properties: Mapping[str, object],
    attributes: Sequence[str] = ("JobId", "Force"),
    **others: Mapping[str, object],
) -> str:
    """A stack with one canceler; `attributes` are its outputs, `others` are resources that come after it."""
    teardown = {
        "Type": "Custom::IoTJobCancellation",
        "Properties": {"ServiceToken": service_token, "ServiceTimeout": 60, **properties},
    }
    later = {name: {"DependsOn": "Teardown", **resource} for name, resource in others.items()}
    return json.dumps(
        {
            "Resources": {"Teardown": teardown, **later},
            "Outputs": {
                "Ref": {"Value": {"Ref": "Teardown"}},
                **{name: {"Value": {"Fn::GetAtt": ["Teardown", name]}} for name in attributes},
            },
        }
    )


# CloudFormation can't create this one, so that a stack with it fails after everything that it depends on was made.
BROKEN: Mapping[str, object] = {
    "Type": "AWS::CloudFormation::WaitCondition",
    "CreationPolicy": {"ResourceSignal": {"Timeout": "PT1S"}},
}


def failure_of_create(aws: LocalAws, name: str, body: str) -> str:
    """The reasons for which the stack could not be created. The stack is deleted then."""
    try:
        stacks.create(aws, name, body, {})
    except StackFailed as failure:
        stacks.delete(aws, name)
        return str(failure)
    raise AssertionError(f"stack {name} was created")


def failure_of_update(aws: LocalAws, name: str, body: str) -> str:
    """The reasons for which the stack could not be updated."""
    try:
        stacks.update(aws, name, body, {})
    except StackFailed as failure:
        return str(failure)
    raise AssertionError(f"stack {name} was updated")


def failure_of_delete(aws: LocalAws, name: str) -> str:
    """The reasons for which the stack could not be deleted."""
    try:
        stacks.delete(aws, name)
    except StackFailed as failure:
        return str(failure)
    raise AssertionError(f"stack {name} was deleted")
