"""The statuses of a job, and when devices still run it."""

import pytest

from handler.cancellation.job import ACTIVE_STATUSES, TERMINAL_STATUSES, Job, JobStatus


def test_each_documented_status_is_active_or_terminal() -> None:
    assert ACTIVE_STATUSES == ("SCHEDULED", "IN_PROGRESS")
    assert {"CANCELED", "COMPLETED", "DELETION_IN_PROGRESS"} == TERMINAL_STATUSES
    assert set(JobStatus) == {*ACTIVE_STATUSES, *TERMINAL_STATUSES}


def test_optional_fields_are_empty_by_default() -> None:
    assert Job("a", "arn", "IN_PROGRESS", 0) == Job("a", "arn", "IN_PROGRESS", 0, (), "", "", "", False, "", "")


@pytest.mark.parametrize(
    ("in_progress", "is_draining", "expected"),
    [(0, False, False), (1, False, True), (0, True, True), (2, True, True)],
)
def test_job_has_running_executions_while_devices_run_it_or_may_start_it(
    in_progress: int, is_draining: bool, expected: bool
) -> None:
    assert Job("a", "arn", "CANCELED", in_progress, is_draining=is_draining).has_running_executions is expected
