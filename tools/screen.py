"""The output for the user: steps, texts and tables. Prints plain lines if stdout is not a terminal."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.prompt import Confirm
from rich.table import Table

_WIDTH_WITHOUT_TERMINAL = 120  # columns; the default of rich is 80


class Screen:
    """Prints all output of a command."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(highlight=False)
        if not self._console.is_terminal:
            self._console.width = _WIDTH_WITHOUT_TERMINAL

    @contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show `what` while the block runs, and its duration afterwards."""
        started = time.monotonic()
        try:
            with self._console.status(escape(what)) if self._console.is_terminal else nullcontext():
                yield
        except BaseException:
            self._console.print(f"[red]failed[/]  {escape(what)}")
            raise
        self._console.print(f"[green]done[/] [dim]{time.monotonic() - started:5.1f} s[/]  {escape(what)}")

    @contextmanager
    def progress(self, what: str, total: int) -> Iterator[Callable[[int], None]]:
        """Show a progress bar. Yields the function that updates the number of items done, of `total`."""
        started = time.monotonic()
        with Progress(console=self._console, transient=True, disable=not self._console.is_terminal) as bar:
            task = bar.add_task(escape(what), total=total)
            yield lambda done: bar.update(task, completed=done)
        self._console.print(f"[green]done[/] [dim]{time.monotonic() - started:5.1f} s[/]  {escape(what)}")

    def say(self, text: str, style: str = "") -> None:
        """Print a text without wrapping it, so that the user can copy it."""
        self._console.print(text, style=style, markup=False, soft_wrap=True)

    def ask(self, question: str) -> bool:
        """Return True if the user confirms. The end of the input means no."""
        try:
            return Confirm.ask(escape(question), console=self._console, default=False)
        except EOFError:
            return False

    def section(self, title: str, text: str) -> None:
        """Print a text under a line with its title."""
        self._console.rule(escape(title), align="left")
        self.say(text)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Print a table of texts with rich's markup."""
        table = Table(title=title, title_justify="left", box=SIMPLE, show_edge=False, padding=(0, 1, 0, 0))
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self._console.print(table)
