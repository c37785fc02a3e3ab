"""What rows of an experiment are relative to the uncompressed float32 file: differences, speed-ups, and flags.

These are figures of the rows themselves, found from their measurements, with what a reader must know of them.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

from dslite.measure.turns import FAILED_BY_TURNS
from dslite.metrics import find, value
from dslite.metrics.scores import Difference
from dslite.records import Flag, Measurement, Run

BASE = "tflite-float32"
"""The exporter of the file that every row is compared with, of the model as it was trained."""
SAME_SPEED = 0.1
"""Speeds within this share of each other are called the same: on a busy machine even rounds leave as much."""
ENOUGH_TURNS = 5
"""From which on ranges of speed-ups tell files apart.

Were turns independent, those of two files that are as fast as each other, five turns each, would lie apart in 1 of 126
cases (2 of the 252 ways to choose five of ten), and one apart from the file that all are compared with in 1 of 16.
Turns are neighbours in time, so medians must differ by `SAME_SPEED` too.
"""
_OF_SPEED = ("slower", "zeros_not_faster", "zeros_unproven")
_SPARSE = 0.1
_SAME_MACS = 0.01
_FRONT_END_NODES = 12
"""LiteRT's own kernels run up to so many operators of any whole file: those of the front end, and around it."""


def chain(compressors: Sequence[str]) -> str:
    """Name compressors that were applied in turn, as the user does."""
    return "+".join(compressors) or "none"


def trial_names(runs: Sequence[Run]) -> list[str]:
    """Name rows of an experiment: compressors and exporter; the target too where there are several."""
    several = len({run.target for run in runs}) > 1
    return [trial_name(run) + (f", {run.target}" if several else "") for run in runs]


def trial_name(run: Run) -> str:
    """Name a row of an experiment: ``prune+qat, tflite-int8``."""
    return f"{chain(run.artifact.compressors)}, {run.artifact.exporter or ''}"


def compared(runs: Sequence[Run], difference: Callable[[Run, Run], Difference | None]) -> list[Run]:
    """Add to rows what they are against the uncompressed float32 file, and flags.

    Args:
        runs: of an experiment, in any order; those that failed stay as they are.
        difference: gives the difference in UAR of one run from another; None where it is not known.

    Returns:
        The rows with ``uar_difference``, its ``low`` and ``high`` where there is an interval, and ``speed_up`` where
        both files were timed by turns: against the file of their target that `bases` gives.
    """
    of_target, found = bases(runs), list[Run]()
    base = next((run for run in of_target.values() if run.artifact.exporter == BASE), None)
    for run in runs:
        new = []
        if base and not run.error and run.artifact.path != base.artifact.path:
            new += _score_difference(base, difference(run, base))
        if not run.error:
            new += _speed_up(run, of_target.get(run.target))
        found.append(replace(run, measurements=(*run.measurements, *new)))
    of_target = bases(found)
    return [
        run if run.error else replace(run, flags=(*run.flags, *_flags(run, name, of_target.get(run.target), found)))
        for name, run in zip(trial_names(found), found, strict=True)
    ]


def without(run: Run, *metrics: str) -> Run:
    """Take away from a row what `compared` has added of these metrics, and of speed what it said of that."""
    codes = _OF_SPEED if "speed_up" in metrics else ()
    kept = tuple(m for m in run.measurements if m.metric not in metrics)
    return replace(run, measurements=kept, flags=tuple(flag for flag in run.flags if flag.code not in codes))


def bases(runs: Sequence[Run]) -> dict[str, Run]:
    """Give the row of each target that speeds there are compared with.

    That is the uncompressed float32 file, or where no such runs there, the first uncompressed one.
    """
    plain = [run for run in runs if not run.artifact.compressors and not run.error]
    found: dict[str, Run] = {}
    for run in sorted(plain, key=lambda run: run.artifact.exporter != BASE):  # stable: float32 first
        found.setdefault(run.target, run)
    return found


def why_no_speed(runs: Sequence[Run]) -> str:
    """Say why none of the rows has a speed-up; nothing where one has."""
    if any(find(run.measurements, "speed_up") for run in runs):
        return ""
    if any(map(failed_by_turns, runs)):
        return "files failed when they were timed by turns"
    if any(find(run.measurements, "turn_latency") for run in runs):
        return "no uncompressed file ran that the others could be compared with"
    return "the experiment was stopped before files were timed by turns"


def is_timed_enough(run: Run) -> bool:
    """Tell whether a row with a speed-up took turns enough for a verdict on it."""
    speed = find(run.measurements, "speed_up")
    return speed is not None and (is_of_reference(speed) or len(speed.samples) >= ENOUGH_TURNS)


def is_of_reference(speed_up: Measurement) -> bool:
    """Tell whether a speed-up is that of the file that others are compared with."""
    return set(speed_up.samples) == {1.0}


def is_faster(run: Run, than: Run) -> bool:
    """Tell whether one row of a target is faster than another: in the median, and with its range above the other's."""
    ours, theirs = value(run, "speed_up") or 0.0, value(than, "speed_up") or 0.0
    return ours > theirs * (1 + SAME_SPEED) and speed_range(run)[0] > speed_range(than)[1]


def speed_range(run: Run) -> tuple[float, float]:
    """Give the least and the greatest speed-up; of the file that others are compared with both are 1."""
    speed = find(run.measurements, "speed_up")
    return (speed.statistics.get("low", speed.value), speed.statistics.get("high", speed.value)) if speed else (0, 0)


