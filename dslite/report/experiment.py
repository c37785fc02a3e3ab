"""What compression costs and gains: the rows of an experiment, as a table, CSV and Markdown.

A report of an experiment is that of a bench (`dslite.report.document`) with more figures a run: ``uar``, ``gzip_size``,
``sparsity`` and what `dslite.report.comparison` adds.
"""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dslite.measure import series
from dslite.measure.validity import BY_TURNS, is_rule
from dslite.records import BenchReport, Flag, Measurement, Run
from dslite.report import columns
from dslite.report.columns import (
    DASH,
    GAP,
    Column,
    chain,
    find,
    flag_messages,
    metric,
    not_valid,
    size,
    too_wide,
    value,
    width_of,
)
from dslite.report.comparison import (
    ENOUGH_TURNS,
    SAME_SPEED,
    failed_by_turns,
    is_faster,
    is_of_reference,
    is_timed_enough,
    name,
    why_no_speed,
)
from dslite.report.pareto import Objective, front

_SCORE, _SIZE = Objective("uar", higher=True), Objective("size", 0.01)
"""What rows are judged by, with `is_faster`."""


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


_ALIKE = "all alike"


def _with_interval(name_of: str, form: str) -> Callable[[Run], str]:
    def cell(run: Run) -> str:
        found = find(run, name_of)
        if found is None:
            return DASH
        text, statistics = form.format(found.value), found.statistics
        if statistics.get("n_changed") == 0:
            return f"{text} ({_ALIKE})"
        if "low" not in statistics:  # of one file
            return text
        ends = (form.format(statistics[end]) for end in ("low", "high"))
        return f"{text} ({DASH if name_of == 'uar' and _is_point(found) else ' to '.join(ends)})"

    return cell


def _times(number: float | None) -> str:
    return DASH if number is None else f"{number:.2f}x"


def speed_up(run: Run) -> str:
    """Write how many times faster than the float32 file a row is, with the least and the greatest ratio."""
    found = find(run, "speed_up")
    if found is None or "low" not in found.statistics:
        return _times(value(run, "speed_up"))
    return f"{_times(found.value)} ({found.statistics['low']:.2f} to {found.statistics['high']:.2f})"


def _percent(number: float | None) -> str:
    return DASH if number is None else f"{number:.0%}"


def _delegated(run: Run) -> str:
    nodes, delegated = value(run, "nodes"), value(run, "delegated_nodes")
    return DASH if nodes is None or delegated is None else f"{delegated:.0f}/{nodes:.0f}"


_SCORED, _RANGED = "UAR (95 % CI)", "speed-up (range)"
_OF_BENCH = {column.name: column for column in columns.COLUMNS}
COLUMNS: tuple[Column | Words, ...] = (
    Words(_SCORED, _with_interval("uar", "{:.3f}")),
    Words("against float32 (95 % CI)", _with_interval("uar_difference", "{:+.3f}")),
    _OF_BENCH["size"],
    Column("gzip", metric("gzip_size"), size),
    _OF_BENCH["p50"],
    _OF_BENCH["p90"],
    Words(_RANGED, speed_up),
    _OF_BENCH["memory"],
    _OF_BENCH["MACs"],
    _OF_BENCH["params"],
    Column("zeros", metric("sparsity"), _percent),
    Words("XNNPACK\nnodes", _delegated),
)
_ALONE = {
    _RANGED: Column("speed-up", metric("speed_up"), _times),
    _SCORED: Column("UAR", metric("uar"), lambda number: DASH if number is None else f"{number:.3f}"),
}
"""What comes for a column, the first one first, where its intervals do not fit."""
_LEFT_OUT_FIRST = ("p90", "params", "MACs", "memory", "XNNPACK", "zeros", "gzip", "p50", "size", "speed-up")
_SHORTEST_NAME = 14
_BUSY = 0.5
"""Of the cores, as a load average before the first run, from which on figures of speed are doubtful."""


