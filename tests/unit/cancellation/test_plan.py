"""A request with the planId of a dry run cancels the jobs of that dry run, or none."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.plan import plan_id_of
from handler.cancellation.report import Report, Trigger
from handler.cancellation.request import CancelReason, StackLimits, parse_request
from handler.cancellation.run import run
from handler.errors import RequestRejected
from tests.support.fakes import LIMITS, FakeClock, FakeJob, FakeJobs, denied, failing, session, throttled

DEFAULT = CancelReason.default("STALE", "old")
FORCED = replace(LIMITS, force=True)
SELECT: dict[str, Any] = {"select": {"jobIdGlob": "*"}}
NAMES: dict[str, Any] = {"jobIds": ["a", "b"]}
SCOPES = pytest.mark.parametrize("scope", [SELECT, NAMES], ids=["selection", "named jobs"])


def carry_out(
    jobs: FakeJobs,
    clock: FakeClock,
    document: dict[str, Any],
    *,
    limits: StackLimits = LIMITS,
    trigger: Trigger = Trigger.DIRECT,
    **progress: Any,
) -> Report:
    report = run(session(jobs, clock, limits=limits, **progress), parse_request(document, limits, DEFAULT), trigger)
    assert report.trigger is trigger
    return report


def plan_of(jobs: FakeJobs, clock: FakeClock, document: dict[str, Any], limits: StackLimits = LIMITS) -> str:
    return carry_out(jobs, clock, document | {"dryRun": True}, limits=limits).plan_id


def rejection(jobs: FakeJobs, clock: FakeClock, document: dict[str, Any], limits: StackLimits = LIMITS) -> str:
    with pytest.raises(RequestRejected) as caught:
        carry_out(jobs, clock, document, limits=limits)
    assert caught.value.field == "planId"
    return caught.value.allowed


@pytest.fixture
def two_jobs(jobs: FakeJobs) -> FakeJobs:
    jobs.denied_tag = "cancel-protection"
    jobs.jobs |= {
        "a": FakeJob(executions={"thing": "IN_PROGRESS"}),
        "b": FakeJob(),
        "done": FakeJob("COMPLETED"),
        "protected": FakeJob(tags={"cancel-protection": "true"}),
    }
    return jobs


def test_plan_id_is_a_digest_of_the_jobs_force_and_the_wait() -> None:
    """The values are literal: an approval may outlive a release."""
    request = parse_request(NAMES, FORCED, DEFAULT)
    assert plan_id_of(["b", "a"], request) == plan_id_of(["a", "b"], request) == "80fc16010c8ef9f0a2438c1fb8e4ba77"
    assert plan_id_of(["a", "b"], replace(request, force=False)) == "445f603191b758594c42487abe451a03"
    assert plan_id_of(["a", "b"], replace(request, wait_minutes=5)) == "d83efad6ff6e7dfae78e26bf2cf77a20"
    assert plan_id_of([], request) == "24afbd692afdfda953b663036d0dd158"


@SCOPES
def test_plan_that_is_applied_unchanged_cancels_its_jobs(
    scope: dict[str, Any], two_jobs: FakeJobs, clock: FakeClock
) -> None:
    plan_id = plan_of(two_jobs, clock, scope)
    report = carry_out(two_jobs, clock, scope | {"planId": plan_id})
    assert report.counts["CANCELED"] == 2
    assert sorted(two_jobs.canceled) == ["a", "b"]


@SCOPES
@pytest.mark.parametrize(
    "change",
    ["one job more", "one job fewer", "force", "wait"],
)
def test_changed_plan_is_rejected_and_cancels_nothing(
    change: str, scope: dict[str, Any], two_jobs: FakeJobs, clock: FakeClock
) -> None:
    two_jobs.jobs["b"].status = "COMPLETED" if change == "one job more" else "IN_PROGRESS"
    plan_id = plan_of(two_jobs, clock, scope)
    limits, document = LIMITS, scope | {"planId": plan_id}
    match change:
        case "one job more":
            two_jobs.jobs["b"].status = "IN_PROGRESS"
        case "one job fewer":
            two_jobs.jobs["a"].status = "COMPLETED"
        case "force":
            limits = FORCED
        case "wait":
            document["waitForExecutionsMinutes"] = 5
    number = "1 job" if change == "one job fewer" else "2 jobs"
    how = f"force {str(change == 'force').lower()} and a wait of {5 if change == 'wait' else 0} min"
    assert rejection(two_jobs, clock, document, limits) == (
        "is not the current plan of this request, so this run canceled nothing (an earlier delivery of it may have): "
        f"it would change {number}, with {how}; start a dry run again, and use the planId of its report"
    )
    assert rejection(two_jobs, clock, document | {"dryRun": True}, limits)
    assert two_jobs.canceled == []


def test_protected_job_is_not_a_part_of_the_plan(two_jobs: FakeJobs, clock: FakeClock) -> None:
    plan_id = plan_of(two_jobs, clock, SELECT)
    two_jobs.jobs["protected"].tags.clear()
    assert rejection(two_jobs, clock, SELECT | {"planId": plan_id})


def test_job_whose_rollout_was_too_recent_is_not_a_part_of_the_plan(two_jobs: FakeJobs, clock: FakeClock) -> None:
    two_jobs.jobs["planned"] = FakeJob("SCHEDULED", starts_at="2026-11-24T11:30")
    select = {"select": {"jobIdGlob": "*", "olderThanHours": 1}}
    plan_id = plan_of(two_jobs, clock, select)
    clock.advance(3500)
    assert rejection(two_jobs, clock, select | {"planId": plan_id})


@SCOPES
def test_request_that_is_delivered_again_is_not_rejected(
    scope: dict[str, Any], two_jobs: FakeJobs, clock: FakeClock
) -> None:
    """No job remains to be canceled."""
    document = scope | {"planId": plan_of(two_jobs, clock, scope)}
    carry_out(two_jobs, clock, document)
    assert carry_out(two_jobs, clock, document).status in {"SETTLED", "UNSETTLED"}
    assert len(two_jobs.canceled) == 2


@SCOPES
def test_plan_that_cannot_be_read_is_retried_before_the_first_cancel(
    scope: dict[str, Any], two_jobs: FakeJobs, clock: FakeClock
) -> None:
    plan_id = plan_of(two_jobs, clock, scope)
    two_jobs.fault = failing("DescribeJob", throttled, job_id="b")
    report = carry_out(two_jobs, clock, scope | {"planId": plan_id})
    assert (report.status, report.jobs, report.reason) == (
        "UNFINISHED",
        (),
        "PlanUnread: some jobs could not be read, so planId was not checked and nothing was canceled",
    )
    assert two_jobs.canceled == []


@SCOPES
def test_incomplete_dry_run_has_no_plan_id(scope: dict[str, Any], two_jobs: FakeJobs, clock: FakeClock) -> None:
    two_jobs.fault = failing("DescribeJob", throttled, job_id="b")
    assert plan_of(two_jobs, clock, scope) == ""


@SCOPES
@pytest.mark.parametrize("operation", ["DescribeJob", "ListTagsForResource"])
def test_nothing_is_canceled_if_a_job_cannot_be_compared_with_the_plan(
    operation: str, scope: dict[str, Any], two_jobs: FakeJobs, clock: FakeClock
) -> None:
    plan_id = plan_of(two_jobs, clock, scope)
    two_jobs.fault = failing(operation, denied, job_id="b")
    assert plan_of(two_jobs, clock, scope) == ""
    assert rejection(two_jobs, clock, scope | {"planId": plan_id}) == (
        "cannot be compared, so nothing was canceled: job b: AccessDeniedException: not authorized"
    )
    assert two_jobs.canceled == []


def test_force_that_is_for_teardowns_has_no_plan_id(two_jobs: FakeJobs, clock: FakeClock) -> None:
    document = SELECT | {"force": True, "dryRun": True}
    report = carry_out(two_jobs, clock, document, limits=replace(LIMITS, forces_teardowns=True))
    assert (report.plan_id, report.reason) == (
        "",
        "3 active jobs matched; with force, which the stack's parameter Force allows on teardowns only",
    )


def test_only_the_dry_run_of_a_request_has_a_plan_id(two_jobs: FakeJobs, clock: FakeClock) -> None:
    dry_run = SELECT | {"dryRun": True}
    assert carry_out(two_jobs, clock, dry_run).plan_id
    assert not carry_out(two_jobs, clock, dry_run, trigger=Trigger.TEARDOWN).plan_id
    assert not carry_out(two_jobs, clock, SELECT).plan_id


@pytest.mark.parametrize(("number", "has_plan_id"), [(500, True), (501, False)])
def test_plan_has_at_most_500_jobs(number: int, has_plan_id: bool, jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob() for each in range(number)}
    limits = replace(LIMITS, max_jobs=1000)
    assert bool(plan_of(jobs, clock, SELECT, limits)) is has_plan_id


def test_selection_of_a_plan_has_at_most_500_jobs(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob() for each in range(501)}
    with pytest.raises(RequestRejected, match="500 is the maximum with planId"):
        carry_out(jobs, clock, SELECT | {"planId": "0" * 32}, limits=replace(LIMITS, max_jobs=1000))


def test_executions_that_force_would_end_are_a_part_of_the_plan(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob("CANCELED", {"thing": "IN_PROGRESS"}), "b": FakeJob("CANCELED")}
    plan_id = plan_of(jobs, clock, NAMES, FORCED)
    jobs.jobs["b"].executions["other"] = "IN_PROGRESS"
    assert rejection(jobs, clock, NAMES | {"planId": plan_id}, FORCED)
    assert jobs.executions_canceled == []
    jobs.jobs["b"].executions["other"] = "SUCCEEDED"
    report = carry_out(jobs, clock, NAMES | {"planId": plan_id}, limits=FORCED)
    assert (report.executions_ended, jobs.executions_canceled) == (1, [("a", "thing")])


@SCOPES
def test_continued_plan_covers_its_own_jobs_only(scope: dict[str, Any], two_jobs: FakeJobs, clock: FakeClock) -> None:
    document = scope | {"planId": plan_of(two_jobs, clock, scope)}
    two_jobs.fault = failing("CancelJob", throttled, job_id="b")
    report = carry_out(two_jobs, clock, document)
    assert (report.status, sorted(report.planned), two_jobs.canceled) == ("UNFINISHED", ["a", "b"], ["a"])
    two_jobs.fault = None
    two_jobs.jobs["new"] = FakeJob()
    report = carry_out(two_jobs, clock, document, limit_checked=True, planned=report.planned)
    assert report.counts == {"ALREADY_CANCELED": 1, "CANCELED": 1}
    assert sorted(two_jobs.canceled) == ["a", "b"]


@SCOPES
@pytest.mark.parametrize("limit_checked", [False, True])
def test_request_without_a_plan_covers_no_plan(
    limit_checked: bool, scope: dict[str, Any], two_jobs: FakeJobs, clock: FakeClock
) -> None:
    report = carry_out(two_jobs, clock, scope, limit_checked=limit_checked)
    assert (report.counts["CANCELED"], report.planned) == (2, ())


def test_plan_does_not_cover_earlier_cancellations(two_jobs: FakeJobs, clock: FakeClock) -> None:
    document = SELECT | {"waitForExecutionsMinutes": 5}
    plan_id = plan_of(two_jobs, clock, document)
    carry_out(two_jobs, clock, document | {"planId": plan_id}, trigger=Trigger.EVENT)
    assert ("ListJobs", "CANCELED/1") not in two_jobs.calls


def test_continued_plan_of_named_jobs_is_not_compared_again(two_jobs: FakeJobs, clock: FakeClock) -> None:
    document = NAMES | {"planId": plan_of(two_jobs, clock, NAMES)}
    two_jobs.jobs["a"].status = "CANCELED"
    report = carry_out(two_jobs, clock, document, limit_checked=True)
    assert report.counts == {"ALREADY_CANCELED": 1, "CANCELED": 1}


def test_paused_plan_is_not_compared_again(two_jobs: FakeJobs, clock: FakeClock) -> None:
    document = NAMES | {"planId": plan_of(two_jobs, clock, NAMES)}
    two_jobs.jobs["a"].status = "CANCELED"
    limits = replace(LIMITS, dry_run=True)
    report = carry_out(two_jobs, clock, document, limits=limits, limit_checked=True, is_paused=True)
    assert (report.status, report.plan_id) == ("UNFINISHED", "")
