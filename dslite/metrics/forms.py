"""How figures are written: a function a form, of a value in SI units."""

import math
from collections.abc import Callable
from dataclasses import dataclass

DASH = "-"
"""Stands for a figure that there is not."""


def count(value: float | None) -> str:
    """Write a count with three or four digits and a prefix: ``2.83 G``, ``7.56 M``, ``146``."""
    if value is None:
        return DASH
    for scale, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= scale:
            return f"{value / scale:.2f}{prefix}"
    return f"{value:.0f}"


def size(value: float | None) -> str:
    """Write bytes, decimal: ``29.9 MB``, ``146.7 kB``."""
    if value is None:
        return DASH
    for scale, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= scale:
            return f"{value / scale:.1f} {unit}"
    return f"{value:.0f} B"


def milliseconds(value: float | None) -> str:
    """Write seconds as milliseconds with three significant digits where they are small: ``0.00123``, ``32.8``."""
    if value is None:
        return DASH
    scaled = value * 1e3
    if 0 < abs(scaled) < 1:
        return f"{scaled:.{2 - math.floor(math.log10(abs(scaled)))}f}"
    digits = 2 if scaled < 10 else 1 if scaled < 1000 else 0  # noqa: PLR2004 - three significant digits
    return f"{scaled:.{digits}f}"


def _percent(value: float) -> str:
    return f"{value * 100:.1f}" if value < 0.1 else f"{value * 100:.0f}"  # noqa: PLR2004 - two significant digits


def _factor(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004 - three significant digits


@dataclass(frozen=True, slots=True)
class Form:
    """How values of one kind are written.

    Attributes:
        write: gives one as text.
        tick: likewise, of round numbers along an axis, which may be close to each other.
        unit: that values are written in, where a heading has to say it.
    """

    write: Callable[[float], str]
    tick: Callable[[float], str]
    unit: str = ""


FORMS = {
    "count": Form(count, count),
    "size": Form(size, size),
    "milliseconds": Form(milliseconds, lambda v: f"{v * 1e3:.4g}", "ms"),
    "megabytes": Form(lambda v: f"{v / 1e6:.1f}", lambda v: f"{v / 1e6:.4g}", "MB"),
    "percent": Form(_percent, lambda v: f"{v * 100:.4g}", "%"),
    "whole_percent": Form(lambda v: f"{v:.0%}", lambda v: f"{v:.4%}"),
    "factor": Form(_factor, lambda v: f"{v:.4g}"),
    "times": Form(lambda v: f"{v:.2f}x", lambda v: f"{v:.4g}"),
    "giga": Form(lambda v: f"{v / 1e9:.1f}", lambda v: f"{v / 1e9:.4g}"),
    "one_decimal": Form(lambda v: f"{v:.1f}", lambda v: f"{v:.4g}"),
    "share": Form(lambda v: f"{v:.3f}", lambda v: f"{v:.3g}"),
    "signed_share": Form(lambda v: f"{v:+.3f}", lambda v: f"{v:+.3g}"),
    "plain": Form(lambda v: f"{v:.4g}", lambda v: f"{v:.4g}"),
}
OF_UNITS = {"s": "milliseconds", "bytes": "size", "count": "count"}
"""Of units, where a column does not say; of all others, ``plain``."""
