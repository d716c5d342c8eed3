"""template.yaml as plain Python: short-form functions become {"Fn::Name": value} or {"Ref": value}."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]


class _Loader(yaml.SafeLoader):
    """A loader that knows CloudFormation's tags."""


def _function(loader: yaml.SafeLoader, name: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        if name == "GetAtt":
            value = value.split(".", 1)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_mapping(node, deep=True) if isinstance(node, yaml.MappingNode) else None
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _function)


@cache
def load_template(path: Path = ROOT / "template.yaml") -> dict[str, Any]:
    """The template at `path`. No test changes it."""
    template: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader
    return template


PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "canceler",
}


def resolved(value: Any, **parameters: str) -> Any:  # noqa: PLR0911 - one for each function
    """Resolve Ref, Fn::Sub, Fn::GetAtt and Fn::Split in `value` as CloudFormation does.

    A resource becomes its logical id, and an attribute `id.attribute`.
    """
    known = PSEUDO | parameters
    match value:
        case {"Ref": str(name)}:
            return known.get(name, name)
        case {"Fn::GetAtt": [*path]}:
            return ".".join(path)
        case {"Fn::Split": [str(separator), text]}:
            return resolved(text, **parameters).split(separator)
        case {"Fn::Sub": str(text)} | {"Fn::Sub": [str(text), _]}:
            known |= {} if value["Fn::Sub"] == text else resolved(value["Fn::Sub"][1], **parameters)
            return re.sub(r"\$\{([^}]+)\}", lambda found: known.get(found[1], found[1]), text)
        case dict():
            return {key: resolved(each, **parameters) for key, each in value.items()}
        case list():
            return [resolved(each, **parameters) for each in value]
    return value


_REMOVED: dict[str, Any] = {"Ref": "AWS::NoValue"}


def deployed(value: Any, **parameters: str) -> Any:
    """Resolve Fn::If in a part of template.yaml, and remove AWS::NoValue, as CloudFormation does.

    A parameter that is not given has its default.
    """
    match value:
        case {"Fn::If": [str(condition), then, otherwise]}:
            return deployed(then if condition_holds(condition, **parameters) else otherwise, **parameters)
        case dict():
            return {key: each for key, old in value.items() if (each := deployed(old, **parameters)) != _REMOVED}
        case list():
            return [each for old in value if (each := deployed(old, **parameters)) != _REMOVED]
    return value


def deployed_resources(**parameters: str) -> dict[str, Any]:
    """Return the resources that a stack with these parameters has."""
    resources = load_template()["Resources"].items()
    return {
        name: deployed(each, **parameters)
        for name, each in resources
        if "Condition" not in each or condition_holds(each["Condition"], **parameters)
    }


def condition_holds(name: str, **parameters: str) -> bool:
    """Evaluate a condition of template.yaml."""
    template = load_template()
    defaults = {key: str(parameter["Default"]) for key, parameter in template["Parameters"].items()}
    return holds(template["Conditions"][name], **defaults | parameters)


def holds(expression: Any, **parameters: str) -> bool:
    """Evaluate the expression of a condition or a rule as CloudFormation does."""
    match expression:
        case {"Fn::Not": [inner]}:
            return not holds(inner, **parameters)
        case {"Fn::Or": [*inner]}:
            return any(holds(each, **parameters) for each in inner)
        case {"Condition": str(name)}:
            return condition_holds(name, **parameters)
        case {"Fn::Equals": [left, right]}:
            return bool(resolved(left, **parameters) == resolved(right, **parameters))
    raise AssertionError(f"unknown expression {expression}")
