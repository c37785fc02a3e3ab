"""The table of a bench report, for a terminal or a pipe."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dslite.records import BenchReport, Measurement, Run
from dslite.report import paper
from dslite.report.paper import PaperFigures

_DASH = "-"
_WIDE = 132
"""Characters that all columns need; a narrower terminal leaves out those that are not `essential`."""


def count(value: float | None) -> str:
    """Write a count with three or four digits and a prefix: ``2.83 G``, ``7.56 M``, ``146``."""
    if value is None:
        return _DASH
    for size, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.2f}{prefix}"
    return f"{value:.0f}"


def size(value: float | None) -> str:
    """Write bytes, decimal: ``29.9 MB``, ``146.7 kB``."""
    if value is None:
        return _DASH
    for unit_size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= unit_size:
            return f"{value / unit_size:.1f} {unit}"
    return f"{value:.0f} B"


def milliseconds(value: float | None) -> str:
    """Write seconds as milliseconds with three significant digits where they are small: ``1.33``, ``32.8``."""
    if value is None:
        return _DASH
    scaled = value * 1e3
    digits = 2 if scaled < 10 else 1 if scaled < 1000 else 0  # noqa: PLR2004 - three significant digits
    return f"{scaled:.{digits}f}"


@dataclass(frozen=True, slots=True)
class _Column:
    title: str
    ours: Callable[[Run], str]
    papers: Callable[[PaperFigures], str] = lambda _: ""
    essential: bool = True


def _find(run: Run, metric: str) -> Measurement | None:
    return next((m for m in run.measurements if m.metric == metric), None)


def _value(run: Run, metric: str) -> float | None:
    found = _find(run, metric)
    return found.value if found else None


def _statistic(run: Run, name: str) -> float | None:
    found = _find(run, "latency")
    return found.statistics.get(name) if found else None


_COLUMNS = (
    _Column("p50\nms", lambda r: milliseconds(_statistic(r, "p50"))),
    _Column("p90\nms", lambda r: milliseconds(_statistic(r, "p90"))),
    _Column("mean\nms", lambda r: milliseconds(_statistic(r, "mean")), lambda p: milliseconds(p.mean_s)),
    _Column("std\nms", lambda r: milliseconds(_statistic(r, "std")), essential=False),
    _Column("first\nms", lambda r: milliseconds(_value(r, "first_latency")), essential=False),
    _Column("init\nms", lambda r: milliseconds(_value(r, "init_time")), essential=False),
    _Column("MACs", lambda r: count(_value(r, "macs")), lambda _: ""),
    _Column("FLOPs", lambda r: count(_value(r, "flops")), lambda p: count(p.flops)),
    _Column("params", lambda r: count(_value(r, "parameters")), lambda p: count(p.params)),
    _Column("memory\nMB", lambda r: _megabytes(_value(r, "memory_delta")), lambda p: _megabytes(p.memory_bytes)),
    _Column("process\nMB", lambda r: _megabytes(_value(r, "memory_process")), essential=False),
    _Column("size", lambda r: size(_value(r, "size")), lambda p: size(p.size_bytes)),
)


def _megabytes(value: float | None) -> str:
    return _DASH if value is None else f"{value / 1e6:.1f}"


def titles(runs: Sequence[Run]) -> list[str]:
    """Name each run's row: as in the paper's table where the report is that table, else by its file."""
    rows = [paper.row_of(run) for run in runs]
    backbones = {run.artifact.backbone for run in runs} - {None}
    if len(runs) > 1 and len(backbones) == 1 and None not in rows and len(set(rows)) == len(rows):
        return [row.title for row in rows if row]
    names = [Path(run.artifact.path).name for run in runs]
    return [f"{name} on {run.target}" if names.count(name) > 1 else name for name, run in zip(names, runs, strict=True)]


def bench_table(report: BenchReport, width: int) -> Group:
    """Lay a report out: a table, the errors, and what a reader must know of the figures."""
    columns = [c for c in _COLUMNS if c.essential or width >= _WIDE]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), title_justify="left")
    table.add_column(_heading(report), no_wrap=True, overflow="ellipsis")
    for column in columns:
        table.add_column(column.title, justify="right", no_wrap=True)
    any_paper = False
    named = list(zip(titles(report.runs), report.runs, strict=True))
    for title, run in named:
        style = "red" if run.error else None
        table.add_row(escape(title), *(c.ours(run) for c in columns), style=style)
        figures = paper.figures_for(run)
        if figures:
            any_paper = True
            table.add_row("  paper", *(c.papers(figures) for c in columns), style="dim")
    lines: list[Text] = []
    lines += [Text(f"failed: {title}: {run.error}", style="red") for title, run in named if run.error]
    lines += [Text(f"note: {message}", style="yellow") for message in _flag_messages(report.runs)]
    lines += [Text(f"- {note}", style="dim") for note in _notes(report, all_columns=len(columns) == len(_COLUMNS))]
    if any_paper:
        lines += [Text(f"- {note}", style="dim") for note in paper.NOTES]
    return Group(table, *lines)


def _heading(report: BenchReport) -> str:
    names = sorted({run.artifact.backbone for run in report.runs if run.artifact.backbone})
    return escape(", ".join(names)) or "file"


def _flag_messages(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(flag.message for run in runs for flag in run.flags))


def _notes(report: BenchReport, *, all_columns: bool) -> list[str]:
    machine = report.environment
    measured = [run for run in report.runs if _find(run, "latency")]
    notes = []
    if measured:
        threads = sorted({run.plan.threads for run in measured})
        runs = sorted({len(m.samples) for run in measured if (m := _find(run, "latency"))})
        notes.append(
            f"{machine['cpu']}, {machine['cpus']} cores, {machine['system']}; "
            f"{'/'.join(map(str, threads))} thread{'s' if threads != [1] else ''} (the paper: 4), batch 1, "
            f"a fresh process each, "
            f"{runs[0] if len(runs) == 1 else f'{runs[0]} to {runs[-1]}'} timed runs after warm-up"
        )
        inputs = dict.fromkeys(run.plan.input for run in measured)
        notes.append(f"input: {'; '.join(inputs)}")
    if any(_find(run, "memory_delta") for run in report.runs):
        notes.append(
            "memory: peak above the same process with the runtime ready but no model"
            + ("; process: peak of the whole process" if all_columns else "")
            + ". MB = 10^6 bytes"
        )
    if any(_find(run, "macs") for run in report.runs):
        notes.append("MACs: multiply-accumulates of convolutions and matrix products; 1 MAC = 2 FLOPs")
    if not all_columns:
        notes.append("a terminal of 132 columns shows std, first run, initialisation and process memory as well")
    return notes
