"""A sweep larger than one invocation, over the service's rules and a queue like SQS, with the function killed twice.

In process and by a fake clock: nothing waits.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, cast, override

import pytest

from handler.aws.iot import IotJobs
from handler.cancellation.job import JobStatus, JobSummary
from handler.cancellation.rate import Gate
from handler.cancellation.report import Trigger
from handler.cancellation.request import CancelReason, parse_request
from handler.cancellation.run import run
from handler.cancellation.selection import select
from handler.cancellation.session import Session
from tests.conftest import Log
from tests.support.aws_lambda import Lambda
from tests.support.fakes import LIMITS, NOW, FakeClock, config, new_gate
from tests.support.quotas import REGION, Quotas, iot_client
from tests.support.response_url import FakePool
from tools.simulators.iot import IotSimulator
from tools.simulators.iot_server import in_process

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

QUOTAS = {"ListJobs": 10.0, "CancelJob": 10.0, "DescribeJob": 10.0, "ListTagsForResource": 10.0}
ARN = "arn:aws:iot:eu-west-1:123456789012:job/"
SCHEDULED = {"id": "e-1", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"}


@pytest.fixture
def client() -> "IoTClient":
    return iot_client()


@pytest.fixture
def backend(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[IotSimulator]:
    """Ten calls a second for each operation, each of which lasts 0.1 s; the SDK's backoff lasts no time."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)
    with in_process(REGION) as rules:
        rules.throttle = Quotas(QUOTAS, clock)
        rules.now = clock.utc_now
        yield rules


def fill(backend: IotSimulator, number_of_jobs: int) -> set[str]:
    """Add jobs. Return the ids of the three in 25 that match a sweep of ota-* older than 168 h."""
    old, young = NOW - timedelta(hours=169), NOW - timedelta(hours=167)
    for number in range(number_of_jobs):
        created_at = old - timedelta(minutes=number)
        match number % 25:
            case 0 | 1 | 2:
                backend.add_job(
                    f"ota-{number}", created_at=created_at, status="IN_PROGRESS" if number % 2 else "SCHEDULED"
                )
            case 3 | 4 | 5:
                backend.add_job(f"ota-young-{number}", created_at=young)
            case 6:
                backend.add_job(f"ota-continuous-{number}", created_at=created_at, target_selection="CONTINUOUS")
            case 7:
                backend.add_job(f"ota-greengrass-{number}", created_at=created_at, namespace="aws-gg-deployment")
            case 8:
                backend.add_job(f"AFR_OTA-{number}", created_at=created_at)
            case 9 | 10 | 11:
                backend.add_job(f"ota-done-{number}", created_at=created_at, status="COMPLETED")
            case _:
                backend.add_job(f"cmd-{number}", created_at=created_at)
    return {f"ota-{number}" for number in range(number_of_jobs) if number % 25 in {0, 1, 2}}


@pytest.fixture
def function(client: "IoTClient", clock: FakeClock, log: Log) -> Lambda:
    """The function with a timeout of 35 s, and a sweep of up to 1,000 jobs."""
    made = Lambda(clock, log, 35)
    sweep = replace(config(limits=replace(LIMITS, max_jobs=1000)), sweep_job_id_glob="ota-*")
    made.wire(sweep, partial(IotJobs, client), FakePool())
    return made


def untouched(backend: IotSimulator, matching: set[str]) -> bool:
    return all(
        job.status in {"IN_PROGRESS", "SCHEDULED", "COMPLETED"}
        for job_id, job in backend.jobs.items()
        if job_id not in matching
    )


def test_sweep_killed_twice_cancels_each_matching_job_once(backend: IotSimulator, function: Lambda) -> None:
    matching = fill(backend, 2500)
    assert len(matching) == 300
    first: Any = function.invoke(SCHEDULED)
    function.kill_at, backend.fault = {10, 60}, function.count_call
    assert first["status"] == "UNFINISHED"
    function.run()
    assert sorted(backend.canceled) == sorted(matching)
    assert untouched(backend, matching)
    assert (function.calls[9], function.calls[59], function.ended["killed"]) == ("ListJobs", "CancelJob", 2)
    assert function.ended["returned"] >= 4
    assert (function.sqs.messages, function.sqs.dead_letters) == ([], [])
    assert function.reports[-1]["status"] == "SETTLED"