def _judged(runs: Sequence[Run]) -> dict[int, Run]:
    """Give the rows that can be Pareto-optimal, or not: those with UAR, speed-up and size.

    On a target where some took too few turns to tell speeds apart, or none yet, there are no such rows.
    """
    silent = {run.target for run in runs if _is_not_timed_yet(run) or _is_timed_too_little(run)}
    return {
        i: run
        for i, run in enumerate(runs)
        if not run.error
        and run.target not in silent
        and all(find(run, metric) for metric in ("uar", "speed_up", "size"))
    }


def _is_not_timed_yet(run: Run) -> bool:
    return not run.error and not failed_by_turns(run) and bool(find(run, "uar")) and not find(run, "turn_latency")


def _is_timed_too_little(run: Run) -> bool:
    return not run.error and bool(find(run, "speed_up")) and not is_timed_enough(run)


def best(runs: Sequence[Run]) -> set[int]:
    """Find the Pareto-optimal rows among those of `_judged`.

    No other of the same target is as good in UAR, speed and size, and better in one of them.
    """
    able, found = _judged(runs), set[int]()
    for target in {run.target for run in able.values()}:
        rivals = {i: run for i, run in able.items() if run.target == target}
        found |= front(rivals, [_SCORE.beats, is_faster, _SIZE.beats])
    return found


# -- table, CSV, Markdown -----------------------------------------------------------------------------


def experiment_table(report: BenchReport, width: int) -> Group:
    """Lay a report out for a terminal: columns that do not fit are left out, and that is said."""
    names, optimal = [name(run, report.runs) for run in report.runs], best(report.runs)
    room = width - 2 * GAP - min(_SHORTEST_NAME, max(map(len, names), default=0))
    chosen, left_out = _fitting(report.runs, room)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("")
    table.add_column("compressor, exporter", overflow="fold")
    taken = sum(_width(column, report.runs) + GAP for column in chosen)
    for column in chosen:
        table.add_column(column.title, justify="right", no_wrap=True)
    for i, (title, run) in enumerate(zip(names, report.runs, strict=True)):
        cells = (column.cell(run) for column in chosen)
        table.add_row(
            "*" if i in optimal else "",
            escape(_folded(title, width - 2 * GAP - taken)),
            *cells,
            style="red" if run.error else None,
        )
    below = [Text(f"failed: {told}", style="red") for told in _failures(report.runs)]
    below += [Text(f"partial: {report.partial}", style="red")] if report.partial else []
    below += [Text(f"! {told}", style="red") for told in not_valid(report.runs, names)]
    below += [Text(f"note: {message}", style="yellow") for message in _truths(report.runs)]
    below += [Text(f"- {note}", style="dim") for note in notes(report)]
    if left_out:
        below.append(Text(f"- left out for want of width: {', '.join(left_out)}; the folder has all", style="dim"))
    return Group(table, *below)


def _width(column: Column | Words, runs: Sequence[Run]) -> int:
    return max(map(width_of, (column.title, *(column.cell(run) for run in runs))))


def _folded(title: str, width: int) -> str:
    """Break a row's name behind commas, colons and pluses, where it is longer than that."""
    lines = [""]
    for piece in re.findall(r"[^,+:]*[,+:]? *", title):
        if lines[-1] and len((lines[-1] + piece).rstrip()) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _fitting(runs: Sequence[Run], room: int) -> tuple[list[Column | Words], list[str]]:
    """Choose the columns for so many characters, and name those that are left out.

    Rather than what a row costs in UAR, all else goes; rather than its size and speed, the interval of its UAR.
    """
    able, without, last = list(COLUMNS), list[str](), _LEFT_OUT_FIRST.index("p50")
    for title, alone in (("", None), *_ALONE.items()):
        if alone:
            able = [alone if column.title == title else column for column in able]
            without.append(f"intervals of {alone.name}")
        widths = {c.name: _width(c, runs) for c in able}
        left_out = too_wide(widths, _LEFT_OUT_FIRST[: last if len(without) < len(_ALONE) else None], room)
        chosen = [column for column in able if column.name not in left_out]
        if sum(widths[column.name] + GAP for column in chosen) <= room:
            break
    return chosen, [*without, *left_out]


