"""`make up` deploys the checkout each time, says so, and keeps its port. `make down` stops it."""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tools.localaws import sam, stacks
from tools.localaws.aws import LocalAws, isolated_environment
from tools.processes import run


@pytest.fixture
def checkout(tmp_path: Path) -> Iterator[Path]:
    """Copy what the commands need to a checkout of this test, and stop its local AWS at the end."""
    for name in ("samconfig.toml", "template.yaml", "README.md", "LICENSE"):
        shutil.copy(sam.ROOT / name, tmp_path)
    for name in ("src", "tools"):
        shutil.copytree(sam.ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    yield tmp_path
    call(tmp_path, "down")


def call(checkout: Path, command: str) -> str:
    """Run `python -m tools <command>`, and return its output."""
    tools = [sys.executable, "-m", "tools", command]
    exit_code, output = run(tools, environment=isolated_environment(), cwd=checkout, seconds=120)
    assert exit_code == 0, output
    return output


def state(checkout: Path) -> Any:
    return json.loads((checkout / ".local" / "ministack.json").read_text())


def code(checkout: Path, aws: LocalAws) -> str:
    """Return the hash of the deployed code."""
    return aws.client("lambda").get_function_configuration(FunctionName=state(checkout)["function"])["CodeSha256"]


def test_make_up_deploys_the_checkout_each_time_and_keeps_its_port(checkout: Path) -> None:
    created = "The stack iot-job-canceler was created. It runs the code of this checkout, release "
    assert created in call(checkout, "up")
    aws = LocalAws.running_at(state(checkout)["port"])
    first = code(checkout, aws)
    assert "The stack iot-job-canceler is already up to date. It runs the code of this" in call(checkout, "up")
    assert code(checkout, aws) == first

    with (checkout / "src" / "handler" / "version.py").open("a") as changed:
        changed.write("# changed\n")
    assert "The stack iot-job-canceler was updated. It runs the code of this checkout" in call(checkout, "up")
    assert code(checkout, aws) != first

    stacks.delete(aws, sam.STACK_NAME)
    assert created in call(checkout, "up")
    assert code(checkout, aws) != first

    assert f"The local AWS on port {aws.port} has been stopped." in call(checkout, "down")
    assert created in call(checkout, "up")
    assert state(checkout)["port"] == aws.port
    script = (checkout / ".local" / "env.sh").read_text()
    assert f"export AWS_ENDPOINT_URL=http://localhost:{aws.port}\n" in script
    assert f"export PATH={checkout}/.venv/bin:" in script
