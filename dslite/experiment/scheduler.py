"""Runs the jobs of a bench through a launcher, and keeps what is measured until all of it is."""

import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dslite import files
from dslite.errors import WriteError
from dslite.experiment import caching, interleave, keys, launchers, worker
from dslite.experiment.devices import check_devices, measured_with
from dslite.experiment.eta import TURN_COST, Eta, epochs_of
from dslite.experiment.jobs import Job
from dslite.experiment.reporter import SILENT, Reporter, Steps
from dslite.experiment.resume import KeptRuns
from dslite.experiment.sinks import FileSink, Sink
from dslite.measure import inputs
from dslite.measure.bench import describe_file
from dslite.measure.environment import cpu_count, cpu_model, environment
from dslite.records import BenchReport, Plan, Progress, Run
from dslite.report import document
from dslite.report.names import in_short

_TOLD_FROM = 5
"""Of so many jobs on, each is told when it is done: a shorter table is there soon."""


def bench(
    jobs: Sequence[Job],
    plan: Plan,
    *,
    audio: Sequence[Path] = (),
    n_rounds: int = 0,
    launcher: launchers.Launcher | None = None,
    reporter: Reporter = SILENT,
    sink: Sink | None = None,
    fresh: bool = False,
    command: str = "",
) -> BenchReport:
    """Export and measure jobs; those that this bench measured before it was stopped are taken over.

    Args:
        jobs: in the order of the report, see `dslite.experiment.jobs`.
        plan: how files are measured.
        audio: files they are fed with; empty: a synthetic chunk.
        n_rounds: in which files are timed by turns when all are there; 0: they are not.
        launcher: where jobs run; None: each backbone and exporter in a process of its own.
        reporter: told of progress.
        sink: where results go as they come; None: nowhere but to the caller.
        fresh: measure all of them.
        command: what the report says it was made with.

    Returns:
        The report, a run for each job; a job that failed has its error there.

    Raises:
        UserError: where a job cannot be done as it was asked for, before anything is measured.
        WriteError: where the sink could not take the report.
    """
    check_devices(job.target for job in jobs)
    _check_audio(jobs, audio)
    launcher, sink = launcher or launchers.Process(), sink or FileSink()
    schedule = _Schedule(jobs, plan, audio, n_rounds, launcher, reporter, sink, command)
    if audio:
        schedule.environment["audio"] = [{"file": path.name, "sha256": files.sha256(path)} for path in audio]
    return schedule.run(fresh=fresh)


def _check_audio(jobs: Sequence[Job], audio: Sequence[Path]) -> None:
    """Refuse audio that cannot be used, and files that do not take it."""
    from dslite.audio.load import load_chunks

    systems = [job.system for job in jobs if job.system]
    for chunk, frontend in {(system.recipe.chunk, system.recipe.frontend) for system in systems}:
        load_chunks(audio, chunk, frontend.sample_rate_hz, inputs.MAX_CHUNKS)
    for file in dict.fromkeys(job.file for job in jobs if job.file):
        inputs.check(describe_file(Path(file))[0], audio)


