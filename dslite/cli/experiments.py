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
from dslite.errors import SpecError, WriteError
from dslite.learn.dataset import Split
from dslite.learn.metrics import Difference, paired_difference
from dslite.measure.environment import environment
from dslite.records import BenchReport, Run
from dslite.report import document, experiment
from dslite.report.experiment_plots import draw

BASE = "tflite-float32"
"""What every row is compared with, as the model was trained."""
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
        SpecError: where no target runs what an exporter makes.
    """
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
        with files.written_whole(self.path / _PREDICTIONS / source.name) as place:
            shutil.copyfile(source, place)

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
        compared = experiment.with_flags([self._compared(run, runs) for run in runs])
        return document.report(compared, command_line(), self.environment)

    def _compared(self, run: Run, runs: Sequence[Run]) -> Run:
        bases = [each for each in runs if not each.artifact.compressors and not each.error]
        plain = [each for each in bases if each.artifact.exporter == BASE]
        of_target = [each for each in (*plain, *bases) if each.target == run.target]
        if run.error or not plain:
            return run
        difference = None
        if run.artifact.path != plain[0].artifact.path:
            difference = _difference(
                *(_read(predictions_path(Path(r.artifact.path), self.split)) for r in (run, plain[0]))
            )
        return experiment.with_comparison(run, plain[0], of_target[0] if of_target else None, difference)


def made(path: Path, split: Split) -> Folder:
    """Make the folder of an experiment, or take that of an earlier one.

    Raises:
        SpecError: where there is something else.
        WriteError: where it cannot be made.
    """
    if path.exists() and not path.is_dir():
        raise SpecError(f"{path} is a file, expected a folder: name another with -o")
    if path.is_dir() and any(path.iterdir()) and not (path / _REPORT).is_file():
        raise SpecError(f"{path} is a folder with other files, and no earlier experiment: name another with -o")
    try:
        (path / _PREDICTIONS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make the folder {path}: {error.strerror}") from None
    return Folder(path, split)


def _read(path: Path) -> dict[str, tuple[str, str]]:
    """Give of each file its label, and what it was taken for."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["file"]: (row["label"], row["predicted"]) for row in csv.DictReader(file)}


def _difference(ours: dict[str, tuple[str, str]], theirs: dict[str, tuple[str, str]]) -> Difference:
    labels = sorted({label for pair in (*ours.values(), *theirs.values()) for label in pair})
    true, a, b = (
        [labels.index(label) for label in column]
        for column in zip(*((ours[name][0], ours[name][1], theirs[name][1]) for name in ours), strict=True)
    )
    return paired_difference(true, a, b)
