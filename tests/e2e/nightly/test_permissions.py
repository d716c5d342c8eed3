"""Each permission of the function's role, taken away alone on a running stack: what is seen then, and what is not done.

What test_iam.py shows of a missing permission is not shown again. Every one is given back, and the same is tried again.
"""

from typing import Any

import pytest

from tests.e2e.conftest import Canceler, unique
from tests.e2e.test_iam import without
from tests.support.stacks import failure_of_delete, template
from tests.template.test_permissions import allowed
from tools.localaws import stacks

PROTECTED = {"cancel-protection": "true"}

# Taken away → the job's tags; its outcome and its state without the permission; the outcome once it is back.
NAMED: list[tuple[str, dict[str, str], str, str, str]] = [
    ("iot:CancelJob", {}, "FAILED", "IN_PROGRESS", "CANCELED"),
    # The cancel goes before the reading back: it is done, and is not told as done.
    ("iot:DescribeJob", {}, "FAILED", "CANCELED", "ALREADY_CANCELED"),
    # Tags are read to tell a protected job from a missing permission. The Deny does not need that.
    ("iot:ListTagsForResource", PROTECTED, "FAILED", "IN_PROGRESS", "PROTECTED"),
]
# The same for what a job has left that was cancelled without force. Its executions, without and with the permission.
FORCED: list[tuple[str, dict[str, int], dict[str, int]]] = [
    ("iot:ListJobExecutionsForJob", {"IN_PROGRESS": 2}, {"CANCELED": 2}),
    ("iot:CancelJobExecution", {"IN_PROGRESS": 2}, {"CANCELED": 2}),
]
# Taken away → how a stack names the job; what its failed deletion says; the state of the job then.
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
    # A wait that can't be put on the queue is no wait: the deletion fails while the device is at work.
    (
        "sqs:SendMessage",
        {"JobId": "{job}", "ServiceTimeout": "300", "WaitForExecutionsMinutes": "1"},
        "device still runs job {job}; An error occurred (AccessDenied) when calling the SendMessage operation",
        "CANCELED",
    ),
]
# What MiniStack does in the role's name without asking, or is shown by test_iam.py → where.
ELSEWHERE = {
    "sqs:ChangeMessageVisibility": "test_iam.py",
    "events:PutEvents": "test_reports.py",
    "sqs:ReceiveMessage": "MiniStack's poller does not ask",
    "sqs:DeleteMessage": "MiniStack's poller does not ask",
    "sqs:GetQueueAttributes": "MiniStack's poller does not ask",
    "logs:CreateLogStream": "MiniStack writes the log by itself",
    "logs:PutLogEvents": "MiniStack writes the log by itself",
}


def filled(value: Any, job_id: str) -> Any:
    match value:
        case str():
            return value.replace("{job}", job_id)
        case dict():
            return {key: filled(item, job_id) for key, item in value.items()}
    return value


def test_every_permission_of_the_role_is_taken_away_once() -> None:
    taken = {action for action, *_ in [*NAMED, *FORCED, *TEARDOWNS]}
    assert taken | ELSEWHERE.keys() == {action for action, _ in allowed(forces=True)}
    assert not taken & ELSEWHERE.keys()


@pytest.mark.parametrize(("action", "tags", "outcome", "status", "restored"), NAMED, ids=[each[0] for each in NAMED])
def test_without_a_permission_a_job_is_reported_as_failed_and_with_it_again_as_it_is(
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
def test_without_a_permission_of_force_the_executions_run_on_and_the_job_is_failed(
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
def test_a_job_that_is_cancelled_with_force_needs_neither_of_them(forceful: Canceler, action: str) -> None:
    job_id = forceful.job("forced", started=1, prefix="forceful-")
    with without(forceful, action):
        assert forceful.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}
    assert forceful.fleet.state(job_id).executions == {"CANCELED": 1}


@pytest.mark.parametrize(
    ("action", "properties", "reason", "status"), TEARDOWNS, ids=[action for action, *_ in TEARDOWNS]
)
def test_without_a_permission_a_deletion_fails_with_the_reason_and_with_it_again_is_done(
    canceler: Canceler, action: str, properties: dict[str, Any], reason: str, status: str
) -> None:
    job_id, name = canceler.job("torn", tags={"env": "dev"}), unique("permission")
    attributes = ("JobId", "Force") if "JobId" in properties else ("Force",)
    body = template(canceler.service_token, filled(properties, job_id), attributes)
    stacks.create(canceler.aws, name, body, {})
    with without(canceler, action):
        assert filled(reason, job_id) in failure_of_delete(canceler.aws, name)
        assert canceler.fleet.state(job_id).status == status
    if status == "CANCELED":  # nobody is waited for any more
        assert canceler.fleet.succeed(f"{job_id}-device-0", job_id)
    stacks.delete(canceler.aws, name)
    assert canceler.report_on(job_id)["status"] == "SETTLED"
    assert canceler.fleet.state(job_id).status == "CANCELED"


def test_nobody_needs_to_read_tags_to_cancel_a_job_that_is_not_protected(canceler: Canceler) -> None:
    job_id = canceler.job("plain")
    with without(canceler, "iot:ListTagsForResource"):
        assert canceler.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}


def test_without_the_permission_to_read_tags_a_dry_run_promises_nothing(canceler: Canceler) -> None:
    job_id = canceler.job("planned")
    with without(canceler, "iot:ListTagsForResource"):
        report = canceler.invoke({"cancel": {"jobId": job_id, "dryRun": True}})
    assert (report["status"], report["counts"]) == ("UNSETTLED", {"FAILED": 1})
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
