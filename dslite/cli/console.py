"""What commands share on the terminal: consoles, progress, tables, JSON."""

import itertools
import json
import re
import shlex
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from dslite.records import BenchReport
from dslite.records import Progress as Report

if TYPE_CHECKING:
    from rich.progress import Progress

_PIPED_WIDTH = 2000
"""Characters a line may have where nobody looks at it: `grep` and `awk` want rows unbroken."""

_WITH_OPTIONS = re.compile(r"[\w,.*-]+:\w+=")
"""The name of a plugin with options, or a list of such."""
_TOLD_FROM = 0.03
"""Share of the work from which on the time left is told: starting a process, before it, says nothing."""
_SHORTEST_TITLE = 12
"""Characters that are left of the name of what is at work, however narrow the terminal."""

json_option = click.option("--json", "as_json", is_flag=True, help="Write JSON to standard output.")


def out() -> Console:
    """Give a console on standard output: colours and the terminal's width, or plain and wide in a pipe."""
    return Console(width=_width(sys.stdout), highlight=False, soft_wrap=False)


def err() -> Console:
    """Give a console on standard error, likewise."""
    return Console(file=sys.stderr, width=_width(sys.stderr), highlight=False, soft_wrap=False)


def _width(stream: TextIO) -> int | None:
    """Give the width of lines; None: that of the terminal."""
    return None if stream.isatty() else _PIPED_WIDTH


def command_line() -> str:
    """Give the command as it was typed, but for folders: of an absolute path only the name."""
    from dslite.report.document import without_folders

    def bare(word: str) -> str:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        if _WITH_OPTIONS.match(value):
            return option + equals + without_folders(value)
        return option + equals + (Path(value).name if Path(value).is_absolute() else value)

    return shlex.join(["dslite", *map(bare, sys.argv[1:])])


def print_json(data: Any) -> None:
    """Write JSON to standard output."""
    click.echo(json.dumps(data, indent=1, ensure_ascii=False))


def show_report(report: BenchReport, table: Callable[[BenchReport, int], RenderableType], *, as_json: bool) -> None:
    """Write a report to standard output: as JSON, or as the table that is laid out for so many characters."""
    from dslite.report import document

    if as_json:
        click.echo(document.to_text(report), nl=False)
    else:
        console = out()
        console.print(table(report, console.width))


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
def progress(
    steps: int | Sequence[float] = 1, seconds_left: Callable[[], float | None] | None = None
) -> Iterator["Steps"]:
    """Show a bar on standard error while the block runs, with the time left once a step is done; nothing in a pipe.

    Args:
        steps: how many times `Steps.start` will be called; or of each of these steps, how long it takes in any unit.
        seconds_left: estimates the time left, None where it cannot yet; else it is estimated from what `steps` says.
    """
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn, TimeElapsedColumn
    from rich.table import Column

    class _TitleColumn(ProgressColumn):
        def render(self, task: Task) -> _Title:
            return _Title(task.description, task.fields["detail"])

    console = err()
    bar = Progress(
        SpinnerColumn(),
        _TitleColumn(table_column=Column(no_wrap=True, ratio=1)),
        BarColumn(bar_width=16),
        TimeElapsedColumn(),
        TextColumn("{task.fields[left]}", table_column=Column(no_wrap=True, min_width=len("about 100 min left"))),
        console=console,
        expand=True,  # where the terminal is narrow the name of what is at work is cut; the time left never is
        transient=True,
        refresh_per_second=4,  # drawing takes time from what is being measured
        disable=not console.is_terminal,
    )
    with bar:
        yield Steps(bar, [1.0] * steps if isinstance(steps, int) else steps, seconds_left)


@dataclass(frozen=True, slots=True)
class _Title:
    """What is at work, and what it does: the first is cut where both do not fit, as the second is what changes."""

    what: str
    detail: str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Text]:
        detail = f": {self.detail}" if self.detail else ""
        what = Text(self.what)
        what.truncate(max(_SHORTEST_TITLE, options.max_width - len(detail)), overflow="ellipsis")
        yield Text(f"{what}{detail}", no_wrap=True, overflow="ellipsis", end="")

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(_SHORTEST_TITLE, options.max_width)


class Steps:
    """A bar of several steps, each of which may report a fraction of itself."""

    def __init__(
        self, bar: "Progress", costs: Sequence[float], seconds_left: Callable[[], float | None] | None = None
    ) -> None:
        self._bar = bar
        self._seconds_left = seconds_left
        self._done = list(itertools.accumulate(costs, initial=0.0))  # after so many steps; also of no step at all
        self._task = bar.add_task("", total=self._done[-1], detail="", left="")
        self._n_begun = 0
        self._skipped = 0.0
        self._begin = time.monotonic()

    def start(self, what: str) -> Report:
        """Begin the next step; what is returned takes its progress."""
        done = self._behind(self._n_begun)
        self._n_begun += 1
        cost = self._behind(self._n_begun) - done
        self._bar.update(self._task, completed=done, description=what, detail="", left=self._left(done))

        def report(detail: str, fraction: float) -> None:
            now = done + fraction * cost
            self._bar.update(self._task, completed=now, detail=detail, left=self._left(now))

        return report

    def pace_changes(self) -> None:
        """Estimate the time left from the steps that are begun from now on: they say nothing of each other."""
        self._skipped = self._behind(self._n_begun)
        self._begin = time.monotonic()

    def skip_to(self, n_steps: int) -> None:
        """Leave steps out, so that so many are behind; the time left is estimated from what is done from now on."""
        if n_steps > self._n_begun:
            self._n_begun = n_steps
            self.pace_changes()

    def tell(self, line: str) -> None:
        """Write a line above the bar; in a pipe, a line. It belongs to the step that was begun last, and ends it."""
        left = self._left(self._behind(self._n_begun))
        self._bar.console.print(f"[{self._n_begun}/{len(self._done) - 1}] {line}{left and f'; {left}'}", markup=False)

    def _behind(self, n_steps: int) -> float:
        return self._done[min(n_steps, len(self._done) - 1)]

    def _left(self, done: float) -> str:
        """Estimate from the steps done: these differ, so it is told in whole minutes."""
        if done >= self._done[-1]:
            return ""
        if self._seconds_left:
            left_s = self._seconds_left()
        elif done - self._skipped > _TOLD_FROM * (self._done[-1] - self._skipped):
            left_s = (time.monotonic() - self._begin) / (done - self._skipped) * (self._done[-1] - done)
        else:
            left_s = None
        if left_s is None:
            return ""
        return f"about {left_s / 60:.0f} min left" if left_s >= 90 else f"about {left_s:.0f} s left"  # noqa: PLR2004


class _Terminal:
    """The `dslite.experiment.reporter.Reporter` of commands: a bar and notes on standard error."""

    progress = staticmethod(progress)

    def note(self, text: str, /) -> None:
        """Write a line to standard error."""
        click.echo(f"note: {text}", err=True)


TERMINAL = _Terminal()
