"""Measure whether verdicts can be trusted: a file against itself, against one with 10 % more MACs, and the harness.

    python benchmarks/trust.py [--only NAME ...] [--output FOLDER]

Files of one model, a stack of ten equal convolutions, under two names, and one of eleven. Each comparison is what
``dslite bench A B --interleave`` does: rounds, each a fresh process in which files take turns, and the verdict of
``dslite compare``.
"""

import itertools
import math
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from figures import Figure, measure

from dslite.measure import bench, verdict
from dslite.measure.figures import find
from dslite.measure.inputs import prepare
from dslite.records import Plan, Run
from dslite.registry import registry

N_SAME = 200
N_DIFFERENT = 100
ROUNDS = 6
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


def compared(first: Path, second: Path, n_rounds: int = ROUNDS) -> verdict.Ratio:
    """Compare two files, as `dslite bench --interleave` and `dslite compare` do."""
    rounds = in_turn([first, second], n_rounds, SHORT)
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


def many(first: Path, second: Path, n: int) -> list[verdict.Ratio]:
    """Compare two files so many times."""
    found = []
    for i in range(n):
        found.append(compared(first, second))
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
        series.append(found.samples)
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
            f"two short runs one after the other, a process each; {verdict.RUN_TO_RUN:.0%} allowed from run to run",
        )
    ]


if __name__ == "__main__":
    measure(
        "trust",
        "Whether verdicts can be trusted",
        __doc__.splitlines()[0],
        {"same": same, "different": different, "apart": apart},
    )
