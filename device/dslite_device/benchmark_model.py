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
from dataclasses import dataclass, field

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
    found = _found(lines)
    if found.table:
        timing = _of_table(found)
    elif found.summary:
        timing = _of_summary(found)
    else:
        raise MeasurementError(_failure(lines))
    return [
        *_times(timing, setting),
        *_memory(found, setting),
        *_delegated(lines, setting),
    ]


# -- lines --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the tool's.

    Attributes:
        text: without what a logger put before it.
        level: of the logger: ``E`` for errors, and so on; empty where it told none.
        whole: as it was printed, without colours and control characters.
    """

    text: str
    level: str
    whole: str


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
    """Read a number that is at least 0, and give it in SI units.

    Raises:
        MeasurementError: where it is none, negative, or not finite.
    """
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


@dataclass(slots=True)
class _Found:
    """The lines that hold figures.

    Attributes:
        series: the ``count=`` lines, in order: the warm-up and the timed runs.
        summary: TensorFlow Lite's line with the means, or None.
        table: rows of LiteRT's table, by their names.
        session: the line that says how long loading took, or None.
        delta: the line with the growth of memory, or None.
        peak: the line with the peak of memory, or None.
    """

    series: list[_Line] = field(default_factory=list)
    summary: _Line | None = None
    table: dict[str, _Line] = field(default_factory=dict)
    session: _Line | None = None
    delta: _Line | None = None
    peak: _Line | None = None


_ROWS = frozenset(
    {
        "Model initialization",
        "Warmup (first)",
        "Warmup (avg)",
        "Inference (avg)",
        "Inference (min)",
        "Inference (max)",
        "Inference (std)",
        "Init footprint",
        "Overall footprint",
        "Peak memory",
    }
)


def _found(lines: Iterable[_Line]) -> _Found:
    """Pick the lines with figures.

    Raises:
        MeasurementError: where one is there twice and differs, as where output of two runs is mixed.
    """
    found = _Found()
    for line in lines:
        name = line.text.partition(":")[0]
        if line.text.startswith("count="):
            found.series.append(line)
        elif line.text.removeprefix("Average i").removeprefix("I").startswith(_SUMMARY):
            found.summary = _once(found.summary, line)
        elif name in _ROWS:
            found.table[name] = _once(found.table.get(name), line)
        elif line.text.startswith(_SESSION):
            found.session = _once(found.session, line)
        elif line.text.startswith(_DELTA):
            found.delta = _once(found.delta, line)
        elif line.text.startswith(_PEAK):
            found.peak = _once(found.peak, line)
    if "Inference (avg)" not in found.table:
        found.table.clear()  # broken off before its first figure of inference
    return found


def _once(before: _Line | None, line: _Line) -> _Line:
    if before is not None and before.text != line.text:
        raise _refused("two different figures of one thing, was it run twice?", line)
    return line


# -- times --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Series:
    """Figures of several runs, in seconds; `statistics` as in `dslite.records.Measurement`, `first` where known."""

    line: _Line
    statistics: dict[str, float]
    first: float | None


@dataclass(frozen=True, slots=True)
class _Timing:
    """Figures of a run of the tool, in seconds; None where it does not tell."""

    init: float | None
    first: float | None
    timed: _Series


def _times(timing: _Timing, setting: str) -> list[Measurement]:
    found = []
    if timing.init is not None:
        how = f"open the file until ready to run, as benchmark_model prints it; {setting}"
        found.append(Measurement("init_time", timing.init, "s", how))
    if timing.first is not None:
        how = f"first run after opening, as benchmark_model prints it; {setting}"
        found.append(Measurement("first_latency", timing.first, "s", how))
    statistics = timing.timed.statistics
    which = "median" if "p50" in statistics else "mean"
    value = statistics["p50" if "p50" in statistics else "mean"]
    if value <= 0:
        raise _refused("a run took less time than it can print", timing.timed.line)
    n = statistics["n"]
    how = f"{which} of {n:.0f} run{'s' if n > 1 else ''} after warm-up, as benchmark_model prints it"
    spread = ", std divides by n" if "std" in statistics else ""
    method = f"{how}{spread}, wall clock, batch 1; {setting}"
    return [*found, Measurement("latency", value, "s", method, statistics=statistics)]


def _of_summary(found: _Found) -> _Timing:
    """Read what TensorFlow Lite's tool printed: the means, and the two series they are of."""
    line = found.summary
    assert line is not None  # noqa: S101 - the caller looked
    head, _, rest = line.text.partition(": ")
    _check_unit(head.rpartition(" ")[2], "us", line)
    means: dict[str, float] = {}
    for item in rest.split(", "):
        name, colon, value = item.partition(": ")
        if not colon or name in means:
            raise _refused("expected names with a number each", line)
        means[name] = _number(value.strip(), _US, line)
    # `Inference:` and `no stats:` are of 2018 to 2020.
    mean = next((means[name] for name in ("Inference (avg)", "Inference", "no stats") if name in means), None)
    if mean is None:
        raise _refused("expected the mean of inference", line)
    if len(found.series) != 2:  # noqa: PLR2004 - the warm-up, and the timed runs
        raise _refused(
            f"expected a count= line of the warm-up and one of the timed runs, got {len(found.series)}", line
        )
    warmup, timed = _warmup_of(found.series[0]), _series(found.series[1])
    _check_same("means of inference", mean, timed.statistics["mean"], 0.0, timed.line)
    init = means.get("Init")
    if found.session:
        init = _agreed("initialisation", init, _session(found.session), 0.0, line)
    first = warmup.first if warmup else None
    if first is not None and "First inference" in means:
        _check_same("first runs", first, means["First inference"], 0.0, line)
    return _Timing(init, first, timed)


