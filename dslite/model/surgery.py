"""Change the graph of a Keras model: replace layers, take layers out, fold batch normalisation into convolutions.

For compressors: what runs on a phone has no batch normalisation left, so that is what they should work on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from dslite.errors import ExportError
from dslite.model.keras import keras
from dslite.model.layers import ChannelAffine

PARTS = ("scaling", "pooling", "hidden", "arelu", "dropout", "output")
"""Layers of an image model besides its backbone: the training loop and other compressors look for them."""


def backbone_of(cnn: Any) -> Any:
    """Give the backbone inside an image model from `dslite.model.assembly.build_cnn`."""
    (backbone,) = (layer for layer in cnn.layers if isinstance(layer, keras.Model))
    return backbone


def missing_parts(cnn: Any) -> list[str]:
    """Name the parts of an image model from `dslite.model.assembly.build_cnn` that a model has not, if any."""
    names = {layer.name for layer in cnn.layers}
    missing = [name for name in PARTS if name not in names]
    n_models = sum(isinstance(layer, keras.Model) for layer in cnn.layers)
    return [*missing, *(["the backbone as a model inside"] if n_models != 1 else [])]


def rebuilt(model: Any, replacements: Mapping[str, Any]) -> Any:
    """Build a functional model again with some of its layers replaced.

    Args:
        model: a functional Keras model in which no layer is used twice.
        replacements: by the name of a layer, what comes in its place: a layer or model that was not called yet, a
            function of tensors that calls such, or None to take it out, which only a layer with one input can be. They
            keep the weights they bring along, if any.

    Returns:
        A new model; layers that are not replaced are copies with the same names and weights.

    Raises:
        ExportError: where a layer is used twice.
    """
    known = {id(tensor): keras.Input(tensor.shape[1:], name=tensor.node.layer.name) for tensor in model.inputs}
    inputs = list(known.values())
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if len(layer.inbound_nodes) != 1:
            raise ExportError(
                f"layer {layer.name} of {model.name} is used {len(layer.inbound_nodes)} times, expected 1"
            )
        (node,) = layer.inbound_nodes
        args, kwargs = tf.nest.map_structure(
            lambda tensor: known.get(id(tensor), tensor), (node.call_args, node.call_kwargs)
        )
        if layer.name in replacements:
            new = replacements[layer.name]
            result = args[0] if new is None else new(*args, **kwargs)
        else:
            new = copied(layer)
            result = new(*args, **kwargs)
            new.set_weights(layer.get_weights())
        for old, made in zip(tf.nest.flatten(node.outputs), tf.nest.flatten(result), strict=True):
            known[id(old)] = made
    outputs = tf.nest.map_structure(lambda tensor: known[id(tensor)], model.output)
    return keras.Model(inputs if len(inputs) > 1 else inputs[0], outputs, name=model.name)


def copied(layer: Any, **changes: Any) -> Any:
    """Copy a layer, without its weights, some settings of its configuration changed."""
    if isinstance(layer, keras.Model):
        return keras.models.clone_model(layer)
    return type(layer).from_config({**layer.get_config(), **changes})


# -- as it runs on a phone ----------------------------------------------------------------------------


def folded(cnn: Any) -> Any:
    """Give a new image model that computes the same with the layers that run on a phone.

    A separable convolution becomes a depthwise and a pointwise one, as TFLite has them. Batch normalisation behind a
    convolution or a dense layer whose output nothing else reads is folded into kernel and bias; elsewhere (DenseNet has
    it behind concatenations) it becomes `dslite.model.layers.ChannelAffine`. Nothing is shared with `cnn`, a model from
    `dslite.model.assembly.build_cnn`.

    Raises:
        ExportError: where the backbone has a model inside, or uses a layer twice.
    """
    backbone = _split(backbone_of(cnn))
    replacements: dict[str, Any] = {}
    weights: dict[str, list[Any]] = {}
    for layer in backbone.layers:
        if not isinstance(layer, keras.layers.BatchNormalization):
            continue
        scale, offset = _affine(layer)
        before = layer.inbound_nodes[0].inbound_layers
        if _folds_into(before, layer):
            replacements[layer.name] = None
            replacements[before.name] = copied(before, use_bias=True)
            *kernels, last = [weight.numpy() for weight in before.weights if weight is not before.bias]
            bias = before.bias.numpy() if before.use_bias else 0.0
            is_depthwise = isinstance(before, keras.layers.DepthwiseConv2D)  # (height, width, channels, multiplier)
            factor = scale.reshape(last.shape[2:]) if is_depthwise else scale
            weights[before.name] = [*kernels, last * factor, bias * scale + offset]
        else:
            replacements[layer.name] = ChannelAffine(name=layer.name)
            weights[layer.name] = [scale, offset]
    return with_backbone(cnn, set_weights(rebuilt(backbone, replacements), weights))


def _split(backbone: Any) -> Any:
    """Make two layers of each separable convolution; the second, which is a plain one, has its name."""
    replacements: dict[str, Any] = {}
    weights: dict[str, list[Any]] = {}
    for layer in backbone.layers:
        if isinstance(layer, keras.Model):
            raise ExportError(
                f"backbone {backbone.name}: expected layers, got a model inside, {layer.name}: what is in it cannot be "
                "compressed; call its layers in the backbone itself"
            )
        if type(layer) is keras.layers.SeparableConv2D:
            first = keras.layers.DepthwiseConv2D(
                layer.kernel_size,
                strides=layer.strides,
                padding=layer.padding,
                dilation_rate=layer.dilation_rate,
                depth_multiplier=layer.depth_multiplier,
                use_bias=False,
                name=f"{layer.name}_depthwise",
            )
            second = keras.layers.Conv2D(
                layer.filters, 1, activation=layer.activation, use_bias=layer.use_bias, name=layer.name
            )
            replacements[layer.name] = lambda x, first=first, second=second: second(first(x))
            depthwise, *others = layer.get_weights()
            weights |= {first.name: [depthwise], second.name: others}
    return set_weights(rebuilt(backbone, replacements), weights)


def with_backbone(cnn: Any, backbone: Any, hidden: Any | None = None) -> Any:
    """Give an image model with another backbone and, where the old one does not fit it, another hidden layer."""
    replacements = {backbone_of(cnn).name: backbone}
    return rebuilt(cnn, replacements if hidden is None else {**replacements, "hidden": hidden})


def set_weights(model: Any, weights: Mapping[str, Sequence[Any]]) -> Any:
    """Set the weights of layers, by their names, and give the model back."""
    for name, values in weights.items():
        model.get_layer(name).set_weights(values)
    return model


def _affine(layer: Any) -> tuple[Any, Any]:
    """Give scale and offset, float32 ``(channels,)``, of batch normalisation in inference."""
    mean, variance = layer.moving_mean.numpy(), layer.moving_variance.numpy()
    scale = (layer.gamma.numpy() if layer.scale else 1.0) / np.sqrt(variance + layer.epsilon)
    return scale, (layer.beta.numpy() if layer.center else 0.0) - mean * scale


def _folds_into(before: Any, normalisation: Any) -> bool:
    return (
        type(before) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D, keras.layers.Dense)
        and len(before.outbound_nodes) == 1
        and before.activation is keras.activations.linear
        and getattr(before, "groups", 1) == 1
        and list(normalisation.axis) == [len(normalisation.input_shape) - 1]
    )
