"""The IoT Jobs API: time-outs, attempts, and what its errors mean.

The only IoT client, and the only place that reads an AWS error code.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as SdkConnectionError
from botocore.parsers import ResponseParserError

from .errors import AccessDenied, ExecutionEnded, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable
from .job import Job, JobStatus, JobSummary
from .timing import Turn

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot.type_defs import JobSummaryTypeDef

CONNECT_TIMEOUT = 1  # seconds; the SDK's default of 60 s would outlive the deadline of an invocation
READ_TIMEOUT = 3  # seconds
ATTEMPTS = 2  # what is still throttled then is DEFERRED
_GREATEST_BACKOFF = 1  # second; `standard` waits up to 2**n s before attempt n + 1
_PAGE = 250  # jobs or executions, the most that a listing gives

_RUNNING: Final = "IN_PROGRESS"

_MEANINGS: dict[str, type[JobsError]] = {
    "ResourceNotFoundException": JobNotFound,
    "InvalidRequestException": JobNotCancelable,
    "InvalidStateTransitionException": ExecutionEnded,
    "AccessDenied": AccessDenied,
    "AccessDeniedException": AccessDenied,
    "UnauthorizedException": AccessDenied,
    "ForbiddenException": AccessDenied,
    "InternalFailureException": JobsUnavailable,
    "LimitExceededException": JobsUnavailable,
    "RequestLimitExceeded": JobsUnavailable,
    "RequestThrottled": JobsUnavailable,
    "RequestThrottledException": JobsUnavailable,
    "RequestTimeout": JobsUnavailable,
    "RequestTimeoutException": JobsUnavailable,
    "ServiceUnavailableException": JobsUnavailable,
    "SlowDown": JobsUnavailable,
    "ThrottledException": JobsUnavailable,
    "Throttling": JobsUnavailable,
    "ThrottlingException": JobsUnavailable,
    "TooManyRequestsException": JobsUnavailable,
    "VersionConflictException": JobsUnavailable,
}


def iot_client() -> "IoTClient":
    """A client whose calls end within `IotJobs.worst_call` seconds. Retries are the SDK's."""
    client = boto3.client(
        "iot",
        config=Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )
    for listing in ("ListJobs", "ListJobExecutionsForJob", "ListTagsForResource"):
        client.meta.events.register(f"before-parse.iot.{listing}", _check_body)
    return client


