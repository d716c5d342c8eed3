"""An alarm requests the cancellation of the job that it watches, in whichever shape it arrives."""

from collections.abc import Callable
from typing import Any, cast

import pytest

from handler.errors import RequestRejected
from handler.inbound.alarm import (
    ALARM_DETAIL_TYPES,
    is_alarm_action,
    is_alarm_notification,
    parse_alarm_action,
    parse_alarm_event,
    parse_alarm_notification,
    sender_of_alarm,
)
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack

ACCOUNT, REGION = "123456789012", "eu-west-1"
STACK = Stack("canceler", ACCOUNT, REGION, alarm_name_prefix="ni")
NO_DIMENSION = "detail.configuration.metrics: must contain a metric with a JobId dimension"
COMPOSITE = f"{NO_DIMENSION}; a composite alarm has none"
NAMES_TWO = (
    "must name one job in their JobId dimensions, but name 2; use one alarm for each "
    "job, or a rule of your own that sends the function a request for the right job"
)
TWO_JOBS = f"detail.configuration.metrics: {NAMES_TWO}"
OTHER = "must be omitted or the account of the alarm: the function cancels no jobs of another account"
OTHER_ACCOUNT = f"detail.configuration.metrics[1].accountId: {OTHER}"
NO_STATE = "detail.state.value: must be ALARM, OK or INSUFFICIENT_DATA"
JOB_ID = "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -"
NO_JOB_ID = "must have a JobId: the alarm's query must have GROUP BY JobId"
HAS_CONTRIBUTORS = IgnoredEvent("the alarm has contributors, each of which sends its own event")
PER_JOB = 'SELECT MAX(FailedJobExecutionTotalCount) FROM SCHEMA("AWS/IoT", JobId) GROUP BY JobId'

type Expected = CancelEvent | IgnoredEvent | str


def event(detail: object) -> dict[str, object]:
    envelope = {"id": "e-1", "detail-type": "CloudWatch Alarm State Change", "source": "aws.cloudwatch"}
    return {**envelope, "account": ACCOUNT, "detail": detail}


def alarm(state: object, *metrics: object) -> dict[str, object]:
    return event({"alarmName": "night", "state": {"value": state}, "configuration": {"metrics": list(metrics)}})


def metric(**dimensions: object) -> dict[str, object]:
    return {"id": "m1", "metricStat": {"metric": {"namespace": "AWS/IoT", "dimensions": dimensions}}}


def compared(first: str, second: str) -> dict[str, object]:
    """Return the alarm of an expression over two metrics, as CloudWatch sends it."""
    expression = {"id": "e1", "expression": "m1 - m2", "returnData": True}
    return alarm("ALARM", expression, *({**metric(JobId=job_id), "returnData": False} for job_id in (first, second)))


def query(expression: object, **fields: object) -> dict[str, object]:
    return {"id": "q1", "expression": expression, "returnData": True, "period": 60, **fields}


def muted(state: str, mute: object) -> dict[str, object]:
    payload = alarm(state, metric(JobId="a"))
    return payload | {"detail": {**cast("dict[str, object]", payload["detail"]), "muteDetail": mute}}


def of_contributor(contributor: object, *metrics: object, state: str = "ALARM") -> dict[str, object]:
    payload = alarm(state, *metrics)
    detail = {**cast("dict[str, object]", payload["detail"]), "alarmContributor": contributor}
    return payload | {"detail-type": "CloudWatch Alarm Contributor State Change", "detail": detail}


def named(job_id: object) -> dict[str, object]:
    return {"id": "6d442278dba546f6", "attributes": {"JobId": job_id}}


