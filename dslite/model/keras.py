"""The one place that names the Keras dslite works with: Keras 2 (`tf_keras`), because TFMOT needs it.

Plugins import it from here, inside their functions: ``from dslite.model.keras import keras``.
"""

import warnings
from pathlib import Path
from typing import Any

import tf_keras as keras

__all__ = ["keras", "save_hdf5"]


def save_hdf5(model: Any, path: Path | str) -> None:
    """Write architecture and weights of a model as HDF5, without optimizer state."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "You are saving your model as an HDF5 file")  # as asked
        keras.models.save_model(model, path, save_format="h5", include_optimizer=False)
