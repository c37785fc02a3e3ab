"""Files of features as Deep Spectrum, openSMILE and Weka have them: a row a file or chunk, CSV or ARFF.

ARFF as Weka's manual describes it; names and labels are in single quotes where its reader, Java's StreamTokenizer,
would not take them as they are, with that reader's escapes.
"""

import csv
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

from dslite.errors import RunError, SpecError
from dslite.files import written_whole

SUFFIXES = (".csv", ".arff")
_ESCAPED = str.maketrans({"\\": "\\\\", "'": "\\'", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_NEED_QUOTES = frozenset("{},?\\'\"%") | frozenset(map(chr, range(33)))

Row = tuple[str, npt.ArrayLike, str | float, tuple[float, float] | None]
"""File name, features ``(d,)``, label, and where in the file they are from, s, or None for the whole file."""
_Cells = tuple[str, list[str], str]
"""A row as it is written: name, numbers, label."""


def check_path(path: Path) -> None:
    """Refuse a path that says neither CSV nor ARFF, before anything long starts.

    Raises:
        SpecError: where its suffix is another.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise SpecError(f"{path}: expected a name that ends in {' or '.join(SUFFIXES)}")


def write_features(
    path: Path, rows: Iterable[Row], n_features: int, labels: Sequence[str], *, spans: bool = False
) -> int:
    """Write features row by row as they come, whole or not at all.

    Columns are ``file``, with `spans` ``start_s,end_s``, then ``feature_0`` to ``feature_{d-1}``, and ``label``.
    Features are written with nine digits, which give each float32 back.

    Args:
        path: ends in ``.csv`` (RFC 4180, UTF-8) or ``.arff`` (UTF-8).
        rows: in the order they are written in.
        n_features: that each row has.
        labels: names of the classes; empty where labels are numbers.
        spans: whether each row says where in its file it is from.

    Returns:
        The number of rows.

    Raises:
        SpecError: where the path has another suffix, or a row does not fit.
        RunError: where a feature is not finite.
        WriteError: where the system refuses to write.
    """
    check_path(path)
    written = itertools.count()
    cells = _cells(rows, n_features, frozenset(labels), spans=spans)
    counted = (row for row, _ in zip(cells, written, strict=False))
    columns = [*(["start_s", "end_s"] if spans else []), *(f"feature_{i}" for i in range(n_features))]
    with written_whole(path) as place, place.open("w", encoding="utf-8", newline="") as file:
        if path.suffix.lower() == ".arff":
            _write_arff(file, path.stem, columns, labels, counted)
        else:
            table = csv.writer(file)
            table.writerow(["file", *columns, "label"])
            table.writerows([name, *numbers, label] for name, numbers, label in counted)
    return next(written)


def _cells(rows: Iterable[Row], n_features: int, labels: frozenset[str], *, spans: bool) -> Iterator[_Cells]:
    """Check rows and write their numbers."""
    for name, features, label, span in rows:
        values = np.asarray(features, np.float32)
        if values.shape != (n_features,) or (span is not None) != spans:
            wanted = f"{n_features} features {'with' if spans else 'without'} a span"
            raise SpecError(f"{name}: expected {wanted}, got {values.shape} and {span}")
        if labels and label not in labels:
            raise SpecError(f"{name}: expected a label among {', '.join(sorted(labels))}, got {label!r}")
        if not np.isfinite(values).all():
            at = int(np.flatnonzero(~np.isfinite(values))[0])
            raise RunError(f"{name}: expected finite features, got {values[at]} as feature {at}: use other weights")
        shown = label if labels else _number(label, name)
        yield name, [*(f"{s:.6f}" for s in span or ()), *(f"{v:.9g}" for v in values.tolist())], str(shown)


def _number(label: str | float, name: str) -> str:
    try:
        value = float(label)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SpecError(f"{name}: expected a number as label, got {label!r}")
    return repr(value)


def _write_arff(
    file: TextIO, relation: str, columns: Iterable[str], labels: Sequence[str], rows: Iterable[_Cells]
) -> None:
    file.write(f"@relation {arff_quoted(relation)}\n\n@attribute file string\n")
    file.writelines(f"@attribute {name} numeric\n" for name in columns)
    kind = "{" + ",".join(map(arff_quoted, labels)) + "}" if labels else "numeric"
    file.write(f"@attribute label {kind}\n\n@data\n")
    file.writelines(",".join([arff_quoted(name), *numbers, arff_quoted(label)]) + "\n" for name, numbers, label in rows)


def arff_quoted(text: str) -> str:
    """Give a text as it stands in an ARFF file: in single quotes where it would not be read as it is."""
    return f"'{text.translate(_ESCAPED)}'" if not text or _NEED_QUOTES & set(text) else text
