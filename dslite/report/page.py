"""A sheet as one HTML file that needs no other: style, script and plots are in it, and nothing is fetched."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from html import escape
from importlib import resources
from typing import Any

from dslite.measure.validity import broken
from dslite.records import HOST, BenchReport, Run
from dslite.report import paper, plots
from dslite.report.columns import Column, count, find, milliseconds, size
from dslite.report.pareto import lowest, what_it_does
from dslite.report.sheet import SPOILED, Sheet, facts_in_words, other_flags

MOST_DRAWN = 50
"""Runs whose samples are drawn; a page of thousands of them would not open."""
MOST_POINTS = 500
"""Of a plot; its front is that of all runs."""
_MOST_GROUPS = 6
_OBJECTIVES: dict[str, tuple[str, Callable[[float], str], Callable[[float], str]]] = {
    "uar": ("UAR", lambda v: f"{v:.3f}", lambda v: f"{v:.3g}"),
    "latency": ("median latency, ms", milliseconds, lambda v: f"{v * 1e3:.4g}"),
    "size": ("size of the file", size, size),
    "macs": ("MACs", count, count),
    "memory_delta": ("memory", size, size),
}
"""Of metrics that are drawn: title, how values are written, and how round numbers along the axis are."""


def html(sheet: Sheet) -> str:
    """Write a sheet as a page; all that comes from reports is escaped."""
    parts = [
        _head(sheet),
        _summary(sheet),
        _table(sheet),
        _section("What to know of these figures", _told(sheet)),
        _section("What costs what", _scatters(sheet)),
        _section("Every run", _runs(sheet)),
        _section("What the columns mean", _meanings(sheet)),
        _section("How each figure was made", _methods(sheet)),
        _section("Machine and software", "".join(_environment(name, report) for name, report in sheet.reports)),
        _section("Made by", "".join(_origin(name, report) for name, report in sheet.reports)),
    ]
    script = resources.files("dslite.report").joinpath("assets/page.js").read_text(encoding="utf-8")
    return f"{''.join(parts)}<script>{script}</script></main></body></html>\n"


def _head(sheet: Sheet) -> str:
    style = resources.files("dslite.report").joinpath("assets/page.css").read_text(encoding="utf-8")
    title = escape(sheet.title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">'
        f"<title>{title}</title><style>{style}</style></head><body><main><h1>{title}</h1>"
    )


def _section(title: str, content: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{content}</section>" if content else ""


def _summary(sheet: Sheet) -> str:
    n_good = len(sheet.runs) - sheet.n_failed - sheet.n_not_valid
    told = "case" if len(sheet.runs) == 1 else "cases"
    cards = [(str(len(sheet.runs)), told if n_good == len(sheet.runs) else f"{told}, {n_good} of them valid", "")]
    for metric, told, write, highest in (
        ("latency", "lowest median latency", lambda v: f"{milliseconds(v)} ms", False),
        ("size", "smallest file", size, False),
        ("memory_delta", "least memory", size, False),
        ("uar", "highest UAR", lambda v: f"{v:.3f}", True),
    ):
        if found := sheet.least(metric, highest=highest):
            among = f" of the {found.among} ones" if found.among else ""
            cards.append((write(found.value), f"{told}{among}: {found.name}", ""))
    for n, told, kind in ((sheet.n_not_valid, "not valid, see below", "warn"), (sheet.n_failed, "failed", "bad")):
        if n:
            cards.append((str(n), told, kind))
    shown = "".join(_card(*card) for card in cards)
    where = dict.fromkeys(
        f"{report.environment.get('cpu', 'unknown processor')}, {report.environment.get('cpus', '?')} cores"
        for _, report in sheet.reports
    )
    on = dict.fromkeys(f"{run.device.model}, {run.device.os}" for run in sheet.runs if run.device and _is_away(run))
    targets = dict.fromkeys(run.target.partition(":")[0] for run in sheet.runs)
    times = sorted({report.created[:16].replace("T", " ") for _, report in sheet.reports})
    when = times[0] if len(times) == 1 else f"{times[0]} to {times[-1]}"
    facts = "; ".join([", ".join(targets) or "nothing", *where, *on, f"{when} UTC"])
    return f'<p class="quiet">{escape(facts)}</p><div class="cards">{shown}</div>'


def _is_away(run: Run) -> bool:
    return run.device is not None and run.device.id != HOST


def _card(value: str, told: str, kind: str) -> str:
    marked = f' class="{kind}"' if kind else ""
    return f'<div class="card"><b{marked}>{escape(value)}</b><span>{escape(told)}</span></div>'


def _plain(value: float | None) -> str:
    """Give what a cell is sorted by: seven digits tell figures apart, and a page of thousands of rows is shorter."""
    return "" if value is None or not math.isfinite(value) else f"{value:.7g}"


def _key(column: Column) -> str:
    """Give the name by which a column is sorted in the page's address."""
    return re.sub(r"[^a-z0-9]+", "-", column.name.lower().replace("±", "interval")).strip("-")


