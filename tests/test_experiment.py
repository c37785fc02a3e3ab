"""Benches and experiments driven from Python: without a command line, wherever a launcher runs them."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import invoke

from dslite.experiment import building, grid, scheduler
from dslite.experiment.data import DataRequest
from dslite.experiment.jobs import exported_jobs, file_jobs
from dslite.experiment.launchers import Inline, caller_undisturbed
from dslite.experiment.sinks import FileSink
from dslite.metrics import value
from dslite.recipe import ChunkSpec, FrontendSpec, HeadSpec, Recipe
from dslite.records import Plan, Progress
from dslite.report import document

QUICK = Plan(1, warmup_s=0.0, runs=3, min_s=0.0, memory=False)


class Recorder:
    """A reporter that writes down what it is told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.shares: list[float] = []
        self.lines: list[str] = []
        self.notes: list[str] = []

    @contextmanager
    def progress(self, steps: object = 1, seconds_left: object = None, /) -> Iterator["Recorder"]:
        del steps, seconds_left
        yield self

    def start(self, title: str, /) -> Progress:
        self.titles.append(title)
        return lambda _what, share: self.shares.append(share)

    def tell(self, line: str, /) -> None:
        self.lines.append(line)

    def note(self, text: str, /) -> None:
        self.notes.append(text)


def _system(backbone: str) -> building.System:
    recipe = Recipe(ChunkSpec(0.5), FrontendSpec(size_px=31), HeadSpec(4))
    return building.system(backbone, building.ModelRequest(recipe.head, ("a", "b")), recipe)


def test_a_bench_runs_in_this_process_and_a_failure_is_a_row(lab: None, tmp_path: Path) -> None:
    systems = [_system("lab"), _system("densenet121")]  # which takes no pictures of 31 px
    jobs = exported_jobs(systems, ["tflite-float32"], targets=["host-litert"])
    told = Recorder()
    drawn = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    report = scheduler.bench(
        jobs, QUICK, launcher=Inline(), reporter=told, sink=FileSink(tmp_path / "report.json"), command="a notebook"
    )
    good, failed = report.runs
    assert good.error is None
    assert value(good, "latency")
    assert (good.artifact.backbone, good.artifact.exporter) == ("lab", "tflite-float32")
    assert "at least 32 px, got 31" in (failed.error or "")
    assert document.read(tmp_path / "report.json").runs == report.runs
    assert report.command == "a notebook"
    assert told.titles == [job.title for job in jobs]
    assert told.notes == []
    assert drawn == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
    assert 0 <= min(told.shares) < max(told.shares) <= 1


class Dying(Inline):
    """A place of another kind, which fails after its first job, and is asked again for the rest."""

    def __init__(self) -> None:
        self.n_asked: list[int] = []

    def launch(self, request: dict[str, Any], receive: Callable[[dict[str, Any]], None], /) -> str:
        self.n_asked.append(len(request["jobs"]))
        super().launch({**request, "jobs": request["jobs"][:1]}, receive)
        return "the machine was switched off"


def test_another_launcher_is_a_class_with_one_method(small_system: Any, tmp_path: Path) -> None:
    path = small_system.path("whole", "tflite-float32")
    jobs = [job for _ in range(3) for job in file_jobs([path], ["host-litert"])]
    launcher = Dying()
    report = scheduler.bench(jobs, QUICK, launcher=launcher, fresh=True)
    assert launcher.n_asked == [3, 1]
    assert [run.error for run in report.runs] == [None, "the machine was switched off", None]


def test_the_key_of_an_export_covers_what_it_depends_on() -> None:
    base = _system("densenet121")
    front = replace(base.recipe.frontend, n_mels=64)
    systems = [
        base,
        *(replace(base, model=replace(base.model, **change)) for change in ({"seed": 1}, {"labels": ("a", "b", "c")})),
        replace(base, recipe=replace(base.recipe, head=replace(base.recipe.head, dropout=0.5))),
        replace(base, recipe=replace(base.recipe, frontend=front)),
        replace(base, recipe=replace(base.recipe, chunk=ChunkSpec(1.0))),
        replace(base, name="densenet169"),
    ]
    of_each = {building.export_key(each, "whole", "tflite-float32") for each in systems}
    assert len(of_each) == len(systems)
    assert building.export_key(base, "whole", "tflite-float32") in of_each
    assert not of_each & {building.export_key(base, *other) for other in (("cnn", "tflite-float32"), ("whole", "hdf5"))}


@pytest.mark.slow
def test_a_grid_of_compressors_runs_in_this_process(
    lab: None, labels_csv: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TF_USE_LEGACY_KERAS", raising=False)  # another test's compressors may have set it
    words = ("--weights", "none", "--chunk", 0.5, "--size", 32, "--hidden", 4, "--batch-size", 4)
    epochs = ("--head-epochs", 1, "--finetune-epochs", 0)
    done = invoke("train", labels_csv, "--backbone", "lab", *words, *epochs, "-o", tmp_path / "run")
    assert done.returncode == 0, done.stderr
    told = Recorder()
    shown = []
    report = grid.compress(
        tmp_path / "run",
        DataRequest(labels_csv, reporter=told),
        [("prune:epochs=1",)],
        exporters=["tflite-float32", "hdf5"],
        targets=["host-litert", "host-tensorflow"],
        plan=QUICK,
        n_rounds=1,
        launcher=Inline(),
        reporter=told,
        show=shown.append,
    )
    rows = [(run.artifact.compressors, run.artifact.exporter) for run in report.runs]
    models: Sequence[tuple[str, ...]] = ((), ("prune:epochs=1",))
    assert rows == [(model, exporter) for model in models for exporter in ("tflite-float32", "hdf5")]
    assert [run.error for run in report.runs] == [None] * 4
    assert all(value(run, "uar") is not None and value(run, "speed_up") for run in report.runs)
    assert document.read(tmp_path / "run-compressed" / "report.json") == report == shown[0]
    assert len(told.lines) == 5  # a line a row, and one for the rounds
    assert any("TensorFlow was started before" in note for note in told.notes)
    assert not grid.any_failed(report)
    assert "TF_USE_LEGACY_KERAS" not in os.environ  # or a notebook's tf.keras would be another one afterwards


def test_a_launcher_of_ones_own_can_leave_the_callers_process_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for before in (None, "0"):
        if before is not None:
            monkeypatch.setenv("TF_USE_LEGACY_KERAS", before)
        drawn = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
        with caller_undisturbed():
            os.environ["TF_USE_LEGACY_KERAS"] = "1"
            random.seed(1)
            np.random.seed(1)  # noqa: NPY002
        assert drawn == (random.getstate(), np.random.get_state()[1].tolist())  # noqa: NPY002
        assert os.environ.get("TF_USE_LEGACY_KERAS") == before


def test_a_script_needs_neither_click_nor_rich_and_nothing_is_printed(small_system: Any, tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from dslite.experiment.jobs import file_jobs
from dslite.experiment.launchers import Inline
from dslite.experiment.scheduler import bench
from dslite.records import Plan

jobs = file_jobs([Path({str(small_system.path("cnn", "tflite-float32"))!r})], ["host-litert"])
report = bench(jobs, Plan(1, runs=1, min_s=0.0, warmup_s=0.0, memory=False), launcher=Inline())
assert [run.error for run in report.runs] == [None]
assert "click" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
