"""Custom::IoTJobCancellation: what each request of CloudFormation means. Pure; the life cycle is custom_resource.py.

Create and Update validate and cancel nothing, so that a mistake shows when a stack is deployed and not when it is torn
down. Delete acts on the PhysicalResourceId, and never fails on properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from .errors import RequestRejected
from .fields import is_job_id
from .outcome import Outcome, Report, RunStatus, Trigger
from .properties import read_changes, read_leniently, read_selection, read_strictly
from .request import Attribution, CancelRequest, Policy
from .resource import ResourceRequest

_REASON_JOBS = 5


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
        """True if the deletion goes on although there are jobs that live on, be it for a dry run."""
        unsettled = self.report.status is not RunStatus.SETTLED or Outcome.WOULD_CANCEL in self.report.counts
        return self.status == "SUCCESS" and unsettled

    def given_up(self, why: str = "") -> Self:
        """The answer where nothing will take up what is unfinished of it."""
        report = replace(self.report, status=RunStatus.UNSETTLED, waiting=None, reason=_joined(self.report.reason, why))
        warnings = (*self.warnings, why) if why else self.warnings
        return replace(self, report=report, reason=_joined(self.reason, why), warnings=warnings)


@dataclass(frozen=True, slots=True)
class Deletion:
    """A Delete that means jobs: what to cancel, and what was left out of its properties."""

    request: CancelRequest
    warnings: tuple[str, ...]


def plan(resource: ResourceRequest, policy: Policy) -> Deletion | Verdict:
    """What a Delete asks for, or its answer where nothing has to be done for it."""
    if resource.physical_id == resource.selection_id:
        return _plan_selection(resource, policy)
    job_id, why_not = _job_to_cancel(resource)
    if job_id is None:
        report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, policy.force, policy.dry_run, why_not)
        return Verdict("SUCCESS", resource.fallback_id, report)
    return Deletion(*read_leniently({"jobId": job_id}, resource.properties, policy, _attribution(resource)))


def validate(resource: ResourceRequest, policy: Policy) -> Verdict:
    """The answer to a Create or an Update."""
    try:
        request, warnings = _read(resource, policy)
    except RequestRejected as rejection:
        reason = str(rejection)
        report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason)
        return Verdict("FAILED", resource.fallback_id, report, reason)
    physical_id = resource.selection_id if request.selector else request.job_ids[0]
    reason = f"{resource.request_type}: valid; nothing is cancelled before Delete"
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, request.force, request.dry_run, reason)
    return Verdict("SUCCESS", physical_id, report, data=_data(request), warnings=warnings)


def _read(resource: ResourceRequest, policy: Policy) -> tuple[CancelRequest, tuple[str, ...]]:
    properties, attribution = resource.properties, _attribution(resource)
    if resource.request_type == "Update":
        return read_changes(properties, resource.old_properties, policy, attribution)
    return read_strictly(properties, policy, attribution), ()


def _plan_selection(resource: ResourceRequest, policy: Policy) -> Deletion | Verdict:
    try:
        which = {"select": read_selection(resource.properties)}
        return Deletion(*read_leniently(which, resource.properties, policy, _attribution(resource)))
    except RequestRejected as rejection:
        # Nobody knows any more what was meant, and no later try will: the deletion goes on, and the metrics tell.
        reason = str(rejection)
        report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason)
        return Verdict("SUCCESS", resource.fallback_id, report, reason, warnings=(reason,))


def judge(resource: ResourceRequest, deletion: Deletion, report: Report) -> Verdict:
    """The answer to a Delete whose run ended in `report`."""
    request, warnings = deletion.request, deletion.warnings
    if report.status is RunStatus.SETTLED:
        if Outcome.WOULD_CANCEL in report.counts:
            warnings = (*warnings, "dry run: the deletion goes on, and its jobs live on")
        return Verdict("SUCCESS", resource.fallback_id, report, data=_data(request), warnings=warnings)
    reason = _unsettled_reason(report)
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
    name_and_uuid = resource.stack_id.partition("/")[2]
    return bool(stack and rest) and name_and_uuid.startswith(stack) and resource.logical_id.startswith(rest)


def _attribution(resource: ResourceRequest) -> Attribution:
    return Attribution("STACK_TEARDOWN", f"{resource.logical_id} was deleted in {resource.stack_id}")


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))


def _data(request: CancelRequest) -> dict[str, str]:
    """What Fn::GetAtt can ask for."""
    force = {"Force": "true" if request.force else "false"}
    return force if request.selector else {"JobId": request.job_ids[0], **force}


def _unsettled_reason(report: Report) -> str:
    unsettled = [result for result in report.jobs if not result.outcome.settled]
    told = [f"job {result.job_id} {result.outcome}: {result.detail}" for result in unsettled[:_REASON_JOBS]]
    if len(unsettled) > _REASON_JOBS:
        told.append(f"and {len(unsettled) - _REASON_JOBS} more")
    return _joined(report.reason, *told)
