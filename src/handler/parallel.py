"""A few threads over one paced stream: the pace is the service's, but each call takes its time."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

# Two calls of up to half a second each for every job, and still ten jobs a second, which is the service's quota.
THREADS = 10


def in_parallel[Item, Result](work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """What `work` gives for each item, in their order. Raises the first error, once every item was tried."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(work, items))
