"""The folder that the results of an experiment go to."""

import contextlib
import glob
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dslite import files, locks
from dslite.deploy import manifest
from dslite.deploy.runtime import has_runtime
from dslite.errors import ReportError, SpecError, WriteError
from dslite.experiment.compression import predictions_path
from dslite.experiment.jobs import Job
from dslite.experiment.reporter import SILENT, Reporter
from dslite.experiment.resume import MEASURED_BEFORE
from dslite.experiment.sinks import shown_to_nobody
from dslite.learn.dataset import Split
from dslite.learn.evaluation import Predictions, difference_of_predictions, read_predictions
from dslite.measure.relative import compared, trial_name, without
from dslite.metrics import find
from dslite.metrics.scores import Difference
from dslite.records import BenchReport, Flag, Run
from dslite.report import document
from dslite.report.comma_separated import as_csv
from dslite.report.experiment_plots import draw, drawn
from dslite.report.markdown import markdown
from dslite.report.view import view

_REPORT, _CSV, _MARKDOWN, _PREDICTIONS = "report.json", "table.csv", "table.md", "predictions"
HOLDS = f"files, {_REPORT}, {_CSV}, {_MARKDOWN}, plots, {_PREDICTIONS}"
_SUBJECT = "experiment.json"
"""Says what an experiment is scored on, from its first moment on."""
FAILED_ANEW = "failed_anew"
"""Code of the flag of an earlier row that stays, as the new one failed."""
_EARLIER = "of_earlier_experiment"
_TOLD_EARLIER = (
    "some rows are of an experiment that was here before, not measured anew yet: the machine may have had another pace "
    "then, and they are compared with the float32 file of then, measured with the settings of then"
)
_CURE = "name another folder with -o, or replace it with --fresh"


