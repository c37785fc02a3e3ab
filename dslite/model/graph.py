"""A Keras model as a TensorFlow graph, traced or frozen, and the multiply-accumulates counted from it."""

import math
from collections.abc import Callable
from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2


def trace(model: Any) -> Any:
    """Trace a Keras model in inference, batch 1: a concrete function whose argument has the name of its one input."""
    signature = [tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name=model.input_names[0])]
    return tf.function(lambda x: model(x, training=False), input_signature=signature).get_concrete_function()


def freeze(model: Any) -> Any:
    """Give a model as a concrete function without variables, for a batch of one."""
    return convert_variables_to_constants_v2(trace(model))


# -- multiply-accumulates -----------------------------------------------------------------------------

UNCOUNTED = frozenset(
    {
        "BatchMatMul",
        "BatchMatMulV3",
        "Conv",
        "Conv3DBackpropInputV2",
        "CudnnRNNV3",
        "DepthwiseConv2dNativeBackpropInput",
        "Einsum",
        "SparseMatMul",
        "XlaConvV2",
        "XlaDotV2",
    }
)
"""Operators that multiply and accumulate in ways not counted here: a graph with one gives no count, not a guess."""


def count_macs(function: Any) -> int | None:
    """Count the multiply-accumulates of one inference from a traced graph.

    Convolutions, depthwise and transposed ones, and matrix products; one multiply with its add is 1 MAC, or 2
    FLOPs. No bias, batch normalisation, activation, pooling or Fourier transform.

    Args:
        function: from `trace` or `freeze`.

    Returns:
        The count, or None where the graph has an operator of `UNCOUNTED`, one that calls a function
        (branches, loops, and Keras' grouped convolutions), or a shape that is not known.
    """
    operations = function.graph.get_operations()
    counted = [operation for operation in operations if operation.type in _MACS]
    tensors = [tensor for operation in counted for tensor in (*operation.inputs, *operation.outputs)]
    attributes = [attribute for operation in operations for attribute in operation.node_def.attr.values()]
    if (
        any(operation.type in UNCOUNTED for operation in operations)
        or any(attribute.HasField("func") or attribute.list.func for attribute in attributes)
        or not all(tensor.shape.is_fully_defined() for tensor in tensors)
    ):
        return None
    return sum(_MACS[operation.type](operation) for operation in counted)


def _size(shape: Any) -> int:
    return math.prod(shape.as_list())


def _convolution(operation: Any) -> int:
    # filter (..., channels in / groups, channels out)
    return _size(operation.outputs[0].shape) * _size(operation.inputs[1].shape[:-1])


def _depthwise(operation: Any) -> int:
    # filter (height, width, channels, multiplier); output channels = channels * multiplier
    return _size(operation.outputs[0].shape) * _size(operation.inputs[1].shape[:2])


def _transposed(operation: Any) -> int:
    # inputs: output shape, filter (height, width, channels out, channels in), x
    return _size(operation.inputs[2].shape) * _size(operation.inputs[1].shape[:-1])


def _matrix_product(operation: Any) -> int:
    transposed = operation.get_attr("transpose_a" if operation.type == "MatMul" else "adj_x")
    return _size(operation.outputs[0].shape) * int(operation.inputs[0].shape[-2 if transposed else -1])


_MACS: dict[str, Callable[[Any], int]] = {
    "Conv2D": _convolution,
    "Conv3D": _convolution,
    "DepthwiseConv2dNative": _depthwise,
    "Conv2DBackpropInput": _transposed,
    "MatMul": _matrix_product,
    "BatchMatMulV2": _matrix_product,
}
