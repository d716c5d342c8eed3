"""AWS IoT Jobs in memory, with the rules of the AWS IoT API reference and of the developer guide's "Jobs".

Not modeled: things named as targets need not exist, CONTINUOUS jobs do not pick up things that join their group later,
and a rollout, a cancellation and a deletion take no time.
"""

import re
import time
import unicodedata
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from json import dumps, loads
from threading import RLock
from typing import Any

from botocore import xform_name

from tools.simulators.faults import Hook, denied, not_found, refused, wrong_state

type Parameters = Mapping[str, Any]
type Response = dict[str, Any]
type Key = tuple[Any, ...]

JOB_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
MAX_RESULTS, MAX_REASON_CODE, MAX_COMMENT = 250, 128, 2028
JOB_STATUSES = frozenset({"IN_PROGRESS", "CANCELED", "COMPLETED", "DELETION_IN_PROGRESS", "SCHEDULED"})
CANCELABLE = frozenset({"IN_PROGRESS", "SCHEDULED"})
COUNTERS = {  # of JobProcessDetails, by the execution status that each counts
    "QUEUED": "numberOfQueuedThings",
    "IN_PROGRESS": "numberOfInProgressThings",
    "SUCCEEDED": "numberOfSucceededThings",
    "FAILED": "numberOfFailedThings",
    "TIMED_OUT": "numberOfTimedOutThings",
    "REJECTED": "numberOfRejectedThings",
    "REMOVED": "numberOfRemovedThings",
    "CANCELED": "numberOfCanceledThings",
}
ACTIVE = frozenset({"QUEUED", "IN_PROGRESS"})  # execution statuses that are not terminal


@dataclass
class Job:
    """A job, and the status of its execution on each thing. Times are timezone-aware."""

    status: str = "IN_PROGRESS"
    executions: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    reason_code: str | None = None
    comment: str | None = None
    targets: Sequence[str] = ()
    namespace: str | None = None
    target_selection: str = "SNAPSHOT"
    created_at: datetime = field(kw_only=True)
    last_updated_at: datetime = field(kw_only=True)
    description: str | None = None
    starts_at: str | None = None


