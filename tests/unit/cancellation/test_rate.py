"""Deadlines, rate limits and the gate, on a clock that moves only when something sleeps."""

import pytest

from handler.cancellation.parallel import in_parallel
from handler.cancellation.rate import Deadline, Gate, RateLimit, RateLimits
from handler.errors import OutOfTime
from tests.support.fakes import FakeClock, FakeContext, endless, new_gate

# Deadline


def test_remaining_time_shrinks_as_the_clock_advances(clock: FakeClock) -> None:
    deadline = Deadline(10, clock)
    clock.now += 4
    assert deadline.remaining == 6


def test_remaining_time_is_negative_after_the_deadline(clock: FakeClock) -> None:
    deadline = Deadline(10, clock)
    clock.now += 12
    assert deadline.remaining == -2


@pytest.mark.parametrize(
    ("elapsed", "seconds", "allowed"),
    [(0, 10, True), (0, 10.001, False), (4, 6, True), (4, 6.001, False), (10, 0, True), (10.001, 0, False)],
)
def test_work_may_end_exactly_at_the_deadline(elapsed: float, seconds: float, allowed: bool, clock: FakeClock) -> None:
    deadline = Deadline(10, clock)
    clock.now += elapsed
    assert deadline.allows(seconds) is allowed


def test_deadline_of_an_invocation_subtracts_the_reserve(clock: FakeClock) -> None:
    deadline = Deadline.of_invocation(FakeContext(clock, 300), reserve=12, clock=clock)
    assert deadline.remaining == 288


def test_deadline_of_an_invocation_counts_milliseconds(clock: FakeClock) -> None:
    deadline = Deadline.of_invocation(FakeContext(clock, 0.5), reserve=0.25, clock=clock)
    assert deadline.remaining == 0.25


def test_deadline_stays_fixed_as_the_invocation_runs(clock: FakeClock) -> None:
    deadline = Deadline.of_invocation(FakeContext(clock, 300), reserve=0, clock=clock)
    clock.now += 100
    assert deadline.remaining == 200


# RateLimit


def test_calls_are_spaced_evenly(clock: FakeClock) -> None:
    rate_limit, deadline = RateLimit(8, clock, clock.sleep), Deadline(300, clock)
    starts = []
    for _ in range(5):
        assert rate_limit.acquire(deadline, 1)
        starts.append(clock())
    assert starts == [1000.0, 1000.125, 1000.25, 1000.375, 1000.5]
    assert clock.slept == [0.125] * 4


def test_idle_time_allows_no_burst(clock: FakeClock) -> None:
    rate_limit, deadline = RateLimit(2, clock, clock.sleep), Deadline(300, clock)
    rate_limit.acquire(deadline, 1)
    clock.now += 10
    starts = []
    for _ in range(3):
        rate_limit.acquire(deadline, 1)
        starts.append(clock())
    assert starts == [1010.0, 1010.5, 1011.0]


def test_slow_calls_do_not_wait(clock: FakeClock) -> None:
    rate_limit, deadline = RateLimit(8, clock, clock.sleep), Deadline(300, clock)
    for _ in range(4):
        rate_limit.acquire(deadline, 1)
        clock.now += 0.3
    assert clock.slept == []


# The second call may start after 0.5 s.
@pytest.mark.parametrize(
    ("seconds", "call_seconds", "is_acquired"),
    [(2.5, 2, True), (2.499, 2, False), (0.5, 0, True), (0.499, 0, False)],
)
def test_acquire_succeeds_only_if_the_wait_and_the_call_fit(
    seconds: float, call_seconds: float, is_acquired: bool, clock: FakeClock
) -> None:
    rate_limit = RateLimit(2, clock, clock.sleep)
    rate_limit.acquire(Deadline(300, clock), 1)
    assert rate_limit.acquire(Deadline(seconds, clock), call_seconds) is is_acquired
    assert clock.slept == ([0.5] if is_acquired else [])


def test_failed_acquire_returns_at_once_and_delays_no_other_call(clock: FakeClock) -> None:
    rate_limit = RateLimit(2, clock, clock.sleep)
    rate_limit.acquire(Deadline(300, clock), 1)
    assert not rate_limit.acquire(Deadline(1, clock), 1)
    assert not rate_limit.acquire(Deadline(-1, clock), 0)
    assert clock.slept == []
    assert rate_limit.acquire(Deadline(300, clock), 1)
    assert clock() == 1000.5


