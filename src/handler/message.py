"""An unfinished event as a message of the backlog: the event as it came, and how far it is as attributes. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from .fields import is_job_id
from .waiting import Wait

# Message attributes. Only put() sets them: an event that was redriven from elsewhere has none, and is taken for new.
_FIRST_SEEN_AT = "FirstSeenAt"
_ADMITTED = "Admitted"
_WAITS_FOR = "WaitsFor"
_WAITS_SINCE = "WaitsSince"
_WAITS_WITH_FORCE = "WaitsWithForce"
_MAX_DIGITS = 9  # int() and float() have limits, and SQS counts no message so often


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an event is.

    `first_seen_at` is when it was first taken up, or sent to the queue, in seconds since the epoch. `admitted` says
    that it was held against the cap before. `wait`: what is left of it is to wait for devices.
    """

    first_seen_at: float | None
    admitted: bool = False
    wait: Wait | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery from the backlog. `receives`: how often it came, this time included."""

    queue_url: str
    message_id: str
    receipt_handle: str
    event: object
    receives: int
    progress: Progress


def read_message(event: object, *queue_urls: str) -> Message | None:
    """The one record of an event of our own queues (the batch size is 1), or None if this is no such event."""
    queues = {url.rpartition("/")[2]: url for url in queue_urls}
    match event:
        case {
            "Records": [
                {
                    "eventSource": "aws:sqs",
                    "eventSourceARN": str(arn),
                    "messageId": str(message_id),
                    "receiptHandle": str(receipt_handle),
                    "body": str(body),
                    "attributes": {"ApproximateReceiveCount": str(receives), **times},
                    **rest,
                }
            ]
        } if queue_url := queues.get(arn.rpartition(":")[2]):
            attributes = _texts(rest.get("messageAttributes"))
            return Message(
                queue_url,
                message_id,
                receipt_handle,
                _event_in(body),
                _count(receives),
                Progress(
                    first_seen_at=_seconds(attributes.get(_FIRST_SEEN_AT)) or _sent_at(times),
                    admitted=_ADMITTED in attributes,
                    wait=_wait(attributes),
                ),
            )
    return None


def _wait(attributes: Mapping[str, str]) -> Wait | None:
    job_ids, since = attributes.get(_WAITS_FOR, "").split(","), _seconds(attributes.get(_WAITS_SINCE))
    if since is None or not all(map(is_job_id, job_ids)):
        return None
    return Wait(tuple(job_ids), since, _WAITS_WITH_FORCE in attributes)


def _texts(attributes: object) -> Mapping[str, str]:
    match attributes:
        case {**named}:
            return {str(name): text for name, each in named.items() if (text := _text(each)) is not None}
    return {}


def _text(attribute: object) -> str | None:
    match attribute:
        case {"stringValue": str(text)}:
            return text
    return None


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else 1


def _sent_at(times: Mapping[object, object]) -> float | None:
    """SQS gives milliseconds."""
    sent_at = times.get("SentTimestamp")
    milliseconds = _seconds(sent_at) if isinstance(sent_at, str) else None
    return None if milliseconds is None else milliseconds / 1000


def _seconds(text: str | None) -> float | None:
    """What can't be read counts as left out: somebody else has put the message there."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None


def _event_in(body: str) -> object:
    """The event, also where Lambda has wrapped it on its way to the failure queue."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return body  # an event that nothing recognises: rejected like any other
    match event:
        case {"requestContext": {}, "requestPayload": payload}:
            return payload
    return event


def attributes_of(progress: Progress) -> Mapping[str, str]:
    """The attributes with which `read_message` reads the same again."""
    told = {}
    if progress.first_seen_at is not None:
        told[_FIRST_SEEN_AT] = f"{progress.first_seen_at:.3f}"
    if progress.admitted:
        told[_ADMITTED] = "true"
    if progress.wait:
        told |= {_WAITS_FOR: ",".join(progress.wait.job_ids), _WAITS_SINCE: f"{progress.wait.since:.3f}"}
    if progress.wait and progress.wait.force:
        told[_WAITS_WITH_FORCE] = "true"
    return told
