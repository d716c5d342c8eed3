"""The entry point: recognise the event's shape, then parse → select → cancel → report → respond.

What is not finished goes to the backlog as it came, and is taken up from there until it is.
"""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache

import urllib3

from .backlog import Backlog, Message, read_message, sqs_client
from .config import Config
from .custom_resource import WORK_RESERVE, CustomResource
from .errors import RequestRejected, ResponseUndelivered
from .events import Ignored, is_custom_resource, is_queue_batch, read_event, trigger_of
from .iot import IotJobs, iot_client
from .outcome import Report, RunStatus, Trigger
from .request import Attribution, parse_request
from .resource import ResourceRequest, read_resource_request
from .respond import Responder, may_answer
from .run import TEARDOWN_PASSES, JobsApi, Run
from .teardown import Verdict, decide
from .telemetry import Telemetry
from .timing import Clock, Deadline, LambdaContext, Pace, Sleep

EVENT_RESERVE = 2.0  # seconds for the report, where nobody waits for an answer
RETRY_SECONDS = 5  # until an unfinished event is taken up again
LEAST_RUN_SECONDS = 30.0  # a run that has less than this until it must answer is not worth waiting for
_LONGEST_ID = 128
_REASON_CODES = {
    Trigger.SCHEDULE: "SCHEDULED_CLEANUP",
    Trigger.EVENT: "EVENT_REMEDIATION",
    Trigger.DIRECT: "DIRECT_REQUEST",
}


@dataclass(frozen=True, slots=True)
class Services:
    """All that the function works with: made once for each container, or by a test. `utc_now` is timezone-aware."""

    config: Config
    api: JobsApi
    backlog: Backlog
    responder: Responder
    telemetry: Telemetry
    clock: Clock = time.monotonic
    sleep: Sleep = time.sleep
    utc_now: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Ended:
    """A run that ended. `waits`: it has to go on later. `problem`: why no answer reached CloudFormation."""

    report: Report
    waits: bool = False
    problem: str = ""


@cache
def wire() -> Services:
    """The real ones. Raises InvalidConfiguration."""
    config = Config.from_env(os.environ)
    return Services(
        config=config,
        api=IotJobs(iot_client()),
        backlog=Backlog(sqs_client(), config.backlog_queue_url),
        responder=Responder(urllib3.PoolManager(), time.sleep, random.uniform),
        telemetry=Telemetry(),
    )


def lambda_handler(event: object, context: LambdaContext, services: Services | None = None) -> dict[str, object]:
    """The report of the run in its published shape; for the backlog, the batch response that SQS asks for.

    Raises ResponseUndelivered, so that the event is delivered again. A rejected event is reported and not raised: it
    would be rejected again.
    """
    services = services or wire()
    if is_queue_batch(event):
        return _take_from_backlog(read_message(event), context, services)
    now = services.utc_now().timestamp()
    ended = _handle(event, context, services, None)
    if ended.waits:
        services.backlog.put(event, now, RETRY_SECONDS)
    return ended.report.as_dict()


def _take_from_backlog(message: Message, context: LambdaContext, services: Services) -> dict[str, object]:
    """Finished, SQS deletes the message; unfinished, it comes again soon; crashed too, until it has come too often."""
    waits = True
    try:
        waits = _handle(message.event, context, services, message.admitted_at).waits
    finally:
        if waits:
            services.backlog.keep(message, RETRY_SECONDS)
    return {"batchItemFailures": [{"itemIdentifier": message.message_id}] if waits else []}


def _handle(event: object, context: LambdaContext, services: Services, admitted_at: float | None) -> Ended:
    trigger = trigger_of(event)
    services.telemetry.start(trigger, _correlation_id(event, context), context.aws_request_id)
    try:
        if is_custom_resource(event):
            ended = _tear_down(event, context, services, admitted_at)
        else:
            ended = _run_event(event, context, services, admitted_at)
    except RequestRejected as rejection:
        ended = Ended(Report(RunStatus.REJECTED, trigger, reason=str(rejection)))
    except Exception as error:
        services.telemetry.crashed(error)
        raise
    services.telemetry.report(ended.report)
    if ended.problem:
        raise ResponseUndelivered(f"no answer reached CloudFormation: {ended.problem}")
    return ended


def _run_event(event: object, context: LambdaContext, services: Services, admitted_at: float | None) -> Ended:
    trigger = trigger_of(event)
    asked = read_event(event, services.config.sweep_request)
    if isinstance(asked, Ignored):
        return Ended(Report(RunStatus.IGNORED, trigger, reason=asked.reason))
    attribution = Attribution(_REASON_CODES[trigger], f"Requested by {asked.origin}")
    request = parse_request(asked.document, services.config.policy, attribution)
    deadline = Deadline.of_invocation(context, reserve=EVENT_RESERVE, clock=services.clock)
    report = _run(services, deadline, admitted_at).carry_out(request, trigger)
    return Ended(report, waits=report.status is RunStatus.UNFINISHED)


def _tear_down(
    event: Mapping[str, object], context: LambdaContext, services: Services, admitted_at: float | None
) -> Ended:
    """CloudFormation has been answered when this returns, unless the teardown waits."""
    resource, config = read_resource_request(event), services.config
    if not may_answer(resource.response_url, config.url_suffix, config.endpoint_url):
        raise RequestRejected("ResponseURL", f"must be an https URL under {config.url_suffix}")
    now = services.utc_now().timestamp()
    answer_by = Deadline(resource.answer_within - (now - (admitted_at or now)), services.clock)
    custom_resource = CustomResource(
        resource, services.responder, services.telemetry.count, config.log_group, services.clock
    )
    verdict, problem = custom_resource.answer(
        context, lambda: _verdict(resource, context, services, admitted_at, answer_by)
    )
    for warning in verdict.warnings:
        services.telemetry.warn(warning)
    if verdict.continued:
        services.telemetry.count("TeardownsContinued")
    return Ended(verdict.report, verdict.waits, problem)


def _verdict(
    resource: ResourceRequest,
    context: LambdaContext,
    services: Services,
    admitted_at: float | None,
    answer_by: Deadline,
) -> Verdict:
    deadline = Deadline.of_invocation(context, reserve=WORK_RESERVE, clock=services.clock)
    run = _run(services, min(deadline, answer_by, key=lambda each: each.remaining), admitted_at)
    verdict = decide(
        resource,
        services.config.policy,
        lambda request: run.carry_out(request, Trigger.TEARDOWN, passes=TEARDOWN_PASSES),
    )
    unfinished = verdict.report.status is RunStatus.UNFINISHED
    return replace(verdict, waits=unfinished and answer_by.allows(RETRY_SECONDS + LEAST_RUN_SECONDS))


def _run(services: Services, deadline: Deadline, admitted_at: float | None) -> Run:
    pace = Pace(services.config.cancels_per_second, services.clock, services.sleep)
    return Run(
        services.api,
        services.config.policy,
        pace,
        deadline,
        services.sleep,
        services.utc_now,
        admitted=admitted_at is not None,
    )


def _correlation_id(event: object, context: LambdaContext) -> str:
    """CloudFormation's RequestId or the event's id: the same for every delivery of one event."""
    known = event if isinstance(event, Mapping) else {}
    found = known.get("RequestId") or known.get("id")
    return found if isinstance(found, str) and 0 < len(found) <= _LONGEST_ID else context.aws_request_id
