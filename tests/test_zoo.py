"""The backbones: parameters, multiply-accumulates, sizes, scaling, and what real weights make of real pictures."""

import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from backbones import in_ci_or_nightly
from systems import System, Untrained, check_what_stays_computes_as_if_what_is_gone_were_constant, compressed, on_grid

from dslite.deploy import tflite_file
from dslite.deploy.runtime import open_session
from dslite.model.graph import count_macs, trace
from dslite.model.keras import keras
from dslite.model.layers import ImageNetScaling
from dslite.model.surgery import backbone_of
from dslite.registry import get_with_options, registry
from dslite_plugins.compressors.common import kernels_of

# Of each backbone: the parameters of Keras' model with its classifier of 1000 classes, as Keras' table and `summary`
# give them; the features and hidden layers that classifier is made of (none hidden: a dense layer upon the feature
# map's mean); the multiply-accumulates at 224 px without classifier, by convolution arithmetic: height and width of
# each output times filters, kernel and input channels; and millions of these with the classifier, as its authors
# publish them: MobileNetV3, table 3 of the paper; EfficientNet, table 2; EfficientNetV2-B0 and MobileNetV2 0.35, the
# tables of their repositories; MobileNet 0.25, table 6.
PAPERS: dict[str, tuple[int, tuple[int, ...], int, int | None]] = {
    "vgg16": (138_357_544, (7 * 7 * 512, 4096, 4096), 15_346_630_656, None),
    "vgg19": (143_667_240, (7 * 7 * 512, 4096, 4096), 19_508_428_800, None),
    "resnet50": (25_636_712, (2048,), 3_855_925_248, None),
    "xception": (22_910_480, (2048,), 4_550_831_072, None),
    "inception_v3": (23_851_784, (2048,), 2_835_873_120, None),
    "densenet121": (8_062_504, (1024,), 2_833_137_664, None),
    "densenet169": (14_307_880, (1664,), 3_358_179_328, None),
    "densenet201": (20_242_984, (1920,), 4_289_445_888, None),
    "mobilenet": (4_253_864, (1024,), 567_716_352, None),
    "mobilenet_v2": (3_538_984, (1280,), 299_494_272, None),
    "nasnet_large": (88_949_818, (4032,), 10_279_764_000, None),
    "nasnet_mobile": (5_326_716, (1056,), 562_582_816, None),
    "inception_resnet_v2": (55_873_736, (1536,), 6_467_425_120, None),
    "squeezenet_v1": (1_235_496, (512,), 262_623_936, None),
}
# The multiply-accumulates of these, and the parameters of the last two, are dslite's own count, so that a change is
# noticed.
NEWER: dict[str, tuple[int, tuple[int, ...], int, int | None]] = {
    "mobilenet_v3_small": (2_554_968, (576, 1024), 54_896_576, 56),
    "mobilenet_v3_large": (5_507_432, (960, 1280), 214_080_960, 219),
    "efficientnet_b0": (5_330_571, (1280,), 384_534_752, 390),
    "efficientnet_v2_b0": (7_200_312, (1280,), 716_806_176, 720),
    "mobilenet:alpha=0.25": (475_544, (256,), 40_774_272, 41),
    "mobilenet_v2:alpha=0.35": (1_691_208, (1280,), 58_005_808, 59),
    "mobilenet_v3_small:alpha=0.75": (583_160, (), 41_932_976, None),
}
ALL = PAPERS | NEWER


def _parameters(name: str) -> int:
    """Give how many there are without the classifier."""
    with_classifier, widths, _, _ = ALL[name]
    return with_classifier - sum(n_in * n_out + n_out for n_in, n_out in itertools.pairwise((*widths, 1000)))


MADE = ("mobilenet:alpha=0.25", "mobilenet_v2:alpha=0.35", "mobilenet_v3_small:alpha=0.75")
"""Of other widths: in CI too, for they are small."""


