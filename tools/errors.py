"""The errors of the tools, each with a message for the user."""


class ToolError(Exception):
    """Base of the errors that end a command with exit code 1."""


class MiniStackFailed(ToolError):
    """The local AWS did not start, or ended."""


class SamFailed(ToolError):
    """`sam` returned an error; the message contains its output."""


class CommandFailed(ToolError):
    """`iot-job-canceler` returned an error; the message contains its output."""


class StackFailed(ToolError):
    """A stack did not reach the wanted status; the message contains CloudFormation's reasons."""


class NotReleasable(ToolError):
    """The checkout cannot be released; the message says why."""


class NotPlanned(ToolError):
    """There is no plan to show; the message says why."""


class TimedOut(ToolError):
    """A condition was not met before its deadline."""


class NotDelivered(ToolError):
    """An event did not reach the function."""


class Interrupted(Exception):
    """A signal has arrived. Not a ToolError, so that no handler of those catches it."""
