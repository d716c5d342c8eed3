"""The entry point: from the backlog or not, each event goes through the pipeline.

What is not finished goes to the backlog as it came, and is taken up from there until it is.
"""

import os
import random
import time
from datetime import UTC, datetime
from functools import cache

import urllib3

from .backlog import Backlog, sqs_client
from .config import Config
from .delivery import read_delivery
from .errors import ResponseUndelivered
from .event import parse_event
from .iot import IotJobs, iot_client
from .outcome import Report, RunStatus
from .pipeline import Invocation, Services
from .publish import Publisher, events_client
from .respond import Responder
from .telemetry import Telemetry
from .timing import Deadline, LambdaContext


@cache
def wire() -> Services:
    """The real ones. Raises InvalidConfiguration."""
    config = Config.from_env(os.environ)
    return Services(
        config=config,
        api=IotJobs(iot_client()),
        backlog=Backlog(sqs_client, config.backlog_queue_url, config.teardown_queue_url),
        publisher=Publisher(events_client(), config.event_bus_name),
        responder=Responder(urllib3.PoolManager(), time.sleep, random.uniform),
        telemetry=Telemetry(),
        clock=time.monotonic,
        sleep=time.sleep,
        utc_now=lambda: datetime.now(UTC),
    )


def lambda_handler(payload: object, context: LambdaContext, services: Services | None = None) -> dict[str, object]:
    """The report of the run in its published shape; for the backlog, the batch response that SQS asks for.

    Raises ResponseUndelivered, so that the event is delivered again. A rejected event is reported and not raised: it
    would be rejected again.
    """
    services = services or wire()
    delivery = read_delivery(payload, services.backlog.queue_urls, services.now)
    event = parse_event(delivery.payload, services.config.sweep_request)  # nothing below reads the payload
    correlation_id = event.correlation_id or context.aws_request_id
    services.telemetry.start(event.trigger, correlation_id, context.aws_request_id)
    message = delivery.message
    if message and not services.backlog.renew(message, context.get_remaining_time_in_millis() / 1000):
        services.telemetry.warn("the message's lease had ended, so another run has it or will have it")
        return {"batchItemFailures": [{"itemIdentifier": message.message_id}]}
    keep_seconds: int | None = delivery.retry_seconds  # if it crashes, it comes again soon, until too often
    try:
        ended = Invocation(event, delivery, context, services).handle()
        if not ended.problem:
            keep_seconds = ended.next.seconds if ended.next and not ended.next.put else None
    finally:
        if message and keep_seconds is not None:
            services.backlog.keep(message, keep_seconds)
    _publish(ended.report, correlation_id, context, services)
    if ended.problem:
        raise ResponseUndelivered(f"no answer reached CloudFormation: {ended.problem}")
    if message is None:
        return ended.report.as_dict()
    return {"batchItemFailures": [] if keep_seconds is None else [{"itemIdentifier": message.message_id}]}


def _publish(report: Report, correlation_id: str, context: LambdaContext, services: Services) -> None:
    """Tell the event bus of the run. Nothing hangs on that: what can't be told there is logged."""
    if report.status is RunStatus.IGNORED:
        return
    deadline = Deadline.of_invocation(context, reserve=0, clock=services.clock)
    if problem := services.publisher.publish(report, correlation_id, deadline):
        services.telemetry.warn(f"the report is not on the event bus: {problem}")
        services.telemetry.count("ReportsUnpublished")
