"""The two curves, as SVG: the same bytes for the same figures."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bench.growth import MATCHES, Growth
from bench.scale import Sweep
from bench.throughput import LATENCIES, PROGRAMS, Throughput

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9, "axes.grid": True})
_SIZE = (6.4, 3.4)  # inches


def growth(rows: Sequence[Growth], path: Path) -> None:
    """Calls over listed jobs, and the line that they should lie on."""
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    listed = [row.listed for row in rows]
    axes.loglog(listed, [sum(row.calls.values()) for row in rows], "o-", label="calls of the IoT API")
    axes.loglog(listed, [Sweep(each, MATCHES).calls for each in listed], "k:", label="the model")
    axes.loglog(listed, [row.peak / 2**20 for row in rows], "s-", label="peak memory, MiB")
    axes.set_xlabel(f"jobs listed, of which {MATCHES} match")
    axes.legend()
    _save(figure, path)


def throughput(rows: Sequence[Throughput], path: Path) -> None:
    """The rate over the quota, by latency."""
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    for program, name in PROGRAMS.items():
        rates = [row.rate for row in rows if row.program == program]
        axes.plot([1000 * each for each in LATENCIES], rates, "o-", label=name)
    axes.axhline(1.0, color="k", linestyle=":")
    axes.set_xlabel("latency of a call, ms")
    axes.set_ylabel("cancels a second / quota")
    axes.set_ylim(bottom=0)
    axes.legend()
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
