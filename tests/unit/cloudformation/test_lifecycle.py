"""Each known fault of crhelper 2.0.12, shown to be mended; over a real HTTP server where the network matters."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, override

import pytest

from handler.cancellation.report import Report, RunStatus, Trigger
from handler.cloudformation import response as respond
from handler.cloudformation.lifecycle import SEND_RESERVE, TEARDOWN_RESERVE, TIMER_RESERVE, Lifecycle
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.response import Responder
from handler.cloudformation.teardown import Response
from handler.errors import ResponseUndelivered
from tests.conftest import Function
from tests.support.fakes import FakeClock, FakeContext, FakeJob, Hook, denied
from tests.support.response_url import ResponseServer, ResponseUrl, Step, closed_port_url

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f"
MARK = "failed-create:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown"
WHERE = " (log group /aws/lambda/canceler, correlation_id request-1)"
OUT_OF_TIME = "the invocation ran out of time before every job was settled"
IDS = {"StackId": STACK, "RequestId": "request-1", "LogicalResourceId": "Teardown"}
SECRET = "X-Amz-Signature=0123456789abcdef"


@dataclass
class Bench:
    """CustomResources on one server, and what they counted."""

    server: ResponseServer
    responder: Responder
    clock: FakeClock
    counted: list[str]

    def resource(
        self, request_type: Any = "Delete", url: str | None = None, **properties: str
    ) -> CustomResourceRequest:
        physical_id = None if request_type == "Create" else "job-1"
        target = f"{url or self.server.url}/answer?{SECRET}"
        named = {"JobId": "job-1", **properties}
        return CustomResourceRequest(request_type, target, "request-1", STACK, "Teardown", physical_id, named)

    def answer(
        self, resource: CustomResourceRequest, decide: Callable[[], Response], seconds: float = 300
    ) -> tuple[Response, str]:
        custom_resource = Lifecycle(resource, self.responder, self.counted.append, "/aws/lambda/canceler", self.clock)
        return custom_resource.answer(FakeContext(self.clock, seconds), decide)

    @property
    def answers(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.server.received]


@pytest.fixture
def bench(server: ResponseServer, responder: Responder, clock: FakeClock) -> Bench:
    return Bench(server, responder, clock, [])


def verdict(status: Any = "SUCCESS", physical_id: str = "job-1", reason: str = "", **data: str) -> Response:
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN)
    return Response(status, physical_id, report, reason, data)


# The ordinary life cycle


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_every_request_is_answered_once_with_what_was_decided(request_type: str, bench: Bench) -> None:
    decided = verdict(JobId="job-1", Force="false")
    assert bench.answer(bench.resource(request_type), lambda: decided) == (decided, "")
    assert bench.answers == [
        {
            "Status": "SUCCESS",
            "Reason": "",
            "PhysicalResourceId": "job-1",
            **IDS,
            "Data": {"JobId": "job-1", "Force": "false"},
            "NoEcho": False,
        }
    ]
    assert bench.counted == []


def test_a_failure_is_answered_with_its_reason_and_where_to_look(bench: Bench) -> None:
    bench.answer(bench.resource(), lambda: verdict("FAILED", reason="job job-1 FAILED: no"))
    assert bench.answers == [
        {
            "Status": "FAILED",
            "Reason": "job job-1 FAILED: no" + WHERE,
            "PhysicalResourceId": "job-1",
            **IDS,
            "Data": {},
            "NoEcho": False,
        }
    ]


# Delivery


@pytest.mark.parametrize("status", [403, 500, 503])
def test_an_error_status_is_not_delivery(status: int, bench: Bench) -> None:
    bench.server.script = [status]
    assert bench.answer(bench.resource(), verdict) == (verdict(), f"HTTP {status}")
    assert len(bench.answers) == 6
    assert bench.counted == ["ResponsesUndelivered"]


def test_an_error_and_then_a_success_delivers_once(bench: Bench) -> None:
    bench.server.script = [500, 200]
    assert bench.answer(bench.resource(), verdict) == (verdict(), "")
    assert len(bench.answers) == 2
    assert bench.answers[0] == bench.answers[1]
    assert bench.counted == []


def test_an_unreachable_url_is_not_tried_for_ever(bench: Bench) -> None:
    assert bench.answer(bench.resource(url=closed_port_url()), verdict) == (verdict(), "NewConnectionError")
    assert bench.counted == ["ResponsesUndelivered"]


@pytest.fixture
def short_read_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundredth of a second or two, so that a test of a URL that never answers need not wait for seconds."""
    monkeypatch.setattr(respond, "_READ_TIMEOUT", 0.02)


