"""What a build may not do: ``latency.p50>5%``, ``size>0``, ``uar<-0.02``, judged on pairs of cases."""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dslite.errors import SpecError
from dslite.measure.figures import DERIVED
from dslite.records import Run
from dslite.report.columns import find, milliseconds, size
from dslite.report.pairing import Comparison, Pair

EXAMPLES = "latency.p50>5%, size>0, memory>1MB, uar<-0.02"
_FORM = re.compile(r"\s*([a-z_]+)(?:\.([a-z0-9]+))?\s*([<>])\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(%|[a-zA-Z]*)\s*")
_COLUMNS = {
    "memory": "memory_delta",
    "process": "memory_process",
    "params": "parameters",
    "first": "first_latency",
    "init": "init_time",
    "audio": "real_time_factor",
    "gflop": "flop_rate",
    "peak": "flop_rate_share",
    "temp": "temperature",
    "gzip": "gzip_size",
}
"""Metrics by the names of their columns."""
_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_TIMES = ("latency", "first_latency", "init_time", "turn_latency", "reference_latency")
_NAMED = ("p50", "p90", "p95", "p99", "mean", "max")
"""Statistics that a message names; others can be asked for too."""
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


@dataclass(frozen=True, slots=True)
class Excess:
    """A case that goes beyond a limit.

    Attributes:
        case: its name.
        limit: as it was typed; empty where the case itself is what is wrong.
        message: how far it goes.
    """

    case: str
    limit: str
    message: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.case}: {self.message}" + (f" ({self.limit})" if self.limit else "")


@dataclass(slots=True)
class Judgement:
    """What limits say of comparisons.

    Attributes:
        beyond: the cases that go beyond one.
        not_judged: latencies that are not valid, or beyond a limit while no difference is shown.
    """

    beyond: list[Excess] = field(default_factory=list)
    not_judged: list[Excess] = field(default_factory=list)


def parse(text: str) -> Limit:
    """Read a limit.

    Raises:
        SpecError: where it is none.
    """
    match = _FORM.fullmatch(text)
    if match is None or (match[5] != "%" and match[5] not in _UNITS) or not math.isfinite(float(match[4])):
        raise SpecError(
            f"--fail-if: expected METRIC[.STATISTIC], < or >, and a change, such as {EXAMPLES}; got {text!r}"
        )
    name, statistic, sign, number, unit = match.groups()
    metric, bound = _COLUMNS.get(name, name), float(number) * (0.01 if unit == "%" else _UNITS[unit])
    if metric in DERIVED:
        raise SpecError(f"--fail-if {text}: {metric} follows from the latency: put the limit there, latency.p50>5%")
    if metric in _TIMES and bound and (sign == ">") != (bound > 0):
        raise SpecError(
            f"--fail-if {text}: expected a rise after >, 0 or more, or a fall after <, 0 or less: what a time must at "
            "least improve by, no measurement shows"
        )
    return Limit(text.strip(), metric, statistic or "", sign == ">", bound, unit)


def judge(limits: Sequence[Limit], comparisons: Sequence[Comparison], run_to_run: float) -> Judgement:
    """Tell which cases go beyond which limits.

    One that failed, is gone, or lost a figure that it had goes beyond them too. A median of latencies counts where the
    difference is shown, by the verdict of the pair; any other time, which has no verdict, where it changed by more than
    ``run_to_run`` besides. Sizes and counts count as they are.

    Args:
        limits: to be kept.
        comparisons: to be judged.
        run_to_run: what two runs of one file may differ by.

    Raises:
        SpecError: where no pair has a figure that a limit is on, or it is in another unit.
    """
    pairs = [pair for each in comparisons for pair in each.pairs]
    two = (each for each in comparisons if not each.is_within)
    found = Judgement([Excess(case, "", "it is gone") for each in two for case in each.only_before])
    found.beyond += [
        Excess(pair.name, "", f"it failed: {pair.after.error}")
        for pair in pairs
        if pair.after.error and not pair.before.error
    ]
    whole = [pair for pair in pairs if not pair.before.error and not pair.after.error]
    if pairs and not whole and not found.beyond:
        raise SpecError("--fail-if: every case failed, before and after: there is nothing to judge")
    for limit in limits:
        if whole and not any(_value(run, limit) is not None for pair in whole for run in (pair.before, pair.after)):
            hint = " (those of `dslite compress` have UAR)" if limit.metric == "uar" else ""
            there = ", ".join(_there(whole))
            raise SpecError(
                f"--fail-if {limit.text}: no case of these reports has {_name(limit)}{hint}; they have {there}"
            )
        for pair in whole:
            _judge(limit, pair, run_to_run, found)
    return found


