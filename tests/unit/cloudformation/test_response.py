"""The response to CloudFormation: its size, the allowed hosts, and its delivery, for which only 2xx counts."""

import json
from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

import pytest
import urllib3

from handler.cancellation.rate import Deadline
from handler.cloudformation import response
from handler.cloudformation.response import MAX_ATTEMPTS, Responder, is_allowed_url, response_body
from tests.support.fakes import FakeClock
from tests.support.response_url import Redirect, ResponseServer, Step, closed_port_url

IDS = {
    "PhysicalResourceId": "job-1",
    "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f",
    "RequestId": "c7e5a3f1-28d6-4e0b-a9c8-6b5a4d3e2f10",
    "LogicalResourceId": "Teardown",
}
LOG_LOCATION = "log group /log, correlation_id c-1"


def body_of(reason: str) -> bytes:
    return response_body({"Status": "FAILED", **IDS}, reason, LOG_LOCATION)


# The body


def test_a_short_reason_is_followed_by_the_log_location() -> None:
    assert json.loads(body_of("no")) == {"Status": "FAILED", "Reason": f"no ({LOG_LOCATION})", **IDS}


@pytest.mark.parametrize("character", ["x", "é", "€", "😀", "\ud800", '"', "\\", "\x00", "\x7f"])
def test_a_long_reason_is_cut_and_the_ids_are_not(character: str) -> None:
    body = body_of(character * 5000)
    sent = json.loads(body)
    reason = sent.pop("Reason")
    assert len(body) <= 4096
    assert sent == {"Status": "FAILED", **IDS}
    assert reason.endswith(f"... ({LOG_LOCATION})")
    assert set(reason.removesuffix(f"... ({LOG_LOCATION})")) == {character}


def test_a_reason_that_just_fits_is_not_cut() -> None:
    room = 4096 - len(body_of("x")) + 1
    assert json.loads(body_of("x" * room))["Reason"] == "x" * room + f" ({LOG_LOCATION})"
    assert len(body_of("x" * room)) == 4096
    assert json.loads(body_of("x" * (room + 1)))["Reason"].endswith(f"x... ({LOG_LOCATION})")
    assert len(body_of("x" * (room + 1))) <= 4096


def test_a_long_reason_is_cut_by_little_more_than_necessary() -> None:
    assert len(body_of("x" * 5000)) > 4000


def test_an_empty_reason_has_no_log_location() -> None:
    body = response_body({"Status": "SUCCESS", **IDS}, "", LOG_LOCATION)
    assert json.loads(body) == {"Status": "SUCCESS", "Reason": "", **IDS}


@pytest.mark.parametrize("reason", ["", "x", "x" * 5000])
def test_the_cutting_ends_if_the_ids_leave_no_room(reason: str) -> None:
    body = response_body({"StackId": "s" * 5000}, reason, LOG_LOCATION)
    assert json.loads(body)["StackId"] == "s" * 5000
    assert json.loads(body)["Reason"] == {0: "", 1: f"... ({LOG_LOCATION})", 5000: f"... ({LOG_LOCATION})"}[len(reason)]


# The allowed hosts

CLOUDFORMATION = "https://cloudformation-custom-resource-response-euwest1.s3-eu-west-1.amazonaws.com/path?X=1"
LOCAL = "http://localhost:4566"

ALLOWED: list[Any] = [
    pytest.param(CLOUDFORMATION, "amazonaws.com", None, id="CloudFormation's bucket"),
    pytest.param(CLOUDFORMATION, "amazonaws.com", LOCAL, id="CloudFormation's bucket from a local AWS"),
    pytest.param("https://x.s3.cn-north-1.amazonaws.com.cn/p?X=1", "amazonaws.com.cn", None, id="China"),
    pytest.param("HTTPS://X.S3.AMAZONAWS.COM/p", "amazonaws.com", None, id="upper case"),
    pytest.param("http://localhost:4566/p?X=1", "amazonaws.com", LOCAL, id="the local AWS"),
    pytest.param("https://localhost:4566/p", "amazonaws.com", LOCAL, id="the local AWS with TLS"),
    pytest.param("http://127.0.0.1:4566/p", "amazonaws.com", LOCAL, id="the local AWS by another name"),
    pytest.param("http://[::1]:4566/p", "amazonaws.com", LOCAL, id="the local AWS by IPv6"),
    pytest.param("http://ministack:4566/p", "amazonaws.com", "http://ministack:4566", id="a local AWS with a name"),
]


@pytest.mark.parametrize(("url", "suffix", "endpoint"), ALLOWED)
def test_aws_and_the_local_aws_are_allowed(url: str, suffix: str, endpoint: str | None) -> None:
    assert is_allowed_url(url, suffix, endpoint)


