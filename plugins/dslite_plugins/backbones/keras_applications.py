"""Backbones of keras.applications.

Origin: F. Chollet et al., Keras Applications (Apache-2.0), https://keras.io/api/applications/. Built without
classifier and pooling; ImageNet weights are those Keras names, checked by its hash, kept in its cache.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from dslite import hookimpl
from dslite.errors import SpecError
from dslite.records import Backbone, Option, Options, Scaling

_MIN_ALPHA, _MAX_ALPHA = 0.05, 4.0
"""Below, MobileNet has layers of no filters; above, layers of gigabytes."""


@dataclass(frozen=True, slots=True)
class _Application:
    """One line of the table: where Keras keeps it and what its publication is.

    Attributes:
        function: of ``keras.applications``.
        scaling: how its ImageNet weights want their pictures.
        n_features: with default options.
        min_size_px: that Keras accepts.
        source: its publication.
        imagenet_alphas: widths that Keras has ImageNet weights for; empty where the width cannot be chosen.
        arguments: further ones for the function.
    """

    function: str
    scaling: Scaling
    n_features: int
    min_size_px: int
    source: str
    imagenet_alphas: tuple[float, ...] = ()
    arguments: Mapping[str, Any] = field(default_factory=dict)


_VGG = "https://arxiv.org/abs/1409.1556"
_DENSENET = "https://arxiv.org/abs/1608.06993"
_NASNET = "https://arxiv.org/abs/1707.07012"
_MOBILENET_V3 = "https://arxiv.org/abs/1905.02244"
_V1_ALPHAS, _V2_ALPHAS, _V3_ALPHAS = (0.25, 0.5, 0.75, 1.0), (0.35, 0.5, 0.75, 1.0, 1.3, 1.4), (0.75, 1.0)
_UNSCALED = {"include_preprocessing": False}  # dslite scales, so that one place does it for all

_TABLE = {
    "vgg16": _Application("VGG16", "caffe", 512, 32, _VGG),
    "vgg19": _Application("VGG19", "caffe", 512, 32, _VGG),
    "resnet50": _Application("ResNet50", "caffe", 2048, 32, "https://arxiv.org/abs/1512.03385"),
    "xception": _Application("Xception", "tf", 2048, 71, "https://arxiv.org/abs/1610.02357"),
    "inception_v3": _Application("InceptionV3", "tf", 2048, 75, "https://arxiv.org/abs/1512.00567"),
    "inception_resnet_v2": _Application("InceptionResNetV2", "tf", 1536, 75, "https://arxiv.org/abs/1602.07261"),
    "densenet121": _Application("DenseNet121", "torch", 1024, 32, _DENSENET),
    "densenet169": _Application("DenseNet169", "torch", 1664, 32, _DENSENET),
    "densenet201": _Application("DenseNet201", "torch", 1920, 32, _DENSENET),
    "mobilenet": _Application("MobileNet", "tf", 1024, 32, "https://arxiv.org/abs/1704.04861", _V1_ALPHAS),
    "mobilenet_v2": _Application("MobileNetV2", "tf", 1280, 32, "https://arxiv.org/abs/1801.04381", _V2_ALPHAS),
    "nasnet_large": _Application("NASNetLarge", "tf", 4032, 32, _NASNET),
    "nasnet_mobile": _Application("NASNetMobile", "tf", 1056, 32, _NASNET),
    "mobilenet_v3_small": _Application("MobileNetV3Small", "tf", 576, 32, _MOBILENET_V3, _V3_ALPHAS, _UNSCALED),
    "mobilenet_v3_large": _Application("MobileNetV3Large", "tf", 960, 32, _MOBILENET_V3, _V3_ALPHAS, _UNSCALED),
    # Scales inside, whatever it is asked for.
    "efficientnet_b0": _Application("EfficientNetB0", "none", 1280, 32, "https://arxiv.org/abs/1905.11946"),
    "efficientnet_v2_b0": _Application(
        "EfficientNetV2B0", "torch", 1280, 32, "https://arxiv.org/abs/2104.00298", arguments=_UNSCALED
    ),
}


def _build(name: str, input_shape: tuple[int, int, int], weights: str | None, options: Options) -> Any:
    line = _TABLE[name]
    arguments = dict(line.arguments)
    if line.imagenet_alphas:
        arguments["alpha"] = _checked_alpha(name, float(options["alpha"]), weights)
    from dslite.model.keras import keras
    from dslite.model.weights import check, fetch, keras_downloads, load

    build = partial(getattr(keras.applications, line.function), include_top=False, input_shape=input_shape, **arguments)
    if weights == "imagenet":
        with keras_downloads(fetch):
            return build(weights="imagenet")
    if weights is None:
        return build(weights=None)
    check(weights)
    model = build(weights=None)
    load(model, weights, ":alpha=".join([name, *(str(a) for k, a in arguments.items() if k == "alpha")]))
    if line.function == "EfficientNetB0":
        # Only for "imagenet" does Keras add a layer that its files need: the file, now checked, goes in as that.
        with keras_downloads(lambda *_: Path(weights)):
            return build(weights="imagenet")
    return model


def _checked_alpha(name: str, alpha: float, weights: str | None) -> float:
    if not _MIN_ALPHA <= alpha <= _MAX_ALPHA:
        raise SpecError(f"{name}:alpha: expected a width of {_MIN_ALPHA} to {_MAX_ALPHA:g}, got {alpha:g}")
    known = _TABLE[name].imagenet_alphas
    if weights == "imagenet" and alpha not in known:
        offers = ", ".join(f"{a:g}" for a in known)
        raise SpecError(
            f"{name}:alpha: ImageNet weights are there for {offers}, got {alpha:g}: take one of these, "
            "or --weights none, or a file of your own"
        )
    return alpha


def _alpha(line: _Application) -> Option:
    offers = ", ".join(f"{a:g}" for a in line.imagenet_alphas)
    return Option("alpha", 1.0, f"Width: filters of each layer, as a factor; ImageNet weights: {offers}.")


@hookimpl
def dslite_backbones() -> Iterable[Backbone]:
    """Give the backbones of the table."""
    return [
        Backbone(
            name=name,
            build=partial(_build, name),
            scaling=line.scaling,
            n_features=line.n_features,
            min_size_px=line.min_size_px,
            licence="Apache-2.0",
            source=line.source,
            options=(_alpha(line),) if line.imagenet_alphas else (),
        )
        for name, line in _TABLE.items()
    ]