class IotSimulator:
    """The jobs of one account in one Region.

    Attributes to read:
        calls: (operation, target) of every call in order, failed ones too. The target of ListJobs is its status and
            the number of the page, such as IN_PROGRESS/2, or IN_PROGRESS/2@namespace; that of CancelJobExecution is
            job/thing; that of any other call is the job id.
        canceled: the ids of the jobs that CancelJob really canceled, in order, with repetition if that ever happened.
        executions_canceled: (job id, thing) of each execution that CancelJobExecution really canceled, in order.

    Attributes to change, which have no effect at first:
        jobs: by their ids. Tests may change the jobs at any time, as devices and other people do.
        throttle, fault: called with operation and target before a call acts; they raise what is to be raised.
        lost: the same after the call has acted.
        lag: reads after an accepted cancel that still show the job as it was.
        seconds_a_call: how long each call takes, by `sleep`.
        page_size: the most jobs or executions in a page.
        denied_tag: IAM denies `denied_operations` on a job that has this tag with the value true; case does not count.
        required_tag: IAM denies the same on a job without this tag (a key and a value; the case of the key is ignored).
        hides_namespaced: ListJobs without a namespace omits jobs in a namespace (AWS documents neither).
        ignores_namespaces: ListJobs with a namespace shows every job, as some local AWS does.
        now: the clock, timezone-aware.
        find_group: returns the things of a thing group, by its name.
    """

    def __init__(
        self,
        jobs: Mapping[str, Job] | None = None,
        *,
        region_name: str = "eu-west-1",
        account_id: str = "123456789012",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.calls: list[tuple[str, str]] = []
        self.canceled: list[str] = []
        self.executions_canceled: list[tuple[str, str]] = []
        self.jobs = dict(jobs or {})
        self.throttle: Hook | None = None
        self.fault: Hook | None = None
        self.lost: Hook | None = None
        self.lag = 0
        self.seconds_a_call = 0.0
        self.page_size = MAX_RESULTS
        self.denied_tag = ""
        self.required_tag: tuple[str, str] | None = None
        self.denied_operations = {"CancelJob", "CancelJobExecution"}
        self.hides_namespaced = False
        self.ignores_namespaces = False
        self.now = now
        self.sleep = sleep
        self.find_group: Callable[[str], Iterable[str]] = _no_group
        self._arn = f"arn:aws:iot:{region_name}:{account_id}:"
        self._lock = RLock()
        self._stale: dict[str, tuple[int, Job]] = {}
        self._serials: dict[str, int] = {}
        self._newest_first: list[tuple[Key, str]] = []

    def call(self, operation: str, parameters: Parameters) -> Response:
        """Record the call, run the hooks, and apply the rules of the operation. Raises ServiceError."""
        target = _target_of(operation, parameters)
        with self._lock:
            self.calls.append((operation, target))
        if self.seconds_a_call:
            self.sleep(self.seconds_a_call)
        for hook in (self.throttle, self.fault):
            if hook:
                hook(operation, target)
        with self._lock:
            response: Response = getattr(self, f"_{xform_name(operation)}")(parameters)
        if self.lost:
            self.lost(operation, target)
        return response

    # What devices, time and other people do

    def add_job(self, job_id: str, *, created_at: datetime | None = None, **fields: Any) -> Job:
        """Add a job without CreateJob's checks, fast enough for 100,000 jobs. `fields` are those of `Job`."""
        at = created_at or self.now()
        fields |= {name: dict(fields.get(name) or {}) for name in ("executions", "tags")}
        job = Job(created_at=at, **({"last_updated_at": at} | fields))
        self.jobs[job_id] = job
        return job

    def start_execution(self, job_id: str, thing_name: str) -> None:
        """Let the device start its QUEUED execution. Raises ServiceError."""
        self._report(job_id, thing_name, "IN_PROGRESS", {"QUEUED"})

    def finish_execution(self, job_id: str, thing_name: str, status: str) -> None:
        """Let the device report a terminal status. Raises ServiceError once the execution has ended."""
        self._report(job_id, thing_name, status, ACTIVE)

    # The operations

    def _create_job(self, parameters: Parameters) -> Response:
        """IN_PROGRESS at once, or SCHEDULED when a startTime is given."""
        job_id, targets = parameters["jobId"], parameters["targets"]
        self.add_job(
            job_id,
            executions=dict.fromkeys(self._things_of(targets), "QUEUED"),
            status="SCHEDULED" if "startTime" in parameters.get("schedulingConfig", {}) else "IN_PROGRESS",
            target_selection=parameters.get("targetSelection", "SNAPSHOT"),
            targets=targets,
            namespace=parameters.get("namespaceId"),
            description=parameters.get("description"),
            starts_at=parameters.get("schedulingConfig", {}).get("startTime"),
            tags={tag["Key"]: tag.get("Value", "") for tag in parameters.get("tags", [])},
        )
        return self._identity(job_id)

    def _describe_job(self, parameters: Parameters) -> Response:
        job_id, _ = self._existing(parameters)
        job = self._as_seen(job_id)
        counted = Counter(job.executions.values())
        detail = self._summary(job_id, job) | {
            "targets": list(job.targets),
            "namespaceId": job.namespace,
            "reasonCode": job.reason_code,
            "comment": job.comment,
            "description": job.description,
            "schedulingConfig": None if job.starts_at is None else {"startTime": job.starts_at},
            "jobProcessDetails": {name: counted[status] for status, name in COUNTERS.items()},
        }
        self._age([job_id])
        return {"job": {name: value for name, value in detail.items() if value is not None}}

    def _cancel_job(self, parameters: Parameters) -> Response:
        """QUEUED executions end; IN_PROGRESS ones run on, unless `force`. The response has no status."""
        job_id, job = self._existing(parameters)
        self._check_permission("CancelJob", job)
        _check_cancel_texts(parameters)
        _require(job.status in CANCELABLE, f"Job in status {job.status} cannot be canceled")
        if self.lag:
            self._stale[job_id] = self.lag, replace(job)
        job.status, job.last_updated_at = "CANCELED", self.now()
        job.reason_code, job.comment = parameters.get("reasonCode"), parameters.get("comment")
        ends = ACTIVE if parameters.get("force") else {"QUEUED"}
        job.executions.update({thing: "CANCELED" for thing, status in job.executions.items() if status in ends})
        self.canceled.append(job_id)
        return self._identity(job_id) | ({} if job.description is None else {"description": job.description})

    def _delete_job(self, parameters: Parameters) -> Response:
        """With `force`, which refuses no status but that of a deletion under way."""
        job_id, _ = self._existing(parameters)
        del self.jobs[job_id]
        self._stale.pop(job_id, None)
        return {}

    def _list_jobs(self, parameters: Parameters) -> Response:
        """Newest first, as sorted when the first page was read."""
        _require(parameters.get("status", "CANCELED") in JOB_STATUSES, "Invalid status")
        status, namespace = parameters.get("status"), parameters.get("namespaceId")
        group = f":thinggroup/{parameters['thingGroupName']}" if "thingGroupName" in parameters else ""

        def is_listed(job_id: str) -> bool:
            if job_id not in self.jobs:
                return False
            job = self._as_seen(job_id)
            if namespace is None:
                is_in_namespace = not (self.hides_namespaced and job.namespace)
            else:
                is_in_namespace = self.ignores_namespaces or namespace == job.namespace
            return (
                status in {None, job.status}
                and is_in_namespace
                and (not group or any(target.endswith(group) for target in job.targets))
            )

        if "nextToken" not in parameters:
            self._newest_first = sorted(
                ((-job.created_at.timestamp(), -self._serials.setdefault(job_id, len(self._serials))), job_id)
                for job_id, job in self.jobs.items()
            )
        listed, token = self._page(self._newest_first, is_listed, parameters)
        jobs = [self._summary(job_id, self._as_seen(job_id)) for job_id in listed]
        self._age(list(self._stale))
        return {"jobs": jobs} | token

    def _list_job_executions_for_job(self, parameters: Parameters) -> Response:
        """In the order of the names of the things."""
        _require(parameters.get("status", "QUEUED") in COUNTERS, "Invalid status")
        _, job = self._existing(parameters)
        rows: list[tuple[Key, str]] = [((thing,), thing) for thing in sorted(job.executions)]
        listed, token = self._page(
            rows, lambda thing: parameters.get("status") in {None, job.executions[thing]}, parameters
        )
        summaries = [
            {
                "thingArn": f"{self._arn}thing/{thing}",
                "jobExecutionSummary": {"status": job.executions[thing], "executionNumber": 1},
            }
            for thing in listed
        ]
        return {"executionSummaries": summaries} | token

    def _cancel_job_execution(self, parameters: Parameters) -> Response:
        """QUEUED ends, IN_PROGRESS only with `force`, whatever the job's status is."""
        job_id, job = self._existing(parameters)
        self._check_permission("CancelJobExecution", job)
        thing = parameters["thingName"]
        if thing not in job.executions:
            raise not_found(f"Thing {thing} has no execution of job {job_id}")
        if job.executions[thing] not in (ACTIVE if parameters.get("force") else {"QUEUED"}):
            raise wrong_state(f"Execution of {job_id} on {thing} in status {job.executions[thing]} cannot be canceled")
        self._move(job, thing, "CANCELED")
        self.executions_canceled.append((job_id, thing))
        return {}

    def _list_tags_for_resource(self, parameters: Parameters) -> Response:
        """For jobs."""
        arn = parameters["resourceArn"]
        job_id = arn.partition(":job/")[2]
        if job_id not in self.jobs or arn != self._arn_of(job_id):
            raise not_found(f"Resource {arn} cannot be found")
        return {"tags": [{"Key": key, "Value": value} for key, value in self.jobs[job_id].tags.items()]}

    # Inner workings

    def _arn_of(self, job_id: str) -> str:
        return f"{self._arn}job/{job_id}"

    def _existing(self, parameters: Parameters) -> tuple[str, Job]:
        job_id = parameters["jobId"]
        _require(JOB_ID.fullmatch(job_id), "Invalid jobId")
        if job_id not in self.jobs:
            raise not_found(f"Job {job_id} cannot be found")
        return job_id, self.jobs[job_id]

    def _check_permission(self, operation: str, job: Job) -> None:
        has_tag = (self.denied_tag.lower(), "true") in {(key.lower(), tag.lower()) for key, tag in job.tags.items()}
        lacks_tag = False
        if self.required_tag is not None:
            key, value = self.required_tag
            lacks_tag = (key.lower(), value) not in {(each.lower(), tag) for each, tag in job.tags.items()}
        if (has_tag or lacks_tag) and operation in self.denied_operations:
            raise denied()

    def _identity(self, job_id: str) -> Response:
        return {"jobArn": self._arn_of(job_id), "jobId": job_id}

    def _summary(self, job_id: str, job: Job) -> Response:
        """JobSummary: neither tags nor targets or namespace."""
        return self._identity(job_id) | {
            "targetSelection": job.target_selection,
            "status": job.status,
            "createdAt": job.created_at,
            "lastUpdatedAt": job.last_updated_at,
        }

    def _things_of(self, targets: Iterable[str]) -> Iterator[str]:
        """The names of the things that the targets reach."""
        for target in targets:
            kind, _, name = target.split(":", 5)[5].partition("/")
            yield from self.find_group(name) if kind == "thinggroup" else [name]

    def _page(
        self, rows: Sequence[tuple[Key, str]], is_listed: Callable[[str], bool], parameters: Parameters
    ) -> tuple[list[str], dict[str, str]]:
        """Return one page of the rows that are listed, and the token of the next page, if there is one.

        `rows` are sorted by their keys. A token names the last row of its page, so a row that drops out of the filter
        between two calls makes no other row vanish. A token is valid only with the filters that it came from.
        """
        limit = parameters.get("maxResults") or MAX_RESULTS
        _require(1 <= limit <= MAX_RESULTS, "maxResults must be between 1 and 250")
        limit = min(limit, self.page_size)
        filters = {name: value for name, value in parameters.items() if name not in {"maxResults", "nextToken"}}
        start = 0
        if "nextToken" in parameters:
            start = bisect_right(rows, _read_token(parameters["nextToken"], filters), key=lambda row: row[0])
        found = list(islice((row for row in islice(rows, start, None) if is_listed(row[1])), limit + 1))
        names = [name for _, name in found[:limit]]
        if len(found) <= limit:
            return names, {}
        content = urlsafe_b64encode(dumps([filters, found[limit - 1][0]], sort_keys=True).encode()).decode()
        return names, {"nextToken": f"{_page_number(parameters)}.{content}"}

    def _as_seen(self, job_id: str) -> Job:
        return self._stale[job_id][1] if job_id in self._stale else self.jobs[job_id]

    def _age(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            if job_id in self._stale:
                left, seen = self._stale.pop(job_id)
                if left > 1:
                    self._stale[job_id] = left - 1, seen

    def _report(self, job_id: str, thing_name: str, status: str, allowed: Iterable[str]) -> None:
        with self._lock:
            job = self.jobs[job_id]
            if job.executions[thing_name] not in allowed or status not in COUNTERS:
                raise wrong_state(f"Execution of {job_id} on {thing_name} is {job.executions[thing_name]}")
            self._move(job, thing_name, status)

    def _move(self, job: Job, thing_name: str, status: str) -> None:
        """Change an execution's status; a SNAPSHOT job is COMPLETED when its last execution ends."""
        job.executions[thing_name] = status
        is_running = job.status == "IN_PROGRESS" and job.target_selection == "SNAPSHOT"
        if is_running and ACTIVE.isdisjoint(job.executions.values()):
            job.status, job.last_updated_at = "COMPLETED", self.now()


def _no_group(name: str) -> Iterable[str]:
    raise not_found(f"Thing group {name} cannot be found")


def _require(rule: object, broken: str) -> None:
    """Raise InvalidRequestException with the text `broken` unless `rule` holds."""
    if not rule:
        raise refused(broken)


def _check_cancel_texts(parameters: Parameters) -> None:
    r"""Hold reasonCode to `[\p{Upper}\p{Digit}_]{1,128}` and comment to `[^\p{C}]{1,2028}`."""
    code, comment = parameters.get("reasonCode"), parameters.get("comment")
    if code is not None:
        fits = all(char == "_" or unicodedata.category(char) in {"Lu", "Nd"} for char in code)
        _require(fits and 1 <= len(code) <= MAX_REASON_CODE, "Invalid reasonCode")
    if comment is not None:
        fits = not any(unicodedata.category(char).startswith("C") for char in comment)
        _require(fits and 1 <= len(comment) <= MAX_COMMENT, "Invalid comment")


def _target_of(operation: str, parameters: Parameters) -> str:
    """Return what `IotSimulator.calls` has for the call."""
    if operation == "ListJobs":
        namespace = f"@{parameters['namespaceId']}" if "namespaceId" in parameters else ""
        return f"{parameters.get('status', 'ANY')}/{_page_number(parameters)}{namespace}"
    job_id: str = parameters.get("jobId") or parameters.get("resourceArn", "").partition(":job/")[2]
    return f"{job_id}/{parameters['thingName']}" if "thingName" in parameters else job_id


def _page_number(parameters: Parameters) -> int:
    """Return the number that the next token was made with, plus 1."""
    number = parameters.get("nextToken", "0").partition(".")[0]
    return int(number) + 1 if number.isdecimal() else 0


def _read_token(token: str, filters: Parameters) -> Key:
    try:
        its_filters, key = loads(urlsafe_b64decode(token.partition(".")[2]))
    except (ValueError, TypeError) as error:
        raise refused("Invalid nextToken") from error
    _require(its_filters == filters, "Invalid nextToken")
    return tuple(key)
