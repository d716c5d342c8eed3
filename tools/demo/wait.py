"""The second part of the demonstration: the deletion of a stack waits for the devices that still run its job."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from tools.fleet.devices import Fleet
from tools.localaws.aws import LocalAws
from tools.localaws.reports import FunctionLog
from tools.polling import wait_for
from tools.screen import Screen

from .rollout import Moment, Rollout

NAME = "rollout-1"
COLUMNS = ("After", "Who", "What")
_DEVICES_END_SECONDS = (6, 12)  # after the start of the deletion
_TIMEOUT_SECONDS = 90

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
_LAST_DEVICE_END = EXPECTED[5]
# Not in EXPECTED: the function logs this report after its response, which lets the deletion continue.
_LAST_REPORT = ("canceler", "SETTLED, job ALREADY_CANCELED, 0 left in progress")


@dataclass(frozen=True)
class WaitResult:
    """The timeline of the deletion, and the duration of each of the function's invocations for it in milliseconds."""

    moments: Sequence[Moment]
    durations: Sequence[float]

    @property
    def is_as_expected(self) -> bool:
        """True if the timeline has the order of EXPECTED, and one settled report after the end of the last device."""
        lines = [(moment.who, moment.what) for moment in self.moments]
        in_order = tuple(line for line in lines if line in EXPECTED) == EXPECTED
        return in_order and lines[lines.index(_LAST_DEVICE_END) :].count(_LAST_REPORT) == 1

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the cells of each row, in the order of COLUMNS."""
        start = self.moments[0].at
        return [
            (f"{(moment.at - start).total_seconds():6.2f} s", moment.who, moment.what)
            for moment in self.moments
            if moment.what != "DELETE_IN_PROGRESS" or moment.who in {who for who, _ in EXPECTED[:2]}
        ]


def run(screen: Screen, aws: LocalAws, fleet: Fleet, log: FunctionLog) -> WaitResult:
    """Delete the stack of a rollout while two devices run its job. The function is deployed without force."""
    rollout = Rollout(aws, NAME, fleet)
    with screen.step("wait: create a roll-out from examples/firmware-rollout.yaml; two devices start it"):
        rollout.create({"WaitForExecutionsMinutes": "5"})
        rollout.start_devices(2)
    before = len(log.durations())
    with screen.step(
        f"wait: delete the stack; the devices are done after {_DEVICES_END_SECONDS[0]} and {_DEVICES_END_SECONDS[1]} s"
    ):
        start = time.monotonic()
        rollout.begin_deletion()
        for seconds, device in zip(_DEVICES_END_SECONDS, rollout.devices, strict=True):
            wait_for(device, partial(_is_past, start + seconds), seconds=_TIMEOUT_SECONDS)
            rollout.succeed(device)
        rollout.wait_for_deletion(seconds=_TIMEOUT_SECONDS)
    return WaitResult(rollout.timeline(log), log.durations()[before:])


def _is_past(due: float) -> bool:
    return time.monotonic() > due
