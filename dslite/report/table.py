"""The table of a bench report, for a terminal or a pipe."""

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dslite.measure.validity import broken
from dslite.records import DEFAULT_THREADS, HOST, BenchReport, Run
from dslite.report import paper
from dslite.report.columns import COLUMNS, GAP, find, flag_messages, not_valid, titles, too_wide, width_of
from dslite.report.compare_table import in_words
from dslite.report.pareto import optimal, told

_LEFT_OUT_FIRST = (
    *("std", "init", "first", "process", "peak", "GFLOP", "FLOPs", "p90", "params", "audio", "MACs", "±", "mean"),
)
"""In a narrow terminal whole columns go, in this order."""
_SHORTEST_NAME = 24
_MOST_NOTES = 12
_NOT_VALID = "!"
_SAME_PEAK = 1.2
_DSLITE = "dslite"
"""The runner, where conditions name none."""


def bench_table(report: BenchReport, width: int, sort: str | None = None) -> Group:
    """Lay a report out: a table, the errors, and what a reader must know of the figures.

    Args:
        report: what to show.
        width: characters a line may have; columns that do not fit are left out, and that is said.
        sort: the column that rows are ordered by; it stays.
    """
    names, (best, objectives) = titles(report.runs), optimal(report.runs)
    lines = _lines(report, names, best)
    widths = [
        max(map(width_of, (column.title, *(line.cells[index] for line in lines))))
        for index, column in enumerate(COLUMNS)
    ]
    used = [i for i, c in enumerate(COLUMNS) if not c.optional or any(c.value(run) is not None for run in report.runs)]
    columns, left_out, name_width = _fitting(lines, {index: widths[index] for index in used}, width, sort)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column(_heading(report), no_wrap=True, overflow="ellipsis", max_width=name_width)
    for index in columns:
        table.add_column(COLUMNS[index].title, justify="right", no_wrap=True, min_width=widths[index])
    for line in lines:
        table.add_row(escape(line.name), *(line.cells[index] for index in columns), style=line.style)
    named = zip(names, report.runs, strict=True)
    below = [Text(f"failed: {name}: {run.error}", style="red") for name, run in named if run.error]
    below += [Text(f"partial: {report.partial}", style="red")] if report.partial else []
    below += [Text(f"{_NOT_VALID} {text}", style="red") for text in not_valid(report.runs, names)]
    messages = flag_messages(report.runs, names)
    below += [Text(f"note: {message}", style="yellow") for message in messages[:_MOST_NOTES]]
    if len(messages) > _MOST_NOTES:
        below.append(Text(f"{len(messages) - _MOST_NOTES} notes more: a report (-o) has all, `dslite report` shows it"))
    below += [Text(text) for text in in_words(report)]
    star = told(objectives, report.runs)
    below += [Text(f"- {note}", style="dim") for note in (*notes(report), *filter(None, [star]))]
    if left_out:
        below.append(Text(f"- left out for want of width: {', '.join(left_out)}; a report (-o) has all", style="dim"))
    return Group(table, *below)


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of the table: ours, or the paper's under it."""

    name: str
    cells: tuple[str, ...]
    style: str | None


def _lines(report: BenchReport, names: Sequence[str], best: Collection[int]) -> list[_Line]:
    lines = []
    marks = [
        "*" if i in best else _NOT_VALID if broken(run) and not run.error else " " for i, run in enumerate(report.runs)
    ]
    for mark, title, run in zip(marks, names, report.runs, strict=True):
        name = f"{mark} {title}" if {*marks} != {" "} else title
        lines.append(_Line(name, tuple(c.cell(run) for c in COLUMNS), "red" if run.error else None))
        figures = paper.figures_for(run)
        if figures:
            lines.append(
                _Line("  paper", tuple(c.write(c.papers(figures)) if c.papers else "" for c in COLUMNS), "dim")
            )
    return lines


def _fitting(
    lines: Sequence[_Line], widths: Mapping[int, int], width: int, sort: str | None
) -> tuple[list[int], list[str], int]:
    """Choose the columns that fit, name those that do not, and say what is left for the names of rows."""
    named = {COLUMNS[index].name: index for index in widths}
    room = width - GAP - min(_SHORTEST_NAME, max((len(line.name) for line in lines), default=0))
    first_to_go = [name for name in _LEFT_OUT_FIRST if name.lower() != sort and name in named]
    left_out = too_wide({name: widths[index] for name, index in named.items()}, first_to_go, room)
    columns = [index for name, index in named.items() if name not in left_out]
    left_out = [name for name in named if name in left_out]
    return columns, left_out, width - GAP - sum(widths[index] + GAP for index in columns)


def _heading(report: BenchReport) -> str:
    names = sorted({run.artifact.backbone for run in report.runs if run.artifact.backbone})
    return escape(names[0]) if len(names) == 1 else "backbone" if names else "file"


def _elsewhere(runs: Sequence[Run]) -> list[str]:
    """Say what phones, or other machines, are, and under which conditions was measured there: a line for each."""
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(_conditions(run), []).append(run)
    return [
        f"{conditions}; batch 1, {_processes(group)}{_n_timed(group)}{_agreement(group)}"
        for conditions, group in alike.items()
    ]


