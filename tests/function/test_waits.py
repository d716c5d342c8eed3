"""Waiting for devices, from one end to the other: each look, each answer, and what duplicates and crashes make of them.

Times are seconds since the first delivery, by a fake clock.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, override
from urllib.parse import urlsplit

import pytest

from handler.cancellation.request import StackLimits
from tests.conftest import Function, Log
from tests.support.aws_lambda import Due
from tests.support.fakes import LIMITS, FakeClock, FakeJob, FakeJobs, denied, failing, throttled
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
    path: str = "answer",
    **properties: object,
) -> dict[str, Any]:
    """A Delete of the job firmware, or of all that match firmware*."""
    physical_id, meant = ("firmware", {"JobId": "firmware"}) if which == "JobId" else (SELECTION_ID, {"Select": SELECT})
    url = f"{server.url}/{path}?X-Amz-Signature=secret"
    wanted = {"WaitForExecutionsMinutes": wait, **meant, **properties}
    return delete_request(physical_id, url, wanted, request_id=request_id)


def where_to_look(request_id: str = "r-1") -> str:
    return f" (log group /aws/lambda/canceler, correlation_id {request_id})"


class World(Function):
    """The function, its queues, CloudFormation and the devices, which report when their time has come.

    Attributes:
        reports_at: when each thing's execution succeeds, by job and thing.
        looks: when the function got a message.
        groups: the message groups of each RequestId.
    """

    reports_at: dict[tuple[str, str], float]

    def __init__(self, jobs: FakeJobs, log: Log, clock: FakeClock) -> None:
        pool = FakePool()
        super().__init__(jobs, pool, pool.pool, log, clock)
        self.reports_at = {}
        self.looks: list[float] = []
        self.response_times: list[float] = []
        self.groups: dict[str, set[str]] = {}
        pool.on_request = lambda _request: self.response_times.append(self.now)

    @property
    def now(self) -> float:
        return self.clock.elapsed

    @property
    def responses(self) -> list[tuple[float, str, str, str]]:
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
            self.looks.append(self.now)
        try:
            return super().invoke(event)
        finally:
            for message in self.sqs.messages:
                self.groups.setdefault(message.event.get("RequestId", ""), set()).add(message.group)

    def run_all(self, *deliveries: tuple[float, object], messages_first: bool = False) -> None:
        """Deliver these events at their times, and all messages, until nothing is left."""
        self.run(*(Due(at, event) for at, event in deliveries), messages_first=messages_first)
        assert (self.sqs.dead_letters, self.failed) == ([], [])


type NewWorld = Callable[..., World]


@pytest.fixture
def new_world(new_log: Callable[[], Log]) -> NewWorld:
    """Each with the job firmware, which two devices run; `ends_at` is when they report success.

    The rate limit is so high that no run takes time, and that all times are round.
    """

    def new(jobs: Mapping[str, FakeJob] | None = None, *, ends_at: float | None = None) -> World:
        clock = FakeClock()
        found = {"firmware": running("thing-1", "thing-2")} if jobs is None else dict(jobs)
        world = World(FakeJobs(found, clock), new_log(), clock)
        world.configure(cancels_per_second=1_000_000)
        world.reports_at = {} if ends_at is None else dict.fromkeys(running_in(found), ends_at)
        return world

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
    world(deletion(world.server))
    (message,) = world.sqs.messages
    assert (bool(message.group), world.responses, message.visible_at - world.clock.start) == (True, [], 20)
    world.run_all()
    assert world.looks == [20, 40, 60, 80, 100]
    assert world.responses == [(100, "answer", "SUCCESS", "")]
    assert world.ended.total() == 6
    assert world.jobs.calls == [("CancelJob", "firmware"), *[("DescribeJob", "firmware")] * 6]
    told = [(report["status"], report["reason"]) for report in world.reports]
    assert told == [
        *[("UNFINISHED", "2 devices still run job firmware")] * 3,
        *[("UNFINISHED", "1 device still runs job firmware")] * 2,
        ("SETTLED", ""),
    ]
    assert {line["level"] for line in world.log.lines} == {"INFO"}
    assert world.jobs.jobs["firmware"].executions == {
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
    world(deletion(world.server, which="Select"))
    told = len(world.jobs.calls)
    world.run_all()
    assert world.looks == [20, 40, 60, 80]
    assert world.responses == [(80, "answer", "SUCCESS", "")]
    assert Counter(world.jobs.calls[told:-6]) == {
        ("DescribeJob", "firmware-1"): 4,
        ("DescribeJob", "firmware-2"): 4,
    }
    assert sorted(world.jobs.calls[-6:]) == [
        *(("DescribeJob", f"firmware-{number}") for number in (1, 2, 3)),
        *(("ListJobs", f"{status}/1") for status in ("CANCELED", "IN_PROGRESS", "SCHEDULED")),
    ]
    assert sorted(world.jobs.cancelled) == ["firmware-1", "firmware-2", "firmware-3"]
    assert world.ended.total() == 5


EVENTS: dict[str, dict[str, object]] = {
    "a job": {"jobId": "firmware-1"},
    "two jobs": {"jobIds": ["firmware-1", "firmware-2"]},
    "a selection": {"select": {"jobIdGlob": "firmware*"}},
}


@pytest.mark.parametrize("which", EVENTS)
def test_an_event_waits_on_the_backlog_and_answers_nobody(which: str, new_world: NewWorld) -> None:
    world = new_world(three_jobs(), ends_at=50)
    event = {"cancel": {**EVENTS[which], "waitForExecutionsMinutes": 5}}
    world(event)
    (message,) = world.sqs.messages
    assert (message.group, world.sqs.events) == ("", [event])
    told = len(world.jobs.calls)
    world.run_all()
    assert (world.looks, world.ended.total(), world.responses) == ([20, 40, 60], 4, [])
    assert {operation for operation, _ in world.jobs.calls[told:]} == {"DescribeJob"}
    assert [report["status"] for report in world.reports] == [*["UNFINISHED"] * 3, "SETTLED"]
    assert len(world.jobs.cancelled) == len(set(world.jobs.cancelled))


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
    world.run_all((0, deletion(world.server, str(minutes))))
    assert (world.looks[:4], len(world.looks)) == (of_a_deletion, looks_of_a_deletion)
    assert world.jobs.calls[2:] == [("DescribeJob", "firmware")] * looks_of_a_deletion
    world = new_world()
    world.run_all((0, {"cancel": {"jobId": "firmware", "waitForExecutionsMinutes": minutes}}))
    assert (world.looks[:4], len(world.looks)) == (of_an_event, looks_of_an_event)


@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_nothing_waits_where_no_device_is_at_work(which: str, new_world: NewWorld) -> None:
    world = new_world({"firmware": FakeJob(executions={"thing-1": "QUEUED"})})
    world.run_all((0, deletion(world.server, which=which)))
    assert (world.looks, world.responses) == ([], [(0, "answer", "SUCCESS", "")])


@pytest.mark.parametrize("wait", ["0", "51", "soon"])
def test_a_wait_of_nothing_or_one_that_can_not_be_read_is_none(wait: str, new_world: NewWorld) -> None:
    """Create and Update refuse the others; a Delete never fails on properties."""
    world = new_world()
    world.run_all((0, deletion(world.server, wait)))
    assert (world.looks, [status for *_, status, _ in world.responses]) == ([], ["SUCCESS"])


def test_a_throttled_look_is_one_more_look(new_world: NewWorld) -> None:
    world = new_world(ends_at=30)
    world(deletion(world.server))
    world.jobs.fault = failing("DescribeJob", throttled, times=2)
    world.run_all()
    assert world.looks == [20, 25, 35]
    assert world.responses == [(35, "answer", "SUCCESS", "")]


def test_a_job_that_is_deleted_in_the_middle_of_a_wait_is_waited_for_no_more(new_world: NewWorld) -> None:
    world = new_world()
    world(deletion(world.server))
    del world.jobs.jobs["firmware"]
    world.run_all()
    assert world.responses == [(20, "answer", "SUCCESS", "")]
    assert world.reports[-1]["counts"] == {"GONE": 1}


def test_a_wait_does_not_begin_before_the_job_is_cancelled(new_world: NewWorld) -> None:
    world = new_world()
    world.jobs.fault = failing("CancelJob", throttled, times=2)
    world.run_all((0, deletion(world.server, "1")))
    assert world.looks == [20, 25, 45, 65, 85]
    reason = "timed out after 1 min: 2 devices still run job firmware" + where_to_look()
    assert world.responses == [(85, "answer", "FAILED", reason)]


def test_devices_are_waited_for_though_another_job_can_not_be_cancelled_and_that_one_is_told_in_the_end(
    new_world: NewWorld,
) -> None:
    world = new_world(three_jobs(), ends_at=50)
    world.jobs.fault = failing("CancelJob", denied, job_id="firmware-3")
    world.run_all((0, deletion(world.server, which="Select")))
    reason = "1 active job matched; job firmware-3 FAILED: AccessDeniedException: not authorized" + where_to_look()
    assert (world.looks, world.responses) == ([20, 40, 60], [(60, "answer", "FAILED", reason)])


def test_a_wait_does_not_begin_before_every_job_is_cancelled(new_world: NewWorld) -> None:
    world = new_world(three_jobs())
    world.jobs.fault = failing("CancelJob", throttled, times=2, job_id="firmware-2")
    world.run_all((0, {"cancel": {"jobIds": ["firmware-1", "firmware-2"], "waitForExecutionsMinutes": 1}}))
    assert world.looks == [5, 10, 30, 50, 70]
    assert [report["status"] for report in world.reports] == [*["UNFINISHED"] * 5, "UNSETTLED"]


def test_devices_that_run_a_job_that_can_not_be_cancelled_are_not_waited_for(new_world: NewWorld) -> None:
    world = new_world()
    world.jobs.fault = failing("CancelJob", denied)
    world.run_all((0, deletion(world.server)))
    reason = "job firmware FAILED: AccessDeniedException: not authorized" + where_to_look()
    assert (world.looks, world.responses) == ([], [(0, "answer", "FAILED", reason)])


# The time is up

SEVEN = {f"firmware-{number}": running(f"thing-{number}") for number in range(7)}
UP = "timed out after {} min: 2 devices still run job firmware"


@pytest.mark.parametrize(("minutes", "at"), [(1, 60), (5, 300), (17, 1020), (20, 1200), (50, 3000)])
@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_a_deletion_whose_devices_take_too_long_fails_when_the_time_is_up_and_says_which_job(
    which: str, minutes: int, at: float, new_world: NewWorld
) -> None:
    world = new_world()
    world.run_all((0, deletion(world.server, str(minutes), which=which)))
    assert world.responses == [(at, "answer", "FAILED", UP.format(minutes) + where_to_look())]
    assert running_in(world.jobs.jobs) == [("firmware", "thing-1"), ("firmware", "thing-2")]
    levels = [line["level"] for line in world.log.lines]
    assert levels == ["INFO"] * (len(levels) - 1) + ["WARNING"]


def test_the_reason_tells_five_jobs_and_how_many_more(new_world: NewWorld) -> None:
    world = new_world(SEVEN)
    world.run_all((0, deletion(world.server, which="Select")))
    ((_, _, status, reason),) = world.responses
    jobs, _, more = reason.removesuffix(where_to_look()).partition(", and ")
    after, _, listed = jobs.partition(": ")
    each = listed.split(", ")
    assert (status, after, more) == ("FAILED", "timed out after 5 min", "2 more jobs")
    assert len(set(each)) == 5
    assert set(each) <= {f"1 device still runs job firmware-{number}" for number in range(7)}


def test_a_deletion_that_continues_goes_on_when_the_time_is_up_and_warns_only_then(
    new_world: NewWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    world = new_world()
    world(deletion(world.server, OnIncomplete="CONTINUE"))
    while len(world.looks) < 14:
        world.poll()
    assert [line["message"] for line in world.log.lines] == ["report"] * 15
    assert {line["level"] for line in world.log.lines} == {"INFO"}
    assert "TeardownsContinued" not in capsys.readouterr().out
    world.run_all()
    assert world.responses == [(300, "answer", "SUCCESS", UP.format(5) + where_to_look())]
    assert [(line["level"], line["message"]) for line in world.log.lines[15:]] == [
        ("WARNING", UP.format(5)),
        ("WARNING", "report"),
    ]
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["TeardownsContinued"] for line in lines if "TeardownsContinued" in line] == [[1.0]]


@pytest.mark.parametrize("which", ["jobId", "select"])
def test_an_event_whose_devices_take_too_long_is_unsettled_and_comes_no_more(which: str, new_world: NewWorld) -> None:
    world = new_world()
    meant: object = "firmware" if which == "jobId" else {"jobIdGlob": "firmware*"}
    world.run_all((0, {"cancel": {which: meant, "waitForExecutionsMinutes": 5}}))
    *before, last = world.reports
    assert {report["status"] for report in before} == {"UNFINISHED"}
    assert (last["status"], last["reason"], world.now) == ("UNSETTLED", UP.format(5), 300)
    assert (last["counts"], last["executionsLeftInProgress"]) == ({"ALREADY_CANCELED": 1}, 2)
    assert (world.sqs.messages, world.sqs.dead_letters, world.responses) == ([], [], [])


# ServiceTimeout and minutes → when it is answered: once another look and 30 s for it would be too late.
SOON: dict[tuple[str, str], float] = {
    ("50", "5"): 0,
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
    world.run_all(
        (0, deletion(world.server, minutes, ServiceTimeout=timeout, OnIncomplete=on_incomplete)),
    )
    ((at, _, told, reason),) = world.responses
    assert (at, told) == (SOON[timeout, minutes], status)
    assert "2 devices still run job firmware" in reason
    assert at <= int(timeout)


def test_a_deletion_that_fails_since_cloudformation_waits_no_longer_is_logged_as_a_warning(
    new_world: NewWorld,
) -> None:
    world = new_world()
    world.run_all((0, deletion(world.server, ServiceTimeout="120")))
    assert world.log.lines[-1]["level"] == "WARNING"


@pytest.mark.parametrize("policy", [LIMITS, FORCED], ids=["gentle", "forced"])
def test_many_jobs_that_were_cancelled_long_ago_do_not_keep_a_deletion_from_cancelling(
    policy: StackLimits, new_world: NewWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They stay listed for two years, and here are more than one invocation has the time to list."""
    monkeypatch.setattr("handler.cancellation.selection.MAX_EARLIER_CANCELLATIONS", 20)
    history = {f"firmware-old-{number}": FakeJob("CANCELED", comment="long ago") for number in range(50)}
    world = new_world(history | {"firmware": running("thing-1")}, ends_at=100)
    world.configure(cancels_per_second=1, limits=policy)
    world.jobs.page_size = 1
    world(deletion(world.server, which="Select"), 60)
    world.drain(60)
    assert world.jobs.cancelled == ["firmware"]
    assert len(world.responses) == 1


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
    event = deletion(world.server, "20", which=which)
    world.run_all(*((at, event) for at in times), messages_first=looks_first)
    assert world.responses == [(at, "answer", "SUCCESS", "") for at in answered_at]
    assert (world.jobs.cancelled, len(world.groups.get("r-1", ()))) == (["firmware"], 1)


