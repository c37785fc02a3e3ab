import contextlib
import json
import math
import mmap
import signal
import statistics as reference
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from wheels import wheel_under_test

from dslite.deploy.runtime import Session
from dslite.errors import AudioError, MeasurementError, ModelFileError
from dslite.measure import bench, inputs, series, validity
from dslite.measure.environment import commit, cpu_count, environment
from dslite.measure.figures import DERIVED
from dslite.measure.memory import measure_memory
from dslite.measure.protocol import measure_latency, measure_together
from dslite.measure.statistics import summarise
from dslite.measure.turns import FAILED_BY_TURNS, timed_by_turns
from dslite.measure.watch import Watch, conditions, over_turns
from dslite.measure.watch import flags as watch_flags
from dslite.records import Artifact, Flag, Measurement, Outcome, Plan, Run, Target
from dslite.registry import registry

QUICK = Plan(threads=1, warmup_runs=1, warmup_s=0.0, runs=5, min_s=0.0)


# -- statistics -----------------------------------------------------------------------------------------


def test_statistics_of_a_known_series() -> None:
    # by hand: mean 3.6, squared deviations 6.76 + 2.56 + 0.36 + 0.16 + 19.36 = 29.2, over 4 is 7.3
    found = summarise([1.0, 2.0, 3.0, 4.0, 8.0])
    known = {"n": 5, "mean": 3.6, "std": 7.3**0.5, "min": 1, "p50": 3, "max": 8, "mad": 1, "outliers": 0}
    assert found == pytest.approx(known)  # five support neither p90 nor an interval
    assert summarise([2.0])["std"] == 0


@given(st.lists(st.floats(1e-6, 1e3), min_size=2, max_size=200))
def test_statistics_agree_with_the_standard_library(samples: list[float]) -> None:
    found = summarise(samples)
    assert found["p50"] == pytest.approx(reference.median(samples))
    assert found["mean"] == pytest.approx(reference.fmean(samples))
    assert found["std"] == pytest.approx(reference.stdev(samples), abs=1e-9)
    ordered = [found[name] for name in ("min", "p5", "p50", "p90", "p95", "p99", "max") if name in found]
    assert ordered == sorted(ordered)
    assert ("p90" in found) == (len(samples) >= 29)
    assert ("p95" in found) == ("p5" in found) == (len(samples) >= 59)
    assert ("low" in found) == (len(samples) >= 6)
    assert found.get("low", found["p50"]) <= found["p50"] <= found.get("high", found["p50"])


# -- protocol -------------------------------------------------------------------------------------------


