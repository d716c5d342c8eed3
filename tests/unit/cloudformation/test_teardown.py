"""The custom resource: what Create, Update and Delete mean, which job a Delete is about, and what is answered."""

from dataclasses import replace
from typing import Any

import pytest

from handler.cancellation.criteria import Criteria
from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, Waiting, status_of
from handler.cancellation.request import CancelRequest, StackLimits
from handler.cloudformation.request import CustomResourceRequest
from handler.cloudformation.teardown import Response, decide
from handler.errors import RequestRejected
from tests.support.fakes import LIMITS

STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware-dev/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f"
MARK = "failed-create:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown"
URL = "https://bucket.s3.eu-west-1.amazonaws.com/path?X-Amz-Signature=secret"

DELETE = CustomResourceRequest("Delete", URL, "request-1", STACK, "Teardown", "job-1", {"JobId": "job-1"})
CREATE = replace(DELETE, request_type="Create", physical_id=None)
UPDATE = replace(DELETE, request_type="Update")


class Cancel:
    """Answers what it is told to, and remembers what it was asked for."""

    def __init__(self, *results: JobResult) -> None:
        self.results = results
        self.asked: list[CancelRequest] = []

    def __call__(self, request: CancelRequest) -> Report:
        self.asked.append(request)
        return Report(status_of(self.results), Trigger.TEARDOWN, request.force, request.dry_run, jobs=self.results)


def never(request: CancelRequest) -> Report:
    raise AssertionError(request)


CANCELED = JobResult("job-1", Outcome.CANCELED, executions_left_in_progress=2)


def test_what_is_not_said_of_a_verdict_is_nothing() -> None:
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN)
    assert Response("SUCCESS", "job-1", report) == Response("SUCCESS", "job-1", report, "", {}, (), False)


# Create and Update


@pytest.mark.parametrize("resource", [CREATE, UPDATE])
def test_create_and_update_validate_and_cancel_nothing(resource: CustomResourceRequest) -> None:
    reason = f"{resource.request_type}: valid; nothing is cancelled before Delete"
    assert decide(resource, LIMITS, never) == Response(
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
def test_get_att_tells_the_force_that_will_be_used(
    stack: bool,
    properties: dict[str, str],
    force: str,
) -> None:
    resource = replace(CREATE, properties={"JobId": "job-1", **properties})
    assert decide(resource, replace(LIMITS, force=stack), never).data == {"JobId": "job-1", "Force": force}


def test_a_changed_job_id_is_a_replacement() -> None:
    verdict = decide(replace(UPDATE, properties={"JobId": "job-2"}), LIMITS, never)
    assert (verdict.status, verdict.physical_id) == ("SUCCESS", "job-2")


def test_an_update_of_anything_else_keeps_the_id() -> None:
    verdict = decide(replace(UPDATE, properties={"JobId": "job-1", "Comment": "new"}), LIMITS, never)
    assert (verdict.status, verdict.physical_id) == ("SUCCESS", "job-1")


@pytest.mark.parametrize(("resource", "physical_id"), [(CREATE, MARK), (UPDATE, "job-1")])
def test_a_bad_property_fails_the_deployment_with_its_name_and_keeps_or_marks_the_id(
    resource: CustomResourceRequest, physical_id: str
) -> None:
    reason = "Force: must be true or false"
    verdict = decide(replace(resource, properties={"JobId": "job-2", "Force": "yes"}), LIMITS, never)
    assert verdict == Response(
        "FAILED", physical_id, Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=reason), reason
    )


def test_two_deliveries_of_one_create_are_answered_alike() -> None:
    assert decide(CREATE, LIMITS, never) == decide(CREATE, LIMITS, never)
    bad = replace(CREATE, properties={})
    assert decide(bad, LIMITS, never).physical_id == decide(bad, LIMITS, never).physical_id == MARK


def test_the_mark_of_a_failed_create_is_no_job_id_and_differs_between_stacks() -> None:
    other = replace(CREATE, stack_id=STACK.replace("5f3a9c10", "00000000"))
    assert CREATE.fallback_id == MARK
    assert other.fallback_id == "failed-create:00000000-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown"
    assert ":" in MARK


# Which job a Delete is about


