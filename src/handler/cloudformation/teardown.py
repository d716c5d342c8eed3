"""Decide what each request for Custom::IoTJobCancellation asks for, and how to respond to it. Pure.

Create and Update validate and cancel nothing, so that a mistake shows when a stack is deployed and not when it is torn
down. Delete acts on the PhysicalResourceId, and never fails on properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, Self

from handler.cancellation.criteria import check_owner
from handler.cancellation.report import Outcome, Report, RunStatus, Trigger, joined, unsettled_reason
from handler.cancellation.request import CancelReason, CancelRequest, StackLimits
from handler.cancellation.validation import is_job_id
from handler.cloudformation.properties import read_changes, read_leniently, read_selection, read_strictly
from handler.cloudformation.request import CustomResourceRequest
from handler.errors import RequestRejected

_MAX_SHOWN_ID_LENGTH = 128
_NO_WAIT = "dry run: the deletion continues, and does not wait for the devices that run its jobs"


@dataclass(frozen=True, slots=True)
class Response:
    """What CloudFormation is sent, the run's report, and warnings for the log. `data` is for Fn::GetAtt."""

    status: Literal["SUCCESS", "FAILED"]
    physical_id: str
    report: Report
    reason: str = ""
    data: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def leaves_active_jobs(self) -> bool:
        """True if the stack's deletion proceeds although jobs may stay active, also because of a dry run."""
        unsettled = self.report.status is not RunStatus.SETTLED or Outcome.WOULD_CANCEL in self.report.counts
        return self.status == "SUCCESS" and unsettled

    def as_final(self, why: str = "") -> Self:
        """Return the response to send if no later delivery continues the run. `why` says why none does."""
        report = replace(self.report, status=RunStatus.UNSETTLED, wait=None, reason=joined(self.report.reason, why))
        warnings = (*self.warnings, why) if why else self.warnings
        return replace(self, report=report, reason=joined(self.reason, why), warnings=warnings)


class Deletion(NamedTuple):
    """The jobs to cancel for a Delete, and warnings on the properties that were ignored.

    `mismatch` is the warning that the PhysicalResourceId is not the one of the properties; empty if it is.
    """

    request: CancelRequest
    warnings: tuple[str, ...]
    mismatch: str = ""


def validate(resource: CustomResourceRequest, limits: StackLimits) -> Response:
    """Return the response to a Create or Update."""
    if resource.refusal:
        return refuse(resource, resource.refusal)
    try:
        if resource.request_type == "Update":
            old = resource.old_properties
            request, warnings = read_changes(resource.properties, old, limits, _cancel_reason(resource))
        else:
            request, warnings = read_strictly(resource.properties, limits, _cancel_reason(resource)), ()
    except RequestRejected as rejection:
        return refuse(resource, str(rejection))
    physical_id = _selection_id(resource) if request.criteria else request.job_ids[0]
    reason = f"{resource.request_type}: the properties are valid; jobs are canceled only on Delete"
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, request.force, request.dry_run, reason)
    return Response("SUCCESS", physical_id, report, data=_data(request), warnings=warnings)


def refuse(resource: CustomResourceRequest, reason: str) -> Response:
    """Return the response to a request that is not carried out. Nothing was done."""
    report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason)
    if resource.request_type == "Delete" and (why_none := _why_no_job(resource)):
        # The rollback of a failed Create must complete.
        return Response("SUCCESS", resource.fallback_id, replace(report, status=RunStatus.SETTLED, reason=why_none))
    if resource.continues_if_incomplete:
        return Response("SUCCESS", resource.fallback_id, report, reason, warnings=(reason,))
    return Response("FAILED", resource.fallback_id, report, reason)


def plan_deletion(resource: CustomResourceRequest, limits: StackLimits) -> Deletion | Response:
    """Return the jobs to cancel for a Delete, or the response if there are none.

    The PhysicalResourceId decides. The JobId of the properties is never canceled in its place.
    """
    if resource.refusal:
        return refuse(resource, resource.refusal)
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, limits.force, limits.dry_run)
    if why_none := _why_no_job(resource):
        return Response("SUCCESS", resource.fallback_id, replace(report, reason=why_none))
    mismatch = _mismatch(resource)
    if resource.names_selection:
        return _plan_selection(resource, limits, mismatch)
    if not is_job_id(resource.physical_id):
        report = replace(report, status=RunStatus.UNSETTLED, reason=mismatch)
        return Response("SUCCESS", resource.fallback_id, report, mismatch, warnings=(mismatch,))
    return _plan({"jobId": resource.physical_id}, resource, limits, mismatch)


def _plan_selection(resource: CustomResourceRequest, limits: StackLimits, mismatch: str) -> Deletion | Response:
    try:
        deletion = _plan({"select": read_selection(resource.properties)}, resource, limits, mismatch)
        check_owner(deletion.request.criteria)
    except RequestRejected as rejection:
        # The selection cannot select a job, and never will: the stack's deletion proceeds, with a warning and a metric.
        reason = f"{rejection.in_template_spelling()}; no jobs were canceled, and the deletion continues"
        report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason)
        return Response("SUCCESS", resource.fallback_id, report, reason, warnings=(reason,))
    return deletion


