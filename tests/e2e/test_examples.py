"""Stacks of examples/ and of the documents whose deletion cancels their jobs, and no others."""

import json
import re
from collections.abc import Mapping

import yaml

from tests.e2e.conftest import Canceler
from tools.localaws import sam, stacks

EXAMPLES = sam.ROOT / "examples"


def check_deletion(canceler: Canceler, job_id: str, template: str, parameters: Mapping[str, str]) -> None:
    """Create the job's stack and delete it: that cancels the job, and no other."""
    other, name = canceler.job("other"), f"stack-{job_id}"
    assert stacks.create(canceler.aws, name, template, parameters)["JobId"] == job_id
    assert canceler.statuses(job_id, other) == ["IN_PROGRESS", "IN_PROGRESS"]
    stacks.delete(canceler.aws, name)
    assert canceler.statuses(job_id, other) == ["CANCELED", "IN_PROGRESS"]


def test_deleting_a_stack_cancels_its_job(canceler: Canceler) -> None:
    job_id = canceler.job("example")
    check_deletion(canceler, job_id, (EXAMPLES / "teardown.yaml").read_text(), {"JobId": job_id})


def test_deleting_the_tutorial_stack_cancels_its_job(canceler: Canceler) -> None:
    """The job has another id than in the tutorial, because the tests' canceler has a prefix."""
    tutorial = (sam.ROOT / "docs" / "getting-started.md").read_text()
    found = re.search(r"<<'END'\n(Resources:\n.*?)^END$", tutorial, re.DOTALL | re.MULTILINE)
    assert found
    job_id = canceler.job("tutorial")
    template = found[1].replace("JobId: my-job\n", f"JobId: {job_id}\n")
    stacks.create(canceler.aws, "my-stack", template, {})
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]
    stacks.delete(canceler.aws, "my-stack")
    assert canceler.statuses(job_id) == ["CANCELED"]
    job = canceler.aws.client("iot").describe_job(jobId=job_id)["job"]
    assert (job["reasonCode"], job["comment"]) == ("STACK_TEARDOWN", "my own stack is gone")


def test_moving_a_stack_to_another_canceler_cancels_nothing(canceler: Canceler) -> None:
    """The steps of docs/operations.md, with the same canceler. The local AWS lets a ServiceToken be changed."""
    operations = (sam.ROOT / "docs" / "operations.md").read_text()
    found = re.search(r"^## Move stacks to another canceler$.*?```yaml\n(.*?)```", operations, re.DOTALL | re.MULTILINE)
    assert found
    job_id, name = canceler.job("moved"), "moved-stack"
    properties = {"ServiceToken": canceler.service_token, "ServiceTimeout": 60, "JobId": job_id}
    teardown = {"Type": "Custom::IoTJobCancellation", "Properties": properties}
    others = {"Other": {"Type": "AWS::CloudFormation::WaitConditionHandle"}}
    stacks.create(canceler.aws, name, json.dumps({"Resources": {"Teardown": teardown, **others}}), {})
    retained = teardown | yaml.safe_load(found[1])["Teardown"]
    for resources in ({"Teardown": retained, **others}, others, {"Canceled": teardown, **others}):
        stacks.update(canceler.aws, name, json.dumps({"Resources": resources}), {})
        assert canceler.statuses(job_id) == ["IN_PROGRESS"]
    stacks.delete(canceler.aws, name)
    assert canceler.statuses(job_id) == ["CANCELED"]
