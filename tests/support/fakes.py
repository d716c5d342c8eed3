"""What stands in for time, Lambda, SQS, the IoT Jobs API and CloudFormation in tests.

`FakeJobs` is the handler's own adapter over the IoT simulator, which tests/contract holds to what AWS documents.
`AnswerServer` is a real HTTP server: what goes over the network is tested over the network.
"""

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, cast, override

from botocore.exceptions import ClientError

from handler.backlog import Backlog
from handler.cancel import Canceler, Jobs
from handler.config import Config, Sweep
from handler.errors import OutOfTime
from handler.iot import IotJobs
from handler.request import Policy
from handler.timing import Deadline, Turn
from tests.support.threads import waiting_thread
from tools.simulators.faults import (
    Hook,
    answer_lost,
    denied,
    failing,
    not_found,
    refused,
    throttled,
    unavailable,
)
from tools.simulators.iot import IotSimulator, Job
from tools.simulators.iot_client import SimulatedIotClient

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_sqs import SQSClient

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

POLICY = Policy(
    force=False, dry_run=False, max_jobs=100, job_id_prefix="", protection_tag_key="cancel-protection"
)  # the defaults of template.yaml

# What tests of the IoT simulator's failures import from here.
__all__ = ("Hook", "answer_lost", "denied", "failing", "not_found", "refused", "throttled", "unavailable")


def config(endpoint_url: str | None = None, policy: Policy = POLICY) -> Config:
    """The defaults of template.yaml, with the FakeBacklog."""
    return Config(
        policy=policy,
        cancels_per_second=8,
        sweep=Sweep("", 168),
        backlog_queue_url=FakeBacklog.url,
        teardown_queue_url=FakeBacklog.teardown_url,
        event_bus_name="operations",
        url_suffix="amazonaws.com",
        log_group="/aws/lambda/canceler",
        endpoint_url=endpoint_url,
    )


class FakeClock:
    """A clock that stands still unless something waits by it. Seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []
        self._began = now
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Take no time, and let the clock say that it did."""
        with self._lock:
            self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, for other threads too."""
        thread = waiting_thread()
        if thread is not None and seconds > 0:
            thread.wait(self, seconds)
            return
        with self._lock:
            self.now += seconds

    def utc_now(self) -> datetime:
        """NOW at first."""
        return NOW + timedelta(seconds=self.now - self._began)


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
class FakeJob(Job):
    """A job that was created 30 days before NOW, unless given."""

    created_at: datetime = field(default=NOW - timedelta(days=30), kw_only=True)
    last_updated_at: datetime = field(default=NOW - timedelta(days=30), kw_only=True)


class FakeJobs(IotJobs, IotSimulator):
    """The handler's own IotJobs over a simulator, which is the same object: calls take no time, unless by the clock."""

    worst_call: float = 1.0

    def __init__(self, jobs: Mapping[str, Job] | None = None, clock: FakeClock | None = None) -> None:
        clock = clock or FakeClock()
        IotSimulator.__init__(self, jobs, now=clock.utc_now, sleep=clock.advance)
        IotJobs.__init__(self, cast("IoTClient", SimulatedIotClient(self)))


@dataclass
class FakeMessage:
    """One message of the FakeBacklog. Times are those of its clock. `group` and `content` are of the FIFO queue."""

    message_id: str
    body: str
    attributes: Mapping[str, Mapping[str, str]]
    sent_at: float
    visible_at: float
    receives: int = 0
    receipt_handle: str = ""
    group: str = ""
    content: str = ""


