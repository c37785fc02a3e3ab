"""A small CNN of depthwise separable convolutions, after MobileNet (Howard et al., 2017)."""

from collections.abc import Iterable
from typing import Any

from dslite import hookimpl
from dslite.errors import SpecError
from dslite.records import Backbone, Option, Options

_STAGES = ((2, 2), (2, 1), (4, 2), (4, 1), (8, 2))
"""Of each separable convolution: channels as a multiple of `width`, and stride."""


def build(input_shape: tuple[int, int, int], weights: str | None, options: Options) -> Any:
    """Build the feature extractor, without pooling and classifier.

    Args:
        input_shape: ``(height, width, 3)``; pictures come in [-1, 1], as `scaling` below asks.
        weights: None for random ones, or the path of a file from ``model.save_weights("weights.h5")``.
        options: `width`.

    Returns:
        A Keras model, float32 ``(n, height, width, 3)`` to ``(n, height / 16, width / 16, 8 * width)``.
    """
    from dslite.model.keras import keras  # heavy imports stand inside functions: start-up stays quick
    from dslite.model.weights import load

    width = int(options["width"])
    if width < 1:
        raise SpecError(f"new_backbone:width expects 1 or more, got {width}")
    if weights == "imagenet":
        raise SpecError("new_backbone has no ImageNet weights: name a weight file")
    layers = keras.layers

    def normalised(x: Any) -> Any:
        return layers.ReLU(6.0)(layers.BatchNormalization()(x))

    image = keras.Input(input_shape)
    x = normalised(layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False)(image))
    for multiple, stride in _STAGES:
        x = normalised(layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(x))
        x = normalised(layers.Conv2D(multiple * width, 1, use_bias=False)(x))
    model = keras.Model(image, x, name="new_backbone")
    if weights:
        load(model, weights, "new_backbone")
    return model


@hookimpl
def dslite_backbones() -> Iterable[Backbone]:
    """Give the backbones of this plugin."""
    return [
        Backbone(
            name="new_backbone",
            build=build,
            scaling="tf",  # [-1, 1]; others: torch, caffe, none
            n_features=128,  # channels of the feature map with default options: 8 * 16
            min_size_px=16,  # the smallest picture of which something is left
            licence="MIT",
            source="after https://arxiv.org/abs/1704.04861",
            options=(Option("width", 16, "Channels of the first convolution; the last has 8 times as many."),),
        )
    ]
