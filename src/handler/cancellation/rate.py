"""How fast and how long one run may call a service: deadlines and rate limits. Clocks are arguments."""

from collections.abc import Callable
from threading import Lock
from typing import Protocol

from handler.cancellation.parallel import THREADS
from handler.errors import OutOfTime

type Clock = Callable[[], float]
type Sleep = Callable[[float], None]
type Uniform = Callable[[float, float], float]

MAX_RUN_SECONDS = 280.0  # of the function's Timeout, 300 s
# The calls of an operation that may start at once. The default quota is ten a second: four remain for other callers.
MAX_BURST = 6.0
# The longest wait before a repeated call. In 7 s, the default quota allows 70 calls: one of each of 70 functions.
MAX_BACKOFF_SECONDS = 7.0
_TYPICAL_CALL_SECONDS = 0.1  # however high the rate limit is, each thread waits this long for a call


class LambdaContext(Protocol):
    """The part of the Lambda context object that the function uses."""

    aws_request_id: str
    invoked_function_arn: str

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until Lambda ends the invocation."""


class Deadline:
    """A moment on a monotonic clock. All times are in seconds."""

    def __init__(self, remaining: float, clock: Clock) -> None:
        """The deadline is `remaining` seconds from now."""
        self._clock = clock
        self._at = clock() + remaining

    @classmethod
    def of_invocation(cls, context: LambdaContext, *, reserve: float, clock: Clock) -> "Deadline":
        """Return the moment `reserve` seconds before Lambda ends the invocation."""
        return cls(context.get_remaining_time_in_millis() / 1000 - reserve, clock)

    @property
    def remaining(self) -> float:
        """Seconds left; negative once the deadline has passed."""
        return self._at - self._clock()

    def allows(self, seconds: float) -> bool:
        """Return True if something that takes `seconds` can end before the deadline."""
        return seconds <= self.remaining


class RateLimit:
    """A token bucket, for any number of threads: `burst` calls at once, then `per_second`."""

    def __init__(self, per_second: float, clock: Clock, sleep: Sleep, *, burst: float = 1.0) -> None:
        self._interval = 1 / per_second
        self._burst_seconds = (burst - 1) * self._interval
        self._clock = clock
        self._sleep = sleep
        self._lock = Lock()
        self._next = clock()  # when the next call would start if all calls were spaced evenly

    def acquire(self, deadline: Deadline, call_seconds: float) -> bool:
        """Wait until the next call may start. Return False, at once, if the call could outlast the deadline then."""
        with self._lock:
            now = self._clock()
            wait = max(0.0, self._next - self._burst_seconds - now)
            if not deadline.allows(wait + call_seconds):
                return False
            self._next = max(self._next, now) + self._interval
        if wait:
            self._sleep(wait)
        return True


class RateLimits:
    """The rate limit of each API operation, for all runs of one container.

    AWS counts its quotas for each API operation, account and Region. `per_second` is at most the quota. A run that
    follows another run immediately gets no second burst.
    """

    def __init__(self, per_second: float, clock: Clock, sleep: Sleep) -> None:
        self.per_second = per_second
        self.clock = clock
        self.sleep = sleep
        self._lock = Lock()
        self._by_operation: dict[str, RateLimit] = {}

    def of(self, operation: str) -> RateLimit:
        """Return the rate limit of an operation, always the same one."""
        with self._lock:
            if operation not in self._by_operation:
                burst = min(MAX_BURST, max(1.0, self.per_second))
                self._by_operation[operation] = RateLimit(self.per_second, self.clock, self.sleep, burst=burst)
            return self._by_operation[operation]


class Gate:
    """Stands in front of an API client for one run: each operation at its own rate, and no call past the deadline.

    `uniform(a, b)` draws the jitter. `call_seconds` is the longest that one call can take.
    """

    def __init__(self, rate_limits: RateLimits, deadline: Deadline, uniform: Uniform, *, call_seconds: float) -> None:
        self._rate_limits = rate_limits
        self._deadline = deadline
        self._uniform = uniform
        self._call_seconds = call_seconds

    def acquire(self, operation: str) -> None:
        """Wait until `operation` may be called. Raises OutOfTime if the call might not end before the deadline."""
        if not self._rate_limits.of(operation).acquire(self._deadline, self._call_seconds):
            raise OutOfTime

    def pause(self, seconds: float) -> bool:
        """Sleep before a repeated call. Return False, at once, if the call could outlast the deadline then."""
        if not self._deadline.allows(seconds + self._call_seconds):
            return False
        self._rate_limits.sleep(seconds)
        return True

    def back_off(self) -> bool:
        """Sleep before the next attempt of a call that failed. Return False, at once, if there is no time for both.

        Simultaneous functions share the quota, but no rate limit. A random wait spreads their attempts over
        MAX_BACKOFF_SECONDS.
        """
        return self.pause(self._uniform(0.0, MAX_BACKOFF_SECONDS))

    def call_budget(self) -> int:
        """Return how many calls of one operation fit into half of the longest run, which a later delivery may have.

        Half: each delivery starts again, and has to come further than the one before.
        """
        return self._calls_in(MAX_RUN_SECONDS / 2)

    def has_half_of_a_run(self) -> bool:
        """Return True if at least half of the longest run is left."""
        return self._deadline.allows(MAX_RUN_SECONDS / 2)

    def share_of_time(self, share: float) -> tuple[Deadline, int]:
        """Return when this share of the time left will have passed, and how many calls of one operation fit into it."""
        seconds = self._deadline.remaining * share
        return Deadline(seconds, self._rate_limits.clock), self._calls_in(seconds)

    def _calls_in(self, seconds: float) -> int:
        return max(0, int(seconds * min(self._rate_limits.per_second, THREADS / _TYPICAL_CALL_SECONDS)))
