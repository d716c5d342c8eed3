"""An event for a function that is warm: against the two bare calls that its job takes, in turns in one process."""

import json
from dataclasses import dataclass
from statistics import median

from bench.process import play
from bench.service import Service

EVENTS = 100


@dataclass(frozen=True)
class Warm:
    """Medians over the events: milliseconds more than the bare calls, the ratio of CPU, and calls of the IoT API."""

    milliseconds: float
    cpu: float
    calls: float


def measure(service: Service) -> Warm:
    """100 events, in turns with the bare calls."""
    names = [(f"ours-{number}", f"bare-{number}") for number in range(EVENTS)]
    calls = service.begin()
    for pair in names:
        for name in pair:
            service.backend.add_job(name)
    told = json.loads(play("warm", json.dumps({"pairs": names}), service.environment).errors)
    of_ours = [name for name, _ in names]
    by_ours = sum(job_id in set(of_ours) for _, job_id in service.backend.calls[-calls.all :])
    return Warm(
        milliseconds=1000 * median(ours[0] - bare[0] for ours, bare in told),
        cpu=median(ours[1] / bare[1] for ours, bare in told),
        calls=by_ours / EVENTS,
    )
