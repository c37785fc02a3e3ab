"""Whether one file is faster than another one: a ratio of medians, its interval, and when that is enough to say so.

Two kinds of evidence. Files that took turns (``dslite bench --interleave``) have a ratio a round, which neither the
machine's pace nor what else it does changes much: these show differences of a few per cent. Series that were taken at
two times, each in one process, differ by more than their own scatter tells, as the machine was not the same: only a
difference beyond what two runs of one file differ by is shown by them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dslite.measure.statistics import resampled_medians, signed_rank_interval

Verdict = Literal["faster", "slower", "no difference shown"]

SAME = 0.01
"""Medians closer than this are called the same in any case: where a file lies in memory makes as much."""
RUN_TO_RUN = 0.25
"""What two runs of one file, a process each, may differ by.

Chosen with room: right after each other on a quiet machine they differ by a few per cent
(`benchmarks/results/trust.md`), days apart, or beside the work of others, by more than such a benchmark shows.
"""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A latency divided by another one.

    Attributes:
        value: above 1: the second file takes longer.
        low: end of its 95 % interval.
        high: likewise; infinite ends where there are too few values for an interval.
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


def of_series(first: Sequence[float], second: Sequence[float], run_to_run: float = RUN_TO_RUN) -> Ratio | None:
    """Give the ratio of two series that were taken at different times; None of an empty one.

    Args:
        first: latencies of the first file.
        second: of the second one.
        run_to_run: what two runs of one file differ by, as a share; the interval is so much wider at both ends.

    Returns:
        The ratio of medians, with percentiles of 1,000 ratios of bootstrap medians, both resampled, see
        `dslite.measure.statistics.median_interval`.
    """
    if not first or not second or not np.median(first) or not np.median(second):
        return None
    before, after = np.asarray(first, np.float64), np.asarray(second, np.float64)
    value = float(np.median(after) / np.median(before))
    medians = resampled_medians(before, seed=0), resampled_medians(after, seed=1)
    n = min(map(len, medians))
    low, high = np.percentile(medians[1][:n] / medians[0][:n], [2.5, 97.5])
    return Ratio(value, float(low) / (1 + run_to_run), float(high) * (1 + run_to_run), 0)
