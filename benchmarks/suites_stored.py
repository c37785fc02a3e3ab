"""Compare a run of the suites with what is stored of the same machine kind, or store it.

    python benchmarks/suites_stored.py RESULTS.json [--store] [--fail] [--margin 25%]

RESULTS.json is what ``pytest benchmarks/suites --benchmark-json`` wrote. Times are divided by the pace that was
measured beside each: a fixed piece of work, so that a machine that is slower today says nothing of dslite.
Stored are medians, spread, pace and versions, of one kind of machine in one file; no name, no folder, no sample.
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path
from typing import Any, TypeAlias

from dslite.cli.options import share_of
from dslite.files import write_text
from dslite.measure.environment import commit

STORED = Path(__file__).parent / "results" / "suites"
SCHEMA = 1
SLOWER = 3
"""Exit code, with --fail."""
MARGIN = 0.25
_SAME_KIND = ("cpu", "cpus", "system", "machine")
Benchmarks: TypeAlias = dict[str, dict[str, Any]]


def kind(machine: dict[str, Any]) -> str:
    """Name the kind of a machine: processor, cores, system, and Python's minor version."""
    python = ".".join(str(machine["python"]).split(".")[:2])
    facts = [machine["cpu"], f"{machine['cpus']}-cores", machine["system"], machine["machine"], f"py{python}"]
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(map(str, facts))).strip("-").lower()


