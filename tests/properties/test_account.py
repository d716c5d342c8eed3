"""The whole function against a model of the account: the six guarantees hold for any events in any order.

nightly/test_account.py and `make soak` run more histories. docs/testing.md lists what is modeled. The model is
tests/support/account.py.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any, ClassVar, override

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from handler.cancellation.request import StackLimits
from tests.conftest import Log
from tests.faults.tally import FIGURES
from tests.support.account import (
    FAULTS,
    GROUP,
    SECRET,
    STACK_TAG,
    SWEEP,
    Account,
    EventModel,
    chosen,
    totals,
)
from tests.support.fakes import FakeJob
from tools.simulators.events import (
    SELECTION_ID,
    STACK_ID,
    cancel_event,
    custom_resource_request,
    eventbridge_event,
    sns_event,
)

SOAK = int(os.environ.get("SOAK_EXAMPLES", "0"))
STEPS = 40

# Shrinking lasts minutes if a failure needs many steps: a soak prints a blob, and shrinks with ACCOUNT_SHRINKS=yes.
SHRINKS = os.environ.get("ACCOUNT_SHRINKS", "no" if SOAK else "yes") == "yes"
PHASES = (Phase.explicit, Phase.reuse, Phase.generate, *((Phase.shrink,) if SHRINKS else ()))

# When the rollout of a job is scheduled to begin, from the moment at which it appears in the account.
STARTS = {"long ago": timedelta(days=-20), "an hour ago": timedelta(hours=-1), "in two days": timedelta(days=2)}
NAMES = ["fw-1", "fw-2", "fw-3", "ota-1", "ota-2", "AFR_OTA-1"]
CONTINUOUS_TOO: dict[str, Any] = {"targetSelection": ["SNAPSHOT", "CONTINUOUS"]}  # by default, in a custom resource
job_ids = st.sampled_from(NAMES)
jobs = st.builds(
    FakeJob,
    status=st.sampled_from(["IN_PROGRESS", "IN_PROGRESS", "SCHEDULED", "CANCELED"]),
    executions=st.dictionaries(
        st.sampled_from(["t1", "t2", "t3"]), st.sampled_from(["QUEUED", "IN_PROGRESS", "IN_PROGRESS", "SUCCEEDED"])
    ),
    tags=st.sampled_from(
        [{}, {}, {"env": "dev"}, {STACK_TAG: STACK_ID}, *[{"Cancel-Protection": "True", "env": "dev"}] * 2]
    ),
    targets=st.sampled_from([(), (GROUP,)]),
    namespace=st.sampled_from([None, None, None, "aws-gg-deployment"]),
    target_selection=st.sampled_from(["SNAPSHOT", "SNAPSHOT", "CONTINUOUS"]),
    starts_at=st.sampled_from([None, None, None, *STARTS]),
)
all_limits = st.builds(
    StackLimits,
    force=st.booleans(),
    dry_run=st.sampled_from([False, False, False, True]),
    max_jobs=st.sampled_from([1, 2, 100, 100]),
    job_id_prefix=st.sampled_from(["", "", "", "fw-"]),
    protection_tag_key=st.just("cancel-protection"),
    forces_teardowns=st.booleans(),
    max_forced_executions=st.sampled_from([1, 1, 1000]),
    required_tag=st.sampled_from([None, None, None, None, ("env", "dev")]),
)
selects: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"jobIdGlob": "fw-*"},
        {"jobIdGlob": "*"},
        {"jobIdGlob": "ota-*", "targetSelection": ["SNAPSHOT", "CONTINUOUS"]},
        {"jobIdGlob": "*", "olderThanHours": 24},
        {"tags": {"env": "dev"}},
        {"thingGroupName": "fleet-a", "jobIdGlob": "*"},
    ]
)
which: st.SearchStrategy[dict[str, Any]] = st.one_of(
    job_ids.map(lambda each: {"jobId": each}),
    st.lists(job_ids, min_size=1, max_size=4, unique=True).map(lambda each: {"jobIds": each}),
    selects.map(lambda each: {"select": each}),
    selects.map(lambda each: {"select": each}),
)
requests = st.builds(
    lambda scope, more: scope | more,
    which,
    st.fixed_dictionaries(
        {},
        optional={
            "force": st.booleans(),
            "dryRun": st.booleans(),
            "maxJobs": st.sampled_from([1, 2, 3]),
            "waitForExecutionsMinutes": st.sampled_from([0, 1, 3]),
            "comment": st.just("by hand"),
        },
    ),
)
bad_requests: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"jobId": "fw-1", "foo": 1},
        {"select": {"jobIdGlob": "*", "tag": {"env": "prod"}}},
        {"select": {"olderThanHours": 1}},
        {"select": {}},
        {"jobIds": ["fw-1", "a b"]},
        {"jobId": "fw-1", "force": "false"},
        {"jobId": "fw-1", "select": {"jobIdGlob": "*"}},
    ]
)
properties = st.fixed_dictionaries(
    {"WaitForExecutionsMinutes": st.sampled_from(["0", "2", "2", "5"])},
    optional={
        "Force": st.sampled_from(["true", "false", "?"]),
        "DryRun": st.sampled_from(["true", "false", "false", "?"]),
        "MaxJobs": st.sampled_from(["1", "3"]),
        "OnIncomplete": st.sampled_from(["FAIL", "CONTINUE"]),
        "ServiceTimeout": st.sampled_from(["900", "3600"]),
        "Comment": st.just("the stack goes"),
    },
)
numbers = st.integers(0, 99)
type Plans = Mapping[int, tuple[str, int]]
# At which calls of an invocation something goes wrong, or happens besides.
plans: st.SearchStrategy[Plans] = st.one_of(
    st.just({}),
    st.tuples(st.integers(1, 6), st.sampled_from(FAULTS), numbers).map(lambda each: {each[0]: (each[1], each[2])}),
    st.dictionaries(
        st.one_of(st.integers(1, 4), st.integers(1, 12)),
        st.tuples(st.sampled_from([*FAULTS, "concurrent", "concurrent"]), st.integers(0, 99)),
        min_size=1,
        max_size=3,
    ),
)


class AccountMachine(RuleBasedStateMachine):
    """One account from its first day on."""

    logs: ClassVar[Sequence[Log]]

    def __init__(self) -> None:
        super().__init__()
        totals["examples"] += 1
        self.account = Account(self.logs)
        self.serial = 0
        self.theme = ""
        self.account.concurrent = [
            lambda number: self.device_acts(number, number),
            lambda number: self.another_caller_cancels(number, is_forced=number % 2 == 0),
            lambda number: self.redeliver(number, {}),
            lambda number: self.redeliver(number, {}),
            lambda number: self.sqs_delivers(number, {}, is_late=False),
            lambda number: self.job_is_created(
                number, FakeJob(executions={"t1": "IN_PROGRESS"}), is_old=number % 2 == 0
            ),
        ]

    @initialize(
        limits=all_limits,
        lag=st.sampled_from([0, 0, 2, 7]),
        seconds_a_call=st.sampled_from([0.0, 0.1, 0.9]),
        page_size=st.sampled_from([1, 250]),
        seconds=st.sampled_from([300.0, 300.0, 40.0]),
        found=st.dictionaries(job_ids, jobs),
        theme=st.sampled_from(["anything", "anything", "teardowns", "waits"]),
        is_calm=st.sampled_from([False, False, True]),
    )
    def begin(
        self,
        limits: StackLimits,
        lag: int,
        seconds_a_call: float,
        page_size: int,
        seconds: float,
        found: dict[str, FakeJob],
        theme: str,
        *,
        is_calm: bool,
    ) -> None:
        """`theme` and `is_calm` make some accounts go deep into one thing: Deletes, those that wait, no faults."""
        account = self.account
        self.theme, account.is_calm = theme, is_calm
        account.limits, account.seconds = limits, seconds
        account.sqs.visibility_timeout = seconds + 30
        account.jobs.lag, account.jobs.seconds_a_call, account.jobs.page_size = lag, seconds_a_call, page_size
        for job_id, job in found.items():
            self.create_job(job_id, job)

    # The account

    @rule(number=numbers, job=jobs, is_old=st.booleans())
    def job_is_created(self, number: int, job: FakeJob, *, is_old: bool) -> None:
        if job_id := chosen([each for each in NAMES if each not in self.account.jobs.jobs], number):
            self.create_job(job_id, job, is_old=is_old)

    @rule(number=numbers, job=jobs)
    def job_is_replaced(self, number: int, job: FakeJob) -> None:
        """Another job gets the id of one that is deleted."""
        if job_id := chosen([*self.account.jobs.jobs], number):
            self.job_is_deleted(number, at_once=True)
            self.create_job(job_id, job)

    def create_job(self, job_id: str, job: FakeJob, *, is_old: bool = True) -> None:
        now = self.account.clock.utc_now()
        age = timedelta(days=30) if is_old else timedelta()
        starts_at = (now + STARTS[job.starts_at]).isoformat() if job.starts_at else None
        self.account.jobs.jobs[job_id] = replace(deepcopy(job), created_at=now - age, starts_at=starts_at)
        self.account.version += 1

    @rule(number=numbers, what=numbers)
    def device_acts(self, number: int, what: int) -> None:
        """A device starts what is queued for it, or ends what it runs."""
        found = [
            (job, thing, now)
            for job in self.account.jobs.jobs.values()
            for thing, now in job.executions.items()
            if now in {"QUEUED", "IN_PROGRESS"}
        ]
        if each := chosen(found, number):
            job, thing, now = each
            job.executions[thing] = "IN_PROGRESS" if now == "QUEUED" else ["SUCCEEDED", "FAILED"][what % 2]
            self.account.version += 1

    @rule(number=numbers, is_forced=st.booleans())
    def another_caller_cancels(self, number: int, *, is_forced: bool) -> None:
        if each := chosen([*self.account.active().values()], number):
            each.status, each.reason_code, each.comment = "CANCELED", "OPERATOR", "by another caller"
            ends = {"QUEUED", "IN_PROGRESS"} if is_forced else {"QUEUED"}
            each.executions |= {thing: "CANCELED" for thing, now in each.executions.items() if now in ends}
            self.account.version += 1

    @rule(number=numbers)
    def job_completes(self, number: int) -> None:
        unfinished = {"QUEUED", "IN_PROGRESS"}
        done = [job for job in self.account.active().values() if not unfinished & set(job.executions.values())]
        if each := chosen(done, number):
            each.status = "COMPLETED"
            self.account.version += 1

    @rule(number=numbers, at_once=st.booleans())
    def job_is_deleted(self, number: int, *, at_once: bool) -> None:
        if job_id := chosen([*self.account.jobs.jobs], number):
            if at_once:
                del self.account.jobs.jobs[job_id]
                self.account.jobs._stale.pop(job_id, None)
            else:
                self.account.jobs.jobs[job_id].status = "DELETION_IN_PROGRESS"
            self.account.version += 1

    @rule(limits=all_limits)
    def operator_changes_the_stack(self, limits: StackLimits) -> None:
        self.account.limits = limits
        self.account.version += 1

    @rule(
        seconds=st.sampled_from([1.0, 30.0, 30.0, 301.0, 301.0, 1800.0, 46_800.0]),
        promptly=st.sampled_from([False, True, True]),
    )
    def time_passes(self, seconds: float, *, promptly: bool) -> None:
        self.account.pass_time(seconds, promptly=promptly and seconds < 46_800)

    # Events

    def deliver(self, model: EventModel, plan: Plans) -> None:
        self.account.models.append(model)
        self.account.send(model, plan)

    def next_id(self, kind: str) -> str:
        self.serial += 1
        return f"{kind}-{self.serial}"

    @rule(document=requests, is_direct=st.booleans(), plan=plans)
    def request(self, document: dict[str, Any], *, is_direct: bool, plan: Plans) -> None:
        if self.theme == "waits":
            return
        name = self.next_id("event")
        event: dict[str, Any] = {"cancel": document | ({"comment": name} if is_direct else {})}
        if not is_direct:
            event = cancel_event(**document) | {"id": name}
        self.deliver(model_of_request(event, document), plan)

    @rule(
        kind=st.sampled_from(["bad", "alarm", "ok", "sweep", "stack", "other"]),
        shape=st.sampled_from(["event", "action", "message"]),
        job_id=job_ids,
        document=bad_requests,
        plan=plans,
    )
    def another_event(self, kind: str, shape: str, job_id: str, document: dict[str, Any], plan: Plans) -> None:
        match kind:
            case "bad":
                self.bad_request(document, plan)
            case "alarm" | "ok":
                self.alarm(job_id, "ALARM" if kind == "alarm" else "OK", plan, shape)
            case "sweep":
                self.schedule_fires(plan)
            case _:
                self.stack_is_deleted("DELETE_COMPLETE" if kind == "stack" else "DELETE_IN_PROGRESS", plan)

    def bad_request(self, document: dict[str, Any], plan: Plans) -> None:
        self.deliver(EventModel(cancel_event(**document) | {"id": self.next_id("event")}, is_bad=True), plan)

    def alarm(self, job_id: str, state: str, plan: Plans, shape: str) -> None:
        metric = {"id": "m1", "metricStat": {"metric": {"dimensions": {"JobId": job_id}}}}
        detail = {"alarmName": "failures", "state": {"value": state}, "configuration": {"metrics": [metric]}}
        arn, name = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:failures", self.next_id("alarm")
        match shape:
            case "event":
                event = eventbridge_event("aws.cloudwatch", "CloudWatch Alarm State Change", detail) | {"id": name}
            case "action":
                event = {"source": "aws.cloudwatch", "alarmArn": arn, "time": name, "alarmData": detail}
            case _:
                trigger = {"Dimensions": [{"name": "JobId", "value": job_id}]}
                message = {"AlarmName": "failures", "AlarmArn": arn, "NewStateValue": state, "Trigger": trigger}
                event = sns_event(message | {"StateChangeTime": name})
        self.deliver(EventModel(event, "alarm", (job_id,) if state == "ALARM" else ()), plan)

    def schedule_fires(self, plan: Plans) -> None:
        event = eventbridge_event("aws.scheduler", "Scheduled Event", "{}") | {"id": self.next_id("sweep")}
        self.deliver(EventModel(event, "schedule", select=SWEEP), plan)

    def stack_is_deleted(self, status: str, plan: Plans) -> None:
        detail = {"stack-id": STACK_ID, "status-details": {"status": status}}
        event = eventbridge_event("aws.cloudformation", "CloudFormation Stack Status Change", detail)
        event["id"] = self.next_id("stack")
        select = {"tags": {STACK_TAG: STACK_ID}, "targetSelection": ["SNAPSHOT", "CONTINUOUS"]}
        is_deleted = status == "DELETE_COMPLETE"
        self.deliver(EventModel(event, "stack", select=select if is_deleted else None), plan)

    @rule(
        kind=st.sampled_from(["Create", "Update", "Delete", "Delete", "Delete", "Delete"]),
        scope=st.one_of(job_ids, selects),
        more=properties,
        is_generated=st.sampled_from([False, False, False, False, True]),
        plan=plans,
    )
    def cloudformation_requests(
        self, kind: str, scope: str | dict[str, Any], more: dict[str, str], *, is_generated: bool, plan: Plans
    ) -> None:
        if self.theme != "anything":
            kind, is_generated = "Delete", False
        if self.theme == "waits":
            more = more | {"WaitForExecutionsMinutes": "5", "OnIncomplete": "FAIL", "DryRun": "false"}
        self.deliver(self.resource(kind, scope, more, is_generated=is_generated), plan)

    def resource(
        self, kind: str, scope: str | dict[str, Any], more: dict[str, str], *, is_generated: bool
    ) -> EventModel:
        name = self.next_id("request")
        known = scope if isinstance(scope, str) else SELECTION_ID
        if is_generated:
            known = "firmware-dev-Teardown-1ABCDEFGHIJKL"
        which = {"JobId": scope} if isinstance(scope, str) else {"Select": in_a_template(scope)}
        known_id = None if kind == "Create" else known
        event = custom_resource_request(kind, known_id, self.response_url(name), {**which, **more}, request_id=name)
        if kind == "Update":
            event["OldResourceProperties"] = event["ResourceProperties"]
        names_jobs = kind == "Delete" and not is_generated
        return EventModel(
            event,
            kind,
            job_ids=(scope,) if isinstance(scope, str) and names_jobs else (),
            select=CONTINUOUS_TOO | scope if isinstance(scope, dict) and names_jobs else None,
            force={"true": True, "false": False, "?": False}.get(more.get("Force", "")),
            dry_run={"true": True, "false": False, "?": True}.get(more.get("DryRun", "")),
            max_jobs=int(more["MaxJobs"]) if "MaxJobs" in more else None,
            wait=int(more.get("WaitForExecutionsMinutes", "0")),
            continues=more.get("OnIncomplete") == "CONTINUE",
            timeout=float(more.get("ServiceTimeout", 3600)),
            requested_at=self.account.clock(),
            url=event["ResponseURL"],
        )

    def response_url(self, name: str) -> str:
        """Sign a URL now."""
        now = self.account.clock.utc_now()
        return f"https://responses.s3.amazonaws.com/{name}?X-Amz-Date={now:%Y%m%dT%H%M%SZ}&token={SECRET}"

    @precondition(lambda self: self.account.models)
    @rule(number=numbers, plan=plans)
    def redeliver(self, number: int, plan: Plans) -> None:
        """Twice, late, or out of order: everything that delivers here does it at least once."""
        if model := chosen(self.account.models, number):
            self.account.send(model, plan)

    @precondition(lambda self: any(model.kind == "Delete" for model in self.account.models))
    @rule(number=numbers, plan=plans)
    def stack_is_deleted_again(self, number: int, plan: Plans) -> None:
        """Delete the stack again: the same resource, and another request."""
        if model := chosen([each for each in self.account.models if each.kind == "Delete"], number):
            name = self.next_id("request")
            url = self.response_url(name)
            self.deliver(
                replace(
                    model,
                    event=model.event | {"RequestId": name, "ResponseURL": url},
                    url=url,
                    requested_at=self.account.clock(),
                    effects=0,
                    was_disturbed=False,
                    last=None,
                    responses=[],
                    canceled=dict(model.canceled),
                ),
                plan,
            )

    @precondition(lambda self: self.account.sqs.messages)
    @rule(number=numbers, plan=plans, is_late=st.sampled_from([False, False, False, True]))
    def sqs_delivers(self, number: int, plan: Plans, *, is_late: bool) -> None:
        """Any message; `is_late`: after its visibility timeout."""
        if message := chosen(self.account.receivable(), number):
            self.account.receive_with(message, {} if is_late else plan, late=is_late)

    @precondition(lambda self: self.account.pending)
    @rule(number=numbers, plan=plans)
    def lambda_retries(self, number: int, plan: Plans) -> None:
        self.account.retry(number % len(self.account.pending), plan)

    @precondition(lambda self: self.account.records)
    @rule(number=numbers)
    def sqs_delivers_a_copy(self, number: int) -> None:
        record = self.account.records[number % len(self.account.records)]
        handle = record["Records"][0]["receiptHandle"]
        if not any(message.receipt_handle == handle for message in self.account.sqs.messages):
            self.account.receive_copy(record)

    # The end

    @override
    def teardown(self) -> None:
        """Drain without faults: all events are finished, all responses are sent, and a repetition changes nothing.

        The operator sets DryRun to false before that: events that have started wait until then.
        """
        account = self.account
        self.operator_changes_the_stack(replace(account.limits, dry_run=False))
        account.run(messages_first=True)
        assert account.violations == []
        assert account.sqs.messages == []
        assert account.pending == []
        for message in account.sqs.dead_letters:
            status = account.status_of_message.get(message.message_id)
            assert status == "REJECTED" or "Rejected" in message.attributes
            assert not message.group
        for model in account.models:
            self.check_end(model)
        fixed = [
            model
            for model in account.models
            if not account.has_failed(model) and "olderThanHours" not in (model.select or {})
        ]
        for _ in range(2):
            once = deepcopy(account.jobs.jobs)
            for model in fixed[:6]:
                account.send(model, {})
                account.run(messages_first=True)
        assert account.jobs.jobs == once

    def check_end(self, model: EventModel) -> None:
        """Nothing is lost, and CloudFormation always gets a response for which it still waits."""
        if self.account.has_failed(model):
            return
        assert model.last, f"no report of {model.event}"
        if not model.is_teardown:
            is_dead = any(message.event == model.event for message in self.account.sqs.dead_letters)
            assert model.last["status"] != "UNFINISHED" or model.last["dryRun"] or is_dead, f"unfinished: {model.event}"
            return
        is_too_late = model.last_at >= model.requested_at + model.timeout
        assert model.responses or is_too_late, f"no response to {model.event}"
        responses = [response for response in model.responses if response.is_comparable]
        for first, second in pairwise(responses):
            if first.version == second.version and "olderThanHours" not in (model.select or {}):
                assert first.body["Status"] == second.body["Status"], f"{first} and then {second} to {model.event}"


def model_of_request(event: dict[str, Any], document: dict[str, Any]) -> EventModel:
    named = [document["jobId"]] if "jobId" in document else document.get("jobIds", [])
    return EventModel(
        event,
        job_ids=tuple(named),
        select=document.get("select"),
        force=document.get("force"),
        dry_run=document.get("dryRun"),
        max_jobs=document.get("maxJobs"),
        wait=document.get("waitForExecutionsMinutes", 0),
    )


def in_a_template(select: dict[str, Any]) -> dict[str, Any]:
    """The keys in PascalCase, and every number a string."""
    return {
        key[0].upper() + key[1:]: value if isinstance(value, str | list | dict) else str(value)
        for key, value in select.items()
    }


@pytest.fixture
def machine(new_log: Callable[[], Log], monkeypatch: pytest.MonkeyPatch) -> type[AccountMachine]:
    logs = new_log(), new_log()
    for log in logs:
        monkeypatch.setattr(log.telemetry._logger._logger, "propagate", False)  # pytest would store every line

    class Machine(AccountMachine):
        pass

    Machine.logs = logs
    return Machine


def run_histories(
    machine: type[AccountMachine], histories: int, record_property: Callable[[str, object], None]
) -> None:
    """Run this number of histories, and record the figures for the summary."""
    totals.clear()
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=histories,
            stateful_step_count=STEPS,
            derandomize=not SOAK,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            report_multiple_bugs=False,
            phases=PHASES,
        ),
    )
    record_property(
        FIGURES,
        f"account: {totals['examples']:,} histories, {totals['deliveries']:,} deliveries, "
        f"{totals['crashes']:,} crashes, {totals['faults']:,} faults; no guarantee broken",
    )


def test_account_keeps_the_guarantees(
    machine: type[AccountMachine], record_property: Callable[[str, object], None]
) -> None:
    run_histories(machine, 200, record_property)
    assert totals["deliveries"] >= 2_000


# Bugs that the machine found, each in the fewest steps.

FLEET = {"jobIdGlob": "fw-*"}
FIVE_MINUTES = {"WaitForExecutionsMinutes": "5"}


def running(**fields: Any) -> FakeJob:
    return FakeJob(executions={"t1": "IN_PROGRESS"}, **fields)


def new_account(machine: type[AccountMachine], *, force: bool = False) -> AccountMachine:
    """An account with the job fw-1."""
    started = machine()
    started.account.limits = replace(started.account.limits, force=force)
    started.create_job("fw-1", running(tags={"env": "dev"}))
    return started


def test_deletion_waits_for_jobs_canceled_by_its_second_delivery(
    machine: type[AccountMachine],
) -> None:
    """The message of the second delivery is dropped, for it differs from the first one's only in what it waits for."""
    state = new_account(machine)
    state.cloudformation_requests("Delete", FLEET, FIVE_MINUTES, is_generated=False, plan={})
    state.create_job("fw-2", running())
    state.redeliver(0, {})
    state.device_acts(0, 0)
    state.sqs_delivers(0, {}, is_late=False)


def test_poll_does_not_cancel_a_new_job_with_the_same_id(machine: type[AccountMachine]) -> None:
    state = new_account(machine)
    state.cloudformation_requests("Delete", {"tags": {"env": "dev"}}, FIVE_MINUTES, is_generated=False, plan={})
    state.job_is_replaced(0, running())
    state.sqs_delivers(0, {}, is_late=False)


def test_executions_of_a_deployment_canceled_during_the_selection_continue(machine: type[AccountMachine]) -> None:
    """The plain listing shows it as active, its namespace no longer does. So it reads as a plain job."""
    state = new_account(machine, force=True)
    state.job_is_replaced(0, running(namespace="aws-gg-deployment"))
    state.account.concurrent = [lambda _number: state.another_caller_cancels(0, is_forced=False)]
    state.cloudformation_requests("Delete", FLEET, {}, is_generated=False, plan={3: ("concurrent", 0)})
