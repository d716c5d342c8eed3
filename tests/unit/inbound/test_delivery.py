"""How an event came, and what follows: when it comes next, and whether it needs a message that says more."""

from dataclasses import replace

import pytest
from handler.message import Message, Progress

from handler.cancellation.rate import Deadline
from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, Waiting
from handler.cancellation.wait import Wait
from handler.inbound.delivery import Delivery
from tests.support.fakes import FakeClock, FakeContext

NOW = 1_795_521_600.0
HALF_A_DAY = 43_200.0
WAIT = Wait(("a", "b"), NOW - 30)
NOTHING = Report(RunStatus.UNFINISHED, Trigger.EVENT)
JOBS = replace(NOTHING, jobs=(JobResult("a", Outcome.DEFERRED),))
WAITING = replace(NOTHING, jobs=(JobResult("a", Outcome.CANCELED, "", 1),), waiting=Waiting(("a",), 25))


def message(progress: Progress, receives: int = 3) -> Message:
    return Message("https://queue", "m-1", "r-1", {}, receives, progress)


def delivery(context: FakeContext, number: int, *, admitted: bool = False, wait: Wait | None = None) -> Delivery:
    return Delivery(context, NOW - 60, admitted, number, wait)


@pytest.mark.parametrize(
    ("progress", "first_seen_at", "admitted", "wait"),
    [
        (Progress(NOW - 60, True, WAIT), NOW - 60, True, WAIT),
        (Progress(NOW - 60, True), NOW - 60, True, None),
        (Progress(NOW - 60), NOW - 60, False, None),
        (Progress(None, True), NOW, True, None),
        (Progress(None), NOW, False, None),
        (Progress(NOW - HALF_A_DAY + 0.001, True), NOW - HALF_A_DAY + 0.001, True, None),
        (Progress(NOW - HALF_A_DAY, True), NOW - HALF_A_DAY, False, None),
        (Progress(NOW - 2 * HALF_A_DAY, True), NOW - 2 * HALF_A_DAY, False, None),
        (Progress(NOW - HALF_A_DAY + 0.001, True, WAIT), NOW - HALF_A_DAY + 0.001, True, WAIT),
        (Progress(NOW - HALF_A_DAY, True, WAIT), NOW - HALF_A_DAY, False, None),
    ],
)
def test_a_message_tells_how_far_the_event_is(
    progress: Progress, first_seen_at: float, admitted: bool, wait: Wait | None, context: FakeContext
) -> None:
    read = Delivery.of_message(message(progress), context, NOW)
    assert read == Delivery(context, first_seen_at, admitted, 3, wait)


def test_an_event_that_comes_by_itself_is_new(context: FakeContext) -> None:
    new = Delivery(context, NOW)
    assert (new.admitted, new.number, new.wait) == (False, 0, None)


@pytest.mark.parametrize(
    ("number", "seconds"), [(0, 5), (1, 5), (2, 10), (3, 15), (11, 55), (12, 60), (13, 60), (99, 60), (100, 60)]
)
def test_what_failed_comes_again_a_little_later_each_time(number: int, seconds: int, context: FakeContext) -> None:
    assert delivery(context, number).retry_seconds == seconds
    assert delivery(context, number).seconds_until_next(JOBS) == seconds


@pytest.mark.parametrize(
    ("age", "left", "comes"),
    [
        # Lambda's second delivery comes a minute after the first, its third two minutes after the second.
        (0.0, 900.0, True),
        (60.0, 900.0, True),
        (149.9, 900.0, True),
        (150.0, 900.0, False),
        (180.0, 900.0, False),
        (None, 900.0, False),
        # Before the answer is due there are those two minutes, and half a minute for the run.
        (0.0, 150.0, True),
        (0.0, 149.9, False),
        (0.0, -1.0, False),
    ],
)
def test_a_failed_delivery_is_repeated_if_it_is_not_the_last_and_there_is_time(
    age: float | None, left: float, comes: bool, context: FakeContext
) -> None:
    asked_at = None if age is None else NOW - age
    answer_by = Deadline(left, FakeClock())
    assert Delivery(context, NOW).comes_again(asked_at, answer_by) is comes


