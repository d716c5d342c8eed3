"""A model of a sweep: calls, seconds and dollars of many jobs, spread over accounts and Regions. Pure arithmetic.

Its calls are held against those that were counted, its seconds against the rate that was reached under the quota.
"""

from dataclasses import dataclass
from math import ceil

from bench import cost

PAGE = 250  # jobs, the most that ListJobs gives
STATUSES = 2  # that live jobs have: IN_PROGRESS and SCHEDULED


@dataclass(frozen=True)
class Sweep:
    """`matches` of `listed` live jobs, as many of either status, in one account and Region."""

    listed: int
    matches: int

    @property
    def pages(self) -> int:
        """Of both statuses, and of Greengrass's own namespace, where each is one empty page."""
        return STATUSES * (ceil(self.listed / STATUSES / PAGE) + 1)

    @property
    def calls(self) -> int:
        """CancelJob and DescribeJob for each match."""
        return self.pages + 2 * self.matches

    @property
    def seconds(self) -> float:
        """At the default pace, which each page and each match takes one turn of."""
        return (self.pages + self.matches) / cost.CANCELS_PER_SECOND

    @property
    def invocations(self) -> int:
        """Each works for so long, and hands the rest on."""
        return ceil(self.seconds / cost.RUN)


@dataclass(frozen=True)
class Fleet:
    """The same sweep in each of `places`, which are pairs of an account and a Region: each has quotas of its own."""

    places: int
    sweep: Sweep

    @property
    def calls(self) -> int:
        """Of all."""
        return self.places * self.sweep.calls

    @property
    def dollars(self) -> float:
        """Of all, without what stands idle."""
        compute = self.sweep.seconds * cost.GIGABYTES * cost.PRICES["Lambda, arm64, per GB-second"]
        requests = self.sweep.invocations * cost.PRICES["Lambda, per request"]
        return self.places * (compute + requests + cost.PRICES["EventBridge, per custom event"])

    @property
    def idle_dollars(self) -> float:
        """A month, without an event."""
        return self.places * sum(item.dollars for item in cost.of_an_idle_month())


FLEETS = {
    "a million jobs, spread evenly over 500 accounts and 20 Regions": Fleet(10_000, Sweep(listed=100, matches=100)),
    "the same, and 10,000 other live jobs in each": Fleet(10_000, Sweep(listed=10_100, matches=100)),
    "25,000 jobs in one account and Region, the most of one run": Fleet(1, Sweep(listed=25_000, matches=25_000)),
}
