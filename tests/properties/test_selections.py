"""Random populations and requests: the plan is what happens, and an age is the same in every time zone."""

from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cancellation.criteria import Criteria
from handler.cancellation.report import Report, Trigger
from handler.cancellation.request import CancelReason, StackLimits, parse_request
from handler.cancellation.run import run
from handler.cancellation.selection import select
from handler.errors import RequestRejected
from tests.support.fakes import LIMITS, NOW, FakeClock, FakeJob, FakeJobs, session

NAMES = ["ota-1", "ota-2", "ota-keep", "fw-1", "fw-2", "o", "AFR_OTA-1", "AFR_OTA-2"]
GROUP = "arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet-a"
GG = "aws-gg-deployment"
STATUSES = ["IN_PROGRESS", "SCHEDULED", "CANCELED", "COMPLETED", "DELETION_IN_PROGRESS"]
times = st.sampled_from([0, 1, 71, 72, 73, 200]).map(lambda hours: NOW - timedelta(hours=hours))
found_jobs = st.dictionaries(
    st.sampled_from(NAMES),
    st.builds(
        FakeJob,
        status=st.sampled_from([*STATUSES[:2] * 3, *STATUSES[2:]]),
        executions=st.dictionaries(
            st.sampled_from(["t1", "t2"]), st.sampled_from(["QUEUED", "IN_PROGRESS", "SUCCEEDED"])
        ),
        tags=st.dictionaries(
            st.sampled_from(["env", "cancel-protection", "Cancel-Protection"]), st.sampled_from(["dev", "true", "True"])
        ),
        targets=st.sampled_from([(), (GROUP,), ("arn:aws:iot:eu-west-1:123456789012:thing/t1", GROUP)]),
        namespace=st.sampled_from([None, None, None, GG, "another"]),
        target_selection=st.sampled_from(["SNAPSHOT", "SNAPSHOT", "CONTINUOUS"]),
        created_at=times,
        last_updated_at=times,
    ),
)
scopes: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"jobIdGlob": st.sampled_from(["*", "ota-*", "*-1", "?", "AFR*"])}),
    st.just({"tags": {"env": "dev"}}),
    st.just({"thingGroupName": "fleet-a"}),
)
selects = st.builds(
    lambda scope, more: more | scope,
    scopes,
    st.fixed_dictionaries(
        {},
        optional={
            "excludeJobIdGlobs": st.just(["*-keep"]),
            "status": st.sampled_from([["IN_PROGRESS"], ["SCHEDULED"], ["SCHEDULED", "IN_PROGRESS"]]),
            "olderThanHours": st.sampled_from([0.5, 72, 100]),
            "ageFrom": st.sampled_from(["createdAt", "lastUpdatedAt"]),
            "targetSelection": st.sampled_from([["CONTINUOUS"], ["SNAPSHOT", "CONTINUOUS"]]),
        },
    ),
)
requests: st.SearchStrategy[dict[str, Any]] = st.one_of(
    st.fixed_dictionaries({"select": selects}),
    st.fixed_dictionaries({"jobIds": st.lists(st.sampled_from([*NAMES, "absent"]), min_size=1, unique=True)}),
)
all_limits = st.builds(
    StackLimits,
    force=st.booleans(),
    dry_run=st.booleans(),
    max_jobs=st.sampled_from([1, 2, 3, 100]),
    job_id_prefix=st.sampled_from(["", "", "ota-", "fw"]),
    protection_tag_key=st.just("cancel-protection"),
)
listings = st.fixed_dictionaries(
    {"hides_namespaced": st.booleans(), "ignores_namespaces": st.booleans(), "page_size": st.sampled_from([1, 2, 250])}
)
PLAIN = {"hides_namespaced": False, "ignores_namespaces": False, "page_size": 250}


def new_jobs(found: dict[str, FakeJob], how: dict[str, Any], clock: FakeClock) -> FakeJobs:
    jobs = FakeJobs(deepcopy(found), clock)
    jobs.denied_tag = "cancel-protection"
    for name, value in how.items():
        setattr(jobs, name, value)
    return jobs


def run_request(jobs: FakeJobs, clock: FakeClock, document: dict[str, Any], limits: StackLimits) -> Report | str:
    """Return the report, or the words of the rejection."""
    try:
        request = parse_request(document, limits, CancelReason.default("STALE", "old"))
        return run(session(jobs, clock, limits=limits), request, Trigger.EVENT)
    except RequestRejected as rejection:
        return str(rejection)


def outcomes(report: Report | str) -> dict[str, str] | str:
    if isinstance(report, str):
        return report
    return {result.job_id: result.outcome.value for result in report.jobs}


ACTIVE = {"ota-1": FakeJob(executions={"t1": "IN_PROGRESS", "t2": "QUEUED"}), "ota-2": FakeJob("SCHEDULED")}
PROTECTED = {"ota-1": FakeJob(tags={"cancel-protection": "True"}), "fw-1": FakeJob("COMPLETED"), "ota-2": FakeJob()}
OWNED = {"AFR_OTA-1": FakeJob(), "ota-1": FakeJob(namespace=GG), "fw-1": FakeJob()}
EVERY: dict[str, Any] = {"select": {"jobIdGlob": "*"}}


