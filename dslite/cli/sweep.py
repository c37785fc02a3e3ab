"""Measure the cases of a bench, in worker processes, and keep what is measured until all of it is."""

import math
import platform
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import click

from dslite import children, files
from dslite.cli import caching, identity, worker
from dslite.cli.cases import Case, undescribed
from dslite.cli.console import progress
from dslite.cli.kept import Kept
from dslite.cli.pace import TURN_COST, Pace, epochs_of
from dslite.codec import from_json, to_json
from dslite.errors import WriteError
from dslite.measure import bench
from dslite.measure.environment import cpu_count, cpu_model
from dslite.records import Plan, Progress, Run
from dslite.report.columns import in_short
from dslite.report.comparison import bases

_TOLD_FROM = 5
"""Of so many cases on, each is told when it is done: a shorter table is there soon."""
_SLACK_S = 60.0
"""A worker is given up later than the processes it watches itself: it can tell how those ended."""


class Results(Protocol):
    """Where the runs of a bench go."""

    def add(self, runs: Sequence[Run], new: Sequence[Run]) -> None:
        """Write down what there is: all runs so far, and those among them that are new."""

    def give(self, runs: Sequence[Run]) -> None:
        """Write and show the whole."""


@dataclass(slots=True)
class Sweep:
    """A bench at work.

    Attributes:
        cases: in the order of the report.
        plan: how.
        audio: files they are fed with; empty for the synthetic chunk.
        n_rounds: in which files are timed by turns when all are there; 0 but for experiments.
        done: each case's run under its number, as they come.
        kept: what the next bench can take over if this one is stopped.
    """

    cases: Sequence[Case]
    plan: Plan
    audio: Sequence[Path]
    n_rounds: int = 0
    done: dict[int, Run] = field(default_factory=dict)
    kept: Kept | None = None

    def runs(self) -> list[Run]:
        """Give the runs there are, in the order of their cases."""
        return [self.done[number] for number in sorted(self.done)]

    def run(self, results: Results, *, fresh: bool) -> None:
        """Measure all cases and deliver; those that this bench measured before it was stopped are taken over.

        Args:
            results: where they go.
            fresh: measure all of them.

        Raises:
            WriteError: where they could not be delivered.
        """
        try:
            self._run(results, fresh=fresh)
        except BaseException:  # an interruption, a signal, a defect: what was measured is not lost
            if self.done:
                try:
                    results.give(self.runs())
                except WriteError as error:  # not in place of why it ended
                    click.echo(f"error: {error}", err=True)
                n_kept = self.kept.among(self.done) if self.kept else 0
                goes_on = f"; the same command goes on after {n_kept} of them" if n_kept else ""
                click.echo(f"{len(self.done)} of {len(self.cases)} cases were measured{goes_on}", err=True)
            raise
        results.give(self.runs())
        if self.kept:
            self.kept.forget()  # all is done, and delivered

    @property
    def failed(self) -> bool:
        """Tell whether a case could not be measured."""
        return any(run.error for run in self.done.values())

    def _run(self, results: Results, *, fresh: bool) -> None:
        with caching.ready():
            self.kept = Kept(self.cases, self._keys())
            self.done |= self.kept.begin(fresh=fresh)
            if self.kept.owner:
                told = f"process {self.kept.owner} measures the same: each disturbs the figures of the other"
                click.echo(f"note: {told}; nothing is kept of this one", err=True)
            if self.done:
                told = f"{len(self.done)} of {len(self.cases)} cases were measured before this command was stopped"
                click.echo(f"{told}, and are taken over (--fresh measures them again)", err=True)
                results.add(self.runs(), self.runs())
            left = {i: case for i, case in enumerate(self.cases) if i not in self.done}
            is_experiment = bool(self.n_rounds)
            groups = _grouped(left)
            n_epochs = epochs_of([case for group in groups for _, case in group])
            n_turns = 3 * len(self.cases) * self.n_rounds // 2  # with those of the file they are compared with
            pace = Pace(n_epochs, n_turns, worker.TRAINING_SHARE)
            costs = [*(1.0 + n for n in n_epochs), *([TURN_COST * n_turns] if is_experiment else [])]
            with progress(costs, pace.seconds_left if is_experiment else None) as steps:

                def start(title: str) -> Progress:
                    pace.begin()
                    report = steps.start(title)

                    def tell(what: str, share: float) -> None:
                        pace.at(share)
                        report(what, share)

                    return tell

                def finished(number: int, new: Run) -> None:
                    self.done[number] = new
                    if self.kept:
                        self.kept.keep(number, new)
                    if is_experiment or len(self.cases) >= _TOLD_FROM:
                        steps.tell(f"{self.cases[number].title}: {in_short(new)}")
                    results.add(self.runs(), [new])

                _measure(groups, self.plan, self.audio, start, finished)
                if is_experiment:
                    report = start(f"timing in {self.n_rounds} rounds")
                    self.done |= time_in_rounds(self.done, self.plan, self.n_rounds, report)
                    steps.tell(f"latencies: timed by turns, {self.n_rounds} rounds")

    def _keys(self) -> list[str]:
        sounds = [files.sha256(path) for path in self.audio]
        machine = [cpu_model(), cpu_count(), platform.platform(), platform.python_version()]
        return [identity.run_key(_content(c), c.target, self.plan, sounds, machine) for c in self.cases]


