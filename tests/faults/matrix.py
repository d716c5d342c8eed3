"""Combinations, and what has to hold in each: by literal expectation, and not by the words of the code."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tests.faults.injection import PASSING, Fault, Lasts, is_class
from tests.faults.scenarios import SCENARIOS, Point, Scenario
from tests.faults.tally import Tally
from tests.faults.world import SECRET, Answer, World
from tests.support.aws_lambda import Due
from tools.simulators.events import STACK_ID

type NewWorld = Callable[[Scenario], World]

IDS = {"StackId": STACK_ID, "LogicalResourceId": "Teardown"}
OTHER_REQUEST_ID = "request-2"
REQUEST_IDS = {"request-1", OTHER_REQUEST_ID}
# The name of a trigger, and True if its points of failure are counted from the backlog on.
WAYS = [(name, later) for name, scenario in SCENARIOS.items() for later in (False, True) if scenario.later or not later]


def combinations(points: Sequence[Point], faults: Sequence[Fault]) -> Iterator[tuple[int, Point, Fault]]:
    """Each fault at each point, with the point's number."""
    for at, point in enumerate(points, 1):
        for fault in faults:
            if fault.can_strike(point.operation, point.refused):
                yield at, point, fault


def passing_combinations(name: str, *, later: bool, classes: bool) -> list[tuple[int, Point, Fault]]:
    """Each fault that passes, at each point of the trigger with this name: the `classes`, or all others.

    A fault of one attempt is what the SDK itself gets over: it is not tried again from the backlog on.
    """
    tried = [fault for fault in PASSING if not later or fault.lasts is Lasts.CALL]
    every = combinations(SCENARIOS[name].points(later=later), tried)
    return [(at, point, fault) for at, point, fault in every if is_class(point.operation, fault) is classes]


def name_of(at: int, point: Point, *, later: bool = False) -> str:
    """The point, for people."""
    return f"call {at}{' from the backlog' if later else ''} ({point.operation})"


def played(
    new_world: NewWorld, scenario: Scenario, fault: Fault, at: int, *, later: bool = False, receives: int = 100
) -> World:
    """A world in which the fault has struck, and all is over."""
    world = new_world(scenario)
    world.fault, world.at, world.busy, world.sqs.max_receive_count = fault, at, int(later), receives
    world.run(Due(0, scenario.event))
    return world


def assert_all_ends_as_ever(name: str, new_world: NewWorld, tally: Tally, *, later: bool, classes: bool) -> None:
    """In each of `passing_combinations`."""
    scenario = SCENARIOS[name]
    for at, point, fault in passing_combinations(name, later=later, classes=classes):
        world = played(new_world, scenario, fault, at, later=later)
        wrong = [*whatever_happens(world, scenario), *as_ever(world, scenario)]
        tally.add(name, name_of(at, point, later=later), str(fault), wrong)
    tally.assert_nothing_lost()


# What never may be


def whatever_happens(world: World, scenario: Scenario) -> list[str]:
    """What is wrong in any case."""
    cancelled = Counter(world.backend.canceled)
    ended = Counter(world.backend.executions_canceled)
    rules = {
        "the fault did not happen": world.struck,
        "a job was cancelled more than once": set(cancelled.values()) <= {1},
        "a job was cancelled that was not meant": cancelled.keys() <= set(scenario.meant),
        "an execution was ended more than once": set(ended.values()) <= {1},
        "a device was forced": scenario.policy.force or not _forced(world, scenario),
        "the signature of ResponseURL was told": SECRET not in world.log.text + world.printed.getvalue(),
        "somebody else's job was touched": all(
            world.backend.jobs[job_id].status == fields.get("status", "IN_PROGRESS")
            and world.executions(job_id) == fields.get("executions", {})
            for job_id, fields in scenario.others.items()
        ),
    }
    broken = [rule for rule, holds in rules.items() if not holds]
    return [*world.wrong, *broken, *(each for answer in world.answers for each in _wrong_in(answer, scenario))]


