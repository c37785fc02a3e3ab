"""What rows are called, and what is said of some of them at once."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from dslite.files import told_apart
from dslite.measure.relative import trial_names
from dslite.measure.validity import broken, is_rule
from dslite.metrics import find, statistic, value
from dslite.metrics.forms import milliseconds, size
from dslite.records import BenchReport, Run
from dslite.report import paper

_NAMED = 3
"""Rows that a note names."""
_OF_EXPERIMENTS = ("uar_difference", "speed_up", "sparsity")
"""Metrics that only ``dslite compress`` measures."""


def numbered(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Tell headings apart: one that is taken already gets a number, ``size_2``."""
    seen, found = set(taken), list[str]()
    for name in names:
        ways = itertools.chain([name], (f"{name}_{n}" for n in itertools.count(2)))
        free = next(each for each in ways if each not in seen)
        seen.add(free)
        found.append(free)
    return found


def is_experiment(report: BenchReport) -> bool:
    """Tell whether a report is one of ``dslite compress``: a model that was compressed and exported in several ways."""
    if report.command.split()[1:2] == ["compress"]:
        return True
    return any(m.metric in _OF_EXPERIMENTS for run in report.runs for m in run.measurements)


def of_rows(report: BenchReport) -> list[str]:
    """Name the rows of a report: of an experiment by what was done to the model, else see `titles`."""
    return trial_names(report.runs) if is_experiment(report) else titles(report.runs)


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
    placed = list(zip(told_apart([run.artifact.path for run in runs]), _places(runs), strict=True))
    n_places, seen, numbered = Counter(name for name, _ in set(placed)), Counter[str](), []
    for name, place in placed:
        title = f"{name} on {place}" if n_places[name] > 1 else name
        seen[title] += 1
        numbered.append(f"{title} ({seen[title]})" if seen[title] > 1 else title)
    return numbered


def _is_named_by_us(run: Run) -> bool:
    """Tell whether a file has the name that dslite gives exports: with backbone, or part, and exporter in it."""
    stem, (whose, exporter) = Path(run.artifact.path).stem, (_owner(run), run.artifact.exporter or "")
    return bool(exporter) and all(name.partition(":")[0] in stem for name in (whose, exporter))


def _places(runs: Sequence[Run]) -> list[str]:
    """Name where each run took place: by its target; of several devices of one target, by their models and options."""
    targets = [run.target.partition(":")[0] for run in runs]
    of_target: dict[str, set[str]] = defaultdict(set)
    for run, name in zip(runs, targets, strict=True):
        if run.device:
            of_target[name].add(run.device.id)
    n_of_model = Counter({run.device.id: run.device.model for run in runs if run.device}.values())
    found = []
    for run, name in zip(runs, targets, strict=True):
        others = [each for each in run.target.partition(":")[2].split(",") if each and not each.startswith("device=")]
        place = name
        if run.device and len(of_target[name]) > 1:
            place = run.device.model if n_of_model[run.device.model] == 1 else run.device.id
        found.append(place + (":" + ",".join(others) if others else ""))
    return found


def _owner(run: Run) -> str:
    return run.artifact.backbone or run.artifact.part


def flag_messages(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Give what a reader must know of runs, each once, with the names of its rows where these are not all.

    Why a run is not valid is no such: see `not_valid`.
    """
    rows: dict[str, dict[str, None]] = {}
    for name, run in zip(names, runs, strict=True):
        for flag in (flag for flag in run.flags if not is_rule(flag)):
            rows.setdefault(_without_names(run, flag.message), {})[name] = None
    everywhere = len(set(names))
    return [text if len(those) == everywhere else f"{some([*those])}: {text}" for text, those in rows.items()]


def not_valid(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    """Say of each row that is not valid why, rows with the same reasons together."""
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
    return f"{scored}{milliseconds(statistic(find(run.measurements, 'latency'), 'p50'))} ms, {size(value(run, 'size'))}"