# A sweep describes each job before the cancel and after it, so DescribeJob limits it.
@pytest.mark.parametrize(
    ("event", "operation", "invocations"),
    [
        ({"cancel": {"select": {"jobIdGlob": "ota-*"}, "maxJobs": 1000}}, "CancelJob", 2),
        (SCHEDULED, "DescribeJob", 4),
    ],
    ids=["request", "sweep"],
)
def test_large_run_reaches_its_rate_in_several_invocations(
    event: dict[str, Any],
    operation: str,
    invocations: int,
    backend: IotSimulator,
    function: Lambda,
    clock: FakeClock,
) -> None:
    """600 of 5,000 jobs, at eight calls a second of the quota's ten."""
    quotas = Quotas(QUOTAS, clock)
    backend.throttle, function.seconds, function.sqs.visibility_timeout = quotas, 60, 90
    for number in range(5000):
        name = "ota" if number < 600 else "cmd"
        backend.add_job(f"{name}-{number}", created_at=NOW - timedelta(hours=200))
    function.invoke(event)
    function.run()
    assert len(backend.canceled) == 600
    times = quotas.times[operation]
    assert (len(times) - 1) / (times[-1] - times[0]) >= 0.95 * 8
    assert (function.ended["returned"], quotas.throttled) == (invocations, 0)


@pytest.mark.usefixtures("real_threads")
def test_real_threads_share_one_client_and_cancel_each_job_once(client: "IoTClient", clock: FakeClock) -> None:
    with in_process(REGION) as backend:
        for number in range(300):
            backend.add_job(f"job-{number}", tags={"env": "dev"})
        limits = replace(LIMITS, max_jobs=300)
        gate = new_gate(clock, 3600, per_second=1_000_000, sleep=lambda _seconds: None)
        request = parse_request({"select": {"tags": {"env": "dev"}}}, limits, CancelReason.default("STALE", "old"))
        report = run(Session(IotJobs(client, gate), gate, limits, lambda: NOW), request, Trigger.DIRECT)
        assert report.counts == {"CANCELED": 300}
        assert len(set(backend.canceled)) == len(backend.canceled) == 300


# Memory


class Listing(IotJobs):
    """A listing of `number` jobs, 50 of which match. It creates them when they are read."""

    def __init__(self, number: int, gate: Gate) -> None:
        super().__init__(cast("IoTClient", None), gate)
        self.number = number
        self.read = 0

    @override
    def list_jobs(self, status: JobStatus, namespace: str | None = None) -> Iterator[JobSummary]:
        for number in range(self.number if namespace is None and status == JobStatus.IN_PROGRESS else 0):
            if number % 250 == 0:
                self._gate.acquire("ListJobs")
            self.read += 1
            match = number % (self.number // 50) == 0
            job_id = f"ota-{number:06}" if match else f"cmd-{number:06}"
            created_at = NOW - timedelta(days=30)
            yield JobSummary(job_id, f"{ARN}{job_id}", "SNAPSHOT", created_at, created_at)


def peak_of(work: Callable[[], object]) -> int:
    """Bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_of_a_plan_does_not_grow_with_the_listing(clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    peaks: dict[int, int] = {}
    for number in (10_000, 100_000):
        document = {"select": {"jobIdGlob": "ota-*", "excludeJobIdGlobs": ["ota-keep-*"], "olderThanHours": 72}}
        criteria = parse_request(document, LIMITS, CancelReason.default("STALE", "old")).criteria
        assert criteria is not None
        gate = new_gate(clock, 3600, per_second=1_000_000, sleep=lambda _seconds: None)
        listing = Listing(number, gate)
        plan = partial(select, Session(listing, gate, LIMITS, clock.utc_now), criteria)
        assert len(plan().jobs) == 50  # once before, so that what is made only once does not count
        peaks[number] = peak_of(plan)
        assert listing.read == 2 * number
    with capsys.disabled():
        figures = ", ".join(f"{number:,} listed: {peak / 1024:,.0f} KiB" for number, peak in peaks.items())
        print(f"\nmemory of a plan of 50 jobs: {figures}")  # noqa: T201 - the figure of docs/limits-and-cost.md
    assert peaks[100_000] < 1.5 * peaks[10_000]
    assert peaks[100_000] < 1024 * 1024
