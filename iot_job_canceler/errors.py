"""The errors that end a command. Each message is for the person who entered the command."""


class CommandFailed(Exception):
    """The job is not settled, the plan is incomplete, or AWS refused a call. Exit code 1."""


class WrongUsage(Exception):
    """An option or the input is invalid. Nothing was sent. Exit code 2."""
