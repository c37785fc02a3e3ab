"""Measure the whole zoo, twice: from an empty cache, and with it; and what many plugins cost at start-up.

    python benchmarks/zoo.py [--backbones LIST] [--output FOLDER]

Memory is the sum of resident memory of dslite and all its child processes, looked at five times a second; pages they
share count once for each, so it is an upper bound.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil
from figures import RESULTS, Figure, Results, dslite, seconds_of

COMMAND = ("bench", "--backbone", "all", "--sort", "p50")
N_PLUGINS = 20
ROUNDS = 20


class Memory(threading.Thread):
    """Watches the resident memory of this process's children."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak_bytes = 0
        self._ended = threading.Event()

    def run(self) -> None:
        """Look until told to end."""
        while not self._ended.wait(0.2):
            total = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.Error:  # it has just ended
                    continue
            self.peak_bytes = max(self.peak_bytes, total)

    def end(self) -> int:
        """Stop, and give the peak in bytes."""
        self._ended.set()
        self.join()
        return self.peak_bytes


def sweep(words: tuple[str, ...], cache: Path) -> tuple[dict[str, Any], float, int]:
    """Run the sweep; give its report, its seconds, and its peak of memory in bytes."""
    memory = Memory()
    memory.start()
    start = time.perf_counter()
    report = json.loads(dslite(*words, "--json", cache=cache))
    return report, time.perf_counter() - start, memory.end()


def table(report: dict[str, Any]) -> str:
    """Lay the runs out as Markdown."""
    rows = []
    for run in report["runs"]:
        found: dict[str, Any] = {}
        for m in run["measurements"]:
            found.setdefault(m["metric"], m)

        def cell(metric: str, scale: float, digits: int, name: str = "", found: dict[str, Any] = found) -> str:
            if metric not in found:
                return "-"
            value = found[metric]["statistics"][name] if name else found[metric]["value"]
            return f"{value / scale:,.{digits}f}"

        cells = (
            run["artifact"]["backbone"] or run["artifact"]["part"],
            cell("latency", 1e-3, 1, "p50"),
            cell("latency", 1e-3, 1, "p90"),
            cell("memory_delta", 1e6, 1),
            cell("size", 1e6, 1),
            cell("parameters", 1, 0),
            cell("macs", 1, 0),
        )
        rows.append(f"| {' | '.join(cells)} |")
    head = "| backbone | p50 ms | p90 ms | memory MB | size MB | parameters | MACs |"
    return "\n".join([head, "|---|---:|---:|---:|---:|---:|---:|", *rows])


def start_up(folder: Path) -> list[Figure]:
    """Start of `dslite list` with 20 plugins of other people, against none."""
    for i in range(N_PLUGINS):
        name = f"other{i:02d}"
        (folder / f"{name}.py").write_text(
            "from dslite import hookimpl\nfrom dslite.records import Backbone\n\n\n"
            "def build(input_shape, weights, options):\n    from dslite.model.keras import keras\n\n"
            "    image = keras.Input(input_shape)\n"
            "    return keras.Model(image, keras.layers.Conv2D(8, 3, strides=2)(image))\n\n\n"
            f'@hookimpl\ndef dslite_backbones():\n    return [Backbone("{name}", build, "tf", 8, 8, "MIT", "a test")]\n'
        )
        info = folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[dslite]\n{name} = {name}\n")
    command = [sys.executable, "-m", "dslite", "list"]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    seconds_of(command, env)  # compiled once
    without, many = [], []
    for _ in range(ROUNDS):
        without.append(seconds_of(command))
        many.append(seconds_of(command, env))
    ratio = statistics.median(many) / statistics.median(without)
    return [
        Figure(
            f"start of dslite list with {N_PLUGINS} plugins of other people",
            "at most 1.5 times the start without",
            f"{ratio:.2f} times ({statistics.median(many):.3f} s against {statistics.median(without):.3f} s)",
            ratio <= 1.5,
            f"medians of {ROUNDS} interleaved starts; each plugin a distribution of one module and one backbone",
        )
    ]


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbones", default="all", help="what dslite bench --backbone takes")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    words = tuple(options.backbones if word == "all" else word for word in COMMAND)
    results = Results("zoo", "The zoo, measured", f"dslite {' '.join(words)}")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "site").mkdir()
        started = start_up(place / "site")
        report, first_s, peak = sweep(words, place / "cache")
        _, second_s, _ = sweep(words, place / "cache")
    n_failed = sum(run["error"] is not None for run in report["runs"])
    plan = report["runs"][0]["plan"]
    results.add(
        f"Audio to probabilities in one float32 TFLite file, LiteRT, {plan['threads']} threads, batch 1, random "
        f"weights, 4 classes; at least {plan['runs']} timed runs and {plan['min_s']:g} s after warm-up, each in a "
        "fresh process; memory is the peak above the same process without the model. Parameters are those of backbone "
        "and head, MACs of the whole file, 6.1 M of the front end among them."
    )
    results.add(table(report))
    results.add_figures(
        [
            Figure(
                "the whole sweep from an empty cache",
                "at most 15 minutes on two cores",
                f"{first_s / 60:.1f} min for {len(report['runs'])} backbones, {n_failed} failed",
                first_s <= 900 and not n_failed,
                "wall clock: build, export, measure time and memory of each, in processes of their own",
            ),
            Figure(
                "the same from the cache",
                "-",
                f"{second_s / 60:.1f} min",
                True,
                "wall clock: exported files are there, all are measured again",
            ),
            Figure(
                "peak memory of the sweep",
                "at most 6 GiB",
                f"{peak / 2**30:.2f} GiB",
                peak <= 6 * 2**30,
                "resident memory of dslite and its children, five looks a second; shared pages count for each",
            ),
            *started,
        ]
    )
    results.write(options.output, {"report": report})


if __name__ == "__main__":
    main()
