"""What a document made of reports shows: its rows, their columns, and what is said of them."""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dslite.codec import flattened
from dslite.measure.validity import broken, is_rule
from dslite.records import BenchReport, Run
from dslite.report.columns import (
    COLUMNS,
    DASH,
    Column,
    find,
    flag_messages,
    latency,
    metric,
    milliseconds,
    not_valid,
    size,
    some,
    titles,
)
from dslite.report.compare_table import in_words
from dslite.report.pairing import Pair, pairs_in_turn, partial_ones
from dslite.report.pareto import optimal, told
from dslite.report.table import notes

_UAR = Column(
    *("UAR", metric("uar"), lambda v: DASH if v is None else f"{v:.3f}"),
    meaning="unweighted average recall: the mean of the recalls of all classes",
)
_GZIP = Column("gzip\nsize", metric("gzip_size"), size, meaning="of the file, compressed by gzip")
_MORE_PERCENTILES = tuple(
    Column(f"p{p}\nms", latency(f"p{p}"), milliseconds, meaning=f"{p} % of the timed runs were faster")
    for p in (5, 95, 99)
)
_FIRST = ("p50", "±", "size", "memory", "MACs", "params")
"""What models are chosen by stands on the left: a narrow window, or the eye, may see no more."""
_FIGURES = re.compile(r"\d+(?:[.,]\d+)*")
_MANY = ("turns", "clocks")
"""Conditions that nobody reads; the report has them."""
SPOILED = frozenset({"latency"})
"""What a run that is not valid says too much or too little of."""


