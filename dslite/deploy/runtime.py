"""Open an exported file in the runtime it belongs to, and run it in this process."""

import importlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dslite.errors import ModelFileError, first_line

Array = npt.NDArray[Any]
_DELEGATE = "DELEGATE"


@dataclass(frozen=True, slots=True)
class Session:
    """An open model with one input and one output, in three steps so that each can be timed alone.

    Attributes:
        feed: give it an input, with batch 1.
        invoke: run it.
        output: copy its output, with batch 1.
    """

    feed: Callable[[Array], None]
    invoke: Callable[[], None]
    output: Callable[[], Array]

    def run(self, x: Array) -> Array:
        """Feed, invoke, output."""
        self.feed(x)
        self.invoke()
        return self.output()


def has_runtime(path: Path) -> bool:
    """Tell whether `open_session` opens files of this suffix; those of other plugins' exporters it may not."""
    return path.suffix in _OPENERS


def open_session(path: Path, threads: int) -> Session:
    """Open a file by its suffix: ``.tflite`` in LiteRT, ``.h5`` and ``.savedmodel`` in TensorFlow.

    Args:
        path: of the file.
        threads: for LiteRT. TensorFlow's are set once a process, before all else: `set_tensorflow_threads`.

    Raises:
        ModelFileError: where the suffix is another, or the runtime refuses the file. A truncated TFLite file can
            crash LiteRT and this process with it: check a manifest first, or use a process of its own.
    """
    opener = _OPENERS.get(path.suffix)
    if opener is None:
        raise ModelFileError(f"{path}: expected a file of {', '.join(_OPENERS)}, got {path.suffix or 'no suffix'}")
    try:
        return opener(path, threads)
    except Exception as error:
        raise ModelFileError(f"{path}: its runtime refuses it: {first_line(error)}") from error


def _open_litert(path: Path, threads: int) -> Session:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    into = interpreter.get_input_details()[0]["index"]
    out = interpreter.get_output_details()[0]["index"]
    return Session(lambda x: interpreter.set_tensor(into, x), interpreter.invoke, lambda: interpreter.get_tensor(out))


@dataclass(frozen=True, slots=True)
class Coverage:
    """What of a TFLite file's graph a delegate has taken over.

    Attributes:
        n_nodes: operators in the file.
        n_delegated: of these, those that the delegate runs.
        others: names of those that LiteRT's own kernels run, and how often.
    """

    n_nodes: int
    n_delegated: int
    others: dict[str, int]


def litert_coverage(path: Path, threads: int) -> Coverage:
    """Tell which operators of a TFLite file XNNPACK takes over, which LiteRT uses by itself on a CPU.

    What a delegate computes within its part of the graph has no memory of LiteRT's: so it is known for its.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path), num_threads=threads)
    interpreter.allocate_tensors()
    nodes = interpreter._get_ops_details()  # noqa: SLF001 - there is no public way
    given = {int(i) for node in nodes if node["op_name"] == _DELEGATE for i in node["outputs"]}

    def has_memory(index: int) -> bool:
        try:
            interpreter.get_tensor(index)
        except ValueError:
            return False
        return True

    own = [node for node in nodes if node["op_name"] != _DELEGATE]
    others = [
        node["op_name"] for node in own if all(int(i) not in given and has_memory(int(i)) for i in node["outputs"])
    ]
    return Coverage(len(own), len(own) - len(others), dict(Counter(others)))


def set_tensorflow_threads(threads: int) -> bool:
    """Let TensorFlow use so many threads; tell whether it does: after its first operation they stay as they are."""
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError:
        return False
    return True


def open_model(model: Any) -> Session:
    """Open a Keras model with one input and one output, as it is in memory, in TensorFlow."""
    from dslite.model.graph import trace

    return _tensorflow_session(trace(model), model)


def _open_hdf5(path: Path, _threads: int) -> Session:
    importlib.import_module("dslite.model.layers")  # registers the layers the file names
    from dslite.model.keras import keras

    return open_model(keras.models.load_model(path, compile=False))


def _open_savedmodel(path: Path, _threads: int) -> Session:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(path))
    signature = loaded.signatures["serving_default"]
    (name,) = signature.structured_input_signature[1]

    def call(x: Any) -> Any:
        (y,) = signature(**{name: x}).values()
        return y

    return _tensorflow_session(call, loaded)


def _tensorflow_session(call: Callable[[Any], Any], owner: Any) -> Session:
    import tensorflow as tf

    state: dict[str, Any] = {"owner": owner}  # kept alive: a signature does not hold its variables

    def feed(x: Array) -> None:
        state["x"] = tf.constant(x)

    def invoke() -> None:
        state["y"] = call(state["x"])

    def output() -> Array:
        return np.asarray(state["y"].numpy())

    return Session(feed, invoke, output)


_OPENERS: dict[str, Callable[[Path, int], Session]] = {
    ".tflite": _open_litert,
    ".h5": _open_hdf5,
    ".savedmodel": _open_savedmodel,
}
TENSORFLOW_SUFFIXES = (".h5", ".savedmodel")
LITERT_SUFFIXES = (".tflite",)
