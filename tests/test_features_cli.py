"""`dslite features` and `dslite baseline`: the real commands on real files, with a backbone of two layers."""

import csv
from pathlib import Path

import numpy as np
import pytest
from conftest import assert_refused, invoke, said, told_json
from labelled import LABELS, table

pytestmark = pytest.mark.usefixtures("lab")
LAB = ("--backbone", "lab", "--weights", "none", "--size", 32)


def test_a_file_has_the_mean_of_its_chunks(labels_csv: Path, tmp_path: Path) -> None:
    picture = ("--chunk", 0.2, "--chunk-hop", 0.1)
    rows = {}
    for level in ("chunk", "file"):
        path = tmp_path / f"{level}.csv"
        words = ("features", labels_csv, *LAB, *picture, "-o", path, "--level", level)
        told = told_json(*words)
        with path.open(encoding="utf-8", newline="") as file:
            rows[level] = list(csv.DictReader(file))
        assert (told["rows"], told["level"], told["path"]) == (len(rows[level]), level, str(path))
    names = [name for name in rows["file"][0] if name.startswith("feature_")]
    assert [row["file"] for row in rows["file"]] == [f"{i}.wav" for i in range(25)]
    assert [row["label"] for row in rows["file"]] == [LABELS[i % 3] for i in range(25)]
    spans = [(float(row["start_s"]), float(row["end_s"])) for row in rows["chunk"] if row["file"] == "0.wav"]
    assert spans == [pytest.approx((i / 10, i / 10 + 0.2)) for i in range(4)]
    for row in rows["file"]:
        own = [[float(chunk[name]) for name in names] for chunk in rows["chunk"] if chunk["file"] == row["file"]]
        assert np.mean(own, axis=0) == pytest.approx([float(row[name]) for name in names], rel=1e-5, abs=1e-6)


def test_the_opponent_is_chosen_on_devel_and_scored_on_test(labels_csv: Path) -> None:
    words = ("baseline", labels_csv, *LAB, "--chunk", 0.5)
    found = told_json(*words)
    assert (found["devel"]["n"], found["test"]["n"]) == (6, 7)
    assert found["chosen"]["score"] == max(candidate["score"] for candidate in found["candidates"])
    assert found["test"]["uar"] > 0.6  # sounds that anything tells apart; chance is a third
    shown = invoke(*words, "--complexity", found["chosen"]["complexity"])
    assert f"{found['test']['uar']:.3f}" in said(shown, None)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("features", "-o", "features.txt"), "expected a name that ends in .csv or .arff"),
        (("features", "-o", "no/such/features.csv"), "does not exist"),
        (("features", "-o", "f.csv", "--size", 2), "picture size: expected 8 to 4096 px"),
        (("features", "-o", "f.csv", "--weights", "none.h5"), "--weights: expected none, imagenet or a weight file"),
        (("baseline", "--complexity", 0), "0 is not in the range x>0"),
    ],
)
def test_what_cannot_be_is_one_line(words: tuple[object, ...], told: str, labels_csv: Path, tmp_path: Path) -> None:
    done = invoke(words[0], labels_csv, *LAB, *words[1:], cwd=tmp_path)
    assert_refused(done, told)
    assert list(tmp_path.iterdir()) == []


def test_an_opponent_needs_devel(data: Path) -> None:
    no_devel = table(data, "no-devel.csv", lambda row: None if row["split"] == "devel" else row)
    assert_refused(invoke("baseline", no_devel, *LAB), "devel")
