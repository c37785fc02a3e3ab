"""`dslite compress` on a real run of a small backbone: the whole grid, and what can go wrong in it."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributions
import numpy as np
import pytest
from conftest import HEEDS_SIGINT, csv_rows, invoke, plugins_seen, run_dslite, said
from labelled import LABELS, table

from dslite.deploy import manifest
from dslite.errors import DataError, SpecError, WriteError
from dslite.experiment import building, feature_cache, launchers
from dslite.experiment.compression import Compression
from dslite.experiment.folder import Folder, opened
from dslite.experiment.jobs import Job
from dslite.experiment.selection import chains
from dslite.learn.dataset import DataSet
from dslite.learn.run import WEIGHTS
from dslite.learn.table import read
from dslite.measure import environment as machine
from dslite.measure.bench import undescribed
from dslite.measure.relative import without
from dslite.metrics import value
from dslite.recipe import ChunkSpec, FrontendSpec, HeadSpec, Recipe
from dslite.records import BenchReport, Measurement, Plan, Run
from dslite.report import document

Done = subprocess.CompletedProcess[str]
Compress = Callable[..., Done]

NETWORK = ("--backbone", "lab", "--weights", "none", "--chunk", 0.5, "--size", 32, "--hidden", 16, "--batch-size", 4)
QUICK = ("--runs", 3, "--min-seconds", 0, "--warmup-seconds", 0, "--rounds", 1, "--no-memory")
CHANNELS, PRUNE, QAT = "channels:macs=0.6,steps=1,epochs=2", "prune:sparsity=0.7,epochs=2", "qat:epochs=1"
CHAINS = ("none", CHANNELS, f"{PRUNE}+{QAT}")
INT8 = "tflite-int8:samples=8"
COMPARED = ("uar_difference", "speed_up")

BREAKING = """
from dslite import hookimpl
from dslite.records import Compressor, Device, Exporter, Measurement, Option, Target


def compress(model, finetune, options):
    import numpy as np
    how = options["how"]
    if how == "raises":
        raise RuntimeError("no such luck")
    if how == "dies":
        import os
        if options["log"]:
            with open(options["log"], "a") as log:
                log.write("once\\n")
        os._exit(7)
    if how == "nan":
        model.get_layer("output").kernel.assign(np.full(model.get_layer("output").kernel.shape, np.nan))
    if how == "lacks":
        from dslite.model.keras import keras
        model = keras.Model(model.input, model.output)
        model.get_layer("pooling")._name = "my_pooling"
    return "nothing" if how == "nothing" else model


@hookimpl
def dslite_compressors():
    options = Option("how", "nan", "It breaks."), Option("log", "", "File to note in.")
    return [Compressor("breaking", compress, "a test", options)]


def export(model, path, calibration, options):
    with open(path, "wb") as file:
        file.write(bytes(1000))


@hookimpl
def dslite_exporters():
    return [Exporter("own", ".own", export, False, "a test")]


def devices():
    return [Device("board", "a board", "none", "none", 1, 1)]


def measure(artifact, device, plan, options, progress):
    return [Measurement("latency", 0.5, "s", "a stop watch", (0.5,), {"p50": 0.5, "p90": 0.5, "n": 1.0})]


@hookimpl
def dslite_targets():
    return [Target("board", (".own",), devices, measure, "a test")]
"""


OWN_LAYER = """
    class Twice(keras.layers.Layer):
        def call(self, x):
            return x * 2

    x = keras.layers.Conv2D(8, 3, activation="relu")(Twice()(features))
    return keras.Model(image, x)"""


@pytest.fixture(scope="module", autouse=True)
def _plugins(tmp_path_factory: pytest.TempPathFactory, site: dict[str, str]) -> Iterator[None]:
    """A cache; as plugins the backbones `lab`, and `own` with a layer of its own, and compressors that break models."""
    folder, cache = (tmp_path_factory.mktemp(name) for name in ("breaking", "cache"))
    distributions.install(folder, "own", distributions.backbone("own", OWN_LAYER))
    distributions.install(folder, "breaking", BREAKING)
    environment = {"PYTHONPATH": os.pathsep.join([str(folder), site["PYTHONPATH"]]), "DSLITE_CACHE": str(cache)}
    with pytest.MonkeyPatch.context() as patch, plugins_seen(environment):
        for name, text in environment.items():
            patch.setenv(name, text)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, labels_csv: Path) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "first"
    epochs = ("--learning-rate", 0.02, "--head-epochs", 5, "--finetune-epochs", 6)
    said(invoke("train", labels_csv, *NETWORK, *epochs, "--augment", "cutmix:size=16", "-o", folder), None)
    return folder


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let jobs run in this process, where the test is not about workers: it starts none."""
    monkeypatch.setattr(launchers, "Process", launchers.Inline)


