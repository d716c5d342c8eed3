"""One response to each request, in spite of the known faults of crhelper 2.0.12; over a real HTTP server."""

import json
import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, override

import pytest

from handler.cancellation.rate import Deadline
from handler.cancellation.report import Report, RunStatus, Trigger
from handler.cloudformation import response as response_module
from handler.cloudformation.lifecycle import TIMER_RESERVE, Lifecycle
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.response import Responder
from handler.cloudformation.teardown import Response
from handler.errors import ResponseUndelivered
from handler.pipeline import EVENT_RESERVE, SEND_RESERVE, TEARDOWN_RESERVE
from tests.conftest import Function
from tests.support.fakes import FakeClock, FakeContext, FakeJob, Hook, denied
from tests.support.response_url import ResponseServer, ResponseUrl, Step, closed_port_url
from tools.simulators.events import FAILED_CREATE_ID, STACK_ID, custom_resource_request

LOG_LOCATION = " (log group /aws/lambda/canceler, correlation_id request-1)"
OUT_OF_TIME = "the invocation ran out of time before every job was settled"
IDS = {"StackId": STACK_ID, "RequestId": "request-1", "LogicalResourceId": "Teardown"}
SECRET = "X-Amz-Signature=0123456789abcdef"


@dataclass
class Harness:
    """Lifecycles whose responses go to one server, and the metrics that they counted."""

    server: ResponseServer
    responder: Responder
    clock: FakeClock
    counted: list[str]

    def resource(
        self, request_type: Any = "Delete", url: str | None = None, **properties: str
    ) -> CustomResourceRequest:
        physical_id = None if request_type == "Create" else "job-1"
        target = f"{url or self.server.url}/response?{SECRET}"
        named = {"JobId": "job-1", **properties}
        return CustomResourceRequest(request_type, target, "request-1", STACK_ID, "Teardown", physical_id, named)

    def lifecycle(self, resource: CustomResourceRequest, seconds: float = 300) -> Lifecycle:
        """Return the lifecycle of `resource` in an invocation that ends in `seconds`."""
        context = FakeContext(self.clock, seconds)

        def deliver(body: bytes) -> str:
            deadline = Deadline.of_invocation(context, reserve=SEND_RESERVE, clock=self.clock)
            return self.responder.deliver(resource.response_url, body, deadline)

        return Lifecycle(resource, context, deliver, self.counted.append, "/aws/lambda/canceler")

    def dispatch(
        self, resource: CustomResourceRequest, act: Callable[[], Response], seconds: float = 300
    ) -> tuple[Response, str]:
        """Return the response that `act` returned, and why it was not delivered."""
        lifecycle = self.lifecycle(resource, seconds)
        return lifecycle.dispatch(act, act), lifecycle.delivery_error

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [json.loads(request.body) for request in self.server.received]


@pytest.fixture
def harness(server: ResponseServer, responder: Responder, clock: FakeClock) -> Harness:
    return Harness(server, responder, clock, [])


def response(status: Any = "SUCCESS", physical_id: str = "job-1", reason: str = "", **data: str) -> Response:
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN)
    return Response(status, physical_id, report, reason, data)


def fail() -> Response:
    raise ZeroDivisionError


def running_timers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if isinstance(thread, threading.Timer)]


# Dispatch


@pytest.mark.parametrize(
    ("request_type", "called"), [("Create", "validate"), ("Update", "validate"), ("Delete", "tear down")]
)
def test_the_request_type_decides_what_is_called(request_type: str, called: str, harness: Harness) -> None:
    calls: list[str] = []

    def act(name: str) -> Response:
        calls.append(name)
        return response(reason=name)

    lifecycle = harness.lifecycle(harness.resource(request_type))
    returned = lifecycle.dispatch(lambda: act("validate"), lambda: act("tear down"))
    assert (returned.reason, calls) == (called, [called])


@pytest.mark.parametrize("request_type", ["Create", "Update", "Delete"])
def test_every_request_gets_one_response(request_type: str, harness: Harness) -> None:
    returned = response(JobId="job-1", Force="false")
    assert harness.dispatch(harness.resource(request_type), lambda: returned) == (returned, "")
    assert harness.sent == [
        {
            "Status": "SUCCESS",
            "Reason": "",
            "PhysicalResourceId": "job-1",
            **IDS,
            "Data": {"JobId": "job-1", "Force": "false"},
            "NoEcho": False,
        }
    ]
    assert harness.counted == []


