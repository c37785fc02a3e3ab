"""Google's benchmark_model: its arguments, and what it prints, read back.

The outputs follow the formats that the tool's sources write (TensorFlow's benchmark_model.cc, LiteRT's
benchmark_litert_model.cc); their figures are made up.
"""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslite.errors import MeasurementError
from dslite.records import Measurement, Plan
from dslite_device.benchmark_model import arguments, parse

OLD = """STARTING!
Log parameter values verbosely: [0]
Graph: [model.tflite]
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
VERBOSE: Replacing 58 out of 60 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 2 partitions.
Initialized session in 20.283ms.
Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
count=2 first=339304 curr=266325 min=266325 max=339304 avg=302814 std=36489

Running benchmark for at least 50 iterations and at least 1 seconds but terminate if exceeding 150 seconds.
count=50 first=266601 curr=266931 min=265837 max=268116 avg=266473 std=419

Inference timings in us: Init: 20283, First inference: 339304, Warmup (avg): 302814, Inference (avg): 266473
Note: as the benchmark tool itself affects memory footprint, the following is only APPROXIMATE to the actual memory.
Memory footprint delta from the start of the tool (MB): init=8.97656 overall=18.7227
Overall peak memory footprint (MB) via periodic monitoring: 93.2383
"""
WITH_PERCENTILES = OLD.replace("std=419", "std=419 p5=265900 median=266450 p95=267200")
NEW = """INFO: [benchmark_litert_model.cc:254] ========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.cc:255] Model initialization: 47.81 ms
INFO: [benchmark_litert_model.cc:257] Warmup (first):       64.11 ms
INFO: [benchmark_litert_model.cc:259] Warmup (avg):         56.40 ms (9 runs)
INFO: [benchmark_litert_model.cc:261] Inference (avg):      56.27 ms (1061 runs)
INFO: [benchmark_litert_model.cc:263] Inference (min):      53.90 ms
INFO: [benchmark_litert_model.cc:265] Inference (max):      71.02 ms
INFO: [benchmark_litert_model.cc:267] Inference (std):      1.91 ms
INFO: [benchmark_litert_model.cc:271] Init footprint:       8.98 MB
INFO: [benchmark_litert_model.cc:273] Overall footprint:    18.72 MB
INFO: [benchmark_litert_model.cc:275] Peak memory:          93.24 MB
"""


def figures(output: str) -> dict[str, Measurement]:
    return {m.metric: m for m in parse(output, "4 threads")}


def test_the_old_format_is_read_whole() -> None:
    found = figures(OLD)
    assert found["init_time"].value == pytest.approx(0.020283)
    assert found["first_latency"].value == pytest.approx(0.339304)
    latency = found["latency"]
    assert latency.value == pytest.approx(0.266473)
    assert latency.statistics == pytest.approx(
        {"n": 50, "mean": 0.266473, "std": 0.000419, "min": 0.265837, "max": 0.268116}
    )
    assert latency.samples == ()
    assert "mean of 50 runs" in latency.method
    assert latency.method.endswith("4 threads")
    assert found["memory_delta"].value == pytest.approx(18.7227 * 2**20)
    assert found["memory_process"].value == pytest.approx(93.2383 * 2**20)
    assert (found["nodes"].value, found["delegated_nodes"].value) == (60, 58)


def test_percentiles_are_taken_where_they_are_printed() -> None:
    latency = figures(WITH_PERCENTILES)["latency"]
    assert latency.value == pytest.approx(0.26645)
    assert latency.statistics["p5"] == pytest.approx(0.2659)
    assert latency.statistics["p95"] == pytest.approx(0.2672)
    assert "median of 50 runs" in latency.method


def test_samples_that_are_all_the_same_are_a_series_too() -> None:
    line = "count=50 first=266601 curr=266931 min=265837 max=268116 avg=266473 std=419"
    latency = figures(OLD.replace(line, "count=50 curr=266473 (all same)"))["latency"]
    assert latency.statistics["p50"] == latency.statistics["min"] == pytest.approx(0.266473)


