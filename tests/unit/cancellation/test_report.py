"""The outcomes, the status of a run, and the published shape of the report."""

import pytest

from handler.cancellation.report import ExcludedJob, JobResult, Outcome, Report, RunStatus, Trigger, Wait, status_of

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


def test_outcomes_are_the_published_ones() -> None:
    assert {outcome.value for outcome in Outcome} == set(SETTLED)


def test_triggers_and_statuses_are_the_published_ones() -> None:
    assert list(Trigger) == ["TEARDOWN", "SCHEDULE", "EVENT", "DIRECT"]
    assert list(RunStatus) == ["SETTLED", "UNSETTLED", "UNFINISHED", "REJECTED", "IGNORED"]


def test_optional_fields_are_empty_by_default() -> None:
    assert JobResult("a", Outcome.GONE) == JobResult("a", Outcome.GONE, "", 0, False)
    assert Wait(("a",), 12.5) == Wait(("a",), 12.5, False, 0)
    report = Report(RunStatus.SETTLED, Trigger.EVENT)
    assert report == Report(RunStatus.SETTLED, Trigger.EVENT, False, False, "", (), (), None, None)


@pytest.mark.parametrize(
    ("outcome", "left", "is_draining", "expected"),
    [
        ("CANCELED", 0, False, False),
        ("CANCELED", 1, False, True),
        ("CANCELED", 0, True, True),
        ("ALREADY_CANCELED", 2, True, True),
        ("FAILED", 1, False, False),
        ("DEFERRED", 0, True, False),
    ],
)
def test_settled_job_has_running_executions_while_devices_run_it_or_may_start_it(
    outcome: str, left: int, is_draining: bool, expected: bool
) -> None:
    assert JobResult("a", Outcome(outcome), "", left, is_draining).has_running_executions is expected


@pytest.mark.parametrize(("outcome", "settled"), SETTLED.items())
def test_only_three_outcomes_are_not_settled(outcome: str, settled: bool) -> None:
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
def test_deferred_outweighs_failed_and_failed_outweighs_settled(outcomes: tuple[str, ...], status: str) -> None:
    results = tuple(JobResult(f"job-{number}", Outcome(outcome)) for number, outcome in enumerate(outcomes))
    assert status_of(results) == status


def test_report_has_the_published_shape() -> None:
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


def test_report_without_jobs_has_the_same_shape() -> None:
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


def test_report_has_plain_strings_for_any_serializer() -> None:
    report = Report(RunStatus.SETTLED, Trigger.SCHEDULE, jobs=(JobResult("a", Outcome.GONE),)).as_dict()
    assert [type(report["status"]), type(report["trigger"])] == [str, str]
    assert isinstance(report["counts"], dict)
    assert [type(key) for key in report["counts"]] == [str]


def test_dry_run_reports_excluded_jobs() -> None:
    excluded = (ExcludedJob("AFR_OTA-1", "owned"), ExcludedJob("new", "not older than 72 h"))
    report = Report(RunStatus.SETTLED, Trigger.DIRECT, dry_run=True, excluded=excluded).as_dict()
    assert report["leftOut"] == [
        {"jobId": "AFR_OTA-1", "why": "owned"},
        {"jobId": "new", "why": "not older than 72 h"},
    ]