def markdown(report: BenchReport) -> str:
    """Write a report as Markdown, with the command that gives it again."""
    titles = ["compressor, exporter", *(" ".join(column.title.split("\n")) for column in COLUMNS)]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    optimal = best(report.runs)
    for i, run in enumerate(report.runs):
        title = f"{'`*` ' if i in optimal else ''}{name(run, report.runs)}"
        lines.append(f"| {' | '.join([title, *(column.cell(run) for column in COLUMNS)])} |")
    lines += ["", *(f"- failed: {told}" for told in _failures(report.runs))]
    lines += [f"- partial: {report.partial}"] if report.partial else []
    lines += [f"- {told}" for told in not_valid(report.runs, [name(run, report.runs) for run in report.runs])]
    lines += [f"- {message}" for message in (*_truths(report.runs), *notes(report, "`*`"))]
    return "\n".join([*lines, "", "```sh", report.command, "```", ""])


_METRICS = {
    "uar": ("uar", "value"),
    "uar_low": ("uar", "low"),
    "uar_high": ("uar", "high"),
    "uar_difference": ("uar_difference", "value"),
    "uar_difference_low": ("uar_difference", "low"),
    "uar_difference_high": ("uar_difference", "high"),
    "changed_decisions": ("uar_difference", "n_changed"),
    "size_bytes": ("size", "value"),
    "gzip_size_bytes": ("gzip_size", "value"),
    "sparsity": ("sparsity", "value"),
    "parameters": ("parameters", "value"),
    "macs": ("macs", "value"),
    "latency_p50_s": ("latency", "p50"),
    "latency_p90_s": ("latency", "p90"),
    "speed_up": ("speed_up", "value"),
    "speed_up_low": ("speed_up", "low"),
    "speed_up_high": ("speed_up", "high"),
    "memory_delta_bytes": ("memory_delta", "value"),
    "nodes": ("nodes", "value"),
    "delegated_nodes": ("delegated_nodes", "value"),
}


def as_csv(report: BenchReport) -> str:
    """Write a report as CSV (RFC 4180): SI units, a column a figure, empty where there is none.

    ``pareto`` is yes or no, and empty where a row could not be judged.
    """
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(["compressors", "exporter", "target", "file", *_METRICS, "pareto", "error"])
    able, optimal = _judged(report.runs), best(report.runs)
    for i, run in enumerate(report.runs):
        found: Mapping[str, Measurement] = {m.metric: m for m in reversed(run.measurements)}
        figures = [_cell(found.get(metric), part) for metric, part in _METRICS.values()]
        names = [chain(run.artifact.compressors), run.artifact.exporter, run.target, run.artifact.path]
        pareto = "" if i not in able else "yes" if i in optimal else "no"
        table.writerow([*names, *figures, pareto, run.error or ""])
    return text.getvalue()


def _cell(found: Measurement | None, part: str) -> str:
    if found is None:
        return ""
    number = found.value if part == "value" else found.statistics.get(part)
    return "" if number is None else f"{number:.10g}"


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
    of_timing: list[Run] = []
    for run in runs:
        of_timing.append(replace(run, flags=tuple(filter(_is_of_timing, run.flags))))
        for flag in (flag for flag in run.flags if not _is_of_timing(flag)):
            rows.setdefault(flag.code, {}).setdefault(flag.message, run)
    found: list[str] = []
    for code, messages in rows.items():
        first, *others = messages
        if len(others) < 2 or code not in _FIGURES:  # noqa: PLR2004 - two are told as they are
            found += messages
        else:
            named = (f"{name(messages[other], runs)} ({_FIGURES[code](messages[other])})" for other in others)
            found.append(f"{first}; likewise {'; '.join(named)}")
    return [*found, *flag_messages(of_timing, [name(run, runs) for run in runs])]