@pytest.fixture(scope="module")
def system(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A backbone's system, built, folded and exported once for all tests of it, which follow each other."""
    yield System(request.param, tmp_path_factory.mktemp("system"))
    keras.backend.clear_session()


def each(names: Iterable[str], **quick: tuple[str, ...]) -> pytest.MarkDecorator:
    parameters = in_ci_or_nightly(names, *MADE, **quick)
    return pytest.mark.parametrize("system", parameters, indirect=True, scope="module")


def _build(name: str, weights: str | None = None, size: int | None = None) -> Any:
    record, options = get_with_options("backbones", name)
    side = record.min_size_px if size is None else size
    return record.build((side, side, 3), weights, options)


@each(ALL)
def test_parameters_and_features_of_the_smallest_picture(system: System) -> None:
    record, options = get_with_options("backbones", system.name)
    model = _build(system.name)
    assert model.count_params() == _parameters(system.name)
    assert min(model.output_shape[1:3]) >= 1
    if all(options[o.name] == o.default for o in record.options):
        assert model.output_shape[-1] == record.n_features
    with pytest.raises(ValueError, match=r"at least|Negative dimension"):
        _build(system.name, size=record.min_size_px - 1)


@each(ALL)
def test_macs_of_the_graph_and_of_the_file(system: System) -> None:
    _, widths, expected, published = ALL[system.name]
    assert count_macs(trace(system.backbone)) == pytest.approx(expected, rel=1e-3)
    assert tflite_file.read(system.file).macs == pytest.approx(expected, rel=1e-3)
    classifier = sum(n_in * n_out for n_in, n_out in itertools.pairwise((*widths, 1000)))
    assert published is None or (expected + classifier) / 1e6 == pytest.approx(published, rel=0.015)


# -- folding and compressing ------------------------------------------------------------------------------


@each(registry().names("backbones"), quick=("squeezenet_v1",))
def test_a_folded_model_computes_the_same_without_batch_normalisation(system: System) -> None:
    cnn, new = system.cnn, system.folded
    x = np.random.default_rng(0).uniform(0, 255, (2, *cnn.input_shape[1:])).astype(np.float32)
    expected = _features(cnn, x)
    assert not any(isinstance(layer, keras.layers.BatchNormalization) for layer in backbone_of(new).layers)
    # Float32 sums in another order; in deep networks with random weights and swish that grows.
    assert np.allclose(_features(new, x), expected, rtol=1e-2, atol=1e-2 * np.abs(expected).max())
    assert count_macs(trace(new)) == count_macs(trace(cnn))
    assert new.count_params() <= cnn.count_params()
    assert any(isinstance(layer, keras.layers.BatchNormalization) for layer in backbone_of(cnn).layers) == (
        system.name not in ("vgg16", "vgg19", "squeezenet_v1")
    )  # the old one is as it was


def _features(cnn: Any, x: Any) -> Any:
    return np.asarray(keras.Model(cnn.input, cnn.get_layer("pooling").output)(x, training=False))


@each(registry().names("backbones"))
def test_what_stays_computes_as_if_what_is_gone_were_constant(system: System) -> None:
    check_what_stays_computes_as_if_what_is_gone_were_constant(system.folded)


@each(registry().names("backbones"))
def test_every_backbone_is_given_back_whole_by_training_in_wrappers(system: System) -> None:
    expected = system.folded
    new = compressed("qat:epochs=1", system.cnn, Untrained(system.cnn.input_shape[1]))
    assert [layer.name for layer in backbone_of(new).layers] == [layer.name for layer in backbone_of(expected).layers]
    for got, wanted in zip(kernels_of(new), kernels_of(expected), strict=True):
        assert on_grid(got)
        assert np.abs(got - wanted).max() <= np.abs(wanted).max() / 127


# -- scaling ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("mobilenet_v3_small", "MobileNetV3Small"),
        pytest.param("mobilenet_v3_large", "MobileNetV3Large", marks=pytest.mark.nightly),
        pytest.param("efficientnet_b0", "EfficientNetB0", marks=pytest.mark.slow),
        pytest.param("efficientnet_v2_b0", "EfficientNetV2B0", marks=pytest.mark.nightly),
    ],
)
def test_scaling_outside_equals_keras_own_inside(name: str, function: str) -> None:
    record = registry().get("backbones", name)
    keras_own = getattr(keras.applications, function)(include_top=False, weights=None, input_shape=(64, 64, 3))
    ours = _build(name, size=64)
    ours.set_weights(keras_own.get_weights())
    image = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    expected = np.asarray(keras_own(image))
    got = np.asarray(ours(ImageNetScaling(record.scaling)(image)))
    assert np.abs(got - expected).max() < 1e-3 * np.abs(expected).max()
    if record.scaling != "none":  # it would be noticed
        assert np.abs(np.asarray(ours(image)) - expected).max() > 0.1 * np.abs(expected).max()


@pytest.mark.parametrize("name", sorted({*PAPERS} - {"squeezenet_v1"}))  # which Keras has not
def test_scaling_is_that_of_keras_preprocess_input(name: str) -> None:
    module = getattr(keras.applications, re.sub("(?<=densenet).*|(?<=nasnet).*", "", name))
    image = np.random.default_rng(0).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)
    scaling = registry().get("backbones", name).scaling
    assert np.allclose(ImageNetScaling(scaling)(image), module.preprocess_input(image.copy()), atol=2e-5)


