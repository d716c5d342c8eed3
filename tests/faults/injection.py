"""What can happen to one call between the function and a service: literal tables."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from tests.faults.endpoints import PUT, error
from tests.faults.sockets import response
from tests.support.aws_lambda import Killed
from tests.support.fakes import FakeClock


@dataclass(frozen=True, slots=True)
class Call:
    """One attempt of a call. `response` has the bytes of the service, or none if it did not act."""

    operation: str
    timeout: float
    clock: FakeClock
    response: bytes


type Action = Callable[[Call], bytes]


class Duration(StrEnum):
    """How long a fault lasts."""

    ONCE = "once"  # one attempt, so that the SDK's next one works
    CALL = "every attempt"  # of one call
    PERMANENT = "permanent"  # every later call of the operation by any invocation


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault of a call. With `acts`, the service acts first. `where` lists the possible places; none is anywhere.

    A place is an operation, or an operation and what a refusal there ends in, as in Scenario.calls.
    """

    name: str
    action: Action
    acts: bool = False
    duration: Duration = Duration.CALL
    where: tuple[str, ...] = ()

    def applies_to(self, operation: str, refused: str) -> bool:
        """Return True if the fault can happen there."""
        return not self.where or bool({operation, f"{operation}/{refused}"} & set(self.where))

    def __str__(self) -> str:
        return f"{self.name}, {self.duration.value}"


def permanent(fault: Fault) -> Fault:
    """Return the same fault for every later call of the operation."""
    return replace(fault, duration=Duration.PERMANENT)


# Actions


def _responds(status: int, code: str) -> Action:
    return lambda call: response(status) if call.operation == PUT else error(status, code, "from the service")


def _reset(_call: Call) -> bytes:
    raise ConnectionResetError


def _accepted(_call: Call) -> bytes:
    return response(200, b"{}")


def _closed(_call: Call) -> bytes:
    return b""


def _too_late(call: Call) -> bytes:
    call.clock.advance(call.timeout)
    raise TimeoutError


def _just_in_time(call: Call) -> bytes:
    call.clock.advance(call.timeout - 0.01)
    return call.response


def _cut_off(call: Call) -> bytes:
    return call.response[:-1]


def _no_http(_call: Call) -> bytes:
    return b"???\r\n\r\n"


def _body(change: Callable[[bytes], bytes]) -> Action:
    """Replace the body. The status and the other headers stay the same."""

    def action(call: Call) -> bytes:
        head, _, body = call.response.partition(b"\r\n\r\n")
        lines = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
        changed = change(body)
        return b"\r\n".join([*lines, b"Content-Length: %d" % len(changed), b"", changed])

    return action


def _text(text: bytes) -> Action:
    return _body(lambda _: text)


def _paused(body: bytes) -> bytes:
    described = json.loads(body)
    described.get("job", {})["status"] = "PAUSED"
    return json.dumps(described).encode()


def _kill(_call: Call) -> bytes:
    raise Killed


# The tables

IOT = ("CancelJob", "DescribeJob", "ListJobs", "ListTagsForResource", "ListJobExecutionsForJob", "CancelJobExecution")
SQS = ("SendMessage", "ChangeMessageVisibility")
EVENTS = ("PutEvents",)
_AWS = (*IOT, *SQS, *EVENTS)
# An empty object is a valid response of a listing: the service's model requires none of its members.
_NOT_LISTED = ("CancelJob", "DescribeJob", "ListJobExecutionsForJob", "CancelJobExecution", *SQS, *EVENTS)
_OTHER_TYPES = b'{"job": "x", "jobs": "x", "tags": 7, "executionSummaries": "x", "nextToken": 1, "MessageId": [1]}'
_EMPTY_ROWS = b'{"job": {}, "jobs": [{}], "tags": [{}], "executionSummaries": [{}]}'

_BY_ATTEMPTS: tuple[tuple[str, Action, bool], ...] = (
    ("throttled", _responds(400, "ThrottlingException"), False),
    ("500", _responds(500, "InternalFailureException"), False),
    ("503", _responds(503, "ServiceUnavailableException"), False),
    ("connection reset before it acted", _reset, False),
    ("response lost", _closed, True),
    ("timeout before it acted", _too_late, False),
    ("timeout after it acted", _too_late, True),
)
# Temporary faults: they do not change the result.
TEMPORARY = (
    *(Fault(*each, duration) for each in _BY_ATTEMPTS for duration in (Duration.ONCE, Duration.CALL)),
    Fault("response just in time", _just_in_time, acts=True),
    Fault("not HTTP", _no_http, acts=True),
    Fault("body cut off", _cut_off, acts=True, where=_AWS),
    Fault("body is not JSON", _text(b"<html>Bad Gateway</html>"), acts=True, where=_AWS),
    Fault("body is half of it", _body(lambda body: body[: len(body) // 2]), acts=True, where=_AWS),
    Fault("body is empty", _text(b""), acts=True, where=_AWS),
    Fault("body is a list", _text(b"[]"), acts=True, where=_AWS),
    Fault("body of another service", _text(b'{"message": "Bad Gateway"}'), acts=True, where=_AWS),
    Fault("body is an empty object", _text(b"{}"), acts=True, where=_NOT_LISTED),
    Fault("body has other types", _text(_OTHER_TYPES), acts=True, where=_AWS),
    Fault("body has empty rows", _text(_EMPTY_ROWS), acts=True, where=_AWS),
    Fault("accepted, and not done", _accepted, where=("CancelJob/reported", "CancelJobExecution/reported")),
    Fault("status PAUSED", _body(_paused), acts=True, where=("DescribeJob",)),
    Fault("killed before it acted", _kill),
    Fault("killed after it acted", _kill, acts=True),
)
# Refusals: they are reported, since a retry might never succeed.
REFUSALS = (
    Fault("denied", _responds(403, "AccessDeniedException")),
    Fault("unknown error with 400", _responds(400, "NeverHeardOfException")),
    Fault("unknown error with 409", _responds(409, "NeverHeardOfException")),
)
NOTHING = Fault("nothing", lambda call: call.response, acts=True)
_BY_NAME = {str(fault): fault for fault in (*TEMPORARY, *REFUSALS)}
UNAVAILABLE, LOST = _BY_NAME["503, every attempt"], _BY_NAME["response lost, every attempt"]
PAUSED, DENIED = _BY_NAME["status PAUSED, every attempt"], _BY_NAME["denied, every attempt"]
KILLED = _BY_NAME["killed after it acted, every attempt"]
# One fault for each effect that the pipeline can distinguish, and the operations on which it can. test_classes.py shows
# the class of every fault at every call. So the gate tries these faults, and nightly/ the others.
CLASSES: dict[str, tuple[str, ...]] = {
    "503, once": (*_AWS, PUT),
    "503, every attempt": (*_AWS, PUT),
    "response lost, once": ("CancelJob", "CancelJobExecution"),  # the next attempt is refused: it already done
    "response lost, every attempt": (*_AWS, PUT),
    "response just in time, every attempt": (*_AWS, PUT),
    "body is an empty object, every attempt": ("ListJobExecutionsForJob",),  # nothing is listed
    "accepted, and not done, every attempt": ("CancelJob", "CancelJobExecution"),
    "status PAUSED, every attempt": ("DescribeJob",),
    "killed before it acted, every attempt": (*_AWS, PUT),
    "killed after it acted, every attempt": (*_AWS, PUT),
}


def is_class(operation: str, fault: Fault) -> bool:
    """Return True if the fault represents others on this operation."""
    return operation in CLASSES.get(str(fault), ())
