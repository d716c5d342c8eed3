"""A new interpreter, the import of the bundle, the first event: against the least that does the same."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.process import instructions, play
from bench.service import Service

RUNS = 9
JOB = "firmware-2026-11"
EVENT: Mapping[str, Any] = {"cancel": {"jobIds": [JOB]}}


@dataclass(frozen=True)
class Start:
    """One program against its floor: instructions of both, and the ratio of CPU seconds, pair by pair."""

    name: str
    floor: str
    instructions: int
    instructions_of_floor: int
    cpu: float

    @property
    def ratio(self) -> float:
        """Of the instructions."""
        return self.instructions / self.instructions_of_floor


def measure(service: Service) -> list[Start]:
    """Each program of the table."""
    told = json.dumps({"events": [EVENT]})
    deletion = json.dumps({"events": [_deletion(service.response_url())]})
    return [
        _against(service, "an event", "ours", "loop", told),
        _against(service, "a deletion", "ours", "answer", deletion),
        _against(service, "an event, as the tutorials have it", "tutorial", "loop", told),
    ]


def _against(service: Service, name: str, program: str, floor: str, told: str) -> Start:
    counts = [_counted(service, each, told) for each in (program, floor)]
    pairs = [(_seconds(service, program, told), _seconds(service, floor, told)) for _ in range(RUNS)]
    return Start(name, floor, counts[0], counts[1], median(one / other for one, other in pairs))


def _counted(service: Service, program: str, told: str) -> int:
    _begin(service)
    return instructions(program, told, service.environment)


def _seconds(service: Service, program: str, told: str) -> float:
    _begin(service)
    return play(program, told, service.environment).cpu


def _begin(service: Service) -> None:
    service.begin()
    service.backend.add_job(JOB)


def _deletion(response_url: str) -> dict[str, Any]:
    return {
        "RequestType": "Delete",
        "RequestId": "request-1",
        "ResponseURL": response_url,
        "StackId": "arn:aws:cloudformation:eu-west-1:123456789012:stack/firmware/5f3a9c10-c4f2-11f0-9c1a-0a1b2c3d4e5f",
        "LogicalResourceId": "Teardown",
        "PhysicalResourceId": JOB,
        "ResourceType": "Custom::IoTJobCancellation",
        "ResourceProperties": {"ServiceToken": "arn", "JobId": JOB},
    }
