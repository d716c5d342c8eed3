"""The combinations of the matrix, and what must hold in each."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.faults.injection import TEMPORARY, Duration, Fault, is_class
from tests.faults.scenarios import SCENARIOS, Point, Scenario
from tests.faults.simulation import SECRET, SentResponse, Simulation
from tests.faults.tally import Tally
from tests.support.aws_lambda import Due
from tools.simulators.events import STACK_ID

type NewSimulation = Callable[[Scenario], Simulation]

IDS = {"StackId": STACK_ID, "LogicalResourceId": "Teardown"}
OTHER_REQUEST_ID = "request-2"
REQUEST_IDS = {"request-1", OTHER_REQUEST_ID}
# The name of a trigger, and True if its points of failure are counted from the backlog on.
WAYS = [(name, later) for name, scenario in SCENARIOS.items() for later in (False, True) if scenario.later or not later]


def combinations(points: Sequence[Point], faults: Sequence[Fault]) -> Iterator[tuple[int, Point, Fault]]:
    """Yield each fault at each point, with the point's number."""
    for at, point in enumerate(points, 1):
        for fault in faults:
            if fault.applies_to(point.operation, point.refused):
                yield at, point, fault


def temporary_combinations(name: str, *, later: bool, classes: bool) -> list[tuple[int, Point, Fault]]:
    """Return each temporary fault at each point of the trigger with this name: the `classes`, or all others.

    The SDK itself retries a fault of one attempt, so these are not tried again from the backlog on.
    """
    faults = [fault for fault in TEMPORARY if not later or fault.duration is Duration.CALL]
    every = combinations(SCENARIOS[name].points(later=later), faults)
    return [(at, point, fault) for at, point, fault in every if is_class(point.operation, fault) is classes]


def name_of(at: int, point: Point, *, later: bool = False) -> str:
    """The point, for people."""
    return f"call {at}{' from the backlog' if later else ''} ({point.operation})"


def run_with_fault(
    new_simulation: NewSimulation,
    scenario: Scenario,
    fault: Fault,
    at: int,
    *,
    later: bool = False,
    receives: int = 100,
) -> Simulation:
    """Run a scenario with a fault to its end."""
    simulation = new_simulation(scenario)
    simulation.fault, simulation.at, simulation.busy, simulation.sqs.max_receive_count = fault, at, int(later), receives
    simulation.run(Due(0, scenario.event))
    return simulation


def assert_nothing_changes(
    name: str, new_simulation: NewSimulation, tally: Tally, *, later: bool, classes: bool
) -> None:
    """Check each of `temporary_combinations`."""
    scenario = SCENARIOS[name]
    for at, point, fault in temporary_combinations(name, later=later, classes=classes):
        simulation = run_with_fault(new_simulation, scenario, fault, at, later=later)
        wrong = [*broken_rules(simulation, scenario), *changes(simulation, scenario)]
        tally.add(name, name_of(at, point, later=later), str(fault), wrong)
    tally.assert_nothing_lost()


# Rules for every combination


def broken_rules(simulation: Simulation, scenario: Scenario) -> list[str]:
    """Return the rules that must hold in any case and do not."""
    canceled = Counter(simulation.backend.canceled)
    ended = Counter(simulation.backend.executions_canceled)
    rules = {
        "the fault did not happen": simulation.is_injected,
        "a job was canceled more than once": set(canceled.values()) <= {1},
        "a job was canceled that does not match": canceled.keys() <= set(scenario.matching),
        "an execution was ended more than once": set(ended.values()) <= {1},
        "a device was forced": scenario.limits.force or not _forced(simulation, scenario),
        "the signature of ResponseURL was logged": SECRET not in simulation.log.text + simulation.printed.getvalue(),
        "another job was changed": all(
            simulation.backend.jobs[job_id].status == fields.get("status", "IN_PROGRESS")
            and simulation.executions(job_id) == fields.get("executions", {})
            for job_id, fields in scenario.others.items()
        ),
    }
    broken = [rule for rule, holds in rules.items() if not holds]
    return [
        *simulation.wrong,
        *broken,
        *(each for response in simulation.responses for each in _wrong_in(response, scenario)),
    ]


