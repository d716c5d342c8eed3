"""Every run that did something, or refused to, is told on the bus once; and what is told there starts nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from handler.errors import ResponseUndelivered
from tests.conftest import Function
from tests.support.fakes import FakeJob, failing, throttled
from tools.simulators.events import delete_request

EVENTS = Path(__file__).parents[2] / "events"
REQUEST_ID = "6f0d4b1a-6a4e-4f0e-9a53-0b6b0d1f7c11"
ASKED = {
    "id": "event-1",
    "detail-type": "IoT Job Cancellation Requested",
    "source": "ops",
    "detail": {"cancel": {"jobId": "a"}},
}


def told(function: Function) -> list[tuple[str, str, str]]:
    return [(each["correlationId"], each["trigger"], each["status"]) for each in function.bus.details]


def deletion(function: Function) -> dict[str, Any]:
    return delete_request("a", f"{function.server.url}/answer", {"JobId": "a"})


def lines(function: Function) -> list[str]:
    return [line["message"] for line in function.log.lines]


def count_of(metric: str, capsys: pytest.CaptureFixture[str]) -> int:
    return sum(json.loads(line).get(metric, [0])[0] for line in capsys.readouterr().out.splitlines())


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (ASKED, ("event-1", "EVENT", "SETTLED")),
        (ASKED | {"detail": {"cancel": {"jobId": "a b"}}}, ("event-1", "EVENT", "REJECTED")),
        ({"cancel": {"jobId": "gone"}}, ("c-1", "DIRECT", "SETTLED")),
        ({"what": "ever"}, ("c-1", "DIRECT", "REJECTED")),
    ],
)
def test_a_run_is_told_with_what_it_returns(
    event: dict[str, Any], expected: tuple[str, str, str], function: Function
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    report = function(event)
    (detail,) = function.bus.details
    assert (detail["trigger"], detail["status"]) == expected[1:]
    assert detail["correlationId"] == expected[0] or expected[0] == "c-1"
    assert {key: detail[key] for key in report} == report
    assert {(entry["Source"], entry["DetailType"]) for entry in function.bus.entries} == {
        ("iot-job-canceler", "IoT Job Cancellation Report")
    }


def test_a_deletion_is_told_after_it_was_answered(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    answered: list[int] = []
    function.bus.fault = lambda: answered.append(len(function.answers))
    function(deletion(function))
    assert (told(function), answered) == ([("request-1", "TEARDOWN", "SETTLED")], [1])


def test_an_answer_that_did_not_arrive_is_told_and_raised(function: Function) -> None:
    function.server.script = [403]
    with pytest.raises(ResponseUndelivered):
        function(deletion(function))
    assert told(function) == [("request-1", "TEARDOWN", "SETTLED")]


def test_each_delivery_of_an_event_tells_what_it_did_once_the_event_is_safe_on_the_backlog(function: Function) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.jobs.fault = failing("CancelJob", throttled, times=2)
    safe: list[int] = []
    function.bus.fault = lambda: safe.append(len(function.sqs.messages))
    function(ASKED)
    function.drain()
    assert told(function) == [
        *[("event-1", "EVENT", "UNFINISHED")] * 2,
        ("event-1", "EVENT", "SETTLED"),
    ]
    assert safe == [1, 1, 1]


def test_what_asks_for_nothing_is_not_told(function: Function) -> None:
    function(json.loads((EVENTS / "alarm-to-ok.json").read_text()))
    assert function.bus.entries == []


@pytest.mark.parametrize("source", ["iot-job-canceler", "ops", "aws.events"])
def test_a_report_starts_nothing_and_no_other_report(source: str, function: Function) -> None:
    """Or a rule that takes too much would have the function talk to itself for ever."""
    function.jobs.jobs["firmware-2026-11"] = FakeJob()
    report = function(json.loads((EVENTS / "canceler-report.json").read_text()) | {"source": source})
    assert report["status"] == "IGNORED"
    assert (function.jobs.calls, function.bus.entries, function.sqs.messages) == ([], [], [])


def test_what_the_function_tells_is_what_it_ignores(function: Function) -> None:
    function(ASKED)
    (entry,) = function.bus.entries
    event = {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}
    assert function(event)["status"] == "IGNORED"


@pytest.mark.parametrize("event", [ASKED, None], ids=["event", "deletion"])
def test_a_report_that_the_bus_does_not_take_changes_nothing_else(
    event: dict[str, Any] | None, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.jobs.jobs["a"] = FakeJob()
    function.bus.refusal = ("ThrottlingException", "slow down")
    assert function(event or deletion(function))["counts"] == {"CANCELED": 1}
    assert lines(function)[-1] == "failed to publish the complete report to EventBridge: ThrottlingException: slow down"
    assert count_of("ReportsUnpublished", capsys) == 1


def test_neither_does_one_that_can_not_be_sent(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    def refuses() -> None:
        raise ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "PutEvents")

    function.bus.fault = refuses
    assert function(ASKED)["status"] == "SETTLED"
    assert lines(function)[-1].startswith(
        "failed to publish the complete report to EventBridge: An error occurred (AccessDenied"
    )
    assert count_of("ReportsUnpublished", capsys) == 1


def test_a_report_that_is_told_is_not_counted(function: Function, capsys: pytest.CaptureFixture[str]) -> None:
    function(ASKED)
    assert count_of("ReportsUnpublished", capsys) == 0


@pytest.mark.parametrize(("seconds", "is_told"), [(5.0, True), (4.999, False)])
def test_nothing_is_sent_that_the_invocation_may_not_live_to_see(
    seconds: float, is_told: bool, function: Function
) -> None:
    function({"what": "ever"}, seconds)
    assert len(function.bus.entries) == (1 if is_told else 0)
