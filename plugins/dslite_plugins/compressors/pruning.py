"""Magnitude pruning: the smallest weights become zero, more and more of them while the model learns on.

M. Zhu, S. Gupta, "To prune, or not to prune: exploring the efficacy of pruning for model compression", 2017, as in
tensorflow-model-optimization. Zeros make a file smaller once it is compressed, and faster where a runtime has sparse
kernels and only there.
"""

from collections.abc import Iterable
from functools import partial
from typing import Any

from dslite import hookimpl
from dslite.errors import SpecError
from dslite.records import Compressor, Finetune, Option, Options
from dslite_plugins.compressors.common import (
    LEAST_SPARSE,
    check_between,
    check_training,
    is_kernel_layer,
    with_weights_of,
    wrapped,
    wrappers_in,
)

_RAMP = 0.7
"""Share of the steps after which all zeros are there; in the others the rest of the weights learns to do without."""
_N_UPDATES = 20


def _prune(model: Any, finetune: Finetune, options: Options) -> Any:
    import tensorflow_model_optimization as tfmot

    from dslite.model.surgery import folded

    sparsity, epochs, rate = _settings(options)
    # Steps are counted from 1. A mask changes every so many of them until `end`, which must be such a step.
    ramp = int(_RAMP * finetune.n_steps(epochs))
    every = max(1, ramp // _N_UPDATES)
    end = every * max(1, ramp // every)
    schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, sparsity, begin_step=0, end_step=end, frequency=every)
    base = folded(model)

    prune = partial(tfmot.sparsity.keras.prune_low_magnitude, pruning_schedule=schedule)
    pruned = wrapped(base, lambda layer: prune if is_kernel_layer(layer) else None)
    for wrapper in wrappers_in(pruned):
        wrapper.pruning_step.assign(0)  # as TFMOT's callback for `fit` would: from here on the wrapper counts itself
    finetune(pruned, epochs=epochs, rate=rate, training=True)
    return with_weights_of(base, pruned)


def _settings(options: Options) -> tuple[float, int, float]:
    sparsity = check_between(
        options, "sparsity", 0, 1, "it is the share of weights that become zero; 0 leaves all, 1 leaves none"
    )
    if sparsity < LEAST_SPARSE:
        raise SpecError(f"sparsity: expected {LEAST_SPARSE} or more, got {sparsity:g}: so few zeros save nothing")
    return sparsity, *check_training(options)


@hookimpl
def dslite_compressors() -> Iterable[Compressor]:
    """Give the compressor."""
    return [
        Compressor(
            "prune",
            _prune,
            source="https://arxiv.org/abs/1710.01878",
            options=(
                Option(
                    "sparsity",
                    0.5,
                    "Share of each convolution's and dense layer's weights that become zero, 0.1 to below 1.",
                ),
                Option("epochs", 8, "Of fine-tuning."),
                Option("rate", 0.5, "Learning rate, as a share of that of the run's second phase."),
            ),
            check=_settings,
        )
    ]
