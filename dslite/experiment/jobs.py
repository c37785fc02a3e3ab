"""The jobs of a bench: what is measured where."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dslite.deploy.runtime import has_runtime
from dslite.errors import SpecError
from dslite.experiment import building, compression, keys
from dslite.experiment.compression import Compression
from dslite.experiment.reporter import SILENT, Reporter
from dslite.measure import bench
from dslite.records import Artifact, Part
from dslite.registry import get_with_options, parse_name, registry
from dslite.report.paper import TABLE_5, TABLE_5_PHONE, Row

_NOT_PLAIN = re.compile(r"^[.]|[^A-Za-z0-9._-]")
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Job:
    """What is measured where: a file of the user's, or a part of a system that is exported first.

    Attributes:
        target: name and options.
        file: path of the user's file, or None.
        system: what is exported, or None.
        part: of the system.
        exporter: name and options.
        calibration: paths of audio files, for exporters that need them.
        compression: of an experiment, what is done besides: the model is compressed first, the file scored.
    """

    target: str
    file: str | None = None
    system: building.System | None = None
    part: Part = "whole"
    exporter: str = ""
    calibration: tuple[str, ...] = ()
    compression: Compression | None = None

    @property
    def title(self) -> str:
        """Name it where progress is told."""
        if self.file is not None:
            return f"{Path(self.file).name} on {self.target}"
        if self.compression:
            return f"{self.compression.name}, {self.exporter} on {self.target}"
        return ", ".join(filter(None, [self._run, self.backbone, self.part, f"{self.exporter} on {self.target}"]))

    @property
    def identity(self) -> tuple[object, ...]:
        """Tell it from the jobs of other benches, whatever it depends on has in it."""
        scored = (self.compression.split, self.compression.data_key) if self.compression else ()
        run = self.system.model.run if self.system else ""
        return self.title, self.file_name, run and str(Path(run).resolve()), *scored

    @property
    def group(self) -> tuple[object, ...]:
        """Give what jobs have in common that one worker does in turn, as they share a model, or a kind of export."""
        if self.compression:
            return self.compression.compressors
        return self.file, self.system and self.system.name, self.exporter

    @property
    def file_name(self) -> str:
        """Name the file; jobs of one name share it."""
        if self.file is not None:
            return Path(self.file).name
        names = [self.compression.name] if self.compression else [self.backbone, self.part]
        stem = "-".join(filter(None, [self._run, *names, self.exporter]))
        plain = _NOT_PLAIN.sub("_", stem)[:_LONGEST]
        if plain != stem:  # options may be anything, and two of them alike once they are made plain
            plain += "-" + hashlib.sha256(stem.encode()).hexdigest()[:6]
        return f"{plain}{get_with_options('exporters', self.exporter)[0].suffix}"

    @property
    def key(self) -> str:
        """Give the key under which the exported file is kept in the cache."""
        assert self.system is not None  # noqa: S101 - a file of the user's is not exported
        of_export = building.export_key(self.system, self.part, self.exporter, self.sounds)
        return keys.key([of_export, compression.key(self.system, self.compression)]) if self.compression else of_export

    @property
    def content_key(self) -> str:
        """Give the key of what is measured, and scored."""
        if self.system is None:
            return keys.file_key(Path(self.file or ""))
        return keys.key([self.key, self.compression.split]) if self.compression else self.key

    def outputs(self, file: Path) -> list[Path]:
        """List the files of a run that was measured: the exported one, and in an experiment its predictions."""
        if self.compression and has_runtime(file):
            return [file, compression.predictions_path(file, self.compression.split)]
        return [file]

    @property
    def sounds(self) -> list[Path]:
        """List the audio files to calibrate with."""
        return [Path(path) for path in self.calibration]

    @property
    def backbone(self) -> str | None:
        """Give the backbone's name, with its options; the front end alone has none, and is the same for all."""
        return self.system.name if self.system and self.part != "frontend" else None

    @property
    def _run(self) -> str:
        """Give the name of the training run; empty where there is none."""
        return Path(self.system.model.run).resolve().name if self.system and self.system.model.run else ""