@pytest.mark.parametrize("which", ["JobId", "Select"])
@pytest.mark.parametrize("times", [(0, 0), (0, 150), (0, 20, 299), (0, 301), (0, 300, 1000), (0, 600, 1199), (0, 1300)])
def test_a_deletion_that_is_delivered_again_fails_alike_if_the_devices_never_report(
    times: tuple[float, ...], which: str, new_world: NewWorld
) -> None:
    world = new_world()
    event = deletion(world.server, "20", which=which)
    world.run_all(*((at, event) for at in times))
    assert {answer[1:] for answer in world.responses} == {("answer", "FAILED", UP.format(20) + where_to_look())}
    assert world.responses[0][0] == 1200


@pytest.mark.parametrize("which", ["JobId", "Select"])
@pytest.mark.parametrize("second_id", ["r-1", "r-2"])
@pytest.mark.parametrize("at", [0, 10, 20, 139, 140, 141, 299, 301, 2000])
def test_two_deliveries_with_urls_of_their_own_are_each_answered_at_their_own(
    at: float, second_id: str, which: str, new_world: NewWorld
) -> None:
    world = new_world(ends_at=130)
    server = world.server
    first = deletion(server, "20", which=which, path="first")
    second = deletion(server, "20", which=which, path="second", request_id=second_id)
    world.run_all((0, first), (at, second))
    assert sorted(answer[1:] for answer in world.responses) == [("first", "SUCCESS", ""), ("second", "SUCCESS", "")]
    assert min(when for when, *_ in world.responses) >= 130
    assert world.jobs.cancelled == ["firmware"]
    assert {len(groups) for groups in world.groups.values()} == {1}
    assert len(set().union(*world.groups.values())) == len(world.groups)


