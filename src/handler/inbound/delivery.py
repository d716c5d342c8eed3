"""How an event was delivered, what earlier deliveries did, and when it is redelivered. Pure.

Lambda delivers an event itself, or as an SQS message of one of the function's own queues. Such a message has the event
as its body, and the progress of the run as message attributes. A message that was sent by other means has no
attributes, and is treated as a new event.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import NamedTuple

from handler.cancellation.rate import Deadline
from handler.cancellation.report import Outcome, Report, RunStatus, Wait
from handler.cancellation.validation import is_job_id

# The format of the message attributes. A release raises it if earlier releases must not process its messages. Release
# 0.1.0 sends none.
FORMAT = "1"
# Until an unfinished event is redelivered, longer with each attempt. The first is the delay of the teardowns' queue.
RETRY_SECONDS, MAX_RETRY_SECONDS = 5, 60
# An unfinished run that has canceled jobs continues at once. The number of such attempts is limited, so that the
# message has receives left if its jobs are throttled later. A sweep of 25,000 jobs has 23 attempts.
_PROGRESS_SECONDS = 1
_MAX_PROGRESS_ATTEMPTS = 20
# A message that is older was redriven: it is a new event, and its selection is checked against the job limit again.
MAX_PROGRESS_SECONDS = 12 * 3600
# Lambda retries an asynchronous event that failed twice: a minute after the first failure, two after the second.
_MAX_LAMBDA_RETRY_SECONDS = 120
_LAST_LAMBDA_ATTEMPT_SECONDS = 150  # a delivery that comes this late may be the third
# By which the queues' visibility timeout in template.yaml exceeds the function's timeout.
MAX_VISIBILITY_MARGIN_SECONDS = 30.0
MIN_RUN_SECONDS = 30.0  # a run that has less than this until its response is due is not worth waiting for
_MAX_DIGITS = 9  # int() is slow for long text, and SQS never counts this far


class Message(NamedTuple):
    """A message of one of the function's own queues."""

    queue_url: str
    message_id: str
    receipt_handle: str


class Next(NamedTuple):
    """What follows an unfinished run: the event is redelivered after `seconds`.

    With `attributes`, it is sent to its queue in a new message; without, SQS redelivers the message that it came in.
    """

    seconds: int
    attributes: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of an event, and the progress of the earlier ones. Times are in seconds since the epoch.

    `payload` is the event as it arrived. `limit_checked`: its selection was checked against the job limit. `wait`: its
    jobs are canceled, and the run waits for their devices. `was_rejected`: it was begun, and then a rejection of it was
    reported. `planned`: the selected jobs of its plan, if it has one. `has_unknown_format`: a later release sent the
    message, so this release must not process it. `message` is None if Lambda delivered the event itself.
    """

    payload: object = field(repr=False)  # it may contain a ResponseURL
    now: float
    first_seen_at: float
    limit_checked: bool = False
    wait: Wait | None = None
    previous_attempts: int = 0
    message: Message | None = None
    was_rejected: bool = False
    planned: tuple[str, ...] = ()
    has_unknown_format: bool = False

    @property
    def was_begun(self) -> bool:
        """True if an earlier delivery has reported jobs of the event."""
        return self.limit_checked or self.wait is not None

    @property
    def attributes(self) -> Mapping[str, str]:
        """The message attributes of the progress so far."""
        return _attributes(self.first_seen_at, self.wait, self.planned, limit_checked=self.limit_checked)

    @property
    def retry_seconds(self) -> int:
        """The time until an attempt that failed is repeated. A hundred attempts outlast any ServiceTimeout."""
        return min(RETRY_SECONDS * max(1, self.previous_attempts), MAX_RETRY_SECONDS)

    def next(self, report: Report, now: float) -> Next | None:
        """Return what follows a run that ended in `report`, or None if nothing remains to be done.

        A report lists jobs only after the selection was checked against the job limit. It is not checked again.
        """
        if report.status is not RunStatus.UNFINISHED:
            return None
        first_seen_at = now if now - self.first_seen_at >= MAX_PROGRESS_SECONDS else self.first_seen_at
        limit_checked, wait = self.limit_checked or bool(report.jobs), report.wait or self.wait
        if report.wait and report.wait.poll_seconds:
            seconds = report.wait.poll_seconds
        elif self.previous_attempts <= _MAX_PROGRESS_ATTEMPTS and report.counts.get(Outcome.CANCELED):
            seconds = _PROGRESS_SECONDS
        else:
            seconds = self.retry_seconds
        if self.message and (limit_checked, _stage(wait)) == (self.limit_checked, _stage(self.wait)):
            return Next(seconds)
        planned = report.planned or self.planned
        return Next(seconds, _attributes(first_seen_at, wait, planned, limit_checked=limit_checked))

    def next_after_rejection(self) -> Next:
        """Return what follows the rejection of an event that was begun: its work is not lost.

        It is delivered until it is not rejected any more, or is in the failure queue.
        """
        if self.was_rejected:
            return Next(self.retry_seconds)
        return Next(self.retry_seconds, {**self.attributes, "Rejected": "true"})

    def is_redelivered_by_sqs(self, invocation: Deadline, respond_by: Deadline) -> bool:
        """Return True if SQS redelivers the message in time although no call has changed its visibility timeout."""
        seconds = invocation.remaining + MAX_VISIBILITY_MARGIN_SECONDS + MIN_RUN_SECONDS
        return self.message is not None and respond_by.allows(seconds)

    def is_retried_by_lambda(self, requested_at: float | None, respond_by: Deadline) -> bool:
        """Return True if Lambda certainly delivers the event again, and in time, should this delivery of it fail.

        `requested_at`: when the event was created, in seconds since the epoch, or None if that is unknown.
        """
        is_last = requested_at is None or self.first_seen_at - requested_at >= _LAST_LAMBDA_ATTEMPT_SECONDS
        return not is_last and respond_by.allows(_MAX_LAMBDA_RETRY_SECONDS + MIN_RUN_SECONDS)


def read_delivery(payload: object, queue_urls: tuple[str, ...], now: float) -> Delivery:
    """Unwrap a message of the function's own queues (their batch size is 1). Any other payload is the event itself."""
    queues = {url.rpartition("/")[2]: url for url in queue_urls}
    match payload:
        case {
            "Records": [
                {
                    "eventSource": "aws:sqs",
                    "eventSourceARN": str(arn),
                    "messageId": str(message_id),
                    "receiptHandle": str(receipt_handle),
                    "body": str(body),
                    "attributes": {"ApproximateReceiveCount": str(receives), **system_attributes},
                    **record,
                }
            ]
        } if queue_url := queues.get(arn.rpartition(":")[2]):
            attributes = _texts(record.get("messageAttributes"))
            first_seen_at = _seconds(attributes.get("FirstSeenAt")) or _sent_at(system_attributes) or now
            is_redriven = now - first_seen_at >= MAX_PROGRESS_SECONDS
            return Delivery(
                payload=_payload_in(body),
                now=now,
                first_seen_at=first_seen_at,
                limit_checked="Admitted" in attributes and not is_redriven,
                wait=None if is_redriven else _wait(attributes),
                previous_attempts=_count(receives),
                message=Message(queue_url, message_id, receipt_handle),
                was_rejected="Rejected" in attributes,
                planned=() if is_redriven else _job_ids(attributes.get("Planned")),
                has_unknown_format=attributes.get("Format", FORMAT) != FORMAT,
            )
    return Delivery(payload, now, first_seen_at=now)


