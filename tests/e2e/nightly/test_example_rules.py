"""Rules, alarms and schedules of examples/ cancel their jobs, and no others."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.conftest import ALARM_PREFIX, Canceler, unique
from tools.errors import NotDelivered
from tools.localaws import sam, stacks
from tools.localaws.aws import LocalAws
from tools.polling import wait_for

EXAMPLES = sam.ROOT / "examples"
EVENTS = sam.ROOT / "events"


@contextmanager
def stack_of(aws: LocalAws, example: str, name: str, parameters: Mapping[str, str]) -> Iterator[Mapping[str, str]]:
    """Deploy an example for the block, which gets its outputs, and delete it afterwards."""
    try:
        yield stacks.create(aws, name, (EXAMPLES / example).read_text(), parameters)
    finally:
        stacks.delete(aws, name)


def test_an_alarm_on_failed_devices_cancels_the_job(canceler: Canceler) -> None:
    job_id, other = canceler.job("watched", started=2), canceler.job("other")
    parameters = {"JobId": job_id, "AlarmNamePrefix": ALARM_PREFIX, "FailedDevices": "2"}
    with stack_of(canceler.aws, "alarm.yaml", unique("guard"), parameters) as outputs:
        alarm = outputs["Alarm"]
        fail(canceler.aws, job_id, devices=1)
        with pytest.raises(NotDelivered):  # the alarm goes to OK
            canceler.triggers.send_alarm_event(alarm)
        assert canceler.statuses(job_id, other) == ["IN_PROGRESS", "IN_PROGRESS"]
        fail(canceler.aws, job_id, devices=2)
        canceler.triggers.send_alarm_event(alarm)
        assert canceler.report_on(job_id)["counts"] == {"CANCELED": 1}
    assert canceler.statuses(job_id, other) == ["CANCELED", "IN_PROGRESS"]
    assert canceler.described(job_id)["comment"] == f"Requested by alarm {alarm}"


def test_an_alarm_without_the_prefix_is_not_delivered(canceler: Canceler) -> None:
    job_id = canceler.job("unwatched")
    parameters = {"JobId": job_id, "FailedDevices": "1"}
    with stack_of(canceler.aws, "alarm.yaml", unique("guard"), parameters) as outputs:
        assert outputs["Alarm"] == f"cancel-job-{job_id}"
        fail(canceler.aws, job_id, devices=1)
        with pytest.raises(NotDelivered):
            canceler.triggers.send_alarm_event(outputs["Alarm"])
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]


def fail(aws: LocalAws, job_id: str, devices: int) -> None:
    """Publish the metric of AWS IoT for a job on which `devices` devices have failed."""
    aws.client("cloudwatch").put_metric_data(
        Namespace="AWS/IoT",
        MetricData=[
            {
                "MetricName": "FailedJobExecutionTotalCount",
                "Dimensions": [{"Name": "JobId", "Value": job_id}],
                "Value": devices,
            }
        ],
    )


@dataclass(frozen=True)
class Deployed:
    outputs: Mapping[str, str]
    account: str
    region: str


APPROVED, ALSO_APPROVED = "fleet-deployer", "ci/fleet-deployer"


@pytest.fixture(scope="module")
def job_guard(canceler: Canceler) -> Iterator[Deployed]:
    region, account = canceler.service_token.split(":")[3:5]
    roles = ",".join(f"arn:aws:iam::{account}:role/{role}" for role in (APPROVED, ALSO_APPROVED))
    parameters = {"ApprovedRoleArns": roles}
    with stack_of(canceler.aws, "unapproved-jobs.yaml", "job-guard", parameters) as outputs:
        yield Deployed(outputs, account, region)


def recorded(guard: Deployed, job_id: str, identity: Mapping[str, object], **changed: object) -> dict[str, Any]:
    """Return CloudTrail's event of the CreateJob."""
    event: dict[str, Any] = json.loads((EVENTS / "cloudtrail-create-job.json").read_text())
    event |= {"account": guard.account, "region": guard.region}
    event["detail"] |= {"userIdentity": identity, "requestParameters": {"jobId": job_id}, **changed}
    return event


