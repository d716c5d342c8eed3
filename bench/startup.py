"""A new interpreter, the import of the bundle and the first event, compared with a baseline."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from bench.page import Goal, Section, table
from bench.process import BUNDLE, at_once, instructions, run
from bench.service import JOB, Service, deletion

PAIRS = 7
_MAX_RATIO_OF_AN_EVENT, _MAX_RATIO_OF_A_DELETION = 1.10, 1.15  # of the instructions to the baseline's
_OBSTACLE = "Powertools' import, and the client of EventBridge for the report"
_TEXT = f"""
A new interpreter, the imports, the first event, with the packages of Lambda's runtime (boto3), and bytecode only in the
bundle. Instructions by `valgrind --tool=callgrind`; CPU seconds as the median ratio of {PAIRS} pairs. The baseline is
boto3, a client of IoT and one call; for a deletion also one PUT. The tutorials' function (in
`bench/programs/tutorial.py`) follows those of crhelper and Powertools, in a bundle as `sam build` creates it, without
bytecode. This function does not collect garbage at the start, so it can take less time than the baseline.
"""


@dataclass(frozen=True)
class Start:
    """One program against its baseline: instructions of both, and the ratio of CPU seconds, pair by pair."""

    name: str
    instructions: int
    baseline_instructions: int
    cpu: float

    @property
    def ratio(self) -> float:
        """The ratio of the instructions."""
        return self.instructions / self.baseline_instructions


@dataclass(frozen=True)
class _Program:
    name: str
    request: Callable[[Service, str], Mapping[str, Any]]
    bundle: Path | None = None

    def count(self, service: Service, job_id: str) -> Callable[[], int]:
        """Return a function that counts the instructions that the program executes to cancel the job."""
        return partial(instructions, self.name, self._input(service, job_id), service.environment, bundle=self.bundle)

    def seconds(self, service: Service) -> float:
        """Return its CPU seconds."""
        service.begin()
        return run(self.name, self._input(service, JOB), service.environment, bundle=self.bundle).cpu

    def _input(self, service: Service, job_id: str) -> str:
        service.backend.add_job(job_id)
        return json.dumps({"events": [self.request(service, job_id)]})


def _cancel_event(_service: Service, job_id: str) -> Mapping[str, Any]:
    return {"cancel": {"jobIds": [job_id]}}


def _deletion_event(service: Service, job_id: str) -> Mapping[str, Any]:
    return deletion(service.response_url(job_id), JobId=job_id)


def measure(service: Service) -> list[Start]:
    """Measure each program of the table."""
    baseline, deletion_baseline = _Program("loop", _cancel_event), _Program("respond", _deletion_event)
    with _without_bytecode() as bare:
        pairs = {
            "an event": (_Program("ours", _cancel_event), baseline),
            "a deletion": (_Program("ours", _deletion_event), deletion_baseline),
            "an event, if the bundle had no bytecode": (_Program("ours", _cancel_event, bare), baseline),
            "an event, as the tutorials have it": (_Program("tutorial", _cancel_event), baseline),
        }
        service.begin()
        programs = dict.fromkeys(program for pair in pairs.values() for program in pair)
        measurements = [program.count(service, f"{JOB}-{number}") for number, program in enumerate(programs)]
        counts = dict(zip(programs, at_once(measurements), strict=True))
        return [
            Start(name, counts[program], counts[baseline], _ratio_of_seconds(service, program, baseline))
            for name, (program, baseline) in pairs.items()
        ]


def _ratio_of_seconds(service: Service, program: _Program, baseline: _Program) -> float:
    return median(program.seconds(service) / baseline.seconds(service) for _ in range(PAIRS))


@contextmanager
def _without_bytecode() -> Iterator[Path]:
    with TemporaryDirectory() as directory:
        bare = Path(directory) / "bundle"
        shutil.copytree(BUNDLE, bare, ignore=shutil.ignore_patterns("__pycache__"))
        yield bare


def section(starts: list[Start]) -> Section:
    """Return the section of the page."""
    rows = (
        (
            each.name,
            f"{each.instructions / 1e6:,.0f}",
            f"{each.baseline_instructions / 1e6:,.0f}",
            f"{each.ratio:.2f}",
            f"{each.cpu:.2f}",
        )
        for each in starts
    )
    head = ("", "instructions, millions", "the baseline's", "ratio", "ratio of CPU seconds")
    goals = [
        Goal(
            f"start-up, {start.name}, instructions over the baseline",
            f"≤ {most:.2f}",
            f"{start.ratio:.2f}",
            start.ratio <= most,
            _OBSTACLE,
        )
        for start, most in zip(starts, (_MAX_RATIO_OF_AN_EVENT, _MAX_RATIO_OF_A_DELETION), strict=False)
    ]
    return Section("Start-up", [_TEXT, table(head, rows)], goals)
