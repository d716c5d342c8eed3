"""The life cycle of one custom resource request: crhelper, with its known faults mended. The only crhelper.

crhelper dispatches by request type, guards the invocation with a timer and puts the answer together. Mended here: an
answer counts only if it is delivered, is given once, has the resource's own id and at most 4,096 bytes; the timer
leaves seconds instead of half of one; an unexpected error reaches Lambda after it was answered; nothing logs the event.
"""

import logging
import sys
import threading
from collections.abc import Callable
from typing import override

from crhelper import FAILED, SUCCESS, CfnResource

from .resource import ResourceRequest
from .respond import Responder, response_body
from .teardown import Verdict
from .timing import Clock, Deadline, LambdaContext

type Count = Callable[[str], None]

# Seconds before the end of the invocation: by then the work stops, the timer answers instead, the last byte is sent.
# After the first, a teardown that waits is put on its queue.
WORK_RESERVE = 12.0
TIMER_RESERVE = 6.5
SEND_RESERVE = 1.0
_OUT_OF_TIME = "the invocation ran out of time before every job was settled"

# crhelper logs whole exceptions as plain text, and at DEBUG the event with its ResponseURL. What matters we log.
for name in ("crhelper.resource_helper", "crhelper.utils"):
    logging.getLogger(name).disabled = True


class CustomResource(CfnResource):
    """One request. Made anew for each, so that nothing of one can reach the next."""

    # crhelper makes three clients for its polling, except under `sam local`; polling is never used here.
    _sam_local = property(lambda _: "true", lambda _, __: None)

    def __init__(
        self, resource: ResourceRequest, responder: Responder, count: Count, log_group: str, clock: Clock
    ) -> None:
        super().__init__(json_logging=False, log_level="WARNING", boto_level="WARNING", sleep_on_delete=0)
        self._resource = resource
        self._responder = responder
        self._count = count
        self._log_group = log_group
        self._clock = clock
        self._lock = threading.Lock()
        self._answered = False
        self._problem = ""
        self._waits = False
        self._unexpected: Exception | None = None

    def answer(self, context: LambdaContext, decide: Callable[[], Verdict]) -> tuple[Verdict, str]:
        """Let `decide` find the verdict, and answer with it: or without it, if it fails or time runs out.

        A verdict that waits is not answered yet, unless the timer did.

        Returns the verdict, and what went wrong with the delivery of the answer ("" if nothing did). Raises what
        `decide` raised, after FAILED was answered.
        """
        verdicts: list[Verdict] = []

        def handle(_event: object, _context: object) -> str:
            verdict = decide()
            verdicts.append(verdict)
            self._waits = verdict.waits
            self.Status, self.Reason, self.Data = verdict.status, verdict.reason, dict(verdict.data)
            return verdict.physical_id

        self.create(handle)
        self.update(handle)
        self.delete(handle)
        self(self._resource.event, context)
        if self._timer and self._timer.ident:
            self._timer.join()  # Lambda freezes its thread as soon as we return
        if self._unexpected:
            raise self._unexpected
        verdict = verdicts[0]
        return verdict.given_up(_OUT_OF_TIME) if verdict.waits and self._answered else verdict, self._problem

    @override
    def _wrap_function(self, func: Callable[[object, object], str]) -> None:
        self.PhysicalResourceId = func(self._event, self._context)

    @override
    def _cfn_response(self, event: dict[str, object]) -> None:
        if not self._waits:
            super()._cfn_response(event)

    @override
    def _set_timeout(self) -> None:
        remaining = self._context.get_remaining_time_in_millis() / 1000
        self._timer = threading.Timer(max(0.0, remaining - TIMER_RESERVE), self._timeout)
        self._timer.daemon = True
        self._timer.start()

    @override
    def _timeout(self) -> None:
        status = SUCCESS if self._resource.continues else FAILED
        if self._claim():
            self._deliver(self._body(status, _OUT_OF_TIME))
            self._count("TeardownsOutOfTime")

    @override
    def _send(self, status: str | None = None, reason: str = "", send_response: object = None) -> None:
        unexpected = sys.exception()  # crhelper sends FAILED from its own `except`, and swallows what it caught
        if isinstance(unexpected, Exception):
            self._unexpected = self._unexpected or unexpected
            reason = f"unexpected {type(self._unexpected).__name__}"
        if self._claim():
            self._deliver(self._body(status, reason))

    def _claim(self) -> bool:
        """True for the one that answers: the main thread or the timer's."""
        with self._lock:
            claimed, self._answered = not self._answered, True
        return claimed

    def _deliver(self, body: bytes) -> None:
        self._problem = "the sending broke off"
        deadline = Deadline.of_invocation(self._context, reserve=SEND_RESERVE, clock=self._clock)
        self._problem = self._responder.deliver(self._resource.response_url, body, deadline)
        if self._problem:
            self._count("ResponsesUndelivered")

    def _body(self, status: str | None, reason: str) -> bytes:
        decided = status is None
        fields = {
            "Status": self.Status if decided else status,
            "PhysicalResourceId": (self.PhysicalResourceId if decided else "") or self._resource.fallback_id,
            "StackId": self._resource.stack_id,
            "RequestId": self._resource.request_id,
            "LogicalResourceId": self._resource.logical_id,
            "Data": self.Data if decided else {},
            "NoEcho": False,
        }
        where = f"log group {self._log_group}, correlation_id {self._resource.request_id}"
        return response_body(fields, self.Reason if decided else reason, where)
