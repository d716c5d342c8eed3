"""Print results to stdout: JSON as the AWS CLI prints it, and tables. Messages go to stderr, one line each."""

import json
import sys
from collections.abc import Sequence

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

PROGRAM = "iot-job-canceler"
_WIDTH_WITHOUT_TERMINAL = 120  # columns; the default of rich is 80


def is_terminal() -> bool:
    """Return True if a person reads stdout."""
    return sys.stdout.isatty()


def print_json(value: object) -> None:
    """Print a result with the indentation of the AWS CLI."""
    print(json.dumps(value, indent=4, ensure_ascii=False))


def print_line(text: str) -> None:
    """Print a line of a result that has a table."""
    print(text)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table. Cells that are too wide are wrapped."""
    table = Table(box=SIMPLE, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    Console(highlight=False, width=None if is_terminal() else _WIDTH_WITHOUT_TERMINAL).print(table)


def print_message(text: str) -> None:
    """Print a message to stderr in one line, whatever it quotes."""
    print(f"{PROGRAM}: {' '.join(text.split())}", file=sys.stderr)
