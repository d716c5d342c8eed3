"""The IoT Jobs API: time-outs, attempts, and what its errors mean.

The only IoT client, and the only place that reads an AWS error code.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from botocore.exceptions import ConnectionError as SdkConnectionError
from botocore.parsers import ResponseParserError

from .errors import AccessDenied, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable
from .job import Job

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

CONNECT_TIMEOUT = 1  # seconds; the SDK's default of 60 s would outlive the deadline of an invocation
READ_TIMEOUT = 3  # seconds
ATTEMPTS = 3
_GREATEST_BACKOFFS = 1 + 2  # seconds; `standard` waits up to 2**n s before attempt n + 1

_MEANINGS: dict[str, type[JobsError]] = {
    "ResourceNotFoundException": JobNotFound,
    "InvalidRequestException": JobNotCancelable,
    "InvalidStateTransitionException": JobNotCancelable,
    "AccessDenied": AccessDenied,
    "AccessDeniedException": AccessDenied,
    "UnauthorizedException": AccessDenied,
    "InternalFailureException": JobsUnavailable,
    "LimitExceededException": JobsUnavailable,
    "RequestLimitExceeded": JobsUnavailable,
    "ServiceUnavailableException": JobsUnavailable,
    "Throttling": JobsUnavailable,
    "ThrottlingException": JobsUnavailable,
    "TooManyRequestsException": JobsUnavailable,
}


def iot_client() -> "IoTClient":
    """A client whose calls end within `IotJobs.worst_call` seconds. Retries are the SDK's."""
    return boto3.client(
        "iot",
        config=Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        ),
    )


class IotJobs:
    """`cancel.Jobs` over the service."""

    worst_call: float = ATTEMPTS * (CONNECT_TIMEOUT + READ_TIMEOUT) + _GREATEST_BACKOFFS

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
        return Job(
            job_id=job_id,
            arn=described["jobArn"],
            status=described["status"],
            executions_in_progress=described.get("jobProcessDetails", {}).get("numberOfInProgressThings", 0),
        )

    def tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource, all pages. Raises JobsError."""
        with _errors_by_meaning():
            pages = self._client.get_paginator("list_tags_for_resource").paginate(resourceArn=arn)
            return {tag["Key"]: tag.get("Value", "") for page in pages for tag in page.get("tags", [])}


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


def _meaning_of(error: ClientError) -> JobsError:
    code = error.response.get("Error", {}).get("Code", "Unknown")
    message = error.response.get("Error", {}).get("Message", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    unavailable = status >= 500 or status == 429  # noqa: PLR2004 - HTTP
    return _MEANINGS.get(code, JobsUnavailable if unavailable else JobsError)(code, message)
