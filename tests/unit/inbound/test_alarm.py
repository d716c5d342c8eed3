"""An alarm requests the cancellation of the job that the JobId dimensions of its metrics name."""

from typing import Any, cast

import pytest

from handler.errors import RequestRejected
from handler.inbound.alarm import parse_alarm
from handler.inbound.envelope import CancelEvent, IgnoredEvent

NO_DIMENSION = "detail.configuration.metrics: must contain a metric with a JobId dimension"
COMPOSITE = f"{NO_DIMENSION}; a composite alarm has none"
TWO_JOBS = (
    "detail.configuration.metrics: must name one job in their JobId dimensions, but name 2; use one alarm for each "
    "job, or a rule of your own that sends the function a request for the right job"
)
OTHER_ACCOUNT = (
    "detail.configuration.metrics[1].accountId: must be omitted or the account of the alarm: "
    "the function cancels no jobs of another account"
)
NO_STATE = "detail.state.value: must be ALARM, OK or INSUFFICIENT_DATA"


def event(detail: object) -> dict[str, object]:
    envelope = {"id": "e-1", "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch"}
    return {**envelope, "account": "123456789012", "detail": detail}


def alarm(state: object, *metrics: object) -> dict[str, object]:
    return event({"alarmName": "night", "state": {"value": state}, "configuration": {"metrics": list(metrics)}})


def metric(**dimensions: object) -> dict[str, object]:
    return {"id": "m1", "metricStat": {"metric": {"namespace": "AWS/IoT", "dimensions": dimensions}}}


def compared(first: str, second: str) -> dict[str, object]:
    """Return the alarm of an expression over two metrics, as CloudWatch sends it."""
    expression = {"id": "e1", "expression": "m1 - m2", "returnData": True}
    return alarm("ALARM", expression, *({**metric(JobId=job_id), "returnData": False} for job_id in (first, second)))


def muted(state: str, mute: object) -> dict[str, object]:
    payload = alarm(state, metric(JobId="a"))
    return payload | {"detail": {**cast("dict[str, object]", payload["detail"]), "muteDetail": mute}}


A_REQUEST = CancelEvent.from_event({"jobId": "a"}, "alarm night")
MUTE = {"mutedByArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm-mute-rule:maintenance"}


ALARMS: list[Any] = [
    pytest.param(alarm("ALARM", metric(JobId="a")), A_REQUEST, id="one metric"),
    pytest.param(
        alarm("ALARM", metric(Other="x"), {"expression": "m1+m2"}, metric(JobId="a")),
        A_REQUEST,
        id="metrics with and without a job",
    ),
    pytest.param(alarm("ALARM", metric(JobId=None), metric(JobId="a")), A_REQUEST, id="an empty dimension"),
    pytest.param(
        alarm("ALARM", metric(JobId="a"), metric(JobId=["b"])),
        "detail.configuration.metrics[1].metricStat.metric.dimensions.JobId: "
        "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -",
        id="a bad job id",
    ),
    pytest.param(compared("a", "a"), A_REQUEST, id="one job in two metrics"),
    pytest.param(compared("canary", "control"), TWO_JOBS, id="two jobs, both only input of an expression"),
    pytest.param(alarm("ALARM", metric(JobId="a"), metric(JobId="b"), metric(JobId="a")), TWO_JOBS, id="two jobs"),
    pytest.param(muted("ALARM", MUTE), IgnoredEvent("the alarm is muted by a mute rule"), id="muted"),
    pytest.param(muted("ALARM", {}), IgnoredEvent("the alarm is muted by a mute rule"), id="muted, without details"),
    pytest.param(muted("ALARM", None), A_REQUEST, id="not muted"),
    pytest.param(muted("OK", MUTE), IgnoredEvent("the alarm went to OK"), id="OK and muted"),
    pytest.param(
        alarm("ALARM", {**metric(JobId="a"), "accountId": "123456789012"}), A_REQUEST, id="a metric of this account"
    ),
    pytest.param(
        alarm("ALARM", metric(JobId="a"), {**metric(JobId="a"), "accountId": "999999999999"}),
        OTHER_ACCOUNT,
        id="a metric of another account",
    ),
    pytest.param(
        {**alarm("ALARM", metric(JobId="a"), {**metric(JobId="a"), "accountId": "123456789012"}), "account": None},
        OTHER_ACCOUNT,
        id="a metric of an account, in an event of none",
    ),
    pytest.param(
        alarm("ALARM", metric(JobId="a"), {**metric(Other="x"), "accountId": "999999999999"}),
        A_REQUEST,
        id="a metric of another account without a job",
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
        COMPOSITE,
        id="no configuration",
    ),
    pytest.param(
        event({"state": {"value": "ALARM"}, "configuration": {"alarmRule": "ALARM(a) OR ALARM(b)"}}),
        COMPOSITE,
        id="a composite alarm",
    ),
    pytest.param(event("ALARM"), NO_STATE, id="no detail"),
    pytest.param(
        event({"state": {"value": "ALARM"}, "configuration": {"metrics": [metric(JobId="a")]}}),
        CancelEvent.from_event({"jobId": "a"}, "alarm ?"),
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
