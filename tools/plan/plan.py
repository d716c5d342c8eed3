"""`make plan`: show what an event would cancel on a deployed stack, by a dry run."""

import io
import json
import os
import re
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.request import urlopen
from zipfile import ZipFile

import boto3
from mypy_boto3_cloudformation import CloudFormationClient
from mypy_boto3_lambda import LambdaClient
from rich.markup import escape

from handler.config import Config
from handler.errors import CancelerError, RequestRejected
from handler.inbound.envelope import IgnoredEvent
from handler.version import VERSION
from tools.errors import NotPlanned
from tools.localaws import background, sam
from tools.localaws.aws import LocalAws, isolated_environment
from tools.localaws.reports import JobReport, Report
from tools.screen import Screen

from .dry_run import dry_run_of, is_dry_run

if TYPE_CHECKING:
    from mypy_boto3_lambda.type_defs import FunctionConfigurationResponseTypeDef

_SOURCE = sam.ROOT / "src"
_COLUMNS = ("Job", "What would happen", "Why")
_EXCLUDED = "excluded"
_OUTCOMES = {
    "WOULD_CANCEL": "would be canceled",
    "ALREADY_CANCELED": "is already canceled",
    "ALREADY_FINISHED": "has already finished",
    "GONE": "is gone",
    "PROTECTED": "is protected",
    "DEFERRED": "not known yet",
    "FAILED": "could not be read",
}


@dataclass(frozen=True)
class Stack:
    """A deployed stack, the `environment` in which the SAM CLI reaches it, and the clients."""

    name: str
    where: str
    environment: Mapping[str, str]
    cloudformation: CloudFormationClient
    functions: LambdaClient
    is_local: bool = False

    def config(self) -> Config:
        """Read the configuration of the deployed function. Raises InvalidConfiguration."""
        return Config.from_env(self._configuration().get("Environment", {}).get("Variables", {}))

    def difference(self) -> str:
        """Return how the deployed function differs from the checkout, or nothing.

        Only the release is compared on AWS: to read the code, a caller needs a permission that nothing else here needs.
        """
        configuration = self._configuration()
        found = re.match(r"iot-job-canceler (\S+), ", configuration.get("Description", ""))
        release = found[1] if found else "unknown"
        if release != VERSION:
            return f"the stack runs release {release}, and this checkout is release {VERSION}"
        if self.is_local and self._code(configuration["FunctionName"]) != _code_of_checkout():
            return "the stack runs other code than this checkout, which `make up` deploys"
        return ""

    def _configuration(self) -> "FunctionConfigurationResponseTypeDef":
        found = self.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId="Function")
        function = found["StackResourceDetail"]["PhysicalResourceId"]
        return self.functions.get_function_configuration(FunctionName=function)

    def _code(self, function: str) -> dict[str, bytes]:
        location = self.functions.get_function(FunctionName=function)["Code"]["Location"]
        with urlopen(location) as response, ZipFile(io.BytesIO(response.read())) as bundle:  # noqa: S310 - the local AWS
            names = [name for name in bundle.namelist() if re.fullmatch(r"handler/.*\.py", name)]
            return {name: bundle.read(name) for name in names}

    def invoke(self, request: Mapping[str, object]) -> Report:
        """Return the function's report. Raises SamFailed, and NotPlanned if request or report is not a dry run."""
        if not is_dry_run(request):
            raise NotPlanned("the request is not a dry run, so nothing was sent")
        report = sam.remote_invoke(self.environment, self.name, request)
        if not isinstance(report, dict) or not {"status", "dryRun", "jobs"} <= report.keys():
            raise NotPlanned(f"the response is not a report of iot-job-canceler: {report}")
        if report["status"] != "REJECTED" and report["dryRun"] is not True:
            raise NotPlanned(f"the function did not treat the request as a dry run: {report}")
        return cast("Report", report)


def add_arguments(parser: ArgumentParser) -> None:
    """Add the options of `plan`."""
    parser.add_argument("event", metavar="EVENT", type=Path, help="a file with an event, as in events/")
    parser.add_argument("--stack", metavar="NAME", help="on AWS; without it, the stack on the local AWS of `make up`")


def plan(screen: Screen, options: Namespace) -> int:
    """Return exit code 0 if the plan is complete, even if it is empty."""
    stack = _on_aws(options.stack) if options.stack else _on_the_local_aws()
    screen.say(f"Plan of {options.event} on the stack {stack.name}, {stack.where}. Nothing is canceled.\n")
    if difference := stack.difference():
        consequence = "The plan reads the event with the code of this checkout, so the real run can differ."
        screen.say(f"Warning: {difference}. {consequence}\n", style="yellow")
    try:
        request = dry_run_of(_read(options.event), stack.config)
    except RequestRejected as rejection:
        screen.say(f"The request would be rejected. {rejection}", style="red")
        return 1
    except CancelerError as error:
        raise NotPlanned(f"the stack runs another release, or is not an iot-job-canceler stack: {error}") from error
    if isinstance(request, IgnoredEvent):
        screen.say(f"Nothing would be canceled: {request.reason}.")
        return 0
    return show(screen, stack.invoke(request))


def show(screen: Screen, report: Report) -> int:
    """Print the report of a dry run, and return the exit code."""
    if report["status"] == "REJECTED":
        screen.say(f"The request would be rejected. {report['reason']}", style="red")
        return 1
    rows = [(job["jobId"], _OUTCOMES[job["outcome"]], _why(job, report)) for job in report["jobs"]]
    rows += [(job["jobId"], _EXCLUDED, job["why"]) for job in report.get("leftOut", [])]
    if rows:
        screen.table("", _COLUMNS, [tuple(map(escape, row)) for row in rows])
    counts = Counter(outcome for _, outcome, _ in rows)
    summary = ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "no jobs"
    screen.say(f"\n{summary}. {report['reason']}".rstrip())
    if report["status"] == "UNFINISHED":
        screen.say("The plan is incomplete: try again, or narrow the selection.", style="red")
        return 1
    return 0


def _why(job: JobReport, report: Report) -> str:
    """Return the function's detail on the job, or what would happen to its devices."""
    if job["outcome"] != "WOULD_CANCEL":
        return job["detail"]
    number = job["executionsLeftInProgress"]
    if not number:
        return "active; no device has started it"
    devices = "1 device has" if number == 1 else f"{number} devices have"
    return f"active; {devices} started it, and would {'be interrupted' if report['force'] else 'continue'}"


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NotPlanned(f"{path} can't be read as JSON: {error}") from error


def _code_of_checkout() -> dict[str, bytes]:
    files = (_SOURCE / "handler").rglob("*.py")
    return {path.relative_to(_SOURCE).as_posix(): path.read_bytes() for path in files}


def _on_aws(name: str) -> Stack:
    """Return the stack in the AWS account and Region of the user's shell."""
    lambda_client = boto3.client("lambda")
    where = f"reached at {lambda_client.meta.endpoint_url} with the AWS credentials of this shell"
    return Stack(name, where, os.environ, boto3.client("cloudformation"), lambda_client)


def _on_the_local_aws() -> Stack:
    state = background.running()
    if state is None:
        raise NotPlanned("No local AWS is running. `make up` starts one, or STACK=… names a stack on AWS.")
    aws = LocalAws.running_at(state["port"])
    environment = isolated_environment() | aws.environment
    where = f"on the local AWS at {aws.endpoint_url}"
    return Stack(sam.STACK_NAME, where, environment, aws.client("cloudformation"), aws.client("lambda"), is_local=True)
