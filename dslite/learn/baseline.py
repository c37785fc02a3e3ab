"""The opponent: a linear support vector machine on the activations of a backbone that was never trained on the task.

The Deep Spectrum baseline of the ComParE challenges (S. Amiriparian et al., "Snore Sound Classification Using
Image-Based Deep Spectrum Features", Interspeech 2017; B. Schuller et al., "The INTERSPEECH 2021 Computational
Paralinguistics Challenge", section 3): complexity chosen on devel, refitted on train and devel, test scored once.
Classes are told apart one against the rest.
"""

import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from dslite.errors import DataError, SpecError
from dslite.learn.dataset import Split, Task
from dslite.metrics.scores import (
    N_RESAMPLES,
    Classification,
    Floats,
    Regression,
    check_finite,
    classification,
    regression,
)
from dslite.recipe import ClassWeights
from dslite.records import Progress

FeatureScaling = Literal["standard", "length"]

COMPLEXITIES = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
SCALINGS: tuple[FeatureScaling, ...] = ("standard", "length")
_EPSILON = 0.1
"""Errors of a regression below are none, in standard deviations of the label; scikit-learn's default."""
_MOST_STEPS = 200_000
_LARGEST_GRAM = 5000
"""Files up to which all inner products are kept (200 MB); with more, libsvm computes them as it needs them."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One setting that was tried.

    Attributes:
        scaling: ``standard``: each feature has mean 0 and variance 1 on the files it is fitted on; ``length``: each
            file's features have the same Euclidean length, the root of their number.
        complexity: C, the price of an error in fitting.
        score: on devel: UAR, or CCC of a regression; None where undefined.
        converged: whether the solver came to its end; where not, the score is of its last step.
    """

    scaling: FeatureScaling
    complexity: float
    score: float | None
    converged: bool


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a linear SVM reaches on the same features and splits.

    Attributes:
        task: classification or regression.
        n_features: that each file has.
        class_weights: in fitting.
        candidates: all that were tried, in order.
        chosen: the one with the best score on devel; of equals the first.
        converged: whether the solver came to its end in the fit on train and devel too.
        devel: figures of the chosen setting, fitted on train.
        test: figures of the chosen setting, fitted on train and devel; None where there is no test split.
    """

    task: Task
    n_features: int
    class_weights: ClassWeights
    candidates: tuple[Candidate, ...]
    chosen: Candidate
    converged: bool
    devel: Classification | Regression
    test: Classification | Regression | None


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the chosen SVM takes each file for, in the order of the files: positions of classes, or numbers.

    Attributes:
        devel: ``(devel files,)``.
        test: ``(test files,)``, or None where there is no test split.
    """

    devel: npt.NDArray[Any]
    test: npt.NDArray[Any] | None


