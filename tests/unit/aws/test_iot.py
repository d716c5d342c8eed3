"""The IoT client: its timeouts and attempts, the gate before each call, and how each response is read."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, override
from unittest.mock import Mock

import botocore.exceptions
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.parsers import ResponseParserError
from botocore.retries.standard import ExponentialBackoff, RetryContext
from botocore.stub import Stubber

from handler.aws import eventbridge, sqs
from handler.aws.iot import MAX_CALL_SECONDS, IotJobs, iot_client
from handler.cancellation.job import Job, JobStatus, JobSummary
from handler.cancellation.rate import Deadline, Gate, RateLimits, Uniform
from handler.cancellation.request import CancelReason
from handler.errors import (
    AccessDenied,
    ExecutionEnded,
    JobNotCancelable,
    JobNotFound,
    JobsError,
    JobsUnavailable,
    OutOfTime,
)
from tests.support.fakes import FakeClock, endless, longest
from tools.simulators.faults import answer_lost, failing, throttled, unavailable
from tools.simulators.iot import IotSimulator
from tools.simulators.iot_server import in_process

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"
ARN = f"arn:aws:iot:{REGION}:123456789012:job/a"
REASON = CancelReason("a test", "STALE", "old")


class RecordingGate(Gate):
    """A gate without a rate limit that records the operations, for a run of `seconds`. Each call has one attempt."""

    def __init__(self, clock: FakeClock, seconds: float = 300.0, uniform: Uniform = endless) -> None:
        rate_limits = RateLimits(1_000_000.0, clock, clock.sleep)
        super().__init__(rate_limits, Deadline(seconds, clock), uniform, call_seconds=MAX_CALL_SECONDS)
        self.operations: list[str] = []

    @override
    def acquire(self, operation: str) -> None:
        self.operations.append(operation)
        super().acquire(operation)


@pytest.fixture(scope="module")
def client() -> Iterator["IoTClient"]:
    """Return the client of the function, in the environment that Lambda sets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        yield iot_client()


@pytest.fixture
def gate(clock: FakeClock) -> RecordingGate:
    return RecordingGate(clock)


@pytest.fixture
def iot(client: "IoTClient", gate: Gate) -> IotJobs:
    return IotJobs(client, gate)


@pytest.fixture
def stub(client: "IoTClient") -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[IotSimulator]:
    """Return a simulator with the rules of the service. The backoff of the SDK takes no time."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)
    with in_process(REGION) as rules:
        yield rules


# The client


def test_the_sdk_has_timeouts_of_seconds_and_one_attempt(client: "IoTClient") -> None:
    config: Any = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 3)
    assert config.retries == {"mode": "standard", "total_max_attempts": 1}


def test_the_longest_call_includes_the_wait_that_the_service_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether IoT, SQS or EventBridge send x-amz-retry-after is not documented."""
    monkeypatch.setattr("botocore.retries.standard.NEW_RETRIES_ENABLED", True)
    refusal = AWSResponse(
        "https://iot.eu-west-1.amazonaws.com", 503, HTTPHeaders.from_pairs([("x-amz-retry-after", "60000")]), None
    )
    context = RetryContext(attempt_number=1, http_response=refusal)
    assert 5 <= ExponentialBackoff(random=lambda: 1.0).delay_amount(context) <= 6
    assert MAX_CALL_SECONDS == 1 + 3
    assert sqs.MAX_CALL_SECONDS == eventbridge.MAX_CALL_SECONDS == 2 * (1 + 1) + 6


# The gate


EVERY_OPERATION = pytest.mark.parametrize(
    ("operation", "call"),
    [
        ("CancelJob", lambda iot: iot.cancel("a", force=False, reason_code="R", comment="c")),
        ("DescribeJob", lambda iot: iot.describe("a")),
        ("ListTagsForResource", lambda iot: iot.tags(ARN)),
        ("ListJobs", lambda iot: list(iot.list_jobs(JobStatus.IN_PROGRESS))),
        ("ListJobExecutionsForJob", lambda iot: list(iot.running_things("a"))),
        ("CancelJobExecution", lambda iot: iot.cancel_execution("a", "thing")),
    ],
)