# The lease


def fleet(number: int) -> dict[str, FakeJob]:
    return {f"firmware-{each}": running("thing-1") for each in range(number)}


# How late the function begins with a message that it was handed under a lease of 330 s.
@pytest.mark.parametrize("late", [0, 29, 100, 329])
@pytest.mark.parametrize("kind", ["deletion", "deletion of a selection that waits", "event"])
def test_a_message_stays_leased_while_it_is_worked_on_for_as_long_as_lambda_lets_a_run_work(
    kind: str, late: float, new_world: NewWorld
) -> None:
    world = new_world(fleet(400))
    world.configure(cancels_per_second=1, limits=replace(LIMITS, max_jobs=1000))
    world.jobs.seconds_a_call = 0.1
    wait = "0" if kind == "deletion" else "5"
    event: object = {"cancel": {"select": {"jobIdGlob": "firmware*"}}}
    world(event if kind == "event" else deletion(world.server, wait, which="Select"))
    clock, timeouts = world.clock, list[float]()

    def check(_operation: str, _job_id: str) -> None:
        timeouts.append(world.in_flight[0].visible_at - clock())

    world.jobs.fault = check
    worked: list[float] = []
    while world.sqs.messages and len(worked) < 3:
        before = clock()
        world.poll(delay=late)
        worked.append(clock() - before)
    assert max(worked) > 80 + late
    assert min(timeouts) >= 10