def _content(case: Case) -> str:
    if case.system is None:
        return identity.file_key(Path(case.file or ""))
    return identity.key([case.key, case.trial.split]) if case.trial else case.key


# -- processes ----------------------------------------------------------------------------------------


def _measure(
    groups: Sequence[list[tuple[int, Case]]],
    plan: Plan,
    audio: Sequence[Path],
    start: Callable[[str], Progress],
    finished: Callable[[int, Run], None],
) -> None:
    """Measure cases, those of a group in one worker process, in turn.

    A worker that dies takes the case it was at along, which is a run with an error; the next worker does the rest.

    Args:
        groups: of cases with their numbers; they are emptied.
        plan: how.
        audio: files they are fed with; empty for the synthetic chunk.
        start: called with the title of each case when it is begun; what it gives is told of its progress.
        finished: called with each case's number and run.
    """
    for left in groups:
        while left:
            reason, was_making = _work(left, plan, audio, start, finished)
            # The worker did not live to tell of its case. Where it was making the model that all have in common, the
            # next would end in the same way, after as long a training.
            for i in range(len(left) if was_making else min(1, len(left))):
                number, lost = left.pop(0)
                if i:  # the first was begun
                    start(lost.title)
                finished(number, _lost(lost, plan, reason))


def _grouped(cases: Mapping[int, Case]) -> list[list[tuple[int, Case]]]:
    """Give cases with their numbers, together those of one worker: of one backbone and exporter, or one model."""
    groups: dict[tuple[object, ...], list[tuple[int, Case]]] = defaultdict(list)
    for number, case in cases.items():
        groups[case.group].append((number, case))
    return list(groups.values())


def time_in_rounds(done: Mapping[int, Run], plan: Plan, n_rounds: int, report: Progress) -> dict[int, Run]:
    """Time the files of an experiment anew, in rounds in which each has its turn.

    Between its first row and its last lie the trainings; by then a shared machine has another pace, and what was timed
    along the way cannot be compared. The file that others are compared with is timed anew beside each of them, and
    every other round goes backwards.

    Args:
        done: the runs, by the number of their case.
        plan: how; its runs, and its seconds at most, are divided among the rounds.
        n_rounds: how often each file has its turn.
        report: told of its progress.
    """
    runs = {number: run for number, run in done.items() if not run.error}
    order, beside = _turns(runs, n_rounds)
    cases = {number: Case(run.target, file=run.artifact.path) for number, run in runs.items()}
    left = [(turn, cases[number]) for turn, number in enumerate(order)]
    found: dict[int, Run] = {}
    short = replace(plan, runs=math.ceil(plan.runs / n_rounds), max_s=plan.max_s / n_rounds, memory=False)

    def start(title: str) -> Progress:
        n_behind = len(order) - len(left)
        return lambda what, share: report(f"{title}: {what}", (n_behind + share) / len(order))

    while left:
        reason, _ = _work(left, short, [], start, found.__setitem__)
        if left:  # the worker did not live to tell of it
            turn, lost = left.pop(0)
            found[turn] = _lost(lost, short, reason)
    taken = {number: [turn for turn, each in enumerate(order) if each == number] for number in runs}
    return {
        number: bench.timed_by_turns(
            run,
            [found[turn] for turn in taken[number]],
            [found[beside[turn]] for turn in taken[number] if turn in beside],
        )
        for number, run in runs.items()
    }


def _turns(runs: Mapping[int, Run], n_rounds: int) -> tuple[list[int], dict[int, int]]:
    """Give the numbers of the files in the order of their turns, and of each turn the one beside it to compare with.

    On each target, the file that others are compared with comes first and after every two of them; its own turns are
    compared with themselves.
    """
    base_of = bases(list(runs.values()))
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


def _work(
    left: list[tuple[int, Case]],
    plan: Plan,
    audio: Sequence[Path],
    start: Callable[[str], Progress],
    finished: Callable[[int, Run], None],
) -> tuple[str, bool]:
    """Let a worker measure cases, each leaving the list when its run is there.

    Returns:
        How the worker ended, and whether it was making the model of an experiment's cases then.
    """
    report, making = start(left[0][1].title), False

    def receive(message: dict[str, Any]) -> None:
        nonlocal report, making
        making = bool(message.get("making", making))
        if "progress" in message:
            report(*message["progress"])
        if "run" in message:
            number, _ = left.pop(0)
            finished(number, from_json(Run, message["run"]))
            if left:
                report = start(left[0][1].title)

    ending = children.follow(
        worker.__name__,
        {
            "cases": [to_json(case) for _, case in left],
            "plan": to_json(plan),
            "audio": [str(path) for path in audio],
        },
        receive,
        timeout_s=plan.timeout_s + _SLACK_S,
        renewed=True,
        label=left[0][1].title,
        environment=worker.ALLOCATOR,
    )
    if ending.gave_up:
        return f"gave up: no sign of life for {plan.timeout_s + _SLACK_S:g} s", making
    return children.in_words(ending), making


def _lost(case: Case, plan: Plan, reason: str) -> Run:
    return Run(undescribed(case), case.target, None, plan, error=reason)
