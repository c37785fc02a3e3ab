"""Files that take turns to be timed, so that what is compared was measured next to each other."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from dslite.experiment import launchers
from dslite.experiment.jobs import Job
from dslite.measure.relative import bases
from dslite.measure.turns import timed_by_turns
from dslite.records import Plan, Progress, Run, apart
from dslite.registry import get_with_options

_MOST_OTHERS = 4
"""Files in one process besides the one that they are compared with: they are in memory at the same time."""


def time_in_rounds(
    done: Mapping[int, Run],
    plan: Plan,
    n_rounds: int,
    report: Progress,
    launcher: launchers.Launcher,
    base_of: Mapping[str, Run] | None = None,
    audio: Sequence[Path] = (),
) -> dict[int, Run]:
    """Time files anew, in rounds in which each has its turn.

    Between the first row and the last lie minutes, or in an experiment trainings; by then a shared machine has another
    pace, and what was timed along the way cannot be compared. The file that others are compared with is timed anew
    beside each of them, and every other round goes backwards. A target that can (`Target.together`) times up to five
    files, that one among them, in one process.

    Args:
        done: the runs, by the number of their job.
        plan: how; its runs, and its seconds, are divided among the rounds.
        n_rounds: how often each file has its turn.
        report: told of its progress.
        launcher: where.
        base_of: by target the run that others are compared with. None: those of an experiment; files of the same bytes
            share their turns then.
        audio: files they are fed with; empty for the synthetic chunk.
    """
    runs = {number: run for number, run in done.items() if not run.error}
    if base_of is None:
        base_of = bases(list(runs.values()))
        stands_for = _same_bytes(runs, base_of)
    else:
        stands_for = {number: number for number in runs}
    timed = {number: run for number, run in runs.items() if number in stands_for.values()}
    groups, beside = _turns(timed, base_of, n_rounds)
    order = [number for group in groups for number in group]
    jobs = {number: Job(run.target, file=run.artifact.path) for number, run in runs.items()}
    left = [(turn, jobs[number]) for turn, number in enumerate(order)]
    group_of = [i for i, group in enumerate(groups) for _ in group]
    found: dict[int, Run] = {}
    short = replace(
        plan,
        runs=math.ceil(plan.runs / n_rounds),
        min_s=plan.min_s / n_rounds,
        max_s=plan.max_s / n_rounds,
        memory=False,
    )

    def start(title: str) -> Progress:
        n_behind = len(order) - len(left)
        return lambda what, share: report(f"{title}: {what}", (n_behind + share) / len(order))

    launchers.run_all(launcher, left, short, audio, start, found.__setitem__, lambda _: None, group_of)
    taken = {number: [turn for turn, each in enumerate(order) if each == first] for number, first in stands_for.items()}
    return {
        number: timed_by_turns(
            run,
            [found[turn] for turn in taken[number]],
            [found[beside[turn]] for turn in taken[number] if turn in beside],
        )
        for number, run in runs.items()
    }


def n_turns(n_files: int, n_rounds: int) -> int:
    """Estimate how many turns `time_in_rounds` takes: a quarter more than files have, or, alone, twice as many."""
    return 3 * n_files * n_rounds // 2


def _same_bytes(runs: Mapping[int, Run], base_of: Mapping[str, Run]) -> dict[int, int]:
    """Give of each run the one of the same bytes and target that is timed: the base of its target, or the first."""
    first: dict[tuple[object, str], int] = {}
    for number in sorted(runs, key=lambda number: runs[number] is not base_of.get(runs[number].target)):
        run = runs[number]
        first.setdefault((run.artifact.sha256 or number, run.target), number)
    return {number: first[run.artifact.sha256 or number, run.target] for number, run in runs.items()}


def _turns(
    runs: Mapping[int, Run], base_of: Mapping[str, Run], n_rounds: int
) -> tuple[list[list[int]], dict[int, int]]:
    """Give the groups of files that are timed together, in their order, and of each turn the one to compare it with."""
    groups: list[list[int]] = []
    beside: dict[int, int] = {}
    for target in dict.fromkeys(run.target for run in runs.values()):
        base = next((number for number, run in runs.items() if run is base_of.get(target)), None)
        others = [number for number, run in runs.items() if run.target == target and number != base]
        able = get_with_options("targets", target)[0].together is not apart
        for group in (_side_by_side if able else _one_by_one)(base, others, n_rounds):
            begin = sum(map(len, groups))
            groups.append([number for number, _ in group])
            beside |= {begin + i: begin + i + where for i, (_, where) in enumerate(group) if where is not None}
    return groups, beside


_Group: TypeAlias = list[tuple[int, int | None]]
"""Numbers of files, each with how far from it the one is that it is compared with."""


def _side_by_side(base: int | None, others: Sequence[int], n_rounds: int) -> list[_Group]:
    """Give groups of few files, each with the one that they are compared with."""
    parts = [list(others[i : i + _MOST_OTHERS]) for i in range(0, len(others), _MOST_OTHERS)] or [[]]
    found: list[_Group] = []
    for i in range(n_rounds):
        for part in parts:
            order = [*([] if base is None else [base]), *part][:: -1 if i % 2 else 1]
            found.append([(n, None if base is None else order.index(base) - at) for at, n in enumerate(order)])
    return found


def _one_by_one(base: int | None, others: Sequence[int], n_rounds: int) -> list[_Group]:
    """Give files alone, each next to a turn of the one that it is compared with, before it and after it by turns.

    No two of them share such a turn: their ratios would not be independent, which the interval of a verdict takes them
    for.
    """
    turns = [turn for i in range(n_rounds) for turn in (reversed(others) if i % 2 else others)]
    if base is None:
        return [[(turn, None)] for turn in turns]
    found: _Group = []
    for i, turn in enumerate(turns):
        found += [(turn, +1), (base, 0)] if i % 2 else [(base, 0), (turn, -1)]
    found += [] if turns else [(base, 0)] * n_rounds
    return [[each] for each in found]
