"""What is shown of reports: rows, their names, columns and stars, and what is said of them. All renderers read this."""

import itertools
import json
import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from dslite.codec import flattened
from dslite.measure.validity import broken, is_rule
from dslite.metrics import ALL_ALIKE, Figures, figure, figures, form_of, is_point, metric, metrics_of, statistic
from dslite.metrics.forms import DASH
from dslite.metrics.table import METRICS
from dslite.records import BenchReport, Column, Measurement, Metric, Run, Table
from dslite.report import names, notes, pareto
from dslite.report.comparison import Pair, in_words, pairs_in_turn, partial_ones
from dslite.report.paper import PaperFigures, figures_for

_DIGITS = re.compile(r"\d+(?:[.,]\d+)*")
_MANY = ("turns", "clocks")
"""Conditions that nobody reads; the report has them."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A column of a table, with the metric whose figures stand in it."""

    metric: Metric
    column: Column

    @property
    def name(self) -> str:
        """Give the heading without its unit."""
        return self.column.title.partition("\n")[0]

    @property
    def meaning(self) -> str:
        """Say what it is."""
        return self.column.meaning or self.metric.meaning or self.name

    def title(self, *, bare: bool = False) -> str:
        """Give the heading, with its unit on a second line, and with what stands in brackets."""
        brackets = self.column.brackets
        return f"{self.column.title} ({brackets})" if brackets and not bare else self.column.title

    def value(self, of: Figures) -> float | None:
        """Give the figure of a run in SI units, or None."""
        return statistic(figure(of, self.metric), self.column.statistic)

    def write(self, number: float | None) -> str:
        """Write a figure."""
        return DASH if number is None else form_of(self.metric, self.column).write(number)

    def cell(self, of: Figures, *, bare: bool = False) -> str:
        """Write what a run has here, with what stands in brackets."""
        number = self.value(of)
        if number is None:
            return DASH
        if self.column.of:
            whole = of.get(self.column.of)
            return DASH if whole is None else f"{self.write(number)}/{self.write(whole.value)}"
        found = figure(of, self.metric) if self.column.brackets and not bare else None
        within = self._within(found) if found else ""
        return self.write(number) + (f" ({within})" if within else "")

    def _within(self, found: Measurement) -> str:
        """Write what stands in brackets behind a figure."""
        low, high = found.statistics.get("low"), found.statistics.get("high")
        if found.statistics.get("n_changed") == 0:
            return ALL_ALIKE
        if low is None or high is None:  # of one file
            return ""
        if self.metric.name == "uar" and is_point(found):
            return DASH
        return f"{self.write(low).rstrip('x')} to {self.write(high).rstrip('x')}"

    def of_paper(self, theirs: PaperFigures) -> str:
        """Write the paper's figure; nothing where the paper has no such column."""
        return self.write(getattr(theirs, self.column.paper, None)) if self.column.paper else ""


def columns_of(metrics: Sequence[Metric]) -> list[Shown]:
    """Give all columns that metrics have."""
    return [Shown(each, column) for each in metrics for column in each.columns]


SORTABLE = ("name", *(shown.name.lower() for shown in columns_of(METRICS) if "bench" in shown.column.tables))
"""What rows of a bench are ordered by; besides the metrics that targets bring."""


@dataclass(frozen=True, slots=True)
class Best:
    """The best figure of a view.

    Attributes:
        name: of the run that has it, and how many more do.
        value: the figure.
        among: what it was looked for among, ``whole`` files or ``valid`` runs; empty: all.
    """

    name: str
    value: float
    among: str


