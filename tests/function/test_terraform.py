"""The sequence of Terraform: create → update → delete → delete again, and which results it gets as an error.

The provider of `aws_lambda_invocation` invokes the function synchronously. It fails if the function raises, and ignores
what the function returns.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from handler.errors import TeardownFailed
from tests.conftest import Function
from tests.support.fakes import LIMITS, FakeJob, Hook, denied, failing, not_found, throttled, unavailable

AGAIN = "running it again continues with the remaining jobs"
NOTHING_DONE = "nothing was canceled: remove the cause, and run it again"
BY_REQUEST = "cancel these jobs by a request: another apply may not name them"
VALID = "the input is valid; jobs are canceled only when it no longer names them, or on delete"


class Resource:
    """An `aws_lambda_invocation` with `lifecycle_scope = "CRUD"`. Its state has the last input, also if it failed."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._state: dict[str, Any] | None = None

    def apply(self, **cancel: object) -> dict[str, Any]:
        """Create or update the resource. Raises what the function raises."""
        state, self._state = self._state, {"cancel": cancel}
        return self._invoke("update" if state else "create", {"cancel": cancel}, state)

    def destroy(self) -> dict[str, Any]:
        """Delete the resource. Raises what the function raises."""
        assert self._state
        return self._invoke("delete", self._state, self._state)

    def _invoke(self, action: str, given: dict[str, Any], previous: dict[str, Any] | None) -> dict[str, Any]:
        return self._function({**given, "tf": {"action": action, "prev_input": previous}})


@pytest.fixture
def resource(function: Function) -> Resource:
    function.jobs.jobs |= {job_id: FakeJob() for job_id in ("job-1", "job-2", "ota-1", "ota-2", "other")}
    return Resource(function)


def counted(capsys: pytest.CaptureFixture[str], *metrics: str) -> list[str]:
    printed = capsys.readouterr().out
    return [metric for metric in metrics if f'"{metric}"' in printed]


def failure(act: Callable[[], object]) -> str:
    with pytest.raises(TeardownFailed) as caught:
        act()
    return str(caught.value)


def test_only_the_deletion_cancels_and_a_repeated_one_is_settled(resource: Resource, function: Function) -> None:
    created = resource.apply(jobId="job-1")
    assert (created["status"], created["trigger"], created["reason"]) == ("SETTLED", "TEARDOWN", f"create: {VALID}")
    updated = resource.apply(jobId="job-1", comment="no longer needed")
    assert (updated["status"], updated["reason"], updated["jobs"]) == ("SETTLED", f"update: {VALID}", [])
    assert function.jobs.calls == []
    deleted = resource.destroy()
    assert (deleted["status"], deleted["trigger"], deleted["counts"]) == ("SETTLED", "TEARDOWN", {"CANCELED": 1})
    job = function.jobs.jobs["job-1"]
    assert (job.status, job.reason_code, job.comment) == ("CANCELED", "STACK_TEARDOWN", "no longer needed")
    again = resource.destroy()
    assert (again["status"], again["counts"]) == ("SETTLED", {"ALREADY_CANCELED": 1})
    assert function.jobs.canceled == ["job-1"]
    assert len(function.bus.entries) == 4
    assert (function.sqs.messages, function.responses) == ([], [])


def test_an_update_cancels_the_job_that_it_no_longer_names(resource: Resource, function: Function) -> None:
    resource.apply(jobIds=["job-1", "job-2"])
    updated = resource.apply(jobId="job-2")
    assert (updated["status"], updated["reason"]) == ("SETTLED", "update: the new input no longer names these jobs")
    assert {job["jobId"]: job["outcome"] for job in updated["jobs"]} == {"job-1": "CANCELED"}
    assert function.jobs.jobs["job-1"].comment == "Updated by Terraform"
    resource.destroy()
    assert function.jobs.canceled == ["job-1", "job-2"]


def test_an_update_to_a_selection_cancels_nothing_and_warns(resource: Resource, function: Function) -> None:
    resource.apply(jobId="job-1")
    assert resource.apply(select={"jobIdGlob": "ota-*"})["reason"] == f"update: {VALID}"
    (warning,) = [line["message"] for line in function.log.lines if line["level"] == "WARNING"]
    assert warning == "the input no longer names 1 job, such as job-1; they stay active unless select matches them"
    resource.destroy()
    assert sorted(function.jobs.canceled) == ["ota-1", "ota-2"]


