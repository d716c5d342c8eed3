"""A CDK construct for Custom::IoTJobCancellation, to copy into your app: its deletion cancels AWS IoT jobs.

Needs the iot-job-canceler stack in the account and Region, and aws-cdk-lib. `app.py` is an app that uses it.
docs/reference.md describes each property and its default. The canceler checks all values when the stack is created;
this module checks which options belong together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import aws_cdk as cdk
from constructs import Construct, IDependable

_MAX_WAIT_MINUTES = 50
_MIN_SERVICE_TIMEOUT_SECONDS, _MAX_SERVICE_TIMEOUT_SECONDS = 30, 3600
_MIN_SECONDS_BESIDE_WAIT = 120  # for the canceler to cancel, to poll once more, and to respond
_DEFAULT_SECONDS_BESIDE_WAIT = 900


class OnIncomplete(StrEnum):
    """The result of a deletion if a job is not settled."""

    FAIL = "FAIL"
    CONTINUE = "CONTINUE"


@dataclass(frozen=True, kw_only=True)
class Selection:
    """The jobs that match all criteria when the resource is deleted. Needs job_id_glob, tags or thing_group_name."""

    job_id_glob: str | None = None
    exclude_job_id_globs: Sequence[str] = ()
    tags: Mapping[str, str] | None = None
    thing_group_name: str | None = None
    older_than: cdk.Duration | None = None
    age_from: Literal["createdAt", "lastUpdatedAt"] | None = None
    status: Sequence[Literal["IN_PROGRESS", "SCHEDULED"]] = ()
    target_selection: Sequence[Literal["SNAPSHOT", "CONTINUOUS"]] = ()

    def __post_init__(self) -> None:
        """Raise ValueError if there is only an age or a status, which would be too broad."""
        if not (self.job_id_glob or self.tags or self.thing_group_name):
            raise ValueError("Selection: job_id_glob, tags or thing_group_name is required")

    def properties(self) -> dict[str, object]:
        """Return the property Select."""
        return _present(
            JobIdGlob=self.job_id_glob,
            ExcludeJobIdGlobs=[*self.exclude_job_id_globs] or None,
            Tags=dict(sorted(self.tags.items())) if self.tags else None,
            ThingGroupName=self.thing_group_name,
            OlderThanHours=self.older_than.to_hours(integral=False) if self.older_than else None,
            AgeFrom=self.age_from,
            Status=[*self.status] or None,
            TargetSelection=[*self.target_selection] or None,
        )


class IotJobCancellation(Construct):
    """Cancels one job or a selection of jobs when this construct or its stack is deleted.

    Exactly one of `job_id` and `select` is required. An option that is None is omitted, so that the canceler's default
    applies. By default, `service_timeout` is 15 minutes more than `wait_for_executions`, but at most an hour.
    `canceler_stack` is the name of the iot-job-canceler stack, or its parameter Name. Raises ValueError, which names
    the option and its allowed values.
    """

    def __init__(  # noqa: PLR0913 - the options of a construct are its keyword arguments
        self,
        scope: Construct,
        construct_id: str,
        *,
        job_id: str | None = None,
        select: Selection | None = None,
        force: bool | None = None,
        dry_run: bool | None = None,
        max_jobs: int | None = None,
        reason_code: str | None = None,
        comment: str | None = None,
        on_incomplete: OnIncomplete | None = None,
        wait_for_executions: cdk.Duration | None = None,
        service_timeout: cdk.Duration | None = None,
        canceler_stack: str = "iot-job-canceler",
    ) -> None:
        super().__init__(scope, construct_id)
        if (job_id is None) == (select is None):
            given = "neither is" if job_id is None else "both are"
            raise ValueError(f"{self.node.path}: exactly one of job_id and select is required, but {given} given")
        self._has_job_id = job_id is not None
        properties = _present(
            JobId=job_id,
            Select=select.properties() if select else None,
            Force=force,
            DryRun=dry_run,
            MaxJobs=max_jobs,
            ReasonCode=reason_code,
            Comment=comment,
            OnIncomplete=on_incomplete.value if on_incomplete else None,
            WaitForExecutionsMinutes=self._wait_minutes(wait_for_executions),
        )
        # A child with the id Default adds nothing to the logical id. With another logical id, CloudFormation would
        # delete the resource of a deployed stack that used cdk.CustomResource before, which cancels its job.
        self._resource = cdk.CustomResource(
            self,
            "Default",
            resource_type="Custom::IoTJobCancellation",
            service_token=cdk.Fn.import_value(f"{canceler_stack}-ServiceToken"),
            service_timeout=self._service_timeout(service_timeout, wait_for_executions),
            properties=properties,
        )

    @property
    def job_id(self) -> str:
        """The id of the job, as a token. Raises ValueError if the construct has a selection."""
        if not self._has_job_id:
            raise ValueError(f"{self.node.path}: job_id is not available: the construct has a selection")
        return self._resource.get_att_string("JobId")

    @property
    def force(self) -> str:
        """Whether the deletion also cancels executions that devices have started: a token of "true" or "false"."""
        return self._resource.get_att_string("Force")

    def cancel_before_deleting(self, *needed_by_devices: IDependable) -> None:
        """Delete these constructs after the cancellation: buckets, roles and thing groups that the jobs use."""
        self.node.add_dependency(*needed_by_devices)

    def cancel_after_deleting(self, *creators: Construct) -> None:
        """Delete these constructs before the cancellation: functions and schedules that could create another job."""
        for creator in creators:
            creator.node.add_dependency(self)

    def _wait_minutes(self, wait: cdk.Duration | None) -> int | None:
        if wait is None:
            return None
        minutes, rest = divmod(_seconds(wait), 60)
        if rest or minutes > _MAX_WAIT_MINUTES:
            raise ValueError(f"{self.node.path}: wait_for_executions must be whole minutes, 0 to {_MAX_WAIT_MINUTES}")
        return int(minutes)

    def _service_timeout(self, timeout: cdk.Duration | None, wait: cdk.Duration | None) -> cdk.Duration:
        wait_seconds = _seconds(wait) if wait else 0
        if timeout is None:
            usual = wait_seconds + _DEFAULT_SECONDS_BESIDE_WAIT
            return cdk.Duration.seconds(min(usual, _MAX_SERVICE_TIMEOUT_SECONDS))
        least = wait_seconds + _MIN_SECONDS_BESIDE_WAIT if wait_seconds else _MIN_SERVICE_TIMEOUT_SECONDS
        if not least <= _seconds(timeout) <= _MAX_SERVICE_TIMEOUT_SECONDS:
            of_wait = f": {_MIN_SECONDS_BESIDE_WAIT} more than wait_for_executions" if wait_seconds else ""
            allowed = f"{least:g} to {_MAX_SERVICE_TIMEOUT_SECONDS} seconds{of_wait}"
            raise ValueError(f"{self.node.path}: service_timeout must be {allowed}")
        return timeout


def _seconds(duration: cdk.Duration) -> float:
    return duration.to_seconds(integral=False)


def _present(**properties: object) -> dict[str, object]:
    return {name: value for name, value in properties.items() if value is not None}
