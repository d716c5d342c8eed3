"""Write JSON log lines and EMF metrics. The only module that uses Powertools.

No function here receives an event, and every line is redacted before it is written.
"""

import json
import logging
from collections.abc import Mapping
from typing import TextIO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from handler.cancellation.report import Outcome, Report, RunStatus, Trigger
from handler.redaction import redact
from handler.version import VERSION

_MAX_JOBS_IN_LINE = 1000
_MAX_DESCRIPTION_LENGTH = 500  # `_json` escapes some characters, which then take up to 12 bytes each
_JOBS_METRIC = {
    Outcome.CANCELED: "JobsCanceled",
    Outcome.ALREADY_CANCELED: "JobsAlreadyCanceled",
    Outcome.ALREADY_FINISHED: "JobsAlreadyFinished",
    Outcome.GONE: "JobsGone",
    Outcome.WOULD_CANCEL: "JobsWouldCancel",
    Outcome.PROTECTED: "JobsProtected",
    Outcome.DEFERRED: "JobsDeferred",
    Outcome.FAILED: "JobsFailed",
}
_EXPECTED_STATUSES = (RunStatus.SETTLED, RunStatus.IGNORED)
_RUNS_METRIC = {
    RunStatus.SETTLED: "RunsSettled",
    RunStatus.UNSETTLED: "RunsUnsettled",
    RunStatus.UNFINISHED: "RunsUnfinished",
    RunStatus.REJECTED: "RunsRejected",
    RunStatus.IGNORED: "RunsIgnored",
}


# Counted only in the last delivery: an unfinished run tries these jobs again.
_FINAL_OUTCOMES = (Outcome.PROTECTED, Outcome.FAILED)
# Not counted after the first delivery, which may itself have canceled these jobs. WOULD_CANCEL: while DryRun pauses an
# event, each delivery reports the same jobs.
_FOUND_OUTCOMES = (Outcome.ALREADY_CANCELED, Outcome.ALREADY_FINISHED, Outcome.GONE, Outcome.WOULD_CANCEL)


def _for_one_line(report: Report) -> dict[str, object]:
    """CloudWatch Logs accepts lines of up to 1 MB: a longer list is reduced to the jobs that need attention."""
    if len(report.jobs) <= _MAX_JOBS_IN_LINE:
        return report.as_dict(max_description_length=_MAX_DESCRIPTION_LENGTH)
    unsettled = [result.as_dict(is_described=False) for result in report.jobs if not result.outcome.settled]
    return report.as_dict() | {"jobs": unsettled[:_MAX_JOBS_IN_LINE]}


def _keys(report: Report) -> dict[str, object]:
    """The cancel reason precedes the report: Logs Insights finds the first 200 keys of a line, and jobs have more."""
    keys: dict[str, object] = {}
    if reason := report.cancel_reason:
        keys = {"asked_by": reason.asked_by, "reason_code": reason.reason_code, "comment": reason.comment}
    return keys | {"report": _for_one_line(report)}


def _json(line: Mapping[str, object]) -> str:
    """Escape characters that could break the line or control the terminal: some text comes from events and jobs."""
    text = redact(json.dumps(line, default=str, ensure_ascii=False))
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


class Telemetry:
    """The log and the metrics of one container, for one invocation after another."""

    def __init__(self, service: str | None = None, stream: TextIO | None = None) -> None:
        """The POWERTOOLS_ environment variables set service, level and namespace."""
        self._logger = Logger(
            service=service,
            stream=stream,
            json_serializer=_json,
            json_deserializer=str,  # a message that happens to be JSON remains text
        )
        self._logger.append_keys(version=VERSION)
        # A child of the logger with the same handlers, but with its own level: a report is logged at any LogLevel.
        self._reports = logging.getLogger(f"{self._logger.name}.reports")
        self._reports.setLevel(logging.INFO)
        self._trigger = Trigger.DIRECT

    def start(self, trigger: Trigger, correlation_id: str, invocation_id: str) -> None:
        """Attach every following line and metric to this invocation."""
        self._trigger = trigger
        self._logger.set_correlation_id(correlation_id)
        self._logger.append_keys(function_request_id=invocation_id, trigger=trigger.value)

    def warn(self, message: str) -> None:
        """Log a condition that may need attention; the run continues."""
        self._logger.warning(message)

    def info(self, message: str) -> None:
        """Log what needs no attention."""
        self._logger.info(message)

    def count(self, metric: str) -> None:
        """Count one `metric` at once, so that it is written even if the invocation is killed."""
        metrics = self._metrics()
        metrics.add_metric(name=metric, unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()

    def crashed(self, error: Exception) -> None:
        """Log an unexpected error with its stack trace, and count it."""
        self._logger.error("unexpected error", exc_info=error)
        self.count("UnexpectedErrors")

    def report(
        self, report: Report, *, is_first: bool = True, is_last: bool = True, is_validation: bool = False
    ) -> None:
        """Write the run's report as a log line, and its counts as metrics for each trigger.

        `is_first`: no earlier delivery of the event has reported jobs. `is_last`: no later one follows. So a job is not
        counted at each delivery, except as DEFERRED. A retry by Lambda, which has no record of the attempt before, may
        count jobs again. `is_validation`: the rejection of an event that cancels nothing.
        """
        metrics = self._metrics()
        is_rejected_validation = is_validation and report.status is RunStatus.REJECTED
        runs = "ValidationsRejected" if is_rejected_validation else _RUNS_METRIC[report.status]
        metrics.add_metric(name=runs, unit=MetricUnit.Count, value=1)
        for outcome, number in report.counts.items():
            if (is_last or outcome not in _FINAL_OUTCOMES) and (is_first or outcome not in _FOUND_OUTCOMES):
                metrics.add_metric(name=_JOBS_METRIC[Outcome(outcome)], unit=MetricUnit.Count, value=number)
        if report.jobs:
            left = report.executions_left_in_progress
            metrics.add_metric(name="ExecutionsLeftInProgress", unit=MetricUnit.Count, value=left)
        if report.executions_ended and not report.dry_run:
            ended = report.executions_ended
            metrics.add_metric(name="ExecutionsEnded", unit=MetricUnit.Count, value=ended)
        metrics.flush_metrics()
        is_expected = report.status in _EXPECTED_STATUSES or report.wait
        log = self._reports.info if is_expected else self._reports.warning
        log("report", extra=_keys(report))

    def _metrics(self) -> EphemeralMetrics:
        """Return metrics with two dimension sets: by trigger, and for the stack as a whole, which alarms watch."""
        metrics = EphemeralMetrics()
        metrics.add_dimension(name="trigger", value=self._trigger.value)
        metrics.add_dimensions(service=metrics.service)
        return metrics
