"""What this machine reaches in a plain float32 matrix product, which the rate of a model is a share of.

Of numpy's library and of LiteRT's own kernels the better one counts: either may lack the newest instructions of a
processor that the other one uses.
"""

import time
from collections.abc import Callable
from typing import Any

BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
"""Environment variables by which numpy's library for matrix products is told its threads, before it is loaded."""
N_ROWS = 768
"""Of square matrices, so that a product takes long enough to be timed, and they stay in the cache of a core."""


def matmul_rate(threads: int, seconds: float) -> float:
    """Measure the best product, in FLOP/s: 2 for each of the multiplications.

    Args:
        threads: of LiteRT; numpy's are those that `BLAS_THREADS` said.
        seconds: for either; one product is made in any case.
    """
    import numpy as np  # here: this module is imported as plugins are loaded

    a = np.random.default_rng(0).random((N_ROWS, N_ROWS), np.float32)
    b, out = a.T.copy(), np.empty_like(a)
    products: list[Callable[[], object]] = [lambda: np.matmul(a, b, out=out), _litert_product(a, threads)]
    return 2 * N_ROWS**3 / min(_best_of(product, seconds) for product in products)


def _best_of(product: Callable[[], object], seconds: float) -> float:
    product()
    best, begin = float("inf"), time.perf_counter()
    while (start := time.perf_counter()) - begin < seconds:
        product()
        best = min(best, time.perf_counter() - start)
    return best


def _litert_product(a: Any, threads: int) -> Callable[[], object]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=_product_model(a), num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], a)
    return lambda: interpreter.invoke()  # noqa: PLW0108 - it has no type


def _product_model(weights: Any) -> bytes:
    """Give a .tflite file with one fully connected layer, float32 ``(n, n)`` to float32 ``(n, n)``."""
    import flatbuffers
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema

    def tensor(name: str, buffer: int) -> object:
        made = schema.TensorT()
        made.name, made.shape, made.type, made.buffer = name, weights.shape, schema.TensorType.FLOAT32, buffer
        return made

    layer = schema.OperatorT()
    layer.inputs, layer.outputs = [0, 1, -1], [2]
    layer.builtinOptionsType = schema.BuiltinOptions.FullyConnectedOptions
    layer.builtinOptions = schema.FullyConnectedOptionsT()
    layer.builtinOptions.keepNumDims = True
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    graph = schema.SubGraphT()
    graph.tensors = [tensor("a", 0), tensor("b", 1), tensor("product", 0)]
    graph.inputs, graph.outputs, graph.operators = [0], [2], [layer]
    constant = schema.BufferT()
    constant.data = np.frombuffer(weights.tobytes(), np.uint8)
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT(), constant]
    builder = flatbuffers.Builder(weights.nbytes + 4096)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
