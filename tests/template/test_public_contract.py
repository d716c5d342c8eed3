"""The names that users and other programs rely on, as release 0.1.0 (commit 230ad36) has them.

A test fails if a name is renamed, removed or added. Every name is observed from the outside: in template.yaml, in the
published schemas, or in what the function returns, logs, publishes and sends. Changing a literal here changes the
contract: it needs an entry in CHANGELOG.md.
"""

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from handler.version import VERSION
from tests.support.contract import ENVIRONMENT, Stack, job
from tests.support.fakes import failing, throttled
from tests.support.template import ROOT, deployed, load_template, resolved
from tools.simulators.events import STACK_ID, STACK_UUID

TEMPLATE = load_template()
RESOURCES: dict[str, Any] = TEMPLATE["Resources"]
SCHEMAS = {name: json.loads((ROOT / "docs" / f"{name}.schema.json").read_text()) for name in ("request", "report")}

# The template: parameters, outputs, alarms and the function's environment

PARAMETERS = {
    "Name": ("String", ""),
    "Force": ("String", "false"),
    "MaxForcedExecutions": ("String", "1000"),
    "DryRun": ("String", "false"),
    "MaxJobsPerRun": ("String", "100"),
    "JobIdPrefix": ("String", ""),
    "ProtectionTagKey": ("String", "cancel-protection"),
    "RequiredTag": ("String", ""),
    "SweepState": ("String", "DISABLED"),
    "SweepSchedule": ("String", "rate(1 day)"),
    "SweepTimezone": ("String", "UTC"),
    "SweepJobIdGlob": ("String", ""),
    "SweepOlderThanHours": ("String", "168"),
    "EventBusName": ("String", "default"),
    "RequestSources": ("String", "*"),
    "AlarmNamePrefix": ("String", ""),
    "CancelOnStackDelete": ("String", "false"),
    "Monitoring": ("String", "FULL"),
    "AlarmTopicArn": ("String", ""),
    "CancelsPerSecond": ("String", "8"),
    "LogLevel": ("String", "INFO"),
    "LogRetentionDays": ("Number", 30),
    "ReservedConcurrency": ("String", ""),
    "KmsKeyArn": ("String", ""),
    "RolePath": ("String", "/"),
    "PermissionsBoundaryArn": ("String", ""),
}

_CONSOLE = "https://${AWS::Region}.console.aws.amazon.com/cloudwatch/home?region=${AWS::Region}"
OUTPUTS = {
    "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]},
    "FunctionName": {"Ref": "Function"},
    "BacklogQueueUrl": {"Ref": "Backlog"},
    "FailureQueueUrl": {"Ref": "FailureQueue"},
    "TeardownQueueUrl": {"Ref": "Teardowns"},
    "TeardownFailureQueueUrl": {"Ref": "TeardownFailures"},
    "LogGroupName": {"Ref": "LogGroup"},
    "DashboardUrl": {"Fn::Sub": f"{_CONSOLE}#dashboards/dashboard/${{Dashboard}}"},
    "Version": VERSION,
}
EXPORTS = {"ServiceToken": "{}-ServiceToken"}

# Names that a stack gives to its resources, where it gives them one: with the parameter Name, or the stack's name.
RESOURCE_NAMES = {
    "LogGroup": ("LogGroupName", "/aws/lambda/{}"),
    "ServiceTokenParameter": ("Name", "/iot-job-canceler/{}/service-token"),
    "Dashboard": ("DashboardName", "{}-eu-west-1"),
    "WhoCancelled": ("Name", "{}/Who cancelled a job"),
}
NAMES = pytest.mark.parametrize(("parameters", "name"), [({}, "canceler"), ({"Name": "fleet"}, "fleet")])


VARIABLES = {
    "FORCE": {"Ref": "Force"},
    "DRY_RUN": {"Ref": "DryRun"},
    "MAX_JOBS_PER_RUN": {"Ref": "MaxJobsPerRun"},
    "JOB_ID_PREFIX": {"Ref": "JobIdPrefix"},
    "PROTECTION_TAG_KEY": {"Ref": "ProtectionTagKey"},
    "MAX_FORCED_EXECUTIONS": {"Ref": "MaxForcedExecutions"},
    "REQUIRED_TAG": {"Ref": "RequiredTag"},
    "CANCELS_PER_SECOND": {"Ref": "CancelsPerSecond"},
    "SWEEP_JOB_ID_GLOB": {"Ref": "SweepJobIdGlob"},
    "SWEEP_OLDER_THAN_HOURS": {"Ref": "SweepOlderThanHours"},
    "ALARM_NAME_PREFIX": {"Ref": "AlarmNamePrefix"},
    "BACKLOG_QUEUE_URL": {"Ref": "Backlog"},
    "TEARDOWN_QUEUE_URL": {"Ref": "Teardowns"},
    "EVENT_BUS_NAME": {"Ref": "EventBusName"},
    "URL_SUFFIX": {"Ref": "AWS::URLSuffix"},
    "LOG_GROUP": {"Ref": "LogGroup"},
    "POWERTOOLS_LOG_LEVEL": {"Ref": "LogLevel"},
    "POWERTOOLS_METRICS_NAMESPACE": "IoTJobCanceler",
    "POWERTOOLS_SERVICE_NAME": {"Ref": "AWS::StackName"},
}


def test_parameters() -> None:
    found = {name: (parameter["Type"], parameter["Default"]) for name, parameter in TEMPLATE["Parameters"].items()}
    assert found == PARAMETERS


