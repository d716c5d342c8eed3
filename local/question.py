"""What to ask a stack about an event, so that it tells what it would do and does nothing. Pure.

The event itself is never sent: it may ask for the real thing, or make the function answer CloudFormation. What it asks
for, by the function's own parsers, is sent as a request with `dryRun`.
"""

from collections.abc import Callable, Mapping

from handler.cancellation.report import Report, RunStatus, Trigger
from handler.cancellation.request import KEYS, CancelRequest, StackLimits
from handler.cancellation.validation import read_flag, read_object
from handler.cloudformation.properties import read_selection
from handler.cloudformation.request import parse_custom_resource_request
from handler.cloudformation.teardown import decide
from handler.config import Config
from handler.errors import RequestRejected
from handler.inbound.eventbridge import CancelEvent, IgnoredEvent, is_custom_resource, parse_eventbridge_event, trigger_of


def question_of(event: object, config: Callable[[], Config]) -> dict[str, object] | IgnoredEvent:
    """The bare request that is the dry run of `event`, or why the event cancels nothing.

    `config` gives the deployed function's configuration: it is asked only where the event's meaning depends on it.
    Raises RequestRejected, as the function would report it.
    """
    if is_custom_resource(event):
        asked = _read_teardown(event, config().policy)
    else:
        asked = parse_eventbridge_event(event, config().sweep_request if trigger_of(event) is Trigger.SCHEDULE else None)
    if isinstance(asked, IgnoredEvent):
        return asked
    document = read_object("cancel", asked.document, KEYS)
    read_flag("dryRun", document.get("dryRun"), default=True)  # what is overridden must be readable all the same
    return {"cancel": {**document, "dryRun": True}}


def is_dry_run(question: Mapping[str, object]) -> bool:
    """True if it can't cancel anything, whatever the stack's parameters are."""
    cancel = question.get("cancel")
    return question.keys() == {"cancel"} and isinstance(cancel, Mapping) and cancel.get("dryRun") is True


def _read_teardown(event: object, policy: StackLimits) -> CancelEvent | IgnoredEvent:
    """What a Delete would carry out, as a request. A Create and an Update carry out nothing."""
    resource = parse_custom_resource_request(event)
    carried_out: list[CancelRequest] = []

    def note(request: CancelRequest) -> Report:
        carried_out.append(request)
        return Report(RunStatus.SETTLED, Trigger.TEARDOWN)

    verdict = decide(resource, policy, note)
    if not carried_out:
        if verdict.report.status is RunStatus.REJECTED:
            raise RequestRejected("ResourceProperties", verdict.report.reason)
        return IgnoredEvent(verdict.report.reason)
    (request,) = carried_out
    which = {"select": read_selection(resource.properties)} if request.selector else {"jobIds": [*request.job_ids]}
    return CancelEvent({**which, "force": request.force, "maxJobs": request.max_jobs}, "a teardown")
