"""Calls, memory and bytes logged by the number of listed jobs, of which a hundred match."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.page import Goal, Section, table
from bench.process import run
from bench.scale import Selection
from bench.service import QUOTA, Service, deletion

LISTED = (100, 1_000, 10_000, 100_000)
MATCHES = 100
SWEEP = "a sweep"
_SELECT = {"jobIdGlob": "old-*", "olderThanHours": 1}
# Kind of run → what the model of its calls adds.
KINDS: Mapping[str, Mapping[str, int]] = {
    SWEEP: {},
    "a sweep by tag and thing group": {"per_job_calls": 2},
    "a teardown of a selection": {"rounds": 2},
}
_GROUP = "arn:aws:iot:eu-central-1:123456789012:thinggroup/fleet"
_MAX_MEMORY_RATIO = 1.2  # of 100,000 listed jobs to 1,000
_TEXT = f"""
More and more active jobs, {MATCHES} of which match, without the rate limit. At the quota: the calls of the most
frequent operation divided by it.
"""


@dataclass(frozen=True)
class Growth:
    """One number of listed jobs: calls by operation, CPU seconds, bytes at the peak and in the log, and jobs lost."""

    kind: str
    listed: int
    calls: Mapping[str, int]
    cpu: float
    peak: int
    logged: int
    lost: int

    @property
    def all_calls(self) -> int:
        """The number of calls of all operations."""
        return sum(self.calls.values())

    @property
    def modeled(self) -> int:
        """The number of calls by the model."""
        return Selection(self.listed, MATCHES, **KINDS[self.kind]).calls


def measure(service: Service) -> list[Growth]:
    """Measure each size without the rate limit: at the quota, the calls take their number divided by it."""
    return [_measured(service, kind, event, listed) for kind, event in _events(service) for listed in LISTED]


def _events(service: Service) -> Iterator[tuple[str, Mapping[str, Any]]]:
    sweep, with_per_job_calls, teardown = KINDS
    yield sweep, {"cancel": {"select": _SELECT}}
    yield with_per_job_calls, {"cancel": {"select": {**_SELECT, "tags": {"env": "dev"}, "thingGroupName": "fleet"}}}
    yield teardown, deletion(service.response_url(), Select={"JobIdGlob": "old-*", "OlderThanHours": "1"})


def _measured(service: Service, kind: str, event: Mapping[str, Any], listed: int) -> Growth:
    calls = service.begin()
    created = datetime.now(UTC) - timedelta(hours=2)
    step = listed // MATCHES
    for number in range(listed):
        service.backend.add_job(
            f"old-{number}" if number % step == 0 else f"new-{number}",
            created_at=created,
            status="IN_PROGRESS" if number % 2 else "SCHEDULED",
            tags={"env": "dev"},
            targets=[_GROUP],
        )
    done = run("ours", json.dumps({"events": [event]}), {**service.environment, "CANCELS_PER_SECOND": "100000"})
    lost = MATCHES - service.canceled([f"old-{number}" for number in range(0, listed, step)])
    peak, logged = int(done.errors), len(done.output.encode())
    return Growth(kind, listed, dict(calls.accepted), done.cpu, peak, logged, lost)


def section(rows: list[Growth]) -> Section:
    """Return the section of the page."""
    cells = (
        (
            each.kind,
            f"{each.listed:,}",
            f"{each.all_calls:,}",
            f"{max(each.calls.values()) / QUOTA:,.0f}",
            f"{each.cpu:.1f}",
            f"{each.peak / 2**20:.0f}",
            f"{each.logged:,}",
            str(each.lost),
        )
        for each in rows
    )
    head = ("", "jobs listed", "calls", "at the quota, s", "CPU, s", "peak memory, MiB", "bytes printed", "jobs lost")
    picture = "![calls and memory over the jobs listed](growth.svg)"
    return Section("Growth", [_TEXT, table(head, cells), picture], list(_goals(rows)))


def _goals(rows: list[Growth]) -> Iterator[Goal]:
    for kind, more in KINDS.items():
        own = [row for row in rows if row.kind == kind]
        different = [
            f"{row.all_calls:,} for {row.modeled:,} at {row.listed:,}" for row in own if row.all_calls != row.modeled
        ]
        calls = " and ".join(
            ["pages" if more.get("rounds", 1) == 1 else "pages of each round", "three a match"]
            + ["two a candidate"] * ("per_job_calls" in more)
        )
        yield Goal(
            f"calls of {kind}: {calls}", "all sizes", ", ".join(different) or "all", not different, "calls beside them"
        )
        ratio = own[-1].peak / own[1].peak
        yield Goal(
            f"memory of {kind}, {own[-1].listed:,} listed jobs over {own[1].listed:,}",
            f"≤ {_MAX_MEMORY_RATIO}",
            f"{ratio:.2f}",
            ratio <= _MAX_MEMORY_RATIO,
            "memory for each listed job",
        )
    lost = sum(row.lost for row in rows)
    yield Goal("jobs lost, all sizes", "0", str(lost), lost == 0, "jobs that the selection did not find")
