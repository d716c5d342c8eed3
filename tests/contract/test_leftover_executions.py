"""Executions that a cancel without force has left, and a later run with force ends: over the rules and quotas of AWS.

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
FORCED, GENTLE = replace(LIMITS, force=True), LIMITS
REQUEST = {"cancel": {"jobId": "firmware"}}
MADE_BY_DEFAULT = ("STACK_TEARDOWN", f"Teardown was deleted in {STACK_ID}")
WHERE_TO_LOOK = " (log group /aws/lambda/canceler, correlation_id first)"

type NewLambda = Callable[..., Lambda]


@pytest.fixture
def client() -> "IoTClient":
    return iot_client()


@pytest.fixture
def quotas(clock: FakeClock) -> Quotas:
    return Quotas(QUOTAS, clock)


@pytest.fixture
def backend(quotas: Quotas, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[IotSimulator]:
    """Ten calls a second for each operation, each of which takes 0.1 s; the SDK's back-off takes no time."""
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
    """At the service's default quota, with a timeout of 25 s if it is given no other."""

    def new(policy: StackLimits, seconds: float = 25) -> Lambda:
        function = Lambda(clock, log, seconds)
        function.wire(replace(config(policy=policy), cancels_per_second=10), partial(IotJobs, client), server)
        return function

    return new


def things(number: int) -> list[str]:
    """Every third name has a colon, as things of a fleet that is provisioned by site often have."""
    return [f"site-{each % 7}:gateway-{each}" if each % 3 == 0 else f"gateway-{each}" for each in range(number)]


def add_leftover(backend: IotSimulator, number: int, job_id: str = "firmware", **fields: Any) -> Job:
    """A job that was cancelled without force while so many devices ran it."""
    running = dict.fromkeys(things(number), "IN_PROGRESS")
    done = {"gateway-early": "SUCCEEDED", "gateway-late": "CANCELED"}
    return backend.add_job(job_id, executions=done | running, status="CANCELED", **fields)


def statuses(job: Job) -> Counter[str]:
    return Counter(job.executions.values())


def ended_once(backend: IotSimulator) -> set[tuple[str, str]]:
    """The executions that CancelJobExecution ended, none of them twice."""
    assert len(backend.executions_cancelled) == len(set(backend.executions_cancelled))
    return set(backend.executions_cancelled)


def operations(backend: IotSimulator) -> set[str]:
    return {operation for operation, _ in backend.calls}


# By id


