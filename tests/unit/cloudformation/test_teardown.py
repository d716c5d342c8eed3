"""Create and Update validate, Delete cancels what the PhysicalResourceId names, and each gets its response."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.criteria import Criteria
from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, Wait, status_of
from handler.cancellation.request import CancelReason, CancelRequest, StackLimits
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.teardown import Deletion, Response, plan_deletion, refuse, respond_to_deletion, validate
from tests.support.fakes import LIMITS
from tools.simulators.events import FAILED_CREATE_ID, SELECTION_ID, STACK_ID

URL = "https://bucket.s3.eu-west-1.amazonaws.com/path?X-Amz-Signature=secret"

DELETE = CustomResourceRequest("Delete", URL, "request-1", STACK_ID, "Teardown", "job-1", {"JobId": "job-1"})
CREATE = replace(DELETE, request_type="Create", physical_id=None)
UPDATE = replace(DELETE, request_type="Update")


CANCELED = JobResult("job-1", Outcome.CANCELED, executions_left_in_progress=2)


def deletion_of(resource: CustomResourceRequest, limits: StackLimits = LIMITS) -> Deletion:
    deletion = plan_deletion(resource, limits)
    assert isinstance(deletion, Deletion)
    return deletion


def respond(resource: CustomResourceRequest, *results: JobResult, limits: StackLimits = LIMITS) -> Response:
    """Return the response to a Delete whose run ended in `results`."""
    deletion = deletion_of(resource, limits)
    force, dry_run = deletion.request.force, deletion.request.dry_run
    report = Report(status_of(results), Trigger.TEARDOWN, force, dry_run, jobs=results)
    return respond_to_deletion(resource, deletion, report)


def test_a_response_has_no_reason_data_and_warnings_by_default() -> None:
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN)
    assert Response("SUCCESS", "job-1", report) == Response("SUCCESS", "job-1", report, "", {}, ())


# Create and Update


@pytest.mark.parametrize("resource", [CREATE, UPDATE])
def test_create_and_update_validate_and_cancel_nothing(resource: CustomResourceRequest) -> None:
    reason = f"{resource.request_type}: the properties are valid; jobs are canceled only on Delete"
    assert validate(resource, LIMITS) == Response(
        "SUCCESS",
        "job-1",
        Report(RunStatus.SETTLED, Trigger.TEARDOWN, reason=reason),
        data={"JobId": "job-1", "Force": "false"},
    )


@pytest.mark.parametrize(
    ("stack", "properties", "force"),
    [
        (False, {}, "false"),
        (True, {}, "true"),
        (True, {"Force": "false"}, "false"),
        (True, {"Force": "true"}, "true"),
    ],
)
def test_get_att_returns_the_force_that_the_deletion_will_use(
    stack: bool,
    properties: dict[str, str],
    force: str,
) -> None:
    resource = replace(CREATE, properties={"JobId": "job-1", **properties})
    assert validate(resource, replace(LIMITS, force=stack)).data == {"JobId": "job-1", "Force": force}


def test_a_changed_job_id_is_a_replacement() -> None:
    response = validate(replace(UPDATE, properties={"JobId": "job-2"}), LIMITS)
    assert (response.status, response.physical_id) == ("SUCCESS", "job-2")


def test_an_update_of_any_other_property_keeps_the_id() -> None:
    response = validate(replace(UPDATE, properties={"JobId": "job-1", "Comment": "new"}), LIMITS)
    assert (response.status, response.physical_id) == ("SUCCESS", "job-1")


@pytest.mark.parametrize(("resource", "physical_id"), [(CREATE, FAILED_CREATE_ID), (UPDATE, "job-1")])
def test_a_bad_property_fails_the_deployment_by_name(resource: CustomResourceRequest, physical_id: str) -> None:
    reason = "Force: must be true or false"
    response = validate(replace(resource, properties={"JobId": "job-2", "Force": "yes"}), LIMITS)
    assert response == Response(
        "FAILED", physical_id, Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason), reason
    )


def test_two_deliveries_of_one_create_get_the_same_response() -> None:
    assert validate(CREATE, LIMITS) == validate(CREATE, LIMITS)
    bad = replace(CREATE, properties={})
    assert validate(bad, LIMITS).physical_id == validate(bad, LIMITS).physical_id == FAILED_CREATE_ID


# The job that a Delete cancels

NO_JOB = "the PhysicalResourceId names no job, since Create failed; nothing to cancel"
GENERATED = "CloudFormation generated the PhysicalResourceId, since Create did not complete; nothing to cancel"


@pytest.mark.parametrize(
    ("physical_id", "reason"),
    [
        (FAILED_CREATE_ID, NO_JOB),
        ("failed-create:another-stack/Other", NO_JOB),
        ("firmware-dev-Teardown-1ABCDEFGHIJKL", GENERATED),
        (f"firmware-dev-Teardown-{'1' * 64}", GENERATED),  # longer than a job id
        ("firmware-dev-Tear-1ABCDEFGHIJKL", GENERATED),
        ("firmware-d-Teardown-1ABCDEFGHIJKL", GENERATED),
        ("f-T-1", GENERATED),
    ],
)
def test_a_delete_after_an_unfinished_create_succeeds_without_a_run(physical_id: str, reason: str) -> None:
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, reason=reason)
    response = Response("SUCCESS", physical_id, report)
    for properties in ({"JobId": "job-1"}, {"Select": {"JobIdGlob": "a*"}}):
        assert plan_deletion(replace(DELETE, physical_id=physical_id, properties=properties), LIMITS) == response


# A PhysicalResourceId that the function did not return for these properties

REQUEST_ID = "8340e010-f063-49f8-ab2c-afa579da3e12"
OTHER_ID = (
    "PhysicalResourceId {} is not the id that the function returns for these properties: the deletion covers {}. "
    "ServiceToken must be the ARN of the function itself; cancel {} by a request if still active"
)
ONLY_REQUEST_ID = OTHER_ID.format(f"'{REQUEST_ID}'", f"only job {REQUEST_ID}", "{}")


@pytest.mark.parametrize(
    ("properties", "named"),
    [
        ({"JobId": "job-1"}, "job job-1"),
        ({"JobId": ["a mess"]}, "its jobs"),
        ({"Select": {"JobIdGlob": "ota-*"}}, "the jobs of Select"),
    ],
)
def test_a_delete_of_another_job_than_that_of_the_properties_is_never_plain_success(
    properties: dict[str, object], named: str
) -> None:
    """CDK's Provider uses the RequestId of CloudFormation as PhysicalResourceId."""
    resource = replace(DELETE, physical_id=REQUEST_ID, properties=properties)
    gone = JobResult(REQUEST_ID, Outcome.GONE)
    mismatch = ONLY_REQUEST_ID.format(named)
    response = respond(resource, gone)
    assert response == Response(
        "SUCCESS",
        REQUEST_ID,
        Report(RunStatus.UNSETTLED, Trigger.TEARDOWN, reason=mismatch, jobs=(gone,)),
        mismatch,
        {"JobId": REQUEST_ID, "Force": "false"},
        (mismatch,),
    )
    assert response.leaves_active_jobs


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
def test_a_delete_of_another_job_that_fails_names_both_causes(on_incomplete: str, status: str) -> None:
    properties = {"JobId": "job-1", "OnIncomplete": on_incomplete}
    resource = replace(DELETE, physical_id=REQUEST_ID, properties=properties)
    response = respond(resource, JobResult(REQUEST_ID, Outcome.FAILED, "no"))
    mismatch = ONLY_REQUEST_ID.format("job job-1")
    assert (response.status, response.reason) == (status, f"job {REQUEST_ID} FAILED: no; {mismatch}")
    assert mismatch in response.warnings


