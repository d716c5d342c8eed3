"""The deployed dashboard and alarms, with what the function logs."""

from tests.e2e.conftest import Canceler
from tools.demo.dashboard import read_source
from tools.demo.metrics import Metric, values_in
from tools.polling import wait_for


def test_the_dashboard_shows_the_function_and_queues_of_its_stack(canceler: Canceler) -> None:
    source = canceler.aws.client("cloudwatch").get_dashboard(DashboardName="iot-job-canceler-eu-central-1")
    metrics = {line.metric for widget in read_source(source["DashboardBody"]) for line in widget.lines}
    watched = {value for metric in metrics for name, value in metric.dimensions if name != "trigger"}
    urls = [value for name, value in canceler.outputs.items() if name.endswith("QueueUrl")]
    queues = {url.rpartition("/")[2] for url in urls}
    assert len(queues) == 4
    assert watched == {"iot-job-canceler", canceler.function_name, *queues}


def test_an_alarm_watches_a_metric_of_its_stack(canceler: Canceler) -> None:
    canceler.invoke({"cancel": {}})
    alarms = canceler.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix="iot-job-canceler/")["MetricAlarms"]
    (alarm,) = [each for each in alarms if each["AlarmName"].endswith("/RunsRejected")]
    dimensions = frozenset((each["Name"], each["Value"]) for each in alarm["Dimensions"])
    metric = Metric(alarm["Namespace"], alarm["MetricName"], dimensions)

    def emitted() -> float | None:
        values = values_in(canceler.log.timed_lines(), canceler.function_name)
        return sum(each.value for each in values if each.metric == metric) or None

    assert wait_for("a rejected run among the metrics", emitted, seconds=30) > alarm["Threshold"]
