"""Sixty jobs under the service's quota, at three latencies: how near to the quota, throttled calls, jobs lost."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.page import Goal, Section, table
from bench.process import play
from bench.service import QUOTA, Service, deletion

JOBS = 60
LATENCIES = (0.020, 0.100, 0.300)  # seconds
CDK, TEARDOWNS = "aws-custom-resource.mjs", "teardowns"
PROGRAMS = {
    "ours": "this function",
    TEARDOWNS: "this function, a teardown for each job",
    "loop": "a sequential loop of boto3",
    "tutorial": "a Lambda as the tutorials have it",
    "passes": "aws-nuke's way",
    CDK: "CDK's AwsCustomResource, one for each job",
}


_LEAST_RATE, _MOST_THROTTLED = 0.95, 0.01
_TEXT = f"""
{JOBS} jobs, {QUOTA:.0f} calls a second of each operation allowed, and a pace of as many instead of the default of 8.
All jobs in one event; or, where each has a resource of its own, all of those deleted at once, each in a function of
its own, so that nobody can keep a pace: what ours is refused then comes again from its queue, after 20 s. Rate: cancels
a second over the quota, from the first cancel to the last. Above 1 is what was allowed at once before; who gives jobs
up has few cancels, and so a high rate. aws-nuke's way is its algorithm, in boto3. One run each.
"""


@dataclass(frozen=True)
class Throughput:
    """One program at one latency.

    `seconds`: from the first cancel to the last of those that came to pass. `rate`: cancels a second over the quota,
    in those. A program that gives jobs up after a few seconds has one above 1: ten calls were allowed at once before.
    `throttled`: of all calls. `answers`: how often CloudFormation was told what, if it was asked by one resource for
    each job.
    """

    program: str
    latency: float
    seconds: float
    rate: float
    throttled: float
    lost: int
    answers: Mapping[str, int] = field(default_factory=dict)


def measure(service: Service) -> list[Throughput]:
    """Each program at each latency."""
    return [_measured(service, program, latency) for program in PROGRAMS for latency in LATENCIES]


def _measured(service: Service, program: str, latency: float) -> Throughput:
    job_ids = [f"firmware-{number}" for number in range(JOBS)]
    calls = service.begin(latency=latency, quota=QUOTA)
    for job_id in job_ids:
        service.backend.add_job(job_id, status="IN_PROGRESS")
    asked: list[Mapping[str, object]] = [{"cancel": {"jobIds": job_ids}}]
    if program == TEARDOWNS:
        keys = [f"{latency}/{job_id}" for job_id in job_ids]
        asked = [
            deletion(service.response_url(key), f"Teardown{number}", JobId=job_ids[number])
            for number, key in enumerate(keys)
        ]
    done = play(program, json.dumps({"events": asked}), service.environment)
    canceled = service.canceled(job_ids)
    took = calls.cancels_at[-1] - calls.cancels_at[0]
    return Throughput(
        program,
        latency,
        took,
        (canceled - 1) / took / QUOTA,
        calls.throttled.total() / calls.all,
        JOBS - canceled,
        service.answers(keys) if program == TEARDOWNS else json.loads(done.errors) if program == CDK else {},
    )


def section(rows: list[Throughput]) -> Section:
    """For the page."""
    told = (
        (
            PROGRAMS[each.program],
            f"{1000 * each.latency:.0f}",
            f"{each.seconds:.1f}",
            f"{each.rate:.2f}",
            f"{each.throttled:.1%}",
            str(each.lost),
            "; ".join(f"{number} times {answer}" for answer, number in each.answers.items()),
        )
        for each in rows
    )
    head = ("", "latency, ms", "seconds", "rate", "throttled calls", "jobs lost", "told to CloudFormation")
    picture = "![rate by latency](throughput.svg)"
    return Section("Under the quota", [_TEXT, table(head, told), picture], _goals(rows))


def _goals(rows: list[Throughput]) -> list[Goal]:
    ours = [row for row in rows if row.program == "ours"]
    rate, throttled, lost = min(row.rate for row in ours), max(row.throttled for row in ours), sum(r.lost for r in ours)
    return [
        Goal(
            "cancels a second over the quota, worst latency",
            f"≥ {_LEAST_RATE}",
            f"{rate:.2f}",
            rate >= _LEAST_RATE,
            "the pace, or too few threads for the latency",
        ),
        Goal(
            "throttled calls, worst latency",
            f"< {_MOST_THROTTLED:.0%}",
            f"{throttled:.1%}",
            throttled < _MOST_THROTTLED,
            "calls beside the pace",
        ),
        Goal("jobs lost under the quota", "0", str(lost), lost == 0, "jobs that were given up"),
    ]
