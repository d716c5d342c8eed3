"""The entry point: one delivery, from the raw payload to the published report."""

import os
import random
import time
from datetime import UTC, datetime
from functools import cache, partial

import urllib3

from handler.aws.eventbridge import Publisher, events_client
from handler.aws.iot import IotJobs, iot_client
from handler.aws.sqs import Queues, sqs_client
from handler.cancellation.rate import Deadline, LambdaContext, RateLimits
from handler.cancellation.report import Report, RunStatus
from handler.cloudformation.response import Responder
from handler.config import Config
from handler.errors import InvalidConfiguration, ResponseUndelivered, TeardownFailed, VisibilityUnchanged
from handler.inbound.delivery import Message, read_delivery
from handler.inbound.envelope import Stack
from handler.inbound.event import RejectedEvent, parse_event
from handler.misconfigured import Misconfigured
from handler.pipeline import Invocation, Result, Services
from handler.telemetry import Telemetry


@cache
def wire() -> Services | Misconfigured:
    """Create the real services or, if the configuration is invalid, those that only respond to CloudFormation.

    Raises no InvalidConfiguration: if the init phase failed, CloudFormation would get no response.
    """
    responder = Responder(urllib3.PoolManager(), time.sleep, random.uniform)
    try:
        config = Config.from_env(os.environ)
    except InvalidConfiguration as error:
        return _misconfigured(error, responder)
    return Services(
        config=config,
        rate_limits=RateLimits(config.cancels_per_second, time.monotonic, time.sleep),
        jobs_api=partial(IotJobs, iot_client()),
        queues=Queues(sqs_client, config.backlog_queue_url, config.teardown_queue_url),
        publisher=Publisher(events_client(), config.event_bus_name),
        responder=responder,
        telemetry=Telemetry(),
        clock=time.monotonic,
        uniform=random.uniform,
        utc_now=lambda: datetime.now(UTC),
    )


def _misconfigured(error: InvalidConfiguration, responder: Responder) -> Misconfigured:
    # Powertools reads its variables itself, and each of them may be the invalid one.
    os.environ["POWERTOOLS_LOG_LEVEL"] = "INFO"
    for variable, default in (("METRICS_NAMESPACE", "IoTJobCanceler"), ("SERVICE_NAME", "iot-job-canceler")):
        name = f"POWERTOOLS_{variable}"
        os.environ[name] = os.environ.get(name) or default
    return Misconfigured(error, os.environ, responder, Telemetry(), time.monotonic, time.time)


def lambda_handler(
    payload: object, context: LambdaContext, services: Services | Misconfigured | None = None
) -> dict[str, object]:
    """Return the report of the run in its published shape; for SQS messages, the batch response.

    The report of a custom resource request that got its response also has its PhysicalResourceId, which frameworks
    such as CDK's Provider read. A rejected event is reported and not raised: a retry would be rejected again. Raises
    ResponseUndelivered, InvalidConfiguration and unexpected errors, so that the event is redelivered, and
    TeardownFailed.
    """
    services = services or wire()
    if isinstance(services, Misconfigured):
        return _returned(*services.handle_event(payload, context), is_done=True)
    delivery = read_delivery(payload, services.queues.urls, services.now)
    config = services.config
    stack = Stack.of_function(
        context.invoked_function_arn, config.stack_name, config.sweep_request, config.alarm_name_prefix
    )
    event = parse_event(delivery.payload, stack)  # no other code reads the payload
    correlation_id = event.correlation_id or context.aws_request_id
    services.telemetry.start(event.trigger, correlation_id, context.aws_request_id)
    message = delivery.message
    if message and delivery.has_unknown_format:
        services.telemetry.warn(
            "skipped: a later release sent the message, in a format that this release does not support; SQS redelivers "
            "the message, and moves it to the failure queue after 100 receives. Deploy the later release again"
        )
        return _batch_response(message.message_id)
    if message and not _is_in_flight(message, context, services):
        services.telemetry.warn(
            "skipped: the visibility timeout of the message has expired, so another invocation has it or will have it"
        )
        return _batch_response(message.message_id)
    result = Invocation(event, delivery, context, services).handle()
    if not result.is_repeated:
        _publish(result.report, correlation_id, context, services)
    if not message and isinstance(event.content, RejectedEvent) and event.content.kept_messages:
        return _batch_response(*event.content.kept_messages)
    return _returned(result, message, is_done=not result.keeps_message)


def _is_in_flight(message: Message, context: LambdaContext, services: Services) -> bool:
    """Extend the visibility timeout of the message to the end of the invocation.

    A call that fails is only logged: the visibility timeout that the queue has set outlasts the invocation, too.
    """
    try:
        return services.queues.extend_visibility_timeout(message, context.get_remaining_time_in_millis() / 1000)
    except VisibilityUnchanged as error:
        services.telemetry.warn(f"failed to extend the visibility timeout of the message: {error}")
        return True


def _returned(result: Result, message: Message | None, *, is_done: bool) -> dict[str, object]:
    """Return what the function returns. Raises ResponseUndelivered and TeardownFailed."""
    if result.delivery_error:
        raise ResponseUndelivered(f"failed to send the response to CloudFormation: {result.delivery_error}")
    if result.failure:
        raise TeardownFailed(result.failure)
    if message:
        return _batch_response(*[] if is_done else [message.message_id])
    return result.report.as_dict() | ({"PhysicalResourceId": result.physical_id} if result.physical_id else {})


def _batch_response(*failed: str) -> dict[str, object]:
    """Return the response to a batch: SQS redelivers the messages with these ids, and deletes all others."""
    return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}


def _publish(report: Report, correlation_id: str, context: LambdaContext, services: Services) -> None:
    """Publish the report on the event bus. The run does not depend on it: a failure is logged and counted."""
    if report.status is RunStatus.IGNORED:
        return
    deadline = Deadline.of_invocation(context, reserve=0, clock=services.clock)
    if error := services.publisher.publish(report, correlation_id, deadline):
        services.telemetry.warn(f"failed to publish the complete report to EventBridge: {error}")
        services.telemetry.count("ReportsUnpublished")
