"""Stacks whose deletion waits for devices for a minute or more: examples/firmware-rollout.yaml."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.e2e.conftest import PATIENT, Canceler, unique
from tests.e2e.test_answers import STACK_ID
from tests.e2e.test_waits import Played, play_patience, reports_on
from tools.demo.rollout import Rollout
from tools.errors import StackFailed
from tools.fleet.devices import Fleet
from tools.localaws import sam, stacks
from tools.polling import wait_for


def play_a_device_that_never_ends(roll_out: Rollout, _canceler: Canceler) -> Played:
    roll_out.begin_deletion()
    try:
        roll_out.wait_for_deletion(seconds=120)
    except StackFailed as failure:
        return Played(roll_out, [roll_out.has_bucket()], str(failure))
    return Played(roll_out, [roll_out.has_bucket()])


SCENES: dict[str, tuple[int, dict[str, str], Callable[[Rollout, Canceler], Played]]] = {
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
        roll_outs[name].create({"CancelerStack": PATIENT, **parameters})
        roll_outs[name].start_devices(devices)
    with ThreadPoolExecutor(len(SCENES)) as pool:
        playing = {name: pool.submit(SCENES[name][2], roll_out, patient) for name, roll_out in roll_outs.items()}
        return {name: each.result() for name, each in playing.items()}


def test_a_wait_takes_as_many_invocations_as_its_interval_says(patient: Canceler, played: dict[str, Played]) -> None:
    """The cancel, and looks after 20 and 40 s."""
    scene = played["rollout-patience"]
    assert (scene.reason, scene.bucket_seen) == ("", [True, True, False])
    assert scene.roll_out.fleet.state("rollout-patience").executions == {"SUCCEEDED": 2}
    assert reports_on(patient, "rollout-patience") == [
        ("UNFINISHED", "CANCELED", 2),
        ("UNFINISHED", "ALREADY_CANCELED", 1),
        ("SETTLED", "ALREADY_CANCELED", 0),
    ]


def test_a_device_that_never_ends_fails_the_deletion_once_the_time_is_up_and_is_named(
    patient: Canceler, played: dict[str, Played]
) -> None:
    """The cancel, and looks after 20, 40 and 60 s. MiniStack deletes the bucket then; CloudFormation would keep it."""
    scene = played["rollout-fail"]
    assert "is in DELETE_FAILED" in scene.reason
    assert "timed out after 1 min: 1 device still runs job rollout-fail" in scene.reason
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
    assert warnings == ["timed out after 1 min: 3 devices still run job rollout-continue"]
    assert [line["TeardownsContinued"] for line in lines if "TeardownsContinued" in line] == [[1.0]]


def test_the_deletion_again_with_force_on_the_canceler_ends_what_was_left(
    patient: Canceler, played: dict[str, Played]
) -> None:
    roll_out = played["rollout-fail"].roll_out
    try:
        sam.deploy(patient.aws, {"Force": "true"}, build_dir=patient.build_dir, stack_name=PATIENT)
        stacks.delete(patient.aws, "rollout-fail")
    finally:
        sam.deploy(patient.aws, {"Force": "false"}, build_dir=patient.build_dir, stack_name=PATIENT)
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


@pytest.mark.usefixtures("played")
def test_duplicates_of_a_delete_are_each_answered_in_the_end_with_one_message_in_flight_at_a_time(
    patient: Canceler,
) -> None:
    job_id, bucket, keys = patient.job("doubled", prefix="rollout-"), unique("answers"), ("first", "second", "third")
    s3 = patient.aws.client("s3")
    s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    properties = {"JobId": job_id, "WaitForExecutionsMinutes": "1", "ServiceTimeout": "600"}
    events = [
        {
            "RequestType": "Delete",
            "ResponseURL": s3.generate_presigned_url("put_object", {"Bucket": bucket, "Key": key}),
            "RequestId": "0d0b1ed0-0000-4000-8000-000000000000",
            "StackId": STACK_ID,
            "LogicalResourceId": "Teardown",
            "PhysicalResourceId": job_id,
            "ResourceProperties": properties,
        }
        for key in keys
    ]

    def answers() -> dict[str, Any]:
        """Return what was put there for CloudFormation."""
        there = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", [])]
        return {key: json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in there}

    for event in (*events, events[0], events[0]):
        patient.invoke_asynchronously(event)
    wait_for("five runs and a look at the device", lambda: len(reports_on(patient, job_id)) >= 6 or None, seconds=60)
    assert answers() == {}
    assert patient.fleet.succeed(f"{job_id}-device-0", job_id)
    most = 0

    def all_answered() -> bool | None:
        nonlocal most
        most = max(most, in_flight(patient))
        return len(answers()) == len(keys) or None

    wait_for("three answers", all_answered, seconds=60)
    assert most == 1
    assert {key: answer["Status"] for key, answer in answers().items()} == dict.fromkeys(keys, "SUCCESS")
    assert [status for status, _, _ in reports_on(patient, job_id)].count("SETTLED") == 3
    wait_for("an empty queue", lambda: in_flight(patient) == 0 or None, seconds=10)
