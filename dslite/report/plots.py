"""Plots of a report as inline SVG: points with their Pareto front, histograms, and series. Colours are the page's."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

WIDTH, HEIGHT = 460, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 14, 44
_LOG_FROM = 8.0
"""Greatest by least value, from which on an axis is logarithmic."""
_LABELLED = 24
"""Points, beyond which only those of the front have their names beside them; all have them as tooltips."""
_LABEL_LENGTH = 22
_LETTER_PX, _LABEL_PX = 10, 136
"""Height of letters, and width of the longest name."""
_BINS = 40
_SMALL_WIDTH, _SMALL_HEIGHT = 300, 64
_STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True, slots=True)
class Axis:
    """What is shown along one side.

    Attributes:
        title: with its unit.
        values: one a point.
        write: turns one into text.
    """

    title: str
    values: tuple[float, ...]
    write: Callable[[float], str]


def scatter(x: Axis, y: Axis, names: Sequence[str], front: set[int]) -> str:
    """Draw points, those of the front marked, joined and named.

    Args:
        x: along the lower side.
        y: along the left side.
        names: of the points.
        front: positions of those that no other is better than.
    """
    to_x, x_ticks = _scale(x.values, _LEFT, WIDTH - _RIGHT)
    to_y, y_ticks = _scale(y.values, HEIGHT - _BOTTOM, _TOP)
    parts = [
        f'<svg class="plot" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(f"{y.title} by {x.title}")}">'
    ]
    for tick in x_ticks:
        at = to_x(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
        parts.append(_words("tick", _short(x.write(tick)), at, HEIGHT - _BOTTOM + 15, "middle"))
    for tick in y_ticks:
        at = to_y(tick)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_words("tick", _short(y.write(tick)), _LEFT - 6, at + 3.5, "end"))
    middle = (_TOP + HEIGHT - _BOTTOM) / 2
    parts.append(_words("axis", x.title, (_LEFT + WIDTH) / 2, HEIGHT - 8, "middle"))
    parts.append(f'<g transform="rotate(-90 13 {middle:.0f})">{_words("axis", y.title, 13, middle, "middle")}</g>')
    on_front = sorted(front, key=lambda i: x.values[i])
    if len(on_front) > 1:
        line = " ".join(f"{to_x(x.values[i]):.1f},{to_y(y.values[i]):.1f}" for i in on_front)
        parts.append(f'<polyline class="front" points="{line}"/>')
    placed: list[tuple[float, float]] = []
    for i in [*on_front, *(i for i in range(len(names)) if i not in front)]:
        at_x, at_y = to_x(x.values[i]), to_y(y.values[i])
        told = escape(f"{names[i]}: {x.write(x.values[i])}, {y.write(y.values[i])}")
        kind = "best" if i in front else "point"
        parts.append(f'<circle class="{kind}" cx="{at_x:.1f}" cy="{at_y:.1f}" r="4.5"><title>{told}</title></circle>')
        if (i in front or len(names) <= _LABELLED) and (place := _place(at_x, at_y, names[i], placed)):
            parts.append(place)
    return "".join([*parts, "</svg>"])


def _place(x: float, y: float, name: str, placed: list[tuple[float, float]]) -> str:
    """Put a name beside its point, where no other name is; nothing where there is no room."""
    short = name if len(name) <= _LABEL_LENGTH else name[: _LABEL_LENGTH - 1] + "…"
    to_left = x > WIDTH * 0.6
    for shift in (3.5, -8, 15, -19):
        if all(abs(y + shift - y_) > _LETTER_PX or abs(x - x_) > _LABEL_PX for x_, y_ in placed):
            placed.append((x, y + shift))
            return _words("label", short, x - 8 if to_left else x + 8, y + shift, "end" if to_left else "start")
    return ""


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