def session_of(guard: Deployed, role: str) -> dict[str, object]:
    issuer = {"type": "Role", "arn": f"arn:aws:iam::{guard.account}:role/{role}"}
    return {"type": "AssumedRole", "sessionContext": {"sessionIssuer": issuer}}


UNAPPROVED: dict[str, Callable[[Deployed], dict[str, object]]] = {
    "another role": lambda guard: session_of(guard, "developer"),
    "a role whose name begins like an approved one": lambda guard: session_of(guard, f"{APPROVED}-2"),
    "an IAM user": lambda guard: {"type": "IAMUser", "arn": f"arn:aws:iam::{guard.account}:user/{APPROVED}"},
    "the root user in the console": lambda guard: {
        "type": "Root",
        "arn": f"arn:aws:iam::{guard.account}:root",
        "sessionContext": {"sessionIssuer": {}, "attributes": {"mfaAuthenticated": "false"}},
    },
    "an AWS service": lambda _guard: {"type": "AWSService", "invokedBy": "iot.amazonaws.com"},
}


@pytest.mark.parametrize("who", UNAPPROVED)
def test_a_job_of_an_unapproved_identity_is_canceled(canceler: Canceler, job_guard: Deployed, who: str) -> None:
    job_id, other = canceler.job("unapproved"), canceler.job("other")
    canceler.deliver(recorded(job_guard, job_id, UNAPPROVED[who](job_guard)))
    assert canceler.report_on(job_id)["counts"] == {"CANCELED": 1}
    assert canceler.statuses(job_id, other) == ["CANCELED", "IN_PROGRESS"]


@pytest.mark.parametrize("role", [APPROVED, ALSO_APPROVED])
def test_a_job_of_an_approved_role_stays_active(canceler: Canceler, job_guard: Deployed, role: str) -> None:
    job_id = canceler.job("approved")
    with pytest.raises(NotDelivered):
        canceler.deliver(recorded(job_guard, job_id, session_of(job_guard, role)))
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]


@pytest.mark.parametrize(
    "changed", [{"errorCode": "AccessDenied"}, {"eventName": "CancelJob"}, {"eventName": "DescribeJob"}]
)
def test_only_a_successful_create_job_is_delivered(
    canceler: Canceler, job_guard: Deployed, changed: dict[str, str]
) -> None:
    job_id = canceler.job("recorded")
    with pytest.raises(NotDelivered):
        canceler.deliver(recorded(job_guard, job_id, session_of(job_guard, "developer"), **changed))
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]


def test_the_rule_may_invoke_the_canceler(canceler: Canceler, job_guard: Deployed) -> None:
    """AWS's EventBridge checks this permission; MiniStack's does not."""
    rule = job_guard.outputs["Rule"]
    policy = json.loads(canceler.aws.client("lambda").get_policy(FunctionName=canceler.function_name)["Policy"])
    (statement,) = [each for each in policy["Statement"] if rule in json.dumps(each)]
    assert (statement["Effect"], statement["Action"]) == ("Allow", "lambda:InvokeFunction")
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert list(statement["Condition"].values()) == [{"AWS:SourceArn": rule}]