class _Recorder:
    """A session that writes down what is asked of it, in order."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.fed: list[float] = []
        self.invoked = 0
        self.seconds = seconds

    def open(self) -> Session:
        return Session(self._feed, self._invoke, lambda: np.zeros(1))

    def _feed(self, x: Any) -> None:
        assert len(self.fed) == self.invoked, "fed twice without a run"
        self.fed.append(float(x.ravel()[0]))

    def _invoke(self) -> None:
        self.invoked += 1
        time.sleep(self.seconds)


def _nothing(what: str, done: float) -> None:
    del what, done


def test_every_timed_run_is_kept_and_inputs_are_used_in_turn() -> None:
    recorder = _Recorder()
    timing = measure_latency(recorder.open, np.arange(3.0).reshape(3, 1, 1), Plan(1, 3, 0.0, 7, 0.0), _nothing)
    assert (len(timing.samples_s), timing.warmup_runs) == (7, 3)
    assert recorder.fed == [0, *(0, 1, 2), *(0, 1, 2, 0, 1, 2, 0)]  # the first run, three to warm up, then seven


def test_warm_up_and_timing_last_at_least_their_seconds() -> None:
    recorder = _Recorder(0.01)
    timing = measure_latency(recorder.open, np.zeros((1, 1)), Plan(1, 1, 0.1, 2, 0.2), _nothing)
    assert timing.warmup_runs >= 2
    assert len(timing.samples_s) > 2
    assert sum(timing.samples_s) + max(timing.samples_s) >= 0.15


def test_the_cap_ends_a_long_series() -> None:
    timing = measure_latency(_Recorder(0.02).open, np.zeros((1, 1)), Plan(1, 0, 0.0, 10_000, 0.0, 0.1), _nothing)
    assert 1 <= len(timing.samples_s) <= 6


def test_samples_measure_the_run_and_not_the_feeding() -> None:
    class Slow(_Recorder):
        def _feed(self, x: Any) -> None:
            super()._feed(x)
            time.sleep(0.02)

    timing = measure_latency(Slow(0.001).open, np.zeros((1, 1)), Plan(1, 0, 0.0, 20, 0.0), _nothing)
    assert min(timing.samples_s) < 0.02


def test_models_take_turns_forth_and_back_and_each_visit_begins_with_a_run_that_is_not_timed() -> None:
    order: list[int] = []

    class Named(_Recorder):
        def __init__(self, k: int) -> None:
            super().__init__()
            self.k = k

        def _invoke(self) -> None:
            super()._invoke()
            order.append(self.k)

    plan = Plan(1, warmup_runs=2, warmup_s=0.0, runs=12, min_s=0.0)
    found = measure_together([Named(k).open for k in range(3)], [np.zeros((1, 1))] * 3, plan, _nothing)
    assert [len(turn.samples_s) for turn in found] == [12] * 3
    assert all(turn.elapsed_s >= sum(turn.samples_s) for turn in found)
    visits = [k for i in range(6) for k in ((0, 1, 2) if i % 2 == 0 else (2, 1, 0))]
    assert order == [k for k in range(3) for _ in range(3)] + [k for k in visits for _ in range(1 + 2)]


def test_the_cap_ends_turns_too() -> None:
    models = [_Recorder(0.01), _Recorder(0.01)]
    plan = Plan(1, 0, 0.0, 10_000, 0.0, max_s=0.3)
    found = measure_together([model.open for model in models], [np.zeros((1, 1))] * 2, plan, _nothing)
    assert all(6 <= len(turn.samples_s) <= 36 for turn in found)  # one a visit at least
    assert all(0.06 <= turn.elapsed_s < 10 for turn in found)


# -- memory ---------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's peak counter is Linux'")
def test_memory_finds_a_peak_that_is_gone_afterwards() -> None:
    size = 64 << 20

    def work() -> None:
        with mmap.mmap(-1, size) as block:  # unlike an array's, its memory surely goes back at once
            for start in range(0, size, mmap.PAGESIZE):
                block[start] = 1

    use = measure_memory(work)
    assert 0.95 * size < use.delta < 1.2 * size
    assert use.anonymous_delta < 0.2 * size
    assert use.process > use.delta


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counters are Linux'")
def test_memory_of_an_earlier_peak_is_not_counted() -> None:
    block = np.ones(128 << 20, np.uint8)
    del block
    assert measure_memory(lambda: None).delta < 4 << 20


# -- inputs ---------------------------------------------------------------------------------------------


def test_synthetic_and_real_inputs_have_the_files_shape(small_system: Any, tone: Path) -> None:
    for part, shape in (("whole", (1, 16_000)), ("cnn", (1, 64, 64, 3))):
        artifact = small_system.files[part, "tflite-float32"]
        synthetic = inputs.prepare(artifact, [])
        assert synthetic.arrays.shape == (1, *shape)
        assert "synthetic" in synthetic.source
        real = inputs.prepare(artifact, [tone])
        assert real.arrays.shape == (4, *shape)  # 2.5 s in chunks of 1 s every 0.5 s
        assert "4 chunks of the given audio" in real.source
        assert real.arrays.dtype == synthetic.arrays.dtype == np.float32


def test_many_files_give_at_most_the_maximum(small_system: Any, tone: Path) -> None:
    prepared = inputs.prepare(small_system.files["whole", "tflite-float32"], [tone] * 50)
    assert len(prepared.arrays) == inputs.MAX_CHUNKS


def test_audio_into_a_foreign_file_is_refused(small_system: Any, tone: Path, foreign: Path) -> None:
    artifact, problem = bench.describe_file(foreign)
    assert problem is None
    with pytest.raises(ModelFileError, match="not known without a manifest"):
        inputs.prepare(artifact, [tone])
    with pytest.raises(AudioError):
        inputs.prepare(small_system.files["whole", "tflite-float32"], [foreign])


# -- one run --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(small_system: Any) -> Artifact:
    artifact: Artifact = small_system.files["whole", "tflite-float32"]
    return artifact


def _run(artifact: Artifact, target: str = "host-litert", plan: Plan = QUICK, broken: str | None = None) -> Run:
    return bench.run(
        artifact, broken, registry().get("targets", target), {}, plan, inputs.prepare(artifact, []), _nothing
    )


@pytest.fixture(scope="module")
def measured(whole: Artifact) -> Run:
    return _run(whole)


def _codes(run: Run) -> list[str]:
    """Give the flags of a run without those of a short series, and of what else the machine does."""
    of_time = series.CODES | {"slow_first"}
    of_machine = {"background_load", "stolen", "frequency_fell"}
    return [flag.code for flag in run.flags if flag.code not in of_time | of_machine]


def _by_metric(run: Run) -> dict[str, Measurement]:
    return {m.metric: m for m in reversed(run.measurements)}


@pytest.mark.parametrize(
    ("exporter", "target"),
    [
        ("tflite-float32", "host-litert"),
        pytest.param("hdf5", "host-tensorflow", marks=pytest.mark.slow),
        pytest.param("savedmodel", "host-tensorflow", marks=pytest.mark.slow),
    ],
)
def test_a_run_has_every_figure_with_its_unit_and_method(small_system: Any, exporter: str, target: str) -> None:
    artifact = small_system.files["whole", exporter]
    run = _run(artifact, target)
    assert run.error is None
    found = _by_metric(run)
    assert {name: m.unit for name, m in found.items()} == {
        "init_time": "s",
        "first_latency": "s",
        "latency": "s",
        **({"nodes": "count", "delegated_nodes": "count"} if target == "host-litert" else {}),
        "memory_delta": "bytes",
        "memory_anonymous_delta": "bytes",
        "memory_process": "bytes",
        "size": "bytes",
        "parameters": "count",
        "macs": "count",
        "flops": "count",
        "matmul_rate": "flop/s",
        "flop_rate": "flop/s",
        "flop_rate_share": "ratio",
        "real_time_factor": "ratio",
    }
    assert found["real_time_factor"].value == pytest.approx(1.0 / found["latency"].value)  # a chunk is of 1 s
    assert found["flop_rate"].value == pytest.approx(2 * artifact.macs / found["latency"].value)
    assert found["flop_rate_share"].value == pytest.approx(found["flop_rate"].value / found["matmul_rate"].value)
    assert all(m.method and m.value > 0 for name, m in found.items() if name != "memory_anonymous_delta")
    assert len(found["latency"].samples) == found["latency"].statistics["n"] == 5
    assert found["latency"].value == found["latency"].statistics["p50"]
    assert found["flops"].value == 2 * found["macs"].value == 2 * artifact.macs
    assert found["size"].value == artifact.size_bytes
    assert found["memory_process"].value > found["memory_delta"].value
    assert run.device is not None
    assert run.device.cpus == cpu_count()


def test_macs_are_counted_twice_and_a_difference_is_flagged(small_system: Any) -> None:
    artifact = small_system.files["cnn", "tflite-float32"]
    counts = [m for m in _run(artifact).measurements if m.metric == "macs"]
    assert len({m.method for m in counts}) == len(counts) == 2
    assert len({m.value for m in counts}) == 1
    other = replace(artifact, macs=artifact.macs * 2)
    assert _codes(_run(other, plan=QUICK)) == ["macs_disagree"]


def test_more_threads_than_cores_is_flagged(whole: Artifact) -> None:
    plan = Plan(cpu_count() + 1, 0, 0.0, 2, 0.0, memory=False)
    assert _codes(_run(whole, plan=plan)) == ["threads_exceed_cores"]


def test_a_foreign_file_is_measured_by_itself(foreign: Path) -> None:
    artifact, problem = bench.describe_file(foreign)
    assert (problem, artifact.backbone, artifact.input.kind) == (None, None, "unknown")
    run = _run(artifact)
    assert run.error is None
    assert "random numbers" in run.plan.input
    assert _by_metric(run)["macs"].value > 0


def test_a_runtime_that_crashes_is_told_by_its_signal(whole: Artifact) -> None:
    def shoot() -> None:
        end = time.monotonic() + 30
        while time.monotonic() < end:
            for child in psutil.Process().children():
                with contextlib.suppress(psutil.Error):
                    if "host_child" in " ".join(child.cmdline()):
                        child.send_signal(signal.SIGSEGV)
                        return
            time.sleep(0.01)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(shoot)
        run = _run(whole, plan=Plan(1, runs=10**6, max_s=60))
    assert "crashed with SIGSEGV" in (run.error or "")


def test_a_process_that_takes_too_long_is_given_up(whole: Artifact) -> None:
    assert "gave up after 2 s" in (_run(whole, plan=Plan(1, runs=10**9, timeout_s=2)).error or "")


def _run_odd(artifact: Artifact, work: Callable[..., Any], devices: Callable[..., Any] | None = None) -> Run:
    """Give the run of a target of our own; it has the host's devices where none are given."""
    devices = devices or registry().get("targets", "host-litert").devices
    target = Target("odd", (".tflite",), devices, work, "tests")
    return bench.run(artifact, None, target, {}, QUICK, inputs.prepare(artifact, []), _nothing)


