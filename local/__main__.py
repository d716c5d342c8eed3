"""`python -m local run | up | down | plan | picture | verify-aws | document | release`: what the Makefile calls."""

import argparse
import signal
import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from . import background, demo, picture, plan, release, verify
from .beliefs import document
from .errors import LocalError
from .processes import termination_unwinds
from .screen import Screen

_COMMANDS: dict[str, Callable[[Screen], int]] = {
    "run": demo.run,
    "up": background.up,
    "down": background.down,
    "picture": picture.play,
    "document": document.write,
    "release": release.run,
}


def main() -> int:
    """Exit code: 0 if all went well, 1 if not, 130 after Ctrl-C."""
    options = _options()
    screen = Screen()
    try:
        with termination_unwinds():
            if options.command == "verify-aws":
                return verify.verify(screen, options)
            if options.command == "plan":
                return plan.plan(screen, options)
            return _COMMANDS[options.command](screen)
    except (LocalError, BotoCoreError, ClientError) as error:
        screen.say(str(error), style="red")
        return 1
    except KeyboardInterrupt:
        screen.say("Interrupted. What was started has been stopped.")
        return 128 + signal.SIGINT


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description="A local AWS with the stack on it.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in _COMMANDS:
        commands.add_parser(name)
    plan.add_arguments(commands.add_parser("plan", description=plan.__doc__))
    verify.add_arguments(commands.add_parser("verify-aws", description=verify.__doc__))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
