"""The cases of a bench: what is measured where."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dslite.cli import building
from dslite.errors import SpecError
from dslite.records import Part
from dslite.registry import get_with_options, registry
from dslite.report.paper import TABLE_5


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured where: a file of the user's, or a part of a system that is exported first.

    Attributes:
        target: name and options.
        file: path of the user's file, or None.
        system: what is exported, or None.
        part: of the system.
        exporter: name and options.
    """

    target: str
    file: str | None = None
    system: building.System | None = None
    part: Part = "whole"
    exporter: str = ""

    @property
    def title(self) -> str:
        """Name it where progress is told."""
        if self.file is not None or self.system is None:
            return f"{Path(self.file or '').name} on {self.target}"
        return f"{self.system.name}, {self.part}, {self.exporter} on {self.target}"

    @property
    def file_name(self) -> str:
        """Name the file; cases of one name share it, and the front end is the same for all backbones."""
        if self.file is not None or self.system is None:
            return Path(self.file or "").name
        owner = [self.system.name] if self.part != "frontend" else []
        stem = "-".join([*owner, self.part, self.exporter])
        return stem.translate(str.maketrans(":=,", "___")) + building.get_exporter(self.exporter)[0].suffix


def file_cases(paths: Sequence[Path], targets: Sequence[str]) -> list[Case]:
    """Give the cases of the user's files, on all targets that run them or on those that are named.

    Raises:
        SpecError: where no target runs one of them.
    """
    return [Case(target, file=str(path)) for path in paths for target in _targets_for(path.suffix, targets)]


def exported_cases(
    systems: Sequence[building.System], exporters: Sequence[str], parts: Sequence[Part], targets: Sequence[str]
) -> list[Case]:
    """Give the cases of systems.

    Without exporters these are the rows of the paper's Table 5; of several systems, only the rows of whole files.
    """
    if not exporters:
        wanted = parts or (("whole",) if len(systems) > 1 else ())
        rows = [row for row in TABLE_5 if (not wanted or row.part in wanted) and (not targets or row.target in targets)]
        return _each_once(Case(row.target, None, system, row.part, row.exporter) for system in systems for row in rows)
    return _each_once(
        Case(target, None, system, part, exporter)
        for system in systems
        for exporter in exporters
        for part in parts or ("whole",)
        for target in _targets_for(building.get_exporter(exporter)[0].suffix, targets)
    )


def _each_once(cases: Iterable[Case]) -> list[Case]:
    found: dict[tuple[str, str], Case] = {}
    for case in cases:
        found.setdefault((case.target, case.file_name), case)
    return list(found.values())


def _targets_for(suffix: str, wanted: Sequence[str]) -> list[str]:
    names = wanted or registry().names("targets")
    suffixes = {name: get_with_options("targets", name)[0].suffixes for name in names}
    found = [name for name in names if suffix in suffixes[name]]
    if not found:
        can = sorted({s for group in suffixes.values() for s in group})
        raise SpecError(
            f"no target among {', '.join(names)} runs {suffix or 'a file without suffix'}: they run {', '.join(can)}"
        )
    return found
