"""Figures of a series of latencies: location, spread, and what its order and its shape say of it.

Runs of a series are neighbours in time and not independent: what disturbs a machine lasts. So intervals and tests take
a series for as many runs as it has independent ones, see `correlation_time`. Nothing is dropped from a series; outliers
are counted.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

PERCENTILES = (5, 50, 90, 95, 99)
OUTLIER_MADS = 14.826
"""Distance from the median, in median absolute deviations: ten standard deviations of a normal distribution, as in
hyperfine."""
_CONFIDENCE = 0.95
LEAST_FOR_INTERVAL = 6
"""Of five independent values all lie on one side of the median in 1 of 16 cases: there is no 95 % interval of it."""
_N_RESAMPLES = 1000
_FEWEST_RESAMPLES = 200
_MOST_DRAWN = 2e7
"""Values drawn for an interval, which takes about a second; of a million independent runs, five."""
_DRAWN_AT_ONCE = 1 << 21
_N_GROUPS = 100
"""Neighbours whose medians a trend is sought in: a test of all pairs of 50,000 runs would take hours."""
_LEAST_FOR_TREND = 20
_LEAST_FOR_MODES = 50
_LEAST_SHARE = 0.1
"""Of the runs, that a second speed has."""
_VALLEY_P = 1e-3
_TICKS_APART = 2.5
"""Of a clock, that two speeds are apart: between neighbouring ones there is a valley in any case."""
_NO_CORRELATION = 1e-3
_LEAST_TIMES = 10.0
"""Correlation times that a series must last for, for its order to say anything: else these times are not known."""
_WINDOW = 5.0
"""Correlation times that a sum of autocorrelations goes on for, as Sokal advises."""


def summarise(samples: Sequence[float]) -> dict[str, float]:
    """Describe a series.

    Args:
        samples: at least one, in the unit the answer has.

    Returns:
        ``n``, ``mean``, ``std`` (of the sample, n - 1; 0 for one), ``min``, ``max``, ``mad`` (median absolute
        deviation), ``outliers`` (how many), ``p50``, and those of ``p5``, ``p90``, ``p95``, ``p99`` that so many
        samples support; ``low`` and ``high``, the 95 % interval of the median, of 6 samples and more; ``trend``, the
        relative change from the first to the last, and ``trend_p``, of 20 and more. Percentiles interpolate linearly
        between samples (Hyndman and Fan, type 7, numpy's default).
    """
    x = np.asarray(samples, np.float64)
    found = {
        "n": float(len(x)),
        "mean": float(x.mean()),
        "std": float(x.std(ddof=1)) if len(x) > 1 else 0.0,
        "min": float(x.min()),
        "max": float(x.max()),
        "mad": _mad(x),
        "outliers": float(count_outliers(x)),
    }
    supported = [p for p in PERCENTILES if is_supported(p, len(x))]
    found |= {f"p{p}": float(v) for p, v in zip(supported, np.percentile(x, supported), strict=True)}
    if interval := median_interval(x):
        found["low"], found["high"] = interval
    if over_time := trend(samples):
        found |= {"trend": over_time.change, "trend_p": over_time.p}
    return found


def is_supported(percentile: float, n: int) -> bool:
    """Tell whether so many samples support a percentile: whether one of them lies beyond it, with 95 % confidence.

    That takes 29 for the 90th, 59 for the 5th and the 95th, 299 for the 99th (Wilks, Annals of Mathematical Statistics
    12:91, 1941). A median is that of any series.
    """
    inside = max(percentile, 100 - percentile) / 100
    return inside <= 0.5 or 1 - inside**n >= _CONFIDENCE  # noqa: PLR2004 - the median


def median_interval(samples: Sequence[float] | Floats) -> tuple[float, float] | None:
    """Give the 95 % interval of the median, or None of fewer than 6 samples.

    Percentiles of the medians of 1,000 bootstrap resamples (200 at the least, of very long series), each of as many
    samples as are independent, n / `correlation_time` (m out of n bootstrap; Bickel, Goetze and van Zwet, 1997). The
    same series gives the same interval. It has the median in 91 to 97 of 100 cases where runs are independent, in 93
    where neighbours have a correlation of 0.5, and in 89 of 50 runs, 95 of 200, where it is 0.8; of disturbances that
    last for much of a series it cannot know, and has it less often.
    """
    x = np.asarray(samples, np.float64)
    if len(x) < LEAST_FOR_INTERVAL:
        return None
    tail = 100 * (1 - _CONFIDENCE) / 2
    low, high = np.percentile(_resampled_medians(x), [tail, 100 - tail])
    return float(low), float(high)


def _resampled_medians(x: Floats) -> Floats:
    """Give the medians of resamples of a series, float64 ``(r,)``; see `median_interval`."""
    n_drawn = max(1, round(len(x) / correlation_time(x)))
    n_resamples = int(min(_N_RESAMPLES, max(_FEWEST_RESAMPLES, _MOST_DRAWN // n_drawn)))
    random = np.random.default_rng(0)
    at_once = max(1, _DRAWN_AT_ONCE // n_drawn)
    found = []
    for begin in range(0, n_resamples, at_once):
        drawn = random.integers(0, len(x), (min(at_once, n_resamples - begin), n_drawn))
        found.append(np.median(x[drawn], axis=1))
    return np.concatenate(found)


def correlation_time(samples: Sequence[float] | Floats) -> float:
    """Tell for how many runs what happens to one lasts: a series of n says as much as n / this independent ones.

    The integrated autocorrelation time, 1 plus twice the sum of the autocorrelations, of the side of the median that
    runs lie on: by this share the variance of a median grows. The sum ends at five times itself (Sokal, Monte Carlo
    methods in statistical mechanics, 1997). Of short series that is too little, so it is at least what the correlation
    of neighbours makes of a series of first order. At least 1.
    """
    x = np.asarray(samples, np.float64)
    n = len(x)
    side = np.sign(x - np.median(x))
    side -= side.mean()  # of a coarse clock many are the median
    power = float((side**2).sum())
    if not power:
        return 1.0
    spectrum = np.fft.rfft(side, 2 * n)
    autocorrelation = np.fft.irfft(spectrum * spectrum.conj(), 2 * n)[:n] / power
    sums = 2 * np.cumsum(autocorrelation) - 1
    ends = np.arange(n) >= _WINDOW * sums
    return max(1.0, float(sums[np.argmax(ends) if ends.any() else n - 1]), _lasting(x))


def _lasting(x: Floats) -> float:
    """Give the correlation time of a Gaussian series of first order that has this one's correlation of neighbours."""
    # That is one of ranks, which a wild run does not move, corrected for what short series have too little of (Kendall,
    # 1954); correlations of the sides of the median follow from it by the arcsine law.
    n = len(x)
    if n < _LEAST_FOR_TREND:
        return 1.0
    _, places, counts = np.unique(x, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts + n) / 2)[places]  # of equal ones their mean; about 0
    power = float((ranks**2).sum())
    neighbours = float((ranks[1:] * ranks[:-1]).sum()) / power if power else 0.0
    corrected = min(neighbours + (1 + 3 * neighbours) / n, 1 - 2 / n)
    if corrected <= 0:
        return 1.0
    lags = np.arange(1, min(n, math.ceil(math.log(_NO_CORRELATION) / math.log(corrected)) + 1))
    return float(1 + 4 / math.pi * np.arcsin(corrected**lags).sum())


