"""Measure whether verdicts can be trusted: a file against itself, one with 10 % more MACs, and LiteRT's own tool.

    python benchmarks/trust.py [--only NAME ...] [--output FOLDER]

Files of one model, a stack of ten equal convolutions, under two names, and one of eleven. Each comparison is what
``dslite bench A B --interleave`` does: rounds, each a fresh process in which files take turns, and the verdict of
``dslite compare``.
"""

import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from figures import Figure, dslite, litert_tool, measure, on_host

from dslite.measure import bench, verdict
from dslite.measure.inputs import prepare
from dslite.measure.validity import RUN_TO_RUN
from dslite.metrics import find
from dslite.records import Artifact, Plan, Run
from dslite.registry import registry

N_SAME = 200
N_DIFFERENT = 100
ROUNDS = 6
PAIRS = 12
MODELS = ("squeezenet_v1", "mobilenet_v2", "densenet121")
SHORT = Plan(threads=1, warmup_runs=1, warmup_s=0.05, runs=12, min_s=0.1, memory=False)
"""Of a round: short on purpose."""
_FOLDER = tempfile.TemporaryDirectory(prefix="dslite-trust-")


@cache
def file(n_blocks: int, name: str) -> Path:
    """Export a stack of equal convolutions."""
    from dslite.model.convert import to_tflite
    from dslite.model.keras import keras

    keras.utils.set_random_seed(0)
    x = image = keras.Input((56, 56, 48))
    for _ in range(n_blocks):
        x = keras.layers.Conv2D(48, 3, padding="same", activation="relu")(x)
    path = Path(_FOLDER.name) / f"{name}.tflite"
    path.write_bytes(to_tflite(keras.Model(image, x)))
    return path


def in_turn(paths: Sequence[Path], n_rounds: int, plan: Plan) -> list[list[Run]]:
    """Give the runs of the files in each of so many rounds."""
    artifacts = [bench.describe_file(path)[0] for path in paths]
    inputs = [prepare(artifact, []) for artifact in artifacts]
    target = registry().get("targets", "host-litert")
    found = []
    for i in range(n_rounds):
        step = -1 if i % 2 else 1
        runs = bench.run_together(artifacts[::step], target, {}, plan, inputs[::step], lambda *_: None)
        found.append(runs[::step])
    return found


def compared(first: Path, second: Path, plan: Plan) -> verdict.Ratio:
    """Compare two files, as `dslite bench --interleave` and `dslite compare` do."""
    rounds = in_turn([first, second], ROUNDS, plan)
    before, after = ([latency(runs[i]) for runs in rounds] for i in (0, 1))
    ratio = verdict.of_turns(after, before)
    assert ratio is not None
    return ratio


def latency(run: Run) -> float:
    """Give the median latency of a run, seconds."""
    found = find(run.measurements, "latency")
    assert found is not None, run.error
    return found.value


def told(done: int, n: int) -> None:
    """Say how far it is."""
    if sys.stderr.isatty() or done % 20 == 0:
        print(f"  {done} of {n}", file=sys.stderr, flush=True)


def many(first: Path, second: Path, n: int, plan: Plan = SHORT) -> list[verdict.Ratio]:
    """Compare two files so many times."""
    found = []
    for i in range(n):
        found.append(compared(first, second, plan))
        told(i + 1, n)
    return found


def spread(ratios: Sequence[verdict.Ratio]) -> str:
    """Describe ratios."""
    values = [ratio.value for ratio in ratios]
    return f"ratios {min(values):.3f} to {max(values):.3f}, median {statistics.median(values):.4f}"


def same() -> list[Figure]:
    """A file against itself."""
    ratios = many(file(10, "one"), file(10, "other"), N_SAME)
    n = Counter(ratio.verdict for ratio in ratios)
    wrong = n["faster"] + n["slower"]
    return [
        Figure(
            "a file against itself, in turn",
            "faster or slower in at most 5 %",
            f"{wrong} of {N_SAME} ({wrong / N_SAME:.1%}); {spread(ratios)}",
            wrong <= 0.05 * N_SAME,
            f"{ROUNDS} rounds each, of at least {SHORT.runs} runs and {SHORT.min_s} s a file, 1 thread",
        )
    ]


