"""Stacks that use the canceler in another way than documented, or while it is misconfigured, or that are rolled back.

Each operation ends in time, and no stack is complete while one of its jobs is active.
"""

import json
from collections.abc import Iterator, Mapping

import pytest

from tests.e2e.conftest import Canceler, unique
from tests.support.stacks import BROKEN, failure_of_create, failure_of_delete, failure_of_update, template
from tools.errors import StackFailed
from tools.localaws import stacks

# Rollbacks, after the parameters of the canceler became stricter


def test_an_update_that_removes_force_is_rolled_back(forceful: Canceler) -> None:
    job_id, name = forceful.job("rolled-back", prefix="forceful-"), unique("consumer")
    stacks.create(forceful.aws, name, template(forceful.service_token, {"JobId": job_id, "Force": "true"}), {})
    with forceful.environment(FORCE="false"):
        failing = template(forceful.service_token, {"JobId": job_id}, Broken=BROKEN)
        assert "is in UPDATE_ROLLBACK_COMPLETE" in failure_of_update(forceful.aws, name, failing)
        assert forceful.fleet.state(job_id).status == "IN_PROGRESS"
        stacks.delete(forceful.aws, name)
    assert forceful.fleet.state(job_id).status == "CANCELED"


def test_an_update_to_a_job_inside_a_new_prefix_is_rolled_back(forceful: Canceler) -> None:
    old_job, new_job = (forceful.job(each, prefix="forceful-") for each in ("before", "after"))
    name = unique("consumer")
    stacks.create(forceful.aws, name, template(forceful.service_token, {"JobId": old_job}), {})
    with forceful.environment(JOB_ID_PREFIX=new_job):
        failing = template(forceful.service_token, {"JobId": new_job}, Broken=BROKEN)
        assert "is in UPDATE_ROLLBACK_COMPLETE" in failure_of_update(forceful.aws, name, failing)
    assert forceful.fleet.state(old_job).status == "IN_PROGRESS"
    stacks.delete(forceful.aws, name)
    assert forceful.fleet.state(old_job).status == "CANCELED"


# A canceler whose environment cannot be read


def test_a_broken_environment_fails_stacks_at_once_with_its_variable(canceler: Canceler) -> None:
    job_id, name, healthy = canceler.job("misconfigured"), unique("consumer"), unique("consumer")
    body = template(canceler.service_token, {"JobId": job_id, "ServiceTimeout": 3600})
    stacks.create(canceler.aws, healthy, body, {})
    reason = "environment variable FORCE: must be true, false or TEARDOWN; the function is misconfigured"
    with canceler.environment(FORCE="yes"):
        with pytest.raises(StackFailed, match=reason):
            stacks.create(canceler.aws, name, body, {}, seconds=60)
        stacks.delete(canceler.aws, name, seconds=60)
        with pytest.raises(StackFailed, match=reason):
            stacks.delete(canceler.aws, healthy, seconds=60)
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
    stacks.delete(canceler.aws, healthy)
    assert canceler.fleet.state(job_id).status == "CANCELED"


# CDK's Provider: its framework invokes the canceler, ignores a status that it returns, and then responds itself

FRAMEWORK = """
import json
import os
import urllib.request

import boto3
from botocore.config import Config

CREATE_FAILED = "AWSCDK::CustomResourceProviderFramework::CREATE_FAILED"
functions = boto3.client("lambda", config=Config(read_timeout=120, retries={"total_max_attempts": 1}))


def respond(event, status, physical_id, reason=""):
    response = {key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")}
    response |= {"Status": status, "PhysicalResourceId": physical_id, "Reason": reason}
    body = json.dumps(response).encode()
    put = urllib.request.Request(event["ResponseURL"], body, {"Content-Type": ""}, method="PUT")
    urllib.request.urlopen(put).close()


def handler(event, context):
    known = event.get("PhysicalResourceId")
    if known == CREATE_FAILED:
        return respond(event, "SUCCESS", known)
    passed = event | ({"ResponseURL": "..."} if os.environ["WITHHOLDS"] == "true" else {})
    response = functions.invoke(FunctionName=os.environ["CANCELER"], Payload=json.dumps(passed))
    returned = json.loads(response["Payload"].read())
    if "FunctionError" in response:
        return respond(event, "FAILED", known or CREATE_FAILED, returned["errorMessage"])
    respond(event, "SUCCESS", returned.get("PhysicalResourceId") or known or event["RequestId"])
"""
FORWARDS, WITHHOLDS = "Forwards", "Withholds"


