"""`make bench`: measure everything, and write bench/RESULTS.md and its plots."""

import sys
import time

from bench import growth, plots, startup, throughput, warm
from bench.process import ROOT
from bench.results import Results, text
from bench.service import running


def main() -> int:
    """Exit code 0, whatever was found: a goal that is not met is told on the page."""
    began = time.monotonic()
    with running() as service:
        results = Results(
            starts=startup.measure(service),
            warm=warm.measure(service),
            throughput=throughput.measure(service),
            growth=growth.measure(service),
        )
    plots.growth(results.growth, ROOT / "bench" / "growth.svg")
    plots.throughput(results.throughput, ROOT / "bench" / "throughput.svg")
    (ROOT / "bench" / "RESULTS.md").write_text(text(results, time.monotonic() - began))
    return 0


if __name__ == "__main__":
    sys.exit(main())
