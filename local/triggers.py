"""The ways in which a job is cancelled, each played as its user would."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from . import stacks
from .aws import REGION, LocalAws
from .errors import NotDelivered
from .sam import ROOT

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef

_TEARDOWN_TEMPLATE = ROOT / "examples" / "teardown.yaml"
_STACK_SECONDS = 30
_AHEAD = timedelta(seconds=2)  # a schedule can't be due in the past; at() counts in whole seconds


@dataclass(frozen=True)
class Triggers:
    """`function_arn` is the deployed stack's ServiceToken, `alarm_prefix` its AlarmNamePrefix."""

    aws: LocalAws
    function_arn: str
    alarm_prefix: str

    def create_stack_of(self, job_id: str) -> None:
        """A stack that takes the job along when it is deleted. Raises StackFailed."""
        template = _TEARDOWN_TEMPLATE.read_text()
        stacks.create(self.aws, _stack_of(job_id), template, {"JobId": job_id}, seconds=_STACK_SECONDS)

    def delete_stack_of(self, job_id: str) -> None:
        """Teardown: what an engineer does, or the end of a test environment. Raises StackFailed."""
        stacks.delete(self.aws, _stack_of(job_id), seconds=_STACK_SECONDS)

    def schedule(self, name: str, cancel: Mapping[str, object]) -> None:
        """Schedule: the request is due in a moment, and the schedule of that name is gone then."""
        due = datetime.now(UTC) + _AHEAD
        self.aws.client("scheduler").create_schedule(
            Name=f"cancel-{name}",
            ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={
                "Arn": self.function_arn,
                "RoleArn": self._role_of_schedule(name),
                "Input": _request(cancel),
            },
        )

    def _role_of_schedule(self, name: str) -> str:
        """A role with which EventBridge Scheduler may invoke this function and nothing else."""
        iam = self.aws.client("iam")
        trust = _policy(
            Principal={"Service": "scheduler.amazonaws.com"},
            Action="sts:AssumeRole",
            Condition={"StringEquals": {"aws:SourceAccount": self.function_arn.split(":")[4]}},
        )
        role = iam.create_role(RoleName=f"schedule-{name}", AssumeRolePolicyDocument=trust)["Role"]
        invoke = _policy(Action="lambda:InvokeFunction", Resource=self.function_arn)
        iam.put_role_policy(RoleName=role["RoleName"], PolicyName="InvokeCanceler", PolicyDocument=invoke)
        return role["Arn"]

    def request(self, cancel: Mapping[str, object]) -> None:
        """Event: somebody's own event asks for the jobs. Raises NotDelivered."""
        answer = self.aws.client("events").put_events(
            Entries=[
                {
                    "Source": "fleet.operations",
                    "DetailType": "IoT Job Cancellation Requested",
                    "Detail": _request(cancel),
                }
            ]
        )
        if answer["FailedEntryCount"]:
            raise NotDelivered(f"put-events: {answer['Entries']}")

    def raise_alarm(self, job_id: str) -> None:
        """Alarm: too many devices fail at the job, so that its alarm goes to ALARM. Raises NotDelivered."""
        cloudwatch = self.aws.client("cloudwatch")
        name = f"{self.alarm_prefix}{job_id}"
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="AWS/IoT",
            MetricName="FailedJobExecutionCount",
            Dimensions=[{"Name": "JobId", "Value": job_id}],
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )
        cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a device failed")
        self.tell_of_alarm(name)

    def tell_of_alarm(self, name: str) -> None:
        """Put the alarm's last change of state on the default bus. Raises NotDelivered.

        On AWS, CloudWatch does. MiniStack's alarms tell nobody, so the event is made here from the alarm as it reads
        back, and delivered by the deployed rule's own pattern.
        """
        alarm = self.aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        deliver(self.aws, self.function_arn, _alarm_event(alarm))


def deliver(aws: LocalAws, function_arn: str, event: str) -> None:
    """Do as EventBridge: hand an event of AWS's own to the function, by each rule that leads there and matches it.

    Nobody but AWS may put an event with a source of `aws.` on a bus, so there is no other way to have one here. Only
    rules of the default bus are asked, where AWS puts them. Raises NotDelivered if none of them matches.
    """
    events = aws.client("events")
    rules = events.list_rule_names_by_target(TargetArn=function_arn, EventBusName="default")["RuleNames"]
    patterns = [events.describe_rule(Name=rule)["EventPattern"] for rule in rules]
    matching = [
        pattern for pattern in patterns if events.test_event_pattern(EventPattern=pattern, Event=event)["Result"]
    ]
    if not matching:
        raise NotDelivered(f"no rule of {rules} matches {event}")
    for _ in matching:
        aws.client("lambda").invoke(FunctionName=function_arn, InvocationType="Event", Payload=event)


def _stack_of(job_id: str) -> str:
    return f"stack-of-{job_id}"


def _request(cancel: Mapping[str, object]) -> str:
    return json.dumps({"cancel": cancel})


def _policy(**statement: object) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def _alarm_event(alarm: "MetricAlarmTypeDef") -> str:
    """The state change of a metric alarm, in the shape that CloudWatch gives it on the default bus."""
    metric = {
        "namespace": alarm["Namespace"],
        "name": alarm["MetricName"],
        "dimensions": {dimension["Name"]: dimension["Value"] for dimension in alarm["Dimensions"]},
    }
    metric_stat = {"metric": metric, "period": alarm["Period"], "stat": alarm["Statistic"]}
    changed = alarm["StateUpdatedTimestamp"].strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps(
        {
            "version": "0",
            "id": "00000000-0000-0000-0000-000000000000",
            "detail-type": "CloudWatch Alarm State Change",
            "source": "aws.cloudwatch",
            "account": alarm["AlarmArn"].split(":")[4],
            "time": changed,
            "region": REGION,
            "resources": [alarm["AlarmArn"]],
            "detail": {
                "alarmName": alarm["AlarmName"],
                "configuration": {"metrics": [{"id": "m1", "metricStat": metric_stat, "returnData": True}]},
                "previousState": {"value": "INSUFFICIENT_DATA"},
                "state": {"value": alarm["StateValue"], "reason": alarm["StateReason"], "timestamp": changed},
            },
        }
    )
