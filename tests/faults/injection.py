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
    """One attempt of a call under way. `answer` is what the service has answered, or nothing if it did not act."""

    operation: str
    timeout: float
    clock: FakeClock
    answer: bytes


type Happening = Callable[[Call], bytes]


class Lasts(StrEnum):
    """How long a fault lasts."""

    ONCE = "once"  # one attempt, so that the SDK's next one works
    CALL = "every attempt"  # of one call
    FOR_EVER = "for ever"  # every call of the operation from then on, whoever makes it


@dataclass(frozen=True, slots=True)
class Fault:
    """`acts`: before that, the service does what it is asked. `where` it can happen; none is anywhere.

    A place is an operation, or an operation and what a refusal there ends in, as in Scenario.calls.
    """

    name: str
    happening: Happening
    acts: bool = False
    lasts: Lasts = Lasts.CALL
    where: tuple[str, ...] = ()

    def can_strike(self, operation: str, refused: str) -> bool:
        """True if it makes sense there."""
        return not self.where or bool({operation, f"{operation}/{refused}"} & set(self.where))

    def __str__(self) -> str:
        return f"{self.name}, {self.lasts.value}"


def for_ever(fault: Fault) -> Fault:
    """The same without an end."""
    return replace(fault, lasts=Lasts.FOR_EVER)


# The happenings


def _answers(status: int, code: str) -> Happening:
    return lambda call: response(status) if call.operation == PUT else error(status, code, "told by the service")


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
    return call.answer


def _cut_off(call: Call) -> bytes:
    return call.answer[:-1]


def _no_http(_call: Call) -> bytes:
    return b"???\r\n\r\n"


def _body(change: Callable[[bytes], bytes]) -> Happening:
    """Another body; the status and the other headers stay as they are."""

    def happening(call: Call) -> bytes:
        head, _, body = call.answer.partition(b"\r\n\r\n")
        kept = [line for line in head.split(b"\r\n") if not line.startswith(b"Content-Length")]
        changed = change(body)
        return b"\r\n".join([*kept, b"Content-Length: %d" % len(changed), b"", changed])

    return happening


def _text(text: bytes) -> Happening:
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
# An empty object is a true answer of a listing: the service's model requires none of its members.
_NO_LISTING = ("CancelJob", "DescribeJob", "ListJobExecutionsForJob", "CancelJobExecution", *SQS, *EVENTS)
_OTHER_TYPES = b'{"job": "x", "jobs": "x", "tags": 7, "executionSummaries": "x", "nextToken": 1, "MessageId": [1]}'
_EMPTY_ROWS = b'{"job": {}, "jobs": [{}], "tags": [{}], "executionSummaries": [{}]}'

_BY_ATTEMPTS: tuple[tuple[str, Happening, bool], ...] = (
    ("throttled", _answers(400, "ThrottlingException"), False),
    ("500", _answers(500, "InternalFailureException"), False),
    ("503", _answers(503, "ServiceUnavailableException"), False),
    ("connection reset before it acted", _reset, False),
    ("answer lost", _closed, True),
    ("time-out before it acted", _too_late, False),
    ("time-out after it acted", _too_late, True),
)
# What passes: nothing is lost, and all ends as if it had not been.
PASSING = (
    *(Fault(*each, lasts) for each in _BY_ATTEMPTS for lasts in (Lasts.ONCE, Lasts.CALL)),
    Fault("answered just in time", _just_in_time, acts=True),
    Fault("no HTTP", _no_http, acts=True),
    Fault("body cut off", _cut_off, acts=True, where=_AWS),
    Fault("body is no JSON", _text(b"<html>Bad Gateway</html>"), acts=True, where=_AWS),
    Fault("body is half of it", _body(lambda body: body[: len(body) // 2]), acts=True, where=_AWS),
    Fault("body is empty", _text(b""), acts=True, where=_AWS),
    Fault("body is a list", _text(b"[]"), acts=True, where=_AWS),
    Fault("body is somebody else's", _text(b'{"message": "Bad Gateway"}'), acts=True, where=_AWS),
    Fault("body is an empty object", _text(b"{}"), acts=True, where=_NO_LISTING),
    Fault("body has other types", _text(_OTHER_TYPES), acts=True, where=_AWS),
    Fault("body has empty rows", _text(_EMPTY_ROWS), acts=True, where=_AWS),
    Fault("accepted, and not done", _accepted, where=("CancelJob/told", "CancelJobExecution/told")),
    Fault("status PAUSED", _body(_paused), acts=True, where=("DescribeJob",)),
    Fault("killed before it acted", _kill),
    Fault("killed after it acted", _kill, acts=True),
)
# What the service does not want: it is told, since nobody knows whether it would ever pass.
REFUSALS = (
    Fault("denied", _answers(403, "AccessDeniedException")),
    Fault("unknown error with 400", _answers(400, "NeverHeardOfException")),
    Fault("unknown error with 409", _answers(409, "NeverHeardOfException")),
)
NOTHING = Fault("nothing", lambda call: call.answer, acts=True)
_BY_NAME = {str(fault): fault for fault in (*PASSING, *REFUSALS)}
UNAVAILABLE, LOST = _BY_NAME["503, every attempt"], _BY_NAME["answer lost, every attempt"]
PAUSED, DENIED = _BY_NAME["status PAUSED, every attempt"], _BY_NAME["denied, every attempt"]
KILLED = _BY_NAME["killed after it acted, every attempt"]
# One fault for each effect that the pipeline can tell apart, and the operations on which it can. test_classes.py shows
# which of these every fault amounts to at every call: so the gate tries these, and nightly/ the others.
CLASSES: dict[str, tuple[str, ...]] = {
    "503, once": (*_AWS, PUT),
    "503, every attempt": (*_AWS, PUT),
    "answer lost, once": ("CancelJob", "CancelJobExecution"),  # the next attempt is refused: it is done already
    "answer lost, every attempt": (*_AWS, PUT),
    "answered just in time, every attempt": (*_AWS, PUT),
    "body is an empty object, every attempt": ("ListJobExecutionsForJob",),  # nothing is listed
    "accepted, and not done, every attempt": ("CancelJob", "CancelJobExecution"),
    "status PAUSED, every attempt": ("DescribeJob",),
    "killed before it acted, every attempt": (*_AWS, PUT),
    "killed after it acted, every attempt": (*_AWS, PUT),
}


def is_class(operation: str, fault: Fault) -> bool:
    """True if the fault stands for others on this operation."""
    return operation in CLASSES.get(str(fault), ())
