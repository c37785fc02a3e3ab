"""The rows of a table of audio files: CSV text, and the folders of the ComParE challenges.

ComParE packages hold ``wav/`` and beside it ``lab/train.csv``, ``lab/devel.csv`` and ``lab/test.csv`` (those of 2021
in a folder ``dist``: https://github.com/EIHW/ComParE2021), or one file of all labels, with the split in the names of
the audio.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dslite.errors import DataError
from dslite.learn.dataset import Split

Problem = tuple[str, str]
"""Where, and what: a phrase that is the same for all problems of a kind, and behind a colon what is special to one."""

UNKNOWN_LABEL = "?"
"""What ComParE writes where a label is kept secret."""

_COLUMNS = {"file": "file", "filename": "file", "file_name": "file", "label": "label"}
_COLUMNS |= {name: name for name in ("speaker", "split")}
_DELIMITERS = ",;\t"
_LARGEST_BYTES = 1 << 28
_SHOWN_CHARACTERS = 120
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_END = "\0end"
_QUOTE = 'put "..." around a cell, and nowhere else'


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the table, without blanks around its cells; a column that is not there is None.

    Attributes:
        where: for messages, such as ``row 12: wav/a.wav``; the row of the names of the columns is row 1.
        file: name of the audio.
        label: of the audio.
        speaker: of the audio.
        split: as it is written.
    """

    where: str
    file: str
    label: str
    speaker: str | None
    split: str | None


@dataclass(frozen=True, slots=True)
class Rows:
    """What a table holds.

    Attributes:
        rows: those with as many cells as there are columns.
        problems: of the others.
        folder: names of audio are relative to it.
        ignored: names of columns that mean nothing here.
    """

    rows: tuple[Row, ...]
    problems: tuple[Problem, ...]
    folder: Path
    ignored: tuple[str, ...]


def read_rows(path: Path) -> Rows:
    """Read a CSV file, or the tables of a folder in the layout of ComParE.

    A CSV is UTF-8, delimited by commas, semicolons or tabs, quoted by ``"``; its first row names the columns: ``file``
    (or ``filename``, ``file_name``), ``label``, and maybe ``speaker`` and ``split``, in upper or lower case.

    Raises:
        DataError: where there is no such table, it cannot be read, or a column is missing.
    """
    if not is_folder(path):
        return _read_csv(path)
    tables, folder = _compare_tables(path)
    parts = [_read_csv(table, folder, split, f"{table.name} ") for table, split in tables]
    return Rows(
        tuple(row for part in parts for row in part.rows),
        tuple(problem for part in parts for problem in part.problems),
        folder,
        tuple(dict.fromkeys(name for part in parts for name in part.ignored)),
    )