def _agreement(runs: Sequence[Run]) -> str:
    """Say how far outputs were from this host's, after a semicolon; nothing where none was compared."""
    whole = [run for run in runs if not run.error]
    differences = [m.value for run in whole if (m := find(run, "output_difference"))]
    if not differences:
        return ""
    of = "" if len(differences) == len(whole) else f" of {len(differences)} of {len(whole)} rows"
    largest = max(differences)
    if not largest:
        return f"; outputs{of} as on this host"
    digit = 10.0 ** math.floor(math.log10(largest))
    return f"; outputs{of} as on this host within {math.ceil(largest / digit - 1e-9) * digit:.0e}"


def _about_peak(runs: Sequence[Run]) -> list[str]:
    """Say where the rates that ``peak`` is a share of differ, as on a machine that others use too."""
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    for run in runs:
        if (rate := find(run, "matmul_rate")) and find(run, "flop_rate_share"):
            rates[run.target, run.plan.threads].append(rate.value)
    return [
        f"peak: beside each row its own matrix products; they reached {min(found) / 1e9:.0f} to {max(found) / 1e9:.0f} "
        "GFLOP/s, so shares of different rows do not compare"
        for found in rates.values()
        if max(found) > _SAME_PEAK * min(found)
    ]


def _is_of_turns(run: Run) -> bool:
    return find(run, "turn_latency") is not None


def _processes(runs: Sequence[Run]) -> str:
    """Say in which processes latencies were taken."""
    if all(map(_is_of_turns, runs)):
        return "in turn with other files; first, init and memory in a fresh process each"
    return "a fresh process each"


def _n_timed(runs: Sequence[Run]) -> str:
    """Say how many runs were timed, after a comma; nothing where nobody tells."""
    found = [m for run in runs if (m := find(run, "latency"))]
    counts = sorted({round(m.statistics.get("n", 0)) for m in found} - {0})
    if not counts:
        return ""
    span = str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    warm = " after warm-up" if all(run.plan.warmup_runs or run.plan.warmup_s for run in runs) else ""
    return f", {span} timed run{'s' if counts != [1] else ''}{warm}"


def _runner(run: Run) -> str:
    """Name the program that measured."""
    return str(run.conditions.get("runner", _DSLITE))


def _conditions(run: Run) -> str:
    """Say what a device is, and under which conditions a run took place there."""
    device, conditions = run.device, run.conditions
    assert device  # noqa: S101 - what was measured has one
    cores = conditions.get("cores", ())
    pinned = f" on core{'s' if len(cores) > 1 else ''} {','.join(map(str, cores))}" if cores else ""
    threads = f"{run.plan.threads} thread{'s' if run.plan.threads != 1 else ''}{pinned}"
    kept = ["performance held at what it can sustain"] if conditions.get("fixed_performance") else []
    by = [f"by {_runner(run)}"] if _runner(run) != _DSLITE else []
    facts = [device.model, device.soc, device.os, device.abi, threads, *kept, *by]
    return f"{run.target.partition(':')[0]} {device.id}: {', '.join(filter(None, facts))}"


def notes(report: BenchReport) -> list[str]:
    """Say what the figures of a report stand for: machine, threads, inputs, how memory and MACs are counted."""
    machine = report.environment
    figures = [found for run in report.runs if (found := paper.figures_for(run))]
    measured = [run for run in report.runs if find(run, "latency")]
    here = [run for run in measured if run.device is None or run.device.id == HOST]
    lines = []
    for group in filter(None, ([r for r in here if not _is_of_turns(r)], [r for r in here if _is_of_turns(r)])):
        threads = sorted({run.plan.threads for run in group})
        lines.append(
            f"{machine.get('cpu', 'unknown processor')}, {machine.get('cpus', '?')} cores, "
            f"{machine.get('system', 'unknown system')}; "
            f"{'/'.join(map(str, threads))} thread{'s' if threads != [1] else ''}"
            f"{f' (the paper: {DEFAULT_THREADS})' if figures else ''}, batch 1, {_processes(group)}{_n_timed(group)}"
        )
    lines += _elsewhere([run for run in measured if run.device is not None and run.device.id != HOST])
    if measured:
        fed = [str(run.conditions.get("input", run.plan.input)) for run in measured]  # a target may have its own
        inputs = dict.fromkeys(text.removeprefix("pictures of ") for text in fed)
        lines.append(f"input: {'; '.join(inputs)}")
    counters = {_runner(run): None for run in report.runs if find(run, "memory_delta")}
    for counter in counters:
        how = (
            "memory: peak above the same process with the runtime ready but no model"
            if counter == _DSLITE
            else f"memory by {counter}: its own count, with the runtime in it"
        )
        lines.append(f"{how}; process: peak of the whole process. MB = 10^6 bytes")
    if any(find(run, "macs") for run in report.runs):
        lines.append("MACs: multiply-accumulates of convolutions and matrix products; 1 MAC = 2 FLOPs")
    lines += _about_peak(measured)
    if figures:
        lines.append(f"{paper.NOTE}{paper.ITS_PHONE if any(found.params for found in figures) else ''}")
    if any(found.flops for found in figures):
        lines.append(paper.NOTE_ON_FLOPS)
    return lines
