"""One run: plan and then act, the cap, the passes of a teardown, and what becomes of a listing that fails."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.rate import Deadline, RateLimit
from handler.cancellation.report import Cause, Report, Trigger, Waiting
from handler.cancellation.request import CancelReason, StackLimits, parse_request
from handler.cancellation.run import MAX_TEARDOWN_ROUNDS, Run, rotate
from handler.cancellation.wait import Wait
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
    throttled,
    unavailable,
)

GG = "aws-gg-deployment"
ALL = {"select": {"jobIdGlob": "*"}}


def carry_out(
    jobs: FakeJobs,
    clock: FakeClock,
    document: dict[str, Any] | None = None,
    *,
    policy: StackLimits = LIMITS,
    passes: int = 1,
    seconds: float = 300,
    per_second: float = 1000,
    admitted: bool = False,
    delivery: int = 0,
    trigger: Trigger = Trigger.SCHEDULE,
    wait: Wait | None = None,
) -> Report:
    pace = RateLimit(per_second, clock, clock.sleep)
    run = Run(jobs, policy, pace, Deadline(seconds, clock), clock.sleep, clock.utc_now, admitted, delivery, wait)
    # A stack's prefix that was set after the event had been admitted rejects it no more.
    asked_of = replace(policy, job_id_prefix="") if wait else policy
    request = parse_request(document or ALL, asked_of, CancelReason.default("STALE", "old"))
    report = run.carry_out(request, trigger, passes=passes)
    assert report.trigger is trigger
    return report


def outcomes(report: Report) -> dict[str, str]:
    return {result.job_id: result.outcome.value for result in report.jobs}


def operations(jobs: FakeJobs) -> list[str]:
    return [operation for operation, _ in jobs.calls]


# Plan, then act


def test_the_whole_selection_is_known_before_the_first_cancel(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.page_size = 3
    jobs.jobs |= {f"job-{number}": FakeJob(tags={"a": "b"}) for number in range(20)}
    report = carry_out(jobs, clock, {"select": {"tags": {"a": "b"}}})
    called = operations(jobs)
    assert set(called[: called.index("CancelJob")]) == {"ListJobs", "ListTagsForResource"}
    assert set(called[called.index("CancelJob") :]) == {"CancelJob", "DescribeJob"}
    assert (report.status, report.reason, len(report.jobs)) == ("SETTLED", "20 live jobs matched", 20)


def test_a_selection_without_a_match_says_so(jobs: FakeJobs, clock: FakeClock) -> None:
    report = carry_out(jobs, clock)
    assert (report.status, report.jobs, report.reason) == ("SETTLED", (), "0 live jobs matched")


def test_named_jobs_are_not_listed_and_get_no_reason(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    report = carry_out(jobs, clock, {"jobIds": ["a", "b"]}, passes=3)
    assert (outcomes(report), report.reason) == ({"a": "CANCELED", "b": "GONE"}, "")
    assert "ListJobs" not in operations(jobs)


def test_a_named_job_may_be_another_services_or_of_any_age(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"AFR_OTA-1": FakeJob(), "gg": FakeJob(namespace=GG), "new": FakeJob(created_at=NOW)}
    report = carry_out(jobs, clock, {"jobIds": ["AFR_OTA-1", "gg", "new"]})
    assert set(outcomes(report).values()) == {"CANCELED"}


def test_the_report_tells_the_trigger_the_force_and_the_dry_run(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob(executions={"t": "IN_PROGRESS"})
    report = carry_out(jobs, clock, ALL | {"dryRun": True}, policy=replace(LIMITS, force=True))
    assert (report.trigger, report.force, report.dry_run) == ("SCHEDULE", True, True)
    report = carry_out(jobs, clock, policy=replace(LIMITS, force=True))
    assert (report.force, report.executions_left_in_progress) == (True, 0)


def test_the_report_knows_who_asked_and_what_the_jobs_were_cancelled_with(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    report = carry_out(jobs, clock, {"jobId": "a", "reasonCode": "MOVED", "comment": "to b"})
    assert report.cause == Cause("old", "MOVED", "to b")


def test_a_job_outside_the_prefix_is_never_selected(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"ota-1": FakeJob(), "fw-1": FakeJob()}
    report = carry_out(jobs, clock, policy=replace(LIMITS, job_id_prefix="ota-"))
    assert outcomes(report) == {"ota-1": "CANCELED"}


def test_only_a_dry_run_tells_who_is_left_out(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"AFR_OTA-1": FakeJob(), "mine": FakeJob()}
    planned = carry_out(jobs, clock, ALL | {"dryRun": True})
    assert [(left.job_id, left.why) for left in planned.left_out] == [
        ("AFR_OTA-1", "owned by FreeRTOS over-the-air updates")
    ]
    assert carry_out(jobs, clock).left_out == ()


def test_a_dry_run_of_a_protected_job_tells_so(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"kept": FakeJob(tags={"Cancel-Protection": "TRUE"}), "mine": FakeJob()}
    jobs.denied_tag = "cancel-protection"
    plan = outcomes(carry_out(jobs, clock, ALL | {"dryRun": True}))
    assert plan == {"kept": "PROTECTED", "mine": "WOULD_CANCEL"}
    assert outcomes(carry_out(jobs, clock)) == {"kept": "PROTECTED", "mine": "CANCELED"}


# The cap


@pytest.mark.parametrize(("number", "is_allowed"), [(100, True), (101, False), (250, False)])
@pytest.mark.parametrize("dry_run", [False, True])
def test_a_run_that_matches_more_than_the_cap_cancels_none(
    number: int, is_allowed: bool, dry_run: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob() for each in range(number)}
    if is_allowed:
        assert len(carry_out(jobs, clock, ALL | {"dryRun": dry_run}).jobs) == number
        return
    with pytest.raises(RequestRejected) as caught:
        carry_out(jobs, clock, ALL | {"dryRun": dry_run})
    assert str(caught.value) == (
        f"select: means {number} jobs, and a run may cancel at most 100, so none was cancelled: "
        "ask for fewer, or raise MaxJobsPerRun (or maxJobs); a run that waits may have 500 at most"
    )
    assert jobs.cancelled == []
    assert set(operations(jobs)) == {"ListJobs"}


def test_a_request_can_lower_the_cap(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {name: FakeJob() for name in "abc"}
    with pytest.raises(RequestRejected, match="means 3 jobs, and a run may cancel at most 2"):
        carry_out(jobs, clock, ALL | {"maxJobs": 2})
    assert jobs.cancelled == []


def test_what_is_left_out_does_not_count(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"AFR_OTA-{each}": FakeJob() for each in range(200)} | {"gg": FakeJob(namespace=GG)}
    jobs.jobs |= {f"new-{each}": FakeJob(created_at=NOW) for each in range(200)} | {"old": FakeJob()}
    report = carry_out(jobs, clock, {"select": {"jobIdGlob": "*", "olderThanHours": 1}, "maxJobs": 1})
    assert outcomes(report) == {"old": "CANCELED"}


def test_a_run_that_was_admitted_before_is_not_held_against_the_cap_again(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {name: FakeJob() for name in "abc"}
    report = carry_out(jobs, clock, ALL | {"maxJobs": 2}, admitted=True)
    assert report.counts == {"CANCELED": 3}


# A listing that fails


@pytest.mark.parametrize("error", [throttled, unavailable])
@pytest.mark.parametrize("page", ["SCHEDULED/1", "IN_PROGRESS/2", f"SCHEDULED/1@{GG}"])
def test_a_listing_that_may_work_later_leaves_the_run_unfinished(
    error: Any, page: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.page_size = 1
    jobs.jobs |= {name: FakeJob() for name in "abc"}
    jobs.fault = failing("ListJobs", error, job_id=page)
    report = carry_out(jobs, clock)
    assert (report.status, report.jobs, jobs.cancelled) == ("UNFINISHED", (), [])
    assert report.reason == f"select: {error()}"


@pytest.mark.parametrize("error", [denied, refused, not_found])
@pytest.mark.parametrize("page", ["SCHEDULED/1", "IN_PROGRESS/2", f"SCHEDULED/1@{GG}"])
def test_a_listing_that_will_never_work_is_rejected(error: Any, page: str, jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.page_size = 1
    jobs.jobs |= {name: FakeJob() for name in "abc"}
    jobs.fault = failing("ListJobs", error, job_id=page)
    with pytest.raises(RequestRejected) as caught:
        carry_out(jobs, clock)
    assert str(caught.value) == f"select: could not be carried out: {error()}"
    assert jobs.cancelled == []


@pytest.mark.parametrize(("error", "is_final"), [(throttled, False), (unavailable, False), (denied, True)])
def test_a_tag_look_up_that_fails_cancels_nothing_and_is_never_no_match(
    error: Any, is_final: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {name: FakeJob(tags={"a": "b"}) for name in "abc"}
    jobs.fault = failing("ListTagsForResource", error, job_id="b")
    document = {"select": {"tags": {"a": "b"}}}
    if is_final:
        with pytest.raises(RequestRejected, match="could not be carried out: AccessDeniedException"):
            carry_out(jobs, clock, document)
    else:
        report = carry_out(jobs, clock, document)
        assert (report.status, report.jobs) == ("UNFINISHED", ())
    assert jobs.cancelled == []


def test_a_run_without_time_for_its_listing_is_unfinished(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    report = carry_out(jobs, clock, seconds=0.5)
    assert (report.status, report.reason) == ("UNFINISHED", "select: OutOfTime: no time left in this invocation")
    assert jobs.calls == []


def test_a_run_without_time_for_its_jobs_is_unfinished_and_tells_each(jobs: FakeJobs, clock: FakeClock) -> None:
    """Four pages and then ten jobs a second: 20 jobs are begun before the last second, which a call might take."""
    jobs.jobs |= {f"job-{number:02}": FakeJob() for number in range(50)}
    report = carry_out(jobs, clock, seconds=3.35, per_second=10)
    assert report.status == "UNFINISHED"
    assert report.counts == {"CANCELED": 20, "DEFERRED": 30}
    assert report.reason == "50 live jobs matched"


# The passes of a teardown


def creates(jobs: FakeJobs, names: Sequence[str]) -> None:
    """Somebody goes on creating jobs: one after each CancelJob, as long as there are names."""
    left = iter(names)

    def create(operation: str, _job_id: str) -> None:
        if operation == "CancelJob" and (name := next(left, None)):
            jobs.jobs[name] = FakeJob()

    jobs.lost = create


def plain_listings(jobs: FakeJobs) -> int:
    return sum(called == ("ListJobs", "SCHEDULED/1") for called in jobs.calls)


def test_a_teardown_lists_again_and_is_settled_when_nothing_new_matches(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {name: FakeJob() for name in "ab"}
    report = carry_out(jobs, clock, passes=MAX_TEARDOWN_ROUNDS)
    assert (report.status, report.counts, report.reason) == ("SETTLED", {"CANCELED": 2}, "2 live jobs matched")
    assert plain_listings(jobs) == 2


def test_a_run_that_is_not_told_otherwise_is_for_a_new_event_and_lists_once(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    run = Run(jobs, LIMITS, RateLimit(8, clock, clock.sleep), Deadline(300, clock), clock.sleep, clock.utc_now)
    assert run == replace(run, admitted=False, delivery=0, wait=None)
    run.carry_out(parse_request(ALL, LIMITS, CancelReason.default("STALE", "old")), Trigger.EVENT)
    assert plain_listings(jobs) == 1


def test_a_teardown_takes_the_jobs_that_were_created_meanwhile(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    creates(jobs, ["b"])
    report = carry_out(jobs, clock, passes=MAX_TEARDOWN_ROUNDS)
    assert (report.status, outcomes(report)) == ("SETTLED", {"a": "CANCELED", "b": "CANCELED"})
    assert plain_listings(jobs) == 3


def test_after_three_passes_with_new_jobs_a_teardown_is_unfinished(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    creates(jobs, ["b", "c", "d", "e"])
    report = carry_out(jobs, clock, passes=MAX_TEARDOWN_ROUNDS)
    assert (report.status, report.counts) == ("UNFINISHED", {"CANCELED": 3})
    assert report.reason == "new jobs matched in each of 3 passes"
    assert jobs.jobs["d"].status == "IN_PROGRESS"


def test_a_job_that_cannot_be_cancelled_is_not_tried_in_every_pass(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": FakeJob()}
    jobs.fault = failing("CancelJob", refused, job_id="a")
    report = carry_out(jobs, clock, passes=MAX_TEARDOWN_ROUNDS)
    assert (report.status, outcomes(report)) == ("UNSETTLED", {"a": "FAILED", "b": "CANCELED"})
    assert jobs.calls.count(("CancelJob", "a")) == 1


def test_a_teardown_with_deferred_jobs_lists_no_more(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": FakeJob()}
    jobs.fault = failing("CancelJob", throttled, job_id="a")
    report = carry_out(jobs, clock, passes=MAX_TEARDOWN_ROUNDS)
    assert (report.status, outcomes(report)) == ("UNFINISHED", {"a": "DEFERRED", "b": "CANCELED"})
    assert plain_listings(jobs) == 1


@pytest.mark.parametrize("error", [throttled, denied, refused])
def test_a_second_listing_that_fails_leaves_the_run_unfinished_with_what_was_done(
    error: Any, jobs: FakeJobs, clock: FakeClock
) -> None:
    """Rejected would mean that nothing was done."""
    jobs.jobs["a"] = FakeJob()

    def fails_then(operation: str, page: str) -> None:
        if (operation, page) == ("ListJobs", "SCHEDULED/1") and jobs.cancelled:
            raise error()

    jobs.fault = fails_then
    report = carry_out(jobs, clock, passes=MAX_TEARDOWN_ROUNDS)
    assert (report.status, outcomes(report), report.reason) == ("UNFINISHED", {"a": "CANCELED"}, f"select: {error()}")


def test_a_dry_run_of_a_teardown_lists_once(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    report = carry_out(jobs, clock, ALL | {"dryRun": True}, passes=MAX_TEARDOWN_ROUNDS)
    assert (report.status, outcomes(report)) == ("SETTLED", {"a": "WOULD_CANCEL"})
    assert plain_listings(jobs) == 1


def test_jobs_that_still_read_live_after_the_cancel_are_unfinished(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob()
    jobs.lag = 99
    report = carry_out(jobs, clock, passes=MAX_TEARDOWN_ROUNDS)
    assert (report.status, outcomes(report)) == ("UNFINISHED", {"a": "DEFERRED"})


# Another start in each delivery


def test_a_later_delivery_begins_elsewhere_and_tells_every_job_once(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{number}": FakeJob("COMPLETED") for number in range(10)}
    named = {"jobIds": [f"job-{number}" for number in range(10)]}
    first = [result.job_id for result in carry_out(jobs, clock, named).jobs]
    second = [result.job_id for result in carry_out(jobs, clock, named, delivery=1).jobs]
    assert first == [f"job-{number}" for number in range(10)]
    assert second == [*first[6:], *first[:6]]


@pytest.mark.parametrize(("delivery", "start"), [(0, 0), (1, 61), (2, 23), (3, 85), (4, 47), (5, 9), (100, 80)])
def test_starts_are_spread_over_the_list(delivery: int, start: int) -> None:
    assert rotate(range(100), delivery) == [*range(start, 100), *range(start)]
    assert rotate([], delivery) == []
    assert rotate(["a"], delivery) == ["a"]


def test_a_run_that_never_gets_further_than_its_first_jobs_still_gets_to_all_of_them(
    jobs: FakeJobs, clock: FakeClock
) -> None:
    """Protected jobs stay selected: a thousand of them, in front, would be in the way of the others for ever."""
    jobs.jobs |= {f"job-{number:03}": FakeJob(tags={"cancel-protection": "true"}) for number in range(100)}
    jobs.jobs |= {f"last-{number}": FakeJob() for number in range(5)}
    jobs.denied_tag = "cancel-protection"
    named = {"jobIds": list(jobs.jobs), "maxJobs": 105}
    policy = replace(LIMITS, max_jobs=105)
    for delivery in range(5):
        report = carry_out(jobs, clock, named, policy=policy, seconds=5, per_second=10, delivery=delivery)
        assert report.status == "UNFINISHED"
    assert sorted(jobs.cancelled) == [f"last-{number}" for number in range(5)]


# RateLimit and questions


def test_reading_back_again_takes_a_turn_as_every_call_does(jobs: FakeJobs, clock: FakeClock) -> None:
    """One a second: the second job's turn, and the second reading of the first, do not come at once."""
    jobs.jobs["a"] = FakeJob()
    jobs.lag = 1
    carry_out(jobs, clock, {"jobId": "a"}, per_second=0.5)
    assert clock.slept == [0.5, 1.5]  # the wait for the service, and what is left until the next turn


