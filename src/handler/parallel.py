"""A few threads over one paced stream: the pace is the service's, but each call takes its time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

# Two calls of up to half a second each for every job, and still ten jobs a second, which is the service's quota.
THREADS = 10


def in_parallel[Item, Result](work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What `work` gives for each item, in their order. Raises the first error; what was not begun by then is not."""
    work_items = list(items)
    if len(work_items) < 2:  # noqa: PLR2004 - nothing to do beside
        return [work(item) for item in work_items]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, work_items))
