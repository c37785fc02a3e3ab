"""Runs against others: rows of two reports, or of one, side by side; rows of an experiment against their baseline.

A pair has the ratio of two latencies, its verdict, and what else differs. A row of an experiment gets what it is
against the uncompressed float32 file as figures of its own, and flags with what a reader must know.
"""

import math
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Literal

from dslite.codec import flattened
from dslite.errors import ReportError
from dslite.measure.turns import FAILED_BY_TURNS
from dslite.measure.validity import RUN_TO_RUN, broken, is_rule
from dslite.measure.verdict import Ratio, of_series, of_turns
from dslite.metrics import find, value
from dslite.metrics.scores import Difference
from dslite.records import BenchReport, Flag, Measurement, Run
from dslite.report.names import chain, of_rows, trial_name, trial_names

Side = Literal["before", "after"]

_ALWAYS_DIFFER = {"load_average_1min"}
"""Of the environment: what no two reports have in common, and says nothing of the figures of either."""
_OF_PLAN = ("threads", "runs", "min_s", "warmup_runs", "warmup_s", "input")
_OF_ARTIFACT = ("backbone", "part", "exporter", "weights")
_SAME_PACE = math.log(1.1)
"""Products differ by so much from one minute to the next without a reason."""
BASE = "tflite-float32"
"""The exporter of the file that every row is compared with, of the model as it was trained."""
SAME_SPEED = 0.1
"""Speeds within this share of each other are called the same: on a busy machine even rounds leave as much."""
ENOUGH_TURNS = 5
"""From which on ranges of speed-ups tell files apart.

Were turns independent, those of two files that are as fast as each other, five turns each, would lie apart in 1 of 126
cases (2 of the 252 ways to choose five of ten), and one apart from the file that all are compared with in 1 of 16.
Turns are neighbours in time, so medians must differ by `SAME_SPEED` too.
"""
_OF_SPEED = ("slower", "zeros_not_faster", "zeros_unproven")
_SPARSE = 0.1
_SAME_MACS = 0.01
_FRONT_END_NODES = 12
"""LiteRT's own kernels run up to so many operators of any whole file: those of the front end, and around it."""


# -- reports, and rows of one, side by side ---------------------------------------------------------------


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


# -- rows of an experiment against the uncompressed file ----------------------------------------------------


def compared(runs: Sequence[Run], difference: Callable[[Run, Run], Difference | None]) -> list[Run]:
    """Add to rows what they are against the uncompressed float32 file, and flags.

    Args:
        runs: of an experiment, in any order; those that failed stay as they are.
        difference: gives the difference in UAR of one run from another; None where it is not known.

    Returns:
        The rows with ``uar_difference``, its ``low`` and ``high`` where there is an interval, and ``speed_up`` where
        both files were timed by turns: against the file of their target that `bases` gives.
    """
    of_target, found = bases(runs), list[Run]()
    base = next((run for run in of_target.values() if run.artifact.exporter == BASE), None)
    for run in runs:
        new = []
        if base and not run.error and run.artifact.path != base.artifact.path:
            new += _score_difference(base, difference(run, base))
        if not run.error:
            new += _speed_up(run, of_target.get(run.target))
        found.append(replace(run, measurements=(*run.measurements, *new)))
    of_target = bases(found)
    return [
        run if run.error else replace(run, flags=(*run.flags, *_flags(run, name, of_target.get(run.target), found)))
        for name, run in zip(trial_names(found), found, strict=True)
    ]


def without(run: Run, *metrics: str) -> Run:
    """Take away from a row what `compared` has added of these metrics, and of speed what it said of that."""
    codes = _OF_SPEED if "speed_up" in metrics else ()
    kept = tuple(m for m in run.measurements if m.metric not in metrics)
    return replace(run, measurements=kept, flags=tuple(flag for flag in run.flags if flag.code not in codes))


def bases(runs: Sequence[Run]) -> dict[str, Run]:
    """Give the row of each target that speeds there are compared with.

    That is the uncompressed float32 file, or where no such runs there, the first uncompressed one.
    """
    plain = [run for run in runs if not run.artifact.compressors and not run.error]
    found: dict[str, Run] = {}
    for run in sorted(plain, key=lambda run: run.artifact.exporter != BASE):  # stable: float32 first
        found.setdefault(run.target, run)
    return found


def why_no_speed(runs: Sequence[Run]) -> str:
    """Say why none of the rows has a speed-up; nothing where one has."""
    if any(find(run.measurements, "speed_up") for run in runs):
        return ""
    if any(map(failed_by_turns, runs)):
        return "files failed when they were timed by turns"
    if any(find(run.measurements, "turn_latency") for run in runs):
        return "no uncompressed file ran that the others could be compared with"
    return "the experiment was stopped before files were timed by turns"


def is_timed_enough(run: Run) -> bool:
    """Tell whether a row with a speed-up took turns enough for a verdict on it."""
    speed = find(run.measurements, "speed_up")
    return speed is not None and (is_of_reference(speed) or len(speed.samples) >= ENOUGH_TURNS)


def is_of_reference(speed_up: Measurement) -> bool:
    """Tell whether a speed-up is that of the file that others are compared with."""
    return set(speed_up.samples) == {1.0}


def is_faster(run: Run, than: Run) -> bool:
    """Tell whether one row of a target is faster than another: in the median, and with its range above the other's."""
    ours, theirs = value(run, "speed_up") or 0.0, value(than, "speed_up") or 0.0
    return ours > theirs * (1 + SAME_SPEED) and speed_range(run)[0] > speed_range(than)[1]


def speed_range(run: Run) -> tuple[float, float]:
    """Give the least and the greatest speed-up; of the file that others are compared with both are 1."""
    speed = find(run.measurements, "speed_up")
    return (speed.statistics.get("low", speed.value), speed.statistics.get("high", speed.value)) if speed else (0, 0)


