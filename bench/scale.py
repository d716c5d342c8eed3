"""A model of the calls, seconds and dollars of many jobs in several accounts and Regions.

bench/growth.py compares its calls with counted ones.
"""

from dataclasses import dataclass
from math import ceil

from bench import cost
from bench.page import Section, table

PAGE_SIZE = 250  # the maximum of ListJobs
STATUSES = 2  # of active jobs: IN_PROGRESS and SCHEDULED
_TEXT = "By the model of `bench/scale.py`, at the default rate; places run at the same time."


@dataclass(frozen=True)
class Selection:
    """`matches` of `listed` active jobs, half of them in each status, in one account and Region.

    `per_job_calls`: calls for each match while jobs are selected, of different operations: for tags and thing group.
    `reads`: calls of DescribeJob for each match, just before it is canceled, for its age, and after. `rounds`: how
    often the jobs are listed, the last time without a match.
    """

    listed: int
    matches: int
    per_job_calls: int = 0
    reads: int = 2
    rounds: int = 1

    @property
    def pages(self) -> int:
        """Pages of both statuses in each round, and once an empty page of the Greengrass namespace for each."""
        return STATUSES * (max(1, ceil(self.listed / STATUSES / PAGE_SIZE)) * self.rounds + 1)

    @property
    def calls(self) -> int:
        """Pages, and CancelJob, DescribeJob and the other calls for each match."""
        return self.pages + (1 + self.reads + self.per_job_calls) * self.matches

    @property
    def seconds(self) -> float:
        """Seconds at the default rate, which applies to each operation.

        One after the other: the pages, the per-job calls, and the cancels with their reads, of which there are more.
        """
        steps = bool(self.per_job_calls) + self.reads
        return (self.pages + steps * self.matches) / cost.CANCELS_PER_SECOND

    @property
    def invocations(self) -> int:
        """Number of invocations, each of which runs for at most RUN_SECONDS."""
        return ceil(self.seconds / cost.RUN_SECONDS)


@dataclass(frozen=True)
class Fleet:
    """The same sweep in each of `places`: pairs of an account and a Region, each with its own quotas."""

    places: int
    sweep: Selection

    @property
    def calls(self) -> int:
        """The number of calls in all places."""
        return self.places * self.sweep.calls

    @property
    def dollars(self) -> float:
        """The cost in all places, without idle stacks and without the log, which costs much less."""
        compute = self.sweep.seconds * cost.GIGABYTES * cost.PRICES["Lambda, arm64, per GB-second"]
        requests = self.sweep.invocations * cost.PRICES["Lambda, per request"]
        metrics = cost.METRICS / cost.HOURS_PER_MONTH * cost.PRICES["CloudWatch, per custom metric and month"]
        return self.places * (compute + requests + metrics + cost.PRICES["EventBridge, per custom event"])

    @property
    def idle_dollars(self) -> float:
        """The cost of a month without an event."""
        return self.places * cost.dollars_of_an_idle_month("FULL")


FLEETS = {
    "a million jobs, spread evenly over 500 accounts and 20 Regions": Fleet(10_000, Selection(listed=100, matches=100)),
    "the same, and 10,000 other active jobs in each": Fleet(10_000, Selection(listed=10_100, matches=100)),
    "25,000 jobs in one account and Region, the most of one run": Fleet(1, Selection(listed=25_000, matches=25_000)),
}


def section() -> Section:
    """Return the section of the page."""
    rows = (
        (
            name,
            f"{fleet.places:,}",
            f"{fleet.calls:,}",
            f"{fleet.sweep.seconds:,.0f}",
            f"{fleet.dollars:,.2f}",
            f"{fleet.idle_dollars:,.0f}",
        )
        for name, fleet in FLEETS.items()
    )
    head = ("", "places", "calls", "seconds in each", "dollars", "dollars of an idle month")
    return Section("A fleet", [_TEXT, table(head, rows)])