FORBIDDEN: list[Any] = [
    *(
        pytest.param(url, "amazonaws.com", None, id=url)
        for url in (
            "",
            "not a URL",
            "/path",
            "https://",
            "https:///path",
            "http://x.s3.amazonaws.com/p",
            "ftp://x.s3.amazonaws.com/p",
            "file:///etc/passwd",
            "https://example.com/p",
            "https://amazonaws.com/p",
            "https://evilamazonaws.com/p",
            "https://amazonaws.com.example.com/p",
            "https://x.amazonaws.com.cn/p",
            "https://x.s3.amazonaws.com@example.com/p",
            "https://user@x.s3.amazonaws.com/p",
            "https://user:pass@x.s3.amazonaws.com/p",
            "https://@x.s3.amazonaws.com/p",
            "https://example.com/.amazonaws.com",
            "https://example.com?.amazonaws.com",
            "https://example.com#.amazonaws.com",
            "https://example.com\\.amazonaws.com/p",
            "https://example.com\\@x.s3.amazonaws.com/p",
            "https://[::1/p",
            "https://[bad]/p",
            "http://localhost:4566/p",
            "http://127.0.0.1/p",
            "http://169.254.169.254/latest/meta-data",
        )
    ),
    *(
        pytest.param(url, "amazonaws.com", LOCAL, id=f"{url} for {LOCAL}")
        for url in (
            "http://localhost:4567/p",
            "http://localhost/p",
            "http://example.com:4566/p",
            "http://user@localhost:4566/p",
            "ftp://localhost:4566/p",
            "http://localhost:port/p",
            "http://localhost:99999/p",
            "http://x.s3.amazonaws.com/p",
        )
    ),
    pytest.param("http://x/p", "amazonaws.com", "", id="an empty endpoint"),
    pytest.param("http://x/p", "amazonaws.com", "nonsense", id="an endpoint that is not a URL"),
    pytest.param("http://x/p", "amazonaws.com", "http://[x", id="an unreadable endpoint"),
]


@pytest.mark.parametrize(("url", "suffix", "endpoint"), FORBIDDEN)
def test_every_other_url_is_forbidden(url: str, suffix: str, endpoint: str | None) -> None:
    assert not is_allowed_url(url, suffix, endpoint)


# Delivery

ENOUGH_SECONDS = 60.0

type Deliver = Callable[..., str]


@pytest.fixture
def deliver(server: ResponseServer, responder: Responder, clock: FakeClock) -> Deliver:
    """Return a function that delivers one body within `seconds`, to the server or to another URL."""

    def to(url: str = "", seconds: float = ENOUGH_SECONDS) -> str:
        target = f"{url or server.url}/response?X-Amz-Signature=secret"
        return responder.deliver(target, b'{"Status": "SUCCESS"}', Deadline(seconds, clock))

    return to


def test_the_response_is_sent_by_put_without_a_content_type(server: ResponseServer, deliver: Deliver) -> None:
    assert deliver() == ""
    (request,) = server.received
    assert (request.method, request.target) == ("PUT", "/response?X-Amz-Signature=secret")
    assert request.headers["Content-Type"] == ""
    assert request.headers["Content-Length"] == "21"
    assert request.body == b'{"Status": "SUCCESS"}'


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_any_2xx_status_is_delivery(status: int, server: ResponseServer, clock: FakeClock, deliver: Deliver) -> None:
    server.script = [status]
    assert deliver() == ""
    assert len(server.received) == 1
    assert clock.slept == [0.0]


@pytest.mark.parametrize("status", [300, 304, 400, 403, 404, 500, 503])
def test_any_other_status_is_retried_up_to_six_attempts(
    status: int, server: ResponseServer, clock: FakeClock, deliver: Deliver
) -> None:
    server.script = [status]
    assert deliver() == f"HTTP {status}"
    assert len(server.received) == MAX_ATTEMPTS == 6
    assert clock.slept == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0]


SCRIPTS: list[Any] = [
    pytest.param([500, 200], "", 2, id="an error and then a success"),
    pytest.param([403, "CLOSE", 503, 200], "", 4, id="three kinds of failure and then a success"),
    pytest.param([500, 403], "HTTP 403", 6, id="the last error is returned"),
    pytest.param(["CLOSE"], "ProtocolError", 6, id="no response"),
]


@pytest.mark.parametrize(("script", "error", "requests"), SCRIPTS)
def test_the_response_is_sent_until_it_is_accepted(
    script: Sequence[Step], error: str, requests: int, server: ResponseServer, deliver: Deliver
) -> None:
    server.script = script
    assert deliver() == error
    assert len(server.received) == requests


