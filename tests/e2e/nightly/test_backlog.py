"""Large runs continue across invocations: remaining work waits in the queue and is completed from there."""

import json
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Canceler, deployed, messages, own_bus, unique
from tests.support.stacks import template
from tools.localaws import stacks
from tools.localaws.aws import LocalAws
from tools.polling import wait_for
from tools.simulators.faults import TokenBuckets
from tools.simulators.iot_server import IotServer

REGION = "eu-central-1"
QUOTA = dict.fromkeys(("CancelJob", "DescribeJob", "ListJobs", "ListTagsForResource"), 10.0)


@pytest.fixture(scope="module")
def bulk(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """A stack for many jobs, on a bus of its own."""
    parameters = {"MaxJobsPerRun": "1000", "CancelsPerSecond": "9"}
    with own_bus(aws, "bulk") as bus, deployed(aws, build_dir, "bulk", **parameters, **bus) as stack:
        yield stack


def depth(canceler: Canceler, queue: str) -> int:
    return messages(canceler.aws, canceler.outputs[queue])


def drained(canceler: Canceler) -> bool | None:
    return True if depth(canceler, "BacklogQueueUrl") == 0 else None


def at_least(number: int, canceled: list[str]) -> bool | None:
    return True if len(canceled) >= number else None


def kill_workers(canceler: Canceler) -> int:
    """Kill every process that runs the function, and return their number. They are children of MiniStack."""
    command_line = ["ps", "-A", "-ww", "-o", "pid=", "-o", "ppid=", "-o", "command="]
    listed = subprocess.run(command_line, capture_output=True, text=True, check=True).stdout  # noqa: S603 - ours
    rows = [line.split(maxsplit=2) for line in listed.splitlines()]
    own = [int(pid) for pid, parent, command in rows if int(parent) == canceler.aws.pid and "_worker" in command]
    for pid in own:
        os.kill(pid, signal.SIGKILL)
    return len(own)


def test_a_killed_sweep_finishes_from_the_queue(bulk: Canceler) -> None:
    matching = {f"stale-{number}" for number in range(150)}
    with IotServer(REGION) as iot, bulk.environment(AWS_ENDPOINT_URL_IOT=iot.url), bulk.short_lived(seconds=30):
        for job_id in sorted(matching | {f"other-{number}" for number in range(850)}):
            iot.backend.add_job(job_id)
        iot.backend.throttle = TokenBuckets(QUOTA)
        bulk.invoke_asynchronously({"cancel": {"select": {"jobIdGlob": "stale-*"}}})
        for reached in (20, 90):
            wait_for(f"{reached} jobs", partial(at_least, reached, iot.backend.canceled), seconds=90)
            wait_for("a running function to kill", lambda: kill_workers(bulk) or None, seconds=30)
        wait_for("all jobs", lambda: set(iot.backend.canceled) == matching or None, seconds=240)
        wait_for("an empty backlog", lambda: drained(bulk), seconds=60)
        assert sorted(iot.backend.canceled) == sorted(matching)
    assert depth(bulk, "FailureQueueUrl") == 0


def test_a_message_that_crashes_the_function_can_be_redriven(
    bulk: Canceler,
) -> None:
    sqs = bulk.aws.client("sqs")
    backlog, failures = bulk.outputs["BacklogQueueUrl"], bulk.outputs["FailureQueueUrl"]
    job_id = bulk.job("poison", queued=1, started=0)
    event = {"cancel": {"jobId": job_id}}
    with bulk.environment(AWS_ENDPOINT_URL_IOT="not an endpoint"), bulk.short_lived(seconds=3, receives=3):
        sqs.send_message(QueueUrl=backlog, MessageBody=json.dumps(event))
        wait_for("the failure queue", lambda: depth(bulk, "FailureQueueUrl") or None, seconds=90)
        wait_for("an empty backlog", lambda: drained(bulk), seconds=30)
    (message,) = sqs.receive_message(QueueUrl=failures)["Messages"]
    assert json.loads(message["Body"]) == event
    # As StartMessageMoveTask, which MiniStack does not support.
    sqs.send_message(QueueUrl=backlog, MessageBody=message["Body"])
    sqs.delete_message(QueueUrl=failures, ReceiptHandle=message["ReceiptHandle"])
    assert bulk.report_on(job_id)["counts"] == {"CANCELED": 1}
    wait_for("an empty backlog", lambda: drained(bulk), seconds=60)


def test_concurrent_sweeps_and_teardown_settle_with_correct_reports(bulk: Canceler) -> None:
    iot, shared = bulk.aws.client("iot"), unique("shared")
    arn = iot.create_thing(thingName=shared)["thingArn"]
    jobs = {f"{shared}-{number}" for number in range(200)}
    for job_id in sorted(jobs):
        iot.create_job(jobId=job_id, targets=[arn], document="{}")
    selected = {"Select": {"JobIdGlob": f"{shared}-*"}, "ServiceTimeout": 300}
    stacks.create(bulk.aws, shared, template(bulk.service_token, selected, ("Force",)), {})
    sweep = {"cancel": {"select": {"jobIdGlob": f"{shared}-*"}}}
    with bulk.environment(CANCELS_PER_SECOND="50"), ThreadPoolExecutor(3) as pool:
        running: list[Any] = [pool.submit(bulk.invoke, sweep), pool.submit(bulk.invoke, sweep)]
        running.append(pool.submit(stacks.delete, bulk.aws, shared))
        assert [each.result() is not None for each in running[:2]] == [True, True]
        running[2].result()
    reports = [report for report in bulk.log.reports() if any(job["jobId"] in jobs for job in report["jobs"])]
    assert {report["status"] for report in reports} == {"SETTLED"}
    outcomes = Counter((job["jobId"], job["outcome"]) for report in reports for job in report["jobs"])
    assert {job_id for (job_id, outcome), number in outcomes.items() if outcome == "CANCELED" and number == 1} == jobs
    assert {outcome for _, outcome in outcomes} <= {"CANCELED", "ALREADY_CANCELED"}
    assert {iot.describe_job(jobId=job_id)["job"]["status"] for job_id in jobs} == {"CANCELED"}
    assert depth(bulk, "FailureQueueUrl") == 0
