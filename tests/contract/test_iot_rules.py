"""The IoT rules that the other tests stand on, through boto3: in process and against the server alike.

Expectations are literals from the AWS IoT API reference and from what was seen of the real service.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError
from moto import mock_aws
from moto.iot.exceptions import InvalidStateTransitionException

from tests.support.iot_rules import RulesBackend, in_process
from tests.support.iot_server import (
    IotServer,
    LostAnswerError,
    TokenBuckets,
    access_denied,
    failing,
    throttled,
    unavailable,
)

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"
SESSION = boto3.Session()  # one for all: a new one reads the service models again
ARN = f"arn:aws:iot:{REGION}:123456789012"
NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)
INVALID = ("InvalidRequestException", 400)
NOT_FOUND = ("ResourceNotFoundException", 404)
WRONG_STATE = ("InvalidStateTransitionException", 409)


@dataclass
class Aws:
    """A client, and the backend behind it."""

    iot: "IoTClient"
    backend: RulesBackend


def connect(url: str | None = None) -> "IoTClient":
    """Make a client that does not retry, so that faults show."""
    return SESSION.client(
        "iot",
        region_name=REGION,
        endpoint_url=url,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}, read_timeout=10),
    )


@pytest.fixture(params=["in process", "server"])
def aws(request: pytest.FixtureRequest) -> Iterator[Aws]:
    """Serve the rules in one of the two ways, under a clock that stands still."""
    if request.param == "server":
        with IotServer(REGION) as server:
            client = connect(server.url)
            server.backend.now = lambda: NOON
            yield Aws(client, server.backend)
            client.close()
    else:
        with in_process(REGION) as backend:
            backend.now = lambda: NOON
            yield Aws(connect(), backend)


def refusal(call: Callable[..., object], **parameters: object) -> tuple[str, int] | None:
    """Return code and HTTP status of the refused call, None if it was accepted."""
    try:
        call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


def create(aws: Aws, job_id: str, *targets: str, **parameters: Any) -> Any:
    arns = [f"{ARN}:{target}" for target in targets or ("thing/t1",)]
    return aws.iot.create_job(jobId=job_id, targets=arns, document="{}", **parameters)


def statuses(aws: Aws, job_id: str) -> dict[str, str]:
    rows = aws.iot.list_job_executions_for_job(jobId=job_id)["executionSummaries"]
    return {row["thingArn"].partition(":thing/")[2]: row["jobExecutionSummary"]["status"] for row in rows}


def job_ids(aws: Aws, **filters: Any) -> list[str]:
    return [job["jobId"] for job in aws.iot.list_jobs(**filters)["jobs"]]


def status(aws: Aws, job_id: str) -> str:
    return aws.iot.describe_job(jobId=job_id)["job"]["status"]


class TestCreateJob:
    @pytest.mark.parametrize(
        ("scheduling", "expected"),
        [
            ({}, "IN_PROGRESS"),
            ({"schedulingConfig": {"endBehavior": "STOP_ROLLOUT"}}, "IN_PROGRESS"),
            ({"schedulingConfig": {"startTime": "2031-01-01 00:00"}}, "SCHEDULED"),
        ],
    )
    def test_starts(self, aws: Aws, scheduling: dict[str, Any], expected: str) -> None:
        answer = create(aws, "job", description="why", **scheduling)
        del answer["ResponseMetadata"]
        assert answer == {"jobArn": f"{ARN}:job/job", "jobId": "job", "description": "why"}
        assert status(aws, "job") == expected
        assert statuses(aws, "job") == {"t1": "QUEUED"}

    @pytest.mark.parametrize(
        ("job_id", "expected"),
        [
            ("a" * 64, None),
            ("aZ09_-", None),
            ("a" * 65, INVALID),
            ("a.b", INVALID),
            ("a b", INVALID),
            ("é", INVALID),
        ],
    )
    def test_job_id(self, aws: Aws, job_id: str, expected: tuple[str, int] | None) -> None:
        assert refusal(create, aws=aws, job_id=job_id) == expected

    def test_job_id_with_a_newline(self) -> None:
        """In process only: moto's server finds no route for such a path at all."""
        with in_process(REGION) as backend:
            assert refusal(create, aws=Aws(connect(), backend), job_id="ab\n") == INVALID

    def test_duplicate(self, aws: Aws) -> None:
        create(aws, "job")
        assert refusal(create, aws=aws, job_id="job") == ("ResourceAlreadyExistsException", 409)

    @pytest.mark.parametrize(
        ("target", "expected"),
        [("thing/", INVALID), ("thing/a/b", INVALID), ("job/a", INVALID), ("thinggroup/none", NOT_FOUND)],
    )
    def test_bad_target(self, aws: Aws, target: str, expected: tuple[str, int]) -> None:
        assert refusal(aws.iot.create_job, jobId="job", targets=[f"{ARN}:{target}"], document="{}") == expected

    def test_group_and_colon(self, aws: Aws) -> None:
        for thing in ("a", "b:c"):
            aws.iot.create_thing(thingName=thing)
        aws.iot.create_thing_group(thingGroupName="g")
        for thing in ("a", "b:c"):
            aws.iot.add_thing_to_thing_group(thingGroupName="g", thingName=thing)
        create(aws, "job", "thinggroup/g", "thing/a", "thing/d:thing:e")
        assert statuses(aws, "job") == {"a": "QUEUED", "b:c": "QUEUED", "d:thing:e": "QUEUED"}

    def test_unknown_target_selection(self, aws: Aws) -> None:
        assert refusal(create, aws=aws, job_id="job", targetSelection="SOME") == INVALID


