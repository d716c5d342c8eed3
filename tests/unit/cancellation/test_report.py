"""The outcomes, the status of a run, and the published shape of the report."""

import json
from dataclasses import replace
from typing import Any, cast

import pytest

from handler.cancellation.report import (
    ExcludedJob,
    JobResult,
    Outcome,
    Report,
    RunStatus,
    Trigger,
    Wait,
    status_of,
    unsettled_reason,
)

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
    assert JobResult("a", Outcome.GONE) == JobResult("a", Outcome.GONE, "", 0, False, "", "", 0)
    assert Wait(("a",), 12.5) == Wait(("a",), 12.5, False, 0)
    report = Report(RunStatus.SETTLED, Trigger.EVENT)
    assert report == Report(RunStatus.SETTLED, Trigger.EVENT, False, False, "", (), (), None, None, (), "", ())


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


@pytest.mark.parametrize(
    ("outcome", "arn", "expected"),
    [("DEFERRED", "", True), ("FAILED", "", True), ("GONE", "", False), ("DEFERRED", "arn", False)],
)
def test_job_without_an_arn_is_unread_unless_it_is_gone(outcome: str, arn: str, expected: bool) -> None:
    assert JobResult("a", Outcome(outcome), arn=arn).is_unread is expected


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
            JobResult("a", Outcome.CANCELED, executions_left_in_progress=2, executions_ended=4),
            JobResult("b", Outcome.CANCELED, executions_left_in_progress=3, executions_ended=5),
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
        "executionsEnded": 9,
        "jobs": [
            {"jobId": "a", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 2, "executionsEnded": 4},
            {"jobId": "b", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 3, "executionsEnded": 5},
            {"jobId": "c", "outcome": "FAILED", "detail": "InternalError: no", "executionsLeftInProgress": 0},
        ],
    }


def test_dry_run_reports_its_plan_id() -> None:
    report = Report(RunStatus.SETTLED, Trigger.DIRECT, dry_run=True)
    assert replace(report, plan_id="0f").as_dict() == report.as_dict() | {"planId": "0f"}


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
        "executionsEnded": 0,
        "jobs": [],
    }


def described(number: int) -> tuple[JobResult, ...]:
    arn = "arn:aws:iot:eu-west-1:123456789012:job/a"
    return (JobResult("a", Outcome.CANCELED, arn=arn, description="October image"),) * number


def test_arn_and_description_follow_the_other_keys_of_a_job() -> None:
    (job,) = described(1)
    keys = ["jobId", "outcome", "detail", "executionsLeftInProgress"]
    assert list(job.as_dict()) == [*keys, "jobArn", "description"]
    assert job.as_dict()["jobArn"] == "arn:aws:iot:eu-west-1:123456789012:job/a"
    assert job.as_dict()["description"] == "October image"
    assert list(replace(job, description="").as_dict()) == [*keys, "jobArn"]
    assert list(JobResult("a", Outcome.GONE).as_dict()) == keys
    assert list(job.as_dict(is_described=False)) == keys


@pytest.mark.parametrize(("length", "description"), [(None, "October image"), (7, "October"), (20, "October image")])
def test_a_description_can_be_shortened(length: int | None, description: str) -> None:
    report = Report(RunStatus.SETTLED, Trigger.SCHEDULE, jobs=described(1))
    (job,) = cast("Any", report.as_dict(max_description_length=length)["jobs"])
    assert job["description"] == description


@pytest.mark.parametrize(("number", "is_described"), [(1, True), (100, True), (101, False)])
def test_a_report_of_up_to_a_hundred_jobs_has_their_arns_and_descriptions(number: int, is_described: bool) -> None:
    jobs: Any = Report(RunStatus.SETTLED, Trigger.SCHEDULE, jobs=described(number)).as_dict()["jobs"]
    assert len(jobs) == number
    assert {("jobArn" in job, "description" in job) for job in jobs} == {(is_described, is_described)}


@pytest.mark.parametrize("number", [100, 25_000])
def test_a_return_value_is_smaller_than_six_megabytes(number: int) -> None:
    """The longest ids, ARNs and descriptions. Lambda writes UTF-8, in which a character has up to four bytes."""
    job = JobResult("x" * 64, Outcome.ALREADY_FINISHED, "", 10_000, arn="x" * 128, description="\U0001f4e6" * 2028)
    report = Report(RunStatus.SETTLED, Trigger.SCHEDULE, jobs=(job,) * number)
    assert len(json.dumps(report.as_dict(), ensure_ascii=False).encode()) < 6_000_000


def test_the_reason_of_an_unsettled_report_names_five_jobs() -> None:
    jobs = tuple(JobResult(f"job-{number}", Outcome.FAILED, "no") for number in range(7))
    report = Report(RunStatus.UNSETTLED, Trigger.TEARDOWN, reason="7 active jobs matched", jobs=jobs)
    named = "; ".join(f"job job-{number} FAILED: no" for number in range(5))
    assert unsettled_reason(report) == f"7 active jobs matched; {named}; and 2 more"
    assert unsettled_reason(replace(report, reason="", jobs=jobs[:1])) == "job job-0 FAILED: no"


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


def test_wait_and_report_begin_without_a_checked_limit_and_without_warnings() -> None:
    assert Wait(("a",), 1.0).limit_checked is False
    assert Report(RunStatus.SETTLED, Trigger.DIRECT).warnings == ()
