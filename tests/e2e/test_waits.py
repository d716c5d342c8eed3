"""Stacks whose deletion waits for devices: examples/firmware-rollout.yaml, with real queues and real time."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Canceler, deployed
from tests.e2e.test_answers import STACK_ID
from tools.demo.rollout import Rollout
from tools.errors import StackFailed
from tools.fleet.devices import Fleet
from tools.localaws import sam, stacks
from tools.localaws.aws import LocalAws
from tools.polling import wait_for

STACK, BUS = "patient", "patient"


@pytest.fixture(scope="module")
def patient(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """A canceler without force, on a bus of its own."""
    aws.client("events").create_event_bus(Name=BUS)
    yield from deployed(aws, build_dir, STACK, Force="false", JobIdPrefix="rollout-", EventBusName=BUS)


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


def at(began: float, seconds: float, act: Callable[[], Any]) -> Any:
    """Act when so much time has passed, as a device does."""
    wait_for(f"{seconds} s", lambda: True if time.monotonic() - began > seconds else None, seconds=seconds + 5)
    return act()


def play_patience(roll_out: Rollout) -> Played:
    """Two devices that are done 10 s and 30 s after the deletion began."""
    began, seen = time.monotonic(), []
    roll_out.begin_deletion()
    for seconds, device in ((10, roll_out.devices[0]), (30, roll_out.devices[1])):
        seen.append(at(began, seconds, roll_out.has_bucket))
        assert roll_out.succeed(device)
    roll_out.wait_for_deletion(seconds=60)
    return Played(roll_out, [*seen, roll_out.has_bucket()])


def play_a_device_that_never_ends(roll_out: Rollout) -> Played:
    roll_out.begin_deletion()
    try:
        roll_out.wait_for_deletion(seconds=120)
    except StackFailed as failure:
        return Played(roll_out, [roll_out.has_bucket()], str(failure))
    return Played(roll_out, [roll_out.has_bucket()])


SCENES: dict[str, tuple[int, dict[str, str], Callable[[Rollout], Played]]] = {
    "rollout-patience": (2, {"WaitForExecutionsMinutes": "2"}, play_patience),
    "rollout-fail": (1, {"WaitForExecutionsMinutes": "1"}, play_a_device_that_never_ends),
    "rollout-continue": (
        3,
        {"WaitForExecutionsMinutes": "1", "OnIncomplete": "CONTINUE"},
        play_a_device_that_never_ends,
    ),
}


@pytest.fixture(scope="module")
def played(patient: Canceler) -> dict[str, Played]:
    """All scenes at the same time, since each of them takes its time."""
    roll_outs = {name: Rollout(patient.aws, name, Fleet(patient.aws)) for name in SCENES}
    for name, (devices, parameters, _) in SCENES.items():
        roll_outs[name].create({"CancelerStack": STACK, **parameters})
        roll_outs[name].start_devices(devices)
    with ThreadPoolExecutor(len(SCENES)) as pool:
        playing = {name: pool.submit(SCENES[name][2], roll_out) for name, roll_out in roll_outs.items()}
        return {name: each.result() for name, each in playing.items()}


def test_a_stack_keeps_its_bucket_until_every_device_has_reported(played: dict[str, Played]) -> None:
    scene = played["rollout-patience"]
    assert scene.bucket_seen == [True, True, False]
    assert scene.roll_out.fleet.state("rollout-patience").executions == {"SUCCEEDED": 2}


def test_a_wait_takes_as_many_invocations_as_its_interval_says(patient: Canceler, played: dict[str, Played]) -> None:
    """The cancel, and looks after 20 and 40 s."""
    assert played["rollout-patience"].reason == ""
    assert reports_on(patient, "rollout-patience") == [
        ("UNFINISHED", "CANCELED", 2),
        ("UNFINISHED", "ALREADY_CANCELED", 1),
        ("SETTLED", "ALREADY_CANCELED", 0),
    ]


def test_the_time_line_of_a_deletion_is_device_then_canceler_then_stack(
    patient: Canceler, played: dict[str, Played]
) -> None:
    lines = [(moment.who, moment.what) for moment in played["rollout-patience"].roll_out.timeline(patient.log)]
    order = [
        ("stack", "DELETE_IN_PROGRESS"),
        ("stack's Teardown", "DELETE_IN_PROGRESS"),
        ("job", "CANCELED"),
        ("canceler", "UNFINISHED, job CANCELED, 2 left in progress"),
        ("rollout-patience-device-1", "SUCCEEDED"),
        ("canceler", "UNFINISHED, job ALREADY_CANCELED, 1 left in progress"),
        ("rollout-patience-device-2", "SUCCEEDED"),
        ("stack's Teardown", "DELETE_COMPLETE"),
        ("stack's Firmware", "DELETE_COMPLETE"),
        ("stack", "DELETE_COMPLETE"),
    ]
    assert [line for line in lines if line in order] == order
    last_look = lines.index(("canceler", "SETTLED, job ALREADY_CANCELED, 0 left in progress"))
    assert last_look > lines.index(("rollout-patience-device-2", "SUCCEEDED"))


def test_a_device_that_never_ends_fails_the_deletion_once_the_time_is_up_and_is_named(
    patient: Canceler, played: dict[str, Played]
) -> None:
    """The cancel, and looks after 20, 40 and 60 s. MiniStack deletes the bucket then; CloudFormation would keep it."""
    scene = played["rollout-fail"]
    assert "is in DELETE_FAILED" in scene.reason
    assert "after 1 min, 1 device still runs job rollout-fail" in scene.reason
    assert reports_on(patient, "rollout-fail") == [
        ("UNFINISHED", "CANCELED", 1),
        ("UNFINISHED", "ALREADY_CANCELED", 1),
        ("UNFINISHED", "ALREADY_CANCELED", 1),
        ("UNSETTLED", "ALREADY_CANCELED", 1),
    ]


def test_with_continue_the_stack_is_gone_and_a_warning_and_a_metric_tell(
    patient: Canceler, played: dict[str, Played]
) -> None:
    scene = played["rollout-continue"]
    assert (scene.reason, scene.bucket_seen) == ("", [False])
    assert scene.roll_out.fleet.state("rollout-continue").executions == {"IN_PROGRESS": 3}
    lines = [json.loads(line) for line in patient.log.lines() if line.startswith("{")]
    warnings = [line["message"] for line in lines if line.get("level") == "WARNING" and line["message"] != "report"]
    assert warnings == ["after 1 min, 3 devices still run job rollout-continue"]
    assert [line["TeardownsContinued"] for line in lines if "TeardownsContinued" in line] == [[1.0]]


def test_the_deletion_again_with_force_on_the_canceler_ends_what_was_left(
    patient: Canceler, played: dict[str, Played]
) -> None:
    roll_out = played["rollout-fail"].roll_out
    try:
        sam.deploy(patient.aws, {"Force": "true"}, build_dir=patient.build_dir, stack_name=STACK)
        stacks.delete(patient.aws, "rollout-fail")
    finally:
        sam.deploy(patient.aws, {"Force": "false"}, build_dir=patient.build_dir, stack_name=STACK)
    assert roll_out.fleet.state("rollout-fail").executions == {"CANCELED": 1}
    assert not roll_out.succeed(roll_out.devices[0])
    assert not roll_out.has_bucket()
    assert reports_on(patient, "rollout-fail")[-1] == ("SETTLED", "ALREADY_CANCELED", 0)


def in_flight(canceler: Canceler) -> int:
    url = canceler.outputs["TeardownQueueUrl"]
    attributes = canceler.aws.client("sqs").get_queue_attributes(
        QueueUrl=url, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )["Attributes"]
    return int(attributes["ApproximateNumberOfMessagesNotVisible"])


def answer_in(canceler: Canceler, key: str) -> Any:
    """What was put there for CloudFormation, or None."""
    s3 = canceler.aws.client("s3")
    if key not in {each["Key"] for each in s3.list_objects_v2(Bucket="answers").get("Contents", [])}:
        return None
    return json.loads(s3.get_object(Bucket="answers", Key=key)["Body"].read())


@pytest.mark.usefixtures("played")
def test_duplicates_of_a_delete_are_each_answered_in_the_end_with_one_message_in_flight_at_a_time(
    patient: Canceler,
) -> None:
    job_id = patient.job("doubled", prefix="rollout-")
    s3 = patient.aws.client("s3")
    s3.create_bucket(Bucket="answers", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    properties = {"JobId": job_id, "WaitForExecutionsMinutes": "1", "ServiceTimeout": "600"}
    events = [
        {
            "RequestType": "Delete",
            "ResponseURL": s3.generate_presigned_url("put_object", {"Bucket": "answers", "Key": key}),
            "RequestId": "0d0b1ed0-0000-4000-8000-000000000000",
            "StackId": STACK_ID,
            "LogicalResourceId": "Teardown",
            "PhysicalResourceId": job_id,
            "ResourceProperties": properties,
        }
        for key in ("first", "second", "third")
    ]
    for event in (*events, events[0], events[0]):
        patient.invoke_asynchronously(event)
    wait_for("five runs", lambda: len(reports_on(patient, job_id)) == 5 or None, seconds=20)
    wait_for("a look at the device", lambda: len(reports_on(patient, job_id)) == 6 or None, seconds=30)
    assert [answer_in(patient, key) for key in ("first", "second", "third")] == [None, None, None]
    assert patient.fleet.succeed(f"{job_id}-device-0", job_id)
    most = 0

    def all_answered() -> bool | None:
        nonlocal most
        most = max(most, in_flight(patient))
        return all(answer_in(patient, key) for key in ("first", "second", "third")) or None

    wait_for("three answers", all_answered, seconds=60)
    assert most == 1
    assert {answer_in(patient, key)["Status"] for key in ("first", "second", "third")} == {"SUCCESS"}
    assert [status for status, _, _ in reports_on(patient, job_id)].count("SETTLED") == 3
    wait_for("an empty queue", lambda: in_flight(patient) == 0 or None, seconds=10)


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
