"""The door: what arrives is read here, once. Nothing behind it sees the raw event again. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import RequestRejected
from .events import Asked, Ignored, read_event, trigger_of
from .outcome import Trigger
from .resource import ResourceRequest, read_resource_request

_LONGEST_ID = 128


@dataclass(frozen=True, slots=True)
class Rejected:
    """Nothing that can be read, or that may be asked for."""

    reason: str


@dataclass(frozen=True, slots=True)
class Event:
    """`correlation_id`: the same for every delivery of one event; empty if it has none."""

    trigger: Trigger
    correlation_id: str
    asks: ResourceRequest | Asked | Ignored | Rejected


def parse_event(payload: object, sweep: Mapping[str, object] | None) -> Event:
    """`sweep` is the request of the stack's default sweep. Raises nothing: what can't be read is Rejected."""
    trigger = trigger_of(payload)
    return Event(trigger, _correlation_id(payload), _read(payload, trigger, sweep))


def _read(
    payload: object, trigger: Trigger, sweep: Mapping[str, object] | None
) -> ResourceRequest | Asked | Ignored | Rejected:
    try:
        return read_resource_request(payload) if trigger is Trigger.TEARDOWN else read_event(payload, sweep)
    except RequestRejected as rejection:
        return Rejected(str(rejection))


def _correlation_id(payload: object) -> str:
    """CloudFormation's RequestId, or the event's id."""
    known = payload if isinstance(payload, Mapping) else {}
    found = known.get("RequestId") or known.get("id")
    return found if isinstance(found, str) and len(found) <= _LONGEST_ID else ""
