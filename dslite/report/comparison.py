"""What a row of an experiment is against others: figures, and what a reader must know of them."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from dslite.learn.metrics import Difference
from dslite.records import Flag, Measurement, Run
from dslite.report.columns import chain, find, value

BASE = "tflite-float32"
"""The exporter of the file that every row is compared with, of the model as it was trained."""
SAME_SPEED = 0.1
"""Speeds within this share of each other are called the same: on a busy machine a repetition differs by as much."""
_SPARSE = 0.1
_SAME_MACS = 0.01
_FRONT_END_NODES = 12
"""LiteRT's own kernels run up to so many operators of any whole file: those of the front end, and around it."""


def name(run: Run, among: Sequence[Run] = ()) -> str:
    """Name a row: compressors and exporter; the target too where rows are of several."""
    parts = [chain(run.artifact.compressors), run.artifact.exporter or ""]
    several = len({other.target for other in among}) > 1
    return ", ".join([*parts, run.target] if several else parts)


def compared(runs: Sequence[Run], difference: Callable[[Run, Run], Difference | None]) -> list[Run]:
    """Add to rows what they are against the uncompressed float32 file, and flags.

    Args:
        runs: of an experiment, in any order; those that failed stay as they are.
        difference: gives the difference in UAR of one run from another; None where it is not known.

    Returns:
        The rows with ``uar_difference``, its ``low`` and ``high`` where there is an interval, and ``speed_up``: against
        the float32 file, or where no such runs on their target, the first uncompressed file there.
    """
    of_target, found = bases(runs), []
    base = next((run for run in of_target.values() if run.artifact.exporter == BASE), None)
    for run in runs:
        new = []
        if base and not run.error and run.artifact.path != base.artifact.path:
            new += _difference(base, difference(run, base))
        if not run.error:
            new += _speed_up(run, of_target.get(run.target))
        found.append(replace(run, measurements=(*run.measurements, *new)))
    return [replace(run, flags=(*run.flags, *_flags(run, of_target.get(run.target), found))) for run in found]


def bases(runs: Sequence[Run]) -> dict[str, Run]:
    """Give the row of each target that speeds there are compared with: the uncompressed float32 file, if it runs."""
    plain = [run for run in runs if not run.artifact.compressors and not run.error]
    found: dict[str, Run] = {}
    for run in sorted(plain, key=lambda run: run.artifact.exporter != BASE):  # stable: float32 first
        found.setdefault(run.target, run)
    return found


def took_turns(run: Run) -> bool:
    """Tell whether a file was timed in rounds with all others, and not when its row was at hand."""
    latency = find(run, "latency")
    return latency is not None and "rounds" in latency.statistics


def _difference(base: Run, found: Difference | None) -> list[Measurement]:
    if found is None:
        return []
    method = f"UAR minus that of {name(base)} on the same {found.n} files"
    statistics = {"n": float(found.n)}
    if found.interval:
        method += (
            f"; low and high: 95 % interval of {found.n_resamples} bootstrap resamples of files, the same for both "
            "(paired)"
        )
        statistics |= dict(zip(("low", "high"), found.interval, strict=True))
    return [Measurement("uar_difference", found.difference, "ratio", method, statistics=statistics)]


def _speed_up(run: Run, base: Run | None) -> list[Measurement]:
    ours, theirs = value(run, "latency"), base and value(base, "latency")
    if not base or not ours or not theirs:
        return []
    how = "by turns" if took_turns(run) and took_turns(base) else "not by turns"
    method = f"median latency of {name(base)} by that of this file, on {run.target} in the same experiment, {how}"
    return [Measurement("speed_up", theirs / ours, "ratio", method)]


def _flags(run: Run, base: Run | None, runs: Sequence[Run]) -> list[Flag]:
    """Tell of a file that became slower, zeros that are not faster, half a delegate."""
    found, ours = [], name(run, runs)
    if base and _is_slower(run, base):
        times = (value(run, "latency") or 0) / (value(base, "latency") or 1)
        found.append(Flag("slower", f"{ours}: slower than {name(base)}, {times:.2f} times its latency"))
    sparsity, denser = value(run, "sparsity"), _denser(run, runs)
    if denser and (value(denser, "latency") or 0) < (value(run, "latency") or 0) * (1 + SAME_SPEED):
        told = (
            f"{ours}: {sparsity:.0%} of its weights are zero, and it is not {SAME_SPEED:.0%} faster than "
            f"{name(denser)}: {run.target} computes with zeros as with any weight"
        )
        found.append(Flag("zeros_not_faster", told))
    elif denser and _computes_more(denser, run):
        told = (
            f"{ours}: {sparsity:.0%} of its weights are zero, and it is faster than {name(denser)}, which computes "
            "more: without a row that has all but the zeros, what these gain is not shown"
        )
        found.append(Flag("zeros_unproven", told))
    nodes, delegated = find(run, "nodes"), find(run, "delegated_nodes")
    if nodes and delegated and nodes.value - delegated.value > _FRONT_END_NODES:
        told = (
            f"{ours}: XNNPACK takes {delegated.value:.0f} of {nodes.value:.0f} nodes; "
            f"{delegated.method.partition('; ')[2]}"
        )
        found.append(Flag("partly_delegated", told))
    return found


def _is_slower(run: Run, base: Run) -> bool:
    """Tell whether a file is slower than another one, and not only measured while the machine was busy.

    Then both its median and its fastest run are, by more than the tolerance.
    """
    ours, theirs = find(run, "latency"), find(base, "latency")
    if not ours or not theirs:
        return False
    pairs = (ours.value, theirs.value), (_fastest(ours), _fastest(theirs))
    return all(one > other * (1 + SAME_SPEED) for one, other in pairs)


def _fastest(latency: Measurement) -> float:
    return latency.statistics.get("min", latency.value)


def _denser(run: Run, runs: Sequence[Run]) -> Run | None:
    """Give the row that has not the zeros of a row, and else most in common with it.

    That is one of the same exporter and target, measured like it, whose compressors are some of the row's, in the same
    order.
    """
    links, sparsity = run.artifact.compressors, value(run, "sparsity")
    if sparsity is None or sparsity < _SPARSE or not value(run, "latency"):
        return None
    able = [
        other
        for other in runs
        if (other.artifact.exporter, other.target) == (run.artifact.exporter, run.target)
        and len(other.artifact.compressors) < len(links)
        and _are_among(other.artifact.compressors, links)
        and value(other, "latency")
        and (theirs := value(other, "sparsity")) is not None
        and theirs <= sparsity - _SPARSE
    ]
    return max(able, key=lambda o: (len(o.artifact.compressors), -(value(o, "macs") or 0)), default=None)


def _computes_more(run: Run, than: Run) -> bool:
    ours, theirs = value(run, "macs"), value(than, "macs")
    return ours is not None and theirs is not None and ours > theirs * (1 + _SAME_MACS)


def _are_among(some: Sequence[str], links: Sequence[str]) -> bool:
    rest = iter(links)
    return all(link in rest for link in some)