@pytest.mark.parametrize("seconds_a_call", [0.0, 0.1, 0.3, 0.6])
def test_ten_threads_reach_the_rate_limit_and_do_not_exceed_it(seconds_a_call: float, clock: FakeClock) -> None:
    """Ten threads with two calls of up to 0.6 s for each job start eight jobs a second."""
    rate_limit, deadline = RateLimit(8, clock, clock.sleep), Deadline(300, clock)
    starts = []

    def work(_number: int) -> None:
        assert rate_limit.acquire(deadline, 1)
        starts.append(clock())
        clock.advance(seconds_a_call)
        clock.advance(seconds_a_call)

    in_parallel(work, range(81))
    assert starts == pytest.approx([1000 + number / 8 for number in range(81)])


@pytest.mark.usefixtures("real_threads")
def test_rate_limit_is_thread_safe(clock: FakeClock) -> None:
    waits: list[float] = []
    rate_limit, deadline = RateLimit(1, clock, waits.append), Deadline(10_000, clock)
    assert all(in_parallel(lambda _number: rate_limit.acquire(deadline, 1), range(500)))
    assert sorted(waits) == [float(number) for number in range(1, 500)]


# Gate


def gate(clock: FakeClock, seconds: float = 300, *, per_second: float = 2, call_seconds: float = 1) -> Gate:
    return new_gate(clock, seconds, per_second=per_second, call_seconds=call_seconds)


@pytest.mark.parametrize(
    ("per_second", "waits"),
    [
        (8.0, [0, 0, 0, 0, 0, 0, 0.125, 0.125]),
        (40.0, [0, 0, 0, 0, 0, 0, 0.025, 0.025]),
        (2.0, [0, 0, 0.5, 0.5]),
        (1.0, [0, 1.0, 1.0]),
        (0.5, [0, 2.0, 2.0]),
    ],
)
def test_calls_of_one_operation_are_spaced_evenly_after_at_most_six(
    per_second: float, waits: list[float], clock: FakeClock
) -> None:
    opened = gate(clock, per_second=per_second)
    for wait in waits:
        before = clock()
        opened.acquire("CancelJob")
        assert clock() - before == pytest.approx(wait)


def test_a_run_that_follows_immediately_has_no_second_burst(clock: FakeClock) -> None:
    """All runs of a container share the rate limits."""
    rate_limits = RateLimits(2, clock, clock.sleep)
    starts = []
    for _ in range(2):
        of_one_run = Gate(rate_limits, Deadline(300, clock), endless, call_seconds=1)
        for _ in range(3):
            of_one_run.acquire("CancelJob")
            starts.append(clock())
    assert starts == [1000.0, 1000.0, 1000.5, 1001.0, 1001.5, 1002.0]


def test_idle_time_fills_the_burst_and_no_more(clock: FakeClock) -> None:
    opened = gate(clock, per_second=2)
    starts = []
    for idle in (0, 0, 0, 100, 0, 0):
        clock.now += idle
        opened.acquire("CancelJob")
        starts.append(clock())
    assert starts == [1000.0, 1000.0, 1000.5, 1100.5, 1100.5, 1101.0]


def test_first_call_of_each_operation_is_immediate(clock: FakeClock) -> None:
    opened = gate(clock)
    for operation in ("CancelJob", "DescribeJob", "ListJobs"):
        opened.acquire(operation)
    clock.now += 0.1
    opened.acquire("ListTagsForResource")
    assert clock.slept == []


def test_operations_do_not_delay_each_other(clock: FakeClock) -> None:
    opened = gate(clock, per_second=1)
    starts = []
    for operation in ("CancelJob", "CancelJob", "DescribeJob", "DescribeJob", "CancelJob", "DescribeJob"):
        opened.acquire(operation)
        starts.append((operation, clock()))
    assert starts == [
        ("CancelJob", 1000.0),
        ("CancelJob", 1001.0),
        ("DescribeJob", 1001.0),
        ("DescribeJob", 1002.0),
        ("CancelJob", 1002.0),
        ("DescribeJob", 1003.0),
    ]


