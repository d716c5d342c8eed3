"""Properties are read strictly on Create and Update, and leniently and safely on Delete."""

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

REASON = CancelReason.default("STACK_TEARDOWN", "Teardown was deleted")
NEW_COMMENT = replace(REASON, comment="new")
TOKEN = "arn:aws:lambda:eu-west-1:123456789012:function:canceler"
WITH_FORCE = replace(LIMITS, force=True)
WITH_DRY_RUN = replace(LIMITS, dry_run=True)
WITH_PREFIX = replace(LIMITS, job_id_prefix="ota-")
PROPERTIES = (
    "JobId, Select, Force, DryRun, MaxJobs, ReasonCode, Comment, WaitForExecutionsMinutes, "
    "ServiceToken, ServiceTimeout, OnIncomplete"
)

PLAIN = CancelRequest(
    job_ids=("a",),
    criteria=None,
    force=False,
    dry_run=False,
    max_jobs=100,
    reason=REASON,
)

ACCEPTED: list[Any] = [
    pytest.param({"JobId": "a"}, LIMITS, PLAIN, id="a job"),
    pytest.param(
        {"JobId": "a", "ServiceToken": TOKEN, "ServiceTimeout": "900"}, LIMITS, PLAIN, id="as CloudFormation sends it"
    ),
    pytest.param({"JobId": "a", "OnIncomplete": "FAIL"}, LIMITS, PLAIN, id="FAIL"),
    pytest.param({"JobId": "a", "OnIncomplete": "CONTINUE"}, LIMITS, PLAIN, id="CONTINUE"),
    pytest.param({"JobId": "a"}, WITH_FORCE, replace(PLAIN, force=True), id="the stack's force"),
    pytest.param({"JobId": "a", "Force": "true"}, WITH_FORCE, replace(PLAIN, force=True), id="force as a string"),
    pytest.param({"JobId": "a", "Force": "false"}, WITH_FORCE, PLAIN, id="the string false is false"),
    pytest.param({"JobId": "a", "Force": False}, WITH_FORCE, PLAIN, id="a real boolean"),
    pytest.param({"JobId": "a", "DryRun": "true"}, LIMITS, replace(PLAIN, dry_run=True), id="dry run"),
    pytest.param({"JobId": "a", "DryRun": "false"}, LIMITS, PLAIN, id="no dry run"),
    pytest.param({"JobId": "a", "MaxJobs": "14"}, LIMITS, replace(PLAIN, max_jobs=14), id="a number as a string"),
    pytest.param({"JobId": "a", "MaxJobs": 14}, LIMITS, replace(PLAIN, max_jobs=14), id="a real number"),
    *(
        pytest.param({"JobId": "a", "Force": value}, WITH_FORCE, PLAIN, id=f"no force, written {value}")
        for value in ("False", "FALSE")
    ),
    *(
        pytest.param({"JobId": "a", "Force": value}, WITH_FORCE, replace(PLAIN, force=True), id=f"force, {value}")
        for value in ("True", "TRUE")
    ),
    pytest.param({"JobId": "a", "DryRun": "True"}, LIMITS, replace(PLAIN, dry_run=True), id="dry run, True"),
    pytest.param({"JobId": "a", "DryRun": "False"}, LIMITS, PLAIN, id="dry run, False"),
    pytest.param(
        {"JobId": "a", "WaitForExecutionsMinutes": "5.0", "ServiceTimeout": "900.0", "MaxJobs": "14.0"},
        LIMITS,
        replace(PLAIN, wait_minutes=5, max_jobs=14),
        id="whole numbers with a decimal point",
    ),
    pytest.param(
        {"JobId": "a", "MaxJobs": "25000"},
        replace(LIMITS, max_jobs=25000),
        replace(PLAIN, max_jobs=25000),
        id="the greatest MaxJobsPerRun of the template",
    ),
    pytest.param(
        {"JobId": "a", "ReasonCode": "MOVED", "Comment": "to b"},
        LIMITS,
        replace(PLAIN, reason=replace(REASON, reason_code="MOVED", comment="to b")),
        id="a reason code and a comment",
    ),
    pytest.param({"JobId": "true"}, LIMITS, replace(PLAIN, job_ids=("true",)), id="a job named true"),
    pytest.param({"JobId": "14"}, LIMITS, replace(PLAIN, job_ids=("14",)), id="a job named 14"),
]


