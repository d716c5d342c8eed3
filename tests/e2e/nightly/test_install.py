"""The command line is installed from a clone into an empty virtual environment, and runs in another directory."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from handler.version import VERSION
from tests.e2e.conftest import Canceler
from tests.e2e.nightly.test_release import git
from tools.localaws import sam
from tools.localaws.aws import isolated_environment


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install a clone, and return the directory of the programs of the virtual environment."""
    folder = tmp_path_factory.mktemp("install")
    for name in ("src", "iot_job_canceler"):
        shutil.copytree(sam.ROOT / name, folder / "origin" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(sam.ROOT / name, folder / "origin" / name)
    git(folder / "origin", "init", "--quiet")
    git(folder / "origin", "add", "--all")
    git(folder / "origin", "commit", "--quiet", "--message", "A release")
    git(folder, "clone", "--quiet", "origin", "clone")
    called([sys.executable, "-m", "venv", str(folder / "venv")], folder)
    called([str(folder / "venv" / "bin" / "pip"), "install", "--quiet", "./clone"], folder)
    assert git(folder / "clone", "status", "--short") == ""
    return folder / "venv" / "bin"


def called(command: list[str], cwd: Path, environment: dict[str, str] | None = None, text: str = "") -> str:
    """Run the command, and return its output."""
    settings = isolated_environment() | (environment or {})
    done = subprocess.run(command, cwd=cwd, env=settings, input=text, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_only_boto3_and_rich_are_installed_with_it(programs: Path, tmp_path: Path) -> None:
    assert called([str(programs / "iot-job-canceler"), "--version"], tmp_path) == f"iot-job-canceler {VERSION}\n"
    packages = json.loads(called([str(programs / "pip"), "list", "--format", "json"], tmp_path))
    names = {package["name"].lower() for package in packages}
    assert {"iot-job-canceler", "boto3", "rich"} <= names
    assert names.isdisjoint({"aws-lambda-powertools", "crhelper", "aws-sam-cli", "awscli"})


def test_it_prints_a_skeleton_and_cancels_a_job(programs: Path, tmp_path: Path, canceler: Canceler) -> None:
    command, environment = str(programs / "iot-job-canceler"), canceler.aws.environment
    skeleton = json.loads(called([command, "cancel-job", "--generate-cli-skeleton"], tmp_path))
    assert skeleton == {"jobId": "", "reasonCode": "", "comment": "", "force": False}
    job_id = canceler.job("by-installed-command")
    event = json.dumps({"cancel": {"jobId": job_id}})
    plan = json.loads(called([command, "plan", "--event", "-"], tmp_path, environment, event))
    assert [job["outcome"] for job in plan["jobs"]] == ["WOULD_CANCEL"]
    table = called([command, "plan", "--event", "-", "--output", "table"], tmp_path, environment, event)
    assert "1 would be canceled" in table
    module = [str(programs / "python"), "-m", "iot_job_canceler"]
    canceled = json.loads(called([*module, "cancel-job", "--job-id", job_id], tmp_path, environment))
    assert canceled["outcome"] == "CANCELED"
    assert canceler.statuses(job_id) == ["CANCELED"]