def test_failed_is_sent_with_the_reason_and_the_log_location(harness: Harness) -> None:
    harness.dispatch(harness.resource(), lambda: response("FAILED", reason="job job-1 FAILED: no"))
    assert harness.sent == [
        {
            "Status": "FAILED",
            "Reason": "job job-1 FAILED: no" + LOG_LOCATION,
            "PhysicalResourceId": "job-1",
            **IDS,
            "Data": {},
            "NoEcho": False,
        }
    ]


# Delivery


@pytest.mark.parametrize("status", [403, 500, 503])
def test_an_error_status_is_not_delivery(status: int, harness: Harness) -> None:
    harness.server.script = [status]
    assert harness.dispatch(harness.resource(), response) == (response(), f"HTTP {status}")
    assert len(harness.sent) == 6
    assert harness.counted == ["ResponsesUndelivered"]


@pytest.fixture
def short_read_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a URL that does not respond costs a test no seconds."""
    monkeypatch.setattr(response_module, "_READ_TIMEOUT_SECONDS", 0.02)


@pytest.mark.usefixtures("short_read_timeout")
@pytest.mark.parametrize("step", ["HANG", "SLOW_HEADERS"])
def test_a_url_that_hangs_gets_no_second_response(step: Step, harness: Harness) -> None:
    harness.server.script = [step]
    assert harness.dispatch(harness.resource(), response) == (response(), "ReadTimeoutError")
    assert harness.server.arrived.wait(10)
    assert {(sent["Status"], sent["PhysicalResourceId"]) for sent in harness.sent} == {("SUCCESS", "job-1")}


def test_an_error_while_sending_is_raised(harness: Harness) -> None:
    def broken(_seconds: float) -> None:
        raise ZeroDivisionError

    harness.responder = Responder(harness.responder.http, broken, lambda _least, most: most)
    with pytest.raises(ZeroDivisionError):
        harness.dispatch(harness.resource(), response)
    assert harness.sent == []


# Ids


@pytest.mark.parametrize(
    ("request_type", "physical_id"), [("Create", FAILED_CREATE_ID), ("Update", "job-1"), ("Delete", "job-1")]
)
def test_the_physical_id_is_never_empty_on_failure(request_type: str, physical_id: str, harness: Harness) -> None:
    with pytest.raises(ZeroDivisionError):
        harness.dispatch(harness.resource(request_type), fail)
    assert [sent["PhysicalResourceId"] for sent in harness.sent] == [physical_id]


def test_an_empty_physical_id_is_replaced_by_that_of_the_resource(harness: Harness) -> None:
    harness.dispatch(harness.resource(), lambda: response(physical_id=""))
    assert [sent["PhysicalResourceId"] for sent in harness.sent] == ["job-1"]


# Postponed responses


def test_a_postponed_response_is_not_sent(harness: Harness) -> None:
    lifecycle = harness.lifecycle(harness.resource())

    def tear_down() -> Response:
        assert lifecycle.claim()
        lifecycle.postpone()
        return response("FAILED", reason="later")

    assert lifecycle.dispatch(response, tear_down) == response("FAILED", reason="later")
    assert lifecycle.delivery_error == ""
    assert (harness.sent, harness.counted) == ([], [])
    assert not running_timers()


def test_a_claimed_response_is_sent_unless_it_is_postponed(harness: Harness) -> None:
    lifecycle = harness.lifecycle(harness.resource())

    def tear_down() -> Response:
        assert lifecycle.claim()
        return response()

    assert lifecycle.dispatch(response, tear_down) == response()
    assert [sent["Status"] for sent in harness.sent] == ["SUCCESS"]


def test_the_timer_does_not_respond_once_the_handler_has_claimed_the_response(harness: Harness) -> None:
    lifecycle = harness.lifecycle(harness.resource())

    def tear_down() -> Response:
        assert lifecycle.claim()
        lifecycle._timeout()
        lifecycle.postpone()
        return response()

    lifecycle.dispatch(response, tear_down)
    assert (harness.sent, harness.counted) == ([], [])


def test_the_handler_cannot_claim_the_response_once_the_timer_has_responded(harness: Harness) -> None:
    """Otherwise the event would be enqueued, and CloudFormation would receive a second response."""
    lifecycle = harness.lifecycle(harness.resource(), TIMER_RESERVE)
    claims: list[bool] = []

    def tear_down() -> Response:
        claims.append(lifecycle.claim())
        return response()

    lifecycle.dispatch(response, late(harness, tear_down))
    assert claims == [False]
    assert [(sent["Status"], sent["Reason"]) for sent in harness.sent] == [("FAILED", OUT_OF_TIME + LOG_LOCATION)]


def test_an_error_after_the_claim_is_raised_and_not_sent(harness: Harness) -> None:
    """The event is redelivered, and a later delivery responds."""
    lifecycle = harness.lifecycle(harness.resource())

    def tear_down() -> Response:
        assert lifecycle.claim()
        return fail()

    with pytest.raises(ZeroDivisionError):
        lifecycle.dispatch(response, tear_down)
    assert (harness.sent, harness.counted) == ([], [])


# Size, and isolation from the next request


def test_a_long_reason_leaves_room_for_the_log_location(harness: Harness) -> None:
    harness.dispatch(harness.resource(), lambda: response("FAILED", reason="x" * 9000))
    (request,) = harness.server.received
    (sent,) = harness.sent
    assert sent["Reason"].endswith("x..." + LOG_LOCATION)
    assert 4080 < len(request.body) <= 4096


def test_no_echo_and_data_do_not_reach_the_next_request(harness: Harness) -> None:
    first = harness.lifecycle(harness.resource())
    first.NoEcho = True  # type: ignore[attr-defined]
    first.dispatch(response, lambda: response("FAILED", reason="secret", Secret="1"))
    harness.dispatch(harness.resource("Create"), response)
    assert (harness.sent[0]["NoEcho"], harness.sent[0]["Data"]) == (False, {"Secret": "1"})
    assert (harness.sent[1]["Status"], harness.sent[1]["Reason"]) == ("SUCCESS", "")
    assert (harness.sent[1]["NoEcho"], harness.sent[1]["Data"]) == (False, {})


def test_no_client_is_created_for_polling(harness: Harness) -> None:
    lifecycle = harness.lifecycle(harness.resource())
    assert {"_lambda_client", "_events_client", "_logs_client"}.isdisjoint(vars(lifecycle))


def test_no_log_level_becomes_debug(harness: Harness) -> None:
    loggers = [logging.getLogger(name) for name in (None, "boto3", "botocore", "urllib3")]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    harness.dispatch(harness.resource(), response)
    assert [logger.level for logger in loggers] == [logging.WARNING] * 4


def test_the_response_to_a_delete_is_sent_at_once(harness: Harness) -> None:
    """Crhelper sleeps for 120 s first, if the invocation lasts longer; a real sleep would stall this test."""
    harness.dispatch(harness.resource(), response, seconds=900)
    assert len(harness.sent) == 1
    assert harness.clock.slept == [0.0]


# The timer. It is a real one, and due at once: the invocation ends in exactly TIMER_RESERVE seconds.


def late(harness: Harness, act: Callable[[], Response]) -> Callable[[], Response]:
    """Return a function that calls `act` when the response of the timer has arrived."""

    def act_late() -> Response:
        assert harness.server.arrived.wait(10)
        return act()

    return act_late


@pytest.mark.parametrize(
    ("request_type", "on_incomplete", "status", "physical_id"),
    [
        ("Create", "FAIL", "FAILED", FAILED_CREATE_ID),
        ("Update", "FAIL", "FAILED", "job-1"),
        ("Delete", "FAIL", "FAILED", "job-1"),
        ("Delete", "CONTINUE", "SUCCESS", "job-1"),
        ("Create", "CONTINUE", "FAILED", FAILED_CREATE_ID),
    ],
)
def test_the_timer_responds_and_the_late_response_is_not_sent(
    request_type: str, on_incomplete: str, status: str, physical_id: str, harness: Harness
) -> None:
    resource = harness.resource(request_type, OnIncomplete=on_incomplete)
    returned = response(JobId="job-1")
    assert harness.dispatch(resource, late(harness, lambda: returned), seconds=TIMER_RESERVE) == (returned, "")
    assert harness.sent == [
        {
            "Status": status,
            "Reason": OUT_OF_TIME + LOG_LOCATION,
            "PhysicalResourceId": physical_id,
            **IDS,
            "Data": {},
            "NoEcho": False,
        }
    ]
    assert harness.counted == ["TeardownsOutOfTime"]


def test_the_timer_is_due_at_once_if_the_invocation_starts_late(harness: Harness) -> None:
    harness.dispatch(harness.resource(), late(harness, response), seconds=3)
    assert [sent["Status"] for sent in harness.sent] == ["FAILED"]


def test_dispatch_returns_when_the_response_of_the_timer_is_delivered(harness: Harness) -> None:
    harness.server.script = [500, 500, 200]
    assert harness.dispatch(harness.resource(), late(harness, response), seconds=TIMER_RESERVE) == (response(), "")
    assert len(harness.sent) == 3


def test_an_undelivered_response_of_the_timer_is_reported(harness: Harness) -> None:
    harness.server.script = [503]
    dispatched = harness.dispatch(harness.resource(), late(harness, response), seconds=TIMER_RESERVE)
    assert dispatched == (response(), "HTTP 503")
    assert harness.counted == ["ResponsesUndelivered", "TeardownsOutOfTime"]


def test_an_error_in_the_timer_is_reported(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    broke_off = threading.Event()

    def broken(_seconds: float) -> None:
        broke_off.set()
        raise ZeroDivisionError

    def act() -> Response:
        assert broke_off.wait(10)
        return response()

    monkeypatch.setattr(threading, "excepthook", lambda _arguments: None)
    harness.responder = Responder(harness.responder.http, broken, lambda _least, most: most)
    assert harness.dispatch(harness.resource(), act, seconds=TIMER_RESERVE) == (
        response(),
        "the request to ResponseURL was interrupted",
    )


def test_an_error_after_the_response_of_the_timer_is_raised(harness: Harness) -> None:
    with pytest.raises(ZeroDivisionError):
        harness.dispatch(harness.resource(), late(harness, fail), seconds=TIMER_RESERVE)
    assert [sent["Status"] for sent in harness.sent] == ["FAILED"]


class WatchedLock:
    """Records the claimant whenever the lock is acquired or released."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        self.claimants: list[str | None] = []
        self._lifecycle = lifecycle

    def __enter__(self) -> None:
        self.claimants.append(self._lifecycle._claimant)

    def __exit__(self, *_: object) -> None:
        self.claimants.append(self._lifecycle._claimant)


