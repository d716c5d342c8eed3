"""`python -m local run | up | down`: what the Makefile calls."""

import argparse
import signal
import sys

from botocore.exceptions import BotoCoreError, ClientError

from . import background, demo
from .errors import LocalError
from .processes import termination_unwinds
from .screen import Screen

_COMMANDS = {"run": demo.run, "up": background.up, "down": background.down}


def main() -> int:
    """Exit code: 0 if all went well, 1 if not, 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="python -m local", description="A local AWS with the stack on it.")
    parser.add_argument("command", choices=_COMMANDS)
    command = _COMMANDS[parser.parse_args().command]
    screen = Screen()
    try:
        with termination_unwinds():
            return command(screen)
    except (LocalError, BotoCoreError, ClientError) as error:
        screen.say(str(error), style="red")
        return 1
    except KeyboardInterrupt:
        screen.say("Interrupted. What was started has been stopped.")
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