class TestCancelJob:
    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("before", ["IN_PROGRESS", "SCHEDULED"])
    def test_accepted(self, aws: Aws, before: str, *, force: bool) -> None:
        aws.backend.add_job("job", status=before, executions={"t1": "QUEUED"})
        aws.iot.cancel_job(jobId="job", force=force)
        assert (status(aws, "job"), statuses(aws, "job")) == ("CANCELED", {"t1": "CANCELED"})
        assert aws.backend.jobs_cancelled == {"job": 1}

    @pytest.mark.parametrize("force", [False, True])
    @pytest.mark.parametrize("before", ["CANCELED", "COMPLETED", "DELETION_IN_PROGRESS", "CANCELING"])
    def test_refused(self, aws: Aws, before: str, *, force: bool) -> None:
        aws.backend.add_job("job", status=before, executions={"t1": "QUEUED"})
        with pytest.raises(aws.iot.exceptions.InvalidRequestException, match=f"in status {before} cannot be"):
            aws.iot.cancel_job(jobId="job", force=force, reasonCode="NEW", comment="new")
        job = aws.iot.describe_job(jobId="job")["job"]
        assert job["status"] == before
        assert not {"reasonCode", "comment", "forceCanceled", "completedAt"} & job.keys()
        assert statuses(aws, "job") == {"t1": "QUEUED"}
        assert aws.backend.jobs_cancelled == {}

    @pytest.mark.parametrize(
        ("force", "expected"),
        [
            (False, {"q": "CANCELED", "i": "IN_PROGRESS", "s": "SUCCEEDED", "f": "FAILED"}),
            (True, {"q": "CANCELED", "i": "CANCELED", "s": "SUCCEEDED", "f": "FAILED"}),
        ],
    )
    def test_executions(self, aws: Aws, expected: dict[str, str], *, force: bool) -> None:
        before = {"q": "QUEUED", "i": "IN_PROGRESS", "s": "SUCCEEDED", "f": "FAILED"}
        aws.backend.add_job("job", executions=before)
        aws.iot.cancel_job(jobId="job", force=force)
        assert statuses(aws, "job") == expected

    def test_answer_and_record(self, aws: Aws) -> None:
        aws.backend.add_job("job", description="why", created_at=NOON - timedelta(days=1))
        answer = aws.iot.cancel_job(jobId="job", force=True, reasonCode="R_1", comment="a & b=c")
        assert answer.keys() - {"ResponseMetadata"} == {"jobArn", "jobId", "description"}
        job = aws.iot.describe_job(jobId="job")["job"]
        assert (job["reasonCode"], job["comment"], job["forceCanceled"]) == ("R_1", "a & b=c", True)
        assert (job["createdAt"], job["lastUpdatedAt"]) == (NOON - timedelta(days=1), NOON)
        assert job["completedAt"] == NOON

    def test_without_force_is_told(self, aws: Aws) -> None:
        aws.backend.add_job("job")
        aws.iot.cancel_job(jobId="job")
        assert aws.iot.describe_job(jobId="job")["job"]["forceCanceled"] is False

    @pytest.mark.parametrize(
        ("texts", "expected"),
        [
            ({"reasonCode": "STALE_JOB_1"}, None),
            ({"reasonCode": "É٣"}, None),
            ({"reasonCode": "A" * 128}, None),
            ({"reasonCode": "A" * 129}, INVALID),
            ({"reasonCode": ""}, INVALID),
            ({"reasonCode": "lower"}, INVALID),
            ({"reasonCode": "A-B"}, INVALID),
            ({"reasonCode": "A\n"}, INVALID),
            ({"comment": "é, ok."}, None),
            ({"comment": "c" * 2028}, None),
            ({"comment": "c" * 2029}, INVALID),
            ({"comment": ""}, INVALID),
            ({"comment": "a\nb"}, INVALID),
            ({"comment": "a\x7f"}, INVALID),
        ],
    )
    def test_texts(self, aws: Aws, texts: dict[str, str], expected: tuple[str, int] | None) -> None:
        aws.backend.add_job("job")
        assert refusal(aws.iot.cancel_job, jobId="job", **texts) == expected
        assert status(aws, "job") == ("IN_PROGRESS" if expected else "CANCELED")

    @pytest.mark.parametrize(("job_id", "expected"), [("absent", NOT_FOUND), ("a.b", INVALID)])
    def test_no_such_job(self, aws: Aws, job_id: str, expected: tuple[str, int]) -> None:
        assert refusal(aws.iot.cancel_job, jobId=job_id) == expected


