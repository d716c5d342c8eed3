"""bench/RESULTS.md: the goals first, and how far from them it is; then all figures, with what stands in the way."""

import platform
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from os import cpu_count

from bench import cost
from bench.growth import MATCHES, Growth
from bench.scale import FLEETS, Sweep
from bench.service import QUOTA
from bench.startup import Start
from bench.throughput import PROGRAMS, Throughput
from bench.warm import Warm

_OF_AN_EVENT, _OF_A_DELETION = 1.10, 1.15  # start-up over the floor, at most
_CALLS, _MILLISECONDS, _CPU = 2.0, 3.0, 1.2  # of a warm event, at most
_RATE, _THROTTLED = 0.95, 0.01
_FLAT = 1.2  # memory over 100,000 jobs to that over 1,000, at most
_WRITTEN = """
`make bench` wrote this page on {date} in {seconds} s: {machine}. Ratios are of two measurements in the same run.
"""
_START_UP = """
A new interpreter, the imports, the first event. Instructions by `valgrind --tool=callgrind`; CPU seconds as the median
ratio of pairs. The floor is boto3, a client of IoT and one call; for a deletion also one PUT.
"""
_GROWTH = f"""
A sweep over ever more jobs, {MATCHES} of which match, with the pace taken out. At the quota: the calls of the operation
that is called most, over it.
"""


@dataclass(frozen=True)
class Goal:
    """What was to be reached, what was, and what stands in the way if it was not."""

    what: str
    wanted: str
    found: str
    met: bool
    obstacle: str = ""


@dataclass(frozen=True)
class Results:
    """All that was measured in one run."""

    starts: Sequence[Start]
    warm: Warm
    throughput: Sequence[Throughput]
    growth: Sequence[Growth]

    def goals(self) -> Iterator[Goal]:
        """In the order of the benchmark."""
        event, deletion = self.starts[0], self.starts[1]
        powertools = (
            "Powertools' import and EventBridge's client; "
            "and, at the first start after a build, compiling a bundle without bytecode"
        )
        yield Goal(
            "start-up, an event, instructions over the floor",
            f"≤ {_OF_AN_EVENT:.2f}",
            f"{event.ratio:.2f}",
            event.ratio <= _OF_AN_EVENT,
            powertools,
        )
        yield Goal(
            "start-up, a deletion, instructions over the floor",
            f"≤ {_OF_A_DELETION:.2f}",
            f"{deletion.ratio:.2f}",
            deletion.ratio <= _OF_A_DELETION,
            f"{powertools}; and crhelper",
        )
        warm = self.warm
        yield Goal("warm, calls of the IoT API a job", f"{_CALLS:.0f}", f"{warm.calls:.2f}", warm.calls == _CALLS)
        report = "the report on the event bus, a third call, is part of it"
        yield Goal(
            "warm, milliseconds over two bare calls",
            f"≤ {_MILLISECONDS:.0f}",
            f"{warm.milliseconds:.1f}",
            warm.milliseconds <= _MILLISECONDS,
            report,
        )
        yield Goal("warm, CPU over two bare calls", f"≤ {_CPU:.1f}", f"{warm.cpu:.2f}", warm.cpu <= _CPU, report)
        ours = [row for row in self.throughput if row.program == "ours"]
        slowest, most = min(row.rate for row in ours), max(row.throttled for row in ours)
        lost = sum(row.lost for row in ours)
        yield Goal("cancels a second over the quota, worst latency", f"≥ {_RATE}", f"{slowest:.2f}", slowest >= _RATE)
        yield Goal("throttled calls, worst latency", f"< {_THROTTLED:.0%}", f"{most:.1%}", most < _THROTTLED)
        yield Goal("jobs lost", "0", str(lost), lost == 0)
        off = [row for row in self.growth if sum(row.calls.values()) != Sweep(row.listed, MATCHES).calls]
        found = ", ".join(f"{sum(row.calls.values()):,} at {row.listed:,}" for row in off) or "all"
        yield Goal("calls of a sweep are pages and two a match", "all sizes", found, not off)
        flat = self.growth[-1].peak / self.growth[1].peak
        yield Goal("memory at 100,000 listed jobs over 1,000", f"≤ {_FLAT}", f"{flat:.2f}", flat <= _FLAT)


