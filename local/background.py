"""`make up` and `make down`: a local AWS that stays, and the note of it in .local/.

The note is a file that MiniStack itself keeps locked as long as it lives. So there is at most one of them, and a note
whose process is gone is known as such: its pid may be somebody else's by now.
"""

import fcntl
import json
import shutil
import signal
from collections.abc import Mapping
from contextlib import ExitStack
from typing import IO, Literal, TypedDict, cast

from . import demo, sam
from .aws import LocalAws
from .diagnosis import logs_on_failure
from .errors import TimedOut
from .polling import wait_for
from .processes import signal_group
from .screen import Screen

_FOLDER = sam.ROOT / ".local"
_SHELL = _FOLDER / "env.sh"
_STOP_SECONDS = 10


class Note(TypedDict):
    """What `up` leaves for `down` and for people."""

    pid: int
    port: int
    log: str
    environment: dict[str, str]
    function: str


def up(screen: Screen) -> int:
    """Start the local AWS, deploy the stack to it, and say how to talk to it."""
    with _open_note() as note:
        if not _claim(note):
            return _already_running(screen, _read(note))
        known = _start(screen, note)
    screen.say(_how_to_use(known))
    return 0


def down(screen: Screen) -> int:
    """Stop the local AWS of `up`."""
    with _open_note() as note:
        if _claim(note):
            screen.say("No local AWS is running. `make up` starts one.")
            return 0
        known = _read(note)
        if known is None:
            screen.say("`make up` is at work right now. Try again when it is done.")
            return 1
        _stop(note, known["pid"])
        _write(note, None)
    screen.say(f"The local AWS on port {known['port']} is gone.")
    return 0


def running() -> Note | None:
    """The note of the local AWS of `up`, or None if there is none (yet)."""
    with _open_note() as note:
        return None if _claim(note) else _read(note)


def _already_running(screen: Screen, known: Note | None) -> int:
    if known is None:
        screen.say("Another `make up` is at work right now.")
        return 1
    screen.say("The local AWS is running already.")
    screen.say(_how_to_use(known))
    return 0


def _start(screen: Screen, note: IO[str]) -> Note:
    _write(note, None)
    folder = _FOLDER / "aws"
    shutil.rmtree(folder, ignore_errors=True)
    with screen.step("sam build"):
        build_dir = sam.build(_FOLDER / "build")
    with ExitStack() as until_it_stands:
        with screen.step("Start a local AWS"):
            aws = until_it_stands.enter_context(LocalAws(directory=folder, pass_fds=[note.fileno()]))
        with logs_on_failure(screen, aws), screen.step("sam deploy"):
            outputs = sam.deploy(aws, {"AlarmNamePrefix": demo.ALARM_PREFIX}, build_dir=build_dir)
        known = Note(
            pid=aws.pid,
            port=aws.port,
            log=str(aws.log_path),
            environment=aws.environment,
            function=outputs["ServiceToken"],
        )
        _SHELL.write_text(_for_a_shell(known["environment"]))
        _write(note, known)
        aws.leave_running()
    return known


def _stop(note: IO[str], leader: int) -> None:
    """Ask first; then kill what is left of the process group."""

    def gone() -> Literal[True] | None:
        return True if _claim(note) else None

    signal_group(leader, signal.SIGTERM)
    try:
        wait_for("the end of MiniStack", gone, seconds=_STOP_SECONDS)
    except TimedOut:
        signal_group(leader, signal.SIGKILL)
        wait_for("the end of MiniStack", gone, seconds=_STOP_SECONDS)


def _open_note() -> IO[str]:
    _FOLDER.mkdir(exist_ok=True)
    return (_FOLDER / "ministack.json").open("a+")


def _claim(note: IO[str]) -> bool:
    """Lock the note: False if a MiniStack, or the `up` that starts it, has it locked."""
    try:
        fcntl.flock(note, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write(note: IO[str], known: Note | None) -> None:
    note.truncate(0)
    json.dump(known, note, indent=2)
    note.flush()


def _read(note: IO[str]) -> Note | None:
    note.seek(0)
    return cast("Note | None", json.loads(note.read() or "null"))


def _for_a_shell(environment: Mapping[str, str]) -> str:
    """What points a shell in this folder at the local AWS, and at the tools of .venv."""
    exports = "".join(f"export {name}={value}\n" for name, value in environment.items())
    return f'unset AWS_PROFILE\n{exports}export PATH="$PWD/.venv/bin:$PATH" SAM_CLI_TELEMETRY=0\n'


def _how_to_use(known: Note) -> str:
    """Lines to copy. `aws` is the AWS CLI, which this repository does not install; `python` is the one of .venv."""
    account = known["function"].split(":")[4]
    thing = f"arn:aws:iot:{known['environment']['AWS_DEFAULT_REGION']}:{account}:thing/device-1"
    return f"""
The stack {sam.STACK_NAME} is deployed to a local AWS at {known["environment"]["AWS_ENDPOINT_URL"]}
(process {known["pid"]}, log {known["log"]}). `make down` ends it.
Each step needs nothing but .venv. What is written with `python` stands behind it, as a comment, for the AWS CLI.

# Point a shell in this folder at it: AWS_ENDPOINT_URL and AWS's other variables, and .venv/bin on the PATH
. {_SHELL.relative_to(sam.ROOT)}

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

# Ask the function itself, which finds the job cancelled already
sam remote invoke --stack-name {sam.STACK_NAME} Function --event '{{"cancel": {{"jobId": "job-1"}}}}'

# A stack that takes the second job along when it is deleted
sam deploy --template-file examples/teardown.yaml --stack-name teardown --resolve-s3 --parameter-overrides JobId=job-2
sam delete --stack-name teardown --no-prompts
python -c "import boto3; print(boto3.client('iot').describe_job(jobId='job-2')['job']['status'])"
# or
# aws iot describe-job --job-id job-2 --query job.status

# Done: without this, the shell goes on talking to the local AWS
unset {" ".join(known["environment"])}
"""