def test_outputs_and_exports() -> None:
    outputs = TEMPLATE["Outputs"]
    assert {name: output["Value"] for name, output in outputs.items()} == OUTPUTS
    assert RESOURCES["ServiceTokenParameter"]["Properties"]["Value"] == OUTPUTS["ServiceToken"]


@NAMES
def test_names_of_resources_and_exports(parameters: dict[str, str], name: str) -> None:
    def named(value: object) -> Any:
        return resolved(deployed(value, **parameters), **parameters)

    for resource, (key, pattern) in RESOURCE_NAMES.items():
        assert named(RESOURCES[resource]["Properties"][key]) == pattern.format(name)
    exports = {
        key: named(output["Export"]["Name"]) for key, output in TEMPLATE["Outputs"].items() if "Export" in output
    }
    assert exports == {key: pattern.format(name) for key, pattern in EXPORTS.items()}
    # The function's own name is the dimension of its metrics, and the one that requests and alarms are compared with.
    variables = RESOURCES["Function"]["Properties"]["Environment"]["Variables"]
    assert named(variables["POWERTOOLS_SERVICE_NAME"]) == name
    assert named(RESOURCES["RequestRule"]["Properties"]["EventPattern"]["detail"]["canceler"]) == [
        {"exists": False},
        name,
    ]
    assert named(RESOURCES["AlarmRule"]["Properties"]["EventPattern"]["resources"])[0]["anything-but"]["prefix"] == (
        f"arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}/"
    )
    for resource in RESOURCES.values():
        if resource["Type"] == "AWS::CloudWatch::Alarm":
            alarm = named(resource["Properties"])
            assert alarm["AlarmName"].startswith(f"{name}/")
            assert {each["Value"] for each in alarm["Dimensions"] if each["Name"] == "service"} <= {name}
    assert f'"service", "{name}"' in named(RESOURCES["Dashboard"]["Properties"]["DashboardBody"])


def test_the_template_sets_the_environment_variables_and_the_function_reads_them() -> None:
    function = RESOURCES["Function"]["Properties"]
    assert deployed(function["Environment"]["Variables"]) == VARIABLES
    # Loads the function as Lambda does. An event that is rejected, in an invocation that is nearly over, calls no AWS.
    program = """
import importlib, json, os, sys
read = set()
class Recording(type(os.environ)):
    def __getitem__(self, name):
        read.add(name)
        return super().__getitem__(name)
os.environ.__class__ = Recording
module, _, name = sys.argv[1].rpartition(".")
class Context:
    aws_request_id = "i"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:iot-job-canceler-Function-k2Jc8sQf0aXb"
    def get_remaining_time_in_millis(self):
        return 1000
report = getattr(importlib.import_module(module), name)({}, Context())
print(json.dumps({"status": report["status"], "read": sorted(read)}))
"""
    done = subprocess.run(  # noqa: S603 - this program
        [sys.executable, "-c", program, function["Handler"]],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "src"), "AWS_DEFAULT_REGION": "eu-west-1"}
        | {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
        | ENVIRONMENT,
        capture_output=True,
        text=True,
        check=True,
    )
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["status"] == "REJECTED"
    assert VARIABLES.keys() <= set(last["read"])


# Detail-types and sources

REQUESTED = "IoT Job Cancellation Requested"
RULES = {
    "RequestRule": (None, REQUESTED),
    "AlarmRule": (["aws.cloudwatch"], "CloudWatch Alarm State Change", "CloudWatch Alarm Contributor State Change"),
    "StackRule": (["aws.cloudformation"], "CloudFormation Stack Status Change"),
}
PUBLISHED_AS = {"Source": "iot-job-canceler", "DetailType": "IoT Job Cancellation Report", "EventBusName": "operations"}


def test_detail_types_of_the_rules() -> None:
    rules = {name: rule for name, rule in RESOURCES.items() if rule["Type"] == "AWS::Events::Rule"}
    patterns = {name: deployed(rule["Properties"]["EventPattern"]) for name, rule in rules.items()}
    found = {name: (pattern.get("source"), *pattern["detail-type"]) for name, pattern in patterns.items()}
    assert found == RULES


def test_source_and_detail_type_of_a_published_report(stack: Stack) -> None:
    stack.invoke({"cancel": {"jobId": "a"}})
    (entry,) = stack.published
    assert {name: text for name, text in entry.items() if name != "Detail"} == PUBLISHED_AS
    (statement,) = [
        statement
        for policy in deployed(RESOURCES["Role"]["Properties"]["Policies"])
        for statement in policy["PolicyDocument"].get("Statement", ())
        if statement["Action"] == "events:PutEvents"
    ]
    assert statement["Condition"]["StringEquals"] == {
        "events:source": "iot-job-canceler",
        "events:detail-type": "IoT Job Cancellation Report",
    }


# Runs: triggers, statuses, outcomes, and the metrics that count them

TRIGGERS = ["TEARDOWN", "SCHEDULE", "EVENT", "DIRECT"]
STATUSES = ["SETTLED", "UNSETTLED", "UNFINISHED", "REJECTED", "IGNORED"]
OUTCOMES = [
    "CANCELED",
    "ALREADY_CANCELED",
    "ALREADY_FINISHED",
    "GONE",
    "WOULD_CANCEL",
    "PROTECTED",
    "DEFERRED",
    "FAILED",
]

SCHEDULED = {"id": "e-1", "source": "aws.scheduler", "detail-type": "Scheduled Event", "detail": "{}"}
REPORTED = {"id": "e-2", "source": "iot-job-canceler", "detail-type": "IoT Job Cancellation Report", "detail": {}}
DIRECT: dict[str, Any] = {"cancel": {"jobId": "a"}}
DRY_RUN: dict[str, Any] = {"cancel": {"jobId": "a", "dryRun": True}}
PROTECTED = job(tags={"cancel-protection": "true"})