@pytest.mark.parametrize("stage", ["waiting", "cancelling"])
def test_a_run_that_begins_after_its_lease_has_ended_does_nothing_and_leaves_the_message_to_another(
    stage: str, new_world: NewWorld
) -> None:
    world = new_world(ends_at=30)
    if stage == "cancelling":
        world.jobs.fault = failing("CancelJob", throttled, times=1)
    world(deletion(world.server))
    calls = list(world.jobs.calls)
    assert world.poll(delay=330.5) == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert (world.jobs.calls, world.responses) == (calls, [])
    assert world.log.lines[-1]["message"] == (
        "skipped: the visibility timeout of the message has expired, so another invocation has it or will have it"
    )
    assert world.sqs.messages[0].visible_at < world.clock()
    world.run_all()
    assert {answer[1:] for answer in world.responses} == {("answer", "SUCCESS", "")}
    assert world.jobs.cancelled == ["firmware"]


def test_of_two_runs_with_one_message_only_the_one_that_has_its_lease_works(new_world: NewWorld) -> None:
    world = new_world(ends_at=30)
    world(deletion(world.server))

    (message,) = world.sqs.messages
    calls: list[object] = []

    def another_run(_operation: str) -> None:
        world.sqs.fault = None
        world.poll(message)
        calls.extend(world.jobs.calls)

    world.sqs.fault = another_run
    world.poll(message, delay=331)
    assert world.jobs.calls == calls
    assert world.responses == [(351, "answer", "SUCCESS", "")]
    assert world.sqs.messages == []