def undescribed(job: Job) -> Artifact:
    """Describe the file of a job before there is one, or where none came to be."""
    artifact = bench.undescribed(Path(job.file_name), job.backbone, job.exporter or None, job.part)
    return replace(artifact, compressors=job.compression.compressors) if job.compression else artifact


def file_jobs(paths: Sequence[Path], targets: Sequence[str] = ()) -> list[Job]:
    """Make the jobs of files, on all targets that run them or on those that are named.

    Raises:
        SpecError: where no target runs one of them.
    """
    return [Job(target, file=str(path)) for path in paths for target in targets_for(path.suffix, targets)]


def exported_jobs(
    systems: Sequence[building.System],
    exporters: Sequence[str] = (),
    parts: Sequence[Part] = (),
    targets: Sequence[str] = (),
    calibration: Sequence[Path] = (),
    reporter: Reporter = SILENT,
) -> list[Job]:
    """Make the jobs of systems that are exported first.

    Without exporters these are the rows of the paper's Table 5; of several systems, only the rows of whole files.

    Raises:
        SpecError: where no target runs what comes out, or an exporter needs calibration and there is none; of several
            exporters, such are left out.
    """
    sounds = tuple(map(str, calibration))
    names = [Path(system.model.run).resolve().name for system in systems if system.model.run]
    for name in {name for name in names if names.count(name) > 1}:
        raise SpecError(f"several runs are called {name}: rename a folder, as rows and files are named by it")
    if not exporters:
        wanted = parts or (("whole",) if len(systems) > 1 else ())
        rows = [(row, target) for row, target in _table_5(targets) if not wanted or row.part in wanted]
        if not rows:
            raise SpecError(f"no row of the paper's Table 5 runs on {', '.join(targets)}: name an --exporter")
        return _each_once(
            Job(target, None, system, row.part, row.exporter) for system in systems for row, target in rows
        )
    return _each_once(
        Job(target, None, system, part, exporter, sounds)
        for system in systems
        for exporter, able in _who_runs(exporters, targets, calibration, reporter).items()
        for part in parts or ("whole",)
        for target in able
    )


def _table_5(targets: Sequence[str]) -> list[tuple[Row, str]]:
    """List the rows of the paper's table with the target of each: those named, or all but phones'."""
    if not targets:
        return [(row, row.target) for row in TABLE_5]
    return [
        (row, target) for row in (*TABLE_5, *TABLE_5_PHONE) for target in targets if parse_name(target)[0] == row.target
    ]


def _who_runs(
    exporters: Sequence[str], targets: Sequence[str], calibration: Sequence[Path], reporter: Reporter
) -> dict[str, list[str]]:
    """List the targets for each exporter's files; of several, one that nobody runs, or can calibrate, is left out."""
    able = {}
    for exporter in exporters:
        try:
            building.check_exporter(exporter, calibration)
            able[exporter] = targets_for(get_with_options("exporters", exporter)[0].suffix, targets)
        except SpecError as error:
            if len(exporters) == 1 or (exporter == exporters[-1] and not able):
                raise
            reporter.note(f"exporter {exporter} is left out: {error}")
    return able


def _each_once(jobs: Iterable[Job]) -> list[Job]:
    first: dict[tuple[str, str], Job] = {}
    for job in jobs:
        first.setdefault((job.target, job.file_name), job)
    return list(first.values())


def targets_for(suffix: str, wanted: Sequence[str]) -> list[str]:
    """List those of the targets that run files of a suffix; where none are named, of all there are.

    Raises:
        SpecError: where there is none.
    """
    found = registry()
    names = wanted or [name for name in found.names("targets") if found.get("targets", name).by_default]
    suffixes = {name: get_with_options("targets", name)[0].suffixes for name in names}
    able = [name for name in names if suffix in suffixes[name]]
    if not able:
        can = sorted({s for group in suffixes.values() for s in group})
        raise SpecError(
            f"no target among {', '.join(names)} runs {suffix or 'a file without suffix'}: they run {', '.join(can)}"
        )
    return able
