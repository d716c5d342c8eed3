"""What stands in for time, Lambda's context and the IoT Jobs API in tests.

`FakeJobs` has the service's rules; tests/contract holds it and the real adapter to the same cases.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from handler.cancellation.job import Job, JobStatus, JobSummary
from handler.cancellation.rate import Deadline, Gate
from handler.cancellation.request import StackLimits
from handler.cancellation.session import Session
from handler.config import Config
from handler.errors import (
    AccessDenied,
    ExecutionEnded,
    JobNotCancelable,
    JobNotFound,
    JobsError,
    JobsUnavailable,
)
from tests.support.sqs import FakeSqs
from tests.support.threads import waiting_thread

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)

LIMITS = StackLimits(
    force=False, dry_run=False, max_jobs=100, job_id_prefix="", protection_tag_key="cancel-protection"
)  # the defaults of template.yaml

type Hook = Callable[[str, str], None]


def config(endpoint_url: str | None = None, policy: StackLimits = LIMITS) -> Config:
    """The defaults of template.yaml, with FakeSqs."""
    return Config(
        limits=policy,
        cancels_per_second=8,
        sweep_job_id_glob="",
        sweep_older_than_hours=168,
        backlog_queue_url=FakeSqs.url,
        teardown_queue_url=FakeSqs.teardown_url,
        event_bus_name="operations",
        url_suffix="amazonaws.com",
        log_group="/aws/lambda/canceler",
        endpoint_url=endpoint_url,
    )


class FakeClock:
    """A clock that stands still unless something waits by it. Seconds."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = self.start = now
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    @property
    def elapsed(self) -> float:
        """Seconds since the clock began, rounded to milliseconds."""
        return self.since_start(self.now)

    def since_start(self, at: float) -> float:
        return round(at - self.start, 3)

    def sleep(self, seconds: float) -> None:
        """Take no time, and let the clock say that it did."""
        with self._lock:
            self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, for other threads too."""
        thread = waiting_thread()
        if thread is not None and seconds > 0:
            thread.wait(self, seconds)
            return
        with self._lock:
            self.now += seconds

    def utc_now(self) -> datetime:
        """NOW at first."""
        return NOW + timedelta(seconds=self.now - self.start)


class FakeContext:
    """Lambda's context object, for an invocation that ends `seconds` from now."""

    aws_request_id = "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11"

    def __init__(self, clock: FakeClock, seconds: float = 300.0) -> None:
        self._clock = clock
        self._end = clock() + seconds

    def get_remaining_time_in_millis(self) -> int:
        """By the fake clock."""
        return round((self._end - self._clock()) * 1000)


@dataclass
class FakeJob:
    """A job and the status of its execution on each thing. It was created 30 days before NOW."""

    status: str = "IN_PROGRESS"
    executions: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    reason_code: str | None = None
    comment: str | None = None
    targets: tuple[str, ...] = ()
    namespace: str | None = None
    target_selection: str = "SNAPSHOT"
    created_at: datetime = NOW - timedelta(days=30)
    last_updated_at: datetime = NOW - timedelta(days=30)


