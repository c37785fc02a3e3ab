"""Google's ``benchmark_model``: what it is asked, and what it says. Standard library only.

Two tools have that name, and both are read:

- TensorFlow Lite's (``tensorflow/lite/tools/benchmark``, now ``tflite/tools/benchmark`` of LiteRT). It prints one
  ``count=`` line for the warm-up, one for the timed runs, and then a line with the means of both.
- LiteRT's (``litert/tools/benchmark_litert_model``). It prints the same two lines, to standard output, and a table of
  its own to standard error, rounded to 10 us.

It keeps no samples, so there are none here. Formats were read in the sources of 2018 to 2025 of both repositories.
"""

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dslite.errors import MeasurementError
from dslite.records import Measurement, Plan

_US, _MS = 1e-6, 1e-3
_UNITS = frozenset({"ns", "us", "ms", "s", "B", "KB", "MB", "GB"})
"""That could stand there; another word than these is no unit."""
_MIB = 1024.0 * 1024.0
_QUOTED = 160
"""Characters of a line that a message quotes."""
_SIX_DIGITS = 1e-5
"""Relative: the tool prints means with six significant digits."""
_HUNDREDTH_MS = 0.01 * _MS
"""LiteRT's tool rounds to that, so its figures are right within half of it; the other half is for luck."""