NAMES_NONE = "the PhysicalResourceId names no job: its Create failed"
MADE_UP = "the PhysicalResourceId was made up by CloudFormation, since Create never finished"


@pytest.mark.parametrize(
    ("physical_id", "reason"),
    [
        (MARK, NAMES_NONE),
        (None, NAMES_NONE),
        ("not a job id", NAMES_NONE),
        ("x" * 65, NAMES_NONE),
        ("firmware-dev-Teardown-1ABCDEFGHIJKL", MADE_UP),
        ("firmware-dev-Tear-1ABCDEFGHIJKL", MADE_UP),
        ("firmware-d-Teardown-1ABCDEFGHIJKL", MADE_UP),
        ("f-T-1", MADE_UP),
    ],
)
def test_a_delete_for_a_create_that_never_finished_succeeds_and_touches_no_job(
    physical_id: str | None, reason: str
) -> None:
    verdict = decide(replace(DELETE, physical_id=physical_id), LIMITS, never)
    report = Report(RunStatus.SETTLED, Trigger.TEARDOWN, reason=reason)
    assert verdict == Response("SUCCESS", physical_id or MARK, report)


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
def test_a_delete_acts_on_the_physical_id_whatever_the_properties_say(
    physical_id: str, named: dict[str, object]
) -> None:
    cancel = Cancel(replace(CANCELED, job_id=physical_id))
    verdict = decide(replace(DELETE, physical_id=physical_id, properties=named), LIMITS, cancel)
    assert [request.job_ids for request in cancel.asked] == [(physical_id,)]
    assert (verdict.status, verdict.physical_id) == ("SUCCESS", physical_id)


def test_a_stack_id_that_is_no_arn_makes_nothing_up() -> None:
    cancel = Cancel(CANCELED)
    resource = replace(DELETE, stack_id="firmware-dev", physical_id="firmware-dev-Teardown-1", properties={})
    decide(resource, LIMITS, cancel)
    assert [request.job_ids for request in cancel.asked] == [("firmware-dev-Teardown-1",)]


def test_a_delete_that_touches_nothing_still_reports_the_stacks_force_and_dry_run() -> None:
    verdict = decide(replace(DELETE, physical_id=MARK), replace(LIMITS, force=True, dry_run=True), never)
    assert (verdict.report.force, verdict.report.dry_run) == (True, True)


# What a Delete asks for


def test_a_delete_asks_for_what_the_properties_say() -> None:
    cancel = Cancel(CANCELED)
    properties = {"JobId": "job-1", "Force": "true", "ReasonCode": "MOVED", "Comment": "to b", "ServiceToken": "t"}
    decide(replace(DELETE, properties=properties), replace(LIMITS, force=True), cancel)
    assert cancel.asked == [
        CancelRequest(
            job_ids=("job-1",),
            selector=None,
            force=True,
            dry_run=False,
            max_jobs=100,
            reason_code="MOVED",
            comment="to b",
            asked_by=f"Teardown was deleted in {STACK}",
        )
    ]


def test_a_job_without_a_reason_of_its_own_gets_one_that_names_the_stack() -> None:
    cancel = Cancel(CANCELED)
    decide(DELETE, LIMITS, cancel)
    assert (cancel.asked[0].reason_code, cancel.asked[0].comment) == (
        "STACK_TEARDOWN",
        f"Teardown was deleted in {STACK}",
    )


def test_a_delete_never_fails_on_bad_properties() -> None:
    verdict = decide(replace(DELETE, properties={"Force": "perhaps", "Old": "x"}), LIMITS, Cancel(CANCELED))
    assert (verdict.status, verdict.warnings) == ("SUCCESS", ("left out Force: must be true or false",))


# What a Delete is answered


@pytest.mark.parametrize("outcome", ["CANCELED", "ALREADY_CANCELED", "ALREADY_FINISHED", "GONE"])
def test_a_delete_succeeds_when_its_job_is_settled(outcome: str) -> None:
    result = JobResult("job-1", Outcome(outcome))
    assert decide(DELETE, LIMITS, Cancel(result)) == Response(
        "SUCCESS",
        "job-1",
        Report(RunStatus.SETTLED, Trigger.TEARDOWN, jobs=(result,)),
        data={"JobId": "job-1", "Force": "false"},
    )


