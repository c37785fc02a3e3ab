"""The cases of a bench: what is measured where."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import click

from dslite.deploy.runtime import has_runtime
from dslite.errors import SpecError
from dslite.experiment import building, compression, keys
from dslite.measure import bench
from dslite.records import Artifact, Part
from dslite.registry import get_with_options, parse_name, registry
from dslite.report.paper import TABLE_5, TABLE_5_PHONE, Row

_NOT_PLAIN = re.compile(r"^[.]|[^A-Za-z0-9._-]")
_LONGEST = 120


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured where: a file of the user's, or a part of a system that is exported first.

    Attributes:
        target: name and options.
        file: path of the user's file, or None.
        system: what is exported, or None.
        part: of the system.
        exporter: name and options.
        calibration: paths of audio files, for exporters that need them.
        trial: of an experiment, what is done besides: the model is compressed first, the file scored.
    """

    target: str
    file: str | None = None
    system: building.System | None = None
    part: Part = "whole"
    exporter: str = ""
    calibration: tuple[str, ...] = ()
    trial: compression.Trial | None = None

    @property
    def title(self) -> str:
        """Name it where progress is told."""
        if self.file is not None:
            return f"{Path(self.file).name} on {self.target}"
        if self.trial:
            return f"{self.trial.name}, {self.exporter} on {self.target}"
        return ", ".join(filter(None, [self._run, self.backbone, self.part, f"{self.exporter} on {self.target}"]))

    @property
    def place(self) -> tuple[object, ...]:
        """Give what tells it from the cases of other benches, whatever it depends on has in it."""
        of_trial = (self.trial.split, self.trial.data_key) if self.trial else ()
        run = self.system.model.run if self.system else ""
        return self.title, self.file_name, run and str(Path(run).resolve()), *of_trial

    @property
    def group(self) -> tuple[object, ...]:
        """Give what cases have in common that one worker does in turn, as they share a model, or a kind of export."""
        if self.trial:
            return self.trial.compressors
        return self.file, self.system and self.system.name, self.exporter

    @property
    def file_name(self) -> str:
        """Name the file; cases of one name share it."""
        if self.file is not None:
            return Path(self.file).name
        names = [self.trial.name, self.exporter] if self.trial else [self.backbone, self.part, self.exporter]
        stem = "-".join(filter(None, [self._run, *names]))
        plain = _NOT_PLAIN.sub("_", stem)[:_LONGEST]
        if plain != stem:  # options may be anything, and two of them alike once they are made plain
            plain += "-" + hashlib.sha256(stem.encode()).hexdigest()[:6]
        return plain + building.get_exporter(self.exporter)[0].suffix

    @property
    def key(self) -> str:
        """Give the key under which the exported file is kept in the cache."""
        assert self.system is not None  # noqa: S101 - a file of the user's is not exported
        of_export = building.export_key(self.system, self.part, self.exporter, self.sounds)
        return keys.key([of_export, compression.key(self.system, self.trial)]) if self.trial else of_export

    def made(self, file: Path) -> list[Path]:
        """Give the files of a run that was measured: the exported one, and in an experiment its predictions."""
        if self.trial and has_runtime(file):
            return [file, compression.predictions_path(file, self.trial.split)]
        return [file]

    @property
    def sounds(self) -> list[Path]:
        """Give the audio files to calibrate with."""
        return [Path(path) for path in self.calibration]

    @property
    def backbone(self) -> str | None:
        """Give the backbone's name, with its options; the front end alone has none, and is the same for all."""
        return self.system.name if self.system and self.part != "frontend" else None

    @property
    def _run(self) -> str:
        """Give the name of the training run; empty where there is none."""
        return Path(self.system.model.run).resolve().name if self.system and self.system.model.run else ""


def undescribed(case: Case) -> Artifact:
    """Describe the file of a case before there is one, or where none came to be."""
    artifact = bench.undescribed(Path(case.file_name), case.backbone, case.exporter or None, case.part)
    return replace(artifact, compressors=case.trial.compressors) if case.trial else artifact


def file_cases(paths: Sequence[Path], targets: Sequence[str]) -> list[Case]:
    """Give the cases of the user's files, on all targets that run them or on those that are named.

    Raises:
        SpecError: where no target runs one of them.
    """
    return [Case(target, file=str(path)) for path in paths for target in targets_for(path.suffix, targets)]


def exported_cases(
    systems: Sequence[building.System],
    exporters: Sequence[str],
    parts: Sequence[Part],
    targets: Sequence[str],
    calibration: Sequence[Path] = (),
) -> list[Case]:
    """Give the cases of systems.

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
            Case(target, None, system, row.part, row.exporter) for system in systems for row, target in rows
        )
    return _each_once(
        Case(target, None, system, part, exporter, sounds)
        for system in systems
        for exporter, able in _who_runs(exporters, targets, calibration).items()
        for part in parts or ("whole",)
        for target in able
    )


def _table_5(targets: Sequence[str]) -> list[tuple[Row, str]]:
    """Give the rows of the paper's table with the target of each: those named, or all but phones'."""
    if not targets:
        return [(row, row.target) for row in TABLE_5]
    return [
        (row, target) for row in (*TABLE_5, *TABLE_5_PHONE) for target in targets if parse_name(target)[0] == row.target
    ]


def _who_runs(exporters: Sequence[str], targets: Sequence[str], calibration: Sequence[Path]) -> dict[str, list[str]]:
    """Give the targets for each exporter's files.

    Of several exporters, one that nobody runs, or that lacks audio to calibrate with, is left out, and told.
    """
    found = {}
    for exporter in exporters:
        try:
            building.check_exporter(exporter, calibration)
            found[exporter] = targets_for(building.get_exporter(exporter)[0].suffix, targets)
        except SpecError as error:
            if len(exporters) == 1 or (exporter == exporters[-1] and not found):
                raise
            click.echo(f"note: exporter {exporter} is left out: {error}", err=True)
    return found


def _each_once(cases: Iterable[Case]) -> list[Case]:
    found: dict[tuple[str, str], Case] = {}
    for case in cases:
        found.setdefault((case.target, case.file_name), case)
    return list(found.values())


def targets_for(suffix: str, wanted: Sequence[str]) -> list[str]:
    """Give those of the targets that run files of a suffix; where none are named, of all there are.

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