def test_figures_of_a_second_and_more_are_printed_with_an_exponent() -> None:
    output = OLD.replace("avg=266473", "avg=1.23457e+06").replace("(avg): 266473", "(avg): 1.23457e+06")
    output = output.replace("max=268116", "max=1.3e+06")
    assert figures(output)["latency"].statistics["mean"] == pytest.approx(1.23457)


def test_the_new_format_is_read_whole() -> None:
    found = figures(NEW)
    assert found["init_time"].value == pytest.approx(0.04781)
    assert found["latency"].value == pytest.approx(0.05627)
    assert found["latency"].statistics == pytest.approx(
        {"n": 1061, "mean": 0.05627, "min": 0.0539, "max": 0.07102, "std": 0.00191}
    )
    assert found["memory_delta"].value == pytest.approx(18.72 * 2**20)
    assert found["memory_process"].value == pytest.approx(93.24 * 2**20)


@pytest.mark.parametrize(
    "prefix", ["", "INFO: ", "INFO: [benchmark_model.cc:123] ", "11-26 16:20:01.123  4242  4242 I tflite  : "]
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("output", [OLD, NEW])
def test_prefixes_and_line_ends_do_not_matter(output: str, prefix: str, ending: str) -> None:
    lines = [prefix + line for line in output.splitlines()]
    found = {metric: m.value for metric, m in figures(ending.join(lines)).items()}
    assert found == {metric: m.value for metric, m in figures(output).items()}


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("", "it said: nothing"),
        ("STARTING!\nLoaded model\n", "it said: Loaded model"),
        ("ERROR: Failed to load model\nBenchmarking failed.\n", "it said: Benchmarking failed."),
        ("sh: benchmark_model: inaccessible or not found\n", "inaccessible or not found"),
        (OLD.partition("Inference timings")[0], "no figures of inference"),
        (OLD.replace("(avg): 266473", "(avg): nan"), "contradicts itself"),
        (OLD.replace("(avg): 266473", "(avg): -1").replace("avg=266473", "avg=-1"), "contradicts itself"),
        (NEW.replace("(1061 runs)", "(0 runs)"), "timed no run"),
        (NEW.replace("56.27 ms", "56.27 s"), "contradicts itself"),
        (NEW.replace("56.27 ms", "56.27 parsecs"), "no figures of inference"),
    ],
)
def test_output_that_is_not_understood_is_refused_loudly(output: str, words: str) -> None:
    with pytest.raises(MeasurementError) as told:
        parse(output, "")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


@given(st.integers(1, 10**6), st.lists(st.integers(1, 10**8), min_size=3, max_size=3), st.integers(0, 10**7))
def test_figures_in_microseconds_come_back(n: int, values: list[int], init: int) -> None:
    low, mean, high = sorted(values)
    output = (
        "count=1 first=5 curr=5 min=5 max=5 avg=5 std=0\n"
        f"count={n} first={high} curr={low} min={low} max={high} avg={mean} std=1\n"
        f"Inference timings in us: Init: {init}, First inference: 5, Warmup (avg): 5, Inference (avg): {mean}\n"
    )
    found = figures(output)
    assert found["latency"].value == pytest.approx(mean * 1e-6)
    assert found["latency"].statistics["n"] == n
    assert found["init_time"].value == pytest.approx(init * 1e-6)


@given(st.text(alphabet="count=first Inference(avg): 0123456789.e+-\nusm=nanif", max_size=300))
def test_anything_else_gives_figures_that_can_be_or_an_error(text: str) -> None:
    with contextlib.suppress(MeasurementError):
        assert all(math.isfinite(m.value) and m.value >= 0 for m in parse(text, ""))


def test_a_plan_becomes_the_arguments_of_the_tool() -> None:
    plan = Plan(4, warmup_runs=2, warmup_s=0.25, runs=30, min_s=2.0, max_s=60.0)
    assert arguments("/data/local/tmp/m.tflite", plan) == [
        "--graph=/data/local/tmp/m.tflite",
        "--num_threads=4",
        "--num_runs=30",
        "--min_secs=2",
        "--max_secs=60",
        "--warmup_runs=2",
        "--warmup_min_secs=0.25",
        "--use_xnnpack=true",
        "--report_peak_memory_footprint=true",
    ]
