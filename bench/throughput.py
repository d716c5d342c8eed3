"""Sixty jobs under the quota of the service, at three latencies: rate, throttled calls, jobs lost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.page import Goal, Section, table
from bench.process import run
from bench.service import QUOTA, Service, deletion

JOBS = 60
LATENCIES = (0.020, 0.100, 0.300)  # seconds
CDK, TEARDOWNS = "aws-custom-resource.mjs", "teardowns"
PROGRAMS = {
    "ours": "this function",
    TEARDOWNS: "this function, a teardown for each job",
    "loop": "a sequential loop of boto3",
    "tutorial": "a Lambda as the tutorials have it",
    "rounds": "aws-nuke's algorithm",
    CDK: "CDK's AwsCustomResource, one for each job",
}


_MIN_RATE, _MAX_THROTTLED = 0.95, 0.01
_TEXT = f"""
{JOBS} jobs, {QUOTA:.0f} calls a second of each operation allowed, and a rate limit of as many instead of the default of
8. All jobs are in one event; or each job has its own resource, all of which are deleted at the same time, each in its
own invocation, so that they share no rate limit: this function then retries throttled jobs from its queue, after 20 s.
Rate: cancels per second divided by the quota, from the first cancel to the last. The initial burst allows a rate above
1, most of all for a program that cancels few jobs. aws-nuke's algorithm is written in boto3. One run each.
"""


@dataclass(frozen=True)
class Throughput:
    """One program at one latency.

    `seconds`: from the first accepted cancel to the last. `rate`: cancels per second in that time, divided by the
    quota. A program that fails after a few seconds has a rate above 1, because of the burst of ten calls.
    `throttled`: the share of all calls. `responses`: number of responses to CloudFormation by Status, for one
    resource per job.
    """

    program: str
    latency: float
    seconds: float
    rate: float
    throttled: float
    lost: int
    responses: Mapping[str, int] = field(default_factory=dict)


def measure(service: Service) -> list[Throughput]:
    """Measure each program at each latency."""
    return [_measured(service, program, latency) for program in PROGRAMS for latency in LATENCIES]


def _measured(service: Service, program: str, latency: float) -> Throughput:
    job_ids = [f"firmware-{number}" for number in range(JOBS)]
    calls = service.begin(latency=latency, quota=QUOTA)
    for job_id in job_ids:
        service.backend.add_job(job_id, status="IN_PROGRESS")
    requests: list[Mapping[str, object]] = [{"cancel": {"jobIds": job_ids}}]
    if program == TEARDOWNS:
        keys = [f"{latency}/{job_id}" for job_id in job_ids]
        requests = [
            deletion(service.response_url(key), f"Teardown{number}", JobId=job_ids[number])
            for number, key in enumerate(keys)
        ]
    done = run(program, json.dumps({"events": requests}), service.environment)
    canceled = service.canceled(job_ids)
    took = calls.cancels_at[-1] - calls.cancels_at[0]
    return Throughput(
        program,
        latency,
        took,
        (canceled - 1) / took / QUOTA,
        calls.throttled.total() / calls.all,
        JOBS - canceled,
        service.responses(keys) if program == TEARDOWNS else json.loads(done.errors) if program == CDK else {},
    )


def section(rows: list[Throughput]) -> Section:
    """Return the section of the page."""
    cells = (
        (
            PROGRAMS[each.program],
            f"{1000 * each.latency:.0f}",
            f"{each.seconds:.1f}",
            f"{each.rate:.2f}",
            f"{each.throttled:.1%}",
            str(each.lost),
            "; ".join(f"{number} times {status}" for status, number in each.responses.items()),
        )
        for each in rows
    )
    head = ("", "latency, ms", "seconds", "rate", "throttled calls", "jobs lost", "responses to CloudFormation")
    picture = "![rate by latency](throughput.svg)"
    return Section("Under the quota", [_TEXT, table(head, cells), picture], _goals(rows))


def _goals(rows: list[Throughput]) -> list[Goal]:
    ours = [row for row in rows if row.program == "ours"]
    rate, throttled, lost = min(row.rate for row in ours), max(row.throttled for row in ours), sum(r.lost for r in ours)
    return [
        Goal(
            "cancels a second over the quota, worst latency",
            f"≥ {_MIN_RATE}",
            f"{rate:.2f}",
            rate >= _MIN_RATE,
            "the rate limit, or too few threads for the latency",
        ),
        Goal(
            "throttled calls, worst latency",
            f"< {_MAX_THROTTLED:.0%}",
            f"{throttled:.1%}",
            throttled < _MAX_THROTTLED,
            "calls without the rate limit",
        ),
        Goal("jobs lost under the quota", "0", str(lost), lost == 0, "jobs that failed"),
    ]
