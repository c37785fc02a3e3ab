"""What is done for each job: exported, in an experiment compressed before and scored after, and measured.

A worker says ``{"progress": [what, fraction]}`` on the way, ``{"note": text}`` for the user, and ``{"run": {...}}`` for
each job, in their order; ``{"compressing": true}`` before it makes the model that the jobs of an experiment have in
common, and ``false`` after. As a process it is told by its parent what to do; see `dslite.children`.
"""

import itertools
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dslite import cache, files
from dslite.children import end_by_unwinding, say, take_request
from dslite.codec import from_json, to_json
from dslite.deploy import manifest
from dslite.deploy.runtime import TENSORFLOW_SUFFIXES, set_tensorflow_threads
from dslite.errors import MeasurementError, ModelFileError, UserError, in_words
from dslite.experiment import building, compression
from dslite.experiment.jobs import Job, undescribed
from dslite.learn.dataset import DataSet
from dslite.measure import bench
from dslite.measure.environment import cpu_count
from dslite.measure.inputs import prepare
from dslite.native import debug
from dslite.records import Artifact, Device, Flag, Measurement, Options, Outcome, Plan, Progress, Run, Target, apart
from dslite.registry import get_with_options

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}
"""For glibc, to give memory back: freezing and converting copy all weights several times, and what stays between the
copies keeps their memory too, 1.6 GB of it after an export of nasnet_large."""
_SHARES = 0.25, 0.5
"""Of a job's progress, what is behind when its model is built, and when it is exported; measuring has the rest."""
TRAINING_SHARE = 0.9
_SHARES_COMPRESSING = TRAINING_SHARE, 0.95
"""Likewise, of the first job of a model that is compressed."""
_GRACE_S = 5.0


