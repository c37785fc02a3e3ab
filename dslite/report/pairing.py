"""Cases of two reports, or of one, side by side: ratio of medians, verdict, and what else differs."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dslite.codec import flattened
from dslite.errors import ReportError
from dslite.measure.validity import broken
from dslite.measure.verdict import RUN_TO_RUN, Ratio, of_series, of_turns
from dslite.records import BenchReport, Run
from dslite.report.columns import chain, find, titles

_ALWAYS_DIFFER = {"load_average_1min"}
"""Of the environment: what no two reports have in common, and says nothing of the figures of either."""
_OF_PLAN = ("threads", "runs", "min_s", "warmup_runs", "warmup_s", "input")


@dataclass(frozen=True, slots=True)
class Pair:
    """One case, measured twice.

    Attributes:
        name: of the case; of two files, of both.
        before: the run that the other is compared with.
        after: that other one.
        ratio: of its latency to that before; None where one of them has none.
    """

    name: str
    before: Run
    after: Run
    ratio: Ratio | None

    @property
    def not_valid(self) -> list[str]:
        """Give why figures of the pair cannot be trusted, each with the side it is true of."""
        sides = (("before", self.before), ("after", self.after))
        return [f"{side}: {'; '.join(found)}" for side, run in sides if (found := broken(run))]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two reports side by side, or the rows of one with its first.

    Attributes:
        before: name of the report that the other is compared with.
        after: of that other one; the same name: rows of one report.
        environment: what differs between them besides the files, each as ``name: one, other``.
        pairs: the cases that both have.
        only_before: names of the cases that the second has not.
        only_after: that the first has not.
    """

    before: str
    after: str
    environment: tuple[str, ...]
    pairs: tuple[Pair, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]


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
    """Compare the rows of one report with the one that they took turns with, or else with the first, by target.

    Raises:
        ReportError: where there are not two rows of one target.
    """
    pairs, called = [], titles(report.runs)
    for target in dict.fromkeys(run.target for run in report.runs):
        rows = [(title, run) for title, run in zip(called, report.runs, strict=True) if run.target == target]
        whole = [(title, run) for title, run in rows if not run.error]
        if not whole:
            continue
        base_title, base = next(((title, run) for title, run in whole if _is_base(run)), whole[0])
        pairs += [
            _pair(f"{title} against {base_title}", base, run, run_to_run) for title, run in rows if run is not base
        ]
    if not pairs:
        raise ReportError(f"{name}: expected two rows of one target to compare, or two reports")
    return Comparison(name, name, (), tuple(pairs), (), ())


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


def _pair(name: str, before: Run, after: Run, run_to_run: float) -> Pair:
    return Pair(name, before, after, None if before.error or after.error else _ratio(before, after, run_to_run))


def _ratio(before: Run, after: Run, run_to_run: float) -> Ratio | None:
    turns, beside = find(after, "turn_latency"), find(after, "reference_latency")
    own = find(before, "turn_latency")
    if turns and beside and own and _is_base(before) and _took_turns_with(beside.samples, own.samples):
        return of_turns(turns.samples, beside.samples)
    first, second = find(before, "latency"), find(after, "latency")
    if first is None or second is None:
        return None
    if first.samples and second.samples:
        return of_series(first.samples, second.samples, run_to_run)
    if not first.value or not second.value:
        return None
    value = second.value / first.value  # of a tool that gives no samples
    return Ratio(value, value / (1 + run_to_run), value * (1 + run_to_run), 0)


def _is_base(run: Run) -> bool:
    """Tell whether a run is the one that others of its report took turns with: it was compared with itself."""
    own, beside = find(run, "turn_latency"), find(run, "reference_latency")
    return own is not None and beside is not None and own.samples == beside.samples


def _took_turns_with(beside: Sequence[float], own: Sequence[float]) -> bool:
    return bool(beside) and set(beside) <= set(own)


def _differences(before: BenchReport, after: BenchReport, pairs: Sequence[Pair]) -> Iterator[str]:
    """Name what differs besides the files: machine, software, and how was measured."""
    first, second = (
        {"dslite": report.dslite, "commit": report.commit, **flattened(report.environment)}
        for report in (before, after)
    )
    for name in dict.fromkeys([*first, *second]):
        if name not in _ALWAYS_DIFFER and first.get(name) != second.get(name):
            yield f"{name.removeprefix('packages ')}: {_told(first.get(name))}, {_told(second.get(name))}"
    told: dict[str, None] = {}
    for pair in pairs:
        for name in _OF_PLAN:
            ours, theirs = getattr(pair.before.plan, name), getattr(pair.after.plan, name)
            if ours != theirs:
                told[f"{name}: {_told(ours)}, {_told(theirs)}"] = None
        devices = [run.device.model for run in (pair.before, pair.after) if run.device]
        if len(set(devices)) > 1 and devices != [before.environment.get("cpu"), after.environment.get("cpu")]:
            told[f"device: {devices[0]}, {devices[1]}"] = None
    yield from told


def _told(value: object) -> str:
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
