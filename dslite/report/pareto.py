"""Which rows of a report are Pareto-optimal: no other is at least as good in everything and better in something."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dslite.measure.validity import broken
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

    def beats(self, one: Run, other: Run) -> bool:
        """Tell whether a run is better than another one; both have the measurement."""
        ours, theirs = value(one, self.metric) or 0.0, value(other, self.metric) or 0.0
        low, high = (theirs, ours) if self.higher else (ours, theirs)
        return low + abs(low) * self.tolerance < high


OBJECTIVES = (Objective("latency"), Objective("memory_delta"), Objective("size"))
"""Of a bench."""


def optimal(runs: Sequence[Run]) -> tuple[set[int], tuple[Objective, ...]]:
    """Find the Pareto-optimal runs among those that do the same: the same part, on the same target and device.

    Runs that failed or are not valid are not among them: a star is praise, and a figure that may be wrong must not take
    another one's.

    Returns:
        Their positions, and the objectives they were judged by: those of `OBJECTIVES` that all runs have. Nothing
        where only one run does the same.
    """
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        if not run.error and not broken(run):
            groups[what_it_does(run)].append(i)
    compared = [group for group in groups.values() if len(group) > 1]
    members = [runs[i] for group in compared for i in group]
    measured = tuple(o for o in OBJECTIVES if all(value(run, o.metric) is not None for run in members))
    if not compared or not measured:
        return set(), ()
    marked: set[int] = set()
    for group in compared:
        marked |= lowest({i: [value(runs[i], o.metric) or 0.0 for o in measured] for i in group})
    return marked, measured


def what_it_does(run: Run) -> tuple[str, ...]:
    """Give what rows must have in common to be compared: part, target, and device, by model and number."""
    device = (run.device.model, run.device.id) if run.device else ()
    return (run.artifact.part, run.target, *device)


def told(objectives: Sequence[Objective], runs: Sequence[Run]) -> str:
    """Say what a star stands for; empty where there is none.

    Args:
        objectives: from `optimal`.
        runs: that were judged.
    """
    if not objectives:
        return ""
    metrics = [objective.metric for objective in objectives]
    low = ", ".join("p50" if metric == "latency" else metric.removesuffix("_delta") for metric in metrics)
    left_out = "UAR" if any(value(run, "uar") is not None for run in runs) else "accuracy"
    spoiled = "; rows that are not valid are not judged" if any(map(broken, runs)) else ""
    return (
        f"* Pareto-optimal: no other row of this part and target is as low in {low}, and lower in one of them; "
        f"{left_out} is not in it{spoiled}"
    )


def lowest(points: Mapping[int, Sequence[float]]) -> set[int]:
    """Find the points that no other one dominates: is lower in something, and in nothing higher.

    Args:
        points: coordinates, finite, by any number; of each as many.
    """
    if not points:
        return set()
    numbers = list(points)
    coordinates = np.array([points[number] for number in numbers], np.float64)
    found: list[int] = []
    kept = np.empty_like(coordinates)
    for i in np.lexsort(coordinates.T[::-1]):  # who comes later dominates nobody before
        point, before = coordinates[i], kept[: len(found)]
        if not np.any(np.all(before <= point, axis=1) & np.any(before < point, axis=1)):
            kept[len(found)] = point
            found.append(int(i))
    return {numbers[i] for i in found}


def front(runs: Mapping[int, Run], beats: Sequence[Callable[[Run, Run], bool]]) -> set[int]:
    """Find the runs that no other one dominates, by any relation: is better in something, and in nothing worse.

    Args:
        runs: by any number.
        beats: each tells whether the first of two runs is better in one respect.
    """

    def dominates(one: Run, other: Run) -> bool:
        return any(better(one, other) for better in beats) and not any(better(other, one) for better in beats)

    rivals, found = list(runs.values()), set()
    for number, run in runs.items():
        for i, rival in enumerate(rivals):
            if dominates(rival, run):
                rivals.insert(0, rivals.pop(i))  # who beats one beats most: of thousands, few are asked then
                break
        else:
            found.add(number)
    return found
