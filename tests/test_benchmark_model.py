"""Google's benchmark_model: its arguments, and what it prints, read back.

The outputs follow the formats that the tool's sources write (TensorFlow's benchmark_model.cc, LiteRT's
benchmark_litert_model.cc); their figures are made up.
"""

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
TIMED = "count=50 first=266601 curr=266931 min=265837 max=268116 avg=266473 std=419"
WARMUP = "count=2 first=339304 curr=266325 min=266325 max=339304 avg=302814 std=36489"
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
BOTH = """INFO: STARTING!
INFO: Initialized session in 47.812ms.
INFO: Running benchmark for at least 1 iterations and at least 0.5 seconds but terminate if exceeding 150 seconds.
INFO: count=9 first=64112 curr=55880 min=55120 max=64112 avg=56401.3 std=2711 p5=55120 median=55910 p95=64112

INFO: count=1061 first=56100 curr=56301 min=53902 max=71020 avg=56270.1 std=1913 p5=54800 median=56151 p95=59310

INFO: [benchmark_litert_model.h:88]
========== BENCHMARK RESULTS ==========
INFO: [benchmark_litert_model.h:94] Model initialization: 47.81 ms
INFO: [benchmark_litert_model.h:96] Warmup (first):       64.11 ms
INFO: [benchmark_litert_model.h:98] Warmup (avg):         56.40 ms (9 runs)
INFO: [benchmark_litert_model.h:100] Inference (avg):      56.27 ms (1061 runs)
INFO: [benchmark_litert_model.h:104] Inference (min):      53.90 ms
INFO: [benchmark_litert_model.h:106] Inference (max):      71.02 ms
INFO: [benchmark_litert_model.h:108] Inference (std):      1.91
INFO: [benchmark_litert_model.h:115] Throughput:           27.46 MB/s
INFO: [benchmark_litert_model.h:124]
Memory Usage:
INFO: [benchmark_litert_model.h:126] Init footprint:       8.98 MB
INFO: [benchmark_litert_model.h:128] Overall footprint:    18.72 MB
INFO: [benchmark_litert_model.h:135] Peak memory usage not available. (peak_mem_mb <= 0)
"""


def figures(output: str) -> dict[str, Measurement]:
    return {m.metric: m for m in parse(output, "4 threads")}


@pytest.mark.parametrize(
    ("timed", "value", "statistics"),
    [
        (f"{TIMED} p5=265900 median=266450 p95=267200", 0.26645, {"n": 50, "p5": 0.2659, "p95": 0.2672}),
        (f"{TIMED} [ p5=265900 median=266450 p95=267200 ]", 0.26645, {"n": 50}),
        ("count=50 curr=266473 (all same)", 0.266473, {"n": 50, "p50": 0.266473, "min": 0.266473}),
        ("count=1 curr=266473", 0.266473, {"n": 1, "mean": 0.266473, "std": 0, "max": 0.266473, "p50": 0.266473}),
        (TIMED.replace("max=268116", "max=2.68116e+05"), 0.266473, {"max": 0.268116}),
    ],
)
def test_every_way_in_which_a_series_is_printed(timed: str, value: float, statistics: dict[str, float]) -> None:
    latency = figures(OLD.replace(TIMED, timed))["latency"]
    assert latency.value == pytest.approx(value)
    assert {name: latency.statistics[name] for name in statistics} == pytest.approx(statistics)
    assert ("median of 50 runs" in latency.method) == ("median" in timed or "same" in timed)


# The last three as Android's log has them: TensorFlow's issue 56301.
@pytest.mark.parametrize(
    "prefix",
    [
        *("", "INFO: ", "INFO: [benchmark_model.cc:123] "),
        *("11-26 16:20:01.123  4242  4242 I tflite  : ", "I/tflite  ( 3380): ", "05-30 15:16:45.3 I/tflite: "),
    ],
)
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("output", [OLD, NEW])
def test_prefixes_and_line_ends_do_not_matter(output: str, prefix: str, ending: str) -> None:
    lines = [prefix + line for line in output.splitlines()]
    found = {metric: m.value for metric, m in figures(ending.join(lines)).items()}
    assert found == {metric: m.value for metric, m in figures(output).items()}


