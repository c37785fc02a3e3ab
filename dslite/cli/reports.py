"""Reports that are named on the command line: read, and called so that they are told apart."""

from collections.abc import Sequence
from pathlib import Path

from dslite.errors import ReportError, SpecError
from dslite.files import told_apart
from dslite.records import BenchReport
from dslite.report import document


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
