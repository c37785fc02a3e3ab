"""A comparison laid out: for a terminal, and as JSON."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.text import Text

from dslite.measure.validity import broken
from dslite.measure.verdict import SAME, Ratio
from dslite.metrics import figure, figures, find, form_of, metrics_of, value
from dslite.metrics.forms import DASH, milliseconds, size
from dslite.records import Metric
from dslite.report.comparison import Comparison, Pair, Side
from dslite.report.names import numbered, some
from dslite.report.terminal import GAP, TextTable, folded, too_wide, width_of

_STYLES = {"faster": "green", "slower": "red", "failed before": "red", "failed after": "red"}
_STYLES |= dict.fromkeys(("not valid", "too few rounds", "too few runs"), "yellow")
_SHORTEST_NAME = 24
_IN_ALL = ("size", "memory_delta")
"""Metrics that a comparison has a column of in any case."""


def comparison_table(comparison: Comparison, run_to_run: float, width: int) -> Group:
    """Lay a comparison out: what differs besides the files, one row for each pair, and how the verdict is made.

    Args:
        comparison: to show.
        run_to_run: that it was made with.
        width: characters a line may have; columns that do not fit are left out, and that is said.
    """
    pairs, of_one = comparison.pairs, comparison.is_within
    bases = {pair.against for pair in pairs}
    against = f": each row against {pairs[0].against}" if len(bases) == 1 else ""
    title = f"{comparison.before}{against}" if of_one else f"{comparison.before} and {comparison.after}"
    names = [pair.name if len(bases) == 1 else pair.full_name for pair in pairs]
    above = [Text(title, style="bold"), *(Text(told, style="red") for told in comparison.partial)]
    above += [Text(f"not the same: {told}", style="yellow") for told in comparison.environment]
    one, other = ("other", "row") if of_one else ("before", "after")
    columns = {
        f"{one}\np50 ms": [milliseconds(value(pair.before, "latency")) for pair in pairs],
        f"{other}\np50 ms": [milliseconds(value(pair.after, "latency")) for pair in pairs],
        "ratio\n(95 % interval)": [_interval(pair.ratio) for pair in pairs],
        "verdict": [pair.verdict for pair in pairs],
    }
    changes = _changes(pairs)
    titles = numbered([title for title, _ in changes], taken=columns)
    columns |= zip(titles, (cells for _, cells in changes), strict=True)
    first_to_go = [*list(columns)[:3:-1], *list(columns)[:2]]
    room = width - 2 - min(_SHORTEST_NAME, max(map(width_of, names)))
    if sum(width + GAP for width in _widths(columns).values()) > room:
        columns = {heading: [_in_two_lines(cell) for cell in cells] for heading, cells in columns.items()}
    left_out = too_wide(_widths(columns), first_to_go, room)
    columns = {heading: cells for heading, cells in columns.items() if heading not in left_out}
    name_width = width - 2 - sum(width + GAP for width in _widths(columns).values())
    verdicts = [_STYLES.get(pair.verdict, "") for pair in pairs]
    at = 1 + list(columns).index("verdict")
    rows = list(zip([folded(name, name_width) for name in names], *columns.values(), strict=True))
    table = TextTable(["row", *columns], rows, [""] * len(rows), (0, at), {at: verdicts})
    below = _below(comparison, run_to_run)
    if left_out:
        gone = ", ".join(heading.partition("\n")[0] for heading in left_out)
        below.append(Text(f"- left out for want of width: {gone}; --json has all", style="dim"))
    return Group(*above, table, *below)


def _changes(pairs: Sequence[Pair]) -> list[tuple[str, list[str]]]:
    """Write how metrics change, each with the name of its column: first what is the last to go."""
    runs = [run for pair in pairs for _, run in pair.sides]
    shown = []
    for metric in metrics_of(runs):
        if metric.is_compared and metric.columns:
            cells = [_change(pair, metric) for pair in pairs]
            if metric.name in _IN_ALL or any(cell != DASH for cell in cells):
                shown.append((metric.name, metric.columns[0].title.partition("\n")[0], cells))
    shown.sort(key=lambda each: (each[0] == "uar", each[0] == "memory_delta"))
    return [(title, cells) for _, title, cells in shown]


def _widths(columns: Mapping[str, Sequence[str]]) -> dict[str, int]:
    return {heading: max(map(width_of, (heading, *cells))) for heading, cells in columns.items()}


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
    ratio, runs = pair.ratio, dict(pair.sides)
    low, high = (ratio.low, ratio.high) if ratio and math.isfinite(ratio.high) else (None, None)
    names = dict.fromkeys(m.metric for run in runs.values() for m in reversed(run.measurements))
    return {
        "case": pair.name,
        "against": pair.against or None,
        "verdict": pair.verdict,
        "sha256": {side: run.artifact.sha256 for side, run in runs.items()},
        "ratio": ratio and {"value": ratio.value, "low": low, "high": high, "rounds": ratio.n_rounds},
        "figures": {name: {side: _number(value(run, name)) for side, run in runs.items()} for name in names},
        "not_valid": {side: broken(run) for side, run in runs.items()},
        "error": {side: run.error for side, run in runs.items()},
    }


def _number(figure: float | None) -> float | None:
    """Give what JSON can hold."""
    return figure if figure is not None and math.isfinite(figure) else None


def _interval(ratio: Ratio | None) -> str:
    if ratio is None:
        return DASH
    within = f" ({ratio.low:.3f} to {ratio.high:.3f})" if math.isfinite(ratio.high) else ""
    return f"{ratio.value:.3f}{within}"


def _change(pair: Pair, metric: Metric) -> str:
    """Write how a figure changes: as it is where it does not, of shares the difference, of others the share."""
    earlier, later = (figure(figures(run), metric) for _, run in pair.sides)
    if earlier is None or later is None or not (math.isfinite(earlier.value) and math.isfinite(later.value)):
        return DASH
    before, after = earlier.value, later.value
    written = size(after) if metric.unit == "bytes" else form_of(metric, metric.columns[0]).write(after)
    if before == after:
        return written
    if metric.unit == "ratio":
        return f"{after - before:+.3f}"
    return f"{after / before - 1:+.1%}" if before else f"{written} (was 0{' B' if metric.unit == 'bytes' else ''})"


def _below(comparison: Comparison, run_to_run: float) -> list[Text]:
    pairs = comparison.pairs
    sides = [(_whose(pair, side), run) for pair in pairs for side, run in pair.sides]
    failed = dict.fromkeys(f"failed {whose}: {run.error}" for whose, run in sides if run.error)
    invalid = dict.fromkeys(f"not valid {whose}: {'; '.join(told)}" for whose, run in sides if (told := broken(run)))
    lines = [*(Text(told, style="red") for told in failed), *(Text(told, style="yellow") for told in invalid)]
    alone = "no row to compare with"
    for rows, where in (
        (comparison.only_before, alone if comparison.is_within else f"only in {comparison.before}"),
        (comparison.only_after, f"only in {comparison.after}"),
    ):
        if rows:
            lines.append(Text(f"{where}: {'; '.join(name for name, _ in rows)}", style="yellow"))
            lines += [Text(f"failed {name}: {run.error}", style="red") for name, run in rows if run.error]
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
    same = [pair.name for pair in pairs if pair.before.artifact.sha256 == pair.after.artifact.sha256 != ""]
    if same and not comparison.is_within:
        files = f"{len(same)} rows are" if len(same) > 1 else f"{same[0]} is"
        notes.append(f"{files} the same bytes before and after: what changed is not the file")
    return [*lines, *(Text(f"- {note}", style="dim") for note in notes)]


def _whose(pair: Pair, side: Side) -> str:
    """Name a run of a pair: of one report by its row alone."""
    if pair.against:
        return pair.against if side == "before" else pair.name
    return f"{side}, {pair.name}"


def _is_one_series(pair: Pair) -> bool:
    one, other = (find(run.measurements, "latency") for _, run in pair.sides)
    return one is not None and other is not None and len(one.samples) > 1 and one.samples == other.samples
