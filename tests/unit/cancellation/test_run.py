"""Runs: select, then cancel; the job limit; the rounds of a teardown; failed listings; waits."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from handler.cancellation.report import ExcludedJob, Report, Trigger, Wait
from handler.cancellation.request import CancelReason, StackLimits, parse_request
from handler.cancellation.run import rotate, run
from handler.cancellation.session import Session
from handler.errors import RequestRejected
from tests.support.fakes import (
    LIMITS,
    NOW,
    FakeClock,
    FakeJob,
    FakeJobs,
    denied,
    failing,
    not_found,
    refused,
    session,
    throttled,
    unavailable,
)

GREENGRASS = "aws-gg-deployment"
ALL = {"select": {"jobIdGlob": "*"}}
DEFAULT = CancelReason.default("STALE", "old")
STILL_ACTIVE = (
    "IsLive: not canceled: an earlier attempt failed or had no effect, or the id was reused; see the earlier report"
)


def carry_out(
    jobs: FakeJobs,
    clock: FakeClock,
    document: dict[str, Any] | None = None,
    *,
    trigger: Trigger = Trigger.SCHEDULE,
    limits: StackLimits = LIMITS,
    seconds: float = 300.0,
    per_second: float = 1000.0,
    limit_checked: bool = False,
    previous_attempts: int = 0,
    wait: Wait | None = None,
    is_paused: bool = False,
) -> Report:
    of_run = session(
        jobs,
        clock,
        seconds,
        limits,
        per_second=per_second,
        limit_checked=limit_checked,
        previous_attempts=previous_attempts,
        wait=wait,
        is_paused=is_paused,
    )
    # While a run waits, its stack may get another prefix. The event was accepted before.
    limits_at_acceptance = replace(limits, job_id_prefix="") if wait else limits
    request = parse_request(document or ALL, limits_at_acceptance, DEFAULT)
    report = run(of_run, request, trigger)
    assert report.trigger is trigger
    return report


def polls(report: Report) -> tuple[tuple[str, ...], int] | None:
    """Return the jobs of the wait and the seconds until they are polled, or None if the run does not wait."""
    return None if report.wait is None else (report.wait.job_ids, report.wait.poll_seconds)


def outcomes(report: Report) -> dict[str, str]:
    return {result.job_id: result.outcome.value for result in report.jobs}


def operations(jobs: FakeJobs) -> list[str]:
    return [operation for operation, _ in jobs.calls]


# Select, then cancel


def test_selection_is_complete_before_the_first_cancel(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.page_size = 3
    jobs.jobs |= {f"job-{number}": FakeJob(tags={"a": "b"}) for number in range(20)}
    report = carry_out(jobs, clock, {"select": {"tags": {"a": "b"}}})
    called = operations(jobs)
    assert set(called[: called.index("CancelJob")]) == {"ListJobs", "ListTagsForResource"}
    assert set(called[called.index("CancelJob") :]) == {"CancelJob", "DescribeJob"}
    assert (report.status, report.reason, len(report.jobs)) == ("SETTLED", "20 active jobs matched", 20)


def test_selection_without_a_match_is_settled(jobs: FakeJobs, clock: FakeClock) -> None:
    report = carry_out(jobs, clock)
    assert (report.status, report.jobs, report.reason) == ("SETTLED", (), "0 active jobs matched")
    assert report.warnings == ()


def test_named_jobs_are_not_listed(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    report = carry_out(jobs, clock, {"jobIds": ["a", "b"]}, trigger=Trigger.TEARDOWN)
    assert (outcomes(report), report.reason) == ({"a": "CANCELED", "b": "GONE"}, "")
    assert "ListJobs" not in operations(jobs)


def test_named_job_may_belong_to_another_service_and_be_of_any_age(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"AFR_OTA-1": FakeJob(), "gg": FakeJob(namespace=GREENGRASS), "new": FakeJob(created_at=NOW)}
    report = carry_out(jobs, clock, {"jobIds": ["AFR_OTA-1", "gg", "new"]})
    assert set(outcomes(report).values()) == {"CANCELED"}


def test_report_has_the_trigger_force_and_dry_run(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob(executions={"t": "IN_PROGRESS"})
    report = carry_out(jobs, clock, ALL | {"dryRun": True}, limits=replace(LIMITS, force=True))
    assert (report.trigger, report.force, report.dry_run) == ("SCHEDULE", True, True)
    report = carry_out(jobs, clock, limits=replace(LIMITS, force=True))
    assert (report.force, report.executions_left_in_progress) == (True, 0)


def test_report_has_the_reason_of_the_cancellation(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    report = carry_out(jobs, clock, {"jobId": "a", "reasonCode": "MOVED", "comment": "to b"})
    assert report.cancel_reason == CancelReason("old", "MOVED", "to b")


def test_job_outside_the_prefix_is_never_selected(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"ota-1": FakeJob(), "fw-1": FakeJob()}
    report = carry_out(jobs, clock, limits=replace(LIMITS, job_id_prefix="ota-"))
    assert outcomes(report) == {"ota-1": "CANCELED"}


def test_only_a_dry_run_reports_excluded_jobs(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"AFR_OTA-1": FakeJob(), "mine": FakeJob()}
    planned = carry_out(jobs, clock, ALL | {"dryRun": True})
    assert planned.excluded == (ExcludedJob("AFR_OTA-1", "owned by FreeRTOS over-the-air updates"),)
    assert carry_out(jobs, clock).excluded == ()


def test_dry_run_reports_a_protected_job_as_the_run_does(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"kept": FakeJob(tags={"Cancel-Protection": "TRUE"}), "mine": FakeJob()}
    jobs.denied_tag = "cancel-protection"
    plan = outcomes(carry_out(jobs, clock, ALL | {"dryRun": True}))
    assert plan == {"kept": "PROTECTED", "mine": "WOULD_CANCEL"}
    assert outcomes(carry_out(jobs, clock)) == {"kept": "PROTECTED", "mine": "CANCELED"}


# The job limit


@pytest.mark.parametrize(("number", "is_allowed"), [(100, True), (101, False), (250, False)])
@pytest.mark.parametrize("dry_run", [False, True])
def test_selection_over_the_job_limit_is_rejected_before_any_cancel(
    number: int, is_allowed: bool, dry_run: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob() for each in range(number)}
    if is_allowed:
        assert len(carry_out(jobs, clock, ALL | {"dryRun": dry_run}).jobs) == number
        return
    with pytest.raises(RequestRejected) as caught:
        carry_out(jobs, clock, ALL | {"dryRun": dry_run})
    assert str(caught.value) == (
        f"select: matches {number} jobs, but the limit is 100, so this run canceled none of them"
        "; select fewer jobs, or raise MaxJobsPerRun or maxJobs"
    )
    assert jobs.canceled == []
    assert set(operations(jobs)) == {"ListJobs"}


def test_request_can_lower_the_job_limit(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {name: FakeJob() for name in "abc"}
    with pytest.raises(RequestRejected, match="matches 3 jobs, but the limit is 2"):
        carry_out(jobs, clock, ALL | {"maxJobs": 2})
    assert jobs.canceled == []


def test_excluded_jobs_do_not_count_against_the_job_limit(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"AFR_OTA-{each}": FakeJob() for each in range(200)} | {"gg": FakeJob(namespace=GREENGRASS)}
    jobs.jobs |= {f"new-{each}": FakeJob(created_at=NOW) for each in range(200)} | {"old": FakeJob()}
    report = carry_out(jobs, clock, {"select": {"jobIdGlob": "*", "olderThanHours": 1}, "maxJobs": 1})
    assert outcomes(report) == {"old": "CANCELED"}


def test_selection_is_checked_against_the_job_limit_only_once(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {name: FakeJob() for name in "abc"}
    report = carry_out(jobs, clock, ALL | {"maxJobs": 2}, limit_checked=True)
    assert report.counts == {"CANCELED": 3}


# Failed listings


@pytest.mark.parametrize("error", [throttled, unavailable])
@pytest.mark.parametrize("page", ["SCHEDULED/1", "IN_PROGRESS/2", f"SCHEDULED/1@{GREENGRASS}"])
def test_temporary_error_of_a_listing_leaves_the_run_unfinished(
    error: Any, page: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.page_size = 1
    jobs.jobs |= {name: FakeJob() for name in "abc"}
    jobs.fault = failing("ListJobs", error, job_id=page)
    report = carry_out(jobs, clock)
    assert (report.status, report.jobs, jobs.canceled) == ("UNFINISHED", (), [])
    assert report.reason == f"the selection failed: {error()}"


@pytest.mark.parametrize("error", [denied, refused, not_found])
@pytest.mark.parametrize("page", ["SCHEDULED/1", "IN_PROGRESS/2", f"SCHEDULED/1@{GREENGRASS}"])
def test_permanent_error_of_a_listing_rejects_the_request(
    error: Any, page: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.page_size = 1
    jobs.jobs |= {name: FakeJob() for name in "abc"}
    jobs.fault = failing("ListJobs", error, job_id=page)
    with pytest.raises(RequestRejected) as caught:
        carry_out(jobs, clock)
    assert str(caught.value) == f"select: the selection failed: {error()}"
    assert jobs.canceled == []


@pytest.mark.parametrize(("error", "is_final"), [(throttled, False), (unavailable, False), (denied, True)])
def test_run_cancels_no_job_if_tags_cannot_be_read(
    error: Any, is_final: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {name: FakeJob(tags={"a": "b"}) for name in "abc"}
    jobs.fault = failing("ListTagsForResource", error, job_id="b")
    document = {"select": {"tags": {"a": "b"}}}
    if is_final:
        with pytest.raises(RequestRejected, match="the selection failed: AccessDeniedException"):
            carry_out(jobs, clock, document)
    else:
        report = carry_out(jobs, clock, document)
        assert (report.status, report.jobs) == ("UNFINISHED", ())
    assert jobs.canceled == []


def test_run_without_time_for_the_listing_is_unfinished(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    report = carry_out(jobs, clock, seconds=0.5)
    assert (report.status, report.reason) == (
        "UNFINISHED",
        "the selection failed: OutOfTime: no time left in this invocation",
    )
    assert jobs.calls == []


def test_run_without_time_for_all_jobs_reports_each_as_deferred(jobs: FakeJobs, clock: FakeClock) -> None:
    """Six jobs start at once, then ten a second, until 2.25 s: a call may take 1 s."""
    jobs.jobs |= {f"job-{number:02}": FakeJob() for number in range(50)}
    report = carry_out(jobs, clock, seconds=3.25, per_second=10)
    assert report.status == "UNFINISHED"
    assert report.counts == {"CANCELED": 28, "DEFERRED": 22}
    assert report.reason == "50 active jobs matched"


# The rounds of a teardown


def create_after_each_cancel(jobs: FakeJobs, names: Sequence[str]) -> None:
    """Let another caller create the next of the jobs after each CancelJob."""
    remaining = iter(names)

    def create(operation: str, _job_id: str) -> None:
        if operation == "CancelJob" and (name := next(remaining, None)):
            jobs.jobs[name] = FakeJob()

    jobs.lost = create


def plain_listings(jobs: FakeJobs) -> int:
    return sum(called == ("ListJobs", "SCHEDULED/1") for called in jobs.calls)


def test_teardown_is_settled_when_no_new_job_matches(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {name: FakeJob() for name in "ab"}
    report = carry_out(jobs, clock, trigger=Trigger.TEARDOWN)
    assert (report.status, report.counts, report.reason) == ("SETTLED", {"CANCELED": 2}, "2 active jobs matched")
    assert plain_listings(jobs) == 2


@pytest.mark.parametrize("trigger", [Trigger.SCHEDULE, Trigger.EVENT, Trigger.DIRECT])
def test_other_triggers_list_once(trigger: Trigger, jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    create_after_each_cancel(jobs, ["b"])
    report = carry_out(jobs, clock, trigger=trigger)
    assert (report.status, outcomes(report)) == ("SETTLED", {"a": "CANCELED"})
    assert plain_listings(jobs) == 1


def test_session_is_for_a_first_attempt_by_default(jobs: FakeJobs, clock: FakeClock) -> None:
    bare = session(jobs, clock)
    assert bare == Session(bare.api, bare.gate, bare.limits, bare.utc_now, False, 0, None)


def test_teardown_cancels_jobs_created_during_the_run(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    create_after_each_cancel(jobs, ["b"])
    report = carry_out(jobs, clock, trigger=Trigger.TEARDOWN)
    assert (report.status, outcomes(report)) == ("SETTLED", {"a": "CANCELED", "b": "CANCELED"})
    assert plain_listings(jobs) == 3


def test_teardown_is_unfinished_after_three_rounds_with_new_jobs(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    create_after_each_cancel(jobs, ["b", "c", "d", "e"])
    report = carry_out(jobs, clock, trigger=Trigger.TEARDOWN)
    assert (report.status, report.counts) == ("UNFINISHED", {"CANCELED": 3})
    assert report.reason == "new jobs matched in each of 3 rounds of selection"
    assert jobs.jobs["d"].status == "IN_PROGRESS"


def test_failed_job_is_not_retried_in_the_next_round(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": FakeJob()}
    jobs.fault = failing("CancelJob", refused, job_id="a")
    report = carry_out(jobs, clock, trigger=Trigger.TEARDOWN)
    assert (report.status, outcomes(report)) == ("UNSETTLED", {"a": "FAILED", "b": "CANCELED"})
    assert jobs.calls.count(("CancelJob", "a")) == 1


def test_teardown_with_deferred_jobs_begins_no_further_round(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": FakeJob()}
    jobs.fault = failing("CancelJob", throttled, job_id="a")
    report = carry_out(jobs, clock, trigger=Trigger.TEARDOWN)
    assert (report.status, outcomes(report)) == ("UNFINISHED", {"a": "DEFERRED", "b": "CANCELED"})
    assert plain_listings(jobs) == 1


@pytest.mark.parametrize("error", [throttled, denied, refused])
def test_error_of_a_second_listing_leaves_the_run_unfinished_with_its_results(
    error: Any, jobs: FakeJobs, clock: FakeClock
) -> None:
    """A rejected run has canceled no job."""
    jobs.jobs["a"] = FakeJob()

    def fails_then(operation: str, page: str) -> None:
        if (operation, page) == ("ListJobs", "SCHEDULED/1") and jobs.canceled:
            raise error()

    jobs.fault = fails_then
    report = carry_out(jobs, clock, trigger=Trigger.TEARDOWN)
    assert (report.status, outcomes(report), report.reason) == (
        "UNFINISHED",
        {"a": "CANCELED"},
        f"the selection failed: {error()}",
    )


def test_dry_run_of_a_teardown_lists_once(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    report = carry_out(jobs, clock, ALL | {"dryRun": True}, trigger=Trigger.TEARDOWN)
    assert (report.status, outcomes(report)) == ("SETTLED", {"a": "WOULD_CANCEL"})
    assert plain_listings(jobs) == 1


def test_run_is_unfinished_if_jobs_still_read_active(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    jobs.lag = 99
    report = carry_out(jobs, clock, trigger=Trigger.TEARDOWN)
    assert (report.status, outcomes(report)) == ("UNFINISHED", {"a": "DEFERRED"})


# Rotation


def test_later_attempt_begins_elsewhere_and_reports_every_job_once(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{number}": FakeJob("COMPLETED") for number in range(10)}
    named = {"jobIds": [f"job-{number}" for number in range(10)]}
    first = [result.job_id for result in carry_out(jobs, clock, named).jobs]
    second = [result.job_id for result in carry_out(jobs, clock, named, previous_attempts=1).jobs]
    assert first == [f"job-{number}" for number in range(10)]
    assert second == [*first[6:], *first[:6]]


@pytest.mark.parametrize(
    ("previous_attempts", "start"), [(0, 0), (1, 61), (2, 23), (3, 85), (4, 47), (5, 9), (100, 80)]
)
def test_starts_are_spread_evenly(previous_attempts: int, start: int) -> None:
    assert rotate(range(100), previous_attempts) == [*range(start, 100), *range(start)]
    assert rotate([], previous_attempts) == []
    assert rotate(["a"], previous_attempts) == ["a"]


def test_attempts_that_reach_only_their_first_jobs_reach_all_jobs_together(jobs: FakeJobs, clock: FakeClock) -> None:
    """Protected jobs stay selected: many of them, in front, would otherwise block the others indefinitely."""
    jobs.jobs |= {f"job-{number:03}": FakeJob(tags={"cancel-protection": "true"}) for number in range(100)}
    jobs.jobs |= {f"last-{number}": FakeJob() for number in range(5)}
    jobs.denied_tag = "cancel-protection"
    named = {"jobIds": list(jobs.jobs), "maxJobs": 105}
    limits = replace(LIMITS, max_jobs=105)
    for previous_attempts in range(5):
        report = carry_out(
            jobs, clock, named, limits=limits, seconds=5, per_second=10, previous_attempts=previous_attempts
        )
        assert report.status == "UNFINISHED"
    assert sorted(jobs.canceled) == [f"last-{number}" for number in range(5)]


# Rate limit and call budget


def test_second_read_back_waits_for_the_rate_limit(jobs: FakeJobs, clock: FakeClock) -> None:
    """One call of each operation in two seconds."""
    jobs.jobs["a"] = FakeJob()
    jobs.lag = 1
    carry_out(jobs, clock, {"jobId": "a"}, per_second=0.5)
    assert clock.slept == [0.5, 1.5]  # the wait for the service, and then for the rate limit of DescribeJob


@pytest.mark.parametrize(
    ("number", "limit_checked", "is_rejected"),
    [(140, False, False), (141, False, True), (141, True, False)],
)
def test_first_attempt_rejects_more_per_job_calls_than_half_of_a_run_allows(
    number: int, limit_checked: bool, is_rejected: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob(tags={"a": "b"}) for each in range(number)}
    by_tag = {"select": {"tags": {"a": "b"}}}
    if is_rejected:
        with pytest.raises(RequestRejected, match="needs 141 API calls for single jobs"):
            carry_out(jobs, clock, by_tag, limits=replace(LIMITS, max_jobs=1000), seconds=298, per_second=1)
        assert jobs.canceled == []
        return
    limits = replace(LIMITS, max_jobs=1000)
    report = carry_out(jobs, clock, by_tag, limits=limits, seconds=298, per_second=1, limit_checked=limit_checked)
    assert len(report.jobs) == number


def test_selection_that_a_later_delivery_has_time_for_is_not_rejected(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob(tags={"a": "b"}) for each in range(100)}
    report = carry_out(jobs, clock, {"select": {"tags": {"a": "b"}}}, seconds=60, per_second=1)
    assert (report.status, report.reason) == (
        "UNFINISHED",
        "the selection failed: OutOfTime: no time left in this invocation",
    )


# Scheduled start

STALE = {"select": {"jobIdGlob": "*", "olderThanHours": 72}}
NOT_BEGUN = {
    "planned": FakeJob("SCHEDULED", starts_at="2026-11-25T12:00"),
    "begun": FakeJob(starts_at="2026-11-24T11:00"),
    "unreadable": FakeJob("SCHEDULED", starts_at="soon"),
}


@pytest.mark.parametrize("trigger", list(Trigger))
@pytest.mark.parametrize("limit_checked", [False, True])
def test_rollout_that_has_not_begun_long_ago_is_not_stale(
    limit_checked: bool, trigger: Trigger, jobs: FakeJobs, clock: FakeClock
) -> None:
    """Every job was created 30 days ago."""
    jobs.jobs |= deepcopy(NOT_BEGUN) | {"stale": FakeJob("SCHEDULED", starts_at="2026-11-01T12:00")}
    report = carry_out(jobs, clock, STALE, trigger=trigger, limit_checked=limit_checked)
    assert (report.status, outcomes(report), report.reason) == (
        "SETTLED",
        {"stale": "CANCELED"},
        "1 active job matched",
    )
    assert (jobs.canceled, report.excluded) == (["stale"], ())


@pytest.mark.parametrize("max_jobs", [1, 100])
def test_dry_run_names_rollouts_that_have_not_begun_long_ago(max_jobs: int, jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= deepcopy(NOT_BEGUN) | {"stale": FakeJob(), "AFR_OTA-1": FakeJob()}
    document = STALE | {"dryRun": True, "maxJobs": max_jobs}
    report = carry_out(jobs, clock, document)
    assert outcomes(report) == {"stale": "WOULD_CANCEL"}
    assert sorted((job.job_id, job.why) for job in report.excluded) == [
        ("AFR_OTA-1", "owned by FreeRTOS over-the-air updates"),
        ("begun", "its rollout began at 2026-11-24T11:00Z, not more than 72 h ago"),
        ("planned", "its rollout is scheduled to begin at 2026-11-25T12:00Z"),
        ("unreadable", "its scheduled start 'soon' is not a time"),
    ]


def test_dry_run_names_at_most_100_excluded_jobs(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{number}": FakeJob(starts_at="2026-11-25T12:00") for number in range(101)}
    report = carry_out(jobs, clock, STALE | {"dryRun": True}, limits=replace(LIMITS, max_jobs=1000))
    assert len(report.excluded) == 100


def test_rollout_that_has_not_begun_is_described_once_in_three_rounds(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= deepcopy(NOT_BEGUN) | {"stale": FakeJob()}
    create_after_each_cancel(jobs, ["stale-2"])
    report = carry_out(jobs, clock, STALE, trigger=Trigger.TEARDOWN)
    assert (report.status, sorted(outcomes(report)), plain_listings(jobs)) == ("SETTLED", ["stale", "stale-2"], 3)
    assert jobs.calls.count(("DescribeJob", "planned")) == 1


def test_selection_of_jobs_of_another_service_is_rejected(jobs: FakeJobs, clock: FakeClock) -> None:
    with pytest.raises(RequestRejected, match="matches only FreeRTOS over-the-air updates"):
        carry_out(jobs, clock, {"select": {"jobIdGlob": "AFR_OTA-*"}})
    assert jobs.calls == []


def test_request_without_an_age_cancels_rollouts_that_have_not_begun(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= deepcopy(NOT_BEGUN)
    report = carry_out(jobs, clock)
    assert outcomes(report) == {"planned": "CANCELED", "begun": "CANCELED", "unreadable": "CANCELED"}
    assert operations(jobs).count("DescribeJob") == 3


def test_rollout_that_has_not_begun_is_described_once_for_each_delivery(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= deepcopy(NOT_BEGUN) | {"stale": FakeJob()}
    carry_out(jobs, clock, STALE, trigger=Trigger.TEARDOWN)
    assert jobs.calls.count(("DescribeJob", "planned")) == 1


def test_job_whose_scheduled_start_cannot_be_read_yet_is_deferred(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["stale"] = FakeJob()
    jobs.fault = failing("DescribeJob", throttled, times=1)
    report = carry_out(jobs, clock, STALE)
    assert (report.status, outcomes(report), jobs.canceled) == ("UNFINISHED", {"stale": "DEFERRED"}, [])


# Waits

FORCE_ALLOWED = replace(LIMITS, force=True)
WAITING = ALL | {"waitForExecutionsMinutes": 5}


def busy(status: str = "IN_PROGRESS", **fields: Any) -> FakeJob:
    """Return a job that a device runs. A canceled one was canceled by this request."""
    reason = {"reason_code": "STALE", "comment": "old"} if status == "CANCELED" else {}
    return FakeJob(status, {"thing": "IN_PROGRESS"}, **(reason | fields))


@pytest.mark.parametrize(
    "scope", [pytest.param(ALL, id="criteria"), pytest.param({"jobIds": ["a", "b"]}, id="named jobs")]
)
def test_run_waits_for_the_jobs_that_devices_still_run(scope: dict[str, Any], jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": busy(), "b": FakeJob()}
    report = carry_out(jobs, clock, scope | {"waitForExecutionsMinutes": 5})
    assert (report.status, report.reason, polls(report)) == ("UNFINISHED", "1 device still runs job a", (("a",), 20))
    assert outcomes(report) == {"a": "CANCELED", "b": "CANCELED"}


def test_run_without_a_wait_is_settled_while_devices_run_its_jobs(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = busy()
    report = carry_out(jobs, clock)
    assert (report.status, report.wait, report.executions_left_in_progress) == ("SETTLED", None, 1)


def begun(clock: FakeClock, seconds: float, *job_ids: str, force: bool = False) -> Wait:
    """Return a wait that began `seconds` ago."""
    return Wait(job_ids, clock.utc_now().timestamp() - seconds, force)


def test_poll_reads_the_jobs_of_the_wait_and_selects_none(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": busy("CANCELED"), "b": FakeJob("CANCELED"), "new": FakeJob()}
    wait = begun(clock, 60, "a", "b")
    report = carry_out(jobs, clock, WAITING, trigger=Trigger.TEARDOWN, wait=wait)
    assert jobs.calls == [("DescribeJob", "a"), ("DescribeJob", "b")]
    assert outcomes(report) == {"a": "ALREADY_CANCELED", "b": "ALREADY_CANCELED"}
    assert (report.status, report.wait) == ("UNFINISHED", wait._replace(poll_seconds=20))
    assert jobs.canceled == []


PAUSED = (
    "the stack's parameter DryRun is true, so the run cancels nothing; it continues once DryRun is false, or is in the "
    "failure queue after 100 attempts"
)


def test_paused_run_with_remaining_jobs_is_unfinished(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": busy("CANCELED")}
    document = {"jobIds": ["a", "b"], "waitForExecutionsMinutes": 5}
    limits = replace(LIMITS, dry_run=True)
    report = carry_out(jobs, clock, document, limits=limits, limit_checked=True, is_paused=True)
    assert outcomes(report) == {"a": "WOULD_CANCEL", "b": "ALREADY_CANCELED"}
    assert (report.status, report.reason, report.wait, jobs.canceled) == ("UNFINISHED", PAUSED, None, [])
    report = carry_out(jobs, clock, document, limits=limits, limit_checked=True)
    assert (report.status, report.reason) == ("SETTLED", "")
    report = carry_out(jobs, clock, limits=limits, limit_checked=True, is_paused=True)
    assert (report.status, report.reason) == ("UNFINISHED", f"1 active job matched; {PAUSED}")


def test_paused_run_that_would_only_end_an_execution_is_unfinished(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = busy("CANCELED")
    limits = replace(FORCE_ALLOWED, dry_run=True)
    report = carry_out(jobs, clock, {"jobId": "a"}, limits=limits, limit_checked=True, is_paused=True)
    assert (report.status, report.executions_ended, jobs.executions_canceled) == ("UNFINISHED", 1, [])


def test_paused_run_continues_to_wait(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = busy("CANCELED")
    wait = begun(clock, 60, "a")
    limits = replace(LIMITS, dry_run=True)
    report = carry_out(jobs, clock, WAITING, limits=limits, wait=wait, is_paused=True)
    assert (report.status, report.wait) == ("UNFINISHED", wait._replace(poll_seconds=20))
    report = carry_out(jobs, clock, WAITING, limits=limits, wait=wait)
    assert (report.status, report.wait) == ("SETTLED", None)


def test_poll_reads_the_jobs_of_the_wait_and_not_those_of_the_request(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": busy("CANCELED"), "b": FakeJob()}
    document = {"jobIds": ["a", "b"], "waitForExecutionsMinutes": 5}
    report = carry_out(jobs, clock, document, wait=begun(clock, 60, "a"))
    assert (outcomes(report), jobs.canceled) == ({"a": "ALREADY_CANCELED"}, [])


def test_wait_is_settled_when_no_device_runs_the_jobs(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob("CANCELED", {"thing": "SUCCEEDED"}), "b": FakeJob("CANCELED")}
    report = carry_out(jobs, clock, WAITING, wait=begun(clock, 60, "a", "b", "gone"))
    assert (report.status, report.reason, polls(report)) == ("SETTLED", "", None)
    assert outcomes(report) == {"a": "ALREADY_CANCELED", "b": "ALREADY_CANCELED", "gone": "GONE"}


@pytest.mark.parametrize(
    ("seconds", "status", "poll_seconds"),
    [
        (0, "UNFINISHED", 20),
        (285, "UNFINISHED", 15),
        (299.9, "UNFINISHED", 1),
        (300, "UNSETTLED", None),
        (5000, "UNSETTLED", None),
    ],
)
def test_wait_times_out_its_minutes_after_it_began(
    seconds: float, status: str, poll_seconds: int | None, jobs: FakeJobs, clock: FakeClock
) -> None:
    clock.now = 9999.0
    jobs.jobs["a"] = busy("CANCELED")
    wait = begun(clock, seconds, "a")
    report = carry_out(jobs, clock, WAITING, wait=wait)
    assert report.status == status
    assert report.wait == (wait._replace(poll_seconds=poll_seconds) if poll_seconds else None)
    reason = "1 device still runs job a"
    assert report.reason == (reason if poll_seconds else f"timed out after 5 min: {reason}")


def test_wait_begins_when_the_run_ends(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = busy()
    jobs.seconds_a_call = 50.0
    report = carry_out(jobs, clock, {"jobId": "a", "waitForExecutionsMinutes": 1}, seconds=3000)
    assert report.wait == Wait(("a",), (NOW + timedelta(seconds=100)).timestamp(), False, 20)


def test_poll_retries_jobs_that_could_not_be_canceled(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": busy("CANCELED"), "b": FakeJob()}
    jobs.fault = failing("CancelJob", refused, times=1)
    document = {"jobIds": ["a", "b"], "waitForExecutionsMinutes": 5}
    first = carry_out(jobs, clock, document, wait=begun(clock, 0, "a", "b"))
    assert (outcomes(first), polls(first)) == (
        {"a": "ALREADY_CANCELED", "b": "FAILED"},
        (("a", "b"), 20),
    )
    second = carry_out(jobs, clock, document, wait=begun(clock, 20, "a", "b"))
    assert (outcomes(second), polls(second)) == (
        {"a": "ALREADY_CANCELED", "b": "CANCELED"},
        (("a", "b"), 20),
    )


@pytest.mark.parametrize(
    ("fields", "outcome", "detail"),
    [
        (
            {},
            "FAILED",
            STILL_ACTIVE,
        ),
        (
            {"status": "SCHEDULED"},
            "FAILED",
            STILL_ACTIVE,
        ),
        ({"status": "COMPLETED"}, "ALREADY_FINISHED", ""),
        ({"status": "PAUSED"}, "DEFERRED", "the job has the unknown status PAUSED"),
        ({"tags": {"cancel-protection": "true"}}, "PROTECTED", "the job is tagged cancel-protection=true"),
    ],
)
@pytest.mark.parametrize("trigger", [Trigger.EVENT, Trigger.DIRECT])
def test_poll_of_selected_jobs_cancels_none(
    trigger: Trigger, fields: dict[str, Any], outcome: str, detail: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    """Another job may have the id."""
    jobs.jobs["a"] = FakeJob(**fields)
    report = carry_out(jobs, clock, WAITING, trigger=trigger, wait=begun(clock, 60, "a"))
    assert [(each.outcome, each.detail) for each in report.jobs] == [(outcome, detail)]
    assert {operation for operation, _ in jobs.calls} <= {"DescribeJob", "ListTagsForResource"}


REASON: dict[str, Any] = {"reason_code": "STALE", "comment": "old"}
INCOMPLETE_SEARCH = (
    "this run could not search all canceled jobs of the account: devices may still run jobs that an earlier attempt of "
    "this request canceled, beside those in the report"
)


@pytest.mark.parametrize(
    ("prefix", "found", "status", "reported", "canceled"),
    [
        # Another job was created. A second delivery of the event has canceled it, or it is active.
        ("", {"a-2": busy("CANCELED", **REASON)}, "UNFINISHED", ["a-1", "a-2"], []),
        ("", {"a-2": busy()}, "UNFINISHED", ["a-1", "a-2"], ["a-2"]),
        ("", {"a-2": FakeJob()}, "SETTLED", ["a-1", "a-2"], ["a-2"]),
        ("", {"a-2": FakeJob("CANCELED", **REASON)}, "SETTLED", ["a-1"], []),
        ("", {"b-2": busy()}, "SETTLED", ["a-1"], []),
        # Another job has the id.
        ("", {"a-1": FakeJob()}, "SETTLED", ["a-1"], ["a-1"]),
        ("", {"a-1": FakeJob(target_selection="CONTINUOUS")}, "UNSETTLED", ["a-1"], []),
        # The stack's JobIdPrefix has changed, so that the criteria match no job.
        ("b-", {"a-2": busy()}, "SETTLED", ["a-1"], []),
    ],
)
def test_teardown_selects_again_when_no_device_runs_its_jobs(
    prefix: str,
    found: dict[str, FakeJob],
    status: str,
    reported: list[str],
    canceled: list[str],
    jobs: FakeJobs,
    clock: FakeClock,
) -> None:
    jobs.jobs |= {"a-1": FakeJob("CANCELED")} | deepcopy(found)
    document = {"select": {"jobIdGlob": "a-*"}, "waitForExecutionsMinutes": 5}
    limits, wait = replace(LIMITS, job_id_prefix=prefix), begun(clock, 60, "a-1")
    report = carry_out(jobs, clock, document, limits=limits, trigger=Trigger.TEARDOWN, wait=wait)
    assert (report.status, [each.job_id for each in report.jobs]) == (status, reported)
    goes_on = wait._replace(job_ids=("a-1", "a-2"), poll_seconds=20, limit_checked=True)
    assert report.wait == (goes_on if status == "UNFINISHED" else None)
    assert jobs.canceled == canceled


@pytest.mark.parametrize(
    ("fault", "status", "outcome", "reason"),
    [
        (("DescribeJob", refused, "a"), "UNSETTLED", "FAILED", "0 active jobs matched"),
        (("ListJobs", refused, ""), "UNSETTLED", "ALREADY_CANCELED", f"Select: the selection failed: {refused()}"),
        (("ListJobs", throttled, ""), "UNFINISHED", "ALREADY_CANCELED", f"the selection failed: {throttled()}"),
    ],
)
def test_error_of_the_last_poll_or_the_selection_after_it_never_rejects_the_run(
    fault: tuple[str, Any, str], status: str, outcome: str, reason: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = FakeJob("CANCELED")
    operation, error, job_id = fault
    jobs.fault = failing(operation, error, times=1, **({"job_id": job_id} if job_id else {}))
    report = carry_out(jobs, clock, WAITING, trigger=Trigger.TEARDOWN, wait=begun(clock, 60, "a"))
    assert (report.status, outcomes(report), report.reason) == (status, {"a": outcome}, reason)
    assert report.wait == (begun(clock, 60, "a") if status == "UNFINISHED" else None)


def test_selection_after_a_wait_is_checked_against_the_job_limit(jobs: FakeJobs, clock: FakeClock) -> None:
    """These jobs are new: other jobs were checked before."""
    jobs.jobs |= {"a": FakeJob("CANCELED"), "b": FakeJob(), "c": FakeJob()}
    report = carry_out(
        jobs,
        clock,
        WAITING | {"maxJobs": 1},
        limit_checked=True,
        trigger=Trigger.TEARDOWN,
        wait=begun(clock, 60, "a"),
    )
    assert (report.status, outcomes(report), jobs.canceled) == ("UNSETTLED", {"a": "ALREADY_CANCELED"}, [])
    assert report.reason == (
        "Select: matches 2 jobs, but the limit is 1, so this run canceled none of the new ones; "
        "select fewer jobs, or raise MaxJobsPerRun or MaxJobs"
    )


@pytest.mark.parametrize("is_throttled", [False, True])
def test_throttling_does_not_decide_about_jobs_created_during_a_teardown(
    is_throttled: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    """The job limit is checked once, before the first cancel."""
    jobs.jobs |= {"a": FakeJob(), "b": FakeJob()}
    create_after_each_cancel(jobs, ["late"])
    jobs.throttle = failing("CancelJob", throttled, job_id="b", times=1) if is_throttled else None
    limited = ALL | {"maxJobs": 2}
    report = carry_out(jobs, clock, limited, trigger=Trigger.TEARDOWN)
    if is_throttled:
        assert (report.status, outcomes(report)) == ("UNFINISHED", {"a": "CANCELED", "b": "DEFERRED"})
        report = carry_out(jobs, clock, limited, trigger=Trigger.TEARDOWN, limit_checked=True)
    assert (report.status, sorted(jobs.canceled)) == ("SETTLED", ["a", "b", "late"])


def test_selection_after_a_wait_is_checked_against_the_job_limit_once(jobs: FakeJobs, clock: FakeClock) -> None:
    waiting = WAITING | {"maxJobs": 2}
    jobs.jobs |= {"old": FakeJob("CANCELED"), "a": FakeJob(), "b": FakeJob(), "c": FakeJob()}
    wait = begun(clock, 60, "old")
    report = carry_out(jobs, clock, waiting, trigger=Trigger.TEARDOWN, wait=wait, limit_checked=True)
    assert (report.status, report.wait, jobs.canceled) == ("UNSETTLED", None, [])
    assert report.reason == (
        "Select: matches 3 jobs, but the limit is 2, so this run canceled none of the new ones; "
        "select fewer jobs, or raise MaxJobsPerRun or MaxJobs"
    )
    del jobs.jobs["c"]
    jobs.throttle = failing("CancelJob", throttled)
    report = carry_out(jobs, clock, waiting, trigger=Trigger.TEARDOWN, wait=wait, limit_checked=True)
    assert (report.status, report.wait) == ("UNFINISHED", wait._replace(limit_checked=True))
    jobs.throttle = None
    jobs.jobs["c"] = FakeJob()
    report = carry_out(jobs, clock, waiting, trigger=Trigger.TEARDOWN, wait=report.wait, limit_checked=True)
    assert (report.status, sorted(jobs.canceled)) == ("SETTLED", ["a", "b", "c"])


def test_throttling_does_not_decide_about_the_limit_of_a_wait_that_goes_on(jobs: FakeJobs, clock: FakeClock) -> None:
    """The jobs that the selection after the wait has canceled are waited for, too."""
    waiting = WAITING | {"maxJobs": 2}
    jobs.jobs |= {"old": FakeJob("CANCELED"), "a": busy(), "b": busy()}
    wait = begun(clock, 60, "old")
    report = carry_out(jobs, clock, waiting, trigger=Trigger.TEARDOWN, wait=wait, limit_checked=True)
    assert (report.status, sorted(jobs.canceled)) == ("UNFINISHED", ["a", "b"])
    assert report.wait == wait._replace(job_ids=("old", *jobs.canceled), limit_checked=True, poll_seconds=20)
    jobs.jobs["a"].executions = jobs.jobs["b"].executions = {}
    jobs.jobs |= {"c": FakeJob(), "d": FakeJob(), "e": FakeJob()}
    report = carry_out(jobs, clock, waiting, trigger=Trigger.TEARDOWN, wait=report.wait, limit_checked=True)
    assert (report.status, report.wait) == ("SETTLED", None)
    assert sorted(jobs.canceled) == ["a", "b", "c", "d", "e"]


def test_running_protected_job_does_not_prevent_the_next_selection(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob("CANCELED"), "kept": busy(tags={"cancel-protection": "true"}), "new": FakeJob()}
    jobs.denied_tag = "cancel-protection"
    wait = begun(clock, 60, "a", "kept")
    report = carry_out(jobs, clock, WAITING, trigger=Trigger.TEARDOWN, wait=wait)
    assert outcomes(report) == {"a": "ALREADY_CANCELED", "kept": "PROTECTED", "new": "CANCELED"}


@pytest.mark.parametrize("is_selected", [False, True])
def test_poll_with_force_ends_running_executions(is_selected: bool, jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = busy("CANCELED")
    document = (ALL if is_selected else {"jobId": "a"}) | {"waitForExecutionsMinutes": 5}
    report = carry_out(jobs, clock, document, limits=FORCE_ALLOWED, wait=begun(clock, 60, "a", force=True))
    assert (report.status, report.force, jobs.executions_canceled) == ("SETTLED", True, [("a", "thing")])


@pytest.mark.parametrize(("wait_force", "stack_force"), [(False, True), (True, False), (False, False)])
def test_poll_ends_no_execution_without_force_at_the_start_and_now(
    wait_force: bool, stack_force: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = busy("CANCELED")
    document = {"jobId": "a", "waitForExecutionsMinutes": 5}
    limits = FORCE_ALLOWED if stack_force else LIMITS
    report = carry_out(jobs, clock, document, limits=limits, wait=begun(clock, 60, "a", force=wait_force))
    assert (report.status, report.force, jobs.executions_canceled) == ("UNFINISHED", False, [])


def test_run_that_waits_may_match_at_most_500_jobs(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{number}": FakeJob() for number in range(501)}
    with pytest.raises(RequestRejected) as caught:
        carry_out(jobs, clock, WAITING, limits=replace(LIMITS, max_jobs=1000))
    assert str(caught.value) == (
        "select: matches 501 jobs, but the limit is 500, so this run canceled none of them"
        "; select fewer jobs: 500 is the maximum with waitForExecutionsMinutes"
    )
    del jobs.jobs["job-0"]
    assert carry_out(jobs, clock, WAITING, limits=replace(LIMITS, max_jobs=1000)).counts == {"CANCELED": 500}


# Earlier cancellations


@pytest.mark.parametrize(
    ("minutes", "force", "trigger", "is_searched"),
    [
        (0, False, "TEARDOWN", False),
        (0, True, "TEARDOWN", True),
        (1, False, "TEARDOWN", True),
        (5, False, "TEARDOWN", True),
        (5, True, "TEARDOWN", True),
        *((0, force, trigger, False) for force in (False, True) for trigger in ("SCHEDULE", "EVENT", "DIRECT")),
        (1, False, "EVENT", True),
        (5, False, "EVENT", True),
        (5, True, "EVENT", True),
        # All schedules and all direct requests have the same comment, which does not identify the request.
        *((5, force, trigger, False) for force in (False, True) for trigger in ("SCHEDULE", "DIRECT")),
    ],
)
def test_earlier_cancellations_are_searched_only_if_their_devices_matter(
    minutes: int, force: bool, trigger: str, is_searched: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = FakeJob()
    document = ALL | {"waitForExecutionsMinutes": minutes}
    carry_out(jobs, clock, document, limits=replace(LIMITS, force=force), trigger=Trigger(trigger))
    assert (("ListJobs", "CANCELED/1") in jobs.calls) is is_searched


def test_request_for_named_jobs_does_not_search_earlier_cancellations(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": busy("CANCELED")}
    document = {"jobId": "a", "waitForExecutionsMinutes": 5}
    carry_out(jobs, clock, document, limits=FORCE_ALLOWED, trigger=Trigger.TEARDOWN)
    assert "ListJobs" not in operations(jobs)
    assert jobs.executions_canceled == []


@pytest.mark.parametrize("trigger", [Trigger.EVENT, Trigger.TEARDOWN])
def test_run_waits_for_devices_of_earlier_cancellations(trigger: Trigger, jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": busy(), "b": busy("CANCELED"), "c": busy("CANCELED"), "other": busy("CANCELED", comment="x")}
    report = carry_out(jobs, clock, WAITING, trigger=trigger)
    assert outcomes(report) == {"a": "CANCELED", "b": "ALREADY_CANCELED", "c": "ALREADY_CANCELED"}
    assert (report.status, report.warnings, jobs.canceled) == ("UNFINISHED", (), ["a"])
    assert set(report.wait.job_ids if report.wait else ()) == {"a", "b", "c"}
    assert ("CancelJob", "b") not in jobs.calls


def test_incomplete_search_for_earlier_cancellations_is_a_warning(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{number:03}": busy("CANCELED") for number in range(501)}
    report = carry_out(jobs, clock, trigger=Trigger.TEARDOWN, limits=FORCE_ALLOWED)
    assert (report.status, len(report.jobs), report.warnings) == (
        "SETTLED",
        500,
        (INCOMPLETE_SEARCH,),
    )


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (0, "1 active job matched"),
        (1, "1 active job matched; devices still run 1 job that an earlier attempt canceled"),
        (3, "1 active job matched; devices still run 3 jobs that an earlier attempt canceled"),
    ],
)
def test_teardown_with_force_ends_executions_of_earlier_cancellations(
    number: int, reason: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {f"b-{each}": busy("CANCELED") for each in range(number)}
    jobs.jobs |= {"a": FakeJob(), "other": busy("CANCELED", comment="another"), "done": FakeJob("CANCELED")}
    report = carry_out(jobs, clock, limits=FORCE_ALLOWED, trigger=Trigger.TEARDOWN)
    assert (report.status, report.reason) == ("SETTLED", reason)
    assert sorted(jobs.executions_canceled) == [(f"b-{each}", "thing") for each in range(number)]
    assert jobs.jobs["other"].executions == {"thing": "IN_PROGRESS"}
    assert ("CancelJob", "b-0") not in jobs.calls


def test_earlier_cancellations_do_not_count_against_the_job_limit(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), **{f"b-{number}": busy("CANCELED") for number in range(5)}}
    report = carry_out(jobs, clock, ALL | {"maxJobs": 1}, limits=FORCE_ALLOWED, trigger=Trigger.TEARDOWN)
    assert report.counts == {"CANCELED": 1, "ALREADY_CANCELED": 5}


def test_dry_run_reports_executions_of_earlier_cancellations(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": busy("CANCELED")}
    report = carry_out(jobs, clock, ALL | {"dryRun": True}, limits=FORCE_ALLOWED, trigger=Trigger.TEARDOWN)
    assert [(each.job_id, each.outcome.value, each.detail) for each in report.jobs] == [
        ("a", "WOULD_CANCEL", ""),
        ("b", "ALREADY_CANCELED", "its executions that still run would be canceled"),
    ]
    assert (report.status, report.excluded, jobs.executions_canceled) == ("SETTLED", (), [])


def test_deferred_jobs_postpone_the_search_for_earlier_cancellations(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": busy("CANCELED")}
    jobs.fault = failing("CancelJob", throttled)
    report = carry_out(jobs, clock, WAITING, limits=FORCE_ALLOWED, trigger=Trigger.TEARDOWN)
    assert (report.status, outcomes(report), polls(report)) == ("UNFINISHED", {"a": "DEFERRED"}, None)
    assert ("ListJobs", "CANCELED/1") not in jobs.calls


@pytest.mark.parametrize("error", [throttled, unavailable, denied])
def test_failed_search_for_earlier_cancellations_leaves_the_run_unfinished(
    error: Any, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {"a": busy(), "b": busy("CANCELED")}
    jobs.fault = failing("ListJobs", error, job_id="CANCELED/1")
    report = carry_out(jobs, clock, WAITING, trigger=Trigger.EVENT)
    assert (report.status, outcomes(report), polls(report)) == ("UNFINISHED", {"a": "CANCELED"}, None)
    assert report.reason == f"1 active job matched; the search for earlier canceled jobs failed: {error()}"