def text(results: Results, seconds: float) -> str:
    """The whole page."""
    goals = list(results.goals())
    return (
        "\n\n".join(
            part.strip("\n")
            for part in [
                "# Measured",
                _WRITTEN.format(
                    date=f"{datetime.now(UTC):%Y-%m-%d}",
                    seconds=f"{seconds:.0f}",
                    machine=f"{cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
                ),
                "## Goals",
                _table(
                    ("goal", "wanted", "found", "met"),
                    ((each.what, each.wanted, each.found, "yes" if each.met else "**no**") for each in goals),
                ),
                *(f"Not met: {each.what}. In the way: {each.obstacle}." for each in goals if not each.met),
                "## Start-up",
                _START_UP,
                _table(
                    ("", "instructions, millions", "the floor's", "ratio", "ratio of CPU seconds"),
                    (
                        (
                            each.name,
                            f"{each.instructions / 1e6:,.0f}",
                            f"{each.instructions_of_floor / 1e6:,.0f}",
                            f"{each.ratio:.2f}",
                            f"{each.cpu:.2f}",
                        )
                        for each in results.starts
                    ),
                ),
                "## Under the quota",
                f"Sixty jobs, {QUOTA:.0f} calls a second of each operation allowed. Rate: cancels a second over that.",
                _table(
                    ("", "latency, ms", "rate", "throttled calls", "jobs lost"),
                    (
                        (
                            PROGRAMS[each.program],
                            f"{1000 * each.latency:.0f}",
                            f"{each.rate:.2f}",
                            f"{each.throttled:.1%}",
                            str(each.lost),
                        )
                        for each in results.throughput
                    ),
                ),
                "![rate by latency](throughput.svg)",
                "## Growth",
                _GROWTH,
                _table(
                    ("jobs listed", "calls", "at the quota, s", "CPU, s", "peak memory, MiB", "bytes printed"),
                    (
                        (
                            f"{each.listed:,}",
                            f"{sum(each.calls.values()):,}",
                            f"{max(each.calls.values()) / QUOTA:,.0f}",
                            f"{each.cpu:.1f}",
                            f"{each.peak / 2**20:.0f}",
                            f"{each.logged:,}",
                        )
                        for each in results.growth
                    ),
                ),
                "![calls and memory over the jobs listed](growth.svg)",
                "## Cost",
                f"Prices of {cost.PRICES_OF} ({cost.SOURCES}).",
                *_bill("1,000 jobs cancelled", cost.of_a_thousand_jobs(results.growth[1].logged / MATCHES)),
                *_bill("An idle month", cost.of_an_idle_month()),
                "## A fleet",
                "By the model of `bench/scale.py`, at the default pace; places work at the same time.",
                _table(
                    ("", "places", "calls", "seconds in each", "dollars", "dollars of an idle month"),
                    (
                        (
                            name,
                            f"{fleet.places:,}",
                            f"{fleet.calls:,}",
                            f"{fleet.sweep.seconds:,.0f}",
                            f"{fleet.dollars:,.2f}",
                            f"{fleet.idle_dollars:,.0f}",
                        )
                        for name, fleet in FLEETS.items()
                    ),
                ),
            ]
        )
        + "\n"
    )


def _bill(title: str, items: Iterable[cost.Item]) -> Iterator[str]:
    lines = list(items)
    yield f"{title}: **${sum(each.dollars for each in lines):.4f}**"
    yield _table(
        ("", "number", "price", "dollars"),
        (
            (each.what, f"{each.number:,.4g}", f"${cost.PRICES[each.price]:.3g}, {each.price}", f"{each.dollars:.6f}")
            for each in lines
        ),
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
