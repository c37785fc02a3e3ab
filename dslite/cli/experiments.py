"""The cases of an experiment, and the folder its results go to."""

import contextlib
import glob
import json
import shutil
from collections.abc import Mapping, Sequence
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
from dslite.learn.evaluation import Predictions, difference_of_predictions, read_predictions
from dslite.learn.metrics import Difference
from dslite.measure.environment import environment
from dslite.records import BenchReport, Run
from dslite.report import document, experiment
from dslite.report.comparison import BASE, compared, name
from dslite.report.experiment_plots import draw

_REPORT, _CSV, _MARKDOWN, _PREDICTIONS = "report.json", "table.csv", "table.md", "predictions"
_SUBJECT = "experiment.json"
"""Says what an experiment is scored on, from its first moment on."""
_CURE = "name another folder with -o, or replace it with --fresh"


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
        as_json: the report on standard output, instead of the table.
        environment: of the report, taken before the first run: its load is not ours.
        problems: what could not be written on the way.
        predictions: what is kept here of each exported file, by its name.
        differences: that were worked out already, by the names of both files.
    """

    path: Path
    split: Split
    as_json: bool = False
    environment: dict[str, Any] = field(default_factory=environment)
    problems: list[WriteError] = field(default_factory=list)
    predictions: dict[str, Predictions] = field(default_factory=dict)
    differences: dict[tuple[str, str], Difference] = field(default_factory=dict)

    def add(self, runs: Sequence[Run], new: Sequence[Run]) -> None:
        """Keep the files of new runs with their predictions, and write down what there is."""
        try:
            for run in new:
                if not run.error:
                    self._copy(Path(run.artifact.path))
            document.write(self._report(runs), self.path / _REPORT)
        except WriteError as error:  # told at the end: measuring goes on
            self.problems.append(error)

    def _copy(self, file: Path) -> None:
        manifest.copy_export(file, self.path)
        source = predictions_path(file, self.split)
        with files.written_whole(self.path / _PREDICTIONS / source.name) as place:
            shutil.copyfile(source, place)
        self.predictions[file.name] = read_predictions(self.path / _PREDICTIONS / source.name)

    def give(self, runs: Sequence[Run]) -> None:
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
        if self.as_json:
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
        names = Path(run.artifact.path).name, Path(base.artifact.path).name
        if names not in self.differences:
            ours, theirs = (self.predictions.get(name) for name in names)
            if ours is None or theirs is None:
                return None
            self.differences[names] = difference_of_predictions(ours, theirs)
        return self.differences[names]


def made(
    path: Path, split: Split, data_key: str, wanted: Sequence[Case], *, fresh: bool, as_json: bool = False
) -> Folder:
    """Make the folder of an experiment, or take that of an earlier one with rows that are all wanted again.

    Args:
        path: of the folder.
        split: to be scored.
        data_key: hash of the data.
        wanted: what the folder is to have.
        fresh: replace an earlier experiment, whatever its rows: its files go.
        as_json: the report is to go to standard output.

    Raises:
        SpecError: where there is something else, or rows that would be lost.
        WriteError: where it cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise SpecError(f"{path} is a file, expected a folder: name another with -o")
    there = {each.name for each in path.iterdir()} if path.is_dir() else set()
    there = {name for name in there if not name.startswith(files.HALF_WRITTEN)}
    if there - {_PREDICTIONS} and not there & {_SUBJECT, _REPORT}:
        raise SpecError(f"{path} is a folder with other files, and no earlier experiment: name another with -o")
    subject = {"split": split, "data": data_key}
    if fresh:
        _remove_rows(path)
    else:
        _check_subject(path, subject)
        _check_rows(path, wanted)
    try:
        (path / _PREDICTIONS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make the folder {path}: {error.strerror}") from None
    for folder in (path, path / _PREDICTIONS):
        files.remove_half_written(folder)
    files.write_text(path / _SUBJECT, json.dumps(subject) + "\n")
    return Folder(path, split, as_json)


def _check_subject(path: Path, subject: Mapping[str, str]) -> None:
    """Refuse to replace an experiment by one that scores something else."""
    try:
        earlier = json.loads((path / _SUBJECT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for fact, what in (
        ("split", "another split"),
        ("data", "other data, or on these files before they were written anew"),
    ):
        if not isinstance(earlier, dict) or earlier.get(fact) != subject[fact]:
            raise SpecError(f"{path} has an experiment that was scored on {what}: {_CURE}")


def _check_rows(path: Path, wanted: Sequence[Case]) -> None:
    """Refuse to replace an experiment by one that has not all of its rows."""
    try:
        runs = document.read(path / _REPORT).runs if (path / _REPORT).exists() else ()
    except ReportError as error:
        raise SpecError(f"{error}: {_CURE}") from None
    known = {(case.file_name, case.target) for case in wanted}
    lost = [run for run in runs if (Path(run.artifact.path).name, run.target) not in known]
    if lost:
        raise SpecError(
            f"{path} has {len(lost)} rows of an earlier experiment that this one has not ({name(lost[0])}): {_CURE}"
        )


def _remove_rows(path: Path) -> None:
    """Take away the report of an earlier experiment, and the files that it names."""
    with contextlib.suppress(ReportError):
        for run in document.read(path / _REPORT).runs:
            file = path / Path(run.artifact.path).name
            if file.is_dir():
                shutil.rmtree(file, ignore_errors=True)
            else:
                file.unlink(missing_ok=True)
            manifest.manifest_path(file).unlink(missing_ok=True)
            for predictions in (path / _PREDICTIONS).glob(f"{glob.escape(file.name)}.*.csv"):
                predictions.unlink()
    (path / _REPORT).unlink(missing_ok=True)
