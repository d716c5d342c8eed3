"""AWS Lambda on a fake clock: it invokes the function, retries asynchronous events, and polls the queues."""

import json
import threading
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from unittest.mock import patch

from handler.app import lambda_handler
from handler.aws.eventbridge import Publisher
from handler.aws.sqs import Queues
from handler.cancellation.rate import RateLimits
from handler.cloudformation.response import Responder
from handler.pipeline import Services
from tests.support.bus import FakeBus
from tests.support.fakes import FakeClock, FakeContext, endless, longest
from tests.support.sqs import FakeMessage, FakeSqs

if TYPE_CHECKING:
    from collections.abc import Callable

    import urllib3
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

    from handler.cancellation.job import JobsApi
    from handler.cancellation.rate import Gate, Uniform
    from handler.config import Config
    from handler.telemetry import Telemetry
    from tests.conftest import Log

RETRY_DELAYS = (60.0, 120.0)  # seconds until Lambda retries an asynchronous event
MAX_EVENT_AGE = 21_600.0  # seconds, MaximumEventAgeInSeconds


def new_services(  # the only place that builds Services on simulators
    config: "Config",
    clock: FakeClock,
    telemetry: "Telemetry",
    *,
    jobs_api: "Callable[[Gate], JobsApi]",
    sqs: "SQSClient",
    events: "EventBridgeClient",
    http: "urllib3.PoolManager",
    sleep: "Callable[[float], None] | None" = None,
    uniform: "Uniform" = endless,
) -> Services:
    """Wire the function's own adapters to these clients.

    By default, an attempt of an IoT call that fails is the last one. The jitter of a response is the longest.
    """
    sleep = sleep or clock.sleep
    return Services(
        config,
        RateLimits(config.cancels_per_second, clock, sleep),
        jobs_api,
        Queues(lambda: sqs, config.backlog_queue_url, config.teardown_queue_url),
        Publisher(events, FakeBus.name),
        Responder(http, sleep, longest),
        telemetry,
        clock,
        uniform,
        clock.utc_now,
    )


class Intercepted:
    """A client whose every call is made by `call`, which gets the name of the method and what makes the call."""

    def __init__(self, client: object, call: "Callable[[str, partial[Any]], Any]") -> None:
        self._client = client
        self._call = call

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)
        return lambda *arguments, **options: self._call(name, partial(method, *arguments, **options))


class Killed(BaseException):
    """SIGKILL: the handler runs no further."""


class Process:
    """The process of one invocation. Once it is killed, each of its calls raises Killed."""

    def __init__(self) -> None:
        self.is_dead = False
        self.timer: FakeTimer | None = None

    def set_timer(self, timer: "FakeTimer | None") -> None:
        self.timer = timer

    def kill(self) -> NoReturn:
        self.is_dead = True
        raise Killed

    def check_alive(self) -> None:
        if self.is_dead:
            raise Killed


class FakeTimer:
    """A threading.Timer of a process on a fake clock. It is due at `at`, and fires only if a test fires it."""

    def __init__(self, process: Process, clock: FakeClock, seconds: float, function: "Callable[[], None]") -> None:
        self.ident: int | None = None
        self.daemon = False
        self.at = clock() + seconds
        self._process = process
        self._function = function

    def start(self) -> None:
        self.ident = 1
        self._process.set_timer(self)

    def cancel(self) -> None:
        self._process.set_timer(None)

    def join(self) -> None:
        """Return at once: it has no thread of its own."""

    def fire(self) -> None:
        self._process.set_timer(None)
        self._function()


@dataclass(frozen=True, slots=True)
class Due:
    """An asynchronous event, in seconds since the clock began. `first_at` is when it was delivered first."""

    at: float
    event: Any
    retries: int = 0
    first_at: float | None = None