@dataclass(frozen=True)
class View:
    """One or several reports, ready to be laid out.

    Attributes:
        title: of the document.
        reports: each with the name of its file.
        runs: of all of them, in their order.
        names: of the runs.
        figures: of each run, by their metrics.
        metrics: dslite's own, and those that only these runs have.
        best: positions of the Pareto-optimal runs.
        judged: positions of those that could be.
        star: what a star is, in words; empty where there is none, or the notes say it.
        with_paper: whether the paper's figures are shown.
    """

    title: str
    reports: tuple[tuple[str, BenchReport], ...]
    runs: tuple[Run, ...]
    names: tuple[str, ...]
    figures: tuple[Figures, ...]
    metrics: tuple[Metric, ...]
    best: frozenset[int]
    judged: frozenset[int]
    star: str
    with_paper: bool

    def columns(self, table: Table, stays: Collection[str] = ()) -> list[Shown]:
        """Give the columns of a table, in the order of their metrics for the terminal of a bench, else by their rank.

        Args:
            table: a document has those with a figure; of others, some are there in any case.
            stays: names of columns that are there too, where a run has a figure.
        """
        asked = (s for s in columns_of(self.metrics) if table in s.column.tables or s.name.lower() in stays)
        found = [
            shown
            for shown in asked
            if (table != "document" and not shown.column.optional)
            or any(shown.value(of) is not None for of in self.figures)
        ]
        return found if table == "bench" else sorted(found, key=lambda shown: -shown.column.rank)

    @cached_property
    def reasons(self) -> tuple[str, ...]:
        """Say of each run why it is not valid, nothing of one that is, or failed."""
        return tuple("" if run.error else "; ".join(broken(run)) for run in self.runs)

    @cached_property
    def of_paper(self) -> tuple[PaperFigures | None, ...]:
        """Give of each run what the paper measured of the same."""
        return tuple(map(figures_for, self.runs))

    @property
    def n_failed(self) -> int:
        """Count the runs with an error."""
        return sum(run.error is not None for run in self.runs)

    @property
    def n_not_valid(self) -> int:
        """Count the others that break a rule."""
        return sum(map(bool, self.reasons))

    def failed(self) -> list[str]:
        """Say which runs failed, and why."""
        return [f"{name}: {run.error}" for name, run in zip(self.names, self.runs, strict=True) if run.error]

    def invalid(self) -> list[str]:
        """Say which runs are not valid, and why."""
        return names.not_valid(self.runs, self.names)

    def flags(self) -> list[str]:
        """Give what a reader must know besides."""
        found, runs_of_benches, names_of_benches, waiting = [], list[Run](), list[str](), iter(self.names)
        for _, report in self.reports:
            called = [*itertools.islice(waiting, len(report.runs))]
            if names.is_experiment(report):
                found += notes.flags_of_trials(report.runs, called)
            else:
                runs_of_benches += report.runs
                names_of_benches += called
        return [*names.flag_messages(runs_of_benches, names_of_benches), *found]

    def partial(self) -> tuple[str, ...]:
        """Say of the reports that are not whole what is missing."""
        return partial_ones(self.reports)

    def in_turn(self) -> list[str]:
        """Say of rows that took turns how each compares with the first of its report; of experiments, columns do."""
        return self._of_reports(lambda report: [] if names.is_experiment(report) else in_words(report))

    def turns(self) -> dict[int, Pair]:
        """Give of each run, by its position, how it compares with the one that it took turns with."""
        positions = {id(run): i for i, run in enumerate(self.runs)}
        pairs = (pair for _, report in self.reports for pair in pairs_in_turn(report))
        return {positions[id(pair.after)]: pair for pair in pairs}

    def notes(self) -> list[str]:
        """Say what the figures stand for, each sentence once, with the reports it is true of where not of all."""
        return self._of_reports(notes.of_report)

    def _of_reports(self, told: Callable[[BenchReport], list[str]]) -> list[str]:
        of: dict[str, list[str]] = {}
        for name, report in self.reports:
            for text in told(report):
                of.setdefault(text, []).append(name)
        every = len(self.reports)
        return [text if len(those) == every else f"{names.some(those)}: {text}" for text, those in of.items()]

    def best_of(self, about: Metric) -> Best | None:
        """Find the run with the best figure of a metric: among whole files if there are any.

        Runs that are not valid count for what they cannot spoil: a size stays a size.
        """
        measured = [
            (i, found.value)
            for i, (run, of) in enumerate(zip(self.runs, self.figures, strict=True))
            if (found := figure(of, about)) and math.isfinite(found.value) and not run.error
        ]
        whole = [(i, value) for i, value in measured if self.runs[i].artifact.part == "whole"] or measured
        valid = [(i, value) for i, value in whole if not about.is_spoiled or not self.reasons[i]]
        if not valid:
            return None
        value = (max if about.better == "higher" else min)(value for _, value in valid)
        first, *others = [i for i, each in valid if each == value]
        among = [*(["valid"] if len(valid) < len(whole) else []), *(["whole"] if len(whole) < len(measured) else [])]
        return Best(self.names[first] + (f" and {len(others)} more" if others else ""), value, " and ".join(among))

    def methods(self) -> list[tuple[str, str]]:
        """Give of each metric how it was measured: one text where all agree, or differ in figures alone, else several.

        Returns:
            Metrics with texts; where one has several, these begin with the rows that they are true of.
        """
        shape_of = cache(lambda method: _DIGITS.sub("", method))
        texts: dict[str, dict[str, dict[str, dict[str, None]]]] = {}
        for name, run in zip(self.names, self.runs, strict=True):
            for m in run.measurements:
                rows = texts.setdefault(m.metric, {}).setdefault(shape_of(m.method), {})
                rows.setdefault(m.method, {})[name] = None
        found = []
        for measured, shapes in texts.items():
            for of_method in shapes.values():
                first = next(iter(of_method))
                everyone = list(dict.fromkeys(name for rows in of_method.values() for name in rows))
                whose = f"{names.some(everyone)}: " if len(shapes) > 1 else ""
                others = f" ({everyone[0]}; of others, figures in it differ)" if len(of_method) > 1 else ""
                found.append((measured, f"{whose}{first}{others}"))
        return found


