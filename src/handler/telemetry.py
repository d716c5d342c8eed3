"""What the function tells the world: JSON log lines and EMF metrics. The only Powertools.

Nothing here is given an event to log, and what is logged passes `redact` on its way out.
"""

import json
from collections.abc import Mapping
from typing import TextIO

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import EphemeralMetrics, MetricUnit

from .outcome import Outcome, Report, RunStatus, Trigger
from .redaction import redact
from .version import VERSION

_JOBS_IN_LINE = 1000
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
_AS_IT_SHOULD_BE = (RunStatus.SETTLED, RunStatus.IGNORED)
_RUNS_METRIC = {
    RunStatus.SETTLED: "RunsSettled",
    RunStatus.UNSETTLED: "RunsUnsettled",
    RunStatus.UNFINISHED: "RunsUnfinished",
    RunStatus.REJECTED: "RunsRejected",
    RunStatus.IGNORED: "RunsIgnored",
}


def _for_one_line(report: Report) -> dict[str, object]:
    """CloudWatch Logs takes lines of up to 1 MB: a longer list is held to the jobs that a person has to look at."""
    if len(report.jobs) <= _JOBS_IN_LINE:
        return report.as_dict()
    unsettled = [result.as_dict() for result in report.jobs if not result.outcome.settled]
    return report.as_dict() | {"jobs": unsettled[:_JOBS_IN_LINE]}


def _keys(report: Report) -> dict[str, object]:
    """Who asked comes before the report: Logs Insights finds the first 200 keys of a line, and its jobs may be more."""
    keys: dict[str, object] = {}
    if report.cause:
        keys = {
            "asked_by": report.cause.asked_by,
            "reason_code": report.cause.reason_code,
            "comment": report.cause.comment,
        }
    return keys | {"report": _for_one_line(report)}


def _json(line: Mapping[str, object]) -> str:
    """Text that others wrote may stand in it, and must neither break the line nor steer the terminal that shows it."""
    text = redact(json.dumps(line, default=str, ensure_ascii=False))
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


class Telemetry:
    """The log and the metrics of one container, told which invocation they speak of."""

    def __init__(self, service: str | None = None, stream: TextIO | None = None) -> None:
        """Service, level and namespace come from the POWERTOOLS_ environment variables."""
        self._logger = Logger(
            service=service,
            stream=stream,
            json_serializer=_json,
        )
        self._logger.append_keys(version=VERSION)
        self._trigger = Trigger.DIRECT

    def start(self, trigger: Trigger, correlation_id: str, invocation_id: str) -> None:
        """From here on, every line and metric is of this invocation."""
        self._trigger = trigger
        self._logger.set_correlation_id(correlation_id)
        self._logger.append_keys(function_request_id=invocation_id, trigger=trigger.value)

    def warn(self, message: str) -> None:
        """Something that a person may want to look at, though the run goes on."""
        self._logger.warning(message)

    def count(self, metric: str) -> None:
        """Count one `metric` at once, so that it is told even if the invocation never ends."""
        metrics = self._metrics()
        metrics.add_metric(name=metric, unit=MetricUnit.Count, value=1)
        metrics.flush_metrics()

    def crashed(self, error: Exception) -> None:
        """An error that nobody expected: its stack trace, and a count."""
        self._logger.error("unexpected error", exc_info=error)
        self.count("UnexpectedErrors")

    def report(self, report: Report) -> None:
        """The run's report as a line, and its figures as metrics by trigger."""
        metrics = self._metrics()
        metrics.add_metric(name=_RUNS_METRIC[report.status], unit=MetricUnit.Count, value=1)
        for outcome, number in report.counts.items():
            metrics.add_metric(name=_JOBS_METRIC[Outcome(outcome)], unit=MetricUnit.Count, value=number)
        if report.jobs:
            left = report.executions_left_in_progress
            metrics.add_metric(name="ExecutionsLeftInProgress", unit=MetricUnit.Count, value=left)
        metrics.flush_metrics()
        all_is_well = report.status in _AS_IT_SHOULD_BE or report.waiting
        log = self._logger.info if all_is_well else self._logger.warning
        log("report", extra=_keys(report))

    def _metrics(self) -> EphemeralMetrics:
        """Each metric by trigger, and as one for the stack, which an alarm can watch."""
        metrics = EphemeralMetrics()
        metrics.add_dimension(name="trigger", value=self._trigger.value)
        metrics.add_dimensions(service=metrics.service)
        return metrics
