"""`dslite train`, `evaluate`, and what takes a run: the real commands on real files, with a backbone of two layers."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import distributions
import numpy as np
import pytest
import soundfile
from conftest import HEEDS_SIGINT, assert_refused, csv_rows, file_size_limited, invoke, run_dslite, said, told_json
from labelled import LABELS, RATE, table

from dslite import locks, recipes
from dslite.cli.commands.train import _info
from dslite.learn import run as runs
from dslite.learn.table import read as table_of
from dslite.recipe import TrainingRecipe

NETWORK = ("--backbone", "lab", "--weights", "none", "--chunk", 0.5, "--size", 32, "--hidden", 16, "--batch-size", 4)
EPOCHS = ("--learning-rate", 0.02, "--head-epochs", 5, "--finetune-epochs", 6)
AUGMENTED = (*NETWORK, *EPOCHS, "--augment", "cutmix:size=16,specaugment:size=16", "--losses", "last-visit")

pytestmark = pytest.mark.usefixtures("lab")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, labels_csv: Path) -> Path:
    """A run of a training that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "new" / "first"
    done = invoke("train", labels_csv, *AUGMENTED, "-o", folder)
    assert f"{folder}: weights of " in said(done, None)
    assert "finetune epoch 6: loss " in done.stderr
    return folder


@pytest.fixture(scope="module")
def regression_csv(data: Path) -> Path:
    return table(data, "numbers.csv", lambda row: row | {"label": f"{20 + 5 * LABELS.index(row['label'])}.5"})


@pytest.fixture(scope="module")
def regression(tmp_path_factory: pytest.TempPathFactory, regression_csv: Path) -> Path:
    """A run of a regression that drops short files."""
    folder = tmp_path_factory.mktemp("regression") / "numbers"
    words = (*NETWORK, "--short", "drop", "--learning-rate", 0.02, "--head-epochs", 25, "--finetune-epochs", 2)
    done = invoke("train", regression_csv, *words, "-o", folder)
    said(done, None)
    assert "note: 1 file is shorter than a chunk" in done.stderr
    return folder


def without_splits(data: Path) -> Path:
    """A table that commands have to divide."""
    path = table(data, "undivided.csv", lambda row: {**row, "split": ""})
    path.write_text(path.read_text(encoding="utf-8").replace(",split", "").replace(",\n", "\n"), encoding="utf-8")
    return path


def _json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def evaluation(done: "subprocess.CompletedProcess[str]") -> Any:
    """The figures that `dslite evaluate --json` gives, without what it says of their origin."""
    found = json.loads(said(done))
    assert found.pop("command").startswith("dslite evaluate ")
    assert found.pop("environment")["packages"]["tensorflow"]
    assert found.pop("notes") == []
    assert found.pop("n_learned_from") in {None, 0}
    assert all(isinstance(line, str) for line in found.pop("method"))
    return found


# -- what a run leaves ------------------------------------------------------------------------------------


