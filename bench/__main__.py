"""`make bench`: measure everything, and write bench/RESULTS.md and its plots."""

import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from os import cpu_count

from bench import arrivals, cost, growth, local_account, plots, scale, startup, teardowns, throughput, warm
from bench.page import Section, text
from bench.process import ROOT, BenchFailed, check_tools
from bench.service import running
from bench.teardowns import Teardown
from bench.throughput import Throughput

_TEXT = """
`make bench` wrote this page on {date} in {seconds:.0f} s: {machine}. Ratios are of two measurements in the same run.
"""


def main() -> int:
    """Measure, and return the exit code: 0 also if the page reports a missed goal, 1 if a measurement failed."""
    began = time.monotonic()
    try:
        sections = list(_sections())
    except BenchFailed as error:
        print(error, file=sys.stderr)  # noqa: T201 - for the caller
        return 1
    machine = f"{cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    introduction = _TEXT.format(date=f"{datetime.now(UTC):%Y-%m-%d}", seconds=time.monotonic() - began, machine=machine)
    (ROOT / "bench" / "RESULTS.md").write_text(text(introduction, sections))
    return 0


def _timed[Result](what: str, measure: Callable[[], Result]) -> Result:
    """Print how long a measurement takes: each takes some minutes."""
    began = time.monotonic()
    result = measure()
    print(f"{what}: {time.monotonic() - began:.0f} s", flush=True)  # noqa: T201 - for the caller
    return result


def _limited_by_the_quota() -> tuple[list[Teardown], list[Throughput]]:
    """Both measurements wait most of the time, each for the quota of its own service, of which a process has one."""
    with (
        running() as service,
        local_account.running(service.environment["AWS_ENDPOINT_URL"]) as account,
        ProcessPoolExecutor(1, get_context("spawn")) as pool,
    ):
        throttled = pool.submit(throughput.measure)
        return teardowns.measure(service, account), throttled.result()


def _sections() -> list[Section]:
    check_tools()
    with running() as service:
        started = _timed("Start-up", lambda: startup.measure(service))
        warmed = _timed("Warm", lambda: warm.measure(service))
        grown = _timed("Growth", lambda: growth.measure(service))
    deleted, throttled = _timed("DeleteStack, and under the quota", _limited_by_the_quota)
    arrived = _timed("Events", arrivals.measure)
    plots.growth(grown, ROOT / "bench" / "growth.svg")
    plots.throughput(throttled, ROOT / "bench" / "throughput.svg")
    logged = next(row for row in grown if row.listed == growth.LISTED[1]).logged
    return [
        startup.section(started),
        warm.section(warmed),
        throughput.section(throttled),
        growth.section(grown),
        arrivals.section(arrived),
        teardowns.section(deleted),
        cost.section(logged / growth.MATCHES),
        scale.section(),
    ]


if __name__ == "__main__":
    sys.exit(main())
