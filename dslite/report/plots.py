"""Plots of a report as inline SVG: points with their Pareto front, histograms, and series. Colours are the page's."""

import itertools
import math
import re
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

import numpy as np

from dslite.metrics import form_of
from dslite.metrics.forms import FORMS
from dslite.records import Metric

WIDTH, HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 44
_LOG_FROM = 8.0
"""Greatest by least value, from which on an axis is logarithmic."""
_LABELLED = 24
"""Points, beyond which only those of the front have their names beside them, so many at most; all have tooltips."""
_LABEL_LENGTH = 24
_HEAD, _TAIL = 12, 11
"""Letters that a longer one keeps of its beginning and its end: files of one model differ in what they end with."""
_WORD = r"[^-. ]*[-. ]?"
"""Of a name, so that what all share is not cut within one."""
_LINE_PX, _LETTER_PX = 12, 6.6
"""Height of a line of a label, and width of its letters, on average at the most."""
_RADIUS = 4.5
_NEAR, _FAR = (8.0,), (8.0, 15.0, 24.0, 36.0, 50.0)
"""Pixels between a point and its name; from the second distance on, a thin line leads there."""
_WAYS = ((1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1))
_BINS = 40
_SMALL_WIDTH, _SMALL_HEIGHT = 300, 64
_STEPS = (1, 2, 5, 10)


@dataclass(frozen=True, slots=True)
class Axis:
    """What is shown along one side.

    Attributes:
        title: with its unit.
        values: one a point.
        write: turns one into text.
        tick: likewise, of the round numbers along the axis, which may be close to each other.
        reach: of each value the ends of its interval, or None; empty: none has one.
    """

    title: str
    values: tuple[float, ...]
    write: Callable[[float], str]
    tick: Callable[[float], str]
    reach: tuple[tuple[float, float] | None, ...] = ()


def axis(metric: Metric, values: Sequence[float], reach: Sequence[tuple[float, float] | None] = ()) -> Axis:
    """Make the axis of a metric."""
    form = form_of(metric, metric.columns[0]) if metric.unit != "bytes" else FORMS["size"]
    return Axis(metric.axis or metric.name, tuple(values), form.write, form.tick, tuple(reach))


_Box: TypeAlias = tuple[float, float, float, float]
"""Left, top, right and bottom, in pixels."""