def event_file(name: str) -> Any:
    return json.loads((ROOT / "events" / name).read_text())


def request_event(cancel: object) -> dict[str, Any]:
    return {"id": "e-3", "source": "fleet.console", "detail-type": REQUESTED, "detail": {"cancel": cancel}}


# The event, the job "a" that exists, seconds of the invocation → trigger, status and outcome of the run; its metrics,
# each with the value 1; and ExecutionsLeftInProgress, which only a run with jobs has.
RUNS: dict[str, tuple[Any, Any, float, str, str, int | None]] = {
    "canceled": (DIRECT, job(running=2), 300, "DIRECT SETTLED CANCELED", "RunsSettled JobsCanceled", 2),
    "already canceled": (
        request_event({"jobId": "a"}),
        job("CANCELED"),
        300,
        "EVENT SETTLED ALREADY_CANCELED",
        "RunsSettled JobsAlreadyCanceled",
        0,
    ),
    "finished": (
        DIRECT,
        job("COMPLETED"),
        300,
        "DIRECT SETTLED ALREADY_FINISHED",
        "RunsSettled JobsAlreadyFinished",
        0,
    ),
    "gone": (DIRECT, None, 300, "DIRECT SETTLED GONE", "RunsSettled JobsGone", 0),
    "dry run": (DRY_RUN, job(), 300, "DIRECT SETTLED WOULD_CANCEL", "RunsSettled JobsWouldCancel", 0),
    "protected": (DRY_RUN, PROTECTED, 300, "DIRECT UNSETTLED PROTECTED", "RunsUnsettled JobsProtected", 0),
    "no time left": (DIRECT, job(), 15.5, "DIRECT UNFINISHED DEFERRED", "RunsUnfinished JobsDeferred", 0),
    "sweep": (SCHEDULED, job(), 300, "SCHEDULE SETTLED CANCELED", "RunsSettled JobsCanceled", 0),
    "rejected": ({"cancel": {"jobId": "a b"}}, None, 300, "DIRECT REJECTED", "RunsRejected", None),
    "rejected dry run": (
        {"cancel": {"jobId": "a b", "dryRun": True}},
        None,
        300,
        "DIRECT REJECTED",
        "ValidationsRejected",
        None,
    ),
    "ignored": (REPORTED, None, 300, "EVENT IGNORED", "RunsIgnored", None),
    "teardown outside the prefix": (None, job(), 300, "TEARDOWN UNSETTLED FAILED", "RunsUnsettled JobsFailed", 0),
}

METRICS = {
    *("RunsSettled", "RunsUnsettled", "RunsUnfinished", "RunsRejected", "RunsIgnored"),
    "ValidationsRejected",
    *("JobsCanceled", "JobsAlreadyCanceled", "JobsAlreadyFinished", "JobsGone"),
    *("JobsWouldCancel", "JobsProtected", "JobsDeferred", "JobsFailed"),
    *("ExecutionsLeftInProgress", "ExecutionsEnded"),
    *("TeardownsContinued", "TeardownsOutOfTime", "ResponsesUndelivered", "ReportsUnpublished", "UnexpectedErrors"),
}


def counted(stack: Stack) -> dict[str, int]:
    """Return the metrics by name, and check the shape of each record."""
    values: dict[str, int] = {}
    for record in stack.metrics:
        (directive,) = record.pop("_aws")["CloudWatchMetrics"]
        assert (directive["Namespace"], directive["Dimensions"]) == (
            "IoTJobCanceler",
            [["trigger", "service"], ["service"]],
        )
        assert record.pop("trigger") in TRIGGERS
        assert record.pop("service") == "canceler"
        assert directive["Metrics"] == [{"Name": name, "Unit": "Count"} for name in record]
        values |= {name: value[0] for name, value in record.items()}
    return values


@pytest.mark.parametrize("name", RUNS)
def test_a_run_has_its_trigger_status_outcome_and_metrics(name: str, stack: Stack) -> None:
    event, existing, seconds, expected, metrics, left_in_progress = RUNS[name]
    stack.deploy(SWEEP_JOB_ID_GLOB="a")
    if existing:
        stack.create({"a": existing})
    if event is None:
        stack.deploy(JOB_ID_PREFIX="firmware-")
        event = stack.request("Delete", "a", JobId="a")
    report = stack.invoke(event, seconds)
    outcomes = [each["outcome"] for each in report["jobs"]]
    assert [report["trigger"], report["status"], *outcomes] == expected.split()
    assert report["counts"] == dict.fromkeys(outcomes, 1)
    executions = {} if left_in_progress is None else {"ExecutionsLeftInProgress": left_in_progress}
    assert counted(stack) == dict.fromkeys(metrics.split(), 1) | executions


def test_the_runs_cover_every_trigger_status_and_outcome() -> None:
    values = {value for _, _, _, expected, *_ in RUNS.values() for value in expected.split()}
    assert values == {*TRIGGERS, *STATUSES, *OUTCOMES}
    report = SCHEMAS["report"]
    assert report["properties"]["trigger"]["enum"] == TRIGGERS
    assert report["properties"]["status"]["enum"] == STATUSES
    assert report["$defs"]["outcome"]["enum"] == OUTCOMES


