"""UAR of an experiment's rows against latency, and against size: PNG and SVG."""

import re
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, TypeAlias

from dslite.measure.relative import chain, why_no_speed
from dslite.metrics import find, value
from dslite.records import BenchReport, Run
from dslite.report.pareto import exactly, front, optimal_trials
from dslite.report.plots import Axis, Look, draw_points, save, settings

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
"""Of exporters; Okabe and Ito's, told apart by the colour-blind too."""
_MARKERS = "osD^vPX*<>ph"
_SIZE_TITLE, _LATENCY_TITLE = "size of the file (MB)", "median latency (ms)"
_BY_SPEED_UP = "latency (ms): the median of the file that others are compared with, divided by speed-up and its range"
_STARRED: Look = {"markeredgecolor": "black", "markeredgewidth": 1.4}
_FRONT: Look = {"color": "0.6", "linewidth": 1}
_DPI = 150
_NUMBER = "{:g}".format
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]")


def draw(report: BenchReport, folder: Path, split: str) -> list[Path]:
    """Draw both plots into a folder, each as PNG and SVG, whole or not at all; nothing where no row has a UAR.

    Colours are exporters, markers compressors; upright bars are confidence intervals, level ones ranges of speed-ups;
    the line joins the rows than which no other has both a higher UAR and less of what is on the axis. Rows that have a
    star in the table, which is also for what is not on the axis, have a black edge. Where there are several targets,
    each has a plot of latencies; a file has one size. Rows that were not timed by turns with the others are not in that
    of latencies; its title counts them.

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
    starred = [report.runs[i] for i in optimal_trials(report.runs)]
    files = {run.artifact.path: run for run in reversed(runs)}
    plots = [("size", "", [run for run in runs if files[run.artifact.path] is run])]
    for target in targets:
        rows = [run for run in runs if run.target == target]
        plots.append(("latency", target if len(targets) > 1 else "", rows))
    made = []
    with settings():
        for metric, target, rows in plots:
            shown = [run for run in rows if value(run, metric) is not None]
            if not shown:
                continue
            if metric == "latency":
                shown = [run for run in shown if find(run.measurements, "speed_up")] or shown
            marked = {run.artifact.path for run in starred if metric == "size" or run.target == rows[0].target}
            figure = _figure(shown, metric, target, split, marked, len(rows) - len(shown))
            for form in ("png", "svg"):
                path = folder / f"{_stem(metric, target)}.{form}"
                save(figure, path, form, dpi=_DPI)
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
) -> "Figure":
    from matplotlib.figure import Figure

    reach_of, title = _latencies(runs) if metric == "latency" else (_sizes(runs), _SIZE_TITLE)
    scores = [uar for run in runs if (uar := find(run.measurements, "uar"))]
    exporters = list(dict.fromkeys(run.artifact.exporter or "" for run in runs))
    compressors = list(dict.fromkeys(chain(run.artifact.compressors) for run in runs))
    looks = []
    for run in runs:
        colour = _colour(exporters.index(run.artifact.exporter or ""))
        shape = marker(compressors.index(chain(run.artifact.compressors)), colour)
        looks.append({"color": colour, **shape, **(_STARRED if run.artifact.path in starred else {})})
    placed = [reach_of[run.artifact.path] for run in runs]
    intervals = [(s.statistics.get("low", s.value), s.statistics.get("high", s.value)) for s in scores]
    x = Axis(
        f"{title}; logarithmic", [at for at, *_ in placed], str, _NUMBER, [ends for _, *ends in placed], is_log=True
    )
    y = Axis("UAR, with 95 % interval", [score.value for score in scores], str, _NUMBER, intervals)
    highest = front([exactly(x.values), exactly(y.values, "higher")])
    figure = Figure(figsize=(8, 5))
    axes = figure.add_subplot()
    draw_points(axes, x, y, looks, highest, bar={"linewidth": 0.8, "alpha": 0.4}, line=_FRONT)
    axes.xaxis.label.set_fontsize(9)
    axes.grid(visible=True, color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    _legend(axes, exporters, compressors, metric, with_stars=bool(starred))
    statistics = scores[0].statistics
    parts = [
        ", ".join(sorted({run.artifact.backbone or "" for run in runs})),
        f"{statistics['n']:.0f} {split} files" if "n" in statistics else "",
        f"chance {statistics['chance']:.2f}" if "chance" in statistics else "",
        target,
        why_no_speed(runs) if metric == "latency" else "",
        f"left out: {n_left_out} not timed by turns with these" if n_left_out else "",
    ]
    axes.set_title("; ".join(filter(None, parts)), fontsize=10)
    return figure


def _colour(number: int) -> str:
    return _COLOURS[number % len(_COLOURS)]


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


def marker(number: int, colour: str) -> dict[str, Any]:
    """Give what tells a chain of compressors: its form; in the second round it is hollow, then its edge thicker."""
    rounds, form = divmod(number, len(_MARKERS))
    shape = {"marker": _MARKERS[form], "markersize": 13 if _MARKERS[form] == "*" else 8}  # a star looks smaller
    if not rounds:
        return {**shape, "markeredgecolor": "white", "markeredgewidth": 0.5}
    return {**shape, "markerfacecolor": "white", "markeredgecolor": colour, "markeredgewidth": 0.8 + rounds}


def _legend(
    axes: "Axes", exporters: Sequence[str], compressors: Sequence[str], metric: str, *, with_stars: bool
) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], linestyle="", marker="s", color=_colour(i), label=name) for i, name in enumerate(exporters)
    ]
    handles += [
        Line2D([], [], linestyle="", color="0.4", label=name, **marker(i, "0.4")) for i, name in enumerate(compressors)
    ]
    handles.append(Line2D([], [], **_FRONT, label=f"highest UAR up to this {metric}"))
    if with_stars:
        circle = {**marker(0, "white"), **_STARRED, "label": "black edge: Pareto-optimal in UAR, speed and size"}
        handles.append(Line2D([], [], linestyle="", color="white", **circle))
    axes.legend(handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
