"""Cases of two reports, or of one, side by side: ratio of medians, verdict, and what else differs."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dslite.codec import flattened
from dslite.errors import ReportError
from dslite.measure.validity import broken
from dslite.measure.verdict import RUN_TO_RUN, Ratio, of_series, of_turns
from dslite.records import BenchReport, Run
from dslite.report.columns import chain, find, titles

Side = Literal["before", "after"]

_ALWAYS_DIFFER = {"load_average_1min"}
"""Of the environment: what no two reports have in common, and says nothing of the figures of either."""
_OF_PLAN = ("threads", "runs", "min_s", "warmup_runs", "warmup_s", "input")
_OF_ARTIFACT = ("backbone", "part", "exporter", "weights")
_SAME_PACE = math.log(1.1)
"""Products differ by so much from one minute to the next without a reason."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One case, measured twice.

    Attributes:
        name: of the case; of two files, of both; of a row of one report, its own.
        before: the run that the other is compared with.
        after: that other one.
        ratio: of its latency to that before; None where one of them has none.
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

        Runs that break a rule have no verdict, unless they took turns: what disturbed one disturbed the other.
        """
        for side, run in self.sides:
            if run.error:
                return f"failed {side}"
        if self.ratio is None:
            return "not timed"
        return "not valid" if self.not_valid and not self.ratio.n_rounds else self.ratio.verdict

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
        environment: what differs between them besides the files, each as ``name: one, other``.
        pairs: the cases that both have.
        only_before: names of the cases that the second has not; of one report, rows that have none to compare with.
        only_after: that the first has not.
    """

    before: str
    after: str
    environment: tuple[str, ...]
    pairs: tuple[Pair, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]

    @property
    def is_within(self) -> bool:
        """Tell whether these are the rows of one report."""
        return all(pair.against for pair in self.pairs)


def compare(
    before: BenchReport, after: BenchReport, names: tuple[str, str], run_to_run: float = RUN_TO_RUN
) -> Comparison:
    """Pair the cases of two reports: the same model, or file, on the same target.

    Where each has one case alone, these are a pair, whatever they are called.

    Args:
        before: what is compared with.
        after: what is compared.
        names: of the reports.
        run_to_run: see `dslite.measure.verdict.of_series`.

    Raises:
        ReportError: where they have no case in common.
    """
    first, second = dict(_cases(before)), dict(_cases(after))
    if len(first) == len(second) == 1 and first.keys() != second.keys():
        (one,), (other,) = first.values(), second.values()
        pairs = [_pair(f"{Path(one.artifact.path).name} and {Path(other.artifact.path).name}", one, other, run_to_run)]
        return Comparison(*names, tuple(_differences(before, after, pairs)), tuple(pairs), (), ())
    common = [case for case in first if case in second]
    if not common:
        raise ReportError(
            f"{names[0]} and {names[1]} have no case in common: one has {_some(first)}, the other {_some(second)}"
        )
    called = dict(zip(common, titles([first[case] for case in common]), strict=True))
    pairs = [_pair(called[case], first[case], second[case], run_to_run) for case in common]
    return Comparison(
        *names,
        tuple(_differences(before, after, pairs)),
        tuple(pairs),
        tuple(_short(run) for case, run in first.items() if case not in second),
        tuple(_short(run) for case, run in second.items() if case not in first),
    )


def within(report: BenchReport, name: str, run_to_run: float = RUN_TO_RUN) -> Comparison:
    """Compare the rows of one report, see `pairs_within`.

    Raises:
        ReportError: where there are not two rows of one target.
    """
    pairs = pairs_within(report, run_to_run)
    if not pairs:
        raise ReportError(f"{name}: expected two rows of one part and target to compare, or two reports")
    compared = {id(run) for pair in pairs for run in (pair.before, pair.after)}
    alone = [title for title, run in zip(titles(report.runs), report.runs, strict=True) if id(run) not in compared]
    return Comparison(name, name, (), tuple(pairs), tuple(alone), ())


def pairs_within(report: BenchReport, run_to_run: float = RUN_TO_RUN) -> list[Pair]:
    """Pair the rows of one report with the one of their target that they took turns with.

    Where none did, rows that do the same, of one part and target, are paired with the first of them.
    """
    in_turn = {run.target for run in report.runs if _is_base(run)}
    groups: dict[tuple[str, str], list[tuple[str, Run]]] = defaultdict(list)
    for title, run in zip(titles(report.runs), report.runs, strict=True):
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
    if not any(find(run, "reference_latency") for run in report.runs):
        return []
    return [pair for pair in pairs_within(report) if pair.ratio and pair.ratio.n_rounds]


