"""How an event came, how far it is, and when it comes again: by Lambda itself, or as a message of the backlog. Pure.

A message is the event as it came; how far it is stands in its attributes. Only put() sets them: an event that was
redriven from elsewhere has none, and is taken for new.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

from .fields import is_job_id
from .outcome import Report, RunStatus
from .timing import Deadline
from .waiting import Wait

RETRY_SECONDS = 5  # until an unfinished event is taken up again; that much longer each time, up to
LONGEST_RETRY_SECONDS = 60
ADMISSION_SECONDS = 12 * 3600  # longer than an event can be on the backlog, unless it is redriven
# Lambda delivers an asynchronous event that failed twice more: a minute after the first failure, two after the second.
_LONGEST_LAMBDA_RETRY_SECONDS = 120
_LAST_TRY_SECONDS = 150  # what comes so late may be the third delivery
LEAST_RUN_SECONDS = 30.0  # a run that has less than this until it must answer is not worth waiting for
_MAX_DIGITS = 9  # int() and float() have limits, and SQS counts no message so often


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an event is. `first_seen_at` in seconds since the epoch, None if nobody knows.

    `admitted`: it was held against the cap. `wait`: what is left is to wait for devices.
    """

    first_seen_at: float | None = None
    admitted: bool = False
    wait: Wait | None = None

    @property
    def stage(self) -> tuple[bool, bool]:
        """What a message has to tell anew when it changes."""
        return self.admitted, self.wait is not None


@dataclass(frozen=True, slots=True)
class Message:
    """A message of one of the function's own queues. `receives`: how often it came, this time included."""

    queue_url: str
    message_id: str
    receipt_handle: str
    receives: int


@dataclass(frozen=True, slots=True)
class Next:
    """What follows: in so many seconds the event comes again, by a message that tells `put`, or by the one it has."""

    seconds: int
    put: Progress | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of an event. `payload` is as it came, and only ever handed on. `now`: when, since the epoch."""

    payload: object
    now: float
    progress: Progress = Progress()
    message: Message | None = None

    @property
    def number(self) -> int:
        """How often it came before."""
        return self.message.receives if self.message else 0

    @property
    def first_seen_at(self) -> float:
        """Seconds since the epoch."""
        return self.progress.first_seen_at or self.now

    @property
    def retry_seconds(self) -> int:
        """Until the next delivery of what failed or had no time. A hundred of them outlast any ServiceTimeout."""
        return min(RETRY_SECONDS * max(1, self.number), LONGEST_RETRY_SECONDS)

    def next(self, report: Report, now: float) -> Next | None:
        """What follows from a run that ended in `report`; None if nothing is left to do.

        Jobs are reported only once the selection was held against the cap: then it is not judged again.
        """
        if report.status is not RunStatus.UNFINISHED:
            return None
        wait = Wait(report.waiting.job_ids, now, report.force) if report.waiting else None
        is_old = now - self.first_seen_at >= ADMISSION_SECONDS
        admitted = self.progress.admitted or bool(report.jobs)
        progress = Progress(now if is_old else self.first_seen_at, admitted, self.progress.wait or wait)
        seconds = report.waiting.seconds if report.waiting else self.retry_seconds
        return Next(seconds, None if self.message and progress.stage == self.progress.stage else progress)

    def comes_again(self, asked_at: float | None, answer_by: Deadline) -> bool:
        """True if Lambda is sure to deliver the event again, and in time, should this delivery of it fail.

        `asked_at`: when it was made, in seconds since the epoch, or None if nobody knows.
        """
        is_last = asked_at is None or self.first_seen_at - asked_at >= _LAST_TRY_SECONDS
        return not is_last and answer_by.allows(_LONGEST_LAMBDA_RETRY_SECONDS + LEAST_RUN_SECONDS)


def read_delivery(event: object, queue_urls: tuple[str, ...], now: float) -> Delivery:
    """A message of our own queues (the batch size is 1), or what came by itself."""
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
            told = _texts(rest.get("messageAttributes"))
            first_seen_at = _seconds(told.get("FirstSeenAt")) or _sent_at(times) or now
            progress = Progress(first_seen_at, "Admitted" in told, _wait(told))
            if now - first_seen_at >= ADMISSION_SECONDS:  # it was redriven, and begins anew, with the cap
                progress = Progress(first_seen_at)
            return Delivery(
                _payload_in(body), now, progress, Message(queue_url, message_id, receipt_handle, _count(receives))
            )
    return Delivery(event, now)


def attributes_of(progress: Progress) -> Mapping[str, str]:
    """The attributes with which `read_delivery` reads the same again."""
    told = {}
    if progress.first_seen_at is not None:
        told["FirstSeenAt"] = f"{progress.first_seen_at:.3f}"
    if progress.admitted:
        told["Admitted"] = "true"
    if progress.wait:
        told |= {"WaitsFor": ",".join(progress.wait.job_ids), "WaitsSince": f"{progress.wait.since:.3f}"}
    if progress.wait and progress.wait.force:
        told["WaitsWithForce"] = "true"
    return told


def _wait(told: Mapping[str, str]) -> Wait | None:
    job_ids, since = told.get("WaitsFor", "").split(","), _seconds(told.get("WaitsSince"))
    if since is None or not all(map(is_job_id, job_ids)):
        return None
    return Wait(tuple(job_ids), since, "WaitsWithForce" in told)


def _texts(attributes: object) -> Mapping[str, str]:
    named = attributes if isinstance(attributes, Mapping) else {}
    return {
        str(name): each["stringValue"]
        for name, each in named.items()
        if isinstance(each, Mapping) and isinstance(each.get("stringValue"), str)
    }


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


def _payload_in(body: str) -> object:
    """The event, also where Lambda has wrapped it on its way to the failure queue."""
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        return body  # an event that nothing recognises: rejected like any other
    match event:
        case {"requestContext": {}, "requestPayload": payload}:
            return payload
    return event
