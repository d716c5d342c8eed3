"""An event for a warm function, compared with the bare calls for its job, alternately in one process."""

import json
from dataclasses import dataclass
from functools import partial
from statistics import median

from bench.page import Goal, Section, table
from bench.process import at_once, instructions, run
from bench.service import Service

EVENTS = 100
WARM_UP = 5  # of the events, which are not counted
_COUNTED = 20  # events whose instructions are counted
_CALLS, _MAX_MILLISECONDS, _MAX_RATIO = 2.0, 2.0, 1.15  # at most
_OBSTACLE = "parsing the event, the log line, the metrics and the report"
_NO_LIMIT = {"CANCELS_PER_SECOND": "100000"}  # of the container, which has one event right after the other here
_TEXT = f"""
{EVENTS - WARM_UP} events of one job, after {WARM_UP} others, alternating with bare calls, in one process and without
the rate limit: medians. A run makes three calls: CancelJob, DescribeJob, and PutEvents for its report. The bare calls
are the same three, by boto3. Instructions are those of {_COUNTED} more events, by `valgrind --tool=callgrind`.
"""


@dataclass(frozen=True)
class Warm:
    """`calls` of the IoT API per event, and a comparison with three bare calls.

    `milliseconds` is the median difference, and `cpu` the median ratio, both event by event. `instructions` is the
    ratio of the sums.
    """

    calls: float
    milliseconds: float
    cpu: float
    instructions: float


def measure(service: Service) -> Warm:
    """Measure alternately with the bare calls; then each alone, for the instructions."""
    names = [[f"{kind}-{number}" for kind in ("ours", "bare")] for number in range(EVENTS)]
    calls = service.begin()
    for name in (each for row in names for each in row):
        service.backend.add_job(name)
    rows = json.loads(run("warm", json.dumps({"rows": names}), {**service.environment, **_NO_LIMIT}).errors)[WARM_UP:]
    others = {bare for _, bare in names}
    by_ours = sum(job_id not in others for _, job_id in service.backend.calls[-calls.all :])
    return Warm(
        calls=by_ours / EVENTS,
        milliseconds=1000 * median(ours[0] - bare[0] for ours, bare in rows),
        cpu=median(ours[1] / bare[1] for ours, bare in rows),
        instructions=_ratio_of_instructions(service),
    )


def _ratio_of_instructions(service: Service) -> float:
    """Return the instructions of more events, divided by those of as many bare calls."""
    service.begin()
    few, bare_few, many, bare_many = at_once(
        [partial(_counted, service, kind, events) for events in (_COUNTED, 2 * _COUNTED) for kind in ("ours", "bare")]
    )
    return (many - few) / (bare_many - bare_few)


def _counted(service: Service, kind: str, events: int) -> int:
    names = [f"{kind}-{events}-{number:02}" for number in range(events)]
    for name in names:
        service.backend.add_job(name)
    rows = [[name, None] if kind == "ours" else [None, name] for name in names]
    return instructions("warm", json.dumps({"rows": rows}), {**service.environment, **_NO_LIMIT})


def section(warm: Warm) -> Section:
    """Return the section of the page."""
    rows = (
        ("milliseconds more", f"{warm.milliseconds:.1f}"),
        ("ratio of instructions", f"{warm.instructions:.2f}"),
        ("ratio of CPU seconds", f"{warm.cpu:.2f}"),
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
            f"{warm.milliseconds:.1f}",
            warm.milliseconds <= _MAX_MILLISECONDS,
            _OBSTACLE,
        ),
        Goal(
            "warm, instructions over three bare calls",
            f"≤ {_MAX_RATIO:.2f}",
            f"{warm.instructions:.2f}",
            warm.instructions <= _MAX_RATIO,
            _OBSTACLE,
        ),
    ]
    return Section("Warm", [_TEXT, table(("", "over three bare calls"), rows)], goals)
