"""Time that is left. Clocks are arguments, so that tests need no real time."""

from collections.abc import Callable
from threading import Lock
from typing import Protocol

type Clock = Callable[[], float]
type Turn = Callable[[], None]
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


class Pace:
    """Hands out turns at an even rate, to any number of threads. `per_second` is the service's quota or below."""

    def __init__(self, per_second: float, clock: Clock, sleep: Sleep) -> None:
        self._interval = 1 / per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._next = clock()

    def turns(self, seconds: float) -> int:
        """How many turns there are in so many seconds."""
        return max(0, int(seconds / self._interval))

    def take(self, deadline: Deadline, needed: float) -> bool:
        """Wait for the next turn: False, at once, if the wait and `needed` seconds of work do not fit any more."""
        with self._lock:
            now = self._clock()
            wait = max(0.0, self._next - now)
            if not deadline.allows(wait + needed):
                return False
            self._next = now + wait + self._interval
        if wait:
            self._sleep(wait)
        return True
