"""What the suites share: the pace of the machine beside each benchmark, and models to measure."""

import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"):
    os.environ.setdefault(_name, "1")  # before numpy is loaded: the pace is that of one core
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import time  # noqa: E402
from collections.abc import Callable, Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

_N_PRODUCTS, _N_ROWS, _N_SUMS = 30, 384, 300_000
_LOOKS = 5


def pace_s() -> float:
    """Give the seconds of a fixed piece of work, half of it matrix products, half interpreter: the best of five."""
    a = np.ones((_N_ROWS, _N_ROWS), np.float32)
    found = []
    for _ in range(_LOOKS):
        begin = time.perf_counter()
        for _ in range(_N_PRODUCTS):
            np.dot(a, a)
        total = 0
        for i in range(_N_SUMS):
            total += i
        found.append(time.perf_counter() - begin)
    return min(found)


@pytest.fixture(autouse=True)
def _pace(request: pytest.FixtureRequest) -> Iterator[None]:
    """Measure the pace before and after each benchmark, and note it there."""
    if "benchmark" not in request.fixturenames:
        yield
        return
    benchmark = request.getfixturevalue("benchmark")
    before = pace_s()
    yield
    benchmark.extra_info["pace_s"] = (before + pace_s()) / 2


@pytest.fixture(scope="session")
def tflite_session(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Any, str], Any]:
    """Give a function that opens a Keras model as a TFLite file with one thread, an input in place."""

    def opened(model: Any, name: str) -> Any:
        from dslite.deploy.runtime import open_session
        from dslite.model.convert import to_tflite

        path: Path = tmp_path_factory.mktemp("models") / f"{name}.tflite"
        path.write_bytes(to_tflite(model))
        session = open_session(path, 1)
        session.feed(np.random.default_rng(0).random((1, *model.input_shape[1:]), np.float32))
        session.invoke()
        return session

    return opened
