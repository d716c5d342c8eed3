"""Parse CloudWatch alarms: an alarm that goes to ALARM cancels the job that it watches.

An alarm arrives as an EventBridge event, as an invocation (the function is the alarm's action), or in an SNS
notification. Each shape has its own reader, and the same rules apply to all of them. The job is the one in the JobId
dimension of the alarm's metrics, which the job metrics of AWS/IoT have. An alarm on a Metrics Insights query with
`GROUP BY JobId` has one contributor for each job; the job is the one of the contributor.
"""

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from handler.cancellation.request import CancelReason
from handler.cancellation.validation import quoted, read_job_id
from handler.errors import RequestRejected
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack, at, ignored_elsewhere, text_or_unknown

_CONTRIBUTOR_DETAIL_TYPE = "CloudWatch Alarm Contributor State Change"
ALARM_DETAIL_TYPES = ("CloudWatch Alarm State Change", _CONTRIBUTOR_DETAIL_TYPE)
_GROUP_BY = re.compile(r"\bGROUP\s+BY\b", re.IGNORECASE)


class _Value(NamedTuple):
    """A value of the payload, and its place there."""

    place: str
    value: object


class _Metric(NamedTuple):
    """One metric of an alarm. `account` is that of the metric, which an alarm of a monitoring account may name."""

    job_ids: tuple[_Value, ...]
    account: _Value
    expression: object


class _Alarm(NamedTuple):
    """The state change of an alarm, or of one of its contributors, as every shape has it.

    `contributor` has the attributes of a contributor, or is None. `is_filtered`: a rule has selected the alarm by its
    name, account and Region.
    """

    name: object
    account: object
    region: object
    state: _Value
    is_muted: bool
    metrics: tuple[_Metric, ...]
    metrics_place: str
    is_composite: bool
    contributor: _Value | None
    is_filtered: bool


def parse_alarm_event(event: Mapping[str, object], stack: Stack, *, is_filtered: bool) -> CancelEvent | IgnoredEvent:
    """Parse an EventBridge event of an alarm. Raises RequestRejected.

    `is_filtered` is False for an event that comes through SNS.
    """
    is_contributor = event.get("detail-type") == _CONTRIBUTOR_DETAIL_TYPE
    home = event.get("account"), event.get("region")
    alarm = _state_change("detail", event.get("detail"), home, is_contributor=is_contributor, is_filtered=is_filtered)
    return _parse(alarm, stack)


def is_alarm_action(payload: Mapping[str, object]) -> bool:
    """Return True for what CloudWatch sends if the function is an action of the alarm."""
    return payload.get("source") == "aws.cloudwatch" and "alarmArn" in payload and "alarmData" in payload


def parse_alarm_action(payload: Mapping[str, object], stack: Stack) -> CancelEvent | IgnoredEvent:
    """Parse what CloudWatch sends if the function is an action of the alarm. Raises RequestRejected."""
    data, home = payload["alarmData"], _home("alarmArn", payload["alarmArn"])
    is_contributor = at(data, "alarmContributor") is not None
    return _parse(_state_change("alarmData", data, home, is_contributor=is_contributor, is_filtered=False), stack)


def is_alarm_notification(message: Mapping[str, object]) -> bool:
    """Return True for the message that CloudWatch publishes if an SNS topic is an action of the alarm."""
    return "AlarmName" in message and "NewStateValue" in message


def parse_alarm_notification(message: Mapping[str, object], stack: Stack) -> CancelEvent | IgnoredEvent:
    """Parse the message that CloudWatch publishes if an SNS topic is an action of the alarm. Raises RequestRejected.

    It is not checked for a mute rule: CloudWatch publishes no message of a muted alarm.
    """
    account, region = _home("AlarmArn", message.get("AlarmArn"))
    trigger, attributes = message.get("Trigger"), message.get("AlarmContributorAttributes")
    return _parse(
        _Alarm(
            name=message["AlarmName"],
            account=account,
            region=region,
            state=_Value("NewStateValue", message["NewStateValue"]),
            is_muted=False,
            metrics=tuple(_notified_metrics(trigger)),
            metrics_place="Trigger",
            is_composite=trigger is None,
            contributor=None if attributes is None else _Value("AlarmContributorAttributes", attributes),
            is_filtered=False,
        ),
        stack,
    )


def sender_of_alarm(payload: Mapping[str, object]) -> CancelReason:
    """Return the default reason of an alarm that is not an EventBridge event, which names the alarm."""
    name = payload["AlarmName"] if is_alarm_notification(payload) else at(payload, "alarmData", "alarmName")
    return CancelEvent.from_event(None, f"alarm {text_or_unknown(name)}").default_reason


def _home(place: str, arn: object) -> tuple[str, str]:
    """Return the account and Region of an alarm's ARN."""
    match arn.split(":", 6) if isinstance(arn, str) else None:
        case ["arn", _, "cloudwatch", region, account, "alarm", _]:
            return account, region
    raise RequestRejected(place, "must be the ARN of an alarm")


def _state_change(
    place: str, data: object, home: tuple[object, object], *, is_contributor: bool, is_filtered: bool
) -> _Alarm:
    """Read the part that an EventBridge event has as `detail`, and an alarm's action as `alarmData`."""
    account, region = home
    metrics, metrics_place = at(data, "configuration", "metrics"), f"{place}.configuration.metrics"
    attributes = _Value(f"{place}.alarmContributor.attributes", at(data, "alarmContributor", "attributes"))
    return _Alarm(
        name=at(data, "alarmName"),
        account=account,
        region=region,
        state=_Value(f"{place}.state.value", at(data, "state", "value")),
        is_muted=at(data, "muteDetail") is not None,  # CloudWatch suppresses the alarm's actions, but not its event
        metrics=tuple(_metrics(metrics, metrics_place)),
        metrics_place=metrics_place,
        is_composite=metrics is None,
        contributor=attributes if is_contributor else None,
        is_filtered=is_filtered,
    )


