"""An account, and what may happen to the function in it: the world of tests/properties/test_account.py.

The model is small: which jobs an event means, and what the stack's parameters leave of it, by literal rules. The
function is the real one; each of its invocations gets adapters of its own, so that every effect is known by the run
that had it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast, override

import urllib3
from botocore.exceptions import ClientError

from handler.app import lambda_handler
from handler.aws.eventbridge import Publisher
from handler.aws.sqs import Queues
from handler.cancellation.job import Job, JobStatus, JobSummary
from handler.cancellation.rate import Gate, LambdaContext
from handler.cancellation.report import Report, RunStatus, Trigger
from handler.cancellation.request import StackLimits
from handler.cloudformation.response import Responder
from handler.config import Config
from handler.errors import ExecutionEnded
from handler.pipeline import Services
from tests.conftest import Log
from tests.support.bus import FakeBus
from tests.support.fakes import FakeBacklog, FakeClock, FakeJob, FakeJobs, FakeMessage, not_found, throttled

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_sqs import SQSClient

    from handler.telemetry import Telemetry

SECRET = "s3cr3t"
GROUP = "arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet-a"
STACK_UUID = "5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f"
STACK_ID = f"arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/{STACK_UUID}"
STACK_TAG = "iot-job-canceler:stack-id"
LIVE = {"IN_PROGRESS", "SCHEDULED"}
SWEEP = {"jobIdGlob": "ota-*", "olderThanHours": 168}
RETRIES_AFTER = (60.0, 120.0)  # Lambda delivers an asynchronous event again after so many seconds
BEGINS_ANEW_AFTER = 43_200.0  # seconds: what is older was redriven by hand
OLDEST_EVENT = 21_600.0  # of an asynchronous event, MaximumEventAgeInSeconds
FAULTS = ("unavailable", "lost", "defect", "crash before", "crash after", "hang", "outage")
totals: Counter[str] = Counter()


class Killed(BaseException):
    """SIGKILL: no handler code does anything any more."""


@dataclass(eq=False)
class Ask:
    """An event, what it asks for in the model's words, and what became of it. Times are those of the clock.

    `job_ids` or `select` say which jobs; neither of them means none. `is_bad`: to be rejected, whatever the stack says.
    """

    event: dict[str, Any]
    kind: str = "request"
    job_ids: tuple[str, ...] = ()
    select: dict[str, Any] | None = None
    force: bool | None = None
    dry_run: bool | None = None
    max_jobs: int | None = None
    wait: int = 0
    is_bad: bool = False
    continues: bool = False
    timeout: float = 3600.0
    asked_at: float = 0.0
    url: str = ""
    effects: int = 0
    given_up: bool = False
    was_disturbed: bool = False
    last: Report | None = None
    cancelled: dict[str, FakeJob] = field(default_factory=dict)
    answers: list["Answer"] = field(default_factory=list)

    @property
    def is_teardown(self) -> bool:
        return bool(self.url)

    def is_forced(self, policy: StackLimits) -> bool:
        return policy.force and self.force is not False

    def is_dry(self, policy: StackLimits) -> bool:
        return policy.dry_run or self.dry_run is True

    def cap(self, policy: StackLimits) -> int:
        return min(policy.max_jobs, self.max_jobs or policy.max_jobs)

    def must_be_rejected(self, policy: StackLimits) -> bool:
        """True if no state of the account can make the event a sound one: as it asks for more than the stack allows."""
        head = (self.select or {}).get("jobIdGlob", "*").partition("*")[0]
        return self.is_bad or any((
            self.force is True and not policy.force,
            self.dry_run is False and policy.dry_run,
            (self.max_jobs or 0) > policy.max_jobs,
            len(self.job_ids) > self.cap(policy),
            not all(job_id.startswith(policy.job_id_prefix) for job_id in self.job_ids),
            not head.startswith(policy.job_id_prefix) and not policy.job_id_prefix.startswith(head),
        ))  # fmt: skip

    def means(self, job_id: str, job: FakeJob, age: timedelta, prefix: str) -> bool:
        """True if the event asks for this job, whatever its status."""
        if self.select is None:
            return job_id in self.job_ids
        return (
            fnmatchcase(job_id, self.select.get("jobIdGlob", "*"))
            and job_id.startswith(prefix)
            and job.target_selection in self.select.get("targetSelection", ["SNAPSHOT"])
            and self.select.get("tags", {}).items() <= job.tags.items()
            and ("thingGroupName" not in self.select or GROUP in job.targets)
            and age > timedelta(hours=self.select.get("olderThanHours", 0))
            and not job_id.startswith("AFR_OTA-")
            and job.namespace != "aws-gg-deployment"
        )


@dataclass(frozen=True)
class Answer:
    """What CloudFormation was told: when, and at which version of the world.

    `counts`: by a run that began in time, and that nothing disturbed.
    """

    at: float
    version: int
    counts: bool
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Effect:
    """What a run really did to a job: CancelJob, or CancelJobExecution where `thing` is one."""

    job_id: str
    job: FakeJob
    force: bool
    thing: str = ""
    was_cancelled_with: tuple[str | None, str | None] = (None, None)


type Plan = Mapping[int, tuple[str, int]]


class Account:
    """The jobs, the queues, CloudFormation, Lambda's asynchronous queue, and the operator's parameters.

    `version` counts what may change an answer: all but the runs of one event that go well.
    """

    def __init__(self, log: Log) -> None:
        self.log = log
        self.clock = FakeClock()
        self.jobs = Jobs(clock=self.clock)
        self.jobs.denied_tag = "cancel-protection"
        self.queue = Queue(self.clock)
        self.policy = StackLimits(False, False, 100, "", "cancel-protection")
        self.seconds = 300.0
        self.asks: list[Ask] = []
        self.retries: list[tuple[float, int, float, Ask]] = []  # due, attempts so far, first delivered, event
        self.status_of_message: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.chains: dict[str, dict[str, FakeJob]] = {}  # what was cancelled by the runs that led to a message
        self.born: dict[str, int] = {}  # the version of the world when a message was sent

        self.in_flight: list[str] = []
        self.nested = 0
        self.is_calm = False
        self.version = 0
        self.effects = 0
        self.meanwhile: list[Callable[[int], None]] = []
        self.violations: list[str] = []
        self.forget_log()

    def forget_log(self) -> None:
        """What was logged up to here."""
        self.log.stream.seek(0)
        self.log.stream.truncate()

    def live(self) -> dict[str, FakeJob]:
        return {job_id: job for job_id, job in self.jobs.jobs.items() if job.status in LIVE}

    def age(self, job: FakeJob) -> timedelta:
        return self.clock.utc_now() - job.created_at

    def check(self, holds: object, promise: str) -> None:
        """Kept too, since what is raised within a run may be caught by it."""
        if not holds:
            self.violations.append(promise)
            raise AssertionError(promise)

    # Deliveries

    def deliver(self, ask: Ask, plan: Plan, attempts: int = 0, first: float | None = None) -> None:
        """Lambda invokes the function with an asynchronous event, and again later if that fails."""
        first = self.clock() if first is None else first
        run = Run(self, ask, plan)
        self._invoke(run, ask.event)
        if run.ended == "returned":
            return
        if attempts < len(RETRIES_AFTER):
            self.retries.append((self.clock() + RETRIES_AFTER[attempts], attempts + 1, first, ask))
        else:
            ask.given_up = True

    def retry(self, index: int, plan: Plan) -> None:
        """The next attempt of an asynchronous event that failed."""
        due, attempts, first, ask = self.retries.pop(index)
        self.clock.now = max(self.clock.now, due)
        if self.clock() - first > OLDEST_EVENT:
            ask.given_up = True
        else:
            self.deliver(ask, plan, attempts, first)

    def receive(self, message: FakeMessage, plan: Plan, *, late: bool = False) -> None:
        """SQS hands a message to the function; `late`: only once its lease has ended."""
        ask = self.ask_of(message)
        self.in_flight.append(message.group)

        def handle(event: object) -> Any:
            self.queue.chosen = None
            if late:
                self.clock.now += self.queue.lease + 1
                ask.was_disturbed = True
            run = Run(self, ask, plan, message)
            answer = self._invoke(run, event)
            if run.ended != "returned":
                return {"batchItemFailures": [{"itemIdentifier": message.message_id}]}
            if late:
                self.check(run.calls == 1, "a run whose lease had ended did something")
            return answer

        self.queue.chosen = message
        self.queue.deliver(handle)
        self.queue.chosen = None
        self.in_flight.remove(message.group)

    def receive_copy(self, record: object, ask: Ask) -> None:
        """SQS delivers a message that it has handed out before once more, by a lease that has ended."""
        run = Run(self, ask, {})
        self._invoke(run, record)
        self.check(run.calls == 1, "a run whose lease had ended did something")

    def ask_of(self, message: FakeMessage) -> Ask:
        body = json.loads(message.body)
        return next(ask for ask in self.asks if ask.event == body)

    def due(self) -> list[FakeMessage]:
        """Messages that can be received now or later."""
        ready = self.queue._next_of_each_group()
        busy = [each for each in self.in_flight if each]
        return [each for each in ready if each.group not in busy and not self.queue.is_leased(each)]

    def _invoke(self, run: "Run", event: object) -> Any:
        totals["deliveries"] += 1
        answer: Any = None
        try:
            with redirect_stdout(self.log.stream):
                answer = lambda_handler(event, run.context, run.services)
            run.ended = "returned"
        except Killed:
            run.ended = "killed"
            totals["crashes"] += 1
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - right only if something had failed
            run.ended = "raised"
            if not run.faults:
                self.violations.append(f"the function raised {error!r}, though nothing had failed")
        assert self.violations == []
        run.judge(answer)
        return answer

    # What passes by itself

    def pass_time(self, seconds: float, *, promptly: bool) -> None:
        """So many seconds; queues are polled meanwhile, or not."""
        target = self.clock() + seconds
        if promptly:
            self._deliver_until(target)
        else:
            self.hold_up()
        self.clock.now = max(self.clock.now, target)

    def hold_up(self) -> None:
        """What is to be answered yet may be answered late."""
        for ask in self.asks:
            ask.was_disturbed = ask.was_disturbed or not ask.answers

    def drain(self) -> None:
        """Deliver all that there is, without faults."""
        self._deliver_until(float("inf"))

    def _deliver_until(self, target: float) -> None:
        while True:
            messages, retries = self.due(), sorted(range(len(self.retries)), key=lambda each: self.retries[each][0])
            message = min(messages, key=lambda each: each.visible_at, default=None)
            retry_at = self.retries[retries[0]][0] if retries else float("inf")
            message_at = message.visible_at if message else float("inf")
            if min(retry_at, message_at) > target or (message is None and not retries):
                return
            if message and message_at <= retry_at:
                self.receive(message, {})
            else:
                self.retry(retries[0], {})


class Jobs(FakeJobs):
    """With a service that does not look at a job's tags when an execution is cancelled: AWS does not say."""

    @override
    def cancel_execution(self, job_id: str, thing_name: str) -> None:
        job = self._called("CancelJobExecution", job_id)
        if thing_name not in job.executions:
            raise not_found()
        if job.executions[thing_name] not in {"QUEUED", "IN_PROGRESS"}:
            raise ExecutionEnded("InvalidStateTransitionException", "the execution has ended")
        job.executions[thing_name] = "CANCELED"