@dataclass(frozen=True, slots=True)
class Least:
    """The lowest, or highest, figure of a sheet.

    Attributes:
        name: of the run that has it, and how many more do.
        value: the figure.
        among: what it was looked for among, ``whole`` files or ``valid`` runs; empty: all.
    """

    name: str
    value: float
    among: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One or several reports, ready to be laid out.

    Attributes:
        title: of the document.
        reports: each with the name of its file.
        runs: of all of them, in their order.
        names: of the runs.
        columns: those in which a run has a figure.
        best: positions of the Pareto-optimal runs.
        star: what these are, in words; empty where there are none.
        with_paper: whether the paper's figures are shown.
    """

    title: str
    reports: tuple[tuple[str, BenchReport], ...]
    runs: tuple[Run, ...]
    names: tuple[str, ...]
    columns: tuple[Column, ...]
    best: frozenset[int]
    star: str
    with_paper: bool

    @property
    def n_failed(self) -> int:
        """Count the runs with an error."""
        return sum(run.error is not None for run in self.runs)

    @property
    def n_not_valid(self) -> int:
        """Count the others that break a rule."""
        return sum(run.error is None and bool(broken(run)) for run in self.runs)

    def invalid(self) -> list[str]:
        """Say which runs are not valid, and why."""
        return not_valid(self.runs, self.names)

    def flags(self) -> list[str]:
        """Give what a reader must know besides."""
        return flag_messages(self.runs, self.names)

    def partial(self) -> tuple[str, ...]:
        """Say of the reports that are not whole what is missing."""
        return partial_ones(self.reports)

    def in_turn(self) -> list[str]:
        """Say of rows that took turns how each compares with the first of its report."""
        return self._of_reports(in_words)

    def turns(self) -> dict[int, Pair]:
        """Give of each run, by its position, how it compares with the one that it took turns with."""
        positions = {id(run): i for i, run in enumerate(self.runs)}
        pairs = (pair for _, report in self.reports for pair in pairs_in_turn(report))
        return {positions[id(pair.after)]: pair for pair in pairs}

    def notes(self) -> list[str]:
        """Say what the figures stand for, each sentence once, with the reports it is true of where not of all."""
        return self._of_reports(notes)

    def _of_reports(self, told: Callable[[BenchReport], list[str]]) -> list[str]:
        of: dict[str, list[str]] = {}
        for name, report in self.reports:
            for text in told(report):
                of.setdefault(text, []).append(name)
        return [text if len(names) == len(self.reports) else f"{some(names)}: {text}" for text, names in of.items()]

    def least(self, metric: str, *, highest: bool = False) -> Least | None:
        """Find the run with the lowest, or highest, figure: among whole files if there are any.

        Runs that are not valid count for what they cannot spoil: a size stays a size.
        """
        measured = [
            (i, m.value)
            for i, run in enumerate(self.runs)
            if (m := find(run, metric)) and math.isfinite(m.value) and not run.error
        ]
        whole = [(i, value) for i, value in measured if self.runs[i].artifact.part == "whole"] or measured
        valid = [(i, value) for i, value in whole if metric not in SPOILED or not broken(self.runs[i])]
        if not valid:
            return None
        value = (max if highest else min)(value for _, value in valid)
        first, *others = [i for i, each in valid if each == value]
        among = [*(["valid"] if len(valid) < len(whole) else []), *(["whole"] if len(whole) < len(measured) else [])]
        return Least(self.names[first] + (f" and {len(others)} more" if others else ""), value, " and ".join(among))

    def methods(self) -> list[tuple[str, str]]:
        """Give of each metric how it was measured: one text where all agree, or differ in figures alone, else several.

        Returns:
            Metrics with texts; where one has several, these begin with the rows that they are true of.
        """
        texts: dict[str, dict[str, list[tuple[str, str]]]] = {}
        for name, run in zip(self.names, self.runs, strict=True):
            for m in run.measurements:
                texts.setdefault(m.metric, {}).setdefault(_FIGURES.sub("", m.method), []).append((name, m.method))
        found = []
        for measured, kinds in texts.items():
            for rows in kinds.values():
                names, methods = list(dict.fromkeys(name for name, _ in rows)), {method for _, method in rows}
                whose = f"{some(names)}: " if len(kinds) > 1 else ""
                others = f" ({names[0]}; of others, figures in it differ)" if len(methods) > 1 else ""
                found.append((measured, f"{whose}{rows[0][1]}{others}"))
        return found


def sheet(reports: Sequence[tuple[str, BenchReport]], title: str | None = None, *, with_paper: bool = False) -> Sheet:
    """Put reports together.

    Args:
        reports: each with the name of its file.
        title: of the document; None: one is made.
        with_paper: whether the paper's figures are shown beside.
    """
    runs = tuple(run for _, report in reports for run in report.runs)
    names = [name for _, report in reports for name in titles(report.runs)]
    if len(reports) > 1:
        short = [name.removesuffix(".json") for name, _ in reports]
        called = short if len(set(short)) == len(short) else [name for name, _ in reports]
        of = [name for name, (_, report) in zip(called, reports, strict=True) for _ in report.runs]
        names = [f"{name} ({report})" for name, report in zip(names, of, strict=True)]
    by_name, (p5, p95, p99) = {column.name: column for column in COLUMNS}, _MORE_PERCENTILES
    ordered = [
        _UAR,
        *(by_name[name] for name in _FIRST),
        *(p5, by_name["p90"], p95, p99),
        *(column for column in COLUMNS if column.name not in (*_FIRST, "p90")),
        _GZIP,
    ]
    used = tuple(column for column in ordered if any(column.value(run) is not None for run in runs))
    backbones = sorted({run.artifact.backbone for run in runs if run.artifact.backbone})
    made = f"dslite: {backbones[0] if len(backbones) == 1 else f'{len(runs)} cases measured'}"
    best, objectives = optimal(runs)
    star = told(objectives, runs)
    return Sheet(title or made, tuple(reports), runs, tuple(names), used, frozenset(best), star, with_paper)


def other_flags(run: Run) -> list[str]:
    """Give the messages of a run's flags that do not make it invalid."""
    return [flag.message for flag in run.flags if not is_rule(flag)]


def facts_in_words(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give facts of an environment, a device or conditions as pairs of words; what is not known is left out."""
    for name, value in flattened({name: fact for name, fact in facts.items() if name not in _MANY}).items():
        if value is not None:
            yield name, value if isinstance(value, str) else json.dumps(value)