@pytest.mark.usefixtures("short_read_timeout")
@pytest.mark.parametrize("step", ["HANG", "SLOW_HEADERS"])
def test_a_hanging_url_is_bounded_and_answered_once(step: Step, bench: Bench) -> None:
    bench.server.script = [step]
    assert bench.answer(bench.resource(), verdict) == (verdict(), "ReadTimeoutError")
    assert bench.server.arrived.wait(10)
    assert {(answer["Status"], answer["PhysicalResourceId"]) for answer in bench.answers} == {("SUCCESS", "job-1")}


def test_an_answer_that_takes_long_is_given_up_before_the_invocation_ends(bench: Bench) -> None:
    bench.server.script = [500]

    def decide() -> Response:
        bench.clock.now += 293  # 7 s are left, 6 of them for sending: waits of 1 and 2 s fit, another of 4 s does not
        return verdict()

    assert bench.answer(bench.resource(), decide) == (verdict(), "HTTP 500")
    assert len(bench.answers) == 3


def test_an_error_while_sending_is_never_taken_for_success(bench: Bench) -> None:
    def broken(_seconds: float) -> None:
        raise ZeroDivisionError

    bench.responder = Responder(bench.responder.http, broken, lambda _least, most: most)
    with pytest.raises(ZeroDivisionError):
        bench.answer(bench.resource(), verdict)
    assert bench.answers == []


# Ids


@pytest.mark.parametrize(("request_type", "physical_id"), [("Create", MARK), ("Update", "job-1"), ("Delete", "job-1")])
def test_the_id_is_never_empty_on_failure(request_type: str, physical_id: str, bench: Bench) -> None:
    def decide() -> Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.answer(bench.resource(request_type), decide)
    assert [answer["PhysicalResourceId"] for answer in bench.answers] == [physical_id]


def test_an_empty_id_from_a_decision_gives_way_to_the_resources_own(bench: Bench) -> None:
    bench.answer(bench.resource(), lambda: verdict(physical_id=""))
    assert [answer["PhysicalResourceId"] for answer in bench.answers] == ["job-1"]


CREATE_DUPLICATES = [{"JobId": "job-1"}, {"JobId": "job-1", "Force": "nonsense"}, {}]


@pytest.mark.parametrize("properties", CREATE_DUPLICATES)
@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_duplicates_are_all_answered_and_say_the_same(
    request_type: str, properties: dict[str, str], function: Function
) -> None:
    function.jobs.jobs["job-1"] = FakeJob()
    event = raw(function.server, request_type) | {"ResourceProperties": properties}
    for _ in range(3):
        function(event)
    answers = function.answers
    assert len(answers) == 3
    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize(
    "physical_id", ["job-1", MARK, "firmware-dev-Teardown-1ABCDEFGHIJKL", "no job id at all", "x" * 65]
)
@pytest.mark.parametrize("named", ["job-1", "job-2", ""])
def test_delete_never_changes_the_id(physical_id: str, named: str, function: Function) -> None:
    event = raw(function.server, "Delete") | {"PhysicalResourceId": physical_id, "ResourceProperties": {"JobId": named}}
    function(event)
    assert [answer["PhysicalResourceId"] for answer in function.answers] == [physical_id]


# What waits


