"""What commands share on the terminal: consoles, progress, tables, JSON."""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dslite.records import Progress as Report

if TYPE_CHECKING:
    from rich.progress import Progress

_PIPED_WIDTH = 2000
"""Characters a line may have where nobody looks at it: `grep` and `awk` want rows unbroken."""

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")


def out() -> Console:
    """Give a console on standard output: colours and the terminal's width, or plain and wide in a pipe."""
    piped = not sys.stdout.isatty()
    return Console(width=_PIPED_WIDTH if piped else None, highlight=False, soft_wrap=False)


def err() -> Console:
    """Give a console on standard error, likewise."""
    piped = not sys.stderr.isatty()
    return Console(file=sys.stderr, width=_PIPED_WIDTH if piped else None, highlight=False, soft_wrap=False)


def print_json(data: Any) -> None:
    """Write JSON to standard output."""
    click.echo(json.dumps(data, indent=1, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], console: Console | None = None) -> None:
    """Write a table of text, left-aligned, to standard output or a console that is given.

    On a narrow terminal the widest columns fold, and nothing is cut.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in columns:
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    (console or out()).print(table)


@contextmanager
def progress(steps: int = 1) -> Iterator["Steps"]:
    """Show a bar on standard error while the block runs, with the time left once a step is done; nothing in a pipe.

    Args:
        steps: how many times `Steps.start` will be called.
    """
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr, width=None if sys.stderr.isatty() else _PIPED_WIDTH, highlight=False)
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}"),
        console=console,
        transient=True,
        refresh_per_second=4,  # drawing takes time from what is being measured
        disable=not console.is_terminal,
    )
    with bar:
        yield Steps(bar, steps)


class Steps:
    """A bar of several steps, each of which may report a fraction of itself."""

    def __init__(self, bar: "Progress", steps: int) -> None:
        self._bar = bar
        self._n_steps = steps
        self._task = bar.add_task("", total=steps, left="")
        self._done = -1
        self._begin = time.monotonic()

    def start(self, what: str) -> Report:
        """Begin the next step; what is returned takes its progress."""
        self._done += 1
        self._bar.update(self._task, completed=self._done, description=what, left=self._left())

        def report(detail: str, fraction: float) -> None:
            self._bar.update(self._task, completed=self._done + fraction, description=f"{what}: {detail}")

        return report

    def tell(self, line: str) -> None:
        """Write a line above the bar; in a pipe, a line."""
        left = self._left(self._done + 1)
        self._bar.console.print(f"[{self._done + 1}/{self._n_steps}] {line}{left and f'; {left}'}", markup=False)

    def _left(self, done: int | None = None) -> str:
        """Estimate from the mean of the steps done: these differ, so it is told in whole minutes."""
        done = self._done if done is None else done
        if not 0 < done < self._n_steps:
            return ""
        left_s = (time.monotonic() - self._begin) / done * (self._n_steps - done)
        return f"about {left_s / 60:.0f} min left" if left_s >= 90 else f"about {left_s:.0f} s left"  # noqa: PLR2004
