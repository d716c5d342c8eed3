"""Which jobs a selection takes, job by job, on FakeJobs and on the service's rules alike. The table is the oracle."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from handler.aws.iot import IotJobs
from handler.cancellation.rate import Deadline, RateLimit
from handler.cancellation.report import Report, Trigger
from handler.cancellation.request import CancelReason, parse_request
from handler.cancellation.run import JobsApi, Run
from tests.support import iot_server
from tests.support.fakes import LIMITS, NOW, FakeClock, FakeJob, FakeJobs
from tests.support.iot_rules import Parameters, RulesBackend, in_process

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"
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


@dataclass(frozen=True)
class World:
    """All of JOBS behind one API. `hides` says that a plain listing shows no job in a namespace."""

    api: JobsApi
    cancelled: Callable[[], list[str]]
    hides: bool


def times(row: Row) -> tuple[datetime, datetime]:
    idle = row.hours if row.idle is None else row.idle
    return NOW - timedelta(hours=row.hours), NOW - timedelta(hours=idle)


def on_the_fake(clock: FakeClock, *, hides: bool, ignores: bool = False) -> World:
    jobs = FakeJobs(clock=clock)
    jobs.page_size, jobs.denied_tag, jobs.hides_namespaced = 7, "cancel-protection", hides
    jobs.ignores_namespaces = ignores
    for job_id, row in JOBS.items():
        created_at, updated_at = times(row)
        jobs.jobs[job_id] = FakeJob(
            row.status,
            tags=dict(row.tags or {}),
            targets=row.targets,
            namespace=row.namespace,
            target_selection=row.kind,
            created_at=created_at,
            last_updated_at=updated_at,
        )
    return World(jobs, lambda: jobs.cancelled, hides)


def on_the_rules(client: "IoTClient", backend: RulesBackend, *, hides: bool) -> World:
    backend.hides_namespaced = hides

    def deny(operation: str, parameters: Parameters) -> None:
        if operation == "CancelJob" and parameters["jobId"] in PROTECTED:
            raise iot_server.access_denied()

    backend.fault = deny
    for job_id, row in JOBS.items():
        created_at, updated_at = times(row)
        backend.add_job(
            job_id,
            status=row.status,
            created_at=created_at,
            last_updated_at=updated_at,
            target_selection=row.kind,
            targets=row.targets,
            namespace_id=row.namespace,
            tags=dict(row.tags or {}),
        )
    return World(IotJobs(client), lambda: list(backend.jobs_cancelled.elements()), hides)


@pytest.fixture(scope="module")
def client() -> "IoTClient":
    return boto3.Session().client(
        "iot",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
    )


@pytest.fixture(params=["fake", "fake hides namespaces", "fake ignores namespaces", "service", "service hides"])
def world(request: pytest.FixtureRequest, client: "IoTClient", clock: FakeClock) -> Iterator[World]:
    if request.param.startswith("fake"):
        yield on_the_fake(clock, hides="hides" in request.param, ignores="ignores" in request.param)
        return
    with in_process(REGION) as backend:
        yield on_the_rules(client, backend, hides="hides" in request.param)


def carry_out(api: JobsApi, name: str, clock: FakeClock, *, dry_run: bool) -> Report:
    policy = replace(LIMITS, job_id_prefix="fw-" if name == "P" else "")
    document = {"select": SELECTIONS[name], "dryRun": dry_run}
    pace = RateLimit(1000, clock, clock.sleep)
    run = Run(api, policy, pace, Deadline(300, clock), clock.sleep, lambda: NOW)
    return run.carry_out(parse_request(document, policy, CancelReason.default("STALE", "old")), Trigger.DIRECT)


def selected(name: str, world: World | None = None) -> set[str]:
    hidden = {"fw-other-namespace"} if world and world.hides else set()
    return {job_id for job_id, row in JOBS.items() if name in row.by} - hidden


def test_the_table_is_large_and_every_selection_takes_some_jobs_and_leaves_some() -> None:
    assert len(JOBS) >= 50
    assert all(0 < len(selected(name)) < len(JOBS) for name in SELECTIONS)


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_cancels_exactly_the_jobs_that_it_means(name: str, world: World, clock: FakeClock) -> None:
    report = carry_out(world.api, name, clock, dry_run=False)
    meant = selected(name, world)
    assert {result.job_id: result.outcome.value for result in report.jobs} == {
        job_id: "PROTECTED" if job_id in PROTECTED else "CANCELED" for job_id in meant
    }
    assert sorted(world.cancelled()) == sorted(meant - PROTECTED)
    assert (report.left_out, report.reason) == ((), f"{len(meant)} live jobs matched")


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_dry_run_tells_the_same_jobs_and_who_is_left_out_and_cancels_nothing(
    name: str, world: World, clock: FakeClock
) -> None:
    report = carry_out(world.api, name, clock, dry_run=True)
    assert {result.job_id: result.outcome.value for result in report.jobs} == {
        job_id: "PROTECTED" if job_id in PROTECTED else "WOULD_CANCEL" for job_id in selected(name, world)
    }
    # What a listing hides need not be left out.
    shown = {job_id: why for job_id, why in LEFT_OUT[name].items() if not (world.hides and why == GREENGRASS)}
    assert {left.job_id: left.why for left in report.left_out} == shown
    assert world.cancelled() == []
