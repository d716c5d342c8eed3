"""Each permission of the function's role is removed alone, then restored, and the event is retried."""

from typing import Any

import pytest

from tests.e2e.conftest import Canceler, unique
from tests.e2e.test_iam import without
from tests.support.stacks import failure_of_delete, template
from tests.template.test_permissions import allowed
from tools.localaws import stacks

PROTECTED = {"cancel-protection": "true"}

# Removed → tags of the job; its outcome and its status without the permission; its outcome with the permission.
NAMED: list[tuple[str, dict[str, str], str, str, str]] = [
    ("iot:CancelJob", {}, "FAILED", "IN_PROGRESS", "CANCELED"),
    # The job is canceled before it is described. The report does not say so.
    ("iot:DescribeJob", {}, "FAILED", "CANCELED", "ALREADY_CANCELED"),
    # The tags distinguish a protected job from a missing permission. The Deny does not need them.
    ("iot:ListTagsForResource", PROTECTED, "FAILED", "IN_PROGRESS", "PROTECTED"),
]
# Removed → executions of a job that was canceled without force: without and with the permission.
FORCED: list[tuple[str, dict[str, int], dict[str, int]]] = [
    ("iot:ListJobExecutionsForJob", {"IN_PROGRESS": 2}, {"CANCELED": 2}),
    ("iot:CancelJobExecution", {"IN_PROGRESS": 2}, {"CANCELED": 2}),
]
# Removed → properties of the resource; the reason of the failed deletion; the status of the job after it.
TEARDOWNS: list[tuple[str, dict[str, Any], str, str]] = [
    ("iot:CancelJob", {"JobId": "{job}"}, "job {job} FAILED: AccessDenied", "IN_PROGRESS"),
    ("iot:DescribeJob", {"JobId": "{job}"}, "job {job} FAILED: AccessDenied", "CANCELED"),
    (
        "iot:ListJobs",
        {"Select": {"JobIdGlob": "{job}"}},
        "Select: the selection failed: AccessDenied",
        "IN_PROGRESS",
    ),
    (
        "iot:ListTagsForResource",
        {"Select": {"JobIdGlob": "{job}", "Tags": {"env": "dev"}}},
        "Select: the selection failed: AccessDenied",
        "IN_PROGRESS",
    ),
    # An event that cannot be enqueued does not wait: the deletion fails while the device runs the job.
    (
        "sqs:SendMessage",
        {"JobId": "{job}", "ServiceTimeout": "300", "WaitForExecutionsMinutes": "1"},
        "device still runs job {job}; An error occurred (AccessDenied) when calling the SendMessage operation",
        "CANCELED",
    ),
]
# Not removed here → the file that does, or why MiniStack cannot show it.
ELSEWHERE = {
    "sqs:ChangeMessageVisibility": "test_iam.py",
    "events:PutEvents": "test_reports.py",
    "sqs:ReceiveMessage": "MiniStack's poller does not check permissions",
    "sqs:DeleteMessage": "MiniStack's poller does not check permissions",
    "sqs:GetQueueAttributes": "MiniStack's poller does not check permissions",
    "logs:CreateLogStream": "MiniStack writes the log by itself",
    "logs:PutLogEvents": "MiniStack writes the log by itself",
    "kms:Decrypt": "MiniStack does not encrypt",
    "kms:GenerateDataKey": "MiniStack does not encrypt",
}


def filled(value: Any, job_id: str) -> Any:
    match value:
        case str():
            return value.replace("{job}", job_id)
        case dict():
            return {key: filled(item, job_id) for key, item in value.items()}
    return value


def test_every_permission_of_the_role_is_removed_once() -> None:
    removed = {action for action, *_ in [*NAMED, *FORCED, *TEARDOWNS]}
    assert removed | ELSEWHERE.keys() == {action for action, _ in allowed(Force="true", KmsKeyArn="arn")}
    assert not removed & ELSEWHERE.keys()