def _metrics(metrics: object, place: str) -> Iterator[_Metric]:
    """Return the metrics of an event, also those that are only the input of an expression."""
    for index, metric in enumerate(metrics if isinstance(metrics, list) else []):
        job_id = at(metric, "metricStat", "metric", "dimensions", "JobId")
        job_id_place = f"{place}[{index}].metricStat.metric.dimensions.JobId"
        yield _Metric(
            job_ids=() if job_id is None else (_Value(job_id_place, job_id),),
            account=_Value(f"{place}[{index}].accountId", at(metric, "accountId")),
            expression=at(metric, "expression"),
        )


def _notified_metrics(trigger: object) -> Iterator[_Metric]:
    """Return the metrics of a notification: the trigger itself is one, and has others for an expression."""
    yield _notified_metric(trigger, "Trigger", at(trigger, "Dimensions"), "Dimensions")
    metrics = at(trigger, "Metrics")
    for index, metric in enumerate(metrics if isinstance(metrics, list) else []):
        dimensions = at(metric, "MetricStat", "Metric", "Dimensions")
        yield _notified_metric(metric, f"Trigger.Metrics[{index}]", dimensions, "MetricStat.Metric.Dimensions")


def _notified_metric(metric: object, place: str, dimensions: object, key: str) -> _Metric:
    named = enumerate(dimensions if isinstance(dimensions, list) else [])
    return _Metric(
        job_ids=tuple(
            _Value(f"{place}.{key}[{index}].value", at(dimension, "value"))
            for index, dimension in named
            if at(dimension, "name") == "JobId"
        ),
        account=_Value(f"{place}.AccountId", at(metric, "AccountId")),
        expression=at(metric, "Expression"),
    )


def _parse(alarm: _Alarm, stack: Stack) -> CancelEvent | IgnoredEvent:
    """Apply the rules for alarms. Raises RequestRejected."""
    if ignored := ignored_elsewhere(stack, {"account": alarm.account, "region": alarm.region}):
        return ignored
    name = text_or_unknown(alarm.name)
    if reason := _why_ignored(alarm, name, stack):
        return IgnoredEvent(reason)
    job_ids = set(_job_ids(alarm))
    if not job_ids:
        return _without_job(alarm)
    if len(job_ids) > 1:
        raise RequestRejected(
            alarm.metrics_place,
            f"must name one job in their JobId dimensions, but name {len(job_ids)}; use one alarm for each job, "
            "or a rule of your own that sends the function a request for the right job",
        )
    return CancelEvent.from_event({"jobId": job_ids.pop()}, f"alarm {name}")


def _why_ignored(alarm: _Alarm, name: str, stack: Stack) -> str:
    """Return why the alarm asks for nothing, or an empty string. Raises RequestRejected."""
    if name.startswith(f"{stack.name}/"):  # a rejection would raise the next of these alarms
        return "the alarm is one of the stack's own"
    if alarm.state.value in ("OK", "INSUFFICIENT_DATA"):
        return f"the alarm went to {alarm.state.value}"
    if alarm.state.value != "ALARM":
        raise RequestRejected(alarm.state.place, "must be ALARM, OK or INSUFFICIENT_DATA")
    if alarm.is_muted:
        return "the alarm is muted by a mute rule"
    if alarm.is_filtered or ((prefix := stack.alarm_name_prefix) and name.startswith(prefix)):
        return ""
    if not prefix:
        raise RequestRejected("AlarmNamePrefix", "must be set on the stack, to a prefix of the alarm's name")
    return f"the alarm's name {quoted(name)} does not start with AlarmNamePrefix {quoted(prefix)}"


def _job_ids(alarm: _Alarm) -> Iterator[str]:
    """Return the ids of the jobs that the metrics and the contributor name. Raises RequestRejected."""
    for metric in alarm.metrics:
        # An alarm of a monitoring account may watch another account, and so may the query that has contributors.
        if metric.job_ids or alarm.contributor:
            _check_account(metric.account, alarm)
        for named in metric.job_ids:
            yield read_job_id(named.place, named.value)
    if contributor := alarm.contributor:
        job_id = at(contributor.value, "JobId")
        if job_id is None:
            raise RequestRejected(contributor.place, "must have a JobId: the alarm's query must have GROUP BY JobId")
        yield read_job_id(f"{contributor.place}.JobId", job_id)


def _check_account(account: _Value, alarm: _Alarm) -> None:
    if account.value not in (None, alarm.account):
        raise RequestRejected(
            account.place,
            "must be omitted or the account of the alarm: the function cancels no jobs of another account",
        )


def _without_job(alarm: _Alarm) -> IgnoredEvent:
    """Return why an alarm without a job is ignored. Raises RequestRejected: any other one is a mistake."""
    expressions = [metric.expression for metric in alarm.metrics if isinstance(metric.expression, str)]
    if any(map(_GROUP_BY.search, expressions)):
        return IgnoredEvent("the alarm has contributors, each of which sends its own event")
    hint = "; a composite alarm has none" if alarm.is_composite else ""
    raise RequestRejected(alarm.metrics_place, f"must contain a metric with a JobId dimension{hint}")
