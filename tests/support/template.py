"""template.yaml as plain Python: short-form functions become {"Fn::Name": value} or {"Ref": value}."""

import re
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


def load_template(path: Path = ROOT / "template.yaml") -> dict[str, Any]:
    """The template at `path`."""
    template: dict[str, Any] = yaml.load(path.read_text(), Loader=_Loader)  # noqa: S506 - a SafeLoader
    return template


PSEUDO = {
    "AWS::AccountId": "123456789012",
    "AWS::Partition": "aws",
    "AWS::Region": "eu-west-1",
    "AWS::StackName": "canceler",
}


def resolved(value: Any, **parameters: str) -> Any:
    """Resolve Ref, Fn::Sub and Fn::GetAtt in `value` as CloudFormation does.

    A resource becomes its logical id, and an attribute `id.attribute`.
    """
    known = PSEUDO | parameters
    match value:
        case {"Ref": str(name)}:
            return known.get(name, name)
        case {"Fn::GetAtt": [*path]}:
            return ".".join(path)
        case {"Fn::Sub": str(text)}:
            return re.sub(r"\$\{([^}]+)\}", lambda found: known.get(found[1], found[1]), text)
        case dict():
            return {key: resolved(each, **parameters) for key, each in value.items()}
        case list():
            return [resolved(each, **parameters) for each in value]
    return value
