"""The triggers of a cancellation, each set off with the API calls of its user."""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tools.errors import CommandFailed, NotDelivered
from tools.localaws import stacks
from tools.localaws.aws import REGION, LocalAws, isolated_environment
from tools.localaws.sam import ROOT
from tools.processes import run

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch.type_defs import MetricAlarmTypeDef

_TEARDOWN_TEMPLATE = ROOT / "examples" / "teardown.yaml"
_ALARM_ACTION = ROOT / "events" / "alarm-action.json"
_STACK_TIMEOUT_SECONDS = 30
_COMMAND_TIMEOUT_SECONDS = 60
_SCHEDULE_DELAY = timedelta(seconds=2)  # a schedule must be due in the future; at() has whole seconds


@dataclass(frozen=True)
class Triggers:
    """The triggers of a deployed stack with the ServiceToken `function_arn` and the AlarmNamePrefix `alarm_prefix`."""

    aws: LocalAws
    function_arn: str
    alarm_prefix: str

    def create_stack_of(self, job_id: str) -> None:
        """Teardown: create a stack whose deletion cancels the job. Raises StackFailed."""
        template = _TEARDOWN_TEMPLATE.read_text()
        stacks.create(self.aws, _stack_of(job_id), template, {"JobId": job_id}, seconds=_STACK_TIMEOUT_SECONDS)

    def delete_stack_of(self, job_id: str) -> None:
        """Teardown: delete the stack of the job. Raises StackFailed."""
        stacks.delete(self.aws, _stack_of(job_id), seconds=_STACK_TIMEOUT_SECONDS)

    def schedule(self, name: str, cancel: Mapping[str, object]) -> None:
        """Schedule: create a schedule that sends the request once, in two seconds, and is deleted then."""
        due = datetime.now(UTC) + _SCHEDULE_DELAY
        self.aws.client("scheduler").create_schedule(
            Name=f"cancel-{name}",
            ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
            FlexibleTimeWindow={"Mode": "OFF"},
            ActionAfterCompletion="DELETE",
            Target={"Arn": self.function_arn, "RoleArn": self._create_schedule_role(name), "Input": _request(cancel)},
        )

    def _create_schedule_role(self, name: str) -> str:
        """Create a role that allows EventBridge Scheduler to invoke only this function. Return its ARN."""
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
        """Event: send a request on the event bus, from a source of the user. Raises NotDelivered."""
        response = self.aws.client("events").put_events(
            Entries=[
                {
                    "Source": "fleet.operations",
                    "DetailType": "IoT Job Cancellation Requested",
                    "Detail": _request(cancel),
                }
            ]
        )
        if response["FailedEntryCount"]:
            raise NotDelivered(f"put-events: {response['Entries']}")

    def raise_alarm(self, job_id: str) -> None:
        """Alarm: set the alarm on the job's failed executions to ALARM. Raises NotDelivered."""
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
        self.send_alarm_event(name)

    def invoke_by_alarm(self, job_id: str) -> None:
        """Alarm action: invoke the function like CloudWatch, with the payload of events/ for an alarm on this job.

        MiniStack does not carry out the actions of an alarm.
        """
        region, account = self.function_arn.split(":")[3:5]
        payload = _ALARM_ACTION.read_text().replace("iot-job-failures-", self.alarm_prefix)
        for before, after in (("firmware-2026-11", job_id), ("eu-west-1", region), ("123456789012", account)):
            payload = payload.replace(before, after)
        self.aws.client("lambda").invoke(FunctionName=self.function_arn, InvocationType="Event", Payload=payload)

    def enter_command(self, job_id: str) -> None:
        """Command: run `iot-job-canceler cancel-job` for the stack with the default name. Raises CommandFailed."""
        command = [sys.executable, "-m", "iot_job_canceler", "cancel-job", "--job-id", job_id]
        environment = isolated_environment() | self.aws.environment
        exit_code, output = run(command, environment=environment, cwd=ROOT, seconds=_COMMAND_TIMEOUT_SECONDS)
        if exit_code:
            raise CommandFailed(f"{' '.join(command)} ended with exit code {exit_code}:\n{output}")

    def send_alarm_event(self, name: str) -> None:
        """Deliver the event of the alarm's last state change. Raises NotDelivered.

        On AWS, CloudWatch sends this event to the default bus. MiniStack does not, so it is built here from the
        described alarm.
        """
        alarm = self.aws.client("cloudwatch").describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        deliver(self.aws, self.function_arn, _alarm_event(alarm))


def deliver(aws: LocalAws, function_arn: str, event: str) -> None:
    """Invoke the function with an event of AWS once for each matching rule of the default bus, as EventBridge does.

    PutEvents rejects a source that begins with `aws.`, so such an event cannot be sent to a bus. Raises NotDelivered if
    no rule of the function matches.
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
    """Return the event that CloudWatch sends for the state change of a metric alarm."""
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