def continue_without_the_job(stack: Stack) -> None:
    stack.deploy(JOB_ID_PREFIX="firmware-")
    stack.invoke(stack.request("Delete", "a", JobId="a", OnIncomplete="CONTINUE"))


def lose_the_response(stack: Stack) -> None:
    stack.refuse_responses()
    with pytest.raises(Exception, match="failed to send the response to CloudFormation: HTTP 403"):
        stack.invoke(stack.request("Delete", "a", JobId="a"))


def have_no_time_to_publish(stack: Stack) -> None:
    stack.invoke({}, 4)


def crash(stack: Stack) -> None:
    def fail(_operation: str, _job_id: str) -> None:
        raise ZeroDivisionError

    stack.before_each_iot_call(fail)
    with pytest.raises(ZeroDivisionError):
        stack.invoke({"cancel": {"jobId": "a"}})


def run_out_of_time(stack: Stack) -> None:
    """The timer of the response guard fires before the first call to AWS IoT."""
    stack.before_each_iot_call(lambda _operation, _job_id: stack.fire_timer())
    stack.invoke(stack.request("Delete", "a", JobId="a"))


COUNTED_ONE_BY_ONE = {
    "TeardownsContinued": continue_without_the_job,
    "TeardownsOutOfTime": run_out_of_time,
    "ResponsesUndelivered": lose_the_response,
    "ReportsUnpublished": have_no_time_to_publish,
    "UnexpectedErrors": crash,
}


@pytest.mark.parametrize("metric", COUNTED_ONE_BY_ONE)
def test_each_other_metric_is_counted_once(metric: str, stack: Stack) -> None:
    stack.create({"a": job()})
    COUNTED_ONE_BY_ONE[metric](stack)
    values = counted(stack)
    assert values[metric] == 1
    assert values.keys() & COUNTED_ONE_BY_ONE.keys() == {metric}


@pytest.mark.parametrize(("is_dry_run", "counted_as"), [(False, 2), (True, None)])
def test_executions_that_force_ends_are_counted(is_dry_run: bool, counted_as: int | None, stack: Stack) -> None:
    stack.deploy(FORCE="true")
    stack.create({"a": job(running=2)})
    report = stack.invoke({"cancel": {"jobId": "a", "dryRun": is_dry_run}})
    assert (report["executionsEnded"], report["jobs"][0]["executionsEnded"]) == (2, 2)
    assert counted(stack).get("ExecutionsEnded") == counted_as


def test_the_runs_count_every_metric() -> None:
    counted_by_runs = {name for _, _, _, _, metrics, _ in RUNS.values() for name in metrics.split()}
    executions = {"ExecutionsLeftInProgress", "ExecutionsEnded"}
    assert counted_by_runs | executions | COUNTED_ONE_BY_ONE.keys() == METRICS


# The report: returned, logged and published, with its keys in this order

REPORT_KEYS = [
    *("status", "trigger", "force", "dryRun", "reason", "counts"),
    *("executionsLeftInProgress", "executionsEnded", "jobs"),
]
JOB_KEYS = ["jobId", "outcome", "detail", "executionsLeftInProgress", "executionsEnded", "jobArn", "description"]
LEFT_OUT_KEYS = ["jobId", "why"]
AUDIT_KEYS = ["version", "askedBy", "reasonCode", "comment"]
PUBLISHED_KEYS = ["correlationId", "part", "parts", *AUDIT_KEYS, *REPORT_KEYS]


def test_keys_of_a_report(stack: Stack) -> None:
    stack.deploy(FORCE="true")
    stack.create({"a": job(running=1, description="October image")})
    report = stack.invoke(request_event({"jobId": "a"}))
    assert list(report) == REPORT_KEYS
    assert list(report["jobs"][0]) == JOB_KEYS
    detail = json.loads(stack.published[0]["Detail"])
    assert list(detail) == PUBLISHED_KEYS
    assert list(detail["jobs"][0]) == JOB_KEYS
    assert detail == {
        "correlationId": "e-3",
        "part": 1,
        "parts": 1,
        "version": VERSION,
        "askedBy": "Requested by event e-3 from fleet.console",
        "reasonCode": "EVENT_REMEDIATION",
        "comment": "Requested by event e-3 from fleet.console",
        **report,
    }
    assert report["jobs"][0]["jobArn"] == "arn:aws:iot:eu-west-1:123456789012:job/a"
    assert report["jobs"][0]["description"] == "October image"


def test_keys_of_a_job_that_has_no_description_or_is_gone(stack: Stack) -> None:
    stack.create({"a": job()})
    report = stack.invoke({"cancel": {"jobIds": ["a", "b"]}})
    assert [list(each) for each in report["jobs"]] == [[*JOB_KEYS[:4], "jobArn"], JOB_KEYS[:4]]


def test_keys_of_a_plan(stack: Stack) -> None:
    stack.create({"a": job(), "AFR_OTA-1": job()})
    report = stack.invoke({"cancel": {"select": {"jobIdGlob": "*"}, "dryRun": True}})
    assert list(report) == [*REPORT_KEYS, "leftOut", "planId"]
    assert [list(each) for each in report["leftOut"]] == [LEFT_OUT_KEYS]


def test_the_schema_of_the_report_has_the_same_keys() -> None:
    schema = SCHEMAS["report"]
    assert set(schema["properties"]) == {*PUBLISHED_KEYS, "leftOut", "planId"}
    assert schema["required"] == REPORT_KEYS
    assert schema["properties"]["jobs"]["items"]["required"] == JOB_KEYS[:4]
    assert list(schema["properties"]["jobs"]["items"]["properties"]) == JOB_KEYS
    assert list(schema["properties"]["leftOut"]["items"]["properties"]) == LEFT_OUT_KEYS


