"""The entry point: each event of events/ from one end to the other, and what Lambda gets to see."""

import gc
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from handler.app import lambda_handler, wire
from handler.aws.iot import IotJobs
from handler.aws.sqs import Queues
from handler.cancellation.job import JobsApi
from handler.cancellation.rate import Gate
from handler.config import Config
from handler.errors import EnqueueUnavailable, ResponseUndelivered
from handler.pipeline import Services
from tests.conftest import Function
from tests.support.contract import ENVIRONMENT
from tests.support.fakes import (
    LIMITS,
    FakeClock,
    FakeContext,
    FakeJob,
    Hook,
    failing,
    new_gate,
    refused,
    throttled,
)
from tests.support.response_url import ResponseUrl
from tests.support.sqs import FakeMessage
from tools.simulators.events import STACK_ID

EVENTS = Path(__file__).parents[2] / "events"
UNKNOWN_EVENT = (
    "event: must be a CloudFormation custom resource request, an EventBridge event, a CloudWatch alarm, an SNS "
    'notification with one of the last two, or {"cancel": {...}}; received '
)
HALF_A_REQUEST = (
    f"{UNKNOWN_EVENT}an object with the keys LogicalResourceId, PhysicalResourceId, RequestId, RequestType, "
    "ResourceProperties, 2 more"
)
NO_SWEEP = 'SweepJobIdGlob: must be set on the stack, or give the schedule an Input of {"cancel": {...}}'
TWO_JOBS = (
    "detail.configuration.metrics: must name one job in their JobId dimensions, but name 2; use one alarm for each "
    "job, or a rule of your own that sends the function a request for the right job"
)

MATCHES_TWO = (
    "select: matches 2 jobs, but the limit is 1, so this run canceled none of them; "
    "select fewer jobs, or raise MaxJobsPerRun or maxJobs"
)

LOG_LOCATION = " (log group /aws/lambda/canceler, correlation_id c7e5a3f1-28d6-4e0b-a9c8-6b5a4d3e2f10)"

