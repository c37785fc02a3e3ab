"""Quantisation-aware training: the model learns with the rounding of int8 weights and activations in its way.

B. Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018,
by the wrappers and quantisers of tensorflow-model-optimization. What comes back has no wrappers, and but for the last
layer, which int8 files have in float, weights that int8 holds exactly: an exporter that quantises them loses nothing
more, and calibrates the ranges of activations itself.
Zeros and shared values that a compressor before has left are kept (TFMOT's collaborative optimisation).
"""

from collections.abc import Iterable
from typing import Any

from dslite import hookimpl
from dslite.records import Compressor, Finetune, Option, Options
from dslite_plugins.compressors.common import (
    LEAST_SPARSE,
    Wrap,
    check_training,
    is_clustered,
    sparsity_of,
    with_weights_of,
    wrapped,
)


def _qat(model: Any, finetune: Finetune, options: Options) -> Any:
    import numpy as np
    import tensorflow_model_optimization as tfmot

    from dslite.model.surgery import folded
    from dslite_plugins.compressors.quantisers import config_for

    epochs, rate = check_training(options)
    base = folded(model)
    sparse, clustered = sparsity_of(base) >= LEAST_SPARSE, is_clustered(base)

    def wrap(layer: Any) -> Wrap | None:
        config = config_for(layer, sparse=sparse, clustered=clustered)
        return config and (lambda new: tfmot.quantization.keras.QuantizeWrapperV2(new, config))

    trained = wrapped(base, wrap)
    finetune(trained, epochs=epochs, rate=rate, training=True)
    # Ranges are those of the weights before the last step: one call more, and they are those of the weights there are.
    trained(np.zeros((1, *trained.input_shape[1:]), np.float32), training=True)
    return with_weights_of(base, trained)


@hookimpl
def dslite_compressors() -> Iterable[Compressor]:
    """Give the compressor."""
    return [
        Compressor(
            "qat",
            _qat,
            source="https://arxiv.org/abs/1712.05877",
            options=(
                Option("epochs", 3, "Of fine-tuning."),
                Option("rate", 0.1, "Learning rate, as a share of that of the run's second phase."),
            ),
            check=check_training,
        )
    ]
