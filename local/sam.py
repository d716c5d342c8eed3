"""The real SAM CLI with the real template, pointed at a local AWS."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from .aws import LocalAws, own_environment
from .errors import SamFailed
from .processes import run
from .stacks import outputs

ROOT = Path(__file__).resolve().parent.parent
STACK_NAME = "iot-job-canceler"
_TOOLS = Path(sys.executable).parent
_SECONDS = 300


def build(build_dir: Path = ROOT / ".aws-sam" / "build", *, root: Path = ROOT) -> Path:
    """Build the bundle of `root`, and the template that deploys it, into `build_dir`. Raises SamFailed."""
    _sam({}, "build", "--template-file", str(root / "template.yaml"), "--build-dir", str(build_dir))
    return build_dir


def deploy(
    aws: LocalAws,
    parameters: Mapping[str, str],
    *,
    build_dir: Path = ROOT / ".aws-sam" / "build",
    stack_name: str = STACK_NAME,
) -> dict[str, str]:
    """Create or update the stack from what `build` made, and give its outputs. Raises SamFailed.

    `sam deploy` keeps the value of each parameter that is not named, as it does on AWS.
    """
    command = ["deploy", "--config-file", str(ROOT / "samconfig.toml"), "--config-env", "local"]
    command += ["--template-file", str(build_dir / "template.yaml"), "--stack-name", stack_name]
    if parameters:
        command += ["--parameter-overrides", *(f'{name}="{value}"' for name, value in parameters.items())]
    # The CLI asks every five seconds how far the stack is. Here it is ready before that.
    _sam(aws.environment | {"SAM_CLI_POLL_DELAY": "0.3"}, *command)
    return outputs(aws, stack_name)


def remote_invoke(environment: Mapping[str, str], stack_name: str, event: Mapping[str, object]) -> object:
    """What the stack's function returns for `event`, reached by the CLI in `environment`. Raises SamFailed."""
    command = [str(_TOOLS / "sam"), "remote", "invoke", "Function", "--stack-name", stack_name]
    done = subprocess.run(
        [*command, "--event-file", "-", "--output", "json"],
        input=json.dumps(event),
        env={**environment, "SAM_CLI_TELEMETRY": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SamFailed(f"sam remote invoke ended with exit code {done.returncode}:\n{done.stderr}")
    try:
        answer = json.loads(done.stdout)
    except ValueError as error:
        raise SamFailed(f"sam remote invoke printed what is no JSON:\n{done.stdout}") from error
    if "FunctionError" in answer:
        raise SamFailed(f"the function failed: {answer['Payload']}")
    return cast("object", json.loads(answer["Payload"]))


def _sam(environment: Mapping[str, str], *arguments: str) -> None:
    # The tools come first on the PATH: `sam build` looks there for a python3.13 that has pip.
    inherited = own_environment()
    ours = {"PATH": f"{_TOOLS}:{inherited['PATH']}", "SAM_CLI_TELEMETRY": "0", **environment}
    command = [str(_TOOLS / "sam"), *arguments]
    try:
        exit_code, output = run(command, environment=inherited | ours, cwd=ROOT, seconds=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise SamFailed(f"sam {' '.join(arguments)} took more than {_SECONDS} s") from error
    if exit_code:
        raise SamFailed(f"sam {' '.join(arguments)} ended with exit code {exit_code}:\n{output}")
