"""What a series of latencies says of itself: whether it is enough, and what its order and its shape tell."""

from collections.abc import Mapping, Sequence
from typing import Any

from dslite.measure.statistics import OUTLIER_MADS, modes, slow_start
from dslite.measure.validity import ENOUGH_RUNS, ENOUGH_S
from dslite.records import Flag

CODES = frozenset({"few_runs", "time_limit", "short", "warming_up", "drift", "bimodal", "outliers", "uncertain"})
"""Of the flags that are about the timed runs of one process; ``slow_first`` is about the run before them."""

_SURE = 0.01
"""Of a trend, or a slow start: how often chance alone gives as much of it."""
_NOTABLE = 0.05
"""Share of the median from which on a trend, a slow start, two speeds or a wide interval matters."""
_MANY_OUTLIERS = 0.02
_SLOW_FIRST = 2.0
_MOSTLY = 0.9
"""Of the seconds, as the last run may be counted or not."""


def enough(n_runs: int, elapsed_s: float | None, n_asked: int = 0) -> list[Flag]:
    """Judge how much was timed: runs, of as many as were asked for, and seconds from first to last, where known."""
    found = []
    if n_runs < n_asked:
        told = f"{n_runs} timed runs where {n_asked} were asked for: the time limit came first (--max-seconds)"
        found.append(Flag("few_runs" if n_runs < ENOUGH_RUNS else "time_limit", told))
    elif n_runs < ENOUGH_RUNS:
        runs = "run was" if n_runs == 1 else "runs were"
        found.append(Flag("few_runs", f"{n_runs} {runs} timed: {ENOUGH_RUNS} or more say what is usual (--runs)"))
    if elapsed_s is not None and elapsed_s < _MOSTLY * ENOUGH_S:
        told = f"timing took {elapsed_s:.2g} s: what lasts longer, such as other processes, is not seen (--min-seconds)"
        found.append(Flag("short", told))
    return found


def elapsed_s(samples: Sequence[float], conditions: Mapping[str, Any]) -> float | None:
    """Give the seconds that a series took, with what was between its runs: as its target tells, else their sum."""
    elapsed: float | None = conditions.get("elapsed_s")
    return elapsed or sum(samples) or None


def told_by(samples: Sequence[float], statistics: Mapping[str, float], first_s: float | None) -> list[Flag]:
    """Say what a reader must know of a series of latencies: what its order, its shape and its first run tell.

    Args:
        samples: seconds, in their order.
        statistics: of the samples, from `dslite.measure.statistics.summarise`.
        first_s: the first run after opening; None: unknown.
    """
    told = {
        "warming_up": (warming := _warming_up(samples)),
        "drift": "" if warming else _drift(statistics),
        "bimodal": _bimodal(samples),
        "outliers": _outliers(statistics),
        "uncertain": _uncertain(statistics),
        "slow_first": _slow_first(statistics, first_s),
    }
    return [Flag(code, message) for code, message in told.items() if message]


def _warming_up(samples: Sequence[float]) -> str:
    start = slow_start(samples)
    if start is None or start.p > _SURE or start.ratio < 1 + _NOTABLE:
        return ""
    return (
        f"its first {start.n} timed runs took {start.ratio:.2f} times as long as its second half: "
        "warm-up was not over (--warmup-seconds), or its beginning was disturbed"
    )


def _drift(statistics: Mapping[str, float]) -> str:
    change = statistics.get("trend", 0.0)
    if abs(change) < _NOTABLE or statistics["trend_p"] > _SURE:
        return ""
    way = "slower" if change > 0 else "faster"
    return f"it became {abs(change):.0%} {way} from the first timed run to the last"


def _bimodal(samples: Sequence[float]) -> str:
    found = modes(samples)
    if found is None or found.upper < found.lower * (1 + _NOTABLE):
        return ""
    return (
        f"it has two speeds: {1 - found.share:.0%} of its runs take about {found.lower * 1e3:.3g} ms, the others "
        f"{found.upper * 1e3:.3g}; its median is one of them"
    )


def _outliers(statistics: Mapping[str, float]) -> str:
    n, of = round(statistics["outliers"]), round(statistics["n"])
    if n < 2 or n <= _MANY_OUTLIERS * of:  # noqa: PLR2004 - one is none
        return ""
    return (
        f"{n} of {of} runs are outliers, up to {statistics['max'] * 1e3:.3g} ms (more than {OUTLIER_MADS:g} median "
        "absolute deviations from the median); they are kept"
    )


def _uncertain(statistics: Mapping[str, float]) -> str:
    low, high = statistics.get("low"), statistics.get("high")
    if low is None or high is None or high - low <= 2 * _NOTABLE * low:
        return ""
    return f"its median may be anything from {low * 1e3:.3g} to {high * 1e3:.3g} ms (95 % interval)"


def _slow_first(statistics: Mapping[str, float], first_s: float | None) -> str:
    usual = statistics["p50"]
    if first_s is None or not usual or first_s < _SLOW_FIRST * usual:
        return ""
    return f"the first run after opening takes {first_s / usual:.1f} times as long as later ones"
