"""Waiting for devices, from one end to the other: each look, each answer, and what duplicates and crashes make of them.

Times are seconds since the first delivery, by a fake clock.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, override

import pytest
import urllib3

from handler.cancellation.rate import Deadline
from handler.cancellation.request import StackLimits
from handler.cloudformation.response import Responder
from handler.pipeline import Services
from tests.conftest import Function, Log
from tests.support.bus import FakeBus
from tests.support.fakes import (
    LIMITS,
    AnswerServer,
    FakeBacklog,
    FakeClock,
    FakeJob,
    FakeJobs,
    FakeMessage,
    config,
    denied,
    failing,
    throttled,
)

STACK_ID = "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f"
SELECTION_ID = "select:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown"
SELECT = {"JobIdGlob": "firmware*"}
BEGIN = 1000.0  # of FakeClock
FORCED = replace(LIMITS, force=True)


def running(*things: str) -> FakeJob:
    return FakeJob(executions=dict.fromkeys(things, "IN_PROGRESS") | {"thing-queued": "QUEUED", "thing-done": "FAILED"})


def deletion(
    server: AnswerServer,
    wait: str = "5",
    *,
    which: str = "JobId",
    request_id: str = "r-1",
    path: str = "answer",
    **properties: object,
) -> dict[str, Any]:
    """A Delete of the job firmware, or of all that match firmware*."""
    physical_id, meant = ("firmware", {"JobId": "firmware"}) if which == "JobId" else (SELECTION_ID, {"Select": SELECT})
    return {
        "RequestType": "Delete",
        "RequestId": request_id,
        "ResponseURL": f"{server.url}/{path}?X-Amz-Signature=secret",
        "StackId": STACK_ID,
        "LogicalResourceId": "Teardown",
        "PhysicalResourceId": physical_id,
        "ResourceType": "Custom::IoTJobCancellation",
        "ResourceProperties": {
            "ServiceToken": "arn",
            "ServiceTimeout": "3600",
            "WaitForExecutionsMinutes": wait,
            **meant,
            **properties,
        },
    }


def where_to_look(request_id: str = "r-1") -> str:
    return f" (log group /aws/lambda/canceler, correlation_id {request_id})"


class Killed(BaseException):
    """SIGKILL: no handler code does anything any more."""


class Calls:
    """Every call that leaves the function, just before it acts and just after: to IoT, to SQS and to CloudFormation.

    `at` is the number of one of them, and `then` what happens there, once: a kill unless something else is set. A dead
    process calls nothing.
    """

    def __init__(self, at: int = 0) -> None:
        self.count = 0
        self.at = at
        self.happened_in = ""
        self.is_dead = False
        self.then: Callable[[], None] = self._kill

    def check(self, name: str, _called_for: object = None) -> None:
        if self.is_dead:
            raise Killed
        self.count += 1
        if self.count == self.at:
            self.happened_in = name
            self.then()

    def _kill(self) -> None:
        self.is_dead = True
        raise Killed


class CheckedBacklog(FakeBacklog):
    """A FakeBacklog that tells its calls."""

    def __init__(self, clock: FakeClock, calls: Calls) -> None:
        super().__init__(clock)
        self.calls = calls
        self.fault = calls.check

    @override
    def send_message(self, **parameters: Any) -> None:
        super().send_message(**parameters)
        self.calls.check("send_message")

    @override
    def change_message_visibility(self, **parameters: Any) -> None:
        super().change_message_visibility(**parameters)
        self.calls.check("change_message_visibility")


class CheckedResponder(Responder):
    """A Responder that tells its calls."""

    __slots__ = ("calls",)
    calls: Calls

    @override
    def deliver(self, url: str, body: bytes, deadline: Deadline) -> str:
        self.calls.check("answer")
        problem = super().deliver(url, body, deadline)
        self.calls.check("answer")
        return problem


@dataclass
class World:
    """The function, its queues, CloudFormation and the devices, which report when their time has come.

    Attributes:
        reports_at: when each thing's execution succeeds, by job and thing.
        looks: when the function got a message.
        answers: when, path, status and reason of each.
        in_flight: the RequestIds of the messages that are worked on now.
    """

    function: Function
    calls: Calls
    reports_at: dict[tuple[str, str], float] = field(default_factory=dict)
    looks: list[float] = field(default_factory=list)
    answers: list[tuple[float, str, str, str]] = field(default_factory=list)
    invocations: int = 0
    in_flight: list[str] = field(default_factory=list)
    groups: dict[str, set[str]] = field(default_factory=dict)

    @property
    def now(self) -> float:
        return round(self.function.clock() - BEGIN, 3)

    @property
    def backlog(self) -> FakeBacklog:
        return self.function.backlog

    @property
    def jobs(self) -> dict[str, FakeJob]:
        return self.function.jobs.jobs

    def invoke(self, event: object, seconds: float = 300) -> dict[str, Any]:
        """One invocation, in a process that lives."""
        for (job_id, thing), at in self.reports_at.items():
            if at <= self.now and self.jobs[job_id].executions[thing] == "IN_PROGRESS":
                self.jobs[job_id].executions[thing] = "SUCCEEDED"
        self.calls.is_dead = False
        self.invocations += 1
        try:
            return self.function(event, seconds)
        finally:
            for request in self.function.server.received[len(self.answers) :]:
                body = json.loads(request.body)
                path = request.target.partition("?")[0].removeprefix("/")
                self.answers.append((self.now, path, body["Status"], body["Reason"]))
            for message in self.backlog.messages:
                self.groups.setdefault(request_id_of(message), set()).add(message.group)

    def look(self) -> None:
        """Let the next message be delivered."""

        def handle(event: Any) -> dict[str, Any]:
            request_id = json.loads(event["Records"][0]["body"]).get("RequestId", "")
            assert not request_id or request_id not in self.in_flight
            self.in_flight.append(request_id)
            self.looks.append(self.now)
            try:
                return self.invoke(event)
            finally:
                self.in_flight.remove(request_id)

        with suppress(Killed):  # the message comes again when its lease ends
            self.backlog.deliver(handle)

    def deliver(self, event: object) -> bool:
        """A delivery by CloudFormation or EventBridge. False if it was killed."""
        try:
            self.invoke(event)
        except Killed:
            return False
        return True

    def play(self, *deliveries: tuple[float, object], looks_first: bool = False) -> None:
        """All deliveries at their times, and the looks between them, until nothing is left.

        Where a delivery and a look fall together, the delivery comes first, unless `looks_first`. A delivery that was
        killed comes again after a minute, as Lambda has it.
        """
        todo = sorted(deliveries, key=lambda each: each[0])
        while todo or self.backlog.messages:
            look_at = self._next_look()
            if todo and (todo[0][0] < look_at or (todo[0][0] == look_at and not looks_first)):
                at, event = todo.pop(0)
                self.function.clock.now = max(self.function.clock.now, BEGIN + at)
                if not self.deliver(event):
                    todo = sorted([(self.now + 60, event), *todo], key=lambda each: each[0])
            else:
                self.look()
        assert self.backlog.dead == []

    def _next_look(self) -> float:
        due = [message.visible_at - BEGIN for message in self.backlog._next_of_each_group()]
        return round(min(due), 3) if due else float("inf")


def request_id_of(message: FakeMessage) -> str:
    request_id: str = json.loads(message.body).get("RequestId", "")
    return request_id


type NewWorld = Callable[..., World]


@pytest.fixture
def new_world(server: AnswerServer, http: urllib3.PoolManager, new_log: Callable[[], Log]) -> NewWorld:
    """Each with the job firmware, which two devices run; `ends_at` is when they report success.

    The pace is so high that no run takes time, and that all times are round.
    """

    def new(
        jobs: Mapping[str, FakeJob] | None = None, *, ends_at: float | None = None, calls: Calls | None = None
    ) -> World:
        server.received.clear()
        clock, log, calls = FakeClock(), new_log(), calls or Calls()
        meant = {"firmware": running("thing-1", "thing-2")} if jobs is None else dict(jobs)
        api, backlog = FakeJobs(meant, clock), CheckedBacklog(clock, calls)
        api.fault = api.lost = calls.check
        responder = CheckedResponder(http, clock.sleep, lambda _least, most: most)
        object.__setattr__(responder, "calls", calls)
        settings = replace(config(server.url), cancels_per_second=1_000_000)
        bus = FakeBus()
        services = Services(
            settings, api.behind, backlog.port, bus.port, responder, log.telemetry, clock, clock.sleep, clock.utc_now
        )
        times = {} if ends_at is None else dict.fromkeys(running_in(meant), ends_at)
        return World(Function(services, api, backlog, bus, server, log, clock), calls, times)

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


# The looks


def test_a_deletion_waits_for_its_devices_and_is_answered_once_when_all_have_reported(new_world: NewWorld) -> None:
    world = new_world()
    world.reports_at = {("firmware", "thing-1"): 45, ("firmware", "thing-2"): 95}
    world.deliver(deletion(world.function.server))
    (message,) = world.backlog.messages
    assert (bool(message.group), world.answers, message.visible_at - BEGIN) == (True, [], 20)
    world.play()
    assert world.looks == [20, 40, 60, 80, 100]
    assert world.answers == [(100, "answer", "SUCCESS", "")]
    assert world.invocations == 6
    assert world.function.jobs.calls == [("CancelJob", "firmware"), *[("DescribeJob", "firmware")] * 6]
    told = [(report["status"], report["reason"]) for report in world.function.reports]
    assert told == [
        *[("UNFINISHED", "2 devices still run job firmware")] * 3,
        *[("UNFINISHED", "1 device still runs job firmware")] * 2,
        ("SETTLED", ""),
    ]
    assert {line["level"] for line in world.function.log.lines} == {"INFO"}
    assert world.jobs["firmware"].executions == {
        "thing-1": "SUCCEEDED",
        "thing-2": "SUCCEEDED",
        "thing-queued": "CANCELED",
        "thing-done": "FAILED",
    }


def test_a_deletion_of_a_selection_waits_for_the_devices_of_all_its_jobs_and_selects_again_at_the_end(
    new_world: NewWorld,
) -> None:
    world = new_world(three_jobs())
    world.reports_at = {("firmware-1", "thing-1"): 25, ("firmware-1", "thing-2"): 70, ("firmware-2", "thing-3"): 30}
    world.deliver(deletion(world.function.server, which="Select"))
    told = len(world.function.jobs.calls)
    world.play()
    assert world.looks == [20, 40, 60, 80]
    assert world.answers == [(80, "answer", "SUCCESS", "")]
    assert Counter(world.function.jobs.calls[told:-6]) == {
        ("DescribeJob", "firmware-1"): 4,
        ("DescribeJob", "firmware-2"): 4,
    }
    assert sorted(world.function.jobs.calls[-6:]) == [
        *(("DescribeJob", f"firmware-{number}") for number in (1, 2, 3)),
        *(("ListJobs", f"{status}/1") for status in ("CANCELED", "IN_PROGRESS", "SCHEDULED")),
    ]
    assert sorted(world.function.jobs.cancelled) == ["firmware-1", "firmware-2", "firmware-3"]
    assert world.invocations == 5


EVENTS: dict[str, dict[str, object]] = {
    "a job": {"jobId": "firmware-1"},
    "two jobs": {"jobIds": ["firmware-1", "firmware-2"]},
    "a selection": {"select": {"jobIdGlob": "firmware*"}},
}


@pytest.mark.parametrize("which", EVENTS)
def test_an_event_waits_on_the_backlog_and_answers_nobody(which: str, new_world: NewWorld) -> None:
    world = new_world(three_jobs(), ends_at=50)
    event = {"cancel": {**EVENTS[which], "waitForExecutionsMinutes": 5}}
    world.deliver(event)
    (message,) = world.backlog.messages
    assert (message.group, world.backlog.events) == ("", [event])
    told = len(world.function.jobs.calls)
    world.play()
    assert (world.looks, world.invocations, world.answers) == ([20, 40, 60], 4, [])
    assert {operation for operation, _ in world.function.jobs.calls[told:]} == {"DescribeJob"}
    assert [report["status"] for report in world.function.reports] == [*["UNFINISHED"] * 3, "SETTLED"]
    assert len(world.function.jobs.cancelled) == len(set(world.function.jobs.cancelled))


# Minutes → the first looks of a deletion, whose queue has a delay of its own, and of an event; how many there are.
INTERVALS: dict[int, tuple[list[float], list[float], int, int]] = {
    1: ([20, 40, 60], [20, 40, 60], 3, 3),
    5: ([20, 40, 60, 80], [20, 40, 60, 80], 15, 15),
    16: ([20, 40, 60, 80], [20, 40, 60, 80], 48, 48),
    17: ([20, 41, 62, 83], [21, 42, 63, 84], 49, 49),
    20: ([20, 44, 68, 92], [24, 48, 72, 96], 51, 50),
    50: ([20, 80, 140, 200], [60, 120, 180, 240], 51, 50),
}


@pytest.mark.parametrize("minutes", INTERVALS)
def test_a_longer_wait_is_looked_at_less_often(minutes: int, new_world: NewWorld) -> None:
    of_a_deletion, of_an_event, looks_of_a_deletion, looks_of_an_event = INTERVALS[minutes]
    world = new_world()
    world.play((0, deletion(world.function.server, str(minutes))))
    assert (world.looks[:4], len(world.looks)) == (of_a_deletion, looks_of_a_deletion)
    assert world.function.jobs.calls[2:] == [("DescribeJob", "firmware")] * looks_of_a_deletion
    world = new_world()
    world.play((0, {"cancel": {"jobId": "firmware", "waitForExecutionsMinutes": minutes}}))
    assert (world.looks[:4], len(world.looks)) == (of_an_event, looks_of_an_event)


@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_nothing_waits_where_no_device_is_at_work(which: str, new_world: NewWorld) -> None:
    world = new_world({"firmware": FakeJob(executions={"thing-1": "QUEUED"})})
    world.play((0, deletion(world.function.server, which=which)))
    assert (world.looks, world.answers) == ([], [(0, "answer", "SUCCESS", "")])


@pytest.mark.parametrize("wait", ["0", "51", "soon"])
def test_a_wait_of_nothing_or_one_that_can_not_be_read_is_none(wait: str, new_world: NewWorld) -> None:
    """Create and Update refuse the others; a Delete never fails on properties."""
    world = new_world()
    world.play((0, deletion(world.function.server, wait)))
    assert (world.looks, [status for *_, status, _ in world.answers]) == ([], ["SUCCESS"])


def test_a_throttled_look_is_one_more_look(new_world: NewWorld) -> None:
    world = new_world(ends_at=30)
    world.deliver(deletion(world.function.server))
    world.function.jobs.fault = failing("DescribeJob", throttled, times=2)
    world.play()
    assert world.looks == [20, 25, 35]
    assert world.answers == [(35, "answer", "SUCCESS", "")]


def test_a_job_that_is_deleted_in_the_middle_of_a_wait_is_waited_for_no_more(new_world: NewWorld) -> None:
    world = new_world()
    world.deliver(deletion(world.function.server))
    del world.jobs["firmware"]
    world.play()
    assert world.answers == [(20, "answer", "SUCCESS", "")]
    assert world.function.reports[-1]["counts"] == {"GONE": 1}


def test_a_wait_does_not_begin_before_the_job_is_cancelled(new_world: NewWorld) -> None:
    world = new_world()
    world.function.jobs.fault = failing("CancelJob", throttled, times=2)
    world.play((0, deletion(world.function.server, "1")))
    assert world.looks == [20, 25, 45, 65, 85]
    reason = "after 1 min, 2 devices still run job firmware" + where_to_look()
    assert world.answers == [(85, "answer", "FAILED", reason)]


def test_devices_are_waited_for_though_another_job_can_not_be_cancelled_and_that_one_is_told_in_the_end(
    new_world: NewWorld,
) -> None:
    world = new_world(three_jobs(), ends_at=50)
    world.function.jobs.fault = failing("CancelJob", denied, job_id="firmware-3")
    world.play((0, deletion(world.function.server, which="Select")))
    reason = "1 live jobs matched; job firmware-3 FAILED: AccessDeniedException: not authorized" + where_to_look()
    assert (world.looks, world.answers) == ([20, 40, 60], [(60, "answer", "FAILED", reason)])


def test_a_wait_does_not_begin_before_every_job_is_cancelled(new_world: NewWorld) -> None:
    world = new_world(three_jobs())
    world.function.jobs.fault = failing("CancelJob", throttled, times=2, job_id="firmware-2")
    world.play((0, {"cancel": {"jobIds": ["firmware-1", "firmware-2"], "waitForExecutionsMinutes": 1}}))
    assert world.looks == [5, 10, 30, 50, 70]
    assert [report["status"] for report in world.function.reports] == [*["UNFINISHED"] * 5, "UNSETTLED"]


def test_devices_that_run_a_job_that_can_not_be_cancelled_are_not_waited_for(new_world: NewWorld) -> None:
    world = new_world()
    world.function.jobs.fault = failing("CancelJob", denied)
    world.play((0, deletion(world.function.server)))
    reason = "job firmware FAILED: AccessDeniedException: not authorized" + where_to_look()
    assert (world.looks, world.answers) == ([], [(0, "answer", "FAILED", reason)])


# The time is up

SEVEN = {f"firmware-{number}": running(f"thing-{number}") for number in range(7)}
UP = "after {} min, 2 devices still run job firmware"


@pytest.mark.parametrize(("minutes", "at"), [(1, 60), (5, 300), (17, 1020), (20, 1200), (50, 3000)])
@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_a_deletion_whose_devices_take_too_long_fails_when_the_time_is_up_and_says_which_job(
    which: str, minutes: int, at: float, new_world: NewWorld
) -> None:
    world = new_world()
    world.play((0, deletion(world.function.server, str(minutes), which=which)))
    assert world.answers == [(at, "answer", "FAILED", UP.format(minutes) + where_to_look())]
    assert running_in(world.jobs) == [("firmware", "thing-1"), ("firmware", "thing-2")]
    levels = [line["level"] for line in world.function.log.lines]
    assert levels == ["INFO"] * (len(levels) - 1) + ["WARNING"]


def test_the_reason_tells_five_jobs_and_how_many_more(new_world: NewWorld) -> None:
    world = new_world(SEVEN)
    world.play((0, deletion(world.function.server, which="Select")))
    ((_, _, status, reason),) = world.answers
    told, _, more = reason.removesuffix(where_to_look()).partition(", and ")
    after, *each = told.split(", ")
    assert (status, after, more) == ("FAILED", "after 5 min", "devices still run 2 more jobs")
    assert len(set(each)) == 5
    assert set(each) <= {f"1 device still runs job firmware-{number}" for number in range(7)}


def test_a_deletion_that_continues_goes_on_when_the_time_is_up_and_warns_only_then(
    new_world: NewWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world = new_world()
    world.deliver(deletion(world.function.server, OnIncomplete="CONTINUE"))
    while len(world.looks) < 14:
        world.look()
    assert [line["message"] for line in world.function.log.lines] == ["report"] * 15
    assert {line["level"] for line in world.function.log.lines} == {"INFO"}
    assert "TeardownsContinued" not in capsys.readouterr().out
    world.play()
    assert world.answers == [(300, "answer", "SUCCESS", UP.format(5) + where_to_look())]
    assert [(line["level"], line["message"]) for line in world.function.log.lines[15:]] == [
        ("WARNING", UP.format(5)),
        ("WARNING", "report"),
    ]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["TeardownsContinued"] for line in lines if "TeardownsContinued" in line] == [[1.0]]


@pytest.mark.parametrize("which", ["jobId", "select"])
def test_an_event_whose_devices_take_too_long_is_unsettled_and_comes_no_more(which: str, new_world: NewWorld) -> None:
    world = new_world()
    meant: object = "firmware" if which == "jobId" else {"jobIdGlob": "firmware*"}
    world.play((0, {"cancel": {which: meant, "waitForExecutionsMinutes": 5}}))
    *before, last = world.function.reports
    assert {report["status"] for report in before} == {"UNFINISHED"}
    assert (last["status"], last["reason"], world.now) == ("UNSETTLED", UP.format(5), 300)
    assert (last["counts"], last["executionsLeftInProgress"]) == ({"ALREADY_CANCELED": 1}, 2)
    assert (world.backlog.messages, world.backlog.dead, world.answers) == ([], [], [])


# ServiceTimeout and minutes → when it is answered: once another look and 30 s for it would be too late.
SOON: dict[tuple[str, str], float] = {
    ("10", "5"): 0,
    ("62", "5"): 0,
    ("63", "5"): 20,
    ("120", "5"): 60,
    ("300", "5"): 200,
    ("360", "5"): 260,
    ("420", "5"): 300,
    ("900", "50"): 800,
    ("3120", "50"): 3000,
}


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
@pytest.mark.parametrize(("timeout", "minutes"), SOON)
def test_a_deletion_is_answered_in_time_though_its_wait_is_longer_than_cloudformations(
    timeout: str, minutes: str, on_incomplete: str, status: str, new_world: NewWorld
) -> None:
    world = new_world()
    world.play(
        (0, deletion(world.function.server, minutes, ServiceTimeout=timeout, OnIncomplete=on_incomplete)),
    )
    ((at, _, told, reason),) = world.answers
    assert (at, told) == (SOON[timeout, minutes], status)
    assert "2 devices still run job firmware" in reason
    assert at <= int(timeout)


def test_a_deletion_that_fails_since_cloudformation_waits_no_longer_is_logged_as_a_warning(
    new_world: NewWorld,
) -> None:
    world = new_world()
    world.play((0, deletion(world.function.server, ServiceTimeout="120")))
    assert world.function.log.lines[-1]["level"] == "WARNING"


@pytest.mark.parametrize("policy", [LIMITS, FORCED], ids=["gentle", "forced"])
def test_many_jobs_that_were_cancelled_long_ago_do_not_keep_a_deletion_from_cancelling(
    policy: StackLimits, new_world: NewWorld
) -> None:
    """They stay listed for two years, and here are more than one invocation has the time to list."""
    history = {f"firmware-old-{number}": FakeJob("CANCELED", comment="long ago") for number in range(400)}
    world = new_world(history | {"firmware": running("thing-1")}, ends_at=100)
    world.function.configure(cancels_per_second=8, policy=policy)
    world.function.jobs.page_size = 1
    world.invoke(deletion(world.function.server, which="Select"), 60)
    while world.backlog.messages:
        world.backlog.deliver(lambda event: world.invoke(event, 60))
    assert world.function.jobs.cancelled == ["firmware"]
    assert len(world.answers) == 1


# Duplicates

# Deliveries of one Delete, with a wait of 20 min (looks at 20, 44, 68 s and so on) over devices that report after
# 130 s, so that the first look that sees it is at 140 s → when it is answered, each time.
DUPLICATES: dict[tuple[float, ...], list[float]] = {
    (0, 0): [140],
    (0, 1): [140],
    (0, 20): [140],
    (0, 30): [140],
    (0, 139): [139, 140],
    (0, 140): [140, 140],
    (0, 150): [140, 150],
    (0, 299): [140, 299],
    (0, 301): [140, 301],
    (0, 2000): [140, 2000],
    (0, 10, 20): [140],
    (0, 44, 300): [140, 300],
    (0, 0, 20, 44, 68): [140],
    (0, 60, 140, 200, 400): [140, 140, 200, 400],
}
# The same where devices report after 700 s: SQS knows a duplicate for 300 s. The first look that sees it is at 716 s.
LATE_DUPLICATES: dict[tuple[float, ...], list[float]] = {
    (0, 299): [716],
    (0, 350): [716, 716],
    (0, 100, 200): [716],
    (0, 290, 310, 590, 620): [716, 716, 716],
    (0, 699, 715): [715, 716, 719],
}


@pytest.mark.parametrize("looks_first", [False, True], ids=["deliveries-first", "looks-first"])
@pytest.mark.parametrize("which", ["JobId", "Select"])
@pytest.mark.parametrize(
    ("times", "ends_at", "answered_at"),
    [(times, 130, DUPLICATES[times]) for times in DUPLICATES]
    + [(times, 700, LATE_DUPLICATES[times]) for times in LATE_DUPLICATES],
)
def test_a_deletion_that_is_delivered_again_is_answered_alike_and_never_before_the_devices_are_done(
    times: tuple[float, ...],
    ends_at: float,
    answered_at: Sequence[float],
    which: str,
    looks_first: bool,
    new_world: NewWorld,
) -> None:
    world = new_world(ends_at=ends_at)
    event = deletion(world.function.server, "20", which=which)
    world.play(*((at, event) for at in times), looks_first=looks_first)
    assert world.answers == [(at, "answer", "SUCCESS", "") for at in answered_at]
    assert (world.function.jobs.cancelled, len(world.groups.get("r-1", ()))) == (["firmware"], 1)


@pytest.mark.parametrize("which", ["JobId", "Select"])
@pytest.mark.parametrize("times", [(0, 0), (0, 150), (0, 20, 299), (0, 301), (0, 300, 1000), (0, 600, 1199), (0, 1300)])
def test_a_deletion_that_is_delivered_again_fails_alike_if_the_devices_never_report(
    times: tuple[float, ...], which: str, new_world: NewWorld
) -> None:
    world = new_world()
    event = deletion(world.function.server, "20", which=which)
    world.play(*((at, event) for at in times))
    assert {answer[1:] for answer in world.answers} == {("answer", "FAILED", UP.format(20) + where_to_look())}
    assert world.answers[0][0] == 1200


@pytest.mark.parametrize("which", ["JobId", "Select"])
@pytest.mark.parametrize("second_id", ["r-1", "r-2"])
@pytest.mark.parametrize("at", [0, 10, 20, 139, 140, 141, 299, 301, 2000])
def test_two_deliveries_with_urls_of_their_own_are_each_answered_at_their_own(
    at: float, second_id: str, which: str, new_world: NewWorld
) -> None:
    world = new_world(ends_at=130)
    server = world.function.server
    first = deletion(server, "20", which=which, path="first")
    second = deletion(server, "20", which=which, path="second", request_id=second_id)
    world.play((0, first), (at, second))
    assert sorted(answer[1:] for answer in world.answers) == [("first", "SUCCESS", ""), ("second", "SUCCESS", "")]
    assert min(when for when, *_ in world.answers) >= 130
    assert world.function.jobs.cancelled == ["firmware"]
    assert {len(groups) for groups in world.groups.values()} == {1}
    assert len(set().union(*world.groups.values())) == len(world.groups)


# The same Delete, or another one with a URL of its own, arrives in the middle of a call.
RACES = {
    "same": {"path": "answer"},
    "another URL": {"path": "second"},
    "another request": {"path": "second", "request_id": "r-2"},
}


@pytest.mark.parametrize("which", ["JobId", "Select"])
@pytest.mark.parametrize("race", RACES)
@pytest.mark.parametrize("ends_at", [70, None], ids=["devices-report", "devices-never-report"])
def test_a_delivery_in_the_middle_of_any_call_of_another_makes_no_difference(
    ends_at: float | None, race: str, which: str, new_world: NewWorld
) -> None:
    told: dict[int, object] = {}
    number = 0
    while True:
        number += 1
        world = new_world(ends_at=ends_at, calls=Calls(number))
        server = world.function.server
        event = deletion(server, "2", which=which)
        other = deletion(server, "2", which=which, **RACES[race])

        def arrive(world: World = world, other: object = other) -> None:
            world.deliver(other)

        world.calls.then = arrive
        world.play((0, event))
        if not world.calls.happened_in:
            break
        paths = {path for _, path, *_ in world.answers}
        earliest = min(when for when, *_ in world.answers)
        told[number] = (paths, {status for *_, status, _ in world.answers}, earliest, world.function.jobs.cancelled)
    paths = {"answer", RACES[race]["path"]}
    expected = (paths, {"SUCCESS"}, 80, ["firmware"]) if ends_at else (paths, {"FAILED"}, 120, ["firmware"])
    # Two for each call: at the least CancelJob, DescribeJob and SendMessage; three for each look; and an answer.
    assert len(told) >= 2 * (3 + 3 * 4)
    assert {number: each for number, each in told.items() if each != expected} == {}


# The lease


def fleet(number: int) -> dict[str, FakeJob]:
    return {f"firmware-{each}": running("thing-1") for each in range(number)}


def message_at_work(world: World, event: Any) -> FakeMessage:
    message_id = event["Records"][0]["messageId"]
    return next(message for message in world.backlog.messages if message.message_id == message_id)


# How late the function begins with a message that it was handed under a lease of 330 s.
@pytest.mark.parametrize("late", [0, 29, 100, 329])
@pytest.mark.parametrize("kind", ["deletion", "deletion of a selection that waits", "event"])
def test_a_message_stays_leased_while_it_is_worked_on_for_as_long_as_lambda_lets_a_run_work(
    kind: str, late: float, new_world: NewWorld
) -> None:
    world = new_world(fleet(400))
    world.function.configure(cancels_per_second=1, policy=replace(LIMITS, max_jobs=1000))
    world.function.jobs.seconds_a_call = 0.1
    wait = "0" if kind == "deletion" else "5"
    event: object = {"cancel": {"select": {"jobIdGlob": "firmware*"}}}
    world.deliver(event if kind == "event" else deletion(world.function.server, wait, which="Select"))
    clock, leases = world.function.clock, list[float]()

    def handle(event: Any) -> dict[str, Any]:
        clock.advance(late)
        began, message = clock(), message_at_work(world, event)

        def check(_operation: str, _job_id: str) -> None:
            leases.append(message.visible_at - clock())

        world.function.jobs.fault = check
        answer = world.invoke(event)
        assert clock() - began <= 300
        return answer

    worked: list[float] = []
    while world.backlog.messages and len(worked) < 3:
        before = clock()
        world.backlog.deliver(handle)
        worked.append(clock() - before)
    assert max(worked) > 80 + late
    assert min(leases) >= 10


@pytest.mark.parametrize("stage", ["waiting", "cancelling"])
def test_a_run_that_begins_after_its_lease_has_ended_does_nothing_and_leaves_the_message_to_another(
    stage: str, new_world: NewWorld
) -> None:
    world = new_world(ends_at=30)
    if stage == "cancelling":
        world.function.jobs.fault = failing("CancelJob", throttled, times=1)
    world.deliver(deletion(world.function.server))
    calls = list(world.function.jobs.calls)

    def handle(event: object) -> dict[str, Any]:
        world.function.clock.advance(330.5)
        return world.invoke(event)

    answer = world.backlog.deliver(handle)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert (world.function.jobs.calls, world.answers) == (calls, [])
    assert world.function.log.lines[-1]["message"] == (
        "the message's lease had ended, so another run has it or will have it"
    )
    assert world.backlog.messages[0].visible_at < world.function.clock()
    world.play()
    assert {answer[1:] for answer in world.answers} == {("answer", "SUCCESS", "")}
    assert world.function.jobs.cancelled == ["firmware"]


def test_of_two_runs_with_one_message_only_the_one_that_has_its_lease_works(new_world: NewWorld) -> None:
    world = new_world(ends_at=30)
    world.deliver(deletion(world.function.server))

    def handle(event: object) -> dict[str, Any]:
        world.function.clock.advance(331)
        world.backlog.deliver(world.invoke)  # another run, which ends
        calls = list(world.function.jobs.calls)
        answer = world.invoke(event)
        assert world.function.jobs.calls == calls
        return answer

    world.backlog.deliver(handle)
    assert world.answers == [(351, "answer", "SUCCESS", "")]
    assert world.backlog.messages == []


# Crashes


def test_a_look_that_crashes_is_taken_up_again_when_its_lease_ends(new_world: NewWorld) -> None:
    """It had 300 s left, and a lease of 310 s. Calls 7 and 8 are the renewal, 9 is DescribeJob."""
    world = new_world(ends_at=70, calls=Calls(9))
    world.play((0, deletion(world.function.server, "20")))
    assert (world.calls.happened_in, world.looks) == ("DescribeJob", [20, 330])
    assert world.answers == [(330, "answer", "SUCCESS", "")]


KINDS = ["JobId", "Select", "event"]


def story(world: World, kind: str, minutes: int = 5) -> object:
    if kind == "event":
        return {"cancel": {"jobId": "firmware", "waitForExecutionsMinutes": minutes}}
    return deletion(world.function.server, str(minutes), which=kind)


# Minutes of the wait, when the devices report, and how many looks of a deletion and of an event there are if nothing
# crashes. A crash in a look takes the 310 s of its lease: the wait goes on after that, or its time is up.
WAITS = [(20, 70, (4, 3)), (20, 400, (17, 17)), (2, None, (6, 6))]
# How many calls a first delivery makes: IoT's and SendMessage. A selection is listed in two statuses twice and asked
# for Greengrass's jobs once, and what an earlier delivery has left is looked for once.
FIRST = {"JobId": 3, "event": 3, "Select": 10}
# And the look at which all have reported: a deletion then selects once more, and asks about the job that it has left.
LAST = {"JobId": 0, "event": 0, "Select": 4}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("minutes", "ends_at", "looks"), WAITS)
def test_a_crash_at_any_call_of_a_wait_changes_nothing_but_the_time(
    minutes: int, ends_at: float | None, looks: tuple[int, int], kind: str, new_world: NewWorld
) -> None:
    # Each look renews, describes and keeps its message; the last one answers instead, or does not.
    calls = FIRST[kind] + (3 * looks[1] - 1 if kind == "event" else 3 * looks[0]) + (LAST[kind] if ends_at else 0)
    up = ends_at or minutes * 60
    status, reason = ("SUCCESS", "") if ends_at else ("FAILED", UP.format(minutes) + where_to_look())
    answer = [] if kind == "event" else [("answer", status, reason)]
    crashed_in: Counter[str] = Counter()
    wrong: dict[int, object] = {}
    for number in range(1, 2 * calls + 2):
        world = new_world(ends_at=ends_at, calls=Calls(number))
        world.play((0, story(world, kind, minutes)))
        crashed_in[world.calls.happened_in] += 1
        told = {answer[1:] for answer in world.answers}
        early = [when for when, *_ in world.answers if when < up]
        last = world.function.reports[-1]["status"]
        rest = (world.function.jobs.cancelled, world.backlog.messages, world.backlog.dead)
        if (told, early, rest) != (set(answer), [], (["firmware"], [], [])) or (
            last != ("SETTLED" if ends_at else "UNSETTLED")
        ):
            wrong[number] = (world.calls.happened_in, world.answers, last, rest)
    assert wrong == {}
    assert crashed_in.pop("") == 1  # one more than there are
    assert set(crashed_in) == {
        *("CancelJob", "DescribeJob", "send_message", "change_message_visibility"),
        *(() if kind == "event" else ("answer",)),
        *(("ListJobs",) if kind == "Select" else ()),
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("first", range(1, 13))
def test_two_crashes_change_nothing_but_the_time_either(first: int, kind: str, new_world: NewWorld) -> None:
    """The second one is in any of the calls that follow on the first."""
    for second in range(first + 1, first + 15):
        calls = Calls(first)

        def kill(calls: Calls = calls, second: int = second) -> None:
            calls.at = second
            calls.is_dead = True
            raise Killed

        calls.then = kill
        world = new_world(ends_at=70, calls=calls)
        world.play((0, story(world, kind, 20)))
        told = {answer[1:] for answer in world.answers}
        assert told == (set() if kind == "event" else {("answer", "SUCCESS", "")}), second
        assert [when for when, *_ in world.answers if when < 70] == [], second
        assert (world.function.jobs.cancelled, world.backlog.messages) == (["firmware"], []), second


# Parameters of the stack that are changed meanwhile


@pytest.mark.parametrize("kind", ["JobId", "Select", "event", "event that selects"])
def test_force_that_is_switched_on_for_another_one_ends_no_execution_of_a_wait_under_way(
    kind: str, new_world: NewWorld
) -> None:
    world = new_world(ends_at=70)
    selecting = {"cancel": {"select": {"jobIdGlob": "firmware*"}, "waitForExecutionsMinutes": 5}}
    world.deliver(selecting if kind == "event that selects" else story(world, kind))
    world.look()
    world.function.configure(limits=FORCED)
    world.play()
    assert (world.looks, world.function.jobs.executions_cancelled) == ([20, 40, 60, 80], [])
    assert world.function.reports[-1]["force"] is False


@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_a_new_deletion_with_force_ends_what_the_one_under_way_waits_for(which: str, new_world: NewWorld) -> None:
    world = new_world()
    world.deliver(deletion(world.function.server, which=which))
    world.look()
    assert world.answers == []
    world.function.configure(limits=FORCED)
    world.play((30, deletion(world.function.server, which=which, request_id="r-2", path="second")))
    assert sorted(world.function.jobs.executions_cancelled) == [("firmware", "thing-1"), ("firmware", "thing-2")]
    assert world.answers == [(30, "second", "SUCCESS", ""), (40, "answer", "SUCCESS", "")]


@pytest.mark.parametrize("kind", ["JobId", "Select", "event", "event that selects"])
def test_a_prefix_that_is_set_meanwhile_ends_no_wait(kind: str, new_world: NewWorld) -> None:
    """The cancel is done. To answer SUCCESS now would take the bucket away from the devices."""
    world = new_world(ends_at=70)
    selecting = {"cancel": {"select": {"jobIdGlob": "firmware*"}, "waitForExecutionsMinutes": 5}}
    world.deliver(selecting if kind == "event that selects" else story(world, kind))
    world.look()
    world.function.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    world.play()
    assert world.looks == [20, 40, 60, 80]
    assert [report["status"] for report in world.function.reports] == ["UNFINISHED"] * 4 + ["SETTLED"]
    assert world.answers == ([(80, "answer", "SUCCESS", "")] if kind in {"JobId", "Select"} else [])


@pytest.mark.parametrize("kind", ["deletion", "event"])
def test_force_that_a_request_has_turned_off_stays_off_though_it_is_switched_on(kind: str, new_world: NewWorld) -> None:
    world = new_world(ends_at=70)
    event = {"cancel": {"jobId": "firmware", "waitForExecutionsMinutes": 5, "force": False}}
    world.deliver(event if kind == "event" else deletion(world.function.server, Force="false"))
    world.look()
    world.function.configure(limits=FORCED)
    world.play()
    assert (world.looks, world.function.jobs.executions_cancelled) == ([20, 40, 60, 80], [])
    assert set(world.jobs["firmware"].executions.values()) == {"SUCCEEDED", "CANCELED", "FAILED"}


def test_with_force_from_the_start_nothing_is_waited_for(new_world: NewWorld) -> None:
    world = new_world()
    world.function.configure(limits=FORCED)
    world.play((0, deletion(world.function.server)))
    assert (world.looks, world.answers) == ([], [(0, "answer", "SUCCESS", "")])
