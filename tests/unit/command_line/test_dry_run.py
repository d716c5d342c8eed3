"""`plan` sends each event as a dry run, and sends nothing else."""

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
from handler.inbound.envelope import CancelEvent, IgnoredEvent, Stack
from handler.inbound.event import RejectedEvent, parse_event
from iot_job_canceler.dry_run import dry_run_of, is_dry_run
from tests.support.fakes import LIMITS, config

EVENTS = Path(__file__).parents[3] / "events"
SWEEP = {"select": {"jobIdGlob": "nightly-*", "olderThanHours": 12}, "dryRun": True}


FILES = sorted(path.relative_to(EVENTS).as_posix() for path in EVENTS.rglob("*.json"))
# File → the value of `cancel` in the dry run. tests/unit/inbound/test_event.py has the requests of the other files.
DRY_RUNS: dict[str, dict[str, Any]] = {
    "custom-resource-delete.json": {"jobIds": ["firmware-2026-11"], "force": False, "maxJobs": 100, "dryRun": True},
    "custom-resource-select-delete.json": {
        "select": {
            "targetSelection": ["SNAPSHOT", "CONTINUOUS"],
            "jobIdGlob": "firmware-*",
            "olderThanHours": 72.0,
            "tags": {"env": "dev"},
        },
        "force": False,
        "maxJobs": 100,
        "dryRun": True,
    },
    "terraform-delete.json": {"jobIds": ["firmware-2026-11"], "force": False, "maxJobs": 100, "dryRun": True},
    "scheduled-rule.json": SWEEP,
    "scheduled-scheduler.json": SWEEP,
}


def deployed() -> Config:
    return replace(config(), sweep_job_id_glob="nightly-*", sweep_older_than_hours=12)


def event(name: str) -> Any:
    return json.loads((EVENTS / name).read_text())


def outcome(value: object) -> object:
    try:
        request = dry_run_of(value, deployed)
    except RequestRejected as rejection:
        return str(rejection)
    return request if isinstance(request, IgnoredEvent) else request["cancel"]


@pytest.mark.parametrize("name", FILES)
def test_a_request_becomes_its_dry_run_and_other_events_their_result(name: str) -> None:
    content = parse_event(event(name), Stack("", sweep_request=SWEEP)).content
    match content:
        case RejectedEvent(reason):
            assert outcome(event(name)) == reason
        case CancelEvent(document):
            assert isinstance(document, dict)
            assert outcome(event(name)) == document | {"dryRun": True}
        case IgnoredEvent():
            assert outcome(event(name)) == content


@pytest.mark.parametrize("name", DRY_RUNS)
def test_a_deletion_or_a_sweep_becomes_the_dry_run_of_its_request(name: str) -> None:
    assert outcome(event(name)) == DRY_RUNS[name]


@pytest.mark.parametrize("request_type", ["Create", "Update"])
def test_a_create_or_update_is_ignored(request_type: str) -> None:
    name = f"custom-resource-{request_type.lower()}.json"
    assert outcome(event(name)) == IgnoredEvent(
        f"{request_type}: the properties are valid; jobs are canceled only on Delete"
    )


def test_an_action_of_terraform_becomes_the_dry_run_of_what_it_cancels() -> None:
    payload = event("terraform-delete.json")
    assert outcome({**payload, "cancel": {"select": {"jobIdGlob": "x*"}}}) == {
        "select": {"targetSelection": ["SNAPSHOT", "CONTINUOUS"], "jobIdGlob": "x*"},
        "force": False,
        "maxJobs": 100,
        "dryRun": True,
    }
    valid = "the input is valid; jobs are canceled only when it no longer names them, or on delete"
    assert outcome({**payload, "tf": {"action": "create"}}) == IgnoredEvent(f"create: {valid}")
    assert outcome({**payload, "tf": {"action": "read"}}) == "tf.action: must be one of create, update, delete"


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_request_with_dry_run_false_becomes_a_dry_run(dry_run: bool) -> None:
    assert outcome({"cancel": {"jobId": "a", "dryRun": dry_run}}) == {"jobId": "a", "dryRun": True}