def framework(canceler_arn: str, *, withholds: bool) -> Mapping[str, object]:
    variables = {"CANCELER": canceler_arn, "WITHHOLDS": "true" if withholds else "false"}
    return {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "Runtime": "python3.13",
            "Handler": "index.handler",
            "Timeout": 180,
            "Role": {"Fn::GetAtt": ["Role", "Arn"]},
            "Code": {"ZipFile": FRAMEWORK},
            "Environment": {"Variables": variables},
        },
    }


@pytest.fixture(scope="module")
def providers(canceler: Canceler) -> Iterator[dict[str, str]]:
    """The ServiceTokens of two frameworks. One withholds the ResponseURL, as that of aws-cdk 2.31.0."""
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    invoke = {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": canceler.service_token}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "AssumeRolePolicyDocument": {"Version": "2012-10-17", "Statement": [trust]},
            "Policies": [
                {"PolicyName": "Invoke", "PolicyDocument": {"Version": "2012-10-17", "Statement": [invoke]}},
            ],
        },
    }
    resources = {
        "Role": role,
        FORWARDS: framework(canceler.service_token, withholds=False),
        WITHHOLDS: framework(canceler.service_token, withholds=True),
    }
    outputs = {name: {"Value": {"Fn::GetAtt": [name, "Arn"]}} for name in (FORWARDS, WITHHOLDS)}
    name = unique("provider")
    yield stacks.create(canceler.aws, name, json.dumps({"Resources": resources, "Outputs": outputs}), {})
    stacks.delete(canceler.aws, name)


def relayed(service_token: str, **properties: object) -> str:
    return template(service_token, properties, attributes=())


def test_a_provider_cancels_the_job_of_a_deleted_stack(canceler: Canceler, providers: dict[str, str]) -> None:
    job_id, name = canceler.job("relayed"), unique("consumer")
    outputs = stacks.create(canceler.aws, name, relayed(providers[FORWARDS], JobId=job_id), {})
    assert outputs == {"Ref": job_id}
    stacks.delete(canceler.aws, name)
    assert canceler.fleet.state(job_id).status == "CANCELED"


def test_a_provider_fails_a_stack_that_the_canceler_refuses(canceler: Canceler, providers: dict[str, str]) -> None:
    job_id, name = canceler.job("refused"), unique("consumer")
    reasons = failure_of_create(canceler.aws, name, relayed(providers[FORWARDS], JobId=job_id, Force="true"))
    assert "Force: must be false or omitted" in reasons
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"


def test_a_provider_fails_a_deletion_that_would_wait(canceler: Canceler, providers: dict[str, str]) -> None:
    job_id, name = canceler.job("waiting"), unique("consumer")
    waiting = relayed(providers[FORWARDS], JobId=job_id, WaitForExecutionsMinutes=1, ServiceTimeout=180)
    stacks.create(canceler.aws, name, waiting, {})
    reasons = failure_of_delete(canceler.aws, name)
    assert "ServiceToken must be the ARN of the canceler's function itself" in reasons
    assert canceler.fleet.state(job_id).executions == {"IN_PROGRESS": 1}
    assert canceler.fleet.succeed(f"{job_id}-device-0", job_id)
    stacks.delete(canceler.aws, name)
    assert canceler.fleet.state(job_id).status == "CANCELED"


def test_a_provider_that_withholds_the_response_url_fails_the_stack(
    canceler: Canceler, providers: dict[str, str]
) -> None:
    job_id, name = canceler.job("withheld"), unique("consumer")
    reasons = failure_of_create(canceler.aws, name, relayed(providers[WITHHOLDS], JobId=job_id))
    assert "ResponseURL: must be an https URL under amazonaws.com" in reasons
    assert canceler.fleet.state(job_id).status == "IN_PROGRESS"
