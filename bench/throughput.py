"""Many jobs under the quota of the service, in one event or in many at once: seconds, throttled calls, jobs lost."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from bench.page import Goal, Section, table
from bench.process import run
from bench.service import QUOTA, Service, deletion, running

JOBS = 60
LATENCIES = (0.020, 0.100, 0.300)  # seconds
RUNS = 3  # of each program at each latency
OURS, CDK, TEARDOWNS, CONTENTION = "ours", "aws-custom-resource.mjs", "teardowns", "contention"
PROGRAMS = {
    OURS: "this function, one event",
    TEARDOWNS: "this function, 60 teardowns at once",
    CONTENTION: "this function, 20 teardowns, one of a selection, and two sweeps at once",
    CDK: "CDK's AwsCustomResource, 60 at once",
    "loop": "a sequential loop of boto3",
    "tutorial": "a Lambda as the tutorials have it",
    "rounds": "aws-nuke's algorithm",
}
AT_EACH_LATENCY = (OURS, TEARDOWNS, CDK)

_MIN_RATE, _MAX_THROTTLED = 0.95, 0.01
_MAX_OF_THE_LIMIT, _MAX_THROTTLED_AT_ONCE = 1.5, 0.30
_TEXT = f"""
{JOBS} jobs, {QUOTA:.0f} calls a second of each operation allowed, and a rate limit of as many instead of the default
of 8. All jobs are in one event; or each job has its own resource, all of which are deleted at the same time, each in
its own invocation, so that they share no rate limit; or 20 jobs have their own resources, one more resource has 10
others, by its property Select, and two events have 15 each. Seconds: between the first and the last cancel. Of the
limit: these, divided by the {JOBS / QUOTA:.0f} s that the quota demands; the initial burst allows less than 1. The
median of {RUNS} runs, and the least and most in brackets. aws-nuke's algorithm is written in boto3. At the
same time, another process measures the section From DeleteStack to DELETE_COMPLETE. Each process has its own service
and quota, but both share the processor.
"""


@dataclass(frozen=True)
class Throughput:
    """One program at one latency: a value for each run.

    `seconds`: from the first accepted cancel to the last. `throttled`: the share of all calls. `lost`: jobs that are
    not canceled, in all runs. `responses`: number of responses to CloudFormation by Status, in all runs.
    """

    program: str
    latency: float
    seconds: Sequence[float]
    throttled: Sequence[float]
    lost: int
    responses: Mapping[str, int] = field(default_factory=dict)

    @property
    def of_the_limit(self) -> float:
        """The median of the seconds, divided by those that the quota demands."""
        return median(self.seconds) * QUOTA / JOBS

    @property
    def rate(self) -> float:
        """Cancels per second, divided by the quota."""
        return (JOBS - self.lost / len(self.seconds) - 1) / median(self.seconds) / QUOTA


def measure() -> list[Throughput]:
    """Measure this function and CDK's at each latency, and the others at the second one."""
    with running() as service:
        return [
            _measured(service, program, latency)
            for program in PROGRAMS
            for latency in (LATENCIES if program in AT_EACH_LATENCY else LATENCIES[1:2])
        ]


def _measured(service: Service, program: str, latency: float) -> Throughput:
    runs = [_run(service, program, latency, f"{latency}-{number}") for number in range(RUNS)]
    return Throughput(
        program,
        latency,
        [seconds for seconds, _, _, _ in runs],
        [throttled for _, throttled, _, _ in runs],
        sum(lost for _, _, lost, _ in runs),
        sum((responses for _, _, _, responses in runs), Counter()),
    )


def _run(service: Service, program: str, latency: float, name: str) -> tuple[float, float, int, Counter[str]]:
    job_ids = [f"firmware-{number}" for number in range(JOBS)]
    calls = service.begin(latency=latency, quota=QUOTA)
    for job_id in job_ids:
        service.backend.add_job(job_id, status="IN_PROGRESS")
    requests, keys = _requests(service, program, job_ids, name)
    concurrent = TEARDOWNS if program == CONTENTION else program
    done = run(concurrent, json.dumps({"events": requests}), service.environment)
    responses = service.responses(keys)
    if program == CDK:
        responses = Counter(json.loads(done.errors))
    lost = JOBS - service.canceled(job_ids)
    return calls.cancels_at[-1] - calls.cancels_at[0], calls.throttled.total() / calls.all, lost, responses


