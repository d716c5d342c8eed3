"""The second part of the demonstration: a stack is deleted while devices are at work, and waits for them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from .aws import LocalAws
from .fleet import Fleet
from .polling import wait_for
from .reports import FunctionLog
from .rollout import Moment, RollOut, durations_of
from .screen import Screen

NAME = "rollout-1"
COLUMNS = ("After", "Who", "What")
_DEVICES_DONE = (6, 12)  # seconds after the deletion began
_SECONDS = 90

EXPECTED = (
    ("stack", "DELETE_IN_PROGRESS"),
    ("stack's Teardown", "DELETE_IN_PROGRESS"),
    ("job", "CANCELED"),
    ("canceler", "UNFINISHED, job CANCELED, 2 left in progress"),
    (f"{NAME}-device-1", "SUCCEEDED"),
    (f"{NAME}-device-2", "SUCCEEDED"),
    ("stack's Teardown", "DELETE_COMPLETE"),
    ("stack's RollOut", "DELETE_COMPLETE"),
    ("stack's ImageAccess", "DELETE_COMPLETE"),
    ("stack's Firmware", "DELETE_COMPLETE"),
    ("stack's Devices", "DELETE_COMPLETE"),
    ("stack", "DELETE_COMPLETE"),
)
_DEVICES_ARE_DONE = EXPECTED[5]
# It is logged after the answer, and so at the same time as what follows from it.
_LAST_LOOK = ("canceler", "SETTLED, job ALREADY_CANCELED, 0 left in progress")


@dataclass(frozen=True)
class Waited:
    """The time line of the deletion, and what each of the canceler's invocations for it took, in milliseconds."""

    moments: Sequence[Moment]
    durations: Sequence[float]

    @property
    def is_as_expected(self) -> bool:
        """True if all happened in the order of EXPECTED, and the canceler was done when the devices were."""
        lines = [(moment.who, moment.what) for moment in self.moments]
        in_order = tuple(line for line in lines if line in EXPECTED) == EXPECTED
        return in_order and lines[lines.index(_DEVICES_ARE_DONE) :].count(_LAST_LOOK) == 1

    def rows(self) -> list[tuple[str, str, str]]:
        """In the order of COLUMNS."""
        began = self.moments[0].at
        return [
            (f"{(moment.at - began).total_seconds():6.2f} s", moment.who, moment.what)
            for moment in self.moments
            if moment.what != "DELETE_IN_PROGRESS" or moment.who in {who for who, _ in EXPECTED[:2]}
        ]


def play(screen: Screen, aws: LocalAws, fleet: Fleet, log: FunctionLog) -> Waited:
    """The canceler is deployed without force."""
    roll_out = RollOut(aws, NAME, fleet)
    with screen.step("wait: create a roll-out from examples/firmware-rollout.yaml; two devices start it"):
        roll_out.create({"WaitForExecutionsMinutes": "5"})
        roll_out.start_devices(2)
    before = len(durations_of(log))
    with screen.step(f"wait: delete the stack; the devices are done after {_DEVICES_DONE[0]} and {_DEVICES_DONE[1]} s"):
        began = time.monotonic()
        roll_out.begin_deletion()
        for seconds, device in zip(_DEVICES_DONE, roll_out.devices, strict=True):
            due = began + seconds
            wait_for(device, partial(_is_past, due), seconds=_SECONDS)
            roll_out.succeed(device)
        roll_out.end_of_deletion(seconds=_SECONDS)
    return Waited(roll_out.time_line(log), durations_of(log)[before:])


def _is_past(due: float) -> bool | None:
    return True if time.monotonic() > due else None
