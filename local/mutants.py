"""`make mutants`: change what decides, in one small place at a time, and see whether a unit test notices.

mutmut does so in functions and methods. Constants and properties, which it passes over, are changed here, with its own
operators. docs/mutants.md has the changes that no test notices, each with the reason; it may hold no other.
"""

import ast
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from tempfile import TemporaryDirectory

import libcst as cst
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.mutation.file_mutation import create_mutations, deep_replace
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import walk_mutatable_files
from mutmut.utils.format_utils import orig_function_and_class_names_from_key

_LEAST_SCORE = 0.95
_LIST = Path("docs/mutants.md")
_LISTED = re.compile(r"^### `([^`]+)`\n\n```diff\n([^`]+)\n```\n\n[^#`\s]", re.MULTILINE)
_LONGEST_RUN = 60  # seconds; a change that makes the tests run for longer is noticed, too
_PROPERTY, _HIDDEN = "    @property\n", "    # @property\n"  # mutmut passes over what is decorated


@dataclass(frozen=True)
class Mutant:
    """One change: where it is, its diff, and whether a test fails with it."""

    place: str
    diff: str
    killed: bool


def main() -> int:
    """Exit code: 0 if the score is high enough, and the list is that of the survivors."""
    shutil.rmtree("mutants", ignore_errors=True)  # mutmut would not try again what it has tried with other tests
    subprocess.run([sys.executable, "-m", "mutmut", "run"], check=True)
    paths = sorted(walk_mutatable_files())
    mutants = [mutant for path in paths for mutant in _in_functions(path)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        if not all(pool.map(_passes, paths, [path.read_text() for path in paths])):
            raise SystemExit("the tests fail without a change")
        changes = [(path, changed) for path in paths for changed in _changed_elsewhere(path)]
        mutants += pool.map(_elsewhere, *zip(*changes, strict=True))
    return _judge(mutants, set(_LISTED.findall(_LIST.read_text())))


def _in_functions(path: Path) -> Iterator[Mutant]:
    """What mutmut has found out."""
    data = SourceFileMutationData(path=path)
    data.load()
    for name, exit_code in data.exit_code_by_key.items():
        function, owner = orig_function_and_class_names_from_key(name)
        place = ".".join(filter(None, (path.stem, owner, function)))
        diff = _diff(get_diff_for_mutant(name, path=path).splitlines())
        yield Mutant(place, diff, status_by_exit_code[exit_code] in {"killed", "timeout"})


def _changed_elsewhere(path: Path) -> Iterator[str]:
    """The source with one change, for every change that mutmut knows outside functions, and in properties."""
    module, mutations, *_ = create_mutations(str(path), path.read_text().replace(_PROPERTY, _HIDDEN))
    for mutation in mutations:
        within = mutation.contained_by_top_level_function
        if not isinstance(within, cst.FunctionDef) or _HIDDEN.strip() in map(_comment, within.leading_lines):
            changed = deep_replace(module, mutation.original_node, mutation.mutated_node)
            yield changed.code.replace(_HIDDEN, _PROPERTY)


def _comment(line: cst.EmptyLine) -> str:
    return line.comment.value if line.comment else ""


def _elsewhere(path: Path, changed: str) -> Mutant:
    source = path.read_text()
    diff = list(unified_diff(source.splitlines(), changed.splitlines(), n=0, lineterm=""))
    line = int(re.findall(r"-(\d+)", diff[2])[0])
    place = ".".join((path.stem, *_names_around(line, ast.parse(source).body)))
    return Mutant(place, _diff(diff), not _passes(path, changed))


def _names_around(line: int, body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.lineno <= line <= (node.end_lineno or line):
            yield node.name
            yield from _names_around(line, node.body)


def _diff(lines: Iterable[str]) -> str:
    """The lines that differ, without their indentation."""
    changed = (line for line in lines if re.match(r"[+-](?![+-]{2} )", line))
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in changed)


def _passes(path: Path, source: str) -> bool:
    """True if the module's own tests pass with `source` in the place of `path`."""
    with TemporaryDirectory() as place:
        package = Path(place) / path.parent.name
        shutil.copytree(path.parent, package)
        (package / path.name).write_text(source)
        options = ["-x", "-q", "-p", "no:cacheprovider", "-o", f"pythonpath={place} ."]
        command = [sys.executable, "-m", "pytest", *options, f"tests/unit/test_{path.stem}.py"]
        try:
            return not subprocess.run(command, capture_output=True, timeout=_LONGEST_RUN, check=False).returncode
        except subprocess.TimeoutExpired:
            return False


def _judge(mutants: list[Mutant], listed: set[tuple[str, str]]) -> int:
    survivors = {(mutant.place, mutant.diff) for mutant in mutants if not mutant.killed}
    for title, entries in (("Not in the list", survivors - listed), ("Only in the list", listed - survivors)):
        for place, diff in sorted(entries):
            _say(f"{title}:\n\n### `{place}`\n\n```diff\n{diff}\n```\n")
    total, killed = Counter(map(_module, mutants)), Counter(_module(each) for each in mutants if each.killed)
    for module, number in total.items():
        _say(f"{module:12} {killed[module]:5} of {number:5}")
    score = killed.total() / total.total()
    _say(f"{'all':12} {killed.total():5} of {total.total():5} are killed: {score:.1%}")
    return int(score < _LEAST_SCORE or survivors != listed)


def _module(mutant: Mutant) -> str:
    return mutant.place.partition(".")[0]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
