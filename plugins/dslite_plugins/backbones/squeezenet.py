"""SqueezeNet in its 1.1 layout, from layers.

Origin: F. Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size", 2016;
the 1.1 layout (64 filters of 3x3 first, pooling behind them, fire3 and fire5) is the authors' own, of their Caffe
models. The ImageNet weights are those, converted for Keras in keras-squeezenet (MIT), which names their MD5,
80b66c92d79d4310e07fb60a297bf0d1; here they are pinned by their SHA-256.
"""

from collections.abc import Iterable
from typing import Any

from dslite import hookimpl
from dslite.records import Backbone, Options

NAME = "squeezenet_v1"
WEIGHTS_FILE = "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS_URL = f"https://github.com/DeepCognition/keras-squeezenet/releases/download/v0.4/{WEIGHTS_FILE}"
WEIGHTS_SHA256 = "17154246284f555591549ac2c83e127abfbf4307dc4b0060fdaa2931d0fa38da"

# (number of the fire module, filters of its squeeze, filters of each of its two expands); a number alone: max pooling
_LAYOUT = (
    (2, 16, 64),
    (3, 16, 64),
    3,
    (4, 32, 128),
    (5, 32, 128),
    5,
    (6, 48, 192),
    (7, 48, 192),
    (8, 64, 256),
    (9, 64, 256),
)


def _build(input_shape: tuple[int, int, int], weights: str | None, options: Options) -> Any:
    del options  # none
    from dslite.model.keras import keras
    from dslite.model.weights import fetch, load

    def convolution(x: Any, filters: int, size: int, name: str, **more: Any) -> Any:
        return keras.layers.Conv2D(filters, size, activation="relu", name=name, **more)(x)

    image = keras.Input(input_shape)
    x = convolution(image, 64, 3, "conv1", strides=2)
    x = keras.layers.MaxPooling2D(3, strides=2, name="pool1")(x)
    for part in _LAYOUT:
        if isinstance(part, int):
            x = keras.layers.MaxPooling2D(3, strides=2, name=f"pool{part}")(x)
            continue
        number, squeeze, expand = part
        # Made in this order: weight files are loaded by it.
        x = convolution(x, squeeze, 1, f"fire{number}_squeeze1x1")
        one = convolution(x, expand, 1, f"fire{number}_expand1x1")
        three = convolution(x, expand, 3, f"fire{number}_expand3x3", padding="same")
        x = keras.layers.Concatenate(name=f"fire{number}_concat")([one, three])
    model = keras.Model(image, x, name=NAME)
    if weights:
        load(model, fetch(WEIGHTS_FILE, WEIGHTS_URL, WEIGHTS_SHA256) if weights == "imagenet" else weights, NAME)
    return model


@hookimpl
def dslite_backbones() -> Iterable[Backbone]:
    """Give SqueezeNet."""
    return [
        Backbone(
            name=NAME,
            build=_build,
            scaling="caffe",
            n_features=512,
            min_size_px=31,  # the smallest of which the three poolings leave a pixel
            licence="Apache-2.0",
            source="https://arxiv.org/abs/1602.07360",
        )
    ]
