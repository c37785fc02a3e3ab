"""The process in which a file is measured; see `dslite.children`.

It says lines of JSON: ``{"progress": [what, fraction]}`` on the way and ``{"result": {...}}`` at the end.
"""

import contextlib
import dataclasses
import importlib
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from dslite.children import say, take_request
from dslite.codec import from_json
from dslite.deploy.runtime import (
    LITERT_SUFFIXES,
    TENSORFLOW_SUFFIXES,
    litert_coverage,
    open_session,
    set_tensorflow_threads,
)
from dslite.errors import in_words
from dslite.measure.memory import measure_memory
from dslite.records import Plan
from dslite_device.tiny import tiny_model

_PRODUCTS_S = 0.15
"""For the products that tell what the machine reaches."""
_PRODUCTS_OF_A_TURN_S = 0.05
"""Likewise: there are several turns, and the best of them counts."""


def main() -> None:
    """Do what the request says; an error is a result too."""
    request = take_request()
    try:
        jobs = [(Path(path), from_json(Plan, plan)) for path, plan in request["jobs"]]
        result = _measure(request["mode"], jobs)
    except Exception as error:  # noqa: BLE001 - the parent makes a row of it
        result = {"error": in_words(error)}
    say({"result": result})


def _measure(mode: str, jobs: Sequence[tuple[Path, Plan]]) -> dict[str, Any]:
    path, plan = jobs[0]
    say({"progress": ["starting", 0.0]})
    runtime_version = _warm_up_runtime(path, plan.threads, Path(plan.input_path).parent)
    if mode in ("time", "together"):
        return {**_measure_times(mode, jobs), "version": runtime_version}
    inputs = np.load(plan.input_path)
    if mode == "outputs":
        place = Path(plan.input_path).with_name("outputs.npy")
        session = open_session(path, plan.threads)
        np.save(place, np.stack([session.run(x) for x in inputs]))
        return {"path": str(place)}
    use = measure_memory(lambda: (session := open_session(path, plan.threads), session.run(inputs[0])))
    return dataclasses.asdict(use)


def _measure_times(mode: str, jobs: Sequence[tuple[Path, Plan]]) -> dict[str, Any]:
    """Time one file, or several in turn, which are opened in their order."""
    # Imported here: what imports leave free in the heap a model takes, and is then not counted as its memory.
    from dslite.measure.protocol import measure_latency, measure_together
    from dslite.measure.watch import Watch

    watch, (path, plan) = Watch(), jobs[0]
    openers = [partial(open_session, path, plan.threads) for path, plan in jobs]
    inputs = [np.load(plan.input_path) for _, plan in jobs]

    def progress(what: str, share: float) -> None:
        say({"progress": [what, share]})

    if mode == "together":
        turns = measure_together(openers, inputs, plan, progress, watch)
        found = {"turns": [dataclasses.asdict(turn) for turn in turns]}
        return {**found, "seen": watch.seen(), "matmul_rate": _matmul_rate(plan, _PRODUCTS_OF_A_TURN_S)}
    found = dataclasses.asdict(measure_latency(openers[0], inputs[0], plan, progress, watch))
    seen, rate = watch.seen(), _matmul_rate(plan, _PRODUCTS_S)
    return {**found, "seen": seen, "matmul_rate": rate, "coverage": _coverage(path, plan.threads)}


def _matmul_rate(plan: Plan, seconds: float) -> float | None:
    """Measure what the machine reaches; None where that fails: what was timed is not lost for it."""
    from dslite_device.products import matmul_rate

    with contextlib.suppress(Exception):
        return matmul_rate(plan.threads, seconds)
    return None


def _coverage(path: Path, threads: int) -> dict[str, Any] | None:
    """Give what the delegate takes over; None of other files, and where LiteRT does not tell: it has no public way."""
    if path.suffix not in LITERT_SUFFIXES:
        return None
    with contextlib.suppress(Exception):
        return dataclasses.asdict(litert_coverage(path, threads))
    return None


def _warm_up_runtime(path: Path, threads: int, temporary: Path) -> str:
    """Import the runtime and let it load and allocate what it has for any model; give its version."""
    if path.suffix in TENSORFLOW_SUFFIXES:
        return _warm_up_tensorflow(threads)
    with tempfile.TemporaryDirectory(prefix="dslite-", dir=temporary) as folder:  # goes with the run, whatever happens
        tiny = Path(folder) / "tiny.tflite"
        tiny.write_bytes(tiny_model())
        open_session(tiny, threads).run(np.zeros((1, 2), np.float32))
    return version("ai-edge-litert")


def _warm_up_tensorflow(threads: int) -> str:
    set_tensorflow_threads(threads)
    import tensorflow as tf

    importlib.import_module("dslite.model.layers")  # an .h5 file needs them
    # A small convolution and matrix product: thread pools and oneDNN are then there, and not the model's memory.
    image, kernel = tf.random.normal((1, 32, 32, 8)), tf.random.normal((3, 3, 8, 8))
    tf.function(lambda: tf.linalg.matmul(tf.nn.conv2d(image, kernel, 1, "SAME"), tf.eye(8)))()
    return str(tf.__version__)


if __name__ == "__main__":
    main()
