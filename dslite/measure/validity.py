"""Whether a figure can be trusted: the rules that a run must keep, and what its series says of it, in sentences.

A run that breaks a rule has a flag with that rule's code, and is shown as not valid. A target adds what it alone knows,
with codes of its own, or of the rules here where these are what it finds broken.
"""

from collections.abc import Sequence

from dslite.measure.statistics import OUTLIER_MADS, count_outliers, median_interval, modes, slow_start, trend
from dslite.records import Flag, Run

ENOUGH_RUNS = 50
ENOUGH_S = 1.0
"""Timed runs and seconds, as in LiteRT's ``benchmark_model``."""
BY_TURNS = "_by_turns"
"""How codes of flags end that come from turns."""
RULES = {
    "few_runs": f"at least {ENOUGH_RUNS} runs were timed",
    "short": f"they took at least {ENOUGH_S:g} s",
    "warming_up": "the first of them are as fast as the others: warm-up was over",
    "threads_exceed_cores": "each thread had a core to run on",
    "background_load": "other processes left the cores alone",
    "stolen": "the hypervisor left the cores to this machine",
    "frequency_fell": "the processor kept its frequency",
    "frequency_limited": "the processor was allowed its frequency",
    "throttled": "the device was not slowed down by heat",
    "not_cool": "the device was cool when it began",
    "battery_saver": "the device did not save its battery",
    "asleep": "the device was awake",
}
"""By the code of the flag of a run that breaks it."""

_BUSY_CORES = 0.5
"""Of other processes, on average while runs are timed, at most; fewer where they have no core to themselves."""
_BUSY_SHARE = 0.1
"""Of all cores, likewise: what an idle system takes now and then."""
_STOLEN_SHARE = 0.05
_FREQUENCY_KEPT = 0.9
_SURE = 0.01
"""Of a trend, or a slow start: how often chance alone gives as much of it."""
_NOTABLE = 0.05
"""Share of the median from which on a trend, a slow start, two speeds or a wide interval matters."""
_MANY_OUTLIERS = 0.02
_SLOW_FIRST = 2.0
_MOSTLY = 0.9
"""Of the seconds, as feeding inputs takes the rest."""


def broken(run: Run) -> list[str]:
    """Give the rules that a run breaks, each in a sentence without a full stop; a run without any is valid."""
    return [flag.message for flag in run.flags if is_rule(flag)]


def is_rule(flag: Flag) -> bool:
    """Tell whether a flag says that a run is not valid."""
    return flag.code.removesuffix(BY_TURNS) in RULES


def threads_exceed_cores(threads: int, n_cores: int) -> str:
    """Say that a runtime has more threads than cores to run on; empty where it has not, or that is not known.

    Args:
        threads: of the runtime.
        n_cores: that they may run on; 0: unknown.
    """
    if not n_cores or threads <= n_cores:
        return ""
    cores = "core" if n_cores == 1 else "cores"
    return f"{threads} threads on {n_cores} {cores}: they wait for each other, which costs time"


def background_load(busy_cores: float, threads: int, n_cores: int) -> str:
    """Say that other processes kept cores busy that a run needed; empty where they did not.

    Args:
        busy_cores: by them, on average while runs were timed.
        threads: of the runtime.
        n_cores: of the machine; 0: unknown.
    """
    free = n_cores - threads
    allowed = min(_BUSY_CORES, max(free, 0) + _BUSY_SHARE * n_cores) if n_cores else _BUSY_CORES
    return f"other processes kept {busy_cores:.1f} cores busy meanwhile" if busy_cores > allowed else ""


def stolen(cores: float, n_cores: int) -> str:
    """Say that a hypervisor gave cores of this machine to others; empty where it did not.

    Args:
        cores: that were wanted and not given, on average while runs were timed.
        n_cores: of the machine.
    """
    if cores <= _STOLEN_SHARE * n_cores:
        return ""
    return f"the hypervisor kept {cores:.2f} of {n_cores} cores for other machines meanwhile"


