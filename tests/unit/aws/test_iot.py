"""The adapter: its time-outs, how often it tries, and what each answer of the service means."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders
from botocore.parsers import ResponseParserError
from botocore.stub import Stubber

from handler.aws.iot import IotJobs, iot_client
from handler.cancellation.job import Job, JobStatus, JobSummary
from handler.cancellation.request import CancelRequest
from handler.errors import (
    AccessDenied,
    ExecutionEnded,
    JobNotCancelable,
    JobNotFound,
    JobsError,
    JobsUnavailable,
    OutOfTime,
)
from tests.support.fakes import FakeClock, canceler
from tools.simulators.faults import answer_lost, failing, throttled, unavailable
from tools.simulators.iot import IotSimulator
from tools.simulators.iot_server import in_process

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"
ARN = f"arn:aws:iot:{REGION}:123456789012:job/a"
REQUEST = CancelRequest(("a",), None, force=False, dry_run=False, max_jobs=100, reason_code="STALE", comment="old")


@pytest.fixture(scope="module")
def client() -> Iterator["IoTClient"]:
    """The function's own client, from the environment that Lambda sets."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.delenv("AWS_SESSION_TOKEN", raising=False)
        patch.delenv("AWS_PROFILE", raising=False)
        patch.delenv("AWS_ENDPOINT_URL", raising=False)
        yield iot_client()


@pytest.fixture
def iot(client: "IoTClient") -> IotJobs:
    return IotJobs(client)


@pytest.fixture
def stub(client: "IoTClient") -> Iterator[Stubber]:
    with Stubber(client) as stubber:
        yield stubber


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[IotSimulator]:
    """The service's rules; the SDK's back-off takes no time."""
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)
    with in_process(REGION) as rules:
        yield rules


# The client


def test_a_call_ends_long_before_an_invocation_does(client: "IoTClient") -> None:
    config: Any = client.meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 3)
    assert config.retries == {"mode": "standard", "total_max_attempts": 2}


def test_the_worst_call_is_two_attempts_and_the_longest_wait_between_them() -> None:
    assert IotJobs.worst_call == 2 * (1 + 3) + 1


# What is asked and read


def test_a_cancel_hands_everything_on(iot: IotJobs, stub: Stubber) -> None:
    expected = {"jobId": "a", "force": True, "reasonCode": "STALE", "comment": "old"}
    stub.add_response("cancel_job", {"jobId": "a"}, expected)
    iot.cancel("a", force=True, reason_code="STALE", comment="old")
    stub.assert_no_pending_responses()


def test_a_job_is_read(iot: IotJobs, stub: Stubber) -> None:
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
def test_a_job_that_the_service_is_not_done_with_is_draining(
    fields: dict[str, object], is_draining: bool, iot: IotJobs, stub: Stubber
) -> None:
    stub.add_response("describe_job", {"job": {"jobArn": ARN, "status": "CANCELED", **fields}}, {"jobId": "a"})
    assert iot.describe("a").is_draining is is_draining


@pytest.mark.parametrize("details", [{}, {"jobProcessDetails": {}}])
def test_a_job_without_figures_has_no_execution_in_progress(
    iot: IotJobs, stub: Stubber, details: dict[str, object]
) -> None:
    stub.add_response("describe_job", {"job": {"jobArn": ARN, "status": "CANCELED", **details}})
    assert iot.describe("a") == Job("a", ARN, "CANCELED", 0)


@pytest.mark.parametrize("answer", [{}, {"job": {}}, {"job": {"status": "CANCELED"}}, {"job": {"jobArn": ARN}}])
def test_an_answer_without_a_status_is_asked_for_again_and_not_guessed(
    iot: IotJobs, stub: Stubber, answer: dict[str, object]
) -> None:
    stub.add_response("describe_job", answer)
    with pytest.raises(JobsUnavailable) as caught:
        iot.describe("a")
    assert caught.value.code == "MalformedResponse"


def test_the_tags_of_all_pages_are_read(iot: IotJobs, stub: Stubber) -> None:
    first = {"tags": [{"Key": "a", "Value": "1"}, {"Key": "b"}], "nextToken": "t"}
    stub.add_response("list_tags_for_resource", first, {"resourceArn": ARN})
    last = {"tags": [{"Key": "c", "Value": "3"}]}
    stub.add_response("list_tags_for_resource", last, {"resourceArn": ARN, "nextToken": "t"})
    assert iot.tags(ARN) == {"a": "1", "b": "", "c": "3"}
    stub.assert_no_pending_responses()