def test_the_body_that_follows_the_status_is_not_read(
    server: ResponseServer, monkeypatch: pytest.MonkeyPatch, deliver: Deliver
) -> None:
    monkeypatch.setattr(response, "_READ_TIMEOUT_SECONDS", 1.0)  # reached only if the body is read
    server.script = ["ENDLESS_BODY"]
    assert deliver() == ""
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int, server: ResponseServer, deliver: Deliver) -> None:
    with ResponseServer() as elsewhere:
        server.script = [Redirect(status, f"{elsewhere.url}/stolen")]
        assert deliver() == f"HTTP {status}"
    assert elsewhere.received == []


def test_a_refused_connection_is_retried_and_reported_without_the_url(clock: FakeClock, deliver: Deliver) -> None:
    assert deliver(closed_port_url()) == "NewConnectionError"
    assert clock.slept == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0]


@pytest.mark.parametrize("step", ["HANG", "SLOW_HEADERS"])
def test_a_url_that_does_not_respond_times_out(
    step: Step, server: ResponseServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, deliver: Deliver
) -> None:
    monkeypatch.setattr(response, "_READ_TIMEOUT_SECONDS", 0.05)
    server.script = [step]
    assert deliver() == "ReadTimeoutError"
    assert clock.slept == [0.0, 1.0, 2.0, 4.0, 8.0, 16.0]


def test_a_url_that_does_not_respond_times_out_at_the_deadline(
    server: ResponseServer, clock: FakeClock, deliver: Deliver
) -> None:
    server.script = ["HANG"]
    assert deliver(seconds=0.05) == "ReadTimeoutError"
    assert clock.slept == [0.0]


class RecordingPool(urllib3.PoolManager):
    """Responds with 500 to every request, and records the timeouts and its responses."""

    def __init__(self) -> None:
        super().__init__()
        self.timeouts: list[urllib3.Timeout] = []
        self.responses: list[urllib3.HTTPResponse] = []

    def request(self, method: str, url: str, *_args: Any, **options: Any) -> Any:
        assert (method, url) == ("PUT", "https://x.amazonaws.com")
        self.timeouts.append(options["timeout"])
        self.responses.append(urllib3.HTTPResponse(BytesIO(b"body"), status=500, preload_content=False))
        return self.responses[-1]


# Each wait (1, 2, 4, 8, 16 s with the longest jitter) must end before the deadline.
@pytest.mark.parametrize(
    ("seconds", "requests"), [(0.0, 1), (0.999, 1), (1.0, 2), (2.999, 2), (3.0, 3), (30.999, 5), (31.0, 6), (99.0, 6)]
)
def test_no_attempt_begins_after_the_deadline(seconds: float, requests: int, clock: FakeClock) -> None:
    pool = RecordingPool()
    responder = Responder(pool, clock.sleep, lambda _least, most: most)
    assert responder.deliver("https://x.amazonaws.com", b"{}", Deadline(seconds, clock)) == "HTTP 500"
    assert len(pool.timeouts) == requests
    assert all(each.closed for each in pool.responses)


def test_an_attempt_takes_at_most_5_s_and_ends_by_the_deadline(clock: FakeClock) -> None:
    """With the longest jitter, attempts begin 0, 1, 3 and 7 s after the first."""
    pool = RecordingPool()
    responder = Responder(pool, clock.sleep, lambda _least, most: most)
    responder.deliver("https://x.amazonaws.com", b"{}", Deadline(7, clock))
    assert [timeout.total for timeout in pool.timeouts] == [7, 6, 4, 0.1]
    pool.timeouts[0].start_connect()
    assert (pool.timeouts[0].connect_timeout, pool.timeouts[0].read_timeout) == (2, 3)
    assert pool.timeouts[3].connect_timeout == 0.1


def test_nothing_is_sent_after_the_deadline(server: ResponseServer, deliver: Deliver) -> None:
    assert deliver(seconds=-0.001) == "no time left"
    assert server.received == []


def test_the_upper_bound_of_the_jitter_doubles_with_each_attempt(
    server: ResponseServer, responder: Responder, clock: FakeClock
) -> None:
    server.script = [500]
    drawn: list[tuple[float, float]] = []

    def uniform(least: float, most: float) -> float:
        drawn.append((least, most))
        return 0.25

    Responder(responder.http, clock.sleep, uniform).deliver(server.url, b"{}", Deadline(ENOUGH_SECONDS, clock))
    assert drawn == [(0, 1.0), (0, 2.0), (0, 4.0), (0, 8.0), (0, 16.0)]
    assert clock.slept == [0.0, 0.25, 0.25, 0.25, 0.25, 0.25]


@pytest.mark.parametrize("url", ["https://x.amazonaws.com:99999", "https://", "http://[::1", "http://a b"])
def test_a_malformed_url_is_an_error_and_not_a_crash(url: str, deliver: Deliver) -> None:
    assert deliver(url) in {"LocationParseError", "LocationValueError"}
