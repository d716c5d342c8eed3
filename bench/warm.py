"""An event for a warm function, compared with the bare calls for its job, alternately in one process."""

import json
from dataclasses import dataclass
from statistics import median

from bench.page import Goal, Section, table
from bench.process import instructions, run
from bench.service import Service

EVENTS = 100
WARM_UP = 5  # of the events, which are not counted
_COUNTED = 20  # events whose instructions are counted
_CALLS, _MAX_MILLISECONDS, _MAX_RATIO = 2.0, 2.0, 1.15  # at most
_OBSTACLE = "parsing the event, the log line, the metrics and the report"
_NO_LIMIT = {"CANCELS_PER_SECOND": "100000"}  # of the container, which has one event right after the other here
_TEXT = f"""
{EVENTS - WARM_UP} events of one job, after {WARM_UP} others, alternating with bare calls, in one process and without
the rate limit: medians. Each run makes three calls: CancelJob, DescribeJob, and PutEvents for its report. The goals
are for three bare calls; two are shown beside them. Instructions are those of {_COUNTED} more events, by
`valgrind --tool=callgrind`.
"""


@dataclass(frozen=True)
class Warm:
    """`calls` of the IoT API per event, and a comparison with two bare calls, and with those and PutEvents.

    Milliseconds are median differences; the others are median ratios.
    """

    calls: float
    milliseconds: float
    milliseconds_with_put: float
    cpu: float
    cpu_with_put: float
    instructions: float
    instructions_with_put: float


def measure(service: Service) -> Warm:
    """Measure alternately with the bare calls; then each alone, for the instructions."""
    names = [[f"{kind}-{number}" for kind in ("ours", "bare", "put")] for number in range(EVENTS)]
    calls = service.begin()
    for name in (each for row in names for each in row):
        service.backend.add_job(name)
    rows = json.loads(run("warm", json.dumps({"rows": names}), {**service.environment, **_NO_LIMIT}).errors)[WARM_UP:]
    others = {name for row in names for name in row[1:]}
    by_ours = sum(job_id not in others for _, job_id in service.backend.calls[-calls.all :])
    counts = [_instructions_of_an_event(service, kind) for kind in range(3)]
    return Warm(
        calls=by_ours / EVENTS,
        milliseconds=1000 * median(ours[0] - bare[0] for ours, bare, _ in rows),
        milliseconds_with_put=1000 * median(ours[0] - put[0] for ours, _, put in rows),
        cpu=median(ours[1] / bare[1] for ours, bare, _ in rows),
        cpu_with_put=median(ours[1] / put[1] for ours, _, put in rows),
        instructions=counts[0] / counts[1],
        instructions_with_put=counts[0] / counts[2],
    )


def _instructions_of_an_event(service: Service, kind: int) -> float:
    """Return the instructions that one more event adds to the process."""
    few, many = (_counted(service, kind, events) for events in (_COUNTED, 2 * _COUNTED))
    return (many - few) / _COUNTED


def _counted(service: Service, kind: int, events: int) -> int:
    names = [f"job-{number}" for number in range(events)]
    service.begin()
    for name in names:
        service.backend.add_job(name)
    rows = [[name if place == kind else None for place in range(3)] for name in names]
    return instructions("warm", json.dumps({"rows": rows}), {**service.environment, **_NO_LIMIT})


def section(warm: Warm) -> Section:
    """Return the section of the page."""
    rows = (
        ("milliseconds more", f"{warm.milliseconds:.1f}", f"{warm.milliseconds_with_put:.1f}"),
        ("ratio of instructions", f"{warm.instructions:.2f}", f"{warm.instructions_with_put:.2f}"),
        ("ratio of CPU seconds", f"{warm.cpu:.2f}", f"{warm.cpu_with_put:.2f}"),
    )
    goals = [
        Goal(
            "warm, calls of the IoT API a job",
            f"{_CALLS:.0f}",
            f"{warm.calls:.2f}",
            warm.calls == _CALLS,
            "calls beside CancelJob and DescribeJob",
        ),
        Goal(
            "warm, milliseconds over three bare calls",
            f"≤ {_MAX_MILLISECONDS:.0f}",
            f"{warm.milliseconds_with_put:.1f}",
            warm.milliseconds_with_put <= _MAX_MILLISECONDS,
            _OBSTACLE,
        ),
        Goal(
            "warm, instructions over three bare calls",
            f"≤ {_MAX_RATIO:.2f}",
            f"{warm.instructions_with_put:.2f}",
            warm.instructions_with_put <= _MAX_RATIO,
            _OBSTACLE,
        ),
    ]
    return Section("Warm", [_TEXT, table(("", "over two bare calls", "over three"), rows)], goals)
