"""Figures of a series, against families of which the truth is known; seeds are fixed."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslite.measure import series as series_of
from dslite.measure import validity
from dslite.measure.figures import with_statistics
from dslite.measure.statistics import (
    correlation_time,
    count_outliers,
    is_supported,
    median_interval,
    modes,
    signed_rank_interval,
    slow_start,
    summarise,
    trend,
)
from dslite.measure.verdict import Ratio, of_series, of_turns
from dslite.records import Flag, Measurement

Draw = Callable[[np.random.Generator, int], np.ndarray]
ONE_HEAP: dict[str, Draw] = {
    "normal": lambda random, n: random.normal(30, 1, n),
    "uniform": lambda random, n: random.uniform(20, 40, n),
    "exponential": lambda random, n: 30 + random.exponential(5, n),
    "lognormal": lambda random, n: 30 * np.exp(0.3 * random.normal(size=n)),
    "heavy tails": lambda random, n: 30 + random.standard_t(3, n),
}


def test_percentiles_are_supported_from_the_numbers_of_wilks_on() -> None:
    """Sizes of samples for 95/95 tolerance limits: Wilks, Annals of Mathematical Statistics 12:91, 1941."""
    for percentile, least in ((50, 1), (90, 29), (95, 59), (5, 59), (99, 299)):
        assert is_supported(percentile, least)
        assert percentile == 50 or not is_supported(percentile, least - 1)


def _correlated(random: np.random.Generator, n: int, neighbours: float) -> np.ndarray:
    """Draw an autoregressive series of standard deviation 1 around 30."""
    x = random.normal(size=n + 100) * math.sqrt(1 - neighbours**2)
    for i in range(1, len(x)):
        x[i] += neighbours * x[i - 1]
    return 30 + x[100:]


@pytest.mark.parametrize("n", [6, 10, 20, 50, 200])
@pytest.mark.parametrize("family", [name for name in ONE_HEAP if name != "exponential"])
def test_the_interval_of_the_median_has_it_about_95_times_in_100(family: str, n: int) -> None:
    random = np.random.default_rng(1)
    truth = 30.0
    found = [median_interval(ONE_HEAP[family](random, n)) for _ in range(200)]
    share = sum(low <= truth <= high for low, high in filter(None, found)) / len(found)
    assert 0.88 <= share <= 0.995


@pytest.mark.parametrize(
    ("n", "neighbours", "least"), [(50, 0.5, 0.88), (50, 0.8, 0.83), (200, 0.5, 0.9), (1000, 0.9, 0.91)]
)
def test_the_interval_holds_also_where_neighbours_are_alike(n: int, neighbours: float, least: float) -> None:
    """Series of a shared machine are so: half of those in `benchmarks/results` have a correlation above 0.4."""
    random = np.random.default_rng(14)
    found = [median_interval(_correlated(random, n, neighbours)) for _ in range(200)]
    assert sum(low <= 30 <= high for low, high in filter(None, found)) / len(found) >= least


def test_the_correlation_time_is_that_of_theory() -> None:
    """Of signs of a Gaussian series, 1 + 2 sum of 2/pi arcsin(correlation^k): the arcsine law."""
    random = np.random.default_rng(15)
    for neighbours in (0.0, 0.5, 0.9):
        theory = 1 + 2 * sum(2 / math.pi * math.asin(neighbours**k) for k in range(1, 200))
        found = np.mean([correlation_time(_correlated(random, 5000, neighbours)) for _ in range(20)])
        assert 0.95 * theory < found < 1.2 * theory  # the larger one of two estimates
    assert correlation_time([1.0] * 20) == 1
    assert correlation_time([1.0]) == 1


@pytest.mark.parametrize(("n", "neighbours"), [(50, 0.5), (50, 0.9), (200, 0.0), (200, 0.5), (200, 0.9)])
def test_chance_alone_seldom_makes_a_trend_or_a_slow_start(n: int, neighbours: float) -> None:
    random = np.random.default_rng(16)
    drawn = [_correlated(random, n, neighbours) for _ in range(200)]
    trends, starts = map(trend, drawn), map(slow_start, drawn)
    assert sum(each is not None and each.p < 0.01 for each in trends) <= 20
    assert sum(each is not None and each.p < 0.01 for each in starts) <= 10


def test_five_samples_have_no_interval_and_the_same_series_has_the_same() -> None:
    assert median_interval([1.0] * 5) is None
    series = np.random.default_rng(3).normal(size=100)
    assert median_interval(series) == median_interval(series)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=30))
def test_signed_ranks_interval_holds_its_centre_and_turns_with_its_signs(values: list[float]) -> None:
    centre, low, high = signed_rank_interval(values)
    assert low <= centre <= high
    assert math.isinf(low) == (len(values) < 6)
    mirrored = signed_rank_interval([-v for v in values])
    assert mirrored == pytest.approx((-centre, -high, -low), abs=1e-9)


def test_signed_ranks_interval_is_the_published_one() -> None:
    """Of ten values, the 9th smallest and largest of the 55 means of pairs: Hollander and Wolfe, table A.4, 95.1 %."""
    values = [0.8, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    means = sorted((a + b) / 2 for i, a in enumerate(values) for b in values[i:])
    centre, low, high = signed_rank_interval(values)
    assert (low, high) == pytest.approx((means[8], means[-9]))
    assert centre == pytest.approx(np.median(means))
    _, low, high = signed_rank_interval(np.random.default_rng(18).normal(1, 0.1, 1100).tolist())  # 2^1100 is no float
    assert (low, high) == pytest.approx((1, 1), abs=0.02)


def test_outliers_are_counted_by_median_absolute_deviations() -> None:
    series = [float(i) for i in range(21)]  # median 10, deviation 5
    assert count_outliers([*series[:-1], 10 + 14.8 * 5]) == 0
    assert count_outliers([*series[:-1], 10 + 14.9 * 5]) == 1
    assert count_outliers([1.0] * 20 + [9.0]) == 0  # without a deviation, nothing is told


def test_a_trend_is_found_and_chance_is_none() -> None:
    random = np.random.default_rng(4)
    found = trend(np.linspace(30, 33, 500) + random.normal(size=500))
    assert found is not None
    assert found.change == pytest.approx(0.095, abs=0.02)
    assert found.p < 1e-6
    by_chance = [trend(random.normal(30, 1, 60)) for _ in range(300)]
    assert sum(each is not None and each.p < 0.05 for each in by_chance) / 300 < 0.08
    assert trend([1.0] * 19) is None
    assert trend([1.0] * 50) is not None  # no division by nothing


def test_tests_of_ranks_agree_with_scipy() -> None:
    """Mann and Kendall's, which here has no correction for continuity, and Mann and Whitney's."""
    from scipy.stats import kendalltau, mannwhitneyu

    ties = np.random.default_rng(5).integers(0, 30, 80).astype(float)
    by_kendall, kendall = trend(ties), kendalltau(np.arange(80), ties, method="asymptotic")
    assert by_kendall is not None
    assert by_kendall.p == pytest.approx(kendall.pvalue, rel=0.05)
    series = np.random.default_rng(6).normal(30, 1, 100)
    whitney = mannwhitneyu(series[:10], series[50:], alternative="greater", method="asymptotic", use_continuity=False)
    by_whitney = slow_start(series)
    assert by_whitney is not None
    assert by_whitney.p == pytest.approx(whitney.pvalue, rel=1e-6)


@pytest.mark.parametrize("n", [50, 100, 1000])
@pytest.mark.parametrize("family", ONE_HEAP)
def test_one_heap_has_one_speed(family: str, n: int) -> None:
    random = np.random.default_rng(7)
    assert sum(modes(ONE_HEAP[family](random, n)) is not None for _ in range(200)) <= 2


@pytest.mark.parametrize("scatter", [0.01, 0.1, 0.3])
@pytest.mark.parametrize("share", [0.12, 0.3, 0.5])
def test_two_clean_speeds_are_told_though_one_of_them_is_many_deviations_away(scatter: float, share: float) -> None:
    random = np.random.default_rng(17)
    n_slow = round(200 * share)
    found = modes([*random.normal(30, scatter, 200 - n_slow), *random.normal(33, scatter, n_slow)])
    assert found is not None
    assert (found.lower, found.upper, found.share) == pytest.approx((30, 33, share), abs=0.1)


# -- what is said of a series ---------------------------------------------------------------------------


def _told_by(samples: list[float], first_s: float | None) -> list[Flag]:
    return series_of.told_by(samples, summarise(samples), first_s)


def _codes(flags: list[Flag]) -> list[str]:
    return [flag.code for flag in flags]


def test_a_calm_series_needs_no_word() -> None:
    random = np.random.default_rng(9)
    assert _told_by(random.normal(0.030, 0.0002, 100).tolist(), 0.031) == []
    assert series_of.enough(50, 1.0) == series_of.enough(50, None) == []


@pytest.mark.parametrize(
    ("code", "change", "words"),
    [
        ("warming_up", lambda x: [*(x[:10] * 1.3), *x[10:]], "its first 10 timed runs took 1.30 times as long"),
        ("drift", lambda x: x * np.linspace(1, 1.2, 100), "slower from the first timed run to the last"),
        ("bimodal", lambda x: x * (1 + 0.3 * (np.arange(100) % 2)), "two speeds: 50% of its runs take about 30"),
        ("outliers", lambda x: [*x[:-5], *(x[-5:] * 9)], "5 of 100 runs are outliers"),
        ("uncertain", lambda x: x * np.repeat([1, 1.6, 0.9, 1.5, 0.8] * 4, 5), "its median may be anything from"),
    ],
)
def test_what_is_wrong_with_a_series_is_said(code: str, change: Callable[[np.ndarray], np.ndarray], words: str) -> None:
    x = np.random.default_rng(10).normal(0.030, 0.0002, 100)
    found = {flag.code: flag.message for flag in _told_by(list(change(x)), None)}
    assert words in found[code]


def test_a_slow_first_run_and_a_short_series_are_said() -> None:
    series = np.random.default_rng(11).normal(0.030, 0.0002, 100).tolist()
    (flag,) = _told_by(series, 0.6)
    assert "the first run after opening takes 20.0 times as long" in flag.message
    assert _codes(series_of.enough(49, 0.5)) == ["few_runs", "short"]
    assert _codes(series_of.enough(49, 1.0, 200)) == ["few_runs"]
    assert _codes(series_of.enough(120, 1.0, 200)) == ["time_limit"]
    assert "time_limit" not in validity.RULES
    assert all(code in validity.RULES for code in ("few_runs", "short", "warming_up"))
    assert "drift" not in validity.RULES


def test_load_matters_where_threads_need_the_cores() -> None:
    assert validity.background_load(0.3, 2, 2)
    assert not validity.background_load(0.15, 2, 2)
    assert not validity.background_load(0.4, 4, 8)
    assert validity.background_load(0.6, 4, 8)
    assert validity.stolen(0.2, 2)
    assert not validity.stolen(0.05, 2)
    assert validity.frequency_fell(3e9, 2e9) == "the processor went from 3.00 down to 2.00 GHz meanwhile"
    assert not validity.frequency_fell(3e9, 2.9e9)
    assert not validity.frequency_fell(None, 2e9)


# -- verdicts -------------------------------------------------------------------------------------------


def test_files_of_one_speed_that_took_turns_are_seldom_told_apart_and_ten_per_cent_nearly_always() -> None:
    random = np.random.default_rng(12)

    def verdicts(true_ratio: float, scatter: float) -> list[str]:
        found = []
        for _ in range(300):
            pace = np.exp(0.3 * np.cumsum(random.normal(size=10)))  # of the machine, which both share
            noise = np.exp(scatter * random.standard_t(3, (2, 10)))
            ratio = of_turns((0.03 * true_ratio * pace * noise[0]).tolist(), (0.03 * pace * noise[1]).tolist())
            assert ratio is not None
            found.append(ratio.verdict)
        return found

    for scatter in (0.005, 0.03):
        same = verdicts(1.0, scatter)
        assert same.count("no difference shown") >= 0.95 * len(same)
    assert verdicts(1.1, 0.02).count("slower") >= 270
    assert verdicts(1 / 1.1, 0.02).count("faster") >= 270


def test_five_rounds_give_no_verdict() -> None:
    ratio = of_turns([0.06] * 5, [0.03] * 5)
    assert ratio is not None
    assert (ratio.verdict, ratio.value) == ("no difference shown", pytest.approx(2.0))
    six = of_turns([0.06] * 6, [0.03] * 6)
    assert six is not None
    assert six.verdict == "slower"
    assert of_turns([0.0], [1.0]) is None


@pytest.mark.parametrize(
    ("factor", "allowed", "pace", "verdict"),
    [
        (1.2, 0.25, 1.0, "no difference shown"),
        (1.3, 0.25, 1.0, "slower"),
        (0.7, 0.25, 1.0, "faster"),
        (1.2, 0.05, 1.0, "slower"),
        (1.0, 0.0, 1.0, "no difference shown"),
        # Matrix products took twice as long beside the second series, so that it may have been held back; or half.
        (2.0, 0.25, 2.0, "no difference shown"),
        (2.0, 0.25, 0.5, "slower"),
        (0.5, 0.25, 0.5, "no difference shown"),
        (0.5, 0.25, 2.0, "faster"),
    ],
)
def test_what_did_not_take_turns_must_differ_by_more_than_runs_and_the_machines_pace_do(
    factor: float, allowed: float, pace: float, verdict: str
) -> None:
    series = np.random.default_rng(13).normal(0.030, 0.0002, 100)
    ratio = of_series(_latency(series), _latency(series * factor), allowed, pace)
    assert ratio is not None
    assert (ratio.verdict, ratio.value) == (verdict, pytest.approx(factor))
    assert of_series(_latency(series), Measurement("latency", 0.0, "s", "a coarse clock", (0.0,) * 50)) is None


def test_a_ratio_of_few_samples_has_no_interval_and_shows_nothing() -> None:
    ratio = of_series(_latency(np.array([1.0] * 5)), _latency(np.array([2.0] * 50)))
    assert (ratio, ratio and ratio.verdict) == (Ratio(2.0, 0.0, math.inf, 0), "no difference shown")


def test_a_tool_that_tells_a_median_alone_is_compared_by_it() -> None:
    told = [Measurement("latency", seconds, "s", "a tool's own") for seconds in (0.010, 0.013, 0.012)]
    assert of_series(told[0], told[1]) == Ratio(pytest.approx(1.3), pytest.approx(1.04), pytest.approx(1.625), 0)  # type: ignore[arg-type]
    assert [ratio.verdict for other in told[1:] if (ratio := of_series(told[0], other))] == [
        "slower",
        "no difference shown",
    ]


def _latency(samples: np.ndarray) -> Measurement:
    return with_statistics(Measurement("latency", 0.0, "s", "a clock", tuple(samples.tolist())))


def test_two_speeds_are_found_in_a_series_of_a_million_too() -> None:
    """As a file of a few microseconds gives; sums of binomial coefficients would never come to an end there."""
    random = np.random.default_rng(17)
    samples = np.where(random.random(1_000_000) < 0.3, 3e-6, 2e-6) + random.normal(0, 2e-8, 1_000_000)
    found = modes(samples.tolist())
    assert found is not None
    assert found.share == pytest.approx(0.3, abs=0.01)
    assert (found.lower, found.upper) == (pytest.approx(2e-6, rel=0.01), pytest.approx(3e-6, rel=0.01))


def test_the_ticks_of_a_coarse_clock_are_not_two_speeds() -> None:
    random = np.random.default_rng(18)
    ticks = np.round(random.normal(5.5, 0.3, 500)) * 1e-6
    assert modes(ticks.tolist()) is None
    apart = np.round(np.where(random.random(500) < 0.4, 5.5, 50.5) + random.normal(0, 0.3, 500)) * 1e-6
    assert modes(apart.tolist()) is not None


def test_values_of_a_coarse_clock_are_as_independent_as_they_are() -> None:
    """Equal values have one rank: ranks by their places would be a trend."""
    random = np.random.default_rng(19)
    assert correlation_time(random.integers(5, 7, 2000) * 1e-6) < 1.3
