"""The IoT simulator beyond the assumptions about AWS: pages, tokens, hooks, and the three ways to call it."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from moto import mock_aws

from tools.simulators.faults import ServiceError, TokenBuckets, answer_lost, denied, failing, throttled, unavailable
from tools.simulators.iot import IotSimulator
from tools.simulators.iot_client import SimulatedIotClient
from tools.simulators.iot_server import IotServer, in_process

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"
ARN = f"arn:aws:iot:{REGION}:123456789012"
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
INVALID = ("InvalidRequestException", 400)
NOT_FOUND = ("ResourceNotFoundException", 404)
WRONG_STATE = ("InvalidStateTransitionException", 409)


@pytest.fixture
def simulator() -> IotSimulator:
    """On a stopped clock."""
    return IotSimulator(now=lambda: NOON)


@pytest.fixture
def iot(simulator: IotSimulator) -> SimulatedIotClient:
    return SimulatedIotClient(simulator)


def connect(url: str | None = None) -> "IoTClient":
    """Make a client that does not retry, so that faults show."""
    return boto3.client(
        "iot",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=10),
    )


def outcome(call: Callable[..., Any], parameters: dict[str, Any]) -> object:
    """Return the response of a call, or how it was refused."""
    try:
        response = call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    response.pop("ResponseMetadata", None)
    return response


def refusal(call: Callable[..., Any], **parameters: object) -> tuple[str, int] | None:
    """Return code and HTTP status of the refused call, None if it was accepted."""
    result = outcome(call, parameters)
    return result if isinstance(result, tuple) else None


def pages(listing: Callable[..., dict[str, Any]], **parameters: Any) -> Iterator[dict[str, Any]]:
    """Call a listing until it returns no token."""
    token: dict[str, str] = {}
    while True:
        page = listing(**parameters, **token)
        yield page
        if "nextToken" not in page:
            return
        token = {"nextToken": page["nextToken"]}


def job_ids(iot: SimulatedIotClient, **filters: Any) -> list[str]:
    return [job["jobId"] for job in iot.list_jobs(**filters)["jobs"]]


# Three ways to call it


@pytest.fixture(params=["in memory", "in process", "server"])
def called(request: pytest.FixtureRequest) -> Iterator[tuple[Any, IotSimulator]]:
    """A client, and the simulator that it calls."""
    if request.param == "in memory":
        simulator = IotSimulator()
        yield SimulatedIotClient(simulator), simulator
    elif request.param == "in process":
        with in_process(REGION) as simulator:
            yield connect(), simulator
    else:
        with IotServer(REGION) as server:
            client = connect(server.url)
            yield client, server.backend
            client.close()


SUMMARY = {
    "jobArn": f"{ARN}:job/job",
    "jobId": "job",
    "targetSelection": "SNAPSHOT",
    "status": "IN_PROGRESS",
    "createdAt": NOON - timedelta(days=1),
    "lastUpdatedAt": NOON,
}
COUNTED = {
    "numberOfQueuedThings": 1,
    "numberOfInProgressThings": 2,
    "numberOfSucceededThings": 3,
    "numberOfFailedThings": 4,
    "numberOfTimedOutThings": 5,
    "numberOfRejectedThings": 6,
    "numberOfRemovedThings": 7,
    "numberOfCanceledThings": 8,
}
DETAIL = {"targets": [f"{ARN}:thing/t"], "namespaceId": "ns", "jobProcessDetails": COUNTED}
EXECUTION = {"thingArn": f"{ARN}:thing/a:b", "jobExecutionSummary": {"status": "QUEUED", "executionNumber": 1}}
IDENTITY = {"jobArn": f"{ARN}:job/job", "jobId": "job"}
CALLS: list[Any] = [
    ("describe_job", {"jobId": "job"}, {"job": SUMMARY | DETAIL}),
    ("list_jobs", {"status": "IN_PROGRESS"}, {"jobs": [SUMMARY]}),
    ("list_job_executions_for_job", {"jobId": "job", "status": "QUEUED"}, {"executionSummaries": [EXECUTION]}),
    ("list_tags_for_resource", {"resourceArn": f"{ARN}:job/job"}, {"tags": [{"Key": "k", "Value": "x y"}]}),
    ("cancel_job", {"jobId": "job", "force": True, "reasonCode": "R_1", "comment": "a & b=é"}, IDENTITY),
    ("cancel_job_execution", {"jobId": "job", "thingName": "a:b", "force": True}, {}),
    ("describe_job", {"jobId": "absent"}, NOT_FOUND),
    ("list_jobs", {"status": "QUEUED"}, INVALID),
    ("list_job_executions_for_job", {"jobId": "job", "status": "DONE"}, INVALID),
    ("list_tags_for_resource", {"resourceArn": f"{ARN}:job/absent"}, NOT_FOUND),
    ("list_tags_for_resource", {"resourceArn": "arn:aws:iot:us-east-1:123456789012:job/job"}, NOT_FOUND),
    ("list_tags_for_resource", {"resourceArn": "job"}, NOT_FOUND),
    ("cancel_job", {"jobId": "a.b"}, INVALID),
    ("cancel_job_execution", {"jobId": "job", "thingName": "SUCCEEDED1", "force": True}, WRONG_STATE),
]


def test_every_client_returns_the_same(called: tuple[Any, IotSimulator]) -> None:
    client, simulator = called
    simulator.now = lambda: NOON
    statuses = ("IN_PROGRESS", "SUCCEEDED", "FAILED", "TIMED_OUT", "REJECTED", "REMOVED", "CANCELED")
    executions = {f"{status}{number}": status for count, status in enumerate(statuses, 2) for number in range(count)}
    for operation, parameters, expected in CALLS:
        simulator.add_job(
            "job",
            created_at=NOON - timedelta(days=1),
            last_updated_at=NOON,
            executions={"a:b": "QUEUED"} | executions,
            namespace="ns",
            targets=(f"{ARN}:thing/t",),
            tags={"k": "x y"},
        )
        assert outcome(getattr(client, operation), parameters) == expected, (operation, parameters)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (throttled, ("ThrottlingException", 400)),
        (unavailable, ("ServiceUnavailableException", 503)),
        (denied, ("AccessDeniedException", 403)),
    ],
)
def test_fault_is_raised_before_the_call_acts(
    error: Callable[[], Exception], expected: tuple[str, int], called: tuple[Any, IotSimulator]
) -> None:
    client, simulator = called
    for job_id in ("a", "b"):
        simulator.add_job(job_id)
    simulator.fault = failing("CancelJob", error, times=1, job_id="a")
    assert [refusal(client.cancel_job, jobId=job_id) for job_id in ("b", "a")] == [None, expected]
    assert simulator.jobs["a"].status == "IN_PROGRESS"
    assert refusal(client.cancel_job, jobId="a") is None


def test_response_is_lost_after_the_call_has_acted(called: tuple[Any, IotSimulator]) -> None:
    client, simulator = called
    simulator.add_job("job")
    simulator.lost = failing("CancelJob", answer_lost, times=1)
    with pytest.raises(ConnectionClosedError):
        client.cancel_job(jobId="job")
    assert simulator.jobs["job"].status == "CANCELED"
    assert refusal(client.cancel_job, jobId="job") == INVALID


def test_only_one_of_many_threads_cancels(called: tuple[Any, IotSimulator]) -> None:
    client, simulator = called
    simulator.add_job("contended")
    refusals: list[tuple[str, int] | None] = []
    together = Barrier(8)

    def race() -> None:
        together.wait(timeout=10)
        refusals.append(refusal(client.cancel_job, jobId="contended"))

    threads = [Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(refusals, key=str) == [*[INVALID] * 7, None]
    assert simulator.canceled.count("contended") == 1


# Pages and tokens


def test_jobs_are_listed_in_pages_newest_first(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    for number in range(5):
        simulator.add_job(f"j{number}", created_at=NOON - timedelta(hours=number // 2))
    listed = [[job["jobId"] for job in page["jobs"]] for page in pages(iot.list_jobs, maxResults=2)]
    assert listed == [["j1", "j0"], ["j3", "j2"], ["j4"]]


@pytest.mark.parametrize(("number", "has_token"), [(250, False), (251, True)])
def test_full_last_page_has_no_token(
    number: int, has_token: bool, simulator: IotSimulator, iot: SimulatedIotClient
) -> None:
    for each in range(number):
        simulator.add_job(f"j{each}")
    page = iot.list_jobs()
    assert (len(page["jobs"]), "nextToken" in page) == (250, has_token)


def test_canceling_between_pages_skips_no_job(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    for number in range(6):
        simulator.add_job(f"j{number}")
    simulator.page_size = 2
    seen: list[str] = []
    for page in pages(iot.list_jobs, status="IN_PROGRESS"):
        for job in page["jobs"]:
            seen.append(job["jobId"])
            iot.cancel_job(jobId=job["jobId"])
    assert seen == ["j5", "j4", "j3", "j2", "j1", "j0"]


def test_job_deleted_between_pages_is_not_listed(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    for number in range(4):
        simulator.add_job(f"j{number}")
    token = iot.list_jobs(maxResults=2)["nextToken"]
    del simulator.jobs["j1"]
    assert job_ids(iot, nextToken=token) == ["j0"]


def test_executions_are_listed_in_pages(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    simulator.add_job("job", executions={"d": "QUEUED", "b": "FAILED", "c": "QUEUED", "a": "QUEUED"})
    simulator.page_size = 2
    listed = pages(iot.list_job_executions_for_job, jobId="job", status="QUEUED")
    things = [[row["thingArn"].removeprefix(f"{ARN}:thing/") for row in page["executionSummaries"]] for page in listed]
    assert things == [["a", "c"], ["d"]]


@pytest.mark.parametrize(
    "parameters",
    [{"maxResults": 251}, {"nextToken": "?"}, {"nextToken": ""}, {"nextToken": "1.W10="}],
)
def test_page_that_does_not_exist_is_refused(parameters: dict[str, Any], iot: SimulatedIotClient) -> None:
    assert refusal(iot.list_jobs, **parameters) == INVALID


def test_token_is_valid_only_with_its_filters(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    for number in range(2):
        simulator.add_job(f"j{number}")
    token = iot.list_jobs(maxResults=1, status="IN_PROGRESS")["nextToken"]
    assert refusal(iot.list_jobs, nextToken=token, status="CANCELED") == INVALID


# Hooks, and what a test may change


def test_calls_are_recorded_with_their_targets(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    simulator.add_job("a", executions={"b:c": "QUEUED"})
    simulator.add_job("b")
    simulator.page_size = 1
    refusal(iot.cancel_job, jobId="absent")
    list(pages(iot.list_jobs, status="IN_PROGRESS"))
    iot.list_jobs(namespaceId="ns")
    iot.list_tags_for_resource(resourceArn=f"{ARN}:job/a")
    iot.list_job_executions_for_job(jobId="a")
    iot.cancel_job_execution(jobId="a", thingName="b:c")
    assert simulator.calls == [
        ("CancelJob", "absent"),
        ("ListJobs", "IN_PROGRESS/1"),
        ("ListJobs", "IN_PROGRESS/2"),
        ("ListJobs", "ANY/1@ns"),
        ("ListTagsForResource", "a"),
        ("ListJobExecutionsForJob", "a"),
        ("CancelJobExecution", "a/b:c"),
    ]


def test_token_buckets_throttle_one_operation(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    at = [0.0]
    simulator.throttle = TokenBuckets({"DescribeJob": 2.0}, clock=lambda: at[0])
    simulator.add_job("job")
    refusals = []
    for moment in (0.0, 0.0, 0.0, 0.49, 0.5, 0.5, 1.0, 9.0, 9.0, 9.0):
        at[0] = moment
        refusals.append(refusal(iot.describe_job, jobId="job"))
        assert refusal(iot.list_jobs) is None
    busy = ("ThrottlingException", 400)
    assert refusals == [None, None, busy, busy, None, busy, None, None, None, busy]


@pytest.mark.parametrize("read", ["describe", "list", "list of others"])
def test_canceled_job_reads_as_active_for_some_time(
    read: str, simulator: IotSimulator, iot: SimulatedIotClient
) -> None:
    simulator.add_job("job", executions={"t1": "IN_PROGRESS"})
    simulator.lag = 2
    iot.cancel_job(jobId="job", reasonCode="R")
    assert refusal(iot.cancel_job, jobId="job") == INVALID
    if read == "describe":
        jobs = [iot.describe_job(jobId="job")["job"] for _ in range(3)]
        assert [job["status"] for job in jobs] == ["IN_PROGRESS", "IN_PROGRESS", "CANCELED"]
        assert [job.get("reasonCode") for job in jobs] == [None, None, "R"]
    elif read == "list":
        assert [job_ids(iot, status="IN_PROGRESS") for _ in range(3)] == [["job"], ["job"], []]
    else:
        assert [job_ids(iot, status="CANCELED") for _ in range(3)] == [[], [], ["job"]]


def test_each_call_lasts_the_given_time(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    slept: list[float] = []
    simulator.seconds_a_call, simulator.sleep = 0.25, slept.append
    iot.list_jobs()
    refusal(iot.describe_job, jobId="absent")
    assert slept == [0.25, 0.25]


def test_last_execution_that_ends_completes_a_job(simulator: IotSimulator, iot: SimulatedIotClient) -> None:
    for job_id, selection in (("snapshot", "SNAPSHOT"), ("continuous", "CONTINUOUS")):
        job = simulator.add_job(job_id, executions=dict.fromkeys("abc", "QUEUED"), target_selection=selection)
        simulator.finish_execution(job_id, "a", "SUCCEEDED")
        iot.cancel_job_execution(jobId=job_id, thingName="b")
        simulator.start_execution(job_id, "c")
        assert job.status == "IN_PROGRESS"
        simulator.finish_execution(job_id, "c", "FAILED")
        assert job.executions == {"a": "SUCCEEDED", "b": "CANCELED", "c": "FAILED"}
    assert (simulator.jobs["snapshot"].status, simulator.jobs["continuous"].status) == ("COMPLETED", "IN_PROGRESS")
    with pytest.raises(ServiceError, match="InvalidStateTransitionException"):
        simulator.finish_execution("continuous", "b", "SUCCEEDED")


# The server


def test_moto_is_restored() -> None:
    with mock_aws():
        client = connect()
        client.create_thing(thingName="before")
        with IotServer(REGION) as server:
            server.backend.add_job("job")
            assert [job["jobId"] for job in client.list_jobs()["jobs"]] == ["job"]
        client.create_job(jobId="plain", targets=[f"{ARN}:thing/t1"], document="{}")
        assert [job.get("status") for job in client.list_jobs()["jobs"]] == ["QUEUED"]
        assert [thing["thingName"] for thing in client.list_things()["things"]] == ["before"]


def test_server_restarts_without_jobs() -> None:
    server = IotServer(REGION)
    for _ in range(2):
        with server:
            client = connect(server.url)
            server.backend.add_job("job")
            assert [job["jobId"] for job in client.list_jobs()["jobs"]] == ["job"]
            assert server.url.startswith("http://127.0.0.1:")
        with pytest.raises(EndpointConnectionError):
            client.list_jobs()
        client.close()
    server.stop()