def test_a_delete_by_dry_run_goes_on_and_warns_that_the_job_lives_on() -> None:
    properties = {"JobId": "job-1", "DryRun": "true"}
    planned = Cancel(JobResult("job-1", Outcome.WOULD_CANCEL))
    verdict = decide(replace(DELETE, properties=properties), LIMITS, planned)
    assert (verdict.status, verdict.reason) == ("SUCCESS", "")
    assert verdict.warnings == ("dry run: the deletion goes on, and its jobs live on",)
    assert verdict.continued


UNSETTLED: list[Any] = [("PROTECTED", "UNSETTLED"), ("FAILED", "UNSETTLED"), ("DEFERRED", "UNFINISHED")]


@pytest.mark.parametrize(("outcome", "status"), UNSETTLED)
def test_a_delete_fails_with_the_reason_when_its_job_is_not_settled(outcome: str, status: str) -> None:
    result = JobResult("job-1", Outcome(outcome), "Code: words")
    verdict = decide(DELETE, LIMITS, Cancel(result))
    assert verdict == Response(
        "FAILED",
        "job-1",
        Report(RunStatus(status), Trigger.TEARDOWN, jobs=(result,)),
        f"job job-1 {outcome}: Code: words",
    )
    assert not verdict.continued


def test_a_delete_that_fails_warns_of_what_it_left_out() -> None:
    resource = replace(DELETE, properties={"JobId": "job-1", "Force": "perhaps"})
    verdict = decide(resource, LIMITS, Cancel(JobResult("job-1", Outcome.FAILED)))
    assert (verdict.status, verdict.warnings) == ("FAILED", ("left out Force: must be true or false",))


@pytest.mark.parametrize(("outcome", "status"), UNSETTLED)
def test_with_on_incomplete_continue_it_succeeds_and_warns(outcome: str, status: str) -> None:
    result = JobResult("job-1", Outcome(outcome), "Code: words")
    properties = {"JobId": "job-1", "OnIncomplete": "CONTINUE", "MaxJobs": "x"}
    verdict = decide(replace(DELETE, properties=properties), LIMITS, Cancel(result))
    reason = f"job job-1 {outcome}: Code: words"
    left_out = "left out MaxJobs: must be a whole number from 1 to 100, the stack's MaxJobsPerRun"
    assert verdict == Response(
        "SUCCESS",
        "job-1",
        Report(RunStatus(status), Trigger.TEARDOWN, jobs=(result,)),
        reason,
        {"JobId": "job-1", "Force": "false"},
        (left_out, reason),
    )
    assert verdict.continued


def test_a_settled_delete_with_on_incomplete_continue_is_an_ordinary_success() -> None:
    properties = {"JobId": "job-1", "OnIncomplete": "CONTINUE"}
    verdict = decide(replace(DELETE, properties=properties), LIMITS, Cancel(CANCELED))
    assert (verdict.status, verdict.reason, verdict.warnings, verdict.continued) == ("SUCCESS", "", (), False)


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
    assert decide(DELETE, LIMITS, Cancel(*results)).reason == reason


@pytest.mark.parametrize(
    ("policy", "properties", "reported"),
    [
        (replace(LIMITS, force=True), {}, (True, False)),
        (replace(LIMITS, force=True), {"Force": "false"}, (False, False)),
        (replace(LIMITS, dry_run=True), {}, (False, True)),
        (LIMITS, {"DryRun": "true"}, (False, True)),
    ],
)
def test_the_report_tells_the_force_and_dry_run_that_were_used(
    policy: StackLimits, properties: dict[str, str], reported: tuple[bool, bool]
) -> None:
    report = decide(replace(DELETE, properties=properties), policy, Cancel(CANCELED)).report
    assert (report.force, report.dry_run) == reported


# Select

SELECT_ID = "select:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown"
SELECT = {"Select": {"JobIdGlob": "ota-*"}}
DELETE_SELECTION = replace(DELETE, physical_id=SELECT_ID, properties=SELECT)


