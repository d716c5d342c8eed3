"""The report on the event bus: its content, its parts, and what happens if the bus does not accept it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError
from botocore.stub import Stubber

from handler.aws.eventbridge import Publisher, event_details, events_client
from handler.cancellation.rate import Deadline
from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger
from handler.cancellation.request import CancelReason
from handler.version import VERSION
from tests.support.bus import FakeBus
from tests.support.fakes import FakeClock

REPORT = Report(
    RunStatus.SETTLED, Trigger.EVENT, jobs=(JobResult("a", Outcome.CANCELED, executions_left_in_progress=2),)
)
DETAIL = {
    "correlationId": "event-1",
    "part": 1,
    "parts": 1,
    "version": VERSION,
    "status": "SETTLED",
    "trigger": "EVENT",
    "force": False,
    "dryRun": False,
    "reason": "",
    "counts": {"CANCELED": 1},
    "executionsLeftInProgress": 2,
    "executionsEnded": 0,
    "jobs": [{"jobId": "a", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 2}],
}


def publish(bus: FakeBus, report: Report, seconds: float = 300) -> str:
    return bus.port.publish(report, "event-1", Deadline(seconds, FakeClock()))


def many(number: int, detail: str = "") -> Report:
    jobs = tuple(JobResult(f"{each:064}", Outcome.FAILED, detail) for each in range(number))
    return Report(RunStatus.UNSETTLED, Trigger.SCHEDULE, reason=f"{number} active jobs matched", jobs=jobs)


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    return events_client()


@pytest.fixture
def stub(client: Any) -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def test_a_call_ends_within_five_seconds(client: Any) -> None:
    config = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 1)
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}


def test_a_report_is_one_event_from_the_source_of_the_canceler(client: Any, stub: Stubber) -> None:
    entry = {
        "Source": "iot-job-canceler",
        "DetailType": "IoT Job Cancellation Report",
        "Detail": json.dumps(DETAIL),
        "EventBusName": "operations",
    }
    stub.add_response("put_events", {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}, {"Entries": [entry]})
    assert Publisher(client, "operations").publish(REPORT, "event-1", Deadline(300, FakeClock())) == ""


def test_an_event_says_who_requested_the_run_and_with_which_reason() -> None:
    reason = CancelReason("Requested by event e-1 from fleet.console", "STALE", "Jo: ticket 42")
    (detail,) = map(json.loads, event_details(Report(RunStatus.SETTLED, Trigger.EVENT, cancel_reason=reason), "e-1"))
    keys = ("version", "askedBy", "reasonCode", "comment")
    assert [detail[key] for key in keys] == [
        VERSION,
        "Requested by event e-1 from fleet.console",
        "STALE",
        "Jo: ticket 42",
    ]
    (detail,) = map(json.loads, event_details(Report(RunStatus.REJECTED, Trigger.DIRECT), "e-1"))
    assert [key for key in keys if key in detail] == ["version"]


@pytest.mark.parametrize(
    ("report", "published"),
    [
        (Report(RunStatus.REJECTED, Trigger.DIRECT, reason="select: no"), {"status": "REJECTED", "jobs": []}),
        (Report(RunStatus.SETTLED, Trigger.SCHEDULE, reason="0 active jobs matched"), {"counts": {}, "jobs": []}),
    ],
)
def test_a_run_without_jobs_is_one_event(report: Report, published: dict[str, Any]) -> None:
    (detail,) = map(json.loads, event_details(report, "event-1"))
    assert detail | published | {"part": 1, "parts": 1, "reason": report.reason} == detail


# A job of 64 characters without a detail takes 145 bytes with its comma.
@pytest.mark.parametrize(
    ("number", "parts"), [(1, [1]), (1379, [1379]), (1380, [1379, 1]), (2758, [1379, 1379]), (2759, [1379, 1379, 1])]
)
def test_a_report_that_is_too_long_for_one_event_is_split_between_jobs(number: int, parts: list[int]) -> None:
    details = [json.loads(detail) for detail in event_details(many(number), "event-1")]
    assert [len(detail["jobs"]) for detail in details] == parts
    assert [(detail["part"], detail["parts"]) for detail in details] == [
        (each, len(parts)) for each in range(1, len(parts) + 1)
    ]
    assert [job["jobId"] for detail in details for job in detail["jobs"]] == [f"{each:064}" for each in range(number)]
    for detail in details:
        assert detail["counts"] == {"FAILED": number}
        assert (detail["status"], detail["reason"]) == ("UNSETTLED", f"{number} active jobs matched")


def test_no_event_is_too_large_for_the_bus() -> None:
    """FakeBus enforces the limit of 262,144 bytes. Characters beyond ASCII take six bytes each."""
    bus = FakeBus()
    assert publish(bus, many(25_000, "ä" * 200)) == ""
    assert sum(len(detail["jobs"]) for detail in bus.details) == 25_000


def test_the_longest_descriptions_fit_into_events() -> None:
    """A character beyond the Basic Multilingual Plane takes twelve bytes."""
    job = JobResult("a", Outcome.CANCELED, arn="arn:a", description="\U0001f4e6" * 2028)
    bus = FakeBus()
    reason = CancelReason.default("R" * 128, "\U0001f4e6" * 3000)
    assert publish(bus, Report(RunStatus.SETTLED, Trigger.SCHEDULE, jobs=(job,) * 100, cancel_reason=reason)) == ""
    assert [len(detail["jobs"]) for detail in bus.details] == [8] * 12 + [4]
    assert {job["description"] for detail in bus.details for job in detail["jobs"]} == {"\U0001f4e6" * 2028}


def test_a_long_job_is_an_event_of_its_own() -> None:
    details = [json.loads(detail) for detail in event_details(many(3, "x" * 199_000), "event-1")]
    assert [len(detail["jobs"]) for detail in details] == [1, 1, 1]


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("https://answers.s3.amazonaws.com/a?X-Amz-Signature=5", "https://answers.s3.amazonaws.com/a?REDACTED"),
        ("https://answers.s3.amazonaws.com/\u00e9?token=5", "https://answers.s3.amazonaws.com/\u00e9?REDACTED"),
        ("X-Amz-Security-Token=\u00e9s3cr3t", "X-Amz-Security-Token=REDACTED"),
    ],
)
def test_no_secret_is_published(text: str, redacted: str) -> None:
    jobs = (JobResult("a", Outcome.FAILED, text, arn="arn:a", description=text),)
    (detail,) = map(
        json.loads, event_details(Report(RunStatus.UNSETTLED, Trigger.TEARDOWN, reason=text, jobs=jobs), "e")
    )
    (job,) = detail["jobs"]
    assert (detail["reason"], job["detail"], job["description"]) == (redacted, redacted, redacted)
    reason = CancelReason(text, "R", text)
    (detail,) = map(json.loads, event_details(Report(RunStatus.SETTLED, Trigger.EVENT, cancel_reason=reason), "e"))
    assert (detail["askedBy"], detail["comment"]) == (redacted, redacted)


@pytest.mark.parametrize(
    ("seconds", "error", "events"),
    [
        (10.0, "", 1),
        (9.999, "not enough time left in this invocation", 0),
        (-1.0, "not enough time left in this invocation", 0),
    ],
)
def test_a_call_that_could_outlast_the_invocation_is_not_made(seconds: float, error: str, events: int) -> None:
    bus = FakeBus()
    assert (publish(bus, REPORT, seconds), len(bus.entries)) == (error, events)


def test_an_entry_that_the_bus_refuses_ends_the_publishing() -> None:
    bus = FakeBus()
    bus.refusal = ("InternalFailure", "try again")
    assert publish(bus, many(2000)) == "InternalFailure: try again"


def test_an_error_of_the_call_ends_the_publishing() -> None:
    bus, calls = FakeBus(), []

    def fail() -> None:
        calls.append(1)
        raise EndpointConnectionError(endpoint_url="https://events.eu-west-1.amazonaws.com")

    bus.fault = fail
    error = 'Could not connect to the endpoint URL: "https://events.eu-west-1.amazonaws.com"'
    assert (publish(bus, many(2000)), calls) == (error, [1])


@pytest.mark.parametrize(
    ("response", "error"),
    [
        ([], "TypeError"),
        ({}, "KeyError"),
        ({"FailedEntryCount": 1}, "KeyError"),
        ({"FailedEntryCount": 1, "Entries": []}, "IndexError"),
        ({"FailedEntryCount": 1, "Entries": [None]}, "AttributeError"),
    ],
)
def test_an_unreadable_response_is_an_error(response: Any, error: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bus = FakeBus()
    monkeypatch.setattr(bus, "put_events", lambda **_entries: response)
    assert publish(bus, REPORT) == f"no usable response: {error}"


def test_an_unexpected_error_is_raised() -> None:
    bus = FakeBus()

    def crash() -> None:
        raise ZeroDivisionError

    bus.fault = crash
    with pytest.raises(ZeroDivisionError):
        publish(bus, REPORT)
