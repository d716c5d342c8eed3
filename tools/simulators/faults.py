"""What can go wrong with a call of a simulated service, and hooks that make it go wrong."""

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, cast

from botocore.exceptions import ClientError, ConnectionClosedError

type Hook = Callable[[str, str], None]


class ServiceError(Exception):
    """An error response, with the error code of AWS, the HTTP status and the message."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.status, self.message = code, status, message

    def client_error(self, operation: str) -> ClientError:
        """Return what boto3 raises for this response."""
        response = {
            "Error": {"Code": self.code, "Message": self.message},
            "ResponseMetadata": {"HTTPStatusCode": self.status},
        }
        return ClientError(cast("Any", response), operation)


class LostResponse(ConnectionClosedError, ConnectionError):
    """The connection closes without a response.

    In process, botocore treats it as its own error. The server treats it as a broken connection and closes it. Either
    way the client sees, and by its settings retries, ConnectionClosedError.
    """

    def __init__(self) -> None:
        """Botocore's message needs an endpoint; there is none in process."""
        super().__init__(endpoint_url="the simulator")


def throttled() -> ServiceError:
    return ServiceError("ThrottlingException", 400, "Rate exceeded")


def unavailable() -> ServiceError:
    return ServiceError("ServiceUnavailableException", 503, "Service unavailable")


def denied() -> ServiceError:
    return ServiceError("AccessDeniedException", 403, "not authorized")


def refused(message: str = "cannot be canceled") -> ServiceError:
    return ServiceError("InvalidRequestException", 400, message)


def not_found(message: str = "cannot be found") -> ServiceError:
    return ServiceError("ResourceNotFoundException", 404, message)


def wrong_state(message: str) -> ServiceError:
    return ServiceError("InvalidStateTransitionException", 409, message)


def answer_lost() -> LostResponse:
    return LostResponse()


def failing(
    operation: str, error: Callable[[], Exception], *, times: int | None = None, job_id: str | None = None
) -> Hook:
    """Return a hook that fails the first `times` calls of an operation, or all, for one target or for any.

    `job_id` is the target: see `IotSimulator.calls`.
    """
    failed = 0
    lock = Lock()

    def hook(called: str, target: str) -> None:
        nonlocal failed
        if called != operation or job_id not in {None, target}:
            return
        with lock:
            if failed == times:
                return
            failed += 1
        raise error()

    return hook


class TokenBuckets:
    """A hook that throttles each named operation to a rate per second; AWS's default quotas are 10/s for each.

    A bucket is full at first. It holds a second's worth of calls, and at least one.
    """

    def __init__(self, rates: Mapping[str, float], *, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` is in seconds, and never goes back."""
        self._rates, self._clock, self._lock = dict(rates), clock, Lock()
        self._sizes = {name: max(1.0, rate) for name, rate in rates.items()}
        self._buckets = {name: (size, clock()) for name, size in self._sizes.items()}

    def __call__(self, operation: str, _target: str) -> None:
        """Take one token, or raise ThrottlingException."""
        if operation not in self._rates:
            return
        with self._lock:
            tokens, filled_at = self._buckets[operation]
            now = self._clock()
            tokens = min(self._sizes[operation], tokens + (now - filled_at) * self._rates[operation])
            allowed = tokens >= 1
            self._buckets[operation] = tokens - allowed, now
        if not allowed:
            raise throttled()
