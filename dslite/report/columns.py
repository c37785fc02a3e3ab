"""The columns of a bench table: what each shows, how it is written, and how rows are ordered by it."""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dslite.errors import SpecError
from dslite.files import told_apart
from dslite.measure import figures
from dslite.measure.validity import broken, is_rule
from dslite.records import Measurement, Run
from dslite.report import paper
from dslite.report.paper import PaperFigures

DASH = "-"
GAP = 3
"""Characters a column needs besides its own: rich puts a blank on either side of a cell and one between columns."""
_NAMED = 3
"""Rows that a note names."""


def count(value: float | None) -> str:
    """Write a count with three or four digits and a prefix: ``2.83 G``, ``7.56 M``, ``146``."""
    if value is None:
        return DASH
    for size, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.2f}{prefix}"
    return f"{value:.0f}"


def size(value: float | None) -> str:
    """Write bytes, decimal: ``29.9 MB``, ``146.7 kB``."""
    if value is None:
        return DASH
    for unit_size, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if abs(value) >= unit_size:
            return f"{value / unit_size:.1f} {unit}"
    return f"{value:.0f} B"


def milliseconds(value: float | None) -> str:
    """Write seconds as milliseconds with three significant digits where they are small: ``0.00123``, ``32.8``."""
    if value is None:
        return DASH
    scaled = value * 1e3
    if 0 < abs(scaled) < 1:
        return f"{scaled:.{2 - math.floor(math.log10(abs(scaled)))}f}"
    digits = 2 if scaled < 10 else 1 if scaled < 1000 else 0  # noqa: PLR2004 - three significant digits
    return f"{scaled:.{digits}f}"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        title: its heading; the unit, if it has one, on a second line.
        value: of a run, in SI units, or None.
        write: turns it into text.
        papers: the paper's figure beside it, or None.
        optional: whether it is there only where a run has a value.
        meaning: what it is, in words.
    """

    title: str
    value: Callable[[Run], float | None]
    write: Callable[[float | None], str]
    papers: Callable[[PaperFigures], float | None] | None = None
    optional: bool = False
    meaning: str = ""

    @property
    def name(self) -> str:
        """Give the heading without its unit."""
        return self.title.splitlines()[0]

    def cell(self, run: Run) -> str:
        """Write what a run has here."""
        return self.write(self.value(run))


def chain(compressors: Sequence[str]) -> str:
    """Name compressors that were applied in turn, as the user does."""
    return "+".join(compressors) or "none"


def find(run: Run, metric: str) -> Measurement | None:
    """Give a run's measurement, the first of this metric."""
    return figures.find(run.measurements, metric)


def value(run: Run, metric: str) -> float | None:
    """Give the value of a run's measurement."""
    found = find(run, metric)
    return found.value if found else None


def latency(name: str) -> Callable[[Run], float | None]:
    """Give what a column shows that is a statistic of the latency, such as ``p95``."""

    def statistic(run: Run) -> float | None:
        found = find(run, "latency")
        return found.statistics.get(name) if found else None

    return statistic


def metric(name: str) -> Callable[[Run], float | None]:
    """Give what a column shows that is a measurement's value."""
    return lambda run: value(run, name)


def _spread(run: Run) -> float | None:
    return latency("std")(run) if (latency("n")(run) or 0) > 1 else None


def _megabytes(value: float | None) -> str:
    return DASH if value is None else f"{value / 1e6:.1f}"


def _celsius(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}"


def _half_interval(run: Run) -> float | None:
    """Give half the width of the median's interval, as a share of the median."""
    low, high, median = (latency(name)(run) for name in ("low", "high", "p50"))
    return (high - low) / 2 / median if low is not None and high is not None and median else None


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{value * 100:.1f}" if value < 0.1 else f"{value * 100:.0f}"  # noqa: PLR2004


def _factor(value: float | None) -> str:
    return DASH if value is None else f"{value:.1f}" if value < 100 else f"{value:.0f}"  # noqa: PLR2004


def _giga(value: float | None) -> str:
    return DASH if value is None else f"{value / 1e9:.1f}"


