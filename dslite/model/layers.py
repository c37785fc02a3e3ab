"""dslite's own Keras layers. They are registered, so a saved model loads without naming them."""

from typing import Any, get_args

import tensorflow as tf

from dslite.audio.frontend import picture
from dslite.codec import from_json, to_json
from dslite.model.keras import keras
from dslite.recipe import FrontendSpec
from dslite.records import Scaling

register = keras.saving.register_keras_serializable(package="dslite")


@register
class AReLU(keras.layers.Layer):  # type: ignore[misc]
    """Attention-based rectified linear unit with two learned scalars.

    ``f(x) = (1 + sigmoid(beta)) x`` for x >= 0 and ``clip(alpha, 0.01, 0.99) x`` for x < 0, alpha first 0.9 and
    beta 2.0. Source: D. Chen, J. Li, K. Xu, "AReLU: Attention-based Rectified Linear Unit", 2020, equation 3.
    """

    def build(self, input_shape: Any) -> None:
        """Make the two scalars."""
        constant = keras.initializers.Constant
        self.alpha = self.add_weight(name="alpha", shape=(), initializer=constant(0.9))
        self.beta = self.add_weight(name="beta", shape=(), initializer=constant(2.0))
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        """Apply it: float32 of any shape, the same shape out."""
        # The gain is above 1 and the slope below, so the larger product is the right branch on either side of 0. With a
        # sum of two branches the TFLite converter computes the layer before twice.
        gain, slope = 1.0 + tf.sigmoid(self.beta), tf.clip_by_value(self.alpha, 0.01, 0.99)
        return tf.maximum(gain * x, slope * x)


@register
class ChannelAffine(keras.layers.Layer):  # type: ignore[misc]
    """What is left of batch normalisation in inference: ``scale x + offset``, with one of each a channel."""

    def build(self, input_shape: Any) -> None:
        """Make scale and offset, float32 ``(channels,)``."""
        self.scale = self.add_weight(name="scale", shape=input_shape[-1:], initializer="ones")
        self.offset = self.add_weight(name="offset", shape=input_shape[-1:], initializer="zeros")
        super().build(input_shape)

    def call(self, x: Any) -> Any:
        """Apply it: float32 ``(..., channels)``, the same shape out."""
        return x * self.scale + self.offset


@register
class ImageNetScaling(keras.layers.Layer):  # type: ignore[misc]
    """Scale RGB pictures of range [0, 255] as a backbone's ImageNet weights want them.

    ``torch``: to [0, 1], then minus mean and divided by standard deviation of ImageNet; ``tf``: to [-1, 1];
    ``caffe``: BGR minus ImageNet's mean; ``none``: unchanged. Equals
    ``keras.applications.imagenet_utils.preprocess_input``.
    """

    def __init__(self, mode: Scaling, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if mode not in get_args(Scaling):
            raise ValueError(f"scaling: expected one of {', '.join(get_args(Scaling))}, got {mode!r}")
        self.mode = mode

    def call(self, x: Any) -> Any:
        """Scale float32 ``(n, height, width, 3)``."""
        if self.mode == "torch":
            return (x / 255.0 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
        if self.mode == "tf":
            return x / 127.5 - 1.0
        if self.mode == "caffe":
            return tf.reverse(x, axis=[-1]) - [103.939, 116.779, 123.68]
        return x

    def get_config(self) -> dict[str, Any]:
        """Give what it takes to build it again."""
        return {**super().get_config(), "mode": self.mode}


@register
class SpectrogramPicture(keras.layers.Layer):  # type: ignore[misc]
    """The spectrogram front end as a layer without weights; see `dslite.audio.frontend.picture`."""

    def __init__(self, spec: FrontendSpec | dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.spec = spec if isinstance(spec, FrontendSpec) else from_json(FrontendSpec, spec)

    def call(self, audio: Any) -> Any:
        """Turn float32 ``(n, samples)`` into float32 ``(n, size_px, size_px, 3)`` in [0, 255]."""
        return picture(audio, self.spec)

    def get_config(self) -> dict[str, Any]:
        """Give what it takes to build it again."""
        return {**super().get_config(), "spec": to_json(self.spec)}
