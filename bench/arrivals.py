"""From an event on the bus to a canceled job, compared with a function that makes only the one call.

EventBridge, Lambda and AWS IoT are MiniStack's.
"""

import json
import time
from dataclasses import dataclass
from statistics import median
from typing import Literal

from bench import local_account
from bench.local_account import BARE_REQUEST, MEMORY, Account
from bench.page import Section, table
from tools.fleet.devices import Fleet
from tools.polling import wait_for

PAIRS = {"cold": 5, "warm": 15}
_REQUEST = "IoT Job Cancellation Requested"
_DEVICE = "device"
_TIMEOUT_SECONDS = 60
_POLL_SECONDS = 0.002
_IDLE_SECONDS = 0.5  # an event before a function is idle again would start a second environment


_TEXT = f"""
From PutEvents until DescribeJob reads CANCELED, on MiniStack, against a function that only calls `cancel_job`: medians
of {PAIRS["cold"]} pairs that start cold and of {PAIRS["warm"]} warm ones, and the median ratio of the pairs. A cold
start includes that MiniStack unpacks the bundle. The times are a local process's, and not Lambda's.
"""


@dataclass(frozen=True)
class Arrival:
    """Seconds from before PutEvents until DescribeJob reads CANCELED: medians, and the median ratio of the pairs."""

    start: str
    ours: float
    bare: float
    ratio: float


class _Measurement:
    """Sends events for jobs that it creates one by one, with the same clients."""

    def __init__(self, account: Account) -> None:
        self._account, self._fleet = account, Fleet(account.aws)
        self._events, self._iot = account.aws.client("events"), account.aws.client("iot")
        self._lambda = account.aws.client("lambda")
        self._fleet.register(_DEVICE)

    def pair(self, start: str, number: int) -> tuple[float, float]:
        """Return the seconds of this function and of the bare one."""
        account, ours, bare = self._account, f"ours-{start}-{number}", f"bare-{start}-{number}"
        if start == "cold":  # a new configuration starts a new environment
            for function_arn in (account.ours, account.bare):
                self._lambda.update_function_configuration(FunctionName=function_arn, MemorySize=MEMORY)
        runs = {
            ours: lambda: self._seconds(ours, _REQUEST, json.dumps({"cancel": {"jobIds": [ours]}})),
            bare: lambda: self._seconds(bare, BARE_REQUEST, json.dumps({"jobId": bare})),
        }
        taken = {name: runs[name]() for name in ((ours, bare) if number % 2 else (bare, ours))}
        return taken[ours], taken[bare]

    def _seconds(self, job_id: str, detail_type: str, detail: str) -> float:
        self._fleet.create_job(job_id, [_DEVICE])
        time.sleep(_IDLE_SECONDS)
        began = time.monotonic()
        self._events.put_events(Entries=[{"Source": "bench", "DetailType": detail_type, "Detail": detail}])
        wait_for(
            f"{job_id} to be canceled", lambda: self._is_canceled(job_id), seconds=_TIMEOUT_SECONDS, every=_POLL_SECONDS
        )
        return time.monotonic() - began

    def _is_canceled(self, job_id: str) -> Literal[True] | None:
        return True if self._iot.describe_job(jobId=job_id)["job"]["status"] == "CANCELED" else None


def measure() -> list[Arrival]:
    """Measure pairs of events, cold ones first. The first pair is not counted: it fills the caches of the machine."""
    with local_account.running() as account:
        measurement = _Measurement(account)
        measurement.pair("first", 0)
        return [_arrival(start, [measurement.pair(start, number) for number in range(n)]) for start, n in PAIRS.items()]


def _arrival(start: str, pairs: list[tuple[float, float]]) -> Arrival:
    return Arrival(
        start,
        median(ours for ours, _ in pairs),
        median(bare for _, bare in pairs),
        median(ours / bare for ours, bare in pairs),
    )


def section(rows: list[Arrival]) -> Section:
    """Return the section of the page."""
    cells = ((row.start, f"{1000 * row.ours:,.0f}", f"{1000 * row.bare:,.0f}", f"{row.ratio:.2f}") for row in rows)
    head = ("", "this function, ms", "the bare one, ms", "ratio")
    return Section("From an event to a canceled job", [_TEXT, table(head, cells)])