A_REQUEST = CancelEvent.from_event({"jobId": "a"}, "alarm night")
MUTE = {"mutedByArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm-mute-rule:maintenance"}
MUTED = IgnoredEvent("the alarm is muted by a mute rule")


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
        f"detail.configuration.metrics[1].metricStat.metric.dimensions.JobId: {JOB_ID}",
        id="a bad job id",
    ),
    pytest.param(compared("a", "a"), A_REQUEST, id="one job in two metrics"),
    pytest.param(compared("canary", "control"), TWO_JOBS, id="two jobs, both only input of an expression"),
    pytest.param(alarm("ALARM", metric(JobId="a"), metric(JobId="b"), metric(JobId="a")), TWO_JOBS, id="two jobs"),
    pytest.param(muted("ALARM", MUTE), MUTED, id="muted"),
    pytest.param(muted("ALARM", {}), MUTED, id="muted, without details"),
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
    pytest.param(
        {**alarm("ALARM", metric(JobId="a")), "account": "999999999999"},
        IgnoredEvent("the event is from account '999999999999' in '?', not from 123456789012 in eu-west-1"),
        id="an alarm of another account",
    ),
    pytest.param(
        event(
            {
                "alarmName": "canceler/RunsRejected",
                "state": {"value": "ALARM"},
                "configuration": {"metrics": [metric(service="canceler")]},
            }
        ),
        IgnoredEvent("the alarm is one of the stack's own"),
        id="an alarm of the stack",
    ),
    # Contributors
    pytest.param(of_contributor(named("a"), query(PER_JOB)), A_REQUEST, id="a contributor"),
    pytest.param(
        of_contributor(named("a"), query(PER_JOB), state="OK"),
        IgnoredEvent("the alarm went to OK"),
        id="a contributor in OK",
    ),
    pytest.param(of_contributor(named("a"), metric(JobId="a")), A_REQUEST, id="a contributor and a metric, of one job"),
    pytest.param(of_contributor(named("a"), metric(JobId="b")), TWO_JOBS, id="a contributor and a metric, of two jobs"),
    pytest.param(
        of_contributor(named("a b"), query(PER_JOB)),
        f"detail.alarmContributor.attributes.JobId: {JOB_ID}",
        id="a contributor with a bad job id",
    ),
    pytest.param(
        of_contributor({"id": "1", "attributes": {"ThingName": "a"}}, query(PER_JOB)),
        f"detail.alarmContributor.attributes: {NO_JOB_ID}",
        id="a contributor without a job",
    ),
    pytest.param(
        of_contributor(None, query(PER_JOB)),
        f"detail.alarmContributor.attributes: {NO_JOB_ID}",
        id="an event of a contributor without one",
    ),
    pytest.param(
        of_contributor(named("a"), query(PER_JOB, accountId="999999999999")),
        f"detail.configuration.metrics[0].accountId: {OTHER}",
        id="a contributor of another account",
    ),
    pytest.param(
        of_contributor(named("a"), query(PER_JOB, accountId=ACCOUNT)), A_REQUEST, id="a contributor of this account"
    ),
    # The alarm-level event of an alarm with contributors
    pytest.param(alarm("ALARM", query(PER_JOB)), HAS_CONTRIBUTORS, id="an alarm with contributors"),
    pytest.param(alarm("ALARM", query("select max(x) from y group\n by JobId")), HAS_CONTRIBUTORS, id="in lower case"),
    pytest.param(alarm("ALARM", query(PER_JOB), metric(JobId="a")), A_REQUEST, id="a query and a metric with a job"),
    pytest.param(alarm("ALARM", query('SELECT MAX(x) FROM "AWS/IoT"')), NO_DIMENSION, id="a query without groups"),
    pytest.param(alarm("ALARM", query("SUM(METRICS())")), NO_DIMENSION, id="an expression"),
    pytest.param(alarm("ALARM", query(["GROUP BY"])), NO_DIMENSION, id="an expression that is not text"),
    pytest.param(alarm("ALARM", query("groupby + subgroup by")), NO_DIMENSION, id="parts of words"),
]


def result_of(parse: Callable[[], CancelEvent | IgnoredEvent]) -> Expected:
    """Return what is parsed, or why it is rejected."""
    try:
        return parse()
    except RequestRejected as rejection:
        return str(rejection)


@pytest.mark.parametrize(("payload", "expected"), ALARMS)
def test_an_alarm_is_parsed_or_rejected(payload: dict[str, object], expected: Expected) -> None:
    assert result_of(lambda: parse_alarm_event(payload, STACK, is_filtered=True)) == expected


# The same in the other shapes

ARN = f"arn:aws:cloudwatch:{REGION}:{ACCOUNT}:alarm:night"


def action(arn: object = ARN, **data: object) -> dict[str, object]:
    state = {"alarmName": "night", "state": {"value": "ALARM"}, "configuration": {"metrics": [metric(JobId="a")]}}
    envelope = {"source": "aws.cloudwatch", "accountId": ACCOUNT, "region": REGION, "time": "2026-11-24T02:17:44Z"}
    return {**envelope, "alarmArn": arn, "alarmData": state | data}


