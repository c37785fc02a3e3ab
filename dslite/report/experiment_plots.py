"""UAR of an experiment's rows against latency, and against size: PNG and SVG."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from dslite.files import written_whole
from dslite.metrics import find, value
from dslite.records import BenchReport, Run
from dslite.report.comparison import why_no_speed
from dslite.report.names import chain
from dslite.report.pareto import optimal_trials

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Of exporters; Okabe and Ito's, told apart by the colour-blind too."""
_MARKERS = "osD^vPX*<>ph"
_SIZE_TITLE, _LATENCY_TITLE = "size of the file (MB)", "median latency (ms)"
_BY_SPEED_UP = "latency (ms): the median of the file that others are compared with, divided by speed-up and its range"
_STARRED: Mapping[str, Any] = {"markeredgecolor": "black", "markeredgewidth": 1.4}
_FRONT: Mapping[str, Any] = {"color": "0.6", "linewidth": 1}
_WIDE = 8
"""Of the greatest value by the least, from which on the ticks are those of decades."""
_DPI = 150
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]")


def draw(report: BenchReport, folder: Path, split: str) -> list[Path]:
    """Draw both plots into a folder, each as PNG and SVG, whole or not at all; nothing where no row has a UAR.

    Colours are exporters, markers compressors; upright bars are confidence intervals, level ones ranges of speed-ups;
    the line joins the rows than which no
    other has both a higher UAR and less of what is on the axis. Rows that have a star in the table, which is also for
    what is not on the axis, have a black edge. Where there are several targets, each has a plot of latencies; a file
    has one size. Rows that were not timed by turns with the others are not in that of latencies; its title counts them.

    Args:
        report: of an experiment.
        folder: where the plots go.
        split: that was scored.

    Raises:
        WriteError: where the system refuses to write.
    """
    runs = [run for run in report.runs if not run.error and find(run.measurements, "uar")]
    targets = list(dict.fromkeys(run.target for run in runs))
    if not runs:
        return []
    import matplotlib as mpl

    starred = [report.runs[i] for i in optimal_trials(report.runs)]
    files = {run.artifact.path: run for run in reversed(runs)}
    plots = [("size", "", [run for run in runs if files[run.artifact.path] is run])]
    for target in targets:
        rows = [run for run in runs if run.target == target]
        plots.append(("latency", target if len(targets) > 1 else "", rows))
    made = []
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["svg.hashsalt"] = "dslite"  # the same figures, the same bytes
        for metric, target, rows in plots:
            shown = [run for run in rows if value(run, metric) is not None]
            if not shown:
                continue
            if metric == "latency":
                shown = [run for run in shown if find(run.measurements, "speed_up")] or shown
            marked = {run.artifact.path for run in starred if metric == "size" or run.target == rows[0].target}
            figure = _figure(shown, metric, target, split, marked, len(rows) - len(shown))
            for suffix, metadata in ((".png", {"Software": None}), (".svg", {"Date": None, "Creator": None})):
                path = folder / f"{_stem(metric, target)}{suffix}"
                with written_whole(path) as place:
                    figure.savefig(place, format=suffix[1:], dpi=_DPI, bbox_inches="tight", metadata=metadata)
                made.append(path)
    return made


