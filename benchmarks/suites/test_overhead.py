"""What the harness adds to each inference that it times: feeding, clocks, bookkeeping.

`dslite.measure.protocol.measure_latency` against a bare loop of as many calls, in turn.
"""

import gc
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dslite.deploy.runtime import Session, open_session
from dslite.measure.protocol import measure_latency
from dslite.records import Plan
from dslite_device.tiny import tiny_model

_RUNS = 20_000


def _nothing(*_: object) -> None:
    pass


@pytest.mark.parametrize("model", ["nothing", "tiny file"])
def test_harness_overhead(benchmark: Any, timed: Callable[..., Any], tmp_path: Path, model: str) -> None:
    """20,000 inferences as the harness times them, of a model that does nothing, and of a file of 732 bytes."""
    session, inputs = Session(_nothing, lambda: None, lambda: np.zeros(1)), np.zeros((1, 1, 2), np.float32)
    if model == "tiny file":
        (tmp_path / "tiny.tflite").write_bytes(tiny_model())
        session = open_session(tmp_path / "tiny.tflite", 1)
        session.feed(inputs[0])
    plan = Plan(1, warmup_runs=0, warmup_s=0.0, runs=_RUNS, min_s=0.0)
    in_samples = []

    def harness() -> None:
        in_samples.append(statistics.median(measure_latency(lambda: session, inputs, plan, _nothing).samples_s))

    def bare() -> None:
        invoke = session.invoke
        gc.disable()  # as the harness does
        for _ in range(_RUNS):
            invoke()
        gc.enable()

    # The harness collects garbage once before a series. How long that takes depends on what this process has imported
    # and is no cost of an inference: what is frozen is not looked at.
    gc.collect()
    gc.freeze()
    try:
        rounds = timed(harness, beside=bare)
    finally:
        gc.unfreeze()
    if not rounds:
        return
    bare_s = statistics.median(beside for _, beside in rounds) / _RUNS
    benchmark.extra_info["figures"] = {
        "harness overhead per inference, us": statistics.median(ours - bare for ours, bare in rounds) / _RUNS * 1e6,
        "of that within the time it reports, us": (statistics.median(in_samples) - bare_s) * 1e6,
        "one bare inference, us": bare_s * 1e6,
    }
