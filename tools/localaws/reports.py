"""The function's log, and the report that the function logs at the end of each invocation."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NotRequired, TypedDict

from tools.polling import wait_for

from .aws import LocalAws


class JobReport(TypedDict):
    """A job in a report."""

    jobId: str
    outcome: str
    detail: str
    executionsLeftInProgress: int
    executionsEnded: NotRequired[int]
    jobArn: NotRequired[str]
    description: NotRequired[str]


class ExcludedJob(TypedDict):
    """A job that a dry run lists as not selected."""

    jobId: str
    why: str


class Report(TypedDict):
    """The report of a run, as the function publishes it."""

    status: str
    trigger: str
    force: bool
    dryRun: bool
    reason: str
    counts: dict[str, int]
    executionsLeftInProgress: int
    executionsEnded: int
    jobs: list[JobReport]
    leftOut: NotRequired[list[ExcludedJob]]


@dataclass(frozen=True)
class FunctionLog:
    """The function's log group in CloudWatch Logs. All results are in the order of the log, oldest first."""

    aws: LocalAws
    log_group: str

    def lines(self) -> Iterator[str]:
        """Read every line."""
        return (line for _, line in self.timed_lines())

    def timed_lines(self) -> Iterator[tuple[datetime, str]]:
        """Read every line with its ingestion time."""
        pages = self.aws.client("logs").get_paginator("filter_log_events").paginate(logGroupName=self.log_group)
        for page in pages:
            for event in page["events"]:
                yield datetime.fromtimestamp(event["timestamp"] / 1000, UTC), event["message"]

    def durations(self) -> list[float]:
        """Read the duration of every invocation, in milliseconds."""
        return [duration for line in self.lines() if (duration := duration_in(line))]

    def reports(self) -> list[Report]:
        """Read every report."""
        return [report for _, report in self.timed_reports()]

    def timed_reports(self) -> list[tuple[datetime, Report]]:
        """Read every report with the time at which the function logged it."""
        return [timed for line in self.lines() if (timed := _report_in(line))]

    def wait_for_report(self, what: str, matches: Callable[[Report], bool], *, seconds: float) -> Report:
        """Wait for the first report that `matches`. Raises TimedOut, which names `what`."""
        return wait_for(what, lambda: next(filter(matches, self.reports()), None), seconds=seconds)

    def wait_for_outcome(self, job_id: str, *, seconds: float) -> JobReport:
        """Wait for a report on the job, and return the job's entry in the latest one. Raises TimedOut."""

        def outcome() -> JobReport | None:
            entries = [job for report in self.reports() for job in report["jobs"] if job["jobId"] == job_id]
            return entries[-1] if entries else None

        return wait_for(f"a report on job {job_id} in {self.log_group}", outcome, seconds=seconds)


def duration_in(line: str) -> float | None:
    """Return the duration in milliseconds if the line is Lambda's REPORT of an invocation."""
    found = re.match(r"REPORT .*\bDuration: ([0-9.]+) ms\tBilled", line)
    return float(found[1]) if found else None


def _report_in(line: str) -> tuple[datetime, Report] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    if not isinstance(record, dict) or "report" not in record:
        return None
    return datetime.fromisoformat(record["timestamp"]), record["report"]
