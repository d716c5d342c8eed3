"""moto's AWS over HTTP with the IoT rules, and hooks that make its IoT jobs fail.

A hook is called with an operation's name and parameters, and raises what shall be answered instead. Hooks go
to `RulesBackend.pace` and `.fault` (before the operation acts) and `.lost` (after it acted), and work in
process and over HTTP alike.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self
from wsgiref.types import StartResponse, WSGIEnvironment

from botocore.exceptions import ConnectionClosedError
from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tests.support.iot_rules import Hook, Parameters, RulesBackend, installed


class AwsError(JsonRESTError):
    """An error answer with AWS's code and HTTP status."""

    def __init__(self, error_type: str, status: int, message: str) -> None:
        """`error_type` is AWS's code, such as ThrottlingException."""
        super().__init__(error_type, message)
        self.code = status


class LostAnswerError(ConnectionClosedError, ConnectionError):
    """The connection closes without an answer.

    In process botocore takes it for its own error; the server takes it for a broken connection and closes it.
    Either way the client sees, and by its settings retries, ConnectionClosedError.
    """

    def __init__(self) -> None:
        """Botocore's text wants an endpoint; there is none in process."""
        super().__init__(endpoint_url="the IoT rules")


def throttled() -> AwsError:
    """ThrottlingException, 400."""
    return AwsError("ThrottlingException", 400, "Rate exceeded")


def unavailable() -> AwsError:
    """ServiceUnavailableException, 503."""
    return AwsError("ServiceUnavailableException", 503, "Service unavailable")


def access_denied() -> AwsError:
    """AccessDeniedException, 403."""
    return AwsError("AccessDeniedException", 403, "User is not authorized to perform this action")


def failing(
    operation: str, error: Callable[[], Exception], *, times: int | None = None, job_id: str | None = None
) -> Hook:
    """Return a hook that fails the first `times` calls of an operation, or all, for one job or for any."""
    failed: Counter[str] = Counter()
    lock = Lock()

    def hook(called: str, parameters: Parameters) -> None:
        if called != operation or job_id not in {None, parameters.get("jobId")}:
            return
        with lock:
            failed[called] += 1
            due = times is None or failed[called] <= times
        if due:
            raise error()

    return hook


class TokenBuckets:
    """A hook that throttles each named operation to a rate a second; AWS's default quotas are 10/s for each.

    A bucket is full at first. It holds `burst` calls: a second's worth, and at least one, unless given.
    """

    def __init__(
        self,
        rates: Mapping[str, float],
        *,
        clock: Callable[[], float] = time.monotonic,
        burst: float | None = None,
    ) -> None:
        """`clock` is in seconds, and never goes back."""
        self._rates, self._clock, self._lock = dict(rates), clock, Lock()
        self._sizes = {name: burst if burst is not None else max(1.0, rate) for name, rate in rates.items()}
        self._buckets = {name: (size, clock()) for name, size in self._sizes.items()}

    def __call__(self, operation: str, _parameters: Parameters) -> None:
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


class _RequestHandler(MotoRequestHandler):
    """One silent request a connection: a stopped server answers nobody, and a broken connection is closed."""

    protocol_version = "HTTP/1.0"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's signature
        """Log nothing."""


class IotServer:
    """moto's server on a free port of 127.0.0.1, with the IoT rules. All other services are moto's.

    While it runs, the rules are installed in this process too: one server at a time. Each request first waits
    `latency` seconds through `sleep`; both can be changed while it runs.
    """

    def __init__(
        self,
        region_name: str,
        account_id: str = DEFAULT_ACCOUNT_ID,
        *,
        latency: float = 0.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Nothing starts yet."""
        self.region_name, self.account_id = region_name, account_id
        self.latency, self.sleep = latency, sleep
        self._running = ExitStack()
        self._backend: RulesBackend | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The endpoint URL; RuntimeError while the server is not running."""
        return self._started(self._url)

    @property
    def backend(self) -> RulesBackend:
        """The backend of the server's Region, to arrange state in; RuntimeError while it is not running."""
        return self._started(self._backend)

    def start(self) -> Self:
        """Install the rules and answer requests from now on."""
        if self._url is not None:
            text = "The server is running already"
            raise RuntimeError(text)
        with ExitStack() as starting:
            self._backend = starting.enter_context(installed(self.region_name, self.account_id))
            self._dispatch = DomainDispatcherApplication(create_backend_app)
            server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_RequestHandler)
            starting.callback(server.server_close)
            thread = Thread(target=server.serve_forever, args=(0.01,), name="iot-server", daemon=True)
            thread.start()
            starting.callback(thread.join)
            starting.callback(server.shutdown)
            self._url = f"http://127.0.0.1:{server.port}"
            self._running = starting.pop_all()
        return self

    def stop(self) -> None:
        """Close the port and take the rules out again; the state is gone. Stopping twice does no harm."""
        self._running.close()
        self._backend = self._url = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if self.latency:
            self.sleep(self.latency)
        chunks: Iterable[bytes] = self._dispatch(environ, start_response)
        return chunks

    def _started[Value](self, value: Value | None) -> Value:
        if value is None:
            text = "The server is not running"
            raise RuntimeError(text)
        return value
