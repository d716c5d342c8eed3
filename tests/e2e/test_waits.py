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
class Played:
    """A roll-out whose stack was deleted, and what was seen. `reason`: why it could not be."""

    roll_out: Rollout
    bucket_seen: list[bool]
    reason: str = ""


def reports_on(canceler: Canceler, job_id: str) -> list[tuple[str, str, int]]:
    """Status, outcome and executions left of every run that spoke of the job."""
    return [
        (report["status"], job["outcome"], job["executionsLeftInProgress"])
        for report in canceler.log.reports()
        for job in report["jobs"]
        if job["jobId"] == job_id
    ]


def begin_next_second() -> None:
    """IoT rounds the times of a device down to seconds, so in the same second it would seem earlier than the report."""
    now = int(time.time())
    wait_for("the next second", lambda: int(time.time()) > now or None, seconds=5)


def play_patience(roll_out: Rollout, canceler: Canceler) -> Played:
    """Each device is done after one more report has counted it as in progress."""
    seen: list[bool] = []
    roll_out.begin_deletion()
    for device in roll_out.devices:
        wait_for("a report", lambda: len(reports_on(canceler, roll_out.name)) > len(seen) or None, seconds=60)
        begin_next_second()
        seen.append(roll_out.has_bucket())
        assert roll_out.succeed(device)
    roll_out.wait_for_deletion(seconds=60)
    return Played(roll_out, [*seen, roll_out.has_bucket()])


@pytest.fixture(scope="module")
def played(patient: Canceler) -> Played:
    """A roll-out to one device, which is done before the first look at it."""
    roll_out = Rollout(patient.aws, f"rollout-{unique('patience')}", Fleet(patient.aws))
    roll_out.create({"CancelerStack": PATIENT, "WaitForExecutionsMinutes": "2"})
    roll_out.start_devices(1)
    return play_patience(roll_out, patient)


def test_a_stack_keeps_its_bucket_until_the_device_has_reported(played: Played) -> None:
    assert played.bucket_seen == [True, False]
    assert played.roll_out.fleet.state(played.roll_out.name).executions == {"SUCCEEDED": 1}


def test_the_time_line_of_a_deletion_is_device_then_canceler_then_stack(patient: Canceler, played: Played) -> None:
    lines = [(moment.who, moment.what) for moment in played.roll_out.timeline(patient.log)]
    (device,) = played.roll_out.devices
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
    last_look = lines.index(("canceler", "SETTLED, job ALREADY_CANCELED, 0 left in progress"))
    assert last_look > lines.index((device, "SUCCEEDED"))


def test_without_force_the_role_can_not_end_an_execution_even_if_the_code_would(patient: Canceler) -> None:
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
def test_with_force_a_job_that_was_cancelled_by_hand_has_its_executions_ended_unless_it_is_protected(
    forceful: Canceler, tags: dict[str, str], executions: dict[str, int]
) -> None:
    job_id = forceful.job("by-hand", tags=tags, prefix="forceful-")
    forceful.aws.client("iot").cancel_job(jobId=job_id)
    report = forceful.invoke({"cancel": {"jobId": job_id}})
    assert report["counts"] == {"ALREADY_CANCELED": 1}
    assert report["executionsLeftInProgress"] == executions.get("IN_PROGRESS", 0)
    assert forceful.fleet.state(job_id).executions == executions
