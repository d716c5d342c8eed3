"""A program that runs MiniStack with two changes.

- A handler for AWS::Logs::QueryDefinition, so that template.yaml can be deployed. MiniStack lacks this resource type.
  The handler accepts a saved query, and does nothing with it.
- Functions import only their own code and the packages in FUNCTION_PACKAGES. MiniStack runs them on the Python of
  .venv, whose packages would hide that a bundle lacks its dependencies.
"""

from importlib import import_module
from runpy import run_module
from uuid import uuid4

_ONLY_PACKAGES_OF_LAMBDA = """
import os, sys
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [os.environ["FUNCTION_PACKAGES"]]
"""

if __name__ == "__main__":
    provisioners = import_module("ministack.services.cloudformation.provisioners")
    handlers = provisioners._RESOURCE_HANDLERS  # noqa: SLF001 - it has no public interface for that
    # The physical id and the attributes of a new resource.
    handlers["AWS::Logs::QueryDefinition"] = {"create": lambda *_: (str(uuid4()), {}), "delete": lambda *_: None}
    runtime = vars(import_module("ministack.core.lambda_runtime"))
    runtime["_PYTHON_WORKER_SCRIPT"] = _ONLY_PACKAGES_OF_LAMBDA + runtime["_PYTHON_WORKER_SCRIPT"]
    run_module("ministack", run_name="__main__")
