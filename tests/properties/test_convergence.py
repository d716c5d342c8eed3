"""What happens to a job depends on its state, never on how often an event arrives or what failed in between."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cancellation.report import JobResult
from handler.cancellation.request import CancelRequest
from tests.support.fakes import FakeClock, FakeJob, FakeJobs, Hook, canceler, throttled, unavailable

STATUSES = ["IN_PROGRESS", "SCHEDULED", "CANCELED", "COMPLETED", "DELETION_IN_PROGRESS"]
found_jobs = st.dictionaries(
    st.sampled_from("abcdef"),
    st.builds(
        FakeJob,
        status=st.sampled_from(STATUSES),
        executions=st.dictionaries(
            st.sampled_from(["t1", "t2", "t3"]), st.sampled_from(["QUEUED", "IN_PROGRESS", "SUCCEEDED", "CANCELED"])
        ),
    ),
)
requests = st.builds(
    CancelRequest,
    job_ids=st.lists(st.sampled_from("abcdef"), min_size=1, unique=True).map(tuple),
    selector=st.none(),
    force=st.booleans(),
    dry_run=st.just(False),
    max_jobs=st.just(100),
    reason_code=st.just("STALE"),
    comment=st.just("old"),
)
# Which calls of the first run fail, by their number: before they act, or after.
troubles = st.dictionaries(st.integers(1, 12), st.sampled_from(["before", "after"]), max_size=6)


def run(jobs: FakeJobs, request: CancelRequest) -> tuple[JobResult, ...]:
    return canceler(jobs, FakeClock()).cancel_all(request.job_ids, request)


def trouble(jobs: FakeJobs, numbers: dict[int, str]) -> None:
    """Let the calls of these numbers fail."""

    def fail(when: str, error: Callable[[], Exception]) -> Hook:
        def hook(_operation: str, _job_id: str) -> None:
            if numbers.get(len(jobs.calls)) == when:
                raise error()

        return hook

    jobs.fault, jobs.lost = fail("before", throttled), fail("after", unavailable)


FORCED = CancelRequest(("a",), None, force=True, dry_run=False, max_jobs=100, reason_code="STALE", comment="old")
LEFT_OVER = {"a": FakeJob("CANCELED", executions={"t1": "IN_PROGRESS", "t2": "SUCCEEDED", "t3": "QUEUED"})}
LIVE = {"a": FakeJob(executions={"t1": "IN_PROGRESS", "t2": "QUEUED"})}
ONE = CancelRequest(("a",), None, force=False, dry_run=False, max_jobs=100, reason_code="STALE", comment="old")


@given(found=found_jobs, request=requests)
@example(found=LIVE, request=ONE)
def test_running_an_event_twice_leaves_the_same_as_once(found: dict[str, FakeJob], request: CancelRequest) -> None:
    jobs = FakeJobs(deepcopy(found))
    first = run(jobs, request)
    after_once = deepcopy(jobs.jobs)
    second = run(jobs, request)
    assert jobs.jobs == after_once
    assert len(jobs.cancelled) == len(set(jobs.cancelled))
    assert all(result.outcome.settled for result in first + second)
    assert not [result for result in second if result.outcome == "CANCELED"]
    assert [result.executions_left_in_progress for result in first] == [
        result.executions_left_in_progress for result in second
    ]


@given(found=found_jobs, request=requests)
@example(found=LIVE, request=ONE)
@example(found=LEFT_OVER, request=ONE)
@example(found=LEFT_OVER, request=FORCED)
def test_each_live_job_that_was_named_ends_and_no_other_job_is_touched(
    found: dict[str, FakeJob], request: CancelRequest
) -> None:
    jobs = FakeJobs(deepcopy(found))
    run(jobs, request)
    for job_id, before in found.items():
        live = before.status in {"IN_PROGRESS", "SCHEDULED"}
        named, after = job_id in request.job_ids, jobs.jobs[job_id]
        if named and live:
            assert after.status == "CANCELED"
        elif named and request.force and before.status == "CANCELED":
            ended = {thing: "CANCELED" for thing, now in before.executions.items() if now == "IN_PROGRESS"}
            assert after == replace(before, executions=before.executions | ended)
        else:
            assert after == before
        if named and request.force and after.status == "CANCELED":
            assert "IN_PROGRESS" not in after.executions.values()


@given(found=found_jobs, request=requests, numbers=troubles)
@settings(max_examples=200)
@example(found=LIVE, request=ONE, numbers={1: "before"})
@example(found=LIVE, request=ONE, numbers={1: "after"})
@example(found=LIVE, request=ONE, numbers={2: "before"})
@example(found=LIVE, request=ONE, numbers={2: "after"})
@example(found=LEFT_OVER, request=FORCED, numbers={6: "before"})
@example(found=LEFT_OVER, request=FORCED, numbers={6: "after"})
def test_what_failed_on_the_first_delivery_is_settled_by_the_second(
    found: dict[str, FakeJob], request: CancelRequest, numbers: dict[int, str]
) -> None:
    undisturbed, jobs = FakeJobs(deepcopy(found)), FakeJobs(deepcopy(found))
    run(undisturbed, request)
    trouble(jobs, numbers)
    first = run(jobs, request)
    jobs.fault = jobs.lost = None
    second = run(jobs, request)
    assert [result.job_id for result in first] == [result.job_id for result in second] == list(request.job_ids)
    assert all(result.outcome.settled for result in second)
    assert jobs.jobs == undisturbed.jobs
    assert sorted(jobs.cancelled) == sorted(undisturbed.cancelled)
    assert sorted(jobs.executions_cancelled) == sorted(undisturbed.executions_cancelled)


@given(found=found_jobs, request=requests, lag=st.integers(0, 7))
@example(found=LIVE, request=ONE, lag=4)
@example(found=LIVE, request=ONE, lag=5)
def test_a_job_is_called_settled_only_if_it_was_read_back_as_ended(
    found: dict[str, FakeJob], request: CancelRequest, lag: int
) -> None:
    jobs = FakeJobs(deepcopy(found))
    jobs.lag = lag
    for result in run(jobs, request):
        cancelled = result.job_id in jobs.cancelled
        assert result.outcome.settled is (not cancelled or lag <= 4)  # five readings at most
        assert (result.outcome == "CANCELED") is (cancelled and lag <= 4)
