"""What is deployed: pure Python, small, complete."""

import importlib.metadata
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SIZE_LIMIT = 2 * 1024 * 1024
ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "eu-central-1",
    "FORCE": "false",
    "DRY_RUN": "false",
    "MAX_JOBS_PER_RUN": "1",
    "CANCELS_PER_SECOND": "8",
    "SWEEP_JOB_ID_GLOB": "",
    "SWEEP_OLDER_THAN_HOURS": "168",
    "BACKLOG_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/backlog",
    "TEARDOWN_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/teardowns.fifo",
    "EVENT_BUS_NAME": "default",
    "JOB_ID_PREFIX": "",
    "PROTECTION_TAG_KEY": "cancel-protection",
    "URL_SUFFIX": "amazonaws.com",
    "LOG_GROUP": "/aws/lambda/bundle",
    "POWERTOOLS_METRICS_NAMESPACE": "IoTJobCanceler",
    "POWERTOOLS_SERVICE_NAME": "bundle",
}
INVOKE = """
import json, sys
sys.path[:0] = sys.argv[1:3]
from handler.app import lambda_handler
class Context:
    aws_request_id = "request"
    def get_remaining_time_in_millis(self): return 60000
json.dump(lambda_handler({}, Context()), open(sys.argv[3], "w"))
"""


@pytest.fixture(scope="session")
def bundle(build_dir: Path) -> Path:
    return build_dir / "Function"


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What Lambda's runtime brings, boto3 and what it needs, and nothing else."""
    site = tmp_path_factory.mktemp("runtime")
    wanted, seen = ["boto3"], set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        plain = [text for text in distribution.requires or [] if "extra ==" not in text]
        wanted += [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in plain]
        for top in {file.parts[0] for file in distribution.files or [] if not file.parts[0].startswith("..")}:
            if top != "__pycache__" and not (site / top).exists():
                (site / top).symlink_to(Path(str(distribution.locate_file(top))))
    return site


def test_the_bundle_is_pure_python(bundle: Path) -> None:
    compiled = [path for path in bundle.rglob("*") if path.suffix in {".so", ".pyd", ".dylib", ".dll"}]
    assert compiled == []


def test_the_bundle_is_under_two_megabytes_zipped(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in bundle.rglob("*"):
            archive.write(path, path.relative_to(bundle))
    assert (tmp_path / "bundle.zip").stat().st_size < SIZE_LIMIT


def test_the_bundle_has_all_that_it_needs_beside_boto3(bundle: Path, runtime: Path, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    command = [sys.executable, "-I", "-S", "-c", INVOKE, str(bundle), str(runtime), str(answer)]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert json.loads(answer.read_text())["status"] == "REJECTED"


def test_boto3_is_left_to_the_runtime(bundle: Path) -> None:
    assert not (bundle / "boto3").exists()
    assert not (bundle / "botocore").exists()
