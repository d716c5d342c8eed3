"""A model of an account, and of what may happen to the function in it, for tests/properties/test_account.py.

The model is small: which jobs match an event, within the parameters of the stack, by literal rules. The
function is the real one; each of its invocations gets adapters of its own, so that every effect is known by the run
that had it.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn, cast, override

import urllib3
from botocore.exceptions import ClientError

from handler.aws.iot import IotJobs
from handler.cancellation.request import StackLimits
from handler.pipeline import Services
from tests.conftest import Log
from tests.support.aws_lambda import Due, FakeTimer, Intercepted, Killed, Lambda, Process, new_services
from tests.support.bus import FakeBus
from tests.support.fakes import FakeClock, FakeJob, FakeJobs, config, throttled
from tests.support.response_url import FakePool, Received
from tests.support.sqs import FakeMessage
from tools.simulators.events import FAILED_CREATE_ID, SELECTION_ID, STACK_ID
from tools.simulators.iot_client import SimulatedIotClient

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_sqs import SQSClient

SECRET = "s3cr3t"
GROUP = "arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet-a"
STACK_TAG = "iot-job-canceler:stack-id"
ACTIVE = {"IN_PROGRESS", "SCHEDULED"}
SWEEP = {"jobIdGlob": "ota-*", "olderThanHours": 168}
PROGRESS_EXPIRES_SECONDS = 43_200.0  # an older event was redriven
FAULTS = ("unavailable", "lost", "defect", "crash before", "crash after", "hang", "outage")
totals: Counter[str] = Counter()


@dataclass(eq=False)
class EventModel:
    """An event, its request as the model reads it, and its results. Times are those of the clock.

    `job_ids` or `select` name the jobs; without either there is none. `is_bad`: rejected with any parameters.
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
    requested_at: float = 0.0
    url: str = ""
    effects: int = 0
    was_disturbed: bool = False
    last: Mapping[str, Any] | None = None
    last_at: float = 0.0
    last_run: int = 0
    canceled: dict[str, FakeJob] = field(default_factory=dict)
    responses: list["SentResponse"] = field(default_factory=list)

    @property
    def is_teardown(self) -> bool:
        return bool(self.url)

    def may_force(self, limits: StackLimits) -> bool:
        is_exempt = self.is_teardown or self.is_dry(limits)  # a dry run shows what a teardown would do
        return limits.force or (limits.forces_teardowns and is_exempt)

    def is_forced(self, limits: StackLimits) -> bool:
        by_default = limits.force or (limits.forces_teardowns and self.is_teardown)
        return self.may_force(limits) and (by_default if self.force is None else self.force)

    def is_dry(self, limits: StackLimits) -> bool:
        return limits.dry_run or self.dry_run is True

    def job_limit(self, limits: StackLimits) -> int:
        return min(limits.max_jobs, self.max_jobs or limits.max_jobs)

    def must_be_rejected(self, limits: StackLimits) -> bool:
        """Return True if the event must be rejected in any state of the account."""
        head = (self.select or {}).get("jobIdGlob", "*").partition("*")[0]
        return self.is_bad or any((
            self.force is True and not self.may_force(limits),
            self.dry_run is False and limits.dry_run,
            (self.max_jobs or 0) > limits.max_jobs,
            len(self.job_ids) > self.job_limit(limits),
            not all(job_id.startswith(limits.job_id_prefix) for job_id in self.job_ids),
            not head.startswith(limits.job_id_prefix) and not limits.job_id_prefix.startswith(head),
        ))  # fmt: skip

    def matches(self, job_id: str, job: FakeJob, age: timedelta, prefix: str) -> bool:
        """Return True if the event matches this job in any status."""
        if self.select is None:
            return job_id in self.job_ids
        return (
            fnmatchcase(job_id, self.select.get("jobIdGlob", "*"))
            and job_id.startswith(prefix)
            and job.target_selection in self.select.get("targetSelection", ["SNAPSHOT"])
            and self.select.get("tags", {}).items() <= job.tags.items()
            and ("thingGroupName" not in self.select or GROUP in job.targets)
            and ("olderThanHours" not in self.select or age > timedelta(hours=self.select["olderThanHours"]))
            and not job_id.startswith("AFR_OTA-")
            and job.namespace != "aws-gg-deployment"
        )


