"""`make picture`: draw docs/run.svg, the output of the demonstration, and docs/dashboard.svg, its dashboard."""

import re
from datetime import timedelta
from functools import partial

from rich.console import Console

from tools.localaws import sam
from tools.localaws.aws import REGION, LocalAws
from tools.localaws.reports import FunctionLog
from tools.localaws.stacks import outputs
from tools.screen import Screen

from . import demonstration
from .dashboard import read_source
from .drawing import PERIOD, draw
from .metrics import points, values_in

DASHBOARD = sam.ROOT / "docs" / "dashboard.svg"
RUN = sam.ROOT / "docs" / "run.svg"
_FONT_OR_COMMENT = re.compile(r"@font-face \{.*?\}|<!--.*?-->", re.DOTALL)


def run(screen: Screen) -> int:
    """Run the demonstration, draw its dashboard, and draw its output if every result is as expected."""
    console = Console(record=True, highlight=False)
    exit_code = demonstration.run(Screen(console), before_stop=partial(_draw, screen))
    if exit_code == 0:
        RUN.write_text(svg_of(console, "make run"))
    return exit_code


def svg_of(console: Console, title: str) -> str:
    """Return the recorded output of `console` as the picture of a terminal, without references to other hosts."""
    svg = console.export_svg(title=title, unique_id="run")
    return "\n".join(line.rstrip() for line in _FONT_OR_COMMENT.sub("", svg).splitlines() if line.strip()) + "\n"


def _draw(screen: Screen, aws: LocalAws) -> None:
    with screen.step(f"Draw the deployed dashboard to {DASHBOARD.relative_to(sam.ROOT)}"):
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
        DASHBOARD.write_text(draw(widgets, data, states, seconds))
