"""Send one response to one custom resource request: by the handler, or by a timer if the handler takes too long.

crhelper dispatches by request type, guards the invocation with a timer and assembles the response. This module is the
only one that imports it, and corrects what it does wrong: a response counts only if it is delivered, is sent once, and
has the resource's own id and at most 4,096 bytes; the timer leaves seconds instead of half a second; an unexpected
error reaches Lambda after FAILED was sent; nothing logs the event.
"""

import logging
import sys
import threading
from collections.abc import Callable
from typing import Literal, override

from crhelper import FAILED, SUCCESS, CfnResource

from handler.cancellation.rate import LambdaContext
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.response import response_body
from handler.cloudformation.teardown import Response

type Count = Callable[[str], None]
type _Claimant = Literal["handler", "timer", "error"]

TIMER_RESERVE = 6.5  # seconds before the end of the invocation
OUT_OF_TIME = "the invocation ran out of time before every job was settled"

# crhelper logs whole exceptions as plain text, and at DEBUG the event with its ResponseURL. Telemetry logs instead.
for name in ("crhelper.resource_helper", "crhelper.utils"):
    logging.getLogger(name).disabled = True


class Lifecycle(CfnResource):
    """The lifecycle of one request. Created for each request, so that no state of one reaches the next."""

    _response: Response

    # crhelper creates three clients for its polling, except under `sam local`. Polling is never used here.
    _sam_local = property(lambda _: "true", lambda _, __: None)

    def __init__(
        self,
        resource: CustomResourceRequest,
        context: LambdaContext,
        deliver: Callable[[bytes], str],
        count: Count,
        log_group: str,
    ) -> None:
        """`deliver` sends a body and returns why it could not, or an empty string; `count` counts one metric."""
        super().__init__(json_logging=False, log_level="WARNING", boto_level="WARNING", sleep_on_delete=0)
        self._resource = resource
        self._context = context
        self._deliver = deliver
        self._count = count
        self._log_group = log_group
        self._lock = threading.Lock()
        self._claimant: _Claimant | None = None
        self._is_postponed = False
        self._unexpected: BaseException | None = None
        self.delivery_error = ""

    def dispatch(self, validate: Callable[[], Response], tear_down: Callable[[], Response]) -> Response:
        """Call `validate` on Create and Update, `tear_down` on Delete, and send the response that it returns.

        Nothing is sent if the timer has responded already, or if `tear_down` has postponed the response. Afterwards
        `delivery_error` says why a response was not delivered, or is empty. Raises what the callable raised, after
        FAILED was sent, unless `tear_down` had claimed the response.
        """
        self.create(validate)
        self.update(validate)
        self.delete(tear_down)
        resource = self._resource
        request: dict[str, object] = {
            "RequestType": resource.request_type,
            "ResponseURL": resource.response_url,
            "RequestId": resource.request_id,
            "StackId": resource.stack_id,
            "LogicalResourceId": resource.logical_id,
        }
        self(request, self._context)
        if self._timer and self._timer.ident:
            self._timer.join()  # Lambda freezes its thread as soon as the handler returns
        if self._unexpected:
            raise self._unexpected
        return self._response

    def claim(self) -> bool:
        """Return True if the handler, and no longer the timer, may respond or leave that to a later delivery."""
        return self._claim("handler")

    def postpone(self) -> None:
        """Leave the response, which the handler has claimed, to a later delivery."""
        self._is_postponed = True

    def _claim(self, claimant: _Claimant) -> bool:
        """Return True for the first claimant, and again for the same one."""
        with self._lock:
            self._claimant = self._claimant or claimant
            return self._claimant == claimant

    @override
    def _wrap_function(self, func: Callable[[], Response]) -> None:
        """Call the function without crhelper's own arguments, and without its `except`."""
        self._response = func()

    @override
    def _cfn_response(self, event: dict[str, object]) -> None:
        if not self._is_postponed and self.claim():
            self._respond(self._response.status, self._response.reason, self._response)

    @override
    def _set_timeout(self) -> None:
        remaining = self._context.get_remaining_time_in_millis() / 1000
        self._timer = threading.Timer(max(0.0, remaining - TIMER_RESERVE), self._timeout)
        self._timer.daemon = True
        self._timer.start()

    @override
    def _timeout(self) -> None:
        if self._claim("timer"):
            self._respond(SUCCESS if self._resource.continues_if_incomplete else FAILED, OUT_OF_TIME)
            self._count("TeardownsOutOfTime")

    @override
    def _send(self, status: str | None = None, reason: str = "", send_response: object = None) -> None:
        """Send FAILED from crhelper's own `except`, which swallows what it caught."""
        self._unexpected = sys.exception() or self._init_failed
        if self._claim("error"):
            self._respond(FAILED, f"unexpected {type(self._unexpected).__name__}")

    def _respond(self, status: str, reason: str, response: Response | None = None) -> None:
        resource = self._resource
        fields = {
            "Status": status,
            "PhysicalResourceId": (response.physical_id if response else "") or resource.fallback_id,
            "StackId": resource.stack_id,
            "RequestId": resource.request_id,
            "LogicalResourceId": resource.logical_id,
            "Data": dict(response.data) if response else {},
            "NoEcho": False,
        }
        body = response_body(fields, reason, f"log group {self._log_group}, correlation_id {resource.request_id}")
        self.delivery_error = "the request to ResponseURL was interrupted"
        self.delivery_error = self._deliver(body)
        if self.delivery_error:
            self._count("ResponsesUndelivered")