def test_the_response_is_claimed_under_the_lock(harness: Harness) -> None:
    """The timer is another thread."""
    lifecycle = harness.lifecycle(harness.resource())
    lifecycle._lock = lock = WatchedLock(lifecycle)  # type: ignore[assignment]
    assert [lifecycle.claim(), lifecycle._claim("timer"), lifecycle.claim()] == [True, False, True]
    assert lock.claimants == [None, "handler", "handler", "handler", "handler", "handler"]


def test_a_timer_after_the_response_sends_nothing(harness: Harness) -> None:
    lifecycle = harness.lifecycle(harness.resource())
    lifecycle.dispatch(response, response)
    lifecycle._timeout()
    assert (len(harness.sent), harness.counted) == (1, [])


def test_the_timer_ends_with_the_response(harness: Harness) -> None:
    before = threading.active_count()
    harness.dispatch(harness.resource(), response)
    assert not running_timers()
    assert threading.active_count() <= before + 1  # the server's own


def test_the_run_ends_before_the_timer_and_the_timer_before_the_invocation() -> None:
    assert (EVENT_RESERVE, TEARDOWN_RESERVE, TIMER_RESERVE, SEND_RESERVE) == (12, 17, 6.5, 1)
    assert TEARDOWN_RESERVE - TIMER_RESERVE > 10, "time to enqueue the request"
    assert TIMER_RESERVE - SEND_RESERVE > 2 + 3, "time for one attempt: 2 s to connect and 3 s to read"