class FakeBacklog:
    """SQS and Lambda's poller in memory: the two calls of boto3's client that the handler makes, and deliveries.

    There are two queues, as in template.yaml. That of teardowns is FIFO: it drops what it was sent in the last five
    minutes, and hands out one message of a group at a time.

    Attributes:
        messages: all that is on the queues, leased messages too.
        dead: the messages that came more often than `max_receives`, on the failure queue now.
        dropped: how many messages the FIFO queue has dropped.
        fault: asked before each call of the client, with its name; it raises what the call shall raise.
        deliveries: how many there were.
    """

    url = "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Backlog-1ABC"
    arn = "arn:aws:sqs:eu-west-1:123456789012:canceler-Backlog-1ABC"
    teardown_url = "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Teardowns-1ABC.fifo"
    teardown_arn = "arn:aws:sqs:eu-west-1:123456789012:canceler-Teardowns-1ABC.fifo"
    teardown_delay = 20.0
    lease = 330.0
    max_receives = 100

    def __init__(self, clock: FakeClock) -> None:
        self.messages: list[FakeMessage] = []
        self.dead: list[FakeMessage] = []
        self.dropped = 0
        self.fault: Callable[[str], None] | None = None
        self.deliveries = 0
        self._clock = clock
        self._numbers = count(1)
        self._sent: dict[str, float] = {}

    @property
    def port(self) -> Backlog:
        """The handler's own, over these queues."""
        return Backlog(lambda: cast("SQSClient", self), self.url, self.teardown_url)

    @property
    def events(self) -> list[object]:
        """The bodies of the messages."""
        return [json.loads(message.body) for message in self.messages]

    def send_message(
        self,
        *,
        QueueUrl: str,  # noqa: N803 - boto3's names, here and below
        MessageBody: str,  # noqa: N803
        DelaySeconds: int = 0,  # noqa: N803
        MessageAttributes: Mapping[str, Mapping[str, str]] | None = None,  # noqa: N803
        MessageGroupId: str = "",  # noqa: N803
        MessageDeduplicationId: str = "",  # noqa: N803
    ) -> None:
        """SendMessage."""
        self._check("send_message", QueueUrl)
        is_fifo = QueueUrl == self.teardown_url
        assert is_fifo == bool(MessageGroupId) == bool(MessageDeduplicationId)
        assert len(MessageGroupId) <= 128
        assert len(MessageDeduplicationId) <= 128
        assert not (is_fifo and DelaySeconds)
        assert 1 <= len(MessageBody.encode()) <= 262_144
        assert 0 <= DelaySeconds <= 900
        for attribute in (MessageAttributes or {}).values():
            assert set(attribute) == {"DataType", "StringValue"}
            assert attribute["DataType"] in {"String", "Number"}
            assert attribute["StringValue"]
        now = self._clock()
        if is_fifo and now < self._sent.get(MessageDeduplicationId, -300) + 300:
            self.dropped += 1
            return
        self._sent[MessageDeduplicationId] = now
        self.messages.append(
            FakeMessage(
                f"message-{next(self._numbers)}",
                MessageBody,
                MessageAttributes or {},
                sent_at=now,
                visible_at=now + (self.teardown_delay if is_fifo else DelaySeconds),
                group=MessageGroupId,
                content=MessageDeduplicationId,
            )
        )

    def change_message_visibility(self, *, QueueUrl: str, ReceiptHandle: str, VisibilityTimeout: int) -> None:  # noqa: N803
        """ChangeMessageVisibility."""
        self._check("change_message_visibility", QueueUrl)
        assert 0 <= VisibilityTimeout <= 43_200
        leased = [message for message in self.messages if message.receipt_handle == ReceiptHandle]
        if not leased or leased[0].visible_at < self._clock():
            error = {"Error": {"Code": "InvalidParameterValue", "Message": "The receipt handle has expired"}}
            raise ClientError(cast("Any", error), "ChangeMessageVisibility")
        assert QueueUrl == (self.teardown_url if leased[0].group else self.url)
        leased[0].visible_at = self._clock() + VisibilityTimeout

    def deliver(self, handle: Callable[[object], Any]) -> Any:
        """Wait until a message is visible, and hand it over: deleted, unless the handler reports or raises.

        Returns what the handler returned, or None if the message came too often.
        """
        message = min(self._next_of_each_group(), key=lambda each: each.visible_at)
        self._clock.now = max(self._clock.now, message.visible_at)
        if message.receives == self.max_receives:
            self.messages.remove(message)
            self.dead.append(message)
            return None
        message.receives += 1
        self.deliveries += 1
        message.receipt_handle = f"{message.message_id}/{message.receives}"
        message.visible_at = self._clock() + self.lease
        answer = handle(self.event_of(message))
        if answer["batchItemFailures"] == []:
            assert self._clock() <= message.visible_at, "the lease ended while the run worked"
            self.messages.remove(message)
        else:
            assert answer == {"batchItemFailures": [{"itemIdentifier": message.message_id}]}
        return answer

    def _next_of_each_group(self) -> list[FakeMessage]:
        """Messages that wait for no other one: of a group, the oldest."""
        oldest = {message.group: message for message in reversed(self.messages) if message.group}
        return [message for message in self.messages if not message.group or message is oldest[message.group]]

    def event_of(self, message: FakeMessage) -> dict[str, Any]:
        """The message as Lambda hands it to a function."""
        return {
            "Records": [
                {
                    "messageId": message.message_id,
                    "receiptHandle": message.receipt_handle,
                    "body": message.body,
                    "attributes": {
                        "ApproximateReceiveCount": str(message.receives),
                        "SentTimestamp": str(round(message.sent_at * 1000)),
                        "SenderId": "AROAEXAMPLEEXAMPLEEX:canceler",
                        "ApproximateFirstReceiveTimestamp": str(round(message.sent_at * 1000)),
                    },
                    "messageAttributes": {
                        name: {
                            "stringValue": attribute["StringValue"],
                            "stringListValues": [],
                            "binaryListValues": [],
                            "dataType": attribute["DataType"],
                        }
                        for name, attribute in message.attributes.items()
                    },
                    "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                    "eventSource": "aws:sqs",
                    "eventSourceARN": self.teardown_arn if message.group else self.arn,
                    "awsRegion": "eu-west-1",
                }
            ]
        }

    def _check(self, call: str, queue_url: str) -> None:
        if self.fault:
            self.fault(call)
        assert queue_url in {self.url, self.teardown_url}


def canceler(jobs: Jobs, clock: FakeClock, seconds: float = 300.0, policy: Policy = POLICY) -> Canceler:
    """A Canceler that has so many seconds, and no pace to keep."""
    deadline = Deadline(seconds, clock)
    return Canceler(jobs, policy, deadline, unpaced(deadline, jobs.worst_call), clock.sleep)


def unpaced(deadline: Deadline, worst_call: float) -> Turn:
    """Every turn is at once, until there is no time for it."""

    def turn() -> None:
        if not deadline.allows(worst_call):
            raise OutOfTime

    return turn


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
