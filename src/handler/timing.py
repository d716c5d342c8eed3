"""Time that is left. Clocks are arguments, so that tests need no real time."""

from collections.abc import Callable
from typing import Protocol

type Clock = Callable[[], float]
type Sleep = Callable[[float], None]


class LambdaContext(Protocol):
    """The part of the Lambda context object that is used here."""

    aws_request_id: str

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda ends the invocation."""


class Deadline:
    """A moment on a monotonic clock. All times are in seconds."""

    def __init__(self, remaining: float, clock: Clock) -> None:
        """The deadline is `remaining` seconds from now."""
        self._clock = clock
        self._at = clock() + remaining

    @classmethod
    def of_invocation(cls, context: LambdaContext, *, reserve: float, clock: Clock) -> "Deadline":
        """The moment `reserve` seconds before Lambda ends the invocation."""
        return cls(context.get_remaining_time_in_millis() / 1000 - reserve, clock)

    @property
    def remaining(self) -> float:
        """Seconds left; negative once the deadline has passed."""
        return self._at - self._clock()

    def allows(self, seconds: float) -> bool:
        """True if something that takes `seconds` can end before the deadline."""
        return seconds <= self.remaining
