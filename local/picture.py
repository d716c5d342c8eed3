"""`make picture`: the stack's dashboard with the figures of a demonstration, as docs/dashboard.svg."""

from datetime import timedelta
from functools import partial

from . import demo, sam
from .aws import REGION, LocalAws
from .dashboard import read_source
from .drawing import PERIOD, draw
from .metrics import points, values_in
from .reports import FunctionLog
from .screen import Screen
from .stacks import outputs

PATH = sam.ROOT / "docs" / "dashboard.svg"


def play(screen: Screen) -> int:
    """Play the demonstration, and draw what CloudWatch would show of it."""
    return demo.run(screen, before_the_end=partial(_draw, screen))


def _draw(screen: Screen, aws: LocalAws) -> None:
    with screen.step(f"Draw the deployed dashboard to {PATH.relative_to(sam.ROOT)}"):
        cloudwatch, stack = aws.client("cloudwatch"), outputs(aws, sam.STACK_NAME)
        log = FunctionLog(aws, stack["LogGroupName"])
        values = list(values_in(log.timed_lines(), stack["FunctionName"]))
        since = min(each.at for each in values) - timedelta(seconds=1)
        seconds = (max(each.at for each in values) - since).total_seconds()
        widgets = read_source(cloudwatch.get_dashboard(DashboardName=f"{sam.STACK_NAME}-{REGION}")["DashboardBody"])
        data = {
            line: points(values, line.metric, line.statistic, since, PERIOD)
            for widget in widgets
            for line in widget.lines
        }
        states = {each["AlarmArn"]: each["StateValue"] for each in cloudwatch.describe_alarms()["MetricAlarms"]}
        PATH.write_text(draw(widgets, data, states, seconds))