@dataclass(frozen=True)
class SentResponse:
    """A response that CloudFormation got, when, and at which version of the account.

    `is_comparable`: by a run that began in time, and that nothing disturbed.
    """

    at: float
    version: int
    is_comparable: bool
    body: Mapping[str, Any]


@dataclass(frozen=True)
class Effect:
    """An effect of a run on a job: CancelJob, or CancelJobExecution where `thing` is one.

    `running`: how many executions of the job ran before it.
    """

    job_id: str
    job: FakeJob
    force: bool
    thing: str = ""
    running: int = 0
    was_canceled_with: tuple[str | None, str | None] = (None, None)


type Plan = Mapping[int, tuple[str, int]]


class Account(Lambda):
    """The jobs, the queues, CloudFormation, Lambda's asynchronous queue, and the operator's parameters.

    `version` counts what may change a response: all but the runs of one event that go well. `logs` are those of a run,
    and of another run in the middle of it.
    """

    survives = (Exception, Killed)

    def __init__(self, logs: Sequence[Log]) -> None:
        clock = FakeClock()
        super().__init__(clock, logs[0])
        self.jobs = FakeJobs(clock=clock)
        self.jobs.denied_tag = "cancel-protection"
        self.jobs.denied_operations = {
            "CancelJob"
        }  # AWS does not document whether CancelJobExecution checks a job's tags
        self.limits = StackLimits(False, False, 100, "", "cancel-protection")
        self.models: list[EventModel] = []
        self.status_of_message: dict[str, str] = {}
        self.groups: dict[str, str] = {}
        self.chains: dict[str, dict[str, FakeJob]] = {}  # jobs that the runs before a message canceled
        self.born: dict[str, int] = {}  # the version of the account when a message was sent
        self.records: list[dict[str, Any]] = []  # all messages as they were received

        self.nested = 0
        self.runs = 0
        self.is_calm = False
        self.version = 0
        self.effects = 0
        self.concurrent: list[Callable[[int], None]] = []
        self.violations: list[str] = []
        self._logs = logs
        self._plan: Plan = {}

    def active(self) -> dict[str, FakeJob]:
        return {job_id: job for job_id, job in self.jobs.jobs.items() if job.status in ACTIVE}

    def age(self, job: FakeJob) -> timedelta:
        """Return the age of the job: never from before its scheduled start."""
        starts_at = datetime.fromisoformat(job.starts_at) if job.starts_at else job.created_at
        return self.clock.utc_now() - max(job.created_at, starts_at)

    def check(self, holds: object, promise: str) -> None:
        """Raise and record a violation, since a run may catch what is raised."""
        if not holds:
            self.violations.append(promise)
            raise AssertionError(promise)

    def model_of(self, event: object) -> EventModel:
        return next(model for model in self.models if model.event == event)

    def has_failed(self, model: EventModel) -> bool:
        """Return True if Lambda's last retry failed."""
        return model.event in self.failed

    # Deliveries

    def send(self, model: EventModel, plan: Plan) -> None:
        """Deliver an asynchronous event now."""
        with self._planned(plan):
            self.deliver(Due(self.clock.elapsed, model.event))

    @contextmanager
    def _planned(self, plan: Plan) -> Iterator[None]:
        """Apply the plan to the next invocation, if there is one."""
        self._plan = plan
        yield
        self._plan = {}

    def retry(self, index: int, plan: Plan) -> None:
        """The next attempt of an asynchronous event that failed."""
        due = self.pending.pop(index)
        self.clock.now = max(self.clock.now, self.clock.start + due.at)
        with self._planned(plan):
            self.deliver(due)

    def receive_with(self, message: FakeMessage, plan: Plan, *, late: bool = False) -> None:
        """Deliver a message; `late`: after its visibility timeout."""
        if late:
            self.model_of(message.event).was_disturbed = True
        with self._planned(plan):
            self.receive(message, delay=self.sqs.visibility_timeout + 1 if late else 0.0)

    def receive_copy(self, record: dict[str, Any]) -> None:
        """Deliver a copy of a message after its visibility timeout."""
        model = self.model_of(json.loads(record["Records"][0]["body"]))
        run = Run(self, model, {}, self._logs[self.nested])
        self._finish(run, record)
        self.check(run.calls == 1, "a run whose visibility timeout had ended did something")

    @override
    def invoke(self, event: object) -> Any:
        plan, self._plan = self._plan, {}
        records = event.get("Records") if isinstance(event, dict) else None
        if not records:
            return self._finish(Run(self, self.model_of(event), plan, self._logs[self.nested]), event)
        message = self.in_flight[-1]
        self.records.append(cast("dict[str, Any]", event))
        is_late = message.visible_at < self.clock()
        run = Run(self, self.model_of(message.event), plan, self._logs[self.nested], message)
        response = self._finish(run, event)
        self.check(not is_late or run.calls == 1, "a run whose visibility timeout had ended did something")
        return response

    def _finish(self, run: "Run", event: object) -> Any:
        """Run an invocation, and check it. Raises how it ended, if it did not return."""
        totals["deliveries"] += 1
        response: Any = None
        ended: BaseException | None = None
        try:
            with redirect_stdout(run.log.stream):
                response = self.handle(event, run, run.services)
            run.ended = "returned"
        except Killed as killed:
            run.ended, ended = "killed", killed
            totals["crashes"] += 1
        except AssertionError:
            raise
        except Exception as error:  # noqa: BLE001 - right only if something had failed
            run.ended, ended = "raised", error
            if not run.faults:
                self.violations.append(f"the function raised {error!r}, though nothing had failed")
        assert self.violations == []
        run.check_run(response)
        if ended:
            raise ended
        return response

    # What passes by itself

    def pass_time(self, seconds: float, *, promptly: bool) -> None:
        """Let time pass; `promptly`: and poll the queues during it."""
        target = self.clock.elapsed + seconds
        if promptly:
            self.run(until=target, messages_first=True)
        else:
            self.allow_late_responses()
        self.clock.now = max(self.clock.now, self.clock.start + target)

    def allow_late_responses(self) -> None:
        """Accept late responses to all events without a response."""
        for model in self.models:
            model.was_disturbed = model.was_disturbed or not model.responses


