"""Sixty jobs under the service's quota, at three latencies: how near to the quota, throttled calls, jobs lost."""

import json
from dataclasses import dataclass

from bench.process import play
from bench.service import QUOTA, Service

JOBS = 60
LATENCIES = (0.020, 0.100, 0.300)  # seconds
PROGRAMS = {
    "ours": "this function",
    "loop": "a sequential loop of boto3",
    "tutorial": "a Lambda as the tutorials have it",
    "passes": "what aws-nuke does",
}


@dataclass(frozen=True)
class Throughput:
    """One program at one latency. `rate`: cancels a second over the quota; `throttled`: of all calls."""

    program: str
    latency: float
    rate: float
    throttled: float
    lost: int


def measure(service: Service) -> list[Throughput]:
    """Each program at each latency."""
    return [_measured(service, program, latency) for program in PROGRAMS for latency in LATENCIES]


def _measured(service: Service, program: str, latency: float) -> Throughput:
    job_ids = [f"firmware-{number}" for number in range(JOBS)]
    calls = service.begin(latency=latency, quota=QUOTA)
    for job_id in job_ids:
        service.backend.add_job(job_id, status="IN_PROGRESS")
    play(program, json.dumps({"events": [{"cancel": {"jobIds": job_ids}}]}), service.environment)
    cancelled = service.cancelled(job_ids)
    took = calls.cancels_at[-1] - calls.cancels_at[0]
    return Throughput(
        program, latency, (cancelled - 1) / took / QUOTA, calls.throttled.total() / calls.all, JOBS - cancelled
    )
