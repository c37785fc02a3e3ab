"""What becomes of the runs of a bench: report on disk while it grows, files kept, table or JSON at the end."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dslite.cli.console import command_line, out
from dslite.deploy import manifest
from dslite.errors import WriteError
from dslite.records import BenchReport, Run
from dslite.report import document
from dslite.report.terminal import report_table
from dslite.report.view import ordered

if TYPE_CHECKING:
    from rich.console import RenderableType


def show(report: BenchReport, table: "Callable[[int], RenderableType]", *, as_json: bool) -> None:
    """Write a report to standard output.

    Args:
        report: to be written.
        table: lays it out for so many characters.
        as_json: the report itself, in place of its table.
    """
    if as_json:
        click.echo(document.to_text(report), nl=False)
    else:
        console = out()
        console.print(table(console.width))


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where results go, and how.

    Attributes:
        environment: of the report, taken before the first run: its load is not ours.
        output: file of the report, or None.
        keep: folder for copies of exported files, or None.
        sort: column the rows are ordered by, or None.
        descending: order of the rows.
        as_json: the report on standard output, instead of the table.
        problems: what could not be written on the way.
    """

    environment: dict[str, Any]
    output: Path | None
    keep: Path | None
    sort: str | None
    descending: bool
    as_json: bool
    problems: list[WriteError] = field(default_factory=list)

    def add(self, runs: Sequence[Run], new: Sequence[Run], missing: str = "") -> None:
        """Write down what there is after new runs."""
        try:
            for run in new:
                if self.keep and run.artifact.exporter and not run.error:
                    manifest.copy_export(Path(run.artifact.path), self.keep)
        except WriteError as error:  # told at the end: measuring goes on
            self.problems.append(error)
        if self.output:
            with contextlib.suppress(WriteError):  # tried again at the end
                document.write(self._report(runs, missing), self.output)

    def give(self, runs: Sequence[Run], missing: str = "") -> None:
        """Write the report and show it.

        Raises:
            WriteError: where the report or a file to keep could not be written; the report is shown all the same.
        """
        report = self._report(runs, missing)
        if self.output:
            try:
                document.write(report, self.output)
            except WriteError as error:
                self.problems.append(error)
        show(report, lambda width: report_table(report, width, self.sort), as_json=self.as_json)
        if self.problems:
            raise self.problems[0]

    def _report(self, runs: Sequence[Run], missing: str) -> BenchReport:
        rows = ordered(runs, self.sort, descending=self.descending) if self.sort else runs
        return document.report(rows, command_line(), self.environment, missing)
