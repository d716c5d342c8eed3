"""Fixtures of all tests."""

import itertools
import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import StringIO
from typing import Any

import pytest
import urllib3
from hypothesis import settings

from handler.cloudformation.response import Responder
from handler.telemetry import Telemetry
from tests.faults.tally import summary
from tests.support.aws_lambda import Lambda
from tests.support.fakes import FakeClock, FakeContext, FakeJobs, config
from tests.support.response_url import ResponseServer, ResponseUrl
from tests.support.threads import TurnTakingPool

# The same examples on every machine and in every run.
settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=100, database=None)
settings.load_profile("repeatable")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print how many combinations of the fault matrix all processes ran."""
    if figures := summary(terminalreporter.stats):
        terminalreporter.write_line(figures)


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
    """What template.yaml sets for Powertools, which reads its metrics' namespace only from there."""
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
def server() -> Iterator[ResponseServer]:
    with ResponseServer() as running:
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


class Function(Lambda):
    """The function with the FakeJobs, and with a ResponseURL that is in memory or on the network."""

    def __init__(
        self, jobs: FakeJobs, server: ResponseUrl, http: urllib3.PoolManager, log: Log, clock: FakeClock
    ) -> None:
        super().__init__(clock, log)
        self.wire(config(server.url), jobs.behind, http)
        self.jobs, self.server = jobs, server

    def __call__(self, event: object, seconds: float = 300) -> dict[str, Any]:
        """Deliver one event to an invocation with a timeout of `seconds`."""
        self.seconds = seconds
        response: dict[str, Any] = self.invoke(event)
        return response

    def drain(self, seconds: float = 300) -> list[dict[str, Any]]:
        """Deliver messages until the queues are empty. Returns the new reports, in order."""
        before = len(self.reports)
        self.seconds = seconds
        while self.sqs.messages:
            self.poll()
        return self.reports[before:]

    @property
    def responses(self) -> list[dict[str, Any]]:
        """The responses that CloudFormation got."""
        return self.server.responses


@pytest.fixture
def function(jobs: FakeJobs, server: ResponseServer, http: urllib3.PoolManager, log: Log, clock: FakeClock) -> Function:
    """The function with the defaults of template.yaml."""
    return Function(jobs, server, http, log, clock)