def test_a_run_with_force_ends_600_executions_that_were_left_over_several_invocations_within_the_quota(
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
    assert backend.cancelled == []
    assert quotas.throttled == 0
    assert {operation: quotas.most_in_a_second(operation) <= 10 for operation in QUOTAS} == dict.fromkeys(QUOTAS, True)
    assert len(quotas.times["CancelJobExecution"]) == 600


# The calls of the first invocation from the queue: four about the job, three pages, and then the cancels.
@pytest.mark.parametrize("hook", ["fault", "lost"], ids=["before-the-call-acts", "after-it"])
def test_a_run_that_is_killed_in_the_listing_and_in_the_cancels_ends_each_of_600_executions_exactly_once(
    hook: str, backend: IotSimulator, new_lambda: NewLambda
) -> None:
    job = add_leftover(backend, 600)
    function = new_lambda(FORCED)
    function.invoke(REQUEST)
    function.kill_at = {6, 60}
    setattr(backend, hook, function.count_call)
    function.run()
    assert (function.calls[5], function.calls[59]) == ("ListJobExecutionsForJob", "CancelJobExecution")
    assert function.ended["killed"] == 2
    assert function.ended["returned"] >= 3
    assert statuses(job) == {"SUCCEEDED": 1, "CANCELED": 601}
    assert ended_once(backend) == {("firmware", thing) for thing in things(600)}
    assert (function.sqs.messages, function.sqs.dead_letters) == ([], [])
    assert function.reports[-1]["status"] == "SETTLED"


def test_executions_that_end_while_the_run_goes_on_are_as_they_should_be(
    backend: IotSimulator, new_lambda: NewLambda
) -> None:
    """Every tenth device reports success just before its execution would be cancelled, and one before it is listed."""
    job = add_leftover(backend, 300)
    ended = set(things(300)[::10])

    def report(operation: str, target: str) -> None:
        thing = target.removeprefix("firmware/")
        if operation == "CancelJobExecution" and thing in ended:
            backend.finish_execution("firmware", thing, "SUCCEEDED")
        if operation == "CancelJob" and job.executions["gateway-1"] == "IN_PROGRESS":
            backend.finish_execution("firmware", "gateway-1", "SUCCEEDED")

    backend.fault = report
    function = new_lambda(FORCED)
    function.invoke(REQUEST)
    function.run()
    assert {thing: job.executions[thing] for thing in ended} == dict.fromkeys(ended, "SUCCEEDED")
    assert statuses(job) == {"SUCCEEDED": 32, "CANCELED": 270}
    assert len(ended_once(backend)) == 269
    assert (function.reports[-1]["status"], function.sqs.dead_letters) == ("SETTLED", [])


def test_with_force_off_executions_that_were_left_are_counted_and_not_touched(
    backend: IotSimulator, new_lambda: NewLambda
) -> None:
    job = add_leftover(backend, 2000)
    report: Any = new_lambda(GENTLE).invoke(REQUEST)
    assert (report["status"], report["counts"]) == ("SETTLED", {"ALREADY_CANCELED": 1})
    assert report["executionsLeftInProgress"] == 2000
    assert statuses(job) == {"SUCCEEDED": 1, "CANCELED": 1, "IN_PROGRESS": 2000}
    assert backend.calls == [("CancelJob", "firmware"), ("DescribeJob", "firmware")]


def test_a_dry_run_with_force_tells_what_it_would_end_and_ends_nothing(
    backend: IotSimulator, new_lambda: NewLambda
) -> None:
    job = add_leftover(backend, 20)
    report: Any = new_lambda(replace(FORCED, dry_run=True)).invoke(REQUEST)
    assert [row["detail"] for row in report["jobs"]] == ["its executions that still run would be canceled"]
    assert statuses(job)["IN_PROGRESS"] == 20
    assert operations(backend) == {"DescribeJob", "ListTagsForResource"}


def test_only_running_executions_are_listed_and_each_call_is_made_once(
    backend: IotSimulator, new_lambda: NewLambda
) -> None:
    ended = {f"ended-{number}": "SUCCEEDED" for number in range(600)}
    executions = ended | dict.fromkeys(things(3), "IN_PROGRESS")
    backend.add_job("firmware", executions=executions, status="CANCELED")
    report: Any = new_lambda(FORCED).invoke(REQUEST)
    assert [(row["outcome"], row["detail"]) for row in report["jobs"]] == [
        ("ALREADY_CANCELED", "ended 3 executions that an earlier cancel left running")
    ]
    assert [operation for operation, _ in backend.calls] == [
        *("CancelJob", "DescribeJob", "DescribeJob", "ListTagsForResource", "ListJobExecutionsForJob"),
        *["CancelJobExecution"] * 3,
        "DescribeJob",
    ]


def test_pages_of_executions_come_at_the_pace_of_the_run(
    backend: IotSimulator, quotas: Quotas, new_lambda: NewLambda
) -> None:
    add_leftover(backend, 600)
    function = new_lambda(FORCED)
    function.configure(cancels_per_second=2)
    function.invoke(REQUEST)
    first, second, third = quotas.times["ListJobExecutionsForJob"]
    assert (round(second - first, 3), round(third - second, 3)) == (0.5, 0.5)


def test_more_executions_than_are_listed_at_a_time_are_ended_by_the_next_invocations(
    backend: IotSimulator, new_lambda: NewLambda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handler.cancellation.executions.MAX_EXECUTIONS", 10)
    job = add_leftover(backend, 25)
    function = new_lambda(FORCED)
    function.invoke(REQUEST)
    function.run()
    told = [(report["status"], report["jobs"][0]["detail"]) for report in function.reports]
    assert told == [
        ("UNFINISHED", "ended 10 executions that an earlier cancel left running; more are running"),
        ("UNFINISHED", "ended 10 executions that an earlier cancel left running; more are running"),
        ("SETTLED", "ended 5 executions that an earlier cancel left running"),
    ]
    assert (statuses(job), len(ended_once(backend))) == ({"SUCCEEDED": 1, "CANCELED": 26}, 25)


def test_the_executions_of_a_protected_job_and_of_one_outside_the_prefix_are_not_touched(
    backend: IotSimulator, new_lambda: NewLambda, server: FakePool
) -> None:
    protected = add_leftover(backend, 3, "ota-1", tags={"Cancel-Protection": "TRUE"})
    outside = add_leftover(backend, 3, "cmd-1")
    function = new_lambda(replace(FORCED, job_id_prefix="ota-"))
    report: Any = function.invoke({"cancel": {"jobId": "ota-1"}})
    assert [(job["outcome"], job["detail"], job["executionsLeftInProgress"]) for job in report["jobs"]] == [
        ("ALREADY_CANCELED", "its executions still run: the job is tagged cancel-protection=true", 3)
    ]
    function.seconds = 60
    report = function.invoke(deletion(server, "first", "cmd-1", JobId="cmd-1"))
    assert report["counts"] == {"ALREADY_CANCELED": 1}
    assert (statuses(protected)["IN_PROGRESS"], statuses(outside)["IN_PROGRESS"]) == (3, 3)
    assert "CancelJobExecution" not in operations(backend)


# By a teardown that is tried again


def deletion(server: FakePool, request_id: str, physical_id: str, **properties: object) -> dict[str, Any]:
    url = f"{server.url}/{request_id}?X-Amz-Signature=secret"
    return delete_request(physical_id, url, properties, request_id=request_id)


def answers(server: FakePool) -> list[tuple[str, str, str]]:
    """Path, status and reason of each."""
    taken = [(urlsplit(request.target).path, request.response) for request in server.received]
    return [(path, response["Status"], response["Reason"]) for path, response in taken]


def add_running(backend: IotSimulator, job_id: str, number: int) -> Job:
    return backend.add_job(job_id, executions=dict.fromkeys(things(number), "IN_PROGRESS"))


def test_a_deletion_that_timed_out_gently_and_is_tried_again_with_force_leaves_no_execution(
    backend: IotSimulator, new_lambda: NewLambda, server: FakePool
) -> None:
    job = add_running(backend, "firmware", 500)
    function = new_lambda(GENTLE, seconds=60)
    properties = {"JobId": "firmware", "WaitForExecutionsMinutes": "5", "OnIncomplete": "FAIL"}
    function.invoke(deletion(server, "first", "firmware", **properties))
    function.run()
    reason = "timed out after 5 min: 500 devices still run job firmware" + WHERE_TO_LOOK
    assert answers(server) == [("/first", "FAILED", reason)]
    assert (statuses(job), backend.executions_cancelled) == ({"IN_PROGRESS": 500}, [])
    function.configure(limits=FORCED)
    function.invoke(deletion(server, "second", "firmware", **properties))
    function.run()
    assert answers(server)[1:] == [("/second", "SUCCESS", "")]
    assert (statuses(job), len(ended_once(backend))) == ({"CANCELED": 500}, 500)
    assert (function.sqs.messages, function.sqs.dead_letters, backend.cancelled) == ([], [], ["firmware"])


HISTORIES = [
    ({}, MADE_BY_DEFAULT),
    ({"Comment": "the roll-out was bad"}, ("STACK_TEARDOWN", "the roll-out was bad")),
    ({"ReasonCode": "ROLLED_BACK"}, ("ROLLED_BACK", MADE_BY_DEFAULT[1])),
]


# Without a wait, the second deletion with force ends them all the same; the first one fails for other reasons then.
@pytest.mark.parametrize("wait", [{"WaitForExecutionsMinutes": "5"}, {}], ids=["waiting", "not-waiting"])
@pytest.mark.parametrize(("history", "known_by"), HISTORIES)
def test_a_deletion_of_a_selection_that_is_tried_again_with_force_ends_what_its_first_try_has_left(
    history: dict[str, str],
    known_by: tuple[str, str],
    wait: dict[str, str],
    backend: IotSimulator,
    new_lambda: NewLambda,
    server: FakePool,
) -> None:
    large, small = add_running(backend, "ota-1", 200), add_running(backend, "ota-2", 1)
    other = add_running(backend, "cmd-1", 2)
    properties = {"Select": {"JobIdGlob": "ota-*"}, **history, **wait}
    function = new_lambda(GENTLE, seconds=60)
    function.invoke(deletion(server, "first", SELECTION_ID, **properties))
    function.run()
    reason = "timed out after 5 min: 1 device still runs job ota-2, 200 devices still run job ota-1" + WHERE_TO_LOOK
    assert answers(server) == [("/first", "FAILED", reason) if wait else ("/first", "SUCCESS", "")]
    assert (large.reason_code, large.comment) == known_by
    function.configure(limits=FORCED)
    function.invoke(deletion(server, "second", SELECTION_ID, **properties))
    function.run()
    assert answers(server)[1:] == [("/second", "SUCCESS", "")]
    assert (statuses(large), statuses(small)) == ({"CANCELED": 200}, {"CANCELED": 1})
    assert (other.status, statuses(other)) == ("IN_PROGRESS", {"IN_PROGRESS": 2})
    assert len(ended_once(backend)) == 201
    assert sorted(backend.cancelled) == ["ota-1", "ota-2"]
    assert (function.sqs.messages, function.sqs.dead_letters) == ([], [])


# A job in the scope of Select, and whether the second deletion ends its executions: what it was cancelled with decides.
OTHERS: dict[str, tuple[str, dict[str, Any], bool]] = {
    "by the first try": ("ota-own", {"reason_code": MADE_BY_DEFAULT[0], "comment": MADE_BY_DEFAULT[1]}, True),
    "by a person, without a reason": ("ota-x", {}, False),
    "for another reason": ("ota-x", {"reason_code": "BY_HAND", "comment": MADE_BY_DEFAULT[1]}, False),
    "with another comment": ("ota-x", {"reason_code": "STACK_TEARDOWN", "comment": "Teardown was deleted"}, False),
    "by another resource of the stack": (
        "ota-x",
        {"reason_code": "STACK_TEARDOWN", "comment": f"Teardown2 was deleted in {STACK_ID}"},
        False,
    ),
    "by the first try of a selection that had another glob": (
        "cmd-x",
        {"reason_code": MADE_BY_DEFAULT[0], "comment": MADE_BY_DEFAULT[1]},
        False,
    ),
}


@pytest.mark.parametrize("who", OTHERS)
def test_a_job_that_somebody_else_has_cancelled_is_not_touched_by_a_deletion_with_force(
    who: str, backend: IotSimulator, new_lambda: NewLambda, server: FakePool
) -> None:
    job_id, fields, is_ours = OTHERS[who]
    job = add_leftover(backend, 3, job_id, **fields)
    mine = add_running(backend, "ota-live", 2)
    function = new_lambda(FORCED, seconds=60)
    function.invoke(deletion(server, "first", SELECTION_ID, Select={"JobIdGlob": "ota-*"}))
    function.run()
    assert answers(server) == [("/first", "SUCCESS", "")]
    assert statuses(mine) == {"CANCELED": 2}
    assert statuses(job)["IN_PROGRESS"] == (0 if is_ours else 3)
    assert ("ListJobExecutionsForJob", job_id) in backend.calls or not is_ours
    assert {name for name, _ in backend.executions_cancelled if name == job_id} == ({job_id} if is_ours else set())


def test_a_deletion_with_force_ends_no_execution_of_a_job_that_its_tags_do_not_mean(
    backend: IotSimulator, new_lambda: NewLambda, server: FakePool
) -> None:
    """Two stacks of one template that gives the same Comment: what tells their jobs apart is the tag."""
    theirs = add_leftover(
        backend, 3, "ota-theirs", tags={"stack": "b"}, reason_code="STACK_TEARDOWN", comment="rolled back"
    )
    function = new_lambda(FORCED, seconds=60)
    function.invoke(deletion(server, "first", SELECTION_ID, Select={"Tags": {"stack": "a"}}, Comment="rolled back"))
    function.run()
    assert answers(server) == [("/first", "SUCCESS", "")]
    assert statuses(theirs)["IN_PROGRESS"] == 3


def test_a_run_that_waits_ends_no_execution_of_a_job_that_another_request_has_cancelled(
    backend: IotSimulator, new_lambda: NewLambda
) -> None:
    """All direct requests without a comment give the same one: it does not tell whose a job was."""
    theirs = add_leftover(
        backend,
        3,
        "ota-theirs",
        tags={"site": "b"},
        reason_code="DIRECT_REQUEST",
        comment="Requested by a direct request",
    )
    function = new_lambda(FORCED, seconds=60)
    function.invoke({"cancel": {"select": {"tags": {"site": "a"}}, "waitForExecutionsMinutes": 5}})
    function.run()
    assert function.reports[-1]["status"] == "SETTLED"
    assert statuses(theirs)["IN_PROGRESS"] == 3
