"""Whatever arrives cancels nothing beyond the policy, raises nothing but what is documented, and is reported once."""

import copy
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, override
from urllib.parse import urlsplit

import pytest
import urllib3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.app import lambda_handler
from handler.cancellation.request import StackLimits
from handler.cloudformation.response import Responder
from handler.errors import ResponseUndelivered
from handler.pipeline import Services
from tests.conftest import Log
from tests.support.bus import FakeBus
from tests.support.fakes import LIMITS, FakeBacklog, FakeClock, FakeContext, FakeJob, FakeJobs, config

EVENTS = [json.loads(path.read_text()) for path in sorted((Path(__file__).parents[2] / "events").rglob("*.json"))]
NAMED = "firmware-2026-11"  # the job that the real events name

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
        "detail-type": st.sampled_from(
            [
                "IoT Job Cancellation Requested",
                "CloudWatch Alarm State Change",
                "AWS API Call via CloudTrail",
                "Scheduled Event",
                "CloudFormation Stack Status Change",
            ]
        )
        | any_json,
        "source": st.sampled_from(
            ["aws.cloudwatch", "aws.cloudformation", "aws.iot", "aws.events", "aws.scheduler", "x"]
        )
        | any_json,
        "detail": details,
    },
    optional={"id": any_json},
)
custom_resources = st.fixed_dictionaries(
    {
        "RequestType": st.sampled_from(["Create", "Update", "Delete"]) | any_json,
        "ResponseURL": st.sampled_from(["https://x.s3.amazonaws.com/p?secret", "https://example.com/p?secret"])
        | any_json,
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
whole_custom_resources = st.fixed_dictionaries(
    {
        "RequestType": st.sampled_from(["Create", "Update", "Delete"]),
        "ResponseURL": st.just("https://x.s3.amazonaws.com/p?secret"),
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
    """A real event with up to three things in it replaced or left out."""
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
    event: object, attributes: object = None, receives: object = "1", arn: str = FakeBacklog.arn
) -> dict[str, Any]:
    """The event as a message of one of the function's own queues."""
    record = {
        "messageId": "m-1",
        "receiptHandle": "r-1",
        "body": event if isinstance(event, str) else json.dumps(event),
        "attributes": {"ApproximateReceiveCount": receives},
        "messageAttributes": attributes,
        "eventSource": "aws:sqs",
        "eventSourceARN": arn,
    }
    return {"Records": [record]}


attributes = any_json | st.fixed_dictionaries(
    {},
    optional={
        "FirstSeenAt": st.fixed_dictionaries({"stringValue": texts | st.sampled_from(["0", "nan", "inf", "1e999"])}),
        "Admitted": st.fixed_dictionaries({"stringValue": texts}) | any_json,
        "WaitsFor": st.fixed_dictionaries({"stringValue": texts | st.sampled_from([NAMED, "ota-1,ota-2", ","])}),
        "WaitsSince": st.fixed_dictionaries({"stringValue": texts | st.sampled_from(["0", "nan", "1795521600.0"])}),
    },
)
hostile = any_json | near_requests.map(lambda request: {"cancel": request}) | envelopes | custom_resources
messages = st.builds(
    on_the_backlog,
    hostile | whole_custom_resources | mutated(),
    attributes,
    st.sampled_from(["1", "99", "x", "", "²", 1]),
    st.sampled_from([FakeBacklog.arn, FakeBacklog.teardown_arn]),
)
hostile_or_real = hostile | whole_custom_resources | mutated() | messages


WAITS = {"WaitsFor": {"stringValue": f"{NAMED},ota-1"}, "WaitsSince": {"stringValue": "1795521600.000"}}
DELETE = {
    "RequestType": "Delete",
    "ResponseURL": "https://x.s3.amazonaws.com/p?secret",
    "RequestId": "r",
    "StackId": "s",
    "LogicalResourceId": "l",
    "PhysicalResourceId": NAMED,
    "ResourceProperties": {"JobId": NAMED, "WaitForExecutionsMinutes": "5"},
}


class FakePool(urllib3.PoolManager):
    """Takes every request and keeps its URL and body; nothing leaves the process."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[tuple[str, bytes]] = []

    def request(self, method: str, url: str, *_args: Any, body: Any = None, **_kwargs: Any) -> Any:
        assert method == "PUT"
        self.sent.append((url, body))
        return urllib3.HTTPResponse(status=200)


class Leases(FakeBacklog):
    """Every message is leased, whatever its handle reads."""

    @override
    def change_message_visibility(self, **_arguments: object) -> None:
        """ChangeMessageVisibility."""


class Run:
    """One delivery of an event to a function of the policy, which knows three running jobs."""

    def __init__(self, log: Log, policy: StackLimits, event: object) -> None:
        log.stream.seek(0)
        log.stream.truncate()
        clock = FakeClock()
        self.pool = FakePool()
        self.jobs = FakeJobs(
            {job_id: FakeJob(executions={"thing": "IN_PROGRESS"}) for job_id in (NAMED, "ota-1", "ota-2")}
        )
        self.backlog = Leases(clock)
        responder = Responder(self.pool, clock.sleep, lambda _least, most: most)
        services = Services(
            replace(config(policy=policy), sweep_job_id_glob="*", sweep_older_than_hours=1),
            self.jobs.behind,
            self.backlog.port,
            FakeBus().port,
            responder,
            log.telemetry,
            clock,
            clock.sleep,
            clock.utc_now,
        )
        self.report: Any = None
        with suppress(ResponseUndelivered):
            self.report = lambda_handler(event, FakeContext(clock), services)
        self.reports = [line["report"] for line in log.lines if line["message"] == "report"]


@pytest.fixture(scope="module")
def one_log(new_log: Callable[[], Log]) -> Log:
    return new_log()


NESTED: Any = None
for _ in range(400):
    NESTED = [NESTED]


@given(event=any_json)
@example(event=NESTED)
@example(event={"detail-type": NESTED, "source": NESTED, "detail": NESTED, "id": NESTED})
@example(event={"RequestType": NESTED, "ResponseURL": NESTED})
@example(event={"Records": [{"eventSource": "aws:sqs", "body": json.dumps({"cancel": {"jobId": NAMED}})}]})
@example(event={"body": {"cancel": {"jobId": NAMED}}})
@example(event=[{"cancel": {"jobId": NAMED}}])
def test_what_is_no_request_is_rejected_without_a_call(one_log: Log, event: object) -> None:
    run = Run(one_log, LIMITS, event)
    assert (run.report["status"], run.jobs.calls, run.pool.sent) == ("REJECTED", [], [])


@given(event=hostile_or_real)
@settings(max_examples=300)
@example(event={"cancel": {"jobId": NAMED}})
@example(event={"cancel": {"jobIds": ["ota-1", NAMED]}})
@example(event={"cancel": {"jobId": "ota-1", "maxJobs": 10**5000}})
@example(event=on_the_backlog({"cancel": {"jobId": "ota-1", "waitForExecutionsMinutes": 5}}, WAITS))
@example(event={"RequestType": "Delete", "ResponseURL": "https://x.s3.amazonaws.com/p?secret", "StackId": NESTED})
def test_no_event_cancels_a_job_outside_the_prefix(one_log: Log, event: object) -> None:
    run = Run(one_log, replace(LIMITS, force=True, job_id_prefix="ota-"), event)
    assert NAMED not in run.jobs.cancelled
    assert run.jobs.jobs[NAMED] == FakeJob(executions={"thing": "IN_PROGRESS"})


@given(event=hostile_or_real)
@settings(max_examples=200)
@example(event={"cancel": {"jobId": NAMED, "dryRun": False}})
@example(event={"cancel": {"jobId": NAMED}})
def test_no_event_cancels_anything_on_a_stack_that_only_plans(one_log: Log, event: object) -> None:
    run = Run(one_log, replace(LIMITS, dry_run=True), event)
    assert "CancelJob" not in {operation for operation, _ in run.jobs.calls}


@given(event=hostile_or_real)
@settings(max_examples=200)
@example(event={"cancel": {"jobId": NAMED, "force": True}})
@example(event={"cancel": {"jobId": NAMED, "force": 1}})
@example(event={"cancel": {"jobId": NAMED}})
def test_no_event_forces_where_the_stack_does_not(one_log: Log, event: object) -> None:
    run = Run(one_log, LIMITS, event)
    assert all(job.executions == {"thing": "IN_PROGRESS"} for job in run.jobs.jobs.values())


# A message that says that it was admitted was held against the cap before; only the function may write to the queue.
@given(
    event=hostile
    | whole_custom_resources
    | mutated().filter(lambda event: "Waits" not in json.dumps(event) and "Admitted" not in json.dumps(event))
)
@settings(max_examples=200)
@example(event={"cancel": {"select": {"jobIdGlob": "ota-*"}}})
@example(event=on_the_backlog({"cancel": {"select": {"jobIdGlob": "ota-*"}}}))
@example(event={"cancel": {"jobIds": ["ota-1", "ota-2"]}})
@example(event={"cancel": {"jobIds": ["ota-1", "ota-1"]}})
@example(event={"cancel": {"jobIds": ["ota-1", "ota-2"], "maxJobs": 2}})
def test_no_event_cancels_more_jobs_than_the_cap(one_log: Log, event: object) -> None:
    run = Run(one_log, replace(LIMITS, max_jobs=1), event)
    assert len(run.jobs.cancelled) <= 1


@given(event=hostile_or_real)
@settings(max_examples=300)
@example(event={"RequestType": "Delete", "ResponseURL": "https://example.com/p?secret"})
@example(event={"id": "\ud800", "detail-type": "Scheduled Event"})
@example(event=on_the_backlog({"cancel": {"jobId": NAMED}}, {"FirstSeenAt": {"stringValue": "soon"}}))
@example(event=on_the_backlog("no JSON"))
@example(event=on_the_backlog("[" * 200_000))
@example(event=on_the_backlog(on_the_backlog({"cancel": {"jobId": NAMED}})))
@example(event=on_the_backlog({"cancel": {"jobId": NAMED}}, {"WaitsFor": {"stringValue": ","}}))
@example(event=on_the_backlog(DELETE, WAITS, arn=FakeBacklog.teardown_arn))
def test_every_event_gives_exactly_one_report_and_it_is_the_one_returned(one_log: Log, event: object) -> None:
    run = Run(one_log, LIMITS, event)
    assert len(run.reports) == 1
    returned = run.report or {"batchItemFailures": []}
    assert "batchItemFailures" in returned or json.loads(json.dumps(returned)) == run.reports[0]


@given(event=whole_custom_resources | mutated() | custom_resources)
@settings(max_examples=200)
def test_cloudformation_is_answered_at_most_once_at_its_own_host_and_in_4096_bytes(one_log: Log, event: Any) -> None:
    run = Run(one_log, LIMITS, event)
    assert len(run.pool.sent) <= 1
    for url, body in run.pool.sent:
        assert str(urlsplit(url).hostname).endswith(".amazonaws.com")
        assert len(body) <= 4096
        assert json.loads(body)["RequestId"] == event["RequestId"]


@given(event=whole_custom_resources)
@settings(max_examples=200)
@example(event=DELETE)
def test_a_request_of_cloudformation_is_answered_with_its_ids_unless_it_waits(
    one_log: Log, event: dict[str, Any]
) -> None:
    run = Run(one_log, LIMITS, event)
    if run.backlog.messages:
        assert (run.backlog.events, run.report["status"], run.pool.sent) == ([event], "UNFINISHED", [])
        return
    ((url, body),) = run.pool.sent
    answer = json.loads(body)
    assert url == event["ResponseURL"]
    assert {key: answer[key] for key in ("StackId", "RequestId", "LogicalResourceId")} == {
        key: event[key] for key in ("StackId", "RequestId", "LogicalResourceId")
    }
    assert answer["Status"] in {"SUCCESS", "FAILED"}
    assert answer["PhysicalResourceId"]
    physical_id = event["PhysicalResourceId"]
    if event["RequestType"] == "Delete" and isinstance(physical_id, str) and physical_id:
        assert answer["PhysicalResourceId"] == physical_id
