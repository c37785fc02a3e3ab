"""Weight sharing: every kernel gets so many different values, and the model learns which.

S. Han, H. Mao, W. J. Dally, "Deep compression", 2016, section 3, as in tensorflow-model-optimization. A file gets
smaller once it is compressed, and no faster.
"""

from collections.abc import Iterable
from typing import Any

from dslite import hookimpl
from dslite.errors import SpecError
from dslite.records import Compressor, Finetune, Option, Options
from dslite_plugins.compressors.common import (
    LEAST_SPARSE,
    Wrap,
    check_training,
    is_kernel_layer,
    sparsity_of,
    with_weights_of,
    wrapped,
)


def _cluster(model: Any, finetune: Finetune, options: Options) -> Any:
    import numpy as np
    import tensorflow_model_optimization as tfmot

    # TFMOT offers to keep zeros here alone.
    from tensorflow_model_optimization.python.core.clustering.keras.experimental.cluster import cluster_weights

    from dslite.model.surgery import folded

    n_clusters, epochs, rate = _settings(options)
    base = folded(model)
    sparse = sparsity_of(base) >= LEAST_SPARSE
    initial = tfmot.clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS

    def wrap(layer: Any) -> Wrap | None:
        if not is_kernel_layer(layer):
            return None
        kernel = layer.kernel.numpy()
        if sparse and np.count_nonzero(kernel) <= n_clusters:
            return _frozen  # it has few values already, and training would fill its zeros
        if kernel.size <= n_clusters:
            return None
        return lambda new: cluster_weights(new, n_clusters, initial, preserve_sparsity=sparse)

    clustered = wrapped(base, wrap)
    finetune(clustered, epochs=epochs, rate=rate, training=True)
    return with_weights_of(base, clustered)


def _settings(options: Options) -> tuple[int, int, float]:
    n_clusters = int(options["clusters"])
    if not 3 <= n_clusters <= 256:  # noqa: PLR2004 - the zero and two more; an index of a byte
        raise SpecError(f"clusters: expected 3 to 256, got {n_clusters}")
    return n_clusters, *check_training(options)


def _frozen(layer: Any) -> Any:
    layer.trainable = False
    return layer


@hookimpl
def dslite_compressors() -> Iterable[Compressor]:
    """Give the compressor."""
    return [
        Compressor(
            "cluster",
            _cluster,
            source="https://arxiv.org/abs/1510.00149",
            options=(
                Option("clusters", 32, "Different values each kernel may have, 3 to 256."),
                Option("epochs", 3, "Of fine-tuning."),
                Option("rate", 0.5, "Learning rate, as a share of that of the run's second phase."),
            ),
            check=_settings,
        )
    ]
