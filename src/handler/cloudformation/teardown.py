"""Decide what each request for Custom::IoTJobCancellation asks for, and how to respond to it. Pure.

Create and Update validate and cancel nothing, so that a mistake shows when a stack is deployed and not when it is torn
down. Delete acts on the PhysicalResourceId, and never fails on properties.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from handler.cancellation.report import Outcome, Report, RunStatus, Trigger
from handler.cancellation.request import CancelReason, CancelRequest, StackLimits
from handler.cancellation.validation import is_job_id
from handler.cloudformation.properties import read_changes, read_leniently, read_selection, read_strictly
from handler.cloudformation.request import CustomResourceRequest
from handler.errors import RequestRejected

_MAX_JOBS_IN_REASON = 5


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
        """Return the response to send if no later delivery continues the run, and `why` none does."""
        report = replace(self.report, status=RunStatus.UNSETTLED, wait=None, reason=_joined(self.report.reason, why))
        warnings = (*self.warnings, why) if why else self.warnings
        return replace(self, report=report, reason=_joined(self.reason, why), warnings=warnings)


@dataclass(frozen=True, slots=True)
class Deletion:
    """The jobs to cancel for a Delete, and warnings on the properties that were ignored."""

    request: CancelRequest
    warnings: tuple[str, ...]


def validate(resource: CustomResourceRequest, limits: StackLimits) -> Response:
    """Return the response to a Create or Update."""
    try:
        if resource.request_type == "Update":
            old = resource.old_properties
            request, warnings = read_changes(resource.properties, old, limits, _cancel_reason(resource))
        else:
            request, warnings = read_strictly(resource.properties, limits, _cancel_reason(resource)), ()
    except RequestRejected as rejection:
        reason = str(rejection)
        report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason)
        return Response("FAILED", resource.fallback_id, report, reason)
    physical_id = resource.selection_id if request.criteria else request.job_ids[0]
    reason = f"{resource.request_type}: the properties are valid; jobs are canceled only on Delete"
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, request.force, request.dry_run, reason)
    return Response("SUCCESS", physical_id, report, data=_data(request), warnings=warnings)


def plan_deletion(resource: CustomResourceRequest, limits: StackLimits) -> Deletion | Response:
    """Return the jobs to cancel for a Delete, or the response if there are none."""
    if resource.physical_id == resource.selection_id:
        return _plan_selection(resource, limits)
    job_id, why_none = _job_to_cancel(resource)
    if job_id is None:
        report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, limits.force, limits.dry_run, why_none)
        return Response("SUCCESS", resource.fallback_id, report)
    return Deletion(*read_leniently({"jobId": job_id}, resource.properties, limits, _cancel_reason(resource)))


def _plan_selection(resource: CustomResourceRequest, limits: StackLimits) -> Deletion | Response:
    try:
        scope = {"select": read_selection(resource.properties)}
        return Deletion(*read_leniently(scope, resource.properties, limits, _cancel_reason(resource)))
    except RequestRejected as rejection:
        # The selection is unreadable, and stays so: the stack's deletion proceeds, with a warning and a metric.
        reason = f"{rejection.in_template_spelling()}; no jobs were canceled, and the deletion continues"
        report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason)
        return Response("SUCCESS", resource.fallback_id, report, reason, warnings=(reason,))


def respond_to_deletion(resource: CustomResourceRequest, deletion: Deletion, report: Report) -> Response:
    """Return the response to a Delete whose run ended in `report`."""
    data, warnings = _data(deletion.request), deletion.warnings
    if report.status is RunStatus.SETTLED:
        if Outcome.WOULD_CANCEL in report.counts:
            warnings = (*warnings, "dry run: the deletion continues, and its active jobs were not canceled")
        return Response("SUCCESS", resource.fallback_id, report, data=data, warnings=warnings)
    reason = _unsettled_reason(report)
    if report.dry_run and report.status is RunStatus.UNFINISHED:
        reason = _joined("dry run: the deletion continues, and its plan is incomplete", reason)
        return Response("SUCCESS", resource.fallback_id, report, reason, data, (*warnings, reason))
    if resource.continues_if_incomplete:
        return Response("SUCCESS", resource.fallback_id, report, reason, data, (*warnings, reason))
    return Response("FAILED", resource.fallback_id, report, reason, warnings=warnings)


def _job_to_cancel(resource: CustomResourceRequest) -> tuple[str | None, str]:
    """Return the job that the PhysicalResourceId names, or None and why it names none."""
    job_id = resource.physical_id
    if job_id is None or not is_job_id(job_id):
        return None, "the PhysicalResourceId names no job, since Create failed; nothing to cancel"
    if job_id != resource.properties.get("JobId") and _is_generated(job_id, resource):
        return None, "CloudFormation generated the PhysicalResourceId, since Create did not complete; nothing to cancel"
    return job_id, ""


def _is_generated(physical_id: str, resource: CustomResourceRequest) -> bool:
    """Return True for CloudFormation's `<stack>-<logical id>-<suffix>`, whose parts may be truncated."""
    stack, _, logical_id = physical_id.rpartition("-")[0].rpartition("-")
    stack_name_and_uuid = resource.stack_id.partition("/")[2]
    has_both = bool(stack and logical_id)
    return has_both and stack_name_and_uuid.startswith(stack) and resource.logical_id.startswith(logical_id)


def _cancel_reason(resource: CustomResourceRequest) -> CancelReason:
    """Retries find the jobs that an earlier delivery canceled by this comment: keep its text."""
    return CancelReason.default("STACK_TEARDOWN", f"{resource.logical_id} was deleted in {resource.stack_id}")


def _joined(*reasons: str) -> str:
    return "; ".join(filter(None, reasons))


def _data(request: CancelRequest) -> dict[str, str]:
    force = {"Force": "true" if request.force else "false"}
    return force if request.criteria else {"JobId": request.job_ids[0], **force}


def _unsettled_reason(report: Report) -> str:
    unsettled = [result for result in report.jobs if not result.outcome.settled]
    jobs = [f"job {result.job_id} {result.outcome}: {result.detail}" for result in unsettled[:_MAX_JOBS_IN_REASON]]
    if len(unsettled) > _MAX_JOBS_IN_REASON:
        jobs.append(f"and {len(unsettled) - _MAX_JOBS_IN_REASON} more")
    return _joined(report.reason, *jobs)
