"""What the parsers of events share: safe access to a payload of any shape, and the default reason of an event."""

import pytest

from handler.cancellation.request import CancelReason
from handler.inbound.envelope import CancelEvent, Stack, at, text_or_unknown


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


FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:canceler-Function-k2Jc8sQf0aXb"


@pytest.mark.parametrize("arn", [FUNCTION, f"{FUNCTION}:live"])
def test_a_stack_has_the_account_and_region_of_its_function(arn: str) -> None:
    assert Stack.of_function(arn, "canceler", {"select": {}}, "night-") == Stack(
        "canceler", "123456789012", "eu-west-1", {"select": {}}, "night-"
    )


@pytest.mark.parametrize("arn", ["", "canceler", "arn:aws:lambda:eu-west-1", "arn:aws:iam::123456789012:role/canceler"])
def test_a_stack_with_an_unreadable_function_has_no_account_and_region(arn: str) -> None:
    assert Stack.of_function(arn, "canceler", {"select": {}}, "night-") == Stack(
        "canceler", "", "", {"select": {}}, "night-"
    )


def test_the_default_reason_of_an_event_names_its_origin() -> None:
    reason = CancelReason.default("EVENT_REMEDIATION", "Requested by alarm night")
    assert CancelEvent.from_event({"jobId": "a"}, "alarm night") == CancelEvent({"jobId": "a"}, reason)


def test_a_stack_knows_only_its_name_at_least() -> None:
    stack = Stack("canceler")
    values = (stack.name, stack.account, stack.region, stack.sweep_request, stack.alarm_name_prefix)
    assert values == ("canceler", "", "", None, "")
