"""The cases of an experiment, and the folder its results go to."""

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from dslite import files
from dslite.cli import building, cases
from dslite.cli.cases import Case
from dslite.cli.console import command_line, out
from dslite.cli.data import DataRequest
from dslite.cli.trials import Trial, predictions_path
from dslite.deploy import manifest
from dslite.errors import ReportError, SpecError, WriteError
from dslite.learn.dataset import Split
from dslite.learn.metrics import Difference, paired_difference
from dslite.measure.environment import environment
from dslite.records import BenchReport, Run
from dslite.report import document, experiment
from dslite.report.comparison import BASE, compared, name
from dslite.report.experiment_plots import draw

_REPORT, _CSV, _MARKDOWN, _PREDICTIONS = "report.json", "table.csv", "table.md", "predictions"


def trial_cases(
    system: building.System,
    chains: Sequence[tuple[str, ...]],
    exporters: Sequence[str],
    targets: Sequence[str],
    data: DataRequest,
    data_key: str,
    split: Split,
) -> list[Case]:
    """Give every combination, chain by chain; before all, the model as it was trained as a float32 file.

    Args:
        system: the trained one.
        chains: compressors that are applied in turn; an empty one is the model as it is.
        exporters: names and options.
        targets: likewise.
        data: where the table is.
        data_key: hash of what is in it.
        split: to be scored.

    Raises:
        SpecError: where no target runs what an exporter makes, or the float32 file that all is compared with.
    """
    try:
        cases.targets_for(building.get_exporter(BASE)[0].suffix, targets)
    except SpecError as error:
        raise SpecError(f"{error}; rows are compared with the {BASE} file: name --target host-litert too") from None
    audio_dir = None if data.audio_dir is None else str(data.audio_dir)
    found = []
    for chain in [(), *(chain for chain in chains if chain)]:
        trial = Trial(str(data.path), audio_dir, data.split_seed, data_key, split, chain)
        for exporter in exporters if chain else dict.fromkeys([BASE, *exporters]):
            able = cases.targets_for(building.get_exporter(exporter)[0].suffix, targets)
            found += [Case(target, None, system, "whole", exporter, (), trial) for target in able]
    return found


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the results of an experiment go.

    Attributes:
        path: of the folder.
        split: that is scored.
        environment: of the report, taken before the first run: its load is not ours.
        problems: what could not be written on the way.
    """

    path: Path
    split: Split
    environment: dict[str, Any] = field(default_factory=environment)
    problems: list[WriteError] = field(default_factory=list)

    def add(self, runs: Sequence[Run], new: Run) -> None:
        """Keep the file of a new run with its predictions, and write down what there is."""
        try:
            if not new.error:
                self._copy(Path(new.artifact.path))
            document.write(self._report(runs), self.path / _REPORT)
        except WriteError as error:  # told at the end: measuring goes on
            self.problems.append(error)

    def _copy(self, file: Path) -> None:
        manifest.copy_export(file, self.path)
        source = predictions_path(file, self.split)
        with files.written_whole(self._predictions(file)) as place:
            shutil.copyfile(source, place)

    def _predictions(self, file: Path) -> Path:
        return self.path / _PREDICTIONS / predictions_path(file, self.split).name

    def give(self, runs: Sequence[Run], *, as_json: bool) -> None:
        """Write report, tables and plots, and show the table, or the report as JSON.

        Raises:
            WriteError: where something could not be written; the table is shown all the same.
        """
        report = self._report(runs)
        try:
            document.write(report, self.path / _REPORT)
            files.write_text(self.path / _CSV, experiment.as_csv(report))
            files.write_text(self.path / _MARKDOWN, experiment.markdown(report))
            draw(report, self.path)
        except WriteError as error:
            self.problems.append(error)
        if as_json:
            click.echo(document.to_text(report), nl=False)
        else:
            console = out()
            console.print(experiment.experiment_table(report, console.width))
            click.echo(f"{self.path}: files, {_REPORT}, {_CSV}, {_MARKDOWN}, plots, predictions")
        if self.problems:
            raise self.problems[0]

    def _report(self, runs: Sequence[Run]) -> BenchReport:
        return document.report(compared(runs, self._difference), command_line(), self.environment)

    def _difference(self, run: Run, base: Run) -> Difference | None:
        """Compare two files by what is kept of them here; what could not be kept was told."""
        try:
            ours, theirs = (_read(self._predictions(Path(each.artifact.path))) for each in (run, base))
        except OSError:
            return None
        return _paired(ours, theirs)


def made(path: Path, split: Split, wanted: Sequence[Case], *, fresh: bool) -> Folder:
    """Make the folder of an experiment, or take that of an earlier one with rows that are all wanted again.

    Args:
        path: of the folder.
        split: to be scored.
        wanted: what the folder is to have.
        fresh: take a folder with other rows too.

    Raises:
        SpecError: where there is something else, or rows that would be lost.
        WriteError: where it cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise SpecError(f"{path} is a file, expected a folder: name another with -o")
    there = {each.name for each in path.iterdir()} if path.is_dir() else set()
    if _REPORT in there and not fresh:
        _check_rows(path, split, wanted)
    elif there - {_PREDICTIONS} and _REPORT not in there:
        raise SpecError(f"{path} is a folder with other files, and no earlier experiment: name another with -o")
    folder = Folder(path, split)
    try:
        (path / _PREDICTIONS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make the folder {path}: {error.strerror}") from None
    return folder


def _check_rows(path: Path, split: Split, wanted: Sequence[Case]) -> None:
    """Refuse to replace an experiment by one that has not all of its rows."""
    cure = "name another folder with -o, or replace it with --fresh"
    try:
        runs = document.read(path / _REPORT).runs
    except ReportError as error:
        raise SpecError(f"{error}: {cure}") from None
    known = {(case.file_name, case.target) for case in wanted}
    lost = [run for run in runs if (Path(run.artifact.path).name, run.target) not in known]
    if lost:
        raise SpecError(
            f"{path} has {len(lost)} rows of an earlier experiment that this one has not ({name(lost[0])}): {cure}"
        )
    if runs and not any((path / _PREDICTIONS).glob(f"*.{split}.csv")) and any((path / _PREDICTIONS).glob("*.csv")):
        raise SpecError(f"{path} has an experiment that was scored on another split: {cure}")


def _read(path: Path) -> dict[str, tuple[str, str]]:
    """Give of each file its label, and what it was taken for."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file"]: (row["label"], row["predicted"]) for row in csv.DictReader(file)}


def _paired(ours: dict[str, tuple[str, str]], theirs: dict[str, tuple[str, str]]) -> Difference:
    labels = sorted({label for pair in (*ours.values(), *theirs.values()) for label in pair})
    true, a, b = (
        [labels.index(label) for label in column]
        for column in zip(*((ours[name][0], ours[name][1], theirs[name][1]) for name in ours), strict=True)
    )
    return paired_difference(true, a, b)