@pytest.mark.parametrize(("seconds", "delay"), [(300, 293.5), (7, 0.5), (6.5, 0), (3, 0)])
def test_the_timer_is_due_6500_ms_before_the_end(
    seconds: float, delay: float, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    delays = []

    class Timer(threading.Timer):
        def __init__(self, interval: float, function: Callable[[], None]) -> None:
            delays.append(interval)
            super().__init__(3600, function)

    monkeypatch.setattr(threading, "Timer", Timer)
    harness.dispatch(harness.resource(), response, seconds)
    assert delays == [delay]


# Unexpected errors


def test_an_unexpected_error_is_sent_without_its_text_and_raised(harness: Harness) -> None:
    def act() -> Response:
        raise ZeroDivisionError("secret text")

    with pytest.raises(ZeroDivisionError, match="secret text"):
        harness.dispatch(harness.resource(), act)
    assert [(sent["Status"], sent["Reason"]) for sent in harness.sent] == [
        ("FAILED", "unexpected ZeroDivisionError" + LOG_LOCATION)
    ]


def test_an_unexpected_error_fails_a_delete_with_continue_too(harness: Harness) -> None:
    with pytest.raises(ZeroDivisionError):
        harness.dispatch(harness.resource(OnIncomplete="CONTINUE"), fail)
    assert [sent["Status"] for sent in harness.sent] == ["FAILED"]


@pytest.mark.parametrize("step", ["__init__", "start"])
def test_an_error_outside_the_callable_is_sent_and_raised(
    step: str, harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_threads(*_args: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Timer, step, no_threads)
    with pytest.raises((RuntimeError, IndexError)):
        harness.dispatch(harness.resource(), response)
    assert [(sent["Status"], sent["PhysicalResourceId"]) for sent in harness.sent] == [("FAILED", "job-1")]


def test_an_error_while_crhelper_is_created_is_sent_and_raised(harness: Harness) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr("crhelper.log_helper.setup")
        lifecycle = harness.lifecycle(harness.resource())
    with pytest.raises(AttributeError, match="setup"):
        lifecycle.dispatch(response, response)
    assert [(sent["Status"], sent["PhysicalResourceId"]) for sent in harness.sent] == [("FAILED", "job-1")]


# Through the entry point


def payload(server: ResponseUrl, request_type: str = "Delete") -> dict[str, object]:
    physical_id = None if request_type == "Create" else "job-1"
    return custom_resource_request(request_type, physical_id, f"{server.url}/response?{SECRET}", {"JobId": "job-1"})


# No secret in a log


class Records(logging.Handler):
    """Every record that reaches the root logger, with its traceback and extra fields."""

    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {self.format(record)} {vars(record)}")


@pytest.fixture
def records() -> Iterator[Records]:
    """Set the root logger to DEBUG, and leave all others as they are."""
    handler, root = Records(), logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)


@pytest.fixture(params=["root", "every logger"])
def at_debug(request: pytest.FixtureRequest, records: Records) -> Iterator[Records]:
    """Set the root logger to DEBUG, and then every existing logger."""
    names = logging.getLogger().manager.loggerDict if request.param == "every logger" else []
    loggers = [logging.getLogger(name) for name in list(names)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    yield records
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def crashes(_operation: str, _job_id: str) -> None:
    raise ZeroDivisionError


def is_denied(_operation: str, _job_id: str) -> None:
    raise denied()


# Request type, behavior of the ResponseURL, and fault of the IoT API.
LOGGED: dict[str, tuple[str, Step, Hook | None]] = {
    "Create": ("Create", 200, None),
    "Update": ("Update", 200, None),
    "Delete": ("Delete", 200, None),
    "a Delete that fails": ("Delete", 200, is_denied),
    "an unexpected error": ("Delete", 200, crashes),
    "a response that is refused": ("Delete", 403, None),
    "a connection that breaks": ("Delete", "CLOSE", None),
    "a URL that hangs": ("Delete", "HANG", None),
    "a request that is rejected": ("Sideways", 200, None),
}


@pytest.mark.usefixtures("short_read_timeout")
@pytest.mark.parametrize("name", LOGGED)
def test_no_log_contains_the_query_of_the_response_url(
    name: str, at_debug: Records, function: Function, capfd: pytest.CaptureFixture[str]
) -> None:
    request_type, step, fault = LOGGED[name]
    function.jobs.jobs["job-1"], function.jobs.fault, function.server.script = FakeJob(), fault, [step]
    raised = ""
    try:
        function(payload(function.server, request_type))
    except (ZeroDivisionError, ResponseUndelivered) as error:
        raised = repr(error)
    written = "\n".join([*at_debug.lines, function.log.text, raised, *capfd.readouterr()])
    assert "X-Amz-Signature" not in written
    assert "0123456789abcdef" not in written
    assert "report" in written or "UnexpectedErrors" in written, "something was captured"


def test_no_log_contains_the_query_of_an_unreachable_url(at_debug: Records, function: Function) -> None:
    url = closed_port_url()
    function.configure(endpoint_url=url)
    with pytest.raises(ResponseUndelivered, match="NewConnectionError"):
        function(payload(function.server) | {"ResponseURL": f"{url}/response?{SECRET}"})
    assert SECRET not in "\n".join([*at_debug.lines, function.log.text])


def test_crhelper_logs_nothing(records: Records, harness: Harness) -> None:
    test_an_unexpected_error_is_sent_without_its_text_and_raised(harness)
    assert [line for line in records.lines if line.startswith("crhelper")] == []
