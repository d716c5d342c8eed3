"""boto3's IoT client in memory, as far as the handler needs it."""

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ConnectionClosedError

from tools.simulators.faults import LostResponse, ServiceError
from tools.simulators.iot import IotSimulator, Response


class SimulatedIotClient:
    """Calls an `IotSimulator` and raises ClientError as boto3 does. It retries nothing and sends nothing."""

    def __init__(self, simulator: IotSimulator) -> None:
        self._simulator = simulator

    def call(self, operation: str, parameters: Mapping[str, Any]) -> Response:
        """Call one operation. Raises ClientError, ConnectionClosedError, and whatever else a hook raises."""
        try:
            return self._simulator.call(operation, parameters)
        except ServiceError as error:
            raise error.client_error(operation) from error
        except LostResponse as error:
            raise ConnectionClosedError(endpoint_url="https://iot.eu-west-1.amazonaws.com") from error

    def cancel_job(self, **parameters: Any) -> Response:
        return self.call("CancelJob", parameters)

    def describe_job(self, **parameters: Any) -> Response:
        return self.call("DescribeJob", parameters)

    def list_jobs(self, **parameters: Any) -> Response:
        return self.call("ListJobs", parameters)

    def list_job_executions_for_job(self, **parameters: Any) -> Response:
        return self.call("ListJobExecutionsForJob", parameters)

    def cancel_job_execution(self, **parameters: Any) -> Response:
        return self.call("CancelJobExecution", parameters)

    def list_tags_for_resource(self, **parameters: Any) -> Response:
        return self.call("ListTagsForResource", parameters)
