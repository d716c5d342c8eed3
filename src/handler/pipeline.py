"""Carry out one event: parse → select → cancel → report → respond, and decide what comes next."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from handler.aws.eventbridge import Publisher
from handler.aws.iot import MAX_CALL_SECONDS
from handler.aws.sqs import Queues
from handler.cancellation.job import JobsApi
from handler.cancellation.rate import Clock, Deadline, Gate, LambdaContext, Sleep
from handler.cancellation.report import Report, RunStatus, Trigger
from handler.cancellation.request import CancelReason, CancelRequest, parse_request
from handler.cancellation.run import run
from handler.cancellation.session import Session
from handler.cancellation.wait import MIN_POLL_SECONDS
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.response import Responder, is_allowed_url
from handler.cloudformation.teardown import Response, plan_deletion, respond_to_deletion, validate
from handler.config import Config
from handler.errors import EnqueueRefused, EnqueueUnavailable, RequestRejected
from handler.inbound.delivery import MIN_RUN_SECONDS, Delivery, Next
from handler.inbound.envelope import CancelEvent, IgnoredEvent
from handler.inbound.event import Event, RejectedEvent
from handler.telemetry import Telemetry

# Seconds that are left of the invocation.
EVENT_RESERVE = 12.0  # after a run: to enqueue the event takes at most 10, to publish its report a moment
TEARDOWN_RESERVE = 17.0  # after a teardown's run: to enqueue it takes at most 10, and then the timer still has time
SEND_RESERVE = 1.0  # after the response to CloudFormation was sent

RELAYED = (
    "another function relays the request and does not wait for a later response: ServiceToken must be the ARN of the "
    "canceler's function itself. A repeated deletion continues"
)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the function works with: created once for each container, or by a test.

    `jobs_api` returns the IoT Jobs API behind the gate of one run. `utc_now` is timezone-aware.
    """

    config: Config
    jobs_api: Callable[[Gate], JobsApi]
    queues: Queues
    publisher: Publisher
    responder: Responder
    telemetry: Telemetry
    clock: Clock
    sleep: Sleep
    utc_now: Callable[[], datetime]

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.utc_now().timestamp()


@dataclass(frozen=True, slots=True)
class Result:
    """The report of a run, and what comes next.

    `delivery_error` says why CloudFormation received no response; empty if it did. `failure` is the error to raise for
    the function that relays a custom resource request; empty if there is none. `physical_id` is that of the response.
    """

    report: Report
    next: Next | None = None
    delivery_error: str = ""
    failure: str = ""
    physical_id: str = ""


