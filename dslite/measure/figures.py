"""What follows from figures that were measured: statistics of a series, throughput, and a share of what is possible."""

import math
from dataclasses import replace

from dslite.measure.statistics import summarise
from dslite.metrics import find
from dslite.metrics.table import METRICS
from dslite.records import Measurement, Run

DERIVED = frozenset(metric.name for metric in METRICS if metric.follows == "latency")
"""Metrics that follow from the latency and others, and change with it."""


def with_statistics(measurement: Measurement) -> Measurement:
    """Give a measurement the statistics of its samples, and their median as its value; nothing where it has none.

    These are those of `dslite.measure.statistics.summarise`.
    """
    if not measurement.samples:
        return measurement
    statistics = summarise(measurement.samples)
    return replace(measurement, value=statistics["p50"], statistics=statistics)


def derived(run: Run) -> list[Measurement]:
    """Give what follows from the figures of a run, of `DERIVED` what can be told.

    ``real_time_factor``: seconds of audio that are classified in a second, the length of a chunk divided by the median
    latency; of files that take audio, or its picture. ``flop_rate``: FLOP/s, 2 for each of its MACs, in the median
    latency. ``flop_rate_share``: that, as a share of ``matmul_rate``, where the target measured it.
    """
    latency, macs = find(run.measurements, "latency"), find(run.measurements[::-1], "macs")
    if latency is None or not latency.value:
        return []
    found = []
    length_s = (run.artifact.chunk or {}).get("length_s")
    if length_s:
        how = f"a chunk of {length_s:g} s divided by the median latency"
        found.append(Measurement("real_time_factor", length_s / latency.value, "ratio", how))
    if macs is None or not macs.value:
        return found
    rate = 2 * macs.value / latency.value
    found.append(Measurement("flop_rate", rate, "flop/s", "2 FLOP for each MAC, divided by the median latency"))
    best = find(run.measurements, "matmul_rate")
    if best and best.value and math.isfinite(best.value):
        how = "flop_rate divided by matmul_rate, what this machine reaches in a float32 matrix product"
        found.append(Measurement("flop_rate_share", rate / best.value, "ratio", how))
    return found
