"""The built bundle and the bare calls, alternately in one process: wall-clock and CPU seconds of each.

Reads `{"rows": [[job of ours, job of the bare calls], …]}`, where null is skipped.
"""

import json
import sys
import time
from collections.abc import Callable

import boto3

from bench.programs.context import Context
from handler.lambda_function import lambda_handler

REPORT = {"status": "SETTLED", "trigger": "DIRECT", "counts": {"CANCELED": 1}}

iot, events = boto3.client("iot"), boto3.client("events")


def ours(job_id: str) -> None:
    """Cancel the job by the function."""
    lambda_handler({"cancel": {"jobIds": [job_id]}}, Context())


def bare(job_id: str) -> None:
    """Make the two calls for a job, and publish a report."""
    iot.cancel_job(jobId=job_id)
    iot.describe_job(jobId=job_id)
    events.put_events(
        Entries=[{"Source": "bench", "DetailType": "report", "Detail": json.dumps(REPORT), "EventBusName": "default"}]
    )


def taken(act: Callable[[str], None], job_id: str) -> tuple[float, float]:
    """Return wall-clock and CPU seconds."""
    wall, cpu = time.perf_counter(), time.process_time()
    act(job_id)
    return time.perf_counter() - wall, time.process_time() - cpu


rows = [
    [taken(act, job_id) if job_id else None for act, job_id in zip((ours, bare), row, strict=True)]
    for row in json.load(sys.stdin)["rows"]
]
json.dump(rows, sys.stderr)
