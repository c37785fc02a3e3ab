"""dslite's runner for devices, on this machine: real libraries, real models, and a made-up library that misbehaves."""

import importlib.metadata
import io
import json
import os
import re
import shutil
import signal
import stat
import string
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runner_builds import CROSS, Ran, built_runner, litert_library, run_runner, tflite_library

from dslite.deploy.runtime import open_session
from dslite.records import Plan
from dslite_device.host import run_child
from dslite_device.tiny import tiny_model

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the runner is for Linux and Android")

ONCE = {"runs": 1, "min_seconds": 0, "warmup_runs": 0, "warmup_seconds": 0}
LIBRARIES: dict[str, Callable[[], Path]] = {"litert": litert_library, "tflite": tflite_library}
BETWEEN_RUNTIMES = 4e-7
"""Outputs of two versions of XNNPACK differ in the order of their sums: 4e-7 was the most seen, of outputs up to 1."""
BETWEEN_PROCESSORS = 1e-5
"""NEON kernels sum in another order than those of x86-64, over thousands of products."""


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_runner(tmp_path_factory)


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_runner(tmp_path_factory, "DSLITE_SANITIZE=ON")


@dataclass(frozen=True)
class Model:
    """A file, raw inputs for it, and what they give in Python."""

    path: Path
    inputs: Path
    expected: Any


def _model(path: Path, inputs: Any) -> Model:
    raw = path.with_suffix(".inputs")
    raw.write_bytes(inputs.tobytes())
    session = open_session(path, 1)
    return Model(path, raw, np.stack([session.run(x) for x in inputs]))


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    path = tmp_path_factory.mktemp("tiny") / "tiny.tflite"
    path.write_bytes(tiny_model())
    return _model(path, np.random.default_rng(1).uniform(-1, 1, (3, 1, 2)).astype(np.float32))