class FakeJobs:
    """`run.JobsApi` in memory.

    Attributes:
        calls: (operation, job id) of every call in order, failed ones too. A page of ListJobs goes by its status and
            number, such as IN_PROGRESS/2, or IN_PROGRESS/2@namespace.
        cancelled: ids of the jobs that were really cancelled, in order, with repetition if that ever happened.
        executions_cancelled: (job id, thing) of each execution that CancelJobExecution really cancelled, in order.
        fault: asked before a call acts, with the operation and the job id; it raises what the call shall raise.
        lost: the same after the call acted.
        lag: reads after an accepted cancel that still show the job as it was.
        seconds_a_call: how much time each call takes on `clock`.
        page_size: jobs or executions in a page.
        denied_tag: IAM denies the cancel of a job with this tag and the value true; empty for no such policy.
        hides_namespaced: a listing without a namespace leaves out jobs in one.
        ignores_namespaces: a listing with a namespace shows every job, as a local AWS does.
    """

    _gate: Gate | None = None

    def __init__(self, jobs: Mapping[str, FakeJob] | None = None, clock: FakeClock | None = None) -> None:
        self.jobs = dict(jobs or {})
        self.calls: list[tuple[str, str]] = []
        self.cancelled: list[str] = []
        self.executions_cancelled: list[tuple[str, str]] = []
        self.fault: Hook | None = None
        self.lost: Hook | None = None
        self.lag = 0
        self.seconds_a_call = 0.0
        self.page_size = 250
        self.denied_tag = ""
        self.hides_namespaced = False
        self.ignores_namespaces = False
        self._clock = clock or FakeClock()
        self._stale: dict[str, tuple[int, FakeJob]] = {}
        self._lock = threading.RLock()

    def cancel(self, job_id: str, *, force: bool, reason_code: str, comment: str) -> None:
        """CancelJob."""
        job = self._called("CancelJob", job_id)
        with self._lock:
            if self._is_denied(job):
                raise denied()
            _require(_fits_reason_code(reason_code), "Invalid reasonCode")
            _require(_fits_comment(comment), "Invalid comment")
            _require(job.status in {"IN_PROGRESS", "SCHEDULED"}, f"Job in status {job.status} cannot be canceled")
            if self.lag:
                self._stale[job_id] = self.lag, replace(job)
            job.status, job.reason_code, job.comment = "CANCELED", reason_code, comment
            ends = {"QUEUED", "IN_PROGRESS"} if force else {"QUEUED"}
            job.executions.update({thing: "CANCELED" for thing, now in job.executions.items() if now in ends})
            self.cancelled.append(job_id)
        self._answered("CancelJob", job_id)

    def describe(self, job_id: str) -> Job:
        """DescribeJob."""
        job = self._called("DescribeJob", job_id)
        with self._lock:
            job = self._as_seen(job_id, job)
            self._age(job_id)
            running = list(job.executions.values()).count("IN_PROGRESS")
        self._answered("DescribeJob", job_id)
        return Job(
            job_id,
            arn_of(job_id),
            job.status,
            running,
            job.targets,
            job.namespace or "",
            job.reason_code or "",
            job.comment or "",
            is_draining="QUEUED" in job.executions.values(),
        )

    def running_things(self, job_id: str) -> Iterator[str]:
        """ListJobExecutionsForJob, in the order of the things' names."""
        last = ""
        for number in count(1):
            page = f"{job_id}/{number}"
            job = self._called("ListJobExecutionsForJob", job_id)
            self._answered("ListJobExecutionsForJob", page)
            with self._lock:
                things = sorted(thing for thing, now in job.executions.items() if now == "IN_PROGRESS" and thing > last)
            yield from things[: self.page_size]
            if len(things) <= self.page_size:
                return
            last = things[self.page_size - 1]

    def cancel_execution(self, job_id: str, thing_name: str) -> None:
        """CancelJobExecution, with force."""
        self._began("CancelJobExecution", f"{job_id}/{thing_name}")
        with self._lock:
            job = self._existing(job_id)
            if self._is_denied(job):
                raise denied()
            if thing_name not in job.executions:
                raise not_found()
            if job.executions[thing_name] not in {"QUEUED", "IN_PROGRESS"}:
                raise ExecutionEnded("InvalidStateTransitionException", "the execution has ended")
            job.executions[thing_name] = "CANCELED"
            self.executions_cancelled.append((job_id, thing_name))
        self._answered("CancelJobExecution", f"{job_id}/{thing_name}")

    def tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource."""
        job_id = arn.partition(":job/")[2]
        job = self._called("ListTagsForResource", job_id)
        self._answered("ListTagsForResource", job_id)
        return dict(job.tags)

    def list_jobs(self, status: JobStatus, namespace: str | None = None) -> Iterator[JobSummary]:
        """ListJobs, newest first. A job that drops out between two pages makes no other vanish."""
        last: tuple[float, int] | None = None
        for number in count(1):
            page = f"{status.value}/{number}" + ("" if namespace is None else f"@{namespace}")
            self._began("ListJobs", page)
            with self._lock:
                rows = [row for row in self._listed(status.value, namespace) if last is None or row[0] > last]
                for job_id in list(self._stale):
                    self._age(job_id)
            self._answered("ListJobs", page)
            for key, job_id, job in rows[: self.page_size]:
                last = key
                yield JobSummary(job_id, arn_of(job_id), job.target_selection, job.created_at, job.last_updated_at)
            if len(rows) <= self.page_size:
                return

    def _listed(self, status: str, namespace: str | None) -> list[tuple[tuple[float, int], str, FakeJob]]:
        def is_shown(job: FakeJob) -> bool:
            if namespace is None:
                return not (self.hides_namespaced and job.namespace)
            return self.ignores_namespaces or job.namespace == namespace

        return sorted(
            ((-job.created_at.timestamp(), -serial), job_id, job)
            for serial, (job_id, job) in enumerate(self.jobs.items())
            if self._as_seen(job_id, job).status == status and is_shown(job)
        )

    def _as_seen(self, job_id: str, job: FakeJob) -> FakeJob:
        return self._stale[job_id][1] if job_id in self._stale else job

    def _age(self, job_id: str) -> None:
        if job_id in self._stale:
            left, job = self._stale.pop(job_id)
            if left > 1:
                self._stale[job_id] = left - 1, job

    def _is_denied(self, job: FakeJob) -> bool:
        return self.denied_tag.lower() in {key.lower() for key, tag in job.tags.items() if tag.lower() == "true"}

    def _called(self, operation: str, job_id: str) -> FakeJob:
        self._began(operation, job_id)
        return self._existing(job_id)

    def _existing(self, job_id: str) -> FakeJob:
        _require(1 <= len(job_id) <= 64 and set(job_id) <= _ID_CHARACTERS, "Invalid jobId")
        if job_id not in self.jobs:
            raise JobNotFound("ResourceNotFoundException", f"Job {job_id} cannot be found")
        return self.jobs[job_id]

    def behind(self, gate: Gate) -> "FakeJobs":
        """The same jobs for one run."""
        bound = copy(self)
        bound._gate = gate
        return bound

    def _began(self, operation: str, called_for: str) -> None:
        if self._gate:
            self._gate.acquire(operation)
        with self._lock:
            self.calls.append((operation, called_for))
        self._clock.advance(self.seconds_a_call)
        if self.fault:
            self.fault(operation, called_for)

    def _answered(self, operation: str, called_for: str) -> None:
        if self.lost:
            self.lost(operation, called_for)


def session(
    jobs: FakeJobs,
    clock: FakeClock,
    seconds: float = 300.0,
    limits: StackLimits = LIMITS,
    *,
    per_second: float = 1_000_000.0,
    call_seconds: float = 1.0,
    **progress: Any,
) -> Session:
    """A Session that has so many seconds. By default, no call waits for the rate limit."""
    gate = Gate(per_second, Deadline(seconds, clock), clock, clock.sleep, call_seconds=call_seconds)
    return Session(jobs.behind(gate), gate, limits, clock.utc_now, **progress)


_UPPER, _DIGITS = set("ABCDEFGHIJKLMNOPQRSTUVWXYZ"), set("0123456789")
_ID_CHARACTERS = _UPPER | {letter.lower() for letter in _UPPER} | _DIGITS | {"_", "-"}


def arn_of(job_id: str) -> str:
    """The job's ARN in the account and Region of these tests."""
    return f"arn:aws:iot:eu-west-1:123456789012:job/{job_id}"


