"""``dslite features``."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dslite.audio.load import spans_s
from dslite.cli.console import TERMINAL, json_option, print_json
from dslite.cli.data import data_options
from dslite.cli.options import OUTPUT, extractor_options
from dslite.experiment import building, caching, feature_cache
from dslite.experiment.data import DataRequest
from dslite.learn.dataset import Example
from dslite.learn.features_file import Row, check_path, write_features
from dslite.native import native_output_hidden

if TYPE_CHECKING:
    from dslite.learn.pictures import Pictures


@click.command(epilog="Example: dslite features data/labels.csv --backbone densenet121 -o features.csv")
@data_options
@click.option("-o", "--output", type=OUTPUT, required=True, help="File to write: NAME.csv, or NAME.arff for Weka.")
@click.option(
    "--level",
    type=click.Choice(["file", "chunk"]),
    default="file",
    show_default=True,
    help="One row a file, the mean of its chunks, or one a chunk, with its seconds.",
)
@extractor_options
@json_option
def command(data: DataRequest, output: Path, level: str, system: building.System, as_json: bool) -> None:
    """Write Deep Spectrum features as CSV or ARFF.

    They are the activations of the pooled backbone, for each file of DATA or each chunk. Columns are file, feature_0
    and so on, and label. Pictures and features stay in the cache (`dslite cache`).
    """
    check_path(output)
    table = data.read(for_training=False, divide=False)
    with native_output_hidden(), caching.ready(TERMINAL):
        pictures, features = feature_cache.pooled_features(system, table.examples, TERMINAL)
        rows = _chunks if level == "chunk" else _files
        wanted = rows(system, table.examples, pictures, features)
        n_rows = write_features(output, wanted, features.shape[1], table.labels, spans=level == "chunk")
    feature_cache.note_dropped(pictures, TERMINAL)
    if as_json:
        print_json({"path": str(output), "rows": n_rows, "features": features.shape[1], "level": level})
        return
    click.echo(f"{output}  {n_rows:,} {level}s, {features.shape[1]:,} features each")


def _files(system: building.System, examples: Sequence[Example], of: "Pictures", features: Any) -> Iterator[Row]:
    del system
    start = 0
    for example, n_chunks in zip(examples, of.n_chunks, strict=True):
        if n_chunks:
            yield example.name, features[start : start + n_chunks].mean(axis=0), example.label, None
        start += n_chunks


def _chunks(system: building.System, examples: Sequence[Example], of: "Pictures", features: Any) -> Iterator[Row]:
    start, recipe = 0, system.recipe
    for example, n_samples, n_chunks in zip(examples, of.n_samples, of.n_chunks, strict=True):
        spans = spans_s(int(n_samples), int(n_chunks), recipe.chunk, recipe.frontend.sample_rate_hz)
        for i, span in enumerate(spans, start):
            yield example.name, features[i], example.label, span
        start += n_chunks