# The log

LINE_KEYS = [
    *("level", "location", "message", "timestamp", "service", "version"),
    *("correlation_id", "function_request_id", "trigger"),
]
ATTRIBUTION_KEYS = ["asked_by", "reason_code", "comment"]
CRASH_KEYS = ["exception", "exception_name", "stack_trace"]

QUERY = """\
filter @message like /"jobId": "{{jobId}}", "outcome": /
| parse @message /"jobId": "{{jobId}}", "outcome": "(?<outcome>[A-Z_]+)", "detail": "(?<detail>.*?)", "executions/
| sort @timestamp asc
| display @timestamp, outcome, asked_by, reason_code, comment, detail, trigger, correlation_id
"""


def test_keys_of_the_line_of_a_report(stack: Stack) -> None:
    stack.invoke(request_event({"jobId": "a", "reasonCode": "STALE", "comment": "ticket 1"}))
    line = json.loads(stack.log[-1])
    assert list(line) == [*LINE_KEYS, *ATTRIBUTION_KEYS, "report"]
    assert (line["level"], line["message"], line["trigger"], line["correlation_id"]) == (
        "INFO",
        "report",
        "EVENT",
        "e-3",
    )
    assert [line[key] for key in ATTRIBUTION_KEYS] == ["Requested by event e-3 from fleet.console", "STALE", "ticket 1"]
    assert list(line["report"]) == REPORT_KEYS


def test_keys_of_the_lines_of_a_rejection_a_warning_and_a_crash(stack: Stack) -> None:
    stack.create({"a": job()})
    stack.invoke({}, 4)
    crash(stack)
    rejection, warning, error = map(json.loads, stack.log)
    assert (list(rejection), rejection["level"]) == ([*LINE_KEYS, "report"], "WARNING")
    assert (list(warning), warning["level"]) == (LINE_KEYS, "WARNING")
    assert (list(error), error["level"]) == ([*LINE_KEYS, *CRASH_KEYS], "ERROR")


def test_the_saved_query_finds_a_job_in_the_line_of_a_report(stack: Stack) -> None:
    query = RESOURCES["WhoCancelled"]["Properties"]
    assert query["QueryString"] == QUERY
    assert [parameter["Name"] for parameter in query["Parameters"]] == ["jobId"]
    assert query["LogGroupNames"] == [{"Ref": "LogGroup"}]
    stack.deploy(JOB_ID_PREFIX="firmware-")
    stack.create({"a": job(description='"jobId": "ab", "outcome": "CANCELED", "detail": "", "executions')})
    stack.invoke(stack.request("Delete", "a", JobId="a"))
    line = stack.log[-1]
    found, parsed = re.findall(r"/(.+)/", QUERY.replace("{{jobId}}", "a").replace("(?<", "(?P<"))
    assert re.search(found, line)
    assert not re.search(found, line.replace('"a"', '"ac"'))
    assert not re.search(found.replace('"a"', '"ab"'), line)  # of the description
    match = re.search(parsed, line)
    assert match
    assert match.groupdict() == {
        "outcome": "FAILED",
        "detail": "OutsidePrefix: the job id does not start with JobIdPrefix 'firmware-'",
    }
    displayed = QUERY.rpartition("display @timestamp, ")[2].strip().split(", ")
    assert set(displayed) <= {*LINE_KEYS, *ATTRIBUTION_KEYS, *match.groupdict()}


# The default reasonCode and comment of a canceled job. A repeated deletion finds its earlier cancellations by them.

ATTRIBUTIONS = {
    "a direct request": ("DIRECT_REQUEST", "Requested by a direct request"),
    "an event": ("EVENT_REMEDIATION", "Requested by event e-3 from fleet.console"),
    "the sweep": ("SCHEDULED_CLEANUP", "Requested by schedule event e-1"),
    "a deleted stack": ("EVENT_REMEDIATION", f"Requested by the deletion of {STACK_ID}"),
    "an alarm": ("EVENT_REMEDIATION", "Requested by alarm iot-job-failures-firmware-2026-11"),
    "an alarm by its action": ("EVENT_REMEDIATION", "Requested by alarm iot-job-failures-firmware-2026-11"),
    "an alarm by SNS": ("EVENT_REMEDIATION", "Requested by alarm iot-job-failures-firmware-2026-11"),
    "a contributor of an alarm": ("EVENT_REMEDIATION", "Requested by alarm iot-job-failures-fleet"),
    "a request by SNS": ("DIRECT_REQUEST", "Requested by a direct request"),
    "a created job": (
        "EVENT_REMEDIATION",
        "Requested by CreateJob in event 3c4d5e6f-7a8b-4c9d-8e0f-1a2b3c4d5e6f",
    ),
    "a teardown": ("STACK_TEARDOWN", f"Teardown was deleted in {STACK_ID}"),
    "Terraform": ("STACK_TEARDOWN", "Deleted by Terraform"),
    "Terraform with a selection": ("STACK_TEARDOWN", 'Deleted by Terraform: select {"jobIdGlob": "firmware-*"}'),
}
EVENTS = {
    "a direct request": {"cancel": {"jobId": "firmware-2026-11"}},
    "an event": request_event({"jobId": "firmware-2026-11"}),
    "the sweep": SCHEDULED,
    "a deleted stack": event_file("stack-deleted.json"),
    "an alarm": event_file("alarm-to-alarm.json"),
    "an alarm by its action": event_file("alarm-action.json"),
    "an alarm by SNS": event_file("alarm-by-sns.json"),
    "a contributor of an alarm": event_file("alarm-of-contributor.json"),
    "a request by SNS": event_file("request-by-sns.json"),
    "a created job": event_file("cloudtrail-create-job.json"),
    "Terraform": event_file("terraform-delete.json"),
    "Terraform with a selection": {
        "cancel": {"select": {"jobIdGlob": "firmware-*"}},
        "tf": {"action": "delete", "prev_input": None},
    },
}


