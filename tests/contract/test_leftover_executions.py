"""Executions that a cancel without force left running, and that a later run with force ends within AWS's quotas.

In process and by a fake clock: nothing waits.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from handler.aws.iot import IotJobs
from handler.cancellation.request import StackLimits
from tests.conftest import Log
from tests.support.aws_lambda import Lambda
from tests.support.fakes import LIMITS, FakeClock, config
from tests.support.quotas import REGION, Quotas, iot_client
from tests.support.response_url import FakePool
from tools.simulators.events import SELECTION_ID, STACK_ID, delete_request
from tools.simulators.iot import IotSimulator, Job
from tools.simulators.iot_server import in_process

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

QUOTAS = dict.fromkeys(
    (
        *("CancelJob", "DescribeJob", "ListJobs", "ListTagsForResource"),
        *("ListJobExecutionsForJob", "CancelJobExecution"),
    ),
    10.0,
)
FORCED = replace(LIMITS, force=True)
REQUEST = {"cancel": {"jobId": "firmware"}}
DEFAULT_REASON = ("STACK_TEARDOWN", f"Teardown was deleted in {STACK_ID}")
LOG_LOCATION = " (log group /aws/lambda/canceler, correlation_id first)"

type NewLambda = Callable[..., Lambda]


@pytest.fixture
def client() -> "IoTClient":
    return iot_client()


@pytest.fixture
def quotas(clock: FakeClock) -> Quotas:
    return Quotas(QUOTAS, clock)


@pytest.fixture
def backend(quotas: Quotas, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[IotSimulator]:
    """Ten calls a second for each operation, each of which lasts 0.1 s; the SDK's backoff lasts no time."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)
    with in_process(REGION) as rules:
        rules.throttle = quotas
        rules.now = clock.utc_now
        yield rules


@pytest.fixture
def server() -> FakePool:
    return FakePool()


@pytest.fixture
def new_lambda(client: "IoTClient", clock: FakeClock, log: Log, server: FakePool) -> NewLambda:
    """At the service's default quota, with a timeout of 35 s if it is given no other."""

    def new(limits: StackLimits, seconds: float = 35) -> Lambda:
        function = Lambda(clock, log, seconds)
        function.wire(replace(config(limits=limits), cancels_per_second=10), partial(IotJobs, client), server)
        return function

    return new


def things(number: int) -> list[str]:
    """Every third name has a colon, as things of a fleet that is provisioned by site often have."""
    return [f"site-{each % 7}:gateway-{each}" if each % 3 == 0 else f"gateway-{each}" for each in range(number)]


def add_leftover(backend: IotSimulator, number: int, job_id: str = "firmware", **fields: Any) -> Job:
    """Add a job that was canceled without force while `number` devices ran it."""
    running = dict.fromkeys(things(number), "IN_PROGRESS")
    done = {"gateway-early": "SUCCEEDED", "gateway-late": "CANCELED"}
    return backend.add_job(job_id, executions=done | running, status="CANCELED", **fields)


def statuses(job: Job) -> Counter[str]:
    return Counter(job.executions.values())


def ended_once(backend: IotSimulator) -> set[tuple[str, str]]:
    """The executions that CancelJobExecution ended, none of them twice."""
    assert len(backend.executions_canceled) == len(set(backend.executions_canceled))
    return set(backend.executions_canceled)


# By id


def test_run_with_force_ends_600_executions_within_the_quotas(
    backend: IotSimulator, quotas: Quotas, new_lambda: NewLambda
) -> None:
    job = add_leftover(backend, 600)
    function = new_lambda(FORCED)
    first: Any = function.invoke(REQUEST)
    assert (first["status"], first["counts"]) == ("UNFINISHED", {"DEFERRED": 1})
    function.run()
    assert statuses(job) == {"SUCCEEDED": 1, "CANCELED": 601}
    assert ended_once(backend) == {("firmware", thing) for thing in things(600)}
    assert (function.sqs.messages, function.sqs.dead_letters) == ([], [])
    assert 3 <= function.ended["returned"] <= 12
    assert {report["status"] for report in function.reports[:-1]} == {"UNFINISHED"}
    last = function.reports[-1]
    assert (last["status"], last["counts"], last["executionsLeftInProgress"]) == (
        "SETTLED",
        {"ALREADY_CANCELED": 1},
        0,
    )
    assert backend.canceled == []
    assert quotas.throttled == 0
    # Six calls at once, and then ten a second.
    assert {operation: quotas.most_in_a_second(operation) <= 16 for operation in QUOTAS} == dict.fromkeys(QUOTAS, True)
    assert len(quotas.times["CancelJobExecution"]) == 600


