"""Run rate-limited calls on a few threads, since a call may take longer than the interval between two calls."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

# Two calls of up to half a second each for every job, and still ten jobs a second, which is the service's quota.
THREADS = 10


def in_parallel[Item, Result](work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """Return the result of `work` for each item, in order. Raises the first error; items not yet started are not."""
    work_items = list(items)
    if len(work_items) < 2:  # noqa: PLR2004 - one item needs no thread
        return [work(item) for item in work_items]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, work_items))
