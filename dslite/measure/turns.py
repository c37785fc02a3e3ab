"""Files that take turns to be timed, each next to the one that it is compared with."""

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from dslite.measure import series, watch
from dslite.measure.figures import DERIVED, derived, with_statistics
from dslite.measure.validity import BY_TURNS, OF_THE_MOMENT
from dslite.metrics import find
from dslite.records import Flag, Measurement, Run

FAILED_BY_TURNS = f"failed{BY_TURNS}"
"""Code of the flag of a run that failed when files took turns."""
_OF_TURNS = ("turn_latency", "reference_latency")
_SEEN_OFTEN = 0.2
"""Share of the turns from which on what was seen in them is told: ratios of turns do without one that was disturbed."""


def timed_by_turns(run: Run, turns: Sequence[Run], references: Sequence[Run]) -> Run:
    """Give a run the latency of the turns that its file took among others, in place of its own.

    Args:
        run: with a latency.
        turns: runs of the same file, in their order.
        references: of each turn, the run of the file it is compared with that was timed next to it.

    Returns:
        The run; its latency has the samples of all turns, ``turns`` of its conditions those of each, and it has their
        flags, where a fifth of them has one. ``turn_latency`` has the median of each, and ``reference_latency`` that of
        the turn beside it. Where a turn failed, the run keeps the latency it has, and where one beside it did, it has
        no ``reference_latency``; a flag says so. What earlier turns gave goes in any case.
    """
    others = [m for m in run.measurements if m.metric not in _OF_TURNS]
    flags = [flag for flag in run.flags if flag.code != FAILED_BY_TURNS]
    run = replace(run, measurements=tuple(others), flags=tuple(flags))
    taken, beside = ([m for each in runs if (m := _sampled(each))] for runs in (turns, references))
    for runs, there, who in ((turns, taken, "it"), (references, beside, "the file that it is compared with")):
        if failed := [each.error for each in runs if each.error]:
            told = f"{who} failed in {len(failed)} of {len(runs)} turns, so it has no speed-up: {failed[0]}"
            flag = Flag(FAILED_BY_TURNS, f"{Path(run.artifact.path).name}: timed by turns, {told}")
            run = replace(run, flags=(*run.flags, flag))
            there.clear()
    if not taken or len(taken) < len(turns):
        return run  # or of a target that gives no samples
    samples = tuple(itertools.chain.from_iterable(m.samples for m in taken))
    latency = replace(
        taken[0], method=f"in each of {len(taken)} turns among all files, {taken[0].method}", samples=samples
    )
    found = [latency, *(m for m in others if m.metric not in (latency.metric, "matmul_rate", *DERIVED))]
    rates = [m for each in (run, *turns) if (m := find(each.measurements, "matmul_rate"))]
    found += sorted(rates, key=lambda m: m.value)[-1:]  # what the machine reaches, it reaches undisturbed
    whose = "each of its turns", "the turn beside each, of the file that it is compared with"
    for metric, there, of in zip(_OF_TURNS, (taken, beside), whose, strict=True):
        if len(there) == len(taken):
            found.append(Measurement(metric, 0.0, "s", f"median latency in {of}", tuple(m.value for m in there)))
    run = replace(_with_what_was_seen(run, turns, taken), measurements=tuple(map(with_statistics, found)))
    return replace(run, measurements=(*run.measurements, *derived(run)))


def _with_what_was_seen(run: Run, turns: Sequence[Run], taken: Sequence[Measurement]) -> Run:
    """Add flags and conditions of the turns, in place of those of earlier turns, and of the series they replace."""
    n_runs = sum(len(m.samples) for m in taken)
    elapsed = sum(series.elapsed_s(m.samples, turn.conditions) or 0 for m, turn in zip(taken, turns, strict=True))
    in_all = watch.over_turns([turn.conditions for turn in turns])
    earlier = {flag.code for flag in run.flags if flag.code.endswith(BY_TURNS)} - {FAILED_BY_TURNS}
    gone = earlier | series.CODES | OF_THE_MOMENT
    kept = [flag for flag in run.flags if flag.code not in gone] + series.enough(n_runs, elapsed)
    kept += watch.flags(in_all | {"cpu_frequency": None}, run.plan.threads) if in_all else []
    # Turns are short, each begins anew, and together they are no series.
    told = {flag.code for flag in kept} | series.CODES | {"slow_first"} | (watch.OF_CORES if in_all else set())
    often = Counter(flag.code for turn in turns for flag in turn.flags)
    new = {flag.code: flag for turn in turns for flag in turn.flags if flag.code not in told}
    by_turns = [
        Flag(code + BY_TURNS, flag.message) for code, flag in new.items() if often[code] >= _SEEN_OFTEN * len(turns)
    ]
    seen = [turn.conditions for turn in turns]
    conditions = {name: value for name, value in run.conditions.items() if name != "turns"} | in_all
    if any(seen):
        conditions["turns"] = seen
    return replace(run, flags=(*kept, *by_turns), conditions=conditions)


def _sampled(run: Run) -> Measurement | None:
    found = find(run.measurements, "latency")
    return found if found and found.samples and not run.error else None
