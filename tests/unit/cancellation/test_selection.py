"""Selection: the order of the calls, the filters, and that a failed call is never an empty selection."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from handler.cancellation.criteria import Criteria, parse_criteria
from handler.cancellation.job import JobsApi, JobStatus, JobSummary
from handler.cancellation.request import CancelReason, CancelRequest
from handler.cancellation.selection import (
    MAX_EARLIER_CANCELLATIONS,
    Selection,
    _is_old_enough,
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
    call_budget: int | None = 100,
) -> Selection:
    limits = replace(LIMITS, job_id_prefix=prefix)
    return select(session(jobs, clock or FakeClock(), seconds, limits), parse_criteria(document or ALL), call_budget)


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

        def __init__(self, number: int) -> None:
            super().__init__(f"job-{number}", "arn", "SNAPSHOT", NOW, NOW)
            CountedSummary.alive += 1

        def __del__(self) -> None:
            CountedSummary.alive -= 1

    class LongListing:
        def list_jobs(self, status: JobStatus, namespace: str | None = None) -> Iterator[JobSummary]:
            for number in range(1000 if status == "IN_PROGRESS" and namespace is None else 0):
                yield CountedSummary(number)
                held.append(CountedSummary.alive)

    api = cast("JobsApi", LongListing())
    selection = select(replace(session(FakeJobs(), clock), api=api), parse_criteria({"jobIdGlob": "job-99?"}))
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
        select_jobs(jobs, {"tags": {"env": "dev"}}, clock=clock, seconds=seconds)
    assert len(jobs.calls) == int(seconds)


def test_selection_with_time_for_every_call_succeeds(jobs: FakeJobs, clock: FakeClock) -> None:
    jobs.jobs["a"] = FakeJob(tags={"env": "dev"})
    jobs.seconds_a_call = 1.0
    assert ids(select_jobs(jobs, {"tags": {"env": "dev"}}, clock=clock, seconds=5.0)) == ["a"]


# Call budget


@pytest.mark.parametrize(
    ("document", "number", "calls"),
    [
        pytest.param({"tags": {"env": "dev"}}, 100, 100, id="tags"),
        pytest.param({"tags": {"env": "dev"}}, 101, 101, id="one tag too many"),
        pytest.param({"thingGroupName": "fleet"}, 100, 100, id="targets"),
        pytest.param({"thingGroupName": "fleet"}, 101, 101, id="one target too many"),
        pytest.param({"tags": {"env": "dev"}, "thingGroupName": "fleet"}, 50, 100, id="tags and targets"),
        pytest.param({"tags": {"env": "dev"}, "thingGroupName": "fleet"}, 51, 102, id="two calls too many"),
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
        f"select: needs {calls} API calls for single jobs (tags, targets, namespace), but a run has time for "
        "100; narrow the selection with jobIdGlob"
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


def test_selection_without_a_call_budget_makes_any_number_of_calls(jobs: FakeJobs) -> None:
    jobs.ignores_namespaces = True
    jobs.jobs |= {f"job-{each}": FakeJob(tags={"env": "dev"}) for each in range(101)}
    assert len(select_jobs(jobs, {"tags": {"env": "dev"}}, call_budget=None).jobs) == 101


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


# Age

THREE_DAYS = parse_criteria({"jobIdGlob": "*", "olderThanHours": 72})
BERLIN = ZoneInfo("Europe/Berlin")


def summary(created_at: datetime, last_updated_at: datetime | None = None) -> JobSummary:
    return JobSummary("a", "arn", "SNAPSHOT", created_at, last_updated_at or created_at)


@pytest.mark.parametrize(
    ("created_at", "expected"),
    [
        (datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 11, 59, 59, 999999, tzinfo=UTC), True),
        (datetime(2026, 11, 21, 12, 0, 0, 1, tzinfo=UTC), False),
        (datetime(2026, 11, 21, 13, 0, 0, tzinfo=BERLIN), False),
        (datetime(2026, 11, 21, 12, 59, 59, tzinfo=BERLIN), True),
        (datetime(2026, 11, 30, tzinfo=UTC), False),
    ],
)
def test_job_is_old_enough_after_more_than_the_hours(created_at: datetime, expected: bool) -> None:
    assert _is_old_enough(summary(created_at), THREE_DAYS, NOW) is expected


def test_job_of_any_age_is_old_enough_without_hours() -> None:
    assert _is_old_enough(summary(NOW + timedelta(days=1)), Criteria(job_id_glob="*"), NOW)


@pytest.mark.parametrize(("age_from", "expected"), [("createdAt", True), ("lastUpdatedAt", False)])
def test_age_counts_from_the_selected_time(age_from: Any, expected: bool) -> None:
    job = summary(NOW - timedelta(hours=73), NOW - timedelta(hours=71))
    assert _is_old_enough(job, replace(THREE_DAYS, age_from=age_from), NOW) is expected


# The night of 25 October 2026 has an hour more in Berlin, that of 29 March 2026 an hour less.
@pytest.mark.parametrize(
    ("now", "created_at", "expected"),
    [
        (datetime(2026, 10, 26, 0, 0, 1, tzinfo=UTC), datetime(2026, 10, 25, 2, 0, fold=0, tzinfo=BERLIN), True),
        (datetime(2026, 10, 26, 0, 0, 1, tzinfo=UTC), datetime(2026, 10, 25, 2, 0, fold=1, tzinfo=BERLIN), False),
        (datetime(2026, 10, 25, 23, 0, 0, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=BERLIN), False),
        (datetime(2026, 10, 25, 23, 0, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, tzinfo=BERLIN), True),
        (datetime(2026, 3, 29, 23, 0, 0, tzinfo=UTC), datetime(2026, 3, 29, 0, 0, tzinfo=BERLIN), False),
        (datetime(2026, 3, 29, 23, 0, 1, tzinfo=UTC), datetime(2026, 3, 29, 0, 0, tzinfo=BERLIN), True),
    ],
)
def test_age_is_right_when_clocks_change(now: datetime, created_at: datetime, expected: bool) -> None:
    one_day = replace(THREE_DAYS, older_than_hours=24)
    assert _is_old_enough(summary(created_at), one_day, now) is expected


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
) -> list[str]:
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
    assert find_earlier(jobs) == (["a"] if is_found else [])


def test_over_the_air_updates_are_not_earlier_cancellations(jobs: FakeJobs) -> None:
    jobs.jobs |= {"AFR_OTA-1": canceled_job(), "AFR_OTA": canceled_job()}
    assert find_earlier(jobs) == ["AFR_OTA"]


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
    assert sorted(find_earlier(jobs, document)) == found


def test_canceled_job_outside_the_prefix_is_not_described(jobs: FakeJobs) -> None:
    jobs.jobs |= {"fw-1": canceled_job(), "ota-1": canceled_job()}
    assert find_earlier(jobs, prefix="ota-") == ["ota-1"]
    assert ("DescribeJob", "fw-1") not in jobs.calls


def test_known_job_is_not_described(jobs: FakeJobs) -> None:
    jobs.jobs |= {"a": canceled_job(), "b": canceled_job()}
    assert find_earlier(jobs, known=("a",)) == ["b"]
    assert jobs.calls == [("ListJobs", "CANCELED/1"), ("DescribeJob", "b")]


@pytest.mark.parametrize("operation", ["DescribeJob", "ListTagsForResource"])
def test_canceled_job_deleted_in_between_is_not_found(operation: str, jobs: FakeJobs) -> None:
    jobs.jobs |= {name: canceled_job(tags={"env": "dev"}) for name in "ab"}
    jobs.fault = failing(operation, not_found, job_id="a")
    assert find_earlier(jobs, {"tags": {"env": "dev"}}) == ["b"]


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
    assert found == [f"job-{number:03}" for number in range(501, 1, -1)]
    assert {job_id for operation, job_id in jobs.calls if operation == "DescribeJob"} == set(found)


# One call per second, for half of the time.
@pytest.mark.parametrize(
    ("seconds", "found"), [(1.9, []), (2.0, ["b"]), (3.9, ["b"]), (4.0, ["b", "a"]), (6.0, ["b", "a"])]
)
def test_only_jobs_within_the_call_budget_are_described(
    seconds: float, found: list[str], jobs: FakeJobs, clock: FakeClock
) -> None:
    """Each delivery would start again and come no further."""
    jobs.jobs["a"] = canceled_job(last_updated_at=NOW - timedelta(hours=2))
    jobs.jobs["b"] = canceled_job(last_updated_at=NOW - timedelta(hours=1))
    assert find_earlier(jobs, clock=clock, seconds=seconds, per_second=1) == found


# Two pages, then all jobs at once: the description, and one or two more calls for each of the request's own jobs.
@pytest.mark.parametrize(
    ("document", "seconds", "calls"),
    [
        (ALL, 3, {"ListJobs": 2, "DescribeJob": 3}),
        ({"tags": {"env": "dev"}}, 4, {"ListJobs": 2, "DescribeJob": 3, "ListTagsForResource": 2}),
        ({"thingGroupName": "fleet"}, 4, {"ListJobs": 2, "DescribeJob": 5}),
        (
            {"tags": {"env": "dev"}, "thingGroupName": "fleet"},
            5,
            {"ListJobs": 2, "DescribeJob": 5, "ListTagsForResource": 2},
        ),
    ],
)
def test_search_without_time_for_every_call_raises_out_of_time(
    document: dict[str, Any], seconds: float, calls: dict[str, int], jobs: FakeJobs, clock: FakeClock
) -> None:
    jobs.page_size = 2
    jobs.seconds_a_call = 1.0
    jobs.jobs |= {name: canceled_job(tags={"env": "dev"}, targets=(FLEET,)) for name in "ab"}
    jobs.jobs["c"] = canceled_job(comment="another")
    assert sorted(find_earlier(jobs, document, clock=clock, seconds=seconds + 0.01)) == ["a", "b"]
    operations = [operation for operation, _ in jobs.calls]
    assert {operation: operations.count(operation) for operation in operations} == calls
    with pytest.raises(OutOfTime):
        find_earlier(jobs, document, clock=clock, seconds=seconds - 0.01)
