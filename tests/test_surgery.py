"""Graphs of Keras models, changed."""

from typing import Any

import numpy as np
import pytest
from systems import built

from dslite.errors import ExportError
from dslite.model.keras import keras
from dslite.model.layers import ChannelAffine
from dslite.model.surgery import backbone_of, copied, folded, rebuilt, with_backbone
from dslite.registry import get_with_options


def _cnn(backbone: Any) -> Any:
    image = keras.Input(backbone.input_shape[1:])
    return keras.Model(image, keras.layers.GlobalAveragePooling2D(name="pooling")(backbone(image)))


def _checked(cnn: Any) -> Any:
    """Fold a model, which computes the same then."""
    new, probe = folded(cnn), np.random.default_rng(0).normal(size=(2, *cnn.input_shape[1:])).astype(np.float32)
    assert np.allclose(new(probe), cnn(probe, training=False), atol=1e-5)
    return new


def test_normalisation_behind_a_concatenation_becomes_a_scale_and_an_offset() -> None:
    image = keras.Input((8, 8, 3))
    both = keras.layers.Concatenate()([keras.layers.Conv2D(4, 3)(image), keras.layers.Conv2D(5, 3)(image)])
    backbone = keras.Model(image, keras.layers.ReLU()(keras.layers.BatchNormalization(name="bn")(both)), name="back")
    cnn = _cnn(backbone)
    backbone.get_layer("bn").set_weights([np.arange(1, 10), np.ones(9), np.linspace(-1, 1, 9), np.full(9, 4.0)])
    assert isinstance(backbone_of(_checked(cnn)).get_layer("bn"), ChannelAffine)


@pytest.mark.parametrize("multiplier", [1, 2])
def test_a_separable_convolution_becomes_two_and_takes_the_normalisation_behind_it(multiplier: int) -> None:
    image = keras.Input((9, 9, 3))
    separable = keras.layers.SeparableConv2D(
        5, 3, strides=2, padding="same", depth_multiplier=multiplier, use_bias=False, name="separable"
    )
    x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="bn")(separable(image)))
    backbone = keras.Model(image, x, name="back")
    backbone.get_layer("bn").set_weights([np.arange(1, 6), np.ones(5), np.linspace(-1, 1, 5), np.full(5, 4.0)])
    kinds = [type(layer).__name__ for layer in backbone_of(_checked(_cnn(backbone))).layers]
    assert kinds == ["InputLayer", "DepthwiseConv2D", "Conv2D", "ReLU"]


def test_a_model_inside_a_backbone_is_refused_by_name() -> None:
    image = keras.Input((8, 8, 3))
    block = keras.Sequential([keras.layers.Conv2D(4, 3), keras.layers.BatchNormalization()], name="stem")
    with pytest.raises(ExportError, match="backbone mine: expected layers, got a model inside, stem: "):
        folded(_cnn(keras.Model(image, block(image), name="mine")))


@pytest.mark.parametrize(
    "before",
    [
        keras.layers.Conv2D(6, 3, activation="relu"),  # the activation stands between
        keras.layers.Conv2D(6, 3, groups=3),
    ],
)
def test_what_cannot_be_folded_stays_right(before: Any) -> None:
    image = keras.Input((8, 8, 6))
    normalisation = keras.layers.BatchNormalization(name="bn")
    backbone = keras.Model(image, normalisation(copied(before)(image)), name="back")
    normalisation.set_weights([np.full(6, 2.0), np.ones(6), np.full(6, 0.3), np.full(6, 0.5)])
    _checked(_cnn(backbone))


def test_a_convolution_that_others_read_too_is_not_folded() -> None:
    image = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(4, 1)(image)
    normalised = keras.layers.BatchNormalization(name="bn")(shared)
    backbone = keras.Model(image, keras.layers.Add()([shared, normalised]), name="back")
    backbone.get_layer("bn").set_weights([np.full(4, 3.0), np.ones(4), np.zeros(4), np.ones(4)])
    _checked(_cnn(backbone))


def test_layers_can_be_replaced_and_taken_out() -> None:
    image = keras.Input((4, 4, 3))
    x = keras.layers.ReLU(name="relu")(keras.layers.Conv2D(2, 1, name="conv")(image))
    model = keras.Model(image, keras.layers.Conv2D(2, 1, name="last")(x))
    new = rebuilt(model, {"relu": None, "last": keras.layers.Conv2D(5, 3, name="other")})
    assert [layer.name for layer in new.layers[1:]] == ["conv", "other"]
    assert new.output_shape == (None, 2, 2, 5)
    assert np.array_equal(new.get_layer("conv").kernel, model.get_layer("conv").kernel)
    assert new.get_layer("conv") is not model.get_layer("conv")


def test_a_layer_that_is_used_twice_is_named() -> None:
    image = keras.Input((4, 4, 3))
    twice = keras.layers.Conv2D(3, 1, name="twice")
    with pytest.raises(ExportError, match=r"layer twice of .* is used 2 times"):
        rebuilt(keras.Model(image, twice(twice(image))), {})


def test_another_backbone_and_hidden_layer_can_be_put_in() -> None:
    cnn = built(*get_with_options("backbones", "squeezenet_v1"), 64)
    backbone = backbone_of(cnn)
    image = keras.Input(backbone.input_shape[1:])
    new = with_backbone(
        cnn, keras.Model(image, keras.layers.Conv2D(7, 3)(image)), keras.layers.Dense(32, name="hidden")
    )
    assert new.get_layer("hidden").kernel.shape == (7, 32)
    assert new.input_shape == cnn.input_shape
