"""A program that runs MiniStack with three changes.

- A handler for AWS::Logs::QueryDefinition, so that template.yaml can be deployed. MiniStack lacks this resource type.
  The handler accepts a saved query, and does nothing with it.
- Functions import only their own code and the packages in FUNCTION_PACKAGES. MiniStack runs them on the Python of
  .venv, whose packages would hide that a bundle lacks its dependencies.
- IAM conditions find the keys that AWS sets for PutEvents, and a secure transport: MiniStack speaks plain http. So
  template.yaml needs no exception for a local AWS.
"""

import json
from importlib import import_module
from runpy import run_module
from typing import Any
from uuid import uuid4

_ONLY_PACKAGES_OF_LAMBDA = """
import os, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [os.environ["FUNCTION_PACKAGES"]]
"""


def add_condition_keys(actions: dict[str, Any], evaluator: dict[str, Any]) -> None:
    """Wrap the functions of MiniStack's modules that return the condition keys of a request."""
    known, resolve = actions["request_tag_context"], evaluator["_resolve_condition_key"]

    def context(service: str, action: str, body: bytes, parameters: dict[str, object]) -> dict[str, object]:
        keys: dict[str, object] = known(service, action, body, parameters)
        if action != "events:PutEvents":
            return keys
        entries = json.loads(body)["Entries"]
        names = {"events:source": "Source", "events:detail-type": "DetailType"}
        return keys | {key: ", ".join({str(entry.get(name)) for entry in entries}) for key, name in names.items()}

    actions["request_tag_context"] = context
    evaluator["_resolve_condition_key"] = lambda key, request: (
        "true" if key.lower() == "aws:securetransport" else resolve(key, request)
    )


if __name__ == "__main__":
    provisioners = import_module("ministack.services.cloudformation.provisioners")
    handlers = provisioners._RESOURCE_HANDLERS  # noqa: SLF001 - it has no public interface for that
    # The physical id and the attributes of a new resource.
    handlers["AWS::Logs::QueryDefinition"] = {"create": lambda *_: (str(uuid4()), {}), "delete": lambda *_: None}
    modules = import_module("ministack.core.iam_actions"), import_module("ministack.core.iam_evaluator")
    add_condition_keys(*map(vars, modules))
    runtime = vars(import_module("ministack.core.lambda_runtime"))
    runtime["_PYTHON_WORKER_SCRIPT"] = _ONLY_PACKAGES_OF_LAMBDA + runtime["_PYTHON_WORKER_SCRIPT"]
    run_module("ministack", run_name="__main__")
