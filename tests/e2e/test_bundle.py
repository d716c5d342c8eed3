"""The deployed bundle is pure Python, small and complete."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.e2e.conftest import deployed
from tests.support.contract import ENVIRONMENT
from tools.localaws import sam
from tools.localaws.aws import LocalAws, isolated_environment
from tools.localaws.runtime import link_packages
from tools.processes import run

SIZE_LIMIT = 2 * 1024 * 1024
REGION = {"AWS_DEFAULT_REGION": "eu-central-1"}
INVOKE = """
import json, sys
sys.path[:0] = sys.argv[1:3]
from handler.lambda_function import lambda_handler
class Context:
    aws_request_id = "request"
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:iot-job-canceler-Function-k2Jc8sQf0aXb"
    def get_remaining_time_in_millis(self): return 60000
json.dump(lambda_handler({}, Context()), open(sys.argv[3], "w"))
"""


@pytest.fixture(scope="session")
def bundle(build_dir: Path) -> Path:
    return build_dir / "Function"


@pytest.fixture(scope="session")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a directory with boto3 and its requirements, as in Lambda's runtime, and nothing else."""
    return link_packages(tmp_path_factory.mktemp("runtime") / "packages")


def test_the_bundle_is_pure_python(bundle: Path) -> None:
    compiled = [path for path in bundle.rglob("*") if path.suffix in {".so", ".pyd", ".dylib", ".dll"}]
    assert compiled == []


def test_the_bundle_is_under_two_megabytes_zipped(bundle: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in bundle.rglob("*"):
            archive.write(path, path.relative_to(bundle))
    assert (tmp_path / "bundle.zip").stat().st_size < SIZE_LIMIT


def test_the_bundle_runs_with_only_boto3_beside_it(bundle: Path, runtime: Path, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    command = [sys.executable, "-I", "-S", "-c", INVOKE, str(bundle), str(runtime), str(result)]
    done = subprocess.run(command, env=ENVIRONMENT | REGION, capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    assert json.loads(result.read_text())["status"] == "REJECTED"


LOADED = """
import json, sys
sys.path[:0] = sys.argv[1:3]
import handler.lambda_function, handler.cloudformation.lifecycle
loaded = [each.__spec__.origin for each in sys.modules.values() if each.__spec__ and each.__spec__.has_location]
print(json.dumps([path for path in loaded if path.startswith(sys.argv[1])]))
"""


def test_every_loaded_module_has_current_bytecode(bundle: Path, runtime: Path) -> None:
    """Lambda cannot write bytecode, so every cold start would compile a module without it."""
    command = [sys.executable, "-I", "-S", "-B", "-c", LOADED, str(bundle), str(runtime)]
    done = subprocess.run(command, env=ENVIRONMENT | REGION, capture_output=True, text=True, timeout=60, check=True)  # noqa: S603
    loaded = [Path(each) for each in json.loads(done.stdout)]
    assert {bundle / "handler" / "app.py", bundle / "crhelper" / "resource_helper.py"} < set(loaded)
    for path in loaded:
        compiled = Path(importlib.util.cache_from_source(str(path), optimization="")).read_bytes()
        assert compiled[:4] == importlib.util.MAGIC_NUMBER
        assert compiled[4:8] == b"\x03\0\0\0", f"{path}: not one that is checked by the source's hash (PEP 552)"
        assert compiled[8:16] == importlib.util.source_hash(path.read_bytes())
        assert f"/var/task/{path.relative_to(bundle)}".encode() in compiled


def test_the_bundle_does_not_contain_its_build_path(bundle: Path) -> None:
    places = {str(bundle.parent.parent).encode(), str(Path(sys.prefix)).encode()}
    found = [path for path in bundle.rglob("*") if path.is_file() and any(p in path.read_bytes() for p in places)]
    assert found == []


def test_make_without_artifacts_dir_does_nothing() -> None:
    """Without the directory that SAM passes, the paths of the bundle would be those of the machine."""
    command = ["make", "--dry-run", "-C", str(sam.ROOT / "src")]
    environment = {"PATH": os.environ["PATH"]}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout.count("rm -rf")) == (2, 0)
    assert "ARTIFACTS_DIR" in done.stderr


def test_boto3_is_not_bundled(bundle: Path) -> None:
    assert not (bundle / "boto3").exists()
    assert not (bundle / "botocore").exists()


# Without a build


@pytest.fixture
def unbuilt(tmp_path: Path) -> Path:
    """Return a directory with the files that `sam deploy` reads, as in a new clone."""
    for name in ("samconfig.toml", "template.yaml", "README.md", "LICENSE"):
        shutil.copy(sam.ROOT / name, tmp_path)
    shutil.copytree(sam.ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_parameter_cannot_be_deployed_without_a_build(unbuilt: Path) -> None:
    """Otherwise the SAM CLI would upload src/ without its dependencies. It refuses before it calls AWS."""
    command = [str(Path(sys.executable).with_name("sam")), "deploy", "--parameter-overrides", "Force=true"]
    nowhere = {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    environment = isolated_environment() | REGION | nowhere | {"SAM_CLI_TELEMETRY": "0", "AWS_MAX_ATTEMPTS": "1"}
    exit_code, output = run(command, environment=environment, cwd=unbuilt, seconds=60)
    assert exit_code == 1
    assert output.strip() == f"Error: Template file not found at {unbuilt}/.aws-sam/build/template.yaml"


def test_a_function_without_its_dependencies_fails_on_the_local_aws(aws: LocalAws, unbuilt: Path) -> None:
    with deployed(aws, unbuilt, "unbuilt") as canceler:
        result = canceler.invoke({"cancel": {"jobId": "e2e-1"}})
    assert "No module named 'aws_lambda_powertools'" in result["errorMessage"]
