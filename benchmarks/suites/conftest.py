"""What the suites share: how a benchmark is timed beside the pace of the machine, and files to measure.

Every benchmark runs on one core, as far as threads can be told: TensorFlow, LiteRT and numpy have one each. So has the
pace, and what slows a core down slows both.
"""

import os

for _name in ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "OMP_NUM_THREADS"):
    os.environ[_name] = "1"  # before numpy is loaded
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import math  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, TypeAlias  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402

_N_PRODUCTS, _N_ROWS, _N_SUMS = 6, 384, 300_000
"""About 5 ms of matrix products, and 5 ms of interpreter."""
_MOST_ROUNDS = 60
_LOOKS = 12
"""At the pace, at least: where a benchmark has few rounds, there are several looks before each."""


def pytest_configure(config: pytest.Config) -> None:
    """Let warnings be: what TensorFlow warns of says nothing of speed, and the project's tests make errors of it."""
    config.addinivalue_line("filterwarnings", "default")


def pytest_benchmark_update_machine_info(config: pytest.Config, machine_info: dict[str, Any]) -> None:
    """Replace what pytest-benchmark tells of the machine, its name in the network too, by its kind and versions."""
    del config
    from dslite.measure.environment import environment

    machine = environment()
    kept = {name: machine[name] for name in ("cpu", "cpus", "machine", "python", "packages")}
    machine_info.clear()
    machine_info.update(kept | {"system": machine["system"].split()[0]})
    machine_info["packages"] = machine["packages"] | {"pytest-benchmark": version("pytest-benchmark")}


def seconds_of(work: Callable[[], object]) -> float:
    """Give the seconds that a call takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


@dataclass(frozen=True)
class Pace:
    """The seconds of two fixed pieces of work, at each look."""

    products_s: list[float]
    loops_s: list[float]

    def look(self) -> None:
        """Do either once, and note how long it took."""
        a, out = np.ones((_N_ROWS, _N_ROWS), np.float32), np.empty((_N_ROWS, _N_ROWS), np.float32)
        self.products_s.append(seconds_of(lambda: [np.dot(a, a, out=out) for _ in range(_N_PRODUCTS)]))
        self.loops_s.append(seconds_of(_loop))

    def figures(self) -> dict[str, float]:
        """Give the pace, and what the interpreter took.

        The pace is that of the matrix products: of four runs of the same code, times divided by it agreed better than
        times alone, and those divided by the loop's worse, which differs from process to process.
        """
        return {"pace_s": statistics.median(self.products_s), "pace_loop_s": statistics.median(self.loops_s)}


def _loop() -> int:
    total = 0
    for i in range(_N_SUMS):
        total += i
    return total


Timed: TypeAlias = Callable[..., list[tuple[float, float]]]


@pytest.fixture
def timed(request: pytest.FixtureRequest, benchmark: Any) -> Timed:
    """Give a function that times work in rounds, and looks at the pace before each of them.

    It takes the work; ``beside``, what is timed once in each round for comparison; ``rounds``, at most, where the
    work takes long, which then is not run untimed before each round either; ``longer``, by which the time is
    multiplied that others have. It gives the seconds of each round: of the work, and of what is beside it (NaN:
    nothing); no round with ``--benchmark-disable``.

    The work is run once before it is timed, and again after each look, which leaves the caches full of its own data.
    """
    most_s = float(request.config.getoption("benchmark_max_time"))
    fewest = int(request.config.getoption("benchmark_min_rounds"))

    def run(
        work: Callable[[], object],
        beside: Callable[[], object] | None = None,
        rounds: int | None = None,
        longer: float = 1.0,
    ) -> list[tuple[float, float]]:
        once_s = seconds_of(work)
        if benchmark.disabled:
            benchmark.pedantic(work)
            return []
        if rounds is None:
            once_s = seconds_of(work)  # the first time is no guide
            n_rounds = min(max(fewest, math.ceil(most_s * longer / once_s)), _MOST_ROUNDS)
        else:
            n_rounds = min(fewest, rounds)
        pace, beside_s = Pace([], []), []

        def look() -> None:
            for _ in range(math.ceil(_LOOKS / (n_rounds + 1))):
                pace.look()

        def before() -> None:
            look()
            if beside:
                beside_s.append(seconds_of(beside))
            if rounds is None:
                work()

        benchmark.pedantic(work, setup=before, rounds=n_rounds)
        look()
        benchmark.extra_info.update(pace.figures())
        return list(zip(benchmark.stats.stats.data, beside_s or [math.nan] * n_rounds, strict=True))

    return run


@pytest.fixture(scope="session")
def tensorflow() -> Any:
    """Give TensorFlow with one thread, which can be told only before its first operation."""
    from dslite.deploy.runtime import set_tensorflow_threads

    set_tensorflow_threads(1)
    import tensorflow as tf

    return tf


@pytest.fixture(scope="session")
def exported() -> Callable[[str], Path]:
    """Give a function that gives a backbone's file, picture to probabilities, TFLite float32, random weights.

    It is in dslite's cache, or `dslite bench` puts it there: what takes minutes is done once for each state of dslite.
    """
    from dslite import cache
    from dslite.deploy import manifest
    from dslite.experiment import building
    from dslite.recipe import Recipe

    exporter = "tflite-float32"

    def find(backbone: str) -> Path | None:
        model = building.ModelRequest(Recipe().head, tuple(f"class_{i}" for i in range(4)), "none", 0)
        key = building.export_key(building.system(backbone, model, Recipe()), "cnn", exporter)
        folder = cache.entry_folder("exports", key)
        for path in folder.glob("*.tflite"):
            manifest.read(path)  # raises where the file is not whole
            cache.mark_used(folder)
            return path
        return None

    def get(backbone: str) -> Path:
        if path := find(backbone):
            return path
        words = f"bench --part cnn --no-memory --threads 1 --runs 1 --min-seconds 0 --warmup-runs 0 --warmup-seconds 0 \
            --classes 4 --seed 0 --exporter {exporter} --backbone {backbone}"
        command = [sys.executable, "-m", "dslite", *words.split()]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        path = find(backbone)
        if path is None:
            pytest.fail(f"no file in the cache after {' '.join(command)}: {done.stdout}{done.stderr}")
        return path

    return get
