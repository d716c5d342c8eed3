"""The simulated AWS of the measurements: moto, and AWS IoT Jobs with its rules and quotas, as a server."""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import boto3

from tools.localaws.aws import REGION
from tools.simulators.faults import ServiceError, TokenBuckets
from tools.simulators.iot_server import IotServer

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

QUOTA = 10.0  # calls a second, of each operation: the service's default
JOB = "firmware-2026-11"
OPERATIONS = ("CancelJob", "DescribeJob", "ListJobs", "ListTagsForResource")
_CONFIGURATION = {
    "CANCELS_PER_SECOND": "10",
    "SWEEP_JOB_ID_GLOB": "",
    "SWEEP_OLDER_THAN_HOURS": "168",
    "BACKLOG_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/123456789012/backlog",
    "TEARDOWN_QUEUE_URL": f"https://sqs.{REGION}.amazonaws.com/123456789012/teardowns.fifo",
    "EVENT_BUS_NAME": "default",
    "FORCE": "false",
    "DRY_RUN": "false",
    "MAX_JOBS_PER_RUN": "1000",
    "JOB_ID_PREFIX": "",
    "PROTECTION_TAG_KEY": "cancel-protection",
    "URL_SUFFIX": "amazonaws.com",
    "LOG_GROUP": "/aws/lambda/canceler",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "POWERTOOLS_METRICS_NAMESPACE": "IoTJobCanceler",
    "POWERTOOLS_SERVICE_NAME": "canceler",
    "POWERTOOLS_TRACE_DISABLED": "true",
}


@dataclass
class Calls:
    """Calls to the service: throttled and accepted ones by operation, and the time of each accepted cancel."""

    throttled: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    cancels_at: list[float] = field(default_factory=list)

    @property
    def all(self) -> int:
        """The number of all calls, including throttled ones."""
        return self.throttled.total() + self.accepted.total()


class Service:
    """A running server, and the environment of programs that use it."""

    def __init__(self, server: IotServer) -> None:
        self.backend = server.backend
        self.environment: Mapping[str, str] = {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": server.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            **_CONFIGURATION,
        }

    def begin(self, *, latency: float = 0.0, quota: float | None = None) -> Calls:
        """Delete all jobs, and start to count calls. `latency` is in seconds, `quota` in calls per second."""
        self.backend.jobs.clear()
        self.backend.seconds_a_call = latency
        calls = Calls()
        buckets = TokenBuckets(dict.fromkeys(OPERATIONS, quota)) if quota else None

        def throttle(operation: str, target: str) -> None:
            try:
                if buckets:
                    buckets(operation, target)
            except ServiceError:
                calls.throttled[operation] += 1
                raise
            calls.accepted[operation] += 1
            if operation == "CancelJob":
                calls.cancels_at.append(time.monotonic())

        self.backend.throttle = throttle
        return calls

    def response_url(self, key: str = "request-1") -> str:
        """Return a ResponseURL."""
        return str(self._s3.generate_presigned_url("put_object", Params={"Bucket": "responses", "Key": key}))

    def responses(self, keys: Sequence[str]) -> Counter[str]:
        """Return the number of responses by Status. Raises an error of botocore if one is missing."""
        bodies = (self._s3.get_object(Bucket="responses", Key=key)["Body"].read() for key in keys)
        return Counter(json.loads(body)["Status"] for body in bodies)

    @cached_property
    def _s3(self) -> "S3Client":
        client = boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",  # noqa: S106
        )
        client.create_bucket(Bucket="responses")
        return client

    def canceled(self, job_ids: list[str]) -> int:
        """Return how many of the jobs are canceled."""
        return sum(self.backend.jobs[job_id].status == "CANCELED" for job_id in job_ids)


def deletion(response_url: str, name: str = "Teardown", **properties: object) -> dict[str, Any]:
    """Return the request of CloudFormation to delete the resource of that name."""
    return {
        "RequestType": "Delete",
        "RequestId": f"request-{name}",
        "ResponseURL": response_url,
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f",
        "LogicalResourceId": name,
        "PhysicalResourceId": properties.get("JobId", f"select:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/{name}"),
        "ResourceType": "Custom::IoTJobCancellation",
        "ResourceProperties": {"ServiceToken": "arn", **properties},
    }


@contextmanager
def running() -> Iterator[Service]:
    """Run the server on a free port of 127.0.0.1."""
    with IotServer(REGION) as server:
        yield Service(server)
