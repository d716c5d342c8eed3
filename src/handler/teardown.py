"""Custom::IoTJobCancellation: what each request of CloudFormation means. Pure; the life cycle is custom_resource.py.

Create and Update validate and cancel nothing, so that a mistake shows when a stack is deployed and not when it is torn
down. Delete acts on the PhysicalResourceId, and never fails on properties.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from .errors import RequestRejected
from .outcome import JobResult, Report, RunStatus, Trigger, status_of
from .properties import read_leniently, read_strictly
from .request import Attribution, CancelRequest, Policy, is_job_id

type Cancel = Callable[[CancelRequest], tuple[JobResult, ...]]

_FAILED_CREATE = "failed-create"
_RESPONSE_KEYS = ("ResponseURL", "RequestId", "StackId", "LogicalResourceId")
_REASON_JOBS = 5


@dataclass(frozen=True, slots=True)
class ResourceRequest:
    """One request of CloudFormation. `physical_id` is None on Create."""

    request_type: Literal["Create", "Update", "Delete"]
    response_url: str = field(repr=False)
    request_id: str
    stack_id: str
    logical_id: str
    physical_id: str | None
    properties: Mapping[str, object]

    @property
    def event(self) -> dict[str, object]:
        """The request in CloudFormation's own shape, with nothing in it but what was read."""
        known: dict[str, object] = {
            "RequestType": self.request_type,
            "ResponseURL": self.response_url,
            "RequestId": self.request_id,
            "StackId": self.stack_id,
            "LogicalResourceId": self.logical_id,
            "ResourceProperties": self.properties,
        }
        return known if self.physical_id is None else {**known, "PhysicalResourceId": self.physical_id}

    @property
    def fallback_id(self) -> str:
        """The id to answer with where nothing else is known: the resource's own, or the mark of a failed Create."""
        return self.physical_id or f"{_FAILED_CREATE}:{self.stack_id.rpartition('/')[2]}/{self.logical_id}"

    @property
    def continues(self) -> bool:
        """True if the deletion of the stack goes on even if the cancel did not get done."""
        return self.request_type == "Delete" and self.properties.get("OnIncomplete") == "CONTINUE"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to answer CloudFormation, and what to report. `warnings` are for the log."""

    status: Literal["SUCCESS", "FAILED"]
    physical_id: str
    report: Report
    reason: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def continued(self) -> bool:
        """True if the deletion goes on although jobs are not settled."""
        return self.status == "SUCCESS" and self.report.status is not RunStatus.SETTLED


def read_resource_request(event: Mapping[str, object]) -> ResourceRequest:
    """Raises RequestRejected if there is too little to answer with. Bad properties are not looked at here."""
    texts = {key: _required_text(event, key) for key in _RESPONSE_KEYS}
    request_type = event["RequestType"]
    if request_type not in ("Create", "Update", "Delete"):
        raise RequestRejected("RequestType", "must be Create, Update or Delete")
    physical_id = event.get("PhysicalResourceId")
    properties = event.get("ResourceProperties")
    return ResourceRequest(
        request_type=request_type,
        response_url=texts["ResponseURL"],
        request_id=texts["RequestId"],
        stack_id=texts["StackId"],
        logical_id=texts["LogicalResourceId"],
        physical_id=physical_id if isinstance(physical_id, str) and physical_id else None,
        properties=properties if isinstance(properties, Mapping) else {},
    )


def _required_text(event: Mapping[str, object], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str) or not value:
        raise RequestRejected(key, "must be a string that is not empty")
    return value


def decide(resource: ResourceRequest, policy: Policy, cancel: Cancel) -> Verdict:
    """Carry out one request. Only a Delete calls `cancel`."""
    if resource.request_type == "Delete":
        return _delete(resource, policy, cancel)
    return _validate(resource, policy)


def _validate(resource: ResourceRequest, policy: Policy) -> Verdict:
    try:
        request = read_strictly(resource.properties, policy, _attribution(resource))
    except RequestRejected as rejection:
        reason = str(rejection)
        report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason)
        return Verdict("FAILED", resource.fallback_id, report, reason)
    (job_id,) = request.job_ids
    report = _report(request, (), f"{resource.request_type}: valid; the job is cancelled on Delete")
    return Verdict("SUCCESS", job_id, report, data=_data(request))


def _delete(resource: ResourceRequest, policy: Policy, cancel: Cancel) -> Verdict:
    job_id, why_not = _job_to_cancel(resource)
    if job_id is None:
        report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, policy.force, policy.dry_run, why_not)
        return Verdict("SUCCESS", resource.fallback_id, report)
    request, warnings = read_leniently(job_id, resource.properties, policy, _attribution(resource))
    results = cancel(request)
    report = _report(request, results)
    if report.status is RunStatus.SETTLED:
        return Verdict("SUCCESS", resource.fallback_id, report, data=_data(request), warnings=warnings)
    reason = _unsettled_reason(results)
    if resource.continues:
        return Verdict("SUCCESS", resource.fallback_id, report, reason, _data(request), (*warnings, reason))
    return Verdict("FAILED", resource.fallback_id, report, reason, warnings=warnings)


def _job_to_cancel(resource: ResourceRequest) -> tuple[str | None, str]:
    """The job that the PhysicalResourceId names, or None and why it names none."""
    job_id = resource.physical_id
    if job_id is None or not is_job_id(job_id):
        return None, "the PhysicalResourceId names no job: its Create failed"
    if job_id != resource.properties.get("JobId") and _made_up(job_id, resource):
        return None, "the PhysicalResourceId was made up by CloudFormation, since Create never finished"
    return job_id, ""


def _made_up(physical_id: str, resource: ResourceRequest) -> bool:
    """True for `<stack>-<logical id>-<suffix>`, either of them perhaps cut short: it reads like a job's id."""
    stack, _, rest = physical_id.rpartition("-")[0].rpartition("-")
    stack_name = resource.stack_id.split("/")[1] if "/" in resource.stack_id else ""
    return bool(stack and rest) and stack_name.startswith(stack) and resource.logical_id.startswith(rest)


def _attribution(resource: ResourceRequest) -> Attribution:
    return Attribution("STACK_TEARDOWN", f"{resource.logical_id} was deleted in {resource.stack_id}")


def _report(request: CancelRequest, results: tuple[JobResult, ...], reason: str = "") -> Report:
    return Report(status_of(results), Trigger.TEARDOWN, request.force, request.dry_run, reason, results)


def _data(request: CancelRequest) -> dict[str, str]:
    """What Fn::GetAtt can ask for."""
    return {"JobId": request.job_ids[0], "Force": "true" if request.force else "false"}


def _unsettled_reason(results: tuple[JobResult, ...]) -> str:
    unsettled = [result for result in results if not result.outcome.settled]
    told = "; ".join(f"job {result.job_id} {result.outcome}: {result.detail}" for result in unsettled[:_REASON_JOBS])
    return told if len(unsettled) <= _REASON_JOBS else f"{told}; and {len(unsettled) - _REASON_JOBS} more"