def _latency(*samples: float) -> Measurement:
    return Measurement("latency", 1.0, "s", "clock", samples)


_IN_MEGABYTES = Measurement("memory_delta", 1.0, "MB", "peak")


def _half(*_: object) -> None:
    raise MeasurementError("memory: out of it", [_latency(1.0, 3.0)])


@pytest.mark.parametrize(
    ("work", "devices", "message"),
    [
        (_half, None, "memory: out of it"),
        (_half, list, "has no device"),
        (_half, lambda: 1 / 0, "ZeroDivisionError: division by zero"),
        (lambda *_: [_latency(1.0, math.nan)], None, "latency: expected finite figures from the target, got nan"),
        (lambda *_: [_latency(1.0, math.inf)], None, "latency: expected finite figures from the target, got inf"),
        (lambda *_: [_latency(1.0, 3.0), _IN_MEGABYTES], None, "memory_delta: expected bytes from the target, got MB"),
    ],
)
def test_a_target_that_fails_is_a_run_with_an_error_and_what_was_measured_before(
    whole: Artifact, work: Any, devices: Any, message: str
) -> None:
    run = _run_odd(whole, work, devices)
    assert message in (run.error or "")
    assert "size" in _by_metric(run)
    if "memory" in message:  # the latency was measured before, or beside it
        assert _by_metric(run)["latency"].statistics["mean"] == 2.0
        assert "memory_delta" not in _by_metric(run)


