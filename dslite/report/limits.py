"""What a build may not do: ``latency.p50>5%``, ``size>0``, ``uar<-0.02``, judged on pairs of rows."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from dslite.errors import SpecError
from dslite.metrics import find, known, metric, metrics_of
from dslite.metrics.forms import milliseconds, size
from dslite.records import Metric, Run
from dslite.report.comparison import Comparison, Pair

EXAMPLES = "latency.p50>5%, size>0, memory>1MB, uar<-0.02"
_FORM = re.compile(
    r"\s*([A-Za-z_]\w*)(?:\.([a-z0-9]+))?\s*([<>])\s*([+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)\s*(%|[^\s<>%\d.][^\s<>%]*|)\s*"
)
_UNITS = {"": 1.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9}
_NAMED = ("p50", "p90", "p95", "p99", "mean", "max")
"""Statistics that a message names; others can be asked for too."""
_WITHOUT_UNIT = ("n", "outliers", "trend", "trend_p")
"""Statistics of latencies that are in no unit of time."""
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
    """A row that goes beyond a limit.

    Attributes:
        row: its name.
        limit: as it was typed; empty where the row itself is what is wrong.
        message: how far it goes.
    """

    row: str
    limit: str
    message: str

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.row}: {self.message}" + (f" ({self.limit})" if self.limit else "")


@dataclass(slots=True)
class Judgement:
    """What limits say of comparisons.

    Attributes:
        beyond: the rows that go beyond one.
        not_judged: those of which that cannot be told: they are not valid, of too few runs, or beyond a limit as
            measured, which is not shown; and reports that are not whole.
        judged: of each limit, as it was typed, how many rows were judged by it.
        blind: limits that no row could be judged by, though there are some with the figure.
    """

    beyond: list[Excess] = field(default_factory=list)
    not_judged: list[Excess] = field(default_factory=list)
    judged: dict[str, int] = field(default_factory=dict)
    blind: list[str] = field(default_factory=list)


def parse(text: str) -> Limit:
    """Read a limit.

    Raises:
        SpecError: where it is none.
    """
    match = _FORM.fullmatch(text)
    if match is None or not _may_have_unit(match[1], match[5]) or not math.isfinite(float(match[4])):
        raise SpecError(
            f"--fail-if: expected METRIC[.STATISTIC], < or >, and a change, such as {EXAMPLES}; got {text!r}"
        )
    name, statistic, sign, number, unit = match.groups()
    about = metric(_of_columns(known().values()).get(name.lower(), name))
    bound = float(number) * (0.01 if unit == "%" else _UNITS.get(unit, 1.0))
    if why := _refusal(about):
        raise SpecError(f"--fail-if {text}: no limit can be on {about.name}: {why}")
    if about.unit == "s" and bound and (sign == ">") != (bound > 0):
        raise SpecError(
            f"--fail-if {text}: expected {about.name}>X, which fails where it rises by more than X, 0 or more, or "
            f"{about.name}<-X, where it falls by more"
        )
    return Limit(text.strip(), about.name, statistic or "", sign == ">", bound, unit)


def _may_have_unit(name: str, unit: str) -> bool:
    """Tell whether a limit may have a unit: any, on a metric that may have one of its own, which is judged later."""
    about = known().get(_of_columns(known().values()).get(name.lower(), name))
    return unit == "%" or unit in _UNITS or about is None or about.unit not in ("s", "bytes", "count", "ratio")


def _of_columns(metrics: Iterable[Metric]) -> dict[str, str]:
    """Give names of metrics by themselves, and by the columns that their values stand in; both in small letters."""
    described = list(metrics)
    columns = [(column, each.name) for each in described for column in metric(each.name, each.unit, [each]).columns]
    found = {column.title.partition("\n")[0].lower(): name for column, name in columns if column.statistic == "value"}
    return found | {each.name.lower(): each.name for each in described}


def _refusal(about: Metric) -> str:
    """Say why no limit can be on a metric; empty where one can."""
    if about.follows:
        return f"it follows from the {about.follows}: put the limit there, {about.follows}.p50>5%"
    return about.no_limit


def judge(limits: Sequence[Limit], comparisons: Sequence[Comparison], run_to_run: float) -> Judgement:
    """Tell which rows go beyond which limits.

    One that failed, is gone, or lost a figure that it had goes beyond them too. Sizes and counts count as they are. A
    time, or memory, must be shown to be beyond: by the interval of a median's ratio; where there is none, by as much as
    two measurements of one file may differ by besides (`Metric.interval`).

    Args:
        limits: to be kept.
        comparisons: to be judged.
        run_to_run: what times of two runs of one file may differ by.

    Raises:
        SpecError: where no pair has a figure that a limit is on, it is in another unit, no limit can be on it, or every
            row failed.
    """
    several = len(comparisons) > 1
    found, rows = Judgement(), []
    for each in comparisons:
        of = f" in {each.after}" if several else ""
        rows += [(pair.name + of, pair) for pair in each.pairs]
        found.not_judged += [Excess(told, "", "what is missing is not judged") for told in each.partial]
        lost = [(name, run) for name, run in each.only_before if run.error or not each.is_within]
        gone = "it is not there" if each.partial else "it is gone"
        found.beyond += [Excess(name + of, "", _failed(run) if each.is_within else gone) for name, run in lost]
    failed = [(name, pair) for name, pair in rows if pair.after.error and not pair.before.error]
    found.beyond += [Excess(name, "", _failed(pair.after)) for name, pair in failed]
    whole = [(name, pair) for name, pair in rows if not pair.before.error and not pair.after.error]
    if all(pair.after.error for _, pair in rows) and not found.beyond:
        raise SpecError("--fail-if: every row failed, before and after: there is nothing to judge")
    own = [each for each in metrics_of(run for _, pair in whole for _, run in pair.sides) if each.name not in known()]
    for limit in [_of_own(limit, own) for limit in limits]:
        _check_is_there(limit, [pair for _, pair in whole])
        told = [(*_judge(limit, pair, run_to_run), name) for name, pair in whole]
        found.beyond += [Excess(name, limit.text, why) for outcome, why, name in told if outcome == "beyond"]
        doubtful = [each for each in told if each[0] in ("not shown", "not judged")]
        found.not_judged += [Excess(name, limit.text, why) for _, why, name in doubtful]
        counts = Counter(outcome for outcome, _, _ in told)
        found.judged[limit.text] = counts["beyond"] + counts["kept"] + counts["not shown"]
        if counts["not judged"] and not found.judged[limit.text]:
            found.blind.append(limit.text)
    return found


def _of_own(limit: Limit, own: Sequence[Metric]) -> Limit:
    """Set a limit on the metric of a target that it names, or one of whose columns it names."""
    if limit.metric in known():
        return limit
    exact = any(each.name == limit.metric for each in own)
    name = limit.metric if exact else _of_columns(own).get(limit.metric.lower(), limit.metric)
    for each in own:
        if each.name == name and (why := _refusal(each)):
            raise SpecError(f"--fail-if {limit.text}: no limit can be on {name}: {why}")
    return replace(limit, metric=name)


def _failed(run: Run) -> str:
    return f"it failed: {run.error}"


def _check_is_there(limit: Limit, pairs: Sequence[Pair]) -> None:
    if pairs and not any(_value(run, limit) is not None for pair in pairs for _, run in pair.sides):
        hint = " (those of `dslite compress` have UAR)" if limit.metric == "uar" else ""
        there = ", ".join(_there(pairs))
        raise SpecError(f"--fail-if {limit.text}: no row of these reports has {_name(limit)}{hint}; they have {there}")


def _judge(limit: Limit, pair: Pair, run_to_run: float) -> tuple[str, str]:
    """Say whether a pair is ``beyond`` a limit, or not, which is ``kept``, ``not shown`` or ``not judged``; and why."""
    before, after = _value(pair.before, limit), _value(pair.after, limit)
    earlier, measured = (find(run.measurements, limit.metric) for _, run in pair.sides)
    if earlier is None or (before is None and after is None):
        return "new", ""  # what is new is no change
    if measured is None:
        return "beyond", f"{_name(limit)} is not there any more"
    if before is None or after is None:
        return "not judged", f"too few runs {'before' if before is None else 'after'} for {_name(limit)}"
    about, told = metric(limit.metric, measured.unit, pair.after.metrics), _told(limit, measured.unit, before, after)
    is_exact = about.interval == "exact"
    if earlier.unit != measured.unit:
        reason = f"{_name(limit)} was in {earlier.unit}, and is in {measured.unit}"
    elif not (math.isfinite(before) and math.isfinite(after)):
        reason = f"{_name(limit)} is {before:g} before and {after:g} after, expected finite numbers"
    else:
        reason = _why_not(limit, pair) if about.unit == "s" and not is_exact else ""
    if reason:
        return "not judged", reason
    allowed, is_shown = 1.0 if is_exact else 1 + (about.run_to_run or run_to_run), True
    nearest = after / allowed if limit.above else after * allowed
    if _is_median(limit) and (ratio := pair.ratio):
        after, nearest = before * ratio.value, before * (ratio.low if limit.above else ratio.high)
        is_shown = ratio.verdict == ("slower" if limit.above else "faster")
        if ratio.n_rounds:  # medians of whole series are not paired
            told = f"{_name(limit)} {ratio.value - 1:+.1%} of {milliseconds(before)} ms, in turn"
    if not _is_beyond(limit, before, after):
        return "kept", ""
    is_shown = is_shown and _is_beyond(limit, before, nearest)
    return ("beyond", told) if is_shown else ("not shown", f"{told}, which is not shown to be beyond it")


def _why_not(limit: Limit, pair: Pair) -> str:
    """Say why a time cannot be judged; empty where it can. Of files that took turns, medians can in any row."""
    if not _is_median(limit):
        return f"not valid {'; '.join(pair.not_valid)}" if pair.not_valid else ""
    if pair.verdict == "not valid":
        return f"not valid {'; '.join(pair.not_valid)}"
    return pair.verdict if pair.verdict.startswith("too few") else ""


def _is_median(limit: Limit) -> bool:
    return limit.metric == "latency" and limit.statistic in ("", "p50")


def _share(before: float, after: float) -> float:
    change = after - before
    return change / abs(before) if before else (0.0 if not change else math.inf * change)


def _is_beyond(limit: Limit, before: float, after: float) -> bool:
    change = _share(before, after) if limit.unit == "%" else after - before
    return change > limit.bound if limit.above else change < limit.bound


def _told(limit: Limit, unit: str, before: float, after: float) -> str:
    sign = "+" if after > before else "-"
    change = f"{_share(before, after):+.1%}" if limit.unit == "%" else f"{sign}{_written(abs(after - before), unit)}"
    return f"{_name(limit)} {change}, from {_written(before, unit)} to {_written(after, unit)}"


def _value(run: Run, limit: Limit) -> float | None:
    measurement = find(run.measurements, limit.metric)
    if measurement is None:
        return None
    if limit.unit not in ("", "%", *_UNITS_OF.get(measurement.unit, (measurement.unit,))):
        raise SpecError(f"--fail-if {limit.text}: {limit.metric} is in {measurement.unit}, not in {limit.unit}")
    if not limit.unit and limit.bound and measurement.unit in _UNITS_OF:
        units = " or ".join(("%", *_UNITS_OF[measurement.unit]))
        raise SpecError(f"--fail-if {limit.text}: expected a unit, {units}: {limit.metric} is in {measurement.unit}")
    if limit.statistic in _WITHOUT_UNIT:
        return None
    return measurement.statistics.get(limit.statistic) if limit.statistic else measurement.value


def _name(limit: Limit) -> str:
    return limit.metric + (f".{limit.statistic}" if limit.statistic else "")


def _there(pairs: Sequence[Pair]) -> list[str]:
    """Name the figures that limits may be on: of a series, with one of its statistics."""
    runs = (run for pair in pairs for _, run in pair.sides)
    able = [m for run in runs for m in run.measurements if not _refusal(metric(m.metric, m.unit, run.metrics))]
    statistics = {f"{m.metric}.{name}" for m in able for name in m.statistics if name in _NAMED}
    return sorted({m.metric for m in able} | statistics)


def _written(value: float, unit: str) -> str:
    if unit == "s":
        return f"{milliseconds(value)} ms"
    if unit == "bytes":
        return size(value)
    return f"{value:.4g}" + (f" {unit}" if unit not in ("count", "ratio") else "")
