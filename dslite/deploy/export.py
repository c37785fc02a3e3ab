"""Write a model as a file with its manifest, both whole or not at all."""

import errno
import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslite import files
from dslite.codec import to_json
from dslite.deploy import manifest
from dslite.errors import DsliteError, ExportError, PluginError, in_words
from dslite.recipe import Recipe
from dslite.records import Artifact, Exporter, Options, Part, TensorSpec

_SIGNS_OF_A_FULL_DISK = ("No space left on device", "errno = 28", "errno = 27")  # TensorFlow's words, and HDF5's


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a model comes from, as its manifest will say: the fields of `dslite.records.Artifact` of the same names.

    Attributes:
        recipe: chunk, front end, head.
    """

    backbone: str | None
    weights: str | None
    part: Part
    recipe: Recipe
    labels: tuple[str, ...]
    exporter: str
    compressors: tuple[str, ...] = ()
    split_seed: int | None = None


def export(
    model: Any,
    exporter: Exporter,
    options: Options,
    path: Path,
    provenance: Provenance,
    calibration: Iterable[Any] | None = None,
) -> Artifact:
    """Export a Keras model to `path` and write its manifest beside it.

    Args:
        model: one input, one output, from `dslite.model.assembly.build_part`.
        exporter: the plugin's record.
        options: of the exporter, complete.
        path: of the file or folder; what is there is replaced once all is written.
        provenance: for the manifest.
        calibration: input arrays, for exporters that need them.

    Raises:
        WriteError: where the file system refuses; nothing half-written is left.
        ExportError: where the model cannot be exported so.
        AudioError: where there is too little to calibrate with.
        PluginError: where the exporter itself fails.
    """
    if exporter.needs_calibration and calibration is None:
        raise ExportError(f"exporter {exporter.name} needs calibration data: give it audio")
    from dslite.model.graph import count_macs, trace

    n_macs = count_macs(trace(model))
    taken = itertools.count()
    counted = calibration and (sample for sample, _ in zip(calibration, taken, strict=False))
    with (
        files.written_whole(manifest.manifest_path(path)) as manifest_place,
        files.written_whole(path) as place,
    ):
        _run(exporter, model, place, counted, options)
        artifact = Artifact(
            path=str(path),
            sha256=files.sha256(place),
            size_bytes=files.size_bytes(place),
            backbone=provenance.backbone,
            weights=provenance.weights,
            compressors=provenance.compressors,
            exporter=provenance.exporter,
            part=provenance.part,
            input=TensorSpec("image" if provenance.part == "cnn" else "audio", (1, *model.input_shape[1:]), "float32"),
            output=_output_spec(model, provenance),
            labels=provenance.labels if provenance.part != "frontend" else (),
            chunk=to_json(provenance.recipe.chunk),
            frontend=to_json(provenance.recipe.frontend),
            params=int(model.count_params()),
            macs=n_macs,
            split_seed=provenance.split_seed,
            n_calibration=next(taken) if exporter.needs_calibration else None,
        )
        manifest_place.write_text(manifest.to_text(artifact), encoding="utf-8")
    return artifact


def _run(exporter: Exporter, model: Any, place: Path, calibration: Iterable[Any] | None, options: Options) -> None:
    try:
        exporter.export(model, str(place), calibration, options)
    except (DsliteError, OSError):
        raise
    except (Exception, SystemExit) as error:
        if any(sign in str(error) for sign in _SIGNS_OF_A_FULL_DISK):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise PluginError(f"exporter {exporter.name} failed: {in_words(error)}") from error
    if not place.exists():
        raise PluginError(f"exporter {exporter.name} wrote nothing to the path it was given: mend its export function")


def _output_spec(model: Any, provenance: Provenance) -> TensorSpec:
    shape = (1, *model.output_shape[1:])
    if provenance.part == "frontend":
        return TensorSpec("image", shape, "float32")
    return TensorSpec("probabilities" if provenance.recipe.head.output == "softmax" else "values", shape, "float32")
