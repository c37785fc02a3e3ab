"""How each layer is quantised in training: as the exported file will have it.

TFMOT's own way to quantise a model (`quantize_apply`) is not taken: it wants batch normalisation, knows no
normalisation behind a concatenation (DenseNet), and leaves the weights of a convolution without one unquantised where
an activation follows. Its wrappers, quantisers and schemes are. Imported when a model is trained, not with the plugin.
"""

from typing import Any

import tensorflow as tf
import tensorflow_model_optimization as tfmot

from dslite.model.keras import keras
from dslite.model.layers import ChannelAffine
from dslite_plugins.compressors.common import is_kernel_layer

_quantize: Any = tfmot.quantization.keras
_LAYERS_OF_ACTIVATIONS = (keras.layers.ReLU, keras.layers.Activation, keras.layers.LeakyReLU)
_FUSED = ("relu", "relu6")


class ChannelQuantizer(_quantize.quantizers.LastValueQuantizer):  # type: ignore[misc]
    """Rounds a kernel to 8 bits with a scale of its own for every output channel, as TFLite files have it.

    Attributes:
        depthwise: whether the kernel is ``(height, width, channels, multiplier)``, with its output channels in two
            dimensions; else they are the last.
    """

    def __init__(self, *, depthwise: bool) -> None:
        super().__init__(num_bits=8, per_axis=True, symmetric=True, narrow_range=True)
        self.depthwise = depthwise

    def build(self, tensor_shape: Any, name: str, layer: Any) -> dict[str, Any]:
        """Make the ends of the ranges, float32 ``(channels,)``."""
        shape, initial = (self._n_channels(tensor_shape),), keras.initializers.Constant
        return {
            "min_var": layer.add_weight(f"{name}_min", shape, initializer=initial(-6.0), trainable=False),
            "max_var": layer.add_weight(f"{name}_max", shape, initializer=initial(6.0), trainable=False),
        }

    def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
        """Give the kernel rounded, in its own shape."""
        flat = tf.reshape(inputs, (-1, self._n_channels(inputs.shape)))
        return tf.reshape(super().__call__(flat, training, weights, **kwargs), inputs.shape)

    def _n_channels(self, shape: Any) -> int:
        *_, before, last = (int(size) for size in shape)
        return before * last if self.depthwise else last


class LayerConfig(_quantize.QuantizeConfig):  # type: ignore[misc]
    """Quantises a layer's kernel, its output, or both."""

    def __init__(self, kernel: str | None, weight_quantizer: Any, *, output: bool) -> None:
        self.kernel, self.weight_quantizer, self.output = kernel, weight_quantizer, output

    def get_weights_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """Give the kernel and what quantises it."""
        return [(getattr(layer, self.kernel), self.weight_quantizer)] if self.kernel else []

    def get_activations_and_quantizers(self, layer: Any) -> list[tuple[Any, Any]]:
        """Give none: the output is quantised behind the activation."""
        del layer
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
        """Let the layer compute with the rounded kernel."""
        for kernel in quantize_weights:
            setattr(layer, str(self.kernel), kernel)

    def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
        """Do nothing: there are none."""
        del layer, quantize_activations

    def get_output_quantizers(self, layer: Any) -> list[Any]:
        """Give what quantises the output: its range is that of all values seen, as an exporter calibrates it.

        TFMOT's moving average begins at [-6, 6] and needs thousands of steps to leave it.
        """
        del layer
        all_values = _quantize.quantizers.AllValuesQuantizer
        return [all_values(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)] if self.output else []

    def get_config(self) -> dict[str, Any]:
        """Give what it takes to build it again."""
        return {"kernel": self.kernel, "weight_quantizer": self.weight_quantizer, "output": self.output}


def config_for(layer: Any, *, sparse: bool, clustered: bool) -> LayerConfig | None:
    """Give how a layer of the folded model is quantised; None for one that has neither a kernel nor its own range.

    Zeros in kernels stay such where it is `sparse`, values that weights share stay shared where it is `clustered`.
    """
    is_depthwise = type(layer) is keras.layers.DepthwiseConv2D
    if is_depthwise or is_kernel_layer(layer):
        keeps = _keeping(layer, sparse=sparse, clustered=clustered) or ChannelQuantizer(depthwise=is_depthwise)
        return LayerConfig("depthwise_kernel" if is_depthwise else "kernel", keeps, output=not _is_fused(layer))
    if isinstance(layer, keras.layers.Activation) and layer.activation is keras.activations.linear:
        return None
    kinds = (*_LAYERS_OF_ACTIVATIONS, keras.layers.Add, keras.layers.Multiply, keras.layers.Concatenate, ChannelAffine)
    return LayerConfig(None, None, output=not _is_fused(layer)) if isinstance(layer, kinds) else None


def _keeping(layer: Any, *, sparse: bool, clustered: bool) -> Any:
    """Give TFMOT's quantiser that keeps zeros or shared values of a kernel; None where neither is wanted."""
    combine = tfmot.experimental.combine
    if isinstance(layer, keras.layers.DepthwiseConv2D) or not (sparse or clustered):
        return None
    if clustered:
        scheme = combine.Default8BitClusterPreserveQuantizeScheme(preserve_sparsity=sparse)
    else:
        scheme = combine.Default8BitPrunePreserveQuantizeScheme()
    # Of a dense layer TFMOT's has one scale; files have one for every output, as for a convolution's channels.
    like = keras.layers.Conv2D(1, 1)
    like.build((None, 1, 1, 1))
    return scheme.get_quantize_registry().get_quantize_config(like).weight_quantizer


def _is_fused(layer: Any) -> bool:
    """Tell whether TFLite computes a layer in one step with the activation behind it, so that only that is rounded."""
    if len(layer.outbound_nodes) != 1 or isinstance(layer, (keras.layers.Concatenate, *_LAYERS_OF_ACTIVATIONS)):
        return False
    after = layer.outbound_nodes[0].outbound_layer
    if isinstance(after, keras.layers.Activation):
        return after.activation.__name__ in _FUSED
    return isinstance(after, keras.layers.ReLU)
