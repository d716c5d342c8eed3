"""Events that select jobs without a request."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.conftest import Canceler, deployed, unique
from tests.e2e.test_selection import outcomes
from tools.polling import wait_for
from tools.simulators.iot_server import IotServer

REGION = "eu-central-1"


def test_jobs_with_the_tag_of_a_stack_are_canceled_when_it_is_deleted(canceler: Canceler) -> None:
    """Only CloudFormation may send the event to a bus, so the test delivers it to the rule's target."""
    name = unique("of-jobs")
    stack_id = f"arn:aws:cloudformation:eu-central-1:000000000000:stack/{name}/11111111-0000-4000-8000-000000000000"
    own = canceler.job("by-tag", queued=1, started=0, tags={"iot-job-canceler:stack-id": stack_id})
    other = canceler.job("by-tag", queued=1, started=0, tags={"iot-job-canceler:stack-id": f"{stack_id}-2"})
    event = {
        "version": "0",
        "id": "e5d0c4f1-0000-4000-8000-000000000000",
        "source": "aws.cloudformation",
        "detail-type": "CloudFormation Stack Status Change",
        "account": "000000000000",
        "region": REGION,
        "time": "2026-11-24T00:00:00Z",
        "resources": [stack_id],
        "detail": {"stack-id": stack_id, "status-details": {"status": "DELETE_COMPLETE", "status-reason": ""}},
    }
    canceler.deliver(event)
    assert outcomes(canceler.report_on(own)) == {own: "CANCELED"}
    assert canceler.fleet.state(other).status == "IN_PROGRESS"


def test_the_schedule_of_the_stack_runs_its_default_sweep(canceler: Canceler) -> None:
    old, now = timedelta(hours=3), datetime.now(UTC)
    parameters = {
        "SweepState": "ENABLED",
        "SweepSchedule": "at(2099-12-31T00:00:00)",
        "SweepJobIdGlob": "stale-*",
        "SweepOlderThanHours": "2",
        "JobIdPrefix": "stale-",
    }
    with (
        deployed(canceler.aws, canceler.build_dir, "sweeper", **parameters) as sweeper,
        IotServer(REGION) as iot,
        sweeper.environment(AWS_ENDPOINT_URL_IOT=iot.url),
    ):
        for job_id, age in {"stale-old": old, "stale-young": timedelta(hours=1), "other-old": old}.items():
            iot.backend.add_job(job_id, created_at=now - age)
        make_due(sweeper)
        wait_for("the sweep", lambda: iot.backend.canceled or None, seconds=60)
        (report,) = [each for each in wait_for_reports(sweeper) if each["trigger"] == "SCHEDULE"]
        assert outcomes(report) == {"stale-old": "CANCELED"}
        assert iot.backend.canceled == ["stale-old"]


def make_due(canceler: Canceler) -> None:
    """Set the schedule of the stack to the current time."""
    scheduler = canceler.aws.client("scheduler")
    (found,) = [
        each for each in scheduler.list_schedules()["Schedules"] if each["Target"]["Arn"] == canceler.service_token
    ]
    schedule = scheduler.get_schedule(Name=found["Name"])
    assert (schedule["State"], schedule["ScheduleExpression"]) == ("ENABLED", "at(2099-12-31T00:00:00)")
    scheduler.update_schedule(
        Name=schedule["Name"],
        State=schedule["State"],
        ScheduleExpression=f"at({datetime.now(UTC):%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow=schedule["FlexibleTimeWindow"],
        Target=schedule["Target"],
    )


def wait_for_reports(canceler: Canceler) -> Any:
    return wait_for("a report", lambda: canceler.log.reports() or None, seconds=30)
