"""What a ``.tflite`` file says of itself, read from its flatbuffer without running it.

Schema: https://github.com/tensorflow/tensorflow, ``schema.fbs``; the reader is LiteRT's own generated one.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from dslite.errors import ModelFileError
from dslite.records import TensorSpec

Bytes: TypeAlias = npt.NDArray[np.uint8]

_MAGIC_AT, _MAGIC = 4, b"TFL3"


@dataclass(frozen=True, slots=True)
class TfliteFile:
    """Facts of one file.

    Attributes:
        inputs: shape and dtype of each, in order; kind ``unknown``.
        outputs: likewise.
        signatures: names of its signatures.
        dtypes: of all tensors, weights and activations.
        operators: how often each operator stands in the file; custom ones by their own name.
        custom: names of operators that are not builtin.
        params: elements of all constant weights, or None where an operator is not understood; see `read`.
        macs: multiply-accumulates of one inference, or None where an operator is not understood.
        sparsity: share of zeros among the elements of the kernels, in [0, 1]; None where there are none to be read.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    signatures: tuple[str, ...]
    dtypes: frozenset[str]
    operators: dict[str, int]
    custom: tuple[str, ...]
    params: int | None
    macs: int | None
    sparsity: float | None


def read(path: Path) -> TfliteFile:
    """Read a file.

    Parameters are the elements of constant tensors, longer than one, that enter convolutions, matrix products, look-ups
    and element-wise arithmetic, directly or through DEQUANTIZE; each tensor counts once. A size that is not fixed
    stands as -1 in a shape, but for the batch size, which is 1. MACs are counted as in
    `dslite.model.graph.count_macs`, from the shapes in the file.

    Raises:
        ModelFileError: where it is no TFLite file, or a broken one.
    """
    if path.is_dir():
        raise ModelFileError(f"{path}: expected a .tflite file, got a folder")
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such file") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read: {error.strerror}") from None
    if not _starts_right(content):
        raise ModelFileError(f"{path}: expected a TFLite file (with {_MAGIC.decode()} at byte 4), got something else")
    try:
        return _read(content)
    except ModelFileError:
        raise
    except Exception as error:
        raise ModelFileError(
            f"{path}: a broken TFLite file, maybe truncated to its {len(content)} bytes: copy or export it again"
        ) from error


def has_magic(path: Path) -> bool:
    """Tell whether a file at least begins as a TFLite file does."""
    with path.open("rb") as file:
        return _starts_right(file.read(_MAGIC_AT + len(_MAGIC)))


