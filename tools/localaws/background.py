"""`make up` and `make down`: a local AWS that keeps running, and its state file in .local/.

MiniStack inherits the lock of the state file. So at most one of them runs, and the file of a process that has ended is
not locked: its pid may belong to another process.
"""

import fcntl
import json
import shlex
import shutil
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import IO, TypedDict, cast

from handler.version import VERSION
from tools.errors import TimedOut
from tools.polling import wait_for
from tools.processes import signal_group
from tools.screen import Screen

from . import sam, stacks
from .aws import LocalAws
from .diagnosis import logs_on_failure

_DIRECTORY = sam.ROOT / ".local"
_SHELL_SCRIPT = _DIRECTORY / "env.sh"
_GRACE_SECONDS = 10


class State(TypedDict):
    """The running local AWS, as `up` saves it for `down` and `plan`."""

    pid: int
    port: int
    log: str
    environment: dict[str, str]
    function: str


def up(screen: Screen) -> int:
    """Start the local AWS unless it is running, deploy the checkout to it, and print how to use it."""
    with _open("up.lock") as own, _open_state() as file:
        is_alone = _lock(own)
        if is_alone and _lock(file):
            state = _start(screen, file)
        elif is_alone and (running := _read(file)):
            state = _deploy_again(screen, file, running)
        else:
            screen.say("Another `make up` is running.")
            return 1
    screen.say(_how_to_use(state))
    return 0


def down(screen: Screen) -> int:
    """Stop the local AWS that `up` started."""
    with _open_state() as file:
        if _lock(file):
            screen.say("No local AWS is running. `make up` starts one.")
            return 0
        state = _read(file)
        if state is None:
            screen.say("`make up` is still running. Try again when it has ended.")
            return 1
        _stop(file, state["pid"])  # the file keeps the port for the next `up`
    screen.say(f"The local AWS on port {state['port']} has been stopped.")
    return 0


def running() -> State | None:
    """Return the state of the local AWS that `up` started, or None if there is none or it is still starting."""
    with _open_state() as file:
        return None if _lock(file) else _read(file)


def _start(screen: Screen, file: IO[str]) -> State:
    last = _read(file)
    _write(file, None)
    directory = _DIRECTORY / "aws"
    shutil.rmtree(directory, ignore_errors=True)
    build_dir = _build(screen)
    with ExitStack() as until_deployed:
        with screen.step("Start a local AWS"):
            # On the port of the last one, so that a shell that points to it needs no change.
            port = last["port"] if last else 0
            aws = until_deployed.enter_context(LocalAws(directory=directory, port=port, pass_fds=[file.fileno()]))
        state = State(
            function=_deploy(screen, aws, build_dir),
            pid=aws.pid,
            port=aws.port,
            log=str(aws.log_path),
            environment=aws.environment,
        )
        _SHELL_SCRIPT.write_text(_shell_script(state["environment"]))
        _write(file, state)
        aws.leave_running()
    return state


def _deploy_again(screen: Screen, file: IO[str], running: State) -> State:
    aws = LocalAws.running_at(running["port"])
    aws.log_path = Path(running["log"])
    function = _deploy(screen, aws, _build(screen))
    state = State(**{**running, "function": function})
    _write(file, state)
    return state


def _build(screen: Screen) -> Path:
    with screen.step("sam build"):
        return sam.build(_DIRECTORY / "build", root=sam.ROOT)


def _deploy(screen: Screen, aws: LocalAws, build_dir: Path) -> str:
    """Deploy the build, print what has changed, and return the ARN of the function."""
    before = stacks.last_change(aws, sam.STACK_NAME)
    parameters = {} if before else {"AlarmNamePrefix": sam.ALARM_PREFIX}
    with logs_on_failure(screen, aws), screen.step("sam deploy"):
        outputs = sam.deploy(aws, parameters, build_dir=build_dir)
    is_same = stacks.last_change(aws, sam.STACK_NAME) == before
    change = "was created" if before is None else "is already up to date" if is_same else "was updated"
    screen.say(f"The stack {sam.STACK_NAME} {change}. It runs the code of this checkout, release {VERSION}.")
    return outputs["ServiceToken"]