def _attributes(
    first_seen_at: float, wait: Wait | None, planned: tuple[str, ...], *, limit_checked: bool
) -> Mapping[str, str]:
    """Return the message attributes from which `read_delivery` reads the same progress.

    The names are part of the public contract: messages stay on the queues while a new release is deployed.
    """
    attributes = {"Format": FORMAT, "FirstSeenAt": f"{first_seen_at:.3f}"}
    if limit_checked:
        attributes["Admitted"] = "true"
    if wait:
        attributes |= {"WaitsFor": ",".join(wait.job_ids), "WaitsSince": f"{wait.since:.3f}"}
    if wait and wait.force:
        attributes["WaitsWithForce"] = "true"
    if wait and wait.limit_checked:
        attributes["WaitsLimitChecked"] = "true"
    if planned:
        attributes["Planned"] = ",".join(planned)
    return attributes


def _wait(attributes: Mapping[str, str]) -> Wait | None:
    job_ids, since = _job_ids(attributes.get("WaitsFor")), _seconds(attributes.get("WaitsSince"))
    if since is None or not job_ids:
        return None
    return Wait(job_ids, since, "WaitsWithForce" in attributes, limit_checked="WaitsLimitChecked" in attributes)


def _job_ids(text: str | None) -> tuple[str, ...]:
    """Return no ids for an unreadable list: the message was not sent by this function."""
    job_ids = (text or "").split(",")
    return tuple(job_ids) if all(map(is_job_id, job_ids)) else ()


def _stage(wait: Wait | None) -> bool | None:
    return wait.limit_checked if wait else None


def _texts(attributes: object) -> Mapping[str, str]:
    named = attributes if isinstance(attributes, Mapping) else {}
    return {
        str(name): attribute["stringValue"]
        for name, attribute in named.items()
        if isinstance(attribute, Mapping) and isinstance(attribute.get("stringValue"), str)
    }


def _count(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) <= _MAX_DIGITS else 1


def _sent_at(system_attributes: Mapping[object, object]) -> float | None:
    """SQS gives milliseconds."""
    sent_at = system_attributes.get("SentTimestamp")
    milliseconds = _seconds(sent_at) if isinstance(sent_at, str) else None
    return None if milliseconds is None else milliseconds / 1000


def _seconds(text: str | None) -> float | None:
    """Return None for an unreadable value: the message was not sent by this function."""
    try:
        seconds = float(text or "nan")
    except ValueError:
        return None
    return seconds if isfinite(seconds) else None


def _payload_in(body: str) -> object:
    """Return the event, also from the record that Lambda sends to its on-failure destination."""
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        return body  # an unknown event, which is rejected
    match payload:
        case {"requestContext": {}, "requestPayload": event}:
            return event
    return payload