def _forced(simulation: Simulation, scenario: Scenario) -> list[str]:
    return [
        thing
        for job_id, fields in scenario.jobs.items()
        for thing, status in fields.get("executions", {}).items()
        if status == "IN_PROGRESS" and simulation.executions(job_id)[thing] not in {"IN_PROGRESS", "SUCCEEDED"}
    ]


def _wrong_in(response: SentResponse, scenario: Scenario) -> list[str]:
    body, expected = response.body, scenario.response or {}
    is_known = {name: body[name] for name in IDS} == IDS and body["RequestId"] in REQUEST_IDS
    if not is_known or body["PhysicalResourceId"] != expected["PhysicalResourceId"]:
        return [f"the response {body} has wrong ids"]
    if body["Status"] == "SUCCESS" and response.unsettled and not scenario.continues:
        return [f"SUCCESS, but {response.unsettled} are not settled"]
    return []


# Results


def changes(simulation: Simulation, scenario: Scenario) -> list[str]:
    """Return what differs from an undisturbed run."""
    responses = responses_in_time(simulation, scenario)
    wrong = [f"CloudFormation got {response}" for response in responses if response != scenario.response]
    if scenario.is_teardown and not responses:
        wrong.append("CloudFormation got no response in time")
    for job_id, end in scenario.ends.items():
        job = simulation.backend.jobs[job_id]
        if (job.status, simulation.executions(job_id)) != end:
            wrong.append(f"{job_id} is {job.status}, {simulation.executions(job_id)}")
        if job_id in scenario.matching and (job.reason_code, job.comment) not in {
            scenario.reason,
            scenario.other_reason,
        }:
            wrong.append(f"{job_id} was canceled with {job.reason_code}, {job.comment}")
    if simulation.failed:
        wrong.append("the event is in a failure queue")
    if simulation.reports[-1]["status"] != scenario.status:
        wrong.append(f"the last report is {simulation.reports[-1]}")
    return wrong


def wrong_report(simulation: Simulation, scenario: Scenario, status: str, code: str) -> list[str]:
    """Return what is wrong if the run must end in `status` for an error with this `code`."""
    wrong = wrong_final_report(simulation, scenario, code, status)
    outcomes = {job["jobId"]: job["outcome"] for job in simulation.reports[-1]["jobs"]}
    if status == "UNSETTLED" and any(outcomes.get(each) != "FAILED" for each in simulation.unsettled()):
        wrong.append(f"{simulation.unsettled()} are not reported as FAILED")
    if status == "REJECTED" and simulation.backend.canceled:
        wrong.append(f"{set(simulation.backend.canceled)} were canceled")
    return wrong


def wrong_final_report(simulation: Simulation, scenario: Scenario, code: str, status: str = "UNSETTLED") -> list[str]:
    """Return what is wrong if the run must end with a report of this error, and no retry."""
    report, level = simulation.reports[-1], simulation.levels[-1]
    wrong = []
    if (report["status"], level) != (status, "WARNING"):
        wrong.append(f"the last report, at level {level}, is {report}")
    reasons = " ".join([report["reason"], *(job["detail"] for job in report["jobs"])])
    if code not in reasons:
        wrong.append(f"the report does not name {code}")
    if simulation.failed:
        wrong.append("the event is in a failure queue")
    expected = "SUCCESS" if scenario.continues else "FAILED"
    responses = responses_in_time(simulation, scenario)
    if scenario.is_teardown and [(each["Status"], code in each["Reason"]) for each in responses] != [(expected, True)]:
        wrong.append(f"CloudFormation got {responses}")
    return wrong


def responses_in_time(simulation: Simulation, scenario: Scenario) -> list[Mapping[str, Any]]:
    """Return the responses that arrived before the ServiceTimeout."""
    names = ("Status", "PhysicalResourceId", "Reason", "Data")
    until = scenario.service_timeout if scenario.is_teardown else 0.0
    return [{name: response.body[name] for name in names} for response in simulation.responses if response.at <= until]
