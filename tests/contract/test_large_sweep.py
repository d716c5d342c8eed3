"""A sweep larger than one invocation, over the service's rules and a queue like SQS, with the function killed twice.

In process and by a fake clock: nothing waits.
"""

import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from handler.aws.iot import IotJobs
from handler.cancellation.job import JobStatus, JobSummary
from handler.cancellation.rate import Deadline, RateLimit, Turn
from handler.cancellation.report import Trigger
from handler.cancellation.request import CancelReason, parse_request
from handler.cancellation.run import Run
from handler.cloudformation.response import Responder
from handler.config import Sweep
from tests.conftest import Log
from tests.support import lambda_driver
from tests.support.fakes import LIMITS, NOW, FakeClock, FakeJobs, arn_of, config
from tests.support.iot_rules import RulesBackend, in_process
from tests.support.iot_server import TokenBuckets
from tests.support.lambda_driver import REGION, Killed, Process, Quotas, iot_client

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

QUOTAS = {"ListJobs": 10.0, "CancelJob": 10.0, "DescribeJob": 10.0, "ListTagsForResource": 10.0}
SCHEDULED = {"id": "e-1", "detail-type": "Scheduled Event", "source": "aws.scheduler", "detail": "{}"}


@pytest.fixture
def client() -> "IoTClient":
    return iot_client()


