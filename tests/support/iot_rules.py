"""AWS IoT Jobs with the service's rules, on top of moto's IoT backend.

moto 5 routes the IoT jobs calls but applies no rules: it cancels completed jobs, ignores every filter and
repeats its second page for ever. Here the job calls are answered from `RulesBackend`; things, thing groups
and all else stay moto's. The rules are those of the AWS IoT API reference and the developer guide's "Jobs".

Not modelled: things named as targets need not exist, CONTINUOUS jobs do not pick up things that join their
group later, and a roll-out, a cancellation and a deletion take no time.
"""

import re
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from json import dumps, loads
from threading import RLock
from types import SimpleNamespace
from typing import Any

from botocore import xform_name
from moto import mock_aws
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.iot.exceptions import (
    InvalidRequestException,
    InvalidStateTransitionException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    VersionConflictException,
)
from moto.iot.models import IoTBackend, iot_backends
from moto.iot.responses import IoTResponse
from moto.iot.urls import url_bases

type Parameters = Mapping[str, Any]
type Answer = dict[str, Any]
type Hook = Callable[[str, Parameters], None]

JOB_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
TARGET = re.compile(r"arn:[^:]+:iot:[^:]+:\d{12}:(thing|thinggroup)/([a-zA-Z0-9:_-]{1,128})")
NO_SUCH_PAGE = "Invalid nextToken"
MAX_RESULTS, MAX_REASON_CODE, MAX_COMMENT = 250, 128, 2028
JOB_STATUSES = frozenset({"IN_PROGRESS", "CANCELED", "COMPLETED", "DELETION_IN_PROGRESS", "SCHEDULED"})
CANCELLABLE = frozenset({"IN_PROGRESS", "SCHEDULED"})
TARGET_SELECTIONS = frozenset({"SNAPSHOT", "CONTINUOUS"})
ENDED = {  # terminal execution statuses, by the counter of JobProcessDetails that each belongs to
    "SUCCEEDED": "numberOfSucceededThings",
    "FAILED": "numberOfFailedThings",
    "TIMED_OUT": "numberOfTimedOutThings",
    "REJECTED": "numberOfRejectedThings",
    "REMOVED": "numberOfRemovedThings",
    "CANCELED": "numberOfCanceledThings",
}
COUNTERS = {"QUEUED": "numberOfQueuedThings", "IN_PROGRESS": "numberOfInProgressThings"} | ENDED


@dataclass(slots=True)
class Execution:
    """One thing's execution of a job. `number` orders the executions of a job."""

    thing_arn: str
    number: int
    queued_at: datetime
    last_updated_at: datetime
    status: str = "QUEUED"
    started_at: datetime | None = None
    force_canceled: bool | None = None
    version: int = 1

    def summary(self) -> Answer:
        """JobExecutionSummary."""
        return {
            "status": self.status,
            "queuedAt": self.queued_at,
            "startedAt": self.started_at,
            "lastUpdatedAt": self.last_updated_at,
            "executionNumber": 1,
        }