@pytest.mark.parametrize(
    ("cancel", "rejection"),
    [
        ({"jobId": "a", "dryRun": "false"}, "dryRun: must be true or false, without quotes"),
        ({"jobId": "a", "dryRun": None}, "dryRun: must not be null"),
        ({"jobId": "a", "DryRun": True}, "cancel: unknown key 'DryRun'; did you mean dryRun"),
        ("jobId", "cancel: must be an object with the keys "),
    ],
)
def test_an_invalid_request_is_rejected(cancel: object, rejection: str) -> None:
    assert str(outcome({"cancel": cancel})).startswith(rejection)


def test_a_deletion_is_read_with_the_limits_of_the_stack() -> None:
    payload = event("custom-resource-select-delete.json")
    payload["ResourceProperties"] |= {"Force": "true", "MaxJobs": "7"}
    without_force = dry_run_of(payload, deployed)
    with_force = dry_run_of(payload, lambda: replace(deployed(), limits=replace(LIMITS, force=True)))
    on_teardowns = dry_run_of(payload, lambda: replace(deployed(), limits=replace(LIMITS, forces_teardowns=True)))
    found = (without_force, with_force, on_teardowns)
    requests = [each["cancel"] for each in found if not isinstance(each, IgnoredEvent)]
    assert [(each["force"], each["maxJobs"]) for each in requests] == [(False, 7), (True, 7), (True, 7)]  # type: ignore[index]


def test_a_deletion_without_a_job_is_ignored() -> None:
    payload = event("custom-resource-delete.json") | {"PhysicalResourceId": "failed-create:5f3a/Teardown"}
    assert outcome(payload) == IgnoredEvent(
        "the PhysicalResourceId names no job, since Create failed; nothing to cancel"
    )


def test_a_create_with_a_bad_property_is_rejected_with_its_reason() -> None:
    payload = event("custom-resource-create.json")
    payload["ResourceProperties"] |= {"JobId": "not an id"}
    assert str(outcome(payload)).startswith("ResourceProperties: JobId: must be a string of 1 to 64")


def test_the_configuration_is_read_only_if_it_is_needed() -> None:
    def unknown() -> Config:
        raise CancelerError("requested")

    assert dry_run_of(event("stack-deleted.json"), unknown)
    named = event("request-event.json")
    named["detail"]["canceler"] = "canceler"
    for payload in (event("scheduled-rule.json"), event("custom-resource-delete.json"), named):
        with pytest.raises(CancelerError, match="requested"):
            dry_run_of(payload, unknown)


@pytest.mark.parametrize(
    ("canceler", "expected"),
    [
        ("canceler", {"jobId": "a", "dryRun": True}),
        ("lab", IgnoredEvent("the request is for the canceler 'lab', not for 'canceler'")),
        ("", "detail.canceler: must not be empty: set a value, or omit it"),
    ],
)
def test_a_request_for_another_canceler_is_ignored(canceler: str, expected: object) -> None:
    payload = event("request-event.json") | {"detail": {"canceler": canceler, "cancel": {"jobId": "a"}}}
    assert outcome(payload) == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.sampled_from(FILES), st.data())
def test_every_event_becomes_a_dry_run_or_nothing(name: str, data: st.DataObject) -> None:
    """Each event of events/, with any of its values replaced."""
    changed = event(name)
    places = list(places_in(changed))
    if places:
        holder, key = data.draw(st.sampled_from(places))
        holder[key] = data.draw(JSON)
    try:
        request = dry_run_of(changed, deployed)
    except RequestRejected:
        return
    assert isinstance(request, IgnoredEvent) or is_dry_run(request)
    assert "ResponseURL" not in str(request)


def places_in(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from places_in(inner)


@pytest.mark.parametrize(
    "payload",
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
def test_only_a_direct_dry_run_is_recognized(payload: Mapping[str, object]) -> None:
    assert not is_dry_run(payload)
    assert is_dry_run({"cancel": {"jobId": "a", "dryRun": True}})
