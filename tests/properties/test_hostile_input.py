"""Values that somebody chose to do harm, in every place of every event: what is logged, and what is cancelled."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.conftest import Log
from tests.properties.test_hostile_events import (
    DELETE,
    NAMED,
    Run,
    on_the_backlog,
    one_log,
    places,
    texts,
)
from tests.support.fakes import LIMITS
from tests.support.sqs import FakeSqs

__all__ = ["one_log"]  # a fixture of the other module

ROOT = Path(__file__).parents[2] / "events"
FILES = {path.name: json.loads(path.read_text()) for path in sorted(ROOT.rglob("*.json"))}
MAX_LOG = 4_000  # characters of all lines of one run over one job


def nested(levels: int) -> Any:
    value: Any = None
    for _ in range(levels):
        value = [value]
    return value


def nested_objects(levels: int) -> Any:
    value: Any = None
    for _ in range(levels):
        value = {"cancel": value}
    return value


# The file → the jobs that it means in the Run; of all others, one.
SWEPT = {NAMED, "ota-1", "ota-2"}
MEANT = {"scheduled-rule.json": SWEPT, "scheduled-scheduler.json": SWEPT}

FORGED_LINE = '"}\n{"level":"INFO","message":"report","report":{"status":"SETTLED","jobs":[]}}'
HOSTILE: dict[str, Any] = {
    "new line": "a\nb\r\nc",
    "forged line": FORGED_LINE,
    "forged field": '", "level": "INFO", "x": "',
    "escape sequence": "\x1b[2J\x1b]0;title\x07",
    "C1 controls": "\x9b2J\x85\x90",
    "line separators": "a\u2028b\u2029c",
    "right to left": "\u202egpj.exe\u2066\u200f",
    "half a pair": "\ud800",
    "half a pair, the other half": "\udfff\ud800",
    "NUL": "a\x00b",
    "no character": "\ufffe\U0010ffff",
    "6 MB": "x" * 6_000_000,
    "6 MB that JSON makes 36 of": "\x00" * 6_000_000,
    "10,000 levels": nested(10_000),
    "10,000 objects": nested_objects(10_000),
    "9,900 levels, which json.loads reads": nested(9_900),
    "an id of 65": "a" * 65,
    "a comment of 2,029": "c" * 2_029,
    "a huge number": 10**4_000,
    "a huge number below zero": -(10**4_000),
    "a huge float": 1e308,
    "a tiny float": 5e-324,
    "NaN": float("nan"),
    "infinity": float("-inf"),
    "digits": "9" * 5_000,
    "other digits": "٣" * 400,
    "many keys": dict.fromkeys(map(str, range(20_000)), 1),
    "a URL with a secret": "https://x.s3.amazonaws.com/p?X-Amz-Signature=secret",
    "a URL in JSON": '{"ResponseURL": "https:\\/\\/x\\/p?a=1&X-Amz-Signature=secret"}',
}

LARGE = {"6 MB", "6 MB that JSON makes 36 of"}  # tried down to the second level of an event


def with_value(event: Any, path: tuple[Any, ...], value: object) -> Any:
    """A copy of the event with `value` at `path`."""
    changed = copy.deepcopy(event)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = value
    return changed


def check_log(run: Run, log: Log) -> None:
    """One report, one line for each record, nothing in it that acts on a terminal, and no secret."""
    written = log.text.split("\n")
    assert written.pop() == ""
    assert len(run.reports) == 1
    assert len(written) == len(log.text.splitlines()), "a character that some readers take for the end of a line"
    for line in written:
        record = json.loads(line)
        assert line.isprintable()
        assert record["message"] == "report" or record["level"] in {"WARNING", "ERROR"}
    assert all(json.loads(line)["_aws"] for line in run.metrics.splitlines())
    assert "secret" not in log.text
    assert len(log.text) < MAX_LOG


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_value_in_any_place_is_one_report_and_cancels_no_other_job(one_log: Log, name: str) -> None:
    for path in places(FILES[name]):
        for kind, value in HOSTILE.items():
            if kind in LARGE and len(path) > 2:
                continue
            run = Run(one_log, LIMITS, with_value(FILES[name], path, value))
            try:
                check_log(run, one_log)
                assert set(run.jobs.cancelled) <= MEANT.get(name, {NAMED})
                assert all(job.executions == {"thing": "IN_PROGRESS"} for job in run.jobs.jobs.values())
            except AssertionError as failure:
                raise AssertionError(f"{kind} at {path}") from failure


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_event_that_is_nothing_but_a_hostile_value_is_rejected(one_log: Log, kind: str) -> None:
    value = HOSTILE[kind]
    for event in (value, [value], {"cancel": value}, {"detail-type": value}, {"Records": value}, {"Records": [value]}):
        run = Run(one_log, LIMITS, event)
        check_log(run, one_log)
        assert (run.report["status"], run.jobs.calls, run.pool.received) == ("REJECTED", [], [])


@pytest.mark.parametrize("kind", [kind for kind, value in HOSTILE.items() if isinstance(value, str)])
@pytest.mark.parametrize("arn", [FakeSqs.arn, FakeSqs.teardown_arn])
def test_a_message_with_a_hostile_body_is_rejected_and_done_with(one_log: Log, kind: str, arn: str) -> None:
    run = Run(one_log, LIMITS, on_the_backlog(HOSTILE[kind], arn=arn))
    check_log(run, one_log)
    assert (run.report, run.jobs.calls) == ({"batchItemFailures": []}, [])
    assert run.reports[0]["status"] == "REJECTED"


# The fields of a request, on every way on which one comes. ... stands for the hostile value.
FIELDS: dict[tuple[Any, ...], dict[str, Any]] = {
    **{(field,): {"jobId": NAMED, field: ...} for field in ("comment", "reasonCode", "maxJobs", "force", "dryRun")},
    ("waitForExecutionsMinutes",): {"jobId": NAMED, "waitForExecutionsMinutes": ...},
    ("jobId",): {"jobId": ...},
    ("jobIds",): {"jobIds": ...},
    ("jobIds", 1): {"jobIds": [NAMED, ...]},
    ("select",): {"select": ...},
    **{
        ("select", field): {"select": {"jobIdGlob": "*", field: ...}}
        for field in (
            *("jobIdGlob", "excludeJobIdGlobs", "status", "olderThanHours", "ageFrom", "targetSelection"),
            *("thingGroupName", "tags"),
        )
    },
}
WAYS: dict[str, Callable[[object], Any]] = {
    "direct": lambda request: {"cancel": request},
    "event": lambda request: with_value(FILES["request-event.json"], ("detail", "cancel"), request),
    "message": lambda request: on_the_backlog({"cancel": request}),
}
# The only hostile values that are good ones, in their place.
GOOD = {
    ("comment",): {
        *("forged field", "an id of 65", "other digits", "a URL with a secret", "a URL in JSON"),
        "line separators",  # CancelJob forbids all of Unicode's C, and these are of Z
    },
    ("select", "olderThanHours"): {"a tiny float"},
    ("select", "thingGroupName"): {"an id of 65"},
}
NOT_JSON = {"10,000 levels", "10,000 objects"}  # no body of a message can hold it


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
def test_a_hostile_value_in_a_field_of_a_request_is_rejected_before_any_call(
    one_log: Log, path: tuple[Any, ...], way: str
) -> None:
    for kind, value in HOSTILE.items():
        if kind in GOOD.get(path, set()) or (way == "message" and kind in NOT_JSON):
            continue
        if kind in LARGE and (way != "direct" or len(path) > 1):
            continue
        run = Run(one_log, LIMITS, WAYS[way](with_value(FIELDS[path], path, value)))
        check_log(run, one_log)
        assert (run.reports[0]["status"], run.jobs.calls) == ("REJECTED", []), kind


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_physical_id_that_is_no_job_id_cancels_nothing_and_is_answered(one_log: Log, kind: str) -> None:
    run = Run(one_log, LIMITS, {**DELETE, "PhysicalResourceId": HOSTILE[kind]})
    assert (run.report["status"], run.jobs.calls) == ("SETTLED", [])
    assert [response["Status"] for response in run.pool.responses] == ["SUCCESS"]


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_response_url_that_is_hostile_gets_no_answer_and_nothing_is_cancelled(one_log: Log, kind: str) -> None:
    if kind == "a URL with a secret":  # a good one
        return
    run = Run(one_log, LIMITS, {**DELETE, "ResponseURL": HOSTILE[kind]})
    check_log(run, one_log)
    assert (run.report["status"], run.jobs.calls, run.pool.received) == ("REJECTED", [], [])


@pytest.mark.parametrize(
    ("field", "value", "status"),
    [
        ("comment", "c" * 2_028, "SETTLED"),
        ("comment", "c" * 2_029, "REJECTED"),
        ("comment", "😀" * 2_028, "SETTLED"),
        ("comment", "e\u0301", "SETTLED"),
        ("comment", "a\u202eb", "REJECTED"),
        ("comment", "a\u200fb", "REJECTED"),
        ("comment", "a\x00b", "REJECTED"),
        ("comment", "a\ud800b", "REJECTED"),
        ("reasonCode", "A" * 128, "SETTLED"),
        ("reasonCode", "A" * 129, "REJECTED"),
        ("reasonCode", "Ａ", "REJECTED"),
        ("jobId", "a" * 64, "SETTLED"),  # GONE
        ("jobId", "a" * 65, "REJECTED"),
        ("jobId", "а", "REJECTED"),  # Cyrillic
        ("jobId", "a\n", "REJECTED"),
        ("jobId", "..", "REJECTED"),
    ],
)
def test_the_longest_that_is_taken_and_one_more(one_log: Log, field: str, value: str, status: str) -> None:
    run = Run(one_log, LIMITS, {"cancel": {"jobId": NAMED, field: value}})
    assert run.report["status"] == status


@pytest.mark.parametrize(
    ("event", "comment"),
    [
        (
            {
                "id": "\x1b[31mid\x9b0m",
                "source": "ops\n\u202eevil",
                "detail-type": "IoT Job Cancellation Requested",
                "detail": {"cancel": {"jobId": NAMED}},
            },
            "Requested by event [31mid0m from opsevil",
        ),
        (
            {**DELETE, "LogicalResourceId": "L\r\nX", "StackId": "\u2066s\x00\ud800"},
            "LX was deleted in s",
        ),
        (
            {**DELETE, "StackId": "s" * 6_000_000, "ResourceProperties": {}},
            f"l was deleted in {'s' * 2_011}",
        ),
    ],
)
def test_what_others_wrote_stands_in_the_comment_of_a_job_without_what_steers_a_terminal(
    one_log: Log, event: Any, comment: str
) -> None:
    run = Run(one_log, LIMITS, event)
    assert run.jobs.jobs[NAMED].comment == comment
    assert len(comment) <= 2_028


def test_properties_that_are_equal_and_deep_are_answered(one_log: Log) -> None:
    """They are compared, level by level."""
    properties = {"JobId": NAMED, "Comment": nested(9_000)}
    event = {**DELETE, "RequestType": "Update", "ResourceProperties": properties}
    event["OldResourceProperties"] = {"JobId": NAMED, "Comment": nested(9_000)}
    run = Run(one_log, LIMITS, event)
    check_log(run, one_log)
    assert ([response["Status"] for response in run.pool.responses], run.jobs.calls) == (["SUCCESS"], [])
    assert '"ignored property Comment: must be a string' in one_log.text


@given(text=texts | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"]), max_size=128))
@settings(max_examples=300)
@example(text=FORGED_LINE)
@example(text="X-Amz-Signature=\u2028secret")
def test_an_id_is_one_line_from_which_it_can_be_read_again(one_log: Log, text: str) -> None:
    run = Run(one_log, LIMITS, {"id": text, "detail-type": "x", "source": "x"})
    assert len(run.reports) == 1
    assert one_log.text.count("\n") == len(one_log.text.splitlines()) == 1
    assert one_log.text[:-1].isprintable()
    told = one_log.lines[0]["correlation_id"]
    assert told == (text or "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11") or "REDACTED" in told
    assert len(run.metrics.splitlines()) == 1
