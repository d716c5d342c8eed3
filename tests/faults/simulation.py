"""The function with its real adapters, the services behind its sockets, and Lambda with its queues, on a fake clock."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from contextvars import ContextVar
from dataclasses import dataclass
from io import StringIO
from itertools import count
from typing import Any, override

from handler.aws.iot import IotJobs
from handler.pipeline import Services
from tests.conftest import Log
from tests.faults import endpoints
from tests.faults.endpoints import IOT, error
from tests.faults.injection import Call, Duration, Fault
from tests.faults.sockets import Request
from tests.support.aws_lambda import Due, Killed, Lambda, Process
from tests.support.fakes import FakeClock
from tests.support.response_url import Received, ResponseUrl
from tests.support.sqs import FakeMessage
from tests.support.threads import waiting_thread
from tools.simulators.iot import IotSimulator

SECRET = "5e6e7a5f0c"
OTHER_ID = "other"  # the id of another requester's event


_CALL: ContextVar[str] = ContextVar("call", default="")
_NUMBERS = count(1)


class CountedJobs(IotJobs):
    """The handler's adapter, which gives all attempts of one call the same id."""

    @override
    def _call[**Parameters, Result](
        self,
        operation: str,
        call: Callable[Parameters, Result],
        *arguments: Parameters.args,
        **parameters: Parameters.kwargs,
    ) -> Result:
        token = _CALL.set(f"{operation} {next(_NUMBERS)}")
        try:
            return super()._call(operation, call, *arguments, **parameters)
        finally:
            _CALL.reset(token)