@pytest.mark.parametrize(
    ("physical_id", "shown"),
    [
        (None, "''"),
        ("2026/11/24/[$LATEST]8f", "'2026/11/24/[$LATEST]8f'"),
        ("x" * 200, f"'{'x' * 128}'"),
        ("selected:a", "'selected:a'"),
    ],
)
@pytest.mark.parametrize(
    ("properties", "named"),
    [({"JobId": "job-1"}, "job job-1"), ({}, "its jobs"), ({"Select": {}}, "the jobs of Select")],
)
def test_a_delete_without_a_known_id_succeeds_with_a_warning_and_cancels_nothing(
    physical_id: str | None, shown: str, properties: dict[str, object], named: str
) -> None:
    resource = replace(DELETE, physical_id=physical_id, properties=properties)
    response = plan_deletion(resource, replace(LIMITS, force=True))
    mismatch = OTHER_ID.format(shown, "no job", named)
    assert response == Response(
        "SUCCESS",
        physical_id or FAILED_CREATE_ID,
        Report(RunStatus.UNSETTLED, Trigger.TEARDOWN, force=True, reason=mismatch),
        mismatch,
        warnings=(mismatch,),
    )
    assert response.leaves_active_jobs


@pytest.mark.parametrize("properties", [{"JobId": REQUEST_ID}, {}, {"Force": "false"}])
def test_a_delete_with_the_id_of_its_properties_or_of_an_old_format_has_no_warning(
    properties: dict[str, object],
) -> None:
    resource = replace(DELETE, physical_id=REQUEST_ID, properties=properties)
    response = respond(resource, JobResult(REQUEST_ID, Outcome.GONE))
    assert (response.report.status, response.reason, response.warnings) == (RunStatus.SETTLED, "", ())


