"""What a build may not do: ``latency.p50>5%``, ``size>0``, ``uar<-0.02``, judged on pairs of cases."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dslite.errors import SpecError
from dslite.records import Run
from dslite.report.columns import find, milliseconds, size
from dslite.report.pairing import Pair

EXAMPLES = "latency.p50>5%, size>0, memory>1MB, uar<-0.02"
_FORM = re.compile(r"\s*([a-z_]+)(?:\.([a-z0-9]+))?\s*([<>])\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(%|[a-zA-Z]*)\s*")
_SHORT = {"memory": "memory_delta", "process": "memory_process", "params": "parameters", "first": "first_latency"}
_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_UNITS_OF = {"s": ("s", "ms", "us"), "bytes": ("B", "kB", "MB", "GB")}


@dataclass(frozen=True, slots=True)
class Limit:
    """How far a figure may change.

    Attributes:
        text: as it was typed.
        metric: of a measurement.
        statistic: of its series, such as ``p90``; empty: its value.
        above: whether it must not rise by more, or else not change to less.
        bound: of the change: after minus before, in the unit of the metric; or a share of that before.
        unit: that the bound was typed with; ``%``: it is a share.
    """

    text: str
    metric: str
    statistic: str
    above: bool
    bound: float
    unit: str


def parse(text: str) -> Limit:
    """Read a limit.

    Raises:
        SpecError: where it is none.
    """
    match = _FORM.fullmatch(text)
    if match is None or (match[5] != "%" and match[5] not in _UNITS):
        raise SpecError(
            f"--fail-if: expected METRIC[.STATISTIC], < or >, and a change, such as {EXAMPLES}; got {text!r}"
        )
    metric, statistic, sign, number, unit = match.groups()
    scale = 0.01 if unit == "%" else _UNITS[unit]
    return Limit(text.strip(), _SHORT.get(metric, metric), statistic or "", sign == ">", float(number) * scale, unit)


def exceeded(limits: Sequence[Limit], pairs: Sequence[Pair]) -> list[str]:
    """Tell which cases go beyond which limits, each in a sentence; a case that failed after goes beyond all.

    A change of a latency counts where the difference is shown, by the verdict of the pair.

    Raises:
        SpecError: where no pair has a figure that a limit is on, or it is in another unit.
    """
    found = [
        f"{pair.name}: it failed: {pair.after.error}" for pair in pairs if pair.after.error and not pair.before.error
    ]
    for limit in limits:
        judged = [(pair, figures) for pair in pairs if (figures := _figures(pair, limit))]
        if not judged and any(not pair.after.error and not pair.before.error for pair in pairs):
            there = sorted({m.metric for pair in pairs for m in (*pair.before.measurements, *pair.after.measurements)})
            raise SpecError(f"--fail-if {limit.text}: no case has this figure before and after: {', '.join(there)}")
        found += [f"{pair.name}: {told}" for pair, figures in judged if (told := _beyond(limit, pair, *figures))]
    return found


def _figures(pair: Pair, limit: Limit) -> tuple[float, float] | None:
    values = _value(pair.before, limit), _value(pair.after, limit)
    return None if values[0] is None or values[1] is None else (values[0], values[1])


def _value(run: Run, limit: Limit) -> float | None:
    measurement = find(run, limit.metric)
    if measurement is None or run.error:
        return None
    if limit.unit not in ("", "%", *_UNITS_OF.get(measurement.unit, ())):
        raise SpecError(f"--fail-if {limit.text}: {limit.metric} is in {measurement.unit}, not in {limit.unit}")
    return measurement.statistics.get(limit.statistic) if limit.statistic else measurement.value


def _beyond(limit: Limit, pair: Pair, before: float, after: float) -> str:
    """Say how a pair goes beyond a limit; empty where it does not."""
    change = after - before
    if limit.unit == "%":
        change = change / abs(before) if before else (0.0 if not change else float("inf") * change)
    name = limit.metric + (f".{limit.statistic}" if limit.statistic else "")
    if limit.metric == "latency":
        if pair.ratio is None or pair.ratio.verdict != ("slower" if limit.above else "faster"):
            return ""
        if limit.unit == "%" and limit.statistic in ("", "p50"):
            change = pair.ratio.value - 1  # of turns, where there are: medians of whole series are not paired
    if change <= limit.bound if limit.above else change >= limit.bound:
        return ""
    unit = next(m.unit for m in pair.after.measurements if m.metric == limit.metric)
    told = f"{change:+.1%}" if limit.unit == "%" else ("+" if change > 0 else "-") + _written(abs(change), unit)
    return f"{name} {told}, from {_written(before, unit)} to {_written(after, unit)} ({limit.text})"


def _written(value: float, unit: str) -> str:
    if unit == "s":
        return f"{milliseconds(value)} ms"
    return size(value) if unit == "bytes" else f"{value:.4g}"
