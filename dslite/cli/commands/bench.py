"""``dslite bench``."""

import shlex
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from click.core import ParameterSource

from dslite.cli import building
from dslite.cli.console import Steps, json_option, out, progress
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
from dslite.errors import DsliteError, SpecError, WriteError, first_line
from dslite.native import debug, native_output_hidden
from dslite.recipe import Recipe
from dslite.records import Artifact, Part, Plan, Run, Target
from dslite.registry import get_with_options, registry

if TYPE_CHECKING:
    from dslite.measure.inputs import Inputs
    from dslite.records import BenchReport

_PAPER_THREADS = 4
_PARTS = get_args(Part)


@dataclass(frozen=True, slots=True)
class _Case:
    """What is measured where: a file of the user's, or a part of a system that is exported first."""

    target: Target
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
    help=f"For the runtime.  [default: {_PAPER_THREADS}, or the cores if fewer]",
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
        *_file_cases(files, targets),
        *(_exported_cases(system, exporters, parts, targets) if system else ()),
    ]
    if not cases:
        raise SpecError(
            "nothing to measure: name a --backbone (`dslite list backbones`) or FILES, on a --target that runs them"
        )
    plan = Plan(
        threads=threads or min(_PAPER_THREADS, cpu_count()),
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
    sent = {path: prepare(artifact, sounds) for path, (artifact, _) in described.items()}
    machine, done = environment(), list[Run]()
    try:
        with _folder(keep) as folder, native_output_hidden(), progress(_count_steps(cases)) as steps:
            exports = _Exports(folder, steps, sounds)
            ready = [(*described[c.file], sent[c.file]) if c.file else exports.get(c) for c in cases]
            done.extend(_measured(case, *what, plan, steps) for case, what in zip(cases, ready, strict=True))
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


def _file_cases(files: Sequence[Path], targets: Sequence[str]) -> list[_Case]:
    return [_Case(target, file=path) for path in files for target in _targets_for(path.suffix, targets)]


def _exported_cases(
    system: building.System, exporters: Sequence[str], parts: Sequence[Part], targets: Sequence[str]
) -> list[_Case]:
    if not exporters:
        from dslite.report.paper import TABLE_5

        rows = [row for row in TABLE_5 if (not parts or row.part in parts) and (not targets or row.target in targets)]
        return [
            _Case(registry().get("targets", row.target), system=system, part=row.part, exporter=row.exporter)
            for row in rows
        ]
    return [
        _Case(target, system=system, part=part, exporter=exporter)
        for exporter in exporters
        for part in parts or ("whole",)
        for target in _targets_for(building.get_exporter(exporter)[0].suffix, targets)
    ]


def _targets_for(suffix: str, wanted: Sequence[str]) -> list[Target]:
    names = wanted or registry().names("targets")
    found = [target for target in (get_with_options("targets", name)[0] for name in names) if suffix in target.suffixes]
    if not found:
        can = sorted({s for name in names for s in registry().get("targets", name.partition(":")[0]).suffixes})
        raise SpecError(
            f"no target among {', '.join(names)} runs {suffix or 'a file without suffix'}: they run {', '.join(can)}"
        )
    return found


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


def _count_steps(cases: Sequence[_Case]) -> int:
    exports = {case.exported_name for case in cases if case.system}
    return len(cases) + len(exports) + bool(exports)  # measuring, exporting, building


def _measured(
    case: _Case, artifact: Artifact, problem: str | None, inputs: "Inputs | None", plan: Plan, steps: Steps
) -> Run:
    """Measure one case; without inputs there is nothing to measure, and the problem says why."""
    from dslite.measure import bench

    report = steps.start(f"{Path(artifact.path).name} on {case.target.name}")
    if inputs is None:
        return Run(artifact, case.target.name, None, plan, error=problem)
    return bench.run(artifact, problem, case.target, plan, inputs, report)


class _Exports:
    """Exported files of a sweep and their inputs, each made once; a failure is kept as the reason."""

    def __init__(self, folder: Path, steps: Steps, sounds: Sequence[Path]) -> None:
        self._folder = folder
        self._steps = steps
        self._sounds = sounds
        self._models: dict[str, Any] = {}
        self._files: dict[str, tuple[Artifact, str | None, Inputs | None]] = {}

    def get(self, case: _Case) -> "tuple[Artifact, str | None, Inputs | None]":
        """Give file and inputs of a case, made now or before; or why that failed."""
        from dslite.measure.bench import undescribed
        from dslite.measure.inputs import prepare

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
                lost = undescribed(path, case.system.name, case.exporter, case.part)
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
    return str(error) if isinstance(error, DsliteError) else f"{type(error).__name__}: {first_line(error)}"


def _command_line() -> str:
    """Give the command as it was typed, but for folders: of an absolute path only the name."""

    def bare(word: str) -> str:
        option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
        return option + equals + (Path(value).name if Path(value).is_absolute() else value)

    return shlex.join(["dslite", *map(bare, sys.argv[1:])])