def configured(*metrics: object) -> dict[str, object]:
    return {"metrics": list(metrics)}


def dimension(value: object, name: str = "JobId") -> dict[str, object]:
    return {"value": value, "name": name}


def watching(*dimensions: object) -> dict[str, object]:
    """Return the trigger of an alarm on one metric."""
    return {"MetricName": "FailedJobExecutionTotalCount", "Namespace": "AWS/IoT", "Dimensions": list(dimensions)}


def calculating(*metrics: object) -> dict[str, object]:
    """Return the trigger of an alarm on an expression."""
    return {"Period": 60, "Metrics": list(metrics)}


def input_of(*dimensions: object, **fields: object) -> dict[str, object]:
    return {"Id": "m1", "MetricStat": {"Metric": {"Dimensions": list(dimensions)}}, "ReturnData": False, **fields}


def message(**changed: object) -> dict[str, object]:
    basis = {"AlarmName": "night", "AlarmArn": ARN, "NewStateValue": "ALARM", "Trigger": watching(dimension("a"))}
    return basis | {"AWSAccountId": ACCOUNT, "Region": "EU (Ireland)", "OldStateValue": "OK"} | changed


def elsewhere(account: str, region: str) -> IgnoredEvent:
    return IgnoredEvent(f"the event is from account '{account}' in '{region}', not from 123456789012 in eu-west-1")


OUTSIDE = IgnoredEvent("the alarm's name 'day' does not start with AlarmNamePrefix 'ni'")
OWN = IgnoredEvent("the alarm is one of the stack's own")
IN_OK, NO_DATA = IgnoredEvent("the alarm went to OK"), IgnoredEvent("the alarm went to INSUFFICIENT_DATA")
OTHER_ARNS = {
    "of another account": (f"arn:aws:cloudwatch:{REGION}:999999999999:alarm:night", elsewhere("999999999999", REGION)),
    "of another Region": (f"arn:aws:cloudwatch:us-east-1:{ACCOUNT}:alarm:night", elsewhere(ACCOUNT, "us-east-1")),
    "with colons": (f"arn:aws-cn:cloudwatch:{REGION}:{ACCOUNT}:alarm:night: 1", A_REQUEST),
}
NOT_ALARM_ARNS = [None, 5, "", "night", "arn:aws:cloudwatch", f"arn:aws:sns:{REGION}:{ACCOUNT}:alarm:night"]

ACTIONS: list[Any] = [
    pytest.param(action(), A_REQUEST, id="one metric"),
    pytest.param(action(state={"value": "OK"}), IN_OK, id="OK"),
    pytest.param(action(state={"value": "INSUFFICIENT_DATA"}), NO_DATA, id="no data"),
    pytest.param(action(state=None), "alarmData.state.value: must be ALARM, OK or INSUFFICIENT_DATA", id="no state"),
    pytest.param(action(muteDetail=MUTE), MUTED, id="muted"),
    pytest.param(
        action(configuration=configured(metric(JobId="a"), metric(JobId="b"))),
        f"alarmData.configuration.metrics: {NAMES_TWO}",
        id="two jobs",
    ),
    pytest.param(
        action(configuration=configured({**metric(JobId="a"), "accountId": "999999999999"})),
        f"alarmData.configuration.metrics[0].accountId: {OTHER}",
        id="a metric of another account",
    ),
    pytest.param(action(alarmName="day"), OUTSIDE, id="outside the prefix"),
    pytest.param(action(alarmName="canceler/RunsRejected"), OWN, id="of the stack"),
    pytest.param(
        action(alarmName=None),
        IgnoredEvent("the alarm's name '?' does not start with AlarmNamePrefix 'ni'"),
        id="no name",
    ),
    pytest.param(action(configuration=configured(query(PER_JOB))), HAS_CONTRIBUTORS, id="with contributors"),
    pytest.param(
        action(configuration=configured(query(PER_JOB)), alarmContributor=named("a")), A_REQUEST, id="a contributor"
    ),
    pytest.param(
        action(configuration=configured(query(PER_JOB)), alarmContributor={}),
        f"alarmData.alarmContributor.attributes: {NO_JOB_ID}",
        id="a contributor without a job",
    ),
    pytest.param(
        action(configuration={"alarmRule": "ALARM(a)"}),
        "alarmData.configuration.metrics: must contain a metric with a JobId dimension; a composite alarm has none",
        id="a composite alarm",
    ),
    *(pytest.param(action(arn), expected, id=name) for name, (arn, expected) in OTHER_ARNS.items()),
    *(pytest.param(action(arn), "alarmArn: must be the ARN of an alarm", id=f"no ARN {arn}") for arn in NOT_ALARM_ARNS),
]