def responded(response: Response, delivery_error: str, telemetry: Telemetry, *, is_relayed: bool) -> Result:
    """Return the result of a custom resource request that got its response, and log the response's warnings."""
    for warning in response.warnings:
        telemetry.warn(warning)
    if response.leaves_active_jobs:
        telemetry.count("TeardownsContinued")
    failure = response.reason if is_relayed and response.status == "FAILED" else ""
    return Result(response.report, delivery_error=delivery_error, failure=failure, physical_id=response.physical_id)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One delivery of one event."""

    event: Event
    delivery: Delivery
    context: LambdaContext
    services: Services

    def handle(self) -> Result:
        """Carry out the event as far as there is time, log its report, and enqueue it if it must continue.

        Raises EnqueueUnavailable, botocore's errors of SQS, and unexpected errors: Lambda or SQS retries the event.
        """
        try:
            match self.event.content:
                case IgnoredEvent(reason):
                    result = Result(Report(RunStatus.IGNORED, self.event.trigger, reason=reason))
                case RejectedEvent(reason, sender):
                    result = self._rejected(reason, sender)
                case CancelEvent() as cancel_event:
                    result = self._cancel(cancel_event)
                case resource:
                    result = self._respond(resource)
        except RequestRejected as rejection:
            content = self.event.content
            sender = content.default_reason if isinstance(content, CancelEvent) else None
            result = self._rejected(str(rejection), sender)
        except Exception as error:
            if not (self.delivery.message and isinstance(error, EnqueueRefused)):  # else SQS redelivers the message
                self.services.telemetry.crashed(error)
            raise
        self.services.telemetry.report(result.report)
        if result.next and result.next.attributes and isinstance(self.event.content, CancelEvent):
            self.services.queues.enqueue(self.delivery.payload, result.next.attributes, result.next.seconds)
        return result

    def _rejected(self, reason: str, sender: CancelReason | None) -> Result:
        """An event that was begun before is redelivered, until it is in the failure queue: its work is not lost."""
        was_begun = self.delivery.limit_checked and self.event.trigger is not Trigger.TEARDOWN
        following = Next(self.delivery.retry_seconds) if was_begun else None
        report = Report(RunStatus.REJECTED, self.event.trigger, reason=reason, cancel_reason=sender)
        return Result(report, following)

    def _cancel(self, event: CancelEvent) -> Result:
        limits = self.services.config.limits
        if self.delivery.wait:  # the jobs are canceled, and a prefix that was set since cannot undo that
            limits = replace(limits, job_id_prefix="")
        request = parse_request(event.document, limits, event.default_reason)
        report = self._run(request, self._until(EVENT_RESERVE))
        # A dry run changes nothing, so a redelivery would come no further.
        return Result(report, None if report.dry_run else self.delivery.next(report, self.services.now))

    def _respond(self, resource: CustomResourceRequest) -> Result:
        """Respond to CloudFormation, unless a later delivery of the request does."""
        from handler.cloudformation.lifecycle import OUT_OF_TIME, Lifecycle  # noqa: PLC0415 - other events need no crhelper

        services, config = self.services, self.services.config
        # The queues hold no relayed request, but an earlier release may have enqueued one.
        is_relayed = self.delivery.message is None and resource.is_relayed(self.context.invoked_function_arn)
        if not is_allowed_url(resource.response_url, config.url_suffix, config.endpoint_url):
            local = ", or on the host of AWS_ENDPOINT_URL" if config.endpoint_url else ""
            reason = f"ResponseURL: must be an https URL under {config.url_suffix}{local}"
            return replace(self._rejected(reason, None), failure=f"{reason}; {RELAYED}" if is_relayed else "")
        lifecycle = Lifecycle(
            resource,
            self.context,
            lambda body: services.responder.deliver(resource.response_url, body, self._until(SEND_RESERVE)),
            services.telemetry.count,
            config.log_group,
        )
        following: Next | None = None

        def tear_down() -> Response:
            nonlocal following
            respond_by = self._respond_by(resource)
            response, following = self._tear_down(resource, respond_by)
            if following is None:
                return response
            if is_relayed:  # the function that relays it would respond SUCCESS in the meantime
                following = None
                return response.as_final(RELAYED)
            # Claimed before the event is enqueued, so that the timer cannot respond to a request that continues.
            if not lifecycle.claim():
                refusal = OUT_OF_TIME
            elif not (refusal := self._enqueue_teardown(resource, response.report, following, respond_by)):
                lifecycle.postpone()
                return response
            following = None
            return response.as_final(refusal)

        response = lifecycle.dispatch(lambda: validate(resource, config.limits), tear_down)
        if following:
            return Result(response.report, following)
        return responded(response, lifecycle.delivery_error, services.telemetry, is_relayed=is_relayed)

    def _tear_down(self, resource: CustomResourceRequest, respond_by: Deadline) -> tuple[Response, Next | None]:
        """Cancel the jobs of a Delete. Returns the response, and what comes before it if there is time for that."""
        planned = plan_deletion(resource, self.services.config.limits)
        if isinstance(planned, Response):
            return planned, None
        request = planned.request
        deadline = min(self._until(TEARDOWN_RESERVE), respond_by, key=lambda each: each.remaining)
        try:
            report = self._run(request, deadline)
        except RequestRejected as rejection:
            reason = str(rejection.in_template_spelling())
            report = Report(
                RunStatus.REJECTED,
                Trigger.TEARDOWN,
                request.force,
                request.dry_run,
                reason,
                cancel_reason=request.reason,
            )
        response = respond_to_deletion(resource, planned, report)
        following = self.delivery.next(report, self.services.now)
        if following is None:
            return response, None
        seconds = MIN_POLL_SECONDS if following.attributes else following.seconds  # the delay of the teardowns' queue
        if not respond_by.allows(seconds + MIN_RUN_SECONDS):
            return response.as_final(), None
        return response, following

    def _enqueue_teardown(
        self, resource: CustomResourceRequest, report: Report, following: Next, respond_by: Deadline
    ) -> str:
        """Send the request to the teardowns' queue. Returns why the queue refuses it, or an empty string.

        Raises EnqueueUnavailable if the request is redelivered in time without the queue.
        """
        if following.attributes is None:
            return ""
        try:
            self.services.queues.enqueue_teardown(self.delivery.payload, following.attributes, resource.identity)
        except EnqueueRefused as refusal:
            is_retried = isinstance(refusal, EnqueueUnavailable) and self.delivery.is_retried_by_lambda(
                resource.signed_at, respond_by
            )
            if self.delivery.message:
                self.services.telemetry.report(report)
            if self.delivery.message or is_retried:
                raise
            return str(refusal)
        return ""

    def _run(self, request: CancelRequest, deadline: Deadline) -> Report:
        services, delivery = self.services, self.delivery
        per_second = services.config.cancels_per_second
        gate = Gate(per_second, deadline, services.clock, services.sleep, call_seconds=MAX_CALL_SECONDS)
        session = Session(
            services.jobs_api(gate),
            gate,
            services.config.limits,
            services.utc_now,
            delivery.limit_checked,
            delivery.previous_attempts,
            delivery.wait,
        )
        report = run(session, request, self.event.trigger)
        for warning in report.warnings:
            services.telemetry.warn(warning)
        return report

    def _until(self, reserve: float) -> Deadline:
        return Deadline.of_invocation(self.context, reserve=reserve, clock=self.services.clock)

    def _respond_by(self, resource: CustomResourceRequest) -> Deadline:
        """Return when CloudFormation must have its response, counted from when it signed the request."""
        first_seen_at = self.delivery.first_seen_at
        requested_at = min(first_seen_at, resource.signed_at or first_seen_at)
        elapsed = self.services.now - requested_at
        return Deadline(resource.respond_within_seconds - elapsed, self.services.clock)
