"""What the parsers of events share: safe access to a payload of any shape, and the default reason of an event."""

import pytest

from handler.cancellation.request import CancelReason
from handler.inbound.envelope import CancelEvent, at, text_or_unknown


@pytest.mark.parametrize(
    ("value", "path", "found"),
    [
        ({"a": {"b": 1}}, ("a", "b"), 1),
        ({"a": {"b": 1}}, ("a",), {"b": 1}),
        ({"a": {"b": 1}}, (), {"a": {"b": 1}}),
        ({"a": {"b": 1}}, ("b",), None),
        ({"a": None}, ("a", "b"), None),
        ({"a": "text"}, ("a", "b"), None),
        ([{"a": 1}], ("a",), None),
        (None, ("a",), None),
    ],
)
def test_a_place_that_does_not_exist_is_none(value: object, path: tuple[str, ...], found: object) -> None:
    assert at(value, *path) == found


@pytest.mark.parametrize(("value", "text"), [("a", "a"), ("", ""), (None, "?"), (5, "?"), (["a"], "?")])
def test_a_value_that_is_not_text_is_unknown(value: object, text: str) -> None:
    assert text_or_unknown(value) == text


def test_the_default_reason_of_an_event_names_its_origin() -> None:
    reason = CancelReason.default("EVENT_REMEDIATION", "Requested by alarm night")
    assert CancelEvent.from_event({"jobId": "a"}, "alarm night") == CancelEvent({"jobId": "a"}, reason)
