"""Parse a payload, once, into a typed event. No other code reads the payload. Pure."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from handler.cancellation.report import Trigger
from handler.cancellation.request import CancelReason
from handler.cancellation.validation import read_object
from handler.cloudformation.request import CustomResourceRequest, parse_custom_resource_request
from handler.errors import RequestRejected
from handler.inbound.alarm import (
    is_alarm_action,
    is_alarm_notification,
    parse_alarm_action,
    parse_alarm_notification,
    sender_of_alarm,
)
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack
from handler.inbound.eventbridge import is_scheduled, parse_eventbridge_event, sender_of
from handler.inbound.terraform import TerraformRequest, is_terraform_request, parse_terraform_request
from handler.inbound.unknown import described, not_an_event

_MAX_CORRELATION_ID_LENGTH = 128


class RejectedEvent(NamedTuple):
    """A payload that is unreadable or not allowed.

    `sender` says who sent it, or is None if that is unknown. `kept_messages`: the ids of the SQS messages in it, if
    they come from a queue that is not the stack's own. They must stay in that queue: they belong to its owner.
    """

    reason: str
    sender: CancelReason | None = None
    kept_messages: tuple[str, ...] = ()


type Content = CustomResourceRequest | TerraformRequest | CancelEvent | IgnoredEvent | RejectedEvent


class Event(NamedTuple):
    """What a payload asks for. `correlation_id` is the same for every delivery of one event; empty if it has none."""

    trigger: Trigger
    correlation_id: str
    content: Content


def parse_event(payload: object, stack: Stack) -> Event:
    """Parse a payload for the function of `stack`. Raises nothing: an unreadable payload is a RejectedEvent."""
    match payload:
        case {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": str(text), **notification}}]}:
            return _parse_notification(text, notification, stack)
        case {"Records": [_, *_] as records} if message_ids := _sqs_message_ids(records):
            found = f"{described(payload)} from a queue that is not the stack's own; the messages stay in that queue"
            return Event(Trigger.DIRECT, "", RejectedEvent(not_an_event(found), kept_messages=message_ids))
        case Mapping() if is_terraform_request(payload):
            return Event(Trigger.TEARDOWN, "", parse_terraform_request(payload))
        case Mapping():
            return _parse(payload, stack)
    return Event(Trigger.DIRECT, "", RejectedEvent(not_an_event(described(payload))))


def _parse_notification(text: str, notification: Mapping[object, object], stack: Stack) -> Event:
    """Parse the message of an SNS notification; Lambda gets one at a time. It is unwrapped only once."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        message = text
    if not isinstance(message, Mapping):
        event = Event(Trigger.DIRECT, "", RejectedEvent(_not_a_message(message)))
    elif _is_custom_resource_request(message):
        return _refused(_parse(message, stack))
    else:
        event = _parse(message, stack, is_by_sns=True)
    return event._replace(correlation_id=event.correlation_id or _correlation_id({"id": notification.get("MessageId")}))


def _sqs_message_ids(records: list[object]) -> tuple[str, ...]:
    """Return the ids of the messages, or nothing if one of the records is not an SQS message."""
    message_ids: list[str] = []
    for record in records:
        match record:
            case {"eventSource": "aws:sqs", "messageId": str(message_id)}:
                message_ids.append(message_id)
            case _:
                return ()
    return tuple(message_ids)


def _parse(payload: Mapping[str, object], stack: Stack, *, is_by_sns: bool = False) -> Event:
    trigger = _trigger(payload, is_by_sns=is_by_sns)
    try:
        content = _content(payload, trigger, stack, is_by_sns=is_by_sns)
    except RequestRejected as rejection:
        content = RejectedEvent(str(rejection), _sender(payload, trigger))
    return Event(trigger, _correlation_id(payload), content)


def _refused(event: Event) -> Event:
    """Return a custom resource request that gets a response, so that CloudFormation does not wait, but no run."""
    if not isinstance(event.content, CustomResourceRequest):
        return event
    return event._replace(content=replace(event.content, refusal=_BY_SNS))


def _is_custom_resource_request(payload: Mapping[str, object]) -> bool:
    return "RequestType" in payload and "ResponseURL" in payload


def _trigger(payload: Mapping[str, object], *, is_by_sns: bool) -> Trigger:
    if _is_custom_resource_request(payload):
        return Trigger.TEARDOWN
    if "detail-type" in payload:
        return Trigger.SCHEDULE if is_scheduled(payload) else Trigger.EVENT
    is_alarm = is_alarm_action(payload) or (is_by_sns and is_alarm_notification(payload))
    return Trigger.EVENT if is_alarm else Trigger.DIRECT


def _content(payload: Mapping[str, object], trigger: Trigger, stack: Stack, *, is_by_sns: bool) -> Content:
    """Raise RequestRejected for an unreadable payload."""
    if trigger is Trigger.TEARDOWN:
        return parse_custom_resource_request(payload)
    if "detail-type" in payload:
        return parse_eventbridge_event(payload, stack, is_filtered=not is_by_sns)
    if trigger is Trigger.EVENT:
        parse = parse_alarm_action if is_alarm_action(payload) else parse_alarm_notification
        return parse(payload, stack)
    if "cancel" in payload:
        return CancelEvent(read_object("event", payload, ("cancel",))["cancel"], _DIRECT_REASON)
    return RejectedEvent(_not_a_message(payload) if is_by_sns else not_an_event(described(payload)))


def _sender(payload: Mapping[str, object], trigger: Trigger) -> CancelReason | None:
    """Return who sent a rejected payload. Whether a custom resource request is one of CloudFormation is unknown."""
    if trigger is Trigger.TEARDOWN:
        return None
    if "detail-type" in payload:
        return sender_of(payload)
    return sender_of_alarm(payload) if trigger is Trigger.EVENT else _DIRECT_REASON


def _not_a_message(message: object) -> str:
    return not_an_event(f"an SNS notification with {described(message)}")


def _correlation_id(payload: Mapping[str, object]) -> str:
    """Return CloudFormation's RequestId, or the event's id."""
    found = payload.get("RequestId") or payload.get("id")
    return found if isinstance(found, str) and len(found) <= _MAX_CORRELATION_ID_LENGTH else ""


_DIRECT_REASON = CancelReason.default("DIRECT_REQUEST", "Requested by a direct request")
_BY_SNS = "ServiceToken: must be the ARN of the canceler's function, not of an SNS topic; no job was canceled"
