"""`make plan`: what an event would cancel on a deployed stack. Nothing that is sent can cancel anything."""

import json
import os
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import boto3
from mypy_boto3_cloudformation import CloudFormationClient
from mypy_boto3_lambda import LambdaClient
from rich.markup import escape

from handler.config import Config
from handler.errors import CancelerError, RequestRejected
from handler.inbound.eventbridge import IgnoredEvent

from . import background, sam
from .aws import LocalAws, own_environment
from .errors import NotPlanned
from .question import is_dry_run, question_of
from .reports import JobReport, Report
from .screen import Screen

_COLUMNS = ("Job", "What would happen", "Why")
_LEFT_OUT = "left out"
_WORDS = {
    "WOULD_CANCEL": "would be cancelled",
    "ALREADY_CANCELED": "is cancelled already",
    "ALREADY_FINISHED": "has finished already",
    "GONE": "is gone",
    "PROTECTED": "is protected",
    "DEFERRED": "not known yet",
    "FAILED": "could not be read",
}


@dataclass(frozen=True)
class Stack:
    """A deployed stack, and how to reach it: with `environment` for the SAM CLI, and with these clients."""

    name: str
    where: str
    environment: Mapping[str, str]
    cloudformation: CloudFormationClient
    functions: LambdaClient

    def config(self) -> Config:
        """The function's configuration as it is deployed. Raises InvalidConfiguration."""
        found = self.cloudformation.describe_stack_resource(StackName=self.name, LogicalResourceId="Function")
        function = found["StackResourceDetail"]["PhysicalResourceId"]
        configuration = self.functions.get_function_configuration(FunctionName=function)
        return Config.from_env(configuration.get("Environment", {}).get("Variables", {}))

    def ask(self, question: Mapping[str, object]) -> Report:
        """The function's report. Raises NotPlanned if the question is no dry run, and SamFailed."""
        if not is_dry_run(question):
            raise NotPlanned("this would be no dry run, so nothing was sent")
        report = sam.remote_invoke(self.environment, self.name, question)
        if not isinstance(report, dict) or not {"status", "dryRun", "jobs"} <= report.keys():
            raise NotPlanned(f"this is no answer of an iot-job-canceler: {report}")
        if report["status"] != "REJECTED" and report["dryRun"] is not True:
            raise NotPlanned(f"the function did not take it for a dry run: {report}")
        return cast("Report", report)


def add_arguments(parser: ArgumentParser) -> None:
    """The options that `plan` takes."""
    parser.add_argument("event", metavar="EVENT", type=Path, help="a file with an event, as in events/")
    parser.add_argument("--stack", metavar="NAME", help="on AWS; without it, the stack on the local AWS of `make up`")


def plan(screen: Screen, options: Namespace) -> int:
    """Exit code: 0 if the whole plan could be made, also if it is empty."""
    stack = _on_aws(options.stack) if options.stack else _on_the_local_aws()
    screen.say(f"Plan of {options.event} on the stack {stack.name}, {stack.where}. Nothing is cancelled.\n")
    try:
        question = question_of(_read(options.event), stack.config)
    except RequestRejected as rejection:
        screen.say(f"It would be rejected. {rejection}", style="red")
        return 1
    except CancelerError as error:
        raise NotPlanned(f"the stack is of another release, or none of ours: {error}") from error
    if isinstance(question, IgnoredEvent):
        screen.say(f"Nothing would be cancelled: {question.reason}.")
        return 0
    return show(screen, stack.ask(question))


def show(screen: Screen, report: Report) -> int:
    """Print the report of a dry run, and give the exit code."""
    if report["status"] == "REJECTED":
        screen.say(f"It would be rejected. {report['reason']}", style="red")
        return 1
    rows = [(job["jobId"], _WORDS[job["outcome"]], _why(job, report)) for job in report["jobs"]]
    rows += [(left["jobId"], _LEFT_OUT, left["why"]) for left in report.get("leftOut", [])]
    if rows:
        screen.table("", _COLUMNS, [tuple(map(escape, row)) for row in rows])
    counts = Counter(outcome for _, outcome, _ in rows)
    told = ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "no job"
    screen.say(f"\n{told}. {report['reason']}".rstrip())
    if report["status"] == "UNFINISHED":
        screen.say("This is not the whole plan: try again, or ask for fewer jobs.", style="red")
        return 1
    return 0


def _why(job: JobReport, report: Report) -> str:
    """What the function says, and what the devices would see of it."""
    if job["outcome"] != "WOULD_CANCEL":
        return job["detail"]
    number = job["executionsLeftInProgress"]
    if not number:
        return "it is live, and no device has started it"
    devices = "1 device has" if number == 1 else f"{number} devices have"
    return f"it is live; {devices} started it, and would {'be stopped' if report['force'] else 'go on'}"


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NotPlanned(f"{path} can't be read as JSON: {error}") from error


def _on_aws(name: str) -> Stack:
    """With whatever AWS settings the person's shell has."""
    lambda_client = boto3.client("lambda")
    where = f"reached at {lambda_client.meta.endpoint_url} with the AWS credentials of this shell"
    return Stack(name, where, os.environ, boto3.client("cloudformation"), lambda_client)


def _on_the_local_aws() -> Stack:
    known = background.running()
    if known is None:
        raise NotPlanned("No local AWS is running. `make up` starts one, or STACK=… names a stack on AWS.")
    aws = LocalAws.running_at(known["port"])
    environment = own_environment() | aws.environment
    where = f"on the local AWS at {aws.endpoint_url}"
    return Stack(sam.STACK_NAME, where, environment, aws.client("cloudformation"), aws.client("lambda"))
