"""The AWS account of the caller's credentials, called at a rate that leaves most of its quotas to other clients."""

import time
from math import inf
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_iot import IoTClient
from mypy_boto3_iot_jobs_data import IoTJobsDataPlaneClient

from handler.cancellation.rate import Deadline, RateLimit
from tools.errors import Interrupted, ToolError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})


class Account:
    """`endpoint_url` replaces the endpoints of AWS. Every call raises Interrupted once a signal is in `signals`."""

    def __init__(self, endpoint_url: str | None, calls_per_second: float) -> None:
        self._session = boto3.Session()
        self._endpoint_url = endpoint_url
        self._rate_limiter = RateLimit(calls_per_second, time.monotonic, time.sleep)
        self.signals: Sequence[int] = ()
        if self._session.region_name is None:
            raise ToolError("no Region: set AWS_REGION")
        self.iot: IoTClient = self._rate_limited(self._session.client("iot", endpoint_url=endpoint_url, config=_CONFIG))

    @property
    def name(self) -> str:
        """Describe the account and the caller's identity."""
        caller = self._session.client("sts", endpoint_url=self._endpoint_url, config=_CONFIG).get_caller_identity()
        where = f", at {self._endpoint_url}" if self._endpoint_url else ""
        return f"account {caller['Account']}, Region {self._session.region_name}, as {caller['Arn']}{where}"

    def devices(self) -> "Devices":
        """Return the calls of the account's devices."""
        client: IoTJobsDataPlaneClient = self._session.client(
            "iot-jobs-data", endpoint_url=self._endpoint_url or self._devices_url(), config=_CONFIG
        )
        return Devices(self.iot, self._rate_limited(client))

    def _devices_url(self) -> str:
        """Return the endpoint of the jobs data plane. `iot:Data-ATS` is said to have replaced `iot:Jobs`."""
        try:
            endpoint = self.iot.describe_endpoint(endpointType="iot:Jobs")
        except ClientError as error:
            if error.response["Error"]["Code"] != "InvalidRequestException":
                raise
            endpoint = self.iot.describe_endpoint(endpointType="iot:Data-ATS")
        return f"https://{endpoint['endpointAddress']}"

    def _rate_limited[Client: (IoTClient, IoTJobsDataPlaneClient)](self, client: Client) -> Client:
        """Apply the rate limit to every request of the client, including the SDK's retries."""
        client.meta.events.register("before-send", self._acquire)
        return client

    def _acquire(self, **_request: object) -> None:
        if self.signals:
            raise Interrupted("interrupted")
        self._rate_limiter.acquire(Deadline(inf, time.monotonic), 0)


class Devices:
    """Implements `testbed.Devices` with the jobs data plane."""

    def __init__(self, iot: IoTClient, jobs: IoTJobsDataPlaneClient) -> None:
        self._iot = iot
        self._jobs = jobs

    def report(self, job_id: str, thing_name: str, status: Literal["IN_PROGRESS", "SUCCEEDED"]) -> object:
        """Call UpdateJobExecution."""
        return self._jobs.update_job_execution(jobId=job_id, thingName=thing_name, status=status)

    def begin_deletion(self, job_id: str) -> object:
        """Call DeleteJob. The deletion may already be complete when it returns."""
        return self._iot.delete_job(jobId=job_id, force=True)