class TestDescribeJob:
    def test_every_field(self, aws: Aws) -> None:
        every = (
            "QUEUED",
            "IN_PROGRESS",
            "SUCCEEDED",
            "FAILED",
            "TIMED_OUT",
            "REJECTED",
            "REMOVED",
            "CANCELED",
        )
        executions = {f"{name}{n}": name for count, name in enumerate(every, 1) for n in range(count)}
        aws.backend.add_job("job", executions=executions, namespace_id="ns", targets=[f"{ARN}:thing/t"])
        aws.backend.set_concurrent("job", is_concurrent=True)
        assert aws.iot.describe_job(jobId="job")["job"] == {
            "jobArn": f"{ARN}:job/job",
            "jobId": "job",
            "targetSelection": "SNAPSHOT",
            "status": "IN_PROGRESS",
            "targets": [f"{ARN}:thing/t"],
            "createdAt": NOON,
            "lastUpdatedAt": NOON,
            "namespaceId": "ns",
            "isConcurrent": True,
            "jobProcessDetails": {
                "numberOfQueuedThings": 1,
                "numberOfInProgressThings": 2,
                "numberOfSucceededThings": 3,
                "numberOfFailedThings": 4,
                "numberOfTimedOutThings": 5,
                "numberOfRejectedThings": 6,
                "numberOfRemovedThings": 7,
                "numberOfCanceledThings": 8,
            },
        }

    def test_created_namespace(self, aws: Aws) -> None:
        create(aws, "job", namespaceId="ns", targetSelection="CONTINUOUS")
        job = aws.iot.describe_job(jobId="job")["job"]
        assert (job["namespaceId"], job["targetSelection"]) == ("ns", "CONTINUOUS")

    def test_absent(self, aws: Aws) -> None:
        assert refusal(aws.iot.describe_job, jobId="absent") == NOT_FOUND


