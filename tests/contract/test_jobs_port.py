"""The same cases for FakeJobs and for the real adapter over the service's rules, so that the fake can't lie.

Error codes are compared, messages are not: they are for people.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

import boto3
import pytest
from botocore.config import Config

from handler.aws.iot import IotJobs
from handler.cancellation.job import Job
from handler.cancellation.run import JobsApi
from handler.errors import AccessDenied, ExecutionEnded, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable
from tests.support import fakes, iot_server
from tests.support.fakes import FakeJob, FakeJobs
from tests.support.iot_rules import RulesBackend, in_process

if TYPE_CHECKING:
    from mypy_boto3_iot import IoTClient

REGION = "eu-west-1"
ARN = "arn:aws:iot:eu-west-1:123456789012:job/"
ONE_OF_EACH = {"thing-1": "QUEUED", "thing-2": "IN_PROGRESS", "thing-3": "SUCCEEDED"}


class World(Protocol):
    """The port, and what stands behind it: to be arranged and looked at past the port."""

    jobs: JobsApi

    def add(
        self,
        job_id: str,
        status: str,
        executions: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None: ...
    def status(self, job_id: str) -> str: ...
    def history(self, job_id: str) -> tuple[str | None, str | None]: ...
    def executions(self, job_id: str) -> dict[str, str]: ...
    def lag(self, reads: int) -> None: ...
    def fail(self, operation: str, kind: str, times: int | None) -> None: ...
    def lose_answers(self, operation: str) -> None: ...


class FakeWorld:
    """FakeJobs."""

    def __init__(self) -> None:
        self.fake = FakeJobs()
        self.jobs: JobsApi = self.fake

    def add(
        self,
        job_id: str,
        status: str,
        executions: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.fake.jobs[job_id] = FakeJob(status, dict(executions or {}), dict(tags or {}))

    def status(self, job_id: str) -> str:
        return self.fake.jobs[job_id].status

    def history(self, job_id: str) -> tuple[str | None, str | None]:
        return self.fake.jobs[job_id].reason_code, self.fake.jobs[job_id].comment

    def executions(self, job_id: str) -> dict[str, str]:
        return self.fake.jobs[job_id].executions

    def lag(self, reads: int) -> None:
        self.fake.lag = reads

    def fail(self, operation: str, kind: str, times: int | None) -> None:
        errors = {"throttled": fakes.throttled, "unavailable": fakes.unavailable, "denied": fakes.denied}
        self.fake.fault = fakes.failing(operation, errors[kind], times=times)

    def lose_answers(self, operation: str) -> None:
        self.fake.lost = fakes.failing(operation, fakes.answer_lost)


class ServiceWorld:
    """IotJobs, over a client that does not retry so that every fault shows, over the service's rules."""

    def __init__(self, client: "IoTClient", backend: RulesBackend) -> None:
        self.backend = backend
        self.jobs: JobsApi = IotJobs(client)

    def add(
        self,
        job_id: str,
        status: str,
        executions: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        self.backend.add_job(job_id, status=status, executions=executions, tags=dict(tags or {}))

    def status(self, job_id: str) -> str:
        return self._seen(job_id)["status"]

    def history(self, job_id: str) -> tuple[str | None, str | None]:
        return self._seen(job_id)["reasonCode"], self._seen(job_id)["comment"]

    def executions(self, job_id: str) -> dict[str, str]:
        rows = self.backend.answer_list_job_executions_for_job({"jobId": job_id})["executionSummaries"]
        return {row["thingArn"].partition(":thing/")[2]: row["jobExecutionSummary"]["status"] for row in rows}

    def lag(self, reads: int) -> None:
        self.backend.lag = reads

    def fail(self, operation: str, kind: str, times: int | None) -> None:
        errors: dict[str, Callable[[], Exception]] = {
            "throttled": iot_server.throttled,
            "unavailable": iot_server.unavailable,
            "denied": iot_server.access_denied,
        }
        self.backend.fault = iot_server.failing(operation, errors[kind], times=times)

    def lose_answers(self, operation: str) -> None:
        self.backend.lost = iot_server.failing(operation, iot_server.LostAnswerError)

    def _seen(self, job_id: str) -> dict[str, str]:
        seen: dict[str, str] = self.backend.answer_describe_job({"jobId": job_id})["job"]
        return seen


@pytest.fixture(scope="module")
def client() -> "IoTClient":
    return boto3.Session().client(
        "iot",
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
    )


@pytest.fixture(params=["fake", "service"])
def world(request: pytest.FixtureRequest, client: "IoTClient") -> Iterator[World]:
    if request.param == "fake":
        yield FakeWorld()
        return
    with in_process(REGION) as backend:
        yield ServiceWorld(client, backend)


def cancel(
    world: World, job_id: str = "a", *, force: bool = False, reason: str = "STALE", comment: str = "old"
) -> None:
    world.jobs.cancel(job_id, force=force, reason_code=reason, comment=comment)


def raised(call: Callable[[], object]) -> tuple[type[JobsError], str]:
    with pytest.raises(JobsError) as caught:
        call()
    return type(caught.value), caught.value.code


REFUSED = (JobNotCancelable, "InvalidRequestException")
NOT_FOUND = (JobNotFound, "ResourceNotFoundException")
HAS_ENDED = (ExecutionEnded, "InvalidStateTransitionException")


def running(world: World, job_id: str = "a") -> list[str]:
    return sorted(world.jobs.running(job_id, lambda: None))


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SCHEDULED"])
@pytest.mark.parametrize("force", [False, True])
def test_a_live_job_is_cancelled_and_its_history_tells_why(world: World, status: str, force: bool) -> None:
    world.add("a", status)
    cancel(world, force=force)
    assert world.jobs.describe("a") == Job("a", f"{ARN}a", "CANCELED", 0, reason_code="STALE", comment="old")
    assert world.history("a") == ("STALE", "old")


@pytest.mark.parametrize(
    ("force", "left", "executions"),
    [
        (False, 1, {"thing-1": "CANCELED", "thing-2": "IN_PROGRESS", "thing-3": "SUCCEEDED"}),
        (True, 0, {"thing-1": "CANCELED", "thing-2": "CANCELED", "thing-3": "SUCCEEDED"}),
    ],
)
def test_only_force_ends_what_devices_have_started(
    world: World,
    force: bool,
    left: int,
    executions: dict[str, str],
) -> None:
    world.add("a", "IN_PROGRESS", ONE_OF_EACH)
    cancel(world, force=force)
    assert world.jobs.describe("a").executions_in_progress == left
    assert world.executions("a") == executions


@pytest.mark.parametrize("status", ["CANCELED", "COMPLETED", "DELETION_IN_PROGRESS", "CANCELING"])
@pytest.mark.parametrize("force", [False, True])
def test_a_job_in_any_other_status_is_refused_and_stays_as_it_is(world: World, status: str, force: bool) -> None:
    world.add("a", status, {"thing": "IN_PROGRESS"})
    assert raised(lambda: cancel(world, force=force)) == REFUSED
    assert (world.status("a"), world.history("a")) == (status, (None, None))
    assert world.executions("a") == {"thing": "IN_PROGRESS"}


def test_a_second_cancel_is_refused_and_leaves_the_first_ones_reason(world: World) -> None:
    world.add("a", "IN_PROGRESS")
    cancel(world)
    assert raised(lambda: cancel(world, reason="AGAIN", comment="again")) == REFUSED
    assert world.history("a") == ("STALE", "old")


def test_a_job_that_is_not_there_is_not_found(world: World) -> None:
    assert raised(lambda: cancel(world)) == NOT_FOUND
    assert raised(lambda: world.jobs.describe("a")) == NOT_FOUND
    assert raised(lambda: world.jobs.tags(f"{ARN}a")) == NOT_FOUND


@pytest.mark.parametrize("job_id", ["a.b", "a b", "x" * 65, "é"])
def test_an_id_that_is_none_is_refused(world: World, job_id: str) -> None:
    assert raised(lambda: cancel(world, job_id)) == REFUSED
    assert raised(lambda: world.jobs.describe(job_id)) == REFUSED


@pytest.mark.parametrize("reason", ["A", "A_9", "Z" * 128])
@pytest.mark.parametrize("comment", ["c", "é " * 1014])
def test_texts_within_the_limits_are_taken(world: World, reason: str, comment: str) -> None:
    world.add("a", "IN_PROGRESS")
    cancel(world, reason=reason, comment=comment)
    assert world.history("a") == (reason, comment)


@pytest.mark.parametrize(
    ("reason", "comment"),
    [
        ("stale", "c"),
        ("A-B", "c"),
        ("A" * 129, "c"),
        ("", "c"),
        ("A", ""),
        ("A", "c" * 2029),
        ("A", "a\nb"),
        ("A", "\x00"),
    ],
)
def test_texts_beyond_the_limits_are_refused_and_cancel_nothing(world: World, reason: str, comment: str) -> None:
    world.add("a", "IN_PROGRESS")
    assert raised(lambda: cancel(world, reason=reason, comment=comment)) == REFUSED
    assert world.status("a") == "IN_PROGRESS"


@pytest.mark.parametrize(
    "status", ["IN_PROGRESS", "SCHEDULED", "CANCELED", "COMPLETED", "DELETION_IN_PROGRESS", "CANCELING"]
)
def test_a_job_is_described_as_it_is(world: World, status: str) -> None:
    world.add("a", status, {"thing-1": "IN_PROGRESS", "thing-2": "IN_PROGRESS", "thing-3": "FAILED"})
    assert world.jobs.describe("a") == Job("a", f"{ARN}a", status, 2)


@pytest.mark.parametrize("tags", [{}, {"cancel-protection": "true"}, {"a": "1", "b": "", "c": "x y"}])
def test_the_tags_of_a_job_are_read(world: World, tags: dict[str, str]) -> None:
    world.add("a", "IN_PROGRESS", tags=tags)
    world.add("b", "IN_PROGRESS", tags={"another": "job's"})
    assert world.jobs.tags(world.jobs.describe("a").arn) == tags


@pytest.mark.parametrize("reads", [0, 1, 3])
def test_a_cancelled_job_may_read_as_it_was_for_some_time(world: World, reads: int) -> None:
    world.add("a", "IN_PROGRESS", ONE_OF_EACH)
    world.lag(reads)
    cancel(world, force=True)
    seen = [world.jobs.describe("a").status for _ in range(reads + 2)]
    assert seen == ["IN_PROGRESS"] * reads + ["CANCELED", "CANCELED"]
    assert world.jobs.describe("a").executions_in_progress == 0


FAULTS = {
    "throttled": (JobsUnavailable, "ThrottlingException"),
    "unavailable": (JobsUnavailable, "ServiceUnavailableException"),
    "denied": (AccessDenied, "AccessDeniedException"),
}


@pytest.mark.parametrize(("kind", "expected"), FAULTS.items())
def test_a_call_that_fails_tells_why_and_does_nothing(
    world: World, kind: str, expected: tuple[type[JobsError], str]
) -> None:
    calls: dict[str, Callable[[], object]] = {
        "CancelJob": lambda: cancel(world),
        "DescribeJob": lambda: world.jobs.describe("a"),
        "ListTagsForResource": lambda: world.jobs.tags(f"{ARN}a"),
        "ListJobExecutionsForJob": lambda: running(world),
        "CancelJobExecution": lambda: world.jobs.cancel_execution("a", "thing"),
    }
    world.add("a", "IN_PROGRESS", {"thing": "IN_PROGRESS"})
    for operation, call in calls.items():
        world.fail(operation, kind, None)
        assert raised(call) == expected
    assert world.status("a") == "IN_PROGRESS"
    assert world.executions("a") == {"thing": "IN_PROGRESS"}


@pytest.mark.parametrize("kind", FAULTS)
def test_the_same_call_works_once_the_fault_is_over(world: World, kind: str) -> None:
    world.add("a", "IN_PROGRESS")
    world.fail("CancelJob", kind, 1)
    raised(lambda: cancel(world))
    cancel(world)
    assert world.status("a") == "CANCELED"


def test_a_fault_counts_before_the_job_is_looked_for(world: World) -> None:
    """As with IAM, which may deny a call for a job that is not there."""
    world.fail("CancelJob", "denied", None)
    assert raised(lambda: cancel(world)) == FAULTS["denied"]


def test_a_cancel_whose_answer_is_lost_has_happened(world: World) -> None:
    world.add("a", "IN_PROGRESS")
    world.lose_answers("CancelJob")
    kind, _ = raised(lambda: cancel(world))
    assert kind is JobsUnavailable
    assert world.status("a") == "CANCELED"


# Executions, one by one

EVERY_STATUS = {
    "thing-1": "QUEUED",
    "thing-2": "IN_PROGRESS",
    "thing-3": "SUCCEEDED",
    "thing-4": "FAILED",
    "thing-5": "TIMED_OUT",
    "thing-6": "REJECTED",
    "thing-7": "REMOVED",
    "thing-8": "CANCELED",
    "fleet:thing:9": "IN_PROGRESS",
    "fleet:thing:10": "SUCCEEDED",
}


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SCHEDULED", "CANCELED", "COMPLETED", "DELETION_IN_PROGRESS"])
def test_only_executions_in_progress_are_listed_whatever_the_job_is(world: World, status: str) -> None:
    world.add("a", status, EVERY_STATUS)
    world.add("b", status, {"another": "IN_PROGRESS"})
    assert running(world) == ["fleet:thing:9", "thing-2"]


@pytest.mark.parametrize("executions", [{}, {"thing": "QUEUED"}, {"thing": "SUCCEEDED"}])
def test_a_job_that_no_device_runs_has_nothing_listed(world: World, executions: dict[str, str]) -> None:
    world.add("a", "CANCELED", executions)
    assert running(world) == []


@pytest.mark.parametrize(("number", "turns"), [(0, 1), (1, 1), (250, 1), (251, 2), (501, 3)])
def test_executions_are_listed_in_pages_with_a_turn_before_each(world: World, number: int, turns: int) -> None:
    things = [f"thing-{each:04}" for each in range(number)]
    world.add("a", "CANCELED", dict.fromkeys(things, "IN_PROGRESS"))
    taken: list[int] = []
    assert sorted(world.jobs.running("a", lambda: taken.append(1))) == things
    assert len(taken) == turns


@pytest.mark.parametrize("status", ["IN_PROGRESS", "CANCELED", "COMPLETED"])
@pytest.mark.parametrize("thing", ["thing-1", "thing-2", "fleet:thing:9"])
def test_an_execution_that_has_not_ended_is_cancelled_and_no_other_one_is(
    world: World, status: str, thing: str
) -> None:
    world.add("a", status, EVERY_STATUS)
    world.jobs.cancel_execution("a", thing)
    assert world.executions("a") == EVERY_STATUS | {thing: "CANCELED"}
    assert world.status("a") == status


@pytest.mark.parametrize("thing", ["thing-3", "thing-4", "thing-5", "thing-6", "thing-7", "thing-8", "fleet:thing:10"])
def test_an_execution_that_has_ended_refuses_and_stays_as_it_is(world: World, thing: str) -> None:
    world.add("a", "CANCELED", EVERY_STATUS)
    assert raised(lambda: world.jobs.cancel_execution("a", thing)) == HAS_ENDED
    assert world.executions("a") == EVERY_STATUS


def test_an_execution_that_was_cancelled_refuses_a_second_time(world: World) -> None:
    world.add("a", "CANCELED", {"thing": "IN_PROGRESS"})
    world.jobs.cancel_execution("a", "thing")
    assert raised(lambda: world.jobs.cancel_execution("a", "thing")) == HAS_ENDED


@pytest.mark.parametrize("thing", ["another", "thing:x", "thing:9"])
def test_an_execution_that_is_not_there_is_not_found(world: World, thing: str) -> None:
    world.add("a", "CANCELED", {"thing": "IN_PROGRESS", "x:thing:9": "IN_PROGRESS"})
    assert raised(lambda: world.jobs.cancel_execution("a", thing)) == NOT_FOUND


def test_a_job_that_is_not_there_has_no_executions(world: World) -> None:
    assert raised(lambda: world.jobs.cancel_execution("a", "thing")) == NOT_FOUND
    assert raised(lambda: running(world)) == NOT_FOUND


def test_the_jobs_own_count_follows_its_executions(world: World) -> None:
    world.add("a", "CANCELED", {"x": "IN_PROGRESS", "y:z": "IN_PROGRESS", "q": "QUEUED"})
    counts = [world.jobs.describe("a").executions_in_progress]
    for thing in ("x", "y:z"):
        world.jobs.cancel_execution("a", thing)
        counts.append(world.jobs.describe("a").executions_in_progress)
    assert (counts, running(world)) == ([2, 1, 0], [])


def test_a_cancel_of_an_execution_whose_answer_is_lost_has_happened(world: World) -> None:
    world.add("a", "CANCELED", {"thing": "IN_PROGRESS"})
    world.lose_answers("CancelJobExecution")
    kind, _ = raised(lambda: world.jobs.cancel_execution("a", "thing"))
    assert kind is JobsUnavailable
    assert world.executions("a") == {"thing": "CANCELED"}


def test_a_job_without_a_cancel_tells_no_reason(world: World) -> None:
    world.add("a", "CANCELED")
    job = world.jobs.describe("a")
    assert (job.reason_code, job.comment) == ("", "")