def waiting() -> Response:
    return replace(verdict("FAILED", reason="later"), waits=True)


def test_a_verdict_that_waits_is_not_answered(bench: Bench) -> None:
    assert bench.answer(bench.resource(), waiting) == (waiting(), "")
    assert bench.answers == []
    assert bench.counted == []
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


def test_a_verdict_that_waits_when_the_timer_has_answered_waits_no_more(bench: Bench) -> None:
    """Or the event would go to the backlog, and CloudFormation would be answered again."""
    decided, problem = bench.answer(bench.resource(), late(bench, waiting), seconds=TIMER_RESERVE)
    assert (decided.waits, decided.report.status, problem) == (False, RunStatus.UNSETTLED, "")
    assert decided.report.reason.endswith(OUT_OF_TIME)
    assert [answer["Status"] for answer in bench.answers] == ["FAILED"]


# Size, and what may not reach the next request


@pytest.mark.parametrize("character", ["x", "é", "€", "😀", '"', "\x00"])
def test_the_whole_answer_is_at_most_4096_bytes(character: str, bench: Bench) -> None:
    bench.answer(bench.resource(), lambda: verdict("FAILED", reason=character * 9000))
    (request,) = bench.server.received
    (answer,) = bench.answers
    assert len(request.body) <= 4096
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith(character)
    assert {key: answer[key] for key in IDS} == IDS


def test_a_long_reason_leaves_room_for_where_to_look(bench: Bench) -> None:
    bench.answer(bench.resource(), lambda: verdict("FAILED", reason="x" * 9000))
    (request,) = bench.server.received
    (answer,) = bench.answers
    assert answer["Reason"].endswith("x..." + WHERE)
    assert 4080 < len(request.body) <= 4096


def test_no_echo_and_data_do_not_leak_into_the_next_request(bench: Bench) -> None:
    first = Lifecycle(bench.resource(), bench.responder, bench.counted.append, "/log", bench.clock)
    first.NoEcho = True  # type: ignore[attr-defined]
    first.answer(FakeContext(bench.clock), lambda: verdict("FAILED", reason="secret", Secret="1"))
    bench.answer(bench.resource("Create"), verdict)
    assert (bench.answers[0]["NoEcho"], bench.answers[0]["Data"]) == (False, {"Secret": "1"})
    assert (bench.answers[1]["Status"], bench.answers[1]["Reason"]) == ("SUCCESS", "")
    assert (bench.answers[1]["NoEcho"], bench.answers[1]["Data"]) == (False, {})


def test_nothing_is_polled_and_no_client_is_made(bench: Bench) -> None:
    custom_resource = Lifecycle(bench.resource(), bench.responder, bench.counted.append, "/log", bench.clock)
    assert {"_lambda_client", "_events_client", "_logs_client"}.isdisjoint(vars(custom_resource))


def test_no_logger_is_set_to_debug(bench: Bench) -> None:
    loggers = [logging.getLogger(name) for name in (None, "boto3", "botocore", "urllib3")]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    bench.answer(bench.resource(), verdict)
    assert [logger.level for logger in loggers] == [logging.WARNING] * 4


def test_an_answer_to_a_delete_is_not_put_off(bench: Bench) -> None:
    """Crhelper sleeps 120 s before it answers, if the invocation lasts longer; a real sleep would stall this test."""
    bench.answer(bench.resource(), verdict, seconds=900)
    assert len(bench.answers) == 1
    assert bench.clock.slept == [0.0]


# The timer. Real, and due at once: the invocation ends in exactly the seconds that the timer leaves.


def late(bench: Bench, then: Callable[[], Response]) -> Callable[[], Response]:
    """A decision that is made only after the timer's answer has arrived."""

    def decide() -> Response:
        assert bench.server.arrived.wait(10)
        return then()

    return decide


