import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dslite_squeezenext
from dslite.errors import ModelFileError, SpecError
from dslite.model.graph import count_macs, trace
from dslite.records import Backbone
from dslite.testing import check_backbone

# Parameters of the network with its 1000-class layer, and "FLOPs/2" of a 224 px picture: imgclsmob, an implementation
# independent of the authors', https://github.com/osmr/imgclsmob, pytorch/README.md and the assertions in
# pytorch/pytorchcv/models/squeezenext.py (sqnxt23_w1, sqnxt23_w3d2, sqnxt23_w2; the table has no FLOPs of the last).
PUBLISHED: Mapping[float, tuple[int, float | None]] = {
    1.0: (724_056, 287.28e6),
    1.5: (1_511_824, 552.39e6),
    2.0: (2_583_752, None),
}
MACS = 275_792_640  # of this backbone at width 1 and 224 px; the test below leads from it to the published 287.28e6


def squeezenext() -> Backbone:
    (backbone,) = dslite_squeezenext.dslite_backbones()
    return backbone


def built(width: float = 1.0, size_px: int = 224, weights: str | None = None) -> Any:
    return squeezenext().build((size_px, size_px, 3), weights, {"width": width})


def outputs(model: Any, kind: str) -> int:
    """Add up the values that all layers of a kind give for one picture."""
    return sum(math.prod(layer.output_shape[1:]) for layer in model.layers if type(layer).__name__ == kind)


def test_it_keeps_the_contract_of_a_backbone() -> None:
    check_backbone(squeezenext())


@pytest.mark.parametrize("width", PUBLISHED)
def test_parameters_are_the_published_ones(width: float) -> None:
    model = built(width)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    # imgclsmob gives each convolution a bias that the authors' network has not; the top has weights and biases.
    biases = sum(layer.filters for layer in model.layers if type(layer).__name__ == "Conv2D")
    top = model.output_shape[-1] * 1000 + 1000
    assert trainable + biases + top == PUBLISHED[width][0]


@pytest.mark.parametrize("width", [width for width, (_, flops) in PUBLISHED.items() if flops])
def test_macs_lead_to_the_published_operations(width: float) -> None:
    model = built(width)
    macs = count_macs(trace(model))
    if width == 1.0:
        assert macs == MACS
    # imgclsmob counts, beside two operations a MAC: 4 a value for batch normalisation, 1 for each ReLU, 9 for the
    # 3 x 3 pooling, 49 for the 7 x 7 one, and the 1000-class layer (gluon/model_stats.py); then it halves the sum.
    features = model.output_shape[-1]
    normalised = outputs(model, "BatchNormalization")
    other = 4 * normalised + outputs(model, "ReLU") + 9 * outputs(model, "MaxPooling2D") + 49 * features
    assert (2 * (macs + 1000 * features) + other) / 2 == pytest.approx(PUBLISHED[width][1], abs=0.005e6)


def test_the_maps_have_the_sizes_of_the_authors_network() -> None:
    model = built()
    sizes = [layer.output_shape[1] for layer in model.layers if type(layer).__name__ in ("MaxPooling2D", "Add")]
    assert sizes == [55] * 7 + [28] * 6 + [14] * 8 + [7]
    assert built(size_px=32).output_shape == (None, 1, 1, 128)


def test_separable_convolutions_take_turns_in_who_comes_first() -> None:
    sizes = [layer.kernel_size for layer in built(size_px=32).layers if type(layer).__name__ == "Conv2D"]
    turns = [size for size in sizes if size in ((3, 1), (1, 3))]
    assert turns == ([(3, 1), (1, 3), (1, 3), (3, 1)] * 11)[: 2 * 21]


def test_weights_come_back_from_a_file(tmp_path: Path) -> None:
    path = str(tmp_path / "squeezenext.weights.h5")
    first = built(0.5, 32)
    first.save_weights(path)
    again = built(0.5, 32, path)
    assert all(np.array_equal(a, b) for a, b in zip(first.get_weights(), again.get_weights(), strict=True))


@pytest.mark.parametrize(
    ("width", "weights", "error", "message"),
    [
        (1.0, "imagenet", SpecError, "squeezenext has no imagenet weights: take --weights none, or the path"),
        (1.0, "lost.h5", ModelFileError, "expects a Keras weight file, got lost.h5: there is no such file"),
        (0.3, None, SpecError, "width expects a multiple of 0.125 above 0 and up to 8, got 0.3"),
        (0.0, None, SpecError, "width expects a multiple of 0.125 above 0 and up to 8, got 0"),
        (math.nan, None, SpecError, "width expects a multiple of 0.125 above 0 and up to 8, got nan"),
    ],
)
def test_what_it_cannot_do_it_says(width: float, weights: str | None, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        built(width, 32, weights)
