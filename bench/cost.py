"""The cost by public prices. Measurements are arguments. `python -m bench.cost` prints the cost of an idle month."""

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.page import Section, table

PRICES_OF = "2026-11-24, us-east-1, without the free tier"
SOURCES = "aws.amazon.com/lambda/pricing, /sqs/pricing, /eventbridge/pricing, /cloudwatch/pricing"
PRICES = {  # dollars
    "Lambda, arm64, per GB-second": 0.0000133334,
    "Lambda, per request": 0.20 / 1_000_000,
    "EventBridge, per custom event": 1.00 / 1_000_000,
    "SQS, per request": 0.40 / 1_000_000,
    "SQS FIFO, per request": 0.50 / 1_000_000,
    "CloudWatch Logs, per GB taken in": 0.50,
    "CloudWatch, per custom metric and month": 0.30,
    "CloudWatch, per alarm and month": 0.10,
    "CloudWatch, per dashboard and month": 3.00,
}
GIGABYTES = 0.5  # the function's MemorySize
CANCELS_PER_SECOND = 8  # the parameter's default
RUN_SECONDS = 285.0  # of the 300 s of one invocation
ALARMS = 9
METRICS = 6  # of a sweep: runs settled, jobs canceled, executions in progress; each by trigger, and for the stack
MONITORING = ("FULL", "ALARMS", "NONE")
HOURS_PER_MONTH = 720
MONTH_SECONDS = 30 * 24 * 3600.0
POLLS_PER_QUEUE = 5 * MONTH_SECONDS / 20  # five pollers of Lambda, each with long polls of 20 s


@dataclass(frozen=True)
class Item:
    """One item of the cost: a number of units at the price of that name."""

    what: str
    number: float
    price: str

    @property
    def dollars(self) -> float:
        """The cost of the item."""
        return self.number * PRICES[self.price]


def of_a_thousand_jobs(bytes_logged_per_job: float) -> Iterator[Item]:
    """The cost of 1,000 jobs that one sweep cancels at the default rate."""
    seconds = 1000 / CANCELS_PER_SECOND
    yield Item("1,000 jobs at 8/s, 0.5 GB", seconds * GIGABYTES, "Lambda, arm64, per GB-second")
    yield Item("invocations of at most 285 s", 1 + seconds // RUN_SECONDS, "Lambda, per request")
    yield Item("reports on the bus", 1, "EventBridge, per custom event")
    yield Item("custom metrics, for their hour", METRICS / HOURS_PER_MONTH, "CloudWatch, per custom metric and month")
    yield Item("log lines", 1000 * bytes_logged_per_job / 1e9, "CloudWatch Logs, per GB taken in")


def of_an_idle_month(monitoring: str = "FULL") -> Iterator[Item]:
    """The cost of the stack without an event, by the parameter Monitoring.

    The function publishes no metric without an event. Metrics cost only in hours in which they are published.
    """
    yield Item("polls of the backlog", POLLS_PER_QUEUE, "SQS, per request")
    yield Item("polls of the teardowns", POLLS_PER_QUEUE, "SQS FIFO, per request")
    if monitoring != "NONE":
        yield Item("alarms", ALARMS, "CloudWatch, per alarm and month")
    if monitoring == "FULL":
        yield Item("dashboard", 1, "CloudWatch, per dashboard and month")


def dollars_of_an_idle_month(monitoring: str) -> float:
    """The sum of the items."""
    return sum(item.dollars for item in of_an_idle_month(monitoring))


def section(bytes_logged_per_job: float) -> Section:
    """Return the section of the page."""
    text = f"Prices of {PRICES_OF} ({SOURCES})."
    parts = [
        *_table_of("1,000 jobs canceled", of_a_thousand_jobs(bytes_logged_per_job)),
        *_of_idle_months(),
    ]
    return Section("Cost", [text, *parts])


def _of_idle_months() -> Iterator[str]:
    yield from _table_of("An idle month", of_an_idle_month())
    settings = ((setting, f"{dollars_of_an_idle_month(setting):.4f}") for setting in MONITORING)
    yield table(("`Monitoring`", "dollars of an idle month"), settings)


def _table_of(title: str, items: Iterable[Item]) -> Iterator[str]:
    lines = list(items)
    yield f"{title}: **${sum(each.dollars for each in lines):.4f}**"
    yield table(
        ("", "number", "price", "dollars"),
        (
            (each.what, f"{each.number:,.4g}", f"${PRICES[each.price]:.3g}, {each.price}", f"{each.dollars:.6f}")
            for each in lines
        ),
    )


if __name__ == "__main__":
    sys.stdout.write("\n\n".join(_of_idle_months()) + "\n")