def _require(rule: object, broken: str) -> None:
    if not rule:
        raise JobNotCancelable("InvalidRequestException", broken)


def _fits_reason_code(text: str) -> bool:
    return 1 <= len(text) <= 128 and set(text) <= _UPPER | _DIGITS | {"_"}


def _fits_comment(text: str) -> bool:
    return 1 <= len(text) <= 2028 and text.isprintable()


def failing(
    operation: str, error: Callable[[], JobsError], *, times: int | None = None, job_id: str | None = None
) -> Hook:
    """A hook that fails the first `times` calls of an operation, or all, for one job or for any."""
    failed = 0

    def hook(called: str, called_for: str) -> None:
        nonlocal failed
        if called != operation or job_id not in {None, called_for} or failed == times:
            return
        failed += 1
        raise error()

    return hook


def throttled() -> JobsError:
    return JobsUnavailable("ThrottlingException", "Rate exceeded")


def unavailable() -> JobsError:
    return JobsUnavailable("ServiceUnavailableException", "Service unavailable")


def denied() -> JobsError:
    return AccessDenied("AccessDeniedException", "not authorized")


def refused() -> JobsError:
    return JobNotCancelable("InvalidRequestException", "cannot be canceled")


def not_found() -> JobsError:
    return JobNotFound("ResourceNotFoundException", "cannot be found")


def answer_lost() -> JobsError:
    return JobsUnavailable("ConnectionClosedError", "no usable answer from the service")