@dataclass(frozen=True, slots=True)
class Folder:
    """Takes the results of an experiment.

    Attributes:
        path: of the folder.
        split: that is scored.
        order: number of the row of a file and a target.
        reporter: told what goes wrong on the way.
        show: given the report at the end, also where something could not be written.
        earlier: rows of an experiment that was here before. As long as this one has not measured them anew, or replaced
            their file by another, they stay: one that is stopped takes nothing away.
        unwritten: why the file of a row is not here, by the row, and where it is: its figures are of a file that
            nobody can have.
        predictions: what is kept here of each exported file, by its name.
        noted: kinds of notes that were told already.
        differences: that were worked out already, by the names of both files.
    """

    path: Path
    split: Split
    order: Mapping[tuple[str, str], int]
    reporter: Reporter = SILENT
    show: Callable[[BenchReport], None] = shown_to_nobody
    earlier: Sequence[Run] = ()
    unwritten: dict[tuple[str, str], tuple[WriteError, Run]] = field(default_factory=dict)
    predictions: dict[str, Predictions] = field(default_factory=dict)
    noted: set[str] = field(default_factory=set)
    differences: dict[tuple[str, str], Difference] = field(default_factory=dict)

    def add(self, report: BenchReport, new: Sequence[Run], /) -> None:
        """Keep the files of new runs with their predictions, and write down what there is."""
        self._take(new)
        if left := self._left_of_earlier(report.runs):
            self._note(
                "earlier", f"{self.path} has {len(left)} rows of an earlier experiment: each stays until measured anew"
            )
        with contextlib.suppress(WriteError):  # they are written again at the end: measuring goes on
            self._write(self._compared(report))

    def _write(self, report: BenchReport) -> None:
        document.write(report, self.path / _REPORT)
        found = view([(_REPORT, report)])
        files.write_text(self.path / _CSV, as_csv(found))
        files.write_text(self.path / _MARKDOWN, markdown(found))

    def _take(self, runs: Sequence[Run]) -> None:
        """Keep the files of runs; one that cannot be written is a row that failed."""
        for run in runs:
            if not run.error:
                try:
                    self._copy(Path(run.artifact.path))
                    self.unwritten.pop(_row(run), None)
                except WriteError as error:
                    self._note("unwritten", f"{error}: the row counts as failed, unless there is room at the end")
                    self.unwritten[_row(run)] = error, run

    def _note(self, kind: str, text: str) -> None:
        """Tell the first note of its kind."""
        if kind not in self.noted:
            self.noted.add(kind)
            self.reporter.note(text)

    def _copy(self, file: Path) -> None:
        source = predictions_path(file, self.split)
        is_scored = has_runtime(file)
        if is_scored:  # others are compared with it, also where it cannot be copied
            self.predictions[file.name] = read_predictions(source)
        manifest.copy_export(file, self.path)
        if is_scored:
            with files.written_whole(self.path / _PREDICTIONS / source.name) as place:
                shutil.copyfile(source, place)

    def finish(self, report: BenchReport, /) -> BenchReport:
        """Write report, tables and plots, and show the report.

        Raises:
            WriteError: where something could not be written; the report is shown all the same.
        """
        self._take([run for _, run in self.unwritten.values()])  # there may be room by now
        problems = [error for error, _ in self.unwritten.values()]
        report = self._compared(report)
        try:
            self._write(report)
            plots = draw(report, self.path, self.split)
            for plot in drawn(self.path, {run.target for run in report.runs}):
                if plot not in plots:  # of fewer targets
                    plot.unlink()
        except WriteError as error:
            problems.append(error)
        self.show(report)
        if problems:
            raise problems[0]
        return report

    def _compared(self, report: BenchReport) -> BenchReport:
        """Give the rows in their order, those compared that are new, and those of before that are not replaced yet."""
        new = [  # others are compared with a file that could not be written, as it was measured all the same
            replace(run, error=str(self.unwritten[_row(run)][0]), measurements=(), flags=())
            if _row(run) in self.unwritten
            else run
            for run in compared(report.runs, self._difference)
        ]
        rows = {_row(run): run for run in self._left_of_earlier(new)}
        for run in new:
            rows.setdefault(_row(run), run)
        return replace(report, runs=tuple(rows[row] for row in sorted(rows, key=self.order.__getitem__)))

    def _left_of_earlier(self, runs: Sequence[Run]) -> list[Run]:
        """Give the earlier rows that no run has measured anew."""
        # They keep their difference from the float32 file of then, and their speed-up until there are those of now: it
        # would stand beside these.
        timed_anew = any(find(run.measurements, "speed_up") for run in runs)
        new = {_row(run): run for run in runs}
        files_now = {Path(run.artifact.path).name: run.artifact.sha256 for run in runs if not run.error}
        left = []
        for run in (without(run, "speed_up") if timed_anew else run for run in self.earlier):
            now = new.get(_row(run))
            if files_now.get(run.artifact.path, run.artifact.sha256) != run.artifact.sha256:
                continue  # of another target, and its file is another one by now
            if now is None:
                left.append(replace(run, flags=(*run.flags, Flag(_EARLIER, _TOLD_EARLIER))))
            elif now.error:
                told = (
                    f"{trial_name(run)}: measured anew it failed, so this is the row that was here before: {now.error}"
                )
                left.append(replace(run, flags=(*run.flags, Flag(FAILED_ANEW, told))))
        return left

    def _difference(self, run: Run, base: Run) -> Difference | None:
        """Compare two files by what is kept of them here; what could not be kept was told."""
        names = Path(run.artifact.path).name, Path(base.artifact.path).name
        if names not in self.differences:
            ours, theirs = (self.predictions.get(name) for name in names)
            if ours is None or theirs is None:
                return None
            self.differences[names] = difference_of_predictions(ours, theirs)
        return self.differences[names]


def _row(run: Run) -> tuple[str, str]:
    return Path(run.artifact.path).name, document.without_folders(run.target)


def _row_of(job: Job) -> tuple[str, str]:
    return job.file_name, document.without_folders(job.target)


