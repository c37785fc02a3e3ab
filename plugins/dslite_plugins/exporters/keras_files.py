"""What TensorFlow and Keras read: SavedModel and HDF5."""

from collections.abc import Iterable
from typing import Any

from dslite import hookimpl
from dslite.records import Exporter, Options


def _savedmodel(model: Any, path: str, calibration: Iterable[Any] | None, options: Options) -> None:
    """Write a SavedModel of constants: for inference; HDF5 is what can be trained on."""
    del calibration, options  # none needed
    from dslite.model.convert import save_frozen

    save_frozen(model, path)


def _hdf5(model: Any, path: str, calibration: Iterable[Any] | None, options: Options) -> None:
    """Write architecture and weights, without optimizer state."""
    del calibration, options  # none needed
    from dslite.model.keras import save_hdf5

    save_hdf5(model, path)


@hookimpl
def dslite_exporters() -> Iterable[Exporter]:
    """Give the exporters of files that need TensorFlow to run."""
    return [
        Exporter(
            name="savedmodel",
            suffix=".savedmodel",
            export=_savedmodel,
            needs_calibration=False,
            source="https://www.tensorflow.org/guide/saved_model",
        ),
        Exporter(
            name="hdf5",
            suffix=".h5",
            export=_hdf5,
            needs_calibration=False,
            source="https://www.tensorflow.org/guide/keras/serialization_and_saving",
        ),
    ]