def is_folder(path: Path) -> bool:
    """Tell whether there is a folder; a name the system refuses is none."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _compare_tables(path: Path) -> tuple[list[tuple[Path, Split | None]], Path]:
    splits: tuple[Split, ...] = ("train", "devel", "test")
    for base in (path, path / "dist", *([path.parent] if path.name.lower() in ("lab", "wav") else [])):
        if not (base / "wav").is_dir():
            continue
        for folder in (base / "lab", base):
            tables = [(folder / f"{split}.csv", split) for split in splits]
            if tables[0][0].is_file():
                return [(table, split) for table, split in tables if table.is_file()], base / "wav"
            names = sorted(folder.glob("labels*.csv"))
            if len(names) > 1:
                raise DataError(f"{folder}: expected one file labels*.csv, got {_listed([p.name for p in names])}")
            if names:
                return [(names[0], None)], base / "wav"
    inside = sorted(p.name for p in path.glob("*.csv"))
    hint = f": name a file in it: {_listed(inside)}" if inside else ""
    raise DataError(
        f"{path}: expected a CSV file, or a folder with wav/ and lab/train.csv (ComParE), got another folder{hint}"
    )


def _read_csv(path: Path, folder: Path | None = None, split: Split | None = None, prefix: str = "") -> Rows:
    text = _text(path)
    header = next((line for line in text.splitlines() if line.strip()), "")
    if not header:
        raise DataError(f"{path}: expected a CSV with columns file and label, got an empty file")
    delimiter = _delimiter(header)
    rows: list[Row] = []
    problems: list[Problem] = []
    names: list[str] = []
    columns: dict[str, int] = {}
    for number, cells in _records(text, delimiter):
        where = f"{prefix}row {number}"
        if cells is None:
            problems.append((where, "a quote is not closed, and nothing behind it can be read"))
        elif not names:
            names, columns = cells, _columns(path, cells)
        elif any(cells[len(names) :]):
            problems.append((where, f"more cells than columns: expected {len(names)}, got {len(cells)}: {_QUOTE}"))
        else:
            cell = {column: cells[i] if i < len(cells) else "" for column, i in columns.items()}
            if any(_CONTROL.search(text) for text in cell.values()):
                problems.append((where, f"a line break or control character in a cell: {_QUOTE}"))
                continue
            named = f"{where}: {_short(cell['file'])}" if cell["file"] else where
            rows.append(Row(named, cell["file"], cell["label"], cell.get("speaker"), split or cell.get("split")))
    if not rows and not problems:
        raise DataError(f"{path}: expected rows below the names of the columns, got none")
    ignored = tuple(name for i, name in enumerate(names) if name and i not in columns.values())
    return Rows(tuple(rows), tuple(problems), folder or path.parent, ignored)


def _records(text: str, delimiter: str) -> Iterator[tuple[int, list[str] | None]]:
    """Give number and cells of each row that is not blank; for a quote that is never closed, None for cells."""
    # Such a quote swallows a row of our own at the end; strict mode of the csv module would refuse blanks as well.
    reader = csv.reader(io.StringIO(f"{text}\n{_END}", ""), delimiter=delimiter, skipinitialspace=True)
    number = 0
    try:
        for number, cells in enumerate(reader, 1):
            if _END in (cells or [""])[-1]:
                if cells != [_END]:
                    yield number, None
            elif any(cell.strip() for cell in cells):
                yield number, [cell.strip() for cell in cells]
    except csv.Error:  # a cell of more than 128 KiB
        yield number + 1, None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_BYTES + 1)
    except FileNotFoundError:
        raise DataError(f"{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > _LARGEST_BYTES:
        raise DataError(f"{path}: expected a CSV of at most {_LARGEST_BYTES >> 20} MiB, got a larger file")
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DataError(f"{path}: expected a CSV in UTF-8, got UTF-16: save it as CSV UTF-8")
    if b"\0" in data:
        raise DataError(f"{path}: expected a CSV, got a file that is no text")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}: expected a CSV in UTF-8, got the byte 0x{data[error.start]:02x} in line {line}: "
            "save it as CSV UTF-8"
        ) from None


def _delimiter(header: str) -> str:
    """Give what the names of the columns are delimited by; where they are not to be found, what cuts most."""

    def fits(delimiter: str) -> tuple[int, int]:
        (names,) = csv.reader([header], delimiter=delimiter)
        return len({_COLUMNS.get(_plain(name)) for name in names} - {None}), len(names)

    return max(_DELIMITERS, key=fits)


def _columns(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Give where each column that means something stands."""
    columns: dict[str, int] = {}
    for i, name in enumerate(names):
        column = _COLUMNS.get(_plain(name))
        if column in columns:
            raise DataError(f"{path}: expected one column {column}, got {names[columns[column]]!r} and {name!r}")
        if column:
            columns[column] = i
    missing = [name for name in ("file", "label") if name not in columns]
    if missing:
        raise DataError(
            f"{path}: expected columns file and label in the first row, got {_listed([repr(n) for n in names])}: "
            f"name {' and '.join(missing)} there"
        )
    return columns


def _plain(name: str) -> str:
    return name.strip().lower().replace(" ", "_")


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _listed(names: Sequence[str], at_most: int = 8) -> str:
    more = f" and {len(names) - at_most} more" if len(names) > at_most else ""
    return ", ".join(_short(name) for name in names[:at_most]) + more
