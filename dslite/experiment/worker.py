"""The process in which cases of a bench are exported and measured; see `dslite.children`.

It says ``{"progress": [what, fraction]}`` on the way, and ``{"run": {...}}`` for each case, in their order;
``{"making": true}`` before it makes the model that the cases of an experiment have in common, and ``false`` after.
"""

import itertools
import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from dslite import cache, files
from dslite.children import say, take_request
from dslite.cli import end_by_unwinding
from dslite.codec import from_json, to_json
from dslite.deploy import manifest
from dslite.deploy.runtime import TENSORFLOW_SUFFIXES, set_tensorflow_threads
from dslite.errors import MeasurementError, ModelFileError, UserError, in_words
from dslite.experiment import building, compression
from dslite.experiment.jobs import Case, undescribed
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
"""Of a case's progress, what is behind when its model is built, and when it is exported; measuring has the rest."""
TRAINING_SHARE = 0.9
_SHARES_COMPRESSING = TRAINING_SHARE, 0.95
"""Likewise, of the first case of a model that is compressed."""
_GRACE_S = 5.0


def main() -> None:
    """Measure what the request names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends us
    end_by_unwinding("SIGTERM", "SIGHUP")
    for name in ALLOCATOR:  # set for this process; those that measure are to have what every process has
        os.environ.pop(name, None)
    request = take_request(_end)
    plan, audio = from_json(Plan, request["plan"]), [Path(path) for path in request["audio"]]
    cases, models = [from_json(Case, data) for data in request["cases"]], _Models()
    threads = bench.threads_on(plan, cpu_count())
    if any(case.trial and building.get_exporter(case.exporter)[0].suffix in TENSORFLOW_SUFFIXES for case in cases):
        set_tensorflow_threads(threads)  # before a model is trained or built here: such files are scored here too
    try:
        if request["together"]:
            for _, group in itertools.groupby(zip(request["together"], cases, strict=True), lambda pair: pair[0]):
                for run in _time_together([case for _, case in group], plan, audio):
                    say({"run": to_json(run)})
            return
        for case in cases:
            say({"run": to_json(_measure(case, plan, audio, models))})
    except KeyboardInterrupt:  # asked to end
        sys.exit(1)


def _end() -> None:
    """End as if asked to, so that temporary files go; where that does not help, end."""
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE_S)
    os._exit(1)


class _Models:
    """The image model at hand, made when the first file needs it; one that could not be made is not tried again."""

    def __init__(self) -> None:
        self._key: object = None
        self._made: Any = None
        self._failed: Exception | SystemExit | None = None
        self._data: dict[str, DataSet] = {}

    def at_hand(self, case: Case) -> bool:
        """Tell whether the model of a case is there."""
        return self._key == (case.system, case.trial and case.trial.compressors)

    def get(self, case: Case, share: float) -> Any:
        """Give the image model of a case; its making has a share of the case's progress."""
        assert case.system is not None  # noqa: S101 - only exported cases have a model
        if not self.at_hand(case):
            key = case.system, case.trial and case.trial.compressors
            self._key, self._made, self._failed = key, None, None
            try:
                self._made = self._make(case, lambda what, done: say({"progress": [what, share * done]}))
            except (Exception, SystemExit) as error:
                self._failed = error
                raise
        if self._failed:
            raise self._failed
        return self._made

    def _make(self, case: Case, report: Progress) -> Any:
        assert case.system is not None  # noqa: S101 - see above
        if case.trial and case.trial.compressors:
            say({"making": True})
            try:
                return compression.compressed(case.system, case.trial, self.data(case.trial), report)
            finally:
                say({"making": False})
        return building.build(case.system, lambda text: report(text, 0.0))

    def data(self, trial: compression.Trial) -> DataSet:
        """Give the data set of an experiment."""
        if trial.data not in self._data:
            self._data[trial.data] = trial.read()
        return self._data[trial.data]


def _measure(case: Case, plan: Plan, audio: Sequence[Path], models: _Models) -> Run:
    """Measure one case; a failure, whatever a plugin does, is a run with an error."""
    artifact = undescribed(case)
    shares = _SHARES_COMPRESSING if case.trial and case.trial.compressors and not models.at_hand(case) else _SHARES
    share = shares[1] if case.system else 0.0
    scored: list[Measurement] = []
    told: list[Flag] = []
    try:
        if case.system:
            artifact, broken = _exported(case, models, shares[0]), None
        else:
            artifact, broken = bench.describe_file(Path(case.file or ""))
        if case.trial:
            assert case.system is not None  # noqa: S101 - trials are of exported cases
            data = models.data(case.trial)
            scored, told = compression.figures(
                Path(artifact.path),
                case.system,
                case.trial,
                data,
                bench.threads_on(plan, cpu_count()),
                lambda what, _: say({"progress": [what, share]}),
            )
        say({"progress": ["preparing its input", share]})
        inputs = prepare(artifact, audio)
        target, options = _guarded(case.target)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        if debug():
            traceback.print_exc()
        return Run(artifact, case.target, None, plan, error=in_words(error))
    run = bench.run(
        artifact,
        broken,
        target,
        options,
        plan,
        inputs,
        lambda what, done: say({"progress": [what, share + (1 - share) * done]}),
    )
    return replace(run, measurements=(*run.measurements, *scored), flags=(*run.flags, *told))


def _time_together(cases: Sequence[Case], plan: Plan, audio: Sequence[Path]) -> list[Run]:
    """Time files of one target in turn; where one of them cannot be, each is a case by itself."""
    try:
        artifacts = [bench.describe_file(Path(case.file or ""))[0] for case in cases]
        target, options = _guarded(cases[0].target)
        given = [prepare(artifact, audio) for artifact in artifacts]
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whose fault it is shows when each is alone
        alone = [_measure(case, plan, audio, _Models()) for case in cases]
        return [replace(run, flags=(*run.flags, bench.alone_because(error))) for run in alone]
    return bench.run_together(
        artifacts, target, options, plan, given, lambda what, done: say({"progress": [what, done]})
    )


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


def _exported(case: Case, models: _Models, model_share: float) -> Artifact:
    """Give the file of a case: the one in the cache, if it is there whole, else a new one."""
    system = case.system
    assert system is not None  # noqa: S101 - only exported cases come here
    folder = cache.entry_folder("exports", case.key)
    path = folder / case.file_name
    try:
        artifact = manifest.read(path)
    except ModelFileError:
        pass
    else:
        cache.mark_used(folder)
        return artifact
    cnn = None
    if case.part != "frontend":
        say({"progress": [f"building {system.name}", 0.0]})
        cnn = models.get(case, model_share)
    say({"progress": ["exporting", model_share]})
    compressors: tuple[str, ...] = ()
    sounds = case.sounds
    if case.trial:
        compressors = case.trial.compressors
        if building.get_exporter(case.exporter)[0].needs_calibration:
            sounds = compression.sounds(system, models.data(case.trial))
    cache.make()  # somebody may have taken it away since
    with files.written_whole(folder) as place:
        place.mkdir()
        building.export_part(system, cnn, case.part, case.exporter, place / path.name, sounds, compressors)
    return manifest.read(path)


if __name__ == "__main__":
    main()