def test_a_run_leaves_all_that_is_promised(run: Path, labels_csv: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        *("run.json", "recipe.toml", "data.csv", "environment.json", "history.json", "tensorboard"),
        *("weights.h5", "metrics.json", "predictions.csv", "confusion.png"),
    }
    info = runs.read_complete(run)
    assert recipes.read(run / "recipe.toml") == info.recipe
    assert (info.task, info.labels, info.final) == ("classification", LABELS, False)
    assert (info.recipe.backbone, info.recipe.training.head_epochs) == ("lab", 5)
    assert info.command.startswith("dslite train ")
    assert (run / "data.csv").read_text(encoding="utf-8") == labels_csv.read_text(encoding="utf-8")
    environment = _json(run / "environment.json")
    assert {"commit", "python"} <= set(environment)
    history = _json(run / "history.json")
    assert [(e["phase"], e["epoch"]) for e in history] == [
        *(("head", i + 1) for i in range(5)),
        *(("finetune", i + 1) for i in range(6)),
    ]
    assert history[-1]["loss"] < history[0]["loss"]
    metrics = _json(run / "metrics.json")
    assert metrics["kept_epoch"] in history
    figures = runs.read_outcome(run)[1]
    assert (figures.split, figures.n_files, figures.score) == ("devel", 6, metrics["kept_epoch"]["devel_score"])
    rows = csv_rows(run / "predictions.csv")
    assert [row["file"] for row in rows] == [f"{i}.wav" for i in range(12, 18)]
    assert all(max(LABELS, key=lambda name: float(row[name])) == row["predicted"] for row in rows)
    assert (run / "confusion.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_tensorboard_reads_the_history(run: Path) -> None:
    from tensorflow.python.summary.summary_iterator import summary_iterator

    (log,) = (run / "tensorboard").iterdir()
    found: dict[str, list[float]] = {}
    for event in summary_iterator(str(log)):
        for value in event.summary.value:
            found.setdefault(value.tag, []).append(np.frombuffer(value.tensor.tensor_content, np.float32)[0])
            assert value.metadata.plugin_data.plugin_name == "scalars"
            assert event.step == len(found[value.tag])
    history = _json(run / "history.json")
    assert set(found) == {"loss", "devel_loss", "devel_score", "learning_rate"}
    for name, values in found.items():
        assert values == pytest.approx([epoch[name] for epoch in history], rel=1e-6)


def test_the_same_command_again_shows_the_result_without_training(run: Path, labels_csv: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    done = invoke("train", labels_csv, *AUGMENTED, "-o", run, "--json")
    assert f"{run} is complete" in done.stderr
    shown = json.loads(said(done, None))
    assert shown.pop("run") == str(run)
    assert shown == _json(run / "metrics.json")
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_weights_that_the_first_training_downloads_do_not_keep_it_from_going_on(
    labels_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    known = table_of(labels_csv)
    recipe = TrainingRecipe(backbone="mobilenet_v2", weights="imagenet")
    before = _info(known, recipe, 0, final=False)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mobilenet_v2.h5").write_bytes(b"weights")
    assert _info(known, recipe, 0, final=False).begun_with == before.begun_with


# -- stopped, and going on --------------------------------------------------------------------------------


def _stopped(words: Sequence[object], line: str, sent: signal.Signals) -> tuple[int, str]:
    """Run a command until it tells a line, send it a signal, and give its exit code and what it said after."""
    command = [*HEEDS_SIGINT, *map(str, words)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = next((text for text in process.stderr if line in text), None)
        process.send_signal(sent)
        _, err = process.communicate(timeout=60)
    assert told is not None, f"it never told {line!r}"
    return process.returncode, err


@pytest.mark.parametrize(
    "stops",
    [
        [("finetune epoch 2", signal.SIGKILL)],
        pytest.param([("head epoch 2", signal.SIGKILL), ("finetune epoch 2", signal.SIGKILL)], marks=pytest.mark.slow),
        pytest.param(
            [("head epoch 1", signal.SIGTERM), ("head epoch 3", signal.SIGINT), ("finetune epoch 1", signal.SIGTERM)],
            marks=pytest.mark.slow,
        ),
    ],
    ids=["killed", "killed twice", "stopped"],
)
def test_a_training_that_was_stopped_ends_as_one_that_was_not(
    run: Path, labels_csv: Path, tmp_path: Path, stops: list[tuple[str, signal.Signals]]
) -> None:
    folder = tmp_path / "stopped"
    command = ("train", labels_csv, *AUGMENTED, "-o", folder)
    for line, sent in stops:
        code, err = _stopped(command, line, sent)
        assert code == {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}[sent]
        assert "Traceback" not in err
        if sent != signal.SIGKILL:
            assert list(folder.glob(".*")) == []
            assert list(folder.parent.glob(".*")) == []
        assert not (folder / "metrics.json").exists()
    assert_refused(invoke("evaluate", folder, labels_csv), "its training was stopped", "dslite tr")
    (folder / "history.json").unlink()  # as if killed before it was written
    done = invoke(*command)
    said(done, None)
    assert f"going on after {stops[-1][0].split()[0]} epoch " in done.stderr
    for name in ("history.json", "weights.h5", "metrics.json", "predictions.csv", "confusion.png", "recipe.toml"):
        assert (folder / name).read_bytes() == (run / name).read_bytes(), name
    assert {path.name for path in folder.iterdir()} == {path.name for path in run.iterdir()}
    assert len(list((folder / "tensorboard").iterdir())) == 1


# -- what is refused --------------------------------------------------------------------------------------


def test_another_training_does_not_go_on_in_a_run(run: Path, data: Path, labels_csv: Path) -> None:
    swapped = table(data, "swapped.csv", lambda row: row | ({"label": "hum"} if row["file"] == "0.wav" else {}))
    for words, messages in (
        (
            (labels_csv, *AUGMENTED, "--seed", 5, "--mels", 64),
            ("training.seed: there 0, here 5", "frontend.n_mels: there 128, here 64", "--force"),
        ),
        ((labels_csv, *AUGMENTED, "--final"), ("--final: there it was given or here, not both",)),
        ((swapped, *AUGMENTED), ("the data set has changed",)),
    ):
        assert_refused(invoke("train", *words, "-o", run), "begun otherwise (", *messages)
    assert runs.is_complete(run)


def without(data: Path, split: str) -> Path:
    """A table that lacks a split."""
    return table(data, f"no-{split}.csv", lambda row: None if row["split"] == split else row)


def test_what_cannot_be_trained_is_told_before_anything_long(data: Path, labels_csv: Path, tmp_path: Path) -> None:
    no_devel, no_test = (without(data, split) for split in ("devel", "test"))
    foreign, a_file = tmp_path / "foreign", tmp_path / "file"
    foreign.mkdir()
    for path in (foreign / "precious.txt", a_file):
        path.write_text("precious")
    out = tmp_path / "out"
    for words, message in (
        ((no_devel, *NETWORK, "-o", out), "expected a devel split to score on, the table has none: add one, or"),
        ((no_test, *NETWORK, "-o", out, "--final"), "expected a test split to score on"),
        ((labels_csv, *NETWORK, "-o", foreign), "is a folder with other files, and no run"),
        ((labels_csv, *NETWORK, "-o", foreign, "--force"), "is a folder with other files, and no run"),
        ((labels_csv, *NETWORK, "-o", a_file, "--force"), "is a file, expected a folder"),
        ((labels_csv, *NETWORK, "-o", a_file / "run"), f"the folder {a_file} does not exist"),
        ((labels_csv, *NETWORK, "-o", out, "--augment", "cutmix:size=0"), "size"),
    ):
        assert_refused(invoke("train", *words), message)
    assert [path.read_text() for path in (foreign / "precious.txt", a_file)] == ["precious"] * 2
    assert sorted(tmp_path.iterdir()) == [a_file, foreign]


def test_audio_that_cannot_be_decoded_is_listed(data: Path, labels_csv: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(data, tmp_path / "broken")
    for i in (3, 7):
        soundfile.write(folder / f"{i}.wav", np.full(RATE, np.nan, np.float32), RATE, subtype="FLOAT")
    done = invoke("train", folder / labels_csv.name, *NETWORK, "-o", tmp_path / "run")
    assert done.returncode == 2
    *rows, last = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert last.startswith("error: 2 of 25 files cannot be decoded: the first: ")
    assert [row.split()[0] for row in rows] == ["WHERE", "3.wav", "7.wav"]
    assert not (tmp_path / "run").exists()


def test_a_full_disk_leaves_the_run_as_it_was(run: Path, labels_csv: Path, tmp_path: Path) -> None:
    # Pictures and features are in the cache, so the first file that is too large is the checkpoint.
    del run
    with file_size_limited(6_000):
        done = invoke("train", labels_csv, *AUGMENTED, "-o", tmp_path / "full")
    assert_refused(done, "full", code=1)
    assert {path.name for path in (tmp_path / "full").iterdir()} == {
        *("run.json", "recipe.toml", "data.csv", "environment.json", "tensorboard")
    }


# -- final, regression ------------------------------------------------------------------------------------


def test_final_learns_from_devel_and_scores_test_force_begins_anew(run: Path, labels_csv: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    short = (*NETWORK, "--head-epochs", 2, "--finetune-epochs", 1, "--finetune-layers", 1, "--patience", 1)
    words = ("train", labels_csv, *short, "-o", folder, "--final", "--force", "--json")
    figures = json.loads(said(invoke(*words), None))["evaluation"]
    assert (figures["split"], figures["n_files"], figures["n_chunks"]) == ("test", 7, 7)
    history = _json(folder / "history.json")
    assert [(e["phase"], e["devel_loss"], e["devel_score"]) for e in history] == [
        *[("head", None, None)] * 2,
        ("finetune", None, None),
    ]
    assert runs.read(folder).final
    kept = _json(folder / "metrics.json")["kept_epoch"]
    assert kept == history[-1]


def test_a_regression_is_scored_and_predicts_in_the_users_unit_and_so_does_its_file(
    regression: Path, regression_csv: Path, data: Path, tmp_path: Path
) -> None:
    figures = runs.read_outcome(regression)[1]
    assert figures.task == "regression"
    assert figures.score is not None
    assert figures.score > 0.5
    assert not (regression / "confusion.png").exists()
    predicted = [float(row["predicted"]) for row in csv_rows(regression / "predictions.csv")]
    assert all(10 < value < 45 for value in predicted)
    (shown,) = told_json("predict", regression, data / "12.wav")
    (value,) = shown["values"].values()
    assert value == pytest.approx(predicted[0], rel=1e-4)
    no_matrix = ("evaluate", regression, regression_csv, "--png", tmp_path / "c.png")
    assert_refused(invoke(*no_matrix), "--png: a regression has no confusion matrix")
    path = tmp_path / "numbers.tflite"
    said(invoke("export", regression, "--exporter", "tflite-float32", "-o", path), None)
    of_run, of_file = (evaluation(invoke("evaluate", model, regression_csv, "--json")) for model in (regression, path))
    for found in (of_run, of_file):
        assert (found["n_files"], found["n_without_chunks"]) == (6, 1)
    for figure in ("mae", "rmse", "pearson", "ccc"):
        assert of_file["file_level"][figure] == pytest.approx(of_run["file_level"][figure], rel=1e-3)


def test_a_part_whose_files_are_all_dropped_is_told(labels_csv: Path, tmp_path: Path) -> None:
    words = (*NETWORK, "--chunk", 0.6, "--short", "drop", "-o", tmp_path / "run")
    assert_refused(invoke("train", labels_csv, *words), "class hiss in train", "--short pad keeps them")
    assert not (tmp_path / "run").exists()


# -- evaluate, export, predict, bench ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def exported(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "first.tflite"
    done = invoke("export", run, "--exporter", "tflite-float32", "-o", path, "--json")
    artifact = json.loads(said(done, None))
    assert (artifact["weights"], artifact["labels"], artifact["backbone"]) == ("run first", list(LABELS), "lab")
    return path


def test_a_file_gets_the_figures_of_its_run(run: Path, exported: Path, labels_csv: Path, tmp_path: Path) -> None:
    png, predictions = tmp_path / "c.png", tmp_path / "p.csv"
    # An empty cache: pictures are made with TensorFlow, whose threads must be settled before.
    words = ("evaluate", run, labels_csv, "--json", "--png", png, "--predictions", predictions, "--threads", 1)
    of_run = evaluation(run_dslite(*words, environment={"DSLITE_CACHE": str(tmp_path / "cache")}))
    of_file = evaluation(invoke("evaluate", exported, labels_csv, "--json"))
    assert of_run == of_file
    assert (of_run["split"], of_run["n_files"], of_run["n_chunks"]) == ("test", 7, 7)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert len(predictions.read_text(encoding="utf-8").splitlines()) == 8
    devel = evaluation(invoke("evaluate", run, labels_csv, "--split", "devel", "--json"))
    assert devel == _json(run / "metrics.json")["evaluation"]
    everything = evaluation(invoke("evaluate", exported, labels_csv, "--split", "all", "--json"))
    assert (everything["split"], everything["n_files"]) == ("all", 25)


def test_what_cannot_be_evaluated_is_one_line(
    run: Path, exported: Path, foreign: Path, data: Path, labels_csv: Path, tmp_path: Path
) -> None:
    whistle = table(data, "whistle.csv", lambda row: row | ({"label": "whistle"} if row["file"] == "20.wav" else {}))
    no_test = without(data, "test")
    for words, message in (
        ((run, whistle), "the model knows hiss, hum, tone; the table has whistle too"),
        ((exported, whistle), "the model knows hiss, hum, tone; the table has whistle too"),
        ((run, no_test), "expected a test split, the table has none: --split all"),
        ((run, labels_csv, "--png", tmp_path / "c.jpg"), "--png: expected a name that ends in .png"),
        ((foreign, labels_csv), "foreign.tflite"),
        ((data, labels_csv), "data"),
    ):
        assert_refused(invoke("evaluate", *words), message)
    assert list(tmp_path.iterdir()) == []


def test_a_run_predicts_what_its_file_predicts(run: Path, exported: Path, data: Path) -> None:
    of_run, of_file = (told_json("predict", model, data / "18.wav")[0] for model in (run, exported))
    assert of_run["label"] == of_file["label"]
    assert of_run["probabilities"] == pytest.approx(of_file["probabilities"], abs=1e-4)
    assert list(of_run["probabilities"]) == list(LABELS)


def test_options_that_a_run_settles_are_refused(run: Path, tmp_path: Path) -> None:
    words = ("export", run, "--exporter", "tflite-float32", "-o", tmp_path / "m.tflite", "--mels", 64)
    assert_refused(invoke(*words), "--mels is settled by the run")
    assert_refused(invoke("bench", run, "--hidden", 4), "--hidden goes with --backbone")


@pytest.mark.slow
def test_runs_are_measured_but_not_two_of_one_name(run: Path, tmp_path: Path) -> None:
    other = shutil.copytree(run, tmp_path / "first")
    quick = ("--runs", 3, "--min-seconds", 0, "--warmup-seconds", 0, "--no-memory", "--json")
    words = (*quick, "--exporter", "tflite-float32", "--part", "whole", "--keep", tmp_path / "kept")
    assert_refused(invoke("bench", run, other, *words), "several runs are called first: rename a folder")
    other = other.rename(tmp_path / "second")
    rows = json.loads(said(invoke("bench", run, other, *words), None))["runs"]
    assert [(row["artifact"]["weights"], row["error"]) for row in rows] == [("run first", None), ("run second", None)]
    assert len(list((tmp_path / "kept").glob("*.tflite"))) == 2


@pytest.mark.slow
def test_a_real_backbone_is_trained_exported_and_evaluated(labels_csv: Path, tmp_path: Path) -> None:
    words = ("--backbone", "mobilenet_v2:alpha=0.35", "--weights", "none", "--chunk", 0.5, "--size", 64)
    spec = ("--head-epochs", 1, "--finetune-epochs", 2, "--augment", "cutmix", "--batch-size", 5)
    folder, path = tmp_path / "run", tmp_path / "m.tflite"
    for command in (
        ("train", labels_csv, *words, *spec, "-o", folder),
        ("export", folder, "--exporter", "tflite-float32", "-o", path),
    ):
        said(invoke(*command), None)
    of_run, of_file = (evaluation(invoke("evaluate", m, labels_csv, "--json")) for m in (folder, path))
    assert of_run == of_file


def test_a_folder_that_another_process_trains_in_is_left_alone(run: Path, labels_csv: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    locks.claim(folder)  # this process lives
    for more in ((), ("--force",)):
        done = run_dslite("train", labels_csv, *AUGMENTED, "-o", folder, *more)
        assert_refused(done, f"process {os.getpid()} is at work there")


def test_a_folder_taken_while_a_training_is_prepared_is_left_alone(run: Path, labels_csv: Path, tmp_path: Path) -> None:
    seen, go, folder = tmp_path / "seen", tmp_path / "go", tmp_path / "run"
    wait = f"[time.sleep(0.05) for _ in iter(pathlib.Path({str(go)!r}).exists, True)]"
    body = f"import pathlib, time; pathlib.Path({str(seen)!r}).touch(); {wait}; return keras.Model(image, features)"
    (tmp_path / "site").mkdir()
    distributions.install(tmp_path / "site", "lab", distributions.backbone("lab", body))
    words = ("train", labels_csv, *NETWORK, "--force", "-o", folder)
    with subprocess.Popen(
        [sys.executable, "-m", "dslite", *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while not seen.exists():
            assert process.poll() is None
            time.sleep(0.05)
        shutil.copytree(run, folder)
        locks.claim(folder)
        go.touch()
        _, told = process.communicate(timeout=60)
    assert process.returncode == 2
    assert f"process {os.getpid()} is at work there" in told
    assert (folder / "weights.h5").read_bytes() == (run / "weights.h5").read_bytes()


def test_force_deletes_nothing_that_is_not_a_runs(run: Path, labels_csv: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(run, tmp_path / "run")
    (folder / "final.tflite").write_bytes(b"mine")
    (folder / ".notes.md").write_bytes(b"mine")
    (folder / ".dslite-half").mkdir()  # of a process that was killed
    done = invoke("train", labels_csv, *AUGMENTED, "-o", folder, "--force")
    assert_refused(done, ".notes.md, final.tflite")
    assert (folder / "final.tflite").read_bytes() == b"mine"


def test_files_the_run_learned_from_are_told(run: Path, labels_csv: Path) -> None:
    done = invoke("evaluate", run, labels_csv, "--split", "all", "--json")
    assert "12 of these 25 files are among those the run learned from" in done.stderr


def test_commands_divide_a_table_alike_whatever_the_seed_of_the_training(data: Path, tmp_path: Path) -> None:
    undivided, folder = without_splits(data), tmp_path / "run"
    words = ("train", undivided, *NETWORK, "--head-epochs", 1, "--finetune-epochs", 0, "--seed", 5, "-o", folder)
    done = invoke(*words)
    said(done, None)
    assert "with seed 0" in done.stderr
    scored = invoke("evaluate", folder, undivided, "--split", "test", "--json")
    said(scored, None)
    assert "learned from" not in scored.stderr


def test_a_file_is_scored_on_the_test_split_of_its_training(data: Path, tmp_path: Path) -> None:
    undivided, folder, path, predictions = (
        without_splits(data),
        *(tmp_path / name for name in ("run", "m.tflite", "predictions.csv")),
    )
    environment = {"DSLITE_CACHE": str(tmp_path / "cache")}
    words = (*NETWORK, "--head-epochs", 1, "--finetune-epochs", 0, "--split-seed", 5)
    said(invoke("train", undivided, *words, "-o", folder, environment=environment), None)
    said(invoke("export", folder, "--exporter", "tflite-float32", "-o", path, environment=environment), None)
    scored = []
    for model in (folder, path):
        said(invoke("evaluate", model, undivided, "--predictions", predictions, environment=environment), None)
        scored.append([(row["file"], row["predicted"]) for row in csv_rows(predictions)])
    assert scored[0] == scored[1]
    assert len(list((tmp_path / "cache" / "pictures").iterdir())) == 1  # those of the training serve evaluation too


def test_layers_without_weights_are_told_and_the_head_learns(labels_csv: Path, tmp_path: Path) -> None:
    words = ("train", labels_csv, "--backbone", "mobilenet_v2:alpha=0.35", "--weights", "none", "--chunk", 0.5)
    spec = ("--size", 32, "--head-epochs", 0, "--finetune-epochs", 1, "--finetune-layers", 1)  # an activation
    done = invoke(*words, *spec, "-o", tmp_path / "run")
    said(done, None)
    assert "note: mobilenet_v2:alpha=0.35: its last layer has no weights, so it stays frozen" in done.stderr
