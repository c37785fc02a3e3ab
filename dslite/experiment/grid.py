"""An experiment: a run compressed in several ways, each exported, scored and measured."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dslite.errors import DataError, SpecError
from dslite.experiment import building, compression, feature_cache, folder, jobs, keys, launchers
from dslite.experiment.data import DataRequest
from dslite.experiment.jobs import Job
from dslite.experiment.reporter import SILENT, Reporter
from dslite.experiment.scheduler import bench
from dslite.experiment.sinks import shown_to_nobody
from dslite.learn import run
from dslite.learn.dataset import DataSet, Split
from dslite.loading import Kind
from dslite.measure.relative import BASE
from dslite.records import BenchReport, Plan
from dslite.registry import get_with_options

EXPORTERS, TARGETS = ("tflite-float32", "tflite-int8"), ("host-litert",)
N_ROUNDS = 6
"""Of which a rank test can tell speeds apart, and whose median one disturbance does not move."""


def compress(
    run_folder: Path,
    data: DataRequest,
    chains: Sequence[tuple[str, ...]] = (),
    *,
    exporters: Sequence[str] = EXPORTERS,
    targets: Sequence[str] = TARGETS,
    split: Split = "test",
    output: Path | None = None,
    plan: Plan,
    n_rounds: int = N_ROUNDS,
    launcher: launchers.Launcher | None = None,
    reporter: Reporter = SILENT,
    show: Callable[[BenchReport], None] = shown_to_nobody,
    fresh: bool = False,
    command: str = "",
) -> BenchReport:
    """Compress a run in several ways, and score and measure each of the files; results go to a folder.

    Args:
        run_folder: of `dslite train`.
        data: the table it learned from.
        chains: of compressors that are applied in turn, names and options; the model as it is, is always among them.
        exporters: names and options; each makes a file of each model.
        targets: names and options.
        split: to be scored.
        output: folder for files, tables and plots; None: the run's with ``-compressed`` behind its name.
        plan: how files are measured.
        n_rounds: in which files are timed by turns when all are there.
        launcher: where models are made; None: each in a process of its own.
        reporter: told of progress.
        show: given the report at the end, also of an experiment that was stopped, and where it could not be written.
        fresh: measure all, and replace another experiment in the folder.
        command: what the report says it was made with.

    Returns:
        The report, a run for each file and target; one that failed has its error there.

    Raises:
        UserError: where it cannot be done as it was asked for, before anything is measured.
        WriteError: where something could not be written.
    """
    info = run.read_complete(run_folder)
    if not info.labels:
        raise SpecError(f"{run_folder}: expected a run that tells classes apart: a regression has no UAR to compare")
    table = replace(data, task="classification").read(for_training=False)
    _check(table, info, run_folder, split, reporter)
    _check_options(chains, exporters, reporter)
    data_key = feature_cache.data_key(table)
    wanted = grid_jobs(building.trained(run_folder), chains, exporters, targets, data, data_key, split)
    resolved = run_folder.resolve()
    place = output or resolved.with_name(f"{resolved.name}-compressed")
    model_key = keys.key(keys.weights(str(run_folder / run.WEIGHTS)))
    with folder.opened(place, split, data_key, model_key, wanted, fresh=fresh, reporter=reporter, show=show) as results:
        return bench(
            wanted,
            plan,
            n_rounds=n_rounds,
            launcher=launcher,
            reporter=reporter,
            sink=results,
            fresh=fresh,
            command=command,
        )


def grid_jobs(
    system: building.System,
    chains: Sequence[tuple[str, ...]],
    exporters: Sequence[str],
    targets: Sequence[str],
    data: DataRequest,
    data_key: str,
    split: Split,
) -> list[Job]:
    """Make the jobs of every combination, chain by chain; before all, the model as it was trained as a float32 file.

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
        jobs.targets_for(get_with_options("exporters", BASE)[0].suffix, targets)
    except SpecError as error:
        raise SpecError(f"{error}; rows are compared with the {BASE} file: name --target host-litert too") from None
    audio_dir = None if data.audio_dir is None else str(data.audio_dir)
    wanted = []
    for chain in [(), *(chain for chain in chains if chain)]:
        chosen = compression.Compression(str(data.path), audio_dir, data.split_seed, data_key, split, chain)
        for exporter in exporters if chain else dict.fromkeys([BASE, *exporters]):
            able = jobs.targets_for(get_with_options("exporters", exporter)[0].suffix, targets)
            wanted += [Job(target, None, system, "whole", exporter, (), chosen) for target in able]
    return wanted


def any_failed(report: BenchReport) -> bool:
    """Tell whether a row failed, also one whose place an earlier one keeps."""
    return any(row.error or any(flag.code == folder.FAILED_ANEW for flag in row.flags) for row in report.runs)


def _check_options(chains: Sequence[tuple[str, ...]], exporters: Sequence[str], reporter: Reporter) -> None:
    """Tell at once of rows that will fail, as their options cannot be; refuse where no chain, or exporter, is left."""
    rows_of: dict[Kind, Sequence[tuple[str, ...]]] = {
        "compressors": chains,
        "exporters": [(name,) for name in exporters],
    }
    for kind, rows in rows_of.items():
        refused = [error for links in rows if (error := _refused(kind, links))]
        if refused and len(refused) == len(rows):
            raise refused[0]
        for error in refused:
            reporter.note(f"{error}; its rows will fail, the others are measured")


def _refused(kind: Kind, links: Sequence[str]) -> SpecError | None:
    try:
        for link in links:
            building.check_options(kind, link)
    except SpecError as error:
        return error
    return None


def _check(table: DataSet, info: run.RunInfo, run_folder: Path, split: Split, reporter: Reporter) -> None:
    """Refuse a table that is not that of the run, and a split that is not there or was learned from."""
    if table.labels != info.labels:
        raise DataError(
            f"labels: the run knows {', '.join(info.labels)}, the table has {', '.join(table.labels)}: give the table "
            "that the run learned from"
        )
    if info.final and split == "devel":
        raise SpecError("--split devel: the run learned from it (--final): score --split test")
    for part in ("train", split):
        if not table.part(part):
            raise DataError(f"expected a {part} split, the table has none")
    learned = run.learned_labels(run_folder, info.learned)
    n_scored, n_learned = len(table.part(split)), sum(each.name in learned for each in table.part(split))
    if n_learned:
        raise DataError(
            f"{n_learned} of the {n_scored} {split} files are among those the run learned from, by their names: "
            "give the table that the run learned from"
        )
    wrong = [each.name for each in table.examples if learned.get(each.name, each.label) != each.label]
    if wrong:
        raise DataError(
            f"{len(wrong)} of the files that the run learned from have another label in the table, such as {wrong[0]}: "
            "give the table that the run learned from"
        )
    if told := compression.other_files(run_folder, table):
        reporter.note(told)
