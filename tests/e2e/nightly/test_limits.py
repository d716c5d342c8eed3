"""Parameters that limit what is canceled, each with another value than its default, and IAM without the code's checks.

Most of the other stacks have the defaults.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Canceler, deployed, unique
from tests.e2e.test_roads import policy_of
from tests.support.stacks import failure_of_delete, template
from tools.fleet.devices import JobState
from tools.localaws import stacks
from tools.localaws.aws import REGION, LocalAws
from tools.simulators.faults import TokenBuckets
from tools.simulators.iot_server import IotServer

FLEET = {"team": "fleet"}
UNTAGGED = "the job is not tagged team=fleet, the stack's RequiredTag"
WITHOUT_CHECKS = {"REQUIRED_TAG": "", "PROTECTION_TAG_KEY": "no-such-tag"}


@pytest.fixture(scope="module")
def limited(aws: LocalAws, build_dir: Path) -> Iterator[Canceler]:
    """Deploy a stack without a rule, so that it needs no bus of its own."""
    parameters = {
        "Force": "TEARDOWN",
        "MaxForcedExecutions": "1",
        "RequiredTag": "team=fleet",
        "ProtectionTagKey": "hold",
        "CancelsPerSecond": "1",
        "RequestSources": "",
        "Monitoring": "NONE",
    }
    with deployed(aws, build_dir, "limited", **parameters) as stack:
        yield stack


def outcome(canceler: Canceler, job_id: str, **cancel: Any) -> tuple[str, str]:
    """Send a request for the job, and return the outcome with the beginning of its detail."""
    (job,) = canceler.invoke({"cancel": {"jobId": job_id, **cancel}})["jobs"]
    return job["outcome"], job["detail"].partition(":")[0]


# Tags


@pytest.mark.parametrize(
    ("tags", "why", "without_checks"),
    [
        ({}, UNTAGGED, "AccessDeniedException"),
        ({"team": "Fleet"}, UNTAGGED, "AccessDeniedException"),
        ({**FLEET, "hold": "True"}, "the job is tagged hold=true", "AccessDeniedException"),
    ],
    ids=["no tag", "another value", "protected"],
)
def test_a_job_without_the_required_tag_stays_active(
    limited: Canceler, tags: dict[str, str], why: str, without_checks: str
) -> None:
    job_id = limited.job("kept", tags=tags)
    assert outcome(limited, job_id) == ("PROTECTED", why)
    with limited.environment(**WITHOUT_CHECKS):
        assert outcome(limited, job_id) == ("FAILED", without_checks)
    assert limited.fleet.state(job_id) == JobState("IN_PROGRESS", {"IN_PROGRESS": 1})


def test_a_job_with_the_required_tag_is_canceled(limited: Canceler) -> None:
    job_id = limited.job("canceled", tags={**FLEET, "cancel-protection": "true"})
    assert outcome(limited, job_id) == ("CANCELED", "")
    assert limited.statuses(job_id) == ["CANCELED"]


@pytest.mark.parametrize(
    ("tags", "detail", "executions"),
    [
        ({}, "its executions still run", {"IN_PROGRESS": 1}),
        (FLEET, "ended 1 execution that an earlier cancel left running", {"CANCELED": 1}),
    ],
    ids=["no tag", "tag"],
)
def test_executions_are_ended_only_of_a_job_with_the_required_tag(
    limited: Canceler, tags: dict[str, str], detail: str, executions: dict[str, int]
) -> None:
    """The code's check. MiniStack compares only the thing of CancelJobExecution with a policy, and not the job."""
    job_id = limited.job("by-hand", tags=tags)
    limited.aws.client("iot").cancel_job(jobId=job_id)
    with limited.environment(FORCE="true"):
        assert outcome(limited, job_id) == ("ALREADY_CANCELED", detail)
    assert limited.fleet.state(job_id).executions == executions


# Force


def test_force_on_teardowns_leaves_the_executions_of_a_request_running(limited: Canceler) -> None:
    torn, requested, name = limited.job("torn", tags=FLEET), limited.job("requested", tags=FLEET), unique("consumer")
    report = limited.invoke({"cancel": {"jobId": requested, "force": True}})
    assert (report["status"], report["reason"]) == (
        "REJECTED",
        "force: must be false or omitted, since the stack's parameter Force is TEARDOWN, and this is not a teardown",
    )
    assert limited.statuses(requested) == ["IN_PROGRESS"]
    report = limited.invoke({"cancel": {"jobId": requested}})
    assert (report["counts"], report["executionsLeftInProgress"]) == ({"CANCELED": 1}, 1)
    assert limited.fleet.state(requested).executions == {"IN_PROGRESS": 1}
    outputs = stacks.create(limited.aws, name, template(limited.service_token, {"JobId": torn}), {})
    assert outputs["Force"] == "true"
    stacks.delete(limited.aws, name)
    report = limited.report_on(torn)
    assert (report["status"], report["force"], report["executionsEnded"]) == ("SETTLED", True, 1)
    assert limited.fleet.state(torn) == JobState("CANCELED", {"CANCELED": 1})


