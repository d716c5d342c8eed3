"""Every temporary fault, at every call of the adapters, has the effect of one of the classes that the gate tries.

So the gate need not try every fault at every point of failure: the pipeline sees only what a call returned or raised,
and whether the service acted.
"""

from collections.abc import Callable

import pytest

from handler.cancellation.job import JobsApi, JobStatus
from handler.cancellation.rate import Deadline
from handler.cancellation.report import Report, RunStatus, Trigger
from handler.errors import EnqueueUnavailable, JobNotCancelable, JobsUnavailable, VisibilityUnchanged
from handler.inbound.delivery import read_delivery
from tests.faults.endpoints import PUT, Act
from tests.faults.injection import CLASSES, NOTHING, TEMPORARY, Fault, is_class
from tests.faults.matrix import NewSimulation
from tests.faults.scenarios import RESPONSE_URL, SCENARIOS
from tests.faults.simulation import CountedProcess, Simulation
from tests.support.aws_lambda import Killed
from tests.support.fakes import longest, new_gate

JOB = "firmware-1"


def api(simulation: Simulation) -> JobsApi:
    return simulation.services.jobs_api(new_gate(simulation.clock, 300, per_second=1000, uniform=longest))


def extend(simulation: Simulation) -> bool:
    """Extend the visibility timeout as at the start of an invocation."""
    simulation.sqs.send_message(QueueUrl=simulation.sqs.url, MessageBody="{}")
    (message,) = simulation.sqs.messages
    delivery = read_delivery(simulation.sqs.receive(message), simulation.services.queues.urls, simulation.services.now)
    assert delivery.message
    return simulation.services.queues.extend_visibility_timeout(delivery.message, 300)


# Call → what it returns if nothing happens, and what it raises if it fails. Two of them return why they failed.
CALLS: dict[str, tuple[Callable[[Simulation], object], object, type[Exception] | tuple[type[Exception], ...]]] = {
    "CancelJob": (
        lambda simulation: api(simulation).cancel(JOB, force=False, reason_code="STALE", comment="by hand"),
        None,
        JobsUnavailable,
    ),
    "DescribeJob": (lambda simulation: api(simulation).describe(JOB).status, "IN_PROGRESS", JobsUnavailable),
    "ListJobs": (
        lambda simulation: [job.job_id for job in api(simulation).list_jobs(JobStatus.IN_PROGRESS)],
        ["firmware-1", "gateway"],
        JobsUnavailable,
    ),
    "ListTagsForResource": (
        lambda simulation: api(simulation).tags(f"arn:aws:iot:eu-west-1:123456789012:job/{JOB}"),
        {"env": "dev"},
        JobsUnavailable,
    ),
    "ListJobExecutionsForJob": (
        lambda simulation: list(api(simulation).running_things(JOB)),
        ["thing-1"],
        JobsUnavailable,
    ),
    "CancelJobExecution": (lambda simulation: api(simulation).cancel_execution(JOB, "thing-1"), None, JobsUnavailable),
    "SendMessage": (lambda simulation: simulation.services.queues.enqueue({}, {}, 0), None, EnqueueUnavailable),
    "SendMessage of a teardown": (
        lambda simulation: simulation.services.queues.enqueue_teardown({}, {}, "request-1"),
        None,
        EnqueueUnavailable,
    ),
    "ChangeMessageVisibility": (extend, True, VisibilityUnchanged),
    "PutEvents": (
        lambda simulation: simulation.services.publisher.publish(
            Report(RunStatus.SETTLED, Trigger.EVENT), "event-1", Deadline(200, simulation.clock)
        ),
        "",
        (),
    ),
    PUT: (
        lambda simulation: simulation.services.responder.deliver(RESPONSE_URL, b"{}", Deadline(200, simulation.clock)),
        "",
        (),
    ),
}
# Class → what the caller sees, and whether the service acted.
EFFECTS = {
    "503, once": ("unchanged", True),
    "503, every attempt": ("fails", False),
    "response lost, once": ("already done", True),
    "response lost, every attempt": ("fails", True),
    "response just in time, every attempt": ("unchanged", True),
    "body is an empty object, every attempt": ("[]", True),
    "accepted, and not done, every attempt": ("unchanged", False),
    "status PAUSED, every attempt": ("'PAUSED'", True),
    "killed before it acted, every attempt": ("killed", False),
    "killed after it acted, every attempt": ("killed", True),
}
# Fault → its class, at every call that is not in the next table.
CLASS = {
    **{each: each for each in CLASSES},
    "throttled, once": "503, once",
    "throttled, every attempt": "503, every attempt",
    "500, once": "503, once",
    "500, every attempt": "503, every attempt",
    "connection reset before it acted, once": "503, once",
    "connection reset before it acted, every attempt": "503, every attempt",
    "response lost, once": "503, once",
    "timeout before it acted, once": "503, once",
    "timeout before it acted, every attempt": "503, every attempt",
    "timeout after it acted, once": "503, once",
    "timeout after it acted, every attempt": "response lost, every attempt",
    "not HTTP, every attempt": "response lost, every attempt",
    "body cut off, every attempt": "response lost, every attempt",
    "body is not JSON, every attempt": "response lost, every attempt",
    "body is half of it, every attempt": "response lost, every attempt",
    "body is empty, every attempt": "response lost, every attempt",
    "body is a list, every attempt": "response lost, every attempt",
    "body of another service, every attempt": "response lost, every attempt",
    "body is an empty object, every attempt": "response lost, every attempt",
    "body has other types, every attempt": "response lost, every attempt",
    "body has empty rows, every attempt": "response lost, every attempt",
}
# The bodies of these responses are not read.
_UNREAD = {
    f"body {what}, every attempt": "response just in time, every attempt"
    for what in (
        *("is not JSON", "is half of it", "is empty", "of another service", "is an empty object", "has other types"),
        "has empty rows",
    )
}
_REFUSED_ONCE_MORE = {
    "response lost, once": "response lost, once",
    "timeout after it acted, once": "response lost, once",
}
CLASS_AT: dict[str, dict[str, str]] = {
    "CancelJob": _UNREAD | _REFUSED_ONCE_MORE,
    "CancelJobExecution": _UNREAD
    | _REFUSED_ONCE_MORE
    | {"body is a list, every attempt": "response just in time, every attempt"},
    "ListJobExecutionsForJob": {
        "body is an empty object, every attempt": "body is an empty object, every attempt",
        "body has empty rows, every attempt": "body is an empty object, every attempt",
    },
    "SendMessage": _UNREAD,
    "SendMessage of a teardown": _UNREAD,
    "ChangeMessageVisibility": _UNREAD | {"body is a list, every attempt": "response just in time, every attempt"},
}
COMBINATIONS = [
    (call, fault)
    for call in CALLS
    for fault in TEMPORARY
    if fault.applies_to(call.partition(" ")[0], refused="reported")
]


