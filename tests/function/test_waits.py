"""Waiting for devices in the whole function: each poll, each response, and redelivered events.

Times are seconds since the first delivery, by a fake clock.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, override
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from tests.conftest import Function, Log
from tests.support.aws_lambda import Due
from tests.support.fakes import LIMITS, FakeClock, FakeJob, FakeJobs, failing, throttled
from tests.support.response_url import FakePool, ResponseUrl
from tools.simulators.events import SELECTION_ID, delete_request

SELECT = {"JobIdGlob": "firmware*"}
FORCED = replace(LIMITS, force=True)


def running(*things: str) -> FakeJob:
    return FakeJob(executions=dict.fromkeys(things, "IN_PROGRESS") | {"thing-queued": "QUEUED", "thing-done": "FAILED"})


def deletion(
    server: ResponseUrl,
    wait: str = "5",
    *,
    which: str = "JobId",
    request_id: str = "r-1",
    path: str = "response",
    **properties: object,
) -> dict[str, Any]:
    """A Delete of the job firmware, or of all that match firmware*."""
    physical_id, scope = ("firmware", {"JobId": "firmware"}) if which == "JobId" else (SELECTION_ID, {"Select": SELECT})
    url = f"{server.url}/{path}?X-Amz-Signature=secret"
    properties = {"WaitForExecutionsMinutes": wait, **scope, **properties}
    return delete_request(physical_id, url, properties, request_id=request_id)


def log_location(request_id: str = "r-1") -> str:
    return f" (log group /aws/lambda/canceler, correlation_id {request_id})"


class Simulation(Function):
    """The function, its queues, CloudFormation and the devices, which report when their time has come.

    Attributes:
        reports_at: when each thing's execution succeeds, by job and thing.
        polls: when the function got a message.
        groups: the message groups of each RequestId.
    """

    reports_at: dict[tuple[str, str], float]

    def __init__(self, jobs: FakeJobs, log: Log, clock: FakeClock) -> None:
        pool = FakePool()
        super().__init__(jobs, pool, pool.pool, log, clock)
        self.reports_at = {}
        self.polls: list[float] = []
        self.response_times: list[float] = []
        self.groups: dict[str, set[str]] = {}
        pool.on_request = lambda _request: self.response_times.append(self.now)

    @property
    def now(self) -> float:
        return self.clock.elapsed

    @property
    def timed_responses(self) -> list[tuple[float, str, str, str]]:
        """When, path, status and reason of each response that CloudFormation got."""
        return [
            (
                at,
                urlsplit(request.target).path.removeprefix("/"),
                request.response["Status"],
                request.response["Reason"],
            )
            for at, request in zip(self.response_times, self.server.received, strict=True)
        ]

    @override
    def invoke(self, event: object) -> Any:
        for (job_id, thing), at in self.reports_at.items():
            if at <= self.now and self.jobs.jobs[job_id].executions[thing] == "IN_PROGRESS":
                self.jobs.jobs[job_id].executions[thing] = "SUCCEEDED"
        if self.in_flight:
            self.polls.append(self.now)
        try:
            return super().invoke(event)
        finally:
            for message in self.sqs.messages:
                self.groups.setdefault(message.event.get("RequestId", ""), set()).add(message.group)

    def run_all(self, *deliveries: tuple[float, object], messages_first: bool = False) -> None:
        """Deliver these events at their times, and all messages, until nothing is left."""
        self.run(*(Due(at, event) for at, event in deliveries), messages_first=messages_first)
        assert (self.sqs.dead_letters, self.failed) == ([], [])


type NewSimulation = Callable[..., Simulation]


@pytest.fixture
def new_simulation(new_log: Callable[[], Log]) -> NewSimulation:
    """Each with the job firmware, which two devices run; `ends_at` is when they report success.

    The rate limit is so high that runs last no time, and that all times are round.
    """

    def new(jobs: Mapping[str, FakeJob] | None = None, *, ends_at: float | None = None) -> Simulation:
        clock = FakeClock()
        found = {"firmware": running("thing-1", "thing-2")} if jobs is None else dict(jobs)
        simulation = Simulation(FakeJobs(found, clock), new_log(), clock)
        simulation.configure(cancels_per_second=1_000_000)
        simulation.reports_at = {} if ends_at is None else dict.fromkeys(running_in(found), ends_at)
        return simulation

    return new


def running_in(jobs: Mapping[str, FakeJob]) -> list[tuple[str, str]]:
    return [
        (name, thing) for name, job in jobs.items() for thing, now in job.executions.items() if now == "IN_PROGRESS"
    ]


def three_jobs() -> dict[str, FakeJob]:
    """Two of them are run by devices."""
    return {
        "firmware-1": running("thing-1", "thing-2"),
        "firmware-2": running("thing-3"),
        "firmware-3": FakeJob(executions={"thing-4": "QUEUED"}),
    }


# Polls


def test_deletion_gets_one_response_when_all_devices_have_reported(new_simulation: NewSimulation) -> None:
    simulation = new_simulation()
    simulation.reports_at = {("firmware", "thing-1"): 30, ("firmware", "thing-2"): 80}
    simulation(deletion(simulation.server))
    (message,) = simulation.sqs.messages
    assert (bool(message.group), simulation.timed_responses, message.visible_at - simulation.clock.start) == (
        True,
        [],
        5,
    )
    simulation.run_all()
    assert simulation.polls == [5, 25, 45, 65, 85]
    assert simulation.timed_responses == [(85, "response", "SUCCESS", "")]
    assert simulation.ended.total() == 6
    assert simulation.jobs.calls == [("CancelJob", "firmware"), *[("DescribeJob", "firmware")] * 6]
    results = [(report["status"], report["reason"]) for report in simulation.reports]
    assert results == [
        *[("UNFINISHED", "2 devices still run job firmware")] * 3,
        *[("UNFINISHED", "1 device still runs job firmware")] * 2,
        ("SETTLED", ""),
    ]
    assert {line["level"] for line in simulation.log.lines} == {"INFO"}
    assert simulation.jobs.jobs["firmware"].executions == {
        "thing-1": "SUCCEEDED",
        "thing-2": "SUCCEEDED",
        "thing-queued": "CANCELED",
        "thing-done": "FAILED",
    }


def test_deletion_of_a_selection_waits_for_all_its_jobs_and_selects_again(
    new_simulation: NewSimulation,
) -> None:
    simulation = new_simulation(three_jobs())
    simulation.reports_at = {
        ("firmware-1", "thing-1"): 10,
        ("firmware-1", "thing-2"): 55,
        ("firmware-2", "thing-3"): 15,
    }
    simulation(deletion(simulation.server, which="Select"))
    before = len(simulation.jobs.calls)
    simulation.run_all()
    assert simulation.polls == [5, 25, 45, 65]
    assert simulation.timed_responses == [(65, "response", "SUCCESS", "")]
    assert Counter(simulation.jobs.calls[before:-6]) == {
        ("DescribeJob", "firmware-1"): 4,
        ("DescribeJob", "firmware-2"): 4,
    }
    assert sorted(simulation.jobs.calls[-6:]) == [
        *(("DescribeJob", f"firmware-{number}") for number in (1, 2, 3)),
        *(("ListJobs", f"{status}/1") for status in ("CANCELED", "IN_PROGRESS", "SCHEDULED")),
    ]
    assert sorted(simulation.jobs.canceled) == ["firmware-1", "firmware-2", "firmware-3"]
    assert simulation.ended.total() == 5


def test_throttled_poll_is_retried(new_simulation: NewSimulation) -> None:
    simulation = new_simulation(ends_at=15)
    simulation(deletion(simulation.server))
    simulation.jobs.fault = failing("DescribeJob", throttled, times=2)
    simulation.run_all()
    assert simulation.polls == [5, 10, 20]
    assert simulation.timed_responses == [(20, "response", "SUCCESS", "")]


# Timeouts

TIMED_OUT = "timed out after {} min: 2 devices still run job firmware"


@pytest.mark.parametrize(("minutes", "at"), [(1, 60), (5, 300), (17, 1020), (20, 1200), (50, 3000)])
@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_deletion_fails_and_names_the_job_when_its_wait_times_out(
    which: str, minutes: int, at: float, new_simulation: NewSimulation
) -> None:
    simulation = new_simulation()
    simulation.run_all((0, deletion(simulation.server, str(minutes), which=which)))
    assert simulation.timed_responses == [(at, "response", "FAILED", TIMED_OUT.format(minutes) + log_location())]
    assert running_in(simulation.jobs.jobs) == [("firmware", "thing-1"), ("firmware", "thing-2")]
    levels = [line["level"] for line in simulation.log.lines]
    assert levels == ["INFO"] * (len(levels) - 1) + ["WARNING"]


def test_deletion_with_continue_succeeds_with_a_warning_after_its_wait(
    new_simulation: NewSimulation, capsys: pytest.CaptureFixture[str]
) -> None:
    simulation = new_simulation()
    simulation(deletion(simulation.server, OnIncomplete="CONTINUE"))
    while len(simulation.polls) < 15:  # at 5, 25 … 285 s
        simulation.poll()
    assert [line["message"] for line in simulation.log.lines] == ["report"] * 16
    assert {line["level"] for line in simulation.log.lines} == {"INFO"}
    assert "TeardownsContinued" not in capsys.readouterr().out
    simulation.run_all()
    assert simulation.timed_responses == [(300, "response", "SUCCESS", TIMED_OUT.format(5) + log_location())]
    assert [(line["level"], line["message"]) for line in simulation.log.lines[16:]] == [
        ("WARNING", TIMED_OUT.format(5)),
        ("WARNING", "report"),
    ]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["TeardownsContinued"] for line in lines if "TeardownsContinued" in line] == [[1.0]]


# ServiceTimeout and minutes → when the response is sent: once another poll and 30 s for it would be too late.
# The first poll is 5 s after the first delivery.
RESPONDS_AT: dict[tuple[str, str], float] = {
    ("43", "5"): 0,
    ("44", "5"): 5,
    ("68", "5"): 5,
    ("69", "5"): 25,
    ("120", "5"): 65,
    ("300", "5"): 205,
    ("360", "5"): 265,
    ("420", "5"): 300,
    ("900", "50"): 785,
    ("3120", "50"): 3000,
}


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
@pytest.mark.parametrize(("timeout", "minutes"), RESPONDS_AT)
def test_deletion_gets_its_response_before_the_service_timeout(
    timeout: str, minutes: str, on_incomplete: str, status: str, new_simulation: NewSimulation
) -> None:
    simulation = new_simulation()
    simulation.run_all(
        (0, deletion(simulation.server, minutes, ServiceTimeout=timeout, OnIncomplete=on_incomplete)),
    )
    ((at, _, sent, reason),) = simulation.timed_responses
    assert (at, sent) == (RESPONDS_AT[timeout, minutes], status)
    assert "2 devices still run job firmware" in reason
    assert at <= int(timeout)


# Duplicates


# The deliveries of one Delete with a wait of 20 min, and the time at which its devices report → when each response is
# sent. Polls are at 5, 29, 53 … 149 … 701 s. SQS drops duplicates for 300 s.
@pytest.mark.parametrize("polls_first", [False, True], ids=["deliveries-first", "polls-first"])
@pytest.mark.parametrize("which", ["JobId", "Select"])
@pytest.mark.parametrize(
    ("times", "ends_at", "responds_at"),
    [
        ((0, 0), 130, [149]),
        ((0, 148), 130, [148, 149]),
        ((0, 149), 130, [149, 149]),
        ((0, 150), 130, [149, 150]),
        ((0, 301), 130, [149, 301]),
        ((0, 2000), 130, [149, 2000]),
        ((0, 0, 5, 29, 53), 130, [149]),
        ((0, 60, 149, 200, 400), 130, [149, 149, 200, 400]),
        ((0, 299), 700, [701]),
        ((0, 350), 700, [701, 701]),
        ((0, 290, 310, 590, 620), 700, [701, 701, 701]),
        ((0, 699, 700), 700, [700, 701, 704]),
    ],
)
def test_redelivered_deletion_gets_the_same_response_once_its_devices_are_done(
    times: tuple[float, ...],
    ends_at: float,
    responds_at: Sequence[float],
    which: str,
    polls_first: bool,
    new_simulation: NewSimulation,
) -> None:
    simulation = new_simulation(ends_at=ends_at)
    event = deletion(simulation.server, "20", which=which)
    simulation.run_all(*((at, event) for at in times), messages_first=polls_first)
    assert simulation.timed_responses == [(at, "response", "SUCCESS", "") for at in responds_at]
    assert (simulation.jobs.canceled, len(simulation.groups.get("r-1", ()))) == (["firmware"], 1)


# The visibility timeout


@pytest.mark.parametrize("stage", ["waiting", "canceling"])
def test_run_that_begins_after_its_visibility_timeout_does_nothing(stage: str, new_simulation: NewSimulation) -> None:
    simulation = new_simulation(ends_at=30)
    if stage == "canceling":
        simulation.jobs.fault = failing("CancelJob", throttled, times=1)
    simulation(deletion(simulation.server))
    calls = list(simulation.jobs.calls)
    assert simulation.poll(delay=330.5) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert (simulation.jobs.calls, simulation.timed_responses) == (calls, [])
    assert simulation.log.lines[-1]["message"] == (
        "skipped: the visibility timeout of the message has expired, so another invocation has it or will have it"
    )
    assert simulation.sqs.messages[0].visible_at < simulation.clock()
    simulation.run_all()
    assert {response[1:] for response in simulation.timed_responses} == {("response", "SUCCESS", "")}
    assert simulation.jobs.canceled == ["firmware"]


EXTEND, CHANGE, SEND = "extend", "change", "SendMessage"


def sqs_fault(*failing_calls: tuple[str, int]) -> Callable[[str], None]:
    """Let SQS return 503 to these calls, counted from 1. Each poll first extends and then changes the timeout."""
    calls: Counter[str] = Counter()

    def fault(operation: str) -> None:
        calls[operation] += 1
        name, number = operation, calls[operation]
        if operation == "ChangeMessageVisibility":
            name, number = (EXTEND if number % 2 else CHANGE), (number + 1) // 2
        if {(name, number), (name, 0)} & set(failing_calls):  # 0: every call
            raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "no"}}, operation)

    return fault


# A poll that fails to change the visibility timeout sends a new message, whose first delivery is 5 s later.
@pytest.mark.parametrize(
    ("call", "number", "polls"),
    [
        (EXTEND, 1, range(5, 266, 20)),
        (EXTEND, 9, range(5, 266, 20)),
        (EXTEND, 0, range(5, 266, 20)),
        (CHANGE, 1, [5, *range(10, 251, 20)]),
        (CHANGE, 9, [*range(5, 166, 20), *range(170, 251, 20)]),
        (CHANGE, 0, range(5, 251, 5)),
    ],
    ids=[f"{number}-{call}" for call in (EXTEND, CHANGE) for number in ("first", "ninth", "every")],
)
@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_failed_change_of_a_visibility_timeout_neither_delays_nor_decides_the_response(
    call: str, number: int, polls: Sequence[float], which: str, new_simulation: NewSimulation
) -> None:
    simulation = new_simulation(ends_at=248)
    simulation.sqs.fault = sqs_fault((call, number))
    simulation.run_all((0, deletion(simulation.server, which=which, ServiceTimeout="420")))
    assert simulation.timed_responses == [(polls[-1], "response", "SUCCESS", "")]
    assert simulation.polls == [*polls]
    assert (set(simulation.ended), simulation.sqs.duplicates) == ({"returned"}, 0)
    failed = [line["message"] for line in simulation.log.lines if line["message"] != "report"]
    error = "An error occurred (ServiceUnavailable) when calling the ChangeMessageVisibility operation: no"
    assert set(failed) == {f"failed to {call} the visibility timeout of the message: {error}"}


SEND_FAILED = "An error occurred (ServiceUnavailable) when calling the SendMessage operation: no"


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
def test_deletion_gets_its_response_at_once_if_no_later_delivery_is_in_time(
    on_incomplete: str, status: str, new_simulation: NewSimulation
) -> None:
    """The ninth poll can neither change the visibility timeout nor send a message; 310 s later is too late."""
    simulation = new_simulation(ends_at=250)
    simulation.sqs.fault = sqs_fault((CHANGE, 9), (SEND, 2))
    simulation.run_all((0, deletion(simulation.server, ServiceTimeout="420", OnIncomplete=on_incomplete)))
    reason = f"2 devices still run job firmware; {SEND_FAILED}{log_location()}"
    assert simulation.timed_responses == [(165, "response", status, reason)]


# The ninth poll is at 165 s. Its message comes back at 475 s at the latest, and a run begins only if it has 30 s until
# the response is due, 60 s before the ServiceTimeout: 300 + 30 + 30 s must be left.
@pytest.mark.parametrize(
    ("timeout", "at", "status"), [("585", 475, "SUCCESS"), ("584", 165, "FAILED"), ("3600", 475, "SUCCESS")]
)
def test_message_that_comes_back_in_time_by_itself_continues(
    timeout: str, at: float, status: str, new_simulation: NewSimulation
) -> None:
    simulation = new_simulation(ends_at=250)
    simulation.sqs.fault = sqs_fault((CHANGE, 9), (SEND, 2))
    simulation.run_all((0, deletion(simulation.server, ServiceTimeout=timeout)))
    assert [response[:3] for response in simulation.timed_responses] == [(at, "response", status)]


@pytest.mark.parametrize(
    ("failing_calls", "polls"),
    [
        ([(SEND, 2)], [5, 10]),
        ([(SEND, 2), (CHANGE, 1)], [5, 315]),
    ],
    ids=["the same message soon", "the same message by itself"],
)
def test_message_stays_if_the_one_with_more_progress_cannot_be_sent(
    failing_calls: list[tuple[str, int]], polls: list[float], new_simulation: NewSimulation
) -> None:
    """The first poll cancels the job and would begin the wait."""
    simulation = new_simulation(ends_at=7)
    simulation.jobs.fault = failing("CancelJob", throttled, times=1)
    simulation.sqs.fault = sqs_fault(*failing_calls)
    simulation.run_all((0, deletion(simulation.server)))
    assert simulation.polls == polls
    assert [response[1:] for response in simulation.timed_responses] == [("response", "SUCCESS", "")]
    assert set(simulation.ended) == {"returned"}


def test_message_is_redelivered_sooner_if_its_response_is_due_soon(new_simulation: NewSimulation) -> None:
    """After six attempts, 20 s are usual. But the response is due 35.4 s later, and a run needs 30 s until then."""
    simulation = new_simulation(ends_at=58)
    simulation.jobs.fault = failing("CancelJob", throttled, times=5)
    simulation.sqs.fault = sqs_fault((SEND, 2))
    simulation.run_all((0, deletion(simulation.server, ServiceTimeout="113")))
    assert simulation.polls == [5, 10, 20, 35, 55, 60]
    assert [response[0] for response in simulation.timed_responses] == [60]


def test_invocation_without_time_for_a_second_call_sends_no_message(new_simulation: NewSimulation) -> None:
    """The change of the visibility timeout takes until 10.999 s are left: a call may take 10, and 1 is reserved."""
    simulation = new_simulation()
    simulation(deletion(simulation.server, ServiceTimeout="420"))
    sent = list(simulation.sqs.messages)
    fail = sqs_fault((CHANGE, 1))

    def fault(operation: str) -> None:
        try:
            fail(operation)
        except ClientError:
            simulation.clock.advance(4.001)
            raise

    simulation.sqs.fault, simulation.seconds = fault, 15.0
    assert simulation.poll() == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert simulation.sqs.messages == sent
    simulation.sqs.fault, simulation.seconds = None, 300.0
    simulation.poll()
    assert simulation.polls == [5, 30]


# Parameters of the stack that change during a wait


# The polls of a wait whose devices report at 62 s. A teardown is first polled after the delay of its queue, 5 s.
POLLS: dict[str, list[float]] = {
    "JobId": [5, 25, 45, 65],
    "Select": [5, 25, 45, 65],
    "event": [20, 40, 60, 80],
    "event that selects": [20, 40, 60, 80],
}


def new_event(simulation: Simulation, kind: str, minutes: int = 5) -> object:
    if kind == "event":
        return {"cancel": {"jobId": "firmware", "waitForExecutionsMinutes": minutes}}
    return deletion(simulation.server, str(minutes), which=kind)


@pytest.mark.parametrize("kind", POLLS)
def test_new_force_ends_no_execution_of_a_wait_in_progress(kind: str, new_simulation: NewSimulation) -> None:
    simulation = new_simulation(ends_at=62)
    selecting = {"cancel": {"select": {"jobIdGlob": "firmware*"}, "waitForExecutionsMinutes": 5}}
    simulation(selecting if kind == "event that selects" else new_event(simulation, kind))
    simulation.poll()
    simulation.configure(limits=FORCED)
    simulation.run_all()
    assert (simulation.polls, simulation.jobs.executions_canceled) == (POLLS[kind], [])
    assert simulation.reports[-1]["force"] is False


@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_new_deletion_with_force_ends_the_executions_of_an_unfinished_one(
    which: str, new_simulation: NewSimulation
) -> None:
    simulation = new_simulation()
    simulation(deletion(simulation.server, which=which))
    simulation.poll()
    assert simulation.timed_responses == []
    simulation.configure(limits=FORCED)
    simulation.run_all((15, deletion(simulation.server, which=which, request_id="r-2", path="second")))
    assert sorted(simulation.jobs.executions_canceled) == [("firmware", "thing-1"), ("firmware", "thing-2")]
    assert simulation.timed_responses == [(15, "second", "SUCCESS", ""), (25, "response", "SUCCESS", "")]


@pytest.mark.parametrize("kind", POLLS)
def test_new_prefix_does_not_end_a_wait(kind: str, new_simulation: NewSimulation) -> None:
    """The job is canceled. A response of SUCCESS would let CloudFormation delete the bucket that devices still use."""
    simulation = new_simulation(ends_at=62)
    selecting = {"cancel": {"select": {"jobIdGlob": "firmware*"}, "waitForExecutionsMinutes": 5}}
    simulation(selecting if kind == "event that selects" else new_event(simulation, kind))
    simulation.poll()
    simulation.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    simulation.run_all()
    assert simulation.polls == POLLS[kind]
    assert [report["status"] for report in simulation.reports] == ["UNFINISHED"] * 4 + ["SETTLED"]
    assert simulation.timed_responses == ([(65, "response", "SUCCESS", "")] if kind in {"JobId", "Select"} else [])


def test_deletion_succeeds_with_a_warning_in_an_account_with_more_canceled_jobs_than_can_be_listed(
    new_simulation: NewSimulation,
) -> None:
    """Canceled jobs stay listed for two years: deleting the stack again would not help."""
    simulation = new_simulation({f"other-{number:03}": FakeJob("CANCELED") for number in range(400)})
    simulation.jobs.page_size, simulation.jobs.seconds_a_call = 1, 1.0
    simulation(deletion(simulation.server, which="Select"))
    simulation.run_all()
    assert [each[2] for each in simulation.timed_responses] == ["SUCCESS"]
    (warning,) = [line["message"] for line in simulation.log.lines if line["level"] == "WARNING"]
    assert warning.startswith("this run could not search all canceled jobs of the account")


def test_message_that_another_invocation_has_is_not_replaced(new_simulation: NewSimulation) -> None:
    """SQS still has the message, so that a second one would give CloudFormation a second response."""
    simulation = new_simulation()
    simulation(deletion(simulation.server))
    calls: list[str] = []

    def expired_at_the_end(call: str) -> None:
        calls.append(call)
        if len(calls) == 2:
            raise ClientError({"Error": {"Code": "MessageNotInflight", "Message": "no"}}, "ChangeMessageVisibility")

    simulation.sqs.fault = expired_at_the_end
    simulation.poll()
    assert (len(calls), len(simulation.sqs.messages), simulation.timed_responses) == (2, 1, [])
