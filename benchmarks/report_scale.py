"""Reports of many rows: reads, compares and lays out generated ones, and says how time and memory grow.

A row is one of a bench on this host: 50 latencies with their statistics, and the figures that go with them. Rows are
drawn from one seed, so two runs of this measure the same. Each size is measured in a process of its own.
"""

import argparse
import io
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from figures import RESULTS, Results
from rich.console import Console

from dslite.codec import to_json
from dslite.measure.bench import undescribed
from dslite.measure.figures import with_statistics
from dslite.measure.validity import RUN_TO_RUN
from dslite.records import BenchReport, Device, Flag, Measurement, Plan, Run
from dslite.report import compare_table, comparison, document, limits
from dslite.report.comma_separated import as_csv
from dslite.report.markdown import markdown
from dslite.report.names import titles
from dslite.report.page import html
from dslite.report.pareto import optimal
from dslite.report.terminal import report_table
from dslite.report.view import view

SIZES = (2_000, 8_000, 32_000, 100_000)
N_SERIES = 50
"""Different series of latencies: their statistics take milliseconds each, and no reader looks at them."""
SEED = 0
WIDTH = 160


def rows(n: int, seed: int = SEED) -> list[Run]:
    """Make rows of files of several targets, one in a hundred of them failed, one in ten not valid."""
    random = np.random.default_rng(seed)
    device = Device("host", "a processor", "Linux", "x86_64", 2, 1 << 33)
    series = [
        with_statistics(
            Measurement("latency", 0.0, "s", "50 runs, wall clock", tuple(random.normal(1, 0.02, 50).tolist()))
        )
        for _ in range(N_SERIES)
    ]
    size = random.lognormal(15, 1, n)
    seconds = size / 4e8 * random.lognormal(0, 0.5, n)
    memory = size * random.uniform(2, 6, n)
    found = []
    for i in range(n):
        base = series[i % N_SERIES]
        scale = float(seconds[i])
        latency = replace(
            base,
            value=base.value * scale,
            samples=tuple(sample * scale for sample in base.samples),
            statistics={
                k: v if k in ("n", "outliers", "trend", "trend_p") else v * scale for k, v in base.statistics.items()
            },
        )
        artifact = replace(
            undescribed(Path(f"zoo/{i // 1000}/model_{i}-whole-tflite-float32.tflite"), f"model_{i}", "tflite-float32"),
            sha256=f"{i:064x}",
            size_bytes=int(size[i]),
        )
        measured = (
            latency,
            Measurement("first_latency", 2 * scale, "s", "first run after opening"),
            Measurement("init_time", 3 * scale, "s", "open the file until ready to run"),
            Measurement("memory_delta", float(memory[i]), "bytes", "peak resident memory"),
            Measurement("memory_process", float(memory[i]) + 5e7, "bytes", "peak resident memory; the whole process"),
            Measurement("size", float(int(size[i])), "bytes", "bytes on disk"),
            Measurement("macs", float(size[i] * 20), "count", "counted from the graph"),
            Measurement("flops", float(size[i] * 40), "count", "2 for each MAC"),
            Measurement("parameters", float(size[i] // 4), "count", "counted"),
            Measurement("real_time_factor", 3 / scale, "ratio", "a chunk of 3 s divided by the median latency"),
        )
        flags = (Flag("background_load", "other processes kept 1.2 cores busy"),) if i % 10 == 3 else ()
        run = Run(artifact, ("host-litert", "android")[i % 2], device, Plan(2), measured, flags)
        found.append(replace(run, measurements=(), error="its runtime crashed") if i % 100 == 50 else run)
    return found


def measure(n: int) -> dict[str, float]:
    """Time each step on a report of so many rows, processor seconds, and give the peak of memory."""
    environment = {"cpu": "a processor", "cpus": 2, "system": "Linux"}
    found: dict[str, float] = {}

    def step(name: str, work: Callable[[], Any]) -> Any:
        begin = time.process_time()
        result = work()
        found[name] = time.process_time() - begin
        return result

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        made = BenchReport(1, "2026-01-01T00:00:00Z", "0", None, "dslite bench", environment, tuple(rows(n)))
        path.write_text(json.dumps(to_json(made)), encoding="utf-8")
        found["MB"] = path.stat().st_size / 1e6
        del made
        report = step("read", lambda: document.read(path))
    step("titles", lambda: titles(report.runs))
    step("Pareto", lambda: optimal(report.runs))
    shown = step("view", lambda: view([("report.json", report)]))

    def on_terminal(renderable: Any) -> None:
        Console(file=io.StringIO(), width=WIDTH).print(renderable)

    step("terminal", lambda: on_terminal(report_table(report, WIDTH)))
    step("Markdown", lambda: markdown(shown))
    step("CSV", lambda: as_csv(shown))
    text = step("HTML", lambda: html(shown))
    assert text.count('<span class="name">') == n  # no row is lost
    found["page MB"] = len(text) / 1e6
    pairs = step("compare", lambda: comparison.compare(report, report, ("A", "B")))
    bounds = [limits.parse(each) for each in ("latency.p50>5%", "size>0", "memory>0")]
    step("limits", lambda: limits.judge(bounds, [pairs], RUN_TO_RUN))
    step("its table", lambda: on_terminal(compare_table.comparison_table(pairs, RUN_TO_RUN, WIDTH)))
    found["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return found


def main() -> None:
    """Measure each size in a process of its own, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES))
    parser.add_argument("--one", type=int, help="measure this size alone, and write JSON")
    parser.add_argument("--output", type=Path, default=RESULTS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(measure(options.one)))
        return
    results, found = Results("report_scale", "Reports of many rows", "python benchmarks/report_scale.py"), {}
    for n in options.sizes:
        print(f"measuring {n:,} rows ...", file=sys.stderr, flush=True)
        command = [sys.executable, __file__, "--one", str(n)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        found[n] = json.loads(done.stdout)
    columns = [f"{n:,}" for n in found]
    lines = [f"| step | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for name in next(iter(found.values())):
        unit = "" if name.endswith("MB") else ", s"
        lines.append(f"| {name}{unit} | {' | '.join(f'{each[name]:.4g}' for each in found.values())} |")
    results.add(
        f"Processor seconds of each step, rows from seed {SEED}, and the peak of the process, which holds the report, "
        "its view and its page at once. MB: of the report's file."
    )
    results.add("\n".join(lines))
    results.write(options.output, {"rows": {str(n): each for n, each in found.items()}})


if __name__ == "__main__":
    main()
