"""Time: the deadline is where it is to the last bit, and no run goes beyond it."""

import math

from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cancellation.cancel import cancel_jobs
from handler.cancellation.rate import Deadline
from handler.cancellation.request import CancelReason, CancelRequest
from tests.support.fakes import FakeClock, FakeContext, FakeJob, FakeJobs, denied, failing, session

# Multiples of 1/1024 s: sums and differences of these are exact.
moments = st.integers(-(2**20), 2**20).map(lambda number: number / 1024)
spans = st.integers(0, 2**20).map(lambda number: number / 1024)


@given(start=moments, remaining=moments, passed=spans, seconds=spans)
@settings(max_examples=300)
@example(start=0, remaining=10, passed=4, seconds=6)
@example(start=0, remaining=10, passed=4, seconds=math.nextafter(6, math.inf))
@example(start=0, remaining=10, passed=10, seconds=0)
@example(start=0, remaining=10, passed=10, seconds=math.ulp(0))
@example(start=0, remaining=0, passed=0, seconds=0)
@example(start=0, remaining=-1, passed=0, seconds=0)
def test_something_is_allowed_if_it_ends_at_or_before_the_deadline(
    start: float, remaining: float, passed: float, seconds: float
) -> None:
    clock = FakeClock(start)
    deadline = Deadline(remaining, clock)
    clock.now += passed
    assert deadline.remaining == remaining - passed
    assert deadline.allows(seconds) is (seconds <= remaining - passed)


@given(seconds=st.integers(0, 900), reserve=st.integers(0, 20), passed=spans)
@example(seconds=300, reserve=12, passed=288)
@example(seconds=5, reserve=12, passed=0)
def test_the_reserve_is_kept_back_from_the_invocation(seconds: int, reserve: int, passed: float) -> None:
    clock = FakeClock(0)
    deadline = Deadline.of_invocation(FakeContext(clock, seconds), reserve=reserve, clock=clock)
    clock.now += passed
    assert deadline.remaining == seconds - reserve - passed


@given(
    halves=st.integers(0, 120),
    count=st.integers(1, 23),
    lag=st.integers(0, 6),
    is_denied=st.booleans(),
    dry_run=st.booleans(),
)
@settings(max_examples=300)
@example(halves=6, count=1, lag=0, is_denied=True, dry_run=False)  # exactly three calls
@example(halves=5, count=21, lag=0, is_denied=False, dry_run=False)
@example(halves=6, count=2, lag=9, is_denied=False, dry_run=False)
@example(halves=7, count=1, lag=9, is_denied=False, dry_run=False)  # exactly two calls, a wait and a third
@example(halves=10, count=2, lag=9, is_denied=False, dry_run=False)
@example(halves=11, count=1, lag=9, is_denied=False, dry_run=False)
@example(halves=5, count=1, lag=0, is_denied=False, dry_run=True)
def test_no_run_goes_beyond_its_deadline_even_if_every_call_takes_its_worst(
    halves: int,
    count: int,
    lag: int,
    is_denied: bool,
    dry_run: bool,
) -> None:
    clock = FakeClock(0)
    names = tuple("abcdefghijklmnopqrstuvw"[:count])
    jobs = FakeJobs({name: FakeJob() for name in names}, clock)
    jobs.seconds_a_call, jobs.lag = 1.0, lag
    jobs.fault = failing("CancelJob", denied) if is_denied else None
    reason = CancelReason.default("R", "c")
    request = CancelRequest(names, None, force=False, dry_run=dry_run, max_jobs=100, reason=reason)
    results = cancel_jobs(session(jobs, clock, halves / 2, call_seconds=1.0), names, request)
    assert clock.now <= halves / 2
    assert [result.job_id for result in results] == list(names)
    begun = {job_id for _, job_id in jobs.calls}
    never_begun = set(names) - begun
    assert never_begun <= {result.job_id for result in results if result.outcome == "DEFERRED"}
