"""Files that take turns to be timed, so that what is compared was measured next to each other."""

import math
from collections.abc import Mapping
from dataclasses import replace

from dslite.cli import workers
from dslite.cli.cases import Case
from dslite.measure import bench
from dslite.records import Plan, Progress, Run
from dslite.report.comparison import bases


def time_in_rounds(done: Mapping[int, Run], plan: Plan, n_rounds: int, report: Progress) -> dict[int, Run]:
    """Time the files of an experiment anew, in rounds in which each has its turn.

    Between its first row and its last lie the trainings; by then a shared machine has another pace, and what was timed
    along the way cannot be compared. The file that others are compared with is timed anew beside each of them, and
    every other round goes backwards. Files of the same bytes share their turns.

    Args:
        done: the runs, by the number of their case.
        plan: how; its runs, and its seconds at most, are divided among the rounds.
        n_rounds: how often each file has its turn.
        report: told of its progress.
    """
    runs = {number: run for number, run in done.items() if not run.error}
    base_of = bases(list(runs.values()))
    stands_for = _same_bytes(runs, base_of)
    timed = {number: run for number, run in runs.items() if number in stands_for.values()}
    order, beside = _turns(timed, base_of, n_rounds)
    cases = {number: Case(run.target, file=run.artifact.path) for number, run in runs.items()}
    left = [(turn, cases[number]) for turn, number in enumerate(order)]
    found: dict[int, Run] = {}
    short = replace(plan, runs=math.ceil(plan.runs / n_rounds), max_s=plan.max_s / n_rounds, memory=False)

    def start(title: str) -> Progress:
        n_behind = len(order) - len(left)
        return lambda what, share: report(f"{title}: {what}", (n_behind + share) / len(order))

    while left:
        reason, _ = workers.work(left, short, [], start, found.__setitem__)
        if left:  # the worker did not live to tell of it
            turn, lost = left.pop(0)
            found[turn] = workers.lost_run(lost, short, reason)
    taken = {number: [turn for turn, each in enumerate(order) if each == first] for number, first in stands_for.items()}
    return {
        number: bench.timed_by_turns(
            run,
            [found[turn] for turn in taken[number]],
            [found[beside[turn]] for turn in taken[number] if turn in beside],
        )
        for number, run in runs.items()
    }


def n_turns(n_files: int, n_rounds: int) -> int:
    """Estimate how many turns `time_in_rounds` takes: on one target, half as many again as the files have."""
    return 3 * n_files * n_rounds // 2


def _same_bytes(runs: Mapping[int, Run], base_of: Mapping[str, Run]) -> dict[int, int]:
    """Give of each run the one of the same bytes on the same target that is timed: they have one speed.

    That is the file that others are compared with, or else the first one.
    """
    first: dict[tuple[object, str], int] = {}
    for number in sorted(runs, key=lambda number: runs[number] is not base_of.get(runs[number].target)):
        run = runs[number]
        first.setdefault((run.artifact.sha256 or number, run.target), number)
    return {number: first[run.artifact.sha256 or number, run.target] for number, run in runs.items()}


def _turns(runs: Mapping[int, Run], base_of: Mapping[str, Run], n_rounds: int) -> tuple[list[int], dict[int, int]]:
    """Give the numbers of the files in the order of their turns, and of each turn the one beside it to compare with.

    On each target, the file that others are compared with comes first and after every two of them; its own turns are
    compared with themselves.
    """
    order: list[int] = []
    beside: dict[int, int] = {}

    def put(number: int, where: int) -> None:
        beside[len(order)] = len(order) + where
        order.append(number)

    for target in dict.fromkeys(run.target for run in runs.values()):
        base = next((number for number, run in runs.items() if run is base_of.get(target)), None)
        others = [number for number, run in runs.items() if run.target == target and number != base]
        turns = [turn for i in range(n_rounds) for turn in (reversed(others) if i % 2 else others)]
        if base is None:
            order += turns
            continue
        for i, number in enumerate(turns):
            if i % 2:
                put(number, +1)
            else:
                put(base, 0)
                put(number, -1)
        for _ in range(1 if turns else n_rounds):
            put(base, 0)
    return order, beside
