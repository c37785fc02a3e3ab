"""What a reader must know of the figures of a report: what they stand for, how they are made, what they leave out."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from dslite.measure import series
from dslite.measure.relative import ENOUGH_TURNS, SAME_SPEED, is_of_reference, why_no_speed
from dslite.measure.validity import BY_TURNS, broken, is_rule
from dslite.metrics import ALL_ALIKE, find, is_point, value
from dslite.metrics.forms import DASH
from dslite.records import DEFAULT_THREADS, HOST, BenchReport, Flag, Run
from dslite.report import paper
from dslite.report.names import flag_messages, is_experiment
from dslite.report.pareto import SAME_SIZE, is_not_timed_yet, is_timed_too_little, optimal_trials

_SAME_PEAK = 1.2
_MEMORY = "memory: peak above the same process with the runtime ready but no model"
_DSLITE = "dslite"
"""The runner, where conditions name none."""
_BUSY = 0.5
"""Of the cores, as a load average before the first run, from which on figures of speed are doubtful."""


def of_report(report: BenchReport) -> list[str]:
    """Say what the figures of a report stand for, and how they are made; a sentence each."""
    return of_experiment(report) if is_experiment(report) else of_bench(report)


def _threads(runs: Sequence[Run]) -> str:
    counts = sorted({run.plan.threads for run in runs})
    return f"{'/'.join(map(str, counts))} thread{'s' if counts != [1] else ''}"


def _this_machine(report: BenchReport) -> str:
    facts = report.environment
    cpu, system = facts.get("cpu", "unknown processor"), facts.get("system", "unknown system")
    return f"{cpu}, {facts.get('cpus', '?')} cores, {system}"


# -- of a bench -------------------------------------------------------------------------------------------


def _elsewhere(runs: Sequence[Run]) -> list[str]:
    """Say what phones, or other machines, are, and under which conditions was measured there: a line for each."""
    alike: dict[str, list[Run]] = {}
    for run in runs:
        alike.setdefault(_conditions(run), []).append(run)
    return [
        f"{conditions}; batch 1, {_processes(group)}{_n_timed(group)}{_agreement(group)}"
        for conditions, group in alike.items()
    ]


def _agreement(runs: Sequence[Run]) -> str:
    """Say how far outputs were from this host's, after a semicolon; nothing where none was compared."""
    whole = [run for run in runs if not run.error]
    differences = [m.value for run in whole if (m := find(run.measurements, "output_difference"))]
    if not differences:
        return ""
    of = "" if len(differences) == len(whole) else f" of {len(differences)} of {len(whole)} rows"
    largest = max(differences)
    if not largest:
        return f"; outputs{of} as on this host"
    digit = 10.0 ** math.floor(math.log10(largest))
    return f"; outputs{of} as on this host within {math.ceil(largest / digit - 1e-9) * digit:.0e}"


def _about_peak(runs: Sequence[Run]) -> list[str]:
    """Say where the rates that ``peak`` is a share of differ, as on a machine that others use too."""
    rates: dict[tuple[str, int], list[float]] = defaultdict(list)
    for run in runs:
        if (rate := find(run.measurements, "matmul_rate")) and find(run.measurements, "flop_rate_share"):
            rates[run.target, run.plan.threads].append(rate.value)
    return [
        f"peak: beside each row its own matrix products; they reached {min(found) / 1e9:.0f} to {max(found) / 1e9:.0f} "
        "GFLOP/s, so shares of different rows do not compare"
        for found in rates.values()
        if max(found) > _SAME_PEAK * min(found)
    ]


def _is_of_turns(run: Run) -> bool:
    return find(run.measurements, "turn_latency") is not None


def _processes(runs: Sequence[Run]) -> str:
    """Say in which processes latencies were taken."""
    if all(map(_is_of_turns, runs)):
        return "in turn with other files; first, init and memory in a fresh process each"
    return "a fresh process each"


def _n_timed(runs: Sequence[Run]) -> str:
    """Say how many runs were timed, after a comma; nothing where nobody tells."""
    latencies = (find(run.measurements, "latency") for run in runs)
    counts = sorted({round(m.statistics.get("n", 0)) for m in latencies if m} - {0})
    if not counts:
        return ""
    span = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    warm = " after warm-up" if all(run.plan.warmup_runs or run.plan.warmup_s for run in runs) else ""
    return f", {span} timed run{'s' if counts != [1] else ''}{warm}"