def test_turns_are_one_series_of_which_each_has_its_median_beside_that_of_another_file(measured: Run) -> None:
    def timed(*samples: float, error: str | None = None) -> Run:
        found = Measurement("latency", reference.median(samples), "s", "3 runs, wall clock", samples)
        return replace(run, measurements=(found,), error=error)

    run = measured
    turns = [timed(4.0, 5.0, 6.0), timed(1.0, 2.0, 3.0)]
    together = timed_by_turns(run, turns, [timed(10.0), timed(8.0)])
    found = _by_metric(together)
    assert found["latency"].samples == (4.0, 5.0, 6.0, 1.0, 2.0, 3.0)
    assert found["latency"].value == found["latency"].statistics["p50"] == 3.5
    assert found["latency"].method.endswith("3 runs, wall clock")
    assert (found["turn_latency"].samples, found["turn_latency"].value) == ((5.0, 2.0), 3.5)
    assert found["reference_latency"].samples == (10.0, 8.0)
    of_turns = {*("latency", "turn_latency", "reference_latency", "matmul_rate"), *DERIVED}
    others = [m for m in run.measurements if m.metric not in of_turns]
    assert found["matmul_rate"] == _by_metric(run)["matmul_rate"]  # turns that have none leave it
    assert found["real_time_factor"].value == 1 / 3.5
    assert [m for m in together.measurements if m.metric not in of_turns] == others
    killed = timed(90.0, error="killed")
    failed = timed_by_turns(together, [turns[0], killed], [timed(10.0), timed(8.0)])
    assert "turn_latency" not in _by_metric(failed)  # what other turns gave is gone
    assert _by_metric(failed)["latency"] == found["latency"]
    assert "it failed in 1 of 2 turns, so it has no speed-up: killed" in failed.flags[-1].message
    lonely = timed_by_turns(failed, turns, [timed(10.0), killed])
    assert "reference_latency" not in _by_metric(lonely)
    assert _by_metric(lonely)["turn_latency"].samples == (5.0, 2.0)
    (flag,) = [flag for flag in lonely.flags if flag.code == FAILED_BY_TURNS]
    assert "the file that it is compared with failed in 1 of 2 turns" in flag.message
    assert _codes(timed_by_turns(lonely, turns, turns)) == _codes(run) == []


