import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.io import arff

from dslite.errors import RunError, SpecError
from dslite.learn.features_file import Row, write_features

_TEXT = st.text(st.characters(codec="utf-8"), max_size=12) | st.sampled_from(
    ["", "?", "a b", "ä,ö", "it's", '"', "\\", "100 %", "{x}", "%", "\n", "\t", "\\'", "Hund bellt"]
)


def tokens(line: str) -> list[str]:
    """Read a line of ARFF data as Java's StreamTokenizer does with the settings of weka.core.converters.ArffLoader.

    Blanks, control characters and commas part words; ' and " enclose them; in quotes a backslash escapes; % begins a
    comment. A quoted word is marked by a leading zero character, so that ? and '?' differ.
    """
    found, i = [], 0
    while i < len(line):
        c = line[i]
        if c <= " " or c == ",":
            i += 1
        elif c == "%":
            break
        elif c in "'\"":
            word, i = "\0", i + 1
            while line[i] != c:
                if line[i] == "\\":
                    i += 1
                    word += {"n": "\n", "r": "\r", "t": "\t"}.get(line[i], line[i])
                else:
                    assert line[i] not in "\r\n"
                    word += line[i]
                i += 1
            found.append(word)
            i += 1
        else:
            word = ""
            while i < len(line) and line[i] > " " and line[i] not in ",'\"{}%":
                word, i = word + line[i], i + 1
            assert word
            found.append(word)
    return found


@given(names=st.lists(_TEXT, min_size=1, max_size=4), labels=st.lists(_TEXT, min_size=2, max_size=3, unique=True))
def test_every_name_and_label_comes_back_from_both(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], labels: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("features")
    rows: list[Row] = [(name, [0.5, -1], labels[i % 2], None) for i, name in enumerate(names)]
    for suffix in (".csv", ".arff"):
        assert write_features(folder / f"f{suffix}", rows, 2, labels) == len(rows)
    with (folder / "f.csv").open(encoding="utf-8", newline="") as file:
        read = list(csv.reader(file))
    assert read[0] == ["file", "feature_0", "feature_1", "label"]
    assert read[1:] == [[row[0], "0.5", "-1", row[2]] for row in rows]
    header, _, data = (folder / "f.arff").read_bytes().decode().partition("@data\n")
    cells = [tokens(line) for line in data.split("\n")[:-1]]
    assert [[cell.removeprefix("\0") for cell in row] for row in cells] == read[1:]
    assert not any(cell in ("?", "") for row in cells for cell in row)  # which, unless quoted, are missing values
    nominal = header[header.index("@attribute label {") + 18 : header.rindex("}")]
    assert [token.removeprefix("\0") for token in tokens(nominal)] == labels


def _without_names(path: Path) -> io.StringIO:
    """Give an ARFF file without its first column: scipy reads no strings."""
    header, _, data = path.read_text(encoding="utf-8").partition("@data\n")
    header = header.replace("@attribute file string\n", "")
    return io.StringIO(header + "@data\n" + "".join(line.split(",", 1)[1] + "\n" for line in data.splitlines()))


def test_scipy_reads_the_arff_file(tmp_path: Path) -> None:
    path, features = tmp_path / "features.ARFF", np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    labels = ["Hund bellt", "saw, far", "rain"]  # scipy knows ASCII alone
    rows: list[Row] = [(f"{i}.wav", row, labels[i % 3], (1.5 * i, 1.5 * i + 3)) for i, row in enumerate(features)]
    write_features(path, rows, 3, labels, spans=True)
    data, meta = arff.loadarff(_without_names(path))
    assert meta.name == "features"
    assert meta.names() == ["start_s", "end_s", "feature_0", "feature_1", "feature_2", "label"]
    assert meta["label"][1] == tuple(labels)
    assert [row["label"].decode() for row in data] == [labels[i % 3] for i in range(5)]
    read = np.stack([data[f"feature_{i}"] for i in range(3)], axis=1)
    assert np.array_equal(read.astype(np.float32), features)
    assert data["end_s"].tolist() == [3.0, 4.5, 6.0, 7.5, 9.0]


def test_numbers_as_labels(tmp_path: Path) -> None:
    rows: list[Row] = [("a.wav", [1], "3.50", None), ("b.wav", [2], -1, None)]
    for suffix in (".csv", ".arff"):
        write_features(tmp_path / f"f{suffix}", rows, 1, ())
    assert (tmp_path / "f.csv").read_text(encoding="utf-8").splitlines()[1:] == ["a.wav,1,3.5", "b.wav,2,-1.0"]
    data, meta = arff.loadarff(_without_names(tmp_path / "f.arff"))
    assert meta["label"][0] == "numeric"
    assert data["label"].tolist() == [3.5, -1.0]


@pytest.mark.parametrize("suffix", [".csv", ".arff"])
def test_rows_are_taken_one_by_one(tmp_path: Path, suffix: str) -> None:
    alive: list[Any] = []

    def rows() -> Iterator[Row]:
        for i in range(50):
            alive.append(i)
            yield f"{i}.wav", [float(i)], "a", None
            alive.remove(i)
            assert not alive

    assert write_features(tmp_path / f"f{suffix}", rows(), 1, ["a", "b"]) == 50


@pytest.mark.parametrize(
    ("row", "error", "message"),
    [
        (("x.wav", [1.0], "a", None), SpecError, r"x.wav: expected 2 features without a span, got \(1,\)"),
        (("x.wav", [1.0, 2.0], "a", (0.0, 3.0)), SpecError, "without a span, got"),
        (("x.wav", [1.0, 2.0], "c", None), SpecError, "expected a label among a, b, got 'c'"),
        (("x.wav", [1.0, np.nan], "a", None), RunError, "got nan as feature 1"),
    ],
)
def test_what_does_not_fit_leaves_no_file(tmp_path: Path, row: Row, error: type[Exception], message: str) -> None:
    good: Row = ("ok.wav", [1.0, 2.0], "a", None)
    with pytest.raises(error, match=message):
        write_features(tmp_path / "f.arff", [good, row], 2, ["a", "b"])
    assert list(tmp_path.iterdir()) == []


def test_labels_of_a_regression_are_numbers_and_suffixes_are_two(tmp_path: Path) -> None:
    for label in ("high", "nan", "inf"):
        with pytest.raises(SpecError, match="expected a number as label"):
            write_features(tmp_path / "f.csv", [("x.wav", [1.0], label, None)], 1, ())
    with pytest.raises(SpecError, match=r"expected a name that ends in .csv or .arff"):
        write_features(tmp_path / "f.txt", [], 1, ())
