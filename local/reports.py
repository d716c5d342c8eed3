"""What the function says of its runs: the report that it logs as the last line of each invocation."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NotRequired, TypedDict, cast

from .aws import LocalAws
from .polling import wait_for


class JobReport(TypedDict):
    """One job in a report."""

    jobId: str
    outcome: str
    detail: str
    executionsLeftInProgress: int


class JobLeftOut(TypedDict):
    """A job that a dry run tells of, though it is not selected."""

    jobId: str
    why: str


class Report(TypedDict):
    """A run's report, in the function's published shape."""

    status: str
    trigger: str
    force: bool
    dryRun: bool
    reason: str
    counts: dict[str, int]
    executionsLeftInProgress: int
    jobs: list[JobReport]
    leftOut: NotRequired[list[JobLeftOut]]


@dataclass(frozen=True)
class FunctionLog:
    """The function's log group, as CloudWatch Logs has it."""

    aws: LocalAws
    log_group: str

    def lines(self) -> Iterator[str]:
        """Every line, oldest first."""
        return (line for _, line in self.timed_lines())

    def timed_lines(self) -> Iterator[tuple[datetime, str]]:
        """Every line with the time at which it was written, oldest first."""
        pages = self.aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=self.log_group)
        for page in pages:
            for event in page["events"]:
                yield datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"]

    def reports(self) -> list[Report]:
        """Every report, oldest first."""
        return [report for line in self.lines() if (report := _report_in(line))]

    def timed_reports(self) -> list[tuple[datetime, Report]]:
        """The same, each with the time at which it was logged."""
        return [
            (datetime.fromisoformat(json.loads(line)["timestamp"]), report)
            for line in self.lines()
            if (report := _report_in(line))
        ]

    def wait_for_report(self, what: str, wanted: Callable[[Report], bool], *, seconds: float) -> Report:
        """The first report that is `wanted`. Raises TimedOut, naming `what`."""
        return wait_for(what, lambda: next(filter(wanted, self.reports()), None), seconds=seconds)

    def wait_for_outcome(self, job_id: str, *, seconds: float) -> JobReport:
        """What the last run that took up the job says of it. Raises TimedOut."""

        def outcome() -> JobReport | None:
            told = [job for report in self.reports() for job in report["jobs"] if job["jobId"] == job_id]
            return told[-1] if told else None

        return wait_for(f"a report on job {job_id} in {self.log_group}", outcome, seconds=seconds)


def _report_in(line: str) -> Report | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    return cast("Report | None", record.get("report")) if isinstance(record, dict) else None