def test_files_that_cannot_be_timed_in_one_process_are_timed_alone_and_that_is_told(
    whole: Artifact, foreign: Path, tmp_path: Path
) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(foreign.read_bytes()[:-300])
    broken = bench.describe_file(cut)[0]
    litert = registry().get("targets", "host-litert")
    given = inputs.prepare(whole, [])

    def timed(*artifacts: Artifact) -> list[Run]:
        return bench.run_together(artifacts, litert, {}, QUICK, [given] * len(artifacts), _nothing)

    good, bad = timed(whole, broken)
    assert "its runtime refuses it" in (bad.error or "")
    assert (good.error, _codes(good)) == (None, ["apart"])
    assert "as timing it in one with others failed: " in good.flags[-1].message
    assert "fresh process" in _by_metric(good)["latency"].method
    assert [_codes(run) for run in timed(whole, whole)] == [[], []]


def test_what_was_seen_in_turns_is_told_with_their_latency(measured: Run) -> None:
    run = replace(measured, flags=(), conditions={"cores": [7]})
    found = Measurement("latency", 2.0, "s", "3 runs, wall clock", (1.0, 2.0, 3.0))
    turn = replace(run, measurements=(found,), conditions={"cores": [6]})
    hot = replace(turn, flags=(Flag("throttled", "throttled: core 6"), Flag("few_runs", "3 timed runs")))
    together = timed_by_turns(run, [turn, hot], [turn, turn])
    assert _codes(together) == ["throttled_by_turns"]
    assert together.flags[-1].message == "throttled: core 6"
    disturbed = replace(run, flags=(Flag("background_load", "it was busy"), Flag("threads_exceed_cores", "2 on 1")))
    left = {flag.code for flag in timed_by_turns(disturbed, [turn], [turn]).flags}
    assert left == {"threads_exceed_cores", "few_runs"}  # what else there was went with its runs
    quick = Measurement("matmul_rate", 9e15, "flop/s", "a product")
    reached = timed_by_turns(run, [turn, replace(turn, measurements=(found, quick))], [turn, turn])
    assert _by_metric(reached)["matmul_rate"] == quick
    seldom = timed_by_turns(run, [turn] * 5 + [hot], [turn] * 6)
    assert _codes(seldom) == []  # ratios of turns do without one of six
    assert together.conditions == {"cores": [7], "turns": [{"cores": [6]}, {"cores": [6]}]}
    again = timed_by_turns(together, [turn], [turn])
    assert (_codes(again), again.conditions) == ([], {"cores": [7], "turns": [{"cores": [6]}]})


@pytest.mark.parametrize(
    ("flags", "conditions", "codes"),
    [
        ((Flag("throttled", "status light afterwards"),), {}, ["few_runs", "throttled"]),
        ((Flag("throttled", "timing was stopped"),), {"stopped": "throttled"}, ["throttled"]),
        ((Flag("few_runs", "3 timed runs only"),), {}, ["few_runs"]),
    ],
)
@pytest.mark.parametrize("has_samples", [True, False])
def test_fewer_runs_than_asked_for_are_told_once(
    whole: Artifact, flags: tuple[Flag, ...], conditions: dict[str, Any], codes: list[str], has_samples: bool
) -> None:
    samples = (1.0, 2.0, 3.0) if has_samples else ()
    found = Measurement("latency", 2.0, "s", "3 runs", samples, {} if has_samples else {"n": 3.0})

    run = _run_odd(whole, lambda *_: Outcome((found,), flags, conditions))
    assert sorted(flag.code for flag in run.flags) == codes


def test_a_series_cut_short_is_flagged(whole: Artifact) -> None:
    run = _run(whole, plan=Plan(1, 0, 0.0, 10**9, 0.0, max_s=0.1, memory=False))
    n = len(_by_metric(run)["latency"].samples)
    flags = {flag.code: flag.message for flag in run.flags}
    told = flags["few_runs" if n < validity.ENOUGH_RUNS else "time_limit"]  # enough is enough
    assert f"{n} timed runs where {10**9} were asked for: the time limit came first" in told
    assert ("few_runs" in flags) == (n < validity.ENOUGH_RUNS)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's peak counter is Linux'")
