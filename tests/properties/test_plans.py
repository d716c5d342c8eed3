"""A request with a planId changes exactly the jobs of the dry run, in the same way, or nothing."""

from copy import deepcopy
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cancellation.report import Report
from handler.cancellation.request import StackLimits
from tests.properties.test_selections import (
    ACTIVE,
    EVERY,
    PLAIN,
    PROTECTED,
    all_limits,
    found_jobs,
    listings,
    new_jobs,
    requests,
    run_request,
)
from tests.support.fakes import LIMITS, FakeClock, FakeJob, FakeJobs

# What happens to jobs between the dry run and the request: another job gets the id, or the job is deleted.
changes: st.SearchStrategy[dict[str, FakeJob | None]] = st.one_of(
    st.just({}), found_jobs, st.dictionaries(st.sampled_from(["ota-1", "fw-1"]), st.none(), max_size=1)
)
# How the request differs from the dry run.
others: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [{}, {}, {}, {"force": False}, {"waitForExecutionsMinutes": 5}, {"waitForExecutionsMinutes": 0}]
)
type Changed = dict[str, bool]


def changed(plan: Report) -> Changed:
    """The jobs that a dry run would change, and whether it would cancel them."""
    return {
        job.job_id: job.outcome == "WOULD_CANCEL"
        for job in plan.jobs
        if job.outcome == "WOULD_CANCEL" or job.executions_ended
    }


def state_of(jobs: FakeJobs) -> list[tuple[str, str, dict[str, str]]]:
    return [(job_id, job.status, dict(job.executions)) for job_id, job in jobs.jobs.items()]


ONE_MORE = {"ota-2": FakeJob(executions={"t1": "IN_PROGRESS"})}


@given(found=found_jobs, how=listings, document=requests, limits=all_limits, change=changes, other=others)
@settings(max_examples=300)
@example(found=ACTIVE, how=PLAIN, document=EVERY, limits=LIMITS, change={}, other={})
@example(found=PROTECTED, how=PLAIN, document=EVERY, limits=LIMITS, change=ONE_MORE, other={})
@example(found=PROTECTED, how=PLAIN, document=EVERY, limits=LIMITS, change={"ota-1": FakeJob()}, other={})
@example(found=ACTIVE, how=PLAIN, document=EVERY, limits=LIMITS, change={"ota-1": None}, other={})
@example(found=ACTIVE, how=PLAIN, document=EVERY, limits=LIMITS, change={}, other={"waitForExecutionsMinutes": 5})
def test_request_with_a_plan_id_does_exactly_what_was_planned(
    found: dict[str, FakeJob],
    how: dict[str, Any],
    document: dict[str, Any],
    limits: StackLimits,
    change: dict[str, FakeJob | None],
    other: dict[str, Any],
) -> None:
    clock = FakeClock()
    jobs = new_jobs(found, how, clock)
    plan = run_request(jobs, clock, document | {"dryRun": True}, limits)
    if isinstance(plan, str):
        return
    for job_id, job in deepcopy(change).items():
        jobs.jobs.pop(job_id, None)
        if job:
            jobs.jobs[job_id] = job
    now = run_request(jobs, clock, document | other | {"dryRun": True}, limits)
    if isinstance(now, str):
        return
    before = state_of(jobs)
    applied = run_request(jobs, clock, document | other | {"dryRun": limits.dry_run, "planId": plan.plan_id}, limits)
    is_same = (changed(now).keys(), now.force, other.get("waitForExecutionsMinutes", 0)) == (
        changed(plan).keys(),
        plan.force,
        0,
    )
    if is_same and not limits.dry_run:
        assert not isinstance(applied, str)
        assert sorted(jobs.canceled) == sorted(job_id for job_id, is_canceled in changed(now).items() if is_canceled)
        return
    assert state_of(jobs) == before
    is_rejected = isinstance(applied, str) and applied.startswith("planId: is not the current plan of this request")
    assert is_rejected is (bool(changed(now)) and not is_same)
