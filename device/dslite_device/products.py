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
    import numpy as np
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.tools.flatbuffer_utils import convert_object_to_bytearray

    def tensor(name: str, buffer: int) -> object:
        return schema.TensorT(name=name, shape=weights.shape, type=schema.TensorType.FLOAT32, buffer=buffer)

    operator = schema.BuiltinOperator.FULLY_CONNECTED
    layer = schema.OperatorT(
        inputs=[0, 1, -1],
        outputs=[2],
        builtinOptionsType=schema.BuiltinOptions.FullyConnectedOptions,
        builtinOptions=schema.FullyConnectedOptionsT(keepNumDims=True),
    )
    tensors = [tensor("a", 0), tensor("b", 1), tensor("product", 0)]
    model = schema.ModelT(
        version=3,
        operatorCodes=[schema.OperatorCodeT(builtinCode=operator, deprecatedBuiltinCode=operator)],
        subgraphs=[schema.SubGraphT(tensors=tensors, inputs=[0], outputs=[2], operators=[layer])],
        buffers=[schema.BufferT(), schema.BufferT(data=np.frombuffer(weights.tobytes(), np.uint8))],
    )
    return bytes(convert_object_to_bytearray(model))
