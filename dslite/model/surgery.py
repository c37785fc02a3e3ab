"""Change the graph of a Keras model: replace layers, take layers out, fold batch normalisation into convolutions.

For compressors: what runs on a phone has no batch normalisation left, so that is what they should work on.
"""

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from dslite.errors import ExportError
from dslite.model.keras import keras


def backbone_of(cnn: Any) -> Any:
    """Give the backbone inside an image model from `dslite.model.assembly.build_cnn`."""
    (backbone,) = (layer for layer in cnn.layers if isinstance(layer, keras.Model))
    return backbone


def rebuilt(model: Any, replacements: Mapping[str, Any]) -> Any:
    """Build a functional model again with some of its layers replaced.

    Args:
        model: a functional Keras model in which no layer is used twice.
        replacements: by the name of a layer, what comes in its place: a layer or model that was not called yet, or None
            to take it out, which only a layer with one input can be. They keep the weights they bring along, if any.

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