def _conditions(run: Run) -> str:
    """Say what a device is, and under which conditions a run took place there."""
    device, conditions = run.device, run.conditions
    assert device  # noqa: S101 - what was measured has one
    cores = conditions.get("cores", ())
    pinned = f" on core{'s' if len(cores) > 1 else ''} {','.join(map(str, cores))}" if cores else ""
    threads = _threads([run]) + pinned
    kept = ["performance held at what it can sustain"] if conditions.get("fixed_performance") else []
    by = [f"by {runner}"] if (runner := conditions.get("runner", _DSLITE)) != _DSLITE else []
    facts = [device.model, device.soc, device.os, device.abi, threads, *kept, *by]
    return f"{run.target.partition(':')[0]} {device.id}: {', '.join(filter(None, facts))}"


def of_bench(report: BenchReport) -> list[str]:
    """Say what the figures of a report stand for: machine, threads, inputs, how memory and MACs are counted."""
    figures = [found for run in report.runs if (found := paper.figures_for(run))]
    measured = [run for run in report.runs if find(run.measurements, "latency")]
    here = [run for run in measured if run.device is None or run.device.id == HOST]
    beside = f" (the paper: {DEFAULT_THREADS})" if figures else ""
    groups = filter(None, ([r for r in here if not _is_of_turns(r)], [r for r in here if _is_of_turns(r)]))
    lines = [
        f"{_this_machine(report)}; {_threads(group)}{beside}, batch 1, {_processes(group)}{_n_timed(group)}"
        for group in groups
    ]
    lines += _elsewhere([run for run in measured if run.device is not None and run.device.id != HOST])
    if measured:
        fed = [str(run.conditions.get("input", run.plan.input)) for run in measured]  # a target may have its own
        inputs = dict.fromkeys(text.removeprefix("pictures of ") for text in fed)
        lines.append(f"input: {'; '.join(inputs)}")
    counted = [run for run in report.runs if find(run.measurements, "memory_delta")]
    for counter in dict.fromkeys(str(run.conditions.get("runner", _DSLITE)) for run in counted):
        how = _MEMORY if counter == _DSLITE else f"memory by {counter}: its own count, with the runtime in it"
        lines.append(f"{how}; process: peak of the whole process. MB = 10^6 bytes")
    if any(find(run.measurements, "macs") for run in report.runs):
        lines.append("MACs: multiply-accumulates of convolutions and matrix products; 1 MAC = 2 FLOPs")
    lines += _about_peak(measured)
    if figures:
        lines.append(f"{paper.NOTE}{paper.ITS_PHONE if any(found.params for found in figures) else ''}")
    if any(found.flops for found in figures):
        lines.append(paper.NOTE_ON_FLOPS)
    return lines


# -- of an experiment -------------------------------------------------------------------------------------


def _zeros(run: Run) -> str:
    return f"{value(run, 'sparsity') or 0:.0%} zeros"


_FIGURES: Mapping[str, Callable[[Run], str]] = {
    "slower": lambda run: f"speed-up {value(run, 'speed_up') or 0:.2f}x",
    "zeros_unproven": _zeros,
    "zeros_not_faster": _zeros,
    "partly_delegated": lambda run: f"{value(run, 'delegated_nodes'):.0f}/{value(run, 'nodes'):.0f}",
}
"""What a flag says of one row alone."""


