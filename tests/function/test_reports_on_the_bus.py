"""Every run that is not ignored publishes its report once, and a published report starts no run."""

import json
from pathlib import Path
from typing import Any

import pytest

from handler.errors import ResponseUndelivered
from tests.conftest import Function
from tests.support.fakes import FakeJob, failing, throttled
from tools.simulators.events import delete_request

EVENTS = Path(__file__).parents[2] / "events"
REQUEST = {
    "id": "event-1",
    "detail-type": "IoT Job Cancellation Requested",
    "source": "ops",
    "detail": {"cancel": {"jobId": "a"}},
}


def published(function: Function) -> list[tuple[str, str, str]]:
    return [(each["correlationId"], each["trigger"], each["status"]) for each in function.bus.details]


def deletion(function: Function) -> dict[str, Any]:
    return delete_request("a", f"{function.server.url}/response", {"JobId": "a"})


def lines(function: Function) -> list[str]:
    return [line["message"] for line in function.log.lines]


def count_of(metric: str, capsys: pytest.CaptureFixture[str]) -> int:
    return sum(json.loads(line).get(metric, [0])[0] for line in capsys.readouterr().out.splitlines())


def test_report_of_a_deletion_is_published_after_its_response(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    sent: list[int] = []
    function.bus.fault = lambda: sent.append(len(function.responses))
    function(deletion(function))
    assert (published(function), sent) == ([("request-1", "TEARDOWN", "SETTLED")], [1])


def test_undelivered_response_is_published_and_raised(function: Function) -> None:
    function.server.script = [403]
    with pytest.raises(ResponseUndelivered):
        function(deletion(function))
    assert published(function) == [("request-1", "TEARDOWN", "SETTLED")]


def test_each_attempt_publishes_its_report_after_the_event_is_enqueued(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=2)
    safe: list[int] = []
    function.bus.fault = lambda: safe.append(len(function.sqs.messages))
    function(REQUEST)
    function.drain()
    assert published(function) == [
        *[("event-1", "EVENT", "UNFINISHED")] * 2,
        ("event-1", "EVENT", "SETTLED"),
    ]
    assert safe == [1, 1, 1]


def test_ignored_event_is_not_published(function: Function) -> None:
    function(json.loads((EVENTS / "alarm-to-ok.json").read_text()))
    assert function.bus.entries == []


@pytest.mark.parametrize("source", ["iot-job-canceler", "ops", "aws.events"])
def test_published_report_starts_no_run(source: str, function: Function) -> None:
    """Otherwise, a rule that matches too much would start an endless loop."""
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    report = function(json.loads((EVENTS / "canceler-report.json").read_text()) | {"source": source})
    assert report["status"] == "IGNORED"
    assert (function.jobs.calls, function.bus.entries, function.sqs.messages) == ([], [], [])


def test_own_report_is_ignored(function: Function) -> None:
    function(REQUEST)
    (entry,) = function.bus.entries
    event = {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
    assert function(event)["status"] == "IGNORED"


@pytest.mark.parametrize("event", [REQUEST, None], ids=["event", "deletion"])
def test_unpublished_report_is_logged_and_counted(
    event: dict[str, Any] | None, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.bus.refusal = ("ThrottlingException", "slow down")
    assert function(event or deletion(function))["counts"] == {"CANCELED": 1}
    assert lines(function)[-1] == "failed to publish the complete report to EventBridge: ThrottlingException: slow down"
    assert count_of("ReportsUnpublished", capsys) == 1
