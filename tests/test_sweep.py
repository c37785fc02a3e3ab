import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import distributions
import psutil
import pytest
from conftest import HEEDS_SIGINT, assert_refused, invoke

from dslite import cache
from dslite.codec import from_json, to_json
from dslite.errors import SpecError, UnknownNameError
from dslite.experiment import interleave, keys
from dslite.experiment.jobs import Job
from dslite.experiment.selection import select, split
from dslite.measure import bench, relative
from dslite.records import BenchReport, Measurement, Plan, Run
from dslite.registry import registry
from dslite.report import document, pareto

SMALL = ("--size", 32, "--chunk", 0.5, "--hidden", 4, "--runs", 3, "--min-seconds", 0, "--warmup-seconds", 0)
QUICK = (*SMALL, "--threads", 1, "--no-memory")

# Backbones of one convolution each, which do what is written in their name.
PLUGIN = """
import os, time
from pathlib import Path

from dslite import hookimpl
from dslite.records import Backbone, Exporter, Option

def model(input_shape, channels):
    from dslite.model.keras import keras
    image = keras.Input(input_shape)
    return keras.Model(image, keras.layers.Conv2D(channels, 3, strides=2)(image))

def build(name):
    def function(input_shape, weights, options):
        if weights:
            raise ValueError("random weights only")
        with Path(os.environ["LOG"]).open("a") as log:
            log.write(name + "\\n")
        if name == "t_raises":
            raise RuntimeError("no such luck")
        if name == "t_dies":
            os.abort()
        if name == "t_exits":
            raise SystemExit(7)
        if name == "t_waits" and Path(os.environ["LOG"] + ".wait").exists():
            time.sleep(1000)
        return model(input_shape, int(8 * options["width"]))
    return function

@hookimpl
def dslite_backbones():
    options = (Option("width", 1.0, "Of the layer."), Option("depth", 1, "Unused."), Option("text", "-", "Unused."))
    return [
        Backbone(name, build(name), "tf", 8, 64 if name == "t_large" else 8, "MIT", "a test", options)
        for name in ("t_a", "t_b", "t_dies", "t_exits", "t_large", "t_raises", "t_waits")
    ]

def export(model, path, calibration, options):
    raise ValueError("no such format")

@hookimpl
def dslite_exporters():
    return [
        Exporter("t_onnx", ".onnx", export, False, "a test"),
        Exporter("t_bad", ".tflite", export, False, "a test"),
    ]
"""