class Queue(FakeBacklog):
    """Hands out the message that is chosen. Keeps the records of messages, for those that come again."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.chosen: FakeMessage | None = None
        self.records: list[tuple[str, dict[str, Any]]] = []
        self._leased: list[str] = []

    @override
    def deliver(self, handle: Callable[[object], Any]) -> Any:
        message = self.chosen
        assert message
        self._leased.append(message.message_id)
        try:
            return super().deliver(handle)
        finally:
            self._leased.remove(message.message_id)

    def is_leased(self, message: FakeMessage) -> bool:
        """True while a run that is not over has the message, be its lease over or not."""
        return message.message_id in self._leased

    @override
    def _next_of_each_group(self) -> list[FakeMessage]:
        return [self.chosen] if self.chosen else super()._next_of_each_group()

    @override
    def event_of(self, message: FakeMessage) -> dict[str, Any]:
        record = super().event_of(message)
        self.records.append((message.message_id, record))
        return record


class Context:
    """Lambda's, for a run; the timer of a teardown finds its run here."""

    aws_request_id = "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11"

    def __init__(self, run: "Run") -> None:
        self.run = run

    def get_remaining_time_in_millis(self) -> int:
        return round((self.run.end - self.run.account.clock()) * 1000)


class FakeTimer:
    """threading.Timer by the account's clock: it fires when a run lets time pass."""

    def __init__(self, seconds: float, function: Callable[[], None]) -> None:
        run = cast("Any", function).__self__._context.run
        self.ident: int | None = None
        self.daemon = False
        self.at = run.account.clock() + seconds
        self._function = function
        self._run = run

    def start(self) -> None:
        self.ident = 1
        self._run.timer = self
        self._run.began_late = bool(self._run.faults)

    def cancel(self) -> None:
        self._run.timer = None

    def join(self) -> None:
        """It runs in no thread of its own."""

    def fire(self) -> None:
        self._run.timer = None
        self._function()


