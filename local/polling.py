"""Waiting for what another process does: ask again until it is so, or until the deadline."""

import time
from collections.abc import Callable

from .errors import TimedOut


def wait_for[T](what: str, probe: Callable[[], T | None], *, seconds: float, every: float = 0.1) -> T:
    """The first answer of `probe` that is not None. Raises TimedOut, naming `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while (answer := probe()) is None:
        if time.monotonic() + every > deadline:
            raise TimedOut(f"{what}: not within {seconds:g} s")
        time.sleep(every)
    return answer
