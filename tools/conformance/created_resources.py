"""The jobs, thing groups and things that a verification creates in an account, and their deletion."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_iot import IoTClient

_NOT_FOUND = "ResourceNotFoundException"


@dataclass
class CreatedResources:
    """The names of all resources, each recorded before the call that creates it.

    A resource whose creation failed is therefore listed, too: its deletion finds nothing. `timeout_seconds` limits the
    deletion of one kind of resource: AWS deletes jobs asynchronously, at most ten at a time.
    """

    iot: IoTClient
    timeout_seconds: float
    jobs: dict[str, str] = field(default_factory=dict)  # job id → namespace
    groups: list[str] = field(default_factory=list)
    things: list[str] = field(default_factory=list)

    def delete_jobs(self) -> None:
        """Request the deletion of every job, once. `clean_up` retries the deletions that fail or are still running."""
        for job_id in list(self.jobs):
            if self._delete_job(job_id) == _NOT_FOUND:
                del self.jobs[job_id]

    def clean_up(self) -> list[str]:
        """Delete every resource. Return a line with the error for each resource that remains."""
        return [
            *self._clean("job", list(self.jobs), self._delete_job),
            *self._clean("thing group", self.groups, self._delete_group),
            *self._clean("thing", self.things, self._delete_thing),
        ]

    def _clean(self, kind: str, names: Sequence[str], delete: Callable[[str], str]) -> list[str]:
        """Retry until every resource is gone, the timeout expires, or only AccessDenied errors remain."""
        deadline = time.monotonic() + self.timeout_seconds
        remaining = {name: delete(name) for name in names}
        while remaining := {name: error for name, error in remaining.items() if error != _NOT_FOUND}:
            tried_at = time.monotonic()
            remaining = {name: delete(name) for name in remaining}
            if tried_at > deadline or all(error.startswith("AccessDenied") for error in remaining.values()):
                break
        return [f"{kind} {name}: {error}" for name, error in remaining.items() if error != _NOT_FOUND]

    def _delete_job(self, job_id: str) -> str:
        namespace = self.jobs[job_id]
        if namespace:
            return _error_of(lambda: self.iot.delete_job(jobId=job_id, force=True, namespaceId=namespace))
        return _error_of(lambda: self.iot.delete_job(jobId=job_id, force=True))

    def _delete_group(self, name: str) -> str:
        """Delete the group, and describe it: DeleteThingGroup and DeleteThing also succeed if nothing exists."""
        return _error_of(lambda: self.iot.delete_thing_group(thingGroupName=name)) or _error_of(
            lambda: self.iot.describe_thing_group(thingGroupName=name)
        )

    def _delete_thing(self, name: str) -> str:
        return _error_of(lambda: self.iot.delete_thing(thingName=name)) or _error_of(
            lambda: self.iot.describe_thing(thingName=name)
        )


def _error_of(call: Callable[[], object]) -> str:
    """Return the error code of the call, or an empty text if it succeeds."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    except BotoCoreError as error:
        return type(error).__name__
    return ""
