"""`make verify-aws`: check the assumptions against an AWS account, and delete everything that was created for it.

**Never run on a real account.** It was run on MiniStack only.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from secrets import token_hex

from rich.markup import escape

from tools.errors import Interrupted, ToolError
from tools.processes import deferred_signals
from tools.screen import Screen

from .account import Account
from .assumption import Assumption, observe
from .assumptions import ASSUMPTIONS
from .created_resources import CreatedResources
from .differences import Backend, expected_of
from .testbed import IotTestbed

MAX_CALLS_PER_SECOND = 5.0  # half of AWS IoT's default quota, which other clients of the account share
_OBSERVATION_SECONDS = 20.0
_CLEAN_UP_SECONDS = 180.0
_COLUMNS = ("Assumption", "What is assumed", "Evidence", "Expected", "Observed", "OK?")


@dataclass(frozen=True)
class Observation:
    """The text that the probe of an assumption returned, and the texts that are expected of this backend."""

    assumption: Assumption
    expected: tuple[str, ...]
    observed: str

    @property
    def is_expected(self) -> bool:
        return self.observed in self.expected

    @property
    def is_as_assumed(self) -> bool:
        return self.observed in self.assumption.expected

    def row(self) -> tuple[str, ...]:
        """Return the cells, in the order of _COLUMNS."""
        result = "[green]yes[/]" if self.is_as_assumed else "[yellow]known[/]" if self.is_expected else "[red]NO[/]"
        claim = self.assumption
        texts = (claim.name, claim.claim, claim.evidence, " | ".join(self.expected), self.observed)
        return (*map(escape, texts), result)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of `verify`."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--endpoint-url", metavar="URL", help="the endpoint of a MiniStack, in place of AWS")
    parser.add_argument("--calls-per-second", type=float, metavar="N", default=MAX_CALLS_PER_SECOND, help="%(default)s")


def verify(screen: Screen, options: argparse.Namespace, assumptions: Sequence[Assumption] = ASSUMPTIONS) -> int:
    """Return exit code 0 if every observation is expected and every created resource is deleted."""
    if options.calls_per_second > MAX_CALLS_PER_SECOND and not options.endpoint_url:
        raise ToolError(f"at most {MAX_CALLS_PER_SECOND:g} calls a second to a real account")
    backend = Backend.MINISTACK if options.endpoint_url else Backend.AWS
    prefix = f"ijc-verify-{token_hex(4)}-"
    observations: list[Observation] = []
    account = Account(options.endpoint_url, options.calls_per_second)
    screen.say(_announcement(account.name, prefix, len(assumptions)))
    if not (options.yes or screen.ask("Begin?")):
        screen.say("Nothing was done.")
        return 1
    created = CreatedResources(account.iot, _CLEAN_UP_SECONDS)
    with deferred_signals() as signals:
        try:
            account.signals = signals
            testbed = IotTestbed(account.iot, account.devices(), prefix, _OBSERVATION_SECONDS, created)
            for number, assumption in enumerate(assumptions, 1):
                screen.say(f"{number:2}/{len(assumptions)}  {assumption.name}")
                expected = expected_of(backend, assumption)
                observations.append(Observation(assumption, expected, observe(assumption, testbed, expected)))
                created.delete_jobs()
            screen.say("Cleaning up.")
        except Interrupted:
            screen.say("Interrupted: cleaning up first.")
        finally:
            account.signals = ()
            remaining = created.clean_up()
        for each in remaining:
            screen.say(f"not deleted: {each}", style="red")
        screen.table("Assumptions and observations", _COLUMNS, [each.row() for each in observations])
    screen.say(_summary(observations))
    return 0 if all(each.is_expected for each in observations) and not remaining else 1


def _announcement(where: str, prefix: str, number: int) -> str:
    return (
        f"{number} assumptions about AWS IoT Jobs are checked against {where}.\n"
        f"That creates up to 3 things, a thing group and some {number} jobs for them, one of them in Greengrass's\n"
        f"namespace, with names that begin with {prefix}, and deletes them again. Nothing else is touched; all jobs\n"
        "are listed. AWS bills the executions as remote actions."
    )


def _summary(observations: Sequence[Observation]) -> str:
    assumed = sum(each.is_as_assumed for each in observations)
    known = sum(each.is_expected for each in observations) - assumed
    wrong = len(observations) - assumed - known
    return f"{assumed} as assumed, {known} known differences of MiniStack, {wrong} unexpected"
