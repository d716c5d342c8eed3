"""Any event as the dry run that `make plan` sends, and that nothing else is sent."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.config import Config
from handler.errors import CancelerError, RequestRejected
from handler.inbound.envelope import IgnoredEvent
from tests.support.fakes import LIMITS, config
from tools.plan.dry_run import dry_run_of, is_dry_run

EVENTS = Path(__file__).parents[2] / "events"
STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f"
NOT_OURS = 'event: must be a CloudFormation custom resource request, an EventBridge event or {"cancel": {...}}'
SWEEP = {"select": {"jobIdGlob": "nightly-*", "olderThanHours": 12}, "dryRun": True}

# File → the value of `cancel` that is sent, why nothing is sent, or the words of a rejection.
EXPECTED: dict[str, dict[str, Any] | IgnoredEvent | str] = {
    "alarm-to-alarm.json": {"jobIds": ["firmware-2026-11"], "dryRun": True},
    "alarm-to-ok.json": IgnoredEvent("the alarm went to OK"),
    "backlog-message.json": NOT_OURS,
    "bare-request.json": {
        "jobId": "firmware-2026-11",
        "force": False,
        "dryRun": True,
        "maxJobs": 1,
        "reasonCode": "STALE_JOB",
        "comment": "weekly clean-up",
    },
    "canceler-report.json": IgnoredEvent("the event is a report of an iot-job-canceler stack"),
    "cloudtrail-cancel-job.json": IgnoredEvent("the API call is 'CancelJob', not CreateJob"),
    "cloudtrail-create-job-failed.json": IgnoredEvent("the CreateJob failed"),
    "cloudtrail-create-job.json": {"jobId": "firmware-2026-11", "dryRun": True},
    "custom-resource-create.json": IgnoredEvent("Create: the properties are valid; jobs are canceled only on Delete"),
    "custom-resource-delete.json": {"jobIds": ["firmware-2026-11"], "force": False, "maxJobs": 100, "dryRun": True},
    "custom-resource-select-delete.json": {
        "select": {"jobIdGlob": "firmware-*", "olderThanHours": 72.0, "tags": {"env": "dev"}},
        "force": False,
        "maxJobs": 100,
        "dryRun": True,
    },
    "custom-resource-update.json": IgnoredEvent("Update: the properties are valid; jobs are canceled only on Delete"),
    "request-event.json": {
        "jobIds": ["firmware-2026-11", "firmware-2026-12"],
        "dryRun": True,
        "reasonCode": "STALE_JOB",
        "comment": "ticket OPS-4711",
    },
    "scheduled-rule.json": SWEEP,
    "scheduled-scheduler.json": SWEEP,
    "select-request.json": {
        "select": {
            "jobIdGlob": "firmware-*",
            "excludeJobIdGlobs": ["firmware-keep-*"],
            "status": ["IN_PROGRESS", "SCHEDULED"],
            "olderThanHours": 72,
            "ageFrom": "createdAt",
            "targetSelection": ["SNAPSHOT"],
            "tags": {"env": "dev"},
        },
        "dryRun": True,
        "maxJobs": 20,
        "reasonCode": "STALE_JOB",
        "comment": "what would the weekly clean-up do?",
    },
    "stack-deleted.json": {
        "select": {"tags": {"iot-job-canceler:stack-id": STACK}, "targetSelection": ["SNAPSHOT", "CONTINUOUS"]},
        "dryRun": True,
    },
    "teardown-message.json": NOT_OURS,
    "foreign/api-gateway-proxy.json": NOT_OURS,
    "foreign/empty.json": NOT_OURS,
    "foreign/request-type-without-response-url.json": NOT_OURS,
    "foreign/s3-object-created.json": NOT_OURS,
    "foreign/sns-record.json": NOT_OURS,
    "foreign/sqs-batch.json": NOT_OURS,
}


def deployed() -> Config:
    return replace(config(), sweep_job_id_glob="nightly-*", sweep_older_than_hours=12)


def event(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def outcome(value: object) -> object:
    try:
        question = dry_run_of(value, deployed)
    except RequestRejected as rejection:
        return str(rejection)
    return question if isinstance(question, IgnoredEvent) else question["cancel"]


def test_the_table_knows_every_event() -> None:
    names = {path.relative_to(EVENTS).as_posix() for path in EVENTS.rglob("*.json")}
    assert names == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_an_event_is_asked_about_as_a_dry_run(name: str) -> None:
    assert outcome(event(name)) == EXPECTED[name]


@pytest.mark.parametrize("asked", [True, False])
def test_a_dry_run_it_is_whatever_the_event_says(asked: bool) -> None:
    assert outcome({"cancel": {"jobId": "a", "dryRun": asked}}) == {"jobId": "a", "dryRun": True}


@pytest.mark.parametrize(
    ("cancel", "rejection"),
    [
        ({"jobId": "a", "dryRun": "false"}, "dryRun: must be true or false"),
        ({"jobId": "a", "dryRun": None}, "dryRun: must not be null"),
        ({"jobId": "a", "DryRun": True}, "cancel: unknown key 'DryRun'; "),
        ("jobId", "cancel: must be an object with the keys "),
    ],
)
def test_what_the_function_would_reject_is_not_made_good(cancel: object, rejection: str) -> None:
    assert str(outcome({"cancel": cancel})).startswith(rejection)


def test_a_deletion_is_held_against_the_stacks_policy() -> None:
    asked = event("custom-resource-select-delete.json")
    asked["ResourceProperties"] |= {"Force": "true", "MaxJobs": "7"}
    strict = dry_run_of(asked, deployed)
    loose = dry_run_of(asked, lambda: replace(deployed(), limits=replace(LIMITS, force=True)))
    told = [each["cancel"] for each in (strict, loose) if not isinstance(each, IgnoredEvent)]
    assert [(each["force"], each["maxJobs"]) for each in told] == [(False, 7), (True, 7)]  # type: ignore[index]


def test_a_deletion_that_would_touch_no_job_asks_nothing() -> None:
    asked = event("custom-resource-delete.json") | {"PhysicalResourceId": "failed-create:5f3a/Teardown"}
    assert outcome(asked) == IgnoredEvent("the PhysicalResourceId names no job, since Create failed; nothing to cancel")


def test_a_creation_that_would_fail_is_rejected_with_its_reason() -> None:
    asked = event("custom-resource-create.json")
    asked["ResourceProperties"] |= {"JobId": "not an id"}
    assert str(outcome(asked)).startswith("ResourceProperties: JobId: must be a string of 1 to 64")


def test_only_what_depends_on_the_stack_asks_for_its_configuration() -> None:
    def unknown() -> Config:
        raise CancelerError("asked for")

    assert dry_run_of(event("stack-deleted.json"), unknown)
    for name in ("scheduled-rule.json", "custom-resource-delete.json"):
        with pytest.raises(CancelerError, match="asked for"):
            dry_run_of(event(name), unknown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(sorted(EXPECTED)), st.data())
def test_no_event_is_sent_as_anything_but_a_dry_run(name: str, data: st.DataObject) -> None:
    """Each event of events/, with any of its values put in the place of any other, or something else there."""
    changed = event(name)
    places = list(places_in(changed))
    if places:
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(JSON)
    try:
        question = dry_run_of(changed, deployed)
    except RequestRejected:
        return
    assert isinstance(question, IgnoredEvent) or is_dry_run(question)
    assert "ResponseURL" not in str(question)


def places_in(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places_in(inner)


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"cancel": {}},
        {"cancel": {"jobId": "a"}},
        {"cancel": {"jobId": "a", "dryRun": False}},
        {"cancel": {"jobId": "a", "dryRun": "true"}},
        {"cancel": {"jobId": "a", "dryRun": 1}},
        {"cancel": {"jobId": "a", "dryRun": True}, "RequestType": "Delete", "ResponseURL": "https://example.com"},
        {"detail-type": "IoT Job Cancellation Requested", "detail": {"cancel": {"jobId": "a", "dryRun": True}}},
    ],
)
def test_what_is_no_bare_dry_run_is_known(question: Mapping[str, object]) -> None:
    assert not is_dry_run(question)
    assert is_dry_run({"cancel": {"jobId": "a", "dryRun": True}})