def test_the_deletion_of_a_selection_repeats_it_until_nothing_new_matches(
    resource: Resource, function: Function
) -> None:
    resource.apply(select={"jobIdGlob": "ota-*"})
    function.jobs.jobs["ota-2"].target_selection = "CONTINUOUS"

    def create_another(operation: str, job_id: str) -> None:
        if (operation, job_id) == ("CancelJob", "ota-1"):
            function.jobs.jobs["ota-3"] = FakeJob()

    function.jobs.fault = create_another
    assert resource.destroy()["counts"] == {"CANCELED": 3}
    assert sorted(function.jobs.canceled) == ["ota-1", "ota-2", "ota-3"]
    assert function.jobs.jobs["ota-1"].comment == 'Deleted by Terraform: select {"jobIdGlob": "ota-*"}'


# Results that are raised


PROTECTED: dict[str, Any] = {"tags": {"cancel-protection": "true"}}
FAILURES: dict[str, tuple[dict[str, Any], Hook, str]] = {
    "throttled": (
        {},
        failing("CancelJob", throttled),
        f"job job-1 DEFERRED: ThrottlingException: Rate exceeded; {AGAIN}",
    ),
    "unavailable": (
        {},
        failing("DescribeJob", unavailable),
        (
            "job job-1 DEFERRED: CancelJob was accepted, but the job could not be read back: "
            f"ServiceUnavailableException: Service unavailable; {AGAIN}"
        ),
    ),
    "denied": ({}, failing("CancelJob", denied), f"job job-1 FAILED: AccessDeniedException: not authorized; {AGAIN}"),
    "protected": (
        PROTECTED,
        failing("CancelJob", denied),
        f"job job-1 PROTECTED: the job is tagged cancel-protection=true; {AGAIN}",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_failed_deletion_is_raised_and_a_repeated_one_continues(
    name: str, resource: Resource, function: Function
) -> None:
    fields, fault, message = FAILURES[name]
    function.jobs.jobs["job-1"] = FakeJob(**fields)
    resource.apply(jobId="job-1")
    function.jobs.fault = fault
    assert failure(resource.destroy) == message
    assert [report["status"] for report in function.reports] == ["SETTLED", "UNSETTLED"]
    assert len(function.bus.entries) == 2
    assert function.sqs.messages == []
    function.jobs.fault = None
    function.jobs.jobs["job-1"].tags = {}
    assert resource.destroy()["status"] == "SETTLED"
    assert function.jobs.canceled == ["job-1"]


def test_a_deletion_that_runs_out_of_time_is_raised(resource: Resource, function: Function) -> None:
    resource.apply(jobIds=["job-1", "job-2"])
    deletion = {"cancel": {"jobIds": ["job-1", "job-2"]}, "tf": {"action": "delete", "prev_input": None}}
    message = failure(lambda: function(deletion, seconds=15.5))
    assert message == (
        "job job-1 DEFERRED: OutOfTime: no time left in this invocation; "
        f"job job-2 DEFERRED: OutOfTime: no time left in this invocation; {AGAIN}"
    )
    assert resource.destroy()["counts"] == {"CANCELED": 2}


def test_a_listing_that_fails_is_raised(resource: Resource, function: Function) -> None:
    resource.apply(select={"jobIdGlob": "ota-*"})
    function.jobs.fault = failing("ListJobs", throttled)
    assert failure(resource.destroy) == f"the selection failed: ThrottlingException: Rate exceeded; {AGAIN}"
    function.jobs.fault = failing("ListJobs", denied)
    assert failure(resource.destroy) == (
        f"select: the selection failed: AccessDeniedException: not authorized; {NOTHING_DONE}"
    )
    function.jobs.fault = None
    assert resource.destroy()["status"] == "SETTLED"


def test_a_forced_deletion_ends_what_a_failed_one_left_running(resource: Resource, function: Function) -> None:
    function.configure(limits=replace(LIMITS, force=True))
    running = {"thing-1": "IN_PROGRESS"}
    comment = 'Deleted by Terraform: select {"jobIdGlob": "ota-*"}'
    function.jobs.jobs["ota-1"] = FakeJob("CANCELED", dict(running), reason_code="STACK_TEARDOWN", comment=comment)
    function.jobs.jobs["ota-2"] = FakeJob("CANCELED", dict(running), reason_code="STACK_TEARDOWN", comment="another")
    resource.apply(select={"jobIdGlob": "ota-*"})
    assert resource.destroy()["status"] == "SETTLED"
    assert function.jobs.executions_canceled == [("ota-1", "thing-1")]


def test_a_failed_cancellation_of_an_update_is_raised(resource: Resource, function: Function) -> None:
    resource.apply(jobId="job-1")
    function.jobs.fault = failing("CancelJob", throttled)
    assert failure(lambda: resource.apply(jobId="job-2")) == (
        "update: the new input no longer names these jobs; "
        f"job job-1 DEFERRED: ThrottlingException: Rate exceeded; {BY_REQUEST}"
    )


@pytest.mark.parametrize(
    ("action", "reason", "metric"),
    [
        ("create", "jobId: must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -", "ValidationsRejected"),
        ("update", "jobId: must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -", "ValidationsRejected"),
        (
            "delete",
            f"jobId: must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -; {NOTHING_DONE}",
            "RunsRejected",
        ),
        ("read", f"tf.action: must be one of create, update, delete; {NOTHING_DONE}", "RunsRejected"),
    ],
)
@pytest.mark.parametrize("dry_run", [{}, {"dryRun": True}])
def test_a_rejection_is_raised_and_counted(
    dry_run: dict[str, bool],
    action: str,
    reason: str,
    metric: str,
    function: Function,
    capsys: pytest.CaptureFixture[str],
) -> None:
    event = {"cancel": {"jobId": "a b", **dry_run}, "tf": {"action": action, "prev_input": None}}
    assert failure(lambda: function(event)) == reason
    (report,) = function.reports
    assert (report["status"], report["trigger"], report["dryRun"]) == ("REJECTED", "TEARDOWN", bool(dry_run))
    assert reason.startswith(report["reason"])
    assert counted(capsys, "ValidationsRejected", "RunsRejected") == [metric]
    by = {"create": "Created", "update": "Updated", "delete": "Deleted"}.get(action, "Requested")
    assert function.log.lines[-1]["asked_by"] == f"{by} by Terraform"
    assert function.jobs.calls == []


@pytest.mark.usefixtures("resource")
def test_a_renamed_key_is_raised_and_does_not_count_as_success(function: Function) -> None:
    event = {"cancel": {"jobId": "job-1"}, "destroying": {"action": "delete", "prev_input": None}}
    assert failure(lambda: function(event)) == (
        f"terraform_key: must be tf or omitted, not 'destroying'; {NOTHING_DONE}"
    )
    assert function.jobs.calls == []


def test_too_many_jobs_are_raised_and_none_is_canceled(resource: Resource, function: Function) -> None:
    resource.apply(select={"jobIdGlob": "*"})
    function.configure(limits=replace(LIMITS, max_jobs=2))
    assert failure(resource.destroy).startswith("select: matches 5 jobs, but the limit is 2, so this run canceled none")
    assert function.jobs.canceled == []


# Limits of the stack that became stricter, and dry runs


def test_a_deletion_ignores_what_the_stack_forbids_since(resource: Resource, function: Function) -> None:
    function.configure(limits=replace(LIMITS, force=True))
    resource.apply(jobId="job-1", force=True)
    function.configure(limits=LIMITS)
    assert (resource.destroy()["force"], function.jobs.canceled) == (False, ["job-1"])
    assert [line["message"] for line in function.log.lines if line["level"] == "WARNING"] == [
        "treating force as false: must be false or omitted, since the stack's parameter Force is false"
    ]


def test_a_deletion_whose_job_is_outside_the_prefix_is_raised_if_the_job_is_active(
    resource: Resource, function: Function
) -> None:
    resource.apply(jobId="job-1")
    function.configure(limits=replace(LIMITS, job_id_prefix="ota-"))
    outside = "OutsidePrefix: the job id does not start with JobIdPrefix 'ota-'"
    assert failure(resource.destroy) == f"job job-1 FAILED: {outside}; {AGAIN}"
    function.jobs.jobs["job-1"].status = "COMPLETED"
    assert resource.destroy()["status"] == "SETTLED"


@pytest.mark.parametrize(("job", "metrics"), [(FakeJob(), ["TeardownsContinued"]), (FakeJob("COMPLETED"), [])])
def test_a_dry_run_lets_terraform_continue_and_is_counted(
    job: FakeJob, metrics: list[str], resource: Resource, function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    function.configure(limits=replace(LIMITS, dry_run=True))
    function.jobs.jobs["job-1"] = job
    resource.apply(jobId="job-1")
    assert resource.destroy()["dryRun"] is True
    assert function.jobs.canceled == []
    assert counted(capsys, "TeardownsContinued") == metrics
    assert [line["message"] for line in function.log.lines if line["level"] == "WARNING"] == [
        "dry run: Terraform continues, and the active jobs were not canceled" for _ in metrics
    ]


def test_a_dry_run_that_cannot_plan_every_job_lets_terraform_continue(resource: Resource, function: Function) -> None:
    resource.apply(jobId="job-1", dryRun=True)
    function.jobs.fault = failing("DescribeJob", throttled)
    assert (resource.destroy()["status"], function.sqs.messages) == ("UNFINISHED", [])


def test_a_job_that_is_gone_is_settled(resource: Resource, function: Function) -> None:
    resource.apply(jobId="job-1")
    function.jobs.fault = failing("CancelJob", not_found)
    assert resource.destroy()["counts"] == {"GONE": 1}
