"""The image model in the two pieces that training needs apart: the backbone with its pooling, and the head.

In training the backbone runs as in inference: batch normalisation keeps the statistics it came with, as the data sets
are small (section 2.1 of the paper trains a part of the layers only). Dropout is drawn from a seed, so that a training
that was stopped goes on as if it had not been.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from dslite.audio.frontend import coloured
from dslite.learn.pictures import Pictures
from dslite.model.keras import keras
from dslite.model.surgery import backbone_of
from dslite.recipe import FrontendSpec

PREDICTED_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class Network:
    """A model from `dslite.model.assembly.build_cnn`, taken apart; both share its weights.

    Attributes:
        cnn: the model.
        extractor: pictures in [0, 255], float32 ``(n, size, size, 3)``, to pooled features, float32 ``(n, d)``.
        hidden: the hidden layer, or a compressor's wrapper around it.
        frontend: how levels become pictures.
        training: whether extractor and hidden layer learn in training mode, as wrappers of compressors want it.
    """

    cnn: Any
    extractor: Any
    hidden: Any
    frontend: FrontendSpec
    training: bool = False

    def features(self, levels: Any) -> Any:
        """Give pooled features, float32 ``(n, d)``, of levels, uint8 ``(n, n_mels, frames)``."""
        return self.extractor(coloured(levels, self.frontend), training=False)

    def head(self, features: Any, dropout_seed: Any | None = None) -> Any:
        """Give what the output layer has before its activation, float32 ``(n, k)``, of features ``(n, d)``.

        Args:
            features: from the extractor.
            dropout_seed: int32 ``(2,)``; without one nothing is dropped, as in inference.
        """
        learns = self.training and "training" in inspect.signature(self.hidden.call).parameters
        hidden = self.hidden(features, training=dropout_seed is not None) if learns else self.hidden(features)
        hidden = self.cnn.get_layer("arelu")(hidden)
        rate = self.cnn.get_layer("dropout").rate
        if dropout_seed is not None and rate:
            hidden = tf.nn.experimental.stateless_dropout(hidden, rate, dropout_seed, rng_alg="auto_select")
        output = self.cnn.get_layer("output")
        return tf.matmul(hidden, output.kernel) + output.bias

    def activated(self, logits: Any) -> Any:
        """Give probabilities, or values of a regression, of what `head` gives."""
        return self.cnn.get_layer("output").activation(logits)

    def head_weights(self) -> list[Any]:
        """Give the variables of the head."""
        layers = [self.hidden, *(self.cnn.get_layer(name) for name in ("arelu", "output"))]
        return [weight for layer in layers for weight in layer.trainable_weights]

    def last_weights(self, n_layers: int) -> list[Any]:
        """Give the variables that learn in the backbone's last so many layers; 0 gives none."""
        layers = backbone_of(self.cnn).layers
        return [weight for layer in layers[max(0, len(layers) - n_layers) :] for weight in layer.trainable_weights]


def take_apart(cnn: Any, frontend: FrontendSpec, *, training: bool = False) -> Network:
    """Take a model from `dslite.model.assembly.build_cnn` apart."""
    extractor = keras.Model(cnn.input, cnn.get_layer("pooling").output)
    (hidden,) = (layer for layer in cnn.layers if layer.name.endswith("hidden"))
    return Network(cnn, extractor, hidden, frontend, training)


def any_number_of(rows: npt.NDArray[Any]) -> Any:
    """Describe rows like those of an array, to compile a function once, whatever their number."""
    return tf.TensorSpec((None, *rows.shape[1:]), rows.dtype)


def in_batches(function: Any, rows: npt.NDArray[Any], chosen: npt.NDArray[np.int64], tell: Any) -> npt.NDArray[Any]:
    """Run a function over chosen rows, so many at once, and put the results together.

    Args:
        function: of an array ``(n, ...)``, giving a tensor ``(n, k)``.
        rows: the array; may be mapped from disk.
        chosen: indices, in the order of the result; one or more.
        tell: told what is done and the fraction done.
    """
    made = []
    for start in range(0, len(chosen), PREDICTED_AT_ONCE):
        tell(f"{start} of {len(chosen)} chunks", start / len(chosen))
        made.append(np.asarray(function(rows[chosen[start : start + PREDICTED_AT_ONCE]])))
    return np.concatenate(made)


def predict(network: Network, pictures: Pictures, chosen: npt.NDArray[np.int64], tell: Any) -> npt.NDArray[np.float32]:
    """Give probabilities, or values of a regression, for chosen chunks, float32 ``(n, k)``."""

    def outputs(levels: Any) -> Any:
        return network.activated(network.head(network.features(levels)))

    compiled = tf.function(outputs, [any_number_of(pictures.levels)])
    return in_batches(compiled, pictures.levels, chosen, tell)