# Targets that do what their option says.
TARGETS = """
import subprocess

from dslite import hookimpl
from dslite.records import Device, Measurement, Option, Target

def latency(value=1.0):
    return Measurement("latency", value, "s", "a clock", (value,))

def run(artifact, device, plan, options, progress):
    how = options["how"]
    if how == "raises":
        raise RuntimeError("no cable")
    if how == "exits":
        raise SystemExit(3)
    if how == "prints":
        print('{"run": 5, "progress": 7}', flush=True)
        print("bye", end="", flush=True)
    if how == "daemon":
        subprocess.Popen(["sleep", "300"])
    return {"nothing": None, "wrong": [latency("3 mJ")]}.get(how, [latency()])

def devices(memory_bytes):
    return lambda: [Device("d", "a machine", "Linux", "x86_64", 1, memory_bytes)]

@hookimpl
def dslite_targets():
    options = (Option("how", "well", "What it does."),)
    return [
        Target("t_target", (".tflite",), devices(10**9), run, "a test", options),
        Target("t_half", (".tflite",), devices(8e9), run, "a test", options),
    ]
"""


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment with the backbones above, an empty cache, and a log of what is built."""
    site = tmp_path / "site"
    site.mkdir()
    distributions.install(site, "lab", PLUGIN)
    yield {"PYTHONPATH": str(site), "DSLITE_CACHE": str(tmp_path / "cache"), "LOG": str(tmp_path / "log")}
    keys.source.cache_clear()


def _built(lab: dict[str, str]) -> list[str]:
    log = Path(lab["LOG"])
    return log.read_text(encoding="utf-8").split() if log.exists() else []


def _report(text: str) -> BenchReport:
    report: BenchReport = document.from_text(text)
    return report


def _bench(lab: dict[str, str], *words: object, code: int = 0) -> tuple[tuple[Run, ...], str]:
    """Give the runs of a bench, and what it wrote on standard error."""
    done = invoke("bench", *words, "--json", environment=lab)
    assert done.returncode == code, done.stderr
    return _report(done.stdout).runs, done.stderr


def _backbones(report: BenchReport) -> list[str | None]:
    return [run.artifact.backbone for run in report.runs]


# -- names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a,b", ["a", "b"]),
        ("a, b,", ["a", "b"]),
        ("a:x=1,y=2,b", ["a:x=1,y=2", "b"]),
        ("a:x=1,b:y=2", ["a:x=1", "b:y=2"]),
        ("a:x=C:/d,y=E:/f", ["a:x=C:/d,y=E:/f"]),
        ("a,x=1", ["a", "x=1"]),
    ],
)
def test_a_list_is_split_between_names_and_not_between_options(text: str, items: list[str]) -> None:
    assert split(text) == items


def test_all_and_patterns_name_what_is_installed_each_once() -> None:
    everything = registry().names("exporters")
    assert select("exporters", ["all"]) == everything
    assert select("exporters", ["hdf5", "all"]) == ["hdf5", *(n for n in everything if n != "hdf5")]
    assert select("exporters", ["tflite-*"]) == [n for n in everything if n.startswith("tflite-")]
    assert select("exporters", ["s?vedmodel,hdf5"]) == ["savedmodel", "hdf5"]


def test_what_fits_nothing_is_refused() -> None:
    with pytest.raises(SpecError, match=r"no exporter fits the pattern 'q\*': there are hdf5"):
        select("exporters", ["q*"])
    with pytest.raises(UnknownNameError, match="did you mean 'hdf5'"):
        select("exporters", ["savedmodel,hdf"])
    with pytest.raises(UnknownNameError, match="hdf5 has no option 'x'"):
        select("exporters", ["hdf5,hdf5:x=1"])


# -- sweeps ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_sweep_is_a_row_a_backbone_and_what_fails_is_a_row_with_its_error(
    lab: dict[str, str], tmp_path: Path
) -> None:
    names = ["t_dies", "t_b", "t_exits", "t_large", "t_raises", "t_a:width=2,depth=3"]
    report = tmp_path / "report.json"
    done = invoke("bench", "--backbone", ",".join(names), *QUICK, "-o", report, environment=lab)
    assert done.returncode == 1
    runs = document.read(report).runs
    assert [run.artifact.backbone for run in runs] == names
    died, fine, exited, large, raised, wide = (run.error for run in runs)
    assert fine is wide is None
    assert "SIGABRT" in (died or "")
    assert "t_exits" in (exited or "")
    assert "at least 64 px, got 32" in (large or "")
    assert "no such luck" in (raised or "")
    assert {run.artifact.exporter for run in runs} == {"tflite-float32"}
    assert {run.artifact.part for run in runs} == {"whole"}
    for name in names:
        (line,) = [line for line in done.stderr.splitlines() if f"] {name}, whole" in line]
        assert ("failed: " in line) == (name not in ("t_b", "t_a:width=2,depth=3"))
        rows = [row[3:] for row in done.stdout.splitlines() if row[:3].strip() in ("", "*", "!")]
        assert any(row.startswith(f"{name} ") for row in rows), done.stdout


@pytest.mark.slow
def test_exported_files_are_taken_from_the_cache_while_nothing_has_changed(lab: dict[str, str], tmp_path: Path) -> None:
    def bench(*words: object) -> list[str]:
        before = len(_built(lab))
        keys.source.cache_clear()  # as a process of its own would
        done = invoke("bench", "--backbone", "t_a", *QUICK, *words, "--json", environment=lab)
        assert done.returncode == 0, done.stderr
        return _built(lab)[before:]

    base = ("--exporter", "tflite-float32")
    cnn = (*base, "--part", "cnn")
    assert bench(*base) == ["t_a"]
    assert bench(*base, "--runs", 4) == []
    assert bench(*base, "--mels", 64) == ["t_a"]
    assert bench(*cnn) == ["t_a"]
    assert bench(*base) == []
    (export,) = (Path(lab["DSLITE_CACHE"]) / "exports").glob("*/t_a-cnn-tflite-float32.tflite")
    export.write_bytes(export.read_bytes()[:-1])  # damaged: made again
    assert bench(*cnn) == ["t_a"]
    module = tmp_path / "site" / "lab.py"
    module.write_text(module.read_text(encoding="utf-8") + "# changed\n", encoding="utf-8")
    assert bench(*base) == ["t_a"]


@pytest.mark.slow
def test_a_sweep_that_is_killed_goes_on_where_it_was(lab: dict[str, str], tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    words = ["bench", "--backbone", "t_a,t_waits,t_b", *QUICK, "-o", report]
    with _waiting(lab, words, signal.SIGKILL) as process:
        workers = process.children(recursive=True)
    assert workers
    assert _backbones(document.read(report)) == ["t_a"]  # written as it came
    assert psutil.wait_procs(workers, timeout=200)[1] == []  # nobody is left behind

    done = invoke(*words, environment=lab)
    assert done.returncode == 0
    assert "1 of 3 jobs were measured before this command was stopped" in done.stderr
    assert _built(lab) == ["t_a", "t_waits", "t_waits", "t_b"]
    runs = document.read(report).runs
    assert [run.artifact.backbone for run in runs] == ["t_a", "t_waits", "t_b"]
    assert [[flag.code for flag in run.flags].count("measured_before") for run in runs] == [1, 0, 0]

    again = invoke(*words, environment=lab)  # complete, so the next one measures anew
    assert "before this command was stopped" not in again.stderr
    assert "measured_before" not in [flag.code for run in document.read(report).runs for flag in run.flags]


@pytest.mark.slow
def test_fresh_measures_all_again(lab: dict[str, str]) -> None:
    words = ("bench", "--backbone", "t_b,t_waits", *QUICK)
    with _waiting(lab, words, signal.SIGTERM):
        pass
    assert len(list((Path(lab["DSLITE_CACHE"]) / "runs").glob("*/*.json"))) == 1
    done = invoke(*words, "--fresh", "--json", environment=lab)
    assert "before this command was stopped" not in done.stderr
    assert "measured_before" not in [flag.code for run in _report(done.stdout).runs for flag in run.flags]
    assert list((Path(lab["DSLITE_CACHE"]) / "runs").iterdir()) == []


@contextmanager
def _waiting(lab: dict[str, str], words: Sequence[object], number: signal.Signals) -> Iterator[psutil.Process]:
    """The command at work, until it waits for ever in `t_waits`; ended by a signal, after which nothing waits."""
    wait = Path(lab["LOG"] + ".wait")
    wait.touch()
    with subprocess.Popen(
        [*HEEDS_SIGINT, *map(str, words)],
        env={**os.environ, **lab},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _until(lambda: "t_waits" in _built(lab))
            yield psutil.Process(process.pid)
            process.send_signal(number)
        except BaseException:  # else it is waited for, and it may wait itself
            process.kill()
            raise
    wait.unlink(missing_ok=True)


def _until(condition: Callable[[], object], seconds: float = 200) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)


# -- order, copies, cache ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_rows_are_ordered_by_any_column_in_table_and_json(lab: dict[str, str]) -> None:
    names = "t_a:width=2,t_a:width=4,t_a:width=1"
    for words, widths in (
        (["--sort", "params"], [1, 2, 4]),
        (["--sort", "size", "--descending"], [4, 2, 1]),
        (["--sort", "name", "--descending"], [4, 2, 1]),
        ([], [2, 4, 1]),
    ):
        runs, _ = _bench(lab, "--backbone", names, *QUICK, *words)
        assert [run.artifact.backbone for run in runs] == [f"t_a:width={width}" for width in widths]
    assert_refused(invoke("bench", "--backbone", names, "--sort", "speed", environment=lab), "p50")


@pytest.mark.slow
def test_copies_of_exported_files_are_kept_where_they_are_wanted(lab: dict[str, str], tmp_path: Path) -> None:
    exporters = "tflite-float32,savedmodel"  # a file and a folder
    words = ("--backbone", "t_a", "--exporter", exporters, "--part", "cnn", *QUICK, "--keep", tmp_path / "kept")
    for _ in range(2):  # made, and from the cache
        assert invoke("bench", *words, environment=lab).returncode == 0
        kept = {path.name for path in (tmp_path / "kept").iterdir()}
        files = {"t_a-cnn-tflite-float32.tflite", "t_a-cnn-savedmodel.savedmodel"}
        assert kept == {*files, *(f"{name}.json" for name in files)}
    again = invoke("bench", tmp_path / "kept" / "t_a-cnn-tflite-float32.tflite", *QUICK[6:], environment=lab)
    assert again.returncode == 0, again.stderr


def test_the_cache_is_shown_and_cleared(lab: dict[str, str]) -> None:
    empty = invoke("cache", environment=lab)
    assert (empty.returncode, empty.stdout.split(",")[0]) == (0, "0 entries")
    invoke("bench", "--backbone", "t_a", "--exporter", "tflite-float32", *QUICK, environment=lab)
    shown = invoke("cache", environment=lab)
    assert "t_a-whole-tflite-float32.tflite" in shown.stdout
    data = json.loads(invoke("cache", "--json", environment=lab).stdout)
    assert [entry["kind"] for entry in data["entries"]] == ["exports"]
    assert data["folder"] == lab["DSLITE_CACHE"]
    assert "cleared: 1 entry," in invoke("cache", "--clear", environment=lab).stdout
    assert json.loads(invoke("cache", "--json", environment=lab).stdout)["entries"] == []


def test_without_a_cache_folder_a_users_file_is_still_measured_beside_a_backbone(
    lab: dict[str, str], small_system: Any, tmp_path: Path
) -> None:
    (tmp_path / "a file").touch()
    environment = {**lab, "DSLITE_CACHE": str(tmp_path / "a file" / "cache")}
    path = small_system.path("whole", "tflite-float32")
    runs, said = _bench(environment, path, "--backbone", "t_a", "--exporter", "tflite-float32", *QUICK)
    files = [path.name, "t_a-whole-tflite-float32.tflite"]
    assert [(run.artifact.path, run.error) for run in runs] == [(file, None) for file in files]
    assert "nothing is kept (DSLITE_CACHE names another folder)" in said


def test_the_cache_keeps_to_its_limit_and_what_was_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSLITE_CACHE", str(tmp_path))
    cache.make()
    new, old, oldest = (name * 32 for name in "abc")
    for age, key in enumerate((new, old, oldest)):
        cache.entry_folder("exports", key).mkdir()
        (cache.entry_folder("exports", key) / "model.tflite").write_bytes(bytes(100))
        os.utime(cache.entry_folder("exports", key), (1e9 - age, 1e9 - age))
    leftover = tmp_path / "exports" / ".dslite-half"
    leftover.mkdir()
    cache.trim(250)
    assert {entry.path.name for entry in cache.entries()} == {new, old, leftover.name}
    cache.mark_used(cache.entry_folder("exports", old))
    cache.trim(150)
    assert {entry.path.name for entry in cache.entries()} == {old, leftover.name}
    os.utime(leftover, (1e9, 1e9))
    cache.trim(150)
    assert {entry.path.name for entry in cache.entries()} == {old}


def test_an_entry_is_gone_from_its_key_before_its_files_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSLITE_CACHE", str(tmp_path))
    cache.make()
    place = cache.entry_folder("pictures", "a" * 32)
    place.mkdir()
    (entry,) = cache.entries()

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cache.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        cache.remove(entry)
    assert not place.exists()


@pytest.mark.parametrize("words", [("--weights", "w.h5"), ("--sort", "p50", "--weights", "w.h5")])
def test_a_weight_file_is_for_one_backbone(lab: dict[str, str], tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n")
    done = invoke("bench", "--backbone", "t_a,t_b", *QUICK, *words, cwd=tmp_path, environment=lab)
    assert_refused(done, "a file fits one backbone, got 2")


# -- plugins that do what they should not, and caches that are not left alone ------------------------------


def test_a_target_may_do_anything_and_is_a_row_with_its_name_and_the_cure(
    lab: dict[str, str], small_system: Any
) -> None:
    distributions.install(Path(lab["PYTHONPATH"]), "away", TARGETS)
    path = small_system.path("whole", "tflite-float32")
    hows = ["raises", "exits", "nothing", "wrong", "prints", "daemon", "well"]
    targets = [word for how in hows for word in ("--target", f"t_target:how={how}")]
    runs, _ = _bench(lab, path, *targets, "--target", "t_half", *QUICK[6:], code=1)
    assert [run.target for run in runs] == [*(f"t_target:how={how}" for how in hows), "t_half"]
    errors = {run.target.rpartition("=")[2]: run.error or "" for run in runs}
    for how, words_of_it in (
        ("raises", "RuntimeError: no cable"),
        ("exits", "SystemExit: 3"),
        ("nothing", "NoneType"),
        ("wrong", "value: expected float, got '3 mJ'"),
        ("t_half", "memory_bytes: expected int, got 8000000000.0"),
    ):
        assert words_of_it in errors[how]
        assert "(plugin away of away 1.0: mend it, or tell its authors" in errors[how]
    assert errors["prints"] == errors["daemon"] == errors["well"] == ""


@pytest.mark.slow
def test_an_exporter_that_fails_is_told_with_its_plugin_and_one_that_nobody_runs_is_left_out(
    lab: dict[str, str],
) -> None:
    words = ("--backbone", "t_a", "--part", "cnn", *QUICK)
    several = ("--exporter", "t_*,tflite-float32", "--target", "host-litert")
    (bad, good), said = _bench(lab, *words, *several, code=1)
    assert bad.error == (
        "exporter t_bad failed: ValueError: no such format "
        "(plugin lab of lab 1.0: mend it, or tell its authors what DSLITE_DEBUG=1 shows)"
    )
    assert good.error is None
    assert "note: exporter t_onnx is left out: no target among host-litert runs .onnx" in said
    assert_refused(invoke("bench", *words, "--exporter", "t_onnx", environment=lab), "runs .onnx")


@pytest.mark.slow
def test_an_options_value_names_no_folder_of_the_users(lab: dict[str, str], tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "gold.txt").write_text("gold")
    names = "t_a:text=../../../precious/x,t_a:text=a/b,t_a:text=a_b"
    words = ("--backbone", names, "--exporter", "tflite-float32", *QUICK, "--keep", tmp_path / "kept")
    assert len(_bench(lab, *words)[0]) == 3
    assert [path.name for path in precious.iterdir()] == ["gold.txt"]
    assert len([path for path in (tmp_path / "kept").iterdir() if path.suffix == ".tflite"]) == 3


def test_what_is_not_the_caches_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DSLITE_CACHE", str(tmp_path))
    cache.make()
    others = tmp_path / "runs" / "events.out", tmp_path / "exports" / "mine"
    others[0].write_text("of another tool")
    others[1].mkdir()
    cache.trim(0)
    assert "cleared: 0 entries" in invoke("cache", "--clear").stdout
    assert all(path.exists() for path in others)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_what_could_not_be_delivered_is_kept(lab: dict[str, str]) -> None:
    words = ("bench", "--backbone", "t_a", "--exporter", "tflite-float32", *QUICK)
    lost = invoke(*words, "-o", "/dev/full", environment=lab)
    assert lost.returncode == 1
    assert "/dev/full" in lost.stderr
    again = invoke(*words, "--json", environment=lab)
    assert again.returncode == 0
    assert "1 of 1 jobs were measured before this command was stopped" in again.stderr
    assert _built(lab) == ["t_a"]


@pytest.mark.slow
def test_one_model_under_two_names_is_two_rows_also_when_a_bench_goes_on(lab: dict[str, str]) -> None:
    words = ["bench", "--backbone", "t_a,t_waits,t_a:width=1.0", "--exporter", "tflite-float32", *QUICK]
    with _waiting(lab, words, signal.SIGINT):
        meanwhile = invoke("bench", "--backbone", "t_a", *words[3:], environment=lab)
        assert "before this command was stopped" not in meanwhile.stderr  # another bench takes nothing over
    done = invoke(*words, "--json", environment=lab)
    assert "1 of 3 jobs were measured before this command was stopped" in done.stderr
    assert _backbones(_report(done.stdout)) == ["t_a", "t_waits", "t_a:width=1.0"]


@pytest.mark.slow
def test_a_bench_that_is_running_is_not_taken_for_one_that_was_stopped(lab: dict[str, str]) -> None:
    words = ["bench", "--backbone", "t_a,t_waits", "--exporter", "tflite-float32", *QUICK]
    with _waiting(lab, words, signal.SIGTERM) as process:
        Path(lab["LOG"] + ".wait").unlink()  # the second one does not wait
        second = invoke(*words, "--json", environment=lab)
    assert f"process {process.pid} measures the same" in second.stderr
    assert "measured_before" not in [flag.code for run in _report(second.stdout).runs for flag in run.flags]
    third = invoke(*words, "--json", environment=lab)
    assert "1 of 2 jobs were measured before this command was stopped" in third.stderr


# -- rounds -------------------------------------------------------------------------------------------


def _timed(file: str, exporter: str, target: str, seconds: float, sha256: str = "", n: int = 1) -> Run:
    found = Measurement("latency", seconds, "s", "a stop watch", (seconds,) * n)
    artifact = replace(bench.undescribed(Path(file), "lab", exporter), sha256=sha256)
    return Run(artifact, target, None, Plan(1), (found,))


class Told:
    """A launcher that times files as it is told, in no time; a third one, beside those of dslite."""

    def __init__(self, seconds: Callable[[str], float]) -> None:
        self.seconds = seconds
        self.requests: list[dict[str, Any]] = []

    def launch(self, request: dict[str, Any], receive: Callable[[dict[str, Any]], None]) -> str:
        self.requests.append(json.loads(json.dumps(request)))
        for job in (from_json(Job, data) for data in request["jobs"]):
            receive({"progress": ["timing", 0.5]})
            try:
                seconds = self.seconds(str(job.file))
                run = _timed(str(job.file), "", job.target, seconds, n=request["plan"]["runs"])
            except ZeroDivisionError:
                return "killed by signal 9"
            receive({"run": to_json(run)})
        return ""


@pytest.mark.parametrize("n_others", [1, 2, 3])
def test_as_many_rounds_as_are_asked_for_are_enough_for_stars(n_others: int) -> None:
    """The file that others are compared with may take fewer turns than they, or more."""
    launcher = Told(lambda file: 1.0 if file == "0" else 0.99)
    runs = [_timed(f"{i}", "tflite-float32" if not i else "own", "host-litert", 1.0) for i in range(1 + n_others)]
    figures = (Measurement("uar", 0.5, "ratio", "m"), Measurement("size", 9.0, "bytes", "m"))
    runs = [replace(run, measurements=(*run.measurements, *figures)) for run in runs]
    for n_rounds in (4, 5):
        found = interleave.time_in_rounds(dict(enumerate(runs)), Plan(1), n_rounds, lambda *_: None, launcher)
        rows = relative.compared(list(found.values()), lambda *_: None)
        assert pareto.optimal_trials(rows) == (set(range(1 + n_others)) if n_rounds == 5 else set())


def test_files_of_the_same_bytes_share_their_turns() -> None:
    asked: list[str] = []

    def seconds(file: str) -> float:
        asked.append(file)
        return 1.0 + len(asked)

    rows = [("b", "tflite-int8", "1"), ("a", "tflite-float32", "2"), ("c", "tflite-int8", "1"), ("d", "own", "2")]
    runs = [_timed(file, exporter, "host-litert", 100.0, sha256) for file, exporter, sha256 in rows]
    found = interleave.time_in_rounds(dict(enumerate(runs)), Plan(1), 5, lambda *_: None, Told(seconds))
    assert set(asked) == {"a", "b"}
    rows_of = [[(m.metric, m.samples) for m in found[number].measurements] for number in range(4)]
    assert rows_of[0] == rows_of[2] != rows_of[1] == rows_of[3]
    assert [run.artifact.path for run in found.values()] == ["b", "a", "c", "d"]


def test_files_take_turns_beside_the_one_they_are_compared_with_and_the_pace_of_the_machine_does_not_matter() -> None:
    """The machine gets slower all the time; file c, twice as fast as a, takes the worker along in its second turn."""
    asked: list[str] = []
    speed = {"a": 1.0, "b": 2.0, "c": 0.5, "d": 4.0, "x": 1.0, "y": 1.0, "z": 3.0}

    def seconds(file: str) -> float:
        asked.append(file)
        if file == "c" and asked.count("c") == 2:
            raise ZeroDivisionError
        return speed[file] * 1.01 ** len(asked)

    rows = [("b", "tflite-float16"), ("a", "tflite-float32"), ("c", "tflite-int8"), ("d", "tflite-dynamic")]
    runs = [_timed(file, exporter, "host-litert", 100.0) for file, exporter in rows]
    runs += [_timed("x", "hdf5", "host-tensorflow", 100.0), _timed("y", "tflite-float32", "android", 100.0)]
    runs += [_timed("z", "tflite-int8", "android", 100.0)]
    runs += [replace(runs[0], error="it failed before")]
    told: list[float] = []
    launcher, plan = Told(seconds), Plan(1, runs=10, min_s=1.5, max_s=150)
    found = interleave.time_in_rounds(dict(enumerate(runs)), plan, 3, lambda _, share: told.append(share), launcher)
    assert "".join(asked) == "abcd" + "dcba" + "abcd" + "xxx" + "yzzyyz"
    plans = [from_json(Plan, request["plan"]) for request in launcher.requests]
    assert {(plan.runs, plan.min_s, plan.max_s, plan.memory) for plan in plans} == {(4, 0.5, 50, False)}
    groups = [[len(list(group)) for _, group in itertools.groupby(r["together"])] for r in launcher.requests]
    assert groups == [[4, 4, 4, 1, 1, 1, *[1] * 6], [2, 4, 1, 1, 1, *[1] * 6]]
    assert told == sorted(told)
    assert told[-1] == pytest.approx((len(asked) - 0.5) / len(asked))
    speeds = {}
    for number, run in found.items():
        metrics = {m.metric: m.samples for m in run.measurements}
        if "reference_latency" in metrics:
            speeds[number] = [b / n for b, n in zip(metrics["reference_latency"], metrics["turn_latency"], strict=True)]
    assert sorted(speeds) == [0, 1, 3, 4, 5, 6]
    assert speeds[0] == pytest.approx([1 / 2] * 3, rel=0.031)
    assert speeds[3] == pytest.approx([1 / 4] * 3, rel=0.031)
    assert speeds[6] == pytest.approx([1 / 3] * 3, rel=0.011)
    assert set(speeds[1]) == set(speeds[4]) == set(speeds[5]) == {1.0}
    (flag,) = found[2].flags
    assert "it failed in 1 of 3 turns, so it has no speed-up: killed by signal 9" in flag.message
