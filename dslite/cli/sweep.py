"""The cases of a bench: what is exported for them, what they are fed, and how each becomes a run."""

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslite.cli import building
from dslite.cli.console import Steps
from dslite.errors import SpecError, in_words
from dslite.measure import bench
from dslite.measure.inputs import Inputs, prepare
from dslite.native import debug
from dslite.records import Artifact, Options, Part, Plan, Run, Target
from dslite.registry import get_with_options, registry
from dslite.report.paper import TABLE_5


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured where: a file of the user's, or a part of a system that is exported first."""

    target: Target
    options: Options
    file: Path | None = None
    system: building.System | None = None
    part: Part = "whole"
    exporter: str = ""

    @property
    def exported_name(self) -> str:
        """Name of the file this case needs; cases of one name share it."""
        record, _ = building.get_exporter(self.exporter)
        assert self.system is not None  # noqa: S101 - only exported cases are asked
        stem = f"{self.system.name}-{self.part}-{self.exporter}".replace(":", "_").replace("=", "_").replace(",", "_")
        return stem + record.suffix


def file_cases(files: Sequence[Path], targets: Sequence[str]) -> list[Case]:
    """Give the cases of the user's files, on all targets that run them or on those that are named.

    Raises:
        SpecError: where no target runs one of them.
    """
    return [Case(*target, file=path) for path in files for target in _targets_for(path.suffix, targets)]


def exported_cases(
    system: building.System, exporters: Sequence[str], parts: Sequence[Part], targets: Sequence[str]
) -> list[Case]:
    """Give the cases of a system: the rows of the paper's Table 5, or those of the exporters that are named."""
    if not exporters:
        rows = [row for row in TABLE_5 if (not parts or row.part in parts) and (not targets or row.target in targets)]
        return [
            Case(*get_with_options("targets", row.target), system=system, part=row.part, exporter=row.exporter)
            for row in rows
        ]
    return [
        Case(*target, system=system, part=part, exporter=exporter)
        for exporter in exporters
        for part in parts or ("whole",)
        for target in _targets_for(building.get_exporter(exporter)[0].suffix, targets)
    ]


def _targets_for(suffix: str, wanted: Sequence[str]) -> list[tuple[Target, Options]]:
    names = wanted or registry().names("targets")
    targets: list[tuple[Target, Options]] = [get_with_options("targets", name) for name in names]
    found = [(target, options) for target, options in targets if suffix in target.suffixes]
    if not found:
        can = sorted({s for target, _ in targets for s in target.suffixes})
        raise SpecError(
            f"no target among {', '.join(names)} runs {suffix or 'a file without suffix'}: they run {', '.join(can)}"
        )
    return found


def count_steps(cases: Sequence[Case]) -> int:
    """Count the steps of a progress bar over these cases."""
    exports = {case.exported_name for case in cases if case.system}
    return len(cases) + len(exports) + bool(exports)  # measuring, exporting, building


def measure(
    case: Case, artifact: Artifact, problem: str | None, inputs: Inputs | None, plan: Plan, steps: Steps
) -> Run:
    """Measure one case; without inputs there is nothing to measure, and the problem says why."""
    report = steps.start(f"{Path(artifact.path).name} on {case.target.name}")
    if inputs is None:
        return Run(artifact, case.target.name, None, plan, error=problem)
    return bench.run(artifact, problem, case.target, case.options, plan, inputs, report)


class Exports:
    """Exported files of a sweep and their inputs, each made once; a failure is kept as the reason."""

    def __init__(self, folder: Path, steps: Steps, sounds: Sequence[Path]) -> None:
        self._folder = folder
        self._steps = steps
        self._sounds = sounds
        self._models: dict[str, Any] = {}
        self._files: dict[str, tuple[Artifact, str | None, Inputs | None]] = {}

    def get(self, case: Case) -> tuple[Artifact, str | None, Inputs | None]:
        """Give file and inputs of a case, made now or before; or why that failed."""
        assert case.system is not None  # noqa: S101 - only exported cases come here
        name = case.exported_name
        if name not in self._files:
            path = self._folder / name
            try:
                cnn = self._model(case.system) if case.part != "frontend" else None
                self._steps.start(f"exporting {name}")
                made = building.export_part(case.system, cnn, case.part, case.exporter, path)
                self._files[name] = (made, None, prepare(made, self._sounds))
            except Exception as error:  # noqa: BLE001 - a plugin's: this file is a row with its error
                lost = bench.undescribed(path, case.system.name, case.exporter, case.part)
                self._files[name] = (lost, _reason(error), None)
        return self._files[name]

    def _model(self, system: building.System) -> Any:
        """Build a backbone's model once; if that failed, fail the same way at once."""
        if system.name not in self._models:
            self._steps.start(f"building {system.name}")
            try:
                self._models[system.name] = building.build(system)
            except Exception as error:  # noqa: BLE001 - raised again for each file that needs it
                self._models[system.name] = error
        if isinstance(self._models[system.name], Exception):
            raise self._models[system.name]
        return self._models[system.name]


def _reason(error: Exception) -> str:
    if debug():
        traceback.print_exception(error)
    return in_words(error)
