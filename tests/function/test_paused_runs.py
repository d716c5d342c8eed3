"""DryRun that is set on the stack while an event waits on its queue: nothing is canceled, and nothing is lost."""

from dataclasses import replace
from typing import Any

import pytest

from tests.conftest import Function
from tests.function.test_waits import NewSimulation, deletion, new_simulation, running, three_jobs
from tests.support.fakes import LIMITS, FakeJob, denied, failing, throttled
from tools.simulators.events import cancel_event, eventbridge_event

__all__ = ("new_simulation",)

DRY_RUN = replace(LIMITS, dry_run=True)
PAUSED = (
    "the stack's parameter DryRun is true, so the run cancels nothing; it continues once DryRun is false, or is in the "
    "failure queue after 100 attempts"
)
SWEEP = eventbridge_event("aws.scheduler", "Scheduled Event", "{}")


def begin(function: Function, event: dict[str, Any]) -> None:
    """Cancel one of two jobs; the other one continues from the queue. Then set DryRun."""
    function.configure(sweep_job_id_glob="job-*")
    function.jobs.jobs |= {"job-1": FakeJob(), "job-2": FakeJob()}
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function(event)
    assert len(function.jobs.canceled) == 1
    function.configure(limits=DRY_RUN)


@pytest.mark.parametrize(
    "event",
    [SWEEP, cancel_event(jobIds=["job-1", "job-2"]), {"cancel": {"select": {"jobIdGlob": "job-*"}}}],
    ids=["sweep", "request of ids", "request of a selection"],
)
def test_work_on_the_queue_waits_until_dry_run_is_lifted(event: dict[str, Any], function: Function) -> None:
    begin(function, event)
    for _ in range(3):
        function.poll()
    paused = [(report["status"], report["dryRun"], report["reason"]) for report in function.reports[1:]]
    matched = "" if "jobIds" in str(event) else "1 active job matched; "
    assert paused == [("UNFINISHED", True, f"{matched}{PAUSED}")] * 3
    assert len(function.jobs.canceled) == 1
    function.configure(limits=LIMITS)
    (report,) = function.drain()
    assert report["status"] == "SETTLED"
    assert sorted(function.jobs.canceled) == ["job-1", "job-2"]


def test_work_that_stays_paused_moves_to_the_failure_queue(function: Function) -> None:
    begin(function, SWEEP)
    while function.sqs.messages:
        function.poll()
    assert [message.event for message in function.sqs.dead_letters] == [SWEEP]


def test_work_whose_tags_cannot_be_read_stays_on_its_queue(function: Function) -> None:
    """Only the dry run reads the tags."""
    begin(function, SWEEP)
    function.jobs.fault = failing("ListTagsForResource", denied)
    function.poll()
    function.configure(limits=LIMITS)
    function.drain()
    assert sorted(function.jobs.canceled) == ["job-1", "job-2"]


