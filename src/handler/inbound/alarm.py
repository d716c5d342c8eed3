"""Parse CloudWatch alarms: the JobId dimension of an alarm's metrics names the job (AWS/IoT job metrics have one)."""

from collections.abc import Iterator, Mapping

from handler.errors import RequestRejected
from handler.inbound.envelope import CancelEvent, IgnoredEvent, at, text_or_unknown


def parse_alarm(event: Mapping[str, object]) -> CancelEvent | IgnoredEvent:
    """Parse a `CloudWatch Alarm State Change`. Raises RequestRejected."""
    state = at(event, "detail", "state", "value")
    if state in ("OK", "INSUFFICIENT_DATA"):
        return IgnoredEvent(f"the alarm went to {state}")
    if state != "ALARM":
        raise RequestRejected("detail.state.value", "must be ALARM, OK or INSUFFICIENT_DATA")
    job_ids = list(_job_ids(at(event, "detail", "configuration", "metrics")))
    if not job_ids:
        raise RequestRejected("detail.configuration.metrics", "must contain a metric with a JobId dimension")
    return CancelEvent.from_event({"jobIds": job_ids}, f"alarm {text_or_unknown(at(event, 'detail', 'alarmName'))}")


def _job_ids(metrics: object) -> Iterator[object]:
    for metric in metrics if isinstance(metrics, list) else []:
        job_id = at(metric, "metricStat", "metric", "dimensions", "JobId")
        if job_id is not None:
            yield job_id