@pytest.fixture
def backend(clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[RulesBackend]:
    """Ten calls a second for each operation, each of which takes 0.1 s; the SDK's back-off takes no time."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)
    with in_process(REGION) as rules:
        rules.pace = Quotas(QUOTAS, clock)
        rules.now = clock.utc_now
        yield rules


def fill(backend: RulesBackend, number_of_jobs: int) -> set[str]:
    """So many jobs; the ids of the three in 25 that a sweep of ota-* older than 168 h means."""
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
                backend.add_job(f"ota-greengrass-{number}", created_at=created_at, namespace_id="aws-gg-deployment")
            case 8:
                backend.add_job(f"AFR_OTA-{number}", created_at=created_at)
            case 9 | 10 | 11:
                backend.add_job(f"ota-done-{number}", created_at=created_at, status="COMPLETED")
            case _:
                backend.add_job(f"cmd-{number}", created_at=created_at)
    return {f"ota-{number}" for number in range(number_of_jobs) if number % 25 in {0, 1, 2}}


class Lambda(lambda_driver.Lambda):
    """The function with a time-out of 25 s, and a sweep of up to 1,000 jobs."""

    def __init__(self, client: "IoTClient", clock: FakeClock, log: Log, responder: Responder, process: Process) -> None:
        sweep = replace(config(policy=replace(LIMITS, max_jobs=1000)), sweep=Sweep("ota-*", 168))
        super().__init__(client, clock, log, responder, process, sweep)


def untouched(backend: RulesBackend, matching: set[str]) -> bool:
    return all(
        job.status in {"IN_PROGRESS", "SCHEDULED", "COMPLETED"}
        for job_id, job in backend._jobs.items()
        if job_id not in matching
    )


# Kills in the middle of the cancels, and of the listing.
@pytest.mark.parametrize("kill_at", [{250, 600}, {10, 41}])
def test_a_sweep_that_is_killed_in_the_middle_twice_ends_with_exactly_its_jobs_cancelled_once(
    kill_at: set[int],
    client: "IoTClient",
    backend: RulesBackend,
    clock: FakeClock,
    log: Log,
    responder: Responder,
) -> None:
    matching = fill(backend, 5000)
    assert len(matching) == 600
    process = Process(kill_at)
    function = Lambda(client, clock, log, responder, process)
    first: Any = function.invoke(SCHEDULED)
    backend.fault = process.check
    assert first["status"] == "UNFINISHED"
    function.drain()
    assert set(backend.jobs_cancelled) == matching
    assert set(backend.jobs_cancelled.values()) == {1}
    assert untouched(backend, matching)
    assert function.ended["killed"] == len(kill_at)
    assert function.ended["returned"] >= 4
    assert (function.queue.messages, function.queue.dead) == ([], [])
    assert function.reports[-1]["status"] == "SETTLED"


def test_the_first_delivery_killed_is_delivered_again_by_lambda(
    client: "IoTClient", backend: RulesBackend, clock: FakeClock, log: Log, responder: Responder
) -> None:
    """An asynchronous invocation that was killed has put nothing on the queue: Lambda's own retry takes it up."""
    matching = fill(backend, 1000)
    process = Process({120})
    backend.fault = process.check
    function = Lambda(client, clock, log, responder, process)
    with pytest.raises(Killed):
        function.invoke(SCHEDULED)
    assert (function.queue.messages, function.reports) == ([], [])
    function.invoke(SCHEDULED)
    function.drain()
    assert set(backend.jobs_cancelled) == matching
    assert set(backend.jobs_cancelled.values()) == {1}


def test_throttling_by_others_only_makes_it_take_longer(
    client: "IoTClient", backend: RulesBackend, clock: FakeClock, log: Log, responder: Responder
) -> None:
    matching = fill(backend, 1000)
    slow = TokenBuckets({"CancelJob": 7.0}, clock=clock)
    backend.fault = slow
    function = Lambda(client, clock, log, responder, Process(set()))
    function.invoke(SCHEDULED)
    function.drain()
    assert set(backend.jobs_cancelled) == matching
    assert set(backend.jobs_cancelled.values()) == {1}
    assert function.queue.dead == []


@pytest.mark.usefixtures("real_threads")
def test_real_threads_share_one_client_and_cancel_each_job_once(client: "IoTClient", clock: FakeClock) -> None:
    with in_process(REGION) as backend:
        for number in range(300):
            backend.add_job(f"job-{number}", tags={"env": "dev"})
        policy = replace(LIMITS, max_jobs=300)
        pace = RateLimit(1_000_000, clock, lambda _seconds: None)
        run = Run(IotJobs(client), policy, pace, Deadline(3600, clock), clock.sleep, lambda: NOW)
        request = parse_request({"select": {"tags": {"env": "dev"}}}, policy, CancelReason.default("STALE", "old"))
        report = run.carry_out(request, Trigger.DIRECT)
        assert report.counts == {"CANCELED": 300}
        assert set(backend.jobs_cancelled.values()) == {1}


# Memory


class Listing(FakeJobs):
    """A listing of so many jobs, 50 of which match; they are made when they are asked for."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.read = 0

    def list_jobs(self, status: JobStatus, turn: Turn, namespace: str | None = None) -> Iterator[JobSummary]:
        for number in range(self.number if namespace is None and status == JobStatus.IN_PROGRESS else 0):
            if number % 250 == 0:
                turn()
            self.read += 1
            match = number % (self.number // 50) == 0
            job_id = f"ota-{number:06}" if match else f"cmd-{number:06}"
            created_at = NOW - timedelta(days=30)
            yield JobSummary(job_id, arn_of(job_id), "SNAPSHOT", created_at, created_at)


def peak_of(work: Callable[[], object]) -> int:
    """Bytes."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_the_memory_of_a_plan_grows_with_the_matches_and_not_with_the_list(
    clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    peaks: dict[int, int] = {}
    for number in (10_000, 100_000):
        listing = Listing(number)
        pace = RateLimit(1_000_000, clock, lambda _seconds: None)
        run = Run(listing, LIMITS, pace, Deadline(3600, clock), clock.sleep, lambda: NOW)
        document = {"select": {"jobIdGlob": "ota-*", "excludeJobIdGlobs": ["ota-keep-*"], "olderThanHours": 72}}
        request = parse_request(document, LIMITS, CancelReason.default("STALE", "old"))
        selector = request.selector
        assert selector is not None
        run._selecting(selector).select()  # once before, so that what is made only once does not count

        def plan(run: Run = run, selector: Any = selector) -> None:
            assert len(run._selecting(selector).select().jobs) == 50

        peaks[number] = peak_of(plan)
        assert listing.read == 2 * number
    with capsys.disabled():
        figures = ", ".join(f"{number:,} listed: {peak / 1024:,.0f} KiB" for number, peak in peaks.items())
        print(f"\nmemory of a plan of 50 jobs: {figures}")  # noqa: T201 - the figure of docs/limits-and-cost.md
    assert peaks[100_000] < 1.5 * peaks[10_000]
    assert peaks[100_000] < 1024 * 1024
