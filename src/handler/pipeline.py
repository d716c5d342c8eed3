"""Carry out one event: parse → select → cancel → report → respond, and decide what comes next."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from handler.aws.eventbridge import Publisher
from handler.aws.iot import MAX_CALL_SECONDS
from handler.aws.sqs import MAX_CALL_SECONDS as MAX_QUEUE_CALL_SECONDS
from handler.aws.sqs import Queues
from handler.cancellation.job import JobsApi
from handler.cancellation.rate import Clock, Deadline, Gate, LambdaContext, RateLimits, Uniform
from handler.cancellation.report import Report, RunStatus, Trigger, joined
from handler.cancellation.request import CancelReason, CancelRequest, parse_request
from handler.cancellation.run import run
from handler.cancellation.session import Session
from handler.cancellation.wait import MIN_POLL_SECONDS
from handler.cloudformation.properties import read_service_timeout
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.response import Responder, is_allowed_url
from handler.cloudformation.teardown import Response, plan_deletion, respond_to_deletion, validate
from handler.config import Config
from handler.errors import EnqueueRefused, EnqueueUnavailable, MessageNotInFlight, RequestRejected, VisibilityUnchanged
from handler.inbound.delivery import MIN_RUN_SECONDS, RETRY_SECONDS, Delivery, Next
from handler.inbound.envelope import CancelEvent, IgnoredEvent, at
from handler.inbound.event import Event, RejectedEvent
from handler.inbound.terraform import DRY_RUN, TerraformRequest, conclude, continues_dry_run, plan_action
from handler.telemetry import Telemetry

# Seconds that are left of the invocation.
EVENT_RESERVE = 12.0  # after a run: to enqueue the event takes at most 10; then its report is published
TEARDOWN_RESERVE = 17.0  # after a teardown's run: to enqueue it takes at most 10; then a response still has time
SEND_RESERVE = 1.0  # after the response to CloudFormation was sent

MAX_REQUEST_AGE_SECONDS = 2 * 3600  # CloudFormation signs a ResponseURL for two hours (X-Amz-Expires=7200)
_EXPIRED = (
    "ResponseURL: has expired, so CloudFormation no longer waits for a response, and this attempt canceled nothing; "
    "repeat the operation of the stack: for example, delete it again"
)
RELAYED = (
    "another function relays the request and does not wait for a later response: ServiceToken must be the ARN of the "
    "canceler's function itself. A repeated deletion continues"
)


@dataclass(frozen=True, slots=True)
class Services:
    """Everything that the function works with: created once for each container, or by a test.

    `jobs_api` returns the IoT Jobs API behind the gate of one run. `utc_now` is timezone-aware. `uniform(a, b)` draws
    jitter.
    """

    config: Config
    rate_limits: RateLimits
    jobs_api: Callable[[Gate], JobsApi]
    queues: Queues
    publisher: Publisher
    responder: Responder
    telemetry: Telemetry
    clock: Clock
    uniform: Uniform
    utc_now: Callable[[], datetime]

    @property
    def now(self) -> float:
        """Seconds since the epoch."""
        return self.utc_now().timestamp()


@dataclass(frozen=True, slots=True)
class Result:
    """The report of a run, and what comes next.

    `delivery_error` says why CloudFormation received no response; empty if it did. `failure` is the error to raise for
    Terraform, or for the function that relays a custom resource request; empty if there is none. `physical_id` is that
    of the response. `is_validation`: the event cancels nothing, even if it is not rejected. `is_repeated`: an earlier
    delivery has reported the same rejection.
    """

    report: Report
    next: Next | None = None
    delivery_error: str = ""
    failure: str = ""
    physical_id: str = ""
    is_validation: bool = False
    is_repeated: bool = False

    @property
    def keeps_message(self) -> bool:
        """True if SQS redelivers the message that the event came in."""
        return self.next is not None and self.next.attributes is None


def responded(response: Response, delivery_error: str, telemetry: Telemetry, *, is_relayed: bool) -> Result:
    """Return the result of a custom resource request that got its response, and log the response's warnings."""
    for warning in response.warnings:
        telemetry.warn(warning)
    if response.leaves_active_jobs and not delivery_error:
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
        """Carry out the event as far as there is time, log its report, and leave the rest to its next delivery.

        Raises EnqueueRefused, EnqueueUnavailable, and unexpected errors: Lambda or SQS retries the event.
        """
        try:
            result = self._carry_out()
            self._record(result)
            if result.next and not isinstance(self.event.content, CustomResourceRequest):
                self._hand_over(result.next)
        except Exception as error:
            if not isinstance(error, EnqueueRefused):
                self.services.telemetry.crashed(error)
            self._redeliver_after(self.delivery.retry_seconds)
            raise
        if result.delivery_error:
            self._redeliver_after(self.delivery.retry_seconds)
        return result

    def _carry_out(self) -> Result:
        try:
            match self.event.content:
                case IgnoredEvent(reason):
                    return Result(Report(RunStatus.IGNORED, self.event.trigger, reason=reason))
                case RejectedEvent(reason, sender):
                    return self._rejected(reason, sender)
                case CancelEvent() as cancel_event:
                    return self._cancel(cancel_event)
                case TerraformRequest() as terraform:
                    return self._apply(terraform)
                case resource:
                    return self._respond(resource)
        except RequestRejected as rejection:
            content = self.event.content
            sender = content.default_reason if isinstance(content, CancelEvent | TerraformRequest) else None
            return self._rejected(str(rejection), sender)

    def _hand_over(self, following: Next) -> None:
        """Leave an event to its next delivery. Raises EnqueueRefused, EnqueueUnavailable."""
        if following.attributes is None:
            self._redeliver_after(following.seconds)
        else:
            self.services.queues.enqueue(self.delivery.payload, following.attributes, following.seconds)

    def _redeliver_after(self, seconds: int) -> bool:
        """Let SQS redeliver the message, if there is one, after `seconds`. Returns False if it did not accept that.

        Then it redelivers the message when the visibility timeout ends that was set before.
        """
        if not self.delivery.message:
            return False
        try:
            self.services.queues.change_visibility_timeout(self.delivery.message, seconds)
        except MessageNotInFlight:
            return True  # another invocation has the message, or will have it
        except VisibilityUnchanged as error:
            self.services.telemetry.warn(f"failed to change the visibility timeout of the message: {error}")
            return False
        return True

    def _record(self, result: Result) -> None:
        """Log and count the report, unless it repeats the rejection of an event that SQS redelivers."""
        if result.is_repeated:
            self.services.telemetry.info(f"rejected again: {result.report.reason}")
            return
        self.services.telemetry.report(
            result.report,
            is_first=not self.delivery.was_begun,
            is_last=not (result.next or result.delivery_error),
            is_validation=result.is_validation,
        )

    def _rejected(self, reason: str, sender: CancelReason | None) -> Result:
        """Return the rejection. An event that was begun before is delivered again: its work is not lost."""
        content, is_teardown = self.event.content, self.event.trigger is Trigger.TEARDOWN
        is_dry_run_requested = (
            isinstance(content, CancelEvent | TerraformRequest) and at(content.document, "dryRun") is True
        )
        is_dry_run = is_dry_run_requested or self.services.config.limits.dry_run
        report = Report(RunStatus.REJECTED, self.event.trigger, dry_run=is_dry_run, reason=reason, cancel_reason=sender)
        if isinstance(content, TerraformRequest):
            return self._concluded(content, report)
        if is_teardown or not self.delivery.was_begun:
            return Result(report, is_validation=is_dry_run and not is_teardown)
        return Result(report, self.delivery.next_after_rejection(), is_repeated=self.delivery.was_rejected)

    def _cancel(self, event: CancelEvent) -> Result:
        limits = self.services.config.limits
        if self.delivery.wait:  # the jobs are canceled, and a prefix that was set since cannot undo that
            limits = replace(limits, job_id_prefix="")
        request = parse_request(event.document, limits, event.default_reason)
        report = self._run(request, self._until(EVENT_RESERVE))
        return Result(report, self._next(report))

    def _apply(self, terraform: TerraformRequest) -> Result:
        """Carry out one action of Terraform, which waits for the result: nothing is left to a later delivery."""
        telemetry = self.services.telemetry
        plan = plan_action(terraform, self.services.config.limits.of_teardowns)
        for warning in plan.warnings:
            telemetry.warn(warning)
        request = plan.request
        report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, request.force, request.dry_run)
        if plan.cancels:
            report = self._run(request, self._until(EVENT_RESERVE))
        report = replace(report, reason=joined(plan.reason, report.reason))
        if continues_dry_run(report):
            telemetry.warn(DRY_RUN)
            telemetry.count("TeardownsContinued")
        return self._concluded(terraform, report)

    def _concluded(self, terraform: TerraformRequest, report: Report) -> Result:
        report, failure = conclude(terraform, report)
        return Result(report, failure=failure, is_validation=terraform.is_validation)

    def _respond(self, resource: CustomResourceRequest) -> Result:
        """Respond to CloudFormation, unless a later delivery of the request does."""
        from handler.cloudformation.lifecycle import OUT_OF_TIME, Lifecycle  # noqa: PLC0415 - other events need no crhelper

        services, config = self.services, self.services.config
        # The queues hold no relayed request, but an earlier release may have enqueued one.
        is_relayed = self.delivery.message is None and resource.is_relayed(self.context.invoked_function_arn)
        if reason := self._why_no_response(resource):
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
            # Claimed before the event is handed over, so that the timer cannot respond to a request that continues.
            refusal = OUT_OF_TIME
            if lifecycle.claim():
                following, refusal = self._hand_over_teardown(resource, response.report, following, respond_by)
            else:
                following = None
            if following is None:
                return response.as_final(refusal)
            lifecycle.postpone()
            return response

        response = lifecycle.dispatch(lambda: validate(resource, config.limits.of_teardowns), tear_down)
        if following:
            return Result(response.report, following)
        result = responded(response, lifecycle.delivery_error, services.telemetry, is_relayed=is_relayed)
        return self._in_time(resource, replace(result, is_validation=resource.request_type != "Delete"))

    def _why_no_response(self, resource: CustomResourceRequest) -> str:
        """Return why a response would go to another host or would come too late, or an empty string."""
        config = self.services.config
        if not is_allowed_url(resource.response_url, config.url_suffix, config.endpoint_url):
            local = ", or on the host of AWS_ENDPOINT_URL" if config.endpoint_url else ""
            return f"ResponseURL: must be an https URL under {config.url_suffix}{local}"
        return _EXPIRED if self._age(resource) >= MAX_REQUEST_AGE_SECONDS else ""

    def _in_time(self, resource: CustomResourceRequest, result: Result) -> Result:
        """Return the result, without an undelivered response if that of a later delivery would come too late."""
        if not result.delivery_error or self._age(resource) < read_service_timeout(resource.properties):
            return result
        self.services.telemetry.warn(
            f"failed to send the response to CloudFormation, which no longer waits for it: {result.delivery_error}"
        )
        return replace(result, delivery_error="")

    def _tear_down(self, resource: CustomResourceRequest, respond_by: Deadline) -> tuple[Response, Next | None]:
        """Cancel the jobs of a Delete. Returns the response, and what comes before it if there is time for that."""
        planned = plan_deletion(resource, self.services.config.limits.of_teardowns)
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
        response = respond_to_deletion(resource, planned, report, is_paused=self._is_paused)
        following = self._next(report)
        if following is None:
            return response, None
        seconds = RETRY_SECONDS if following.attributes else following.seconds  # the delay of the teardowns' queue
        if not respond_by.allows(seconds + MIN_RUN_SECONDS):
            return response.as_final(), None
        return response, following

    def _hand_over_teardown(
        self, resource: CustomResourceRequest, report: Report, following: Next, respond_by: Deadline
    ) -> tuple[Next | None, str]:
        """Leave the response to a later delivery. Returns what follows, or None and why nothing does in time.

        Each call of SQS has an alternative, so that no single failure makes the response late or decides it. Raises
        EnqueueUnavailable if Lambda redelivers the event in time.
        """
        delivery, invocation = self.delivery, self._until(SEND_RESERVE)
        if following.attributes is None and self._redeliver_after(following.seconds):
            return following, ""
        refusal = "no time left to send the request to its queue"
        if following.attributes or invocation.allows(MAX_QUEUE_CALL_SECONDS):
            attributes = following.attributes or delivery.attributes
            replaced = None if following.attributes else delivery.message
            try:
                self.services.queues.enqueue_teardown(delivery.payload, attributes, resource.identity, replaced)
                return Next(RETRY_SECONDS, attributes), ""
            except EnqueueRefused as error:
                is_retried = delivery.is_retried_by_lambda(resource.signed_at, respond_by)
                if isinstance(error, EnqueueUnavailable) and is_retried and not delivery.message:
                    self._record(Result(report, following))
                    raise
                refusal = str(error)
        soon = min(delivery.retry_seconds, MIN_POLL_SECONDS)
        same_message = Next(soon if respond_by.allows(soon + MIN_RUN_SECONDS) else RETRY_SECONDS)
        can_change = following.attributes and invocation.allows(MAX_QUEUE_CALL_SECONDS)
        if can_change and self._redeliver_after(same_message.seconds):
            return same_message, ""
        if delivery.is_redelivered_by_sqs(self._until(0), respond_by):
            return same_message, ""
        return None, refusal

    def _run(self, request: CancelRequest, deadline: Deadline) -> Report:
        services, delivery = self.services, self.delivery
        gate = Gate(services.rate_limits, deadline, services.uniform, call_seconds=MAX_CALL_SECONDS)
        session = Session(
            services.jobs_api(gate),
            gate,
            services.config.limits,
            services.utc_now,
            delivery.limit_checked,
            delivery.previous_attempts,
            delivery.wait,
            self._is_paused,
            delivery.planned,
        )
        report = run(session, request, self.event.trigger)
        for warning in report.warnings:
            services.telemetry.warn(warning)
        return report

    def _next(self, report: Report) -> Next | None:
        """Return what follows a run. A dry run changes nothing, so a redelivery would come no further."""
        is_dry_run = report.dry_run and not self._is_paused
        return None if is_dry_run else self.delivery.next(report, self.services.now)

    @property
    def _is_paused(self) -> bool:
        """True if an earlier delivery was not a dry run, and the stack's DryRun was set since.

        Then the event stays on its queue until DryRun is false.
        """
        return self.delivery.was_begun and self.services.config.limits.dry_run

    def _until(self, reserve: float) -> Deadline:
        return Deadline.of_invocation(self.context, reserve=reserve, clock=self.services.clock)

    def _respond_by(self, resource: CustomResourceRequest) -> Deadline:
        """Return when CloudFormation must have its response."""
        return Deadline(resource.respond_within_seconds - self._age(resource), self.services.clock)

    def _age(self, resource: CustomResourceRequest) -> float:
        """Return the seconds since CloudFormation signed the request, or since the request was first seen."""
        first_seen_at = self.delivery.first_seen_at
        return self.services.now - min(first_seen_at, resource.signed_at or first_seen_at)
