"""What a verification has made in an account, and how it goes away again."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError
from mypy_boto3_iot import IoTClient

_NOT_FOUND = "ResourceNotFoundException"


@dataclass
class Makings:
    """Names are noted before the calls that make them: one that was never made is found gone.

    `patience` is how many seconds a deletion may take. AWS deletes jobs in its own time, ten at once.
    """

    iot: IoTClient
    patience: float
    jobs: dict[str, str] = field(default_factory=dict)  # with their namespaces
    groups: list[str] = field(default_factory=list)
    things: list[str] = field(default_factory=list)

    def drop_jobs(self) -> None:
        """Have the jobs deleted. What refuses it, or takes its time, is left to `clean_up`."""
        for job_id in list(self.jobs):
            if self._delete_job(job_id) == _NOT_FOUND:
                del self.jobs[job_id]

    def clean_up(self) -> list[str]:
        """Delete everything, and tell what could not be deleted, and why."""
        return [
            *self._clean("job", list(self.jobs), self._delete_job),
            *self._clean("thing group", self.groups, self._delete_group),
            *self._clean("thing", self.things, self._delete_thing),
        ]

    def _clean(self, kind: str, names: Sequence[str], delete: Callable[[str], str]) -> list[str]:
        """Ask again until each of them is not found any more, for as long as there is hope."""
        until = time.monotonic() + self.patience
        left = {name: delete(name) for name in names}
        while left := {name: answer for name, answer in left.items() if answer != _NOT_FOUND}:
            asked_at = time.monotonic()
            left = {name: delete(name) for name in left}
            if asked_at > until or all(answer.startswith("AccessDenied") for answer in left.values()):
                break
        return [f"{kind} {name}: {answer}" for name, answer in left.items() if answer != _NOT_FOUND]

    def _delete_job(self, job_id: str) -> str:
        namespace = self.jobs[job_id]
        if namespace:
            return _answer(lambda: self.iot.delete_job(jobId=job_id, force=True, namespaceId=namespace))
        return _answer(lambda: self.iot.delete_job(jobId=job_id, force=True))

    def _delete_group(self, name: str) -> str:
        """DeleteThingGroup and DeleteThing succeed where there is nothing: that it did is asked for."""
        return _answer(lambda: self.iot.delete_thing_group(thingGroupName=name)) or _answer(
            lambda: self.iot.describe_thing_group(thingGroupName=name)
        )

    def _delete_thing(self, name: str) -> str:
        return _answer(lambda: self.iot.delete_thing(thingName=name)) or _answer(
            lambda: self.iot.describe_thing(thingName=name)
        )


def _answer(call: Callable[[], object]) -> str:
    """The code of the refusal; empty if there was none."""
    try:
        call()
    except ClientError as error:
        return error.response["Error"]["Code"]
    except BotoCoreError as error:
        return type(error).__name__
    return ""