def main() -> None:
    """Do what the parent process asks for."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends us
    end_by_unwinding("SIGTERM", "SIGHUP")
    for name in ALLOCATOR:  # set for this process; those that measure are to have what every process has
        os.environ.pop(name, None)
    try:
        work(take_request(_end), say)
    except KeyboardInterrupt:  # asked to end
        sys.exit(1)


def _end() -> None:
    """End as if asked to, so that temporary files go; where that does not help, end."""
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE_S)
    os._exit(1)


def work(request: Mapping[str, Any], say: Callable[[Mapping[str, Any]], None]) -> None:
    """Do jobs in turn; whatever a plugin raises is a run with an error.

    Args:
        request: ``jobs`` and ``plan`` as JSON; ``audio``, paths of files to feed them with; ``together``, of each job
            the number of the group that it is timed in turn with, or empty.
        say: takes the messages.
    """
    jobs = [from_json(Job, data) for data in request["jobs"]]
    worker = _Worker(from_json(Plan, request["plan"]), [Path(path) for path in request["audio"]], say)
    suffixes = {get_with_options("exporters", job.exporter)[0].suffix for job in jobs if job.compression}
    # Before a model is trained or built here: such files are scored here too.
    if suffixes & set(TENSORFLOW_SUFFIXES) and not set_tensorflow_threads(worker.threads):
        say({"note": "TensorFlow was started before in this process: files are scored with the threads it has"})
    if request["together"]:
        for _, group in itertools.groupby(zip(request["together"], jobs, strict=True), lambda pair: pair[0]):
            for run in worker.time_together([job for _, job in group]):
                say({"run": to_json(run)})
        return
    for job in jobs:
        say({"run": to_json(worker.measure(job))})


@dataclass(slots=True)
class _Worker:
    """Does jobs, and has the model of the last one at hand; one that could not be made is not tried again."""

    plan: Plan  # how files are measured
    audio: Sequence[Path]  # that they are fed with
    say: Callable[[Mapping[str, Any]], None]  # takes messages
    _key: object = None
    _model: Any = None
    _failed: Exception | SystemExit | None = None
    _data: dict[str, DataSet] = field(default_factory=dict)

    @property
    def threads(self) -> int:
        """Give the threads that files are scored with."""
        return bench.threads_on(self.plan, cpu_count())

    def measure(self, job: Job) -> Run:
        """Do one job; a failure, whatever a plugin does, is a run with an error."""
        artifact = undescribed(job)
        is_compressed = job.compression and job.compression.compressors and self._key != _model_key(job)
        shares = _SHARES_COMPRESSING if is_compressed else _SHARES
        share = shares[1] if job.system else 0.0
        scored: list[Measurement] = []
        flags: list[Flag] = []
        try:
            if job.system:
                artifact, broken = self._exported(job, job.system, shares[0]), None
            else:
                artifact, broken = bench.describe_file(Path(job.file or ""))
            if job.system and job.compression:
                scored, flags = compression.figures(
                    Path(artifact.path),
                    job.system,
                    job.compression,
                    self._table(job.compression),
                    self.threads,
                    lambda what, _: self._progress(what, share),
                )
            self._progress("preparing its input", share)
            inputs = prepare(artifact, self.audio)
            target, options = _guarded(job.target)
        except (Exception, SystemExit) as error:  # noqa: BLE001
            if debug():
                traceback.print_exc()
            return Run(artifact, job.target, None, self.plan, error=in_words(error))
        run = bench.run(
            artifact,
            broken,
            target,
            options,
            self.plan,
            inputs,
            lambda what, done: self._progress(what, share + (1 - share) * done),
        )
        return replace(run, measurements=(*run.measurements, *scored), flags=(*run.flags, *flags))

    def time_together(self, jobs: Sequence[Job]) -> list[Run]:
        """Time files of one target in turn; where one of them cannot be, each is a job by itself."""
        try:
            artifacts = [bench.describe_file(Path(job.file or ""))[0] for job in jobs]
            target, options = _guarded(jobs[0].target)
            inputs = [prepare(artifact, self.audio) for artifact in artifacts]
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whose fault it is shows when each is alone
            alone = [self.measure(job) for job in jobs]
            return [replace(run, flags=(*run.flags, bench.alone_because(error))) for run in alone]
        return bench.run_together(artifacts, target, options, self.plan, inputs, self._progress)

    def _progress(self, what: str, share: float) -> None:
        self.say({"progress": [what, share]})

    def _exported(self, job: Job, system: building.System, model_share: float) -> Artifact:
        """Give the file of a job: the one in the cache, if it is there whole, else a new one."""
        folder = cache.entry_folder("exports", job.key)
        path = folder / job.file_name
        try:
            artifact = manifest.read(path)
        except ModelFileError:
            pass
        else:
            cache.mark_used(folder)
            return artifact
        cnn = None
        if job.part != "frontend":
            self._progress(f"building {system.name}", 0.0)
            cnn = self._model_of(job, system, model_share)
        self._progress("exporting", model_share)
        compressors: tuple[str, ...] = ()
        sounds = job.sounds
        if job.compression:
            compressors = job.compression.compressors
            if get_with_options("exporters", job.exporter)[0].needs_calibration:
                sounds = compression.sounds(system, self._table(job.compression))
        cache.make()  # somebody may have taken it away since
        with files.written_whole(folder) as place:
            place.mkdir()
            building.export_part(system, cnn, job.part, job.exporter, place / path.name, sounds, compressors)
        return manifest.read(path)

    def _model_of(self, job: Job, system: building.System, share: float) -> Any:
        """Give the image model of a job; its making has a share of the job's progress."""
        if self._key != _model_key(job):
            self._key, self._model, self._failed = _model_key(job), None, None
            try:
                self._model = self._make(job, system, lambda what, done: self._progress(what, share * done))
            except (Exception, SystemExit) as error:
                self._failed = error
                raise
        if self._failed:
            raise self._failed
        return self._model

    def _make(self, job: Job, system: building.System, report: Progress) -> Any:
        if not (job.compression and job.compression.compressors):
            return building.build(system, lambda text: report(text, 0.0))
        self.say({"compressing": True})
        try:
            return compression.compressed(system, job.compression, self._table(job.compression), report)
        finally:
            self.say({"compressing": False})

    def _table(self, wanted: compression.Compression) -> DataSet:
        """Give the data set of an experiment."""
        if wanted.data not in self._data:
            self._data[wanted.data] = wanted.read()
        return self._data[wanted.data]


def _model_key(job: Job) -> object:
    return job.system, job.compression and job.compression.compressors


def _guarded(name: str) -> tuple[Target, Options]:
    """Look a target up; what it does against its contract then is an error that names it, its plugin and the cure."""
    target, options = get_with_options("targets", name)

    @contextmanager
    def told(*allowed: type[Exception]) -> Iterator[None]:
        try:
            yield
        except allowed:
            raise
        except (Exception, SystemExit) as error:
            raise MeasurementError(f"target {name}: {in_words(error)} ({building.provider(target)})") from error

    def as_told(outcome: Outcome) -> Outcome:
        return from_json(Outcome, json.loads(json.dumps(to_json(outcome))))

    def devices() -> Sequence[Device]:
        with told(MeasurementError, UserError):
            found = list(target.devices())
        with told():
            return [from_json(Device, to_json(device)) for device in found]

    def run(*arguments: Any) -> Outcome:
        with told(MeasurementError, UserError):
            found = target.run(*arguments)
        with told():
            return as_told(found if isinstance(found, Outcome) else Outcome(tuple(found)))

    def together(*arguments: Any) -> list[Outcome]:
        with told(MeasurementError, UserError):
            found = target.together(*arguments)
        with told():
            return [as_told(outcome) for outcome in found]

    in_turn = target.together if target.together is apart else together
    return replace(target, name=name, devices=devices, run=run, together=in_turn), options


if __name__ == "__main__":
    main()
