"""What the harness adds to each inference that it times: feeding, clocks, bookkeeping."""

import statistics
import time
from typing import Any

import numpy as np

from dslite.deploy.runtime import Session
from dslite.measure.protocol import measure_latency
from dslite.records import Plan

_RUNS = 20_000


def _nothing(*_: object) -> None:
    pass


def test_overhead_of_the_loop(benchmark: Any) -> None:
    """A loop of 20,000 runs of a model that does nothing; `overhead_us` is its time for each of them."""
    empty = Session(_nothing, lambda: None, lambda: np.zeros(1))
    plan, inputs = Plan(1, warmup_runs=0, warmup_s=0.0, runs=_RUNS, min_s=0.0), np.zeros((1, 1))
    benchmark.pedantic(measure_latency, (lambda: empty, inputs, plan, _nothing), rounds=10, iterations=1)
    benchmark.extra_info["overhead_us"] = benchmark.stats.stats.median / _RUNS * 1e6


def test_overhead_in_a_sample(benchmark: Any) -> None:
    """What a sample has besides the model, by one that does nothing; `overhead_us` is the median."""
    empty = Session(_nothing, lambda: None, lambda: np.zeros(1))
    plan = Plan(1, warmup_runs=0, warmup_s=0.0, runs=_RUNS, min_s=0.0)
    found = [measure_latency(lambda: empty, np.zeros((1, 1)), plan, _nothing).samples_s for _ in range(4)]
    benchmark.extra_info["overhead_us"] = statistics.median(each for series in found for each in series) * 1e6
    benchmark(time.perf_counter)  # the clock alone, of which each sample has one
