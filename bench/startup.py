"""A new interpreter, the import of the bundle, the first event: against the least that does the same."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.page import Goal, Section, table
from bench.process import BUNDLE, instructions, play
from bench.service import JOB, Service, deletion

PAIRS = 7
EVENT: Mapping[str, Any] = {"cancel": {"jobIds": [JOB]}}
_MOST_OF_AN_EVENT, _MOST_OF_A_DELETION = 1.10, 1.15  # of the floor's instructions
_OBSTACLE = "Powertools' import, and the client of EventBridge for the report"
_TEXT = f"""
A new interpreter, the imports, the first event, with what Lambda's runtime brings (boto3), and no place for bytecode
but the bundle. Instructions by `valgrind --tool=callgrind`; CPU seconds as the median ratio of {PAIRS} pairs. The floor
is boto3, a client of IoT and one call; for a deletion also one PUT. The tutorials' function (in
`bench/programs/tutorial.py`) puts together what those of crhelper and Powertools advise, in a bundle as `sam build`
makes it by itself, without bytecode. Ours looks for no garbage at the start, and so can take less time than the floor.
"""


@dataclass(frozen=True)
class Start:
    """One program against its floor: instructions of both, and the ratio of CPU seconds, pair by pair."""

    name: str
    instructions: int
    instructions_of_floor: int
    cpu: float

    @property
    def ratio(self) -> float:
        """Of the instructions."""
        return self.instructions / self.instructions_of_floor


@dataclass(frozen=True)
class _Program:
    name: str
    told: str
    bundle: Path | None = None

    def count(self, service: Service) -> int:
        """Its instructions."""
        _begin(service)
        return instructions(self.name, self.told, service.environment, bundle=self.bundle)

    def seconds(self, service: Service) -> float:
        """Of CPU."""
        _begin(service)
        return play(self.name, self.told, service.environment, bundle=self.bundle).cpu


def measure(service: Service) -> list[Start]:
    """Each program of the table."""
    told = json.dumps({"events": [EVENT]})
    told_deletion = json.dumps({"events": [deletion(service.response_url(), JobId=JOB)]})
    floor, floor_of_deletion = _Program("loop", told), _Program("answer", told_deletion)
    counts = {each: each.count(service) for each in (floor, floor_of_deletion)}
    with _without_bytecode() as bare:
        programs = {
            "an event": (_Program("ours", told), floor),
            "a deletion": (_Program("ours", told_deletion), floor_of_deletion),
            "an event, if the bundle had no bytecode": (_Program("ours", told, bare), floor),
            "an event, as the tutorials have it": (_Program("tutorial", told), floor),
        }
        return [
            Start(name, program.count(service), counts[floor], _ratio_of_seconds(service, program, floor))
            for name, (program, floor) in programs.items()
        ]


def _ratio_of_seconds(service: Service, program: _Program, floor: _Program) -> float:
    return median(program.seconds(service) / floor.seconds(service) for _ in range(PAIRS))


@contextmanager
def _without_bytecode() -> Iterator[Path]:
    with TemporaryDirectory() as directory:
        bare = Path(directory) / "bundle"
        shutil.copytree(BUNDLE, bare, ignore=shutil.ignore_patterns("__pycache__"))
        yield bare


def _begin(service: Service) -> None:
    service.begin()
    service.backend.add_job(JOB)


def section(starts: list[Start]) -> Section:
    """For the page."""
    rows = (
        (
            each.name,
            f"{each.instructions / 1e6:,.0f}",
            f"{each.instructions_of_floor / 1e6:,.0f}",
            f"{each.ratio:.2f}",
            f"{each.cpu:.2f}",
        )
        for each in starts
    )
    head = ("", "instructions, millions", "the floor's", "ratio", "ratio of CPU seconds")
    goals = [
        Goal(
            f"start-up, {start.name}, instructions over the floor",
            f"≤ {most:.2f}",
            f"{start.ratio:.2f}",
            start.ratio <= most,
            _OBSTACLE,
        )
        for start, most in zip(starts, (_MOST_OF_AN_EVENT, _MOST_OF_A_DELETION), strict=False)
    ]
    return Section("Start-up", [_TEXT, table(head, rows)], goals)
