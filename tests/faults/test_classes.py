"""Every fault that passes, at every call of the adapters, has the effect of one of the classes that the gate tries.

So a fault needs no trial of its own at every point of failure before each commit: what the pipeline sees of a call is
what the call returned or raised, and whether the service acted.
"""

from collections.abc import Callable

import pytest

from handler.cancellation.job import JobsApi, JobStatus
from handler.cancellation.rate import Deadline, Gate
from handler.cancellation.report import Report, RunStatus, Trigger
from handler.errors import EnqueueUnavailable, JobNotCancelable, JobsUnavailable
from handler.inbound.delivery import read_delivery
from tests.faults.endpoints import PUT, Act
from tests.faults.injection import CLASSES, NOTHING, PASSING, Fault, is_class
from tests.faults.matrix import NewWorld
from tests.faults.scenarios import RESPONSE_URL, SCENARIOS
from tests.faults.world import CountedProcess, World
from tests.support.aws_lambda import Killed

JOB = "firmware-1"


def api(world: World) -> JobsApi:
    gate = Gate(1000, Deadline(300, world.clock), world.clock, world.clock.sleep, call_seconds=1.0)
    return world.services.jobs_api(gate)


def extend(world: World) -> bool:
    """As at the start of an invocation for a message."""
    world.sqs.send_message(QueueUrl=world.sqs.url, MessageBody="{}")
    (message,) = world.sqs.messages
    delivery = read_delivery(world.sqs.receive(message), world.services.queues.urls, world.services.now)
    assert delivery.message
    return world.services.queues.extend_visibility_timeout(delivery.message, 300)


# Call → what it returns if nothing happens, and what it raises if it fails. Two of them return why they failed.
CALLS: dict[str, tuple[Callable[[World], object], object, type[Exception] | tuple[type[Exception], ...]]] = {
    "CancelJob": (
        lambda world: api(world).cancel(JOB, force=False, reason_code="STALE", comment="by hand"),
        None,
        JobsUnavailable,
    ),
    "DescribeJob": (lambda world: api(world).describe(JOB).status, "IN_PROGRESS", JobsUnavailable),
    "ListJobs": (
        lambda world: [job.job_id for job in api(world).list_jobs(JobStatus.IN_PROGRESS)],
        ["firmware-1", "gateway"],
        JobsUnavailable,
    ),
    "ListTagsForResource": (
        lambda world: api(world).tags(f"arn:aws:iot:eu-west-1:123456789012:job/{JOB}"),
        {"env": "dev"},
        JobsUnavailable,
    ),
    "ListJobExecutionsForJob": (
        lambda world: list(api(world).running_things(JOB)),
        ["thing-1"],
        JobsUnavailable,
    ),
    "CancelJobExecution": (lambda world: api(world).cancel_execution(JOB, "thing-1"), None, JobsUnavailable),
    "SendMessage": (lambda world: world.services.queues.enqueue({}, {}, 0), None, Exception),
    "SendMessage of a teardown": (
        lambda world: world.services.queues.enqueue_teardown({}, {}, "request-1"),
        None,
        (EnqueueUnavailable, AttributeError),
    ),
    "ChangeMessageVisibility": (extend, True, Exception),
    "PutEvents": (
        lambda world: world.services.publisher.publish(
            Report(RunStatus.SETTLED, Trigger.EVENT), "event-1", Deadline(200, world.clock)
        ),
        "",
        (),
    ),
    PUT: (
        lambda world: world.services.responder.deliver(RESPONSE_URL, b"{}", Deadline(200, world.clock)),
        "",
        (),
    ),
}
# Class → what the caller sees, and whether the service acted.
EFFECTS = {
    "503, once": ("as ever", True),
    "503, every attempt": ("fails", False),
    "answer lost, once": ("is done already", True),
    "answer lost, every attempt": ("fails", True),
    "answered just in time, every attempt": ("as ever", True),
    "body is an empty object, every attempt": ("[]", True),
    "accepted, and not done, every attempt": ("as ever", False),
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
    "answer lost, once": "503, once",
    "time-out before it acted, once": "503, once",
    "time-out before it acted, every attempt": "503, every attempt",
    "time-out after it acted, once": "503, once",
    "time-out after it acted, every attempt": "answer lost, every attempt",
    "no HTTP, every attempt": "answer lost, every attempt",
    "body cut off, every attempt": "answer lost, every attempt",
    "body is no JSON, every attempt": "answer lost, every attempt",
    "body is half of it, every attempt": "answer lost, every attempt",
    "body is empty, every attempt": "answer lost, every attempt",
    "body is a list, every attempt": "answer lost, every attempt",
    "body is somebody else's, every attempt": "answer lost, every attempt",
    "body is an empty object, every attempt": "answer lost, every attempt",
    "body has other types, every attempt": "answer lost, every attempt",
    "body has empty rows, every attempt": "answer lost, every attempt",
}
# What the service says of these is not read.
_UNREAD = {
    f"body {what}, every attempt": "answered just in time, every attempt"
    for what in (
        *("is no JSON", "is half of it", "is empty", "is somebody else's", "is an empty object", "has other types"),
        "has empty rows",
    )
}
_REFUSED_ONCE_MORE = {
    "answer lost, once": "answer lost, once",
    "time-out after it acted, once": "answer lost, once",
}
CLASS_AT: dict[str, dict[str, str]] = {
    "CancelJob": _UNREAD | _REFUSED_ONCE_MORE,
    "CancelJobExecution": _UNREAD
    | _REFUSED_ONCE_MORE
    | {"body is a list, every attempt": "answered just in time, every attempt"},
    "ListJobExecutionsForJob": {
        "body is an empty object, every attempt": "body is an empty object, every attempt",
        "body has empty rows, every attempt": "body is an empty object, every attempt",
    },
    "SendMessage": _UNREAD,
    "SendMessage of a teardown": _UNREAD,
    "ChangeMessageVisibility": _UNREAD | {"body is a list, every attempt": "answered just in time, every attempt"},
}
COMBINATIONS = [
    (call, fault) for call in CALLS for fault in PASSING if fault.can_strike(call.partition(" ")[0], refused="told")
]