COLUMNS = (
    Column("p50\nms", latency("p50"), milliseconds, meaning="median latency of the timed runs"),
    Column("±\n%", _half_interval, _percent, meaning="half the 95 % interval of the median, as a share of it"),
    Column("p90\nms", latency("p90"), milliseconds, meaning="90 % of the timed runs were faster"),
    Column("mean\nms", latency("mean"), milliseconds, lambda p: p.mean_s, meaning="mean latency of the timed runs"),
    Column("std\nms", _spread, milliseconds, meaning="standard deviation of the timed runs"),
    Column("first\nms", metric("first_latency"), milliseconds, meaning="the first run after opening the file"),
    Column("init\nms", metric("init_time"), milliseconds, meaning="opening the file"),
    Column(
        *("audio\ns/s", metric("real_time_factor"), _factor),
        optional=True,
        meaning="seconds of audio that are classified in a second",
    ),
    Column(
        *("GFLOP\n/s", metric("flop_rate"), _giga),
        optional=True,
        meaning="floating-point operations a second, by the median latency",
    ),
    Column(
        *("peak\n%", metric("flop_rate_share"), _percent),
        optional=True,
        meaning="that rate, as a share of what the machine reaches in a float32 matrix product",
    ),
    Column("MACs", metric("macs"), count, meaning="multiply-accumulates of one inference"),
    Column(
        *("FLOPs", metric("flops"), count, lambda p: p.flops),
        meaning="floating-point operations of one inference, two for each MAC",
    ),
    Column("params", metric("parameters"), count, lambda p: p.params, meaning="parameters of the model"),
    Column(
        *("memory\nMB", metric("memory_delta"), _megabytes, lambda p: p.memory_bytes),
        meaning="peak memory that the model adds",
    ),
    Column("process\nMB", metric("memory_process"), _megabytes, meaning="peak memory of the whole process"),
    Column("temp\n°C", metric("temperature"), _celsius, optional=True, meaning="of the device, while runs were timed"),
    Column("size", metric("size"), size, lambda p: p.size_bytes, meaning="of the file"),
)
SORTABLE = ("name", *(column.name.lower() for column in COLUMNS))


def titles(runs: Sequence[Run]) -> list[str]:
    """Name each run's row.

    As in the paper's table where the report is that table; by backbone, and by what else differs, where all are files
    that dslite named; else by file, with folders, place or number where that alone tells rows apart.
    """
    rows = [paper.row_of(run) for run in runs]
    backbones = {run.artifact.backbone for run in runs} - {None}
    several = len({run.artifact.path for run in runs}) > 1  # one file on several targets is called by its name
    ours = all(map(_is_named_by_us, runs))
    if several and ours and len(backbones) == 1 and None not in rows and len(set(rows)) == len(rows):
        return [row.title for row in rows if row]
    if ours and len(backbones) > 1:
        facts = [(_owner(run), run.artifact.part, run.artifact.exporter or "", run.target) for run in runs]
        differ = [i for i in range(1, 4) if len({fact[i] for fact in facts if fact[0] != "frontend"}) > 1]
        return [", ".join([fact[0], *(fact[i] for i in differ)]) for fact in facts]
    names, places = told_apart([run.artifact.path for run in runs]), _places(runs)
    places_of: dict[str, set[str]] = defaultdict(set)
    for name, place in zip(names, places, strict=True):
        places_of[name].add(place)
    placed = [f"{n} on {place}" if len(places_of[n]) > 1 else n for n, place in zip(names, places, strict=True)]
    seen: Counter[str] = Counter()
    numbered = []
    for name in placed:
        seen[name] += 1
        numbered.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return numbered


def _is_named_by_us(run: Run) -> bool:
    """Tell whether a file has the name that dslite gives exports: with backbone, or part, and exporter in it."""
    stem, (whose, exporter) = Path(run.artifact.path).stem, (_owner(run), run.artifact.exporter or "")
    return bool(exporter) and all(name.partition(":")[0] in stem for name in (whose, exporter))


