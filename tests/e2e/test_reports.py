"""Reports on the event bus: a user's rule and queue receive them, and no rule of the canceler does."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import Canceler
from tests.e2e.test_iam import without
from tests.e2e.test_triggers import TRIGGERS
from tools.polling import wait_for


@contextmanager
def subscribed(canceler: Canceler, bus: str) -> Iterator[str]:
    """Create a queue for the reports of a bus, as a user of the stack would, and yield its URL."""
    events, sqs = canceler.aws.client("events"), canceler.aws.client("sqs")
    url = sqs.create_queue(QueueName=f"reports-{bus}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["iot-job-canceler"], "detail-type": ["IoT Job Cancellation Report"]}
    rule = events.put_rule(Name=f"reports-{bus}", EventBusName=bus, EventPattern=json.dumps(pattern))["RuleArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    events.put_targets(Rule=f"reports-{bus}", EventBusName=bus, Targets=[{"Id": "Queue", "Arn": arn}])
    try:
        yield url
    finally:
        events.remove_targets(Rule=f"reports-{bus}", EventBusName=bus, Ids=["Queue"])
        events.delete_rule(Name=f"reports-{bus}", EventBusName=bus)
        sqs.delete_queue(QueueUrl=url)


@pytest.fixture(scope="module")
def queue(canceler: Canceler) -> Iterator[str]:
    with subscribed(canceler, "default") as url:
        yield url


def received(canceler: Canceler, queue: str) -> list[dict[str, Any]]:
    """Receive and delete the events that arrived since the last call."""
    messages = canceler.aws.client("sqs").receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    for message in messages:
        canceler.aws.client("sqs").delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
    return [json.loads(message["Body"]) for message in messages]


def event_on(canceler: Canceler, queue: str, job_id: str) -> dict[str, Any]:
    """Wait for the published report on the job. It is in the log too then, so the run is over."""

    def found() -> dict[str, Any] | None:
        for event in received(canceler, queue):
            if any(job["jobId"] == job_id for job in event["detail"]["jobs"]):
                return event
        return None

    event = wait_for(f"an event on {job_id}", found, seconds=60)
    canceler.report_on(job_id)
    return event


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_the_published_report_equals_the_logged_one(canceler: Canceler, queue: str, trigger: str) -> None:
    job_id = canceler.job(f"published-{trigger.lower()}")
    TRIGGERS[trigger](canceler, job_id)
    event = event_on(canceler, queue, job_id)
    assert (event["source"], event["detail-type"]) == ("iot-job-canceler", "IoT Job Cancellation Report")
    assert (event["detail"]["part"], event["detail"]["parts"]) == (1, 1)
    report = canceler.report_on(job_id)
    assert {key: event["detail"][key] for key in report} == report


def test_a_report_starts_no_run(canceler: Canceler, queue: str) -> None:
    """The reports of two requests follow each other: no run for the first report is between them."""
    first, second = canceler.job("first"), canceler.job("second")
    canceler.put_event("ops", "IoT Job Cancellation Requested", {"cancel": {"jobId": first}})
    event_on(canceler, queue, first)
    canceler.put_event("ops", "IoT Job Cancellation Requested", {"cancel": {"jobId": second}})
    event_on(canceler, queue, second)
    jobs = [[job["jobId"] for job in report["jobs"]] for report in canceler.log.reports()]
    assert jobs[jobs.index([first]) :] == [[first], [second]]


def test_a_stack_publishes_to_its_own_bus(forceful: Canceler) -> None:
    job_id = forceful.job("published", prefix="forceful-")
    with subscribed(forceful, "forceful") as queue:
        assert forceful.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}
        assert event_on(forceful, queue, job_id)["detail"]["force"] is True


def test_without_permission_to_publish_the_job_is_canceled_and_a_warning_logged(canceler: Canceler) -> None:
    job_id, before = canceler.job("unpublished"), len(list(canceler.log.lines()))
    with without(canceler, "events:PutEvents"):
        assert canceler.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}
        line = wait_for(
            "a warning",
            lambda: (
                [
                    each
                    for each in list(canceler.log.lines())[before:]
                    if "failed to publish the complete report" in each
                ]
                or None
            ),
            seconds=30,
        )
    assert "AccessDenied" in line[-1]