@EVERY_OPERATION
def test_no_call_is_made_if_it_might_not_end_before_the_deadline(
    operation: str, call: Callable[[IotJobs], object], client: "IoTClient", stub: Stubber, clock: FakeClock
) -> None:
    gate = RecordingGate(clock, MAX_CALL_SECONDS - 0.001)
    with pytest.raises(OutOfTime):
        call(IotJobs(client, gate))
    assert gate.operations == [operation]
    stub.assert_no_pending_responses()


# Parameters and results


def test_a_cancel_passes_every_parameter(iot: IotJobs, stub: Stubber) -> None:
    expected = {"jobId": "a", "force": True, "reasonCode": "STALE", "comment": "old"}
    stub.add_response("cancel_job", {"jobId": "a"}, expected)
    iot.cancel("a", force=True, reason_code="STALE", comment="old")
    stub.assert_no_pending_responses()


def test_a_described_job_is_read(iot: IotJobs, stub: Stubber) -> None:
    details = {"numberOfInProgressThings": 3, "numberOfQueuedThings": 4}
    job = {"jobArn": ARN, "jobId": "a", "status": "SCHEDULED", "jobProcessDetails": details}
    stub.add_response("describe_job", {"job": job}, {"jobId": "a"})
    assert iot.describe("a") == Job("a", ARN, "SCHEDULED", 3, is_draining=True)


@pytest.mark.parametrize(
    ("fields", "is_draining"),
    [
        ({}, False),
        ({"isConcurrent": False}, False),
        ({"isConcurrent": True}, True),
        ({"jobProcessDetails": {"numberOfQueuedThings": 0}}, False),
        ({"jobProcessDetails": {"numberOfQueuedThings": 1}}, True),
        ({"jobProcessDetails": {"numberOfInProgressThings": 5, "numberOfSucceededThings": 9}}, False),
        ({"isConcurrent": True, "jobProcessDetails": {"numberOfQueuedThings": 0}}, True),
        ({"isConcurrent": False, "jobProcessDetails": {"numberOfQueuedThings": 2}}, True),
    ],
)
def test_a_job_with_queued_executions_is_draining(
    fields: dict[str, object], is_draining: bool, iot: IotJobs, stub: Stubber
) -> None:
    stub.add_response("describe_job", {"job": {"jobArn": ARN, "status": "CANCELED", **fields}}, {"jobId": "a"})
    assert iot.describe("a").is_draining is is_draining


@pytest.mark.parametrize("details", [{}, {"jobProcessDetails": {}}])
def test_a_job_without_counts_has_no_running_execution(iot: IotJobs, stub: Stubber, details: dict[str, object]) -> None:
    stub.add_response("describe_job", {"job": {"jobArn": ARN, "status": "CANCELED", **details}})
    assert iot.describe("a") == Job("a", ARN, "CANCELED", 0)


@pytest.mark.parametrize("response", [{}, {"job": {}}, {"job": {"status": "CANCELED"}}, {"job": {"jobArn": ARN}}])
def test_a_described_job_without_arn_or_status_is_unavailable(
    iot: IotJobs, stub: Stubber, response: dict[str, object]
) -> None:
    stub.add_response("describe_job", response)
    with pytest.raises(JobsUnavailable) as caught:
        iot.describe("a")
    assert caught.value.code == "MalformedResponse"


def test_the_tags_of_all_pages_are_read(iot: IotJobs, gate: RecordingGate, stub: Stubber) -> None:
    first = {"tags": [{"Key": "a", "Value": "1"}, {"Key": "b"}], "nextToken": "t"}
    stub.add_response("list_tags_for_resource", first, {"resourceArn": ARN})
    last = {"tags": [{"Key": "c", "Value": "3"}]}
    stub.add_response("list_tags_for_resource", last, {"resourceArn": ARN, "nextToken": "t"})
    assert iot.tags(ARN) == {"a": "1", "b": "", "c": "3"}
    assert gate.operations == ["ListTagsForResource"] * 2
    stub.assert_no_pending_responses()


