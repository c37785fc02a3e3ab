"""What becomes of the runs of a bench: a report that grows on disk, and copies of exported files."""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from dslite.deploy import manifest
from dslite.errors import WriteError
from dslite.records import BenchReport, Run
from dslite.report import document
from dslite.report.view import ordered


class Sink(Protocol):
    """Where the results of a bench go."""

    def add(self, report: BenchReport, new: Sequence[Run], /) -> None:
        """Take what there is so far, and the runs among it that are new, whose files are where they were measured."""

    def finish(self, report: BenchReport, /) -> BenchReport:
        """Take the whole, or what there is of it, and return it as it is to be shown.

        Raises:
            WriteError: where something could not be written.
        """


def shown_to_nobody(report: BenchReport) -> None:
    """Show nothing."""
    del report


@dataclass(frozen=True, slots=True)
class FileSink:
    """Writes the report to a file and copies exported files to a folder, where these are named.

    Attributes:
        output: file of the report, or None.
        keep: folder for copies of exported files, or None.
        sort: column the rows are ordered by, or None.
        descending: order of the rows.
        show: given the report at the end, also where it could not be written.
        problems: what could not be written on the way.
    """

    output: Path | None = None
    keep: Path | None = None
    sort: str | None = None
    descending: bool = False
    show: Callable[[BenchReport], None] = shown_to_nobody
    problems: list[WriteError] = field(default_factory=list)

    def add(self, report: BenchReport, new: Sequence[Run], /) -> None:
        """Write down what there is after new runs."""
        try:
            for run in new:
                if self.keep and run.artifact.exporter and not run.error:
                    manifest.copy_export(Path(run.artifact.path), self.keep)
        except WriteError as error:  # told at the end: measuring goes on
            self.problems.append(error)
        if self.output:
            with contextlib.suppress(WriteError):  # tried again at the end
                document.write(self._sorted(report), self.output)

    def finish(self, report: BenchReport, /) -> BenchReport:
        """Write the report and show it.

        Raises:
            WriteError: where the report or a file to keep could not be written; the report is shown all the same.
        """
        report = self._sorted(report)
        if self.output:
            try:
                document.write(report, self.output)
            except WriteError as error:
                self.problems.append(error)
        self.show(report)
        if self.problems:
            raise self.problems[0]
        return report

    def _sorted(self, report: BenchReport) -> BenchReport:
        if not self.sort:
            return report
        return replace(report, runs=tuple(ordered(report.runs, self.sort, descending=self.descending)))
