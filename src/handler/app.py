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
from .delivery import Delivery
from .errors import RequestRejected, ResponseUndelivered
from .events import Ignored, attribution, is_custom_resource, read_event, trigger_of
from .iot import IotJobs, iot_client
from .outcome import Report, RunStatus, Trigger
from .request import parse_request
from .resource import ResourceRequest, read_resource_request
from .respond import Responder, may_answer
from .run import TEARDOWN_PASSES, JobsApi, Run
from .teardown import Verdict, decide
from .telemetry import Telemetry
from .timing import Clock, Deadline, LambdaContext, Pace, Sleep

EVENT_RESERVE = 2.0  # seconds for the report, where nobody waits for an answer
LEAST_RUN_SECONDS = 30.0  # a run that has less than this until it must answer is not worth waiting for
_LONGEST_ID = 128


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
    now = services.utc_now().timestamp()
    message = read_message(event, services.config.backlog_queue_url)
    if message is not None:
        delivery = Delivery.of_message(message, context, now)
        return _take_from_backlog(message, delivery, services)
    ended = _handle(event, Delivery(context, now), services)
    if ended.waits and not is_custom_resource(event):  # a teardown was put there before it was left unanswered
        _put(event, ended.report, Delivery(context, now), services)
    return ended.report.as_dict()


def _put(event: object, report: Report, delivery: Delivery, services: Services) -> None:
    """Jobs are reported only once the selection was held against the cap: then it is not judged again."""
    services.backlog.put(event, delivery.first_seen_at, delivery.retry_seconds, admitted=bool(report.jobs))


def _take_from_backlog(message: Message, delivery: Delivery, services: Services) -> dict[str, object]:
    """Finished, SQS deletes the message; unfinished, it comes again soon; crashed too, until it has come too often."""
    waits = True
    try:
        ended = _handle(message.event, delivery, services)
        waits = ended.waits
        if ended.report.status is RunStatus.REJECTED and delivery.admitted and not is_custom_resource(message.event):
            waits = True  # it was begun: what is left of it is not dropped, but ends in the failure queue
        elif waits and ended.report.jobs and not delivery.admitted:
            _put(message.event, ended.report, delivery, services)  # once: from now on it is admitted
            waits = False
    finally:
        if waits:
            services.backlog.keep(message, delivery.retry_seconds)
    return {"batchItemFailures": [{"itemIdentifier": message.message_id}] if waits else []}


def _handle(event: object, delivery: Delivery, services: Services) -> Ended:
    trigger = trigger_of(event)
    invocation_id = delivery.context.aws_request_id
    services.telemetry.start(trigger, _correlation_id(event) or invocation_id, invocation_id)
    try:
        ended = (_tear_down if is_custom_resource(event) else _run_event)(event, delivery, services)
    except RequestRejected as rejection:
        ended = Ended(Report(RunStatus.REJECTED, trigger, reason=str(rejection)))
    except Exception as error:
        services.telemetry.crashed(error)
        raise
    services.telemetry.report(ended.report)
    if ended.problem:
        raise ResponseUndelivered(f"no answer reached CloudFormation: {ended.problem}")
    return ended


def _run_event(event: object, delivery: Delivery, services: Services) -> Ended:
    trigger = trigger_of(event)
    asked = read_event(event, services.config.sweep_request)
    if isinstance(asked, Ignored):
        return Ended(Report(RunStatus.IGNORED, trigger, reason=asked.reason))
    request = parse_request(asked.document, services.config.policy, attribution(trigger, asked))
    deadline = Deadline.of_invocation(delivery.context, reserve=EVENT_RESERVE, clock=services.clock)
    report = _run(services, deadline, delivery).carry_out(request, trigger)
    # A dry run changes nothing, so that its next delivery would come no further.
    return Ended(report, waits=report.status is RunStatus.UNFINISHED and not report.dry_run)


def _tear_down(event: object, delivery: Delivery, services: Services) -> Ended:
    """CloudFormation has been answered when this returns, unless the teardown waits."""
    resource, config = read_resource_request(event), services.config
    if not may_answer(resource.response_url, config.url_suffix, config.endpoint_url):
        raise RequestRejected("ResponseURL", f"must be an https URL under {config.url_suffix}")
    since = services.utc_now().timestamp() - delivery.first_seen_at
    answer_by = Deadline(resource.answer_within - since, services.clock)
    custom_resource = CustomResource(
        resource, services.responder, services.telemetry.count, config.log_group, services.clock
    )
    verdict, problem = custom_resource.answer(
        delivery.context, lambda: _verdict(event, resource, delivery, services, answer_by)
    )
    for warning in verdict.warnings:
        services.telemetry.warn(warning)
    if verdict.continued:
        services.telemetry.count("TeardownsContinued")
    return Ended(verdict.report, verdict.waits, problem)


def _verdict(
    event: object, resource: ResourceRequest, delivery: Delivery, services: Services, answer_by: Deadline
) -> Verdict:
    deadline = Deadline.of_invocation(delivery.context, reserve=WORK_RESERVE, clock=services.clock)
    run = _run(services, min(deadline, answer_by, key=lambda each: each.remaining), delivery)
    verdict = decide(
        resource,
        services.config.policy,
        lambda request: run.carry_out(request, Trigger.TEARDOWN, passes=TEARDOWN_PASSES),
    )
    there_is_time = answer_by.allows(delivery.retry_seconds + LEAST_RUN_SECONDS)
    waits = verdict.report.status is RunStatus.UNFINISHED and there_is_time
    if waits and not delivery.number:
        _put(event, verdict.report, delivery, services)  # here, so that CloudFormation is answered if it fails
    return replace(verdict, waits=waits)


def _run(services: Services, deadline: Deadline, delivery: Delivery) -> Run:
    return Run(
        api=services.api,
        policy=services.config.policy,
        pace=Pace(services.config.cancels_per_second, services.clock, services.sleep),
        deadline=deadline,
        sleep=services.sleep,
        utc_now=services.utc_now,
        admitted=delivery.admitted,
        delivery=delivery.number,
    )


def _correlation_id(event: object) -> str:
    """CloudFormation's RequestId or the event's id, the same for every delivery of one event; or nothing."""
    known = event if isinstance(event, Mapping) else {}
    found = known.get("RequestId") or known.get("id")
    return found if isinstance(found, str) and len(found) <= _LONGEST_ID else ""