@pytest.mark.parametrize(("properties", "limits", "expected"), ACCEPTED)
def test_strict_reading_converts_strings(
    properties: dict[str, object], limits: StackLimits, expected: CancelRequest
) -> None:
    assert read_strictly(properties, limits, REASON) == expected


ALLOWED_FLAG = "must be true or false"
NOT_EMPTY = "must not be empty: set a value, omit it, or use AWS::NoValue"
ALLOWED_COMMENT = "must be a string of 1 to 2028 characters, none of them a control or format character"
ALLOWED_MAX_JOBS = "must be a whole number from 1 to 100, the stack's MaxJobsPerRun"
REJECTED: list[Any] = [
    pytest.param({}, LIMITS, "JobId, Select", "exactly one of them must be given", id="no job"),
    pytest.param({"Force": "false"}, LIMITS, "JobId, Select", "exactly one of them must be given", id="only a flag"),
    pytest.param(
        {"JobId": "a b"},
        LIMITS,
        "JobId",
        "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -",
        id="bad job id",
    ),
    pytest.param({"JobID": "a"}, LIMITS, "'JobID'", "unknown property; did you mean JobId", id="typing error"),
    pytest.param(
        {"JobId": "a", "PlanId": "0" * 32},
        LIMITS,
        "PlanId",
        "must be omitted: a plan is for a request; the jobs of a deletion are selected when the stack is deleted",
        id="a plan",
    ),
    pytest.param({"jobId": "a"}, LIMITS, "'jobId'", "unknown property; did you mean JobId", id="a request key"),
    pytest.param(
        {"JobId": "a", "Tags": {"env": "dev"}},
        LIMITS,
        "'Tags'",
        f"unknown property; the properties are {PROPERTIES}",
        id="a criterion beside Select",
    ),
    *(
        pytest.param({"JobId": "a"} | {name: ""}, LIMITS, name, NOT_EMPTY, id=f"{name} empty")
        for name in PROPERTIES.split(", ")
    ),
    pytest.param({"JobId": "", "Select": {"JobIdGlob": "a"}}, LIMITS, "JobId", NOT_EMPTY, id="JobId empty and Select"),
    pytest.param({"JobId": "a", "Select": {}}, LIMITS, "JobId, Select", "exactly one of them must be given", id="both"),
    pytest.param(
        {"JobId": "a", "OnIncomplete": "continue"},
        LIMITS,
        "OnIncomplete",
        "must be FAIL or CONTINUE",
        id="OnIncomplete in lower case",
    ),
    pytest.param(
        {"JobId": "a", "OnIncomplete": []}, LIMITS, "OnIncomplete", "must be FAIL or CONTINUE", id="OnIncomplete list"
    ),
    pytest.param(
        {"JobId": "a", "OnIncomplete": None}, LIMITS, "OnIncomplete", "must be FAIL or CONTINUE", id="OnIncomplete null"
    ),
    pytest.param({"JobId": "a", "Force": "1"}, LIMITS, "Force", ALLOWED_FLAG, id="1"),
    pytest.param({"JobId": "a", "Force": "yes"}, LIMITS, "Force", ALLOWED_FLAG, id="yes"),
    pytest.param({"JobId": "a", "DryRun": ["true"]}, LIMITS, "DryRun", ALLOWED_FLAG, id="a list"),
    pytest.param(
        {"JobId": "a", "Force": "true"},
        LIMITS,
        "Force",
        "must be false or omitted, since the stack's parameter Force is false",
        id="force that the stack does not allow",
    ),
    pytest.param(
        {"JobId": "a", "DryRun": "false"},
        WITH_DRY_RUN,
        "DryRun",
        "must be true or omitted, since the stack's parameter DryRun is true",
        id="dry run turned off against the stack",
    ),
    *(
        pytest.param({"JobId": "a", "MaxJobs": value}, LIMITS, "MaxJobs", ALLOWED_MAX_JOBS, id=f"MaxJobs {value!r:.20}")
        for value in ("0", "101", "-1", "1.5", "101.0", "1.0.0", "true", "ten", "١", "9999999999", "9" * 5000)
    ),
    pytest.param(
        {"JobId": "a", "ReasonCode": "moved"},
        LIMITS,
        "ReasonCode",
        "must be a string of 1 to 128 of the characters A-Z 0-9 _",
        id="bad reason code",
    ),
    pytest.param(
        {"JobId": "a", "Comment": "\n"},
        LIMITS,
        "Comment",
        "must be a string of 1 to 2028 characters, none of them a control or format character",
        id="bad comment",
    ),
    pytest.param(
        {"JobId": "a"}, WITH_PREFIX, "JobId", "must start with 'ota-', the stack's JobIdPrefix", id="outside the prefix"
    ),
    pytest.param(
        {"Select": {"JobIdGlob": "fw-*"}},
        WITH_PREFIX,
        "Select.JobIdGlob",
        "must be able to match ids that start with 'ota-', the stack's JobIdPrefix",
        id="a glob outside the prefix",
    ),
]