def baseline(
    features: npt.ArrayLike,
    true: npt.ArrayLike,
    splits: Sequence[Split],
    labels: Sequence[str],
    *,
    complexities: Sequence[float] = COMPLEXITIES,
    scalings: Sequence[FeatureScaling] = SCALINGS,
    class_weights: ClassWeights = "balanced",
    n_resamples: int = N_RESAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[Baseline, Predictions]:
    """Choose, fit and score a linear SVM.

    Args:
        features: floats ``(files, d)``, of each file the mean over its chunks.
        true: ``(files,)``: of each file the position of its class in `labels`, or its number.
        splits: of each file.
        labels: names of the classes; empty for a regression, by a linear support vector regression.
        complexities: values of C to try.
        scalings: of the features, to try.
        class_weights: ``balanced`` weights each class by the inverse of its frequency; ``none`` does not.
        n_resamples: of the bootstrap; 0 for no intervals.
        seed: of the bootstrap; the SVM itself has nothing random.
        progress: told what is tried, and the fraction done.

    Returns:
        The figures, and the predictions they are of.

    Raises:
        DataError: where train or devel has no files, or train has one class only.
        SpecError: where the arrays do not fit each other, or there is nothing to try.
        RunError: where a feature is not finite.
    """
    x, truth = np.asarray(features, np.float64), np.asarray(true)
    _check(x, truth, splits, complexities, scalings)
    parts = {name: np.array([split == name for split in splits]) for name in ("train", "devel", "test")}
    _check_parts(parts, truth, labels)
    train, devel, test = (parts[name] for name in ("train", "devel", "test"))
    weights = class_weights if labels else None

    def figures(rows: npt.NDArray[np.bool_], predicted: npt.NDArray[Any], resamples: int) -> Any:
        if labels:
            return classification(truth[rows], predicted, labels, n_resamples=resamples, seed=seed)
        return regression(truth[rows], predicted, n_resamples=resamples, seed=seed)

    tried: list[tuple[Candidate, npt.NDArray[Any]]] = []
    n_steps = len(scalings) * len(complexities) + 1
    for scaling, complexity, predicted, converged in _fits(x, truth, (train, devel), scalings, complexities, weights):
        found = figures(devel, predicted, 0)
        score = found.uar if isinstance(found, Classification) else found.ccc
        tried.append((Candidate(scaling, complexity, score, converged), predicted))
        if progress:
            progress(f"C {complexity:g}, {scaling} scaling", len(tried) / n_steps)
    chosen, on_devel = max(tried, key=lambda pair: -2.0 if pair[0].score is None else pair[0].score)
    on_test, converged = None, chosen.converged
    if test.any():
        final = _fits(x, truth, (train | devel, test), [chosen.scaling], [chosen.complexity], weights)
        ((_, _, on_test, end),) = final
        converged &= end
    return Baseline(
        task="classification" if labels else "regression",
        n_features=x.shape[1],
        class_weights=class_weights,
        candidates=tuple(candidate for candidate, _ in tried),
        chosen=chosen,
        converged=converged,
        devel=figures(devel, on_devel, n_resamples),
        test=None if on_test is None else figures(test, on_test, n_resamples),
    ), Predictions(on_devel, on_test)


def _check(
    x: Floats,
    truth: npt.NDArray[Any],
    splits: Sequence[Split],
    complexities: Sequence[float],
    scalings: Sequence[FeatureScaling],
) -> None:
    if x.ndim != 2 or 0 in x.shape or truth.shape != x.shape[:1] or len(splits) != len(x):  # noqa: PLR2004
        raise SpecError(
            f"expected features (files, d), and as many labels and splits, "
            f"got {x.shape}, {truth.shape} and {len(splits)}"
        )
    if not complexities or not scalings or min(complexities) <= 0:
        raise SpecError(
            f"expected complexities above 0 and scalings to try, got {list(complexities)} and {list(scalings)}"
        )
    unknown = [scaling for scaling in scalings if scaling not in SCALINGS]
    if unknown:
        raise SpecError(f"scaling of features: expected one of {', '.join(SCALINGS)}, got {unknown[0]!r}")
    check_finite(x, "features")


def _check_parts(parts: dict[str, npt.NDArray[np.bool_]], truth: npt.NDArray[Any], labels: Sequence[str]) -> None:
    for name, what in (("train", "is fitted"), ("devel", "chooses its complexity")):
        if not parts[name].any():
            raise DataError(
                f"the baseline {what} on {name}: expected files of that split, got none: "
                f"give some of them {name} in the column split"
            )
    if labels and len(np.unique(truth[parts["train"]])) == 1:
        only = labels[int(truth[parts["train"]][0])]
        raise DataError(f"split train: expected files of two classes or more, got only {only!r}: divide the files anew")


def _fits(
    x: Floats,
    truth: npt.NDArray[Any],
    rows: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]],
    scalings: Iterable[FeatureScaling],
    complexities: Sequence[float],
    weights: ClassWeights | None,
) -> Iterator[tuple[FeatureScaling, float, npt.NDArray[Any], bool]]:
    """Fit on the first rows and predict the others, for each setting; no class weights: a regression."""
    fitted, asked = rows
    for scaling in scalings:
        left, right = _scaled(x[fitted], x[asked], scaling)
        kernel: Literal["precomputed", "linear"] = "linear"
        if len(left) <= _LARGEST_GRAM:
            kernel, left, right = "precomputed", left @ left.T, right @ left.T
        for complexity in complexities:
            settings = {"kernel": kernel, "C": complexity, "max_iter": _MOST_STEPS}
            yield scaling, complexity, *_predicted(left, truth[fitted], right, settings, weights)


def _scaled(fitted: Floats, asked: Floats, scaling: FeatureScaling) -> tuple[Floats, Floats]:
    if scaling == "length":
        return _of_one_length(fitted), _of_one_length(asked)
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(fitted)
    return scaler.transform(fitted), scaler.transform(asked)


def _of_one_length(x: Floats) -> Floats:
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1.0) * np.sqrt(x.shape[1]))


def _predicted(
    left: Floats, truth: npt.NDArray[Any], right: Floats, settings: dict[str, Any], weights: ClassWeights | None
) -> tuple[npt.NDArray[Any], bool]:
    """Fit on `left`, predict `right`, and say whether the solver came to its end."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.multiclass import OneVsRestClassifier
    from sklearn.svm import SVC, SVR

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # told by what is returned
        if weights is None:
            mean, std = truth.mean(), truth.std() or 1.0
            svr = SVR(**settings, epsilon=_EPSILON).fit(left, (truth - mean) / std)
            return svr.predict(right) * std + mean, not svr.fit_status_
        svc = SVC(**settings, class_weight="balanced" if weights == "balanced" else None)
        model = OneVsRestClassifier(svc).fit(left, truth)
    margins = model.decision_function(right)  # of two classes one, that of the second against the first
    position = (margins > 0).astype(np.intp) if margins.ndim == 1 else margins.argmax(axis=1)
    return model.classes_[position], not any(svm.fit_status_ for svm in model.estimators_)
