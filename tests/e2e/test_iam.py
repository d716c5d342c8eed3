"""IAM alone holds: the code's own checks are taken out here, by telling the function that there is no prefix."""

import pytest

from local.errors import StackFailed
from tests.e2e.conftest import Canceler
from tests.e2e.test_triggers import TRIGGERS


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_protected_job_survives_every_trigger(canceler: Canceler, trigger: str) -> None:
    job_id = canceler.job(f"kept-{trigger.lower()}", tags={"cancel-protection": "True"})
    with canceler.environment(JOB_ID_PREFIX="", PROTECTION_TAG_KEY="no-such-tag"):
        if trigger == "TEARDOWN":
            with pytest.raises(StackFailed, match="AccessDenied"):
                TRIGGERS[trigger](canceler, job_id)
        else:
            TRIGGERS[trigger](canceler, job_id)
        (job,) = canceler.report_on(job_id)["jobs"]
    assert job["outcome"] == "FAILED"
    assert "AccessDenied" in job["detail"]
    assert canceler.fleet.state(job_id).executions == {"IN_PROGRESS": 1}


@pytest.mark.parametrize("trigger", TRIGGERS)
def test_a_job_outside_the_prefix_survives_every_trigger(canceler: Canceler, trigger: str) -> None:
    job_id = canceler.job(f"outside-{trigger.lower()}", prefix="other-")
    with canceler.environment(JOB_ID_PREFIX=""):
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


# Every permission of the role, what needs it, and what is left of that without it.
PERMISSIONS = {
    "iot:CancelJob": "FAILED",
    "iot:DescribeJob": "FAILED",
    "iot:ListTagsForResource": "FAILED",  # instead of PROTECTED
}


@pytest.mark.parametrize("action", PERMISSIONS)
def test_every_permission_on_jobs_is_needed(canceler: Canceler, action: str) -> None:
    tags = {"cancel-protection": "true"} if action == "iot:ListTagsForResource" else {}
    job_id = canceler.job("permission", tags=tags)
    iam = canceler.aws.client("iam")
    role = canceler.aws.client("lambda").get_function_configuration(FunctionName=canceler.function_name)["Role"]
    deny = f'{{"Version": "2012-10-17", "Statement": [{{"Effect": "Deny", "Action": "{action}", "Resource": "*"}}]}}'
    name = role.rpartition("/")[2]
    iam.put_role_policy(RoleName=name, PolicyName="Without", PolicyDocument=deny)
    try:
        assert canceler.invoke({"cancel": {"jobId": job_id}})["counts"] == {PERMISSIONS[action]: 1}
    finally:
        iam.delete_role_policy(RoleName=name, PolicyName="Without")