@pytest.mark.parametrize(("properties", "limits", "field", "allowed"), REJECTED)
def test_strict_reading_rejects_a_bad_property_by_name(
    properties: dict[str, object], limits: StackLimits, field: str, allowed: str
) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_strictly(properties, limits, REASON)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


LENIENT: list[Any] = [
    pytest.param({}, LIMITS, PLAIN, (), id="no properties at all"),
    pytest.param({"JobId": "b"}, LIMITS, PLAIN, (), id="another JobId than the PhysicalResourceId"),
    pytest.param({"JobId": ["a mess"]}, LIMITS, PLAIN, (), id="an unreadable JobId"),
    pytest.param({"Select": {"JobIdGlob": "b"}}, LIMITS, PLAIN, (), id="a selection"),
    pytest.param(
        {"JobId": "a", "Old": "x", "OnIncomplete": "?"}, LIMITS, PLAIN, (), id="a property of an older release"
    ),
    pytest.param({"JobId": "a"}, WITH_PREFIX, PLAIN, (), id="outside the prefix"),
    pytest.param({"JobId": "a", "Force": "false"}, WITH_FORCE, PLAIN, (), id="force turned off"),
    pytest.param({"JobId": "a"}, WITH_FORCE, replace(PLAIN, force=True), (), id="the stack's force"),
    pytest.param(
        {"JobId": "a", "Force": "maybe"},
        WITH_FORCE,
        PLAIN,
        ("treating Force as false: must be true or false",),
        id="unreadable force",
    ),
    pytest.param(
        {"JobId": "a", "Force": "true"},
        LIMITS,
        PLAIN,
        ("treating Force as false: must be false or omitted, since the stack's parameter Force is false",),
        id="force that the stack no longer allows",
    ),
    pytest.param(
        {"JobId": "a", "DryRun": "maybe"},
        LIMITS,
        replace(PLAIN, dry_run=True),
        ("treating DryRun as true: must be true or false",),
        id="unreadable dry run",
    ),
    pytest.param(
        {"JobId": "a", "DryRun": "false"},
        WITH_DRY_RUN,
        replace(PLAIN, dry_run=True),
        ("treating DryRun as true: must be true or omitted, since the stack's parameter DryRun is true",),
        id="the stack's dry run",
    ),
    pytest.param(
        {"JobId": "a", "MaxJobs": "many", "ReasonCode": "GOOD", "Comment": "\n"},
        LIMITS,
        replace(PLAIN, reason=replace(REASON, reason_code="GOOD")),
        (
            f"ignored property MaxJobs: {ALLOWED_MAX_JOBS}",
            f"ignored property Comment: {ALLOWED_COMMENT}",
        ),
        id="some readable",
    ),
]


@pytest.mark.parametrize(("properties", "limits", "expected", "warnings"), LENIENT)
def test_lenient_reading_ignores_an_unreadable_property_with_a_warning(
    properties: dict[str, object], limits: StackLimits, expected: CancelRequest, warnings: tuple[str, ...]
) -> None:
    assert read_leniently({"jobId": "a"}, properties, limits, REASON) == (expected, warnings)