@pytest.mark.parametrize(
    ("number", "admitted", "rejected"),
    [(149, False, False), (150, False, True), (150, True, False)],
)
def test_a_new_run_asks_about_single_jobs_for_half_of_its_time_and_an_admitted_one_for_all_of_it(
    number: int, admitted: bool, rejected: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob(tags={"a": "b"}) for each in range(number)}
    by_tag = {"select": {"tags": {"a": "b"}}}
    if rejected:
        with pytest.raises(RequestRejected, match="takes 150 questions"):
            carry_out(jobs, clock, by_tag, policy=replace(LIMITS, max_jobs=1000), seconds=298, per_second=1)
        assert jobs.cancelled == []
        return
    policy = replace(LIMITS, max_jobs=1000)
    report = carry_out(jobs, clock, by_tag, policy=policy, seconds=298, per_second=1, admitted=admitted)
    assert len(report.jobs) == number


# Waiting for devices

FORCING = replace(LIMITS, force=True)
WAITING = ALL | {"waitForExecutionsMinutes": 5}


def busy(status: str = "IN_PROGRESS", **fields: Any) -> FakeJob:
    """A job that a device runs. If it has been cancelled, by this request."""
    by_us = {"reason_code": "STALE", "comment": "old"} if status == "CANCELED" else {}
    return FakeJob(status, {"thing": "IN_PROGRESS"}, **(by_us | fields))


