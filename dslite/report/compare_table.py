"""A comparison laid out: for a terminal, and as JSON."""

import math
from collections.abc import Sequence
from typing import Any, Literal

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dslite.measure.validity import broken
from dslite.measure.verdict import SAME, Ratio
from dslite.records import BenchReport
from dslite.report.columns import DASH, GAP, find, milliseconds, size, some, too_wide, value, width_of
from dslite.report.pairing import Comparison, Pair, Side, pairs_in_turn

_STYLES = {"faster": "green", "slower": "red"} | dict.fromkeys(
    ("not valid", "too few rounds", "too few runs"), "yellow"
)
_HEADINGS = ("before\np50 ms", "after\np50 ms", "ratio\n(95 % interval)", "verdict", "size", "memory", "UAR")
_OF_ROWS = {"before\np50 ms": "other\np50 ms", "after\np50 ms": "row\np50 ms"}
"""Headings where rows of one report are compared."""
_LEFT_OUT_FIRST = ("UAR", "memory", "size", *_HEADINGS[:2])
_SHORTEST_NAME = 24
_FIGURES = ("latency", "size", "memory_delta", "memory_process", "parameters", "macs", "uar")


def comparison_table(comparison: Comparison, run_to_run: float, width: int) -> Group:
    """Lay a comparison out: what differs besides the files, a row a case, and how the verdict is made.

    Args:
        comparison: to show.
        run_to_run: that it was made with.
        width: characters a line may have; columns that do not fit are left out, and that is said.
    """
    of_one = comparison.is_within
    bases = {pair.against for pair in comparison.pairs}
    against = f": each row against {comparison.pairs[0].against}" if len(bases) == 1 else ""
    title = f"{comparison.before}{against}" if of_one else f"{comparison.before} and {comparison.after}"
    names = [pair.name if len(bases) == 1 else pair.full_name for pair in comparison.pairs]
    above = [Text(title, style="bold"), *(Text(told, style="red") for told in comparison.partial)]
    above += [Text(f"not the same: {told}", style="yellow") for told in comparison.environment]
    cells = [
        (
            milliseconds(value(pair.before, "latency")),
            milliseconds(value(pair.after, "latency")),
            _interval(pair.ratio),
            pair.verdict,
            *(_change(pair, metric) for metric in ("size", "memory_delta", "uar")),
        )
        for pair in comparison.pairs
    ]
    used = [i for i in range(len(_HEADINGS)) if any(row[i] != DASH for row in cells) or _HEADINGS[i] != "UAR"]
    room = width - GAP - min(_SHORTEST_NAME, max(map(len, names)))
    if sum(width + GAP for width in _widths(cells, used).values()) > room:
        cells = [tuple(_in_two_lines(cell) for cell in row) for row in cells]
    widths = _widths(cells, used)
    left_out = too_wide(widths, [heading for heading in _LEFT_OUT_FIRST if heading in widths], room)
    columns = [i for i in used if _HEADINGS[i] not in left_out]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1))
    table.add_column("case", overflow="fold")
    for i in columns:
        justify: Literal["left", "right"] = "left" if _HEADINGS[i] == "verdict" else "right"
        heading = _OF_ROWS.get(_HEADINGS[i], _HEADINGS[i]) if of_one else _HEADINGS[i]
        table.add_column(heading, justify=justify, no_wrap=True, min_width=widths[_HEADINGS[i]])
    for name, pair, row in zip(names, comparison.pairs, cells, strict=True):
        style = "red" if pair.before.error or pair.after.error else _STYLES.get(pair.verdict, "")
        shown = [Text(row[i], style=style if _HEADINGS[i] == "verdict" else "") for i in columns]
        table.add_row(Text(name), *shown)
    below = _below(comparison, run_to_run)
    if left_out:
        gone = ", ".join(heading.partition("\n")[0] for heading in left_out)
        below.append(Text(f"- left out for want of width: {gone}; --json has all", style="dim"))
    return Group(*above, table, *below)


def _widths(cells: Sequence[Sequence[str]], columns: Sequence[int]) -> dict[str, int]:
    return {_HEADINGS[i]: max(map(width_of, (_HEADINGS[i], *(row[i] for row in cells)))) for i in columns}


def _in_two_lines(cell: str) -> str:
    """Break a cell that has two parts: a ratio and its interval, the words of a verdict."""
    return cell.replace(" (", "\n(", 1).replace("difference shown", "difference\nshown")


