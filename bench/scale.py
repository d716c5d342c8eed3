"""A model of a selection: calls, seconds and dollars of many jobs, spread over accounts and Regions. Pure arithmetic.

Its calls are held against those that were counted, its seconds against the rate that was reached under the quota.
"""

from dataclasses import dataclass
from math import ceil

from bench import cost
from bench.page import Section, table

PAGE = 250  # jobs, the most that ListJobs gives
STATUSES = 2  # that live jobs have: IN_PROGRESS and SCHEDULED
_TEXT = "By the model of `bench/scale.py`, at the default pace; places work at the same time."


@dataclass(frozen=True)
class Selection:
    """`matches` of `listed` live jobs, as many of either status, in one account and Region.

    `questions` that each match is asked before it is canceled: tags, thing group. `passes`: how often it is made, the
    last of them without a match.
    """

    listed: int
    matches: int
    questions: int = 0
    passes: int = 1

    @property
    def pages(self) -> int:
        """Of both statuses in each pass; and in the first one of Greengrass's own namespace, one empty page each."""
        return STATUSES * (max(1, ceil(self.listed / STATUSES / PAGE)) * self.passes + 1)

    @property
    def calls(self) -> int:
        """CancelJob and DescribeJob for each match, and the questions."""
        return self.pages + (2 + self.questions) * self.matches

    @property
    def seconds(self) -> float:
        """At the default pace, which each page, each question and each match takes one turn of."""
        return (self.pages + (1 + self.questions) * self.matches) / cost.CANCELS_PER_SECOND

    @property
    def invocations(self) -> int:
        """Each works for so long, and hands the rest on."""
        return ceil(self.seconds / cost.RUN)


@dataclass(frozen=True)
class Fleet:
    """The same sweep in each of `places`, which are pairs of an account and a Region: each has quotas of its own."""

    places: int
    sweep: Selection

    @property
    def calls(self) -> int:
        """Of all."""
        return self.places * self.sweep.calls

    @property
    def dollars(self) -> float:
        """Of all, without what stands idle, and without a log, which is far below the rest."""
        compute = self.sweep.seconds * cost.GIGABYTES * cost.PRICES["Lambda, arm64, per GB-second"]
        requests = self.sweep.invocations * cost.PRICES["Lambda, per request"]
        metrics = cost.METRICS / cost.HOURS_OF_A_MONTH * cost.PRICES["CloudWatch, per custom metric and month"]
        return self.places * (compute + requests + metrics + cost.PRICES["EventBridge, per custom event"])

    @property
    def idle_dollars(self) -> float:
        """A month, without an event."""
        return self.places * sum(item.dollars for item in cost.of_an_idle_month())


FLEETS = {
    "a million jobs, spread evenly over 500 accounts and 20 Regions": Fleet(10_000, Selection(listed=100, matches=100)),
    "the same, and 10,000 other live jobs in each": Fleet(10_000, Selection(listed=10_100, matches=100)),
    "25,000 jobs in one account and Region, the most of one run": Fleet(1, Selection(listed=25_000, matches=25_000)),
}


def section() -> Section:
    """For the page."""
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
