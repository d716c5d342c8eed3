"""Stacks whose deletion waits for devices: examples/firmware-rollout.yaml, with real queues and real time."""

import re
import time
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import PATIENT, Canceler, unique
from tools.demo.rollout import Rollout
from tools.fleet.devices import Fleet
from tools.polling import wait_for


@dataclass
class Deletion:
    """The deletion of a roll-out's stack: whether the bucket existed at each check, and the reason if it failed."""

    roll_out: Rollout
    bucket_seen: list[bool]
    reason: str = ""


def reports_on(canceler: Canceler, job_id: str) -> list[tuple[str, str, int]]:
    """Return status, outcome and executions in progress of every run on the job."""
    return [
        (report["status"], job["outcome"], job["executionsLeftInProgress"])
        for report in canceler.log.reports()
        for job in report["jobs"]
        if job["jobId"] == job_id
    ]


def begin_next_second() -> None:
    """Wait for the next second: AWS IoT rounds down the times of a device, which would precede the report otherwise."""
    now = int(time.time())
    wait_for("the next second", lambda: int(time.time()) > now or None, seconds=5)


def delete_while_devices_finish(roll_out: Rollout, canceler: Canceler) -> Deletion:
    """Delete the stack. Each device finishes after one more report has counted it as in progress."""
    seen: list[bool] = []
    roll_out.begin_deletion()
    for device in roll_out.devices:
        wait_for("a report", lambda: len(reports_on(canceler, roll_out.name)) > len(seen) or None, seconds=60)
        begin_next_second()
        seen.append(roll_out.has_bucket())
        assert roll_out.succeed(device)
    roll_out.wait_for_deletion(seconds=60)
    return Deletion(roll_out, [*seen, roll_out.has_bucket()])


@pytest.fixture(scope="module")
def deletion(patient: Canceler) -> Deletion:
    """Delete a roll-out to one device, which finishes before the first poll."""
    roll_out = Rollout(patient.aws, f"rollout-{unique('patience')}", Fleet(patient.aws))
    roll_out.create({"CancelerStack": PATIENT, "WaitForExecutionsMinutes": "2"})
    roll_out.start_devices(1)
    return delete_while_devices_finish(roll_out, patient)


def test_the_bucket_is_deleted_after_the_device_has_reported(deletion: Deletion) -> None:
    assert deletion.bucket_seen == [True, False]
    assert deletion.roll_out.fleet.state(deletion.roll_out.name).executions == {"SUCCEEDED": 1}


def test_a_deletion_waits_for_the_device_before_the_stack_continues(patient: Canceler, deletion: Deletion) -> None:
    lines = [(moment.who, moment.what) for moment in deletion.roll_out.timeline(patient.log)]
    (device,) = deletion.roll_out.devices
    order = [
        ("stack", "DELETE_IN_PROGRESS"),
        ("stack's Teardown", "DELETE_IN_PROGRESS"),
        ("job", "CANCELED"),
        ("canceler", "UNFINISHED, job CANCELED, 1 left in progress"),
        (device, "SUCCEEDED"),
        ("stack's Teardown", "DELETE_COMPLETE"),
        ("stack's Firmware", "DELETE_COMPLETE"),
        ("stack", "DELETE_COMPLETE"),
    ]
    assert [line for line in lines if line in order] == order
    last_poll = lines.index(("canceler", "SETTLED, job ALREADY_CANCELED, 0 left in progress"))
    assert last_poll > lines.index((device, "SUCCEEDED"))


def test_without_force_iam_denies_canceling_executions(patient: Canceler) -> None:
    job_id = patient.job("gentle", prefix="rollout-")
    assert patient.invoke({"cancel": {"jobId": job_id}})["executionsLeftInProgress"] == 1
    with patient.environment(FORCE="true"):
        report = patient.invoke({"cancel": {"jobId": job_id}})
    (job,) = report["jobs"]
    assert (job["outcome"], job["executionsLeftInProgress"]) == ("FAILED", 1)
    assert re.search("AccessDenied.*ListJobExecutionsForJob", job["detail"])


@pytest.mark.parametrize(
    ("tags", "executions"), [({}, {"CANCELED": 1}), ({"cancel-protection": "true"}, {"IN_PROGRESS": 1})]
)
def test_force_cancels_executions_of_canceled_jobs_unless_protected(
    forceful: Canceler, tags: dict[str, str], executions: dict[str, int]
) -> None:
    job_id = forceful.job("by-hand", tags=tags, prefix="forceful-")
    forceful.aws.client("iot").cancel_job(jobId=job_id)
    report = forceful.invoke({"cancel": {"jobId": job_id}})
    assert report["counts"] == {"ALREADY_CANCELED": 1}
    assert report["executionsLeftInProgress"] == executions.get("IN_PROGRESS", 0)
    assert forceful.fleet.state(job_id).executions == executions
