"""TFLite files: builtin operators only, batch 1, signature ``serving_default``."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dslite import hookimpl
from dslite.records import Exporter, Options


def _float32(model: Any, path: str, calibration: Iterable[Any] | None, options: Options) -> None:
    del calibration, options  # none needed
    from dslite.model.convert import to_tflite

    Path(path).write_bytes(to_tflite(model))


@hookimpl
def dslite_exporters() -> Iterable[Exporter]:
    """Give the TFLite exporters."""
    return [
        Exporter(
            name="tflite-float32",
            suffix=".tflite",
            export=_float32,
            needs_calibration=False,
            source="https://ai.google.dev/edge/litert",
        )
    ]