MESSAGES: list[Any] = [
    pytest.param(message(), A_REQUEST, id="one metric"),
    pytest.param(message(Trigger=watching(dimension("x", "Other"), dimension("a"))), A_REQUEST, id="two dimensions"),
    pytest.param(message(NewStateValue="OK"), IN_OK, id="OK"),
    pytest.param(message(NewStateValue="INSUFFICIENT_DATA"), NO_DATA, id="no data"),
    pytest.param(message(NewStateValue=1), "NewStateValue: must be ALARM, OK or INSUFFICIENT_DATA", id="no state"),
    pytest.param(message(Trigger=watching(dimension("a"), dimension("b"))), f"Trigger: {NAMES_TWO}", id="two jobs"),
    pytest.param(
        message(Trigger=watching(dimension("x", "Other"), dimension(None))),
        f"Trigger.Dimensions[1].value: {JOB_ID}",
        id="a bad job id",
    ),
    pytest.param(
        message(Trigger=calculating({"Id": "e1", "Expression": "m1+m2"}, input_of(dimension("a")))),
        A_REQUEST,
        id="an expression",
    ),
    pytest.param(
        message(Trigger=calculating(input_of(dimension("a")), input_of(dimension("b")))),
        f"Trigger: {NAMES_TWO}",
        id="two jobs, both only input of an expression",
    ),
    pytest.param(
        message(Trigger=calculating(input_of(), input_of(dimension("x", "Other"), dimension("a b")))),
        f"Trigger.Metrics[1].MetricStat.Metric.Dimensions[1].value: {JOB_ID}",
        id="a bad job id in an expression",
    ),
    pytest.param(
        message(Trigger=watching(dimension("a")) | {"AccountId": "999999999999"}),
        f"Trigger.AccountId: {OTHER}",
        id="the metric of another account",
    ),
    pytest.param(
        message(Trigger=calculating(input_of(), input_of(dimension("a"), AccountId="999999999999"))),
        f"Trigger.Metrics[1].AccountId: {OTHER}",
        id="a metric of another account",
    ),
    pytest.param(
        message(Trigger=calculating(input_of(dimension("a"), AccountId=ACCOUNT))), A_REQUEST, id="of this account"
    ),
    pytest.param(message(AlarmName="day"), OUTSIDE, id="outside the prefix"),
    pytest.param(message(AlarmName="canceler/RunsRejected"), OWN, id="of the stack"),
    pytest.param(
        message(Trigger=calculating({"Id": "q1", "Expression": PER_JOB})), HAS_CONTRIBUTORS, id="with contributors"
    ),
    pytest.param(
        message(Trigger=calculating({"Id": "q1", "Expression": PER_JOB}), AlarmContributorAttributes={"JobId": "a"}),
        A_REQUEST,
        id="a contributor",
    ),
    pytest.param(
        message(AlarmContributorAttributes={}, Trigger=calculating()),
        f"AlarmContributorAttributes: {NO_JOB_ID}",
        id="a contributor without a job",
    ),
    pytest.param(
        message(
            Trigger=calculating({"Expression": PER_JOB, "AccountId": "1"}), AlarmContributorAttributes={"JobId": "a"}
        ),
        f"Trigger.Metrics[0].AccountId: {OTHER}",
        id="a contributor of another account",
    ),
    pytest.param(
        message(Trigger=None),
        "Trigger: must contain a metric with a JobId dimension; a composite alarm has none",
        id="a composite alarm",
    ),
    *(
        pytest.param(
            message(Trigger=trigger), "Trigger: must contain a metric with a JobId dimension", id=f"trigger {trigger}"
        )
        for trigger in ("a", {"Dimensions": {"JobId": "a"}}, {"Dimensions": ["a", None]}, {"Metrics": "a"}, {})
    ),
    *(pytest.param(message(AlarmArn=arn), expected, id=name) for name, (arn, expected) in OTHER_ARNS.items()),
    *(
        pytest.param(message(AlarmArn=arn), "AlarmArn: must be the ARN of an alarm", id=f"no ARN {arn}")
        for arn in NOT_ALARM_ARNS
    ),
]


