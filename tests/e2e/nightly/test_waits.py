"""Stacks whose deletion waits for devices for a minute or more: examples/firmware-rollout.yaml."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import PATIENT, Canceler
from tests.e2e.test_waits import Deletion, delete_while_devices_finish, reports_on
from tools.demo.rollout import Rollout
from tools.errors import StackFailed
from tools.fleet.devices import Fleet
from tools.localaws import sam, stacks


def delete_while_a_device_runs(roll_out: Rollout, _canceler: Canceler) -> Deletion:
    roll_out.begin_deletion()
    try:
        roll_out.wait_for_deletion(seconds=120)
    except StackFailed as failure:
        return Deletion(roll_out, [roll_out.has_bucket()], str(failure))
    return Deletion(roll_out, [roll_out.has_bucket()])


SCENARIOS: dict[str, tuple[int, dict[str, str], Callable[[Rollout, Canceler], Deletion]]] = {
    "rollout-patience": (2, {"WaitForExecutionsMinutes": "2"}, delete_while_devices_finish),
    "rollout-fail": (1, {"WaitForExecutionsMinutes": "1"}, delete_while_a_device_runs),
    "rollout-continue": (
        3,
        {"WaitForExecutionsMinutes": "1", "OnIncomplete": "CONTINUE"},
        delete_while_a_device_runs,
    ),
}


@pytest.fixture(scope="module")
def deletions(patient: Canceler) -> dict[str, Deletion]:
    """Run all scenarios at the same time, since each takes a minute or more."""
    roll_outs = {name: Rollout(patient.aws, name, Fleet(patient.aws)) for name in SCENARIOS}
    for name, (devices, parameters, _) in SCENARIOS.items():
        roll_outs[name].create({"CancelerStack": PATIENT, **parameters})
        roll_outs[name].start_devices(devices)
    with ThreadPoolExecutor(len(SCENARIOS)) as pool:
        futures = {name: pool.submit(SCENARIOS[name][2], roll_out, patient) for name, roll_out in roll_outs.items()}
        return {name: each.result() for name, each in futures.items()}


def test_a_wait_polls_at_its_interval(patient: Canceler, deletions: dict[str, Deletion]) -> None:
    """The cancel, and polls after 20 and 40 s."""
    deletion = deletions["rollout-patience"]
    assert (deletion.reason, deletion.bucket_seen) == ("", [True, True, False])
    assert deletion.roll_out.fleet.state("rollout-patience").executions == {"SUCCEEDED": 2}
    assert reports_on(patient, "rollout-patience") == [
        ("UNFINISHED", "CANCELED", 2),
        ("UNFINISHED", "ALREADY_CANCELED", 1),
        ("SETTLED", "ALREADY_CANCELED", 0),
    ]


def test_a_deletion_fails_if_a_device_does_not_finish_in_time(
    patient: Canceler, deletions: dict[str, Deletion]
) -> None:
    """The cancel, and polls after 5, 25, 45 and 60 s. MiniStack deletes the bucket then; CloudFormation would not."""
    deletion = deletions["rollout-fail"]
    assert "is in DELETE_FAILED" in deletion.reason
    assert "timed out after 1 min: 1 device still runs job rollout-fail" in deletion.reason
    assert reports_on(patient, "rollout-fail") == [
        ("UNFINISHED", "CANCELED", 1),
        ("UNFINISHED", "ALREADY_CANCELED", 1),
        ("UNFINISHED", "ALREADY_CANCELED", 1),
        ("UNFINISHED", "ALREADY_CANCELED", 1),
        ("UNSETTLED", "ALREADY_CANCELED", 1),
    ]


def test_continue_deletes_the_stack_with_a_warning_and_a_metric(
    patient: Canceler, deletions: dict[str, Deletion]
) -> None:
    deletion = deletions["rollout-continue"]
    assert (deletion.reason, deletion.bucket_seen) == ("", [False])
    assert deletion.roll_out.fleet.state("rollout-continue").executions == {"IN_PROGRESS": 3}
    lines = [json.loads(line) for line in patient.log.lines() if line.startswith("{")]
    warnings = [line["message"] for line in lines if line.get("level") == "WARNING" and line["message"] != "report"]
    assert warnings == ["timed out after 1 min: 3 devices still run job rollout-continue"]
    assert [line["TeardownsContinued"] for line in lines if "TeardownsContinued" in line] == [[1.0]]


def test_a_second_deletion_with_force_cancels_the_remaining_executions(
    patient: Canceler, deletions: dict[str, Deletion]
) -> None:
    roll_out = deletions["rollout-fail"].roll_out
    try:
        sam.deploy(patient.aws, {"Force": "true"}, build_dir=patient.build_dir, stack_name=PATIENT)
        stacks.delete(patient.aws, "rollout-fail")
    finally:
        sam.deploy(patient.aws, {"Force": "false"}, build_dir=patient.build_dir, stack_name=PATIENT)
    assert roll_out.fleet.state("rollout-fail").executions == {"CANCELED": 1}
    assert not roll_out.succeed(roll_out.devices[0])
    assert not roll_out.has_bucket()
    assert reports_on(patient, "rollout-fail")[-1] == ("SETTLED", "ALREADY_CANCELED", 0)
