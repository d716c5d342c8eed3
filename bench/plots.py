"""The two charts as SVG. The same figures give the same bytes."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.figure import Figure

from bench.growth import KINDS, MATCHES, SWEEP, Growth
from bench.throughput import JOBS, PROGRAMS, RUNS, Throughput

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "bench", "svg.fonttype": "none", "font.size": 9, "axes.grid": True})
_SIZE = (6.4, 3.4)  # inches


def growth(rows: Sequence[Growth], path: Path) -> None:
    """Calls over listed jobs, on the lines of the model, and memory."""
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    for kind in KINDS:
        own = [row for row in rows if row.kind == kind]
        (line,) = axes.plot([row.listed for row in own], [row.all_calls for row in own], "o", label=f"calls of {kind}")
        axes.plot([row.listed for row in own], [row.modeled for row in own], ":", color=line.get_color())
    sweep = [row for row in rows if row.kind == SWEEP]
    axes.plot(
        [row.listed for row in sweep], [row.peak / 2**20 for row in sweep], "ks-", label="MiB at the peak of a sweep"
    )
    axes.set_xlabel(f"jobs listed, of which {MATCHES} match; dotted: the model")
    axes.set_ylim(bottom=0)
    axes.legend()
    _save(figure, path)


def throughput(rows: Sequence[Throughput], path: Path) -> None:
    """The seconds over those that the quota demands, by latency."""
    figure, axes = plt.subplots(figsize=_SIZE, layout="constrained")
    for number, (program, name) in enumerate(PROGRAMS.items()):
        own = [row for row in rows if row.program == program]
        lost = sum(row.lost for row in own)
        label = f"{name}: {lost} of {JOBS * RUNS * len(own)} jobs lost" if lost else name
        # Those that do not lose jobs are in front.
        axes.plot(
            [1000 * row.latency for row in own], [row.of_the_limit for row in own], "o-", label=label, zorder=9 - number
        )
    axes.axhline(1.0, color="k", linestyle=":")
    axes.set_xlabel("latency of a call, ms")
    axes.set_ylabel("seconds / the quota's limit")
    axes.set_ylim(bottom=0)
    axes.legend()
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)
