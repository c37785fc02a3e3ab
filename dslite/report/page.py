"""A view as one HTML file that needs no other: style, script and plots are in it, and nothing is fetched."""

import math
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from importlib import resources
from typing import Any

from jinja2 import Environment

from dslite.measure.validity import broken
from dslite.metrics import Figures, figure, form_of
from dslite.metrics.forms import milliseconds
from dslite.records import HOST, Metric
from dslite.report import paper, plots
from dslite.report.names import numbered
from dslite.report.pareto import exactly, front, what_it_does
from dslite.report.view import Shown, View, facts_in_words, other_flags

MOST_DRAWN = 50
"""Runs whose samples are drawn; a page of thousands of them would not open."""
MOST_POINTS = 500
"""Of a plot; its front is that of all runs."""
_MOST_GROUPS = 6
_LEAST, _MOST = 1e-100, 1e100
_SCORE = "uar"
"""What other metrics are drawn against, where it is known; else the latency."""


def html(view: View) -> str:
    """Write a view as a page; all that comes from reports is escaped."""
    columns = view.columns("document")
    groups, legend = _groups(view)
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_asset("page.html"))
    return template.render(
        view=view,
        style=_asset("page.css"),
        script=_asset("page.js"),
        summary=_summary(view),
        cards=_cards(view),
        headings=[
            (key, *shown.title().partition("\n")[::2], shown.meaning)
            for key, shown in zip(numbered(map(_key, columns)), columns, strict=True)
        ],
        rows=_rows(view, columns),
        lines=_lines(view),
        groups=groups,
        legend=legend,
        articles=[_article(view, i) for i in range(min(MOST_DRAWN, len(view.runs)))],
        meanings=[(shown.name, shown.meaning) for shown in columns],
        facts_in_words=facts_in_words,
    )


def _asset(name: str) -> str:
    return resources.files("dslite.report").joinpath("assets", name).read_text(encoding="utf-8")


def _summary(view: View) -> str:
    """Say where and when was measured."""
    where = dict.fromkeys(
        f"{report.environment.get('cpu', 'unknown processor')}, {report.environment.get('cpus', '?')} cores"
        for _, report in view.reports
    )
    devices = (run.device for run in view.runs if run.device and run.device.id != HOST)
    on = dict.fromkeys(f"{device.model}, {device.os}" for device in devices)
    targets = dict.fromkeys(run.target.partition(":")[0] for run in view.runs)
    times = sorted({report.created[:16].replace("T", " ") for _, report in view.reports})
    when = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
    return "; ".join([", ".join(targets) or "nothing", *where, *on, f"{when} UTC"])


def _cards(view: View) -> list[tuple[str, str, str]]:
    """Give what stands on top, each with what it is and how it is marked: how many runs, and the best of them."""
    n_good = len(view.runs) - view.n_failed - view.n_not_valid
    rows = "row" if len(view.runs) == 1 else "rows"
    cards = [(str(len(view.runs)), rows if n_good == len(view.runs) else f"{rows}, {n_good} of them valid", "")]
    for metric in view.metrics:
        if metric.best and (found := view.best_of(metric)):
            among = f" of the {found.among} ones" if found.among else ""
            cards.append((_written(metric, found.value), f"{metric.best}{among}: {found.name}", ""))
    counts = (view.n_not_valid, "not valid, see below", "warn"), (view.n_failed, "failed", "bad")
    return cards + [(str(n), told, kind) for n, told, kind in counts if n]


def _written(metric: Metric, value: float) -> str:
    """Write a value with its unit."""
    form = form_of(metric, metric.columns[0])
    unit = metric.columns[0].title.partition("\n")[2]
    return f"{form.write(value)} {unit}".strip()


def _key(shown: Shown) -> str:
    """Give the name by which a column is sorted in the page's address."""
    return re.sub(r"[^a-z0-9]+", "-", shown.name.lower().replace("±", "interval")).strip("-")


def _rows(view: View, columns: Sequence[Shown]) -> Iterator[dict[str, Any]]:
    for i, (name, run, of) in enumerate(zip(view.names, view.runs, view.figures, strict=True)):
        theirs = view.of_paper[i] if view.with_paper else None
        yield {
            "name": name,
            "star": i in view.best,
            "error": run.error,
            "reasons": view.reasons[i],
            "cells": [(_plain(shown.value(of)), shown.cell(of)) for shown in columns],
            "paper": theirs and [shown.of_paper(theirs) for shown in columns],
        }


def _plain(value: float | None) -> str:
    """Give what a cell is sorted by: seven digits tell figures apart, and a page of thousands of rows is shorter."""
    return "" if value is None or not math.isfinite(value) else f"{value:.7g}"


def _lines(view: View) -> list[tuple[str, str]]:
    """Give what must be known of the figures, each with how it is marked."""
    lines = [
        ("bad", f"{name}: failed: {run.error}") for name, run in zip(view.names, view.runs, strict=True) if run.error
    ]
    lines += [("warn", text) for text in (*view.partial(), *view.invalid())]
    lines += [("", text) for text in (*view.in_turn(), *view.flags())]
    if view.with_paper and not any(view.of_paper):
        lines.append(("", paper.NO_ROW))
    return lines + [("quiet", note) for note in view.notes()]


# -- plots ------------------------------------------------------------------------------------------------


