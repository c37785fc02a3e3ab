"""The audio that exporters calibrate with, where the user names it."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from labelled import table

from dslite.errors import AudioError, DataError
from dslite.experiment.data import calibration_files

if TYPE_CHECKING:
    import subprocess

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def test_of_a_table_the_train_split_is_taken_and_of_a_folder_all(data: Path, labels_csv: Path) -> None:
    assert [path.name for path in calibration_files([labels_csv])] == [f"{i}.wav" for i in range(12)]
    assert len(calibration_files([data])) == 25
    assert [path.name for path in calibration_files([labels_csv, data / "20.wav"])][-2:] == ["11.wav", "20.wav"]
    no_train = table(data, "no_train.csv", lambda row: None if row["split"] == "train" else row)
    with pytest.raises(DataError, match=r"no_train.csv: expected a train split to calibrate with"):
        calibration_files([no_train])
    with pytest.raises(AudioError):
        calibration_files([data / "gone.wav"])


def test_a_table_without_splits_is_divided_by_the_seed_of_the_run(data: Path) -> None:
    whole = table(data, "whole.csv")
    text = "".join(f"{line.rpartition(',')[0]}\n" for line in whole.read_text(encoding="utf-8").splitlines())
    whole.write_text(text, encoding="utf-8")
    heard = {seed: {path.name for path in calibration_files([whole], seed)} for seed in (None, 0, 1)}
    assert heard[None] == heard[0] != heard[1]
    assert 10 <= len(heard[1]) <= 20


def test_what_has_nothing_to_calibrate_is_told(dslite_command: Command, labels_csv: Path, tmp_path: Path) -> None:
    words = ("export", "--backbone", "mobilenet_v2", "-o", tmp_path / "x.tflite", "--exporter")
    done = dslite_command(*words, "tflite-float32", "--calibration", labels_csv)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--calibration: tflite-float32 has nothing to calibrate: leave it away" in done.stderr
    done = dslite_command(*words, "tflite-int8:samples=7", "--calibration", labels_csv)
    assert (done.returncode, done.stdout) == (2, "")
    assert "exporter tflite-int8:samples=7: samples: expected at least 8 calibration chunks, got 7" in done.stderr