def flags_of_trials(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Give what a reader must know of rows of an experiment, which have these names.

    Of what is true of many, one is told in words; the others are named with their figures.
    """
    rows: dict[str, dict[str, tuple[str, Run]]] = {}
    of_timing: list[Run] = []
    for name, run in zip(names, runs, strict=True):
        of_timing.append(replace(run, flags=tuple(filter(_is_of_timing, run.flags))))
        for flag in (flag for flag in run.flags if not _is_of_timing(flag)):
            rows.setdefault(flag.code, {}).setdefault(flag.message, (name, run))
    found: list[str] = []
    for code, messages in rows.items():
        first, *others = messages
        if len(others) < 2 or code not in _FIGURES:  # noqa: PLR2004 - two are told as they are
            found += messages
        else:
            named = (f"{name} ({_FIGURES[code](run)})" for name, run in map(messages.__getitem__, others))
            found.append(f"{first}; likewise {'; '.join(named)}")
    return [*found, *flag_messages(of_timing, names)]


def _is_of_timing(flag: Flag) -> bool:
    """Tell whether a flag is of any bench, about time and machine, with no name of a row in it."""
    return is_rule(flag) or flag.code.removesuffix(BY_TURNS) in {*series.CODES, "slow_first"}


def of_experiment(report: BenchReport) -> list[str]:
    """Say how the figures are made; a sentence each."""
    found = []
    uar, difference = (
        next((m for run in report.runs if (m := find(run.measurements, metric))), None)
        for metric in ("uar", "uar_difference")
    )
    if uar:
        found.append(f"UAR: {uar.method}; chance {uar.statistics.get('chance', 0):.3f}")
    if difference:
        found.append(
            f"against float32: {difference.method}; an interval with 0 in it shows no difference, and the loss may be "
            f"as large as its lower end; {ALL_ALIKE}: all decisions, on these {difference.statistics['n']:.0f} files; "
            "others may tell them apart"
        )
    if any(uar and is_point(uar) for run in report.runs if (uar := find(run.measurements, "uar"))):
        found.append(
            f"({DASH}) for an interval: every class is recognised always or never, of which resamples cannot tell how "
            "sure it is: score more files"
        )
    if difference and any(run.artifact.compressors for run in report.runs):
        found.append(
            "what looks like a gain may be chance among many rows, or of learning longer: compressors fine-tune for "
            "epochs that float32 has not had; quote the row you choose with its UAR on a split you did not choose it by"
        )
    measured = [run for run in report.runs if find(run.measurements, "latency")]
    if measured:
        where = f"{'; '.join(_machines(report, measured))}; {_threads(measured)}"
        found.append(f"latency: {where}, batch 1, in fresh processes, front end included")
        memory = f"{_MEMORY}; " if any(find(run.measurements, "memory_delta") for run in measured) else ""
        found += [_about_speed(measured), *_busy(report), f"{memory}MB = 10^6 bytes"]
    calibrated = sorted({n for run in report.runs if (n := run.artifact.n_calibration) is not None})
    if calibrated:
        found.append(
            f"calibration, of exporters that need it: {' or '.join(map(str, calibrated))} chunks with sound in them, "
            "from the files that compressors learn from"
        )
    if any(find(run.measurements, "sparsity") for run in report.runs):
        found.append(
            "zeros: share of the weights in kernels; gzip: the file compressed, which is where zeros and shared values "
            "count"
        )
    if any(run.artifact.compressors for run in report.runs):
        found.append(
            "params: of the Keras model; compressors fold batch normalisation, where there is any, into kernels"
        )
    return found + _about_marks(report)


def _about_marks(report: BenchReport) -> list[str]:
    """Say which rows are marked, or why none is though speeds are known."""
    of_target = " of the same target" if len({run.target for run in report.runs}) > 1 else ""
    if optimal_trials(report.runs):
        told = (
            f"* Pareto-optimal: no other row{of_target} is as good in UAR, speed-up and size, and better in one "
            f"of them; speed-ups within {SAME_SPEED:.0%}, or whose ranges touch, and sizes within "
            f"{SAME_SIZE:.0%} count as equal; measured again, a row at the edge may get its mark or lose it"
        )
        return [told + ("; rows that are not valid are not judged" if any(map(broken, report.runs)) else "")]
    if not any(find(run.measurements, "speed_up") for run in report.runs):
        return []  # it was told why not
    if any(map(is_not_timed_yet, report.runs)):
        return ["Pareto-optimal rows: not told, as some were not timed by turns yet"]
    if any(map(is_timed_too_little, report.runs)):
        return [f"Pareto-optimal rows: not told, it takes {ENOUGH_TURNS} rounds (--rounds) to tell speeds apart"]
    return ["Pareto-optimal rows: none, as no row with a speed-up is valid"]


def _about_speed(measured: Sequence[Run]) -> str:
    """Say what speed-ups are, or why there are none."""
    if why := why_no_speed(measured):
        return (
            f"speed-up, Pareto-optimal rows: not told, as {why}; p50 of rows that were measured at different times "
            "cannot be compared"
        )
    timed = [speed for run in measured if (speed := find(run.measurements, "speed_up"))]
    methods = dict.fromkeys(speed.method for speed in timed if not is_of_reference(speed))
    methods = methods or dict.fromkeys(speed.method for speed in timed)  # of the one that others would be compared with
    few = f"; {DASH}: not timed by turns with these, and p50 is of when it was measured first"
    dash = few if len(timed) < len(measured) else ""
    return (
        f"speed-up: {'; '.join(methods)}{dash}; p50 and p90 are of a file's own turns, and have the "
        "machine's pace of these in them: rows are compared by their speed-up"
    )


def _busy(report: BenchReport) -> list[str]:
    """Warn of a machine that had other things to do when the experiment began."""
    load, cores = (report.environment.get(fact) for fact in ("load_average_1min", "cpus"))
    if not load or not cores or load <= _BUSY * cores:
        return []
    return [f"dslite's machine was busy when this began, or just before: a load average of {load:g} on {cores} cores"]


def _machines(report: BenchReport, runs: Sequence[Run]) -> list[str]:
    """Describe what the runs were measured on, with the targets where there are several machines."""
    of_target = {}
    for run in runs:
        device = run.device
        of_target[run.target] = f"{device.model}, {device.cpus} cores, {device.os}" if device else _this_machine(report)
    machines = list(dict.fromkeys(of_target.values()))
    if len(machines) == 1:
        return machines
    return [f"{', '.join(t for t in of_target if of_target[t] == machine)} on {machine}" for machine in machines]