def _plan(scope: Mapping[str, object], resource: CustomResourceRequest, limits: StackLimits, mismatch: str) -> Deletion:
    request, warnings = read_leniently(scope, resource.properties, limits, _cancel_reason(resource))
    return Deletion(request, (*warnings, mismatch) if mismatch else warnings, mismatch)


def respond_to_deletion(
    resource: CustomResourceRequest, deletion: Deletion, report: Report, *, is_paused: bool = False
) -> Response:
    """Return the response to a Delete whose run ended in `report`.

    `is_paused`: the stack's DryRun was set after an earlier delivery had reported jobs. Then an unfinished dry run does
    not let the deletion continue.
    """
    data, warnings, mismatch = _data(deletion.request), deletion.warnings, deletion.mismatch
    if report.status is RunStatus.SETTLED:
        if Outcome.WOULD_CANCEL in report.counts:
            warnings = (*warnings, "dry run: the deletion continues, and its active jobs were not canceled")
        if report.dry_run and deletion.request.wait_minutes and any(job.has_running_executions for job in report.jobs):
            mismatch = joined(mismatch, _NO_WAIT)
            warnings = (*warnings, _NO_WAIT)
        if mismatch:  # other jobs may be active
            report = replace(report, status=RunStatus.UNSETTLED, reason=joined(report.reason, mismatch))
        return Response("SUCCESS", resource.fallback_id, report, mismatch, data, warnings)
    reason = joined(unsettled_reason(report), mismatch)
    if report.dry_run and not is_paused and report.status is RunStatus.UNFINISHED:
        reason = joined("dry run: the deletion continues, and its plan is incomplete", reason)
        return Response("SUCCESS", resource.fallback_id, report, reason, data, (*warnings, reason))
    if resource.continues_if_incomplete:
        return Response("SUCCESS", resource.fallback_id, report, reason, data, (*warnings, reason))
    return Response("FAILED", resource.fallback_id, report, reason, warnings=warnings)


def _selection_id(resource: CustomResourceRequest) -> str:
    """Return the id of a resource with Select. A moved resource keeps its id: another id would be a replacement."""
    return resource.physical_id if resource.physical_id and resource.names_selection else resource.selection_id


def _why_no_job(resource: CustomResourceRequest) -> str:
    """Return why the PhysicalResourceId names no job, since Create did not succeed; empty if another id is given."""
    physical_id = resource.physical_id or ""
    if resource.names_failed_create:
        return "the PhysicalResourceId names no job, since Create failed; nothing to cancel"
    if physical_id != resource.properties.get("JobId") and _is_generated(physical_id, resource):
        return "CloudFormation generated the PhysicalResourceId, since Create did not complete; nothing to cancel"
    return ""


def _mismatch(resource: CustomResourceRequest) -> str:
    """Return how the PhysicalResourceId differs from the id of these properties, and what to do; empty if it does not.

    A framework that invokes the function for CloudFormation may have responded with an id of its own.
    """
    physical_id, properties = resource.physical_id, resource.properties
    job_id = properties.get("JobId")
    if physical_id == resource.selection_id:
        return ""
    if resource.names_selection:
        return (
            f"PhysicalResourceId {_shown(physical_id)} is not the id of this resource, which may have been moved or "
            "renamed: its Select decides which jobs are canceled. Check that no other job is active"
        )
    if is_job_id(physical_id) and (physical_id == job_id or properties.keys().isdisjoint(("JobId", "Select"))):
        return ""
    named = f"job {job_id}" if is_job_id(job_id) else "the jobs of Select" if "Select" in properties else "its jobs"
    scope = f"only job {physical_id}" if is_job_id(physical_id) else "no job"
    return (
        f"PhysicalResourceId {_shown(physical_id)} is not the id that the function returns for these properties: "
        f"the deletion covers {scope}. ServiceToken must be the ARN of the function itself; "
        f"cancel {named} by a request if still active"
    )


def _shown(physical_id: str | None) -> str:
    return ascii((physical_id or "")[:_MAX_SHOWN_ID_LENGTH])


def _is_generated(physical_id: str, resource: CustomResourceRequest) -> bool:
    """Return True for CloudFormation's `<stack>-<logical id>-<suffix>`, whose parts may be truncated."""
    stack, _, logical_id = physical_id.rpartition("-")[0].rpartition("-")
    stack_name_and_uuid = resource.stack_id.partition("/")[2]
    has_both = bool(stack and logical_id)
    return has_both and stack_name_and_uuid.startswith(stack) and resource.logical_id.startswith(logical_id)


def _cancel_reason(resource: CustomResourceRequest) -> CancelReason:
    """Retries find the jobs that an earlier delivery canceled by this comment: keep its text."""
    return CancelReason.default("STACK_TEARDOWN", f"{resource.logical_id} was deleted in {resource.stack_id}")


def _data(request: CancelRequest) -> dict[str, str]:
    force = {"Force": "true" if request.force else "false"}
    return force if request.criteria else {"JobId": request.job_ids[0], **force}
