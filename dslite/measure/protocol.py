"""How latency is measured: the one loop every target on the host uses.

After the tools people trust (LiteRT's ``benchmark_model``): the first run apart, warm-up by count and by seconds,
then at least so many runs and so many seconds, with a cap; every sample is kept. Inputs are put in place outside
the timed span.
"""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from dslite.deploy.runtime import Array, Session
from dslite.records import Plan, Progress

_REPORT_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, from `measure_latency`."""

    init_s: float
    first_s: float
    warmup_runs: int
    samples_s: tuple[float, ...]


def measure_latency(open_session: Callable[[], Session], inputs: Array, plan: Plan, progress: Progress) -> Timing:
    """Open a model, run it once, warm it up, then time it.

    Args:
        open_session: opens it; its time is the initialisation time.
        inputs: ``(k, *shape of the input)``, used in turn.
        plan: how many runs and seconds.
        progress: told between runs, never within one, and at most five times a second.
    """
    start = time.perf_counter()
    session = open_session()
    init_s = time.perf_counter() - start

    def timed(i: int) -> float:
        session.feed(inputs[i % len(inputs)])
        begin = time.perf_counter()
        session.invoke()
        return time.perf_counter() - begin

    first_s = timed(0)
    progress("warming up", 0.0)
    n_warmup, begin = 0, time.perf_counter()
    while n_warmup < plan.warmup_runs or time.perf_counter() - begin < plan.warmup_s:
        timed(n_warmup)
        n_warmup += 1
    samples: list[float] = []
    gc.collect()
    gc.disable()  # a collection within a run would be timed as the model's
    try:
        begin = reported = time.perf_counter()
        while not samples or (
            (elapsed := time.perf_counter() - begin) < plan.max_s and (len(samples) < plan.runs or elapsed < plan.min_s)
        ):
            samples.append(timed(len(samples)))
            if time.perf_counter() - reported > _REPORT_EVERY_S:
                reported = time.perf_counter()
                progress("timing", min(len(samples) / plan.runs, 1.0))
    finally:
        gc.enable()
    return Timing(init_s, first_s, n_warmup, tuple(samples))
