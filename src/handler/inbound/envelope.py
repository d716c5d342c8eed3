"""What the parsers of events share: the stack, their results, and safe access to a payload of any shape. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple, Self

from handler.cancellation.request import CancelReason
from handler.cancellation.validation import quoted


@dataclass(frozen=True, slots=True)
class Stack:
    """The stack of the function, as far as the parsers need it.

    `account` and `region` are empty if they are unknown. `sweep_request` is the request of the stack's own scheduled
    sweep, or None if it has none. An empty `alarm_name_prefix` means that no alarm cancels jobs.
    """

    name: str
    account: str = ""
    region: str = ""
    sweep_request: Mapping[str, object] | None = None
    alarm_name_prefix: str = ""

    @classmethod
    def of_function(
        cls,
        function_arn: str,
        name: str,
        sweep_request: Mapping[str, object] | None,
        alarm_name_prefix: str,
    ) -> Self:
        """Return the stack, with the account and Region of the function's ARN."""
        account = region = ""
        match function_arn.split(":"):
            case ["arn", _, "lambda", function_region, function_account, *_]:
                account, region = function_account, function_region
        return cls(name, account, region, sweep_request, alarm_name_prefix)

    def is_home_of(self, event: Mapping[str, object]) -> bool:
        """Return False if the event names another account or Region than the stack's."""
        own = {"account": self.account, "region": self.region}
        return all(event.get(key) in (None, value) for key, value in own.items() if value)


@dataclass(frozen=True, slots=True)
class CancelEvent:
    """An event that asks for a cancellation. `document` is the unparsed value of `cancel`.

    `default_reason` applies where the document gives none.
    """

    document: object
    default_reason: CancelReason

    @classmethod
    def from_event(cls, document: object, origin: str) -> Self:
        """Return a request that an EventBridge event makes; `origin` names the event."""
        return cls(document, CancelReason.default("EVENT_REMEDIATION", f"Requested by {origin}"))


class IgnoredEvent(NamedTuple):
    """A valid event that asks for nothing."""

    reason: str


def ignored_elsewhere(stack: Stack, event: Mapping[str, object]) -> IgnoredEvent | None:
    """Return why an event of another account or Region is ignored, or None: a bus may receive such events."""
    if stack.is_home_of(event):
        return None
    place = " in ".join(quoted(text_or_unknown(event.get(key))) for key in ("account", "region"))
    return IgnoredEvent(f"the event is from account {place}, not from {stack.account} in {stack.region}")


def at(value: object, *path: str) -> object:
    """Return the value at `path`, or None if there is no such place."""
    for key in path:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def text_or_unknown(value: object) -> str:
    """Return `value` if it is text, else `?`. A forged event may contain anything, and str() of it can fail."""
    return value if isinstance(value, str) else "?"
