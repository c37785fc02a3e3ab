"""`check_backbone`."""

import re
from typing import Any, get_args

import numpy as np

from dslite.records import Backbone, Scaling
from dslite.testing.shared import check_record, default_options, through_tflite

_SNAKE_CASE = re.compile(r"[a-z][a-z0-9_]*")
_SIZE_PX = 64
_TOLERANCE = 1e-3


def check_backbone(backbone: Backbone) -> None:
    """Check that a backbone builds, keeps its record's promises, repeats itself, and goes through TFLite.

    It is built four times with default options and random weights, at `min_size_px` and at twice that, 64 px or more.
    Pictures below `min_size_px` are refused by dslite itself, so `build` need not.

    Raises:
        AssertionError: where it does not; the message names what to mend.
    """
    from dslite.model.graph import count_macs, trace
    from dslite.model.keras import keras

    name, options = backbone.name, default_options(backbone)
    _check_fields(backbone)
    check_record(backbone, backbone.build)
    size = max(_SIZE_PX, 2 * backbone.min_size_px)  # two sizes are built: one alone might be built in
    try:
        backbone.build((size, size, 3), "no such file.h5", options)
    except Exception:  # noqa: BLE001, S110 - any refusal is right
        pass
    else:
        raise AssertionError(f"{name}: build took a weight file that is not there: load `weights`, or refuse them")
    model = _build(backbone, size)
    _check_shapes(backbone, model, size)
    x = np.random.default_rng(0).uniform(-1, 1, (1, size, size, 3)).astype(np.float32)
    first, second = (np.asarray(model(x, training=False)) for _ in range(2))
    assert first.dtype == np.float32, f"{name}: gives {first.dtype}, expected float32: end with a float32 layer"
    assert np.isfinite(first).all(), f"{name}: gives NaN or infinite features with random weights"
    assert np.array_equal(first, second), f"{name}: two runs differ: something random is active in inference"
    again = np.asarray(_build(backbone, size)(x, training=False))
    assert np.array_equal(first, again), (
        f"{name}: two builds with the same keras.utils.set_random_seed differ: leave random weights to Keras' "
        "initializers"
    )
    assert count_macs(trace(model)) != 0, f"{name}: has no convolution and no matrix product"
    worst = float(np.abs(through_tflite(name, model, x) - first).max()) / max(1.0, float(np.abs(first).max()))
    assert worst < _TOLERANCE, (
        f"{name}: its TFLite file differs from the Keras model by {worst:.1e} of the largest feature"
    )
    keras.backend.clear_session()
    try:
        smallest = _build(backbone, backbone.min_size_px)
    except Exception as error:
        raise AssertionError(
            f"{name}: cannot be built for pictures of min_size_px, {backbone.min_size_px}: raise it: "
            f"{type(error).__name__}: {error}"
        ) from error
    _check_shapes(backbone, smallest, backbone.min_size_px)
    assert min(smallest.output_shape[1:3]) >= 1, f"{name}: nothing is left of a picture of min_size_px: raise it"


def _check_fields(backbone: Backbone) -> None:
    name = backbone.name
    assert _SNAKE_CASE.fullmatch(name), f"{name!r}: expected a name in snake case, such as mobilenet_v2"
    assert backbone.licence.strip(), f"{name}: licence is empty: name that of the code, such as MIT"
    assert backbone.scaling in get_args(Scaling), (
        f"{name}: scaling {backbone.scaling!r}: expected one of {', '.join(get_args(Scaling))}"
    )
    assert backbone.n_features > 0, f"{name}: n_features {backbone.n_features}: expected the feature map's channels"
    assert backbone.min_size_px > 0, f"{name}: min_size_px {backbone.min_size_px}: expected pixels, 1 or more"


def _build(backbone: Backbone, size: int) -> Any:
    from dslite.model.keras import keras

    keras.utils.set_random_seed(0)
    return backbone.build((size, size, 3), None, default_options(backbone))


def _check_shapes(backbone: Backbone, model: Any, size: int) -> None:
    from dslite.model.keras import keras

    name = backbone.name
    assert isinstance(model, keras.Model), (
        f"{name}: build gave a {type(model)}: make the model with `from dslite.model.keras import keras`"
    )
    assert model.input_shape == (None, size, size, 3), f"{name}: input is {model.input_shape}: use input_shape"
    assert len(model.output_shape) == 4, (  # noqa: PLR2004 - (n, h, w, c)
        f"{name}: output is {model.output_shape}: build without classifier and without pooling"
    )
    assert model.output_shape[-1] == backbone.n_features, (
        f"{name}: gives {model.output_shape[-1]} features, its record says {backbone.n_features}: mend n_features"
    )
