"""Try every break in a copy of the project: `python -m tests.breaks` fails if one of them goes unnoticed."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.breaks import BREAKS, Break

ROOT = Path(__file__).parents[2]
FAILED = 1  # pytest's exit code for tests that failed: not for one that is not there, or does not start


@contextmanager
def copy() -> Iterator[Path]:
    """The project without what is built."""
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "project"
        shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(".git", ".venv*", ".aws-sam", ".*_cache", "dist"))
        yield root


def exit_code(root: Path, test: str) -> int:
    """Of the one test. No example of an earlier run is tried first, and none is kept."""
    command = [sys.executable, "-m", "pytest", "--quiet", "--exitfirst", "-p", "no:cacheprovider", test]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "ACCOUNT_SHRINKS": "no"}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False).returncode  # noqa: S603


def is_caught(root: Path, each: Break) -> bool:
    """True if the test passes as it is, and fails with the break."""
    module = root / "src" / "handler" / f"{each.module}.py"
    before = module.read_text()
    if exit_code(root, each.test) != 0:
        return False
    module.write_text(before.replace(each.text, each.instead))
    try:
        return exit_code(root, each.test) == FAILED
    finally:
        module.write_text(before)


def main() -> int:
    """Exit code: 0 if every break is caught."""
    table = Table("guarantee", "break", "test that fails", "caught")
    caught = 0
    with copy() as root:
        for each in BREAKS:
            is_noticed = is_caught(root, each)
            caught += is_noticed
            table.add_row(each.guarantee, each.what, each.test.rpartition("::")[2], "yes" if is_noticed else "NO")
    Console(width=200 if not sys.stdout.isatty() else None).print(table)
    print(f"{caught} of {len(BREAKS)} breaks are caught")  # noqa: T201 - what the command is for
    return 0 if caught == len(BREAKS) else 1


if __name__ == "__main__":
    sys.exit(main())
