"""How good predictions are: figures of classification and regression, with bootstrap confidence intervals.

The interval of a figure is the percentile interval (B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993,
chapter 13) over resamples of files, as in the paper's Tables 3 and 4. A resample draws as many files as there are, with
replacement. Chunks of one file are drawn together: they are not independent of each other.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dslite.errors import RunError, SpecError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.intp]
Interval: TypeAlias = tuple[float, float]

CONFIDENCE = 0.95
N_RESAMPLES = 1000
_ELEMENTS_A_BATCH = 1_000_000
"""Of the (resamples, files) arrays: some tens of megabytes, whatever the data set's size."""
_ROUNDING = 1e-12
"""A variance below this share of the mean square is what rounding leaves of none."""
_TWO = 2


@dataclass(frozen=True, slots=True)
class Classification:
    """How well classes are recognised.

    Attributes:
        labels: names of the classes.
        n: rows (files or chunks) that were classified.
        uar: unweighted average recall, the mean of `recall` over the classes that occur; in [0, 1].
        uar_interval: low and high end of its confidence interval; None where there are fewer than two files.
        chance: the UAR of guessing, 1 / classes.
        accuracy: share of rows that are right, in [0, 1].
        recall: of each class, share of its rows that are right; None where the class does not occur.
        support: rows of each class.
        sensitivity: recall of the positive class, which of two classes is the second in `labels`; None with more.
        specificity: recall of the negative class, the first of two; None with more.
        confusion: rows of each true class (outer) taken for each class (inner).
        n_resamples: behind the interval.
        confidence: of the interval.
    """

    labels: tuple[str, ...]
    n: int
    uar: float
    uar_interval: Interval | None
    chance: float
    accuracy: float
    recall: tuple[float | None, ...]
    support: tuple[int, ...]
    sensitivity: float | None
    specificity: float | None
    confusion: tuple[tuple[int, ...], ...]
    n_resamples: int = N_RESAMPLES
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class Regression:
    """How well a number is predicted.

    Each interval is None where there are fewer than two files, or the figure is not defined in any resample.

    Attributes:
        n: rows (files or chunks) that were predicted.
        mae: mean absolute error, in the label's unit.
        mae_interval: its confidence interval.
        rmse: root of the mean squared error, in the label's unit.
        rmse_interval: its confidence interval.
        pearson: correlation coefficient, in [-1, 1]; None where truth or predictions are constant.
        pearson_interval: its confidence interval.
        ccc: concordance correlation coefficient, in [-1, 1] (L. Lin, Biometrics 45, 1989, equation 2.3):
            2 cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))^2), moments divided by n; 0 for constant predictions,
            None where all of both is one number.
        ccc_interval: its confidence interval.
        n_resamples: behind the intervals.
        confidence: of the intervals.
    """

    n: int
    mae: float
    mae_interval: Interval | None
    rmse: float
    rmse_interval: Interval | None
    pearson: float | None
    pearson_interval: Interval | None
    ccc: float | None
    ccc_interval: Interval | None
    n_resamples: int = N_RESAMPLES
    confidence: float = CONFIDENCE


@dataclass(frozen=True, slots=True)
class Difference:
    """The UAR of one way minus that of another on the same files.

    Attributes:
        n: files.
        uar_a: of the first way.
        uar_b: of the second.
        difference: ``uar_a - uar_b``, in [-1, 1].
        n_changed: files that the two take for different classes; of 0 the interval is one point, and says nothing of
            other files.
        interval: of the difference, both ways seeing the same resamples; None where there are fewer than two files.
        n_resamples: behind the interval.
        confidence: of the interval.
    """

    n: int
    uar_a: float
    uar_b: float
    difference: float
    n_changed: int
    interval: Interval | None
    n_resamples: int = N_RESAMPLES
    confidence: float = CONFIDENCE


# -- classification -----------------------------------------------------------------------------------


