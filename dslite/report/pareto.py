"""Which rows of a report are Pareto-optimal: no other is at least as good in everything and better in something."""

from collections import defaultdict
from collections.abc import Sequence

from dslite.records import Run
from dslite.report.columns import value

OBJECTIVES = ("latency", "memory_delta", "size")
"""What should be low; of latency, the median."""


def optimal(runs: Sequence[Run]) -> tuple[set[int], tuple[str, ...]]:
    """Find the Pareto-optimal runs among those that do the same: the same part, on the same target.

    Returns:
        Their positions, and the objectives they were judged by: those of `OBJECTIVES` that all runs have. Nothing
        where only one run does the same.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        if not run.error:
            groups[run.artifact.part, run.target].append(i)
    compared = [group for group in groups.values() if len(group) > 1]
    if not compared:
        return set(), ()
    metrics = tuple(m for m in OBJECTIVES if all(value(runs[i], m) is not None for group in compared for i in group))
    found = set()
    for group in compared if metrics else ():
        points = {i: tuple(value(runs[i], metric) or 0.0 for metric in metrics) for i in group}
        found |= {i for i in group if not any(_dominates(points[j], points[i]) for j in group)}
    return found, metrics


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
