"""A sheet as one HTML file that needs no other: style, script and plots are in it, and nothing is fetched."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from importlib import resources
from typing import Any

from dslite.measure.figures import find
from dslite.measure.validity import broken
from dslite.records import BenchReport, Run
from dslite.report import paper, plots
from dslite.report.columns import Column, count, milliseconds, size
from dslite.report.documents import NO_PAPER
from dslite.report.pareto import Objective, front
from dslite.report.sheet import Sheet, other_flags
from dslite.report.table import notes

MOST_DRAWN = 50
"""Runs whose samples are drawn; a page of thousands of them would not open."""
MOST_POINTS = 500
_OBJECTIVES = {
    "latency": ("latency, ms", milliseconds),
    "size": ("size", size),
    "macs": ("MACs", count),
    "memory_delta": ("memory", size),
}


def html(sheet: Sheet) -> str:
    """Write a sheet as a page; all that comes from reports is escaped."""
    parts = [
        _head(sheet),
        _summary(sheet),
        _table(sheet),
        _section("What to know of these figures", _told(sheet)),
        _section("What costs what", _scatters(sheet)),
        _section("Every run", _runs(sheet)),
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
    cards = [(str(len(sheet.runs)), "cases")]
    for metric, told, write, highest in (
        ("latency", "lowest median latency", lambda v: f"{milliseconds(v)} ms", False),
        ("size", "smallest file", size, False),
        ("memory_delta", "least memory", size, False),
        ("uar", "highest UAR", lambda v: f"{v:.3f}", True),
    ):
        if found := sheet.least(metric, highest=highest):
            cards.append((write(found[1]), f"{told}: {found[0]}"))
    for n, told in ((sheet.n_failed, "failed"), (sheet.n_not_valid, "not valid, see below")):
        if n:
            cards.append((str(n), told))
    shown = "".join(_card(value, told) for value, told in cards)
    machines = dict.fromkeys(
        f"{report.environment.get('cpu', 'unknown processor')}, {report.environment.get('cpus', '?')} cores"
        for _, report in sheet.reports
    )
    dates = sorted({report.created[:10] for _, report in sheet.reports})
    when = dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}"
    return f'<p class="quiet">{escape("; ".join(machines))}; {escape(when)}</p><div class="cards">{shown}</div>'


def _card(value: str, told: str) -> str:
    return f'<div class="card"><b>{escape(value)}</b><span>{escape(told)}</span></div>'


def _plain(value: float | None) -> str:
    return "" if value is None else repr(float(value))


def _key(column: Column) -> str:
    """Give the name by which a column is sorted in the page's address."""
    return re.sub(r"[^a-z0-9]+", "-", column.name.lower().replace("±", "interval")).strip("-")


def _table(sheet: Sheet) -> str:
    headings = ['<th scope="col" data-key="name"><button type="button">case</button></th>']
    for column in sheet.columns:
        name, _, unit = column.title.partition("\n")
        headings.append(
            f'<th scope="col" data-key="{_key(column)}"><button type="button">{escape(name)}</button>'
            f"<small>{escape(unit) or '&nbsp;'}</small></th>"
        )
    rows = "".join(_row(sheet, i) for i in range(len(sheet.runs)))
    star = (
        '<p class="quiet"><span class="star">*</span> no other row of this part and target is as low in all of median '
        "latency, memory and size, and lower in one of them</p>"
        if sheet.best
        else ""
    )
    table = f'<table id="runs"><thead><tr>{"".join(headings)}</tr></thead>{rows}</table>'
    return f'<div class="wide" tabindex="0">{table}</div>{star}'


def _row(sheet: Sheet, i: int) -> str:
    run, name = sheet.runs[i], sheet.names[i]
    star = '<span class="star">*</span> ' if i in sheet.best else ""
    badge = ""
    if run.error:
        badge = f'<span class="badge bad" title="{escape(run.error)}">failed</span>'
    elif reasons := broken(run):
        badge = f'<span class="badge warn" title="{escape("; ".join(reasons))}">not valid</span>'
    cells = [f'<td data-value="{escape(name)}" title="{escape(name)}">{star}{escape(name)}{badge}</td>']
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
    lines += [("warn", text) for text in sheet.invalid()]
    lines += [("", text) for text in sheet.flags()]
    if sheet.with_paper and not any(map(paper.figures_for, sheet.runs)):
        lines.append(("", NO_PAPER))
    said = dict.fromkeys(note for _, report in sheet.reports for note in notes(report) if not note.startswith("*"))
    lines += [("quiet", note) for note in said]
    items = (f'<li class="{kind}">{escape(text)}</li>' for kind, text in lines)
    return f"<ul>{''.join(items)}</ul>"


