"""Parse a payload, once, into a typed event. No other code reads the payload. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from handler.cancellation.report import Trigger
from handler.cancellation.request import CancelReason
from handler.cancellation.validation import read_object
from handler.cloudformation.request import CustomResourceRequest, parse_custom_resource_request
from handler.errors import RequestRejected
from handler.inbound.envelope import CancelEvent, IgnoredEvent
from handler.inbound.eventbridge import is_scheduled, parse_eventbridge_event

_MAX_CORRELATION_ID_LENGTH = 128


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """A payload that is unreadable or not allowed."""

    reason: str


type Content = CustomResourceRequest | CancelEvent | IgnoredEvent | RejectedEvent


@dataclass(frozen=True, slots=True)
class Event:
    """What a payload asks for. `correlation_id` is the same for every delivery of one event; empty if it has none."""

    trigger: Trigger
    correlation_id: str
    content: Content


def parse_event(payload: object, sweep_request: Mapping[str, object] | None) -> Event:
    """Parse a payload. Raises nothing: an unreadable payload is a RejectedEvent.

    `sweep_request` is the request of the stack's own scheduled sweep, or None if it has none.
    """
    if not isinstance(payload, Mapping):
        return Event(Trigger.DIRECT, "", RejectedEvent(_NOT_AN_EVENT))
    message = _sns_message(payload)
    if isinstance(message, Mapping) and _trigger(message) is Trigger.TEARDOWN:
        return _refused(_parse(message, sweep_request))
    return _parse(payload, sweep_request)


def _parse(payload: Mapping[str, object], sweep_request: Mapping[str, object] | None) -> Event:
    trigger = _trigger(payload)
    try:
        content = _content(payload, trigger, sweep_request)
    except RequestRejected as rejection:
        content = RejectedEvent(str(rejection))
    return Event(trigger, _correlation_id(payload), content)


def _sns_message(payload: Mapping[str, object]) -> object:
    """Return the message of an SNS notification (Lambda gets one at a time), or None if there is none in JSON."""
    match payload:
        case {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": str(text)}}]}:
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                return None
    return None


def _refused(event: Event) -> Event:
    """Return a custom resource request that gets a response, so that CloudFormation does not wait, but no run."""
    if not isinstance(event.content, CustomResourceRequest):
        return event
    return replace(event, content=replace(event.content, refusal=_BY_SNS))


def _trigger(payload: Mapping[str, object]) -> Trigger:
    if "RequestType" in payload and "ResponseURL" in payload:
        return Trigger.TEARDOWN
    if "detail-type" not in payload:
        return Trigger.DIRECT
    return Trigger.SCHEDULE if is_scheduled(payload) else Trigger.EVENT


def _content(payload: Mapping[str, object], trigger: Trigger, sweep_request: Mapping[str, object] | None) -> Content:
    """Raise RequestRejected for an unreadable payload."""
    if trigger is Trigger.TEARDOWN:
        return parse_custom_resource_request(payload)
    if trigger is not Trigger.DIRECT:
        return parse_eventbridge_event(payload, sweep_request)
    if "cancel" in payload:
        reason = CancelReason.default("DIRECT_REQUEST", "Requested by a direct request")
        return CancelEvent(read_object("event", payload, ("cancel",))["cancel"], reason)
    return RejectedEvent(_NOT_AN_EVENT)


def _correlation_id(payload: Mapping[str, object]) -> str:
    """Return CloudFormation's RequestId, or the event's id."""
    found = payload.get("RequestId") or payload.get("id")
    return found if isinstance(found, str) and len(found) <= _MAX_CORRELATION_ID_LENGTH else ""


_BY_SNS = "ServiceToken: must be the ARN of the canceler's function, not of an SNS topic; no job was canceled"
_NOT_AN_EVENT = 'event: must be a CloudFormation custom resource request, an EventBridge event or {"cancel": {...}}'
