"""Parse CloudWatch alarms: the JobId dimension of an alarm's metrics names the job (AWS/IoT job metrics have one)."""

from collections.abc import Iterator, Mapping

from handler.cancellation.validation import read_job_id
from handler.errors import RequestRejected
from handler.inbound.envelope import CancelEvent, IgnoredEvent, at, text_or_unknown

_METRICS = "detail.configuration.metrics"


def parse_alarm(event: Mapping[str, object]) -> CancelEvent | IgnoredEvent:
    """Parse a `CloudWatch Alarm State Change`. Raises RequestRejected."""
    state = at(event, "detail", "state", "value")
    if state in ("OK", "INSUFFICIENT_DATA"):
        return IgnoredEvent(f"the alarm went to {state}")
    if state != "ALARM":
        raise RequestRejected("detail.state.value", "must be ALARM, OK or INSUFFICIENT_DATA")
    if at(event, "detail", "muteDetail") is not None:  # CloudWatch suppresses the alarm's actions, but not this event
        return IgnoredEvent("the alarm is muted by a mute rule")
    metrics = at(event, "detail", "configuration", "metrics")
    job_ids = set(_job_ids(metrics, event.get("account")))
    if not job_ids:
        hint = "; a composite alarm has none" if metrics is None else ""
        raise RequestRejected(_METRICS, f"must contain a metric with a JobId dimension{hint}")
    if len(job_ids) > 1:
        raise RequestRejected(
            _METRICS,
            f"must name one job in their JobId dimensions, but name {len(job_ids)}; use one alarm for each job, "
            "or a rule of your own that sends the function a request for the right job",
        )
    return CancelEvent.from_event(
        {"jobId": job_ids.pop()}, f"alarm {text_or_unknown(at(event, 'detail', 'alarmName'))}"
    )


def _job_ids(metrics: object, account: object) -> Iterator[str]:
    """Return the job ids in the metrics, also in those that are only the input of an expression."""
    for index, metric in enumerate(metrics if isinstance(metrics, list) else []):
        job_id = at(metric, "metricStat", "metric", "dimensions", "JobId")
        if job_id is None:
            continue
        owner = at(metric, "accountId")
        if owner is not None and owner != account:  # an alarm of a monitoring account may watch another account
            raise RequestRejected(
                f"{_METRICS}[{index}].accountId",
                "must be omitted or the account of the alarm: the function cancels no jobs of another account",
            )
        yield read_job_id(f"{_METRICS}[{index}].metricStat.metric.dimensions.JobId", job_id)