def _of_table(found: _Found) -> _Timing:
    """Read what LiteRT's tool printed: its table, and the finer figures of the two series where they are there."""
    rows = {name: _row(line) for name, line in found.table.items() if "(" in name or name == "Model initialization"}
    mean_row = rows["Inference (avg)"]
    if not mean_row.n:
        raise _refused("expected the number of runs", mean_row.line)
    n = _count(mean_row.n, mean_row.line)
    init = rows["Model initialization"].value if "Model initialization" in rows else None
    first = rows["Warmup (first)"].value if "Warmup (first)" in rows else None
    warmed = rows["Warmup (avg)"].n if "Warmup (avg)" in rows else ""
    if warmed and not _number(warmed, 1.0, rows["Warmup (avg)"].line):
        first = None  # there was no warm-up: it prints 0
    rounded = {"n": n} | {
        name: rows[row].value
        for name, row in (
            ("mean", "Inference (avg)"),
            ("std", "Inference (std)"),
            ("min", "Inference (min)"),
            ("max", "Inference (max)"),
        )
        if row in rows
    }
    if found.session:
        init = _agreed("initialisation", init, _session(found.session), _HUNDREDTH_MS, found.session)
    if not found.series:
        _check_order(rounded, _HUNDREDTH_MS, mean_row.line)
        return _Timing(init, first, _Series(mean_row.line, rounded, None))
    if len(found.series) != 2:  # noqa: PLR2004 - the warm-up, and the timed runs
        why = f"expected a count= line of the warm-up and one of the timed runs, got {len(found.series)}"
        raise _refused(why, found.series[-1])
    warmup, timed = _warmup_of(found.series[0]), _series(found.series[1])
    if timed.statistics["n"] != n:
        raise _refused(f"expected {n:.0f} runs", timed.line)
    for name, value in rounded.items():
        _check_same(f"figures ({name})", timed.statistics[name], value, _HUNDREDTH_MS, timed.line)
    if warmup and warmup.first is not None:
        first = _agreed("first run", first, warmup.first, _HUNDREDTH_MS, warmup.line)
    return _Timing(init, first, timed)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of LiteRT's table: its figure in seconds, or bytes, and the number of runs, as printed."""

    line: _Line
    value: float
    n: str


