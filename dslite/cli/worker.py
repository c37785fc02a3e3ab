"""The process in which cases of a bench are exported and measured; see `dslite.children` and `dslite.cli.sweep`.

It says ``{"progress": [what, fraction]}`` on the way, and ``{"run": {...}}`` for each case, in their order.
"""

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
from dslite.cli import building, end_by_unwinding
from dslite.cli.cases import Case, undescribed
from dslite.codec import from_json, to_json
from dslite.deploy import manifest
from dslite.errors import MeasurementError, ModelFileError, in_words
from dslite.measure import bench
from dslite.measure.inputs import prepare
from dslite.native import debug
from dslite.records import Artifact, Device, Measurement, Options, Plan, Run, Target
from dslite.registry import get_with_options

ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "131072", "MALLOC_ARENA_MAX": "2"}
"""For glibc, to give memory back: freezing and converting copy all weights several times, and what stays between the
copies keeps their memory too, 1.6 GB of it after an export of nasnet_large."""
_EXPORT_SHARE = 0.5
"""Of a case's progress; measuring has the rest."""
_GRACE_S = 5.0


def main() -> None:
    """Measure what the request names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent gets it too, and ends us
    end_by_unwinding("SIGTERM", "SIGHUP")
    for name in ALLOCATOR:  # set for this process; those that measure are to have what every process has
        os.environ.pop(name, None)
    request = take_request(_end)
    plan, audio = from_json(Plan, request["plan"]), [Path(path) for path in request["audio"]]
    models = _Models()
    try:
        for data in request["cases"]:
            say({"run": to_json(_measure(from_json(Case, data), plan, audio, models))})
    except KeyboardInterrupt:  # asked to end
        sys.exit(1)


def _end() -> None:
    """End as if asked to, so that temporary files go; where that does not help, end."""
    os.kill(os.getpid(), signal.SIGTERM)
    threading.Event().wait(_GRACE_S)
    os._exit(1)


class _Models:
    """The image model of the system at hand, built when the first file needs it."""

    def __init__(self) -> None:
        self._built: tuple[building.System, Any] | None = None

    def get(self, system: building.System) -> Any:
        if not self._built or self._built[0] != system:
            self._built = system, building.build(system, lambda text: say({"progress": [text, 0.0]}))
        return self._built[1]


def _measure(case: Case, plan: Plan, audio: Sequence[Path], models: _Models) -> Run:
    """Measure one case; a failure, whatever a plugin does, is a run with an error."""
    artifact = undescribed(case)
    share = _EXPORT_SHARE if case.system else 0.0
    try:
        if case.system:
            artifact, broken = _exported(case, models), None
        else:
            artifact, broken = bench.describe_file(Path(case.file or ""))
        say({"progress": ["preparing its input", share]})
        inputs = prepare(artifact, audio)
        target, options = _guarded(case.target)
    except (Exception, SystemExit) as error:  # noqa: BLE001
        if debug():
            traceback.print_exc()
        return Run(artifact, case.target, None, plan, error=in_words(error))
    return bench.run(
        artifact,
        broken,
        target,
        options,
        plan,
        inputs,
        lambda what, done: say({"progress": [what, share + (1 - share) * done]}),
    )


def _guarded(name: str) -> tuple[Target, Options]:
    """Look a target up; what it does against its contract then is an error that names it, its plugin and the cure."""
    target, options = get_with_options("targets", name)

    @contextmanager
    def told() -> Iterator[None]:
        try:
            yield
        except MeasurementError:
            raise
        except (Exception, SystemExit) as error:
            raise MeasurementError(f"target {name}: {in_words(error)} ({building.provider(target)})") from error

    def devices() -> Sequence[Device]:
        with told():
            return [from_json(Device, to_json(device)) for device in target.devices()]

    def run(*arguments: Any) -> Sequence[Measurement]:
        with told():
            found = [to_json(measurement) for measurement in target.run(*arguments)]
            return [from_json(Measurement, json.loads(json.dumps(data))) for data in found]

    return replace(target, name=name, devices=devices, run=run), options


def _exported(case: Case, models: _Models) -> Artifact:
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
        cnn = models.get(system)
    say({"progress": ["exporting", _EXPORT_SHARE / 2]})
    cache.make()  # somebody may have taken it away since
    with files.written_whole(folder) as place:
        place.mkdir()
        building.export_part(system, cnn, case.part, case.exporter, place / path.name, case.sounds)
    return manifest.read(path)


if __name__ == "__main__":
    main()
