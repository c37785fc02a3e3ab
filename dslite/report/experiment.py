"""What compression costs and gains: the rows of an experiment, as a table, CSV and Markdown.

A report of an experiment is that of a bench (`dslite.report.document`) with more figures a run: ``uar``, ``gzip_size``,
``sparsity`` and, against the uncompressed float32 file, ``uar_difference`` and ``speed_up``.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dslite.learn.metrics import Difference
from dslite.records import BenchReport, Flag, Measurement, Run
from dslite.report.columns import count, find, milliseconds, size, value

_AS_FAST = 0.1
"""Speeds within this share of each other are called the same: on a busy machine a repetition differs by as much."""
_AS_SMALL = 0.01
_SPARSE = 0.1
_FRONT_END_NODES = 12
"""LiteRT's own kernels run up to so many operators of any whole file: those of the front end, and around it."""


def name(run: Run) -> str:
    """Name a row: compressors and exporter."""
    return f"{'+'.join(run.artifact.compressors) or 'none'}, {run.artifact.exporter}"


def with_comparison(run: Run, base: Run, base_there: Run | None, difference: Difference | None) -> Run:
    """Add to a run what it is against the uncompressed float32 file.

    Args:
        run: of a row.
        base: of the uncompressed float32 file.
        base_there: of the uncompressed file that the speed is compared with, on the same target.
        difference: in UAR; None for the base itself.
    """
    found = list(run.measurements)
    if difference:
        low, high = difference.interval or (difference.difference, difference.difference)
        method = (
            f"UAR minus that of {name(base)} on the same {difference.n} files; low and high: 95 % interval of "
            f"{difference.n_resamples} bootstrap resamples of files, the same for both (paired)"
        )
        statistics = {"low": low, "high": high, "n": float(difference.n)}
        found.append(Measurement("uar_difference", difference.difference, "ratio", method, statistics=statistics))
    ours, theirs = value(run, "latency"), base_there and value(base_there, "latency")
    if base_there and ours and theirs:
        method = f"median latency of {name(base_there)} by that of this file, both on {run.target}, one after the other"
        found.append(Measurement("speed_up", theirs / ours, "ratio", method))
    return replace(run, measurements=tuple(found))


# -- truth --------------------------------------------------------------------------------------------


def with_flags(runs: Sequence[Run]) -> list[Run]:
    """Add what a reader must know of a row: zeros that are not faster, a file that became slower, half a delegate."""
    plain = {(run.artifact.exporter, run.target): run for run in runs if not run.artifact.compressors}
    return [
        replace(run, flags=(*run.flags, *_flags(run, plain.get((run.artifact.exporter, run.target))))) for run in runs
    ]


def _flags(run: Run, plain: Run | None) -> list[Flag]:
    found = []
    speed_up, sparsity = value(run, "speed_up"), value(run, "sparsity")
    if speed_up is not None and speed_up < 1 - _AS_FAST:
        found.append(Flag("slower", f"{name(run)}: slower than float32, {1 / speed_up:.2f} times its latency"))
    ours, theirs = value(run, "latency"), plain and value(plain, "latency")
    if sparsity is not None and sparsity >= _SPARSE and ours and theirs and theirs / ours < 1 + _AS_FAST:
        kernels = f"{run.target} computes with zeros as with any weight"
        found.append(
            Flag(
                "zeros_not_faster",
                f"{name(run)}: {sparsity:.0%} of its weights are zero, and it is no faster: {kernels}",
            )
        )
    nodes, delegated = find(run, "nodes"), find(run, "delegated_nodes")
    if nodes and delegated and nodes.value - delegated.value > _FRONT_END_NODES:
        found.append(
            Flag(
                "partly_delegated",
                f"{name(run)}: XNNPACK takes {delegated.value:.0f} of {nodes.value:.0f} nodes; "
                f"{delegated.method.partition('; ')[2]}",
            )
        )
    return found


# -- columns ------------------------------------------------------------------------------------------

