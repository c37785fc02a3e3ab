"""Measure the cases of a bench, in worker processes, and keep what is measured until all of it is."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import click

from dslite import files
from dslite.cli import caching, identity, rounds, worker, workers
from dslite.cli.cases import Case
from dslite.cli.console import progress
from dslite.cli.kept import Kept
from dslite.cli.pace import TURN_COST, Pace, epochs_of
from dslite.cli.places import measured_with
from dslite.errors import WriteError
from dslite.measure.environment import cpu_count, cpu_model
from dslite.records import Plan, Progress, Run
from dslite.report.names import in_short

_TOLD_FROM = 5
"""Of so many cases on, each is told when it is done: a shorter table is there soon."""


class Results(Protocol):
    """Where the runs of a bench go."""

    def add(self, runs: Sequence[Run], new: Sequence[Run], missing: str) -> None:
        """Write down what there is: all runs so far, those among them that are new, and in words what is not done."""

    def give(self, runs: Sequence[Run], missing: str) -> None:
        """Write and show the whole, or what there is of it."""


@dataclass(slots=True)
class Sweep:
    """A bench at work.

    Attributes:
        cases: in the order of the report.
        plan: how.
        audio: files they are fed with; empty for the synthetic chunk.
        n_rounds: in which files are timed by turns when all are there; 0: they are not.
        interleaved: whether these are of a bench, in which files are compared with the first, not of an experiment.
        in_turn: whether the rounds are over.
        done: each case's run under its number, as they come.
        kept: what the next bench can take over if this one is stopped.
    """

    cases: Sequence[Case]
    plan: Plan
    audio: Sequence[Path]
    n_rounds: int = 0
    interleaved: bool = False
    in_turn: bool = False
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
                    results.give(self.runs(), self._missing())
                except WriteError as error:  # not in place of why it ended
                    click.echo(f"error: {error}", err=True)
                click.echo(self._how_far(), err=True)
            raise
        results.give(self.runs(), self._missing())
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
                results.add(self.runs(), self.runs(), self._missing())
            left = {i: case for i, case in enumerate(self.cases) if i not in self.done}
            has_rounds = bool(self.n_rounds)
            is_experiment = has_rounds and not self.interleaved
            groups = workers.grouped(left)
            n_epochs = epochs_of([case for group in groups for _, case in group])
            n_turns = rounds.n_turns(len(self.cases), self.n_rounds)
            pace = Pace(n_epochs, n_turns, worker.TRAINING_SHARE)
            costs = [*(1.0 + n for n in n_epochs), *([TURN_COST * n_turns] if has_rounds else [])]
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
                    results.add(self.runs(), [new], self._missing())

                workers.measure(groups, self.plan, self.audio, start, finished)
                if has_rounds:
                    report = start(f"timing in {self.n_rounds} rounds")
                    self.done |= rounds.time_in_rounds(
                        self.done, self.plan, self.n_rounds, report, self._bases(), self.audio
                    )
                    self.in_turn = True
                if is_experiment:
                    steps.tell(f"latencies: timed by turns, {self.n_rounds} rounds")

    def _missing(self) -> str:
        """Say what is not done yet; empty where nothing is missing."""
        if len(self.done) < len(self.cases):
            return f"{len(self.done)} of {len(self.cases)} cases were measured"
        if self.n_rounds and not self.in_turn:
            return f"all {len(self.cases)} cases were measured, but not in turn yet"
        return ""

    def _how_far(self) -> str:
        """Say of a bench that was stopped what it has, and where the same command goes on."""
        n_kept = self.kept.among(self.done) if self.kept else 0
        if n_kept == len(self.cases):
            return f"{self._missing()}; the same command goes on with that"
        goes_on = f"; the same command goes on after {n_kept} of them" if n_kept else ""
        return f"{self._missing()}{goes_on}"

    def _bases(self) -> dict[str, Run] | None:
        """Give the first run of each target, which others are compared with; None: an experiment has its own."""
        if not self.interleaved:
            return None
        found: dict[str, Run] = {}
        for run in self.runs():
            if not run.error:
                found.setdefault(run.target, run)
        return found

    def _keys(self) -> list[str]:
        sounds = [files.sha256(path) for path in self.audio]
        machine = [cpu_model(), cpu_count(), platform.platform(), platform.python_version()]
        devices = {target: measured_with(target) for target in {case.target for case in self.cases}}
        return [
            identity.run_key(_content(case), case.target, self.plan, sounds, [*machine, *devices[case.target]])
            for case in self.cases
        ]


def _content(case: Case) -> str:
    if case.system is None:
        return identity.file_key(Path(case.file or ""))
    return identity.key([case.key, case.trial.split]) if case.trial else case.key
