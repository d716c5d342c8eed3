"""`make plan` without STACK: `iot-job-canceler plan` on the local AWS of `make up`."""

import io
import re
import subprocess
import sys
from argparse import ArgumentParser, Namespace
from urllib.request import urlopen
from zipfile import ZipFile

from tools.errors import NotPlanned
from tools.localaws import background, sam, stacks
from tools.localaws.aws import LocalAws, isolated_environment
from tools.screen import Screen

_SOURCE = sam.ROOT / "src"


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of `plan`."""
    parser.add_argument("event", metavar="EVENT", help="a file with an event, as in events/")


def plan(screen: Screen, options: Namespace) -> int:
    """Return the exit code of the command."""
    state = background.running()
    if state is None:
        raise NotPlanned("No local AWS is running. `make up` starts one, or STACK=… names a stack on AWS.")
    aws = LocalAws.running_at(state["port"])
    if _deployed_code(aws) != _code_of_checkout():
        screen.say(
            "Warning: the stack runs other code than this checkout, which `make up` deploys. "
            "The plan reads the event with the code of this checkout, so the real run can differ.",
            style="yellow",
        )
    command = [sys.executable, "-m", "iot_job_canceler", "plan", "--event", options.event, "--output", "table"]
    environment = isolated_environment() | aws.environment
    return subprocess.run([*command, "--stack-name", sam.STACK_NAME], env=environment, check=False).returncode


def _deployed_code(aws: LocalAws) -> dict[str, bytes]:
    function = stacks.outputs(aws, sam.STACK_NAME)["FunctionName"]
    location = aws.client("lambda").get_function(FunctionName=function)["Code"]["Location"]
    with urlopen(location) as response, ZipFile(io.BytesIO(response.read())) as bundle:  # noqa: S310 - the local AWS
        names = [name for name in bundle.namelist() if re.fullmatch(r"handler/.*\.py", name)]
        return {name: bundle.read(name) for name in names}


def _code_of_checkout() -> dict[str, bytes]:
    files = (_SOURCE / "handler").rglob("*.py")
    return {path.relative_to(_SOURCE).as_posix(): path.read_bytes() for path in files}
