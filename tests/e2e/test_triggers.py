"""Each trigger through the deployed services, with and without force."""

import json

import pytest

from tests.e2e.conftest import Canceler
from tools.errors import SamFailed
from tools.localaws import sam
from tools.localaws.reports import JobReport
from tools.polling import wait_for


def by_teardown(canceler: Canceler, job_id: str) -> None:
    canceler.triggers.create_stack_of(job_id)
    canceler.triggers.delete_stack_of(job_id)


def by_schedule(canceler: Canceler, job_id: str) -> None:
    canceler.triggers.schedule(job_id, {"jobId": job_id})


def by_request_event(canceler: Canceler, job_id: str) -> None:
    canceler.triggers.request({"jobIds": [job_id]})


def by_alarm(canceler: Canceler, job_id: str) -> None:
    canceler.triggers.raise_alarm(job_id)


def by_cloudtrail(canceler: Canceler, job_id: str) -> None:
    """Send a CloudTrail record, as a user's rule passes it on unchanged."""
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
    canceler.invoke_asynchronously(record)


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
def test_without_force_a_started_execution_continues_and_is_counted(canceler: Canceler, trigger: str) -> None:
    job_id = canceler.job(trigger.lower(), queued=2, started=1)
    TRIGGERS[trigger](canceler, job_id)
    arn = canceler.described(job_id)["jobArn"]
    assert canceler.report_on(job_id)["jobs"] == [
        JobReport(jobId=job_id, outcome="CANCELED", detail="", executionsLeftInProgress=1, jobArn=arn)
    ]
    assert canceler.fleet.state(job_id).executions == {"CANCELED": 2, "IN_PROGRESS": 1}
    described = canceler.described(job_id)
    assert (described["status"], described["forceCanceled"]) == ("CANCELED", False)
    assert described["reasonCode"] == REASONS[trigger]
    assert canceler.fleet.succeed(f"{job_id}-device-0", job_id), "the device may still report"


def test_with_force_no_execution_remains(forceful: Canceler) -> None:
    job_id = forceful.job("direct", queued=1, started=1, prefix="forceful-")
    report = forceful.invoke({"cancel": {"jobId": job_id}})
    assert (report["status"], report["force"], report["executionsLeftInProgress"]) == ("SETTLED", True, 0)
    assert forceful.fleet.state(job_id).executions == {"CANCELED": 2}


def test_a_request_on_another_bus_does_not_reach_the_function(canceler: Canceler, forceful: Canceler) -> None:
    """The stack on the default bus rejects its event, because it has another prefix."""
    job_id = forceful.job("bus", started=0, queued=1, prefix="forceful-")
    detail = json.dumps({"cancel": {"jobId": job_id}})
    events = forceful.aws.client("events")
    ids = {}
    for bus in ("default", "forceful"):
        result = events.put_events(
            Entries=[
                {
                    "EventBusName": bus,
                    "Source": bus,
                    "DetailType": "IoT Job Cancellation Requested",
                    "Detail": detail,
                }
            ]
        )
        ids[bus] = result["Entries"][0]["EventId"]
    wait_for("the rejection", lambda: reports_of(canceler, ids["default"]) or None, seconds=60)
    forceful.report_on(job_id)
    assert forceful.described(job_id)["comment"].endswith("from forceful")
    assert (reports_of(canceler, ids["forceful"]), reports_of(forceful, ids["default"])) == ([], [])


def test_a_sweep_without_a_glob_is_not_deployed(canceler: Canceler) -> None:
    with pytest.raises(SamFailed, match="SweepJobIdGlob must be set if SweepState is ENABLED"):
        sam.deploy(canceler.aws, {"SweepState": "ENABLED"}, build_dir=canceler.build_dir)


def reports_of(canceler: Canceler, event_id: str) -> list[str]:
    return [line for line in canceler.log.lines() if event_id in line and '"message": "report"' in line]