@given(found=found_jobs, how=listings, document=requests, limits=all_limits)
@settings(max_examples=400)
@example(found=ACTIVE, how=PLAIN, document=EVERY, limits=LIMITS)
@example(found=PROTECTED, how=PLAIN, document=EVERY, limits=LIMITS)
@example(found=PROTECTED, how=PLAIN, document={"jobIds": ["ota-1", "fw-1", "absent"]}, limits=LIMITS)
@example(found=OWNED, how=PLAIN | {"ignores_namespaces": True}, document=EVERY, limits=LIMITS)
@example(found=ACTIVE, how=PLAIN, document=EVERY, limits=replace(LIMITS, max_jobs=1))
def test_real_run_cancels_what_the_dry_run_reported(
    found: dict[str, FakeJob], how: dict[str, Any], document: dict[str, Any], limits: StackLimits
) -> None:
    clock = FakeClock()
    acting = replace(limits, dry_run=False)
    jobs = new_jobs(found, how, clock)
    plan = outcomes(run_request(jobs, clock, document | {"dryRun": True}, acting))
    assert jobs.jobs == found
    done = outcomes(run_request(jobs, clock, document, acting))
    if isinstance(plan, str) or isinstance(done, str):
        assert plan == done
        assert jobs.jobs == found
        return
    assert done == {job_id: "CANCELED" if would == "WOULD_CANCEL" else would for job_id, would in plan.items()}
    assert sorted(jobs.canceled) == sorted(job_id for job_id, would in plan.items() if would == "WOULD_CANCEL")


# Age

ZONES = [ZoneInfo(name) for name in ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = 365 * 24 * 3_600_000_000  # microseconds
# Clocks change at 01:00 UTC on 29 March and 25 October 2026 in Berlin.
SPRING = (datetime(2026, 3, 29, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
AUTUMN = (datetime(2026, 10, 25, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
HOUR = 3_600_000_000


@given(
    now=st.integers(0, YEAR),
    quarters=st.integers(1, 4 * 24 * 60),
    beyond=st.integers(-3, 3) | st.integers(-YEAR, YEAR),
    zones=st.tuples(st.sampled_from(ZONES), st.sampled_from(ZONES)),
    age_from=st.sampled_from(["createdAt", "lastUpdatedAt"]),
)
@settings(max_examples=400)
@example(now=AUTUMN + HOUR, quarters=8, beyond=0, zones=(ZONES[1], ZONES[1]), age_from="createdAt")
@example(now=AUTUMN + HOUR, quarters=8, beyond=1, zones=(ZONES[1], ZONES[1]), age_from="createdAt")
@example(now=AUTUMN + HOUR, quarters=8, beyond=-1, zones=(ZONES[1], ZONES[0]), age_from="lastUpdatedAt")
@example(now=SPRING + HOUR, quarters=8, beyond=0, zones=(ZONES[1], ZONES[1]), age_from="createdAt")
@example(now=SPRING + HOUR, quarters=8, beyond=1, zones=(ZONES[2], ZONES[1]), age_from="lastUpdatedAt")
@example(now=YEAR, quarters=288, beyond=0, zones=(ZONES[0], ZONES[0]), age_from="createdAt")
@example(now=YEAR, quarters=288, beyond=1, zones=(ZONES[0], ZONES[0]), age_from="createdAt")
@example(now=YEAR, quarters=288, beyond=-1, zones=(ZONES[0], ZONES[0]), age_from="createdAt")
@example(now=YEAR, quarters=288, beyond=0, zones=(ZONES[0], ZONES[0]), age_from="lastUpdatedAt")
@example(now=YEAR, quarters=288, beyond=1, zones=(ZONES[0], ZONES[0]), age_from="lastUpdatedAt")
def test_age_is_compared_in_elapsed_microseconds_in_any_time_zone(
    now: int, quarters: int, beyond: int, zones: tuple[ZoneInfo, ZoneInfo], age_from: Any
) -> None:
    """`beyond` is how much more than the hours has passed since; the other time is on the other side."""
    since = now - quarters * HOUR // 4 - beyond
    other = now - quarters * HOUR // 4 + (beyond or 1)

    def moment(microseconds: int, zone: ZoneInfo) -> datetime:
        return (EPOCH + timedelta(microseconds=microseconds)).astimezone(zone)

    is_it = now - since > quarters * 900_000_000
    created, updated = (since, other) if age_from == "createdAt" else (other, since)
    job = FakeJob(created_at=moment(created, zones[0]), last_updated_at=moment(updated, zones[1]))
    criteria = Criteria(job_id_glob="*", older_than_hours=quarters / 4, age_from=age_from)
    at_now = session(FakeJobs({"a": job}), FakeClock())._replace(utc_now=lambda: moment(now, ZONES[0]))
    assert bool(select(at_now, criteria).jobs) is is_it is (beyond > 0)