_PREFIX = re.compile(
    r"""(?:\d\d-\d\d\s+\d\d:\d\d:\d\d\.\d+\s+)?           # logcat: date and time,
        (?:\d+\s+\d+\s+)?                                 # process and thread,
        (?:(?P<logcat>[VDIWEF])[/ ][\w.-]+\s*(?:\(\s*\d+\))?\s*:\s+)?   # level and tag
        (?:(?P<level>VERBOSE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL):\s*  # level, twice where a log is logged,
        |\[[\w./-]+:\d+\]\s*)*                            # file and line
    """,
    re.VERBOSE | re.ASCII,
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?", re.ASCII | re.IGNORECASE)
_PAIR = re.compile(r"\b(\w+)=([^\s=\[\]()]+)", re.ASCII)
_ROW = re.compile(
    r"(\w+(?: memory| footprint| initialization)?(?: \(\w+\))?):\s+(\S+)(?: ([^\s()]+))?(?: \((\S+) runs\))?"
)
_REPLACED = re.compile(r"Replacing (\d+)(?: out of (\d+))? node\(s\) with delegate \((\w+)\) node,(.*)", re.ASCII)
_SUBGRAPH = re.compile(r"subgraph (\d+)", re.ASCII)
_FAILED = "Benchmarking failed"
_FAILURE = re.compile(r"(?:failed|error|cannot|could not|unable|invalid|unknown)\b", re.IGNORECASE)
"""How a failure begins where it has no level: the tools of before 2023 printed none."""

_SUMMARY = "nference timings in "
_SESSION = "Initialized session in "
_DELTA = "Memory footprint delta from the start of the tool ("
_PEAK = "Overall peak memory footprint ("
_NAMES = {"median": "p50", "avg": "mean"}
_SUMMARISED = {
    "Init": "init",
    "First inference": "first",
    "Inference (avg)": "mean",
    "Inference": "mean",  # of 2018 to 2020, as the next
    "no stats": "mean",
}
"""Figures of TensorFlow Lite's line with the means; those of warm-up and of memory are in other lines too."""
_MEAN_ROW = "Inference (avg)"
_TABULATED = {
    "Model initialization": "init",
    "Warmup (first)": "first",
    _MEAN_ROW: "mean",
    "Inference (std)": "std",
    "Inference (min)": "min",
    "Inference (max)": "max",
}
_ROWS = {*_TABULATED, "Warmup (avg)", "Init footprint", "Overall footprint", "Peak memory"}
"""Of LiteRT's table."""


def arguments(model: str, plan: Plan) -> list[str]:
    """Give the tool's arguments.

    Args:
        model: path of the file, on the device.
        plan: how. The tool counts the first run among those of the warm-up, dslite does not: it is asked for one more.
    """
    words = [f"--graph={model}", f"--num_threads={plan.threads}", f"--num_runs={plan.runs}"]
    words += [f"--min_secs={plan.min_s:g}", f"--max_secs={plan.max_s:g}"]
    words += [f"--warmup_runs={plan.warmup_runs + 1}", f"--warmup_min_secs={plan.warmup_s:g}", "--use_xnnpack=true"]
    return [*words, *(["--report_peak_memory_footprint=true"] if plan.memory else [])]


def parse(output: str, setting: str) -> list[Measurement]:
    """Read what the tool printed.

    Args:
        output: standard output and standard error, in any order of the two.
        setting: how the file was run, in a few words; every method ends with it.

    Returns:
        ``latency``, with the tool's own statistics and no samples; and as far as it printed them ``init_time``,
        ``first_latency`` (s), ``memory_delta``, ``memory_process`` (bytes), ``delegated_nodes`` and ``nodes``.

    Raises:
        MeasurementError: where it failed; where there are no figures of inference; where figures are impossible, or
            contradict each other. The message is one line and quotes the tool.
    """
    lines = [line for text in output.splitlines() if (line := _line(text)).text]
    if any(line.text.startswith(_FAILED) for line in lines):
        raise MeasurementError(_failure(lines))
    series, named = _found(lines)
    if _MEAN_ROW not in named and _SUMMARY not in named:
        raise MeasurementError(_failure(lines))
    return [*_times(series, named, setting), *_memory(named, setting), *_delegated(lines, setting)]


# -- lines --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the tool's."""

    text: str  # without what a logger put before it
    level: str  # of the logger: ``E`` for errors, and so on; empty where it told none
    whole: str  # as it was printed, without colours and control characters


def _line(text: str) -> _Line:
    whole = "".join(each for each in _COLOUR.sub("", text) if each.isprintable() or each == "\t").strip()
    prefix = _PREFIX.match(whole)
    assert prefix  # noqa: S101 - it matches the empty string
    level = prefix["level"] or prefix["logcat"] or ""
    return _Line(whole[prefix.end() :].strip(), level[:1], whole)


def _quoted(line: _Line) -> str:
    """Give a line as a message can hold it."""
    text = line.whole.replace("\t", " ")
    return text if len(text) <= _QUOTED else f"{text[: _QUOTED - 3]}..."


def _failure(lines: Sequence[_Line]) -> str:
    """Say why there are no figures: by the tool's first error, which is nearest to the cause, or its last line."""
    last = _quoted(lines[-1]) if lines else "nothing"
    with_level = [line for line in lines if line.level in {"E", "F"}]
    without = [line for line in lines if not line.level and _FAILURE.match(line.text)]
    cause = next((line for line in with_level + without if not line.text.startswith(_FAILED)), None)
    before = f" (before that: {_quoted(cause)})" if cause and _quoted(cause) != last else ""
    return f"benchmark_model gave no figures of inference; it said: {last}{before}"


def _refused(why: str, line: _Line) -> MeasurementError:
    return MeasurementError(f"what benchmark_model printed cannot be, or contradicts itself: {why}: {_quoted(line)}")


def _number(text: str, scale: float, line: _Line) -> float:
    """Read a number that is finite and at least 0, and give it in SI units."""
    value = float(text) * scale if _NUMBER.fullmatch(text) else math.nan
    if not (math.isfinite(value) and value >= 0):
        raise _refused(f"expected a finite number that is not negative, got {text[:_QUOTED]!r}", line)
    return value


def _count(text: str, line: _Line) -> float:
    value = _number(text, 1.0, line)
    if value < 1 or not value.is_integer():
        raise _refused("it timed no run, or a part of one", line)
    return value


def _check_unit(got: str, expected: str, line: _Line) -> None:
    if got != expected:
        raise _refused(f"expected {expected}, got {got or 'no unit'}", line)


# -- what was printed ---------------------------------------------------------------------------------


def _found(lines: Iterable[_Line]) -> tuple[list[_Line], dict[str, _Line]]:
    """Pick the lines with figures: those with ``count=`` in their order, the others by the name of what they tell."""
    series: list[_Line] = []
    named: dict[str, _Line] = {}
    for line in lines:
        if line.text.startswith("count="):
            series.append(line)
            continue
        beginning = next((each for each in (_SESSION, _DELTA, _PEAK) if line.text.startswith(each)), None)
        if line.text.removeprefix("Average i").removeprefix("I").startswith(_SUMMARY):
            beginning = _SUMMARY
        name = beginning or line.text.partition(":")[0]
        if (beginning or name in _ROWS) and named.setdefault(name, line).text != line.text:
            raise _refused("two different figures of one thing, was it run twice?", line)
    if _MEAN_ROW not in named:  # the table is broken off before its first figure of inference
        named = {name: line for name, line in named.items() if name not in _ROWS}
    return series, named


# -- times --------------------------------------------------------------------------------------------


def _times(series: Sequence[_Line], named: dict[str, _Line], setting: str) -> list[Measurement]:
    """Give the times of a summary or a table, with the finer figures of other lines where these are there."""
    is_table = _MEAN_ROW in named
    line = named[_MEAN_ROW] if is_table else named[_SUMMARY]
    told = _of_table(named) if is_table else _of_summary(line)
    tolerance = _HUNDREDTH_MS if is_table else 0.0
    init, first = told.get("init"), told.get("first")
    if session := named.get(_SESSION):
        fine = _session(session)
        _check_same("figures of initialisation", init, fine, tolerance, session)
        init = fine if is_table or init is None else init
    statistics: dict[str, float] = {name: told[name] for name in ("n", "mean", "std", "min", "max") if name in told}
    if series or not is_table:
        if len(series) != 2:  # noqa: PLR2004 - the warm-up, and the timed runs
            why = f"expected a count= line of the warm-up and one of the timed runs, got {len(series)}"
            raise _refused(why, series[-1] if series else line)
        warmup, timed = series
        rounded, (statistics, _) = statistics, _series(timed)
        if rounded.get("n", statistics["n"]) != statistics["n"]:
            raise _refused(f"expected {rounded['n']:.0f} runs", timed)
        for name, value in rounded.items():
            _check_same(f"figures ({name})", value, statistics[name], tolerance, timed)
        if re.match(r"count=0(?:\s|$)", warmup.text):
            first = None  # there was no warm-up: a summary says 0
        else:
            _, fine = _series(warmup)
            _check_same("first runs", first, fine, tolerance, warmup)
            first = fine
    else:
        _check_order(statistics, tolerance, line)
    return _measured(init, first, statistics, line, setting)


def _measured(
    init: float | None, first: float | None, statistics: dict[str, float], line: _Line, setting: str
) -> list[Measurement]:
    parts = (
        ("init_time", init, "open the file until ready to run"),
        ("first_latency", first, "first run after opening"),
    )
    found = [
        Measurement(metric, value, "s", f"{how}, as benchmark_model prints it; {setting}")
        for metric, value, how in parts
        if value is not None
    ]
    which = "p50" if "p50" in statistics else "mean"
    if statistics[which] <= 0:
        raise _refused("a run took less time than it can print", line)
    n = statistics["n"]
    spread = ", std divides by n" if "std" in statistics else ""
    how = (
        f"{'median' if which == 'p50' else which} of {n:.0f} run{'s' if n > 1 else ''} after warm-up, "
        f"as benchmark_model prints it{spread}, wall clock, batch 1; {setting}"
    )
    return [*found, Measurement("latency", statistics[which], "s", how, statistics=statistics)]


def _of_summary(line: _Line) -> dict[str, float]:
    """Read TensorFlow Lite's line with the means, in seconds."""
    head, _, rest = line.text.partition(": ")
    _check_unit(head.rpartition(" ")[2], "us", line)
    means: dict[str, float] = {}
    for item in rest.split(", "):
        name, colon, value = item.partition(": ")
        if not colon or name in means:
            raise _refused("expected names with a number each", line)
        means[name] = _number(value.strip(), _US, line)
    told = {_SUMMARISED[name]: value for name, value in means.items() if name in _SUMMARISED}
    if "mean" not in told:
        raise _refused("expected the mean of inference", line)
    return told


def _of_table(named: dict[str, _Line]) -> dict[str, float]:
    """Read the times of LiteRT's table, in seconds, and the number ``n`` of the timed runs."""
    told = {figure: _row(named[row])[0] for row, figure in _TABULATED.items() if row in named}
    mean = named[_MEAN_ROW]
    _, n = _row(mean)
    if not n:
        raise _refused("expected the number of runs", mean)
    told["n"] = _count(n, mean)
    if line := named.get("Warmup (avg)"):
        _, n = _row(line)
        if n and not _number(n, 1.0, line):
            told.pop("first", None)  # there was no warm-up: it prints 0
    return told


def _row(line: _Line, unit: str = "ms", scale: float = _MS) -> tuple[float, str]:
    """Read a row of LiteRT's table: its figure in seconds, or bytes, and the number of runs, as printed."""
    match = _ROW.fullmatch(line.text)
    if not match:
        raise _refused("expected a name and a number", line)
    name, number, got, n = match.groups()
    if got and got not in _UNITS:
        raise MeasurementError(f"benchmark_model gave no figures of inference in a unit that is known: {_quoted(line)}")
    if not (name == "Inference (std)" and not got):  # the one row without a unit; it is in ms
        _check_unit(got or "", unit, line)
    return _number(number, scale, line), n or ""


def _session(line: _Line) -> float:
    text = line.text.removeprefix(_SESSION).removesuffix(".")
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    _check_unit(text.removeprefix(number).strip(), "ms", line)
    return _number(number, _MS, line)


def _series(line: _Line) -> tuple[dict[str, float], float]:
    """Read a ``count=`` line: statistics as in `dslite.records.Measurement`, and the first run, in seconds."""
    pairs = _PAIR.findall(line.text)
    texts = dict(pairs)
    rest = _PAIR.sub("", line.text).strip()
    same = "(all same)" in rest
    if rest.replace("(all same)", "").strip(" []") or len(texts) != len(pairs) or "count" not in texts:
        raise _refused("expected count= and figures", line)
    n = _count(texts.pop("count"), line)
    figures = {name: _number(text, _US, line) for name, text in texts.items()}
    spread = figures.keys() & {"first", "min", "max", "avg", "std"}
    if (same or n == 1) and not spread and "curr" in figures:
        once = figures["curr"]
        figures |= {"first": once, "avg": once, "std": 0.0, "min": once, "max": once, "median": once}
    elif same or len(spread) != 5:  # noqa: PLR2004 - all or none
        raise _refused("expected first, min, max, avg and std, is it broken off?", line)
    first = figures.pop("first")
    figures.pop("curr", None)
    named = {_NAMES.get(name, name): value for name, value in figures.items()}
    order = ("mean", "std", "min", *_percentiles(named), "max")
    if set(named) != set(order):
        raise _refused("expected figures that dslite knows", line)
    statistics = {"n": n} | {name: named[name] for name in order}
    _check_order(statistics, 0.0, line)
    if not statistics["min"] <= first <= statistics["max"]:
        raise _refused("its first run is not between min and max", line)
    return statistics, first


def _percentiles(names: Iterable[str]) -> list[str]:
    """Give the names of percentiles, in their order."""
    return sorted((name for name in names if re.fullmatch(r"p\d\d?", name, re.ASCII)), key=lambda name: int(name[1:]))


def _check_order(statistics: dict[str, float], tolerance: float, line: _Line) -> None:
    """Check that min, percentiles and max, and min, mean and max, are in their order."""
    for inner in (_percentiles(statistics), ["mean"]):
        values = [statistics[name] for name in ("min", *inner, "max") if name in statistics]
        if any(b - a < -(tolerance + _SIX_DIGITS * a) for a, b in itertools.pairwise(values)):
            raise _refused(f"expected min, {', '.join(inner)}, max in this order", line)


def _check_same(what: str, told: float | None, fine: float, tolerance: float, line: _Line) -> None:
    """Check that two figures of one thing agree, where there are two."""
    if told is not None and not math.isclose(told, fine, rel_tol=_SIX_DIGITS, abs_tol=tolerance):
        raise _refused(f"two different {what}, {told:g} s and {fine:g} s", line)


# -- memory and delegation ----------------------------------------------------------------------------


def _memory(named: dict[str, _Line], setting: str) -> list[Measurement]:
    delta = peak = None
    if line := named.get("Overall footprint"):
        delta, _ = _row(line, "MB", _MIB)
    elif line := named.get(_DELTA):
        _check_unit(line.text.removeprefix(_DELTA).partition(")")[0], "MB", line)
        figures = {name: _number(text, _MIB, line) for name, text in _PAIR.findall(line.text)}
        if set(figures) != {"init", "overall"}:
            raise _refused("expected init= and overall=", line)
        delta = figures["overall"]
    if line := named.get("Peak memory"):
        peak, _ = _row(line, "MB", _MIB)
    elif line := named.get(_PEAK):
        _check_unit(line.text.removeprefix(_PEAK).partition(")")[0], "MB", line)
        peak = _number(line.text.rpartition(":")[2].strip(), _MIB, line)
    grown = "growth of peak resident memory (ru_maxrss) from the tool's start until after the timed runs"
    polled = "peak resident memory, polled by a thread of the tool while it times; the whole process"
    return [
        Measurement(metric, round(value), "bytes", f"{how}, as benchmark_model prints it; {setting}")
        for metric, value, how in (("memory_delta", delta, grown), ("memory_process", peak, polled))
        if value is not None
    ]


def _delegated(lines: Iterable[_Line], setting: str) -> list[Measurement]:
    """Give what the delegate runs; nothing where a graph was taken apart twice, for then no line tells."""
    replaced: dict[str, tuple[str, str | None, str, _Line]] = {}
    for line in lines:
        if match := _REPLACED.fullmatch(line.text):
            n, of, delegate, rest = match.groups()
            subgraph = _SUBGRAPH.search(rest)
            key, new = subgraph[1] if subgraph else "", (n, of, delegate, line)
            if key in replaced and replaced[key][:3] != new[:3]:
                return []
            replaced[key] = new
    if not replaced:
        return []
    n_delegated = sum(_number(n, 1.0, line) for n, _, _, line in replaced.values())
    names = " and ".join(dict.fromkeys(delegate for _, _, delegate, _ in replaced.values()))
    totals = [_number(of, 1.0, line) for _, of, _, line in replaced.values() if of is not None]
    if len(totals) < len(replaced):  # tools of before 2023 do not print them
        how = f"operators that {names} runs, as benchmark_model prints it; {setting}"
        return [Measurement("delegated_nodes", n_delegated, "count", how)]
    if n_delegated > sum(totals):
        raise _refused("more operators delegated than there are", next(iter(replaced.values()))[3])
    how = f"operators that {names} runs, of {sum(totals):.0f}, as benchmark_model prints it; {setting}"
    return [
        Measurement("nodes", sum(totals), "count", f"operators in the file, as benchmark_model prints it; {setting}"),
        Measurement("delegated_nodes", n_delegated, "count", how),
    ]