def test_a_deletion_fails_while_more_devices_run_its_job_than_force_may_end(limited: Canceler) -> None:
    job_id, name = limited.job("many", started=2, queued=1, tags=FLEET), unique("consumer")
    stacks.create(limited.aws, name, template(limited.service_token, {"JobId": job_id}), {})
    assert (
        f"job {job_id} FAILED: TooManyExecutions: force would end 2 running executions, but the stack's "
        "MaxForcedExecutions is 1, so nothing was canceled"
    ) in failure_of_delete(limited.aws, name)
    assert limited.fleet.state(job_id) == JobState("IN_PROGRESS", {"IN_PROGRESS": 2, "QUEUED": 1})
    assert limited.fleet.succeed(f"{job_id}-device-0", job_id)
    stacks.delete(limited.aws, name)
    assert limited.report_on(job_id)["executionsEnded"] == 1
    assert limited.fleet.state(job_id) == JobState("CANCELED", {"SUCCEEDED": 1, "CANCELED": 2})


def test_a_request_with_force_cancels_no_job_that_too_many_devices_run(limited: Canceler) -> None:
    batch = unique("forced")
    many, one = (limited.job(str(number), started=number, tags=FLEET, batch=batch) for number in (2, 1))
    with limited.environment(FORCE="true"):
        report = limited.invoke({"cancel": {"jobIds": [many, one]}})
        assert (report["status"], report["executionsEnded"]) == ("UNSETTLED", 1)
        assert {job["jobId"]: job["outcome"] for job in report["jobs"]} == {many: "FAILED", one: "CANCELED"}
        assert limited.fleet.state(many) == JobState("IN_PROGRESS", {"IN_PROGRESS": 2})
        assert outcome(limited, many, force=False) == ("CANCELED", "")
    assert limited.fleet.state(many) == JobState("CANCELED", {"IN_PROGRESS": 2})
    assert limited.fleet.state(one) == JobState("CANCELED", {"CANCELED": 1})


@pytest.mark.parametrize(
    ("jobs", "devices", "status", "reason"),
    [
        (100, 1000, "SETTLED", "100 active jobs matched"),
        (101, 0, "REJECTED", "select: matches 101 jobs, but the limit is 100"),
        (1, 1001, "UNSETTLED", "1 active job matched"),
    ],
    ids=["at both limits", "job limit", "limit of executions"],
)
def test_the_default_limits(forceful: Canceler, jobs: int, devices: int, status: str, reason: str) -> None:
    """A hundred jobs, and a thousand executions of one of them."""
    with IotServer(REGION) as iot, forceful.environment(AWS_ENDPOINT_URL_IOT=iot.url, CANCELS_PER_SECOND="100"):
        for number in range(jobs):
            running = {f"thing-{device}": "IN_PROGRESS" for device in range(devices if number == 0 else 0)}
            iot.backend.add_job(f"forceful-{number}", executions=running)
        report = forceful.invoke({"cancel": {"select": {"jobIdGlob": "forceful-*"}}})
        assert (report["status"], report["reason"].partition(", so")[0]) == (status, reason)
        assert len(iot.backend.canceled) == (100 if status == "SETTLED" else 0)


# Requests, monitoring and rate


def test_without_request_sources_no_event_invokes_the_function(limited: Canceler) -> None:
    rules = limited.aws.client("events").list_rule_names_by_target(TargetArn=limited.service_token)
    assert rules["RuleNames"] == []
    assert policy_of(limited) == []


def test_without_monitoring_there_are_no_alarms_and_no_dashboard(limited: Canceler) -> None:
    cloudwatch = limited.aws.client("cloudwatch")
    assert cloudwatch.describe_alarms(AlarmNamePrefix="limited/")["MetricAlarms"] == []
    assert cloudwatch.list_dashboards(DashboardNamePrefix="limited-")["DashboardEntries"] == []
    assert "DashboardUrl" not in limited.outputs


def test_the_rate_of_the_stack_stays_below_a_lower_quota(limited: Canceler) -> None:
    """The simulator allows two calls a second. With the default rate, some calls are throttled and repeated."""
    calls = {}
    for name, changed in {"of the stack": {}, "default": {"CANCELS_PER_SECOND": "8"}}.items():
        with IotServer(REGION) as iot, limited.environment(AWS_ENDPOINT_URL_IOT=iot.url, **changed):
            jobs = [f"job-{number}" for number in range(5)]
            for job_id in jobs:
                iot.backend.add_job(job_id)
            iot.backend.throttle = TokenBuckets({"CancelJob": 2.0})
            assert limited.invoke({"cancel": {"jobIds": jobs}})["counts"] == {"CANCELED": 5}
            calls[name] = [operation for operation, _ in iot.backend.calls].count("CancelJob")
    assert calls["of the stack"] == 5
    assert calls["default"] > 5
