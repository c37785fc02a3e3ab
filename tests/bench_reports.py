"""Runs and reports whose figures a test chooses, and what reports are shown as."""

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from dslite.measure.bench import undescribed
from dslite.measure.figures import with_statistics
from dslite.measure.relative import bases, compared
from dslite.metrics.table import METRICS
from dslite.records import BenchReport, Device, Flag, Measurement, Part, Plan, Run
from dslite.report.comma_separated import as_csv
from dslite.report.terminal import report_table
from dslite.report.view import view

HOST = Device("host", "a processor", "Linux", "x86_64", 2, 1 << 33)
BUSY = Flag("background_load", "others were busy")
UNITS = {metric.name: metric.unit for metric in METRICS}
PACED = tuple(0.01 * pace for pace in (1.0, 1.5, 0.9, 2.0, 1.1, 1.0, 1.2))
"""Seconds of one file in seven rounds, on a machine whose pace changes."""


def bench_row(
    backbone: str,
    ms: float,
    size: float = 1e6,
    *,
    turns: Sequence[float] = (),
    beside: Sequence[float] = PACED,
    part: Part = "whole",
    target: str = "host-litert",
    flags: tuple[Flag, ...] = (),
    error: str | None = None,
    **others: float,
) -> Run:
    """Give a row of a bench.

    Args:
        backbone: that its file is named after.
        ms: median latency; its 100 samples are always spread alike about it.
        size: bytes of the file.
        turns: seconds that each round took, where the file took turns.
        beside: seconds of the file that it is compared with, in these rounds.
        part: of the system.
        target: that measured it.
        flags: of the row.
        error: why there are no figures.
        others: values of other metrics.
    """
    samples = np.random.default_rng(0).normal(ms / 1e3, ms / 2e5, 100).tolist()
    found = [with_statistics(Measurement("latency", 0.0, "s", "a clock", tuple(samples)))]
    values = {"size": size, **others}
    found += [Measurement(name, value, UNITS.get(name, "count"), "m") for name, value in values.items()]
    if turns:
        found.append(Measurement("turn_latency", 0.0, "s", "in turn", tuple(turns)))
        found.append(Measurement("reference_latency", 0.0, "s", "in turn", tuple(beside)))
    artifact = undescribed(Path(f"{backbone}-{part}-tflite-float32.tflite"), backbone, "tflite-float32", part)
    return Run(artifact, target, HOST, Plan(1), () if error else tuple(found), flags, error)


def in_turn(**factors: float) -> list[Run]:
    """Give rows of files that took turns, each so many times as slow as `PACED`."""
    return [bench_row(name, 10.0, turns=[factor * t for t in PACED]) for name, factor in factors.items()]


def with_samples(run: Run, *samples: float) -> Run:
    """Give a row whose latency has other samples, in seconds."""
    latency, *others = run.measurements
    return replace(run, measurements=(with_statistics(replace(latency, samples=samples)), *others))


def with_figures(run: Run, *figures: Measurement) -> Run:
    """Give a row with more measurements."""
    return replace(run, measurements=(*run.measurements, *figures))


def bench_report(*runs: Run, command: str = "dslite bench", dslite: str = "0.1.0", **environment: Any) -> BenchReport:
    """Give a report of rows."""
    machine = {"cpu": "a processor", "cpus": 2, "system": "Linux", "packages": {"numpy": "2.0"}, **environment}
    return BenchReport(1, "2026-01-01T00:00:00Z", dslite, "abc", command, machine, runs)


def figures_of(run: Run) -> dict[str, Measurement]:
    """Give the measurements of a row by their metrics."""
    return {m.metric: m for m in run.measurements}


# -- experiments ------------------------------------------------------------------------------------------


def trial(
    chain: Sequence[str] = (),
    exporter: str = "tflite-float32",
    *,
    uar: float = 0.8,
    seconds: float = 0.004,
    n_bytes: float = 4e6,
    sparsity: float = 0.0,
    delegated: float = 95.0,
    target: str = "host-litert",
    device: Device | None = None,
    rounds: Sequence[float] | None = None,
) -> Run:
    """Make a row of an experiment; of its five rounds each took the same, where it is not said."""
    path = Path(f"{'+'.join(chain)}-{exporter}.tflite")
    artifact = replace(undescribed(path, "small", exporter, "whole"), compressors=tuple(chain))
    found = (
        Measurement("latency", seconds, "s", "clock", (seconds,), {"p50": seconds, "p90": 2 * seconds, "n": 1.0}),
        Measurement("size", n_bytes, "bytes", "disk"),
        Measurement("uar", uar, "ratio", "m", statistics={"low": uar - 0.1, "high": uar + 0.1, "chance": 0.1}),
        Measurement("sparsity", sparsity, "ratio", "zeros"),
        Measurement("nodes", 100.0, "count", "listing"),
        Measurement("delegated_nodes", delegated, "count", "listing; LiteRT's own kernels run 30 CONV_2D"),
    )
    turns = tuple([seconds] * 5 if rounds is None else rounds)
    if turns:
        found = (*found, Measurement("turn_latency", seconds, "s", "turns", turns))
    return Run(artifact, target, device, Plan(2), found)


def beside_each_other(*trials: Run) -> list[Run]:
    """Let the file that others are compared with be timed beside each turn of theirs, as long as it is by itself."""
    found = []
    for run in trials:
        base, turns = bases(trials).get(run.target), figures_of(run).get("turn_latency")
        theirs = base and figures_of(base).get("turn_latency")
        more = (replace(turns, metric="reference_latency", samples=theirs.samples),) if turns and theirs else ()
        found.append(with_figures(run, *more))
    return found


def compared_trials(*trials: Run) -> list[Run]:
    """Compare the speed of rows of an experiment, as it does at its end."""
    return compared(beside_each_other(*trials), lambda *_: None)


# -- what is shown ----------------------------------------------------------------------------------------


def printed(renderable: Any, width: int = 200) -> str:
    """Give what a terminal of so many columns shows."""
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    return console.file.getvalue()  # type: ignore[attr-defined]


def table_of(report: BenchReport, width: int = 200, sort: str | None = None) -> str:
    """Give a report as a terminal of so many columns shows it."""
    return printed(report_table(report, width, sort), width)


def csv_of(report: BenchReport) -> list[dict[str, str]]:
    """Give the rows of a report's CSV."""
    return list(csv.DictReader(io.StringIO(as_csv(view([("a.json", report)])), newline="")))
