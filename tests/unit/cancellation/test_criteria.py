"""A selection's keys: what each takes, what it refuses and with which words, and what a glob means."""

from typing import Any

import pytest

from handler.cancellation.criteria import Criteria, check_prefix, matches_glob, parse_criteria
from handler.cancellation.job import JobStatus
from handler.errors import RequestRejected

KEYS = "jobIdGlob, excludeJobIdGlobs, status, olderThanHours, ageFrom, targetSelection, thingGroupName, tags"
BOTH = (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS)
DAY = {"env": "dev"}

ACCEPTED: list[Any] = [
    pytest.param({"jobIdGlob": "a"}, Criteria(job_id_glob="a"), id="a glob"),
    pytest.param({"jobIdGlob": "*"}, Criteria(job_id_glob="*"), id="every job, but asked for by name"),
    pytest.param({"jobIdGlob": "A-z_0?9*"}, Criteria(job_id_glob="A-z_0?9*"), id="every kind of character"),
    pytest.param({"jobIdGlob": "x" * 64}, Criteria(job_id_glob="x" * 64), id="the longest glob"),
    pytest.param({"tags": DAY}, Criteria(tags={"env": "dev"}), id="tags"),
    pytest.param({"tags": {"k" * 128: "v" * 256}}, Criteria(tags={"k" * 128: "v" * 256}), id="the longest tag"),
    pytest.param({"tags": {"k": ""}}, Criteria(tags={"k": ""}), id="an empty value"),
    pytest.param(
        {"tags": {str(number): "v" for number in range(50)}},
        Criteria(tags={str(number): "v" for number in range(50)}),
        id="the most tags",
    ),
    pytest.param({"thingGroupName": "g"}, Criteria(thing_group_name="g"), id="a thing group"),
    pytest.param({"thingGroupName": "A:z_0-9"}, Criteria(thing_group_name="A:z_0-9"), id="a thing group's characters"),
    pytest.param({"thingGroupName": "g" * 128}, Criteria(thing_group_name="g" * 128), id="the longest thing group"),
    pytest.param(
        {"jobIdGlob": "a", "excludeJobIdGlobs": ["b*", "c"]},
        Criteria(job_id_glob="a", exclude_job_id_globs=("b*", "c")),
        id="globs to leave out",
    ),
    pytest.param(
        {"jobIdGlob": "a", "status": ["IN_PROGRESS"]},
        Criteria(job_id_glob="a", statuses=(JobStatus.IN_PROGRESS,)),
        id="one status",
    ),
    pytest.param(
        {"jobIdGlob": "a", "status": ["IN_PROGRESS", "SCHEDULED", "IN_PROGRESS"]},
        Criteria(job_id_glob="a", statuses=BOTH),
        id="statuses are asked for once, SCHEDULED first",
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
        id="continuous jobs alone",
    ),
    pytest.param(
        {"jobIdGlob": "a", "targetSelection": ["SNAPSHOT", "CONTINUOUS"]},
        Criteria(job_id_glob="a", target_selections=("SNAPSHOT", "CONTINUOUS")),
        id="both kinds",
    ),
]


@pytest.mark.parametrize(("document", "expected"), ACCEPTED)
def test_a_selection_is_read(document: dict[str, object], expected: Criteria) -> None:
    assert parse_criteria(document) == expected


def test_a_selection_means_live_snapshot_jobs_of_any_age_unless_it_says_more() -> None:
    selector = parse_criteria({"jobIdGlob": "a"})
    assert selector.statuses == (JobStatus.SCHEDULED, JobStatus.IN_PROGRESS)
    assert (selector.target_selections, selector.older_than_hours) == (("SNAPSHOT",), 0)
    assert (selector.age_from, selector.thing_group_name, selector.tags) == ("createdAt", None, {})
    assert selector.exclude_job_id_globs == ()


NO_SCOPE = "must have at least one of jobIdGlob, thingGroupName, tags: age alone is not a scope"
NO_GLOB = "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ - and the wildcards * ?"
NO_GROUP = "must be a string of 1 to 128 of the characters a-z A-Z 0-9 : _ -"
NO_LIST = "must be a list of at least one string"
NO_HOURS = "must be a number above 0, and at most 99999"
NO_TAGS = "must be an object of 1 to 50 tags"
NO_KEY = "keys must be strings of 1 to 128 characters"
NO_VALUE = "values must be strings of at most 256 characters"


def scoped(**fields: object) -> dict[str, object]:
    return {"jobIdGlob": "a", **fields}