def test_a_job_may_have_no_tags(iot: IotJobs, stub: Stubber) -> None:
    """The service model does not require the list."""
    stub.add_response("list_tags_for_resource", {}, {"resourceArn": ARN})
    assert iot.tags(ARN) == {}


def test_the_targets_and_the_namespace_of_a_job_are_read(iot: IotJobs, stub: Stubber) -> None:
    group = f"arn:aws:iot:{REGION}:123456789012:thinggroup/g"
    job = {"jobArn": ARN, "status": "SCHEDULED", "targets": [group], "namespaceId": "aws-gg-deployment"}
    stub.add_response("describe_job", {"job": job}, {"jobId": "a"})
    assert iot.describe("a") == Job("a", ARN, "SCHEDULED", 0, (group,), "aws-gg-deployment")


# Listing

SINCE, LATER = datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 11, 2, tzinfo=UTC)


def listed(job_id: str, **fields: object) -> dict[str, object]:
    row = {"jobArn": f"arn:{job_id}", "jobId": job_id, "createdAt": SINCE, "lastUpdatedAt": LATER}
    return row | {"targetSelection": "SNAPSHOT", "status": "IN_PROGRESS", **fields}


def listing(iot: IotJobs, namespace: str | None = None) -> list[str]:
    return [job.job_id for job in iot.list_jobs(JobStatus.IN_PROGRESS, namespace)]


def test_all_pages_of_jobs_are_listed_through_the_gate(iot: IotJobs, gate: RecordingGate, stub: Stubber) -> None:
    parameters = {"status": "IN_PROGRESS", "maxResults": 250}
    stub.add_response("list_jobs", {"jobs": [listed("a"), listed("b")], "nextToken": "1"}, parameters)
    stub.add_response("list_jobs", {"jobs": [], "nextToken": "2"}, parameters | {"nextToken": "1"})
    stub.add_response("list_jobs", {"jobs": [listed("c")]}, parameters | {"nextToken": "2"})
    assert listing(iot) == ["a", "b", "c"]
    assert gate.operations == ["ListJobs"] * 3
    stub.assert_no_pending_responses()


def test_a_page_of_jobs_is_requested_when_the_last_one_was_read(
    iot: IotJobs, gate: RecordingGate, stub: Stubber
) -> None:
    stub.add_response("list_jobs", {"jobs": [listed("a")], "nextToken": "1"})
    jobs = iot.list_jobs(JobStatus.IN_PROGRESS)
    assert gate.operations == []
    assert next(jobs).job_id == "a"
    assert gate.operations == ["ListJobs"]


def test_a_namespace_is_a_parameter_of_every_page(iot: IotJobs, stub: Stubber) -> None:
    parameters = {"status": "IN_PROGRESS", "maxResults": 250, "namespaceId": "aws-gg-deployment"}
    stub.add_response("list_jobs", {"jobs": [listed("a")], "nextToken": "1"}, parameters)
    stub.add_response("list_jobs", {"jobs": [listed("b")]}, parameters | {"nextToken": "1"})
    assert listing(iot, "aws-gg-deployment") == ["a", "b"]
    stub.assert_no_pending_responses()


