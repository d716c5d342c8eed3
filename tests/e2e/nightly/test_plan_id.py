"""Plan, then apply, with the command line: a request with the planId of a dry run does what was planned, or nothing."""

import json
from pathlib import Path
from typing import Any

from tests.e2e.conftest import Canceler, unique
from tests.e2e.test_command_line import cancel, run
from tools.fleet.devices import JobState

STACK = ("--stack-name", "forceful")
AGAIN = "start a dry run again, and use the planId of its report"


def plan_id_of(canceler: Canceler, tmp_path: Path, request: dict[str, Any]) -> str:
    """Return the planId that `plan` prints."""
    path = tmp_path / "event.json"
    path.write_text(json.dumps({"cancel": request}))
    code, output, errors = run(canceler.aws.environment, "plan", "--event", str(path), *STACK)
    assert (code, errors) == (0, "")
    plan_id: str = json.loads(output)["planId"]
    return plan_id


def test_a_job_is_canceled_only_with_the_force_of_its_plan(forceful: Canceler, tmp_path: Path) -> None:
    job_id = forceful.job("planned", prefix="forceful-")
    plan_id = plan_id_of(forceful, tmp_path, {"jobId": job_id})
    code, printed, errors = cancel(forceful, job_id, *STACK, "--plan-id", plan_id, "--no-force")
    assert (code, printed) == (1, {})
    assert errors == (
        "iot-job-canceler: the function rejected the request: --plan-id: is not the current plan of this request, so "
        "this run canceled nothing (an earlier delivery of it may have): it would change 1 job, with force false and a "
        f"wait of 0 min; {AGAIN}\n"
    )
    assert forceful.fleet.state(job_id) == JobState("IN_PROGRESS", {"IN_PROGRESS": 1})
    code, printed, errors = cancel(forceful, job_id, *STACK, "--plan-id", plan_id)
    assert (code, printed["outcome"], printed["executionsEnded"], errors) == (0, "CANCELED", 1, "")
    assert forceful.fleet.state(job_id) == JobState("CANCELED", {"CANCELED": 1})


def test_a_selection_is_canceled_only_with_the_jobs_of_its_plan(forceful: Canceler, tmp_path: Path) -> None:
    """One job more, then one job fewer, then the jobs of the plan."""
    batch = unique("planned")
    request = {"select": {"jobIdGlob": f"forceful-{batch}-*"}}

    def created(name: str) -> str:
        return forceful.job(name, prefix="forceful-", batch=batch)

    def applied() -> tuple[str, str]:
        report = forceful.invoke({"cancel": request | {"planId": plan_id}})
        return report["status"], report["reason"].partition("(an earlier delivery of it may have): ")[2]

    first, second, bystander = created("first"), created("second"), forceful.job("bystander", prefix="forceful-")
    plan_id = plan_id_of(forceful, tmp_path, request)
    added = created("added")
    changes = "it would change {}, with force true and a wait of 0 min; " + AGAIN
    assert applied() == ("REJECTED", changes.format("3 jobs"))
    assert forceful.statuses(first, second, added) == ["IN_PROGRESS"] * 3
    for job_id in (second, added):
        assert forceful.fleet.succeed(f"{job_id}-device-0", job_id)
    assert applied() == ("REJECTED", changes.format("1 job"))
    assert forceful.statuses(first, second, added) == ["IN_PROGRESS", "COMPLETED", "COMPLETED"]
    third = created("third")
    plan_id = plan_id_of(forceful, tmp_path, request)
    assert applied() == ("SETTLED", "")
    assert forceful.statuses(first, third, bystander) == ["CANCELED", "CANCELED", "IN_PROGRESS"]
