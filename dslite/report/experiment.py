"""What compression costs and gains: the rows of an experiment, as a table, CSV and Markdown.

A report of an experiment is that of a bench (`dslite.report.document`) with more figures a run: ``uar``, ``gzip_size``,
``sparsity`` and what `dslite.report.comparison` adds.
"""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dslite.records import BenchReport, Measurement, Run
from dslite.report import columns
from dslite.report.columns import DASH, GAP, Column, chain, find, metric, size, too_wide, value, width_of
from dslite.report.comparison import SAME_SPEED, bases, name, took_turns
from dslite.report.pareto import Objective, front

OBJECTIVES = (Objective("uar", higher=True), Objective("latency", SAME_SPEED), Objective("size", 0.01))
"""What rows are judged by."""


@dataclass(frozen=True, slots=True)
class Words:
    """A column of more than one number.

    Attributes:
        title: its heading; the unit, if it has one, on a second line.
        cell: writes what a run has here.
    """

    title: str
    cell: Callable[[Run], str]

    @property
    def name(self) -> str:
        """Give the heading without its unit."""
        return self.title.splitlines()[0]


def _with_interval(name_of: str, form: str) -> Callable[[Run], str]:
    def cell(run: Run) -> str:
        found = find(run, name_of)
        if found is None:
            return DASH
        text = form.format(found.value)
        ends = [form.format(found.statistics[end]) for end in ("low", "high") if end in found.statistics]
        return f"{text} ({' to '.join(ends)})" if ends else text  # a score of one file has no interval

    return cell


def _times(number: float | None) -> str:
    return DASH if number is None else f"{number:.2f}x"


def _percent(number: float | None) -> str:
    return DASH if number is None else f"{number:.0%}"


def _delegated(run: Run) -> str:
    nodes, delegated = value(run, "nodes"), value(run, "delegated_nodes")
    return DASH if nodes is None or delegated is None else f"{delegated:.0f}/{nodes:.0f}"


_OF_BENCH = {column.name: column for column in columns.COLUMNS}
COLUMNS: tuple[Column | Words, ...] = (
    Words("UAR (95 % CI)", _with_interval("uar", "{:.3f}")),
    Words("against float32 (95 % CI)", _with_interval("uar_difference", "{:+.3f}")),
    _OF_BENCH["size"],
    Column("gzip", metric("gzip_size"), size),
    _OF_BENCH["p50"],
    _OF_BENCH["p90"],
    Column("speed-up", metric("speed_up"), _times),
    _OF_BENCH["memory"],
    _OF_BENCH["MACs"],
    _OF_BENCH["params"],
    Column("zeros", metric("sparsity"), _percent),
    Words("XNNPACK\nnodes", _delegated),
)
_UAR_ALONE = Column("UAR", metric("uar"), lambda number: DASH if number is None else f"{number:.3f}")
"""What comes for the first column where its interval does not fit."""
_LEFT_OUT_FIRST = ("p90", "params", "MACs", "memory", "XNNPACK", "zeros", "gzip", "speed-up", "p50", "size")
_SHORTEST_NAME = 24


def best(runs: Sequence[Run]) -> set[int]:
    """Find the Pareto-optimal rows: no other of the same target is as good in all of `OBJECTIVES` and better in one."""
    points: dict[int, list[float]] = {}
    for i, run in enumerate(runs):
        found = [v for objective in OBJECTIVES if (v := value(run, objective.metric)) is not None]
        if not run.error and len(found) == len(OBJECTIVES):
            points[i] = found
    return front(points, OBJECTIVES, lambda i: runs[i].target)


# -- table, CSV, Markdown -----------------------------------------------------------------------------


def experiment_table(report: BenchReport, width: int) -> Group:
    """Lay a report out for a terminal: columns that do not fit are left out, and that is said."""
    names = _marked(report.runs, "*")
    chosen, left_out = _fitting(report.runs, width - GAP - min(_SHORTEST_NAME, max(map(len, names), default=0)))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("compressor, exporter", overflow="fold")
    for column in chosen:
        table.add_column(column.title, justify="right", no_wrap=True)
    for title, run in zip(names, report.runs, strict=True):
        table.add_row(escape(title), *(column.cell(run) for column in chosen), style="red" if run.error else None)
    below = [Text(f"failed: {told}", style="red") for told in _failures(report.runs)]
    below += [Text(f"note: {message}", style="yellow") for message in _truths(report.runs)]
    below += [Text(f"- {note}", style="dim") for note in notes(report)]
    if left_out:
        below.append(Text(f"- left out for want of width: {', '.join(left_out)}; the folder has all", style="dim"))
    return Group(table, *below)


def _fitting(runs: Sequence[Run], room: int) -> tuple[list[Column | Words], list[str]]:
    """Choose the columns for so many characters, and name those that are left out.

    Rather than what a row costs in UAR, all else goes.
    """
    last = _LEFT_OUT_FIRST.index("speed-up")
    for able, first_to_go in (
        (COLUMNS, _LEFT_OUT_FIRST[:last]),
        ((_UAR_ALONE, *COLUMNS[1:]), _LEFT_OUT_FIRST),
    ):
        widths = {c.name: max(map(width_of, (c.title, *(c.cell(run) for run in runs)))) for c in able}
        left_out = too_wide(widths, first_to_go, room)
        chosen = [column for column in able if column.name not in left_out]
        if sum(widths[column.name] + GAP for column in chosen) <= room:
            break
    interval = [] if able is COLUMNS else ["interval of the UAR"]
    return chosen, [*interval, *left_out]