def test_a_listed_job_is_read(iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("list_jobs", {"jobs": [listed("a", targetSelection="CONTINUOUS")]})
    (job,) = iot.list_jobs(JobStatus.IN_PROGRESS)
    assert job == JobSummary("a", "arn:a", "CONTINUOUS", SINCE, LATER)


@pytest.mark.parametrize("page", [{}, {"jobs": []}, {"jobs": [], "nextToken": ""}])
def test_a_listing_may_be_empty(iot: IotJobs, stub: Stubber, page: dict[str, object]) -> None:
    stub.add_response("list_jobs", page)
    assert listing(iot) == []


def test_a_listed_job_may_have_no_target_selection(iot: IotJobs, stub: Stubber) -> None:
    stub.add_response(
        "list_jobs", {"jobs": [{key: row for key, row in listed("a").items() if key != "targetSelection"}]}
    )
    assert [job.target_selection for job in iot.list_jobs(JobStatus.IN_PROGRESS)] == [""]


@pytest.mark.parametrize("missing", ["jobId", "jobArn", "createdAt", "lastUpdatedAt"])
def test_a_listed_job_without_a_required_key_is_unavailable(missing: str, iot: IotJobs, stub: Stubber) -> None:
    row = {key: value for key, value in listed("b").items() if key != missing}
    stub.add_response("list_jobs", {"jobs": [listed("a"), row]})
    with pytest.raises(JobsUnavailable) as caught:
        listing(iot)
    assert str(caught.value) == f"MalformedResponse: ListJobs returned a job without '{missing}'"


def test_a_repeated_page_of_jobs_is_an_error(iot: IotJobs, stub: Stubber) -> None:
    """Moto repeats its second page."""
    for _ in range(2):
        stub.add_response("list_jobs", {"jobs": [listed("a")], "nextToken": "1"})
    with pytest.raises(JobsError) as caught:
        listing(iot)
    assert (type(caught.value), caught.value.code) == (JobsError, "RepeatedToken")


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        ("ThrottlingException", 400, JobsUnavailable),
        ("ServiceUnavailableException", 503, JobsUnavailable),
        ("AccessDeniedException", 403, AccessDenied),
        ("InvalidRequestException", 400, JobNotCancelable),
        ("ResourceNotFoundException", 404, JobNotFound),
    ],
)
@pytest.mark.parametrize("page", [1, 2])
def test_an_error_of_a_page_is_raised(
    code: str, status: int, error: type[JobsError], page: int, iot: IotJobs, stub: Stubber
) -> None:
    if page == 2:
        stub.add_response("list_jobs", {"jobs": [listed("a")], "nextToken": "1"})
    stub.add_client_error("list_jobs", code, "the words", status)
    with pytest.raises(error):
        listing(iot)


def test_the_pages_of_the_simulator_are_read(iot: IotJobs, backend: IotSimulator) -> None:
    for number in range(601):
        backend.add_job(f"job-{number:04}", status="IN_PROGRESS" if number % 2 else "SCHEDULED")
    assert sorted(listing(iot)) == [f"job-{number:04}" for number in range(1, 601, 2)]
    assert backend.calls == [("ListJobs", "IN_PROGRESS/1"), ("ListJobs", "IN_PROGRESS/2")]


# Executions

THING = f"arn:aws:iot:{REGION}:123456789012:thing/"


def execution(name: str, status: str = "IN_PROGRESS") -> dict[str, object]:
    return {"thingArn": f"{THING}{name}", "jobExecutionSummary": {"status": status, "executionNumber": 1}}


def running(iot: IotJobs) -> list[str]:
    return list(iot.running_things("a"))


def test_all_pages_of_executions_are_listed_through_the_gate(iot: IotJobs, gate: RecordingGate, stub: Stubber) -> None:
    parameters = {"jobId": "a", "status": "IN_PROGRESS", "maxResults": 250}
    for page, token in (
        ({"executionSummaries": [execution("x"), execution("y")], "nextToken": "1"}, {}),
        ({"executionSummaries": [], "nextToken": "2"}, {"nextToken": "1"}),
        ({"executionSummaries": [execution("z")]}, {"nextToken": "2"}),
    ):
        stub.add_response("list_job_executions_for_job", page, parameters | token)
    assert running(iot) == ["x", "y", "z"]
    assert gate.operations == ["ListJobExecutionsForJob"] * 3
    stub.assert_no_pending_responses()


