"""Polling of a condition that another process fulfills."""

import time
from collections.abc import Callable

from .errors import TimedOut


def wait_for[T](what: str, probe: Callable[[], T | None], *, seconds: float, every: float = 0.1) -> T:
    """Return the first true result of `probe`. Raises TimedOut, which names `what`, after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (result := probe()):
        if time.monotonic() + every > deadline:
            raise TimedOut(f"timed out after {seconds:g} s waiting for {what}")
        time.sleep(every)
    return result
