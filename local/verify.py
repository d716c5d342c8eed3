"""`make verify-aws`: the beliefs, held against an AWS account, which is left as it was.

**Never tried on a real account.** MiniStack has stood in for it.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from secrets import token_hex

from rich.markup import escape

from .account import Account
from .beliefs import BELIEFS
from .beliefs.belief import Belief, look
from .beliefs.differences import Backend, expected_of
from .beliefs.makings import Makings
from .beliefs.scene import Scene
from .errors import Interrupted, LocalError
from .processes import signals_held_back
from .screen import Screen

CALLS_PER_SECOND = 5.0  # half of AWS IoT's default quota: the account has other work
_PATIENCE_SECONDS = 20.0  # for a reading, where the service takes its time
_CLEAN_UP_SECONDS = 180.0
_COLUMNS = ("Belief", "What is believed", "Mark", "Expected", "Seen", "OK?")


@dataclass(frozen=True)
class Sight:
    """One belief, what may be seen where it was held against, and what was."""

    belief: Belief
    expected: tuple[str, ...]
    seen: str

    @property
    def is_as_expected(self) -> bool:
        return self.seen in self.expected

    @property
    def is_as_believed(self) -> bool:
        return self.seen in self.belief.expected

    def row(self) -> tuple[str, ...]:
        """In the order of _COLUMNS."""
        verdict = (
            "[green]yes[/]" if self.is_as_believed else "[yellow]known[/]" if self.is_as_expected else "[red]NO[/]"
        )
        texts = (self.belief.name, self.belief.what, self.belief.mark, " | ".join(self.expected), self.seen)
        return (*map(escape, texts), verdict)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that `verify` takes."""
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--endpoint-url", metavar="URL", help="a MiniStack that stands in for the account")
    parser.add_argument("--calls-per-second", type=float, metavar="N", default=CALLS_PER_SECOND, help="%(default)s")


def verify(screen: Screen, options: argparse.Namespace, beliefs: Iterable[Belief] = BELIEFS) -> int:
    """Exit code: 0 if everything was seen as expected, and nothing is left behind."""
    if options.calls_per_second > CALLS_PER_SECOND and not options.endpoint_url:
        raise LocalError(f"not more than {CALLS_PER_SECOND:g} calls a second to a real account")
    backend = Backend.MINISTACK if options.endpoint_url else Backend.AWS
    prefix = f"ijc-verify-{token_hex(4)}-"
    beliefs = tuple(beliefs)
    sights: list[Sight] = []
    account = Account(options.endpoint_url, options.calls_per_second)
    screen.say(_announcement(account.name, prefix, len(beliefs)))
    if not (options.yes or screen.ask("Begin?")):
        screen.say("Nothing was done.")
        return 1
    makings = Makings(account.iot, _CLEAN_UP_SECONDS)
    with signals_held_back() as account.arrived:
        try:
            scene = Scene(account.iot, account.devices(), prefix, _PATIENCE_SECONDS, makings)
            for number, belief in enumerate(beliefs, 1):
                screen.say(f"{number:2}/{len(beliefs)}  {belief.name}")
                expected = expected_of(backend, belief)
                sights.append(Sight(belief, expected, look(belief, scene, expected)))
                makings.drop_jobs()
            screen.say("Cleaning up.")
        except Interrupted:
            screen.say("Interrupted: cleaning up first.")
        finally:
            account.is_interruptible = False
            left = makings.clean_up()
        for each in left:
            screen.say(f"left behind: {each}", style="red")
        screen.table("What was believed, and what was seen", _COLUMNS, [sight.row() for sight in sights])
    screen.say(_summary(sights))
    return 0 if all(sight.is_as_expected for sight in sights) and not left else 1


def _announcement(where: str, prefix: str, number: int) -> str:
    return (
        f"{number} beliefs about AWS IoT Jobs are held against {where}.\n"
        f"That makes up to 3 things, a thing group and some {number} jobs for them, one of them in Greengrass's\n"
        f"namespace, with names that begin with {prefix}, and deletes them again. Nothing else is touched; jobs are\n"
        "listed. AWS bills the executions as remote actions."
    )


def _summary(sights: Iterable[Sight]) -> str:
    seen = tuple(sights)
    believed = sum(sight.is_as_believed for sight in seen)
    known = sum(sight.is_as_expected for sight in seen) - believed
    wrong = len(seen) - believed - known
    return f"{believed} as believed, {known} other than AWS, as known of MiniStack; {wrong} not as expected"