def _places(runs: Sequence[Run]) -> list[str]:
    """Name where each run took place: by its target; of several devices of one target, by their models and options."""
    devices = {run.device.id: run.device.model for run in runs if run.device}
    targets = [run.target.partition(":")[0] for run in runs]
    of_target: dict[str, set[str]] = defaultdict(set)
    for run, name in zip(runs, targets, strict=True):
        if run.device:
            of_target[name].add(run.device.id)
    models = list(devices.values())
    found = []
    for run, name in zip(runs, targets, strict=True):
        others = [each for each in run.target.partition(":")[2].split(",") if each and not each.startswith("device=")]
        place = name
        if run.device and len(of_target[name]) > 1:
            place = run.device.model if models.count(run.device.model) == 1 else run.device.id
        found.append(place + (":" + ",".join(others) if others else ""))
    return found


def _owner(run: Run) -> str:
    return run.artifact.backbone or run.artifact.part


def ordered(runs: Sequence[Run], by: str, *, descending: bool = False) -> list[Run]:
    """Put runs in the order of a column of `SORTABLE`; those without a value there come last.

    Raises:
        SpecError: where there is no such column.
    """
    if by == "name":
        named = sorted(zip(titles(runs), range(len(runs)), strict=True), reverse=descending)
        return [runs[i] for _, i in named]
    column = next((column for column in COLUMNS if column.name.lower() == by), None)
    if column is None:
        raise SpecError(f"no column is named {by!r}: there are {', '.join(SORTABLE)}")
    valued = [(v, i) for i, run in enumerate(runs) if (v := column.value(run)) is not None]
    there = [i for _, i in sorted(valued, key=lambda pair: pair[0], reverse=descending)]
    known = set(there)
    return [runs[i] for i in (*there, *(i for i in range(len(runs)) if i not in known))]


def too_wide(widths: Mapping[str, int], first_to_go: Sequence[str], room: int) -> list[str]:
    """Name the columns of a table that go, so that the others fit: no figure is ever cut.

    Args:
        widths: characters of the longest cell of each column, under its name.
        first_to_go: names; those that are not among them stay.
        room: characters there are for the columns.
    """
    needed = sum(width + GAP for width in widths.values())
    gone = []
    for name in first_to_go:
        if needed <= room:
            break
        gone.append(name)
        needed -= widths[name] + GAP
    return gone


def width_of(cell: str) -> int:
    """Give the characters of the longest line of a cell."""
    return max(map(len, cell.splitlines()), default=0)


def flag_messages(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Give what a reader must know of the runs, each once, with the rows that it is true of where these are not all.

    Why a run is not valid is no such: see `not_valid`.

    Args:
        runs: in the order of their rows.
        names: of these rows, such as `titles` gives.
    """
    rows: dict[str, dict[str, None]] = {}
    for name, run in zip(names, runs, strict=True):
        for flag in (flag for flag in run.flags if not is_rule(flag)):
            rows.setdefault(_without_names(run, flag.message), {})[name] = None
    everywhere = len(set(names))
    return [text if len(those) == everywhere else f"{some([*those])}: {text}" for text, those in rows.items()]


def not_valid(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Say of each row that is not valid why, rows with the same reasons together; arguments as of `flag_messages`."""
    rows: dict[str, list[str]] = {}
    for name, run in zip(names, runs, strict=True):
        if found := [_without_names(run, message) for message in broken(run)]:
            rows.setdefault("; ".join(dict.fromkeys(found)), []).append(name)
    return [f"{some(those)}: not valid because {reasons}" for reasons, those in rows.items()]


def _without_names(run: Run, message: str) -> str:
    """Take away the names by which a message begins: file and device, where a row has its own."""
    file = Path(run.artifact.path).name
    return message.removeprefix(f"{file} on {run.device.id if run.device else ''}: ").removeprefix(f"{file}: ")


def some(names: Sequence[str]) -> str:
    """Name rows: the first few of many, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def in_short(run: Run) -> str:
    """Say in a few words what became of a run."""
    if run.error:
        return f"failed: {run.error}"
    uar = value(run, "uar")
    scored = "" if uar is None else f"UAR {uar:.3f}, "
    return f"{scored}{milliseconds(latency('p50')(run))} ms, {size(value(run, 'size'))}"