def effect(call: str, fault: Fault, new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> tuple[str, bool]:
    """What the caller sees, and whether the service acted."""
    make, as_ever, fails = CALLS[call]
    world = new_world(SCENARIOS["request of ids"])
    world.backend.jobs[JOB].tags = {"env": "dev"}
    world.fault, world.at, world.process = fault, 1, CountedProcess(1)
    acted: list[Act] = []
    answer_of = world._acted

    def act(act: Act) -> bytes:
        acted.append(act)
        return answer_of(act)

    monkeypatch.setattr(world, "_acted", act)
    try:
        returned = make(world)
    except Killed:
        seen = "killed"
    except JobNotCancelable:
        seen = "is done already"
    except fails:
        seen = "fails"
    else:
        is_why = as_ever == "" and returned
        seen = "as ever" if returned == as_ever else "fails" if is_why else repr(returned)
    assert (world.struck, world.wrong) == (True, [])
    return seen, bool(acted)


@pytest.mark.parametrize("call", CALLS)
def test_fault_has_the_effect_of_its_class(call: str, new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    faults = {str(fault): fault for each, fault in COMBINATIONS if each == call}
    names = {name: CLASS_AT.get(call, {}).get(name, CLASS[name]) for name in faults}
    seen = {name: effect(call, fault, new_world, monkeypatch) for name, fault in faults.items()}
    assert seen == {name: EFFECTS[names[name]] for name in faults}
    operation = call.partition(" ")[0]
    assert all(is_class(operation, faults[name]) for name in names.values())


@pytest.mark.parametrize("call", CALLS)
def test_call_without_a_fault_succeeds(call: str, new_world: NewWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    assert effect(call, NOTHING, new_world, monkeypatch) == ("as ever", True)


def test_every_fault_has_a_class() -> None:
    assert set(CLASS) == {str(fault) for fault in PASSING}
    assert set(EFFECTS) == set(CLASSES)
    assert len(COMBINATIONS) == 289
