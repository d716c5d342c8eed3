"""Fakes of time, of Lambda's context and of the IoT Jobs API.

`FakeJobs` is the IoT simulator, which tests/contract holds to what AWS documents.
"""

import math
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from handler.aws.iot import IotJobs
from handler.cancellation.job import JobsApi
from handler.cancellation.rate import Deadline, Gate, RateLimits, Sleep, Uniform
from handler.cancellation.request import StackLimits
from handler.cancellation.session import Session
from handler.config import Config
from tests.support.sqs import FakeSqs
from tests.support.threads import waiting_thread
from tools.simulators.faults import (
    Hook,
    answer_lost,
    denied,
    failing,
    not_found,
    refused,
    throttled,
    unavailable,
)
from tools.simulators.iot import IotSimulator, Job
from tools.simulators.iot_client import SimulatedIotClient

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

LIMITS = StackLimits(
    force=False, dry_run=False, max_jobs=100, job_id_prefix="", protection_tag_key="cancel-protection"
)  # the defaults of template.yaml

# What tests of the IoT simulator's failures import from here.
__all__ = ("Hook", "answer_lost", "denied", "failing", "not_found", "refused", "throttled", "unavailable")


def config(endpoint_url: str | None = None, limits: StackLimits = LIMITS) -> Config:
    """The defaults of template.yaml, with FakeSqs."""
    return Config(
        stack_name="canceler",
        limits=limits,
        cancels_per_second=8,
        sweep_job_id_glob="",
        sweep_older_than_hours=168,
        alarm_name_prefix="",
        backlog_queue_url=FakeSqs.url,
        teardown_queue_url=FakeSqs.teardown_url,
        event_bus_name="operations",
        url_suffix="amazonaws.com",
        log_group="/aws/lambda/canceler",
        endpoint_url=endpoint_url,
    )


class FakeClock:
    """A clock that advances only when something sleeps. Seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = self.start = now
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    @property
    def elapsed(self) -> float:
        """Seconds since the clock began, rounded to milliseconds."""
        return self.since_start(self.now)

    def since_start(self, at: float) -> float:
        return round(at - self.start, 3)

    def sleep(self, seconds: float) -> None:
        """Advance the clock, and record the seconds."""
        with self._lock:
            self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, for other threads too."""
        thread = waiting_thread()
        if thread is not None and seconds > 0:
            thread.wait(self, seconds)
            return
        with self._lock:
            self.now += seconds

    def utc_now(self) -> datetime:
        """Return NOW plus the elapsed time."""
        return NOW + timedelta(seconds=self.now - self.start)


class FakeContext:
    """Lambda's context object, for an invocation that ends `seconds` from now."""

    aws_request_id = "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:iot-job-canceler-Function-k2Jc8sQf0aXb"

    def __init__(self, clock: FakeClock, seconds: float = 300.0) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining time on the fake clock."""
        return round((self._end - self._clock()) * 1000)


@dataclass
class FakeJob(Job):
    """A job that was created 30 days before NOW, unless given."""

    created_at: datetime = field(default=NOW - timedelta(days=30), kw_only=True)
    last_updated_at: datetime = field(default=NOW - timedelta(days=30), kw_only=True)


class FakeJobs(IotSimulator):
    """The IoT simulator by a fake clock, below the handler's own adapter. Calls last no time, unless a test says so."""

    jobs: dict[str, FakeJob]  # type: ignore[assignment] # of the simulator, which needs less

    def __init__(self, jobs: Mapping[str, FakeJob] | None = None, clock: FakeClock | None = None) -> None:
        self._clock = clock or FakeClock()
        super().__init__(jobs, now=self._clock.utc_now, sleep=self._clock.advance)

    def behind(self, gate: Gate) -> IotJobs:
        """The handler's adapter for one run."""
        return IotJobs(cast("IoTClient", SimulatedIotClient(self)), gate)

    @property
    def api(self) -> JobsApi:
        """The handler's adapter, for a run with time enough and no rate limit."""
        return session(self, self._clock).api


def longest(_least: float, most: float) -> float:
    """Always draw the longest jitter."""
    return most


def endless(_least: float, _most: float) -> float:
    """Draw a jitter for which no run has time: an attempt that fails is the call's last one."""
    return math.inf


def new_gate(
    clock: FakeClock,
    seconds: float,
    *,
    per_second: float,
    call_seconds: float = 1.0,
    sleep: Sleep | None = None,
    uniform: Uniform = endless,
) -> Gate:
    """Create the gate of a run of `seconds`, with its own rate limits. By default, each call has one attempt."""
    rate_limits = RateLimits(per_second, clock, sleep or clock.sleep)
    return Gate(rate_limits, Deadline(seconds, clock), uniform, call_seconds=call_seconds)


def session(
    jobs: FakeJobs,
    clock: FakeClock,
    seconds: float = 300.0,
    limits: StackLimits = LIMITS,
    *,
    per_second: float = 1_000_000.0,
    call_seconds: float = 1.0,
    **progress: Any,
) -> Session:
    """Create a Session with `seconds` left. By default, no call waits for the rate limit."""
    gate = new_gate(clock, seconds, per_second=per_second, call_seconds=call_seconds)
    return Session(jobs.behind(gate), gate, limits, clock.utc_now, **progress)
