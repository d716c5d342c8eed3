"""bench/RESULTS.md has the text, columns and goals that the current benchmark writes."""

import re

import pytest

from bench import arrivals, growth, scale, startup, teardowns, throughput, warm
from bench.arrivals import Arrival
from bench.growth import Growth
from bench.page import Section
from bench.startup import Start
from bench.teardowns import Teardown
from bench.throughput import Throughput
from bench.warm import Warm
from tests.support.template import ROOT

PAGE = (ROOT / "bench" / "RESULTS.md").read_text()
STARTS = [Start("an event", 1, 1, 1.0), Start("a deletion", 1, 1, 1.0)]
GROWN = [Growth(kind, listed, {"ListJobs": 1}, 0, 1, 1, 0) for kind in growth.KINDS for listed in growth.LISTED]
SECTIONS = [
    startup.section(STARTS),
    warm.section(Warm(*[1.0] * 4)),
    throughput.section([Throughput(name, 0.02, [1.0], [0.0], 0) for name in throughput.PROGRAMS]),
    growth.section(GROWN),
    arrivals.section([Arrival("cold", 1.0, 1.0, 1.0)]),
    teardowns.section(
        [Teardown(kind, jobs, [1.0], 1.0, 0, 0) for kind in teardowns.KINDS for jobs in teardowns.ROUNDS]
    ),
    scale.section(),
]


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: section.title)
def test_the_page_has_the_text_the_columns_and_the_goals_of_each_section(section: Section) -> None:
    _, _, text = PAGE.partition(f"\n## {section.title}\n")
    assert section.parts[0].strip() in text
    assert section.parts[1].partition("\n")[0] in text
    for goal in section.goals:
        assert f"\n| {goal.what} | {goal.wanted} | " in PAGE


def test_the_page_has_the_current_model_of_a_fleet() -> None:
    assert scale.section().parts[1] in PAGE


def test_each_missed_goal_has_a_reason() -> None:
    missed = re.findall(r"^\| (.+?) \| .+ \| \*\*no\*\* \|$", PAGE, re.MULTILINE)
    assert missed == re.findall(r"^Not met: (.+?)\. In the way: .+\.$", PAGE, re.MULTILINE)
