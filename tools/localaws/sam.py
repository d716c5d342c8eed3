"""The SAM CLI, which builds the template and deploys it to a local AWS."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tools.errors import SamFailed
from tools.processes import run

from .aws import LocalAws, isolated_environment
from .stacks import outputs

ROOT = Path(__file__).resolve().parents[2]
STACK_NAME = "iot-job-canceler"
ALARM_PREFIX = "rollout-"  # the AlarmNamePrefix of the local deployments
_BIN = Path(sys.executable).parent
_TIMEOUT_SECONDS = 300


def build(build_dir: Path = ROOT / ".aws-sam" / "build", *, root: Path = ROOT) -> Path:
    """Build the bundle of `root` and its template into `build_dir`. Raises SamFailed."""
    _sam({}, "build", "--template-file", str(root / "template.yaml"), "--build-dir", str(build_dir))
    return build_dir


def deploy(
    aws: LocalAws,
    parameters: Mapping[str, str],
    *,
    build_dir: Path = ROOT / ".aws-sam" / "build",
    stack_name: str = STACK_NAME,
) -> dict[str, str]:
    """Create or update the stack from the output of `build`, and return its outputs. Raises SamFailed.

    An update keeps the value of each parameter that is omitted, as on AWS.
    """
    command = ["deploy", "--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"]
    command += ["--template-file", str(build_dir / "template.yaml"), "--stack-name", stack_name]
    if parameters:
        command += ["--parameter-overrides", *(f'{name}="{value}"' for name, value in parameters.items())]
    # The CLI polls the stack every five seconds by default. A local deployment is faster.
    _sam(aws.environment | {"SAM_CLI_POLL_DELAY": "0.3"}, *command)
    return outputs(aws, stack_name)


def _sam(environment: Mapping[str, str], *arguments: str) -> None:
    # The virtual environment is first on the PATH: `sam build` looks there for a python3.13 with pip.
    inherited = isolated_environment()
    settings = {"PATH": f"{_BIN}:{inherited['PATH']}", "SAM_CLI_TELEMETRY": "0", **environment}
    command = [str(_BIN / "sam"), *arguments]
    try:
        exit_code, output = run(command, environment=inherited | settings, cwd=ROOT, seconds=_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise SamFailed(f"sam {' '.join(arguments)} took more than {_TIMEOUT_SECONDS} s") from error
    if exit_code:
        raise SamFailed(f"sam {' '.join(arguments)} ended with exit code {exit_code}:\n{output}")