@dataclass(slots=True)
class Job:
    """A job and its executions by thing name. `serial` orders jobs that were created at the same instant."""

    job_id: str
    arn: str
    serial: int
    created_at: datetime
    last_updated_at: datetime
    status: str = "IN_PROGRESS"
    target_selection: str = "SNAPSHOT"
    targets: Sequence[str] = ()
    thing_group_ids: Sequence[str] = ()
    namespace_id: str | None = None
    description: str | None = None
    scheduling_config: Parameters | None = None
    is_concurrent: bool = False
    completed_at: datetime | None = None
    force_canceled: bool | None = None
    reason_code: str | None = None
    comment: str | None = None
    tags: dict[str, str] = field(default_factory=dict)
    executions: dict[str, Execution] = field(default_factory=dict)

    def order(self) -> tuple[float, int]:
        """Sort key that puts the newest job first."""
        return -self.created_at.timestamp(), -self.serial

    def summary(self) -> Answer:
        """JobSummary: neither tags nor targets, namespace or description."""
        return {
            "jobArn": self.arn,
            "jobId": self.job_id,
            "thingGroupId": self.thing_group_ids[0] if self.thing_group_ids else None,
            "targetSelection": self.target_selection,
            "status": self.status,
            "createdAt": self.created_at,
            "lastUpdatedAt": self.last_updated_at,
            "completedAt": self.completed_at,
            "isConcurrent": self.is_concurrent,
        }

    def detail(self) -> Answer:
        """Job, with its process details counted from the executions."""
        counted = Counter(execution.status for execution in self.executions.values())
        detail = self.summary() | {
            "targets": list(self.targets),
            "namespaceId": self.namespace_id,
            "description": self.description,
            "schedulingConfig": self.scheduling_config,
            "forceCanceled": self.force_canceled,
            "reasonCode": self.reason_code,
            "comment": self.comment,
            "jobProcessDetails": {name: counted[status] for status, name in COUNTERS.items()},
        }
        del detail["thingGroupId"]
        return detail


def require(rule: object, broken: str) -> None:
    """Answer InvalidRequestException (400) with the text `broken` unless `rule` holds."""
    if not rule:
        raise InvalidRequestException(broken)


def check_cancel_texts(parameters: Parameters) -> None:
    r"""Hold reasonCode to `[\p{Upper}\p{Digit}_]{1,128}` and comment to `[^\p{C}]{1,2028}`."""
    code, comment = parameters.get("reasonCode"), parameters.get("comment")
    if code is not None:
        fits = all(char == "_" or unicodedata.category(char) in {"Lu", "Nd"} for char in code)
        require(fits and 1 <= len(code) <= MAX_REASON_CODE, "Invalid reasonCode")
    if comment is not None:
        fits = not any(unicodedata.category(char).startswith("C") for char in comment)
        require(fits and 1 <= len(comment) <= MAX_COMMENT, "Invalid comment")


def page[Row, Key: tuple[float, int]](
    rows: Sequence[Row], key: Callable[[Row], Key], keep: Callable[[Row], bool], parameters: Parameters
) -> tuple[list[Row], str | None]:
    """Return one page of the rows to keep, and the token of the next page.

    `rows` are sorted by `key`. A token names the last row that was answered, so a row that drops out of the
    filter between two calls makes no other row vanish. A token counts only with the filters it came from.
    """
    limit = parameters.get("maxResults") or MAX_RESULTS
    require(1 <= limit <= MAX_RESULTS, "maxResults must be between 1 and 250")
    filters = {name: value for name, value in parameters.items() if name not in {"maxResults", "nextToken"}}
    token = parameters.get("nextToken")
    start = bisect_right(rows, _read_token(token, filters), key=key) if token is not None else 0
    found = list(islice(filter(keep, islice(rows, start, None)), limit + 1))
    if len(found) <= limit:
        return found, None
    token = urlsafe_b64encode(dumps([filters, key(found[limit - 1])], sort_keys=True).encode()).decode()
    return found[:limit], token


def _read_token(token: str, filters: Parameters) -> tuple[float, int]:
    try:
        its_filters, (first, second) = loads(urlsafe_b64decode(token))
        last = float(first), int(second)
    except (ValueError, TypeError) as error:
        raise InvalidRequestException(NO_SUCH_PAGE) from error
    require(its_filters == filters, NO_SUCH_PAGE)
    return last


