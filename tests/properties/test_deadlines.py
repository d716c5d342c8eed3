"""Time: the deadline is where it is to the last bit, and no run goes beyond it."""

from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cancellation.cancel import cancel_jobs
from handler.cancellation.request import CancelReason, CancelRequest
from tests.support.fakes import FakeClock, FakeJob, FakeJobs, denied, failing, session


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
def test_no_run_exceeds_its_deadline(
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
    results, _ = cancel_jobs(session(jobs, clock, halves / 2, call_seconds=1.0), names, request)
    assert clock.now <= halves / 2
    assert [result.job_id for result in results] == list(names)
    started = {job_id for _, job_id in jobs.calls}
    not_started = set(names) - started
    assert not_started <= {result.job_id for result in results if result.outcome == "DEFERRED"}
