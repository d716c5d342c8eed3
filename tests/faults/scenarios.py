"""Every trigger: the event, the jobs that there are, each call that an undisturbed run makes, and how all ends."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from handler.cancellation.request import StackLimits
from tests.faults.world import SECRET
from tests.support.fakes import LIMITS, NOW
from tools.simulators.events import (
    RESPONSE_HOST,
    SELECTION_ID,
    STACK_ID,
    cancel_event,
    custom_resource_request,
    eventbridge_event,
)

RESPONSE_URL = f"https://{RESPONSE_HOST}/answer?X-Amz-Date=20261124T120000Z&X-Amz-Signature={SECRET}"
FORCED = replace(LIMITS, force=True)
OLD, YOUNG = {"created_at": NOW - timedelta(days=30)}, {"created_at": NOW - timedelta(hours=1)}


type Fields = Mapping[str, Any]
type End = tuple[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Point:
    """One call. `refused`: what it makes of the run if the service does not want it, as `Scenario.calls` tells."""

    operation: str
    refused: str


@dataclass(frozen=True)
class Scenario:
    """One trigger.

    Attributes:
        calls: each call of an undisturbed run, with what a refusal there ends in: `told`, the run is UNSETTLED;
            `rejected`, it is REJECTED; `-`, all ends as ever; `given-up`, CloudFormation is
            told, and nothing takes up what is left.
        later: the same from the backlog, where the first invocation could not begin.
        jobs: what is meant, as it is at first; `others` are not meant.
        ends: the status of each, and of its executions, in the end.
        told: reasonCode and comment that they have then; `also_told` if somebody else wants the same.
        answer: what CloudFormation is told, where it asks.
        status: that of the last report.
    """

    event: dict[str, Any]
    calls: str
    later: str = ""
    jobs: Mapping[str, Fields] = field(default_factory=dict)
    others: Mapping[str, Fields] = field(default_factory=lambda: OTHER_JOB)
    ends: Mapping[str, End] = field(default_factory=dict)
    told: tuple[str, str] = ("", "")
    also_told: tuple[str, str] = ("", "")
    answer: Mapping[str, Any] | None = None
    status: str = "SETTLED"
    policy: StackLimits = LIMITS
    sweep: Mapping[str, Any] = field(default_factory=dict)
    reports_at: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @property
    def meant(self) -> tuple[str, ...]:
        """The jobs that have to end. A protected one has not."""
        return tuple(job_id for job_id, (status, _) in self.ends.items() if status == "CANCELED")

    @property
    def is_teardown(self) -> bool:
        """True if CloudFormation waits for an answer."""
        return self.answer is not None

    @property
    def continues(self) -> bool:
        """True if CloudFormation is told SUCCESS whatever happens."""
        return "OnIncomplete" in self.event.get("ResourceProperties", {})

    @property
    def service_timeout(self) -> float:
        """Seconds."""
        return float(self.event["ResourceProperties"]["ServiceTimeout"])

    def answered_within(self, seconds: int) -> "Scenario":
        """The same with another ServiceTimeout, where there is one."""
        if not self.is_teardown:
            return self
        properties = self.event["ResourceProperties"] | {"ServiceTimeout": str(seconds)}
        return replace(self, event=self.event | {"ResourceProperties": properties})

    def points(self, *, later: bool) -> list[Point]:
        """The calls of an undisturbed run, as they are told here."""
        told = (self.later if later else self.calls).split()
        return [Point(*each.split("/")) for each in told]


def custom_resource(request_type: str, physical_id: str | None, **properties: object) -> dict[str, Any]:
    """Build a request of CloudFormation that is answered within 900 s."""
    return custom_resource_request(request_type, physical_id, RESPONSE_URL, {"ServiceTimeout": "900", **properties})


def success(physical_id: str, **data: str) -> dict[str, Any]:
    """What CloudFormation is to be told."""
    return {"Status": "SUCCESS", "PhysicalResourceId": physical_id, "Reason": "", "Data": data}


RUNNING: Fields = {**OLD, "executions": {"thing-1": "IN_PROGRESS", "thing-2": "QUEUED"}}
RUNS_ON: End = ("CANCELED", {"thing-1": "IN_PROGRESS", "thing-2": "CANCELED"})
HAS_RUN: End = ("CANCELED", {"thing-1": "SUCCEEDED", "thing-2": "CANCELED"})
SCHEDULED: Fields = {**OLD, "status": "SCHEDULED"}
GONE: End = ("CANCELED", {})
TEARDOWN = ("STACK_TEARDOWN", f"Teardown was deleted in {STACK_ID}")
LEFT: Fields = {
    **OLD,
    "status": "CANCELED",
    "executions": {"thing-1": "IN_PROGRESS", "site:thing-2": "IN_PROGRESS"},
    "reason_code": TEARDOWN[0],
    "comment": TEARDOWN[1],
}
LEFT_NONE: End = ("CANCELED", {"thing-1": "CANCELED", "site:thing-2": "CANCELED"})
ENDS_AT_10, ENDS_AT_30 = {("firmware", "thing-1"): 10.0}, {("firmware", "thing-1"): 30.0}
OF_THE_STACK: Fields = {**OLD, "tags": {"iot-job-canceler:stack-id": STACK_ID}}
OF_FLEET_IN_DEV: Fields = {
    **OLD,
    "tags": {"env": "dev"},
    "targets": ["arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet"],
}
# Jobs that a trigger does not mean, and would mean if one part of what it asks for were ignored.
OTHER_JOB: dict[str, Fields] = {"gateway": RUNNING}
OTHERS_OF_THE_STACK: dict[str, Fields] = {
    "gateway": RUNNING,
    "AFR_OTA-firmware": {**RUNNING, **OF_THE_STACK},
    "greengrass": {**RUNNING, **OF_THE_STACK, "namespace": "aws-gg-deployment"},
}
# Somebody else has cancelled it, and devices still run it: it is neither forced nor waited for.
CANCELED_BY_OTHERS: dict[str, Fields] = {**OTHER_JOB, "firmware-other": {**LEFT, "comment": "a bad roll-out"}}
OTHERS_OLD: dict[str, Fields] = {"gateway": RUNNING, "prefix-old": RUNNING, "firm-old-young": {**RUNNING, **YOUNG}}
OTHERS_IN_PROD: dict[str, Fields] = {"firmware-prod": {**OF_FLEET_IN_DEV, "tags": {"env": "prod"}}}

# Calls, in the shape of Scenario.calls.
LIST, LIST_AGAIN = "ListJobs/rejected ", "ListJobs/- "
ONE_JOB = "CancelJob/told DescribeJob/told "
TAGS_AND_TARGETS = "ListTagsForResource/rejected DescribeJob/rejected ListTagsForResource/rejected "
REPORT = "PutEvents/- "
ANSWER = "PUT/- " + REPORT
BACKLOG = f"SendMessage/- {REPORT}ChangeMessageVisibility/- "
TEARDOWNS = f"SendMessage/given-up {REPORT}ChangeMessageVisibility/- "
LOOK, KEEP = "ChangeMessageVisibility/- DescribeJob/told ", "ChangeMessageVisibility/- " + REPORT
FOUND_AGAIN = "ChangeMessageVisibility/- DescribeJob/- "
SELECT_AGAIN = 2 * "ListJobs/told " + LIST_AGAIN + "DescribeJob/- "
BYSTANDER = "DescribeJob/- "
LAST_LOOK = SELECT_AGAIN + BYSTANDER + ANSWER
WAIT, FIRST_WAIT = f"SendMessage/- {REPORT}", f"SendMessage/given-up {REPORT}"
END = (
    "DescribeJob/told ListTagsForResource/told ListJobExecutionsForJob/told "
    "CancelJobExecution/told CancelJobExecution/told DescribeJob/told "
)
END_TWO_EXECUTIONS = "CancelJob/- DescribeJob/told " + END
LOOK_BACK = "DescribeJob/- DescribeJob/told " + END

SCENARIOS: dict[str, Scenario] = {
    "Create": Scenario(
        custom_resource("Create", None, JobId="firmware"),
        calls=ANSWER,
        answer=success("firmware", JobId="firmware", Force="false"),
    ),
    "Update": Scenario(
        custom_resource("Update", "firmware", JobId="firmware-2") | {"OldResourceProperties": {"JobId": "firmware"}},
        calls=ANSWER,
        answer=success("firmware-2", JobId="firmware-2", Force="false"),
    ),
    "Delete": Scenario(
        custom_resource("Delete", "firmware", JobId="firmware"),
        calls=ONE_JOB + ANSWER,
        later=TEARDOWNS + ONE_JOB + ANSWER,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        told=TEARDOWN,
        answer=success("firmware", JobId="firmware", Force="false"),
    ),
    "Delete that continues": Scenario(
        custom_resource("Delete", "firmware", JobId="firmware", OnIncomplete="CONTINUE"),
        calls=ONE_JOB + ANSWER,
        later=TEARDOWNS + ONE_JOB + ANSWER,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        told=TEARDOWN,
        answer=success("firmware", JobId="firmware", Force="false"),
    ),
    "Delete that waits": Scenario(
        custom_resource("Delete", "firmware", JobId="firmware", WaitForExecutionsMinutes="5"),
        calls=ONE_JOB + FIRST_WAIT + LOOK + KEEP + LOOK + ANSWER,
        later=TEARDOWNS + ONE_JOB + WAIT + LOOK + ANSWER,
        jobs={"firmware": RUNNING},
        ends={"firmware": HAS_RUN},
        told=TEARDOWN,
        answer=success("firmware", JobId="firmware", Force="false"),
        reports_at=ENDS_AT_30,
    ),
    "Delete with force": Scenario(
        custom_resource("Delete", "firmware", JobId="firmware"),
        calls=END_TWO_EXECUTIONS + ANSWER,
        later=TEARDOWNS + END_TWO_EXECUTIONS + ANSWER,
        jobs={"firmware": LEFT},
        ends={"firmware": LEFT_NONE},
        told=TEARDOWN,
        answer=success("firmware", JobId="firmware", Force="true"),
        policy=FORCED,
    ),
    "Delete of a selection": Scenario(
        custom_resource("Delete", SELECTION_ID, Select={"JobIdGlob": "firmware*"}),
        calls=4 * LIST + ONE_JOB + 2 * LIST_AGAIN + ANSWER,
        later=TEARDOWNS + 4 * LIST + ONE_JOB + 2 * LIST_AGAIN + ANSWER,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        told=TEARDOWN,
        answer=success(SELECTION_ID, Force="false"),
    ),
    "Delete of a selection that waits": Scenario(
        custom_resource("Delete", SELECTION_ID, Select={"JobIdGlob": "firmware*"}, WaitForExecutionsMinutes="5"),
        # If the first look is refused, the selection that is made then finds the job by what it was cancelled with.
        # Whenever a selection looks back, it also reads the job that somebody else has cancelled.
        calls=4 * LIST + ONE_JOB + 3 * LIST_AGAIN + BYSTANDER + FIRST_WAIT + FOUND_AGAIN + KEEP + LOOK + LAST_LOOK,
        later=TEARDOWNS + 4 * LIST + ONE_JOB + 3 * LIST_AGAIN + BYSTANDER + WAIT + LOOK + LAST_LOOK,
        jobs={"firmware": RUNNING},
        others=CANCELED_BY_OTHERS,
        ends={"firmware": HAS_RUN},
        told=TEARDOWN,
        answer=success(SELECTION_ID, Force="false"),
        reports_at=ENDS_AT_30,
    ),
    "Delete of a selection with force": Scenario(
        custom_resource("Delete", SELECTION_ID, Select={"JobIdGlob": "firmware*"}),
        calls=2 * LIST + LIST_AGAIN + BYSTANDER + LOOK_BACK + ANSWER,
        later=TEARDOWNS + 2 * LIST + LIST_AGAIN + BYSTANDER + LOOK_BACK + ANSWER,
        jobs={"firmware": LEFT},
        others=CANCELED_BY_OTHERS,
        ends={"firmware": LEFT_NONE},
        told=TEARDOWN,
        answer=success(SELECTION_ID, Force="true"),
        policy=FORCED,
    ),
    "request of ids": Scenario(
        cancel_event(jobIds=["firmware-1", "firmware-2"]),
        calls=2 * ONE_JOB + REPORT,
        later="CancelJob/- DescribeJob/- " + BACKLOG + "CancelJob/- DescribeJob/told " + ONE_JOB + REPORT,
        jobs={"firmware-1": RUNNING, "firmware-2": SCHEDULED},
        ends={"firmware-1": RUNS_ON, "firmware-2": GONE},
        told=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
    ),
    "request of a protected job": Scenario(
        cancel_event(jobIds=["firmware-1", "firmware-2"]),
        calls="CancelJob/told DescribeJob/- CancelJob/- DescribeJob/- ListTagsForResource/- " + REPORT,
        later=(
            f"CancelJob/- DescribeJob/- ListTagsForResource/- {BACKLOG}"
            f"CancelJob/- DescribeJob/- ListTagsForResource/- CancelJob/told DescribeJob/- {REPORT}"
        ),
        jobs={"firmware-1": RUNNING, "firmware-2": {**RUNNING, "tags": {"Cancel-Protection": "TRUE"}}},
        ends={"firmware-1": RUNS_ON, "firmware-2": ("IN_PROGRESS", RUNNING["executions"])},
        told=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
        status="UNSETTLED",
    ),
    "request that waits": Scenario(
        cancel_event(jobId="firmware", waitForExecutionsMinutes=5),
        calls=ONE_JOB + WAIT + LOOK + KEEP + LOOK + REPORT,
        later=BACKLOG + ONE_JOB + WAIT + LOOK + KEEP + LOOK + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": HAS_RUN},
        told=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
        reports_at=ENDS_AT_30,
    ),
    "request with force": Scenario(
        cancel_event(jobId="firmware"),
        calls=END_TWO_EXECUTIONS + REPORT,
        later=BACKLOG + END_TWO_EXECUTIONS + REPORT,
        jobs={"firmware": LEFT},
        ends={"firmware": LEFT_NONE},
        told=TEARDOWN,
        policy=FORCED,
    ),
    "request of a selection": Scenario(
        cancel_event(select={"jobIdGlob": "f*", "tags": {"env": "dev"}, "thingGroupName": "fleet"}, reasonCode="STALE"),
        calls=4 * LIST + TAGS_AND_TARGETS + ONE_JOB + REPORT,
        later=BACKLOG + 4 * LIST + TAGS_AND_TARGETS + ONE_JOB + REPORT,
        jobs={"firmware": OF_FLEET_IN_DEV},
        others=OTHERS_IN_PROD,
        ends={"firmware": GONE},
        told=("STALE", "Requested by event event-1 from fleet.console"),
    ),
    "request of a selection that waits": Scenario(
        cancel_event(select={"jobIdGlob": "firmware*"}, waitForExecutionsMinutes=5),
        calls=4 * LIST + ONE_JOB + LIST_AGAIN + WAIT + LOOK + REPORT,
        later=BACKLOG + 4 * LIST + ONE_JOB + LIST_AGAIN + WAIT + LOOK + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": HAS_RUN},
        told=("EVENT_REMEDIATION", "Requested by event event-1 from fleet.console"),
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
        told=("EVENT_REMEDIATION", "Requested by alarm failures"),
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
        told=("EVENT_REMEDIATION", "Requested by CreateJob in event event-1"),
    ),
    "stack deleted": Scenario(
        eventbridge_event(
            "aws.cloudformation",
            "CloudFormation Stack Status Change",
            {"stack-id": STACK_ID, "status-details": {"status": "DELETE_COMPLETE"}},
        ),
        calls=4 * LIST + "DescribeJob/rejected " + 2 * "ListTagsForResource/rejected " + ONE_JOB + REPORT,
        later=BACKLOG + 4 * LIST + "DescribeJob/rejected " + 2 * "ListTagsForResource/rejected " + ONE_JOB + REPORT,
        jobs={"firmware": {**OF_THE_STACK, "target_selection": "CONTINUOUS"}},
        others=OTHERS_OF_THE_STACK,
        ends={"firmware": GONE},
        told=("EVENT_REMEDIATION", f"Requested by the deletion of {STACK_ID}"),
    ),
    "sweep": Scenario(
        eventbridge_event("aws.scheduler", "Scheduled Event", "{}"),
        calls=4 * LIST + ONE_JOB + REPORT,
        later=BACKLOG + 4 * LIST + ONE_JOB + REPORT,
        jobs={"firm-old": RUNNING},
        others=OTHERS_OLD,
        ends={"firm-old": RUNS_ON},
        told=("SCHEDULED_CLEANUP", "Requested by schedule event event-1"),
        policy=replace(LIMITS, job_id_prefix="firm"),
        sweep={"sweep_job_id_glob": "*old*"},
    ),
    "bare request": Scenario(
        {"cancel": {"jobId": "firmware"}},
        calls=ONE_JOB + REPORT,
        later=BACKLOG + ONE_JOB + REPORT,
        jobs={"firmware": RUNNING},
        ends={"firmware": RUNS_ON},
        told=("DIRECT_REQUEST", "Requested by a direct request"),
    ),
}
