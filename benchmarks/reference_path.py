"""Measure the reference path against its aims, as ratios within one run, and write the figures down.

    python benchmarks/reference_path.py [--only NAME ...] [--output FOLDER]

Cases of a comparison are interleaved (A B A B): a shared machine changes its pace from minute to minute.
``DSLITE_TEST_DATA`` names the folder with real audio; figures that need it are left out, and that is said, without.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from figures import RESULTS, Figure, Results, dslite, litert_tool, on_host, seconds_of

from dslite.measure.environment import environment
from dslite.records import Plan

ROUNDS = 5
PAIRS = 8
N_FILES = 20


@dataclass(frozen=True)
class Reference:
    """The densenet121 system, built once, with the files the figures need."""

    cnn: Any
    whole: Any
    folder: Path

    @property
    def file(self) -> Path:
        """Give the end-to-end file."""
        return self.folder / "whole.tflite"


def build(folder: Path) -> Reference:
    """Build the system and export what the figures need."""
    from dslite.deploy.export import Provenance, export
    from dslite.model.assembly import build_cnn, build_part
    from dslite.model.keras import keras
    from dslite.recipe import REFERENCE
    from dslite.registry import registry

    keras.utils.set_random_seed(0)
    cnn = build_cnn(registry().get("backbones", "densenet121"), {}, 224, REFERENCE.head, 4, None)
    # Random weights give all classes nearly the same: spread the logits, so that a difference would show.
    cnn.get_layer("output").kernel.assign(cnn.get_layer("output").kernel * 20)
    whole = build_part("whole", REFERENCE, cnn)
    for part in ("whole", "frontend"):
        provenance = Provenance("densenet121", "none", part, REFERENCE, tuple("abcd"), "tflite-float32")
        exporter = registry().get("exporters", "tflite-float32")
        export(build_part(part, REFERENCE, cnn), exporter, {}, folder / f"{part}.tflite", provenance)
    return Reference(cnn, whole, folder)


def export_speed(reference: Reference) -> list[Figure]:
    """Our export and the converter's own way on the same model, and the outputs of the two files."""
    import tensorflow as tf

    from dslite.deploy.runtime import open_session
    from dslite.model.convert import to_tflite

    ours_s, ours = [], b""
    for _ in range(2):  # one before and one after the slow way
        start = time.perf_counter()
        ours = to_tflite(reference.cnn)
        ours_s.append(time.perf_counter() - start)
        if len(ours_s) == 1:
            start = time.perf_counter()
            stock = tf.lite.TFLiteConverter.from_keras_model(reference.cnn).convert()
            stock_s = time.perf_counter() - start
    for name, content in (("ours", ours), ("stock", stock)):
        (reference.folder / f"{name}.tflite").write_bytes(content)
    x = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    outputs = [open_session(reference.folder / f"{name}.tflite", 1).run(x) for name in ("ours", "stock")]
    ratio = stock_s / statistics.mean(ours_s)
    worst = float(np.abs(outputs[0] - outputs[1]).max())
    return [
        Figure(
            "export of densenet121",
            "at least 10 times faster than TFLiteConverter.from_keras_model",
            f"{ratio:.1f} times ({statistics.mean(ours_s):.1f} s against {stock_s:.1f} s)",
            ratio >= 10,
            "same model in the same process, ours before and after the other; both export the image model",
        ),
        Figure(
            "outputs of the two exports",
            "the same",
            f"largest difference {worst:.1e}",
            worst < 1e-6,
            "LiteRT, one picture of noise",
        ),
    ]


def front_end(reference: Reference) -> list[Figure]:
    """Size of the front end's file, and its share of the whole latency with one thread."""
    small = reference.folder / "frontend.tflite"
    medians = {small: [], reference.file: []}
    for _ in range(ROUNDS):
        for path, found in medians.items():
            found.append(ours(path, threads=1))
    share = statistics.median(medians[small]) / statistics.median(medians[reference.file])
    size = small.stat().st_size
    return [
        Figure(
            "front end, file", "at most 150 kB", f"{size / 1e3:.1f} kB", size <= 150_000, "size of the .tflite file"
        ),
        Figure(
            "front end, latency",
            "at most 10 % of end to end, one thread",
            f"{share:.1%} ({statistics.median(medians[small]) * 1e3:.2f} ms)",
            share <= 0.1,
            f"medians of {ROUNDS} interleaved runs of each file, `dslite bench`'s own protocol",
        ),
    ]


