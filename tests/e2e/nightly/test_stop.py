"""A Deny on the function's role stops every cancellation: "Stop it now" in docs/operations.md."""

import pytest

from tests.e2e.conftest import PATIENT, Canceler, unique
from tests.e2e.test_iam import without
from tests.e2e.test_waits import reports_on
from tests.support.stacks import template
from tools.demo.rollout import Rollout
from tools.errors import StackFailed
from tools.fleet.devices import Fleet
from tools.localaws import stacks
from tools.polling import wait_for


def test_a_deny_stops_every_cancellation_and_a_waiting_deletion_ends_after_it_is_lifted(patient: Canceler) -> None:
    waiting = Rollout(patient.aws, f"rollout-{unique('waiting')}", Fleet(patient.aws))
    waiting.create({"CancelerStack": PATIENT, "WaitForExecutionsMinutes": "5"})
    waiting.start_devices(1)
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
