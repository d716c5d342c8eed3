"""The function with its real adapters, the services behind its sockets, and deliveries as AWS makes them.

An asynchronous event comes again after one and after two minutes if the function raised or was killed, and is in the
failure queue then. A message comes again until it is deleted. All by a clock that stands still unless somebody waits.
"""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from io import StringIO
from typing import Any

from handler.app import lambda_handler
from handler.pipeline import Services
from tests.faults import endpoints
from tests.faults.endpoints import IOT, error
from tests.faults.injection import Call, Fault, Killed, Lasts
from tests.faults.sockets import Request
from tests.support.bus import FakeBus
from tests.support.fakes import FakeBacklog, FakeClock, FakeContext
from tests.support.iot_rules import RulesBackend
from tests.support.threads import waiting_thread

BEGIN = 1000.0  # of FakeClock
SECRET = "5e6e7a5f0c"
# Somebody else's request.
OTHER_ID = "other"
LAMBDA_RETRIES = (60.0, 120.0)  # seconds until each
MOST_INVOCATIONS = 400


@dataclass
class Process:
    """One invocation. Those that arrive in the middle of another one have no number.

    `calls` are the numbers of its calls by the id that the SDK gives each, or by the operation.
    """

    number: int
    is_dead: bool = False
    calls: dict[str, int] = field(default_factory=dict)
    busy_call: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What CloudFormation was told, when, and which jobs were not settled then."""

    at: float
    body: Mapping[str, Any]
    unsettled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Due:
    """An asynchronous event. `tries` it had before."""

    at: float
    event: Any
    tries: int = 0


class World:
    """One scenario from its first delivery to the end.

    `fault` strikes the call with the number `at`, counted from one over all that the function calls. There, the events
    of `before` are delivered before the call acts, and those of `after` once it has acted. `busy` is how many
    invocations find AWS IoT unavailable at their first call of it; that is no fault, and not counted.

    Attributes:
        calls: the operations that were called, in order, apart from those of deliveries in the middle of another one.
        late: the next message is delivered once its lease has ended.
        reports_at: when the execution of a job on a thing succeeds, in seconds since BEGIN.
        meant: the jobs that have to be settled before anybody is told so; with `waits`, their devices too.
        failed: the events that are in a failure queue.
        wrong: what was found wrong on the way.
    """

    lambda_seconds = 300.0  # the function's Timeout

    def __init__(self, services: Services, backend: RulesBackend, queues: FakeBacklog, log: StringIO) -> None:
        self.services, self.backend, self.queues, self.log = services, backend, queues, log
        self.bus = FakeBus()
        self.clock: FakeClock = services.clock  # type: ignore[assignment]
        self.fault: Fault | None = None
        self.at = 0
        self.before: list[Any] = []
        self.after: list[Any] = []
        self.late = False
        self.busy = 0
        self.calls: list[str] = []
        self.reports_at: dict[tuple[str, str], float] = {}
        self.meant: tuple[str, ...] = ()
        self.waits = False
        self.answers: list[Answer] = []
        self.reports: list[Mapping[str, Any]] = []
        self.levels: list[str] = []
        self.failed: list[Any] = []
        self.wrong: list[str] = []
        self.struck = False
        self.invocations = 0
        self.printed = StringIO()
        self._process = Process(0)
        self._nested = threading.local()
        self._told = 0
        self._agenda: list[Due] = []

    @property
    def now(self) -> float:
        return round(self.clock() - BEGIN, 3)

    # The driver

    def play(self, *deliveries: Due) -> None:
        """All of it, until nothing is due any more and the queues are empty."""
        self._agenda += deliveries
        while self._agenda or self.queues.messages:
            if self.invocations > MOST_INVOCATIONS:
                self.wrong.append("it goes on for ever")
                return
            due = min(self._agenda, key=lambda each: each.at, default=None)
            if due and due.at <= self._next_message():
                self._agenda.remove(due)
                self.clock.now = max(self.clock.now, BEGIN + due.at)
                self._deliver(due, self.invoke)
            else:
                self._deliver_message()
        self._let_devices_report(float("inf"))
        self.failed += [json.loads(message.body) for message in self.queues.dead]

    def _deliver(self, due: Due, handle: Callable[[object], Any]) -> None:
        try:
            handle(due.event)
        except (Exception, Killed):  # noqa: BLE001 - as Lambda does
            if due.tries < len(LAMBDA_RETRIES):
                self._agenda.append(Due(self.now + LAMBDA_RETRIES[due.tries], due.event, due.tries + 1))
            else:
                self.failed.append(due.event)

    def _deliver_message(self) -> None:
        try:
            self.queues.deliver(self._invoke_for_message)
        except AssertionError as error:
            self.wrong.append(str(error))
        except (Exception, Killed):  # noqa: BLE001, S110 - as Lambda's poller does: the lease ends
            pass

    def _next_message(self) -> float:
        visible = [message.visible_at - BEGIN for message in self.queues._next_of_each_group()]
        return round(min(visible, default=float("inf")), 3)

    def _invoke_for_message(self, event: object) -> Any:
        if self.late:
            self.late = False
            self.clock.advance(self.queues.lease + 1)
        return self.invoke(event)

    def invoke(self, event: object) -> Any:
        """One invocation, in a process that lives."""
        self.invocations += 1
        began = self.clock()
        self._process = Process(self.invocations)
        try:
            return self._handle(event)
        finally:
            if self.clock() - began > self.lambda_seconds - 6.5:
                self.wrong.append(f"an invocation took {self.clock() - began:.0f} s")
            self._read_log()

    def _handle(self, event: object) -> Any:
        with redirect_stdout(self.printed):
            answer = lambda_handler(event, FakeContext(self.clock, self.lambda_seconds), self.services)
        json.dumps(answer)  # as Lambda does with what is returned
        return answer

    @contextmanager
    def _another_process(self) -> Iterator[None]:
        """In this thread; in all of them, where the one that it stops is the only one."""
        before = self._process
        nested = Process(0)
        if waiting_thread() is None:
            self._process = nested
        self._nested.process = nested
        try:
            yield
        finally:
            self._process = before
            del self._nested.process

    def _meanwhile(self, events: list[Any]) -> None:
        """Deliveries in the middle of a call."""
        while events:
            with self._another_process():
                self._deliver(Due(self.now, events.pop()), self._handle)
                self._read_log()

    # The other side of the sockets

    def serve(self, request: Request, timeout: float) -> bytes:
        """Answer one attempt of a call, or raise what a socket raises."""
        process = getattr(self._nested, "process", self._process)
        if process.is_dead:
            raise Killed
        try:
            return self._serve(process, request, timeout)
        except Killed:
            process.is_dead = True
            raise
        except AssertionError as broken:
            self.wrong.append(f"a call that the service would not take: {broken}")
            raise

    def _serve(self, process: Process, request: Request, timeout: float) -> bytes:
        operation, act = self._route(request)
        call_id = request.headers.get("amz-sdk-invocation-id", operation)
        if process.number and not process.busy_call and process.number <= self.busy and request.url.hostname == IOT:
            process.busy_call = call_id
        if call_id == process.busy_call:
            return error(503, "ServiceUnavailableException", "busy")
        if self._is_struck(process, operation, call_id):
            return self._strike(operation, act, timeout)
        return self._acted(act)

    def _route(self, request: Request) -> tuple[str, endpoints.Act]:
        match request.url.hostname:
            case endpoints.IOT:
                return endpoints.iot(request, self.backend)
            case endpoints.SQS:
                return endpoints.sqs(request, self.queues)
            case endpoints.EVENTS:
                return endpoints.events(request, self.bus)
            case endpoints.S3:
                return endpoints.s3(request, self._take_answer)
        raise AssertionError(f"{request.url.hostname} is nobody whom the function may call")

    def _is_struck(self, process: Process, operation: str, call_id: str) -> bool:
        is_first_attempt = call_id not in process.calls
        if is_first_attempt and process.number:
            self.calls.append(operation)
        number = process.calls.setdefault(call_id, len(self.calls) if process.number else 0)
        if self.fault is None:
            return False
        if number == self.at:
            return is_first_attempt or self.fault.lasts is not Lasts.ONCE
        if self.fault.lasts is not Lasts.FOR_EVER or len(self.calls) < self.at:
            return False
        return operation == self.calls[self.at - 1]

    def _strike(self, operation: str, act: endpoints.Act, timeout: float) -> bytes:
        assert self.fault
        self._meanwhile(self.before)
        answer = self._acted(act) if self.fault.acts else b""
        self._meanwhile(self.after)
        self.struck = True
        return self.fault.happening(Call(operation, timeout, self.clock, answer))

    def _acted(self, act: endpoints.Act) -> bytes:
        self._let_devices_report(self.now)
        return act()

    def _let_devices_report(self, until: float) -> None:
        for (job_id, thing), at in self.reports_at.items():
            if at <= until and self.executions(job_id)[thing] == "IN_PROGRESS":
                self.backend.finish_execution(job_id, thing, "SUCCEEDED")

    def _take_answer(self, body: Mapping[str, Any]) -> None:
        self.answers.append(Answer(self.now, body, self.unsettled()))

    # What is known of it

    def executions(self, job_id: str) -> dict[str, str]:
        """The status of each."""
        return {thing: execution.status for thing, execution in self.backend._jobs[job_id].executions.items()}

    def unsettled(self) -> tuple[str, ...]:
        """Those meant that are live now, or whose devices are to be waited for and still at work."""

        def is_unsettled(job_id: str) -> bool:
            job = self.backend._jobs[job_id]
            return job.status != "CANCELED" or (self.waits and "IN_PROGRESS" in self.executions(job_id).values())

        return tuple(filter(is_unsettled, self.meant))

    def _read_log(self) -> None:
        lines = [json.loads(line) for line in self.log.getvalue()[self._told :].splitlines()]
        self._told = len(self.log.getvalue())
        for line in lines:
            if line["message"] == "report" and line["correlation_id"] != OTHER_ID:
                self.reports.append(line["report"])
                self.levels.append(line["level"])
                if line["report"]["status"] == "SETTLED" and self.unsettled():
                    self.wrong.append(f"SETTLED, but {self.unsettled()} are not")
