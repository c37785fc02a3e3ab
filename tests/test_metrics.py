import json
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from scipy import stats
from sklearn import metrics as sk

from dslite.codec import from_json, to_json
from dslite.errors import RunError, SpecError
from dslite.learn.evaluation import Evaluation, by_file, evaluate, write_predictions
from dslite.metrics.scores import Classification, Difference, Regression, classification, paired_difference, regression

_ABC = ("a", "b", "c")
_PAIRS = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=30)
_FLOATS = st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(-1e3, 1e3, width=32)), min_size=1, max_size=30)


def _columns(pairs: list[tuple[Any, Any]]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    true, predicted = np.array(pairs).T
    return true, predicted


# -- classification -----------------------------------------------------------------------------------


@given(_PAIRS)
def test_classification_as_scikit_learn_has_it(pairs: list[tuple[int, int]]) -> None:
    true, predicted = _columns(pairs)
    found = classification(true, predicted, _ABC, n_resamples=20)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's, of classes that do not occur
        assert found.uar == pytest.approx(sk.balanced_accuracy_score(true, predicted))
        recall = sk.recall_score(true, predicted, labels=range(3), average=None, zero_division=np.nan)
    assert [np.nan if r is None else r for r in found.recall] == pytest.approx(recall.tolist(), nan_ok=True)
    assert found.accuracy == pytest.approx(sk.accuracy_score(true, predicted))
    assert found.confusion == tuple(map(tuple, sk.confusion_matrix(true, predicted, labels=range(3)).tolist()))
    assert found.support == tuple(np.bincount(true, minlength=3).tolist())
    assert found.chance == pytest.approx(1 / 3)
    assert found.n == len(pairs)
    assert (found.uar_interval is None) == (len(pairs) == 1)
    if found.uar_interval:
        assert 0 <= found.uar_interval[0] <= found.uar_interval[1] <= 1


def _slow_interval(true: Any, predicted: Any, groups: Any, n_resamples: int) -> tuple[float, float]:
    """The bootstrap, file by file and resample by resample."""
    generator, files = np.random.default_rng(0), np.unique(groups)
    uars = []
    for _ in range(n_resamples):
        drawn = files[generator.integers(0, len(files), len(files))]
        rows = np.concatenate([np.flatnonzero(groups == file) for file in drawn])
        hits = [(predicted[rows] == c)[true[rows] == c].mean() for c in np.unique(true[rows])]
        uars.append(np.mean(hits))
    return float(np.percentile(uars, 2.5)), float(np.percentile(uars, 97.5))


@pytest.mark.parametrize("chunks_a_file", [1, 3])
def test_the_interval_is_the_percentile_bootstraps_over_files(chunks_a_file: int) -> None:
    generator = np.random.default_rng(1)
    groups = np.repeat(np.arange(40), chunks_a_file)
    true = generator.integers(0, 4, 40)[groups]
    predicted = np.where(generator.random(len(true)) < 0.7, true, generator.integers(0, 4, len(true)))
    found = classification(true, predicted, "abcd", groups=groups, n_resamples=400)
    # The same draws: scipy takes a batch of resamples from the generator at once, in the same order.
    assert found.uar_interval == pytest.approx(_slow_interval(true, predicted, groups, 400))


@pytest.mark.parametrize(
    ("true", "predicted", "uar", "interval"),
    [
        ([1], [1], 1.0, None),
        ([1], [2], 0.0, None),
        ([0, 1, 2], [0, 1, 2], 1.0, (1.0, 1.0)),
        ([0, 1, 2], [1, 2, 0], 0.0, (0.0, 0.0)),
        ([0, 0], [0, 0], 1.0, (1.0, 1.0)),
        ([0, 0], [1, 1], 0.0, (0.0, 0.0)),
    ],
)
def test_one_file_all_right_all_wrong_and_classes_that_do_not_occur(
    true: list[int], predicted: list[int], uar: float, interval: tuple[float, float] | None
) -> None:
    found = classification(true, predicted, _ABC)
    assert (found.uar, found.uar_interval) == (uar, interval)
    assert [r is None for r in found.recall] == [c not in true for c in range(3)]


def test_of_two_classes_the_second_is_positive() -> None:
    found = classification([0, 0, 0, 1, 1], [0, 0, 1, 1, 1], ["negative", "positive"])
    assert (found.sensitivity, found.specificity) == (1.0, pytest.approx(2 / 3))
    assert classification([0, 1], [0, 1], _ABC).sensitivity is None


def test_without_resamples_no_interval() -> None:
    assert classification([0, 1], [0, 1], "ab", n_resamples=0).uar_interval is None
    assert regression([0, 1], [0, 1], n_resamples=0).mae_interval is None


def test_the_seed_decides_the_interval() -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 3, (2, 60))
    first, again, other = (classification(true, predicted, _ABC, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first.uar_interval != other.uar_interval


def test_memory_is_bounded_for_many_files() -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 10, (2, 20_000))
    classification(true[:10], predicted[:10], "abcdefghij")  # imports
    tracemalloc.start()
    found = classification(true, predicted, "abcdefghij")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 100e6  # 1000 resamples of 20,000 indices at once would be 160 MB and more
    assert found.uar_interval is not None
    assert found.uar_interval[0] < 0.1 < found.uar_interval[1]


@pytest.mark.parametrize(
    ("true", "predicted", "message"),
    [
        ([], [], "expected whole numbers"),
        ([0.0], [0.0], "expected whole numbers"),
        ([[0]], [[0]], "expected whole numbers"),
        ([0, 1], [0], "expected one length, got 2 and 1"),
        ([3], [0], "true: expected positions of 3 classes, got 3 to 3"),
        ([0], [-1], "predicted: expected positions of 3 classes, got -1 to -1"),
    ],
)
def test_what_is_no_classification_is_refused(true: Any, predicted: Any, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        classification(true, predicted, _ABC)


def test_groups_are_one_a_row() -> None:
    with pytest.raises(SpecError, match="groups: expected one of each row"):
        classification([0, 1], [0, 1], "ab", groups=[0])


# -- paired difference --------------------------------------------------------------------------------


def test_the_difference_of_a_way_from_itself_is_nothing() -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.integers(0, 3, (2, 60))
    found = paired_difference(true, predicted, predicted)
    assert (found.difference, found.interval) == (0.0, (0.0, 0.0))


def test_the_difference_is_that_of_the_uars_and_pairing_narrows_its_interval() -> None:
    generator = np.random.default_rng(0)
    true = generator.integers(0, 3, 300)
    weak = np.where(generator.random(300) < 0.6, true, (true + 1) % 3)
    strong = np.where(generator.random(300) < 0.3, true, weak)  # right wherever the weak one is
    found = paired_difference(true, strong, weak)
    alone = [classification(true, predicted, _ABC) for predicted in (strong, weak)]
    assert (found.uar_a, found.uar_b) == (pytest.approx(alone[0].uar), pytest.approx(alone[1].uar))
    assert found.difference == pytest.approx(alone[0].uar - alone[1].uar)
    assert found.interval is not None
    low, high = found.interval
    assert 0 < low < found.difference < high
    assert high - low < sum(a.uar_interval[1] - a.uar_interval[0] for a in alone if a.uar_interval) / 2
    back = paired_difference(true, weak, strong)
    assert back.difference == pytest.approx(-found.difference)
    assert back.interval == pytest.approx((-high, -low))


def test_a_class_predicted_that_does_not_occur_and_one_file() -> None:
    assert paired_difference([0], [5], [0]) == Difference(1, 0.0, 1.0, -1.0, 1, None)


# -- regression ---------------------------------------------------------------------------------------


def test_ccc_as_lin_has_it() -> None:
    # Worked by hand from Lin (1989), equation 2.3: means 3 and 4, variances 2 and 2, covariance 2 (all over n):
    # 2 * 2 / (2 + 2 + 1) = 0.8; Pearson's coefficient does not see the shift.
    found = regression([1, 2, 3, 4, 5], [2, 3, 4, 5, 6])
    assert (found.ccc, found.pearson) == (pytest.approx(0.8), pytest.approx(1.0))
    assert (found.mae, found.rmse) == (pytest.approx(1.0), pytest.approx(1.0))
    # And of the scale: variances 2 and 8, covariance 4, means 3 and 6: 8 / (10 + 9).
    assert regression([1, 2, 3, 4, 5], [2, 4, 6, 8, 10]).ccc == pytest.approx(8 / 19)


@given(_FLOATS)
def test_regression_as_scikit_learn_and_scipy_have_it(pairs: list[tuple[float, float]]) -> None:
    true, predicted = _columns(pairs)
    found = regression(true, predicted, n_resamples=20)
    assert found.mae == pytest.approx(sk.mean_absolute_error(true, predicted), abs=1e-9)
    assert found.rmse == pytest.approx(sk.root_mean_squared_error(true, predicted), abs=1e-9)
    spread = min(np.std(true), np.std(predicted))
    if spread > 1e-3 * max(1.0, np.abs(pairs).max()):
        assert found.pearson == pytest.approx(stats.pearsonr(true, predicted).statistic, abs=1e-6)
    if not spread:
        assert found.pearson is None
    assert found.ccc is None or abs(found.ccc) <= abs(1.0 if found.pearson is None else found.pearson) + 1e-9
    for interval in (found.mae_interval, found.rmse_interval, found.pearson_interval, found.ccc_interval):
        assert interval is None or interval[0] <= interval[1]
    assert (found.mae_interval is None) == (len(pairs) == 1)


@given(
    npst.arrays(np.float64, 12, elements=st.floats(-10, 10).map(lambda x: round(x, 3))),
    npst.arrays(np.float64, 12, elements=st.floats(-10, 10).map(lambda x: round(x, 3))),
    st.sampled_from([0.0, 1e3, -1e6]),
)
def test_an_offset_changes_nothing(
    true: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64], offset: float
) -> None:
    plain, moved = (regression(true + by, predicted + by, n_resamples=30) for by in (0.0, offset))
    assert moved.mae == pytest.approx(plain.mae, abs=1e-6)
    if min(np.ptp(true), np.ptp(predicted)) > 0.01:
        assert moved.ccc == pytest.approx(plain.ccc, abs=1e-4)
        assert moved.pearson == pytest.approx(plain.pearson, abs=1e-4)


def test_constant_predictions_have_no_correlation_and_no_concordance() -> None:
    found = regression([1.0, 2.0, 4.0], [0.1, 0.1, 0.1])
    assert (found.pearson, found.pearson_interval) == (None, None)
    assert found.ccc == 0.0
    assert found.mae == pytest.approx(6.7 / 3)


def test_one_number_everywhere_is_undefined() -> None:
    found = regression([0.1] * 7, [0.1] * 7)
    assert (found.pearson, found.ccc, found.ccc_interval) == (None, None, None)
    assert (found.mae, found.mae_interval) == (0.0, (0.0, 0.0))
    one = regression([3.0], [4.0])
    assert (one.mae, one.mae_interval, one.pearson) == (1.0, None, None)


def test_resamples_without_a_value_are_left_out_of_an_interval() -> None:
    found = regression([1.0, 2.0, 4.0], [1.1, 2.3, 3.7], n_resamples=200)  # some are one file, three times
    assert found.pearson_interval is not None
    assert found.ccc_interval is not None
    assert -1 <= found.pearson_interval[0] <= found.pearson_interval[1] <= 1


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_model_that_diverged_is_told(bad: float) -> None:
    with pytest.raises(RunError, match=r"predicted: expected finite numbers, got 1 of 2"):
        regression([1.0, 2.0], [1.0, bad])
    with pytest.raises(RunError, match="outputs on devel: expected finite numbers, got 1 of 4"):
        evaluate("devel", "ab", [0, 1], [[0.5, 0.5], [bad, 0.5]], [0, 1])


# -- evaluations --------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 4), st.floats(0, 1)), min_size=1, max_size=20))
def test_a_files_output_is_the_mean_of_its_chunks(chunks: list[tuple[int, float]]) -> None:
    _, index = np.unique([file for file, _ in chunks], return_inverse=True)
    outputs = np.array([[p, 1 - p] for _, p in chunks])
    found = by_file(outputs, index)
    assert found == pytest.approx(np.array([outputs[index == i].mean(axis=0) for i in range(index.max() + 1)]))


def test_a_file_without_chunks_is_refused_and_by_evaluate_counted() -> None:
    with pytest.raises(SpecError, match="no chunk of file 1"):
        by_file([[1.0], [2.0]], [0, 2])
    found = evaluate("test", "ab", [0, 1, 1, 0], [[0.9, 0.1], [0.2, 0.8]], [0, 2])
    assert (found.n_files, found.n_chunks, found.n_without_chunks) == (2, 2, 2)
    assert found.score == 1.0


def test_files_and_chunks_are_evaluated_each() -> None:
    outputs = [[0.9, 0.1], [0.4, 0.6], [0.4, 0.6], [0.1, 0.9]]
    found = evaluate("devel", ("no", "yes"), [0, 1], outputs, [0, 0, 1, 1])
    assert isinstance(found.file_level, Classification)
    assert isinstance(found.chunk_level, Classification)
    assert (found.file_level.n, found.file_level.uar) == (2, 1.0)
    assert (found.chunk_level.n, found.chunk_level.uar) == (4, 0.75)
    assert (found.file_level.sensitivity, found.chunk_level.specificity) == (1.0, 0.5)


def test_numbers_are_evaluated_as_numbers() -> None:
    found = evaluate("test", (), [1.0, 2.0, 3.0], [[0.0], [2.0], [2.0], [3.0]], [0, 0, 1, 2])
    assert isinstance(found.file_level, Regression)
    assert isinstance(found.chunk_level, Regression)
    assert (found.task, found.file_level.mae, found.score) == ("regression", 0.0, 1.0)
    assert found.chunk_level.mae == 0.5


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(SpecError, match=r"expected outputs \(chunks, 2\) of 1 files"):
        evaluate("test", "ab", [0], [[0.1, 0.2, 0.7]], [0])
    with pytest.raises(SpecError, match="files up to number 1"):
        evaluate("test", "ab", [0], [[0.1, 0.9]], [1])
    with pytest.raises(SpecError, match="chunks >= 1"):
        evaluate("test", "ab", [0], np.zeros((0, 2)), np.zeros(0, int))
    with pytest.raises(SpecError, match="expected 0 and above"):
        by_file([[1.0]], [-1])


@pytest.mark.parametrize("labels", [("a", "b"), _ABC, ()])
def test_records_go_to_json_and_back(labels: tuple[str, ...]) -> None:
    outputs = np.eye(len(labels) or 1)[[0, 0]]
    evaluation = evaluate("test", labels, [0, 0], outputs, [0, 1])
    text = json.dumps(to_json(evaluation), allow_nan=False)
    assert from_json(Evaluation, json.loads(text)) == evaluation
    difference = paired_difference([0, 1], [0, 1], [1, 1])
    assert from_json(Difference, json.loads(json.dumps(to_json(difference), allow_nan=False))) == difference


def test_predictions_are_written_a_row_a_file(tmp_path: Path) -> None:
    path = tmp_path / "predictions.csv"
    names = ["a, b/ä.wav", "2.wav"]
    write_predictions(path, names, ["no", 'a "yes"'], [0, 1], [[0.25, 0.75], [0.5, 0.5]])
    assert path.read_text(encoding="utf-8").splitlines() == [
        'file,label,predicted,no,"a ""yes"""',
        '"a, b/ä.wav",no,"a ""yes""",0.25,0.75',
        '2.wav,"a ""yes""",no,0.5,0.5',
    ]
    write_predictions(path, names, (), [1.5, 2.5], [[1.25], [3.0]])
    assert path.read_text(encoding="utf-8").splitlines() == [
        "file,label,predicted",
        '"a, b/ä.wav",1.5,1.25',
        "2.wav,2.5,3",
    ]
    with pytest.raises(SpecError, match="expected outputs"):
        write_predictions(path, names, (), [1.5], [[1.25]])
    assert len(path.read_text(encoding="utf-8").splitlines()) == 3
