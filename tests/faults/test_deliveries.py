"""Every trigger, at every point of failure, delivered as AWS does: twice, late, out of order, concurrently.

With the fault that leaves the function least to know by, a kill after the service acted; and with none, where a
delivery in the middle of a call is what happens. nightly/test_deliveries.py has an answer that is lost. test_passing.py
has every other fault, with a plain delivery.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.faults.injection import KILLED, NOTHING, Fault
from tests.faults.matrix import (
    OTHER_REQUEST_ID,
    REQUEST_IDS,
    NewWorld,
    as_ever,
    combinations,
    name_of,
    whatever_happens,
)
from tests.faults.scenarios import SCENARIOS, Point, Scenario
from tests.faults.tally import Tally
from tests.faults.world import OTHER_ID, World
from tests.support.aws_lambda import Due
from tools.simulators.events import cancel_event


def once(scenario: Scenario) -> list[Due]:
    return [Due(0, scenario.event)]


def twice(scenario: Scenario) -> list[Due]:
    return [Due(0, scenario.event), Due(0, scenario.event)]


def twice_the_second_late(scenario: Scenario) -> list[Due]:
    """Later than leases last, and than SQS knows what it was sent; but as long as CloudFormation listens."""
    return [Due(0, scenario.event), Due(700 if scenario.is_teardown else 5 * 3600, scenario.event)]


def with_another_request_id(event: dict[str, Any]) -> dict[str, Any]:
    """The operator deletes the stack again while a first request is carried out."""
    return event | {"RequestId": OTHER_REQUEST_ID, "ResponseURL": event["ResponseURL"].replace("/answer", "/other")}


def with_another_in_between(scenario: Scenario) -> list[Due]:
    """Somebody else wants the same jobs cancelled, before anything is tried again."""
    job_ids = list(scenario.jobs) or ["firmware"]
    return [Due(0, scenario.event), Due(1, cancel_event(jobIds=job_ids) | {"id": OTHER_ID})]


# What the jobs may bear then. A selection does not wait for the devices of jobs that somebody else has cancelled.
TOLD_BY_ANOTHER = ("EVENT_REMEDIATION", "Requested by event other from fleet.console")
DOES_NOT_WAIT = {"Delete of a selection that waits", "request of a selection that waits"}


@dataclass(frozen=True)
class Deliveries:
    """How events arrive: those of `make`, and once more in the `middle` of the call that the fault strikes.

    `points` is how many points of failure there are, over all triggers. `other_request`: what arrives in the middle is
    a request of CloudFormation with another RequestId and another ResponseURL. Only teardowns have that.
    """

    make: Callable[[Scenario], list[Due]]
    points: int
    middle: str = ""
    message_late: bool = False
    other_request: bool = False

    def happens_to(self, scenario: Scenario) -> bool:
        """True if a trigger can arrive in this way."""
        return (bool(scenario.later) or not self.message_late) and (scenario.is_teardown or not self.other_request)

    def world(self, new_world: NewWorld, trigger: str, fault: Fault | None = None, at: int = 0) -> World:
        """All is over in it."""
        scenario = SCENARIOS[trigger]
        world = new_world(scenario)
        world.fault, world.at, world.struck = fault, at, fault is None
        world.busy, world.late = int(self.message_late), self.message_late
        again = with_another_request_id(scenario.event) if self.other_request else scenario.event
        world.before += [again] if self.middle == "before it acts" else []
        world.after += [again] if self.middle == "after it acted" else []
        if self.make is with_another_in_between and trigger in DOES_NOT_WAIT:
            world.waits = False
        world.run(*self.make(scenario))
        return world


DELIVERIES: dict[str, Deliveries] = {
    "twice": Deliveries(twice, 261),
    "twice, the second one late": Deliveries(twice_the_second_late, 247),
    "another one in between": Deliveries(with_another_in_between, 225),
    "a message once its lease has ended": Deliveries(once, 202, message_late=True),
    "once more in the middle of a call, before it acts": Deliveries(once, 162, middle="before it acts"),
    "once more in the middle of a call, after it acted": Deliveries(once, 162, middle="after it acted"),
    "with another RequestId in the middle of a call, before it acts": Deliveries(
        once, 83, middle="before it acts", other_request=True
    ),
    "with another RequestId in the middle of a call, after it acted": Deliveries(
        once, 83, middle="after it acted", other_request=True
    ),
}


def assert_as_if_delivered_once(name: str, faults: Sequence[Fault], new_world: NewWorld, tally: Tally) -> None:
    """Each of these faults, at each point of every trigger that is delivered so."""
    deliveries = DELIVERIES[name]
    for trigger, known in SCENARIOS.items():
        if not deliveries.happens_to(known):
            continue
        scenario = replace(known, also_told=TOLD_BY_ANOTHER) if deliveries.make is with_another_in_between else known
        points = [Point(operation, "") for operation in deliveries.world(new_world, trigger).calls]
        for at, point, fault in combinations(points, faults):
            world = deliveries.world(new_world, trigger, fault, at)
            wrong = [*whatever_happens(world, scenario), *as_ever(world, scenario)]
            if deliveries.other_request and {each.body["RequestId"] for each in world.answers} != REQUEST_IDS:
                wrong.append("one of the two requests got no response")
            tally.add(trigger, f"{name}: {name_of(at, point)}", str(fault), wrong)
    tally.assert_nothing_lost()
    assert tally.number == deliveries.points * len(faults)


@pytest.mark.parametrize("name", DELIVERIES)
def test_repeated_delivery_does_not_change_the_result(name: str, new_world: NewWorld, tally: Tally) -> None:
    faults = (NOTHING, KILLED) if DELIVERIES[name].middle else (KILLED,)
    assert_as_if_delivered_once(name, faults, new_world, tally)