@dataclass(slots=True)
class _Schedule:
    """A bench at work; the first attributes are the arguments of `bench`."""

    jobs: Sequence[Job]
    plan: Plan
    audio: Sequence[Path]
    n_rounds: int
    launcher: launchers.Launcher
    reporter: Reporter
    sink: Sink
    command: str
    environment: dict[str, Any] = field(default_factory=environment)  # before the first run: its load is not ours
    in_turn: bool = False  # whether the rounds are over
    done: dict[int, Run] = field(default_factory=dict)  # each job's run under its number, as they come
    kept: KeptRuns | None = None  # what the next bench can take over if this one is stopped

    def run(self, *, fresh: bool) -> BenchReport:
        try:
            self._measure(fresh=fresh)
        except BaseException:  # an interruption, a signal, a defect: what was measured is not lost
            if self.done:
                try:
                    self.sink.finish(self._report())
                except WriteError as error:  # not in place of why it ended
                    self.reporter.note(str(error))
                self.reporter.note(self._how_far())
            raise
        else:
            report = self.sink.finish(self._report())
            if self.kept:
                self.kept.forget()  # all is done, and delivered
            return report
        finally:
            if self.kept:
                self.kept.end()

    @property
    def _is_experiment(self) -> bool:
        return any(job.compression for job in self.jobs)

    def _report(self) -> BenchReport:
        return document.report(self._runs(), self.command, self.environment, self._missing())

    def _runs(self) -> list[Run]:
        """List the runs there are, in the order of their jobs."""
        return [self.done[number] for number in sorted(self.done)]

    def _measure(self, *, fresh: bool) -> None:
        with caching.ready(self.reporter):
            self._resume(fresh=fresh)
            left = {i: job for i, job in enumerate(self.jobs) if i not in self.done}
            groups = launchers.grouped(left)
            n_epochs = epochs_of([job for group in groups for _, job in group])
            n_turns = interleave.n_turns(len(self.jobs), self.n_rounds)
            eta = Eta(n_epochs, n_turns, worker.TRAINING_SHARE)
            costs = [*(1.0 + n for n in n_epochs), *([TURN_COST * n_turns] if self.n_rounds else [])]
            with self.reporter.progress(costs, eta.seconds_left if self._is_experiment else None) as steps:

                def start(title: str) -> Progress:
                    eta.begin()
                    report = steps.start(title)

                    def tell(what: str, share: float) -> None:
                        eta.at(share)
                        report(what, share)

                    return tell

                for group in groups:
                    launchers.run_all(
                        self.launcher,
                        group,
                        self.plan,
                        self.audio,
                        start,
                        lambda number, run: self._take(number, run, steps),
                        self.reporter.note,
                    )
                if self.n_rounds:
                    report = start(f"timing in {self.n_rounds} rounds")
                    self.done |= interleave.time_in_rounds(
                        self.done, self.plan, self.n_rounds, report, self.launcher, self._bases(), self.audio
                    )
                    self.in_turn = True
                    if self._is_experiment:
                        steps.tell(f"latencies: timed by turns, {self.n_rounds} rounds")

    def _resume(self, *, fresh: bool) -> None:
        self.kept = kept = KeptRuns(self.jobs, self._keys())
        self.done |= kept.begin(fresh=fresh)
        if kept.holder:
            told = f"{kept.holder} measures the same: each disturbs the figures of the other"
            self.reporter.note(f"{told}; nothing is kept of this one")
        if self.done:
            told = f"{len(self.done)} of {len(self.jobs)} jobs were measured before this command was stopped"
            self.reporter.note(f"{told}, and are taken over (--fresh measures them again)")
            self.sink.add(self._report(), self._runs())

    def _take(self, number: int, run: Run, steps: Steps) -> None:
        self.done[number] = run
        if self.kept:
            self.kept.keep(number, run)
        if self._is_experiment or len(self.jobs) >= _TOLD_FROM:
            steps.tell(f"{self.jobs[number].title}: {in_short(run)}")
        self.sink.add(self._report(), [run])

    def _missing(self) -> str:
        """Say what is not done yet; empty where nothing is missing."""
        if len(self.done) < len(self.jobs):
            return f"{len(self.done)} of {len(self.jobs)} jobs were measured"
        if self.n_rounds and not self.in_turn:
            return f"all {len(self.jobs)} jobs were measured, but not in turn yet"
        return ""

    def _how_far(self) -> str:
        """Say of a bench that was stopped what it has, and where the same command goes on."""
        n_kept = self.kept.among(self.done) if self.kept else 0
        if n_kept == len(self.jobs):
            return f"{self._missing()}; the same command goes on with that"
        return self._missing() + (f"; the same command goes on after {n_kept} of them" if n_kept else "")

    def _bases(self) -> dict[str, Run] | None:
        """Give the first run of each target, which others are compared with; None: an experiment has its own."""
        if self._is_experiment:
            return None
        first: dict[str, Run] = {}
        for run in self._runs():
            if not run.error:
                first.setdefault(run.target, run)
        return first

    def _keys(self) -> list[str]:
        sounds = [files.sha256(path) for path in self.audio]
        machine = [cpu_model(), cpu_count(), platform.platform(), platform.python_version()]
        devices = {target: measured_with(target) for target in {job.target for job in self.jobs}}
        return [
            keys.run_key(job.content_key, job.target, self.plan, sounds, [*machine, *devices[job.target]])
            for job in self.jobs
        ]