# Select

BOTH = ("SNAPSHOT", "CONTINUOUS")
SELECTED = replace(PLAIN, job_ids=(), criteria=Criteria(job_id_glob="ota-*", target_selections=BOTH))
EVERY_CRITERION = {
    "JobIdGlob": "ota-*",
    "ExcludeJobIdGlobs": ["ota-keep-*"],
    "Status": ["SCHEDULED"],
    "OlderThanHours": "72",
    "AgeFrom": "lastUpdatedAt",
    "TargetSelection": ["SNAPSHOT", "CONTINUOUS"],
    "ThingGroupName": "fleet-a",
    "Tags": {"env": "dev", "true": "true", "14": "14"},
}


def test_every_criterion_of_select_is_read() -> None:
    request = read_strictly({"Select": EVERY_CRITERION}, LIMITS, REASON)
    assert request == replace(
        SELECTED,
        criteria=Criteria(
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
def test_hours_are_a_number_or_its_string(hours: object, read: float) -> None:
    request = read_strictly({"Select": {"JobIdGlob": "ota-*", "OlderThanHours": hours}}, LIMITS, REASON)
    assert request.criteria == Criteria(job_id_glob="ota-*", older_than_hours=read, target_selections=BOTH)


@pytest.mark.parametrize(
    ("target_selection", "read"),
    [({}, BOTH), ({"TargetSelection": ["SNAPSHOT"]}, ("SNAPSHOT",)), ({"TargetSelection": ["CONTINUOUS"]}, BOTH[1:])],
)
def test_select_covers_continuous_jobs_unless_it_says_otherwise(
    target_selection: dict[str, object], read: tuple[str, ...]
) -> None:
    """What the jobs belong to is deleted."""
    for select in ({"JobIdGlob": "ota-*"}, {"Tags": {"env": "dev"}}):
        request = read_strictly({"Select": select | target_selection}, LIMITS, REASON)
        assert request.criteria is not None
        assert request.criteria.target_selections == read


def test_tags_are_a_map_or_a_list_of_key_and_value() -> None:
    tags = [{"Key": "env", "Value": "dev"}, {"Value": "", "Key": "team"}]
    for written in (tags, {"env": "dev", "team": ""}):
        request = read_strictly({"Select": {"Tags": written}}, LIMITS, REASON)
        assert request.criteria == Criteria(tags={"env": "dev", "team": ""}, target_selections=BOTH)
    assert read_selection({"Select": {"Tags": 5, "TargetSelection": ["SNAPSHOT"]}}) == {
        "targetSelection": ["SNAPSHOT"],
        "tags": 5,
    }
    assert read_selection({"Select": {"Tags": tags, "TargetSelection": ["SNAPSHOT"]}}) == {
        "targetSelection": ["SNAPSHOT"],
        "tags": {"env": "dev", "team": ""},
    }


ALLOWED_HOURS = "must be a number above 0, and at most 99999"
ALLOWED_SCOPE = "age alone is too broad; must have at least one of JobIdGlob, ThingGroupName, Tags"
SELECT_KEYS = "JobIdGlob, ExcludeJobIdGlobs, Status, OlderThanHours, AgeFrom, TargetSelection, ThingGroupName, Tags"
BAD_SELECTIONS: list[Any] = [
    *(
        pytest.param(
            {"JobIdGlob": "a", "OlderThanHours": value}, "Select.OlderThanHours", ALLOWED_HOURS, id=f"{value!r:.20}"
        )
        for value in (
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
    pytest.param({}, "Select", ALLOWED_SCOPE, id="empty"),
    pytest.param({"OlderThanHours": "72"}, "Select", ALLOWED_SCOPE, id="age alone"),
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
    pytest.param({"JobIDGlob": "a"}, "Select", "unknown key 'Select.JobIDGlob'; did you mean JobIdGlob", id="case"),
    pytest.param(
        {"jobIdGlob": "ota-*"}, "Select", "unknown key 'Select.jobIdGlob'; did you mean JobIdGlob", id="a request key"
    ),
    pytest.param(
        '{"JobIdGlob": "ota-*"}', "Select", f"must be an object with the keys {SELECT_KEYS}", id="an object in quotes"
    ),
    pytest.param(
        {"JobIdGlob": "a", "TargetSelection": ["SNAPSHOT,CONTINUOUS"]},
        "Select.TargetSelection[0]",
        "must be a string of SNAPSHOT or CONTINUOUS",
        id="a list in one text",
    ),
    pytest.param(
        {"JobIdGlob": "a", "ExcludeJobIdGlobs": [""]},
        "Select.ExcludeJobIdGlobs[0]",
        "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ - and the wildcards * ?",
        id="an empty glob in a list",
    ),
    pytest.param({"JobIdGlob": "a", "ThingGroupName": None}, "Select.ThingGroupName", "must not be null", id="null"),
    *(
        pytest.param({"JobIdGlob": "a"} | {name: ""}, f"Select.{name}", NOT_EMPTY, id=f"{name} empty")
        for name in SELECT_KEYS.split(", ")
    ),
    *(
        pytest.param(
            {"Tags": tags, "JobIdGlob": "a"},
            "Select.Tags",
            'must be an object of 1 to 50 tags, each key once, such as {"env": "dev"}',
            id=f"tags {number}",
        )
        for number, tags in enumerate(
            (
                {},
                [],
                "env=dev",
                [{"Key": "env", "Value": "dev"}, {"Key": "env", "Value": "prod"}],
                [{"Key": "env", "Value": "dev"}, {"Key": "env", "Value": "dev"}],
                [{"Key": "env", "Value": "dev", "PropagateAtLaunch": "true"}],
                [{"Key": "env"}],
                [{"Key": 5, "Value": "dev"}],
                [{"env": "dev"}],
                ["env"],
            )
        )
    ),
    pytest.param(
        {"Tags": [{"Key": "env", "Value": ["dev"]}]},
        "Select.Tags",
        "values must be strings of at most 256 characters",
        id="a tag value that is not text",
    ),
    pytest.param(
        {"JobIdGlob": "a", "Status": "SCHEDULED"}, "Select.Status", "must be a list of at least one string", id="text"
    ),
    pytest.param(
        {"JobIdGlob": "a", "AgeFrom": "Created"}, "Select.AgeFrom", "must be createdAt or lastUpdatedAt", id="age from"
    ),
]


@pytest.mark.parametrize(("selection", "field", "allowed"), BAD_SELECTIONS)
def test_a_bad_select_is_rejected_in_template_spelling(selection: object, field: str, allowed: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_strictly({"Select": selection}, LIMITS, REASON)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


def test_a_bad_list_item_is_rejected_by_index() -> None:
    with pytest.raises(RequestRejected) as caught:
        read_strictly({"Select": {"JobIdGlob": "a", "Status": ["SCHEDULED", "DONE"]}}, LIMITS, REASON)
    assert caught.value.field == "Select.Status[1]"


def test_lenient_reading_of_a_selection_ignores_other_properties() -> None:
    scope = {"select": read_selection({"Select": {"JobIdGlob": "ota-*"}})}
    properties = {"Select": {"JobIdGlob": "ota-*"}, "Force": "maybe", "MaxJobs": "20", "Old": "x"}
    assert read_leniently(scope, properties, LIMITS, REASON) == (
        replace(SELECTED, max_jobs=20),
        ("treating Force as false: must be true or false",),
    )


@pytest.mark.parametrize("properties", [{}, {"Select": {}}, {"Select": "ota-*"}, {"Select": {"JobIdGlob": "a.b"}}])
def test_an_unreadable_selection_is_rejected(properties: dict[str, object]) -> None:
    with pytest.raises(RequestRejected):
        read_leniently({"select": read_selection(properties)}, properties, LIMITS, REASON)


# Update: the form of changed properties is checked, and what the stack forbids is a warning

OUTSIDE = "; the update is accepted, but a deletion cannot cancel such a job"
OUTSIDE_JOB = f"JobId: must start with 'ota-', the stack's JobIdPrefix{OUTSIDE}"
OUTSIDE_GLOB = f"Select.JobIdGlob: must be able to match ids that start with 'ota-', the stack's JobIdPrefix{OUTSIDE}"
NO_FORCE = "treating Force as false: must be false or omitted, since the stack's parameter Force is false"

UPDATES: list[Any] = [
    pytest.param(
        {"JobId": "a"}, {"JobId": "a"}, WITH_PREFIX, PLAIN, (OUTSIDE_JOB,), id="nothing changed, outside a new prefix"
    ),
    pytest.param(
        {"Select": {"JobIdGlob": "fw-*"}, "Comment": "new"},
        {"Select": {"JobIdGlob": "fw-*"}},
        WITH_PREFIX,
        replace(SELECTED, criteria=Criteria(job_id_glob="fw-*", target_selections=BOTH), reason=NEW_COMMENT),
        (OUTSIDE_GLOB,),
        id="an unchanged glob outside a new prefix",
    ),
    # Rollbacks, after the parameters of the stack became stricter: CloudFormation swaps the properties.
    pytest.param({"JobId": "a", "Force": "true"}, {"JobId": "a"}, LIMITS, PLAIN, (NO_FORCE,), id="back to force"),
    pytest.param({"JobId": "a"}, {"JobId": "ota-1"}, WITH_PREFIX, PLAIN, (OUTSIDE_JOB,), id="back to another prefix"),
    pytest.param(
        {"Select": {"JobIdGlob": "fw-*"}},
        {"Select": {"JobIdGlob": "ota-*"}},
        WITH_PREFIX,
        replace(SELECTED, criteria=Criteria(job_id_glob="fw-*", target_selections=BOTH)),
        (OUTSIDE_GLOB,),
        id="back to a glob of another prefix",
    ),
    pytest.param(
        {"JobId": "a", "MaxJobs": "25000"},
        {"JobId": "a", "MaxJobs": "100"},
        LIMITS,
        PLAIN,
        (f"ignored property MaxJobs: {ALLOWED_MAX_JOBS}",),
        id="back to a higher limit",
    ),
    pytest.param(
        {"JobId": "a", "Force": "true"},
        {"JobId": "a", "Force": "flase"},
        LIMITS,
        PLAIN,
        (NO_FORCE,),
        id="back from a typing error",
    ),
    pytest.param(
        {"JobId": "a", "DryRun": "false"},
        {"JobId": "a"},
        WITH_DRY_RUN,
        replace(PLAIN, dry_run=True),
        ("treating DryRun as true: must be true or omitted, since the stack's parameter DryRun is true",),
        id="back to no dry run",
    ),
    pytest.param(
        {"JobId": "a", "Force": "true", "Comment": "new"},
        {"JobId": "a", "Force": "true", "Comment": "old"},
        LIMITS,
        replace(PLAIN, reason=NEW_COMMENT),
        ("treating Force as false: must be false or omitted, since the stack's parameter Force is false",),
        id="unchanged force that is no longer allowed",
    ),
    pytest.param(
        {"JobId": "a", "Force": "false"},
        {"JobId": "a", "Force": "true"},
        LIMITS,
        PLAIN,
        (),
        id="force turned off",
    ),
    pytest.param({"JobId": "b"}, {"JobId": "a"}, LIMITS, replace(PLAIN, job_ids=("b",)), (), id="another job"),
    pytest.param(
        {"ServiceToken": "t", "JobId": "b", "Comment": "c"},
        {"ServiceToken": "t", "JobId": "a", "Comment": "d"},
        LIMITS,
        replace(PLAIN, job_ids=("b",), reason=replace(REASON, comment="c")),
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
        replace(SELECTED, reason=NEW_COMMENT),
        (),
        id="another comment for the same selection",
    ),
    pytest.param(
        {"JobId": "a", "MaxJobs": "200"},
        {"JobId": "a", "MaxJobs": "200", "Comment": "gone"},
        LIMITS,
        PLAIN,
        (f"ignored property MaxJobs: {ALLOWED_MAX_JOBS}",),
        id="unchanged MaxJobs that is no longer allowed",
    ),
]


@pytest.mark.parametrize(("properties", "old", "limits", "expected", "warnings"), UPDATES)
def test_an_update_accepts_each_valid_form(
    properties: dict[str, object],
    old: dict[str, object],
    limits: StackLimits,
    expected: CancelRequest,
    warnings: tuple[str, ...],
) -> None:
    assert read_changes(properties, old, limits, REASON) == (expected, warnings)


BAD_UPDATES: list[Any] = [
    pytest.param({"JobId": "a", "Force": "on"}, {"JobId": "a"}, LIMITS, "Force", id="force turned on"),
    pytest.param({"JobId": "a", "Force": "x"}, {"JobId": "a", "Force": "y"}, LIMITS, "Force", id="a bad flag"),
    pytest.param(
        {"JobId": "a", "Force": "on", "WaitForExecutionsMinutes": "5"},
        {"JobId": "a"},
        LIMITS,
        "Force",
        id="a bad flag, and a wait",
    ),
    pytest.param({"JobId": "b c"}, {"JobId": "a"}, WITH_PREFIX, "JobId", id="no job id"),
    pytest.param(
        {"Select": {"JobIdGlob": "b c"}}, {"JobId": "a"}, WITH_PREFIX, "Select.JobIdGlob", id="a bad glob, in a prefix"
    ),
    pytest.param({"JobId": "a", "X": "1"}, {"JobId": "a"}, LIMITS, "'X'", id="an unknown property"),
    pytest.param({}, {"JobId": "a"}, LIMITS, "JobId, Select", id="JobId removed"),
    pytest.param(
        {"JobId": "a", "Select": {"JobIdGlob": "b"}},
        {"JobId": "a"},
        LIMITS,
        "JobId, Select",
        id="a job and a selection",
    ),
    pytest.param({"Select": {}}, {"Select": {"JobIdGlob": "a"}}, LIMITS, "Select", id="an empty selection"),
]


@pytest.mark.parametrize(("properties", "old", "limits", "field"), BAD_UPDATES)
def test_an_update_rejects_a_bad_changed_property(
    properties: dict[str, object], old: dict[str, object], limits: StackLimits, field: str
) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_changes(properties, old, limits, REASON)
    assert caught.value.field == field


@pytest.mark.parametrize("value", ["0", "25001", "ten"])
def test_a_max_jobs_of_an_update_that_no_stack_accepts_is_rejected_with_the_limit_of_this_stack(value: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_changes({"JobId": "a", "MaxJobs": value, "Force": "true"}, {"JobId": "a"}, WITH_PREFIX, REASON)
    assert (caught.value.field, caught.value.allowed) == ("MaxJobs", ALLOWED_MAX_JOBS)


# The wait

BAD_WAITS: list[Any] = ["51", "-1", "1.5", "five", "true", True, 51, 1.5, [], {}]
ALLOWED_WAIT = "must be a whole number from 0 to 50"
ALLOWED_BEFORE_TIMEOUT = "must be at most {most} minutes: the wait must end 120 s before ServiceTimeout ({timeout} s)"


def with_wait(wait: object = None, timeout: object = None, **others: object) -> dict[str, object]:
    """Properties with a wait and a ServiceTimeout; a value of None is omitted."""
    pair = {"WaitForExecutionsMinutes": wait, "ServiceTimeout": timeout}
    return {"JobId": "a", **{name: value for name, value in pair.items() if value is not None}, **others}


@pytest.mark.parametrize("timeout", ["1", "29", 29])
def test_a_service_timeout_below_30_s_is_rejected(timeout: object) -> None:
    for read in (read_strictly, lambda properties, *rest: read_changes(properties, {"JobId": "a"}, *rest)):
        with pytest.raises(RequestRejected) as caught:
            read({"JobId": "a", "ServiceTimeout": timeout}, LIMITS, REASON)
        assert (caught.value.field, caught.value.allowed) == ("ServiceTimeout", "must be at least 30 (seconds)")


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [("1", 1), ("3600", 3600), (900, 900), ("0", 3600), ("3601", 3600), ("", 3600), (True, 3600)],
)
def test_an_invalid_service_timeout_counts_as_an_hour(timeout: object, seconds: int) -> None:
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
        ("50", "soon", 50),  # CloudFormation rejects such a ServiceTimeout itself
        ("50", True, 50),
    ],
)
def test_a_wait_that_ends_120_s_before_the_service_timeout_is_accepted(
    wait: object, timeout: object, minutes: int
) -> None:
    expected = replace(PLAIN, wait_minutes=minutes)
    assert read_strictly(with_wait(wait, timeout), LIMITS, REASON) == expected
    assert read_changes(with_wait(wait, timeout), with_wait(), LIMITS, REASON) == (expected, ())


@pytest.mark.parametrize(
    ("wait", "timeout", "allowed"),
    [
        *((wait, None, ALLOWED_WAIT) for wait in BAD_WAITS),
        ("50", "3119", "must be at most 49 minutes: the wait must end 120 s before ServiceTimeout (3119 s)"),
        ("14", "900", "must be at most 13 minutes: the wait must end 120 s before ServiceTimeout (900 s)"),
        ("1", "179", "must be at most 0 minutes: the wait must end 120 s before ServiceTimeout (179 s)"),
        ("1", "120", "must be at most 0 minutes: the wait must end 120 s before ServiceTimeout (120 s)"),
        ("1", "30", "must be at most 0 minutes: the wait must end 120 s before ServiceTimeout (30 s)"),
    ],
)
def test_any_other_wait_is_rejected_before_the_deletion(wait: object, timeout: object, allowed: str) -> None:
    """A Delete ignores an unreadable wait, and cuts one that is too long at the ServiceTimeout."""
    for read in (
        lambda: read_strictly(with_wait(wait, timeout), LIMITS, REASON),
        lambda: read_changes(with_wait(wait, timeout), with_wait(), LIMITS, REASON),
    ):
        with pytest.raises(RequestRejected) as caught:
            read()
        assert (caught.value.field, caught.value.allowed) == ("WaitForExecutionsMinutes", allowed)


@pytest.mark.parametrize(
    ("wait", "timeout", "minutes", "warnings"),
    [
        ("13", "900", 13, ()),
        ("50", "60", 50, ()),
        ("51", None, 0, (f"ignored property WaitForExecutionsMinutes: {ALLOWED_WAIT}",)),
        ("-1", None, 0, (f"ignored property WaitForExecutionsMinutes: {ALLOWED_WAIT}",)),
        (["5"], None, 0, (f"ignored property WaitForExecutionsMinutes: {ALLOWED_WAIT}",)),
    ],
)
def test_lenient_reading_accepts_any_wait(
    wait: object, timeout: object, minutes: int, warnings: tuple[str, ...]
) -> None:
    read = read_leniently({"jobId": "a"}, with_wait(wait, timeout), LIMITS, REASON)
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
def test_an_update_accepts_an_unchanged_or_fixed_wait_and_timeout(
    new: dict[str, object], old: dict[str, object]
) -> None:
    expected = replace(PLAIN, reason=NEW_COMMENT, wait_minutes=50)
    assert read_changes(new, old, LIMITS, REASON) == (expected, ())


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
def test_a_changed_wait_or_timeout_is_checked_against_the_other(
    new: dict[str, object], old: dict[str, object], timeout: int, most: int
) -> None:
    with pytest.raises(RequestRejected) as caught:
        read_changes(new, old, LIMITS, REASON)
    allowed = ALLOWED_BEFORE_TIMEOUT.format(timeout=timeout, most=most)
    assert (caught.value.field, caught.value.allowed) == ("WaitForExecutionsMinutes", allowed)


def test_an_update_may_remove_or_shorten_the_wait() -> None:
    assert read_changes(with_wait(None, "60"), with_wait("50", "60"), LIMITS, REASON) == (PLAIN, ())
    shorter = read_changes(with_wait("13", "900"), with_wait("50", "900"), LIMITS, REASON)
    assert shorter == (replace(PLAIN, wait_minutes=13), ())
