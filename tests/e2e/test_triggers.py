"""Each trigger, on its real way to the function, with force off and on."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from local import stacks
from local.reports import JobReport
from tests.e2e.conftest import Canceler
from tests.support.stacks import template


def by_teardown(canceler: Canceler, job_id: str) -> None:
    stacks.create(canceler.aws, f"of-{job_id}", template(canceler.service_token, {"JobId": job_id}), {})
    stacks.delete(canceler.aws, f"of-{job_id}")


def by_schedule(canceler: Canceler, job_id: str) -> None:
    iam = canceler.aws.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
    invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": canceler.service_token}
    role = iam.create_role(
        RoleName=f"of-{job_id}", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )["Role"]
    iam.put_role_policy(
        RoleName=role["RoleName"],
        PolicyName="Invoke",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [invoke]}),
    )
    due = datetime.now(UTC) + timedelta(seconds=1)
    canceler.aws.client("scheduler").create_schedule(
        Name=f"of-{job_id}",
        ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": canceler.service_token,
            "RoleArn": role["Arn"],
            "Input": json.dumps({"cancel": {"jobId": job_id}}),
        },
    )


def by_request_event(canceler: Canceler, job_id: str) -> None:
    canceler.put_event("fleet.operations", "IoT Job Cancellation Requested", {"cancel": {"jobIds": [job_id]}})


def by_alarm(canceler: Canceler, job_id: str) -> None:
    cloudwatch = canceler.aws.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName=f"rollout-{job_id}",
        Namespace="AWS/IoT",
        MetricName="FailedJobExecutionTotalCount",
        Dimensions=[{"Name": "JobId", "Value": job_id}],
        Statistic="Maximum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName=f"rollout-{job_id}", StateValue="ALARM", StateReason="too many failures")


def by_cloudtrail(canceler: Canceler, job_id: str) -> None:
    """The user's own rule decides whose CreateJob this is about; it hands the record on as it is."""
    record = {
        "version": "0",
        "id": "5f1b3c1e-0000-4000-8000-000000000000",
        "source": "aws.iot",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {
            "eventSource": "iot.amazonaws.com",
            "eventName": "CreateJob",
            "requestParameters": {"jobId": job_id},
        },
    }
    canceler.aws.client("lambda").invoke(
        FunctionName=canceler.function_name, InvocationType="Event", Payload=json.dumps(record).encode()
    )


TRIGGERS = {
    "TEARDOWN": by_teardown,
    "SCHEDULE": by_schedule,
    "REQUEST": by_request_event,
    "ALARM": by_alarm,
    "CLOUDTRAIL": by_cloudtrail,
}
REASONS = {
    "TEARDOWN": "STACK_TEARDOWN",
    "SCHEDULE": "DIRECT_REQUEST",  # a schedule's Input arrives as a bare request
    "REQUEST": "EVENT_REMEDIATION",
    "ALARM": "EVENT_REMEDIATION",
    "CLOUDTRAIL": "EVENT_REMEDIATION",
}


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_without_force_a_started_execution_runs_on_and_is_counted(canceler: Canceler, trigger: str) -> None:
    job_id = canceler.job(trigger.lower(), queued=2, started=1)
    TRIGGERS[trigger](canceler, job_id)
    assert canceler.report_on(job_id)["jobs"] == [JobReport(jobId=job_id, outcome="CANCELED", detail="", executionsLeftInProgress=1)]
    assert canceler.fleet.state(job_id).executions == {"CANCELED": 2, "IN_PROGRESS": 1}
    described = canceler.described(job_id)
    assert (described["status"], described["forceCanceled"]) == ("CANCELED", False)
    assert described["reasonCode"] == REASONS[trigger]
    assert canceler.fleet.succeed(f"{job_id}-device-0", job_id), "the device may still report"


def test_with_force_on_the_stack_no_execution_is_left(forceful: Canceler) -> None:
    job_id = forceful.job("direct", queued=1, started=1, prefix="forceful-")
    report = forceful.invoke({"cancel": {"jobId": job_id}})
    assert (report["status"], report["force"], report["executionsLeftInProgress"]) == ("SETTLED", True, 0)
    assert forceful.fleet.state(job_id).executions == {"CANCELED": 2}


def test_a_request_can_turn_force_off_for_itself(forceful: Canceler) -> None:
    job_id = forceful.job("gentle", started=1, prefix="forceful-")
    report = forceful.invoke({"cancel": {"jobId": job_id, "force": False}})
    assert (report["force"], report["executionsLeftInProgress"]) == (False, 1)


def test_a_request_on_another_bus_does_not_reach_the_function(forceful: Canceler) -> None:
    job_id = forceful.job("bus", started=0, queued=1, prefix="forceful-")
    detail = json.dumps({"cancel": {"jobId": job_id}})
    events = forceful.aws.client("events")
    for bus in ("default", "forceful"):
        events.put_events(
            Entries=[
                {
                    "EventBusName": bus,
                    "Source": bus,
                    "DetailType": "IoT Job Cancellation Requested",
                    "Detail": detail,
                }
            ]
        )
    forceful.report_on(job_id)
    assert forceful.described(job_id)["comment"].endswith("from forceful")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"jobId": "{job}", "force": True}, "force"),
        ({"jobId": "{job}", "maxJobs": 4}, "maxJobs"),
        ({"jobId": "other-prefix"}, "jobId"),
        ({"jobIds": ["e2e-a", "e2e-b", "e2e-c", "{job}"]}, "jobIds"),
        ({"jobId": "{job}", "jobIds": ["{job}"]}, "cancel"),
        ({"jobId": "{job}", "froce": False}, "cancel"),
    ],
)
def test_a_request_for_more_than_the_stack_allows_cancels_nothing(
    canceler: Canceler, request_: dict[str, object], field: str
) -> None:
    job_id = canceler.job("rejected", started=0, queued=1)
    request = json.loads(json.dumps(request_).replace("{job}", job_id))
    report = canceler.invoke({"cancel": request})
    assert report["status"] == "REJECTED"
    assert report["reason"].startswith(f"{field}: ")
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"


def test_a_dry_run_says_what_it_would_do_and_does_nothing(canceler: Canceler) -> None:
    live, gone = canceler.job("dry", started=1), "e2e-never-was"
    report = canceler.invoke({"cancel": {"jobIds": [live, gone], "dryRun": True}})
    assert [job["outcome"] for job in report["jobs"]] == ["WOULD_CANCEL", "GONE"]
    assert canceler.fleet.state(live).status == "IN_PROGRESS"
