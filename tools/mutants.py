"""`make mutants`: run mutation tests of the pure modules, and compare the survivors with tests/mutants.md.

mutmut changes functions and methods, but neither constants nor properties. This module applies its operators to those.
tests/mutants.md lists every mutant that survives the unit tests, with the reason, and no other mutant.
"""

import ast
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import libcst as cst
import pytest
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import create_mutations, deep_replace
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

_MIN_SCORE = 0.95
_HANDLER = Path("src/handler")
_LIST = Path("tests/mutants.md")
_LISTED = re.compile(r"^### `([^`]+)`\n\n```diff\n([^`]+)\n```\n\n[^#`\s]", re.MULTILINE)
_MAX_TEST_SECONDS = 60  # a mutant whose tests run longer counts as killed
_PROPERTY, _HIDDEN = "    @property\n", "    # @property\n"  # mutmut ignores decorated functions


@dataclass(frozen=True)
class Mutant:
    """One change of the code. It is killed if a test fails with it. `module` and `place` are dotted names."""

    module: str
    place: str
    diff: str
    killed: bool


def main() -> int:
    """Return exit code 0 if the score is high enough and tests/mutants.md lists exactly the survivors."""
    shutil.rmtree("mutants", ignore_errors=True)  # mutmut reuses results, even of other tests
    subprocess.run([sys.executable, "-m", "mutmut", "run"], check=True)
    paths = sorted(walk_mutatable_files())
    mutants = [mutant for path in paths for mutant in _in_functions(path)]
    if not all(_pass([(path, path.read_text()) for path in paths])):
        raise SystemExit("the tests fail without a change")
    changes = [(path, changed) for path in paths for changed in _changed_outside_functions(path)]
    mutants += [_of_change(*change, killed=not passed) for change, passed in zip(changes, _pass(changes), strict=True)]
    return _report(mutants, set(_LISTED.findall(_LIST.read_text())))


def _in_functions(path: Path) -> Iterator[Mutant]:
    """Read the results of mutmut."""
    data = SourceFileMutationData(path=path)
    data.load()
    for name, exit_code in data.exit_code_by_key.items():
        function, owner = orig_function_and_class_names_from_key(name)
        place = ".".join(filter(None, (_module(path), owner, function)))
        diff = _diff(get_diff_for_mutant(name, path=path).splitlines())
        yield Mutant(_module(path), place, diff, status_by_exit_code[exit_code] in {"killed", "timeout"})


def _changed_outside_functions(path: Path) -> Iterator[str]:
    """Yield the changed source for each mutation outside functions and in properties."""
    module, mutations, *_ = create_mutations(str(path), path.read_text().replace(_PROPERTY, _HIDDEN))
    for mutation in mutations:
        within = mutation.contained_by_top_level_function
        if not isinstance(within, cst.FunctionDef) or _HIDDEN.strip() in map(_comment, within.leading_lines):
            changed = deep_replace(module, mutation.original_node, mutation.mutated_node)
            yield changed.code.replace(_HIDDEN, _PROPERTY)


def _comment(line: cst.EmptyLine) -> str:
    return line.comment.value if line.comment else ""


def _of_change(path: Path, changed: str, *, killed: bool) -> Mutant:
    source = path.read_text()
    diff = list(unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm=""))
    line = int(re.findall(r"-(\d+)", diff[2])[0])
    place = ".".join((_module(path), *_names_around(line, ast.parse(source).body)))
    return Mutant(_module(path), place, _diff(diff), killed)


def _names_around(line: int, body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or line):
            yield node.name
            yield from _names_around(line, node.body)


def _diff(lines: Iterable[str]) -> str:
    """Return the changed lines without their indentation."""
    changed = (line for line in lines if re.match(r"[+-](?![+-]{2} )", line))
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in changed)


def _pass(changes: Sequence[tuple[Path, str]]) -> list[bool]:
    """Return for each change, a path and its new content, whether the unit tests of the module pass with it.

    Each runs in a fork of this process, which has imported what the tests need but not what they test: imports would
    take most of the time.
    """
    for library in ("boto3", "crhelper", "hypothesis", "aws_lambda_powertools", "pytest", "urllib3"):
        import_module(library)
    passed = [False] * len(changes)
    running: dict[int, int] = {}
    for index, change in enumerate(changes):
        if len(running) == os.cpu_count():
            _collect(running, passed)
        process = os.fork()
        if not process:
            os._exit(_exit_code(*change))
        running[process] = index
    while running:
        _collect(running, passed)
    return passed


def _collect(running: dict[int, int], passed: list[bool]) -> None:
    process, status = os.wait()
    passed[running.pop(process)] = os.waitstatus_to_exitcode(status) == 0


def _exit_code(path: Path, source: str) -> int:
    signal.alarm(_MAX_TEST_SECONDS)  # which ends the process
    with Path(os.devnull).open("w") as null:
        for stream in (1, 2):
            os.dup2(null.fileno(), stream)
    with TemporaryDirectory() as directory:
        package = Path(directory) / _HANDLER.name
        shutil.copytree(_HANDLER, package)
        module = path.relative_to(_HANDLER)
        (package / module).write_text(source)
        sys.path[:0] = [directory, "."]
        options = ["-x", "-q", "-p", "no:cacheprovider", "-o", f"pythonpath={directory} ."]
        options += ["-W", "ignore::pytest.PytestAssertRewriteWarning"]  # of the imported hypothesis
        return int(pytest.main([*options, f"tests/unit/{module.parent}/test_{module.name}"]))


def _report(mutants: list[Mutant], listed: set[tuple[str, str]]) -> int:
    survivors = {(mutant.place, mutant.diff) for mutant in mutants if not mutant.killed}
    for title, entries in (("Not in the list", survivors - listed), ("Only in the list", listed - survivors)):
        for place, diff in sorted(entries):
            _say(f"{title}:\n\n### `{place}`\n\n```diff\n{diff}\n```\n")
    total, killed = Counter(each.module for each in mutants), Counter(each.module for each in mutants if each.killed)
    for module, number in total.items():
        _say(f"{module:26} {killed[module]:5} of {number:5}")
    score = killed.total() / total.total()
    _say(f"{'all':26} {killed.total():5} of {total.total():5} are killed: {score:.1%}")
    return int(score < _MIN_SCORE or survivors != listed)


def _module(path: Path) -> str:
    return ".".join(path.relative_to(_HANDLER).with_suffix("").parts)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