def _stop(file: IO[str], leader: int) -> None:
    """Terminate the process group, and kill the remaining processes after a grace period."""
    signal_group(leader, signal.SIGTERM)
    try:
        wait_for("the end of MiniStack", partial(_lock, file), seconds=_GRACE_SECONDS)
    except TimedOut:
        signal_group(leader, signal.SIGKILL)
        wait_for("the end of MiniStack", partial(_lock, file), seconds=_GRACE_SECONDS)


def _open_state() -> IO[str]:
    return _open("ministack.json")


def _open(name: str) -> IO[str]:
    _DIRECTORY.mkdir(exist_ok=True)
    return (_DIRECTORY / name).open("a+")


def _lock(file: IO[str]) -> bool:
    """Lock the state file. Return False if a MiniStack or another `up` holds the lock."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(file: IO[str], state: State | None) -> None:
    file.truncate(0)
    json.dump(state, file, indent=2)
    file.flush()


def _read(file: IO[str]) -> State | None:
    file.seek(0)
    return cast("State | None", json.loads(file.read() or "null"))


def _shell_script(environment: Mapping[str, str]) -> str:
    """Return the script that points a shell to the local AWS and to the programs of .venv."""
    exports = "".join(f"export {name}={value}\n" for name, value in environment.items())
    programs = shlex.quote(str(sam.ROOT / ".venv" / "bin"))
    return f'unset AWS_PROFILE\n{exports}export PATH={programs}:"$PATH" SAM_CLI_TELEMETRY=0\n'


def _how_to_use(state: State) -> str:
    """Return commands to copy. This repository installs the `python` in .venv, but not the AWS CLI (`aws`)."""
    account = state["function"].split(":")[4]
    thing = f"arn:aws:iot:{state['environment']['AWS_DEFAULT_REGION']}:{account}:thing/device-1"
    return f"""
The stack {sam.STACK_NAME} is deployed to a local AWS at {state["environment"]["AWS_ENDPOINT_URL"]}
(process {state["pid"]}, log {state["log"]}). `make down` ends it.
Each step needs nothing but .venv. What is written with `python` stands behind it, as a comment, for the AWS CLI.

# Point a shell at it: AWS_ENDPOINT_URL and AWS's other variables, and .venv/bin on the PATH
. {_SHELL_SCRIPT.relative_to(sam.ROOT)}

# A thing, and two jobs for it
python -c "import boto3
iot = boto3.client('iot')
iot.create_thing(thingName='device-1')
for job in 'job-1', 'job-2':
    iot.create_job(jobId=job, targets=['{thing}'], document='{{}}')"
# or, with the AWS CLI
# aws iot create-thing --thing-name device-1
# aws iot create-job --job-id job-1 --targets {thing} --document '{{}}'
# aws iot create-job --job-id job-2 --targets {thing} --document '{{}}'

# Cancel the first by an event
python -c "import boto3, json
boto3.client('events').put_events(Entries=[{{'Source': 'me', 'DetailType': 'IoT Job Cancellation Requested',
  'Detail': json.dumps({{'cancel': {{'jobId': 'job-1'}}}})}}])"
# or
# aws events put-events --entries '[{{"Source": "me", "DetailType": "IoT Job Cancellation Requested",
#   "Detail": "{{\\"cancel\\": {{\\"jobId\\": \\"job-1\\"}}}}"}}]'

# What the function says of it, and what IoT says
sam logs --cw-log-group /aws/lambda/{sam.STACK_NAME}
python -c "import boto3; print(boto3.client('iot').describe_job(jobId='job-1')['job']['status'])"
# or
# aws iot describe-job --job-id job-1 --query job.status

# Use the command line for people on call, which finds the job already canceled
python -m iot_job_canceler cancel-job --job-id job-1

# A stack that takes the second job along when it is deleted
sam deploy --template-file examples/teardown.yaml --stack-name teardown --resolve-s3 --parameter-overrides JobId=job-2
sam delete --stack-name teardown --no-prompts
python -c "import boto3; print(boto3.client('iot').describe_job(jobId='job-2')['job']['status'])"
# or
# aws iot describe-job --job-id job-2 --query job.status

# Done: without this, the shell goes on talking to the local AWS
unset {" ".join(state["environment"])}
"""