@contextlib.contextmanager
def opened(
    path: Path,
    split: Split,
    data_key: str,
    model_key: str,
    wanted: Sequence[Job],
    *,
    fresh: bool = False,
    reporter: Reporter = SILENT,
    show: Callable[[BenchReport], None] = shown_to_nobody,
) -> Iterator[Folder]:
    """Make the folder of an experiment, or take that of an earlier one with rows that are all wanted again.

    It is this process's while the block runs.

    Args:
        path: of the folder.
        split: to be scored.
        data_key: hash of the data.
        model_key: hash of the trained model.
        wanted: what the folder is to have.
        fresh: replace an earlier experiment, whatever its rows: its files go.
        reporter: told what goes wrong on the way.
        show: given the report at the end.

    Raises:
        SpecError: where there is something else, rows that would be lost, or a process at work; where two rows would
            have one name.
        WriteError: where it cannot be made.
    """
    order = {_row_of(job): i for i, job in enumerate(wanted)}
    if len(order) < len(wanted):
        raise SpecError("two --target differ only in folders of the files that they name: give these files other names")
    if path.exists() and not path.is_dir():
        raise SpecError(f"{path} is a file, expected a folder: name another with -o")
    names = [each.name for each in path.iterdir()] if path.is_dir() else []
    before = _subject(path)
    if before is None and any(name != _PREDICTIONS and not name.startswith(files.HALF_WRITTEN) for name in names):
        raise SpecError(f"{path} is a folder with other files, and no earlier experiment: name another with -o")
    locks.check_free(path)
    subject = {"split": split, "data": data_key, "model": model_key}
    if before is not None and not fresh:
        _check_subject(path, before, subject)
    earlier = [] if fresh else _earlier(path, wanted)
    try:
        (path / _PREDICTIONS).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"cannot make the folder {path}: {error.strerror}") from None
    with locks.claimed(path):
        if fresh:
            _remove_rows(path)
        for folder in (path, path / _PREDICTIONS):
            files.remove_half_written(folder)
        files.write_text(path / _SUBJECT, json.dumps(subject) + "\n")
        yield Folder(path, split, order, reporter, show, earlier)


def _subject(path: Path) -> dict[str, str] | None:
    """Give what an experiment in a folder is scored on; None where there is none."""
    try:
        found = json.loads((path / _SUBJECT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and {"split", "data"} <= found.keys() else None


def _check_subject(path: Path, earlier: Mapping[str, str], subject: Mapping[str, str]) -> None:
    """Refuse to replace an experiment by one that scores something else."""
    for fact, what in (
        ("split", "was scored on another split"),
        ("data", "was scored on other data, or on these files before they were written anew"),
        ("model", "is of another run, or of this one before it was trained anew"),
    ):
        if earlier.get(fact) != subject[fact]:
            raise SpecError(f"{path} has an experiment that {what}: {_CURE}")


def _earlier(path: Path, wanted: Sequence[Job]) -> list[Run]:
    """Give the rows of an earlier experiment but those that failed; refuse where not all of them are wanted."""
    try:
        there = document.read(path / _REPORT).runs if (path / _REPORT).exists() else ()
    except ReportError as error:
        raise SpecError(f"{error}: {_CURE}") from None
    runs = [run for run in there if not run.error]
    known = {_row_of(job) for job in wanted}
    lost = [run for run in runs if _row(run) not in known]
    if lost:
        raise SpecError(
            f"{path} has rows of an earlier experiment that this one has not, {len(lost)}, such as "
            f"{trial_name(lost[0])}: {_CURE}"
        )
    told_then = (_EARLIER, FAILED_ANEW, MEASURED_BEFORE)
    return [replace(run, flags=tuple(flag for flag in run.flags if flag.code not in told_then)) for run in runs]


def _remove_rows(path: Path) -> None:
    """Take away the report of an earlier experiment, what was made of it, and the files that it names."""
    runs: Sequence[Run] = ()
    with contextlib.suppress(ReportError):
        runs = document.read(path / _REPORT).runs
    for run in runs:
        file = path / Path(run.artifact.path).name
        if not manifest.manifest_path(file).is_file():
            continue  # whatever it is, no export was put there
        if file.is_dir():
            shutil.rmtree(file, ignore_errors=True)
        else:
            file.unlink(missing_ok=True)
        manifest.manifest_path(file).unlink()
        for predictions in (path / _PREDICTIONS).glob(f"{glob.escape(file.name)}.*.csv"):
            predictions.unlink()
    for place in (path / _REPORT, path / _CSV, path / _MARKDOWN, *drawn(path, {run.target for run in runs})):
        if place.is_file():
            place.unlink()
