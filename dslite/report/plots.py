"""Plots by matplotlib: points with intervals and their Pareto front, on a page or in a file; small ones of series."""

import io
import itertools
import re
import warnings
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from dslite.files import written_whole
from dslite.metrics import form_of
from dslite.metrics.forms import FORMS
from dslite.records import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Look: TypeAlias = Mapping[str, Any]
"""Keywords of matplotlib's `Line2D`: how a point is drawn."""
_Floats: TypeAlias = npt.NDArray[np.float64]

WIDTH, HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 24, 14, 44
_PER_INCH = 72
"""Pixels, of plots on a page."""
_COLOURS = {
    "#0b6bcb": "accent",
    "#b3460f": "best",
    "#5b6470": "quiet",
    "#dcdfe3": "line",
    "#1d2126": "ink",
    "#ffffff": "card",
}
"""Of plots on a page, with the names that `assets/page.css` gives them there, where they follow light and dark."""
_ACCENT, _BEST, _QUIET, _LINE, _INK, _CARD = _COLOURS
_LOG_FROM = 8.0
"""Greatest by least value, from which on an axis is logarithmic, and has the ticks of decades."""
_MANY_DECADES = 300.0
"""Likewise, from which on it has no ticks within decades."""
_LABELLED = 24
"""Points, beyond which only those of the front have their names beside them, so many at most; all have tooltips."""
_LABEL_LENGTH = 24
_HEAD, _TAIL = 12, 11
"""Letters that a longer one keeps of its beginning and its end: files of one model differ in what they end with."""
_WORD = r"[^-. ]*[-. ]?"
"""Of a name, so that what all share is not cut within one."""
_LABEL_PX, _LETTER_PX = 12, 6.6
"""Height of a label, and width of its letters, on average at the most: a page has its reader's font."""
_RADIUS = 4.5
_WAYS = np.array([(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])
_DISTANCES = (8, 15, 24, 36, 50)
"""Pixels between a point and its name; from the second on, a thin line leads there."""
_LABEL: Look = {"ha": "center", "va": "center", "fontsize": 11, "color": _INK, "gid": "class:label"}
_LEADER = {"arrowstyle": "-", "color": _QUIET, "alpha": 0.6, "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0}
_BINS = 40
_SMALL_WIDTH, _SMALL_HEIGHT = 300, 64


@dataclass(frozen=True, slots=True)
class Axis:
    """What is shown along one side.

    Attributes:
        title: with its unit.
        values: one a point.
        write: turns one into text.
        tick: likewise, of the round numbers along the axis, which may be close to each other.
        reach: of each value the ends of its interval, or None; empty: none has one.
        is_log: whether it is logarithmic though values are close to each other.
    """

    title: str
    values: Sequence[float]
    write: Callable[[float], str]
    tick: Callable[[float], str]
    reach: Sequence[Sequence[float] | None] = ()
    is_log: bool = False


def axis(metric: Metric, values: Sequence[float], reach: Sequence[Sequence[float] | None] = ()) -> Axis:
    """Make the axis of a metric."""
    form = form_of(metric, metric.columns[0]) if metric.unit != "bytes" else FORMS["size"]
    return Axis(metric.axis or metric.name, values, form.write, form.tick, reach)


# -- any plot ---------------------------------------------------------------------------------------------


@contextmanager
def settings(**changes: object) -> Iterator[None]:
    """Draw as matplotlib does by itself, whatever the user has set, so that the same figures give the same bytes."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph")  # signs that its font has not are boxes
        mpl.rcdefaults()
        mpl.rcParams.update({"svg.hashsalt": "dslite", "text.parse_math": False, **changes})
        yield


def save(figure: "Figure", path: Path, form: str, **options: Any) -> None:
    """Write a figure as ``png`` or ``svg``, whole or not at all, as large as what was drawn needs.

    Raises:
        WriteError: where the system refuses to write.
    """
    version = {"Software": None} if form == "png" else {"Date": None, "Creator": None}
    with written_whole(path) as place:
        figure.savefig(place, format=form, bbox_inches="tight", metadata=version, **options)


def draw_points(
    axes: "Axes", x: Axis, y: Axis, looks: Sequence[Look], front: Collection[int], *, bar: Look, line: Look
) -> list[int]:
    """Draw points with their intervals, and a line through those of the front.

    Args:
        axes: that they are drawn on; gets scales and ticks.
        x: along the lower side.
        y: along the left side.
        looks: of the points.
        front: positions of those that no other is better than.
        bar: how intervals are drawn, in the colours of their points.
        line: how the line is drawn.

    Returns:
        Positions of the points in the order they were drawn.
    """
    _scale(axes, "x", x)
    _scale(axes, "y", y)
    alike: dict[tuple[tuple[str, Any], ...], list[int]] = defaultdict(list)
    for i, look in enumerate(looks):
        alike[tuple(look.items())].append(i)
    for key, points in alike.items():
        look = dict(key)
        across, up = [x.values[i] for i in points], [y.values[i] for i in points]
        for draw, at, along in ((axes.vlines, across, y), (axes.hlines, up, x)):
            ends = [(place, *reach) for place, i in zip(at, points, strict=True) if (reach := _reach(along, i))]
            if ends:
                draw(*zip(*ends, strict=True), color=look["color"], zorder=1, clip_on=False, **bar)
        axes.plot(across, up, linestyle="", zorder=3, clip_on=False, **look)
    corners = _corners(x, y, front)
    if len(corners) > 1:
        axes.plot(*corners.T, zorder=2, clip_on=False, **line)
    return [i for points in alike.values() for i in points]


def _reach(along: Axis, i: int) -> Sequence[float] | None:
    """Give the ends of a point's interval; None where there is none, or it is one point."""
    reach = along.reach[i] if along.reach else None
    return reach if reach and reach[0] < reach[1] else None


def _corners(x: Axis, y: Axis, front: Collection[int]) -> _Floats:
    """Give the corners of the front's line (n, 2): between two points nothing better is known than the left one."""
    points = sorted(front, key=lambda i: (x.values[i], i))
    across, up = ([along.values[i] for i in points] for along in (x, y))
    return np.stack([np.repeat(across, 2)[1:], np.repeat(up, 2)[:-1]], axis=1)


def _scale(axes: "Axes", side: Literal["x", "y"], shown: Axis) -> None:
    """Give one of the axes its title, a little room beyond the values, and round numbers at a handful of ticks."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    ends = [*shown.values, *(end for reach in shown.reach if reach for end in reach)]
    low, high = min(ends), max(ends)
    spans_much = low > 0 and high > _LOG_FROM * low
    if spans_much or (shown.is_log and low > 0):
        room = max((high / low) ** 0.08, 1.05)
        scale, limits = "log", (low / room, high * room)
    else:
        margin = (high - low) * 0.08 or abs(low) * 0.05 or 1.0
        scale, limits = "linear", (low - margin, high + margin)
    axes.set(**{f"{side}scale": scale, f"{side}lim": limits, f"{side}label": shown.title})
    within = (1, 2, 5) if high < _MANY_DECADES * low else (1,)
    along = axes.xaxis if side == "x" else axes.yaxis
    along.set_major_locator(LogLocator(subs=within) if spans_much else MaxNLocator(7, steps=[1, 2, 5, 10]))
    along.set_major_formatter(lambda value, _: shown.tick(value))
    along.set_minor_locator(NullLocator())


# -- on a page --------------------------------------------------------------------------------------------


def scatter(
    key: str, x: Axis, y: Axis, names: Sequence[str], front: Collection[int], hollow: Collection[int] = frozenset()
) -> str:
    """Draw points as inline SVG, those of the front marked, joined and named; all have tooltips.

    Args:
        key: tells the plot from the others of its page, whose ids must differ.
        x: along the lower side.
        y: along the left side.
        names: of the points; later ones are drawn over earlier ones.
        front: positions of those that no other is better than.
        hollow: positions of those that are drawn as rings.
    """
    with settings(
        **{
            "svg.hashsalt": key,
            "svg.fonttype": "none",
            "font.sans-serif": ["DejaVu Sans"],
            "axes.labelsize": 12,
            "axes.labelcolor": _INK,
        }
    ):
        from matplotlib.figure import Figure

        figure = Figure((WIDTH / _PER_INCH, HEIGHT / _PER_INCH), dpi=_PER_INCH, frameon=False)
        width, height = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
        axes = figure.add_axes((_LEFT / WIDTH, _BOTTOM / HEIGHT, width / WIDTH, height / HEIGHT), frameon=False)
        looks = [_look(is_best=i in front, is_hollow=i in hollow) for i in range(len(names))]
        bar = {"alpha": 0.45, "linewidth": 1, "gid": "class:reach"}
        line = {"color": _BEST, "linewidth": 1.5, "dashes": (4 / 1.5, 3 / 1.5), "gid": "class:front"}
        drawn = draw_points(axes, x, y, looks, front, bar=bar, line=line)
        axes.grid(color=_LINE, linewidth=1, clip_on=False)
        axes.tick_params(left=False, bottom=False, labelsize=11, labelcolor=_QUIET)
        axes.yaxis.set_label_coords((16 - _LEFT) / width, 0.5)
        _name(axes, x, y, names, front)
        text = io.StringIO()
        figure.savefig(text, format="svg")
    titles = (f"{names[i]}: {x.write(x.values[i])}, {y.write(y.values[i])}" for i in drawn)
    return _inline(text.getvalue(), f"{y.title} by {x.title}", titles)


def _look(*, is_best: bool, is_hollow: bool) -> Look:
    colour, kind = (_BEST, "best") if is_best else (_ACCENT, "point")
    look = {"color": colour, "marker": "o", "markersize": 2 * _RADIUS}
    if is_hollow:
        return {**look, "markerfacecolor": _CARD, "markeredgewidth": 1.6, "gid": f"class:{kind} hollow"}
    return {**look, "markeredgewidth": 0, "alpha": 1 if is_best else 0.75, "gid": f"class:{kind}"}


def _inline(drawing: str, label: str, titles: Iterator[str]) -> str:
    """Make a drawing of matplotlib part of a page: without style and ids that are the page's, with its colours."""
    body = drawing[drawing.index('<g id="figure_1">') :]
    body = re.sub(r' id="class:([^"]*)"', r' class="\1"', body)
    body = re.sub(r' id="(?!m[0-9a-f]{10}")[^"]*"', "", body)  # all but those of markers are nobody's
    body = re.sub("|".join(f"(?<=: ){colour}" for colour in _COLOURS), lambda m: f"var(--{_COLOURS[m[0]]})", body)
    body = re.sub(">[^<>]*<", lambda text: text[0].replace("'", "&#x27;"), body)  # it leaves quotes as they are
    body = re.sub(r"(<use [^>]*)/>", lambda use: f"{use[1]}><title>{escape(next(titles))}</title></use>", body)
    body = re.sub(r"\s*\n\s*", " ", body)
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{body}'


def shortened(names: Sequence[str]) -> list[str]:
    """Shorten names for labels: without the words at either end that all have, and long ones without their middle."""
    words = [re.findall(_WORD, name) for name in names]
    first = _n_alike(words)
    last = _n_alike([each[first:][::-1] for each in words])
    if len(names) < 2 or any(len(each) <= first + last for each in words):  # noqa: PLR2004 - one has nothing to share
        first = last = 0
    short = ["".join(each[first : len(each) - last]).strip("-_., ") for each in words]
    return [name if len(name) <= _LABEL_LENGTH else f"{name[:_HEAD]}…{name[-_TAIL:]}" for name in short]


def _n_alike(words: Sequence[Sequence[str]]) -> int:
    """Count the words that all begin with."""
    return sum(1 for _ in itertools.takewhile(lambda column: len(set(column)) == 1, zip(*words, strict=False)))


def _name(axes: "Axes", x: Axis, y: Axis, names: Sequence[str], front: Collection[int]) -> None:
    """Put names beside their points, or a little further off with a line that leads there, where nothing else is.

    One that finds no room anywhere is left out: a name on top of another is worse than a tooltip.
    """
    places = axes.transData.transform(np.column_stack([x.values, y.values]))
    corners = axes.transData.transform(_corners(x, y, front))
    line = np.hstack([np.minimum(corners[1:], corners[:-1]) - 1, np.maximum(corners[1:], corners[:-1]) + 1])
    taken = np.hstack([places - _RADIUS, places + _RADIUS])
    others = [i for i in range(len(names)) if i not in front] if len(names) <= _LABELLED else []
    waiting, short = [*sorted(front, key=lambda i: x.values[i]), *others][:_LABELLED], shortened(names)
    for distances in (_DISTANCES[:1], _DISTANCES):
        ways = np.concatenate([_WAYS * distance for distance in distances])
        for i in waiting.copy():
            half = np.array([len(short[i]) * _LETTER_PX, _LABEL_PX]) / 2
            middles = places[i] + ways + np.tile(_WAYS, (len(distances), 1)) * half
            boxes = np.hstack([middles - half, middles + half])
            is_free = (boxes >= (_LEFT, _BOTTOM, -np.inf, -np.inf)).all(1) & (boxes[:, 2:] <= (WIDTH, HEIGHT)).all(1)
            is_free &= ~_overlap(boxes, taken)
            is_best = is_free & ~_overlap(boxes, line)
            if not is_free.any():
                continue
            at = int(np.argmax(is_best if is_best.any() else is_free))
            taken = np.vstack([taken, boxes[at]])
            waiting.remove(i)
            arrow = _LEADER if at >= len(_WAYS) else None
            axes.annotate(short[i], places[i], middles[at], "figure pixels", "figure pixels", arrow, **_LABEL)


def _overlap(boxes: _Floats, others: _Floats) -> npt.NDArray[np.bool_]:
    """Tell of each box (n, 4), by its lower left and upper right corner, whether it lies on one of others (m, 4)."""
    low, high = boxes[:, None, :2], boxes[:, None, 2:]
    overlaps: npt.NDArray[np.bool_] = np.any(np.all((low < others[:, 2:]) & (high > others[:, :2]), axis=2), axis=1)
    return overlaps


# -- small plots of series --------------------------------------------------------------------------------
# Without axes, and so without matplotlib, whose figures take a hundred times as long: a page has a hundred of them.


def histogram(samples: Sequence[float], write: Callable[[float], str]) -> str:
    """Draw how often values are taken, with the median; the slowest hundredth is drawn in the last bar."""
    x = np.asarray(samples, np.float64)
    low, high = _ends(x)
    counts, _ = np.histogram(np.minimum(x, high), _BINS, (low, high))
    bar, heights = _SMALL_WIDTH / _BINS, _SMALL_HEIGHT * counts / counts.max()
    bars = "".join(
        f'<rect class="bar" x="{i * bar:.1f}" width="{bar - 0.6:.1f}" y="{_SMALL_HEIGHT - n:.1f}" height="{n:.1f}"/>'
        for i, n in enumerate(heights)
        if n
    )
    at = (float(np.median(x)) - low) / (high - low) * _SMALL_WIDTH
    median = f'<line class="median" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{_SMALL_HEIGHT}"/>'
    return _small("histogram", bars + median, write(low), "", write(high))


def series(samples: Sequence[float], write: Callable[[float], str]) -> str:
    """Draw values in their order, of long series the medians of 150 groups of neighbours, so that drift shows."""
    groups = np.array_split(np.asarray(samples, np.float64), min(len(samples), 150))
    values = np.array([np.median(group) for group in groups])
    low, high = _ends(values)
    step = _SMALL_WIDTH / max(1, len(values) - 1)
    heights = _SMALL_HEIGHT * (1 - (np.minimum(values, high) - low) / (high - low)) + 1
    points = " ".join(f"{i * step:.1f},{height:.1f}" for i, height in enumerate(heights))
    line = f'<polyline class="series" points="{points}"/>'
    return _small("series", line, "first", f"{write(low)} to {write(high)}", "last")


def _ends(values: _Floats) -> tuple[float, float]:
    """Give the least value, and one that 99 % are not above."""
    low, high = float(values.min()), float(np.percentile(values, 99))
    return low, high if high > low else low * 1.01 + 1e-12


def _small(label: str, drawn: str, *below: str) -> str:
    """Put a small plot together; below stands what is written at the left, in the middle and at the right."""
    places = zip(below, (0, _SMALL_WIDTH // 2, _SMALL_WIDTH), ("start", "middle", "end"), strict=True)
    words = "".join(
        f'<text class="tick" x="{x}" y="{_SMALL_HEIGHT + 12}" text-anchor="{anchor}">{escape(text)}</text>'
        for text, x, anchor in places
        if text
    )
    box = f"0 0 {_SMALL_WIDTH} {_SMALL_HEIGHT + 14}"
    return f'<svg class="small" viewBox="{box}" role="img" aria-label="{label}">{drawn}{words}</svg>'
