"""``dslite bench``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from dslite.cli.console import TERMINAL, command_line, json_option, show_report
from dslite.cli.data import calibration_option
from dslite.cli.options import (
    MODEL_FLAGS,
    OUTPUT,
    PATH,
    RECIPE_FLAGS,
    model_options,
    plugins_option,
    recipe_options,
    refuse_options,
)
from dslite.cli.plans import MOST_ROUNDS, plan_options
from dslite.cli.reports import SortColumn
from dslite.errors import SpecError
from dslite.experiment import building
from dslite.experiment.building import ModelRequest
from dslite.experiment.data import calibration_files
from dslite.experiment.selection import select
from dslite.learn.run import is_run
from dslite.recipe import Recipe
from dslite.records import Part, Plan

_PARTS = get_args(Part)


@click.command(epilog="Example: dslite bench --backbone 'mobilenet*,squeezenet_v1' --sort p50 -o report.json")
@click.argument("files", type=PATH, nargs=-1)
@plugins_option("backbones", "Build, export and measure: a name, a,b, 'mobilenet*', or all; may be repeated.")
@plugins_option("exporters", "Measure these exports (likewise) instead of the rows of the paper's Table 5.")
@click.option("--part", "parts", type=click.Choice(_PARTS), multiple=True, help="Only these parts; may be repeated.")
@plugins_option(
    "targets",
    "Measure there instead (likewise); options ride on the name: android:cores=all. `dslite list targets`, "
    "`dslite show android`.  [default: this host]",
)
@click.option("--runner", metavar="NAME", help="What runs on a phone: dslite, or benchmark_model, Google's tool.")
@click.option("--runner-path", type=PATH, help="Its program, built for the phone; else it is looked for by ABI.")
@click.option(
    "--audio",
    type=PATH,
    multiple=True,
    help="File or folder to measure with, instead of the synthetic chunk: its first 32 chunks. May be repeated.",
)
@calibration_option
@click.option("-o", "--output", type=OUTPUT, help="Write the report, JSON, with every sample; a report is replaced.")
@click.option("--keep", type=PATH, help="Copy the exported files into this folder.")
@click.option("--sort", type=SortColumn(), help="Order the rows by this column, lowest first.")
@click.option("--descending", is_flag=True, help="Highest first.")
@click.option(
    "--interleave",
    is_flag=True,
    help="Time the files again in turn, a few runs at a time: shows small differences from the first row.",
)
@click.option(
    "--rounds",
    type=click.IntRange(1, MOST_ROUNDS),
    default=10,
    show_default=True,
    help="Of --interleave, each in a process of its own; --runs and --min-seconds are divided among them. It takes 6 "
    "to tell speeds apart.",
)
@click.option("--fresh", is_flag=True, help="Measure all, also what a bench that was stopped had measured.")
@plan_options
@model_options
@recipe_options
@json_option
def command(
    files: tuple[Path, ...],
    backbones: tuple[str, ...],
    exporters: tuple[str, ...],
    parts: tuple[Part, ...],
    targets: tuple[str, ...],
    runner: str | None,
    runner_path: Path | None,
    audio: tuple[Path, ...],
    calibration: tuple[Path, ...],
    output: Path | None,
    keep: Path | None,
    sort: str | None,
    descending: bool,
    interleave: bool,
    rounds: int,
    fresh: bool,
    plan: Plan,
    model: ModelRequest,
    recipe: Recipe,
    as_json: bool,
) -> None:
    """Measure backbones, or exported files.

    Latency, memory, size, parameters, MACs and FLOPs, each with its method.

    With one --backbone alone: the rows of the paper's Table 5, with its figures beside them where it measured the
    same. With several: one row each, a TFLite file that takes audio. FILES are exported ones with their manifest,
    any .tflite with one input, or folders of runs of `dslite train`, which are exported first.

    Each file runs in fresh processes, one for time and one for memory. One that fails is a row with its error, and
    the exit code is 1. A bench that was stopped goes on where it was when the same command is given again; exported
    files stay in the cache (`dslite cache`).
    """
    from dslite.audio.load import audio_files
    from dslite.cli.reports import check_sort, may_replace
    from dslite.experiment import jobs, scheduler
    from dslite.experiment.devices import with_runner
    from dslite.experiment.sinks import FileSink
    from dslite.report.terminal import report_table

    runs = [path for path in files if is_run(path)]
    files = tuple(path for path in files if path not in runs)
    _refuse_needless_options(backbones, runs)
    if not interleave:
        refuse_options({"rounds": "--rounds"}, "goes with --interleave")
    systems = _systems(select("backbones", backbones), model, recipe) + [building.trained(path) for path in runs]
    named = with_runner(select("targets", targets), runner, runner_path)
    wanted = jobs.file_jobs(files, named)
    sounds = [sound for path in audio for sound in audio_files(path)]
    if systems:
        heard = _calibration(calibration, systems) or sounds
        wanted += jobs.exported_jobs(systems, select("exporters", exporters), parts, named, heard, TERMINAL)
    if interleave and wanted and all(n == 1 for n in Counter(job.target for job in wanted).values()):
        raise SpecError("--interleave: expected two files or more of one target, which take turns, got one")
    if not wanted:
        raise SpecError(
            "nothing to measure: name a --backbone (`dslite list backbones`) or FILES, on a --target that runs them"
        )
    check_sort(sort, (job.target for job in wanted))
    if output:
        may_replace(output)
    if keep:
        _make(keep)
    report = scheduler.bench(
        wanted,
        plan,
        audio=sounds,
        n_rounds=rounds if interleave else 0,
        reporter=TERMINAL,
        sink=FileSink(
            output,
            keep,
            sort,
            descending,
            lambda report: show_report(report, lambda each, width: report_table(each, width, sort), as_json=as_json),
        ),
        fresh=fresh,
        command=command_line(),
    )
    if any(run.error for run in report.runs):
        raise SystemExit(1)


def _calibration(paths: Sequence[Path], systems: Sequence[building.System]) -> list[Path]:
    seeds = {seed for system in systems if (seed := building.split_seed(system)) is not None}
    if len(seeds) > 1 and any(path.suffix.lower() == ".csv" for path in paths):
        raise SpecError(f"--calibration: the runs divide tables by other seeds ({seeds}): bench them one by one")
    return calibration_files(paths, next(iter(seeds), None), TERMINAL)


def _systems(names: Sequence[str], model: ModelRequest, recipe: Recipe) -> list[building.System]:
    systems = [building.system(name, model, recipe) for name in names]
    if len(systems) == 1:
        building.check(systems[0])  # of several, one that does not fit is a row with its error
    elif systems and model.weights not in ("none", "imagenet"):
        raise SpecError(f"--weights {model.weights}: a file fits one backbone, got {len(systems)}: name that one")
    return systems


def _refuse_needless_options(backbones: Sequence[str], runs: Sequence[Path]) -> None:
    """Refuse options that say how a model is made, or exported, where none is."""
    if not backbones:
        refuse_options({**MODEL_FLAGS, **RECIPE_FLAGS}, "goes with --backbone: files and runs are measured as they are")
    if not backbones and not runs:
        flags = {"exporters": "--exporter", "parts": "--part", "calibration": "--calibration", "keep": "--keep"}
        refuse_options(flags, "goes with --backbone or a run: a file is measured as it is")


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpecError(f"--keep: cannot make the folder {folder}: {error.strerror}") from None
