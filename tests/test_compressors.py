"""What each compressor promises, on small networks and on the real ones."""

from typing import Any

import numpy as np
import pytest
from backbones import NIGHTLY
from systems import Finetune, built, check_what_stays_computes_as_if_what_is_gone_were_constant, compressed, on_grid

from dslite.errors import SpecError
from dslite.model.keras import keras
from dslite.model.surgery import backbone_of, folded, set_weights, with_backbone
from dslite.records import Backbone
from dslite.registry import get_with_options
from dslite_plugins.compressors import coupling
from dslite_plugins.compressors.common import is_clustered, kernels_of, sparsity_of

SIZE_PX = 64


def residual(input_shape: Any, weights: Any, options: Any) -> Any:
    """All that couples channels, in little: residual, concatenation, depthwise convolution, squeeze and excite."""
    del weights, options
    layers = keras.layers
    image = keras.Input(input_shape)
    x = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(16, 3, strides=2, use_bias=False)(image)))
    inner = layers.ReLU(6.0)(layers.BatchNormalization()(layers.Conv2D(48, 1, use_bias=False)(x)))
    inner = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same")(inner)))
    excited = layers.Reshape((1, 1, 48))(layers.GlobalAveragePooling2D()(inner))
    excited = layers.Conv2D(48, 1, activation="sigmoid")(layers.Conv2D(8, 1, activation="relu")(excited))
    inner = layers.Multiply()([inner, excited])
    x = layers.Add()([x, layers.BatchNormalization()(layers.Conv2D(16, 1)(inner))])
    x = layers.Concatenate()([x, layers.Conv2D(24, 3, padding="same")(x)])
    x = layers.ReLU()(layers.BatchNormalization(name="lone")(x))
    return keras.Model(image, layers.Conv2D(32, 1)(layers.AveragePooling2D()(x)), name="residual")


_RESIDUAL = Backbone("residual", residual, "tf", 32, 32, "Apache-2.0", "tests")


def small() -> Any:
    return built(_RESIDUAL, {}, SIZE_PX)


def outputs(cnn: Any) -> Any:
    return np.asarray(cnn(Finetune().pictures(8), training=False))


# -- backbones of others ------------------------------------------------------------------------------


@keras.saving.register_keras_serializable(package="tests")
class Composite(keras.layers.Layer):  # type: ignore[misc]
    """A layer that makes what it needs when it is called first."""

    inner: Any = None

    def call(self, x: Any) -> Any:
        if self.inner is None:
            self.inner = keras.layers.Conv2D(8, 1)
        return self.inner(x)


@keras.saving.register_keras_serializable(package="tests")
class Own(keras.layers.Wrapper):  # type: ignore[misc]
    """A wrapper that is none of TFMOT's."""

    def call(self, x: Any) -> Any:
        return 2 * self.layer(x)


def odd(input_shape: Any, weights: Any, options: Any) -> Any:
    """What authors of plugins may have: names of the head's layers, wrappers, groups, layers that build others."""
    del weights, options
    layers = keras.layers
    image = keras.Input(input_shape)
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(image)
    x = layers.Normalization(name="adapted")(x)
    x = layers.ReLU()(layers.Conv2D(16, 3, strides=2, name="first")(x))
    x = layers.ReLU()(layers.Conv2D(16, 3, groups=4, name="grouped")(x))
    x = layers.ReLU()(layers.SeparableConv2D(24, 3, depth_multiplier=2, name="separable")(x))
    x = Own(layers.Conv2D(16, 1, name="inside"), name="own")(x)
    x = Composite(name="composite")(x)
    x = layers.Conv2D(16, 3, activation="relu", name="hidden")(x)
    return keras.Model(image, layers.Conv2D(32, 1, name="output")(x), name="odd")


_ODD = Backbone("odd", odd, "none", 32, 32, "Apache-2.0", "tests")


@pytest.mark.parametrize("text", ["prune:epochs=1", "cluster:epochs=1,clusters=8", "qat:epochs=1"])
def test_backbones_of_others_can_be_compressed(text: str) -> None:
    cnn = built(_ODD, {}, SIZE_PX)
    new = compressed(text, cnn)
    backbone = backbone_of(new)
    for name in ("first", "grouped", "separable", "hidden", "output"):
        kernel = backbone.get_layer(name).kernel.numpy()
        if text.startswith("prune"):
            assert np.mean(kernel == 0) == pytest.approx(0.5, abs=0.03), name
        elif text.startswith("cluster"):
            assert np.unique(kernel).size <= 8, name
        else:
            assert on_grid(kernel), name
    assert np.isfinite(outputs(new)).all()


def test_channels_of_a_grouped_convolution_stay() -> None:
    cnn = built(_ODD, {}, SIZE_PX)
    before = backbone_of(folded(cnn))
    new = backbone_of(compressed("channels:macs=0.9,steps=1,epochs=1,multiple=2", cnn))
    assert new.get_layer("grouped").kernel.shape == before.get_layer("grouped").kernel.shape
    assert new.get_layer("output").kernel.shape != before.get_layer("output").kernel.shape


