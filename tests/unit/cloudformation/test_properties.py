"""The custom resource's properties: strict on Create and Update, lenient and safe on Delete."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.criteria import Criteria
from handler.cancellation.job import JobStatus
from handler.cancellation.request import CancelReason, CancelRequest, StackLimits
from handler.cloudformation.properties import (
    read_changes,
    read_leniently,
    read_selection,
    read_service_timeout,
    read_strictly,
)
from handler.errors import RequestRejected
from tests.support.fakes import LIMITS

ATTRIBUTION = CancelReason.default("STACK_TEARDOWN", "Teardown was deleted")
TOKEN = "arn:aws:lambda:eu-west-1:123456789012:function:canceler"
FORCING = replace(LIMITS, force=True)
DRY = replace(LIMITS, dry_run=True)
PREFIXED = replace(LIMITS, job_id_prefix="ota-")
KNOWN = (
    "JobId, Select, Force, DryRun, MaxJobs, ReasonCode, Comment, WaitForExecutionsMinutes, "
    "ServiceToken, ServiceTimeout, OnIncomplete"
)

PLAIN = CancelRequest(
    job_ids=("a",),
    selector=None,
    force=False,
    dry_run=False,
    max_jobs=100,
    reason_code="STACK_TEARDOWN",
    comment="Teardown was deleted",
    asked_by="Teardown was deleted",
)

ACCEPTED: list[Any] = [
    pytest.param({"JobId": "a"}, LIMITS, PLAIN, id="a job"),
    pytest.param({"JobId": "a", "ServiceToken": TOKEN, "ServiceTimeout": "900"}, LIMITS, PLAIN, id="as it arrives"),
    pytest.param({"JobId": "a", "OnIncomplete": "FAIL"}, LIMITS, PLAIN, id="FAIL"),
    pytest.param({"JobId": "a", "OnIncomplete": "CONTINUE"}, LIMITS, PLAIN, id="CONTINUE"),
    pytest.param({"JobId": "a"}, FORCING, replace(PLAIN, force=True), id="the stack's force"),
    pytest.param({"JobId": "a", "Force": "true"}, FORCING, replace(PLAIN, force=True), id="force as a string"),
    pytest.param({"JobId": "a", "Force": "false"}, FORCING, PLAIN, id="the string false is false"),
    pytest.param({"JobId": "a", "Force": False}, FORCING, PLAIN, id="a real boolean"),
    pytest.param({"JobId": "a", "DryRun": "true"}, LIMITS, replace(PLAIN, dry_run=True), id="dry run"),
    pytest.param({"JobId": "a", "DryRun": "false"}, LIMITS, PLAIN, id="no dry run"),
    pytest.param({"JobId": "a", "MaxJobs": "14"}, LIMITS, replace(PLAIN, max_jobs=14), id="a number as a string"),
    pytest.param({"JobId": "a", "MaxJobs": 14}, LIMITS, replace(PLAIN, max_jobs=14), id="a real number"),
    pytest.param(
        {"JobId": "a", "MaxJobs": "25000"},
        replace(LIMITS, max_jobs=25000),
        replace(PLAIN, max_jobs=25000),
        id="the greatest cap that the template allows",
    ),
    pytest.param(
        {"JobId": "a", "ReasonCode": "MOVED", "Comment": "to b"},
        LIMITS,
        replace(PLAIN, reason_code="MOVED", comment="to b"),
        id="a reason of the template's own",
    ),
    pytest.param({"JobId": "true"}, LIMITS, replace(PLAIN, job_ids=("true",)), id="a job named true stays a string"),
    pytest.param({"JobId": "14"}, LIMITS, replace(PLAIN, job_ids=("14",)), id="a job named 14 stays a string"),
]


@pytest.mark.parametrize(("properties", "policy", "expected"), ACCEPTED)
def test_create_and_update_read_strings_as_what_they_mean(
    properties: dict[str, object], policy: StackLimits, expected: CancelRequest
) -> None:
    assert read_strictly(properties, policy, ATTRIBUTION) == expected


NO_FLAG = "must be true or false"
NO_CAP = "must be a whole number from 1 to 100, the stack's MaxJobsPerRun"
REJECTED: list[Any] = [
    pytest.param({}, LIMITS, "JobId, Select", "exactly one of them must be given", id="no job"),
    pytest.param({"Force": "false"}, LIMITS, "JobId, Select", "exactly one of them must be given", id="only a flag"),
    pytest.param(
        {"JobId": ""}, LIMITS, "JobId", "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -", id="?"
    ),
    pytest.param({"JobID": "a"}, LIMITS, "'JobID'", f"unknown property; the properties are {KNOWN}", id="typing error"),
    pytest.param(
        {"jobId": "a"}, LIMITS, "'jobId'", f"unknown property; the properties are {KNOWN}", id="an event's key"
    ),
    pytest.param({"JobId": "a", "Select": {}}, LIMITS, "JobId, Select", "exactly one of them must be given", id="both"),
    pytest.param(
        {"JobId": "a", "OnIncomplete": "continue"}, LIMITS, "OnIncomplete", "must be FAIL or CONTINUE", id="OI"
    ),
    pytest.param({"JobId": "a", "OnIncomplete": []}, LIMITS, "OnIncomplete", "must be FAIL or CONTINUE", id="OI list"),
    pytest.param(
        {"JobId": "a", "OnIncomplete": None}, LIMITS, "OnIncomplete", "must be FAIL or CONTINUE", id="OI null"
    ),
    pytest.param({"JobId": "a", "Force": "True"}, LIMITS, "Force", NO_FLAG, id="True"),
    pytest.param({"JobId": "a", "Force": "yes"}, LIMITS, "Force", NO_FLAG, id="yes"),
    pytest.param({"JobId": "a", "DryRun": ["true"]}, LIMITS, "DryRun", NO_FLAG, id="a list"),
    pytest.param(
        {"JobId": "a", "Force": "true"},
        LIMITS,
        "Force",
        "must be false or left out, since the stack's parameter Force is false",
        id="force beyond the stack's",
    ),
    pytest.param(
        {"JobId": "a", "DryRun": "false"},
        DRY,
        "DryRun",
        "must be true or left out, since the stack's parameter DryRun is true",
        id="no dry run beyond the stack's",
    ),
    *(
        pytest.param({"JobId": "a", "MaxJobs": value}, LIMITS, "MaxJobs", NO_CAP, id=f"MaxJobs {value!r:.20}")
        for value in ("0", "101", "-1", "1.0", "", "ten", "١", "9999999999", "9" * 5000)
    ),
    pytest.param(
        {"JobId": "a", "ReasonCode": "moved"},
        LIMITS,
        "ReasonCode",
        "must be a string of 1 to 128 of the characters A-Z 0-9 _",
        id="reason",
    ),
    pytest.param(
        {"JobId": "a", "Comment": ""},
        LIMITS,
        "Comment",
        "must be a string of 1 to 2028 characters, none of them a control or format character",
        id="comment",
    ),
    pytest.param({"JobId": "a"}, PREFIXED, "JobId", "must start with 'ota-', the stack's JobIdPrefix", id="prefix"),
]


@pytest.mark.parametrize(("properties", "policy", "field", "allowed"), REJECTED)
def test_create_and_update_name_the_bad_property_and_what_it_allows(
    properties: dict[str, object], policy: StackLimits, field: str, allowed: str
) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_strictly(properties, policy, ATTRIBUTION)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


LENIENT: list[Any] = [
    pytest.param({}, LIMITS, PLAIN, (), id="no properties at all"),
    pytest.param({"JobId": "b"}, LIMITS, PLAIN, (), id="the physical id names the job, not the property"),
    pytest.param({"JobId": ["a mess"]}, LIMITS, PLAIN, (), id="a bad JobId is no matter"),
    pytest.param({"Select": {"JobIdGlob": "b"}}, LIMITS, PLAIN, (), id="nor is a selection"),
    pytest.param({"JobId": "a", "Old": "x", "OnIncomplete": "?"}, LIMITS, PLAIN, (), id="an older release's property"),
    pytest.param({"JobId": "a"}, PREFIXED, PLAIN, (), id="outside the prefix: the job may be gone"),
    pytest.param({"JobId": "a", "Force": "false"}, FORCING, PLAIN, (), id="force turned off"),
    pytest.param({"JobId": "a"}, FORCING, replace(PLAIN, force=True), (), id="the stack's force"),
    pytest.param(
        {"JobId": "a", "Force": "maybe"}, FORCING, PLAIN, ("left out Force: must be true or false",), id="safe"
    ),
    pytest.param(
        {"JobId": "a", "Force": "true"},
        LIMITS,
        PLAIN,
        ("left out Force: must be false or left out, since the stack's parameter Force is false",),
        id="force that the stack allows no more",
    ),
    pytest.param(
        {"JobId": "a", "DryRun": "maybe"},
        LIMITS,
        replace(PLAIN, dry_run=True),
        ("left out DryRun: must be true or false",),
        id="an unreadable DryRun cancels nothing",
    ),
    pytest.param(
        {"JobId": "a", "DryRun": "false"},
        DRY,
        replace(PLAIN, dry_run=True),
        ("left out DryRun: must be true or left out, since the stack's parameter DryRun is true",),
        id="the stack's dry run",
    ),
    pytest.param(
        {"JobId": "a", "MaxJobs": "many", "ReasonCode": "GOOD", "Comment": "\n"},
        LIMITS,
        replace(PLAIN, reason_code="GOOD"),
        (
            f"left out MaxJobs: {NO_CAP}",
            "left out Comment: must be a string of 1 to 2028 characters, none of them a control or format character",
        ),
        id="what can be read is kept",
    ),
]


@pytest.mark.parametrize(("properties", "policy", "expected", "warnings"), LENIENT)
def test_delete_leaves_out_what_it_cannot_read_and_says_so(
    properties: dict[str, object], policy: StackLimits, expected: CancelRequest, warnings: tuple[str, ...]
) -> None:
    assert read_leniently({"jobId": "a"}, properties, policy, ATTRIBUTION) == (expected, warnings)


# Select

SELECTED = replace(PLAIN, job_ids=(), selector=Criteria(job_id_glob="ota-*"))
ALL_OF_IT = {
    "JobIdGlob": "ota-*",
    "ExcludeJobIdGlobs": ["ota-keep-*"],
    "Status": ["SCHEDULED"],
    "OlderThanHours": "72",
    "AgeFrom": "lastUpdatedAt",
    "TargetSelection": ["SNAPSHOT", "CONTINUOUS"],
    "ThingGroupName": "fleet-a",
    "Tags": {"env": "dev", "true": "true", "14": "14"},
}


def test_a_selection_is_read_in_the_spelling_of_templates() -> None:
    request = read_strictly({"Select": ALL_OF_IT}, LIMITS, ATTRIBUTION)
    assert request == replace(
        SELECTED,
        selector=Criteria(
            job_id_glob="ota-*",
            exclude_job_id_globs=("ota-keep-*",),
            statuses=(JobStatus.SCHEDULED,),
            older_than_hours=72.0,
            age_from="lastUpdatedAt",
            target_selections=("SNAPSHOT", "CONTINUOUS"),
            thing_group_name="fleet-a",
            tags={"env": "dev", "true": "true", "14": "14"},
        ),
    )


@pytest.mark.parametrize(
    ("hours", "read"),
    [("72", 72.0), ("0.5", 0.5), ("72.0", 72.0), ("1.", 1.0), ("000000072", 72.0), (72, 72.0), (0.5, 0.5)],
)
def test_hours_are_a_number_or_the_string_of_one(hours: object, read: float) -> None:
    request = read_strictly({"Select": {"JobIdGlob": "ota-*", "OlderThanHours": hours}}, LIMITS, ATTRIBUTION)
    assert request.selector == Criteria(job_id_glob="ota-*", older_than_hours=read)


NO_HOURS = "must be a number above 0, and at most 99999"
NO_SCOPE = "must have at least one of jobIdGlob, thingGroupName, tags: age alone is not a scope"
SELECT_KEYS = "jobIdGlob, excludeJobIdGlobs, status, olderThanHours, ageFrom, targetSelection, thingGroupName, tags"
BAD_SELECTIONS: list[Any] = [
    *(
        pytest.param(
            {"JobIdGlob": "a", "OlderThanHours": value}, "Select.OlderThanHours", NO_HOURS, id=f"{value!r:.20}"
        )
        for value in (
            "",
            "0",
            "-1",
            "1e3",
            "1.5.5",
            "1,5",
            " 1",
            "١",
            "ten",
            "100000",
            ".5",
            "9999999999",
            "0000000072",
            True,
            ["72"],
        )
    ),
    pytest.param({}, "Select", NO_SCOPE, id="empty"),
    pytest.param({"OlderThanHours": "72"}, "Select", NO_SCOPE, id="age alone"),
    pytest.param("ota-*", "Select", f"must be an object with the keys {SELECT_KEYS}", id="a text"),
    pytest.param(["ota-*"], "Select", f"must be an object with the keys {SELECT_KEYS}", id="a list"),
    pytest.param(
        {"JobIdGlob": "a", "Glob": "b"},
        "Select",
        f"unknown key 'Select.Glob'; the keys are {SELECT_KEYS}",
        id="unknown",
    ),
    pytest.param(
        {"JobIdGlob": "a.b"},
        "Select.JobIdGlob",
        "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ - and the wildcards * ?",
        id="a bad glob",
    ),
    pytest.param({"Tags": {}, "JobIdGlob": "a"}, "Select.Tags", "must be an object of 1 to 50 tags", id="no tags"),
    pytest.param(
        {"JobIdGlob": "a", "Status": "SCHEDULED"}, "Select.Status", "must be a list of at least one string", id="text"
    ),
    pytest.param(
        {"JobIdGlob": "a", "AgeFrom": "Created"}, "Select.AgeFrom", "must be createdAt or lastUpdatedAt", id="age from"
    ),
]


@pytest.mark.parametrize(("selection", "field", "allowed"), BAD_SELECTIONS)
def test_a_bad_selection_is_named_in_the_spelling_of_templates(selection: object, field: str, allowed: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_strictly({"Select": selection}, LIMITS, ATTRIBUTION)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


def test_an_item_of_a_list_is_named_by_its_place() -> None:
    with pytest.raises(RequestRejected) as caught:
        read_strictly({"Select": {"JobIdGlob": "a", "Status": ["SCHEDULED", "DONE"]}}, LIMITS, ATTRIBUTION)
    assert caught.value.field.startswith("Select.")
    assert caught.value.field.endswith("[1]")


def test_a_selection_is_lenient_about_everything_but_itself() -> None:
    which = {"select": read_selection({"Select": {"JobIdGlob": "ota-*"}})}
    properties = {"Select": {"JobIdGlob": "ota-*"}, "Force": "maybe", "MaxJobs": "20", "Old": "x"}
    assert read_leniently(which, properties, LIMITS, ATTRIBUTION) == (
        replace(SELECTED, max_jobs=20),
        ("left out Force: must be true or false",),
    )


@pytest.mark.parametrize("properties", [{}, {"Select": {}}, {"Select": "ota-*"}, {"Select": {"JobIdGlob": "a.b"}}])
def test_a_selection_that_cannot_be_read_is_never_all_jobs(properties: dict[str, object]) -> None:
    with pytest.raises(RequestRejected):
        read_leniently({"select": read_selection(properties)}, properties, LIMITS, ATTRIBUTION)


# Update: what has changed is read strictly


UPDATES: list[Any] = [
    pytest.param({"JobId": "a"}, {"JobId": "a"}, PREFIXED, PLAIN, (), id="nothing, outside a new prefix"),
    pytest.param(
        {"JobId": "a", "Force": "true", "Comment": "new"},
        {"JobId": "a", "Force": "true", "Comment": "old"},
        LIMITS,
        replace(PLAIN, comment="new"),
        ("left out Force: must be false or left out, since the stack's parameter Force is false",),
        id="a force that is allowed no more, and another comment",
    ),
    pytest.param(
        {"JobId": "a", "Force": "false"},
        {"JobId": "a", "Force": "true"},
        LIMITS,
        PLAIN,
        (),
        id="the force turned off",
    ),
    pytest.param({"JobId": "b"}, {"JobId": "a"}, LIMITS, replace(PLAIN, job_ids=("b",)), (), id="another job"),
    pytest.param(
        {"ServiceToken": "t", "JobId": "b", "Comment": "c"},
        {"ServiceToken": "t", "JobId": "a", "Comment": "d"},
        LIMITS,
        replace(PLAIN, job_ids=("b",), comment="c"),
        (),
        id="everything but the token",
    ),
    pytest.param({"JobId": "a"}, {}, LIMITS, PLAIN, (), id="no old properties"),
    pytest.param(
        {"Select": {"JobIdGlob": "ota-*"}}, {"JobId": "a"}, LIMITS, SELECTED, (), id="from a job to a selection"
    ),
    pytest.param(
        {"Select": {"JobIdGlob": "ota-*"}, "Comment": "new"},
        {"Select": {"JobIdGlob": "ota-*"}, "Comment": "old"},
        LIMITS,
        replace(SELECTED, comment="new"),
        (),
        id="another comment for the same selection",
    ),
    pytest.param(
        {"JobId": "a", "MaxJobs": "200"},
        {"JobId": "a", "MaxJobs": "200", "Comment": "gone"},
        LIMITS,
        PLAIN,
        (f"left out MaxJobs: {NO_CAP}",),
        id="a cap that is allowed no more, and a comment taken away",
    ),
]


@pytest.mark.parametrize(("properties", "old", "policy", "expected", "warnings"), UPDATES)
def test_an_update_does_not_fail_on_what_it_does_not_change(
    properties: dict[str, object],
    old: dict[str, object],
    policy: StackLimits,
    expected: CancelRequest,
    warnings: tuple[str, ...],
) -> None:
    assert read_changes(properties, old, policy, ATTRIBUTION) == (expected, warnings)


BAD_UPDATES: list[Any] = [
    pytest.param({"JobId": "a", "Force": "true"}, {"JobId": "a"}, LIMITS, "Force", id="force turned on"),
    pytest.param({"JobId": "a", "Force": "x"}, {"JobId": "a", "Force": "y"}, LIMITS, "Force", id="a bad flag"),
    pytest.param(
        {"JobId": "a", "Force": "true", "WaitForExecutionsMinutes": "5"},
        {"JobId": "a"},
        LIMITS,
        "Force",
        id="force turned on, and a wait",
    ),
    pytest.param({"JobId": "b"}, {"JobId": "a"}, PREFIXED, "JobId", id="a job outside the prefix"),
    pytest.param({"JobId": "a", "X": "1"}, {"JobId": "a"}, LIMITS, "'X'", id="an unknown property"),
    pytest.param({}, {"JobId": "a"}, LIMITS, "JobId, Select", id="no job any more"),
    pytest.param(
        {"JobId": "a", "Select": {"JobIdGlob": "b"}},
        {"JobId": "a"},
        LIMITS,
        "JobId, Select",
        id="a job and a selection",
    ),
    pytest.param({"Select": {}}, {"Select": {"JobIdGlob": "a"}}, LIMITS, "Select", id="an empty selection"),
]


@pytest.mark.parametrize(("properties", "old", "policy", "field"), BAD_UPDATES)
def test_an_update_fails_on_what_it_changes(
    properties: dict[str, object], old: dict[str, object], policy: StackLimits, field: str
) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_changes(properties, old, policy, ATTRIBUTION)
    assert caught.value.field == field


# The wait

NO_WAITS: list[Any] = ["51", "-1", "1.5", "", "five", "true", True, 51, 1.5, [], {}]
NO_WAIT = "must be a whole number from 0 to 50"
LONGER_THAN_ITS_TIMEOUT = "must end 120 s before the ServiceTimeout of {timeout} s: at most {most}"


def with_wait(wait: object = None, timeout: object = None, **others: object) -> dict[str, object]:
    """Properties with a wait and a ServiceTimeout; those that are None are left out."""
    pair = {"WaitForExecutionsMinutes": wait, "ServiceTimeout": timeout}
    return {"JobId": "a", **{name: value for name, value in pair.items() if value is not None}, **others}


@pytest.mark.parametrize("timeout", ["1", "29", 29])
def test_a_service_timeout_in_which_nothing_can_be_cancelled_is_refused(timeout: object) -> None:
    for read in (read_strictly, lambda properties, *rest: read_changes(properties, {"JobId": "a"}, *rest)):
        with pytest.raises(RequestRejected) as caught:
            read({"JobId": "a", "ServiceTimeout": timeout}, LIMITS, ATTRIBUTION)
        assert (caught.value.field, caught.value.allowed) == ("ServiceTimeout", "must be at least 30 (seconds)")


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [("1", 1), ("3600", 3600), (900, 900), ("0", 3600), ("3601", 3600), ("", 3600), (True, 3600)],
)
def test_a_service_timeout_that_cloudformation_would_refuse_counts_as_its_hour(timeout: object, seconds: int) -> None:
    assert read_service_timeout({"ServiceTimeout": timeout}) == seconds


@pytest.mark.parametrize(
    ("wait", "timeout", "minutes"),
    [
        ("0", None, 0),
        ("13", None, 13),
        (13, None, 13),
        ("50", None, 50),
        ("0050", None, 50),
        ("50", "3600", 50),
        ("50", "3120", 50),
        ("13", "900", 13),
        ("3", "300", 3),
        ("1", "180", 1),
        ("1", 180, 1),
        ("0", "30", 0),
        ("50", "soon", 50),  # CloudFormation refuses such a ServiceTimeout itself
        ("50", True, 50),
    ],
)
def test_a_wait_that_ends_two_minutes_before_cloudformation_gives_up_is_read(
    wait: object, timeout: object, minutes: int
) -> None:
    expected = replace(PLAIN, wait_minutes=minutes)
    assert read_strictly(with_wait(wait, timeout), LIMITS, ATTRIBUTION) == expected
    assert read_changes(with_wait(wait, timeout), with_wait(), LIMITS, ATTRIBUTION) == (expected, ())


@pytest.mark.parametrize(
    ("wait", "timeout", "allowed"),
    [
        *((wait, None, NO_WAIT) for wait in NO_WAITS),
        ("50", "3119", "must end 120 s before the ServiceTimeout of 3119 s: at most 49"),
        ("14", "900", "must end 120 s before the ServiceTimeout of 900 s: at most 13"),
        ("1", "179", "must end 120 s before the ServiceTimeout of 179 s: at most 0"),
        ("1", "120", "must end 120 s before the ServiceTimeout of 120 s: at most 0"),
        ("1", "30", "must end 120 s before the ServiceTimeout of 30 s: at most 0"),
    ],
)
def test_any_other_wait_is_refused_before_it_can_fail_a_deletion(wait: object, timeout: object, allowed: str) -> None:
    """Delete is not so strict: what can't be read is left out, and what is too long ends when CloudFormation's does."""
    for read in (
        lambda: read_strictly(with_wait(wait, timeout), LIMITS, ATTRIBUTION),
        lambda: read_changes(with_wait(wait, timeout), with_wait(), LIMITS, ATTRIBUTION),
    ):
        with pytest.raises(RequestRejected) as caught:
            read()
        assert (caught.value.field, caught.value.allowed) == ("WaitForExecutionsMinutes", allowed)


@pytest.mark.parametrize(
    ("wait", "timeout", "minutes", "warnings"),
    [
        ("13", "900", 13, ()),
        ("50", "60", 50, ()),
        ("51", None, 0, (f"left out WaitForExecutionsMinutes: {NO_WAIT}",)),
        ("-1", None, 0, (f"left out WaitForExecutionsMinutes: {NO_WAIT}",)),
        (["5"], None, 0, (f"left out WaitForExecutionsMinutes: {NO_WAIT}",)),
    ],
)
def test_a_deletion_never_fails_on_its_wait(
    wait: object, timeout: object, minutes: int, warnings: tuple[str, ...]
) -> None:
    read = read_leniently({"jobId": "a"}, with_wait(wait, timeout), LIMITS, ATTRIBUTION)
    assert read == (replace(PLAIN, wait_minutes=minutes), warnings)


@pytest.mark.parametrize(
    ("new", "old"),
    [
        pytest.param(with_wait("50", "60", Comment="new"), with_wait("50", "60", Comment="old"), id="something else"),
        pytest.param(with_wait("50", "60", Comment="new"), with_wait("50", "60"), id="something new"),
        pytest.param(with_wait("50", "60", Comment="new", ServiceToken="b"), with_wait("50", "60"), id="a token"),
        pytest.param(with_wait("50", "3120", Comment="new"), with_wait("50", "60"), id="a timeout that is long enough"),
        pytest.param(with_wait("50", None, Comment="new"), with_wait("50", "60"), id="a timeout of an hour"),
    ],
)
def test_an_update_does_not_fail_on_a_pair_that_it_leaves_as_it_was_or_mends(
    new: dict[str, object], old: dict[str, object]
) -> None:
    expected = replace(PLAIN, comment="new", wait_minutes=50)
    assert read_changes(new, old, LIMITS, ATTRIBUTION) == (expected, ())


@pytest.mark.parametrize(
    ("new", "old", "timeout", "most"),
    [
        pytest.param(with_wait("14", "900"), with_wait("13", "900"), 900, 13, id="the wait is longer"),
        pytest.param(with_wait("14", "900"), with_wait(None, "900"), 900, 13, id="the wait is new"),
        pytest.param(with_wait("14", "900"), with_wait("14", "960"), 900, 13, id="the timeout is shorter"),
        pytest.param(with_wait("14", "900"), with_wait("14"), 900, 13, id="the timeout is new"),
        pytest.param(with_wait("15", "900"), with_wait("14", "800"), 900, 13, id="both"),
        pytest.param(with_wait("14", "900", Comment="x"), with_wait("14", "960"), 900, 13, id="and something else"),
    ],
)
def test_an_update_of_either_of_the_pair_is_held_against_the_other(
    new: dict[str, object], old: dict[str, object], timeout: int, most: int
) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_changes(new, old, LIMITS, ATTRIBUTION)
    allowed = LONGER_THAN_ITS_TIMEOUT.format(timeout=timeout, most=most)
    assert (caught.value.field, caught.value.allowed) == ("WaitForExecutionsMinutes", allowed)


def test_an_update_that_takes_the_wait_away_or_shortens_it_is_taken() -> None:
    assert read_changes(with_wait(None, "60"), with_wait("50", "60"), LIMITS, ATTRIBUTION) == (PLAIN, ())
    shorter = read_changes(with_wait("13", "900"), with_wait("50", "900"), LIMITS, ATTRIBUTION)
    assert shorter == (replace(PLAIN, wait_minutes=13), ())
