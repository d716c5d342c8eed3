"""Outcomes, the status of a run, and the published shape of the report."""

import pytest

from handler.cancellation.report import ExcludedJob, JobResult, Outcome, Report, RunStatus, Trigger, status_of

SETTLED = {
    "CANCELED": True,
    "ALREADY_CANCELED": True,
    "ALREADY_FINISHED": True,
    "GONE": True,
    "WOULD_CANCEL": True,
    "PROTECTED": False,
    "DEFERRED": False,
    "FAILED": False,
}


def test_there_are_these_outcomes_and_no_others() -> None:
    assert {outcome.value for outcome in Outcome} == set(SETTLED)


def test_what_is_published_is_the_name_itself() -> None:
    assert list(Trigger) == ["TEARDOWN", "SCHEDULE", "EVENT", "DIRECT"]
    assert list(RunStatus) == ["SETTLED", "UNSETTLED", "UNFINISHED", "REJECTED", "IGNORED"]


def test_what_is_not_said_is_nothing() -> None:
    assert JobResult("a", Outcome.GONE) == JobResult("a", Outcome.GONE, "", 0, False)
    bare = Report(RunStatus.SETTLED, Trigger.EVENT)
    assert bare == Report(RunStatus.SETTLED, Trigger.EVENT, False, False, "", (), (), None, None)


@pytest.mark.parametrize(
    ("outcome", "left", "is_draining", "is_at_work"),
    [
        ("CANCELED", 0, False, False),
        ("CANCELED", 1, False, True),
        ("CANCELED", 0, True, True),
        ("ALREADY_CANCELED", 2, True, True),
        ("FAILED", 1, False, False),
        ("DEFERRED", 0, True, False),
    ],
)
def test_a_settled_job_is_at_work_while_a_device_runs_it_or_may_yet_start(
    outcome: str, left: int, is_draining: bool, has_running_executions: bool
) -> None:
    assert JobResult("a", Outcome(outcome), "", left, is_draining).has_running_executions is has_running_executions


@pytest.mark.parametrize(("outcome", "settled"), SETTLED.items())
def test_an_outcome_says_whether_something_is_left_to_do(outcome: str, settled: bool) -> None:
    assert Outcome(outcome).settled is settled


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ((), "SETTLED"),
        (("CANCELED",), "SETTLED"),
        (("CANCELED", "ALREADY_CANCELED", "ALREADY_FINISHED", "GONE", "WOULD_CANCEL"), "SETTLED"),
        (("CANCELED", "PROTECTED"), "UNSETTLED"),
        (("FAILED", "CANCELED"), "UNSETTLED"),
        (("DEFERRED",), "UNFINISHED"),
        (("CANCELED", "DEFERRED"), "UNFINISHED"),
        (("FAILED", "PROTECTED", "DEFERRED"), "UNFINISHED"),
    ],
)
def test_what_is_left_to_do_outweighs_what_cannot_be_done(outcomes: tuple[str, ...], status: str) -> None:
    results = tuple(JobResult(f"job-{number}", Outcome(outcome)) for number, outcome in enumerate(outcomes))
    assert status_of(results) == status


def test_the_report_has_the_published_shape() -> None:
    report = Report(
        RunStatus.UNSETTLED,
        Trigger.EVENT,
        force=True,
        dry_run=False,
        jobs=(
            JobResult("a", Outcome.CANCELED, executions_left_in_progress=2),
            JobResult("b", Outcome.CANCELED, executions_left_in_progress=3),
            JobResult("c", Outcome.FAILED, "InternalError: no"),
        ),
    )
    assert report.as_dict() == {
        "status": "UNSETTLED",
        "trigger": "EVENT",
        "force": True,
        "dryRun": False,
        "reason": "",
        "counts": {"CANCELED": 2, "FAILED": 1},
        "executionsLeftInProgress": 5,
        "jobs": [
            {"jobId": "a", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 2},
            {"jobId": "b", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 3},
            {"jobId": "c", "outcome": "FAILED", "detail": "InternalError: no", "executionsLeftInProgress": 0},
        ],
    }


def test_a_report_without_jobs_keeps_the_shape() -> None:
    report = Report(RunStatus.REJECTED, Trigger.DIRECT, dry_run=True, reason="cancel: must be an object")
    assert report.as_dict() == {
        "status": "REJECTED",
        "trigger": "DIRECT",
        "force": False,
        "dryRun": True,
        "reason": "cancel: must be an object",
        "counts": {},
        "executionsLeftInProgress": 0,
        "jobs": [],
    }


def test_the_report_holds_plain_strings_so_that_any_serializer_takes_it() -> None:
    told = Report(RunStatus.SETTLED, Trigger.SCHEDULE, jobs=(JobResult("a", Outcome.GONE),)).as_dict()
    assert [type(told["status"]), type(told["trigger"])] == [str, str]
    assert isinstance(told["counts"], dict)
    assert [type(key) for key in told["counts"]] == [str]


def test_a_plan_tells_who_is_left_out_and_why() -> None:
    left_out = (ExcludedJob("AFR_OTA-1", "owned"), ExcludedJob("new", "not older than 72 h"))
    told = Report(RunStatus.SETTLED, Trigger.DIRECT, dry_run=True, left_out=left_out).as_dict()
    assert told["leftOut"] == [
        {"jobId": "AFR_OTA-1", "why": "owned"},
        {"jobId": "new", "why": "not older than 72 h"},
    ]
