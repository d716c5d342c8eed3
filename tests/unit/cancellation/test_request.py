"""Requests: their format, their limits, and that a request can only make a run safer."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.criteria import Criteria
from handler.cancellation.request import (
    NO_PLAN,
    CancelReason,
    CancelRequest,
    StackLimits,
    check_job_limit,
    parse_leniently,
    parse_request,
)
from handler.errors import RequestRejected
from tests.support.fakes import LIMITS

DEFAULT = CancelReason.default("DIRECT_REQUEST", "Requested by a direct request")
FORCE_ALLOWED = replace(LIMITS, force=True)
DRY_RUN = replace(LIMITS, dry_run=True)
SMALL = replace(LIMITS, max_jobs=2)
PREFIXED = replace(LIMITS, job_id_prefix="ota-")
LARGE = replace(LIMITS, max_jobs=1000)
FIVE_HUNDRED = [f"job-{number}" for number in range(500)]

JOB_ID_ALLOWS = "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -"
REASON_ALLOWS = "must be a string of 1 to 128 of the characters A-Z 0-9 _"
COMMENT_ALLOWS = "must be a string of 1 to 2028 characters, none of them a control or format character"
PLAN_ID = "0123456789abcdef" * 2
PLAN_ID_ALLOWS = "must be a string of 32 of the characters 0-9 a-f, from a dry run's report"
KEYS = "jobId, jobIds, select, force, dryRun, maxJobs, reasonCode, comment, waitForExecutionsMinutes, planId"

NULL = "must not be null"
ONE_SCOPE = "must have exactly one of jobId, jobIds, select"

PLAIN = CancelRequest(
    job_ids=("a",),
    criteria=None,
    force=False,
    dry_run=False,
    max_jobs=100,
    reason=CancelReason("Requested by a direct request", "DIRECT_REQUEST", "Requested by a direct request"),
)


def with_reason(**changes: str) -> CancelRequest:
    return replace(PLAIN, reason=replace(PLAIN.reason, **changes))


ACCEPTED: list[Any] = [
    pytest.param({"jobId": "a"}, LIMITS, PLAIN, id="one job"),
    pytest.param({"jobIds": ["a"]}, LIMITS, PLAIN, id="a list of one job"),
    pytest.param(
        {"select": {"jobIdGlob": "a*"}},
        LIMITS,
        replace(PLAIN, job_ids=(), criteria=Criteria(job_id_glob="a*")),
        id="criteria",
    ),
    pytest.param(
        {"select": {"jobIdGlob": "*a"}},
        PREFIXED,
        replace(PLAIN, job_ids=(), criteria=Criteria(job_id_glob="*a")),
        id="criteria that match more than the prefix allows",
    ),
    pytest.param({"jobIds": ["b", "a"]}, LIMITS, replace(PLAIN, job_ids=("b", "a")), id="jobs keep their order"),
    pytest.param({"jobIds": ["b", "a", "b"]}, LIMITS, replace(PLAIN, job_ids=("b", "a")), id="a duplicate job"),
    pytest.param({"jobIds": ["a", "b"]}, SMALL, replace(PLAIN, job_ids=("a", "b"), max_jobs=2), id="at the job limit"),
    pytest.param(
        {"jobIds": ["a", "b", "a", "b"]},
        SMALL,
        replace(PLAIN, job_ids=("a", "b"), max_jobs=2),
        id="a duplicate job counts once",
    ),
    pytest.param({"jobId": "x" * 64}, LIMITS, replace(PLAIN, job_ids=("x" * 64,)), id="the longest id"),
    pytest.param({"jobId": "A-z_09"}, LIMITS, replace(PLAIN, job_ids=("A-z_09",)), id="every kind of character"),
    pytest.param({"jobId": "ota-1"}, PREFIXED, replace(PLAIN, job_ids=("ota-1",)), id="inside the prefix"),
    pytest.param({"jobId": "ota-"}, PREFIXED, replace(PLAIN, job_ids=("ota-",)), id="the prefix itself"),
    pytest.param({"jobId": "a"}, FORCE_ALLOWED, replace(PLAIN, force=True), id="the stack's force"),
    pytest.param({"jobId": "a", "force": False}, FORCE_ALLOWED, PLAIN, id="force turned off"),
    pytest.param(
        {"jobId": "a", "force": True}, FORCE_ALLOWED, replace(PLAIN, force=True), id="force requested and allowed"
    ),
    pytest.param({"jobId": "a", "force": False}, LIMITS, PLAIN, id="force off where it is off"),
    pytest.param({"jobId": "a"}, DRY_RUN, replace(PLAIN, dry_run=True), id="the stack's dry run"),
    pytest.param({"jobId": "a", "dryRun": True}, LIMITS, replace(PLAIN, dry_run=True), id="dry run turned on"),
    pytest.param({"jobId": "a", "dryRun": True}, DRY_RUN, replace(PLAIN, dry_run=True), id="dry run on where it is on"),
    pytest.param({"jobId": "a", "dryRun": False}, LIMITS, PLAIN, id="dry run off where it is off"),
    pytest.param({"jobId": "a", "maxJobs": 1}, LIMITS, replace(PLAIN, max_jobs=1), id="the smallest job limit"),
    pytest.param({"jobId": "a", "maxJobs": 100}, LIMITS, PLAIN, id="the job limit of the stack"),
    pytest.param(
        {"jobId": "a", "reasonCode": "X"}, LIMITS, with_reason(reason_code="X"), id="the shortest reason code"
    ),
    pytest.param(
        {"jobId": "a", "reasonCode": "A_9" + "Z" * 125},
        LIMITS,
        with_reason(reason_code="A_9" + "Z" * 125),
        id="the longest reason code",
    ),
    pytest.param({"jobId": "a", "comment": "c"}, LIMITS, with_reason(comment="c"), id="the shortest comment"),
    pytest.param(
        {"jobId": "a", "comment": "ü" * 2028}, LIMITS, with_reason(comment="ü" * 2028), id="the longest comment"
    ),
    pytest.param({"jobId": "a", "waitForExecutionsMinutes": 0}, LIMITS, PLAIN, id="no wait"),
    pytest.param(
        {"jobId": "a", "waitForExecutionsMinutes": 1}, LIMITS, replace(PLAIN, wait_minutes=1), id="the shortest wait"
    ),
    pytest.param(
        {"jobId": "a", "waitForExecutionsMinutes": 50}, LIMITS, replace(PLAIN, wait_minutes=50), id="the longest wait"
    ),
    pytest.param(
        {"jobId": "a", "waitForExecutionsMinutes": 5, "force": True},
        FORCE_ALLOWED,
        replace(PLAIN, force=True, wait_minutes=5),
        id="a wait with force",
    ),
    pytest.param(
        {"jobId": "a", "waitForExecutionsMinutes": 5},
        LARGE,
        replace(PLAIN, max_jobs=500, wait_minutes=5),
        id="at most 500 jobs for a run that waits",
    ),
    pytest.param(
        {"jobIds": FIVE_HUNDRED, "waitForExecutionsMinutes": 5},
        LARGE,
        replace(PLAIN, job_ids=tuple(FIVE_HUNDRED), max_jobs=500, wait_minutes=5),
        id="at the job limit of a run that waits",
    ),
    pytest.param(
        {"jobId": "a", "waitForExecutionsMinutes": 5, "maxJobs": 501},
        LARGE,
        replace(PLAIN, max_jobs=500, wait_minutes=5),
        id="maxJobs above the limit of a run that waits",
    ),
    pytest.param(
        {"jobId": "a", "waitForExecutionsMinutes": 5, "maxJobs": 7},
        LARGE,
        replace(PLAIN, max_jobs=7, wait_minutes=5),
        id="maxJobs below the limit of a run that waits",
    ),
    pytest.param(
        {"jobIds": FIVE_HUNDRED, "planId": PLAN_ID},
        LARGE,
        replace(PLAIN, job_ids=tuple(FIVE_HUNDRED), max_jobs=500, plan_id=PLAN_ID),
        id="at the job limit of a plan",
    ),
    pytest.param(
        {"jobId": "a", "waitForExecutionsMinutes": 0, "maxJobs": 501},
        LARGE,
        replace(PLAIN, max_jobs=501),
        id="no limit of 500 for a run that does not wait",
    ),
]


@pytest.mark.parametrize(("document", "limits", "expected"), ACCEPTED)
def test_allowed_request_is_parsed(document: dict[str, object], limits: StackLimits, expected: CancelRequest) -> None:
    assert parse_request(document, limits, DEFAULT) == expected


NOT_OBJECTS: list[Any] = [None, "a", 1, True, ["a"], []]
NOT_JOB_IDS: list[Any] = [
    "x" * 65,
    "a b",
    "a.b",
    "a/b",
    "a*",
    "*",
    "é",
    "a\n",
    "arn:aws:iot",
    1,
    True,
    ["a"],
    {},
]
NOT_LISTS: list[Any] = [[], "a", {"a": "b"}, 1, ("a",)]
NOT_WAITS: list[Any] = [-1, 51, "five", 1.5, 5.0, True, False, [5], {}]
NOT_FLAGS: list[Any] = ["yes", "1", 0, 1, [], {}]

REJECTED: list[Any] = [
    *(
        pytest.param(value, LIMITS, "cancel", f"must be an object with the keys {KEYS}", id=f"not an object: {value!r}")
        for value in NOT_OBJECTS
    ),
    pytest.param({}, LIMITS, "cancel", ONE_SCOPE, id="empty"),
    pytest.param({"force": False}, LIMITS, "cancel", ONE_SCOPE, id="no scope"),
    pytest.param({"jobId": "a", "jobIds": ["a"]}, LIMITS, "cancel", ONE_SCOPE, id="both"),
    pytest.param({"jobId": "a", "select": {"jobIdGlob": "a"}}, LIMITS, "cancel", ONE_SCOPE, id="a job and criteria"),
    pytest.param(
        {"jobIds": ["a"], "select": {"jobIdGlob": "a"}}, LIMITS, "cancel", ONE_SCOPE, id="a list and criteria"
    ),
    pytest.param({"jobId": None, "select": {"jobIdGlob": "a"}}, LIMITS, "jobId", NULL, id="null beside criteria"),
    *(
        pytest.param({"jobId": "a"} | {key: None}, LIMITS, key, NULL, id=f"{key} null")
        for key in (
            *("jobId", "jobIds", "select", "force", "dryRun", "maxJobs", "reasonCode", "comment"),
            "waitForExecutionsMinutes",
        )
    ),
    pytest.param(
        {"select": "a*"},
        LIMITS,
        "select",
        "must be an object with the keys jobIdGlob, excludeJobIdGlobs, status, olderThanHours, ageFrom, "
        "targetSelection, thingGroupName, tags",
        id="criteria that are not an object",
    ),
    pytest.param(
        {"jobId": "a", "forse": False},
        LIMITS,
        "cancel",
        "unknown key 'forse'; did you mean force",
        id="a typing error",
    ),
    pytest.param(
        {"JobId": "a"}, LIMITS, "cancel", "unknown key 'JobId'; did you mean jobId", id="the spelling of a template"
    ),
    pytest.param(
        {"jobId": "a", "z": 1, "reason": {}},
        LIMITS,
        "cancel",
        f"unknown key 'reason'; the keys are {KEYS}",
        id="the first of two unknown keys",
    ),
    *(
        pytest.param(
            {"jobId": "a"} | {key: ""}, LIMITS, key, "must not be empty: set a value, or omit it", id=f"{key} empty"
        )
        for key in KEYS.split(", ")
    ),
    *(
        pytest.param({"jobId": "a", key: value}, LIMITS, key, f"{allowed}, without quotes", id=f"{key} in quotes")
        for key, value, allowed in (
            ("force", "false", "must be true or false"),
            ("dryRun", "True", "must be true or false"),
            ("maxJobs", "5", "must be a whole number from 1 to 100, the stack's MaxJobsPerRun"),
            ("waitForExecutionsMinutes", "5", "must be a whole number from 0 to 50"),
        )
    ),
    *(
        pytest.param({"jobId": value}, LIMITS, "jobId", JOB_ID_ALLOWS, id=f"jobId {str(value)[:20]!r}")
        for value in NOT_JOB_IDS
    ),
    *(
        pytest.param(
            {"jobIds": value}, LIMITS, "jobIds", "must be a list of at least one job id", id=f"jobIds {value!r}"
        )
        for value in NOT_LISTS
    ),
    pytest.param({"jobIds": ["a", "b c"]}, LIMITS, "jobIds[1]", JOB_ID_ALLOWS, id="one bad id of two"),
    pytest.param({"jobIds": [["a"]]}, LIMITS, "jobIds[0]", JOB_ID_ALLOWS, id="a nested list"),
    pytest.param(
        {"jobIds": ["a", "b", "c"]},
        SMALL,
        "jobIds",
        "names 3 jobs, but the limit is 2, so this run canceled none of them"
        "; select fewer jobs, or raise MaxJobsPerRun or maxJobs",
        id="over the job limit of the stack",
    ),
    pytest.param(
        {"jobIds": ["a", "b"], "maxJobs": 1},
        LIMITS,
        "jobIds",
        "names 2 jobs, but the limit is 1, so this run canceled none of them"
        "; select fewer jobs, or raise MaxJobsPerRun or maxJobs",
        id="over the job limit of the request",
    ),
    pytest.param(
        {"jobId": "firmware"},
        PREFIXED,
        "jobId",
        "must start with 'ota-', the stack's JobIdPrefix",
        id="outside the prefix",
    ),
    pytest.param(
        {"jobId": "my-ota-1"},
        PREFIXED,
        "jobId",
        "must start with 'ota-', the stack's JobIdPrefix",
        id="the prefix in the middle",
    ),
    pytest.param(
        {"jobIds": ["ota-1", "OTA-2"]},
        PREFIXED,
        "jobIds[1]",
        "must start with 'ota-', the stack's JobIdPrefix",
        id="one id outside the prefix",
    ),
    pytest.param(
        {"jobId": "a", "force": True},
        LIMITS,
        "force",
        "must be false or omitted, since the stack's parameter Force is false",
        id="force turned on",
    ),
    pytest.param(
        {"jobId": "a", "dryRun": False},
        DRY_RUN,
        "dryRun",
        "must be true or omitted, since the stack's parameter DryRun is true",
        id="dry run turned off",
    ),
    *(
        pytest.param({"jobId": "a", key: value}, FORCE_ALLOWED, key, "must be true or false", id=f"{key} {value!r}")
        for key in ("force", "dryRun")
        for value in NOT_FLAGS
    ),
    *(
        pytest.param(
            {"jobId": "a", "maxJobs": value},
            LIMITS,
            "maxJobs",
            "must be a whole number from 1 to 100, the stack's MaxJobsPerRun",
            id=f"maxJobs {value!r}",
        )
        for value in (0, -1, 101, True, False, 1.0, "one", [1])
    ),
    pytest.param(
        {"jobIds": [*FIVE_HUNDRED, "one-more"], "waitForExecutionsMinutes": 1},
        LARGE,
        "jobIds",
        "names 501 jobs, but the limit is 500, so this run canceled none of them"
        "; select fewer jobs: 500 is the maximum with waitForExecutionsMinutes",
        id="over the job limit of a run that waits",
    ),
    *(
        pytest.param(
            {"jobId": "a", "waitForExecutionsMinutes": value},
            LIMITS,
            "waitForExecutionsMinutes",
            "must be a whole number from 0 to 50",
            id=f"waitForExecutionsMinutes {value!r}",
        )
        for value in NOT_WAITS
    ),
    *(
        pytest.param({"jobId": "a", "reasonCode": value}, LIMITS, "reasonCode", REASON_ALLOWS, id=f"reason {number}")
        for number, value in enumerate(("stale", "A B", "A-B", "É", "Ⅷ", "A" * 129, "A\n", 1, ["A"]))
    ),
    *(
        pytest.param({"jobId": "a", "planId": value}, LIMITS, "planId", PLAN_ID_ALLOWS, id=f"plan {number}")
        for number, value in enumerate(("0" * 31, "0" * 33, "A" * 32, f"{PLAN_ID}\n", 5))
    ),
    *(
        pytest.param({"jobId": "a", "comment": value}, LIMITS, "comment", COMMENT_ALLOWS, id=f"comment {number}")
        for number, value in enumerate(
            ("c" * 2029, "a\nb", "a\tb", "\x00", "\x7f", "\u200b", "\ud800", "\ue000", "\u0378", 1, ["c"])
        )
    ),
]


@pytest.mark.parametrize(("document", "limits", "field", "allowed"), REJECTED)
def test_any_other_request_is_rejected(document: object, limits: StackLimits, field: str, allowed: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_request(document, limits, DEFAULT)
    assert (caught.value.field, caught.value.allowed) == (field, allowed)


@pytest.mark.parametrize(
    ("text", "comment"),
    [
        ("Requested by alarm night\nshift\x00", "Requested by alarm nightshift"),
        ("zero\u200bwidth", "zerowidth"),
        ("é" * 3000, "é" * 2028),
        ("\x00" * 10 + "c" * 2028, "c" * 2028),
    ],
)
def test_default_comment_has_only_characters_that_cancel_job_accepts(text: str, comment: str) -> None:
    assert parse_request({"jobId": "a"}, LIMITS, CancelReason.default("R", text)).reason.comment == comment


@pytest.mark.parametrize(("text", "asked_by"), [("alarm night\nshift", "alarm nightshift"), ("é" * 513, "é" * 512)])
def test_asked_by_is_short_and_does_not_depend_on_the_comment(text: str, asked_by: str) -> None:
    request = parse_request({"jobId": "a", "comment": "mine"}, LIMITS, CancelReason.default("R", text))
    assert request.reason == CancelReason(asked_by, "R", "mine")


def test_request_does_not_wait_by_default() -> None:
    reason = CancelReason("someone", "R", "c")
    request = CancelRequest(("a",), None, force=False, dry_run=False, max_jobs=100, reason=reason)
    assert request == CancelRequest(("a",), None, False, False, 100, reason, 0)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_job_limit_allows_up_to_max_jobs(number: int) -> None:
    check_job_limit("select", number, 2)


def test_job_limit_rejects_one_job_more() -> None:
    with pytest.raises(RequestRejected) as caught:
        check_job_limit("select", 3, 2)
    assert str(caught.value) == (
        "select: matches 3 jobs, but the limit is 2, so this run canceled none of them"
        "; select fewer jobs, or raise MaxJobsPerRun or maxJobs"
    )


TAGGED = replace(LIMITS, protection_tag_key="Keep-It")


@pytest.mark.parametrize(
    ("tags", "is_protected"),
    [
        ({"Keep-It": "true"}, True),
        ({"keep-it": "TRUE"}, True),
        ({"KEEP-IT": "True", "env": "dev"}, True),
        ({"Keep-It": "false"}, False),
        ({"Keep-It": "true "}, False),
        ({"Keep-It": ""}, False),
        ({"keep": "true"}, False),
        ({"env": "true", "Keep-It": "no"}, False),
        ({}, False),
    ],
)
def test_protection_tag_is_compared_without_case(tags: dict[str, str], is_protected: bool) -> None:
    assert TAGGED.why_protected(tags) == ("the job is tagged Keep-It=true" if is_protected else "")


@pytest.mark.parametrize(
    ("tags", "is_protected"),
    [
        ({"team": "fleet"}, False),
        ({"Team": "fleet", "env": "dev"}, False),
        ({"Team": "Fleet"}, True),
        ({"Team": "fleet "}, True),
        ({"fleet": "team"}, True),
        ({}, True),
    ],
)
def test_value_of_the_required_tag_is_compared_with_case(tags: dict[str, str], is_protected: bool) -> None:
    why = replace(LIMITS, required_tag=("Team", "fleet")).why_protected(tags)
    assert why == ("the job is not tagged Team=fleet, the stack's RequiredTag" if is_protected else "")


FORCES_TEARDOWNS = replace(LIMITS, forces_teardowns=True)


def test_force_on_teardowns_is_the_default_of_a_teardown_only() -> None:
    assert not parse_request({"jobId": "a"}, FORCES_TEARDOWNS, DEFAULT).force
    assert parse_request({"jobId": "a"}, FORCES_TEARDOWNS.of_teardowns, DEFAULT).force
    assert not parse_request({"jobId": "a", "force": False}, FORCES_TEARDOWNS.of_teardowns, DEFAULT).force
    assert not parse_request({"jobId": "a"}, LIMITS.of_teardowns, DEFAULT).force


def test_only_a_dry_run_requests_the_force_of_a_teardown() -> None:
    """The command `plan` sends the deletion of a stack as a request."""
    with pytest.raises(RequestRejected) as caught:
        parse_request({"jobId": "a", "force": True}, FORCES_TEARDOWNS, DEFAULT)
    assert str(caught.value) == (
        "force: must be false or omitted, since the stack's parameter Force is TEARDOWN, and this is not a teardown"
    )
    for limits, request in [
        (FORCES_TEARDOWNS, {"jobId": "a", "force": True, "dryRun": True}),
        (replace(FORCES_TEARDOWNS, dry_run=True), {"jobId": "a", "force": True}),
    ]:
        parsed = parse_request(request, limits, DEFAULT)
        assert (parsed.force, parsed.dry_run) == (True, True)


def test_unreadable_flag_of_a_deletion_has_its_safe_value() -> None:
    limits = replace(LIMITS, force=True)
    request, ignored = parse_leniently({"jobId": "a", "force": "?", "dryRun": "?", "maxJobs": "?"}, limits, DEFAULT)
    assert (request.force, request.dry_run, request.max_jobs) == (False, True, 100)
    assert [rejection.field for rejection in ignored] == ["maxJobs", "force", "dryRun"]


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({}, ""),
        ({"planId": PLAN_ID}, "planId"),
        ({"waitForExecutionsMinutes": 1}, "waitForExecutionsMinutes"),
        ({"waitForExecutionsMinutes": 1, "planId": PLAN_ID}, "waitForExecutionsMinutes"),
    ],
)
def test_wait_or_else_the_plan_limits_the_jobs_to_500(fields: dict[str, object], key: str) -> None:
    assert parse_request({"jobId": "a"} | fields, LIMITS, DEFAULT).job_limit_key == key


def test_custom_resource_and_terraform_are_told_why_they_have_no_plan() -> None:
    assert NO_PLAN == "a plan is for a request; the jobs of a deletion are selected when the stack is deleted"


def test_stack_allows_no_force_on_teardowns_and_1000_forced_executions_by_default() -> None:
    limits = StackLimits(force=False, dry_run=False, max_jobs=1, job_id_prefix="", protection_tag_key="")
    assert limits == StackLimits(False, False, 1, "", "", False, 1000, None)


def test_limit_of_500_jobs_is_that_of_the_stack_unless_the_request_waits() -> None:
    with pytest.raises(RequestRejected, match="or raise MaxJobsPerRun or maxJobs"):
        check_job_limit("select", 501, 500)
