"""A comparison laid out: for a terminal, and as JSON."""

import math
from typing import Any

from rich import box
from rich.console import Group
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from dslite.measure.validity import broken
from dslite.measure.verdict import SAME, Ratio
from dslite.records import BenchReport
from dslite.report.columns import DASH, find, milliseconds, size, value
from dslite.report.pairing import Comparison, Pair, within

_STYLES = {"faster": "green", "slower": "red", "no difference shown": None}
_FIGURES = ("latency", "size", "memory_delta", "memory_process", "parameters", "macs", "uar")


def comparison_table(comparison: Comparison, run_to_run: float) -> Group:
    """Lay a comparison out: what differs besides the files, a row a case, and how the verdict is made.

    Args:
        comparison: to show.
        run_to_run: that it was made with.
    """
    of_one = comparison.before == comparison.after
    title = comparison.before if of_one else f"{comparison.before} and {comparison.after}"
    above = [Text(title, style="bold")]
    if comparison.environment:
        above.append(Text("not the same: " + "; ".join(comparison.environment), style="yellow"))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("case", overflow="fold")
    for heading in ("before\np50 ms", "after\np50 ms", "ratio\n(95 % interval)"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for heading in ("size", "memory", "UAR"):
        table.add_column(heading, justify="right", no_wrap=True)
    for pair in comparison.pairs:
        verdict, style = _verdict(pair)
        table.add_row(
            escape(pair.name),
            milliseconds(value(pair.before, "latency")),
            milliseconds(value(pair.after, "latency")),
            _interval(pair.ratio),
            Text(verdict, style=style or ""),
            *(_change(pair, metric) for metric in ("size", "memory_delta", "uar")),
        )
    return Group(*above, table, *_below(comparison, run_to_run))


def to_json(comparison: Comparison) -> dict[str, Any]:
    """Give a comparison JSON-ready; SI units."""
    return {
        "before": comparison.before,
        "after": comparison.after,
        "environment": list(comparison.environment),
        "cases": [_case(pair) for pair in comparison.pairs],
        "only_before": list(comparison.only_before),
        "only_after": list(comparison.only_after),
    }


def _case(pair: Pair) -> dict[str, Any]:
    ratio = pair.ratio
    figures = {}
    for metric in _FIGURES:
        values = value(pair.before, metric), value(pair.after, metric)
        if values != (None, None):
            figures[metric] = {"before": values[0], "after": values[1]}
    return {
        "case": pair.name,
        "verdict": _verdict(pair)[0],
        "ratio": ratio
        and {
            "value": ratio.value,
            "low": ratio.low if math.isfinite(ratio.low) else None,
            "high": ratio.high if math.isfinite(ratio.high) else None,
            "rounds": ratio.n_rounds,
        },
        "figures": figures,
        "not_valid": {"before": broken(pair.before), "after": broken(pair.after)},
        "error": {"before": pair.before.error, "after": pair.after.error},
    }


def _verdict(pair: Pair) -> tuple[str, str | None]:
    for side, run in (("before", pair.before), ("after", pair.after)):
        if run.error:
            return f"failed {side}", "red"
    if pair.ratio is None:
        return "not timed", None
    return pair.ratio.verdict, _STYLES[pair.ratio.verdict]


def _interval(ratio: Ratio | None) -> str:
    if ratio is None:
        return DASH
    if not math.isfinite(ratio.high):
        return f"{ratio.value:.3f}"
    return f"{ratio.value:.3f} ({ratio.low:.3f} to {ratio.high:.3f})"


def _change(pair: Pair, metric: str) -> str:
    """Write how a figure changes: as it is where it does not, of UAR the difference, of others the share."""
    before, after = value(pair.before, metric), value(pair.after, metric)
    if before is None or after is None:
        return DASH
    if metric == "uar":
        return f"{after:.3f}" if before == after else f"{after - before:+.3f}"
    if before == after:
        return size(after)
    return f"{after / before - 1:+.1%}" if before else f"{size(after)} (was 0 B)"


def _below(comparison: Comparison, run_to_run: float) -> list[Text]:
    pairs = comparison.pairs
    lines = [
        Text(f"failed {side}: {pair.name}: {run.error}", style="red")
        for pair in pairs
        for side, run in (("before", pair.before), ("after", pair.after))
        if run.error
    ]
    lines += [Text(f"not valid: {pair.name}, {told}", style="yellow") for pair in pairs for told in pair.not_valid]
    for cases, where in ((comparison.only_before, comparison.before), (comparison.only_after, comparison.after)):
        if cases:
            lines.append(Text(f"only in {where}: {'; '.join(cases)}", style="yellow"))
    rounds = sorted({pair.ratio.n_rounds for pair in pairs if pair.ratio and pair.ratio.n_rounds})
    few = [pair for pair in pairs if pair.ratio and pair.ratio.n_rounds and not math.isfinite(pair.ratio.high)]
    notes = []
    if any(pair.ratio for pair in pairs):
        notes.append(
            "ratio: median latency after, divided by that before; a verdict takes an interval without 1 in it, and "
            f"{SAME:.0%} of difference"
        )
    if rounds:
        spans = " to ".join(map(str, dict.fromkeys((rounds[0], rounds[-1]))))
        notes.append(f"taken in turn, {spans} rounds: median of the ratios of rounds, Wilcoxon's interval")
    if few:
        notes.append("fewer than 6 rounds have no such interval, and give no verdict: --rounds 10")
    if any(pair.ratio and not pair.ratio.n_rounds for pair in pairs):
        notes.append(
            f"not taken in turn: two runs of one file may differ by {run_to_run:.0%} here (--run-to-run), so the "
            "interval is so much wider; what is less shows in turn: dslite bench A.tflite B.tflite --interleave"
        )
    return [*lines, *(Text(f"- {note}", style="dim") for note in notes)]


def in_words(report: BenchReport) -> list[str]:
    """Say of rows that took turns how each compares with the first, a line each; nothing of other reports."""
    if not any(find(run, "reference_latency") for run in report.runs):
        return []
    pairs = [pair for pair in within(report, "").pairs if pair.ratio and pair.ratio.n_rounds]
    return [f"in turn: {pair.name}: {_interval(pair.ratio)} times its latency: {_verdict(pair)[0]}" for pair in pairs]