def failed_by_turns(run: Run) -> bool:
    """Tell whether a row has no speed-up as it, or what it is compared with, failed when files took turns."""
    return any(flag.code == FAILED_BY_TURNS for flag in run.flags)


def _score_difference(base: Run, found: Difference | None) -> list[Measurement]:
    if found is None:
        return []
    method = f"UAR minus that of {trial_name(base)} on the same {found.n} files"
    statistics = {"n": float(found.n), "n_changed": float(found.n_changed)}
    if found.interval:
        method += (
            f", with the 95 % interval of {found.n_resamples} bootstrap resamples of files, the same for both (paired)"
        )
        statistics |= dict(zip(("low", "high"), found.interval, strict=True))
    return [Measurement("uar_difference", found.difference, "ratio", method, statistics=statistics)]


def _speed_up(run: Run, base: Run | None) -> list[Measurement]:
    """Give the median ratio, the least and the greatest: no confidence interval, as turns are neighbours in time."""
    ratios = _speeds(run)
    if not base or not ratios:
        return []
    same_bytes = run.artifact.sha256 and run.artifact.sha256 == base.artifact.sha256
    if same_bytes or run.artifact.path == base.artifact.path:  # there is no range
        method = f"1: it is {trial_name(base)}, which others are compared with, or has the same bytes"
        return [Measurement("speed_up", 1.0, "ratio", method, ratios)]
    method = f"median latency of {trial_name(base)} on {run.target} divided by that of this file, timed next to it"
    if len(ratios) == 1:
        return [Measurement("speed_up", median(ratios), "ratio", f"{method} once", ratios)]
    method += f" in each of {len(ratios)} rounds; the median of these ratios, in brackets the least and the greatest"
    statistics = {"n": float(len(ratios)), "low": min(ratios), "high": max(ratios)}
    return [Measurement("speed_up", median(ratios), "ratio", method, ratios, statistics)]


def _speeds(run: Run) -> tuple[float, ...]:
    """Give in each turn how many times faster a file is than the one it is compared with; none where it took none."""
    ours, theirs = find(run.measurements, "turn_latency"), find(run.measurements, "reference_latency")
    if not ours or not theirs or not all(ours.samples):
        return ()  # a clock may be too coarse for a small model
    return tuple(before / now for now, before in zip(ours.samples, theirs.samples, strict=True))


def _ratios(run: Run, other: Run) -> tuple[float, ...]:
    """Give in each round how many times faster one file is than another; none where not both have a speed-up."""
    ours, theirs = find(run.measurements, "speed_up"), find(other.measurements, "speed_up")
    if not ours or not theirs:
        return ()
    if is_of_reference(theirs):
        return ours.samples
    pairs = zip(ours.samples, theirs.samples, strict=True) if len(ours.samples) == len(theirs.samples) else ()
    return tuple(a / b for a, b in pairs)


def _flags(run: Run, name: str, base: Run | None, runs: Sequence[Run]) -> list[Flag]:
    """Tell of a file that became slower, zeros that are not faster, half a delegate; all have their speed-ups."""
    found = []
    speed = find(run.measurements, "speed_up")
    if base and speed and is_timed_enough(run) and is_faster(base, run):
        times = f"{1 / speed.value:.2f} times its latency, and slower in each of {len(speed.samples)} rounds"
        found.append(Flag("slower", f"{name}: slower than {trial_name(base)}, {times}"))
    sparsity, denser, macs = value(run, "sparsity"), _denser(run, runs), value(run, "macs")
    if denser and median(_ratios(run, denser)) < 1 + SAME_SPEED:
        told = (
            f"{name}: {sparsity:.0%} of its weights are zero, and it is not {SAME_SPEED:.0%} faster than "
            f"{trial_name(denser)}: {run.target} computes with zeros as with any weight"
        )
        found.append(Flag("zeros_not_faster", told))
    elif denser and macs is not None and (value(denser, "macs") or 0) > macs * (1 + _SAME_MACS):
        told = (
            f"{name}: {sparsity:.0%} of its weights are zero, and it is faster than {trial_name(denser)}, which "
            "computes more: without a row that has all but the zeros, what these gain is not shown"
        )
        found.append(Flag("zeros_unproven", told))
    nodes, delegated = find(run.measurements, "nodes"), find(run.measurements, "delegated_nodes")
    if nodes and delegated and nodes.value - delegated.value > _FRONT_END_NODES:
        others = delegated.method.partition("; ")[2]
        told = f"{name}: XNNPACK takes {delegated.value:.0f} of {nodes.value:.0f} nodes; {others}"
        found.append(Flag("partly_delegated", told))
    return found


def _denser(run: Run, runs: Sequence[Run]) -> Run | None:
    """Give the row without the zeros of a row that else has most in common with it, and was timed in turn with it.

    That is one of the same exporter and target, whose compressors are some of the row's, in the same order.
    """
    links, sparsity = run.artifact.compressors, value(run, "sparsity")
    if sparsity is None or sparsity < _SPARSE:
        return None
    able = [
        other
        for other in runs
        if (other.artifact.exporter, other.target) == (run.artifact.exporter, run.target)
        and len(other.artifact.compressors) < len(links)
        and _are_among(other.artifact.compressors, links)
        and len(_ratios(run, other)) >= ENOUGH_TURNS
        and (theirs := value(other, "sparsity")) is not None
        and theirs <= sparsity - _SPARSE
    ]
    return max(able, key=lambda o: (len(o.artifact.compressors), -(value(o, "macs") or 0)), default=None)


def _are_among(some: Sequence[str], links: Sequence[str]) -> bool:
    rest = iter(links)
    return all(link in rest for link in some)
