"""How latency is measured: the one loop every target on the host uses.

After the tools people trust (LiteRT's ``benchmark_model``): the first run apart, warm-up by count and by seconds,
then at least so many runs and so many seconds, with a cap; every sample is kept. Inputs are put in place outside
the timed span.
"""

import gc
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from dslite.deploy.runtime import Array, Session
from dslite.measure.watch import Watch
from dslite.records import Plan, Progress

_REPORT_EVERY_S = 0.2
_N_VISITS = 6
"""Times that each of several files has its turn within a process: even, so that each is as often first as last."""
_WARMUP_TOGETHER_S = 0.1
"""For each file, at most: of several processes, each warms up anew."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, from `measure_latency`."""

    init_s: float
    first_s: float
    warmup_runs: int
    samples_s: tuple[float, ...]


def measure_latency(
    open_session: Callable[[], Session], inputs: Array, plan: Plan, progress: Progress, watch: Watch | None = None
) -> Timing:
    """Open a model, run it once, warm it up, then time it.

    Args:
        open_session: opens it; its time is the initialisation time.
        inputs: ``(k, *shape of the input)``, used in turn.
        plan: how many runs and seconds.
        progress: told between runs, never within one, and at most five times a second.
        watch: of the machine, from the first timed run to the last, likewise.
    """
    start = time.perf_counter()
    session = open_session()
    init_s = time.perf_counter() - start
    first_s = _timed(session, inputs, 0)
    progress("warming up", 0.0)
    n_warmup, begin = 0, time.perf_counter()
    while n_warmup < plan.warmup_runs or time.perf_counter() - begin < plan.warmup_s:
        _timed(session, inputs, n_warmup)
        n_warmup += 1
    samples: list[float] = []
    with _undisturbed(watch):
        begin = reported = time.perf_counter()
        while not samples or (
            (elapsed := time.perf_counter() - begin) < plan.max_s and (len(samples) < plan.runs or elapsed < plan.min_s)
        ):
            samples.append(_timed(session, inputs, len(samples)))
            if time.perf_counter() - reported > _REPORT_EVERY_S:
                reported = time.perf_counter()
                progress("timing", min(len(samples) / plan.runs, 1.0))
                if watch:
                    watch.look()
    return Timing(init_s, first_s, n_warmup, tuple(samples))


def _timed(session: Session, inputs: Array, i: int) -> float:
    """Feed a model the next of its inputs, and time how long it runs, seconds."""
    session.feed(inputs[i % len(inputs)])
    begin = time.perf_counter()
    session.invoke()
    return time.perf_counter() - begin


@contextmanager
def _undisturbed(watch: Watch | None) -> Iterator[None]:
    """Watch the machine while runs are timed, and collect no garbage: that would be timed as the model's."""
    gc.collect()
    if watch:
        watch.begin()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    if watch:
        watch.end()


@dataclass(frozen=True, slots=True)
class Turn:
    """What a file took of a turn that several had together.

    Attributes:
        samples_s: of each timed run.
        elapsed_s: of all of them, with what was between.
    """

    samples_s: tuple[float, ...]
    elapsed_s: float


def measure_together(
    openers: Sequence[Callable[[], Session]],
    inputs: Sequence[Array],
    plan: Plan,
    progress: Progress,
    watch: Watch | None = None,
) -> list[Turn]:
    """Open several models, warm each up, then time them in turn, a few runs at a time: A B B A A B B A ...

    What disturbs one disturbs the others, so ratios of their medians are steadier than any of these. Before the first
    run of a visit that is timed there is one that is not: it finds the caches full of another model.

    Args:
        openers: of each model, what opens it.
        inputs: of each, ``(k, *shape of its input)``, used in turn.
        plan: how many runs and seconds, for each of them.
        progress: told between visits.
        watch: as in `measure_latency`.

    Returns:
        The turn of each.
    """
    sessions = [open_() for open_ in openers]
    samples: list[list[float]] = [[] for _ in sessions]
    seconds_of = [0.0] * len(sessions)

    def run(k: int) -> float:
        return _timed(sessions[k], inputs[k], len(samples[k]))

    for k in range(len(sessions)):
        begin, n_warmup = time.perf_counter(), 0
        while n_warmup <= plan.warmup_runs or time.perf_counter() - begin < min(plan.warmup_s, _WARMUP_TOGETHER_S):
            run(k)
            n_warmup += 1
    order = list(range(len(sessions)))
    visits = [k for i in range(_N_VISITS) for k in (order[::-1] if i % 2 else order)]
    n_runs, seconds, most = math.ceil(plan.runs / _N_VISITS), plan.min_s / _N_VISITS, plan.max_s / _N_VISITS
    with _undisturbed(watch):
        for i, k in enumerate(visits):
            run(k)
            visit, n, elapsed = time.perf_counter(), 0, 0.0
            while not n or (elapsed < most and (n < n_runs or elapsed < seconds)):
                samples[k].append(run(k))
                n, elapsed = n + 1, time.perf_counter() - visit
            seconds_of[k] += elapsed
            progress("timing in turn", i / len(visits))
    return [Turn(tuple(each), seconds) for each, seconds in zip(samples, seconds_of, strict=True)]
