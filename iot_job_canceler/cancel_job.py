"""`cancel-job`: the request, from the options of `aws iot cancel-job`, and the result, from the function's report."""

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from handler.cancellation.request import CancelReason, StackLimits, parse_request
from handler.cancellation.validation import read_object
from handler.errors import RequestRejected

from .errors import CommandFailed, WrongUsage
from .stack import Report

# The members of CancelJob's input. AWS's own skeleton has force true, which would be a dangerous default to copy.
INPUT_SKELETON: Mapping[str, Any] = {"jobId": "", "reasonCode": "", "comment": "", "force": False}
# The members of CancelJob's output, with their names as values, as in the AWS CLI. The others are of the report.
SAMPLE_OUTPUT: Mapping[str, Any] = {
    "jobArn": "jobArn",
    "jobId": "jobId",
    "description": "description",
    "outcome": "CANCELED",
    "detail": "detail",
    "executionsLeftInProgress": 0,
    "executionsEnded": 0,
}
_OPTIONS = {
    "jobId": "--job-id",
    "reasonCode": "--reason-code",
    "comment": "--comment",
    "force": "--force",
    "planId": "--plan-id",
}
_INPUT = "--cli-input-json"
# The function knows the limits of the stack, and checks them.
_FORM_ONLY = StackLimits(force=True, dry_run=False, max_jobs=1, job_id_prefix="", protection_tag_key="")


def request_from(
    cli_input_json: str | None, options: Mapping[str, object], *, plan_id: str | None = None, dry_run: bool = False
) -> dict[str, Any]:
    """Return the request. `options` override the input; the value of an option that was not used is None.

    CancelJob has neither a plan nor a dry run, so neither is part of the input. Raises WrongUsage, which names the
    option or the key.
    """
    used = {key: value for key, value in options.items() if value is not None}
    document = _read_json(cli_input_json) if cli_input_json is not None else {}
    if isinstance(document, Mapping):
        document = {**document, **used}
    try:
        cancel = read_object(_INPUT, document, tuple(INPUT_SKELETON))
        if "jobId" not in cancel:
            raise WrongUsage(f"--job-id is missing: set it, or jobId in {_INPUT}")
        added = ({} if plan_id is None else {"planId": plan_id}) | ({"dryRun": True} if dry_run else {})
        request = {**cancel, **added}
        parse_request(request, _FORM_ONLY, CancelReason.default("", ""))
    except RequestRejected as rejection:
        raise WrongUsage(f"{_source(rejection.field, {*used, 'planId'})}: {rejection.allowed}") from rejection
    return {"cancel": request}


def output_of(report: Report) -> dict[str, Any]:
    """Return the result of the report's job, without the keys that the report does not have. Raises CommandFailed."""
    if report["status"] == "REJECTED":
        field, _, allowed = report["reason"].partition(": ")
        raise CommandFailed(f"the function rejected the request: {_OPTIONS.get(field, field)}: {allowed}")
    if not report["jobs"]:
        raise CommandFailed(f"the report has no job: {report['status']}: {report['reason']}")
    job = report["jobs"][0]
    plan = {"planId": report["planId"]} if "planId" in report else {}
    return {key: job[key] for key in SAMPLE_OUTPUT if key in job} | plan


def check_settled(report: Report) -> None:
    """Raise CommandFailed if something remains to be done for the job."""
    job = report["jobs"][0]
    if report["status"] == "SETTLED":
        return
    reason = ": ".join(filter(None, (job["outcome"], job["detail"], report["reason"])))
    continues = report["status"] == "UNFINISHED" and not report["dryRun"]
    hint = "; the function continues by itself: enter the command again to read the result" if continues else ""
    raise CommandFailed(f"job {job['jobId']} is not settled: {reason}{hint}")


def _read_json(text: str) -> object:
    """Return the value of --cli-input-json: JSON, or file:// and a path."""
    try:
        if text.startswith("file://"):
            text = Path(text.removeprefix("file://")).expanduser().read_text(encoding="utf-8")
        document: object = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise WrongUsage(f"{_INPUT}: must be JSON, or file:// and the path of a JSON file: {error}") from error
    return document


def _source(field: str, used: Collection[str]) -> str:
    """Return where the user entered the value of the field."""
    if field == _INPUT:
        return _INPUT
    return _OPTIONS[field] if field in used else f"{_INPUT}: {field}"