# File → trigger, status and reason of the report, the outcome of each job, and the jobs that were canceled. There is a
# job firmware-2026-11, with the tags env=dev and that of the deleted stack, and no other.
REPORTS: dict[str, tuple[str, str, str, dict[str, str], list[str]]] = {
    "custom-resource-create.json": (
        "TEARDOWN",
        "SETTLED",
        "Create: the properties are valid; jobs are canceled only on Delete",
        {},
        [],
    ),
    "custom-resource-update.json": (
        "TEARDOWN",
        "SETTLED",
        "Update: the properties are valid; jobs are canceled only on Delete",
        {},
        [],
    ),
    "custom-resource-delete.json": (
        "TEARDOWN",
        "SETTLED",
        "",
        {"firmware-2026-11": "CANCELED"},
        ["firmware-2026-11"],
    ),
    "request-event.json": (
        "EVENT",
        "SETTLED",
        "",
        {"firmware-2026-11": "WOULD_CANCEL", "firmware-2026-12": "GONE"},
        [],
    ),
    "alarm-to-alarm.json": ("EVENT", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "alarm-action.json": ("EVENT", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "alarm-by-sns.json": ("EVENT", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "alarm-of-contributor.json": ("EVENT", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "alarm-with-contributors.json": (
        "EVENT",
        "IGNORED",
        "the alarm has contributors, each of which sends its own event",
        {},
        [],
    ),
    "alarm-to-ok.json": ("EVENT", "IGNORED", "the alarm went to OK", {}, []),
    "alarm-muted.json": ("EVENT", "IGNORED", "the alarm is muted by a mute rule", {}, []),
    "alarm-of-two-jobs.json": ("EVENT", "REJECTED", TWO_JOBS, {}, []),
    "canceler-report.json": ("EVENT", "IGNORED", "the event is a report of an iot-job-canceler stack", {}, []),
    "cloudtrail-create-job.json": ("EVENT", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "cloudtrail-create-job-failed.json": ("EVENT", "IGNORED", "the CreateJob failed", {}, []),
    "cloudtrail-cancel-job.json": ("EVENT", "IGNORED", "the API call is 'CancelJob', not CreateJob", {}, []),
    "scheduled-rule.json": ("SCHEDULE", "REJECTED", NO_SWEEP, {}, []),
    "scheduled-scheduler.json": ("SCHEDULE", "REJECTED", NO_SWEEP, {}, []),
    "bare-request.json": ("DIRECT", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "select-request.json": ("DIRECT", "SETTLED", "1 active job matched", {"firmware-2026-11": "WOULD_CANCEL"}, []),
    "stack-deleted.json": (
        "EVENT",
        "SETTLED",
        "1 active job matched",
        {"firmware-2026-11": "CANCELED"},
        ["firmware-2026-11"],
    ),
    "custom-resource-select-delete.json": (
        "TEARDOWN",
        "SETTLED",
        "1 active job matched",
        {"firmware-2026-11": "CANCELED"},
        ["firmware-2026-11"],
    ),
    "backlog-message.json": ("DIRECT", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "teardown-message.json": ("TEARDOWN", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "terraform-delete.json": (
        "TEARDOWN",
        "SETTLED",
        "",
        {"firmware-2026-11": "CANCELED"},
        ["firmware-2026-11"],
    ),
    "request-by-sns.json": ("DIRECT", "SETTLED", "", {"firmware-2026-11": "CANCELED"}, ["firmware-2026-11"]),
    "foreign/sns-record.json": ("DIRECT", "REJECTED", f"{UNKNOWN_EVENT}an SNS notification with a string", {}, []),
    "foreign/s3-object-created.json": ("DIRECT", "REJECTED", f"{UNKNOWN_EVENT}records of aws:s3", {}, []),
    "foreign/api-gateway-proxy.json": ("DIRECT", "REJECTED", f"{UNKNOWN_EVENT}an API Gateway event", {}, []),
    "foreign/sqs-batch.json": (
        "DIRECT",
        "REJECTED",
        f"{UNKNOWN_EVENT}records of aws:sqs from a queue that is not the stack's own; the messages stay in that queue",
        {},
        [],
    ),
    "foreign/empty.json": ("DIRECT", "REJECTED", f"{UNKNOWN_EVENT}an empty object", {}, []),
    "foreign/request-type-without-response-url.json": (
        "DIRECT",
        "REJECTED",
        HALF_A_REQUEST,
        {},
        [],
    ),
}


def firmware() -> FakeJob:
    return FakeJob(tags={"env": "dev", "iot-job-canceler:stack-id": STACK_ID})


def load(name: str, server: ResponseUrl) -> Any:
    """Return the event with the ResponseURL of the test's server."""
    event = json.loads((EVENTS / name).read_text())
    url = f"{server.url}/response?X-Amz-Signature=secret"
    if "ResponseURL" in event:
        event["ResponseURL"] = url
    if name == "teardown-message.json":
        record = event["Records"][0]
        record["body"] = json.dumps(json.loads(record["body"]) | {"ResponseURL": url})
    return event


MESSAGES = {"backlog-message.json": "", "teardown-message.json": "0f3a"}  # and their groups
KEPT = {"batchItemFailures": [{"itemIdentifier": "059f36b4-87a3-44ab-83d2-661975830a7d"}]}
DELETED: dict[str, Any] = {"batchItemFailures": []}
RETURNED = {"backlog-message.json": DELETED, "teardown-message.json": DELETED, "foreign/sqs-batch.json": KEPT}


def deliver(name: str, function: Function) -> Any:
    """Deliver the event of the file. A message is in flight, and deleted once the function has handled it."""
    event = load(name, function.server)
    if name not in MESSAGES:
        return function(event)
    record = event["Records"][0]
    message = FakeMessage(record["messageId"], record["body"], {}, sent_at=990.0, visible_at=1330.0)
    message.receipt_handle, message.group = record["receiptHandle"], MESSAGES[name]
    function.sqs.messages.append(message)
    returned = function(event)
    if returned == {"batchItemFailures": []}:
        function.sqs.messages.remove(message)
    return returned


def test_every_file_of_events_has_its_report() -> None:
    assert {str(path.relative_to(EVENTS)) for path in EVENTS.rglob("*.json")} == set(REPORTS)


@pytest.mark.parametrize("name", REPORTS)
def test_event_has_its_report(name: str, function: Function) -> None:
    function.configure(alarm_name_prefix="iot-job-failures-")
    function.jobs.jobs["firmware-2026-11"] = firmware()
    returned = deliver(name, function)
    (report,) = function.reports
    physical_ids = [{"PhysicalResourceId": each["PhysicalResourceId"]} for each in function.responses]
    returned_id = physical_ids[0] if physical_ids else {}
    assert returned == RETURNED.get(name, report | returned_id)
    trigger, status, reason, outcomes, canceled = REPORTS[name]
    assert (report["trigger"], report["status"], report["reason"]) == (trigger, status, reason)
    assert {job["jobId"]: job["outcome"] for job in report["jobs"]} == outcomes
    assert function.jobs.canceled == canceled
    assert function.sqs.messages == []
    assert len(function.server.received) == (1 if name.startswith(("custom-resource-", "teardown-")) else 0)


def test_dry_run_of_the_stack_applies_to_every_trigger(function: Function) -> None:
    function.configure(limits=replace(LIMITS, dry_run=True), alarm_name_prefix="iot-job-failures-")
    function.jobs.jobs["firmware-2026-11"] = firmware()
    names = [name for name, (*_, canceled) in REPORTS.items() if canceled]
    kept = []
    for name in names:
        deliver(name, function)
        kept += [name] if function.sqs.messages else []
        function.sqs.messages.clear()
    reason = [(report["dryRun"], report["counts"]) for report in function.reports]
    assert names
    assert reason == [(True, {"WOULD_CANCEL": 1})] * len(names)
    assert function.jobs.canceled == []
    assert sorted(kept) == sorted(MESSAGES)  # their events were begun: see test_paused_runs.py


# Unfinished events


def test_unfinished_event_is_enqueued_unchanged(function: Function) -> None:
    function.jobs.jobs |= {job_id: FakeJob() for job_id in "abc"}
    function.jobs.fault = failing("CancelJob", throttled, times=2)
    event = {"cancel": {"jobIds": ["a", "b", "c"]}}
    assert function(event)["counts"] == {"DEFERRED": 2, "CANCELED": 1}
    assert function.sqs.events == [event]
    (report,) = function.drain()
    assert (report["status"], report["trigger"]) == ("SETTLED", "DIRECT")
    assert report["counts"] == {"CANCELED": 2, "ALREADY_CANCELED": 1}
    assert sorted(function.jobs.canceled) == ["a", "b", "c"]


def test_unfinished_message_is_redelivered_with_increasing_delay(
    function: Function,
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=3)
    function({"cancel": {"jobId": "a"}})
    responses, times = [], []
    while function.sqs.messages:
        responses.append(function.poll())
        times.append(function.clock.now)
    failed = {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert responses == [failed, failed, {"batchItemFailures": []}]
    assert times == [1005.0, 1010.0, 1020.0]


def test_dry_run_is_never_requeued(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("DescribeJob", throttled)
    report = function({"cancel": {"jobId": "a", "dryRun": True}})
    assert (report["status"], function.sqs.messages) == ("UNFINISHED", [])


def test_event_that_cannot_be_enqueued_is_raised_to_lambda(function: Function) -> None:
    def refuses(_call: str) -> None:
        raise ClientError({"Error": {"Code": "KmsThrottled", "Message": "no"}}, "SendMessage")

    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault, function.sqs.fault = failing("CancelJob", throttled), refuses
    with pytest.raises(EnqueueUnavailable):
        function({"cancel": {"jobId": "a"}})
    assert [report["counts"] for report in function.reports] == [{"DEFERRED": 1}]


# The run of an event reserves 12 s, that of a teardown 17 s; a call may take 4 s.
@pytest.mark.parametrize(("seconds", "starts"), [(16.0, True), (15.999, False)])
def test_run_of_an_event_ends_12_s_before_the_invocation(seconds: float, starts: bool, function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function({"cancel": {"jobId": "a"}}, seconds)
    assert function.jobs.canceled == (["a"] if starts else [])
    assert len(function.sqs.messages) == (0 if starts else 1)


@pytest.mark.parametrize(("seconds", "starts"), [(21.0, True), (20.999, False)])
def test_run_of_a_teardown_ends_17_s_before_the_invocation(seconds: float, starts: bool, function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    event = load("custom-resource-delete.json", function.server)
    report = function(event, seconds)
    assert report["status"] == ("SETTLED" if starts else "UNFINISHED")
    assert [response["Status"] for response in function.responses] == (["SUCCESS"] if starts else [])
    assert function.sqs.events == ([] if starts else [event])


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
def test_teardown_gets_one_response_before_its_service_timeout(
    on_incomplete: str, status: str, function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    event = load("custom-resource-delete.json", function.server)
    event["ResourceProperties"] |= {"OnIncomplete": on_incomplete, "ServiceTimeout": "300"}
    function(event)
    reports = function.drain()
    (response,) = function.responses
    assert (response["Status"], response["Reason"]) == (
        status,
        "job firmware-2026-11 DEFERRED: ThrottlingException: Rate exceeded" + LOG_LOCATION,
    )
    assert [report["status"] for report in reports] == ["UNFINISHED"] * (len(reports) - 1) + ["UNSETTLED"]
    # The response is due 240 s after the first delivery, and a run begins only if it has 30 s until then: after the
    # queue's 5 s, and 5, 10, 15 ... 40 s later. Then the next one would come too late.
    assert function.clock.now == 1185.0
    assert function.sqs.dead_letters == []


@pytest.mark.parametrize(
    ("signed_at", "timeout", "waits"),
    [
        ("20261124T115634Z", "300", False),
        ("20261124T115635Z", "300", True),
        ("20261124T120000Z", "44", True),
        ("20261124T130000Z", "43", False),  # a clock that is ahead adds no time
    ],
)
def test_teardown_time_counts_from_the_signature_of_its_url(
    signed_at: str, timeout: str, waits: bool, function: Function
) -> None:
    """It is noon. A first delivery may have been killed, and Lambda delivers the event again."""
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    event = load("custom-resource-delete.json", function.server)
    event["ResponseURL"] += f"&X-Amz-Date={signed_at}"
    event["ResourceProperties"] |= {"ServiceTimeout": timeout}
    function(event)
    assert (bool(function.sqs.messages), len(function.responses)) == (waits, 0 if waits else 1)


def test_run_of_a_teardown_ends_before_its_response_is_due(function: Function) -> None:
    """The response is due after 48 s of a ServiceTimeout of 60 s, and a call may take 4 s."""
    function.configure(limits=replace(LIMITS, max_jobs=1000))
    function.jobs.jobs |= {f"firmware-{number:04}": FakeJob(tags={"env": "dev"}) for number in range(190)}
    event = load("custom-resource-select-delete.json", function.server)
    event["ResourceProperties"] |= {"ServiceTimeout": "60"}
    report = function(event, 300)
    assert (report["status"], function.clock.now) == ("UNSETTLED", 1044.0)


def test_a_run_that_follows_another_one_at_once_waits_for_the_rate_limit(function: Function) -> None:
    """The rate limits belong to the container: at one call a second, the second run may not start another burst."""
    function.configure(cancels_per_second=1)
    function.jobs.jobs |= {"a": FakeJob(), "b": FakeJob()}
    function({"cancel": {"jobId": "a"}})
    assert function.clock.elapsed == 0
    function({"cancel": {"jobId": "b"}})
    assert (function.clock.elapsed, function.jobs.canceled) == (1.0, ["a", "b"])


# Events for other stacks


@pytest.mark.parametrize(("canceler", "canceled"), [("canceler", ["a"]), ("lab", [])])
def test_request_cancels_on_the_canceler_that_it_names(canceler: str, canceled: list[str], function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    detail = {"canceler": canceler, "cancel": {"jobId": "a"}}
    function(json.loads((EVENTS / "request-event.json").read_text()) | {"detail": detail})
    assert function.jobs.canceled == canceled
    assert len(function.bus.entries) == len(canceled), "an ignored event is not published"


@pytest.mark.parametrize("name", ["alarm-to-alarm.json", "cloudtrail-create-job.json", "stack-deleted.json"])
@pytest.mark.parametrize("place", [{"account": "999999999999"}, {"region": "us-east-1"}])
def test_event_of_another_account_or_region_cancels_no_job(
    name: str, place: dict[str, str], function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = firmware()
    report = function(load(name, function.server) | place)
    assert (report["status"], function.jobs.calls) == ("IGNORED", [])


@pytest.mark.parametrize("name", ["alarm-action.json", "alarm-by-sns.json"])
@pytest.mark.parametrize("arn", ["cloudwatch:eu-west-1:999999999999", "cloudwatch:us-east-1:123456789012"])
def test_alarm_of_another_account_or_region_cancels_no_job(name: str, arn: str, function: Function) -> None:
    function.configure(alarm_name_prefix="iot-job-failures-")
    function.jobs.jobs["firmware-2026-11"] = firmware()
    event = json.loads((EVENTS / name).read_text().replace("cloudwatch:eu-west-1:123456789012", arn))
    assert (function(event)["status"], function.jobs.calls) == ("IGNORED", [])


@pytest.mark.parametrize("name", ["alarm-action.json", "alarm-by-sns.json"])
@pytest.mark.parametrize(("prefix", "status"), [("", "REJECTED"), ("cancel-job-", "IGNORED")])
def test_alarm_without_the_prefix_cancels_no_job(name: str, prefix: str, status: str, function: Function) -> None:
    function.configure(alarm_name_prefix=prefix)
    function.jobs.jobs["firmware-2026-11"] = firmware()
    assert (function(load(name, function.server))["status"], function.jobs.calls) == (status, [])


def test_alarm_of_the_stack_raises_no_further_alarm(function: Function) -> None:
    """Its notification topic may have the function as a subscriber."""
    function.configure(alarm_name_prefix="canceler")
    text = (
        (EVENTS / "alarm-by-sns.json").read_text().replace("iot-job-failures-firmware-2026-11", "canceler/RunsRejected")
    )
    report = function(json.loads(text))
    assert (report["status"], report["reason"]) == ("IGNORED", "the alarm is one of the stack's own")


def test_messages_of_another_queue_stay_in_it_and_are_reported_at_each_delivery(function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = firmware()
    (record,) = load("foreign/sqs-batch.json", function.server)["Records"]
    batch = {"Records": [record | {"messageId": "m-1"}, record | {"messageId": "m-2"}]}
    kept = {"batchItemFailures": [{"itemIdentifier": "m-1"}, {"itemIdentifier": "m-2"}]}
    assert [function(batch), function(batch)] == [kept, kept]
    assert [report["status"] for report in function.reports] == ["REJECTED", "REJECTED"]
    assert function.jobs.calls == []


def test_message_of_another_queue_in_the_backlog_is_deleted(function: Function) -> None:
    """Otherwise it would be rejected 100 times."""
    foreign = load("foreign/sqs-batch.json", function.server)
    function.sqs.messages.append(FakeMessage("m-1", json.dumps(foreign), {}, sent_at=990.0, visible_at=990.0))
    assert function.poll() == {"batchItemFailures": []}
    assert [report["status"] for report in function.reports] == ["REJECTED"]


# Rejected requests


@pytest.mark.parametrize(
    ("detail", "reason"),
    [
        ({"cancel": {"jobId": "a", "dryrun": True}}, "cancel: unknown key 'dryrun'; did you mean dryRun"),
        ({"cancel": {"jobId": "a"}, "x": 1}, "detail: unknown key 'x'; the keys are cancel, canceler"),
        ({"cancel": {"select": {"jobIdGlob": "*"}, "maxJobs": 1}}, MATCHES_TWO),
    ],
)
def test_log_line_of_a_rejected_request_names_its_sender(
    detail: dict[str, Any], reason: str, function: Function
) -> None:
    function.jobs.jobs |= {"a": FakeJob(), "b": FakeJob()}
    function(json.loads((EVENTS / "request-event.json").read_text()) | {"id": "e-1", "detail": detail})
    (line,) = function.log.lines
    assert (line["report"]["status"], line["report"]["reason"]) == ("REJECTED", reason)
    assert line["asked_by"] == line["comment"] == "Requested by event e-1 from fleet.console"
    assert line["reason_code"] == "EVENT_REMEDIATION"
    assert function.jobs.canceled == []


def test_log_line_of_a_rejected_deletion_names_its_stack(function: Function) -> None:
    function.jobs.jobs |= {job_id: FakeJob(tags={"env": "dev"}) for job_id in ("firmware-1", "firmware-2")}
    event = load("custom-resource-select-delete.json", function.server)
    event["ResourceProperties"] |= {"MaxJobs": "1"}
    function(event)
    line = function.log.lines[-1]
    assert line["report"]["status"] == "REJECTED"
    assert line["asked_by"] == f"Teardown was deleted in {event['StackId']}"


# Messages


def test_message_that_is_no_longer_in_flight_starts_no_run(function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    returned = function(load("backlog-message.json", function.server))
    assert returned == {"batchItemFailures": [{"itemIdentifier": "2b7d1c5e-94a3-4f60-8e2b-1c0d9f8e7a6b"}]}
    assert function.jobs.calls == []
    (line,) = function.log.lines
    assert (line["level"], line["trigger"], line["message"]) == (
        "WARNING",
        "DIRECT",
        "skipped: the visibility timeout of the message has expired, so another invocation has it or will have it",
    )


def test_message_of_a_crash_is_redelivered_after_five_seconds_and_counted(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function({"cancel": {"jobId": "a"}})
    function.jobs.fault = crashes
    with pytest.raises(ZeroDivisionError):
        function.poll()
    (message,) = function.sqs.messages
    assert message.visible_at == function.clock.now + 5
    assert "UnexpectedErrors" in capsys.readouterr().out
    function.jobs.fault = None
    assert [report["counts"] for report in function.drain()] == [{"CANCELED": 1}]


def test_incomplete_deletion_with_continue_is_logged_and_counted(
    capsys: pytest.CaptureFixture[str], function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", refused)
    event = load("custom-resource-delete.json", function.server)
    event["ResourceProperties"] |= {"OnIncomplete": "CONTINUE", "Force": "maybe"}
    function(event)
    (response,) = function.responses
    assert response["Status"] == "SUCCESS"
    assert [line["message"] for line in function.log.lines] == [
        "treating Force as false: must be true or false",
        "job firmware-2026-11 FAILED: InvalidRequestException: cannot be canceled",
        "report",
    ]
    assert "TeardownsContinued" in capsys.readouterr().out


@pytest.mark.parametrize("url", ["https://example.com/?X=1", "http://169.254.169.254/?X=1", "nonsense", "https://[x"])
def test_forbidden_response_url_is_rejected_before_any_call(url: str, function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    event = load("custom-resource-delete.json", function.server) | {"ResponseURL": url}
    report = function(event)
    assert (report["status"], report["reason"], report["trigger"]) == (
        "REJECTED",
        "ResponseURL: must be an https URL under amazonaws.com, or on the host of AWS_ENDPOINT_URL",
        "TEARDOWN",
    )
    assert (function.jobs.calls, function.server.received) == ([], [])


def test_forbidden_response_url_on_aws_is_rejected_without_the_local_host(function: Function) -> None:
    function.configure(endpoint_url=None)
    event = load("custom-resource-delete.json", function.server) | {"ResponseURL": "https://example.com/?X=1"}
    assert function(event)["reason"] == "ResponseURL: must be an https URL under amazonaws.com"


def crashes(_operation: str, _job_id: str) -> None:
    raise ZeroDivisionError("why")


# Wiring

LAMBDA_ENVIRONMENT = ENVIRONMENT | {
    "JOB_ID_PREFIX": "ota-",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


@pytest.fixture
def lambda_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Lambda sets, and nothing else; what `wire` makes of it is thrown away again."""
    for name in os.environ:
        if name.startswith(("AWS_", "POWERTOOLS_")):
            monkeypatch.delenv(name)
    for name, value in LAMBDA_ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    wire.cache_clear()
    yield
    wire.cache_clear()


@pytest.mark.usefixtures("lambda_environment")
def test_services_are_created_once_from_the_environment() -> None:
    services = wire()
    assert isinstance(services, Services)
    assert services.config == Config.from_env(LAMBDA_ENVIRONMENT)
    assert isinstance(services.jobs_api(new_gate(FakeClock(), 1, per_second=1)), IotJobs)
    assert services.rate_limits.per_second == 8
    assert isinstance(services.queues, Queues)
    assert isinstance(services.responder.http, urllib3.PoolManager)
    assert wire() is services


@pytest.mark.usefixtures("lambda_environment")
def test_real_clock_and_jitter_are_wired() -> None:
    services = wire()
    assert isinstance(services, Services)
    assert services.clock() <= services.clock()
    assert 0 <= services.responder.uniform(0, 0.5) <= 0.5
    assert services.utc_now().utcoffset() == timedelta(0)
    services.rate_limits.sleep(0)
    services.responder.sleep(0)


@pytest.mark.usefixtures("lambda_environment")
def test_handler_wires_its_own_services_by_default(context: FakeContext) -> None:
    report = lambda_handler({"cancel": {"jobId": "firmware"}}, context)
    assert (report["status"], report["reason"]) == (
        "REJECTED",
        "jobId: must start with 'ota-', the stack's JobIdPrefix",
    )


@pytest.mark.usefixtures("lambda_environment")
def test_lambda_function_is_wired_and_freezes_garbage_collection() -> None:
    sys.modules.pop("handler.lambda_function", None)
    try:
        start = import_module("handler.lambda_function")
        assert start.lambda_handler is lambda_handler
        assert wire.cache_info().currsize == 1
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


# The response that the timer sends


def test_teardown_is_not_enqueued_after_the_timer_has_responded(function: Function) -> None:
    """CloudFormation accepts one response, so a later delivery could not send another one."""

    def late_api(gate: Gate) -> JobsApi:
        timer = function.process.timer
        assert timer
        timer.fire()
        return function.jobs.behind(gate)

    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.services = replace(function.services, jobs_api=late_api)
    report = function(load("custom-resource-delete.json", function.server), 6.5)
    reason = "the invocation ran out of time before every job was settled"
    assert (report["status"], report["reason"], function.sqs.messages) == ("UNSETTLED", reason, [])
    assert [response["Status"] for response in function.responses] == ["FAILED"]


def test_selection_outside_the_prefix_is_rejected_before_any_call(function: Function) -> None:
    function.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    report = function({"cancel": {"select": {"jobIdGlob": "fw-*"}}})
    assert (report["status"], report["reason"]) == (
        "REJECTED",
        "select.jobIdGlob: must be able to match ids that start with 'ota-', the stack's JobIdPrefix",
    )
    assert function.jobs.calls == []


# Later attempts


def backlog_message(function: Function) -> Any:
    (message,) = function.sqs.messages
    return message


def test_unfinished_event_that_is_rejected_later_ends_in_the_failure_queue(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function({"cancel": {"select": {"jobIdGlob": "a"}, "force": False}})
    function.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    while function.sqs.messages:
        function.poll()
    assert len(function.sqs.dead_letters) == 1
    assert function.jobs.canceled == []


def test_job_limit_is_checked_by_the_first_attempt_that_lists_jobs(function: Function) -> None:
    function.configure(limits=replace(LIMITS, max_jobs=2))
    function.jobs.jobs |= {"a-1": FakeJob(), "a-2": FakeJob()}
    function.jobs.fault = failing("ListJobs", throttled, times=1)
    function({"cancel": {"select": {"jobIdGlob": "a-*"}}})
    assert "Admitted" not in backlog_message(function).attributes
    function.jobs.fault = failing("CancelJob", throttled, times=2)
    function.poll()
    assert backlog_message(function).attributes["Admitted"]["StringValue"] == "true"
    function.jobs.jobs["a-3"] = FakeJob()
    (report,) = function.drain()
    assert (report["status"], report["counts"]) == ("SETTLED", {"CANCELED": 3})


def refused_by_sqs(code: str, status: int) -> Callable[[str], None]:
    error: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def fault(operation: str) -> None:
        if operation == "SendMessage":
            raise ClientError(error, operation)

    return fault


@pytest.mark.parametrize(
    ("on_incomplete", "status", "counted"), [("FAIL", "FAILED", False), ("CONTINUE", "SUCCESS", True)]
)
def test_teardown_gets_its_response_at_once_if_its_queue_refuses_it(
    on_incomplete: str, status: str, counted: bool, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    function.sqs.fault = refused_by_sqs("KmsDisabled", 400)
    deletion = load("custom-resource-delete.json", function.server)
    deletion["ResourceProperties"]["OnIncomplete"] = on_incomplete
    report = function(deletion)
    reason = "An error occurred (KmsDisabled) when calling the SendMessage operation: no"
    assert (report["status"], report["reason"]) == ("UNSETTLED", reason)
    (response,) = function.responses
    assert (response["Status"], response["PhysicalResourceId"]) == (status, "firmware-2026-11")
    assert response["Reason"].startswith("job firmware-2026-11 DEFERRED: ThrottlingException: Rate exceeded; " + reason)
    assert ("TeardownsContinued" in capsys.readouterr().out) == counted


def signed_deletion(function: Function, date: str = "20261124T120000Z", **properties: str) -> Any:
    """Return a deletion whose ResponseURL was signed at `date`."""
    deletion = load("custom-resource-delete.json", function.server)
    deletion["ResponseURL"] += f"&X-Amz-Date={date}"
    deletion["ResourceProperties"] |= properties
    return deletion


@pytest.mark.parametrize(("code", "status"), [("ServiceUnavailable", 503), ("RequestThrottled", 400)])
def test_teardown_is_raised_to_lambda_if_its_queue_is_unavailable(code: str, status: int, function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function.sqs.fault = refused_by_sqs(code, status)
    deletion = signed_deletion(function)
    with pytest.raises(EnqueueUnavailable):
        function(deletion)
    assert function.responses == []
    assert [report["counts"] for report in function.reports] == [{"DEFERRED": 1}]
    function(deletion)
    assert [response["Status"] for response in function.responses] == ["SUCCESS"]


def test_report_of_a_queued_teardown_is_logged_if_its_queue_is_unavailable(function: Function) -> None:
    """The attempt has canceled the job, and the next one finds it canceled."""
    function.jobs.jobs["firmware-2026-11"] = FakeJob(executions={"thing-1": "IN_PROGRESS"})
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function(signed_deletion(function, WaitForExecutionsMinutes="5"))
    function.sqs.fault = refused_by_sqs("ServiceUnavailable", 503)
    assert function.poll() == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert [report["counts"] for report in function.reports] == [{"DEFERRED": 1}, {"CANCELED": 1}]
    assert "unexpected error" not in function.log.text
    assert function.responses == []


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
def test_last_attempt_of_lambda_responds_if_the_queue_stays_unavailable(
    on_incomplete: str, status: str, function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    function.sqs.fault = refused_by_sqs("ServiceUnavailable", 503)
    deletion = signed_deletion(function, OnIncomplete=on_incomplete)
    for seconds in (60, 120):
        with pytest.raises(EnqueueUnavailable):
            function(deletion)
        function.clock.now += seconds
    assert function.responses == []
    report = function(deletion)
    reason = "An error occurred (ServiceUnavailable) when calling the SendMessage operation: no"
    assert (report["status"], report["reason"]) == ("UNSETTLED", reason)
    (response,) = function.responses
    assert (response["Status"], reason in response["Reason"]) == (status, True)
    assert reason in [line["message"] for line in function.log.lines if line["level"] == "WARNING"]


@pytest.mark.parametrize("on_incomplete", ["FAIL", "CONTINUE"])
def test_unfinished_dry_run_of_a_teardown_succeeds_with_a_warning(
    on_incomplete: str, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    """The plan of 3,000 jobs takes longer than one invocation, and another one would come no further."""
    function.configure(limits=replace(LIMITS, dry_run=True, max_jobs=25_000))
    function.jobs.jobs |= {f"firmware-{number:04}": FakeJob(tags={"env": "dev"}) for number in range(3000)}
    event = load("custom-resource-select-delete.json", function.server)
    event["ResourceProperties"] |= {"OnIncomplete": on_incomplete, "Select": {"JobIdGlob": "firmware-*"}}
    report = function(event)
    (response,) = function.responses
    start = "dry run: the deletion continues, and its plan is incomplete; "
    assert (report["status"], report["dryRun"], response["Status"]) == ("UNFINISHED", True, "SUCCESS")
    assert response["Reason"].startswith(start)
    warnings = [line["message"] for line in function.log.lines if line["message"] != "report"]
    assert [warning.startswith(start) for warning in warnings] == [True]
    assert (function.jobs.canceled, function.sqs.messages) == ([], [])
    assert metrics(capsys)["TeardownsContinued"] == 1


# Visibility timeouts


def change_fails(operation: str) -> None:
    if operation == "ChangeMessageVisibility":
        raise ClientError({"Error": {"Code": "ServiceUnavailable", "Message": "no"}}, operation)


def test_failed_change_of_the_visibility_timeout_of_an_event_is_a_warning(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=2)
    function({"cancel": {"jobId": "a"}})
    (message,) = function.sqs.messages
    function.sqs.fault = change_fails
    assert function.poll() == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert message.visible_at == function.clock.now + 330
    error = "An error occurred (ServiceUnavailable) when calling the ChangeMessageVisibility operation: no"
    assert [line["message"] for line in function.log.lines if line["message"] != "report"] == [
        f"failed to extend the visibility timeout of the message: {error}",
        f"failed to change the visibility timeout of the message: {error}",
    ]
    assert [report["counts"] for report in function.drain()] == [{"CANCELED": 1}]


def test_message_that_another_invocation_has_is_left_to_it(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=2)
    function({"cancel": {"jobId": "a"}})
    calls = 0

    def expired_at_the_end(_call: str) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ClientError({"Error": {"Code": "MessageNotInflight", "Message": "no"}}, "ChangeMessageVisibility")

    function.sqs.fault = expired_at_the_end
    assert function.poll() == {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert [line["message"] for line in function.log.lines if line["message"] != "report"] == []


def test_failed_invocation_raises_its_own_error_if_the_visibility_timeout_cannot_be_changed(
    function: Function,
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function({"cancel": {"jobId": "a"}})
    function.jobs.fault, function.sqs.fault = crashes, change_fails
    with pytest.raises(ZeroDivisionError):
        function.poll()


# Requests for which CloudFormation no longer waits

EXPIRED = (
    "ResponseURL: has expired, so CloudFormation no longer waits for a response, and this attempt canceled nothing; "
    "repeat the operation of the stack: for example, delete it again"
)


def test_redriven_request_of_yesterday_ends_with_one_delivery(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    """An operator has moved the record of three failed deliveries from the failure queue to the backlog."""
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.server.script = [403]
    record = {
        "version": "1.0",
        "requestContext": {"condition": "RetriesExhausted", "approximateInvokeCount": 3},
        "requestPayload": signed_deletion(function, "20261123T120000Z"),
        "responsePayload": {"errorType": "ResponseUndelivered"},
    }
    function.sqs.send_message(QueueUrl=function.sqs.url, MessageBody=json.dumps(record))
    (report,) = function.drain()
    assert (report["status"], report["trigger"], report["reason"]) == ("REJECTED", "TEARDOWN", EXPIRED)
    assert (function.sqs.receives, function.sqs.dead_letters) == (1, [])
    assert (function.jobs.calls, function.server.received) == ([], [])
    assert metrics(capsys) == {"RunsRejected": 1}


@pytest.mark.parametrize(
    ("date", "is_expired"),
    [("20261124T100000Z", True), ("20261124T100001Z", False), ("20261124T120001Z", False)],
)
def test_request_expires_two_hours_after_it_was_signed(date: str, is_expired: bool, function: Function) -> None:
    report = function(signed_deletion(function, date))
    assert (report["reason"] == EXPIRED) is is_expired
    assert len(function.responses) == (0 if is_expired else 1)


@pytest.mark.parametrize(("age", "is_expired"), [(7199, False), (7200, True)])
def test_request_without_a_time_expires_two_hours_after_it_was_first_seen(
    age: float, is_expired: bool, function: Function
) -> None:
    first_seen_at = function.clock.utc_now().timestamp() - age
    attributes = {
        "Format": {"DataType": "String", "StringValue": "1"},
        "FirstSeenAt": {"DataType": "String", "StringValue": f"{first_seen_at:.3f}"},
    }
    body = json.dumps(load("custom-resource-delete.json", function.server))
    function.sqs.send_message(QueueUrl=function.sqs.url, MessageBody=body, MessageAttributes=attributes)
    (report,) = function.drain()
    assert (report["reason"] == EXPIRED) is is_expired


# It is noon, and the six attempts to respond take 31 s.
@pytest.mark.parametrize(("date", "is_overdue"), [("20261124T115531Z", True), ("20261124T115532Z", False)])
@pytest.mark.parametrize("request_type", ["Create", "Delete"])
def test_undelivered_response_ends_its_event_after_the_service_timeout(
    date: str, is_overdue: bool, request_type: str, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.server.script = [403]
    event = signed_deletion(function, date, ServiceTimeout="300") | {"RequestType": request_type}
    warning = "failed to send the response to CloudFormation, which no longer waits for it: HTTP 403"
    if is_overdue:
        function(event)
        assert [line["message"] for line in function.log.lines if line["message"] != "report"] == [warning]
    else:
        with pytest.raises(ResponseUndelivered):
            function(event)
        assert warning not in function.log.text
    assert metrics(capsys)["ResponsesUndelivered"] == 1


# Counts


def metrics(capsys: pytest.CaptureFixture[str]) -> Counter[str]:
    """Return the sums of all counts since the last call. A metric with the value 0 is omitted."""
    sums: Counter[str] = Counter()
    for line in capsys.readouterr().out.splitlines():
        record = json.loads(line)
        for metric in record["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            sums[metric["Name"]] += sum(record[metric["Name"]])
    return +sums


def of_job(only: str, fault: Hook) -> Hook:
    """Return the fault for the calls of one job."""

    def hook(operation: str, job_id: str) -> None:
        if job_id == only:
            fault(operation, job_id)

    return hook


def jobs_counted(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    return {name: number for name, number in metrics(capsys).items() if name.startswith("Jobs")}


def test_each_job_of_an_event_is_counted_once(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    """The job a is denied, b is protected, c and d take several attempts, and e is finished."""
    tags = {"cancel-protection": "true"}
    function.jobs.denied_tag = "cancel-protection"
    function.jobs.jobs |= {"b": FakeJob(tags=tags), "c": FakeJob(), "d": FakeJob(), "e": FakeJob("COMPLETED")}
    function.jobs.jobs["a"] = FakeJob()
    refuse, throttle = of_job("a", failing("CancelJob", refused)), failing("CancelJob", throttled, times=3)

    def fault(operation: str, job_id: str) -> None:
        refuse(operation, job_id)
        if job_id in {"c", "d"}:
            throttle(operation, job_id)

    function.jobs.fault = fault
    first = function({"cancel": {"jobIds": ["a", "b", "c", "d", "e", "f"]}})
    assert first["counts"] == {"FAILED": 1, "PROTECTED": 1, "DEFERRED": 2, "ALREADY_FINISHED": 1, "GONE": 1}
    assert jobs_counted(capsys) == {"JobsDeferred": 2, "JobsAlreadyFinished": 1, "JobsGone": 1}
    second, last = function.drain()
    assert second["counts"] == {
        "FAILED": 1,
        "PROTECTED": 1,
        "DEFERRED": 1,
        "CANCELED": 1,
        "ALREADY_FINISHED": 1,
        "GONE": 1,
    }
    assert last["counts"] == {
        "FAILED": 1,
        "PROTECTED": 1,
        "CANCELED": 1,
        "ALREADY_CANCELED": 1,
        "ALREADY_FINISHED": 1,
        "GONE": 1,
    }
    assert jobs_counted(capsys) == {"JobsDeferred": 1, "JobsCanceled": 2, "JobsFailed": 1, "JobsProtected": 1}


@pytest.mark.parametrize("which", ["JobId", "Select"])
def test_jobs_of_a_wait_are_counted_once(which: str, function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob(executions={"thing-1": "IN_PROGRESS"}, tags={"env": "dev"})
    names = {"JobId": "custom-resource-delete.json", "Select": "custom-resource-select-delete.json"}
    event = load(names[which], function.server)
    event["ResourceProperties"] |= {"WaitForExecutionsMinutes": "5"}
    function(event)
    for _ in range(3):
        function.poll()
    function.jobs.jobs["firmware-2026-11"].executions["thing-1"] = "SUCCEEDED"
    assert function.drain()[-1]["status"] == "SETTLED"
    assert jobs_counted(capsys) == {"JobsCanceled": 1}


def test_failed_job_of_a_wait_is_counted_when_the_wait_ends(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs |= {"a": FakeJob(executions={"thing-1": "IN_PROGRESS"}), "b": FakeJob()}
    function.jobs.fault = of_job("b", failing("CancelJob", refused))
    function({"cancel": {"jobIds": ["a", "b"], "waitForExecutionsMinutes": 1}})
    function.poll()
    assert jobs_counted(capsys) == {"JobsCanceled": 1}
    assert function.drain()[-1]["counts"] == {"ALREADY_CANCELED": 1, "FAILED": 1}
    assert jobs_counted(capsys) == {"JobsFailed": 1}


def test_failed_job_is_counted_when_its_response_is_delivered(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", refused)
    event = signed_deletion(function, OnIncomplete="CONTINUE")
    function.server.script = [403] * 6 + [200]
    with pytest.raises(ResponseUndelivered):
        function(event)
    counted = metrics(capsys)
    assert (counted["JobsFailed"], counted["TeardownsContinued"]) == (0, 0)
    function(event)
    counted = metrics(capsys)
    assert (counted["JobsFailed"], counted["TeardownsContinued"]) == (1, 1)


# Rejections


def begin(function: Function) -> None:
    """Begin an event on the backlog that a prefix forbids from now on."""
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function({"cancel": {"select": {"jobIdGlob": "a"}}})
    function.configure(limits=replace(LIMITS, job_id_prefix="ota-"))


def test_rejection_of_an_event_that_was_begun_is_reported_once(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(function)
    while function.sqs.messages:
        function.poll()
    (dead_letter,) = function.sqs.dead_letters
    assert dead_letter.event == {"cancel": {"select": {"jobIdGlob": "a"}}}
    assert [report["status"] for report in function.reports] == ["UNFINISHED", "REJECTED"]
    assert len(function.bus.entries) == 2
    assert metrics(capsys) == {"RunsUnfinished": 1, "JobsDeferred": 1, "RunsRejected": 1}
    again = [line for line in function.log.lines if line["message"] != "report"]
    reason = "select.jobIdGlob: must be able to match ids that start with 'ota-', the stack's JobIdPrefix"
    assert {(line["level"], line["message"]) for line in again} == {("INFO", f"rejected again: {reason}")}
    assert len(again) == 100


def test_rejected_event_continues_once_the_cause_is_fixed(function: Function) -> None:
    begin(function)
    for _ in range(3):
        function.poll()
    function.configure(limits=replace(LIMITS, max_jobs=1))
    function.jobs.jobs["a-2"] = FakeJob()
    (report,) = function.drain()
    assert (report["status"], report["counts"], function.jobs.canceled) == ("SETTLED", {"CANCELED": 1}, ["a"])


REJECTED_VALIDATIONS: dict[str, tuple[object, bool, str, bool]] = {
    "request": ({"cancel": {"jobId": "a b"}}, False, "RunsRejected", False),
    "request that turns dry run off": ({"cancel": {"jobId": "a b", "dryRun": False}}, False, "RunsRejected", False),
    "dry run": ({"cancel": {"jobId": "a b", "dryRun": True}}, False, "ValidationsRejected", True),
    "dry run of the stack": ({"cancel": {"jobId": "a b"}}, True, "ValidationsRejected", True),
    "unknown event in a dry run of the stack": ({}, True, "ValidationsRejected", True),
    "cancel that is not an object": ({"cancel": "dryRun"}, False, "RunsRejected", False),
}


@pytest.mark.parametrize("name", REJECTED_VALIDATIONS)
def test_rejected_dry_run_is_not_a_rejected_run(
    name: str, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    event, dry_run, metric, reported = REJECTED_VALIDATIONS[name]
    function.configure(limits=replace(LIMITS, dry_run=dry_run))
    report = function(event)
    assert (report["status"], report["dryRun"], metrics(capsys)) == ("REJECTED", reported, {metric: 1})


@pytest.mark.parametrize(
    ("request_type", "dry_run", "metric"),
    [
        ("Create", False, "ValidationsRejected"),
        ("Update", False, "ValidationsRejected"),
        ("Delete", False, "RunsRejected"),
        ("Delete", True, "RunsRejected"),
    ],
)
def test_author_of_a_template_raises_no_alarm(
    request_type: str, dry_run: bool, metric: str, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    """A Create and an Update have no selection that is valid, and the Delete matches too many jobs."""
    function.configure(limits=replace(LIMITS, dry_run=dry_run, max_jobs=1))
    function.jobs.jobs |= {job_id: FakeJob(tags={"env": "dev"}) for job_id in ("firmware-1", "firmware-2")}
    event = load("custom-resource-select-delete.json", function.server) | {"RequestType": request_type}
    if request_type != "Delete":
        event["ResourceProperties"]["Select"] = {"OlderThanHours": "1"}
    report = function(event)
    assert (report["status"], [response["Status"] for response in function.responses]) == ("REJECTED", ["FAILED"])
    assert metrics(capsys) == {metric: 1}
