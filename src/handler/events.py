"""Which event is it, and what does it ask? One parser for each shape; `events/` holds one of each."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

from .errors import RequestRejected
from .fields import quoted, read_object
from .outcome import Trigger
from .request import Attribution

STACK_TAG = "iot-job-canceler:stack-id"
_REASON_CODES = {
    Trigger.SCHEDULE: "SCHEDULED_CLEANUP",
    Trigger.EVENT: "EVENT_REMEDIATION",
    Trigger.DIRECT: "DIRECT_REQUEST",
}
REQUESTED = "IoT Job Cancellation Requested"
REPORTED = "IoT Job Cancellation Report"


@dataclass(frozen=True, slots=True)
class Asked:
    """An event that asks for a cancel. `document` is the value of `cancel`, unread; `origin` says who asks."""

    document: object
    origin: str


@dataclass(frozen=True, slots=True)
class Ignored:
    """A sound event that asks for nothing."""

    reason: str


def attribution(trigger: Trigger, asked: Asked) -> Attribution:
    """What a job's history says of a run by an event."""
    return Attribution(_REASON_CODES[trigger], f"Requested by {asked.origin}")


def is_custom_resource(event: object) -> TypeGuard[Mapping[str, object]]:
    """True if CloudFormation waits for an answer. Asked before anything else."""
    return isinstance(event, Mapping) and "RequestType" in event and "ResponseURL" in event


def trigger_of(event: object) -> Trigger:
    """What the run is counted under, also if the event can't be read."""
    if is_custom_resource(event):
        return Trigger.TEARDOWN
    if not isinstance(event, Mapping) or "detail-type" not in event:
        return Trigger.DIRECT
    return Trigger.SCHEDULE if _is_scheduled(event) else Trigger.EVENT


def _is_scheduled(event: Mapping[str, object]) -> bool:
    """A schedule without an input of its own: EventBridge Scheduler's, or a rule's."""
    return event.get("detail-type") == "Scheduled Event" and event.get("source") in ("aws.events", "aws.scheduler")


def read_event(event: object, sweep: Mapping[str, object] | None) -> Asked | Ignored:
    """Read an EventBridge envelope or a bare request. `sweep` is the request of the stack's default sweep.

    Raises RequestRejected.
    """
    if isinstance(event, Mapping) and "detail-type" in event:
        return _read_scheduled(event, sweep) if _is_scheduled(event) else _read_envelope(event)
    if isinstance(event, Mapping) and "cancel" in event:
        return Asked(read_object("event", event, ("cancel",))["cancel"], "a direct request")
    raise RequestRejected(
        "event", 'must be a CloudFormation custom resource request, an EventBridge event or {"cancel": {...}}'
    )


def _read_envelope(event: Mapping[str, object]) -> Asked | Ignored:
    source, detail_type = _text(event.get("source")), _text(event["detail-type"])
    if detail_type == REPORTED:  # whatever rule has brought it here
        return Ignored("it is a canceler's report")
    parse = _REQUESTS_FROM_ANYONE.get(detail_type) or _AWS_EVENTS.get((source, detail_type))
    if parse is None:
        known = sorted({*_REQUESTS_FROM_ANYONE, *(name for _, name in _AWS_EVENTS)})
        raise RequestRejected("detail-type", f"must be one of {', '.join(known)}, from its own source")
    return parse(event)


def _read_requested(event: Mapping[str, object]) -> Asked:
    detail = read_object("detail", event.get("detail"), ("cancel",))
    if "cancel" not in detail:
        raise RequestRejected("detail", "must have the key cancel")
    return Asked(detail["cancel"], f"event {_text(event.get('id'))} from {_text(event.get('source'))}")


def _read_alarm(event: Mapping[str, object]) -> Asked | Ignored:
    """The alarm's metrics name the job in their JobId dimension (AWS/IoT job metrics have one)."""
    state = _at(event, "detail", "state", "value")
    if state in ("OK", "INSUFFICIENT_DATA"):
        return Ignored(f"the alarm went to {state}")
    if state != "ALARM":
        raise RequestRejected("detail.state.value", "must be ALARM, OK or INSUFFICIENT_DATA")
    job_ids = list(_dimensions(_at(event, "detail", "configuration", "metrics")))
    if not job_ids:
        raise RequestRejected("detail.configuration.metrics", "must hold a metric with a JobId dimension")
    return Asked({"jobIds": job_ids}, f"alarm {_text(_at(event, 'detail', 'alarmName'))}")


def _dimensions(metrics: object) -> Iterator[object]:
    for metric in metrics if isinstance(metrics, list) else []:
        job_id = _at(metric, "metricStat", "metric", "dimensions", "JobId")
        if job_id is not None:
            yield job_id


def _read_cloudtrail(event: Mapping[str, object]) -> Asked | Ignored:
    """A trail records our own CancelJob too: only a CreateJob that worked asks for anything."""
    name = _at(event, "detail", "eventName")
    if not isinstance(name, str):
        raise RequestRejected("detail.eventName", "must be the name of an API call")
    if name != "CreateJob":
        return Ignored(f"the API call is {quoted(name)}, not CreateJob")
    if _at(event, "detail", "errorCode") is not None:
        return Ignored("the CreateJob failed")
    job_id = _at(event, "detail", "requestParameters", "jobId")
    return Asked({"jobId": job_id}, f"CreateJob in event {_text(event.get('id'))}")


def _read_scheduled(event: Mapping[str, object], sweep: Mapping[str, object] | None) -> Asked:
    if event.get("detail") not in ({}, "{}"):  # Scheduler sends the string
        raise RequestRejected("detail", "must be empty in a Scheduled Event: a request goes into the schedule's Input")
    if sweep is None:
        raise RequestRejected(
            "SweepJobIdGlob", 'must be set on the stack, or give the schedule an Input of {"cancel": {...}}'
        )
    return Asked(sweep, f"schedule event {_text(event.get('id'))}")


def _read_stack_status(event: Mapping[str, object]) -> Asked | Ignored:
    """The jobs that are tagged as the stack's own, CONTINUOUS ones too: what they belong to is gone."""
    status = _at(event, "detail", "status-details", "status")
    if not isinstance(status, str):
        raise RequestRejected("detail.status-details.status", "must be the status of a stack")
    if status != "DELETE_COMPLETE":
        return Ignored(f"the stack is in {quoted(status)}, not in DELETE_COMPLETE")
    stack_id = _at(event, "detail", "stack-id")
    if not isinstance(stack_id, str) or not stack_id.startswith("arn:"):
        raise RequestRejected("detail.stack-id", "must be the ARN of a stack")
    select = {"tags": {STACK_TAG: stack_id}, "targetSelection": ["SNAPSHOT", "CONTINUOUS"]}
    return Asked({"select": select}, f"the deletion of {stack_id}")


def _at(value: object, *path: str) -> object:
    """What stands at `path`, or None if there is no such place."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _text(value: object) -> str:
    """`value` if it is text: anything may stand in a forged event, and str() of a deep structure can fail."""
    return value if isinstance(value, str) else "?"


type _Parser = Callable[[Mapping[str, object]], Asked | Ignored]

_REQUESTS_FROM_ANYONE: dict[str, _Parser] = {REQUESTED: _read_requested}

_AWS_EVENTS: dict[tuple[str, str], _Parser] = {
    ("aws.cloudwatch", "CloudWatch Alarm State Change"): _read_alarm,
    ("aws.iot", "AWS API Call via CloudTrail"): _read_cloudtrail,
    ("aws.cloudformation", "CloudFormation Stack Status Change"): _read_stack_status,
}