def test_the_runtime_itself_is_not_counted_as_the_models_memory(tmp_path: Path) -> None:
    from dslite.model.convert import to_tflite
    from dslite.model.keras import keras

    x = keras.Input((3,))
    path = tmp_path / "tiny.tflite"
    path.write_bytes(to_tflite(keras.Model(x, keras.layers.Dense(2)(x))))
    found = _by_metric(_run(bench.describe_file(path)[0]))
    assert 0 <= found["memory_delta"].value < 1e6  # the runtime's own code and pools are more than 3 MB


def test_the_child_leaves_nothing_in_temporary_folders_and_imports_nothing_from_the_users(
    whole: Artifact, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, run, users = (tmp_path / name for name in ("temporary", "run", "users"))
    for folder in (own, run, users):
        folder.mkdir()
    (users / "random.py").write_text("raise RuntimeError('imported from the current folder')")
    monkeypatch.chdir(users)
    monkeypatch.setenv("TMPDIR", str(own))  # this process has made up its mind by now: only the children use it
    prepared = inputs.prepare(whole, [])
    np.save(run / "inputs.npy", prepared.arrays)
    plan = replace(QUICK, memory=False, input_path=str(run / "inputs.npy"), input=prepared.source)
    before = own.stat().st_mtime_ns
    target = registry().get("targets", "host-litert")
    target.run(whole, target.devices()[0], plan, {}, _nothing)
    assert own.stat().st_mtime_ns == before  # not even for a moment, in which it might be killed
    assert [path.name for path in run.iterdir()] == ["inputs.npy"]


def test_a_foreign_file_of_tokens_is_fed_small_numbers(tmp_path: Path) -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, 7), tf.int32)])
    def look_up(tokens: Any) -> Any:
        return tf.reduce_sum(tf.gather(tf.constant(np.ones((100, 4), np.float32)), tokens), axis=1)

    converter = tf.lite.TFLiteConverter.from_concrete_functions([look_up.get_concrete_function()])
    path = tmp_path / "tokens.tflite"
    path.write_bytes(converter.convert())
    artifact, problem = bench.describe_file(path)
    assert (problem, artifact.params, artifact.input.dtype) == (None, 400, "int32")
    assert _run(artifact).error is None


def test_a_foreign_file_without_a_fixed_input_is_refused(tmp_path: Path) -> None:
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 3), tf.float32)])
    def mean(image: Any) -> Any:
        return tf.reduce_mean(image, axis=[1, 2])

    path = tmp_path / "dynamic.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([mean.get_concrete_function()]).convert())
    with pytest.raises(ModelFileError, match=r"\(1, -1, -1, 3\) has no fixed shape"):
        bench.describe_file(path)


@pytest.mark.slow
def test_memory_of_two_runs_agrees_within_two_percent(whole: Artifact) -> None:
    first, second = (_by_metric(_run(whole))["memory_process"].value for _ in range(2))
    assert first == pytest.approx(second, rel=0.02)


# -- what else the machine does -------------------------------------------------------------------------

_BUSY = "import time; end = time.monotonic() + 60\nwhile time.monotonic() < end: sum(range(1000))"


def test_what_other_processes_take_is_seen_whatever_others_of_their_name_ended() -> None:
    command = [sys.executable, "-c", _BUSY]
    with subprocess.Popen(command) as other, subprocess.Popen(command) as ended:
        _wait_for_work(other, 0.1)
        _wait_for_work(ended, 0.6)
        watch = Watch()
        watch.begin()
        ended.kill()
        ended.wait()
        _wait_for_work(other, 0.5)  # less than the one that ended had taken before
        watch.end()
        name = psutil.Process(other.pid).name()
        other.kill()
    seen = watch.seen()
    assert seen["other_cores_busy"] > 0.4 / seen["elapsed_s"]
    assert seen["clocks"]["processes_s"][name] > 0.4
    assert json.loads(json.dumps(seen)) == seen


@pytest.mark.skipif(sys.platform != "linux", reason="processes change their names by Linux' files")
def test_a_process_that_takes_another_name_has_not_taken_all_it_ever_had_since() -> None:
    rename = "open('/proc/self/comm', 'w').write('renamed')"
    script = f"import time\nwhile time.process_time() < 1: pass\n{rename}\ntime.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", script]) as other:
        _wait_for_work(other, 0.7)
        watch = Watch()
        watch.begin()
        while psutil.Process(other.pid).name() != "renamed":
            time.sleep(0.02)
        watch.end()
        other.kill()
    assert watch.seen()["clocks"]["processes_s"].get("renamed", 0.0) < 0.5