def _is_of_timing(flag: Flag) -> bool:
    """Tell whether a flag is of any bench, about time and machine, with no name of a row in it."""
    return is_rule(flag) or flag.code.removesuffix(BY_TURNS) in {*series.CODES, "slow_first"}


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
            f"as large as its lower end; {_ALIKE}: all decisions, on these {difference.statistics['n']:.0f} files; "
            "others may tell them apart"
        )
    if any(uar and _is_point(uar) for run in report.runs if (uar := find(run, "uar"))):
        found.append(
            f"({DASH}) for an interval: every class is recognised always or never, of which resamples cannot tell how "
            "sure it is: score more files"
        )
    if difference and any(run.artifact.compressors for run in report.runs):
        found.append(
            "what looks like a gain may be chance among many rows, or of learning longer: compressors fine-tune for "
            "epochs that float32 has not had; quote the row you choose with its UAR on a split you did not choose it by"
        )
    measured = [run for run in report.runs if find(run, "latency")]
    if measured:
        threads = sorted({run.plan.threads for run in measured})
        found.append(
            f"latency: {'; '.join(_machines(report, measured))}; {'/'.join(map(str, threads))} "
            f"thread{'s' if threads != [1] else ''}, batch 1, in fresh processes, front end included"
        )
        found.append(_about_speed(measured))
        found += _busy(report)
        found.append("memory: peak above the same process with the runtime ready but no model; MB = 10^6 bytes")
    calibrated = sorted({n for run in report.runs if (n := run.artifact.n_calibration) is not None})
    if calibrated:
        found.append(
            f"calibration, of exporters that need it: {' or '.join(map(str, calibrated))} chunks with sound in them, "
            "from the files that compressors learn from"
        )
    if any(find(run, "sparsity") for run in report.runs):
        found.append(
            "zeros: share of the weights in kernels; gzip: the file compressed, which is where zeros and shared values "
            "count"
        )
    if any(run.artifact.compressors for run in report.runs):
        found.append(
            "params: of the Keras model; compressors fold batch normalisation, where there is any, into kernels"
        )
    found += _about_marks(report, mark, of_target)
    return found


def _about_marks(report: BenchReport, mark: str, of_target: str) -> list[str]:
    """Say which rows are marked, or why none is though speeds are known."""
    if best(report.runs):
        told = (
            f"{mark} Pareto-optimal: no other row{of_target} is as good in UAR, speed-up and size, and better in one "
            f"of them; speed-ups within {SAME_SPEED:.0%}, or whose ranges touch, and sizes within "
            f"{_SIZE.tolerance:.0%} count as equal; measured again, a row at the edge may get its mark or lose it"
        )
        return [told]
    if not any(find(run, "speed_up") for run in report.runs):
        return []  # it was told why not
    if any(map(_is_not_timed_yet, report.runs)):
        return ["Pareto-optimal rows: not told, as some were not timed by turns yet"]
    if any(map(_is_timed_too_little, report.runs)):
        return [f"Pareto-optimal rows: not told, it takes {ENOUGH_TURNS} rounds (--rounds) to tell speeds apart"]
    return []


def _about_speed(measured: Sequence[Run]) -> str:
    """Say what speed-ups are, or why there are none."""
    if why := why_no_speed(measured):
        return (
            f"speed-up, Pareto-optimal rows: not told, as {why}; p50 of rows that were measured at different times "
            "cannot be compared"
        )
    timed = [speed for run in measured if (speed := find(run, "speed_up"))]
    methods = dict.fromkeys(speed.method for speed in timed if not is_of_reference(speed))
    methods = methods or dict.fromkeys(speed.method for speed in timed)  # of the one that others would be compared with
    dash = ""
    if len(timed) < len(measured):
        dash = f"; {DASH}: not timed by turns with these, and p50 is of when it was measured first"
    return (
        f"speed-up: {'; '.join(methods)}{dash}; p50 and p90 are of a file's own turns, and have the "
        "machine's pace of these in them: rows are compared by their speed-up"
    )


def _is_point(score: Measurement) -> bool:
    """Tell whether a score's interval is one point, as where resamples have nothing to vary."""
    return "low" in score.statistics and score.statistics["low"] == score.statistics["high"]


def _busy(report: BenchReport) -> list[str]:
    """Warn of a machine that had other things to do when the experiment began."""
    load, cores = (report.environment.get(fact) for fact in ("load_average_1min", "cpus"))
    if not load or not cores or load <= _BUSY * cores:
        return []
    return [f"dslite's machine was busy when this began, or just before: a load average of {load:g} on {cores} cores"]


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
