"""Selection: the order of the calls, the filters, and that a failed call is never an empty selection."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self, cast

import pytest

from handler.cancellation.criteria import parse_criteria
from handler.cancellation.job import JobsApi, JobStatus, JobSummary
from handler.cancellation.request import CancelReason, CancelRequest
from handler.cancellation.selection import (
    MAX_EARLIER_CANCELLATIONS,
    EarlierCancellations,
    Selection,
    earlier_cancellations,
    select,
)
from handler.errors import AccessDenied, JobNotCancelable, JobsError, JobsUnavailable, OutOfTime, RequestRejected
from tests.support.fakes import (
    LIMITS,
    NOW,
    FakeClock,
    FakeJob,
    FakeJobs,
    Hook,
    denied,
    failing,
    not_found,
    refused,
    session,
    throttled,
    unavailable,
)

GREENGRASS = "aws-gg-deployment"
ALL = {"jobIdGlob": "*"}
ACCOUNT = "arn:aws:iot:eu-west-1:123456789012"
FLEET = f"{ACCOUNT}:thinggroup/fleet"


def select_jobs(
    jobs: FakeJobs,
    document: dict[str, Any] | None = None,
    *,
    clock: FakeClock | None = None,
    seconds: float = 300.0,
    prefix: str = "",
    max_jobs: int | None = 1000,
    per_second: float = 0.72,
) -> Selection:
    """Select jobs with a call budget of 100, which is the number of calls in half of a run, 140 s."""
    limits = replace(LIMITS, job_id_prefix=prefix)
    run = session(jobs, clock or FakeClock(), seconds, limits, per_second=per_second)
    return select(run, parse_criteria(document or ALL), max_jobs)


def ids(selection: Selection) -> list[str]:
    return sorted(job.job_id for job in selection.jobs)


def excluded(selection: Selection) -> list[tuple[str, str]]:
    return sorted((job.job_id, job.why) for job in selection.excluded)


def becomes_in_progress(page: str, jobs: FakeJobs) -> Hook:
    """Return a hook that begins the rollout of every job just before a page is listed."""

    def hook(_operation: str, called_for: str) -> None:
        if called_for == page:
            for job in jobs.jobs.values():
                job.status = "IN_PROGRESS"

    return hook


# The calls and their order


def test_each_status_is_listed_and_then_the_greengrass_namespace(jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob()
    select_jobs(jobs)
    assert jobs.calls == [
        ("ListJobs", "SCHEDULED/1"),
        ("ListJobs", "IN_PROGRESS/1"),
        ("ListJobs", f"SCHEDULED/1@{GREENGRASS}"),
        ("ListJobs", f"IN_PROGRESS/1@{GREENGRASS}"),
    ]


def test_only_the_statuses_of_the_criteria_are_listed(jobs: FakeJobs) -> None:
    jobs.jobs |= {"a": FakeJob(), "b": FakeJob("SCHEDULED")}
    assert ids(select_jobs(jobs, ALL | {"status": ["SCHEDULED"]})) == ["b"]
    assert ("ListJobs", "IN_PROGRESS/1") not in jobs.calls


def test_selection_without_candidates_makes_no_further_calls(jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob("COMPLETED")
    assert ids(select_jobs(jobs, {"tags": {"env": "dev"}})) == []
    assert jobs.calls == [("ListJobs", "SCHEDULED/1"), ("ListJobs", "IN_PROGRESS/1")]


def test_every_page_is_listed(jobs: FakeJobs) -> None:
    jobs.page_size = 3
    jobs.jobs |= {f"job-{number}": FakeJob() for number in range(8)}
    assert ids(select_jobs(jobs)) == [f"job-{number}" for number in range(8)]
    assert [page for _, page in jobs.calls if "@" not in page] == [
        "SCHEDULED/1",
        "IN_PROGRESS/1",
        "IN_PROGRESS/2",
        "IN_PROGRESS/3",
    ]


def test_per_job_calls_come_last_and_only_for_candidates(jobs: FakeJobs) -> None:
    jobs.jobs |= {
        "ota-new": FakeJob(created_at=NOW, tags={"env": "dev"}, targets=(FLEET,)),
        "ota-prod": FakeJob(tags={"env": "prod"}, targets=(FLEET,)),
        "ota-dev": FakeJob(tags={"env": "dev"}, targets=(FLEET,)),
        "ota-other": FakeJob(tags={"env": "dev"}),
        "fw-dev": FakeJob(tags={"env": "dev"}, targets=(FLEET,)),
    }
    document = {"jobIdGlob": "ota-*", "olderThanHours": 1, "tags": {"env": "dev"}, "thingGroupName": "fleet"}
    assert ids(select_jobs(jobs, document)) == ["ota-dev"]
    listings, per_job_calls = jobs.calls[:4], jobs.calls[4:]
    assert {operation for operation, _ in listings} == {"ListJobs"}
    assert sorted(per_job_calls) == [
        ("DescribeJob", "ota-dev"),
        ("DescribeJob", "ota-other"),
        ("ListTagsForResource", "ota-dev"),
        ("ListTagsForResource", "ota-other"),
        ("ListTagsForResource", "ota-prod"),
    ]


def test_tags_of_a_job_are_read_before_its_targets(jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob(tags={"env": "dev"}, targets=(FLEET,))
    select_jobs(jobs, {"tags": {"env": "dev"}, "thingGroupName": "fleet"})
    assert jobs.calls[-2:] == [("ListTagsForResource", "a"), ("DescribeJob", "a")]


def test_job_whose_rollout_begins_between_two_listings_is_selected_once(jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob("SCHEDULED")
    jobs.fault = becomes_in_progress("IN_PROGRESS/1", jobs)
    assert ids(select_jobs(jobs)) == ["a"]


def test_listing_is_never_held_in_memory_as_a_whole(clock: FakeClock) -> None:
    """Jobs that do not match are released while the listing is read."""
    held: list[int] = []

    class CountedSummary(JobSummary):
        alive = 0

        def __new__(cls, number: int) -> Self:
            cls.alive += 1
            return super().__new__(cls, f"job-{number}", "arn", "SNAPSHOT", NOW, NOW)

        def __del__(self) -> None:
            CountedSummary.alive -= 1

    class LongListing:
        def list_jobs(self, status: JobStatus, namespace: str | None = None) -> Iterator[JobSummary]:
            for number in range(1000 if status == "IN_PROGRESS" and namespace is None else 0):
                yield CountedSummary(number)
                held.append(CountedSummary.alive)

    api = cast("JobsApi", LongListing())
    selection = select(session(FakeJobs(), clock)._replace(api=api), parse_criteria({"jobIdGlob": "job-99?"}))
    assert len(selection.jobs) == 10
    assert len(held) == 1000
    assert max(held) <= 12


# Ids, target selection and prefix


@pytest.mark.parametrize(
    ("job_id", "glob", "matches"),
    [
        ("ota-1", "ota-*", True),
        ("ota-", "ota-*", True),
        ("ota", "ota-*", False),
        ("my-ota-1", "ota-*", False),
        ("OTA-1", "ota-*", False),
        ("ota-1", "*", True),
        ("ota-1", "?ta-1", True),
        ("ota-1", "?", False),
        ("ota-1", "ota-?", True),
        ("ota-12", "ota-?", False),
        ("ota-1", "ota-1", True),
        ("ota-12", "ota-1", False),
        ("ota-1", "*-*", True),
        ("ota-1", "*1", True),
        ("ota-10", "*1", False),
        ("a-b-c", "a*b*c", True),
        ("a-b-c", "a*c*b", False),
        ("a" * 64, "*a" * 30 + "b", False),
    ],
)
def test_glob_matches_the_whole_id_and_its_case(job_id: str, glob: str, matches: bool, jobs: FakeJobs) -> None:
    jobs.jobs[job_id] = FakeJob(tags={"env": "dev"})
    assert ids(select_jobs(jobs, {"jobIdGlob": glob})) == ([job_id] if matches else [])
    rest = select_jobs(jobs, {"tags": {"env": "dev"}, "excludeJobIdGlobs": ["x", glob]})
    assert ids(rest) == ([] if matches else [job_id])


@pytest.mark.parametrize(
    ("document", "prefix", "selected"),
    [
        (ALL, "", ["fw-1", "fw-2", "ota-1"]),
        (ALL, "fw-", ["fw-1", "fw-2"]),
        (ALL, "1", []),
        ({"jobIdGlob": "fw-*"}, "", ["fw-1", "fw-2"]),
        ({"jobIdGlob": "*", "excludeJobIdGlobs": ["*-1"]}, "", ["fw-2"]),
        ({"jobIdGlob": "*", "targetSelection": ["CONTINUOUS"]}, "", ["new"]),
        ({"jobIdGlob": "*", "targetSelection": ["SNAPSHOT", "CONTINUOUS"]}, "", ["fw-1", "fw-2", "new", "ota-1"]),
        ({"jobIdGlob": "*", "olderThanHours": 719}, "", ["fw-1", "fw-2", "ota-1"]),
        ({"jobIdGlob": "*", "olderThanHours": 720}, "", []),
    ],
)
def test_job_must_match_all_criteria_and_the_prefix(
    document: dict[str, Any], prefix: str, selected: list[str], jobs: FakeJobs
) -> None:
    jobs.jobs |= {name: FakeJob() for name in ("fw-1", "fw-2", "ota-1")}
    jobs.jobs["new"] = FakeJob(target_selection="CONTINUOUS")
    assert ids(select_jobs(jobs, document, prefix=prefix)) == selected


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
def test_job_must_have_every_tag_with_its_value(tags: dict[str, str], matches: bool, jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob(tags=tags)
    assert ids(select_jobs(jobs, {"tags": {"env": "dev"}})) == (["a"] if matches else [])


@pytest.mark.parametrize(
    ("targets", "matches"),
    [
        ((FLEET,), True),
        ((f"{ACCOUNT}:thing/x", FLEET), True),
        ((f"{ACCOUNT}:thing/fleet",), False),
        ((f"{ACCOUNT}:thinggroup/fleet-b",), False),
        ((f"{ACCOUNT}:thinggroup/my-fleet",), False),
        ((f"{ACCOUNT}:thinggroup/Fleet",), False),
        ((), False),
    ],
)
def test_thing_group_must_be_a_target_of_the_job(targets: tuple[str, ...], matches: bool, jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob(targets=targets)
    assert ids(select_jobs(jobs, {"thingGroupName": "fleet"})) == (["a"] if matches else [])


@pytest.mark.parametrize("operation", ["ListTagsForResource", "DescribeJob"])
def test_candidate_deleted_in_between_is_not_selected(operation: str, jobs: FakeJobs) -> None:
    jobs.jobs |= {name: FakeJob(tags={"env": "dev"}, targets=(FLEET,)) for name in "ab"}
    jobs.fault = failing(operation, not_found, job_id="a")
    assert ids(select_jobs(jobs, {"tags": {"env": "dev"}, "thingGroupName": "fleet"})) == ["b"]


# Greengrass


@pytest.mark.parametrize("ignores_namespaces", [False, True])
def test_greengrass_deployments_are_excluded(ignores_namespaces: bool, jobs: FakeJobs) -> None:
    jobs.ignores_namespaces = ignores_namespaces
    jobs.jobs |= {
        "mine": FakeJob(),
        "deployment": FakeJob(namespace=GREENGRASS),
        "deployment-2": FakeJob("SCHEDULED", namespace=GREENGRASS),
        "theirs": FakeJob(namespace="another"),
    }
    selection = select_jobs(jobs)
    assert ids(selection) == ["mine", "theirs"]
    assert excluded(selection) == [
        ("deployment", "owned by AWS IoT Greengrass"),
        ("deployment-2", "owned by AWS IoT Greengrass"),
    ]


@pytest.mark.parametrize(("ignores_namespaces", "described"), [(False, []), (True, ["deployment", "mine", "theirs"])])
def test_candidates_are_described_only_if_the_listing_ignores_namespaces(
    ignores_namespaces: bool, described: list[str], jobs: FakeJobs
) -> None:
    jobs.ignores_namespaces = ignores_namespaces
    jobs.jobs |= {
        "mine": FakeJob(),
        "deployment": FakeJob(namespace=GREENGRASS),
        "theirs": FakeJob(namespace="another"),
        "AFR_OTA-1": FakeJob(),
        "continuous": FakeJob(namespace=GREENGRASS, target_selection="CONTINUOUS"),
    }
    select_jobs(jobs)
    assert sorted(job_id for operation, job_id in jobs.calls if operation == "DescribeJob") == described


@pytest.mark.parametrize("ignores_namespaces", [False, True])
def test_deployment_whose_rollout_begins_between_two_listings_is_excluded_once(
    ignores_namespaces: bool, jobs: FakeJobs
) -> None:
    jobs.ignores_namespaces = ignores_namespaces
    jobs.jobs |= {"deployment": FakeJob("SCHEDULED", namespace=GREENGRASS), "mine": FakeJob("SCHEDULED")}
    jobs.fault = becomes_in_progress(f"IN_PROGRESS/1@{GREENGRASS}", jobs)
    selection = select_jobs(jobs)
    assert (ids(selection), [job.job_id for job in selection.excluded]) == (["mine"], ["deployment"])
    assert jobs.calls.count(("DescribeJob", "deployment")) == int(ignores_namespaces)


def test_job_of_the_greengrass_listing_is_excluded_without_reading_its_namespace(jobs: FakeJobs) -> None:
    """AWS does not say that DescribeJob returns the namespace of a deployment."""
    jobs.jobs |= {"deployment": FakeJob(namespace=GREENGRASS), "mine": FakeJob()}
    jobs.fault = failing("DescribeJob", denied, job_id="deployment")
    assert ids(select_jobs(jobs)) == ["mine"]


@pytest.mark.parametrize("status", ["SCHEDULED", "IN_PROGRESS"])
def test_deployment_is_excluded_after_it_has_left_the_selected_status(status: str, jobs: FakeJobs) -> None:
    jobs.jobs["deployment"] = FakeJob("SCHEDULED", namespace=GREENGRASS)
    jobs.fault = becomes_in_progress(f"SCHEDULED/1@{GREENGRASS}", jobs)
    assert ids(select_jobs(jobs, ALL | {"status": [status]})) == []


def test_described_deployment_that_is_deleted_in_between_is_not_excluded(jobs: FakeJobs) -> None:
    """Its cancellation reports it as GONE."""
    jobs.ignores_namespaces = True
    jobs.jobs |= {"deployment": FakeJob(namespace=GREENGRASS), "mine": FakeJob()}
    jobs.fault = failing("DescribeJob", not_found, job_id="deployment")
    selection = select_jobs(jobs)
    assert (ids(selection), selection.excluded) == (["deployment", "mine"], ())


# Errors


FAULTS: dict[str, tuple[Hook, type[JobsError]]] = {
    "first page throttled": (failing("ListJobs", throttled, job_id="SCHEDULED/1"), JobsUnavailable),
    "second page throttled": (failing("ListJobs", throttled, job_id="IN_PROGRESS/2"), JobsUnavailable),
    "second page denied": (failing("ListJobs", denied, job_id="IN_PROGRESS/2"), AccessDenied),
    "second page refused": (failing("ListJobs", refused, job_id="IN_PROGRESS/2"), JobNotCancelable),
    "Greengrass page unavailable": (
        failing("ListJobs", unavailable, job_id=f"SCHEDULED/1@{GREENGRASS}"),
        JobsUnavailable,
    ),
    "second Greengrass page throttled": (
        failing("ListJobs", throttled, job_id=f"IN_PROGRESS/2@{GREENGRASS}"),
        JobsUnavailable,
    ),
    "Greengrass page denied": (failing("ListJobs", denied, job_id=f"IN_PROGRESS/1@{GREENGRASS}"), AccessDenied),
    "page of the unused namespace throttled": (
        failing("ListJobs", throttled, job_id="SCHEDULED/1@iot-job-canceler-probe"),
        JobsUnavailable,
    ),
    "tags throttled": (failing("ListTagsForResource", throttled, job_id="b"), JobsUnavailable),
    "tags denied": (failing("ListTagsForResource", denied, job_id="b"), AccessDenied),
    "targets throttled": (failing("DescribeJob", throttled, job_id="b"), JobsUnavailable),
    "targets denied": (failing("DescribeJob", denied, job_id="b"), AccessDenied),
}


@pytest.mark.parametrize(("fault", "kind"), [pytest.param(*fault, id=name) for name, fault in FAULTS.items()])
def test_failed_call_is_raised_and_never_an_empty_selection(fault: Hook, kind: type[JobsError], jobs: FakeJobs) -> None:
    jobs.page_size = 2
    jobs.jobs |= {name: FakeJob(tags={"env": "dev"}, targets=(FLEET,)) for name in "abcd"}
    jobs.jobs |= {name: FakeJob(namespace=GREENGRASS) for name in ("gg-1", "gg-2", "gg-3")}
    jobs.fault = fault
    with pytest.raises(kind):
        select_jobs(jobs, {"tags": {"env": "dev"}, "thingGroupName": "fleet"})


# Four pages of 1 s each, then the tags of one job.
@pytest.mark.parametrize("seconds", [0.9, 1.9, 2.9, 3.9, 4.9])
def test_selection_without_time_for_every_call_raises_out_of_time(
    seconds: float, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs["a"] = FakeJob(tags={"env": "dev"})
    jobs.seconds_a_call = 1.0
    with pytest.raises(OutOfTime):
        select_jobs(jobs, {"tags": {"env": "dev"}}, clock=clock, seconds=seconds, per_second=1000)
    assert len(jobs.calls) == int(seconds)


def test_selection_with_time_for_every_call_succeeds(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob(tags={"env": "dev"})
    jobs.seconds_a_call = 1.0
    assert ids(select_jobs(jobs, {"tags": {"env": "dev"}}, clock=clock, seconds=5.0, per_second=1000)) == ["a"]


# Call budget


@pytest.mark.parametrize(
    ("document", "number", "calls"),
    [
        pytest.param({"tags": {"env": "dev"}}, 100, 100, id="tags"),
        pytest.param({"tags": {"env": "dev"}}, 101, 101, id="one tag too many"),
        pytest.param({"thingGroupName": "fleet"}, 100, 100, id="targets"),
        pytest.param({"thingGroupName": "fleet"}, 101, 101, id="one target too many"),
        pytest.param({"tags": {"env": "dev"}, "thingGroupName": "fleet"}, 100, 100, id="tags and targets"),
        pytest.param({"tags": {"env": "dev"}, "thingGroupName": "fleet"}, 101, 101, id="one of both too many"),
    ],
)
def test_candidates_beyond_the_call_budget_are_rejected_after_the_listing(
    document: dict[str, Any], number: int, calls: int, jobs: FakeJobs
) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob(tags={"env": "dev"}, targets=(FLEET,)) for each in range(number)}
    if calls <= 100:
        assert len(select_jobs(jobs, document).jobs) == number
        return
    with pytest.raises(RequestRejected) as caught:
        select_jobs(jobs, document)
    assert str(caught.value) == (
        f"select: needs {calls} API calls for single jobs (tags, targets, namespace, scheduled start), "
        "but a run has time for 100; narrow the selection with jobIdGlob"
    )
    assert {operation for operation, _ in jobs.calls} == {"ListJobs"}


@pytest.mark.parametrize("ignores_namespaces", [False, True])
@pytest.mark.parametrize("number", [100, 101])
def test_candidates_to_describe_beyond_the_call_budget_are_rejected(
    number: int, ignores_namespaces: bool, jobs: FakeJobs
) -> None:
    jobs.ignores_namespaces = ignores_namespaces
    jobs.jobs |= {f"job-{each}": FakeJob(namespace=GREENGRASS) for each in range(number)}
    if number == 100 or not ignores_namespaces:
        assert ids(select_jobs(jobs)) == []
        return
    with pytest.raises(RequestRejected, match="needs 101 API calls for single jobs"):
        select_jobs(jobs)
    assert {operation for operation, _ in jobs.calls} == {"ListJobs"}


def test_later_selection_makes_any_number_of_calls(jobs: FakeJobs) -> None:
    jobs.ignores_namespaces = True
    jobs.jobs |= {f"job-{each}": FakeJob(tags={"env": "dev"}) for each in range(101)}
    assert len(select_jobs(jobs, {"tags": {"env": "dev"}}, max_jobs=None).jobs) == 101


# Excluded jobs


def test_over_the_air_updates_are_excluded(jobs: FakeJobs) -> None:
    jobs.jobs |= {"AFR_OTA-1": FakeJob(), "AFR_OTA": FakeJob()}
    selection = select_jobs(jobs)
    assert ids(selection) == ["AFR_OTA"]
    assert excluded(selection) == [("AFR_OTA-1", "owned by FreeRTOS over-the-air updates")]


def test_only_the_first_100_excluded_jobs_are_returned(jobs: FakeJobs) -> None:
    jobs.jobs |= {f"AFR_OTA-{number}": FakeJob() for number in range(150)}
    jobs.jobs["mine"] = FakeJob()
    selection = select_jobs(jobs)
    assert (ids(selection), len(selection.excluded)) == (["mine"], 100)


@pytest.mark.parametrize(("hours", "shown"), [(72, "72"), (0.5, "0.5"), (87600, "87600")])
def test_job_that_is_too_new_is_excluded_with_the_required_age(hours: float, shown: str, jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob(created_at=NOW)
    selection = select_jobs(jobs, ALL | {"olderThanHours": hours})
    assert excluded(selection) == [("a", f"not older than {shown} h")]


def test_job_out_of_scope_is_not_listed_as_excluded(jobs: FakeJobs) -> None:
    jobs.jobs |= {"a": FakeJob(created_at=NOW), "AFR_OTA-1": FakeJob(target_selection="CONTINUOUS")}
    assert select_jobs(jobs, {"jobIdGlob": "b*", "olderThanHours": 1}).excluded == ()


# Age and scheduled start


def test_age_counts_from_the_selected_time(jobs: FakeJobs) -> None:
    jobs.jobs["a"] = FakeJob(created_at=NOW - timedelta(hours=73), last_updated_at=NOW - timedelta(hours=71))
    assert ids(select_jobs(jobs, ALL | {"olderThanHours": 72})) == ["a"]
    assert ids(select_jobs(jobs, ALL | {"olderThanHours": 72, "ageFrom": "createdAt"})) == ["a"]
    assert ids(select_jobs(jobs, ALL | {"olderThanHours": 72, "ageFrom": "lastUpdatedAt"})) == []


STARTS = {
    "old": FakeJob(),
    "tomorrow": FakeJob("SCHEDULED", starts_at="2026-11-25T12:00"),
    "today": FakeJob(starts_at="2026-11-24T11:00:00Z"),
}
STALE = ALL | {"olderThanHours": 72}


def test_rollouts_that_have_just_begun_do_not_count_toward_the_job_limit(jobs: FakeJobs) -> None:
    jobs.jobs |= STARTS
    selection = select_jobs(jobs, STALE, max_jobs=2)
    assert ids(selection) == ["old"]
    assert excluded(selection) == [
        ("today", "its rollout began at 2026-11-24T11:00Z, not more than 72 h ago"),
        ("tomorrow", "its rollout is scheduled to begin at 2026-11-25T12:00Z"),
    ]


@pytest.mark.parametrize("max_jobs", [None, 3])
def test_jobs_within_the_limit_are_not_described_by_the_selection(max_jobs: int | None, jobs: FakeJobs) -> None:
    jobs.jobs |= STARTS
    assert ids(select_jobs(jobs, STALE, max_jobs=max_jobs)) == ["old", "today", "tomorrow"]
    assert {operation for operation, _ in jobs.calls} == {"ListJobs"}


def test_without_an_age_the_scheduled_start_does_not_matter(jobs: FakeJobs) -> None:
    jobs.jobs |= STARTS
    assert ids(select_jobs(jobs, max_jobs=2)) == ["old", "today", "tomorrow"]
    assert {operation for operation, _ in jobs.calls} == {"ListJobs"}


@pytest.mark.parametrize(("number", "selected"), [(100, 0), (101, 101)])
def test_more_jobs_than_the_call_budget_count_toward_the_limit_undescribed(
    number: int, selected: int, jobs: FakeJobs
) -> None:
    """They exceed it, so that the run is rejected whatever their scheduled start is."""
    jobs.jobs |= {f"job-{each}": FakeJob(starts_at="2026-11-25T12:00") for each in range(number)}
    assert len(select_jobs(jobs, STALE, max_jobs=2).jobs) == selected


def test_job_deleted_before_its_start_is_read_is_left_to_the_cancellation(jobs: FakeJobs) -> None:
    jobs.jobs |= STARTS
    jobs.fault = failing("DescribeJob", not_found, job_id="tomorrow")
    assert ids(select_jobs(jobs, STALE, max_jobs=2)) == ["old", "tomorrow"]


@pytest.mark.parametrize(("number", "is_rejected"), [(100, False), (101, True)])
def test_more_planned_rollouts_than_each_delivery_can_describe_are_rejected(
    number: int, is_rejected: bool, jobs: FakeJobs
) -> None:
    """They would stay, and be described by each of a hundred deliveries."""
    jobs.jobs |= {f"job-{each}": FakeJob("SCHEDULED", starts_at="2026-11-25T12:00") for each in range(number)}
    if not is_rejected:
        assert len(select_jobs(jobs, STALE).jobs) == 100
        return
    with pytest.raises(RequestRejected, match="needs 101 API calls for single jobs"):
        select_jobs(jobs, STALE)


def test_planned_rollouts_do_not_count_toward_the_limit_beside_many_jobs(jobs: FakeJobs) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob() for each in range(150)}
    jobs.jobs["planned"] = FakeJob("SCHEDULED", starts_at="2026-11-25T12:00")
    selection = select_jobs(jobs, STALE, max_jobs=10)
    assert (len(selection.jobs), [job.job_id for job in selection.excluded]) == (150, ["planned"])


def test_job_that_begins_during_the_listing_is_not_planned(jobs: FakeJobs) -> None:
    jobs.jobs |= {f"job-{each}": FakeJob("SCHEDULED") for each in range(101)}
    jobs.throttle = becomes_in_progress("IN_PROGRESS/1", jobs)
    assert len(select_jobs(jobs, STALE).jobs) == 101


# Earlier cancellations

REASON = CancelReason("someone", "STACK_TEARDOWN", "Mine")
REQUEST = CancelRequest((), None, force=True, dry_run=False, max_jobs=100, reason=REASON)


def canceled_job(**fields: Any) -> FakeJob:
    """Return a job that REQUEST has canceled and that a device still runs."""
    given: dict[str, Any] = {"reason_code": "STACK_TEARDOWN", "comment": "Mine"}
    return FakeJob("CANCELED", {"thing": "IN_PROGRESS"}, **(given | fields))


def find_earlier(
    jobs: FakeJobs,
    document: dict[str, Any] | None = None,
    *,
    clock: FakeClock | None = None,
    seconds: float = 300.0,
    per_second: float = 1_000_000.0,
    prefix: str = "",
    known: tuple[str, ...] = (),
) -> EarlierCancellations:
    limits = replace(LIMITS, job_id_prefix=prefix)
    run = session(jobs, clock or FakeClock(), seconds, limits, per_second=per_second)
    return earlier_cancellations(run, parse_criteria(document or ALL), REQUEST, known)


@pytest.mark.parametrize(
    ("job", "is_found"),
    [
        (canceled_job(), True),
        (canceled_job(reason_code="STALE"), False),
        (canceled_job(comment="Somebody's"), False),
        (canceled_job(comment="mine"), False),
        (canceled_job(reason_code=None, comment=None), False),
        (canceled_job(reason_code=None), False),
        (canceled_job(comment=None), False),
        (canceled_job(namespace="another"), True),
        (canceled_job(namespace=GREENGRASS), False),
        (replace(canceled_job(), executions={}), False),
        (replace(canceled_job(), executions={"a": "QUEUED", "b": "SUCCEEDED", "c": "CANCELED"}), True),
        (replace(canceled_job(), executions={"b": "SUCCEEDED", "c": "CANCELED"}), False),
        (replace(canceled_job(), executions={"a": "QUEUED", "b": "IN_PROGRESS"}), True),
        (replace(canceled_job(), status="IN_PROGRESS"), False),
        (replace(canceled_job(), status="SCHEDULED"), False),
        (replace(canceled_job(), status="COMPLETED"), False),
        (replace(canceled_job(), status="DELETION_IN_PROGRESS"), False),
    ],
)
def test_earlier_cancellation_has_the_reason_of_the_request_and_running_executions(
    job: FakeJob, is_found: bool, jobs: FakeJobs
) -> None:
    jobs.jobs["a"] = job
    assert list(find_earlier(jobs).job_ids) == (["a"] if is_found else [])


def test_over_the_air_updates_are_not_earlier_cancellations(jobs: FakeJobs) -> None:
    jobs.jobs |= {"AFR_OTA-1": canceled_job(), "AFR_OTA": canceled_job()}
    assert list(find_earlier(jobs).job_ids) == ["AFR_OTA"]


@pytest.mark.parametrize(
    ("document", "found"),
    [
        (ALL, ["fw-1", "fw-2", "ota-1"]),
        ({"jobIdGlob": "fw-*"}, ["fw-1", "fw-2"]),
        ({"jobIdGlob": "*", "excludeJobIdGlobs": ["*-1"]}, ["fw-2"]),
        ({"jobIdGlob": "*", "targetSelection": ["CONTINUOUS"]}, ["new"]),
        ({"jobIdGlob": "*", "targetSelection": ["SNAPSHOT", "CONTINUOUS"]}, ["fw-1", "fw-2", "new", "ota-1"]),
        ({"tags": {"env": "dev"}}, ["fw-1", "ota-1"]),
        ({"tags": {"env": "dev", "x": "y"}}, []),
        ({"thingGroupName": "fleet"}, ["fw-2", "ota-1"]),
        ({"thingGroupName": "fleet", "tags": {"env": "dev"}}, ["ota-1"]),
        ({"jobIdGlob": "fw-*", "olderThanHours": 719}, ["fw-1", "fw-2"]),
        ({"jobIdGlob": "fw-*", "olderThanHours": 720}, []),
        # The cancellation was the last update, so lastUpdatedAt no longer says how old the job was.
        ({"jobIdGlob": "fw-*", "olderThanHours": 720, "ageFrom": "lastUpdatedAt"}, ["fw-1", "fw-2"]),
        # The status of the criteria is the one before the cancellation.
        ({"jobIdGlob": "fw-*", "status": ["SCHEDULED"]}, ["fw-1", "fw-2"]),
    ],
)
def test_earlier_cancellation_matches_the_criteria(document: dict[str, Any], found: list[str], jobs: FakeJobs) -> None:
    jobs.jobs |= {
        "fw-1": canceled_job(tags={"env": "dev"}),
        "fw-2": canceled_job(targets=(FLEET,)),
        "ota-1": canceled_job(tags={"env": "dev"}, targets=("arn:thing/a", FLEET)),
        "new": canceled_job(target_selection="CONTINUOUS"),
    }
    assert sorted(find_earlier(jobs, document).job_ids) == found


def test_canceled_job_outside_the_prefix_is_not_described(jobs: FakeJobs) -> None:
    jobs.jobs |= {"fw-1": canceled_job(), "ota-1": canceled_job()}
    assert list(find_earlier(jobs, prefix="ota-").job_ids) == ["ota-1"]
    assert ("DescribeJob", "fw-1") not in jobs.calls


def test_known_job_is_not_described(jobs: FakeJobs) -> None:
    jobs.jobs |= {"a": canceled_job(), "b": canceled_job()}
    assert list(find_earlier(jobs, known=("a",)).job_ids) == ["b"]
    assert jobs.calls == [("ListJobs", "CANCELED/1"), ("DescribeJob", "b")]


@pytest.mark.parametrize("operation", ["DescribeJob", "ListTagsForResource"])
def test_canceled_job_deleted_in_between_is_not_found(operation: str, jobs: FakeJobs) -> None:
    jobs.jobs |= {name: canceled_job(tags={"env": "dev"}) for name in "ab"}
    jobs.fault = failing(operation, not_found, job_id="a")
    assert list(find_earlier(jobs, {"tags": {"env": "dev"}}).job_ids) == ["b"]


@pytest.mark.parametrize(
    ("operation", "error", "kind"),
    [
        ("ListJobs", throttled, JobsUnavailable),
        ("ListJobs", denied, AccessDenied),
        ("DescribeJob", throttled, JobsUnavailable),
        ("DescribeJob", denied, AccessDenied),
        ("ListTagsForResource", throttled, JobsUnavailable),
    ],
)
def test_failed_call_is_raised_and_never_an_empty_search(
    operation: str, error: Callable[[], JobsError], kind: type[JobsError], jobs: FakeJobs
) -> None:
    jobs.jobs["a"] = canceled_job(tags={"env": "dev"})
    jobs.fault = failing(operation, error)
    with pytest.raises(kind):
        find_earlier(jobs, {"tags": {"env": "dev"}})


def test_only_the_500_jobs_that_changed_last_are_described(jobs: FakeJobs) -> None:
    """They are returned in the order of their last change, whatever the order of the listing."""
    assert MAX_EARLIER_CANCELLATIONS == 500
    for number in range(502):  # the first jobs were created last, and changed first
        changed = NOW - timedelta(hours=502 - number)
        jobs.jobs[f"job-{number:03}"] = canceled_job(created_at=NOW - timedelta(days=number), last_updated_at=changed)
    found = find_earlier(jobs)
    assert list(found.job_ids) == [f"job-{number:03}" for number in range(501, 1, -1)]
    assert not found.is_complete
    assert {job_id for operation, job_id in jobs.calls if operation == "DescribeJob"} == set(found.job_ids)


def test_search_of_500_jobs_is_complete(jobs: FakeJobs) -> None:
    jobs.jobs |= {f"job-{number:03}": canceled_job() for number in range(500)}
    found = find_earlier(jobs)
    assert (len(found.job_ids), found.is_complete) == (500, True)


# A hundredth of a call per second, for half of the time.
@pytest.mark.parametrize(
    ("seconds", "found", "is_complete"), [(399.0, ("b",), False), (401.0, ("b", "a"), True), (900.0, ("b", "a"), True)]
)
def test_only_jobs_for_which_there_is_time_are_described(
    seconds: float, found: tuple[str, ...], is_complete: bool, jobs: FakeJobs, clock: FakeClock
) -> None:
    """Each delivery would start again and come no further."""
    jobs.jobs["a"] = canceled_job(last_updated_at=NOW - timedelta(hours=2))
    jobs.jobs["b"] = canceled_job(last_updated_at=NOW - timedelta(hours=1))
    found_in_time = find_earlier(jobs, clock=clock, seconds=seconds, per_second=0.01)
    assert found_in_time == EarlierCancellations(found, is_complete)


@pytest.mark.parametrize("seconds", [1.0, 3.9, 139.9])
def test_incomplete_search_is_left_to_a_delivery_with_more_time(
    seconds: float, jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.jobs |= {f"job-{number}": canceled_job() for number in range(2)}
    with pytest.raises(OutOfTime):
        find_earlier(jobs, clock=clock, seconds=seconds, per_second=0.02)
    assert "DescribeJob" not in {operation for operation, _ in jobs.calls}


def test_complete_search_does_not_need_half_of_a_run(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = canceled_job()
    assert find_earlier(jobs, clock=clock, seconds=20) == EarlierCancellations(("a",), is_complete=True)


@pytest.mark.parametrize(("seconds", "listed"), [(200.0, 4), (202.0, 5)])
def test_listing_of_canceled_jobs_ends_after_a_quarter_of_the_time(
    seconds: float, listed: int, jobs: FakeJobs, clock: FakeClock
) -> None:
    """An account may have more canceled jobs than a run can list: two years of them stay listed."""
    jobs.page_size = 1
    jobs.seconds_a_call = 10.0
    jobs.jobs |= {f"job-{number:02}": canceled_job(created_at=NOW - timedelta(days=number)) for number in range(20)}
    found = find_earlier(jobs, clock=clock, seconds=seconds)
    ids_in_time = ("job-00", "job-01", "job-02", "job-03", "job-04")[:listed]
    assert found == EarlierCancellations(ids_in_time, is_complete=False)
    assert [operation for operation, _ in jobs.calls].count("ListJobs") == listed + 1


@pytest.mark.parametrize(
    ("document", "calls"),
    [
        (ALL, {"ListJobs": 1, "DescribeJob": 3}),
        ({"tags": {"env": "dev"}}, {"ListJobs": 1, "DescribeJob": 3, "ListTagsForResource": 2}),
        ({"thingGroupName": "fleet"}, {"ListJobs": 1, "DescribeJob": 3}),
    ],
)
def test_canceled_job_is_described_once(document: dict[str, Any], calls: dict[str, int], jobs: FakeJobs) -> None:
    jobs.jobs |= {name: canceled_job(tags={"env": "dev"}, targets=(FLEET,)) for name in "ab"}
    jobs.jobs["c"] = canceled_job(comment="another")
    found = find_earlier(jobs, document)
    assert (sorted(found.job_ids), found.is_complete) == (["a", "b"], True)
    operations = [operation for operation, _ in jobs.calls]
    assert {operation: operations.count(operation) for operation in operations} == calls


def test_search_without_time_for_every_call_raises_out_of_time(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = canceled_job(tags={"env": "dev"})

    def take_the_rest_of_the_time(operation: str, _job_id: str) -> None:
        if operation == "DescribeJob":
            clock.now += 300

    jobs.lost = take_the_rest_of_the_time
    with pytest.raises(OutOfTime):
        find_earlier(jobs, {"tags": {"env": "dev"}}, clock=clock)
