"""Each trigger undisturbed: the calls that the matrix is enumerated over, and the ends that it is held against."""

import pytest

from tests.faults.injection import EVENTS, SQS
from tests.faults.matrix import NewWorld, as_ever, whatever_happens
from tests.faults.scenarios import SCENARIOS
from tests.support.aws_lambda import Due

WAYS = [(name, later) for name, scenario in SCENARIOS.items() for later in (False, True) if scenario.later or not later]


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_undisturbed_run_makes_the_listed_calls(name: str, later: bool, new_world: NewWorld) -> None:
    scenario = SCENARIOS[name]
    world = new_world(scenario)
    world.busy, world.struck = int(later), True
    world.run(Due(0, scenario.event))
    assert world.calls == [point.operation for point in scenario.points(later=later)]
    assert [*whatever_happens(world, scenario), *as_ever(world, scenario)] == []


def test_every_operation_is_a_point_of_failure() -> None:
    operations = {point.operation for name, later in WAYS for point in SCENARIOS[name].points(later=later)}
    assert operations == {
        *("CancelJob", "DescribeJob", "ListJobs", "ListTagsForResource", "ListJobExecutionsForJob"),
        *("CancelJobExecution", "PUT", *SQS, *EVENTS),
    }