def scatter(
    x: Axis, y: Axis, names: Sequence[str], front: AbstractSet[int], hollow: AbstractSet[int] = frozenset()
) -> str:
    """Draw points, those of the front marked, joined and named.

    The front is drawn in steps: between two of its points nothing better is known than the left one.

    Args:
        x: along the lower side.
        y: along the left side.
        names: of the points.
        front: positions of those that no other is better than.
        hollow: positions of those that are drawn as rings.
    """
    to_x, x_ticks = _scale(x.values, _LEFT, WIDTH - _RIGHT)
    ends = [end for reach in y.reach if reach for end in reach]
    to_y, y_ticks = _scale([*y.values, *ends], HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{y.title} by {x.title}")}">'
    ]
    for tick in x_ticks:
        at = to_x(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(_words("tick", _short(x.tick(tick)), at, HEIGHT - _BOTTOM + 15, "middle"))
    for tick in y_ticks:
        at = to_y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_words("tick", _short(y.tick(tick)), _LEFT - 6, at + 3.5, "end"))
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(_words("axis", x.title, (_LEFT + WIDTH) / 2, HEIGHT - 8, "middle"))
    parts.append(f'<g transform="rotate(-90 13 {middle:.0f})">{_words("axis", y.title, 13, middle, "middle")}</g>')
    places = [(to_x(across), to_y(up)) for across, up in zip(x.values, y.values, strict=True)]
    on_front = sorted(front, key=lambda i: (x.values[i], i))
    steps = _steps([places[i] for i in on_front])
    if steps:
        line = " ".join(f"{at_x:.1f},{at_y:.1f}" for at_x, at_y in steps)
        parts.append(f'<polyline class="front" points="{line}"/>')
    others = [i for i in range(len(names)) if i not in front]
    named = [*on_front, *(others if len(names) <= _LABELLED else [])][:_LABELLED]
    for i, reach in enumerate(y.reach):
        if reach:
            at_x, low, high = places[i][0], to_y(reach[0]), to_y(reach[1])
            parts.append(f'<line class="reach" x1="{at_x:.1f}" x2="{at_x:.1f}" y1="{low:.1f}" y2="{high:.1f}"/>')
    short = shortened(names)
    parts += _labels(places, {i: short[i] for i in named}, steps)
    for i in [*others, *on_front]:
        told = escape(f"{names[i]}: {x.write(x.values[i])}, {y.write(y.values[i])}")
        kind = ("best" if i in front else "point") + (" hollow" if i in hollow else "")
        at_x, at_y = places[i]
        parts.append(
            f'<circle class="{kind}" cx="{at_x:.1f}" cy="{at_y:.1f}" r="{_RADIUS}"><title>{told}</title></circle>'
        )
    return "".join([*parts, "</svg>"])


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


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Give the corners of a line in steps, first to the right, then up or down; nothing for one point."""
    corners = list(points[:1])
    for (_, before), (x, y) in itertools.pairwise(points):
        corners += [(x, before), (x, y)]
    return corners if len(points) > 1 else []


def _labels(
    places: Sequence[tuple[float, float]], names: Mapping[int, str], steps: Sequence[tuple[float, float]]
) -> list[str]:
    """Put names beside their points, or a little further off with a line that leads there, where nothing else is.

    One that finds no room anywhere is left out: a name on top of another is worse than a tooltip.
    """
    points = [(x - _RADIUS, y - _RADIUS, x + _RADIUS, y + _RADIUS) for x, y in places]
    line = [_around(*one, *other) for one, other in itertools.pairwise(steps)]
    taken: list[_Box] = []
    parts = []
    waiting = dict(names)
    for distances in (_NEAR, _FAR):
        for i, name in list(waiting.items()):
            width, others = len(name) * _LETTER_PX, [*taken, *points]
            found = _free(places[i], width, distances, [*others, *line]) or _free(places[i], width, distances, others)
            if found:
                box, is_near = found
                taken.append(box)
                parts += [] if is_near else [_leader(places[i], box)]
                parts.append(_words("label", name, (box[0] + box[2]) / 2, box[3] - 3, "middle"))
                del waiting[i]
    return parts


def _free(
    point: tuple[float, float], width: float, distances: Sequence[float], taken: Sequence[_Box]
) -> tuple[_Box, bool] | None:
    """Find a box for a label around a point that overlaps nothing, and tell whether it is as near as can be."""
    x, y = point
    for distance, (right, down) in itertools.product(distances, _WAYS):
        middle = x + right * (distance + width / 2)
        line = y + down * (distance + _LINE_PX / 2)
        box = (middle - width / 2, line - _LINE_PX / 2, middle + width / 2, line + _LINE_PX / 2)
        inside = box[0] >= _LEFT and box[2] <= WIDTH and box[1] >= 0 and box[3] <= HEIGHT - _BOTTOM
        if inside and not any(_overlap(box, other) for other in taken):
            return box, distance == distances[0]
    return None


def _leader(point: tuple[float, float], box: _Box) -> str:
    """Draw a line from a point to the nearest place of its label."""
    x, y = point
    to_x, to_y = min(max(x, box[0]), box[2]), min(max(y, box[1] + 2), box[3] - 2)
    return f'<line class="leader" x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"/>'


def _around(x: float, y: float, other_x: float, other_y: float) -> _Box:
    return min(x, other_x) - 1, min(y, other_y) - 1, max(x, other_x) + 1, max(y, other_y) + 1


def _overlap(one: _Box, other: _Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def histogram(samples: Sequence[float], write: Callable[[float], str]) -> str:
    """Draw how often values are taken, with the median; the slowest hundredth is drawn in the last bar."""
    x = np.asarray(samples, np.float64)
    low, high = float(x.min()), float(np.percentile(x, 99))
    if high <= low:
        high = low * 1.01 + 1e-12
    counts, _ = np.histogram(np.minimum(x, high), _BINS, (low, high))
    bar, most = _SMALL_WIDTH / _BINS, counts.max()
    bars = "".join(
        f'<rect class="bar" x="{i * bar:.1f}" width="{bar - 0.6:.1f}" y="{_SMALL_HEIGHT * (1 - n / most):.1f}" '
        f'height="{_SMALL_HEIGHT * n / most:.1f}"/>'
        for i, n in enumerate(counts)
        if n
    )
    at = (float(np.median(x)) - low) / (high - low) * _SMALL_WIDTH
    return (
        f'<svg class="small" viewBox="0 0 {_SMALL_WIDTH} {_SMALL_HEIGHT + 14}" role="img" aria-label="histogram">'
        f'{bars}<line class="median" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{_SMALL_HEIGHT}"/>'
        f"{_under(write(low), '', write(high))}</svg>"
    )


def series(samples: Sequence[float], write: Callable[[float], str]) -> str:
    """Draw values in their order, of long series the medians of 150 groups of neighbours, so that drift shows."""
    groups = np.array_split(np.asarray(samples, np.float64), min(len(samples), 150))
    values = np.array([np.median(group) for group in groups])
    low, high = float(values.min()), float(np.percentile(values, 99))
    if high <= low:
        high = low * 1.01 + 1e-12
    step = _SMALL_WIDTH / max(1, len(values) - 1)
    heights = _SMALL_HEIGHT * (1 - (np.minimum(values, high) - low) / (high - low)) + 1
    points = " ".join(f"{i * step:.1f},{height:.1f}" for i, height in enumerate(heights))
    return (
        f'<svg class="small" viewBox="0 0 {_SMALL_WIDTH} {_SMALL_HEIGHT + 14}" role="img" aria-label="series">'
        f'<polyline class="series" points="{points}"/>'
        f"{_under('first', f'{write(low)} to {write(high)}', 'last')}</svg>"
    )


def _words(kind: str, text: str, x: float, y: float, anchor: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _short(text: str) -> str:
    """Write a tick without noughts behind the point: it is a round number."""
    number, blank, unit = text.partition(" ")
    return (number.rstrip("0").rstrip(".") if "." in number else number) + blank + unit


def _under(left: str, middle: str, right: str) -> str:
    """Write what stands under a small plot."""
    places = ((left, 0, "start"), (middle, _SMALL_WIDTH / 2, "middle"), (right, _SMALL_WIDTH, "end"))
    return "".join(_words("tick", text, x, _SMALL_HEIGHT + 12, anchor) for text, x, anchor in places if text)


def _scale(values: Sequence[float], begin: float, end: float) -> tuple[Callable[[float], float], list[float]]:
    """Give where values lie between two ends, and ticks; logarithmic where they span much."""
    low, high = min(values), max(values)
    is_log = low > 0 and high / low > _LOG_FROM
    if is_log:
        first, last = math.log10(low), math.log10(high)
    else:
        first, last = low, high
    margin = (last - first) * 0.08 or abs(first) * 0.05 or 1.0
    first, last = first - margin, last + margin

    def at(value: float) -> float:
        shown = math.log10(value) if is_log else value
        return begin + (shown - first) / (last - first) * (end - begin)

    if is_log:
        ticks = [m * 10.0**e for e in range(math.floor(first), math.ceil(last) + 1) for m in (1, 2, 5)]
        inside = [tick for tick in ticks if first <= math.log10(tick) <= last]
        return at, inside if len(inside) <= 7 else [tick for tick in inside if f"{tick:e}"[0] == "1"] or inside[::2]  # noqa: PLR2004
    rough = (last - first) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in _STEPS if s * power >= rough)
    begins = math.ceil(first / step)
    return at, [i * step for i in range(begins, math.floor(last / step) + 1)]