def _starts_right(content: bytes) -> bool:
    return content[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def _read(content: bytes) -> TfliteFile:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    n_tensors = sum(model.Subgraphs(i).TensorsLength() for i in range(_bounded(model.SubgraphsLength(), content)))
    _bounded(n_tensors, content)
    data = [_data(model.Buffers(i), content) for i in range(_bounded(model.BuffersLength(), content))]
    graph = model.Subgraphs(0)
    names = _operator_names(schema, model)
    operators = [graph.Operators(i) for i in range(_bounded(graph.OperatorsLength(), content))]
    named = [(names[operator.OpcodeIndex()], operator) for operator in operators]
    understood = not any(custom or name in _UNCOUNTED for (name, custom), _ in named)
    signatures = tuple(model.SignatureDefs(i).SignatureKey().decode() for i in range(model.SignatureDefsLength()))
    return TfliteFile(
        inputs=tuple(_tensor_spec(graph, i) for i in graph.InputsAsNumpy().tolist()),
        outputs=tuple(_tensor_spec(graph, i) for i in graph.OutputsAsNumpy().tolist()),
        signatures=signatures,
        dtypes=frozenset(_dtypes()[graph.Tensors(i).Type()] for i in range(graph.TensorsLength())),
        operators=dict(Counter(name for (name, _), _ in named)),
        custom=tuple(sorted({name for (name, custom), _ in named if custom})),
        params=_params(data, graph, named) if understood else None,
        macs=_macs(graph, named) if understood else None,
        sparsity=_sparsity(data, graph, named),
    )


def _data(buffer: Any, content: bytes) -> Bytes | None:
    """Give what a buffer holds, within the flatbuffer or, as ai-edge-quantizer writes it, behind it; None: nothing."""
    if buffer.DataLength():
        return np.asarray(buffer.DataAsNumpy())  # raises likewise
    begin, end = buffer.Offset(), buffer.Offset() + buffer.Size()
    if not buffer.Size():
        return None
    if end > len(content):
        raise ValueError(f"a buffer ends at {end}")
    return np.frombuffer(content, np.uint8)[begin:end]


def _bounded(count: int, content: bytes) -> int:
    if not 0 <= count <= len(content) // 4:
        raise ValueError(f"it claims {count} entries, more than fit")
    return count


def _operator_names(schema: Any, model: Any) -> list[tuple[str, bool]]:
    """Give the name of each operator code, and whether it is a custom operator."""
    by_code = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    names = []
    for i in range(model.OperatorCodesLength()):
        operator_code = model.OperatorCodes(i)
        # Files from before 2020 hold the code in the older, one-byte field.
        code = max(operator_code.BuiltinCode(), operator_code.DeprecatedBuiltinCode())
        custom = code == schema.BuiltinOperator.CUSTOM
        names.append(((operator_code.CustomCode() or b"CUSTOM").decode() if custom else by_code[code], custom))
    return names


@cache
def _dtypes() -> dict[int, str]:
    from ai_edge_litert.schema_py_generated import TensorType

    return {code: name.lower() for name, code in vars(TensorType).items() if isinstance(code, int)}


def _tensor_spec(graph: Any, index: int) -> TensorSpec:
    tensor = graph.Tensors(index)
    shape = _shape(tensor)
    for axis in range(1, tensor.ShapeSignatureLength()):
        if tensor.ShapeSignature(axis) < 0:
            shape[axis] = -1
    return TensorSpec("unknown", tuple(shape), _dtypes()[tensor.Type()])


def _shape(tensor: Any) -> list[int]:
    return [int(tensor.Shape(i)) for i in range(tensor.ShapeLength())]


def _widened(named: Sequence[tuple[tuple[str, bool], Any]]) -> dict[int, int]:
    """Give, of each tensor that DEQUANTIZE makes, the one it is made of: that holds the weights."""
    return {operator.Outputs(0): operator.Inputs(0) for (name, _), operator in named if name == "DEQUANTIZE"}


# -- parameters ---------------------------------------------------------------------------------------

_ELEMENT_WISE = frozenset(["ADD", "SUB", "MUL", "DIV", "PRELU"])
_LOOK_UPS = frozenset(["EMBEDDING_LOOKUP", "GATHER"])


def _params(data: Sequence[Bytes | None], graph: Any, named: Sequence[tuple[tuple[str, bool], Any]]) -> int:
    through = _widened(named)
    constants = set()
    for (name, _), operator in named:
        if name in _MACS or name in _ELEMENT_WISE or name in _LOOK_UPS:
            for i in operator.InputsAsNumpy().tolist():
                index = through.get(i, i)
                tensor = graph.Tensors(index) if index >= 0 else None
                if tensor is None or data[tensor.Buffer()] is None:
                    continue
                if name in _LOOK_UPS and _dtypes()[tensor.Type()] in ("int32", "int64"):
                    continue  # positions, not a table
                constants.add(index)
    sizes = (math.prod(_shape(graph.Tensors(index))) for index in constants)
    return sum(size for size in sizes if size > 1)


_WITH_KERNELS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
_FRONT_END = "whole/frontend/"
"""In the names of what the front end of a whole model computes: its filters are no weights.

A layer of the backbone may be called frontend too; it lies deeper.
"""


def _sparsity(data: Sequence[Bytes | None], graph: Any, named: Sequence[tuple[tuple[str, bool], Any]]) -> float | None:
    through = _widened(named)
    kernels = {
        through.get(operator.Inputs(1), operator.Inputs(1))
        for (name, _), operator in named
        if name in _WITH_KERNELS and _FRONT_END not in graph.Tensors(operator.Outputs(0)).Name().decode()
    }
    n_zeros = n_elements = 0
    for tensor in map(graph.Tensors, kernels):
        dtype = _dtypes()[tensor.Type()]
        held = data[tensor.Buffer()]
        if dtype not in ("float32", "float16", "int8") or held is None:
            return None
        values = held.view(dtype)
        n_zeros, n_elements = n_zeros + int((values == 0).sum()), n_elements + values.size
    return n_zeros / n_elements if n_elements else None


# -- multiply-accumulates -----------------------------------------------------------------------------

_OF_OTHER_GRAPHS = {"WHILE", "IF", "CALL", "CALL_ONCE", "STABLEHLO_WHILE", "STABLEHLO_COMPOSITE", "DELEGATE"}
_RECURRENT = {"LSTM", "RNN", "SVDF"} | {
    f"{way}DIRECTIONAL_SEQUENCE_{cell}" for way in ("BI", "UNI") for cell in ("LSTM", "RNN")
}
_UNCOUNTED = _OF_OTHER_GRAPHS | _RECURRENT | {"CONV_3D_TRANSPOSE", "STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL"}
"""Operators whose products are not counted: what a file with one of them computes is not known."""


def _macs(graph: Any, named: Sequence[tuple[tuple[str, bool], Any]]) -> int:
    total = 0
    for (name, _), operator in named:
        count = _MACS.get(name)
        if count:
            shapes = [_shape(graph.Tensors(i)) if i >= 0 else [] for i in operator.InputsAsNumpy().tolist()]
            total += count(operator, shapes, _shape(graph.Tensors(operator.Outputs(0))))
    return total


def _transposes_first(operator: Any) -> bool:
    from ai_edge_litert.schema_py_generated import BatchMatMulOptions

    options = BatchMatMulOptions()
    table = operator.BuiltinOptions()
    if table is None:
        return False
    options.Init(table.Bytes, table.Pos)
    return bool(options.AdjX())


# Each takes the operator, the shapes of its inputs, and the shape of its output.
_MACS: dict[str, Callable[[Any, list[list[int]], list[int]], int]] = {
    # filter (channels out, height, width, channels in / groups)
    "CONV_2D": lambda _, shapes, out: math.prod(out) * math.prod(shapes[1][1:]),
    # filter (depth, height, width, channels in, channels out)
    "CONV_3D": lambda _, shapes, out: math.prod(out) * math.prod(shapes[1][:-1]),
    # filter (1, height, width, channels out)
    "DEPTHWISE_CONV_2D": lambda _, shapes, out: math.prod(out) * math.prod(shapes[1][1:3]),
    # weights (out, in)
    "FULLY_CONNECTED": lambda _, shapes, out: math.prod(out) * shapes[1][-1],
    # inputs: output shape, filter (channels out, height, width, channels in), x
    "TRANSPOSE_CONV": lambda _, shapes, _out: math.prod(shapes[2]) * math.prod(shapes[1][:3]),
    "BATCH_MATMUL": lambda operator, shapes, out: math.prod(out) * shapes[0][-2 if _transposes_first(operator) else -1],
}
