"""Which rows of a report are Pareto-optimal: no other is at least as good in everything and better in something."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dslite.records import Run
from dslite.report.columns import value


@dataclass(frozen=True, slots=True)
class Objective:
    """What rows are judged by.

    Attributes:
        metric: of a measurement; of latency, the median.
        tolerance: values within this share of the lower one count as equal.
        higher: whether a high value is good.
    """

    metric: str
    tolerance: float = 0.0
    higher: bool = False

    def beats(self, one: float, other: float) -> bool:
        """Tell whether a value is better than another one."""
        low, high = (other, one) if self.higher else (one, other)
        return low + abs(low) * self.tolerance < high


OBJECTIVES = (Objective("latency"), Objective("memory_delta"), Objective("size"))
"""Of a bench."""


def optimal(runs: Sequence[Run]) -> tuple[set[int], tuple[Objective, ...]]:
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
    members = [runs[i] for group in compared for i in group]
    measured = tuple(o for o in OBJECTIVES if all(value(run, o.metric) is not None for run in members))
    if not compared or not measured:
        return set(), ()
    points = {i: [value(runs[i], o.metric) or 0.0 for o in measured] for group in compared for i in group}
    return front(points, measured, lambda i: (runs[i].artifact.part, runs[i].target)), measured


def front(
    points: Mapping[int, Sequence[float]],
    objectives: Sequence[Objective],
    group: Callable[[int], object] = lambda _: None,
) -> set[int]:
    """Find the points that no other one of their group dominates.

    Args:
        points: by any number, the value of each objective.
        objectives: in the same order.
        group: of a number; by default all are one.
    """
    rivals: dict[object, list[Sequence[float]]] = defaultdict(list)
    for number, point in points.items():
        rivals[group(number)].append(point)
    return {
        number
        for number, point in points.items()
        if not any(_dominates(rival, point, objectives) for rival in rivals[group(number)])
    }


def _dominates(one: Sequence[float], other: Sequence[float], objectives: Sequence[Objective]) -> bool:
    values = list(zip(objectives, one, other, strict=True))
    return any(o.beats(a, b) for o, a, b in values) and not any(o.beats(b, a) for o, a, b in values)