# -- export -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", in_ci_or_nightly(["efficientnet_b0", "mobilenet_v3_small", "nasnet_mobile"]))
@pytest.mark.parametrize("exporter", ["hdf5", "savedmodel", "tflite-float32"])
def test_activations_and_own_layers_go_through_every_exporter(name: str, exporter: str, tmp_path: Path) -> None:
    # swish has a gradient of its own, which a graph of constants cannot carry; B0 of a file has a bare multiplication
    model, record = _build(name), registry().get("exporters", exporter)
    if name == "efficientnet_b0":
        model.save_weights(tmp_path / "w.h5")
        model = _build(name, str(tmp_path / "w.h5"))
    path = tmp_path / f"m{record.suffix}"
    record.export(model, str(path), None, {})
    image = np.random.default_rng(0).uniform(-1, 1, (1, *model.input_shape[1:])).astype(np.float32)
    expected = np.asarray(model(image, training=False))
    assert np.abs(open_session(path, 1).run(image) - expected).max() <= 1e-3 * max(1.0, np.abs(expected).max())
    keras.backend.clear_session()


# -- real weights and real pictures -----------------------------------------------------------------------

WEIGHTS = "mobilenet_v2_1.0_224_notop_dequantised.h5"


def _picture(path: Path) -> Any:
    """A picture as float32 (1, 224, 224, 3), whole numbers of [0, 255]."""
    image = tf.io.decode_image(path.read_bytes(), channels=3, expand_animations=False)
    return np.asarray(tf.round(tf.image.resize(image[tf.newaxis], (224, 224), antialias=True)))


def _dequantised(interpreter: Any, index: int) -> Any:
    quantisation = interpreter._get_tensor_details(index, 0)["quantization_parameters"]
    scales, zeros = quantisation["scales"], quantisation["zero_points"]
    values = interpreter.get_tensor(index).astype(np.float64)
    shape = [-1] + [1] * (values.ndim - 1) if len(scales) > 1 else []
    return (values - zeros.reshape(shape)) * scales.reshape(shape)


@pytest.mark.data
@pytest.mark.filterwarnings("ignore:Warning. Enabling `experimental_preserve_all_tensors`:UserWarning")
@pytest.mark.parametrize(("file", "label"), [("cat.bmp", "Egyptian cat"), ("parrot.jpg", "macaw")])
def test_real_weights_see_in_real_pictures_what_a_foreign_model_sees(file: str, label: str, data_dir: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    folder = data_dir / "weights" / "imagenet_check"
    image = _picture(folder / file)
    # The judge: a public int8 file of MobileNetV2, made by others. The mean of its feature map is its only tensor of
    # (1, 1, 1, 1280); behind it comes the classifier, a convolution of 1 x 1.
    judge = Interpreter(
        str(folder / "tf2_mobilenet_v2_1.0_224_ptq.tflite"), num_threads=1, experimental_preserve_all_tensors=True
    )
    judge.allocate_tensors()
    judge.set_tensor(judge.get_input_details()[0]["index"], image.astype(np.uint8))
    judge.invoke()
    by_shape = {tuple(t["shape"]): t["index"] for t in judge.get_tensor_details()}
    theirs = _dequantised(judge, by_shape[1, 1, 1, 1280]).ravel()
    kernel = _dequantised(judge, by_shape[1001, 1, 1, 1280]).reshape(1001, 1280)
    bias = _dequantised(judge, by_shape[1001,])

    model = _build("mobilenet_v2", str(data_dir / "weights" / "imagenet_keras" / WEIGHTS), 224)
    scaling = ImageNetScaling(registry().get("backbones", "mobilenet_v2").scaling)
    ours = np.asarray(model(scaling(image), training=False)).mean(axis=(0, 1, 2))
    correlation = float(np.corrcoef(ours, theirs)[0, 1])
    print(f"{file}: correlation {correlation:.5f}")  # noqa: T201 - for `pytest -rP`
    assert correlation >= 0.99
    labels = (folder / "imagenet_labels.txt").read_text(encoding="utf-8").splitlines()
    assert labels[int(np.argmax(kernel @ ours + bias))] == label
    wrong = np.asarray(model(image, training=False)).mean(axis=(0, 1, 2))  # without scaling: the judge would notice
    assert float(np.corrcoef(wrong, theirs)[0, 1]) < 0.9
