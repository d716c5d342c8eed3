"""Hostile values in every place of every event: what is logged, and what is canceled."""

import copy
import json
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
    one_log,
    places,
    texts,
)
from tests.support.fakes import LIMITS

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


# File → the matching jobs of the Run; all other files match one.
SWEPT = {NAMED, "ota-1", "ota-2"}
MATCHING = {"scheduled-rule.json": SWEPT, "scheduled-scheduler.json": SWEPT}

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
    assert len(written) == len(log.text.splitlines()), "a character that some readers treat as the end of a line"
    for line in written:
        record = json.loads(line)
        assert line.isprintable()
        assert record["message"] == "report" or record["level"] in {"WARNING", "ERROR"}
    assert all(json.loads(line)["_aws"] for line in run.metrics.splitlines())
    assert "secret" not in log.text
    assert len(log.text) < MAX_LOG


@pytest.mark.parametrize("name", FILES)
def test_hostile_value_leads_to_one_report_and_cancels_no_other_job(one_log: Log, name: str) -> None:
    for path in places(FILES[name]):
        for kind, value in HOSTILE.items():
            if kind in LARGE and len(path) > 2:
                continue
            run = Run(one_log, LIMITS, with_value(FILES[name], path, value))
            try:
                check_log(run, one_log)
                assert set(run.jobs.canceled) <= MATCHING.get(name, {NAMED})
                assert all(job.executions == {"thing": "IN_PROGRESS"} for job in run.jobs.jobs.values())
            except AssertionError as failure:
                raise AssertionError(f"{kind} at {path}") from failure


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_value_as_an_event_is_rejected(one_log: Log, kind: str) -> None:
    value = HOSTILE[kind]
    for event in (value, [value], {"cancel": value}, {"detail-type": value}, {"Records": value}, {"Records": [value]}):
        run = Run(one_log, LIMITS, event)
        check_log(run, one_log)
        assert (run.report["status"], run.jobs.calls, run.pool.received) == ("REJECTED", [], [])


# The fields of a request. `...` is replaced by the hostile value.
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
# The only hostile values that are good ones, in their place.
GOOD = {
    ("comment",): {
        *("forged field", "an id of 65", "other digits", "a URL with a secret", "a URL in JSON"),
        "line separators",  # CancelJob forbids all of Unicode's C, and these are of Z
    },
    ("select", "olderThanHours"): {"a tiny float"},
    ("select", "thingGroupName"): {"an id of 65"},
}


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
def test_hostile_field_of_a_request_is_rejected_before_any_call(one_log: Log, path: tuple[Any, ...]) -> None:
    for kind, value in HOSTILE.items():
        if kind not in GOOD.get(path, set()) and not (kind in LARGE and len(path) > 1):
            run = Run(one_log, LIMITS, {"cancel": with_value(FIELDS[path], path, value)})
            check_log(run, one_log)
            assert (run.reports[0]["status"], run.jobs.calls) == ("REJECTED", []), kind


def test_deeply_nested_properties_get_a_response(one_log: Log) -> None:
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
def test_hostile_id_is_logged_in_one_readable_line(one_log: Log, text: str) -> None:
    run = Run(one_log, LIMITS, {"id": text, "detail-type": "x", "source": "x"})
    assert len(run.reports) == 1
    assert one_log.text.count("\n") == len(one_log.text.splitlines()) == 1
    assert one_log.text[:-1].isprintable()
    logged = one_log.lines[0]["correlation_id"]
    assert logged == (text or "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11") or "REDACTED" in logged
    assert len(run.metrics.splitlines()) == 1
