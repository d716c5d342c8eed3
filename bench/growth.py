"""Ever more jobs are listed, a hundred of which match: calls, memory, bytes logged."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.page import Goal, Section, table
from bench.process import play
from bench.scale import Selection
from bench.service import QUOTA, Service, deletion

LISTED = (100, 1_000, 10_000, 100_000)
MATCHES = 100
SWEEP = "a sweep"
_SELECT = {"jobIdGlob": "old-*", "olderThanHours": 1}
# How each is asked for, and what it takes by the model.
KINDS: Mapping[str, Mapping[str, int]] = {
    SWEEP: {},
    "a sweep by tag and thing group": {"questions": 2},
    "a teardown of a selection": {"passes": 2},
}
_GROUP = "arn:aws:iot:eu-central-1:123456789012:thinggroup/fleet"
_FLAT = 1.2  # memory over 100,000 jobs to that over 1,000, at most
_TEXT = f"""
Ever more live jobs, {MATCHES} of which match, with the pace taken out. At the quota: the calls of the operation that is
called most, over it.
"""


@dataclass(frozen=True)
class Growth:
    """One size: calls by operation, seconds of CPU, bytes at the peak and in the log, and jobs lost."""

    kind: str
    listed: int
    calls: Mapping[str, int]
    cpu: float
    peak: int
    logged: int
    lost: int

    @property
    def all_calls(self) -> int:
        """Of all operations."""
        return sum(self.calls.values())

    @property
    def modeled(self) -> int:
        """The calls that the model has for it."""
        return Selection(self.listed, MATCHES, **KINDS[self.kind]).calls


def measure(service: Service) -> list[Growth]:
    """Each size. The pace is taken out: what the calls take at the quota is their number over it."""
    return [_measured(service, kind, event, listed) for kind, event in _events(service) for listed in LISTED]


def _events(service: Service) -> Iterator[tuple[str, Mapping[str, Any]]]:
    sweep, by_questions, teardown = KINDS
    yield sweep, {"cancel": {"select": _SELECT}}
    yield by_questions, {"cancel": {"select": {**_SELECT, "tags": {"env": "dev"}, "thingGroupName": "fleet"}}}
    yield teardown, deletion(service.response_url(), Select={"JobIdGlob": "old-*", "OlderThanHours": "1"})


def _measured(service: Service, kind: str, event: Mapping[str, Any], listed: int) -> Growth:
    calls = service.begin()
    made = datetime.now(UTC) - timedelta(hours=2)
    every = listed // MATCHES
    for number in range(listed):
        service.backend.add_job(
            f"old-{number}" if number % every == 0 else f"new-{number}",
            created_at=made,
            status="IN_PROGRESS" if number % 2 else "SCHEDULED",
            tags={"env": "dev"},
            targets=[_GROUP],
        )
    done = play("ours", json.dumps({"events": [event]}), {**service.environment, "CANCELS_PER_SECOND": "100000"})
    lost = MATCHES - service.canceled([f"old-{number}" for number in range(0, listed, every)])
    peak, logged = int(done.errors), len(done.output.encode())
    return Growth(kind, listed, dict(calls.accepted), done.cpu, peak, logged, lost)


def section(rows: list[Growth]) -> Section:
    """For the page."""
    told = (
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
    return Section("Growth", [_TEXT, table(head, told), picture], list(_goals(rows)))


def _goals(rows: list[Growth]) -> Iterator[Goal]:
    for kind, more in KINDS.items():
        own = [row for row in rows if row.kind == kind]
        off = [
            f"{row.all_calls:,} for {row.modeled:,} at {row.listed:,}" for row in own if row.all_calls != row.modeled
        ]
        calls = " and ".join(
            ["pages" if more.get("passes", 1) == 1 else "pages of each pass", "two a match"]
            + ["two a candidate"] * ("questions" in more)
        )
        yield Goal(f"calls of {kind}: {calls}", "all sizes", ", ".join(off) or "all", not off, "calls beside them")
        flat = own[-1].peak / own[1].peak
        yield Goal(
            f"memory of {kind}, {own[-1].listed:,} listed jobs over {own[1].listed:,}",
            f"≤ {_FLAT}",
            f"{flat:.2f}",
            flat <= _FLAT,
            "something that is kept of each listed job",
        )
    lost = sum(row.lost for row in rows)
    yield Goal("jobs lost, all sizes", "0", str(lost), lost == 0, "jobs that the selection did not find")