class Lambda:
    """The function, and what delivers events to it.

    Attributes:
        seconds: the function's timeout.
        pending: asynchronous events that are not delivered yet.
        failed: asynchronous events whose last retry failed.
        in_flight: messages whose invocation has not ended.
        ended: how many invocations "returned", "raised" or were "killed".
        kill_at: numbers of the calls at which `count_call` kills the process, from 1.
        calls: the operations that `count_call` has counted, over all invocations.
        survives: how an invocation may end; any other exception is raised to the test.
    """

    survives: tuple[type[BaseException], ...] = (Killed,)
    max_invocations = 10_000

    services: Services

    def __init__(self, clock: FakeClock, log: "Log", seconds: float = 300.0) -> None:
        self.clock, self.log, self.seconds = clock, log, seconds
        self.sqs, self.bus = FakeSqs(clock), FakeBus()
        self.sqs.visibility_timeout = seconds + 30
        self.pending: list[Due] = []
        self.failed: list[Any] = []
        self.in_flight: list[FakeMessage] = []
        self.ended: Counter[str] = Counter()
        self.process = Process()
        self.kill_at: set[int] = set()
        self.calls: list[str] = []

    # Invocations

    def while_alive(self, client: object) -> Any:
        """Wrap a client of the function: a process that was killed calls nothing."""

        def call(_name: str, act: "Callable[[], Any]") -> Any:
            self.process.check_alive()
            return act()

        return Intercepted(client, call)

    def invoke(self, event: object) -> Any:
        """Invoke the function once, in a process of its own."""
        assert self.ended.total() < self.max_invocations, "it goes on indefinitely"
        self.process = self.new_process()
        began = self.clock()
        response = self.handle(event, self.process, self.services)
        assert self.clock() - began <= self.seconds
        return response

    def new_process(self) -> Process:
        return Process()

    def handle(self, event: object, process: Process, services: Services) -> Any:
        """Run the handler in a process."""
        how = "raised"
        try:
            with patch.object(threading, "Timer", partial(FakeTimer, process, self.clock)):
                response = lambda_handler(event, FakeContext(self.clock, self.seconds), services)
            json.dumps(response)  # as Lambda does
            how = "returned"
        except Killed:
            how = "killed"
            raise
        finally:
            self.ended[how] += 1
        return response

    def wire(self, config: "Config", jobs_api: "Callable[[Gate], JobsApi]", http: object) -> None:
        """Make the services of the function: `http` is a connection pool."""
        sqs, events, pool = (self.while_alive(client) for client in (self.sqs, self.bus, http))
        self.services = new_services(
            config, self.clock, self.log.telemetry, jobs_api=jobs_api, sqs=sqs, events=events, http=pool
        )

    def configure(self, **changes: Any) -> None:
        """Change fields of the Config."""
        config, services = replace(self.services.config, **changes), self.services
        rate_limits = RateLimits(config.cancels_per_second, services.clock, services.rate_limits.sleep)
        self.services = replace(services, config=config, rate_limits=rate_limits)

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The reports in the log."""
        return [line["report"] for line in self.log.lines if line["message"] == "report"]

    def count_call(self, operation: str, *_: object) -> None:
        """Count a call of the process, and kill the process if the call is one of `kill_at`. A hook for the fakes."""
        self.process.check_alive()
        self.calls.append(operation)
        if len(self.calls) in self.kill_at:
            self.process.kill()

    # Deliveries

    def deliver(self, due: Due) -> bool:
        """Deliver an asynchronous event. Return False if the function failed: Lambda retries it, or it has failed."""
        first_at = self.clock.elapsed if due.first_at is None else due.first_at
        if self.clock.elapsed - first_at > MAX_EVENT_AGE:
            self.failed.append(due.event)
            return False
        try:
            self.invoke(due.event)
        except AssertionError:
            raise
        except self.survives:
            if due.retries < len(RETRY_DELAYS):
                at = self.clock.elapsed + RETRY_DELAYS[due.retries]
                self.pending.append(Due(at, due.event, due.retries + 1, first_at))
            else:
                self.failed.append(due.event)
            return False
        return True

    def receivable(self) -> list[FakeMessage]:
        """Find the messages that can be received now, or once they are visible."""
        groups = {message.group for message in self.in_flight if message.group}
        ready = self.sqs.next_messages()
        return [each for each in ready if each not in self.in_flight and each.group not in groups]

    def poll(self, message: FakeMessage | None = None, *, delay: float = 0.0) -> Any:
        """Invoke the function with one message, once it is visible, and delete it unless the function failed.

        `delay`: seconds between SQS's handing out the message and the beginning of the invocation.

        Returns what the function returned, or None if the message is a dead letter now.
        """
        message = message or min(self.receivable(), key=lambda each: each.visible_at)
        self.clock.now = max(self.clock.now, message.visible_at)
        event = self.sqs.receive(message)
        if event is None:
            return None
        self.in_flight.append(message)
        try:
            self.clock.now += delay
            response = self.invoke(event)
        finally:
            self.in_flight.remove(message)
        if response == {"batchItemFailures": []}:
            self.sqs.delete(message)
        else:
            assert response == {"batchItemFailures": [{"itemIdentifier": message.message_id}]}
        return response

    def run(self, *events: Due, until: float = float("inf"), messages_first: bool = False) -> None:
        """Deliver these events, and all that follows from them, until nothing is due before `until`."""
        self.pending += events
        while True:
            due = min(self.pending, key=lambda each: each.at, default=None)
            message = min(self.receivable(), key=lambda each: each.visible_at, default=None)
            due_at = due.at if due else float("inf")
            message_at = self.clock.since_start(message.visible_at) if message else float("inf")
            if (not due and not message) or min(due_at, message_at) > until:
                return
            if due and (due_at < message_at or (due_at == message_at and not messages_first)):
                self.pending.remove(due)
                self.clock.now = max(self.clock.now, self.clock.start + due.at)
                self.deliver(due)
            else:
                self.receive(message)

    def receive(self, message: FakeMessage | None, *, delay: float = 0.0) -> bool:
        """Poll as Lambda does: what fails is redelivered once its visibility timeout ends. False if it failed."""
        try:
            self.poll(message, delay=delay)
        except AssertionError:
            raise
        except self.survives:
            return False
        return True
