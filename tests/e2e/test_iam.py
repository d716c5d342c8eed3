"""IAM protects jobs without the checks of the code: environment variables turn these off here."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.e2e.conftest import PREFIX, Canceler, unique
from tests.e2e.test_triggers import TRIGGERS
from tools.errors import StackFailed
from tools.polling import wait_for

# Protection → fields of the job, and the environment that turns off the check of the code.
PROTECTIONS: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "tag": (
        {"tags": {"cancel-protection": "True"}},
        {"JOB_ID_PREFIX": "", "PROTECTION_TAG_KEY": "no-such-tag"},
    ),
    "prefix": ({"prefix": "other-"}, {"JOB_ID_PREFIX": ""}),
}


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("protection", PROTECTIONS)
def test_iam_denies_protected_and_other_jobs_for_every_trigger(
    canceler: Canceler, protection: str, trigger: str
) -> None:
    fields, environment = PROTECTIONS[protection]
    job_id = canceler.job(f"{protection}-{trigger.lower()}", **fields)
    with canceler.environment(**environment):
        if trigger == "TEARDOWN":
            with pytest.raises(StackFailed, match="AccessDenied"):
                TRIGGERS[trigger](canceler, job_id)
        else:
            TRIGGERS[trigger](canceler, job_id)
        (job,) = canceler.report_on(job_id)["jobs"]
    assert job["outcome"] == "FAILED"
    assert "AccessDenied" in job["detail"]
    assert canceler.fleet.state(job_id).executions == {"IN_PROGRESS": 1}


def test_another_value_of_the_protection_tag_does_not_protect(canceler: Canceler) -> None:
    job_id = canceler.job("unprotected", tags={"cancel-protection": "false"})
    assert canceler.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}


@contextmanager
def without(canceler: Canceler, *actions: str) -> Iterator[None]:
    """Run the block with actions of the function's role denied."""
    iam = canceler.aws.client("iam")
    arn = canceler.aws.client("lambda").get_function_configuration(FunctionName=canceler.function_name)["Role"]
    role = arn.rpartition("/")[2]
    deny = {"Effect": "Deny", "Action": actions, "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=role, PolicyName="Without", PolicyDocument=document)
    try:
        yield
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="Without")


@pytest.mark.parametrize("action", ["sqs:SendMessage", "sqs:ChangeMessageVisibility"])
def test_every_permission_on_the_backlog_is_needed(canceler: Canceler, action: str) -> None:
    """Lambda's poller receives and deletes with the function's role. MiniStack's does not check permissions."""
    no_iot, event = {"AWS_ENDPOINT_URL_IOT": "http://127.0.0.1:9"}, {"cancel": {"jobId": f"{PREFIX}{unique('lost')}"}}
    with canceler.environment(**no_iot), canceler.short_lived(20, receives=2), without(canceler, action):
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
