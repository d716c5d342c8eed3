"""Threads that take turns: a test with threads runs the same way every time, by a fake clock."""

import heapq
import math
import threading
from collections import deque
from collections.abc import Callable, Iterable
from itertools import count
from types import TracebackType
from typing import Protocol, Self


class Clock(Protocol):
    """A clock that is advanced when every thread waits. Seconds."""

    now: float


class TurnTakingPool:
    """Replaces ThreadPoolExecutor. One thread runs until it waits by a clock; then the one that is due first."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._agenda: list[tuple[float, int, _Worker, Clock | None]] = []
        self._numbers = count()
        self._back = threading.Semaphore(0)
        self._killed: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Do nothing: no thread is left."""

    def map[Item, Result](self, work: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Run as ThreadPoolExecutor does: start nothing after an error. In another pool's thread, run one by one."""
        if waiting_thread() is not None:
            return [work(item) for item in items]
        todo = deque(enumerate(items))
        results: dict[int, Result] = {}
        errors: dict[int, BaseException] = {}

        def run() -> None:
            while todo:
                number, item = todo.popleft()
                try:
                    results[number] = work(item)
                except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits for it
                    errors[number] = error
                    todo.clear()
                    if not isinstance(error, Exception):
                        self._killed = error

        self._take_turns([_Worker(self, run) for _ in range(min(self._workers, len(todo)))])
        if errors:
            raise self._killed or errors[min(errors)]
        return [results[number] for number in sorted(results)]

    def _take_turns(self, threads: list["_Worker"]) -> None:
        for thread in threads:
            thread.start()
            self.put_down(-math.inf, thread, None)
        while self._agenda:
            due, _, thread, clock = heapq.heappop(self._agenda)
            if clock:
                clock.now = max(clock.now, due)
            thread.go_on.release()
            self._back.acquire()
        for thread in threads:
            thread.join()

    def put_down(self, due: float, thread: "_Worker", clock: Clock | None) -> None:
        """Schedule the thread at `due`."""
        heapq.heappush(self._agenda, (due, next(self._numbers), thread, clock))

    def give_back(self) -> None:
        """Let the next thread run."""
        self._back.release()

    def check_alive(self) -> None:
        """Raise what killed the process, in each of its threads."""
        if self._killed:
            raise self._killed


class _Worker(threading.Thread):
    def __init__(self, pool: TurnTakingPool, work: Callable[[], None]) -> None:
        super().__init__(daemon=True)
        self.go_on = threading.Semaphore(0)
        self._pool = pool
        self._work = work

    def run(self) -> None:
        self.go_on.acquire()
        try:
            self._work()
        finally:
            self._pool.give_back()

    def wait(self, clock: Clock, seconds: float) -> None:
        """Let the others run until `seconds` from now."""
        self._pool.put_down(clock.now + seconds, self, clock)
        self._pool.give_back()
        self.go_on.acquire()
        self._pool.check_alive()


def waiting_thread() -> _Worker | None:
    """The pool's thread that runs this, or None elsewhere."""
    here = threading.current_thread()
    return here if isinstance(here, _Worker) else None