def _requests(
    service: Service, program: str, job_ids: Sequence[str], name: str
) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Return the events of a program, and the keys of the responses to them."""
    if program not in {TEARDOWNS, CONTENTION}:
        return [{"cancel": {"jobIds": job_ids}}], []
    alone = job_ids if program == TEARDOWNS else job_ids[:20]
    keys = [f"{program}/{name}/{job_id}" for job_id in alone]
    requests: list[Mapping[str, Any]] = [
        deletion(service.response_url(key), f"Teardown{number}", JobId=job_id)
        for number, (key, job_id) in enumerate(zip(keys, alone, strict=True))
    ]
    if program == CONTENTION:
        keys.append(f"{program}/{name}/selection")
        # firmware-20 to firmware-29, of the others
        requests.append(deletion(service.response_url(keys[-1]), "Selection", Select={"JobIdGlob": "firmware-2?"}))
        requests += [{"cancel": {"jobIds": job_ids[30:45]}}, {"cancel": {"jobIds": job_ids[45:]}}]
    return requests, keys


def section(rows: list[Throughput]) -> Section:
    """Return the section of the page."""
    cells = (
        (
            PROGRAMS[each.program],
            f"{1000 * each.latency:.0f}",
            f"{median(each.seconds):.1f} ({min(each.seconds):.1f} to {max(each.seconds):.1f})",
            f"{each.of_the_limit:.2f}",
            f"{median(each.throttled):.1%} ({min(each.throttled):.1%} to {max(each.throttled):.1%})",
            str(each.lost),
            "; ".join(f"{number} times {status}" for status, number in each.responses.items()),
        )
        for each in rows
    )
    head = ("", "latency, ms", "seconds", "of the limit", "throttled calls", "jobs lost", "responses to CloudFormation")
    picture = "![seconds by latency](throughput.svg)"
    return Section("Under the quota", [_TEXT, table(head, cells), picture], _goals(rows))


def _goals(rows: list[Throughput]) -> list[Goal]:
    one, at_once = ([row for row in rows if row.program == program] for program in (OURS, TEARDOWNS))
    rate, throttled = min(row.rate for row in one), max(median(row.throttled) for row in one)
    of_the_limit = max(row.of_the_limit for row in at_once)
    throttled_at_once = max(median(row.throttled) for row in at_once)
    lost = sum(row.lost for row in rows if row.program in {OURS, TEARDOWNS, CONTENTION})
    obstacle = "calls of functions that do not know of each other"
    return [
        Goal(
            "cancels a second over the quota, worst latency",
            f"≥ {_MIN_RATE}",
            f"{rate:.2f}",
            rate >= _MIN_RATE,
            "the rate limit, or too few threads for the latency",
        ),
        Goal(
            "throttled calls of one event, worst latency",
            f"< {_MAX_THROTTLED:.0%}",
            f"{throttled:.1%}",
            throttled < _MAX_THROTTLED,
            "calls without the rate limit",
        ),
        Goal(
            "60 teardowns at once, seconds over the quota's limit, worst latency",
            f"≤ {_MAX_OF_THE_LIMIT}",
            f"{of_the_limit:.2f}",
            of_the_limit <= _MAX_OF_THE_LIMIT,
            obstacle,
        ),
        Goal(
            "60 teardowns at once, throttled calls, worst latency",
            f"≤ {_MAX_THROTTLED_AT_ONCE:.0%}",
            f"{throttled_at_once:.1%}",
            throttled_at_once <= _MAX_THROTTLED_AT_ONCE,
            obstacle,
        ),
        Goal("jobs lost under the quota", "0", str(lost), lost == 0, "jobs that failed"),
    ]