# A request that is not carried out


@pytest.mark.parametrize("kind", ["Create", "Update", "Delete"])
def test_a_refused_request_fails_with_the_reason_and_cancels_nothing(kind: Any) -> None:
    resource = replace(DELETE, request_type=kind, refusal="ServiceToken: no")
    response = plan_deletion(resource, LIMITS) if kind == "Delete" else validate(resource, LIMITS)
    report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason="ServiceToken: no")
    assert response == Response("FAILED", "job-1", report, "ServiceToken: no")


@pytest.mark.parametrize("physical_id", [FAILED_CREATE_ID, "firmware-dev-Teardown-1ABCDEFGHIJKL"])
def test_a_refused_delete_of_a_failed_create_succeeds(physical_id: str) -> None:
    response = plan_deletion(replace(DELETE, physical_id=physical_id, refusal="no"), LIMITS)
    assert isinstance(response, Response)
    assert (response.status, response.physical_id, response.report.status) == ("SUCCESS", physical_id, "SETTLED")


def test_a_refused_delete_with_continue_succeeds_with_a_warning() -> None:
    properties = {"JobId": "job-1", "OnIncomplete": "CONTINUE"}
    response = plan_deletion(replace(DELETE, properties=properties, refusal="no"), LIMITS)
    report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason="no")
    assert response == Response("SUCCESS", "job-1", report, "no", warnings=("no",))
    assert response.leaves_active_jobs


@pytest.mark.parametrize(
    ("physical_id", "named"),
    [
        ("job-1", {}),
        ("job-1", {"JobId": "job-2"}),
        ("firmware-dev-Teardown-17", {"JobId": "firmware-dev-Teardown-17"}),
        ("firmware-dev-Other-1ABCDEFGHIJKL", {"JobId": "x"}),
        ("other-Teardown-1ABCDEFGHIJKL", {"JobId": "x"}),
        ("firmware-dev-Teardowns-1", {"JobId": "x"}),
        ("firmware-deve-Teardown-1", {"JobId": "x"}),
        ("firmware-Teardown", {}),
        ("-Teardown-1", {}),
        ("firmware-dev--1", {}),
        ("plain", {"JobId": ["not", "text"]}),
    ],
)
def test_a_delete_cancels_the_job_that_the_physical_id_names(physical_id: str, named: dict[str, object]) -> None:
    resource = replace(DELETE, physical_id=physical_id, properties=named)
    assert deletion_of(resource).request.job_ids == (physical_id,)
    response = respond(resource, replace(CANCELED, job_id=physical_id))
    assert (response.status, response.physical_id) == ("SUCCESS", physical_id)


def test_no_physical_id_is_generated_if_the_stack_id_is_not_an_arn() -> None:
    resource = replace(DELETE, stack_id="firmware-dev", physical_id="firmware-dev-Teardown-1", properties={})
    assert deletion_of(resource).request.job_ids == ("firmware-dev-Teardown-1",)


