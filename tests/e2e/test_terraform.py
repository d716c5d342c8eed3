"""The sequence of Terraform for examples/terraform/invocation/main.tf, delivered as the provider does."""

import json
from collections.abc import Mapping
from typing import Any

import hcl2
from hcl2.utils import SerializationOptions

from tests.e2e.conftest import Canceler
from tests.e2e.test_examples import EXAMPLES
from tests.e2e.test_iam import without

AGAIN = "running it again continues with the remaining jobs"


class Resource:
    """The `aws_lambda_invocation` of the example, and its state."""

    def __init__(self, canceler: Canceler) -> None:
        self._canceler = canceler
        self._state: Mapping[str, object] | None = None

    def apply(self, **cancel: object) -> tuple[str, Any]:
        """Create or update the resource."""
        state, self._state = self._state, {"cancel": cancel}
        return self._invoke("update" if state else "create", self._state, state)

    def destroy(self) -> tuple[str, Any]:
        """Delete the resource."""
        assert self._state
        return self._invoke("delete", self._state, self._state)

    def _invoke(self, action: str, given: Mapping[str, object], previous: object) -> tuple[str, Any]:
        """Return the error that Terraform prints, or an empty string, and what the function returned."""
        payload = json.dumps({**given, "tf": {"action": action, "prev_input": previous}})
        name = self._canceler.function_name
        response = self._canceler.aws.client("lambda").invoke(FunctionName=name, Payload=payload)
        returned = json.loads(response["Payload"].read())
        return (returned["errorMessage"], None) if response.get("FunctionError") else ("", returned)


def cancel_of_the_example(job_id: str) -> dict[str, str]:
    """Return the value of `cancel` in the input of the example."""
    options = SerializationOptions(with_comments=False, explicit_blocks=False, strip_string_quotes=True)
    text = (EXAMPLES / "terraform" / "invocation" / "main.tf").read_text()
    configuration = hcl2.loads(text, serialization_options=options)
    kinds = {kind: blocks for each in configuration["resource"] for kind, blocks in each.items()}
    resource = kinds["aws_lambda_invocation"]["teardown"]
    assert (resource["lifecycle_scope"], resource["depends_on"]) == ("CRUD", ["${aws_s3_bucket.images}"])
    assert resource["input"] == '${jsonencode({cancel = {jobId = var.job_id, comment = "terraform destroy"}})}'
    return {"jobId": job_id, "comment": "terraform destroy"}


def test_only_the_deletion_cancels_and_a_repeated_one_is_settled(canceler: Canceler) -> None:
    job_id, other, resource = canceler.job("terraform"), canceler.job("other"), Resource(canceler)
    cancel = cancel_of_the_example(job_id)
    assert resource.apply(**cancel | {"comment": "first"})[1]["status"] == "SETTLED"
    assert resource.apply(**cancel)[1]["status"] == "SETTLED"
    assert canceler.statuses(job_id, other) == ["IN_PROGRESS", "IN_PROGRESS"]
    error, report = resource.destroy()
    assert (error, report["trigger"], report["counts"]) == ("", "TEARDOWN", {"CANCELED": 1})
    assert canceler.statuses(job_id, other) == ["CANCELED", "IN_PROGRESS"]
    described = canceler.described(job_id)
    assert (described["reasonCode"], described["comment"]) == ("STACK_TEARDOWN", "terraform destroy")
    error, report = resource.destroy()
    assert (error, report["counts"]) == ("", {"ALREADY_CANCELED": 1})


def test_an_update_cancels_the_job_that_it_no_longer_names(canceler: Canceler) -> None:
    first, second, resource = canceler.job("first"), canceler.job("second"), Resource(canceler)
    resource.apply(jobId=first)
    assert resource.apply(jobId=second)[1]["counts"] == {"CANCELED": 1}
    assert canceler.statuses(first, second) == ["CANCELED", "IN_PROGRESS"]


def test_a_failed_deletion_is_an_error_and_a_repeated_one_continues(canceler: Canceler) -> None:
    job_id, resource = canceler.job("retried"), Resource(canceler)
    resource.apply(jobId=job_id)
    with without(canceler, "iot:CancelJob"):
        error, _ = resource.destroy()
    assert error.startswith(f"job {job_id} FAILED: AccessDenied")
    assert error.endswith(f"; {AGAIN}")
    assert canceler.statuses(job_id) == ["IN_PROGRESS"]
    assert resource.destroy()[1]["counts"] == {"CANCELED": 1}


def test_each_error_names_the_job_or_the_field_and_the_reason(canceler: Canceler) -> None:
    protected, resource = canceler.job("protected", tags={"cancel-protection": "true"}), Resource(canceler)
    assert resource.apply(jobId="firmware")[0] == "jobId: must start with 'e2e-', the stack's JobIdPrefix"
    assert resource.apply(jobId=protected, waitForExecutionsMinutes=5)[0].startswith(
        "waitForExecutionsMinutes: must be 0 or omitted: Terraform waits only as long as one invocation"
    )
    error, _ = resource.destroy()
    assert error == f"job {protected} PROTECTED: the job is tagged cancel-protection=true; {AGAIN}"
    assert canceler.statuses(protected) == ["IN_PROGRESS"]
