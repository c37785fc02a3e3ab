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
    _Column("std\nms", lambda r: milliseconds(_spread(r))),
    _Column("first\nms", lambda r: milliseconds(_value(r, "first_latency"))),
    _Column("init\nms", lambda r: milliseconds(_value(r, "init_time"))),
    _Column("MACs", lambda r: count(_value(r, "macs"))),
    _Column("FLOPs", lambda r: count(_value(r, "flops")), lambda p: count(p.flops)),
    _Column("params", lambda r: count(_value(r, "parameters")), lambda p: count(p.params)),
    _Column("memory\nMB", lambda r: _megabytes(_value(r, "memory_delta")), lambda p: _megabytes(p.memory_bytes)),
    _Column("process\nMB", lambda r: _megabytes(_value(r, "memory_process"))),
    _Column("size", lambda r: size(_value(r, "size")), lambda p: size(p.size_bytes)),
)
_LEFT_OUT_FIRST = ("std", "init", "first", "process", "p90", "FLOPs", "params", "MACs", "mean")
"""In a narrow terminal whole columns go, in this order: no figure is ever cut."""
_GAP = 3  # rich puts a blank on either side of a cell and one between columns
_SHORTEST_NAME = 24


def _spread(run: Run) -> float | None:
    return _statistic(run, "std") if (_statistic(run, "n") or 0) > 1 else None


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
    """Lay a report out: a table, the errors, and what a reader must know of the figures.

    Args:
        report: what to show.
        width: characters a line may have; columns that do not fit are left out, and that is said.
    """
    lines = _lines(report)
    widths = [
        max(map(_width, (column.title, *(line.cells[index] for line in lines))))
        for index, column in enumerate(_COLUMNS)
    ]
    columns, left_out, name_width = _fitting(lines, widths, width)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(_heading(report), no_wrap=True, overflow="ellipsis", max_width=name_width)
    for index in columns:
        table.add_column(_COLUMNS[index].title, justify="right", no_wrap=True, min_width=widths[index])
    for line in lines:
        table.add_row(escape(line.name), *(line.cells[index] for index in columns), style=line.style)
    named = zip(titles(report.runs), report.runs, strict=True)
    below = [Text(f"failed: {title}: {run.error}", style="red") for title, run in named if run.error]
    below += [Text(f"note: {message}", style="yellow") for message in _flag_messages(report.runs)]
    below += [Text(f"- {note}", style="dim") for note in _notes(report)]
    if left_out:
        below.append(Text(f"- left out for want of width: {', '.join(left_out)}; a report (-o) has all", style="dim"))
    return Group(table, *below)


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the table: ours, or the paper's under it."""

    name: str
    cells: tuple[str, ...]
    style: str | None


def _lines(report: BenchReport) -> list[_Line]:
    lines = []
    for title, run in zip(titles(report.runs), report.runs, strict=True):
        lines.append(_Line(title, tuple(c.ours(run) for c in _COLUMNS), "red" if run.error else None))
        figures = paper.figures_for(run)
        if figures:
            lines.append(_Line("  paper", tuple(c.papers(figures) for c in _COLUMNS), "dim"))
    return lines


def _width(cell: str) -> int:
    return max(map(len, cell.splitlines()), default=0)


def _fitting(lines: Sequence[_Line], widths: Sequence[int], width: int) -> tuple[list[int], list[str], int]:
    """Choose the columns that fit, name those that do not, and say what is left for the names of rows."""
    names = [column.title.splitlines()[0] for column in _COLUMNS]
    needs = [_GAP + cells for cells in widths]
    left_out: list[str] = []
    room = width - _GAP - min(_SHORTEST_NAME, max((len(line.name) for line in lines), default=0))
    for name in _LEFT_OUT_FIRST:
        if sum(needs) <= room:
            break
        left_out.append(name)
        needs[names.index(name)] = 0
    return [index for index, name in enumerate(names) if name not in left_out], left_out, width - _GAP - sum(needs)


def _heading(report: BenchReport) -> str:
    names = sorted({run.artifact.backbone for run in report.runs if run.artifact.backbone})
    return escape(", ".join(names)) or "file"


def _flag_messages(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(flag.message for run in runs for flag in run.flags))


def _notes(report: BenchReport) -> list[str]:
    machine = report.environment
    figures = [found for run in report.runs if (found := paper.figures_for(run))]
    measured = [run for run in report.runs if _find(run, "latency")]
    notes = []
    if measured:
        threads = sorted({run.plan.threads for run in measured})
        runs = sorted({len(m.samples) for run in measured if (m := _find(run, "latency"))})
        notes.append(
            f"{machine['cpu']}, {machine['cpus']} cores, {machine['system']}; "
            f"{'/'.join(map(str, threads))} thread{'s' if threads != [1] else ''}"
            f"{f' (the paper: {paper.THREADS})' if figures else ''}, batch 1, a fresh process each, "
            f"{runs[0] if len(runs) == 1 else f'{runs[0]} to {runs[-1]}'} timed run{'s' if runs != [1] else ''} "
            "after warm-up"
        )
        inputs = dict.fromkeys(run.plan.input.removeprefix("pictures of ") for run in measured)
        notes.append(f"input: {'; '.join(inputs)}")
    if any(_find(run, "memory_delta") for run in report.runs):
        notes.append(
            "memory: peak above the same process with the runtime ready but no model; "
            "process: peak of the whole process. MB = 10^6 bytes"
        )
    if any(_find(run, "macs") for run in report.runs):
        notes.append("MACs: multiply-accumulates of convolutions and matrix products; 1 MAC = 2 FLOPs")
    if figures:
        notes.append(paper.NOTE)
    if any(found.flops for found in figures):
        notes.append(paper.NOTE_ON_FLOPS)
    return notes
