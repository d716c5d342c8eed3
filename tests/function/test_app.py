"""The entry point: each event of events/ from one end to the other, and what Lambda gets to see."""

import gc
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import urllib3
from botocore.exceptions import ClientError

from handler.app import lambda_handler, wire
from handler.aws.iot import MAX_CALL_SECONDS, IotJobs
from handler.aws.sqs import Queues
from handler.cancellation.job import JobsApi
from handler.cancellation.rate import Deadline, Gate
from handler.cancellation.request import StackLimits
from handler.config import Config
from handler.errors import EnqueueUnavailable, InvalidConfiguration, ResponseUndelivered
from tests.conftest import Function
from tests.support.fakes import LIMITS, NOW, FakeClock, FakeContext, FakeJob, denied, failing, refused, throttled
from tests.support.response_url import ResponseUrl
from tests.support.sqs import FakeMessage
from tools.simulators.events import SELECTION_ID, STACK_ID

EVENTS = Path(__file__).parents[2] / "events"
NOT_OURS = 'event: must be a CloudFormation custom resource request, an EventBridge event or {"cancel": {...}}'
NO_SWEEP = 'SweepJobIdGlob: must be set on the stack, or give the schedule an Input of {"cancel": {...}}'

WHERE_TO_LOOK_2 = " (log group /aws/lambda/canceler, correlation_id d8f6b4a2-39e7-4f1c-bad9-7c6b5e4f3a21)"
WHERE_TO_LOOK = " (log group /aws/lambda/canceler, correlation_id c7e5a3f1-28d6-4e0b-a9c8-6b5a4d3e2f10)"

# File → trigger, status and reason of the report, the outcome of each job, and the jobs that were cancelled. There is a
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
    "alarm-to-ok.json": ("EVENT", "IGNORED", "the alarm went to OK", {}, []),
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
    "foreign/sns-record.json": ("DIRECT", "REJECTED", NOT_OURS, {}, []),
    "foreign/s3-object-created.json": ("DIRECT", "REJECTED", NOT_OURS, {}, []),
    "foreign/api-gateway-proxy.json": ("DIRECT", "REJECTED", NOT_OURS, {}, []),
    "foreign/sqs-batch.json": ("DIRECT", "REJECTED", NOT_OURS, {}, []),
    "foreign/empty.json": ("DIRECT", "REJECTED", NOT_OURS, {}, []),
    "foreign/request-type-without-response-url.json": ("DIRECT", "REJECTED", NOT_OURS, {}, []),
}


def firmware() -> FakeJob:
    return FakeJob(tags={"env": "dev", "iot-job-canceler:stack-id": STACK_ID})


def load(name: str, server: ResponseUrl) -> Any:
    """The event, with a ResponseURL that leads to the test's server."""
    event = json.loads((EVENTS / name).read_text())
    url = f"{server.url}/answer?X-Amz-Signature=secret"
    if "ResponseURL" in event:
        event["ResponseURL"] = url
    if name == "teardown-message.json":
        record = event["Records"][0]
        record["body"] = json.dumps(json.loads(record["body"]) | {"ResponseURL": url})
    return event


MESSAGES = {"backlog-message.json": "", "teardown-message.json": "0f3a"}  # and their groups


