"""`plan`: what an event would cancel on a deployed stack, by a dry run."""

import json
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from handler.cancellation.report import counted
from handler.config import Config
from handler.errors import CancelerError, RequestRejected
from handler.inbound.envelope import IgnoredEvent
from handler.version import VERSION

from .dry_run import dry_run_of, is_dry_run
from .errors import CommandFailed, WrongUsage
from .output import print_json, print_line, print_message, print_table
from .stack import DeployedStack, Report

_COLUMNS = ("Job", "What would happen", "Why")
_EXCLUDED = "excluded"
_OUTCOMES = {
    "WOULD_CANCEL": "would be canceled",
    "ALREADY_CANCELED": "is already canceled",
    "ALREADY_FINISHED": "has already finished",
    "GONE": "is gone",
    "PROTECTED": "is protected",
    "DEFERRED": "not known yet",
    "FAILED": "would fail",
}


def read_event(name: str) -> object:
    """Return the event in the file, or in stdin if the name is `-`. Raises WrongUsage."""
    try:
        event: object = json.loads(sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise WrongUsage(f"--event {name}: can't be read as JSON: {error}") from error
    return event


def plan(event: object, stack: DeployedStack, *, as_table: bool) -> None:
    """Print what the event would cancel. Raises CommandFailed if it would be rejected, or if the plan is incomplete."""
    _warn_of_another_release(stack)
    try:
        request = dry_run_of(event, lambda: _config(stack))
    except RequestRejected as rejection:
        raise CommandFailed(f"the request would be rejected: {rejection}") from rejection
    except CancelerError as error:
        raise CommandFailed(f"the stack runs another release, or is not an iot-job-canceler stack: {error}") from error
    if isinstance(request, IgnoredEvent):
        report: Report = {"status": "IGNORED", "dryRun": True, "reason": request.reason, "jobs": []}
    elif is_dry_run(request):
        report = stack.invoke(request)
    else:
        raise CommandFailed("the request is not a dry run, so nothing was sent")
    if report["status"] == "REJECTED":
        raise CommandFailed(f"the request would be rejected: {report['reason']}")
    if as_table:
        _print(report)
    else:
        print_json(report)
    if report["status"] == "UNFINISHED":
        raise CommandFailed("the plan is incomplete: enter the command again, or narrow the selection")


def _warn_of_another_release(stack: DeployedStack) -> None:
    """Only the release is compared: to read the code, a caller needs a permission that nothing else here needs."""
    found = re.match(r"iot-job-canceler (\S+), ", stack.configuration.get("Description", ""))
    release = found[1] if found else "unknown"
    if release != VERSION:
        print_message(
            f"warning: the stack runs release {release}, and this command is release {VERSION}. "
            "The plan reads the event with the code of this command, so the real run can differ."
        )


def _config(stack: DeployedStack) -> Config:
    """Return the configuration of the deployed function. Raises InvalidConfiguration."""
    return Config.from_env(stack.configuration.get("Environment", {}).get("Variables", {}))


def _print(report: Report) -> None:
    """Print the report of a dry run as a table with a summary."""
    if report["status"] == "IGNORED":
        print_line(f"Nothing would be canceled: {report['reason']}.")
        return
    rows = [(job["jobId"], _OUTCOMES.get(job["outcome"], job["outcome"]), _why(job, report)) for job in report["jobs"]]
    rows += [(job["jobId"], _EXCLUDED, job["why"]) for job in report.get("leftOut", [])]
    if rows:
        print_table(_COLUMNS, rows)
    counts = Counter(outcome for _, outcome, _ in rows)
    summary = ", ".join(f"{number} {outcome}" for outcome, number in counts.items()) or "no jobs"
    print_line(f"\n{summary}. {report['reason']}".rstrip())
    if ended := report.get("executionsEnded"):  # the stack may run an earlier release
        print_line(f"Force would end {counted(ended, 'execution')}.")
    if plan_id := report.get("planId"):
        print_line(f"planId: {plan_id}")


def _why(job: dict[str, Any], report: Report) -> str:
    """Return the function's detail on the job, or what would happen to its devices."""
    if job["outcome"] != "WOULD_CANCEL":
        return str(job["detail"])
    number = job["executionsLeftInProgress"]
    if not number:
        return "active; no device has started it"
    devices = "1 device has" if number == 1 else f"{number} devices have"
    return f"active; {devices} started it, and would {'be interrupted' if report['force'] else 'continue'}"
