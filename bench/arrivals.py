"""From an event on the bus to a canceled job: against a function that makes the one call and nothing else.

All of it is MiniStack's: EventBridge, Lambda and IoT.
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
_SECONDS = 60
_POLL = 0.002  # seconds between two looks at the job
_REST = 0.5  # seconds after which a function is idle again; an event before that would start a second environment


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


class _Arriving:
    """Events for jobs that are made one by one, by clients that are made once."""

    def __init__(self, account: Account) -> None:
        self._account, self._fleet = account, Fleet(account.aws)
        self._events, self._iot = account.aws.client("events"), account.aws.client("iot")
        self._lambda = account.aws.client("lambda")
        self._fleet.register(_DEVICE)

    def pair(self, start: str, number: int) -> tuple[float, float]:
        """Seconds of ours, and of the bare one."""
        account, ours, bare = self._account, f"ours-{start}-{number}", f"bare-{start}-{number}"
        if start == "cold":  # a function whose configuration is set begins anew
            for function_arn in (account.ours, account.bare):
                self._lambda.update_function_configuration(FunctionName=function_arn, MemorySize=MEMORY)
        play = {
            ours: lambda: self._seconds(ours, _REQUEST, json.dumps({"cancel": {"jobIds": [ours]}})),
            bare: lambda: self._seconds(bare, BARE_REQUEST, json.dumps({"jobId": bare})),
        }
        taken = {name: play[name]() for name in ((ours, bare) if number % 2 else (bare, ours))}
        return taken[ours], taken[bare]

    def _seconds(self, job_id: str, detail_type: str, detail: str) -> float:
        self._fleet.create_job(job_id, [_DEVICE])
        time.sleep(_REST)
        began = time.monotonic()
        self._events.put_events(Entries=[{"Source": "bench", "DetailType": detail_type, "Detail": detail}])
        wait_for(f"{job_id} to be canceled", lambda: self._is_canceled(job_id), seconds=_SECONDS, every=_POLL)
        return time.monotonic() - began

    def _is_canceled(self, job_id: str) -> Literal[True] | None:
        return True if self._iot.describe_job(jobId=job_id)["job"]["status"] == "CANCELED" else None


def measure() -> list[Arrival]:
    """Events in turns, cold ones first. The very first pair is not counted: it reads what the others find in memory."""
    with local_account.running() as account:
        arriving = _Arriving(account)
        arriving.pair("first", 0)
        return [_arrival(start, [arriving.pair(start, number) for number in range(n)]) for start, n in PAIRS.items()]


def _arrival(start: str, pairs: list[tuple[float, float]]) -> Arrival:
    return Arrival(
        start,
        median(ours for ours, _ in pairs),
        median(bare for _, bare in pairs),
        median(ours / bare for ours, bare in pairs),
    )


def section(rows: list[Arrival]) -> Section:
    """For the page."""
    told = ((row.start, f"{1000 * row.ours:,.0f}", f"{1000 * row.bare:,.0f}", f"{row.ratio:.2f}") for row in rows)
    head = ("", "this function, ms", "the bare one, ms", "ratio")
    return Section("From an event to a canceled job", [_TEXT, table(head, told)])