def _forced(world: World, scenario: Scenario) -> list[str]:
    return [
        thing
        for job_id, fields in scenario.jobs.items()
        for thing, status in fields.get("executions", {}).items()
        if status == "IN_PROGRESS" and world.executions(job_id)[thing] not in {"IN_PROGRESS", "SUCCEEDED"}
    ]


def _wrong_in(answer: Answer, scenario: Scenario) -> list[str]:
    told, expected = answer.body, scenario.answer or {}
    is_known = {name: told[name] for name in IDS} == IDS and told["RequestId"] in REQUEST_IDS
    if not is_known or told["PhysicalResourceId"] != expected["PhysicalResourceId"]:
        return [f"the answer {told} has wrong ids"]
    if told["Status"] == "SUCCESS" and answer.unsettled and not scenario.continues:
        return [f"SUCCESS, but {answer.unsettled} are not settled"]
    return []


# How it may end


def as_ever(world: World, scenario: Scenario) -> list[str]:
    """What is not as it is if nothing happens."""
    heard = heard_by_cloudformation(world, scenario)
    wrong = [f"CloudFormation was told {told}" for told in heard if told != scenario.answer]
    if scenario.is_teardown and not heard:
        wrong.append("CloudFormation was not answered in time")
    for job_id, end in scenario.ends.items():
        job = world.backend.jobs[job_id]
        if (job.status, world.executions(job_id)) != end:
            wrong.append(f"{job_id} is {job.status}, {world.executions(job_id)}")
        if job_id in scenario.meant and (job.reason_code, job.comment) not in {scenario.told, scenario.also_told}:
            wrong.append(f"{job_id} was cancelled with {job.reason_code}, {job.comment}")
    if world.failed:
        wrong.append("the event is in a failure queue")
    if world.reports[-1]["status"] != scenario.status:
        wrong.append(f"the last report is {world.reports[-1]}")
    return wrong


def told(world: World, scenario: Scenario, status: str, code: str) -> list[str]:
    """What is wrong where the run ends in this `status` for an error of the service with this `code`."""
    wrong = given_up(world, scenario, code, status)
    outcomes = {job["jobId"]: job["outcome"] for job in world.reports[-1]["jobs"]}
    if status == "UNSETTLED" and any(outcomes.get(each) != "FAILED" for each in world.unsettled()):
        wrong.append(f"{world.unsettled()} are not reported as FAILED")
    if status == "REJECTED" and world.backend.canceled:
        wrong.append(f"{set(world.backend.canceled)} were cancelled")
    return wrong


def given_up(world: World, scenario: Scenario, code: str, status: str = "UNSETTLED") -> list[str]:
    """What is wrong where that is told, and nothing takes up what is left."""
    report, level = world.reports[-1], world.levels[-1]
    wrong = []
    if (report["status"], level) != (status, "WARNING"):
        wrong.append(f"the last report, at level {level}, is {report}")
    reasons = " ".join([report["reason"], *(job["detail"] for job in report["jobs"])])
    if code not in reasons:
        wrong.append(f"nobody was told of {code}")
    if world.failed:
        wrong.append("the event is in a failure queue")
    expected = "SUCCESS" if scenario.continues else "FAILED"
    heard = heard_by_cloudformation(world, scenario)
    if scenario.is_teardown and [(each["Status"], code in each["Reason"]) for each in heard] != [(expected, True)]:
        wrong.append(f"CloudFormation was told {heard}")
    return wrong


def heard_by_cloudformation(world: World, scenario: Scenario) -> list[Mapping[str, Any]]:
    """What it is told as long as it listens."""
    names = ("Status", "PhysicalResourceId", "Reason", "Data")
    until = scenario.service_timeout if scenario.is_teardown else 0.0
    return [{name: answer.body[name] for name in names} for answer in world.answers if answer.at <= until]