MEMORY = {"memory_delta": 18.7227 * 2**20, "memory_process": 93.2383 * 2**20}
NODES = {"nodes": 60, "delegated_nodes": 58}
READ = {
    "old": (
        OLD,
        {"init_time": 0.020283, "first_latency": 0.339304, "latency": 0.266473, **MEMORY, **NODES},
        {"n": 50, "mean": 0.266473, "std": 0.000419, "min": 0.265837, "max": 0.268116},
    ),
    "new": (
        NEW,
        {"init_time": 0.04781, "first_latency": 0.06411, "latency": 0.05627}
        | {"memory_delta": 18.72 * 2**20, "memory_process": 93.24 * 2**20},
        {"n": 1061, "mean": 0.05627, "min": 0.0539, "max": 0.07102, "std": 0.00191},
    ),
    # the new tool's two streams: the median, and microseconds
    "both": (
        BOTH,
        {"init_time": 0.047812, "first_latency": 0.064112, "latency": 0.056151, "memory_delta": 18.72 * 2**20},
        {"n": 1061, "mean": 0.0562701, "std": 0.001913, "min": 0.053902, "max": 0.07102}
        | {"p5": 0.0548, "p50": 0.056151, "p95": 0.05931},
    ),
}
SUMMARY = "Inference timings in us: Init: 20283, First inference: 339304, Warmup (avg): 302814, Inference (avg): 266473"
OLD_SUMMARY = "Average inference timings in us: Warmup: 302814, Init: 20283, {}: 266473"
STANDARD_ERROR = BOTH.index("INFO: [benchmark_litert_model.h:88]")


@pytest.mark.parametrize(("output", "values", "statistics"), READ.values(), ids=READ)
def test_an_output_is_read_whole(output: str, values: dict[str, float], statistics: dict[str, float]) -> None:
    found = figures(output)
    assert {metric: m.value for metric, m in found.items()} == pytest.approx(values)
    latency = found["latency"]
    assert (latency.statistics, latency.samples) == (pytest.approx(statistics), ())
    assert f"{'median' if 'p50' in statistics else 'mean'} of {statistics['n']} runs" in latency.method
    assert latency.method.endswith("4 threads")


@pytest.mark.parametrize(
    ("usual", "output", "away"),
    [
        (BOTH, BOTH[STANDARD_ERROR:] + BOTH[:STANDARD_ERROR], set()),  # standard error comes first
        (
            OLD,
            OLD.replace(WARMUP, "count=0 p5=0 median=0 p95=0")
            .replace("First inference: 339304", "First inference: 0")
            .replace("Warmup (avg): 302814", "Warmup (avg): 0"),
            {"first_latency"},
        ),
        (OLD, OLD.replace("58 out of 60 node(s)", "58 node(s)"), {"nodes"}),
        (OLD, OLD.replace(SUMMARY, OLD_SUMMARY.format("Inference")), set()),
        (OLD, OLD.replace(SUMMARY, OLD_SUMMARY.format("no stats")), set()),
    ],
)
def test_an_output_that_has_less_or_another_order_gives_the_same_figures(
    usual: str, output: str, away: set[str]
) -> None:
    expected = {metric: m.value for metric, m in figures(usual).items() if metric not in away}
    assert {metric: m.value for metric, m in figures(output).items()} == expected


def test_a_plan_becomes_the_arguments_of_the_tool() -> None:
    plan = Plan(4, warmup_runs=2, warmup_s=0.25, runs=30, min_s=2.0, max_s=60.0)
    assert arguments("/data/local/tmp/m.tflite", plan) == [
        "--graph=/data/local/tmp/m.tflite",
        "--num_threads=4",
        "--num_runs=30",
        "--min_secs=2",
        "--max_secs=60",
        "--warmup_runs=3",
        "--warmup_min_secs=0.25",
        "--use_xnnpack=true",
        "--report_peak_memory_footprint=true",
    ]


# -- corners of both tools -------------------------------------------------------------------------------