@pytest.mark.parametrize("trigger", ATTRIBUTIONS)
def test_a_canceled_job_has_the_default_reason_of_its_trigger(trigger: str, stack: Stack) -> None:
    job_id = "firmware-2026-11"
    stack.deploy(SWEEP_JOB_ID_GLOB=job_id, ALARM_NAME_PREFIX="iot-job-failures-")
    stack.create({job_id: job(tags={"iot-job-canceler:stack-id": STACK_ID})})
    stack.invoke(EVENTS.get(trigger) or stack.request("Delete", job_id, JobId=job_id))
    assert stack.canceled == [job_id]
    assert (stack.jobs[job_id].reason_code, stack.jobs[job_id].comment) == ATTRIBUTIONS[trigger]


# Requests and properties

# Key of a request → property of the custom resource. None: only the other one has it.
REQUEST_KEYS: dict[str, str | None] = {
    "jobId": "JobId",
    "jobIds": None,
    "select": "Select",
    "force": "Force",
    "dryRun": "DryRun",
    "maxJobs": "MaxJobs",
    "reasonCode": "ReasonCode",
    "comment": "Comment",
    "waitForExecutionsMinutes": "WaitForExecutionsMinutes",
    "planId": None,
}
OTHER_PROPERTIES = ["ServiceToken", "ServiceTimeout", "OnIncomplete"]
# Key of select → key of Select
SELECT_KEYS = {
    "jobIdGlob": "JobIdGlob",
    "excludeJobIdGlobs": "ExcludeJobIdGlobs",
    "status": "Status",
    "olderThanHours": "OlderThanHours",
    "ageFrom": "AgeFrom",
    "targetSelection": "TargetSelection",
    "thingGroupName": "ThingGroupName",
    "tags": "Tags",
}

# Request, environment of the function → what is observed of the run
REQUESTS: list[tuple[dict[str, Any], dict[str, str], dict[str, Any]]] = [
    ({"jobId": "a"}, {}, {"canceled": ["a"]}),
    ({"jobIds": ["a", "b"]}, {}, {"canceled": ["a", "b"]}),
    ({"select": {"jobIdGlob": "?"}}, {}, {"canceled": ["a", "b"]}),
    ({"jobId": "a", "force": False}, {"FORCE": "true"}, {"canceled": ["a"], "force": False}),
    ({"jobId": "a", "dryRun": True}, {}, {"canceled": [], "dryRun": True}),
    ({"select": {"jobIdGlob": "?"}, "maxJobs": 1}, {}, {"canceled": [], "status": "REJECTED"}),
    ({"jobId": "a", "reasonCode": "STALE"}, {}, {"canceled": ["a"], "reason_code": "STALE"}),
    ({"jobId": "a", "comment": "ticket 1"}, {}, {"canceled": ["a"], "comment": "ticket 1"}),
    ({"jobId": "a", "waitForExecutionsMinutes": 12}, {}, {"canceled": ["a"], "status": "UNFINISHED"}),
    ({"jobId": "a", "planId": "41567292464c6b3cf0b1d76c39f08278"}, {}, {"canceled": ["a"], "status": "SETTLED"}),
    ({"jobId": "a", "planId": "0" * 32}, {}, {"canceled": [], "status": "REJECTED"}),
]
OUTSIDE_PREFIX = {"JOB_ID_PREFIX": "b"}
# Properties, environment of the function → what is observed of the run
PROPERTIES: list[tuple[dict[str, Any], dict[str, str], dict[str, Any]]] = [
    ({"JobId": "a", "OnIncomplete": "CONTINUE"}, OUTSIDE_PREFIX, {"status": "UNSETTLED", "response": "SUCCESS"}),
    ({"JobId": "a", "OnIncomplete": "FAIL"}, OUTSIDE_PREFIX, {"status": "UNSETTLED", "response": "FAILED"}),
    # Too short to wait for the device: the same request with more time is UNFINISHED.
    (
        {"JobId": "a", "WaitForExecutionsMinutes": "12", "ServiceTimeout": "40"},
        {},
        {"status": "UNSETTLED", "response": "FAILED"},
    ),
]


def as_property(value: object) -> Any:
    """The value as CloudFormation sends it: numbers and booleans are strings."""
    match value:
        case dict():
            return {SELECT_KEYS.get(key, key): as_property(each) for key, each in value.items()}
        case bool() | int() | float():
            return json.dumps(value)
    return value


def as_properties(request: dict[str, Any]) -> dict[str, Any]:
    return {str(REQUEST_KEYS[key]): as_property(value) for key, value in request.items()}


def observed(stack: Stack, report: dict[str, Any]) -> dict[str, Any]:
    return {
        "canceled": stack.canceled,
        "status": report["status"],
        "force": report["force"],
        "dryRun": report["dryRun"],
        "reason_code": stack.jobs["a"].reason_code,
        "comment": stack.jobs["a"].comment,
        "response": stack.responses[-1]["Status"] if stack.responses else None,
    }


def two_jobs(stack: Stack) -> None:
    stack.create({"a": job(running=1), "b": job(), "other": job()})


