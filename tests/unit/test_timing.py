"""Deadlines, on a clock that stands still."""

import pytest

from handler.timing import Deadline
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