@pytest.mark.parametrize("name", ["thing", "a:b", ":", "a:thing/b", "A-z_0:9", "x" * 128])
def test_the_name_of_a_thing_may_contain_a_colon(name: str, iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("list_job_executions_for_job", {"executionSummaries": [execution(name)]})
    assert running(iot) == [name]


def test_only_executions_in_progress_are_returned(iot: IotJobs, stub: Stubber) -> None:
    statuses = ["QUEUED", "IN_PROGRESS", "SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "REMOVED", "CANCELED"]
    page = {
        "executionSummaries": [
            *(execution(f"thing-{status}", status) for status in statuses),
            {"thingArn": f"{THING}without"},
            {"thingArn": f"{THING}empty", "jobExecutionSummary": {}},
        ]
    }
    stub.add_response("list_job_executions_for_job", page)
    assert running(iot) == ["thing-IN_PROGRESS"]


@pytest.mark.parametrize(
    "arn", [{}, {"thingArn": ""}, {"thingArn": "thing"}, {"thingArn": THING}, {"thingArn": "arn:aws:iot:x:1:job/a"}]
)
def test_an_execution_without_a_thing_is_unavailable(arn: dict[str, str], iot: IotJobs, stub: Stubber) -> None:
    page = {"executionSummaries": [{"jobExecutionSummary": {"status": "IN_PROGRESS"}, **arn}]}
    stub.add_response("list_job_executions_for_job", page)
    with pytest.raises(JobsUnavailable) as caught:
        running(iot)
    assert caught.value.code == "MalformedResponse"


def test_a_listing_ends_with_out_of_time_between_two_pages(
    client: "IoTClient", stub: Stubber, clock: FakeClock
) -> None:
    stub.add_response("list_job_executions_for_job", {"executionSummaries": [execution("x")], "nextToken": "1"})
    things = IotJobs(client, RecordingGate(clock, MAX_CALL_SECONDS)).running_things("a")
    assert next(things) == "x"
    clock.advance(1)
    with pytest.raises(OutOfTime):
        next(things)


def test_an_execution_is_canceled_with_force(iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("cancel_job_execution", {}, {"jobId": "a", "thingName": "b:c", "force": True})
    iot.cancel_execution("a", "b:c")
    stub.assert_no_pending_responses()


def test_a_name_with_a_colon_is_encoded_in_the_url(iot: IotJobs, backend: IotSimulator) -> None:
    backend.add_job("a", status="CANCELED", executions={"b:c": "IN_PROGRESS", "b": "IN_PROGRESS"})
    iot.cancel_execution("a", "b:c")
    assert running(iot) == ["b"]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, ("", "")),
        ({"reasonCode": "STALE", "comment": "too old"}, ("STALE", "too old")),
        ({"comment": "too old"}, ("", "too old")),
        ({"reasonCode": "STALE"}, ("STALE", "")),
    ],
)
def test_the_reason_code_and_comment_of_a_job_are_read(
    fields: dict[str, str], reason: tuple[str, str], iot: IotJobs, stub: Stubber
) -> None:
    stub.add_response("describe_job", {"job": {"jobArn": ARN, "status": "CANCELED", **fields}}, {"jobId": "a"})
    job = iot.describe("a")
    assert (job.reason_code, job.comment) == reason