def view(reports: Sequence[tuple[str, BenchReport]], title: str | None = None, *, with_paper: bool = False) -> View:
    """Put reports together.

    Args:
        reports: each with the name of its file.
        title: of the document; None: one is made.
        with_paper: whether the paper's figures are shown beside.
    """
    runs = tuple(run for _, report in reports for run in report.runs)
    called = [names.of_rows(report) for _, report in reports]
    if len(reports) > 1:
        short = [name.removesuffix(".json") for name, _ in reports]
        short = short if len(set(short)) == len(short) else [name for name, _ in reports]
        called = [[f"{name} ({report})" for name in rows] for rows, report in zip(called, short, strict=True)]
    known = tuple(map(figures, runs))
    best, judged, star = _stars(reports, known)
    backbones = sorted({run.artifact.backbone for run in runs if run.artifact.backbone})
    made = f"dslite: {backbones[0] if len(backbones) == 1 else f'{len(runs)} rows measured'}"
    title, row_names, metrics = title or made, tuple(itertools.chain(*called)), tuple(metrics_of(runs))
    stars = (frozenset(best), frozenset(judged), star)
    return View(title, tuple(reports), runs, row_names, known, metrics, *stars, with_paper)


def _stars(reports: Sequence[tuple[str, BenchReport]], known: Sequence[Figures]) -> tuple[set[int], set[int], str]:
    """Find the Pareto-optimal rows: of benches among all of them, of each experiment among its own."""
    best, judged, of_benches, begin = set[int](), set[int](), list[int](), 0
    for _, report in reports:
        if names.is_experiment(report):
            best |= {begin + i for i in pareto.optimal_trials(report.runs)}
            judged |= {begin + i for i in pareto.judged_trials(report.runs)}
        else:
            of_benches += range(begin, begin + len(report.runs))
        begin += len(report.runs)
    runs = [run for _, report in reports for run in report.runs]
    benched = [runs[i] for i in of_benches]
    found, objectives = pareto.optimal(benched, [known[i] for i in of_benches])
    if objectives:
        judged |= {i for i in of_benches if not runs[i].error and not broken(runs[i])}
    return best | {of_benches[i] for i in found}, judged, pareto.told(objectives, benched)


def ordered(runs: Sequence[Run], by: str, *, descending: bool = False) -> list[Run]:
    """Put runs in the order of a column, by its name; those without a value there come last.

    Args:
        runs: of a bench.
        by: one of `SORTABLE`, or the column or the name of a metric that a target has brought. Where no run has such a
            figure, they stay as they are.
        descending: highest first.
    """
    if by == "name":
        called = sorted(zip(names.titles(runs), range(len(runs)), strict=True), reverse=descending)
        return [runs[i] for _, i in called]
    found = columns_of(metrics_of(runs))
    shown = next((each for each in found if by in (each.name.lower(), each.metric.name)), None)
    if shown is None:
        return list(runs)
    numbered = [(shown.value(figures(run)), run) for run in runs]
    there = sorted(((n, run) for n, run in numbered if n is not None), key=lambda pair: pair[0], reverse=descending)
    return [run for _, run in (*there, *((n, run) for n, run in numbered if n is None))]


def sortable(own: Sequence[Metric]) -> list[str]:
    """Name the columns of metrics that targets describe, besides `SORTABLE`."""
    return [shown.name.lower() for each in own for shown in columns_of([metric(each.name, each.unit, own)])]


def other_flags(run: Run) -> list[str]:
    """Give the messages of a run's flags that do not make it invalid."""
    return [flag.message for flag in run.flags if not is_rule(flag)]


def facts_in_words(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give facts of an environment, a device or conditions as pairs of words; what is not known is left out."""
    for name, fact in flattened({name: fact for name, fact in facts.items() if name not in _MANY}).items():
        if fact is not None:
            yield name, fact if isinstance(fact, str) else json.dumps(fact)