def read(path: Path) -> tuple[dict[str, Any], Benchmarks]:
    """Give the machine of a run, and of each benchmark its median, spread, rounds, pace and figures of its own.

    Raises:
        SystemExit: where the file is no result of the suites.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        machine = {name: content["machine_info"][name] for name in (*_SAME_KIND, "python", "packages")}
        found: Benchmarks = {}
        for each in content["benchmarks"]:
            stats, extra = each["stats"], each["extra_info"]
            found[each["name"]] = {
                "median_s": stats["median"],
                "iqr_s": stats["iqr"],
                "rounds": stats["rounds"],
                "pace_s": extra["pace_s"],
                "pace_loop_s": extra["pace_loop_s"],
                "figures": extra.get("figures", {}),
            }
        _check(found)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{path}: expected what `pytest benchmarks/suites --benchmark-json` writes: {_why(error)}")
    return machine, found


def read_stored(path: Path) -> tuple[dict[str, Any], Benchmarks]:
    """Give the machine and the benchmarks of a stored result.

    Raises:
        SystemExit: where the file is broken, or of another version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content.get("schema")
        if schema != SCHEMA:
            sys.exit(f"{path}: expected schema {SCHEMA}, got {schema}: remove the file, and store a run with --store")
        _check(content["benchmarks"])
        return dict(content["machine"]), dict(content["benchmarks"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        sys.exit(f"{path}: expected what --store writes, got a broken file: {_why(error)}; remove it, and store anew")


def _check(benchmarks: Benchmarks) -> None:
    """Raise an error where a number that is needed is none, or cannot be divided by."""
    for name, each in benchmarks.items():
        for key, least in (("median_s", sys.float_info.min), ("pace_s", sys.float_info.min), ("iqr_s", 0.0)):
            if not (math.isfinite(each[key]) and each[key] >= least):
                raise ValueError(f"{name}: {key}: expected a positive number, got {each[key]}")
        for figure, value in each["figures"].items():
            if not math.isfinite(value):
                raise ValueError(f"{name}: {figure}: expected a number, got {value}")


def _why(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def table(now: Benchmarks, before: Benchmarks, margin: float) -> tuple[str, list[str]]:
    """Lay the comparison out, and name what is slower beyond the margin."""
    lines = ["| benchmark | now | ± | stored | ± | ratio, by pace | verdict |", "|---|---:|---:|---:|---:|---:|---|"]
    slower = []
    for name, ours in now.items():
        theirs = before.get(name)
        if theirs is None:
            lines.append(f"| {name} | {_time(ours)} | {_spread(ours)} | - | - | - | not stored |")
            continue
        ratio = (ours["median_s"] / ours["pace_s"]) / (theirs["median_s"] / theirs["pace_s"])
        told = "slower" if ratio > 1 + margin else "faster" if ratio < 1 / (1 + margin) else "within"
        if told == "slower":
            slower.append(name)
        cells = name, _time(ours), _spread(ours), _time(theirs), _spread(theirs), f"{ratio:.2f}", told
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines), slower


def _time(benchmark: dict[str, Any]) -> str:
    value = benchmark["median_s"]
    number, unit = (value, "s") if value >= 1 else (value * 1e3, "ms")
    return f"{f'{number:#.3g}'.rstrip('.')} {unit}"


def _spread(benchmark: dict[str, Any]) -> str:
    return f"{benchmark['iqr_s'] / benchmark['median_s']:.0%}"


def figures(now: Benchmarks, before: Benchmarks) -> str:
    """Lay out the figures that benchmarks have besides their time."""
    lines = ["| benchmark | figure | now | stored |", "|---|---|---:|---:|"]
    for name, ours in now.items():
        known = before.get(name, {}).get("figures", {})
        for figure, value in ours["figures"].items():
            stored = f"{known[figure]:.3g}" if figure in known else "-"
            lines.append(f"| {name} | {figure} | {value:.3g} | {stored} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def changed(now: dict[str, Any], before: dict[str, Any]) -> list[str]:
    """Name the versions that are others than those of the stored result."""
    ours, theirs = ({"python": each["python"], **each["packages"]} for each in (now, before))
    return [f"{name} {theirs.get(name)} then, {ours[name]} now" for name in ours if ours[name] != theirs.get(name)]


def main() -> None:
    """Compare, and store where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--store", action="store_true", help="keep these results for this machine kind")
    parser.add_argument("--fail", action="store_true", help=f"end with exit code {SLOWER} where something is slower")
    said = f"of the ratio, within which two runs count as equally fast; {MARGIN:.0%} by default".replace("%", "%%")
    parser.add_argument("--margin", type=share_of, default=MARGIN, metavar="SHARE", help=said)
    parser.add_argument("--stored", type=Path, default=STORED, help="folder of the stored results")
    options = parser.parse_args()
    machine, now = read(options.results)
    path = options.stored / f"{kind(machine)}.json"
    then: dict[str, Any] = {}
    before: Benchmarks = {}
    if path.exists():
        then, before = read_stored(path)
    text, slower = table(now, before, options.margin)
    print("\n\n".join(filter(None, [text, figures(now, before)])))
    print(
        f"\nwithin: by less than {options.margin:.0%}, by which two runs of the same code may differ; ±: quartile range"
    )
    if not then:
        kinds = ", ".join(sorted(each.stem for each in options.stored.glob("*.json"))) or "none"
        print(f"nothing is stored of a machine of this kind ({kind(machine)}; stored: {kinds}): --store keeps this run")
    else:
        if others := changed(machine, then):
            print(f"stored with other versions: {'; '.join(others)}")
        if gone := [name for name in before if name not in now]:
            print(f"stored, and not run now: {len(gone)}: {', '.join(gone)}")
    if options.store:
        store(path, machine, now, then, before)
    if options.fail and slower:
        print(f"slower: {', '.join(slower)}", file=sys.stderr)
        sys.exit(SLOWER)


def store(path: Path, machine: dict[str, Any], now: Benchmarks, then: dict[str, Any], before: Benchmarks) -> None:
    """Keep a run; what it did not run stays as it was stored, if that was with the same versions."""
    rest = {name: each for name, each in before.items() if name not in now}
    if rest and changed(machine, then):
        sys.exit(f"{path}: this run has other versions, and not all benchmarks that are stored there: run all to store")
    state = commit()
    ours = {name: each | {"commit": state} for name, each in now.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    kept = {"schema": SCHEMA, "machine": machine, "benchmarks": dict(sorted((rest | ours).items()))}
    write_text(path, json.dumps(kept, indent=1) + "\n")
    print(f"stored as {path.name}")


if __name__ == "__main__":
    main()
