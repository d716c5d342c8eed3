"""Respond to CloudFormation while the function's configuration is invalid. Otherwise CloudFormation waits for an hour.

Nothing is canceled, and no other event is processed: the error is raised, so that Lambda or SQS retries the event.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from handler.cancellation.rate import Clock, Deadline, LambdaContext
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.response import Responder, is_allowed_url
from handler.cloudformation.teardown import refuse
from handler.errors import InvalidConfiguration
from handler.inbound.delivery import Message, read_delivery
from handler.inbound.envelope import Stack
from handler.inbound.event import parse_event
from handler.pipeline import SEND_RESERVE, Result, responded
from handler.telemetry import Telemetry

_PARTITION_URL_SUFFIXES = ("amazonaws.com", "amazonaws.com.cn", "amazonaws.eu")
_WHAT_TO_DO = (
    "the function is misconfigured, and this attempt canceled nothing. "
    "Set the variable to a valid value, then repeat the operation"
)


@dataclass(frozen=True, slots=True)
class Misconfigured:
    """What the function works with, in place of Services, if its environment `env` is unreadable because of `error`."""

    error: InvalidConfiguration
    env: Mapping[str, str]
    responder: Responder
    telemetry: Telemetry
    clock: Clock
    now: Callable[[], float]

    def handle_event(self, payload: object, context: LambdaContext) -> tuple[Result, Message | None]:
        """Refuse a custom resource request. Returns the result, and the message that it came in, if any.

        Raises InvalidConfiguration for any other event.
        """
        from handler.cloudformation.lifecycle import Lifecycle  # noqa: PLC0415 - as in the pipeline

        delivery = read_delivery(payload, self._queue_urls, self.now())
        event = parse_event(delivery.payload, Stack(name=""))
        resource = event.content
        if not isinstance(resource, CustomResourceRequest) or not self._is_allowed(resource.response_url):
            raise self.error.with_traceback(None)
        if delivery.has_unknown_format:  # a later release responds
            raise self.error.with_traceback(None)
        self.telemetry.start(event.trigger, event.correlation_id or context.aws_request_id, context.aws_request_id)
        response = refuse(resource, f"{self.error}; {_WHAT_TO_DO}")
        lifecycle = Lifecycle(
            resource,
            context,
            lambda body: self.responder.deliver(
                resource.response_url, body, Deadline.of_invocation(context, reserve=SEND_RESERVE, clock=self.clock)
            ),
            self.telemetry.count,
            self.env.get("LOG_GROUP") or self.env.get("AWS_LAMBDA_LOG_GROUP_NAME", ""),
        )
        lifecycle.dispatch(lambda: response, lambda: response)
        self.telemetry.crashed(self.error)
        is_relayed = delivery.message is None and resource.is_relayed(context.invoked_function_arn)
        result = responded(response, lifecycle.delivery_error, self.telemetry, is_relayed=is_relayed)
        self.telemetry.report(result.report)
        return result, delivery.message

    @property
    def _queue_urls(self) -> tuple[str, ...]:
        urls = (self.env.get("BACKLOG_QUEUE_URL"), self.env.get("TEARDOWN_QUEUE_URL"))
        return tuple(url for url in urls if url)

    def _is_allowed(self, url: str) -> bool:
        suffix = self.env.get("URL_SUFFIX")
        suffixes = (suffix,) if suffix else _PARTITION_URL_SUFFIXES
        return any(is_allowed_url(url, each, self.env.get("AWS_ENDPOINT_URL")) for each in suffixes)
