"""IAM alone holds: the code's own checks are taken out here, by telling the function that there is no prefix."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import PREFIX, Canceler, unique
from tests.e2e.test_triggers import TRIGGERS
from tools.errors import StackFailed
from tools.polling import wait_for

# What saves a job: how it is made, and which of the code's own checks is taken out.
SAVED_BY: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "tag": (
        {"tags": {"cancel-protection": "True"}},
        {"JOB_ID_PREFIX": "", "PROTECTION_TAG_KEY": "no-such-tag"},
    ),
    "prefix": ({"prefix": "other-"}, {"JOB_ID_PREFIX": ""}),
}


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("saved_by", SAVED_BY)
def test_a_protected_job_and_one_outside_the_prefix_survive_every_trigger(
    canceler: Canceler, saved_by: str, trigger: str
) -> None:
    made, checks_out = SAVED_BY[saved_by]
    job_id = canceler.job(f"{saved_by}-{trigger.lower()}", **made)
    with canceler.environment(**checks_out):
        if trigger == "TEARDOWN":
            with pytest.raises(StackFailed, match="AccessDenied"):
                TRIGGERS[trigger](canceler, job_id)
        else:
            TRIGGERS[trigger](canceler, job_id)
        (job,) = canceler.report_on(job_id)["jobs"]
    assert job["outcome"] == "FAILED"
    assert "AccessDenied" in job["detail"]
    assert canceler.fleet.state(job_id).executions == {"IN_PROGRESS": 1}


def test_the_report_tells_a_protected_job_from_a_missing_permission(canceler: Canceler) -> None:
    protected = canceler.job("told", tags={"cancel-protection": "true"})
    report = canceler.invoke({"cancel": {"jobId": protected}})
    assert (report["status"], report["counts"]) == ("UNSETTLED", {"PROTECTED": 1})


def test_another_value_of_the_tag_protects_nothing(canceler: Canceler) -> None:
    job_id = canceler.job("unprotected", tags={"cancel-protection": "false"})
    assert canceler.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}


@contextmanager
def without(canceler: Canceler, action: str) -> Iterator[None]:
    """The function's role, with one action denied."""
    iam = canceler.aws.client("iam")
    arn = canceler.aws.client("lambda").get_function_configuration(FunctionName=canceler.function_name)["Role"]
    role = arn.rpartition("/")[2]
    deny = {"Effect": "Deny", "Action": action, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=role, PolicyName="Without", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="Without")


@pytest.mark.parametrize("action", ["iot:CancelJob", "iot:DescribeJob", "iot:ListTagsForResource"])
def test_every_permission_on_jobs_is_needed(canceler: Canceler, action: str) -> None:
    tags = {"cancel-protection": "true"} if action == "iot:ListTagsForResource" else {}
    job_id = canceler.job("permission", tags=tags)
    with without(canceler, action):
        assert canceler.invoke({"cancel": {"jobId": job_id}})["counts"] == {"FAILED": 1}


def test_the_permission_to_list_is_needed_and_without_it_a_selection_is_rejected_and_not_empty(
    canceler: Canceler,
) -> None:
    job_id = canceler.job("listed")
    with without(canceler, "iot:ListJobs"):
        report = canceler.invoke({"cancel": {"select": {"jobIdGlob": job_id}}})
    assert report["status"] == "REJECTED"
    assert report["reason"].startswith("select: the selection failed: AccessDenied")


@pytest.mark.parametrize("action", ["sqs:SendMessage", "sqs:ChangeMessageVisibility"])
def test_every_permission_on_the_backlog_is_needed(canceler: Canceler, action: str) -> None:
    """Receiving and deleting are done by Lambda's poller in the role's name, which MiniStack does without asking."""
    nowhere, event = {"AWS_ENDPOINT_URL_IOT": "http://127.0.0.1:9"}, {"cancel": {"jobId": f"{PREFIX}{unique('lost')}"}}
    with canceler.environment(**nowhere), canceler.short_lived(20, receives=2), without(canceler, action):
        if action == "sqs:SendMessage":
            failure = canceler.invoke(event)
            assert "AccessDenied" in failure["errorMessage"]
        else:
            before = refusals(canceler, "ChangeMessageVisibility")
            canceler.invoke(event)
            try:
                wait_for(
                    "the refusal", lambda: refusals(canceler, "ChangeMessageVisibility") > before or None, seconds=60
                )
            finally:  # or it would be delivered in the middle of another test
                canceler.aws.client("sqs").purge_queue(QueueUrl=canceler.outputs["BacklogQueueUrl"])


def refusals(canceler: Canceler, operation: str) -> int:
    return sum("AccessDenied" in line and operation in line for line in canceler.log.lines())