def markdown(report: BenchReport) -> str:
    """Write a report as Markdown, with the command that gives it again."""
    titles = ["compressor, exporter", *(" ".join(column.title.split("\n")) for column in COLUMNS)]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for title, run in zip(_marked(report.runs, "`*`"), report.runs, strict=True):
        lines.append(f"| {' | '.join([title, *(column.cell(run) for column in COLUMNS)])} |")
    lines += ["", *(f"- failed: {told}" for told in _failures(report.runs))]
    lines += [f"- {message}" for message in (*_truths(report.runs), *notes(report, "`*`"))]
    return "\n".join([*lines, "", "```sh", report.command, "```", ""])


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
        names = [chain(run.artifact.compressors), run.artifact.exporter, run.target, run.artifact.path]
        table.writerow([*names, *figures, "yes" if i in optimal else "no", run.error or ""])
    return text.getvalue()


def _cell(found: Measurement | None, part: str) -> str:
    if found is None:
        return ""
    number = found.value if part == "value" else found.statistics.get(part)
    return "" if number is None else f"{number:.10g}"


def _marked(runs: Sequence[Run], mark: str) -> list[str]:
    optimal = best(runs)
    return [f"{mark if i in optimal else ' ' * len(mark)} {name(run, runs)}" for i, run in enumerate(runs)]


def _failures(runs: Sequence[Run]) -> list[str]:
    return [f"{name(run, runs)}: {run.error}" for run in runs if run.error]


def _zeros(run: Run) -> str:
    return f"{_percent(value(run, 'sparsity'))} zeros"


_FIGURES: Mapping[str, Callable[[Run], str]] = {
    "slower": lambda run: f"speed-up {_times(value(run, 'speed_up'))}",
    "zeros_unproven": _zeros,
    "zeros_not_faster": _zeros,
    "partly_delegated": _delegated,
}
"""What a flag says of one row alone."""


def _truths(runs: Sequence[Run]) -> list[str]:
    """Give what a reader must know of the rows.

    Of what is true of many, one is told in words; the others are named with their figures.
    """
    rows: dict[str, dict[str, Run]] = {}
    for run in runs:
        for flag in run.flags:
            rows.setdefault(flag.code, {}).setdefault(flag.message, run)
    found: list[str] = []
    for code, messages in rows.items():
        first, *others = messages
        if len(others) < 2 or code not in _FIGURES:  # noqa: PLR2004 - two are told as they are
            found += messages
        else:
            named = (f"{name(messages[other], runs)} ({_FIGURES[code](messages[other])})" for other in others)
            found.append(f"{first}; likewise {'; '.join(named)}")
    return found


def notes(report: BenchReport, mark: str = "*") -> list[str]:
    """Say how the figures are made; a sentence each."""
    found = []
    of_target = " of the same target" if len({run.target for run in report.runs}) > 1 else ""
    uar, difference = (
        next((m for run in report.runs if (m := find(run, metric))), None) for metric in ("uar", "uar_difference")
    )
    if uar:
        found.append(f"UAR: {uar.method}; chance {uar.statistics.get('chance', 0):.3f}")
    if difference:
        found.append(
            f"against float32: {difference.method}; an interval with 0 in it shows no difference, and the loss may be "
            "as large as its lower end"
        )
    if difference and any(run.artifact.compressors for run in report.runs):
        found.append(
            "what looks like a gain may be chance among many rows, or of learning longer: compressors fine-tune for "
            "epochs that float32 has not had; quote the row you choose with its UAR on a split you did not choose it by"
        )
    measured = [run for run in report.runs if find(run, "latency")]
    if measured:
        threads = sorted({run.plan.threads for run in measured})
        how = "rounds in which every file has its turn in a fresh process"
        if not all(map(took_turns, measured)):
            how = "a fresh process each, some at other times than others, when the machine may have had another pace"
        found.append(
            f"latency: {'; '.join(_machines(report, measured))}; {'/'.join(map(str, threads))} "
            f"thread{'s' if threads != [1] else ''}, batch 1, {how}, front end included"
        )
        named = dict.fromkeys(name(base) for base in bases(measured).values())
        if named:
            found.append(f"speed-up: of the median, against {' or '.join(named)}{of_target}")
        found.append("memory: peak above the same process with the runtime ready but no model; MB = 10^6 bytes")
    if any(find(run, "sparsity") for run in report.runs):
        found.append(
            "zeros: share of the weights in kernels; gzip: the file compressed, which is where zeros and shared values "
            "count"
        )
    if any(run.artifact.compressors for run in report.runs):
        found.append(
            "params: of the Keras model; of none with its batch normalisation, which compressors fold into kernels"
        )
    if best(report.runs):
        _, latency, file_size = OBJECTIVES
        found.append(
            f"{mark} Pareto-optimal: no other row{of_target} is as good in UAR, p50 and size, and better in one of "
            f"them; p50 within {latency.tolerance:.0%} and sizes within {file_size.tolerance:.0%} count as equal"
        )
    return found


def _machines(report: BenchReport, runs: Sequence[Run]) -> list[str]:
    """Describe what the runs were measured on, with the targets where there are several machines."""
    here = report.environment
    of_target = {}
    for run in runs:
        device = run.device
        of_target[run.target] = (
            f"{device.model}, {device.cpus} cores, {device.os}"
            if device
            else f"{here['cpu']}, {here['cpus']} cores, {here['system']}"
        )
    machines = dict.fromkeys(of_target.values())
    if len(machines) == 1:
        return list(machines)
    return [f"{', '.join(t for t in of_target if of_target[t] == machine)} on {machine}" for machine in machines]
