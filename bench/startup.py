"""A new interpreter, the import of the bundle and the first event, compared with a baseline."""

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
from bench.process import BUNDLE, instructions, run
from bench.service import JOB, Service, deletion

PAIRS = 7
EVENT: Mapping[str, Any] = {"cancel": {"jobIds": [JOB]}}
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
    input_text: str
    bundle: Path | None = None

    def count(self, service: Service) -> int:
        """Return its number of instructions."""
        _begin(service)
        return instructions(self.name, self.input_text, service.environment, bundle=self.bundle)

    def seconds(self, service: Service) -> float:
        """Return its CPU seconds."""
        _begin(service)
        return run(self.name, self.input_text, service.environment, bundle=self.bundle).cpu


def measure(service: Service) -> list[Start]:
    """Measure each program of the table."""
    input_text = json.dumps({"events": [EVENT]})
    deletion_input = json.dumps({"events": [deletion(service.response_url(), JobId=JOB)]})
    baseline, deletion_baseline = _Program("loop", input_text), _Program("respond", deletion_input)
    counts = {each: each.count(service) for each in (baseline, deletion_baseline)}
    with _without_bytecode() as bare:
        programs = {
            "an event": (_Program("ours", input_text), baseline),
            "a deletion": (_Program("ours", deletion_input), deletion_baseline),
            "an event, if the bundle had no bytecode": (_Program("ours", input_text, bare), baseline),
            "an event, as the tutorials have it": (_Program("tutorial", input_text), baseline),
        }
        return [
            Start(name, program.count(service), counts[baseline], _ratio_of_seconds(service, program, baseline))
            for name, (program, baseline) in programs.items()
        ]


def _ratio_of_seconds(service: Service, program: _Program, baseline: _Program) -> float:
    return median(program.seconds(service) / baseline.seconds(service) for _ in range(PAIRS))


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
