"""Requests for Custom::IoTJobCancellation that another function or an SNS topic relays.

The other function is CDK's Provider: it invokes this one synchronously, ignores a status in the return value, and then
sends SUCCESS itself, or FAILED if the invocation raised an error.
"""

import json
from typing import Any

import pytest

from handler.errors import ResponseUndelivered, TeardownFailed
from tests.conftest import Function
from tests.support.fakes import FakeContext, FakeJob, denied, failing, throttled
from tools.simulators.events import FAILED_CREATE_ID, custom_resource_request

OTHER_FUNCTION = f"{FakeContext.invoked_function_arn}-framework"
RELAYED = (
    "another function relays the request and does not wait for a later response: ServiceToken must be the ARN of the "
    "canceler's function itself. A repeated deletion continues"
)
LOG_LOCATION = " (log group /aws/lambda/canceler, correlation_id request-1)"


def request(function: Function, kind: str, physical_id: str | None = None, **properties: str) -> dict[str, Any]:
    url = f"{function.server.url}/response?X-Amz-Signature=secret"
    return custom_resource_request(kind, physical_id, url, {"JobId": "job-1", **properties})


def relayed(function: Function, kind: str, physical_id: str | None = None, **properties: str) -> dict[str, Any]:
    return request(function, kind, physical_id, ServiceToken=OTHER_FUNCTION, **properties)


def status(function: Function) -> list[tuple[str, str]]:
    return [(each["Status"], each["Reason"]) for each in function.responses]


def test_the_physical_id_is_returned_for_the_function_that_relays_the_request(function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob()
    created = function(relayed(function, "Create"))
    assert created["PhysicalResourceId"] == "job-1"
    deleted = function(relayed(function, "Delete", created["PhysicalResourceId"]))
    assert (deleted["status"], deleted["PhysicalResourceId"]) == ("SETTLED", "job-1")
    assert function.jobs.canceled == ["job-1"]


def test_the_physical_id_is_only_in_the_return_value_of_a_request_that_got_its_response(function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob(executions={"thing-1": "IN_PROGRESS"})
    waiting = function(request(function, "Delete", "job-1", WaitForExecutionsMinutes="5"))
    assert (waiting["status"], "PhysicalResourceId" in waiting) == ("UNFINISHED", False)
    assert function.poll() == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    function(request(function, "Create"))
    assert not [report for report in function.reports if "PhysicalResourceId" in report]
    assert "PhysicalResourceId" not in json.dumps(function.bus.entries)


def test_a_relayed_request_that_is_refused_raises_after_the_response(function: Function) -> None:
    reason = "Force: must be false or omitted, since the stack's parameter Force is false"
    with pytest.raises(TeardownFailed) as caught:
        function(relayed(function, "Create", Force="true"))
    assert str(caught.value) == reason
    assert status(function) == [("FAILED", reason + LOG_LOCATION)]
    assert [report["status"] for report in function.reports] == ["REJECTED"]
    assert len(function.bus.entries) == 1


def test_a_relayed_deletion_that_fails_raises(function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob(tags={"cancel-protection": "true"})
    function.jobs.fault = failing("CancelJob", denied)
    with pytest.raises(TeardownFailed, match="job job-1 PROTECTED"):
        function(relayed(function, "Delete", "job-1"))
    assert [each["Status"] for each in function.responses] == ["FAILED"]


def test_a_relayed_deletion_does_not_wait(function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob(executions={"thing-1": "IN_PROGRESS"})
    deletion = relayed(function, "Delete", "job-1", WaitForExecutionsMinutes="5")
    with pytest.raises(TeardownFailed) as caught:
        function(deletion)
    assert str(caught.value).endswith(f"; {RELAYED}")
    assert status(function) == [("FAILED", f"{caught.value}{LOG_LOCATION}")]
    assert (function.jobs.canceled, function.sqs.messages) == (["job-1"], [])
    function.jobs.jobs["job-1"].executions["thing-1"] = "SUCCEEDED"
    assert function(deletion)["status"] == "SETTLED"  # the deletion is repeated


def test_a_relayed_deletion_is_not_enqueued(function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    with pytest.raises(TeardownFailed) as caught:
        function(relayed(function, "Delete", "job-1"))
    assert str(caught.value) == f"job job-1 DEFERRED: ThrottlingException: Rate exceeded; {RELAYED}"
    assert function.sqs.messages == []
    assert [report["status"] for report in function.reports] == ["UNSETTLED"]


def test_a_relayed_deletion_with_continue_succeeds_with_a_warning(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["job-1"] = FakeJob(executions={"thing-1": "IN_PROGRESS"})
    report = function(relayed(function, "Delete", "job-1", WaitForExecutionsMinutes="5", OnIncomplete="CONTINUE"))
    assert (report["status"], report["PhysicalResourceId"]) == ("UNSETTLED", "job-1")
    assert [each["Status"] for each in function.responses] == ["SUCCESS"]
    assert RELAYED in [line["message"] for line in function.log.lines if line["level"] == "WARNING"]
    assert "TeardownsContinued" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["...", "https://example.com/x"])
def test_a_relayed_request_without_a_usable_response_url_raises(url: str, function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob()
    with pytest.raises(TeardownFailed) as caught:
        function(relayed(function, "Delete", "job-1") | {"ResponseURL": url})
    assert str(caught.value) == (
        f"ResponseURL: must be an https URL under amazonaws.com, or on the host of AWS_ENDPOINT_URL; {RELAYED}"
    )
    assert [report["status"] for report in function.reports] == ["REJECTED"]
    assert (function.jobs.canceled, function.responses) == ([], [])


def test_a_relayed_request_whose_response_is_not_accepted_raises(function: Function) -> None:
    function.server.script = [403]
    with pytest.raises(ResponseUndelivered):
        function(relayed(function, "Create"))


def test_a_queued_request_is_continued_although_it_was_relayed(function: Function) -> None:
    """A release that did not know relayed requests enqueued it."""
    function.jobs.jobs["job-1"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=2)
    function(request(function, "Delete", "job-1"))
    (message,) = function.sqs.messages
    message.body = json.dumps(relayed(function, "Delete", "job-1"))
    function.drain()
    assert [each["Status"] for each in function.responses] == ["SUCCESS"]


# A request through an SNS topic

BY_SNS = "ServiceToken: must be the ARN of the canceler's function, not of an SNS topic; no job was canceled"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:canceler"


def by_sns(request: dict[str, Any]) -> dict[str, Any]:
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": json.dumps(request)}}]}


@pytest.mark.parametrize(("kind", "physical_id"), [("Create", None), ("Update", "job-1"), ("Delete", "job-1")])
def test_a_request_through_sns_gets_failed_with_the_reason(
    kind: str, physical_id: str | None, function: Function
) -> None:
    function.jobs.jobs["job-1"] = FakeJob()
    report = function(by_sns(request(function, kind, physical_id, ServiceToken=TOPIC)))
    assert (report["status"], report["trigger"], report["reason"]) == ("REJECTED", "TEARDOWN", BY_SNS)
    assert report["PhysicalResourceId"] == (physical_id or FAILED_CREATE_ID)
    assert status(function) == [("FAILED", BY_SNS + LOG_LOCATION)]
    assert function.jobs.calls == []


def test_the_rollback_of_a_create_through_sns_completes(function: Function) -> None:
    report = function(by_sns(request(function, "Delete", FAILED_CREATE_ID, ServiceToken=TOPIC)))
    assert report["status"] == "SETTLED"
    assert [each["Status"] for each in function.responses] == ["SUCCESS"]