class Run(Process):
    """One invocation. It makes each call, and injects the faults of the plan."""

    def __init__(
        self, account: Account, model: EventModel, plan: Plan, log: Log, message: FakeMessage | None = None
    ) -> None:
        super().__init__()
        self.account = account
        self.model = model
        self.log = log
        self.message = message
        account.runs += 1
        self.number = account.runs
        self.limits = account.limits
        account.jobs.required_tag = self.limits.required_tag
        self.calls = 0
        self.effects: list[Effect] = []
        self.faults: list[str] = []
        self.reports: list[dict[str, Any]] = []
        self.ended = ""
        self.bus = FakeBus()
        self.response_url = FakePool()
        self.response_url.on_request = self._check_response
        self.began = account.clock()
        self.end = self.began + account.seconds
        self.is_disturbed = False
        self.began_late = False  # something had hung before its timer was set
        attributes = self._progress()
        self.waits_for = attributes.get("WaitsFor", "").split(",")
        self.limit_checked = "Admitted" in attributes
        self.read_active = set(account.jobs._stale)
        self.chain = account.chains.setdefault(message.message_id, {}) if message else {}
        self.matching = {name: job for name, job in account.active().items() if self._matches(name, job)}
        self._plan = {} if account.is_calm else dict(plan)
        self._is_offline = False
        self._is_sending = False
        self.has_responded = False
        self.services = self._services()
        log.stream.seek(0)
        log.stream.truncate()

    @override
    def set_timer(self, timer: FakeTimer | None) -> None:
        super().set_timer(timer)
        if timer:
            self.began_late = bool(self.faults)

    def _progress(self) -> dict[str, str]:
        """Return the attributes of the message: none, once it is so old that the event begins again."""
        attributes = self.message.attributes if self.message else {}
        texts = {name: each["StringValue"] for name, each in attributes.items()}
        first_seen_at = float(texts.get("FirstSeenAt", "inf"))
        return {} if self.account.clock.utc_now().timestamp() - first_seen_at >= PROGRESS_EXPIRES_SECONDS else texts

    def _matches(self, job_id: str, job: FakeJob) -> bool:
        return self.model.matches(job_id, job, self.account.age(job), self.limits.job_id_prefix)

    def _services(self) -> Services:
        account = self.account
        return new_services(
            replace(config(limits=self.limits), sweep_job_id_glob="ota-*", alarm_name_prefix="fail"),
            account.clock,
            self.log.telemetry,
            jobs_api=partial(IotJobs, cast("IoTClient", Intercepted(SimulatedIotClient(account.jobs), self._call_iot))),
            sqs=cast("SQSClient", Intercepted(account.sqs, self._call_sqs)),
            events=cast("EventBridgeClient", Intercepted(self.bus, self._call_events)),
            http=cast("urllib3.PoolManager", Intercepted(self.response_url, self._call_response_url)),
            sleep=self.sleep,
        )

    def _call_iot(self, operation: str, act: partial[Any]) -> Any:
        def act_and_note() -> Any:
            job = self.account.jobs.jobs.get(act.keywords.get("jobId", ""))
            running = number_running(job) if job else 0
            response = act()
            if operation in {"cancel_job", "cancel_job_execution"}:
                self._note_effect(running, **act.keywords)
            return response

        return self.call(act_and_note, lambda: throttled().client_error(operation))

    def _note_effect(
        self,
        running: int,
        *,
        jobId: str,  # noqa: N803 - boto3's
        force: bool,
        thingName: str = "",  # noqa: N803 - boto3's
        **_texts: str,
    ) -> None:
        job = self.account.jobs.jobs[jobId]
        self.effects.append(Effect(jobId, job, force, thingName, running, (job.reason_code, job.comment)))
        if not thingName:
            self.chain[jobId] = job

    def _call_sqs(self, operation: str, act: partial[Any]) -> Any:
        if group := act.keywords.get("MessageGroupId"):
            known = self.account.groups.setdefault(self.model.event["RequestId"], group)
            self.account.check(known == group, "one request has two groups")
        if self.timer:  # the handler has claimed the response, and a real call of SQS ends before the timer is due
            self._is_sending = True
        return self.call(act, lambda: unavailable(operation))

    def _call_events(self, operation: str, act: Callable[[], Any]) -> Any:
        return self.call(act, lambda: unavailable(operation))

    def _call_response_url(self, _operation: str, act: Callable[[], Any]) -> Any:
        """Send a response. From now on, the timer does not respond."""
        self._is_sending = True
        return self.call(act, lambda: urllib3.exceptions.ProtocolError(f"connection to {self.model.url} broken"))

    def _note_messages(self) -> None:
        """Record that this run sent the new messages."""
        account = self.account
        for message in account.sqs.messages:
            if message.message_id not in account.born:
                account.chains[message.message_id] = self.chain
                account.born[message.message_id] = self.version

    # Calls

    def call[Result](self, act: Callable[[], Result], unavailable: Callable[[], Exception]) -> Result:
        """Make one call to a service."""
        self.check_alive()
        self.calls += 1
        if self.message and self.calls > 1:
            self.account.check(
                self.account.clock() <= self.message.visible_at, "the visibility timeout ended during the run"
            )
        fault, number = self._plan.pop(self.calls, ("", 0))
        if fault in FAULTS:
            self.faults.append(fault)
            totals["faults"] += 1
            self.account.version += 1
            self.model.was_disturbed = True
        self._begin(fault, number)
        if self._is_offline or fault == "unavailable":
            raise unavailable()
        result = act()
        self._note_messages()
        self._pass(0)
        if fault == "crash after":
            self.kill()
        if fault == "lost":
            raise unavailable()
        return result

    def _begin(self, fault: str, number: int) -> None:
        """Inject what the plan has for a call, before it acts."""
        match fault:
            case "outage":  # until the end of this run
                self._is_offline = True
            case "defect":
                raise RuntimeError(f"no such thing as {self.model.url}")
            case "crash before":
                self.kill()
            case "hang":
                # Lambda ends it, or the call returns after the timer has responded. No queue is polled before that.
                self.account.allow_late_responses()
                self._pass(400 if number % 2 else self.end - self.account.clock() - 3)
            case "concurrent":
                self._run_concurrent_act(number)

    @property
    def version(self) -> int:
        """The version of the account for this event, without its own effects."""
        return self.account.version + self.account.effects - self.model.effects

    def sleep(self, seconds: float) -> None:
        self.check_alive()
        self.account.clock.sleep(seconds)
        self._pass(0)

    def _pass(self, seconds: float) -> None:
        """Let time pass. The timer fires when it is due, and Lambda ends a run that is too long."""
        clock = self.account.clock
        target = clock() + seconds
        if self.timer and self.timer.at <= target:
            clock.now = self.timer.at  # it has a thread of its own, and so is on time
            self.timer.fire()
            in_the_way = self._is_sending or self._is_offline or self.began_late or self.faults[:-1]
            self.account.check(self.has_responded or in_the_way, "the timer did not respond")
        clock.now = max(clock.now, target)
        if clock.now >= self.end:
            self.kill()

    def _run_concurrent_act(self, number: int) -> None:
        """Run something else between two calls, such as another run. Its effects are its own."""
        account = self.account
        if account.nested or not account.concurrent:
            return
        account.nested += 1
        self.is_disturbed = True
        account.version += 1
        for model in account.models:
            model.was_disturbed = True
        try:
            with ThreadPoolExecutor(1) as elsewhere:  # where no exception is being handled, as in a process of its own
                elsewhere.submit(account.concurrent[number % len(account.concurrent)], number).result()
        finally:
            account.nested -= 1
        self._pass(0)

    @override
    def kill(self) -> NoReturn:
        self.account.version += 1
        self.model.was_disturbed = True
        super().kill()

    # Checks

    def check_run(self, response: Any) -> None:
        """Check the effects and reports of the run."""
        account, model, limits = self.account, self.model, self.limits
        check = account.check
        text = self.log.text
        check(SECRET not in text, f"a secret in the log: {text}")
        self.reports = [line["report"] for line in self.log.lines if line.get("message") == "report"]
        check(len(self.reports) <= 1, "two reports of one run")
        for effect in self.effects:
            self._check_effect(effect)
        cancels = [effect.job_id for effect in self.effects if not effect.thing]
        check(len(cancels) == len(set(cancels)), "a run canceled a job twice")
        if self.message is None or not self.limit_checked:
            # Jobs that are created during a run are not checked.
            is_exceeded = len(cancels) > model.job_limit(limits) and not self.is_disturbed
            check(not is_exceeded, f"{len(cancels)} cancels are more than the job limit")
            if model.select is not None and len(self.matching) > model.job_limit(limits) and not self.is_disturbed:
                check(not cancels, "a selection over the job limit, and yet one of its jobs was canceled")
        account.effects += len(self.effects)
        model.effects += len(self.effects)
        model.canceled |= {effect.job_id: effect.job for effect in self.effects if not effect.thing}
        for report in self.reports:
            if self.number > model.last_run:  # a run in the middle of this one may have finished the event
                model.last, model.last_at, model.last_run = report, account.clock(), self.number
            self._check_report(report)
        if self.ended == "returned" and self.message is None and isinstance(response, dict) and "status" in response:
            check(self.reports, "a run ended without a report")
        self._check_published()

    def _check_published(self) -> None:
        """Check that the logged report is published once, or not at all after a fault."""
        published = [detail["status"] for detail in self.bus.details]
        expected = [report["status"] for report in self.reports if report["status"] != "IGNORED"]
        is_sure = self.ended == "returned" and not self.faults and not self.is_disturbed
        self.account.check(
            published == expected or (not is_sure and published == []), f"published {published} and not {expected}"
        )

    def _check_effect(self, effect: Effect) -> None:
        account, model, limits, job = self.account, self.model, self.limits, effect.job
        check, what = account.check, f"{effect} by {model.kind} {model.event}"
        check(not is_protected(job, limits), f"a protected job was touched: {what}")
        # Devices start a job between its description and its cancel only while something else happens.
        is_bounded = effect.running <= limits.max_forced_executions or self.is_disturbed
        check(is_bounded or not effect.force, f"too many executions were forced: {what}")
        check(effect.job_id.startswith(limits.job_id_prefix), f"outside of the prefix: {what}")
        check(not model.is_dry(limits), f"in a dry run: {what}")
        check(model.is_forced(limits) or not effect.force, f"force without leave: {what}")
        check(model.kind not in {"Create", "Update"}, f"before the deletion: {what}")
        check(model.is_teardown or not self._must_be_rejected(), f"a request that is to be rejected: {what}")
        check(model.matches(effect.job_id, job, account.age(job), ""), f"the event does not match this job: {what}")
        if effect.thing and model.select is not None:
            ours = model.canceled.get(effect.job_id) is job or self.matching.get(effect.job_id) is job
            ours = ours or effect.job_id in self.read_active  # so it was found by the selection
            check(ours or effect.was_canceled_with == canceled_with(model), f"not canceled by this request: {what}")

    def _must_be_rejected(self) -> bool:
        """Return True for an event that must be rejected. A new prefix does not reject a wait in progress."""
        is_poll = any(self.waits_for)
        return self.model.must_be_rejected(replace(self.limits, job_id_prefix="") if is_poll else self.limits)

    def _check_report(self, report: Mapping[str, Any]) -> None:
        account, model = self.account, self.model
        check, status = account.check, report["status"]
        what = f"{report} for {model.kind} {model.event}"
        if self.message:
            account.status_of_message[self.message.message_id] = status
        if model.is_teardown:
            is_expired = report["reason"].startswith("ResponseURL: has expired")
            check(is_expired or self.began < model.requested_at + 7200, f"CloudFormation no longer waits: {what}")
            check(not is_expired or model.last_at > model.requested_at + 7199, f"CloudFormation waits: {what}")
        if status == "REJECTED":
            check(not self.effects, f"rejected, and yet {self.effects}: {what}")
        if not model.is_teardown and status != "IGNORED":
            must = self._must_be_rejected()
            check(not must or status == "REJECTED", f"not rejected: {what}")
            check(must or model.select is not None or status != "REJECTED", f"rejected without a reason: {what}")
        job_ids = [result["jobId"] for result in report["jobs"]]
        check(len(job_ids) == len(set(job_ids)), f"a job has two outcomes: {what}")
        if (
            model.job_ids
            and status != "REJECTED"
            and not any(self.waits_for)
            and model.kind not in {"Create", "Update"}
        ):
            check(sorted(job_ids) == sorted(set(model.job_ids)), f"a job without an outcome: {what}")
        for result in report["jobs"]:
            if result["outcome"] == "CANCELED":
                check(result["jobId"] in {each.job_id for each in self.effects}, f"nothing was canceled: {what}")
        if status == "SETTLED" or (status == "UNSETTLED" and not model.is_teardown):
            self._check_settled(report, what)

    def _check_settled(self, report: Mapping[str, Any], what: str) -> None:
        """Check that settled jobs have ended, and that all others are protected or outside the prefix."""
        if self.model.is_dry(self.limits) or self.model.kind in {"Create", "Update"}:
            return
        polled = set(self.waits_for) if any(self.waits_for) else set(self.matching)
        for job_id, job in self.matching.items():
            if job_id in polled and self.account.jobs.jobs.get(job_id) is job and job.status in ACTIVE:
                exempt = is_protected(job, self.limits) or not job_id.startswith(self.limits.job_id_prefix)
                is_forced = self.model.is_forced(self.limits)
                exempt = exempt or (is_forced and number_running(job) > self.limits.max_forced_executions)
                exempt = exempt or self._is_another_job(job_id, job)
                self.account.check(exempt, f"{job_id} is active: {what}")
                self.account.check(report["status"] == "UNSETTLED", f"{job_id} is active and called settled: {what}")

    def _is_another_job(self, job_id: str, job: FakeJob) -> bool:
        """Return True if a poll of a selection has found another job with the same id, which it does not cancel."""
        is_poll = any(self.waits_for) and self.model.select is not None
        known = (self.chain.get(job_id), self.model.canceled.get(job_id))
        return is_poll and all(job is not each for each in known)

    def _check_response(self, request: Received) -> None:
        """Check the response to CloudFormation, and that it arrives in time without a fault."""
        account, model, body = self.account, self.model, request.response
        check, what = account.check, f"{body} for {model.event}"
        check((request.method, request.target) == ("PUT", model.url), "not where the response goes")
        check(body["RequestId"] == model.event["RequestId"], what)
        check(body["StackId"] == STACK_ID, what)
        check(body["LogicalResourceId"] == "Teardown", what)
        check(body["PhysicalResourceId"] == physical_id(model, body["Status"]), what)
        check((body["Status"] == "SUCCESS") or body["Reason"], f"failed without a reason: {what}")
        check(not self.has_responded or "lost" in self.faults, f"one run sent two responses: {what}")
        self.has_responded = True
        now = account.clock()
        is_comparable = (
            self.began < model.requested_at + model.timeout - 120 and not self.faults and not self.is_disturbed
        )
        is_comparable = is_comparable and not self.read_active  # a cancel of an earlier run could not be seen yet
        if not model.responses and not model.was_disturbed:
            check(
                now <= model.requested_at + model.timeout,
                f"too late by {now - model.requested_at - model.timeout}: {what}",
            )
        version = self.version
        is_comparable = is_comparable and (not self.message or account.born.get(self.message.message_id) == version)
        model.responses.append(SentResponse(now, version, is_comparable, body))
        is_dry_run = model.is_dry(self.limits) and not any(self.waits_for)  # DryRun does not end a wait
        if model.kind != "Delete" or body["Status"] != "SUCCESS" or model.continues or is_dry_run:
            return
        awaited = model.canceled | self.chain
        if model.select is None:
            awaited = {job_id: job for job_id, job in account.jobs.jobs.items() if job_id in model.job_ids}
            if self.is_disturbed:  # one may have been created between the decision and the response
                awaited = {job_id: job for job_id, job in awaited.items() if model.canceled.get(job_id) is job}
            exempt = [job_id for job_id, job in awaited.items() if job.status in ACTIVE]
            check(not exempt or self.is_disturbed, f"{exempt} stay active: {what}")
        for job_id, job in awaited.items() if model.wait else ():
            is_there = account.jobs.jobs.get(job_id) is job and job_id.startswith(self.limits.job_id_prefix)
            is_there = is_there and job.status != "DELETION_IN_PROGRESS"  # which counts as gone

            check(not is_there or "IN_PROGRESS" not in job.executions.values(), f"{job_id} still runs: {what}")


