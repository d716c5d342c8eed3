"""From DeleteStack to DELETE_COMPLETE: one resource for all jobs of a stack, or one for each, compared with CDK's.

CloudFormation and Lambda are MiniStack's, IoT is the service with the real rules and the real quota. MiniStack deletes
one resource after the other, where AWS deletes independent resources at the same time. That favors one resource for
each job, because fewer calls are throttled. bench/throughput.py deletes all at the same time.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

from bench import local_account
from bench.local_account import Account
from bench.page import Section, table
from bench.service import QUOTA, Service
from tools.localaws import stacks
from tools.polling import wait_for

ROUNDS = {1: 5, 10: 3, 200: 1}  # number of jobs → how many stacks are deleted
_TIMEOUT_SECONDS = 300
_POLL_SECONDS = 0.01
_FINAL_STATUSES = ("DELETE_COMPLETE", "DELETE_FAILED")
_REFILL_SECONDS = 1.0  # of the token buckets of the service

_TEXT = f"""
Until DELETE_COMPLETE: medians of {" and ".join(f"{n} stacks of {jobs} jobs" for jobs, n in ROUNDS.items())}.
CloudFormation and Lambda are MiniStack's, IoT has the quota of {QUOTA:.0f} calls a second. This function keeps its
default rate of 8 a second, also for the six pages of a selection, and retries a job that is throttled twice from its
queue after 20 s: that is most of the difference. MiniStack deletes one resource after the other; AWS deletes
independent resources at the same time, and CDK's loses jobs then: see Under the quota.
"""

type _Resources = Mapping[str, Any]


@dataclass(frozen=True)
class Deletion:
    """One stack: seconds until the end of its deletion, the final status, and the number of jobs not canceled."""

    seconds: float
    status: str
    lost: int


@dataclass(frozen=True)
class Teardown:
    """Stacks of `jobs` jobs: the median in seconds, its ratio to CDK's, stacks in DELETE_FAILED, and jobs lost."""

    resources: str
    jobs: int
    seconds: float
    ratio: float
    failed: int
    lost: int


def _select(job_ids: Sequence[str]) -> _Resources:
    return {"Teardown": _ours(Select={"JobIdGlob": f"{job_ids[0].rpartition('-')[0]}-*"})}


def _one_each(job_ids: Sequence[str]) -> _Resources:
    return {f"Teardown{number}": _ours(JobId=job_id) for number, job_id in enumerate(job_ids)}


def _ours(**properties: object) -> Mapping[str, Any]:
    return {"Type": "Custom::IoTJobCancellation", "Properties": {"ServiceToken": {"Ref": "Function"}, **properties}}


def _cdk(job_ids: Sequence[str]) -> _Resources:
    return {f"Teardown{number}": _aws_custom_resource(job_id) for number, job_id in enumerate(job_ids)}


def _aws_custom_resource(job_id: str) -> Mapping[str, Any]:
    """Return the resource that CDK creates for `onDelete`, without its policy."""
    call = json.dumps({"service": "iot", "action": "cancelJob", "parameters": {"jobId": job_id}}, separators=(",", ":"))
    properties = {"ServiceToken": {"Ref": "Function"}, "Delete": call, "InstallLatestAwsSdk": "false"}
    return {"Type": "Custom::AWS", "Properties": properties}


CDK = "CDK's AwsCustomResource, one for each job"
KINDS: Mapping[str, Callable[[Sequence[str]], _Resources]] = {
    "Custom::IoTJobCancellation, one with a Select": _select,
    "Custom::IoTJobCancellation, one for each job": _one_each,
    CDK: _cdk,
}
_NUMBERS = count(1)


def measure(service: Service) -> list[Teardown]:
    """Measure each kind with each number of jobs. The first stack of each kind, a cold start, is not counted."""
    with local_account.running(service.environment["AWS_ENDPOINT_URL"]) as account:
        for kind in KINDS:
            _delete(service, account, kind, 1)
        return [row for jobs, rounds in ROUNDS.items() for row in _measured(service, account, jobs, rounds)]


def _measured(service: Service, account: Account, jobs: int, rounds: int) -> list[Teardown]:
    taken = [{kind: _delete(service, account, kind, jobs) for kind in KINDS} for _ in range(rounds)]
    return [
        Teardown(
            kind,
            jobs,
            median(each[kind].seconds for each in taken),
            median(each[kind].seconds / each[CDK].seconds for each in taken),
            sum(each[kind].status == "DELETE_FAILED" for each in taken),
            sum(each[kind].lost for each in taken),
        )
        for kind in KINDS
    ]


def _delete(service: Service, account: Account, kind: str, jobs: int) -> Deletion:
    name = f"stack{next(_NUMBERS)}"
    job_ids = [f"{name}-{number}" for number in range(jobs)]
    service.begin(quota=QUOTA)
    for job_id in job_ids:
        service.backend.add_job(job_id, status="IN_PROGRESS")
    # A template is 51,200 bytes at most, unless it is in a bucket.
    template = {"Parameters": {"Function": {"Type": "String"}}, "Resources": KINDS[kind](job_ids)}
    function = {"Function": account.cdk if kind == CDK else account.ours}
    stacks.create(account.aws, name, json.dumps(template, separators=(",", ":")), function, seconds=_TIMEOUT_SECONDS)
    stack_id, cloudformation = stacks.id_of(account.aws, name), account.aws.client("cloudformation")

    def end() -> str | None:
        status = cloudformation.describe_stacks(StackName=stack_id)["Stacks"][0]["StackStatus"]
        return status if status in _FINAL_STATUSES else None

    end()  # the first call of a client takes longer
    time.sleep(_REFILL_SECONDS)
    began = time.monotonic()
    cloudformation.delete_stack(StackName=name)
    status = wait_for(f"the deletion of {name}", end, seconds=_TIMEOUT_SECONDS, every=_POLL_SECONDS)
    return Deletion(time.monotonic() - began, status, jobs - service.canceled(job_ids))


def section(rows: list[Teardown]) -> Section:
    """Return the section of the page."""
    cells = (
        (
            row.resources,
            str(row.jobs),
            f"{row.seconds:.2f}",
            f"{row.ratio:.2f}",
            str(row.failed),
            str(row.lost),
        )
        for row in rows
    )
    head = ("", "jobs", "seconds", "ratio to CDK's", "stacks that failed", "jobs lost")
    return Section("From DeleteStack to DELETE_COMPLETE", [_TEXT, table(head, cells)])
