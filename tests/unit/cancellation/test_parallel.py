"""in_parallel with real threads, and with the pool that replaces them in other tests."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from handler.cancellation import parallel
from handler.cancellation.parallel import in_parallel
from tests.support.fakes import FakeClock
from tests.support.threads import TurnTakingPool


@pytest.mark.usefixtures("real_threads")
@pytest.mark.parametrize("count", [0, 1, 2, 9, 10, 11, 500])
def test_each_item_has_one_result_in_order(count: int) -> None:
    worked: list[int] = []

    def work(item: int) -> str:
        worked.append(item)
        return f"result {item}"

    assert in_parallel(work, iter(range(count))) == [f"result {item}" for item in range(count)]
    assert sorted(worked) == list(range(count))


@pytest.mark.usefixtures("real_threads")
@pytest.mark.parametrize("count", [2, 10])
def test_ten_items_run_at_once(count: int) -> None:
    together = threading.Barrier(count)

    def work(_item: int) -> int:
        return together.wait(10)

    assert sorted(in_parallel(work, range(count))) == list(range(count))


@pytest.mark.usefixtures("real_threads")
@pytest.mark.parametrize("count", [1, 2, 100])
def test_first_error_is_raised_after_all_threads_have_ended(count: int) -> None:
    before = threading.active_count()

    def work(item: int) -> int:
        raise ZeroDivisionError(item)

    with pytest.raises(ZeroDivisionError, match=r"^0$"):
        in_parallel(work, range(count))
    assert threading.active_count() == before


def test_one_item_runs_in_the_calling_thread() -> None:
    assert in_parallel(lambda _item: threading.current_thread(), ["one"]) == [threading.current_thread()]


# TurnTakingPool, which all other tests use, behaves like ThreadPoolExecutor


@pytest.mark.parametrize("pool_of", [ThreadPoolExecutor, TurnTakingPool])
def test_both_pools_return_and_raise_the_same(pool_of: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "ThreadPoolExecutor", pool_of)
    assert in_parallel(lambda item: item * item, range(25)) == [item * item for item in range(25)]

    def odd(item: int) -> int:
        if item % 2:
            raise ZeroDivisionError(item)
        return item

    with pytest.raises(ZeroDivisionError, match=r"^1$"):
        in_parallel(odd, range(25))


def test_sleeps_on_the_fake_clock_overlap(clock: FakeClock) -> None:
    began: list[tuple[int, float]] = []

    def work(item: int) -> None:
        began.append((item, clock()))
        clock.sleep(item + 1.0)

    in_parallel(work, range(12))
    assert began == [*((item, 1000.0) for item in range(10)), (10, 1001.0), (11, 1002.0)]
    assert clock() == 1014.0


def test_base_exception_ends_every_thread(clock: FakeClock) -> None:
    class Killed(BaseException):
        pass

    after: list[int] = []

    def work(item: int) -> None:
        clock.sleep(item + 1.0)
        if item == 3:
            raise Killed
        after.append(item)
        clock.sleep(100.0)
        after.append(-item)

    with pytest.raises(Killed):
        in_parallel(work, range(30))
    assert after == [0, 1, 2]
