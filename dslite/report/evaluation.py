"""An evaluation as tables for a terminal, and its confusion matrix as a picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dslite.learn.evaluation import Evaluation
from dslite.metrics.scores import Classification, Interval, Regression
from dslite.report import plots

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_DASH = "-"
_GAP = 3  # rich puts a blank on either side of a cell and one between columns
_LONGEST_NAME = 24
_DPI = 120
_LARGEST_SIDE_IN = 30.0
_MOST_CLASSES_WITH_COUNTS = 60
_MOST_CLASSES_WITH_ZEROS = 12
_DARK = 0.55
"""Share of a row above which a cell is so dark that its count is written in white."""


# -- figures as text ----------------------------------------------------------------------------------


def figure(value: float | None) -> str:
    """Write a figure with three decimals, one that is not defined as a dash."""
    return _DASH if value is None else f"{value:.3f}"


def interval(ends: Interval | None) -> str:
    """Write a confidence interval: ``0.812 to 0.934``."""
    return _DASH if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def quantity(value: float | None) -> str:
    """Write a figure in the label's unit with four digits."""
    return _DASH if value is None else f"{value:.4g}"


def headline(evaluation: Evaluation) -> str:
    """Give the main figure of an evaluation at file level as one line, with its interval and what chance gives."""
    found = evaluation.file_level
    of = f"{evaluation.split}, {evaluation.n_files} files"
    if isinstance(found, Classification):
        within = f" ({interval(found.uar_interval)})" if found.uar_interval else ""
        return f"{of}: UAR {figure(found.uar)}{within}, chance {figure(found.chance)}"
    within = f" ({interval(found.ccc_interval)})" if found.ccc_interval else ""
    return f"{of}: CCC {figure(found.ccc)}{within}, MAE {quantity(found.mae)}"


# -- tables -------------------------------------------------------------------------------------------


def evaluation_tables(evaluation: Evaluation, width: int) -> Group:
    """Lay an evaluation out: figures at file and chunk level, recall of each class, the confusion matrix.

    Args:
        evaluation: what to show.
        width: characters a line may have; a confusion matrix whose names do not fit has numbers for columns, one that
            does not fit at all is left out, and that is said.
    """
    files, chunks = evaluation.file_level, evaluation.chunk_level
    parts: list[Any] = [_scores(evaluation.split, files, chunks)]
    if isinstance(files, Classification) and isinstance(chunks, Classification):
        parts += [_recalls(files, chunks), _confusion(files, width)]
    parts += [Text(f"- {note}", style="dim") for note in method(evaluation)]
    return Group(*parts)


