"""One event, from one end to the other: parse → select → cancel → report → respond."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from .backlog import Backlog
from .config import Config
from .delivery import LEAST_RUN_SECONDS, Delivery
from .errors import BacklogRefused, BacklogUnavailable, RequestRejected, ResponseUndelivered
from .events import Ignored, attribution, is_custom_resource, read_event, trigger_of
from .outcome import Report, RunStatus, Trigger
from .publish import Publisher
from .request import parse_request
from .resource import ResourceRequest, read_resource_request
from .respond import Responder, may_answer
from .run import TEARDOWN_PASSES, JobsApi, Run
from .teardown import Verdict, decide
from .telemetry import Telemetry
from .timing import Clock, Deadline, Pace, Sleep
from .waiting import SHORTEST_LOOK_SECONDS

EVENT_RESERVE = 7.0  # seconds: to put or keep the event on the backlog takes 5 at worst, to tell its report a moment
_LONGEST_ID = 128


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
    """A run that ended.

    `waits`: it has to go on later. `keep_seconds`: it does so by the message that it came with, after so many seconds;
    None: that message has done its part. `problem`: why no answer reached CloudFormation.
    """

    report: Report
    waits: bool = False
    keep_seconds: int | None = None
    problem: str = ""


def handle(event: object, delivery: Delivery, services: Services) -> Ended:
    """Do what `event` asks for, as far as there is time, and report it in the log.

    Bad input is reported as REJECTED, and not raised.
    """
    trigger = trigger_of(event)
    services.telemetry.start(trigger, _correlation_id(event, delivery), delivery.context.aws_request_id)
    try:
        ended = (_tear_down if is_custom_resource(event) else _run_event)(event, delivery, services)
    except RequestRejected as rejection:
        ended = Ended(Report(RunStatus.REJECTED, trigger, reason=str(rejection)))
    except Exception as error:
        services.telemetry.crashed(error)
        raise
    services.telemetry.report(ended.report)
    if not ended.waits:
        return ended
    if not delivery.is_to_be_put(ended.report):
        return replace(ended, keep_seconds=delivery.seconds_until_next(ended.report))
    if not is_custom_resource(event):
        progress = delivery.progress(ended.report, services.now)
        services.backlog.put(event, progress, delivery.seconds_until_next(ended.report))
    elif delivery.number:  # else it has been put before this was told
        _put_teardown(event, ended.report, delivery, services)
    return ended


def conclude(event: object, ended: Ended, delivery: Delivery, services: Services) -> None:
    """Tell the event bus of the run. Nothing hangs on that: what can't be told there is logged.

    Raises ResponseUndelivered, so that the event is delivered again.
    """
    if ended.report.status is not RunStatus.IGNORED:
        deadline = Deadline.of_invocation(delivery.context, reserve=0, clock=services.clock)
        if problem := services.publisher.publish(ended.report, _correlation_id(event, delivery), deadline):
            services.telemetry.warn(f"the report is not on the event bus: {problem}")
            services.telemetry.count("ReportsUnpublished")
    if ended.problem:
        raise ResponseUndelivered(f"no answer reached CloudFormation: {ended.problem}")


def _run_event(event: object, delivery: Delivery, services: Services) -> Ended:
    trigger = trigger_of(event)
    asked = read_event(event, services.config.sweep_request)
    if isinstance(asked, Ignored):
        return Ended(Report(RunStatus.IGNORED, trigger, reason=asked.reason))
    policy = services.config.policy
    if delivery.wait:  # the cancel is done: a prefix that was set since can't undo it
        policy = replace(policy, job_id_prefix="")
    request = parse_request(asked.document, policy, attribution(trigger, asked))
    deadline = Deadline.of_invocation(delivery.context, reserve=EVENT_RESERVE, clock=services.clock)
    report = _run(services, deadline, delivery).carry_out(request, trigger)
    # A dry run changes nothing, so that its next delivery would come no further.
    return Ended(report, waits=report.status is RunStatus.UNFINISHED and not report.dry_run)


def _tear_down(event: object, delivery: Delivery, services: Services) -> Ended:
    """CloudFormation has been answered when this returns, unless the teardown waits."""
    from .custom_resource import WORK_RESERVE, CustomResource  # noqa: PLC0415 - no event has to load crhelper

    resource, config = read_resource_request(event), services.config
    if not may_answer(resource.response_url, config.url_suffix, config.endpoint_url):
        raise RequestRejected("ResponseURL", f"must be an https URL under {config.url_suffix}")
    asked_at = min(delivery.first_seen_at, resource.asked_at or delivery.first_seen_at)
    answer_by = Deadline(resource.answer_within - (services.now - asked_at), services.clock)
    work_until = Deadline.of_invocation(delivery.context, reserve=WORK_RESERVE, clock=services.clock)
    custom_resource = CustomResource(
        resource, services.responder, services.telemetry.count, config.log_group, services.clock
    )
    verdict, problem = custom_resource.answer(
        delivery.context, lambda: _verdict(resource, delivery, services, answer_by, work_until)
    )
    if verdict.waits and not delivery.number:  # later on, the message that there is comes again
        comes_again = delivery.comes_again(resource.asked_at, answer_by)
        if why := _refusal(event, verdict.report, delivery, services, comes_again=comes_again):
            verdict, problem = custom_resource.answer(delivery.context, lambda: verdict.given_up(why))
    if verdict.waits:
        return Ended(verdict.report, waits=True)
    for warning in verdict.warnings:
        services.telemetry.warn(warning)
    if verdict.continued:
        services.telemetry.count("TeardownsContinued")
    return Ended(verdict.report, problem=problem)


def _verdict(
    resource: ResourceRequest, delivery: Delivery, services: Services, answer_by: Deadline, work_until: Deadline
) -> Verdict:
    run = _run(services, min(work_until, answer_by, key=lambda each: each.remaining), delivery)
    verdict = decide(
        resource,
        services.config.policy,
        lambda request: run.carry_out(request, Trigger.TEARDOWN, passes=TEARDOWN_PASSES),
    )
    if verdict.report.status is not RunStatus.UNFINISHED:
        return verdict
    is_to_be_put = delivery.is_to_be_put(verdict.report)
    until_next = SHORTEST_LOOK_SECONDS if is_to_be_put else delivery.seconds_until_next(verdict.report)
    there_is_time = answer_by.allows(until_next + LEAST_RUN_SECONDS)
    return replace(verdict, waits=True) if there_is_time else verdict.given_up()


def _refusal(event: object, report: Report, delivery: Delivery, services: Services, *, comes_again: bool) -> str:
    """Why it is not on its queue, or nothing. Raises BacklogUnavailable if Lambda delivers it again in time."""
    try:
        _put_teardown(event, report, delivery, services)
    except BacklogRefused as refusal:
        if comes_again and isinstance(refusal, BacklogUnavailable):
            raise
        return str(refusal)
    return ""


def _put_teardown(event: object, report: Report, delivery: Delivery, services: Services) -> None:
    identity = read_resource_request(event).identity
    services.backlog.put_teardown(event, delivery.progress(report, services.now), identity)


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
        wait=delivery.wait,
    )


def _correlation_id(event: object, delivery: Delivery) -> str:
    """CloudFormation's RequestId or the event's id, the same for every delivery of one event; or the invocation's."""
    known = event if isinstance(event, Mapping) else {}
    found = known.get("RequestId") or known.get("id")
    is_one = isinstance(found, str) and 0 < len(found) <= _LONGEST_ID
    return str(found) if is_one else delivery.context.aws_request_id
