from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dslite.audio.frontend import picture
from dslite.errors import ExportError, PluginError, SpecError
from dslite.model.assembly import build_cnn, build_part
from dslite.model.convert import to_tflite
from dslite.model.graph import count_macs, freeze, trace
from dslite.model.keras import keras
from dslite.model.layers import AReLU, ImageNetScaling
from dslite.recipe import REFERENCE, HeadSpec
from dslite.records import Backbone
from dslite.registry import registry


@pytest.fixture(scope="module")
def reference_cnn() -> Any:
    return build_cnn(registry().get("backbones", "densenet121"), {}, 224, REFERENCE.head, 4, None)


def test_reference_model_has_the_papers_parameters_with_arelus_two_and_the_known_macs(reference_cnn: Any) -> None:
    # 7,037,504 of DenseNet121 without its top, 1024 * 512 + 512 hidden, 512 * 4 + 4 output, alpha and beta
    assert reference_cnn.count_params() == 7_564_356 + 2
    # 2,833,137,664 is DenseNet121 without its top at 224 px by convolution arithmetic; the head adds its two products
    assert count_macs(trace(reference_cnn)) == 2_833_137_664 + 1024 * 512 + 512 * 4


def test_freezing_changes_neither_output_nor_macs(reference_cnn: Any) -> None:
    image = np.random.default_rng(0).uniform(0, 255, (1, 224, 224, 3)).astype(np.float32)
    frozen = freeze(reference_cnn)
    assert np.allclose(frozen(tf.constant(image))[0], reference_cnn(image, training=False), atol=1e-5)
    assert count_macs(frozen) == count_macs(trace(reference_cnn))


def test_arelu_is_the_papers_formula() -> None:
    # equation 3 of the AReLU paper, by hand: sigmoid(2) = 0.8807970779778823
    x = np.array([-2.0, -0.5, 0.0, 1.0, 3.0], np.float32)
    expected = [-1.8, -0.45, 0.0, 1.8807970779778823, 5.642391233933647]
    assert np.allclose(AReLU()(x), expected, atol=1e-6)


def test_arelu_learns_both_scalars_and_clamps_alpha() -> None:
    layer = AReLU()
    x = tf.constant([-1.0, 2.0])
    with tf.GradientTape() as tape:
        y = tf.reduce_sum(layer(x))
    gradients = tape.gradient(y, layer.trainable_variables)
    assert len(gradients) == 2
    assert all(float(tf.abs(g)) > 0 for g in gradients)
    layer.alpha.assign(5.0)
    assert float(layer(tf.constant([-1.0]))[0]) == pytest.approx(-0.99)
    layer.alpha.assign(-5.0)
    assert float(layer(tf.constant([-1.0]))[0]) == pytest.approx(-0.01)


def test_scaling_none_changes_nothing_and_other_modes_are_refused() -> None:
    image = np.ones((1, 2, 2, 3), np.float32)
    assert np.array_equal(ImageNetScaling("none")(image), image)
    with pytest.raises(ValueError, match="expected one of torch"):
        ImageNetScaling("pytorch")


def test_whole_is_frontend_then_cnn(small_system: Any) -> None:
    audio = np.random.default_rng(0).standard_normal((1, 16_000)).astype(np.float32)
    whole = build_part("whole", small_system.recipe, small_system.cnn)
    image = build_part("frontend", small_system.recipe, None)(audio)
    assert np.allclose(image, picture(audio, small_system.recipe.frontend), atol=1e-3)
    assert np.allclose(whole(audio), small_system.cnn(image), atol=1e-6)


def test_softmax_gives_probabilities_and_linear_any_value(small_system: Any) -> None:
    backbone = _backbone()
    image = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype(np.float32)
    probabilities = np.asarray(build_cnn(backbone, {}, 32, HeadSpec(8), 5, None)(image))
    assert probabilities.shape == (4, 5)
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    model = build_cnn(backbone, {}, 32, HeadSpec(8, output="linear"), 1, None)
    assert model(image).shape == (4, 1)
    assert model.layers[-1].activation is keras.activations.linear