def _table(sheet: Sheet) -> str:
    headings = ['<th scope="col" data-key="name"><button type="button">case</button></th>']
    for column in sheet.columns:
        name, _, unit = column.title.partition("\n")
        headings.append(
            f'<th scope="col" data-key="{_key(column)}" title="{escape(column.meaning)}">'
            f'<button type="button">{escape(name)}</button><small>{escape(unit) or "&nbsp;"}</small></th>'
        )
    rows = "".join(_row(sheet, i) for i in range(len(sheet.runs)))
    star = f'<p class="quiet">{escape(sheet.star)}</p>' if sheet.best else ""
    table = f'<table id="runs"><thead><tr>{"".join(headings)}</tr></thead>{rows}</table>'
    dash = (
        '<p class="quiet">-: not measured, or too few runs to tell. A click on a heading sorts; a wide table scrolls '
        "sideways.</p>"
    )
    return f'<div class="wide" tabindex="0" role="region" aria-label="table of all cases">{table}</div>{dash}{star}'


def _row(sheet: Sheet, i: int) -> str:
    run, name = sheet.runs[i], sheet.names[i]
    star = '<span class="star">*</span> ' if i in sheet.best else ""
    badge = ""
    if run.error:
        badge = f'<span class="badge bad" title="{escape(run.error)}">failed</span>'
    elif reasons := broken(run):
        badge = f'<span class="badge warn" title="{escape("; ".join(reasons))}">not valid</span>'
    shown = f'<span class="name">{star}{escape(name)}</span>{badge}'
    cells = [f'<td data-value="{escape(name)}" title="{escape(name)}">{shown}</td>']
    for column in sheet.columns:
        value = column.value(run)
        cells.append(f'<td data-value="{_plain(value)}">{escape(column.cell(run))}</td>')
    kind = ' class="failed"' if run.error else ""
    lines = f"<tr{kind}>{''.join(cells)}</tr>"
    if sheet.with_paper and (figures := paper.figures_for(run)):
        theirs = (column.write(column.papers(figures)) if column.papers else "" for column in sheet.columns)
        shown = "".join(f"<td>{escape(cell)}</td>" for cell in theirs)
        lines += f'<tr class="paper"><td>paper</td>{shown}</tr>'
    return f"<tbody>{lines}</tbody>"


def _told(sheet: Sheet) -> str:
    named = zip(sheet.names, sheet.runs, strict=True)
    lines = [("bad", f"{name}: failed: {run.error}") for name, run in named if run.error]
    lines += [("warn", text) for text in (*sheet.partial(), *sheet.invalid())]
    lines += [("", text) for text in (*sheet.in_turn(), *sheet.flags())]
    if sheet.with_paper and not any(map(paper.figures_for, sheet.runs)):
        lines.append(("", paper.NO_ROW))
    lines += [("quiet", note) for note in sheet.notes()]
    items = (f'<li class="{kind}">{escape(text)}</li>' for kind, text in lines)
    return f"<ul>{''.join(items)}</ul>"


