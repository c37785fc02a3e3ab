"""Runs against others: rows of two reports, or of one, side by side.

A pair has the ratio of two latencies, its verdict, and what else differs.
"""

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dslite.codec import flattened
from dslite.errors import ReportError
from dslite.measure.relative import chain
from dslite.measure.validity import RUN_TO_RUN, broken, is_rule
from dslite.measure.verdict import Ratio, of_series, of_turns
from dslite.metrics import find
from dslite.records import BenchReport, Run
from dslite.report.names import of_rows

Side = Literal["before", "after"]

_ALWAYS_DIFFER = {"load_average_1min"}
"""Of the environment: what no two reports have in common, and says nothing of the figures of either."""
_OF_PLAN = ("threads", "runs", "min_s", "warmup_runs", "warmup_s", "input")
_OF_ARTIFACT = ("backbone", "part", "exporter", "weights")
_SAME_PACE = math.log(1.1)
"""Products differ by so much from one minute to the next without a reason."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One row, measured twice.

    Attributes:
        name: of the row; of two files, of both; of a row of one report, its own.
        before: the run that the other is compared with.
        after: that other one.
        ratio: of its latency to that before, if both have one.
        against: name of the row of the same report that it is compared with; empty: it is in another report.
    """

    name: str
    before: Run
    after: Run
    ratio: Ratio | None
    against: str = ""

    @property
    def sides(self) -> tuple[tuple[Side, Run], tuple[Side, Run]]:
        """Give both runs, each with its side."""
        return ("before", self.before), ("after", self.after)

    @property
    def full_name(self) -> str:
        """Name both runs."""
        return f"{self.name} against {self.against}" if self.against else self.name

    @property
    def verdict(self) -> str:
        """Say what is shown of the second run, or why nothing can be.

        Runs that break a rule have no verdict, unless they took turns, as what disturbed one disturbed the other, or
        had few runs, as the interval knows how many there are.
        """
        for side, run in self.sides:
            if run.error:
                return f"failed {side}"
        if self.ratio is None:
            return "not timed"
        is_spoiled = any(is_rule(flag) and flag.code != "few_runs" for _, run in self.sides for flag in run.flags)
        if is_spoiled and not self.ratio.n_rounds:
            return "not valid"
        if not math.isfinite(self.ratio.high):
            return "too few rounds" if self.ratio.n_rounds else "too few runs"
        return self.ratio.verdict

    @property
    def not_valid(self) -> list[str]:
        """Give why figures of the pair cannot be trusted, each with the side it is true of."""
        return [f"{side}: {'; '.join(found)}" for side, run in self.sides if (found := broken(run))]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports side by side, or the rows of one with its first.

    Attributes:
        before: name of the report that the other is compared with.
        after: of that other one; the same name: rows of one report.
        environment: what differs between them besides the files, each as ``name: one -> other``.
        pairs: the rows that both have.
        only_before: the other rows of the first, with their names; of one report, rows with none to compare with.
        only_after: those of the second.
        is_within: whether these are the rows of one report.
        partial: what is missing of a report, a sentence each.
    """

    before: str
    after: str
    environment: tuple[str, ...]
    pairs: tuple[Pair, ...]
    only_before: tuple[tuple[str, Run], ...]
    only_after: tuple[tuple[str, Run], ...]
    is_within: bool = False
    partial: tuple[str, ...] = ()


def compare(
    before: BenchReport, after: BenchReport, names: tuple[str, str], run_to_run: float = RUN_TO_RUN
) -> Comparison:
    """Pair the rows of two reports: the same model, or file, on the same target.

    Of several that are alike, the same bytes are a pair, or else files of one name, or else those of one place in their
    reports. Where each report has one row alone, these are a pair, whatever they are called.

    Args:
        before: what is compared with.
        after: what is compared.
        names: of the reports.
        run_to_run: see `dslite.measure.verdict.of_series`.

    Raises:
        ReportError: where they have no row in common.
    """
    matched, only_before, only_after = _matched(before.runs, after.runs)
    called = of_rows(replace(before, runs=tuple(one for one, _ in matched)))
    if not matched and len(before.runs) == len(after.runs) == 1:
        matched, only_before, only_after = [(before.runs[0], after.runs[0])], [], []
        called = [" and ".join(map(_name, matched[0]))]
    if not matched:
        raise ReportError(
            f"{names[0]} and {names[1]} have no row in common: one has {_some(before.runs)}, the other "
            f"{_some(after.runs)}"
        )
    pairs = tuple(_pair(name, *both, run_to_run) for name, both in zip(called, matched, strict=True))
    return Comparison(
        *names,
        environment=tuple(_differences(before, after, pairs)),
        pairs=pairs,
        only_before=tuple((_short(run), run) for run in only_before),
        only_after=tuple((_short(run), run) for run in only_after),
        partial=partial_ones(list(zip(names, (before, after), strict=True))),
    )


def within(report: BenchReport, name: str, run_to_run: float = RUN_TO_RUN) -> Comparison:
    """Compare the rows of one report, see `pairs_within`.

    Raises:
        ReportError: where there are not two rows that do the same, and at least one of them was measured.
    """
    pairs = pairs_within(report, run_to_run)
    if not pairs:
        failed = f"; {n} of its rows failed" if (n := sum(bool(run.error) for run in report.runs)) else ""
        raise ReportError(f"{name}: expected two rows of one part and target to compare, or two reports{failed}")
    compared = {id(run) for pair in pairs for run in (pair.before, pair.after)}
    named = zip(of_rows(report), report.runs, strict=True)
    alone = tuple((title, run) for title, run in named if id(run) not in compared)
    return Comparison(name, name, (), tuple(pairs), alone, (), is_within=True, partial=partial_ones([(name, report)]))


def partial_ones(reports: Sequence[tuple[str, BenchReport]]) -> tuple[str, ...]:
    """Say of the reports, each with its name, that are not whole what is missing."""
    return tuple(f"{name} is partial: {report.partial}" for name, report in reports if report.partial)


def pairs_within(report: BenchReport, run_to_run: float = RUN_TO_RUN) -> list[Pair]:
    """Pair the rows of one report with the one of their target that they took turns with.

    Where none did, rows that do the same, of one part and target, are paired with the first of them.
    """
    in_turn = {run.target for run in report.runs if _is_base(run)}
    groups: dict[tuple[str, str], list[tuple[str, Run]]] = defaultdict(list)
    for title, run in zip(of_rows(report), report.runs, strict=True):
        groups[run.target, "" if run.target in in_turn else run.artifact.part].append((title, run))
    pairs = []
    for rows in groups.values():
        whole = [(title, run) for title, run in rows if not run.error]
        if not whole:
            continue
        base_title, base = next(((title, run) for title, run in whole if _is_base(run)), whole[0])
        pairs += [_pair(title, base, run, run_to_run, base_title) for title, run in rows if run is not base]
    return pairs


def pairs_in_turn(report: BenchReport) -> list[Pair]:
    """Give those of `pairs_within` that took turns; none of other reports."""
    if not any(find(run.measurements, "reference_latency") for run in report.runs):
        return []
    return [pair for pair in pairs_within(report) if pair.ratio and pair.ratio.n_rounds]


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


def _matched(before: Sequence[Run], after: Sequence[Run]) -> tuple[list[tuple[Run, Run]], list[Run], list[Run]]:
    """Give the runs that are pairs, in the order of the first report, and what is left of either."""
    partners: dict[int, int] = {}
    for facts in ((_device, _bytes), (_device, _name), (_bytes,), (_name,), (_device,), ()):
        taken = set(partners.values())
        waiting: dict[tuple[object, ...], deque[int]] = defaultdict(deque)
        for j, run in enumerate(after):
            if j not in taken:
                waiting[_row(run), *(fact(run) for fact in facts)].append(j)
        for i, run in enumerate(before):
            if i not in partners and (found := waiting[_row(run), *(fact(run) for fact in facts)]):
                partners[i] = found.popleft()
    taken = set(partners.values())
    return (
        [(run, after[partners[i]]) for i, run in enumerate(before) if i in partners],
        [run for i, run in enumerate(before) if i not in partners],
        [run for j, run in enumerate(after) if j not in taken],
    )


def _row(run: Run) -> tuple[object, ...]:
    """Give what makes a run the same row in another report; a foreign file has its name alone."""
    artifact = run.artifact
    name = (artifact.backbone or artifact.part) if artifact.exporter else _name(run)
    target, _, options = run.target.partition(":")
    others = tuple(option for option in options.split(",") if not option.startswith("device="))
    return name, artifact.part, artifact.compressors, artifact.exporter, target, others


def _device(run: Run) -> object:
    return run.device and run.device.id


def _bytes(run: Run) -> object:
    return run.artifact.sha256 or id(run)  # without a hash, none is known to be the same


def _name(run: Run) -> str:
    return Path(run.artifact.path).name


def _pair(name: str, before: Run, after: Run, run_to_run: float, against: str = "") -> Pair:
    ratio = None if before.error or after.error else _ratio(before, after, run_to_run)
    return Pair(name, before, after, ratio, against)


def _ratio(before: Run, after: Run, run_to_run: float) -> Ratio | None:
    turns, beside = find(after.measurements, "turn_latency"), find(after.measurements, "reference_latency")
    own = find(before.measurements, "turn_latency")
    if turns and beside and beside.samples and _is_base(before) and own and {*beside.samples} <= {*own.samples}:
        return of_turns(turns.samples, beside.samples) if min(*turns.samples, *beside.samples) > 0 else None
    first, second = find(before.measurements, "latency"), find(after.measurements, "latency")
    if first is None or second is None or not min(first.value, second.value, *first.samples, *second.samples) > 0:
        return None  # a report that somebody has changed may say anything
    return of_series(first, second, run_to_run, _pace(before, after) or 1.0)


def _pace(before: Run, after: Run) -> float | None:
    """Give what a machine reached beside the first run, divided by that beside the second; None of two machines."""
    first, second = find(before.measurements, "matmul_rate"), find(after.measurements, "matmul_rate")
    same = before.device == after.device and before.plan.threads == after.plan.threads
    return first.value / second.value if same and first and second and first.value and second.value else None


def _is_base(run: Run) -> bool:
    """Tell whether a run is the one that others of its report took turns with: it was compared with itself."""
    own, beside = find(run.measurements, "turn_latency"), find(run.measurements, "reference_latency")
    return own is not None and beside is not None and own.samples == beside.samples


def _differences(before: BenchReport, after: BenchReport, pairs: Sequence[Pair]) -> Iterator[str]:
    """Name what differs besides latencies: machine and its pace, software, how was measured, and what."""
    first, second = (
        {"dslite": report.dslite, "commit": report.commit, **flattened(report.environment)}
        for report in (before, after)
    )
    for name in dict.fromkeys([*first, *second]):
        if name not in _ALWAYS_DIFFER and first.get(name) != second.get(name):
            yield _change(name.removeprefix("packages "), first.get(name), second.get(name))
    paces = [pace for pair in pairs if (pace := _pace(pair.before, pair.after))]
    farthest = max(paces, key=lambda pace: abs(math.log(pace)), default=1.0)
    if abs(math.log(farthest)) > _SAME_PACE:
        yield f"the machine's own pace, by matrix products: {1 / farthest:.2f} times as fast after as before"
    yield from dict.fromkeys(
        _change(name, one, other)
        for pair in pairs
        for name, (one, other) in _facts(pair).items()
        if one != other and (name != "device" or (one, other) != (first.get("cpu"), second.get("cpu")))
    )


def _facts(pair: Pair) -> dict[str, tuple[object, object]]:
    """Give what may differ between the runs of a pair, and be the reason that their latencies do."""
    before, after = map(_facts_of, (pair.before, pair.after))
    return {name: (before[name], after[name]) for name in before if name in after}


def _facts_of(run: Run) -> dict[str, object]:
    return {
        **{name: getattr(run.plan, name) for name in _OF_PLAN},
        "timed": "in turn with other files" if find(run.measurements, "turn_latency") else "alone",
        **({"device": run.device.model} if run.device else {}),
        "target": run.target,
        **{name: getattr(run.artifact, name) for name in _OF_ARTIFACT},
        "compressors": chain(run.artifact.compressors),
        "classes": len(run.artifact.labels),
        **{f"unit of {m.metric}": m.unit for m in run.measurements},
    }


def _change(name: str, before: object, after: object) -> str:
    return f"{name}: {_told(before)} -> {_told(after)}"


def _told(value: object) -> str:
    if isinstance(value, list | tuple):  # of files, their names
        value = ", ".join(str(item.get("file", item) if isinstance(item, dict) else item) for item in value) or None
    return "none" if value is None else str(value)


def _short(run: Run) -> str:
    return f"{_name(run)} on {run.target}"


def _some(runs: Sequence[Run]) -> str:
    named = [_short(run) for run in runs]
    return f"{named[0]} and {len(named) - 1} more" if len(named) > 1 else "".join(named) or "none"
