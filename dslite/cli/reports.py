"""Reports that are named on the command line: read, and called so that they are told apart."""

from collections.abc import Sequence
from pathlib import Path, PurePath

from dslite.records import BenchReport
from dslite.report import document


def read(paths: Sequence[Path]) -> list[tuple[str, BenchReport]]:
    """Read reports, each with its name: as it is called, or with as many of its folders as tell it from others.

    Raises:
        ReportError: where one is missing, no report, or of a schema this version does not read.
    """
    places = [path.resolve().parts for path in paths]
    return [(_name(parts, places), document.read(path)) for path, parts in zip(paths, places, strict=True)]


def _name(parts: tuple[str, ...], places: Sequence[tuple[str, ...]]) -> str:
    others = {other for other in places if other != parts}
    n = next(n for n in range(1, len(parts) + 1) if all(other[-n:] != parts[-n:] for other in others))
    return PurePath(*parts[-n:]).as_posix()
