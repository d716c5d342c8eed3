"""The AWS account that the person's own credentials lead to, at a pace that leaves its quotas to others."""

import time
from math import inf
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from mypy_boto3_iot import IoTClient
from mypy_boto3_iot_jobs_data import IoTJobsDataPlaneClient

from handler.cancellation.rate import Deadline, RateLimit

from .errors import Interrupted, LocalError

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONFIG = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 5})
# The jobs data plane has had an endpoint of its own, which is said to have moved to the other one.
_ENDPOINTS = ("iot:Jobs", "iot:Data-ATS")


class Account:
    """`endpoint_url` leads to another AWS than the real one. Once a signal has `arrived`, no further call is made."""

    def __init__(self, endpoint_url: str | None, per_second: float) -> None:
        self._session = boto3.Session()
        self._endpoint_url = endpoint_url
        self._pace = RateLimit(per_second, time.monotonic, time.sleep)
        self.arrived: Sequence[int] = ()
        self.is_interruptible = True
        if self._session.region_name is None:
            raise LocalError("no Region: set AWS_REGION")
        self.iot: IoTClient = self._paced(self._session.client("iot", endpoint_url=endpoint_url, config=_CONFIG))

    @property
    def name(self) -> str:
        """Whose it is, for the person who is asked."""
        who = self._session.client("sts", endpoint_url=self._endpoint_url, config=_CONFIG).get_caller_identity()
        where = f", at {self._endpoint_url}" if self._endpoint_url else ""
        return f"account {who['Account']}, Region {self._session.region_name}, as {who['Arn']}{where}"

    def devices(self) -> "Devices":
        """The devices' side of the account's jobs."""
        client: IoTJobsDataPlaneClient = self._session.client(
            "iot-jobs-data", endpoint_url=self._endpoint_url or self._devices_url(), config=_CONFIG
        )
        return Devices(self.iot, self._paced(client))

    def _devices_url(self) -> str:
        for kind in _ENDPOINTS[:-1]:
            try:
                return f"https://{self.iot.describe_endpoint(endpointType=kind)['endpointAddress']}"
            except ClientError as error:
                if error.response["Error"]["Code"] != "InvalidRequestException":
                    raise
        return f"https://{self.iot.describe_endpoint(endpointType=_ENDPOINTS[-1])['endpointAddress']}"

    def _paced[Client: (IoTClient, IoTJobsDataPlaneClient)](self, client: Client) -> Client:
        """Every request waits for its turn, the SDK's own repetitions too."""
        client.meta.events.register("before-send", self._take_turn)
        return client

    def _take_turn(self, **_sent: object) -> None:
        if self.arrived and self.is_interruptible:
            raise Interrupted("interrupted")
        self._pace.take(Deadline(inf, time.monotonic), 0)


class Devices:
    """`beliefs.scene.Devices` over the jobs data plane."""

    def __init__(self, iot: IoTClient, jobs: IoTJobsDataPlaneClient) -> None:
        self._iot = iot
        self._jobs = jobs

    def report(self, job_id: str, thing_name: str, status: Literal["IN_PROGRESS", "SUCCEEDED"]) -> object:
        """UpdateJobExecution."""
        return self._jobs.update_job_execution(jobId=job_id, thingName=thing_name, status=status)

    def begin_deletion(self, job_id: str) -> object:
        """DeleteJob, which may have come to its end at once."""
        return self._iot.delete_job(jobId=job_id, force=True)