def test_a_delete_without_a_run_reports_the_force_and_dry_run_of_the_stack() -> None:
    limits = replace(LIMITS, force=True, dry_run=True)
    response = plan_deletion(replace(DELETE, physical_id=FAILED_CREATE_ID), limits)
    assert isinstance(response, Response)
    assert (response.report.force, response.report.dry_run) == (True, True)


# The request of a Delete


def test_the_request_of_a_delete_has_the_values_of_the_properties() -> None:
    properties = {"JobId": "job-1", "Force": "true", "ReasonCode": "MOVED", "Comment": "to b", "ServiceToken": "t"}
    assert plan_deletion(replace(DELETE, properties=properties), replace(LIMITS, force=True)) == Deletion(
        CancelRequest(
            job_ids=("job-1",),
            criteria=None,
            force=True,
            dry_run=False,
            max_jobs=100,
            reason=CancelReason(f"Teardown was deleted in {STACK_ID}", "MOVED", "to b"),
        ),
        warnings=(),
    )


def test_the_default_reason_names_the_stack() -> None:
    reason = f"Teardown was deleted in {STACK_ID}"
    assert deletion_of(DELETE).request.reason == CancelReason(reason, "STACK_TEARDOWN", reason)


def test_a_delete_never_fails_on_bad_properties() -> None:
    response = respond(replace(DELETE, properties={"Force": "perhaps", "Old": "x"}), CANCELED)
    assert (response.status, response.warnings) == ("SUCCESS", ("treating Force as false: must be true or false",))


# The response to a Delete


@pytest.mark.parametrize("outcome", ["CANCELED", "ALREADY_CANCELED", "ALREADY_FINISHED", "GONE"])
def test_a_delete_succeeds_when_its_job_is_settled(outcome: str) -> None:
    result = JobResult("job-1", Outcome(outcome))
    assert respond(DELETE, result) == Response(
        "SUCCESS",
        "job-1",
        Report(RunStatus.SETTLED, Trigger.TEARDOWN, jobs=(result,)),
        data={"JobId": "job-1", "Force": "false"},
    )


def test_a_dry_run_deletes_the_resource_and_warns_that_its_jobs_stay_active() -> None:
    properties = {"JobId": "job-1", "DryRun": "true"}
    response = respond(replace(DELETE, properties=properties), JobResult("job-1", Outcome.WOULD_CANCEL))
    assert (response.status, response.reason) == ("SUCCESS", "")
    assert response.warnings == ("dry run: the deletion continues, and its active jobs were not canceled",)
    assert response.leaves_active_jobs


def test_an_unfinished_dry_run_deletes_the_resource_and_warns_that_the_plan_is_incomplete() -> None:
    """Another delivery would change nothing, and come no further."""
    jobs = (JobResult("job-1", Outcome.DEFERRED, "OutOfTime"), JobResult("job-2", Outcome.WOULD_CANCEL))
    report = Report(RunStatus.UNFINISHED, Trigger.TEARDOWN, dry_run=True, jobs=jobs)
    reason = "dry run: the deletion continues, and its plan is incomplete; job job-1 DEFERRED: OutOfTime"
    expected = Response("SUCCESS", "job-1", report, reason, {"JobId": "job-1", "Force": "false"}, (reason,))
    assert respond_to_deletion(DELETE, deletion_of(DELETE), report) == expected
    unsettled = replace(report, status=RunStatus.UNSETTLED)
    assert respond_to_deletion(DELETE, deletion_of(DELETE), unsettled).status == "FAILED"
    assert respond_to_deletion(DELETE, deletion_of(DELETE), report, is_paused=True).status == "FAILED"


