"""Describe a payload that is not an event for the function: what arrived, and what is accepted. Pure."""

import re
from collections.abc import Mapping

from handler.cancellation.validation import quoted

_MAX_NAMES = 5
_PLAIN = re.compile(r"[a-zA-Z0-9_:.$-]{1,40}")
_ACCEPTED = (
    "event: must be a CloudFormation custom resource request, an EventBridge event, a CloudWatch alarm, an SNS "
    'notification with one of the last two, or {"cancel": {...}}'
)


def not_an_event(found: str) -> str:
    """Return the reason why a payload is rejected. `found` describes it."""
    return f"{_ACCEPTED}; received {found}"


def described(payload: object) -> str:
    """Return what kind of payload this is, in a few words that are safe in a log line."""
    match payload:
        case Mapping():
            return _described_object(payload)
        case list():
            return f"a list of {len(payload)}" if payload else "an empty list"
        case str():
            return "a string" if payload else "an empty string"
        case bool():
            return "a boolean"
        case None:
            return "null"
    return "a number"


def _described_object(payload: Mapping[str, object]) -> str:
    match payload:
        case {"Records": [_, *_] as records}:
            return f"records of {_names({_source_of(record) for record in records})}"
        case {"requestContext": {"elb": _}}:
            return "an Application Load Balancer event"
        case {"requestContext": {"apiId": _}} | {"methodArn": _}:
            return "an API Gateway event"
        case {"awslogs": _}:
            return "an event of CloudWatch Logs"
    if not payload:
        return "an empty object"
    return f"an object with the {'key' if len(payload) == 1 else 'keys'} {_names(set(map(_plain, payload)))}"


def _source_of(record: object) -> str:
    match record:
        case {"eventSource": str(source)} | {"EventSource": str(source)}:
            return _plain(source)
        case {"cf": _}:
            return "CloudFront"
    return "an unknown service"


def _plain(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else quoted(name)


def _names(names: set[str]) -> str:
    more = [f"{len(names) - _MAX_NAMES} more"] if len(names) > _MAX_NAMES else []
    return ", ".join(sorted(names)[:_MAX_NAMES] + more)
