"""Selections on every trigger, over a mixed population."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.e2e.conftest import Canceler, deployed
from tests.support.stacks import failure_of_delete, template
from tools.localaws import stacks
from tools.polling import wait_for
from tools.simulators.iot_server import IotServer

REGION = "eu-central-1"
NAMES = (f"selecting-{number}" for number in count(1))


def select(canceler: Canceler, **cancel: Any) -> Any:
    return canceler.invoke({"cancel": cancel})


def population(canceler: Canceler, name: str) -> dict[str, str]:
    """One job of each kind: kind → job id. All of them match the glob `*-<name>-*` or are meant not to."""
    iot = canceler.aws.client("iot")
    ids = {
        "plain": canceler.job(f"plain-{name}", queued=1, started=0),
        "protected": canceler.job(f"protected-{name}", queued=1, started=0, tags={"cancel-protection": "true"}),
        "tagged": canceler.job(f"tagged-{name}", queued=1, started=0, tags={"env": "dev"}),
        "other prefix": canceler.job(f"plain-{name}", queued=1, started=0, prefix="other-"),
        "ota": canceler.job(f"plain-{name}", queued=1, started=0, prefix="AFR_OTA-"),
        "keep": canceler.job(f"keep-{name}", queued=1, started=0),
        "canceled": canceler.job(f"canceled-{name}", queued=1, started=0),
    }
    iot.cancel_job(jobId=ids["canceled"], reasonCode="EARLIER")
    arn = iot.describe_job(jobId=ids["plain"])["job"]["targets"][0]
    others = {"continuous": {"targetSelection": "CONTINUOUS"}, "greengrass": {"namespaceId": "aws-gg-deployment"}}
    for kind, fields in others.items():
        ids[kind] = f"{ids['plain']}-{kind}"
        iot.create_job(jobId=ids[kind], targets=[arn], document="{}", **fields)  # type: ignore[arg-type]
    return ids


def outcomes(report: Any) -> dict[str, str]:
    return {job["jobId"]: job["outcome"] for job in report["jobs"]}


def test_a_selection_takes_what_it_means_and_nothing_else(canceler: Canceler) -> None:
    ids = population(canceler, "mixed")
    chosen = {"jobIdGlob": "*-mixed-*", "excludeJobIdGlobs": ["*keep*"]}
    plan = select(canceler, select=chosen, dryRun=True)
    assert outcomes(plan) == {
        ids["plain"]: "WOULD_CANCEL",
        ids["tagged"]: "WOULD_CANCEL",
        ids["protected"]: "PROTECTED",
    }
    assert plan["leftOut"] == [{"jobId": ids["greengrass"], "why": "owned by AWS IoT Greengrass"}]
    real = select(canceler, select=chosen)
    assert outcomes(real) == {ids["plain"]: "CANCELED", ids["tagged"]: "CANCELED", ids["protected"]: "PROTECTED"}
    states = {kind: canceler.fleet.state(job_id).status for kind, job_id in ids.items()}
    canceled = {kind for kind, status in states.items() if status == "CANCELED"}
    assert canceled == {"plain", "tagged", "canceled"}
    assert canceler.described(ids["canceled"])["reasonCode"] == "EARLIER"


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        ({"tags": {"env": "dev"}}, {"tagged"}),
        ({"jobIdGlob": "e2e-plain-*", "targetSelection": ["CONTINUOUS"]}, {"continuous"}),
        ({"jobIdGlob": "e2e-*", "status": ["SCHEDULED"]}, set()),
        ({"jobIdGlob": "e2e-*", "olderThanHours": 1}, set()),
        ({"jobIdGlob": "e2e-*", "thingGroupName": "no-such-group"}, set()),
    ],
)
def test_each_filter_is_asked(canceler: Canceler, chosen: dict[str, Any], expected: set[str]) -> None:
    name = f"filter{next(NAMES)[-2:]}"
    ids = population(canceler, name)
    chosen = {"excludeJobIdGlobs": ["e2e-live*"], **chosen}
    report = select(canceler, select=chosen, dryRun=True)
    kinds = {kind for kind, job_id in ids.items() if outcomes(report).get(job_id) == "WOULD_CANCEL"}
    assert kinds == expected
    for kind in ("plain", "tagged", "keep", "continuous"):
        canceler.invoke({"cancel": {"jobId": ids[kind]}})


def test_a_thing_group_is_verified_against_the_jobs_targets(canceler: Canceler) -> None:
    iot = canceler.aws.client("iot")
    group = iot.create_thing_group(thingGroupName="fleet-a")["thingGroupArn"]
    other = iot.create_thing_group(thingGroupName="fleet-a-2")["thingGroupArn"]
    iot.create_job(jobId="e2e-grouped", targets=[group], document="{}")
    iot.create_job(jobId="e2e-other-group", targets=[other], document="{}")
    report = select(canceler, select={"jobIdGlob": "e2e-*group*", "thingGroupName": "fleet-a"})
    assert outcomes(report) == {"e2e-grouped": "CANCELED"}
    canceler.invoke({"cancel": {"jobId": "e2e-other-group"}})


def test_a_selection_over_the_cap_cancels_nothing_and_says_how_many_matched(canceler: Canceler) -> None:
    jobs = [canceler.job("many", queued=1, started=0) for _ in range(4)]
    report = select(canceler, select={"jobIdGlob": "e2e-many-*"})
    assert report["status"] == "REJECTED"
    assert report["reason"].startswith("select: means 4 jobs, and a run may cancel at most 3")
    assert {canceler.fleet.state(job_id).status for job_id in jobs} == {"IN_PROGRESS"}


def test_the_deletion_of_a_stack_cancels_its_selection_or_says_why_not(canceler: Canceler) -> None:
    name = next(NAMES)
    properties = {"Select": {"JobIdGlob": "e2e-owned-*", "ExcludeJobIdGlobs": ["*-keep-*"]}}
    stacks.create(canceler.aws, name, template(canceler.service_token, properties, attributes=("Force",)), {})
    jobs = [canceler.job("owned", queued=1, started=0) for _ in range(4)]
    kept = canceler.job("owned-keep", queued=1, started=0)
    assert "means 4 jobs, and a run may cancel at most 3" in failure_of_delete(canceler.aws, name)
    assert {canceler.fleet.state(job_id).status for job_id in jobs} == {"IN_PROGRESS"}
    canceler.invoke({"cancel": {"jobId": jobs.pop()}})
    stacks.delete(canceler.aws, name)
    assert {canceler.fleet.state(job_id).status for job_id in jobs} == {"CANCELED"}
    assert canceler.fleet.state(kept).status == "IN_PROGRESS"


def test_another_selection_cancels_nothing_by_itself(canceler: Canceler) -> None:
    name, job_id = next(NAMES), canceler.job("edited", queued=1, started=0)
    for glob in ("e2e-edited-*", "e2e-none-*"):
        body = template(canceler.service_token, {"Select": {"JobIdGlob": glob}}, attributes=("Force",))
        (stacks.create if glob == "e2e-edited-*" else stacks.update)(canceler.aws, name, body, {})
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
    stacks.delete(canceler.aws, name)
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"


def test_jobs_tagged_with_a_stack_are_cancelled_when_it_is_deleted(canceler: Canceler) -> None:
    """The event is CloudFormation's, which no one else may put on a bus; it goes to the rule's target from here."""
    stack_id = "arn:aws:cloudformation:eu-central-1:000000000000:stack/of-jobs/11111111-0000-4000-8000-000000000000"
    own = canceler.job("by-tag", queued=1, started=0, tags={"iot-job-canceler:stack-id": stack_id})
    other = canceler.job("by-tag", queued=1, started=0, tags={"iot-job-canceler:stack-id": f"{stack_id}-2"})
    event = {
        "version": "0",
        "id": "e5d0c4f1-0000-4000-8000-000000000000",
        "source": "aws.cloudformation",
        "detail-type": "CloudFormation Stack Status Change",
        "account": "000000000000",
        "region": REGION,
        "time": "2026-11-24T00:00:00Z",
        "resources": [stack_id],
        "detail": {"stack-id": stack_id, "status-details": {"status": "DELETE_COMPLETE", "status-reason": ""}},
    }
    canceler.deliver(event)
    assert outcomes(canceler.report_on(own)) == {own: "CANCELED"}
    assert canceler.fleet.state(other).status == "IN_PROGRESS"


def test_the_schedule_of_the_stack_runs_its_default_sweep(canceler: Canceler) -> None:
    old, now = timedelta(hours=3), datetime.now(UTC)
    due = now + timedelta(seconds=15)
    parameters = {
        "SweepState": "ENABLED",
        "SweepSchedule": f"at({due:%Y-%m-%dT%H:%M:%S})",
        "SweepJobIdGlob": "stale-*",
        "SweepOlderThanHours": "2",
        "JobIdPrefix": "stale-",
    }
    build_dir = canceler.build_dir
    for sweeper in deployed(canceler.aws, build_dir, "sweeper", **parameters):
        with IotServer(REGION) as iot, sweeper.environment(AWS_ENDPOINT_URL_IOT=iot.url):
            for job_id, age in {"stale-old": old, "stale-young": timedelta(hours=1), "other-old": old}.items():
                iot.backend.add_job(job_id, created_at=now - age)
            wait_for("the sweep", lambda: iot.backend.cancelled or None, seconds=60)
            (report,) = [each for each in wait_for_reports(sweeper) if each["trigger"] == "SCHEDULE"]
            assert outcomes(report) == {"stale-old": "CANCELED"}
            assert iot.backend.cancelled == ["stale-old"]


def wait_for_reports(canceler: Canceler) -> Any:
    return wait_for("a report", lambda: canceler.log.reports() or None, seconds=30)


def test_a_scheduled_event_without_a_scope_is_rejected_loudly(canceler: Canceler) -> None:
    report = canceler.invoke({"source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"})
    assert (report["status"], report["trigger"]) == ("REJECTED", "SCHEDULE")
    assert report["reason"].startswith("SweepJobIdGlob: must be set")
