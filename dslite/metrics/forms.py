"""How figures are written: a function a form, of a value in SI units."""

import math
from collections.abc import Callable
from dataclasses import dataclass

DASH = "-"
"""Stands for a figure that there is not."""
_TICK = ".8g"
"""Digits of ticks: round numbers, which may be close to each other, and not what floats leave behind them."""


def _scaled(value: float) -> tuple[float, str]:
    """Divide a value by the largest of 10^3, 10^6 and 10^9 that is in it, and give the prefix of that."""
    for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= scale:
            return value / scale, prefix
    return value, ""


def count(value: float | None) -> str:
    """Write a count with three or four digits and a prefix: ``2.83 G``, ``7.56 M``, ``146``."""
    if value is None:
        return DASH
    scaled, prefix = _scaled(value)
    return f"{scaled:.2f} {prefix}" if prefix else f"{value:.0f}"


def size(value: float | None) -> str:
    """Write bytes, decimal: ``29.9 MB``, ``146.7 kB``."""
    if value is None:
        return DASH
    scaled, prefix = _scaled(value)
    return f"{scaled:.{1 if prefix else 0}f} {prefix}B"


def _exact_count(value: float) -> str:
    scaled, prefix = _scaled(value)
    return f"{scaled:{_TICK}} {prefix}".rstrip()


def _exact_size(value: float) -> str:
    scaled, prefix = _scaled(value)
    return f"{scaled:{_TICK}} {prefix}B"


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
    "count": Form(count, _exact_count),
    "size": Form(size, _exact_size),
    "milliseconds": Form(milliseconds, lambda v: f"{v * 1e3:{_TICK}}", "ms"),
    "megabytes": Form(lambda v: f"{v / 1e6:.1f}", lambda v: f"{v / 1e6:{_TICK}}", "MB"),
    "percent": Form(_percent, lambda v: f"{v * 100:{_TICK}}", "%"),
    "whole_percent": Form(lambda v: f"{v:.0%}", lambda v: f"{v * 100:{_TICK}}%"),
    "factor": Form(_factor, lambda v: f"{v:{_TICK}}"),
    "times": Form(lambda v: f"{v:.2f}x", lambda v: f"{v:{_TICK}}"),
    "giga": Form(lambda v: f"{v / 1e9:.1f}", lambda v: f"{v / 1e9:{_TICK}}"),
    "one_decimal": Form(lambda v: f"{v:.1f}", lambda v: f"{v:{_TICK}}"),
    "share": Form(lambda v: f"{v:.3f}", lambda v: f"{v:{_TICK}}"),
    "signed_share": Form(lambda v: f"{v:+.3f}", lambda v: f"{v:+{_TICK}}"),
    "plain": Form(lambda v: f"{v:.4g}", lambda v: f"{v:{_TICK}}"),
}
OF_UNITS = {"s": "milliseconds", "bytes": "size", "count": "count"}
"""Of units, where a column does not say; of all others, ``plain``."""