@pytest.mark.parametrize(
    ("request_type", "on_incomplete", "status", "physical_id"),
    [
        ("Create", "FAIL", "FAILED", MARK),
        ("Update", "FAIL", "FAILED", "job-1"),
        ("Delete", "FAIL", "FAILED", "job-1"),
        ("Delete", "CONTINUE", "SUCCESS", "job-1"),
        ("Create", "CONTINUE", "FAILED", MARK),
    ],
)
def test_the_timer_answers_with_the_events_own_id_and_the_late_answer_is_not_sent(
    request_type: str, on_incomplete: str, status: str, physical_id: str, bench: Bench
) -> None:
    resource = bench.resource(request_type, OnIncomplete=on_incomplete)
    decided = verdict(JobId="job-1")
    assert bench.answer(resource, late(bench, lambda: decided), seconds=TIMER_RESERVE) == (decided, "")
    assert bench.answers == [
        {
            "Status": status,
            "Reason": OUT_OF_TIME + WHERE,
            "PhysicalResourceId": physical_id,
            **IDS,
            "Data": {},
            "NoEcho": False,
        }
    ]
    assert bench.counted == ["TeardownsOutOfTime"]


def test_an_invocation_that_starts_late_is_answered_at_once(bench: Bench) -> None:
    bench.answer(bench.resource(), late(bench, verdict), seconds=3)
    assert [answer["Status"] for answer in bench.answers] == ["FAILED"]


def test_the_function_returns_only_when_the_timers_answer_is_delivered(bench: Bench) -> None:
    bench.server.script = [500, 500, 200]
    assert bench.answer(bench.resource(), late(bench, verdict), seconds=TIMER_RESERVE) == (verdict(), "")
    assert len(bench.answers) == 3


def test_a_timers_answer_that_is_not_delivered_is_told(bench: Bench) -> None:
    bench.server.script = [503]
    decided, problem = bench.answer(bench.resource(), late(bench, verdict), seconds=TIMER_RESERVE)
    assert (decided, problem) == (verdict(), "HTTP 503")
    assert bench.counted == ["ResponsesUndelivered", "TeardownsOutOfTime"]


