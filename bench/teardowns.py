"""From DeleteStack to DELETE_COMPLETE: one resource for all jobs of a stack, or one for each, compared with CDK's.

CloudFormation and Lambda are MiniStack's, IoT is the service with the real rules and the real quota. MiniStack deletes
one resource after the other, where AWS deletes independent resources at the same time. That favors one resource for
each job, because fewer calls are throttled. bench/throughput.py deletes all at the same time.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import Any

from bench.local_account import Account
from bench.page import Goal, Section, table
from bench.service import QUOTA, Service
from tools.localaws import stacks
from tools.polling import wait_for

ROUNDS = {1: 5, 10: 3, 60: 3, 200: 3}  # number of jobs → how many stacks are deleted
_TIMEOUT_SECONDS = 300
_MAX_SECONDS_OF_ONE = 0.3
_POLL_SECONDS = 0.01
_FINAL_STATUSES = ("DELETE_COMPLETE", "DELETE_FAILED")
_REFILL_SECONDS = 1.0  # of the token buckets of the service

_TEXT = f"""
Until DELETE_COMPLETE: medians of {" and ".join(f"{n} stacks of {jobs} jobs" for jobs, n in ROUNDS.items())}, with the
least and the most in brackets. Of the limit: the seconds divided by those that the quota demands, jobs / {QUOTA:.0f}.
CloudFormation and Lambda are MiniStack's, IoT has the quota of {QUOTA:.0f} calls a second, and this function has a rate
limit of as many instead of the default of 8. MiniStack deletes one resource after the other; AWS deletes independent
resources at the same time, and CDK's loses jobs then: see Under the quota.
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
    """Stacks of `jobs` jobs: seconds of each, their median ratio to CDK's, stacks in DELETE_FAILED, and jobs lost."""

    resources: str
    jobs: int
    seconds: Sequence[float]
    ratio: float
    failed: int
    lost: int

    @property
    def of_the_limit(self) -> float:
        """The median of the seconds, divided by those that the quota demands."""
        return median(self.seconds) * QUOTA / self.jobs


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


SELECT, ONE_EACH, CDK = (
    "Custom::IoTJobCancellation, one with a Select",
    "Custom::IoTJobCancellation, one for each job",
    "CDK's AwsCustomResource, one for each job",
)
KINDS: Mapping[str, Callable[[Sequence[str]], _Resources]] = {
    SELECT: _select,
    ONE_EACH: _one_each,
    CDK: _cdk,
}
_NUMBERS = count(1)


def measure(service: Service, account: Account) -> list[Teardown]:
    """Measure each kind with each number of jobs. The first stack of each kind, a cold start, is not counted."""
    for kind in KINDS:
        _delete(service, account, kind, 1)
    return [row for jobs, rounds in ROUNDS.items() for row in _measured(service, account, jobs, rounds)]


def _measured(service: Service, account: Account, jobs: int, rounds: int) -> list[Teardown]:
    taken = [{kind: _delete(service, account, kind, jobs) for kind in KINDS} for _ in range(rounds)]
    return [
        Teardown(
            kind,
            jobs,
            [each[kind].seconds for each in taken],
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
            f"{median(row.seconds):.2f} ({min(row.seconds):.2f} to {max(row.seconds):.2f})",
            f"{row.of_the_limit:.2f}",
            f"{row.ratio:.2f}",
            str(row.failed),
            str(row.lost),
        )
        for row in rows
    )
    head = ("", "jobs", "seconds", "of the limit", "ratio to CDK's", "stacks that failed", "jobs lost")
    return Section("From DeleteStack to DELETE_COMPLETE", [_TEXT, table(head, cells)], list(_goals(rows)))


def _goals(rows: list[Teardown]) -> Iterator[Goal]:
    by_kind = {(row.resources, row.jobs): row for row in rows}
    for kind, jobs, most in ((SELECT, 200, 1.15), (ONE_EACH, 200, 1.3)):
        found = by_kind[kind, jobs].of_the_limit
        yield Goal(
            f"DeleteStack, {jobs} jobs, {kind}: seconds over the quota's limit",
            f"≤ {most}",
            f"{found:.2f}",
            found <= most,
            "the calls beside CancelJob",
        )
    seconds = median(by_kind[SELECT, 1].seconds)
    yield Goal(
        "DeleteStack, 1 job, one with a Select: seconds",
        f"≤ {_MAX_SECONDS_OF_ONE}",
        f"{seconds:.2f}",
        seconds <= _MAX_SECONDS_OF_ONE,
        "the listings of a selection",
    )
    lost = sum(row.lost for row in rows if row.resources != CDK)
    yield Goal("jobs lost by DeleteStack", "0", str(lost), lost == 0, "jobs that failed")
