"""Frozen graphs as TFLite files and SavedModels.

Freezing first is what makes export fast: a converter given the Keras object writes a SavedModel of every layer it
tracks, which takes most of a minute for a deep network; a graph of constants goes through it in seconds.
"""

import gc
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from dslite.errors import ExportError, first_line
from dslite.model.graph import freeze

SIGNATURE = "serving_default"
_LARGE_PARAMS = 25_000_000
"""Of smaller models, a copy of the weights is not worth the third of a second that looking for it takes."""
_NOT_BUILTIN = "neither a custom op nor a flex op"


def save_frozen(model: Any, folder: str) -> None:
    """Write a model as a SavedModel of constants, with the signature ``serving_default``."""
    # Nobody trains constants, and the gradients that some activations bring along (swish) cannot be saved without them.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(tf.Module(), folder, signatures=freeze(model), options=options)


def to_tflite(model: Any, configure: Callable[[Any], None] | None = None) -> bytes:
    """Convert a model to TFLite, builtin operators only, with the signature ``serving_default``.

    The converter takes the frozen graph as it is; by way of a SavedModel it would write and load it three times.

    Args:
        model: Keras model with one input and one output.
        configure: called with the ``tf.compat.v1.lite.TFLiteConverter`` before it converts.

    Raises:
        ExportError: where the model needs an operator that TFLite does not have.
    """
    converter = tf.compat.v1.lite.TFLiteConverter(*_graph_alone(model))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    converter.exclude_conversion_metadata = True  # a hash and the converter's version, at the price of a second
    if configure:
        configure(converter)
    try:
        converted: bytes = converter.convert()
    except tf.errors.OpError:
        raise
    except Exception as error:
        what = "TFLite has no builtin operator for a part of it" if _NOT_BUILTIN in str(error) else "conversion failed"
        raise ExportError(f"{what}: {first_line(error)}") from error
    return _with_signature(converted, model.input_names[0], model.output_names[0])


def _graph_alone(model: Any) -> tuple[Any, None, None, list[tuple[str, list[int]]], list[str]]:
    """Give a frozen graph as the converter takes one by itself: graph, no tensors, names and shapes instead."""
    # A graph holds all weights once more, and what froze it several times: nothing of that stays while the converter,
    # which copies them again, is at work.
    frozen = freeze(model)
    graph = frozen.graph.as_graph_def()
    inputs = [(tensor.op.name, [int(d) for d in tensor.shape]) for tensor in frozen.inputs]
    outputs = [tensor.op.name for tensor in frozen.outputs]
    del frozen
    if model.count_params() > _LARGE_PARAMS:
        gc.collect()  # functions and graphs of TensorFlow refer to each other
    return graph, None, None, inputs, outputs


def _with_signature(content: bytes, input_name: str, output_name: str) -> bytes:
    """Add the signature to a TFLite file with one input and one output."""
    from ai_edge_litert.schema_py_generated import SignatureDefT, TensorMapT
    from ai_edge_litert.tools.flatbuffer_utils import convert_bytearray_to_object, convert_object_to_bytearray

    model = convert_bytearray_to_object(content)
    (graph,) = model.subgraphs
    signature = SignatureDefT(
        inputs=[TensorMapT(input_name, int(graph.inputs[0]))],
        outputs=[TensorMapT(output_name, int(graph.outputs[0]))],
        signatureKey=SIGNATURE,
        subgraphIndex=0,
    )
    model.signatureDefs = [signature]
    return bytes(convert_object_to_bytearray(model))
