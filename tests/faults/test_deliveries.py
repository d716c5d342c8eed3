"""Every trigger, at every point of failure, delivered as AWS does: twice, late, out of order, concurrently.

The fault is a kill after the service acted. A delivery in the middle of a call is also tried without a fault.
nightly/test_deliveries.py tries a lost response. test_temporary_faults.py tries every other fault with one delivery.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.faults.injection import KILLED, NOTHING, Fault
from tests.faults.matrix import (
    OTHER_REQUEST_ID,
    REQUEST_IDS,
    NewSimulation,
    broken_rules,
    changes,
    combinations,
    name_of,
)
from tests.faults.scenarios import SCENARIOS, Point, Scenario
from tests.faults.simulation import OTHER_ID, Simulation
from tests.faults.tally import Tally
from tests.support.aws_lambda import Due
from tools.simulators.events import cancel_event


def once(scenario: Scenario) -> list[Due]:
    return [Due(0, scenario.event)]


def twice(scenario: Scenario) -> list[Due]:
    return [Due(0, scenario.event), Due(0, scenario.event)]


def twice_and_late(scenario: Scenario) -> list[Due]:
    """The second one after the visibility timeout and the deduplication, but within the ServiceTimeout."""
    return [Due(0, scenario.event), Due(700 if scenario.is_teardown else 5 * 3600, scenario.event)]


def with_another_request_id(event: dict[str, Any]) -> dict[str, Any]:
    """Return the request of a second deletion during the first one."""
    return event | {"RequestId": OTHER_REQUEST_ID, "ResponseURL": event["ResponseURL"].replace("/response", "/other")}


def with_another_request(scenario: Scenario) -> list[Due]:
    """Another caller requests the same jobs before the first retry."""
    job_ids = list(scenario.jobs) or ["firmware"]
    return [Due(0, scenario.event), Due(1, cancel_event(jobIds=job_ids) | {"id": OTHER_ID})]


# The reason that the jobs may have then. A selection does not wait for jobs that another caller canceled.
REASON_OF_ANOTHER = ("EVENT_REMEDIATION", "Requested by event other from fleet.console")
DOES_NOT_WAIT = {"Delete of a selection that waits", "request of a selection that waits"}


@dataclass(frozen=True)
class Deliveries:
    """How events arrive: those of `make`, and again in the `middle` of the call with the fault.

    `points` is how many points of failure there are, over all triggers. `other_request`: what arrives in the middle is
    a request of CloudFormation with another RequestId and another ResponseURL. Only teardowns have that.
    """

    make: Callable[[Scenario], list[Due]]
    points: int
    middle: str = ""
    message_late: bool = False
    other_request: bool = False

    def happens_to(self, scenario: Scenario) -> bool:
        """Return True if a trigger can be delivered in this way."""
        return (bool(scenario.later) or not self.message_late) and (scenario.is_teardown or not self.other_request)

    def simulation(
        self, new_simulation: NewSimulation, trigger: str, fault: Fault | None = None, at: int = 0
    ) -> Simulation:
        """Run the trigger to its end."""
        scenario = SCENARIOS[trigger]
        simulation = new_simulation(scenario)
        simulation.fault, simulation.at, simulation.is_injected = fault, at, fault is None
        simulation.busy, simulation.late = int(self.message_late), self.message_late
        again = with_another_request_id(scenario.event) if self.other_request else scenario.event
        simulation.before += [again] if self.middle == "before it acts" else []
        simulation.after += [again] if self.middle == "after it acted" else []
        if self.make is with_another_request and trigger in DOES_NOT_WAIT:
            simulation.waits = False
        simulation.run(*self.make(scenario))
        return simulation


DELIVERIES: dict[str, Deliveries] = {
    "twice": Deliveries(twice, 304),
    "twice, the second one late": Deliveries(twice_and_late, 290),
    "another request in between": Deliveries(with_another_request, 263),
    "a message after its visibility timeout": Deliveries(once, 242, message_late=True),
    "again in the middle of a call, before it acts": Deliveries(once, 184, middle="before it acts"),
    "again in the middle of a call, after it acted": Deliveries(once, 184, middle="after it acted"),
    "with another RequestId in the middle of a call, before it acts": Deliveries(
        once, 82, middle="before it acts", other_request=True
    ),
    "with another RequestId in the middle of a call, after it acted": Deliveries(
        once, 82, middle="after it acted", other_request=True
    ),
}


# A run whose extension has failed goes on, and cannot know that its message is visible again. Both runs converge.
UNKNOWN_TO_THE_RUN = "the visibility timeout ended while the function worked"


def assert_as_if_delivered_once(
    name: str, faults: Sequence[Fault], new_simulation: NewSimulation, tally: Tally
) -> None:
    """Inject each fault at each point of every trigger that can be delivered this way."""
    deliveries = DELIVERIES[name]
    for trigger, known in SCENARIOS.items():
        if not deliveries.happens_to(known):
            continue
        scenario = replace(known, other_reason=REASON_OF_ANOTHER) if deliveries.make is with_another_request else known
        points = [Point(operation, "") for operation in deliveries.simulation(new_simulation, trigger).calls]
        for at, point, fault in combinations(points, faults):
            simulation = deliveries.simulation(new_simulation, trigger, fault, at)
            wrong = [*broken_rules(simulation, scenario), *changes(simulation, scenario)]
            if deliveries.other_request and {each.body["RequestId"] for each in simulation.responses} != REQUEST_IDS:
                wrong.append("one of the two requests got no response")
            if deliveries.message_late and point.operation == "ChangeMessageVisibility":
                wrong = [each for each in wrong if each != UNKNOWN_TO_THE_RUN]
            tally.add(trigger, f"{name}: {name_of(at, point)}", str(fault), wrong)
    tally.assert_nothing_lost()
    assert tally.number == deliveries.points * len(faults)


@pytest.mark.parametrize("name", DELIVERIES)
def test_repeated_delivery_does_not_change_the_result(name: str, new_simulation: NewSimulation, tally: Tally) -> None:
    faults = (NOTHING, KILLED) if DELIVERIES[name].middle else (KILLED,)
    assert_as_if_delivered_once(name, faults, new_simulation, tally)
