"""Reports as Markdown and CSV."""

import csv
import io
import math
import re
from collections.abc import Callable

from dslite.measure.validity import broken
from dslite.records import Run
from dslite.report import paper
from dslite.report.columns import chain, find
from dslite.report.pairing import Pair
from dslite.report.sheet import Sheet, facts_in_words

_FORMULA = ("=", "+", "-", "@")
"""How cells begin that spreadsheets compute, after blanks too."""
_STATISTICS = ("p50", "low", "high", "p5", "p90", "p95", "p99", "mean", "std", "min", "max", "mad")
_COUNTS = ("n", "outliers", "trend")
"""Statistics without a unit."""
_VALUES = {
    "first_latency": "first_latency_s",
    "init_time": "init_time_s",
    "real_time_factor": "real_time_factor",
    "flop_rate": "flop_rate_per_s",
    "flop_rate_share": "flop_rate_share",
    "memory_delta": "memory_delta_bytes",
    "memory_process": "memory_process_bytes",
    "size": "size_bytes",
    "gzip_size": "gzip_size_bytes",
    "parameters": "parameters",
    "macs": "macs",
    "flops": "flops",
    "uar": "uar",
}


def markdown(sheet: Sheet) -> str:
    """Write a sheet as Markdown: what was measured, a table, what must be known of it, and the commands."""
    headings = ["", *(" ".join(column.title.split("\n")) for column in sheet.columns)]
    lines = [f"# {_text(sheet.title)}", "", f"| {' | '.join(headings)} |", f"|---|{'---:|' * len(sheet.columns)}"]
    for i, (name, run) in enumerate(zip(sheet.names, sheet.runs, strict=True)):
        mark = "\\* " if i in sheet.best else "! " if broken(run) and not run.error else ""
        cells = [mark + _text(name), *(column.cell(run) for column in sheet.columns)]
        lines.append(f"| {' | '.join(cells)} |")
        if sheet.with_paper and (figures := paper.figures_for(run)):
            theirs = [column.write(column.papers(figures)) if column.papers else "" for column in sheet.columns]
            lines.append(f"| paper | {' | '.join(theirs)} |")
    lines.append("")
    named = zip(sheet.names, sheet.runs, strict=True)
    lines += [f"- **failed**: {_text(f'{name}: {run.error}')}" for name, run in named if run.error]
    lines += [f"- **{_text(text)}**" for text in sheet.partial()]
    lines += [f"- **! {_text(text)}**" for text in sheet.invalid()]
    lines += [f"- {_text(text)}" for text in sheet.in_turn()]
    lines += [f"- {_text(text)}" for text in sheet.flags()]
    if sheet.with_paper and not any(map(paper.figures_for, sheet.runs)):
        lines.append(f"- {paper.NO_ROW}")
    lines += [f"- {_text(note)}" for note in (*sheet.notes(), *filter(None, [sheet.star]))]
    for name, report in sheet.reports:
        code = f", commit {_text(report.commit)}" if report.commit else ""
        machine = "; ".join(f"{fact} {value}" for fact, value in facts_in_words(report.environment))
        fence = "`" * max(3, 1 + max(map(len, re.findall("`+", report.command)), default=0))
        lines += ["", f"{_text(name)}: {_text(report.created)}, dslite {_text(report.dslite)}{code}"]
        lines += ["", f"environment: {_text(machine)}"] if machine else []
        lines += ["", f"{fence}sh", report.command, fence]
    return "\n".join([*lines, ""])


def as_csv(sheet: Sheet) -> str:
    """Write a sheet as CSV (RFC 4180), a line a run: SI units, empty where there is no figure.

    Texts that a spreadsheet would take for a formula begin with an apostrophe.
    """
    columns: dict[str, Callable[[str, Run], object]] = {
        "name": lambda name, _: name,
        "backbone": lambda _, run: run.artifact.backbone,
        "compressors": lambda _, run: chain(run.artifact.compressors),
        "exporter": lambda _, run: run.artifact.exporter,
        "part": lambda _, run: run.artifact.part,
        "target": lambda _, run: run.target,
        "device": lambda _, run: run.device.model if run.device else None,
        "threads": lambda _, run: run.plan.threads,
    }
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(
        [
            *columns,
            *(f"latency_{name}_s" for name in _STATISTICS),
            *(f"latency_{name}" for name in _COUNTS),
            *_VALUES.values(),
            *("against", "rounds", "ratio", "ratio_low", "ratio_high", "verdict"),
            *("valid", "flags", "error"),
            *("sha256", "input", "report", "created"),
        ]
    )
    pairs = sheet.turns()
    origins = [(name, report.created) for name, report in sheet.reports for _ in report.runs]
    for i, (name, run) in enumerate(zip(sheet.names, sheet.runs, strict=True)):
        latency = find(run, "latency")
        statistics = latency.statistics if latency else {}
        found = [find(run, metric) for metric in _VALUES]
        writer.writerow(
            [
                *(_harmless(value(name, run)) for value in columns.values()),
                *(statistics.get(each, "") for each in (*_STATISTICS, *_COUNTS)),
                *("" if each is None else each.value for each in found),
                *_of_turns(pairs.get(i)),
                "false" if run.error or broken(run) else "true",
                _harmless(";".join(flag.code for flag in run.flags)),
                _harmless(run.error),
                *map(_harmless, (run.artifact.sha256, run.conditions.get("input", run.plan.input), *origins[i])),
            ]
        )
    return text.getvalue()


def _of_turns(pair: Pair | None) -> list[object]:
    """Give how a run compares with the one that it took turns with."""
    if pair is None or pair.ratio is None:
        return [""] * 6
    ratio = pair.ratio
    ends = (ratio.low, ratio.high) if math.isfinite(ratio.high) else ("", "")
    return [_harmless(pair.against), ratio.n_rounds, ratio.value, *ends, pair.verdict]


def _harmless(value: object) -> object:
    if not isinstance(value, str):
        return "" if value is None else value
    return f"'{value}" if value.lstrip().startswith(_FORMULA) else value


def _text(words: str) -> str:
    """Write words so that Markdown takes none of them for its own."""
    plain = " ".join(words.split())
    for mark in ("\\", "&", "|", "<", "*", "_", "`", "[", "~"):
        plain = plain.replace(mark, f"\\{mark}")
    return plain
