"""Parse a payload, once, into a typed event. No other code reads the payload. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace

from handler.cancellation.report import Trigger
from handler.cancellation.request import CancelReason
from handler.cancellation.validation import read_object
from handler.cloudformation.request import CustomResourceRequest, parse_custom_resource_request
from handler.errors import RequestRejected
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack
from handler.inbound.eventbridge import is_scheduled, parse_eventbridge_event, sender_of
from handler.inbound.terraform import TerraformRequest, is_terraform_request, parse_terraform_request

_MAX_CORRELATION_ID_LENGTH = 128


@dataclass(frozen=True, slots=True)
class RejectedEvent:
    """A payload that is unreadable or not allowed. `sender` says who sent it, or is None if that is unknown."""

    reason: str
    sender: CancelReason | None = None


type Content = CustomResourceRequest | TerraformRequest | CancelEvent | IgnoredEvent | RejectedEvent


@dataclass(frozen=True, slots=True)
class Event:
    """What a payload asks for. `correlation_id` is the same for every delivery of one event; empty if it has none."""

    trigger: Trigger
    correlation_id: str
    content: Content


def parse_event(payload: object, stack: Stack) -> Event:
    """Parse a payload for the function of `stack`. Raises nothing: an unreadable payload is a RejectedEvent."""
    if not isinstance(payload, Mapping):
        return Event(Trigger.DIRECT, "", RejectedEvent(_NOT_AN_EVENT))
    if is_terraform_request(payload):
        return Event(Trigger.TEARDOWN, "", parse_terraform_request(payload))
    message = _sns_message(payload)
    if isinstance(message, Mapping) and _trigger(message) is Trigger.TEARDOWN:
        return _refused(_parse(message, stack))
    return _parse(payload, stack)


def _parse(payload: Mapping[str, object], stack: Stack) -> Event:
    trigger = _trigger(payload)
    try:
        content = _content(payload, trigger, stack)
    except RequestRejected as rejection:
        content = RejectedEvent(str(rejection), _sender(payload, trigger))
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


def _content(payload: Mapping[str, object], trigger: Trigger, stack: Stack) -> Content:
    """Raise RequestRejected for an unreadable payload."""
    if trigger is Trigger.TEARDOWN:
        return parse_custom_resource_request(payload)
    if trigger is not Trigger.DIRECT:
        return parse_eventbridge_event(payload, stack)
    if "cancel" in payload:
        return CancelEvent(read_object("event", payload, ("cancel",))["cancel"], _DIRECT_REASON)
    return RejectedEvent(_NOT_AN_EVENT)


def _sender(payload: Mapping[str, object], trigger: Trigger) -> CancelReason | None:
    """Return who sent a rejected payload. Whether a custom resource request is one of CloudFormation is unknown."""
    if trigger is Trigger.TEARDOWN:
        return None
    return _DIRECT_REASON if trigger is Trigger.DIRECT else sender_of(payload)


def _correlation_id(payload: Mapping[str, object]) -> str:
    """Return CloudFormation's RequestId, or the event's id."""
    found = payload.get("RequestId") or payload.get("id")
    return found if isinstance(found, str) and len(found) <= _MAX_CORRELATION_ID_LENGTH else ""


_DIRECT_REASON = CancelReason.default("DIRECT_REQUEST", "Requested by a direct request")
_BY_SNS = "ServiceToken: must be the ARN of the canceler's function, not of an SNS topic; no job was canceled"
_NOT_AN_EVENT = 'event: must be a CloudFormation custom resource request, an EventBridge event or {"cancel": {...}}'