def _scatters(sheet: Sheet) -> str:
    """Draw UAR against what it costs; where it is not known, latency against the others.

    Rows are drawn together that do the same: the same part, on the same target, as for the stars.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for i, run in enumerate(sheet.runs):
        if not run.error:
            groups.setdefault(what_it_does(run), []).append(i)
    models = {run.device.model for run in sheet.runs if run.device and not run.error}
    drawn = [(group, text) for group, among in groups.items() if (text := _plots(sheet, among))]
    if not drawn:
        return ""
    text_of_all = "".join(text for _, text in drawn[:_MOST_GROUPS])
    has_uar = any(find(run, "uar") for run in sheet.runs)
    is_marked = re.search('class="[^"]*best', text_of_all)
    told = f"Orange: no other row is better in both{'' if has_uar else '; accuracy is not in it'}." if is_marked else ""
    told += " Dashed: the line through these." if 'class="front"' in text_of_all else ""
    told += " Rings: not valid, so not judged by latency." if 'hollow"' in text_of_all else ""
    told += " Upright lines: 95 % intervals of the UAR." if 'class="reach"' in text_of_all else ""
    more = f" Of {len(drawn)} targets and parts, the first {_MOST_GROUPS} are drawn." if drawn[_MOST_GROUPS:] else ""
    shown = (
        f'{f"<h3>{escape(_group(group, models))}</h3>" if len(groups) > 1 else ""}<div class="plots">{text}</div>'
        for group, text in drawn[:_MOST_GROUPS]
    )
    return f'<p class="quiet">{told} Axes that span much are logarithmic.{more}</p>{"".join(shown)}'


def _group(group: Sequence[str], models: set[str]) -> str:
    part, target, *device = group
    return f"{part} on {target}" + (f", {device[0]}" if device and len(models) > 1 else "")


def _plots(sheet: Sheet, among: Sequence[int]) -> str:
    up = "uar" if any(find(sheet.runs[i], "uar") for i in among) else "latency"
    return "".join(_scatter(sheet, among, metric, up) for metric in _OBJECTIVES if metric not in (up, "uar"))


def _scatter(sheet: Sheet, among: Sequence[int], metric: str, up: str) -> str:
    known = {
        i: (across.value, rise)
        for i in among
        if (across := find(sheet.runs[i], metric)) and (rise := find(sheet.runs[i], up))
        if math.isfinite(across.value) and math.isfinite(rise.value)
    }
    if len(known) < 2:  # noqa: PLR2004 - a plot of one point says nothing
        return ""
    judged = [i for i in known if not (SPOILED & {metric, up} and broken(sheet.runs[i]))]
    best = lowest({i: (known[i][0], known[i][1].value * (-1 if up == "uar" else 1)) for i in judged})
    shown = sorted(known, key=lambda i: i not in best)[:MOST_POINTS]
    title, write, tick = _OBJECTIVES[metric]
    y_title, y_write, y_tick = _OBJECTIVES[up]
    x = plots.Axis(title, tuple(known[i][0] for i in shown), write, tick)
    reach = tuple(_interval(known[i][1].statistics) for i in shown) if up == "uar" else ()
    y = plots.Axis(y_title, tuple(known[i][1].value for i in shown), y_write, y_tick, reach)
    positions = {i: at for at, i in enumerate(shown)}
    marked = frozenset(positions[i] for i in shown if i in best)
    hollow = frozenset(positions[i] for i in shown if broken(sheet.runs[i]))
    drawn = plots.scatter(x, y, [sheet.names[i] for i in shown], marked, hollow)
    left_out = len(known) - len(shown)
    told = f"<figcaption>Of {len(known)} points, {len(shown)} are drawn; the line is of all.</figcaption>"
    return f"<figure>{drawn}{told if left_out else ''}</figure>"


def _interval(statistics: dict[str, float]) -> tuple[float, float] | None:
    ends = (statistics.get("low", math.nan), statistics.get("high", math.nan))
    return ends if all(map(math.isfinite, ends)) else None


def _runs(sheet: Sheet) -> str:
    drawn = "".join(_run(sheet.names[i], run) for i, run in enumerate(sheet.runs[:MOST_DRAWN]))
    more = len(sheet.runs) - MOST_DRAWN
    told = f'<p class="quiet">Of {len(sheet.runs)} runs, the first {MOST_DRAWN} are drawn.</p>' if more > 0 else ""
    how = (
        '<p class="quiet">Above: how often each latency was taken, the slowest hundredth in the last bar, and the '
        "median. Below: in their order; of long series, medians of neighbours.</p>"
    )
    return f'{told}{how}<div class="runs">{drawn}</div>'


def _run(name: str, run: Run) -> str:
    parts = [f"<h3>{escape(name)}</h3>"]
    latency = find(run, "latency")
    samples = [sample for sample in latency.samples if math.isfinite(sample)] if latency else []
    if samples:
        parts += [plots.histogram(samples, _milliseconds), plots.series(samples, _milliseconds)]
    if latency and latency.statistics:
        parts.append(f"<p>{escape(_in_figures(latency.statistics))}</p>")
    if run.error:
        parts.append(f'<p class="bad">failed: {escape(run.error)}</p>')
    if reasons := broken(run):
        parts.append(f'<p class="warn">not valid because {escape("; ".join(reasons))}</p>')
    parts += [f"<p>{escape(text)}</p>" for text in other_flags(run)]
    facts: dict[str, Any] = {"target": run.target, "threads": run.plan.threads, **run.conditions}
    if run.device:
        facts |= {"device": run.device.model, "os": run.device.os, **run.device.state}
    facts["sha256"] = run.artifact.sha256 or None
    parts.append(f"<details><summary>conditions</summary>{_facts(facts)}</details>")
    return f"<article>{''.join(parts)}</article>"


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


def _meanings(sheet: Sheet) -> str:
    return _definitions((column.name, column.meaning) for column in sheet.columns)


def _methods(sheet: Sheet) -> str:
    return _definitions(sheet.methods())


def _environment(name: str, report: BenchReport) -> str:
    return f"<details open><summary>{escape(name)}</summary>{_facts(report.environment)}</details>"


def _origin(name: str, report: BenchReport) -> str:
    code = f", commit {report.commit}" if report.commit else ""
    told = escape(f"{name}: {report.created}, dslite {report.dslite}{code}, report of schema {report.schema}")
    return f"<p>{told}</p><pre>{escape(report.command)}</pre>"


def _facts(facts: dict[str, Any]) -> str:
    return _definitions(facts_in_words(facts))


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    items = (f"<dt>{escape(name)}</dt><dd>{escape(what)}</dd>" for name, what in pairs)
    return f"<dl>{''.join(items)}</dl>"