@pytest.fixture(scope="module")
def experiment(run: Path, labels_csv: Path) -> tuple[Path, str]:
    """The folder of an experiment that nothing disturbed, and its table."""
    chosen = [word for chain in CHAINS[1:] for word in ("--compressor", chain)]
    chosen += ["--exporter", f"tflite-float32,{INT8}", *map(str, QUICK), "--rounds", "2", "--memory"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launchers, "Process", launchers.Inline)  # workers are slow to start; slow tests have them
        return run.with_name("first-compressed"), said(invoke("compress", run, labels_csv, *chosen), None)


@pytest.fixture
def compress(run: Path, labels_csv: Path, tmp_path: Path) -> Compress:
    """The command on the run, for a folder `out`, which ends with `code`."""

    def command(
        *words: object, of: Path = run, data: Path = labels_csv, code: int = 0, cache: Path | None = None
    ) -> Done:
        environment = {"DSLITE_CACHE": str(cache)} if cache else {}
        done = invoke("compress", of, data, *QUICK, "-o", tmp_path / "out", *words, environment=environment)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return command


def _rows(folder: Path) -> tuple[Run, ...]:
    return document.read(folder / "report.json").runs


def test_every_row_is_a_file_that_can_be_shipped(experiment: tuple[Path, str]) -> None:
    folder, _ = experiment
    rows = _rows(folder)
    assert [run.error for run in rows] == [None] * 6
    for run in rows:
        artifact = manifest.read(folder / run.artifact.path)
        assert artifact.labels == LABELS
        assert artifact.compressors == run.artifact.compressors
        assert artifact.input.kind == "audio"
        assert (artifact.n_calibration == 8) is (artifact.exporter == INT8)


def test_the_rows_are_scored_measured_and_compared(experiment: tuple[Path, str]) -> None:
    folder, shown = experiment
    rows = _rows(folder)
    base, *others = rows
    assert (base.artifact.compressors, base.artifact.exporter) == ((), "tflite-float32")
    for run in rows:
        metrics = {m.metric: m for m in run.measurements}
        wanted = {"uar", "size", "gzip_size", "sparsity", "parameters", "macs", "latency", "memory_delta", "speed_up"}
        assert wanted <= set(metrics)
        assert metrics["uar"].statistics["low"] <= metrics["uar"].value <= metrics["uar"].statistics["high"]
        assert metrics["gzip_size"].value < metrics["size"].value
        assert len(metrics["speed_up"].samples) >= 2  # timed by turns: none in the shade of a training
        assert metrics["latency"].statistics["n"] == len(metrics["latency"].samples) >= 3
    for run in others:
        difference = next(m for m in run.measurements if m.metric == "uar_difference")
        assert difference.value == pytest.approx((value(run, "uar") or 0) - (value(base, "uar") or 0), abs=1e-12)
        assert difference.statistics["low"] <= difference.value <= difference.statistics["high"]
    pruned = [run for run in rows if run.artifact.compressors[:1] == (PRUNE,)]
    assert len(pruned) == 2
    assert all((value(run, "sparsity") or 0) > 0.5 for run in pruned)
    smaller = [run for run in rows if run.artifact.compressors == (CHANNELS,)]
    assert all((value(run, "macs") or 0) < (value(base, "macs") or 0) for run in smaller)
    for chain in CHAINS:
        assert f"{chain}, tflite-float32" in shown


