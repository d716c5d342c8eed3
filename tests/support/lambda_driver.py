"""The function as Lambda runs it, over the service's rules and quotas, by a fake clock: time-outs, kills, queues."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config as SdkConfig

from handler.app import lambda_handler
from handler.aws.iot import IotJobs
from handler.cloudformation.response import Responder
from handler.config import Config
from handler.pipeline import Services
from tests.conftest import Log
from tests.support.bus import FakeBus
from tests.support.fakes import FakeBacklog, FakeClock, FakeContext
from tests.support.iot_rules import Parameters
from tests.support.iot_server import AwsError, TokenBuckets

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"


def iot_client() -> "IoTClient":
    """As the function's own, for a mocked AWS."""
    return boto3.Session().client(
        "iot",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=SdkConfig(retries={"mode": "standard", "total_max_attempts": 2}),
    )


class Quotas:
    """A pace for the rules' backend: each call takes 0.1 s, and is throttled where the service would.

    Attributes:
        throttled: how many calls were.
        times: when the calls of each operation came.
    """

    def __init__(self, rates: Mapping[str, float], clock: FakeClock) -> None:
        self.throttled = 0
        self.times: dict[str, list[float]] = {operation: [] for operation in rates}
        self._buckets = TokenBuckets(rates, clock=clock)
        self._clock = clock

    def __call__(self, operation: str, parameters: Parameters) -> None:
        self._clock.advance(0.1)
        if operation in self.times:
            self.times[operation].append(self._clock())
        try:
            self._buckets(operation, parameters)
        except AwsError:
            self.throttled += 1
            raise

    def most_in_a_second(self, operation: str) -> int:
        """The most calls of an operation in any one second."""
        times = self.times[operation]
        return max((sum(at <= other < at + 0.999 for other in times) for at in times), default=0)


class Killed(BaseException):
    """SIGKILL: no handler code does anything any more."""


class Process:
    """Kills the function at chosen calls of the IoT API; a dead process calls nothing, the queue neither.

    `killed_in` are the operations of these calls.
    """

    def __init__(self, kill_at: set[int]) -> None:
        self.calls = 0
        self.is_dead = False
        self.killed_in: list[str] = []
        self._kill_at = kill_at

    def check(self, operation: str, _called_for: object) -> None:
        """Before a call acts, or after it."""
        self.calls += 1
        if not self.is_dead and self.calls in self._kill_at:
            self.is_dead = True
            self.killed_in.append(operation)
        if self.is_dead:
            raise Killed

    def check_queue(self, _call: str) -> None:
        if self.is_dead:
            raise Killed


class Lambda:
    """The function with a time-out in seconds, its queues, and how its invocations ended."""

    def __init__(
        self,
        client: "IoTClient",
        clock: FakeClock,
        log: Log,
        responder: Responder,
        process: Process,
        settings: Config,
        seconds: float = 25,
    ) -> None:
        self.clock, self.log, self.process, self.seconds = clock, log, process, seconds
        self.queue = FakeBacklog(clock)
        self.bus = FakeBus()
        self.queue.lease = seconds + 30
        self.queue.fault = process.check_queue
        self.services = Services(
            settings,
            partial(IotJobs, client),
            self.queue.port,
            self.bus.port,
            responder,
            log.telemetry,
            clock,
            clock.sleep,
            clock.utc_now,
        )
        self.ended: Counter[str] = Counter()

    def configure(self, **changes: Any) -> None:
        """Change fields of the Config."""
        self.services = replace(self.services, config=replace(self.services.config, **changes))

    def invoke(self, event: object) -> Any:
        """One invocation, in a process that lives."""
        self.process.is_dead = False
        began = self.clock()
        try:
            answer = lambda_handler(event, FakeContext(self.clock, self.seconds), self.services)
        except Killed:
            self.ended["killed"] += 1
            raise
        assert self.clock() - began <= self.seconds
        self.ended["returned"] += 1
        return answer

    def drain(self) -> None:
        while self.queue.messages:
            try:
                self.queue.deliver(self.invoke)
            except Killed:
                continue  # the message comes again when its lease ends

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [line["report"] for line in self.log.lines if line["message"] == "report"]