@pytest.mark.parametrize(("cancel", "environment", "expected"), REQUESTS, ids="-".join)
def test_a_key_of_a_request_has_its_effect(
    cancel: dict[str, Any], environment: dict[str, str], expected: dict[str, Any], stack: Stack
) -> None:
    stack.deploy(**environment)
    two_jobs(stack)
    assert observed(stack, stack.invoke({"cancel": cancel})).items() >= expected.items()
    assert stack.responses == []


@pytest.mark.parametrize(
    ("properties", "environment", "expected"),
    [
        *((as_properties(request), *rest) for request, *rest in REQUESTS if all(map(REQUEST_KEYS.get, request))),
        *PROPERTIES,
    ],
    ids="-".join,
)
def test_a_property_has_its_effect(
    properties: dict[str, Any], environment: dict[str, str], expected: dict[str, Any], stack: Stack
) -> None:
    stack.deploy(**environment)
    two_jobs(stack)
    physical_id = properties.get("JobId", f"select:{STACK_UUID}/Teardown")
    report = stack.invoke(stack.request("Delete", physical_id, **properties))
    assert observed(stack, report).items() >= expected.items()


FLEET = {
    "ota-old": job(),
    "ota-new": job(created_hours_ago=1),
    "ota-touched": job(updated_hours_ago=1),
    "ota-scheduled": job(status="SCHEDULED"),
    "ota-continuous": job(target_selection="CONTINUOUS"),
    "ota-group": job(targets=("arn:aws:iot:eu-west-1:123456789012:thinggroup/fleet-a",)),
    "ota-tagged": job(tags={"env": "dev"}),
}


SELECTIONS: list[tuple[dict[str, Any], set[str]]] = [
    ({"jobIdGlob": "ota-n*"}, {"ota-new"}),
    ({"jobIdGlob": "*", "excludeJobIdGlobs": ["ota-n*", "*d", "*us"]}, {"ota-group"}),
    ({"jobIdGlob": "*", "status": ["SCHEDULED"]}, {"ota-scheduled"}),
    ({"jobIdGlob": "ota-?*d", "status": ["IN_PROGRESS"]}, {"ota-old", "ota-touched", "ota-tagged"}),
    ({"jobIdGlob": "ota-?e*", "olderThanHours": 0.5}, {"ota-new"}),
    ({"jobIdGlob": "ota-t*", "olderThanHours": 72}, {"ota-touched", "ota-tagged"}),
    ({"jobIdGlob": "ota-t*", "olderThanHours": 72, "ageFrom": "createdAt"}, {"ota-touched", "ota-tagged"}),
    ({"jobIdGlob": "ota-t*", "olderThanHours": 72, "ageFrom": "lastUpdatedAt"}, {"ota-tagged"}),
    ({"jobIdGlob": "ota-?o*", "targetSelection": ["SNAPSHOT"]}, {"ota-touched"}),
    ({"jobIdGlob": "ota-?o*", "targetSelection": ["CONTINUOUS"]}, {"ota-continuous"}),
    ({"thingGroupName": "fleet-a"}, {"ota-group"}),
    ({"tags": {"env": "dev"}}, {"ota-tagged"}),
]


@pytest.mark.parametrize(("select", "expected"), SELECTIONS, ids=lambda value: "-".join(sorted(value)))
def test_a_key_of_a_selection_has_its_effect(select: dict[str, Any], expected: set[str], stack: Stack) -> None:
    stack.create(FLEET)
    report = stack.invoke({"cancel": {"select": select, "dryRun": True}})
    assert (report["status"], {each["jobId"] for each in report["jobs"]}) == ("SETTLED", expected)
    stack.invoke(stack.request("Delete", f"select:{STACK_UUID}/Teardown", Select=as_property(select)))
    assert set(stack.canceled) == expected


def test_select_of_a_teardown_covers_continuous_jobs_too(stack: Stack) -> None:
    stack.create(FLEET)
    stack.invoke(stack.request("Delete", f"select:{STACK_UUID}/Teardown", Select={"JobIdGlob": "ota-*ou*"}))
    assert set(stack.canceled) == {"ota-continuous", "ota-group", "ota-touched"}


def test_there_are_no_other_keys(stack: Stack) -> None:
    schema = SCHEMAS["request"]
    assert list(schema["properties"]) == ["cancel", "canceler"]
    assert list(schema["$defs"]["cancel"]["properties"]) == list(REQUEST_KEYS)
    assert list(schema["$defs"]["select"]["properties"]) == list(SELECT_KEYS)
    assert {key for request, *_ in REQUESTS for key in request} == REQUEST_KEYS.keys()
    assert {key for select, _ in SELECTIONS for key in select} == SELECT_KEYS.keys()
    # A Create with an unknown property is rejected, and the reason lists the known ones.
    report = stack.invoke(stack.request("Create", JobId="a", Unknown="x"))
    assert report["status"] == "REJECTED"
    listed = {*filter(None, REQUEST_KEYS.values()), *OTHER_PROPERTIES, "Unknown"}
    assert set(re.findall(r"\b[A-Z]\w+", report["reason"])) == listed


# The response to CloudFormation

RESPONSE_KEYS = {
    *("Status", "Reason", "PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId", "Data", "NoEcho"),
}
SELECTED = "select:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown"
FAILED_CREATE = "failed-create:5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f/Teardown"
GLOB = {"JobIdGlob": "a"}