Cells = Callable[[Run], str]


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title: its heading; the unit, if it has one, on a second line.
        cell: of a run, as text.
    """

    title: str
    cell: Cells


def _uar(run: Run) -> str:
    return _with_ends(find(run, "uar"), "{:.3f}")


def _difference(run: Run) -> str:
    return _with_ends(find(run, "uar_difference"), "{:+.3f}")


def _with_ends(found: Measurement | None, form: str) -> str:
    if found is None:
        return "-"
    low, high = (form.format(found.statistics[end]) for end in ("low", "high"))
    return f"{form.format(found.value)} ({low} to {high})"


def _latency(statistic: str) -> Cells:
    def cell(run: Run) -> str:
        found = find(run, "latency")
        return milliseconds(found.statistics.get(statistic) if found else None)

    return cell


def _figure(metric: str, form: Callable[[float | None], str]) -> Cells:
    return lambda run: form(value(run, metric))


def _times(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}x"


def _percent(number: float | None) -> str:
    return "-" if number is None else f"{number:.0%}"


def _delegated(run: Run) -> str:
    nodes, delegated = value(run, "nodes"), value(run, "delegated_nodes")
    return "-" if nodes is None or delegated is None else f"{delegated:.0f}/{nodes:.0f}"


COLUMNS = (
    Column("UAR (95 % CI)", _uar),
    Column("against float32 (95 % CI)", _difference),
    Column("size", _figure("size", size)),
    Column("gzip", _figure("gzip_size", size)),
    Column("p50\nms", _latency("p50")),
    Column("p90\nms", _latency("p90")),
    Column("speed-up", _figure("speed_up", _times)),
    Column("memory", _figure("memory_delta", size)),
    Column("MACs", _figure("macs", count)),
    Column("params", _figure("parameters", count)),
    Column("zeros", _figure("sparsity", _percent)),
    Column("XNNPACK\nnodes", _delegated),
)
_LEFT_OUT_FIRST = ("p90", "params", "MACs", "memory", "XNNPACK", "zeros", "gzip")
_GAP = 3


@dataclass(frozen=True, slots=True)
class _Point:
    """What a row is judged by."""

    uar: float
    latency: float
    size: float

    def beats(self, other: "_Point") -> bool:
        """Tell whether it is as good in all, and better in something; latency and size have a tolerance."""
        if (
            self.uar < other.uar
            or self.latency > other.latency * (1 + _AS_FAST)
            or self.size > other.size * (1 + _AS_SMALL)
        ):
            return False
        faster = self.latency * (1 + _AS_FAST) < other.latency
        return self.uar > other.uar or faster or self.size * (1 + _AS_SMALL) < other.size


def best(runs: Sequence[Run]) -> set[int]:
    """Find the Pareto-optimal rows: those that no other one of the same target beats in UAR, latency and size."""
    points: dict[int, _Point] = {}
    for i, run in enumerate(runs):
        uar, latency, n_bytes = (value(run, metric) for metric in ("uar", "latency", "size"))
        if not run.error and uar is not None and latency is not None and n_bytes is not None:
            points[i] = _Point(uar, latency, n_bytes)
    rivals = {i: [points[j] for j in points if runs[j].target == runs[i].target] for i in points}
    return {i for i, point in points.items() if not any(rival.beats(point) for rival in rivals[i])}


# -- table, CSV, Markdown -----------------------------------------------------------------------------


def experiment_table(report: BenchReport, width: int) -> Group:
    """Lay a report out for a terminal: columns that do not fit are left out, and that is said."""
    cells = [[column.cell(run) for column in COLUMNS] for run in report.runs]
    widths = [
        max(len(line) for text in (column.title, *(row[i] for row in cells)) for line in text.splitlines())
        for i, column in enumerate(COLUMNS)
    ]
    names = _marked(report.runs)
    left_out: list[str] = []
    for title in _LEFT_OUT_FIRST:
        shown = [w + _GAP for w, column in zip(widths, COLUMNS, strict=True) if _short(column) not in left_out]
        if sum(shown) + max(map(len, names), default=0) + _GAP <= width:
            break
        left_out.append(title)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("compressor, exporter", overflow="fold")
    chosen = [i for i, column in enumerate(COLUMNS) if _short(column) not in left_out]
    for i in chosen:
        table.add_column(COLUMNS[i].title, justify="right", no_wrap=True)
    for title, row, run in zip(names, cells, report.runs, strict=True):
        table.add_row(escape(title), *(row[i] for i in chosen), style="red" if run.error else None)
    below = [Text(f"failed: {name(run)}: {run.error}", style="red") for run in report.runs if run.error]
    below += [Text(f"note: {message}", style="yellow") for message in _messages(report.runs)]
    below += [Text(f"- {note}", style="dim") for note in notes(report)]
    if left_out:
        below.append(Text(f"- left out for want of width: {', '.join(left_out)}; the folder has all", style="dim"))
    return Group(table, *below)


def markdown(report: BenchReport) -> str:
    """Write a report as Markdown, with the command that gives it again."""
    titles = ["compressor, exporter", *(" ".join(column.title.split("\n")) for column in COLUMNS)]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for title, run in zip(_marked(report.runs), report.runs, strict=True):
        lines.append(f"| {' | '.join([title, *(column.cell(run) for column in COLUMNS)])} |")
    lines += ["", *(f"- failed: {name(run)}: {run.error}" for run in report.runs if run.error)]
    lines += [f"- {message}" for message in (*_messages(report.runs), *notes(report))]
    return "\n".join([*lines, "", f"    {report.command}", ""])


_METRICS = {
    "uar": ("uar", "value"),
    "uar_low": ("uar", "low"),
    "uar_high": ("uar", "high"),
    "uar_difference": ("uar_difference", "value"),
    "uar_difference_low": ("uar_difference", "low"),
    "uar_difference_high": ("uar_difference", "high"),
    "size_bytes": ("size", "value"),
    "gzip_size_bytes": ("gzip_size", "value"),
    "sparsity": ("sparsity", "value"),
    "parameters": ("parameters", "value"),
    "macs": ("macs", "value"),
    "latency_p50_s": ("latency", "p50"),
    "latency_p90_s": ("latency", "p90"),
    "speed_up": ("speed_up", "value"),
    "memory_delta_bytes": ("memory_delta", "value"),
    "nodes": ("nodes", "value"),
    "delegated_nodes": ("delegated_nodes", "value"),
}


def as_csv(report: BenchReport) -> str:
    """Write a report as CSV (RFC 4180): SI units, a column a figure, empty where there is none."""
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["compressors", "exporter", "target", "file", *_METRICS, "pareto", "error"])
    optimal = best(report.runs)
    for i, run in enumerate(report.runs):
        found: Mapping[str, Measurement] = {m.metric: m for m in reversed(run.measurements)}
        figures = [_cell(found.get(metric), part) for metric, part in _METRICS.values()]
        names = ["+".join(run.artifact.compressors) or "none", run.artifact.exporter, run.target, run.artifact.path]
        table.writerow([*names, *figures, "yes" if i in optimal else "no", run.error or ""])
    return text.getvalue()


def _cell(found: Measurement | None, part: str) -> str:
    if found is None:
        return ""
    number = found.value if part == "value" else found.statistics.get(part)
    return "" if number is None else f"{number:.10g}"


def _short(column: Column) -> str:
    return column.title.splitlines()[0]


def _marked(runs: Sequence[Run]) -> list[str]:
    optimal = best(runs)
    several = len({run.target for run in runs}) > 1
    return [
        f"{'*' if i in optimal else ' '} {name(run)}{f', {run.target}' if several else ''}"
        for i, run in enumerate(runs)
    ]


def _messages(runs: Sequence[Run]) -> list[str]:
    return list(dict.fromkeys(flag.message for run in runs for flag in run.flags))


def notes(report: BenchReport) -> list[str]:
    """Say how the figures are made; a sentence each."""
    found = []
    uar, difference = (
        next((m for run in report.runs if (m := find(run, metric))), None) for metric in ("uar", "uar_difference")
    )
    if uar:
        found.append(f"UAR: {uar.method}; chance {uar.statistics.get('chance', 0):.3f}")
    if difference:
        found.append(f"against float32: {difference.method}; an interval with 0 in it shows no difference")
    measured = [run for run in report.runs if find(run, "latency")]
    if measured:
        machine, threads = report.environment, sorted({run.plan.threads for run in measured})
        found.append(
            f"latency: {machine['cpu']}, {machine['cpus']} cores, {machine['system']}; {'/'.join(map(str, threads))} "
            f"thread{'s' if threads != [1] else ''}, batch 1, a fresh process each, front end "
            "included; speed-up: of the median"
        )
        found.append("memory: peak above the same process with the runtime ready but no model; MB = 10^6 bytes")
    if any(find(run, "sparsity") for run in report.runs):
        found.append(
            "zeros: share of the weights in kernels; gzip: the file compressed, which is where zeros and shared values "
            "count"
        )
    if best(report.runs):
        found.append(
            f"* Pareto-optimal: no other row is as good in UAR, p50 and size, and better in one of them; p50 within "
            f"{_AS_FAST:.0%} and sizes within {_AS_SMALL:.0%} count as equal"
        )
    return found