@contextmanager
def bursts(n_processes: int) -> Iterator[None]:
    """Keep cores busy meanwhile, each process by itself for a tenth to two seconds, and idle as long."""
    busy = [subprocess.Popen([sys.executable, "-c", _BURSTS, str(seed)]) for seed in range(n_processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


_BURSTS = """
import random, sys, time
chance = random.Random(int(sys.argv[1]))
while True:
    end = time.monotonic() + chance.uniform(0.1, 2)
    while time.monotonic() < end:
        sum(range(1000))
    time.sleep(chance.uniform(0.1, 2))
"""


def disturbed() -> list[Figure]:
    """A file against itself, while others take cores that it needs."""
    n_cores = os.cpu_count() or 1
    with bursts(n_cores):
        ratios = many(file(10, "one"), file(10, "other"), N_SAME, replace(SHORT, threads=n_cores))
    n = Counter(ratio.verdict for ratio in ratios)
    wrong = n["faster"] + n["slower"]
    return [
        Figure(
            "a file against itself, in turn, on a busy machine",
            "faster or slower in at most 5 %",
            f"{wrong} of {N_SAME} ({wrong / N_SAME:.1%}); {spread(ratios)}",
            wrong <= 0.05 * N_SAME,
            f"likewise, {n_cores} threads, beside {n_cores} processes that keep a core busy for 0.1 to 2 s, and idle",
        )
    ]


def different() -> list[Figure]:
    """A file against one with a tenth more MACs."""
    ratios = many(file(10, "one"), file(11, "more"), N_DIFFERENT)
    found = sum(ratio.verdict == "slower" for ratio in ratios)
    return [
        Figure(
            "a file against one with 10 % more MACs, in turn",
            "slower in at least 90 %",
            f"{found} of {N_DIFFERENT} ({found / N_DIFFERENT:.0%}); {spread(ratios)}",
            found >= 0.9 * N_DIFFERENT,
            "eleven convolutions against ten of them; likewise",
        )
    ]


def apart() -> list[Figure]:
    """A file against itself, a process each, one after the other."""
    artifact, _ = bench.describe_file(file(10, "one"))
    inputs, target = prepare(artifact, []), registry().get("targets", "host-litert")
    series = []
    for i in range(N_SAME + 1):
        run = bench.run(artifact, None, target, {}, SHORT, inputs, lambda *_: None)
        found = find(run.measurements, "latency")
        assert found is not None, run.error
        series.append(found)
        told(i, N_SAME)
    ratios = [verdict.of_series(a, b) for a, b in itertools.pairwise(series)]
    wrong = sum(ratio is not None and ratio.verdict != "no difference shown" for ratio in ratios)
    logarithms = [abs(math.log(ratio.value)) for ratio in ratios if ratio]
    most = float(np.percentile(logarithms, 95))
    return [
        Figure(
            "a file against itself, not in turn",
            "faster or slower in at most 5 %",
            f"{wrong} of {N_SAME} ({wrong / N_SAME:.1%}); medians differ by up to {math.expm1(most):.0%} in 95 % "
            f"of pairs, and by {math.expm1(max(logarithms)):.0%} at most",
            wrong <= 0.05 * N_SAME,
            f"two short runs one after the other, a process each; {RUN_TO_RUN:.0%} allowed from run to run",
        )
    ]


@cache
def exported(backbone: str) -> Path:
    """Export the part from picture to probabilities of a backbone, random weights."""
    path = Path(_FOLDER.name) / f"{backbone}.tflite"
    dslite("export", "--backbone", backbone, "--part", "cnn", "--exporter", "tflite-float32", "-o", path)
    return path


_TOOL_IN_PROCESS = """
import sys
from pathlib import Path
from ai_edge_litert.tools import benchmark_litert_model as tool

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))

def run(model):
    sys.argv = ["tool", f"--model={model}", "--num_threads=1", "--num_runs=1", "--warmup_runs=1"]
    try:
        tool.main()
    except SystemExit as ended:
        assert not ended.code, ended.code

model, small = sys.argv[1:3]
run(small)
Path("/proc/self/clear_refs").write_text("5")
before = status("VmRSS")
run(model)
print("peak", status("VmHWM") - before)
"""


@cache
def pooled(shape: tuple[int, ...]) -> Path:
    """Make a small model with an input of this shape, with batch 1."""
    from dslite.model.convert import to_tflite
    from dslite.model.keras import keras

    image = keras.Input(shape[1:])
    path = Path(_FOLDER.name) / f"pooled{'x'.join(map(str, shape))}.tflite"
    features = keras.layers.GlobalAveragePooling2D()(image)
    path.write_bytes(to_tflite(keras.Model(image, keras.layers.Dense(2)(features))))
    return path


def litert_memory(artifact: Artifact) -> float:
    """Give what a file takes of the memory of LiteRT's own tool, bytes: its peak, less that with a small model.

    Either is above the same process after it has measured the small model: by then the libraries are there. The tool
    makes its environment, and random numbers as inputs, anew for each model, with the small one of the same input too.
    """
    small = str(pooled(artifact.input.shape))
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    peaks = []
    for path in (artifact.path, small):
        command = [sys.executable, "-c", _TOOL_IN_PROCESS, path, small]
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        peaks.append(float(done.stdout.rsplit("peak", 1)[1]))
    return peaks[0] - peaks[1]


def against_litert(backbone: str) -> list[Figure]:
    """Median and memory of one model against LiteRT's own tool, in turn."""
    artifact, _ = bench.describe_file(exported(backbone))
    mine, theirs = [], []
    for i in range(PAIRS):
        for is_ours in (True, False) if i % 2 else (False, True):
            if is_ours:
                mine.append(on_host(artifact, Plan(1, memory=False))["latency"])
            else:
                theirs.append(litert_tool(exported(backbone), 1))
    told(PAIRS, PAIRS)
    ratio = verdict.of_turns(mine, theirs)
    assert ratio is not None
    once = Plan(1, warmup_s=0.0, runs=1, min_s=0.0)
    small, _ = bench.describe_file(pooled(artifact.input.shape))
    memory = [
        (on_host(artifact, once)["memory_delta"] - on_host(small, once)["memory_delta"], litert_memory(artifact))
        for _ in range(3)
    ]
    ours_bytes, theirs_bytes = (statistics.median(pair[i] for pair in memory) for i in (0, 1))
    return [
        Figure(
            f"median latency, {backbone}",
            "within 3 % of LiteRT's benchmark_litert_model.py",
            f"{ratio.value - 1:+.1%} ({ratio.low - 1:+.1%} to {ratio.high - 1:+.1%}); "
            f"{statistics.median(mine) * 1e3:.2f} ms",
            abs(ratio.value - 1) <= 0.03,
            f"{PAIRS} pairs of processes, either first by turns, 1 thread, at least 50 runs each; 95 % interval",
        ),
        Figure(
            f"memory, {backbone}",
            "within 3 % of the same tool's",
            f"{ours_bytes / theirs_bytes - 1:+.1%} ({ours_bytes / 1e6:.1f} and {theirs_bytes / 1e6:.1f} MB)",
            abs(ours_bytes / theirs_bytes - 1) <= 0.03,
            "it tells none: peak (VmHWM) of its process, less that with a small model of the same input; of ours "
            "likewise; medians of 3, in turn",
        ),
    ]


def litert() -> list[Figure]:
    """Median and memory against LiteRT's own tool."""
    return [figure for backbone in MODELS for figure in against_litert(backbone)]


if __name__ == "__main__":
    measure(
        "trust",
        "Whether verdicts can be trusted",
        __doc__.splitlines()[0],
        {"same": same, "disturbed": disturbed, "different": different, "apart": apart, "litert": litert},
    )
