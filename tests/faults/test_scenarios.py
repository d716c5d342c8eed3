"""Each trigger without a fault: the calls that the matrix enumerates, and the results that it expects."""

import pytest

from tests.faults.injection import EVENTS, SQS
from tests.faults.matrix import WAYS, NewSimulation, broken_rules, changes
from tests.faults.scenarios import SCENARIOS
from tests.support.aws_lambda import Due


@pytest.mark.parametrize(("name", "later"), WAYS)
def test_undisturbed_run_makes_the_listed_calls(name: str, later: bool, new_simulation: NewSimulation) -> None:
    scenario = SCENARIOS[name]
    simulation = new_simulation(scenario)
    simulation.busy, simulation.is_injected = int(later), True
    simulation.run(Due(0, scenario.event))
    assert simulation.calls == [point.operation for point in scenario.points(later=later)]
    assert [*broken_rules(simulation, scenario), *changes(simulation, scenario)] == []


def test_every_operation_is_a_point_of_failure() -> None:
    operations = {point.operation for name, later in WAYS for point in SCENARIOS[name].points(later=later)}
    assert operations == {
        *("CancelJob", "DescribeJob", "ListJobs", "ListTagsForResource", "ListJobExecutionsForJob"),
        *("CancelJobExecution", "PUT", *SQS, *EVENTS),
    }
