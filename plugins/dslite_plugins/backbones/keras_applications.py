"""Backbones of keras.applications.

Origin: F. Chollet et al., Keras Applications (Apache-2.0), https://keras.io/api/applications/. Built without
classifier and pooling; ImageNet weights are those Keras names, checked by its hash, kept in its cache.
"""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from dslite import hookimpl
from dslite.errors import SpecError
from dslite.records import Backbone, Option, Options, Scaling

_MIN_ALPHA, _MAX_ALPHA = 0.05, 4.0
"""Below, MobileNet has layers of no filters; above, layers of gigabytes."""


def _application(
    name: str,
    function: str,
    scaling: Scaling,
    n_features: int,
    min_size_px: int,
    source: str,
    imagenet_alphas: tuple[float, ...] = (),
    **arguments: Any,
) -> Backbone:
    """Describe a function of ``keras.applications``; `imagenet_alphas` is empty where its width cannot be chosen."""
    alpha = Option(
        "alpha", 1.0, f"Width: filters of each layer, as a factor; ImageNet weights: {_listed(imagenet_alphas)}."
    )
    return Backbone(
        name=name,
        build=partial(_build, name, function, imagenet_alphas, arguments),
        scaling=scaling,
        n_features=n_features,
        min_size_px=min_size_px,
        licence="Apache-2.0",
        source=source,
        options=(alpha,) if imagenet_alphas else (),
    )


def _listed(alphas: tuple[float, ...]) -> str:
    return ", ".join(f"{alpha:g}" for alpha in alphas)


def _build(
    name: str,
    function: str,
    imagenet_alphas: tuple[float, ...],
    arguments: dict[str, Any],
    input_shape: tuple[int, int, int],
    weights: str | None,
    options: Options,
) -> Any:
    if imagenet_alphas:
        alpha = float(options["alpha"])
        _check_alpha(name, alpha, imagenet_alphas, weights)
        arguments = {**arguments, "alpha": alpha}
    from dslite.model.keras import keras
    from dslite.model.weights import check, fetch, keras_downloads, load

    build = partial(getattr(keras.applications, function), include_top=False, input_shape=input_shape, **arguments)
    if weights == "imagenet":
        with keras_downloads(fetch):
            return build(weights="imagenet")
    if weights is None:
        return build(weights=None)
    check(weights)
    model = build(weights=None)
    load(model, weights, f"{name}:alpha={alpha}" if imagenet_alphas else name)
    if function == "EfficientNetB0":
        # Only for "imagenet" does Keras add a layer that its files need: the file, now checked, goes in as that.
        with keras_downloads(lambda *_: Path(weights)):
            return build(weights="imagenet")
    return model


def _check_alpha(name: str, alpha: float, imagenet_alphas: tuple[float, ...], weights: str | None) -> None:
    if not _MIN_ALPHA <= alpha <= _MAX_ALPHA:
        raise SpecError(f"{name}:alpha: expected a width of {_MIN_ALPHA} to {_MAX_ALPHA:g}, got {alpha:g}")
    if weights == "imagenet" and alpha not in imagenet_alphas:
        raise SpecError(
            f"{name}:alpha: ImageNet weights are there for {_listed(imagenet_alphas)}, got {alpha:g}: take one of "
            "these, or --weights none, or a file of your own"
        )


_VGG = "https://arxiv.org/abs/1409.1556"
_DENSENET = "https://arxiv.org/abs/1608.06993"
_NASNET = "https://arxiv.org/abs/1707.07012"
_MOBILENET_V3 = "https://arxiv.org/abs/1905.02244"
_V1_ALPHAS, _V2_ALPHAS, _V3_ALPHAS = (0.25, 0.5, 0.75, 1.0), (0.35, 0.5, 0.75, 1.0, 1.3, 1.4), (0.75, 1.0)


@hookimpl
def dslite_backbones() -> Iterable[Backbone]:
    """Give the backbones, each with the scaling that its ImageNet weights want: dslite scales, none of them does."""
    return [
        _application("vgg16", "VGG16", "caffe", 512, 32, _VGG),
        _application("vgg19", "VGG19", "caffe", 512, 32, _VGG),
        _application("resnet50", "ResNet50", "caffe", 2048, 32, "https://arxiv.org/abs/1512.03385"),
        _application("xception", "Xception", "tf", 2048, 71, "https://arxiv.org/abs/1610.02357"),
        _application("inception_v3", "InceptionV3", "tf", 2048, 75, "https://arxiv.org/abs/1512.00567"),
        _application("inception_resnet_v2", "InceptionResNetV2", "tf", 1536, 75, "https://arxiv.org/abs/1602.07261"),
        _application("densenet121", "DenseNet121", "torch", 1024, 32, _DENSENET),
        _application("densenet169", "DenseNet169", "torch", 1664, 32, _DENSENET),
        _application("densenet201", "DenseNet201", "torch", 1920, 32, _DENSENET),
        _application("mobilenet", "MobileNet", "tf", 1024, 32, "https://arxiv.org/abs/1704.04861", _V1_ALPHAS),
        _application("mobilenet_v2", "MobileNetV2", "tf", 1280, 32, "https://arxiv.org/abs/1801.04381", _V2_ALPHAS),
        _application("nasnet_large", "NASNetLarge", "tf", 4032, 32, _NASNET),
        _application("nasnet_mobile", "NASNetMobile", "tf", 1056, 32, _NASNET),
        _application(
            "mobilenet_v3_small",
            "MobileNetV3Small",
            "tf",
            576,
            32,
            _MOBILENET_V3,
            _V3_ALPHAS,
            include_preprocessing=False,
        ),
        _application(
            "mobilenet_v3_large",
            "MobileNetV3Large",
            "tf",
            960,
            32,
            _MOBILENET_V3,
            _V3_ALPHAS,
            include_preprocessing=False,
        ),
        # But for this one, whatever it is asked for.
        _application("efficientnet_b0", "EfficientNetB0", "none", 1280, 32, "https://arxiv.org/abs/1905.11946"),
        _application(
            "efficientnet_v2_b0",
            "EfficientNetV2B0",
            "torch",
            1280,
            32,
            "https://arxiv.org/abs/2104.00298",
            include_preprocessing=False,
        ),
    ]
