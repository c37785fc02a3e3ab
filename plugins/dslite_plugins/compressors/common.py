"""What compressors share: options, wrappers for training and the weights taken back from there, traces of others."""

from collections.abc import Callable, Iterable
from typing import Any

from dslite.errors import SpecError
from dslite.records import Options


def check_between(options: Options, name: str, low: float, high: float, why: str) -> float:
    """Give a number option; raise `SpecError` where it is not between two bounds."""
    value = float(options[name])
    if not low < value < high:
        raise SpecError(f"{name}: expected above {low:g} and below {high:g}, got {value:g}: {why}")
    return value


def check_training(options: Options) -> tuple[int, float]:
    """Give the options epochs and rate; raise `SpecError` where one is out of its range."""
    epochs, rate = int(options["epochs"]), float(options["rate"])
    if epochs < 1:
        raise SpecError(f"epochs: expected 1 or more, got {epochs}")
    if not 0 < rate <= 10:  # noqa: PLR2004 - beyond that there is a mistake
        raise SpecError(f"rate: expected above 0 to 10, got {rate:g}: it is a share of the run's learning rate")
    return epochs, rate


Wrap = Callable[[Any], Any]
"""Gives the wrapper of a layer that was not called yet, but has its weights; or the layer itself, made ready."""


def wrapped(cnn: Any, wrap: Callable[[Any], Wrap | None]) -> Any:
    """Give a new image model with layers of the backbone, and the hidden layer, in wrappers, of the same weights.

    `wrap` gives of a layer what wraps a copy of it, or None to leave it as it is.
    """
    from dslite.model.keras import keras
    from dslite.model.surgery import backbone_of, copied, rebuilt, with_backbone

    def wrappers(layers: Iterable[Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for layer in layers:
            if not isinstance(layer, keras.layers.InputLayer) and (how := wrap(layer)):
                new = copied(layer)
                new.build(layer.input_shape)
                new.set_weights(layer.get_weights())
                found[layer.name] = how(new)
        return found

    backbone = backbone_of(cnn)
    new = rebuilt(backbone, wrappers(backbone.layers))
    return with_backbone(cnn, new, wrappers([cnn.get_layer("hidden")]).get("hidden"))


def is_kernel_layer(layer: Any) -> bool:
    """Tell whether a layer is a convolution, but for depthwise ones, or dense: in a folded model most weights are."""
    from dslite.model.keras import keras

    return type(layer) in (keras.layers.Conv2D, keras.layers.Dense)


def wrappers_in(cnn: Any) -> list[Any]:
    """Give the wrappers that `wrapped` made."""
    from dslite.model.surgery import backbone_of

    return [layer for layer in (*backbone_of(cnn).layers, *cnn.layers) if _is_wrapper(layer)]


def with_weights_of(cnn: Any, trained: Any) -> Any:
    """Give an image model the weights that another has in layers of the same names, some of them in wrappers.

    A wrapper may compute what its layer is given for weights, so these are read as the layer has them after a call.
    """
    import numpy as np

    from dslite.model.surgery import backbone_of

    trained(np.zeros((1, *trained.input_shape[1:]), np.float32), training=False)
    for new, old in ((backbone_of(cnn), backbone_of(trained)), (cnn, trained)):
        there = {(layer.layer if _is_wrapper(layer) else layer).name: layer for layer in old.layers}
        for layer in new.layers:
            if not layer.weights or layer is backbone_of(cnn):
                continue
            source = there[layer.name]
            if _is_wrapper(source):  # its layer has them as attributes: conv1/kernel:0 as kernel
                attributes = [weight.name.rpartition("/")[2].partition(":")[0] for weight in layer.weights]
                layer.set_weights([np.asarray(getattr(source.layer, name)) for name in attributes])
            else:
                layer.set_weights(source.get_weights())
    return cnn


def _is_wrapper(layer: Any) -> bool:
    """Tell TFMOT's wrappers from those that a backbone may have of its own."""
    from dslite.model.keras import keras

    is_tfmots = type(layer).__module__.startswith("tensorflow_model_optimization.")
    return is_tfmots and isinstance(layer, keras.layers.Wrapper)


# -- what compressors before have left in the kernels of a model ---------------------------------------

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
