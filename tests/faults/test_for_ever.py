"""Every trigger, at every point of failure, with a fault without an end: it is told, or in a failure queue.

A message comes 4 times here, not 100, and that of a teardown 12 times: its ServiceTimeout ends before that.
"""

import pytest

from tests.faults.injection import DENIED, KILLED, LOST, PAUSED, UNAVAILABLE, Fault, for_ever
from tests.faults.matrix import (
    NewWorld,
    as_ever,
    combinations,
    heard_by_cloudformation,
    name_of,
    played,
    whatever_happens,
)
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.tally import Tally
from tests.faults.world import World
from tests.support.aws_lambda import Due

RECEIVES = {False: 4, True: 12}  # of an event, and of a teardown
SERVICE_TIMEOUT = {False: 300, True: 480}  # seconds, without a wait for devices and with one
FAULTS = tuple(map(for_ever, (UNAVAILABLE, LOST, DENIED, KILLED, PAUSED)))

TOLD, QUEUE, AS_EVER = "told", "failure queue", "as ever"
# The message of a look at the devices is leased for 310 s, so that a kill leaves no time for an answer.
TOO_LATE = "told once CloudFormation has given up"
# How it may end: 503, answer lost, denied, killed, status PAUSED; a row of its own for a point whose refusal changes
# nothing (Scenario.calls). "As ever" is where the job has ended, or another way is found: a cancelled job is not
# selected any more, and a message need not be sent once the devices are done.
OF_EVENTS: dict[str, tuple[set[str], ...]] = {
    "CancelJob": ({QUEUE}, {QUEUE, AS_EVER}, {TOLD}, {QUEUE, AS_EVER}),
    "CancelJob/-": ({QUEUE}, {QUEUE}, {AS_EVER}, {QUEUE}),
    "CancelJobExecution": ({QUEUE}, {AS_EVER}, {TOLD}, {AS_EVER}),
    "ChangeMessageVisibility": ({QUEUE}, {QUEUE}, {QUEUE}, {QUEUE}),
    "DescribeJob": ({QUEUE, AS_EVER}, {QUEUE, AS_EVER}, {TOLD}, {QUEUE, AS_EVER}, {QUEUE, AS_EVER}),
    "DescribeJob/-": ({QUEUE}, {QUEUE}, {AS_EVER}, {QUEUE}, {QUEUE, AS_EVER}),
    "ListJobExecutionsForJob": ({QUEUE}, {QUEUE}, {TOLD}, {QUEUE}),
    "ListJobs": ({QUEUE}, {QUEUE}, {TOLD}, {QUEUE}),
    "ListJobs/-": ({QUEUE}, {QUEUE}, {QUEUE}, {QUEUE}),
    "ListTagsForResource": ({QUEUE}, {QUEUE}, {TOLD}, {QUEUE}),
    "ListTagsForResource/-": ({QUEUE}, {QUEUE}, {AS_EVER}, {QUEUE}),
    "SendMessage": ({AS_EVER}, {AS_EVER}, {AS_EVER}, {AS_EVER}),
    "PutEvents": ({AS_EVER}, {AS_EVER}, {AS_EVER}, {QUEUE}),
}
OF_TEARDOWNS: dict[str, tuple[set[str], ...]] = {
    "CancelJob": ({TOLD}, {TOLD, AS_EVER}, {TOLD}, {QUEUE, AS_EVER}),
    "CancelJob/-": ({TOLD}, {TOLD}, {AS_EVER}, {QUEUE}),
    "CancelJobExecution": ({TOLD}, {AS_EVER}, {TOLD}, {AS_EVER}),
    "ChangeMessageVisibility": ({QUEUE}, {QUEUE}, {QUEUE}, {QUEUE}),
    "DescribeJob": ({TOLD, AS_EVER}, {TOLD, AS_EVER}, {TOLD}, {QUEUE, AS_EVER, TOO_LATE}, {TOLD, AS_EVER}),
    "DescribeJob/-": ({TOLD}, {TOLD}, {TOLD}, {QUEUE, TOO_LATE}, {TOLD, AS_EVER}),
    "ListJobExecutionsForJob": ({TOLD}, {TOLD}, {TOLD}, {QUEUE}),
    "ListJobs": ({TOLD}, {TOLD}, {TOLD}, {QUEUE, TOO_LATE}),
    "ListTagsForResource": ({TOLD}, {TOLD}, {TOLD}, {QUEUE}),
    "SendMessage": ({AS_EVER}, {AS_EVER}, {TOLD}, {AS_EVER}),
    "PUT": ({QUEUE}, {QUEUE}, {QUEUE}, {QUEUE}),
    "PutEvents": ({AS_EVER}, {AS_EVER}, {AS_EVER}, {QUEUE}),
}


def end_of(world: World, scenario: Scenario) -> str:
    """How it ended, in a word; empty if silently."""
    if world.failed:
        return QUEUE if all(event == scenario.event for event in world.failed) else ""
    if not as_ever(world, scenario):
        return AS_EVER
    if world.levels[-1] != "WARNING" or world.reports[-1]["status"] not in {"UNSETTLED", "REJECTED"}:
        return ""
    if not scenario.is_teardown:
        return TOLD
    status = "SUCCESS" if scenario.continues else "FAILED"
    heard = [(told["Status"], told["Reason"] != "") for told in heard_by_cloudformation(world, scenario)]
    return {((status, True),): TOLD, (): TOO_LATE}.get(tuple(heard), "")


@pytest.mark.parametrize("name", SCENARIOS)
def test_permanent_fault_is_reported_or_ends_in_a_failure_queue(name: str, new_world: NewWorld, tally: Tally) -> None:
    known = SCENARIOS[name]
    scenario = known.answered_within(SERVICE_TIMEOUT[bool(known.reports_at)])
    ends = OF_TEARDOWNS if scenario.is_teardown else OF_EVENTS
    for at, point, fault in combinations(scenario.points(later=False), FAULTS):
        world = played(new_world, scenario, fault, at, receives=RECEIVES[scenario.is_teardown])
        wrong = whatever_happens(world, scenario)
        end = end_of(world, scenario)
        row = ends.get(f"{point.operation}/{point.refused}", ends[point.operation])
        if end not in row[FAULTS.index(fault)]:
            wrong.append(f"ended: {end or 'in silence'}")
        tally.add(name, name_of(at, point), str(fault), wrong)
    tally.assert_nothing_lost()


TEARDOWNS = [name for name, scenario in SCENARIOS.items() if scenario.is_teardown and scenario.later]


@pytest.mark.parametrize("name", TEARDOWNS)
@pytest.mark.parametrize("fault", [for_ever(UNAVAILABLE), for_ever(DENIED)], ids=str)
def test_teardown_gets_a_response_though_its_queue_stays_unavailable(
    name: str, fault: Fault, new_world: NewWorld
) -> None:
    """As many of Lambda's deliveries as there are: the service is out of reach in each, and its queue too."""
    world = new_world(SCENARIOS[name])
    world.fault, world.at, world.busy, world.sqs.max_receive_count = fault, 1, 99, 12
    world.run(Due(0, SCENARIOS[name].event))
    assert (whatever_happens(world, SCENARIOS[name]), end_of(world, SCENARIOS[name])) == ([], TOLD)
    assert world.calls[0] == "SendMessage"


def test_matrix_has_all_combinations() -> None:
    each = [list(combinations(scenario.points(later=False), FAULTS)) for scenario in SCENARIOS.values()]
    assert sum(map(len, each)) == 688
