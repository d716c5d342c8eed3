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
from .delivery import Delivery
from .events import is_custom_resource, trigger_of
from .iot import IotJobs, iot_client
from .message import Message
from .outcome import RunStatus
from .pipeline import Services, conclude, handle
from .publish import Publisher, events_client
from .respond import Responder
from .telemetry import Telemetry
from .timing import LambdaContext


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


def lambda_handler(event: object, context: LambdaContext, services: Services | None = None) -> dict[str, object]:
    """The report of the run in its published shape; for the backlog, the batch response that SQS asks for.

    Raises ResponseUndelivered, so that the event is delivered again. A rejected event is reported and not raised: it
    would be rejected again.
    """
    services = services or wire()
    message = services.backlog.read(event)
    if message is None:
        delivery = Delivery(context, services.now)
        ended = handle(event, delivery, services)
        conclude(event, ended, delivery, services)
        return ended.report.as_dict()
    done = _take_from_backlog(message, Delivery.of_message(message, context, services.now), services)
    return {"batchItemFailures": [] if done else [{"itemIdentifier": message.message_id}]}


def _take_from_backlog(message: Message, delivery: Delivery, services: Services) -> bool:
    """True if it has done its part, and SQS deletes it. Unfinished or crashed, it comes again soon, until too often."""
    if not services.backlog.renew(message, delivery.context.get_remaining_time_in_millis() / 1000):
        services.telemetry.start(trigger_of(message.event), message.message_id, delivery.context.aws_request_id)
        services.telemetry.warn("the message's lease had ended, so another run has it or will have it")
        return False
    keep_seconds: int | None = delivery.retry_seconds
    try:
        ended = handle(message.event, delivery, services)
        was_begun = delivery.admitted and not is_custom_resource(message.event)
        if not ended.problem and not (was_begun and ended.report.status is RunStatus.REJECTED):
            keep_seconds = ended.keep_seconds  # else it comes again, until it ends in the failure queue
    finally:
        if keep_seconds is not None:
            services.backlog.keep(message, keep_seconds)
    conclude(message.event, ended, delivery, services)
    return keep_seconds is None