# Crashes


def test_a_look_that_crashes_is_taken_up_again_when_its_lease_ends(new_world: NewWorld) -> None:
    """The invocation had 300 s left, and had made the visibility timeout 310 s."""
    world = new_world(ends_at=70)
    world(deletion(world.server, "20"))
    world.kill_at, world.jobs.fault = {1}, world.count_call
    world.run_all()
    assert (world.calls[0], world.looks) == ("DescribeJob", [20, 330])
    assert world.responses == [(330, "answer", "SUCCESS", "")]


def story(world: World, kind: str, minutes: int = 5) -> object:
    if kind == "event":
        return {"cancel": {"jobId": "firmware", "waitForExecutionsMinutes": minutes}}
    return deletion(world.server, str(minutes), which=kind)


# Parameters of the stack that are changed meanwhile


@pytest.mark.parametrize("kind", ["JobId", "Select", "event", "event that selects"])
def test_force_that_is_switched_on_for_another_one_ends_no_execution_of_a_wait_under_way(
    kind: str, new_world: NewWorld
) -> None:
    world = new_world(ends_at=70)
    selecting = {"cancel": {"select": {"jobIdGlob": "firmware*"}, "waitForExecutionsMinutes": 5}}
    world(selecting if kind == "event that selects" else story(world, kind))
    world.poll()
    world.configure(limits=FORCED)
    world.run_all()
    assert (world.looks, world.jobs.executions_cancelled) == ([20, 40, 60, 80], [])
    assert world.reports[-1]["force"] is False


