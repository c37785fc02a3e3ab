"""What compressors before have left in the kernels of a model: zeros, or few different values."""

from typing import Any

from dslite_plugins.compressors.common import is_kernel_layer

LEAST_SPARSE = 0.1
"""From this share of zeros on, a model counts as pruned: training leaves next to none by itself."""


def kernels_of(cnn: Any) -> list[Any]:
    """Give the kernels of the backbone's layers that compressors change, and of the hidden layer."""
    from dslite.model.surgery import backbone_of

    layers = filter(is_kernel_layer, backbone_of(cnn).layers)
    return [layer.kernel.numpy() for layer in [*layers, cnn.get_layer("hidden")]]


def sparsity_of(cnn: Any) -> float:
    """Give the share of zeros in all kernels, in [0, 1]."""
    kernels = kernels_of(cnn)
    return float(sum((kernel == 0).sum() for kernel in kernels) / sum(kernel.size for kernel in kernels))


def is_clustered(cnn: Any, at_most: int = 256) -> bool:
    """Tell whether every kernel has few different values, for as many weights as it has that are not zero."""
    import numpy as np

    large = [kernel for kernel in kernels_of(cnn) if np.count_nonzero(kernel) > 4 * at_most]
    return bool(large) and all(np.unique(kernel).size <= at_most + 1 for kernel in large)