@pytest.mark.parametrize("number", [0, 1, 50])
def test_what_waits_comes_again_when_the_devices_are_looked_at(number: int, context: FakeContext) -> None:
    assert delivery(context, number).seconds_until_next(WAITING) == 25
    assert delivery(context, number, wait=WAIT).seconds_until_next(WAITING) == 25


# number, admitted, wait, report → is it to be put?
PUTS: list[tuple[int, bool, Wait | None, Report, bool]] = [
    # An event that has no message yet gets one, however far it is.
    (0, False, None, NOTHING, True),
    (0, False, None, JOBS, True),
    (0, False, None, WAITING, True),
    # A message that tells all that is known stays.
    (1, False, None, NOTHING, False),
    (1, True, None, NOTHING, False),
    (1, True, None, JOBS, False),
    (1, True, WAIT, NOTHING, False),
    (1, True, WAIT, JOBS, False),
    (1, True, WAIT, WAITING, False),
    (9, True, WAIT, WAITING, False),
    # One that tells less makes room for another.
    (1, False, None, JOBS, True),
    (1, False, None, WAITING, True),
    (1, True, None, WAITING, True),
    (9, True, None, WAITING, True),
    (1, False, WAIT, WAITING, True),
]


@pytest.mark.parametrize(("number", "admitted", "wait", "report", "is_to_be_put"), PUTS)
def test_an_event_is_put_if_no_message_tells_how_far_it_is(
    number: int, admitted: bool, wait: Wait | None, report: Report, is_to_be_put: bool, context: FakeContext
) -> None:
    assert delivery(context, number, admitted=admitted, wait=wait).is_to_be_put(report) is is_to_be_put


def test_what_was_redriven_after_half_a_day_is_put_as_a_new_event(context: FakeContext) -> None:
    old = Delivery.of_message(message(Progress(NOW - HALF_A_DAY, True)), context, NOW)
    assert old.is_to_be_put(JOBS)
    assert not old.is_to_be_put(NOTHING)


@pytest.mark.parametrize(
    ("admitted", "wait", "report", "progress"),
    [
        (False, None, NOTHING, Progress(NOW - 60, False, None)),
        (False, None, JOBS, Progress(NOW - 60, True, None)),
        (True, None, NOTHING, Progress(NOW - 60, True, None)),
        (True, None, WAITING, Progress(NOW - 60, True, Wait(("a",), NOW))),
        (True, None, replace(WAITING, force=True), Progress(NOW - 60, True, Wait(("a",), NOW, force=True))),
        (False, None, WAITING, Progress(NOW - 60, True, Wait(("a",), NOW))),
        # A wait under way keeps its beginning and its jobs.
        (True, WAIT, WAITING, Progress(NOW - 60, True, WAIT)),
        (True, WAIT, JOBS, Progress(NOW - 60, True, WAIT)),
        (True, WAIT, NOTHING, Progress(NOW - 60, True, WAIT)),
    ],
)
def test_how_far_an_event_is_after_a_run(
    admitted: bool, wait: Wait | None, report: Report, progress: Progress, context: FakeContext
) -> None:
    assert delivery(context, 1, admitted=admitted, wait=wait).progress(report, NOW) == progress


@pytest.mark.parametrize(
    ("age", "first_seen_at"),
    [(0.0, NOW), (43_199.0, NOW - 43_199), (HALF_A_DAY, NOW), (10 * HALF_A_DAY, NOW)],
)
def test_what_is_older_than_half_a_day_begins_anew(age: float, first_seen_at: float, context: FakeContext) -> None:
    assert Delivery(context, NOW - age, number=1).progress(JOBS, NOW) == Progress(first_seen_at, True)