def frequency_fell(before_hz: float | None, lowest_hz: float | None) -> str:
    """Say that the processor became slower while runs were timed; empty where it did not, or does not tell."""
    if not before_hz or not lowest_hz or lowest_hz >= _FREQUENCY_KEPT * before_hz:
        return ""
    return f"the processor went from {before_hz / 1e9:.2f} down to {lowest_hz / 1e9:.2f} GHz meanwhile"


def enough(n_runs: int, total_s: float | None) -> list[Flag]:
    """Judge how much was timed.

    Args:
        n_runs: timed.
        total_s: that they took; None: unknown.
    """
    found = []
    if n_runs < ENOUGH_RUNS:
        runs = "run was" if n_runs == 1 else "runs were"
        found.append(Flag("few_runs", f"{n_runs} {runs} timed: {ENOUGH_RUNS} or more say what is usual (--runs)"))
    if total_s is not None and total_s < _MOSTLY * ENOUGH_S:
        told = f"{total_s:.2g} s were timed: what lasts longer, such as other processes, is not seen (--min-seconds)"
        found.append(Flag("short", told))
    return found


def of_series(samples: Sequence[float], first_s: float | None) -> list[Flag]:
    """Say what a reader must know of a series of latencies: what its order, its shape and its first run tell.

    Args:
        samples: seconds, in their order.
        first_s: the first run after opening; None: unknown.
    """
    told = {
        "warming_up": (warming := _warming_up(samples)),
        "drift": "" if warming else _drift(samples),
        "bimodal": _bimodal(samples),
        "outliers": _outliers(samples),
        "uncertain": _uncertain(samples),
        "slow_first": _slow_first(samples, first_s),
    }
    return [Flag(code, message) for code, message in told.items() if message]


def _warming_up(samples: Sequence[float]) -> str:
    start = slow_start(samples)
    if start is None or start.p > _SURE or start.ratio < 1 + _NOTABLE:
        return ""
    return (
        f"its first {start.n} timed runs took {start.ratio:.2f} times as long as its second half: "
        "warm-up was not over (--warmup-seconds)"
    )


def _drift(samples: Sequence[float]) -> str:
    found = trend(samples)
    if found is None or found.p > _SURE or abs(found.change) < _NOTABLE:
        return ""
    way = "slower" if found.change > 0 else "faster"
    return f"it became {abs(found.change):.0%} {way} from the first timed run to the last"


def _bimodal(samples: Sequence[float]) -> str:
    found = modes(samples)
    if found is None or found.upper < found.lower * (1 + _NOTABLE):
        return ""
    return (
        f"it has two speeds: {1 - found.share:.0%} of its runs take about {found.lower * 1e3:.3g} ms, the others "
        f"{found.upper * 1e3:.3g}; its median is one of them"
    )


def _outliers(samples: Sequence[float]) -> str:
    n = count_outliers(samples)
    if n < 2 or n <= _MANY_OUTLIERS * len(samples):  # noqa: PLR2004 - one is none
        return ""
    return (
        f"{n} of {len(samples)} runs are outliers, up to {max(samples) * 1e3:.3g} ms (more than {OUTLIER_MADS:g} "
        "median absolute deviations from the median); they are kept"
    )


def _uncertain(samples: Sequence[float]) -> str:
    interval = median_interval(samples)
    if interval is None or interval[1] - interval[0] < 2 * _NOTABLE * interval[0]:
        return ""
    return f"its median may be anything from {interval[0] * 1e3:.3g} to {interval[1] * 1e3:.3g} ms (95 % interval)"


def _slow_first(samples: Sequence[float], first_s: float | None) -> str:
    usual = sorted(samples)[len(samples) // 2]
    if first_s is None or not usual or first_s < _SLOW_FIRST * usual:
        return ""
    return f"the first run after opening takes {first_s / usual:.1f} times as long as later ones"
