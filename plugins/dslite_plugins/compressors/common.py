"""What compressors share: layers in wrappers for training, and the weights taken back from there."""

from collections.abc import Callable, Iterable
from typing import Any

from dslite.errors import SpecError
from dslite.records import Options


def check_between(options: Options, name: str, low: float, high: float, why: str) -> float:
    """Give a number option that must lie between two bounds, which it must not reach.

    Raises:
        SpecError: where it does not.
    """
    value = float(options[name])
    if not low < value < high:
        raise SpecError(f"{name}: expected above {low:g} and below {high:g}, got {value:g}: {why}")
    return value


def check_epochs(options: Options) -> int:
    """Give the number of epochs.

    Raises:
        SpecError: where it is below 1.
    """
    epochs = int(options["epochs"])
    if epochs < 1:
        raise SpecError(f"epochs: expected 1 or more, got {epochs}")
    return epochs


def wrapped(cnn: Any, wrap: Callable[[Any, Any], Any | None]) -> Any:
    """Put layers of the backbone, and the hidden layer, into wrappers.

    Args:
        cnn: the image model.
        wrap: of a layer, and of a copy of it with its weights that was not called yet, the wrapper of the copy; None to
            leave the layer as it is.

    Returns:
        A new model with the same weights.
    """
    from dslite.model.keras import keras
    from dslite.model.surgery import backbone_of, rebuilt, with_backbone

    def wrappers(layers: Iterable[Any]) -> dict[str, Any]:
        found = {x.name: wrap(x, _twin(x)) for x in layers if not isinstance(x, keras.layers.InputLayer)}
        return {name: wrapper for name, wrapper in found.items() if wrapper is not None}

    backbone = backbone_of(cnn)
    new = rebuilt(backbone, wrappers(backbone.layers))
    return with_backbone(cnn, new, wrappers([cnn.get_layer("hidden")]).get("hidden"))


def is_kernel_layer(layer: Any) -> bool:
    """Tell whether a layer is a convolution, but for depthwise ones, or dense: most weights are in these."""
    from dslite.model.keras import keras

    return type(layer) in (keras.layers.Conv2D, keras.layers.Dense)


def _twin(layer: Any) -> Any:
    from dslite.model.surgery import copied

    new = copied(layer)
    new.build(layer.input_shape)
    new.set_weights(layer.get_weights())
    return new


def wrappers_in(cnn: Any) -> list[Any]:
    """Give the wrappers that `wrapped` made."""
    from dslite.model.keras import keras
    from dslite.model.surgery import backbone_of

    return [layer for layer in (*backbone_of(cnn).layers, *cnn.layers) if isinstance(layer, keras.layers.Wrapper)]


def with_weights_of(cnn: Any, trained: Any) -> Any:
    """Give an image model the weights that another has in layers of the same names, some of them in wrappers.

    A wrapper may compute what its layer is given for weights, so these are read as the layer has them after a call.
    """
    import numpy as np

    trained(np.zeros((1, *trained.input_shape[1:]), np.float32), training=False)
    there = _inner_layers(trained)
    for name, layer in _inner_layers(cnn).items():
        layer.set_weights([np.asarray(getattr(there[name], _attribute(weight))) for weight in layer.weights])
    return cnn


def _inner_layers(model: Any) -> dict[str, Any]:
    """Give all layers with weights, those of models inside too, by their names; of a wrapper, what is in it."""
    from dslite.model.keras import keras

    found: dict[str, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found |= _inner_layers(layer)
        elif layer.weights:
            inner = layer.layer if isinstance(layer, keras.layers.Wrapper) else layer
            found[inner.name] = inner
    return found


def _attribute(weight: Any) -> str:
    """Give the name of the layer's attribute that a weight is: ``kernel`` of ``conv1/kernel:0``."""
    name: str = weight.name
    return name.rpartition("/")[2].partition(":")[0]
