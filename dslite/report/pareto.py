"""Which rows of a report are Pareto-optimal: no other is at least as good in everything and better in something."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from dslite.measure.relative import SAME_SPEED, failed_by_turns, is_timed_enough, speed_range
from dslite.measure.validity import broken
from dslite.metrics import Figures, figure, figures, metrics_of
from dslite.records import Metric, Run

SAME_SIZE = 0.01
"""Sizes of an experiment within this share of each other count as equal."""
_OF_EXPERIMENT = ("uar", "speed_up", "size")
"""What rows of an experiment are judged by: one that has all of them."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What points are judged by; low is good.

    One is better than another where all of its `high` are below the other's `low`, which leaves room for tolerance.

    Attributes:
        low: float64 ``(n, k)``.
        high: likewise, nowhere below `low`; the same array: values are judged as they are.
    """

    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]


def exactly(values: Sequence[float], better: str = "lower") -> Objective:
    """Judge points by their values as they are."""
    column = np.asarray(values, np.float64)[:, None] * (-1 if better == "higher" else 1)
    return Objective(column, column)


def front(objectives: Sequence[Objective]) -> set[int]:
    """Find the points that no other one dominates: is better in something, and in nothing worse.

    The strongest are asked first, so most points are compared with few: the time is that of as many passes over the
    points as are found. Where no point is better than another that is their square: 10 s for 32,000 of them.
    """
    n = len(objectives[0].low)
    ranks = sum(np.unique(each.low.sum(1), return_inverse=True)[1] for each in objectives)
    waiting, found = np.argsort(ranks, kind="stable"), list[int]()
    while len(waiting):
        strongest, others = waiting[:1], waiting[1:]
        found.append(int(strongest[0]))
        waiting = others[~_are_dominated(objectives, others, strongest)]
    if all(each.low is each.high for each in objectives):
        return set(found)  # who dominates has the lower rank, and what is dominated by the dominated is by the front
    everyone = np.arange(n)
    return {i for i in found if not _are_dominated(objectives, np.array([i]), everyone).any()}


def _are_dominated(
    objectives: Sequence[Objective], points: npt.NDArray[np.intp], by: npt.NDArray[np.intp]
) -> npt.NDArray[np.bool_]:
    """Tell of several points whether one rival dominates them, or of one point whether each of several rivals does."""
    better = worse = np.zeros(max(len(points), len(by)), bool)
    for each in objectives:
        better = better | (each.high[by] < each.low[points]).all(1)
        worse = worse | (each.high[points] < each.low[by]).all(1)
    return better & ~worse


# -- rows of a bench --------------------------------------------------------------------------------------


def optimal(runs: Sequence[Run], known: Sequence[Figures] = ()) -> tuple[set[int], tuple[Metric, ...]]:
    """Find the Pareto-optimal runs among those that do the same: the same part, on the same target and device.

    Runs that failed or are not valid are not among them: a star is praise, and a figure that may be wrong must not take
    another one's.

    Args:
        runs: of one bench, or of several.
        known: the figures of each, where they are at hand.

    Returns:
        Their positions, and the metrics they were judged by: the objectives (`Metric.is_objective`) that all runs
        have. Nothing where only one run does the same.
    """
    known = known or [figures(run) for run in runs]
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, run in enumerate(runs):
        if not run.error and not broken(run):
            groups[what_it_does(run)].append(i)
    compared = [group for group in groups.values() if len(group) > 1]
    members = [i for group in compared for i in group]
    if not members:
        return set(), ()
    judged = _objectives([runs[i] for i in members], [known[i] for i in members])
    marked: set[int] = set()
    for group in compared if judged else ():
        # Two targets may call their metrics alike, and say of one that lower is better, of the other that higher is.
        of_group = _objectives([runs[i] for i in group], [known[i] for i in group])
        asked = [m for m in of_group if any((m.name, m.unit) == (each.name, each.unit) for each in judged)]
        points = [exactly([found.value for i in group if (found := figure(known[i], m))], m.better) for m in asked]
        marked |= {group[at] for at in front(points)}
    return marked, tuple(judged)


def _objectives(runs: Sequence[Run], known: Sequence[Figures]) -> list[Metric]:
    return [m for m in metrics_of(runs) if m.is_objective and all(figure(of, m) for of in known)]


def what_it_does(run: Run) -> tuple[str, ...]:
    """Give what rows must have in common to be compared: part, target, and device, by model and number."""
    device = (run.device.model, run.device.id) if run.device else ()
    return (run.artifact.part, run.target, *device)


def told(judged: Sequence[Metric], runs: Sequence[Run]) -> str:
    """Say what a star stands for; empty where there is none.

    Args:
        judged: from `optimal`.
        runs: that were judged.
    """
    if not judged:
        return ""
    lower, higher = (
        [m.columns[0].title.partition("\n")[0] for m in judged if (m.better == "higher") == is_high]
        for is_high in (False, True)
    )
    good = " and ".join(f"as {word} in {', '.join(of)}" for word, of in (("low", lower), ("high", higher)) if of)
    left_out = "UAR" if any(m.metric == "uar" for run in runs for m in run.measurements) else "accuracy"
    spoiled = "; rows that are not valid are not judged" if any(map(broken, runs)) else ""
    return (
        f"* Pareto-optimal: no other row of this part and target is {good}, and {'better' if higher else 'lower'} in "
        f"one of them; {left_out} is not in it{spoiled}"
    )


# -- rows of an experiment --------------------------------------------------------------------------------


def optimal_trials(runs: Sequence[Run]) -> set[int]:
    """Find the Pareto-optimal rows of an experiment among those that `judged_trials` gives.

    No other of the same target is as good in UAR, speed and size, and better in one of them.
    """
    found: set[int] = set()
    groups: dict[str, list[int]] = defaultdict(list)
    for i in judged_trials(runs):
        groups[runs[i].target].append(i)
    for group in groups.values():
        of_each = [figures(runs[i]) for i in group]
        uar, speed, size = (np.array([each[name].value for each in of_each]) for name in _OF_EXPERIMENT)
        lowest, highest = np.array([speed_range(runs[i]) for i in group]).T
        objectives = [
            exactly(uar.tolist(), "higher"),
            # in the median, and by ranges that do not touch
            Objective(-np.stack([speed * (1 + SAME_SPEED), highest], 1), -np.stack([speed, lowest], 1)),
            Objective(size[:, None], size[:, None] * (1 + SAME_SIZE)),
        ]
        found |= {group[at] for at in front(objectives)}
    return found


def judged_trials(runs: Sequence[Run]) -> list[int]:
    """Give the positions of rows that can be Pareto-optimal, or not: valid ones with UAR, speed-up and size.

    On a target where some took too few turns to tell speeds apart, or none yet, there are no such rows.
    """
    silent = {run.target for run in runs if is_not_timed_yet(run) or is_timed_too_little(run)}
    return [
        i
        for i, run in enumerate(runs)
        if not run.error
        and run.target not in silent
        and not broken(run)
        and {m.metric for m in run.measurements}.issuperset(_OF_EXPERIMENT)
    ]


def is_not_timed_yet(run: Run) -> bool:
    """Tell whether a row was scored, and has not had its turns."""
    measured = {m.metric for m in run.measurements}
    return not run.error and not failed_by_turns(run) and "uar" in measured and "turn_latency" not in measured


def is_timed_too_little(run: Run) -> bool:
    """Tell whether a row had turns too few for a verdict on its speed."""
    return not run.error and any(m.metric == "speed_up" for m in run.measurements) and not is_timed_enough(run)