class Run:
    """One invocation: all that it calls passes here, where the plan says at which call what goes wrong."""

    def __init__(self, account: Account, ask: Ask, plan: Plan, message: FakeMessage | None = None) -> None:
        self.account = account
        self.ask = ask
        self.message = message
        self.policy = account.policy
        self.calls = 0
        self.effects: list[Effect] = []
        self.report: Report | None = None
        self.faults: list[str] = []
        self.ended = ""
        self.timer: FakeTimer | None = None
        self.bus = FakeBus()
        self.began = account.clock()
        self.end = self.began + account.seconds
        self.is_disturbed = False
        self.began_late = False  # something had hung before its timer was set
        attributes = self._progress()
        self.waits_for = attributes.get("WaitsFor", "").split(",")
        self.is_admitted = "Admitted" in attributes
        self.read_live = set(account.jobs._stale)
        self.chain = account.chains.setdefault(message.message_id, {}) if message else {}
        self.meant = {name: job for name, job in account.live().items() if self._means(name, job)}
        self._plan = {} if account.is_calm else dict(plan)
        self._is_dead = False
        self._is_offline = False
        self._is_sending = False
        self.has_answered = False
        self.context: LambdaContext = Context(self)
        self.services = self._services()

    def _progress(self) -> dict[str, str]:
        """What the message tells of earlier runs: nothing, once it is so old that the event begins anew."""
        attributes = self.message.attributes if self.message else {}
        told = {name: each["StringValue"] for name, each in attributes.items()}
        first_seen_at = float(told.get("FirstSeenAt", "inf"))
        return {} if self.account.clock.utc_now().timestamp() - first_seen_at >= BEGINS_ANEW_AFTER else told

    def _means(self, job_id: str, job: FakeJob) -> bool:
        return self.ask.means(job_id, job, self.account.age(job), self.policy.job_id_prefix)

    def _services(self) -> Services:
        account = self.account
        settings = Config(
            limits=self.policy,
            cancels_per_second=8,
            sweep_job_id_glob="ota-*",
            sweep_older_than_hours=168,
            backlog_queue_url=account.queue.url,
            teardown_queue_url=account.queue.teardown_url,
            event_bus_name="operations",
            url_suffix="amazonaws.com",
            log_group="/aws/lambda/canceler",
            endpoint_url=None,
        )
        queues = Queues(lambda: cast("SQSClient", Sqs(self)), settings.backlog_queue_url, settings.teardown_queue_url)
        responder = Responder(cast("urllib3.PoolManager", Http(self)), self.sleep, lambda _least, most: most)
        telemetry = cast("Telemetry", Told(self))
        clock = account.clock
        bus = Publisher(cast("EventBridgeClient", Events(self)), FakeBus.name)
        return Services(
            settings, lambda gate: Api(self, gate), queues, bus, responder, telemetry, clock, self.sleep, clock.utc_now
        )

    # Calls

    def call[Result](self, act: Callable[[], Result], unavailable: Callable[[], Exception]) -> Result:
        """One call that leaves the function."""
        self._check_alive()
        self.calls += 1
        if self.message and self.calls > 1:
            self.account.check(self.account.clock() <= self.message.visible_at, "the lease ended while the run worked")
        trouble, number = self._plan.pop(self.calls, ("", 0))
        if trouble in FAULTS:
            self.faults.append(trouble)
            totals["faults"] += 1
            self.account.version += 1
            self.ask.was_disturbed = True
        self._begin(trouble, number)
        if self._is_offline or trouble == "unavailable":
            raise unavailable()
        result = act()
        self._pass(0)
        if trouble == "crash after":
            self._die()
        if trouble == "lost":
            raise unavailable()
        return result

    def _begin(self, trouble: str, number: int) -> None:
        """What the plan has for a call, before it acts."""
        match trouble:
            case "outage":  # until the end of this run
                self._is_offline = True
            case "defect":
                raise RuntimeError(f"no such thing as {self.ask.url}")
            case "crash before":
                self._die()
            case "hang":
                # Lambda ends it, or the call comes back when the timer has answered. No queue is polled meanwhile.
                self.account.hold_up()
                self._pass(400 if number % 2 else self.end - self.account.clock() - 3)
            case "meanwhile":
                self._meanwhile(number)

    def send[Result](self, act: Callable[[], Result], unavailable: Callable[[], Exception]) -> Result:
        """An answer, which whoever else would answer leaves alone."""
        self._is_sending = True
        return self.call(act, unavailable)

    @property
    def version(self) -> int:
        """That of the world for this event: its own effects do not count."""
        return self.account.version + self.account.effects - self.ask.effects

    def sleep(self, seconds: float) -> None:
        self._check_alive()
        self.account.clock.sleep(seconds)
        self._pass(0)

    def _pass(self, seconds: float) -> None:
        """Time; the timer fires when it is due, and Lambda ends what lasts too long."""
        clock = self.account.clock
        target = clock() + seconds
        if self.timer and self.timer.at <= target:
            clock.now = self.timer.at  # it has a thread of its own, and so is on time
            self.timer.fire()
            in_the_way = self._is_sending or self._is_offline or self.began_late or self.faults[:-1]
            self.account.check(self.has_answered or in_the_way, "the timer did not answer")
        clock.now = max(clock.now, target)
        if clock.now >= self.end:
            self._die()

    def _meanwhile(self, number: int) -> None:
        """Something else happens between two calls, another run perhaps. Its effects are its own."""
        account = self.account
        if account.nested or not account.meanwhile:
            return
        account.nested += 1
        self.is_disturbed = True
        account.version += 1
        for ask in account.asks:
            ask.was_disturbed = True
        try:
            with ThreadPoolExecutor(1) as elsewhere:  # where no exception is being handled, as in a process of its own
                elsewhere.submit(account.meanwhile[number % len(account.meanwhile)], number).result()
        finally:
            account.nested -= 1
        self._pass(0)

    def _die(self) -> None:
        self._is_dead = True
        self.account.version += 1
        self.ask.was_disturbed = True
        raise Killed

    def _check_alive(self) -> None:
        if self._is_dead:
            raise Killed

    # Judging

    def judge(self, answer: Any) -> None:
        """Hold what the run did against the promises."""
        account, ask, policy = self.account, self.ask, self.policy
        check = account.check
        text = account.log.text
        account.forget_log()
        check(SECRET not in text, f"a secret in the log: {text}")
        for effect in self.effects:
            self._judge_effect(effect)
        cancels = [effect.job_id for effect in self.effects if not effect.thing]
        check(len(cancels) == len(set(cancels)), "a run cancelled a job twice")
        if self.message is None or not self.is_admitted:
            check(len(cancels) <= ask.cap(policy), f"{len(cancels)} cancels are more than the cap")
            if ask.select is not None and len(self.meant) > ask.cap(policy) and not self.is_disturbed:
                check(not cancels, "a selection over the cap, and yet a job of it was cancelled")
        account.effects += len(self.effects)
        ask.effects += len(self.effects)
        ask.cancelled |= {effect.job_id: effect.job for effect in self.effects if not effect.thing}
        if self.report is not None:
            self._judge_report(self.report)
        if self.ended == "returned" and self.message is None and isinstance(answer, dict) and "status" in answer:
            check(self.report is not None, "a run ended without a report")
        self._judge_told()

    def _judge_told(self) -> None:
        """The bus is told what the log is told, once, or nothing if something was in the way."""
        told = [detail["status"] for detail in self.bus.details]
        is_silent = self.report is None or self.report.status is RunStatus.IGNORED
        expected = [] if is_silent or self.report is None else [self.report.status.value]
        is_sure = self.ended == "returned" and not self.faults and not self.is_disturbed
        self.account.check(told == expected or (not is_sure and told == []), f"told {told} and not {expected}")

    def _judge_effect(self, effect: Effect) -> None:
        account, ask, policy, job = self.account, self.ask, self.policy, effect.job
        check, what = account.check, f"{effect} by {ask.kind} {ask.event}"
        protected = any(key.lower() == "cancel-protection" and tag.lower() == "true" for key, tag in job.tags.items())
        check(not protected, f"a protected job was touched: {what}")
        check(effect.job_id.startswith(policy.job_id_prefix), f"outside of the prefix: {what}")
        check(not ask.is_dry(policy), f"in a dry run: {what}")
        check(ask.is_forced(policy) or not effect.force, f"force without leave: {what}")
        check(ask.kind not in {"Create", "Update"}, f"before the deletion: {what}")
        check(ask.is_teardown or not self._must_be_rejected(), f"a request that is to be rejected: {what}")
        check(ask.means(effect.job_id, job, account.age(job), ""), f"nobody asked for this: {what}")
        if effect.thing and ask.select is not None:
            ours = ask.cancelled.get(effect.job_id) is job or self.meant.get(effect.job_id) is job
            ours = ours or effect.job_id in self.read_live  # so it was found by the selection
            check(ours or effect.was_cancelled_with == cancelled_with(ask), f"not cancelled by this request: {what}")

    def _must_be_rejected(self) -> bool:
        """A wait has been admitted: a prefix that was set since does not undo its cancel."""
        is_look = any(self.waits_for)
        return self.ask.must_be_rejected(replace(self.policy, job_id_prefix="") if is_look else self.policy)

    def _judge_report(self, report: Report) -> None:
        account, ask = self.account, self.ask
        check, status = account.check, report.status.value
        what = f"{report} for {ask.kind} {ask.event}"
        if self.message:
            account.status_of_message[self.message.message_id] = status
        if status == "REJECTED":
            check(not self.effects, f"rejected, and yet {self.effects}: {what}")
        if not ask.is_teardown and status != "IGNORED":
            must = self._must_be_rejected()
            check(not must or status == "REJECTED", f"not rejected: {what}")
            check(must or ask.select is not None or status != "REJECTED", f"rejected without a reason: {what}")
        told = [result.job_id for result in report.jobs]
        check(len(told) == len(set(told)), f"a job has two outcomes: {what}")
        if ask.job_ids and status != "REJECTED" and not any(self.waits_for) and ask.kind not in {"Create", "Update"}:
            check(sorted(told) == sorted(set(ask.job_ids)), f"a job without an outcome: {what}")
        for result in report.jobs:
            if result.outcome.value == "CANCELED":
                check(result.job_id in {each.job_id for each in self.effects}, f"nothing was cancelled: {what}")
        if status == "SETTLED" or (status == "UNSETTLED" and not ask.is_teardown):
            self._judge_settled(report, what)

    def _judge_settled(self, report: Report, what: str) -> None:
        """What is called settled has ended, and what is not is protected or out of reach."""
        if self.ask.is_dry(self.policy) or self.ask.kind in {"Create", "Update"}:
            return
        looked_at = set(self.waits_for) if any(self.waits_for) else set(self.meant)
        for job_id, job in self.meant.items():
            if job_id in looked_at and self.account.jobs.jobs.get(job_id) is job and job.status in LIVE:
                kept = is_protected(job) or not job_id.startswith(self.policy.job_id_prefix)
                kept = kept or self._is_another_by_now(job_id, job)
                self.account.check(kept, f"{job_id} is live: {what}")
                self.account.check(report.status.value == "UNSETTLED", f"{job_id} is live and called settled: {what}")

    def _is_another_by_now(self, job_id: str, job: FakeJob) -> bool:
        """True if a selection's wait has found another job by the id: it cancels none then, and says so."""
        is_look = any(self.waits_for) and self.ask.select is not None
        known = (self.chain.get(job_id), self.ask.cancelled.get(job_id))
        return is_look and all(job is not each for each in known)

    def judge_answer(self, body: Mapping[str, Any]) -> None:
        """What CloudFormation is told is right, and comes in time if nothing was in the way."""
        account, ask = self.account, self.ask
        check, what = account.check, f"{body} for {ask.event}"
        check(body["RequestId"] == ask.event["RequestId"], what)
        check(body["StackId"] == STACK_ID, what)
        check(body["LogicalResourceId"] == "Teardown", what)
        check(body["PhysicalResourceId"] == physical_id(ask, body["Status"]), what)
        check((body["Status"] == "SUCCESS") or body["Reason"], f"failed without a reason: {what}")
        check(not self.has_answered or "lost" in self.faults, f"answered twice by one run: {what}")
        self.has_answered = True
        now = account.clock()
        counts = self.began < ask.asked_at + ask.timeout - 120 and not self.faults and not self.is_disturbed
        counts = counts and not self.read_live  # a cancel of an earlier run could not be seen yet
        if not ask.answers and not ask.was_disturbed:
            check(now <= ask.asked_at + ask.timeout, f"too late by {now - ask.asked_at - ask.timeout}: {what}")
        version = self.version
        counts = counts and (not self.message or account.born.get(self.message.message_id) == version)
        ask.answers.append(Answer(now, version, counts, body))
        if ask.kind != "Delete" or body["Status"] != "SUCCESS" or ask.continues or ask.is_dry(self.policy):
            return
        waited_for = ask.cancelled | self.chain
        if ask.select is None:
            waited_for = {job_id: job for job_id, job in account.jobs.jobs.items() if job_id in ask.job_ids}
            if self.is_disturbed:  # one may have been created between the decision and the answer
                waited_for = {job_id: job for job_id, job in waited_for.items() if ask.cancelled.get(job_id) is job}
            kept = [job_id for job_id, job in waited_for.items() if job.status in LIVE]
            check(not kept or self.is_disturbed, f"{kept} live on: {what}")
        for job_id, job in waited_for.items() if ask.wait else ():
            is_there = account.jobs.jobs.get(job_id) is job and job_id.startswith(self.policy.job_id_prefix)
            is_there = is_there and job.status != "DELETION_IN_PROGRESS"  # which counts as gone

            check(not is_there or "IN_PROGRESS" not in job.executions.values(), f"{job_id} still runs: {what}")