def _check_body(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:
    """The SDK takes a body that is no JSON, or not the service's, for an empty listing. Raises ValueError."""
    if response_dict["status_code"] >= 300:  # noqa: PLR2004 - HTTP
        return
    body, known = json.loads(response_dict["body"]), operation_model.output_shape.members
    if not isinstance(body, dict) or (body and not body.keys() & known.keys()):
        raise ValueError("not an answer of the service")


class IotJobs:
    """`cancel.Jobs` and `selection.JobListing` over the service."""

    worst_call: float = ATTEMPTS * (CONNECT_TIMEOUT + READ_TIMEOUT) + _GREATEST_BACKOFF

    def __init__(self, client: "IoTClient") -> None:
        self._client = client

    def cancel(self, job_id: str, *, force: bool, reason_code: str, comment: str) -> None:
        """CancelJob. Raises JobsError."""
        with _errors_by_meaning():
            self._client.cancel_job(jobId=job_id, force=force, reasonCode=reason_code, comment=comment)

    def describe(self, job_id: str) -> Job:
        """DescribeJob. Raises JobsError."""
        with _errors_by_meaning():
            described = self._client.describe_job(jobId=job_id).get("job", {})
        if not {"jobArn", "status"} <= described.keys():
            raise JobsUnavailable("MalformedResponse", "DescribeJob answered no status")
        counts = described.get("jobProcessDetails", {})
        return Job(
            job_id=job_id,
            arn=described["jobArn"],
            status=described["status"],
            executions_in_progress=counts.get("numberOfInProgressThings", 0),
            targets=tuple(described.get("targets", ())),
            namespace=described.get("namespaceId", ""),
            reason_code=described.get("reasonCode", ""),
            comment=described.get("comment", ""),
            is_draining=described.get("isConcurrent", False) or counts.get("numberOfQueuedThings", 0) > 0,
        )

    def list_jobs(self, status: JobStatus, turn: Turn, namespace: str | None = None) -> Iterator[JobSummary]:
        """ListJobs, all pages; `turn` is called before each. Raises JobsError, also for a page that comes again."""
        namespaced = {} if namespace is None else {"namespaceId": namespace}
        for page in _pages(self._client.list_jobs, {"status": status.value, **namespaced}, turn):
            yield from map(_summary, page.get("jobs", []))

    def running(self, job_id: str, turn: Turn) -> Iterator[str]:
        """ListJobExecutionsForJob, all pages, as `list_jobs`: the names of the things. Raises JobsError."""
        asked = {"jobId": job_id, "status": _RUNNING}
        for page in _pages(self._client.list_job_executions_for_job, asked, turn):
            for execution in page.get("executionSummaries", []):
                if execution.get("jobExecutionSummary", {}).get("status") == _RUNNING:
                    yield _thing_name(execution.get("thingArn", ""))

    def cancel_execution(self, job_id: str, thing_name: str) -> None:
        """CancelJobExecution, with force. Raises JobsError."""
        with _errors_by_meaning():
            self._client.cancel_job_execution(jobId=job_id, thingName=thing_name, force=True)

    def tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource, all pages. Raises JobsError."""
        with _errors_by_meaning():
            pages = self._client.get_paginator("list_tags_for_resource").paginate(resourceArn=arn)
            return {tag["Key"]: tag.get("Value", "") for page in pages for tag in page.get("tags", [])}


def _pages[Page: Mapping[str, Any]](
    listing: Callable[..., Page], asked: Mapping[str, str], turn: Turn
) -> Iterator[Page]:
    """Every page; `turn` is called before each, for which the SDK's paginators have no place."""
    token: dict[str, str] = {}
    while True:
        turn()
        with _errors_by_meaning():
            page = listing(**asked, **token, maxResults=_PAGE)
        yield page
        following = page.get("nextToken")
        if not following:
            return
        if following == token.get("nextToken"):
            raise JobsError("RepeatedToken", "the listing answered the same page again")
        token = {"nextToken": following}


def _thing_name(arn: str) -> str:
    """What follows `:thing/`: a name may hold a colon."""
    name = arn.partition(":thing/")[2]
    if not name:
        raise JobsUnavailable("MalformedResponse", "ListJobExecutionsForJob answered an execution of no thing")
    return name


def _summary(listed: "JobSummaryTypeDef") -> JobSummary:
    try:
        return JobSummary(
            job_id=listed["jobId"],
            arn=listed["jobArn"],
            target_selection=listed.get("targetSelection", ""),
            created_at=listed["createdAt"],
            last_updated_at=listed["lastUpdatedAt"],
        )
    except KeyError as missing:
        raise JobsUnavailable("MalformedResponse", f"ListJobs answered a job without {missing}") from missing


@contextmanager
def _errors_by_meaning() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _meaning_of(error) from error
    except (HTTPClientError, SdkConnectionError, ResponseParserError) as error:
        raise JobsUnavailable(type(error).__name__, "no usable answer from the service") from error
    except BotoCoreError as error:
        raise JobsError(type(error).__name__, str(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # of a body that nobody can read
        raise JobsUnavailable("MalformedResponse", type(error).__name__) from error


def _meaning_of(error: ClientError) -> JobsError:
    code = error.response.get("Error", {}).get("Code", "Unknown")
    message = error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    unavailable = status >= 500 or status == 429  # noqa: PLR2004 - HTTP
    return _MEANINGS.get(code, JobsUnavailable if unavailable else JobsError)(code, message)