def plain_table(*columns: str) -> Table:
    """Begin a table: the first column is text, the others are figures."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(escape(columns[0]), overflow="fold")
    for column in columns[1:]:
        table.add_column(escape(column), justify="right", overflow="fold")
    return table


def _scores(split: str, files: Classification | Regression, chunks: Classification | Regression) -> Table:
    table = plain_table(split, *(heading for heading, _ in _figures(files)))
    for name, found in (("files", files), ("chunks", chunks)):
        table.add_row(name, *(cell for _, cell in _figures(found)))
    return table


def _figures(found: Classification | Regression) -> list[tuple[str, str | Text]]:
    """Give figures under their headings."""
    within = f"{found.confidence:.0%}".replace("%", " % CI")
    if isinstance(found, Regression):
        return [
            ("n", str(found.n)),
            ("CCC", Text(figure(found.ccc), style="bold")),
            (within, interval(found.ccc_interval)),
            ("Pearson", figure(found.pearson)),
            (within, interval(found.pearson_interval)),
            ("MAE", _with_ends(found.mae, found.mae_interval)),
            ("RMSE", _with_ends(found.rmse, found.rmse_interval)),
        ]
    of_two = [("sens.", figure(found.sensitivity)), ("spec.", figure(found.specificity))]
    return [
        ("n", str(found.n)),
        ("UAR", Text(figure(found.uar), style="bold")),
        (within, interval(found.uar_interval)),
        ("chance", figure(found.chance)),
        ("accuracy", figure(found.accuracy)),
        *(of_two if len(found.labels) == 2 else []),  # noqa: PLR2004
    ]


def _recalls(files: Classification, chunks: Classification) -> Table:
    table = plain_table("class", "files", "recall", "chunks", "recall of chunks")
    rows = zip(files.labels, files.support, files.recall, chunks.support, chunks.recall, strict=True)
    for label, n_files, recall, n_chunks, of_chunks in rows:
        table.add_row(escape(_shown(label)), str(n_files), figure(recall), str(n_chunks), figure(of_chunks))
    return table


def _confusion(found: Classification, width: int) -> Table | Text:
    names = [_shown(label) for label in found.labels]
    numbers = [str(i + 1) for i in range(len(names))]
    cells = [[str(cell) if cell else "." for cell in row] for row in found.confusion]
    widest = [max(map(len, column)) for column in zip(*cells, strict=True)]
    title = "true, taken for"
    for columns in (names, numbers):
        rows = names if columns is names else [f"{i} {name}" for i, name in zip(numbers, names, strict=True)]
        needed = _GAP * (1 + len(names)) + max(map(cell_len, [title, *rows]))
        needed += sum(max(cell_len(name), cell) for name, cell in zip(columns, widest, strict=True))
        if needed <= width:
            table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
            table.add_column(title, no_wrap=True)
            for column in columns:
                table.add_column(escape(column), justify="right", no_wrap=True)
            for i, (row, texts) in enumerate(zip(rows, cells, strict=True)):
                shown = [Text(text, style="bold" if i == j else "") for j, text in enumerate(texts)]
                table.add_row(escape(row), *shown)
            return table
    return Text(f"- the confusion matrix of {len(names)} classes needs a wider terminal: see its picture", style="dim")


def _with_ends(value: float, ends: Interval | None) -> str:
    return quantity(value) + (f" ({quantity(ends[0])} to {quantity(ends[1])})" if ends else "")


def method(evaluation: Evaluation) -> list[str]:
    """Say how the figures are made, and what they leave out; a sentence each."""
    found = evaluation.file_level
    matrix = "; the confusion matrix is of files" if isinstance(found, Classification) else ""
    notes = [f"files: the mean output over a file's chunks; chunks: each by itself{matrix}"]
    if found.n_resamples and evaluation.n_files > 1:
        notes.append(f"CI: percentiles of {found.n_resamples} bootstrap resamples of files")
    if isinstance(found, Classification):
        absent = [label for label, n in zip(found.labels, found.support, strict=True) if not n]
        if absent:
            notes.append(f"no files of {', '.join(map(_shown, absent))}: UAR is the mean over the other classes")
        if found.sensitivity is not None or found.specificity is not None:
            notes.append(f"sensitivity: recall of {_shown(found.labels[1])}; specificity: of {_shown(found.labels[0])}")
    if evaluation.n_without_chunks:
        n = evaluation.n_without_chunks
        notes.append(f"{n} file{'s were' if n > 1 else ' was'} too short for a chunk: in no figure")
    return notes


def _shown(label: str, at_most: int = 2 * _LONGEST_NAME) -> str:
    """Give a name on one line, its middle left out where it is long."""
    label = " ".join("".join(c if c.isprintable() else " " for c in label).split()) or "(no name)"
    if len(label) <= at_most:
        return label
    end = at_most // 3
    return f"{label[: at_most - end - 1]}…{label[-end:]}"


# -- the picture --------------------------------------------------------------------------------------


def confusion_png(evaluation: Evaluation, path: Path) -> None:
    """Draw the confusion matrix at file level, PNG: rows are true classes; counts, coloured by their share of the row.

    The same evaluation gives the same bytes with the same matplotlib; no setting of the user's takes part. Signs its
    font has not are boxes.

    Args:
        evaluation: of a classification; the matrix of more than 60 classes has colours and no counts.
        path: of the picture, written whole or not at all.

    Raises:
        TypeError: where the evaluation is of a regression.
        WriteError: where the system refuses to write.
    """
    found = evaluation.file_level
    if not isinstance(found, Classification):
        raise TypeError("a regression has no confusion matrix")
    names = [_shown(label, _LONGEST_NAME) for label in found.labels]
    k = len(names)
    cell_in = min(0.75 if k <= _MOST_CLASSES_WITH_ZEROS else 0.36, _LARGEST_SIDE_IN / k)
    side_in = max(2.2, k * cell_in)
    with plots.settings():
        from matplotlib.figure import Figure

        picture = Figure(figsize=(side_in + 3, side_in + 2.2), dpi=_DPI)
        axes = picture.add_axes((0.3, 0.3, side_in / (side_in + 3), side_in / (side_in + 2.2)))
        _draw(axes, found, names, side_in / k)
        axes.set_title(headline(evaluation).replace(": ", "\n", 1), fontsize=10, pad=12)
        plots.save(picture, path, "png", pad_inches=0.15)


def _draw(axes: "Axes", found: Classification, names: Sequence[str], cell_in: float) -> None:
    k = len(names)
    counts = np.array(found.confusion)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    bar = axes.figure.colorbar(image, ax=axes, fraction=0.046, pad=0.03, shrink=min(1.0, 8 / (k * cell_in)))
    bar.set_label("share of the true class", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    size = min(10.0, max(2.0, cell_in * 72 * 0.55))
    upright = max(map(len, names)) * size * 0.6 > cell_in * 72
    axes.set_xticks(range(k), names, fontsize=size, rotation=90 if upright else 0)
    axes.set_yticks(range(k), names, fontsize=size)
    axes.set_xlabel("taken for", fontsize=10)
    axes.set_ylabel("true class", fontsize=10)
    axes.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="0.85", linewidth=0.5)
    axes.tick_params(which="minor", length=0)
    axes.tick_params(which="major", length=2)
    if k > _MOST_CLASSES_WITH_COUNTS:
        return
    longest = len(str(counts.max()))
    text_size = min(12.0, cell_in * 72 * min(0.5, 0.85 / (0.65 * longest)))
    for i, j in np.ndindex(k, k):
        if counts[i, j] or k <= _MOST_CLASSES_WITH_ZEROS:
            colour = "white" if shares[i, j] > _DARK else "0.65" if not counts[i, j] else "black"
            axes.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=text_size, color=colour)