def test_paused_jobs_are_not_counted_again(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    begin(function, SWEEP)
    function.poll()
    assert "JobsWouldCancel" not in capsys.readouterr().out


def test_paused_work_that_another_caller_finishes_is_settled(function: Function) -> None:
    begin(function, SWEEP)
    function.poll()
    for job in function.jobs.jobs.values():
        job.status = "CANCELED"
    (report,) = function.drain()
    assert (report["status"], report["dryRun"]) == ("SETTLED", True)


@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_deletion_continues_to_wait_for_its_devices(which: str, new_simulation: NewSimulation) -> None:
    simulation = new_simulation(ends_at=50)
    simulation(deletion(simulation.server, which=which))
    simulation.configure(limits=DRY_RUN)
    simulation.run_all()
    assert simulation.polls == [5, 25, 45, 65]
    assert simulation.timed_responses == [(65, "response", "SUCCESS", "")]


def test_deletion_whose_wait_expires_in_a_dry_run_fails(new_simulation: NewSimulation) -> None:
    simulation = new_simulation()
    simulation(deletion(simulation.server, "1"))
    simulation.configure(limits=DRY_RUN)
    simulation.run_all()
    ((at, _, status, reason),) = simulation.timed_responses
    assert (at, status) == (60, "FAILED")
    assert reason.startswith("timed out after 1 min: 2 devices still run job firmware")


def test_wait_begins_in_a_dry_run_if_the_jobs_were_canceled_before(new_simulation: NewSimulation) -> None:
    """The cancel was accepted, but the job could not be read back."""
    simulation = new_simulation(ends_at=45)
    simulation.jobs.fault = failing("DescribeJob", throttled, times=1)
    simulation(deletion(simulation.server))
    simulation.configure(limits=DRY_RUN)
    simulation.run_all()
    assert simulation.jobs.canceled == ["firmware"]
    assert simulation.timed_responses == [(50, "response", "SUCCESS", "")]


def test_deletion_responds_as_without_a_dry_run_if_jobs_stay_active_until_the_end(
    new_simulation: NewSimulation,
) -> None:
    simulation = new_simulation(three_jobs(), ends_at=30)
    simulation.jobs.fault = failing("CancelJob", throttled, job_id="firmware-3")
    simulation(deletion(simulation.server, which="Select", ServiceTimeout="900"))
    simulation.configure(limits=DRY_RUN)
    simulation.run_all()
    ((at, _, status, reason),) = simulation.timed_responses
    assert (status, at > 700) == ("FAILED", True)
    assert PAUSED in reason
    assert simulation.jobs.jobs["firmware-3"].status == "IN_PROGRESS"


def test_jobs_that_appear_while_a_deletion_is_paused_are_canceled_after_it(new_simulation: NewSimulation) -> None:
    simulation = new_simulation({"firmware-1": running("thing-1")}, ends_at=15)
    simulation(deletion(simulation.server, which="Select"))
    simulation.configure(limits=DRY_RUN)
    simulation.jobs.jobs["firmware-2"] = running("thing-2")
    simulation.reports_at[("firmware-2", "thing-2")] = 100
    simulation.poll()
    assert (simulation.jobs.canceled, simulation.timed_responses) == (["firmware-1"], [])
    simulation.configure(limits=LIMITS)
    simulation.run_all()
    assert simulation.jobs.canceled == ["firmware-1", "firmware-2"]
    ((at, *_, status, _),) = simulation.timed_responses
    assert (status, at >= 100) == ("SUCCESS", True)


def test_executions_that_force_would_still_end_pause_a_deletion(new_simulation: NewSimulation) -> None:
    simulation = new_simulation({"firmware": replace(running("thing-1", "thing-2"), status="CANCELED")})
    simulation.configure(limits=replace(LIMITS, force=True))
    simulation.jobs.fault = failing("CancelJobExecution", throttled, job_id="firmware/thing-2")
    simulation(deletion(simulation.server, "0"))
    simulation.configure(limits=replace(DRY_RUN, force=True))
    simulation.jobs.fault = None
    simulation.poll()
    assert simulation.timed_responses == []
    simulation.configure(limits=replace(LIMITS, force=True))
    simulation.run_all()
    assert [status for _, _, status, _ in simulation.timed_responses] == ["SUCCESS"]
    assert len(simulation.jobs.executions_canceled) == 2


def test_dry_run_of_a_deletion_warns_of_devices_for_which_it_does_not_wait(
    new_simulation: NewSimulation, capsys: pytest.CaptureFixture[str]
) -> None:
    """The job was canceled before the first delivery of this request."""
    simulation = new_simulation({"firmware": replace(running("thing-1"), status="CANCELED")})
    simulation.configure(limits=DRY_RUN)
    simulation(deletion(simulation.server))
    warning = "dry run: the deletion continues, and does not wait for the devices that run its jobs"
    ((_, _, status, reason),) = simulation.timed_responses
    assert (status, reason.startswith(warning)) == ("SUCCESS", True)
    assert simulation.reports[-1]["status"] == "UNSETTLED"
    assert warning in [line["message"] for line in simulation.log.lines]
    assert "TeardownsContinued" in capsys.readouterr().out


def test_job_limit_is_checked_after_the_pause(new_simulation: NewSimulation) -> None:
    """One new job appears before the pause ends, and four more appear after its check in the dry run."""
    simulation = new_simulation({"firmware-1": running("thing-1")}, ends_at=15)
    simulation.configure(limits=replace(LIMITS, max_jobs=1))
    simulation(deletion(simulation.server, which="Select"))
    simulation.configure(limits=replace(DRY_RUN, max_jobs=1))
    simulation.jobs.jobs["firmware-2"] = FakeJob()
    for _ in range(3):
        simulation.poll()
    simulation.jobs.jobs |= {f"firmware-{number}": FakeJob() for number in (3, 4, 5, 6)}
    simulation.configure(limits=replace(LIMITS, max_jobs=1))
    simulation.run_all()
    assert simulation.jobs.canceled == ["firmware-1"]
    ((*_, status, reason),) = simulation.timed_responses
    assert (status, "matches 5 jobs, but the limit is 1" in reason) == ("FAILED", True)