# Request type, its PhysicalResourceId and properties → Status, PhysicalResourceId and what Fn::GetAtt returns
RESPONSES: list[tuple[str, str | None, dict[str, Any], str, str, dict[str, str]]] = [
    ("Create", None, {"JobId": "a"}, "SUCCESS", "a", {"JobId": "a", "Force": "false"}),
    ("Create", None, {"Select": GLOB}, "SUCCESS", SELECTED, {"Force": "false"}),
    ("Create", None, {"JobId": "a b"}, "FAILED", FAILED_CREATE, {}),
    ("Update", "a", {"JobId": "b"}, "SUCCESS", "b", {"JobId": "b", "Force": "false"}),
    ("Update", "a", {"Select": GLOB}, "SUCCESS", SELECTED, {"Force": "false"}),
    ("Update", SELECTED, {"JobId": "a"}, "SUCCESS", "a", {"JobId": "a", "Force": "false"}),
    ("Update", "a", {"JobId": "a b"}, "FAILED", "a", {}),
    ("Delete", "a", {"JobId": "a"}, "SUCCESS", "a", {"JobId": "a", "Force": "false"}),
    ("Delete", SELECTED, {"Select": GLOB}, "SUCCESS", SELECTED, {"Force": "false"}),
    ("Delete", FAILED_CREATE, {"JobId": "a b"}, "SUCCESS", FAILED_CREATE, {}),
    ("Delete", "firmware-dev-Teardown-1ABCDEFGHIJKL", {}, "SUCCESS", "firmware-dev-Teardown-1ABCDEFGHIJKL", {}),
]


@pytest.mark.parametrize(("request_type", "physical_id", "properties", "status", "returned_id", "data"), RESPONSES)
def test_a_response_has_its_id_and_its_attributes(
    request_type: str,
    physical_id: str | None,
    properties: dict[str, Any],
    status: str,
    returned_id: str,
    data: dict[str, str],
    stack: Stack,
) -> None:
    stack.invoke(stack.request(request_type, physical_id, **properties))
    (response,) = stack.responses
    assert set(response) == RESPONSE_KEYS
    assert (response["Status"], response["PhysicalResourceId"], response["Data"]) == (status, returned_id, data)


# Messages of the stack's own queues. They stay for days, so a release reads messages of the release before.

# Request, existing job "a", environment of the function, seconds of the invocation → message attributes. The
# clock stands at 1795521600 seconds since the epoch.
SENT: list[tuple[dict[str, Any], Any, dict[str, str], float, dict[str, str]]] = [
    ({"select": {"jobIdGlob": "a"}}, job(), {}, 7.5, {"FirstSeenAt": "1795521600.000"}),
    ({"jobIds": ["a", "b"]}, job(), {}, 7.5, {"FirstSeenAt": "1795521600.000", "Admitted": "true"}),
    (
        {"jobIds": ["b", "a", "c"], "waitForExecutionsMinutes": 12},
        job(running=1),
        {},
        300,
        {
            "FirstSeenAt": "1795521600.000",
            "Admitted": "true",
            "WaitsFor": "b,a",
            "WaitsSince": "1795521600.000",
        },
    ),
    (
        {"jobId": "a", "waitForExecutionsMinutes": 12},
        job("CANCELED", queued=1),
        {"FORCE": "true"},
        300,
        {
            "FirstSeenAt": "1795521600.000",
            "Admitted": "true",
            "WaitsFor": "a",
            "WaitsSince": "1795521600.000",
            "WaitsWithForce": "true",
        },
    ),
]


def test_an_unfinished_plan_is_sent_with_its_jobs(stack: Stack) -> None:
    stack.create({"a": job(), "b": job(), "other": job()})
    cancel = {"select": {"jobIdGlob": "?"}}
    plan_id = stack.invoke({"cancel": cancel | {"dryRun": True}})["planId"]
    stack.before_each_iot_call(failing("CancelJob", throttled))
    stack.invoke({"cancel": cancel | {"planId": plan_id}})
    (message,) = stack.sent
    assert message.attributes["Planned"] == {"DataType": "String", "StringValue": "b,a"}


@pytest.mark.parametrize(("cancel", "existing", "environment", "seconds", "attributes"), SENT)
def test_an_unfinished_event_is_sent_unchanged_with_its_attributes(
    cancel: dict[str, Any],
    existing: Any,
    environment: dict[str, str],
    seconds: float,
    attributes: dict[str, str],
    stack: Stack,
) -> None:
    stack.deploy(**environment)
    stack.create({"a": existing, "b": job(running=1), "c": job()})
    stack.invoke(request_event(cancel), seconds)
    (message,) = stack.sent
    assert json.loads(message.body) == request_event(cancel)
    assert message.attributes == {
        name: {"DataType": "String", "StringValue": text} for name, text in {"Format": "1", **attributes}.items()
    }


def test_an_unfinished_teardown_is_sent_unchanged_in_the_group_of_its_request(stack: Stack) -> None:
    stack.create({"a": job(running=1)})
    event = stack.request("Delete", "a", JobId="a", WaitForExecutionsMinutes="12")
    stack.invoke(event)
    (message,) = stack.sent
    assert json.loads(message.body) == event
    assert message.group == "1c06a8a60b295af2474c4acfd7ba1397aafa4b31f82379a7dedb68635f02d771"
    assert message.attributes == {
        "Format": {"DataType": "String", "StringValue": "1"},
        "FirstSeenAt": {"DataType": "String", "StringValue": "1795521600.000"},
        "Admitted": {"DataType": "String", "StringValue": "true"},
        "WaitsFor": {"DataType": "String", "StringValue": "a"},
        "WaitsSince": {"DataType": "String", "StringValue": "1795521600.000"},
    }