class TestListJobs:
    def test_filters(self, aws: Aws) -> None:
        group = aws.iot.create_thing_group(thingGroupName="g")["thingGroupId"]
        aws.iot.create_thing_group(thingGroupName="empty")
        create(aws, "a")
        create(aws, "b", "thinggroup/g", targetSelection="CONTINUOUS")
        create(aws, "c", "thinggroup/g", schedulingConfig={"startTime": "2031-01-01 00:00"})
        create(aws, "d", namespaceId="ns")
        aws.iot.cancel_job(jobId="d")
        table: list[tuple[dict[str, str], list[str]]] = [
            ({}, ["d", "c", "b", "a"]),
            ({"status": "IN_PROGRESS"}, ["b", "a"]),
            ({"status": "SCHEDULED"}, ["c"]),
            ({"status": "CANCELED"}, ["d"]),
            ({"status": "COMPLETED"}, []),
            ({"targetSelection": "CONTINUOUS"}, ["b"]),
            ({"targetSelection": "SNAPSHOT"}, ["d", "c", "a"]),
            ({"thingGroupName": "g"}, ["c", "b"]),
            ({"thingGroupName": "empty"}, []),
            ({"thingGroupId": group}, ["c", "b"]),
            ({"thingGroupId": "other"}, []),
            ({"thingGroupName": "empty", "thingGroupId": group}, []),
            ({"namespaceId": "ns"}, ["d"]),
            ({"namespaceId": "other"}, []),
            ({"thingGroupName": "g", "status": "IN_PROGRESS"}, ["b"]),
        ]
        assert [(filters, job_ids(aws, **filters)) for filters, _ in table] == table
        aws.backend.hides_namespaced = True
        assert job_ids(aws) == ["c", "b", "a"]
        assert job_ids(aws, namespaceId="ns") == ["d"]

    def test_newest_first(self, aws: Aws) -> None:
        for job_id, age in (("old", 3), ("new", 1), ("middle", 2)):
            aws.backend.add_job(job_id, created_at=NOON - timedelta(hours=age))
        assert job_ids(aws) == ["new", "middle", "old"]
        aws.backend.set_created_at("old", NOON)
        assert job_ids(aws) == ["old", "new", "middle"]

    def test_summary_fields(self, aws: Aws) -> None:
        group = aws.iot.create_thing_group(thingGroupName="g")["thingGroupId"]
        create(aws, "job", "thinggroup/g", namespaceId="ns", tags=[{"Key": "k"}], description="why")
        aws.iot.cancel_job(jobId="job", reasonCode="R", comment="c")
        assert aws.iot.list_jobs()["jobs"] == [
            {
                "jobArn": f"{ARN}:job/job",
                "jobId": "job",
                "thingGroupId": group,
                "targetSelection": "SNAPSHOT",
                "status": "CANCELED",
                "createdAt": NOON,
                "lastUpdatedAt": NOON,
                "completedAt": NOON,
                "isConcurrent": False,
            }
        ]

    @pytest.mark.parametrize(
        "parameters",
        [
            {"maxResults": 251},
            {"nextToken": "?"},
            {"nextToken": ""},
            {"nextToken": "W10="},
            {"status": "QUEUED"},
            {"targetSelection": "SOME"},
        ],
    )
    def test_invalid(self, aws: Aws, parameters: dict[str, Any]) -> None:
        assert refusal(aws.iot.list_jobs, **parameters) == INVALID

    def test_unknown_group(self, aws: Aws) -> None:
        assert refusal(aws.iot.list_jobs, thingGroupName="none") == NOT_FOUND

    def test_pages(self, aws: Aws) -> None:
        for number in range(5):
            aws.backend.add_job(f"j{number}")
        first = aws.iot.list_jobs(maxResults=2)
        second = aws.iot.list_jobs(maxResults=2, nextToken=first["nextToken"])
        third = aws.iot.list_jobs(maxResults=2, nextToken=second["nextToken"])
        pages = [[job["jobId"] for job in answer["jobs"]] for answer in (first, second, third)]
        assert pages == [["j4", "j3"], ["j2", "j1"], ["j0"]]
        assert "nextToken" not in third

    def test_full_last_page_has_no_token(self, aws: Aws) -> None:
        for number in range(250):
            aws.backend.add_job(f"j{number}")
        answer = aws.iot.list_jobs()
        assert (len(answer["jobs"]), "nextToken" in answer) == (250, False)
        aws.backend.add_job("j250")
        answer = aws.iot.list_jobs()
        assert (len(answer["jobs"]), "nextToken" in answer) == (250, True)

    def test_cancelling_between_pages_skips_nothing(self, aws: Aws) -> None:
        for number in range(6):
            aws.backend.add_job(f"j{number}")
        seen: list[str] = []
        filters: dict[str, Any] = {"status": "IN_PROGRESS", "maxResults": 2}
        for _ in range(3):
            answer = aws.iot.list_jobs(**filters)
            filters["nextToken"] = answer.get("nextToken")
            for job in answer["jobs"]:
                seen.append(job["jobId"])
                aws.iot.cancel_job(jobId=job["jobId"])
        assert (seen, filters["nextToken"]) == (["j5", "j4", "j3", "j2", "j1", "j0"], None)

    def test_token_of_another_filter(self, aws: Aws) -> None:
        for number in range(2):
            aws.backend.add_job(f"j{number}")
        token = aws.iot.list_jobs(maxResults=1, status="IN_PROGRESS")["nextToken"]
        assert refusal(aws.iot.list_jobs, nextToken=token, status="CANCELED") == INVALID

    def test_many(self, aws: Aws) -> None:
        for number in range(100_000):
            aws.backend.add_job(f"j{number}", status="COMPLETED" if number else "IN_PROGRESS")
        assert job_ids(aws, status="IN_PROGRESS") == ["j0"]