@pytest.mark.parametrize(("payload", "expected"), ACTIONS)
def test_an_alarm_with_the_function_as_its_action_follows_the_same_rules(
    payload: dict[str, object], expected: Expected
) -> None:
    assert is_alarm_action(payload)
    assert result_of(lambda: parse_alarm_action(payload, STACK)) == expected


@pytest.mark.parametrize(("payload", "expected"), MESSAGES)
def test_an_alarm_by_sns_follows_the_same_rules(payload: dict[str, object], expected: Expected) -> None:
    assert is_alarm_notification(payload)
    assert result_of(lambda: parse_alarm_notification(payload, STACK)) == expected


# The prefix of the alarm's name, which a rule has checked already

UNFILTERED: dict[str, Callable[[Stack], CancelEvent | IgnoredEvent]] = {
    "action": lambda stack: parse_alarm_action(action(), stack),
    "message": lambda stack: parse_alarm_notification(message(), stack),
    "event by SNS": lambda stack: parse_alarm_event(alarm("ALARM", metric(JobId="a")), stack, is_filtered=False),
}
NO_PREFIX = "AlarmNamePrefix: must be set on the stack, to a prefix of the alarm's name"


@pytest.mark.parametrize("shape", UNFILTERED)
@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("night", A_REQUEST),
        ("nights", IgnoredEvent("the alarm's name 'night' does not start with AlarmNamePrefix 'nights'")),
        ("", NO_PREFIX),
    ],
)
def test_an_alarm_that_no_rule_has_selected_needs_the_prefix(shape: str, prefix: str, expected: Expected) -> None:
    stack = Stack("canceler", ACCOUNT, REGION, alarm_name_prefix=prefix)
    assert result_of(lambda: UNFILTERED[shape](stack)) == expected


@pytest.mark.parametrize("prefix", ["", "day"])
def test_an_alarm_that_a_rule_has_selected_needs_no_prefix(prefix: str) -> None:
    stack = Stack("canceler", ACCOUNT, REGION, alarm_name_prefix=prefix)
    assert parse_alarm_event(alarm("ALARM", metric(JobId="a")), stack, is_filtered=True) == A_REQUEST


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        (action(state={"value": "OK"}), IN_OK),
        (action(muteDetail=MUTE), MUTED),
        (action(alarmName="canceler/RunsRejected"), OWN),
    ],
)
def test_an_alarm_that_is_ignored_needs_no_prefix(payload: dict[str, object], expected: IgnoredEvent) -> None:
    assert parse_alarm_action(payload, Stack("canceler", ACCOUNT, REGION)) == expected


# Recognition


@pytest.mark.parametrize("missing", ["source", "alarmArn", "alarmData"])
def test_an_action_has_its_source_arn_and_data(missing: str) -> None:
    payload = action()
    del payload[missing]
    assert not is_alarm_action(payload)
    assert not is_alarm_action(action() | {"source": "fleet.console"})


@pytest.mark.parametrize("missing", ["AlarmName", "NewStateValue"])
def test_a_notification_has_its_name_and_state(missing: str) -> None:
    payload = message()
    del payload[missing]
    assert not is_alarm_notification(payload)


@pytest.mark.parametrize(
    ("payload", "origin"),
    [
        (action(), "Requested by alarm night"),
        (action() | {"alarmData": "?"}, "Requested by alarm ?"),
        (message(), "Requested by alarm night"),
        (message(AlarmName=5), "Requested by alarm ?"),
    ],
)
def test_the_sender_is_the_alarm(payload: dict[str, object], origin: str) -> None:
    sender = sender_of_alarm(payload)
    assert (sender.asked_by, sender.reason_code, sender.comment) == (origin, "EVENT_REMEDIATION", origin)


def test_two_detail_types_are_alarms() -> None:
    assert ALARM_DETAIL_TYPES == ("CloudWatch Alarm State Change", "CloudWatch Alarm Contributor State Change")