class RulesBackend(IoTBackend):
    """moto's IoT backend with the rules of the real jobs API.

    Attributes to read:
        calls: (operation, job id or None) of every job or tag call, in order, failed ones too.
        jobs_cancelled: how often each job id was really cancelled.
        executions_cancelled: the same for each (job id, thing name), by CancelJob and CancelJobExecution.

    Attributes to set, all off at first:
        pace, fault: asked before an operation acts; they raise what shall be answered.
        lost: asked after it acted; what it raises is answered instead.
        lag: DescribeJob and ListJobs calls after an accepted cancel that still show the job as it was.
        hides_namespaced: ListJobs without namespaceId leaves out jobs in a namespace (AWS documents neither).
        now: the clock, timezone-aware.
    """

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.calls: list[tuple[str, str | None]] = []
        self.jobs_cancelled: Counter[str] = Counter()
        self.executions_cancelled: Counter[tuple[str, str]] = Counter()
        self.pace: Hook | None = None
        self.fault: Hook | None = None
        self.lost: Hook | None = None
        self.lag = 0
        self.hides_namespaced = False
        self.now: Callable[[], datetime] = lambda: datetime.now(UTC)
        self._lock = RLock()
        self._jobs: dict[str, Job] = {}
        self._newest_first: list[Job] | None = None
        self._stale: dict[str, tuple[int, Job]] = {}
        self._serial = 0

    @property
    def _url_module(self) -> Any:
        """The URLs of moto's IoT, led to `RulesResponse`. moto would look for a module beside this one."""
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/.*$": RulesResponse.dispatch})

    def call(self, operation: str, parameters: Parameters) -> Answer:
        """Record the call, ask the hooks, and apply the rules of the operation."""
        job_id = parameters.get("jobId") or parameters.get("resourceArn", "").partition(":job/")[2] or None
        with self._lock:
            self.calls.append((operation, job_id))
        for hook in (self.pace, self.fault):
            if hook:
                hook(operation, parameters)
        with self._lock:
            answer: Answer = getattr(self, f"answer_{xform_name(operation)}")(parameters)
        if self.lost:
            self.lost(operation, parameters)
        return answer

    # The operations

    def answer_create_job(self, parameters: Parameters) -> Answer:
        """CreateJob: IN_PROGRESS at once, or SCHEDULED when a startTime is given."""
        job_id, targets = parameters["jobId"], parameters["targets"]
        require(JOB_ID.fullmatch(job_id), "Invalid jobId")
        require(targets, "A job needs a target")
        selection = parameters.get("targetSelection", "SNAPSHOT")
        require(selection in TARGET_SELECTIONS, "Invalid targetSelection")
        if job_id in self._jobs:
            text = f"Job {job_id} already exists"
            raise ResourceAlreadyExistsException(text, job_id, self._jobs[job_id].arn)
        things, group_ids = self._resolve(targets)
        scheduling = parameters.get("schedulingConfig")
        job = self.add_job(
            job_id,
            executions=dict.fromkeys(things, "QUEUED"),
            status="SCHEDULED" if (scheduling or {}).get("startTime") else "IN_PROGRESS",
            target_selection=selection,
            targets=targets,
            thing_group_ids=group_ids,
            namespace_id=parameters.get("namespaceId"),
            description=parameters.get("description"),
            scheduling_config=scheduling,
            tags={tag["Key"]: tag.get("Value", "") for tag in parameters.get("tags", [])},
        )
        return {"jobArn": job.arn, "jobId": job_id, "description": job.description}

    def answer_describe_job(self, parameters: Parameters) -> Answer:
        """DescribeJob."""
        job = self._job(parameters)
        answer = self._as_seen(job).detail()
        self._age([job.job_id])
        return {"job": answer}

    def answer_cancel_job(self, parameters: Parameters) -> Answer:
        """CancelJob: QUEUED executions end; IN_PROGRESS ones run on, unless `force`. It answers no status."""
        job, force = self._job(parameters), bool(parameters.get("force"))
        check_cancel_texts(parameters)
        text = f"Job {job.job_id} in status {job.status} cannot be canceled"
        require(job.status in CANCELLABLE, text)
        if self.lag:
            self._stale[job.job_id] = self.lag, replace(job)
        job.status, job.force_canceled = "CANCELED", force
        job.reason_code, job.comment = parameters.get("reasonCode"), parameters.get("comment")
        job.last_updated_at = job.completed_at = self.now()
        self.jobs_cancelled[job.job_id] += 1
        for name, execution in job.executions.items():
            if execution.status == "QUEUED" or (force and execution.status == "IN_PROGRESS"):
                self._cancel(job, name, force=force)
        return {"jobArn": job.arn, "jobId": job.job_id, "description": job.description}

    def answer_delete_job(self, parameters: Parameters) -> Answer:
        """DeleteJob: without `force` only in a terminal status, and never while a deletion is under way."""
        job = self._job(parameters)
        forced = bool(parameters.get("force")) and job.status in CANCELLABLE
        if job.status not in {"CANCELED", "COMPLETED"} and not forced:
            text = f"Job {job.job_id} in status {job.status} cannot be deleted"
            raise InvalidStateTransitionException(text)
        del self._jobs[job.job_id]
        self._stale.pop(job.job_id, None)
        self._newest_first = None
        return {}

    def answer_list_jobs(self, parameters: Parameters) -> Answer:
        """ListJobs, newest first."""
        require(parameters.get("status", "CANCELED") in JOB_STATUSES, "Invalid status")
        require(parameters.get("targetSelection", "SNAPSHOT") in TARGET_SELECTIONS, "Invalid targetSelection")
        status, selection, namespace = map(parameters.get, ("status", "targetSelection", "namespaceId"))
        groups = {parameters["thingGroupId"]} if "thingGroupId" in parameters else set()
        if "thingGroupName" in parameters:
            groups.add(self.describe_thing_group(parameters["thingGroupName"]).thing_group_id)

        def keep(job: Job) -> bool:
            return (
                status in {None, self._as_seen(job).status}
                and selection in {None, job.target_selection}
                and (namespace == job.namespace_id or (namespace is None and not self.hides_namespaced))
                and groups.issubset(job.thing_group_ids)
            )

        if self._newest_first is None:
            self._newest_first = sorted(self._jobs.values(), key=Job.order)
        jobs, token = page(self._newest_first, Job.order, keep, parameters)
        answer = {"jobs": [self._as_seen(job).summary() for job in jobs], "nextToken": token}
        self._age(list(self._stale))
        return answer

    def answer_list_job_executions_for_job(self, parameters: Parameters) -> Answer:
        """ListJobExecutionsForJob."""
        require(parameters.get("status", "QUEUED") in COUNTERS, "Invalid status")
        executions, token = page(
            list(self._job(parameters).executions.values()),
            lambda execution: (0.0, execution.number),
            lambda execution: parameters.get("status") in {None, execution.status},
            parameters,
        )
        rows = [{"thingArn": row.thing_arn, "jobExecutionSummary": row.summary()} for row in executions]
        return {"executionSummaries": rows, "nextToken": token}

    def answer_describe_job_execution(self, parameters: Parameters) -> Answer:
        """DescribeJobExecution."""
        job, execution = self._execution(parameters)
        if parameters.get("executionNumber", 1) != 1:
            raise ResourceNotFoundException
        detail = {
            "jobId": job.job_id,
            "thingArn": execution.thing_arn,
            "forceCanceled": execution.force_canceled,
            "versionNumber": execution.version,
        }
        return {"execution": execution.summary() | detail}

    def answer_cancel_job_execution(self, parameters: Parameters) -> Answer:
        """CancelJobExecution: QUEUED ends, IN_PROGRESS only with `force`, whatever the job's status is."""
        job, execution = self._execution(parameters)
        force, name = bool(parameters.get("force")), parameters["thingName"]
        if parameters.get("expectedVersion") not in {None, execution.version}:
            raise VersionConflictException(name)
        if execution.status in ENDED or (execution.status == "IN_PROGRESS" and not force):
            text = f"Execution of {job.job_id} on {name} in status {execution.status} cannot be canceled"
            raise InvalidStateTransitionException(text)
        self._cancel(job, name, force=force)
        return {}

    def answer_tag_resource(self, parameters: Parameters) -> Answer:
        """TagResource, for jobs."""
        new = {tag["Key"]: tag.get("Value", "") for tag in parameters["tags"]}
        self._tagged(parameters).tags.update(new)
        return {}

    def answer_untag_resource(self, parameters: Parameters) -> Answer:
        """UntagResource, for jobs; a key that is not there is no error."""
        tags = self._tagged(parameters).tags
        for key in parameters["tagKeys"]:
            tags.pop(key, None)
        return {}

    def answer_list_tags_for_resource(self, parameters: Parameters) -> Answer:
        """ListTagsForResource, for jobs."""
        tags = self._tagged(parameters).tags
        return {"tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    # Arranging: what devices, time and other people do

    def add_job(
        self,
        job_id: str,
        *,
        executions: Mapping[str, str] | None = None,
        created_at: datetime | None = None,
        **fields: Any,
    ) -> Job:
        """Put a job in place without CreateJob's checks, fast enough for 100,000 of them.

        `executions` are statuses by thing name, `fields` are fields of `Job`, times are timezone-aware.
        """
        with self._lock:
            self._serial += 1
            at = created_at or self.now()
            fields.setdefault("last_updated_at", at)
            job = Job(job_id, self._arn("job", job_id), self._serial, at, **fields)
            for number, (name, status) in enumerate((executions or {}).items()):
                started = None if status == "QUEUED" else at
                job.executions[name] = Execution(self._arn("thing", name), number, at, at, status, started)
            self._jobs[job_id] = job
            self._newest_first = None
            return job

    def start_execution(self, job_id: str, thing_name: str) -> None:
        """Let the device take up its QUEUED execution."""
        self._report(job_id, thing_name, "IN_PROGRESS", {"QUEUED"})

    def finish_execution(self, job_id: str, thing_name: str, status: str) -> None:
        """Let the device report a terminal status. Once cancelled, it can't any more."""
        self._report(job_id, thing_name, status, {"QUEUED", "IN_PROGRESS"})

    def set_status(self, job_id: str, status: str) -> None:
        """Put the job into any status, known or not; the executions stay as they are."""
        with self._lock:
            self._jobs[job_id].status = status

    def set_created_at(self, job_id: str, created_at: datetime) -> None:
        """Move the creation of the job in time."""
        with self._lock:
            self._jobs[job_id].created_at = created_at
            self._newest_first = None

    def set_concurrent(self, job_id: str, *, is_concurrent: bool) -> None:
        """Show the job as rolling out or cancelling, or not."""
        with self._lock:
            self._jobs[job_id].is_concurrent = is_concurrent

    # Inner workings

    def _arn(self, kind: str, name: str) -> str:
        return f"arn:{self.partition}:iot:{self.region_name}:{self.account_id}:{kind}/{name}"

    def _job(self, parameters: Parameters) -> Job:
        job_id = parameters["jobId"]
        require(JOB_ID.fullmatch(job_id), "Invalid jobId")
        if job_id not in self._jobs:
            text = f"Job {job_id} cannot be found"
            raise ResourceNotFoundException(text)
        return self._jobs[job_id]

    def _tagged(self, parameters: Parameters) -> Job:
        arn = parameters["resourceArn"]
        job = self._jobs.get(arn.partition(":job/")[2])
        if job is None or job.arn != arn:
            text = f"Resource {arn} cannot be found"
            raise ResourceNotFoundException(text)
        return job

    def _execution(self, parameters: Parameters) -> tuple[Job, Execution]:
        job, name = self._job(parameters), parameters["thingName"]
        if name not in job.executions:
            text = f"Thing {name} has no execution of job {job.job_id}"
            raise ResourceNotFoundException(text)
        return job, job.executions[name]

    def _resolve(self, targets: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return the names of the things that the targets reach, and the ids of the groups among them."""
        things, group_ids = [], []
        for target in targets:
            match = TARGET.fullmatch(target)
            if match is None:
                text = f"Invalid target {target}"
                raise InvalidRequestException(text)
            kind, name = match.groups()
            if kind == "thing":
                things.append(name)
            else:
                group = self.describe_thing_group(name)
                group_ids.append(group.thing_group_id)
                things.extend(thing.thing_name for thing in group.things.values())
        return things, group_ids

    def _as_seen(self, job: Job) -> Job:
        return self._stale[job.job_id][1] if job.job_id in self._stale else job

    def _age(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            if job_id in self._stale:
                left, seen = self._stale.pop(job_id)
                if left > 1:
                    self._stale[job_id] = left - 1, seen

    def _cancel(self, job: Job, thing_name: str, *, force: bool) -> None:
        job.executions[thing_name].force_canceled = force
        self.executions_cancelled[job.job_id, thing_name] += 1
        self._move(job, thing_name, "CANCELED")

    def _report(self, job_id: str, thing_name: str, status: str, allowed: set[str]) -> None:
        with self._lock:
            job = self._jobs[job_id]
            if job.executions[thing_name].status not in allowed or status not in COUNTERS:
                raise InvalidStateTransitionException
            self._move(job, thing_name, status)

    def _move(self, job: Job, thing_name: str, status: str) -> None:
        """Change an execution's status; a SNAPSHOT job COMPLETES when its last execution ends."""
        now, execution = self.now(), job.executions[thing_name]
        execution.status, execution.last_updated_at = status, now
        execution.version += 1
        if status == "IN_PROGRESS":
            execution.started_at = now
        running = job.status == "IN_PROGRESS" and job.target_selection == "SNAPSHOT"
        if running and all(row.status in ENDED for row in job.executions.values()):
            job.status = "COMPLETED"
            job.last_updated_at = job.completed_at = now


def backend_of(region_name: str, account_id: str = DEFAULT_ACCOUNT_ID) -> RulesBackend:
    """Return the installed backend of one Region and account; TypeError when moto's own is in place."""
    backend = iot_backends[account_id][region_name]
    if not isinstance(backend, RulesBackend):
        text = "The IoT rules are not installed"
        raise TypeError(text)
    return backend


class RulesResponse(IoTResponse):
    """moto's IoT responses, with the job and tag calls answered by `RulesBackend.call`."""

    def create_job(self) -> ActionResult:
        """Answer the job or tag operation of the request, whichever it is."""
        self.parse_parameters(self.normalized_request)
        backend = backend_of(self.region, self.current_account)
        return ActionResult(backend.call(self._get_action(), self.params))

    describe_job = cancel_job = delete_job = list_jobs = create_job
    describe_job_execution = cancel_job_execution = list_job_executions_for_job = create_job
    tag_resource = untag_resource = list_tags_for_resource = create_job
    # Calls without rules here: they fail loudly, and do not fall back on moto's.
    get_job_document = delete_job_execution = list_job_executions_for_thing = create_job


@contextmanager
def installed(region_name: str, account_id: str = DEFAULT_ACCOUNT_ID) -> Iterator[RulesBackend]:
    """Put the rules, with no state, in the place of moto's IoT backend; at exit moto's is back as it was.

    `mock_aws` empties all of moto's state when it starts and stops: enter it before this, and leave it after.
    """
    backend_class, state = iot_backends.backend, dict(iot_backends)
    iot_backends.clear()
    iot_backends.backend = RulesBackend
    try:
        yield backend_of(region_name, account_id)
    finally:
        iot_backends.clear()
        iot_backends.backend = backend_class
        iot_backends.update(state)


@contextmanager
def in_process(region_name: str, account_id: str = DEFAULT_ACCOUNT_ID) -> Iterator[RulesBackend]:
    """Mock AWS in this process, with the rules installed."""
    with mock_aws(), installed(region_name, account_id) as backend:
        yield backend