@pytest.mark.parametrize(("action", "tags", "outcome", "status", "restored"), NAMED, ids=[each[0] for each in NAMED])
def test_a_missing_permission_is_reported_and_a_restored_one_used(
    canceler: Canceler, action: str, tags: dict[str, str], outcome: str, status: str, restored: str
) -> None:
    job_id, bystander = canceler.job("without", tags=tags), canceler.job("bystander")
    with without(canceler, action):
        (job,) = canceler.invoke({"cancel": {"jobId": job_id}})["jobs"]
        assert job["outcome"] == outcome
        assert job["detail"].startswith("AccessDenied")
        assert canceler.fleet.state(job_id).status == status
    assert canceler.invoke({"cancel": {"jobId": job_id}})["counts"] == {restored: 1}
    assert canceler.fleet.state(bystander).status == "IN_PROGRESS"


@pytest.mark.parametrize(("action", "left", "ended"), FORCED, ids=[each[0] for each in FORCED])
def test_without_a_permission_of_force_the_executions_continue_and_the_job_fails(
    forceful: Canceler, action: str, left: dict[str, int], ended: dict[str, int]
) -> None:
    job_id = forceful.job("left", started=2, prefix="forceful-")
    assert forceful.invoke({"cancel": {"jobId": job_id, "force": False}})["counts"] == {"CANCELED": 1}
    with without(forceful, action):
        report = forceful.invoke({"cancel": {"jobId": job_id}})
        assert (report["status"], report["counts"], report["executionsLeftInProgress"]) == (
            "UNSETTLED",
            {"FAILED": 1},
            2,
        )
        assert report["jobs"][0]["detail"].startswith("AccessDenied")
        assert forceful.fleet.state(job_id).executions == left
    assert forceful.invoke({"cancel": {"jobId": job_id}})["counts"] == {"ALREADY_CANCELED": 1}
    assert forceful.fleet.state(job_id).executions == ended


@pytest.mark.parametrize("action", ["iot:ListJobExecutionsForJob", "iot:CancelJobExecution"])
def test_canceling_with_force_needs_no_permission_on_executions(forceful: Canceler, action: str) -> None:
    job_id = forceful.job("forced", started=1, prefix="forceful-")
    with without(forceful, action):
        assert forceful.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}
    assert forceful.fleet.state(job_id).executions == {"CANCELED": 1}


@pytest.mark.parametrize(
    ("action", "properties", "reason", "status"), TEARDOWNS, ids=[action for action, *_ in TEARDOWNS]
)
def test_a_deletion_fails_without_a_permission_and_succeeds_with_it(
    canceler: Canceler, action: str, properties: dict[str, Any], reason: str, status: str
) -> None:
    job_id, name = canceler.job("torn", tags={"env": "dev"}), unique("permission")
    attributes = ("JobId", "Force") if "JobId" in properties else ("Force",)
    body = template(canceler.service_token, filled(properties, job_id), attributes)
    stacks.create(canceler.aws, name, body, {})
    with without(canceler, action):
        assert filled(reason, job_id) in failure_of_delete(canceler.aws, name)
        assert canceler.fleet.state(job_id).status == status
    if status == "CANCELED":  # the second deletion would wait for the device
        assert canceler.fleet.succeed(f"{job_id}-device-0", job_id)
    stacks.delete(canceler.aws, name)
    assert canceler.report_on(job_id)["status"] == "SETTLED"
    assert canceler.fleet.state(job_id).status == "CANCELED"


def test_canceling_an_unprotected_job_does_not_need_tags(canceler: Canceler) -> None:
    job_id = canceler.job("plain")
    with without(canceler, "iot:ListTagsForResource"):
        assert canceler.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}


def test_without_permission_to_read_tags_a_dry_run_fails(canceler: Canceler) -> None:
    job_id = canceler.job("planned")
    with without(canceler, "iot:ListTagsForResource"):
        report = canceler.invoke({"cancel": {"jobId": job_id, "dryRun": True}})
    assert (report["status"], report["counts"]) == ("UNSETTLED", {"FAILED": 1})
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
