"""Each trigger undisturbed: the calls that the matrix is enumerated over, and the ends that it is held against."""

import pytest

from tests.faults.injection import EVENTS, SQS
from tests.faults.matrix import NewWorld, as_ever, whatever_happens
from tests.faults.scenarios import SCENARIOS
from tests.support.aws_lambda import Due

WAYS = [(name, later) for name, scenario in SCENARIOS.items() for later in (False, True) if scenario.later or not later]


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_the_calls_of_an_undisturbed_run_are_those_of_the_table_and_all_ends_as_it_says(
    name: str, later: bool, new_world: NewWorld
) -> None:
    scenario = SCENARIOS[name]
    world = new_world(scenario)
    world.busy, world.struck = int(later), True
    world.run(Due(0, scenario.event))
    assert world.calls == [point.operation for point in scenario.points(later=later)]
    assert [*whatever_happens(world, scenario), *as_ever(world, scenario)] == []


@pytest.mark.parametrize("name", ["Create", "Update"])
def test_create_and_update_call_nobody_but_cloudformation_and_the_bus(name: str, new_world: NewWorld) -> None:
    world = new_world(SCENARIOS[name])
    world.run(Due(0, SCENARIOS[name].event))
    assert world.calls == ["PUT", "PutEvents"]
    assert world.backend.calls == []


def test_every_call_that_the_function_can_make_is_a_point_of_failure_somewhere() -> None:
    operations = {point.operation for name, later in WAYS for point in SCENARIOS[name].points(later=later)}
    assert operations == {
        *("CancelJob", "DescribeJob", "ListJobs", "ListTagsForResource", "ListJobExecutionsForJob"),
        *("CancelJobExecution", "PUT", *SQS, *EVENTS),
    }