def is_protected(job: FakeJob, limits: StackLimits) -> bool:
    tags = {key.lower(): tag for key, tag in job.tags.items()}
    lacks_tag = limits.required_tag is not None and tags.get(limits.required_tag[0]) != limits.required_tag[1]
    return lacks_tag or tags.get("cancel-protection", "").lower() == "true"


def number_running(job: FakeJob) -> int:
    return [*job.executions.values()].count("IN_PROGRESS")


def canceled_with(model: EventModel) -> tuple[str, str]:
    properties = model.event.get("ResourceProperties", {})
    return properties.get("ReasonCode", "STACK_TEARDOWN"), properties.get(
        "Comment", f"Teardown was deleted in {STACK_ID}"
    )


def physical_id(model: EventModel, status: str) -> str:
    known: str | None = model.event.get("PhysicalResourceId")
    if model.kind == "Delete":
        assert known
        return known
    if status == "FAILED":
        return known or FAILED_CREATE_ID
    properties = model.event["ResourceProperties"]
    job_id: str = properties.get("JobId", SELECTION_ID)
    return job_id


def unavailable(operation: str) -> ClientError:
    error = {"Error": {"Code": "ServiceUnavailable", "Message": "Service unavailable"}}
    return ClientError(cast("Any", error), operation)


def chosen[Item](items: Sequence[Item], number: int) -> Item | None:
    return items[number % len(items)] if items else None