@pytest.mark.parametrize(("wait", "left", "continues"), [("5", 1, True), ("5", 0, False), ("0", 1, False)])
def test_a_dry_run_warns_that_it_does_not_wait_for_devices(wait: str, left: int, continues: bool) -> None:
    properties = {"JobId": "job-1", "DryRun": "true", "WaitForExecutionsMinutes": wait}
    result = JobResult("job-1", Outcome.ALREADY_CANCELED, executions_left_in_progress=left)
    response = respond(replace(DELETE, properties=properties), result)
    reason = "dry run: the deletion continues, and does not wait for the devices that run its jobs" if continues else ""
    assert (response.status, response.reason, response.report.reason) == ("SUCCESS", reason, reason)
    assert response.warnings == ((reason,) if continues else ())
    assert response.leaves_active_jobs is continues


def test_a_dry_run_of_another_job_that_does_not_wait_for_devices_names_both() -> None:
    properties = {"JobId": "job-1", "DryRun": "true", "WaitForExecutionsMinutes": "5"}
    result = JobResult(REQUEST_ID, Outcome.ALREADY_CANCELED, executions_left_in_progress=1)
    response = respond(replace(DELETE, physical_id=REQUEST_ID, properties=properties), result)
    mismatch = ONLY_REQUEST_ID.format("job job-1")
    no_wait = "dry run: the deletion continues, and does not wait for the devices that run its jobs"
    assert (response.reason, response.report.reason) == (f"{mismatch}; {no_wait}",) * 2
    assert response.warnings == (mismatch, no_wait)


@pytest.mark.parametrize(("physical_id", "reason"), [(FAILED_CREATE_ID, NO_JOB), ("f-T-1", GENERATED)])
def test_a_refused_delete_without_a_job_succeeds(physical_id: str, reason: str) -> None:
    response = refuse(replace(DELETE, physical_id=physical_id), "no")
    assert response == Response("SUCCESS", physical_id, Report(RunStatus.SETTLED, Trigger.TEARDOWN, reason=reason))


UNSETTLED: list[Any] = [("PROTECTED", "UNSETTLED"), ("FAILED", "UNSETTLED"), ("DEFERRED", "UNFINISHED")]


@pytest.mark.parametrize(("outcome", "status"), UNSETTLED)
def test_a_delete_fails_if_its_job_is_not_settled(outcome: str, status: str) -> None:
    result = JobResult("job-1", Outcome(outcome), "Code: words")
    response = respond(DELETE, result)
    assert response == Response(
        "FAILED",
        "job-1",
        Report(RunStatus(status), Trigger.TEARDOWN, jobs=(result,)),
        f"job job-1 {outcome}: Code: words",
    )
    assert not response.leaves_active_jobs


def test_a_delete_that_fails_warns_about_ignored_properties() -> None:
    resource = replace(DELETE, properties={"JobId": "job-1", "Force": "perhaps"})
    response = respond(resource, JobResult("job-1", Outcome.FAILED))
    assert (response.status, response.warnings) == ("FAILED", ("treating Force as false: must be true or false",))


@pytest.mark.parametrize(("outcome", "status"), UNSETTLED)
def test_an_incomplete_delete_with_continue_succeeds_and_warns(outcome: str, status: str) -> None:
    result = JobResult("job-1", Outcome(outcome), "Code: words")
    properties = {"JobId": "job-1", "OnIncomplete": "CONTINUE", "MaxJobs": "x"}
    response = respond(replace(DELETE, properties=properties), result)
    reason = f"job job-1 {outcome}: Code: words"
    ignored = "ignored property MaxJobs: must be a whole number from 1 to 100, the stack's MaxJobsPerRun"
    assert response == Response(
        "SUCCESS",
        "job-1",
        Report(RunStatus(status), Trigger.TEARDOWN, jobs=(result,)),
        reason,
        {"JobId": "job-1", "Force": "false"},
        (ignored, reason),
    )
    assert response.leaves_active_jobs


def test_a_settled_delete_with_continue_has_no_warning() -> None:
    properties = {"JobId": "job-1", "OnIncomplete": "CONTINUE"}
    response = respond(replace(DELETE, properties=properties), CANCELED)
    assert (response.status, response.reason, response.warnings) == ("SUCCESS", "", ())
    assert not response.leaves_active_jobs