def test_a_timers_answer_that_breaks_off_is_told(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    broke_off = threading.Event()

    def broken(_seconds: float) -> None:
        broke_off.set()
        raise ZeroDivisionError

    def decide() -> Response:
        assert broke_off.wait(10)
        return verdict()

    monkeypatch.setattr(threading, "excepthook", lambda _arguments: None)
    bench.responder = Responder(bench.responder.http, broken, lambda _least, most: most)
    assert bench.answer(bench.resource(), decide, seconds=TIMER_RESERVE) == (verdict(), "the sending broke off")


def test_a_decision_that_fails_after_the_timers_answer_is_raised_and_not_answered_again(bench: Bench) -> None:
    def fail() -> Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.answer(bench.resource(), late(bench, fail), seconds=TIMER_RESERVE)
    assert [answer["Status"] for answer in bench.answers] == ["FAILED"]


class WatchedLock:
    """Notes whether the request counted as answered when the lock was taken, and when it was given back."""

    def __init__(self, custom_resource: Lifecycle) -> None:
        self.seen: list[bool] = []
        self._custom_resource = custom_resource

    def __enter__(self) -> None:
        self.seen.append(self._custom_resource._answered)

    def __exit__(self, *_: object) -> None:
        self.seen.append(self._custom_resource._answered)


def test_the_answer_is_claimed_under_the_lock_for_the_timer_is_another_thread(bench: Bench) -> None:
    custom_resource = Lifecycle(bench.resource(), bench.responder, bench.counted.append, "/log", bench.clock)
    custom_resource._lock = lock = WatchedLock(custom_resource)  # type: ignore[assignment]
    assert [custom_resource._claim(), custom_resource._claim()] == [True, False]
    assert lock.seen == [False, True, True, True]


def test_a_timer_that_comes_after_the_answer_says_nothing(bench: Bench) -> None:
    custom_resource = Lifecycle(bench.resource(), bench.responder, bench.counted.append, "/log", bench.clock)
    custom_resource.answer(FakeContext(bench.clock), verdict)
    custom_resource._timeout()
    assert (len(bench.answers), bench.counted) == (1, [])


def test_the_timer_does_not_outlive_the_answer(bench: Bench) -> None:
    before = threading.active_count()
    bench.answer(bench.resource(), verdict)
    assert not [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]
    assert threading.active_count() <= before + 1  # the server's own


def test_the_work_stops_before_the_timer_and_the_timer_before_the_end() -> None:
    assert TEARDOWN_RESERVE > TIMER_RESERVE > SEND_RESERVE > 0
    assert TIMER_RESERVE - SEND_RESERVE > 2 + 3, "time for one attempt: 2 s to connect and 3 s to be answered"


@pytest.mark.parametrize(("seconds", "delay"), [(300, 293.5), (7, 0.5), (6.5, 0), (3, 0)])
def test_the_timer_leaves_seconds_to_send_in(
    seconds: float, delay: float, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays = []

    class Timer(threading.Timer):
        def __init__(self, interval: float, function: Callable[[], None]) -> None:
            delays.append(interval)
            super().__init__(3600, function)

    monkeypatch.setattr(threading, "Timer", Timer)
    bench.answer(bench.resource(), verdict, seconds)
    assert delays == [delay]


# Unexpected errors


def test_an_unexpected_error_is_answered_without_its_text_and_raised(bench: Bench) -> None:
    def decide() -> Response:
        raise ZeroDivisionError("secret text")

    with pytest.raises(ZeroDivisionError, match="secret text"):
        bench.answer(bench.resource(), decide)
    assert [(answer["Status"], answer["Reason"]) for answer in bench.answers] == [
        ("FAILED", "unexpected ZeroDivisionError" + WHERE)
    ]


def test_an_unexpected_error_fails_even_a_delete_that_would_go_on(bench: Bench) -> None:
    def decide() -> Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.answer(bench.resource(OnIncomplete="CONTINUE"), decide)
    assert [answer["Status"] for answer in bench.answers] == ["FAILED"]


def test_an_error_of_one_request_does_not_stick_to_the_next(bench: Bench) -> None:
    test_an_unexpected_error_is_answered_without_its_text_and_raised(bench)
    assert bench.answer(bench.resource(), verdict) == (verdict(), "")
    assert [answer["Status"] for answer in bench.answers] == ["FAILED", "SUCCESS"]


@pytest.mark.parametrize("step", ["__init__", "start"])
def test_an_error_of_crhelper_or_python_itself_is_answered_with_the_id_and_raised(
    step: str, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_threads(*_args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, step, no_threads)
    with pytest.raises((RuntimeError, IndexError)):
        bench.answer(bench.resource(), verdict)
    assert [(answer["Status"], answer["PhysicalResourceId"]) for answer in bench.answers] == [("FAILED", "job-1")]


# Through the entry point: what comes before and after the life cycle


def raw(server: ResponseUrl, request_type: str = "Delete") -> dict[str, object]:
    event: dict[str, object] = {
        "RequestType": request_type,
        "ResponseURL": f"{server.url}/answer?{SECRET}",
        "RequestId": "request-1",
        "StackId": STACK,
        "LogicalResourceId": "Teardown",
        "ResourceType": "Custom::IoTJobCancellation",
        "ResourceProperties": {"JobId": "job-1"},
    }
    return event if request_type == "Create" else event | {"PhysicalResourceId": "job-1"}


@pytest.mark.parametrize("warm", [False, True])
def test_an_event_of_another_kind_never_answers_cloudformation(warm: bool, function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob()
    if warm:
        function(raw(function.server))
    answered = len(function.server.received)
    function({"cancel": {"jobId": "job-1"}})
    function({})
    assert len(function.server.received) == answered == int(warm)


def test_an_answer_that_is_not_delivered_reaches_lambda(function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob()
    function.server.script = [403]
    with pytest.raises(ResponseUndelivered) as caught:
        function(raw(function.server))
    assert str(caught.value) == "no answer reached CloudFormation: HTTP 403"
    assert function.jobs.cancelled == ["job-1"]


@pytest.mark.parametrize(
    ("endpoint", "answered"),
    [("same", True), (None, False), ("http://127.0.0.1:1", False), ("http://example.com", False)],
)
def test_http_is_accepted_only_for_the_local_endpoint(endpoint: str | None, answered: bool, function: Function) -> None:
    function.jobs.jobs["job-1"] = FakeJob()
    function.configure(endpoint_url=function.server.url if endpoint == "same" else endpoint)
    report = function(raw(function.server))
    assert bool(function.server.received) is answered
    assert function.jobs.cancelled == (["job-1"] if answered else [])
    assert (report["status"] == "REJECTED") is not answered


# No secret in a log


class Records(logging.Handler):
    """All that reaches the root logger, with tracebacks and extra fields."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {self.format(record)} {vars(record)}")


@pytest.fixture
def records() -> Iterator[Records]:
    """The root logger at DEBUG, and all others as they are."""
    handler, root = Records(), logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)


@pytest.fixture(params=["root", "every logger"])
def at_debug(request: pytest.FixtureRequest, records: Records) -> Iterator[Records]:
    """The root logger at DEBUG, and then every logger that there is, one by one."""
    names = logging.getLogger().manager.loggerDict if request.param == "every logger" else []
    loggers = [logging.getLogger(name) for name in list(names)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield records
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def fails(_operation: str, _job_id: str) -> None:
    raise ZeroDivisionError


def is_denied(_operation: str, _job_id: str) -> None:
    raise denied()


# Request type, what the ResponseURL does, and what CancelJob does.
LOGGED: dict[str, tuple[str, Step, Hook | None]] = {
    "Create": ("Create", 200, None),
    "Update": ("Update", 200, None),
    "Delete": ("Delete", 200, None),
    "a Delete that fails": ("Delete", 200, is_denied),
    "an unexpected error": ("Delete", 200, fails),
    "an answer that is refused": ("Delete", 403, None),
    "a connection that breaks": ("Delete", "CLOSE", None),
    "a URL that never answers": ("Delete", "HANG", None),
    "a request that is rejected": ("Sideways", 200, None),
}


@pytest.mark.usefixtures("short_read_timeout")
@pytest.mark.parametrize("name", LOGGED)
def test_nothing_at_any_level_of_any_logger_holds_the_urls_query(
    name: str, at_debug: Records, function: Function, capfd: pytest.CaptureFixture[str]
) -> None:
    request_type, step, fault = LOGGED[name]
    function.jobs.jobs["job-1"], function.jobs.fault, function.server.script = FakeJob(), fault, [step]
    raised = ""
    try:
        function(raw(function.server, request_type))
    except (ZeroDivisionError, ResponseUndelivered) as error:
        raised = repr(error)
    told = "\n".join([*at_debug.lines, function.log.text, raised, *capfd.readouterr()])
    assert "X-Amz-Signature" not in told
    assert "0123456789abcdef" not in told
    assert "report" in told or "UnexpectedErrors" in told, "something was captured"


def test_nothing_is_logged_of_an_unreachable_url(at_debug: Records, function: Function) -> None:
    url = closed_port_url()
    function.configure(endpoint_url=url)
    with pytest.raises(ResponseUndelivered, match="NewConnectionError"):
        function(raw(function.server) | {"ResponseURL": f"{url}/answer?{SECRET}"})
    assert SECRET not in "\n".join([*at_debug.lines, function.log.text])


def test_crhelper_itself_logs_nothing(records: Records, bench: Bench) -> None:
    test_an_unexpected_error_is_answered_without_its_text_and_raised(bench)
    assert [line for line in records.lines if line.startswith("crhelper")] == []