class TestExecutions:
    def test_status_filter_and_pages(self, aws: Aws) -> None:
        aws.backend.add_job("job", executions={"a": "QUEUED", "b": "FAILED", "c": "QUEUED", "d": "QUEUED"})
        first = aws.iot.list_job_executions_for_job(jobId="job", status="QUEUED", maxResults=2)
        token = first["nextToken"]
        second = aws.iot.list_job_executions_for_job(jobId="job", status="QUEUED", nextToken=token)
        pages = [[row["thingArn"] for row in answer["executionSummaries"]] for answer in (first, second)]
        assert pages == [[f"{ARN}:thing/a", f"{ARN}:thing/c"], [f"{ARN}:thing/d"]]
        assert "nextToken" not in second
        assert refusal(aws.iot.list_job_executions_for_job, jobId="job", nextToken="x") == INVALID
        assert refusal(aws.iot.list_job_executions_for_job, jobId="job", status="DONE") == INVALID
        assert refusal(aws.iot.list_job_executions_for_job, jobId="job", maxResults=251) == INVALID
        assert refusal(aws.iot.list_job_executions_for_job, jobId="absent") == NOT_FOUND

    def test_describe(self, aws: Aws) -> None:
        create(aws, "job", "thing/a:b")
        aws.backend.start_execution("job", "a:b")
        aws.iot.cancel_job_execution(jobId="job", thingName="a:b", force=True, expectedVersion=2)
        assert aws.iot.describe_job_execution(jobId="job", thingName="a:b")["execution"] == {
            "jobId": "job",
            "status": "CANCELED",
            "forceCanceled": True,
            "thingArn": f"{ARN}:thing/a:b",
            "queuedAt": NOON,
            "startedAt": NOON,
            "lastUpdatedAt": NOON,
            "executionNumber": 1,
            "versionNumber": 3,
        }
        assert refusal(aws.iot.describe_job_execution, jobId="job", thingName="c") == NOT_FOUND
        assert refusal(aws.iot.describe_job_execution, jobId="job", thingName="a:b", executionNumber=2) == NOT_FOUND

    @pytest.mark.parametrize("job_status", ["IN_PROGRESS", "CANCELED"])
    @pytest.mark.parametrize(
        ("before", "force", "expected"),
        [
            ("QUEUED", False, None),
            ("QUEUED", True, None),
            ("IN_PROGRESS", False, WRONG_STATE),
            ("IN_PROGRESS", True, None),
            ("SUCCEEDED", True, WRONG_STATE),
            ("FAILED", True, WRONG_STATE),
            ("TIMED_OUT", True, WRONG_STATE),
            ("REJECTED", True, WRONG_STATE),
            ("REMOVED", True, WRONG_STATE),
            ("CANCELED", True, WRONG_STATE),
            ("CANCELED", False, WRONG_STATE),
        ],
    )
    def test_cancel(
        self, aws: Aws, job_status: str, before: str, expected: tuple[str, int] | None, *, force: bool
    ) -> None:
        aws.backend.add_job("job", status=job_status, executions={"t1": before, "t2": "QUEUED"})
        assert refusal(aws.iot.cancel_job_execution, jobId="job", thingName="t1", force=force) == expected
        assert statuses(aws, "job") == {"t1": before if expected else "CANCELED", "t2": "QUEUED"}
        assert aws.backend.executions_cancelled == ({} if expected else {("job", "t1"): 1})
        assert status(aws, "job") == job_status

    @pytest.mark.parametrize(
        ("parameters", "expected"),
        [
            ({"jobId": "job", "thingName": "t1", "expectedVersion": 2}, ("VersionConflictException", 409)),
            ({"jobId": "job", "thingName": "none"}, NOT_FOUND),
            ({"jobId": "absent", "thingName": "t1"}, NOT_FOUND),
        ],
    )
    def test_cancel_refused(self, aws: Aws, parameters: dict[str, Any], expected: tuple[str, int]) -> None:
        aws.backend.add_job("job", executions={"t1": "QUEUED"})
        assert refusal(aws.iot.cancel_job_execution, **parameters) == expected
        assert statuses(aws, "job") == {"t1": "QUEUED"}

    @pytest.mark.parametrize(("selection", "expected"), [("SNAPSHOT", "COMPLETED"), ("CONTINUOUS", "IN_PROGRESS")])
    def test_last_end_completes(self, aws: Aws, selection: str, expected: str) -> None:
        create(aws, "job", "thing/a", "thing/b", "thing/c", targetSelection=selection)
        aws.backend.finish_execution("job", "a", "SUCCEEDED")
        aws.iot.cancel_job_execution(jobId="job", thingName="b")
        aws.backend.start_execution("job", "c")
        assert status(aws, "job") == "IN_PROGRESS"
        aws.backend.finish_execution("job", "c", "FAILED")
        assert statuses(aws, "job") == {"a": "SUCCEEDED", "b": "CANCELED", "c": "FAILED"}
        assert status(aws, "job") == expected

    def test_device_runs_on_after_cancel_without_force(self, aws: Aws) -> None:
        create(aws, "job")
        aws.backend.start_execution("job", "t1")
        aws.iot.cancel_job(jobId="job")
        aws.backend.finish_execution("job", "t1", "SUCCEEDED")
        assert (status(aws, "job"), statuses(aws, "job")) == ("CANCELED", {"t1": "SUCCEEDED"})

    def test_device_can_not_report_after_force(self, aws: Aws) -> None:
        create(aws, "job")
        aws.backend.start_execution("job", "t1")
        aws.iot.cancel_job(jobId="job", force=True)
        with pytest.raises(InvalidStateTransitionException):
            aws.backend.finish_execution("job", "t1", "SUCCEEDED")
        assert statuses(aws, "job") == {"t1": "CANCELED"}