def _wait_for_work(process: subprocess.Popen[bytes], seconds: float) -> None:
    """Wait until a process has had so many more processor seconds, however busy the machine is."""
    clock = psutil.Process(process.pid).cpu_times
    until = sum(clock()[:2]) + seconds
    while sum(clock()[:2]) < until:
        time.sleep(0.02)


def _turn(others_s: float, lowest_hz: float = 3e9, **processes_s: float) -> dict[str, Any]:
    """What a `Watch` has seen of a turn of 0.2 s, too short to tell anything by itself, of which a file had half."""
    hz = {"before": 3e9, "lowest": lowest_hz, "after": 3e9}
    clocks = {"span_s": 0.2, "others_s": others_s, "stolen_s": 0.0, "processes_s": processes_s}
    return conditions("2026-01-01T00:00:00Z", 0.1, "performance", hz, clocks) | {"elapsed_s": 0.1}


def test_turns_too_short_to_tell_by_themselves_tell_together_what_others_took() -> None:
    turns = [_turn(0.19, python=0.1), _turn(0.2, 2.5e9, python=0.06, make=0.02), _turn(0.21)]
    assert all(turn["other_cores_busy"] is None and turn["busiest"] == [] for turn in turns)
    seen = over_turns(turns)
    assert seen["other_cores_busy"] == pytest.approx(1.0)
    assert seen["busiest"] == [{"name": "python", "cores": 0.27}]
    assert seen["elapsed_s"] == pytest.approx(0.3)
    assert seen["cpu_frequency"]["lowest"] == 2.5e9
    assert "background_load" in {flag.code for flag in watch_flags(seen, cpu_count())}
    assert over_turns([]) == over_turns([turns[0], {}]) == {}


def test_what_others_took_of_short_turns_makes_their_row_invalid(measured: Run) -> None:
    run = measured
    samples = Measurement("latency", 0.1, "s", "m", (0.1,) * 20)
    busy, quiet = (
        [replace(run, measurements=(samples,), flags=(), conditions=_turn(others)) for _ in range(6)]
        for others in (0.2 * cpu_count(), 0.0)
    )
    for turns, is_told in ((busy, True), (quiet, False)):
        assert ("background_load" in {flag.code for flag in timed_by_turns(run, turns, []).flags}) == is_told
    found = timed_by_turns(run, busy, [])
    assert found.conditions["other_cores_busy"] == pytest.approx(cpu_count())
    assert len(found.conditions["turns"]) == 6


@pytest.mark.parametrize(
    ("changes", "threads", "told"),
    [
        ({}, 1, {}),
        ({"other_cores_busy": 1.5}, 1, {"background_load": " cores busy meanwhile, where"}),
        ({"other_cores_busy": 0.04}, 1, {}),
        ({"stolen_cores": 2.0}, 1, {"stolen": "the hypervisor kept 2.00 of"}),
        ({"cpu_frequency": {"before": 3e9, "lowest": 2e9, "after": 3e9}}, 1, {"frequency_fell": "3.00 down to 2.00"}),
        ({"cpu_frequency": {"before": 3e9, "lowest": 2.9e9, "after": 3e9}}, 1, {}),
    ],
)
def test_what_disturbs_a_run_is_a_flag(changes: dict[str, Any], threads: int, told: dict[str, str]) -> None:
    quiet = {
        "other_cores_busy": 0.0,
        "stolen_cores": 0.0,
        "busiest": [{"name": "python", "cores": 0.4}],
        "cpu_frequency": None,
    }
    found = {flag.code: flag.message for flag in watch_flags(quiet | changes, threads)}
    assert found.keys() == told.keys()
    assert all(words in found[code] for code, words in told.items())


# -- environment ----------------------------------------------------------------------------------------


def test_environment_names_machine_and_versions_and_no_folder() -> None:
    found = environment()
    assert found["cpus"] == cpu_count() >= 1
    assert found["packages"]["tensorflow"]
    assert found["memory_bytes"] > 1 << 28
    assert not any(str(Path(place)) in str(found) for place in (Path.cwd(), Path(__file__).parent))


@pytest.mark.checkout
@pytest.mark.skipif(wheel_under_test() is not None, reason="a wheel knows no commit")
def test_commit_is_that_of_the_checkout() -> None:
    words = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
    head = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (commit() or "").removesuffix("+changes") == (head.stdout.strip() if head.returncode == 0 else "")
