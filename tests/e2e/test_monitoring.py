"""Dashboard, alarms and the saved query as they are deployed, on what the function really logs."""

import json
import re
import time

from tests.e2e.conftest import Canceler
from tests.support.template import load_template
from tools.demo.dashboard import read_source
from tools.demo.metrics import Metric, values_in
from tools.polling import wait_for

QUERY: str = load_template()["Resources"]["WhoCancelled"]["Properties"]["QueryString"]


def test_the_dashboard_watches_this_stacks_function_and_queues(canceler: Canceler) -> None:
    source = canceler.aws.client("cloudwatch").get_dashboard(DashboardName="iot-job-canceler-eu-central-1")
    metrics = {line.metric for widget in read_source(source["DashboardBody"]) for line in widget.lines}
    watched = {value for metric in metrics for name, value in metric.dimensions if name != "trigger"}
    urls = [value for name, value in canceler.outputs.items() if name.endswith("QueueUrl")]
    queues = {url.rpartition("/")[2] for url in urls}
    assert len(queues) == 4
    assert watched == {"iot-job-canceler", canceler.function_name, *queues}


def test_an_alarm_of_each_stack_watches_a_metric_that_its_function_emits(canceler: Canceler) -> None:
    canceler.invoke({"cancel": {}})
    alarms = canceler.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="iot-job-canceler/")["MetricAlarms"]
    (alarm,) = [each for each in alarms if each["AlarmName"].endswith("/RunsRejected")]
    dimensions = frozenset((each["Name"], each["Value"]) for each in alarm["Dimensions"])
    metric = Metric(alarm["Namespace"], alarm["MetricName"], dimensions)

    def told() -> float | None:
        values = values_in(canceler.log.timed_lines(), canceler.function_name)
        return sum(each.value for each in values if each.metric == metric) or None

    assert wait_for("a rejected run among the metrics", told, seconds=30) > alarm["Threshold"]


def test_the_saved_query_finds_who_cancelled_a_job(canceler: Canceler) -> None:
    """The local Logs Insights filters and sorts, and does not parse: that is done here."""
    job_id, other = canceler.job("who"), canceler.job("whose")
    canceler.triggers.create_stack_of(job_id)
    canceler.triggers.delete_stack_of(job_id)
    canceler.triggers.request({"jobIds": [job_id, other], "comment": "too late"})
    canceler.report_on(other)
    query = QUERY.replace("{{jobId}}", job_id)
    logs = canceler.aws.client("logs")
    now = int(time.time())
    started = logs.start_query(
        logGroupName=canceler.outputs["LogGroupName"], startTime=now - 600, endTime=now + 60, queryString=query
    )
    results = logs.get_query_results(queryId=started["queryId"])["results"]
    lines = [{field["field"]: field["value"] for field in row}["@message"] for row in results]
    (parse,) = re.findall(r"parse @message /(.*)/$", query, re.MULTILINE)
    outcomes = [found["outcome"] for line in lines if (found := re.search(parse.replace("(?<", "(?P<"), line))]
    told = [json.loads(line) for line in lines]
    assert outcomes == ["CANCELED", "ALREADY_CANCELED"]
    assert [each["reason_code"] for each in told] == ["STACK_TEARDOWN", "EVENT_REMEDIATION"]
    assert f"stack/stack-of-{job_id}/" in told[0]["asked_by"]
    assert told[1]["asked_by"].endswith(" from fleet.operations")
    assert told[1]["comment"] == "too late"