def test_the_weekly_sweep_cancels_matching_old_jobs(canceler: Canceler) -> None:
    stale, other, name = canceler.job("nightly", started=0, queued=1), canceler.job("other"), unique("sweep")
    due = datetime.now(UTC) + timedelta(seconds=6)  # the job is older than OlderThanHours then
    parameters = {
        "JobIdGlob": stale.replace("nightly", "night*"),
        "OlderThanHours": "0.001",
        "Schedule": f"at({due:%Y-%m-%dT%H:%M:%S})",
    }
    with stack_of(canceler.aws, "weekly-sweep.yaml", name, parameters) as outputs:
        arn = canceler.described(stale)["jobArn"]
        assert canceler.report_on(stale)["jobs"] == [
            {"jobId": stale, "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 0, "jobArn": arn}
        ]
        assert may_invoke(canceler.aws, outputs["Role"], canceler.service_token)
        assert not may_invoke(canceler.aws, outputs["Role"], f"{canceler.service_token}-2")
    assert canceler.statuses(stale, other) == ["CANCELED", "IN_PROGRESS"]
    described = canceler.described(stale)
    assert (described["reasonCode"], described["comment"]) == ("WEEKLY_SWEEP", f"swept by stack {name}")


def may_invoke(aws: LocalAws, role: str, function: str) -> bool:
    """AWS's Scheduler checks this permission; MiniStack's does not."""
    response = aws.client("iam").simulate_principal_policy(
        PolicySourceArn=role, ActionNames=["lambda:InvokeFunction"], ResourceArns=[function]
    )
    return response["EvaluationResults"][0]["EvalDecision"] == "allowed"


def test_the_weekly_sweep_has_its_schedule_and_age(canceler: Canceler) -> None:
    glob = f"e2e-{unique('young')}-*"
    with stack_of(canceler.aws, "weekly-sweep.yaml", "sweep", {"JobIdGlob": glob}) as outputs:
        schedule = canceler.aws.client("scheduler").get_schedule(Name=outputs["Schedule"])
    assert schedule["ScheduleExpression"] == "cron(0 3 ? * SUN *)"
    assert schedule["State"] == "ENABLED"
    assert json.loads(schedule["Target"]["Input"]) == {
        "cancel": {
            "select": {"jobIdGlob": glob, "olderThanHours": 168},
            "reasonCode": "WEEKLY_SWEEP",
            "comment": "swept by stack sweep",
        }
    }


@contextmanager
def subscribed(aws: LocalAws, topic: str) -> Iterator[str]:
    """Subscribe a new queue to the topic for the block, which gets the queue's URL."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    url = sqs.create_queue(QueueName="owners")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    allow = {"Effect": "Allow", "Principal": {"Service": "sns.amazonaws.com"}, "Action": "sqs:SendMessage"}
    policy = {"Version": "2012-10-17", "Statement": [allow | {"Resource": arn}]}
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    raw = {"RawMessageDelivery": "true"}
    subscription = sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes=raw, ReturnSubscriptionArn=True
    )
    try:
        yield url
    finally:
        sns.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
        sqs.delete_queue(QueueUrl=url)


def texts_in(aws: LocalAws, queue: str) -> list[str]:
    """Receive the messages that arrived since the last call, and that stay invisible."""
    messages = aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in messages]


def next_text(aws: LocalAws, queue: str) -> str:
    (text,) = wait_for("a text of the topic", lambda: texts_in(aws, queue), seconds=60)
    return text


def run_in_a_moment(aws: LocalAws, name: str) -> None:
    """Create a schedule with the target of the deployed one that runs once, in a moment."""
    scheduler, due = aws.client("scheduler"), datetime.now(UTC) + timedelta(seconds=2)
    scheduler.create_schedule(
        Name=f"{name}-now",
        ScheduleExpression=f"at({due:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target=scheduler.get_schedule(Name=name)["Target"],
    )


def as_on_aws(aws: LocalAws, rule: str, report: Mapping[str, Any]) -> str:
    """Return the text of the rule for a report. Unlike EventBridge, the local AWS leaves the paths with [*] empty."""
    (target,) = aws.client("events").list_targets_by_rule(Rule=rule.rpartition("/")[2])["Targets"]
    text = target["InputTransformer"]["InputTemplate"]
    for name, path in target["InputTransformer"]["InputPathsMap"].items():
        assert path.startswith("$.detail.")
        key, _, field = path.removeprefix("$.detail.").partition("[*].")
        value = [each[field] for each in report[key]] if field else report[key]
        text = text.replace(f"<{name}>", value if isinstance(value, str) else json.dumps(value).replace('"', ""))
    return text


def without_lists(lines: Sequence[str]) -> list[str]:
    return [re.sub(r"\[.*\]$", "", line) for line in lines]


def lines_of(text: str) -> list[str]:
    """Return the lines of the text, which EventBridge leaves in quotation marks."""
    lines = text.splitlines()
    assert all(line[0] == line[-1] == '"' for line in lines)
    return [line[1:-1] for line in lines]


def test_owners_get_the_announcement_and_their_veto_counts(canceler: Canceler) -> None:
    aws, batch, name = canceler.aws, unique("swept"), unique("announced")
    stale, vetoed, other = canceler.job("1", batch=batch), canceler.job("2", batch=batch), canceler.job("other")
    glob = f"e2e-{batch}-*"
    ages = {"AnnounceAfterHours": "0.001", "CancelAfterHours": "0.001"}
    with (
        stack_of(aws, "announced-sweep.yaml", name, {"JobIdGlob": glob, "Email": "a@example.com", **ages}) as outputs,
        subscribed(aws, outputs["Topic"]) as queue,
    ):
        schedules = [aws.client("scheduler").get_schedule(Name=outputs[each]) for each in ("Announcement", "Sweep")]
        assert [each["ScheduleExpression"] for each in schedules] == ["cron(0 8 ? * MON *)", "cron(0 8 ? * TUE *)"]
        assert may_invoke(aws, outputs["Role"], canceler.service_token)
        assert not may_invoke(aws, outputs["Role"], f"{canceler.service_token}-2")

        canceler.invoke({"cancel": {"select": {"jobIdGlob": glob}, "dryRun": True}})  # by a person: not announced
        run_in_a_moment(aws, outputs["Announcement"])
        place = f"Account 000000000000, Region eu-central-1, stack {name}."
        command = (
            "aws iot tag-resource --region eu-central-1 "
            "--resource-arn arn:aws:iot:eu-central-1:000000000000:job/JOB_ID --tags Key=cancel-protection,Value=true"
        )
        announced = [
            "AWS IoT jobs will be canceled on TUE at 8:00 UTC. Nothing is canceled before.",
            place,
            f"Jobs: [{stale}, {vetoed}]",
            "Expected outcome of each job: [WOULD_CANCEL, WOULD_CANCEL]",
            "Number of jobs with each outcome: {WOULD_CANCEL: 2}",
            "WOULD_CANCEL: the job is canceled if it is still active then. PROTECTED: the job has the protection tag.",
            "Status of the announcement: SETTLED 2 active jobs matched",
            "To keep a job, insert its ID for JOB_ID in this command:",
            command,
        ]
        assert lines_of(next_text(aws, queue)) == without_lists(announced)
        assert lines_of(as_on_aws(aws, outputs["AnnouncementRule"], canceler.report_on(stale))) == announced
        assert canceler.statuses(stale, vetoed, other) == ["IN_PROGRESS", "IN_PROGRESS", "IN_PROGRESS"]

        arn = command.split()[6].replace("JOB_ID", vetoed)
        aws.client("iot").tag_resource(resourceArn=arn, tags=[{"Key": "cancel-protection", "Value": "true"}])
        run_in_a_moment(aws, outputs["Sweep"])
        swept = [
            "The announced cancellation of AWS IoT jobs is over: UNSETTLED 2 active jobs matched",
            place,
            f"Jobs: [{stale}, {vetoed}]",
            "Outcome of each job: [CANCELED, PROTECTED]",
            "Number of jobs with each outcome: {CANCELED: 1, PROTECTED: 1}",
        ]
        assert lines_of(next_text(aws, queue)) == without_lists(swept)
        assert lines_of(as_on_aws(aws, outputs["SweepRule"], canceler.report_on(stale))) == swept
        assert canceler.statuses(stale, vetoed, other) == ["CANCELED", "IN_PROGRESS", "IN_PROGRESS"]
        assert texts_in(aws, queue) == []
    described = canceler.described(stale)
    assert (described["reasonCode"], described["comment"]) == (
        "ANNOUNCED_SWEEP",
        f"announced and swept by stack {name}",
    )