def test_dropout_is_active_in_training_only() -> None:
    model = build_cnn(_backbone(), {}, 32, HeadSpec(64, dropout=0.5), 2, None)
    image = np.random.default_rng(0).uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)
    assert np.array_equal(model(image, training=False), model(image, training=False))
    assert not np.array_equal(model(image, training=True), model(image, training=True))


@pytest.mark.parametrize(
    ("size", "outputs", "message"),
    [(8, 3, "at least 16 px, got 8"), (32, 1, "at least two classes"), (32, 0, "at least two classes")],
)
def test_what_cannot_be_built_is_refused(size: int, outputs: int, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        build_cnn(_backbone(), {}, size, HeadSpec(8), outputs, None)


def test_a_backbone_that_gives_something_else_is_named() -> None:
    """Other promises that are broken: `distributions.BAD_BUILDS`."""
    backbone = Backbone("broken", lambda *_: "a model", "none", 8, 16, "MIT", "tests")
    with pytest.raises(PluginError, match=r"must return a tf_keras.Model, got builtins.str"):
        build_cnn(backbone, {}, 32, HeadSpec(8), 2, None)


def _backbone() -> Backbone:
    def build(shape: tuple[int, int, int], *_: Any) -> Any:
        image = keras.Input(shape)
        return keras.Model(image, keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image))

    return Backbone("plain", build, "tf", 8, 16, "MIT", "tests")


# -- multiply-accumulates, golden values by the arithmetic written beside them -----------------------------


def _layer_macs(layer: Any, shape: tuple[int, ...]) -> int | None:
    x = keras.Input(shape)
    return count_macs(trace(keras.Model(x, layer(x))))


@pytest.mark.parametrize(
    ("layer", "shape", "macs"),
    [
        (keras.layers.Conv2D(5, 3, padding="same"), (8, 8, 4), 8 * 8 * 5 * 3 * 3 * 4),
        (keras.layers.Conv2D(5, (3, 1), strides=2), (9, 9, 4), 4 * 5 * 5 * 3 * 4),
        (keras.layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"), (8, 8, 4), 8 * 8 * 8 * 9),
        (keras.layers.Conv2DTranspose(5, 3, strides=2, padding="same"), (4, 4, 3), 4 * 4 * 3 * 9 * 5),
        (keras.layers.Conv3D(2, 3, padding="same"), (4, 4, 4, 3), 64 * 2 * 27 * 3),
        (keras.layers.Dense(7), (5,), 35),
        (keras.layers.Dense(7), (3, 5), 3 * 35),
        (keras.layers.GlobalAveragePooling2D(), (8, 8, 3), 0),
        (keras.layers.BatchNormalization(), (8, 8, 3), 0),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_macs_of_a_layer(layer: Any, shape: tuple[int, ...], macs: int) -> None:
    assert _layer_macs(layer, shape) == macs


def test_what_is_not_understood_gives_no_count() -> None:
    einsum = keras.layers.Lambda(lambda x: tf.einsum("bij,bjk->bik", x, x))
    assert _layer_macs(einsum, (4, 4)) is None
    assert _layer_macs(keras.layers.Conv2D(6, 3, groups=2), (8, 8, 4)) is None
    assert _layer_macs(keras.layers.Conv3DTranspose(2, 3), (4, 4, 4, 3)) is None
    branch = keras.layers.Lambda(
        lambda x: tf.cond(tf.reduce_sum(x) > 0, lambda: tf.matmul(x, x), lambda: tf.matmul(x, -x))
    )
    assert _layer_macs(branch, (4, 4)) is None


def test_what_tflite_has_no_builtin_for_is_one_clear_error() -> None:
    x = keras.Input((4, 4))
    model = keras.Model(x, keras.layers.Lambda(tf.linalg.expm)(x))
    with pytest.raises(ExportError, match="no builtin operator"):
        to_tflite(model)
