"""Criteria: the values that each key accepts, and the message for every other value."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from handler.cancellation.criteria import Criteria, can_match, check_owner, check_prefix, parse_criteria
from handler.cancellation.job import JobStatus
from handler.errors import RequestRejected
from tests.support.fakes import NOW

KEYS = "jobIdGlob, excludeJobIdGlobs, status, olderThanHours, ageFrom, targetSelection, thingGroupName, tags"
BOTH = (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS)
DEV_TAGS = {"env": "dev"}

ACCEPTED: list[Any] = [
    pytest.param({"jobIdGlob": "a"}, Criteria(job_id_glob="a"), id="a glob"),
    pytest.param({"jobIdGlob": "*"}, Criteria(job_id_glob="*"), id="a glob that matches every job"),
    pytest.param({"jobIdGlob": "A-z_0?9*"}, Criteria(job_id_glob="A-z_0?9*"), id="all allowed characters of a glob"),
    pytest.param({"jobIdGlob": "x" * 64}, Criteria(job_id_glob="x" * 64), id="the longest glob"),
    pytest.param({"tags": DEV_TAGS}, Criteria(tags={"env": "dev"}), id="tags"),
    pytest.param({"tags": {"k" * 128: "v" * 256}}, Criteria(tags={"k" * 128: "v" * 256}), id="the longest tag"),
    pytest.param({"tags": {"k": ""}}, Criteria(tags={"k": ""}), id="an empty tag value"),
    pytest.param(
        {"tags": {str(number): "v" for number in range(50)}},
        Criteria(tags={str(number): "v" for number in range(50)}),
        id="50 tags",
    ),
    pytest.param({"thingGroupName": "g"}, Criteria(thing_group_name="g"), id="a thing group"),
    pytest.param(
        {"thingGroupName": "A:z_0-9"},
        Criteria(thing_group_name="A:z_0-9"),
        id="all allowed characters of a thing group",
    ),
    pytest.param({"thingGroupName": "g" * 128}, Criteria(thing_group_name="g" * 128), id="the longest thing group"),
    pytest.param(
        {"jobIdGlob": "a", "excludeJobIdGlobs": ["b*", "c"]},
        Criteria(job_id_glob="a", exclude_job_id_globs=("b*", "c")),
        id="globs to exclude",
    ),
    pytest.param(
        {"jobIdGlob": "a", "status": ["IN_PROGRESS"]},
        Criteria(job_id_glob="a", statuses=(JobStatus.IN_PROGRESS,)),
        id="one status",
    ),
    pytest.param(
        {"jobIdGlob": "a", "status": ["IN_PROGRESS", "SCHEDULED", "IN_PROGRESS"]},
        Criteria(job_id_glob="a", statuses=BOTH),
        id="duplicate statuses are listed once, SCHEDULED first",
    ),
    *(
        pytest.param(
            {"jobIdGlob": "a", "olderThanHours": hours},
            Criteria(job_id_glob="a", older_than_hours=float(hours)),
            id=f"{hours} h",
        )
        for hours in (72, 0.5, 1e-9, 99_999, 99_999.0)
    ),
    pytest.param({"jobIdGlob": "a", "ageFrom": "createdAt"}, Criteria(job_id_glob="a"), id="age from creation"),
    pytest.param(
        {"jobIdGlob": "a", "ageFrom": "lastUpdatedAt"},
        Criteria(job_id_glob="a", age_from="lastUpdatedAt"),
        id="age from the last update",
    ),
    pytest.param(
        {"jobIdGlob": "a", "targetSelection": ["CONTINUOUS"]},
        Criteria(job_id_glob="a", target_selections=("CONTINUOUS",)),
        id="only continuous jobs",
    ),
    pytest.param(
        {"jobIdGlob": "a", "targetSelection": ["SNAPSHOT", "CONTINUOUS"]},
        Criteria(job_id_glob="a", target_selections=("SNAPSHOT", "CONTINUOUS")),
        id="snapshot and continuous jobs",
    ),
]


@pytest.mark.parametrize(("document", "expected"), ACCEPTED)
def test_valid_criteria_are_parsed(document: dict[str, object], expected: Criteria) -> None:
    assert parse_criteria(document) == expected


def test_defaults_are_active_snapshot_jobs_of_any_age() -> None:
    criteria = parse_criteria({"jobIdGlob": "a"})
    assert criteria.statuses == (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS)
    assert (criteria.target_selections, criteria.older_than_hours) == (("SNAPSHOT",), 0)
    assert (criteria.age_from, criteria.thing_group_name, criteria.tags) == ("createdAt", None, {})
    assert criteria.exclude_job_id_globs == ()


SCOPE_ALLOWED = "age alone is too broad; must have at least one of jobIdGlob, thingGroupName, tags"
GLOB_ALLOWED = "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ - and the wildcards * ?"
GROUP_ALLOWED = "must be a string of 1 to 128 of the characters a-z A-Z 0-9 : _ -"
LIST_ALLOWED = "must be a list of at least one string"
HOURS_ALLOWED = "must be a number above 0, and at most 99999"
TAGS_ALLOWED = 'must be an object of 1 to 50 tags, each key once, such as {"env": "dev"}'
NOT_EMPTY = "must not be empty: set a value, or omit it"
KEY_ALLOWED = "keys must be strings of 1 to 128 characters"
VALUE_ALLOWED = "values must be strings of at most 256 characters"


def with_glob(**fields: object) -> dict[str, object]:
    return {"jobIdGlob": "a", **fields}


NOT_GLOBS: list[Any] = ["a.b", "a[bc]", "x" * 65, "a/b", "é", "a\n", " a", 5, ["a"], {"a": 1}, True]
NOT_AGES: list[Any] = ["completedAt", "CreatedAt", 5, ["createdAt"], {}]
NOT_TAGS: list[Any] = [{}, [], "env=dev", 5, [{"Key": "env"}], {str(number): "" for number in range(51)}]
NOT_LISTS: list[Any] = [[], "a", {}, 5, True]
NOT_HOURS: list[Any] = [
    *(0, -1, 0.0, 99_999.001, 100_000, 10**400, float("nan"), float("inf"), "72h", True, False, [72], {})
]
REJECTED: list[Any] = [
    *(
        pytest.param(value, "select", f"must be an object with the keys {KEYS}", id=f"value {number} is not an object")
        for number, value in enumerate((None, [], "a", 5, True, ["jobIdGlob"]))
    ),
    pytest.param({}, "select", SCOPE_ALLOWED, id="no key"),
    pytest.param({"olderThanHours": 72}, "select", SCOPE_ALLOWED, id="only an age"),
    pytest.param(
        {"status": ["SCHEDULED"], "excludeJobIdGlobs": ["a"]},
        "select",
        SCOPE_ALLOWED,
        id="only a status and an exclusion",
    ),
    *(
        pytest.param({"jobIdGlob": "a"} | {key: ""}, f"select.{key}", NOT_EMPTY, id=f"{key} empty")
        for key in KEYS.split(", ")
    ),
    pytest.param({"jobIdGlob": ""}, "select.jobIdGlob", NOT_EMPTY, id="an empty glob"),
    pytest.param(
        with_glob(olderThanHours="72"),
        "select.olderThanHours",
        f"{HOURS_ALLOWED}, without quotes",
        id="hours in quotes",
    ),
    *(
        pytest.param({"jobIdGlob": "a"} | {key: None}, f"select.{key}", "must not be null", id=f"{key} null")
        for key in KEYS.split(", ")
    ),
    pytest.param({"tags": {}}, "select", SCOPE_ALLOWED, id="no tags"),
    pytest.param(with_glob(glob="a"), "select", f"unknown key 'glob'; the keys are {KEYS}", id="an unknown key"),
    pytest.param(
        {"JobIdGlob": "a"}, "select", "unknown key 'JobIdGlob'; did you mean jobIdGlob", id="the spelling of a template"
    ),
    *(
        pytest.param({"jobIdGlob": value}, "select.jobIdGlob", GLOB_ALLOWED, id=f"glob {number}")
        for number, value in enumerate(NOT_GLOBS)
    ),
    *(
        pytest.param(
            with_glob(excludeJobIdGlobs=value), "select.excludeJobIdGlobs", LIST_ALLOWED, id=f"excluded globs {number}"
        )
        for number, value in enumerate(NOT_LISTS)
    ),
    pytest.param(
        with_glob(excludeJobIdGlobs=["a", "b.c"]), "select.excludeJobIdGlobs[1]", GLOB_ALLOWED, id="one bad glob of two"
    ),
    pytest.param(
        with_glob(excludeJobIdGlobs=[""]), "select.excludeJobIdGlobs[0]", GLOB_ALLOWED, id="an empty excluded glob"
    ),
    *(
        pytest.param(with_glob(status=value), "select.status", LIST_ALLOWED, id=f"statuses {number}")
        for number, value in enumerate([*NOT_LISTS, "IN_PROGRESS"])
    ),
    *(
        pytest.param(
            with_glob(status=["SCHEDULED", value]),
            "select.status[1]",
            "must be a string of IN_PROGRESS or SCHEDULED",
            id=f"status {value}",
        )
        for value in ("CANCELED", "COMPLETED", "DELETION_IN_PROGRESS", "in_progress", "", None, 5)
    ),
    *(
        pytest.param(with_glob(olderThanHours=value), "select.olderThanHours", HOURS_ALLOWED, id=f"hours {number}")
        for number, value in enumerate(NOT_HOURS)
    ),
    *(
        pytest.param(
            with_glob(ageFrom=value), "select.ageFrom", "must be createdAt or lastUpdatedAt", id=f"age from {value}"
        )
        for value in NOT_AGES
    ),
    *(
        pytest.param(
            with_glob(targetSelection=value), "select.targetSelection", LIST_ALLOWED, id=f"target selections {number}"
        )
        for number, value in enumerate([*NOT_LISTS, "SNAPSHOT"])
    ),
    *(
        pytest.param(
            with_glob(targetSelection=[value]),
            "select.targetSelection[0]",
            "must be a string of SNAPSHOT or CONTINUOUS",
            id=f"target selection {value}",
        )
        for value in ("snapshot", "BOTH", "", None)
    ),
    *(
        pytest.param({"thingGroupName": value}, "select.thingGroupName", GROUP_ALLOWED, id=f"thing group {number}")
        for number, value in enumerate(("a/b", "a*", "g" * 129, "é", "g\n", 5, ["g"], True))
    ),
    *(
        pytest.param(with_glob(tags=value), "select.tags", TAGS_ALLOWED, id=f"tags {number}")
        for number, value in enumerate(NOT_TAGS)
    ),
    pytest.param({"tags": {"": "v"}}, "select.tags", KEY_ALLOWED, id="an empty tag key"),
    pytest.param({"tags": {"k" * 129: "v"}}, "select.tags", KEY_ALLOWED, id="a long tag key"),
    pytest.param({"tags": {5: "v"}}, "select.tags", KEY_ALLOWED, id="a tag key that is not a string"),
    pytest.param({"tags": {"a": "v", "k": "v" * 257}}, "select.tags", VALUE_ALLOWED, id="a long tag value"),
    *(
        pytest.param({"tags": {"k": value}}, "select.tags", VALUE_ALLOWED, id=f"tag value {value}")
        for value in (None, 5, True, ["v"])
    ),
]


@pytest.mark.parametrize(("document", "field", "allowed"), REJECTED)
def test_any_other_criteria_are_rejected(document: object, field: str, allowed: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_criteria(document)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


@pytest.mark.parametrize(
    ("glob", "prefix", "possible"),
    [
        ("ota-1", "ota-", True),
        ("ota-*", "ota-", True),
        ("o*", "ota-", True),
        ("*", "ota-", True),
        ("?ta-1", "ota-", True),
        (None, "ota-", True),
        ("fw-*", "", True),
        ("fw-*", "ota-", False),
        ("ota", "ota-", True),
        ("otb*", "ota-", False),
    ],
)
def test_glob_must_be_able_to_match_the_prefix(glob: str | None, prefix: str, possible: bool) -> None:
    criteria = Criteria(job_id_glob=glob, tags={"env": "dev"})
    assert can_match(criteria, prefix) is possible
    if possible:
        check_prefix(criteria, prefix)
        return
    with pytest.raises(RequestRejected) as caught:
        check_prefix(criteria, prefix)
    allowed = "must be able to match ids that start with 'ota-', the stack's JobIdPrefix"
    assert (caught.value.field, caught.value.allowed) == ("select.jobIdGlob", allowed)


# Age


@pytest.fixture
def time_zone_of_new_york() -> Iterator[None]:
    """The time zone of the process, which must not matter."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