def to_json(comparison: Comparison, run_to_run: float) -> dict[str, Any]:
    """Give a comparison JSON-ready; SI units. Of files that did not take turns, ``rounds`` is 0."""
    return {
        "run_to_run": run_to_run,
        "before": comparison.before,
        "after": comparison.after,
        "environment": list(comparison.environment),
        "cases": [_case(pair) for pair in comparison.pairs],
        "only_before": [name for name, _ in comparison.only_before],
        "only_after": [name for name, _ in comparison.only_after],
        "partial": list(comparison.partial),
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
        "against": pair.against or None,
        "verdict": pair.verdict,
        "sha256": {"before": pair.before.artifact.sha256, "after": pair.after.artifact.sha256},
        "ratio": ratio
        and {
            "value": ratio.value,
            "low": ratio.low if math.isfinite(ratio.high) else None,
            "high": ratio.high if math.isfinite(ratio.high) else None,
            "rounds": ratio.n_rounds,
        },
        "figures": figures,
        "not_valid": {"before": broken(pair.before), "after": broken(pair.after)},
        "error": {"before": pair.before.error, "after": pair.after.error},
    }


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
    sides = [(_whose(pair, side), run) for pair in pairs for side, run in pair.sides]
    failed = dict.fromkeys(f"failed {whose}: {run.error}" for whose, run in sides if run.error)
    invalid = dict.fromkeys(f"not valid {whose}: {'; '.join(told)}" for whose, run in sides if (told := broken(run)))
    lines = [*(Text(told, style="red") for told in failed), *(Text(told, style="yellow") for told in invalid)]
    alone = "no row to compare with"
    for cases, where in (
        (comparison.only_before, alone if comparison.is_within else f"only in {comparison.before}"),
        (comparison.only_after, f"only in {comparison.after}"),
    ):
        if cases:
            lines.append(Text(f"{where}: {'; '.join(name for name, _ in cases)}", style="yellow"))
            lines += [Text(f"failed {name}: {run.error}", style="red") for name, run in cases if run.error]
    if repeated := [pair.name for pair in pairs if not pair.against and _is_one_series(pair)]:
        handed_on = "the very same runs before and after, as a stopped bench hands them on to the next"
        lines.append(Text(f"{some(repeated)}: {handed_on}", style="yellow"))
    rounds = sorted({pair.ratio.n_rounds for pair in pairs if pair.ratio and pair.ratio.n_rounds})
    few = any(pair.verdict.startswith("too few") for pair in pairs)
    notes = []
    if any(pair.ratio for pair in pairs):
        notes.append(
            "ratio: median latency after, divided by that before; a verdict takes an interval without 1 in it, and "
            f"{SAME:.0%} of difference. Size and memory: the change, or the figure where it is the same"
        )
    if rounds:
        spans = " to ".join(map(str, dict.fromkeys((rounds[0], rounds[-1]))))
        notes.append(f"taken in turn, {spans} rounds: median of the ratios of rounds, Wilcoxon's interval")
    if few:
        notes.append("fewer than 6 rounds, or runs, have no interval, and give no verdict: --rounds 10, --runs 50")
    if any(pair.ratio and not pair.ratio.n_rounds for pair in pairs):
        notes.append(
            f"not taken in turn: the interval is wider by {run_to_run:.0%}, which two runs of one file may differ by "
            "(--run-to-run), and by what the machine's own pace changed by; less shows in turn: dslite bench A.tflite "
            "B.tflite --interleave"
        )
    if any(pair.verdict == "not valid" for pair in pairs):
        notes.append("not valid: a run breaks a rule, so nothing is shown; files that take turns bear more")
    same = [pair.name for pair in pairs if _is_one_file(pair)]
    if same and not comparison.is_within:
        files = f"{len(same)} cases are" if len(same) > 1 else f"{same[0]} is"
        notes.append(f"{files} the same bytes before and after: what changed is not the file")
    return [*lines, *(Text(f"- {note}", style="dim") for note in notes)]


def _whose(pair: Pair, side: Side) -> str:
    """Name a run of a pair: of one report by its row alone."""
    if pair.against:
        return pair.against if side == "before" else pair.name
    return f"{side}, {pair.name}"


def in_words(report: BenchReport) -> list[str]:
    """Say of rows that took turns how each compares with the first, a line each; nothing of other reports."""
    return [
        f"in turn: {pair.full_name}: {ratio.value:.3f} times its latency ({_told_of(ratio)}): {pair.verdict}"
        for pair in pairs_in_turn(report)
        if (ratio := pair.ratio)
    ]


def _told_of(ratio: Ratio) -> str:
    if not math.isfinite(ratio.high):
        return f"{ratio.n_rounds} round{'s' if ratio.n_rounds > 1 else ''}, it takes 6"
    return f"95 % interval of {ratio.n_rounds} rounds: {ratio.low:.3f} to {ratio.high:.3f}"


def _is_one_series(pair: Pair) -> bool:
    one, other = (find(run, "latency") for _, run in pair.sides)
    return one is not None and other is not None and len(one.samples) > 1 and one.samples == other.samples


def _is_one_file(pair: Pair) -> bool:
    return bool(pair.before.artifact.sha256) and pair.before.artifact.sha256 == pair.after.artifact.sha256
