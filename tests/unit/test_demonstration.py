"""The table of `make run`, in a terminal of 80 columns."""

from dataclasses import astuple
from io import StringIO

from rich.console import Console

from tools.demo.demonstration import COLUMNS, EXPECTED
from tools.screen import Screen


def test_no_line_of_the_table_is_wrapped_in_80_columns() -> None:
    output = StringIO()
    console = Console(file=output, width=80, force_terminal=True, color_system=None)
    Screen(console).table("Title", COLUMNS, [astuple(row) for row in EXPECTED])
    _title, *lines = [line for line in output.getvalue().splitlines() if "─" not in line]
    rows = [COLUMNS, *map(astuple, EXPECTED)]
    assert len(lines) == sum(max(cell.count("\n") + 1 for cell in row) for row in rows)