def effect(call: str, fault: Fault, new_simulation: NewSimulation, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bool]:
    """Return what the caller sees, and whether the service acted."""
    make, expected, fails = CALLS[call]
    simulation = new_simulation(SCENARIOS["request of ids"])
    simulation.backend.jobs[JOB].tags = {"env": "dev"}
    simulation.fault, simulation.at, simulation.process = fault, 1, CountedProcess(1)
    acted: list[Act] = []
    respond = simulation._acted

    def act(act: Act) -> bytes:
        acted.append(act)
        return respond(act)

    monkeypatch.setattr(simulation, "_acted", act)
    try:
        returned = make(simulation)
    except Killed:
        seen = "killed"
    except JobNotCancelable:
        seen = "already done"
    except fails:
        seen = "fails"
    else:
        is_why = expected == "" and returned
        seen = "unchanged" if returned == expected else "fails" if is_why else repr(returned)
    assert (simulation.is_injected, simulation.wrong) == (True, [])
    return seen, bool(acted)


@pytest.mark.parametrize("call", CALLS)
def test_fault_has_the_effect_of_its_class(
    call: str, new_simulation: NewSimulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = {str(fault): fault for each, fault in COMBINATIONS if each == call}
    names = {name: CLASS_AT.get(call, {}).get(name, CLASS[name]) for name in faults}
    seen = {name: effect(call, fault, new_simulation, monkeypatch) for name, fault in faults.items()}
    assert seen == {name: EFFECTS[names[name]] for name in faults}
    operation = call.partition(" ")[0]
    assert all(is_class(operation, faults[name]) for name in names.values())


@pytest.mark.parametrize("call", CALLS)
def test_call_without_a_fault_succeeds(
    call: str, new_simulation: NewSimulation, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert effect(call, NOTHING, new_simulation, monkeypatch) == ("unchanged", True)


def test_every_fault_has_a_class() -> None:
    assert set(CLASS) == {str(fault) for fault in TEMPORARY}
    assert set(EFFECTS) == set(CLASSES)
    assert len(COMBINATIONS) == 289