def _groups(view: View) -> tuple[list[tuple[str, list[tuple[str, str]]]], str]:
    """Draw UAR against what it costs; where it is not known, latency against the others.

    Rows are drawn together that do the same: the same part, on the same target, as for the stars.

    Returns:
        Of each group its title, and its plots, each with what is told under it; and what is told above all of them.
    """
    among: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, run in enumerate(view.runs):
        if not run.error:
            among[what_it_does(run)].append(i)
    models = {run.device.model for run in view.runs if run.device and not run.error}
    drawn = [(group, found) for group, rows in among.items() if (found := _plots(view, rows))]
    shown = drawn[:_MOST_GROUPS]
    text = "".join(svg for _, figures in shown for svg, _ in figures)
    judged = "." if any(_SCORE in of for of in view.figures) else "; accuracy is not in it."
    told = (
        ('class="best' in text, f"Orange: no other row is better in both{judged}"),
        ('class="front"' in text, " Dashed: the line through these."),
        ('hollow"' in text, " Rings: not valid, so not judged by latency."),
        ('class="reach"' in text, " Upright lines: 95 % intervals of the UAR."),
        (True, " Axes that span much are logarithmic."),
        (drawn[_MOST_GROUPS:], f" Of {len(drawn)} targets and parts, the first {_MOST_GROUPS} are drawn."),
    )
    titled = [(_title(group, models) if len(among) > 1 else "", figures) for group, figures in shown]
    return titled, "".join(words for is_so, words in told if is_so).strip()


def _title(group: Sequence[str], models: set[str]) -> str:
    part, target, *device = group
    return f"{part} on {target}" + (f", {device[0]}" if device and len(models) > 1 else "")


def _plots(view: View, rows: Sequence[int]) -> list[tuple[str, str]]:
    drawn = {metric.name: metric for metric in view.metrics if metric.axis}
    up = drawn.pop(_SCORE)
    if not any(_SCORE in view.figures[i] for i in rows):
        up = drawn.pop("latency")
    return [found for metric in drawn.values() if (found := _scatter(view, rows, metric, up))]


def _scatter(view: View, rows: Sequence[int], across: Metric, up: Metric) -> tuple[str, str] | None:
    known = {i: point for i in rows if (point := _point(view.figures[i], across, up))}
    if len(known) < 2:  # noqa: PLR2004 - a plot of one point says nothing
        return None
    is_spoiled = across.is_spoiled or up.is_spoiled
    judged = [i for i in known if not (is_spoiled and view.reasons[i])]
    axes = [exactly([known[i][axis] for i in judged], metric.better) for axis, metric in enumerate((across, up))]
    best = {judged[at] for at in front(axes)} if judged else set()
    shown = sorted(known, key=lambda i: i not in best)[:MOST_POINTS][::-1]
    reach = [_interval(view.figures[i][up.name].statistics) for i in shown] if up.name == _SCORE else []
    drawn = plots.scatter(
        " ".join([*what_it_does(view.runs[rows[0]]), across.name]),
        plots.axis(across, [known[i][0] for i in shown]),
        plots.axis(up, [known[i][1] for i in shown], reach),
        [view.names[i] for i in shown],
        {at for at, i in enumerate(shown) if i in best},
        {at for at, i in enumerate(shown) if view.reasons[i]},
    )
    left_out = len(known) - len(shown)
    return drawn, f"Of {len(known)} points, {len(shown)} are drawn; the line is of all." if left_out else ""


def _point(of: Figures, across: Metric, up: Metric) -> tuple[float, float] | None:
    x, y = figure(of, across), figure(of, up)
    return (x.value, y.value) if x and y and _can_be_drawn(x.value) and _can_be_drawn(y.value) else None


def _can_be_drawn(value: float) -> bool:
    """Tell whether an axis can have a value: far from where floats end, within which its margins must stay."""
    return value == 0 or _LEAST <= abs(value) <= _MOST


def _interval(statistics: dict[str, float]) -> tuple[float, float] | None:
    ends = (statistics.get("low", math.nan), statistics.get("high", math.nan))
    return ends if all(map(math.isfinite, ends)) else None


# -- runs -------------------------------------------------------------------------------------------------


def _article(view: View, i: int) -> dict[str, Any]:
    """Give what is shown of one run."""
    run, latency = view.runs[i], view.figures[i].get("latency")
    samples = [sample for sample in latency.samples if math.isfinite(sample)] if latency else []
    facts: dict[str, Any] = {"target": run.target, "threads": run.plan.threads, **run.conditions}
    if run.device:
        facts |= {"device": run.device.model, "os": run.device.os, **run.device.state}
    facts["sha256"] = run.artifact.sha256 or None
    return {
        "name": view.names[i],
        "drawn": plots.histogram(samples, _milliseconds) + plots.series(samples, _milliseconds) if samples else "",
        "statistics": _in_figures(latency.statistics) if latency else "",
        "error": run.error,
        "reasons": "; ".join(broken(run)),
        "flags": other_flags(run),
        "facts": list(facts_in_words(facts)),
    }


def _milliseconds(value: float) -> str:
    return f"{milliseconds(value)} ms"


def _in_figures(statistics: dict[str, float]) -> str:
    told = [f"{statistics['n']:.0f} runs"] if "n" in statistics else []
    if "p50" in statistics:
        interval = (
            f" ({milliseconds(statistics['low'])} to {milliseconds(statistics['high'])})" if "low" in statistics else ""
        )
        told.append(f"median {milliseconds(statistics['p50'])} ms{interval}")
    told += [f"{name} {milliseconds(statistics[name])}" for name in ("p5", "p90", "p95", "p99") if name in statistics]
    if "outliers" in statistics:
        told.append(f"{statistics['outliers']:.0f} outliers")
    return ", ".join(told)
