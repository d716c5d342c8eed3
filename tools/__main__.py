"""The command line: `python -m tools run | up | down | plan | picture | verify-aws | document | release`."""

import argparse
import signal
import sys
from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from tools import plan
from tools.conformance import document, verify
from tools.demo import demonstration, picture
from tools.localaws import background
from tools.release import release

from .errors import ToolError
from .processes import unwind_on_termination
from .screen import Screen

_COMMANDS: dict[str, Callable[[Screen], int]] = {
    "run": demonstration.run,
    "up": background.up,
    "down": background.down,
    "picture": picture.run,
    "document": document.write,
    "release": release.run,
}


def main() -> int:
    """Return exit code 0 after success, 1 after a failure, 130 after Ctrl-C."""
    options = _options()
    screen = Screen()
    try:
        with unwind_on_termination():
            if options.command == "verify-aws":
                return verify.verify(screen, options)
            if options.command == "plan":
                return plan.plan(screen, options)
            return _COMMANDS[options.command](screen)
    except (ToolError, BotoCoreError, ClientError) as error:
        screen.say(str(error), style="red")
        return 1
    except KeyboardInterrupt:
        screen.say("Interrupted. What was started has been stopped.")
        return 128 + signal.SIGINT


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools", description="A local AWS with the stack on it.")
    commands = parser.add_subparsers(dest="command", required=True)
    for name in _COMMANDS:
        commands.add_parser(name)
    plan.add_arguments(commands.add_parser("plan", description=plan.__doc__))
    verify.add_arguments(commands.add_parser("verify-aws", description=verify.__doc__))
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