def deliver(name: str, function: Function) -> Any:
    """Hand the event of the file over. A message is leased, and on its queue until it has done its part."""
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
def test_an_event_ends_in_its_report(name: str, function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = firmware()
    returned = deliver(name, function)
    (report,) = function.reports
    assert returned == ({"batchItemFailures": []} if name in MESSAGES else report)
    trigger, status, reason, outcomes, cancelled = REPORTS[name]
    assert (report["trigger"], report["status"], report["reason"]) == (trigger, status, reason)
    assert {job["jobId"]: job["outcome"] for job in report["jobs"]} == outcomes
    assert function.jobs.cancelled == cancelled
    assert function.sqs.messages == []
    assert len(function.server.received) == (1 if report["trigger"] == "TEARDOWN" else 0)


HISTORIES: dict[str, tuple[str, str]] = {
    "custom-resource-delete.json": ("STACK_TEARDOWN", "stack firmware-dev was deleted"),
    "alarm-to-alarm.json": ("EVENT_REMEDIATION", "Requested by alarm iot-job-failures-firmware-2026-11"),
    "cloudtrail-create-job.json": (
        "EVENT_REMEDIATION",
        "Requested by CreateJob in event 3c4d5e6f-7a8b-4c9d-8e0f-1a2b3c4d5e6f",
    ),
    "bare-request.json": ("STALE_JOB", "weekly clean-up"),
    "stack-deleted.json": ("EVENT_REMEDIATION", f"Requested by the deletion of {STACK_ID}"),
    "custom-resource-select-delete.json": ("STACK_TEARDOWN", "stack firmware-dev was deleted"),
    "backlog-message.json": ("STALE_JOB", "weekly clean-up"),
    "teardown-message.json": ("STACK_TEARDOWN", "stack firmware-dev was deleted"),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_the_jobs_history_names_who_asked(name: str, function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = firmware()
    deliver(name, function)
    job = function.jobs.jobs["firmware-2026-11"]
    assert (job.reason_code, job.comment) == HISTORIES[name]


@pytest.mark.parametrize(
    ("event", "history"),
    [
        ({"cancel": {"jobId": "a"}}, ("DIRECT_REQUEST", "Requested by a direct request")),
        (
            {
                "id": "e-1",
                "detail-type": "IoT Job Cancellation Requested",
                "source": "fleet.console",
                "detail": {"cancel": {"jobId": "a"}},
            },
            ("EVENT_REMEDIATION", "Requested by event e-1 from fleet.console"),
        ),
    ],
)
def test_a_request_without_a_reason_gets_one_by_its_trigger(
    event: object, history: tuple[str, str], function: Function
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function(event)
    assert (function.jobs.jobs["a"].reason_code, function.jobs.jobs["a"].comment) == history


RUNNING = {"thing-1": "IN_PROGRESS", "thing-2": "IN_PROGRESS", "thing-3": "QUEUED"}


def test_the_report_is_returned_in_its_published_shape(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob(executions=dict(RUNNING))
    assert function({"cancel": {"jobId": "a"}}) == {
        "status": "SETTLED",
        "trigger": "DIRECT",
        "force": False,
        "dryRun": False,
        "reason": "",
        "counts": {"CANCELED": 1},
        "executionsLeftInProgress": 2,
        "jobs": [{"jobId": "a", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 2}],
    }


@pytest.mark.parametrize(
    ("stack", "request_", "force", "left"),
    [(False, None, False, 2), (True, None, True, 0), (True, False, False, 2), (True, True, True, 0)],
)
def test_force_is_the_stacks_and_a_request_can_only_turn_it_off(
    stack: bool, request_: bool | None, force: bool, left: int, function: Function
) -> None:
    function.jobs.jobs["a"] = FakeJob(executions=dict(RUNNING))
    document = {"jobId": "a"} if request_ is None else {"jobId": "a", "force": request_}
    function.configure(limits=replace(LIMITS, force=stack))
    report = function({"cancel": document})
    assert (report["force"], report["executionsLeftInProgress"]) == (force, left)


def test_a_request_for_force_beyond_the_stacks_is_rejected_and_cancels_nothing(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    report = function({"cancel": {"jobId": "a", "force": True}})
    assert (report["status"], report["reason"], function.jobs.calls) == (
        "REJECTED",
        "force: must be false or omitted, since the stack's parameter Force is false",
        [],
    )


def test_a_dry_run_of_the_stack_holds_for_every_trigger(function: Function) -> None:
    function.configure(limits=replace(LIMITS, dry_run=True))
    function.jobs.jobs["firmware-2026-11"] = firmware()
    names = [name for name, (*_, cancelled) in REPORTS.items() if cancelled]
    for name in names:
        deliver(name, function)
    told = [(report["dryRun"], report["counts"]) for report in function.reports]
    assert names
    assert told == [(True, {"WOULD_CANCEL": 1})] * len(names)
    assert function.jobs.cancelled == []


def test_a_run_with_a_job_that_cannot_be_cancelled_is_unsettled_and_not_delivered_again(function: Function) -> None:
    function.jobs.jobs |= {"a": FakeJob(), "b": FakeJob()}
    function.jobs.fault = failing("CancelJob", refused, job_id="a")
    report = function({"cancel": {"jobIds": ["a", "b"]}})
    assert (report["status"], report["counts"]) == ("UNSETTLED", {"FAILED": 1, "CANCELED": 1})


# What is not finished


def test_a_run_with_jobs_left_to_do_is_reported_and_put_on_the_backlog_as_it_came(function: Function) -> None:
    function.jobs.jobs |= {job_id: FakeJob() for job_id in "abc"}
    function.jobs.fault = failing("CancelJob", throttled, times=2)
    event = {"cancel": {"jobIds": ["a", "b", "c"]}}
    assert function(event)["counts"] == {"DEFERRED": 2, "CANCELED": 1}
    assert function.sqs.events == [event]
    (report,) = function.drain()
    assert (report["status"], report["trigger"]) == ("SETTLED", "DIRECT")
    assert report["counts"] == {"CANCELED": 2, "ALREADY_CANCELED": 1}
    assert sorted(function.jobs.cancelled) == ["a", "b", "c"]


def test_a_finished_run_puts_nothing_on_the_backlog(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function({"cancel": {"jobId": "a"}})
    assert function.sqs.messages == []


def test_a_queue_run_that_is_unfinished_keeps_its_message_a_little_longer_each_time_and_sends_none(
    function: Function,
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=3)
    function({"cancel": {"jobId": "a"}})
    answers, times = [], []
    while function.sqs.messages:
        answers.append(function.poll())
        times.append(function.clock.now)
    kept = {"batchItemFailures": [{"itemIdentifier": "message-1"}]}
    assert answers == [kept, kept, {"batchItemFailures": []}]
    assert times == [1005.0, 1010.0, 1020.0]


def test_a_dry_run_is_never_put_on_the_backlog_for_it_would_come_no_further(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("DescribeJob", throttled)
    report = function({"cancel": {"jobId": "a", "dryRun": True}})
    assert (report["status"], function.sqs.messages) == ("UNFINISHED", [])


def test_a_run_with_a_protected_job_left_is_not_put_on_the_backlog(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob(tags={"cancel-protection": "true"})
    function.jobs.denied_tag = "cancel-protection"
    report = function({"cancel": {"jobId": "a"}})
    assert (report["counts"], function.sqs.messages) == ({"PROTECTED": 1}, [])


def test_a_queue_that_does_not_take_the_event_makes_lambda_deliver_it_again(function: Function) -> None:
    def refuses(_call: str) -> None:
        raise ClientError({"Error": {"Code": "KmsThrottled", "Message": "no"}}, "SendMessage")

    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault, function.sqs.fault = failing("CancelJob", throttled), refuses
    with pytest.raises(ClientError):
        function({"cancel": {"jobId": "a"}})
    assert [report["counts"] for report in function.reports] == [{"DEFERRED": 1}]


# The run of an event reserves 7 s, that of a teardown 12 s; a call may take 9 s.
@pytest.mark.parametrize(("seconds", "begun"), [(16.0, True), (15.999, False)])
def test_the_run_of_an_event_stops_seven_seconds_before_the_end_of_the_invocation(
    seconds: float, begun: bool, function: Function
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function({"cancel": {"jobId": "a"}}, seconds)
    assert function.jobs.cancelled == (["a"] if begun else [])
    assert len(function.sqs.messages) == (0 if begun else 1)


@pytest.mark.parametrize(("seconds", "begun"), [(21.0, True), (20.999, False)])
def test_the_run_of_a_teardown_stops_twelve_seconds_before_the_end_of_the_invocation(
    seconds: float, begun: bool, function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    event = load("custom-resource-delete.json", function.server)
    report = function(event, seconds)
    assert report["status"] == ("SETTLED" if begun else "UNFINISHED")
    assert [answer["Status"] for answer in function.answers] == (["SUCCESS"] if begun else [])
    assert function.sqs.events == ([] if begun else [event])


def test_a_teardown_that_waits_is_answered_once_when_it_is_done(function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=4)
    event = load("custom-resource-delete.json", function.server)
    assert function(event)["status"] == "UNFINISHED"
    assert function.answers == []
    reports = function.drain()
    assert [report["status"] for report in reports] == ["UNFINISHED", "UNFINISHED", "UNFINISHED", "SETTLED"]
    (answer,) = function.answers
    assert (answer["Status"], answer["Reason"]) == ("SUCCESS", "")


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
def test_a_teardown_that_never_gets_done_is_answered_once_near_its_service_timeout(
    on_incomplete: str, status: str, function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    event = load("custom-resource-delete.json", function.server)
    event["ResourceProperties"] |= {"OnIncomplete": on_incomplete, "ServiceTimeout": "300"}
    function(event)
    reports = function.drain()
    (answer,) = function.answers
    assert (answer["Status"], answer["Reason"]) == (
        status,
        "job firmware-2026-11 DEFERRED: ThrottlingException: Rate exceeded" + WHERE_TO_LOOK,
    )
    assert [report["status"] for report in reports] == ["UNFINISHED"] * (len(reports) - 1) + ["UNSETTLED"]
    # The answer is due 240 s after the first delivery, and a run is begun only if it has 30 s until then: after the
    # queue's 20 s, and 5, 10, 15 ... 40 s later. Then the next one would come too late.
    assert function.clock.now == 1200.0
    assert function.sqs.dead_letters == []


@pytest.mark.parametrize(
    ("timeout", "waits"), [("63", True), ("62", False), ("300", True), ("30", False), ("1", False), ("3600", True)]
)
def test_a_teardown_waits_only_if_another_run_has_time_to_end(timeout: str, waits: bool, function: Function) -> None:
    """A fifth of a short ServiceTimeout is kept back; then 20 s until the next run and 30 s for it are needed."""
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    event = load("custom-resource-delete.json", function.server)
    event["ResourceProperties"] |= {"ServiceTimeout": timeout}
    function(event)
    assert bool(function.sqs.messages) is waits
    assert len(function.answers) == (0 if waits else 1)


@pytest.mark.parametrize(
    ("signed_at", "timeout", "waits"),
    [
        ("20261124T115640Z", "300", False),
        ("20261124T115650Z", "300", True),
        ("20261124T120000Z", "63", True),
        ("20261124T130000Z", "62", False),  # a clock that is ahead gives no more time
    ],
)
def test_a_teardown_counts_its_time_from_the_signature_of_its_url(
    signed_at: str, timeout: str, waits: bool, function: Function
) -> None:
    """It is noon. A first delivery may have been killed, and Lambda delivers the event again."""
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    event = load("custom-resource-delete.json", function.server)
    event["ResponseURL"] += f"&X-Amz-Date={signed_at}"
    event["ResourceProperties"] |= {"ServiceTimeout": timeout}
    function(event)
    assert (bool(function.sqs.messages), len(function.answers)) == (waits, 0 if waits else 1)


def test_the_run_of_a_teardown_ends_before_its_response_is_due(function: Function) -> None:
    """The response is due after 48 s of a ServiceTimeout of 60 s, and a call may take 9 s."""
    function.configure(limits=replace(LIMITS, max_jobs=1000))
    function.jobs.jobs |= {f"firmware-{number:04}": FakeJob(tags={"env": "dev"}) for number in range(190)}
    event = load("custom-resource-select-delete.json", function.server)
    event["ResourceProperties"] |= {"ServiceTimeout": "60"}
    report = function(event, 300)
    assert (report["status"], function.clock.now) == ("UNSETTLED", 1039.0)


def test_a_deletion_that_waits_warns_but_is_not_counted_as_continued(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    event = load("custom-resource-delete.json", function.server)
    event["ResourceProperties"] |= {"OnIncomplete": "CONTINUE"}
    function(event)
    function.drain()
    assert "TeardownsContinued" not in capsys.readouterr().out
    assert len(function.answers) == 1


def test_a_teardown_in_the_queue_whose_answer_is_lost_is_delivered_again_and_says_the_same(function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function(load("custom-resource-delete.json", function.server))
    function.server.script = [503] * 6 + [200]
    with pytest.raises(ResponseUndelivered):
        function.poll()
    function.drain()
    assert {answer["Status"] for answer in function.answers} == {"SUCCESS"}
    assert len(function.answers) == 7


@pytest.mark.parametrize("request_type", ["create", "update"])
def test_a_create_or_update_never_waits(request_type: str, function: Function) -> None:
    function.jobs.fault = failing("CancelJob", throttled)
    function(load(f"custom-resource-{request_type}.json", function.server), 13)
    assert (len(function.answers), function.sqs.messages) == (1, [])


# The cap, on every trigger

OVER = (
    "select: matches 101 jobs, but the limit is 100, so this run canceled none of them"
    "; select fewer jobs, or raise MaxJobsPerRun or maxJobs"
)
OVER_IN_TEMPLATE = (
    "Select: matches 101 jobs, but the limit is 100, so this run canceled none of them"
    "; select fewer jobs, or raise MaxJobsPerRun or MaxJobs"
)


def fill(function: Function, number: int) -> None:
    function.configure(sweep_job_id_glob="firmware-*")
    function.jobs.jobs |= {f"firmware-{each}": firmware() for each in range(number)}


SELECTING = [
    "custom-resource-select-delete.json",
    "scheduled-scheduler.json",
    "scheduled-rule.json",
    "stack-deleted.json",
]


@pytest.mark.parametrize("name", SELECTING)
def test_a_hundred_and_one_matches_cancel_nothing_on_any_trigger(name: str, function: Function) -> None:
    fill(function, 101)
    report = function(load(name, function.server))
    is_teardown = name.startswith("custom")
    reason = OVER_IN_TEMPLATE if is_teardown else OVER
    assert (report["status"], report["reason"], report["jobs"]) == ("REJECTED", reason, [])
    assert (function.jobs.cancelled, function.sqs.messages) == ([], [])
    assert [answer["Reason"] for answer in function.answers] == ([reason + WHERE_TO_LOOK_2] if is_teardown else [])


@pytest.mark.parametrize("name", SELECTING)
def test_a_hundred_matches_are_all_cancelled(name: str, function: Function) -> None:
    fill(function, 100)
    report = function(load(name, function.server))
    assert (report["status"], report["counts"]) == ("SETTLED", {"CANCELED": 100})


@pytest.mark.parametrize("envelope", ["direct", "event"])
def test_a_request_for_a_hundred_and_one_cancels_nothing(envelope: str, function: Function) -> None:
    fill(function, 101)
    job_ids = [f"firmware-{each}" for each in range(101)]
    for verb, which in (("matches", {"select": {"jobIdGlob": "firmware-*"}}), ("names", {"jobIds": job_ids})):
        event: dict[str, Any] = {"cancel": which}
        if envelope == "event":
            event = {"id": "e", "detail-type": "IoT Job Cancellation Requested", "source": "x", "detail": event}
        report = function(event)
        assert report["status"] == "REJECTED"
        assert f"{verb} 101 jobs, but the limit is 100" in report["reason"]
    assert function.jobs.cancelled == []


SWEEP = {"cancel": {"select": {"jobIdGlob": "firmware-*"}}}


def test_the_job_limit_is_checked_once(function: Function) -> None:
    fill(function, 100)
    report = function(SWEEP, 19)
    assert (report["status"], report["counts"]["DEFERRED"] > 0) == ("UNFINISHED", True)
    function.jobs.jobs |= {f"firmware-late-{each}": firmware() for each in range(101)}
    reports = function.drain()
    assert (reports[-1]["status"], len(function.jobs.cancelled)) == ("SETTLED", 201)


def test_the_job_limit_is_checked_later_if_the_first_listing_failed(function: Function) -> None:
    fill(function, 101)
    function.jobs.fault = failing("ListJobs", throttled, times=1)
    assert function(SWEEP)["status"] == "UNFINISHED"
    (report,) = function.drain()
    assert (report["status"], report["reason"], function.jobs.cancelled) == ("REJECTED", OVER, [])


def test_the_cap_is_judged_for_a_message_without_attributes(function: Function) -> None:
    """As for one that somebody has taken from the failure queue and sent again."""
    fill(function, 101)
    function.sqs.send_message(QueueUrl=function.sqs.url, MessageBody=json.dumps(SWEEP))
    (report,) = function.drain()
    assert (report["status"], report["reason"], function.jobs.cancelled) == ("REJECTED", OVER, [])


# A look-up that fails


@pytest.mark.parametrize(
    ("operation", "page"),
    [
        ("ListJobs", "IN_PROGRESS/2"),
        ("ListTagsForResource", "firmware-1"),
        ("ListJobs", "SCHEDULED/1@aws-gg-deployment"),
    ],
)
def test_a_look_up_that_may_work_later_is_on_the_backlog_and_never_no_jobs(
    operation: str, page: str, function: Function
) -> None:
    fill(function, 3)
    function.jobs.page_size = 2
    function.jobs.fault = failing(operation, throttled, times=1, job_id=page)
    event = load("stack-deleted.json", function.server)
    report = function(event)
    assert (report["status"], report["jobs"]) == ("UNFINISHED", [])
    assert report["reason"] == "the selection failed: ThrottlingException: Rate exceeded"
    assert function.sqs.events == [event]
    assert function.jobs.cancelled == []
    assert [report["counts"] for report in function.drain()] == [{"CANCELED": 3}]


@pytest.mark.parametrize(
    ("operation", "page"),
    [
        ("ListJobs", "IN_PROGRESS/2"),
        ("ListTagsForResource", "firmware-1"),
        ("ListJobs", "SCHEDULED/1@aws-gg-deployment"),
    ],
)
def test_a_look_up_that_will_never_work_is_rejected_and_cancels_nothing(
    operation: str, page: str, function: Function
) -> None:
    fill(function, 3)
    function.jobs.page_size = 2
    function.jobs.fault = failing(operation, denied, job_id=page)
    report = function(load("stack-deleted.json", function.server))
    assert (report["status"], report["jobs"], function.jobs.cancelled) == ("REJECTED", [], [])
    assert report["reason"] == "select: the selection failed: AccessDeniedException: not authorized"
    assert function.sqs.messages == []


# The sweep


@pytest.mark.parametrize("name", ["scheduled-rule.json", "scheduled-scheduler.json"])
def test_a_schedule_without_an_input_runs_the_stacks_sweep(name: str, function: Function) -> None:
    function.configure(sweep_job_id_glob="firmware-*", sweep_older_than_hours=72)
    function.jobs.jobs |= {
        "firmware-stale": FakeJob(),
        "firmware-young": FakeJob(created_at=NOW - timedelta(hours=71)),
        "firmware-keep": FakeJob(tags={"cancel-protection": "true"}),
        "firmware-group": FakeJob(target_selection="CONTINUOUS"),
        "other-stale": FakeJob(),
        "AFR_OTA-1": FakeJob(),
    }
    function.jobs.denied_tag = "cancel-protection"
    report = function(load(name, function.server))
    assert (report["status"], report["trigger"]) == ("UNSETTLED", "SCHEDULE")
    assert {job["jobId"]: job["outcome"] for job in report["jobs"]} == {
        "firmware-stale": "CANCELED",
        "firmware-keep": "PROTECTED",
    }
    job = function.jobs.jobs["firmware-stale"]
    assert job.reason_code == "SCHEDULED_CLEANUP"
    assert str(job.comment).startswith("Requested by schedule event ")


def test_a_deleted_stack_cancels_its_continuous_jobs_too_and_no_other_stacks(function: Function) -> None:
    function.jobs.jobs |= {
        "mine": firmware(),
        "mine-continuous": replace(firmware(), target_selection="CONTINUOUS"),
        "mine-new": replace(firmware(), created_at=NOW),
        "others": FakeJob(tags={"iot-job-canceler:stack-id": STACK_ID + "0"}),
        "nobodys": FakeJob(),
    }
    function(load("stack-deleted.json", function.server))
    assert sorted(function.jobs.cancelled) == ["mine", "mine-continuous", "mine-new"]


# Teardown of a selection


def test_a_teardown_of_a_selection_is_answered_when_nothing_live_matches_any_more(function: Function) -> None:
    function.jobs.jobs |= {"firmware-1": firmware(), "other": firmware()}
    late = iter(["firmware-2"])

    def create(operation: str, _job_id: str) -> None:
        if operation == "CancelJob" and (name := next(late, None)):
            function.jobs.jobs[name] = firmware()

    function.jobs.lost = create
    report = function(load("custom-resource-select-delete.json", function.server))
    (answer,) = function.answers
    assert (report["counts"], answer["Status"], answer["Data"]) == ({"CANCELED": 2}, "SUCCESS", {"Force": "false"})
    assert answer["PhysicalResourceId"] == SELECTION_ID
    assert sorted(function.jobs.cancelled) == ["firmware-1", "firmware-2"]


def test_a_teardown_of_a_selection_of_more_than_one_invocation_is_answered_once(function: Function) -> None:
    fill(function, 90)
    report = function(load("custom-resource-select-delete.json", function.server), 36)
    assert (report["status"], function.answers) == ("UNFINISHED", [])
    reports = function.drain(36)
    (answer,) = function.answers
    assert (answer["Status"], reports[-1]["status"]) == ("SUCCESS", "SETTLED")
    assert len(function.jobs.cancelled) == len(set(function.jobs.cancelled)) == 90


# A message of a queue


def test_a_message_that_is_no_longer_in_flight_starts_no_run(function: Function) -> None:
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


def test_a_run_that_waits_ends_although_a_prefix_was_set_since(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob(executions={"thing": "IN_PROGRESS"})
    function({"cancel": {"jobId": "a", "waitForExecutionsMinutes": 5}})
    function.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    function.jobs.jobs["a"].executions["thing"] = "SUCCEEDED"
    assert [report["status"] for report in function.drain()] == ["SETTLED"]


# Poison


def test_a_message_that_crashes_the_function_is_kept_for_five_seconds_and_told(
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


def test_poison_is_in_the_failure_queue_after_a_hundred_deliveries_and_can_be_redriven(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function({"cancel": {"jobId": "a"}})
    function.jobs.fault = crashes
    while function.sqs.messages:
        with nullcontext() if function.sqs.receives == 100 else pytest.raises(ZeroDivisionError):
            function.poll()
    assert (function.sqs.receives, len(function.sqs.dead_letters)) == (100, 1)
    assert function.clock.now == 1000 + 5 + 390 + 88 * 60  # 5 s, 10 s, and so on up to 60 s
    function.jobs.fault = None
    (dead,) = function.sqs.dead_letters
    dead.receive_count, dead.visible_at = 0, function.clock.now
    function.sqs.messages.append(dead)
    assert [report["counts"] for report in function.drain()] == [{"CANCELED": 1}]


def test_a_deletion_that_goes_on_warns_and_is_counted(capsys: pytest.CaptureFixture[str], function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", refused)
    event = load("custom-resource-delete.json", function.server)
    event["ResourceProperties"] |= {"OnIncomplete": "CONTINUE", "Force": "maybe"}
    function(event)
    (answer,) = function.answers
    assert answer["Status"] == "SUCCESS"
    assert [line["message"] for line in function.log.lines] == [
        "treating Force as false: must be true or false",
        "job firmware-2026-11 FAILED: InvalidRequestException: cannot be canceled",
        "report",
    ]
    assert "TeardownsContinued" in capsys.readouterr().out


def test_an_ordinary_deletion_neither_warns_nor_counts_as_continued(
    capsys: pytest.CaptureFixture[str], function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function(load("custom-resource-delete.json", function.server))
    assert [line["message"] for line in function.log.lines] == ["report"]
    assert "TeardownsContinued" not in capsys.readouterr().out


def test_a_deletion_that_leaves_a_property_out_warns_and_does_not_count_as_continued(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    event = load("custom-resource-delete.json", function.server)
    event["ResourceProperties"] |= {"Force": "maybe"}
    function(event)
    assert [line["message"] for line in function.log.lines] == [
        "treating Force as false: must be true or false",
        "report",
    ]
    assert "TeardownsContinued" not in capsys.readouterr().out


@pytest.mark.parametrize("url", ["https://example.com/?X=1", "http://169.254.169.254/?X=1", "nonsense", "https://[x"])
def test_a_response_url_that_leads_elsewhere_is_rejected_before_anything_is_done(url: str, function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    event = load("custom-resource-delete.json", function.server) | {"ResponseURL": url}
    report = function(event)
    assert (report["status"], report["reason"], report["trigger"]) == (
        "REJECTED",
        "ResponseURL: must be an https URL under amazonaws.com",
        "TEARDOWN",
    )
    assert (function.jobs.calls, function.server.received) == ([], [])


def test_a_custom_resource_without_its_ids_is_rejected(function: Function) -> None:
    event = load("custom-resource-delete.json", function.server) | {"StackId": None}
    report = function(event)
    assert (report["status"], report["reason"]) == ("REJECTED", "StackId: must be a string that is not empty")
    assert (function.jobs.calls, function.server.received) == ([], [])


def test_a_rejected_event_is_reported_and_not_raised_for_it_would_be_rejected_again(
    capsys: pytest.CaptureFixture[str], function: Function
) -> None:
    report = function({"cancel": {"jobs": "all"}})
    assert (report["status"], report["jobs"]) == ("REJECTED", [])
    assert [(line["level"], line["report"]["status"]) for line in function.log.lines] == [("WARNING", "REJECTED")]
    assert "RunsRejected" in capsys.readouterr().out


def crashes(_operation: str, _job_id: str) -> None:
    raise ZeroDivisionError("why")


def test_an_unexpected_error_is_told_and_reaches_lambda(capsys: pytest.CaptureFixture[str], function: Function) -> None:
    function.jobs.fault = crashes
    with pytest.raises(ZeroDivisionError, match="why"):
        function({"cancel": {"jobId": "a"}})
    assert [(line["level"], line["exception_name"]) for line in function.log.lines] == [("ERROR", "ZeroDivisionError")]
    assert "UnexpectedErrors" in capsys.readouterr().out


def test_an_answer_that_does_not_arrive_is_reported_and_raised(function: Function) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.server.script = [503]
    event = load("custom-resource-delete.json", function.server)
    with pytest.raises(ResponseUndelivered, match="HTTP 503"):
        function(event)
    assert function.log.lines[-1]["report"]["counts"] == {"CANCELED": 1}
    function.server.script = [200]
    report = function(event)
    assert report["counts"] == {"ALREADY_CANCELED": 1}
    assert json.loads(function.server.received[-1].body)["Status"] == "SUCCESS"


@pytest.mark.parametrize(
    ("event", "correlation_id"),
    [
        ({"RequestId": "r-1", "id": "e-1", "cancel": {}}, "r-1"),
        ({"id": "e-1", "detail-type": "Scheduled Event"}, "e-1"),
        ({"id": "x" * 128}, "x" * 128),
        ({"id": "x" * 129}, FakeContext.aws_request_id),
        ({"id": ""}, FakeContext.aws_request_id),
        ({"id": 5}, FakeContext.aws_request_id),
        ({"RequestId": ["r-1"], "id": "e-1"}, FakeContext.aws_request_id),
        ({"cancel": {}}, FakeContext.aws_request_id),
        (["id"], FakeContext.aws_request_id),
        (None, FakeContext.aws_request_id),
    ],
)
def test_every_delivery_of_one_event_is_logged_under_the_same_id(
    event: object, correlation_id: str, function: Function
) -> None:
    function(event)
    assert [(line["correlation_id"], line["function_request_id"]) for line in function.log.lines] == [
        (correlation_id, FakeContext.aws_request_id)
    ]


# Wiring

ENVIRONMENT = {
    "FORCE": "true",
    "DRY_RUN": "false",
    "MAX_JOBS_PER_RUN": "7",
    "JOB_ID_PREFIX": "ota-",
    "PROTECTION_TAG_KEY": "keep",
    "URL_SUFFIX": "amazonaws.com",
    "LOG_GROUP": "/aws/lambda/canceler",
    "CANCELS_PER_SECOND": "8",
    "SWEEP_JOB_ID_GLOB": "ota-*",
    "SWEEP_OLDER_THAN_HOURS": "168",
    "BACKLOG_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Backlog-1ABC",
    "TEARDOWN_QUEUE_URL": "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Teardowns-1ABC.fifo",
    "EVENT_BUS_NAME": "default",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "POWERTOOLS_METRICS_NAMESPACE": "IoTJobCanceler",
    "POWERTOOLS_SERVICE_NAME": "canceler",
}


@pytest.fixture
def lambda_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What Lambda sets, and nothing else; what `wire` makes of it is thrown away again."""
    for name in os.environ:
        if name.startswith(("AWS_", "POWERTOOLS_")):
            monkeypatch.delenv(name)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    wire.cache_clear()
    yield
    wire.cache_clear()


@pytest.mark.usefixtures("lambda_environment")
def test_the_services_are_created_once_from_the_environment(clock: FakeClock) -> None:
    services = wire()
    gate = Gate(8, Deadline(300, clock), clock, clock.sleep, call_seconds=MAX_CALL_SECONDS)
    assert services.config == Config(
        StackLimits(force=True, dry_run=False, max_jobs=7, job_id_prefix="ota-", protection_tag_key="keep"),
        8,
        "ota-*",
        168,
        "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Backlog-1ABC",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Teardowns-1ABC.fifo",
        "default",
        "amazonaws.com",
        "/aws/lambda/canceler",
        None,
    )
    gate = Gate(1, Deadline(1, services.clock), services.clock, services.sleep, call_seconds=1)
    assert isinstance(services.jobs_api(gate), IotJobs)
    assert isinstance(services.queues, Queues)
    assert isinstance(services.responder.http, urllib3.PoolManager)
    assert wire() is services


@pytest.mark.usefixtures("lambda_environment")
def test_the_real_clock_goes_on_and_the_real_jitter_stays_within_its_bounds() -> None:
    services = wire()
    assert services.clock() <= services.clock()
    assert 0 <= services.responder.uniform(0, 0.5) <= 0.5
    assert services.utc_now().utcoffset() == timedelta(0)
    services.sleep(0)
    services.responder.sleep(0)


@pytest.mark.usefixtures("lambda_environment")
def test_without_services_the_handler_wires_the_real_ones(context: FakeContext) -> None:
    report = lambda_handler({"cancel": {"jobId": "firmware"}}, context)
    assert (report["status"], report["reason"]) == (
        "REJECTED",
        "jobId: must start with 'ota-', the stack's JobIdPrefix",
    )


@pytest.mark.usefixtures("lambda_environment")
def test_a_function_that_cannot_read_its_configuration_does_nothing(
    context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE", "yes")
    with pytest.raises(InvalidConfiguration, match="environment variable FORCE: must be true or false"):
        lambda_handler({"cancel": {"jobId": "ota-1"}}, context)


@pytest.mark.usefixtures("lambda_environment")
def test_what_lambda_loads_is_wired_and_collects_garbage_of_events_alone() -> None:
    sys.modules.pop("handler.lambda_function", None)
    try:
        start = import_module("handler.lambda_function")
        assert start.lambda_handler is lambda_handler
        assert wire.cache_info().currsize == 1
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_the_template_names_the_handler() -> None:
    template = (Path(__file__).parents[2] / "template.yaml").read_text()
    assert "Handler: handler.lambda_function.lambda_handler" in template


# The response that the timer sends


def test_a_teardown_is_not_enqueued_after_the_timer_has_responded(function: Function) -> None:
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
    assert [answer["Status"] for answer in function.answers] == ["FAILED"]


# What becomes of an event that was begun


def backlog_message(function: Function) -> Any:
    (message,) = function.sqs.messages
    return message


def test_a_sweep_that_was_begun_and_is_rejected_later_ends_in_the_failure_queue(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function({"cancel": {"select": {"jobIdGlob": "a"}, "force": False}})
    function.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    while function.sqs.messages:
        function.poll()
    assert len(function.sqs.dead_letters) == 1
    assert function.jobs.cancelled == []


def test_an_event_that_passes_the_cap_only_on_a_later_delivery_is_admitted_from_then_on(function: Function) -> None:
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


@pytest.mark.parametrize(("hours", "status"), [(11.9, "SETTLED"), (12.1, "REJECTED")])
def test_an_admission_does_not_outlast_twelve_hours(hours: float, status: str, function: Function) -> None:
    function.configure(limits=replace(LIMITS, max_jobs=2))
    function.jobs.jobs["a-1"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function({"cancel": {"select": {"jobIdGlob": "a-*"}}})
    function.jobs.jobs |= {"a-2": FakeJob(), "a-3": FakeJob()}
    function.clock.now += hours * 3600
    reports = function.drain()
    assert [report["status"] for report in reports] == [status]


def refused_by_sqs(code: str, status: int) -> Callable[[str], None]:
    error: Any = {"Error": {"Code": code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": status}}

    def fault(_operation: str) -> None:
        raise ClientError(error, "SendMessage")

    return fault


@pytest.mark.parametrize(
    ("on_incomplete", "status", "counted"), [("FAIL", "FAILED", False), ("CONTINUE", "SUCCESS", True)]
)
def test_a_teardown_that_its_queue_refuses_is_answered_at_once_and_only_then(
    on_incomplete: str, status: str, counted: bool, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    function.sqs.fault = refused_by_sqs("KmsDisabled", 400)
    deletion = load("custom-resource-delete.json", function.server)
    deletion["ResourceProperties"]["OnIncomplete"] = on_incomplete
    report = function(deletion)
    told = "An error occurred (KmsDisabled) when calling the SendMessage operation: no"
    assert (report["status"], report["reason"]) == ("UNSETTLED", told)
    (answer,) = function.answers
    assert (answer["Status"], answer["PhysicalResourceId"]) == (status, "firmware-2026-11")
    assert answer["Reason"].startswith("job firmware-2026-11 DEFERRED: ThrottlingException: Rate exceeded; " + told)
    assert ("TeardownsContinued" in capsys.readouterr().out) == counted


def signed_deletion(function: Function, date: str = "20261124T120000Z", **properties: str) -> Any:
    """A deletion whose ResponseURL was signed when the function's clock began, or when it says."""
    deletion = load("custom-resource-delete.json", function.server)
    deletion["ResponseURL"] += f"&X-Amz-Date={date}"
    deletion["ResourceProperties"] |= properties
    return deletion


@pytest.mark.parametrize(("code", "status"), [("ServiceUnavailable", 503), ("RequestThrottled", 400)])
def test_a_teardown_that_cannot_be_put_on_its_queue_now_is_not_answered_and_reaches_lambda(
    code: str, status: int, function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=1)
    function.sqs.fault = refused_by_sqs(code, status)
    deletion = signed_deletion(function)
    with pytest.raises(EnqueueUnavailable):
        function(deletion)
    assert function.answers == []
    function(deletion)
    assert [answer["Status"] for answer in function.answers] == ["SUCCESS"]


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
def test_the_last_of_lambdas_deliveries_answers_for_a_queue_that_is_still_out_of_reach(
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
    assert function.answers == []
    report = function(deletion)
    told = "An error occurred (ServiceUnavailable) when calling the SendMessage operation: no"
    assert (report["status"], report["reason"]) == ("UNSETTLED", told)
    (answer,) = function.answers
    assert (answer["Status"], told in answer["Reason"]) == (status, True)
    assert told in [line["message"] for line in function.log.lines if line["level"] == "WARNING"]


@pytest.mark.parametrize(
    ("date", "properties"),
    [
        ("20261124T120000Z", {"ServiceTimeout": "180"}),  # no time for Lambda's next delivery
        ("20261124T115700Z", {}),  # three minutes ago
        ("", {}),
    ],
)
def test_a_teardown_that_may_not_come_again_is_answered_at_once(
    date: str, properties: dict[str, str], function: Function
) -> None:
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled)
    function.sqs.fault = refused_by_sqs("ServiceUnavailable", 503)
    assert function(signed_deletion(function, date, **properties))["status"] == "UNSETTLED"
    assert [answer["Status"] for answer in function.answers] == ["FAILED"]


def test_a_dry_run_of_a_teardown_waits_as_a_real_one_does(function: Function) -> None:
    function.configure(limits=replace(LIMITS, dry_run=True))
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    function.jobs.fault = failing("DescribeJob", throttled, times=1)
    function(load("custom-resource-delete.json", function.server))
    assert function.answers == []
    function.drain()
    assert [answer["Status"] for answer in function.answers] == ["SUCCESS"]
    assert function.jobs.cancelled == []


def test_a_selection_that_the_prefix_rules_out_does_not_pass_for_an_empty_one(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    report = function({"cancel": {"select": {"jobIdGlob": "firmware-*"}}})
    assert report["reason"].startswith("select.jobIdGlob: must be able to match ids that start with 'ota-'")
    deletion = load("custom-resource-select-delete.json", function.server)
    function(deletion)
    deletion["ResourceProperties"]["OnIncomplete"] = "CONTINUE"
    assert "TeardownsContinued" not in capsys.readouterr().out
    function(deletion)
    assert [answer["Status"] for answer in function.answers] == ["FAILED", "SUCCESS"]
    assert "must be able to match ids that start with 'ota-'" in function.answers[0]["Reason"]
    assert "TeardownsContinued" in capsys.readouterr().out


@pytest.mark.parametrize(("seconds", "attempts"), [(15.75, 4), (16.0, 5), (31.75, 5), (32.0, 6)])
def test_sending_the_response_ends_a_second_before_the_invocation(
    seconds: float, attempts: int, function: Function
) -> None:
    """The backoffs between the attempts are 1, 2, 4, 8 and 16 s here. A Create calls no other service."""
    function.server.script = [500]
    with pytest.raises(ResponseUndelivered):
        function(load("custom-resource-create.json", function.server), seconds)
    assert len(function.server.received) == attempts
