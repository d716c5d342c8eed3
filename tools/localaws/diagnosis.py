"""The logs that help to find the cause of a failure."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import BotoCoreError, ClientError

from tools.screen import Screen

from .aws import LocalAws
from .reports import FunctionLog
from .sam import STACK_NAME

_LINES = 40


@contextmanager
def logs_on_failure(screen: Screen, aws: LocalAws) -> Iterator[None]:
    """Print the end of MiniStack's log and of the function's log if the block fails."""
    try:
        yield
    except Exception:
        screen.section("The end of MiniStack's log", aws.log_tail(_LINES))
        screen.section("The end of the function's log", _function_log(aws))
        raise


def _function_log(aws: LocalAws) -> str:
    try:
        lines = list(FunctionLog(aws, f"/aws/lambda/{STACK_NAME}").lines())
    except (BotoCoreError, ClientError) as error:
        return f"can't be read: {error}"
    return "\n".join(lines[-_LINES:]) or "is empty"