def agreement(reference: Reference) -> list[Figure]:
    """Probabilities of the TFLite file against TensorFlow's on real audio."""
    from dslite.audio.load import audio_files, chunks, load
    from dslite.deploy.runtime import open_session
    from dslite.recipe import REFERENCE

    data = os.environ.get("DSLITE_TEST_DATA")
    if not data:
        return []
    everything = audio_files(Path(data) / "audio")
    files = everything[:: len(everything) // N_FILES][:N_FILES]
    session, worst, spread = open_session(reference.file, 1), 0.0, []
    for path in files:
        pieces = chunks(load(path, 16_000), REFERENCE.chunk, 16_000)
        got = np.concatenate([session.run(piece[None]) for piece in pieces])
        expected = np.asarray(reference.whole(pieces, training=False))
        worst = max(worst, float(np.abs(got - expected).max()))
        spread.append(expected.mean(axis=0))
    return [
        Figure(
            "TFLite against TensorFlow",
            f"probabilities within 1e-4 on {N_FILES} real files",
            f"largest difference {worst:.1e} on {len(files)} files",
            worst <= 1e-4 and len(files) == N_FILES,
            f"end to end; random weights, logits spread so that a class's mean probability varies by "
            f"{float(np.ptp(np.array(spread), axis=0).max()):.3f} between files",
        )
    ]


def against_litert(reference: Reference) -> list[Figure]:
    """Our median latency against LiteRT's own benchmark_litert_model.py, by the ratio within each pair."""
    found = []
    for threads in (1, 2):
        mine, theirs = [], []
        for round_ in range(PAIRS):
            for measure, samples in ((litert_tool, theirs), (ours, mine))[:: 1 if round_ % 2 else -1]:
                samples.append(measure(reference.file, threads))
        ratios = [a / b for a, b in zip(mine, theirs, strict=True)]
        ratio = statistics.median(ratios)
        found.append(
            Figure(
                f"median latency, {threads} thread{'s' if threads > 1 else ''}",
                "within 5 % of LiteRT's benchmark_litert_model.py",
                f"{ratio - 1:+.1%} ({ms(mine)}, theirs {ms(theirs)}; pairs from {min(ratios) - 1:+.1%} to "
                f"{max(ratios) - 1:+.1%})",
                abs(ratio - 1) <= 0.05,
                f"median ratio of {PAIRS} pairs, who comes first in turn; each the median of at least 50 inferences",
            )
        )
    return found


def ms(samples_s: list[float]) -> str:
    """Write a series' median in milliseconds."""
    return f"{statistics.median(samples_s) * 1e3:.1f} ms"


def ours(path: Path, threads: int) -> float:
    """Give our median latency of a file, seconds."""
    from dslite.deploy import manifest

    return on_host(manifest.read(path), Plan(threads, memory=False))["latency"]


def memory(reference: Reference) -> list[Figure]:
    """Memory of two benches of one file."""
    found = []
    for _ in range(2):
        report = dslite("bench", reference.file, "--runs", "1", "--min-seconds", "0", "--json")
        (run,) = json.loads(report)["runs"]
        found.append({m["metric"]: m["value"] for m in run["measurements"]})
    figures = []
    for metric in ("memory_delta", "memory_process"):
        first, second = (values[metric] for values in found)
        difference = abs(first - second) / max(first, second)
        figures.append(
            Figure(
                f"{metric}, twice",
                "within 2 %",
                f"{difference:.2%} ({first / 1e6:.1f} and {second / 1e6:.1f} MB)",
                difference <= 0.02,
                "two `dslite bench` of the end-to-end file",
            )
        )
    return figures


def start_up(reference: Reference) -> list[Figure]:
    """Start of `dslite list` against the bare interpreter's."""
    del reference
    bare, full = [], []
    for _ in range(20):
        for command, found in (
            ([sys.executable, "-c", "pass"], bare),
            ([sys.executable, "-m", "dslite", "list"], full),
        ):
            found.append(seconds_of(command))
    ratio = statistics.median(full) / statistics.median(bare)
    heavy = "tensorflow", "tf_keras", "keras", "librosa"
    code = (
        "import sys; sys.argv = ['dslite', 'list']; import dslite.cli; dslite.cli._run(); "
        f"print([m for m in {heavy} if m in sys.modules])"
    )
    imported = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    return [
        Figure(
            "start of dslite list",
            "at most 0.3 s where the bare interpreter needs 0.02 s: 15 times",
            f"{ratio:.1f} times ({statistics.median(full):.3f} s against {statistics.median(bare):.3f} s)",
            ratio <= 15,
            "medians of 20 interleaved starts",
        ),
        Figure(
            "imports of dslite list",
            "no TensorFlow, Keras, librosa",
            imported.strip().splitlines()[-1],
            imported.strip().endswith("[]"),
            "sys.modules after the command",
        ),
    ]


def whole_bench(reference: Reference) -> list[Figure]:
    """The README's first command, from nothing."""
    start = time.perf_counter()
    dslite("bench", "--backbone", "densenet121", cache=reference.folder / "cache")
    seconds = time.perf_counter() - start
    cores = environment()["cpus"]
    return [
        Figure(
            "dslite bench --backbone densenet121",
            "at most 90 s on two cores",
            f"{seconds:.0f} s on {cores} cores",
            seconds <= 90,
            "wall clock; build, three exports, four rows with time and memory in fresh processes; nothing is cached",
        )
    ]


FIGURES: dict[str, Callable[[Reference], list[Figure]]] = {
    "start-up": start_up,
    "export": export_speed,
    "agreement": agreement,
    "front-end": front_end,
    "litert": against_litert,
    "memory": memory,
    "bench": whole_bench,
}


def main() -> None:
    """Measure what is asked for, print it, write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=FIGURES, default=list(FIGURES))
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    results = Results("reference_path", "The reference path, measured", "make figures")
    found: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        reference = build(Path(folder))
        for name in options.only:
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            found += FIGURES[name](reference)
    results.add_figures(found)
    if "agreement" in options.only and not os.environ.get("DSLITE_TEST_DATA"):
        results.add("Not measured: agreement on real files, because DSLITE_TEST_DATA was not set.")
    results.write(options.output)


if __name__ == "__main__":
    main()
