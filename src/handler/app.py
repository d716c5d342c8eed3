"""The entry point: recognise the event's shape, then parse → cancel → report → respond."""

import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import urllib3

from .cancel import Canceler, Jobs
from .config import Config
from .custom_resource import WORK_RESERVE, CustomResource
from .errors import CancelerError, RequestRejected, ResponseUndelivered, RunUnfinished
from .events import Ignored, is_custom_resource, read_event, trigger_of
from .iot import IotJobs, iot_client
from .outcome import Outcome, Report, RunStatus, Trigger, status_of
from .request import Attribution, parse_request
from .respond import Responder, may_answer
from .teardown import decide, read_resource_request
from .telemetry import Telemetry
from .timing import Clock, Deadline, LambdaContext, Sleep

EVENT_RESERVE = 2.0  # seconds for the report, where nobody waits for an answer
_LONGEST_ID = 128
_REASON_CODES = {
    Trigger.SCHEDULE: "SCHEDULED_CLEANUP",
    Trigger.EVENT: "EVENT_REMEDIATION",
    Trigger.DIRECT: "DIRECT_REQUEST",
}


@dataclass(frozen=True, slots=True)
class Services:
    """All that the function works with: made once for each container, or by a test."""

    config: Config
    jobs: Jobs
    responder: Responder
    telemetry: Telemetry
    clock: Clock = time.monotonic
    sleep: Sleep = time.sleep


@cache
def wire() -> Services:
    """The real ones. Raises InvalidConfiguration."""
    return Services(
        config=Config.from_env(os.environ),
        jobs=IotJobs(iot_client()),
        responder=Responder(urllib3.PoolManager(), time.sleep, random.uniform),
        telemetry=Telemetry(),
    )


def lambda_handler(event: object, context: LambdaContext, services: Services | None = None) -> dict[str, object]:
    """The report of the run, in its published shape.

    Raises RunUnfinished and ResponseUndelivered, so that Lambda delivers the event again. A rejected event is reported
    and not raised: it would be rejected again.
    """
    services = services or wire()
    trigger = trigger_of(event)
    services.telemetry.start(trigger, _correlation_id(event, context), context.aws_request_id)
    try:
        if is_custom_resource(event):
            report, again = _run_teardown(event, context, services)
        else:
            report, again = _run_event(event, context, services)
    except RequestRejected as rejection:
        report, again = Report(RunStatus.REJECTED, trigger, reason=str(rejection)), None
    except Exception as error:
        services.telemetry.crashed(error)
        raise
    services.telemetry.report(report)
    if again:
        raise again
    return report.as_dict()


def _run_event(event: object, context: LambdaContext, services: Services) -> tuple[Report, CancelerError | None]:
    """The report, and the error that has the event delivered again, if that is needed."""
    trigger = trigger_of(event)
    asked = read_event(event)
    if isinstance(asked, Ignored):
        return Report(RunStatus.IGNORED, trigger, reason=asked.reason), None
    attribution = Attribution(_REASON_CODES[trigger], f"Requested by {asked.origin}")
    request = parse_request(asked.document, services.config.policy, attribution)
    results = _canceler(context, services, reserve=EVENT_RESERVE).cancel_all(request)
    report = Report(status_of(results), trigger, request.force, request.dry_run, jobs=results)
    if report.status is RunStatus.UNFINISHED:
        return report, RunUnfinished(f"{report.counts[Outcome.DEFERRED]} jobs are left to do")
    return report, None


def _run_teardown(
    event: Mapping[str, object], context: LambdaContext, services: Services
) -> tuple[Report, CancelerError | None]:
    """As `_run_event`; CloudFormation has been answered by then."""
    resource = read_resource_request(event)
    config = services.config
    if not may_answer(resource.response_url, config.url_suffix, config.endpoint_url):
        raise RequestRejected("ResponseURL", f"must be an https URL under {config.url_suffix}")
    custom_resource = CustomResource(
        resource, services.responder, services.telemetry.count, config.log_group, services.clock
    )
    canceler = _canceler(context, services, reserve=WORK_RESERVE)
    verdict, problem = custom_resource.answer(context, lambda: decide(resource, config.policy, canceler.cancel_all))
    for warning in verdict.warnings:
        services.telemetry.warn(warning)
    if verdict.continued:
        services.telemetry.count("TeardownsContinued")
    return verdict.report, ResponseUndelivered(f"no answer reached CloudFormation: {problem}") if problem else None


def _canceler(context: LambdaContext, services: Services, *, reserve: float) -> Canceler:
    deadline = Deadline.of_invocation(context, reserve=reserve, clock=services.clock)
    return Canceler(services.jobs, services.config.policy, deadline, services.sleep)


def _correlation_id(event: object, context: LambdaContext) -> str:
    """CloudFormation's RequestId or the event's id: the same for every delivery of one event."""
    known = event if isinstance(event, Mapping) else {}
    found = known.get("RequestId") or known.get("id")
    return found if isinstance(found, str) and 0 < len(found) <= _LONGEST_ID else context.aws_request_id
