"""The paper's Table 5, and which of our runs stands against which of its columns.

Source: DeepSpectrumLite (2022), section 3.4 and Table 5. The paper reports means of 50 runs.
"""

from dataclasses import dataclass

from dslite.codec import to_json
from dslite.recipe import REFERENCE
from dslite.records import DEFAULT_THREADS, Part, Run

BACKBONE = "densenet121"
_PARAMS_PRECISION = 0.05e6
"""The paper gives one decimal of a million: another head is another model."""


@dataclass(frozen=True, slots=True)
class PaperFigures:
    """One column of Table 5, in SI units; None where the paper has a dash."""

    mean_s: float
    flops: float | None
    params: float | None
    memory_bytes: float
    size_bytes: float


@dataclass(frozen=True, slots=True)
class Row:
    """One row of our table: what is exported, where it runs, and the paper's figures for it, if it has any."""

    title: str
    part: Part
    exporter: str
    target: str
    paper: PaperFigures | None


TABLE_5 = (
    Row(
        "Preprocessing (TFLite)",
        "frontend",
        "tflite-float32",
        "host-litert",
        PaperFigures(7.1e-3, None, None, 4.5e6, 150.0e3),
    ),
    Row("TensorFlow model", "cnn", "hdf5", "host-tensorflow", PaperFigures(240.0e-3, 3.1e9, 7.6e6, 116.5e6, 82.1e6)),
    Row("TFLite model", "cnn", "tflite-float32", "host-litert", PaperFigures(89.7e-3, None, 7.6e6, 185.4e6, 30.0e6)),
    Row("TFLite, end to end", "whole", "tflite-float32", "host-litert", None),
)
"""The last row is what an app ships: preprocessing and model in one file. The paper does not measure it."""

TABLE_5_PHONE = (
    Row("Preprocessing, phone", "frontend", "tflite-float32", "android", None),
    Row(
        "TFLite model, phone", "cnn", "tflite-float32", "android", PaperFigures(242.0e-3, None, 7.6e6, 292.8e6, 30.0e6)
    ),
    Row("End to end, phone", "whole", "tflite-float32", "android", None),
)
"""The right-hand column: a Motorola moto e7 plus. The paper measures the TFLite model alone there."""

NOTE = f"paper: means of 50 runs with {DEFAULT_THREADS} threads on a 2.3 GHz quad-core Intel Core i5"
ITS_PHONE = (
    "; its phone (moto e7 plus, four cores of 1.8 GHz and four of 1.6) took 242.0 ms and 292.8 MB for DenseNet121's "
    "TFLite model"
)
NO_ROW = (
    "the paper's Table 5: no row here is one of its: front end alone, or DenseNet121 alone, with its front end and 3 s "
    "chunks (dslite bench --backbone densenet121); it measured no model end to end"
)
NOTE_ON_FLOPS = (
    "the paper's FLOPs: DenseNet121 has 2.83 G multiply-accumulates, which is 5.67 G FLOPs at 2 each; the 3.1 G "
    "printed there is nearer the former. Its HDF5 file holds optimizer state, ours does not"
)


def row_of(run: Run) -> Row | None:
    """Find the row of Table 5 that a run belongs to."""
    wanted = (run.artifact.part, run.artifact.exporter, run.target.partition(":")[0])
    rows = (*TABLE_5, *TABLE_5_PHONE)
    return next((row for row in rows if (row.part, row.exporter, row.target) == wanted), None)


def figures_for(run: Run) -> PaperFigures | None:
    """Give the paper's figures for a run, where it measured the same."""
    row, artifact = row_of(run), run.artifact
    if row is None or row.paper is None or artifact.compressors or artifact.backbone not in (BACKBONE, None):
        return None
    chunk_s = (artifact.chunk or {}).get("length_s")
    same_input = artifact.frontend == to_json(REFERENCE.frontend) and chunk_s == REFERENCE.chunk.length_s
    wanted, params = row.paper.params, artifact.params or 0
    return row.paper if same_input and (wanted is None or abs(params - wanted) < _PARAMS_PRECISION) else None
