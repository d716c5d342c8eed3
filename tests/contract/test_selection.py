"""Which jobs a selection takes, job by job. The table is the oracle."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from handler.cancellation.report import Report, Trigger
from handler.cancellation.request import CancelReason, parse_request
from handler.cancellation.run import run
from tests.support.fakes import LIMITS, NOW, FakeClock, FakeJobs, session

GG = "aws-gg-deployment"
GROUP_A = "arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet-a"
GROUP_AA = "arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet-aa"
THING = "arn:aws:iot:eu-west-1:123456789012:thing/fleet-a"
DEV, PROD, DEV_A = {"env": "dev"}, {"env": "prod"}, {"env": "dev", "team": "a"}
KEEP = {"cancel-protection": "true"}

SELECTIONS: dict[str, dict[str, Any]] = {
    "G": {"jobIdGlob": "fw-*"},
    "S": {"jobIdGlob": "*", "olderThanHours": 72},
    "U": {"jobIdGlob": "fw-*", "olderThanHours": 72, "ageFrom": "lastUpdatedAt"},
    "C": {"jobIdGlob": "*", "targetSelection": ["CONTINUOUS"]},
    "B": {"jobIdGlob": "*", "targetSelection": ["SNAPSHOT", "CONTINUOUS"], "status": ["SCHEDULED"]},
    "T": {"tags": {"env": "dev"}},
    "M": {"tags": {"env": "dev", "team": "a"}, "jobIdGlob": "fw-*", "excludeJobIdGlobs": ["fw-keep-*", "fw-?"]},
    "H": {"thingGroupName": "fleet-a"},
    "K": {"thingGroupName": "fleet-a", "tags": {"env": "dev"}, "status": ["IN_PROGRESS"]},
    "P": {"jobIdGlob": "*"},  # on a stack whose JobIdPrefix is fw-
}


@dataclass(frozen=True)
class Row:
    """One job. `hours` is its age, `idle` the hours since its last update; `by` are the selections that take it."""

    by: str
    status: str = "IN_PROGRESS"
    hours: float = 100
    idle: float | None = None
    kind: str = "SNAPSHOT"
    tags: dict[str, str] | None = None
    namespace: str | None = None
    targets: tuple[str, ...] = (THING,)


SECOND = 1 / 3600
JOBS: dict[str, Row] = {
    # Status
    "fw-in-progress": Row("GSUP"),
    "fw-scheduled": Row("GSUBP", "SCHEDULED"),
    "fw-canceled": Row("", "CANCELED"),
    "fw-completed": Row("", "COMPLETED"),
    "fw-deleted": Row("", "DELETION_IN_PROGRESS"),
    "cmd-in-progress": Row("S"),
    "cmd-scheduled": Row("SB", "SCHEDULED"),
    "cmd-completed": Row("", "COMPLETED"),
    # Age
    "fw-at-72-hours": Row("GP", hours=72),
    "fw-a-second-older": Row("GSUP", hours=72 + SECOND),
    "fw-a-second-younger": Row("GP", hours=72 - SECOND),
    "fw-new": Row("GP", hours=0),
    "fw-new-scheduled": Row("GBP", "SCHEDULED", hours=0),
    "fw-of-years": Row("GSUP", hours=24 * 700),
    "fw-old-but-busy": Row("GSP", hours=100, idle=1),
    "fw-old-idle-72": Row("GSP", hours=100, idle=72),
    "fw-old-idle-longer": Row("GSUP", hours=100, idle=72 + SECOND),
    "cmd-new": Row("", hours=0),
    # Selection kind
    "fw-continuous": Row("C", kind="CONTINUOUS"),
    "fw-continuous-new": Row("C", hours=0, kind="CONTINUOUS"),
    "fw-continuous-sched": Row("CB", "SCHEDULED", kind="CONTINUOUS"),
    "cmd-continuous": Row("C", kind="CONTINUOUS", tags=DEV),
    "fw-continuous-ended": Row("", "CANCELED", kind="CONTINUOUS"),
    # Prefix and glob
    "FW-upper": Row("S"),
    "my-fw-1": Row("S"),
    "fw": Row("S"),
    "fw-": Row("GSUP"),
    "fw-0": Row("GSUPT", tags=DEV_A),
    # Tags
    "fw-dev": Row("GSUTP", tags=DEV),
    "fw-dev-a": Row("GSUTMP", tags=DEV_A),
    "fw-keep-dev-a": Row("GSUTP", tags=DEV_A),
    "fw-prod": Row("GSUP", tags=PROD),
    "fw-env-upper": Row("GSUP", tags={"env": "DEV"}),
    "fw-env-empty": Row("GSUP", tags={"env": ""}),
    "fw-dev-scheduled": Row("GSUBTP", "SCHEDULED", tags=DEV),
    "fw-dev-completed": Row("", "COMPLETED", tags=DEV_A),
    "cmd-dev-new": Row("T", hours=0, tags=DEV_A),
    # Thing groups
    "fw-group": Row("GSUHP", targets=(GROUP_A,)),
    "fw-group-and-thing": Row("GSUHP", targets=(THING, GROUP_A)),
    "fw-group-scheduled": Row("GSUBHP", "SCHEDULED", targets=(GROUP_A,)),
    "fw-other-group": Row("GSUP", targets=(GROUP_AA,)),
    "cmd-group-dev": Row("STHK", tags=DEV, targets=(GROUP_AA, GROUP_A)),
    "cmd-group-dev-sched": Row("SBTH", "SCHEDULED", tags=DEV, targets=(GROUP_A,)),
    "cmd-group-canceled": Row("", "CANCELED", tags=DEV, targets=(GROUP_A,)),
    # Other services' jobs
    "AFR_OTA-1": Row("", tags=DEV, targets=(GROUP_A,)),
    "AFR_OTA-scheduled": Row("", "SCHEDULED"),
    "AFR_OTA-continuous": Row("", kind="CONTINUOUS"),
    "afr_ota-lower": Row("S"),
    "fw-greengrass": Row("", namespace=GG, tags=DEV_A, targets=(GROUP_A,)),
    "fw-greengrass-sched": Row("", "SCHEDULED", namespace=GG),
    "cmd-greengrass": Row("", namespace=GG, kind="CONTINUOUS"),
    "fw-other-namespace": Row("GSUP", namespace="team-a"),
    # Protection: selected, and left alone by IAM
    "fw-protected": Row("GSUP", tags=KEEP),
    "fw-protected-dev": Row("GSUTP", tags=DEV | KEEP),
    "fw-protected-sched": Row("GSUBP", "SCHEDULED", tags={"cancel-protection": "True"}),
    "fw-protected-not": Row("GSUP", tags={"cancel-protection": "false"}),
    "cmd-protected-cont": Row("C", kind="CONTINUOUS", tags=KEEP),
}
PROTECTED = {"fw-protected", "fw-protected-dev", "fw-protected-sched", "cmd-protected-cont"}
GREENGRASS = "owned by AWS IoT Greengrass"
OTA = "owned by FreeRTOS over-the-air updates"
# Left out for a reason that is worth telling. Out of the glob, the prefix or the kind is none.
LEFT_OUT: dict[str, dict[str, str]] = {
    "G": {"fw-greengrass": GREENGRASS, "fw-greengrass-sched": GREENGRASS},
    "S": {
        "AFR_OTA-1": OTA,
        "AFR_OTA-scheduled": OTA,
        "fw-greengrass": GREENGRASS,
        "fw-greengrass-sched": GREENGRASS,
        **dict.fromkeys(
            ("fw-at-72-hours", "fw-a-second-younger", "fw-new", "fw-new-scheduled", "cmd-new", "cmd-dev-new"),
            "not older than 72 h",
        ),
    },
    "U": {
        "fw-greengrass": GREENGRASS,
        "fw-greengrass-sched": GREENGRASS,
        **dict.fromkeys(
            (
                *("fw-at-72-hours", "fw-a-second-younger", "fw-new", "fw-new-scheduled"),
                *("fw-old-but-busy", "fw-old-idle-72"),
            ),
            "not older than 72 h",
        ),
    },
    "C": {"AFR_OTA-continuous": OTA, "cmd-greengrass": GREENGRASS},
    "B": {"AFR_OTA-scheduled": OTA, "fw-greengrass-sched": GREENGRASS},
    "T": {"AFR_OTA-1": OTA, "AFR_OTA-scheduled": OTA, "fw-greengrass": GREENGRASS, "fw-greengrass-sched": GREENGRASS},
    "M": {"fw-greengrass": GREENGRASS, "fw-greengrass-sched": GREENGRASS},
    "H": {"AFR_OTA-1": OTA, "AFR_OTA-scheduled": OTA, "fw-greengrass": GREENGRASS, "fw-greengrass-sched": GREENGRASS},
    "K": {"AFR_OTA-1": OTA, "fw-greengrass": GREENGRASS},
    "P": {"fw-greengrass": GREENGRASS, "fw-greengrass-sched": GREENGRASS},
}


def times(row: Row) -> tuple[datetime, datetime]:
    idle = row.hours if row.idle is None else row.idle
    return NOW - timedelta(hours=row.hours), NOW - timedelta(hours=idle)


@pytest.fixture(params=["", "hides_namespaced", "ignores_namespaces"], ids=lambda each: each or "plain")
def api(request: pytest.FixtureRequest, clock: FakeClock) -> FakeJobs:
    """All of JOBS; a plain listing may show no job in a namespace, or a listing of a namespace every job."""
    jobs = FakeJobs(clock=clock)
    jobs.page_size, jobs.denied_tag = 7, "cancel-protection"
    if request.param:
        setattr(jobs, request.param, True)
    for job_id, row in JOBS.items():
        created_at, updated_at = times(row)
        jobs.add_job(
            job_id,
            status=row.status,
            created_at=created_at,
            last_updated_at=updated_at,
            target_selection=row.kind,
            targets=row.targets,
            namespace=row.namespace,
            tags=row.tags,
        )
    return jobs


def carry_out(api: FakeJobs, name: str, clock: FakeClock, *, dry_run: bool) -> Report:
    limits = replace(LIMITS, job_id_prefix="fw-" if name == "P" else "")
    document = {"select": SELECTIONS[name], "dryRun": dry_run}
    request = parse_request(document, limits, CancelReason.default("STALE", "old"))
    return run(session(api, clock, limits=limits), request, Trigger.DIRECT)


def selected(name: str, api: FakeJobs | None = None) -> set[str]:
    hidden = {"fw-other-namespace"} if api and api.hides_namespaced else set()
    return {job_id for job_id, row in JOBS.items() if name in row.by} - hidden


def test_the_table_is_large_and_every_selection_takes_some_jobs_and_leaves_some() -> None:
    assert len(JOBS) >= 50
    assert all(0 < len(selected(name)) < len(JOBS) for name in SELECTIONS)


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_cancels_exactly_the_jobs_that_it_means(name: str, api: FakeJobs, clock: FakeClock) -> None:
    report = carry_out(api, name, clock, dry_run=False)
    meant = selected(name, api)
    assert {result.job_id: result.outcome.value for result in report.jobs} == {
        job_id: "PROTECTED" if job_id in PROTECTED else "CANCELED" for job_id in meant
    }
    assert sorted(api.cancelled) == sorted(meant - PROTECTED)
    assert (report.excluded, report.reason) == ((), f"{len(meant)} active job{'' if len(meant) == 1 else 's'} matched")


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_dry_run_tells_the_same_jobs_and_who_is_left_out_and_cancels_nothing(
    name: str, api: FakeJobs, clock: FakeClock
) -> None:
    report = carry_out(api, name, clock, dry_run=True)
    assert {result.job_id: result.outcome.value for result in report.jobs} == {
        job_id: "PROTECTED" if job_id in PROTECTED else "WOULD_CANCEL" for job_id in selected(name, api)
    }
    # What a listing hides need not be left out.
    shown = {job_id: why for job_id, why in LEFT_OUT[name].items() if not (api.hides_namespaced and why == GREENGRASS)}
    assert {left.job_id: left.why for left in report.excluded} == shown
    assert api.cancelled == []