@pytest.mark.parametrize(
    ("seconds", "call_seconds", "is_allowed"),
    [(1.0, 1, True), (0.999, 1, False), (12.0, 12, True), (11.999, 12, False), (0.0, 0, True), (-1.0, 0, False)],
)
def test_gate_raises_out_of_time_if_the_call_could_outlast_the_deadline(
    seconds: float, call_seconds: float, is_allowed: bool, clock: FakeClock
) -> None:
    closing = gate(clock, seconds, call_seconds=call_seconds)
    if is_allowed:
        closing.acquire("CancelJob")
        return
    with pytest.raises(OutOfTime):
        closing.acquire("CancelJob")


@pytest.mark.parametrize(("seconds", "is_allowed"), [(2.0, True), (1.999, False)])
def test_gate_raises_out_of_time_without_waiting_if_the_wait_and_the_call_do_not_fit(
    seconds: float, is_allowed: bool, clock: FakeClock
) -> None:
    closing = gate(clock, seconds, per_second=1)
    closing.acquire("CancelJob")
    if is_allowed:
        closing.acquire("CancelJob")
        assert clock.slept == [1.0]
        return
    with pytest.raises(OutOfTime):
        closing.acquire("CancelJob")
    assert clock.slept == []


def test_operation_out_of_time_does_not_close_the_gate_for_others(clock: FakeClock) -> None:
    closing = gate(clock, 1.2, per_second=1)
    closing.acquire("CancelJob")
    with pytest.raises(OutOfTime):
        closing.acquire("CancelJob")
    closing.acquire("DescribeJob")
    assert clock.slept == []


@pytest.mark.usefixtures("real_threads")
def test_gate_is_thread_safe(clock: FakeClock) -> None:
    """Threads that call an operation for the first time share one rate limit."""
    waits: list[float] = []
    opened = new_gate(clock, 10_000, per_second=1, sleep=waits.append)
    operations = ["CancelJob", "DescribeJob"] * 250
    in_parallel(opened.acquire, operations)
    assert sorted(waits) == sorted([float(number) for number in range(1, 250)] * 2)


@pytest.mark.parametrize(
    ("seconds", "pause", "is_taken"),
    [(3.0, 2.0, True), (2.999, 2.0, False), (1.5, 0.5, True), (1.499, 0.5, False), (-1.0, 0.5, False)],
)
def test_pause_sleeps_only_if_a_call_fits_after_it(
    seconds: float, pause: float, is_taken: bool, clock: FakeClock
) -> None:
    assert gate(clock, seconds).pause(pause) is is_taken
    assert clock.slept == ([pause] if is_taken else [])


@pytest.mark.parametrize(("seconds", "is_taken"), [(8.0, True), (7.999, False)])
def test_back_off_sleeps_up_to_seven_seconds_if_a_call_fits_after_it(
    seconds: float, is_taken: bool, clock: FakeClock
) -> None:
    drawn: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        drawn.append((least, most))
        return most

    retrying = new_gate(clock, seconds, per_second=8, uniform=uniform)
    assert retrying.back_off() is is_taken
    assert (drawn, clock.slept) == ([(0.0, 7.0)], [7.0] if is_taken else [])


# A thread waits for its call, so that ten threads make 100 calls a second at most.
@pytest.mark.parametrize(("per_second", "calls"), [(8, 1120), (1, 140), (100, 14_000), (1000, 14_000)])
def test_call_budget_is_the_calls_in_half_of_the_longest_run(per_second: float, calls: int, clock: FakeClock) -> None:
    """Not of the time left: a later delivery may have all of it."""
    assert gate(clock, 20, per_second=per_second).call_budget() == calls


@pytest.mark.parametrize(
    ("seconds", "per_second", "calls"),
    [(80, 8, 160), (0.5, 8, 1), (0.25, 8, 0), (0, 8, 0), (-1, 8, 0), (200, 1000, 5000)],
)
def test_share_of_time_is_of_the_time_left(seconds: float, per_second: float, calls: int, clock: FakeClock) -> None:
    opened = gate(clock, seconds + 100, per_second=per_second)
    clock.now += 100
    deadline, calls_in_share = opened.share_of_time(0.25)
    assert (deadline.remaining, calls_in_share) == (seconds / 4, calls)
