"""Parse EventBridge events, with one parser for each detail-type; `events/` has one payload of each. Pure."""

from collections.abc import Callable, Mapping

from handler.cancellation.request import CancelReason
from handler.cancellation.validation import quoted, read_job_id, read_object
from handler.errors import RequestRejected
from handler.inbound.alarm import ALARM_DETAIL_TYPES, parse_alarm_event
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack, at, ignored_elsewhere, text_or_unknown

STACK_TAG = "iot-job-canceler:stack-id"
REQUEST_DETAIL_TYPE = "IoT Job Cancellation Requested"
REPORT_DETAIL_TYPE = "IoT Job Cancellation Report"


def is_scheduled(event: Mapping[str, object]) -> bool:
    """Return True for a schedule without an input of its own: of EventBridge Scheduler, or of a rule."""
    return event.get("detail-type") == "Scheduled Event" and event.get("source") in ("aws.events", "aws.scheduler")


def sender_of(event: Mapping[str, object]) -> CancelReason:
    """Return the default reason of a schedule or an event, which names its id and source, and its alarm."""
    event_id, source = text_or_unknown(event.get("id")), text_or_unknown(event.get("source"))
    if is_scheduled(event):
        return CancelReason.default("SCHEDULED_CLEANUP", f"Requested by schedule event {event_id}")
    alarm = at(event, "detail", "alarmName") if source == "aws.cloudwatch" else None
    of_alarm = f", alarm {alarm}" if isinstance(alarm, str) else ""
    return CancelReason.default("EVENT_REMEDIATION", f"Requested by event {event_id} from {source}{of_alarm}")


def parse_eventbridge_event(
    event: Mapping[str, object], stack: Stack, *, is_filtered: bool = True
) -> CancelEvent | IgnoredEvent:
    """Parse an event with a detail-type. Raises RequestRejected.

    `is_filtered` is False for an event that does not come from a rule, but through SNS.
    """
    if is_scheduled(event):
        return _parse_scheduled(event, stack.sweep_request)
    source, detail_type = text_or_unknown(event.get("source")), text_or_unknown(event["detail-type"])
    if detail_type == REPORT_DETAIL_TYPE:  # from any source
        return IgnoredEvent("the event is a report of an iot-job-canceler stack")
    if detail_type == REQUEST_DETAIL_TYPE:
        return _parse_request(event, stack)
    if source == "aws.cloudwatch" and detail_type in ALARM_DETAIL_TYPES:
        return parse_alarm_event(event, stack, is_filtered=is_filtered)
    if parse := _PARSERS.get((source, detail_type)):
        return ignored_elsewhere(stack, event) or parse(event)
    known = sorted({REQUEST_DETAIL_TYPE, *ALARM_DETAIL_TYPES, *(name for _, name in _PARSERS)})
    raise RequestRejected(
        "detail-type",
        f"must be one of {', '.join(known)}, sent by the matching source; "
        f"received {quoted(detail_type)} from {quoted(source)}",
    )


def _parse_scheduled(event: Mapping[str, object], sweep_request: Mapping[str, object] | None) -> CancelEvent:
    if event.get("detail") not in ({}, "{}"):  # Scheduler sends the string
        raise RequestRejected("detail", "must be empty in a Scheduled Event: a request goes into the schedule's Input")
    if sweep_request is None:
        raise RequestRejected(
            "SweepJobIdGlob", 'must be set on the stack, or give the schedule an Input of {"cancel": {...}}'
        )
    return CancelEvent(sweep_request, sender_of(event))


def _parse_request(event: Mapping[str, object], stack: Stack) -> CancelEvent | IgnoredEvent:
    detail = read_object("detail", event.get("detail"), ("cancel", "canceler"), path="detail.")
    canceler = detail.get("canceler", stack.name)
    if not isinstance(canceler, str):
        raise RequestRejected("detail.canceler", "must be the name of an iot-job-canceler stack, or omitted")
    if canceler != stack.name:
        return IgnoredEvent(f"the request is for the canceler {quoted(canceler)}, not for {quoted(stack.name)}")
    if "cancel" not in detail:
        raise RequestRejected("detail", "must have the key cancel")
    return CancelEvent(detail["cancel"], sender_of(event))


def _parse_cloudtrail(event: Mapping[str, object]) -> CancelEvent | IgnoredEvent:
    """A trail records this function's own CancelJob too: only a successful CreateJob asks for a cancellation."""
    name = at(event, "detail", "eventName")
    if not isinstance(name, str):
        raise RequestRejected("detail.eventName", "must be the name of an API call")
    if name != "CreateJob":
        return IgnoredEvent(f"the API call is {quoted(name)}, not CreateJob")
    if at(event, "detail", "errorCode") is not None:
        return IgnoredEvent("the CreateJob failed")
    job_id = read_job_id("detail.requestParameters.jobId", at(event, "detail", "requestParameters", "jobId"))
    return CancelEvent.from_event({"jobId": job_id}, f"CreateJob in event {text_or_unknown(event.get('id'))}")


def _parse_stack_status(event: Mapping[str, object]) -> CancelEvent | IgnoredEvent:
    """The jobs that have the stack's tag, CONTINUOUS ones too: the stack that they belong to is deleted."""
    status = at(event, "detail", "status-details", "status")
    if not isinstance(status, str):
        raise RequestRejected("detail.status-details.status", "must be the status of a stack")
    if status != "DELETE_COMPLETE":
        return IgnoredEvent(f"the stack is in {quoted(status)}, not in DELETE_COMPLETE")
    stack_id = at(event, "detail", "stack-id")
    if not isinstance(stack_id, str) or not stack_id.startswith("arn:"):
        raise RequestRejected("detail.stack-id", "must be the ARN of a stack")
    select = {"tags": {STACK_TAG: stack_id}, "targetSelection": ["SNAPSHOT", "CONTINUOUS"]}
    return CancelEvent.from_event({"select": select}, f"the deletion of {stack_id}")


_PARSERS: dict[tuple[str, str], Callable[[Mapping[str, object]], CancelEvent | IgnoredEvent]] = {
    ("aws.iot", "AWS API Call via CloudTrail"): _parse_cloudtrail,
    ("aws.cloudformation", "CloudFormation Stack Status Change"): _parse_stack_status,
}