def classification(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    labels: Sequence[str],
    *,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Classification:
    """Compare predicted with true classes.

    Args:
        true: integers ``(n,)``, each the position of a class in `labels`; n >= 1.
        predicted: likewise.
        labels: names of all classes; one that does not occur counts for the chance level alone.
        groups: integers ``(n,)``: the file each row is of; None where each row is a file.
        n_resamples: of the bootstrap; 0 for no interval.
        seed: of the bootstrap.

    Raises:
        SpecError: where the arrays are empty, of other shapes, or hold numbers of no class.
    """
    k = len(labels)
    rows, columns = _classes(true, k, "true"), _classes(predicted, k, "predicted")
    _same_length(rows, columns)
    confusion = np.bincount(rows * k + columns, minlength=k * k).reshape(k, k)
    hits, support = np.diag(confusion), confusion.sum(axis=1)
    one_hot = np.eye(k)[rows]
    totals = _totals(np.hstack([one_hot * (rows == columns)[:, None], one_hot]), groups)
    found = _intervals(totals, lambda sums: _uar(sums)[:, None], n_resamples, seed)
    recall = tuple(float(h / s) if s else None for h, s in zip(hits, support, strict=True))
    return Classification(
        labels=tuple(labels),
        n=len(rows),
        uar=float(_uar(totals.sum(axis=0)[None])[0]),
        uar_interval=found[0],
        chance=1 / k,
        accuracy=float(hits.sum() / len(rows)),
        recall=recall,
        support=tuple(int(s) for s in support),
        sensitivity=recall[1] if k == _TWO else None,
        specificity=recall[0] if k == _TWO else None,
        confusion=tuple(tuple(int(cell) for cell in row) for row in confusion),
        n_resamples=n_resamples,
    )


def paired_difference(
    true: npt.ArrayLike,
    predicted_a: npt.ArrayLike,
    predicted_b: npt.ArrayLike,
    *,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Compare the UAR of two ways on the same files: the paired bootstrap.

    Args:
        true: integers ``(n,)``, the class of each file; n >= 1.
        predicted_a: integers ``(n,)``, what the first way takes it for.
        predicted_b: likewise, the second way.
        n_resamples: of the bootstrap; 0 for no interval.
        seed: of the bootstrap.

    Raises:
        SpecError: where the arrays are empty or of other shapes.
    """
    truth = _classes(true, None, "true")
    a, b = _classes(predicted_a, None, "predicted_a"), _classes(predicted_b, None, "predicted_b")
    _same_length(truth, a, b)
    k = int(truth.max()) + 1
    one_hot = np.eye(k)[truth]
    totals = np.hstack([one_hot * (truth == a)[:, None], one_hot * (truth == b)[:, None], one_hot])

    def uars(sums: Floats) -> tuple[Floats, Floats]:
        hits_a, hits_b, files = np.split(sums, 3, axis=1)
        return _uar(np.hstack([hits_a, files])), _uar(np.hstack([hits_b, files]))

    uar_a, uar_b = (float(uar[0]) for uar in uars(totals.sum(axis=0)[None]))
    (interval,) = _intervals(totals, lambda sums: np.subtract(*uars(sums))[:, None], n_resamples, seed)
    return Difference(len(truth), uar_a, uar_b, uar_a - uar_b, int((a != b).sum()), interval, n_resamples)


def _classes(values: npt.ArrayLike, n_classes: int | None, name: str) -> Integers:
    array = np.asarray(values)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu":
        raise SpecError(f"{name}: expected whole numbers (n,), n >= 1, got {array.dtype} {array.shape}")
    low, high = int(array.min()), int(array.max())
    if low < 0 or (n_classes is not None and high >= n_classes):
        raise SpecError(f"{name}: expected positions of {n_classes or 'some'} classes, got {low} to {high}")
    return array.astype(np.intp)


def _same_length(*arrays: npt.NDArray[Any]) -> None:
    if len({len(array) for array in arrays}) > 1:
        raise SpecError(f"true and predicted: expected one length, got {' and '.join(str(len(a)) for a in arrays)}")


def _uar(sums: Floats) -> Floats:
    """Give the UAR (b,) of hits and rows a class (b, 2 k), over the classes that occur."""
    hits, support = np.split(sums, 2, axis=1)
    recall = np.divide(hits, support, out=np.zeros_like(hits), where=support > 0)
    return np.asarray(recall.sum(axis=1) / (support > 0).sum(axis=1))


# -- regression ---------------------------------------------------------------------------------------


def regression(
    true: npt.ArrayLike,
    predicted: npt.ArrayLike,
    *,
    groups: npt.ArrayLike | None = None,
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
) -> Regression:
    """Compare predicted with true numbers.

    Args:
        true: floats ``(n,)``, n >= 1.
        predicted: likewise.
        groups: integers ``(n,)``: the file each row is of; None where each row is a file.
        n_resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap.

    Raises:
        SpecError: where the arrays are empty or of other shapes.
        RunError: where a number is not finite.
    """
    t, p = _numbers(true, "true"), _numbers(predicted, "predicted")
    _same_length(t, p)
    shift = float(t.mean() - p.mean())
    x, y, error = t - t.mean(), p - p.mean(), t - p
    totals = _totals(np.stack([np.ones_like(x), x, y, x * x, y * y, x * y, np.abs(error), error**2], axis=1), groups)

    figures = partial(_regression_figures, shift=shift)
    mae, rmse, pearson, ccc = (float(value) for value in figures(totals.sum(axis=0)[None])[0])
    found = _intervals(totals, figures, n_resamples, seed)
    return Regression(
        len(t), mae, found[0], rmse, found[1], _or_none(pearson), found[2], _or_none(ccc), found[3], n_resamples
    )


def _numbers(values: npt.ArrayLike, name: str) -> Floats:
    array = np.asarray(values, np.float64)
    if array.ndim != 1 or not len(array):
        raise SpecError(f"{name}: expected numbers (n,), n >= 1, got {array.shape}")
    check_finite(array, name)
    return array


def check_finite(values: npt.NDArray[Any], name: str) -> None:
    """Refuse what a model that diverged gives.

    Raises:
        RunError: where a value is NaN or infinite.
    """
    if not np.isfinite(values).all():
        n_bad = int((~np.isfinite(values)).sum())
        raise RunError(
            f"{name}: expected finite numbers, got {n_bad} of {values.size} that are not: "
            "the model diverged; train with a lower learning rate"
        )


def _regression_figures(sums: Floats, shift: float) -> Floats:
    """Give MAE, RMSE, Pearson and CCC (b, 4) of sums (b, 8); truth and predictions were centred, `shift` apart."""
    means = sums[:, 1:] / sums[:, :1]
    x, y, xx, yy, xy, absolute, squared = means.T
    var_x, var_y, cov = xx - x * x, yy - y * y, xy - x * y
    var_x, var_y = np.where(var_x > _ROUNDING * xx, var_x, 0.0), np.where(var_y > _ROUNDING * yy, var_y, 0.0)
    apart = (x - y + shift) ** 2
    spread = var_x + var_y + np.where(apart > _ROUNDING**2 * (xx + yy + shift**2), apart, 0.0)
    product = np.sqrt(var_x) * np.sqrt(var_y)
    undefined = np.full_like(cov, np.nan)
    pearson = np.divide(cov, product, out=undefined.copy(), where=product > 0).clip(-1, 1)
    constant = (var_x == 0) | (var_y == 0)
    ccc = np.divide(np.where(constant, 0.0, 2 * cov), spread, out=undefined, where=spread > 0).clip(-1, 1)
    return np.stack([absolute, np.sqrt(squared), pearson, ccc], axis=1)


def _or_none(value: float) -> float | None:
    return None if np.isnan(value) else value


# -- the bootstrap ------------------------------------------------------------------------------------


def _totals(rows: Floats, groups: npt.ArrayLike | None) -> Floats:
    """Add up the rows (n, m) of each file: (files, m)."""
    if groups is None:
        return rows
    numbers = np.asarray(groups)
    if numbers.shape != rows.shape[:1]:
        raise SpecError(f"groups: expected one of each row, {rows.shape[:1]}, got {numbers.shape}")
    _, index = np.unique(numbers, return_inverse=True)
    totals = np.zeros((int(index.max()) + 1, rows.shape[1]))
    np.add.at(totals, index, rows)
    return totals


def _intervals(
    totals: Floats, figures: Callable[[Floats], Floats], n_resamples: int, seed: int
) -> list[Interval | None]:
    """Give the percentile interval of each figure.

    All figures here are functions of sums over files, so a resample is the number of times each file is drawn, and
    its sums are one row of a matrix product.

    Args:
        totals: ``(files, m)``: what each file adds to the sums.
        figures: of sums ``(b, m)``; gives ``(b, q)``, NaN where undefined; such resamples are left out.
        n_resamples: 0 for no intervals.
        seed: of the draws.
    """
    n = len(totals)
    if n < _TWO or not n_resamples:
        return [None] * figures(totals.sum(axis=0)[None]).shape[1]
    from scipy import stats

    def statistic(drawn: Any, axis: int) -> Floats:
        del axis  # always the last
        b = len(drawn)
        cells = np.asarray(drawn, np.intp) + n * np.arange(b)[:, None]
        times = np.bincount(cells.ravel(), minlength=b * n).reshape(b, n)
        return figures(times.astype(np.float64) @ totals).T

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of resamples without a value, which are left out
        values = stats.bootstrap(
            (np.arange(n),),
            statistic,
            n_resamples=n_resamples,
            batch=max(1, _ELEMENTS_A_BATCH // n),
            vectorized=True,
            method="percentile",
            rng=np.random.default_rng(seed),
        ).bootstrap_distribution
        tail = 50 * (1 - CONFIDENCE)
        ends = np.nanpercentile(values, [tail, 100 - tail], axis=1).T.tolist()
    return [None if np.isnan(low) else (low, high) for low, high in ends]
