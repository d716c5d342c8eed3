"""The dry run of an event. Pure.

The event itself is never sent: it may request a real cancellation, or a response to CloudFormation. The function's own
parsers read it, and their result becomes a request with `dryRun`.
"""

from collections.abc import Callable, Mapping

from handler.cancellation.report import RunStatus
from handler.cancellation.request import KEYS, CancelRequest, StackLimits
from handler.cancellation.validation import read_flag, read_object
from handler.cloudformation.properties import read_selection
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.teardown import Response, plan_deletion, validate
from handler.config import Config
from handler.errors import RequestRejected
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack, at
from handler.inbound.event import RejectedEvent, parse_event
from handler.inbound.eventbridge import is_scheduled
from handler.inbound.terraform import TerraformRequest, plan_action, with_continuous_jobs


def dry_run_of(payload: object, config: Callable[[], Config]) -> dict[str, object] | IgnoredEvent:
    """Return the request that is the dry run of an event, or the reason why the event cancels nothing.

    `config` returns the configuration of the deployed function, and is called only for events that depend on it. Raises
    RequestRejected with the function's own reason.
    """
    stack = Stack("")
    if isinstance(payload, Mapping) and _depends_on_stack(payload):
        of_function = config()
        stack = Stack(
            of_function.stack_name,
            sweep_request=of_function.sweep_request,
            alarm_name_prefix=of_function.alarm_name_prefix,
        )
    match parse_event(payload, stack).content:
        case RejectedEvent(reason):
            raise RequestRejected(*reason.split(": ", 1))
        case CancelEvent(document=cancel):
            document = read_object("cancel", cancel, KEYS)
        case CustomResourceRequest() as resource:
            teardown = _document_of(resource, config().limits.of_teardowns)
            if isinstance(teardown, IgnoredEvent):
                return teardown
            document = teardown
        case TerraformRequest() as terraform:
            action = _document_of_action(terraform, config().limits.of_teardowns)
            if isinstance(action, IgnoredEvent):
                return action
            document = action
        case ignored:
            return ignored
    read_flag("dryRun", document.get("dryRun"), default=True)  # an invalid dryRun is rejected, although it is replaced
    return {"cancel": {**document, "dryRun": True}}


def _depends_on_stack(payload: Mapping[str, object]) -> bool:
    """Return True for a sweep, a request that names a canceler, and an alarm that no rule has selected."""
    has_canceler = at(payload, "detail", "canceler") is not None
    return is_scheduled(payload) or has_canceler or "alarmData" in payload or "Records" in payload


def is_dry_run(request: Mapping[str, object]) -> bool:
    """Return True if the request cannot cancel anything, whatever the parameters of the stack are."""
    cancel = request.get("cancel")
    return request.keys() == {"cancel"} and isinstance(cancel, Mapping) and cancel.get("dryRun") is True


def _document_of(resource: CustomResourceRequest, limits: StackLimits) -> Mapping[str, object] | IgnoredEvent:
    """Return what a Delete would cancel. A Create and an Update cancel nothing."""
    is_delete = resource.request_type == "Delete"
    planned = plan_deletion(resource, limits) if is_delete else validate(resource, limits)
    if isinstance(planned, Response):
        if planned.report.status is RunStatus.REJECTED:
            raise RequestRejected("ResourceProperties", planned.report.reason)
        return IgnoredEvent(planned.report.reason)
    return _document(planned.request, read_selection(resource.properties))


def _document_of_action(terraform: TerraformRequest, limits: StackLimits) -> Mapping[str, object] | IgnoredEvent:
    """Return what an action of Terraform would cancel. A create and most updates cancel nothing."""
    plan = plan_action(terraform, limits)
    if not plan.cancels:
        return IgnoredEvent(plan.reason)
    return _document(plan.request, at(with_continuous_jobs(terraform.document), "select"))


def _document(request: CancelRequest, select: object) -> Mapping[str, object]:
    jobs = {"select": select} if request.criteria else {"jobIds": [*request.job_ids]}
    return {**jobs, "force": request.force, "maxJobs": request.max_jobs}