def signed_rank_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Give the centre of independent values, and its 95 % interval, which assumes them symmetric, and no more.

    The estimate of Hodges and Lehmann, the median of the means of all pairs (a value pairs with itself too), and the
    exact interval that belongs to Wilcoxon's signed-rank test. One wild value does not move it.

    Returns:
        Centre, low, high; infinite ends of fewer than 6 values, of which there is no such interval.
    """
    x = np.asarray(values, np.float64)
    n = len(x)
    first, second = np.triu_indices(n)
    means = np.sort((x[first] + x[second]) / 2)
    centre = float(np.median(means))
    share = np.zeros(n * (n + 1) // 2 + 1)  # of the ways to sign the ranks 1 to n, that give each sum
    share[0] = 1.0
    for rank in range(1, n + 1):
        share[rank:] += share[:-rank].copy()
        share /= 2
    below = np.cumsum(share)
    outside = int(np.searchsorted(below, (1 - _CONFIDENCE) / 2, side="right"))  # the sum may be so many less one
    if outside == 0:
        return centre, -math.inf, math.inf
    return centre, float(means[outside - 1]), float(means[-outside])


def count_outliers(samples: Sequence[float] | Floats) -> int:
    """Count the samples further than `OUTLIER_MADS` median absolute deviations from the median.

    Where more than half of them are equal the deviation is 0, which says nothing of the others: 0 then.
    """
    x = np.asarray(samples, np.float64)
    mad = _mad(x)
    return int((np.abs(x - np.median(x)) > OUTLIER_MADS * mad).sum()) if mad else 0


def _mad(x: Floats) -> float:
    return float(np.median(np.abs(x - np.median(x))))


@dataclass(frozen=True, slots=True)
class Trend:
    """How a series rises or falls.

    Attributes:
        change: from its beginning to its end along the median slope, as a share of its median.
        p: of Mann and Kendall's test, two-sided: how often a series without a trend has as much of one.
    """

    change: float
    p: float


def trend(samples: Sequence[float]) -> Trend | None:
    """Find the trend of a series, or None of fewer than 20 samples, or where their median is 0.

    Of long series, the trend of the medians of 100 groups of neighbours. The slope is that of Theil and Sen, the median
    of those of all pairs: neither it nor the test is moved by a few wild runs. Neighbours that are alike make a trend
    by chance, so the variance of the test grows by the `correlation_time` of what the slope leaves (Hamed and Rao,
    1998). What lasts for as long as the series cannot be told from a trend: `p` is 1 then.
    """
    if len(samples) < _LEAST_FOR_TREND:
        return None
    groups = np.array_split(np.asarray(samples, np.float64), min(len(samples), _N_GROUPS))
    x = np.array([np.median(group) for group in groups])
    n, middle = len(x), float(np.median(x))
    if not middle:
        return None
    first, second = np.triu_indices(n, 1)
    rises = x[second] - x[first]
    score = float(np.sign(rises).sum())
    _, tied = np.unique(x, return_counts=True)
    variance = (n * (n - 1) * (2 * n + 5) - float((tied * (tied - 1) * (2 * tied + 5)).sum())) / 18
    slope = float(np.median(rises / (second - first)))
    change = slope * (n - 1) / middle
    lasts = correlation_time(x - slope * np.arange(n))
    if n < _LEAST_TIMES * lasts:
        return Trend(change, 1.0)
    variance *= lasts
    z = (abs(score) - 1) / math.sqrt(variance) if variance and score else 0.0
    return Trend(change, math.erfc(max(z, 0.0) / math.sqrt(2)))


@dataclass(frozen=True, slots=True)
class SlowStart:
    """How the first runs of a series compare with its second half.

    Attributes:
        n: first runs, a tenth, 3 at the least.
        ratio: of their median to that of the second half.
        p: of Mann and Whitney's test, one-sided: how often runs of one speed begin as slowly.
    """

    n: int
    ratio: float
    p: float


def slow_start(samples: Sequence[float]) -> SlowStart | None:
    """Compare the first runs of a series with its second half; None of fewer than 20, or where that takes no time.

    The variance of the test grows by the `correlation_time` of the second half, as in `trend`; None where that is not
    long beside it.
    """
    if len(samples) < _LEAST_FOR_TREND:
        return None
    x = np.asarray(samples, np.float64)
    n = max(3, len(x) // 10)
    first, rest = x[:n], x[len(x) // 2 :]
    if not np.median(rest):
        return None
    lasts = correlation_time(rest)
    if len(rest) < _LEAST_TIMES * lasts:
        return None
    ordered = np.sort(rest)
    below = np.searchsorted(ordered, first, "left")
    up_to = np.searchsorted(ordered, first, "right")
    score = float((below + up_to).sum()) / 2  # pairs in which the first is slower, a tie being half of one
    n_pairs = n * len(rest)
    spread = math.sqrt(n_pairs * (n + len(rest) + 1) / 12 * lasts)
    p = math.erfc((score - n_pairs / 2) / spread / math.sqrt(2)) / 2
    return SlowStart(n, float(np.median(first) / np.median(rest)), p)


@dataclass(frozen=True, slots=True)
class Modes:
    """Two speeds of a series.

    Attributes:
        lower: median of the faster runs.
        upper: of the slower ones.
        share: of the runs that are slower ones.
    """

    lower: float
    upper: float
    share: float


def modes(samples: Sequence[float]) -> Modes | None:
    """Find two speeds in a series, or None: of fewer than 50 samples, or where there is no valley between two heaps.

    Outliers left aside where they are less than a tenth, the series is cut where the variance within both parts is
    least (Otsu, 1979). Both parts have a tenth of it at the least, and around the middle between their medians there
    are fewer runs than around either of these, in windows as wide, by a binomial test at 0.001. One heap, however
    lopsided, has no such valley.
    """
    x = np.sort(np.asarray(samples, np.float64))
    if len(x) < _LEAST_FOR_MODES:
        return None
    inside = np.abs(x - np.median(x)) <= OUTLIER_MADS * _mad(x)
    if inside.mean() > 1 - _LEAST_SHARE:  # more of them are a heap of their own
        x = x[inside]
    cut = _otsu(x)
    share = 1 - cut / len(x)
    if not _LEAST_SHARE <= share <= 1 - _LEAST_SHARE:
        return None
    lower, upper = float(np.median(x[:cut])), float(np.median(x[cut:]))
    if upper - lower <= _TICKS_APART * np.diff(np.unique(x)).min(initial=math.inf):
        return None  # neighbouring ticks of a coarse clock
    from scipy.special import bdtr

    width = (upper - lower) / 3

    def around(centre: float) -> int:
        return int(((x >= centre - width / 2) & (x <= centre + width / 2)).sum())

    heap, valley = min(around(lower), around(upper)), around((lower + upper) / 2)
    # `bdtr`: how often so many coins, one a run, show as few heads as there are runs in the valley.
    return Modes(lower, upper, share) if width > 0 and heap and bdtr(valley, valley + heap, 0.5) < _VALLEY_P else None


def _otsu(x: Floats) -> int:
    """Give how many of sorted values make the lower part."""
    n = np.arange(1, len(x))
    sums = np.cumsum(x - x.mean())[:-1]  # the total is 0
    between: Any = sums**2 * len(x) / (n * (len(x) - n))
    return int(np.argmax(between)) + 1
