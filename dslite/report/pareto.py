"""Which rows of a report are Pareto-optimal: no other is at least as good in everything and better in something."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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
    """Find the Pareto-optimal runs among those that do the same: the same part, on the same target.

    Runs that failed or are not valid are not among them: a star is praise, and a figure that may be wrong must not take
    another one's.

    Returns:
        Their positions, and the objectives they were judged by: those of `OBJECTIVES` that all runs have. Nothing
        where only one run does the same.
    """
    groups: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        if not run.error and not broken(run):
            groups[run.artifact.part, run.target].append(i)
    compared = [group for group in groups.values() if len(group) > 1]
    members = [runs[i] for group in compared for i in group]
    measured = tuple(o for o in OBJECTIVES if all(value(run, o.metric) is not None for run in members))
    if not compared or not measured:
        return set(), ()
    marked: set[int] = set()
    for group in compared:
        marked |= front({i: runs[i] for i in group}, [o.beats for o in measured])
    return marked, measured


def front(runs: Mapping[int, Run], beats: Sequence[Callable[[Run, Run], bool]]) -> set[int]:
    """Find the runs that no other one dominates: is better in something, and in nothing worse.

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
