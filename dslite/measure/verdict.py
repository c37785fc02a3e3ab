"""Whether one file is faster than another one: a ratio of medians, its interval, and when that is enough to say so.

Two kinds of evidence. Files that took turns (``dslite bench --interleave``) have a ratio a round, which neither the
machine's pace nor what else it does changes much: these show differences of a few per cent. Series that were taken at
two times, each in one process, differ by more than their own scatter tells, as the machine was not the same: only a
difference beyond what two runs of one file differ by, and beyond what the machine's own pace changed by, is shown by
them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from dslite.measure.statistics import median_interval, signed_rank_interval
from dslite.measure.validity import RUN_TO_RUN
from dslite.records import Measurement

Verdict = Literal["faster", "slower", "no difference shown"]

SAME = 0.01
"""Medians closer than this are called the same in any case: where a file lies in memory makes as much."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A latency divided by another one.

    Attributes:
        value: above 1: the second file takes longer.
        low: end of its 95 % interval.
        high: likewise; 0 and infinite where there are too few values for an interval.
        n_rounds: in which they took turns; 0: they did not.
    """

    value: float
    low: float
    high: float
    n_rounds: int

    @property
    def verdict(self) -> Verdict:
        """Say what is shown of the second file: the whole interval lies on one side, and the ratio is not nearly 1."""
        if self.low > 1 and self.value > 1 + SAME:
            return "slower"
        if self.high < 1 and self.value < 1 / (1 + SAME):
            return "faster"
        return "no difference shown"


def of_turns(latencies: Sequence[float], beside: Sequence[float]) -> Ratio | None:
    """Give the ratio of files that took turns; None where a clock is too coarse for them.

    Args:
        latencies: of the second file, its median in each round.
        beside: of the first one, in the same rounds.

    Returns:
        The estimate of Hodges and Lehmann of the logarithms of the ratios of rounds, with Wilcoxon's interval, see
        `dslite.measure.statistics.signed_rank_interval`.
    """
    if not all(latencies) or not all(beside):
        return None
    logarithms = [math.log(b / a) for a, b in zip(beside, latencies, strict=True)]
    centre, low, high = signed_rank_interval(logarithms)
    return Ratio(math.exp(centre), math.exp(low), math.exp(high), len(logarithms))


def of_series(before: Measurement, after: Measurement, run_to_run: float = RUN_TO_RUN, pace: float = 1) -> Ratio | None:
    """Give the ratio of two series that were taken at different times; None where a clock is too coarse for them.

    Args:
        before: latencies of the first file.
        after: of the second one.
        run_to_run: what two runs of one file differ by, as a share; the interval is so much wider at both ends.
        pace: what the machine reached beside the first, divided by what it reached beside the second: 2 where it had
            half the pace by then. The interval is so much wider at the end where that may be the difference.

    Returns:
        The ratio of medians. Its interval is made of those of both medians, on the scale of logarithms (method of
        variance estimates recovery; Zou and Donner, Statistics in Medicine 27:1693, 2008). Of a tool that tells no
        samples, it has the width of ``run_to_run`` alone.
    """
    one, other = _interval(before), _interval(after)
    if not before.value or not after.value:
        return None
    value = after.value / before.value
    if one is None or other is None:
        return Ratio(value, 0.0, math.inf, 0)
    if not one[0] or not other[0]:
        return None
    fall = math.hypot(math.log(after.value / other[0]), math.log(one[1] / before.value))
    rise = math.hypot(math.log(other[1] / after.value), math.log(before.value / one[0]))
    low, high = value * math.exp(-fall), value * math.exp(rise)
    return Ratio(value, low / (1 + run_to_run) / max(pace, 1), high * (1 + run_to_run) / min(pace, 1), 0)


def _interval(latency: Measurement) -> tuple[float, float] | None:
    """Give the 95 % interval of a median: None of too few samples, the median itself of a tool that tells none."""
    known = latency.statistics
    if "low" in known and "high" in known:
        return known["low"], known["high"]
    if not latency.samples:
        return latency.value, latency.value
    return median_interval(latency.samples)
