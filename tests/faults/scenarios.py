"""Every trigger: the event, the jobs, the calls of an undisturbed run, and the results."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from handler.cancellation.request import StackLimits
from tests.faults.simulation import SECRET
from tests.support.fakes import LIMITS, NOW
from tools.simulators.events import (
    RESPONSE_HOST,
    SELECTION_ID,
    STACK_ID,
    cancel_event,
    custom_resource_request,
    eventbridge_event,
    sns_event,
)

RESPONSE_URL = f"https://{RESPONSE_HOST}/response?X-Amz-Date=20261124T120000Z&X-Amz-Signature={SECRET}"
ALARM_ARN = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:failures"
FORCED = replace(LIMITS, force=True)
OLD, YOUNG = {"created_at": NOW - timedelta(days=30)}, {"created_at": NOW - timedelta(hours=1)}


type Fields = Mapping[str, Any]
type End = tuple[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Point:
    """One call. `refused` is the result of the run if the service refuses the call, as in `Scenario.calls`."""

    operation: str
    refused: str


@dataclass(frozen=True)
class Scenario:
    """One trigger.

    Attributes:
        calls: each call of an undisturbed run, with the result of a refusal there: `reported`, the run is UNSETTLED;
            `rejected`, it is REJECTED; `-`, nothing changes; `final`, CloudFormation gets
            a final response although work remains.
        later: the same from the backlog, where the first invocation could not begin.
        jobs: the matching jobs at the start; `others` do not match.
        ends: the status of each, and of its executions, in the end.
        reason: reasonCode and comment that they have then; `other_reason` if another caller requests the same.
        response: what CloudFormation gets, for a teardown.
        status: that of the last report.
        raises: the function raises a result that is not settled.
        parameters: of the stack, as fields of the function's configuration.
    """

    event: dict[str, Any]
    calls: str
    later: str = ""
    jobs: Mapping[str, Fields] = field(default_factory=dict)
    others: Mapping[str, Fields] = field(default_factory=lambda: OTHER_JOB)
    ends: Mapping[str, End] = field(default_factory=dict)
    reason: tuple[str, str] = ("", "")
    other_reason: tuple[str, str] = ("", "")
    response: Mapping[str, Any] | None = None
    status: str = "SETTLED"
    limits: StackLimits = LIMITS
    parameters: Mapping[str, Any] = field(default_factory=dict)
    reports_at: Mapping[tuple[str, str], float] = field(default_factory=dict)
    raises: bool = False

    @property
    def matching(self) -> tuple[str, ...]:
        """The jobs that have to end. A protected one has not."""
        return tuple(job_id for job_id, (status, _) in self.ends.items() if status == "CANCELED")

    @property
    def is_teardown(self) -> bool:
        """True if CloudFormation waits for a response."""
        return self.response is not None

    @property
    def continues(self) -> bool:
        """True if the response is always SUCCESS."""
        return "OnIncomplete" in self.event.get("ResourceProperties", {})

    @property
    def service_timeout(self) -> float:
        """ServiceTimeout in seconds."""
        return float(self.event["ResourceProperties"]["ServiceTimeout"])

    def with_service_timeout(self, seconds: int) -> "Scenario":
        """The same with another ServiceTimeout, where there is one."""
        if not self.is_teardown:
            return self
        properties = self.event["ResourceProperties"] | {"ServiceTimeout": str(seconds)}
        return replace(self, event=self.event | {"ResourceProperties": properties})

    def points(self, *, later: bool) -> list[Point]:
        """Return the calls of an undisturbed run."""
        reason = (self.later if later else self.calls).split()
        return [Point(*each.split("/")) for each in reason]


def custom_resource(request_type: str, physical_id: str | None, **properties: object) -> dict[str, Any]:
    """Build a request of CloudFormation with a ServiceTimeout of 900 s."""
    return custom_resource_request(request_type, physical_id, RESPONSE_URL, {"ServiceTimeout": "900", **properties})


def success(physical_id: str, **data: str) -> dict[str, Any]:
    """Return the expected response to CloudFormation."""
    return {"Status": "SUCCESS", "PhysicalResourceId": physical_id, "Reason": "", "Data": data}


RUNNING: Fields = {**OLD, "executions": {"thing-1": "IN_PROGRESS", "thing-2": "QUEUED"}}
RUNS_ON: End = ("CANCELED", {"thing-1": "IN_PROGRESS", "thing-2": "CANCELED"})
ENDED: End = ("CANCELED", {"thing-1": "CANCELED", "thing-2": "CANCELED"})
BUSY = {"thing-1": "IN_PROGRESS", "thing-2": "IN_PROGRESS"}
HAS_RUN: End = ("CANCELED", {"thing-1": "SUCCEEDED", "thing-2": "CANCELED"})
SCHEDULED: Fields = {**OLD, "status": "SCHEDULED"}
GONE: End = ("CANCELED", {})
TEARDOWN = ("STACK_TEARDOWN", f"Teardown was deleted in {STACK_ID}")
LEFTOVER: Fields = {
    **OLD,
    "status": "CANCELED",
    "executions": {"thing-1": "IN_PROGRESS", "site:thing-2": "IN_PROGRESS"},
    "reason_code": TEARDOWN[0],
    "comment": TEARDOWN[1],
}
NO_LEFTOVER: End = ("CANCELED", {"thing-1": "CANCELED", "site:thing-2": "CANCELED"})
# Between two polls: those of a teardown begin 5 s after the cancel, those of a request 20 s after it.
ENDS_AT_10, ENDS_AT_12, ENDS_AT_30 = ({("firmware", "thing-1"): at} for at in (10.0, 12.0, 30.0))
OF_THE_STACK: Fields = {**OLD, "tags": {"iot-job-canceler:stack-id": STACK_ID}}
OF_FLEET_IN_DEV: Fields = {
    **OLD,
    "tags": {"env": "dev"},
    "targets": ["arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet"],
}
# Jobs that do not match a trigger, and would match if one of its criteria were ignored.
OTHER_JOB: dict[str, Fields] = {"gateway": RUNNING}
OTHERS_OF_THE_STACK: dict[str, Fields] = {
    "gateway": RUNNING,
    "AFR_OTA-firmware": {**RUNNING, **OF_THE_STACK},
    "greengrass": {**RUNNING, **OF_THE_STACK, "namespace": "aws-gg-deployment"},
}
# Another caller canceled it, and devices still run it: the function neither forces it nor waits for it.
CANCELED_BY_OTHERS: dict[str, Fields] = {**OTHER_JOB, "firmware-other": {**LEFTOVER, "comment": "a bad rollout"}}
OTHERS_OLD: dict[str, Fields] = {
    "gateway": RUNNING,
    "prefix-old": RUNNING,
    "firm-old-young": {**RUNNING, **YOUNG},
    "firm-old-planned": {**OLD, "status": "SCHEDULED", "starts_at": "2026-12-01T08:00"},
}
OTHERS_IN_PROD: dict[str, Fields] = {"firmware-prod": {**OF_FLEET_IN_DEV, "tags": {"env": "prod"}}}

# Calls, in the shape of Scenario.calls.
LIST, LIST_AGAIN = "ListJobs/rejected ", "ListJobs/- "
ONE_JOB = "CancelJob/reported DescribeJob/reported "
TAGS_AND_TARGETS = "ListTagsForResource/rejected DescribeJob/rejected ListTagsForResource/rejected "
REPORT = "PutEvents/- "
RESPOND = "PUT/- " + REPORT
BACKLOG = f"SendMessage/- {REPORT}ChangeMessageVisibility/- "
TEARDOWNS = f"SendMessage/final {REPORT}ChangeMessageVisibility/- "
POLL, RETRY_LATER = "ChangeMessageVisibility/- DescribeJob/reported ", "ChangeMessageVisibility/- " + REPORT
FOUND_AGAIN = "ChangeMessageVisibility/- DescribeJob/- "
SELECT_AGAIN = 2 * "ListJobs/reported " + LIST_AGAIN + "DescribeJob/- "
OTHER_JOB_READ = "DescribeJob/- "
LAST_POLL = SELECT_AGAIN + OTHER_JOB_READ + RESPOND
WAIT, FIRST_WAIT = f"SendMessage/- {REPORT}", f"SendMessage/final {REPORT}"
END = (
    "DescribeJob/reported ListTagsForResource/reported ListJobExecutionsForJob/reported "
    "CancelJobExecution/reported CancelJobExecution/reported DescribeJob/reported "
)
END_TWO_EXECUTIONS = "DescribeJob/reported " + END
TOO_BUSY = "DescribeJob/- ListTagsForResource/- "
FORCE_ONE_JOB = "DescribeJob/reported CancelJob/reported DescribeJob/- "
SEARCH_EARLIER = "DescribeJob/- DescribeJob/reported " + END

SCENARIOS: dict[str, Scenario] = {
    "Create": Scenario(
        custom_resource("Create", None, JobId="firmware"),
        calls=RESPOND,
        response=success("firmware", JobId="firmware", Force="false"),
    ),
    "Update": Scenario(
        custom_resource("Update", "firmware", JobId="firmware-2") | {"OldResourceProperties": {"JobId": "firmware"}},
        calls=RESPOND,
        response=success("firmware-2", JobId="firmware-2", Force="false"),
    ),
    "Delete": Scenario(
        custom_resource("Delete", "firmware", JobId="firmware"),
        calls=ONE_JOB + RESPOND,
        later=TEARDOWNS + ONE_JOB + RESPOND,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=TEARDOWN,
        response=success("firmware", JobId="firmware", Force="false"),
    ),
    "Delete that continues": Scenario(
        custom_resource("Delete", "firmware", JobId="firmware", OnIncomplete="CONTINUE"),
        calls=ONE_JOB + RESPOND,
        later=TEARDOWNS + ONE_JOB + RESPOND,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=TEARDOWN,
        response=success("firmware", JobId="firmware", Force="false"),
    ),
    "Delete that waits": Scenario(
        custom_resource("Delete", "firmware", JobId="firmware", WaitForExecutionsMinutes="5"),
        calls=ONE_JOB + FIRST_WAIT + POLL + RETRY_LATER + POLL + RESPOND,
        later=TEARDOWNS + ONE_JOB + WAIT + POLL + RESPOND,
        jobs={"firmware": RUNNING},
        ends={"firmware": HAS_RUN},
        reason=TEARDOWN,
        response=success("firmware", JobId="firmware", Force="false"),
        reports_at=ENDS_AT_12,
    ),
    "Delete with force": Scenario(
        custom_resource("Delete", "firmware", JobId="firmware"),
        calls=END_TWO_EXECUTIONS + RESPOND,
        later=TEARDOWNS + END_TWO_EXECUTIONS + RESPOND,
        jobs={"firmware": LEFTOVER},
        ends={"firmware": NO_LEFTOVER},
        reason=TEARDOWN,
        response=success("firmware", JobId="firmware", Force="true"),
        limits=FORCED,
    ),
    "Delete of a selection": Scenario(
        custom_resource("Delete", SELECTION_ID, Select={"JobIdGlob": "firmware*"}),
        calls=4 * LIST + ONE_JOB + 2 * LIST_AGAIN + RESPOND,
        later=TEARDOWNS + 4 * LIST + ONE_JOB + 2 * LIST_AGAIN + RESPOND,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=TEARDOWN,
        response=success(SELECTION_ID, Force="false"),
    ),
    "Delete of a selection that waits": Scenario(
        custom_resource("Delete", SELECTION_ID, Select={"JobIdGlob": "firmware*"}, WaitForExecutionsMinutes="5"),
        # If the first poll is refused, the next selection finds the job by the reason of its cancellation.
        # A search for earlier cancellations also reads the job that another caller canceled.
        calls=4 * LIST
        + ONE_JOB
        + 3 * LIST_AGAIN
        + OTHER_JOB_READ
        + FIRST_WAIT
        + FOUND_AGAIN
        + RETRY_LATER
        + POLL
        + LAST_POLL,
        later=TEARDOWNS + 4 * LIST + ONE_JOB + 3 * LIST_AGAIN + OTHER_JOB_READ + WAIT + POLL + LAST_POLL,
        jobs={"firmware": RUNNING},
        others=CANCELED_BY_OTHERS,
        ends={"firmware": HAS_RUN},
        reason=TEARDOWN,
        response=success(SELECTION_ID, Force="false"),
        reports_at=ENDS_AT_12,
    ),
    "Delete of a selection with force": Scenario(
        custom_resource("Delete", SELECTION_ID, Select={"JobIdGlob": "firmware*"}),
        calls=2 * LIST + LIST_AGAIN + OTHER_JOB_READ + SEARCH_EARLIER + RESPOND,
        later=TEARDOWNS + 2 * LIST + LIST_AGAIN + OTHER_JOB_READ + SEARCH_EARLIER + RESPOND,
        jobs={"firmware": LEFTOVER},
        others=CANCELED_BY_OTHERS,
        ends={"firmware": NO_LEFTOVER},
        reason=TEARDOWN,
        response=success(SELECTION_ID, Force="true"),
        limits=FORCED,
    ),
    "request of ids": Scenario(
        cancel_event(jobIds=["firmware-1", "firmware-2"]),
        calls=2 * ONE_JOB + REPORT,
        later="CancelJob/- DescribeJob/- " + BACKLOG + "CancelJob/- DescribeJob/reported " + ONE_JOB + REPORT,
        jobs={"firmware-1": RUNNING, "firmware-2": SCHEDULED},
        ends={"firmware-1": RUNS_ON, "firmware-2": GONE},
        reason=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
    ),
    "request of a protected job": Scenario(
        cancel_event(jobIds=["firmware-1", "firmware-2"]),
        calls="CancelJob/reported DescribeJob/- CancelJob/- DescribeJob/- ListTagsForResource/- " + REPORT,
        later=(
            f"CancelJob/- DescribeJob/- ListTagsForResource/- {BACKLOG}"
            f"CancelJob/- DescribeJob/- ListTagsForResource/- CancelJob/reported DescribeJob/- {REPORT}"
        ),
        jobs={"firmware-1": RUNNING, "firmware-2": {**RUNNING, "tags": {"Cancel-Protection": "TRUE"}}},
        ends={"firmware-1": RUNS_ON, "firmware-2": ("IN_PROGRESS", RUNNING["executions"])},
        reason=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
        status="UNSETTLED",
    ),
    "request that waits": Scenario(
        cancel_event(jobId="firmware", waitForExecutionsMinutes=5),
        calls=ONE_JOB + WAIT + POLL + RETRY_LATER + POLL + REPORT,
        later=BACKLOG + ONE_JOB + WAIT + POLL + RETRY_LATER + POLL + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": HAS_RUN},
        reason=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
        reports_at=ENDS_AT_30,
    ),
    "request with force": Scenario(
        cancel_event(jobId="firmware"),
        calls=END_TWO_EXECUTIONS + REPORT,
        later=BACKLOG + END_TWO_EXECUTIONS + REPORT,
        jobs={"firmware": LEFTOVER},
        ends={"firmware": NO_LEFTOVER},
        reason=TEARDOWN,
        limits=FORCED,
    ),
    "request with force of active jobs": Scenario(
        cancel_event(jobIds=["firmware-1", "firmware-2"]),
        calls=f"{FORCE_ONE_JOB}{TOO_BUSY}{REPORT}",
        later=f"{TOO_BUSY}{BACKLOG}{TOO_BUSY}{FORCE_ONE_JOB}{REPORT}",
        jobs={"firmware-1": RUNNING, "firmware-2": {**RUNNING, "executions": BUSY}},
        ends={"firmware-1": ENDED, "firmware-2": ("IN_PROGRESS", BUSY)},
        reason=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
        status="UNSETTLED",
        limits=replace(FORCED, max_forced_executions=1),
    ),
    "request of a job without the required tag": Scenario(
        cancel_event(jobIds=["firmware-1", "firmware-2"]),
        calls="CancelJob/reported DescribeJob/- CancelJob/- DescribeJob/- ListTagsForResource/- " + REPORT,
        later=(
            f"CancelJob/- DescribeJob/- ListTagsForResource/- {BACKLOG}"
            f"CancelJob/- DescribeJob/- ListTagsForResource/- CancelJob/reported DescribeJob/- {REPORT}"
        ),
        jobs={"firmware-1": OF_FLEET_IN_DEV, "firmware-2": RUNNING},
        ends={"firmware-1": GONE, "firmware-2": ("IN_PROGRESS", RUNNING["executions"])},
        reason=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
        status="UNSETTLED",
        limits=replace(LIMITS, required_tag=("env", "dev")),
    ),
    "request of a selection": Scenario(
        cancel_event(select={"jobIdGlob": "f*", "tags": {"env": "dev"}, "thingGroupName": "fleet"}, reasonCode="STALE"),
        calls=4 * LIST + TAGS_AND_TARGETS + ONE_JOB + REPORT,
        later=BACKLOG + 4 * LIST + TAGS_AND_TARGETS + ONE_JOB + REPORT,
        jobs={"firmware": OF_FLEET_IN_DEV},
        others=OTHERS_IN_PROD,
        ends={"firmware": GONE},
        reason=("STALE", "Requested by event event-1 from fleet.console"),
    ),
    "request of a selection that waits": Scenario(
        cancel_event(select={"jobIdGlob": "firmware*"}, waitForExecutionsMinutes=5),
        calls=4 * LIST + ONE_JOB + LIST_AGAIN + WAIT + POLL + REPORT,
        later=BACKLOG + 4 * LIST + ONE_JOB + LIST_AGAIN + WAIT + POLL + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": HAS_RUN},
        reason=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
        reports_at=ENDS_AT_10,
    ),
    "alarm": Scenario(
        eventbridge_event(
            "aws.cloudwatch",
            "CloudWatch Alarm State Change",
            {
                "alarmName": "failures",
                "state": {"value": "ALARM"},
                "configuration": {"metrics": [{"metricStat": {"metric": {"dimensions": {"JobId": "firmware"}}}}]},
            },
        ),
        calls=ONE_JOB + REPORT,
        later=BACKLOG + ONE_JOB + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=("EVENT_REMEDIATION", "Requested by alarm failures"),
    ),
    "alarm by its action": Scenario(
        {
            "source": "aws.cloudwatch",
            "alarmArn": ALARM_ARN,
            "alarmData": {
                "alarmName": "failures",
                "state": {"value": "ALARM"},
                "configuration": {"metrics": [{"metricStat": {"metric": {"dimensions": {"JobId": "firmware"}}}}]},
            },
        },
        calls=ONE_JOB + REPORT,
        later=BACKLOG + ONE_JOB + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=("EVENT_REMEDIATION", "Requested by alarm failures"),
        parameters={"alarm_name_prefix": "fail"},
    ),
    "alarm by SNS": Scenario(
        sns_event(
            {
                "AlarmName": "failures",
                "AlarmArn": ALARM_ARN,
                "NewStateValue": "ALARM",
                "Trigger": {"Dimensions": [{"name": "JobId", "value": "firmware"}]},
            }
        ),
        calls=ONE_JOB + REPORT,
        later=BACKLOG + ONE_JOB + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=("EVENT_REMEDIATION", "Requested by alarm failures"),
        parameters={"alarm_name_prefix": "fail"},
    ),
    "CreateJob in CloudTrail": Scenario(
        eventbridge_event(
            "aws.iot",
            "AWS API Call via CloudTrail",
            {"eventName": "CreateJob", "requestParameters": {"jobId": "firmware"}},
        ),
        calls=ONE_JOB + REPORT,
        later=BACKLOG + ONE_JOB + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=("EVENT_REMEDIATION", "Requested by CreateJob in event event-1"),
    ),
    "stack deleted": Scenario(
        eventbridge_event(
            "aws.cloudformation",
            "CloudFormation Stack Status Change",
            {"stack-id": STACK_ID, "status-details": {"status": "DELETE_COMPLETE"}},
        ),
        calls=6 * LIST + 2 * "ListTagsForResource/rejected " + ONE_JOB + REPORT,
        later=BACKLOG + 6 * LIST + 2 * "ListTagsForResource/rejected " + ONE_JOB + REPORT,
        jobs={"firmware": {**OF_THE_STACK, "target_selection": "CONTINUOUS"}},
        others=OTHERS_OF_THE_STACK,
        ends={"firmware": GONE},
        reason=("EVENT_REMEDIATION", f"Requested by the deletion of {STACK_ID}"),
    ),
    "sweep": Scenario(
        eventbridge_event("aws.scheduler", "Scheduled Event", "{}"),
        calls=4 * LIST + 2 * "DescribeJob/reported " + ONE_JOB + REPORT,
        later=BACKLOG + 4 * LIST + "DescribeJob/reported " + ONE_JOB + "DescribeJob/reported " + REPORT,
        jobs={"firm-old": RUNNING},
        others=OTHERS_OLD,
        ends={"firm-old": RUNS_ON},
        reason=("SCHEDULED_CLEANUP", "Requested by schedule event event-1"),
        limits=replace(LIMITS, job_id_prefix="firm"),
        parameters={"sweep_job_id_glob": "*old*"},
    ),
    # Lambda retries the event of a run that is not settled, as the user of Terraform does.
    "deletion by Terraform": Scenario(
        {"cancel": {"jobId": "firmware"}, "tf": {"action": "delete", "prev_input": {"cancel": {"jobId": "firmware"}}}},
        calls="CancelJob/- DescribeJob/- " + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=("STACK_TEARDOWN", "Deleted by Terraform"),
        raises=True,
    ),
    "bare request": Scenario(
        {"cancel": {"jobId": "firmware"}},
        calls=ONE_JOB + REPORT,
        later=BACKLOG + ONE_JOB + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        reason=("DIRECT_REQUEST", "Requested by a direct request"),
    ),
}
