"""What stands in for time, Lambda, the IoT Jobs API and CloudFormation in tests.

`FakeJobs` has the service's rules; tests/contract holds it and the real adapter to the same cases. `AnswerServer` is a
real HTTP server: what goes over the network is tested over the network.
"""

import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self, override

from handler.errors import AccessDenied, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable
from handler.job import Job
from handler.request import Policy

POLICY = Policy(
    force=False, dry_run=False, max_jobs=100, job_id_prefix="", protection_tag_key="cancel-protection"
)  # the defaults of template.yaml

type Hook = Callable[[str, str], None]


class FakeClock:
    """A clock that stands still unless something waits by it. Seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Take no time, and let the clock say that it did."""
        self.slept.append(seconds)
        self.now += seconds


class FakeContext:
    """Lambda's context object, for an invocation that ends `seconds` from now."""

    aws_request_id = "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11"

    def __init__(self, clock: FakeClock, seconds: float = 300.0) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """By the fake clock."""
        return round((self._end - self._clock()) * 1000)


@dataclass
class FakeJob:
    """A job and the status of its execution on each thing."""

    status: str = "IN_PROGRESS"
    executions: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    reason_code: str | None = None
    comment: str | None = None


class FakeJobs:
    """`cancel.Jobs` in memory.

    Attributes:
        calls: (operation, job id) of every call in order, failed ones too.
        cancelled: ids of the jobs that were really cancelled, in order, with repetition if that ever happened.
        fault: asked before a call acts, with the operation and the job id; it raises what the call shall raise.
        lost: the same after the call acted.
        lag: reads after an accepted cancel that still show the job as it was.
        seconds_a_call: how much time each call takes on `clock`.
    """

    worst_call: float = 1.0

    def __init__(self, jobs: Mapping[str, FakeJob] | None = None, clock: FakeClock | None = None) -> None:
        self.jobs = dict(jobs or {})
        self.calls: list[tuple[str, str]] = []
        self.cancelled: list[str] = []
        self.fault: Hook | None = None
        self.lost: Hook | None = None
        self.lag = 0
        self.seconds_a_call = 0.0
        self._clock = clock or FakeClock()
        self._stale: dict[str, tuple[int, FakeJob]] = {}

    def cancel(self, job_id: str, *, force: bool, reason_code: str, comment: str) -> None:
        """CancelJob."""
        job = self._called("CancelJob", job_id)
        _require(_fits_reason_code(reason_code), "Invalid reasonCode")
        _require(_fits_comment(comment), "Invalid comment")
        _require(job.status in {"IN_PROGRESS", "SCHEDULED"}, f"Job in status {job.status} cannot be canceled")
        if self.lag:
            self._stale[job_id] = self.lag, replace(job)
        job.status, job.reason_code, job.comment = "CANCELED", reason_code, comment
        ends = {"QUEUED", "IN_PROGRESS"} if force else {"QUEUED"}
        job.executions.update({thing: "CANCELED" for thing, now in job.executions.items() if now in ends})
        self.cancelled.append(job_id)
        self._answered("CancelJob", job_id)

    def describe(self, job_id: str) -> Job:
        """DescribeJob."""
        job = self._called("DescribeJob", job_id)
        if job_id in self._stale:
            left, job = self._stale.pop(job_id)
            if left > 1:
                self._stale[job_id] = left - 1, job
        running = list(job.executions.values()).count("IN_PROGRESS")
        self._answered("DescribeJob", job_id)
        return Job(job_id, arn_of(job_id), job.status, running)

    def tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource."""
        job_id = arn.partition(":job/")[2]
        job = self._called("ListTagsForResource", job_id)
        self._answered("ListTagsForResource", job_id)
        return dict(job.tags)

    def _called(self, operation: str, job_id: str) -> FakeJob:
        self.calls.append((operation, job_id))
        self._clock.now += self.seconds_a_call
        if self.fault:
            self.fault(operation, job_id)
        _require(1 <= len(job_id) <= 64 and set(job_id) <= _ID_CHARACTERS, "Invalid jobId")
        if job_id not in self.jobs:
            raise JobNotFound("ResourceNotFoundException", f"Job {job_id} cannot be found")
        return self.jobs[job_id]

    def _answered(self, operation: str, job_id: str) -> None:
        if self.lost:
            self.lost(operation, job_id)


_UPPER, _DIGITS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), set("0123456789")
_ID_CHARACTERS = _UPPER | {letter.lower() for letter in _UPPER} | _DIGITS | {"_", "-"}


def arn_of(job_id: str) -> str:
    """The job's ARN in the account and Region of these tests."""
    return f"arn:aws:iot:eu-west-1:123456789012:job/{job_id}"


