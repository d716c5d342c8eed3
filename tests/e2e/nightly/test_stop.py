"""A Deny on the function's role stops every cancellation, and DryRun pauses it: "Stop it now" in docs/operations.md."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.e2e.conftest import PATIENT, Canceler, unique
from tests.e2e.test_iam import without
from tests.e2e.test_waits import reports_on
from tests.support.stacks import template
from tools.demo.rollout import Rollout
from tools.errors import StackFailed
from tools.fleet.devices import Fleet
from tools.localaws import sam, stacks
from tools.localaws.aws import REGION
from tools.polling import wait_for
from tools.simulators.faults import failing, throttled
from tools.simulators.iot_server import IotServer

SWEEP = {"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}", "id": "1"}


def started_rollout(patient: Canceler) -> Rollout:
    """Create a rollout whose deletion waits for the one device that has started the job."""
    rollout = Rollout(patient.aws, f"rollout-{unique('waiting')}", Fleet(patient.aws))
    rollout.create({"CancelerStack": PATIENT, "WaitForExecutionsMinutes": "5"})
    rollout.start_devices(1)
    return rollout


def test_a_deny_stops_every_cancellation_and_a_waiting_deletion_ends_after_it_is_lifted(patient: Canceler) -> None:
    waiting = started_rollout(patient)
    requested, stopped = patient.job("requested", prefix="rollout-"), patient.job("stopped", prefix="rollout-")
    stacks.create(patient.aws, stopped, template(patient.service_token, {"JobId": stopped}), {})
    waiting.begin_deletion()
    wait_for("the wait", lambda: reports_on(patient, waiting.name) or None, seconds=60)
    with without(patient, "iot:CancelJob", "iot:CancelJobExecution"):
        report = patient.invoke({"cancel": {"jobId": requested}})
        assert (report["status"], report["counts"]) == ("UNSETTLED", {"FAILED": 1})
        assert report["jobs"][0]["detail"].startswith("AccessDenied")
        with pytest.raises(StackFailed, match="AccessDenied"):
            stacks.delete(patient.aws, stopped)
        polls = len(reports_on(patient, waiting.name))
        wait_for("a poll", lambda: len(reports_on(patient, waiting.name)) > polls or None, seconds=60)
        assert patient.statuses(requested, stopped, waiting.name) == ["IN_PROGRESS", "IN_PROGRESS", "CANCELED"]
        assert waiting.has_bucket()
    (device,) = waiting.devices
    assert waiting.succeed(device)
    waiting.wait_for_deletion(seconds=120)
    assert reports_on(patient, waiting.name)[-1] == ("SETTLED", "ALREADY_CANCELED", 0)
    patient.invoke({"cancel": {"jobId": requested}})
    stacks.delete(patient.aws, stopped)
    assert patient.statuses(requested, stopped) == ["CANCELED", "CANCELED"]


def test_a_deletion_that_waits_goes_on_waiting_in_a_dry_run(patient: Canceler) -> None:
    """A deletion that begins in the dry run continues at once, and leaves its job active."""
    waiting = started_rollout(patient)
    requested, left = patient.job("requested", prefix="rollout-"), patient.job("left", prefix="rollout-")
    stacks.create(patient.aws, left, template(patient.service_token, {"JobId": left}), {})
    waiting.begin_deletion()
    wait_for("the wait", lambda: reports_on(patient, waiting.name) or None, seconds=60)
    sam.deploy(patient.aws, {"DryRun": "true"}, build_dir=patient.build_dir, stack_name=PATIENT)
    try:
        assert patient.invoke({"cancel": {"jobId": requested}})["counts"] == {"WOULD_CANCEL": 1}
        stacks.delete(patient.aws, left)
        patient.log.wait_for_report(
            "a poll in the dry run", lambda each: each["dryRun"] and waiting.name in str(each["jobs"]), seconds=60
        )
        assert reports_on(patient, waiting.name)[-1] == ("UNFINISHED", "ALREADY_CANCELED", 1)
        assert waiting.has_bucket()
        (device,) = waiting.devices
        assert waiting.succeed(device)
        waiting.wait_for_deletion(seconds=120)
        assert reports_on(patient, waiting.name)[-1] == ("SETTLED", "ALREADY_CANCELED", 0)
        assert patient.statuses(requested, left) == ["IN_PROGRESS", "IN_PROGRESS"]
    finally:
        sam.deploy(patient.aws, {"DryRun": "false"}, build_dir=patient.build_dir, stack_name=PATIENT)
    assert patient.invoke({"cancel": {"jobId": requested}})["counts"] == {"CANCELED": 1}


def test_a_half_done_sweep_continues_after_the_dry_run(patient: Canceler) -> None:
    stale = {"SWEEP_JOB_ID_GLOB": "rollout-stale-*"}
    with IotServer(REGION) as iot, patient.environment(AWS_ENDPOINT_URL_IOT=iot.url, **stale):
        for number in (1, 2):
            iot.backend.add_job(f"rollout-stale-{number}", created_at=datetime.now(UTC) - timedelta(hours=200))
        iot.backend.fault = failing("CancelJob", throttled, job_id="rollout-stale-2")
        report = patient.invoke(SWEEP)
        assert (report["status"], report["counts"]) == ("UNFINISHED", {"CANCELED": 1, "DEFERRED": 1})
        with patient.environment(DRY_RUN="true"):
            paused = patient.log.wait_for_report(
                "a paused sweep", lambda each: each["dryRun"] and "rollout-stale-2" in str(each["jobs"]), seconds=60
            )
            assert (paused["status"], paused["counts"]) == ("UNFINISHED", {"WOULD_CANCEL": 1})
            iot.backend.fault = None
            assert iot.backend.canceled == ["rollout-stale-1"]
        patient.log.wait_for_report(
            "the end of the sweep",
            lambda each: each["status"] == "SETTLED" and "stale-2" in str(each["jobs"]),
            seconds=60,
        )
        assert iot.backend.canceled == ["rollout-stale-1", "rollout-stale-2"]
