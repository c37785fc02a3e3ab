"""The process in which a file is measured: ``python -m dslite_device.host_child REQUEST`` (JSON).

Writes lines of JSON: ``{"progress": [what, fraction]}`` on the way and ``{"result": {...}}`` at the end.
"""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dslite.codec import from_json
from dslite.deploy.runtime import (
    TENSORFLOW_SUFFIXES,
    Session,
    open_session,
    set_tensorflow_threads,
)
from dslite.errors import DsliteError, first_line
from dslite.measure.memory import METHOD, measure_memory
from dslite.measure.protocol import measure_latency
from dslite.records import Plan


def main() -> None:
    """Do what the request says; an error is a result too."""
    request = json.loads(sys.argv[1])
    try:
        result = _measure(request["mode"], Path(request["path"]), from_json(Plan, request["plan"]))
    except DsliteError as error:
        result = {"error": str(error)}
    except Exception as error:  # noqa: BLE001 - the parent makes a row of it
        result = {"error": f"{type(error).__name__}: {first_line(error)}"}
    _say({"result": result})


def _say(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _measure(mode: str, path: Path, plan: Plan) -> dict[str, Any]:
    _say({"progress": ["starting", 0.0]})
    version = _warm_up_runtime(path, plan.threads)
    inputs = np.load(plan.input_path)
    if mode == "memory":
        use = measure_memory(lambda: _first_run(open_session(path, plan.threads), inputs[0]))
        return {**dataclasses.asdict(use), "method": METHOD}
    timing = measure_latency(
        lambda: open_session(path, plan.threads), inputs, plan, lambda *progress: _say({"progress": progress})
    )
    return {**dataclasses.asdict(timing), "version": version}


def _first_run(session: Session, x: Any) -> tuple[Session, Any]:
    return session, session.run(x)


def _warm_up_runtime(path: Path, threads: int) -> str:
    """Import the runtime and let it allocate what it has before any model; give its version."""
    if path.suffix not in TENSORFLOW_SUFFIXES:
        import ai_edge_litert.interpreter

        return str(getattr(ai_edge_litert, "__version__", _installed("ai-edge-litert")))
    set_tensorflow_threads(threads)
    import tensorflow as tf

    import dslite.model.layers

    del dslite
    # A small convolution and matrix product: thread pools and oneDNN are then there, and not the model's memory.
    image, kernel = tf.random.normal((1, 32, 32, 8)), tf.random.normal((3, 3, 8, 8))
    tf.function(lambda: tf.linalg.matmul(tf.nn.conv2d(image, kernel, 1, "SAME"), tf.eye(8)))()
    return str(tf.__version__)


def _installed(distribution: str) -> str:
    from importlib.metadata import version

    return version(distribution)


if __name__ == "__main__":
    main()