NOT_GLOBS: list[Any] = ["a.b", "a[bc]", "x" * 65, "a/b", "é", "a\n", " a", 5, ["a"], {"a": 1}, True]
NOT_AGES: list[Any] = ["completedAt", "CreatedAt", "", 5, ["createdAt"], {}]
NOT_TAGS: list[Any] = [{}, [], "env=dev", 5, [{"Key": "env"}], {str(number): "" for number in range(51)}]
NOT_LISTS: list[Any] = [[], "a", {}, 5, True]
NOT_HOURS: list[Any] = [
    *(0, -1, 0.0, 99_999.001, 100_000, 10**400, float("nan"), float("inf"), "72", True, False, [72], {})
]
REJECTED: list[Any] = [
    *(
        pytest.param(value, "select", f"must be an object with the keys {KEYS}", id=f"not an object {number}")
        for number, value in enumerate((None, [], "a", 5, True, ["jobIdGlob"]))
    ),
    pytest.param({}, "select", NO_SCOPE, id="nothing at all"),
    pytest.param({"olderThanHours": 72}, "select", NO_SCOPE, id="age alone"),
    pytest.param({"status": ["SCHEDULED"], "excludeJobIdGlobs": ["a"]}, "select", NO_SCOPE, id="all but"),
    pytest.param({"jobIdGlob": ""}, "select", NO_SCOPE, id="an empty glob"),
    *(
        pytest.param({"jobIdGlob": "a"} | {key: None}, key, "must not be null: leave it out", id=f"{key} null")
        for key in KEYS.split(", ")
    ),
    pytest.param({"tags": {}}, "select", NO_SCOPE, id="no tag"),
    pytest.param({"thingGroupName": ""}, "select", NO_SCOPE, id="an empty group"),
    pytest.param({"jobIdGlob": "", "tags": {}, "thingGroupName": ""}, "select", NO_SCOPE, id="three times nothing"),
    pytest.param(scoped(glob="a"), "select", f"unknown key 'glob'; the keys are {KEYS}", id="a typing error"),
    pytest.param(
        {"JobIdGlob": "a"}, "select", f"unknown key 'JobIdGlob'; the keys are {KEYS}", id="a template's spelling"
    ),
    *(
        pytest.param({"jobIdGlob": value}, "select.jobIdGlob", NO_GLOB, id=f"glob {number}")
        for number, value in enumerate(NOT_GLOBS)
    ),
    pytest.param({"tags": DAY, "jobIdGlob": ""}, "select.jobIdGlob", NO_GLOB, id="an empty glob beside a scope"),
    *(
        pytest.param(scoped(excludeJobIdGlobs=value), "select.excludeJobIdGlobs", NO_LIST, id=f"no list {number}")
        for number, value in enumerate(NOT_LISTS)
    ),
    pytest.param(
        scoped(excludeJobIdGlobs=["a", "b.c"]), "select.excludeJobIdGlobs[1]", NO_GLOB, id="one bad glob of two"
    ),
    pytest.param(scoped(excludeJobIdGlobs=[""]), "select.excludeJobIdGlobs[0]", NO_GLOB, id="an empty one"),
    *(
        pytest.param(scoped(status=value), "select.status", NO_LIST, id=f"no list of statuses {number}")
        for number, value in enumerate([*NOT_LISTS, "IN_PROGRESS"])
    ),
    *(
        pytest.param(
            scoped(status=["SCHEDULED", value]),
            "select.status[1]",
            "must be a string of IN_PROGRESS or SCHEDULED",
            id=f"status {value}",
        )
        for value in ("CANCELED", "COMPLETED", "DELETION_IN_PROGRESS", "in_progress", "", None, 5)
    ),
    *(
        pytest.param(scoped(olderThanHours=value), "select.olderThanHours", NO_HOURS, id=f"hours {number}")
        for number, value in enumerate(NOT_HOURS)
    ),
    *(
        pytest.param(
            scoped(ageFrom=value), "select.ageFrom", "must be createdAt or lastUpdatedAt", id=f"age from {value}"
        )
        for value in NOT_AGES
    ),
    *(
        pytest.param(scoped(targetSelection=value), "select.targetSelection", NO_LIST, id=f"no kinds {number}")
        for number, value in enumerate([*NOT_LISTS, "SNAPSHOT"])
    ),
    *(
        pytest.param(
            scoped(targetSelection=[value]),
            "select.targetSelection[0]",
            "must be a string of SNAPSHOT or CONTINUOUS",
            id=f"kind {value}",
        )
        for value in ("snapshot", "BOTH", "", None)
    ),
    *(
        pytest.param({"thingGroupName": value}, "select.thingGroupName", NO_GROUP, id=f"group {number}")
        for number, value in enumerate(("a/b", "a*", "g" * 129, "é", "g\n", 5, ["g"], True))
    ),
    pytest.param(scoped(thingGroupName=""), "select.thingGroupName", NO_GROUP, id="an empty group beside a scope"),
    *(
        pytest.param(scoped(tags=value), "select.tags", NO_TAGS, id=f"tags {number}")
        for number, value in enumerate(NOT_TAGS)
    ),
    pytest.param({"tags": {"": "v"}}, "select.tags", NO_KEY, id="an empty key"),
    pytest.param({"tags": {"k" * 129: "v"}}, "select.tags", NO_KEY, id="a long key"),
    pytest.param({"tags": {5: "v"}}, "select.tags", NO_KEY, id="a key that is no text"),
    pytest.param({"tags": {"a": "v", "k": "v" * 257}}, "select.tags", NO_VALUE, id="a long value"),
    *(
        pytest.param({"tags": {"k": value}}, "select.tags", NO_VALUE, id=f"the value {value}")
        for value in (None, 5, True, ["v"])
    ),
]


@pytest.mark.parametrize(("document", "field", "allowed"), REJECTED)
def test_any_other_selection_is_rejected_with_the_field_and_what_it_allows(
    document: object, field: str, allowed: str
) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_criteria(document)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


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
def test_a_glob_is_held_against_the_whole_id_and_its_case(job_id: str, glob: str, matches: bool) -> None:
    assert matches_glob(job_id, glob) is matches


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
def test_a_glob_must_be_able_to_match_the_prefix(glob: str | None, prefix: str, possible: bool) -> None:
    selector = Criteria(job_id_glob=glob, tags={"env": "dev"})
    if possible:
        check_prefix(selector, prefix)
        return
    with pytest.raises(RequestRejected) as caught:
        check_prefix(selector, prefix)
    allowed = "must be able to match ids that start with 'ota-', the stack's JobIdPrefix"
    assert (caught.value.field, caught.value.allowed) == ("select.jobIdGlob", allowed)
