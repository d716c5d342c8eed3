"""Custom::IoTJobCancellation through the life cycle of stacks that use it."""

import json
from collections.abc import Callable

import pytest

from tests.e2e.conftest import PREFIX, Canceler, unique
from tests.support.stacks import BROKEN, failure_of_create, failure_of_delete, failure_of_update, template
from tools.localaws import stacks


def a_canceled_job(canceler: Canceler) -> str:
    job_id = canceler.job("canceled", started=0, queued=1)
    canceler.aws.client("iot").cancel_job(jobId=job_id, reasonCode="EARLIER", comment="by hand")
    return job_id


def a_completed_job(canceler: Canceler) -> str:
    job_id = canceler.job("completed", started=1)
    assert canceler.fleet.succeed(f"{job_id}-device-0", job_id)
    return job_id


def an_absent_job(_canceler: Canceler) -> str:
    return f"{PREFIX}{unique('absent')}"


@pytest.mark.parametrize(
    ("arrange", "outcome"),
    [(an_absent_job, "GONE"), (a_canceled_job, "ALREADY_CANCELED"), (a_completed_job, "ALREADY_FINISHED")],
)
def test_a_stack_is_deleted_whatever_the_state_of_its_job(
    canceler: Canceler, arrange: Callable[[Canceler], str], outcome: str
) -> None:
    job_id, name = arrange(canceler), unique("consumer")
    stacks.create(canceler.aws, name, template(canceler.service_token, {"JobId": job_id, "ReasonCode": "LATER"}), {})
    stacks.delete(canceler.aws, name)
    assert canceler.report_on(job_id)["counts"] == {outcome: 1}
    if outcome == "ALREADY_CANCELED":
        described = canceler.described(job_id)
        assert (described["reasonCode"], described["comment"]) == ("EARLIER", "by hand")


def test_ref_and_get_att_return_the_job_and_its_attributes(canceler: Canceler) -> None:
    job_id, name = canceler.job("outputs", started=0, queued=1), unique("consumer")
    outputs = stacks.create(canceler.aws, name, template(canceler.service_token, {"JobId": job_id}), {})
    assert outputs == {"Ref": job_id, "JobId": job_id, "Force": "false"}
    stacks.delete(canceler.aws, name)


BAD_PROPERTIES: list[tuple[dict[str, object], str, str]] = [
    ({"JobID": "e2e-x"}, "JobID", "did you mean JobId"),
    ({"JobId": "other-prefix"}, "JobId", "must start with 'e2e-'"),
    ({"JobId": "{job}", "Force": True}, "Force", "must be false or omitted"),
]


@pytest.mark.parametrize(("properties", "field", "allowed"), BAD_PROPERTIES)
def test_a_bad_property_fails_the_creation_and_cancels_nothing(
    canceler: Canceler, properties: dict[str, object], field: str, allowed: str
) -> None:
    job_id, name = canceler.job("bad", started=0, queued=1), unique("consumer")
    given = json.loads(json.dumps(properties).replace("{job}", job_id))
    reasons = failure_of_create(canceler.aws, name, template(canceler.service_token, given))
    assert field in reasons
    assert allowed in reasons
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"


def test_a_changed_job_id_cancels_only_the_old_job(canceler: Canceler) -> None:
    old, new, name = canceler.job("old"), canceler.job("new"), unique("consumer")
    stacks.create(canceler.aws, name, template(canceler.service_token, {"JobId": old}), {})
    stacks.update(canceler.aws, name, template(canceler.service_token, {"JobId": new}), {})
    assert canceler.report_on(old)["counts"] == {"CANCELED": 1}
    assert canceler.fleet.state(old).status == "CANCELED"
    assert canceler.fleet.state(new).status == "IN_PROGRESS"
    stacks.delete(canceler.aws, name)
    assert canceler.fleet.state(new).status == "CANCELED"


def test_a_rejected_update_cancels_nothing(canceler: Canceler) -> None:
    job_id, name = canceler.job("updated"), unique("consumer")
    stacks.create(canceler.aws, name, template(canceler.service_token, {"JobId": job_id}), {})
    bad = template(canceler.service_token, {"JobId": job_id, "ReasonCode": "lower_case"})
    assert "ReasonCode" in failure_of_update(canceler.aws, name, bad)
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
    stacks.delete(canceler.aws, name)
    assert canceler.fleet.state(job_id).status == "CANCELED"


def test_a_rolled_back_update_cancels_nothing(canceler: Canceler) -> None:
    own, never, name = canceler.job("own"), canceler.job("never"), unique("consumer")
    stacks.create(canceler.aws, name, template(canceler.service_token, {"JobId": own}), {})
    failing = template(canceler.service_token, {"JobId": never}, Broken=BROKEN)
    failure_of_update(canceler.aws, name, failing)
    assert canceler.fleet.state(own).status == "IN_PROGRESS"
    stacks.delete(canceler.aws, name)
    assert canceler.fleet.state(own).status == "CANCELED"


def test_a_protected_job_fails_the_deletion_with_the_reason(canceler: Canceler) -> None:
    job_id, name = canceler.job("protected", tags={"cancel-protection": "true"}), unique("consumer")
    stacks.create(canceler.aws, name, template(canceler.service_token, {"JobId": job_id}), {})
    reasons = failure_of_delete(canceler.aws, name)
    assert f"job {job_id} PROTECTED: the job is tagged cancel-protection=true" in reasons
    assert f"log group {canceler.outputs['LogGroupName']}" in reasons
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
    arn = canceler.described(job_id)["jobArn"]
    canceler.aws.client("iot").untag_resource(resourceArn=arn, tagKeys=["cancel-protection"])
    stacks.delete(canceler.aws, name)
    assert canceler.fleet.state(job_id).status == "CANCELED"


def test_on_incomplete_continue_completes_the_deletion_with_a_warning_and_a_metric(canceler: Canceler) -> None:
    job_id, name = canceler.job("continue", tags={"cancel-protection": "true"}), unique("consumer")
    properties = {"JobId": job_id, "OnIncomplete": "CONTINUE"}
    before = len(list(canceler.log.lines()))
    stacks.create(canceler.aws, name, template(canceler.service_token, properties), {})
    stacks.delete(canceler.aws, name)
    assert canceler.report_on(job_id)["status"] == "UNSETTLED"
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
    lines = list(canceler.log.lines())[before:]
    assert any('"level": "WARNING"' in line and f"job {job_id} PROTECTED" in line for line in lines)
    assert any('"TeardownsContinued"' in line for line in lines)


def test_stacks_are_updated_and_deleted_after_the_limits_became_stricter(forceful: Canceler) -> None:
    job_id, name = forceful.job("stricter", prefix="forceful-"), unique("consumer")
    properties = {"JobId": job_id, "Force": "true"}
    stacks.create(forceful.aws, name, template(forceful.service_token, properties), {})
    with forceful.environment(FORCE="false", JOB_ID_PREFIX=job_id):
        update = template(forceful.service_token, {**properties, "Comment": "for the record"})
        assert stacks.update(forceful.aws, name, update, {})["Force"] == "false"
        stacks.delete(forceful.aws, name)
    assert forceful.fleet.state(job_id).executions == {"IN_PROGRESS": 1}
    assert forceful.described(job_id)["comment"] == "for the record"
