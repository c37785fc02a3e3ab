"""``dslite bench``."""

import shlex
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dslite.cli import building
from dslite.cli.console import Steps, out, progress
from dslite.cli.options import OUTPUT, PATH, ModelRequest, PluginName, json_option, model_options, recipe_options
from dslite.errors import DsliteError, SpecError, WriteError
from dslite.native import native_output_hidden
from dslite.recipe import Recipe
from dslite.records import Artifact, Part, Plan, Run, Target
from dslite.registry import get_with_options, registry

if TYPE_CHECKING:
    from dslite.records import BenchReport

_PAPER_THREADS = 4
_PARTS = ("whole", "frontend", "cnn")


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
@click.option("--min-seconds", type=click.FloatRange(0), default=1.0, show_default=True, help="Timed, at least.")
@click.option(
    "--max-seconds",
    type=click.FloatRange(0, min_open=True),
    default=150.0,
    show_default=True,
    help="Timed, at most.",
)
@click.option("--warmup-runs", type=click.IntRange(0), default=1, show_default=True, help="After the first, at least.")
@click.option("--warmup-seconds", type=click.FloatRange(0), default=0.5, show_default=True, help="Warm-up, at least.")
@click.option("--timeout", type=click.FloatRange(1), default=600.0, show_default=True, help="Seconds for one process.")
@click.option("--memory/--no-memory", default=True, show_default=True, help="Measure memory, in a process of its own.")
@click.option("--audio", type=PATH, help="File or folder to measure with, instead of the synthetic chunk.")
@click.option("-o", "--output", type=OUTPUT, help="Write the report, JSON, with every sample.")
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
    audio: Path | None,
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
    from dslite.measure.environment import cpu_count
    from dslite.measure.inputs import MAX_CHUNKS
    from dslite.report import document

    if output and output.is_dir():
        raise SpecError(f"--output: expected a file name, got the folder {output}")
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
    sounds = audio_files(audio) if audio else []
    load_chunks(sounds, recipe.chunk, recipe.frontend.sample_rate_hz, MAX_CHUNKS)  # bad audio is told at once
    described = {path: describe_file(path) for path in files}  # wrong names are told before anything long starts
    done: list[Run] = []
    interrupted = False
    try:
        with _folder(keep) as folder, native_output_hidden(), progress(_count_steps(cases)) as steps:
            done.extend(_measure_all(cases, described, plan, sounds, folder, steps))
    except KeyboardInterrupt:
        if not done:
            raise
        interrupted = True
    _deliver(document.report(done, _command_line()), output, as_json=as_json)
    if interrupted:
        click.echo(f"{len(done)} of {len(cases)} cases were measured", err=True)
        raise KeyboardInterrupt
    if any(run.error for run in done):
        raise SystemExit(1)


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


def _measure_all(
    cases: Sequence[_Case],
    described: dict[Path, tuple[Artifact, str | None]],
    plan: Plan,
    sounds: Sequence[Path],
    folder: Path,
    steps: Steps,
) -> Iterator[Run]:
    """Export what has to be, all of it before the first measurement, then measure case by case."""
    from dslite.measure import bench
    from dslite.measure.inputs import prepare

    exports = _Exports(folder, steps)
    ready = [described[case.file] if case.file is not None else exports.artifact(case) for case in cases]
    fed = [
        None if problem and case.system else prepare(artifact, sounds)
        for case, (artifact, problem) in zip(cases, ready, strict=True)
    ]
    for case, (artifact, problem), inputs in zip(cases, ready, fed, strict=True):
        report = steps.start(f"{Path(artifact.path).name} on {case.target.name}")
        if inputs is None:
            yield Run(artifact, case.target.name, None, plan, error=problem)
        else:
            yield bench.run(artifact, problem, case.target, plan, inputs, report)


class _Exports:
    """Exported files of a sweep, each made once; a failure is kept as the reason."""

    def __init__(self, folder: Path, steps: Steps) -> None:
        self._folder = folder
        self._steps = steps
        self._models: dict[str, Any] = {}
        self._files: dict[str, tuple[Artifact, str | None]] = {}

    def artifact(self, case: _Case) -> tuple[Artifact, str | None]:
        """Give the file of a case, exported now or before, and why that failed, or None."""
        from dslite.measure.bench import undescribed

        assert case.system is not None  # noqa: S101 - only exported cases come here
        name = case.exported_name
        if name not in self._files:
            path = self._folder / name
            try:
                cnn = self._model(case.system) if case.part != "frontend" else None
                self._steps.start(f"exporting {name}")
                made = building.export_part(case.system, cnn, case.part, case.exporter, path)
                self._files[name] = (made, None)
            except DsliteError as error:
                lost = undescribed(path, case.system.name, case.exporter, case.part)
                self._files[name] = (lost, str(error))
        return self._files[name]

    def _model(self, system: building.System) -> Any:
        if system.name not in self._models:
            self._steps.start(f"building {system.name}")
            self._models[system.name] = building.build(system)
        return self._models[system.name]


def _command_line() -> str:
    """Give the command as it was typed, folders left out of it."""
    return shlex.join(["dslite", *(Path(word).name if "/" in word else word for word in sys.argv[1:])])