def _scatters(sheet: Sheet) -> str:
    """Draw UAR against what it costs; where it is not known, latency against the others."""
    whole = [i for i, run in enumerate(sheet.runs) if not run.error]
    has_uar = any(find(sheet.runs[i].measurements, "uar") for i in whole)
    up = "uar" if has_uar else "latency"
    drawn = "".join(_scatter(sheet, whole, metric, up) for metric in _OBJECTIVES if metric != up)
    if not drawn:
        return ""
    told = (
        "Dashed: no other row is better in both. Axes that span much are logarithmic."
        if has_uar
        else "Dashed: no other row is lower in both; accuracy is not in it. Axes that span much are logarithmic."
    )
    return f'<p class="quiet">{told}</p><div class="plots">{drawn}</div>'


def _scatter(sheet: Sheet, among: Sequence[int], metric: str, up: str) -> str:
    found = [
        (i, across.value, rise.value)
        for i in among
        if (across := find(sheet.runs[i].measurements, metric)) and (rise := find(sheet.runs[i].measurements, up))
    ][:MOST_POINTS]
    if len(found) < 2:  # noqa: PLR2004 - a plot of one point says nothing
        return ""
    beats = [Objective(metric).beats, Objective(up, higher=up == "uar").beats]
    best = front({at: sheet.runs[i] for at, (i, _, _) in enumerate(found)}, beats)
    title, write = _OBJECTIVES[metric]
    y_title, y_write = ("UAR", lambda v: f"{v:.3g}") if up == "uar" else _OBJECTIVES[up]
    x = plots.Axis(title, tuple(value for _, value, _ in found), write)
    y = plots.Axis(y_title, tuple(value for _, _, value in found), y_write)
    return f"<figure>{plots.scatter(x, y, [sheet.names[i] for i, _, _ in found], best)}</figure>"


def _runs(sheet: Sheet) -> str:
    drawn = "".join(_run(sheet.names[i], run) for i, run in enumerate(sheet.runs[:MOST_DRAWN]))
    more = len(sheet.runs) - MOST_DRAWN
    told = f'<p class="quiet">Of {len(sheet.runs)} runs, the first {MOST_DRAWN} are drawn.</p>' if more > 0 else ""
    how = '<p class="quiet">Above: how often each latency was taken, and the median. Below: in their order.</p>'
    return f'{told}{how}<div class="runs">{drawn}</div>'


def _run(name: str, run: Run) -> str:
    parts = [f"<h3>{escape(name)}</h3>"]
    latency = find(run.measurements, "latency")
    if latency and latency.samples:
        parts += [plots.histogram(latency.samples, _milliseconds), plots.series(latency.samples, _milliseconds)]
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


def _methods(sheet: Sheet) -> str:
    return _definitions(sheet.methods().items())


def _environment(name: str, report: BenchReport) -> str:
    return f"<details open><summary>{escape(name)}</summary>{_facts(report.environment)}</details>"


def _origin(name: str, report: BenchReport) -> str:
    code = f", commit {report.commit}" if report.commit else ""
    told = escape(f"{name}: {report.created}, dslite {report.dslite}{code}, report of schema {report.schema}")
    return f"<p>{told}</p><pre>{escape(report.command)}</pre>"


def _facts(facts: dict[str, Any]) -> str:
    return _definitions(_flat(facts.items()))


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    items = (f"<dt>{escape(name)}</dt><dd>{escape(what)}</dd>" for name, what in pairs)
    return f"<dl>{''.join(items)}</dl>"


def _flat(facts: Iterable[tuple[str, Any]]) -> Iterator[tuple[str, str]]:
    for name, value in facts:
        if isinstance(value, dict):
            yield from _flat((f"{name} {key}", each) for key, each in value.items())
        elif value is not None and name != "turns":
            yield name, value if isinstance(value, str) else json.dumps(value)
