"""Whether a figure can be trusted: the rules that a run must keep, in sentences. What its series says: `series.py`.

A run that breaks a rule has a flag with that rule's code, and is shown as not valid. A target adds what it alone knows,
with codes of its own, or of the rules here where these are what it finds broken. Targets import this as they are
loaded, so it imports nothing that takes long.
"""

from dslite.records import Flag, Run

RUN_TO_RUN = 0.25
"""Share by which two runs of one file, a process each, may differ.

Chosen with room: right after each other on a quiet machine they differ by a few per cent
(`benchmarks/results/trust.md`), days apart, or beside the work of others, by more than such a benchmark shows.
"""
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
OF_THE_MOMENT = frozenset(RULES) - {"few_runs", "short", "warming_up", "threads_exceed_cores"}
"""Codes that tell what the machine did while runs were timed: they go where these runs go."""

_BUSY_CORES = 0.5
"""Of other processes, on average while runs are timed, at most; fewer where they have no core to themselves."""
_BUSY_SHARE = 0.1
"""Of all cores, likewise: what an idle system takes now and then."""
_STOLEN_SHARE = 0.05
_FREQUENCY_KEPT = 0.9


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
    if busy_cores <= allowed:
        return ""
    of = f" of {n_cores}" if n_cores else ""
    return f"other processes kept {busy_cores:.2f}{of} cores busy meanwhile, where {allowed:.2f} are allowed"


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