def failed(number: int) -> JobResult:
    return JobResult(f"job-{number}", Outcome.FAILED, "no")


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        (2, "job job-0 FAILED: no; job job-1 FAILED: no"),
        (5, "; ".join(f"job job-{number} FAILED: no" for number in range(5))),
        (7, "; ".join(f"job job-{number} FAILED: no" for number in range(5)) + "; and 2 more"),
    ],
)
def test_the_reason_names_at_most_five_jobs(count: int, reason: str) -> None:
    results = (JobResult("fine", Outcome.CANCELED), *(failed(number) for number in range(count)))
    assert respond(DELETE, *results).reason == reason


@pytest.mark.parametrize(
    ("limits", "properties", "reported"),
    [
        (replace(LIMITS, force=True), {}, (True, False)),
        (replace(LIMITS, force=True), {"Force": "false"}, (False, False)),
        (replace(LIMITS, dry_run=True), {}, (False, True)),
        (LIMITS, {"DryRun": "true"}, (False, True)),
    ],
)
def test_the_run_has_the_force_and_dry_run_of_stack_and_properties(
    limits: StackLimits, properties: dict[str, str], reported: tuple[bool, bool]
) -> None:
    report = respond(replace(DELETE, properties=properties), CANCELED, limits=limits).report
    assert (report.force, report.dry_run) == reported


# Select

SELECT = {"Select": {"JobIdGlob": "ota-*"}}
DELETE_SELECTION = replace(DELETE, physical_id=SELECTION_ID, properties=SELECT)


@pytest.mark.parametrize("resource", [CREATE, UPDATE, replace(UPDATE, physical_id=SELECTION_ID)])
@pytest.mark.parametrize("glob", ["ota-*", "*"])
def test_the_id_of_a_selection_is_constant(resource: CustomResourceRequest, glob: str) -> None:
    response = validate(replace(resource, properties={"Select": {"JobIdGlob": glob}}), LIMITS)
    assert (response.status, response.physical_id, response.data) == ("SUCCESS", SELECTION_ID, {"Force": "false"})


def test_a_change_between_job_and_selection_is_a_replacement() -> None:
    to_selection = validate(replace(UPDATE, properties=SELECT, old_properties={"JobId": "job-1"}), LIMITS)
    back = replace(UPDATE, physical_id=SELECTION_ID, properties={"JobId": "job-1"}, old_properties=SELECT)
    assert (to_selection.physical_id, validate(back, LIMITS).physical_id) == (SELECTION_ID, "job-1")


def test_the_cleanup_after_a_replacement_cancels_what_the_old_id_names() -> None:
    """CloudFormation sends the old id with the old properties."""
    requests = [deletion_of(resource).request for resource in (DELETE, DELETE_SELECTION)]
    assert [(request.job_ids, request.criteria) for request in requests] == [
        (("job-1",), None),
        ((), Criteria(job_id_glob="ota-*", target_selections=("SNAPSHOT", "CONTINUOUS"))),
    ]


def test_a_bad_selection_fails_the_deployment() -> None:
    bad = {"Select": {"OlderThanHours": "72"}}
    reason = "Select: age alone is too broad; must have at least one of JobIdGlob, ThingGroupName, Tags"
    for resource, physical_id in (
        (CREATE, FAILED_CREATE_ID),
        (replace(UPDATE, physical_id=SELECTION_ID), SELECTION_ID),
    ):
        response = validate(replace(resource, properties=bad), LIMITS)
        assert (response.status, response.physical_id, response.reason) == ("FAILED", physical_id, reason)


@pytest.mark.parametrize("old", [{"JobId": "job-1", "Force": "true"}, {"JobId": "job-1"}])
def test_an_update_warns_about_properties_that_the_stack_forbids(old: dict[str, object]) -> None:
    properties = {"JobId": "job-1", "Force": "true", "Comment": "new"}
    response = validate(replace(UPDATE, properties=properties, old_properties=old), LIMITS)
    assert (response.status, response.data) == ("SUCCESS", {"JobId": "job-1", "Force": "false"})
    assert response.warnings == (
        "treating Force as false: must be false or omitted, since the stack's parameter Force is false",
    )
    assert validate(replace(CREATE, properties=properties), LIMITS).status == "FAILED"


