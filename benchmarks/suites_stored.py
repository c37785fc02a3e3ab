"""Compare a run of the suites with what is stored of the same machine kind, or store it.

    python benchmarks/suites_stored.py RESULTS.json [--store] [--fail] [--margin 25%]

RESULTS.json is what ``pytest benchmarks/suites --benchmark-json`` wrote. Times are divided by the pace that was
measured beside each: a fixed piece of work, so that a machine that is slower today says nothing of dslite.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any, TypeAlias

from dslite.measure.environment import commit, environment

STORED = Path(__file__).parent / "results" / "suites"
Benchmarks: TypeAlias = dict[str, dict[str, float]]
SLOWER = 3
"""Exit code, with --fail."""


def kind(machine: dict[str, Any]) -> str:
    """Name the kind of a machine: processor, cores, system, and Python's minor version."""
    python = ".".join(str(machine["python"]).split(".")[:2])
    system = str(machine["system"]).split()[0]
    facts = [machine["cpu"], f"{machine['cpus']}-cores", system, machine["machine"], f"py{python}"]
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(map(str, facts))).strip("-").lower()


def read(path: Path) -> Benchmarks:
    """Give of each benchmark its median, spread, rounds and pace, seconds, and its overhead where it has one.

    Raises:
        SystemExit: where the file is no result of the suites.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
        return {
            each["name"]: {
                "median_s": each["stats"]["median"],
                "iqr_s": each["stats"]["iqr"],
                "rounds": each["stats"]["rounds"],
                **{name: each["extra_info"][name] for name in ("pace_s", "overhead_us") if name in each["extra_info"]},
            }
            for each in found
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = f"{type(error).__name__}: {error}"
        sys.exit(f"{path}: expected what `pytest benchmarks/suites --benchmark-json` writes: {why}")


def table(
    now: dict[str, dict[str, float]], before: dict[str, dict[str, float]], margin: float
) -> tuple[str, list[str]]:
    """Lay the comparison out, and name what is slower beyond the margin."""
    lines = ["| benchmark | now | stored | ratio, by pace | |", "|---|---:|---:|---:|---|"]
    slower = []
    for name, ours in now.items():
        theirs = before.get(name)
        shown = f"{ours['median_s'] * 1e3:.3g} ms"
        if "overhead_us" in ours:
            shown += f" ({ours['overhead_us']:.2f} us each)"
        if theirs is None:
            lines.append(f"| {name} | {shown} | - | - | not stored |")
            continue
        ratio = (ours["median_s"] / ours["pace_s"]) / (theirs["median_s"] / theirs["pace_s"])
        told = "slower" if ratio > 1 + margin else "faster" if ratio < 1 / (1 + margin) else "within"
        if told == "slower":
            slower.append(name)
        lines.append(f"| {name} | {shown} | {theirs['median_s'] * 1e3:.3g} ms | {ratio:.2f} | {told} |")
    gone = [
        f"| {name} | - | {theirs['median_s'] * 1e3:.3g} ms | - | not run |"
        for name, theirs in before.items()
        if name not in now
    ]
    return "\n".join([*lines, *gone]), slower


def share(text: str) -> float:
    """Read a share such as 25%."""
    return float(text.removesuffix("%")) / 100


def main() -> None:
    """Compare, and store where that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--store", action="store_true", help="keep these results for this machine kind")
    parser.add_argument("--fail", action="store_true", help=f"end with exit code {SLOWER} where something is slower")
    parser.add_argument("--margin", type=share, default=0.25, metavar="SHARE", help="called the same; 25%% by default")
    parser.add_argument("--stored", type=Path, default=STORED, help="folder of the stored results")
    options = parser.parse_args()
    machine, now = environment(), read(options.results)
    path = options.stored / f"{kind(machine)}.json"
    before: Benchmarks = {}
    if path.exists():
        before = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    else:
        print(f"nothing is stored of a machine of this kind ({kind(machine)}): --store keeps these results")
    text, slower = table(now, before, options.margin)
    print(text)
    print(f"\nwithin: by less than {options.margin:.0%}; two runs of the same code differ too, on a shared machine")
    if options.store:
        path.parent.mkdir(parents=True, exist_ok=True)
        kept = {"environment": machine, "commit": commit(), "benchmarks": before | now}
        path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
        print(f"stored as {path.name}")
    if options.fail and slower:
        sys.exit(SLOWER)


if __name__ == "__main__":
    main()
