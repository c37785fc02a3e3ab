"""TFLite with float16 weights: half the size, arithmetic in float32 on a CPU."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dslite import hookimpl
from dslite.records import Exporter, Options


def export(model: Any, path: str, calibration: Iterable[Any] | None, options: Options) -> None:
    """Write a model as a file.

    Args:
        model: Keras model with one input and one output.
        path: where to write; it does not exist yet, and ends with `suffix`.
        calibration: arrays float32 of the input's shape with batch 1, where `needs_calibration` asks for them.
        options: none.
    """
    del calibration, options  # not needed here
    import tensorflow as tf  # heavy imports stand inside functions: start-up stays quick
    from dslite.model.convert import to_tflite

    def configure(converter: Any) -> None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]

    Path(path).write_bytes(to_tflite(model, configure))


@hookimpl
def dslite_exporters() -> Iterable[Exporter]:
    """Give the exporters of this plugin."""
    return [
        Exporter(
            name="new-exporter",
            suffix=".tflite",  # targets choose what they can run by it
            export=export,
            needs_calibration=False,
            source="https://ai.google.dev/edge/litert/models/post_training_float16_quant",
        )
    ]