class CountedProcess(Process):
    """The process of an invocation. One that begins in the middle of another invocation has no number.

    `calls` are the numbers of its calls by the id of each, or by the operation.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self.calls: dict[str, int] = {}
        self.busy_call = ""


@dataclass(frozen=True, slots=True)
class SentResponse:
    """A response that CloudFormation got, when, and which jobs were not settled then."""

    at: float
    body: Mapping[str, Any]
    unsettled: tuple[str, ...]


class Simulation(Lambda):
    """One scenario from its first delivery to the end.

    `fault` affects the call with the number `at`, counted from one over all that the function calls. There, the events
    of `before` are delivered before the call acts, and those of `after` once it has acted. `busy` is how many
    invocations find AWS IoT unavailable at their first call of it; that is not a fault, and not counted.

    Attributes:
        calls: the operations that were called, in order, apart from those of deliveries in the middle of another one.
        late: the next message is delivered once its visibility timeout has ended.
        reports_at: when the execution of a job on a thing succeeds, in seconds since the clock began.
        matching: the jobs that must be settled before a report says so; with `waits`, their devices too.
        failed: the events that are in a failure queue.
        wrong: what was found wrong on the way.
    """

    survives = (Exception, Killed)
    max_invocations = 400
    process: CountedProcess

    def __init__(self, services: Services, backend: IotSimulator, clock: FakeClock, log: Log) -> None:
        super().__init__(clock, log)
        self.services, self.backend = services, backend
        self.response_url = ResponseUrl()
        self.response_url.on_request = self._record_response
        self.fault: Fault | None = None
        self.at = 0
        self.before: list[Any] = []
        self.after: list[Any] = []
        self.late = False
        self.busy = 0
        self.reports_at: dict[tuple[str, str], float] = {}
        self.matching: tuple[str, ...] = ()
        self.waits = False
        self.responses: list[SentResponse] = []
        self.levels: list[str] = []
        self.wrong: list[str] = []
        self.is_injected = False
        self.printed = StringIO()
        self._invocations = 0
        self._nested = threading.local()
        self._reports: list[dict[str, Any]] = []
        self._read = 0

    @property
    @override
    def reports(self) -> list[dict[str, Any]]:
        return self._reports

    # The driver

    @override
    def run(self, *events: Due, until: float = float("inf"), messages_first: bool = False) -> None:
        try:
            super().run(*events, until=until, messages_first=messages_first)
        except AssertionError as broken:
            self.wrong.append(str(broken))
        self._let_devices_report(float("inf"))
        self.failed += [message.event for message in self.sqs.dead_letters]

    @override
    def poll(self, message: FakeMessage | None = None, *, delay: float = 0.0) -> Any:
        if self.late:
            self.late, delay = False, self.sqs.visibility_timeout + 1
        return super().poll(message, delay=delay)

    @override
    def new_process(self) -> CountedProcess:
        self._invocations += 1
        return CountedProcess(self._invocations)

    @override
    def invoke(self, event: object) -> Any:
        if nested := getattr(self._nested, "process", None):
            return self.handle(event, nested, self.services)
        began = self.clock()
        try:
            return super().invoke(event)
        finally:
            if self.clock() - began > self.seconds - 6.5:
                self.wrong.append(f"an invocation took {self.clock() - began:.0f} s")
            self._read_log()

    @override
    def handle(self, event: object, process: Process, services: Services) -> Any:
        with redirect_stdout(self.printed):
            return super().handle(event, process, services)

    @contextmanager
    def _another_process(self) -> Iterator[None]:
        """Use another process in this thread, or in all threads if this one is the only one."""
        before = self.process
        nested = CountedProcess(0)
        if waiting_thread() is None:
            self.process = nested
        self._nested.process = nested
        try:
            yield
        finally:
            self.process = before
            del self._nested.process

    def _deliver_in_the_middle(self, events: list[Any]) -> None:
        while events:
            with self._another_process():
                self.deliver(Due(self.clock.elapsed, events.pop()))
                self._read_log()

    # The other side of the sockets

    def serve(self, request: Request, timeout: float) -> bytes:
        """Return the response to one attempt of a call, or raise what a socket raises."""
        process = getattr(self._nested, "process", self.process)
        process.check_alive()
        try:
            return self._serve(process, request, timeout)
        except Killed:
            process.is_dead = True
            raise
        except AssertionError as broken:
            self.wrong.append(f"a call that the service would not accept: {broken}")
            raise

    def _serve(self, process: CountedProcess, request: Request, timeout: float) -> bytes:
        operation, act = self._route(request)
        call_id = _CALL.get() or request.headers.get("amz-sdk-invocation-id", operation)
        if process.number and not process.busy_call and process.number <= self.busy and request.url.hostname == IOT:
            process.busy_call = call_id
        if call_id == process.busy_call:
            return error(503, "ServiceUnavailableException", "busy")
        if self._is_affected(process, operation, call_id):
            return self._inject(operation, act, timeout)
        return self._acted(act)

    def _route(self, request: Request) -> tuple[str, endpoints.Act]:
        match request.url.hostname:
            case endpoints.IOT:
                return endpoints.iot(request, self.backend)
            case endpoints.SQS:
                return endpoints.sqs(request, self.sqs)
            case endpoints.EVENTS:
                return endpoints.events(request, self.bus)
            case endpoints.S3:
                return endpoints.s3(request, self.response_url)
        raise AssertionError(f"{request.url.hostname} is not a host that the function may call")

    def _is_affected(self, process: CountedProcess, operation: str, call_id: str) -> bool:
        is_first_attempt = call_id not in process.calls
        if is_first_attempt and process.number:
            self.calls.append(operation)
        number = process.calls.setdefault(call_id, len(self.calls) if process.number else 0)
        if self.fault is None:
            return False
        if number == self.at:
            return is_first_attempt or self.fault.duration is not Duration.ONCE
        if self.fault.duration is not Duration.PERMANENT or len(self.calls) < self.at:
            return False
        return operation == self.calls[self.at - 1]

    def _inject(self, operation: str, act: endpoints.Act, timeout: float) -> bytes:
        assert self.fault
        self._deliver_in_the_middle(self.before)
        response = self._acted(act) if self.fault.acts else b""
        self._deliver_in_the_middle(self.after)
        self.is_injected = True
        return self.fault.action(Call(operation, timeout, self.clock, response))

    def _acted(self, act: endpoints.Act) -> bytes:
        self._let_devices_report(self.clock.elapsed)
        return act()

    def _let_devices_report(self, until: float) -> None:
        for (job_id, thing), at in self.reports_at.items():
            if at <= until and self.executions(job_id)[thing] == "IN_PROGRESS":
                self.backend.finish_execution(job_id, thing, "SUCCEEDED")

    def _record_response(self, request: Received) -> None:
        self.responses.append(SentResponse(self.clock.elapsed, request.response, self.unsettled()))

    # What is known of it

    def executions(self, job_id: str) -> dict[str, str]:
        """The status of each."""
        return dict(self.backend.jobs[job_id].executions)

    def unsettled(self) -> tuple[str, ...]:
        """Return the matching jobs that are active, or whose awaited devices have running executions."""

        def is_unsettled(job_id: str) -> bool:
            job = self.backend.jobs[job_id]
            return job.status != "CANCELED" or (self.waits and "IN_PROGRESS" in self.executions(job_id).values())

        return tuple(filter(is_unsettled, self.matching))

    def _read_log(self) -> None:
        lines = [json.loads(line) for line in self.log.text[self._read :].splitlines()]
        self._read = len(self.log.text)
        for line in lines:
            if line["message"] == "report" and line["correlation_id"] != OTHER_ID:
                self._reports.append(line["report"])
                self.levels.append(line["level"])
                if line["report"]["status"] == "SETTLED" and self.unsettled():
                    self.wrong.append(f"SETTLED, but {self.unsettled()} are not")
