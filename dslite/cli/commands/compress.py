"""``dslite compress``."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import click

from dslite.cli.console import json_option
from dslite.cli.data import DataRequest, table_options
from dslite.cli.options import PATH, OutputPath, PluginName, given
from dslite.cli.plans import plan_options, rounds_option
from dslite.errors import DataError, SpecError
from dslite.experiment import building, compression
from dslite.experiment.selection import select
from dslite.experiment.selection import split as items_of
from dslite.learn import run
from dslite.learn.dataset import DataSet, Split
from dslite.loading import Kind
from dslite.records import Plan
from dslite.registry import get_with_options, registry

_NONE = "none"
_EXPORTERS, _TARGETS = ("tflite-float32", "tflite-int8"), ("host-litert",)


@click.command(
    epilog="Example: dslite compress runs/first data/labels.csv --compressor channels:macs=0.5 "
    "--compressor prune:sparsity=0.8+qat --exporter tflite-float32,tflite-int8"
)
@click.argument("run_folder", metavar="RUN", type=PATH)
@table_options
@click.option(
    "--compressor",
    "compressors",
    type=PluginName("compressors", words=(_NONE,), joint="+"),
    multiple=True,
    help="A name with options, or several joined by + that are applied in turn; a,b for several rows; may be repeated. "
    "The model as it is (none) is always among them.",
)
@click.option(
    "--exporter",
    "exporters",
    type=PluginName("exporters"),
    multiple=True,
    help=f"A name with options; a,b for several; may be repeated.  [default: {','.join(_EXPORTERS)}]",
)
@click.option(
    "--target",
    "targets",
    type=PluginName("targets"),
    multiple=True,
    help="A name with options; a,b for several; may be repeated.  [default: host-litert]",
)
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
    from dslite.experiment import devices, feature_cache, folder, grid, keys, scheduler

    info = run.read_complete(run_folder)
    if not info.labels:
        raise SpecError(f"{run_folder}: expected a run that tells classes apart: a regression has no UAR to compare")
    if not given("split_seed"):
        data = dataclasses.replace(data, split_seed=info.split_seed)
    wanted = chains(compressors)
    table = dataclasses.replace(data, task="classification").read(for_training=False)
    _check(table, info, run_folder, split)
    data_key = feature_cache.data_key(table)
    exporters = tuple(select("exporters", exporters or _EXPORTERS))
    _check_options(wanted, exporters)
    cases = grid.trial_cases(
        building.trained(run_folder),
        wanted,
        exporters,
        select("targets", targets or _TARGETS),
        data,
        data_key,
        split,
    )
    devices.check_devices(case.target for case in cases)
    resolved = run_folder.resolve()
    place = output or resolved.with_name(f"{resolved.name}-compressed")
    model_key = keys.key(keys.weights(str(run_folder / run.WEIGHTS)))
    at_work = scheduler.Sweep(cases, plan, [], rounds)
    with folder.opened(place, split, data_key, model_key, cases, fresh=fresh, as_json=as_json) as results:
        at_work.run(results, fresh=fresh)
    if at_work.failed:
        raise SystemExit(1)


def _check_options(wanted: Sequence[tuple[str, ...]], exporters: Sequence[str]) -> None:
    """Tell at once of rows that will fail, as their options cannot be; the others are measured.

    Raises:
        SpecError: where no chain of compressors that was named, or no exporter, is left.
    """
    all_rows: tuple[tuple[Kind, Sequence[tuple[str, ...]]], ...] = (
        ("compressors", wanted),
        ("exporters", [(name,) for name in exporters]),
    )
    for kind, rows in all_rows:
        refused = [error for links in rows if (error := _refused(kind, links))]
        if refused and len(refused) == len(rows):
            raise refused[0]
        for error in refused:
            click.echo(f"note: {error}; its rows will fail, the others are measured", err=True)


def _refused(kind: Kind, links: Sequence[str]) -> SpecError | None:
    try:
        for link in links:
            building.check_options(kind, link)
    except SpecError as error:
        return error
    return None


def _check(table: DataSet, info: run.RunInfo, folder: Path, split: Split) -> None:
    """Refuse a table that is not that of the run, and a split that is not there or was learned from.

    Raises:
        DataError: where the labels, or the split, do not fit.
        SpecError: where the run learned from what it is to be scored on.
    """
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
    learned = run.learned_labels(folder, compression.learned(info))
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
    if told := compression.other_files(folder, table):
        click.echo(f"note: {told}", err=True)


def chains(texts: Sequence[str]) -> list[tuple[str, ...]]:
    """Turn what the user named into compressors to be applied in turn, each with its options.

    Raises:
        UnknownNameError: where a name or an option does not exist.
        SpecError: where a chain has an empty link.
    """
    found = []
    for chain in (item for text in texts for item in items_of(text)):
        links = _links(chain)
        if links == (_NONE,):
            continue
        if _NONE in links:
            raise SpecError(f"--compressor {chain}: none stands alone: it is the model as it was trained")
        if "" in links:
            raise SpecError(f"--compressor {chain}: expected a name on either side of each +, as in prune+qat")
        for link in links:
            get_with_options("compressors", link)
        found.append(links)
    return list(dict.fromkeys(found))


def _links(chain: str) -> tuple[str, ...]:
    """Split a chain at what joins its compressors: behind options, only a + before the name of one does.

    So a value may have one in it: ``rate=1e+3``, ``file=a+b.h5``.
    """
    known = {*registry().names("compressors"), _NONE, ""}
    links: list[str] = []
    for piece in chain.split("+"):
        if links and ":" in links[-1] and piece.partition(":")[0] not in known:
            links[-1] += f"+{piece}"
        else:
            links.append(piece)
    return tuple(links)
