"""The quotas of AWS IoT on a fake clock, and a client like the function's own."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config as SdkConfig

from tests.support.fakes import FakeClock
from tools.simulators.faults import ServiceError, TokenBuckets

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"


def iot_client() -> "IoTClient":
    """Make a client like the function's own, for a mocked AWS."""
    return boto3.Session().client(
        "iot",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=SdkConfig(retries={"mode": "standard", "total_max_attempts": 1}),
    )


class Quotas:
    """A rate limiter for the simulator: each call lasts 0.1 s, and is throttled where the service would.

    Attributes:
        throttled: number of throttled calls.
        times: when each operation was called.
    """

    def __init__(self, rates: Mapping[str, float], clock: FakeClock) -> None:
        self.throttled = 0
        self.times: dict[str, list[float]] = {operation: [] for operation in rates}
        self._buckets = TokenBuckets(rates, clock=clock)
        self._clock = clock

    def __call__(self, operation: str, target: str) -> None:
        self._clock.advance(0.1)
        if operation in self.times:
            self.times[operation].append(self._clock())
        try:
            self._buckets(operation, target)
        except ServiceError:
            self.throttled += 1
            raise

    def most_in_a_second(self, operation: str) -> int:
        """The most calls of an operation in any one second."""
        times = self.times[operation]
        return max((sum(at <= other < at + 0.999 for other in times) for at in times), default=0)
