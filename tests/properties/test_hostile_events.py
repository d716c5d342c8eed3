"""Any event stays within the limits of the stack, raises only documented errors, and is reported once."""

import copy
import json
import re
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cancellation.request import StackLimits
from handler.errors import ResponseUndelivered, TeardownFailed
from tests.conftest import Log
from tests.support.aws_lambda import Lambda
from tests.support.fakes import LIMITS, FakeClock, FakeJob, FakeJobs, config
from tests.support.response_url import FakePool
from tests.support.sqs import FakeSqs
from tools.simulators.events import delete_request, sns_event, sqs_event

EVENTS = [json.loads(path.read_text()) for path in sorted((Path(__file__).parents[2] / "events").rglob("*.json"))]
ENVELOPES = [event for event in EVENTS if "detail-type" in event]
NAMED = "firmware-2026-11"  # the job that the real events name
RESPONSE_URL = "https://x.s3.amazonaws.com/p?secret"

# Anything that json.loads can give, lone surrogates and NaN included.
texts = st.text(st.characters(exclude_categories=()), max_size=20)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
any_json = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=8
)

# Requests that are nearly one: the right keys, and values that are right, nearly right or anything.
values: st.SearchStrategy[Any] = st.sampled_from(
    [NAMED, "ota-1", "ota-2", [NAMED], ["ota-1", "ota-2"], [], {}, True, False, None, 0, 1, 2, 10**9]
)
selects = st.dictionaries(
    st.sampled_from(["jobIdGlob", "tags", "thingGroupName", "olderThanHours", "status", "targetSelection", "x"]),
    st.sampled_from(["*", "ota-*", "firmware*", {"a": "b"}, 1, 0, ["SCHEDULED"], ["IN_PROGRESS"]]) | any_json,
    max_size=4,
)
near_requests = st.dictionaries(
    st.sampled_from(
        [
            *("jobId", "jobIds", "force", "dryRun", "maxJobs", "reasonCode", "comment", "select", "JobId"),
            "waitForExecutionsMinutes",
        ]
    ),
    values | selects | any_json,
    max_size=5,
)
PROPERTIES = [
    *("JobId", "Select", "Force", "DryRun", "MaxJobs", "OnIncomplete", "Comment"),
    *("WaitForExecutionsMinutes", "ServiceTimeout"),
]
details = st.fixed_dictionaries({"cancel": near_requests}) | near_requests | any_json
envelopes = st.fixed_dictionaries(
    {
        "detail-type": st.sampled_from(sorted({event["detail-type"] for event in ENVELOPES})) | any_json,
        "source": st.sampled_from(sorted({event["source"] for event in ENVELOPES})) | any_json,
        "detail": details,
    },
    optional={"id": any_json},
)
custom_resources = st.fixed_dictionaries(
    {
        "RequestType": st.sampled_from(["Create", "Update", "Delete"]) | any_json,
        "ResponseURL": st.sampled_from([RESPONSE_URL, "https://example.com/p?secret"]) | any_json,
    },
    optional={
        "RequestId": texts,
        "StackId": texts | any_json,
        "LogicalResourceId": texts,
        "PhysicalResourceId": values | any_json,
        "ResourceProperties": st.dictionaries(
            st.sampled_from(PROPERTIES),
            values | any_json,
        )
        | any_json,
    },
)
# Alarms that are nearly one, in each shape.
ALARM_ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:iot-job-failures-fleet"
states = st.sampled_from(["ALARM", "ALARM", "OK"]) | any_json
alarm_names = st.sampled_from(["iot-job-failures-fleet", "night", "canceler/RunsRejected"]) | any_json
alarm_arns = st.sampled_from([ALARM_ARN, ALARM_ARN.replace("eu-west-1", "us-east-1"), "arn:aws:cloudwatch"]) | any_json
job_ids = st.sampled_from([NAMED, "ota-1", "a b"]) | any_json
expressions = st.sampled_from(["m1 + m2", "SELECT MAX(x) FROM y GROUP BY JobId"]) | any_json
metrics = st.lists(
    job_ids.map(lambda job_id: {"metricStat": {"metric": {"dimensions": {"JobId": job_id}}}})
    | expressions.map(lambda expression: {"expression": expression})
    | any_json,
    max_size=3,
)
contributors = job_ids.map(lambda job_id: {"attributes": {"JobId": job_id}}) | any_json
alarm_data = st.fixed_dictionaries(
    {
        "alarmName": alarm_names,
        "state": states.map(lambda state: {"value": state}) | any_json,
        "configuration": metrics.map(lambda each: {"metrics": each}) | any_json,
    },
    optional={"alarmContributor": contributors, "muteDetail": any_json},
)
alarm_actions = st.builds(
    lambda arn, data: {"source": "aws.cloudwatch", "alarmArn": arn, "alarmData": data},
    alarm_arns,
    alarm_data | any_json,
)
dimensions = st.lists(job_ids.map(lambda job_id: {"name": "JobId", "value": job_id}) | any_json, max_size=2)
triggers = st.fixed_dictionaries(
    {},
    optional={
        "Dimensions": dimensions | any_json,
        "Metrics": st.lists(
            dimensions.map(lambda each: {"MetricStat": {"Metric": {"Dimensions": each}}})
            | expressions.map(lambda expression: {"Expression": expression})
            | any_json,
            max_size=2,
        ),
    },
)
alarm_messages = st.fixed_dictionaries(
    {"AlarmName": alarm_names, "AlarmArn": alarm_arns, "NewStateValue": states, "Trigger": triggers | any_json},
    optional={"AlarmContributorAttributes": job_ids.map(lambda job_id: {"JobId": job_id}) | any_json},
)
alarm_events = st.builds(
    lambda kind, data: {
        "source": "aws.cloudwatch",
        "detail-type": f"CloudWatch Alarm {kind}State Change",
        "detail": data,
    },
    st.sampled_from(["", "Contributor "]),
    alarm_data | any_json,
)
alarms = alarm_events | alarm_actions | alarm_messages.map(sns_event)
whole_custom_resources = st.fixed_dictionaries(
    {
        "RequestType": st.sampled_from(["Create", "Update", "Delete"]),
        "ResponseURL": st.just(RESPONSE_URL),
        "RequestId": texts.filter(bool),
        "StackId": texts.filter(bool),
        "LogicalResourceId": texts.filter(bool),
        "PhysicalResourceId": values | any_json,
        "ResourceProperties": st.dictionaries(
            st.sampled_from(PROPERTIES),
            values | any_json,
        ),
    }
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of everything in `value`, but for itself."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield (*path, key)
        yield from places(item, (*path, key))


@st.composite
def mutated(draw: st.DrawFn) -> Any:
    """A real event with up to three things in it replaced or removed."""
    event = copy.deepcopy(draw(st.sampled_from(EVENTS)))
    for _ in range(draw(st.integers(0, 3))):
        found = list(places(event))
        if not found:
            break
        *path, last = draw(st.sampled_from(found))
        holder = event
        for key in path:
            holder = holder[key]
        if draw(st.booleans()):
            holder[last] = draw(values | any_json)
        else:
            del holder[last]
    return event


def on_the_backlog(
    event: object, attributes: object = None, receives: object = "1", arn: str = FakeSqs.arn
) -> dict[str, Any]:
    """The event as a message of one of the function's own queues."""
    return sqs_event(arn, event, attributes={"ApproximateReceiveCount": receives}, messageAttributes=attributes)


attributes = any_json | st.fixed_dictionaries(
    {},
    optional={
        "FirstSeenAt": st.fixed_dictionaries({"stringValue": texts | st.sampled_from(["0", "nan", "inf", "1e999"])}),
        "Admitted": st.fixed_dictionaries({"stringValue": texts}) | any_json,
        "WaitsFor": st.fixed_dictionaries({"stringValue": texts | st.sampled_from([NAMED, "ota-1,ota-2", ","])}),
        "WaitsSince": st.fixed_dictionaries({"stringValue": texts | st.sampled_from(["0", "nan", "1795521600.0"])}),
    },
)
terraform = st.fixed_dictionaries(
    {
        "cancel": near_requests | any_json,
        "tf": st.fixed_dictionaries(
            {"action": st.sampled_from(["create", "update", "delete"]) | any_json},
            optional={"prev_input": st.fixed_dictionaries({"cancel": near_requests}) | any_json},
        )
        | any_json,
    }
)
requests = near_requests.map(lambda request: {"cancel": request})
hostile = (
    any_json
    | requests
    | envelopes
    | custom_resources
    | alarms
    | terraform
    | (requests | envelopes | any_json).map(sns_event)
)
messages = st.builds(
    on_the_backlog,
    hostile | whole_custom_resources | mutated(),
    attributes,
    st.sampled_from(["1", "99", "x", "", "²", 1]),
    st.sampled_from([FakeSqs.arn, FakeSqs.teardown_arn]),
)
hostile_or_real = hostile | whole_custom_resources | mutated() | messages


WAITS = {"WaitsFor": {"stringValue": f"{NAMED},ota-1"}, "WaitsSince": {"stringValue": "1795521600.000"}}
DELETE = delete_request(NAMED, RESPONSE_URL, {"JobId": NAMED, "WaitForExecutionsMinutes": "5"}) | {
    "StackId": "s",
    "LogicalResourceId": "l",
}


class Run:
    """One delivery of an event to a function with these limits, in an account with three running jobs."""

    def __init__(self, log: Log, limits: StackLimits, event: object) -> None:
        log.stream.seek(0)
        log.stream.truncate()
        function = Lambda(FakeClock(), log)
        function.sqs.checks_receipts = False
        self.queues, self.pool = function.sqs, FakePool()
        running = {"thing": "IN_PROGRESS"}
        self.jobs = FakeJobs({job_id: FakeJob(executions=dict(running)) for job_id in (NAMED, "ota-1", "ota-2")})
        function.wire(
            replace(
                config(limits=limits),
                sweep_job_id_glob="*",
                sweep_older_than_hours=1,
                alarm_name_prefix="iot-job-failures-",
            ),
            self.jobs.behind,
            self.pool,
        )
        self.report: Any = None
        with redirect_stdout(StringIO()) as metrics, suppress(ResponseUndelivered, TeardownFailed):
            self.report = function.invoke(event)
        self.metrics = metrics.getvalue()
        self.reports = function.reports


@pytest.fixture(scope="module")
def one_log(new_log: Callable[[], Log]) -> Log:
    return new_log()


NESTED: Any = None
for _ in range(400):
    NESTED = [NESTED]


UNTOUCHED = FakeJob(executions={"thing": "IN_PROGRESS"})


def check_one(log: Log, limits: StackLimits, event: Any) -> None:
    """Check the invariants of every event, from any generator."""
    run = Run(log, limits, event)
    assert len(run.reports) == 1
    returned = run.report or {"batchItemFailures": []}
    returned.pop("PhysicalResourceId", None)  # not part of the report
    assert "batchItemFailures" in returned or json.loads(json.dumps(returned)) == run.reports[0]
    for job_id, job in run.jobs.jobs.items():
        assert job == UNTOUCHED or (job_id.startswith(limits.job_id_prefix) and not limits.dry_run)
        assert job.executions == UNTOUCHED.executions or limits.force
    # A message whose attributes say that the limit was checked is trusted: only the function may write to the queues.
    records = event.get("Records") if isinstance(event, dict) else None
    if not re.search("Admitted|Waits", repr(records)):
        assert len(run.jobs.canceled) <= limits.max_jobs
    assert {operation for operation, _ in run.jobs.calls}.isdisjoint({"CancelJob"} if limits.dry_run else ())
    assert len(run.pool.received) <= 1
    for request in run.pool.received:
        assert str(urlsplit(request.target).hostname).endswith(".amazonaws.com")
        assert len(request.body) <= 4096
        assert records or request.response["RequestId"] == event["RequestId"]
    lines = log.text.splitlines()
    assert log.text.count("\n") == len(lines)
    assert all(line.isprintable() for line in lines)
    assert all(json.loads(line) for line in [*lines, *run.metrics.splitlines()])
    assert "p?secret" not in log.text


all_limits = st.builds(
    StackLimits,
    force=st.booleans(),
    dry_run=st.booleans(),
    max_jobs=st.sampled_from([1, 100]),
    job_id_prefix=st.sampled_from(["", "ota-"]),
    protection_tag_key=st.just("cancel-protection"),
)
FORCED, PREFIXED = replace(LIMITS, force=True), replace(LIMITS, job_id_prefix="ota-")
FORCED_AND_PREFIXED, ONE_JOB = replace(PREFIXED, force=True), replace(LIMITS, max_jobs=1)
DRY = replace(LIMITS, dry_run=True)
TWO = ["ota-1", "ota-2"]
SELECT_TWO = {"cancel": {"select": {"jobIdGlob": "ota-*"}}}
ADMITTED = {"Admitted": {"stringValue": "true"}}
EXAMPLES: list[tuple[StackLimits, Any]] = [
    (FORCED_AND_PREFIXED, {"cancel": {"jobId": NAMED}}),
    (FORCED_AND_PREFIXED, {"cancel": {"jobIds": ["ota-1", NAMED]}}),
    (FORCED_AND_PREFIXED, {"cancel": {"jobId": "ota-1", "maxJobs": 10**5000}}),
    (FORCED_AND_PREFIXED, on_the_backlog({"cancel": {"jobId": "ota-1", "waitForExecutionsMinutes": 5}}, WAITS)),
    (FORCED_AND_PREFIXED, {"RequestType": "Delete", "ResponseURL": RESPONSE_URL, "StackId": NESTED}),
    (DRY, {"cancel": {"jobId": NAMED, "dryRun": False}}),
    (DRY, {"cancel": {"jobId": NAMED}}),
    (LIMITS, {"cancel": {"jobId": NAMED, "force": True}}),
    (LIMITS, {"cancel": {"jobId": NAMED, "force": 1}}),
    (LIMITS, {"cancel": {"jobId": NAMED}}),
    (ONE_JOB, SELECT_TWO),
    (ONE_JOB, on_the_backlog(SELECT_TWO)),
    (ONE_JOB, {"cancel": {"jobIds": TWO}}),
    (ONE_JOB, {"cancel": {"jobIds": ["ota-1", "ota-1"]}}),
    (ONE_JOB, {"cancel": {"jobIds": TWO, "maxJobs": 2}}),
    (LIMITS, {"RequestType": "Delete", "ResponseURL": "https://example.com/p?secret"}),
    (LIMITS, {"id": "\ud800", "detail-type": "Scheduled Event"}),
    (LIMITS, on_the_backlog({"cancel": {"jobId": NAMED}}, {"FirstSeenAt": {"stringValue": "soon"}})),
    (LIMITS, on_the_backlog("no JSON")),
    (LIMITS, on_the_backlog("[" * 200_000)),
    (LIMITS, on_the_backlog(on_the_backlog({"cancel": {"jobId": NAMED}}))),
    (LIMITS, on_the_backlog({"cancel": {"jobId": NAMED}}, {"WaitsFor": {"stringValue": ","}})),
    (LIMITS, on_the_backlog(DELETE, WAITS, arn=FakeSqs.teardown_arn)),
    (ONE_JOB, {"cancel": {"jobId": NAMED}, "tf": {"action": "update", "prev_input": {"cancel": {"jobIds": TWO}}}}),
    (DRY, {"cancel": {"jobId": NAMED}, "tf": {"action": "delete"}}),
    (LIMITS, {"cancel": {"select": NESTED}, "tf": {"action": "delete"}}),
    (LIMITS, sns_event("[" * 200_000)),
    (LIMITS, sns_event(sns_event({"cancel": {"jobId": NAMED}}))),
    (LIMITS, sns_event(on_the_backlog({"cancel": {"jobId": NAMED}}))),
    (PREFIXED, sns_event({"cancel": {"jobId": NAMED}})),
    (DRY, sns_event({"cancel": {"jobIds": TWO}})),
    (LIMITS, {"Records": [{"eventSource": "aws:sqs", "messageId": "\ud800"}]}),
    (LIMITS, {"source": "aws.cloudwatch", "alarmArn": ALARM_ARN, "alarmData": NESTED}),
    (LIMITS, {"\ud800\n": 1, "\x1b[0m": 2}),
    (PREFIXED, NESTED),
    (PREFIXED, on_the_backlog({"cancel": {"jobId": NAMED}}, ADMITTED, receives="9" * 400)),
    (PREFIXED, {**DELETE, "ResourceProperties": {"ServiceTimeout": 10**400}}),
]


def with_examples[Test: Callable[..., None]](test: Test) -> Test:
    for limits, event in EXAMPLES:
        test = example(limits=limits, event=event)(test)
    return test


@with_examples
@given(limits=all_limits, event=hostile_or_real)
@settings(max_examples=600)
def test_no_event_breaks_an_invariant(one_log: Log, limits: StackLimits, event: object) -> None:
    check_one(one_log, limits, event)


@given(event=whole_custom_resources)
@settings(max_examples=200)
@example(event=DELETE)
def test_response_has_the_ids_of_the_request(one_log: Log, event: dict[str, Any]) -> None:
    run = Run(one_log, LIMITS, event)
    if run.queues.messages:
        assert (run.queues.events, run.report["status"], run.pool.received) == ([event], "UNFINISHED", [])
        return
    (request,) = run.pool.received
    response = request.response
    assert request.target == event["ResponseURL"]
    assert {key: response[key] for key in ("StackId", "RequestId", "LogicalResourceId")} == {
        key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")
    }
    assert response["Status"] in {"SUCCESS", "FAILED"}
    assert response["PhysicalResourceId"]
    physical_id = event["PhysicalResourceId"]
    if event["RequestType"] == "Delete" and isinstance(physical_id, str) and physical_id:
        assert response["PhysicalResourceId"] == physical_id
