"""Jobs that an earlier delivery of the same request has cancelled: found again by what they were cancelled with."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest
from handler.cancellation.left_behind import MAX_EARLIER_CANCELLATIONS, left_behind

from handler.cancellation.criteria import parse_criteria
from handler.cancellation.request import CancelRequest
from handler.cancellation.selection import Selecting
from handler.errors import AccessDenied, JobsError, JobsUnavailable, OutOfTime
from tests.support.fakes import NOW, FakeJob, FakeJobs, denied, failing, not_found, throttled

GROUP = "arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet"
REQUEST = CancelRequest((), None, force=True, dry_run=False, max_jobs=100, reason_code="STACK_TEARDOWN", comment="Mine")


@dataclass
class Turns:
    """Counts turns; the one after the last of `most` is too late."""

    most: int = 10_000
    number: int = field(default=0)

    def __call__(self) -> None:
        if self.number == self.most:
            raise OutOfTime
        self.number += 1


def left(**fields: Any) -> FakeJob:
    """A job that REQUEST has cancelled, and that a device still runs."""
    given: dict[str, Any] = {"reason_code": "STACK_TEARDOWN", "comment": "Mine"}
    return FakeJob("CANCELED", {"thing": "IN_PROGRESS"}, **(given | fields))


def find(
    jobs: FakeJobs,
    select: dict[str, Any] | None = None,
    *,
    prefix: str = "",
    known: tuple[str, ...] = (),
    turns: Turns | None = None,
    affordable: int = 10_000,
) -> list[str]:
    selector = parse_criteria(select or {"jobIdGlob": "*"})
    selecting = Selecting(selector, jobs, prefix, NOW, turns or Turns(), None)
    return left_behind(selecting, REQUEST, known, affordable)


@pytest.mark.parametrize(
    ("job", "is_ours"),
    [
        (left(), True),
        (left(reason_code="STALE"), False),
        (left(comment="Somebody's"), False),
        (left(comment="mine"), False),
        (left(reason_code=None, comment=None), False),
        (left(reason_code=None), False),
        (left(comment=None), False),
        (left(namespace="another"), True),
        (left(namespace="aws-gg-deployment"), False),
        (replace(left(), executions={}), False),
        (replace(left(), executions={"a": "QUEUED", "b": "SUCCEEDED", "c": "CANCELED"}), True),
        (replace(left(), executions={"b": "SUCCEEDED", "c": "CANCELED"}), False),
        (replace(left(), executions={"a": "QUEUED", "b": "IN_PROGRESS"}), True),
        (replace(left(), status="IN_PROGRESS"), False),
        (replace(left(), status="SCHEDULED"), False),
        (replace(left(), status="COMPLETED"), False),
        (replace(left(), status="DELETION_IN_PROGRESS"), False),
    ],
)
def test_a_cancelled_job_is_left_behind_if_it_bears_both_texts_and_is_still_at_work(
    job: FakeJob, is_ours: bool, jobs: FakeJobs
) -> None:
    jobs.jobs["a"] = job
    assert find(jobs) == (["a"] if is_ours else [])


def test_updates_of_freertos_are_never_found(jobs: FakeJobs) -> None:
    jobs.jobs |= {"AFR_OTA-1": left(), "AFR_OTA": left()}
    assert find(jobs) == ["AFR_OTA"]


@pytest.mark.parametrize(
    ("select", "found"),
    [
        ({"jobIdGlob": "*"}, ["fw-1", "fw-2", "ota-1"]),
        ({"jobIdGlob": "fw-*"}, ["fw-1", "fw-2"]),
        ({"jobIdGlob": "*", "excludeJobIdGlobs": ["*-1"]}, ["fw-2"]),
        ({"jobIdGlob": "*", "targetSelection": ["CONTINUOUS"]}, ["new"]),
        ({"jobIdGlob": "*", "targetSelection": ["SNAPSHOT", "CONTINUOUS"]}, ["fw-1", "fw-2", "new", "ota-1"]),
        ({"tags": {"env": "dev"}}, ["fw-1", "ota-1"]),
        ({"tags": {"env": "dev", "x": "y"}}, []),
        ({"thingGroupName": "fleet"}, ["fw-2", "ota-1"]),
        ({"thingGroupName": "fleet", "tags": {"env": "dev"}}, ["ota-1"]),
        ({"jobIdGlob": "fw-*", "olderThanHours": 719}, ["fw-1", "fw-2"]),
        ({"jobIdGlob": "fw-*", "olderThanHours": 720}, []),
        # The last update was the cancel: it tells no age any more.
        ({"jobIdGlob": "fw-*", "olderThanHours": 720, "ageFrom": "lastUpdatedAt"}, ["fw-1", "fw-2"]),
        # A job has been cancelled since: its status is another one now.
        ({"jobIdGlob": "fw-*", "status": ["SCHEDULED"]}, ["fw-1", "fw-2"]),
    ],
)
def test_only_jobs_that_the_selection_means_are_found(select: dict[str, Any], found: list[str], jobs: FakeJobs) -> None:
    jobs.jobs |= {
        "fw-1": left(tags={"env": "dev"}),
        "fw-2": left(targets=(GROUP,)),
        "ota-1": left(tags={"env": "dev"}, targets=("arn:thing/a", GROUP)),
        "new": left(target_selection="CONTINUOUS"),
    }
    assert sorted(find(jobs, select)) == found


def test_a_job_outside_the_prefix_is_not_even_asked_about(jobs: FakeJobs) -> None:
    jobs.jobs |= {"fw-1": left(), "ota-1": left()}
    assert find(jobs, prefix="ota-") == ["ota-1"]
    assert ("DescribeJob", "fw-1") not in jobs.calls


def test_what_is_known_already_is_not_asked_about_again(jobs: FakeJobs) -> None:
    jobs.jobs |= {"a": left(), "b": left()}
    assert find(jobs, known=("a",)) == ["b"]
    assert jobs.calls == [("ListJobs", "CANCELED/1"), ("DescribeJob", "b")]


def test_a_job_that_is_deleted_meanwhile_is_not_left_behind(jobs: FakeJobs) -> None:
    jobs.jobs |= {"a": left(), "b": left()}
    jobs.fault = failing("DescribeJob", not_found, job_id="a")
    assert find(jobs) == ["b"]


@pytest.mark.parametrize(
    ("operation", "error", "meaning"),
    [
        ("ListJobs", throttled, JobsUnavailable),
        ("ListJobs", denied, AccessDenied),
        ("DescribeJob", throttled, JobsUnavailable),
        ("DescribeJob", denied, AccessDenied),
        ("ListTagsForResource", throttled, JobsUnavailable),
    ],
)
def test_any_other_error_is_raised_and_is_never_no_jobs(
    operation: str, error: Callable[[], JobsError], meaning: type[JobsError], jobs: FakeJobs
) -> None:
    jobs.jobs["a"] = left(tags={"env": "dev"})
    jobs.fault = failing(operation, error)
    with pytest.raises(meaning):
        find(jobs, {"tags": {"env": "dev"}})


def test_only_the_five_hundred_that_changed_last_are_asked_about(jobs: FakeJobs) -> None:
    """They come in the order of their last change, however they are listed."""
    assert MAX_EARLIER_CANCELLATIONS == 500
    for number in range(502):  # the first ones were created last, and changed first
        changed = NOW - timedelta(hours=502 - number)
        jobs.jobs[f"job-{number:03}"] = left(created_at=NOW - timedelta(days=number), last_updated_at=changed)
    found = find(jobs)
    assert found == [f"job-{number:03}" for number in range(501, 1, -1)]
    assert {called_for for operation, called_for in jobs.calls if operation == "DescribeJob"} == set(found)


@pytest.mark.parametrize(("affordable", "found"), [(0, []), (1, ["b"]), (2, ["b", "a"]), (3, ["b", "a"])])
def test_no_more_are_asked_about_than_there_is_time_for(affordable: int, found: list[str], jobs: FakeJobs) -> None:
    """Or else each delivery would begin anew and come no further."""
    jobs.jobs["a"] = left(last_updated_at=NOW - timedelta(hours=2))
    jobs.jobs["b"] = left(last_updated_at=NOW - timedelta(hours=1))
    assert find(jobs, affordable=affordable) == found


@pytest.mark.parametrize(
    ("select", "turns"),
    [
        # Two pages, three questions; and one or two more about each of the two that are ours.
        ({"jobIdGlob": "*"}, 2 + 3 + 2),
        ({"tags": {"env": "dev"}}, 2 + 3 + 2),
        ({"thingGroupName": "fleet"}, 2 + 3 + 2),
        ({"tags": {"env": "dev"}, "thingGroupName": "fleet"}, 2 + 3 + 4),
    ],
)
def test_each_page_and_each_question_has_its_turn(select: dict[str, Any], turns: int, jobs: FakeJobs) -> None:
    jobs.page_size = 2
    ours = {each: left(tags={"env": "dev"}, targets=(GROUP,)) for each in ("a", "b")}
    jobs.jobs |= {**ours, "c": left(comment="another")}
    counted = Turns()
    assert sorted(find(jobs, select, turns=counted)) == ["a", "b"]
    assert counted.number == turns
    with pytest.raises(OutOfTime):
        find(jobs, select, turns=Turns(turns - 1))
