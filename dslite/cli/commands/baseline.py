"""``dslite baseline``."""

import click
import numpy as np

from dslite.cli.console import TERMINAL, json_option, out, print_json, progress
from dslite.cli.data import data_options, origin
from dslite.cli.options import extractor_options
from dslite.codec import to_json
from dslite.experiment import building, caching, feature_cache
from dslite.experiment.data import DataRequest
from dslite.learn.baseline import COMPLEXITIES, baseline
from dslite.learn.dataset import truth
from dslite.learn.evaluation import by_file
from dslite.native import native_output_hidden
from dslite.report.baseline import baseline_tables, method


@click.command(epilog="Example: dslite baseline data/labels.csv --backbone mobilenet_v2")
@data_options
@click.option(
    "--complexity",
    "complexities",
    type=click.FloatRange(0, min_open=True),
    multiple=True,
    help=f"C to try; may be repeated.  [default: {', '.join(f'{c:g}' for c in COMPLEXITIES)}]",
)
@extractor_options
@json_option
def command(data: DataRequest, complexities: tuple[float, ...], system: building.System, as_json: bool) -> None:
    """Score features with a linear SVM, the opponent.

    What `dslite train` reaches on DATA has to be held against this: the activations of the pooled backbone, averaged
    over the chunks of each file, go to a linear support vector machine. Its complexity C and the scaling of the
    features are chosen on devel; it is refitted on train and devel, and test is scored once. Features stay in the
    cache, so another try takes seconds.
    """
    table = data.read()
    with native_output_hidden(), caching.ready(TERMINAL):
        pictures, features = feature_cache.pooled_features(system, table.examples, TERMINAL)
        feature_cache.note_dropped(pictures, TERMINAL)
        kept = [example for example, n in zip(table.examples, pictures.n_chunks, strict=True) if n]
        file_index = np.unique(pictures.file, return_inverse=True)[1]
        with progress() as steps:
            found, _ = baseline(
                by_file(features, file_index),
                truth(kept, table.labels),
                [example.split for example in kept],
                table.labels,
                complexities=complexities or COMPLEXITIES,
                progress=steps.start("fitting"),
            )
    if as_json:
        print_json({**origin(table), "backbone": system.name, "method": method(found), **to_json(found)})
        return
    out().print(baseline_tables(found))
