"""Reports that are named on the command line: read, and called so that they are told apart."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from dslite.errors import ReportError, SpecError
from dslite.files import told_apart
from dslite.records import BenchReport
from dslite.registry import registry
from dslite.report import document
from dslite.report.view import SORTABLE, sortable


class SortColumn(click.Choice[str]):
    """A column of the table of a bench: one of dslite's, or of a metric that a target describes."""

    def __init__(self) -> None:
        super().__init__(SORTABLE)

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no column."""
        if value in SORTABLE:
            return value
        if value in _sortable_on(registry().names("targets")):
            return value
        return super().convert(value, param, ctx)


def check_sort(column: str | None, targets: Iterable[str]) -> None:
    """Refuse to order rows by what none of the targets of a bench measures.

    Raises:
        SpecError: where it is no column of theirs.
    """
    names = dict.fromkeys(target.partition(":")[0] for target in targets)
    if column and column not in (*SORTABLE, *(own := _sortable_on(names))):
        raise SpecError(f"--sort {column}: not measured on {', '.join(names)}: take {', '.join((*SORTABLE, *own))}")


def _sortable_on(targets: Iterable[str]) -> list[str]:
    own = [metric for name in targets for metric in registry().get("targets", name).metrics]
    return [*sortable(own), *(metric.name for metric in own)]


def may_replace(path: Path) -> None:
    """Refuse to write a report over what is none: a model, a recording, JSON of others.

    Raises:
        SpecError: where it is.
    """
    if path.is_file() and path.stat().st_size:
        try:
            document.read(path)
        except ReportError as error:
            raise SpecError(f"-o: a file is there that is not ours: name another, or remove it: {error}") from None


def read(paths: Sequence[Path]) -> list[tuple[str, BenchReport]]:
    """Read reports, each with its name: as it is called, or with as many of its folders as tell it from others.

    Raises:
        ReportError: where one is missing, no report, or of a schema this version does not read.
    """
    names = told_apart([str(path.absolute()) for path in paths])
    return [(name, document.read(path)) for name, path in zip(names, paths, strict=True)]