THREE_DAYS = parse_criteria({"jobIdGlob": "*", "olderThanHours": 72})
BERLIN = ZoneInfo("Europe/Berlin")


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
    assert THREE_DAYS.is_older(created_at, NOW) is expected


def test_any_time_is_old_enough_without_hours() -> None:
    assert Criteria(job_id_glob="*").is_older(NOW + timedelta(days=1), NOW)


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
    assert one_day.is_older(created_at, now) is expected


@pytest.mark.parametrize(
    ("starts_at", "why"),
    [
        ("", ""),
        ("2026-11-21T11:59", ""),
        ("2026-11-21T11:59:59Z", ""),
        ("2026-11-21T12:00", "its rollout began at 2026-11-21T12:00Z, not more than 72 h ago"),
        ("2026-11-21T13:59+02:00", ""),
        ("2026-11-21T11:00-02:00", "its rollout began at 2026-11-21T13:00Z, not more than 72 h ago"),
        ("2026-11-24T12:00", "its rollout began at 2026-11-24T12:00Z, not more than 72 h ago"),
        ("2026-11-24T12:01", "its rollout is scheduled to begin at 2026-11-24T12:01Z"),
        ("2027-11-01 08:30", "its rollout is scheduled to begin at 2027-11-01T08:30Z"),
        ("next week", "its scheduled start 'next week' is not a time"),
        ("0001-01-01T00:00+01:00", "its scheduled start '0001-01-01T00:00+01:00' is not a time"),
    ],
)
@pytest.mark.usefixtures("time_zone_of_new_york")
def test_age_never_counts_from_before_the_scheduled_start(starts_at: str, why: str) -> None:
    assert THREE_DAYS.why_too_recent(starts_at, NOW) == why
    assert Criteria(job_id_glob="*").why_too_recent(starts_at, NOW) == ""


@pytest.mark.parametrize(
    ("glob", "is_refused"),
    [("AFR_OTA-*", True), ("AFR_OTA-1", True), ("AFR_OTA*", False), ("AFR_OTA?1", False), ("*", False), (None, False)],
)
def test_glob_that_matches_only_over_the_air_updates_is_rejected(glob: str | None, is_refused: bool) -> None:
    criteria = Criteria(job_id_glob=glob, tags={"a": "b"})
    if not is_refused:
        check_owner(criteria)
        return
    with pytest.raises(RequestRejected) as caught:
        check_owner(criteria)
    assert str(caught.value) == (
        "select.jobIdGlob: matches only FreeRTOS over-the-air updates (AFR_OTA-*), which a selection never takes; "
        "select other jobs, or name such a job by jobId"
    )
