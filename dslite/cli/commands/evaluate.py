"""``dslite evaluate``."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt

from dslite.cli.console import TERMINAL, json_option, out, print_json, progress
from dslite.cli.data import origin, table_options
from dslite.cli.options import OUTPUT, PATH, given
from dslite.codec import to_json
from dslite.errors import DataError, SpecError
from dslite.experiment import building, caching, feature_cache
from dslite.experiment.data import DataRequest
from dslite.experiment.predictor import opened, score
from dslite.learn import run
from dslite.learn.dataset import Example
from dslite.learn.evaluation import judged
from dslite.learn.splits import SPLITS
from dslite.measure.environment import cpu_count
from dslite.native import native_output_hidden
from dslite.records import Artifact
from dslite.report.evaluation import confusion_png, evaluation_tables, method

_ALL = "all"
Outputs = tuple[npt.NDArray[Any], npt.NDArray[np.int64]]


@click.command(epilog="Example: dslite evaluate runs/first data/labels.csv --split test --png confusion.png")
@click.argument("model", type=PATH)
@table_options
@click.option(
    "--split",
    type=click.Choice([*SPLITS, _ALL]),
    default="test",
    show_default=True,
    help="Part of DATA to score; all: the whole table, whatever its splits.",
)
@click.option("--png", type=OUTPUT, help="Draw the confusion matrix.")
@click.option("--predictions", type=OUTPUT, help="Write what is predicted of each file, CSV.")
@click.option("--threads", type=click.IntRange(1), help="For the runtime.  [default: all cores]")
@json_option
def command(
    model: Path,
    data: DataRequest,
    split: str,
    png: Path | None,
    predictions: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Score a run or an exported file.

    MODEL is the folder of a run of `dslite train`, or an exported file with its manifest: an int8 file gets figures of
    its own. Classes: UAR (unweighted average recall, balanced accuracy) with the chance level, recall of each class,
    and the confusion matrix. Numbers: MAE, RMSE, correlation by Pearson, and concordance. Each at the level of files,
    which have the mean of their chunks, and of chunks; 95 % intervals from 1,000 bootstrap resamples of files.
    """
    is_run = run.is_run(model)
    made = run.read_complete(model) if is_run else _read_manifest(model)
    labels = made.labels
    if png and png.suffix.lower() != ".png":
        raise SpecError(f"--png: expected a name that ends in .png, got {png.name!r}")
    if png and not labels:
        raise SpecError("--png: a regression has no confusion matrix: leave it away")
    data = dataclasses.replace(data, task="classification" if labels else "regression")
    if made.split_seed is not None and not given("split_seed"):
        data = dataclasses.replace(data, split_seed=made.split_seed)
    table = data.read(for_training=False, divide=split != _ALL)
    chosen = np.array([split in (_ALL, example.split) for example in table.examples])
    examples = [example for example, is_chosen in zip(table.examples, chosen, strict=True) if is_chosen]
    _check_labels(examples, labels, split)
    n_learned = _n_learned_from(model, examples) if is_run else None
    with native_output_hidden(), caching.ready(TERMINAL):
        n_threads = threads or cpu_count()
        if is_run:
            outputs, file_index = _by_run(model, table.examples, chosen, n_threads)
        else:
            outputs, file_index = _by_file(model, examples, n_threads)
        evaluation = judged(split, examples, labels, outputs, file_index, predictions)
        if png:
            confusion_png(evaluation, png)
    if as_json:
        print_json({**origin(table), "n_learned_from": n_learned, "method": method(evaluation), **to_json(evaluation)})
        return
    console = out()
    console.print(evaluation_tables(evaluation, console.width))


def _read_manifest(path: Path) -> Artifact:
    from dslite.deploy import manifest, predict

    artifact = manifest.read(path)
    predict.check_predicts(artifact)
    return artifact


def _check_labels(examples: Sequence[Example], labels: Sequence[str], split: str) -> None:
    if not examples:
        raise DataError(f"expected a {split} split, the table has none: --split {_ALL} scores the whole table")
    unknown = sorted({example.label for example in examples} - set(labels)) if labels else []
    if unknown:
        raise DataError(
            f"labels: the model knows {', '.join(labels)}; the table has {', '.join(unknown)} too: "
            "rename them, or leave those rows out"
        )


def _n_learned_from(folder: Path, examples: Sequence[Example]) -> int:
    """Count the examples a run learned from, by their names, and say so where there are any."""
    learned = run.learned_labels(folder, run.read(folder).learned)
    n_learned = sum(example.name in learned for example in examples)
    if n_learned:
        told = f"{n_learned} of these {len(examples)} files are among those the run learned from, by their names"
        TERMINAL.note(f"{told}: figures are too good")
    return n_learned


def _by_run(folder: Path, examples: Sequence[Example], chosen: npt.NDArray[np.bool_], threads: int) -> Outputs:
    """Give outputs of the chosen examples' chunks, and of each chunk the position of its file among the chosen."""
    system = building.trained(folder)
    with progress([1.0, 1.0, 5.0]) as steps:
        report = steps.start("starting TensorFlow")
        from dslite.deploy.runtime import set_tensorflow_threads
        from dslite.learn.network import predict

        set_tensorflow_threads(threads)  # before pictures are made, with TensorFlow
        network = feature_cache.network(system, report)
        report = steps.start("reading audio")
        pictures, chosen = feature_cache.pictures_of_part(examples, chosen, system.recipe, report)
        chunks = pictures.of(chosen)
        _check_chunks(len(chunks))
        return predict(network, pictures, chunks, steps.start("predicting")), pictures.positions(chosen)


def _by_file(path: Path, examples: Sequence[Example], threads: int) -> Outputs:
    """Give outputs of the examples' chunks, and of each chunk the position of its file."""
    with progress([1.0, 5.0]) as steps:
        model = opened(path, threads, steps.start(f"opening {path.name}"))
        outputs, file_index = score(model, examples, steps.start("predicting"))
    _check_chunks(len(outputs))
    return outputs, file_index


def _check_chunks(n_chunks: int) -> None:
    if not n_chunks:
        raise DataError("expected files as long as a chunk, all are shorter, and the model's settings drop those")