def _judge(limit: Limit, pair: Pair, run_to_run: float, found: Judgement) -> None:
    before, after = _value(pair.before, limit), _value(pair.after, limit)
    if before is None:
        return  # what is new is no change
    if after is None:
        found.beyond.append(Excess(pair.name, limit.text, f"{_name(limit)} is not there any more"))
    elif limit.metric in _TIMES and pair.verdict == "not valid":
        found.not_judged.append(Excess(pair.name, limit.text, f"not valid {'; '.join(pair.not_valid)}"))
    elif told := _beyond(limit, pair, before, after):
        if limit.metric not in _TIMES or _is_shown(limit, pair, before, after, run_to_run):
            found.beyond.append(Excess(pair.name, limit.text, told))
        else:
            found.not_judged.append(Excess(pair.name, limit.text, f"{told}, but no difference is shown"))


def _is_shown(limit: Limit, pair: Pair, before: float, after: float, run_to_run: float) -> bool:
    """Tell whether a time changed by more than chance: a median by the verdict, any other by more than runs differ."""
    if _is_median(limit):
        return pair.verdict == ("slower" if limit.above else "faster")
    return abs(math.log1p(max(_share(before, after), -0.999))) > math.log1p(run_to_run)


def _is_median(limit: Limit) -> bool:
    return limit.metric == "latency" and limit.statistic in ("", "p50")


def _share(before: float, after: float) -> float:
    change = after - before
    return change / abs(before) if before else (0.0 if not change else math.inf * change)


def _beyond(limit: Limit, pair: Pair, before: float, after: float) -> str:
    """Say how a pair goes beyond a limit, whether or not that is shown; empty where it does not."""
    change, share = after - before, _share(before, after)
    if _is_median(limit) and pair.ratio:
        share = pair.ratio.value - 1  # of turns, where there are: medians of whole series are not paired
    judged = share if limit.unit == "%" else change
    if judged <= limit.bound if limit.above else judged >= limit.bound:
        return ""
    unit = next(m.unit for m in pair.after.measurements if m.metric == limit.metric)
    told = f"{share:+.1%}" if limit.unit == "%" else ("+" if change > 0 else "-") + _written(abs(change), unit)
    return f"{_name(limit)} {told}, from {_written(before, unit)} to {_written(after, unit)}"


def _value(run: Run, limit: Limit) -> float | None:
    measurement = find(run, limit.metric)
    if measurement is None:
        return None
    if limit.unit not in ("", "%", *_UNITS_OF.get(measurement.unit, ())):
        raise SpecError(f"--fail-if {limit.text}: {limit.metric} is in {measurement.unit}, not in {limit.unit}")
    if not limit.unit and limit.bound and measurement.unit in _UNITS_OF:
        units = " or ".join(("%", *_UNITS_OF[measurement.unit]))
        raise SpecError(f"--fail-if {limit.text}: expected a unit, {units}: {limit.metric} is in {measurement.unit}")
    return measurement.statistics.get(limit.statistic) if limit.statistic else measurement.value


def _name(limit: Limit) -> str:
    return limit.metric + (f".{limit.statistic}" if limit.statistic else "")


def _there(pairs: Sequence[Pair]) -> list[str]:
    """Name the figures that limits may be on: of a series, with one of its statistics."""

    def names() -> Iterator[str]:
        for pair in pairs:
            for m in (*pair.before.measurements, *pair.after.measurements):
                if m.metric not in DERIVED:
                    yield m.metric
                    yield from (f"{m.metric}.{name}" for name in m.statistics if name in _NAMED)

    return sorted(set(names()))


def _written(value: float, unit: str) -> str:
    if unit == "s":
        return f"{milliseconds(value)} ms"
    return size(value) if unit == "bytes" else f"{value:.4g}"