class TestTags:
    def test_round_trip(self, aws: Aws) -> None:
        arn = create(aws, "job", tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])["jobArn"]
        aws.iot.tag_resource(resourceArn=arn, tags=[{"Key": "b", "Value": "3"}, {"Key": "c", "Value": ""}])
        aws.iot.untag_resource(resourceArn=arn, tagKeys=["a", "never"])
        assert aws.iot.list_tags_for_resource(resourceArn=arn)["tags"] == [
            {"Key": "b", "Value": "3"},
            {"Key": "c", "Value": ""},
        ]

    @pytest.mark.parametrize(
        "arn", [f"{ARN}:job/absent", "arn:aws:iot:us-east-1:123456789012:job/job", "job", f"{ARN}:thing/job"]
    )
    def test_unknown(self, aws: Aws, arn: str) -> None:
        create(aws, "job")
        assert refusal(aws.iot.list_tags_for_resource, resourceArn=arn) == NOT_FOUND
        assert refusal(aws.iot.tag_resource, resourceArn=arn, tags=[{"Key": "a"}]) == NOT_FOUND
        assert refusal(aws.iot.untag_resource, resourceArn=arn, tagKeys=["a"]) == NOT_FOUND


class TestDeleteJob:
    @pytest.mark.parametrize(
        ("before", "force", "expected"),
        [
            ("IN_PROGRESS", False, WRONG_STATE),
            ("IN_PROGRESS", True, None),
            ("SCHEDULED", False, WRONG_STATE),
            ("SCHEDULED", True, None),
            ("CANCELED", False, None),
            ("COMPLETED", False, None),
            ("DELETION_IN_PROGRESS", False, WRONG_STATE),
            ("DELETION_IN_PROGRESS", True, WRONG_STATE),
        ],
    )
    def test_by_status(self, aws: Aws, before: str, expected: tuple[str, int] | None, *, force: bool) -> None:
        create(aws, "job")
        aws.backend.set_status("job", before)
        assert refusal(aws.iot.delete_job, jobId="job", force=force) == expected
        assert job_ids(aws) == (["job"] if expected else [])
        assert refusal(aws.iot.describe_job, jobId="job") == (None if expected else NOT_FOUND)

    def test_absent(self, aws: Aws) -> None:
        assert refusal(aws.iot.delete_job, jobId="absent") == NOT_FOUND