def test_an_answer_without_tags_is_that_of_a_job_without_tags(iot: IotJobs, stub: Stubber) -> None:
    """The service model does not require the list. Nothing is selected then, and IAM protects what it protects."""
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


def listing(iot: IotJobs, namespace: str | None = None, turns: list[int] | None = None) -> list[str]:
    jobs = iot.list_jobs(JobStatus.IN_PROGRESS, lambda: (turns if turns is not None else []).append(1), namespace)
    return [job.job_id for job in jobs]


def test_all_pages_are_listed_with_a_turn_before_each(iot: IotJobs, stub: Stubber) -> None:
    asked = {"status": "IN_PROGRESS", "maxResults": 250}
    stub.add_response("list_jobs", {"jobs": [listed("a"), listed("b")], "nextToken": "1"}, asked)
    stub.add_response("list_jobs", {"jobs": [], "nextToken": "2"}, asked | {"nextToken": "1"})
    stub.add_response("list_jobs", {"jobs": [listed("c")]}, asked | {"nextToken": "2"})
    turns: list[int] = []
    assert listing(iot, turns=turns) == ["a", "b", "c"]
    assert len(turns) == 3
    stub.assert_no_pending_responses()


def test_a_page_is_asked_for_only_once_the_last_one_was_read(iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("list_jobs", {"jobs": [listed("a")], "nextToken": "1"})
    turns: list[int] = []
    jobs = iot.list_jobs(JobStatus.IN_PROGRESS, lambda: turns.append(1))
    assert turns == []
    assert next(jobs).job_id == "a"
    assert len(turns) == 1


def test_a_namespace_is_asked_for_on_every_page(iot: IotJobs, stub: Stubber) -> None:
    asked = {"status": "IN_PROGRESS", "maxResults": 250, "namespaceId": "aws-gg-deployment"}
    stub.add_response("list_jobs", {"jobs": [listed("a")], "nextToken": "1"}, asked)
    stub.add_response("list_jobs", {"jobs": [listed("b")]}, asked | {"nextToken": "1"})
    assert listing(iot, "aws-gg-deployment") == ["a", "b"]
    stub.assert_no_pending_responses()


def test_a_listed_job_is_read(iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("list_jobs", {"jobs": [listed("a", targetSelection="CONTINUOUS")]})
    (job,) = iot.list_jobs(JobStatus.IN_PROGRESS, lambda: None)
    assert job == JobSummary("a", "arn:a", "CONTINUOUS", SINCE, LATER)


@pytest.mark.parametrize("page", [{}, {"jobs": []}, {"jobs": [], "nextToken": ""}])
def test_an_empty_listing_is_one(iot: IotJobs, stub: Stubber, page: dict[str, object]) -> None:
    stub.add_response("list_jobs", page)
    assert listing(iot) == []


def test_a_job_of_no_known_kind_is_of_none(iot: IotJobs, stub: Stubber) -> None:
    stub.add_response(
        "list_jobs", {"jobs": [{key: row for key, row in listed("a").items() if key != "targetSelection"}]}
    )
    assert [job.target_selection for job in iot.list_jobs(JobStatus.IN_PROGRESS, lambda: None)] == [""]


@pytest.mark.parametrize("missing", ["jobId", "jobArn", "createdAt", "lastUpdatedAt"])
def test_a_job_that_is_listed_without_what_decides_is_no_empty_listing(
    missing: str, iot: IotJobs, stub: Stubber
) -> None:
    row = {key: value for key, value in listed("b").items() if key != missing}
    stub.add_response("list_jobs", {"jobs": [listed("a"), row]})
    with pytest.raises(JobsUnavailable) as caught:
        listing(iot)
    assert str(caught.value) == f"MalformedResponse: ListJobs answered a job without '{missing}'"


def test_a_page_that_comes_again_is_no_endless_listing(iot: IotJobs, stub: Stubber) -> None:
    """As moto does with its second page."""
    for _ in range(2):
        stub.add_response("list_jobs", {"jobs": [listed("a")], "nextToken": "1"})
    with pytest.raises(JobsError) as caught:
        listing(iot)
    assert (type(caught.value), caught.value.code) == (JobsError, "RepeatedToken")


@pytest.mark.parametrize(
    ("code", "status", "meaning"),
    [
        ("ThrottlingException", 400, JobsUnavailable),
        ("ServiceUnavailableException", 503, JobsUnavailable),
        ("AccessDeniedException", 403, AccessDenied),
        ("InvalidRequestException", 400, JobNotCancelable),
        ("ResourceNotFoundException", 404, JobNotFound),
    ],
)
@pytest.mark.parametrize("page", [1, 2])
def test_a_page_that_fails_is_raised(
    code: str, status: int, meaning: type[JobsError], page: int, iot: IotJobs, stub: Stubber
) -> None:
    if page == 2:
        stub.add_response("list_jobs", {"jobs": [listed("a")], "nextToken": "1"})
    stub.add_client_error("list_jobs", code, "the words", status)
    with pytest.raises(meaning):
        listing(iot)


def test_a_turn_that_is_refused_ends_the_listing_without_a_call(iot: IotJobs, stub: Stubber) -> None:
    def too_late() -> None:
        raise OutOfTime

    with pytest.raises(OutOfTime):
        list(iot.list_jobs(JobStatus.IN_PROGRESS, too_late))
    stub.assert_no_pending_responses()


def test_many_pages_are_read_over_the_services_rules(iot: IotJobs, backend: IotSimulator) -> None:
    for number in range(601):
        backend.add_job(f"job-{number:04}", status="IN_PROGRESS" if number % 2 else "SCHEDULED")
    assert sorted(listing(iot)) == [f"job-{number:04}" for number in range(1, 601, 2)]
    assert backend.calls == [("ListJobs", "IN_PROGRESS/1"), ("ListJobs", "IN_PROGRESS/2")]


# Executions

THING = f"arn:aws:iot:{REGION}:123456789012:thing/"


def execution(name: str, status: str = "IN_PROGRESS") -> dict[str, object]:
    return {"thingArn": f"{THING}{name}", "jobExecutionSummary": {"status": status, "executionNumber": 1}}


def running(iot: IotJobs, turns: list[int] | None = None) -> list[str]:
    return list(iot.running("a", lambda: (turns if turns is not None else []).append(1)))


def test_all_pages_of_executions_are_listed_with_a_turn_before_each(iot: IotJobs, stub: Stubber) -> None:
    asked = {"jobId": "a", "status": "IN_PROGRESS", "maxResults": 250}
    for page, token in (
        ({"executionSummaries": [execution("x"), execution("y")], "nextToken": "1"}, {}),
        ({"executionSummaries": [], "nextToken": "2"}, {"nextToken": "1"}),
        ({"executionSummaries": [execution("z")]}, {"nextToken": "2"}),
    ):
        stub.add_response("list_job_executions_for_job", page, asked | token)
    turns: list[int] = []
    assert running(iot, turns) == ["x", "y", "z"]
    assert len(turns) == 3
    stub.assert_no_pending_responses()


def test_a_page_of_executions_is_asked_for_only_once_the_last_one_was_read(iot: IotJobs, stub: Stubber) -> None:
    page = {"executionSummaries": [execution("x")], "nextToken": "1"}
    stub.add_response("list_job_executions_for_job", page)
    turns: list[int] = []
    things = iot.running("a", lambda: turns.append(1))
    assert turns == []
    assert next(things) == "x"
    assert len(turns) == 1


@pytest.mark.parametrize("name", ["thing", "a:b", ":", "a:thing/b", "A-z_0:9", "x" * 128])
def test_the_name_of_a_thing_may_hold_a_colon(name: str, iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("list_job_executions_for_job", {"executionSummaries": [execution(name)]})
    assert running(iot) == [name]


def test_only_what_is_in_progress_counts_though_a_listing_may_ignore_the_status(iot: IotJobs, stub: Stubber) -> None:
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


@pytest.mark.parametrize("page", [{}, {"executionSummaries": []}, {"executionSummaries": [], "nextToken": ""}])
def test_a_job_without_executions_has_none(page: dict[str, object], iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("list_job_executions_for_job", page)
    assert running(iot) == []


@pytest.mark.parametrize(
    "arn", [{}, {"thingArn": ""}, {"thingArn": "thing"}, {"thingArn": THING}, {"thingArn": "arn:aws:iot:x:1:job/a"}]
)
def test_an_execution_of_no_thing_is_asked_for_again_and_not_guessed(
    arn: dict[str, str], iot: IotJobs, stub: Stubber
) -> None:
    page = {"executionSummaries": [{"jobExecutionSummary": {"status": "IN_PROGRESS"}, **arn}]}
    stub.add_response("list_job_executions_for_job", page)
    with pytest.raises(JobsUnavailable) as caught:
        running(iot)
    assert caught.value.code == "MalformedResponse"


def test_a_page_of_executions_that_comes_again_is_an_error(iot: IotJobs, stub: Stubber) -> None:
    for _ in range(2):
        page = {"executionSummaries": [execution("x")], "nextToken": "1"}
        stub.add_response("list_job_executions_for_job", page)
    with pytest.raises(JobsError) as caught:
        running(iot)
    assert (type(caught.value), caught.value.code) == (JobsError, "RepeatedToken")


def test_no_page_of_executions_is_asked_for_once_there_is_no_time(iot: IotJobs, stub: Stubber) -> None:
    def too_late() -> None:
        raise OutOfTime

    with pytest.raises(OutOfTime):
        list(iot.running("a", too_late))
    stub.assert_no_pending_responses()


def test_an_execution_is_cancelled_with_force(iot: IotJobs, stub: Stubber) -> None:
    stub.add_response("cancel_job_execution", {}, {"jobId": "a", "thingName": "b:c", "force": True})
    iot.cancel_execution("a", "b:c")
    stub.assert_no_pending_responses()


def test_a_thing_whose_name_holds_a_colon_is_one_over_the_wire(iot: IotJobs, backend: IotSimulator) -> None:
    backend.add_job("a", status="CANCELED", executions={"b:c": "IN_PROGRESS", "b": "IN_PROGRESS"})
    iot.cancel_execution("a", "b:c")
    assert running(iot) == ["b"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, ("", "")),
        ({"reasonCode": "STALE", "comment": "too old"}, ("STALE", "too old")),
        ({"comment": "too old"}, ("", "too old")),
        ({"reasonCode": "STALE"}, ("STALE", "")),
    ],
)
def test_what_a_job_was_cancelled_with_is_read(
    fields: dict[str, str], told: tuple[str, str], iot: IotJobs, stub: Stubber
) -> None:
    stub.add_response("describe_job", {"job": {"jobArn": ARN, "status": "CANCELED", **fields}}, {"jobId": "a"})
    job = iot.describe("a")
    assert (job.reason_code, job.comment) == told


# What errors mean

MEANINGS: list[Any] = [
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


@pytest.mark.parametrize(("code", "status", "meaning"), MEANINGS)
def test_an_error_code_means_one_thing_for_every_call(
    code: str, status: int, meaning: type[JobsError], iot: IotJobs, stub: Stubber
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
    assert raised == [(meaning, code, f"{code}: the words")] * 6


def test_an_error_without_a_code_is_still_an_error(iot: IotJobs, client: "IoTClient") -> None:
    def answer(**_: object) -> None:
        raise botocore.exceptions.ClientError({}, "DescribeJob")

    client.meta.events.register("before-parameter-build.iot.DescribeJob", answer)
    try:
        with pytest.raises(JobsError) as caught:
            iot.describe("a")
    finally:
        client.meta.events.unregister("before-parameter-build.iot.DescribeJob", answer)
    assert (type(caught.value), str(caught.value)) == (JobsError, "Unknown: ")


URL = "https://iot.eu-west-1.amazonaws.com/jobs/a"
TROUBLE: list[Any] = [
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


@pytest.mark.parametrize(("trouble", "meaning"), TROUBLE)
def test_a_service_out_of_reach_is_unavailable(
    trouble: Exception, meaning: type[JobsError], iot: IotJobs, client: "IoTClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", lambda _self, _context: 0)

    def send(**_: object) -> None:
        raise trouble

    client.meta.events.register("before-send.iot.DescribeJob", send)
    try:
        with pytest.raises(JobsError) as caught:
            iot.describe("a")
    finally:
        client.meta.events.unregister("before-send.iot.DescribeJob", send)
    assert (type(caught.value), caught.value.code) == (meaning, type(trouble).__name__)


@pytest.fixture
def answers(client: "IoTClient") -> Iterator[list[bytes]]:
    """Bodies that the service answers, one after the other, with the status 200."""
    bodies: list[bytes] = []

    class Raw:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield bodies.pop(0)

    def send(**_: object) -> Any:
        return AWSResponse(URL, 200, HTTPHeaders(), Raw())

    client.meta.events.register("before-send.iot", send)
    yield bodies
    client.meta.events.unregister("before-send.iot", send)


@pytest.mark.parametrize("body", [b"", b"<html>not JSON", b"[1]", b'"job"', b'{"job": 5}', b'{"job": []}'])
def test_an_answer_that_cannot_be_read_is_unavailable(body: bytes, iot: IotJobs, answers: list[bytes]) -> None:
    answers.append(body)
    with pytest.raises(JobsUnavailable) as caught:
        iot.describe("a")
    assert caught.value.code == "MalformedResponse"


# botocore takes each of them for an answer without members, which is an empty listing.
NO_ANSWERS = [b"", b"<html>not JSON", b'{"jobs": [{"jobId": "a"', b"null", b"[]", b'{"message": "Bad Gateway"}']


@pytest.mark.parametrize(
    "body", [*NO_ANSWERS, b"[1]", b'"jobs"', b'{"jobs": 5}', b'{"jobs": [5]}', b'{"jobs": [{"createdAt": "x"}]}']
)
def test_a_page_that_cannot_be_read_is_no_empty_listing(body: bytes, iot: IotJobs, answers: list[bytes]) -> None:
    answers.append(body)
    with pytest.raises(JobsUnavailable) as caught:
        listing(iot)
    assert caught.value.code == "MalformedResponse"


@pytest.mark.parametrize(
    "body",
    [
        *NO_ANSWERS,
        b"[1]",
        b'"tags"',
        b'{"tags": 5}',
        b'{"tags": [5]}',
        b'{"tags": [{}]}',
        b'{"tags": [{"Value": "x"}]}',
    ],
)
def test_tags_that_cannot_be_read_are_not_no_tags(body: bytes, iot: IotJobs, answers: list[bytes]) -> None:
    answers.append(body)
    with pytest.raises(JobsUnavailable) as caught:
        iot.tags(ARN)
    assert caught.value.code == "MalformedResponse"


@pytest.mark.parametrize("body", NO_ANSWERS)
def test_executions_that_cannot_be_read_are_not_none(body: bytes, iot: IotJobs, answers: list[bytes]) -> None:
    answers.append(body)
    with pytest.raises(JobsUnavailable) as caught:
        running(iot)
    assert caught.value.code == "MalformedResponse"


@pytest.mark.parametrize("body", [b"{}", b'{"jobs": []}', b'{"nextToken": null}', b'{"jobs": [], "else": 1}'])
def test_a_listing_of_nothing_is_one(body: bytes, iot: IotJobs, answers: list[bytes]) -> None:
    """The service model requires none of the members."""
    answers.append(body)
    assert listing(iot) == []


def test_the_body_of_an_error_need_not_be_read(iot: IotJobs, client: "IoTClient") -> None:
    class Raw:
        def stream(self, **_: object) -> Iterator[bytes]:
            yield b"<html>"

    def send(**_: object) -> Any:
        return AWSResponse(URL, 404, HTTPHeaders(), Raw())

    client.meta.events.register("before-send.iot", send)
    try:
        with pytest.raises(JobsError) as caught:
            listing(iot)
    finally:
        client.meta.events.unregister("before-send.iot", send)
    assert (type(caught.value), caught.value.code) == (JobsError, "404")


# Over the service's rules, with the SDK's own attempts


@pytest.mark.parametrize("error", [throttled, unavailable, answer_lost])
def test_the_sdk_tries_twice(iot: IotJobs, backend: IotSimulator, error: Any) -> None:
    backend.add_job("a")
    backend.fault = failing("DescribeJob", error, times=1)
    assert iot.describe("a").status == "IN_PROGRESS"
    assert backend.calls == [("DescribeJob", "a")] * 2


@pytest.mark.parametrize("error", [throttled, unavailable, answer_lost])
def test_and_not_a_third_time(iot: IotJobs, backend: IotSimulator, error: Any) -> None:
    backend.add_job("a")
    backend.fault = failing("DescribeJob", error, times=2)
    with pytest.raises(JobsUnavailable):
        iot.describe("a")
    assert backend.calls == [("DescribeJob", "a")] * 2


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_job_is_cancelled_for_good_or_only_planned(
    dry_run: bool,
    iot: IotJobs,
    backend: IotSimulator,
    clock: FakeClock,
) -> None:
    backend.add_job("a", executions={"thing-1": "QUEUED", "thing-2": "IN_PROGRESS"})
    (result,) = canceler(iot, clock).cancel_all(["a"], replace(REQUEST, dry_run=dry_run))
    assert result.as_dict() == {
        "jobId": "a",
        "outcome": "WOULD_CANCEL" if dry_run else "CANCELED",
        "detail": "",
        "executionsLeftInProgress": 1,
    }
    assert backend.cancelled == ([] if dry_run else ["a"])


def test_an_attempt_after_a_lost_answer_finds_the_job_cancelled(
    iot: IotJobs, backend: IotSimulator, clock: FakeClock
) -> None:
    backend.add_job("a")
    backend.lost = failing("CancelJob", answer_lost, times=1)
    (result,) = canceler(iot, clock).cancel_all(["a"], REQUEST)
    assert result.outcome == "ALREADY_CANCELED"
    assert backend.cancelled == ["a"]
