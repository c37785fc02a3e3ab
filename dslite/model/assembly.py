"""Put a system together: front end, scaling, backbone, pooling, head."""

from typing import Any

from dslite.errors import DsliteError, ExportError, PluginError, SpecError, in_words
from dslite.model.keras import keras
from dslite.model.layers import AReLU, ImageNetScaling, SpectrogramPicture
from dslite.recipe import HeadSpec, Recipe
from dslite.records import Backbone, Options, Part

_OFFLINE = "; a local weight file and random weights (none) need no download"


def build_cnn(
    backbone: Backbone, options: Options, size_px: int, head: HeadSpec, n_outputs: int, weights: str | None
) -> Any:
    """Build the image model: scaling, backbone, global average pooling, hidden layer with AReLU, dropout, output.

    Args:
        backbone: the plugin's record.
        options: of the backbone, complete.
        size_px: height and width of the pictures.
        head: hidden units, dropout, kind of output.
        n_outputs: classes, or values of a regression.
        weights: None for random ones, ``imagenet``, or the path of a weight file.

    Returns:
        A Keras model named ``cnn``, float32 ``(n, size_px, size_px, 3)`` in [0, 255] to float32
        ``(n, n_outputs)``: probabilities for softmax.

    Raises:
        SpecError: where the pictures are too small for the backbone, or there is no output.
        PluginError: where the backbone does not give the feature map it promises.
    """
    if size_px < backbone.min_size_px:
        raise SpecError(f"{backbone.name} needs pictures of at least {backbone.min_size_px} px, got {size_px}")
    if n_outputs < 1 or (head.output == "softmax" and n_outputs < 2):  # noqa: PLR2004 - two classes
        raise SpecError(f"expected at least two classes, or one value of a regression, got {n_outputs}")
    base = _build(backbone, size_px, weights, options)
    _check_backbone(backbone, base, size_px, with_defaults=all(options[o.name] == o.default for o in backbone.options))
    image = keras.Input((size_px, size_px, 3), name="image")
    x = ImageNetScaling(backbone.scaling, name="scaling")(image)
    x = keras.layers.GlobalAveragePooling2D(name="pooling")(base(x))
    x = AReLU(name="arelu")(keras.layers.Dense(head.n_hidden, name="hidden")(x))
    x = keras.layers.Dropout(head.dropout, name="dropout")(x)
    x = keras.layers.Dense(n_outputs, activation=head.output, name="output")(x)
    return keras.Model(image, x, name="cnn")


def _build(backbone: Backbone, size_px: int, weights: str | None, options: Options) -> Any:
    try:
        return backbone.build((size_px, size_px, 3), weights, options)
    except DsliteError:
        raise
    except Exception as error:
        raise ExportError(
            f"backbone {backbone.name} could not be built{f' with weights {weights}' if weights else ''}: "
            f"{in_words(error)}{_OFFLINE if weights == 'imagenet' else ''}"
        ) from error


def _check_backbone(backbone: Backbone, base: Any, size_px: int, *, with_defaults: bool) -> None:
    if not isinstance(base, keras.Model):
        raise PluginError(
            f"backbone {backbone.name}: build must return a tf_keras.Model, got {type(base).__module__}."
            f"{type(base).__name__}: import Keras with `from dslite.model.keras import keras`"
        )
    shape = tuple(base.output_shape)
    if tuple(base.input_shape) != (None, size_px, size_px, 3):
        raise PluginError(
            f"backbone {backbone.name}: expected a model of pictures (None, {size_px}, {size_px}, 3), "
            f"got one of {base.input_shape}: make its input with input_shape"
        )
    if len(shape) != 4:  # noqa: PLR2004 - (n, h, w, c)
        raise PluginError(
            f"backbone {backbone.name}: expected a feature map (None, h, w, channels), got {shape}: "
            "build without its classifier and without pooling"
        )
    if with_defaults and shape[-1] != backbone.n_features:
        raise PluginError(
            f"backbone {backbone.name}: its record says n_features={backbone.n_features}, "
            f"build gives {shape[-1]}: mend the record"
        )


def build_part(part: Part, recipe: Recipe, cnn: Any | None) -> Any:
    """Give the part of the system that is to be exported, as a Keras model of its own.

    ``cnn`` gives `cnn` itself, from `build_cnn`, which ``frontend`` needs not; audio goes in as float32
    ``(n, samples)`` of one chunk's length.
    """
    if part == "cnn":
        return cnn
    audio = keras.Input((recipe.chunk_samples,), name="audio")
    image = SpectrogramPicture(recipe.frontend, name="frontend")(audio)
    return keras.Model(audio, image if part == "frontend" or cnn is None else cnn(image), name=part)