@pytest.mark.parametrize("resource", [CREATE, UPDATE, replace(UPDATE, physical_id=SELECT_ID)])
@pytest.mark.parametrize("glob", ["ota-*", "*"])
def test_a_selection_has_one_id_for_life(resource: CustomResourceRequest, glob: str) -> None:
    verdict = decide(replace(resource, properties={"Select": {"JobIdGlob": glob}}), LIMITS, never)
    assert (verdict.status, verdict.physical_id, verdict.data) == ("SUCCESS", SELECT_ID, {"Force": "false"})


def test_from_a_job_to_a_selection_and_back_is_a_replacement() -> None:
    to_selection = decide(replace(UPDATE, properties=SELECT, old_properties={"JobId": "job-1"}), LIMITS, never)
    back = replace(UPDATE, physical_id=SELECT_ID, properties={"JobId": "job-1"}, old_properties=SELECT)
    assert (to_selection.physical_id, decide(back, LIMITS, never).physical_id) == (SELECT_ID, "job-1")


def test_the_clean_up_after_such_a_replacement_acts_on_what_was_before() -> None:
    """CloudFormation sends the old id with the old properties."""
    cancel = Cancel(CANCELED)
    decide(DELETE, LIMITS, cancel)
    decide(DELETE_SELECTION, LIMITS, cancel)
    assert [(request.job_ids, request.selector) for request in cancel.asked] == [
        (("job-1",), None),
        ((), Criteria(job_id_glob="ota-*")),
    ]


def test_a_bad_selection_fails_the_deployment_and_keeps_or_marks_the_id() -> None:
    bad = {"Select": {"OlderThanHours": "72"}}
    reason = "Select: must have at least one of jobIdGlob, thingGroupName, tags: age alone is not a scope"
    for resource, physical_id in ((CREATE, MARK), (replace(UPDATE, physical_id=SELECT_ID), SELECT_ID)):
        verdict = decide(replace(resource, properties=bad), LIMITS, never)
        assert (verdict.status, verdict.physical_id, verdict.reason) == ("FAILED", physical_id, reason)


def test_an_update_reads_strictly_what_it_changes_and_warns_of_the_rest() -> None:
    properties = {"JobId": "job-1", "Force": "true", "Comment": "new"}
    old = {"JobId": "job-1", "Force": "true"}
    verdict = decide(replace(UPDATE, properties=properties, old_properties=old), LIMITS, never)
    assert (verdict.status, verdict.data) == ("SUCCESS", {"JobId": "job-1", "Force": "false"})
    assert verdict.warnings == (
        "left out Force: must be false or left out, since the stack's parameter Force is false",
    )
    verdict = decide(replace(UPDATE, properties=properties), LIMITS, never)
    assert verdict.status == "FAILED"


def test_a_selection_is_deleted_as_the_properties_say() -> None:
    cancel = Cancel(CANCELED, JobResult("job-2", Outcome.ALREADY_CANCELED))
    properties = {**SELECT, "MaxJobs": "20", "ReasonCode": "MOVED", "OnIncomplete": "CONTINUE", "ServiceToken": "t"}
    verdict = decide(replace(DELETE_SELECTION, properties=properties), LIMITS, cancel)
    assert (verdict.status, verdict.physical_id, verdict.data) == ("SUCCESS", SELECT_ID, {"Force": "false"})
    (request,) = cancel.asked
    assert (request.max_jobs, request.reason_code) == (20, "MOVED")


UNREADABLE: list[Any] = [{}, {"Select": {}}, {"Select": "ota-*"}, {"Select": {"Glob": "a"}}, {"JobId": "job-1"}]


@pytest.mark.parametrize("properties", UNREADABLE)
@pytest.mark.parametrize("on_incomplete", ["FAIL", "CONTINUE"])
def test_the_deletion_goes_on_with_a_warning_if_the_selection_cannot_be_read(
    properties: dict[str, object], on_incomplete: str
) -> None:
    resource = replace(DELETE_SELECTION, properties=properties | {"OnIncomplete": on_incomplete})
    verdict = decide(resource, LIMITS, never)
    assert (verdict.status, verdict.physical_id) == ("SUCCESS", SELECT_ID)
    assert verdict.report == Report(RunStatus.REJECTED, Trigger.TEARDOWN, reason=verdict.reason)
    assert verdict.warnings == (verdict.reason,)
    assert verdict.reason.startswith("select: ")
    assert verdict.continued


