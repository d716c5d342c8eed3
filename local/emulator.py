"""MiniStack, taught the one type of template.yaml that it does not know: it records a saved query, and runs none.

A program of its own, which takes MiniStack's place: so the template is deployed as it is.
"""

from collections.abc import Mapping
from importlib import import_module
from runpy import run_module
from uuid import uuid4


def _create(_logical_id: str, _properties: Mapping[str, object], _stack_name: str) -> tuple[str, dict[str, str]]:
    """The id of the saved query, and its attributes."""
    return str(uuid4()), {}


def _delete(_query_id: str, _properties: Mapping[str, object]) -> None:
    """There is nothing to delete."""


if __name__ == "__main__":
    provisioners = import_module("ministack.services.cloudformation.provisioners")
    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {"create": _create, "delete": _delete}  # noqa: SLF001 - it has no way in for others
    run_module("ministack", run_name="__main__")
