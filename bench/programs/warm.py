"""The built bundle and two bare calls in turns, in one process: seconds of both, on the clock and on the CPU."""

import json
import sys
import time
from collections.abc import Callable

import boto3

from bench.programs.context import Context
from handler.start import lambda_handler

WARM_UP = 5

iot = boto3.client("iot")


def bare(job_id: str) -> None:
    """The two calls that a job takes."""
    iot.cancel_job(jobId=job_id)
    iot.describe_job(jobId=job_id)


def ours(job_id: str) -> None:
    """The same by the function."""
    lambda_handler({"cancel": {"jobIds": [job_id]}}, Context())


def taken(act: Callable[[str], None], job_id: str) -> tuple[float, float]:
    """On the clock, and on the CPU."""
    wall, cpu = time.perf_counter(), time.process_time()
    act(job_id)
    return time.perf_counter() - wall, time.process_time() - cpu


told = []
for number, (one, other) in enumerate(json.load(sys.stdin)["pairs"]):
    pair = taken(ours, one), taken(bare, other)
    if number >= WARM_UP:
        told.append(pair)
json.dump(told, sys.stderr)
