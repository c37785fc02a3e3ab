from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from bench_reports import printed
from matplotlib.image import imread

from dslite.learn.evaluation import Evaluation, evaluate
from dslite.report.evaluation import confusion_png, evaluation_tables, figure, headline, interval

_ODD = ("日本語", "$x_1$ \\frac{", "[red]name", "two\nlines", "", "a name of a class that is longer than any should be")


def _evaluation(labels: Sequence[str], files_a_class: int = 6, chunks_a_file: int = 2) -> Evaluation:
    generator, k = np.random.default_rng(0), len(labels)
    true = np.arange(k * files_a_class) % k
    index = np.arange(len(true)).repeat(chunks_a_file)
    outputs = np.eye(k)[true[index]] + 1.5 * generator.random((len(index), k))
    return evaluate("devel", labels, true, outputs, index, n_resamples=50)


def _regression() -> Evaluation:
    generator = np.random.default_rng(0)
    true = generator.normal(size=30)
    return evaluate("test", (), true, (true + 0.3 * generator.normal(size=30))[:, None], np.arange(30))


def _text(evaluation: Evaluation, width: int = 100) -> str:
    return printed(evaluation_tables(evaluation, width), width)


def test_uar_stands_beside_its_interval_and_chance_at_both_levels() -> None:
    evaluation = _evaluation(["negative", "positive"])
    text = _text(evaluation)
    for name, level in (("files", evaluation.file_level), ("chunks", evaluation.chunk_level)):
        (row,) = [line for line in text.splitlines() if line.split()[:2] == [name, str(level.n)]]
        expected = [name, str(level.n), figure(level.uar), *interval(level.uar_interval).split(), "0.500"]  # type: ignore[union-attr]
        assert row.split()[: len(expected)] == expected
    assert "sensitivity: recall of positive; specificity: of negative" in text
    assert "50 bootstrap resamples of files" in text


def test_the_headline_is_one_line() -> None:
    evaluation = _evaluation(["a", "b", "c"])
    found = evaluation.file_level
    expected = f"UAR {found.uar:.3f} ({found.uar_interval[0]:.3f} to {found.uar_interval[1]:.3f}), chance 0.333"  # type: ignore[union-attr,index]
    assert headline(evaluation) == f"devel, 18 files: {expected}"
    assert headline(_regression()).startswith("test, 30 files: CCC 0.9")


def test_rows_of_the_matrix_are_true_classes() -> None:
    evaluation = evaluate("test", ["cat", "dog"], [0, 0, 0, 1], np.eye(2)[[1, 1, 0, 1]], np.arange(4))
    lines = [line.split() for line in _text(evaluation).splitlines()]
    assert ["true,", "taken", "for", "cat", "dog"] in lines
    assert ["cat", "1", "2"] in lines
    assert ["dog", ".", "1"] in lines


def test_recall_and_support_of_each_class_and_what_is_absent() -> None:
    evaluation = evaluate("test", ["a", "b", "c"], [0, 0, 1], np.eye(3)[[0, 1, 1]], np.arange(3))
    lines = [line.split() for line in _text(evaluation).splitlines()]
    assert ["a", "2", "0.500", "2", "0.500"] in lines
    assert ["c", "0", "-", "0", "-"] in lines
    assert "no files of c: UAR is the mean over the other classes" in _text(evaluation)


@pytest.mark.parametrize("width", [60, 80, 120, 200])
@pytest.mark.parametrize("n_classes", [2, 7, 10, 35])
def test_no_figure_is_cut_at_any_width(n_classes: int, width: int) -> None:
    evaluation = _evaluation([f"class {i}" for i in range(n_classes)])
    text = _text(evaluation, width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    shown = "true, taken for" in text
    assert shown != ("needs a wider terminal" in text)
    assert shown or width < n_classes * 6
    for row, label in zip(evaluation.file_level.confusion, evaluation.file_level.labels, strict=True):  # type: ignore[union-attr]
        counts = [str(cell or ".") for cell in row]
        assert not shown or any(label in line and line.split()[-n_classes:] == counts for line in text.splitlines())


def test_names_of_classes_are_text_and_nothing_else() -> None:
    text = _text(_evaluation(_ODD), 200)
    for name in ("日本語", "$x_1$ \\frac{", "[red]name", "two lines", "(no name)"):
        assert name in text


def test_files_that_are_too_short_are_told() -> None:
    evaluation = evaluate("test", ["a", "b"], [0, 1, 1], np.eye(2), [0, 1])
    assert "1 file was too short for a chunk" in _text(evaluation)


def test_one_file_has_no_interval() -> None:
    text = _text(evaluate("test", ["a", "b"], [0], [[0.9, 0.1]], [0]))
    assert ["files", "1", "1.000", "-", "0.500", "1.000", "-", "1.000"] in [line.split() for line in text.splitlines()]
    assert "bootstrap" not in text


def test_a_regression_has_figures_and_no_matrix(tmp_path: Path) -> None:
    text = _text(_regression(), 120)
    for word in ("CCC", "Pearson", "MAE", "RMSE", "95 % CI"):
        assert word in text
    assert "taken for" not in text
    with pytest.raises(TypeError, match="no confusion matrix"):
        confusion_png(_regression(), tmp_path / "c.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("labels", [("no", "yes"), _ODD, [f"keyword number {i}" for i in range(21)]])
def test_the_picture_is_drawn_whatever_the_names_are(tmp_path: Path, labels: Sequence[str]) -> None:
    evaluation = _evaluation(labels)
    first, again = tmp_path / "first.png", tmp_path / "again.png"
    confusion_png(evaluation, first)
    with mpl.rc_context({"font.size": 31, "figure.facecolor": "red", "savefig.dpi": 10}):  # what a user has set
        confusion_png(evaluation, again)
        assert mpl.rcParams["font.size"] == 31
    assert first.read_bytes() == again.read_bytes()
    height, width, _ = imread(first).shape
    assert 300 <= height <= 4000
    assert 300 <= width <= 4000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.png", "first.png"]


def test_the_picture_shows_the_matrix(tmp_path: Path) -> None:
    labels = ["a", "b", "c"]
    right = evaluate("test", labels, [0, 1, 2], np.eye(3), np.arange(3))
    wrong = evaluate("test", labels, [0, 1, 2], np.eye(3)[[1, 2, 0]], np.arange(3))
    dark = []
    for evaluation in (right, wrong):
        confusion_png(evaluation, tmp_path / "c.png")
        pixels = imread(tmp_path / "c.png")[..., :3]
        blue = np.abs(pixels - mpl.colormaps["Blues"](1.0)[:3]).max(axis=2) < 0.01
        columns = np.flatnonzero(blue.sum(axis=0) > 40)
        rows = np.flatnonzero(blue.sum(axis=1) > 40)
        field = blue[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        h, w = field.shape
        cells = [
            [field[h * i // 3 : h * (i + 1) // 3, w * j // 3 : w * (j + 1) // 3].mean() for j in range(3)]
            for i in range(3)
        ]
        dark.append(np.array(cells) > 0.5)
    assert np.array_equal(dark[0], np.eye(3, dtype=bool))
    assert np.array_equal(dark[1], np.eye(3, dtype=bool)[[1, 2, 0]])