def drawn(folder: Path, targets: Iterable[str]) -> list[Path]:
    """Give the plots that `draw` has left in a folder, of reports with some of these targets."""
    stems = [_stem("size"), *(_stem("latency", target) for target in ("", *targets))]
    paths = (folder / f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg"))
    return [path for path in paths if path.is_file()]


def _stem(metric: str, target: str = "") -> str:
    return "-".join(filter(None, ["uar", metric, _NOT_PLAIN.sub("_", target)]))


def _figure(
    runs: Sequence[Run], metric: str, target: str, split: str, starred: Collection[str], n_left_out: int
) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    reach_of, title = _latencies(runs) if metric == "latency" else (_sizes(runs), _SIZE_TITLE)
    figure = Figure(figsize=(8, 5))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    exporters = list(dict.fromkeys(run.artifact.exporter or "" for run in runs))
    compressors = list(dict.fromkeys(chain(run.artifact.compressors) for run in runs))
    points = []
    for run in runs:
        uar = find(run.measurements, "uar")
        assert uar is not None  # noqa: S101 - only such come here
        x, *reach = reach_of[run.artifact.path]
        low, high = (uar.statistics.get(end, uar.value) for end in ("low", "high"))
        points.append((x, uar.value))
        colour = _COLOURS[exporters.index(run.artifact.exporter or "") % len(_COLOURS)]
        axes.vlines(x, low, high, color=colour, linewidth=0.8, alpha=0.4, zorder=1)
        if reach[0] < reach[1]:
            axes.hlines(uar.value, *reach, color=colour, linewidth=0.8, alpha=0.4, zorder=1)
        shape = marker(compressors.index(chain(run.artifact.compressors)), colour)
        if run.artifact.path in starred:
            shape = {**shape, **_STARRED}
        axes.plot(x, uar.value, linestyle="", color=colour, **shape, zorder=3)
    _line(axes, points)
    _scale(axes, [x for run in runs for x in reach_of[run.artifact.path]])
    axes.set_xlabel(f"{title}; logarithmic", fontsize=9)
    axes.set_ylabel("UAR, with 95 % interval")
    axes.grid(visible=True, which="both", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    _legend(axes, exporters, compressors, metric, with_stars=bool(starred))
    scores = next((uar.statistics for run in runs if (uar := find(run.measurements, "uar"))), {})
    parts = [
        ", ".join(sorted({run.artifact.backbone or "" for run in runs})),
        f"{scores['n']:.0f} {split} files" if "n" in scores else "",
        f"chance {scores['chance']:.2f}" if "chance" in scores else "",
        target,
        why_no_speed(runs) if metric == "latency" else "",
        f"left out: {n_left_out} not timed by turns with these" if n_left_out else "",
    ]
    axes.set_title("; ".join(filter(None, parts)), fontsize=10)
    return figure


_Reach: TypeAlias = tuple[float, float, float]
"""Of a file on the axis: its place, and the ends of its range; of what has no range, the same."""


def _sizes(runs: Sequence[Run]) -> dict[str, _Reach]:
    return {run.artifact.path: ((value(run, "size") or 0.0) * 1e-6,) * 3 for run in runs}


def _latencies(runs: Sequence[Run]) -> tuple[dict[str, _Reach], str]:
    """Place rows of one target by their speed-up, so that picture and table agree; in the title, how.

    Where none has one, they are placed by the median of their own samples, which has the machine's pace in it.
    """
    speeds = {run.artifact.path: speed for run in runs if (speed := find(run.measurements, "speed_up"))}
    beside = [s for run in runs if (found := find(run.measurements, "reference_latency")) for s in found.samples]
    if len(speeds) < len(runs) or not beside:
        return {run.artifact.path: ((value(run, "latency") or 0.0) * 1e3,) * 3 for run in runs}, _LATENCY_TITLE
    reference_ms = median(beside) * 1e3
    placed = {}
    for path, speed in speeds.items():
        least, greatest = (speed.statistics.get(end, speed.value) for end in ("low", "high"))
        placed[path] = (reference_ms / speed.value, reference_ms / greatest, reference_ms / least)
    return placed, _BY_SPEED_UP


def _scale(axes: "Axes", values: Sequence[float]) -> None:
    """Make the axis logarithmic, with round numbers at a handful of ticks, however far its ends are apart."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    axes.set_xscale("log")
    low, high = min(values), max(values)
    room = max((high / low) ** 0.06, 1.05) if low > 0 else 1.0
    axes.set_xlim(low / room, high * room)
    is_wide = high > _WIDE * low
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if is_wide else MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())


def marker(number: int, colour: str) -> dict[str, Any]:
    """Give what tells a chain of compressors: its form; in the second round it is hollow, then its edge thicker."""
    rounds, form = divmod(number, len(_MARKERS))
    shape = {"marker": _MARKERS[form], "markersize": 13 if _MARKERS[form] == "*" else 8}  # a star looks smaller
    if not rounds:
        return {**shape, "markeredgecolor": "white", "markeredgewidth": 0.5}
    return {
        **shape,
        "markerfacecolor": "white",
        "markeredgecolor": colour,
        "markeredgewidth": 0.8 + rounds,
    }


def _line(axes: "Axes", points: Sequence[tuple[float, float]]) -> None:
    """Join the points of the Pareto front, by steps: between two of them nothing better is known than the left one."""
    highest, chosen = -1.0, []
    for x, y in sorted(points, key=lambda point: (point[0], -point[1])):
        if y > highest:
            chosen.append((x, y))
            highest = y
    axes.step([x for x, _ in chosen], [y for _, y in chosen], where="post", **_FRONT, zorder=2)


def _legend(
    axes: "Axes", exporters: Sequence[str], compressors: Sequence[str], metric: str, *, with_stars: bool
) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker="s", color=_COLOURS[i % len(_COLOURS)], label=name)
        for i, name in enumerate(exporters)
    ]
    handles += [
        Line2D([], [], linestyle="", color="0.4", label=name, **marker(i, "0.4")) for i, name in enumerate(compressors)
    ]
    handles.append(Line2D([], [], **_FRONT, label=f"highest UAR up to this {metric}"))
    if with_stars:
        circle = {**marker(0, "white"), **_STARRED, "label": "black edge: Pareto-optimal in UAR, speed and size"}
        handles.append(Line2D([], [], linestyle="", color="white", **circle))
    axes.legend(handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
