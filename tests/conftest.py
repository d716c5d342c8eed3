"""What the tests of every kind share."""

import itertools
import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

import pytest
import urllib3
from hypothesis import settings

from handler.app import lambda_handler
from handler.cloudformation.response import Responder
from handler.pipeline import Services
from handler.telemetry import Telemetry
from tests.faults.tally import summary
from tests.support.bus import FakeBus
from tests.support.fakes import AnswerServer, FakeBacklog, FakeClock, FakeContext, FakeJobs, config
from tests.support.threads import TurnTakingPool

# The same examples on every machine and in every run.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=100, database=None)
settings.load_profile("repeatable")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many combinations of the fault matrix there were, in whatever process."""
    if told := summary(terminalreporter.stats):
        terminalreporter.write_line(told)


_service_numbers = itertools.count(1)


@pytest.fixture(autouse=True)
def _log_levels_stay() -> Iterator[None]:
    """Crhelper sets the levels of the root logger and the SDK's for the whole process."""
    loggers = [logging.getLogger(name) for name in (None, "boto", "boto3", "botocore", "urllib3")]
    levels = [logger.level for logger in loggers]
    yield
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


@pytest.fixture(scope="session", autouse=True)
def _threads_take_turns() -> Iterator[None]:
    """So that what threads do is the same in every run. `real_threads` has the real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("handler.cancellation.parallel.ThreadPoolExecutor", TurnTakingPool)
        yield


@pytest.fixture
def real_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("handler.cancellation.parallel.ThreadPoolExecutor", ThreadPoolExecutor)


@pytest.fixture(scope="session")
def powertools_environment() -> Iterator[None]:
    """What template.yaml sets for Powertools, which takes its metrics' namespace only from there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("POWERTOOLS_")]:
            patch.delenv(name)
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "IoTJobCanceler")
        patch.setenv("POWERTOOLS_SERVICE_NAME", "canceler")
        patch.setenv("POWERTOOLS_LOG_LEVEL", "INFO")
        yield


@dataclass(frozen=True)
class Log:
    """A Telemetry, and the lines that it wrote."""

    telemetry: Telemetry
    stream: StringIO

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.split("\n") if line]


@pytest.fixture(scope="session")
def new_log(powertools_environment: None) -> Callable[[], Log]:  # noqa: ARG001 - for its effect
    """Each with a service name of its own, since Powertools keeps one stream for each name."""

    def new() -> Log:
        stream = StringIO()
        return Log(Telemetry(f"test-{next(_service_numbers)}", stream), stream)

    return new


@pytest.fixture
def log(new_log: Callable[[], Log]) -> Log:
    return new_log()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def context(clock: FakeClock) -> FakeContext:
    """Of an invocation that has the 300 s of template.yaml left."""
    return FakeContext(clock)


@pytest.fixture
def jobs(clock: FakeClock) -> FakeJobs:
    return FakeJobs(clock=clock)


@pytest.fixture
def server() -> Iterator[AnswerServer]:
    with AnswerServer() as running:
        yield running


@pytest.fixture
def http() -> Iterator[urllib3.PoolManager]:
    pool = urllib3.PoolManager()
    yield pool
    pool.clear()


@pytest.fixture
def responder(http: urllib3.PoolManager, clock: FakeClock) -> Responder:
    """Draws the longest jitter always."""
    return Responder(http, clock.sleep, lambda _least, most: most)


@pytest.fixture
def backlog(clock: FakeClock) -> FakeBacklog:
    return FakeBacklog(clock)


@pytest.fixture
def bus() -> FakeBus:
    return FakeBus()


@pytest.fixture
def services(
    server: AnswerServer,
    jobs: FakeJobs,
    backlog: FakeBacklog,
    bus: FakeBus,
    responder: Responder,
    log: Log,
    clock: FakeClock,
) -> Services:
    """The function with the defaults of template.yaml, on a local AWS whose CloudFormation is `server`."""
    return Services(
        config(server.url),
        jobs.behind,
        backlog.port,
        bus.port,
        responder,
        log.telemetry,
        clock,
        clock.sleep,
        clock.utc_now,
    )


@dataclass
class Function:
    """The function with all that it works with, and a real HTTP server as its CloudFormation."""

    services: Services
    jobs: FakeJobs
    backlog: FakeBacklog
    bus: FakeBus
    server: AnswerServer
    log: Log
    clock: FakeClock

    def __call__(self, event: object, seconds: float = 300) -> dict[str, Any]:
        """Deliver one event to an invocation that has so many seconds."""
        return lambda_handler(event, FakeContext(self.clock, seconds), self.services)

    def drain(self, seconds: float = 300) -> list[dict[str, Any]]:
        """Deliver what the backlog holds until it holds nothing more: the reports, in order."""
        told = len(self.reports)
        while self.backlog.messages:
            self.backlog.deliver(lambda event: self(event, seconds))
        return self.reports[told:]

    def configure(self, **changes: Any) -> None:
        """Change fields of the Config."""
        self.services = replace(self.services, config=replace(self.services.config, **changes))

    @property
    def reports(self) -> list[dict[str, Any]]:
        """Those that were logged."""
        return [line["report"] for line in self.log.lines if line["message"] == "report"]

    @property
    def answers(self) -> list[dict[str, Any]]:
        """What CloudFormation was told."""
        return [json.loads(request.body) for request in self.server.received]


@pytest.fixture
def function(
    services: Services,
    jobs: FakeJobs,
    backlog: FakeBacklog,
    bus: FakeBus,
    server: AnswerServer,
    log: Log,
    clock: FakeClock,
) -> Function:
    return Function(services, jobs, backlog, bus, server, log, clock)
