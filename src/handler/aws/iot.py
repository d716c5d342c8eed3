"""The IoT Jobs API: timeouts, attempts, and the translation of its error codes. The only IoT client."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as SdkConnectionError
from botocore.parsers import ResponseParserError

from handler.cancellation.job import Job, JobStatus, JobSummary
from handler.cancellation.rate import Gate
from handler.errors import AccessDenied, ExecutionEnded, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient
    from mypy_boto3_iot.type_defs import JobSummaryTypeDef

CONNECT_TIMEOUT_SECONDS = 1  # the SDK's default of 60 s could outlast the deadline of an invocation
READ_TIMEOUT_SECONDS = 3
MAX_CALL_SECONDS = float(CONNECT_TIMEOUT_SECONDS + READ_TIMEOUT_SECONDS)
MAX_ATTEMPTS = 5  # a job that is still throttled after these is DEFERRED
_PAGE_SIZE = 250  # jobs or executions: the maximum of the listings

_RUNNING: Final = "IN_PROGRESS"

_ERRORS_BY_CODE: dict[str, type[JobsError]] = {
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
    """Return a client whose calls end within MAX_CALL_SECONDS.

    The SDK does not retry: its attempts would know neither the rate limit nor the deadline.
    """
    client = boto3.client(
        "iot",
        config=Config(
            connect_timeout=CONNECT_TIMEOUT_SECONDS,
            read_timeout=READ_TIMEOUT_SECONDS,
            retries={"mode": "standard", "total_max_attempts": 1},
        ),
    )
    for listing in ("ListJobs", "ListJobExecutionsForJob", "ListTagsForResource"):
        client.meta.events.register(f"before-parse.iot.{listing}", _check_body)
    return client


def _check_body(operation_model: Any, response_dict: Mapping[str, Any], **_: object) -> None:
    """Raise ValueError for a body that is not the service's: the SDK would treat it as an empty listing."""
    if response_dict["status_code"] >= 300:  # noqa: PLR2004 - HTTP
        return
    body, known = json.loads(response_dict["body"]), operation_model.output_shape.members
    if not isinstance(body, dict) or (body and not body.keys() & known.keys()):
        raise ValueError("not a response of the service")


class IotJobs:
    """`JobsApi` over the service. Each attempt of a call, and of each page of a listing, passes `gate` first."""

    def __init__(self, client: "IoTClient", gate: Gate) -> None:
        self._client = client
        self._gate = gate

    def cancel(self, job_id: str, *, force: bool, reason_code: str, comment: str) -> None:
        """CancelJob. Raises JobsError."""
        self._call(
            "CancelJob", self._client.cancel_job, jobId=job_id, force=force, reasonCode=reason_code, comment=comment
        )

    def describe(self, job_id: str) -> Job:
        """DescribeJob. Raises JobsError."""
        described = self._call("DescribeJob", self._client.describe_job, jobId=job_id).get("job", {})
        if not {"jobArn", "status"} <= described.keys():
            raise JobsUnavailable("MalformedResponse", "DescribeJob returned a job without ARN or status")
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
            starts_at=described.get("schedulingConfig", {}).get("startTime", ""),
            description=described.get("description", ""),
        )

    def tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource, all pages. Raises JobsError."""
        pages = self._pages("ListTagsForResource", self._client.list_tags_for_resource, {"resourceArn": arn})
        with _translated_errors():
            return {tag["Key"]: tag.get("Value", "") for page in pages for tag in page.get("tags", [])}

    def list_jobs(self, status: JobStatus, namespace: str | None = None) -> Iterator[JobSummary]:
        """ListJobs, all pages. Raises JobsError, also for a page that is repeated."""
        filters = {"status": status.value} | ({} if namespace is None else {"namespaceId": namespace})
        for page in self._pages("ListJobs", self._client.list_jobs, {**filters, "maxResults": _PAGE_SIZE}):
            yield from map(_summary, page.get("jobs", []))

    def running_things(self, job_id: str) -> Iterator[str]:
        """ListJobExecutionsForJob, all pages: the names of the things that run the job. Raises JobsError."""
        filters = {"jobId": job_id, "status": _RUNNING, "maxResults": _PAGE_SIZE}
        for page in self._pages("ListJobExecutionsForJob", self._client.list_job_executions_for_job, filters):
            for execution in page.get("executionSummaries", []):
                if execution.get("jobExecutionSummary", {}).get("status") == _RUNNING:
                    yield _thing_name(execution.get("thingArn", ""))

    def cancel_execution(self, job_id: str, thing_name: str) -> None:
        """CancelJobExecution, with force. Raises JobsError."""
        self._call(
            "CancelJobExecution", self._client.cancel_job_execution, jobId=job_id, thingName=thing_name, force=True
        )

    def _call[**Parameters, Result](
        self,
        operation: str,
        call: Callable[Parameters, Result],
        *arguments: Parameters.args,
        **parameters: Parameters.kwargs,
    ) -> Result:
        """Wait for the gate, call, and repeat what is throttled or unavailable. Raises OutOfTime, JobsError."""
        attempt = 1
        while True:
            self._gate.acquire(operation)
            try:
                with _translated_errors():
                    return call(*arguments, **parameters)
            except JobsUnavailable:
                if attempt == MAX_ATTEMPTS or not self._gate.back_off():
                    raise
            attempt += 1

    def _pages(
        self, operation: str, listing: Callable[..., Mapping[str, Any]], parameters: Mapping[str, object]
    ) -> Iterator[Mapping[str, Any]]:
        """Yield every page. The SDK's paginators cannot wait for the gate between two pages."""
        token: dict[str, str] = {}
        while True:
            page = self._call(operation, listing, **parameters, **token)
            yield page
            next_token = page.get("nextToken")
            if not next_token:
                return
            if next_token == token.get("nextToken"):
                raise JobsError("RepeatedToken", "the service returned the same nextToken again")
            token = {"nextToken": next_token}


def _thing_name(arn: str) -> str:
    """Return what follows `:thing/`: a name may contain a colon."""
    name = arn.partition(":thing/")[2]
    if not name:
        raise JobsUnavailable("MalformedResponse", "ListJobExecutionsForJob returned an execution without a thing ARN")
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
        raise JobsUnavailable("MalformedResponse", f"ListJobs returned a job without {missing}") from missing


@contextmanager
def _translated_errors() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        raise _translate(error) from error
    except (HTTPClientError, SdkConnectionError, ResponseParserError) as error:
        raise JobsUnavailable(type(error).__name__, "no usable response from the service") from error
    except BotoCoreError as error:
        raise JobsError(type(error).__name__, str(error)) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # of an unreadable body
        raise JobsUnavailable("MalformedResponse", type(error).__name__) from error


def _translate(error: ClientError) -> JobsError:
    code = error.response.get("Error", {}).get("Code", "Unknown")
    message = error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    unavailable = status >= 500 or status == 429  # noqa: PLR2004 - HTTP
    return _ERRORS_BY_CODE.get(code, JobsUnavailable if unavailable else JobsError)(code, message)