def _row(line: _Line, unit: str = "ms", scale: float = _MS) -> _Row:
    match = _ROW.fullmatch(line.text)
    if not match:
        raise _refused("expected a name and a number", line)
    name, number, got, n = match.groups()
    if got and got not in _UNITS:
        raise MeasurementError(f"benchmark_model gave no figures of inference in a unit that is known: {_quoted(line)}")
    if not (name == "Inference (std)" and not got):  # the one row without a unit; it is in ms
        _check_unit(got or "", unit, line)
    return _Row(line, _number(number, scale, line), n or "")


def _session(line: _Line) -> float:
    text = line.text.removeprefix(_SESSION).removesuffix(".")
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz ")
    _check_unit(text.removeprefix(number).strip(), "ms", line)
    return _number(number, _MS, line)


def _warmup_of(line: _Line) -> _Series | None:
    """Read the first ``count=`` line; None where there was no warm-up."""
    return None if re.match(r"count=0(?:\s|$)", line.text) else _series(line)


def _series(line: _Line) -> _Series:
    """Read a ``count=`` line.

    Raises:
        MeasurementError: where it is broken off, or its figures cannot be.
    """
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
    return _Series(line, statistics, first)


def _percentiles(names: Iterable[str]) -> list[str]:
    """Give the names of percentiles, in their order."""
    return sorted((name for name in names if re.fullmatch(r"p\d\d?", name, re.ASCII)), key=lambda name: int(name[1:]))


def _check_order(statistics: dict[str, float], tolerance: float, line: _Line) -> None:
    """Check that min, percentiles and max, and min, mean and max, are in their order."""
    for inner in (_percentiles(statistics), ["mean"]):
        values = [statistics[name] for name in ("min", *inner, "max") if name in statistics]
        if any(b - a < -(tolerance + _SIX_DIGITS * a) for a, b in itertools.pairwise(values)):
            raise _refused(f"expected min, {', '.join(inner)}, max in this order", line)


def _check_same(what: str, a: float, b: float, tolerance: float, line: _Line) -> None:
    if not math.isclose(a, b, rel_tol=_SIX_DIGITS, abs_tol=tolerance):
        raise _refused(f"two different {what}, {a:g} s and {b:g} s", line)


def _agreed(what: str, rounded: float | None, fine: float, tolerance: float, line: _Line) -> float:
    """Give the finer of two figures of one thing, which must agree where there are two."""
    if rounded is not None:
        _check_same(f"figures of {what}", rounded, fine, tolerance, line)
        return rounded if tolerance == 0 else fine
    return fine


# -- memory and delegation ----------------------------------------------------------------------------


def _memory(found: _Found, setting: str) -> list[Measurement]:
    delta = peak = None
    if line := found.table.get("Overall footprint"):
        delta = _row(line, "MB", _MIB).value
    elif line := found.delta:
        _check_unit(line.text.removeprefix(_DELTA).partition(")")[0], "MB", line)
        figures = dict(_PAIR.findall(line.text))
        if set(figures) != {"init", "overall"}:
            raise _refused("expected init= and overall=", line)
        _number(figures["init"], _MIB, line)
        delta = _number(figures["overall"], _MIB, line)
    if line := found.table.get("Peak memory"):
        peak = _row(line, "MB", _MIB).value
    elif line := found.peak:
        _check_unit(line.text.removeprefix(_PEAK).partition(")")[0], "MB", line)
        peak = _number(line.text.rpartition(":")[2].strip(), _MIB, line)
    measured = []
    if delta is not None:
        how = "growth of peak resident memory (ru_maxrss) from the tool's start until after the timed runs"
        measured.append(
            Measurement("memory_delta", round(delta), "bytes", f"{how}, as benchmark_model prints it; {setting}")
        )
    if peak is not None:
        how = "peak resident memory, polled by a thread of the tool while it times; the whole process"
        measured.append(
            Measurement("memory_process", round(peak), "bytes", f"{how}, as benchmark_model prints it; {setting}")
        )
    return measured


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