def test_the_selection_of_another_resource_is_not_touched() -> None:
    verdict = decide(replace(DELETE_SELECTION, physical_id=SELECT_ID + "2"), LIMITS, never)
    assert (verdict.status, verdict.report.reason) == ("SUCCESS", NAMES_NONE)


TOO_MANY = RequestRejected(
    "select",
    "means 101 jobs, and a run may cancel at most 100, so none was cancelled: "
    "ask for fewer, or raise MaxJobsPerRun (or maxJobs); a run that waits may have 500 at most",
)


@pytest.mark.parametrize(("on_incomplete", "status"), [("FAIL", "FAILED"), ("CONTINUE", "SUCCESS")])
def test_a_selection_over_the_cap_is_answered_with_how_many_matched_and_what_to_do(
    on_incomplete: str, status: str
) -> None:
    def rejects(_request: CancelRequest) -> Report:
        raise TOO_MANY

    resource = replace(DELETE_SELECTION, properties=SELECT | {"DryRun": "true", "OnIncomplete": on_incomplete})
    verdict = decide(resource, replace(LIMITS, force=True), rejects)
    assert (verdict.status, verdict.reason) == (status, str(TOO_MANY))
    assert verdict.report == Report(RunStatus.REJECTED, Trigger.TEARDOWN, True, True, str(TOO_MANY))
    assert verdict.continued is (status == "SUCCESS")
    assert verdict.warnings == ((str(TOO_MANY),) if status == "SUCCESS" else ())


@pytest.mark.parametrize(
    ("status", "results", "reason"),
    [
        ("UNFINISHED", (), "select: ThrottlingException: Rate exceeded"),
        ("UNFINISHED", (failed(1),), "select: ThrottlingException: Rate exceeded; job job-1 FAILED: no"),
        ("UNSETTLED", (failed(1),), "select: ThrottlingException: Rate exceeded; job job-1 FAILED: no"),
    ],
)
def test_the_reason_tells_of_the_whole_run_first(status: str, results: tuple[JobResult, ...], reason: str) -> None:
    report = Report(
        RunStatus(status), Trigger.TEARDOWN, reason="select: ThrottlingException: Rate exceeded", jobs=results
    )
    verdict = decide(DELETE_SELECTION, LIMITS, lambda _request: report)
    assert (verdict.status, verdict.reason) == ("FAILED", reason)


@pytest.mark.parametrize(
    ("status", "waits", "continued"),
    [("SUCCESS", False, True), ("SUCCESS", True, False), ("FAILED", False, False)],
)
def test_a_deletion_that_waits_has_not_gone_on(status: Any, waits: bool, continued: bool) -> None:
    report = Report(RunStatus.UNFINISHED, Trigger.TEARDOWN)
    assert Response(status, "job-1", report, waits=waits).continued is continued


# What nothing takes up any more


WAITS = Response(
    "FAILED",
    "job-1",
    Report(
        RunStatus.UNFINISHED,
        Trigger.TEARDOWN,
        force=True,
        reason="1 live jobs matched",
        jobs=(JobResult("job-1", Outcome.CANCELED, executions_left_in_progress=1),),
        waiting=Waiting(("job-1",), 20),
    ),
    reason="1 device still runs job job-1",
    data={"Force": "true"},
    warnings=("read leniently",),
    waits=True,
)


@pytest.mark.parametrize(
    ("why", "reported", "told"),
    [
        ("", "1 live jobs matched", "1 device still runs job job-1"),
        ("no queue", "1 live jobs matched; no queue", "1 device still runs job job-1; no queue"),
    ],
)
def test_what_is_given_up_is_the_answer_and_unsettled(why: str, reported: str, told: str) -> None:
    given_up = WAITS.given_up(why) if why else WAITS.given_up()
    report = replace(WAITS.report, status=RunStatus.UNSETTLED, reason=reported, waiting=None)
    warnings = ("read leniently", why) if why else ("read leniently",)
    assert given_up == replace(WAITS, report=report, reason=told, warnings=warnings, waits=False)
    assert given_up.waits is False


def test_what_is_given_up_without_a_word_has_the_reason_alone() -> None:
    silent = replace(WAITS, report=replace(WAITS.report, reason=""))
    assert silent.given_up("no queue").report.reason == "no queue"