def test_the_request_of_a_selection_has_the_values_of_the_properties() -> None:
    properties = {**SELECT, "MaxJobs": "20", "ReasonCode": "MOVED", "OnIncomplete": "CONTINUE", "ServiceToken": "t"}
    resource = replace(DELETE_SELECTION, properties=properties)
    response = respond(resource, CANCELED, JobResult("job-2", Outcome.ALREADY_CANCELED))
    assert (response.status, response.physical_id, response.data) == ("SUCCESS", SELECTION_ID, {"Force": "false"})
    request = deletion_of(resource).request
    assert (request.max_jobs, request.reason.reason_code) == (20, "MOVED")


UNREADABLE: list[Any] = [{}, {"Select": {}}, {"Select": "ota-*"}, {"Select": {"Glob": "a"}}, {"JobId": "job-1"}]


@pytest.mark.parametrize("properties", UNREADABLE)
@pytest.mark.parametrize("on_incomplete", ["FAIL", "CONTINUE"])
def test_a_delete_with_an_unreadable_selection_succeeds_with_a_warning(
    properties: dict[str, object], on_incomplete: str
) -> None:
    resource = replace(DELETE_SELECTION, properties=properties | {"OnIncomplete": on_incomplete})
    response = plan_deletion(resource, LIMITS)
    assert isinstance(response, Response)
    assert (response.status, response.physical_id) == ("SUCCESS", SELECTION_ID)
    assert response.report == Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=response.reason)
    assert response.warnings == (response.reason,)
    assert response.reason.startswith("Select: ")
    assert response.reason.endswith("; no jobs were canceled, and the deletion continues")
    assert response.leaves_active_jobs


MOVED_ID = f"select:{'0' * 36}/Old"
MOVED = (
    f"PhysicalResourceId '{MOVED_ID}' is not the id of this resource, which may have been moved or renamed: its Select "
    "decides which jobs are canceled. Check that no other job is active"
)


def test_a_selection_with_the_id_of_another_resource_is_canceled_with_a_warning() -> None:
    """Stack refactoring moves a resource to another stack or logical id, and keeps its PhysicalResourceId."""
    resource = replace(DELETE_SELECTION, physical_id=MOVED_ID)
    assert deletion_of(resource).request == deletion_of(DELETE_SELECTION).request
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, reason="1 active job matched", jobs=(CANCELED,))
    response = respond_to_deletion(resource, deletion_of(resource), report)
    unsettled = replace(report, status=RunStatus.UNSETTLED, reason=f"1 active job matched; {MOVED}")
    assert response == Response("SUCCESS", MOVED_ID, unsettled, MOVED, {"Force": "false"}, (MOVED,))
    assert response.leaves_active_jobs


def test_an_update_keeps_the_id_of_a_moved_selection() -> None:
    """With another id, CloudFormation would delete the old one, which cancels the jobs of Select."""
    update = replace(UPDATE, physical_id=MOVED_ID, properties=SELECT, old_properties=SELECT)
    assert validate(update, LIMITS).physical_id == MOVED_ID


def test_an_unreadable_selection_with_the_id_of_another_resource_cancels_nothing() -> None:
    response = plan_deletion(replace(DELETE_SELECTION, physical_id=MOVED_ID, properties={}), LIMITS)
    assert isinstance(response, Response)
    assert (response.status, response.report.status) == ("SUCCESS", "REJECTED")


TOO_MANY = (
    "Select: matches 101 jobs, but the limit is 100, so this run canceled none of them"
    "; select fewer jobs, or raise MaxJobsPerRun or MaxJobs"
)


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
def test_a_run_that_is_rejected_is_reported_to_cloudformation_with_its_reason(on_incomplete: str, status: str) -> None:
    resource = replace(DELETE_SELECTION, properties=SELECT | {"OnIncomplete": on_incomplete})
    report = Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=TOO_MANY)
    response = respond_to_deletion(resource, deletion_of(resource), report)
    assert (response.status, response.reason, response.report) == (status, TOO_MANY, report)
    assert response.leaves_active_jobs is (status == "SUCCESS")
    assert response.warnings == ((TOO_MANY,) if status == "SUCCESS" else ())


