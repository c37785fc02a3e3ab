"""SqueezeNext, 1.0-SqNxt-23 and its wider sisters, as a backbone of dslite.

Origin: A. Gholami et al., "SqueezeNext: Hardware-Aware Neural Network Design", 2018, https://arxiv.org/abs/1803.10615.
Layers, order of the separable convolutions and scaling follow the authors' network,
https://github.com/amirgholami/SqueezeNext (1.0-SqNxt-23/train_val.prototxt): no convolution has a bias, batch
normalisation and ReLU follow each. It was trained on 227 px crops, BGR minus the mean (104, 117, 123), which is the
scaling ``caffe`` to within 0.7 of 255. The pictures here are 224 px and the first convolution pads them by one pixel,
so that the maps are 55, 28, 14 and 7 px high and wide as in the original.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dslite import hookimpl
from dslite.errors import ModelFileError, SpecError
from dslite.records import Backbone, Option, Options

_STAGES = ((32, 6), (64, 6), (128, 8), (256, 1))
"""Channels and blocks of each stage at width 1; every stage but the first halves height and width."""
_FIRST = 64
_LAST = 128
_WIDTH_STEP = 1 / 8
"""The narrowest layer has 8 channels at width 1."""


def _convolution(x: Any, channels: int, size: tuple[int, int], strides: int = 1) -> Any:
    """Convolution, batch normalisation and ReLU: ``(n, h, w, c)`` to ``(n, h / strides, w / strides, channels)``."""
    from dslite.model.keras import keras

    x = keras.layers.Conv2D(channels, size, strides=strides, padding="same", use_bias=False)(x)
    x = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.999)(x)  # Caffe's defaults
    return keras.layers.ReLU()(x)


def _block(x: Any, channels: int, strides: int, *, upright_first: bool) -> Any:
    """Squeeze twice, convolve upright and across, expand, and add what came in."""
    from dslite.model.keras import keras

    separable = ((3, 1), (1, 3)) if upright_first else ((1, 3), (3, 1))
    same = strides == 1 and x.shape[-1] == channels
    shortcut = x if same else _convolution(x, channels, (1, 1), strides)
    x = _convolution(x, channels // 2, (1, 1), strides)
    x = _convolution(x, channels // 4, (1, 1))
    for size in separable:
        x = _convolution(x, channels // 2, size)
    x = _convolution(x, channels, (1, 1))
    return keras.layers.ReLU()(keras.layers.Add()([shortcut, x]))


def _build(input_shape: tuple[int, int, int], weights: str | None, options: Options) -> Any:
    """Build it without its classifier: float32 ``(n, h, w, 3)`` to ``(n, h / 32, w / 32, 128 * width)``, rounded up.

    Raises:
        SpecError: where the width gives fractions of channels, or ImageNet weights are asked for.
        ModelFileError: where there is no such weight file.
    """
    from dslite.model.keras import keras

    width = float(options["width"])
    if not 0 < width <= 8 or width % _WIDTH_STEP:  # noqa: PLR2004 - 8 is far beyond the published 2
        raise SpecError(f"squeezenext:width expects a multiple of {_WIDTH_STEP} above 0 and up to 8, got {width:g}")
    if weights == "imagenet":
        raise SpecError("squeezenext has no imagenet weights: take --weights none, or the path of a Keras weight file")
    if weights is not None and not Path(weights).is_file():
        raise ModelFileError(f"squeezenext expects a Keras weight file, got {weights}: there is no such file")
    image = keras.Input(input_shape, name="image")
    x = keras.layers.ZeroPadding2D(1)(image)
    x = keras.layers.Conv2D(int(_FIRST * width), 7, strides=2, use_bias=False)(x)
    x = keras.layers.BatchNormalization(epsilon=1e-5, momentum=0.999)(x)
    x = keras.layers.ReLU()(x)
    x = keras.layers.MaxPooling2D(3, strides=2, padding="same")(x)  # Caffe rounds a pooled size up
    n_blocks = 0
    for stage, (channels, blocks) in enumerate(_STAGES):
        for block in range(blocks):
            strides = 2 if stage and not block else 1
            x = _block(x, int(channels * width), strides, upright_first=n_blocks % 2 == 0)
            n_blocks += 1
    model = keras.Model(image, _convolution(x, int(_LAST * width), (1, 1)), name="squeezenext")
    if weights is not None:
        model.load_weights(weights)
    return model


@hookimpl
def dslite_backbones() -> Iterable[Backbone]:
    """Give SqueezeNext."""
    return [
        Backbone(
            name="squeezenext",
            build=_build,
            scaling="caffe",
            n_features=_LAST,
            min_size_px=32,
            licence="Apache-2.0",
            source="https://arxiv.org/abs/1803.10615",
            options=(Option("width", 1.0, "Factor on all channels; published are 1, 1.5 and 2."),),
        )
    ]
