"""Selecting: in which order it asks, and that what could not be asked is never an empty selection."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from handler.cancellation.criteria import Criteria, parse_criteria
from handler.cancellation.job import JobStatus, JobSummary
from handler.cancellation.selection import Selecting, Selection, is_older
from handler.errors import JobNotCancelable, JobsError, JobsUnavailable, OutOfTime, RequestRejected
from tests.support.fakes import (
    NOW,
    FakeClock,
    FakeJob,
    FakeJobs,
    Hook,
    denied,
    failing,
    not_found,
    refused,
    throttled,
    unavailable,
)

GG = "aws-gg-deployment"
ALL = {"jobIdGlob": "*"}


def select(jobs: FakeJobs, document: dict[str, Any] | None = None, turns: list[int] | None = None) -> Selection:
    def turn() -> None:
        if turns is not None:
            turns.append(len(jobs.calls))

    return Selecting(parse_criteria(document or ALL), jobs, "", NOW, turn, 100).select()


def ids(selection: Selection) -> list[str]:
    return sorted(job.job_id for job in selection.jobs)


# What is asked, in which order


def test_each_status_is_listed_by_itself_and_then_the_greengrass_namespace(jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob()
    select(jobs)
    assert jobs.calls == [
        ("ListJobs", "SCHEDULED/1"),
        ("ListJobs", "IN_PROGRESS/1"),
        ("ListJobs", f"SCHEDULED/1@{GG}"),
        ("ListJobs", f"IN_PROGRESS/1@{GG}"),
    ]


def test_without_a_candidate_nothing_more_is_asked(jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob("COMPLETED")
    assert ids(select(jobs, {"tags": {"env": "dev"}})) == []
    assert jobs.calls == [("ListJobs", "SCHEDULED/1"), ("ListJobs", "IN_PROGRESS/1")]


def test_every_page_is_read(jobs: FakeJobs) -> None:
    jobs.page_size = 3
    jobs.jobs |= {f"job-{number}": FakeJob() for number in range(8)}
    assert ids(select(jobs)) == [f"job-{number}" for number in range(8)]
    assert [page for _, page in jobs.calls if "@" not in page] == [
        "SCHEDULED/1",
        "IN_PROGRESS/1",
        "IN_PROGRESS/2",
        "IN_PROGRESS/3",
    ]


def test_calls_for_each_job_are_made_last_and_only_for_the_candidates_and_only_if_asked(jobs: FakeJobs) -> None:
    group = ("arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet-a",)
    jobs.jobs |= {
        "ota-new": FakeJob(created_at=NOW, tags={"env": "dev"}, targets=group),
        "ota-prod": FakeJob(tags={"env": "prod"}, targets=group),
        "ota-dev": FakeJob(tags={"env": "dev"}, targets=group),
        "ota-other": FakeJob(tags={"env": "dev"}),
        "fw-dev": FakeJob(tags={"env": "dev"}, targets=group),
    }
    document = {"jobIdGlob": "ota-*", "olderThanHours": 1, "tags": {"env": "dev"}, "thingGroupName": "fleet-a"}
    assert ids(select(jobs, document)) == ["ota-dev"]
    listings, questions = jobs.calls[:4], jobs.calls[4:]
    assert {operation for operation, _ in listings} == {"ListJobs"}
    assert sorted(questions) == [
        ("DescribeJob", "ota-dev"),
        ("DescribeJob", "ota-other"),
        ("ListTagsForResource", "ota-dev"),
        ("ListTagsForResource", "ota-other"),
        ("ListTagsForResource", "ota-prod"),
    ]


def test_a_turn_is_taken_before_each_page_and_each_question(jobs: FakeJobs) -> None:
    jobs.page_size = 1
    jobs.jobs |= {"a": FakeJob(tags={"env": "dev"}), "b": FakeJob()}
    turns: list[int] = []
    select(jobs, {"tags": {"env": "dev"}}, turns)
    assert turns == list(range(7))
    assert len(jobs.calls) == 7


def test_a_job_that_begins_its_roll_out_between_two_listings_is_seen_once(jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob("SCHEDULED")

    def begins(_operation: str, page: str) -> None:
        if page == "IN_PROGRESS/1":
            jobs.jobs["a"].status = "IN_PROGRESS"

    jobs.fault = begins
    assert ids(select(jobs)) == ["a"]


# Tags and targets


@pytest.mark.parametrize(
    ("tags", "matches"),
    [
        ({"env": "dev"}, True),
        ({"env": "dev", "team": "a"}, True),
        ({}, False),
        ({"env": "Dev"}, False),
        ({"Env": "dev"}, False),
        ({"env": ""}, False),
        ({"team": "dev"}, False),
    ],
)
def test_every_tag_has_to_be_there_with_its_value(tags: dict[str, str], matches: bool, jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob(tags=tags)
    assert ids(select(jobs, {"tags": {"env": "dev"}})) == (["a"] if matches else [])


ACCOUNT = "arn:aws:iot:eu-west-1:123456789012"


@pytest.mark.parametrize(
    ("targets", "matches"),
    [
        ((f"{ACCOUNT}:thinggroup/fleet-a",), True),
        ((f"{ACCOUNT}:thing/x", f"{ACCOUNT}:thinggroup/fleet-a"), True),
        ((f"{ACCOUNT}:thing/fleet-a",), False),
        ((f"{ACCOUNT}:thinggroup/fleet-ab",), False),
        ((f"{ACCOUNT}:thinggroup/my-fleet-a",), False),
        ((f"{ACCOUNT}:thinggroup/Fleet-a",), False),
        ((), False),
    ],
)
def test_a_thing_group_is_held_against_the_jobs_own_targets(
    targets: tuple[str, ...], matches: bool, jobs: FakeJobs
) -> None:
    jobs.jobs["a"] = FakeJob(targets=targets)
    assert ids(select(jobs, {"thingGroupName": "fleet-a"})) == (["a"] if matches else [])


@pytest.mark.parametrize("operation", ["ListTagsForResource", "DescribeJob"])
def test_a_candidate_that_is_gone_when_it_is_asked_about_is_no_match(operation: str, jobs: FakeJobs) -> None:
    group = (f"{ACCOUNT}:thinggroup/g",)
    jobs.jobs |= {name: FakeJob(tags={"env": "dev"}, targets=group) for name in "ab"}
    jobs.fault = failing(operation, not_found, job_id="a")
    assert ids(select(jobs, {"tags": {"env": "dev"}, "thingGroupName": "g"})) == ["b"]


# Greengrass


@pytest.mark.parametrize("ignores", [False, True])
def test_greengrass_jobs_are_left_out_whether_the_listing_knows_namespaces_or_not(
    ignores: bool, jobs: FakeJobs
) -> None:
    jobs.ignores_namespaces = ignores
    jobs.jobs |= {
        "mine": FakeJob(),
        "deployment": FakeJob(namespace=GG),
        "deployment-2": FakeJob("SCHEDULED", namespace=GG),
        "theirs": FakeJob(namespace="another"),
    }
    selection = select(jobs)
    assert ids(selection) == ["mine", "theirs"]
    assert sorted((left.job_id, left.why) for left in selection.left_out) == [
        ("deployment", "owned by AWS IoT Greengrass"),
        ("deployment-2", "owned by AWS IoT Greengrass"),
    ]


def test_only_where_the_listing_ignores_namespaces_is_each_job_asked(jobs: FakeJobs) -> None:
    jobs.jobs["deployment"] = FakeJob(namespace=GG)
    select(jobs)
    assert "DescribeJob" not in {operation for operation, _ in jobs.calls}
    jobs.ignores_namespaces = True
    select(jobs)
    assert ("DescribeJob", "deployment") in jobs.calls


@pytest.mark.parametrize("ignores", [False, True])
def test_a_deployment_that_begins_between_two_listings_is_left_out_once(ignores: bool, jobs: FakeJobs) -> None:
    jobs.ignores_namespaces = ignores
    jobs.jobs |= {"deployment": FakeJob("SCHEDULED", namespace=GG), "mine": FakeJob("SCHEDULED")}

    def begins(_operation: str, page: str) -> None:
        if page == f"IN_PROGRESS/1@{GG}":
            jobs.jobs["deployment"].status = jobs.jobs["mine"].status = "IN_PROGRESS"

    jobs.fault = begins
    selection = select(jobs)
    assert (ids(selection), [left.job_id for left in selection.left_out]) == (["mine"], ["deployment"])


@pytest.mark.parametrize("status", ["SCHEDULED", "IN_PROGRESS"])
def test_a_deployment_is_left_out_even_if_it_left_the_status_that_was_asked_for(status: str, jobs: FakeJobs) -> None:
    jobs.jobs["deployment"] = FakeJob("SCHEDULED", namespace=GG)

    def begins(_operation: str, page: str) -> None:
        if page == f"SCHEDULED/1@{GG}":
            jobs.jobs["deployment"].status = "IN_PROGRESS"

    jobs.fault = begins
    assert ids(select(jobs, {"jobIdGlob": "*", "status": [status]})) == []


def test_a_deployment_that_is_gone_when_it_is_asked_about_is_nobodys(jobs: FakeJobs) -> None:
    jobs.ignores_namespaces = True
    jobs.jobs |= {"deployment": FakeJob(namespace=GG), "mine": FakeJob()}
    jobs.fault = failing("DescribeJob", not_found, job_id="deployment")
    assert ids(select(jobs)) == ["deployment", "mine"]


# What fails


TROUBLE: dict[str, tuple[Hook, type[JobsError]]] = {
    "the first page is throttled": (failing("ListJobs", throttled, job_id="SCHEDULED/1"), JobsUnavailable),
    "the second page is throttled": (failing("ListJobs", throttled, job_id="IN_PROGRESS/2"), JobsUnavailable),
    "the second page is denied": (failing("ListJobs", denied, job_id="IN_PROGRESS/2"), JobsError),
    "the second page is refused": (failing("ListJobs", refused, job_id="IN_PROGRESS/2"), JobNotCancelable),
    "Greengrass can't be listed": (failing("ListJobs", unavailable, job_id=f"SCHEDULED/1@{GG}"), JobsUnavailable),
    "Greengrass's second page": (failing("ListJobs", throttled, job_id=f"IN_PROGRESS/2@{GG}"), JobsUnavailable),
    "Greengrass is denied": (failing("ListJobs", denied, job_id=f"IN_PROGRESS/1@{GG}"), JobsError),
    "nobody's namespace": (
        failing("ListJobs", throttled, job_id="SCHEDULED/1@iot-job-canceler-probe"),
        JobsUnavailable,
    ),
    "a tag look-up is throttled": (failing("ListTagsForResource", throttled, job_id="b"), JobsUnavailable),
    "a tag look-up is denied": (failing("ListTagsForResource", denied, job_id="b"), JobsError),
    "the targets are throttled": (failing("DescribeJob", throttled, job_id="b"), JobsUnavailable),
    "the targets are denied": (failing("DescribeJob", denied, job_id="b"), JobsError),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_what_could_not_be_asked_is_raised_and_never_an_empty_selection(name: str, jobs: FakeJobs) -> None:
    hook, kind = TROUBLE[name]
    group = (f"{ACCOUNT}:thinggroup/g",)
    jobs.page_size = 2
    jobs.jobs |= {name: FakeJob(tags={"env": "dev"}, targets=group) for name in "abcd"}
    jobs.jobs |= {name: FakeJob(namespace=GG) for name in ("gg-1", "gg-2", "gg-3")}
    jobs.fault = hook
    with pytest.raises(kind):
        select(jobs, {"tags": {"env": "dev"}, "thingGroupName": "g"})


@pytest.mark.parametrize("turns", range(6))
def test_a_turn_that_comes_too_late_ends_the_selection(turns: int, jobs: FakeJobs) -> None:
    jobs.jobs |= {name: FakeJob(tags={"env": "dev"}) for name in "ab"}
    left = iter(range(turns))

    def turn() -> None:
        if next(left, None) is None:
            raise OutOfTime

    with pytest.raises(OutOfTime):
        Selecting(parse_criteria({"tags": {"env": "dev"}}), jobs, "", NOW, turn, 100).select()


# Left out


def test_only_the_first_hundred_that_are_left_out_are_told(jobs: FakeJobs) -> None:
    jobs.jobs |= {f"AFR_OTA-{number}": FakeJob() for number in range(150)}
    jobs.jobs["mine"] = FakeJob()
    selection = select(jobs)
    assert (ids(selection), len(selection.left_out)) == (["mine"], 100)


@pytest.mark.parametrize(("hours", "told"), [(72, "72"), (0.5, "0.5"), (87600, "87600")])
def test_a_job_that_is_too_young_is_told_with_the_age_it_should_have(hours: float, told: str, jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob(created_at=NOW)
    selection = select(jobs, {"jobIdGlob": "*", "olderThanHours": hours})
    assert [(left.job_id, left.why) for left in selection.left_out] == [("a", f"not older than {told} h")]


def test_what_is_out_of_scope_is_not_told(jobs: FakeJobs) -> None:
    jobs.jobs |= {"a": FakeJob(created_at=NOW), "AFR_OTA-1": FakeJob(target_selection="CONTINUOUS")}
    assert select(jobs, {"jobIdGlob": "b*", "olderThanHours": 1}).left_out == ()


# Age

HOURS = parse_criteria({"jobIdGlob": "*", "olderThanHours": 72})
BERLIN = ZoneInfo("Europe/Berlin")


def aged(created_at: datetime, last_updated_at: datetime | None = None) -> JobSummary:
    return JobSummary("a", "arn", "SNAPSHOT", created_at, last_updated_at or created_at)


@pytest.mark.parametrize(
    ("created_at", "is_it"),
    [
        (datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 11, 59, 59, 999999, tzinfo=UTC), True),
        (datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 13, 0, 0, tzinfo=BERLIN), False),
        (datetime(2026, 11, 21, 12, 59, 59, tzinfo=BERLIN), True),
        (datetime(2026, 11, 30, tzinfo=UTC), False),
    ],
)
def test_a_job_is_older_once_more_than_the_hours_have_passed(created_at: datetime, is_it: bool) -> None:
    assert is_older(aged(created_at), HOURS, NOW) is is_it


def test_without_hours_no_age_is_asked_for() -> None:
    assert is_older(aged(NOW + timedelta(days=1)), Criteria(job_id_glob="*"), NOW)


@pytest.mark.parametrize(("age_from", "is_it"), [("createdAt", True), ("lastUpdatedAt", False)])
def test_the_age_is_counted_from_what_was_asked_for(age_from: Any, is_it: bool) -> None:
    job = aged(NOW - timedelta(hours=73), NOW - timedelta(hours=71))
    assert is_older(job, replace(HOURS, age_from=age_from), NOW) is is_it


# The night of 25 October 2026 has an hour more in Berlin, that of 29 March 2026 an hour less.
@pytest.mark.parametrize(
    ("now", "created_at", "is_it"),
    [
        (datetime(2026, 10, 26, 0, 0, 1, tzinfo=UTC), datetime(2026, 10, 25, 2, 0, fold=0, tzinfo=BERLIN), True),
        (datetime(2026, 10, 26, 0, 0, 1, tzinfo=UTC), datetime(2026, 10, 25, 2, 0, fold=1, tzinfo=BERLIN), False),
        (datetime(2026, 10, 25, 23, 0, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=BERLIN), False),
        (datetime(2026, 10, 25, 23, 0, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=BERLIN), True),
        (datetime(2026, 3, 29, 23, 0, 0, tzinfo=UTC), datetime(2026, 3, 29, 0, 0, tzinfo=BERLIN), False),
        (datetime(2026, 3, 29, 23, 0, 1, tzinfo=UTC), datetime(2026, 3, 29, 0, 0, tzinfo=BERLIN), True),
    ],
)
def test_an_hour_is_an_hour_on_the_days_that_clocks_change(now: datetime, created_at: datetime, is_it: bool) -> None:
    day = replace(HOURS, older_than_hours=24)
    assert is_older(aged(created_at), day, now) is is_it


def test_a_listing_is_never_held_in_memory_as_a_whole(clock: FakeClock) -> None:
    """The listing is read one job at a time: when the last is read, those that do not match are gone already."""
    held: list[int] = []

    class Counted(JobSummary):
        alive = 0

        def __init__(self, number: int) -> None:
            super().__init__(f"job-{number}", "arn", "SNAPSHOT", NOW, NOW)
            Counted.alive += 1

        def __del__(self) -> None:
            Counted.alive -= 1

    class Endless(FakeJobs):
        def list_jobs(self, status: JobStatus, turn: Callable[[], None], namespace: str | None = None) -> Any:
            turn()
            for number in range(1000 if status == "IN_PROGRESS" and namespace is None else 0):
                yield Counted(number)
                held.append(Counted.alive)

    selection = select(Endless(clock=clock), {"jobIdGlob": "job-99?"})
    assert len(selection.jobs) == 10
    assert max(held) <= 12


@pytest.mark.parametrize(("candidates", "selected"), [(100, True), (101, False)])
def test_more_candidates_than_a_run_can_ask_about_are_rejected_at_once(
    jobs: FakeJobs, candidates: int, selected: bool
) -> None:
    jobs.jobs |= {f"job-{number}": FakeJob(tags={"env": "dev"}) for number in range(candidates)}
    if selected:
        assert len(select(jobs, {"tags": {"env": "dev"}}).jobs) == 100
        return
    with pytest.raises(RequestRejected) as caught:
        select(jobs, {"tags": {"env": "dev"}})
    assert str(caught.value) == (
        "select: takes 101 questions about single jobs (tags, targets, namespace), and a run has the time for 100: "
        "narrow it with jobIdGlob"
    )
    assert {operation for operation, _ in jobs.calls} == {"ListJobs"}


def test_tags_and_thing_group_are_two_questions_about_each_job(jobs: FakeJobs) -> None:
    jobs.jobs |= {f"job-{number}": FakeJob(tags={"env": "dev"}) for number in range(51)}
    with pytest.raises(RequestRejected, match="takes 102 questions"):
        select(jobs, {"tags": {"env": "dev"}, "thingGroupName": "fleet-a"})


def test_each_question_has_its_turn(jobs: FakeJobs) -> None:
    group = "arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet-a"
    jobs.jobs["job"] = FakeJob(tags={"env": "dev"}, targets=(group,))
    turns: list[int] = []
    select(jobs, {"tags": {"env": "dev"}, "thingGroupName": "fleet-a"}, turns)
    assert len(turns) == len(jobs.calls)
    assert [operation for operation, _ in jobs.calls][-2:] == ["ListTagsForResource", "DescribeJob"]


def test_where_namespaces_are_ignored_each_candidate_is_a_question_too(jobs: FakeJobs) -> None:
    jobs.ignores_namespaces = True
    jobs.jobs |= {f"job-{number}": FakeJob() for number in range(101)}
    with pytest.raises(RequestRejected, match="takes 101 questions"):
        select(jobs, {"jobIdGlob": "*"})
