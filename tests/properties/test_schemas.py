"""The published JSON Schemas accept what the parser accepts, and every published report."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from handler.aws.eventbridge import event_details
from handler.cancellation.report import ExcludedJob, JobResult, Outcome, Report, RunStatus, Trigger
from handler.cancellation.request import CancelReason, StackLimits, parse_request
from handler.errors import RequestRejected
from handler.inbound.envelope import CancelEvent, Stack
from handler.inbound.event import parse_event

ROOT = Path(__file__).parents[2]
# All that a stack can allow.
OPEN = StackLimits(force=True, dry_run=False, max_jobs=25_000, job_id_prefix="", protection_tag_key="cancel-protection")


def validator(name: str) -> Draft202012Validator:
    schema = json.loads((ROOT / "docs" / f"{name}.schema.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


REQUEST, REPORT = validator("request"), validator("report")


def is_parsed(document: object) -> bool:
    try:
        parse_request(document, OPEN, CancelReason.default("STALE", "old"))
    except RequestRejected:
        return False
    return True


# Key → valid values, and invalid ones.
FIELDS: dict[str, tuple[list[Any], list[Any]]] = {
    "force": ([True, False], ["false", 0, None]),
    "dryRun": ([True, False], ["true", 1, None]),
    "maxJobs": ([1, 25_000], [0, 25_001, "5", 1.5, True, None]),
    "reasonCode": (["A", "STALE_JOB_2", "A" * 128], ["", "stale", "A" * 129, "A-B", 5, None]),
    "comment": (["x", "ä" * 2028, "two words"], ["", "x" * 2029, "a\nb", "\x7f", "\x85", 5, None]),
    "waitForExecutionsMinutes": ([0, 50], [-1, 51, "5", 2.5, True, None]),
    "planId": (["0123456789abcdef" * 2], ["", "0" * 31, "0" * 33, "G" * 32, "A" * 32, 5, None]),
    "unknown": ([], [1, None]),
}
WHICH: dict[str, tuple[list[Any], list[Any]]] = {
    "jobId": (["a", "A_b-9", "a" * 64], ["", "a" * 65, "a b", "ä", 5, None]),
    "jobIds": ([["a"], ["a", "b", "a"]], [[], "a", ["a", "a b"], [5], None]),
    "select": ([{"jobIdGlob": "*"}], [{}, {"olderThanHours": 5}, [], "ota-*", None]),
}
SELECT: dict[str, tuple[list[Any], list[Any]]] = {
    "jobIdGlob": (["ota-*", "?", "a" * 64], ["", "a" * 65, "ota[1]", 5, None]),
    "excludeJobIdGlobs": ([["ota-keep-*"]], [[], "ota-*", [""], None]),
    "status": ([["IN_PROGRESS"], ["SCHEDULED", "IN_PROGRESS"]], [[], ["CANCELED"], "SCHEDULED", None]),
    "olderThanHours": ([0.5, 99_999, 72], [0, -1, 100_000, "72", True, None]),
    "ageFrom": (["createdAt", "lastUpdatedAt"], ["completedAt", 5, None]),
    "targetSelection": ([["SNAPSHOT", "CONTINUOUS"]], [[], ["snapshot"], "SNAPSHOT", None]),
    "thingGroupName": (["fleet-a:1"], ["", "a b", "a" * 129, 5, None]),
    "tags": (
        [{"env": ""}, {"k" * 128: "v" * 256}, {str(each): "" for each in range(50)}],
        [{}, {"": "x"}, {"env": 5}, {"k" * 129: ""}, {"k": "v" * 257}, {str(each): "" for each in range(51)}, None],
    ),
}


def rows(fields: dict[str, tuple[list[Any], list[Any]]]) -> list[tuple[str, Any, bool]]:
    return [(key, value, value in valid) for key, (valid, invalid) in fields.items() for value in [*valid, *invalid]]


@pytest.mark.parametrize(("key", "value", "valid"), rows(FIELDS))
def test_schema_and_parser_agree_on_a_request_key(key: str, value: Any, valid: bool) -> None:
    document = {"jobId": "a", key: value}
    valid = valid and any(type(value) is type(each) for each in FIELDS[key][0])
    assert (REQUEST.is_valid({"cancel": document}), is_parsed(document)) == (valid, valid)


@pytest.mark.parametrize(("key", "value", "valid"), rows(WHICH))
def test_schema_and_parser_agree_on_the_job_keys(key: str, value: Any, valid: bool) -> None:
    document = {key: value}
    assert (REQUEST.is_valid({"cancel": document}), is_parsed(document)) == (valid, valid)


@pytest.mark.parametrize(("key", "value", "valid"), rows(SELECT))
def test_schema_and_parser_agree_on_a_selection_key(key: str, value: Any, valid: bool) -> None:
    document = {"select": {"jobIdGlob": "*"} | {key: value}}
    valid = valid and value is not True
    assert (REQUEST.is_valid({"cancel": document}), is_parsed(document)) == (valid, valid)


def some(fields: dict[str, tuple[list[Any], list[Any]]]) -> st.SearchStrategy[dict[str, Any]]:
    """Any of the keys, mostly with a valid value."""
    values = {
        key: st.one_of(*[st.sampled_from(valid)] * 4, st.sampled_from(invalid)) if valid else st.sampled_from(invalid)
        for key, (valid, invalid) in fields.items()
        if key != "unknown"
    }
    return st.fixed_dictionaries({}, optional=values)


@given(which=some(WHICH), select=some(SELECT), fields=some(FIELDS))
def test_schema_and_parser_agree_on_any_request(
    which: dict[str, Any], select: dict[str, Any], fields: dict[str, Any]
) -> None:
    document = which | fields | ({"select": select} if "select" in which else {})
    assert REQUEST.is_valid({"cancel": document}) is is_parsed(document)


@pytest.mark.parametrize(
    ("detail", "valid"),
    [
        ({"cancel": {"jobId": "a"}}, True),
        ({"cancel": {"jobId": "a"}, "canceler": "canceler"}, True),
        ({"cancel": {"jobId": "a"}, "canceler": ""}, False),
        ({"cancel": {"jobId": "a"}, "canceler": None}, False),
        ({"cancel": {"jobId": "a"}, "canceler": ["canceler"]}, False),
        ({"cancel": {"jobId": "a"}, "stack": "canceler"}, False),
        ({"canceler": "canceler"}, False),
    ],
)
def test_schema_and_parser_agree_on_the_detail_of_an_event(detail: dict[str, Any], valid: bool) -> None:
    event = {"detail-type": "IoT Job Cancellation Requested", "source": "fleet.console", "detail": detail}
    is_request = isinstance(parse_event(event, Stack("canceler")).content, CancelEvent)
    assert (REQUEST.is_valid(detail), is_request) == (valid, valid)


@pytest.mark.parametrize("document", [{}, {"cancel": []}, {"cancel": {"jobId": "a"}, "more": 1}, [], "a"])
def test_schema_rejects_a_document_without_a_request(document: object) -> None:
    assert not REQUEST.is_valid(document)


reports = st.builds(
    Report,
    status=st.sampled_from(RunStatus),
    trigger=st.sampled_from(Trigger),
    force=st.booleans(),
    dry_run=st.booleans(),
    reason=st.text(),
    jobs=st.lists(
        st.builds(
            JobResult,
            job_id=st.text(),
            outcome=st.sampled_from(Outcome),
            detail=st.text(),
            executions_left_in_progress=st.integers(0, 10_000),
            executions_ended=st.integers(0, 10_000),
            arn=st.text(),
            description=st.text(),
        )
    ).map(tuple),
    excluded=st.lists(st.builds(ExcludedJob, job_id=st.text(), why=st.text())).map(tuple),
    plan_id=st.sampled_from(["", "0" * 32]),
)


@given(report=reports)
def test_every_report_matches_the_schema(report: Report) -> None:
    REPORT.validate(report.as_dict())
    for detail in event_details(report, "event-1"):
        REPORT.validate(json.loads(detail))


JOB = {"jobId": "a", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 0}


def published_report(**changes: Any) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((ROOT / "events" / "canceler-report.json").read_text())["detail"]
    return report | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "DONE"},
        {"trigger": "ALARM"},
        {"force": "false"},
        {"dryRun": None},
        {"reason": None},
        {"counts": {"CANCELLED": 1}},  # codespell:ignore cancelled
        {"counts": {"CANCELED": 0}},
        {"executionsLeftInProgress": -1},
        {"jobs": [{"jobId": "a"}]},
        {"jobs": [JOB | {"jobArn": ""}]},
        {"jobs": [JOB | {"description": ""}]},
        {"jobs": [JOB | {"description": None}]},
        {"jobs": None},
        {"leftOut": []},
        {"planId": ""},
        {"part": 0},
        {"more": 1},
    ],
)
def test_the_schema_rejects_a_value_that_the_function_never_publishes(changes: dict[str, Any]) -> None:
    assert REPORT.is_valid(published_report())
    assert not REPORT.is_valid(published_report(**changes))


@pytest.mark.parametrize("key", sorted(published_report()))
def test_the_schema_requires_each_key_of_the_event(key: str) -> None:
    detail = published_report()
    del detail[key]
    assert not REPORT.is_valid(detail)