@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_a_new_deletion_with_force_ends_what_the_one_under_way_waits_for(which: str, new_world: NewWorld) -> None:
    world = new_world()
    world(deletion(world.server, which=which))
    world.poll()
    assert world.responses == []
    world.configure(limits=FORCED)
    world.run_all((30, deletion(world.server, which=which, request_id="r-2", path="second")))
    assert sorted(world.jobs.executions_cancelled) == [("firmware", "thing-1"), ("firmware", "thing-2")]
    assert world.responses == [(30, "second", "SUCCESS", ""), (40, "answer", "SUCCESS", "")]


@pytest.mark.parametrize("kind", ["JobId", "Select", "event", "event that selects"])
def test_a_prefix_that_is_set_meanwhile_ends_no_wait(kind: str, new_world: NewWorld) -> None:
    """The cancel is done. To answer SUCCESS now would take the bucket away from the devices."""
    world = new_world(ends_at=70)
    selecting = {"cancel": {"select": {"jobIdGlob": "firmware*"}, "waitForExecutionsMinutes": 5}}
    world(selecting if kind == "event that selects" else story(world, kind))
    world.poll()
    world.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    world.run_all()
    assert world.looks == [20, 40, 60, 80]
    assert [report["status"] for report in world.reports] == ["UNFINISHED"] * 4 + ["SETTLED"]
    assert world.responses == ([(80, "answer", "SUCCESS", "")] if kind in {"JobId", "Select"} else [])


@pytest.mark.parametrize("kind", ["deletion", "event"])
def test_force_that_a_request_has_turned_off_stays_off_though_it_is_switched_on(kind: str, new_world: NewWorld) -> None:
    world = new_world(ends_at=70)
    event = {"cancel": {"jobId": "firmware", "waitForExecutionsMinutes": 5, "force": False}}
    world(event if kind == "event" else deletion(world.server, Force="false"))
    world.poll()
    world.configure(limits=FORCED)
    world.run_all()
    assert (world.looks, world.jobs.executions_cancelled) == ([20, 40, 60, 80], [])
    assert set(world.jobs.jobs["firmware"].executions.values()) == {"SUCCEEDED", "CANCELED", "FAILED"}


def test_with_force_from_the_start_nothing_is_waited_for(new_world: NewWorld) -> None:
    world = new_world()
    world.configure(limits=FORCED)
    world.run_all((0, deletion(world.server)))
    assert (world.looks, world.responses) == ([], [(0, "answer", "SUCCESS", "")])