# -- prune --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sparsity", [0.3, 0.9])
def test_pruning_leaves_the_share_of_zeros_in_every_kernel(sparsity: float) -> None:
    new = compressed(f"prune:sparsity={sparsity},epochs=3", small())
    for kernel in kernels_of(new):
        assert np.mean(kernel == 0) == pytest.approx(sparsity, abs=1 / kernel.size + 0.01)


def test_pruning_reaches_its_share_in_a_single_step() -> None:
    new = compressed("prune:sparsity=0.5,epochs=1", small(), Finetune(n=4))
    assert sparsity_of(new) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prune:sparsity=0", "expected above 0 and below 1, got 0: it is the share"),
        ("prune:sparsity=1", "expected above 0 and below 1, got 1: it is the share"),
        ("channels:macs=0", "expected above 0 and below 1, got 0: it is the share"),
        ("channels:macs=1", "expected above 0 and below 1, got 1: it is the share"),
        ("prune:epochs=0", "epochs: expected 1 or more, got 0"),
        ("prune:sparsity=0.05", "sparsity: expected 0.1 or more, got 0.05: so few zeros save nothing"),
        ("prune:rate=0", "rate: expected above 0 to 10, got 0"),
        ("qat:rate=-1", "rate: expected above 0 to 10, got -1"),
        ("cluster:rate=11", "rate: expected above 0 to 10, got 11"),
        ("channels:rate=0", "rate: expected above 0 to 10, got 0"),
        ("cluster:clusters=2", "clusters: expected 3 to 256, got 2"),
        ("cluster:clusters=300", "clusters: expected 3 to 256, got 300"),
        ("qat:epochs=-1", "epochs: expected 1 or more, got -1"),
        ("channels:steps=4,epochs=3", "steps: expected 1 to 3, as there are epochs, got 4"),
        ("channels:multiple=0", "multiple: expected 1 or more, got 0"),
    ],
)
def test_settings_out_of_range_are_refused_before_any_training(text: str, message: str) -> None:
    finetune = Finetune()
    with pytest.raises(SpecError, match=message):
        compressed(text, small(), finetune)
    assert not finetune.calls


# -- cluster ------------------------------------------------------------------------------------------


def test_clustering_leaves_so_many_values_in_every_kernel() -> None:
    new = compressed("cluster:clusters=8,epochs=1", small())
    sizes = [np.unique(kernel).size for kernel in kernels_of(new)]
    assert max(sizes) <= 8
    assert is_clustered(new, at_most=8)


# -- qat ----------------------------------------------------------------------------------------------


def test_quantisation_aware_training_gives_weights_that_int8_holds_exactly() -> None:
    finetune = Finetune()
    before = small()
    assert not all(map(on_grid, kernels_of(before)))
    new = compressed("qat:epochs=2", before, finetune)
    assert all(map(on_grid, kernels_of(new)))
    depthwise = [layer for layer in backbone_of(new).layers if isinstance(layer, keras.layers.DepthwiseConv2D)]
    assert all(on_grid(layer.depthwise_kernel.numpy()[..., 0]) for layer in depthwise)
    assert not any(isinstance(layer, keras.layers.Wrapper) for layer in (*new.layers, *backbone_of(new).layers))
    assert finetune.calls == [{"epochs": 2, "rate": 0.1, "training": True}]


@pytest.mark.parametrize(
    ("chain", "sparse", "clustered"),
    [
        (["prune:sparsity=0.6,epochs=1", "qat:epochs=1"], 0.6, False),
        pytest.param(["cluster:clusters=8,epochs=1", "qat:epochs=1"], 0.0, True, marks=pytest.mark.nightly),
        pytest.param(
            ["prune:sparsity=0.6,epochs=1", "cluster:clusters=8,epochs=1", "qat:epochs=1"],
            0.6,
            True,
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ["channels:macs=0.6,steps=1,epochs=1", "prune:sparsity=0.6,epochs=1"], 0.6, False, marks=pytest.mark.slow
        ),
    ],
)
def test_zeros_and_shared_values_survive_what_comes_after(chain: list[str], sparse: float, clustered: bool) -> None:
    cnn = small()
    for text in chain:
        cnn = compressed(text, cnn)
    assert sparsity_of(cnn) >= sparse - 0.02
    if chain[-1].startswith("qat"):
        assert all(map(on_grid, kernels_of(cnn)))
    if not clustered:
        return
    for kernel in kernels_of(cnn):
        # Each output channel is rounded on a grid of its own, so values are shared within a channel.
        flat = kernel.reshape(-1, kernel.shape[-1])
        assert max(np.unique(column).size for column in flat.T) <= 8