@pytest.mark.parametrize("fields", [{}, {"description": "October image"}])
def test_the_description_of_a_job_is_read(fields: dict[str, str], iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("describe_job", {"job": {"jobArn": ARN, "status": "CANCELED", **fields}}, {"jobId": "a"})
    assert iot.describe("a").description == fields.get("description", "")


# Errors

ERRORS: list[Any] = [
    ("ResourceNotFoundException", 404, JobNotFound),
    ("InvalidRequestException", 400, JobNotCancelable),
    ("InvalidStateTransitionException", 409, ExecutionEnded),
    ("AccessDenied", 403, AccessDenied),
    ("AccessDeniedException", 403, AccessDenied),
    ("UnauthorizedException", 401, AccessDenied),
    ("InternalFailureException", 500, JobsUnavailable),
    ("LimitExceededException", 410, JobsUnavailable),
    ("RequestLimitExceeded", 503, JobsUnavailable),
    ("ServiceUnavailableException", 503, JobsUnavailable),
    ("Throttling", 400, JobsUnavailable),
    ("ThrottlingException", 400, JobsUnavailable),
    ("TooManyRequestsException", 429, JobsUnavailable),
    ("SomethingNew", 429, JobsUnavailable),
    ("SomethingNew", 500, JobsUnavailable),
    ("SomethingNew", 503, JobsUnavailable),
    ("SomethingNew", 499, JobsError),
    ("SomethingNew", 400, JobsError),
    ("ExpiredTokenException", 403, JobsError),
    ("VersionConflictException", 409, JobsUnavailable),
    ("", 400, JobsError),
    ("", 502, JobsUnavailable),
]


@pytest.mark.parametrize(("code", "status", "error"), ERRORS)
def test_an_error_code_becomes_the_same_error_for_every_call(
    code: str, status: int, error: type[JobsError], iot: IotJobs, stub: Stubber
) -> None:
    for operation in (
        *("cancel_job", "describe_job", "list_tags_for_resource", "list_jobs"),
        *("list_job_executions_for_job", "cancel_job_execution"),
    ):
        stub.add_client_error(operation, code, "the words", status)
    raised = []
    for call in (
        lambda: iot.cancel("a", force=False, reason_code="R", comment="c"),
        lambda: iot.describe("a"),
        lambda: iot.tags(ARN),
        lambda: listing(iot),
        lambda: running(iot),
        lambda: iot.cancel_execution("a", "thing"),
    ):
        with pytest.raises(JobsError) as caught:
            call()
        raised.append((type(caught.value), caught.value.code, str(caught.value)))
    assert raised == [(error, code, f"{code}: the words")] * 6


def test_an_error_without_a_code_is_unknown(iot: IotJobs, client: "IoTClient") -> None:
    def fail(**_: object) -> None:
        raise botocore.exceptions.ClientError({}, "DescribeJob")

    client.meta.events.register("before-parameter-build.iot.DescribeJob", fail)
    try:
        with pytest.raises(JobsError) as caught:
            iot.describe("a")
    finally:
        client.meta.events.unregister("before-parameter-build.iot.DescribeJob", fail)
    assert (type(caught.value), str(caught.value)) == (JobsError, "Unknown: ")


URL = "https://iot.eu-west-1.amazonaws.com/jobs/a"
SDK_ERRORS: list[Any] = [
    (botocore.exceptions.EndpointConnectionError(endpoint_url=URL), JobsUnavailable),
    (botocore.exceptions.ConnectTimeoutError(endpoint_url=URL), JobsUnavailable),
    (botocore.exceptions.ReadTimeoutError(endpoint_url=URL), JobsUnavailable),
    (botocore.exceptions.ConnectionClosedError(endpoint_url=URL), JobsUnavailable),
    (botocore.exceptions.ProxyConnectionError(proxy_url=URL), JobsUnavailable),
    (botocore.exceptions.SSLError(endpoint_url=URL, error=OSError("no")), JobsUnavailable),
    (botocore.exceptions.HTTPClientError(error="no"), JobsUnavailable),
    (ResponseParserError("no"), JobsUnavailable),
    (botocore.exceptions.NoCredentialsError(), JobsError),
]


@pytest.mark.parametrize(("sdk_error", "error"), SDK_ERRORS)
def test_an_error_of_the_sdk_is_translated(
    sdk_error: Exception, error: type[JobsError], iot: IotJobs, client: "IoTClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)

    def send(**_: object) -> None:
        raise sdk_error

    client.meta.events.register("before-send.iot.DescribeJob", send)
    try:
        with pytest.raises(JobsError) as caught:
            iot.describe("a")
    finally:
        client.meta.events.unregister("before-send.iot.DescribeJob", send)
    assert (type(caught.value), caught.value.code) == (error, type(sdk_error).__name__)


@pytest.fixture
def responses(client: "IoTClient") -> Iterator[list[tuple[int, bytes]]]:
    """Return a list of responses, each a status and a body, that the service sends one after the other."""
    pending: list[tuple[int, bytes]] = []

    def send(**_: object) -> Any:
        status, body = pending.pop(0)
        return AWSResponse(URL, status, HTTPHeaders(), Mock(stream=lambda **_: iter([body])))

    client.meta.events.register("before-send.iot", send)
    yield pending
    client.meta.events.unregister("before-send.iot", send)


# botocore treats each of them as a response without members, which is an empty listing.
UNREADABLE = [b"", b"<html>not JSON", b'{"jobs": [{"jobId": "a"', b"null", b"[]", b'{"message": "Bad Gateway"}']
JOB = [b"", b"<html>not JSON", b"[1]", b'"job"', b'{"job": 5}', b'{"job": []}']
JOBS = [*UNREADABLE, b"[1]", b'"jobs"', b'{"jobs": 5}', b'{"jobs": [5]}', b'{"jobs": [{"createdAt": "x"}]}']
TAGS = [
    *UNREADABLE,
    b"[1]",
    b'"tags"',
    b'{"tags": 5}',
    b'{"tags": [5]}',
    b'{"tags": [{}]}',
    b'{"tags": [{"Value": ""}]}',
]


@pytest.mark.parametrize(
    ("call", "body"),
    [
        *((lambda iot: iot.describe("a"), body) for body in JOB),
        *((listing, body) for body in JOBS),
        *((lambda iot: iot.tags(ARN), body) for body in TAGS),
        *((running, body) for body in UNREADABLE),
    ],
)
def test_an_unreadable_response_is_unavailable(
    call: Callable[[IotJobs], object], body: bytes, iot: IotJobs, responses: list[tuple[int, bytes]]
) -> None:
    responses.append((200, body))
    with pytest.raises(JobsUnavailable) as caught:
        call(iot)
    assert caught.value.code == "MalformedResponse"


@pytest.mark.parametrize("body", [b"{}", b'{"jobs": []}', b'{"nextToken": null}', b'{"jobs": [], "else": 1}'])
def test_a_listing_without_jobs_is_empty(body: bytes, iot: IotJobs, responses: list[tuple[int, bytes]]) -> None:
    """The service model requires none of the members."""
    responses.append((200, body))
    assert listing(iot) == []


def test_the_body_of_an_error_is_not_checked(iot: IotJobs, responses: list[tuple[int, bytes]]) -> None:
    responses.append((404, b"<html>"))
    with pytest.raises(JobsError) as caught:
        listing(iot)
    assert (type(caught.value), caught.value.code) == (JobsError, "404")


# Against the simulator: further attempts


@pytest.fixture
def retrying(client: "IoTClient", clock: FakeClock) -> IotJobs:
    return IotJobs(client, RecordingGate(clock, uniform=longest))


@pytest.mark.parametrize("error", [throttled, unavailable, answer_lost])
def test_a_call_has_up_to_five_attempts(retrying: IotJobs, backend: IotSimulator, clock: FakeClock, error: Any) -> None:
    backend.add_job("a")
    backend.fault = failing("DescribeJob", error, times=4)
    assert retrying.describe("a").status == "IN_PROGRESS"
    assert backend.calls == [("DescribeJob", "a")] * 5
    assert clock.slept == [7.0] * 4


@pytest.mark.parametrize("error", [throttled, unavailable, answer_lost])
def test_a_call_has_no_sixth_attempt(retrying: IotJobs, backend: IotSimulator, error: Any) -> None:
    backend.add_job("a")
    backend.fault = failing("DescribeJob", error, times=5)
    with pytest.raises(JobsUnavailable):
        retrying.describe("a")
    assert backend.calls == [("DescribeJob", "a")] * 5


@EVERY_OPERATION
def test_each_attempt_passes_the_gate(
    operation: str, call: Callable[[IotJobs], object], client: "IoTClient", backend: IotSimulator, clock: FakeClock
) -> None:
    backend.add_job("a", executions={"thing": "IN_PROGRESS"})
    backend.fault = failing(operation, throttled, times=1)
    gate = RecordingGate(clock, uniform=longest)
    call(IotJobs(client, gate))
    assert gate.operations == [operation] * 2


def test_a_call_has_no_further_attempt_without_time_for_it(
    client: "IoTClient", backend: IotSimulator, clock: FakeClock
) -> None:
    backend.add_job("a")
    backend.fault = failing("DescribeJob", throttled, times=9)
    gate = RecordingGate(clock, 7 + MAX_CALL_SECONDS + 1, uniform=longest)
    with pytest.raises(JobsUnavailable) as caught:
        IotJobs(client, gate).describe("a")
    assert caught.value.code == "ThrottlingException"
    assert (gate.operations, clock.slept) == (["DescribeJob"] * 2, [7.0])


def test_a_refused_call_has_one_attempt(retrying: IotJobs, backend: IotSimulator) -> None:
    with pytest.raises(JobNotFound):
        retrying.describe("a")
    assert backend.calls == [("DescribeJob", "a")]
