"""The dry run of an event. Pure.

The event itself is never sent: it may request a real cancellation, or a response to CloudFormation. The function's own
parsers read it, and their result becomes a request with `dryRun`.
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


def dry_run_of(event: object, config: Callable[[], Config]) -> dict[str, object] | IgnoredEvent:
    """Return the request that is the dry run of `event`, or the reason why the event cancels nothing.

    `config` returns the configuration of the deployed function, and is called only for events that depend on it. Raises
    RequestRejected with the function's own reason.
    """
    if is_custom_resource(event):
        asked = _read_teardown(event, config().policy)
    else:
        asked = parse_eventbridge_event(event, config().sweep_request if trigger_of(event) is Trigger.SCHEDULE else None)
    if isinstance(asked, IgnoredEvent):
        return asked
    document = read_object("cancel", asked.document, KEYS)
    read_flag("dryRun", document.get("dryRun"), default=True)  # an invalid dryRun is rejected, although it is replaced
    return {"cancel": {**document, "dryRun": True}}


def is_dry_run(request: Mapping[str, object]) -> bool:
    """Return True if the request cannot cancel anything, whatever the parameters of the stack are."""
    cancel = request.get("cancel")
    return request.keys() == {"cancel"} and isinstance(cancel, Mapping) and cancel.get("dryRun") is True


def _read_teardown(event: object, policy: StackLimits) -> CancelEvent | IgnoredEvent:
    """Return what a Delete would cancel. A Create and an Update cancel nothing."""
    resource = parse_custom_resource_request(event)
    requests: list[CancelRequest] = []

    def record(request: CancelRequest) -> Report:
        requests.append(request)
        return Report(RunStatus.SETTLED, Trigger.TEARDOWN)

    verdict = decide(resource, policy, record)
    if not requests:
        if verdict.report.status is RunStatus.REJECTED:
            raise RequestRejected("ResourceProperties", verdict.report.reason)
        return IgnoredEvent(verdict.report.reason)
    (request,) = requests
    jobs = {"select": read_selection(resource.properties)} if request.selector else {"jobIds": [*request.job_ids]}
    return CancelEvent({**jobs, "force": request.force, "maxJobs": request.max_jobs}, "a teardown")
