"""Every trigger, at every point of failure, with a permanent fault: it is reported, or the event is in a failure queue.

A message is received 4 times here, not 100, and that of a teardown 12 times: its ServiceTimeout ends before that.
"""

import pytest

from tests.faults.injection import DENIED, KILLED, LOST, PAUSED, UNAVAILABLE, Fault, permanent
from tests.faults.matrix import (
    NewSimulation,
    broken_rules,
    changes,
    combinations,
    name_of,
    responses_in_time,
    run_with_fault,
)
from tests.faults.scenarios import SCENARIOS, Scenario
from tests.faults.simulation import Simulation
from tests.faults.tally import Tally
from tests.support.aws_lambda import Due

RECEIVES = {False: 4, True: 12}  # of an event, and of a teardown
SERVICE_TIMEOUT = {False: 300, True: 480}  # seconds, without a wait for devices and with one
FAULTS = tuple(map(permanent, (UNAVAILABLE, LOST, DENIED, KILLED, PAUSED)))

REPORTED, FAILURE_QUEUE, UNCHANGED = "reported", "failure queue", "unchanged"
# The visibility timeout of a poll is 310 s, so that a kill leaves no time for a response.
TOO_LATE = "reported after the ServiceTimeout"
# CloudFormation takes the first response to a request, and ignores the later ones.
REPEATED = "responded in time, and again"
# How it may end: 503, response lost, denied, killed, status PAUSED; a row of its own for a point whose refusal changes
# nothing (Scenario.calls). "Unchanged" is where the job has ended, or there is another way: a canceled job is not
# selected again, and a message need not be sent once the devices are done.
OF_EVENTS: dict[str, tuple[set[str], ...]] = {
    "CancelJob": ({FAILURE_QUEUE}, {FAILURE_QUEUE, UNCHANGED}, {REPORTED}, {FAILURE_QUEUE, UNCHANGED}),
    "CancelJob/-": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {UNCHANGED}, {FAILURE_QUEUE}),
    "CancelJobExecution": ({FAILURE_QUEUE}, {UNCHANGED}, {REPORTED}, {UNCHANGED}),
    "ChangeMessageVisibility": ({UNCHANGED}, {UNCHANGED}, {UNCHANGED}, {FAILURE_QUEUE}),
    "DescribeJob": (
        {FAILURE_QUEUE, UNCHANGED},
        {FAILURE_QUEUE, UNCHANGED},
        {REPORTED},
        {FAILURE_QUEUE, UNCHANGED},
        {FAILURE_QUEUE, UNCHANGED},
    ),
    "DescribeJob/-": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {UNCHANGED}, {FAILURE_QUEUE}, {FAILURE_QUEUE, UNCHANGED}),
    "ListJobExecutionsForJob": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {REPORTED}, {FAILURE_QUEUE}),
    "ListJobs": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {REPORTED}, {FAILURE_QUEUE}),
    "ListJobs/-": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {FAILURE_QUEUE}, {FAILURE_QUEUE}),
    "ListTagsForResource": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {REPORTED}, {FAILURE_QUEUE}),
    "ListTagsForResource/-": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {UNCHANGED}, {FAILURE_QUEUE}),
    "SendMessage": ({UNCHANGED}, {UNCHANGED}, {UNCHANGED}, {UNCHANGED}),
    "PutEvents": ({UNCHANGED}, {UNCHANGED}, {UNCHANGED}, {FAILURE_QUEUE}),
}
OF_TEARDOWNS: dict[str, tuple[set[str], ...]] = {
    "CancelJob": ({REPORTED}, {REPORTED, UNCHANGED}, {REPORTED}, {FAILURE_QUEUE, UNCHANGED}),
    "CancelJob/-": ({REPORTED}, {REPORTED}, {UNCHANGED}, {FAILURE_QUEUE}),
    "CancelJobExecution": ({REPORTED}, {UNCHANGED}, {REPORTED}, {UNCHANGED}),
    "ChangeMessageVisibility": ({UNCHANGED}, {UNCHANGED}, {UNCHANGED}, {FAILURE_QUEUE}),
    "DescribeJob": (
        {REPORTED, UNCHANGED},
        {REPORTED, UNCHANGED},
        {REPORTED},
        {FAILURE_QUEUE, UNCHANGED, TOO_LATE},
        {REPORTED, UNCHANGED},
    ),
    "DescribeJob/-": ({REPORTED}, {REPORTED}, {REPORTED}, {FAILURE_QUEUE, TOO_LATE}, {REPORTED, UNCHANGED}),
    "ListJobExecutionsForJob": ({REPORTED}, {REPORTED}, {REPORTED}, {FAILURE_QUEUE}),
    "ListJobs": ({REPORTED}, {REPORTED}, {REPORTED}, {FAILURE_QUEUE, TOO_LATE}),
    "ListTagsForResource": ({REPORTED}, {REPORTED}, {REPORTED}, {FAILURE_QUEUE}),
    "SendMessage": ({UNCHANGED}, {UNCHANGED}, {REPORTED}, {UNCHANGED}),
    "PUT": ({FAILURE_QUEUE, TOO_LATE}, {FAILURE_QUEUE, REPEATED}, {FAILURE_QUEUE, TOO_LATE}, {FAILURE_QUEUE}),
    "PutEvents": ({UNCHANGED}, {UNCHANGED}, {UNCHANGED}, {FAILURE_QUEUE}),
}
# A result that is not settled is raised, and Lambda's last retry puts the event into the failure queue.
OF_TERRAFORM: dict[str, tuple[set[str], ...]] = {
    "CancelJob": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {FAILURE_QUEUE}, {FAILURE_QUEUE}),
    "DescribeJob": ({FAILURE_QUEUE}, {FAILURE_QUEUE}, {FAILURE_QUEUE}, {FAILURE_QUEUE}, {FAILURE_QUEUE}),
    "PutEvents": OF_EVENTS["PutEvents"],
}


