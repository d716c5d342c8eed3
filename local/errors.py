"""What can go wrong here, each with a message for the person who ran it.

LocalError
├── MiniStackFailed   the local AWS did not start, or ended
├── SamFailed         `sam` answered with an error
├── StackFailed       CloudFormation did not bring a stack where it should be
├── NotReleasable     the checkout is not what could be published
├── NotPlanned        there is no plan to show
├── TimedOut          something did not happen before its deadline
└── NotDelivered      an event did not get to the function

Interrupted           a signal has arrived, and this is a good moment to end
"""


class LocalError(Exception):
    """Base of them all."""


class MiniStackFailed(LocalError):
    """The local AWS did not start, or ended."""


class SamFailed(LocalError):
    """`sam` answered with an error; the message holds its output."""


class StackFailed(LocalError):
    """CloudFormation did not bring a stack where it should be; the message holds its reasons."""


class NotReleasable(LocalError):
    """The checkout is not what could be published; the message says why not."""


class NotPlanned(LocalError):
    """There is no plan to show; the message says why not."""


class TimedOut(LocalError):
    """Something did not happen before its deadline."""


class NotDelivered(LocalError):
    """An event did not get to the function."""


class Interrupted(Exception):
    """A signal has arrived, and this is a good moment to end. No LocalError: it is not for those who handle errors."""
