"""``dslite compress``."""

import dataclasses
from pathlib import Path

import click

from dslite.cli.console import TERMINAL, command_line, json_option, show_report
from dslite.cli.data import table_options
from dslite.cli.options import PATH, OutputPath, PluginName, given, plugins_option
from dslite.cli.plans import plan_options, rounds_option
from dslite.experiment.data import DataRequest
from dslite.experiment.selection import chains, select
from dslite.learn.dataset import Split
from dslite.learn.run import read_complete
from dslite.records import BenchReport, Plan


@click.command(
    epilog="Example: dslite compress runs/first data/labels.csv --compressor channels:macs=0.5 "
    "--compressor prune:sparsity=0.8+qat --exporter tflite-float32,tflite-int8"
)
@click.argument("run_folder", metavar="RUN", type=PATH)
@table_options
@click.option(
    "--compressor",
    "compressors",
    type=PluginName("compressors", words=("none",), joint="+"),
    multiple=True,
    help="A name with options, or several joined by + that are applied in turn; a,b for several rows; may be repeated. "
    "The model as it is (none) is always among them.",
)
@plugins_option(
    "exporters", "A name with options; a,b for several; may be repeated.  [default: tflite-float32,tflite-int8]"
)
@plugins_option("targets", "A name with options; a,b for several; may be repeated.  [default: host-litert]")
@click.option(
    "--split", type=click.Choice(["devel", "test"]), default="test", show_default=True, help="Part of DATA to score."
)
@click.option(
    "-o",
    "--output",
    type=OutputPath(folder=True, parents=True),
    help="Folder for files, tables and plots.  [default: RUN-compressed]",
)
@click.option(
    "--fresh",
    is_flag=True,
    help="Measure all, also what an experiment that was stopped had measured, and replace another one in the folder.",
)
@rounds_option
@plan_options
@json_option
def command(
    run_folder: Path,
    data: DataRequest,
    compressors: tuple[str, ...],
    exporters: tuple[str, ...],
    targets: tuple[str, ...],
    split: Split,
    output: Path | None,
    fresh: bool,
    rounds: int,
    plan: Plan,
    as_json: bool,
) -> None:
    """Compress a run: how small, how fast, at what cost.

    RUN is the folder of `dslite train`, DATA the table it learned from. Every compressor goes with every exporter:
    the model is compressed and fine-tuned on the train split, with the recipe of the run, exported, scored and
    measured. Each row is a file that can be shipped: UAR with its interval, the difference from the uncompressed
    float32 file by a paired bootstrap, size, zeros, parameters, MACs, latency and memory.

    `dslite list compressors` names them, `dslite show NAME` says what their options are.

    The folder gets the files, report.json, table.csv, table.md, predictions, and UAR against latency and size as PNG
    and SVG. A row that fails says why, and the exit code is 1. An experiment that was stopped goes on where it was
    when the same command is given again; compressed models stay in the cache (`dslite cache`).
    """
    from dslite.experiment import folder, grid
    from dslite.report.terminal import report_table

    if not given("split_seed"):
        data = dataclasses.replace(data, split_seed=read_complete(run_folder).split_seed)
    resolved = run_folder.resolve()
    place = output or resolved.with_name(f"{resolved.name}-compressed")

    def show(report: BenchReport) -> None:
        show_report(report, report_table, as_json=as_json)
        if not as_json:
            click.echo(f"{place}: {folder.HOLDS}")

    report = grid.compress(
        run_folder,
        data,
        chains(compressors),
        exporters=select("exporters", exporters) or grid.EXPORTERS,
        targets=select("targets", targets) or grid.TARGETS,
        split=split,
        output=place,
        plan=plan,
        n_rounds=rounds,
        reporter=TERMINAL,
        show=show,
        fresh=fresh,
        command=command_line(),
    )
    if grid.any_failed(report):
        raise SystemExit(1)
