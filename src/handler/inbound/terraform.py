"""Requests of Terraform and Pulumi: an `aws_lambda_invocation` with `lifecycle_scope = "CRUD"`. Pure.

The provider invokes the function synchronously, with the resource's `input` and the key `tf`: the action, and the input
before it. It ignores the return value and fails if the function raises, so that is how a result is reported that is not
settled. Create and update validate like the Create of a custom resource. Delete cancels like its Delete.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from handler.cancellation.criteria import check_owner, check_prefix
from handler.cancellation.report import Outcome, Report, RunStatus, counted, joined, unsettled_reason
from handler.cancellation.request import (
    KEYS,
    NO_PLAN,
    CancelReason,
    CancelRequest,
    StackLimits,
    parse_leniently,
    parse_request,
    warning_of,
)
from handler.cancellation.validation import is_job_id, quoted, read_object
from handler.errors import RequestRejected
from handler.inbound.envelope import at

_KEY = "tf"
_ACTIONS = {"create": "Created", "update": "Updated", "delete": "Deleted"}
DRY_RUN = "dry run: Terraform continues, and the active jobs were not canceled"
_AGAIN = "running it again continues with the remaining jobs"
_NOTHING_DONE = "nothing was canceled: remove the cause, and run it again"
_BY_REQUEST = "cancel these jobs by a request: another apply may not name them"
_WAIT = "waitForExecutionsMinutes"
_NO_WAIT = (
    "must be 0 or omitted: Terraform waits only as long as one invocation; to wait for devices, use a CloudFormation "
    "stack with Custom::IoTJobCancellation"
)


@dataclass(frozen=True, slots=True)
class TerraformRequest:
    """One action of Terraform on one resource. `action` is empty if it is unreadable.

    `document` is the unparsed value of `cancel`, and `previous` the one of the input before the action. `refusal` says
    why the request cannot be carried out, whatever it asks for; it is None if it can.
    """

    action: str
    document: object
    previous: object = None
    refusal: RequestRejected | None = None

    @property
    def default_reason(self) -> CancelReason:
        """Retries find the jobs of a selection that an earlier deletion canceled by this comment: keep its text."""
        select = at(self.document, "select")
        selection = "" if select is None else f": select {_json(select)}"
        by = f"{_ACTIONS.get(self.action, 'Requested')} by Terraform"
        return CancelReason.default("STACK_TEARDOWN", f"{by}{selection}")

    @property
    def is_validation(self) -> bool:
        """True if the action cancels nothing, or only jobs that the input no longer names."""
        return self.action in ("create", "update")


class Plan(NamedTuple):
    """What one action does. `cancels`: the run cancels the jobs of the request; else the request is only valid."""

    request: CancelRequest
    cancels: bool
    reason: str = ""
    warnings: tuple[str, ...] = ()


def is_terraform_request(payload: Mapping[str, object]) -> bool:
    """Return True for an invocation by Terraform, also under another key: Terraform must get an error then."""
    return payload.keys().isdisjoint(("RequestType", "detail-type")) and bool(_lifecycle_keys(payload))


def parse_terraform_request(payload: Mapping[str, object]) -> TerraformRequest:
    """Parse a payload for which `is_terraform_request` is True."""
    lifecycle = payload.get(_KEY)
    refusal = None
    try:
        _check_form(payload, lifecycle)
    except RequestRejected as rejection:
        refusal = rejection
    return TerraformRequest(
        _action(lifecycle),
        payload.get("cancel"),
        at(lifecycle, "prev_input", "cancel"),
        refusal,
    )


def _lifecycle_keys(payload: Mapping[str, object]) -> list[str]:
    """Return the keys that Terraform may have added: `terraform_key` of the resource renames it."""
    return [
        key
        for key, value in payload.items()
        if key == _KEY or (isinstance(value, Mapping) and value.keys() == {"action", "prev_input"})
    ]


def _check_form(payload: Mapping[str, object], lifecycle: object) -> None:
    for key in _lifecycle_keys(payload):
        if key != _KEY:
            raise RequestRejected("terraform_key", f"must be {_KEY} or omitted, not {quoted(key)}")
    fields = read_object("input", {key: value for key, value in payload.items() if key != _KEY}, ("cancel",))
    if "cancel" not in fields:
        raise RequestRejected("input", "must have the key cancel")
    known = ("action", "prev_input")
    # The first input has no earlier one. Its form is not checked: an earlier release may have accepted another one.
    given = {**lifecycle, "prev_input": {}} if isinstance(lifecycle, Mapping) else lifecycle
    read_object(_KEY, given, known, path=f"{_KEY}.")
    if not _action(lifecycle):
        raise RequestRejected(f"{_KEY}.action", f"must be one of {', '.join(_ACTIONS)}")


def _action(lifecycle: object) -> str:
    action = at(lifecycle, "action")
    return action if isinstance(action, str) and action in _ACTIONS else ""


def _json(value: object) -> str:
    try:
        return json.dumps(value, sort_keys=True)
    except RecursionError:  # such a value is rejected
        return ""


def plan_action(terraform: TerraformRequest, limits: StackLimits) -> Plan:
    """Return what the action cancels. Raises RequestRejected."""
    if terraform.refusal:
        raise terraform.refusal
    document = with_continuous_jobs(terraform.document)
    if at(document, "planId") is not None:
        raise RequestRejected("planId", f"must be omitted: {NO_PLAN}")
    if terraform.action == "delete":
        return _plan_deletion(document, limits, terraform.default_reason)
    request = parse_request(document, limits, terraform.default_reason)
    if request.wait_minutes:
        raise RequestRejected(_WAIT, _NO_WAIT)
    if request.criteria:
        check_prefix(request.criteria, limits.job_id_prefix)
        check_owner(request.criteria)
    valid = f"{terraform.action}: the input is valid; jobs are canceled only when it no longer names them, or on delete"
    named = set(request.job_ids)
    removed = tuple(job_id for job_id in _named(terraform.previous) if job_id not in named)
    if terraform.action == "create" or not removed:
        return Plan(request, cancels=False, reason=valid)
    if request.criteria:
        number = counted(len(removed), "job")
        warning = (
            f"the input no longer names {number}, such as {removed[0]}; they stay active unless select matches them"
        )
        return Plan(request, cancels=False, reason=valid, warnings=(warning,))
    if len(removed) > request.max_jobs:
        too_many = f"names {len(removed)} jobs that the new input does not name, but the limit is {request.max_jobs}"
        raise RequestRejected("tf.prev_input", f"{too_many}, so this run canceled none of them; {_BY_REQUEST}")
    request = replace(request, job_ids=removed)
    return Plan(request, cancels=True, reason="update: the new input no longer names these jobs")


def with_continuous_jobs(document: object) -> object:
    """Return the request with CONTINUOUS jobs, unless it says otherwise: what they belong to is deleted."""
    select = at(document, "select")
    if not isinstance(document, Mapping) or not isinstance(select, Mapping):
        return document
    return {**document, "select": {"targetSelection": ["SNAPSHOT", "CONTINUOUS"], **select}}


def _named(document: object) -> tuple[str, ...]:
    """Return the job ids in an input of any format."""
    job_ids = at(document, "jobIds")
    named = (at(document, "jobId"), *(job_ids if isinstance(job_ids, list) else ()))
    return tuple(dict.fromkeys(str(job_id) for job_id in named if is_job_id(job_id)))


def _plan_deletion(document: object, limits: StackLimits, default: CancelReason) -> Plan:
    """The parameters of the stack may have become stricter since the input was validated."""
    fields = document if isinstance(document, Mapping) else read_object("cancel", document, KEYS)
    request, ignored = parse_leniently({**fields, _WAIT: 0}, limits, default)
    if fields.get(_WAIT):
        ignored = (*ignored, RequestRejected(_WAIT, _NO_WAIT))
    return Plan(request, cancels=True, warnings=tuple(map(warning_of, ignored)))


def conclude(terraform: TerraformRequest, report: Report) -> tuple[Report, str]:
    """Return the report of the last delivery of an action, and the error to raise; empty if there is none."""
    if report.status is RunStatus.SETTLED or continues_dry_run(report):
        return report, ""
    if report.status is RunStatus.REJECTED:
        return report, report.reason if terraform.is_validation else joined(report.reason, _NOTHING_DONE)
    what_next = _AGAIN if terraform.action == "delete" else _BY_REQUEST
    failure = joined(unsettled_reason(report), what_next)
    return replace(report, status=RunStatus.UNSETTLED, reason=joined(report.reason, what_next)), failure


def continues_dry_run(report: Report) -> bool:
    """Return True if Terraform continues although jobs may be active, because of a dry run."""
    is_incomplete = report.status is RunStatus.UNFINISHED
    would_cancel = report.status is RunStatus.SETTLED and Outcome.WOULD_CANCEL in report.counts
    return report.dry_run and (is_incomplete or would_cancel)
