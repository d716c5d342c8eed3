"""An alarm requests the cancellation of the jobs that the JobId dimensions of its metrics name."""

from typing import Any

import pytest

from handler.errors import RequestRejected
from handler.inbound.alarm import parse_alarm
from handler.inbound.envelope import CancelEvent, IgnoredEvent

NO_DIMENSION = "detail.configuration.metrics: must contain a metric with a JobId dimension"
NO_STATE = "detail.state.value: must be ALARM, OK or INSUFFICIENT_DATA"


def event(detail: object) -> dict[str, object]:
    return {"id": "e-1", "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch", "detail": detail}


def alarm(state: object, *metrics: object) -> dict[str, object]:
    return event({"alarmName": "night", "state": {"value": state}, "configuration": {"metrics": list(metrics)}})


def metric(**dimensions: object) -> dict[str, object]:
    return {"id": "m1", "metricStat": {"metric": {"namespace": "AWS/IoT", "dimensions": dimensions}}}


ALARMS: list[Any] = [
    pytest.param(
        alarm("ALARM", metric(JobId="a")), CancelEvent.from_event({"jobIds": ["a"]}, "alarm night"), id="one metric"
    ),
    pytest.param(
        alarm("ALARM", metric(JobId="a"), metric(Other="x"), {"expression": "m1+m2"}, metric(JobId="b")),
        CancelEvent.from_event({"jobIds": ["a", "b"]}, "alarm night"),
        id="metrics with and without a job",
    ),
    pytest.param(
        alarm("ALARM", metric(JobId=5)),
        CancelEvent.from_event({"jobIds": [5]}, "alarm night"),
        id="a bad job id, for the parser of requests",
    ),
    pytest.param(alarm("OK", metric(JobId="a")), IgnoredEvent("the alarm went to OK"), id="OK"),
    pytest.param(
        alarm("INSUFFICIENT_DATA", metric(JobId="a")), IgnoredEvent("the alarm went to INSUFFICIENT_DATA"), id="no data"
    ),
    pytest.param(alarm("alarm", metric(JobId="a")), NO_STATE, id="a state in lower case"),
    pytest.param(alarm(None, metric(JobId="a")), NO_STATE, id="no state"),
    pytest.param(alarm(["ALARM"], metric(JobId="a")), NO_STATE, id="a state that is not text"),
    pytest.param(alarm("ALARM"), NO_DIMENSION, id="no metric"),
    pytest.param(alarm("ALARM", metric(ThingName="a")), NO_DIMENSION, id="no JobId dimension"),
    pytest.param(alarm("ALARM", None, "m", []), NO_DIMENSION, id="metrics that are not objects"),
    pytest.param(
        event({"state": {"value": "ALARM"}, "configuration": {"metrics": {"JobId": "a"}}}),
        NO_DIMENSION,
        id="metrics that are not a list",
    ),
    pytest.param(
        event({"state": {"value": "ALARM"}}),
        NO_DIMENSION,
        id="no configuration",
    ),
    pytest.param(event("ALARM"), NO_STATE, id="no detail"),
    pytest.param(
        event({"state": {"value": "ALARM"}, "configuration": {"metrics": [metric(JobId="a")]}}),
        CancelEvent.from_event({"jobIds": ["a"]}, "alarm ?"),
        id="no name",
    ),
]


@pytest.mark.parametrize(("payload", "expected"), ALARMS)
def test_an_alarm_is_parsed_or_rejected(payload: dict[str, object], expected: CancelEvent | IgnoredEvent | str) -> None:
    if isinstance(expected, str):
        with pytest.raises(RequestRejected) as caught:
            parse_alarm(payload)
        assert str(caught.value) == expected
    else:
        assert parse_alarm(payload) == expected
