"""What the status of a job says, and what is taken for granted of a job that is not said."""

import pytest

from handler.cancellation.job import ENDED, LIVE, Job, JobStatus


def test_a_job_with_a_documented_status_is_live_or_has_ended() -> None:
    assert {"IN_PROGRESS", "SCHEDULED"} == LIVE
    assert {"CANCELED", "COMPLETED", "DELETION_IN_PROGRESS"} == ENDED
    assert set(JobStatus) == LIVE | ENDED


def test_what_is_not_said_of_a_job_is_nothing() -> None:
    assert Job("a", "arn", "IN_PROGRESS", 0) == Job("a", "arn", "IN_PROGRESS", 0, (), "", "", "", False)


@pytest.mark.parametrize(
    ("running", "is_draining", "is_at_work"), [(0, False, False), (1, False, True), (0, True, True), (2, True, True)]
)
def test_a_job_is_at_work_while_a_device_runs_it_or_may_yet_start(
    running: int, is_draining: bool, has_running_executions: bool
) -> None:
    assert (
        Job("a", "arn", "CANCELED", running, is_draining=is_draining).has_running_executions is has_running_executions
    )
