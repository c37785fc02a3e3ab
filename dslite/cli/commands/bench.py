"""``dslite bench``."""

import shlex
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click
from click.core import ParameterSource

from dslite.cli import building
from dslite.cli.console import json_option, out, progress
from dslite.cli.options import (
    MODEL_FLAGS,
    OUTPUT,
    PATH,
    RECIPE_FLAGS,
    ModelRequest,
    PluginName,
    Seconds,
    model_options,
    recipe_options,
)
from dslite.errors import SpecError, WriteError
from dslite.native import native_output_hidden
from dslite.recipe import Recipe
from dslite.records import Part, Plan, Run
from dslite.report import paper

if TYPE_CHECKING:
    from dslite.records import BenchReport

_PARTS = get_args(Part)


@click.command(epilog="Example: dslite bench --backbone densenet121 --threads 2 -o report.json")
@click.argument("files", type=PATH, nargs=-1)
@click.option("--backbone", type=PluginName("backbones"), help="Build, export and measure this one.")
@click.option(
    "--exporter",
    "exporters",
    type=PluginName("exporters"),
    multiple=True,
    help="Measure these exports instead of the rows of the paper's Table 5; may be repeated.",
)
@click.option("--part", "parts", type=click.Choice(_PARTS), multiple=True, help="Only these parts; may be repeated.")
@click.option("--target", "targets", type=PluginName("targets"), multiple=True, help="Only here; may be repeated.")
@click.option(
    "--threads",
    type=click.IntRange(1),
    help=f"For the runtime.  [default: {paper.THREADS}, or the cores if fewer]",
)
@click.option("--runs", type=click.IntRange(1), default=50, show_default=True, help="Timed runs, at least.")
@click.option("--min-seconds", type=Seconds(0), default=1.0, show_default=True, help="Timed, at least.")
@click.option(
    "--max-seconds",
    type=Seconds(1e-3),
    default=150.0,
    show_default=True,
    help="Timed, at most.",
)
@click.option("--warmup-runs", type=click.IntRange(0), default=1, show_default=True, help="After the first, at least.")
@click.option("--warmup-seconds", type=Seconds(0), default=0.5, show_default=True, help="Warm-up, at least.")
@click.option("--timeout", type=Seconds(1), default=600.0, show_default=True, help="Seconds for one process.")
@click.option("--memory/--no-memory", default=True, show_default=True, help="Measure memory, in a process of its own.")
@click.option(
    "--audio",
    type=PATH,
    multiple=True,
    help="File or folder to measure with, instead of the synthetic chunk: its first 32 chunks. May be repeated.",
)
@click.option("-o", "--output", type=OUTPUT, help="Write the report, JSON, with every sample; replaced if it exists.")
@click.option("--keep", type=PATH, help="Keep the exported files in this folder.")
@model_options
@recipe_options
@json_option
def command(
    files: tuple[Path, ...],
    backbone: str | None,
    exporters: tuple[str, ...],
    parts: tuple[Part, ...],
    targets: tuple[str, ...],
    threads: int | None,
    runs: int,
    min_seconds: float,
    max_seconds: float,
    warmup_runs: int,
    warmup_seconds: float,
    timeout: float,
    memory: bool,
    audio: tuple[Path, ...],
    output: Path | None,
    keep: Path | None,
    model: ModelRequest,
    recipe: Recipe,
    as_json: bool,
) -> None:
    """Measure a backbone, or exported files.

    Latency, memory, size, parameters, MACs and FLOPs, each with its method.

    With --backbone alone: the rows of the paper's Table 5, with its figures beside them where it measured the same.
    FILES are exported ones with their manifest, or any .tflite with one input. Each file runs in fresh processes,
    one for time and one for memory. One that fails is a row with its error, and the exit code is 1.
    """
    from dslite.audio.load import audio_files, load_chunks
    from dslite.cli import sweep
    from dslite.measure.bench import describe_file
    from dslite.measure.environment import cpu_count, environment
    from dslite.measure.inputs import MAX_CHUNKS, prepare
    from dslite.report import document

    if max_seconds > timeout:
        raise SpecError(f"--max-seconds {max_seconds:g} is beyond --timeout {timeout:g}: raise the timeout")
    if not backbone:
        _refuse_options_of_a_backbone()
    system = building.system(backbone, model, recipe) if backbone else None
    cases = [
        *sweep.file_cases(files, targets),
        *(sweep.exported_cases(system, exporters, parts, targets) if system else ()),
    ]
    if not cases:
        raise SpecError(
            "nothing to measure: name a --backbone (`dslite list backbones`) or FILES, on a --target that runs them"
        )
    plan = Plan(
        threads=threads or min(paper.THREADS, cpu_count()),
        warmup_runs=warmup_runs,
        warmup_s=warmup_seconds,
        runs=runs,
        min_s=min_seconds,
        max_s=max_seconds,
        timeout_s=timeout,
        memory=memory,
    )
    sounds = [sound for path in audio for sound in audio_files(path)]
    if system:
        load_chunks(sounds, recipe.chunk, recipe.frontend.sample_rate_hz, MAX_CHUNKS)  # bad audio is told at once
    described = {path: describe_file(path) for path in files}  # wrong names are told before anything long starts
    machine, done = environment(), list[Run]()
    try:
        with _folder(keep) as folder, native_output_hidden(), progress(sweep.count_steps(cases)) as steps:
            fed = {path: prepare(artifact, sounds) for path, (artifact, _) in described.items()}
            exports = sweep.Exports(folder, steps, sounds)
            ready = [(*described[c.file], fed[c.file]) if c.file else exports.get(c) for c in cases]
            for case, what in zip(cases, ready, strict=True):
                done.append(sweep.measure(case, *what, plan, steps))
    except BaseException:  # an interruption, a signal, a defect: what was measured is not lost
        if done:
            _deliver(document.report(done, _command_line(), machine), output, as_json=as_json)
            click.echo(f"{len(done)} of {len(cases)} cases were measured", err=True)
        raise
    _deliver(document.report(done, _command_line(), machine), output, as_json=as_json)
    if any(run.error for run in done):
        raise SystemExit(1)


_BACKBONE_FIELDS = {"exporters": "--exporter", "parts": "--part", "keep": "--keep", **RECIPE_FLAGS, **MODEL_FLAGS}


def _refuse_options_of_a_backbone() -> None:
    """Refuse options that say how a model is made where none is: a file is what its manifest says."""
    context = click.get_current_context()
    for field, flag in _BACKBONE_FIELDS.items():
        if context.get_parameter_source(field) is ParameterSource.COMMANDLINE:
            raise SpecError(f"{flag} goes with --backbone: a file is measured as it is")


def _deliver(report: "BenchReport", output: Path | None, *, as_json: bool) -> None:
    from dslite.report import document
    from dslite.report.table import bench_table

    problem: WriteError | None = None
    if output:
        try:
            document.write(report, output)
        except WriteError as error:  # what was measured is shown all the same
            problem = error
    if as_json:
        click.echo(document.to_text(report), nl=False)
    else:
        console = out()
        console.print(bench_table(report, console.width))
    if problem:
        raise problem


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    if keep:
        try:
            keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SpecError(f"--keep: cannot make the folder {keep}: {error.strerror}") from None
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix="dslite-") as folder:
        yield Path(folder)


def _command_line() -> str:
    """Give the command as it was typed, but for folders: of an absolute path only the name."""

    def bare(word: str) -> str:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        return option + equals + (Path(value).name if Path(value).is_absolute() else value)

    return shlex.join(["dslite", *map(bare, sys.argv[1:])])
