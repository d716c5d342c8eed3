"""What each action of Terraform cancels, what is refused, and which results are raised."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger
from handler.cancellation.request import CancelReason
from handler.errors import RequestRejected
from handler.inbound.terraform import (
    DRY_RUN,
    Plan,
    TerraformRequest,
    conclude,
    continues_dry_run,
    is_terraform_request,
    parse_terraform_request,
    plan_action,
)
from tests.support.fakes import LIMITS

CREATE = TerraformRequest("create", {"jobId": "a"})
UPDATE = TerraformRequest("update", {"jobId": "a"})
DELETE = TerraformRequest("delete", {"jobId": "a"})
NO_WAIT = (
    "waitForExecutionsMinutes: must be 0 or omitted: Terraform waits only as long as one invocation; to wait for "
    "devices, use a CloudFormation stack with Custom::IoTJobCancellation"
)
PREFIXED = replace(LIMITS, job_id_prefix="ota-")


def payload(action: object = "create", previous: object = None, **cancel: object) -> dict[str, Any]:
    return {"cancel": cancel or {"jobId": "a"}, "tf": {"action": action, "prev_input": previous}}


# Recognition and form


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (payload(), True),
        ({"tf": None}, True),
        ({"jobId": "a", "tf": {"action": "create", "prev_input": None}}, True),
        ({"cancel": {"jobId": "a"}, "terraform": {"action": "create", "prev_input": None}}, True),
        ({"cancel": {"jobId": "a"}, "": {"action": "create", "prev_input": None}}, True),
        ({"cancel": {"jobId": "a"}}, False),
        ({"cancel": {"jobId": "a"}, "terraform": {"action": "create"}}, False),
        ({"cancel": {"jobId": "a"}, "terraform": "create"}, False),
        ({"detail-type": "Scheduled Event", "tf": {}}, False),
        ({"RequestType": "Delete", "tf": {}}, False),
        ({}, False),
    ],
)
def test_a_request_is_recognized_by_the_key_that_terraform_adds(event: dict[str, Any], expected: bool) -> None:
    assert is_terraform_request(event) is expected


@pytest.mark.parametrize("action", ["create", "update", "delete"])
@pytest.mark.parametrize(
    ("previous", "expected"),
    [
        (None, None),
        ({"cancel": {"jobId": "b"}}, {"jobId": "b"}),
        ({"jobId": "b"}, None),
        ({}, None),
        ("old", None),
        ([1], None),
    ],
)
def test_the_previous_input_may_have_any_form(action: str, previous: object, expected: object) -> None:
    parsed = parse_terraform_request(payload(action, previous))
    assert parsed == TerraformRequest(action, {"jobId": "a"}, expected)


def test_the_previous_input_may_be_absent() -> None:
    parsed = parse_terraform_request({"cancel": {"jobId": "a"}, "tf": {"action": "delete"}})
    assert parsed == TerraformRequest("delete", {"jobId": "a"})
    assert parsed.refusal is None


RENAMED = {"cancel": {"jobId": "a"}, "terraform": {"action": "delete", "prev_input": None}}
ACTIONS = "tf.action: must be one of create, update, delete"


@pytest.mark.parametrize(
    ("event", "refusal"),
    [
        (RENAMED, "terraform_key: must be tf or omitted, not 'terraform'"),
        ({**payload(), **RENAMED}, "terraform_key: must be tf or omitted, not 'terraform'"),
        (
            {"cancel": {"action": "delete", "prev_input": None}},
            "terraform_key: must be tf or omitted, not 'cancel'",
        ),
        ({"jobId": "a", "tf": payload()["tf"]}, "input: unknown key 'jobId'; the keys are cancel"),
        ({"Cancel": {}, "tf": payload()["tf"]}, "input: unknown key 'Cancel'; did you mean cancel"),
        ({"tf": payload()["tf"]}, "input: must have the key cancel"),
        ({"cancel": None, "tf": payload()["tf"]}, "cancel: must not be null"),
        ({"cancel": {}, "tf": None}, "tf: must be an object with the keys action, prev_input"),
        ({"cancel": {}, "tf": "delete"}, "tf: must be an object with the keys action, prev_input"),
        (
            {"cancel": {}, "tf": {"action": "delete", "prev_input": None, "force": True}},
            "tf: unknown key 'force'; the keys are action, prev_input",
        ),
        ({"cancel": {}, "tf": {"prev_input": None}}, ACTIONS),
        (payload("read"), ACTIONS),
        (payload("Delete"), ACTIONS),
        (payload(["delete"]), ACTIONS),
        (payload(None), "tf.action: must not be null"),
        (payload(""), "tf.action: must not be empty: set a value, or omit it"),
    ],
)
def test_a_request_of_another_form_is_refused(event: dict[str, Any], refusal: str) -> None:
    parsed = parse_terraform_request(event)
    assert str(parsed.refusal) == refusal
    with pytest.raises(RequestRejected) as caught:
        plan_action(parsed, LIMITS)
    assert str(caught.value) == refusal


def test_the_action_of_a_refused_request_is_kept_if_it_is_readable() -> None:
    assert parse_terraform_request({"jobId": "a", "tf": {"action": "update"}}).action == "update"
    assert parse_terraform_request(RENAMED).action == ""


# The default reason


@pytest.mark.parametrize(
    ("request_", "comment"),
    [
        (CREATE, "Created by Terraform"),
        (UPDATE, "Updated by Terraform"),
        (DELETE, "Deleted by Terraform"),
        (replace(DELETE, action=""), "Requested by Terraform"),
        (replace(DELETE, document=None), "Deleted by Terraform"),
        (
            replace(
                DELETE, document={"select": {"tags": {"b": "\u00e9", "a": "1"}, "jobIdGlob": "x*"}, "force": False}
            ),
            'Deleted by Terraform: select {"jobIdGlob": "x*", "tags": {"a": "1", "b": "\\u00e9"}}',
        ),
    ],
)
def test_the_default_reason_names_the_action_and_the_selection(request_: TerraformRequest, comment: str) -> None:
    assert request_.default_reason == CancelReason(comment, "STACK_TEARDOWN", comment)


def test_the_default_reason_of_a_selection_that_is_nested_too_deeply_is_short() -> None:
    nested: Any = None
    for _ in range(200_000):
        nested = [nested]
    request = replace(DELETE, document={"select": nested})
    assert request.default_reason.comment == "Deleted by Terraform: select "


# Create and update


@pytest.mark.parametrize("action", ["create", "update"])
@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ([], "cancel: must be an object with the keys jobId, jobIds, select, force, dryRun, maxJobs, reasonCode, "),
        ({}, "cancel: must have exactly one of jobId, jobIds, select"),
        ({"jobId": "a b"}, "jobId: must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -"),
        ({"jobId": "a"}, "jobId: must start with 'ota-', the stack's JobIdPrefix"),
        ({"jobId": "ota-a", "force": True}, "force: must be false or omitted, since the stack's parameter Force is"),
        ({"jobId": "ota-a", "dryrun": True}, "cancel: unknown key 'dryrun'; did you mean dryRun"),
        ({"jobId": "ota-a", "waitForExecutionsMinutes": 1}, NO_WAIT),
        ({"select": []}, "select: must be an object with the keys"),
        ({"select": {"jobIdGlob": "x*"}}, "select.jobIdGlob: must be able to match ids that start with 'ota-'"),
    ],
)
def test_create_and_update_reject_an_input_that_a_deletion_could_not_carry_out(
    action: str, document: object, reason: str
) -> None:
    with pytest.raises(RequestRejected) as caught:
        plan_action(TerraformRequest(action, document), PREFIXED)
    assert str(caught.value).startswith(reason)


@pytest.mark.parametrize("request_", [CREATE, UPDATE, DELETE])
def test_no_action_has_a_plan(request_: TerraformRequest) -> None:
    with pytest.raises(RequestRejected) as caught:
        plan_action(replace(request_, document={"jobId": "a", "planId": "0" * 32}), LIMITS)
    assert str(caught.value) == (
        "planId: must be omitted: a plan is for a request; "
        "the jobs of a deletion are selected when the stack is deleted"
    )


def test_create_rejects_a_glob_of_jobs_that_another_service_owns() -> None:
    with pytest.raises(RequestRejected, match=r"^select\.jobIdGlob: .*AFR_OTA-"):
        plan_action(replace(CREATE, document={"select": {"jobIdGlob": "AFR_OTA-*"}}), LIMITS)


@pytest.mark.parametrize("document", [{"jobId": "a", "waitForExecutionsMinutes": 0}, {"select": {"jobIdGlob": "a*"}}])
@pytest.mark.parametrize("action", ["create", "update"])
def test_a_valid_input_cancels_nothing(action: str, document: object) -> None:
    plan = plan_action(TerraformRequest(action, document), LIMITS)
    assert not plan.cancels
    assert plan.warnings == ()
    assert plan.reason == (
        f"{action}: the input is valid; jobs are canceled only when it no longer names them, or on delete"
    )


@pytest.mark.parametrize(
    ("previous", "document", "canceled"),
    [
        ({"jobId": "a"}, {"jobId": "a"}, ()),
        ({"jobId": "a"}, {"jobId": "a", "comment": "new"}, ()),
        ({"jobId": "a"}, {"jobIds": ["b", "a"]}, ()),
        ({"jobId": "a"}, {"jobId": "b"}, ("a",)),
        ({"jobIds": ["a", "b", "c", "a"]}, {"jobId": "b"}, ("a", "c")),
        ({"jobIds": ["a"], "jobId": "c"}, {"jobId": "b"}, ("c", "a")),
        ({"jobIds": ["a b", 5, None, ["c"]], "jobId": {}}, {"jobId": "b"}, ()),
        ({"jobIds": "abc"}, {"jobId": "b"}, ()),
        ({"select": {"jobIdGlob": "a*"}}, {"jobId": "b"}, ()),
        ({"select": {"jobIdGlob": "a*"}}, {"select": {"jobIdGlob": "b*"}}, ()),
        ({"jobId": "a"}, {"select": {"jobIdGlob": "b*"}}, ()),
        ({"JobId": "a"}, {"jobId": "b"}, ()),
        (None, {"jobId": "b"}, ()),
        ("a", {"jobId": "b"}, ()),
    ],
)
def test_an_update_cancels_the_jobs_that_are_no_longer_named(
    previous: object, document: object, canceled: tuple[str, ...]
) -> None:
    plan = plan_action(TerraformRequest("update", document, previous), LIMITS)
    assert plan.cancels is bool(canceled)
    if canceled:
        assert plan.request.job_ids == canceled
        assert plan.reason == "update: the new input no longer names these jobs"


def test_an_update_cancels_by_the_options_of_the_new_input() -> None:
    document = {"jobId": "b", "dryRun": True, "force": False, "comment": "replaced"}
    previous = {"jobId": "a", "dryRun": False, "force": True, "comment": "old"}
    request = plan_action(TerraformRequest("update", document, previous), replace(LIMITS, force=True)).request
    assert (request.job_ids, request.dry_run, request.force, request.reason.comment) == (
        ("a",),
        True,
        False,
        "replaced",
    )


def test_an_update_to_a_selection_warns_about_the_jobs_that_are_no_longer_named() -> None:
    previous = {"jobIds": ["a", "b"]}
    plan = plan_action(TerraformRequest("update", {"select": {"jobIdGlob": "c*"}}, previous), LIMITS)
    assert plan.warnings == (
        "the input no longer names 2 jobs, such as a; they stay active unless select matches them",
    )
    assert plan.request.criteria is not None
    assert (plan.cancels, plan.reason) == (
        False,
        "update: the input is valid; jobs are canceled only when it no longer names them, or on delete",
    )


def test_an_update_is_bound_by_the_job_limit() -> None:
    previous = {"jobIds": ["a", "b", "c"]}
    with pytest.raises(RequestRejected) as caught:
        plan_action(TerraformRequest("update", {"jobId": "d"}, previous), replace(LIMITS, max_jobs=2))
    assert str(caught.value) == (
        "tf.prev_input: names 3 jobs that the new input does not name, but the limit is 2, so this run canceled none "
        "of them; cancel these jobs by a request: another apply may not name them"
    )
    assert plan_action(TerraformRequest("update", {"jobId": "c"}, previous), replace(LIMITS, max_jobs=2)).cancels


def test_a_create_ignores_a_previous_input() -> None:
    assert not plan_action(TerraformRequest("create", {"jobId": "b"}, {"jobId": "a"}), LIMITS).cancels


# Delete


def test_a_deletion_cancels_what_its_input_names_and_ignores_the_previous_one() -> None:
    request = plan_action(replace(DELETE, previous={"jobId": "b"}), LIMITS).request
    assert (request.job_ids, request.force, request.dry_run) == (("a",), False, False)
    assert request.reason == CancelReason("Deleted by Terraform", "STACK_TEARDOWN", "Deleted by Terraform")


@pytest.mark.parametrize("action", ["create", "delete"])
@pytest.mark.parametrize(
    ("select", "kinds"),
    [
        ({"jobIdGlob": "a*"}, ("SNAPSHOT", "CONTINUOUS")),
        ({"jobIdGlob": "a*", "targetSelection": ["SNAPSHOT"]}, ("SNAPSHOT",)),
    ],
)
def test_a_selection_has_continuous_jobs_unless_it_says_otherwise(
    action: str, select: object, kinds: tuple[str, ...]
) -> None:
    request = plan_action(TerraformRequest(action, {"select": select}), LIMITS).request
    assert request.criteria
    assert request.criteria.target_selections == kinds


@pytest.mark.parametrize(
    ("options", "warning"),
    [
        (
            {"force": True},
            "treating force as false: must be false or omitted, since the stack's parameter Force is false",
        ),
        ({"force": "no"}, "treating force as false: must be true or false"),
        ({"dryRun": "false"}, "treating dryRun as true: must be true or false, without quotes"),
        (
            {"maxJobs": 101},
            "ignored property maxJobs: must be a whole number from 1 to 100, the stack's MaxJobsPerRun",
        ),
        ({"comment": None}, "ignored property comment: must not be null"),
        ({"waitForExecutionsMinutes": 5}, f"ignored property {NO_WAIT}"),
        ({"waitForExecutionsMinutes": "5"}, f"ignored property {NO_WAIT}"),
    ],
)
def test_a_deletion_ignores_an_option_that_it_cannot_carry_out(options: dict[str, object], warning: str) -> None:
    plan = plan_action(replace(DELETE, document={"jobId": "a", **options}), LIMITS)
    assert plan.warnings == (warning,)
    assert (plan.request.job_ids, plan.request.force, plan.request.wait_minutes) == (("a",), False, 0)
    assert plan.request.dry_run is ("dryRun" in options)


def test_a_deletion_names_each_option_that_it_ignores() -> None:
    document = {"jobId": "a", "force": 1, "dryRun": 1, "reasonCode": "x", "waitForExecutionsMinutes": 1}
    warnings = plan_action(replace(DELETE, document=document), LIMITS).warnings
    assert [warning.split(":")[0] for warning in warnings] == [
        "treating force as false",
        "treating dryRun as true",
        "ignored property reasonCode",
        "ignored property waitForExecutionsMinutes",
    ]


def test_a_named_job_of_a_deletion_need_not_have_the_prefix() -> None:
    assert plan_action(DELETE, PREFIXED).request.job_ids == ("a",)


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (None, "cancel: must be an object with the keys"),
        ({}, "cancel: must have exactly one of jobId, jobIds, select"),
        ({"jobId": ""}, "jobId: must not be empty"),
        ({"select": {}}, "select: age alone is too broad; must have at least one of"),
        ({"jobId": "a", "dryrun": True}, "cancel: unknown key 'dryrun'; did you mean dryRun"),
        ({"jobIds": ["a", "b"], "maxJobs": 1}, "jobIds: names 2 jobs, but the limit is 1"),
    ],
)
def test_a_deletion_of_unknown_jobs_is_rejected(document: object, reason: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        plan_action(replace(DELETE, document=document), LIMITS)
    assert str(caught.value).startswith(reason)


def test_optional_fields_are_empty_by_default() -> None:
    plan = plan_action(DELETE, LIMITS)
    assert plan == Plan(plan.request, True, "", ())
    assert TerraformRequest("delete", None) == TerraformRequest("delete", None, None, None)


# Results


def report(status: str, *jobs: JobResult, reason: str = "", dry_run: bool = False) -> Report:
    return Report(RunStatus(status), Trigger.TEARDOWN, dry_run=dry_run, reason=reason, jobs=jobs)


GONE = JobResult("gone", Outcome.GONE)
FAILED = JobResult("a", Outcome.FAILED, "InternalError: no")
AGAIN = "running it again continues with the remaining jobs"
BY_REQUEST = "cancel these jobs by a request: another apply may not name them"


@pytest.mark.parametrize("request_", [CREATE, UPDATE, DELETE])
def test_a_settled_result_is_not_raised(request_: TerraformRequest) -> None:
    settled = report("SETTLED", GONE)
    assert conclude(request_, settled) == (settled, "")


@pytest.mark.parametrize(
    ("request_", "failure"),
    [
        (CREATE, "jobId: no"),
        (UPDATE, "jobId: no"),
        (DELETE, "jobId: no; nothing was canceled: remove the cause, and run it again"),
        (replace(DELETE, action=""), "jobId: no; nothing was canceled: remove the cause, and run it again"),
    ],
)
def test_a_rejection_is_raised(request_: TerraformRequest, failure: str) -> None:
    rejected = report("REJECTED", reason="jobId: no", dry_run=True)
    assert conclude(request_, rejected) == (rejected, failure)
    assert request_.is_validation is (failure == "jobId: no")


@pytest.mark.parametrize("status", ["UNSETTLED", "UNFINISHED"])
@pytest.mark.parametrize(("request_", "what_next"), [(UPDATE, BY_REQUEST), (DELETE, AGAIN)])
def test_a_result_that_is_not_settled_is_raised_with_its_jobs(
    request_: TerraformRequest, what_next: str, status: str
) -> None:
    concluded, failure = conclude(request_, report(status, GONE, FAILED, reason="2 active jobs matched"))
    assert failure == f"2 active jobs matched; job a FAILED: InternalError: no; {what_next}"
    assert concluded == report("UNSETTLED", GONE, FAILED, reason=f"2 active jobs matched; {what_next}")


WOULD_CANCEL = JobResult("a", Outcome.WOULD_CANCEL)
DEFERRED = JobResult("a", Outcome.DEFERRED, "OutOfTime: no time left in this invocation")


@pytest.mark.parametrize(
    ("planned", "continues"),
    [
        (report("SETTLED", WOULD_CANCEL, dry_run=True), True),
        (report("UNFINISHED", DEFERRED, dry_run=True), True),
        (report("SETTLED", GONE, dry_run=True), False),
        (report("SETTLED", dry_run=True), False),
        (report("UNSETTLED", WOULD_CANCEL, FAILED, dry_run=True), False),
        (report("REJECTED", dry_run=True), False),
        (report("UNFINISHED", DEFERRED), False),
    ],
)
def test_a_dry_run_lets_terraform_continue_with_active_jobs(planned: Report, continues: bool) -> None:
    assert continues_dry_run(planned) is continues
    if continues:
        assert conclude(DELETE, planned) == (planned, "")


def test_the_warning_of_a_dry_run_says_that_terraform_continues() -> None:
    assert DRY_RUN == "dry run: Terraform continues, and the active jobs were not canceled"