def failed_by_turns(run: Run) -> bool:
    """Tell whether a row has no speed-up as it, or what it is compared with, failed when files took turns."""
    return any(flag.code == FAILED_BY_TURNS for flag in run.flags)


def _score_difference(base: Run, found: Difference | None) -> list[Measurement]:
    if found is None:
        return []
    method = f"UAR minus that of {trial_name(base)} on the same {found.n} files"
    statistics = {"n": float(found.n), "n_changed": float(found.n_changed)}
    if found.interval:
        method += (
            f", with the 95 % interval of {found.n_resamples} bootstrap resamples of files, the same for both (paired)"
        )
        statistics |= dict(zip(("low", "high"), found.interval, strict=True))
    return [Measurement("uar_difference", found.difference, "ratio", method, statistics=statistics)]


def _speed_up(run: Run, base: Run | None) -> list[Measurement]:
    """Give the median ratio, the least and the greatest: no confidence interval, as turns are neighbours in time."""
    ratios = _speeds(run)
    if not base or not ratios:
        return []
    same_bytes = run.artifact.sha256 and run.artifact.sha256 == base.artifact.sha256
    if same_bytes or run.artifact.path == base.artifact.path:  # there is no range
        method = f"1: it is {trial_name(base)}, which others are compared with, or has the same bytes"
        return [Measurement("speed_up", 1.0, "ratio", method, ratios)]
    method = f"median latency of {trial_name(base)} on {run.target} divided by that of this file, timed next to it"
    if len(ratios) == 1:
        return [Measurement("speed_up", median(ratios), "ratio", f"{method} once", ratios)]
    method += f" in each of {len(ratios)} rounds; the median of these ratios, in brackets the least and the greatest"
    statistics = {"n": float(len(ratios)), "low": min(ratios), "high": max(ratios)}
    return [Measurement("speed_up", median(ratios), "ratio", method, ratios, statistics)]


def _speeds(run: Run) -> tuple[float, ...]:
    """Give in each turn how many times faster a file is than the one it is compared with; none where it took none."""
    ours, theirs = find(run.measurements, "turn_latency"), find(run.measurements, "reference_latency")
    if not ours or not theirs or not all(ours.samples):
        return ()  # a clock may be too coarse for a small model
    return tuple(before / now for now, before in zip(ours.samples, theirs.samples, strict=True))


def _ratios(run: Run, other: Run) -> tuple[float, ...]:
    """Give in each round how many times faster one file is than another; none where not both have a speed-up."""
    ours, theirs = find(run.measurements, "speed_up"), find(other.measurements, "speed_up")
    if not ours or not theirs:
        return ()
    if is_of_reference(theirs):
        return ours.samples
    pairs = zip(ours.samples, theirs.samples, strict=True) if len(ours.samples) == len(theirs.samples) else ()
    return tuple(a / b for a, b in pairs)


def _flags(run: Run, name: str, base: Run | None, runs: Sequence[Run]) -> list[Flag]:
    """Tell of a file that became slower, zeros that are not faster, half a delegate; all have their speed-ups."""
    found = []
    speed = find(run.measurements, "speed_up")
    if base and speed and is_timed_enough(run) and is_faster(base, run):
        times = f"{1 / speed.value:.2f} times its latency, and slower in each of {len(speed.samples)} rounds"
        found.append(Flag("slower", f"{name}: slower than {trial_name(base)}, {times}"))
    sparsity, denser, macs = value(run, "sparsity"), _denser(run, runs), value(run, "macs")
    if denser and median(_ratios(run, denser)) < 1 + SAME_SPEED:
        told = (
            f"{name}: {sparsity:.0%} of its weights are zero, and it is not {SAME_SPEED:.0%} faster than "
            f"{trial_name(denser)}: {run.target} computes with zeros as with any weight"
        )
        found.append(Flag("zeros_not_faster", told))
    elif denser and macs is not None and (value(denser, "macs") or 0) > macs * (1 + _SAME_MACS):
        told = (
            f"{name}: {sparsity:.0%} of its weights are zero, and it is faster than {trial_name(denser)}, which "
            "computes more: without a row that has all but the zeros, what these gain is not shown"
        )
        found.append(Flag("zeros_unproven", told))
    nodes, delegated = find(run.measurements, "nodes"), find(run.measurements, "delegated_nodes")
    if nodes and delegated and nodes.value - delegated.value > _FRONT_END_NODES:
        others = delegated.method.partition("; ")[2]
        told = f"{name}: XNNPACK takes {delegated.value:.0f} of {nodes.value:.0f} nodes; {others}"
        found.append(Flag("partly_delegated", told))
    return found


def _denser(run: Run, runs: Sequence[Run]) -> Run | None:
    """Give the row without the zeros of a row that else has most in common with it, and was timed in turn with it.

    That is one of the same exporter and target, whose compressors are some of the row's, in the same order.
    """
    links, sparsity = run.artifact.compressors, value(run, "sparsity")
    if sparsity is None or sparsity < _SPARSE:
        return None
    able = [
        other
        for other in runs
        if (other.artifact.exporter, other.target) == (run.artifact.exporter, run.target)
        and len(other.artifact.compressors) < len(links)
        and _are_among(other.artifact.compressors, links)
        and len(_ratios(run, other)) >= ENOUGH_TURNS
        and (theirs := value(other, "sparsity")) is not None
        and theirs <= sparsity - _SPARSE
    ]
    return max(able, key=lambda o: (len(o.artifact.compressors), -(value(o, "macs") or 0)), default=None)


def _are_among(some: Sequence[str], links: Sequence[str]) -> bool:
    rest = iter(links)
    return all(link in rest for link in some)