@pytest.mark.slow
def test_zeros_are_kept_by_quantisation_aware_training_that_moves_every_weight_far() -> None:
    pruned = compressed("prune:sparsity=0.6,epochs=1", small())
    trained = compressed("qat:rate=10,epochs=5", pruned)
    for before, after in zip(kernels_of(pruned), kernels_of(trained), strict=True):
        assert not after[before == 0].any()
        assert np.abs(after - before).max() > 0.02  # it did learn


def test_a_kernel_with_few_weights_left_stays_as_it_is_and_the_others_are_clustered() -> None:
    pruned = compressed("prune:sparsity=0.95,epochs=1", small())
    before, after = kernels_of(pruned), kernels_of(compressed("cluster:clusters=32,epochs=2", pruned))
    few = [bool(np.count_nonzero(kernel) <= 32) for kernel in before]
    assert {*few} == {True, False}
    for is_few, old, new in zip(few, before, after, strict=True):
        assert not new[old == 0].any()
        assert np.unique(new).size <= 32 + is_few
        assert np.array_equal(new, old) == is_few


@pytest.mark.parametrize(
    ("text", "name"),
    [
        pytest.param(f"{each}:epochs=1", name, marks=pytest.mark.slow if each == in_ci else NIGHTLY)
        for name, in_ci in (("densenet121", ""), ("mobilenet_v2", "prune"), ("squeezenet_v1", "cluster"))
        for each in ("qat", "prune", "cluster")
    ],
)
def test_real_backbones_can_be_compressed(text: str, name: str) -> None:
    new = compressed(text, built(*get_with_options("backbones", name), SIZE_PX), Finetune(n=4))
    assert np.isfinite(outputs(new)).all()
    if text.startswith("qat"):
        assert all(map(on_grid, kernels_of(new)))


# -- channels -----------------------------------------------------------------------------------------


def test_what_stays_computes_as_if_what_is_gone_were_constant() -> None:
    check_what_stays_computes_as_if_what_is_gone_were_constant(folded(small()))


def test_channels_that_are_constant_go_without_a_trace() -> None:
    cnn = folded(small())
    network = backbone_of(cnn)
    dead = np.arange(16)  # of the 48 channels between the residual's ends
    conv = next(layer for layer in network.layers if layer.output_shape[-1] == 48)
    kernel, bias = conv.get_weights()
    kernel[..., dead], bias[dead] = 0, -1
    set_weights(network, {conv.name: [kernel, bias]})
    depthwise = next(layer for layer in network.layers if isinstance(layer, keras.layers.DepthwiseConv2D))
    expected = outputs(cnn)
    of = coupling.coupling(network)
    x = cnn.get_layer("scaling")(Finetune().pictures(8))
    seen = coupling.watch(network, x)
    gone = {int(of.makes[conv.name][i]) for i in dead}
    assert gone == {int(of.makes[depthwise.name][i]) for i in dead}  # carried along
    new = with_backbone(cnn, coupling.without(of, network, gone, seen))
    assert np.allclose(outputs(new), expected, atol=1e-5)
    assert new.count_params() < cnn.count_params()


def test_channels_that_meet_in_a_residual_are_one() -> None:
    network = backbone_of(folded(small()))
    of = coupling.coupling(network)
    first, *_, last = [
        layer.name for layer in network.layers if layer.output_shape[-1] == 16 and "conv2d" in layer.name
    ]
    assert np.array_equal(of.makes[first], of.makes[last])
    (joined,) = [layer.name for layer in network.layers if type(layer).__name__ == "Concatenate"]
    assert np.array_equal(of.makes[joined][:16], of.makes[first])
    assert len(set(map(int, of.makes[joined]))) == 40


def test_fewer_channels_make_a_smaller_model_of_about_the_share_of_macs() -> None:
    before = folded(small())
    finetune = Finetune()
    new = compressed("channels:macs=0.5,steps=2,epochs=5,multiple=4", small(), finetune)
    macs = [coupling.count_macs(coupling.coupling(b), b, set()) for b in (backbone_of(before), backbone_of(new))]
    assert 0.3 <= macs[1] / macs[0] <= 0.56
    assert new.count_params() < 0.8 * before.count_params()
    assert [call["epochs"] for call in finetune.calls] == [2, 3]
    # Multiples of 4, or of 2 where fewer than 8 are left to choose from.
    assert all(layer.output_shape[-1] % 2 == 0 for layer in backbone_of(new).layers if "conv2d" in layer.name)
    assert (new.input_shape, new.output_shape) == (before.input_shape, before.output_shape)


def test_a_network_that_is_not_understood_is_left_whole() -> None:
    image = keras.Input((8, 8, 3))
    x = keras.layers.Lambda(lambda y: y[..., ::-1])(keras.layers.Conv2D(16, 1)(image))
    network = keras.Model(image, keras.layers.Lambda(lambda y: y * 2)(keras.layers.Conv2D(16, 1)(x)))
    assert coupling.groups(coupling.coupling(network), network) == []