class TestFaults:
    def test_calls_are_recorded(self, aws: Aws) -> None:
        arn = create(aws, "job")["jobArn"]
        refusal(aws.iot.cancel_job, jobId="absent")
        aws.iot.list_jobs()
        aws.iot.list_tags_for_resource(resourceArn=arn)
        aws.iot.cancel_job_execution(jobId="job", thingName="t1")
        assert aws.backend.calls == [
            ("CreateJob", "job"),
            ("CancelJob", "absent"),
            ("ListJobs", None),
            ("ListTagsForResource", "job"),
            ("CancelJobExecution", "job"),
        ]

    @pytest.mark.parametrize(
        ("error", "expected"),
        [
            (throttled, ("ThrottlingException", 400)),
            (unavailable, ("ServiceUnavailableException", 503)),
            (access_denied, ("AccessDeniedException", 403)),
        ],
    )
    def test_before(self, aws: Aws, error: Callable[[], Exception], expected: tuple[str, int]) -> None:
        for job_id in ("a", "b"):
            aws.backend.add_job(job_id)
        aws.backend.fault = failing("CancelJob", error, times=1, job_id="a")
        answers = [refusal(aws.iot.cancel_job, jobId=job_id) for job_id in ("b", "a")]
        assert answers == [None, expected]
        assert status(aws, "a") == "IN_PROGRESS"
        assert refusal(aws.iot.cancel_job, jobId="a") is None

    def test_sees_parameters(self, aws: Aws) -> None:
        seen: list[tuple[str, dict[str, Any]]] = []
        aws.backend.fault = lambda operation, parameters: seen.append((operation, dict(parameters)))
        refusal(aws.iot.cancel_job, jobId="a", force=True, reasonCode="R")
        refusal(aws.iot.list_jobs, status="CANCELED", maxResults=3)
        assert seen == [
            ("CancelJob", {"jobId": "a", "force": True, "reasonCode": "R"}),
            ("ListJobs", {"status": "CANCELED", "maxResults": 3}),
        ]

    def test_lost_answer(self, aws: Aws) -> None:
        aws.backend.add_job("job")
        aws.backend.lost = failing("CancelJob", LostAnswerError, times=1)
        with pytest.raises(ConnectionClosedError):
            aws.iot.cancel_job(jobId="job")
        assert status(aws, "job") == "CANCELED"
        assert refusal(aws.iot.cancel_job, jobId="job") == INVALID

    def test_token_bucket(self, aws: Aws) -> None:
        at = [0.0]
        aws.backend.pace = TokenBuckets({"DescribeJob": 2.0}, clock=lambda: at[0])
        aws.backend.add_job("job")
        answers = []
        for moment in (0.0, 0.0, 0.0, 0.49, 0.5, 0.5, 1.0, 9.0, 9.0, 9.0):
            at[0] = moment
            answers.append(refusal(aws.iot.describe_job, jobId="job"))
            assert refusal(aws.iot.list_jobs) is None
        busy = ("ThrottlingException", 400)
        assert answers == [None, None, busy, busy, None, busy, None, None, None, busy]

    @pytest.mark.parametrize("read", ["describe", "list", "list of others"])
    def test_lag(self, aws: Aws, read: str) -> None:
        aws.backend.add_job("job", executions={"t1": "IN_PROGRESS"})
        aws.backend.lag = 2
        aws.iot.cancel_job(jobId="job", reasonCode="R")
        assert refusal(aws.iot.cancel_job, jobId="job") == INVALID
        if read == "describe":
            jobs = [aws.iot.describe_job(jobId="job")["job"] for _ in range(3)]
            assert [job["status"] for job in jobs] == ["IN_PROGRESS", "IN_PROGRESS", "CANCELED"]
            assert [job.get("reasonCode") for job in jobs] == [None, None, "R"]
        elif read == "list":
            assert [job_ids(aws, status="IN_PROGRESS") for _ in range(3)] == [["job"], ["job"], []]
        else:
            assert [job_ids(aws, status="CANCELED") for _ in range(3)] == [[], [], ["job"]]

    def test_one_of_many_threads_cancels(self, aws: Aws) -> None:
        aws.backend.add_job("job", executions={"t1": "QUEUED"})
        answers: list[tuple[str, int] | None] = []
        together = Barrier(8)

        def race() -> None:
            together.wait(timeout=10)
            answers.append(refusal(aws.iot.cancel_job, jobId="job"))

        threads = [Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answers, key=str) == [*[INVALID] * 7, None]
        assert aws.backend.executions_cancelled == {("job", "t1"): 1}


class TestInstalling:
    def test_moto_is_back(self) -> None:
        with mock_aws():
            client = connect()
            client.create_thing(thingName="before")
            with IotServer(REGION) as server:
                server.backend.add_job("job")
                assert [job["jobId"] for job in client.list_jobs()["jobs"]] == ["job"]
            client.create_job(jobId="plain", targets=[f"{ARN}:thing/t1"], document="{}")
            assert [job.get("status") for job in client.list_jobs()["jobs"]] == ["QUEUED"]
            assert [thing["thingName"] for thing in client.list_things()["things"]] == ["before"]

    def test_server_stops_and_starts_anew(self) -> None:
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

    def test_latency(self) -> None:
        slept: list[float] = []
        with IotServer(REGION, latency=0.25, sleep=slept.append) as server:
            client = connect(server.url)
            client.list_jobs()
            server.latency = 0.0
            client.list_jobs()
            client.close()
        assert slept == [0.25]

    def test_other_services_are_served(self) -> None:
        with IotServer(REGION) as server:
            sqs = boto3.client(
                "sqs",
                region_name=REGION,
                endpoint_url=server.url,
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
            assert sqs.create_queue(QueueName="q")["QueueUrl"].endswith("/q")
            sqs.close()