def test_the_folder_has_tables_plots_and_predictions(experiment: tuple[Path, str]) -> None:
    folder, _ = experiment
    rows = csv_rows(folder / "table.csv")
    assert len(rows) == 6
    assert {row["compressors"] for row in rows} == set(CHAINS)
    assert {row["pareto"] for row in rows} == {""}  # two rounds tell no speeds apart
    assert float(rows[1]["uar_difference_low"]) <= float(rows[1]["uar_difference"])
    text = (folder / "table.md").read_text(encoding="utf-8")
    assert text.count("\n| ") == 7  # its headings too
    assert "```sh\ndslite compress " in text
    assert "paired" in text
    for name in ("uar-latency", "uar-size"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert "<svg" in (folder / f"{name}.svg").read_text(encoding="utf-8")
    for row in rows:
        predicted = csv_rows(folder / "predictions" / f"{row['file']}.test.csv")
        assert len(predicted) == 7
        recalls = [[p["predicted"] == p["label"] for p in predicted if p["label"] == label] for label in LABELS]
        assert float(row["uar"]) == pytest.approx(np.mean([np.mean(hits) for hits in recalls]))


def test_scores_are_those_of_evaluate(experiment: tuple[Path, str], labels_csv: Path) -> None:
    folder, _ = experiment
    for run in _rows(folder)[:2]:
        done = invoke("evaluate", folder / run.artifact.path, labels_csv, "--json")
        assert json.loads(said(done, None))["file_level"]["uar"] == value(run, "uar")


def _kept(cache: Path) -> dict[Path, int]:
    """Give the compressed models in the cache, each with its inode: one that is made again has another."""
    return {path: path.stat().st_ino for path in (cache / "compressed").rglob("*.h5")}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_same_command_takes_the_models_from_the_cache_and_gives_the_same_wherever_the_data_lies(
    compress: Compress, labels_csv: Path, tmp_path: Path
) -> None:
    words = ("--compressor", f"{CHANNELS},{PRUNE}+{QAT}", "--exporter", "tflite-float32")
    cache = tmp_path / "cache"
    compress(*words, cache=cache)
    before = _kept(cache)
    assert before
    moved = shutil.copytree(labels_csv.parent, tmp_path / "moved", copy_function=shutil.copyfile) / labels_csv.name
    compress(*words, "-o", tmp_path / "again", data=moved, cache=cache)
    assert _kept(cache) == before
    compress(*words, "-o", tmp_path / "anew", cache=tmp_path / "another")  # all is made again
    paths = sorted((tmp_path / "out").glob("*.tflite"))
    assert len(paths) == 3
    for path in paths:
        assert (tmp_path / "again" / path.name).read_bytes() == path.read_bytes(), path.name
        assert (tmp_path / "anew" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.slow
def test_models_with_layers_of_their_own_are_kept_too(compress: Compress, labels_csv: Path, tmp_path: Path) -> None:
    cache, own = tmp_path / "cache", tmp_path / "own"
    network = ["own" if word == "lab" else word for word in NETWORK]
    said(invoke("train", labels_csv, *network, "--head-epochs", 1, "--finetune-epochs", 1, "-o", own), None)
    for i, chain in enumerate(("prune:epochs=1", "prune:epochs=1+cluster:epochs=1")):
        before = _kept(cache)
        words = ("--compressor", chain, "--exporter", "tflite-float32", "-o", tmp_path / f"out{i}")
        compress(*words, of=own, cache=cache)
        after = _kept(cache)
        assert before.items() <= after.items()  # what is on the way is taken from there
        assert len(after) == len(before) + 1


@pytest.mark.slow
def test_files_that_tensorflow_runs_are_rows_too(compress: Compress, tmp_path: Path) -> None:
    compress("--compressor", "cluster:epochs=1", "--exporter", "hdf5", "--target", "host-litert,host-tensorflow")
    base, plain, clustered = _rows(tmp_path / "out")
    assert [run.target for run in (base, plain, clustered)] == ["host-litert", "host-tensorflow", "host-tensorflow"]
    assert value(plain, "uar") == pytest.approx(value(base, "uar"))
    assert value(clustered, "uar_difference") is not None


@pytest.mark.slow
def test_without_a_cache_rows_are_compared_all_the_same(compress: Compress, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = compress("--exporter", "tflite-float16", cache=tmp_path / "file" / "cache")
    assert "nothing is kept (DSLITE_CACHE names another folder)" in done.stderr
    assert value(_rows(tmp_path / "out")[1], "uar_difference") is not None


BROKEN = {
    "nan": "compressor breaking:how=nan broke the model: it gives NaN or infinite values",
    "raises": "compressor breaking failed: RuntimeError: no such luck (plugin breaking of breaking",
    "nothing": "compressor breaking:how=nothing: expected a model",
    "lacks": "compressor breaking:how=lacks: it gave a model that lacks pooling: it must keep them",
    "dies": "exit code 7",
}


@pytest.mark.slow
def test_compressors_that_break_are_rows_and_the_others_survive(compress: Compress, tmp_path: Path) -> None:
    broken = ",".join(f"breaking:how={how}" for how in BROKEN)
    words = ("--compressor", f"{broken},prune:sparsity=1,cluster:epochs=1", "--exporter", "tflite-float32")
    done = compress(*words, code=1)
    base, *broke, refused, fine = _rows(tmp_path / "out")
    for row, message in zip(broke, BROKEN.values(), strict=True):
        assert message in (row.error or "")
    assert "sparsity: expected above 0 and below 1, got 1" in (refused.error or "")
    assert "got 1: it is the share of weights that become zero" in done.stderr.splitlines()[0]  # told at once
    assert "its rows will fail, the others are measured" in done.stderr.splitlines()[0]
    assert (base.error, fine.error) == (None, None)
    assert "failed: breaking" in done.stdout
    assert (tmp_path / "out" / "table.csv").exists()


@pytest.mark.slow
def test_a_compressor_that_kills_its_process_is_not_tried_for_every_exporter(
    compress: Compress, tmp_path: Path
) -> None:
    tried, exporters = tmp_path / "tried", "tflite-float32,tflite-float16,tflite-dynamic"
    compress("--compressor", f"breaking:how=dies,log={tried}", "--exporter", exporters, code=1)
    errors = [each.error for each in _rows(tmp_path / "out")]
    assert errors[:3] == [None] * 3
    assert "exit code 7" in str(errors[3])
    assert errors[3:] == [errors[3]] * 3
    assert tried.read_text(encoding="utf-8") == "once\n"


@pytest.mark.slow
def test_an_experiment_that_is_interrupted_goes_on_where_it_was(run: Path, labels_csv: Path, tmp_path: Path) -> None:
    words = ["compress", run, labels_csv, "--compressor", "qat:epochs=1,qat:epochs=2", "--exporter", "tflite-float32"]
    words += [*QUICK, "-o", tmp_path / "out"]
    process = _begun(*words)
    report = tmp_path / "out" / "report.json"
    _wait_for(lambda: report.exists() and len(document.read(report).runs) >= 2)
    done = invoke(*words)
    assert done.returncode == 2, done.stderr
    assert f"process {process.pid} is at work there" in done.stderr
    process.send_signal(signal.SIGINT)
    shown, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "none, tflite-float32" in shown  # what there is
    assert "not told, as the experiment was stopped before files were timed by turns" in " ".join(shown.split())
    assert all(value(each, "speed_up") is None for each in document.read(report).runs)
    assert "the same command goes on after" in told
    done = run_dslite(*words)
    assert done.returncode == 0, done.stderr
    assert "were measured before this command was stopped" in done.stderr
    assert "[1/" in done.stderr  # a line a row, though there are few: some take long
    assert [value(each, "speed_up") is not None for each in document.read(report).runs] == [True] * 3


def _begun(*words: object) -> "subprocess.Popen[str]":
    """Begin a command that can be interrupted."""
    command = [*HEEDS_SIGINT, *map(str, words)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
def test_an_extended_experiment_that_is_stopped_keeps_rows(
    compress: Compress, run: Path, labels_csv: Path, tmp_path: Path
) -> None:
    out, extended = tmp_path / "out", ("--compressor", "cluster:epochs=1,prune:epochs=1")
    words = ("--exporter", "tflite-float16")
    compress(*words, "--compressor", "prune:epochs=1")
    before = document.read(out / "report.json")
    process = _begun("compress", run, labels_csv, *QUICK, "-o", out, *words, *extended)
    _wait_for(lambda: document.read(out / "report.json").command != before.command)  # of its first row
    process.send_signal(signal.SIGINT)
    shown, _ = process.communicate(timeout=60)
    rows = _rows(out)
    names = ["+".join((*each.artifact.compressors, str(each.artifact.exporter))) for each in rows]
    wanted = ["tflite-float32", "tflite-float16", "cluster:epochs=1+tflite-float16", "prune:epochs=1+tflite-float16"]
    assert names in (wanted, [*wanted[:2], wanted[3]])
    assert all(value(each, "uar_difference") is not None for each in rows[1:])
    assert "rows are of an experiment that was here before, not measured anew yet" in " ".join(shown.split())
    assert "are of an experiment that was here before" in (out / "table.md").read_text(encoding="utf-8")
    assert "experiment that was here before" not in compress(*words, *extended).stdout
    assert len(_rows(out)) == 4


# -- its folder -------------------------------------------------------------------------------------------

ROW = Run(undescribed(Path("x.tflite"), "lab", "tflite-float32", "whole"), "board", None, Plan(1), ())
"""Of a file that nobody made."""


def _report(*runs: Run) -> BenchReport:
    return document.report(runs, "dslite compress", machine.environment())


def _earlier(folder: Path, *rows: Run) -> None:
    """Leave an experiment in a folder."""
    (folder / "experiment.json").write_text('{"split": "test", "data": "1", "model": "1"}', encoding="utf-8")
    document.write(_report(*rows), folder / "report.json")


def test_a_row_that_fails_when_it_is_measured_anew_does_not_take_the_good_one_away(tmp_path: Path) -> None:
    beside = replace(ROW, target="host-litert")
    failed = replace(ROW, error="no such device")
    (tmp_path / "predictions").mkdir()
    order = {("x.tflite", "host-litert"): 0, ("x.tflite", "board"): 1}
    folder = Folder(tmp_path, "test", order, earlier=(ROW, beside))
    folder.add(_report(failed), [failed])
    first, second = _rows(tmp_path)
    assert (first.target, second.target, second.error) == ("host-litert", "board", None)
    assert "measured anew it failed" in second.flags[0].message
    assert "no such device" in second.flags[0].message
    anew = replace(ROW, artifact=replace(ROW.artifact, sha256="of another export"))
    folder.finish(_report(anew))
    (only,) = _rows(tmp_path)  # the other target's row was of the file that is no more
    assert only.artifact.sha256 == "of another export"


def test_what_is_replaced_goes_with_its_tables_and_plots_and_a_file_of_the_users_stays(tmp_path: Path) -> None:
    for name in ("table.csv", "table.md", "uar-size.png", "uar-latency-board.svg", "notes.png"):
        (tmp_path / name).touch()
    _earlier(tmp_path, ROW, replace(ROW, artifact=replace(ROW.artifact, path="..")))
    with (
        pytest.raises(SpecError, match="has an experiment that is of another run"),
        opened(tmp_path, "test", "1", "2", (), fresh=False),
    ):
        pass
    with opened(tmp_path, "test", "1", "2", (), fresh=True):
        there = {path.name for path in tmp_path.iterdir()}
    assert there == {"notes.png", "experiment.json", "predictions"}
    (tmp_path / "uar-latency.png").touch()
    both = {("x.tflite", "board"): 0, ("x.tflite", "host-litert"): 1}
    scored = replace(ROW, measurements=(Measurement("uar", 0.5, "ratio", "m"), Measurement("latency", 1, "s", "m")))
    Folder(tmp_path, "test", both).finish(_report(scored, replace(scored, target="host-litert")))
    plots = {path.name for path in tmp_path.glob("*.png")}
    assert plots == {"notes.png", "uar-latency-board.png", "uar-latency-host-litert.png"}


def test_a_row_that_failed_holds_nobody_back(tmp_path: Path) -> None:
    _earlier(tmp_path, replace(ROW, error="no"))
    with opened(tmp_path, "test", "1", "1", (), fresh=False) as folder:
        assert folder.earlier == []
    _earlier(tmp_path, ROW)
    with (
        pytest.raises(SpecError, match="has rows of an earlier experiment"),
        opened(tmp_path, "test", "1", "1", (), fresh=False),
    ):
        pass


def test_a_table_that_is_edited_meanwhile_is_told(data: Path) -> None:
    edited = table(data, "edited.csv", lambda row: row)
    chosen = Compression(str(edited), None, 0, feature_cache.data_key(_read(edited)), "test", ())
    assert chosen.read() == _read(edited)
    table(data, "edited.csv", lambda row: row | {"split": "devel"} if row["split"] == "test" else row)
    with pytest.raises(DataError, match=r"edited\.csv: the table, or audio it names, was changed since"):
        chosen.read()


def _read(path: Path) -> DataSet:
    return read(path, None, "classification", 0, for_training=False)


def test_what_dslite_cannot_run_itself_is_measured_and_not_scored(compress: Compress, tmp_path: Path) -> None:
    done = compress("--exporter", "tflite-float32,own", "--target", "host-litert,board")
    _, own = _rows(tmp_path / "out")
    assert (value(own, "latency"), value(own, "size"), value(own, "uar")) == (0.5, 1000, None)
    assert value(own, "gzip_size") is not None
    assert "no UAR of .own files: dslite has no runtime" in " ".join(done.stdout.split())
    assert manifest.read(tmp_path / "out" / own.artifact.path).exporter == "own"


@pytest.mark.slow
def test_a_folder_that_an_interrupted_experiment_left_is_taken_and_other_rows_are_not_replaced(
    compress: Compress, run: Path, labels_csv: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "predictions" / ".dslite-x").mkdir(parents=True)  # the first things that are made
    (out / ".dslite-y").mkdir()

    def rows() -> list[str | None]:
        return [each.artifact.exporter for each in _rows(out)]

    compress("--exporter", "tflite-float16")
    there = (out / "report.json").read_bytes()
    fewer = labels_csv.with_name("fewer.csv")
    fewer.write_text("".join(labels_csv.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8")
    anew = shutil.copytree(run, tmp_path / run.name)  # as if it were trained again
    with (anew / WEIGHTS).open("ab") as file:
        file.write(b"0")
    same, other = ("--exporter", "tflite-float16"), ("--exporter", "tflite-dynamic")
    for words, how, message in (
        (same, {"of": anew}, "has an experiment that is of another run, or of this one before it was trained anew"),
        (other, {}, "has rows of an earlier experiment that this one has not, 1, such as none, tflite-float16"),
        ((*same, "--split", "devel"), {}, "has an experiment that was scored on another split"),
        (same, {"data": fewer}, "has an experiment that was scored on other data"),
    ):
        done = compress(*words, **how, code=2)
        assert done.stdout == ""
        assert message in done.stderr
        assert (out / "report.json").read_bytes() == there
    compress("--exporter", "tflite-float16,tflite-dynamic")  # with more rows
    assert rows() == ["tflite-float32", "tflite-float16", "tflite-dynamic"]
    on_devel = ("--exporter", "tflite-float32", "--split", "devel")
    compress(*on_devel, "--fresh")
    assert rows() == ["tflite-float32"]
    assert {each.name for each in out.iterdir() if each.suffix in (".tflite", "")} == {
        "first-none-tflite-float32.tflite",
        "predictions",
    }
    assert [each.name for each in (out / "predictions").iterdir()] == ["first-none-tflite-float32.tflite.devel.csv"]
    assert "tflite-float16" not in (out / "table.csv").read_text(encoding="utf-8")
    (out / "report.json").unlink()  # killed before the first row was there
    compress(*on_devel)
    (out / "report.json").write_text("{}", encoding="utf-8")
    told = compress(*on_devel, code=2).stderr
    assert "report.json" in told
    assert "name another folder with -o" in told
    assert "has an experiment" not in told


def test_the_same_rows_of_other_experiments_are_kept_apart() -> None:
    model = building.ModelRequest(HeadSpec(), LABELS, "none", 0, "runs/first")
    system = building.system("densenet121", model, Recipe(ChunkSpec(), FrontendSpec(size_px=32)))
    compression = Compression("labels.csv", None, 0, "key", "test", ())
    job = Job("host-litert", None, system, "whole", "tflite-float32", (), compression)
    others = [
        replace(job, compression=replace(compression, split="devel")),
        replace(job, compression=replace(compression, data_key="other")),
        replace(job, system=replace(system, model=replace(model, run="elsewhere/first"))),
    ]
    assert len({one.identity for one in (job, *others)}) == 4
    assert len({one.title for one in (job, *others)}) == 1


# -- what is asked for ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("prune", [("prune",)]),
        ("prune+qat,none", [("prune", "qat")]),
        ("prune:rate=1e+3+qat", [("prune:rate=1e+3", "qat")]),
        ("prune:rate=1e+3,epochs=2+qat:epochs=1", [("prune:rate=1e+3,epochs=2", "qat:epochs=1")]),
        ("prune,prune,cluster", [("prune",), ("cluster",)]),
    ],
)
def test_compressors_are_joined_by_a_plus(text: str, expected: list[tuple[str, ...]]) -> None:
    assert chains([text]) == expected


def test_a_plus_in_the_value_of_an_option_is_no_joint() -> None:
    with pytest.raises(SpecError, match=r"'a\+b\.h5'$"):
        chains(["prune:epochs=a+b.h5+qat"])


def test_what_cannot_be_compressed_is_one_line(run: Path, data: Path, labels_csv: Path, tmp_path: Path) -> None:
    other = table(data, "two.csv", lambda row: row if row["label"] != "hum" else None)
    wrong = table(data, "wrong.csv", lambda row: row | {"label": "hum"} if row["file"] in ("2.wav", "5.wav") else row)
    learned = table(data, "learned.csv", lambda row: row | {"split": "test"} if row["file"] == "2.wav" else row)
    no_test = table(data, "no_test.csv", lambda row: row if row["split"] != "test" else None)
    full, bench = tmp_path / "full", tmp_path / "bench"
    full.mkdir()
    (full / "thesis.txt").write_text("mine", encoding="utf-8")
    bench.mkdir()
    for name in ("report.json", "experiment.json"):
        (bench / name).write_text("{}", encoding="utf-8")  # of another tool
    for words, message in (
        ((run, other), "the run knows hiss, hum, tone, the table has hiss, tone"),
        ((run, learned), "1 of the 8 test files are among those the run learned from, by their names"),
        ((run, no_test), "expected a test split, the table has none"),
        ((run, wrong), "of the files that the run learned from have another label in the table, such as 2.wav"),
        ((labels_csv, run), "expected the folder of a run"),
        ((run, labels_csv, "--compressor", "prune:sparsity=1"), "prune:sparsity=1: sparsity: expected above 0"),
        ((run, labels_csv, "--exporter", "tflite-int8:samples=0"), "samples: expected at least 8 calibration chunks"),
        ((tmp_path, labels_csv), "expected the folder of a run"),
        ((run, labels_csv, "--compressor", "prone"), "did you mean 'prune'"),
        ((run, labels_csv, "--compressor", "prune+none"), "none stands alone"),
        ((run, labels_csv, "--compressor", "prune+"), "expected a name on either side of each +"),
        ((run, labels_csv, "--compressor", "Prune+qat"), "no compressor is named 'Prune'"),
        ((run, labels_csv, "--compressor", "prune:sparsty=1"), "prune has no option 'sparsty'"),
        ((run, labels_csv, "--exporter", "tflite-int4"), "no exporter is named 'tflite-int4'"),
        ((run, labels_csv, "--target", "host-tensorflow"), "no target among host-tensorflow runs .tflite"),
        ((run, labels_csv, "--exporter", "hdf5", "--target", "host-tensorflow"), "name --target host-litert too"),
        ((run, labels_csv, "-o", full), "no earlier experiment"),
        ((run, labels_csv, "-o", bench, "--fresh"), "no earlier experiment"),
    ):
        done = invoke("compress", *words)
        assert (done.returncode, done.stdout) == (2, ""), (words, done.stderr)
        assert message in done.stderr, words
    assert [path.name for path in full.iterdir()] == ["thesis.txt"]
    assert (bench / "report.json").read_text(encoding="utf-8") == "{}"


def test_too_little_audio_to_calibrate_is_a_row(inline: None, compress: Compress, data: Path, tmp_path: Path) -> None:
    few = table(data, "few.csv", lambda row: None if row["split"] == "train" and int(row["file"][:-4]) > 5 else row)
    done = compress("--exporter", "tflite-float32,tflite-int8", data=few, code=1)
    base, short = _rows(tmp_path / "out")
    assert base.error is None
    assert "expected at least 8 chunks with sound in them, got 6: give more audio" in (short.error or "")
    assert "exporters calibrate, with 6 files, 6 of them among the 12 that the run learned from" in done.stderr
    assert "exporters calibrate, with 6 files" in " ".join(done.stdout.split())


def test_a_table_that_cannot_be_written_is_told_and_shown(
    inline: None, experiment: tuple[Path, str], compress: Compress, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    (out / "table.csv").mkdir(parents=True)  # where a file is to go; root may write anywhere
    (out / "table.csv" / "mine").touch()
    shutil.copy(experiment[0] / "report.json", out)
    shutil.copy(experiment[0] / "experiment.json", out)
    done = compress("--exporter", "tflite-float32", "--fresh", code=1)
    assert "none, tflite-float32" in done.stdout
    assert "table.csv" in done.stderr.splitlines()[-1]
    assert (out / "table.csv" / "mine").exists()


def test_json_is_the_report(inline: None, compress: Compress, data: Path, tmp_path: Path) -> None:
    few = table(data, "no-hum.csv", lambda row: None if (row["label"], row["split"]) == ("hum", "devel") else row)
    done = compress("--exporter", "tflite-float32", "--split", "devel", "--json", data=few)
    rows = document.from_text(done.stdout).runs
    assert rows == _rows(tmp_path / "out")
    (uar,) = [m for m in rows[0].measurements if m.metric == "uar"]
    assert "4 devel files" in uar.method
    assert "the split has no files of hum: UAR is the mean over the other classes" in uar.method
    assert "the run kept the epoch that was best on these files" in uar.method


def test_a_regression_is_refused(data: Path, tmp_path: Path) -> None:
    numbers = table(data, "degrees.csv", lambda row: row | {"label": f"{LABELS.index(row['label'])}.5"})
    folder: Any = tmp_path / "numbers"
    said(invoke("train", numbers, *NETWORK, "--head-epochs", 1, "--finetune-epochs", 1, "-o", folder), None)
    done = invoke("compress", folder, numbers)
    assert (done.returncode, done.stdout) == (2, "")
    assert "a regression has no UAR to compare" in done.stderr


def _exported(experiment: Path, folder: Path) -> list[Run]:
    """Copy the first two files of an experiment, with their predictions, and give their rows as a worker does."""
    found = []
    for row in _rows(experiment)[:2]:
        name = row.artifact.path
        manifest.copy_export(experiment / name, folder)
        shutil.copy(experiment / "predictions" / f"{name}.test.csv", folder)
        artifact = replace(row.artifact, path=str(folder / name))
        found.append(without(replace(row, artifact=artifact, flags=()), *COMPARED))
    return found


@pytest.mark.parametrize("which", [0, 1])
def test_a_file_that_is_not_written_is_a_row_that_failed(
    experiment: tuple[Path, str], tmp_path: Path, which: int
) -> None:
    """A row is a file that can be shipped: where there is none, as on a full disk, there is no row and no star.

    Others are compared with it all the same where it is the one that all are compared with.
    """
    before, out = _rows(experiment[0])[:2], tmp_path / "out"
    runs = _exported(experiment[0], tmp_path)
    names = [Path(each.artifact.path).name for each in runs]
    (out / "predictions").mkdir(parents=True)
    (out / names[which]).mkdir()  # where a file is to go; root may write anywhere
    (out / names[which] / "mine").touch()
    folder = Folder(out, "test", {(name, "host-litert"): i for i, name in enumerate(names)})
    folder.add(_report(*runs), runs)
    with pytest.raises(WriteError, match=names[which].partition(".")[2]):
        folder.finish(_report(*runs))
    found = _rows(out)
    assert names[which] in (found[which].error or "")
    assert (found[which].measurements, found[which].flags) == ((), ())  # of a file that nobody has
    for metric in COMPARED:
        assert value(found[1 - which], metric) == value(before[1 - which], metric)
    row = csv_rows(out / "table.csv")[which]
    assert (row["pareto"], row["uar"]) == ("", "")
    assert names[which] in row["error"]
    shutil.rmtree(out / names[which])
    folder.finish(_report(*runs))  # there is room by now
    assert [each.error for each in _rows(out)] == [None, None]
    assert manifest.read(out / names[which]).exporter == before[which].artifact.exporter


def test_earlier_rows_have_their_speed_up_until_others_have_one(experiment: tuple[Path, str], tmp_path: Path) -> None:
    base, int8, *_ = _rows(experiment[0])
    timed, _ = _exported(experiment[0], tmp_path)
    order = {(run.artifact.path, run.target): i for i, run in enumerate((base, int8))}
    out = tmp_path / "out"
    (out / "predictions").mkdir(parents=True)
    folder = Folder(out, "test", order, earlier=(base, int8))
    not_yet = replace(timed, measurements=tuple(m for m in timed.measurements if "_latency" not in m.metric))
    for anew, expected in ((not_yet, [False, True]), (timed, [True, False])):
        folder.add(_report(anew), [anew])
        rows = _rows(out)
        assert [value(row, "speed_up") is not None for row in rows] == expected
        assert "of an experiment that was here before" in rows[1].flags[-1].message
        assert rows[1].artifact.path in (out / "table.csv").read_text(encoding="utf-8")
