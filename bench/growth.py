"""A sweep over ever more jobs, a hundred of which match: calls, memory, bytes logged."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.process import play
from bench.service import Service

LISTED = (100, 1_000, 10_000, 100_000)
MATCHES = 100
EVENT: Mapping[str, Any] = {"cancel": {"select": {"jobIdGlob": "old-*", "olderThanHours": 1}}}


@dataclass(frozen=True)
class Growth:
    """One size: calls by operation, seconds of CPU, bytes at the peak and in the log."""

    listed: int
    calls: Mapping[str, int]
    cpu: float
    peak: int
    logged: int


def measure(service: Service) -> list[Growth]:
    """Each size. The pace is taken out: what the calls take at the quota is their number over it."""
    return [_measured(service, listed) for listed in LISTED]


def _measured(service: Service, listed: int) -> Growth:
    calls = service.begin()
    made = datetime.now(UTC) - timedelta(hours=2)
    every = listed // MATCHES
    for number in range(listed):
        name = f"old-{number}" if number % every == 0 else f"new-{number}"
        service.backend.add_job(name, created_at=made, status="IN_PROGRESS" if number % 2 else "SCHEDULED")
    done = play("ours", json.dumps({"events": [EVENT]}), {**service.environment, "CANCELS_PER_SECOND": "100000"})
    return Growth(listed, dict(calls.accepted), done.cpu, int(done.errors), len(done.output.encode()))