def is_protected(job: FakeJob) -> bool:
    return any(key.lower() == "cancel-protection" and tag.lower() == "true" for key, tag in job.tags.items())


def cancelled_with(ask: Ask) -> tuple[str, str]:
    properties = ask.event.get("ResourceProperties", {})
    return properties.get("ReasonCode", "STACK_TEARDOWN"), properties.get(
        "Comment", f"Teardown was deleted in {STACK_ID}"
    )


def physical_id(ask: Ask, status: str) -> str:
    known: str | None = ask.event.get("PhysicalResourceId")
    if ask.kind == "Delete":
        assert known
        return known
    if status == "FAILED":
        return known or f"failed-create:{STACK_UUID}/Teardown"
    properties = ask.event["ResourceProperties"]
    job_id: str = properties.get("JobId", f"select:{STACK_UUID}/Teardown")
    return job_id


class Told:
    """A Telemetry of one run, which keeps the run's report."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._telemetry = run.account.log.telemetry

    def start(self, trigger: Trigger, correlation_id: str, invocation_id: str) -> None:
        self._telemetry.start(trigger, correlation_id, invocation_id)

    def warn(self, message: str) -> None:
        self._telemetry.warn(message)

    def count(self, metric: str) -> None:
        self._telemetry.count(metric)

    def crashed(self, error: Exception) -> None:
        self._telemetry.crashed(error)

    def report(self, report: Report) -> None:
        self._run.account.check(self._run.report is None, "two reports of one run")
        self._run.report = self._run.ask.last = report
        self._telemetry.report(report)


class Api:
    """The IoT Jobs API of one run."""

    def __init__(self, run: Run, gate: Gate) -> None:
        self._run = run
        self._jobs = run.account.jobs.behind(gate)

    def cancel(self, job_id: str, *, force: bool, reason_code: str, comment: str) -> None:
        def act() -> None:
            self._jobs.cancel(job_id, force=force, reason_code=reason_code, comment=comment)
            job = self._jobs.jobs[job_id]
            self._run.effects.append(Effect(job_id, job, force))
            self._run.chain[job_id] = job

        self._run.call(act, throttled)

    def describe(self, job_id: str) -> Job:
        return self._run.call(lambda: self._jobs.describe(job_id), throttled)

    def tags(self, arn: str) -> Mapping[str, str]:
        return self._run.call(lambda: self._jobs.tags(arn), throttled)

    def list_jobs(self, status: JobStatus, namespace: str | None = None) -> Iterator[JobSummary]:
        yield from self._run.call(lambda: list(self._jobs.list_jobs(status, namespace)), throttled)

    def running_things(self, job_id: str) -> Iterator[str]:
        yield from self._run.call(lambda: list(self._jobs.running_things(job_id)), throttled)

    def cancel_execution(self, job_id: str, thing_name: str) -> None:
        def act() -> None:
            self._jobs.cancel_execution(job_id, thing_name)
            job = self._jobs.jobs[job_id]
            self._run.effects.append(Effect(job_id, job, True, thing_name, (job.reason_code, job.comment)))

        self._run.call(act, throttled)


class Sqs:
    """SQS of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._queue = run.account.queue

    def send_message(self, **parameters: Any) -> None:
        def act() -> None:
            before = {message.message_id for message in self._queue.messages}
            self._queue.send_message(**parameters)
            for message in self._queue.messages:
                if message.message_id not in before:
                    self._run.account.chains[message.message_id] = self._run.chain
                    self._run.account.born[message.message_id] = self._run.version
            if group := parameters.get("MessageGroupId"):
                account, request_id = self._run.account, self._run.ask.event["RequestId"]
                account.check(account.groups.setdefault(request_id, group) == group, "one request has two groups")

        self._run.call(act, lambda: unavailable("SendMessage"))

    def change_message_visibility(self, **parameters: Any) -> None:
        self._run.call(
            lambda: self._queue.change_message_visibility(**parameters), lambda: unavailable("ChangeMessageVisibility")
        )


class Events:
    """The event bus of one run."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def put_events(self, **parameters: Any) -> dict[str, Any]:
        return self._run.call(lambda: self._run.bus.put_events(**parameters), lambda: unavailable("PutEvents"))


def unavailable(operation: str) -> ClientError:
    error = {"Error": {"Code": "ServiceUnavailable", "Message": "Service unavailable"}}
    return ClientError(cast("Any", error), operation)


class Http:
    """CloudFormation's ResponseURL for one run: urllib3's pool, as far as a Responder needs it."""

    def __init__(self, run: Run) -> None:
        self._run = run

    def request(self, method: str, url: str, *, body: bytes, **_options: object) -> SimpleNamespace:
        def act() -> SimpleNamespace:
            self._run.account.check((method, url) == ("PUT", self._run.ask.url), "not where the answer goes")
            self._run.judge_answer(json.loads(body))
            return SimpleNamespace(status=200, close=lambda: None)

        return self._run.send(act, lambda: urllib3.exceptions.ProtocolError(f"connection to {url} broken"))


def chosen[Item](items: Sequence[Item], number: int) -> Item | None:
    return items[number % len(items)] if items else None