def _require(rule: object, broken: str) -> None:
    if not rule:
        raise JobNotCancelable("InvalidRequestException", broken)


def _fits_reason_code(text: str) -> bool:
    return 1 <= len(text) <= 128 and set(text) <= _UPPER | _DIGITS | {"_"}


def _fits_comment(text: str) -> bool:
    return 1 <= len(text) <= 2028 and text.isprintable()


def failing(
    operation: str, error: Callable[[], JobsError], *, times: int | None = None, job_id: str | None = None
) -> Hook:
    """A hook that fails the first `times` calls of an operation, or all, for one job or for any."""
    failed = 0

    def hook(called: str, called_for: str) -> None:
        nonlocal failed
        if called != operation or job_id not in {None, called_for} or failed == times:
            return
        failed += 1
        raise error()

    return hook


def throttled() -> JobsError:
    return JobsUnavailable("ThrottlingException", "Rate exceeded")


def unavailable() -> JobsError:
    return JobsUnavailable("ServiceUnavailableException", "Service unavailable")


def denied() -> JobsError:
    return AccessDenied("AccessDeniedException", "not authorized")


def refused() -> JobsError:
    return JobNotCancelable("InvalidRequestException", "cannot be canceled")


def not_found() -> JobsError:
    return JobNotFound("ResourceNotFoundException", "cannot be found")


def answer_lost() -> JobsError:
    return JobsUnavailable("ConnectionClosedError", "no usable answer from the service")


def closed_port_url() -> str:
    """A URL on this machine where nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@dataclass(frozen=True)
class Received:
    """One request as it arrived at the AnswerServer."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Redirect:
    """Answer with this 3xx status and Location."""

    status: int
    location: str


# HANG: never answer. CLOSE: end the connection without an answer. SLOW_HEADERS: begin an answer and never end its
# headers. ENDLESS_BODY: answer 200 and never end the body.
type Step = int | Redirect | Literal["HANG", "CLOSE", "SLOW_HEADERS", "ENDLESS_BODY"]


class AnswerServer:
    """Plays the ResponseURL on a free port of 127.0.0.1.

    It takes one step of `script` for each request, and the last one for every further request. `received` are the
    requests in order. `arrived` is set once a request was read.
    """

    def __init__(self, script: Sequence[Step] = (200,)) -> None:
        self.script: Sequence[Step] = script
        self.received: list[Received] = []
        self.arrived = threading.Event()
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                outer.received.append(Received(self.command, self.path, dict(self.headers.items()), body))
                outer._play(outer.script[min(len(outer.received), len(outer.script)) - 1], self)

            @override
            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _play(self, step: Step, handler: BaseHTTPRequestHandler) -> None:
        self.arrived.set()
        match step:
            case "HANG":
                self._stopping.wait()
            case "SLOW_HEADERS":
                handler.wfile.write(b"HTTP/1.0 200 OK\r\nServer: Ama")
                self._stopping.wait()
            case "ENDLESS_BODY":
                handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nbody")
                self._stopping.wait()
            case "CLOSE":
                pass
            case Redirect(status, location):
                handler.send_response(status)
                handler.send_header("Location", location)
                handler.end_headers()
            case status:
                handler.send_response(status)
                handler.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for the requests under way

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that gave up are what some tests are about."""