@pytest.fixture(scope="session")
def system(small_system: Any, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Audio in, probabilities out, the front end inside."""
    path = tmp_path_factory.mktemp("system") / "system.tflite"
    shutil.copy(small_system.path("whole", "tflite-float32"), path)
    return _model(path, np.random.default_rng(2).uniform(-1, 1, (5, 1, 16_000)).astype(np.float32))


@pytest.fixture(scope="session")
def int8(small_system: Any, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """The CNN alone, its arithmetic in integers."""
    from dslite.deploy.export import Provenance, export
    from dslite.model.assembly import build_part
    from dslite.registry import registry

    exporter = registry().get("exporters", "tflite-int8")
    path = tmp_path_factory.mktemp("int8") / "int8.tflite"
    inputs = np.random.default_rng(3).uniform(-1, 1, (8, 1, 64, 64, 3)).astype(np.float32)
    provenance = Provenance("small", "none", "cnn", small_system.recipe, ("a", "b", "c"), exporter.name)
    options = {option.name: option.default for option in exporter.options}
    model = build_part("cnn", small_system.recipe, small_system.cnn)
    export(model, exporter, options, path, provenance, list(inputs))
    return _model(path, inputs)


@pytest.fixture
def run(runner: Path, tmp_path: Path) -> Callable[..., Ran]:
    """Run the native build on a model; LiteRT, once, unless said otherwise."""

    def start(model: Model | Path, *words: str, **arguments: object) -> Ran:
        path = model.path if isinstance(model, Model) else model
        given = {"model": path, "runtime": LIBRARIES["litert"](), **ONCE, **arguments}
        return run_runner(runner, tmp_path / "result.json", *words, **given)

    return start


# -- outputs --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tiny", "system", "int8"])
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("backend", ["litert", "tflite"])
def test_outputs_are_pythons(
    run: Callable[..., Ran], request: pytest.FixtureRequest, tmp_path: Path, backend: str, threads: int, name: str
) -> None:
    model = request.getfixturevalue(name)
    out = tmp_path / "outputs"
    ran = run(model, runtime=LIBRARIES[backend](), input=model.inputs, outputs=out, threads=threads)
    assert ran.code == 0, ran.err
    assert ran.found["backend"] == backend
    assert ran.found["delegate"] == "XNNPACK"
    assert ran.found["threads"] == threads
    got = np.frombuffer(out.read_bytes(), model.expected.dtype).reshape(model.expected.shape)
    if backend == "litert":
        np.testing.assert_array_equal(got, model.expected)
    else:
        np.testing.assert_allclose(got, model.expected, rtol=0, atol=BETWEEN_RUNTIMES)


def test_the_document_of_a_time_pass(run: Callable[..., Ran], system: Model) -> None:
    ran = run(system, input=system.inputs, warmup_runs=3, runs=20)
    found = ran.found
    assert (ran.code, found["status"], found["exit_code"], found["stage"]) == (0, "complete", 0, "done")
    assert (found["schema"], found["runner"], found["error"], found["pass"]) == (1, "1.0", None, "time")
    fed = {"dtype": "float32", "shape": [1, 16_000], "bytes": 64_000}
    assert found["input"] == fed | {"count": 5, "source": "file"}
    assert found["output"] == {"dtype": "float32", "shape": [1, 3], "bytes": 12}
    assert found["cpus"] == sorted(os.sched_getaffinity(0))
    assert (found["warmup_runs"], len(found["samples_ns"]), found["stopped"]) == (3, 20, None)
    assert all(ns > 0 for ns in (found["init_ns"], found["first_ns"], *found["samples_ns"]))
    assert "memory" not in found
    ends = [start + sample for start, sample in zip(found["starts_ns"], found["samples_ns"], strict=True)]
    assert all(end <= start for end, start in zip(ends, found["starts_ns"][1:], strict=False))
    assert ends[-1] <= found["cpu"]["wall_ns"]
    assert found["conditions"][0]["at_ns"] == 0
    assert found["conditions"][-1]["at_ns"] >= ends[-1]
    assert found["cpu"]["own_ns"] > 0
    assert found["cpu"]["busy_ns"] >= 0


def test_without_a_file_the_input_is_synthetic_and_always_the_same(
    run: Callable[..., Ran], system: Model, tmp_path: Path
) -> None:
    outputs = []
    for _ in range(2):  # the second one's result and outputs replace those of the first
        ran = run(system, outputs=tmp_path / "outputs")
        assert (ran.found["input"]["source"], ran.found["input"]["count"]) == ("synthetic", 1)
        outputs.append(np.fromfile(tmp_path / "outputs", np.float32))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["outputs", "result.json"]
    np.testing.assert_array_equal(*outputs)
    assert not any(np.allclose(outputs[0], each) for each in system.expected)


# -- protocol -------------------------------------------------------------------------------------------


def test_the_cap_ends_a_long_series(run: Callable[..., Ran], tiny: Model) -> None:
    found = run(tiny, runs=10**9, max_seconds=0.2).found
    assert found["stopped"] == "time"
    ends = [start + took for start, took in zip(found["starts_ns"], found["samples_ns"], strict=True)]
    assert len(ends) > 1
    assert max(ends[:-1]) < 0.2e9  # it asks the time between two runs: the last may begin and end later
    found = run(tiny, runs=5, max_seconds=0).found
    assert (len(found["samples_ns"]), found["stopped"]) == (1, "time")


def test_timing_lasts_at_least_its_seconds_and_progress_is_told_at_most_five_times_a_second(
    run: Callable[..., Ran], tiny: Model
) -> None:
    begin = time.monotonic()
    ran = run(tiny, runs=2, min_seconds=0.9, warmup_runs=1, warmup_seconds=0.5)
    assert ran.found["cpu"]["wall_ns"] >= 0.9e9
    assert (len(ran.found["samples_ns"]) > 2, ran.found["warmup_runs"] > 1) == (True, True)
    assert ran.found["stopped"] is None
    lines = ran.out.splitlines()
    assert len(lines) <= 1 + 5 * (time.monotonic() - begin)
    told = [re.fullmatch(r"progress (\S+) (.+)", line) for line in lines]
    assert all(told)
    assert {m[2] for m in told if m} == {"opening", "warming up", "timing"}
    fractions = [float(m[1]) for m in told if m]
    assert fractions == sorted(fractions)
    assert 0 <= fractions[0] <= fractions[-1] <= 1


# -- memory ---------------------------------------------------------------------------------------------


SLACK = 500_000
"""Bytes by which two processes differ that did the same: what an allocator has left over, and what is read ahead. That
is a quarter of this small model; of DenseNet121's 80 MB both find the same within 2 % (benchmarks/phone.py)."""


def test_memory_is_what_the_host_target_finds(
    run: Callable[..., Ran], system: Model, tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, artifact: Any
) -> None:
    monkeypatch.setenv("MALLOC_ARENA_MAX", "2")
    arrays = tmp_path / "inputs.npy"
    np.save(arrays, np.fromfile(system.inputs, np.float32).reshape(5, 1, 16_000))
    plan = Plan(1, input_path=str(arrays))
    hosts, ours = [], []
    for _ in range(3):  # medians: how much of a file is resident depends on what else the machine reads
        hosts.append(run_child("memory", artifact, plan, lambda *_: None))
        ran = run(system, **{"pass": "memory"}, input=system.inputs, warm_model=tiny.path)
        ours.append(ran.found["memory"])
        assert "samples_ns" not in ran.found
    if not all(memory["peak_reset"] for memory in ours):
        pytest.skip("the kernel, or a container, does not let the peak be reset")
    delta = median(memory["peak_bytes"] - memory["baseline_bytes"] for memory in ours)
    assert delta == pytest.approx(median(host["delta"] for host in hosts), rel=0.2, abs=SLACK)
    anonymous = median(memory["anonymous_bytes"] - memory["baseline_anonymous_bytes"] for memory in ours)
    assert anonymous == pytest.approx(median(host["anonymous_delta"] for host in hosts), rel=0.2, abs=SLACK)


@pytest.fixture(scope="session")
def artifact(small_system: Any) -> Any:
    return small_system.files["whole", "tflite-float32"]


# -- conditions -----------------------------------------------------------------------------------------


def _write(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else f"{content}\n".encode())


def _cores(sysfs: Path, max_khz: int, but: int | None = None) -> None:
    for core in set(range(os.cpu_count() or 1)) - {but}:
        folder = sysfs / f"devices/system/cpu/cpu{core}/cpufreq"
        _write(folder / "scaling_cur_freq", "1800000")
        _write(folder / "scaling_max_freq", str(max_khz))


def test_conditions_come_from_sysfs_and_what_is_garbage_is_left_out(
    run: Callable[..., Ran], tiny: Model, tmp_path: Path
) -> None:
    sysfs, procfs = tmp_path / "sys", tmp_path / "proc"
    _cores(sysfs, 2_400_000)
    _write(sysfs / "devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "<unknown>")
    zones = {
        "cpu-0-0": "45123",
        "whole degrees": "38",
        "garbage": "n/a",
        "empty": b"",
        "broken": "-274000",
        "off": "0",
        'odd "name" \\': "-5500",
        "huge": "99999999999999999999",
    }
    for i, (zone, value) in enumerate(zones.items()):
        _write(sysfs / f"class/thermal/thermal_zone{i}/type", zone)
        _write(sysfs / f"class/thermal/thermal_zone{i}/temp", value)
    _write(sysfs / "class/thermal/thermal_zone40/type", b"not \xff UTF-8 \xe2\x82\xac\x01")
    _write(sysfs / "class/thermal/thermal_zone40/temp", "51000")
    for i in range(50, 200):  # of all, at most 128 are kept
        _write(sysfs / f"class/thermal/thermal_zone{i}/type", f"zone {i}")
        _write(sysfs / f"class/thermal/thermal_zone{i}/temp", "40000")
    for name, value in {"temp": "312", "capacity": "77", "status": "Charging"}.items():
        _write(sysfs / f"class/power_supply/battery/{name}", value)
    _write(procfs / "stat", "cpu  1 2 3")  # too short to be one
    found = run(tiny, sysfs=sysfs, procfs=procfs).found
    assert found["cpu"]["busy_ns"] is None
    first = found["conditions"][0]
    n_cores = os.cpu_count() or 1
    assert first["cpu_hz"] == [None, *[1_800_000_000] * (n_cores - 1)]
    assert first["cpu_max_hz"] == [2_400_000_000] * n_cores
    assert {each["zone"]: each["celsius"] for each in first["temperatures"]} == {
        "cpu-0-0": 45.123,
        "whole degrees": 38,
        'odd "name" \\': -5.5,
        "not \ufffd UTF-8 €\x01": 51,
    } | {f"zone {i}": 40 for i in range(50, 174)}
    assert first["battery"] == {"celsius": 31.2, "level_percent": 77, "status": "Charging"}


def test_nothing_in_sysfs_is_nothing_known_and_idle_and_waiting_are_not_busy(
    run: Callable[..., Ran], tiny: Model, tmp_path: Path
) -> None:
    _write(tmp_path / "stat", "cpu  100 0 50 7000 300 0 1 2 0 0\ncpu0 1 1 1 1")
    found = run(tiny, sysfs=tmp_path / "none", procfs=tmp_path).found
    assert found["cpu"]["busy_ns"] == 0  # it does not change
    assert len(found["conditions"]) == 2
    for each in found["conditions"]:
        del each["at_ns"]
        assert each == {"cpu_hz": [], "cpu_max_hz": [], "temperatures": [], "battery": None}


def _start(runner: Path, result: Path, model: Model, *words: str, until: str) -> subprocess.Popen[str]:
    """Start a long run, and come back when it is at it."""
    process = subprocess.Popen(
        [
            runner,
            f"--result={result}",
            f"--model={model.path}",
            f"--runtime={litert_library()}",
            "--runs=100000000",
            *words,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        if until in line:
            return process
    raise AssertionError(f"it ended with {process.wait()} before it said {until!r}")


@pytest.mark.parametrize("ours", [True, False])
def test_a_core_that_is_slowed_down_ends_the_timed_span_where_it_may_run_on_it(
    runner: Path, tiny: Model, tmp_path: Path, ours: bool
) -> None:
    sysfs, result = tmp_path / "sys", tmp_path / "result.json"
    core = min(os.sched_getaffinity(0))
    _cores(sysfs, 2_400_000)
    words = ["--stop-when-throttled", f"--sysfs={sysfs}", "--condition-seconds=0.02", "--warmup-seconds=0"]
    words += [f"--cpus={core}-{core},{core}", f"--max-seconds={60 if ours else 1}"]
    with _start(runner, result, tiny, *words, until="timing") as process:
        _cores(sysfs, 1_200_000, but=None if ours else core)
        process.communicate(timeout=60)
    found = json.loads(result.read_text())
    assert (process.returncode, found["status"], found["cpus"]) == (0, "complete", [core])
    assert found["stopped"] == ("throttled" if ours else "time")
    assert set(found["conditions"][0]["cpu_max_hz"]) == {2_400_000_000}
    assert found["conditions"][-1]["cpu_max_hz"][core] == (1_200_000_000 if ours else 2_400_000_000)


# -- faults: arguments, files ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--colour=red"], "--colour=red: expected --name=value with a name of --help"),
        (["model"], "model: expected --name=value"),
        ([""], "expected --name=value"),
        (["--runs=3", "--runs=3"], "--runs: expected once, got it twice"),
        (["--runs=0"], "--runs=0: expected --runs=time at least N (50), 1 to 1e+09"),
        (["--runs=1e3"], "--runs=1e3"),
        (["--runs"], "--runs: expected"),
        (["--runs=99999999999999999999"], "expected --runs"),
        (["--threads=1.5"], "--threads=1.5"),
        (["--min-seconds=nan"], "--min-seconds=nan"),
        (["--min-seconds=0x10"], "--min-seconds=0x10"),
        (["--max-seconds=1e99"], "0 to 86400"),
        (["--condition-seconds=0"], "0.001 to 86400"),
        (["--backend=onnx"], "--backend=onnx: expected --backend=auto|tflite|litert"),
        (["--pass=memory", "--outputs=x"], "--outputs: expected with --pass=time only"),
        (["--stop-when-throttled=yes"], "expected --stop-when-throttled alone, to end when"),
        (["--cpus=4-2"], "--cpus=4-2: expected cores such as 4-7,2"),
        (["--cpus=-1"], "--cpus=-1"),
        (["--cpus=99999999999"], "--cpus=99999999999"),
        (["--cpus=1023"], "expected cores that are there"),
    ],
)
def test_a_wrong_argument_is_one_clear_line(
    sanitized: Path, tiny: Model, tmp_path: Path, words: list[str], message: str
) -> None:
    ran = run_runner(sanitized, tmp_path / "result.json", *words, model=tiny.path, runtime=litert_library())
    assert ran.code == 2
    assert message in ran.found["error"]
    assert (ran.found["status"], ran.found["exit_code"], ran.found["stage"]) == ("failed", 2, "arguments")
    assert ran.err == f"dslite_runner: {ran.found['error']}\n"
    assert ran.out == ""


def test_what_it_is_and_what_it_needs_is_told(runner: Path) -> None:
    done = subprocess.run([runner], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (2, "dslite_runner: expected --model=FILE.tflite; required\n")
    told = subprocess.run([runner, "--help"], capture_output=True, text=True, check=True).stdout
    assert all(f"--{name}" in told for name in ("model", "stop-when-throttled", "condition-seconds"))
    told = subprocess.run([runner, "--version"], capture_output=True, text=True, check=True).stdout
    assert told == "dslite_runner 1.0\n"


_NAMES = ("model", "runtime", "backend", "pass", "threads", "runs", "min-seconds", "cpus", "stop-when-throttled")
_VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=20),
    st.text(string.digits + ",-+.eE", max_size=12),
    st.sampled_from(["0", "1", "4-7,2", "1e308", "9" * 400, "a" * 5000, "%n%s%d", "time", "auto"]),
)
_WORDS = st.one_of(st.builds("--{}={}".format, st.sampled_from(_NAMES), _VALUES), _VALUES)


@settings(max_examples=40)
@given(st.lists(_WORDS, max_size=4))
def test_no_arguments_whatever_break_it(
    sanitized: Path, tmp_path_factory: pytest.TempPathFactory, words: list[str]
) -> None:
    result = tmp_path_factory.getbasetemp() / "argument-strings.json"
    ran = run_runner(sanitized, result, *words)
    assert ran.code == 2  # the model and the runtime are hardly ever both given, and are never files
    assert ran.found["status"] == "failed"
    assert "Sanitizer" not in ran.err


@pytest.mark.parametrize(
    "content", [None, b"", b"\x1c\0\0\0TF", b"\x7fELF" * 99], ids=["missing", "empty", "short", "other"]
)
def test_what_is_no_model_is_refused_before_the_runtime_sees_it(
    sanitized: Path, tiny: Model, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "model.tflite"
    if content is not None:
        path.write_bytes(content)
    for stage, no_model, words in (
        ("model", path, {"model": path}),
        ("runtime", path, {"model": tiny.path, "warm_model": path}),
        ("model", tmp_path, {"model": tmp_path}),
    ):
        ran = run_runner(sanitized, tmp_path / "result.json", runtime=litert_library(), **words)
        assert (ran.code, ran.found["exit_code"], ran.found["stage"]) == (4, 4, stage)
        assert f"{no_model}: expected a TFLite file" in ran.found["error"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"", "expected a file of raw inputs"),
        (b"1234567", "expected inputs of 8 bytes, back to back; got 7 bytes"),
        (b"1" * 17, "got 17 bytes"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(
    sanitized: Path, tiny: Model, tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "inputs"
    if content is not None:
        path.write_bytes(content)
    ran = run_runner(sanitized, tmp_path / "r.json", model=tiny.path, runtime=litert_library(), input=path)
    assert (ran.code, ran.found["exit_code"], ran.found["stage"]) == (5, 5, "input")
    assert message in ran.found["error"]
    assert "Sanitizer" not in ran.err


@pytest.mark.parametrize("kind", ["missing", "text", "without symbols", "of the other API"])
def test_what_is_no_runtime_is_refused(run: Callable[..., Ran], tiny: Model, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "lib.so"
    words = {}
    if kind == "text":
        path.write_text("no library")
    elif kind == "without symbols":
        path = _library(tmp_path, "int nothing_of_use;")
    elif kind == "of the other API":
        path, words = litert_library(), {"backend": "tflite"}
    ran = run(tiny, runtime=path, **words)
    assert (ran.code, ran.found["exit_code"], ran.found["stage"]) == (3, 3, "runtime")
    assert str(path) in ran.found["error"]


@pytest.mark.parametrize("backend", ["litert", "tflite"])
@pytest.mark.parametrize("kind", ["two inputs", "dynamic"])
def test_a_model_of_another_form_is_refused(run: Callable[..., Ran], tmp_path: Path, backend: str, kind: str) -> None:
    import tensorflow as tf

    from dslite.model.keras import keras

    x = keras.Input((None, 2) if kind == "dynamic" else (4, 2))
    inputs = [x] if kind == "dynamic" else [x, keras.Input((4, 2))]
    model = keras.Model(inputs, keras.layers.Conv1D(2, 3)(sum(inputs)))
    path = tmp_path / "model.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    ran = run(path, runtime=LIBRARIES[backend]())
    assert (ran.code, ran.found["stage"]) == (4, "model")
    expected = "expected an input of fixed shape" if kind == "dynamic" else "got 2 and 1"
    assert expected in ran.found["error"]


def test_results_that_cannot_be_written_are_told(run: Callable[..., Ran], runner: Path, tiny: Model) -> None:
    for place in (Path("/dev/full"), Path("/no/such/folder/result.json"), Path("/" + "x" * 300)):
        command = [runner, f"--model={tiny.path}", f"--runtime={litert_library()}", f"--result={place}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 7
        assert f"{place}: expected a place for the result" in done.stderr
    assert stat.S_ISCHR(Path("/dev/full").stat().st_mode)
    for place in (Path("/dev/full"), Path("/no/such/folder/outputs")):
        ran = run(tiny, outputs=place)
        assert (ran.code, ran.found["exit_code"], ran.found["status"], ran.found["stage"]) == (7, 7, "failed", "write")
        assert f"{place}: the outputs cannot be written" in ran.found["error"]


# -- faults: broken models, signals ---------------------------------------------------------------------


def _broken(model: Path) -> list[bytes]:
    """Give truncations and bit flips, the same ones each time."""
    whole = model.read_bytes()
    source = np.random.default_rng(1)
    cuts = [whole[: len(whole) * i // 8] for i in range(1, 8)] + [whole[:-n] for n in (1, 16, 300)]
    for n_flips in (1, 1, 1, 1, 4, 4, 4, 16, 16, 64):
        flipped = bytearray(whole)
        for _ in range(n_flips):
            flipped[source.integers(8, len(whole))] ^= 1 << source.integers(8)
        cuts.append(bytes(flipped))
    return cuts


def _agrees(ran: Ran) -> bool:
    """Whether the exit code and the document say the same."""
    found = ran.found
    told = found["exit_code"] if found["exit_code"] < 128 else 128 - found["exit_code"]
    return bool(told == ran.code and (found["status"] == "complete") == (ran.code == 0) == (found["error"] is None))


def _run_each(program: Path, corpus: list[bytes], folder: Path, backend: str) -> list[Ran]:
    def start(item: tuple[int, bytes]) -> Ran:
        path = folder / f"{item[0]}.tflite"
        path.write_bytes(item[1])
        given = {"model": path, "runtime": LIBRARIES[backend](), "outputs": path.with_suffix(".out"), **ONCE}
        # Some make a runtime go round for ever: they end as whoever started them ends them.
        return run_runner(program, path.with_suffix(".json"), timeout_s=3, **given)

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(start, enumerate(corpus)))


@pytest.mark.parametrize("backend", ["litert", "tflite"])
def test_a_broken_model_always_leaves_a_document(runner: Path, system: Model, tmp_path: Path, backend: str) -> None:
    runs = _run_each(runner, _broken(system.path), tmp_path, backend)
    assert all(ran.code < 0 or ran.code in {0, 4, 6} for ran in runs), [ran.code for ran in runs]
    assert all(map(_agrees, runs))
    assert {0, 4} <= {ran.code for ran in runs}
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("backend", ["litert", "tflite"])
def test_what_a_broken_model_breaks_is_the_runtime(sanitized: Path, tiny: Model, tmp_path: Path, backend: str) -> None:
    for ran in _run_each(sanitized, _broken(tiny.path), tmp_path, backend):
        assert ran.found["status"] == ("complete" if ran.code == 0 else "failed")
        assert "runtime error" not in ran.err
        # LiteRT reads beyond the file by itself: the sanitizer sees it where that ends in a function of the C library.
        frames = [line for line in ran.err.splitlines() if re.match(r" +#\d", line) and "libsanitizer" not in line]
        assert not frames or "dslite_runner.c" not in frames[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE, signal.SIGKILL])
def test_an_interrupted_run_is_marked_failed(runner: Path, tiny: Model, tmp_path: Path, number: signal.Signals) -> None:
    result = tmp_path / "result.json"
    with _start(runner, result, tiny, until="timing") as process:
        if number == signal.SIGPIPE and process.stdout:
            process.stdout.close()  # nobody listens any more
        else:
            process.send_signal(number)
        assert process.wait(10) == -number
    found = json.loads(result.read_text())
    assert (found["status"], found["exit_code"], found["stage"]) == ("failed", 128 + number, "run")
    killed = number == signal.SIGKILL
    assert ("did not come to its end" if killed else f"interrupted by {number.name}") in found["error"]
    assert killed or [path.name for path in tmp_path.iterdir()] == ["result.json"]


# -- a library that misbehaves --------------------------------------------------------------------------


_FAKE = r"""
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
static float memory[2];
static int runs;
static int deeper(volatile int n) { return n < 0 ? 0 : 1 + deeper(n + 1) + deeper(n); }
const char *TfLiteVersion(void) { return VERSION; }
void *TfLiteModelCreateFromFile(const char *path) { return strstr(path, "refuse") ? NULL : memory; }
void TfLiteModelDelete(void *model) { (void)model; }
void *TfLiteInterpreterOptionsCreate(void) { return memory; }
void TfLiteInterpreterOptionsDelete(void *options) { (void)options; }
void TfLiteInterpreterOptionsSetNumThreads(void *options, int32_t n) { (void)options, (void)n; }
void *TfLiteInterpreterCreate(const void *model, const void *options) { (void)model, (void)options; return memory; }
void TfLiteInterpreterDelete(void *interpreter) { (void)interpreter; }
int TfLiteInterpreterAllocateTensors(void *interpreter) { (void)interpreter; return 0; }
int TfLiteInterpreterInvoke(void *interpreter) { (void)interpreter; runs++; INVOKE; return 0; }
int32_t TfLiteInterpreterGetInputTensorCount(const void *interpreter) { (void)interpreter; return 1; }
int32_t TfLiteInterpreterGetOutputTensorCount(const void *interpreter) { (void)interpreter; return 1; }
void *TfLiteInterpreterGetInputTensor(const void *interpreter, int32_t i) { (void)interpreter, (void)i; return memory; }
void *TfLiteInterpreterGetOutputTensor(const void *interpreter, int32_t i)
    { (void)interpreter, (void)i; return memory; }
int TfLiteTensorType(const void *tensor) { (void)tensor; return TYPE; }
int32_t TfLiteTensorNumDims(const void *tensor) { (void)tensor; return RANK; }
int32_t TfLiteTensorDim(const void *tensor, int32_t i) { (void)tensor, (void)i; return DIMENSION; }
size_t TfLiteTensorByteSize(const void *tensor) { (void)tensor; return 8; }
void *TfLiteTensorData(const void *tensor) { (void)tensor; return memory; }
"""


def _library(folder: Path, source: str, **definitions: str) -> Path:
    if not shutil.which("cc"):
        pytest.skip("no cc on this machine")
    path = folder / "libfake.so"
    command = ["cc", "-shared", "-fPIC", "-O0", "-w", "-x", "c", "-", "-o", path]
    command += [f"-D{name}={value}" for name, value in definitions.items()]
    subprocess.run(command, input=source, text=True, check=True)
    return path


def _misbehaving(folder: Path, **definitions: str) -> Path:
    usual = {"VERSION": '"2.17.1"', "INVOKE": "", "TYPE": "1", "RANK": "1", "DIMENSION": "2"}
    return _library(folder, _FAKE, **{**usual, **definitions})


@pytest.fixture
def fake(sanitized: Path, tiny: Model, tmp_path: Path) -> Callable[..., Ran]:
    """Run the sanitized build with a library of our own, so that all that it touches is checked."""

    def start(definitions: dict[str, str], **arguments: object) -> Ran:
        given = {"model": tiny.path, "runtime": _misbehaving(tmp_path, **definitions), **ONCE, **arguments}
        ran = run_runner(sanitized, tmp_path / "result.json", **given)
        assert "Sanitizer" not in ran.err
        assert "runtime error" not in ran.err
        assert _agrees(ran)
        return ran

    return start


def test_all_of_a_run_is_clean_under_the_sanitizers(fake: Callable[..., Ran], tiny: Model, tmp_path: Path) -> None:
    _cores(tmp_path / "sys", 1_000_000)
    ran = fake(
        {"VERSION": '"2.17 \\"odd\\" \\377\\n"'},
        runs=2000,
        input=tiny.inputs,
        outputs=tmp_path / "outputs",
        warm_model=tiny.path,
        sysfs=tmp_path / "sys",
        condition_seconds=0.001,
    )
    assert ran.code == 0
    assert ran.found["runtime_version"] == '2.17 "odd" \ufffd\n'
    assert ran.found["delegate"] is None
    assert len(ran.found["samples_ns"]) == 2000
    assert (tmp_path / "outputs").read_bytes() == tiny.inputs.read_bytes()
    assert fake({}, **{"pass": "memory"}).code == 0


@pytest.mark.parametrize(
    ("code", "name", "n_bytes"), [(9, "int8", 1), (4, "int64", 8), (10, "float16", 2), (6, "bool", 1)]
)
def test_synthetic_input_of_every_kind(fake: Callable[..., Ran], code: int, name: str, n_bytes: int) -> None:
    found = fake({"TYPE": str(code), "DIMENSION": str(8 // n_bytes)}).found
    assert found["input"] == {"dtype": name, "shape": [8 // n_bytes], "bytes": 8, "count": 1, "source": "synthetic"}


@pytest.mark.parametrize(
    ("definitions", "message"),
    [
        ({"TYPE": "5"}, "expected an input of numbers, got data type 5"),
        ({"TYPE": "-77"}, "got data type -77"),
        ({"RANK": "9"}, "at most 8 dimensions, got 9"),
        ({"RANK": "-1"}, "at most 8 dimensions, got -1"),
        ({"DIMENSION": "0"}, "expected an input of fixed shape, got 0 in dimension 0"),
        ({"DIMENSION": "2147483647", "RANK": "8"}, "the input is larger than memory"),
        ({"DIMENSION": "3"}, "expected an input of 12 bytes, the runtime has 8"),
    ],
)
def test_tensors_that_make_no_sense_are_refused(
    fake: Callable[..., Ran], definitions: dict[str, str], message: str
) -> None:
    ran = fake(definitions)
    assert (ran.code, ran.found["stage"]) == (4, "model")
    assert message in ran.found["error"]


def test_a_run_that_fails_later_on_is_told(fake: Callable[..., Ran], tmp_path: Path) -> None:
    ran = fake({"INVOKE": "if (runs == 5) return 1"}, runs=10, outputs=tmp_path / "outputs")
    assert (ran.code, ran.found["stage"]) == (6, "run")
    assert "the runtime failed to run it" in ran.found["error"]
    ran = fake({"INVOKE": "if (runs == 12) return 1"}, runs=10, outputs=tmp_path / "outputs")
    assert ran.code == 6
    assert len(ran.found["samples_ns"]) == 10  # what was measured by then is kept
    assert not list(tmp_path.glob("outputs*"))


@pytest.mark.parametrize(
    ("crash", "number"),
    [
        ("*(volatile int *)0 = 1", signal.SIGSEGV),
        ("abort()", signal.SIGABRT),
        ("deeper(0)", signal.SIGSEGV),
        ("__builtin_trap()", signal.SIGILL),
    ],
)
def test_a_runtime_that_crashes_is_told_by_its_signal(
    runner: Path, tiny: Model, tmp_path: Path, crash: str, number: signal.Signals
) -> None:
    library = _misbehaving(tmp_path, INVOKE=f"if (runs == 3) {crash}")
    ran = run_runner(runner, tmp_path / "result.json", model=tiny.path, runtime=library)
    assert ran.code == -number
    assert (ran.found["status"], ran.found["exit_code"], ran.found["stage"]) == ("failed", 128 + number, "run")
    assert ran.found["error"] == f"it crashed with {number.name}: the model is probably truncated or broken"


# -- aarch64 --------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def emulated(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """Give the words that start the runner built for aarch64, and a folder for its libraries."""
    qemu, libraries = shutil.which("qemu-aarch64-static"), Path("/usr/aarch64-linux-gnu/lib")
    if not qemu or not libraries.is_dir():
        pytest.skip(
            "no qemu-aarch64-static or no /usr/aarch64-linux-gnu: packages qemu-user-static, gcc-aarch64-linux-gnu"
        )
    program = built_runner(tmp_path_factory, f"CMAKE_TOOLCHAIN_FILE={CROSS}")
    root = tmp_path_factory.mktemp("aarch64")
    (root / "lib").symlink_to(libraries)
    features = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
    core = f"processor\t: 0\nFeatures\t: {features}\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n"
    _write(root / "proc/cpuinfo", core)  # of a Cortex-A76: LiteRT reads it, and must not be shown this machine's
    return [qemu, "-cpu", "cortex-a76", "-L", str(root), str(program)], root


def _aarch64_library(folder: Path, backend: str) -> Path:
    """Fetch the library of the version that is installed here, for aarch64."""
    package, name = {
        "litert": ("ai-edge-litert", "ai_edge_litert/libLiteRt.so"),
        "tflite": ("pymicro-wakeword", "pymicro_wakeword/lib/libtensorflowlite_c.so"),
    }[backend]
    LIBRARIES[backend]()  # skips where it is not installed
    tags = [f"manylinux_2_{minor}_aarch64" for minor in (35, 28, 27, 17)]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", folder]
    command += [word for tag in tags for word in ("--platform", tag)]
    command += [f"{package}=={importlib.metadata.version(package)}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    wheels = list(folder.glob(f"{package.replace('-', '_')}-*.whl"))
    if not wheels:
        pytest.skip(f"no aarch64 wheel of {package} can be had: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(io.BytesIO(wheels[0].read_bytes())) as wheel:
        return Path(wheel.extract(name, folder))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["litert", "tflite"])
def test_outputs_on_aarch64_are_those_of_this_machine(
    emulated: tuple[list[str], Path], runner: Path, system: Model, int8: Model, tmp_path: Path, backend: str
) -> None:
    program, folder = emulated
    there = _aarch64_library(folder, backend)
    for model in (system, int8):
        found = []
        for start, library in ((runner, LIBRARIES[backend]()), (program, there)):
            out = tmp_path / "outputs"
            given = {"model": model.path, "runtime": library, "input": model.inputs, "outputs": out, **ONCE}
            ran = run_runner(start, tmp_path / "result.json", timeout_s=300, **given)
            assert ran.code == 0, ran.err
            assert ran.found["delegate"] == "XNNPACK"
            found.append(np.fromfile(out, model.expected.dtype))
        np.testing.assert_allclose(*found, rtol=0, atol=BETWEEN_PROCESSORS)