# The calls of the first invocation from the queue: three about the job, three pages, and then the cancels.
@pytest.mark.parametrize("hook", ["fault", "lost"], ids=["before-the-call-acts", "after-it"])
def test_killed_run_ends_each_execution_exactly_once(hook: str, backend: IotSimulator, new_lambda: NewLambda) -> None:
    job = add_leftover(backend, 600)
    function = new_lambda(FORCED)
    function.invoke(REQUEST)
    function.kill_at = {5, 60}
    setattr(backend, hook, function.count_call)
    function.run()
    assert (function.calls[4], function.calls[59]) == ("ListJobExecutionsForJob", "CancelJobExecution")
    assert function.ended["killed"] == 2
    assert function.ended["returned"] >= 3
    assert statuses(job) == {"SUCCEEDED": 1, "CANCELED": 601}
    assert ended_once(backend) == {("firmware", thing) for thing in things(600)}
    assert (function.sqs.messages, function.sqs.dead_letters) == ([], [])
    assert function.reports[-1]["status"] == "SETTLED"


# By a repeated teardown


def deletion(server: FakePool, request_id: str, physical_id: str, **properties: object) -> dict[str, Any]:
    url = f"{server.url}/{request_id}?X-Amz-Signature=secret"
    return delete_request(physical_id, url, properties, request_id=request_id)


def responses(server: FakePool) -> list[tuple[str, str, str]]:
    """Path, status and reason of each."""
    sent = [(urlsplit(request.target).path, request.response) for request in server.received]
    return [(path, response["Status"], response["Reason"]) for path, response in sent]


def add_running(backend: IotSimulator, job_id: str, number: int) -> Job:
    return backend.add_job(job_id, executions=dict.fromkeys(things(number), "IN_PROGRESS"))


REASONS = [
    ({}, DEFAULT_REASON),
    ({"Comment": "the rollout was bad"}, ("STACK_TEARDOWN", "the rollout was bad")),
    ({"ReasonCode": "ROLLED_BACK"}, ("ROLLED_BACK", DEFAULT_REASON[1])),
]


# Without a wait, the second deletion with force ends them all the same; the first one fails for other reasons then.
@pytest.mark.parametrize("wait", [{"WaitForExecutionsMinutes": "5"}, {}], ids=["waiting", "not-waiting"])
@pytest.mark.parametrize(("properties_of_the_reason", "reason_of_the_job"), REASONS)
def test_repeated_deletion_of_a_selection_with_force_ends_the_remaining_executions(
    properties_of_the_reason: dict[str, str],
    reason_of_the_job: tuple[str, str],
    wait: dict[str, str],
    backend: IotSimulator,
    new_lambda: NewLambda,
    server: FakePool,
) -> None:
    large, small = add_running(backend, "ota-1", 200), add_running(backend, "ota-2", 1)
    other = add_running(backend, "cmd-1", 2)
    properties = {"Select": {"JobIdGlob": "ota-*"}, **properties_of_the_reason, **wait}
    function = new_lambda(LIMITS, seconds=60)
    function.invoke(deletion(server, "first", SELECTION_ID, **properties))
    function.run()
    reason = "timed out after 5 min: 200 devices still run job ota-1, 1 device still runs job ota-2" + LOG_LOCATION
    assert responses(server) == [("/first", "FAILED", reason) if wait else ("/first", "SUCCESS", "")]
    assert (large.reason_code, large.comment) == reason_of_the_job
    function.configure(limits=FORCED)
    function.invoke(deletion(server, "second", SELECTION_ID, **properties))
    function.run()
    assert responses(server)[1:] == [("/second", "SUCCESS", "")]
    assert (statuses(large), statuses(small)) == ({"CANCELED": 200}, {"CANCELED": 1})
    assert (other.status, statuses(other)) == ("IN_PROGRESS", {"IN_PROGRESS": 2})
    assert len(ended_once(backend)) == 201
    assert sorted(backend.canceled) == ["ota-1", "ota-2"]
    assert (function.sqs.messages, function.sqs.dead_letters) == ([], [])