def end_of(simulation: Simulation, scenario: Scenario) -> str:
    """Return how it ended; empty if nothing was reported."""
    if simulation.failed:
        return FAILURE_QUEUE if all(event == scenario.event for event in simulation.failed) else ""
    if not changes(simulation, scenario):
        return UNCHANGED
    if simulation.levels[-1] != "WARNING" or simulation.reports[-1]["status"] not in {"UNSETTLED", "REJECTED"}:
        return ""
    if not scenario.is_teardown:
        return REPORTED
    status = "SUCCESS" if scenario.continues else "FAILED"
    if responses_in_time(simulation, scenario)[:1] == [scenario.response]:
        return REPEATED
    responses = [(response["Status"], response["Reason"] != "") for response in responses_in_time(simulation, scenario)]
    return {((status, True),): REPORTED, (): TOO_LATE}.get(tuple(responses), "")


@pytest.mark.parametrize("name", SCENARIOS)
def test_permanent_fault_is_reported_or_ends_in_a_failure_queue(
    name: str, new_simulation: NewSimulation, tally: Tally
) -> None:
    known = SCENARIOS[name]
    scenario = known.with_service_timeout(SERVICE_TIMEOUT[bool(known.reports_at)])
    ends = OF_TEARDOWNS if scenario.is_teardown else OF_TERRAFORM if scenario.raises else OF_EVENTS
    for at, point, fault in combinations(scenario.points(later=False), FAULTS):
        simulation = run_with_fault(new_simulation, scenario, fault, at, receives=RECEIVES[scenario.is_teardown])
        wrong = broken_rules(simulation, scenario)
        end = end_of(simulation, scenario)
        row = ends.get(f"{point.operation}/{point.refused}", ends[point.operation])
        if end not in row[FAULTS.index(fault)]:
            wrong.append(f"ended: {end or 'unreported'}")
        tally.add(name, name_of(at, point), str(fault), wrong)
    tally.assert_nothing_lost()


TEARDOWNS = [name for name, scenario in SCENARIOS.items() if scenario.is_teardown and scenario.later]


@pytest.mark.parametrize("name", TEARDOWNS)
@pytest.mark.parametrize("fault", [permanent(UNAVAILABLE), permanent(DENIED)], ids=str)
def test_teardown_gets_a_response_though_its_queue_stays_unavailable(
    name: str, fault: Fault, new_simulation: NewSimulation
) -> None:
    """The service and the queue are unavailable in each attempt of Lambda."""
    simulation = new_simulation(SCENARIOS[name])
    simulation.fault, simulation.at, simulation.busy, simulation.sqs.max_receive_count = fault, 1, 99, 12
    simulation.run(Due(0, SCENARIOS[name].event))
    assert (broken_rules(simulation, SCENARIOS[name]), end_of(simulation, SCENARIOS[name])) == ([], REPORTED)
    assert simulation.calls[0] == "SendMessage"


def test_matrix_has_all_combinations() -> None:
    each = [list(combinations(scenario.points(later=False), FAULTS)) for scenario in SCENARIOS.values()]
    assert sum(map(len, each)) == 785
