"""A model's outputs on a split of a data set, evaluated at file level and at chunk level."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dslite.errors import SpecError
from dslite.files import written_whole
from dslite.learn.dataset import Example, Task, truth
from dslite.metrics.scores import (
    N_RESAMPLES,
    Classification,
    Difference,
    Floats,
    Integers,
    Regression,
    check_finite,
    classification,
    paired_difference,
    regression,
)

Predictions = Mapping[str, tuple[str, str]]
"""Of each file its label, and what it was taken for."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one split.

    Attributes:
        split: its name.
        task: classification or regression.
        file_level: of the mean output over a file's chunks.
        chunk_level: of each chunk's own output; the interval still comes from resamples of files.
        n_files: that were evaluated.
        n_chunks: of these files.
        n_without_chunks: files that gave no chunk (too short, where the recipe drops such) and are in no figure.
    """

    split: str
    task: Task
    file_level: Classification | Regression
    chunk_level: Classification | Regression
    n_files: int
    n_chunks: int
    n_without_chunks: int = 0

    @property
    def score(self) -> float | None:
        """Give the one figure to choose by, at file level: UAR, or the concordance correlation coefficient."""
        return self.file_level.uar if isinstance(self.file_level, Classification) else self.file_level.ccc


def by_file(outputs: npt.ArrayLike, file_index: npt.ArrayLike) -> Floats:
    """Average the outputs of each file's chunks.

    Args:
        outputs: ``(chunks, k)``: probabilities, or ``(chunks, 1)`` numbers.
        file_index: integers ``(chunks,)``: the file of each chunk, 0 to files - 1 in any order, each at least once.

    Returns:
        float64 ``(files, k)``.

    Raises:
        SpecError: where the two do not fit, or a file has no chunk.
    """
    values, index = _fitting(outputs, file_index)
    n_chunks = np.bincount(index)
    if not n_chunks.all():
        missing = int(np.flatnonzero(n_chunks == 0)[0])
        raise SpecError(f"file_index: expected every file, got no chunk of file {missing}: leave the file out")
    sums = np.zeros((len(n_chunks), values.shape[1]))
    np.add.at(sums, index, values)
    return np.asarray(sums / n_chunks[:, None])


def _fitting(outputs: npt.ArrayLike, file_index: npt.ArrayLike) -> tuple[Floats, Integers]:
    values, index = np.asarray(outputs, np.float64), np.asarray(file_index)
    if values.ndim != 2 or not len(values) or index.shape != values.shape[:1] or index.dtype.kind not in "iu":  # noqa: PLR2004
        raise SpecError(
            f"expected outputs (chunks, k) and whole numbers (chunks,), chunks >= 1, "
            f"got {values.shape} and {index.dtype} {index.shape}"
        )
    if index.min() < 0:
        raise SpecError(f"file_index: expected 0 and above, got {index.min()}")
    return values, index.astype(np.intp)


def evaluate(
    split: str,
    labels: Sequence[str],
    true: npt.ArrayLike,
    outputs: npt.ArrayLike,
    file_index: npt.ArrayLike,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Evaluation:
    """Evaluate a model's outputs.

    Args:
        split: name of what was evaluated.
        labels: names of the classes; empty for a regression.
        true: ``(files,)``: of each file the position of its class in `labels`, or its number.
        outputs: ``(chunks, k)``: probabilities of the k classes, or ``(chunks, 1)`` numbers.
        file_index: integers ``(chunks,)``: position in `true` of each chunk's file; files without chunks are counted
            and left out.
        n_resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap.

    Raises:
        SpecError: where the arrays do not fit each other.
        RunError: where an output is not finite.
    """
    values, index = _fitting(outputs, file_index)
    truth = np.asarray(true)
    if values.shape[1] != (len(labels) or 1) or index.max() >= len(truth):
        raise SpecError(
            f"expected outputs (chunks, {len(labels) or 1}) of {len(truth)} files, "
            f"got {values.shape} of files up to number {index.max()}"
        )
    check_finite(values, f"outputs on {split}")
    present, index = np.unique(index, return_inverse=True)

    def figures(true: Any, outputs: Floats, groups: Integers | None) -> Classification | Regression:
        if labels:
            taken_for = outputs.argmax(axis=1)
            return classification(true, taken_for, labels, groups=groups, n_resamples=n_resamples, seed=seed)
        return regression(true, outputs[:, 0], groups=groups, n_resamples=n_resamples, seed=seed)

    return Evaluation(
        split=split,
        task="classification" if labels else "regression",
        file_level=figures(truth[present], by_file(values, index), None),
        chunk_level=figures(truth[present][index], values, index),
        n_files=len(present),
        n_chunks=len(values),
        n_without_chunks=len(truth) - len(present),
    )


def write_predictions(
    path: Path, names: Sequence[str], labels: Sequence[str], true: npt.ArrayLike, outputs: npt.ArrayLike
) -> None:
    """Write what was predicted of each file, as CSV (RFC 4180, UTF-8), whole or not at all.

    Columns are ``file,label,predicted`` and, for a classification, one of each class with its probability.

    Args:
        path: of the CSV.
        names: of the files.
        labels: names of the classes; empty for a regression.
        true: ``(files,)``: position of each file's class in `labels`, or its number.
        outputs: ``(files, k)``, as `by_file` gives them.

    Raises:
        SpecError: where there is not one of each for every file.
        WriteError: where the system refuses to write.
    """
    truth, values = np.asarray(true), np.asarray(outputs, np.float64)
    if values.shape != (len(names), len(labels) or 1) or truth.shape != (len(names),):
        raise SpecError(
            f"predictions: expected outputs {(len(names), len(labels) or 1)} and labels {(len(names),)}, "
            f"got {values.shape} and {truth.shape}"
        )
    with written_whole(path) as place, place.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label", "predicted", *labels])
        for name, label, row in zip(names, truth.tolist(), values, strict=True):
            if labels:
                shown = [f"{value:.6g}" for value in row]
                table.writerow([name, labels[label], labels[int(row.argmax())], *shown])
            else:
                table.writerow([name, f"{label:.7g}", f"{row[0]:.7g}"])  # what float32 holds


def read_predictions(path: Path) -> Predictions:
    """Read what `write_predictions` wrote of a classification."""
    with path.open(encoding="utf-8", newline="") as file:
        _, *rows = csv.reader(file)
    return {name: (label, predicted) for name, label, predicted, *_ in rows}  # a class may have a column's name


def difference_of_predictions(ours: Predictions, theirs: Predictions) -> Difference:
    """Compare the UAR of two predictions of the same files, see `paired_difference`."""
    labels = sorted({label for pair in (*ours.values(), *theirs.values()) for label in pair})
    rows = [(label, predicted, theirs[name][1]) for name, (label, predicted) in ours.items()]
    true, a, b = ([labels.index(label) for label in column] for column in zip(*rows, strict=True))
    return paired_difference(true, a, b)


def judged(
    split: str,
    examples: Sequence[Example],
    labels: Sequence[str],
    outputs: npt.NDArray[Any],
    file_index: npt.NDArray[np.int64],
    predictions: Path | None,
) -> Evaluation:
    """Evaluate outputs as `evaluate` does; write what was predicted of each file where a path is given."""
    known = truth(examples, labels)
    evaluation = evaluate(split, labels, known, outputs, file_index)
    if predictions:
        present, which = np.unique(file_index, return_inverse=True)
        names = [examples[i].name for i in present]
        write_predictions(predictions, names, labels, known[present], by_file(outputs, which))
    return evaluation
