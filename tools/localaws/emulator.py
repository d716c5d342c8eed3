"""A program that runs MiniStack with a handler for AWS::Logs::QueryDefinition, so that template.yaml can be deployed.

MiniStack lacks this resource type. The handler accepts a saved query, and does nothing with it.
"""

from importlib import import_module
from runpy import run_module
from uuid import uuid4

if __name__ == "__main__":
    provisioners = import_module("ministack.services.cloudformation.provisioners")
    handlers = provisioners._RESOURCE_HANDLERS  # noqa: SLF001 - it has no public interface for that
    # The physical id and the attributes of a new resource.
    handlers["AWS::Logs::QueryDefinition"] = {"create": lambda *_: (str(uuid4()), {}), "delete": lambda *_: None}
    run_module("ministack", run_name="__main__")