def test_the_first_series_is_never_taken_for_the_timed_one() -> None:
    begin, _, end = OLD.partition(f"{TIMED}\n")
    with pytest.raises(MeasurementError):
        parse(begin + end, "")
    with pytest.raises(MeasurementError):
        parse(begin, "")


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
        # it prints figures also where runs failed
        (f"ERROR: Node number 3 (CONV_2D) failed to invoke.\n{OLD}ERROR: Benchmarking failed.\n", "Node number 3"),
        (OLD.replace(TIMED, "count=0"), "timed no run"),
        (OLD.replace(TIMED, TIMED[:-12]), "count=50"),
        (OLD.replace("std=419", "std=inf"), "contradicts itself"),
        (OLD.replace("min=265837", "min=269999"), "in this order"),
        (OLD.replace("timings in us", "timings in ms"), "expected us, got ms"),
        (OLD.replace("in 20.283ms", "in 27.283ms"), "two different"),
        (OLD.replace("tool (MB)", "tool (KB)"), "expected MB, got KB"),
        (OLD.replace("overall=18.7227", "overall=-1"), "contradicts itself"),
        (OLD.replace("overall=18.7227", "overall=1e308"), "contradicts itself"),
        (OLD.replace("58 out of 60", "61 out of 60"), "more operators"),
        (OLD + OLD.replace("266473", "266474"), "run twice"),
        (NEW.replace("56.27 ms", "0.00 ms").replace("53.90", "0.00"), "less time than it can print"),
        (NEW.replace("53.90 ms", "73.90 ms"), "in this order"),
        (BOTH.replace("(1061 runs)", "(1060 runs)"), "1060 runs"),
        (BOTH.replace("56.27 ms", "57.27 ms"), "two different"),
        ("INFO: STARTING!\nERROR: Failed to load model m\nERROR: Benchmarking failed.\n", "Failed to load model"),
        ("\x1b[31mERROR: Failed to load model\u2028\x00", "Failed to load model"),
        ("CANNOT LINK EXECUTABLE: library not found\nx" + "y" * 10_000, "..."),
    ],
)
def test_what_cannot_be_is_refused(output: str, words: str) -> None:
    with pytest.raises(MeasurementError) as told:
        parse(output, "")
    assert words in str(told.value)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 600


@given(
    st.lists(st.integers(1, 10**7), min_size=2, max_size=60),
    st.lists(st.integers(1, 10**7), min_size=1, max_size=9),
    st.integers(0, 10**8),
    st.integers(0, 2**24),
    st.booleans(),
)
def test_whatever_the_tool_measures_comes_back(
    timed: list[int], warmup: list[int], init: int, kib: int, percentiles: bool
) -> None:
    output = (
        f"INFO: Initialized session in {init / 1e3:g}ms.\n{_series(warmup, percentiles)}\n\n"
        f"{_series(timed, percentiles)}\n"
        f"INFO: Inference timings in us: Init: {init}, First inference: {warmup[0]}, "
        f"Warmup (avg): {sum(warmup) / len(warmup):g}, Inference (avg): {sum(timed) / len(timed):g}\n"
        f"INFO: Memory footprint delta from the start of the tool (MB): init=0 overall={kib / 1024:g}\n"
    )
    found = figures(output)
    latency = found["latency"].statistics
    assert latency["n"] == len(timed)
    assert latency["mean"] == pytest.approx(sum(timed) / len(timed) * 1e-6, rel=1e-5)
    assert (latency["min"], latency["max"]) == pytest.approx((min(timed) * 1e-6, max(timed) * 1e-6))
    assert found["init_time"].value == pytest.approx(init * 1e-6)
    assert found["first_latency"].value == pytest.approx(warmup[0] * 1e-6)
    assert found["memory_delta"].value == pytest.approx(kib * 1024, rel=1e-5, abs=1)
    if percentiles:
        assert found["latency"].value == pytest.approx(sorted(timed)[len(timed) // 2] * 1e-6)


def _series(values: list[int], percentiles: bool) -> str:
    """Print as stats_calculator.h does."""
    mean = sum(values) / len(values)
    std = int(math.sqrt(sum(v * v for v in values) / len(values) - mean * mean)) if min(values) < max(values) else 0
    text = f"INFO: count={len(values)}"
    if min(values) == max(values):
        text += f" curr={values[-1]}{'(all same)' if len(values) > 1 else ''}"
    else:
        text += f" first={values[0]} curr={values[-1]} min={min(values)} max={max(values)} avg={mean:g} std={std}"
    if percentiles:
        p5, p50, p95 = (sorted(values)[len(values) * p // 100] for p in (5, 50, 95))
        text += f" p5={p5} median={p50} p95={p95}"
    return text


@given(st.lists(st.sampled_from([*OLD.splitlines(), *NEW.splitlines(), *BOTH.splitlines()]), max_size=40))
def test_lines_in_any_order_give_possible_figures_or_an_error(lines: list[str]) -> None:
    assert _gives_possible_figures_or_a_line("\n".join(lines))


@given(st.sampled_from([OLD, NEW, BOTH]), st.integers(0, 3000), st.integers(0, 20), st.text(max_size=20))
def test_damaged_output_gives_possible_figures_or_an_error(output: str, at: int, n: int, text: str) -> None:
    assert _gives_possible_figures_or_a_line(output[:at] + text + output[at + n :])


def _gives_possible_figures_or_a_line(output: str) -> bool:
    try:
        found = parse(output, "")
    except MeasurementError as error:
        return str(error).isprintable()
    return all(math.isfinite(m.value) and m.value >= 0 for m in found)