@pytest.mark.parametrize(
    ("which", "reason"), [(ALL, "1 device still runs job a"), ({"jobIds": ["a", "b"]}, "1 device still runs job a")]
)
def test_a_run_that_waits_goes_on_with_the_jobs_that_devices_still_run(
    which: dict[str, Any], reason: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {"a": busy(), "b": FakeJob()}
    report = carry_out(jobs, clock, which | {"waitForExecutionsMinutes": 5})
    assert (report.status, report.reason, report.waiting) == ("UNFINISHED", reason, Waiting(("a",), 20))
    assert outcomes(report) == {"a": "CANCELED", "b": "CANCELED"}


def test_a_run_that_does_not_wait_is_settled_though_devices_still_run_its_jobs(
    jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = busy()
    report = carry_out(jobs, clock)
    assert (report.status, report.waiting, report.executions_left_in_progress) == ("SETTLED", None, 1)


def wait(clock: FakeClock, seconds: float, *job_ids: str, force: bool = False) -> Wait:
    """A wait that began so many seconds ago."""
    return Wait(job_ids, clock.utc_now().timestamp() - seconds, force)


def test_a_wait_looks_at_its_own_jobs_and_selects_none(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": busy("CANCELED"), "b": FakeJob("CANCELED"), "new": FakeJob()}
    report = carry_out(jobs, clock, WAITING, passes=3, trigger=Trigger.TEARDOWN, wait=wait(clock, 60, "a", "b"))
    assert jobs.calls == [("DescribeJob", "a"), ("DescribeJob", "b")]
    assert outcomes(report) == {"a": "ALREADY_CANCELED", "b": "ALREADY_CANCELED"}
    assert (report.status, report.waiting) == ("UNFINISHED", Waiting(("a",), 20))
    assert jobs.cancelled == []


def test_a_wait_goes_by_the_jobs_that_it_is_for_and_not_by_those_that_the_request_names(
    jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {"a": busy("CANCELED"), "b": FakeJob()}
    document = {"jobIds": ["a", "b"], "waitForExecutionsMinutes": 5}
    report = carry_out(jobs, clock, document, wait=wait(clock, 60, "a"))
    assert (outcomes(report), jobs.cancelled) == ({"a": "ALREADY_CANCELED"}, [])


def test_a_wait_whose_devices_have_all_reported_is_settled(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob("CANCELED", {"thing": "SUCCEEDED"}), "b": FakeJob("CANCELED")}
    report = carry_out(jobs, clock, WAITING, wait=wait(clock, 60, "a", "b", "gone"))
    assert (report.status, report.reason, report.waiting) == ("SETTLED", "", None)
    assert outcomes(report) == {"a": "ALREADY_CANCELED", "b": "ALREADY_CANCELED", "gone": "GONE"}


@pytest.mark.parametrize(
    ("seconds", "status", "waiting"),
    [
        (0, "UNFINISHED", Waiting(("a",), 20)),
        (285, "UNFINISHED", Waiting(("a",), 15)),
        (299.9, "UNFINISHED", Waiting(("a",), 1)),
        (300, "UNSETTLED", None),
        (5000, "UNSETTLED", None),
    ],
)
def test_a_wait_is_over_when_its_minutes_have_passed_since_it_began(
    seconds: float, status: str, waiting: Waiting | None, jobs: FakeJobs, clock: FakeClock
) -> None:
    clock.now = 9999.0
    jobs.jobs["a"] = busy("CANCELED")
    report = carry_out(jobs, clock, WAITING, wait=wait(clock, seconds, "a"))
    assert (report.status, report.waiting) == (status, waiting)
    told = "1 device still runs job a"
    assert report.reason == (told if waiting else f"after 5 min, {told}")


def test_the_time_that_a_run_takes_is_no_part_of_a_wait_that_begins_after_it(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = busy()
    jobs.seconds_a_call = 50.0
    report = carry_out(jobs, clock, {"jobId": "a", "waitForExecutionsMinutes": 1}, seconds=3000)
    assert report.waiting == Waiting(("a",), 20)


def test_a_wait_tries_again_what_could_not_be_cancelled(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": busy("CANCELED"), "b": FakeJob()}
    jobs.fault = failing("CancelJob", refused, times=1)
    document = {"jobIds": ["a", "b"], "waitForExecutionsMinutes": 5}
    first = carry_out(jobs, clock, document, wait=wait(clock, 0, "a", "b"))
    assert (outcomes(first), first.waiting) == (
        {"a": "ALREADY_CANCELED", "b": "FAILED"},
        Waiting(("a", "b"), 20),
    )
    second = carry_out(jobs, clock, document, wait=wait(clock, 20, "a", "b"))
    assert (outcomes(second), second.waiting) == (
        {"a": "ALREADY_CANCELED", "b": "CANCELED"},
        Waiting(("a",), 20),
    )


@pytest.mark.parametrize(
    ("fields", "outcome", "detail"),
    [
        ({}, "FAILED", "IsLive: it was not cancelled, or another job has its id by now"),
        ({"status": "SCHEDULED"}, "FAILED", "IsLive: it was not cancelled, or another job has its id by now"),
        ({"status": "COMPLETED"}, "ALREADY_FINISHED", ""),
        ({"status": "PAUSED"}, "DEFERRED", "the job reads PAUSED"),
        ({"tags": {"cancel-protection": "true"}}, "PROTECTED", "the job is tagged cancel-protection=true"),
    ],
)
@pytest.mark.parametrize("trigger", [Trigger.EVENT, Trigger.DIRECT])
def test_a_wait_for_selected_jobs_cancels_none_for_an_id_may_be_another_jobs_by_now(
    trigger: Trigger, fields: dict[str, Any], outcome: str, detail: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = FakeJob(**fields)
    report = carry_out(jobs, clock, WAITING, trigger=trigger, wait=wait(clock, 60, "a"))
    assert [(each.outcome, each.detail) for each in report.jobs] == [(outcome, detail)]
    assert {operation for operation, _ in jobs.calls} <= {"DescribeJob", "ListTagsForResource"}


LATE: dict[str, Any] = {"reason_code": "STALE", "comment": "old"}


@pytest.mark.parametrize(
    ("prefix", "found", "status", "told", "waiting", "cancelled"),
    [
        # A job was created meanwhile, and a second delivery of the event has cancelled it, or nobody has.
        ("", {"a-2": busy("CANCELED", **LATE)}, "UNFINISHED", ["a-1", "a-2"], Waiting(("a-2",), 20), []),
        ("", {"a-2": busy()}, "UNFINISHED", ["a-1", "a-2"], Waiting(("a-2",), 20), ["a-2"]),
        ("", {"a-2": FakeJob()}, "SETTLED", ["a-1", "a-2"], None, ["a-2"]),
        ("", {"a-2": FakeJob("CANCELED", **LATE)}, "SETTLED", ["a-1"], None, []),
        ("", {"b-2": busy()}, "SETTLED", ["a-1"], None, []),
        # Another job has the id by now.
        ("", {"a-1": FakeJob()}, "SETTLED", ["a-1"], None, ["a-1"]),
        ("", {"a-1": FakeJob(target_selection="CONTINUOUS")}, "UNSETTLED", ["a-1"], None, []),
        # The stack's JobIdPrefix was set meanwhile: all that can be done has been done.
        ("b-", {"a-2": busy()}, "SETTLED", ["a-1"], None, []),
    ],
)
def test_a_deletion_selects_again_when_the_devices_have_reported(
    prefix: str,
    found: dict[str, FakeJob],
    status: str,
    told: list[str],
    waiting: Waiting | None,
    cancelled: list[str],
    jobs: FakeJobs,
    clock: FakeClock,
) -> None:
    jobs.jobs |= {"a-1": FakeJob("CANCELED")} | deepcopy(found)
    document = {"select": {"jobIdGlob": "a-*"}, "waitForExecutionsMinutes": 5}
    policy, begun = replace(LIMITS, job_id_prefix=prefix), wait(clock, 60, "a-1")
    report = carry_out(jobs, clock, document, policy=policy, passes=3, trigger=Trigger.TEARDOWN, wait=begun)
    assert (report.status, [each.job_id for each in report.jobs], report.waiting) == (status, told, waiting)
    assert jobs.cancelled == cancelled


@pytest.mark.parametrize(
    ("fails", "status", "outcome", "reason"),
    [
        (("DescribeJob", refused, "a"), "UNSETTLED", "FAILED", "0 live jobs matched"),
        (("ListJobs", refused, ""), "UNSETTLED", "ALREADY_CANCELED", f"select: could not be carried out: {refused()}"),
        (("ListJobs", throttled, ""), "UNFINISHED", "ALREADY_CANCELED", f"select: {throttled()}"),
    ],
)
def test_what_a_last_look_or_the_selection_after_it_can_not_read_is_told_and_no_rejected_run(
    fails: tuple[str, Any, str], status: str, outcome: str, reason: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = FakeJob("CANCELED")
    operation, error, job_id = fails
    jobs.fault = failing(operation, error, times=1, **({"job_id": job_id} if job_id else {}))
    report = carry_out(jobs, clock, WAITING, trigger=Trigger.TEARDOWN, wait=wait(clock, 60, "a"))
    assert (report.status, outcomes(report), report.reason) == (status, {"a": outcome}, reason)


def test_a_selection_after_a_wait_is_held_against_the_cap(jobs: FakeJobs, clock: FakeClock) -> None:
    """These jobs are new: the event was admitted for others."""
    jobs.jobs |= {"a": FakeJob("CANCELED"), "b": FakeJob(), "c": FakeJob()}
    report = carry_out(
        jobs,
        clock,
        WAITING | {"maxJobs": 1},
        admitted=True,
        trigger=Trigger.TEARDOWN,
        wait=wait(clock, 60, "a"),
    )
    assert (report.status, outcomes(report), jobs.cancelled) == ("UNSETTLED", {"a": "ALREADY_CANCELED"}, [])
    assert report.reason.startswith("select: means 2 jobs, and a run may cancel at most 1")


def test_what_is_created_while_a_stack_is_torn_down_is_held_against_the_cap_too(
    jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = FakeJob()

    def creates(operation: str, _job_id: str) -> None:
        if operation == "CancelJob":
            jobs.jobs |= {"b": FakeJob(), "c": FakeJob()}

    jobs.fault = creates
    report = carry_out(jobs, clock, ALL | {"maxJobs": 2}, trigger=Trigger.TEARDOWN, passes=3)
    assert (report.status, outcomes(report), jobs.cancelled) == ("UNSETTLED", {"a": "CANCELED"}, ["a"])
    assert report.reason.startswith("select: means 3 jobs, and a run may cancel at most 2")


def test_a_device_of_a_job_that_could_not_be_cancelled_does_not_keep_a_deletion_from_selecting_again(
    jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {"a": FakeJob("CANCELED"), "kept": busy(tags={"cancel-protection": "true"}), "new": FakeJob()}
    jobs.denied_tag = "cancel-protection"
    begun = wait(clock, 60, "a", "kept")
    report = carry_out(jobs, clock, WAITING, trigger=Trigger.TEARDOWN, passes=3, wait=begun)
    assert outcomes(report) == {"a": "ALREADY_CANCELED", "kept": "PROTECTED", "new": "CANCELED"}


@pytest.mark.parametrize("is_selected", [False, True])
def test_a_wait_with_force_ends_what_is_left_at_its_next_look(
    is_selected: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = busy("CANCELED")
    document = (ALL if is_selected else {"jobId": "a"}) | {"waitForExecutionsMinutes": 5}
    report = carry_out(jobs, clock, document, policy=FORCING, wait=wait(clock, 60, "a", force=True))
    assert (report.status, report.force, jobs.executions_cancelled) == ("SETTLED", True, [("a", "thing")])


@pytest.mark.parametrize(("begun", "allowed"), [(False, True), (True, False), (False, False)])
def test_a_wait_ends_executions_only_if_it_began_with_force_and_has_it_still(
    begun: bool, allowed: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = busy("CANCELED")
    document = {"jobId": "a", "waitForExecutionsMinutes": 5}
    policy = FORCING if allowed else LIMITS
    report = carry_out(jobs, clock, document, policy=policy, wait=wait(clock, 60, "a", force=begun))
    assert (report.status, report.force, jobs.executions_cancelled) == ("UNFINISHED", False, [])


def test_a_run_that_waits_may_match_five_hundred_jobs_and_no_more(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {f"job-{number}": FakeJob() for number in range(501)}
    with pytest.raises(RequestRejected) as caught:
        carry_out(jobs, clock, WAITING, policy=replace(LIMITS, max_jobs=1000))
    assert str(caught.value) == (
        "select: means 501 jobs, and a run may cancel at most 500, so none was cancelled: "
        "ask for fewer, or raise MaxJobsPerRun (or maxJobs); a run that waits may have 500 at most"
    )
    del jobs.jobs["job-0"]
    assert carry_out(jobs, clock, WAITING, policy=replace(LIMITS, max_jobs=1000)).counts == {"CANCELED": 500}


# What an earlier delivery has cancelled


@pytest.mark.parametrize(
    ("minutes", "force", "trigger", "looks_back"),
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
        # A comment that every schedule and every bare request gives tells nobody whose a job was.
        *((5, force, trigger, False) for force in (False, True) for trigger in ("SCHEDULE", "DIRECT")),
    ],
)
def test_what_was_cancelled_before_is_looked_for_only_if_its_devices_matter(
    minutes: int, force: bool, trigger: str, looks_back: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = FakeJob()
    document = ALL | {"waitForExecutionsMinutes": minutes}
    carry_out(jobs, clock, document, policy=replace(LIMITS, force=force), trigger=Trigger(trigger))
    assert (("ListJobs", "CANCELED/1") in jobs.calls) is looks_back


def test_a_named_job_is_not_looked_for(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": busy("CANCELED")}
    document = {"jobId": "a", "waitForExecutionsMinutes": 5}
    carry_out(jobs, clock, document, policy=FORCING, trigger=Trigger.TEARDOWN)
    assert "ListJobs" not in operations(jobs)
    assert jobs.executions_cancelled == []


@pytest.mark.parametrize("passes", [1, 3])
def test_a_run_that_waits_waits_for_what_it_has_cancelled_before_too(
    passes: int, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {"a": busy(), "b": busy("CANCELED"), "c": busy("CANCELED"), "other": busy("CANCELED", comment="x")}
    report = carry_out(jobs, clock, WAITING, passes=passes, trigger=Trigger.EVENT)
    assert outcomes(report) == {"a": "CANCELED", "b": "ALREADY_CANCELED", "c": "ALREADY_CANCELED"}
    assert report.status == "UNFINISHED"
    assert set(report.waiting.job_ids if report.waiting else ()) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        (0, "1 live jobs matched"),
        (1, "1 live jobs matched, 1 were cancelled before and are still run by devices"),
        (3, "1 live jobs matched, 3 were cancelled before and are still run by devices"),
    ],
)
def test_a_teardown_with_force_ends_what_it_has_cancelled_before(
    before: int, reason: str, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {f"b-{number}": busy("CANCELED") for number in range(before)}
    jobs.jobs |= {"a": FakeJob(), "other": busy("CANCELED", comment="another"), "done": FakeJob("CANCELED")}
    report = carry_out(jobs, clock, policy=FORCING, passes=3, trigger=Trigger.TEARDOWN)
    assert (report.status, report.reason) == ("SETTLED", reason)
    assert sorted(jobs.executions_cancelled) == [(f"b-{number}", "thing") for number in range(before)]
    assert jobs.jobs["other"].executions == {"thing": "IN_PROGRESS"}
    assert ("CancelJob", "b-0") not in jobs.calls


def test_what_was_cancelled_before_is_no_part_of_the_cap(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), **{f"b-{number}": busy("CANCELED") for number in range(5)}}
    report = carry_out(jobs, clock, ALL | {"maxJobs": 1}, policy=FORCING, passes=3, trigger=Trigger.TEARDOWN)
    assert report.counts == {"CANCELED": 1, "ALREADY_CANCELED": 5}


def test_a_dry_run_tells_what_it_would_end_of_what_was_cancelled_before(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": busy("CANCELED")}
    report = carry_out(jobs, clock, ALL | {"dryRun": True}, policy=FORCING, trigger=Trigger.TEARDOWN)
    assert [(each.job_id, each.outcome.value, each.detail) for each in report.jobs] == [
        ("a", "WOULD_CANCEL", ""),
        ("b", "ALREADY_CANCELED", "the executions that it has left would be ended"),
    ]
    assert (report.status, report.left_out, jobs.executions_cancelled) == ("SETTLED", (), [])


def test_what_is_left_to_cancel_comes_before_what_was_cancelled_before(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": busy("CANCELED")}
    jobs.fault = failing("CancelJob", throttled)
    report = carry_out(jobs, clock, WAITING, policy=FORCING, passes=3, trigger=Trigger.TEARDOWN)
    assert (report.status, outcomes(report), report.waiting) == ("UNFINISHED", {"a": "DEFERRED"}, None)
    assert ("ListJobs", "CANCELED/1") not in jobs.calls


@pytest.mark.parametrize("error", [throttled, unavailable, denied])
def test_a_look_back_that_fails_is_never_nothing_found_and_leaves_the_run_unfinished(
    error: Any, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {"a": busy(), "b": busy("CANCELED")}
    jobs.fault = failing("ListJobs", error, job_id="CANCELED/1")
    report = carry_out(jobs, clock, WAITING, trigger=Trigger.EVENT)
    assert (report.status, outcomes(report), report.waiting) == ("UNFINISHED", {"a": "CANCELED"}, None)
    assert report.reason == f"1 live jobs matched; those cancelled before: {error()}"