@pytest.mark.parametrize(
    ("status", "results", "reason"),
    [
        ("UNFINISHED", (), "the selection failed: ThrottlingException: Rate exceeded"),
        ("UNFINISHED", (failed(1),), "the selection failed: ThrottlingException: Rate exceeded; job job-1 FAILED: no"),
        ("UNSETTLED", (failed(1),), "the selection failed: ThrottlingException: Rate exceeded; job job-1 FAILED: no"),
    ],
)
def test_the_reason_of_the_run_precedes_those_of_its_jobs(
    status: str, results: tuple[JobResult, ...], reason: str
) -> None:
    report = Report(
        RunStatus(status),
        Trigger.TEARDOWN,
        reason="the selection failed: ThrottlingException: Rate exceeded",
        jobs=results,
    )
    response = respond_to_deletion(DELETE_SELECTION, deletion_of(DELETE_SELECTION), report)
    assert (response.status, response.reason) == ("FAILED", reason)


@pytest.mark.parametrize(("status", "leaves"), [("SUCCESS", True), ("FAILED", False)])
def test_only_a_successful_response_leaves_active_jobs(status: Any, leaves: bool) -> None:
    report = Report(RunStatus.UNFINISHED, Trigger.TEARDOWN)
    assert Response(status, "job-1", report).leaves_active_jobs is leaves


# The final response of a run that no later delivery continues


UNFINISHED = Response(
    "FAILED",
    "job-1",
    Report(
        RunStatus.UNFINISHED,
        Trigger.TEARDOWN,
        force=True,
        reason="1 active job matched",
        jobs=(JobResult("job-1", Outcome.CANCELED, executions_left_in_progress=1),),
        wait=Wait(("job-1",), 1_795_521_600, poll_seconds=20),
    ),
    reason="1 device still runs job job-1",
    data={"Force": "true"},
    warnings=("read leniently",),
)


@pytest.mark.parametrize(
    ("why", "reported", "sent"),
    [
        ("", "1 active job matched", "1 device still runs job job-1"),
        ("no queue", "1 active job matched; no queue", "1 device still runs job job-1; no queue"),
    ],
)
def test_a_final_response_is_unsettled_and_says_why(why: str, reported: str, sent: str) -> None:
    final = UNFINISHED.as_final(why) if why else UNFINISHED.as_final()
    report = replace(UNFINISHED.report, status=RunStatus.UNSETTLED, reason=reported, wait=None)
    warnings = ("read leniently", why) if why else ("read leniently",)
    assert final == replace(UNFINISHED, report=report, reason=sent, warnings=warnings)


def test_the_final_reason_of_a_report_without_a_reason_is_why() -> None:
    without_reason = replace(UNFINISHED, report=replace(UNFINISHED.report, reason=""))
    assert without_reason.as_final("no queue").report.reason == "no queue"


def test_a_glob_that_matches_only_jobs_of_another_service_fails_the_create_and_not_the_deletion() -> None:
    """A release that did not refuse the glob may have deployed it, and a rollback may return to it."""
    select = {"Select": {"JobIdGlob": "AFR_OTA-*"}}
    reason = (
        "Select.JobIdGlob: matches only FreeRTOS over-the-air updates (AFR_OTA-*), which a selection never takes; "
        "select other jobs, or name such a job by JobId"
    )
    response = validate(replace(CREATE, properties=select), LIMITS)
    assert (response.status, response.reason) == ("FAILED", reason)
    update = replace(UPDATE, physical_id=SELECTION_ID, properties=select, old_properties=SELECT)
    response = validate(update, LIMITS)
    assert (response.status, response.warnings) == (
        "SUCCESS",
        (f"{reason}; the update is accepted, but a deletion cannot cancel such a job",),
    )
    deletion = plan_deletion(replace(DELETE_SELECTION, properties=select), LIMITS)
    assert isinstance(deletion, Response)
    assert (deletion.status, deletion.warnings) == (
        "SUCCESS",
        (f"{reason}; no jobs were canceled, and the deletion continues",),
    )
    assert deletion.leaves_active_jobs
