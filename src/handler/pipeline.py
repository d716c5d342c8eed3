"""One event, from one end to the other: parse → select → cancel → report → respond."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from .backlog import Backlog
from .config import Config
from .delivery import LEAST_RUN_SECONDS, Delivery, Next
from .errors import BacklogRefused, BacklogUnavailable, RequestRejected
from .event import Event, Rejected
from .events import Asked, Ignored, attribution
from .outcome import Report, RunStatus, Trigger
from .publish import Publisher
from .request import parse_request
from .resource import ResourceRequest
from .respond import Responder, may_answer
from .run import TEARDOWN_PASSES, JobsApi, Run
from .teardown import Verdict, judge, plan, validate
from .telemetry import Telemetry
from .timing import Clock, Deadline, LambdaContext, Pace, Sleep
from .waiting import SHORTEST_LOOK_SECONDS

# Seconds that are left when the invocation ends.
EVENT_RESERVE = 7.0  # after a run: to enqueue the event takes 5 at worst, to publish its report a moment
WORK_RESERVE = 12.0  # after a teardown's run: to enqueue it takes 5 at worst, and then the timer still has time
SEND_RESERVE = 1.0  # after the response to CloudFormation


@dataclass(frozen=True, slots=True)
class Services:
    """All that the function works with: made once for each container, or by a test. `utc_now` is timezone-aware."""

    config: Config
    api: JobsApi
    backlog: Backlog
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
class Ended:
    """A run that ended. `next`: what is left to do comes again. `problem`: why no answer reached CloudFormation."""

    report: Report
    next: Next | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event in one delivery of it, and the time there is."""

    event: Event
    delivery: Delivery
    context: LambdaContext
    services: Services

    def handle(self) -> Ended:
        """Do what the event asks for, as far as there is time, and report it in the log."""
        try:
            match self.event.asks:
                case Ignored(reason):
                    ended = Ended(Report(RunStatus.IGNORED, self.event.trigger, reason=reason))
                case Rejected(reason):
                    ended = self._rejected(reason)
                case Asked() as asked:
                    ended = self._cancel(asked)
                case ResourceRequest() as resource:
                    ended = self._respond(resource)
        except RequestRejected as rejection:
            ended = self._rejected(str(rejection))
        except Exception as error:
            self.services.telemetry.crashed(error)
            raise
        self.services.telemetry.report(ended.report)
        if ended.next and ended.next.put and not isinstance(self.event.asks, ResourceRequest):
            self.services.backlog.put(self.delivery.payload, ended.next.put, ended.next.seconds)
        return ended

    def _rejected(self, reason: str) -> Ended:
        """What was begun is not lost: it comes again, until it ends in the failure queue."""
        was_begun = self.delivery.progress.admitted and not isinstance(self.event.asks, ResourceRequest)
        again = Next(self.delivery.retry_seconds) if was_begun else None
        return Ended(Report(RunStatus.REJECTED, self.event.trigger, reason=reason), again)

    def _cancel(self, asked: Asked) -> Ended:
        policy = self.services.config.policy
        if self.delivery.progress.wait:  # the cancel is done: a prefix that was set since can't undo it
            policy = replace(policy, job_id_prefix="")
        request = parse_request(asked.document, policy, attribution(self.event.trigger, asked))
        report = self._run(self._until(EVENT_RESERVE)).carry_out(request, self.event.trigger)
        # A dry run changes nothing, so that its next delivery would come no further.
        return Ended(report, None if report.dry_run else self.delivery.next(report, self.services.now))

    def _respond(self, resource: ResourceRequest) -> Ended:
        """Respond to CloudFormation, unless a later delivery of the request does."""
        from .custom_resource import OUT_OF_TIME, Lifecycle  # noqa: PLC0415 - other events need not load crhelper

        services, config = self.services, self.services.config
        if not may_answer(resource.response_url, config.url_suffix, config.endpoint_url):
            raise RequestRejected("ResponseURL", f"must be an https URL under {config.url_suffix}")
        lifecycle = Lifecycle(
            resource,
            self.context,
            lambda body: services.responder.deliver(resource.response_url, body, self._until(SEND_RESERVE)),
            services.telemetry.count,
            config.log_group,
        )
        following: Next | None = None

        def tear_down() -> Verdict:
            nonlocal following
            respond_by = self._respond_by(resource)
            verdict, following = self._delete(resource, respond_by)
            if following is None:
                return verdict
            if not lifecycle.claim():
                why_not = OUT_OF_TIME
            elif not (why_not := self._enqueue_teardown(resource, following, respond_by)):
                lifecycle.postpone()
                return verdict
            following = None
            return verdict.given_up(why_not)

        verdict = lifecycle.dispatch(lambda: validate(resource, config.policy), tear_down)
        if following:
            return Ended(verdict.report, following)
        for warning in verdict.warnings:
            services.telemetry.warn(warning)
        if verdict.continued:
            services.telemetry.count("TeardownsContinued")
        return Ended(verdict.report, problem=lifecycle.problem)

    def _delete(self, resource: ResourceRequest, respond_by: Deadline) -> tuple[Verdict, Next | None]:
        """Cancel the resource's jobs. Returns the verdict, and what follows before it if there is time for that."""
        planned = plan(resource, self.services.config.policy)
        if isinstance(planned, Verdict):
            return planned, None
        run = self._run(min(self._until(WORK_RESERVE), respond_by, key=lambda each: each.remaining))
        request = planned.request
        try:
            report = run.carry_out(request, Trigger.TEARDOWN, passes=TEARDOWN_PASSES)
        except RequestRejected as rejection:
            report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, request.force, request.dry_run, str(rejection))
        verdict, following = judge(resource, planned, report), self.delivery.next(report, self.services.now)
        if following is None:
            return verdict, None
        seconds = SHORTEST_LOOK_SECONDS if following.put else following.seconds  # the delay of the teardowns' queue
        return (verdict, following) if respond_by.allows(seconds + LEAST_RUN_SECONDS) else (verdict.given_up(), None)

    def _enqueue_teardown(self, resource: ResourceRequest, following: Next, respond_by: Deadline) -> str:
        """Send the request to the teardowns' queue. Returns why the queue refuses it, or an empty string.

        Raises BacklogUnavailable if the request is redelivered in time.
        """
        if following.put is None:
            return ""
        try:
            self.services.backlog.put_teardown(self.delivery.payload, following.put, resource.identity)
        except BacklogRefused as refusal:
            may_pass = isinstance(refusal, BacklogUnavailable) and self.delivery.comes_again(
                resource.asked_at, respond_by
            )
            if self.delivery.message or may_pass:
                raise
            return str(refusal)
        return ""

    def _respond_by(self, resource: ResourceRequest) -> Deadline:
        """When CloudFormation must have its response, counted from when it signed the request."""
        first_seen_at = self.delivery.first_seen_at
        asked_at = min(first_seen_at, resource.asked_at or first_seen_at)
        return Deadline(resource.answer_within - (self.services.now - asked_at), self.services.clock)

    def _until(self, reserve: float) -> Deadline:
        return Deadline.of_invocation(self.context, reserve=reserve, clock=self.services.clock)

    def _run(self, deadline: Deadline) -> Run:
        services, progress = self.services, self.delivery.progress
        pace = Pace(services.config.cancels_per_second, services.clock, services.sleep)
        return Run(
            services.api, services.config.policy, pace, deadline, services.sleep, services.utc_now,
            progress.admitted, self.delivery.number, progress.wait,
        )  # fmt: skip
