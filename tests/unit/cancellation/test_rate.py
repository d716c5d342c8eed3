"""Deadlines and the pace, on a clock that stands still."""

import pytest

from handler.cancellation.parallel import in_parallel
from handler.cancellation.rate import Deadline, RateLimit
from tests.support.fakes import FakeClock, FakeContext


def test_a_deadline_comes_nearer_as_the_clock_goes_on(clock: FakeClock) -> None:
    deadline = Deadline(10, clock)
    clock.now += 4
    assert deadline.remaining == 6


def test_what_remains_turns_negative_once_the_deadline_has_passed(clock: FakeClock) -> None:
    deadline = Deadline(10, clock)
    clock.now += 12
    assert deadline.remaining == -2


@pytest.mark.parametrize(
    ("passed", "seconds", "allowed"),
    [(0, 10, True), (0, 10.001, False), (4, 6, True), (4, 6.001, False), (10, 0, True), (10.001, 0, False)],
)
def test_what_ends_exactly_at_the_deadline_is_allowed(
    clock: FakeClock,
    passed: float,
    seconds: float,
    allowed: bool,
) -> None:
    deadline = Deadline(10, clock)
    clock.now += passed
    assert deadline.allows(seconds) is allowed


def test_the_deadline_of_an_invocation_leaves_the_reserve(clock: FakeClock) -> None:
    deadline = Deadline.of_invocation(FakeContext(clock, 300), reserve=12, clock=clock)
    assert deadline.remaining == 288


def test_the_deadline_of_an_invocation_counts_milliseconds(clock: FakeClock) -> None:
    deadline = Deadline.of_invocation(FakeContext(clock, 0.5), reserve=0.25, clock=clock)
    assert deadline.remaining == 0.25


def test_a_deadline_stays_where_it_is_when_the_invocation_goes_on(clock: FakeClock) -> None:
    context = FakeContext(clock, 300)
    deadline = Deadline.of_invocation(context, reserve=0, clock=clock)
    clock.now += 100
    assert deadline.remaining == 200


# The pace


def test_turns_are_handed_out_at_an_even_rate(clock: FakeClock) -> None:
    pace, deadline = RateLimit(8, clock, clock.sleep), Deadline(300, clock)
    turns = []
    for _ in range(5):
        assert pace.take(deadline, 1)
        turns.append(clock())
    assert turns == [1000.0, 1000.125, 1000.25, 1000.375, 1000.5]
    assert clock.slept == [0.125] * 4


def test_a_turn_that_was_not_taken_in_time_is_not_made_up_for(clock: FakeClock) -> None:
    pace, deadline = RateLimit(2, clock, clock.sleep), Deadline(300, clock)
    pace.take(deadline, 1)
    clock.now += 10
    turns = []
    for _ in range(3):
        pace.take(deadline, 1)
        turns.append(clock())
    assert turns == [1010.0, 1010.5, 1011.0]


def test_work_that_takes_longer_than_the_interval_waits_for_no_turn(clock: FakeClock) -> None:
    pace, deadline = RateLimit(8, clock, clock.sleep), Deadline(300, clock)
    for _ in range(4):
        pace.take(deadline, 1)
        clock.now += 0.3
    assert clock.slept == []


@pytest.mark.parametrize(("seconds", "turns"), [(2, 16), (0.3, 2), (0.125, 1), (0.1, 0), (0, 0), (-1, 0)])
def test_only_whole_turns_are_counted(seconds: float, turns: int, clock: FakeClock) -> None:
    assert RateLimit(8, clock, clock.sleep).turns(seconds) == turns


# The second turn is due after 0.5 s.
@pytest.mark.parametrize(
    ("seconds", "needed", "is_taken"), [(2.5, 2, True), (2.499, 2, False), (0.5, 0, True), (0.499, 0, False)]
)
def test_a_turn_is_taken_only_if_the_wait_and_the_work_fit(
    seconds: float, needed: float, is_taken: bool, clock: FakeClock
) -> None:
    pace = RateLimit(2, clock, clock.sleep)
    pace.take(Deadline(300, clock), 1)
    assert pace.take(Deadline(seconds, clock), needed) is is_taken
    assert clock.slept == ([0.5] if is_taken else [])


def test_a_turn_that_comes_too_late_is_refused_at_once_and_left_for_others(clock: FakeClock) -> None:
    pace = RateLimit(2, clock, clock.sleep)
    pace.take(Deadline(300, clock), 1)
    assert not pace.take(Deadline(1, clock), 1)
    assert not pace.take(Deadline(-1, clock), 0)
    assert clock.slept == []
    assert pace.take(Deadline(300, clock), 1)
    assert clock() == 1000.5


@pytest.mark.parametrize("seconds_a_call", [0.0, 0.1, 0.3, 0.6])
def test_several_threads_keep_the_pace_together_and_reach_it(seconds_a_call: float, clock: FakeClock) -> None:
    """Two calls of up to half a second for each job: ten threads are enough for eight jobs a second."""
    pace, deadline = RateLimit(8, clock, clock.sleep), Deadline(300, clock)
    begun = []

    def work(_number: int) -> None:
        assert pace.take(deadline, 1)
        begun.append(clock())
        clock.advance(seconds_a_call)
        clock.advance(seconds_a_call)

    in_parallel(work, range(81))
    assert begun == pytest.approx([1000 + number / 8 for number in range(81)])


@pytest.mark.usefixtures("real_threads")
def test_no_two_threads_get_the_same_turn(clock: FakeClock) -> None:
    waits: list[float] = []
    pace, deadline = RateLimit(1, clock, waits.append), Deadline(10_000, clock)
    assert all(in_parallel(lambda _number: pace.take(deadline, 1), range(500)))
    assert sorted(waits) == [float(number) for number in range(1, 500)]
