import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import balanced_accuracy_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from dslite.codec import from_json, to_json
from dslite.errors import DataError, RunError, SpecError
from dslite.learn import baseline as module
from dslite.learn.baseline import COMPLEXITIES, SCALINGS, Baseline, Candidate, baseline
from dslite.learn.dataset import Split
from dslite.metrics.scores import Classification, Regression

_ABC = ("a", "b", "c")
_ORDER: tuple[Split, ...] = ("train", "devel", "test")


def _splits(*counts: int) -> list[Split]:
    return [name for name, count in zip(_ORDER, counts, strict=False) for _ in range(count)]


def _blobs(n: int, d: int = 12, apart: float = 1.5, seed: int = 0) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Three classes of features, whose scales differ."""
    generator = np.random.default_rng(seed)
    true = np.arange(n) % 3
    centres = generator.normal(size=(3, d)) * apart
    scales = 10.0 ** generator.uniform(-1, 1, d)
    x = (centres[true] + generator.normal(size=(n, d))) * scales + 3
    return x.astype(np.float32), true


def test_it_is_scikit_learns_svm_chosen_on_devel_and_refitted() -> None:
    x, true = _blobs(180, apart=0.7)
    splits = _splits(90, 45, 45)
    found, predictions = baseline(x, true, splits, _ABC, scalings=["standard"])
    train, devel, test = (np.array([s == name for s in splits]) for name in _ORDER)

    def reference(complexity: float, fitted: Any, asked: Any) -> Any:
        svm = OneVsRestClassifier(SVC(kernel="linear", C=complexity, class_weight="balanced"))
        return make_pipeline(StandardScaler(), svm).fit(x[fitted], true[fitted]).predict(x[asked])

    scores = [balanced_accuracy_score(true[devel], reference(c, train, devel)) for c in COMPLEXITIES]
    assert [candidate.score for candidate in found.candidates] == pytest.approx(scores, abs=0.03)  # near-ties differ
    assert found.chosen.score == max(candidate.score or 0 for candidate in found.candidates)
    assert found.chosen == next(c for c in found.candidates if c.score == found.chosen.score)
    assert isinstance(found.devel, Classification)
    assert isinstance(found.test, Classification)
    assert found.devel.uar == pytest.approx(found.chosen.score)
    expected = reference(found.chosen.complexity, train | devel, test)
    assert predictions.test is not None
    assert (predictions.test == expected).mean() > 0.97
    assert found.test.uar == pytest.approx(balanced_accuracy_score(true[test], predictions.test))
    assert found.test.uar_interval is not None
    assert (found.converged, found.n_features, found.task) == (True, 12, "classification")


def test_files_of_test_change_no_choice_and_no_devel_figure() -> None:
    x, true = _blobs(90)
    splits = _splits(45, 24, 21)
    found, _ = baseline(x, true, splits, _ABC)
    changed, _ = baseline(np.where(np.array(splits)[:, None] == "test", -50 * x, x), true, splits, _ABC)
    assert (found.candidates, found.devel) == (changed.candidates, changed.devel)
    assert found.test != changed.test


def test_every_setting_is_tried_in_order_and_told() -> None:
    x, true = _blobs(60)
    told: list[tuple[str, float]] = []
    found, _ = baseline(
        x, true, _splits(30, 15, 15), _ABC, complexities=[0.01, 1], progress=lambda *words: told.append(words)
    )
    tried = [(scaling, complexity) for scaling in SCALINGS for complexity in (0.01, 1)]
    assert [(candidate.scaling, candidate.complexity) for candidate in found.candidates] == tried
    assert told[0] == ("C 0.01, standard scaling", 0.2)
    assert [fraction for _, fraction in told] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_class_weights_help_the_rare_class() -> None:
    generator = np.random.default_rng(0)
    true = (np.arange(600) % 10 == 0).astype(int)
    x = generator.normal(size=(600, 4)) + true[:, None] * 0.8
    uars = {}
    for weights in ("balanced", "none"):
        found, _ = baseline(x, true, _splits(300, 150, 150), ["no", "yes"], complexities=[1.0], class_weights=weights)
        assert isinstance(found.test, Classification)
        uars[weights] = found.test.uar
    assert uars["balanced"] > uars["none"] + 0.1


def test_large_sets_are_solved_without_all_inner_products(monkeypatch: pytest.MonkeyPatch) -> None:
    x, true = _blobs(90, apart=0.8)
    splits = _splits(45, 24, 21)
    kept, _ = baseline(x, true, splits, _ABC)
    monkeypatch.setattr(module, "_LARGEST_GRAM", 1)
    found, _ = baseline(x, true, splits, _ABC)
    assert found == kept


def test_a_number_is_predicted() -> None:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(120, 6))
    true = 100 + 20 * (x @ generator.normal(size=6)) + generator.normal(size=120)
    found, predictions = baseline(x, true, _splits(60, 30, 30), ())
    assert isinstance(found.devel, Regression)
    assert isinstance(found.test, Regression)
    assert found.devel.ccc == found.chosen.score
    assert found.test.ccc is not None
    assert found.test.ccc > 0.95
    assert predictions.test is not None
    assert np.abs(predictions.test - true[90:]).mean() == pytest.approx(found.test.mae)


def test_a_solver_that_gives_up_is_told_in_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_STEPS", 2)
    x, true = _blobs(60, apart=0.3)
    found, _ = baseline(x, true, _splits(30, 15, 15), _ABC)  # warnings are errors in tests
    assert not found.converged
    assert not all(candidate.converged for candidate in found.candidates)


def test_features_that_are_constant_or_nothing_and_a_class_absent_from_train() -> None:
    x, true = _blobs(60)
    x[:, 0], x[3] = 5, 0
    splits = _splits(30, 15, 15)
    true[:30] %= 2
    found, _ = baseline(x, true, splits, _ABC)
    assert isinstance(found.test, Classification)
    assert found.test.support[2] > 0
    none_at_all, _ = baseline(np.zeros((60, 3)), true, splits, _ABC)
    assert isinstance(none_at_all.test, Classification)
    assert none_at_all.test.uar == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        (_splits(60), "chooses its complexity on devel: expected files of that split, got none"),
        (_splits(0, 30, 30), "is fitted on train"),
        (_splits(1, 30, 29), "split train: expected files of two classes or more, got only 'a'"),
    ],
)
def test_splits_it_cannot_do_without(splits: list[Split], message: str) -> None:
    x, true = _blobs(60)
    with pytest.raises(DataError, match=message):
        baseline(x, true, splits, _ABC)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"splits": _splits(30, 15)}, SpecError, "expected features"),
        ({"features": np.zeros(60)}, SpecError, "expected features"),
        ({"features": np.zeros((60, 0))}, SpecError, "expected features"),
        ({"features": np.full((60, 2), np.nan)}, RunError, "features: expected finite numbers"),
        ({"complexities": []}, SpecError, "expected complexities above 0"),
        ({"complexities": [0.0]}, SpecError, "expected complexities above 0"),
        ({"scalings": ["minmax"]}, SpecError, "expected one of standard, length, got 'minmax'"),
    ],
)
def test_what_does_not_fit_is_refused(change: dict[str, Any], error: type[Exception], message: str) -> None:
    x, true = _blobs(60)
    with pytest.raises(error, match=message):
        baseline(**{"features": x, "true": true, "splits": _splits(30, 15, 15), "labels": _ABC, **change})


def test_the_record_goes_to_json_and_back() -> None:
    x, true = _blobs(60)
    found, predictions = baseline(x, true, _splits(40, 20), _ABC)
    assert (found.test, predictions.test, found.devel.n) == (None, None, 20)  # without a test split
    assert from_json(Baseline, json.loads(json.dumps(to_json(found), allow_nan=False))) == found
    assert isinstance(found.candidates[0], Candidate)
