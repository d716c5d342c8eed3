"""Check that `make check` and `make test` run the right test directories, and that `make nightly` runs all of them."""

import re
import shlex
import subprocess
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from tests.support.template import ROOT

ALL = {path.relative_to(ROOT) for path in ROOT.glob("tests/**/test_*.py")}
FAST = {"unit", "function", "architecture", "template"}


@cache
def commands(target: str) -> list[list[str]]:
    """Return the arguments of each pytest command of the target."""
    command = ["make", "--dry-run", "--no-print-directory", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    return [shlex.split(line)[1:] for line in done.stdout.splitlines() if line.startswith("pytest ")]


def files(*targets: str) -> set[Path]:
    """Return the test files that the targets run."""
    found: set[Path] = set()
    for command in (command for target in targets for command in commands(target)):
        named = [place for word in command if not word.startswith("-") for place in ROOT.glob(word) if place.is_dir()]
        ignored = [word.removeprefix("--ignore-glob=") for word in command if word.startswith("--ignore-glob=")]
        each = {path.relative_to(ROOT) for place in named for path in place.glob("**/test_*.py")}
        found |= {path for path in each if not any(fnmatch(str(path), f"{glob}/*") for glob in ignored)}
    return found


def nightly() -> list[str]:
    """Return the targets that `make nightly` runs."""
    parts = re.search(r"^for part in (.+); do$", (ROOT / ".ci" / "nightly").read_text(), re.MULTILINE)
    assert parts
    return parts[1].split()


def test_nightly_runs_every_test_file() -> None:
    assert files(*nightly()) == ALL
    assert {"breaks", "mutants", "fuzz", "audit"} <= set(nightly())


def test_the_gate_runs_all_but_the_nightly_directories() -> None:
    assert files("test") == {path for path in ALL if path.parent.name != "nightly"}


def test_check_runs_the_fast_directories_of_the_gate() -> None:
    assert files("check") == {path for path in files("test") if path.parts[1] in FAST}


def test_no_target_deselects_tests_of_its_directories() -> None:
    words = {word.partition("=")[0] for target in ("check", *nightly()) for each in commands(target) for word in each}
    assert {word for word in words if word.startswith("-")} == {"--numprocesses", "--dist", "--cov", "--ignore-glob"}
