"""What figures are: a record for each metric (`METRICS`), and how they are found, written and named.

Light to import; `dslite.metrics.scores` (UAR, bootstrap) needs numpy.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from dslite.metrics import forms, table
from dslite.records import Column, Measurement, Metric, Run

Figures: TypeAlias = Mapping[str, Measurement]
"""Measurements of a run, by the names of their metrics."""
ALL_ALIKE = "all alike"
"""Stands for the interval of a difference of scores where not one decision differs."""
_WITHOUT_UNIT = ("n", "outliers", "trend", "trend_p", "n_changed")
"""Statistics that are in no unit of their metric."""


def known() -> dict[str, Metric]:
    """Return the metrics that dslite itself measures, by their names."""
    return {metric.name: metric for metric in table.METRICS}


def metric(name: str, unit: str = "", own: Iterable[Metric] = ()) -> Metric:
    """Describe a metric: as dslite does, as one of `own` does, or by its name and unit where nobody does.

    Args:
        name: of the metric.
        unit: of its values; one of the same name in another unit is another metric. Empty: that of dslite's own.
        own: what targets say of theirs; dslite's own cannot be changed.
    """
    if (ours := known().get(name)) and unit in ("", ours.unit):
        return ours
    found = next((each for each in own if (each.name, each.unit) == (name, unit)), None) or Metric(name, unit)
    if found.columns:
        return found
    words, written_in = name.replace("_", " "), form_of(found, Column("")).unit
    shown = written_in or ("" if found.unit in ("bytes", "count", "ratio") else found.unit)
    return replace(found, columns=(Column(f"{words}\n{shown}" if shown else words, rank=64),))


def metrics_of(runs: Iterable[Run]) -> list[Metric]:
    """Describe dslite's own metrics, in their order, and then those that only these runs have figures of."""
    measured: dict[tuple[str, str], None] = {}
    own: dict[tuple[str, str], Metric] = {}
    for run in runs:
        measured.update(dict.fromkeys((m.metric, m.unit) for m in run.measurements))
        for each in run.metrics:
            own.setdefault((each.name, each.unit), each)
    ours = {(each.name, each.unit) for each in table.METRICS}
    others = [named for named in measured if named not in ours]
    return [*table.METRICS, *(metric(name, unit, own.values()) for name, unit in others)]


def find(measurements: Sequence[Measurement], name: str) -> Measurement | None:
    """Return the first measurement of a metric, or None."""
    return next((m for m in measurements if m.metric == name), None)


def figures(run: Run) -> dict[str, Measurement]:
    """Index the measurements of a run by their metrics; of several of one metric, the first."""
    return {m.metric: m for m in reversed(run.measurements)}


def figure(of: Figures, about: Metric) -> Measurement | None:
    """Return what a run has of a metric, or None; a figure of that name in another unit is another metric's."""
    found = of.get(about.name)
    return found if found and found.unit == about.unit else None


def value(run: Run, name: str) -> float | None:
    """Return the value of a run's measurement, or None."""
    found = find(run.measurements, name)
    return found.value if found else None


def statistic(found: Measurement | None, name: str) -> float | None:
    """Return the value of a measurement, or one of its statistics, or None; names as of `dslite.records.Column`."""
    if found is None:
        return None
    if name == "value":
        return found.value
    told = found.statistics
    if name == "half_interval":
        low, high, median = (told.get(each) for each in ("low", "high", "p50"))
        return (high - low) / 2 / median if low is not None and high is not None and median else None
    return None if name == "std" and told.get("n", 0) <= 1 else told.get(name)


def form_of(metric: Metric, column: Column) -> forms.Form:
    """Return how figures of a column are written."""
    by_unit = "plain" if column.statistic in _WITHOUT_UNIT else forms.OF_UNITS.get(metric.unit, "plain")
    return forms.FORMS.get(column.form, forms.FORMS[by_unit])  # a plugin may ask for one that there is not


def is_point(score: Measurement) -> bool:
    """Tell whether a score's interval is one point, as where resamples have nothing to vary."""
    return "low" in score.statistics and score.statistics["low"] == score.statistics["high"]


def csv_name(metric: Metric, statistic: str) -> str:
    """Name the column of a CSV that has a figure of a metric: ``latency_p50_s``, ``uar_low``, ``size_bytes``."""
    if statistic == "n_changed":
        return "changed_decisions"
    unit = {"ratio": "", "count": "", "flop/s": "per_s"}.get(metric.unit, re.sub(r"\W+", "_", metric.unit))
    words = (metric.name, "" if statistic == "value" else statistic, "" if statistic in _WITHOUT_UNIT else unit)
    return "_".join(filter(None, words))