def _cases(report: BenchReport) -> Iterator[tuple[tuple[object, ...], Run]]:
    """Give the runs, each with what makes it the same case in another report."""
    devices: dict[str, set[str]] = defaultdict(set)
    for run in report.runs:
        if run.device:
            devices[run.target].add(run.device.id)
    seen: Counter[tuple[object, ...]] = Counter()
    for run in report.runs:
        artifact = run.artifact
        name: object = artifact.backbone or artifact.part
        if artifact.exporter is None:
            name = Path(artifact.path).name
        device = run.device.id if run.device and len(devices[run.target]) > 1 else ""
        case = (name, artifact.part, artifact.compressors, artifact.exporter, run.target, device)
        seen[case] += 1
        yield (*case, seen[case]), run


def _pair(name: str, before: Run, after: Run, run_to_run: float, against: str = "") -> Pair:
    ratio = None if before.error or after.error else _ratio(before, after, run_to_run)
    return Pair(name, before, after, ratio, against)


def _ratio(before: Run, after: Run, run_to_run: float) -> Ratio | None:
    turns, beside = find(after, "turn_latency"), find(after, "reference_latency")
    own = find(before, "turn_latency")
    if turns and beside and own and _is_base(before) and _took_turns_with(beside.samples, own.samples):
        return of_turns(turns.samples, beside.samples)
    first, second = find(before, "latency"), find(after, "latency")
    if first is None or second is None:
        return None
    return of_series(first, second, run_to_run, _pace(before, after) or 1.0)


def _pace(before: Run, after: Run) -> float | None:
    """Give what a machine reached beside the first run, divided by that beside the second; None of two machines."""
    first, second = find(before, "matmul_rate"), find(after, "matmul_rate")
    same = before.device == after.device and before.plan.threads == after.plan.threads
    return first.value / second.value if same and first and second and first.value and second.value else None


def _is_base(run: Run) -> bool:
    """Tell whether a run is the one that others of its report took turns with: it was compared with itself."""
    own, beside = find(run, "turn_latency"), find(run, "reference_latency")
    return own is not None and beside is not None and own.samples == beside.samples


def _took_turns_with(beside: Sequence[float], own: Sequence[float]) -> bool:
    return bool(beside) and set(beside) <= set(own)


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
        for name, one, other in _facts(pair)
        if one != other and (name != "device" or (one, other) != (first.get("cpu"), second.get("cpu")))
    )


def _facts(pair: Pair) -> Iterator[tuple[str, object, object]]:
    """Give what may differ between the runs of a pair, and be the reason that their latencies do."""
    before, after = pair.before, pair.after
    for name in _OF_PLAN:
        yield name, getattr(before.plan, name), getattr(after.plan, name)
    yield "timed", _how_timed(before), _how_timed(after)
    if before.device and after.device:
        yield "device", before.device.model, after.device.model
    yield "target", before.target, after.target
    for name in _OF_ARTIFACT:
        yield name, getattr(before.artifact, name), getattr(after.artifact, name)
    yield "compressors", chain(before.artifact.compressors), chain(after.artifact.compressors)
    yield "classes", len(before.artifact.labels), len(after.artifact.labels)


def _how_timed(run: Run) -> str:
    return "in turn with other files" if find(run, "turn_latency") else "alone"


def _change(name: str, before: object, after: object) -> str:
    return f"{name}: {_told(before)} -> {_told(after)}"


def _told(value: object) -> str:
    if isinstance(value, list | tuple):  # of files, their names
        each = [str(item.get("file", item)) if isinstance(item, dict) else str(item) for item in value]
        return ", ".join(each) or "none"
    return "none" if value is None else str(value)


def _short(run: Run) -> str:
    if run.artifact.exporter is None:
        return f"{Path(run.artifact.path).name} on {run.target}"
    parts = [run.artifact.backbone or run.artifact.part, run.artifact.part, run.artifact.exporter]
    links = [chain(run.artifact.compressors)] if run.artifact.compressors else []
    return ", ".join([*dict.fromkeys(parts), *links]) + f" on {run.target}"


def _some(cases: Mapping[Any, Run]) -> str:
    named = [_short(run) for run in cases.values()]
    return f"{named[0]} and {len(named) - 1} more" if len(named) > 1 else "".join(named) or "none"
